"""
Tests for L{p2p.peer.ranges}: each law against sets of numbers.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.ranges import Ranges, first, flat, intersect, ranges, subtract, total, union

NUMBERS = st.sets(st.integers(1, 60))


def ofSet(numbers: set[int]) -> Ranges:
    """A set as ranges."""
    return union([], [(number, number) for number in numbers])


def asSet(pairs: Ranges) -> set[int]:
    """And back."""
    return {number for low, high in pairs for number in range(low, high + 1)}


class RangesTests(SynchronousTestCase):
    """Sets of numbers."""

    @settings(deadline=None)
    @given(NUMBERS, NUMBERS)
    def test_theyAreSets(self, these: set[int], those: set[int]) -> None:
        """Difference, intersection and union are those of sets, and what comes out is in good order."""
        one, other = ofSet(these), ofSet(those)
        for found, expected in (
            (subtract(one, other), these - those),
            (intersect(one, other), these & those),
            (union(one, other), these | those),
        ):
            self.assertEqual(asSet(found), expected)
            self.assertEqual(total(found), len(expected))
            self.assertTrue(all(last < next for (_, last), (next, _) in pairwise(found)))
            self.assertEqual(ranges(flat(found)), found)

    @settings(deadline=None)
    @given(NUMBERS, NUMBERS, st.integers(1, 5))
    def test_aUnionMayBeBounded(self, these: set[int], those: set[int], most: int) -> None:
        """It then holds more than it should, but never less, nor anything outside."""
        found = union(ofSet(these), ofSet(those), most)
        self.assertLessEqual(len(found), most)
        both = these | those
        self.assertTrue(both <= asSet(found))
        if both:
            self.assertEqual((found[0][0], found[-1][1]), (min(both), max(both)))

    @settings(deadline=None)
    @given(NUMBERS, st.integers(0, 70))
    def test_theFirstOfThem(self, these: set[int], most: int) -> None:
        """So many, the lowest."""
        found = first(ofSet(these), most)
        self.assertEqual(asSet(found), set(sorted(these)[:most]))
        self.assertEqual(ranges(flat(found)), found)

    def test_whatDoesNotRiseIsNone(self) -> None:
        """Odd in number, falling, overlapping; touching is allowed."""
        for wrong in ([1], [5, 3], [3, 4, 1, 2], [1, 4, 4, 5], [1, 2, 2, 2]):
            self.assertIsNone(ranges(wrong), wrong)
        self.assertEqual(ranges([1, 2, 3, 3]), [(1, 2), (3, 3)])
        self.assertEqual(ranges([]), [])
