"""
Tests for the simulated network as a whole, and for the reactors on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHostnameResolver,
    IListeningPort,
    IReactorCore,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    IUDPTransport,
)
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.simulation.checks import Violation
from p2p.simulation.clock import COARSE, FINE, SimulationError
from p2p.simulation.latency import constant, uniform
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.reactor import SimulatedReactor
from p2p.simulation.trace import Trace
from p2p.test.test_simulation_tcp import LATENCY, Answering, Calling, HalfCloseable, Recorder, TCPTestCase

Arrivals = list[tuple[float, int, bytes]]

ARRIVALS = st.lists(
    st.tuples(st.integers(0, 4).map(float), st.integers(1, 4), st.sampled_from([b"a", b"aa"])), min_size=1, max_size=3
)
"""When, at which end, and what: few and small numbers, whose sums and products are often equal."""


class Gossiping(Recorder):
    """
    Answers each of some pieces with one that is a byte longer.
    """

    def connectionMade(self) -> None:
        """
        Begin.
        """
        assert self.transport is not None
        Recorder.connectionMade(self)
        self.transport.write(b"x")

    def dataReceived(self, data: bytes) -> None:
        """
        Answer.
        """
        assert self.transport is not None
        Recorder.dataReceived(self, data)
        if len(self.pieces) < 30:
            self.transport.write(data[:40] + b"x")


class Datagrams(DatagramProtocol):
    """
    Notes when they come.
    """

    def __init__(self, network: SimulatedNetwork) -> None:
        self.network = network
        self.times: list[float] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """
        Note when.
        """
        self.times.append(self.network.now)


def chatter(**options: Any) -> SimulatedNetwork:
    """
    Run some hosts that talk to each other.
    """
    options = {"seed": 1, "latency": uniform(0.01, 0.1), **options}
    network = SimulatedNetwork(**options)
    hosts = [network.host(f"10.0.0.{n}") for n in range(1, 6)]
    for host in hosts:
        host.listenTCP(80, Answering(network, Gossiping))
        for other in hosts:
            delay = host.random.random()
            host.callLater(
                delay,
                lambda h=host, o=other: h.connectTCP(o.host.address, 80, Calling(network, Gossiping(network))),
            )
    return network


class DeterminismTests(SynchronousTestCase):
    """
    The seed alone determines a run.
    """

    def test_sameSeedSameDigest(self) -> None:
        """
        Also with fuzz, loss and a trace; and another seed or setting gives another one.
        """
        digests = set()
        for options in ({}, {"seed": 2}, {"fuzz": True}, {"loss": 0.1}, {"fuzz": True, "seed": 2}, {"bandwidth": 1e4}):
            runs = []
            for _ in range(2):
                network = chatter(**options)
                network.run(20)
                runs.append((network.digest(), network.deliveries))
            self.assertEqual(runs[0], runs[1])
            self.assertGreater(runs[0][1], 500)
            digests.add(runs[0][0])
        self.assertEqual(len(digests), 6)

    def test_howTheRunIsDividedChangesNothing(self) -> None:
        """
        Nor do statements that are checked, or a trace that is kept.
        """
        network = chatter()
        network.run(20)
        digest, events = network.digest(), network.events
        for watched in (False, True):
            network = chatter(trace=watched)
            if watched:
                network.always(lambda network: True, every=0.01)
                network.eventually(lambda network: network.deliveries > 100, by=20)
            step = 0.0
            while step < 20:
                step += 0.0173
                network.run(min(step, 20))
            self.assertEqual(network.digest(), digest)
            self.assertEqual(network.events == events, not watched)

    def test_howTimeIsCutIntoSlotsChangesNothing(self) -> None:
        """
        Also where writes of one instant arrive within the slot that is under way.
        """
        for latency in (uniform(0.01, 0.1), constant(0.0003)):
            for options in ({}, {"fuzz": True}, {"loss": 0.1}):
                digests = set()
                for slotsPerSecond in (FINE, COARSE, 3.0, 20_000.0):
                    network = chatter(latency=latency, slotsPerSecond=slotsPerSecond, **options)
                    network.run(5)
                    digests.add((network.digest(), network.deliveries))
                self.assertEqual(len(digests), 1)

    def test_aWatcherThatRaisesChangesNothing(self) -> None:
        """
        What it was shown is taken down once.
        """

        def watch(events: list[Any]) -> None:
            if not failed and any(event[3] for event in events):
                failed.append(True)
                raise ZeroDivisionError

        digests = set()
        for failing in (False, True):
            failed = [] if failing else [False]
            network = SimulatedNetwork(seed=1, trace=True)
            for address in ("10.0.0.1", "10.0.0.2"):
                port: Any = network.host(address).listenUDP(1, DatagramProtocol())
            port.write(b"x", ("10.0.0.1", 1))
            network.watchArrivals(watch)
            if failing:
                self.assertRaises(ZeroDivisionError, network.run, 1)
            network.run(1)
            digests.add((network.digest(), network.events, network.deliveries, len(network.happenings)))
        self.assertEqual(len(digests), 1)

    def test_digestSeesOneByte(self) -> None:
        """
        Other bytes at the same times give another digest, and so does another receiver.
        """
        digests = set()
        for first, second, order in ((b"a", b"b", 1), (b"a", b"c", 1), (b"b", b"a", 1), (b"a", b"b", -1)):
            network = SimulatedNetwork(latency=constant(LATENCY))
            answering = Answering(network)
            network.host("10.0.0.1").listenTCP(80, answering)
            clients = [Recorder(network), Recorder(network)]
            for client in clients:
                network.host("10.0.0.2").connectTCP("10.0.0.1", 80, Calling(network, client))
            network.run(1)
            for client, data in zip(clients[::order], (first, second), strict=True):
                client.transport.write(data)  # type: ignore[union-attr]
            network.run(2)
            digests.add(network.digest())
        self.assertEqual(len(digests), 4)

    @settings(max_examples=300, deadline=None)
    @given(ARRIVALS, ARRIVALS, st.integers(0, 3))
    def test_digestsAreEqualOnlyIfAllThatArrivedIs(self, first: Arrivals, second: Arrivals, cut: int) -> None:
        """
        When, where, how much and which bytes, in that order; however it is cut into blocks.
        """

        def digest(*blocks: Arrivals) -> str:
            trace = Trace(False)
            for block in blocks:
                trace.record([(when, 0, SimpleNamespace(serial=serial), data) for when, serial, data in block])
            return trace.digest()

        self.assertEqual(digest(first[:cut], first[cut:]), digest(first))
        self.assertEqual(digest(first) == digest(second), first == second)

    def test_digestSeesWhoGotItAndWhen(self) -> None:
        """
        One byte to the first at 9 s is not one to the third at 3 s, nor to the third at 9 s; whoever else is connected.
        """
        for others in (True, False):
            digests = set()
            for to, at in ((2, 9.0), (4, 3.0), (4, 9.0), (2, 3.0)):
                network = SimulatedNetwork(latency=constant(LATENCY))
                clients = {}
                for number in (2, 3, 4):
                    network.host(f"10.0.0.{number}").listenTCP(80, Answering(network))
                    if others or number == to:
                        client = clients[number] = Recorder(network)
                        network.host("10.0.0.1").connectTCP(f"10.0.0.{number}", 80, Calling(network, client))
                network.run(at)
                clients[to].transport.write(b"a")  # type: ignore[union-attr]
                network.run(10)
                digests.add(network.digest())
            self.assertEqual(len(digests), 4)

    def test_digestSeesWhereOnePieceEnds(self) -> None:
        """
        The same bytes at the same times, cut elsewhere, give another digest.
        """
        digests = set()
        for pieces in ((b"ab", b"c"), (b"a", b"bc")):
            network = SimulatedNetwork(latency=constant(LATENCY))
            network.host("10.0.0.1").listenTCP(80, Answering(network))
            client = Recorder(network)
            network.host("10.0.0.2").connectTCP("10.0.0.1", 80, Calling(network, client))
            for second, piece in enumerate(pieces, 1):
                network.run(second)
                client.transport.write(piece)  # type: ignore[union-attr]
            network.run(3)
            digests.add(network.digest())
        self.assertEqual(len(digests), 2)

    def test_digestSeesWhereDatagramsGoAndComeFrom(self) -> None:
        """
        Whoever gets it and whoever sends it, though all use the same port number; also one that is stopped.
        """
        digests = set()
        for stopped in (False, True):
            for source, destination in ((1, 2), (1, 3), (2, 3), (3, 1)):
                network = SimulatedNetwork(latency=constant(LATENCY))
                datagrams = [Datagrams(network) for _ in range(3)]
                for number, each in enumerate(datagrams, 1):
                    network.host(f"10.0.0.{number}").listenUDP(53, each)
                if stopped:
                    network.faults.pause(f"10.0.0.{destination}")
                datagrams[source - 1].transport.write(b"hi", (f"10.0.0.{destination}", 53))  # type: ignore[union-attr]
                network.run(1)
                self.assertEqual(network.deliveries, 1)
                self.assertEqual(datagrams[destination - 1].times, [] if stopped else [LATENCY])
                network.faults.resume(f"10.0.0.{destination}")
                network.run(2)
                self.assertEqual(datagrams[destination - 1].times, [1.0 if stopped else LATENCY])
                digests.add(network.digest())
        self.assertEqual(len(digests), 4)

    def test_streamsOfRandomnessDependOnTheirNamesOnly(self) -> None:
        """
        Who draws from one does not disturb another.
        """
        one, other = SimulatedNetwork(seed=4), SimulatedNetwork(seed=4)
        one.random.random()
        self.assertEqual(one.stream("x").random(), other.stream("x").random())
        self.assertNotEqual(one.stream("x").random(), one.stream("y").random())
        self.assertEqual(one.host("10.0.0.1").random.random(), other.host("10.0.0.1").random.random())
        self.assertNotEqual(one.host("10.0.0.1").random.random(), one.host("10.0.0.2").random.random())

    def test_traceTellsWhatHappened(self) -> None:
        """
        When, what, to whom, and how many bytes; without being asked for, nothing is kept.
        """
        network = chatter(trace=True)
        network.run(20)
        data = [happening for happening in network.happenings if happening.what == "data"]
        self.assertEqual(len(data), network.deliveries)
        self.assertLessEqual(len(network.happenings), network.events)
        self.assertEqual([h.time for h in network.happenings], sorted(h.time for h in network.happenings))
        self.assertRegex(data[0].who, r"<Connection 10\.0\.0\.\d:\d+ to 10\.0\.0\.\d:\d+>")
        self.assertRaises(ValueError, lambda: chatter().happenings)

    def test_traceTellsOfTimersThatAreDue(self) -> None:
        """
        Once each, however often they were moved, and not of those that were cancelled or whose process is dead; of one
        that is stopped when they are due, though it makes the calls later.
        """
        network = SimulatedNetwork(trace=True)
        here, dead, stopped = (network.host(f"10.0.0.{number}") for number in (1, 2, 3))
        here.callLater(5.0, list).cancel()
        here.callLater(6.0, list).reset(2.0)
        here.callLater(7.0, list).reset(9.0)
        toAndFro = here.callLater(8.0, list)
        toAndFro.reset(3.0)
        network.callAt(2.5, lambda: toAndFro.reset(5.5))
        dead.callLater(4.0, list)
        network.callAt(3.5, lambda: network.faults.crash(dead))
        stopped.callLater(10.0, list)
        network.callAt(9.5, lambda: network.faults.pause(stopped, duration=2.0))
        network.run(20.0)
        timers = [(happening.time, happening.who) for happening in network.happenings if happening.what == "timer"]
        self.assertEqual(timers, [(2.0, "10.0.0.1"), (8.0, "10.0.0.1"), (9.0, "10.0.0.1"), (10.0, "10.0.0.3")])

    def test_fuzzCutsSegments(self) -> None:
        """
        Where the seed says; without it whole writes stay whole.
        """
        cuts = []
        for options in ({}, {"fuzz": True}, {"fuzz": True, "seed": 2}):
            network = SimulatedNetwork(**options)
            answering = Answering(network)
            network.host("10.0.0.1").listenTCP(80, answering)
            client = Recorder(network)
            network.host("10.0.0.2").connectTCP("10.0.0.1", 80, Calling(network, client))
            network.run(1)
            for _ in range(20):
                client.transport.write(b"x" * 1000)  # type: ignore[union-attr]
                network.run(network.now + 0.3)
            cuts.append([len(data) for _, data in answering.made[0].pieces])
        self.assertEqual(cuts[0], [1000] * 20)
        self.assertGreater(len(cuts[1]), 25)
        self.assertEqual(sum(cuts[1]), 20000)
        self.assertNotEqual(cuts[1], cuts[2])


class FuzzTests(SynchronousTestCase):
    """
    What the seed may choose on request, beside where segments are cut. Without that, a rule decides.
    """

    def test_fuzzStretchesLatencies(self) -> None:
        """
        Each segment takes up to half as long again as its path says, and datagrams do so, too.
        """
        for fuzz in (False, True):
            network = SimulatedNetwork(seed=1, latency=constant(0.1), fuzz=fuzz)
            sender, reader = network.host("10.0.0.1"), network.host("10.0.0.2")
            answering = Answering(network)
            reader.listenTCP(80, answering)
            client, datagrams = Recorder(network), Datagrams(network)
            sender.connectTCP("10.0.0.2", 80, Calling(network, client))
            port = reader.listenUDP(53, datagrams)
            self.assertEqual(port.getHost().port, 53)  # type: ignore[attr-defined]
            asking = DatagramProtocol()
            sender.listenUDP(0, asking)
            network.run(1)
            for number in range(40):
                client.transport.write(b"x")  # type: ignore[union-attr]
                asking.transport.write(b"x", ("10.0.0.2", 53))  # type: ignore[union-attr]
                network.run(2.0 + number)
            for times in ([at for at, _ in answering.made[0].pieces], datagrams.times):
                took = [round(at - (number + 1.0), 9) for number, at in enumerate(times)]
                self.assertEqual(len(took), 40)
                if fuzz:
                    self.assertTrue(all(0.1 <= each <= 0.15 for each in took), took)
                    self.assertGreater(max(took) - min(took), 0.03)
                else:
                    self.assertEqual(set(took), {0.1})

    def test_fuzzShufflesWhatArrivesOverSeveralLinks(self) -> None:
        """
        What several hosts send at one instant arrives in the order of its sending, with fuzz in any.
        """
        orders: dict[bool, set[bytes]] = {False: set(), True: set()}
        for fuzz, found in orders.items():
            for seed in range(20):
                network = SimulatedNetwork(seed=seed, latency=constant(0.1), fuzz=fuzz)
                arrived: list[bytes] = []
                reader = network.host("10.0.0.100")

                class Noting(Protocol):
                    def dataReceived(self, data: bytes, arrived: list[bytes] = arrived) -> None:
                        arrived.append(data)

                reader.listenTCP(80, Factory.forProtocol(Noting))
                clients = [Recorder(network) for _ in range(3)]
                for number, client in enumerate(clients):
                    network.host(f"10.0.0.{number}").connectTCP("10.0.0.100", 80, Calling(network, client))
                network.run(1)
                for number, client in enumerate(clients):
                    client.transport.write(b"%d" % number)  # type: ignore[union-attr]
                network.run(2)
                found.add(b"".join(arrived))
        self.assertEqual(orders[False], {b"012"})
        self.assertEqual(len(orders[True]), 6)

    def test_fuzzSlackensTimers(self) -> None:
        """
        A process looks at its timers every so often, up to 2 ms, each at a pace of its own: they are late by that much
        at most, never early, and keep their order within the process.
        """
        late: dict[str, list[float]] = {}
        order: list[tuple[str, int]] = []
        network = SimulatedNetwork(seed=1, fuzz=True)

        def fired(address: str, number: int, due: float) -> None:
            late.setdefault(address, []).append(network.now - due)
            order.append((address, number))

        for host in range(20):
            address = f"10.0.0.{host}"
            reactor = network.host(address)
            for number in range(10):
                reactor.callLater(0.0001 * number, fired, address, number, 0.0001 * number)
        network.run(1)
        self.assertEqual(len(order), 200)
        for address, lates in late.items():
            self.assertTrue(all(0.0 <= each <= 0.002 for each in lates), lates)
            self.assertEqual([number for who, number in order if who == address], list(range(10)))
        self.assertGreater(max(map(max, late.values())), 0.001)
        # Timers of one moment fire on one host after the other, in an order that is not that of their setting.
        first = [who for who, number in order if number == 0]
        self.assertNotEqual(first, sorted(first, key=lambda address: int(address.rpartition(".")[2])))


class CheckTests(SynchronousTestCase):
    """
    Statements that must hold.
    """

    def setUp(self) -> None:
        """
        Make a network on which something happens after three seconds.
        """
        self.network = SimulatedNetwork(seed=42)
        self.happened: list[float] = []
        self.network.host("10.0.0.1").callLater(3.0, self.happened.append, 1)

    def test_alwaysEndsTheRunWhenItDoesNotHold(self) -> None:
        """
        The violation names the seed, the virtual time and the statement.
        """

        def nothingHappens(network: SimulatedNetwork) -> bool:
            return not self.happened

        self.network.always(nothingHappens, every=0.5)
        problem = self.assertRaises(Violation, self.network.run, 10)
        self.assertEqual((problem.seed, problem.time), (42, 3.0))
        self.assertIn("seed 42, at 3.000000 s", str(problem))
        self.assertIn("nothingHappens", str(problem))

    def test_alwaysIsLookedAtWhenTheRunEnds(self) -> None:
        """
        However long it would have been until the next look.
        """
        self.network.always(lambda network: not self.happened, every=1000)
        self.assertRaises(Violation, self.network.run, 10)

    def test_assertInAStatement(self) -> None:
        """
        A function may assert instead of returning something, and what it says is in the violation.
        """

        def statement(network: SimulatedNetwork) -> None:
            assert network.now < 2, "it is too late"

        self.network.always(statement)
        problem = self.assertRaises(Violation, self.network.run, 10)
        self.assertIn("it is too late", str(problem))
        self.assertIsInstance(problem.__cause__, AssertionError)

    def test_aStatementAnswersAtOnce(self) -> None:
        """
        A coroutine, a Deferred or a generator would count as true, whatever it says in the end: it ends the run, and is
        named.
        """

        async def coroutine(network: SimulatedNetwork) -> bool:
            return False

        def deferred(network: SimulatedNetwork) -> object:
            return Deferred.fromCoroutine(coroutine(network))

        def generator(network: SimulatedNetwork) -> Iterator[bool]:
            yield False

        for statement, kind in ((coroutine, "coroutine"), (deferred, "Deferred"), (generator, "generator")):
            for watch, when in (("always", {}), ("eventually", {"by": 20.0})):
                self.setUp()
                getattr(self.network, watch)(statement, **when)
                problem = self.assertRaises(TypeError, self.network.run, 10)
                self.assertIn(f"{kind.lower()} answered with a {kind}: a statement says at once", str(problem))

    def test_statementWithoutAName(self) -> None:
        """
        It is told by the place where it is written.
        """
        statement = lambda network: network.now < 2  # noqa: E731
        self.network.always(statement)
        problem = self.assertRaises(Violation, self.network.run, 10)
        self.assertIn(f"{__file__}:{statement.__code__.co_firstlineno}", str(problem))

    def test_eventually(self) -> None:
        """
        It may hold at any look up to the deadline, and be false again later.
        """
        self.network.eventually(lambda network: bool(self.happened), by=3.0)
        self.network.eventually(lambda network: 1.0 < network.now < 2.0, by=5.0)
        self.network.run(10)
        self.network.eventually(lambda network: network.now == 12.25, by=12.25)
        self.network.run(20)
        self.network.eventually(lambda network: False, by=25.0)
        problem = self.assertRaises(Violation, self.network.run, 30)
        self.assertEqual(problem.time, 25.0)

    def test_violationLeavesTheNetworkAsItIs(self) -> None:
        """
        One can look around, and even run on.
        """
        self.network.eventually(lambda network: False, by=1.0)
        self.assertRaises(Violation, self.network.run, 10)
        self.assertEqual((self.network.now, self.happened), (1.0, []))
        self.network.run(10)
        self.assertEqual((self.network.now, self.happened), (10.0, [1]))

    def test_nonsenseIsRefused(self) -> None:
        """
        Time goes on, forwards.
        """
        self.network.run(5)
        self.assertRaises(ValueError, self.network.run, 4)
        self.assertRaises(ValueError, self.network.callAt, 4, list)
        self.assertRaises(ValueError, self.network.always, list, every=0)
        self.assertRaises(ValueError, self.network.eventually, list, by=9, every=0)
        self.assertRaises(ValueError, SimulatedNetwork, window=1)
        self.assertRaises(ValueError, SimulatedNetwork, loss=2.0)
        self.assertRaises(ValueError, self.network.host, "example.org")
        self.assertRaises(ValueError, self.network.host, "10.0.0.1", boot=list)


class ReactorTests(TCPTestCase):
    """
    A simulated process as a reactor.
    """

    def test_interfaces(self) -> None:
        """
        It provides what it says.
        """
        for interface in (
            IReactorCore,
            IReactorTime,
            IReactorFromThreads,
            IReactorTCP,
            IReactorSSL,
            IReactorUDP,
            IReactorPluggableNameResolver,
        ):
            self.assertTrue(interface.providedBy(self.here))
            verifyObject(interface, self.here)
        verifyObject(IHostnameResolver, self.here.nameResolver)
        port = self.here.listenUDP(0, DatagramProtocol())
        verifyObject(IListeningPort, port)
        verifyObject(IUDPTransport, port)

    def test_startUpAndShutdown(self) -> None:
        """
        Events are fired in their phases; a Deferred from a trigger before shutdown is waited for.
        """
        happened: list[str] = []
        states: list[bool] = []
        reactor = self.here
        for eventType in ("startup", "shutdown"):
            for phase in ("after", "during", "before"):
                reactor.addSystemEventTrigger(phase, eventType, happened.append, f"{phase} {eventType}")
            reactor.addSystemEventTrigger("during", eventType, lambda: states.append(reactor.running))
        removed = reactor.addSystemEventTrigger("during", "startup", happened.append, "never")
        reactor.removeSystemEventTrigger(removed)
        reactor.callWhenRunning(happened.append, "running")
        self.assertFalse(reactor.running)
        self.network.run(1)
        self.assertTrue(reactor.running)
        self.assertEqual(happened, ["before startup", "during startup", "after startup", "running"])
        reactor.callWhenRunning(happened.append, "at once")
        self.assertEqual(happened.pop(), "at once")
        waiting: Deferred[None] = Deferred()
        reactor.addSystemEventTrigger("before", "shutdown", lambda: waiting)
        del happened[:]
        reactor.stop()
        self.assertRaises(error.ReactorNotRunning, reactor.stop)
        self.network.run(2)
        self.assertEqual(happened, ["before shutdown"])
        waiting.callback(None)
        self.assertEqual(happened, ["before shutdown", "during shutdown", "after shutdown"])
        self.assertEqual((reactor.running, reactor.alive), (False, False))
        # What the reactor itself does in these phases is done before what a program does there.
        self.assertEqual(states, [True, False])

    def test_onlyWhatRunsCanBeStopped(self) -> None:
        """
        Not a process that has not begun.
        """
        self.assertRaises(error.ReactorNotRunning, self.here.stop)
        self.network.run(1)
        self.here.stop()
        self.network.run(2)
        self.assertFalse(self.here.alive)

    def test_portsHaveSixteenBits(self) -> None:
        """
        Of either kind.
        """
        for number in (-1, 65536):
            self.assertRaises(OverflowError, self.here.listenTCP, number, Answering(self.network))
            self.assertRaises(OverflowError, self.here.listenUDP, number, DatagramProtocol())
            calling = Calling(self.network, Recorder(self.network))
            self.here.connectTCP("10.0.0.2", number, calling)
            self.network.run(self.network.now)
            self.assertEqual(calling.failed, (self.network.now, OverflowError))

    def test_stopClosesEverything(self) -> None:
        """
        Its protocols lose their connections, the others see a clean end, its ports are free and its timers dead.
        """
        client, server = self.join()
        fired: list[int] = []
        self.there.callLater(1, fired.append, 1)
        self.there.stop()
        self.network.run(self.network.now + 5)
        self.assertEqual(server.lost[1], error.ConnectionLost)
        self.assertEqual(client.lost[1], error.ConnectionDone)
        self.assertEqual((fired, self.there.host.ports), ([], {}))

    def test_stopFailsWhatIsStillBeingTried(self) -> None:
        """
        Whoever calls is told once that he is not connected, be it that nobody answers or that a stopped process has not
        learnt of the answer.
        """

        class Stopping(Calling):
            def stopFactory(self) -> None:
                happened.append((self.failed and self.failed[1], self.ended))

        happened: list[Any] = []
        self.there.listenTCP(80, Answering(self.network))
        self.network.run(1)
        self.network.callAt(1.5, self.here.stop)
        self.network.callAt(1.5, lambda: self.network.faults.pause(self.here, duration=5))
        self.network.callAt(1.49, lambda: self.here.connectTCP("10.0.0.2", 80, Stopping(self.network, None)))
        self.here.connectTCP("10.0.0.9", 80, Stopping(self.network, None))
        self.network.run(200)
        self.assertEqual(happened, [(error.ConnectError, None)] * 2)
        self.assertEqual(self.here.host.calling, {})

    def test_stopTellsAllThatListens(self) -> None:
        """
        Factories and datagram protocols, each once, also if one raises an exception; whoever waits for a port to be
        free hears that it is.
        """
        happened: list[str] = []

        class Stopping(Answering):
            def stopFactory(self) -> None:
                happened.append("factory")
                raise ZeroDivisionError

        class StoppingDatagrams(DatagramProtocol):
            def stopProtocol(self) -> None:
                happened.append("protocol")

        ports: list[Any] = [self.here.listenTCP(80 + n, Stopping(self.network)) for n in range(2)]
        ports += [self.here.listenUDP(53 + n, StoppingDatagrams()) for n in range(2)]
        self.network.run(1)
        self.here.stop()
        waiting = [ports[0].stopListening(), ports[2].stopListening()]
        self.network.run(2)
        self.assertEqual(happened, ["factory", "factory", "protocol", "protocol"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        for each in waiting:
            self.successResultOf(each)

    def test_crashSkipsTheShutdown(self) -> None:
        """
        C{reactor.crash} ends the process as it is.
        """
        client, _ = self.join()
        happened: list[int] = []
        self.there.addSystemEventTrigger("during", "shutdown", happened.append, 1)
        self.there.crash()
        self.network.run(self.network.now + 5)
        self.assertEqual(happened, [])
        self.assertEqual(client.lost[1], error.ConnectionDone)

    def test_nameResolverCanBeReplaced(self) -> None:
        """
        By one that a program brings along.
        """
        mine: Any = object()
        before = self.here.nameResolver
        self.assertIs(self.here.installNameResolver(mine), before)
        self.assertIs(self.here.nameResolver, mine)

    def test_nameResolverOfAProgramIsAsked(self) -> None:
        """
        For each name that is called or resolved, and takes its time; an attempt that is given up meanwhile is over.
        """

        class Slow:
            def resolveHostName(self, receiver: Any, name: str, *rest: object) -> Any:
                def find() -> None:
                    receiver.addressResolved(IPv4Address("TCP", "10.0.0.2", 0))
                    receiver.resolutionComplete()

                reactor.callLater(3.0, find)

        reactor = self.here
        reactor.installNameResolver(Slow())  # type: ignore[arg-type]
        self.there.listenTCP(80, Answering(self.network))
        client, given = Recorder(self.network), Calling(self.network, Recorder(self.network))
        reactor.connectTCP("service.internal", 80, Calling(self.network, client))
        connector: Any = reactor.connectTCP("service.internal", 80, given)
        self.network.callAt(1.0, connector.stopConnecting)
        found = reactor.resolve("service.internal")
        self.network.run(5)
        self.assertEqual(self.successResultOf(found), "10.0.0.2")
        self.assertEqual(client.made, 3.0 + LATENCY + LATENCY)
        assert given.failed is not None
        self.assertEqual((given.failed, given.made.made), ((1.0, error.UserError), None))

    def test_namesAndAddressesAreWrittenInManyWays(self) -> None:
        """
        With big letters, and an IPv6 address with big ones and noughts; an interface may be given by its name.
        """
        server = self.network.host("2001:DB8:0::1", name="Server.Example")
        self.network.host("10.0.0.9", name="server.EXAMPLE")
        self.assertIs(self.network.host("2001:db8::1"), server)
        self.assertEqual(self.successResultOf(self.here.resolve("SERVER.example")), "10.0.0.9")
        answering, datagrams = Answering(self.network), Datagrams(self.network)
        server.listenTCP(80, answering, interface="2001:DB8::0:1")
        server.listenUDP(53, datagrams, interface="2001:DB8::0:1")
        other = self.network.host("2001:db8::2")
        other.connectTCP("2001:DB8::1", 80, Calling(self.network, Recorder(self.network)))
        port: Any = other.listenUDP(0, DatagramProtocol())
        port.write(b"x", ("2001:DB8::1", 53))
        port.connect("2001:DB8::1", 53)
        port.write(b"x", ("2001:db8:0::1", 53))
        local: Any = self.here.listenTCP(0, answering, interface="localhost")
        own = Recorder(self.network)
        self.here.connectTCP(
            "127.0.0.1", local.getHost().port, Calling(self.network, own), bindAddress=("LOCALHOST", 0)
        )
        self.network.run(1)
        self.assertEqual((local.getHost().host, own.made is not None), ("127.0.0.1", True))
        self.assertEqual((len(answering.made), len(datagrams.times)), (2, 2))
        self.network.faults.crash("2001:DB8::1")
        self.network.faults.isolate("2001:DB8::2")
        self.assertFalse(server.alive)
        self.assertFalse(self.network.faults.path("2001:db8::2", "10.0.0.1").passing)

    def test_resolverHonoursTheKindOfAddress(self) -> None:
        """
        It finds all addresses of a name, or those of one family.
        """
        self.network.host("10.0.0.9", name="both.example")
        self.network.host("fd00::9", name="both.example")
        found: list[Any] = []

        class Receiver:
            def resolutionBegan(self, resolution: Any) -> None:
                found.append(resolution.name)

            def addressResolved(self, address: Any) -> None:
                found.append(address.host)

            def resolutionComplete(self) -> None:
                found.append("complete")

        resolver = self.here.nameResolver
        resolver.resolveHostName(Receiver(), "both.example", 80)  # type: ignore[arg-type]
        resolver.resolveHostName(Receiver(), "both.example", 80, [IPv4Address])  # type: ignore[arg-type]
        self.assertEqual(
            found, ["both.example", "10.0.0.9", "fd00::9", "complete", "both.example", "10.0.0.9", "complete"]
        )

    def test_resultOfADeferred(self) -> None:
        """
        The network runs until there is one, or time is up.
        """
        fired: Deferred[str] = Deferred()
        self.here.callLater(2.5, fired.callback, "yes")
        self.assertEqual((self.network.result(fired), self.network.now), ("yes", 2.5))
        failed: Deferred[str] = Deferred()
        failed.errback(ZeroDivisionError())
        self.assertRaises(ZeroDivisionError, self.network.result, failed)
        self.assertRaises(TimeoutError, self.network.result, Deferred(), 1.5)
        self.assertEqual(self.network.now, 4.0)

    def test_resultThatComesTooLateEndsNoOtherRun(self) -> None:
        """
        Nobody waits for it any more.
        """
        late: Deferred[None] = Deferred()
        self.here.callLater(50.0, late.callback, None)
        self.assertRaises(TimeoutError, self.network.result, late, 1.0)
        self.network.run(100.0)
        self.assertEqual(self.network.now, 100.0)

    def test_resultOfARunThatFailedEndsNoOtherRun(self) -> None:
        """
        Nor does anybody if something else ends the run at the instant in which it comes.
        """

        def fail() -> None:
            raise ValueError("something else")

        known: Deferred[None] = Deferred()
        self.network.callAt(5.0, lambda: known.callback(None))
        self.network.callAt(5.0, fail)
        self.assertRaises(ValueError, self.network.result, known)
        self.network.run(100.0)
        self.assertEqual(self.network.now, 100.0)

    def test_whatHappensInARunCannotRun(self) -> None:
        """
        Time would go back for what waits outside: who tries is told so, and the run goes on.
        """
        told: list[float] = []

        def nest() -> None:
            self.assertRaises(RuntimeError, self.network.run, 3.0)
            waiting: Deferred[None] = Deferred()
            self.assertRaises(RuntimeError, self.network.result, waiting)
            self.assertEqual(waiting.callbacks, [])
            told.append(self.network.now)

        self.network.callAt(1.0, nest)
        self.network.run(2.0)
        self.assertEqual((told, self.network.now), ([1.0], 2.0))
        self.network.run(4.0)
        self.assertEqual(self.network.now, 4.0)

    def test_whatEndsASimulationIsNoFailureOfAProgram(self) -> None:
        """
        It ends the run, wherever the network calls a program.
        """

        class Ending(Recorder):
            def end(self, *what: object) -> None:
                raise SimulationError("enough")

        for method in ("connectionMade", "dataReceived", "readConnectionLost", "connectionLost", "datagramReceived"):
            for side in ("client", "server"):
                self.build()
                kind: Any = type("Kind", (Ending, HalfCloseable), {method: Ending.end})
                ending, other = ends = kind(self.network), Recorder(self.network)
                client, server = ends if side == "client" else reversed(ends)
                self.there.listenTCP(80, Answering(self.network, lambda network, server=server: server))  # type: ignore[arg-type]
                self.here.connectTCP("10.0.0.2", 80, Calling(self.network, client))
                datagrams: Any = type("Kind", (DatagramProtocol,), {method: Ending.end})()
                port: Any = self.there.listenUDP(1, datagrams)
                self.here.callLater(0.5, port.write, b"x", ("10.0.0.2", 1))
                for delay, end, does in (
                    (1.0, ending, "pauseProducing"), (2.0, ending, "resumeProducing"), (3.0, other, "loseConnection"),
                    (4.0, ending, "loseConnection"),
                ):  # fmt: skip
                    self.here.callLater(delay, lambda end=end, does=does: getattr(end.transport, does)())
                self.here.callLater(1.1, lambda other=other: other.transport.write(b"x"))
                self.assertRaises(SimulationError, self.network.run, 5)

    def test_networkCallsWhateverBecomesOfHosts(self) -> None:
        """
        What directs a run is no part of it.
        """
        happened: list[float] = []
        self.network.callAt(3.0, lambda: happened.append(self.network.now))
        self.network.callLater(4.0, lambda: happened.append(self.network.now))
        self.network.faults.crashHost(self.here)
        self.network.faults.crashHost(self.there)
        self.network.run(9)
        self.assertEqual(happened, [3.0, 4.0])
        self.network.callAt(10, lambda: 1 // 0)
        self.assertRaises(ZeroDivisionError, self.network.run, 11)

    def test_hostIsMadeOnce(self) -> None:
        """
        And may join while the network runs.
        """
        self.assertIs(self.network.host("10.0.0.1"), self.here)
        for _ in range(2):
            self.network.host("10.0.0.1", name="twice.example")
        self.assertEqual(self.network.lookUp("twice.example"), ["10.0.0.1"])
        joined: list[SimulatedReactor] = []
        self.network.callAt(1.0, lambda: joined.append(self.network.host("10.0.0.50")))
        calling = Calling(self.network, Recorder(self.network))
        self.here.connectTCP("10.0.0.50", 80, calling)
        self.network.callAt(2.0, lambda: joined[0].listenTCP(80, Answering(self.network)))
        self.network.run(5)
        self.assertTrue(joined[0].running)
        # The attempt at 0 s finds no host, that at 1 s nobody who listens.
        self.assertIsNotNone(calling.failed)
