"""
What programs of this outline are known to get wrong: docs of such programs, and their code, show these twelve faults.

Each has a test here that shows that this one does not.  Those that need a real
process or a real socket to be shown in full have a second test in C{tests/}:
4 (a closed connection costs no CPU time), 8 (two machines), 12 (SIGKILL).
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.service import PeerService
from p2p.seed.service import SeedService
from p2p.test.fakes import LATENCY, FakeNeighbour, FakeOutlet, Network, contact, dial, impostor, listed
from p2p.wire import reasons
from p2p.wire.codec import encode
from p2p.wire.messages import Close, Contact, Dead, Have, Message, Ping, Pong, Register, Registered, Welcome


class FaultsTests(SynchronousTestCase):
    """One test for each fault, by its number."""

    def swarm(self, count: int, **settings: Any) -> tuple[SeedService, list[PeerService]]:
        """A seed and some peers that have found each other."""
        self.network = Network()
        seed = self.network.seed()
        peers = [self.network.peer(number, **settings) for number in range(1, count + 1)]
        self.network.run(10)
        return seed, peers

    def neighbour(self, peer: PeerService, who: Contact) -> Any:
        """A neighbour by hand that answers pings."""
        script = dial(self.network, str(peer.address), who)
        script.answer = lambda script, message: script.send(Pong(message.number)) if type(message) is Ping else None
        script.send(Have([], True))
        self.network.run(3 * LATENCY)
        return script

    def test_1_theDeadAreRemovedAndAReportRegistersNobody(self) -> None:
        """1. The seed compares texts of different lengths: the dead are never removed, a report registers a phantom."""
        seed, peers = self.swarm(3)
        self.network.host("10.1.0.1").kill()
        self.network.run(2)
        self.assertEqual(listed(seed), {"10.1.0.2:6000", "10.1.0.3:6000"})
        reporter = dial(self.network, "10.0.0.1:5000", contact(50), "register")
        impostor(self.network, contact(50))
        reporter.send(Register(contact(50), 0), Dead(contact(51), "silent"), Dead(contact(50, 2), "silent"))
        self.network.run(10)
        self.assertEqual(listed(seed), {"10.1.0.2:6000", "10.1.0.3:6000", contact(50).address})
        self.assertEqual(len(peers), 3)

    def test_2_aRegistrationIsOfTheListeningAddressAndOneMessageAmongOthers(self) -> None:
        """2. Any unknown text is a registration, keyed by an ephemeral port, so nothing ever matches again."""
        seed, peers = self.swarm(2)
        self.assertEqual(listed(seed), {str(peer.address) for peer in peers})
        stranger = dial(self.network, "10.0.0.1:5000", contact(50), "register")
        stranger.send(Message(contact(50).identity, 1, 1, b"10.1.0.51:6000"))
        self.network.run(1)
        self.assertEqual(stranger.take(Close)[0].reason, reasons.MALFORMED)
        self.assertEqual(len(seed.registry), 2)

    def test_3_aFullPeerRefusesAndADiallerListensFirst(self) -> None:
        """3. At its limit a peer stays silent instead of refusing; the dialler waits for ever, before it listens."""
        _, (full,) = self.swarm(1, maxInbound=0)
        before = self.network.clock.seconds()
        caller = dial(self.network, str(full.address), contact(50))
        self.assertEqual(caller.take(Close)[0].reason, reasons.FULL)
        self.assertLess(self.network.clock.seconds() - before, 0.01)
        self.network.host("10.0.0.1").frozen = True
        late = self.network.peer(7)
        self.network.run(1)
        self.assertEqual(dial(self.network, str(late.address), contact(51), "probe").kinds(), ["Welcome"])

    def test_4_aClosedConnectionIsOver(self) -> None:
        """4. A closed connection leaves a thread spinning."""
        _, (peer,) = self.swarm(1)
        host = self.network.host("10.1.0.1")
        before = len(host.timers), len(host.ends)
        for number in range(50, 60):
            script = self.neighbour(peer, contact(number))
            assert script.transport is not None
            (script.transport.abortConnection if number % 2 else script.transport.loseConnection)()
        self.network.run(20)
        self.assertEqual((len(host.timers), len(host.ends)), before)
        self.assertEqual((peer.neighbours, peer.detector._watched, peer.detector._probing), ([], {}, {}))

    def test_5_aFrozenNeighbourBlocksNothing(self) -> None:
        """5. A frozen (not crashed) neighbour blocks all liveness checks."""
        seed, peers = self.swarm(5)
        dead: dict[str, float] = {}
        peers[4].events.subscribe(
            lambda event: dead.setdefault(event["address"], event["time"]) if event["type"] == "dead" else None
        )
        frozen = self.network.clock.seconds()
        self.network.host("10.1.0.1").frozen = True
        self.network.run(2)
        killed = self.network.clock.seconds()
        self.network.host("10.1.0.2").kill()
        got: list[Any] = []
        peers[3].subscribe(got.append)
        peers[4].publish("meanwhile")
        self.network.run(8)
        self.assertEqual(len(got), 1)
        self.assertLess(dead["10.1.0.2:6000"] - killed, 0.5)
        self.assertLess(dead["10.1.0.1:6000"] - frozen, 7)
        self.assertEqual(len(seed.registry), 3)

    def test_6_whenSeveralDieAtOnceEachIsNoticed(self) -> None:
        """6. A list is changed while it is walked: when one dies, the next one is not checked."""
        for how in ("kill", "freeze"):
            seed, peers = self.swarm(8)
            for number in range(1, 6):
                host = self.network.host(f"10.1.0.{number}")
                if how == "kill":
                    host.kill()
                else:
                    host.frozen = True
            alive = {f"10.1.0.{number}:6000" for number in (6, 7, 8)}
            self.network.run(2 if how == "kill" else 9)
            for peer in peers[5:]:
                self.assertLessEqual({link.contact.address for link in peer.neighbours}, alive, how)
            # Who is frozen with all its neighbours is found by its lease.
            self.network.run(0 if how == "kill" else 65)
            self.assertEqual(listed(seed), alive, how)

    def test_7_messagesKeepTheirBounds(self) -> None:
        """7. No framing: two messages in one segment are one wrong message, a long one is cut."""
        _, (peer,) = self.swarm(1)
        got: list[Any] = []
        peer.subscribe(got.append)
        script = self.neighbour(peer, contact(50))
        payloads = [b"one", b"", b"x" * 300_000, b"four"]
        data = b"".join(encode(Message(contact(50).identity, n, 1, what)) for n, what in enumerate(payloads, 1))
        for size in (len(data), 70_001, 1000):
            for start in range(0, len(data), size):
                script.transport.write(data[start : start + size])
            self.network.run(1)
        for byte in encode(Message(contact(50).identity, 5, 1, b"byte by byte")):
            script.transport.write(bytes([byte]))
        self.network.run(1)
        self.assertEqual([one.payload for one in got], [*payloads, b"byte by byte"])

    def test_8_noAddressIsBuiltIn(self) -> None:
        """8. The own address is hard-coded."""
        self.network = Network()
        seed = self.network.seed()
        peers = [self.network.peer(number, address=where) for number, where in ((1, "192.0.2.7"), (2, "fd00::2"))]
        self.network.run(5)
        self.assertEqual(listed(seed), {"192.0.2.7:6000", "[fd00::2]:6000"})
        self.assertEqual(peers[0].peers()["neighbours"][0]["address"], "[fd00::2]:6000")

    def test_9_whatWasSeenIsRememberedInBoundedMemoryAndFoundAtOnce(self) -> None:
        """9. The list of seen messages grows for ever and is searched from its start."""
        from p2p.peer.broadcast import Flood
        from p2p.settings import PeerSettings

        outlet = FakeOutlet()
        flood = Flood(outlet, PeerSettings(historyMessages=10), Random(1))
        near = FakeNeighbour(1)
        origin = contact(2).identity
        for number in range(1, 20_001):
            flood.received(Message(origin, number, 1, b"x"), near, 1.0)
        known = flood._history._origins[origin]
        self.assertEqual((known.top, known.gaps, len(flood.recent())), (20_000, [], 10))
        self.assertEqual(len(flood._history._origins), 1)
        outlet.asked.clear()
        flood.received(Message(origin, 1, 1, b"x"), near, 1.0)
        self.assertEqual(outlet.asked, [])

    def test_10_oneLiarDoesNotEmptyTheSeedAndAnswersFitQuestions(self) -> None:
        """10. Replies are not matched to requests; anyone may report anyone dead, so one liar empties the seed."""
        seed, peers = self.swarm(5)
        impostor(self.network, contact(50))
        liar = dial(self.network, "10.0.0.1:5000", contact(50), "register")
        liar.send(Register(contact(50), 0))
        self.network.run(1)
        for _ in range(20):
            liar.send(*[Dead(Contact(peer.identity, str(peer.address)), "silent") for peer in peers])
            self.network.run(1)
        self.assertEqual(len(seed.registry), 6)
        self.assertEqual([peer.factory.counters["refutations"] for peer in peers], [0] * 5)
        self.assertEqual(seed.status()["gauges"]["mutedReporters"], 1)
        script = self.neighbour(peers[0], contact(60))
        script.answer = lambda script, message: None
        script.send(*[Pong(number) for number in range(1000, 1050)])
        self.network.run(0.01)
        link = next((link for link in peers[0].neighbours if link.contact == contact(60)), None)
        self.assertIsNotNone(link)
        assert link is not None
        self.assertIsNone(link.rtt)
        unasked = dial(self.network, "10.0.0.1:5000", contact(61), "register")
        unasked.send(Registered(10.0, 1, []))
        self.network.run(0.01)
        self.assertEqual(unasked.take(Close)[0].reason, reasons.MALFORMED)
        self.assertEqual(unasked.take(Welcome)[0].contact.identity, seed.identity)

    def test_11_theGraphDoesNotDecay(self) -> None:
        """11. Peers never register again, never replace a lost link, never hear of newcomers: decay for good."""
        seed, peers = self.swarm(6, maxConnections=2, seedInterval=5.0)
        alive = {str(peer.address): peer for peer in peers}
        for number in range(1, 6):
            gone = self.network.host(f"10.1.0.{number}")
            gone.kill()
            del alive[f"10.1.0.{number}:6000"]
            peer = self.network.peer(20 + number, maxConnections=2, seedInterval=5.0)
            alive[str(peer.address)] = peer
            self.network.run(8)
        self.network.host("10.0.0.1").kill()
        seed = self.network.seed()
        self.network.run(15)
        self.assertEqual(listed(seed), set(alive))
        deliveries: list[Any] = []
        for peer in alive.values():
            self.assertTrue(peer.neighbours)
            peer.subscribe(deliveries.append)
        next(iter(alive.values())).publish("to all")
        self.network.run(1)
        self.assertEqual(len(deliveries), 6)

    def test_12_aCrashIsNoticedWithinASecond(self) -> None:
        """12. A crash is noticed after 26 to 39 s."""
        seed, peers = self.swarm(6)
        noticed: list[float] = []
        for peer in peers[1:]:
            peer.events.subscribe(
                lambda event: noticed.append(event["time"]) if event["type"] == "dead" else None
            )
        seed.events.subscribe(lambda event: noticed.append(event["time"]) if event["type"] == "removed" else None)
        crashed = self.network.clock.seconds()
        self.network.host("10.1.0.1").kill()
        self.network.run(60)
        self.assertEqual(len(noticed), 6)
        self.assertLess(max(noticed) - crashed, 0.5)
