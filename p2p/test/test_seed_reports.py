"""
Tests for L{p2p.seed.reports}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2p.seed.reports import MAX_OPEN, Reports

LIAR = b"liar"


def reports() -> Reports:
    """Three faults within 60 s, not listened to for 300 s."""
    return Reports(3, 60.0, 300.0)


def lie(known: Reports, now: float, wrong: bool = True) -> bool:
    """A report that is checked at once."""
    known.opened(LIAR, now)
    return known.closed(LIAR, wrong, now)


class ReportsTests(SynchronousTestCase):
    """A reporter who is often wrong is no longer listened to for a while."""

    def test_oftenWrongIsMutedForAWhileOnly(self) -> None:
        """The third fault mutes, for so long, and then it is forgiven."""
        known = reports()
        self.assertEqual([lie(known, 0.0), lie(known, 1.0), lie(known, 2.0)], [False, False, True])
        self.assertEqual(known.muted(3.0), 1)
        self.assertFalse(known.opened(LIAR, 301.9))
        self.assertTrue(known.opened(LIAR, 302.0))
        self.assertEqual(known.muted(302.0), 0)

    def test_faultsThatAreFarApartDoNotMute(self) -> None:
        """Only what falls within the window counts."""
        known = reports()
        self.assertEqual([lie(known, 40.0 * time) for time in range(10)], [False] * 10)

    def test_whoIsRightIsNeverMuted(self) -> None:
        """Any number of deaths may be reported."""
        known = reports()
        self.assertEqual([lie(known, 0.0, wrong=False) for _ in range(50)], [False] * 50)

    def test_othersAreListenedTo(self) -> None:
        """One liar does not silence the rest."""
        known = reports()
        for _ in range(3):
            lie(known, 0.0)
        self.assertTrue(known.opened(b"honest", 0.0))

    def test_openReportsOfOneReporterAreBounded(self) -> None:
        """Before a check has ended nobody may start any number of them; each that ends makes room."""
        known = reports()
        self.assertEqual([known.opened(LIAR, 0.0) for _ in range(MAX_OPEN + 1)], [True] * MAX_OPEN + [False])
        known.closed(LIAR, False, 0.0)
        self.assertTrue(known.opened(LIAR, 0.0))

    def test_whatNoLongerMattersIsForgotten(self) -> None:
        """Neither open reports nor recent faults nor mutedness: no trace; with one of them, it is kept."""
        known = reports()
        lie(known, 0.0)
        known.opened(b"open", 0.0)
        known.forget(60.0)
        self.assertEqual(len(known), 2)
        known.forget(61.0)
        self.assertEqual(len(known), 1)
        known.closed(b"open", False, 61.0)
        known.forget(61.0)
        self.assertEqual(len(known), 0)
        for _ in range(3):
            lie(known, 100.0)
        known.forget(399.0)
        self.assertFalse(known.opened(LIAR, 399.0))
        known.forget(400.0)
        self.assertEqual(len(known), 0)

    def test_anAnswerForSomebodyForgottenIsPassedOver(self) -> None:
        """Nothing is made up for it."""
        known = reports()
        self.assertFalse(known.closed(b"nobody", True, 0.0))
        self.assertEqual(len(known), 0)
