"""
Twisted's own services as guests of a simulated network: unchanged, and in the time that arithmetic says.

Every link takes 50 ms one way, so a round trip is 0.1 s. Where nothing else is said, a bound of a microsecond is left
for the sums of floating-point numbers.
"""

from __future__ import annotations

import datetime
import importlib
import random
import sys
import time
from collections.abc import Iterator
from math import sqrt
from typing import Any

import twisted.internet
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.application import strports
from twisted.application.internet import ClientService, StreamServerEndpointService, TCPServer, TimerService
from twisted.internet import error, ssl
from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    clientFromString,
    connectProtocol,
    serverFromString,
    wrapClientTLS,
)
from twisted.internet.protocol import (
    DatagramProtocol,
    Factory,
    Protocol,
    ReconnectingClientFactory,
    connectionDone,
)
from twisted.internet.task import LoopingCall, cooperate, deferLater
from twisted.names import client as names
from twisted.names import dns
from twisted.names.server import DNSServerFactory
from twisted.protocols import amp
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.protocols.portforward import ProxyFactory, ProxyServer
from twisted.python.failure import Failure
from twisted.python.randbytes import secureRandom
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data, File

from p2p.simulation.latency import constant
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.reactor import SimulatedReactor
from p2p.simulation.stream import BUFFER_SIZE, SEGMENT_SIZE, Ciphertext
from p2p.test.test_simulation_tcp import LATENCY, Answering, Calling, HalfCloseable, Pushing, Recorder

ROUND_TRIP = 2 * LATENCY
EXACTLY = 1e-6


class Echo(Protocol):
    """
    Sends everything back.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Send it back.
        """
        assert self.transport is not None
        self.transport.write(data)


