"""
Which peers are active.  Pure: it is told the time.

A registration is a lease.  Who does not renew within L{LEASES} intervals is
gone without anybody's report.  Whoever is removed leaves a I{tombstone}, the
identity that is gone: it cannot come back under that incarnation, only under a
later one, so that what was said of an earlier life never touches the present
one.  Tombstones are forgotten after as long as a lease lasts.

A seed that was itself asleep must not take that for its peers' silence: time
that passes between two calls of L{Registry.expire} beyond an interval is
added to every lease.  And a clock that is set back does not make leases longer:
what would have been seen in the future was seen now.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from enum import Enum
from random import Random

import attrs

from p2p.wire.messages import Contact

LEASES = 3
"""Intervals without renewal after which a peer is gone."""

RETURN = 15.0
"""
Seconds in which nobody is gone after a restart, however short the leases are.

A peer dials a seed that did not answer again after 8 seconds at most, and may
just have begun to, which takes it some seconds more.
"""


@attrs.define(eq=False)
class Entry:
    """
    An active peer.

    @ivar since: when it was first registered in this incarnation.
    @ivar lastSeen: when it last renewed.
    @ivar reachable: whether this seed could dial it; C{None} while untried.
        Who cannot be dialled is not handed out.
    @ivar given: it was given by L{Registry.takeChanges}, so that its removal must be too.
    """

    contact: Contact
    since: float
    lastSeen: float
    reachable: bool | None = None
    given: bool = False

    @property
    def id(self) -> bytes:
        """The peer's id."""
        return self.contact.id


class Answer(Enum):
    """What came of a registration."""

    NEW = "new"
    CHANGED = "changed"
    RENEWED = "renewed"
    STALE = "stale"
    FULL = "full"


