"""
Tests for L{p2p.simulation.interrupt}.
"""

from __future__ import annotations

import signal

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from p2p.simulation.interrupt import interruptible


class InterruptibleTests(SynchronousTestCase):
    """Ctrl-C, which is raised here at a moment that is known."""

    def setUp(self) -> None:
        """Handle it as Python does by default, whatever the tests' runner does."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)

    def test_whatADeferredSwallowedIsRaisedAgain(self) -> None:
        """Before it came there is nothing to raise; afterwards Python's own way is back."""
        with interruptible() as check:
            check()
            done: Deferred[None] = Deferred()
            done.addCallback(lambda _: signal.raise_signal(signal.SIGINT))
            done.callback(None)
            self.failureResultOf(done, KeyboardInterrupt)
            self.assertRaises(KeyboardInterrupt, check)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)

    def test_whereNobodySwallowsItItIsRaisedAtOnce(self) -> None:
        """As without it."""
        with interruptible():
            self.assertRaises(KeyboardInterrupt, signal.raise_signal, signal.SIGINT)

    def test_aProgramsOwnWayIsLeftAlone(self) -> None:
        """It may want to go on."""
        came: list[int] = []
        signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
        with interruptible() as check:
            signal.raise_signal(signal.SIGINT)
            check()
        self.assertEqual(came, [signal.SIGINT])