def certificate(name: str) -> tuple[ssl.PrivateCertificate, ssl.Certificate]:
    """
    Make a certificate for a name, signed by itself.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    private = ssl.PrivateCertificate.loadPEM(pem)
    return private, ssl.Certificate.loadPEM(made.public_bytes(serialization.Encoding.PEM))


class GuestTestCase(SynchronousTestCase):
    """
    A client at 10.0.0.1, and a server at 10.0.0.2 that is also called server.example.
    """

    def build(self, **options: Any) -> None:
        """
        Make the network.
        """
        options.setdefault("latency", constant(LATENCY))
        self.network = SimulatedNetwork(seed=1, **options)
        self.client = self.network.host("10.0.0.1")
        self.server = self.network.host("10.0.0.2", name="server.example")

    def setUp(self) -> None:
        """
        Make a network of which every link takes 50 ms.
        """
        self.build()

    def took(self, deferred: Deferred[Any], within: float = 60.0) -> tuple[Any, float]:
        """
        Wait for a result: return it, and how much virtual time that took.
        """
        started = self.network.now
        result = self.network.result(deferred, within)
        return result, self.network.now - started


class EndpointTests(GuestTestCase):
    """
    Endpoints and the services that use them.
    """

    def test_endpointStrings(self) -> None:
        """
        Connecting by a string takes a round trip, an echo another.
        """
        self.network.result(serverFromString(self.server, "tcp:80").listen(Factory.forProtocol(Echo)))
        for host in ("10.0.0.2", "server.example"):
            protocol = Recorder(self.network)
            _, seconds = self.took(connectProtocol(clientFromString(self.client, f"tcp:{host}:80"), protocol))
            self.assertApproximates(seconds, ROUND_TRIP, EXACTLY)
            assert protocol.transport is not None
            protocol.transport.write(b"hello")
            started = self.network.now
            self.network.run(started + 1)
            self.assertEqual(protocol.data, b"hello")
            self.assertApproximates(protocol.pieces[0][0] - started, ROUND_TRIP, EXACTLY)

    def test_nameThatNobodyHas(self) -> None:
        """
        It cannot be found, neither by an endpoint nor by the reactor.
        """
        endpoint = HostnameEndpoint(self.client, "nobody.example", 80)
        failing = endpoint.connect(Factory.forProtocol(Echo))
        self.assertRaises(error.DNSLookupError, self.network.result, failing)
        calling = Calling(self.network, Recorder(self.network))
        self.client.connectTCP("nobody.example", 80, calling)
        self.network.run(self.network.now + 1)
        assert calling.failed is not None
        self.assertEqual(calling.failed[1], error.DNSLookupError)
        self.assertRaises(error.DNSLookupError, self.network.result, self.client.resolve("nobody.example"))
        self.assertEqual(self.network.result(self.client.resolve("server.example")), "10.0.0.2")

    def test_namesOfBytes(self) -> None:
        """
        The reactor takes them as the real one does: C{sendmail} of C{twisted.mail} wants such a one.
        """
        self.server.listenTCP(80, Factory.forProtocol(Echo))
        for host in (b"server.example", b"10.0.0.2"):
            calling = Calling(self.network, Recorder(self.network))
            self.client.connectTCP(host, 80, calling)  # type: ignore[arg-type]
            self.network.run(self.network.now + 1)
            self.assertIsNone(calling.failed)
            self.assertTrue(calling.made.connected)
        calling = Calling(self.network, Recorder(self.network))
        self.client.connectTCP("m\u00fcller.example".encode(), 80, calling)  # type: ignore[arg-type]
        self.network.run(self.network.now + 1)
        assert calling.failed is not None
        self.assertEqual(calling.failed[1], error.DNSLookupError)

    def test_endpointOfAHostThatIsDown(self) -> None:
        """
        Its time-out is that of the endpoint.
        """
        self.network.faults.crashHost(self.server)
        connecting = TCP4ClientEndpoint(self.client, "10.0.0.2", 80, timeout=9).connect(Factory.forProtocol(Echo))
        self.assertRaises(error.TimeoutError, self.network.result, connecting)
        self.assertApproximates(self.network.now, 9.0, EXACTLY)

    def test_listeningAsAService(self) -> None:
        """
        C{StreamServerEndpointService} listens when it starts, and stops; so do C{TCPServer} and C{strports}.
        """
        services: list[Any] = [
            StreamServerEndpointService(serverFromString(self.server, "tcp:80"), Factory.forProtocol(Echo)),
            TCPServer(80, Factory.forProtocol(Echo), reactor=self.server),
            strports.service("tcp:80:interface=10.0.0.2", Factory.forProtocol(Echo), reactor=self.server),
        ]
        for service in services:
            service.startService()
            endpoint = clientFromString(self.client, "tcp:10.0.0.2:80")
            self.network.result(connectProtocol(endpoint, Recorder(self.network)))
            self.network.result(service.stopService())
            refused = connectProtocol(endpoint, Recorder(self.network))
            self.assertRaises(error.ConnectionRefusedError, self.network.result, refused)

    def test_clientServiceReconnectsAfterAPartition(self) -> None:
        """
        It loses its connection when the kernel gives up, tries in vain, and is there again once an attempt finds the
        path whole: the attempts are less than a minute and a time-out apart.
        """
        self.build(giveUp=20.0)
        answering = Answering(self.network)
        self.server.listenTCP(80, answering)
        service = ClientService(
            TCP4ClientEndpoint(self.client, "10.0.0.2", 80),
            Factory.forProtocol(lambda: Recorder(self.network)),
            clock=self.client,
        )
        service.startService()
        first, seconds = self.took(service.whenConnected())
        self.assertApproximates(seconds, ROUND_TRIP, EXACTLY)
        self.network.faults.partition(self.client, self.server, duration=100.0)
        cut = self.network.now
        first.transport.write(b"hello?")
        self.network.run(cut + 99)
        self.assertApproximates(first.lost[0], cut + 20.0, EXACTLY)
        second, _ = self.took(service.whenConnected(), 200)
        self.assertIsNot(second, first)
        self.assertTrue(cut + 100 < self.network.now < cut + 100 + 60 + 1 + ROUND_TRIP)
        second.transport.write(b"there you are")
        self.network.run(self.network.now + 1)
        self.assertEqual(answering.made[-1].data, b"there you are")
        self.network.result(service.stopService())

    def test_clientServiceReconnectsWhenArithmeticSays(self) -> None:
        """
        It loses its connection at C{giveUp}, 20 s. From then on each attempt comes 5 s after the failure of the one
        before, and fails after 3 s: they begin at 25 s, 33 s, ..., 97 s, 105 s. The partition ends at 101.5 s, so the
        last one of these finds the path whole, and takes a round trip.
        """
        self.build(giveUp=20.0)
        self.server.listenTCP(80, Factory.forProtocol(Echo))
        service = ClientService(
            TCP4ClientEndpoint(self.client, "10.0.0.2", 80, timeout=3),
            Factory.forProtocol(lambda: Recorder(self.network)),
            retryPolicy=lambda failures: 5.0,
            clock=self.client,
        )
        service.startService()
        first: Any = self.network.result(service.whenConnected())
        cut = self.network.now
        self.network.faults.partition(self.client, self.server, duration=101.5)
        first.transport.write(b"hello?")
        self.network.run(cut + 20.001)
        self.assertApproximates(first.lost[0], cut + 20.0, EXACTLY)
        second: Any = self.network.result(service.whenConnected(), 200)
        self.assertApproximates(self.network.now, cut + 105.0 + ROUND_TRIP, EXACTLY)
        second.transport.write(b"there you are")
        self.network.run(self.network.now + ROUND_TRIP)
        self.assertEqual(second.data, b"there you are")
        self.network.result(service.stopService())

    def test_reconnectingClientFactory(self) -> None:
        """
        It loses its connection with the process of the server, tries in vain, and finds the one that is started next.
        """

        class Again(ReconnectingClientFactory):
            protocol = Echo
            noisy = False
            tries = 0

            def startedConnecting(self, connector: Any) -> None:
                self.tries += 1

        calling = Again()
        calling.clock = self.client  # type: ignore[assignment]
        first, second = Answering(self.network), Answering(self.network)
        self.server.listenTCP(80, first)
        self.client.connectTCP("10.0.0.2", 80, calling)
        self.network.run(5)
        (connected,) = first.made
        self.assertEqual((calling.tries, connected.lost), (1, None))
        self.network.faults.crash(self.server)
        self.network.run(30)
        self.assertGreaterEqual(calling.tries, 3)
        self.network.faults.restart(self.server).listenTCP(80, second)
        self.network.run(150)
        (again,) = second.made
        again.transport.write(b"there you are")
        self.network.run(151)
        self.assertEqual((len(first.made), connected.data, again.data), (1, b"", b"there you are"))

    def test_jitterIsDeterminedByTheSeed(self) -> None:
        """
        C{ClientService} draws its delays from Python's own randomness; a run is the same all the same.
        """

        def attempts() -> list[float]:
            network = SimulatedNetwork(seed=3, latency=constant(LATENCY))
            reactor = network.host("10.0.0.1")
            tried: list[float] = []

            class Noting(TCP4ClientEndpoint):
                def connect(self, protocolFactory: Any) -> Any:
                    tried.append(network.now)
                    return TCP4ClientEndpoint.connect(self, protocolFactory)

            network.host("10.0.0.2")
            ClientService(Noting(reactor, "10.0.0.2", 80), Factory.forProtocol(Echo), clock=reactor).startService()
            network.run(300)
            return tried

        runs = []
        for seed in (1, 2):
            random.seed(seed)
            runs.append(attempts())
        self.assertGreater(len(runs[0]), 5)
        self.assertEqual(runs[0], runs[1])


class TimeTests(GuestTestCase):
    """
    What Twisted builds on C{callLater}.
    """

    def test_loopingCall(self) -> None:
        """
        It loops at its interval, to the moment.
        """
        times: list[float] = []
        loop = LoopingCall(lambda: times.append(self.client.seconds()))
        loop.clock = self.client
        loop.start(0.5)
        self.network.run(2.0)
        self.assertEqual(times, [0.0, 0.5, 1.0, 1.5, 2.0])
        loop.stop()
        self.network.run(5.0)
        self.assertEqual(len(times), 5)

    def test_deferLaterAndTimeouts(self) -> None:
        """
        C{deferLater} and C{addTimeout} take the time they are given.
        """
        self.assertEqual(self.took(deferLater(self.client, 2.5, lambda: "done")), ("done", 2.5))
        never: Deferred[None] = Deferred()
        never.addTimeout(4.0, self.client)
        self.assertRaises(TimedOut, self.network.result, never)
        self.assertEqual(self.network.now, 6.5)

    def test_timerService(self) -> None:
        """
        A service that does something now and then.
        """
        times: list[float] = []
        service = TimerService(1.0, lambda: times.append(self.network.now))
        service.clock = self.client
        service.startService()
        self.network.run(2.5)
        self.network.result(service.stopService())
        self.network.run(9)
        self.assertEqual(times, [0.0, 1.0, 2.0])

    def test_timeoutMixin(self) -> None:
        """
        A protocol that ends idle connections does so when it says.
        """

        class Idle(LineReceiver, TimeoutMixin):
            def connectionMade(self) -> None:
                self.callLater = reactor.callLater  # type: ignore[assignment,method-assign]
                self.setTimeout(3.0)

            def lineReceived(self, line: bytes) -> None:
                self.resetTimeout()

        reactor = self.server
        self.server.listenTCP(80, Factory.forProtocol(Idle))
        protocol = Recorder(self.network)
        self.network.result(connectProtocol(clientFromString(self.client, "tcp:10.0.0.2:80"), protocol))
        assert protocol.transport is not None
        self.client.callLater(2.0, protocol.transport.write, b"not idle\r\n")
        self.network.run(60)
        assert protocol.lost is not None
        self.assertApproximates(protocol.lost[0], ROUND_TRIP + 2.0 + LATENCY + 3.0 + LATENCY, EXACTLY)


class GlobalTests(GuestTestCase):
    """
    What Twisted does with its global reactor and its global cooperator, where it was given no other.
    """

    def idling(self) -> list[float]:
        """
        Let a server end connections that are idle for five seconds, and a client connect and say nothing.

        @return: When the server does so, as its clock tells.
        """
        ended: list[float] = []
        server = self.server

        class Idling(Protocol, TimeoutMixin):
            def connectionMade(self) -> None:
                self.setTimeout(5.0)

            def timeoutConnection(self) -> None:
                ended.append(server.seconds())

        server.listenTCP(80, Factory.forProtocol(Idling))
        connectProtocol(TCP4ClientEndpoint(self.client, "10.0.0.2", 80), Protocol())
        self.network.run(2.0)
        return ended

    def test_itsCallsEndWithTheProcess(self) -> None:
        """
        One that has crashed calls nothing any more.
        """
        ended = self.idling()
        self.network.faults.crash(self.server)
        self.network.run(30.0)
        self.assertEqual(ended, [])

    def test_itsCallsWaitForAProcessThatIsStopped(self) -> None:
        """
        One that is stopped makes them when it goes on.
        """
        ended = self.idling()
        self.network.faults.pause(self.server, duration=10.0)
        self.network.run(30.0)
        self.assertEqual(ended, [12.0])

    def test_itsCallsGoByTheClockOfTheHost(self) -> None:
        """
        Whatever that shows.
        """
        ended = self.idling()
        self.network.faults.setClock(self.server, drift=-0.5)
        self.network.run(7.9)
        self.assertEqual(ended, [])
        self.network.run(30.0)
        self.assertApproximates(ended[0], 5.0 + 1.5 * ROUND_TRIP, EXACTLY)

    def test_aServerThatIsGivenNoReactor(self) -> None:
        """
        C{Site(resource)} is enough.
        """
        root = Resource()
        root.putChild(b"data", Data(b"data", "text/plain"))
        self.network.host("10.0.0.3", boot=lambda reactor: reactor.listenTCP(80, Site(root)))
        body = Agent(self.client).request(b"GET", b"http://10.0.0.3/data").addCallback(readBody)
        self.assertEqual(self.network.result(body), b"data")

    def test_whoTookItInABootStillHasIt(self) -> None:
        """
        A process that never loaded it finds the same one in each run, also once it has loaded it.
        """
        name = "twisted.internet.reactor"
        loaded: Any = sys.modules.pop(name)
        self.patch(twisted.internet, "reactor", None)
        del twisted.internet.reactor
        called: list[float] = []
        taken: list[Any] = []

        def boot(reactor: SimulatedReactor) -> None:
            taken.append(importlib.import_module(name))
            reactor.callLater(1.0, begin)
            reactor.callLater(3.0, begin)

        def begin() -> None:
            deferLater(taken[0], 0.5, lambda: called.append(self.network.now))

        try:
            self.network.host("10.0.0.3", boot=boot)
            self.network.run(2.0)
        finally:
            sys.modules[name] = twisted.internet.reactor = loaded
        self.assertIsNot(taken[0], loaded)
        self.network.run(4.0)
        self.assertEqual(called, [1.5, 3.5])

    def test_eachProcessHasACooperatorOfItsOwn(self) -> None:
        """
        One that crashes takes its tasks along, one that is stopped goes on with them later, and all others go on.
        """
        done: dict[str, list[float]] = {}

        def work(who: str) -> Iterator[None]:
            for _ in range(100):
                done.setdefault(who, []).append(self.network.now)
                yield None

        machines = [self.network.host(f"10.0.1.{number}") for number in range(3)]
        for reactor, who in zip(machines, ("crashed", "stopped", "whole"), strict=True):
            reactor.callLater(1.0, lambda who=who: cooperate(work(who)))
        half = 1.0 + 5.5e-8
        self.network.callAt(half, lambda: self.network.faults.crash(machines[0]))
        self.network.callAt(half, lambda: self.network.faults.pause(machines[1], duration=10.0))
        self.network.run(20.0)
        self.assertLess(len(done["crashed"]), 100)
        self.assertEqual([len(done["stopped"]), len(done["whole"])], [100, 100])
        later = {who: sum(time > 1.1 for time in times) for who, times in done.items()}
        self.assertEqual([later["crashed"], later["whole"]], [0, 0])
        self.assertTrue(0 < later["stopped"] < 100)

    def test_noNetworkLeavesAnythingToTheNext(self) -> None:
        """
        One that ends while a task is under way keeps the next from nothing.
        """
        for until, steps in ((2.0, 50), (1.0, 0), (2.0, 50)):
            self.build()
            done: list[None] = []
            self.client.callLater(1.0, lambda done=done: cooperate(done.append(None) for _ in range(50)))
            self.network.run(until)
            self.assertEqual(len(done), steps)


class WebTests(GuestTestCase):
    """
    C{twisted.web}, server and client.
    """

    def serve(self, resource: Resource, tls: Any = None) -> None:
        """
        Serve a resource as /it, in the clear or not.
        """
        root = Resource()
        root.putChild(b"it", resource)
        site = Site(root, reactor=self.server)
        if tls is None:
            self.server.listenTCP(80, site)
        else:
            self.server.listenSSL(443, site, tls)

    def test_requestTakesTwoRoundTrips(self) -> None:
        """
        One to connect and one for the request; with a connection that is kept, one only.
        """
        self.serve(Data(b"hello", "text/plain"))
        agent = Agent(self.client, pool=HTTPConnectionPool(self.client))
        for expected in (2 * ROUND_TRIP, ROUND_TRIP):
            response, seconds = self.took(agent.request(b"GET", b"http://server.example/it"))
            self.assertEqual(response.code, 200)
            self.assertApproximates(seconds, expected, EXACTLY)
            self.assertEqual(self.network.result(readBody(response)), b"hello")

    def test_manyRequestsAtOnce(self) -> None:
        """
        They do not disturb each other.
        """
        self.serve(Data(b"hello", "text/plain"))
        agent = Agent(self.client)
        bodies: list[bytes] = []
        for _ in range(20):
            agent.request(b"GET", b"http://10.0.0.2/it").addCallback(readBody).addCallback(bodies.append)
        self.network.run(2 * ROUND_TRIP + 0.001)
        self.assertEqual(bodies, [b"hello"] * 20)

    def test_largeBodiesBothWays(self) -> None:
        """
        A file goes up by way of a body producer, and down by way of a pull producer, at the given bandwidth.
        """
        self.build(bandwidth=1e6)
        received: list[int] = []

        class Upload(Resource):
            def render_POST(self, request: Any) -> bytes:
                received.append(len(request.content.read()))
                return b"thanks"

        from io import BytesIO

        content = b"x" * 1000000
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(content)
        root = Resource()
        root.putChild(b"up", Upload())
        root.putChild(b"down", File(path))
        self.server.listenTCP(80, Site(root, reactor=self.server))
        agent = Agent(self.client)
        response, seconds = self.took(
            agent.request(b"POST", b"http://10.0.0.2/up", bodyProducer=FileBodyProducer(BytesIO(content)))
        )
        self.assertEqual((response.code, received), (200, [1000000]))
        self.assertApproximates(seconds, 1.0 + 2 * ROUND_TRIP, 0.05)
        body, seconds = self.took(agent.request(b"GET", b"http://10.0.0.2/down").addCallback(readBody))
        self.assertEqual(body, content)
        self.assertApproximates(seconds, 1.0 + 2 * ROUND_TRIP, 0.05)

    def test_overTLS(self) -> None:
        """
        Two more round trips at most, for the handshake of TLS; TLS 1.3 needs one.
        """
        private, public = certificate("server.example")
        self.serve(Data(b"secret", "text/plain"), private.options())
        agent = Agent(self.client, BrowserLikePolicyForHTTPS(trustRoot=public))
        body, seconds = self.took(agent.request(b"GET", b"https://server.example/it").addCallback(readBody))
        self.assertEqual(body, b"secret")
        self.assertTrue(3 * ROUND_TRIP - EXACTLY <= seconds <= 4 * ROUND_TRIP + EXACTLY, seconds)


class BackPressureTests(GuestTestCase):
    """
    A slow reader slows down whoever writes to it.
    """

    def serve(self, rate: float) -> Any:
        """
        Read at 10.0.0.2 so many bytes a second: each piece is followed by the rest that it deserves. Return the
        factory, which keeps the reading protocols.
        """
        reactor = self.server

        class Slow(Recorder):
            def dataReceived(self, data: bytes) -> None:
                Recorder.dataReceived(self, data)
                assert self.transport is not None
                self.transport.pauseProducing()  # type: ignore[attr-defined]
                reactor.callLater(len(data) / rate, self.transport.resumeProducing)  # type: ignore[attr-defined]

        answering = Answering(self.network, Slow)
        self.server.listenTCP(80, answering)
        return answering

    def test_producerIsPausedByASlowReader(self) -> None:
        """
        Two megabytes, read at one a second: the last piece, of 64 KiB at most, is read 2 s after the first, less its
        own share. The producer is ahead by what the window and the buffer take, and by one write; so it
        is done that much earlier, give or take a segment that is not read and a round trip that it takes to know.
        """
        rate, size, total = 1e6, 20_000, 2_000_000
        answering = self.serve(rate)
        client = Recorder(self.network)
        self.network.result(connectProtocol(clientFromString(self.client, "tcp:10.0.0.2:80"), client))
        started = self.network.now
        assert client.transport is not None
        producer = Pushing(self.client, client.transport, size)
        producer.left = total // size
        client.transport.registerProducer(producer, True)  # type: ignore[attr-defined]
        producer.go()
        self.network.run(started + 60)
        (reader,) = answering.made
        self.assertEqual(len(reader.data), total)
        first, last = reader.pieces[0][0], reader.pieces[-1][0]
        self.assertApproximates(first, started + LATENCY, EXACTLY)
        self.assertApproximates(last - first, (total - len(reader.pieces[-1][1])) / rate, EXACTLY)
        self.assertLessEqual(len(reader.pieces[-1][1]), SEGMENT_SIZE)
        ahead = (self.network.window + BUFFER_SIZE + size) / rate
        self.assertApproximates(producer.pauses[-1] - first, total / rate - ahead, SEGMENT_SIZE / rate + ROUND_TRIP)
        self.assertGreater(len(producer.pauses), 10)

    def test_pauseTravelsThroughAForwarder(self) -> None:
        """
        C{twisted.protocols.portforward} pauses the one whose words it cannot pass on: a slow reader at the far end
        stops a sender two links away. Neither holds more than a window and a buffer; all the rest waits at its
        origin, and arrives at the reader's pace.
        """
        rate, total = 1e6, 3_000_000
        answering = self.serve(rate)
        middle = self.network.host("10.0.0.3")
        forwarding = ProxyFactory("10.0.0.2", 80)

        class Forwarding(ProxyServer):
            reactor = middle  # type: ignore[assignment]

        forwarding.protocol = Forwarding
        forwarding.noisy = False
        middle.listenTCP(81, forwarding)
        client = Recorder(self.network)
        self.network.result(connectProtocol(clientFromString(self.client, "tcp:10.0.0.3:81"), client))
        assert client.transport is not None
        producer = Pushing(self.client, client.transport, 20_000)
        producer.left = total // producer.size
        client.transport.registerProducer(producer, True)  # type: ignore[attr-defined]
        producer.go()
        self.network.run(self.network.now + 1.0)
        (reader,) = answering.made
        underWay = total - producer.left * producer.size - len(reader.data)
        self.assertLess(underWay, 2 * (self.network.window + BUFFER_SIZE + SEGMENT_SIZE) + producer.size)
        self.network.run(self.network.now + 60)
        self.assertEqual(len(reader.data), total)
        seconds = reader.pieces[-1][0] - reader.pieces[0][0]
        self.assertApproximates(seconds, (total - len(reader.pieces[-1][1])) / rate, EXACTLY)


class Add(amp.Command):
    """
    Adds two numbers.
    """

    arguments = [(b"a", amp.Integer()), (b"b", amp.Integer())]
    response = [(b"sum", amp.Integer())]


class Adding(amp.AMP):
    """
    Knows how to add.
    """

    @Add.responder
    def add(self, a: int, b: int) -> dict[str, int]:
        """
        Add.
        """
        return {"sum": a + b}


class ProtocolTests(GuestTestCase):
    """
    Other protocols and transports.
    """

    def test_amp(self) -> None:
        """
        A call takes a round trip.
        """
        self.server.listenTCP(80, Factory.forProtocol(Adding))
        caller = amp.AMP()
        self.network.result(connectProtocol(clientFromString(self.client, "tcp:10.0.0.2:80"), caller))
        result, seconds = self.took(caller.callRemote(Add, a=2, b=3))
        self.assertEqual(result, {"sum": 5})
        self.assertApproximates(seconds, ROUND_TRIP, EXACTLY)

    def test_halfCloseThroughAnEndpoint(self) -> None:
        """
        Endpoints wrap protocols; half-closing works through them.
        """
        answering = Answering(self.network, HalfCloseable)
        self.server.listenTCP(80, answering)
        client = HalfCloseable(self.network)
        self.network.result(connectProtocol(clientFromString(self.client, "tcp:10.0.0.2:80"), client))
        started = self.network.now
        client.transport.loseWriteConnection()  # type: ignore[union-attr]
        self.network.run(started + 1)
        self.assertApproximates(answering.made[0].readLost, started + LATENCY, EXACTLY)
        answering.made[0].transport.loseConnection()
        self.network.run(started + 2)
        self.assertApproximates(client.readLost, started + 1 + LATENCY, EXACTLY)

    def test_datagrams(self) -> None:
        """
        A question and its answer take a round trip.
        """
        answers: list[tuple[float, bytes, Any]] = []

        class Replying(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                self.transport.write(b"re: " + datagram, addr)  # type: ignore[union-attr]

        class Asking(DatagramProtocol):
            def startProtocol(self) -> None:
                self.transport.write(b"hello", ("10.0.0.2", 53))  # type: ignore[union-attr]

            def datagramReceived(inner, datagram: bytes, addr: Any) -> None:
                answers.append((self.network.now, datagram, addr))

        self.server.listenUDP(53, Replying())
        port = self.client.listenUDP(0, Asking())
        self.assertRaises(error.CannotListenError, self.server.listenUDP, 53, Replying())
        self.network.run(1)
        self.assertEqual(answers, [(ROUND_TRIP, b"re: hello", ("10.0.0.2", 53))])
        self.assertEqual(port.getHost().host, "0.0.0.0")  # type: ignore[attr-defined]
        self.network.result(port.stopListening())  # type: ignore[arg-type]

    def test_datagramsAreLostAndOvertake(self) -> None:
        """
        Nobody sends them again, and nobody keeps them in order.
        """
        from p2p.simulation.latency import uniform

        self.build(latency=uniform(0.01, 0.1), loss=0.25)
        got: list[int] = []

        class Counting(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                got.append(int(datagram))

        self.server.listenUDP(53, Counting())
        sender = DatagramProtocol()
        self.client.listenUDP(0, sender)
        for number in range(1000):
            sender.transport.write(b"%d" % number, ("10.0.0.2", 53))  # type: ignore[union-attr]
        self.network.run(1)
        self.assertApproximates(len(got) / 1000, 0.75, 0.05)
        self.assertNotEqual(got, sorted(got))

    def test_refusedDatagrams(self) -> None:
        """
        A connected port hears when nobody takes its datagrams, one that is not connected does not.
        """
        refused: list[float] = []

        class Asking(DatagramProtocol):
            def connectionRefused(inner) -> None:
                refused.append(self.network.now)

        for connect in (False, True):
            asking = Asking()
            self.client.listenUDP(0, asking)
            if connect:
                asking.transport.connect("10.0.0.2", 53)  # type: ignore[union-attr]
            asking.transport.write(b"anyone?", ("10.0.0.2", 53))  # type: ignore[union-attr]
        self.network.run(1)
        self.assertEqual(refused, [ROUND_TRIP])
        self.assertRaises(error.MessageLengthError, asking.transport.write, b"x" * 70000)  # type: ignore[union-attr]


class Draw(amp.Command):
    """
    Draw some bytes.
    """

    response = [(b"drawn", amp.String())]


class Drawing(amp.AMP):
    """
    Draws with what Twisted has for that.
    """

    @Draw.responder
    def draw(self) -> dict[str, Any]:
        """
        Do it.
        """
        return {"drawn": secureRandom(16)}


class InASession(Resource):
    """
    Shows the id of the session, which begins with the first request.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        Show it.
        """
        uid: bytes = request.getSession().uid
        return uid


class OnlyOne:
    """
    Answers each question for a name with one address.
    """

    def query(self, query: dns.Query, timeout: object = None) -> Deferred[Any]:
        """
        Answer it.
        """
        answer = dns.RRHeader(query.name.name, dns.A, dns.IN, 60, dns.Record_A("10.0.0.9", 60))
        return succeed(([answer], [], []))


class DeterminismTests(GuestTestCase):
    """
    What Twisted's services do does not depend on the real time, nor on the system's randomness.
    """

    def advance(self, seconds: float) -> None:
        """
        Let the real clock go on, for whoever asks for the time by some function of Twisted's or of the C{time} module.
        """
        now, gmtime = time.time, time.gmtime

        def later() -> float:
            return now() + seconds

        def gmtimeLater(moment: float | None = None) -> time.struct_time:
            return gmtime(later() if moment is None else moment)

        for module in (time, http):
            self.patch(module, "time", later)
            self.patch(module, "gmtime", gmtimeLater)

    def go(self, clock: float = 0.0) -> tuple[list[Any], str]:
        """
        A request by HTTP, one by AMP and one by DNS.

        @param clock: How far ahead the server's clock is.

        @return: What came of it, and the digest.
        """
        self.build()
        self.network.faults.setClock(self.server, offset=clock)
        stamps: list[str] = []

        def logged(timestamp: str, request: object) -> str:
            stamps.append(timestamp)
            return ""

        self.server.listenTCP(80, Site(InASession(), reactor=self.server, logFormatter=logged))
        self.server.listenTCP(81, Factory.forProtocol(Drawing))
        answering = DNSServerFactory(clients=[OnlyOne()])
        answering.noisy = False
        self.server.listenUDP(53, dns.DNSDatagramProtocol(answering, reactor=self.server))
        self.network.run(10)
        response = self.network.result(Agent(self.client).request(b"GET", b"http://10.0.0.2/"))
        made: list[Any] = [response.headers.getRawHeaders(b"date"), self.network.result(readBody(response)), *stamps]
        caller = amp.AMP()
        self.network.result(connectProtocol(clientFromString(self.client, "tcp:10.0.0.2:81"), caller))
        made.append(self.network.result(caller.callRemote(Draw))["drawn"])
        resolver = names.Resolver(servers=[("10.0.0.2", 53)], reactor=self.client)
        ((answer,), _, _) = self.network.result(deferLater(self.client, 0, resolver.lookupAddress, "some.example"))
        made.append(answer.payload.dottedQuad())
        return made, self.network.digest()

    def test_sameAgainAtAnotherTime(self) -> None:
        """
        C{twisted.web} with a session, AMP, names and random bytes: the same bytes at the same virtual times, whenever.
        """
        first = self.go()
        self.advance(1234.5)
        self.assertEqual(self.go(), first)

    def test_itIsTheTimeOfTheHost(self) -> None:
        """
        The C{Date} of a response and the log of a web server show the virtual time, as far as its host's clock does.
        """
        (date, session, stamp, *_), _ = self.go()
        self.assertEqual(date, [b"Thu, 01 Jan 1970 00:00:10 GMT"])
        self.assertEqual(stamp, "[01/Jan/1970:00:00:10 +0000]")
        self.assertEqual(len(bytes.fromhex(session.decode())), 32)
        (date, _, stamp, *_), _ = self.go(clock=1e9)
        self.assertEqual(date, [b"Sun, 09 Sep 2001 01:46:50 GMT"])
        self.assertEqual(stamp, "[09/Sep/2001:01:46:50 +0000]")

    def test_whicheverWayItsProgramIsCalled(self) -> None:
        """
        At its beginning and end, by a timer, a connection or a datagram; also after it was stopped.
        """
        told: list[tuple[str, bytes]] = []

        def tell(what: str) -> None:
            told.append((what, http.datetimeToString()[12:16]))

        class Telling(Protocol):
            def connectionMade(self) -> None:
                tell("made")

            def dataReceived(self, data: bytes) -> None:
                tell("data")

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                tell("lost")

        class TellingOfDatagrams(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: object) -> None:
                tell("datagram")

            def startProtocol(self) -> None:
                tell("listening")

            def stopProtocol(self) -> None:
                tell("closed")

        def boot(reactor: Any) -> None:
            tell("boot")
            reactor.callWhenRunning(tell, "running")
            reactor.addSystemEventTrigger("before", "shutdown", tell, "shutdown")
            reactor.callLater(0.5, tell, "timer")
            reactor.listenTCP(80, Factory.forProtocol(Telling))
            reactor.listenUDP(53, TellingOfDatagrams())

        network = self.network
        network.faults.setClock(self.server, offset=1e9)
        network.hosts["10.0.0.2"].boot = boot
        server = network.faults.restart(self.server)
        network.run(1)
        client, datagrams = Recorder(network), DatagramProtocol()
        self.client.connectTCP("10.0.0.2", 80, Calling(network, client))
        self.client.listenUDP(53, datagrams)
        network.run(2)
        network.faults.pause(server)
        client.transport.write(b"hello")  # type: ignore[union-attr]
        datagrams.transport.write(b"hello", ("10.0.0.2", 53))  # type: ignore[union-attr]
        network.run(3)
        network.faults.resume(server)
        network.run(4)
        client.transport.loseConnection()  # type: ignore[union-attr]
        network.run(5)
        server.stop()
        network.run(6)
        whats = ["boot", "listening", "running", "timer", "made", "data", "datagram", "lost", "shutdown", "closed"]
        self.assertEqual(sorted(told), sorted((what, b"2001") for what in whats))

    def test_theSeedDecidesWhatIsDrawn(self) -> None:
        """
        The same seed the same bytes, another one others; and one run never the same twice.
        """

        def drawn(seed: int) -> list[bytes]:
            bytes_: list[bytes] = []
            network = SimulatedNetwork(seed=seed)
            for delay in (1, 2):
                network.host("10.0.0.1").callLater(delay, lambda: bytes_.append(secureRandom(16)))
            network.run(3)
            return bytes_

        self.assertEqual(drawn(1), drawn(1))
        self.assertEqual(len({*drawn(1), *drawn(2)}), 4)
        self.assertNotEqual(secureRandom(16), secureRandom(16))


class Repeating(Recorder):
    """
    Says something again as soon as it comes back, so often.

    @ivar echoed: fires when it has come back the last time; the first time is the handshake's, and not counted.
    """

    def __init__(self, network: SimulatedNetwork, times: int) -> None:
        Recorder.__init__(self, network)
        self.left = times
        self.echoed: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Begin.
        """
        Recorder.connectionMade(self)
        assert self.transport is not None
        self.transport.write(b"once more")

    def dataReceived(self, data: bytes) -> None:
        """
        Go on, or be done.
        """
        assert self.transport is not None
        if not self.left:
            self.echoed.callback(None)
            return
        self.left -= 1
        self.transport.write(data)


