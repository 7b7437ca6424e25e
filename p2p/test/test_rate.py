"""
Tests for L{p2p.rate}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.rate import RateLimit

rates = st.floats(0.01, 1000)
bursts = st.floats(0, 100)
pauses = st.lists(st.floats(0, 10), min_size=1, max_size=200)


class RateLimitTests(SynchronousTestCase):
    """A bucket per key."""

    def test_aBurstThenTheRate(self) -> None:
        """Three at once after a rest, then two a second."""
        limit = RateLimit(2.0, 3.0)
        self.assertEqual([limit.allow("a", 10.0) for _ in range(5)], [True, True, True, False, False])
        self.assertEqual([limit.allow("a", 10.5) for _ in range(2)], [True, False])
        self.assertEqual([limit.allow("a", 11.5) for _ in range(3)], [True, True, False])

    def test_oneMayCountForSeveral(self) -> None:
        """It passes where one does, be it more than a burst, and has to be waited for."""
        limit = RateLimit(2.0, 3.0)
        self.assertTrue(limit.allow("a", 10.0, 5.0))
        self.assertEqual([limit.allow("a", 11.4), limit.allow("a", 11.5)], [False, True])

    def test_restsDoNotAddUpBeyondTheBurst(self) -> None:
        """Who has been away for a year gets no more than who was away for a minute."""
        limit = RateLimit(2.0, 3.0)
        limit.allow("a", 0.0)
        self.assertEqual(sum(limit.allow("a", 3e7) for _ in range(10)), 3)

    def test_keysDoNotDisturbEachOther(self) -> None:
        """One that is refused takes nothing from another."""
        limit = RateLimit(1.0, 1.0)
        self.assertTrue(limit.allow("a", 0.0))
        self.assertFalse(limit.allow("a", 0.0))
        self.assertTrue(limit.allow("b", 0.0))

    def test_theLongestUnusedKeyIsForgotten(self) -> None:
        """Memory is bounded, and an attacker's new keys do not push out who is being refused just now."""
        limit = RateLimit(1.0, 1.0, keys=2)
        for key in ("a", "b"):
            self.assertTrue(limit.allow(key, 0.0))
        self.assertFalse(limit.allow("a", 0.0))
        self.assertTrue(limit.allow("c", 0.0))
        self.assertFalse(limit.allow("a", 0.0))
        self.assertTrue(limit.allow("b", 0.0))
        self.assertEqual(len(limit._buckets), 2)

    def test_aBurstBelowOneStillLetsOneThrough(self) -> None:
        """A rate of one in a hundred seconds is not a rate of none."""
        limit = RateLimit(0.01, 0.05)
        self.assertTrue(limit.allow("a", 0.0))
        self.assertFalse(limit.allow("a", 99.0))
        self.assertTrue(limit.allow("a", 200.0))

    def test_aClockThatGoesBackGivesNothing(self) -> None:
        """Neither an event more nor an error."""
        limit = RateLimit(1.0, 1.0)
        self.assertTrue(limit.allow("a", 100.0))
        self.assertFalse(limit.allow("a", 50.0))
        self.assertTrue(limit.allow("a", 51.0))

    @given(rates, bursts, pauses)
    def test_neverMoreThanTheBurstAndWhatTheTimeBrought(self, rate: float, burst: float, pauses: list[float]) -> None:
        """The law of the bucket, over any sequence of events."""
        limit = RateLimit(rate, burst)
        now = allowed = 0.0
        for pause in pauses:
            now += pause
            allowed += limit.allow("a", now)
            self.assertLessEqual(allowed, max(1.0, burst) + rate * now + 1e-6 * (1 + rate * now))

    @given(rates, bursts, st.integers(1, 50))
    def test_whoKeepsToTheRateIsNeverRefused(self, rate: float, burst: float, count: int) -> None:
        """Evenly spaced events all pass."""
        limit = RateLimit(rate, burst)
        self.assertTrue(all(limit.allow("a", number / rate * 1.000001) for number in range(count)))
