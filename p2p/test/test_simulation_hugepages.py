"""
Large pages: asked for where they exist, and never in the way.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from p2p.simulation import hugepages


class HugePagesTests(SynchronousTestCase):
    """Memory is put into large pages as far as that goes."""

    def test_whatIsThereIsKept(self) -> None:
        """Contents are as before; something was asked for where the kernel tells of memory."""
        block = bytearray(os.urandom(1024) * 16 * 1024)
        before = bytes(block)
        asked = hugepages.useHugePages()
        self.assertEqual(block, before)
        if os.path.exists("/proc/self/maps"):
            self.assertGreaterEqual(asked, len(block))

    def test_elsewhereNothingHappens(self) -> None:
        """A system without that file has no memory that could be named."""

        def missing(*arguments: object, **options: object) -> None:
            raise FileNotFoundError

        hugepages.open = missing  # type: ignore[attr-defined]
        self.addCleanup(delattr, hugepages, "open")
        self.assertEqual(hugepages.useHugePages(), 0)
