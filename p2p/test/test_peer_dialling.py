"""
Tests for L{p2p.peer.dialling}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.dialling import oursStays, settle
from p2p.test.fakes import FakeNeighbour, contact, identity
from p2p.wire import reasons

NUMBERS = st.integers(0, 99)
LIVES = st.integers(1, 9)


class DiallingTests(SynchronousTestCase):
    """One link between two peers."""

    @given(NUMBERS, LIVES, NUMBERS, LIVES)
    def test_bothEndsKeepTheSameOne(self, here: int, life: int, there: int, otherLife: int) -> None:
        """Of two links dialled at once, the one dialled here stays here exactly where it stays there."""
        if here != there:
            one, other = identity(here, life), identity(there, otherLife)
            self.assertNotEqual(oursStays(one, other), oursStays(other, one))

    def test_aLaterLifeTakesThePlaceOfAnEarlierOne(self) -> None:
        """Whoever dialled, whoever is lower; and never the other way round."""
        for me in (identity(1), identity(9)):
            for outgoing in (False, True):
                for was in (False, True):
                    old, new = FakeNeighbour(contact(5, 1), was), FakeNeighbour(contact(5, 2), True)
                    self.assertEqual(settle(me, identity(5, 2), outgoing, old), ("", reasons.STALE))
                    self.assertEqual(settle(me, identity(5, 1), outgoing, new), (reasons.DUPLICATE, ""))

    def test_whatStandsStaysUnlessBothDialledAtOnce(self) -> None:
        """Then it is the lower one's."""
        keep, replace = (reasons.DUPLICATE, ""), ("", reasons.DUPLICATE)
        for me, outgoing, was, expected in (
            (1, True, False, replace),
            (9, True, False, keep),
            (1, True, True, keep),
            (9, True, True, keep),
            (1, False, True, keep),
            (9, False, True, keep),
            (1, False, False, keep),
        ):
            self.assertEqual(settle(identity(me), identity(5), outgoing, FakeNeighbour(contact(5), was)), expected)
