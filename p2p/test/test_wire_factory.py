"""
Tests for L{p2p.wire.factory}: whom a node lets in, and how it dials.
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL, EHOSTUNREACH, EMFILE, ENETUNREACH

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionRefusedError,
    NoRouteError,
    TCPTimedOutError,
    TimeoutError,
)
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from p2p.address import Address
from p2p.test.wires import HERE, Node, Wire, contact, identity, join
from p2p.wire import reasons
from p2p.wire.codec import encode
from p2p.wire.factory import (
    NEIGHBOUR,
    PROBE,
    REGISTER,
    TOLD,
    DialFailed,
    LinkFactory,
)
from p2p.wire.link import Link, State
from p2p.wire.messages import VERSION, AnyMessage, Close, Contact, Hello, Ping, Welcome


def hello(
    number: int = 2, version: int = VERSION, network: str = "p2p", purpose: str = NEIGHBOUR, address: str | None = None
) -> Hello:
    """What the test's node of that number says first."""
    who = contact(number)
    return Hello(version, network, purpose, who if address is None else Contact(who.identity, address))


def say(wire: Wire, *messages: AnyMessage) -> None:
    """The other side sends these."""
    wire.protocol.dataReceived(b"".join(map(encode, messages)))


class AcceptTests(SynchronousTestCase):
    """Callers: let in, or told why not."""

    def setUp(self) -> None:
        """A node."""
        self.node = Node(1)

    def assertRefused(self, hello: Hello, reason: str, misbehaved: bool = True) -> None:
        """The caller is told that reason, and nobody hears of it."""
        link, wire = self.node.accept()
        with capturedLogs() as logs:
            say(wire, hello)
        (told,) = wire.messages()
        assert isinstance(told, Close)
        self.assertEqual((told.reason, link.reason), (reason, reason))
        self.assertEqual(len(logs), int(misbehaved))
        self.assertEqual(self.node.came, [])
        self.node.memory.advance(self.node.settings.goodbyeTimeout + 0.1)
        self.assertTrue(wire.aborted)
        wire.drop()
        self.assertEqual(self.node.connections, 0)

    def test_aHelloThatFitsIsIntroduced(self) -> None:
        """To whoever decides what becomes of it."""
        _, wire = self.node.accept()
        say(wire, hello())
        self.assertEqual(self.node.came, [hello()])

    def test_anotherVersionIsToldSo(self) -> None:
        """With both numbers, for the log there."""
        self.assertRefused(hello(version=2), reasons.VERSION)
        self.assertRefused(hello(version=0, network="other"), reasons.VERSION)

    def test_anotherNetworkIsToldSo(self) -> None:
        """Two networks on one machine do not mix; and this one's name is not given away."""
        self.node = Node(1, network="secret")
        self.assertRefused(hello(network="other"), reasons.NETWORK)
        self.assertNotIn("secret", self.node.ended[0].detail)

    def test_whoDialsItselfIsToldSo(self) -> None:
        """Its own address was on a list it got; it is not a misbehaviour."""
        self.assertRefused(hello(1), reasons.SELF, misbehaved=False)

    def test_anAddressThatIsNoneIsMalformed(self) -> None:
        """Nor may it be empty, or have a second spelling."""
        for address in ("", "localhost:80", "10.0.0.2", "10.0.0.2:0", "10.0.0.2:06001", "[0::1]:80", "[::1%lo]:80"):
            self.node.ended.clear()
            self.assertRefused(hello(address=address), reasons.MALFORMED)

    def test_aProberIsAnsweredByAnyNode(self) -> None:
        """Whatever address it gives, it need not be one."""
        _, wire = self.node.accept()
        say(wire, hello(purpose=PROBE, address=""))
        self.assertEqual(wire.messages(), [Welcome(contact(1), [])])
        self.assertEqual(self.node.came, [])
        say(wire, Close(reasons.DONE, "", []))
        self.assertTrue(wire.losing)

    def test_aNodeMayProbeItself(self) -> None:
        """A seed may have to, where a peer gives the seed's address for its own."""
        _, wire = self.node.accept()
        say(wire, hello(1, purpose=PROBE))
        self.assertEqual(wire.messages(), [Welcome(contact(1), [])])

    def test_aProberMaySayNothingElse(self) -> None:
        """It has its answer."""
        link, wire = self.node.accept()
        say(wire, hello(purpose=PROBE), Ping(1))
        self.assertEqual(link.reason, reasons.MALFORMED)

    def test_aProberThatStaysIsSentAway(self) -> None:
        """Or it would keep a place for ever."""
        link, wire = self.node.accept()
        say(wire, hello(purpose=PROBE))
        self.node.memory.advance(self.node.settings.handshakeTimeout + 0.1)
        self.assertEqual(link.reason, reasons.TIMEOUT)
        self.node.memory.advance(self.node.settings.goodbyeTimeout + 0.1)
        self.assertTrue(wire.aborted)

    def test_whatANodeCallsItself(self) -> None:
        """What it advertises, else the address that the connection uses here, with the port listened on."""
        link, _ = self.node.accept()
        self.assertEqual(self.node.contactOn(link), contact(1))
        self.node.advertise = None
        self.assertEqual(self.node.contactOn(link), Contact(identity(1), ""))
        for interface, address in (("0.0.0.0", "10.0.0.1:7001"), ("10.9.9.9", "10.9.9.9:7001")):
            self.node.listening = _Port(interface, 7001)  # type: ignore[assignment]
            self.assertEqual(self.node.contactOn(link).address, address)
            self.assertEqual(self.node.port, 7001)


