"""
What the overlays of this package do alike, whomever they choose to be linked to.

Nobody is dialled to whom there is a link, or a dial under way.  The reason that
a dial fails for says when that address is dialled again, if ever.  And whoever
was found dead is asked, now and then, whether it lives (L{Missing}).
"""

from __future__ import annotations

from collections.abc import Container
from random import Random
from typing import Any

from p2p.peer.known import DIALS, ELSEWHERE, FIRST_PAUSE, FULL_PAUSE, Known, Remembered
from p2p.peer.missing import Missing
from p2p.settings import PeerSettings
from p2p.wire import reasons
from p2p.wire.messages import Contact
from p2p.wire.probe import Outcome


class Links:
    """
    The links and the addresses of one peer; an overlay says the rest: C{_fill}, C{_found} and C{_isFresh}.

    What C{p2p.interfaces.IOverlay} says of its methods holds for those here.
    """

    def __init__(self, outlet: Any, settings: PeerSettings, random: Random, known: Known) -> None:
        """
        @param outlet: an L{p2p.interfaces.IOverlayOutlet}.
        @param known: where addresses are remembered.
        """
        self._outlet = outlet
        self._settings = settings
        self._random = random
        self._maxOut = settings.maxConnections
        self._known = known
        self._missing = Missing(settings, random)
        self._neighbours: dict[bytes, Any] = {}
        # What is to be remembered of a dial under way is the overlay's.
        self._dialling: dict[bytes, Any] = {}
        # How many more there may be before the next tick.
        self._dials = DIALS * self._maxOut
        # The last dials found nobody.
        self._inVain = False
        self._now = 0.0

    def accept(self, contact: Contact, urgent: bool, now: float) -> str | None:
        """As many as there is room for."""
        inbound = sum(not neighbour.outgoing for neighbour in self._neighbours.values())
        return reasons.FULL if inbound >= self._settings.maxInbound else None

    def dialFailed(self, contact: Contact, reason: str, now: float) -> None:
        """Try somebody else, at the next occasion."""
        self._dialling.pop(contact.id, None)
        if reason == reasons.SELF:
            self._known.dead(contact, now)
        elif reason in ELSEWHERE:
            self._known.forget(contact.id)
        elif reason in (reasons.FULL, reasons.SLOW):
            self._known.pause(contact, now + FULL_PAUSE)
        elif reason in (reasons.DUPLICATE, reasons.LOCAL):
            self._known.pause(contact, now + FIRST_PAUSE)
        else:
            self._inVain = True
            self._known.failed(contact, now, keep=not self._neighbours)

    def dead(self, contact: Contact, evidence: str, now: float) -> None:
        """Dial somebody else, and ask later whether it lives."""
        self._known.dead(contact, now)
        self._missing.add(contact, evidence, now)
        self._fill(now)

    def known(self, count: int, exclude: Container[bytes] = ()) -> list[Contact]:
        """Neighbours, as their links show them, and those that were seen lately and do not fail."""
        neighbours = self._neighbours
        worth = [
            entry.contact for id, entry in self._known.items()
            if not entry.failures and self._isFresh(entry) and id not in neighbours and id not in exclude
        ] + [
            neighbour.contact for id, neighbour in neighbours.items()
            if neighbour.contact.address and id not in exclude
        ]  # fmt: skip
        return worth if len(worth) <= count else self._random.sample(worth, count)

    def wasShown(self, contact: Contact) -> bool:
        """A seed or a link showed that very contact."""
        return self._known.wasShown(contact)

    # For overlays.

    def _fill(self, now: float) -> None:
        """Dial until there are as many links as there should be."""
        raise NotImplementedError

    def _found(self, contact: Contact, now: float) -> None:
        """One that was found dead lives, and is remembered again: link up to it."""
        raise NotImplementedError

    def _isFresh(self, entry: Remembered) -> bool:
        """It was seen not too long ago to be named to others."""
        raise NotImplementedError

    def _busy(self) -> set[bytes]:
        """Ids that one is linked to, or about to be."""
        return self._neighbours.keys() | self._dialling.keys()

    def _mine(self) -> list[Any]:
        """The links that were dialled here."""
        return [neighbour for neighbour in self._neighbours.values() if neighbour.outgoing]

    def _askTheMissing(self, now: float) -> None:
        """Ask one of those that were found dead whether it lives, if it is time."""
        asked = self._missing.due(now)
        if asked is not None:
            self._outlet.ask(asked, self._answered)

    def _answered(self, contact: Contact, outcome: Outcome, now: float) -> None:
        """One that was found dead was asked whether it lives."""
        self._now = now
        found = self._missing.answered(contact, outcome, now)
        if found is not None and found.id not in self._busy():
            self._known.lives(found, now)
            self._found(found, now)
