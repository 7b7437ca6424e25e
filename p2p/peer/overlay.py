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
forgotten after L{MAX_FAILURES}, unless this peer has no link at all: then it may
be its own network that fails.

Anybody may invent addresses.  So they drive out each other before those that
were once answered at, the one address is taken for one peer, at most half of
what is remembered comes from one list, who dialled in vain tries next where it
was once answered, and only what a seed listed or a link has shown, and that not
long ago, is named to others: what is hearsay here goes no further.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from random import Random
from typing import Any

from msgspec import Struct
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

FULL_PAUSE = 10.0
"""Seconds before a peer that had no room is dialled again."""

WORTH = 600.0
"""Seconds after it was last listed or linked in which a contact is named to others."""

DIALS = 8
"""So many times the links it wants, a peer dials at most between two ticks, however many addresses it is told."""

DOUBT = 15.0
"""
Seconds after a peer was found dead before a seed's list is believed more than
that: by then the seed has looked for itself, and the network may be whole again.
"""

DRAWN = 8
"""Of so many, drawn at random, the least worth one is forgotten when there is no room."""

HEARSAY = float("-inf")
"""When a contact was shown that never was."""

_ELSEWHERE = frozenset({reasons.STALE, reasons.NETWORK, reasons.VERSION, reasons.STRATEGY, reasons.ROLE})
"""Reasons that a dial fails with which say that this is not the peer's address."""

_UNFIT = _ELSEWHERE - {reasons.STALE} | {reasons.MALFORMED, reasons.TOO_LARGE}
"""Reasons that a link ends with which would end the next one too."""


class _Known(Struct, eq=False, gc=False):
    """
    A contact that was heard of.

    @ivar failures: how often in a row it did not answer.
    @ivar notBefore: it is not dialled before then.
    @ivar met: there was a link to it.
    @ivar shown: when a seed listed it or a link showed it last.
    """

    contact: Contact
    failures: int = 0
    notBefore: float = 0.0
    met: bool = False
    shown: float = HEARSAY

    @property
    def worth(self) -> tuple[bool, int]:
        """The lower, the sooner it is forgotten."""
        return (self.met, -self.failures)


