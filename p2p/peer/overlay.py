"""
Random links: the mission's overlay.

Of n candidates a peer dials C{min(randint(1, n), maxConnections)}, drawn at
random, and takes at most C{maxInbound} that dial it.  Three things keep the
graph from decaying:

 - A lost link is replaced at once from the addresses that are remembered
   (L{Known}), without asking anybody.
 - Each list from a seed is a new draw, and the higher number counts: a peer
   that began with one candidate does not stay at one link.
 - With each list a peer exchanges one link that it dialled for a new one
   (once a list, and only if it has its full number), so that two halves that
   do not know of each other, but whose seeds do, are joined again.  Bollobas
   and others: a random graph of a few links a node is connected almost surely;
   the exchange keeps it random as peers come and go.

An address that does not answer is tried again after a pause that doubles, and
forgotten after L{MAX_FAILURES}.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from random import Random
from typing import Any

import attrs
from zope.interface import implementer

from p2p.interfaces import IOverlay
from p2p.settings import PeerSettings
from p2p.wire import reasons
from p2p.wire.messages import Contact

FIRST_PAUSE = 1.0
"""Seconds before an address that did not answer is tried again."""

LONGEST_PAUSE = 60.0
"""Where the doubling of that pause ends."""

MAX_FAILURES = 8
"""Failures in a row after which an address is forgotten."""


@attrs.define(eq=False)
class _Known:
    contact: Contact
    failures: int = 0
    notBefore: float = 0.0


class Known:
    """
    The addresses that a peer has heard of, at most C{limit}.

    When there are more, a random one is forgotten, so that no flood of
    invented addresses drives out all the real ones at once.
    """

    def __init__(self, limit: int, random: Random) -> None:
        self._limit = limit
        self._random = random
        self._entries: dict[bytes, _Known] = {}
        self._order: list[bytes] = []
        # The latest identity of each id that is known to be dead.
        self._dead: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Any:
        return iter(self._entries.values())

    def add(self, contact: Contact) -> None:
        """Remember a contact; a later incarnation replaces an earlier one."""
        id = contact.id
        if not contact.address or self._dead.get(id, b"") >= contact.identity:
            return
        entry = self._entries.get(id)
        if entry is not None:
            if entry.contact != contact and entry.contact.identity <= contact.identity:
                self._entries[id] = _Known(contact)
            return
        if len(self._entries) >= self._limit:
            self.forget(self._order[self._random.randrange(len(self._order))])
        self._entries[id] = _Known(contact)
        self._order.append(id)

    def forget(self, id: bytes) -> None:
        """Drop an id."""
        if self._entries.pop(id, None) is not None:
            self._order.remove(id)

    def dead(self, contact: Contact) -> None:
        """Drop an identity, and do not take it again."""
        entry = self._entries.get(contact.id)
        if entry is not None and entry.contact.identity <= contact.identity:
            self.forget(contact.id)
        self._dead.pop(contact.id, None)
        self._dead[contact.id] = contact.identity
        if len(self._dead) > self._limit:
            del self._dead[next(iter(self._dead))]

    def met(self, contact: Contact) -> None:
        """A link to it came up: whatever was said, it lives."""
        self._dead.pop(contact.id, None)
        self.add(contact)
        entry = self._entries.get(contact.id)
        if entry is not None:
            entry.failures = 0
            entry.notBefore = 0.0

    def failed(self, contact: Contact, now: float) -> None:
        """It did not answer: not again too soon, and not for ever."""
        entry = self._entries.get(contact.id)
        if entry is None or entry.contact != contact:
            return
        entry.failures += 1
        if entry.failures >= MAX_FAILURES:
            self.forget(contact.id)
        else:
            entry.notBefore = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (entry.failures - 1))

    def pause(self, contact: Contact, until: float) -> None:
        """It is alive but should not be dialled before then."""
        entry = self._entries.get(contact.id)
        if entry is not None:
            entry.notBefore = max(entry.notBefore, until)

    def candidates(self, now: float, exclude: Container[bytes]) -> list[Contact]:
        """Whom one may dial now."""
        return [
            entry.contact for id, entry in self._entries.items() if id not in exclude and entry.notBefore <= now
        ]


@implementer(IOverlay)
class RandomLinks:
    """The overlay named C{random}; see the module's text."""

    messages = ()

    def __init__(self, outlet: Any, settings: PeerSettings, random: Random) -> None:
        """
        @param outlet: an L{p2p.interfaces.IOverlayOutlet}.
        """
        self._outlet = outlet
        self._maxOut = settings.maxConnections
        self._maxIn = settings.maxInbound
        self._random = random
        self._known = Known(settings.maxKnown, random)
        self._neighbours: dict[bytes, Any] = {}
        self._dialling: dict[bytes, Contact] = {}
        self._target = 0

    def listed(self, contacts: Iterable[Contact], fresh: bool, now: float) -> None:
        """Remember them, draw again, and exchange a link."""
        contacts = list(contacts)
        for contact in contacts:
            self._known.add(contact)
        strangers = [contact for contact in contacts if contact.id not in self._busy()]
        if contacts:
            self._target = max(self._target, min(self._random.randint(1, len(contacts)), self._maxOut))
        mine = [neighbour for neighbour in self._neighbours.values() if neighbour.outgoing]
        full = len(mine) + len(self._dialling) >= self._target
        if full and strangers and mine and (fresh or len(mine) > 1):
            given = self._random.choice(mine)
            self._known.pause(given.contact, now + LONGEST_PAUSE)
            self._outlet.disconnect(given, reasons.REWIRED)
            self._dial(self._random.choice(strangers))
        self._fill(now)

    def learned(self, contacts: Iterable[Contact], now: float) -> None:
        """See L{IOverlay}."""
        for contact in contacts:
            self._known.add(contact)
        self._fill(now)

    def accept(self, contact: Contact, now: float) -> str | None:
        """See L{IOverlay}."""
        inbound = sum(not neighbour.outgoing for neighbour in self._neighbours.values())
        return reasons.FULL if inbound >= self._maxIn else None

    def neighbourUp(self, neighbour: Any, now: float) -> None:
        """See L{IOverlay}."""
        self._known.met(neighbour.contact)
        self._dialling.pop(neighbour.contact.id, None)
        self._neighbours[neighbour.contact.id] = neighbour

    def neighbourDown(self, neighbour: Any, reason: str, now: float) -> None:
        """Replace it, if it is one that this peer had dialled."""
        id = neighbour.contact.id
        if self._neighbours.get(id) is neighbour:
            del self._neighbours[id]
        if reason == reasons.LEAVING:
            self._known.dead(neighbour.contact)
        elif reason != reasons.STALE:
            self._known.pause(neighbour.contact, now + FIRST_PAUSE)
        self._fill(now)

    def dialFailed(self, contact: Contact, reason: str, now: float) -> None:
        """Try somebody else."""
        self._dialling.pop(contact.id, None)
        if reason == reasons.SELF:
            self._known.dead(contact)
        elif reason == reasons.DUPLICATE:
            pass
        elif reason == reasons.FULL:
            self._known.pause(contact, now + 10 * FIRST_PAUSE)
        elif reason != reasons.LOCAL:
            self._known.failed(contact, now)
        else:
            self._known.pause(contact, now + FIRST_PAUSE)

    def dead(self, contact: Contact, now: float) -> None:
        """See L{IOverlay}."""
        self._known.dead(contact)
        self._fill(now)

    def received(self, message: object, neighbour: Any, now: float) -> None:
        """There are none."""

    def known(self, count: int, exclude: Container[bytes] = ()) -> list[Contact]:
        """See L{IOverlay}: those that did not fail lately."""
        worth = [entry.contact for entry in self._known if not entry.failures and entry.contact.id not in exclude]
        return worth if len(worth) <= count else self._random.sample(worth, count)

    def tick(self, now: float) -> None:
        """See L{IOverlay}."""
        self._fill(now)

    # Private.

    def _busy(self) -> set[bytes]:
        """Ids that one is linked to, or about to be."""
        return self._neighbours.keys() | self._dialling.keys()

    def _fill(self, now: float) -> None:
        """Dial until there are as many links as were drawn."""
        mine = sum(neighbour.outgoing for neighbour in self._neighbours.values()) + len(self._dialling)
        if mine and mine >= self._target:
            return
        candidates = self._known.candidates(now, self._busy())
        if not candidates:
            return
        if not self._target:
            self._target = min(self._random.randint(1, len(candidates)), self._maxOut)
        wanted = min(self._target - mine, len(candidates))
        for contact in self._random.sample(candidates, max(0, wanted)):
            self._dial(contact)

    def _dial(self, contact: Contact) -> None:
        self._dialling[contact.id] = contact
        self._outlet.connect(contact)
