"""
Tests for simulated TCP: what a program sees of it is what it would see of the real thing, at the time that arithmetic
says.
"""

from __future__ import annotations

import errno
import sys
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IConnector,
    IConsumer,
    IHalfCloseableProtocol,
    IListeningPort,
    IPushProducer,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from p2p.simulation import clock, host, listening
from p2p.simulation.clock import COARSE, FINE, SimulationError
from p2p.simulation.latency import constant, uniform
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.reactor import SimulatedReactor
from p2p.simulation.tcp import Connection

LATENCY = 0.05

LONG_ENOUGH = 1e6
"""
Virtual seconds within which any stream of L{WritingTests.test_streamArrivesInOrderAndComplete} has ended.

At worst 20 writes of 3,000 bytes go through a window that takes 2, cut into single bytes: 60,000 segments one after
the other. Each takes a round trip of 0.3 s at most, and the reader may rest for 0.5 s. If half of its copies are lost,
then the first retry, the second and so on each add up to 0.25 s on average, for the time-out, 0.5 s at first, doubles
as their probability halves; with the eighth it stops growing. So a segment takes less than 4 s on average, and all of
them 240,000 s.
"""


BREAKING = ("throttle", "leak", "hold", "stop")
ENDING = ("lose", "abort", "crash")
"""Of what happens in L{WritingTests.test_burstsArriveInOrderHoweverTimeIsCut}: what hinders, and what ends."""


class Recorder(Protocol):
    """
    Notes what happens to it, with the time.
    """

    def __init__(self, network: SimulatedNetwork) -> None:
        self.network = network
        self.pieces: list[tuple[float, bytes]] = []
        self.made: float | None = None
        self.lost: tuple[float, Any] | None = None

    def connectionMade(self) -> None:
        """
        Note when.
        """
        self.made = self.network.now

    def dataReceived(self, data: bytes) -> None:
        """
        Note when, and what.
        """
        self.pieces.append((self.network.now, data))

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        """
        Note when, and why.
        """
        assert self.lost is None, "lost twice"
        self.lost = (self.network.now, type(reason.value))

    @property
    def data(self) -> bytes:
        """
        All that has arrived.
        """
        return b"".join(data for _, data in self.pieces)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """
    Notes the two halves of the end, too.
    """

    readLost: float | None = None
    writeLost: float | None = None

    def readConnectionLost(self) -> None:
        """
        Note when.
        """
        self.readLost = self.network.now

    def writeConnectionLost(self) -> None:
        """
        Note when.
        """
        self.writeLost = self.network.now


class Calling(ClientFactory[Any]):
    """
    Makes one protocol, and notes what becomes of the attempt.
    """

    noisy = False

    def __init__(self, network: SimulatedNetwork, protocol: Any) -> None:
        self.network = network
        self.made = protocol
        self.failed: tuple[float, Any] | None = None
        self.ended: float | None = None

    def buildProtocol(self, addr: object) -> Any:
        """
        Hand out the protocol.
        """
        return self.made

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        """
        Note when, and why.
        """
        self.failed = (self.network.now, type(reason.value))

    def clientConnectionLost(self, connector: object, reason: Failure) -> None:
        """
        Note when.
        """
        self.ended = self.network.now


class Answering(Factory[Any]):
    """
    Keeps the protocols it makes.
    """

    noisy = False

    def __init__(self, network: SimulatedNetwork, kind: type[Recorder] = Recorder) -> None:
        self.network = network
        self.kind = kind
        self.made: list[Any] = []

    def buildProtocol(self, addr: object) -> Any:
        """
        Make one more.
        """
        self.made.append(self.kind(self.network))
        return self.made[-1]


class TCPTestCase(SynchronousTestCase):
    """
    A network with a client at 10.0.0.1 and a server at 10.0.0.2.
    """

    def build(self, **options: Any) -> None:
        """
        Make the network.
        """
        options.setdefault("latency", constant(LATENCY))
        self.network = SimulatedNetwork(seed=1, **options)
        self.here: SimulatedReactor = self.network.host("10.0.0.1")
        self.there: SimulatedReactor = self.network.host("10.0.0.2")

    def setUp(self) -> None:
        """
        Make a network of which every link takes 50 ms.
        """
        self.build()

    def join(self, client: type[Recorder] = Recorder, server: type[Recorder] = Recorder) -> tuple[Any, Any]:
        """
        Connect two protocols, and let some time pass until both know.
        """
        answering = Answering(self.network, server)
        port = self.there.listenTCP(0, answering)
        protocol = client(self.network)
        self.calling = Calling(self.network, protocol)
        self.here.connectTCP("10.0.0.2", port.getHost().port, self.calling)  # type: ignore[attr-defined]
        while not answering.made or protocol.made is None:
            self.network.run(self.network.now + 1.0)
        return protocol, answering.made[0]


