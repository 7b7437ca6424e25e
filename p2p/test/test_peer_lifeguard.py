"""
Tests for L{p2p.peer.lifeguard}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.lifeguard import LocalHealth, Suspicion, suspicionTimeout


class LocalHealthTests(SynchronousTestCase):
    """How much a peer doubts itself."""

    def test_itHasBounds(self) -> None:
        """From good health to as bad as may be, and back, a step at a time."""
        health = LocalHealth(8)
        self.assertEqual(health.scaled(0.5), 0.5)
        health.better()
        self.assertEqual(health.score, 0)
        health.worse()
        health.worse(3)
        self.assertEqual((health.score, health.scaled(0.5)), (4, 2.5))
        health.worse(100)
        self.assertEqual((health.score, health.scaled(1.0)), (7, 8.0))
        health.better()
        self.assertEqual(health.score, 6)

    def test_switchedOffItStaysGood(self) -> None:
        """A multiplier of one is none."""
        health = LocalHealth(1)
        health.worse(5)
        self.assertEqual(health.scaled(3.0), 3.0)


class SuspicionTests(SynchronousTestCase):
    """How long a suspect has."""

    def test_theFormula(self) -> None:
        """Values of memberlist's, for m = 4: two confirmations bring 24 s down to 4, the first one most of the way."""
        times = [suspicionTimeout(4.0, 24.0, confirmations, 2) for confirmations in range(3)]
        self.assertEqual([round(time, 4) for time in times], [24.0, 11.3814, 4.0])

    def test_whereNobodyCouldConfirmItIsShort(self) -> None:
        """As in plain SWIM."""
        self.assertEqual(suspicionTimeout(4.0, 24.0, 0, 0), 4.0)

    @given(st.floats(0.1, 100), st.floats(1, 10), st.integers(0, 50), st.integers(0, 50))
    def test_itOnlyShrinksAndStaysBetween(self, least: float, times: float, count: int, wanted: int) -> None:
        """Each confirmation brings it nearer to the least, and no more than as many as are wanted count."""
        most = least * times
        now, then = (suspicionTimeout(least, most, confirmations, wanted) for confirmations in (count, count + 1))
        self.assertTrue(least <= then <= now <= max(least, most))
        if count >= wanted:
            self.assertAlmostEqual(now, least)

    def test_confirmationsAreIndependent(self) -> None:
        """Neither the same accuser over two ways, nor many accusers from one neighbour's mouth."""
        suspicion = Suspicion(10.0, 4.0, 24.0, 2)
        self.assertEqual(suspicion.deadline, 34.0)
        self.assertTrue(suspicion.confirm(b"a", b"b"))
        for by, through in ((b"a", b"b"), (b"a", b"c"), (b"d", b"b"), (b"b", b"b"), (b"e", b"a")):
            self.assertFalse(suspicion.confirm(by, through))
        self.assertAlmostEqual(suspicion.deadline, 21.3814, 3)
        self.assertTrue(suspicion.confirm(b"f", b"f"))
        self.assertEqual(suspicion.deadline, 14.0)
        self.assertFalse(suspicion.confirm(b"g", b"g"))
