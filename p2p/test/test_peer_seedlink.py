"""
Tests for L{p2p.peer.seedlink}: a peer, and a seed that is played by hand.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.service import REFUTATION_BURST, SAMPLE
from p2p.test.fakes import FakePeerStore, Network, Script, contact, dial, identity, impostor
from p2p.wire import reasons
from p2p.wire.messages import (
    Close,
    Contact,
    Dead,
    Hello,
    Message,
    Ping,
    Pong,
    Register,
    Registered,
    Removed,
    Unreachable,
)

SEED = Contact(identity(1000), "10.0.0.1:5000")


class SeedLinkTests(SynchronousTestCase):
    """
    What a peer says to a seed, and what it makes of the answers.

    @ivar answers: what the seed answers each L{Register} with.
    """

    lease = 10.0

    def setUp(self) -> None:
        """A seed that puts everybody on its list."""
        self.network = Network()
        self.host = self.network.host("10.0.0.1")
        self.contacts: list[Contact] = []
        self.answering = True
        self.seen: list[Any] = []
        self.scripts: list[Script] = []

    def play(self, welcome: bool = True) -> None:
        """Listen as the seed."""
        self.scripts = impostor(self.network, SEED, self.answer, welcome)

    def answer(self, script: Script, message: Any) -> None:
        """What the seed does."""
        self.seen.append(message)
        if isinstance(message, Register) and self.answering:
            script.send(Registered(self.lease, 5, self.contacts[: message.want]))

    def peer(self, **settings: Any) -> Any:
        """A peer with that seed."""
        peer = self.network.peer(1, **settings)
        self.network.run(0.1)
        return peer

    def take(self, kind: type) -> list[Any]:
        """What the seed has got of that type."""
        taken = [message for message in self.seen if type(message) is kind]
        self.seen = [message for message in self.seen if type(message) is not kind]
        return taken

    def test_itRegistersItsListeningAddressAndAsksForTheList(self) -> None:
        """With the identity it has, on a connection that it calls so."""
        self.play()
        peer = self.peer()
        self.assertEqual(self.take(Register), [Register(Contact(peer.identity, "10.1.0.1:6000"), 256)])
        self.assertEqual(self.scripts[0].take(Hello)[0].purpose, "register")
        self.assertEqual(peer.status()["seeds"], {"10.0.0.1:5000": True})

    def test_itRenewsWithinTheLease(self) -> None:
        """Every lease that the seed grants, and never a tenth of it too late."""
        self.play()
        self.peer(seedInterval=10000.0)
        for _ in range(10):
            self.take(Register)
            self.network.run(10.0)
            self.assertEqual(len(self.take(Register)), 1)

    def test_aTinyLeaseIsNoReasonToRun(self) -> None:
        """A seed that grants next to nothing does not keep the peer busy."""
        self.lease = 1e-9
        self.play()
        self.peer()
        self.take(Register)
        self.network.run(1)
        self.assertLess(len(self.take(Register)), 150)

    def test_itAsksForTheListNowAndThen(self) -> None:
        """So that newcomers are found."""
        self.lease = 10000.0
        self.play()
        self.peer(seedInterval=5.0)
        self.take(Register)
        self.network.run(50)
        self.assertEqual([message.want for message in self.take(Register)], [256] * 10)

    def test_whoKnowsEnoughAsksForASample(self) -> None:
        """It meets newcomers by that; with few contacts, or no neighbour, it asks for all."""
        self.play()
        peer = self.peer(seedInterval=10.0)
        friend = dial(self.network, str(peer.address), contact(50))
        friend.answer = lambda script, message: script.send(Pong(message.number)) if type(message) is Ping else None
        self.network.run(20)
        self.assertEqual({message.want for message in self.take(Register)} - {0}, {256})
        self.contacts = [contact(number) for number in range(100, 300)]
        self.network.run(10)
        self.take(Register)
        self.network.run(20)
        self.assertEqual({message.want for message in self.take(Register)} - {0}, {SAMPLE})
        friend.send(Close(reasons.LEAVING, "", []))
        self.network.run(20)
        self.assertEqual({message.want for message in self.take(Register)} - {0, SAMPLE}, {256})

    def test_aSeedThatIsDownIsDialledLessAndLessOftenButForEver(self) -> None:
        """After half a second, one, two, four, then every eight, with some jitter; and once it is up, at once."""
        times: list[float] = []
        dialled = self.host.network.host("10.1.0.1").dialled
        peer = self.network.peer(1)
        for _ in range(3000):
            before = len(dialled)
            self.network.run(0.025)
            times += [self.network.clock.seconds()] * (len(dialled) - before)
        pauses = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
        for pause, most in zip(pauses, [0.5, 1, 2, 4, 8, 8, 8, 8], strict=False):
            self.assertTrue(0.5 * most - 0.05 <= pause <= most + 0.05, pauses)
        self.assertGreater(len(set(pauses)), 5)
        self.play()
        self.network.run(9)
        self.assertEqual(peer.status()["gauges"]["seeds"], 1)

    def test_aSeedThatTurnsThisPeerAwayIsNotCalledSilent(self) -> None:
        """A seed of another network answers: the log says what, and not that nobody is there."""
        self.network.seed(network="another")
        with capturedLogs() as logs:
            self.network.peer(1)
            self.network.run(0.4)
        said = [formatEvent(entry) for entry in logs if "seed {seed}" in (entry["log_format"] or "")]
        self.assertEqual(1, len(said), said)
        self.assertIn("turns this peer away", said[0])
        self.assertIn("network", said[0])

    def test_whatIsNoSeedIsSaidOnce(self) -> None:
        """Something else listens at a line of config.txt, and is dialled again and again."""

        class Stranger(Protocol):
            transport: Any

            def connectionMade(self) -> None:
                self.transport.write(b"SSH-2.0-OpenSSH_9.6\r\n")

        self.host.listenTCP(5000, Factory.forProtocol(Stranger), interface="10.0.0.1")
        with capturedLogs() as logs:
            self.network.peer(1)
            self.network.run(60.0)
        lines = [formatEvent(entry) for entry in logs if entry["log_level"] >= LogLevel.warn]
        self.assertEqual(1, len(lines), lines)
        self.assertIn("seed 10.0.0.1:5000 does not answer as a seed: too large: ", lines[0])

    def test_whoIsNotRegisteredIsToldWhy(self) -> None:
        """The log says once what the seed says each time, and anew when it is another thing, or was over meanwhile."""
        answers: list[Any] = [
            *[[Close(reasons.RATE, "for now", [])]] * 3,
            [Close(reasons.FULL, "", [])],
            [Registered(10.0, 5, []), Close(reasons.LEAVING, "", [])],
            *[[Close(reasons.FULL, "", [])]] * 20,
        ]

        def refuse(script: Script, message: Any) -> None:
            if isinstance(message, Register):
                script.send(*answers.pop(0))

        impostor(self.network, SEED, refuse)
        with capturedLogs() as logs:
            peer = self.peer()
            self.network.run(40)
            self.successResultOf(peer.stopService())
        said = [str(formatEvent(entry)) for entry in logs if "seed {seed}" in (entry["log_format"] or "")]
        self.assertEqual(
            said,
            [
                "seed 10.0.0.1:5000 does not register this peer: rate: for now; trying on",
                "seed 10.0.0.1:5000 does not register this peer: full; trying on",
                "registered with seed 10.0.0.1:5000, 5 active",
                "lost seed 10.0.0.1:5000: leaving",
                "seed 10.0.0.1:5000 does not register this peer: full; trying on",
            ],
        )
        self.assertLess(len(answers), 20)

    def test_aSeedThatAcceptsAndSaysNothingIsGivenUp(self) -> None:
        """Whether it does not say Welcome, or does not answer the first Register, or a later one."""
        for stage in ("welcome", "first", "later"):
            self.setUp()
            self.answering = stage != "first"
            self.play(welcome=stage != "welcome")
            self.peer()
            self.answering = stage == "later" and self.answering
            if stage == "later":
                self.network.run(1)
                self.answering = False
                self.network.run(16)
            else:
                self.network.run(8)
            self.assertTrue(self.scripts[0].ended or self.scripts[0].take(Close), stage)
            self.assertGreaterEqual(len(self.scripts), 2, stage)

    def test_aSeedThatBreaksOffAfterEachAnswerIsNotDialledWithoutAPause(self) -> None:
        """Its one answer does not reset the back-off."""
        def once(script: Script, message: Any) -> None:
            if isinstance(message, Register):
                script.send(Registered(10.0, 1, []), Close(reasons.STALE, "", []))

        self.scripts = impostor(self.network, SEED, once)
        self.peer()
        self.network.run(60)
        self.assertLess(len(self.scripts), 16)

    def test_anAnswerThatNobodyAskedForIsMisbehaviour(self) -> None:
        """Answers are matched to questions: no seed steers a peer's links by sending lists when it likes."""
        self.play()
        self.peer()
        self.scripts[0].send(Registered(10.0, 1, [contact(5)]))
        self.network.run(0.01)
        self.assertEqual(self.scripts[0].take(Close)[0].reason, reasons.MALFORMED)

    def test_aListOfGarbageEndsTheConnectionAndNothingElse(self) -> None:
        """And none of it is dialled."""
        self.contacts = [contact(1), Contact(identity(2), "not an address")]
        self.play()
        peer = self.peer()
        self.assertEqual(self.scripts[0].take(Close)[0].reason, reasons.MALFORMED)
        self.assertEqual(peer.overlay.known(10), [])

    def test_aThousandInventedAddressesAreBornPatiently(self) -> None:
        """Bounded memory, bounded dials, and a real neighbour is kept."""
        self.play()
        peer = self.peer(maxKnown=64)
        friend = self.network.peer(2)
        self.contacts = [Contact(friend.identity, str(friend.address))]
        self.network.run(40)
        self.assertEqual(len(peer.neighbours), 1)
        self.contacts = [contact(number) for number in range(1000, 2000)]

        def lie(script: Script, message: Any) -> None:
            if isinstance(message, Register):
                script.send(Registered(10.0, 1000, self.contacts))

        for script in self.scripts:
            script.answer = lie
        self.network.run(120)
        self.assertLessEqual(len(peer.overlay._known), 64)
        self.assertIn(friend.identity, [link.contact.identity for link in peer.neighbours])

    # Removed.

    def test_whoIsRemovedComesBackAsALaterIncarnation(self) -> None:
        """At once; it is saved, and said to neighbours."""
        self.play()
        store = FakePeerStore()
        peer = self.peer(store=store)
        before = peer.identity
        self.take(Register)
        self.scripts[0].send(Removed(before, reasons.DEAD))
        self.network.run(0.01)
        self.assertGreater(peer.identity, before)
        self.assertEqual({message.contact.identity for message in self.take(Register)}, {peer.identity})
        assert store.memory is not None
        self.assertEqual(store.memory.incarnation, int.from_bytes(peer.identity[8:], "big"))

    def test_removalOfAnEarlierLifeOnlyMakesItRegister(self) -> None:
        """What was said of it then is not true of it now."""
        self.play()
        peer = self.peer(store=FakePeerStore())
        before = peer.identity
        self.take(Register)
        earlier = before[:8] + (int.from_bytes(before[8:], "big") - 1).to_bytes(8, "big")
        self.scripts[0].send(Removed(earlier, reasons.STALE))
        self.network.run(0.01)
        self.assertEqual(peer.identity, before)
        self.assertEqual(len(self.take(Register)), 1)

    def test_removalOfSomebodyElseIsMisbehaviour(self) -> None:
        """It is not this peer's to refute."""
        self.play()
        peer = self.peer()
        self.scripts[0].send(Removed(identity(7), reasons.DEAD))
        self.network.run(0.01)
        self.assertEqual(self.scripts[0].take(Close)[0].reason, reasons.MALFORMED)
        self.assertEqual(peer.factory.counters["refutations"], 0)

    def test_aHugeIncarnationIsNotBelieved(self) -> None:
        """A liar cannot use up all the lives there are, and there is no storm of registrations."""
        self.play()
        peer = self.peer()
        before = peer.identity
        for huge in (2**64 - 1, 2**63, 2**63 - 1, 2**40):
            self.take(Register)
            self.scripts[-1].send(Removed(before[:8] + huge.to_bytes(8, "big"), reasons.STALE))
            self.network.run(1)
            self.assertEqual(peer.identity, before)
            self.assertLessEqual(len(self.take(Register)), 1)
        self.network.run(60)
        self.assertLess(len(self.take(Register)), 30)

    def test_aSeedThatRemovesAgainAndAgainDoesNotKeepTheNetworkBusy(self) -> None:
        """After a few refutations there is one every ten seconds."""
        def lie(script: Script, message: Any) -> None:
            self.seen.append(message)
            if isinstance(message, Register):
                script.send(Removed(message.contact.identity, reasons.STALE))

        self.scripts = impostor(self.network, SEED, lie)
        peer = self.peer()
        self.network.run(100)
        self.assertLessEqual(peer.factory.counters["refutations"], REFUTATION_BURST + 11)
        self.assertGreaterEqual(peer.factory.counters["refutations"], REFUTATION_BURST)
        self.assertLess(len(self.take(Register)), 150)

    def test_itTellsWhatTheSeedCannotReach(self) -> None:
        """As an event, for whoever runs it."""
        self.play()
        peer = self.peer()
        events: list[Any] = []
        peer.events.subscribe(events.append)
        self.scripts[0].send(Unreachable("10.1.0.1:6000", "no answer"))
        self.network.run(0.01)
        self.assertEqual([event["type"] for event in events], ["unreachable"])

    def test_messagesOfNeighboursHaveNoPlaceHere(self) -> None:
        """A seed that sends a broadcast misbehaves."""
        self.play()
        self.peer()
        self.scripts[0].send(Message(identity(3), 1, 1, b""))
        self.network.run(0.01)
        self.assertEqual(self.scripts[0].take(Close)[0].reason, reasons.MALFORMED)

    # The end.

    def test_nothingThatCrossesTheGoodbyeSetsATimer(self) -> None:
        """Whatever the seed still says, after the peer has stopped there is no timer and no connection."""
        self.play()
        peer = self.peer()
        self.answering = False
        peer._askSeeds()
        stopped = peer.stopService()
        self.scripts[0].send(Registered(10.0, 1, []), Removed(peer.identity, reasons.DEAD))
        self.network.run(0.01)
        self.assertEqual(self.scripts[0].take(Close)[0].reason, reasons.LEAVING)
        transport = self.scripts[0].transport
        assert transport is not None
        transport.loseConnection()
        self.network.run(0.01)
        self.successResultOf(stopped)
        self.assertEqual(self.network.host("10.1.0.1").timers, [])

    def test_stoppingWhileItDialsOrWaitsLeavesNoTimer(self) -> None:
        """In every state that the link may be in."""
        for state in ("dialling", "waiting", "shaking"):
            self.setUp()
            if state == "dialling":
                self.host.firewall = True
            elif state == "shaking":
                self.play(welcome=False)
            peer = self.network.peer(1)
            self.network.run(0.2)
            stopped = peer.stopService()
            self.network.run(0.01)
            self.successResultOf(stopped)
            self.assertEqual(self.network.host("10.1.0.1").timers, [], state)

    def test_aDialThatStoppingEndsIsNoSeedThatDoesNotAnswer(self) -> None:
        """The log does not say so, nor that it does not register the peer; the next life begins without a pause."""
        for welcome in (False, True):
            self.setUp()
            self.answering = False
            self.play(welcome)
            peer = self.peer()
            with capturedLogs() as logs:
                stopped = peer.stopService()
                self.network.run(3.0)
                self.successResultOf(stopped)
            self.assertEqual([entry["log_format"] for entry in logs if "seed {seed}" in entry["log_format"]], [])
            self.assertEqual(peer._seeds[0]._failures, 0)

    def test_reportsGoToEverySeedThatAnswers(self) -> None:
        """And the caller is told whether this one does."""
        self.play()
        peer = self.peer(seeds=(1, 2))
        peer.dead(contact(7), "silent")
        self.network.run(0.01)
        self.assertEqual(self.take(Dead), [Dead(contact(7), "silent")])
