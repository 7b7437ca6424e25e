"""
Datagrams: each takes its own time, may be lost or overtaken, and nobody says so.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet import error
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from p2p.simulation.clock import LOGGED
from p2p.simulation.host import ANY, LOOPBACK, collides
from p2p.simulation.listening import bindError
from p2p.simulation.tcp import Where, addressOf

if TYPE_CHECKING:
    from p2p.simulation.reactor import SimulatedReactor

MAXIMUM_SIZE = 65507
"""The most bytes in one datagram."""

MAXIMUM_HELD = 1000
"""How many datagrams the kernel keeps for each port of a stopped process; the rest is lost."""

_MANY_PORTS = 1 << 31
"""More than any network has, and so few that a product of two serials has at most 63 bits."""


@implementer(IListeningPort, IUDPTransport)
class DatagramPort:
    """
    A UDP port, as C{listenUDP} returns it and a C{DatagramProtocol} has it for its transport.

    @ivar interface: The address it is bound to.
    @ivar serial: A number that tells this port from all others of the network.
    @ivar kept: How many datagrams the kernel keeps for it.
    """

    def __init__(
        self, reactor: SimulatedReactor, port: int, protocol: DatagramProtocol, interface: str, maxPacketSize: int
    ) -> None:
        if interface and not (isIPAddress(interface) or isIPv6Address(interface)):
            raise error.InvalidAddressError(interface, "not an IPv4 or IPv6 address.")
        self.reactor = reactor
        self.port = port
        self.serial = reactor.network.nextSerial()
        self.protocol = protocol
        self.interface = reactor.network.numeric(interface) or reactor.host.anyAddress()
        self.maxPacketSize = maxPacketSize
        self.listening = False
        self.kept = 0
        self._remote: Where | None = None
        self._broadcast = False
        self._stopped: Deferred[None] | None = None

    def startListening(self) -> None:
        """
        Bind the address and begin to take datagrams.

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
        others = host.datagramPorts.setdefault(self.port, [])
        if any(collides(self.interface, other.interface) for other in others):
            raise bindError(self.interface, self.port, errno.EADDRINUSE)
        others.append(self)
        self.listening = True
        self.protocol.makeConnection(self)

    def stopListening(self) -> Deferred[None] | None:
        """
        Take no more datagrams, from the reactor's next turn on.
        """
        if not self.listening:
            return succeed(None)
        if self._stopped is None:
            self._stopped = Deferred()
            self.reactor.callLater(0, self.stop)
        return self._stopped

    def stop(self) -> None:
        """
        Give the address back, and tell the protocol.
        """
        listening, stopped, self._stopped = self.listening, self._stopped, None
        self.close()
        try:
            if listening:
                self.protocol.doStop()
        finally:
            if stopped is not None:
                stopped.callback(None)

    loseConnection = stopListening

    def close(self) -> None:
        """
        Give the address back.
        """
        if self.listening:
            self.listening = False
            others = self.reactor.host.datagramPorts[self.port]
            others.remove(self)
            if not others:
                del self.reactor.host.datagramPorts[self.port]

    def connect(self, host: str, port: int) -> None:
        """
        See L{IUDPTransport.connect<twisted.internet.interfaces.IUDPTransport.connect>}.
        """
        if self._remote is not None:
            raise RuntimeError("already connected, reconnecting is not currently supported")
        if not (isIPAddress(host) or isIPv6Address(host)):
            raise error.InvalidAddressError(host, "not an IPv4 or IPv6 address.")
        self._remote = (self.reactor.network.numeric(host), port)

    def write(self, packet: bytes, addr: tuple[str, int] | None = None) -> None:
        """
        Send a datagram.

        @raise error.MessageLengthError: if it is longer than 65507 bytes.
        @raise error.InvalidAddressError: if C{addr} holds a name instead of an address, or one of another family.
        @raise OSError: if it is to go to another host from a port that is bound to loopback.
        """
        if addr is None:
            addr = self._remote
        elif ":" in addr[0]:
            addr = (self.reactor.network.numeric(addr[0]), addr[1])
        assert addr is not None, "an unconnected port has to be told where to send"
        assert self._remote in (None, addr), "a connected port sends to one address only"
        if not (isIPAddress(addr[0]) or isIPv6Address(addr[0])):
            raise error.InvalidAddressError(addr[0], "write() only accepts IP addresses, not hostnames")
        if isIPv6Address(addr[0]) != isIPv6Address(self.interface):
            raise error.InvalidAddressError(addr[0], f"write() of a port at {self.interface}, of another family")
        if len(packet) > MAXIMUM_SIZE:
            raise error.MessageLengthError("message too long")
        if not self.listening:
            return
        host = self.reactor.host
        source = host.sourceFor(addr[0]) if self.interface in ANY else self.interface
        if source in LOOPBACK and not host.owns(addr[0]):
            raise OSError(22, "Invalid argument")
        datagram = _Datagram(self, (source, self.port), addr, bytes(packet))
        self.reactor.network.faults.send(source, addr[0], len(packet), datagram.arrive)

    def writeSequence(self, seq: Iterable[bytes], addr: tuple[str, int] | None = None) -> None:
        """
        Send a datagram that is given in pieces.
        """
        self.write(b"".join(seq), addr)

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        The address it is bound to.
        """
        return addressOf("UDP", (self.interface, self.port))

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """
        Note a wish; nothing is ever broadcast.
        """
        self._broadcast = bool(enabled)

    def getBroadcastAllowed(self) -> bool:
        """
        Whether broadcasting was asked for.
        """
        return self._broadcast

    def received(self, data: bytes, source: Where) -> None:
        """
        Hand a datagram to the protocol.
        """
        if self.listening and self._remote in (None, source):
            try:
                self.protocol.datagramReceived(data[: self.maxPacketSize], source)
            except LOGGED:
                self.reactor.log.failure("Unhandled error in {protocol}", Failure(), protocol=self.protocol)

    def refused(self) -> None:
        """
        The address this port is connected to takes no datagrams.
        """
        if self.listening and self._remote is not None:
            try:
                self.protocol.connectionRefused()
            except LOGGED:
                self.reactor.log.failure("Unhandled error in {protocol}", Failure(), protocol=self.protocol)


class _Datagram:
    """
    A datagram under way.
    """

    __slots__ = ("_data", "_from", "_port", "_source", "_to", "serial")

    def __init__(self, port: DatagramPort, source: Where, destination: Where, data: bytes) -> None:
        self._from = port
        self._source = source
        self._to = destination
        self._data = data
        self._port: DatagramPort | None = None

    def arrive(self) -> None:
        """
        Reach the other kernel: an event of its own follows, which carries the data.
        """
        network = self._from.reactor.network
        host = network.hostAt(self._to[0], self._from.reactor.host)
        if host is None or not host.up:
            return
        self._port = host.datagramListener(*self._to)
        if self._port is None:
            here = self._from.reactor.host
            network.faults.send(self._to[0], self._source[0], 0, lambda: here.tell(self._from.refused))
        else:
            # Which two ports, in one number.
            self.serial = self._from.serial * _MANY_PORTS + self._port.serial
            network.clock.at(network.clock.now, self, self._data)

    @property
    def reader(self) -> _Datagram:
        """
        Who takes the data.
        """
        return self

    def __repr__(self) -> str:
        """
        Say where from and where to.
        """
        return f"<Datagram {self._source[0]}:{self._source[1]} to {self._to[0]}:{self._to[1]}>"

    def dataReceived(self, data: bytes) -> None:
        """
        Hand the datagram to the port it was for, or keep it for a process that is stopped.
        """
        port = self._port
        if port is None:
            return
        held = port.reactor.host.held
        if held is None:
            port.received(data, self._source)
        elif port.kept < MAXIMUM_HELD:
            port.kept += 1
            held.append(partial(self._read, port, data))

    def _read(self, port: DatagramPort, data: bytes) -> None:
        port.kept -= 1
        port.received(data, self._source)

    def failed(self, failure: Failure) -> None:
        """
        Log what no protocol has caught.
        """
        self._from.reactor.log.failure("Unhandled error in a datagram port", failure)
