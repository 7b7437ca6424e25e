"""
A node's timers: periodic jobs and single calls, started in one place, staggered, and not stopped by an error.

Periodic jobs are Twisted's L{LoopingCall}s, as everybody who reads this knows
them.  A loop of our own would save a Deferred a call, which a large simulation
would notice, and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

LATE = 0.5
"""A timer that comes later than this share of what it was to wait means that this process slept, or had no time."""


def slept(due: float, now: float, wait: float) -> bool:
    """
    Did this process sleep, or have no time?  Then what others did not say meanwhile is not their silence.

    @param due: when a timer should have come that comes now.
    @param wait: for how many seconds it was set, or how often it comes.
    """
    return now - due > LATE * wait


class Timers:
    """
    The L{LoopingCall}s of one node.

    Each starts at a random moment within its first interval, so that a
    thousand nodes started together do not all speak at once.
    """

    _log = Logger()

    def __init__(self, reactor: Any, random: Random) -> None:
        self._reactor = reactor
        self._random = random
        self._loops: dict[str, LoopingCall] = {}
        self._waiting: dict[str, Any] = {}
        self._once: dict[_Once, None] = {}
        self._over = False

    def later(self, delay: float, job: Callable[[], object]) -> _Once:
        """
        Call C{job} once, in C{delay} seconds; one that raises is logged.

        Whoever asks for it after C{stopAll} is not called.

        @return: an object whose C{cancel()} calls it off; called too late or twice, it does nothing.
        """
        once = _Once(self, job)
        if not self._over:
            once.call = self._reactor.callLater(delay, once.due)
            self._once[once] = None
        return once

    def start(self, name: str, interval: float, job: Callable[[], object]) -> None:
        """
        Call C{job} every C{interval} seconds until it is stopped; a job of that name ends.

        A call that raises is logged and the next comes as usual.
        """
        self.stop(name)
        self._loops[name] = loop = LoopingCall(self._safely, name, job)
        loop.clock = self._reactor
        self._waiting[name] = self._reactor.callLater(self._random.uniform(0, interval), self._begin, name, interval)

    def stop(self, name: str) -> None:
        """End one job; one that is not running is passed over."""
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting.cancel()
        loop = self._loops.pop(name, None)
        if loop is not None and loop.running:
            loop.stop()

    def stopAll(self) -> None:
        """End every job; what is asked for on the way out comes too late, until C{reopen}."""
        self._over = True
        for name in list(self._loops):
            self.stop(name)
        for once in list(self._once):
            once.cancel()

    def reopen(self) -> None:
        """The node is started again."""
        self._over = False

    # Private.  Methods, for a hundred thousand simulated peers have five jobs each.

    def _begin(self, name: str, interval: float) -> None:
        """The moment of a job's first call has come."""
        del self._waiting[name]
        self._loops[name].start(interval)

    def _safely(self, name: str, job: Callable[[], object]) -> None:
        """Do it, whatever comes of it."""
        try:
            job()
        except Exception:
            self._log.failure("the periodic job {job} failed", job=name)


class _Once:
    """
    What is to be called once.

    @ivar call: the reactor's own record of it; C{None} when it is over.
    """

    __slots__ = ("_job", "_timers", "call")

    def __init__(self, timers: Timers, job: Callable[[], object]) -> None:
        self._timers = timers
        self._job = job
        self.call: Any = None

    def cancel(self) -> None:
        """Call it off, if it has not been called yet."""
        call, self.call = self.call, None
        if call is not None:
            del self._timers._once[self]
            call.cancel()

    def due(self) -> None:
        """It is time."""
        self.call = None
        del self._timers._once[self]
        try:
            self._job()
        except Exception:
            self._timers._log.failure("a timed call failed")
