"""
What happens in a node, told to whoever listens: the HTTP interface, the log file, an embedding program, a scenario.

An event is a dictionary with at least C{type} and C{time} (seconds of the
node's clock).  A listener that raises is logged and stays: it must not be able
to disturb the node or the other listeners.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

Event = dict[str, Any]
Listener = Callable[[Event], object]


class Events:
    """
    A point to subscribe to and to publish at.

    @ivar listeners: who is told.  Empty means that an event need not even be
        made: callers on a message's path look here first.
    """

    _log = Logger()

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """
        Call C{listener} with every event from now on.

        @return: call this to end it; a second call does nothing.
        """
        entry: list[Listener] = [listener]
        self.listeners = (*self.listeners, listener)

        def unsubscribe() -> None:
            while entry:
                gone = entry.pop()
                rest = list(self.listeners)
                rest.remove(gone)
                self.listeners = tuple(rest)

        return unsubscribe

    def emit(self, type: str, **fields: Any) -> None:
        """Tell every listener that something happened now."""
        if not self.listeners:
            return
        event: Event = {"type": type, "time": self._seconds(), **fields}
        for listener in self.listeners:
            try:
                listener(event)
            except Exception:
                self._log.failure("a listener failed on {type}", type=type)
