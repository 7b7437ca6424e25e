"""
What happens in a node, told to whoever listens: the HTTP interface, the log file, an embedding program, a scenario.

An event is a dictionary with at least C{type} and C{time} (seconds of the
node's clock).  A listener that raises is logged and stays: it must not be able
to disturb the node or the other listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.logger import Logger

SEED_EVENTS = frozenset({"registered", "removed"})
"""The types of a seed's events."""

PEER_EVENTS = frozenset({
    "registered", "neighbourUp", "neighbourDown", "delivered", "suspected", "trusted", "dead", "reportedDead",
    "refuted", "unreachable", "lost",
})  # fmt: skip
"""The types of a peer's events."""

Event = dict[str, Any]
Listener = Callable[[Event], object]


class Events:
    """
    A point to subscribe to and to publish at.

    @ivar types: what types there may be; a program that emits others adds them.
    @ivar listeners: who is told.
    @ivar messageListeners: those of them who are told of C{delivered} too.
        Empty means that the event need not even be made: callers on a
        message's path look here first.
    """

    _log = Logger()

    def __init__(self, seconds: Callable[[], float], types: Iterable[str] = ()) -> None:
        self._seconds = seconds
        self.types = set(types)
        self.listeners: tuple[Listener, ...] = ()
        self.messageListeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener, messages: bool = True) -> Callable[[], None]:
        """
        Call C{listener} with every event from now on.

        @param messages: false for one who does not want to hear of each
            message, C{delivered}.
        @return: call this to end it; a second call does nothing.
        """
        ends = [enlist(self, "listeners", listener)]
        if messages:
            ends.append(enlist(self, "messageListeners", listener))

        def unsubscribe() -> None:
            for end in ends:
                end()

        return unsubscribe

    def emit(self, type: str, **fields: Any) -> None:
        """Tell every listener that something happened now."""
        listeners = self.messageListeners if type == "delivered" else self.listeners
        if not listeners:
            return
        event: Event = {"type": type, "time": self._seconds(), **fields}
        for listener in listeners:
            try:
                listener(event)
            except Exception:
                self._log.failure("a listener failed on {type}", type=type)


def enlist(owner: object, name: str, listener: object) -> Callable[[], None]:
    """
    Put a listener on the list that an attribute of C{owner} holds.

    The list is a tuple that is replaced, never changed: whoever walks it may
    be called back by those on it.

    @return: call this to take it off again; a second call does nothing.
    """
    setattr(owner, name, (*getattr(owner, name), listener))
    entry = [listener]

    def end() -> None:
        while entry:
            rest = list(getattr(owner, name))
            rest.remove(entry.pop())
            setattr(owner, name, tuple(rest))

    return end
