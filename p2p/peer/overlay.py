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
   do not know of each other, but whose seeds do, are joined again.  The old
   link is given up when the new one is there, not before: when many have just
   died, most of a list is dead.  Bollobas and others: a random graph of a few
   links a node is connected almost surely; the exchange keeps it random as
   peers come and go.

A dial that is not answered soon may be to the dead, and when many have died most
are.  So nobody waits for it to time out: after L{IMPATIENCE} others are dialled
beside it, and of those that answer after all as many are kept as are wanted.

Whoever was found dead may be cut off only, with half of the network.  So one of
them is asked now and then whether it lives (L{Missing}), and if it does, it is
linked to, in exchange for another one if there is no link missing.

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

from zope.interface import implementer

from p2p.interfaces import IOverlay
from p2p.peer.known import (
    DIALS,
    ELSEWHERE,
    FIRST_PAUSE,
    FULL_PAUSE,
    IMPATIENCE,
    LONGEST_PAUSE,
    UNFIT,
    WORTH,
    Known,
)
from p2p.peer.missing import Missing
from p2p.settings import PeerSettings
from p2p.wire import reasons
from p2p.wire.messages import Contact
from p2p.wire.probe import Outcome


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
        self._missing = Missing(settings, random)
        self._neighbours: dict[bytes, Any] = {}
        # Since when.
        self._dialling: dict[bytes, float] = {}
        # Who is dialled to take the place of another.
        self._exchange = b""
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
        self._beginExchange(contacts, now)
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
        self._missing.forget(neighbour.contact)
        self._dialling.pop(neighbour.contact.id, None)
        self._neighbours[neighbour.contact.id] = neighbour
        if neighbour.outgoing:
            self._settle(neighbour, now)

    def neighbourDown(self, neighbour: Any, reason: str, now: float) -> None:
        """Replace it, if it is one that this peer had dialled."""
        id = neighbour.contact.id
        if self._neighbours.get(id) is neighbour:
            del self._neighbours[id]
        if reason == reasons.LEAVING:
            self._known.dead(neighbour.contact, now)
        elif reason in UNFIT:
            self._known.pause(neighbour.contact, now + LONGEST_PAUSE)
        elif reason == reasons.SILENT:
            # Others first: it may be dead, and dialling it take long.
            self._known.pause(neighbour.contact, now + FULL_PAUSE)
        elif reason != reasons.STALE:
            self._known.pause(neighbour.contact, now + FIRST_PAUSE)
        self._fill(now)

    def dialFailed(self, contact: Contact, reason: str, now: float) -> None:
        """Try somebody else, at the next occasion."""
        self._dialling.pop(contact.id, None)
        if contact.id == self._exchange:
            self._exchange = b""
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
        """See L{IOverlay}."""
        self._known.dead(contact, now)
        self._missing.add(contact, evidence, now)
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

    def wasShown(self, contact: Contact) -> bool:
        """See L{IOverlay}."""
        return self._known.wasShown(contact)

    def tick(self, now: float) -> None:
        """See L{IOverlay}."""
        self._now = now
        self._dials = DIALS * self._maxOut
        self._fill(now)
        asked = self._missing.due(now)
        if asked is not None:
            self._outlet.ask(asked, self._answered)

    # Private.

    def _busy(self) -> set[bytes]:
        """Ids that one is linked to, or about to be."""
        return self._neighbours.keys() | self._dialling.keys()

    def _answered(self, contact: Contact, outcome: Outcome, now: float) -> None:
        """One that was found dead was asked whether it lives."""
        self._now = now
        found = self._missing.answered(contact, outcome, now)
        if found is not None and found.id not in self._busy():
            self._known.lives(found, now)
            if self._full():
                self._beginExchange([found], now)
            else:
                self._dial(found, now)

    def _beginExchange(self, listed: list[Contact], now: float) -> None:
        """Dial somebody in whose stead a link that was dialled is given up; or, beside a single link, another one."""
        outgoing = self._outgoing()
        if self._exchange or not outgoing or outgoing + len(self._dialling) != self._target:
            # There are too few, or, dialled while it had no link, more than enough under way.
            return
        ready = set(self._known.candidates(now, self._busy()))
        strangers = [contact for contact in listed if contact in ready]
        if not strangers:
            return
        stranger = self._random.choice(strangers)
        if len(self._neighbours) > 1:
            self._exchange = stranger.id
        elif self._target >= self._maxOut:
            return
        else:
            self._target += 1
        self._dial(stranger, now)

    def _full(self) -> bool:
        """It has dialled, or is dialling, as many as were drawn."""
        return self._outgoing() + len(self._dialling) >= max(1, self._target)

    def _outgoing(self) -> int:
        """Links that it dialled."""
        return sum(bool(neighbour.outgoing) for neighbour in self._neighbours.values())

    def _settle(self, neighbour: Any, now: float) -> None:
        """A link that this peer dialled has come up: if that is one too many, give one up."""
        exchange = neighbour.contact.id == self._exchange
        if exchange:
            self._exchange = b""
        mine = [known for known in self._neighbours.values() if known.outgoing]
        if len(mine) <= max(1, self._target):
            return
        given = neighbour
        if exchange:
            mine.remove(neighbour)
            # Whoever was not heard lately may be dead; that it never says goodbye would tell, but late.
            given = self._random.choice([known for known in mine if known.heard] or mine)
        self._known.pause(given.contact, now + LONGEST_PAUSE)
        self._outlet.disconnect(given, reasons.REWIRED)

    def _fill(self, now: float) -> None:
        """Dial until there are as many links as were drawn."""
        young = sum(now - since < IMPATIENCE for id, since in self._dialling.items() if id != self._exchange)
        mine = self._outgoing() + young
        if mine and mine >= self._target:
            return
        candidates = self._known.candidates(now, self._busy(), met=self._inVain)
        if not candidates:
            return
        if not self._target:
            self._target = min(self._random.randint(1, len(candidates)), self._maxOut)
        wanted = min(self._target - mine, len(candidates), self._dials)
        for contact in self._random.sample(candidates, max(0, wanted)):
            self._dial(contact, now)

    def _dial(self, contact: Contact, now: float) -> None:
        self._dials -= 1
        self._dialling[contact.id] = now
        self._outlet.connect(contact)
