"""
Tests for L{p2p.peer.history}; what a broadcast does with one is tested with that broadcast.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.history import Origin
from p2p.wire.messages import MAX_GAPS


class OriginTests(SynchronousTestCase):
    """What has been seen of one origin."""

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.integers(1, 60), max_size=100))
    def test_itIsASetOfNumbersWhileThereAreFewGaps(self, numbers: list[int]) -> None:
        """New is what is not in the set; and what it lacks is what is not in it."""
        origin, model = Origin(), set[int]()
        for number in numbers:
            self.assertEqual(origin.lacks(number), number not in model)
            self.assertEqual(origin.see(number, 1000), number not in model)
            model.add(number)
            self.assertEqual(origin.top, max(model))
            missing = {number for first, last in origin.gaps for number in range(first, last + 1)}
            self.assertEqual(missing, set(range(1, origin.top)) - model)
        self.assertEqual(origin.given, [])

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.one_of(st.integers(1, 2000), st.integers(1, 2**63 - 1)), max_size=300), st.integers(1, 500))
    def test_itIsBoundedAndNeverTakesOneTwice(self, numbers: list[int], maxGap: int) -> None:
        """
        However wild the numbers: few ranges, rising, none of them seen, and what was seen is never new again; what is
        neither seen nor taken any more was given up, and said to be.
        """
        origin, seen = Origin(), set[int]()
        for number in numbers:
            new = origin.see(number, maxGap)
            self.assertFalse(new and number in seen)
            if not new and number not in seen:
                self.assertTrue(any(first <= number <= last for first, last in origin.given))
            seen.add(number)
            self.assertLessEqual(len(origin.gaps), MAX_GAPS)
            flat = [edge for gap in origin.gaps for edge in gap]
            self.assertEqual(flat, sorted(flat))
            for first, last in origin.gaps:
                self.assertLessEqual(last - first, maxGap)

    def test_rangesAreFewHoweverManyNumbersAreMissing(self) -> None:
        """Whether every other one never comes, or a long gap is filled so: the earliest are given up."""
        for numbers in (range(1, 10_000, 2), [10_000, *range(2, 10_000, 2)]):
            origin = Origin()
            for number in numbers:
                self.assertTrue(origin.see(number, 10**6))
                self.assertLessEqual(len(origin.gaps), MAX_GAPS)
            self.assertTrue(origin.given)
            self.assertLess(origin.given[-1][1], origin.gaps[0][0])

    def test_aMillionInOrderAreTwoNumbers(self) -> None:
        """It costs no more memory however many messages there were, and the first is still known."""
        origin = Origin()
        for number in range(1, 100_001):
            origin.see(number, 4096)
        self.assertEqual((origin.top, origin.gaps), (100_000, []))
        self.assertFalse(origin.see(1, 4096))

    def test_whatIsTooFarBackIsGivenUp(self) -> None:
        """A gap longer than C{maxGap} keeps its later part; what is given up counts as seen, and is told."""
        origin = Origin()
        origin.see(1, 10)
        origin.see(100, 10)
        self.assertEqual(origin.gaps, [(90, 99)])
        self.assertEqual(origin.given, [(2, 89)])
        self.assertFalse(origin.see(50, 10))