class _Port:
    """A listening port."""

    def __init__(self, host: str, port: int) -> None:
        self._address = IPv4Address("TCP", host, port)

    def getHost(self) -> IPv4Address:
        """Where it listens."""
        return self._address


class RoomTests(SynchronousTestCase):
    """Connections are bounded, and whoever finds no room is told that this is not death."""

    def assertTurnedAway(self, link: Link, wire: Wire, waits: bool = True) -> None:
        """Told that it is full, at once, before saying anything."""
        self.assertEqual(wire.messages(), [Close(reasons.FULL, "too many connections", [])])
        self.assertEqual((link.reason, wire.losing, wire.aborted), (reasons.FULL, not waits, False))

    def test_inAll(self) -> None:
        """The one beyond the limit is turned away; the others are not disturbed; a place that is free is given."""
        node = Node(1, maxLinks=3)
        wires = [node.accept(f"10.0.1.{number}")[1] for number in range(3)]
        for wire in wires:
            self.assertEqual(wire.take(), b"")
        self.assertTurnedAway(*node.accept("10.0.2.1"))
        say(wires[0], hello())
        self.assertIsInstance(wires[0].messages()[0], Welcome)
        self.assertEqual(node.counters["turnedAway"], 1)
        node.memory.advance(0)

    def test_aFreedPlaceIsGiven(self) -> None:
        """Whoever comes next has it."""
        node = Node(1, maxLinks=1)
        _, first = node.accept("10.0.1.1")
        _, second = node.accept("10.0.1.2")
        first.drop()
        second.drop()
        link, third = node.accept("10.0.1.3")
        say(third, hello())
        self.assertIs(link.state, State.OPEN)

    def test_perAddress(self) -> None:
        """One machine cannot take all places; another still finds one."""
        node = Node(1, maxPerHost=2)
        first, _ = (node.accept("10.0.1.1")[1] for _ in range(2))
        link, wire = node.accept("10.0.1.1")
        self.assertTurnedAway(link, wire)
        _, other = node.accept("10.0.1.2")
        self.assertEqual(other.take(), b"")
        first.drop()
        wire.drop()
        self.assertEqual(node.accept("10.0.1.1")[1].take(), b"")

    def test_perNetworkOfTheSixthVersion(self) -> None:
        """Whoever has one such address has 2^64 of them."""
        node = Node(1, maxPerHost=2)
        for number in (1, 2):
            node.accept(f"2001:db8::{number}")
        self.assertTurnedAway(*node.accept("2001:db8::3"))
        self.assertEqual(node.accept("2001:db8:0:1::1")[1].take(), b"")

    def test_whatOneSaysMeanwhileIsPassedOver(self) -> None:
        """A Hello crosses the refusal; it is no misbehaviour, and no second refusal follows."""
        node = Node(1, maxLinks=0)
        link, wire = node.accept()
        say(wire, hello())
        self.assertTurnedAway(link, wire)
        self.assertEqual((node.counters["misbehaved"], node.came), (0, []))
        say(wire, Close(reasons.FULL, "", []))
        self.assertTrue(wire.losing)

    def test_beyondTheWaitingTheyAreToldAndClosed(self) -> None:
        """However many come: each is told, none beyond C{TOLD} is waited for, none is remembered."""
        for node in (Node(1, maxLinks=5), Node(1, maxPerHost=5)):
            pairs = [node.accept() for _ in range(5 + TOLD + 50)]
            for link, wire in pairs[5 : 5 + TOLD]:
                self.assertTurnedAway(link, wire)
            for link, wire in pairs[5 + TOLD :]:
                self.assertTurnedAway(link, wire, waits=False)
                say(wire, hello())
            self.assertEqual(node.counters["turnedAway"], TOLD + 50)
            for _, wire in pairs:
                wire.drop()
            self.assertEqual((node.connections, len(node._inbound)), (0, 0))
            self.assertEqual(node.memory.getDelayedCalls(), [])

    def test_linksThatItDialsDoNotCountForTheirAddress(self) -> None:
        """The bound per address is one on callers."""
        node = Node(1, maxPerHost=1)
        for _ in range(3):
            node.dial(Address("10.0.0.2", 6001), NEIGHBOUR).addErrback(lambda failure: None)
            wire = node.connected()
        wire.drop()
        self.assertEqual(node.accept("10.0.0.2")[1].take(), b"")


