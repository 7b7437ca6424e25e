"""
Messages in the order of their numbers: for subscribers that want each origin's so.

One that came early is held back until those before it have been delivered or
are given up; which of the two, the broadcast knows (C{settled}).  What comes
after it was given up is not delivered in order any more.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from p2p.peer.delivery import Delivery
from p2p.settings import PeerSettings


class InOrder:
    """
    What is held back.

    At most C{historyMessages} and C{historyBytes} are; beyond that the origin
    that has waited longest waits no more.
    """

    def __init__(
        self, settings: PeerSettings, settled: Callable[[bytes], int], deliver: Callable[[Delivery], object]
    ) -> None:
        """
        @param settled: the number of an origin up to which nothing is waited for.
        @param deliver: called with each message in its turn.
        """
        self._settled = settled
        self._deliver = deliver
        self._maxMessages = settings.historyMessages
        self._maxBytes = settings.historyBytes
        self._maxOrigins = settings.maxOrigins
        # The last number delivered of each origin, the longest silent first.
        self._last: OrderedDict[bytes, int] = OrderedDict()
        # What is held back of each, the longest waiting first.
        self._held: dict[bytes, dict[int, Delivery]] = {}
        self.count = 0
        self._bytes = 0
        # Whose turn it is; whoever publishes while he is told waits for the others to be told of that first.
        self._turns: deque[Delivery] = deque()
        self._telling = False

    def take(self, delivery: Delivery) -> None:
        """A message has come: deliver it, and what waited for it; or hold it back."""
        origin = delivery.message.origin
        if origin not in self._held and delivery.sequence <= self._settled(origin):
            self._turn(delivery)
            self._tell()
            return
        self._held.setdefault(origin, {})[delivery.sequence] = delivery
        self.count += 1
        self._bytes += len(delivery.payload)
        self._release(origin, self._settled(origin))
        while self.count > self._maxMessages or self._bytes > self._maxBytes:
            first = next(iter(self._held))
            self._release(first, max(self._held[first]))
        self._tell()

    def look(self) -> None:
        """Something may have been given up: deliver what need not wait any more."""
        for origin in list(self._held):
            self._release(origin, self._settled(origin))
        self._tell()

    def _release(self, origin: bytes, last: int) -> None:
        held = self._held[origin]
        for number in sorted(number for number in held if number <= last):
            delivery = held.pop(number)
            self.count -= 1
            self._bytes -= len(delivery.payload)
            self._turn(delivery)
        if not held:
            del self._held[origin]

    def _turn(self, delivery: Delivery) -> None:
        """It is this one's turn, if no later one of its origin has been delivered."""
        origin = delivery.message.origin
        if delivery.sequence <= self._last.get(origin, 0):
            return
        self._last[origin] = delivery.sequence
        self._last.move_to_end(origin)
        if len(self._last) > self._maxOrigins:
            self._last.popitem(last=False)
        self._turns.append(delivery)

    def _tell(self) -> None:
        """Deliver what has its turn, one after the other even if a subscriber publishes meanwhile."""
        if self._telling:
            return
        self._telling = True
        try:
            while self._turns:
                self._deliver(self._turns.popleft())
        finally:
            self._telling = False
