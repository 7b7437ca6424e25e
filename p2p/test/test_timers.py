"""
Tests for L{p2p.timers}.
"""

from __future__ import annotations

from importlib import import_module
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2p.timers import Timers, slept


class SleptTests(SynchronousTestCase):
    """Has this process slept?"""

    def test_byHalfAgainOfWhatItWasToWait(self) -> None:
        """Not before; nor, where nothing was due yet, by coming early."""
        came = [(9.0, False), (10.0, False), (12.0, False), (12.01, True), (1000.0, True)]
        self.assertEqual([(now, slept(10.0, now, 4.0)) for now, _ in came], came)

    def test_whoeverAsksGoesByIt(self) -> None:
        """There is no second rule for timers that come late."""
        for module in ("peer.swim", "peer.liveness", "peer.service", "wire.probe"):
            self.assertIs(import_module(f"p2p.{module}").slept, slept)


class TimersTests(SynchronousTestCase):
    """Periodic jobs under a clock of the test's."""

    def setUp(self) -> None:
        """Chance that is the same every time."""
        self.clock = Clock()
        self.timers = Timers(self.clock, Random(1))
        self.calls: list[float] = []

    def job(self) -> None:
        """Note when it was called."""
        self.calls.append(self.clock.seconds())

    def test_theFirstCallFallsWithinTheFirstInterval(self) -> None:
        """And every further one an interval later."""
        self.timers.start("a", 10.0, self.job)
        self.assertEqual(self.calls, [])
        self.clock.pump([0.5] * 70)
        self.assertEqual(len(self.calls), 3 + (self.calls[0] <= 5.0))
        self.assertTrue(0 <= self.calls[0] <= 10.0)
        for earlier, later in zip(self.calls, self.calls[1:], strict=False):
            self.assertAlmostEqual(later - earlier, 10.0, delta=0.51)

    def test_aThousandNodesDoNotSpeakAtOnce(self) -> None:
        """Started together, they call at different moments."""
        random = Random(2)
        for _ in range(1000):
            Timers(self.clock, random).start("a", 10.0, self.job)
        times = sorted(call.getTime() for call in self.clock.getDelayedCalls())
        self.assertEqual(len(set(times)), 1000)
        for quarter in range(4):
            share = sum(2.5 * quarter <= time < 2.5 * (quarter + 1) for time in times)
            self.assertTrue(200 < share < 300, share)

    def test_aJobThatRaisesIsLoggedAndCalledAgain(self) -> None:
        """A C{LoopingCall} alone would stop for good."""

        def broken() -> None:
            self.job()
            raise RuntimeError("broken")

        self.timers.start("a", 1.0, broken)
        self.clock.pump([0.25] * 20)
        self.assertGreaterEqual(len(self.calls), 4)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), len(self.calls))

    def test_itKeepsItsTime(self) -> None:
        """A job that takes long, or a clock that is late, does not shift what follows."""

        def long() -> None:
            self.job()
            self.clock.rightNow += 0.5

        self.timers.start("a", 10.0, long)
        self.clock.pump([0.25] * 400)
        first = self.calls[0]
        for number, call in enumerate(self.calls):
            self.assertAlmostEqual(call - first, 10.0 * number, delta=0.26)

    def test_whatWasSleptThroughIsNotMadeUpFor(self) -> None:
        """One call, however many intervals it was, and the next when it would have been anyway."""
        self.timers.start("a", 10.0, self.job)
        self.clock.advance(10.0)
        (first,) = self.calls
        self.clock.advance(1000.0)
        self.assertEqual(len(self.calls), 2)
        (call,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual((call.getTime() - first) % 10.0, 0.0)
        self.assertLessEqual(call.getTime() - self.clock.seconds(), 10.0)

    def test_aStoppedJobIsNotCalled(self) -> None:
        """Whether it had been called yet or not; and nothing is left on the clock."""
        self.timers.start("waiting", 5.0, self.job)
        self.timers.stop("waiting")
        self.timers.start("running", 1.0, self.job)
        self.clock.advance(1.0)
        self.assertEqual(len(self.calls), 1)
        self.timers.stop("running")
        self.timers.stop("running")
        self.timers.stop("never started")
        self.clock.pump([1.0] * 10)
        self.assertEqual(len(self.calls), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aJobMayStopItself(self) -> None:
        """Even the first time that it is called."""

        def once() -> None:
            self.job()
            self.timers.stop("a")

        self.timers.start("a", 1.0, once)
        self.clock.pump([1.0] * 5)
        self.assertEqual(len(self.calls), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopAllEndsAll(self) -> None:
        """Those that wait and those that run."""
        self.timers.start("running", 0.1, self.job)
        self.timers.start("waiting", 1e6, self.job)
        self.clock.advance(0.1)
        self.timers.stopAll()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_onceIsCalledOnce(self) -> None:
        """At its time, and not again; calling it off afterwards does nothing."""
        once = self.timers.later(2.0, self.job)
        self.clock.advance(1.9)
        self.assertEqual(len(self.calls), 0)
        self.clock.pump([1.0] * 5)
        self.assertEqual(len(self.calls), 1)
        once.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_onceMayBeCalledOff(self) -> None:
        """By whoever asked for it, even twice, and by the end of all."""
        once = self.timers.later(2.0, self.job)
        once.cancel()
        once.cancel()
        self.timers.later(3.0, self.job)
        self.timers.stopAll()
        self.clock.pump([1.0] * 5)
        self.assertEqual(len(self.calls), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_onceIsTooLateOnceAllHasEnded(self) -> None:
        """What is asked for while a node stops is not called, until it is started again."""
        self.timers.stopAll()
        once = self.timers.later(1.0, self.job)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        once.cancel()
        self.timers.reopen()
        self.timers.later(1.0, self.job)
        self.clock.advance(1.0)
        self.assertEqual(len(self.calls), 1)

    def test_onceThatRaisesIsLogged(self) -> None:
        """And disturbs nobody."""
        self.timers.later(1.0, lambda: 1 / 0)
        self.clock.advance(1.0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_aNameStandsForOneJob(self) -> None:
        """Starting it again ends what ran under that name."""
        first: list[int] = []
        self.timers.start("a", 1.0, lambda: first.append(1))
        self.clock.advance(1.0)
        self.timers.start("a", 1.0, self.job)
        self.clock.pump([1.0] * 5)
        self.assertEqual(len(first), 1)
        self.timers.stopAll()
        self.assertEqual(self.clock.getDelayedCalls(), [])
