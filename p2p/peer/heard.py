"""
What each neighbour has lately said to have.

It is remembered for C{LATELY} to twice as long, in two halves of which the
older one is forgotten as a whole.  What is forgotten too soon, or passed over
because a neighbour says too much, only costs a copy.  Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from p2p.peer.ranges import Ranges, union

LATELY = 4.0
"""For how many seconds what is heard is remembered, at least."""

MOST_RANGES = 256
"""Of an origin, so many ranges that a neighbour has are remembered: the highest."""

MOST = 2000
"""And of all origins together, so many in that time: the first."""

_NONE: Ranges = []

_Words = dict[Any, dict[bytes, Ranges]]
"""What each neighbour has, by origin."""


class Heard:
    """What was heard; see the module's text."""

    __slots__ = ("_before", "_now", "_room", "_since")

    def __init__(self) -> None:
        self._now: _Words = {}
        self._before: _Words = {}
        # How many ranges more each may still say of what he has.
        self._room: dict[Any, int] = {}
        self._since = 0.0

    def note(self, neighbour: Any, origin: bytes, these: Ranges) -> None:
        """A neighbour has those numbers of an origin."""
        if not these:
            return
        said = self._now.setdefault(neighbour, {})
        known = said.get(origin, _NONE)
        first, last = these[0][0], these[-1][1]
        if known:
            low, high = known[-1]
            if low <= first and (last <= high or (first <= high + 1 and len(these) == 1)):
                # Nearly always it is known, or goes on where what is known ends.
                if last > high:
                    known[-1] = low, last
                return
            these = [*known, *these] if first > high + 1 else union(known, these)
        these = these[-MOST_RANGES:]
        room = self._room.get(neighbour, MOST) + len(known) - len(these)
        if room >= 0:
            self._room[neighbour] = room
            said[origin] = these

    def has(self, neighbour: Any, origin: bytes, number: int) -> bool:
        """That neighbour has said lately that he has that one."""
        for said in self._now, self._before:
            of = said.get(neighbour)
            these = of.get(origin) if of is not None else None
            if these:
                if these[-1][0] <= number <= these[-1][1]:
                    return True
                at = bisect_left(these, number, key=lambda pair: pair[1])
                if at < len(these) and these[at][0] <= number:
                    return True
        return False

    def part(self, neighbour: Any) -> None:
        """A neighbour is gone."""
        self._now.pop(neighbour, None)
        self._before.pop(neighbour, None)
        self._room.pop(neighbour, None)

    def tick(self, now: float) -> None:
        """Forget what is old."""
        if now - self._since >= LATELY:
            self._since = now
            self._before, self._now, self._room = self._now, {}, {}
