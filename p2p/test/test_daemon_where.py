"""
Tests for L{p2p.daemon.where}.
"""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from p2p.daemon.where import BadEndpoint, Where, hostName, isLoopback, readHostNames, splitEndpoint


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

    def test_aModeIsThreeOctalDigits(self) -> None:
        """Whatever else Python takes for an octal number, or the system for a mode, was not meant."""
        self.assertEqual(Where.fromText("unix:/a:mode=0660").mode, 0o660)
        for mode in ("-1", "7777", "1660", "0o660", "6_60", "66", "888", "", "+660"):
            error = self.assertRaises(BadEndpoint, Where.fromText, f"unix:/a:mode={mode}")
            self.assertIn(f"mode={mode} is not three octal digits", str(error))

    def test_whatWouldBePassedOverIsRefused(self) -> None:
        """A socket's other arguments, and a second path."""
        self.assertEqual(Where.fromText("unix:address=/a=b:mode=600").path, "/a=b")
        for text in ("unix:/a:backlog=5", "unix:/a:lockfile=0", "unix:/a:/b", "unix:/a:address=/b", "unix:mode=600"):
            error = self.assertRaises(BadEndpoint, Where.fromText, text)
            self.assertIn("a UNIX socket has one path, and nothing else here than a mode=", str(error))

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


class HostTests(SynchronousTestCase):
    """The names under which a host is asked for."""

    def test_anAddressHasOneForm(self) -> None:
        """However it is written, and an IPv4 one also inside an IPv6 one."""
        self.assertEqual(hostName("[0:0:0:0:0:0:0:1]:80"), "::1")
        self.assertEqual(hostName("[::ffff:192.0.2.1]"), "192.0.2.1")

    def test_aHostThatOnlyBeginsLikeThisOneIsAnother(self) -> None:
        """What a client sends is taken as a whole, not up to the first thing that looks right."""
        for host in ("[127.0.0.1].evil.com", "[::1]evil", "127.0.0.1%evil.com", "localhost:x@evil", "localhost:999999"):
            self.assertEqual("", hostName(host), host)

    def test_namesAreReadAsTheyWillBeCompared(self) -> None:
        """In small letters, addresses in their one form."""
        self.assertEqual(
            readHostNames("Node1.Example, [2001:DB8:0::1],::ffff:192.0.2.1, 192.0.2.2,"),
            {"node1.example", "2001:db8::1", "192.0.2.1", "192.0.2.2"},
        )

    def test_aNameThatCouldNeverBeAskedForIsRefused(self) -> None:
        """With a port, a scheme or a path, it would let nobody in."""
        wrong = ("node1:8001", "http://node1", "http://node1:8001/", "node1/", "[::1]:8001", "a b", "b\u00fccher", ":")
        for name in wrong:
            error = self.assertRaises(ValueError, readHostNames, f"node2,{name}")
            self.assertEqual(
                str(error), f"{name!r} is no host name or IP address; scheme and port are no part of it"
            )
