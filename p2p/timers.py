"""
A node's periodic jobs: started in one place, staggered, and not stopped by an error.

Twisted's C{LoopingCall} does more, a Deferred for each call among it, and stops
for good when its body raises.  A peer has half a dozen jobs, each of which does
next to nothing each second; so here is only what they need.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.logger import Logger


class _Job:
    """
    Something to do again and again.

    @ivar began: when it was done for the first time; C{None} before that.
    @ivar waiting: its place on the reactor's list; C{None} while it is done.
    """

    __slots__ = ("_body", "_interval", "_name", "_reactor", "began", "stopped", "waiting")

    _log = Logger()

    def __init__(self, reactor: Any, name: str, interval: float, body: Callable[[], object]) -> None:
        self._reactor = reactor
        self._name = name
        self._interval = interval
        self._body = body
        self.began: float | None = None
        self.stopped = False
        self.waiting: Any = None

    def __call__(self) -> None:
        """Do it, and once more a whole number of intervals after the first time."""
        self.waiting = None
        if self.began is None:
            self.began = self._reactor.seconds()
        try:
            self._body()
        except Exception:
            self._log.failure("the periodic job {job} failed", job=self._name)
        if not self.stopped:
            now = self._reactor.seconds()
            left = self._interval - (now - self.began) % self._interval
            # What is too little to be added to the time is a whole interval.
            self.waiting = self._reactor.callLater(left if now + left > now else self._interval, self)

    def stop(self) -> None:
        """Never again."""
        self.stopped = True
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None


class Timers:
    """
    The periodic jobs of one node.

    Each starts at a random moment within its first interval, so that a
    thousand nodes started together do not all speak at once.
    """

    def __init__(self, reactor: Any, random: Random) -> None:
        self._reactor = reactor
        self._random = random
        self._jobs: dict[str, _Job] = {}

    def start(self, name: str, interval: float, body: Callable[[], object]) -> None:
        """
        Call C{body} every C{interval} seconds until it is stopped; a job of that name ends.

        A call that raises is logged and the next comes as usual; so does the
        next one after a time in which this process slept, but only that one.
        """
        self.stop(name)
        self._jobs[name] = job = _Job(self._reactor, name, interval, body)
        job.waiting = self._reactor.callLater(self._random.uniform(0, interval), job)

    def stop(self, name: str) -> None:
        """End one job; one that is not running is passed over."""
        job = self._jobs.pop(name, None)
        if job is not None:
            job.stop()

    def stopAll(self) -> None:
        """End every job."""
        for name in list(self._jobs):
            self.stop(name)
