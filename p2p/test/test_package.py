"""
What the package offers by name.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import p2p


class PublicNamesTests(SynchronousTestCase):
    """The few public names."""

    def test_eachIsThere(self) -> None:
        """Each name is that of the thing in its module."""
        from p2p.address import readConfig
        from p2p.peer.service import PeerService

        self.assertIs(PeerService, p2p.PeerService)
        self.assertIs(readConfig, p2p.readConfig)
        for name in p2p._HOMES:
            self.assertEqual(name, getattr(p2p, name).__name__)
            self.assertIn(name, dir(p2p))

    def test_noOther(self) -> None:
        """Another name is an error like any module's."""
        self.assertRaises(AttributeError, getattr, p2p, "Nobody")

    def test_importingIsCheap(self) -> None:
        """To import the package loads nothing of Twisted: twistd does it for every command."""
        program = "import sys, p2p; sys.exit('twisted' in sys.modules)"
        self.assertEqual(0, subprocess.run([sys.executable, "-c", program]).returncode)
