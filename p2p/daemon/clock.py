"""
A clock that nobody sets.

Twisted's reactors take the time of their timers from the machine's wall clock: if that is set back by an hour, no timer
comes for an hour, neither a ping nor the end of a lease.  What a daemon needs of the wall clock is a time that means
something to others, and that it needs once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def _elapsed() -> float:
    """Seconds since the machine was started, with those in which it slept where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def steady(
    reactor: Any, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = _elapsed
) -> None:
    """
    Let a reactor's C{seconds}, and with it its timers, go on evenly from the present wall clock, whatever happens to
    that later.
    """
    begun = wall() - elapsed()
    reactor.seconds = lambda: begun + elapsed()