class DialTests(SynchronousTestCase):
    """Connecting and introducing oneself."""

    def setUp(self) -> None:
        """Two nodes."""
        self.node = Node(1, connectTimeout=5.0, handshakeTimeout=4.0)
        self.other = Node(2)
        self.address = Address("10.0.0.2", 6001)

    def dial(self, purpose: str = NEIGHBOUR) -> Deferred[Link]:
        """Dial the other."""
        return self.node.dial(self.address, purpose)

    def assertFailed(self, dialling: Deferred[Link], reason: str) -> DialFailed:
        """The dial has failed for that reason, and left nothing behind but a connection that is closing."""
        error = self.failureResultOf(dialling, DialFailed).value
        assert isinstance(error, DialFailed)
        self.assertEqual(error.reason, reason)
        self.assertEqual(self.node._dials, {})
        return error

    def test_givesALinkThatTheOtherWelcomed(self) -> None:
        """Who it is and whom it names is known; the other was told who dials."""
        self.other.others = lambda exclude: [contact(9)]  # type: ignore[method-assign]
        got: list[Link] = []
        self.dial().addCallback(got.append)
        wires = self.node.reached(self.other)
        self.assertEqual(got, [])
        host, port, _, timeout, _ = self.node.memory.tcpClients[0]
        self.assertEqual((host, port, timeout), ("10.0.0.2", 6001, 5.0))
        join(*wires)
        (link,) = got
        self.assertEqual((link.contact, link.others), (contact(2), (contact(9),)))
        self.assertTrue(link.outgoing)
        self.assertEqual(str(link), "link to 10.0.0.2:6001")
        self.assertEqual(self.other.came, [hello(1)])

    def test_theSixthVersionIsDialledAsWell(self) -> None:
        """An address of either family is handed to the reactor as it is."""
        self.node.dial(Address("::1", 6001), NEIGHBOUR)
        self.assertEqual(self.node.memory.tcpClients[0][:2], ("::1", 6001))

    def test_aLinkThatIsEnteredAtOnceMissesNothing(self) -> None:
        """What the other sends right behind its Welcome is handled."""
        got: list[object] = []

        def welcomed(link: Link) -> None:
            self.node.enter(link, {Ping: lambda message, link, now: got.append(message)}, 100)

        self.dial().addCallback(welcomed)
        wire = self.node.connected()
        say(wire, Welcome(contact(2), []), Ping(1))
        self.assertEqual(got, [Ping(1)])

    def test_aLinkThatNobodyEntersIsClosed(self) -> None:
        """Nobody would ever end it."""
        link = None

        def welcomed(found: Link) -> None:
            nonlocal link
            link = found

        self.dial().addCallback(welcomed)
        join(*self.node.reached(self.other))
        assert isinstance(link, Link)
        self.assertEqual(link.reason, reasons.DONE)
        self.assertEqual((self.node.connections, self.other.connections), (0, 0))

    def test_whatTheOtherSaysIsTheReason(self) -> None:
        """And whom it names instead comes along."""
        dialling = self.dial()
        wire = self.node.connected()
        say(wire, Close(reasons.FULL, "sixteen are enough", [contact(8)]))
        error = self.assertFailed(dialling, reasons.FULL)
        self.assertEqual(error.others, (contact(8),))
        self.assertEqual(str(error), "full: sixteen are enough")
        self.assertTrue(wire.losing)

    def test_eachWayOfNotConnectingHasItsMeaning(self) -> None:
        """What says something of the other side, and what only of this one."""
        for error, reason in (
            (ConnectionRefusedError(), reasons.REFUSED),
            (TimeoutError(), reasons.TIMEOUT),
            (TCPTimedOutError(), reasons.TIMEOUT),
            (ConnectError(EHOSTUNREACH, "No route to host"), reasons.TIMEOUT),
            (NoRouteError(ENETUNREACH, "Network is unreachable"), reasons.LOCAL),
            (ConnectError(EADDRNOTAVAIL, "no port left"), reasons.LOCAL),
            (ConnectBindError(EMFILE, "Too many open files"), reasons.LOCAL),
        ):
            dialling = self.dial()
            self.node.failed(error)
            self.assertFailed(dialling, reason)
        self.assertEqual(self.node.connections, 0)

    def test_aConnectionThatBreaksOffIsLost(self) -> None:
        """Between connecting and the answer."""
        dialling = self.dial()
        self.node.connected().drop()
        self.assertFailed(dialling, reasons.LOST)
        self.assertEqual(self.node.memory.getDelayedCalls(), [])

    def test_whoDoesNotAnswerTimesOut(self) -> None:
        """A frozen process: its system accepts, it says nothing."""
        dialling = self.dial()
        wire = self.node.connected()
        self.node.memory.advance(3.9)
        self.assertNoResult(dialling)
        self.node.memory.advance(0.2)
        self.assertFailed(dialling, reasons.TIMEOUT)
        self.node.memory.advance(self.node.settings.goodbyeTimeout)
        self.assertTrue(wire.aborted)

    def test_anAnswerThatIsNoneFailsTheDial(self) -> None:
        """Whatever is wrong with it: nobody may wait for ever."""
        for data, reason in (
            (b"HTTP/1.1 400 Bad Request\r\n", reasons.TOO_LARGE),
            (b"\x00\x00\x00\x01\xc0", reasons.MALFORMED),
            (encode(Ping(1)), reasons.MALFORMED),
            (encode(Welcome(Contact(identity(2), "nowhere"), [])), reasons.MALFORMED),
            (encode(Welcome(Contact(identity(2), ""), [])), reasons.MALFORMED),
            (encode(Welcome(contact(2), [Contact(identity(3), "nowhere")])), reasons.MALFORMED),
            (encode(hello(2)), reasons.MALFORMED),
            (encode(Close(reasons.REFUSED, "", [])), reasons.MALFORMED),
        ):
            dialling = self.dial()
            wire = self.node.connected()
            wire.protocol.dataReceived(data)
            self.assertFailed(dialling, reason)
            self.assertIn(Close, map(type, wire.messages()))

    def test_connectingToItselfIsNoHandshake(self) -> None:
        """TCP lets a port connect to itself; the Hello that comes back is not taken for a caller's."""
        dialling = self.dial()
        wire = self.node.connected()
        wire.protocol.dataReceived(wire.take())
        self.assertFailed(dialling, reasons.MALFORMED)

    def test_aSeedThatDoesNotSayWhereItListensIsWelcome(self) -> None:
        """Its contact's address may be empty; a neighbour's may not, for others are told of it."""
        got: list[Link] = []
        self.dial(REGISTER).addCallback(got.append)
        say(self.node.connected(), Welcome(Contact(identity(2), ""), []))
        self.assertEqual(got[0].contact.address, "")

    def test_cancelledBeforeItConnects(self) -> None:
        """The attempt ends, and is forgotten."""
        dialling = self.dial()
        dialling.cancel()
        self.failureResultOf(dialling, CancelledError)
        self.assertTrue(self.node.memory.connectors[0].stoppedConnecting)
        self.assertEqual(self.node._dials, {})

    def test_aConnectionThatNobodyWaitsForIsCutOff(self) -> None:
        """Should a transport connect in spite of that."""
        wire = Wire(Link(self.node, NEIGHBOUR))
        self.assertTrue(wire.aborted)
        self.assertEqual(wire.take(), b"")

    def test_cancelledBeforeTheAnswer(self) -> None:
        """The connection is cut off, and what comes on it is passed over."""
        dialling = self.dial()
        wire = self.node.connected()
        dialling.cancel()
        self.failureResultOf(dialling, CancelledError)
        self.assertTrue(wire.aborted)
        say(wire, Welcome(contact(2), []))
        wire.drop()
        self.assertEqual((self.node.connections, self.node._dials), (0, {}))
        self.assertEqual(self.node.memory.getDelayedCalls(), [])

    def test_cancelledAfterTheAnswer(self) -> None:
        """Nothing happens: the link is whoever's asked for it."""
        dialling = self.dial()
        dialling.addCallback(lambda link: self.node.enter(link, {}, 100))
        wires = self.node.reached(self.other)
        join(*wires)
        dialling.cancel()
        self.assertEqual((wires[0].aborted, self.node.connections), (False, 1))


