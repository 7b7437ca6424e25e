"""
How TCP connections come about: ports that listen, and connectors that call.

The handshake is three packets. The first goes out again after 1, 3, 7, ... seconds as long as nothing comes back, so
that a host which is down, cut off or full is silence until the caller's patience ends; a host that is up but does not
listen refuses after one round trip. The caller has its connection after one round trip, the other side half a one
later, when the third packet arrives; data that follows it at once is never there earlier.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet import error
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.base import BaseConnector
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IConnector, IListeningPort
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from p2p.simulation.clock import LOGGED
from p2p.simulation.host import ANY, LOOPBACK, collides
from p2p.simulation.tcp import Connection, Where, addressOf

if TYPE_CHECKING:
    from p2p.simulation.reactor import SimulatedReactor

FIRST_RETRY = 1.0
"""Seconds after which the first packet of a handshake is sent again; doubled each time."""

RETRIES = 6
"""How often it is sent again before the kernel gives up (after 127 seconds)."""

HALF_OPEN = 63.0
"""Seconds for which the kernel of a port waits for the third packet: it sends the second again five times."""


def bindError(interface: str, port: int, number: int) -> error.CannotListenError:
    """
    Make the exception for an address that cannot be bound.

    @param number: Why, as the system numbers its errors.
    """
    return error.CannotListenError(interface, port, OSError(number, os.strerror(number)))


@implementer(IListeningPort)
class Port:
    """
    A TCP port that listens, as C{listenTCP} returns it.

    @ivar interface: The address it is bound to.
    @ivar backlog: How many connections may wait for the process to take them.
    """

    _stopped: Deferred[None] | None = None

    def __init__(self, reactor: SimulatedReactor, port: int, factory: Any, backlog: int, interface: str) -> None:
        self.reactor = reactor
        self.factory = factory
        self.backlog = backlog
        self.interface = reactor.network.numeric(interface) or reactor.host.anyAddress()
        self.port = port
        self.listening = False
        self._waiting = 0

    def startListening(self) -> None:
        """
        Bind the address and begin to take connections.

        @raise error.CannotListenError: if the address is taken, or is not one of this host.
        @raise OverflowError: if there is no such port number.
        """
        host = self.reactor.host
        if not host.owns(self.interface):
            raise bindError(self.interface, self.port, errno.EADDRNOTAVAIL)
        if not 0 <= self.port <= 65535:
            raise OverflowError("bind(): port must be 0-65535.")
        if self.port == 0:
            try:
                self.port = host.ephemeralPort()
            except OSError as full:
                raise error.CannotListenError(self.interface, 0, full) from full
        if any(collides(self.interface, other.interface) for other in host.ports.get(self.port, ())):
            raise bindError(self.interface, self.port, errno.EADDRINUSE)
        host.ports.setdefault(self.port, []).append(self)
        self.listening = True
        try:
            # It may want to listen itself, and then finds the address taken.
            self.factory.doStart()
        except BaseException:
            self.close()
            raise

    def stopListening(self) -> Deferred[None] | None:
        """
        Take no more connections, from the reactor's next turn on.

        @return: A Deferred that fires when the address is free again.
        """
        if not self.listening:
            return succeed(None)
        if self._stopped is None:
            self._stopped = Deferred()
            self.reactor.callLater(0, self.stop)
        return self._stopped

    loseConnection = stopListening

    def stop(self) -> None:
        """
        Give the address back, and tell the factory.
        """
        listening, stopped, self._stopped = self.listening, self._stopped, None
        self.close()
        try:
            if listening:
                self.factory.doStop()
        finally:
            if stopped is not None:
                stopped.callback(None)

    def close(self) -> None:
        """
        Give the address back.
        """
        if self.listening:
            self.listening = False
            others = self.reactor.host.ports[self.port]
            others.remove(self)
            if not others:
                del self.reactor.host.ports[self.port]

    def getHost(self) -> IAddress:
        """
        The address it is bound to.
        """
        return addressOf("TCP", (self.interface, self.port))

    @property
    def full(self) -> bool:
        """
        Whether the backlog is.
        """
        return self._waiting > self.backlog

    def arrived(self, end: Connection) -> None:
        """
        The handshake is done: the kernel keeps the connection for the process to take.
        """
        if end.givenUp:
            if self.reactor.host.up:
                end.sendReset()
            return
        if not self.listening:
            end.vanish(silently=not self.reactor.host.up)
            return
        if end.halfOpen is not None:
            self.reactor.clock.withdraw(*end.halfOpen)
            end.halfOpen = None
        self._waiting += 1
        self.reactor.host.tell(partial(self._accept, end))

    def _accept(self, end: Connection) -> None:
        self._waiting -= 1
        if end.disconnected:
            return
        log = self.reactor.log
        protocol = None
        with log.failuresHandled("while {factory} was to build a protocol", factory=self.factory):
            protocol = self.factory.buildProtocol(end.getPeer())
        if protocol is None:
            end.lose(Failure(error.ConnectionDone("Connection done")))
            return
        with log.failuresHandled("while {protocol} was given its connection", protocol=protocol):
            end.open(protocol)

    def __repr__(self) -> str:
        """
        Say where it listens.
        """
        return f"<Port {self.interface}:{self.port} of {self.reactor.host.address} for {self.factory!r}>"


@implementer(IConnector)
class Connector(BaseConnector):
    """
    A call to a TCP port, as C{connectTCP} returns it.
    """

    reactor: Any
    transport: Any

    def __init__(
        self,
        reactor: SimulatedReactor,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float | None,
        bindAddress: tuple[str, int] | None,
    ) -> None:
        BaseConnector.__init__(self, factory, timeout, reactor)  # type: ignore[arg-type]
        self.host = host
        self.port = port
        self.bindAddress = bindAddress

    def _makeTransport(self) -> Any:
        return Attempt(self)

    def getDestination(self) -> IAddress:
        """
        Whom this calls.
        """
        return addressOf("TCP", (self.host, self.port))


class Attempt:
    """
    A connection that is being tried: the caller's side until the handshake is done.

    @ivar answered: Whether the system is connected; a stopped process does not know yet.
    @ivar over: Whether it has come to an end, one way or the other.
    """

    __slots__ = ("_connector", "_local", "_remote", "_tries", "answered", "over")

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self.answered = False
        self.over = False
        self._tries = 0
        self._local: Where = ("", 0)
        self._remote: Where = (connector.host, connector.port)
        reactor: SimulatedReactor = connector.reactor
        reactor.clock.at(reactor.clock.now, partial(reactor.host.tell, self._begin))

    def failIfNotConnected(self, reason: BaseException | Failure) -> None:
        """
        End this attempt with an error, if it is not over yet.
        """
        if not self.over:
            self._end()
            self._connector.connectionFailed(Failure(reason))

    def _end(self) -> None:
        """
        Nobody calls from this side's address any more.
        """
        self.over = True
        self._connector.reactor.host.calling.pop(self._local, None)

    def loseConnection(self) -> None:
        """
        Give the attempt up.
        """
        self.failIfNotConnected(error.UserError())

    def _begin(self) -> None:
        """
        Find out where to call.
        """
        connector = self._connector
        reactor: SimulatedReactor = connector.reactor
        if self.over or not reactor.alive:
            return
        # Twisted's reactors take a name of bytes, too, as some of its protocols give them.
        name = connector.host if isinstance(connector.host, str) else connector.host.decode("ascii", "backslashreplace")
        if isIPAddress(name) or isIPv6Address(name):
            self._bind(reactor.network.numeric(name))
        else:
            found = reactor.resolve(name)
            found.addCallbacks(self._bind, lambda failure: self.failed(failure.value))

    def _bind(self, address: str) -> None:
        """
        Bind this side, and call.
        """
        connector = self._connector
        reactor: SimulatedReactor = connector.reactor
        host = reactor.host
        if self.over or not reactor.alive:
            return
        if address in ("0.0.0.0", "::"):
            address = "127.0.0.1" if address == "0.0.0.0" else "::1"
        if not 0 <= connector.port <= 65535:
            self.failed(OverflowError("connect_ex(): port must be 0-65535."))
            return
        source, port = host.sourceFor(address), 0
        if connector.bindAddress is not None:
            source, port = connector.bindAddress
            source = host.sourceFor(address) if source in ANY else reactor.network.numeric(source)
            refusal: error.ConnectError | None = None
            if not host.owns(source):
                refusal = error.ConnectBindError(99, "Cannot assign requested address")
            elif port and host.hasBound(source, port):
                refusal = error.ConnectBindError(98, "Address already in use")
            elif source in LOOPBACK and not host.owns(address):
                refusal = error.ConnectError(22, "Invalid argument")
            if refusal is not None:
                self.failed(refusal)
                return
        if isIPv6Address(address) != isIPv6Address(source):
            self.failed(error.NoRouteError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH)))
            return
        host.chosen |= port != 0
        try:
            self._local = (source, port or host.ephemeralPort())
        except OSError as full:
            self.failed(error.ConnectError(errno.EADDRNOTAVAIL, str(full)))
            return
        host.calling[self._local] = self
        self._remote = (address, connector.port)
        self._call()

    def _call(self) -> None:
        """
        Send the first packet, and see to it that it is sent again.
        """
        connector = self._connector
        reactor: SimulatedReactor = connector.reactor
        if self.answered or self.over or not reactor.alive:
            return
        wait = FIRST_RETRY * 2**self._tries
        self._tries += 1
        if self._tries > RETRIES + 1:
            reactor.host.tell(partial(self.failed, error.TCPTimedOutError(110, "Connection timed out")))
            return
        reactor.clock.at(reactor.clock.now + wait, self._call)
        reactor.network.faults.send(self._local[0], self._remote[0], 0, self._called)

    def _called(self) -> None:
        """
        The first packet has arrived there.
        """
        network = self._connector.reactor.network
        address, number = self._remote
        host = network.hostAt(address, self._connector.reactor.host)
        if host is None or not host.up:
            return
        port = host.listener(address, number)
        if port is None:
            answer: Any = self._refused
        elif port.full:
            return
        else:
            answer = partial(self._answered, port)
        network.faults.send(address, self._local[0], 0, answer)

    def _refused(self) -> None:
        refused = error.ConnectionRefusedError(111, "Connection refused")
        self._connector.reactor.host.tell(partial(self.failed, refused))

    def failed(self, reason: Exception) -> None:
        """
        End this attempt with an error, if it is not over yet and its process lives; log what the factory raises.
        """
        reactor: SimulatedReactor = self._connector.reactor
        if reactor.alive:
            with reactor.log.failuresHandled("while a factory was told that it is not connected"):
                self.failIfNotConnected(reason)

    def _answered(self, port: Port) -> None:
        """
        The second packet is here: this side is connected, and the third packet is sent.
        """
        connector = self._connector
        reactor: SimulatedReactor = connector.reactor
        if self.answered or self.over or not reactor.alive:
            return
        self.answered = True
        mine = Connection(reactor, self._local, connector)
        theirs = Connection(port.reactor, self._remote)
        mine.join(theirs)
        mine.sendControl(partial(port.arrived, theirs))
        if mine.stream is not None:
            # It is not certain that the third packet arrives.
            until = reactor.clock.now + HALF_OPEN
            reactor.clock.at(until, theirs.giveUpHalfOpen)
            theirs.halfOpen = until, reactor.clock.number
        reactor.host.tell(partial(self._connected, mine))

    def _connected(self, end: Connection) -> None:
        connector = self._connector
        if self.over:
            # Given up by a process that was stopped, before it learnt that it is connected.
            end.lose(Failure(error.ConnectionDone("Connection done")))
            return
        if end.broken:
            # Reset before a process that was stopped learnt that it is connected.
            end.vanish(silently=True)
            self.failed(error.ConnectError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
            return
        self._end()
        connector.transport = end
        log = connector.reactor.log
        try:
            protocol = connector.buildProtocol(end.getPeer())
        except LOGGED:
            failure = Failure()
            log.failure("Unhandled error while connecting to {address}", failure, address=end.getPeer())
            end.lose(failure)
            with log.failuresHandled("while a factory was told that it is not connected"):
                connector.connectionFailed(Failure(error.ConnectError(string=failure)))
            return
        try:
            if protocol is None:
                end.protocol = Protocol()
                end.loseConnection()
            else:
                end.open(protocol)
        except LOGGED:
            end.failed(Failure())
