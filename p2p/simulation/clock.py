"""
Virtual time: a wheel of moments, and the timers an application sets on it.

A simulated network spends its life taking the earliest event from a queue and putting new ones on it, so the shape
of that queue decides how fast everything is.

 1. **An event is a plain tuple** ``(when, number, target, data)``. With bytes for data it is a delivery, and
    ``target.reader.dataReceived(data)`` is called; with L{None} it is a call, ``target()``. No object is made for an
    event, and no Python frame stands between the loop and the protocol.
 2. **The queue is a wheel** of lists, one for each slot of a millisecond or ten that has events, and a heap of these
    slots. A new event is appended to its list; the list is sorted once, when its slot comes. The order is exactly that
    of one sorted list (first the time, then the number, which counts insertions), only cheaper, and the more so the
    more events wait.
 3. **An event for the slot that is under way** is put at its place in the rest of that list, which the loop is
    walking.
 4. **The loop is left by an exception** that an event raises (the end of the run is such an event), so it tests
    nothing at each step, and can be taken up where it was left.

Within one list the events stand in the order of their numbers until it is sorted, which is how L{Clock.amend} finds
an event again in O(log n).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from p2p.simulation.reactor import SimulatedReactor

Event = tuple[float, int, Any, "bytes | None"]

FINE = 1000.0
"""Lists of the wheel for each second, for a network of thousands of hosts: shorter lists stay in the caches."""

COARSE = 100.0
"""The same for one of some hundreds: fewer lists are taken up. It is quicker by a tenth, and changes nothing else."""

ROUNDS = 1_000_000
"""So many events of one moment, each put on the queue by the one before, and time will never go on."""

STALE = 1024
"""So many timers that wait for nothing are left on the wheel at any rate."""

_NEVER = 1 << 62
"""The slot of what is to happen at infinity."""

_LAST = 1 << 62
"""The number of the event that ends a run: higher than that of every other event of that moment."""

_numberOf = itemgetter(1)

_NO_KEYWORDS: dict[str, object] = {}
"""One for all timers that have none."""


LOGGED = (Exception, SystemExit)
"""
What a reactor logs, and goes on, when a program raises it: in reality also what was to end it. What interrupts whoever
runs the simulation passes.
"""


def nameOf(function: object) -> str:
    """
    What a function is called; of one that has no name of its own, where it is written.
    """
    name: str = getattr(function, "__qualname__", repr(function))
    code = getattr(function, "__code__", None)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code and name.endswith("<lambda>") else name


class SimulationError(Exception):
    """
    What ends a simulation at once: wherever the network calls an application, it passes, and is not logged as a failure
    of that. (What catches all exceptions, such as a Deferred, catches it too.)
    """


class _EndOfRun(Exception):
    """
    Raised by the event at the end of a run, to leave the loop.
    """


class Clock:
    """
    The queue of events and the loop that works it off.

    @ivar now: The virtual time, in seconds since the network began.
    @ivar number: How many events have been put on the queue.
    @ivar slotsPerSecond: How wide a slot is.
    @ivar buckets: Waiting events by slot, in the order of their numbers. Transports append to these lists themselves
        (see L{p2p.simulation.tcp.Connection.write}), which saves a call for each segment.
    """

    __slots__ = (
        "_due", "_interruptions", "_left", "_record", "_roundEnds", "_rounds", "_roundsAt", "_slots", "_stale",
        "_sweepAt", "buckets", "now", "number", "slot", "slotsPerSecond",
    )  # fmt: skip

    def __init__(self, record: Callable[[list[Event]], None], slotsPerSecond: float = FINE) -> None:
        """
        @param record: Told of every event once it has happened, in blocks of up to a slot, in order.
        """
        self.slotsPerSecond = slotsPerSecond
        self.now = 0.0
        self.number = 0
        self.buckets: dict[int, list[Event]] = {}
        self.slot = -1
        self._slots: list[int] = []
        self._due: list[Event] = []
        self._left: Iterator[Event] = iter(self._due)
        self._record = record
        self._interruptions: list[tuple[float, int, SimulationError]] = []
        self._stale = 0
        self._sweepAt = STALE
        self._roundsAt = -1.0
        self._rounds = self._roundEnds = 0

    def at(self, when: float, target: Any, data: bytes | None = None) -> None:
        """
        Put an event on the queue.

        @param when: Virtual seconds, not before L{now}.
        @param target: For an event without data, what to call; otherwise an object whose C{reader} gets the data.
        """
        self.number = number = self.number + 1
        try:
            slot = int(when * self.slotsPerSecond)
        except OverflowError:
            slot = _NEVER
        try:
            self.buckets[slot].append((when, number, target, data))
        except KeyError:
            self.place(slot, (when, number, target, data))

    def place(self, slot: int, event: Event) -> None:
        """
        Put an event on the queue whose slot has no list yet: it begins one, or joins those that are under way.
        """
        if slot > self.slot:
            self.buckets[slot] = [event]
            heappush(self._slots, slot)
        else:
            done = self._squeeze(event)
            if event[0] == self.now and done:
                self._countRounds(event, self._due[done - 1])

    def _squeeze(self, event: Event) -> int:
        """
        Put an event at its place in the slot that is under way.

        @return: How many events of that slot have begun to happen.
        """
        done: int = len(self._due) - self._left.__length_hint__()  # type: ignore[attr-defined]
        insort(self._due, event, done)
        return done

    def _countRounds(self, event: Event, by: Event) -> None:
        """
        Count how often what happens at one moment has led to more at the same moment, and end the run if that never
        ends, as with a program that waits for a later time by C{callLater(0)}.

        @param by: The event that puts the other on the queue.
        """
        if self._roundsAt != self.now:
            self._roundsAt = self.now
            self._rounds, self._roundEnds = 0, event[1]
        elif by[1] >= self._roundEnds:
            self._rounds += 1
            self._roundEnds = event[1]
            if self._rounds == ROUNDS:
                self._rounds = 0
                what = nameOf(getattr(event[2], "func", event[2]))
                problem = SimulationError(f"time stands still at {self.now}: {what} and its like go round for ever")
                self.interrupt(problem)

    def interrupt(self, problem: SimulationError) -> None:
        """
        Let the run end with an exception after the event that is under way.
        """

        def end() -> None:
            raise problem

        self.at(self.now, end)
        self._interruptions.append((self.now, self.number, problem))

    def interruptions(self) -> list[SimulationError]:
        """
        Take back the interruptions that did not come about, because the run has ended before.
        """
        noted, self._interruptions = self._interruptions, []
        return [problem for when, number, problem in noted if self.withdraw(when, number)]

    def amend(self, when: float, number: int, more: bytes, limit: int) -> bool:
        """
        Add bytes to a delivery that is still waiting.

        @param when: When that delivery is due.
        @param number: Its number.
        @param limit: A delivery that holds this many bytes already is left alone.

        @return: Whether it was done.
        """
        bucket, index = self._find(when, number)
        if index == len(bucket):
            return False
        found, itsNumber, target, data = bucket[index]
        if itsNumber != number or data is None or len(data) >= limit:
            return False
        bucket[index] = (found, number, target, data + more)
        return True

    def withdraw(self, when: float, number: int) -> bool:
        """
        Take back an event that is still waiting.

        @param when: When it is due.
        @param number: Its number.

        @return: Whether it was waiting.
        """
        bucket, index = self._find(when, number)
        if index == len(bucket) or bucket[index][1] != number:
            return False
        del bucket[index]
        return True

    def _find(self, when: float, number: int) -> tuple[list[Event], int]:
        """
        Where an event is, if it is waiting: a list, and the index in it.
        """
        bucket = self.buckets.get(int(when * self.slotsPerSecond))
        if bucket is not None:
            return bucket, bisect_left(bucket, number, key=_numberOf)
        # Its slot is under way, and sorted; nothing that has happened is at or after this moment with this number.
        bucket = self._due
        done = len(bucket) - self._left.__length_hint__()  # type: ignore[attr-defined]
        return bucket, bisect_left(bucket, (when, number), done)

    def run(self, until: float) -> None:
        """
        Let time pass: do every event up to and including a moment, then return with L{now} at that moment.

        @param until: Virtual seconds, not before L{now}.

        @raise SimulationError: whatever event raised it; the rest of the queue is intact and can be run on.
        """
        last = int(until * self.slotsPerSecond)

        def end() -> None:
            raise _EndOfRun

        ending: Event = (until, _LAST, end, None)
        if last <= self.slot:
            self._squeeze(ending)
        try:
            while True:
                try:
                    for when, _, target, data in self._left:
                        self.now = when
                        if data is None:
                            target()
                        else:
                            target.reader.dataReceived(data)
                except (SimulationError, _EndOfRun):
                    raise
                except LOGGED:
                    failed = getattr(target, "failed", None)
                    if failed is None:
                        raise
                    failed(Failure())
                    continue
                self._turn(last, ending)
        except _EndOfRun:
            pass
        finally:
            self._rest(ending)

    def _turn(self, last: int, ending: Event) -> None:
        """
        Take up the next slot; at the last one of this run the event that ends it is put in its place.
        """
        happened, self._due = self._due, []
        self._left = iter(self._due)
        self._record(happened)
        slots = self._slots
        slot = slots[0] if slots and slots[0] < last else last
        if slots and slots[0] == slot:
            heappop(slots)
        due = self.buckets.pop(slot, [])
        due.sort()
        if slot == last:
            insort(due, ending)
        self.slot = slot
        self._due = due
        self._left = iter(due)

    def _rest(self, ending: Event) -> None:
        """
        Record what was done in the slot under way, and keep only the rest of it (without an end that was not reached).
        """
        done = len(self._due) - self._left.__length_hint__()  # type: ignore[attr-defined]
        happened = [event for event in self._due[:done] if event is not ending]
        self._due = [event for event in self._due[done:] if event is not ending]
        self._left = iter(self._due)
        self._record(happened)

    def waiting(self) -> Iterator[Event]:
        """
        Every event on the queue, in no particular order.
        """
        yield from self._due[len(self._due) - self._left.__length_hint__() :]  # type: ignore[attr-defined]
        for bucket in self.buckets.values():
            yield from bucket

    def becameStale(self, count: int = 1) -> None:
        """
        Count more events that wait for nothing, and sweep the wheel once these may be as many as the others.

        A cancelled timer stays where it is until its moment, which costs nothing; but connection time-outs of half a
        minute, set and cancelled a thousand times a second, would come to outweigh all else.
        """
        self._stale += count
        if self._stale > self._sweepAt:
            self._stale = 0
            for bucket in self.buckets.values():
                bucket[:] = [event for event in bucket if not _isStale(event)]
            self._sweepAt = max(STALE, sum(map(len, self.buckets.values())))


def _isStale(event: Event) -> bool:
    """
    Whether an event is a timer's that has been cancelled, or moved to be called sooner, or whose process is dead.
    """
    timer = event[2]
    return type(timer) is Timer and not (timer.active() and event[0] == timer._queued and timer.reactor.alive)


@implementer(IDelayedCall)
class Timer:
    """
    A call that an application asked for with C{callLater}.

    Cancelling or moving it later leaves the event on the queue as it is; when that event comes, the timer sees that
    nothing is due, or puts itself on the queue again. Moving it sooner adds a second event and disowns the first.

    @ivar time: When to call, in the network's virtual seconds.
    """

    __slots__ = ("__weakref__", "_queued", "args", "called", "cancelled", "func", "kw", "reactor", "time")

    def __init__(
        self,
        reactor: SimulatedReactor,
        time: float,
        func: Callable[..., object] | None,
        args: Iterable[object],
        kw: dict[str, object],
    ) -> None:
        self.reactor = reactor
        self.time = self._queued = time
        self.func = func
        self.args = args
        self.kw = kw or _NO_KEYWORDS
        self.called = 0
        self.cancelled = 0

    def __call__(self) -> None:
        """
        Make the call, if it is due: the event on the queue has come.
        """
        func = self.func
        reactor = self.reactor
        if func is None or not reactor.alive:
            return
        clock = reactor.clock
        now = clock.now
        held = reactor.host.held
        if held is not None:
            self._queued = now
            held.append(self)
        elif self._queued > now:
            return  # Disowned when the call was moved sooner.
        elif self.time > now:
            self._queued = self.time
            clock.at(self.time, self)
        else:
            self.called = 1
            args, kw = self.args, self.kw
            self.func = None
            self.args = ()
            func(*args, **kw)

    def failed(self, failure: Failure) -> None:
        """
        Log what the call raised, as a reactor does.
        """
        self.reactor.log.failure("while handling timed call on {address}", failure, address=self.reactor.host.address)

    def getTime(self) -> float:
        """
        When the call will be made, in the seconds of the host's own clock.
        """
        return self.reactor.host.wall.at(self.time)

    def cancel(self) -> None:
        """
        See L{IDelayedCall.cancel}.
        """
        self._check()
        self.cancelled = 1
        self.func = None
        self.args = ()
        self.reactor.clock.becameStale()

    def delay(self, secondsLater: float) -> None:
        """
        See L{IDelayedCall.delay}.
        """
        self._check()
        self.moveTo(self.reactor.host.wall.after(self.time, secondsLater))

    def reset(self, secondsFromNow: float) -> None:
        """
        See L{IDelayedCall.reset}.
        """
        self._check()
        self.moveTo(self.reactor.dueTime(secondsFromNow))

    def active(self) -> bool:
        """
        See L{IDelayedCall.active}.
        """
        return not (self.called or self.cancelled)

    def wasDue(self, when: float) -> bool:
        """
        Whether the event at a time that has just passed was the one to make the call, now or when a stopped process
        goes on.
        """
        return self.time == when and not self.cancelled and bool(self.called or self.reactor.alive)

    def _check(self) -> None:
        if self.cancelled:
            raise AlreadyCancelled
        if self.called:
            raise AlreadyCalled

    def moveTo(self, time: float) -> None:
        """
        Let the call be made at another time.

        @param time: Virtual seconds; one in the past stands for now.
        """
        clock = self.reactor.clock
        self.time = time = max(time, clock.now)
        if time < self._queued:
            self._queued = time
            clock.at(time, self)
            clock.becameStale()

    def __repr__(self) -> str:
        """
        Say when the call is due, and what is called.
        """
        state = "called" if self.called else "cancelled" if self.cancelled else repr(self.func)
        return f"<Timer at {self.time:.6f} {state}>"
