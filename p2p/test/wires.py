"""
Connections in memory, for the tests of what runs over them.

A L{Wire} is one end: what is written to it stays until it is taken, or until
L{join} carries it to the other end, whole or in pieces.  It is as full as the
test says, and is closed when the test, or the other end, says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

from p2p.address import Address
from p2p.settings import LinkSettings
from p2p.wire.codec import Decoder
from p2p.wire.factory import LinkFactory
from p2p.wire.link import Handlers, Link
from p2p.wire.messages import AnyMessage, Contact, Hello

HERE = IPv4Address("TCP", "10.0.0.1", 6001)
THERE = IPv4Address("TCP", "10.0.0.2", 40000)


def contact(number: int, incarnation: int = 1) -> Contact:
    """The contact of the test's peer of that number."""
    return Contact(identity(number, incarnation), f"10.0.0.{number}:6001")


def identity(number: int, incarnation: int = 1) -> bytes:
    """The identity of the test's node of that number."""
    return bytes([number]) * 8 + incarnation.to_bytes(8, "big")


@implementer(ITCPTransport)
class Wire:
    """
    One end of a connection.

    @ivar writes: every single write, for tests that count them.
    @ivar blocked: the other end takes nothing.
    @ivar losing: C{loseConnection} was called.
    @ivar aborted: C{abortConnection} was called.
    @ivar lost: the protocol was told that the connection is gone.
    """

    def __init__(self, protocol: Protocol, host: IPv4Address = HERE, peer: IPv4Address = THERE) -> None:
        self.protocol = protocol
        self.writes: list[bytes] = []
        self.blocked = self.losing = self.aborted = self.lost = self.noDelay = False
        self.producer: Any = None
        self._unsent: list[bytes] = []
        self._host = host
        self._peer = peer
        protocol.makeConnection(self)

    # What a protocol calls.

    def write(self, data: bytes) -> None:
        """Take bytes, and call the producer off if nobody reads them."""
        assert type(data) is bytes
        if self.lost or self.aborted or self.losing:
            return
        self.writes.append(data)
        self._unsent.append(data)
        if self.blocked and self.producer is not None:
            self.producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        """The same."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close once all is sent."""
        self.losing = True

    def loseWriteConnection(self) -> None:
        """Not used."""
        raise NotImplementedError

    def abortConnection(self) -> None:
        """Close at once."""
        self.aborted = True

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Somebody wants to be told when this is full."""
        assert self.producer is None and streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        """And no longer."""
        self.producer = None

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Send small segments at once."""
        self.noDelay = enabled

    def getTcpNoDelay(self) -> bool:
        """Whether that was asked for."""
        return self.noDelay

    def getTcpKeepAlive(self) -> bool:
        """It is not."""
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Not used."""
        raise NotImplementedError

    def getHost(self) -> IPv4Address:
        """This end."""
        return self._host

    def getPeer(self) -> IPv4Address:
        """The other."""
        return self._peer

    # What a test calls.

    def block(self) -> None:
        """The other end stops reading: the transport is full."""
        self.blocked = True
        if self.producer is not None:
            self.producer.pauseProducing()

    def unblock(self) -> None:
        """The other end has read everything."""
        self.blocked = False
        if self.producer is not None:
            self.producer.resumeProducing()

    def take(self) -> bytes:
        """What was written since this was last called."""
        taken = b"".join(self._unsent)
        self._unsent.clear()
        return taken

    def messages(self) -> list[AnyMessage]:
        """The same, decoded."""
        return list(Decoder(2**31).feed(self.take()))

    def drop(self, clean: bool = False) -> None:
        """The connection is gone."""
        assert not self.lost
        self.lost = True
        self.producer = None
        self.protocol.connectionLost(Failure(ConnectionDone() if clean else ConnectionLost()))


def join(first: Wire, second: Wire, size: int = 2**16) -> None:
    """
    Carry what was written between two ends until nothing is left to carry, and the end if one came.

    @param size: how many bytes arrive in one piece.
    """
    ends = ((first, second), (second, first))
    moved = True
    while moved:
        moved = False
        for source, target in ends:
            data = b"" if source.blocked or source.aborted else source.take()
            for start in range(0, len(data), size):
                moved = True
                if not (target.lost or target.aborted):
                    target.protocol.dataReceived(data[start : start + size])
        for source, target in ends:
            if source.lost or not (source.aborted or (source.losing and not source._unsent)):
                continue
            moved = True
            source.drop(clean=not source.aborted)
            if not target.lost:
                target.drop(clean=not source.aborted)


class Node(LinkFactory):
    """
    A node that lets in whoever introduces itself.

    @ivar handlers: what it takes from them.
    @ivar came: who introduced itself.
    @ivar ended: links that ended, in order.
    @ivar forsaken: links whose goodbye was not answered.
    """

    def __init__(
        self,
        number: int,
        reactor: MemoryReactorClock | None = None,
        maxLinks: int = 100,
        incarnation: int = 1,
        **settings: Any,
    ) -> None:
        self.memory = reactor or MemoryReactorClock()
        super().__init__(
            self.memory,
            LinkSettings(**settings),
            identity(number, incarnation),
            Address("10.0.0." + str(number), 6001),
            maxLinks,
        )
        self.handlers: Handlers = {}
        self.limit = 2**20
        self.came: list[Hello] = []
        self.ended: list[Link] = []
        self.forsaken: list[Link] = []
        self.onEnd: Callable[[Link], object] = lambda link: None

    def introduced(self, link: Link, hello: Hello, now: float) -> None:
        """Let it in."""
        self.came.append(hello)
        self.welcome(link, hello, self.handlers, self.limit)

    def linkEnded(self, link: Link, now: float) -> None:
        """Take note."""
        super().linkEnded(link, now)
        self.ended.append(link)
        self.onEnd(link)

    def unanswered(self, link: Link) -> None:
        """Take note."""
        self.forsaken.append(link)

    def accept(self, host: str = "10.0.0.2") -> tuple[Link, Wire]:
        """Somebody connects."""
        peer = IPv4Address("TCP", host, 40000)
        link = self.buildProtocol(peer)
        assert link is not None
        return link, Wire(link, HERE, peer)

    def connected(self, place: int = -1) -> Wire:
        """The dial of that place succeeds."""
        host, port, factory, _, _ = self.memory.tcpClients[place]
        there = IPv4Address("TCP", host, port)
        protocol: Any = factory.buildProtocol(there)
        return Wire(protocol, HERE, there)

    def failed(self, error: Exception, place: int = -1) -> None:
        """The dial of that place fails."""
        factory = self.memory.tcpClients[place][2]
        factory.clientConnectionFailed(self.memory.connectors[place], Failure(error))

    def reached(self, other: Node, place: int = -1) -> tuple[Wire, Wire]:
        """The dial of that place reaches another node: this end, and that one's."""
        mine = self.connected(place)
        link = other.buildProtocol(HERE)
        assert link is not None
        return mine, Wire(link, THERE, HERE)
