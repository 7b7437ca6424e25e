"""
Whom a seed is about to ask whether they live, and in which order.  Pure: it is told the time.

There is one check of a contact at a time, however many ask for it, and at most
C{slots} are under way.  Who waits, waits in one of three queues (L{Rank}):
whoever floods the seed with addresses, or with doubts of its own, must not
delay the check of a peer that was there and died.  So the first queue goes
before the others, and these have half of the slots at most.

A check that ends may not be over:

 - a doubt that came up while it was under way is not settled by an answer
   that may have been given before: whoever answered is asked once more;
 - where this seed itself could not even try (it had no descriptor, say), it
   has learnt nothing, and tries a doubted peer again after a pause.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, IntEnum

import attrs

from p2p.wire.messages import Contact
from p2p.wire.probe import Verdict

MAX_WAITING = 10_000
"""Checks that may wait in each queue; what comes beyond them is left to the leases."""

MAX_TRIES = 6
"""How often a doubted peer is tried before it is left to its lease, where the trying itself fails."""


class Rank(IntEnum):
    """How urgent a check is; the lowest goes first."""

    LOST = 0
    """Something speaks against a peer that this seed has reached before."""

    DOUBTED = 1
    """Something speaks against a peer that it has not."""

    NEW = 2
    """An address that nothing speaks against."""


class Next(Enum):
    """What comes after a check that ended."""

    OVER = "over"
    AGAIN = "again"
    LATER = "later"


@attrs.define(eq=False)
class Check:
    """
    A peer that is to be asked whether it lives.

    @ivar why: what raised the question, for the log.
    @ivar rank: the queue that it waits in, or is to wait in next.
    @ivar reporters: the ids of those who called it dead, in that order.
    @ivar slot: under way, as one of that rank; C{None} while it is not.
    @ivar begun: when it began last.
    @ivar again: doubt came up after that.
    @ivar tries: how often it could not even be tried.
    """

    contact: Contact
    why: str
    rank: Rank
    reporters: dict[bytes, None] = attrs.field(factory=dict)
    slot: Rank | None = None
    begun: float = 0.0
    again: bool = False
    tries: int = 0

    @property
    def doubted(self) -> bool:
        """Somebody or something says that it is dead, and its silence would prove it; else this is but an address."""
        return self.rank is not Rank.NEW


class Checks:
    """The checks of a seed, waiting and under way."""

    def __init__(self, slots: int) -> None:
        """
        @param slots: checks under way at a time.
        """
        self._slots = slots
        self._all: dict[Contact, Check] = {}
        self._queues: tuple[OrderedDict[Contact, Check], ...] = tuple(OrderedDict() for _ in Rank)
        self._running = dict.fromkeys(Rank, 0)

    def __len__(self) -> int:
        """All there are, those that rest before another try included."""
        return len(self._all)

    @property
    def waiting(self) -> int:
        """Those that could begin, had they a slot."""
        return sum(map(len, self._queues))

    @property
    def running(self) -> int:
        """Those that are under way."""
        return sum(self._running.values())

    def get(self, contact: Contact) -> Check | None:
        """The check of that contact, if there is one."""
        return self._all.get(contact)

    def add(self, contact: Contact, why: str, rank: Rank, now: float) -> Check | None:
        """
        A peer is to be asked, or there is one more reason to.

        @return: C{None} if too many wait already.
        """
        check = self._all.get(contact)
        if check is None:
            if len(self._queues[rank]) >= MAX_WAITING:
                return None
            check = self._all[contact] = self._queues[rank][contact] = Check(contact, why, rank)
        elif rank is not Rank.NEW:
            check.why = why
            check.again = check.slot is not None and (check.again or now > check.begun)
            if rank < check.rank:
                waited = self._queues[check.rank].pop(contact, None)
                check.rank = rank
                if waited is not None:
                    self._queues[rank][contact] = check
        return check

    def begin(self, now: float) -> Check | None:
        """The next check, if one waits and may be under way now."""
        free = self._slots - self.running
        half = max(1, self._slots // 2) - self.running + self._running[Rank.LOST]
        for rank, queue in zip(Rank, self._queues, strict=True):
            if queue and (free if rank is Rank.LOST else min(free, half)) > 0:
                _, check = queue.popitem(last=False)
                self._running[rank] += 1
                check.slot, check.begun = rank, now
                return check
        return None

    def end(self, check: Check, verdict: Verdict | None) -> Next:
        """
        A check is no longer under way.

        @param verdict: C{None} if what was asked is no longer the question.
        @return: whether that was all: L{Next.AGAIN} if it waits once more;
            L{Next.LATER} if it is to be L{resume}d after a pause.
        """
        if check.slot is not None:
            self._running[check.slot] -= 1
            check.slot = None
        if verdict is Verdict.ALIVE and check.again:
            self.resume(check)
            return Next.AGAIN
        if verdict is Verdict.UNSURE and check.doubted:
            check.tries += 1
            if check.tries < MAX_TRIES:
                return Next.LATER
        self.forget(check.contact)
        return Next.OVER

    def resume(self, check: Check) -> None:
        """A check that is not over waits for its turn again."""
        check.again = False
        self._queues[check.rank][check.contact] = check

    def forget(self, contact: Contact) -> Check | None:
        """
        What is not under way need not be asked any more.

        @return: the check that is now over, if there is one.
        """
        check = self._all.get(contact)
        if check is None or check.slot is not None:
            return None
        del self._all[contact]
        self._queues[check.rank].pop(contact, None)
        return check
