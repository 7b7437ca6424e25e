"""
docs/protocol.md, held against this implementation: its examples against the codec, and what it says against daemons.
"""

from __future__ import annotations

import re
import signal
import struct
from pathlib import Path
from threading import Thread
from typing import Any, get_args

from twisted.trial.unittest import SynchronousTestCase

from bench.ports import freePort
from p2p.identity import makeIdentity
from p2p.wire import messages as catalogue
from p2p.wire import reasons
from p2p.wire.codec import Decoder, encode
from p2p.wire.messages import Announced, AnyMessage, Contact, Gone, Held, Sighting, Wanted
from tests.processes import Daemon, NetworkTestCase, until
from tests.second import DOCUMENT, NUMBERS, Second, Talk, frame, pack, unpack

EXAMPLES = [
    (text, bytes.fromhex(code))
    for text, code in re.findall(r"^```hex\n# (.*)\n((?:[0-9a-f\s]+\n)+)```$", DOCUMENT, re.MULTILINE)
]
"""Each example of the document: the message as it is written there, and its bytes."""

PARTS = (Contact, Held, Sighting, Announced, Wanted, Gone)
"""What messages are made of."""

TYPES: dict[str, Any] = {type.__name__: type for type in (*PARTS, *get_args(AnyMessage))}

WORDS = {
    "ME": makeIdentity(bytes.fromhex("a1" * 8), 1),
    "YOU": makeIdentity(bytes.fromhex("b2" * 8), 258),
    "__builtins__": {},
}


def plain(value: Any) -> Any:
    """A message as the second implementation sees it: its number, and its fields as lists."""
    if isinstance(value, list):
        return [plain(element) for element in value]
    if type(value).__name__ not in TYPES:
        return value
    fields = [plain(getattr(value, name)) for name in value.__struct_fields__]
    number = type(value).__struct_config__.tag
    return fields if number is None else [number, *fields]


class ExampleTests(SynchronousTestCase):
    """Every example is what it says."""

    def test_thereIsOneOfEachMessage(self) -> None:
        """And no block was overlooked because it is written otherwise."""
        self.assertEqual(len(EXAMPLES), DOCUMENT.count("```hex"))
        self.assertEqual({text.partition("(")[0] for text, _ in EXAMPLES}, set(NUMBERS))

    def test_theCodecWritesThemSo(self) -> None:
        """Byte for byte."""
        for text, code in EXAMPLES:
            self.assertEqual(encode(eval(text, {**WORDS, **TYPES})).hex(" "), code.hex(" "), text)

    def test_theCodecReadsThemSo(self) -> None:
        """Whole, byte by byte, and all in one piece."""
        expected = [eval(text, {**WORDS, **TYPES}) for text, _ in EXAMPLES]
        stream = b"".join(code for _, code in EXAMPLES)
        self.assertEqual(list(Decoder().feed(stream)), expected)
        decoder = Decoder()
        self.assertEqual([m for byte in stream for m in decoder.feed(bytes([byte]))], expected)

    def test_theSecondImplementationAgrees(self) -> None:
        """Its packing and unpacking are the document's as well."""
        for text, code in EXAMPLES:
            array = plain(eval(text, {**WORDS, **TYPES}))
            self.assertEqual(unpack(code, 4), (array, len(code)), text)
            body = pack(array)
            self.assertEqual(struct.pack(">I", len(body)) + body, code, text)

    def test_headingsNameTheCatalogue(self) -> None:
        """Number, fields and their order, of every message, and no others."""
        found = {}
        for name, number, text in re.findall(r"^### (\w+) \((\d+)\)(?:: (.*))?$", DOCUMENT, re.MULTILINE):
            fields = re.split(r", (?=[a-z]+ (?:`|str|array))", text) if text else []
            found[name] = (int(number), tuple(field.split()[0] for field in fields))
        self.assertEqual(
            found,
            {type.__name__: (type.__struct_config__.tag, type.__struct_fields__) for type in get_args(AnyMessage)},
        )

    def test_reasonsAreAllTold(self) -> None:
        """Each word of the catalogue stands in the document."""
        for name, word in vars(reasons).items():
            if name.isupper() and isinstance(word, str):
                self.assertTrue(f"`{word}`" in DOCUMENT, word)

    def test_boundsAreTheCatalogues(self) -> None:
        """The figures that the document gives."""
        for figure in (
            f"at most {catalogue.MAX_CONTACTS} |",
            f"at most {catalogue.MAX_DETAIL} characters",
            f"to {catalogue.MAX_HOPS}, payload",
            f"at most {catalogue.MAX_HELD} `held`",
            f"at most {2 * catalogue.MAX_GAPS} `number`",
            f"hops `number` of at most {catalogue.MAX_WALK}",
            f"at most {catalogue.MAX_SIGHTINGS} `sighting`",
        ):
            self.assertTrue(figure in DOCUMENT, figure)


