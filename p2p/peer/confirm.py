"""
Waiting until a message of one's own has been taken over by neighbours.

A link keeps its order.  So behind each copy of the message that is sent to a
neighbour goes a L{Sync}, whose answer says that everything before it has been
handled there: the message is kept there, and on its way to others.  That holds
for every broadcast, whether it sends a message at once or when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from p2p.peer.delivery import Delivery
from p2p.peer.errors import NotConfirmed
from p2p.wire.messages import Batch, Message, Sync


@attrs.frozen
class Confirmed:
    """
    A message that neighbours have taken over.

    @ivar id: the message's.
    @ivar neighbours: how many have said so.
    @ivar sent: to how many it was sent, while it was waited for.
    """

    id: str
    neighbours: int
    sent: int


@attrs.define(eq=False)
class _Wait:
    """
    A message that somebody waits for.

    @ivar asked: links on which a L{Sync} has not been answered, with its number.
    """

    id: str
    seconds: float
    done: Deferred[Confirmed]
    asked: dict[Any, int] = attrs.field(factory=dict)
    sent: int = 0
    confirmed: int = 0
    timer: Any = None


class Confirmations:
    """
    What is waited for.

    @ivar watching: somebody waits, or a message is being published for which somebody will: C{sent} is to be called.
    """

    def __init__(self, later: Callable[[float, Callable[[], object]], Any]) -> None:
        """
        @param later: calls something once, in so many seconds; gives an object with C{cancel()}.
        """
        self.watching = False
        self._later = later
        self._waits: dict[tuple[bytes, int], _Wait] = {}
        self._numbers: dict[int, _Wait] = {}
        self._number = 0
        self._publishing: list[tuple[Any, tuple[bytes, int]]] | None = None

    def publish(self, publish: Callable[[], Message], seconds: float) -> Deferred[Confirmed]:
        """
        Publish a message and wait for it.

        @param publish: does it, and gives the message.
        @param seconds: how long it is waited for.
        @return: fires with L{Confirmed} when all neighbours that it was sent to have answered or are gone, one at
            least having answered, or when the time is over and one has; fails with L{NotConfirmed}.
        """
        # A subscriber may publish, too, while it is told of what another one publishes.
        outer = self._publishing
        copies: list[tuple[Any, tuple[bytes, int]]] = []
        self._publishing, self.watching = copies, True
        try:
            message = publish()
        finally:
            self._publishing = outer
            self.watching = outer is not None or bool(self._waits)
            if outer is not None:
                # What waited until now may have been sent with this.
                outer += copies
        wait = _Wait(Delivery(message, 0.0).id, seconds, Deferred())
        key = message.origin, message.sequence
        self._waits[key] = wait
        self.watching = True
        wait.timer = self._later(seconds, lambda: self._tooLate(key))
        for link, sent in copies:
            if sent == key:
                self._ask(wait, link)
        return wait.done

    def sent(self, links: Iterable[Any], message: Any) -> None:
        """A message has been sent to those links."""
        each: Iterable[Any] = message.messages if isinstance(message, Batch) else (message,)
        for one in each:
            if not isinstance(one, Message):
                continue
            key = one.origin, one.sequence
            if self._publishing is not None:
                self._publishing += [(link, key) for link in links]
            wait = self._waits.get(key)
            if wait is not None:
                for link in links:
                    self._ask(wait, link)

    def synced(self, number: int, link: Any) -> None:
        """A neighbour has handled what was sent before the L{Sync} of that number; others are passed over."""
        wait = self._numbers.get(number)
        if wait is None or wait.asked.get(link) != number:
            return
        del self._numbers[number], wait.asked[link]
        wait.confirmed += 1
        self._settle(wait)

    def gone(self, link: Any) -> None:
        """A neighbour is gone."""
        for wait in list(self._waits.values()):
            number = wait.asked.pop(link, None)
            if number is not None:
                del self._numbers[number]
                self._settle(wait)

    def stop(self) -> None:
        """This peer goes away: nothing more will be confirmed."""
        for key, wait in list(self._waits.items()):
            self._end(key)
            wait.done.errback(NotConfirmed(wait.id, "this peer was stopped before anybody confirmed it"))

    # Private.

    def _ask(self, wait: _Wait, link: Any) -> None:
        if link in wait.asked:
            return
        self._number += 1
        wait.asked[link] = self._number
        wait.sent += 1
        self._numbers[self._number] = wait
        link.send(Sync(self._number))

    def _settle(self, wait: _Wait) -> None:
        """It is confirmed once everyone who has it to take over has answered."""
        if not wait.confirmed or wait.asked:
            return
        for key, each in self._waits.items():
            if each is wait:
                self._end(key)
                break
        wait.done.callback(Confirmed(wait.id, wait.confirmed, wait.sent))

    def _tooLate(self, key: tuple[bytes, int]) -> None:
        wait = self._waits[key]
        wait.timer = None
        self._end(key)
        if wait.confirmed:
            wait.done.callback(Confirmed(wait.id, wait.confirmed, wait.sent))
            return
        who = f"of {wait.sent} neighbours that it was sent to, none" if wait.sent else "there was no neighbour that"
        wait.done.errback(NotConfirmed(wait.id, f"{who} has confirmed it within {wait.seconds:g} s"))

    def _end(self, key: tuple[bytes, int]) -> None:
        wait = self._waits.pop(key)
        for number in wait.asked.values():
            del self._numbers[number]
        wait.asked.clear()
        if wait.timer is not None:
            wait.timer.cancel()
        self.watching = self._publishing is not None or bool(self._waits)
