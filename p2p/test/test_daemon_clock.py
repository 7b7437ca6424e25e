"""
Tests for p2p.daemon.clock.
"""

from __future__ import annotations

from twisted.internet import base, reactor
from twisted.internet.selectreactor import SelectReactor
from twisted.trial.unittest import SynchronousTestCase

from p2p.daemon.clock import steady
from p2p.daemon.service import _reactor


class SteadyTests(SynchronousTestCase):
    """A reactor whose clock nobody sets."""

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

    def test_timersComeWhenTheWallClockIsSet(self) -> None:
        """Back or forward, an hour or a second: they come after as many seconds as they were to wait."""
        self.steady()
        for step in (-3600.0, 3600.0, -1.0, 1.0):
            called: list[float] = []
            self.reactor.callLater(2.0, called.append, step)
            self.wall += step
            self.pass_(1.9)
            self.assertEqual(called, [])
            self.pass_(0.2)
            self.assertEqual(called, [step])

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
        before = reactor.seconds()
        self.assertEqual(before, 1_000_007.0)
        self.assertIs(_reactor(None), reactor)
        self.wall += 7000.0
        self.assertGreater(reactor.seconds() - before, 1_000_000.0)