class LiveTestCase(NetworkTestCase):
    """Daemons, and nodes of the second implementation."""

    def second(self, *arguments: Any, **keywords: Any) -> Second:
        """A node, closed after the test."""
        node = Second(*arguments, **keywords)
        self.addCleanup(node.close)
        return node

    def seed(self, *options: str) -> Daemon:
        """A running seed."""
        port = freePort()
        self.configure(port)
        return self.start("seed", port, *options).ready()

    def peer(self, *options: str) -> Daemon:
        """A running peer whose seed does not exist, unless there is one."""
        if not Path(self.directory, "config.txt").exists():
            self.configure(freePort())
        return self.start("peer", freePort(), "--gossip-count", "0", *options).ready()


class SeedTests(LiveTestCase):
    """The conversation with a seed."""

    def test_registersAndIsListed(self) -> None:
        """Probed at its address, handed to others, on the seed's list until it says goodbye."""
        seed = self.seed()
        one, other = self.second(), self.second()
        first, (lease, total, contacts) = one.register(seed.port)
        self.assertEqual((lease, total, contacts), (20.0, 1, []))

        def reached() -> bool:
            one.pump(0.05)
            return bool(seed.get("/peers")["peers"][0]["reachable"])

        until(reached, "the seed has dialled back")
        _, (_, total, contacts) = other.register(seed.port)
        self.assertEqual((total, contacts), (2, [one.contact]))
        first.say("Register", one.contact, 0)
        self.assertEqual(one.expect(first, "Registered"), [20.0, 2, []])
        first.say("Close", "leaving", "", [])
        until(lambda: seed.active() == {other.contact[1]}, "it is off the list")

    def test_aLeaseRunsOut(self) -> None:
        """Who does not renew is told so after three intervals; and sent away unless it registers again."""
        seed = self.seed("--lease-interval", "0.5", "--handshake-timeout", "1")
        node = self.second()
        talk, _ = node.register(seed.port)
        self.assertEqual(node.expect(talk, "Removed"), [node.identity, "expired"])
        self.assertEqual(node.refused(talk), "timeout")

    def test_anEarlierIncarnationIsStale(self) -> None:
        """It is told the latest one, and registers above it; the older connection is closed."""
        seed = self.seed()
        late = self.second(7)
        earlier, _ = late.register(seed.port)
        early = self.second(3, id=late.identity[:8])
        talk = early.dial(seed.port, "register")
        talk.say("Register", early.contact, 1)
        self.assertEqual(early.expect(talk, "Removed"), [late.identity, "stale"])
        again = early.identity[:8] + struct.pack(">Q", 8)
        early.identity, early.contact = again, [again, early.contact[1]]
        talk.say("Register", early.contact, 1)
        early.expect(talk, "Registered")
        self.assertEqual(late.refused(earlier), "stale")

    def test_whoCannotBeDialledIsToldSoAndAskedOverItsConnection(self) -> None:
        """Reported dead it is pinged; it lives as long as it answers."""
        seed = self.seed("--probe-timeout", "0.5")
        reporter, hidden = self.second(), self.second()
        hidden.deafen()
        talk, _ = hidden.register(seed.port)
        self.assertEqual(hidden.expect(talk, "Unreachable")[0], hidden.contact[1])
        complaint, (_, _, contacts) = reporter.register(seed.port)
        self.assertEqual(contacts, [])
        hidden.frozen = True
        complaint.say("Dead", hidden.contact, "silent")
        hidden.expect(talk, "Ping")
        self.assertEqual(hidden.expect(talk, "Removed"), [hidden.identity, "dead"])
        self.assertNotIn(hidden.contact[1], seed.active())

    def test_aReportIsCheckedBeforeItIsBelieved(self) -> None:
        """Who answers the seed's probe stays; who refuses it goes, and is told."""
        seed = self.seed()
        reporter, accused = self.second(), self.second()
        complaint, _ = reporter.register(seed.port)
        talk, _ = accused.register(seed.port)
        complaint.say("Dead", accused.contact, "refused")
        until(lambda: (accused.pump(0.05), "lives:" in seed.log)[1], "the accused was asked")
        self.assertIn(accused.contact[1], seed.active())
        accused.deafen()
        complaint.say("Dead", accused.contact, "refused")
        self.assertEqual(accused.expect(talk, "Removed"), [accused.identity, "dead"])
        complaint.say("Ping", 41)
        self.assertEqual(reporter.expect(complaint, "Pong"), [41])

    def test_whatASeedRefuses(self) -> None:
        """Each reason that a Close of its may have, told to the one that it concerns."""
        seed = self.seed("--registration-rate", "1", "--handshake-timeout", "1", "--max-per-host", "8")
        node = self.second()
        own = node.expect(node.greet(seed.port, "probe"), "Welcome")[0]

        def hello(*fields: Any) -> Talk:
            talk = node.connect(seed.port)
            talk.say("Hello", *fields)
            return talk

        def raw(data: bytes) -> Talk:
            talk = node.connect(seed.port)
            talk.send(data)
            return talk

        contact = node.contact
        for expected, talk in (
            ("version", hello(2, "p2p", "register", contact)),
            ("network", hello(1, "q2q", "register", contact)),
            ("self", hello(1, "p2p", "register", [own[0], contact[1]])),
            ("malformed", hello(1, "p2p", "register", [contact[0], "localhost:6001"])),
            ("role", hello(1, "p2p", "neighbour", contact)),
            ("timeout", node.connect(seed.port)),
        ):
            self.assertEqual(node.refused(talk), expected)
        for expected, talk in (
            ("malformed", raw(frame("Ping", 1))),
            ("malformed", raw(b"\x00\x00\x00\x01\xc0")),
            ("malformed", raw(b"\x00\x00\x00\x02\x92\x63")),
            ("too large", raw(struct.pack(">I", 4097))),
            ("timeout", node.dial(seed.port, "register")),
        ):
            self.assertEqual(node.refused(talk), expected)
        talk = node.dial(seed.port, "register")
        talk.send(frame("Hello", 1, "p2p", "register", contact))
        self.assertEqual(node.refused(talk), "malformed")
        talk = node.dial(seed.port, "register")
        talk.send(frame("Message", node.identity, 1, 1, b"x"))
        self.assertEqual(node.refused(talk), "malformed")
        talk, _ = node.register(seed.port)
        for _ in range(7):
            talk.say("Register", contact, 0)
        self.assertEqual(node.refused(talk), "rate")
        # Connections that are closed here are gone there in a moment.
        node.until(lambda: seed.get("/status")["gauges"]["connections"] == 0, "all are closed")
        many = [node.connect(seed.port) for _ in range(9)]
        self.assertEqual(node.refused(many[-1]), "full")
        self.assertEqual(seed.process.poll(), None)