class Known:
    """
    The addresses that a peer has heard of, at most C{limit}, and one peer at each.

    When there are more, one of the least worth is forgotten: rather one that
    fails than one untried, rather one untried than one that there was a link
    to; among equals, at random.
    """

    def __init__(self, limit: int, random: Random) -> None:
        self._limit = limit
        self._random = random
        self._entries: dict[bytes, _Known] = {}
        self._order: list[bytes] = []
        self._at: dict[str, bytes] = {}
        # Identities that are known to be dead, since when; the longest first.
        self._dead: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> Iterable[tuple[bytes, _Known]]:
        """Everyone by id."""
        return self._entries.items()

    def add(self, contact: Contact, shown: float = HEARSAY) -> None:
        """
        Remember a contact.

        A later incarnation replaces an earlier one, and any other one replaces
        one that fails, for what failed may have been invented.  But hearsay
        takes the place of nobody that was met and does not fail.

        @param shown: when a seed or a link showed it; else it is hearsay.
        """
        id = contact.id
        hearsay = shown == HEARSAY
        if not contact.address:
            return
        died = self._dead.get(contact.identity)
        if died is not None:
            if shown - died < DOUBT:
                return
            del self._dead[contact.identity]
        entry = self._entries.get(id)
        if entry is not None and entry.contact == contact:
            entry.shown = max(entry.shown, shown)
            return
        kept = entry if entry is not None and not entry.failures else None
        if kept is not None and (kept.contact.identity > contact.identity or (hearsay and kept.met)):
            return
        other = self._entries.get(self._at.get(contact.address, b""))
        if other is not None and other is not entry:
            if other.met and not other.failures:
                return
            self.forget(other.contact.id)
        if entry is not None:
            self.forget(id)
        elif len(self._entries) >= self._limit:
            drawn = [self._entries[self._order[self._random.randrange(len(self._order))]] for _ in range(DRAWN)]
            least = min(drawn, key=lambda entry: entry.worth)
            if hearsay and least.met and not least.failures:
                return
            self.forget(least.contact.id)
        # Whoever is at an address that is to be left alone, it is left alone.
        notBefore = other.notBefore if other is not None and other is not entry else 0.0
        self._entries[id] = _Known(contact, shown=shown, notBefore=notBefore)
        self._order.append(id)
        self._at[contact.address] = id

    def forget(self, id: bytes) -> None:
        """Drop an id."""
        entry = self._entries.pop(id, None)
        if entry is not None:
            self._order.remove(id)
            del self._at[entry.contact.address]

    def dead(self, contact: Contact, now: float) -> None:
        """Drop an identity, and do not take it again, unless a seed or it itself shows later that it lives."""
        entry = self._entries.get(contact.id)
        if entry is not None and entry.contact.identity <= contact.identity:
            self.forget(contact.id)
        self._dead.pop(contact.identity, None)
        self._dead[contact.identity] = now
        if len(self._dead) > self._limit:
            del self._dead[next(iter(self._dead))]

    def met(self, contact: Contact, now: float) -> None:
        """A link to it came up: whatever was said, it lives."""
        self._dead.pop(contact.identity, None)
        there = self._at.get(contact.address, contact.id)
        if there != contact.id:
            self.forget(there)
        entry = self._entries.get(contact.id)
        if entry is not None and entry.contact != contact:
            self.forget(contact.id)
        self.add(contact, now)
        entry = self._entries.get(contact.id)
        if entry is not None:
            entry.met = True
            entry.failures = 0
            entry.notBefore = 0.0

    def failed(self, contact: Contact, now: float, keep: bool = False) -> None:
        """
        It did not answer: not again too soon, and not for ever.

        @param keep: do not forget it, however often it fails.
        """
        entry = self._entries.get(contact.id)
        if entry is None or entry.contact != contact:
            return
        entry.failures = min(entry.failures + 1, MAX_FAILURES)
        if entry.failures >= MAX_FAILURES and not keep:
            self.forget(contact.id)
        else:
            entry.notBefore = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (entry.failures - 1))

    def pause(self, contact: Contact, until: float) -> None:
        """It is alive but should not be dialled before then."""
        entry = self._entries.get(contact.id)
        if entry is not None:
            entry.notBefore = max(entry.notBefore, until)

    def candidates(self, now: float, exclude: Container[bytes], met: bool = False) -> list[Contact]:
        """
        Whom one may dial now.

        @param met: rather those that there was a link to, if there are any.
        """
        ready = [entry for id, entry in self._entries.items() if id not in exclude and entry.notBefore <= now]
        if met:
            ready = [entry for entry in ready if entry.met] or ready
        return [entry.contact for entry in ready]


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
        self._limit = settings.maxKnown
        self._known = Known(settings.maxKnown, random)
        self._neighbours: dict[bytes, Any] = {}
        self._dialling: dict[bytes, Contact] = {}
        self._target = 0
        self._inVain = False
        self._dials = DIALS * self._maxOut
        self._now = 0.0

    def listed(self, contacts: Iterable[Contact], fresh: bool, now: float) -> None:
        """Remember them, draw again, and exchange a link."""
        self._now = now
        contacts = list(contacts)
        room = max(self._maxOut, self._limit // 2)
        if len(contacts) > room:
            contacts = self._random.sample(contacts, room)
        for contact in contacts:
            self._known.add(contact, now)
        if contacts:
            self._target = max(self._target, min(self._random.randint(1, len(contacts)), self._maxOut))
        self._exchange(contacts, now)
        self._fill(now)

    def learned(self, contacts: Iterable[Contact], now: float) -> None:
        """See L{IOverlay}."""
        self._now = now
        for contact in contacts:
            neighbour = self._neighbours.get(contact.id)
            if neighbour is None:
                self._known.add(contact)
            elif neighbour.contact == contact:
                # The link itself shows it, under a later incarnation perhaps.
                self._known.met(contact, now)
        self._fill(now)

    def accept(self, contact: Contact, urgent: bool, now: float) -> str | None:
        """See L{IOverlay}."""
        inbound = sum(not neighbour.outgoing for neighbour in self._neighbours.values())
        return reasons.FULL if inbound >= self._maxIn else None

    def neighbourUp(self, neighbour: Any, now: float) -> None:
        """See L{IOverlay}."""
        self._now = now
        self._inVain = False
        self._known.met(neighbour.contact, now)
        self._dialling.pop(neighbour.contact.id, None)
        self._neighbours[neighbour.contact.id] = neighbour

    def neighbourDown(self, neighbour: Any, reason: str, now: float) -> None:
        """Replace it, if it is one that this peer had dialled."""
        id = neighbour.contact.id
        if self._neighbours.get(id) is neighbour:
            del self._neighbours[id]
        if reason == reasons.LEAVING:
            self._known.dead(neighbour.contact, now)
        elif reason in _UNFIT:
            self._known.pause(neighbour.contact, now + LONGEST_PAUSE)
        elif reason != reasons.STALE:
            self._known.pause(neighbour.contact, now + FIRST_PAUSE)
        self._fill(now)

    def dialFailed(self, contact: Contact, reason: str, now: float) -> None:
        """Try somebody else, at the next occasion."""
        self._dialling.pop(contact.id, None)
        if reason == reasons.SELF:
            self._known.dead(contact, now)
        elif reason in _ELSEWHERE:
            self._known.forget(contact.id)
        elif reason == reasons.FULL:
            self._known.pause(contact, now + FULL_PAUSE)
        elif reason in (reasons.DUPLICATE, reasons.LOCAL):
            self._known.pause(contact, now + FIRST_PAUSE)
        else:
            self._inVain = True
            self._known.failed(contact, now, keep=not self._neighbours)

    def dead(self, contact: Contact, now: float) -> None:
        """See L{IOverlay}."""
        self._known.dead(contact, now)
        self._fill(now)

    def received(self, message: object, neighbour: Any, now: float) -> None:
        """There are none."""

    def known(self, count: int, exclude: Container[bytes] = ()) -> list[Contact]:
        """See L{IOverlay}: neighbours, as their links show them, and those that were shown lately and do not fail."""
        since = self._now - WORTH
        neighbours = self._neighbours
        worth = [
            entry.contact for id, entry in self._known.items()
            if not entry.failures and entry.shown >= since and id not in neighbours and id not in exclude
        ] + [
            neighbour.contact for id, neighbour in neighbours.items()
            if neighbour.contact.address and id not in exclude
        ]  # fmt: skip
        return worth if len(worth) <= count else self._random.sample(worth, count)

    def tick(self, now: float) -> None:
        """See L{IOverlay}."""
        self._now = now
        self._dials = DIALS * self._maxOut
        self._fill(now)

    # Private.

    def _busy(self) -> set[bytes]:
        """Ids that one is linked to, or about to be."""
        return self._neighbours.keys() | self._dialling.keys()

    def _exchange(self, listed: list[Contact], now: float) -> None:
        """Give up a link that was dialled for a new one, if there is another link to live on meanwhile."""
        mine = [neighbour for neighbour in self._neighbours.values() if neighbour.outgoing]
        if not mine or len(mine) + len(self._dialling) < self._target:
            return
        busy = self._busy()
        ready = set(self._known.candidates(now, busy))
        strangers = [contact for contact in listed if contact in ready]
        if not strangers:
            return
        stranger = self._random.choice(strangers)
        if len(self._neighbours) > 1:
            # Whoever was not heard lately may be dead, and this peer the only one to find that out.
            heard = [neighbour for neighbour in mine if neighbour.heard]
            if not heard:
                return
            given = self._random.choice(heard)
            self._known.pause(given.contact, now + LONGEST_PAUSE)
            # Its place is taken before it is free: what its end brings about must not fill it.
            self._dialling[stranger.id] = stranger
            self._outlet.disconnect(given, reasons.REWIRED)
        elif self._target >= self._maxOut:
            return
        else:
            self._target += 1
        self._dial(stranger)

    def _fill(self, now: float) -> None:
        """Dial until there are as many links as were drawn."""
        mine = sum(neighbour.outgoing for neighbour in self._neighbours.values()) + len(self._dialling)
        if mine and mine >= self._target:
            return
        candidates = self._known.candidates(now, self._busy(), met=self._inVain)
        if not candidates:
            return
        if not self._target:
            self._target = min(self._random.randint(1, len(candidates)), self._maxOut)
        wanted = min(self._target - mine, len(candidates), self._dials)
        for contact in self._random.sample(candidates, max(0, wanted)):
            self._dial(contact)

    def _dial(self, contact: Contact) -> None:
        self._dials -= 1
        self._dialling[contact.id] = contact
        self._outlet.connect(contact)
