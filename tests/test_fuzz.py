"""
A short run of L{tests.fuzz}: some seconds of what C{python -m tests.fuzz --daemon} does for long.
"""

from __future__ import annotations

import os
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase, TestCase

from p2p.wire import codec
from p2p.wire.messages import AnyMessage
from tests.fuzz import Finding, fuzzCodec, fuzzDaemons


class CodecTests(SynchronousTestCase):
    """Inputs to the codec alone."""

    def test_itGivesMessagesOrItsOneError(self) -> None:
        """For fifty thousand inputs, of which each kind has come."""
        figures = fuzzCodec(50_000, 60.0, 7)
        self.assertEqual(figures["inputs"], 50_000)
        types = [type.__name__ for type in get_args(AnyMessage)]
        for outcome in ("malformed", "too large", "incomplete", *types):
            self.assertGreater(figures["outcomes"][outcome], 100, outcome)

    def test_anErrorOfAnotherKindWouldBeFound(self) -> None:
        """The fuzzer fails when the codec does."""

        def broken(body: bytes) -> object:
            if len(body) == 30:
                raise KeyError("a bug")
            return decode(body)

        decode = codec._decode
        self.patch(codec, "_decode", broken)
        self.assertRaises(Finding, fuzzCodec, 50_000, 60.0, 7)


class DaemonTests(TestCase):
    """Attacks on daemons."""

    timeout = 120

    def test_theyStandIt(self) -> None:
        """A seed and two peers, some seconds."""
        directory = os.path.abspath(self.mktemp())
        os.makedirs(directory)
        figures = fuzzDaemons(10_000, 12.0, 7, directory)
        self.assertGreater(figures["connections"], 100)
        self.assertGreater(figures["frames"], 1000)
