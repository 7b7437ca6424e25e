"""
How much memory all callers together may take for what is large: bodies on their way, answers that they do not read.

What is small always has room, for there are only so many connections: with L{SMALL} bytes on each of 256 that is 16 MiB
beside the L{ROOM}.  So nobody who sends or leaves unread what is large keeps others from what is small.
"""

from __future__ import annotations

SMALL = 2**16
"""Bytes up to which something is small: Twisted, too, lets so many wait on a connection before it calls it full."""

ROOM = 32 * 2**20
"""Bytes that all large ones may have at a time: four of the largest batches, or two lists of 100,000 peers."""


class Room:
    """
    One such bound.

    What finds nothing large there is let in, whatever its size: another bound is on that, and it may be larger.

    @ivar taken: bytes of all large ones.
    """

    def __init__(self) -> None:
        self.taken = 0
        self._sizes: dict[object, int] = {}

    def has(self, whose: object, size: int) -> bool:
        """Whether somebody may have C{size} bytes, instead of what he has."""
        others = self.taken - self._sizes.get(whose, 0)
        return size <= SMALL or not others or others + size <= ROOM

    def take(self, whose: object, size: int) -> None:
        """Somebody has C{size} bytes now, instead of what he had; 0 for nothing any more."""
        self.taken -= self._sizes.pop(whose, 0)
        if size > SMALL:
            self._sizes[whose] = size
            self.taken += size
