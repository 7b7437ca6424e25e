"""
Tests for L{p2p.peer.heard}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.heard import LATELY, MOST_ORIGINS, MOST_RANGES, Heard
from p2p.peer.ranges import union
from p2p.test.fakes import identity

ONE, TWO = identity(1), identity(2)


class HeardTests(SynchronousTestCase):
    """Who has said to have what."""

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([ONE, TWO]), st.sets(st.integers(1, 40)))))
    def test_itIsWhatWasSaid(self, told: list[tuple[str, bytes, set[int]]]) -> None:
        """By whom, of whom, and in whatever order."""
        heard, model = Heard(), set[tuple[str, bytes, int]]()
        for who, origin, numbers in told:
            heard.note(who, origin, union([(number, number) for number in numbers], []))
            model |= {(who, origin, number) for number in numbers}
        every = {(who, origin, number) for who in "ab" for origin in (ONE, TWO) for number in range(42)}
        self.assertEqual({each for each in every if heard.has(*each)}, model)

    def test_itIsRememberedForAWhile(self) -> None:
        """For C{LATELY} at least, and for twice as long at most; of who is gone nothing is."""
        heard = Heard()
        heard.tick(LATELY)
        heard.note("a", ONE, [(1, 5)])
        heard.tick(1.9 * LATELY)
        heard.note("a", ONE, [(6, 9)])
        heard.note("b", ONE, [(6, 9)])
        heard.part("b")
        heard.tick(2.1 * LATELY)
        self.assertEqual([heard.has("a", ONE, number) for number in (3, 7)], [True, True])
        heard.note("a", ONE, [(6, 9)])
        heard.tick(3.2 * LATELY)
        self.assertEqual([heard.has("a", ONE, number) for number in (3, 7)], [False, True])
        self.assertFalse(heard.has("b", ONE, 7))
        heard.part("a")
        self.assertFalse(heard.has("a", ONE, 7))

    def test_aLiarCostsBoundedMemory(self) -> None:
        """Of his ranges the highest are remembered, of his origins the first; others are heard all the same."""
        heard = Heard()
        for number in range(1, 10_000, 2):
            heard.note("a", ONE, [(number, number)])
        self.assertEqual([heard.has("a", ONE, number) for number in (1, 9998, 9999)], [False, False, True])
        for number in range(10, 2 * MOST_ORIGINS):
            heard.note("a", identity(number), [(1, 1)])
        heard.note("b", TWO, [(1, 1)])
        self.assertTrue(heard.has("b", TWO, 1))
        self.assertEqual(len(heard._now["a"]), MOST_ORIGINS)
        self.assertEqual(len(heard._now["a"][ONE]), MOST_RANGES)
