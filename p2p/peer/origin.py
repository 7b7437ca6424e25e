"""
Which numbers of one origin have been seen, are missing, and are owed.

The highest number seen and the ranges below it that are missing: a few words however many messages there were.  Pure.
"""

from __future__ import annotations

from bisect import bisect_left

from p2p.peer.ranges import Ranges, intersect, subtract, union
from p2p.wire.messages import MAX_GAPS

NONE: Ranges = []
"""No ranges; shared, and never changed."""


class Origin:
    """
    What has been seen of one origin.

    @ivar identity: its 16 bytes; one object for all that is kept of it.
    @ivar top: the highest number seen.
    @ivar gaps: ranges below it not seen, first and last number each, rising.
    @ivar given: ranges given up lately, for whoever counts what is lost.
    @ivar lastSeen: when something new of it came.
    @ivar waived: ranges that are not owed: given up, or of before this peer's time.
    @ivar before: when the last of those was seen by somebody, at the latest.
    @ivar since: a number that is of this peer's time, and so are all above it; 0 if none is known to be.
    @ivar lost: what of C{waived} was called lost, for as long as C{since} is 0, then nothing; of more than C{MAX_GAPS}
        ranges, with what is between the closest.
    @ivar marks: what was the highest number when, for as long as there are gaps.
    """

    __slots__ = ("before", "gaps", "given", "identity", "lastSeen", "lost", "marks", "since", "top", "waived")

    def __init__(self, identity: bytes = b"") -> None:
        self.identity = identity
        self.top = 0
        # Replaced, never changed: nearly every origin has none, and there may be ten thousand origins.
        self.gaps = NONE
        self.given = NONE
        self.lastSeen = 0.0
        self.waived = NONE
        self.before = 0.0
        self.since = 0
        self.lost = NONE
        self.marks: tuple[tuple[float, int], ...] = ()

    @property
    def owed(self) -> Ranges:
        """The holes that are to be filled yet."""
        return subtract(self.gaps, self.waived)

    @property
    def settled(self) -> int:
        """The number up to which nothing is owed."""
        if not self.gaps:
            return self.top
        owed = self.owed
        return owed[0][0] - 1 if owed else self.top

    def lacking(self, these: Ranges) -> Ranges:
        """Those that have not been seen and would be taken."""
        if not these or (these[-1][1] <= self.top and not self.gaps):
            return []
        return intersect(these, [*self.gaps, (self.top + 1, 2**63 - 1)])

    def waive(self, these: Ranges, before: float) -> Ranges:
        """
        They are not owed any more, having been seen by somebody before that time.

        @return: the holes that are not owed any more either, for what is not has become too many ranges.
        """
        owed, waived = self.owed, self.lacking(self.waived)
        self.before = max(self.before, before) if waived else before
        self.waived = union(waived, these, MAX_GAPS)
        return subtract(intersect(owed, self.waived), these)

    def begin(self, number: int) -> None:
        """That number has come and is of this peer's time: what is above it is owed, but for what was called lost."""
        self.since = number
        # More than C{MAX_GAPS} ranges perhaps, but fewer than twice as many, until more are waived: whatever made them
        # fewer would waive what is owed.
        self.waived = intersect(self.waived, union([(1, number)], self.lost))
        self.lost = NONE

    def lacks(self, number: int) -> bool:
        """That number has not been seen and would be taken."""
        return number > self.top or self._find(number) is not None

    def see(self, number: int, maxGap: int) -> bool:
        """
        Mark a number as seen.

        @param maxGap: how many of the numbers that are leapt over may still
            come; those further back count as seen.
        @return: it was new.
        """
        if number > self.top:
            if number > self.top + 1:
                first = max(self.top + 1, number - maxGap)
                if first > self.top + 1:
                    self.given = [*self.given, (self.top + 1, first - 1)]
                self._open([*self.gaps, (first, number - 1)])
            self.top = number
            return True
        place = self._find(number)
        if place is None:
            return False
        first, last = self.gaps[place]
        rest = [(a, b) for a, b in ((first, number - 1), (number + 1, last)) if a <= b]
        self._open([*self.gaps[:place], *rest, *self.gaps[place + 1 :]])
        return True

    def _open(self, gaps: Ranges) -> None:
        """These are the gaps now; of too many, the first is given up."""
        if len(gaps) > MAX_GAPS:
            self.given = [*self.given, gaps.pop(0)]
        self.gaps = gaps or NONE

    def _find(self, number: int) -> int | None:
        """The place of the gap that a number falls into."""
        gaps = self.gaps
        if not gaps or number > gaps[-1][1]:
            return None
        place = bisect_left(gaps, number, key=lambda gap: gap[1])
        return place if gaps[place][0] <= number else None
