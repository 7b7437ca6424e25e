"""
Tests for what goes wrong on a simulated network, on purpose.
"""

from __future__ import annotations

from functools import partial
from itertools import accumulate, pairwise
from math import inf, nan
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from p2p.simulation.latency import constant, uniform
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.reactor import SimulatedReactor
from p2p.test.test_simulation_tcp import LATENCY, Answering, Calling, HalfCloseable, Recorder, TCPTestCase


class BetweenHostsTests(TCPTestCase):
    """
    Faults of the paths between hosts.
    """

    def test_partitionIsSilent(self) -> None:
        """
        Nothing gets through either way, and an idle connection sees nothing of it.
        """
        client, server = self.join()
        fault = self.network.faults.partition("10.0.0.1", "10.0.0.2")
        self.network.run(self.network.now + 5000)
        self.assertEqual((client.lost, server.lost), (None, None))
        fault.heal()
        started = self.network.now
        client.transport.write(b"hello")
        self.network.run(started + 1)
        self.assertEqual(server.pieces, [(started + LATENCY, b"hello")])

    def test_dataSentIntoAPartitionArrivesAfterIt(self) -> None:
        """
        By the retransmission that follows the healing: the attempts come 0.2, 0.6, 1.4, 3.0, ... s after the first.
        """
        client, server = self.join()
        started = self.network.now
        fault = self.network.faults.partition("10.0.0.1", "10.0.0.2", duration=1.0)
        client.transport.write(b"one")
        self.network.run(started + 0.5)
        client.transport.write(b"two")
        self.network.run(started + 60)
        self.assertEqual(server.data, b"onetwo")
        self.assertApproximates(server.pieces[0][0], started + 1.4 + LATENCY, 1e-6)
        fault.heal()  # It has healed by itself, and may be healed again.

    def test_whatIsUnderWayIsNotTakenBack(self) -> None:
        """
        A segment that has left before the partition arrives.
        """
        client, server = self.join()
        started = self.network.now
        client.transport.write(b"last words")
        self.network.run(started + LATENCY / 2)
        self.network.faults.partition("10.0.0.1", "10.0.0.2")
        self.network.run(started + 1)
        self.assertEqual(server.pieces, [(started + LATENCY, b"last words")])

    def test_unacknowledgedDataEndsTheConnection(self) -> None:
        """
        The sender's kernel gives up after the time that was set, and only the sender's.
        """
        self.build(giveUp=20.0)
        client, server = self.join()
        self.network.faults.partition("10.0.0.1", "10.0.0.2")
        started = self.network.now
        client.transport.write(b"hello?")
        self.network.run(started + 1000)
        self.assertEqual(client.lost, (started + 20.0, error.ConnectionLost))
        self.assertEqual((server.pieces, server.lost), ([], None))

    def test_dataUnderWayAtThePartitionIsUnacknowledged(self) -> None:
        """
        It arrives, but its acknowledgement does not come back, so the sender gives up, too.
        """
        self.build(giveUp=20.0)
        client, server = self.join()
        started = self.network.now
        client.transport.write(b"last words")
        self.network.faults.partition("10.0.0.1", "10.0.0.2")
        self.network.run(started + 1000)
        self.assertEqual(server.data, b"last words")
        self.assertEqual(client.lost, (started + 20.0, error.ConnectionLost))

    def test_partitionOfOneDirection(self) -> None:
        """
        The other direction carries data; but as nothing acknowledges it, its sender gives up in the end.
        """
        self.build(giveUp=20.0)
        client, server = self.join()
        self.network.faults.partition("10.0.0.2", "10.0.0.1", oneWay=True)
        started = self.network.now
        client.transport.write(b"I can speak")
        self.network.run(started + 10)
        self.assertEqual(server.pieces, [(started + LATENCY, b"I can speak")])
        self.assertIsNone(client.lost)
        self.network.run(started + 1000)
        self.assertEqual(client.lost, (started + 20.0, error.ConnectionLost))

    def test_acknowledgementsThatComeLateSaveTheConnection(self) -> None:
        """
        If the way back is whole in time, nothing was wrong.
        """
        self.build(giveUp=20.0)
        client, server = self.join()
        self.network.faults.partition("10.0.0.2", "10.0.0.1", oneWay=True, duration=10)
        for _ in range(20):
            client.transport.write(b"x" * 50000)
        self.network.run(self.network.now + 1000)
        self.assertIsNone(client.lost)
        self.assertEqual(len(server.data), 1000000)
        self.assertIsNone(client.transport.stream)

    def test_groups(self) -> None:
        """
        A partition of two groups leaves each group whole.
        """
        hosts = [self.network.host(f"10.0.1.{n}") for n in range(4)]
        for host in hosts:
            host.listenTCP(80, Answering(self.network))
        self.network.faults.partition(hosts[:2], [host.host.address for host in hosts[2:]])
        connected = set()
        for one in range(4):
            for other in range(4):
                client = Recorder(self.network)
                hosts[one].connectTCP(f"10.0.1.{other}", 80, Calling(self.network, client))
                self.network.run(self.network.now + 40)
                if client.made is not None:
                    connected.add((one, other))
        self.assertEqual(connected, {(a, b) for a in range(4) for b in range(4) if (a < 2) == (b < 2)})

    def test_isolatedHostReachesNobody(self) -> None:
        """
        But itself.
        """
        self.here.listenTCP(80, Answering(self.network))
        self.network.faults.isolate(self.here)
        self.there.listenTCP(80, Answering(self.network))
        results = []
        for address in ("10.0.0.1", "10.0.0.2"):
            client = Recorder(self.network)
            self.here.connectTCP(address, 80, Calling(self.network, client))
            self.network.run(self.network.now + 40)
            results.append(client.made is not None)
        self.assertEqual(results, [True, False])

    def test_connectingSucceedsOnceThePartitionIsOver(self) -> None:
        """
        The first packet is sent again after 1, 3, 7, ... s.
        """
        answering = Answering(self.network)
        self.there.listenTCP(80, answering)
        self.network.faults.partition("10.0.0.1", "10.0.0.2", duration=2.0)
        client = Recorder(self.network)
        self.here.connectTCP("10.0.0.2", 80, Calling(self.network, client))
        self.network.run(30)
        self.assertApproximates(client.made, 3.0 + 2 * LATENCY, 1e-6)

    def halfOpen(self, duration: float) -> tuple[Any, Answering]:
        """
        Let a caller be connected whose third packet of the handshake is lost, as is all else that it sends for a while.
        """
        answering, client = Answering(self.network), Recorder(self.network)
        self.there.listenTCP(80, answering)
        self.here.connectTCP("10.0.0.2", 80, Calling(self.network, client))
        self.network.run(1.5 * LATENCY)
        self.network.faults.partition(self.here, self.there, oneWay=True, duration=duration)
        self.network.run(1.0)
        self.assertApproximates(client.made, 2 * LATENCY, 1e-6)
        return client, answering

    def test_halfOpenConnectionLastsForAMinute(self) -> None:
        """
        The kernel of the port gives up 63 s after the second packet; of a caller that has given up nothing is left.
        """
        client, answering = self.halfOpen(10.0)
        client.transport.abortConnection()
        self.network.run(2 * LATENCY + 62.9)
        self.assertEqual(len(self.there.host.ends), 1)
        self.network.run(2 * LATENCY + 63.1)
        self.assertEqual((len(self.here.host.ends), len(self.there.host.ends)), (0, 0))
        self.assertEqual(answering.made, [])

    def test_whoseHandshakeEndsTooLateIsReset(self) -> None:
        """
        The third packet is sent again 51.0 and 102.2 s after the first time.
        """
        client, answering = self.halfOpen(50.0)
        self.network.run(52.0)
        self.assertEqual((client.lost, len(answering.made)), (None, 1))
        self.assertEqual([event for event in self.network.clock.waiting() if event[0] < 900.0], [])
        self.setUp()
        client, answering = self.halfOpen(60.0)
        self.network.run(200.0)
        self.assertEqual(answering.made, [])
        assert client.lost is not None
        self.assertApproximates(client.lost[0], 2 * LATENCY + 102.2 + 2 * LATENCY, 1e-6)
        self.assertEqual((len(self.here.host.ends), len(self.there.host.ends)), (0, 0))

    def test_holdAndRelease(self) -> None:
        """
        What was held arrives after the release, in order, one latency later, and datagrams and handshakes with it.
        """
        client, server = self.join()
        fault = self.network.faults.hold("10.0.0.1", "10.0.0.2")
        for number in range(10):
            client.transport.write(b"%d" % number)
            self.network.run(self.network.now + 0.3)
        second = Recorder(self.network)
        port = server.transport.getHost().port
        self.here.connectTCP("10.0.0.2", port, Calling(self.network, second))
        self.network.run(self.network.now + 0.5)
        self.assertEqual((server.pieces, second.made), ([], None))
        started = self.network.now
        fault.heal()
        self.network.run(started + 10)
        self.assertEqual(server.data, b"0123456789")
        self.assertEqual({when for when, _ in server.pieces}, {started + LATENCY})
        self.assertApproximates(second.made, started + 2 * LATENCY, 1e-6)

    def test_heldResetArrivesLater(self) -> None:
        """
        It is a packet as any other.
        """
        client, server = self.join()
        started = self.network.now
        self.network.faults.hold("10.0.0.1", "10.0.0.2", duration=1.0)
        client.transport.abortConnection()
        self.network.run(started + 10)
        self.assertEqual(server.lost, (started + 1.0 + LATENCY, error.ConnectionLost))

    def test_whatIsHeldHasLeft(self) -> None:
        """
        It arrives, first what was sent first, whatever happens between its sending and its release.
        """
        happened: list[Any] = []

        class Noting(Recorder):
            def dataReceived(self, data: bytes) -> None:
                happened.append(data)

            def connectionLost(self, reason: Any = None) -> None:
                happened.append(type(reason.value))

        class NotingDatagrams(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: object) -> None:
                happened.append(datagram)

        def cut() -> None:
            self.network.faults.partition(self.here, self.there, duration=1.0)

        def cutForLonger() -> None:
            self.network.faults.partition(self.here, self.there, duration=5.0)

        def abort() -> None:
            client.transport.abortConnection()

        def close() -> None:
            client.transport.pauseProducing()
            server.transport.write(b"unread")
            self.network.callLater(1.0, client.transport.loseConnection)

        def kill() -> None:
            self.network.faults.crash(self.here)

        def loseThePower() -> None:
            self.network.faults.crashHost(self.here)

        def restart() -> None:
            loseThePower()
            self.network.faults.restart(self.here)

        for what, end in (
            (cut, []),
            (cutForLonger, []),
            (abort, [error.ConnectionLost]),
            (close, [error.ConnectionDone]),
            (kill, [error.ConnectionDone]),
            (loseThePower, []),
            (restart, []),
        ):
            self.build()
            happened.clear()
            client, server = self.join(Recorder, Noting)
            self.there.listenUDP(53, NotingDatagrams())
            sender = DatagramProtocol()
            self.here.listenUDP(0, sender)
            started = self.network.now
            self.network.faults.hold(self.here, self.there, oneWay=True, duration=3.0)
            client.transport.write(b"segment")
            self.network.run(started + 0.5)
            sender.transport.write(b"datagram", ("10.0.0.2", 53))  # type: ignore[union-attr]
            client.transport.write(b"another")
            self.network.run(started + 1.0)
            what()
            self.network.run(started + 2.9)
            self.assertEqual(happened, [], what)
            self.network.run(started + 3.0 + LATENCY)
            happened.remove(b"datagram")
            self.assertEqual(happened, [b"segment", b"another", *end], what)

    def test_heldAcknowledgementsArriveWhenTheyAreReleased(self) -> None:
        """
        And with them whoever waits for room goes on, without the delay of a retransmission.
        """
        client, server = self.join()
        started = self.network.now
        self.network.faults.hold(self.there, self.here, oneWay=True, duration=60.0)
        client.transport.write(b"x" * 2 * self.network.window)
        self.network.run(started + 59.0)
        self.assertEqual(len(server.data), self.network.window)
        self.network.run(started + 61.0)
        self.assertEqual(len(server.data), 2 * self.network.window)
        self.assertApproximates(server.pieces[-1][0], started + 60.0 + 2 * LATENCY, 1e-6)

    def test_whatAHoldReleasesIsAcknowledged(self) -> None:
        """
        Even if nothing passes any more where that was held: only what is sent afterwards ends the connection.
        """
        here, there = "10.0.0.1", "10.0.0.2"
        for source, destination, oneWay in ((here, there, True), (there, here, True), (here, there, False)):
            for more in (False, True):
                self.build(giveUp=20.0)
                client, server = self.join()
                started, window = self.network.now, self.network.window
                self.network.faults.hold(source, destination, oneWay=oneWay, duration=3.0)
                client.transport.write(b"x" * (window + more))
                self.network.run(started + 1.0)
                self.network.faults.partition(here, there, oneWay=True)
                self.network.run(started + 1000.0)
                self.assertEqual(len(server.data), window)
                if more:
                    when, why = client.lost
                    self.assertIs(why, error.ConnectionLost)
                    acknowledged = started + 3.0 + (LATENCY if source == there else 2 * LATENCY)
                    self.assertApproximates(when, acknowledged + 20.0, 1e-6)
                else:
                    self.assertIsNone(client.lost)

    def test_lostAcknowledgementsAreNotMadeUpFor(self) -> None:
        """
        That the way back is whole again is no use if nothing arrives that would be acknowledged once more.
        """
        self.build(giveUp=20.0)
        client, server = self.join()
        started = self.network.now
        self.network.faults.partition(self.there, self.here, oneWay=True, duration=10.0)
        client.transport.write(b"arrives")
        self.network.run(started + 5.0)
        self.network.faults.partition(self.here, self.there, oneWay=True)
        self.network.run(started + 1000.0)
        self.assertEqual(server.data, b"arrives")
        self.assertEqual(client.lost, (started + 20.0, error.ConnectionLost))

    def test_whatIsMendedIsForgotten(self) -> None:
        """
        Neither faults that are over nor calls to the dead leave anything behind; and what is slow once more is so by
        other random numbers.
        """
        network = SimulatedNetwork(seed=1, latency=uniform(0.0, 1.0))
        arrived: list[float] = []

        class Noting(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                arrived.append(round(network.now - began, 6))

        ports: list[Any] = [network.host(f"10.0.0.{n}").listenUDP(1, Noting()) for n in range(1, 4)]
        network.faults.crashHost("10.0.0.3")
        for factor in (2.0, 3.0, 2.0):
            began = network.now
            fault = network.faults.slow("10.0.0.1", "10.0.0.2", factor=factor)
            for number in (2, 3, 4):
                ports[0].write(b"x", (f"10.0.0.{number}", 1))
            network.run(network.now + 10)
            fault.heal()
        self.assertEqual(len(set(arrived)), 3)
        self.assertEqual((len(network.faults._paths), len(network.faults._draws)), (0, 1))
        network.faults.restart("10.0.0.3").listenUDP(1, Noting())
        ports[0].write(b"x", ("10.0.0.3", 1))
        network.run(network.now + 10)
        self.assertEqual(len(arrived), 4)

    def test_whatWaitsWhenItIsMendedIsForgottenLater(self) -> None:
        """
        A path on which something still waits then goes with the next change after that, wherever it is; but not if it
        is special once more.
        """
        ports: list[Any] = [host.listenUDP(1, DatagramProtocol()) for host in (self.here, self.there)]
        faults, pair = self.network.faults, ("10.0.0.1", "10.0.0.2")
        third = self.network.host("10.0.0.3")
        for again in (False, True):
            fault = faults.throttle(*pair, bandwidth=1000.0)
            ports[0].write(b"x" * 2000, ("10.0.0.2", 1))
            self.network.run(self.network.now + 1.0)
            fault.heal()
            path = faults.path(*pair)
            faults.slow(third, factor=2.0).heal()
            self.assertIs(faults.path(*pair), path)
            if again:
                fault = faults.throttle(*pair, bandwidth=1000.0)
            self.network.run(self.network.now + 60.0)
            faults.slow(third, factor=2.0).heal()
            self.assertEqual(list(faults._paths.values()), [path] if again else [])
            fault.heal()
            self.assertEqual(faults._paths, {})

    def test_aChangeConcernsThePathsOfItsHostsOnly(self) -> None:
        """
        Of all others nothing is reckoned anew.
        """
        network = SimulatedNetwork(seed=1, latency=lambda one, other: asked.append((one, other)) or constant(0.01))  # type: ignore[func-returns-value]
        asked: list[tuple[str, str]] = []
        ports: list[Any] = [network.host(f"10.0.0.{n}").listenUDP(1, DatagramProtocol()) for n in range(1, 5)]
        for port in ports:
            for number in range(1, 5):
                port.write(b"x", (f"10.0.0.{number}", 1))
        del asked[:]
        network.faults.crashHost("10.0.0.2")
        self.assertEqual(len(asked), 6)
        self.assertTrue(all("10.0.0.2" in pair for pair in asked))

    def test_heldDatagramsAreReleasedInOrder(self) -> None:
        """
        However different the latencies are that they take then.
        """
        self.build(latency=uniform(0.01, 0.1))
        arrived: list[bytes] = []

        class Noting(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: object) -> None:
                arrived.append(datagram)

        self.there.listenUDP(53, Noting())
        sender = DatagramProtocol()
        self.here.listenUDP(0, sender)
        self.network.faults.hold("10.0.0.1", "10.0.0.2", duration=1.0)
        for number in range(20):
            sender.transport.write(b"%d" % number, ("10.0.0.2", 53))  # type: ignore[union-attr]
        self.network.run(2)
        self.assertEqual(arrived, [b"%d" % number for number in range(20)])

    def test_heldDatagramsWaitForBandwidth(self) -> None:
        """
        Those sent while the path is held stand behind those that had not left before, and none leaves before its time.
        """
        arrived: list[tuple[float, bytes]] = []
        network = self.network

        class Noting(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: object) -> None:
                arrived.append((round(network.now - LATENCY, 6), datagram[:1]))

        self.there.listenUDP(53, Noting())
        sender = DatagramProtocol()
        self.here.listenUDP(0, sender)
        network.faults.throttle(bandwidth=1000.0)

        def send(number: int) -> None:
            sender.transport.write(b"%d" % number * 1000, ("10.0.0.2", 53))  # type: ignore[union-attr]

        for when, number in ((0.0, 0), (0.0, 1), (1.0, 2), (1.0, 3)):
            network.callAt(when, partial(send, number))
        network.callAt(0.5, lambda: network.faults.hold(self.here, self.there, duration=2.0))
        network.run(20.0)
        self.assertEqual(arrived, [(3.0, b"0"), (4.0, b"1"), (5.0, b"2"), (6.0, b"3")])

    def test_lossDelaysAndNeverCorrupts(self) -> None:
        """
        About the share of segments that was asked for comes at least one time-out late.
        """
        self.build(loss=0.2)
        client, server = self.join()
        started = self.network.now
        for number in range(1000):
            self.here.callLater(number * 10.0, client.transport.write, b"%04d" % number)
        self.network.run(started + 20000)
        self.assertEqual(server.data, b"".join(b"%04d" % n for n in range(1000)))
        late = sum(when > started + n * 10.0 + 0.2 for n, (when, _) in enumerate(server.pieces))
        self.assertApproximates(late / 1000, 0.2, 0.05)

    def test_faultsAddUp(self) -> None:
        """
        Two factors multiply, the narrower bandwidth counts, and healing one leaves the other.
        """
        client, server = self.join()
        faults = self.network.faults
        first, _ = faults.slow(factor=2.0), faults.slow(self.here, self.there, factor=3.0)
        faults.throttle(bandwidth=1e6)
        faults.throttle(self.here, None, bandwidth=1e4)
        started = self.network.now
        client.transport.write(b"x" * 1000)
        self.network.run(started + 10)
        self.assertApproximates(server.pieces[0][0], started + 6 * LATENCY + 0.1, 1e-6)
        first.heal()
        started = self.network.now
        client.transport.write(b"x" * 1000)
        self.network.run(started + 10)
        self.assertApproximates(server.pieces[1][0], started + 3 * LATENCY + 0.1, 1e-6)

    def test_oneFaultIsOneHoweverOftenAPathIsMeant(self) -> None:
        """
        Between two hosts that are both made slow by one verb everything takes that much longer, and not its square.
        """
        client, server = self.join()
        fault = self.network.faults.slow([self.here, self.there], factor=3.0)
        started = self.network.now
        client.transport.write(b"x")
        server.transport.write(b"y")
        self.network.run(started + 10)
        self.assertApproximates(server.pieces[0][0], started + 3 * LATENCY, 1e-6)
        self.assertApproximates(client.pieces[0][0], started + 3 * LATENCY, 1e-6)
        fault.heal()
        fault.heal()
        started = self.network.now
        client.transport.write(b"x")
        self.network.run(started + 10)
        self.assertApproximates(server.pieces[1][0], started + LATENCY, 1e-6)

    def test_throttledPairSharesItsBandwidth(self) -> None:
        """
        Two connections between the same hosts take twice as long.
        """
        self.network.faults.throttle(self.here, self.there, bandwidth=1e5)
        pairs = [self.join(), self.join()]
        started = self.network.now
        for client, _ in pairs:
            client.transport.write(b"x" * 100000)
        self.network.run(started + 60)
        last = max(server.pieces[-1][0] for _, server in pairs)
        self.assertApproximates(last, started + 2.0 + LATENCY, 0.01)

    def test_verbsBetweenHostsAreAlike(self) -> None:
        """
        Each takes the two groups first, and then by its name what it does, one way or both, and for how long.
        """
        faults = self.network.faults
        how: dict[Any, dict[str, float]] = {
            faults.partition: {},
            faults.hold: {},
            faults.lose: {"rate": 0.5},
            faults.slow: {"factor": 2.0},
            faults.throttle: {"bandwidth": 1000.0},
        }
        for verb, options in how.items():
            verb("10.0.0.1", "10.0.0.2", **options, oneWay=True, duration=10.0)
            there, back = faults.path("10.0.0.1", "10.0.0.2"), faults.path("10.0.0.2", "10.0.0.1")
            self.assertFalse(there.plain and there.draw() == LATENCY, verb)
            self.assertTrue(back.plain and back.draw() == LATENCY, verb)
            self.network.run(self.network.now + 10.0)
            self.assertIs(faults.path("10.0.0.1", "10.0.0.2"), faults.path("10.0.0.2", "10.0.0.1"), verb)

    def test_nonsenseIsRefused(self) -> None:
        """
        Shares lie between 0 and 1, factors and bandwidths are positive, clocks run forwards, nothing lasts for less
        than no time, and hosts are called by an address or a name that is known. What is refused breaks nothing.
        """
        faults = self.network.faults
        self.assertRaises(ValueError, faults.lose, rate=1.5)
        self.assertRaises(ValueError, faults.slow, factor=0)
        for bandwidth in (-1.0, 0.0, nan):
            self.assertRaises(ValueError, faults.throttle, bandwidth=bandwidth)
        self.assertRaises(ValueError, faults.setClock, "10.0.0.1", drift=-1.0)
        self.assertRaises(ValueError, faults.crash, "10.9.9.9")
        unknown = self.assertRaises(ValueError, faults.pause, "nobody")
        self.assertEqual(unknown.args, ("no host has the address or the name 'nobody'",))
        self.assertRaises(ValueError, faults.partition, "10.0.0.1", "10.0.0.2", duration=-1.0)
        self.assertRaises(ValueError, faults.pause, "10.0.0.1", duration=-1.0)
        self.assertRaises(ValueError, faults.partition, "10.0.0.1", "10.0.0.2", duration=nan)
        problem = self.assertRaises(ValueError, faults.partition, "nobody.example", "10.0.0.2")
        self.assertIn("nobody.example", str(problem))
        client, server = self.join()
        client.transport.write(b"whole")
        self.network.run(2.0)
        self.assertEqual(server.data, b"whole")


class Chances:
    """
    Stands in for the randomness of losses: these come first, and then nothing is lost.
    """

    def __init__(self, *values: float) -> None:
        self._values = list(values)

    def random(self) -> float:
        """
        The next.
        """
        return self._values.pop(0) if self._values else 0.999


LOST = 0.0
"""What lets a segment be lost."""


class LeavingTests(TCPTestCase):
    """
    What waits for bandwidth, or to be sent again, meets the faults of the moment in which it leaves.
    """

    def write(self, client: Any, count: int = 200, size: int = 500) -> float:
        """
        Write segments that a path of 1,000 bytes a second takes half a second for, each.

        @return: When.
        """
        for number in range(count):
            client.transport.write(b"%03d " % number * (size // 4))
        return self.network.now

    def sent(self, count: int) -> bytes:
        """
        What so many of them hold.
        """
        return b"".join(b"%03d " % number * 125 for number in range(count))

    def assertLeft(self, server: Any, since: float, seconds: list[float], about: object = None) -> None:
        """
        Demand that pieces have left so many seconds after a moment, which is one latency before they arrived.
        """
        left = [round(when - since - LATENCY, 6) for when, _ in server.pieces]
        self.assertEqual(left, [round(when, 6) for when in seconds], about)

    def leftAfter(self, server: Any, since: float, size: int) -> float:
        """
        How many seconds after a moment the last of so many bytes left.
        """
        sums = accumulate(len(data) for _, data in server.pieces)
        arrived: float = next(when for (when, _), there in zip(server.pieces, sums, strict=True) if there >= size)
        return arrived - since - LATENCY

    def test_slowlyMeansBitByBit(self) -> None:
        """
        What takes long to leave comes in packets; what does not, in pieces of a hundredth of a second.
        """
        for bandwidth, size in ((5000.0, 1448), (2e6, 20000), (1e9, 65536)):
            self.build(bandwidth=bandwidth)
            client, server = self.join()
            started = self.network.now
            client.transport.write(b"x" * 200000)
            self.network.run(started + 60)
            self.assertEqual({len(data) for _, data in server.pieces[:-1]}, {size})
            self.assertApproximates(self.leftAfter(server, started, 200000), 200000 / bandwidth, 1e-6)

    def test_anInfiniteBandwidthIsNoLimit(self) -> None:
        """
        Also at the instant at which another one begins to count.
        """
        self.build(bandwidth=inf)
        client, server = self.join()
        started = self.network.now
        client.transport.write(b"x" * 100000)
        self.network.callLater(0, self.network.faults.throttle, bandwidth=1e5)
        self.network.run(started + 60)
        self.assertEqual(sum(len(data) for _, data in server.pieces), 100000)

    def test_whatWaitsWhenAThrottleEndsLeavesAtOnce(self) -> None:
        """
        All of it, in order, and what is written at that instant behind it; then the connection is a plain one again.
        """
        client, server = self.join()
        fault = self.network.faults.throttle(bandwidth=1000.0)
        started = self.write(client, 20)

        def end() -> None:
            fault.heal()
            client.transport.write(b"behind it")

        self.network.callAt(started + 3.75, end)
        self.network.run(started + 60)
        self.assertLeft(server, started, [0.5 * n for n in range(1, 8)] + [3.75] * 14)
        self.assertEqual(server.data, self.sent(20) + b"behind it")
        self.assertIsNone(client.transport.stream)

    def test_aThrottleDelaysNothingThatIsWrittenAfterIt(self) -> None:
        """
        Though more was written than it let through in a minute.
        """
        client, server = self.join()
        started = self.network.now
        self.network.faults.throttle(bandwidth=1000.0, duration=11.0)
        client.transport.write(b"x" * 200000)
        self.network.run(started + 20)
        self.assertEqual(len(server.data), 200000)
        self.assertApproximates(server.pieces[-1][0], started + 11.0 + LATENCY, 1e-9)
        started = self.network.now
        client.transport.write(b"y")
        self.network.run(started + 1)
        self.assertEqual(server.pieces[-1], (started + LATENCY, b"y"))

    def test_changeOfTheBandwidthConcernsWhatIsLeft(self) -> None:
        """
        Of 30,000 bytes 10,000 go in the first second, 2,000 in the next two, and the rest at 20,000 a second.
        """
        self.build(bandwidth=20000.0)
        client, server = self.join()
        started = self.network.now
        self.network.faults.throttle(bandwidth=10000.0, duration=3.0)
        self.network.callAt(started + 1.0, lambda: self.network.faults.throttle(bandwidth=1000.0, duration=2.0))
        client.transport.write(b"x" * 30000)
        client.transport.write(b"y" * 10000)
        self.network.run(started + 60)
        self.assertApproximates(self.leftAfter(server, started, 30000), 3.9, 1e-6)
        self.assertApproximates(self.leftAfter(server, started, 40000), 4.4, 1e-6)

    def test_connectionsShareAPathAlsoAfterAThrottle(self) -> None:
        """
        Of what two have written in turns 10,000 bytes of 100,000 have left when it ends, and the rest takes 0.9 s.
        """
        self.build(bandwidth=1e5)
        pairs = [self.join(), self.join()]
        started = self.network.now
        self.network.faults.throttle(bandwidth=1000.0, duration=10.0)
        for _ in range(2):
            for client, _ in pairs:
                client.transport.write(b"x" * 25000)
        self.network.run(started + 60)
        (_, first), (_, second) = pairs
        for server, seconds in ((first, (10.15, 10.65)), (second, (10.4, 10.9))):
            for size, expected in zip((25000, 50000), seconds, strict=True):
                self.assertApproximates(self.leftAfter(server, started, size), expected, 1e-6)

    def test_machineWithoutPowerSendsNothingMore(self) -> None:
        """
        Only what has left before arrives; also if the machine is up again before the rest would have left.
        """
        for restart in (False, True):
            self.build(bandwidth=1000.0)
            client, server = self.join()
            started = self.write(client)
            self.network.run(started + 2.2)
            self.network.faults.crashHost(self.here)
            if restart:
                self.network.faults.restart(self.here)
            self.network.run(started + 300)
            self.assertEqual(server.data, self.sent(4))
            self.assertIsNone(server.lost)

    def test_partitionCutsOffWhatHasNotLeft(self) -> None:
        """
        What leaves during it is lost, and sent again at the first time-out after it.
        """
        self.build(bandwidth=1000.0)
        client, server = self.join()
        started = self.write(client, 10)
        self.network.run(started + 2.2)
        fault = self.network.faults.partition(self.here, self.there)
        self.network.run(started + 100)
        self.assertEqual(server.data, self.sent(4))
        fault.heal()
        self.network.run(started + 300)
        self.assertEqual(server.data, self.sent(10))
        # The kernel has waited since the cut, at 2.2 s, and tries again after 0.2, 0.6, 1.4, ..., 102.2 s.
        again = 2.2 + 0.2 * (2**9 - 1)
        self.assertLeft(server, started, [0.5, 1.0, 1.5, 2.0, *(again + 0.5 * n for n in range(1, 7))])

    def test_kernelOfACrashedProcessGoesOnSending(self) -> None:
        """
        What it has taken leaves as fast as the bandwidth allows, and then the end of the stream.
        """
        self.build(bandwidth=1000.0)
        client, server = self.join()
        started = self.write(client)
        self.network.run(started + 2.2)
        self.network.faults.crash(self.here)
        self.network.run(started + 300)
        self.assertEqual(server.data, self.sent(200))
        self.assertLeft(server, started, [0.5 * n for n in range(1, 201)])
        self.assertApproximates(server.lost[0], started + 100.0 + LATENCY, 1e-6)
        self.assertEqual(server.lost[1], error.ConnectionDone)

    def test_resetComesAfterWhatTheKernelHasTaken(self) -> None:
        """
        One who closes without having read sends all, then the end of the stream, and then a reset, of which one that
        has read the end hears when it writes.
        """
        self.build(bandwidth=1000.0)
        client, server = self.join(Recorder, HalfCloseable)
        client.transport.pauseProducing()
        server.transport.write(b"unread")
        self.network.run(self.network.now + 1)
        started = self.write(client, 4)
        client.transport.loseConnection()
        self.network.run(started + 60)
        self.assertEqual(server.data, self.sent(4))
        self.assertApproximates(server.readLost, started + 2.0 + LATENCY, 1e-6)
        self.assertIsNone(server.lost)
        server.transport.write(b"still there?")
        self.network.run(started + 60)
        self.assertEqual(server.lost, (started + 60, error.ConnectionLost))

    def test_heldResetComesAfterWhatHasNotLeftYet(self) -> None:
        """
        One who reads only sees the end of the stream, as the reset behind it says nothing more.
        """
        self.build(bandwidth=1000.0)
        client, server = self.join()
        client.transport.pauseProducing()
        server.transport.write(b"unread")
        self.network.run(self.network.now + 1)
        started = self.write(client, 4)
        self.network.faults.hold(self.here, self.there, oneWay=True, duration=1.0)
        client.transport.loseConnection()
        self.network.run(started + 60)
        self.assertLeft(server, started, [1.5, 2.0, 2.5, 3.0])
        self.assertEqual((server.data, server.lost[1]), (self.sent(4), error.ConnectionDone))

    def test_abortDropsWhatHasNotLeft(self) -> None:
        """
        The reset leaves at once, and others have the path for themselves.
        """
        self.build(bandwidth=1000.0)
        client, server = self.join()
        other, itsServer = self.join()
        started = self.write(client)
        self.network.run(started + 2.2)
        other.transport.write(b"x" * 500)
        client.transport.abortConnection()
        self.network.run(started + 300)
        self.assertEqual(server.data, self.sent(4))
        self.assertEqual(server.lost, (started + 2.2 + LATENCY, error.ConnectionLost))
        self.assertLeft(itsServer, started, [2.7])

    def test_whatWaitsForBandwidthWaitsWhileThePathIsHeld(self) -> None:
        """
        And goes on when it is released, before what was written meanwhile.
        """
        self.build(bandwidth=1000.0)
        client, server = self.join()
        started = self.write(client, 4)
        self.network.run(started + 0.7)
        self.network.faults.hold(self.here, self.there, duration=10.0)
        self.network.run(started + 5.0)
        client.transport.write(b"x" * 500)
        self.network.run(started + 60)
        self.assertLeft(server, started, [0.5, 11.0, 11.5, 12.0, 12.5])
        self.assertEqual(server.data, self.sent(4) + b"x" * 500)

    def test_lossIsDrawnWhenASegmentLeaves(self) -> None:
        """
        One that was written on a lossy path and leaves later is not lost, and one that leaves while it is lossy is.
        """
        self.build(bandwidth=1000.0)
        client, server = self.join()
        self.network.chance = Chances(LOST)  # type: ignore[assignment]
        started = self.network.now
        self.network.faults.lose(rate=0.5, duration=0.4)
        self.network.callAt(started + 0.6, lambda: self.network.faults.lose(rate=0.5, duration=0.5))
        self.write(client, 3)
        self.network.run(started + 60)
        # The second is sent again after 0.2 s and a round trip, when the third has the path.
        self.assertLeft(server, started, [0.5, 2.0, 2.0])
        self.assertEqual(server.data, self.sent(3))

    def test_lostSegmentIsSentAgainAfterTimeoutsThatDouble(self) -> None:
        """
        The first is 0.2 s and a round trip, the longest 120 s; what the latency is at the end counts.
        """
        for losses, seconds in ((3, 0.3 * 7), (11, 0.3 * 511 + 2 * 120.0)):
            self.build()
            client, server = self.join()
            self.network.faults.lose(rate=0.5)
            self.network.chance = Chances(*[LOST] * losses)  # type: ignore[assignment]
            started = self.network.now
            client.transport.write(b"x")
            self.network.callAt(started + 1.0, lambda: self.network.faults.slow(factor=3.0))
            self.network.run(started + 600)
            self.assertLeft(server, started, [seconds + 2 * LATENCY])

    def test_whatIsLostTooOftenEndsTheConnection(self) -> None:
        """
        C{giveUp} seconds after it was sent first, and not before.
        """
        self.build(giveUp=20.0)
        client, server = self.join()
        self.network.faults.lose(rate=0.5)
        self.network.chance = Chances(*[LOST] * 20)  # type: ignore[assignment]
        started = self.network.now
        client.transport.write(b"x")
        client.transport.write(b"behind it" * 1000)
        self.network.run(started + 300)
        self.assertEqual(client.lost, (started + 20.0, error.ConnectionLost))
        self.assertEqual(server.pieces, [])

    def test_lostSegmentMeetsThePathWhenItIsSentAgain(self) -> None:
        """
        If that is cut by then, it waits for the first time-out after it is whole, as it would have from the beginning;
        and if that never is, nothing arrives. Neither does it if its machine has lost its power.
        """

        def cut() -> None:
            self.network.faults.partition(self.here, self.there, oneWay=True, duration=1.0)

        def cutForEver() -> None:
            self.network.faults.partition(self.here, self.there)

        def loseThePower() -> None:
            self.network.faults.crashHost(self.here)

        def end() -> None:
            self.here.listenTCP(0, Answering(self.network))
            self.network.faults.crashHost(self.here)
            self.network.faults.restart(self.here)

        for fault, arrivals in ((cut, [1.4]), (cutForEver, []), (loseThePower, []), (end, [])):
            self.build()
            client, server = self.join()
            lossy = self.network.faults.lose(rate=0.5)
            self.network.chance = Chances(LOST)  # type: ignore[assignment]
            started = self.network.now
            client.transport.write(b"x")
            self.network.run(started + 0.01)
            lossy.heal()
            fault()
            self.network.run(started + 900)
            self.assertLeft(server, started, arrivals, fault)

    def test_kernelGivesUpCountingFromTheFirstAttempt(self) -> None:
        """
        Also on what was lost first, and met a path that is cut or held when it was sent again.
        """
        for verb in ("partition", "hold"):
            self.build(giveUp=20.0, bandwidth=1000.0)
            client, _ = self.join()
            self.network.faults.lose(self.here, self.there, rate=0.5, oneWay=True)
            self.network.chance = Chances(LOST)  # type: ignore[assignment]
            started = self.write(client, 1)
            self.network.run(started + 0.6)
            getattr(self.network.faults, verb)(self.here, self.there, oneWay=True)
            self.network.run(started + 100)
            self.assertEqual(client.lost, (started + 20.5, error.ConnectionLost), verb)

    def test_kernelGoesOnCountingWhatIsLostAgain(self) -> None:
        """
        Lost before a partition, and whenever it is sent after it: it is given up as if there had been none.
        """
        self.build(giveUp=40.0)
        client, _ = self.join()
        self.network.faults.lose(self.here, self.there, rate=0.5, oneWay=True)
        self.network.chance = Chances(*[LOST] * 20)  # type: ignore[assignment]
        started = self.network.now
        client.transport.write(b"x")
        self.network.run(started + 0.01)
        self.network.faults.partition(self.here, self.there, oneWay=True, duration=15.0)
        self.network.run(started + 200)
        self.assertEqual(client.lost, (started + 40.0, error.ConnectionLost))

    def test_whatIsForgottenIsNotSentAgain(self) -> None:
        """
        An aborted connection's lost segment takes no bandwidth from others.
        """
        self.build(bandwidth=1000.0)
        client, _ = self.join()
        other, itsServer = self.join()
        lossy = self.network.faults.lose(rate=0.5)
        self.network.chance = Chances(LOST)  # type: ignore[assignment]
        started = self.write(client, 1)
        self.network.run(started + 0.6)
        lossy.heal()
        client.transport.abortConnection()
        self.network.run(started + 0.9)
        self.write(other, 1)
        self.network.run(started + 60)
        self.assertLeft(itsServer, started, [1.4])

    def test_resetDoesNotWaitForWhatIsStalled(self) -> None:
        """
        The kernel of a process that crashed in a partition answers at once, when the path is whole and the other end
        says something, though what it had taken itself waits for its time-out.
        """
        client, server = self.join()
        started = self.network.now
        self.network.faults.partition(self.here, self.there, duration=1.0)
        self.here.callLater(0.1, client.transport.write, b"stalled until 1.5 s")
        self.network.callAt(started + 0.5, lambda: self.network.faults.crash(self.here))
        self.there.callLater(1.05, server.transport.write, b"still there?")
        self.network.run(started + 60)
        self.assertApproximates(server.lost[0], started + 1.05 + 2 * LATENCY, 1e-6)
        self.assertEqual((server.lost[1], server.data), (error.ConnectionLost, b""))

    def test_partitionStopsAStreamThatIsUnderWay(self) -> None:
        """
        A window had left before it, and nothing follows, though its acknowledgements come back.
        """
        client, server = self.join()
        started = self.network.now
        client.transport.write(b"x" * 1000000)
        self.network.run(started + LATENCY / 2)
        self.network.faults.partition(self.here, self.there, oneWay=True)
        self.network.run(started + 100)
        self.assertEqual(len(server.data), self.network.window)

    def test_whatIsThereTooEarlyIsKept(self) -> None:
        """
        It does not overtake the segment that was lost, and arrives with it or at its own time, whichever is later.
        """
        client, server = self.join()
        self.network.faults.lose(rate=0.5)
        self.network.chance = Chances(LOST)  # type: ignore[assignment]
        started = self.network.now
        for delay, data in ((0.0, b"lost"), (0.1, b"early"), (0.2, b"early, too"), (0.32, b"later")):
            self.here.callLater(delay, client.transport.write, data)
        self.here.callLater(0.33, client.transport.loseConnection)
        self.network.run(started + 60)
        self.assertEqual([data for _, data in server.pieces], [b"lost", b"early", b"early, too", b"later"])
        self.assertLeft(server, started, [0.3, 0.3, 0.3, 0.32])
        self.assertApproximates(server.lost[0], started + 0.33 + LATENCY, 1e-6)

    def test_whatIsKeptIsNeverSeenIfTheLostOneDoesNotCome(self) -> None:
        """
        The other end hears of the reset only.
        """
        client, server = self.join()
        self.network.faults.lose(rate=0.5)
        self.network.chance = Chances(LOST)  # type: ignore[assignment]
        started = self.network.now
        client.transport.write(b"lost")
        self.network.run(started + 0.1)
        client.transport.write(b"early")
        self.network.run(started + 0.2)
        client.transport.abortConnection()
        self.network.run(started + 60)
        self.assertEqual(server.pieces, [])
        self.assertEqual(server.lost, (started + 0.2 + LATENCY, error.ConnectionLost))

    def test_whatWasLostInTheTurnOfTheEndIsNotSent(self) -> None:
        """
        Nor what it wrote behind it, or what waits for bandwidth: the kernel was never given it. What it was given
        before is sent, and the end of the stream is not kept waiting for anything.
        """

        def lossy() -> None:
            self.network.faults.lose(rate=0.5)

        def narrow() -> None:
            self.network.faults.throttle(bandwidth=1000.0)

        for hinder, arrival in ((lossy, 0.3), (narrow, 0.5)):
            self.build()
            client, server = self.join()
            hinder()
            self.network.chance = Chances(LOST, LOST)  # type: ignore[assignment]
            started = self.write(client, 1)
            self.network.run(started + 0.1)
            for number in range(3):
                client.transport.write(b"%d" % number * 500)
            self.network.faults.crash(self.here)
            self.network.run(started + 60)
            self.assertEqual(server.data, self.sent(1))
            self.assertEqual(server.lost, (server.pieces[0][0], error.ConnectionDone))
            self.assertLeft(server, started, [arrival])

    def test_datagramsWaitForBandwidthAndMeetThePathToo(self) -> None:
        """
        Those that have not left when the path is cut, or the power lost, are gone; when the limit ends, all leave.
        """

        def cut() -> None:
            self.network.faults.partition(self.here, self.there, duration=1.0)

        def restart() -> None:
            self.network.faults.crashHost(self.here)
            self.network.faults.restart(self.here)

        left: list[float] = []

        class Noting(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: object) -> None:
                left.append(round(case.network.now - LATENCY, 6))

        case = self
        for what, expected in ((cut, [0.5, 2.0]), (restart, [0.5]), (None, [0.5, 0.7, 0.7, 0.7])):
            self.build()
            left.clear()
            self.there.listenUDP(53, Noting())
            sender = DatagramProtocol()
            self.here.listenUDP(0, sender)
            throttle = self.network.faults.throttle(bandwidth=1000.0)
            for _ in range(4):
                sender.transport.write(b"x" * 500, ("10.0.0.2", 53))  # type: ignore[union-attr]
            self.network.callAt(0.7, what or throttle.heal)
            self.network.run(60)
            self.assertEqual(left, expected)


class OnHostsTests(TCPTestCase):
    """
    Faults of hosts and processes.
    """

    def test_dataForACrashedHostEndsTheConnection(self) -> None:
        """
        Not the crash, but the silence that follows is noticed, after the time that was set.
        """
        self.build(giveUp=15.0)
        client, _ = self.join()
        self.network.faults.crashHost("10.0.0.2")
        started = self.network.now
        client.transport.write(b"hello?")
        self.network.run(started + 100)
        self.assertEqual(client.lost, (started + 15.0, error.ConnectionLost))

    def test_restartedHostKnowsNothingOfOldConnections(self) -> None:
        """
        It answers their data with a reset; an idle one stays as it is.
        """
        client, _ = self.join()
        self.network.faults.crashHost("10.0.0.2")
        self.network.run(self.network.now + 5)
        self.network.faults.restart("10.0.0.2")
        self.network.run(self.network.now + 5)
        self.assertIsNone(client.lost)
        started = self.network.now
        client.transport.write(b"hello?")
        self.network.run(started + 1)
        self.assertApproximates(client.lost[0], started + 2 * LATENCY, 1e-6)
        self.assertEqual(client.lost[1], error.ConnectionLost)

    def test_restartLosesAllButTheDisk(self) -> None:
        """
        Timers, ports and connections are gone; the disk is there, and the program is booted again.
        """
        booted: list[SimulatedReactor] = []
        fired: list[float] = []

        def boot(reactor: SimulatedReactor) -> None:
            booted.append(reactor)
            reactor.disk["boots"] = reactor.disk.get("boots", 0) + 1
            reactor.listenTCP(80, Answering(self.network))
            reactor.callLater(10, lambda: fired.append(self.network.now))

        first = self.network.host("10.0.0.3", boot=boot)
        self.network.run(3)
        second = self.network.faults.restart(first)
        self.assertIs(self.network.host("10.0.0.3"), second)
        self.assertEqual(booted, [first, second])
        self.assertEqual(second.disk, {"boots": 2})
        self.network.run(60)
        self.assertEqual(fired, [13.0])
        self.assertEqual((first.alive, first.running, second.running), (False, False, True))
        self.assertNotEqual(first.random.random(), second.random.random())

    def test_pausedProcessFiresNoTimersAndReadsNothing(self) -> None:
        """
        It finds all of it, in order, when it goes on; and it took no harm meanwhile.
        """
        client, server = self.join()
        started = self.network.now
        happened: list[Any] = []
        for delay in (1.0, 2.0, 20.0):
            self.there.callLater(delay, lambda d=delay: happened.append((d, self.network.now)))
        self.network.faults.pause("10.0.0.2", duration=10.0)
        client.transport.write(b"one")
        self.network.run(started + 5)
        client.transport.write(b"two")
        self.network.run(started + 9.9)
        self.assertEqual((happened, server.pieces), ([], []))
        self.network.run(started + 60)
        self.assertEqual(happened, [(1.0, started + 10.0), (2.0, started + 10.0), (20.0, started + 20.0)])
        self.assertEqual(server.pieces, [(started + 10.0, b"one"), (started + 10.0, b"two")])
        server.transport.write(b"here again")
        self.network.run(started + 61)
        self.assertEqual(client.data, b"here again")
        # And everything takes the short way again.
        self.assertIs(server.transport.reader, server)
        self.assertTrue(client.transport.isPlain() and client.transport.stream is None)

    def test_processThatGoesOnMakesItsCallsBeforeItReads(self) -> None:
        """
        As any reactor: in the order of their times, also those that were moved, and only those that are due.
        """
        happened: list[Any] = []

        class Noting(Recorder):
            def dataReceived(self, data: bytes) -> None:
                happened.append(data)

        client, _ = self.join(Recorder, Noting)
        for when, moved in ((2.0, 0.0), (0.6, 1.9), (0.7, 5.0), (2.2, 0.0)):
            call = self.there.callLater(when, lambda due=when + moved: happened.append(due))
            if moved:
                call.delay(moved)
        self.there.callLater(2.1, lambda: 1 // 0)
        started = self.network.now
        self.here.callLater(1.0, client.transport.write, b"data")
        self.network.callAt(started + 0.5, lambda: self.network.faults.pause(self.there, duration=2.5))
        self.network.run(started + 3.0)
        self.assertEqual(happened, [2.0, 2.2, 2.5, b"data"])
        self.network.run(started + 10.0)
        self.assertEqual(happened[4:], [5.7])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_pausedProcessHandsNothingToItsKernel(self) -> None:
        """
        What waits in its own memory for room in the window waits there until it goes on, and is gone if it is killed.
        """
        for verb, arrives in (("resume", 1000000), ("crash", 262144)):
            self.build()
            client, server = self.join()
            client.transport.write(b"x" * 1000000)
            self.network.run(self.network.now + 0.01)
            self.network.faults.pause(self.here)
            self.network.run(self.network.now + 60)
            self.network.faults.slow(factor=2.0, duration=1.0)
            self.network.run(self.network.now + 60)
            self.assertEqual(len(server.data), self.network.window)
            getattr(self.network.faults, verb)(self.here)
            self.network.run(self.network.now + 60)
            self.assertEqual(len(server.data), arrives)

    def test_buffersOfAPausedProcessAreFinite(self) -> None:
        """
        Who writes to it little by little has to wait in the end, too.
        """
        client, server = self.join()
        paused: list[float] = []

        class Producer:
            def pauseProducing(self) -> None:
                paused.append(client.network.now)

            def resumeProducing(self) -> None:
                paused.clear()

            def stopProducing(self) -> None:
                raise AssertionError("nobody has stopped")

        client.transport.registerProducer(Producer(), True)
        self.network.faults.pause(self.there)
        for number in range(100):
            self.here.callLater(number * 0.1, client.transport.write, b"x" * 10000)
        self.network.run(self.network.now + 20)
        self.assertNotEqual(paused, [])
        self.network.faults.resume(self.there)
        self.network.run(self.network.now + 20)
        self.assertEqual((len(server.data), paused), (1000000, []))

    def test_nothingOvertakesWhatWasHeld(self) -> None:
        """
        Also not what arrives at the very instant at which the process goes on.
        """
        client, server = self.join()
        started = self.network.now
        self.network.faults.pause(self.there)
        for number in range(5):
            self.here.callLater(number * 1.0, client.transport.write, b"%d" % number)
        self.network.callAt(started + 4.0 + LATENCY, lambda: self.network.faults.resume(self.there))
        self.here.callLater(4.0, lambda: client.transport.write(b"5"))
        self.network.run(started + 60)
        self.assertEqual(server.data, b"012345")

    def test_stoppedAgainBeforeItWentOn(self) -> None:
        """
        The last word counts, and a timer that fails when the process goes on is only logged.
        """
        happened: list[float] = []
        self.there.callLater(1.0, lambda: 1 // 0)
        self.there.callLater(2.0, lambda: happened.append(self.network.now))
        self.network.faults.pause(self.there)
        self.network.run(5)
        self.network.faults.resume(self.there)
        self.network.faults.pause(self.there)
        self.network.run(10)
        self.assertEqual(happened, [])
        self.network.faults.resume(self.there)
        self.network.run(20)
        self.assertEqual(happened, [10.0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_kernelOfAPausedProcessAcknowledges(self) -> None:
        """
        Nobody gives up on it, however long that lasts, though its buffers are full.
        """
        self.build(giveUp=20.0)
        client, server = self.join()
        self.network.faults.pause(self.there)
        client.transport.write(b"x" * 1000000)
        self.network.run(self.network.now + 500)
        self.assertIsNone(client.lost)
        self.network.faults.resume(self.there)
        self.network.run(self.network.now + 60)
        self.assertEqual(len(server.data), 1000000)

    def test_kernelOfAPausedProcessAcceptsConnections(self) -> None:
        """
        As many as the backlog holds; the others get no answer until there is room.
        """
        answering = Answering(self.network)
        self.there.listenTCP(80, answering, backlog=2)
        self.network.faults.pause(self.there)
        clients = [Recorder(self.network) for _ in range(5)]
        for client in clients:
            self.here.connectTCP("10.0.0.2", 80, Calling(self.network, client))
            self.network.run(self.network.now + 0.2)
        self.assertEqual([client.made is not None for client in clients], [True, True, True, False, False])
        self.assertEqual(answering.made, [])
        self.network.faults.resume(self.there)
        self.network.run(self.network.now + 30)
        self.assertEqual(len(answering.made), 5)

    def test_ofOverlappingPausesTheLastCounts(self) -> None:
        """
        The process goes on when all have ended, or at once when it is told to.
        """
        happened: list[float] = []

        def tick() -> None:
            happened.append(self.network.now)
            self.here.callLater(1.0, tick)

        self.here.callLater(0.5, tick)
        for when in (30.0, 44.0, 52.0):
            self.network.callAt(when, lambda: self.network.faults.resume(self.here))
        pauses = ((1.0, 3.0), (2.0, 5.0), (3.0, 1.0), (20.0, None), (21.0, 1.0), (40.0, 9.0), (45.0, 1.5))
        for when, duration in (*pauses, (50.0, 9.0), (52.0, 1.0)):
            self.network.callAt(when, lambda d=duration: self.network.faults.pause(self.here, duration=d))  # type: ignore[misc]
        self.network.run(70)
        gaps = [(one, next) for one, next in pairwise(happened) if next - one > 1.0]
        self.assertEqual(gaps, [(0.5, 7.0), (19.0, 30.0), (39.0, 44.0), (44.0, 46.5), (49.5, 53.0)])

    def test_kernelOfAPausedProcessKeepsDatagrams(self) -> None:
        """
        A thousand for each port, whatever else waits for the process, and again as many in the next pause.
        """
        got: list[bytes] = []

        class Noting(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                got.append(datagram)

        port: Any = self.there.listenUDP(0, DatagramProtocol())
        for number in (1, 2):
            self.here.listenUDP(number, Noting())
        for _ in range(2):
            for _ in range(1100):
                self.here.callLater(1.0, list)
            self.network.faults.pause(self.here, duration=5.0)
            self.network.run(self.network.now + 2.0)
            for _ in range(1100):
                port.write(b"first", ("10.0.0.1", 1))
            port.write(b"second", ("10.0.0.1", 2))
            self.network.run(self.network.now + 10.0)
            self.assertEqual((got.count(b"first"), got.count(b"second")), (1000, 1))
            del got[:]

    def test_pausedProcessLearnsOfAResetWhenItGoesOn(self) -> None:
        """
        What has happened to its connections waits for it.
        """
        client, server = self.join()
        self.network.faults.pause(self.there)
        client.transport.write(b"last words")
        self.network.run(self.network.now + 1)
        client.transport.abortConnection()
        self.network.run(self.network.now + 10)
        self.assertEqual((server.pieces, server.lost), ([], None))
        self.network.faults.resume(self.there)
        self.network.run(self.network.now)
        self.assertEqual(server.data, b"last words")
        self.assertEqual(server.lost, (self.network.now, error.ConnectionLost))

    def test_crashOfAPausedProcess(self) -> None:
        """
        What waited for it is lost with it.
        """
        client, server = self.join()
        self.network.faults.pause(self.there)
        client.transport.write(b"unread")
        self.network.run(self.network.now + 1)
        self.network.faults.crash(self.there)
        self.network.run(self.network.now + 1)
        self.assertEqual(client.lost[1], error.ConnectionLost)
        self.assertEqual((server.pieces, server.lost), ([], None))

    def test_clockOffsetAndDrift(self) -> None:
        """
        A host's clock may be wrong, and run too fast: so do its timers.
        """
        self.network.faults.setClock(self.here, offset=100.0, drift=0.25)
        self.assertEqual(self.here.seconds(), 100.0)
        fired: list[tuple[float, float]] = []
        timer = self.here.callLater(10.0, lambda: fired.append((self.network.now, self.here.seconds())))
        self.assertApproximates(timer.getTime(), 110.0, 1e-12)
        self.network.run(60)
        ((when, shown),) = fired
        self.assertApproximates(when, 8.0, 1e-12)
        self.assertApproximates(shown, 110.0, 1e-12)
        self.assertEqual((self.here.seconds(), self.there.seconds()), (175.0, 60.0))
        self.network.faults.setClock(self.here, drift=0.0)
        self.network.run(70)
        self.assertEqual(self.here.seconds(), 185.0)

    @settings(max_examples=200, deadline=None)
    @given(
        st.one_of(st.none(), st.floats(-1e9, 1e9)),
        st.one_of(st.sampled_from([0.001, -0.001, 0.1]), st.floats(-0.99, 100.0)),
        st.one_of(st.just(1.0), st.floats(0.001, 100.0)),
        st.floats(0.0, 864000.0),
    )
    def test_timersKeepToAWrongClock(self, offset: float | None, drift: float, interval: float, since: float) -> None:
        """
        None comes while the host's clock still shows less than it was set for, moved or not, so that a C{LoopingCall}
        makes as many calls as there are intervals, whatever that clock shows and since when. (On a clock that is right
        it may make more, as on Twisted's C{task.Clock}: its sums are rounded, and such a timer comes at the very time.)
        """
        network = SimulatedNetwork(guard=False)
        reactor = network.host("10.0.0.1")
        network.run(since)
        network.faults.setClock(reactor, offset=offset, drift=drift)
        assume(reactor.seconds() != since or 1.0 + drift != 1.0)
        calls: list[float] = []

        def call() -> None:
            calls.append(reactor.seconds())
            if len(calls) > 100:
                loop.stop()

        def due(shown: float) -> None:
            self.assertGreaterEqual(reactor.seconds(), shown)
            times.append(shown)

        times: list[float] = []
        delayed: list[float] = []
        loop = LoopingCall(call)
        loop.clock = reactor
        loop.start(interval)
        for part in (1.0, 1.7, 3.3):
            shown = reactor.seconds() + part * interval
            reactor.callLater(part * interval, due, shown)
            reactor.callLater(9 * interval, due, shown).reset(part * interval)
            later = reactor.callLater(interval, lambda: due(delayed.pop(0)))
            delayed.append(later.getTime() + part * interval)
            later.delay(part * interval)
        network.run(since + 20.5 * interval / (1.0 + drift))
        self.assertEqual((len(calls), len(times)), (21, 9))

    def test_timersFollowAClockThatIsSet(self) -> None:
        """
        Set ahead, it brings at once what is due by then, in order; set back, it keeps the rest waiting, be the process
        stopped meanwhile or not. A timer that was moved follows from where it is.
        """
        fired: list[tuple[str, float, float]] = []

        def set(name: str, delay: float) -> Any:
            return self.here.callLater(delay, lambda: fired.append((name, self.network.now, self.here.seconds())))

        set("late", 4000.0)
        moved = set("moved", 5.0)
        set("second", 20.0)
        set("first", 10.0)
        moved.delay(10.0)
        self.network.run(1)
        self.network.faults.setClock(self.here, offset=3600.0)
        self.network.run(300)
        self.assertEqual(fired, [(name, 1.0, 3601.0) for name in ("first", "moved", "second")])
        del fired[:]
        set("held", 50.0)
        self.network.faults.pause(self.here, duration=200)
        self.network.run(450)
        self.network.faults.setClock(self.here, offset=-300.0)
        self.network.run(4400)
        self.assertEqual([(name, round(when, 6)) for name, when, _ in fired], [("held", 4250.0), ("late", 4300.0)])

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.tuples(st.one_of(st.none(), st.floats(-1e6, 1e6)), st.floats(-0.9, 10.0)), max_size=5),
        st.lists(st.floats(0.0, 100.0), max_size=5),
    )
    def test_noTimerComesBeforeAClockThatIsSetShowsItsTime(
        self, changes: list[tuple[float | None, float]], delays: list[float]
    ) -> None:
        """
        However often it is set; and once it shows that time, the timer has come.
        """
        network = SimulatedNetwork(guard=False)
        reactor = network.host("10.0.0.1")
        waiting: dict[object, float] = {}

        def due(key: object) -> None:
            self.assertGreaterEqual(reactor.seconds(), waiting.pop(key))

        for offset, drift in [*changes, (0.0, 0.0)]:
            for delay in delays:
                key = object()
                waiting[key] = reactor.seconds() + delay
                reactor.callLater(delay, due, key)
            network.run(network.now + 0.7)
            network.faults.setClock(reactor, offset=offset, drift=drift)
            network.run(network.now + 7.0)
            self.assertFalse([shown for shown in waiting.values() if shown < reactor.seconds() - 1e-6])

    def test_aClockThatIsRightAgainIsRight(self) -> None:
        """
        It shows the network's time to the last bit, whatever it has shown before.
        """
        self.network.faults.setClock(self.here, offset=0.1, drift=0.3)
        self.network.run(0.7)
        self.network.faults.setClock(self.here, offset=0.0, drift=0.0)
        for tenths in range(8, 30):
            self.network.run(tenths / 10)
            self.assertEqual(self.here.seconds(), self.network.now)
        fired: list[float] = []
        self.here.callLater(0.3, lambda: fired.append(self.here.seconds()))
        self.network.run(10)
        self.assertEqual(fired, [2.9 + 0.3])

    def test_latencyMayDependOnThePair(self) -> None:
        """
        A function says what lies between two addresses.
        """
        network = SimulatedNetwork(latency=lambda one, other: constant(0.2 if "10.0.0.3" in (one, other) else 0.01))
        server = network.host("10.0.0.1")
        server.listenTCP(80, Answering(network))
        made = []
        for address in ("10.0.0.2", "10.0.0.3"):
            client = Recorder(network)
            network.host(address).connectTCP("10.0.0.1", 80, Calling(network, client))
            network.run(network.now + 1)
            made.append(client.made)
        self.assertApproximates(made[0], 0.02, 1e-9)
        self.assertApproximates(made[1], 1.4, 1e-9)
