"""
The addresses that a peer remembers, for whatever overlay.

Anybody may invent addresses.  So they drive out each other before those that
were once answered at, the one address is taken for one peer, and what is
hearsay replaces nobody that was met.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from random import Random

from msgspec import Struct

from p2p.wire import reasons
from p2p.wire.messages import Contact

FIRST_PAUSE = 1.0
"""Seconds before an address that did not answer is tried again."""

LONGEST_PAUSE = 60.0
"""Where the doubling of that pause ends."""

FULL_PAUSE = 10.0
"""Seconds before a peer is dialled again that had no room, or gave up a link; or that did not read, or was not read."""

DIALS = 8
"""So many times the links it may dial, a peer dials at most between two ticks, however many addresses it is told."""

IMPATIENCE = 1.0
"""Seconds that a peer waits for one that it dials before it dials another one, too."""

MAX_FAILURES = 8
"""Failures in a row after which an address is forgotten."""

WORTH = 600.0
"""Seconds after it was last listed or linked in which a contact is named to others."""

DOUBT = 15.0
"""
Seconds after a peer was found dead before a seed's list is believed more than
that: by then the seed has looked for itself, and the network may be whole again.
"""

DRAWN = 8
"""Of so many, drawn at random, the least worth one is forgotten when there is no room."""

HEARSAY = float("-inf")
"""When a contact was shown that never was."""

ELSEWHERE = frozenset({reasons.STALE, reasons.NETWORK, reasons.VERSION, reasons.STRATEGY, reasons.ROLE})
"""Reasons that a dial fails with which say that this is not the peer's address."""

UNFIT = ELSEWHERE - {reasons.STALE} | {reasons.MALFORMED, reasons.TOO_LARGE, reasons.FAULT}
"""Reasons that a link ends with which would end the next one too."""


class Remembered(Struct, eq=False, gc=False):
    """
    A contact that was heard of.

    @ivar failures: how often in a row it did not answer.
    @ivar notBefore: it is not dialled before then.
    @ivar met: there was a link to it.
    @ivar shown: when a seed listed it or a link showed it last.
    @ivar told: when that happened elsewhere, by what others say.
    """

    contact: Contact
    failures: int = 0
    notBefore: float = 0.0
    met: bool = False
    shown: float = HEARSAY
    told: float = HEARSAY

    @property
    def latest(self) -> float:
        """When it was last seen, here or elsewhere."""
        return max(self.shown, self.told)

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

    def __init__(self, limit: int, random: Random, safe: int | None = None, buried: int | None = None) -> None:
        """
        @param safe: of those that there was a link to, so many are safe from being replaced by others that there was
            none to, the latest; C{None} for all.
        @param buried: so many contacts that are known to be dead are remembered; C{None} for C{limit}.
        """
        self._limit = limit
        self._safe = limit if safe is None else safe
        self._buried = limit if buried is None else buried
        self._random = random
        self._entries: dict[bytes, Remembered] = {}
        self._order: list[bytes] = []
        self._at: dict[str, bytes] = {}
        # Those that are known to be dead, by identity, and since when; the longest first.
        self._dead: dict[bytes, tuple[Contact, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> Iterable[tuple[bytes, Remembered]]:
        """Everyone by id."""
        return self._entries.items()

    def __contains__(self, id: bytes) -> bool:
        return id in self._entries

    def add(
        self, contact: Contact, shown: float = HEARSAY, told: float = HEARSAY, rather: list[bytes] | None = None
    ) -> None:
        """
        Remember a contact.

        A later incarnation replaces an earlier one, and any other one replaces
        one that fails, for what failed may have been invented.  But hearsay
        takes the place of nobody that was met and does not fail, nor moves anybody under the same identity.

        @param shown: when a seed or a link showed it; else it is hearsay.
        @param told: when that was elsewhere, by what others say.
        @param rather: ids, any of which may be forgotten first if there is no room; those are taken off this list.
        """
        id = contact.id
        hearsay = shown == HEARSAY
        if not contact.address:
            return
        died = self._dead.get(contact.identity)
        if died is not None and died[0] == contact:
            if shown - died[1] < DOUBT:
                return
            del self._dead[contact.identity]
        entry = self._entries.get(id)
        if entry is not None and entry.contact == contact:
            entry.shown = max(entry.shown, shown)
            entry.told = max(entry.told, told)
            return
        kept = entry if entry is not None and not entry.failures else None
        if kept is not None and (
            kept.contact.identity > contact.identity
            or (hearsay and (kept.met or kept.contact.identity == contact.identity))
        ):
            return
        other = self._entries.get(self._at.get(contact.address, b""))
        if other is not None and other is not entry:
            if other.met and not other.failures:
                return
            self.forget(other.contact.id)
        if entry is not None:
            self.forget(id)
        elif len(self._entries) >= self._limit:
            least = self._least(rather)
            if hearsay and least.met and not least.failures:
                return
            self.forget(least.contact.id)
        # Whoever is at an address that is to be left alone, it is left alone.
        notBefore = other.notBefore if other is not None and other is not entry else 0.0
        self._entries[id] = Remembered(contact, shown=shown, told=told, notBefore=notBefore)
        self._order.append(id)
        self._at[contact.address] = id

    def forget(self, id: bytes) -> None:
        """Drop an id."""
        entry = self._entries.pop(id, None)
        if entry is not None:
            self._order.remove(id)
            del self._at[entry.contact.address]

    def dead(self, contact: Contact, now: float) -> None:
        """
        Drop a contact, and do not take it again, unless a seed or it itself shows later that it lives.

        That nobody is at one address says nothing of another one, under whatever name.
        """
        entry = self._entries.get(contact.id)
        if entry is not None and (
            entry.contact.address == contact.address and entry.contact.identity <= contact.identity
        ):
            self.forget(contact.id)
        self._dead.pop(contact.identity, None)
        self._dead[contact.identity] = (contact, now)
        if len(self._dead) > self._buried:
            del self._dead[next(iter(self._dead))]

    def isDead(self, contact: Contact) -> bool:
        """That contact was found dead, and nothing has shown since that it lives."""
        died = self._dead.get(contact.identity)
        return died is not None and died[0] == contact

    def wasShown(self, contact: Contact) -> bool:
        """A seed or a link has shown that very contact; what is known of it is not only hearsay."""
        entry = self._entries.get(contact.id)
        return entry is not None and entry.contact == contact and entry.shown != HEARSAY

    def lives(self, contact: Contact, now: float) -> None:
        """A fresh connection was answered: whatever was said, it lives."""
        self._dead.pop(contact.identity, None)
        self.add(contact, now)

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
            safe = [known for known in self._entries.values() if known.met]
            if len(safe) > self._safe:
                min(safe, key=lambda known: known.shown).met = False

    def linked(self, contact: Contact) -> None:
        """A link to it came up, and for that long it is remembered elsewhere."""
        self._dead.pop(contact.identity, None)
        self.forget(self._at.get(contact.address, b""))
        self.forget(contact.id)

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

    # Private.

    def _least(self, rather: list[bytes] | None) -> Remembered:
        """Who is forgotten for want of room."""
        while rather:
            entry = self._entries.get(rather.pop())
            if entry is not None and not entry.met:
                return entry
        drawn = [self._entries[self._order[self._random.randrange(len(self._order))]] for _ in range(DRAWN)]
        return min(drawn, key=lambda entry: entry.worth)
