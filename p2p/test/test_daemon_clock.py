"""
Tests for p2p.daemon.clock.
"""

from __future__ import annotations

import signal

from twisted.internet import base, reactor
from twisted.internet.selectreactor import SelectReactor
from twisted.trial.unittest import SynchronousTestCase

from p2p.daemon.clock import steady
from p2p.daemon.service import _reactor


class SteadyTests(SynchronousTestCase):
    """A reactor whose clock nobody sets back."""

    def setUp(self) -> None:
        """A reactor of Twisted's, and the clocks of a machine."""
        self.wall = 1_000_000.0
        self.elapsed = 50.0
        self.patch(base.ReactorBase, "seconds", lambda _: self.wall)
        self.reactor = SelectReactor()
        self.addCleanup(self.reactor.disconnectAll)

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.elapsed += seconds
        self.reactor.runUntilCurrent()

    def steady(self) -> None:
        """Mend it."""
        steady(self.reactor, lambda: self.wall, lambda: self.elapsed)

    def test_itBeginsWithTheWallClock(self) -> None:
        """What others are told means something to them."""
        self.steady()
        self.assertEqual(self.reactor.seconds(), self.wall)

    def test_timersComeWhenTheWallClockIsSetBack(self) -> None:
        """By an hour or a second, once or twice: they come after as many seconds as they were to wait."""
        self.steady()
        for step in (-3600.0, -1.0):
            called: list[float] = []
            self.reactor.callLater(2.0, called.append, step)
            self.wall += step
            self.pass_(1.9)
            self.assertEqual(called, [])
            self.pass_(0.2)
            self.assertEqual(called, [step])
        self.assertAlmostEqual(self.reactor.seconds(), self.wall + 3601.0)

    def test_itFollowsTheWallClockForward(self) -> None:
        """A machine that has learnt what time it is, or has slept, says so; and no moment comes twice."""
        self.steady()
        self.wall += 50 * 365 * 86400.0
        self.assertEqual(self.reactor.seconds(), self.wall)
        self.wall -= 10.0
        self.pass_(4.0)
        self.assertAlmostEqual(self.reactor.seconds(), self.wall + 10.0)
        self.wall += 7.0
        self.assertAlmostEqual(self.reactor.seconds(), self.wall + 3.0)
        self.wall += 7.0
        self.assertEqual(self.reactor.seconds(), self.wall)

    def test_whoIsStoppedWhileItLooksIsNotAhead(self) -> None:
        """Between the two clocks that it reads."""

        stopped = False

        def read(clock: str) -> float:
            seen: float = getattr(self, clock)
            if stopped:
                self.wall += 60.0
                self.elapsed += 60.0
            return seen

        steady(self.reactor, lambda: read("wall"), lambda: read("elapsed"))
        stopped = True
        self.reactor.seconds()
        stopped = False
        self.assertEqual(self.reactor.seconds(), self.wall)

    def test_withoutItTheyDoNot(self) -> None:
        """It is Twisted's own reactor that has to be mended."""
        called: list[None] = []
        self.reactor.callLater(2.0, called.append, None)
        self.wall -= 3600.0
        self.pass_(3600.0)
        self.assertEqual(called, [])
        self.pass_(2.1)
        self.assertEqual(called, [None])

    def test_daemonsHaveIt(self) -> None:
        """That of the process is mended, and one that is given is left alone."""
        self.assertIs(_reactor(self.reactor), self.reactor)
        self.assertEqual(self.reactor.seconds(), 1_000_000.0)
        self.wall += 7.0
        self.assertEqual(self.reactor.seconds(), 1_000_007.0)
        self.addCleanup(delattr, reactor, "seconds")
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        before = reactor.seconds()
        self.assertEqual(before, 1_000_007.0)
        self.assertIs(_reactor(None), reactor)
        self.wall -= 7000.0
        self.assertGreater(reactor.seconds() - before, 1_000_000.0)
