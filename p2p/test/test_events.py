"""
Tests for L{p2p.events}.
"""

from __future__ import annotations

import os
import re

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2p.events import PEER_EVENTS, SEED_EVENTS, Event, Events

DOCUMENT = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "operations.md")


class EventsTests(SynchronousTestCase):
    """Telling whoever listens."""

    def setUp(self) -> None:
        """A clock that does not stand at zero."""
        self.clock = Clock()
        self.clock.advance(12.5)
        self.events = Events(self.clock.seconds)
        self.told: list[Event] = []

    def test_theDocumentNamesEachType(self) -> None:
        """Those that there are, and no others."""
        with open(DOCUMENT, encoding="utf-8") as file:
            (table,) = re.findall(r"^\| type \| fields \|\n(.*?)\n\n", file.read(), re.MULTILINE | re.DOTALL)
        named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
        self.assertEqual(named, SEED_EVENTS | PEER_EVENTS)

    if not os.path.exists(DOCUMENT):
        test_theDocumentNamesEachType.skip = "an installed package has no documents"  # type: ignore[attr-defined]

    def test_everyListenerIsToldTypeTimeAndFields(self) -> None:
        """All in the order in which they came."""
        other: list[Event] = []
        self.events.subscribe(self.told.append)
        self.events.subscribe(other.append)
        self.events.emit("dead", peer="p", evidence="refused")
        self.assertEqual(self.told, [{"type": "dead", "time": 12.5, "peer": "p", "evidence": "refused"}])
        self.assertEqual(other, self.told)

    def test_whoEndsItIsNotToldAnyMore(self) -> None:
        """Ending it twice does no harm, not even to the same listener subscribed anew."""
        end = self.events.subscribe(self.told.append)
        end()
        self.events.subscribe(self.told.append)
        end()
        self.events.emit("one")
        self.assertEqual([event["type"] for event in self.told], ["one"])

    def test_theSameListenerTwiceIsToldTwice(self) -> None:
        """And each end ends one."""
        end = self.events.subscribe(self.told.append)
        self.events.subscribe(self.told.append)
        self.events.emit("both")
        end()
        self.events.emit("one")
        self.assertEqual([event["type"] for event in self.told], ["both", "both", "one"])

    def test_aListenerThatRaisesIsLoggedAndStays(self) -> None:
        """It disturbs neither the others nor whoever made the event."""

        def broken(event: Event) -> None:
            self.told.append(event)
            raise RuntimeError("broken")

        self.events.subscribe(broken)
        self.events.subscribe(self.told.append)
        self.events.emit("one")
        self.events.emit("two")
        self.assertEqual([event["type"] for event in self.told], ["one", "one", "two", "two"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_aListenerMayEndItselfWhileBeingTold(self) -> None:
        """The others are told all the same."""

        def once(event: Event) -> None:
            end()

        end = self.events.subscribe(once)
        self.events.subscribe(self.told.append)
        self.events.emit("one")
        self.events.emit("two")
        self.assertEqual(len(self.told), 2)
        self.assertEqual(len(self.events.listeners), 1)

    def test_withoutListenersTheClockIsNotEvenRead(self) -> None:
        """Callers on a message's path rely on its costing nothing."""
        events = Events(lambda: self.fail("was read"))
        self.assertFalse(events.listeners)
        events.emit("one")
