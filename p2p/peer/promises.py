"""
What was announced to neighbours instead of being sent, and has not been asked for yet.

Whoever announces a message promises to send it to who asks.  A promise to a
neighbour is settled when he has asked, or has shown that he has the message:
he sent it, or announced it.  L{History} sends what it must forget to those to
whom it is promised still; and what is promised counts as unsent to who does
not read, so that publishing waits for him before it is too much.  Pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

from p2p.peer.ranges import Ranges
from p2p.wire.messages import FRAME, Message

_Owed = tuple[list[int], list[int]]
"""The numbers of an origin that are promised, rising, and how many bytes each of them is."""


class Promises:
    """
    What is owed to each neighbour; see the module's text.

    @ivar owing: by neighbour and origin; of an origin with nothing there is no entry, nor of a neighbour.
    """

    __slots__ = ("_bytes", "_most", "owing")

    def __init__(self, most: int) -> None:
        """
        @param most: how many bytes may be owed to a neighbour.
        """
        self._most = most
        self.owing: dict[Any, dict[bytes, _Owed]] = {}
        self._bytes: dict[Any, int] = {}

    def owed(self, neighbour: Any) -> int:
        """How many bytes are owed to a neighbour."""
        return self._bytes.get(neighbour, 0)

    def make(self, neighbour: Any, message: Message) -> bool:
        """Promise a message to a neighbour; false if that would be too much."""
        size = len(message.payload) + FRAME
        owed = self._bytes.get(neighbour, 0) + size
        if owed > self._most:
            return False
        self._bytes[neighbour] = owed
        numbers, sizes = self.owing.setdefault(neighbour, {}).setdefault(message.origin, ([], []))
        at = bisect_right(numbers, message.sequence)
        numbers.insert(at, message.sequence)
        sizes.insert(at, size)
        return True

    def settle(self, neighbour: Any, origin: bytes, these: Ranges) -> bool:
        """
        A neighbour has those numbers of an origin, or is sent them now.

        @return: one of them was owed to him.
        """
        origins = self.owing.get(neighbour)
        owed = origins.get(origin) if origins is not None else None
        if origins is None or owed is None:
            return False
        numbers, sizes = owed
        count = len(numbers)
        for first, last in these:
            low, high = bisect_left(numbers, first), bisect_right(numbers, last)
            if low < high:
                self._bytes[neighbour] -= sum(sizes[low:high])
                del numbers[low:high], sizes[low:high]
        if len(numbers) == count:
            return False
        if not numbers:
            del origins[origin]
            if not origins:
                self.part(neighbour)
        return True

    def claim(self, origin: bytes, number: int) -> list[Any]:
        """Settle all promises of one message: it is sent now to all neighbours to whom it is owed, which are these."""
        return [neighbour for neighbour in list(self.owing) if self.settle(neighbour, origin, [(number, number)])]

    def part(self, neighbour: Any) -> None:
        """A neighbour is gone."""
        self.owing.pop(neighbour, None)
        self._bytes.pop(neighbour, None)