class PeerTests(LiveTestCase):
    """The conversation with a neighbour."""

    def test_becomesANeighbourThroughTheSeedAndRelays(self) -> None:
        """A peer that hears of it from the seed dials it; what either publishes reaches the other."""
        seed = self.seed()
        node = self.second()
        node.register(seed.port)
        peer = self.peer()
        node.until(lambda: bool(node.neighbours), "the peer has dialled")
        (talk,) = node.neighbours
        self.assertEqual(node.expect(talk, "Have"), [[], True])
        identifier = peer.publish(b"hello")
        origin, sequence, hops, payload, age = node.expect(talk, "Message")
        self.assertEqual((sequence, hops, payload, age), (1, 1, b"hello", 0))
        self.assertEqual(identifier, f"{origin[:8].hex()}-{int.from_bytes(origin[8:], 'big')}-1")
        talk.say("Message", node.identity, 1, 1, b"from the other implementation")
        until(lambda: peer.has(f"{node.identity[:8].hex()}-1-1"), "the peer has it")

    def test_messagesAreRelayedOnceToAllButTheirSender(self) -> None:
        """With one hop more, and as old; a duplicate is dropped without complaint, and an old one still known."""
        peer = self.peer()
        one, other = self.second(), self.second()
        first, second = one.neighbour(peer.port), other.neighbour(peer.port)
        other.expect(second, "Have")
        origin = bytes(15) + b"\x01"
        for sequence in (1, 2, 1, 5, 2):
            first.say("Message", origin, sequence, 9, b"%d" % sequence)
        first.say("Ping", 77)
        self.assertEqual(one.expect(first, "Pong"), [77])
        got = [other.expect(second, "Message") for _ in range(3)]
        self.assertEqual(got, [[origin, sequence, 10, b"%d" % sequence, 0] for sequence in (1, 2, 5)])
        first.say("Message", origin, 6, 9, b"6", 30)
        self.assertEqual(other.expect(second, "Message"), [origin, 6, 10, b"6", 30])
        second.say("Ping", 78)
        other.expect(second, "Pong")
        self.assertNotIn("Message", [name for name, _ in first.messages + second.messages])

    def test_whatIsMissingIsSent(self) -> None:
        """By top and gaps: what the other says that it has is not sent, what it lacks is."""
        peer = self.peer()
        for number in range(1, 7):
            peer.publish(b"%d" % number)
        new, old = self.second(), self.second()
        talk = new.neighbour(peer.port)
        ((held,), last) = new.expect(talk, "Have")
        self.assertEqual((held[1:], last), ([6, []], True))
        self.assertEqual([new.expect(talk, "Message")[3] for _ in range(6)], [b"%d" % n for n in range(1, 7)])
        talk = old.dial(peer.port, "neighbour")
        talk.say("Have", [], False)
        talk.say("Have", [[held[0], 5, [2, 3]]], True)
        sent = [old.expect(talk, "Message") for _ in range(3)]
        self.assertEqual([message[1:4] for message in sent], [[n, 1, b"%d" % n] for n in (2, 3, 6)])
        self.assertTrue(all(message[4] >= 1 for message in sent))

    def test_whatIsNotKeptIsSaid(self) -> None:
        """After Have, of what it shows to be missing; and what a neighbour says to be gone is given up, and told."""
        peer = self.peer("--history-messages", "2", "--loss-delay", "0.5")
        old, new = self.second(), self.second()
        talk = old.neighbour(peer.port)
        for sequence in (1, 2, 3, 4, 6):
            talk.say("Message", old.identity, sequence, 1, b"")
        talk.say("Ping", 1)
        old.expect(talk, "Pong")
        later = new.neighbour(peer.port)
        self.assertEqual([new.expect(later, "Message")[1] for _ in range(2)], [4, 6])
        never, ((origin, ranges, age),) = new.expect(later, "Lack")
        self.assertEqual((never, origin, ranges), ([], old.identity, [1, 3]))
        self.assertGreaterEqual(age, 0)
        talk.say("Lack", [], [[old.identity, [5, 5], 0.0]])
        until(lambda: (old.pump(0.05), peer.get("/status")["counters"].get("lost") == 1)[1], "it is counted as lost")

    def test_confirmationsAreAskedAndGiven(self) -> None:
        """Sync is answered; and behind a message that somebody waits for one is sent."""
        peer = self.peer()
        node = self.second()
        talk = node.neighbour(peer.port)
        talk.say("Message", node.identity, 1, 1, b"x")
        talk.say("Sync", 77)
        self.assertEqual(node.expect(talk, "Synced"), [77])
        answers: list[Any] = []
        asking = Thread(target=lambda: answers.append(peer.request("POST", "/messages?wait=20", b"wait for it")))
        asking.start()
        self.assertEqual(node.expect(talk, "Message")[3], b"wait for it")
        (number,) = node.expect(talk, "Sync")
        self.assertEqual(answers, [])
        talk.say("Synced", number)
        asking.join(20)
        self.assertEqual(answers[0][0], 201)
        self.assertEqual((answers[0][1]["confirmed"], answers[0][1]["sent"]), (1, 1))

    def test_plumtree(self) -> None:
        """Eager and lazy, announcements, questions and answers."""
        peer = self.peer("--broadcast", "plumtree", "--lazy-delay", "0.05", "--announce-size", "1000")
        one, other = self.second(), self.second()
        self.assertEqual(one.refused(one.greet(peer.port, "neighbour")), "strategy")
        first, second = (node.neighbour(peer.port, "random plumtree heartbeat") for node in (one, other))
        origin = bytes(15) + b"\x01"
        first.say("Batch", [[20, origin, 1, 1, b"a"], [20, origin, 2, 1, b"b"]])
        self.assertEqual([other.expect(second, "Message") for _ in range(2)],
                         [[origin, 1, 2, b"a", 0], [origin, 2, 2, b"b", 0]])  # fmt: skip
        second.say("Message", origin, 1, 7, b"a")
        self.assertEqual(other.expect(second, "Prune"), [])
        first.say("Message", origin, 3, 1, b"c")
        self.assertEqual(other.expect(second, "IHave"), [[[origin, 2, [3, 3]]], False])
        second.say("Graft", [[origin, [2, 3, 9, 9]]], True)
        self.assertEqual([other.expect(second, "Message")[1] for _ in range(2)], [2, 3])
        self.assertEqual(other.expect(second, "Lack"), [[[origin, [9, 9]]], []])
        second.say("IHave", [[origin, 1, [4, 5]]], False)
        self.assertEqual(other.expect(second, "Graft"), [[[origin, [4, 5]]], True])
        second.say("IHave", [[origin, 1, [6, 6]]], True)
        self.assertEqual(other.expect(second, "Graft"), [[[origin, [6, 6]]], False])
        second.say("Message", origin, 6, 1, bytes(1000))
        self.assertEqual(one.expect(first, "IHave"), [[[origin, 2, [6, 6]]], True])

    def test_plumtreeAsksForWhatANewNeighbourHas(self) -> None:
        """Its Have is an announcement."""
        peer = self.peer("--broadcast", "plumtree")
        node = self.second()
        talk = node.greet(peer.port, "neighbour", "random plumtree heartbeat")
        talk.say("Have", [[node.identity, 5, [2, 3]]], True)
        self.assertEqual(node.expect(talk, "Graft"), [[[node.identity, [1, 1, 4, 5]]], False])

    def test_pingsAreAnsweredAndAsked(self) -> None:
        """Both ways, with their numbers."""
        peer = self.peer("--liveness-interval", "0.1")
        node = self.second()
        talk = node.neighbour(peer.port)
        until(
            lambda: (node.pump(0.05), peer.neighbours()[0]["rtt"] is not None)[1], "the peer has timed a round trip"
        )
        talk.say("Ping", 2**63 - 1)
        self.assertEqual(node.expect(talk, "Pong"), [2**63 - 1])

    def test_silenceIsProbedAndThenDeath(self) -> None:
        """A node whose system still accepts connections: suspected, probed, told that it is dead."""
        peer = self.peer("--liveness-interval", "0.1", "--probe-timeout", "0.3")
        node = self.second()
        talk = node.neighbour(peer.port)
        node.frozen = True
        self.assertEqual(node.expect(talk, "Close")[0], "dead")

    def test_whoAnswersTheProbeIsAlive(self) -> None:
        """But the link that went silent is given up."""
        peer = self.peer("--liveness-interval", "0.1", "--probe-timeout", "1")
        node = self.second()
        talk = node.dial(peer.port, "neighbour")
        # This connection is no longer looked after, the node itself is.
        node._talks.remove(talk)
        until(lambda: (node.pump(0.05), not peer.neighbours())[1], "the link is given up")
        node._talks.append(talk)
        self.assertEqual(node.expect(talk, "Close")[0], "silent")

    def test_swimReachesOthersAndRefutes(self) -> None:
        """An Ack for who is there, a confirmation for who is not; and what is said of the peer itself is refuted."""
        peer = self.peer("--detector", "swim")
        one, other, gone = self.second(), self.second(), self.second()
        gone.deafen()
        talk = one.neighbour(peer.port, "random flood swim")
        mine = bytes.fromhex(peer.get("/status")["id"]) + struct.pack(">Q", peer.get("/status")["incarnation"])

        def answered(name: str) -> list[Any]:
            while name not in (found for found, _ in talk.messages):
                one.until(lambda: any(other.pump(0.02) or one.pump(0.02) for _ in range(5)), name)
            return one.expect(talk, name)

        talk.say("PingReq", 77, other.contact, 0)
        self.assertEqual(answered("Ack"), [77])
        talk.say("PingReq", 78, gone.contact, 3)
        self.assertEqual(answered("Suspect"), [gone.contact, 3, mine, 1])
        talk.say("Suspect", [mine, f"127.0.0.1:{peer.port}"], 0, one.identity, 2)
        self.assertEqual(answered("Refute"), [mine, 1, 2])

    def test_swimSuspectsAloudAndCallsDead(self) -> None:
        """Who is silent is told that it is suspected, so is everybody else; whoever vouches for nobody confirms."""
        peer = self.peer(
            "--detector", "swim", "--liveness-interval", "0.2", "--probe-timeout", "0.3", "--suspicion-max-mult", "1"
        )
        one, other = self.second(), self.second()
        talk = one.neighbour(peer.port, "random flood swim")
        witness = other.neighbour(peer.port, "random flood swim")
        one.frozen = True
        _, _, _, hops = other.expect(witness, "Suspect")
        self.assertEqual(hops, 2)
        one.expect(talk, "Suspect")
        self.assertEqual(other.expect(witness, "Faulty")[0], one.contact)
        self.assertEqual(one.expect(talk, "Close")[0], "dead")

    def test_aLaterIncarnationIsTaken(self) -> None:
        """Over the link that stands, by Alive; and over a new one, once nobody answers as the old (stale)."""
        peer = self.peer()
        node = self.second(5)
        talk = node.neighbour(peer.port)
        talk.say("Alive", node.identity[:8] + struct.pack(">Q", 6))
        until(lambda: peer.neighbours()[0]["incarnation"] == 6, "the peer has taken it")
        self.assertEqual(node.refused(node.greet(peer.port, "neighbour")), "duplicate")
        later = self.second(7, id=node.identity[:8])
        node.deafen()
        self.assertEqual(later.refused(later.greet(peer.port, "neighbour")), "duplicate")
        self.assertEqual(node.refused(talk), "stale")
        later.neighbour(peer.port)
        self.assertEqual([found["incarnation"] for found in peer.neighbours()], [7])

    def test_leavingIsSaid(self) -> None:
        """By a peer that is ended."""
        peer = self.peer()
        node = self.second()
        talk = node.neighbour(peer.port)
        peer.signal(signal.SIGTERM)
        self.assertEqual(node.refused(talk), "leaving")
        self.assertIn(peer.wait(), (0, -signal.SIGTERM))

    def test_laterVersionsMayAddFields(self) -> None:
        """They are passed over, in messages and in contacts."""
        peer = self.peer()
        node = self.second()
        talk = node.connect(peer.port)
        talk.say("Hello", 1, "p2p", "neighbour", [*node.contact, "more"], "", False, ["nested", [1, None]])
        node.expect(talk, "Welcome")
        talk.say("Have", [], True, "more")
        talk.say("Ping", 3, 4, 5)
        self.assertEqual(node.expect(talk, "Pong"), [3])

    def test_whatAPeerRefuses(self) -> None:
        """Each reason that a Close of its may have, and the other links go on."""
        peer = self.peer("--max-inbound", "2", "--handshake-timeout", "1", "--max-payload", "1000")
        witness, node = self.second(), self.second()
        undisturbed = witness.neighbour(peer.port)

        def neighbour(data: bytes) -> Talk:
            """An open link, and these bytes on it."""
            talk = node.neighbour(peer.port)
            talk.send(data)
            return talk

        self.assertEqual(node.refused(node.greet(peer.port, "register")), "role")
        self.assertEqual(node.refused(node.connect(peer.port)), "timeout")
        self.assertEqual(node.refused(node.dial(peer.port, "probe")), "timeout")
        for expected, data in (
            ("malformed", frame("Hello", 1, "p2p", "neighbour", node.contact)),
            ("malformed", frame("Have", [], True)),
            ("malformed", frame("Alive", bytes(16))),
            ("malformed", frame("Message", node.identity, 0, 1, b"")),
            ("malformed", frame("Register", node.contact, 1)),
            ("malformed", frame("Close", "lost", "", [])),
            ("malformed", frame("Close", "do\nne", "", [])),
            ("too large", frame("Message", node.identity, 1, 1, bytes(1000 + 2**18))),
        ):
            talk = neighbour(data)
            self.assertEqual(node.refused(talk), expected, data[:40])
            until(lambda: len(peer.neighbours()) == 1, "it is gone")
        gap = frame("Have", [[node.identity, 5, [3, 2]]], True)
        talk = node.dial(peer.port, "neighbour")
        talk.send(gap)
        self.assertEqual(node.refused(talk), "malformed")
        until(lambda: len(peer.neighbours()) == 1, "it is gone")
        node.neighbour(peer.port)
        third = self.second()
        self.assertEqual(third.refused(third.greet(peer.port, "neighbour")), "full")
        undisturbed.say("Ping", 5)
        self.assertEqual(witness.expect(undisturbed, "Pong"), [5])


