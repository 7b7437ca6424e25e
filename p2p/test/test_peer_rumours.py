"""
Tests for L{p2p.peer.rumours}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.rumours import Rumours
from p2p.test.fakes import identity

WHO = identity(1)


class RumoursTests(SynchronousTestCase):
    """Three accusers are news, four identities are remembered, for a minute."""

    def setUp(self) -> None:
        """Nothing was said."""
        self.rumours = Rumours(3, 4, 60.0)

    def test_eachAccuserIsNewsOnceAndTheFirstFewOnly(self) -> None:
        """So a storm of accusers dies out."""
        news = [self.rumours.suspicion(WHO, 0, identity(by), 0.0) for by in (2, 2, 3, 3, 4, 5, 6)]
        self.assertEqual(news, [True, False, True, False, True, False, False])

    def test_aRefutationMakesWhatWasSaidStale(self) -> None:
        """It is news once; suspicions under the higher number are news again."""
        self.rumours.suspicion(WHO, 0, identity(2), 0.0)
        news = [self.rumours.refutation(WHO, number, 0.0) for number in (0, 1, 1, 0)]
        self.assertEqual(news, [False, True, False, False])
        self.assertEqual(self.rumours.refuted(WHO), 1)
        self.assertFalse(self.rumours.suspicion(WHO, 0, identity(3), 0.0))
        self.assertFalse(self.rumours.death(WHO, 0, 0.0))
        self.assertTrue(self.rumours.suspicion(WHO, 1, identity(2), 0.0))

    def test_deathIsNewsOnceAndTheLastWord(self) -> None:
        """Nobody need suspect whom somebody has found dead."""
        self.assertEqual([self.rumours.death(WHO, 0, 0.0) for _ in range(2)], [True, False])
        self.assertFalse(self.rumours.suspicion(WHO, 0, identity(2), 0.0))
        self.assertTrue(self.rumours.refutation(WHO, 1, 0.0))

    def test_livesAreToldApart(self) -> None:
        """What is said of one life is nothing to the next."""
        self.rumours.death(WHO, 3, 0.0)
        self.assertTrue(self.rumours.suspicion(identity(1, 2), 0, identity(2), 0.0))

    def test_itForgets(self) -> None:
        """A while after the last news, and then for good."""
        self.rumours.suspicion(WHO, 0, identity(2), 0.0)
        self.rumours.suspicion(WHO, 0, identity(3), 30.0)
        self.rumours.suspicion(WHO, 0, identity(3), 50.0)
        self.rumours.forget(89.0)
        self.assertEqual(len(self.rumours), 1)
        self.rumours.forget(90.0)
        self.assertEqual((len(self.rumours), self.rumours.refuted(WHO)), (0, 0))

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["suspicion", "death", "refutation"]),
                st.integers(1, 9), st.integers(0, 3), st.integers(10, 20), st.floats(0, 20),
            )
        )
    )  # fmt: skip
    def test_itIsBoundedAndNothingIsNewsTwice(self, said: list[tuple[str, int, int, int, float]]) -> None:
        """Whatever is said, in whatever order: while an identity is remembered, no rumour about it is news twice."""
        rumours = Rumours(3, 4, 60.0)
        told: set[tuple[object, ...]] = set()
        now = 0.0
        for what, about, refuted, by, later in said:
            now += later
            rumours.forget(now)
            remembered = set(rumours._said)
            told = {news for news in told if news[1] in remembered}
            who = identity(about)
            if what == "suspicion":
                key: tuple[object, ...] = (what, who, refuted, by)
                news = rumours.suspicion(who, refuted, identity(by), now)
            else:
                key = (what, who, refuted)
                news = getattr(rumours, what)(who, refuted, now)
            self.assertFalse(news and key in told, key)
            if news:
                told.add(key)
            self.assertLessEqual(len(rumours), 4)