class TLSTests(GuestTestCase):
    """
    TLS over simulated TCP.
    """

    def serve(self, protocol: Any) -> Any:
        """
        Serve a protocol over TLS as server.example, and return how a client connects to it.
        """
        private, public = certificate("server.example")
        self.server.listenSSL(443, protocol, private.options())
        options = ssl.optionsForClientTLS("server.example", trustRoot=public)
        return wrapClientTLS(options, HostnameEndpoint(self.client, "server.example", 443))

    def test_wrapClientTLS(self) -> None:
        """
        After TCP's round trip, the handshake and the echo take one or two each.
        """
        endpoint = self.serve(Factory.forProtocol(Echo))
        client = Recorder(self.network)
        self.network.result(connectProtocol(endpoint, client))
        assert client.transport is not None
        client.transport.write(b"hello")
        started = self.network.now
        self.network.run(started + 2)
        self.assertEqual(client.data, b"hello")
        seconds = client.pieces[0][0] - started
        self.assertTrue(2 * ROUND_TRIP - EXACTLY <= seconds <= 3 * ROUND_TRIP + EXACTLY, seconds)
        client.transport.loseConnection()
        self.network.run(self.network.now + 5)
        assert client.lost is not None
        self.assertEqual(client.lost[1], error.ConnectionDone)

    def test_wrongCertificateIsRefused(self) -> None:
        """
        The client loses its connection for that reason.
        """
        private, _ = certificate("other.example")
        self.server.listenSSL(443, Factory.forProtocol(Echo), private.options())
        client = Recorder(self.network)
        options = ssl.optionsForClientTLS("server.example")
        self.network.result(
            connectProtocol(wrapClientTLS(options, HostnameEndpoint(self.client, "server.example", 443)), client)
        )
        self.network.run(self.network.now + 5)
        assert client.lost is not None
        self.assertTrue(
            issubclass(client.lost[1], ssl.VerificationError if hasattr(ssl, "VerificationError") else Exception)
        )
        self.assertNotEqual(client.lost[1], error.ConnectionDone)

    def test_throughALossyLink(self) -> None:
        """
        A megabyte gets through whole, though a fifth of all segments is lost.
        """
        self.build(loss=0.2, window=65536)
        answering = Answering(self.network)
        endpoint = self.serve(answering)
        client = Recorder(self.network)
        self.network.result(connectProtocol(endpoint, client))
        assert client.transport is not None
        content = bytes(n % 251 for n in range(1000000))
        client.transport.write(content)
        client.transport.loseConnection()
        self.network.run(self.network.now + 600)
        self.assertEqual(answering.made[0].data, content)

    def test_lossCostsItsTimeoutsUnderTLS(self) -> None:
        """
        Of a thousand echoes each is a segment there and one back. One that is lost k times in a row comes T (2^k - 1)
        later, with T = 0.2 s and a round trip; so with the share p lost, a segment takes T p / (1 - 2p) more on
        average, and the variance of that is T^2 (1-p) (1/(1-4p) - 2/(1-2p) + 1/(1-p)) less the mean's square. At 5 %
        the echoes take 133 s; the bound is three deviations of their sum, 11 s.
        """
        lost, timeout, echoes = 0.05, 0.2 + ROUND_TRIP, 1000
        self.build(loss=lost)
        endpoint = self.serve(Factory.forProtocol(Echo))
        client = Repeating(self.network, echoes)
        self.network.result(connectProtocol(endpoint, client))
        _, seconds = self.took(client.echoed, 1000.0)
        mean = timeout * lost / (1 - 2 * lost)
        squares = 1 / (1 - 4 * lost) - 2 / (1 - 2 * lost) + 1 / (1 - lost)
        variance = timeout**2 * (1 - lost) * squares - mean**2
        self.assertApproximates(seconds, echoes * (ROUND_TRIP + 2 * mean), 3 * sqrt(2 * echoes * variance))

    def test_startTLS(self) -> None:
        """
        A connection that began in the clear goes on under TLS, in both directions.
        """
        private, public = certificate("server.example")

        class Upgrading(LineReceiver):
            def lineReceived(self, line: bytes) -> None:
                if line == b"STARTTLS":
                    self.sendLine(b"go on")
                    self.transport.startTLS(private.options())  # type: ignore[union-attr]
                else:
                    self.sendLine(b"secret " + line)

        class Client(LineReceiver):
            def __init__(self) -> None:
                self.lines: list[bytes] = []
                self.lost: Failure | None = None

            def connectionMade(self) -> None:
                self.sendLine(b"STARTTLS")

            def lineReceived(self, line: bytes) -> None:
                self.lines.append(line)
                if line == b"go on":
                    options = ssl.optionsForClientTLS("server.example", trustRoot=public)
                    self.transport.startTLS(options)  # type: ignore[union-attr]
                    self.sendLine(b"hello")
                else:
                    self.transport.loseConnection()  # type: ignore[union-attr]

            def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
                self.lost = reason

        self.server.listenTCP(80, Factory.forProtocol(Upgrading))
        client = Client()
        self.client.connectTCP("10.0.0.2", 80, Calling(self.network, client))
        self.network.run(5)
        self.assertEqual(client.lines, [b"go on", b"secret hello"])
        assert client.lost is not None
        self.assertTrue(client.lost.check(error.ConnectionDone))

    def test_onlyCiphersAreLeftOutOfTheDigest(self) -> None:
        """
        Not what was written before TLS began, though that waits for bandwidth until after it.
        """
        self.build(bandwidth=10000.0)
        private, _ = certificate("server.example")

        class Upgrading(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"x" * 1000)  # type: ignore[union-attr]
                self.transport.startTLS(private.options())  # type: ignore[union-attr]
                self.transport.write(b"secret")  # type: ignore[union-attr]

        arrived: list[tuple[type, bytes]] = []
        self.network.watchArrivals(
            lambda events: arrived.extend((type(data), data) for *_, data in events if data is not None)
        )
        self.server.listenTCP(80, Factory.forProtocol(Upgrading))
        options = ssl.CertificateOptions()

        class Client(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.transport.startTLS(options)  # type: ignore[union-attr]

        self.client.connectTCP("10.0.0.2", 80, Calling(self.network, Client()))
        self.network.run(5)
        kinds = [kind for kind, _ in arrived]
        self.assertEqual(arrived[0], (bytes, b"x" * 1000))
        self.assertGreater(len(kinds), 3)
        self.assertEqual(set(kinds[1:]), {Ciphertext})

    def test_pullProducerOverTLS(self) -> None:
        """
        A file is served over TLS: Twisted lets its global cooperator pull it, which works here, too.
        """
        private, public = certificate("server.example")
        content = bytes(n % 251 for n in range(3000000))
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(content)
        root = Resource()
        root.putChild(b"it", File(path))
        self.server.listenSSL(443, Site(root, reactor=self.server), private.options())
        agent = Agent(self.client, BrowserLikePolicyForHTTPS(trustRoot=public))
        body, seconds = self.took(agent.request(b"GET", b"https://server.example/it").addCallback(readBody))
        self.assertEqual(body, content)
        # Besides the handshakes and the request: eleven rounds of a window of 256 KiB, and what TLS adds to it.
        self.assertTrue(12 * ROUND_TRIP < seconds < 16 * ROUND_TRIP, seconds)
