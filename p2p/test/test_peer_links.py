"""
Tests for L{p2p.peer.links}: what holds for every overlay of this package.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.hyparview import HyParView
from p2p.peer.known import ELSEWHERE, FIRST_PAUSE, FULL_PAUSE
from p2p.peer.overlay import RandomLinks
from p2p.settings import PeerSettings
from p2p.test.fakes import WORDS, FakeNeighbour, FakeOutlet, contact
from p2p.wire import reasons
from p2p.wire.probe import Outcome, Verdict

OVERLAYS: tuple[Any, ...] = (RandomLinks, HyParView)

PAUSES = dict.fromkeys(sorted(WORDS), FIRST_PAUSE) | {reasons.FULL: FULL_PAUSE, reasons.SLOW: FULL_PAUSE}
"""After what a dial failed for, for how many seconds that address is left alone at first."""


class LinksTests(SynchronousTestCase):
    """Each overlay, with three links at most."""

    def overlay(self, kind: Any) -> Any:
        """A new one, and an outlet of its own."""
        self.outlet = FakeOutlet()
        return kind(self.outlet, PeerSettings(maxConnections=3, maxInbound=3, activeView=9), Random(1))

    def test_whenADialFailsTheReasonSaysWhenTheAddressIsDialledAgain(self) -> None:
        """Never, where somebody else lives there, or this peer itself."""
        for kind in OVERLAYS:
            for reason, pause in PAUSES.items():
                overlay = self.overlay(kind)
                overlay.learned([contact(1)], 5.0)
                self.assertEqual(overlay._dialling.keys(), {contact(1).id})
                overlay.dialFailed(contact(1), reason, 5.0)
                self.assertEqual(len(overlay._dialling), 0)
                paused = {entry.contact: entry.notBefore for _, entry in overlay._known.items()}
                gone = reason in ELSEWHERE or reason == reasons.SELF
                self.assertEqual(paused, {} if gone else {contact(1): 5.0 + pause}, (kind, reason))

    def test_nobodyIsNamedWhoFailsOrIsExcluded(self) -> None:
        """Neighbours are, and those who were seen lately, each once."""
        for kind in OVERLAYS:
            overlay = self.overlay(kind)
            overlay.neighbourUp(FakeNeighbour(1), 0.0)
            overlay.listed([contact(number) for number in (1, 2, 3, 4)], False, 0.0)
            overlay.dialFailed(contact(3), reasons.REFUSED, 0.0)
            self.assertCountEqual(overlay.known(9, {contact(4).id}), [contact(1), contact(2)])
            self.assertEqual(len(overlay.known(2)), 2)

    def test_callersAreTakenUpToALimit(self) -> None:
        """However urgent they are."""
        for kind in OVERLAYS:
            overlay = self.overlay(kind)
            for number in range(1, 4):
                self.assertIsNone(overlay.accept(contact(number), False, 0.0))
                overlay.neighbourUp(FakeNeighbour(number, outgoing=False), 0.0)
            self.assertEqual([overlay.accept(contact(9), urgent, 0.0) for urgent in (False, True)], [reasons.FULL] * 2)

    def test_theDeadAreAskedAndWhoLivesIsDialled(self) -> None:
        """But to whom there is a link meanwhile is not, nor remembered by what was said there."""
        for kind in OVERLAYS:
            for linked in (False, True):
                overlay = self.overlay(kind)
                overlay.dead(contact(1), "silent", 0.0)
                now = 0.0
                while not (asked := self.outlet.take("ask")):
                    now += 1.0
                    overlay.tick(now)
                ((who, answer),) = asked
                if linked:
                    overlay._missing.add(contact(1), "silent", now)
                    overlay._neighbours[contact(1).id] = FakeNeighbour(1)
                answer(who, Outcome(Verdict.ALIVE, contact(1, 2)), now)
                self.assertEqual(overlay._dialling.keys(), set() if linked else {contact(1).id})
                self.assertEqual(contact(1).id in overlay._known, not linked)
