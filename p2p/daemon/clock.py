"""
A clock that is never set back.

Twisted's reactors take the time of their timers from the machine's wall clock: if that is set back by an hour, no timer
comes for an hour, neither a ping nor the end of a lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def steady(
    reactor: Any, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = time.monotonic
) -> None:
    """
    Let a reactor's C{seconds}, and with it its timers, follow the wall clock forward only.

    Where that is set back, C{seconds} goes on as before, ahead of it.
    """
    begun = wall() - elapsed()

    def seconds() -> float:
        nonlocal begun
        # In this order: if the process is stopped in between, it must not be ahead for that.
        now = wall()
        passed = elapsed()
        if now - passed > begun:
            begun = now - passed
        return begun + passed

    reactor.seconds = seconds
