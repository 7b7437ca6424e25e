"""
Tests for L{p2p.seed.checks}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2p.seed import checks
from p2p.seed.checks import MAX_TRIES, Check, Checks, Next, Rank
from p2p.test.fakes import contact
from p2p.wire.probe import Verdict


class ChecksTests(SynchronousTestCase):
    """Four may be under way at a time."""

    def setUp(self) -> None:
        """Nobody waits."""
        self.checks = Checks(4)

    def add(self, number: int, rank: Rank, now: float = 0.0) -> Check:
        """One is to be asked."""
        check = self.checks.add(contact(number), "test", rank, now)
        assert check is not None
        return check

    def begin(self, now: float = 0.0) -> list[Check]:
        """All that may begin."""
        return list(iter(lambda: self.checks.begin(now), None))

    def test_oneCheckOfAContactAtATime(self) -> None:
        """However many ask; what they say is kept, the latest reason for the log."""
        first = self.add(1, Rank.NEW)
        again = self.checks.add(contact(1), "reported", Rank.LOST, 1.0)
        self.assertIs(first, again)
        self.assertEqual((first.doubted, first.why, first.rank), (True, "reported", Rank.LOST))
        self.assertEqual(self.begin(2.0), [first])

    def test_aNewAddressTakesNothingBackFromADoubt(self) -> None:
        """Who is doubted stays so."""
        check = self.add(1, Rank.LOST)
        self.add(1, Rank.NEW)
        self.assertEqual((check.doubted, check.rank), (True, Rank.LOST))

    def test_whoDiedGoesFirst(self) -> None:
        """Whatever waits already, and whatever is under way."""
        for number in range(1, 10):
            self.add(number, Rank.NEW if number % 2 else Rank.DOUBTED)
        self.assertEqual([check.rank for check in self.begin()], [Rank.DOUBTED] * 2)
        lost = [self.add(number, Rank.LOST) for number in range(10, 14)]
        self.assertEqual(self.begin(), lost[:2])
        self.checks.end(lost[0], Verdict.SILENT)
        self.assertEqual(self.begin(), lost[2:3])

    def test_newAddressesHaveHalfOfTheSlots(self) -> None:
        """Never more, and never none."""
        news = [self.add(number, Rank.NEW) for number in range(1, 6)]
        self.assertEqual(self.begin(), news[:2])
        self.checks.end(news[0], Verdict.ALIVE)
        self.assertEqual(self.begin(), news[2:3])
        self.checks = Checks(1)
        only = self.add(1, Rank.NEW)
        self.assertEqual(self.begin(), [only])

    def test_theQueuesAreBounded(self) -> None:
        """What does not fit is refused; another queue has room still."""
        self.patch(checks, "MAX_WAITING", 2)
        self.add(1, Rank.NEW)
        self.add(2, Rank.NEW)
        self.assertIsNone(self.checks.add(contact(3), "test", Rank.NEW, 0.0))
        self.add(4, Rank.LOST)
        self.assertEqual((len(self.checks), self.checks.waiting), (3, 3))

    def test_aDoubtThatCameUpMeanwhileIsAskedAboutOnceMore(self) -> None:
        """The answer may have been given before; one that came with the question is settled by it."""
        check = self.add(1, Rank.LOST)
        self.begin(1.0)
        self.add(1, Rank.LOST, 1.0)
        self.assertFalse(check.again)
        self.add(1, Rank.LOST, 1.5)
        self.assertIs(self.checks.end(check, Verdict.ALIVE), Next.AGAIN)
        self.assertEqual(self.begin(2.0), [check])
        self.assertIs(self.checks.end(check, Verdict.ALIVE), Next.OVER)
        self.assertEqual((len(self.checks), self.checks.running), (0, 0))

    def test_aNewAddressThatIsDoubtedMeanwhileIsNotNewAnyMore(self) -> None:
        """What it waits for next is its place among the doubted; the slot that it has goes back where it is from."""
        check = self.add(1, Rank.NEW)
        self.begin(1.0)
        self.add(1, Rank.LOST, 1.5)
        others = [self.add(number, Rank.NEW) for number in (2, 3, 4)]
        self.assertIs(self.checks.end(check, Verdict.ALIVE), Next.AGAIN)
        self.assertEqual(self.begin(2.0), [check, *others[:2]])

    def test_deathSettlesEveryDoubt(self) -> None:
        """Nobody is asked once more who did not answer."""
        check = self.add(1, Rank.LOST)
        self.begin(1.0)
        self.add(1, Rank.LOST, 1.5)
        self.assertIs(self.checks.end(check, Verdict.REFUSED), Next.OVER)

    def test_whatCouldNotBeTriedIsTriedAgain(self) -> None:
        """So many times, with no slot taken meanwhile; of a new address nobody makes so much."""
        check = self.add(1, Rank.LOST)
        for _ in range(MAX_TRIES - 1):
            self.assertEqual(self.begin(), [check])
            self.assertIs(self.checks.end(check, Verdict.UNSURE), Next.LATER)
            self.assertEqual((self.begin(), self.checks.running, len(self.checks)), ([], 0, 1))
            self.checks.resume(check)
        self.begin()
        self.assertIs(self.checks.end(check, Verdict.UNSURE), Next.OVER)
        new = self.add(2, Rank.NEW)
        self.begin()
        self.assertIs(self.checks.end(new, Verdict.UNSURE), Next.OVER)
        self.assertEqual(len(self.checks), 0)

    def test_forgettingEndsWhatIsNotUnderWay(self) -> None:
        """Whether it waits or rests; what is under way ends by itself."""
        waits, rests, runs = (self.add(number, Rank.LOST) for number in (1, 2, 3))
        self.checks.forget(waits.contact)
        self.begin()
        self.checks.end(rests, Verdict.UNSURE)
        self.assertIs(self.checks.forget(rests.contact), rests)
        self.assertEqual(self.begin(), [])
        self.assertIsNone(self.checks.forget(runs.contact))
        self.assertEqual((len(self.checks), self.checks.running), (1, 1))

    def test_afterAFaultOfThisProgramTheSlotIsFree(self) -> None:
        """Without a verdict there is nothing more to do."""
        check = self.add(1, Rank.LOST)
        self.begin(1.0)
        self.add(1, Rank.LOST, 2.0)
        self.assertIs(self.checks.end(check, None), Next.OVER)
        self.assertIs(self.checks.end(check, None), Next.OVER)
        self.assertEqual((len(self.checks), self.checks.running), (0, 0))