class Registry:
    """
    The list of active peers.

    @ivar changed: ids whose entries are new or different since L{takeChanges}.
    """

    def __init__(self, leaseInterval: float, maxPeers: int, random: Random) -> None:
        self._lease = leaseInterval
        self._maxPeers = maxPeers
        self._random = random
        # By the time of their last renewal, the longest silent first.
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._byAddress: dict[str, bytes] = {}
        # Those that are handed out, in any order; a list, to draw from.
        self._offered: list[Contact] = []
        self._place: dict[bytes, int] = {}
        self._tombstones: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        # In the order in which it came about, as a simulated run must be the same whatever Python's hashes are.
        self._changed: dict[bytes, None] = {}
        self._removed: dict[bytes, None] = {}
        self._expired: float | None = None
        # Before that nobody is gone.
        self._until = float("-inf")
        # The latest time that stands anywhere in here.
        self._latest = float("-inf")

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, id: bytes) -> Entry | None:
        """The entry of a peer, if it is active."""
        return self._entries.get(id)

    def at(self, address: str) -> Entry | None:
        """The active peer that registered last at that address."""
        id = self._byAddress.get(address)
        return self._entries.get(id) if id is not None else None

    def latest(self, id: bytes) -> bytes | None:
        """The latest identity of that id, alive or buried, that is known here."""
        entry = self._entries.get(id)
        buried = self._tombstones.get(id, (b"", 0.0))[0]
        return max(entry.contact.identity if entry is not None else b"", buried) or None

    def register(self, contact: Contact, now: float) -> Answer:
        """
        A peer says that it is active.

        An earlier incarnation than is known, or one that was removed, is
        L{Answer.STALE}; the list is then as before.
        """
        id = contact.id
        entry = self._entries.get(id)
        buried = self._tombstones.get(id)
        if buried is not None and contact.identity <= buried[0]:
            return Answer.STALE
        if entry is None:
            if len(self._entries) >= self._maxPeers:
                return Answer.FULL
            self.add(Entry(contact, now, now))
            return Answer.NEW
        if contact.identity < entry.contact.identity:
            return Answer.STALE
        self._entries.move_to_end(id)
        entry.lastSeen = now
        self._latest = max(self._latest, now)
        if contact == entry.contact:
            return Answer.RENEWED
        self._withdraw(entry)
        if contact.identity != entry.contact.identity:
            entry.since = now
        entry.contact = contact
        entry.reachable = None
        self._offer(entry)
        self._changed[id] = None
        return Answer.CHANGED

    def add(self, entry: Entry) -> None:
        """Put an entry on the list, as it is; it takes the place of one of that id."""
        earlier = self._entries.pop(entry.id, None)
        if earlier is not None:
            self._withdraw(earlier)
            entry.given = earlier.given
        if entry.id in self._removed:
            del self._removed[entry.id]
            entry.given = True
        self._entries[entry.id] = entry
        self._latest = max(self._latest, entry.lastSeen)
        self._offer(entry)
        self._changed[entry.id] = None

    def resume(self, entries: Iterable[Entry], now: float) -> None:
        """Take up the list from before a restart: time in which nobody could renew is not the peers' silence."""
        for entry in entries:
            entry.lastSeen = now
            self.add(entry)
        if self._entries:
            self._until = now + RETURN

    def reached(self, entry: Entry, reachable: bool) -> None:
        """Whether this seed could dial that peer."""
        if entry.reachable is not reachable:
            self._withdraw(entry)
            entry.reachable = reachable
            self._offer(entry)
            self._changed[entry.id] = None

    def remove(self, id: bytes, now: float) -> Entry | None:
        """Take a peer off the list and bury its identity."""
        entry = self._entries.pop(id, None)
        if entry is not None:
            self._withdraw(entry)
            self._changed.pop(id, None)
            if entry.given:
                # Else nobody knows of it, and where nothing is kept this must not grow.
                self._removed[id] = None
            self._tombstones[id] = (entry.contact.identity, now)
            self._latest = max(self._latest, now)
            self._tombstones.move_to_end(id)
            while len(self._tombstones) > self._maxPeers:
                self._tombstones.popitem(last=False)
        return entry

    def expire(self, now: float) -> list[Entry]:
        """
        Remove and return those whose lease ran out.

        Call it several times an interval: a longer pause is taken for this
        seed's own sleep, and every lease is extended by it.
        """
        lasting = LEASES * self._lease
        if self._latest > now:
            self._setBack(now)
        if self._expired is not None:
            slept = now - self._expired - self._lease
            if slept > 0:
                self._until += slept
                for entry in self._entries.values():
                    entry.lastSeen = min(now, entry.lastSeen + slept)
        self._expired = now
        gone: list[Entry] = []
        if now < self._until:
            return gone
        while self._entries:
            entry = next(iter(self._entries.values()))
            if now - entry.lastSeen <= lasting:
                break
            self.remove(entry.id, now)
            gone.append(entry)
        while self._tombstones:
            _, buried = next(iter(self._tombstones.values()))
            if now - buried <= lasting:
                break
            self._tombstones.popitem(last=False)
        return gone

    def sample(self, count: int, exclude: bytes) -> list[Contact]:
        """
        Contacts to hand out: all but that id while they are no more than C{count}, else that many at random.
        """
        offered = self._offered
        if not count:
            return []
        if len(offered) - (exclude in self._place) <= count:
            return [contact for contact in offered if contact.id != exclude]
        drawn = self._random.sample(offered, count + 1)
        return [contact for contact in drawn if contact.id != exclude][:count]

    def takeChanges(self) -> tuple[list[Entry], list[bytes]]:
        """What is new or different, and whose entries are gone, since this was last called."""
        changed = [self._entries[id] for id in self._changed]
        for entry in changed:
            entry.given = True
        removed = list(self._removed)
        self._changed.clear()
        self._removed.clear()
        return changed, removed

    def returnChanges(self, changed: Iterable[Entry], removed: Iterable[bytes]) -> None:
        """What L{takeChanges} gave could not be kept: it is to be given again."""
        self._changed.update({entry.id: None for entry in changed if entry.id in self._entries})
        self._removed.update({id: None for id in removed if id not in self._entries})

    # Private.

    def _setBack(self, now: float) -> None:
        """The clock was set back: nothing was in the future."""
        self._latest = now
        self._until = min(self._until, now + RETURN)
        for entry in self._entries.values():
            entry.lastSeen = min(now, entry.lastSeen)
        for id, (identity, buried) in self._tombstones.items():
            self._tombstones[id] = (identity, min(now, buried))

    # The two indexes that follow an entry.

    def _offer(self, entry: Entry) -> None:
        self._byAddress[entry.contact.address] = entry.id
        if entry.reachable is not False:
            self._place[entry.id] = len(self._offered)
            self._offered.append(entry.contact)

    def _withdraw(self, entry: Entry) -> None:
        if self._byAddress.get(entry.contact.address) == entry.id:
            del self._byAddress[entry.contact.address]
        place = self._place.pop(entry.id, None)
        if place is not None:
            last = self._offered.pop()
            if place < len(self._offered):
                self._offered[place] = last
                self._place[last.id] = place