class CloseAllTests(SynchronousTestCase):
    """The node goes away."""

    def setUp(self) -> None:
        """A node with a caller, a link, a dial that connects and one that waits for its answer."""
        self.node = Node(1, goodbyeTimeout=2.0)
        _, self.caller = self.node.accept("10.0.0.5")
        _, self.link = self.node.accept("10.0.0.6")
        say(self.link, hello())
        self.link.take()
        self.dials = [self.node.dial(Address("10.0.0.7", 1), NEIGHBOUR) for _ in range(2)]
        self.answering = self.node.connected()
        self.answering.take()

    def test_everybodyIsToldAndItEndsWithTheLast(self) -> None:
        """Those that were being dialled are dropped."""
        closed = self.node.closeAll(reasons.LEAVING)
        for wire in (self.caller, self.link):
            self.assertEqual(wire.messages(), [Close(reasons.LEAVING, "", [])])
        self.assertTrue(self.answering.aborted)
        self.answering.drop()
        self.caller.drop()
        self.assertNoResult(closed)
        self.link.drop()
        self.successResultOf(closed)
        self.assertEqual(self.node.memory.getDelayedCalls(), [])

    def test_whoDoesNotCloseIsCutOff(self) -> None:
        """So that it is over within C{goodbyeTimeout}."""
        self.node.closeAll(reasons.LEAVING)
        self.node.memory.advance(2.1)
        self.assertTrue(self.caller.aborted and self.link.aborted)

    def test_nobodyIsTakenOrDialledAnyMore(self) -> None:
        """Or it would never end."""
        self.node.closeAll(reasons.LEAVING)
        self.assertIsNone(self.node.buildProtocol(HERE))
        self.failureResultOf(self.node.dial(Address("10.0.0.8", 1), PROBE), DialFailed)
        self.assertEqual(len(self.node.memory.tcpClients), 2)

    def test_withoutConnectionsItIsOverAtOnce(self) -> None:
        """Nothing is waited for."""
        self.successResultOf(Node(2).closeAll(reasons.LEAVING))


class BareFactoryTests(SynchronousTestCase):
    """What seeds and peers have in common, alone."""

    def test_whatBecomesOfACallerIsForOthersToSay(self) -> None:
        """The factory alone is of no use."""
        node = Node(1)
        link, _ = node.accept()
        self.assertRaises(NotImplementedError, LinkFactory.introduced, node, link, hello(), 0.0)
        self.assertEqual(LinkFactory.others(node, b""), [])