class HyParViewTests(LiveTestCase):
    """The messages of the overlay hyparview."""

    STRATEGIES = "hyparview flood heartbeat"

    def test_walksAndShuffles(self) -> None:
        """A newcomer is made known to others; a walk that ends is dialled, one that does not is passed on."""
        peer = self.peer("--overlay", "hyparview")
        old, newcomer, stranger = self.second(), self.second(), self.second()
        there = old.neighbour(peer.port, self.STRATEGIES)
        here = newcomer.neighbour(peer.port, self.STRATEGIES)
        here.say("Join", 4)
        self.assertEqual(old.expect(there, "ForwardJoin"), [newcomer.contact, 0])
        here.say("ForwardJoin", stranger.contact, 2)
        self.assertEqual(old.expect(there, "ForwardJoin"), [stranger.contact, 3])
        here.say("ForwardJoin", stranger.contact, 6)
        stranger.until(lambda: bool(stranger.neighbours), "the end of the walk dials")
        named = [[makeIdentity(b"z" * 8, 1), "127.0.0.1:1"], 3]
        here.say("Shuffle", 7, 6, [named, [stranger.contact, 0]])
        number, sightings = newcomer.expect(here, "ShuffleReply")
        self.assertEqual(number, 7)
        self.assertLessEqual(len(sightings), 2)
        here.say("Shuffle", 8, 0, [named])
        talks = [(old, there), (stranger, stranger.neighbours[0])]

        def passed() -> bool:
            for node, _ in talks:
                node.pump(0.05)
            return any(name == "Shuffle" and named in fields[2] for _, talk in talks for name, fields in talk.messages)

        until(passed, "the walk goes on")
        node, talk, fields = next(
            (node, talk, fields) for node, talk in talks for name, fields in talk.messages
            if name == "Shuffle" and named in fields[2]
        )  # fmt: skip
        self.assertEqual((fields[1], fields[2]), (1, [[newcomer.contact, 0], named]))
        talk.say("ShuffleReply", fields[0], [[node.contact, 5]])
        self.assertEqual(newcomer.expect(here, "ShuffleReply"), [8, [[node.contact, 5]]])

    def test_whoNeedsALinkIsLetIn(self) -> None:
        """Though there are five: the one that came last goes. Others are turned away."""
        peer = self.peer("--overlay", "hyparview")
        nodes = [self.second() for _ in range(5)]
        talks = [node.neighbour(peer.port, self.STRATEGIES) for node in nodes]
        another = self.second()
        self.assertEqual(another.refused(another.greet(peer.port, "neighbour", self.STRATEGIES)), "full")
        urgent = another.connect(peer.port)
        urgent.say("Hello", 1, "p2p", "neighbour", another.contact, self.STRATEGIES, True)
        another.expect(urgent, "Welcome")
        self.assertEqual(nodes[4].refused(talks[4]), "rewired")
        until(lambda: len(peer.neighbours()) == 5, "the others stay")

    def test_othersAreTurnedAway(self) -> None:
        """Who chooses its links in another way."""
        peer = self.peer("--overlay", "hyparview")
        node = self.second()
        self.assertEqual(node.refused(node.greet(peer.port, "neighbour")), "strategy")