class ConnectingTests(TCPTestCase):
    """
    How connections come about, or do not.
    """

    def test_connectingTakesARoundTrip(self) -> None:
        """
        The client has its connection after one round trip, the server half a one later.
        """
        client, server = self.join()
        self.assertApproximates(client.made, 2 * LATENCY, 1e-9)
        self.assertApproximates(server.made, 3 * LATENCY, 1e-9)

    def test_interfaces(self) -> None:
        """
        The objects provide what they should.
        """
        port = self.there.listenTCP(80, Answering(self.network))
        verifyObject(IListeningPort, port)
        verifyObject(IConnector, self.here.connectTCP("10.0.0.2", 80, Calling(self.network, Recorder(self.network))))
        client, _ = self.join()
        for interface in (ITCPTransport, ITLSTransport, IConsumer, IPushProducer):
            verifyObject(interface, client.transport)

    def test_addressesAreReal(self) -> None:
        """
        Each side sees its own address and the other's.
        """
        client, server = self.join()
        mine = client.transport.getHost()
        self.assertIsInstance(mine, IPv4Address)
        self.assertEqual((mine.type, mine.host), ("TCP", "10.0.0.1"))
        self.assertEqual(server.transport.getPeer(), mine)
        self.assertEqual(client.transport.getPeer(), server.transport.getHost())
        self.assertEqual(client.transport.getPeer().host, "10.0.0.2")

    def test_addressesOfIPv6(self) -> None:
        """
        IPv6 hosts have IPv6 addresses.
        """
        self.network.host("fd00::2").listenTCP(80, Answering(self.network), interface="::")
        client = Recorder(self.network)
        self.network.host("fd00::1").connectTCP("fd00::2", 80, Calling(self.network, client))
        self.network.run(1)
        assert client.transport is not None
        self.assertEqual(client.transport.getPeer(), IPv6Address("TCP", "fd00::2", 80))

    def test_nobodyListensMeansRefused(self) -> None:
        """
        A host that is up says so after one round trip.
        """
        calling = Calling(self.network, Recorder(self.network))
        self.here.connectTCP("10.0.0.2", 80, calling)
        self.network.run(10)
        self.assertEqual(calling.failed, (2 * LATENCY, error.ConnectionRefusedError))

    def test_nobodyThereMeansTimeout(self) -> None:
        """
        Where no host is, or one that is down, nothing comes back until the caller's patience ends.
        """
        self.network.faults.crashHost("10.0.0.2")
        for address in ("10.0.0.2", "10.0.0.77"):
            calling = Calling(self.network, Recorder(self.network))
            self.here.connectTCP(address, 80, calling, timeout=7.5)
            before = self.network.now
            self.network.run(before + 60)
            self.assertEqual(calling.failed, (before + 7.5, error.TimeoutError))

    def test_kernelGivesUpByItself(self) -> None:
        """
        Without a time-out of the caller's, the kernel ends the attempt after 127 s.
        """
        calling = Calling(self.network, Recorder(self.network))
        self.here.connectTCP("10.0.0.77", 80, calling, timeout=None)
        self.network.run(200)
        self.assertEqual(calling.failed, (127.0, error.TCPTimedOutError))

    def test_attemptCanBeStopped(self) -> None:
        """
        C{stopConnecting} ends it, and no connection comes about later.
        """
        answering = Answering(self.network)
        self.there.listenTCP(80, answering)
        calling = Calling(self.network, Recorder(self.network))
        connector = self.here.connectTCP("10.0.0.2", 80, calling)
        self.network.run(0.07)
        connector.stopConnecting()
        self.network.run(10)
        self.assertEqual(calling.failed, (0.07, error.UserError))
        self.assertEqual(answering.made, [])

    def test_factoriesAreStartedAndStopped(self) -> None:
        """
        C{doStart} and C{doStop} are called as by a real reactor.
        """
        happened: list[str] = []

        class Counting(Calling):
            def startFactory(self) -> None:
                happened.append("start")

            def stopFactory(self) -> None:
                happened.append("stop")

        self.here.connectTCP("10.0.0.2", 80, Counting(self.network, Recorder(self.network)))
        self.assertEqual(happened, ["start"])
        self.network.run(1)
        self.assertEqual(happened, ["start", "stop"])

    def test_takenPortCannotBeBound(self) -> None:
        """
        Neither exactly, nor by way of all interfaces; it can when the other has stopped.
        """
        port = self.there.listenTCP(80, Answering(self.network), interface="10.0.0.2")
        for interface in ("10.0.0.2", ""):
            self.assertRaises(
                error.CannotListenError, self.there.listenTCP, 80, Answering(self.network), interface=interface
            )
        self.there.listenTCP(80, Answering(self.network), interface="127.0.0.1")
        stopped = port.stopListening()
        assert stopped is not None
        self.network.run(1)
        self.successResultOf(stopped)
        self.there.listenTCP(80, Answering(self.network), interface="10.0.0.2")

    def test_foreignAddressCannotBeBound(self) -> None:
        """
        A host listens on its own addresses only.
        """
        self.assertRaises(
            error.CannotListenError, self.there.listenTCP, 80, Answering(self.network), interface="10.0.0.1"
        )

    def test_whyAnAddressCannotBeBoundHasANumber(self) -> None:
        """
        The one of the system, by which programs tell a port that is taken from an address that is not theirs.
        """
        self.there.listenTCP(80, Answering(self.network))
        self.there.listenUDP(80, DatagramProtocol())
        for interface, number in (("", errno.EADDRINUSE), ("10.0.0.1", errno.EADDRNOTAVAIL)):
            for listen in (
                lambda interface=interface: self.there.listenTCP(80, Answering(self.network), interface=interface),
                lambda interface=interface: self.there.listenUDP(80, DatagramProtocol(), interface=interface),
            ):
                refused = self.assertRaises(error.CannotListenError, listen)
                self.assertEqual(refused.socketError.errno, number)

    def test_aFactoryThatCannotStartBindsNothing(self) -> None:
        """
        Its port is free for another.
        """

        class Failing(Answering):
            def startFactory(self) -> None:
                raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, self.there.listenTCP, 80, Failing(self.network))
        self.there.listenTCP(80, Answering(self.network))

    def test_factoryIsStartedOnceItsPortIsBound(self) -> None:
        """
        One that listens on the same port then finds it taken.
        """

        class Twice(Answering):
            def startFactory(factory) -> None:
                self.assertRaises(error.CannotListenError, self.there.listenTCP, 80, Answering(self.network))

        self.there.listenTCP(80, Twice(self.network))

    def test_noPortIsLeft(self) -> None:
        """
        Who asks for any is refused when all are taken, and gets one when it is free again.
        """
        self.patch(host, "_EPHEMERAL", 3)
        self.patch(host, "FIRST_EPHEMERAL", 65533)
        self.build()
        ports = [self.there.listenTCP(0, Answering(self.network)) for _ in range(3)]
        refused = self.assertRaises(error.CannotListenError, self.there.listenTCP, 0, Answering(self.network))
        self.assertEqual(refused.socketError.errno, errno.EADDRINUSE)
        self.assertRaises(error.CannotListenError, self.there.listenUDP, 0, DatagramProtocol())
        calling = Calling(self.network, Recorder(self.network))
        self.there.connectTCP("10.0.0.1", 80, calling)
        ports[1].stopListening()
        self.network.run(1.0)
        self.assertEqual(calling.failed, (0.0, error.ConnectError))
        self.assertEqual(self.there.listenTCP(0, Answering(self.network)).getHost(), ports[1].getHost())

    def test_aHostOfOneFamilyReachesNoneOfTheOther(self) -> None:
        """
        It has no address to call from.
        """
        self.network.host("2001:db8::1").listenTCP(80, Answering(self.network))
        calling = Calling(self.network, Recorder(self.network))
        self.here.connectTCP("2001:db8::1", 80, calling)
        self.network.run(1.0)
        self.assertEqual(calling.failed, (0.0, error.NoRouteError))
        sender = DatagramProtocol()
        self.here.listenUDP(0, sender)
        assert sender.transport is not None
        self.assertRaises(error.InvalidAddressError, sender.transport.write, b"x", ("2001:db8::1", 53))

    def test_portZeroGivesAnEphemeralPort(self) -> None:
        """
        Each time another one.
        """
        ports = [self.there.listenTCP(0, Answering(self.network)).getHost().port for _ in range(3)]  # type: ignore[attr-defined]
        self.assertEqual(len(set(ports)), 3)
        self.assertTrue(all(49152 <= port <= 65535 for port in ports))

    def test_bindAddressIsUsed(self) -> None:
        """
        The caller can choose its port.
        """
        answering = Answering(self.network)
        self.there.listenTCP(80, answering)
        self.here.connectTCP(
            "10.0.0.2", 80, Calling(self.network, Recorder(self.network)), bindAddress=("10.0.0.1", 4000)
        )
        self.network.run(1)
        self.assertEqual(answering.made[0].transport.getPeer(), IPv4Address("TCP", "10.0.0.1", 4000))

    def test_takenBindAddressIsRefused(self) -> None:
        """
        Whether somebody calls from it, is connected at it or listens there; and it is free afterwards.
        """
        self.there.listenTCP(80, Answering(self.network))
        self.here.listenTCP(5000, Answering(self.network))

        def call(port: int, address: str = "") -> Calling:
            calling = Calling(self.network, Recorder(self.network))
            self.here.connectTCP("10.0.0.2", 80, calling, bindAddress=(address, port))
            return calling

        first, second = call(4000), call(4000, "10.0.0.1")
        self.network.run(1)
        third, fourth = call(4000, "0.0.0.0"), call(5000)
        self.network.run(2)
        self.assertIsNone(first.failed)
        for calling in (second, third, fourth):
            assert calling.failed is not None
            self.assertEqual(calling.failed[1], error.ConnectBindError)
        first.made.transport.loseConnection()
        self.network.run(3)
        again = call(4000)
        self.network.run(4)
        self.assertIsNone(again.failed)
        self.assertEqual(again.made.transport.getHost(), IPv4Address("TCP", "10.0.0.1", 4000))

    def test_portOfAConnectionIsNotGivenOutAgain(self) -> None:
        """
        Not while it lasts, however many others are made and closed meanwhile.
        """
        client, _ = self.join()
        kept = client.transport.getHost().port
        host = self.here.host
        ports = [host.ephemeralPort() for _ in range(40000)]
        self.assertNotIn(kept, ports)
        self.assertEqual(len(set(ports)), 16383)
        client.transport.loseConnection()
        self.network.run(self.network.now + 1)
        self.assertIn(kept, [host.ephemeralPort() for _ in range(16384)])

    def test_aChosenPortIsNotGivenOut(self) -> None:
        """
        Not while somebody calls, or is connected, from there.
        """
        self.there.listenTCP(80, Answering(self.network))
        for address in ("10.0.0.2", "10.0.0.9"):
            calling = Calling(self.network, Recorder(self.network))
            self.here.connectTCP(address, 80, calling, bindAddress=("", 49152 if address == "10.0.0.2" else 49153))
        self.network.run(1)
        self.assertEqual(self.here.host.ephemeralPort(), 49154)

    def test_whoListensOnAllAddressesOfAFamilyGetsNoOther(self) -> None:
        """
        Who does not say which gets those of the host's family, over TCP as over UDP.
        """
        there = self.network.host("fd00::2")
        port: Any = there.listenTCP(80, Answering(self.network))
        self.assertEqual(port.getHost(), IPv6Address("TCP", "::", 80))
        there.listenTCP(81, Answering(self.network), interface="0.0.0.0")
        made = []
        for number in (80, 81):
            client = Recorder(self.network)
            self.network.host("fd00::1").connectTCP("fd00::2", number, Calling(self.network, client))
            self.network.run(self.network.now + 1)
            made.append(client.made is not None)
        self.assertEqual(made, [True, False])

    def test_loopbackStaysOnTheHost(self) -> None:
        """
        127.0.0.1 is the host itself, and hardly takes time.
        """
        self.here.listenTCP(80, Answering(self.network))
        client = Recorder(self.network)
        self.here.connectTCP("localhost", 80, Calling(self.network, client))
        self.network.run(1)
        assert client.made is not None and client.transport is not None
        self.assertLess(client.made, 0.001)
        self.assertEqual(client.transport.getPeer(), IPv4Address("TCP", "127.0.0.1", 80))

    def test_loopbackReachesTheHostsOwnAddress(self) -> None:
        """
        And that reaches loopback, over TCP as over UDP; from there nothing leaves the host.
        """
        for reactor in (self.here, self.there):
            reactor.listenTCP(80, Answering(self.network))
        callings = [Calling(self.network, Recorder(self.network)) for _ in range(3)]
        for calling, to, come in zip(
            callings, ("10.0.0.1", "127.0.0.1", "10.0.0.2"), ("127.0.0.1", "10.0.0.1", "127.0.0.1"), strict=True
        ):
            self.here.connectTCP(to, 80, calling, bindAddress=(come, 0))
        got: list[Any] = []

        class Noting(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                got.append((datagram, addr[0]))

        own, loopback = (self.here.listenUDP(53, Noting(), interface=each) for each in ("10.0.0.1", "127.0.0.1"))
        own.write(b"in", ("127.0.0.1", 53))  # type: ignore[attr-defined]
        loopback.write(b"out", ("10.0.0.1", 53))  # type: ignore[attr-defined]
        self.assertRaises(OSError, loopback.write, b"away", ("10.0.0.2", 53))  # type: ignore[attr-defined]
        self.network.run(1)
        self.assertEqual([calling.made.made is not None for calling in callings], [True, True, False])
        self.assertEqual(callings[2].failed, (0.0, error.ConnectError))
        self.assertEqual(sorted(got), [(b"in", "10.0.0.1"), (b"out", "127.0.0.1")])

    def test_factoryMayDecline(self) -> None:
        """
        If either factory makes no protocol, the other side sees a connection that ends at once.
        """

        class Declining(Answering):
            def buildProtocol(self, addr: object) -> None:
                return None

        client = Recorder(self.network)
        self.there.listenTCP(80, Declining(self.network))
        self.here.connectTCP("10.0.0.2", 80, Calling(self.network, client))
        self.network.run(1)
        assert client.lost is not None
        self.assertEqual(client.lost[1], error.ConnectionDone)
        answering = Answering(self.network)
        self.there.listenTCP(81, answering)
        self.here.connectTCP("10.0.0.2", 81, Calling(self.network, None))
        self.network.run(2)
        self.assertEqual(answering.made[0].lost[1], error.ConnectionDone)


    def test_aFactoryThatCannotMakeAProtocolIsNotConnected(self) -> None:
        """
        What it raises is logged, and it is told that the attempt has failed, not that a connection was lost; the other
        side sees the end of one.
        """

        class Failing(Calling):
            def buildProtocol(self, addr: object) -> Any:
                raise ZeroDivisionError

        calling, answering = Failing(self.network, None), Answering(self.network)
        self.there.listenTCP(7, answering)
        self.here.connectTCP("10.0.0.2", 7, calling)
        self.network.run(1)
        assert calling.failed is not None
        self.assertEqual((calling.failed[1], calling.ended), (error.ConnectError, None))
        self.assertEqual(answering.made[0].lost[1], error.ConnectionDone)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_anAttemptThatAStoppedProcessGivesUpIsClosed(self) -> None:
        """
        Its system has connected meanwhile, and closes that; the process never learns of it, and its factory is told
        once that it is not connected.
        """
        calling = Calling(self.network, Recorder(self.network))
        answering = Answering(self.network)
        self.there.listenTCP(7, answering)
        connector = self.here.connectTCP("10.0.0.2", 7, calling)
        self.here.callLater(LATENCY, connector.stopConnecting)
        self.network.run(LATENCY / 2)
        self.network.faults.pause(self.here, duration=1.0)
        self.network.run(20.0)
        assert calling.failed is not None
        self.assertEqual(calling.failed[1], error.UserError)
        self.assertIsNone(calling.made.made)
        (server,) = answering.made
        self.assertEqual(server.lost[1], error.ConnectionDone)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_aStoppedProcessFindsItsConnectionReset(self) -> None:
        """
        One that was reset before it learnt that it is connected never was, as far as it is concerned.
        """

        class Aborting(Recorder):
            def connectionMade(self) -> None:
                assert isinstance(self.transport, Connection)
                self.transport.abortConnection()

        calling = Calling(self.network, Recorder(self.network))
        self.there.listenTCP(7, Answering(self.network, Aborting))
        self.here.connectTCP("10.0.0.2", 7, calling)
        self.network.run(LATENCY / 2)
        self.network.faults.pause(self.here, duration=1.0)
        self.network.run(20.0)
        self.assertEqual(calling.failed, (1.0 + LATENCY / 2, error.ConnectError))
        self.assertIsNone(calling.made.made)
        self.assertEqual(len(self.here.host.ends), 0)


class ClosingTests(TCPTestCase):
    """
    How connections end.
    """

    def test_loseConnectionFlushes(self) -> None:
        """
        What was written before arrives, then the end of the stream, one latency later.
        """
        client, server = self.join()
        started = self.network.now
        for _ in range(100):
            client.transport.write(b"x" * 10000)
        client.transport.loseConnection()
        self.network.run(started + 60)
        self.assertEqual(len(server.data), 1000000)
        self.assertEqual(client.lost[1], error.ConnectionDone)
        self.assertEqual(server.lost[1], error.ConnectionDone)
        self.assertIsNotNone(self.calling.ended)
        # A megabyte in windows of 256 KiB takes three round trips more than the first.
        self.assertApproximates(server.lost[0] - started, LATENCY + 3 * 2 * LATENCY, 1e-6)

    def test_loseConnectionIsNotReentrant(self) -> None:
        """
        The protocol hears of it in the reactor's next turn, at the same instant.
        """
        client, _ = self.join()
        client.transport.loseConnection()
        self.assertIsNone(client.lost)
        now = self.network.now
        self.network.run(now)
        self.assertEqual(client.lost, (now, error.ConnectionDone))

    def test_abortConnectionResets(self) -> None:
        """
        This side is told that it aborted, the other that the connection was lost.
        """
        client, server = self.join()
        started = self.network.now
        client.transport.abortConnection()
        self.network.run(started + 10)
        self.assertEqual(client.lost, (started, error.ConnectionAborted))
        self.assertEqual(server.lost, (started + LATENCY, error.ConnectionLost))

    def writeInOneTurn(self, transport: Any) -> None:
        """
        Write a little, more than travels in one segment, more than a window, and while somebody rests between.
        """
        transport.write(b"first")
        for _ in range(3):
            transport.write(b"x" * 5000)
        transport.peer.pauseProducing()
        transport.write(b"second")
        transport.peer.resumeProducing()
        transport.write(b"x" * 1000000)

    def test_abortDropsWhatWasNotSent(self) -> None:
        """
        What the kernel was given in an earlier turn of the reactor arrives, and nothing that was written in the turn of
        the abort, before or after it.
        """
        client, server = self.join()
        client.transport.write(b"earlier")
        self.network.run(self.network.now + LATENCY / 2)
        self.writeInOneTurn(client.transport)
        client.transport.abortConnection()
        client.transport.write(b"after")
        self.network.faults.pause(self.here, duration=1.0)
        self.network.run(self.network.now)
        client.transport.write(b"much later")
        self.network.run(self.network.now + 10)
        self.assertEqual(server.data, b"earlier")
        self.assertEqual(server.lost[1], error.ConnectionLost)

    def test_abortDropsWhatWaitsForTheWindow(self) -> None:
        """
        Of what was written in an earlier turn, what the kernel had sent arrives.
        """
        client, server = self.join()
        client.transport.write(b"x" * 1000000)
        self.network.run(self.network.now + LATENCY / 2)
        client.transport.abortConnection()
        self.network.run(self.network.now + 10)
        self.assertEqual(len(server.data), self.network.window)

    def test_whatWasWrittenInTheTurnThatEndsBadlyIsNotSent(self) -> None:
        """
        A process that writes and then raises an exception, crashes or is told to stop ends its connections before the
        kernel is given what it wrote.
        """

        class Ending(Recorder):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                if data.startswith(b"hold"):
                    self.transport.write(b"before it")
                    case.network.faults.hold(case.there, case.here, duration=1.0)
                    data = data.removeprefix(b"hold, ")
                case.writeInOneTurn(self.transport)
                if data == b"crash":
                    case.there.crash()
                elif data == b"stop":
                    case.there.stop()
                elif data == b"raise":
                    raise ZeroDivisionError

        case = self
        for verb in (b"raise", b"stop", b"crash", b"hold, raise", b"hold, stop", b"hold, crash"):
            self.build()
            client, server = self.join(Recorder, Ending)
            server.transport.write(b"earlier")
            self.network.run(self.network.now + 1)
            client.transport.write(verb)
            self.network.run(self.network.now + 10)
            self.assertEqual(client.data, b"earlier")
            self.assertIsNotNone(client.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_answerInTheTurnInWhichTheStreamEndsIsNotSent(self) -> None:
        """
        A protocol that is not half-closeable loses its connection before the kernel is given its answer, if the end of
        the stream comes together with the question.
        """

        class AnsweringAtOnce(Recorder):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(b"answer")

        client, _ = self.join(HalfCloseable, AnsweringAtOnce)
        client.transport.write(b"question")
        client.transport.loseWriteConnection()
        self.network.run(self.network.now + 1)
        self.assertEqual(client.data, b"")
        self.assertIsNotNone(client.readLost)

    def test_readerThatRestsReadsAllBeforeItHearsOfAReset(self) -> None:
        """
        It hears nothing while it rests, and then of what came before the reset first; also if the process was stopped.
        """
        client, server = self.join()
        server.transport.pauseProducing()
        client.transport.write(b"hello")
        self.network.run(self.network.now + 1)
        client.transport.abortConnection()
        self.network.run(self.network.now + 1)
        self.assertEqual((server.data, server.lost), (b"", None))
        self.network.faults.pause(self.there)
        server.transport.resumeProducing()
        self.network.run(self.network.now + 1)
        self.assertEqual((server.data, server.lost), (b"", None))
        self.network.faults.resume(self.there)
        self.network.run(self.network.now)
        self.assertEqual((server.data, server.lost), (b"hello", (self.network.now, error.ConnectionLost)))

    def test_readerThatRestsHearsOfAResetWhenItWrites(self) -> None:
        """
        It cannot, and neither can it close the connection in good order; what it had not read is lost.
        """
        for verb in ("write", "loseConnection", "loseWriteConnection"):
            client, server = self.join()
            server.transport.pauseProducing()
            client.transport.write(b"hello")
            self.network.run(self.network.now + 1)
            client.transport.abortConnection()
            self.network.run(self.network.now + 1)
            self.assertIsNone(server.lost)
            getattr(server.transport, verb)(*([b"x"] if verb == "write" else []))
            self.network.run(self.network.now)
            self.assertEqual((server.data, server.lost), (b"", (self.network.now, error.ConnectionLost)))

    def test_whoClosesWithoutReadingResetsWhoWrites(self) -> None:
        """
        Two that close while one has not read and the other not written everything are both rid of the connection; who
        only reads sees a clean end.
        """
        client, server = self.join()
        server.transport.pauseProducing()
        client.transport.write(b"x" * 1000000)
        client.transport.loseConnection()
        self.network.run(self.network.now + 1)
        started = self.network.now
        server.transport.loseConnection()
        self.network.run(started + 1)
        self.assertEqual(server.lost, (started, error.ConnectionDone))
        self.assertEqual(client.lost, (started + LATENCY, error.ConnectionLost))
        client, server = self.join()
        server.transport.pauseProducing()
        client.transport.write(b"hello")
        self.network.run(self.network.now + 1)
        server.transport.loseConnection()
        self.network.run(self.network.now + 1)
        self.assertEqual(client.lost[1], error.ConnectionDone)

    def test_readerThatRestsHearsOfAResetWhileItWrites(self) -> None:
        """
        At once, if not all that it wrote has been taken by the kernel.
        """
        client, server = self.join()
        server.transport.pauseProducing()
        server.transport.write(b"x" * 1000000)
        client.transport.pauseProducing()
        self.network.run(self.network.now + 1)
        started = self.network.now
        client.transport.abortConnection()
        self.network.run(started + 1)
        self.assertEqual(server.lost, (started + LATENCY, error.ConnectionLost))

    def test_halfClose(self) -> None:
        """
        Each direction ends by itself: data goes on the other way until that ends, too.
        """
        client, server = self.join(HalfCloseable, HalfCloseable)
        started = self.network.now
        client.transport.write(b"question")
        client.transport.loseWriteConnection()
        client.transport.write(b"too much")
        self.network.run(started + 1)
        self.assertEqual((client.writeLost, server.readLost), (started, started + LATENCY))
        self.assertEqual((client.lost, server.lost), (None, None))
        client.transport.write(b"much too much")
        server.transport.write(b"answer")
        server.transport.loseConnection()
        self.network.run(started + 2)
        self.assertEqual(client.data, b"answer")
        self.assertEqual(server.data, b"questiontoo much")
        self.assertEqual(client.readLost, started + 1 + LATENCY)
        self.assertIsNone(client.lost)
        client.transport.loseConnection()
        self.assertEqual(client.lost, (started + 2, error.ConnectionDone))

    def test_halfCloseTowardsOneThatKnowsNothingOfIt(self) -> None:
        """
        A protocol that is not half-closeable loses its connection at the end of the stream.
        """
        client, server = self.join(HalfCloseable, Recorder)
        started = self.network.now
        client.transport.loseWriteConnection()
        self.network.run(started + 1)
        self.assertEqual(server.lost, (started + LATENCY, error.ConnectionDone))
        self.assertApproximates(client.readLost, started + 2 * LATENCY, 1e-9)

    def test_writingToAClosedConnectionIsAnsweredWithAReset(self) -> None:
        """
        A half-closeable protocol that goes on writing to one that is gone hears so by the write after that.
        """
        client, server = self.join(Recorder, HalfCloseable)
        client.transport.loseConnection()
        self.network.run(self.network.now + 1)
        self.assertIsNone(server.lost)
        started = self.network.now
        for delay in (0.0, 2 * LATENCY - 0.001, 2 * LATENCY + 0.001):
            self.there.callLater(delay, server.transport.write, b"still there?")
        self.network.run(started + 1)
        self.assertApproximates(server.lost[0], started + 2 * LATENCY + 0.001, 1e-9)
        self.assertEqual(server.lost[1], error.ConnectionLost)

    def test_whoHasReadAllHearsNothingMoreUntilItActs(self) -> None:
        """
        A reactor no longer looks at such a connection, unless it has something to write. Who reads again finds the end
        again, also behind a reset; the second who ends the writing finds that it cannot.
        """
        done, lost = error.ConnectionDone, error.ConnectionLost
        for steps, afterwards, expected in (
            ((), None, []),
            (("write",), None, []),
            (("resumeProducing", "resumeProducing"), None, ["read", "read"]),
            (("pauseProducing", "resumeProducing"), None, ["read"]),
            (("pauseProducing resumeProducing resumeProducing",), None, ["read"]),
            (("resumeProducing pauseProducing",), None, []),
            (("resumeProducing", "loseConnection"), None, ["read", done]),
            (("loseWriteConnection", "write", "resumeProducing"), None, ["write", "read"]),
            (("loseWriteConnection", "loseWriteConnection"), None, ["write", lost]),
            (("loseWriteConnection loseWriteConnection",), None, ["write"]),
            ((), "abortConnection", []),
            (("resumeProducing", "resumeProducing"), "abortConnection", ["read", "read"]),
            (("resumeProducing", "write"), "abortConnection", ["read", lost]),
            (("write",), "abortConnection", [lost]),
            (("loseConnection",), "abortConnection", [lost]),
            (("loseWriteConnection",), "abortConnection", [lost]),
        ):
            happened: list[Any] = []

            @implementer(IHalfCloseableProtocol)
            class Noting(Recorder):
                def readConnectionLost(self, to: list[Any] = happened) -> None:
                    to.append("read")

                def writeConnectionLost(self, to: list[Any] = happened) -> None:
                    to.append("write")

                def connectionLost(self, reason: Any = None, to: list[Any] = happened) -> None:
                    to.append(type(reason.value))

            client, server = self.join(HalfCloseable, Noting)
            client.transport.write(b"all")
            client.transport.loseWriteConnection()
            self.network.run(self.network.now + 1)
            if afterwards is not None:
                getattr(client.transport, afterwards)()
            self.network.run(self.network.now + 1)
            for step in steps:
                for verb in step.split():
                    getattr(server.transport, verb)(*([b"x"] if verb == "write" else []))
                self.network.run(self.network.now + 1)
            self.assertEqual(happened, ["read", *expected], (steps, afterwards))

    def test_whoReadsOnAtTheEndForEverIsFoundOut(self) -> None:
        """
        A reactor would be busy with it for ever, and time stands still.
        """

        class ReadingOn(HalfCloseable):
            def readConnectionLost(self) -> None:
                assert self.transport is not None
                self.transport.resumeProducing()  # type: ignore[attr-defined]

        self.patch(clock, "ROUNDS", 1000)
        client, _ = self.join(HalfCloseable, ReadingOn)
        client.transport.loseWriteConnection()
        self.assertRaises(SimulationError, self.network.run, self.network.now + 1)

    def test_processCrashIsSeen(self) -> None:
        """
        The others see the end of the stream, after what was sent before; the crashed process sees nothing.
        """
        client, server = self.join()
        server.transport.write(b"x" * 100000)
        self.network.run(self.network.now + LATENCY / 2)
        started = self.network.now
        self.network.faults.crash("10.0.0.2")
        self.network.run(started + 1)
        self.assertEqual(client.lost, (started + LATENCY, error.ConnectionDone))
        self.assertEqual(len(client.data), 100000)
        self.assertIsNone(server.lost)
        calling = Calling(self.network, Recorder(self.network))
        self.here.connectTCP("10.0.0.2", 80, calling)
        self.network.run(started + 2)
        assert calling.failed is not None
        self.assertEqual(calling.failed[1], error.ConnectionRefusedError)

    def test_processCrashWithUnreadDataIsAReset(self) -> None:
        """
        If the process was stopped, or its protocol rested, or it had not taken the connection: as from any kernel.
        """

        def rest(server: Any) -> None:
            server.transport.pauseProducing()

        def stop(server: Any) -> None:
            self.network.faults.pause(self.there)

        for hinder in (rest, stop):
            self.build()
            client, server = self.join()
            hinder(server)
            client.transport.write(b"hello")
            self.network.run(self.network.now + 1)
            started = self.network.now
            self.network.faults.crash(self.there)
            self.network.run(started + 1)
            self.assertEqual(client.lost, (started + LATENCY, error.ConnectionLost))
        self.build()
        self.there.listenTCP(80, Answering(self.network))
        self.network.faults.pause(self.there)
        waiting = Recorder(self.network)
        self.here.connectTCP("10.0.0.2", 80, Calling(self.network, waiting))
        self.network.run(1)
        self.assertIsNotNone(waiting.made)
        self.network.faults.crash(self.there)
        self.network.run(2)
        self.assertEqual(waiting.lost, (1 + LATENCY, error.ConnectionLost))

    def test_processCrashAfterAllWasReadIsTheEndOfTheStream(self) -> None:
        """
        Also of a process that was stopped and had gone on; what is sent to it later is answered with a reset.
        """
        client, server = self.join(HalfCloseable)
        self.network.faults.pause(self.there)
        client.transport.write(b"hello")
        self.network.run(self.network.now + 1)
        self.network.faults.resume(self.there)
        self.network.run(self.network.now + 1)
        started = self.network.now
        self.network.faults.crash(self.there)
        self.network.run(started + 1)
        self.assertEqual((server.data, client.readLost, client.lost), (b"hello", started + LATENCY, None))
        for when in (2, 3):
            client.transport.write(b"still there?")
            self.network.run(started + when)
        self.assertEqual(client.lost, (started + 2, error.ConnectionLost))

    def test_hostCrashIsNotSeen(self) -> None:
        """
        An idle connection to a host without power stays as it is.
        """
        client, server = self.join()
        self.network.faults.crashHost("10.0.0.2")
        self.network.run(self.network.now + 10000)
        self.assertEqual((client.lost, server.lost), (None, None))

    def test_nothingIsLeftOfClosedConnections(self) -> None:
        """
        The hosts forget them.
        """
        client, _ = self.join()
        client.transport.loseConnection()
        self.network.run(self.network.now + 1)
        self.assertEqual((list(self.here.host.ends), list(self.there.host.ends)), ([], []))

    def test_exceptionInAProtocolEndsItsConnection(self) -> None:
        """
        It is logged, the protocol loses its connection with it, the other sees a clean end, and all else goes on.
        """

        class Failing(Recorder):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        client, server = self.join(Recorder, Failing)
        started = self.network.now
        client.transport.write(b"x")
        happened: list[float] = []
        self.here.callLater(1, lambda: happened.append(self.network.now))
        self.network.run(started + 10)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(server.lost, (started + LATENCY, ZeroDivisionError))
        self.assertEqual(client.lost[1], error.ConnectionDone)
        self.assertEqual(happened, [started + 1])

    def test_whatEndsAProgramInRealityIsLoggedToo(self) -> None:
        """
        C{sys.exit()} in what a reactor calls ends neither a real reactor nor this one.
        """

        class Exiting(Recorder):
            def dataReceived(self, data: bytes) -> None:
                sys.exit(1)

        client, server = self.join(Recorder, Exiting)
        client.transport.write(b"x")
        self.here.callLater(1.0, sys.exit, 1)
        happened: list[int] = []
        self.here.callLater(2.0, happened.append, 1)
        self.network.run(self.network.now + 5.0)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 2)
        self.assertEqual(server.lost[1], SystemExit)
        self.assertEqual(happened, [1])
        self.network.callAt(self.network.now, sys.exit)
        self.assertRaises(SystemExit, self.network.run, self.network.now)

    def test_exceptionOfAProtocolThatIsToldOfItsEnd(self) -> None:
        """
        It is logged, and the factory of a client hears nothing: one that was to connect again does not.
        """

        class Failing(Recorder):
            def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
                raise ZeroDivisionError

        client, server = self.join(Failing)
        client.transport.loseConnection()
        self.network.run(20.0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNone(self.calling.ended)
        self.assertEqual(server.lost[1], error.ConnectionDone)

    def test_exceptionWhileConnecting(self) -> None:
        """
        One in the client's C{connectionMade} ends the connection; one in the server's is only logged.
        """

        class Failing(Recorder):
            def connectionMade(self) -> None:
                Recorder.connectionMade(self)
                raise ZeroDivisionError

        client, server = self.join(Failing, Recorder)
        self.network.run(self.network.now + 1)
        self.assertEqual(client.lost[1], ZeroDivisionError)
        self.assertEqual(server.lost[1], error.ConnectionDone)
        client, server = self.join(Recorder, Failing)
        self.network.run(self.network.now + 1)
        self.assertEqual((client.lost, server.lost), (None, None))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class WritingTests(TCPTestCase):
    """
    How data gets across.
    """

    def test_dataTakesOneLatency(self) -> None:
        """
        A write arrives whole, one latency later.
        """
        client, server = self.join()
        started = self.network.now
        client.transport.write(b"x" * 5000)
        self.network.run(started + 1)
        self.assertEqual(server.pieces, [(started + LATENCY, b"x" * 5000)])

    def test_writesOfOneInstantTravelTogether(self) -> None:
        """
        As they do when a program writes twice before its reactor returns to the kernel.
        """
        client, server = self.join()
        started = self.network.now
        client.transport.write(b"one")
        client.transport.writeSequence([b"two", b"three"])
        self.here.callLater(0.001, lambda: client.transport.write(b"later"))
        self.network.run(started + 1)
        self.assertEqual([data for _, data in server.pieces], [b"onetwothree", b"later"])

    def test_onlyBytesCanBeWritten(self) -> None:
        """
        Anything else is an error.
        """
        client, _ = self.join()
        for wrong in ("text", bytearray(b"x"), memoryview(b"x")):
            self.assertRaises(TypeError, client.transport.write, wrong)
        self.assertRaises(TypeError, client.transport.writeSequence, ["text"])

    def test_emptyWritesDoNothing(self) -> None:
        """
        No bytes, no event.
        """
        client, server = self.join()
        client.transport.write(b"")
        self.network.run(self.network.now + 1)
        self.assertEqual(server.pieces, [])

    def test_oneConnectionCarriesAWindowPerRoundTrip(self) -> None:
        """
        As much as the window holds is under way at a time, and the rest follows as acknowledgements come.
        """
        client, server = self.join()
        started = self.network.now
        total = 4 * self.network.window
        client.transport.write(b"x" * total)
        self.network.run(started + LATENCY + 0.001)
        self.assertEqual(len(server.data), self.network.window)
        self.network.run(started + 10)
        self.assertEqual(len(server.data), total)
        self.assertApproximates(server.pieces[-1][0] - started, LATENCY + 3 * 2 * LATENCY, 1e-6)
        self.assertLessEqual(max(len(data) for _, data in server.pieces), 65536)

    def test_steadyTrafficBelowTheWindowIsNeverDelayed(self) -> None:
        """
        However much it adds up to, each write takes just the latency.
        """
        client, server = self.join()
        sent: list[float] = []

        def send() -> None:
            if len(sent) < 2000:
                sent.append(self.network.now)
                client.transport.write(b"x" * 1000)
                self.here.callLater(0.001, send)

        send()
        self.network.run(self.network.now + 10)
        self.assertEqual(len(server.data), 2000000)
        for sentAt, (arrived, _) in zip(sent, server.pieces, strict=True):
            self.assertApproximates(arrived, sentAt + LATENCY, 1e-9)
        self.assertIsNone(client.transport.stream)

    # Six hours of virtual time: each byte or two wait for the acknowledgement of those before, and half are lost.
    @example(
        seed=978,
        fuzz=True,
        loss=0.5,
        window=2,
        bandwidth=None,
        rest=None,
        writes=[(313, 0.3), (3105, 0.3), (1906, 0.3), (3028, 0.3), (5339, 0.3), (202, 0.0)],
        faults=[(3.5, "cut"), (1.0, "stop"), (3.9, "hold")],
    )
    # The last packet of the handshake is lost for more than a minute.
    @example(
        seed=317,
        fuzz=True,
        loss=0.5,
        window=5000,
        bandwidth=20000.0,
        rest=None,
        writes=[(1, 0.001), (6, 0.3), (2, 0.001), (5, 0.0), (283, 0.0), (2, 0.0), (8, 0.0)],
        faults=[],
    )
    @settings(max_examples=60, deadline=None)
    @given(
        seed=st.integers(0, 1000),
        fuzz=st.booleans(),
        loss=st.sampled_from([0.0, 0.0, 0.1, 0.5]),
        window=st.sampled_from([2, 100, 5000, 262144]),
        bandwidth=st.sampled_from([None, 20000.0]),
        rest=st.sampled_from([None, None, 0.0, 0.01, 0.5]),
        writes=st.lists(st.tuples(st.integers(0, 3000), st.sampled_from([0.0, 0.001, 0.3])), max_size=20),
        faults=st.lists(
            st.tuples(
                st.floats(0.0, 5.0), st.sampled_from(["cut", "hold", "lose", "slow", "throttle", "stop"])
            ),
            max_size=3,
        ),
    )
    def test_streamArrivesInOrderAndComplete(
        self,
        seed: int,
        fuzz: bool,
        loss: float,
        window: int,
        bandwidth: float | None,
        rest: float | None,
        writes: list[tuple[int, float]],
        faults: list[tuple[float, str]],
    ) -> None:
        """
        Whatever the seed, the cuts, the losses, the buffers, the faults that pass, and the rests that the reader takes
        after each piece: the other end gets exactly what was written, in order, and then the end of the stream.
        """
        # Of a handshake whose last packet is lost again and again a kernel gives up the waiting end.
        self.patch(listening, "HALF_OPEN", 1e6)
        network = SimulatedNetwork(
            seed=seed, latency=uniform(0.01, 0.1), fuzz=fuzz, loss=loss, window=window, bandwidth=bandwidth, giveUp=1e6
        )
        here, there = network.host("10.0.0.1"), network.host("10.0.0.2")
        written = bytearray()

        class Reading(Recorder):
            def dataReceived(self, data: bytes) -> None:
                Recorder.dataReceived(self, data)
                if rest is not None:
                    assert self.transport is not None
                    self.transport.pauseProducing()  # type: ignore[attr-defined]
                    there.callLater(rest, self.transport.resumeProducing)  # type: ignore[attr-defined]

        answering = Answering(network, Reading)
        there.listenTCP(80, answering)

        class Writing(Recorder):
            def connectionMade(self) -> None:
                Recorder.connectionMade(self)
                self.step(0)

            def step(self, index: int) -> None:
                assert self.transport is not None
                if index == len(writes):
                    self.transport.loseConnection()
                    return
                size, pause = writes[index]
                data = bytes((len(written) + n) % 251 for n in range(size))
                written.extend(data)
                self.transport.write(data)
                if pause:
                    here.callLater(pause, self.step, index + 1)
                else:
                    self.step(index + 1)

        class Persistent(Calling):
            def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
                connector.connect()

        here.connectTCP("10.0.0.2", 80, Persistent(network, Writing(network)), timeout=None)
        for when, fault in faults:
            verbs: dict[str, Any] = {
                "cut": lambda: network.faults.partition("10.0.0.1", "10.0.0.2", duration=1.7),
                "hold": lambda: network.faults.hold("10.0.0.1", "10.0.0.2", duration=0.9),
                "lose": lambda: network.faults.lose(rate=0.3, duration=2.0),
                "slow": lambda: network.faults.slow(factor=3.0, duration=2.0),
                "throttle": lambda: network.faults.throttle(bandwidth=3000.0, duration=2.0),
                "stop": lambda: network.faults.pause("10.0.0.2", duration=1.1),
            }
            network.callAt(when, verbs[fault])
        network.run(LONG_ENOUGH)
        self.assertEqual(answering.made[0].data, bytes(written))
        self.assertEqual(answering.made[0].lost[1], error.ConnectionDone)
        self.assertEqual((list(here.host.ends), list(there.host.ends)), ([], []))

    def test_nothingOvertakesWhatWasWrittenWhileTheReaderRested(self) -> None:
        """
        Also if the reader stopped, and went on, in the instant of all the writes, on a connection that is quick.
        """
        for address in ("127.0.0.1", "10.0.0.2"):
            answering = Answering(self.network)
            reader = self.here if address == "127.0.0.1" else self.there
            reader.listenTCP(80, answering)
            client = Recorder(self.network)
            self.here.connectTCP(address, 80, Calling(self.network, client))
            self.network.run(self.network.now + 1)
            (server,) = answering.made
            assert client.transport is not None
            client.transport.write(b"one")
            server.transport.pauseProducing()
            client.transport.write(b"two")
            server.transport.resumeProducing()
            self.here.callLater(0, client.transport.write, b"three")
            self.network.run(self.network.now + 1)
            self.assertEqual(server.data, b"onetwothree")

    # A killed process has written into a path that holds a part of it; two close, and one of them has not read.
    @example(
        seed=0,
        fuzz=False,
        latency=0.01,
        local=False,
        bursts=[(0.0, [("write", 1), ("hold", 0), ("flood", 1), ("crash", 0)])],
    )
    @example(
        seed=0,
        fuzz=False,
        latency=0.01,
        local=False,
        bursts=[(0.0, [("rest", 1), *(("flood", 0),) * 20, ("lose", 0)]), (0.01, [("lose", 1)])],
    )
    @example(
        seed=0,
        fuzz=False,
        latency=0.002,
        local=True,
        bursts=[(0.0, [("write", 0), ("rest", 1), ("write", 0), ("read", 1)]), (0.0, [("write", 0)])],
    )
    @settings(max_examples=100, deadline=None)
    @given(
        seed=st.integers(0, 1000),
        fuzz=st.booleans(),
        latency=st.sampled_from([0.01, 0.002]),
        local=st.booleans(),
        bursts=st.lists(
            st.tuples(
                st.sampled_from([0.0, 0.001, 0.01]),
                st.lists(
                    st.tuples(
                        st.sampled_from([*("write",) * 4, "flood", "rest", "read", *BREAKING, "heal", "go", *ENDING]),
                        st.integers(0, 1),
                    ),
                    min_size=1,
                    max_size=12,
                ),
            ),
            min_size=1,
            max_size=6,
        ),
    )
    def test_burstsArriveInOrderHoweverTimeIsCut(
        self, seed: int, fuzz: bool, latency: float, local: bool, bursts: list[tuple[float, list[tuple[str, int]]]]
    ) -> None:
        """
        Whatever both ends do at one instant or at several: write, rest and go on, while links narrow and a process
        stops. Each gets exactly what the other wrote, and the width of the wheel's slots changes nothing. If either
        ends the connection in whatever way, then each gets the beginning of it, and nothing is left of the connection.
        """
        digests = set()
        ending = any(verb in ENDING for _, steps in bursts for verb, _ in steps)
        for slotsPerSecond in (FINE, COARSE):
            network = SimulatedNetwork(seed, constant(latency), fuzz=fuzz, slotsPerSecond=slotsPerSecond)
            answering = Answering(network)
            network.host("10.0.0.2").listenTCP(80, answering)
            client = Recorder(network)
            network.host("10.0.0.2" if local else "10.0.0.1").connectTCP("10.0.0.2", 80, Calling(network, client))
            network.run(1)
            ends: tuple[Any, Any] = (client, answering.made[0])
            written = (bytearray(), bytearray())
            faults: list[Any] = []

            def burst(
                index: int,
                network: SimulatedNetwork = network,
                ends: tuple[Any, Any] = ends,
                written: tuple[bytearray, bytearray] = written,
                faults: list[Any] = faults,
            ) -> None:
                for verb, side in bursts[index][1]:
                    transport = ends[side].transport
                    if verb in ("write", "flood"):
                        data = b"%06d," % len(written[side]) * (1 if verb == "write" else 3000)
                        written[side].extend(data)
                        transport.write(data)
                    elif verb == "rest":
                        transport.pauseProducing()
                    elif verb == "read":
                        transport.resumeProducing()
                    elif verb == "throttle":
                        faults.append(network.faults.throttle(bandwidth=1e5))
                    elif verb == "leak":
                        faults.append(network.faults.lose(rate=0.3))
                    elif verb == "hold":
                        faults.append(network.faults.hold("10.0.0.1", "10.0.0.2"))
                    elif verb == "heal" and faults:
                        faults.pop().heal()
                    elif verb == "stop":
                        network.faults.pause("10.0.0.2")
                    elif verb == "go":
                        network.faults.resume("10.0.0.2")
                    elif verb == "lose":
                        transport.loseConnection()
                    elif verb == "abort":
                        transport.abortConnection()
                    elif verb == "crash":
                        network.faults.crash("10.0.0.2")
                if index + 1 < len(bursts):
                    network.callLater(bursts[index + 1][0], burst, index + 1)

            network.callLater(bursts[0][0], burst, 0)
            network.run(2)
            while faults:
                faults.pop().heal()
            network.faults.resume("10.0.0.2")
            network.run(3)
            for end in ends:
                end.transport.resumeProducing()
            network.run(60)
            for end, other in (ends, ends[::-1]):
                arrived, sent = other.data, bytes(written[ends.index(end)])
                self.assertEqual(arrived, sent[: len(arrived)] if ending else sent)
                self.assertEqual(bool(end.transport.disconnected), ending)
            digests.add(network.digest())
        self.assertEqual(len(digests), 1)


@implementer(IPushProducer)
class Pushing:
    """
    Writes as fast as it may.
    """

    def __init__(self, reactor: SimulatedReactor, transport: Any, size: int) -> None:
        self.reactor = reactor
        self.transport = transport
        self.size = size
        self.left = 100
        self.paused = False
        self.pauses: list[float] = []
        self.stopped = False

    def go(self) -> None:
        """
        Write until told to wait.
        """
        while self.left and not self.paused:
            self.left -= 1
            self.transport.write(b"x" * self.size)
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self.paused = True
        self.pauses.append(self.reactor.seconds())

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self.paused = False
        self.go()

    def stopProducing(self) -> None:
        """
        Note it.
        """
        self.stopped = True


class BackPressureTests(TCPTestCase):
    """
    Buffers are finite, and who fills them is told to wait.
    """

    def push(self, client: Recorder, size: int = 20000) -> Pushing:
        """
        Let a push producer write to a client's connection.
        """
        assert client.transport is not None
        producer = Pushing(self.here, client.transport, size)
        client.transport.registerProducer(producer, True)  # type: ignore[attr-defined]
        producer.go()
        return producer

    def test_bandwidthPausesAPushProducer(self) -> None:
        """
        Two megabytes at one megabyte a second take two seconds, for most of which the producer waits.
        """
        self.build(bandwidth=1e6)
        client, server = self.join()
        started = self.network.now
        producer = self.push(client)
        self.assertTrue(producer.paused)
        self.network.run(started + 60)
        self.assertEqual(len(server.data), 2000000)
        self.assertGreater(len(producer.pauses), 3)
        self.assertApproximates(server.pieces[-1][0] - started, 2.0 + LATENCY, 0.05)

    def test_pullProducerIsAskedWhenThereIsRoom(self) -> None:
        """
        It is asked again and again, as fast as the window allows, until it unregisters.
        """
        client, server = self.join()
        started = self.network.now
        asked: list[float] = []

        class Pulled:
            def resumeProducing(self) -> None:
                asked.append(client.network.now)
                client.transport.write(b"x" * 65536)
                if len(asked) == 16:
                    client.transport.unregisterProducer()
                    client.transport.loseConnection()

            def stopProducing(self) -> None:
                raise AssertionError("it was done")

        client.transport.registerProducer(Pulled(), False)
        self.assertEqual(len(asked), 1)
        self.network.run(started + 60)
        self.assertEqual(len(server.data), 16 * 65536)
        # Four pieces fill the window, so there are four rounds.
        self.assertApproximates(server.lost[0] - started, LATENCY + 3 * 2 * LATENCY, 1e-6)
        self.assertApproximates(asked[-1] - started, 3 * 2 * LATENCY, 1e-6)

    def test_pullProducerIsAskedOnceInATurn(self) -> None:
        """
        However much it writes; and if it unregisters without having written, nobody looks whether the writing is over.
        """
        for last in (b"", b"last"):
            client, server = self.join(HalfCloseable, HalfCloseable)
            turns: list[int] = []

            class Pulled:
                def resumeProducing(self, client: Any = client, turns: list[int] = turns, last: bytes = last) -> None:
                    turns.append(1)
                    if len(turns) < 5:
                        client.transport.write(b"x")
                        client.transport.write(b"y")
                    else:
                        client.transport.write(last)
                        client.transport.unregisterProducer()

                def stopProducing(self) -> None:
                    raise AssertionError("nobody has stopped")

            client.transport.registerProducer(Pulled(), False)
            client.transport.loseWriteConnection()
            self.network.run(self.network.now + 1)
            self.assertEqual((len(turns), server.data), (5, b"xy" * 4 + last))
            self.assertEqual((client.writeLost is None, server.readLost is None), (not last, not last))

    def test_readerThatPausesFillsTheSendersWindow(self) -> None:
        """
        The sender gets no further than a window ahead, its producer waits, and all arrives once the reader reads on.
        """
        client, server = self.join()
        server.transport.pauseProducing()
        producer = self.push(client)
        self.network.run(self.network.now + 100)
        self.assertEqual(server.pieces, [])
        self.assertTrue(producer.paused)
        taken = (100 - producer.left) * 20000
        self.assertLess(taken, self.network.window + 65536 + 2 * 20000)
        started = self.network.now
        server.transport.resumeProducing()
        self.network.run(started + 60)
        self.assertEqual(server.pieces[0][0], started)
        self.assertEqual(len(server.data), 2000000)
        self.assertEqual(server.lost[1], error.ConnectionDone)

    def test_pausingAndResumingAtOnceLosesNothing(self) -> None:
        """
        Also when a protocol does so at every segment.
        """

        class Hesitant(Recorder):
            def dataReceived(self, data: bytes) -> None:
                Recorder.dataReceived(self, data)
                assert self.transport is not None
                self.transport.pauseProducing()  # type: ignore[attr-defined]
                there.callLater(0.01, self.transport.resumeProducing)  # type: ignore[attr-defined]

        there = self.there
        client, server = self.join(Recorder, Hesitant)
        sent = b"".join(b"%06d" % n for n in range(50000))
        for start in range(0, len(sent), 5000):
            self.here.callLater(start / 1e6, client.transport.write, sent[start : start + 5000])
        self.network.run(self.network.now + 60)
        self.assertEqual(server.data, sent)

    def test_secondProducerIsRefused(self) -> None:
        """
        One at a time.
        """
        client, _ = self.join()
        client.transport.registerProducer(object(), True)
        self.assertRaises(RuntimeError, client.transport.registerProducer, object(), True)

    def test_consumerThatStopsIsClosed(self) -> None:
        """
        C{stopConsuming} lets go of the producer, so that nothing is waited for.
        """
        client, server = self.join()
        client.transport.registerProducer(Pushing(self.here, client.transport, 10), True)
        client.transport.stopConsuming()
        self.network.run(self.network.now + 1.0)
        self.assertEqual(client.lost[1], error.ConnectionDone)
        self.assertEqual(server.lost[1], error.ConnectionDone)

    def test_producerIsStoppedWhenTheConnectionIsLost(self) -> None:
        """
        It hears so, and one that comes later, too.
        """
        client, server = self.join()
        server.transport.pauseProducing()
        producer = self.push(client)
        server.transport.abortConnection()
        self.network.run(self.network.now + 1)
        self.assertTrue(producer.stopped)
        late = Pushing(self.here, client.transport, 1)
        client.transport.registerProducer(late, True)
        self.assertTrue(late.stopped)
