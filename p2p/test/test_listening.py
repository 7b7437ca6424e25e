"""
Tests for L{p2p.listening}, in memory.
"""

from __future__ import annotations

from typing import Any, NoReturn

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from p2p.listening import BACKLOG, listen


class _Taken(MemoryReactorClock):
    """A reactor of a machine whose ports are all taken."""

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> NoReturn:
        raise CannotListenError(interface, port, OSError("Address already in use"))


class ListenTests(SynchronousTestCase):
    """Listening at once or not at all."""

    def setUp(self) -> None:
        """A factory of nothing in particular."""
        self.factory: Factory[Protocol] = Factory.forProtocol(Protocol)

    def test_listensOnTheAddressOfEitherFamily(self) -> None:
        """Where it was told to, with the long queue that a busy node needs."""
        reactor = MemoryReactorClock()
        for host in ("127.0.0.1", "::1"):
            self.assertIsNotNone(listen(reactor, host, 6001, self.factory))
            number, factory, backlog, interface = reactor.tcpServers[-1]
            self.assertEqual((number, backlog, interface), (6001, BACKLOG, host))
            self.assertIs(factory, self.factory)

    def test_aTakenPortIsAnErrorAtOnce(self) -> None:
        """Not a failure that nobody looks at: a daemon that is deaf must not run."""
        for host in ("127.0.0.1", "::1"):
            with self.assertRaises(CannotListenError):
                listen(_Taken(), host, 6001, self.factory)
