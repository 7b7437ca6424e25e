"""
Tests for L{p2p.peer.heard}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.heard import LATELY, MOST, MOST_RANGES, Heard
from p2p.peer.ranges import union
from p2p.test.fakes import calls, identity

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
        """Of an origin his highest ranges are remembered, of all together the first; others are heard as ever."""
        heard = Heard()
        for number in range(1, 10_000, 2):
            heard.note("a", ONE, [(number, number)])
        self.assertEqual([heard.has("a", ONE, number) for number in (1, 9998, 9999)], [False, False, True])
        self.assertEqual(kept(heard, "a"), MOST_RANGES)
        for start in range(1, 10_000, 128):
            for number in range(10, 1000):
                heard.note("a", identity(number), [(each, each) for each in range(start, start + 128, 2)])
        self.assertGreater(kept(heard, "a"), MOST - 64)
        self.assertLessEqual(kept(heard, "a"), MOST)
        heard.note("b", TWO, [(1, 1)])
        self.assertTrue(heard.has("b", TWO, 1))
        # What goes on takes no room.
        heard.note("a", ONE, [(10_000, 10_000)])
        self.assertTrue(heard.has("a", ONE, 10_000))

    def test_manyOriginsCostBoundedMemoryToo(self) -> None:
        """One range of each; there is room again as soon as it is forgotten, or he is gone and comes back."""
        heard = Heard()
        for time in (0.0, LATELY, 2 * LATELY):
            heard.tick(time)
            for number in range(10, 2 * MOST):
                heard.note("a", identity(number), [(1, 1)])
            self.assertEqual([heard.has("a", identity(number), 1) for number in (10, 2 * MOST - 1)], [True, False])
        self.assertEqual(kept(heard, "a"), 2 * MOST)
        heard.part("a")
        self.assertEqual(kept(heard, "a"), 0)
        heard.note("a", TWO, [(1, 1)])
        self.assertTrue(heard.has("a", TWO, 1))

    def test_whatIsKnownCostsNothing(self) -> None:
        """Nor does what goes on where that ends, however many ranges there are."""
        heard = Heard()
        for number in range(1, 1000, 2):
            heard.note("a", ONE, [(number, number)])
        for these in ([(999, 999)], [(1000, 1000)], [(999, 1001)], [(999, 999), (1001, 1001)]):
            self.assertLess(calls(heard.note, "a", ONE, these), 20)
        self.assertEqual(heard._now["a"][ONE][-1], (999, 1001))


def kept(heard: Heard, neighbour: str) -> int:
    """How many of a neighbour's ranges are remembered."""
    return sum(len(these) for said in (heard._now, heard._before) for these in said.get(neighbour, {}).values())
