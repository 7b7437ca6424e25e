"""
Ctrl-C during a run, wherever it comes.

Python raises C{KeyboardInterrupt} at whatever is being done.  In a run that is
often a callback of a Deferred, which takes every exception for the callback's
failure, this one too: then the run would go on, with an error that nobody made.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """
    See to it that an interruption that somebody has swallowed is raised again.

    Does nothing in other threads than the main one, or where a program has its
    own way to handle SIGINT.

    @return: a context manager; its value raises C{KeyboardInterrupt} if one
        came, and is to be called now and then from where nobody swallows it.
    """
    came = False

    def note(number: int, frame: object) -> None:
        nonlocal came
        came = True
        raise KeyboardInterrupt

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
