"""
TLS on a simulated connection. Twisted's TLS runs over any transport, so there is little to do: to put it on top of a
connection that exists, and to give it the clock of its host.

The randomness of OpenSSL is out of reach: no seed determines its bytes, nor quite how many they are. So a run with TLS
is determined by its seed only where no time depends on the size of a segment.

It needs pyOpenSSL, which not every installation has: it is loaded by whoever uses it, not by the simulation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorTime, ISSLTransport
from zope.interface import directlyProvides

from p2p.simulation.guard import STAND_IN

if TYPE_CHECKING:
    from p2p.simulation.tcp import Connection


def isTls(protocol: object) -> bool:
    """
    Is that a TLS protocol? Nothing is while nobody has loaded TLS.
    """
    loaded = sys.modules.get("twisted.protocols.tls")
    return loaded is not None and isinstance(protocol, loaded.TLSMemoryBIOProtocol)


def start(connection: Connection, contextFactory: Any, normal: bool) -> None:
    """
    Go on under TLS with a connection that began in the clear.

    @param normal: Whether the side that has connected is the client of TLS, too.
    """
    from twisted.protocols.tls import TLSMemoryBIOFactory

    producer, streaming = connection.producer, connection.streamingProducer
    if producer is not None:
        connection.unregisterProducer()
    isClient = (connection.connector is not None) == bool(normal)
    factory = TLSMemoryBIOFactory(contextFactory, isClient, None, connection.reactor)  # type: ignore[arg-type]
    secured = factory.protocol(factory, connection.protocol, False)
    connection.secure(secured)
    directlyProvides(connection, ISSLTransport)
    secured.makeConnection(_Wire(connection))
    if producer is not None:
        connection.registerProducer(producer, streaming)


def lendClock(protocol: Any, clock: IReactorTime) -> None:
    """
    Let TLS that was made without a clock of its own use that of its host, instead of the global reactor which it has
    taken for want of a better one.

    @param protocol: What may be a TLS protocol, or any other.
    """
    if isTls(protocol):
        for holder in (protocol.factory, getattr(protocol, "_aggregator", None)):
            taken = getattr(holder, "_clock", None)
            if taken is not None and (taken is STAND_IN or taken is sys.modules.get("twisted.internet.reactor")):
                holder._clock = clock  # type: ignore[union-attr]


class _Wire:
    """
    A connection as the TLS layer sees it that was put on top of it with C{startTLS}: below TLS.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.write = connection.writePlain
        self.loseConnection = connection.losePlainConnection
        self.registerProducer = connection.registerPlainProducer
        self.unregisterProducer = connection.unregisterPlainProducer

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Write several pieces.
        """
        self.write(b"".join(iovec))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
