"""
Tests for L{p2p.daemon.where}.
"""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from p2p.daemon.where import BadEndpoint, Where, isLoopback, splitEndpoint


class WhereTests(SynchronousTestCase):
    """What an endpoint string says of who can connect."""

    def test_aLoopbackInterfaceIsLocal(self) -> None:
        """Of either family, and by its name."""
        for text in (
            "tcp:8001:interface=127.0.0.1",
            "tcp:port=8001:interface=127.8.8.8",
            r"tcp6:8001:interface=\:\:1",
            "tcp:8001:interface=localhost",
            "unix:/some/path",
        ):
            self.assertTrue(Where.fromText(text).isLocal, text)

    def test_anyOtherInterfaceIsNot(self) -> None:
        """No interface means all of them."""
        for text in (
            "tcp:8001",
            "tcp:8001:interface=0.0.0.0",
            "tcp:8001:interface=192.0.2.1",
            "tcp6:8001",
            r"tcp6:8001:interface=\:\:",
            "tcp:8001:interface=example.com",
        ):
            self.assertFalse(Where.fromText(text).isLocal, text)

    def test_aSocketIsForThisUserUnlessSaidOtherwise(self) -> None:
        """Twisted's own default would be for everybody."""
        self.assertEqual(Where.fromText("unix:/a").mode, 0o600)
        self.assertEqual(Where.fromText("unix:/a:mode=660").mode, 0o660)
        self.assertEqual(Where.fromText(r"unix:/a\:b").path, "/a:b")

    def test_whatIsNoneIsRefused(self) -> None:
        """In one line that shows one."""
        bad = ("", "x", "tcp", "tcp:", "tcp:abc", "tcp:70000", "tcp:1:nonsense=2", "tcp:-1", "unix:/a:mode=x", "unix:")
        for text in (*bad, "tcp:8_001", "tcp:+8001", "tcp: 8001"):
            error = self.assertRaises(BadEndpoint, Where.fromText, text)
            self.assertIn("--http", str(error))
            self.assertNotIn("\n", str(error))

    def test_itMakesTheEndpoint(self) -> None:
        """A socket's without Twisted's lock, since the daemon has its own."""
        reactor = MemoryReactorClock()
        self.assertIsInstance(Where.fromText("tcp:8001").endpoint(reactor), TCP4ServerEndpoint)
        endpoint = Where.unix("/a").endpoint(reactor)
        self.assertIsInstance(endpoint, UNIXServerEndpoint)
        endpoint.listen(Factory())
        self.assertEqual([(path, mode, lock) for path, _, _, mode, lock in reactor.unixServers], [("/a", 0o600, False)])

    def test_splittingHeedsBackslashes(self) -> None:
        """As Twisted does."""
        self.assertEqual(splitEndpoint(r"tcp6:1:interface=\:\:1"), ("tcp6", ["1"], {"interface": "::1"}))

    def test_whatCannotBeToldIsNotLoopback(self) -> None:
        """Better a token too many."""
        self.assertFalse(isLoopback("example.com"))
        self.assertFalse(isLoopback(""))
