"""
Tests for L{p2p.wire.link}: the life of one connection, and what hostile and slow ones come to.
"""

from __future__ import annotations

import tracemalloc
from socket import socketpair
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.address import Address
from p2p.test.wires import HERE, THERE, Node, Wire, contact, identity, join
from p2p.wire import reasons
from p2p.wire.codec import STRANGER_LIMIT, Decoder, encode, met
from p2p.wire.errors import LocalProtocolError, RemoteProtocolError
from p2p.wire.factory import NEIGHBOUR, DialFailed
from p2p.wire.link import AT_ONCE, Link, State
from p2p.wire.messages import VERSION, AnyMessage, Close, Hello, Message, Ping, Pong, Register, Welcome

HELLO = Hello(VERSION, "p2p", NEIGHBOUR, contact(2))


def message(number: int, size: int = 10) -> Message:
    """A broadcast."""
    return Message(identity(2), number, 1, bytes([number % 256]) * size)


class LinkTestCase(SynchronousTestCase):
    """A node that takes pings and broadcasts, and somebody who talks to it."""

    def setUp(self) -> None:
        """Collect what was handled."""
        self.node = Node(1, handshakeTimeout=5.0, goodbyeTimeout=2.0, maxBacklog=10_000)
        self.got: list[AnyMessage] = []
        self.node.handlers = {Ping: self.handle, Message: self.handle}

    def handle(self, message: AnyMessage, link: Link, now: float) -> None:
        """A handler."""
        self.assertEqual(now, self.node.memory.seconds())
        self.got.append(message)

    def opened(self, host: str = "10.0.0.2") -> tuple[Link, Wire]:
        """A caller that has been welcomed."""
        link, wire = self.node.accept(host)
        self.say(wire, HELLO)
        self.assertIsInstance(wire.messages()[0], Welcome)
        wire.writes.clear()
        return link, wire

    def say(self, wire: Wire, *messages: AnyMessage) -> None:
        """The other side sends these in one piece."""
        wire.protocol.dataReceived(b"".join(map(encode, messages)))

    def assertNothingLeft(self) -> None:
        """No timer and no connection remains."""
        self.assertEqual(self.node.memory.getDelayedCalls(), [])
        self.assertEqual(self.node.connections, 0)


class LifeTests(LinkTestCase):
    """Connection, handshake, messages, end."""

    def test_smallWritesAreNotHeldBack(self) -> None:
        """A latency of milliseconds needs TCP_NODELAY."""
        _, wire = self.node.accept()
        self.assertTrue(wire.noDelay)

    def test_nothingIsSaidBeforeTheCallerSpeaks(self) -> None:
        """A port scanner learns nothing."""
        link, wire = self.node.accept()
        self.assertEqual(wire.take(), b"")
        self.assertIs(link.state, State.SHAKING)

    def test_helloIsAnsweredWithWelcome(self) -> None:
        """Who this is; and from then on the link is open."""
        link, wire = self.node.accept()
        self.say(wire, HELLO)
        (answer,) = wire.messages()
        self.assertEqual(answer, Welcome(contact(1), []))
        self.assertIs(link.state, State.OPEN)
        self.assertEqual((link.contact, link.purpose), (contact(2), NEIGHBOUR))

    def test_messagesReachTheirHandlers(self) -> None:
        """Whole, byte by byte, and with the handshake in the same piece."""
        _, wire = self.node.accept()
        self.say(wire, HELLO, Ping(1), message(1))
        self.assertEqual(self.got, [Ping(1), message(1)])
        for byte in encode(Ping(2)):
            wire.protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.got[2:], [Ping(2)])

    def test_whatCameOfAFrameIsForgottenWithTheLink(self) -> None:
        """It may be much, and the link be remembered for long."""
        link, wire = self.opened()
        wire.protocol.dataReceived(encode(message(1, 300))[:200])
        self.assertEqual(link.arriving, 200)
        wire.drop()
        self.assertEqual(link.arriving, 0)

    @given(st.lists(st.integers(1, 400), max_size=20))
    def test_piecesDoNotMatter(self, sizes: list[int]) -> None:
        """Any way of cutting a conversation gives the same messages."""
        self.setUp()
        _, wire = self.node.accept()
        sent: list[AnyMessage] = [Ping(1), message(1, 300), Ping(2), message(2, 0)]
        stream = encode(HELLO) + b"".join(map(encode, sent))
        for size in [*sizes, len(stream)]:
            wire.protocol.dataReceived(stream[:size])
            stream = stream[size:]
        self.assertEqual(self.got, sent)

    def test_whatWasMetIsAFrameOnlyWhereOneBegins(self) -> None:
        """The same bytes in the middle of another message are that message's."""
        _, wire = self.opened()
        ping = encode(Ping(7))
        wire.protocol.dataReceived(ping)
        self.assertIsNotNone(met(ping))
        whole = encode(Message(identity(2), 1, 1, b"before" + ping + b"after"))
        start = whole.index(ping)
        for piece in (whole[:start], ping, whole[start + len(ping) :], ping):
            wire.protocol.dataReceived(piece)
        self.assertEqual(self.got, [Ping(7), Message(identity(2), 1, 1, b"before" + ping + b"after"), Ping(7)])

    def test_whatComesOverSeveralLinksIsOneObject(self) -> None:
        """So it is kept once, however many nodes of one process keep it."""
        for number in range(3):
            _, wire = self.opened(f"10.0.0.{number + 2}")
            self.say(wire, Message(identity(2), 77, 3, b"the same"))
        self.assertEqual(len({id(each) for each in self.got}), 1)
        self.assertEqual(len(self.got), 3)

    def test_allThatItKeepsHasAFixedPlace(self) -> None:
        """A simulation may have a million links: none has a dictionary of its own."""
        link, wire = self.opened()
        wire.block()
        link.send(Ping(1))
        self.say(wire, Ping(2))
        link.close(reasons.LEAVING)
        self.assertEqual(link.__dict__, {})

    def test_whatWasMetIsASignOfLife(self) -> None:
        """As anything is."""
        link, wire = self.opened()
        self.say(wire, Ping(7))
        link.heard = False
        self.say(wire, Ping(7))
        self.assertTrue(link.heard)

    def test_somethingThatCameIsASignOfLife(self) -> None:
        """Even half a message."""
        link, wire = self.opened()
        link.heard = False
        wire.protocol.dataReceived(b"\x00")
        self.assertTrue(link.heard)

    def test_openingTwiceIsOurOwnBug(self) -> None:
        """And told apart from anything the other side may do."""
        link, _ = self.opened()
        self.assertRaises(LocalProtocolError, link.opened, {}, 1)

    def test_aReasonThatNoneCouldReadIsOurOwnBug(self) -> None:
        """Else the other side would call it one of ours, and nobody here would know."""
        link, _ = self.opened()
        reason: Any
        for reason in (True, "", "x" * 33, "\u00fc", "two\nlines", None):
            said = f"a reason to end a link is 1 to 32 printable ASCII characters, not {reason!r}"
            for say in (link.close, RemoteProtocolError):
                error = self.assertRaises(LocalProtocolError, say, reason, "")
                self.assertEqual(str(error), said)
        self.assertEqual(link.state, State.OPEN)

    def test_isAProducer(self) -> None:
        """The transport calls it as one."""
        link, _ = self.node.accept()
        verifyObject(IPushProducer, link)

    def test_callsItselfByItsAddress(self) -> None:
        """Which is how logs name it."""
        link, _ = self.node.accept()
        self.assertEqual(str(link), "connection from 10.0.0.2:40000")

    def test_anErrorInAHandlerEndsTheLinkWithAReason(self) -> None:
        """
        One line in the log, with the message's type; what others were to be sent is sent.

        Ended without a word, the other side would be suspected of having died.
        """
        _, other = self.opened("10.0.0.3")

        def broken(message: Ping, link: Link, now: float) -> None:
            other.protocol.send(Pong(message.number))  # type: ignore[attr-defined]
            raise RuntimeError("a bug")

        self.node.handlers = {Ping: broken}
        for pieces in ([Ping(7)], [Ping(7), Ping(8)]):
            link, wire = self.opened()
            with capturedLogs() as logs:
                self.say(wire, *pieces)
                self.say(wire, Ping(9))
            self.assertEqual([event["type"] for event in logs], ["Ping"])
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
            self.assertEqual(other.messages(), [Pong(7)])
            (close,) = wire.messages()
            assert isinstance(close, Close)
            self.assertEqual((close.reason, link.reason, link.byOther), (reasons.FAULT, reasons.FAULT, False))
            self.assertEqual(self.node.turn.depth, 0)


class TimeTests(LinkTestCase):
    """Nobody may keep a connection without saying who he is."""

    def test_silenceAfterConnectingEndsIt(self) -> None:
        """Told why, and cut off if that is not answered either."""
        link, wire = self.node.accept()
        self.node.memory.advance(4.9)
        self.assertEqual(wire.take(), b"")
        self.node.memory.advance(0.2)
        self.assertEqual(wire.messages(), [Close(reasons.TIMEOUT, "no word in time", [])])
        self.assertEqual(link.reason, reasons.TIMEOUT)
        self.node.memory.advance(1.9)
        self.assertFalse(wire.aborted)
        self.node.memory.advance(0.2)
        self.assertTrue(wire.aborted)
        wire.drop()
        self.assertNothingLeft()

    def test_aTrickleDoesNotHelp(self) -> None:
        """The time is for the whole handshake, not for a byte of it."""
        _, wire = self.node.accept()
        for byte in encode(HELLO)[:-1]:
            wire.protocol.dataReceived(bytes([byte]))
            self.node.memory.advance(0.3)
        self.assertTrue(wire.aborted)

    def test_anOpenLinkLasts(self) -> None:
        """Silence on it is the detector's business."""
        link, _ = self.opened()
        self.node.memory.advance(1e6)
        self.assertIs(link.state, State.OPEN)
        self.assertEqual(self.node.memory.getDelayedCalls(), [])

    def test_anOpenLinkMayBeGivenATerm(self) -> None:
        """For callers who are let in to do one thing; the term may be lifted again."""
        link, _ = self.opened()
        link.endAfter(3.0)
        self.node.memory.advance(2.9)
        self.assertIs(link.state, State.OPEN)
        link.endAfter(None)
        self.node.memory.advance(100)
        self.assertIs(link.state, State.OPEN)
        link.endAfter(3.0)
        self.node.memory.advance(3.1)
        self.assertEqual(link.reason, reasons.TIMEOUT)

    def test_aTermIsNothingToALinkThatIsClosing(self) -> None:
        """It must not take the place of the time that closing may take."""
        link, wire = self.opened()
        link.close(reasons.DONE)
        link.endAfter(None)
        self.node.memory.advance(2.1)
        self.assertTrue(wire.aborted)


class MisbehaviourTests(LinkTestCase):
    """The connection ends with a reason, told to the other side, one log line, nothing else disturbed."""

    def assertEnded(self, link: Link, wire: Wire, data: bytes, reason: str) -> None:
        """These bytes end the link so."""
        bystander, other = self.opened("10.0.0.9")
        got = len(self.got)
        with capturedLogs() as logs:
            wire.protocol.dataReceived(data)
            wire.protocol.dataReceived(encode(Ping(99)) + data)
            self.node.memory.advance(0.1)
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.warn])
        self.assertIn("10.0.0.2:40000", str(logs[0]["link"]))
        self.assertEqual(logs[0]["reason"], reason)
        (told,) = wire.messages()
        assert isinstance(told, Close)
        self.assertEqual((told.reason, told.detail), (reason, link.detail))
        self.assertEqual(link.reason, reason)
        self.assertEqual(self.got[got:], [])
        self.assertEqual(self.node.counters["misbehaved"], 1)
        # Whoever does not close then, is closed.
        self.node.memory.advance(2.0)
        self.assertTrue(wire.aborted)
        self.assertIs(bystander.state, State.OPEN)
        self.say(other, Ping(5))
        self.assertEqual(self.got[-1], Ping(5))
        self.assertEqual(other.messages(), [])

    def test_aFrameTooLargeForAStranger(self) -> None:
        """Refused by its length alone."""
        link, wire = self.node.accept()
        self.assertEnded(link, wire, (STRANGER_LIMIT + 1).to_bytes(4, "big"), reasons.TOO_LARGE)

    def test_whatIsDialledAndIsNoNodeIsToldToTheCallerOnly(self) -> None:
        """Who dials it again and again need not have a line in the log each time."""
        dialled = self.node.dial(Address("10.0.0.9", 6001), NEIGHBOUR)
        with capturedLogs() as logs:
            self.node.connected().protocol.dataReceived(b"SSH-2.0-OpenSSH_9.6\r\n")
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.debug])
        self.assertEqual(self.failureResultOf(dialled, DialFailed).value.reason, reasons.TOO_LARGE)
        self.assertEqual(self.node.counters["misbehaved"], 1)

    def test_whatIsTooLargeForAStrangerIsNotForANeighbour(self) -> None:
        """The limit is raised by the welcome, for the very next message."""
        link, wire = self.node.accept()
        large = message(1, STRANGER_LIMIT)
        self.say(wire, HELLO, large)
        self.assertEqual(self.got, [large])
        self.assertIs(link.state, State.OPEN)

    def test_whatComesAfterTheFaultIsNotCollected(self) -> None:
        """Until the connection is closed the other side may send; nothing of it is kept, and it is no sign of life."""
        link, wire = self.opened()
        self.say(wire, HELLO)
        link.heard = False
        before = len(link._decoder._kept)
        wire.protocol.dataReceived(b"\x00\x01\x00\x00" + bytes(1000))
        self.assertEqual((len(link._decoder._kept), link.heard), (before, False))

    def test_aFrameTooLargeForAnyone(self) -> None:
        """The limit that came with the welcome."""
        link, wire = self.opened()
        self.assertEnded(link, wire, (self.node.limit + 1).to_bytes(4, "big"), reasons.TOO_LARGE)

    def test_bytesThatAreNoMessage(self) -> None:
        """Before and after the handshake."""
        link, wire = self.opened()
        self.assertEnded(link, wire, b"\x00\x00\x00\x01\xc0", reasons.MALFORMED)

    def test_anotherProtocolsBytes(self) -> None:
        """What a browser says is a frame of a billion bytes."""
        link, wire = self.node.accept()
        self.assertEnded(link, wire, b"GET / HTTP/1.1\r\n\r\n", reasons.TOO_LARGE)

    def test_anUnknownMessage(self) -> None:
        """A number that is in no catalogue."""
        link, wire = self.opened()
        self.assertEnded(link, wire, b"\x00\x00\x00\x02\x91\x63", reasons.MALFORMED)

    def test_aMessageBeforeTheHandshake(self) -> None:
        """Nothing but a Hello may come first."""
        messages: list[AnyMessage] = [message(1), Ping(1), Register(contact(2), 1)]
        for number, early in enumerate(messages):
            self.node.counters.clear()
            link, wire = self.node.accept()
            # Somebody has had it in the right place.
            self.assertEqual(list(Decoder().feed(encode(early))), [early])
            self.assertEnded(link, wire, encode(early), reasons.MALFORMED)
            self.assertEqual(len(self.node.ended), number + 1)

    def test_aMessageThatIsForOthers(self) -> None:
        """A neighbour does not register."""
        link, wire = self.opened()
        self.assertEnded(link, wire, encode(Register(contact(2), 1)), reasons.MALFORMED)

    def test_aSecondHandshake(self) -> None:
        """Who somebody is, is said once."""
        link, wire = self.opened()
        self.assertEnded(link, wire, encode(HELLO), reasons.MALFORMED)
        self.assertEqual(len(self.node.came), 2)

    def test_aWelcomeNobodyAskedFor(self) -> None:
        """It answers a Hello, and this side sent none."""
        link, wire = self.node.accept()
        self.assertEnded(link, wire, encode(Welcome(contact(2), [])), reasons.MALFORMED)

    def test_whatAHandlerFindsWrong(self) -> None:
        """Some faults only the strategies can see."""

        def strict(message: Ping, link: Link, now: float) -> None:
            raise RemoteProtocolError(reasons.RATE, "too many of these")

        self.node.handlers = {Ping: strict}
        link, wire = self.opened()
        self.node.handlers = {Ping: self.handle}
        self.assertEnded(link, wire, encode(Ping(1)), reasons.RATE)

    def test_aReasonThatNobodyCanGive(self) -> None:
        """C{lost} is what this side concludes from a broken connection; a Close that says so lies."""
        for word in reasons.UNSPOKEN:
            self.node.counters.clear()
            link, wire = self.opened()
            self.assertEnded(link, wire, encode(Close(word, "", [])), reasons.MALFORMED)

    def test_messagesBeforeTheFaultCount(self) -> None:
        """Those behind it, in the same piece, do not."""
        _, wire = self.opened()
        self.say(wire, Ping(1), HELLO, Ping(2))
        self.assertEqual(self.got, [Ping(1)])

    def test_nothingIsSentAfterTheReason(self) -> None:
        """Close is the last message in its direction."""
        link, wire = self.opened()
        self.say(wire, HELLO)
        link.send(Pong(1))
        self.assertEqual([type(m) for m in wire.messages()], [Close])


class CloseTests(LinkTestCase):
    """Whoever says Close keeps reading until the other side has closed."""

    def pair(self, **settings: Any) -> tuple[Node, Link, Wire, Wire]:
        """A node with a link to this test's node, both open."""
        other = Node(2, **settings)
        got: list[Link] = []

        def welcomed(link: Link) -> None:
            got.append(link)
            other.enter(link, self.node.handlers, 2**20)

        other.dial(Address("10.0.0.1", 6001), NEIGHBOUR).addCallback(welcomed)
        theirs, mine = other.reached(self.node)
        join(theirs, mine)
        return other, got[0], theirs, mine

    def test_bothEndsEnd(self) -> None:
        """One says why, the other closes; both know the reason and who said it."""
        _, link, theirs, mine = self.pair()
        link.close(reasons.REWIRED, "for a better one", [contact(7)])
        join(theirs, mine)
        self.assertTrue(theirs.lost and mine.lost)
        end = self.node.ended[0]
        self.assertEqual((end.reason, end.detail, end.byOther), (reasons.REWIRED, "for a better one", True))
        self.assertEqual(end.others, (contact(7),))
        self.assertEqual((link.reason, link.byOther), (reasons.REWIRED, False))
        self.assertFalse(theirs.aborted or mine.aborted)
        self.assertNothingLeft()

    def test_whatCrossesTheCloseIsNotLost(self) -> None:
        """A message that was under way when the other side said Close is handled there."""
        _, link, theirs, mine = self.pair()
        self.node.ended.clear()
        mine.protocol.send(message(1))  # type: ignore[attr-defined]
        link.close(reasons.REWIRED)
        self.assertEqual(self.got, [])
        join(theirs, mine)
        self.assertEqual(self.got, [message(1)])

    def test_whatWasKeptIsSentBeforeClosing(self) -> None:
        """A side that is told Close sends what is left, though its transport was full."""
        _, link, theirs, mine = self.pair()
        mine.block()
        for number in range(1, 4):
            mine.protocol.send(message(number, 100))  # type: ignore[attr-defined]
        link.close(reasons.REWIRED)
        join(theirs, mine)
        self.assertFalse(mine.lost)
        mine.blocked = False
        join(theirs, mine)
        self.assertEqual(self.got, [message(number, 100) for number in range(1, 4)])
        self.assertTrue(theirs.lost and mine.lost)
        self.assertNothingLeft()

    def test_whoNeverTakesItIsCutOff(self) -> None:
        """Within C{goodbyeTimeout}, whichever side said Close."""
        for sayer in (0, 1):
            _, link, theirs, mine = self.pair(goodbyeTimeout=2.0)
            mine.block()
            mine.protocol.send(message(1))  # type: ignore[attr-defined]
            if sayer:
                mine.protocol.close(reasons.REWIRED)  # type: ignore[attr-defined]
            else:
                link.close(reasons.REWIRED)
            join(theirs, mine)
            self.assertFalse(mine.aborted)
            self.node.memory.advance(1.9)
            self.assertFalse(mine.aborted)
            self.node.memory.advance(0.2)
            self.assertTrue(mine.aborted)

    def test_aGoodbyeThatIsNotAnsweredIsToldOf(self) -> None:
        """
        Silence until its time is up, or a reset, in answer to a Close; not a clean end, nor what follows the other
        side's own Close, nor slowness: whoever still says something lives, and our Close may wait behind other data.
        """
        bye, word = encode(Close(reasons.LEAVING, "", [])), encode(message(1))
        for closes, answer, end, told in (
            (True, b"", ConnectionAborted(), True),
            (True, b"", ConnectionLost(), True),
            (True, word, ConnectionLost(), True),
            (True, word, ConnectionAborted(), False),
            (True, word[:5], ConnectionAborted(), False),
            (True, b"", ConnectionDone(), False),
            (True, bye, ConnectionLost(), False),
            (False, bye, ConnectionLost(), False),
            (False, b"", ConnectionLost(), False),
        ):
            link, _ = self.opened()
            if closes:
                link.close(reasons.REWIRED)
            if answer:
                link.dataReceived(answer)
            link.connectionLost(Failure(end))
            self.assertEqual(self.node.forsaken, [link] if told else [], (closes, answer, end))
            self.node.forsaken.clear()

    def test_bothMaySayItAtOnce(self) -> None:
        """Each takes the other's for the answer to its own, and keeps its own reason."""
        _, link, theirs, mine = self.pair()
        link.close(reasons.REWIRED)
        mine.protocol.close(reasons.LEAVING)  # type: ignore[attr-defined]
        join(theirs, mine)
        self.assertTrue(theirs.lost and mine.lost)
        self.assertEqual((link.reason, self.node.ended[0].reason), (reasons.REWIRED, reasons.LEAVING))
        self.assertEqual(len(self.node.ended), 1)
        self.assertNothingLeft()

    def test_whatFollowsACloseIsPassedOver(self) -> None:
        """It is the last message: in the same piece or later, nothing behind it is handled."""
        _, wire = self.opened()
        self.say(wire, Ping(1), Close(reasons.DONE, "", []), Ping(2), HELLO)
        self.say(wire, Ping(3))
        self.assertEqual(self.got, [Ping(1)])
        self.assertTrue(wire.losing)
        self.assertEqual(wire.messages(), [])
        self.assertEqual(self.node.counters["misbehaved"], 0)

    def test_closingTwiceIsClosingOnce(self) -> None:
        """The first reason counts, and is said once."""
        link, wire = self.opened()
        link.close(reasons.REWIRED)
        link.close(reasons.LEAVING)
        self.assertEqual(wire.messages(), [Close(reasons.REWIRED, "", [])])
        self.assertEqual(link.reason, reasons.REWIRED)
        self.assertEqual(len(self.node.ended), 1)

    def test_aDetailIsOneShortLine(self) -> None:
        """Whatever text an error of this side's own has."""
        link, wire = self.opened()
        link.close(reasons.DONE, "one\ntwo" + "x" * 1000)
        (told,) = wire.messages()
        assert isinstance(told, Close)
        self.assertTrue(told.detail.startswith("one two"))
        self.assertEqual(len(told.detail), 256)

    def test_aBrokenConnectionIsLost(self) -> None:
        """Without a Close, whether it ended cleanly or not: that is evidence."""
        for clean in (True, False):
            link, wire = self.opened()
            wire.drop(clean)
            self.assertEqual((link.reason, link.byOther, link.state), (reasons.LOST, False, State.CLOSED))
            self.assertEqual(link.detail == "closed without a goodbye", clean, link.detail)
            self.assertNotIn("cleanly", link.detail)
            self.assertIs(self.node.ended[-1], link)
        self.assertEqual(len(self.node.ended), 2)
        self.assertNothingLeft()

    def test_aBrokenConnectionAfterCloseIsNot(self) -> None:
        """It ended for the reason that was given first."""
        link, wire = self.opened()
        link.close(reasons.REWIRED)
        wire.drop()
        self.assertEqual(link.reason, reasons.REWIRED)
        self.assertEqual(len(self.node.ended), 1)
        self.assertNothingLeft()

    def test_abortingEndsAtOnce(self) -> None:
        """Nothing that comes or is sent afterwards matters."""
        link, wire = self.opened()

        def aborting(message: Ping, link: Link, now: float) -> None:
            self.got.append(message)
            link.abort(reasons.SILENT, "no answer")

        link._handlers = {Ping: aborting}
        self.say(wire, Ping(1), Ping(2))
        self.assertEqual(self.got, [Ping(1)])
        link.send(Pong(1))
        self.assertTrue(wire.aborted)
        self.assertEqual(wire.take(), b"")
        self.assertEqual(link.reason, reasons.SILENT)
        wire.drop()
        link.abort(reasons.DONE)
        self.assertEqual(len(self.node.ended), 1)
        self.assertNothingLeft()

    def test_anErrorInWhoeverIsToldLeavesNoTrace(self) -> None:
        """A strategy that raises when a link ends must not make the node count it for ever."""

        def broken(link: Link) -> None:
            raise RuntimeError("a strategy's bug")

        _, wire = self.opened()
        self.node.onEnd = broken
        self.assertRaises(RuntimeError, wire.drop)
        self.assertNothingLeft()
        self.assertEqual(self.node.turn.depth, 0)


class TurnTests(LinkTestCase):
    """What is sent while bytes are being handled is written once per link."""

    def setUp(self) -> None:
        """A node that sends each message on to all its links."""
        super().setUp()
        self.links: list[Link] = []
        self.node.handlers = {Message: self.relay}

    def relay(self, message: Message, link: Link, now: float) -> None:
        """To all but the one that it came on."""
        frame = encode(message)
        for other in self.links:
            if other is not link:
                other.sendFrame(frame)

    def three(self) -> list[Wire]:
        """Three links."""
        pairs = [self.opened(f"10.0.0.{number}") for number in (2, 3, 4)]
        self.links = [link for link, _ in pairs]
        return [wire for _, wire in pairs]

    def test_onePieceIsOneWritePerLink(self) -> None:
        """Two hundred messages in one piece are one write to each neighbour."""
        first, second, third = self.three()
        sent = [message(number) for number in range(1, 201)]
        self.say(first, *sent)
        self.assertEqual((len(first.writes), len(second.writes), len(third.writes)), (0, 1, 1))
        self.assertEqual(second.messages(), sent)
        self.assertEqual(third.messages(), sent)

    def test_eachPieceIsWrittenWhenItIsHandled(self) -> None:
        """Nothing waits for a timer or another piece."""
        first, second, _ = self.three()
        for number in range(1, 4):
            self.say(first, message(number))
            self.assertEqual(len(second.writes), number)

    def test_outsideATurnASendIsAWrite(self) -> None:
        """At once."""
        _, second, _ = self.three()
        self.links[1].send(Ping(1))
        self.assertEqual(second.messages(), [Ping(1)])

    def test_aTurnWithinATurnBelongsToIt(self) -> None:
        """What is written, is written at the end of the outermost."""
        _, second, _ = self.three()
        with self.node.turn:
            with self.node.turn:
                self.links[1].send(Ping(1))
            self.assertEqual(second.writes, [])
            self.links[1].send(Ping(2))
        self.assertEqual(len(second.writes), 1)
        self.assertEqual(second.messages(), [Ping(1), Ping(2)])

    def test_anErrorEndsATurnLikeAnythingElse(self) -> None:
        """What was sent before is written."""
        _, second, _ = self.three()
        with self.assertRaises(RuntimeError), self.node.turn:
            self.links[1].send(Ping(1))
            raise RuntimeError
        self.assertEqual(second.messages(), [Ping(1)])

    def test_aCloseWithinATurnComesBehindWhatWasSent(self) -> None:
        """In order, in one write."""
        _, second, _ = self.three()
        with self.node.turn:
            self.links[1].send(Ping(1))
            self.links[1].close(reasons.DONE)
            self.links[1].send(Ping(2))
        self.assertEqual(second.messages(), [Ping(1), Close(reasons.DONE, "", [])])
        self.assertEqual(len(second.writes), 1)

    def test_aLinkThatFailsDoesNotKeepTheOthersFromBeingWritten(self) -> None:
        """An error while one is written is logged; the rest are written, now and later."""
        _, second, third = self.three()

        def broken(link: Link) -> None:
            raise RuntimeError("a strategy's bug")

        self.node.onEnd = broken
        second.block()
        with self.node.turn:
            self.links[1].send(message(2, 10_001))
            self.links[2].send(Ping(1))
        self.assertTrue(second.aborted)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(third.messages(), [Ping(1)])
        self.links[2].send(Ping(2))
        self.assertEqual(third.messages(), [Ping(2)])

    def test_whoIsCutOffInTheMidstOfWritingEndsWithinTheTurn(self) -> None:
        """What is sent to others in answer is written when everybody has been told, not in the midst of that."""
        _, second, third = self.three()
        told: list[str] = []

        def ended(link: Link) -> None:
            told.append(f"{link.where} begins")
            if link is self.links[1]:
                self.links[2].send(message(3, 10_001))
            told.append(f"{link.where} ends at depth {self.node.turn.depth > 0}")

        self.node.onEnd = ended
        second.block()
        third.block()
        self.links[1].send(message(2, 10_001))
        self.assertEqual(
            told,
            [
                "10.0.0.3:40000 begins", "10.0.0.3:40000 ends at depth True",
                "10.0.0.4:40000 begins", "10.0.0.4:40000 ends at depth True",
            ],
        )  # fmt: skip
        self.assertEqual(self.node.turn.depth, 0)

    def test_whoseTimeIsOverEndsWithinATurn(self) -> None:
        """Whatever brings the end of a link about."""
        depths: list[int] = []
        self.node.onEnd = lambda link: depths.append(self.node.turn.depth)
        self.node.accept()
        self.node.memory.advance(5.1)
        self.node.dial(Address("10.0.0.9", 6001), NEIGHBOUR).addErrback(
            lambda failure: depths.append(self.node.turn.depth)
        )
        self.node.failed(ConnectionRefusedError())
        self.assertEqual(depths, [1, 1])


class SocketWire(Wire):
    """
    An end whose socket may be written to without waiting for the reactor.

    @ivar room: bytes that it takes at once.
    @ivar atOnce: what it took so.
    @ivar broken: the socket has found out that the connection is lost; its owner has not yet.
    @ivar dataBuffer: what was written to the transport and not yet to the socket.
    """

    dataBuffer = b""
    _tempDataLen = 0

    room = 10**9
    atOnce = 0
    broken = False

    def makeRoom(self, room: int) -> None:
        """From now on it takes that many bytes at once."""
        self.room = room
        self.atOnce = 0

    def write(self, data: bytes) -> None:
        """Keep it until the socket takes it."""
        self.dataBuffer += data
        super().write(data)

    def unblock(self) -> None:
        """All is written."""
        self.dataBuffer = b""
        super().unblock()

    def writeSomeData(self, data: bytes) -> int | Exception:
        """Take what there is room for."""
        if self.broken:
            return ConnectionLost()
        assert not self.dataBuffer
        taken = data[: self.room]
        self._unsent.append(taken)
        self.room -= len(taken)
        self.atOnce += len(taken)
        return len(taken)


class SecureWire(SocketWire):
    """An end that has begun to speak TLS."""

    TLS = True


class WrappingWire(Wire):
    """A transport that runs over another, and passes on what it does not know itself, as Twisted's do."""

    def __init__(self, protocol: Protocol) -> None:
        self.inner = SocketWire(Protocol())
        super().__init__(protocol)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class DirectWriteTests(LinkTestCase):
    """What a socket takes at once does not wait for the reactor; what it does not take keeps its place."""

    def setUp(self) -> None:
        """A link over a socket."""
        super().setUp()
        self.link = Link(self.node)
        self.wire = SocketWire(self.link)
        self.say(self.wire, HELLO)
        self.wire.take()
        self.wire.writes.clear()
        self.wire.makeRoom(10**9)

    def test_theSocketTakesEverything(self) -> None:
        """Then the transport is not troubled."""
        for number in range(3):
            self.link.send(Ping(number))
        self.assertEqual(self.wire.writes, [])
        self.assertEqual(self.wire.messages(), [Ping(0), Ping(1), Ping(2)])

    def test_theRestIsTheTransports(self) -> None:
        """What does not go at once, and all that follows, goes through the transport, in order."""
        self.wire.makeRoom(5)
        self.link.send(Ping(1))
        self.wire.makeRoom(10**9)
        self.link.send(Ping(2))
        self.assertEqual(self.wire.atOnce, 0)
        self.assertEqual(b"".join(self.wire.writes), (encode(Ping(1)) + encode(Ping(2)))[5:])
        self.assertEqual(self.wire.messages(), [Ping(1), Ping(2)])

    def test_anEmptyTransportEndsThat(self) -> None:
        """Once the transport was full and is empty again, the socket is tried again, first with what was kept."""
        self.wire.makeRoom(0)
        self.link.send(Ping(1))
        self.wire.block()
        self.link.send(Ping(2))
        self.wire.makeRoom(10**9)
        self.wire.unblock()
        self.link.send(Ping(3))
        self.assertEqual(self.wire.atOnce, len(encode(Ping(2))) + len(encode(Ping(3))))
        self.assertEqual(self.wire.messages(), [Ping(1), Ping(2), Ping(3)])

    def test_aBrokenConnectionIsTheTransportsToFind(self) -> None:
        """An error of the socket is not this link's: the transport meets it too, and says so in the usual way."""
        self.wire.broken = True
        self.link.send(Ping(1))
        self.assertEqual(self.wire.writes, [encode(Ping(1))])
        self.assertEqual(self.link.reason, "")
        self.wire.drop()
        self.assertEqual(self.link.reason, reasons.LOST)

    def test_aCloseDoesNotOvertakeWhatWaits(self) -> None:
        """The other side closes while the transport is full: what was kept goes behind what that still has."""
        self.wire.makeRoom(3)
        self.link.send(message(1))
        self.wire.block()
        self.link.send(message(2))
        self.wire.makeRoom(10**9)
        self.say(self.wire, Close(reasons.REWIRED, "", []))
        self.assertEqual(self.wire.atOnce, 0)
        self.assertEqual(self.wire.messages(), [message(1), message(2)])
        self.assertTrue(self.wire.losing)

    def test_aSocketUnderSomethingElseIsLeftAlone(self) -> None:
        """What goes into it under TLS, say, is not what is written; however the transport offers it."""
        secure, wrapping = SecureWire(Link(self.node)), WrappingWire(Link(self.node))
        for wire in (secure, wrapping):
            self.say(wire, HELLO)
            self.assertEqual(len(wire.writes), 1)
            self.assertIsInstance(wire.messages()[0], Welcome)
        self.assertEqual((secure.atOnce, wrapping.inner.atOnce), (0, 0))


class TwistedTransport(Connection):
    """Twisted's own TCP transport, on one end of a pair of sockets."""

    connected = 1

    def getPeer(self) -> IPv4Address:
        """The other end."""
        return THERE

    def getHost(self) -> IPv4Address:
        """This end."""
        return HERE

    def setTcpNoDelay(self, enabled: bool) -> None:
        """That is no TCP socket."""


class TwistedTransportTests(LinkTestCase):
    """What the link takes for granted of Twisted's TCP transport."""

    def setUp(self) -> None:
        """A link over it; the test is the reactor."""
        super().setUp()
        self.node = Node(1, maxBacklog=2**24)
        ours, self.theirs = socketpair()
        self.addCleanup(self.theirs.close)
        self.addCleanup(ours.close)
        ours.setblocking(False)
        self.theirs.setblocking(False)
        self.link = Link(self.node)
        self.transport = TwistedTransport(ours, self.link, self.node.memory)
        self.link.makeConnection(self.transport)
        self.link.opened({}, 2**20)

    def read(self) -> bytes:
        """What arrives until nothing is under way any more."""
        came = b""
        while True:
            try:
                came += self.theirs.recv(2**16)
            except BlockingIOError:
                if self.transport not in self.node.memory.writers:
                    return came
                self.transport.doWrite()

    def test_whatTheSocketTakesIsThereAtOnce(self) -> None:
        """Without a round of the reactor."""
        self.link.send(Ping(1))
        self.assertEqual(self.theirs.recv(100), encode(Ping(1)))
        self.assertNotIn(self.transport, self.node.memory.writers)

    def test_whatItDoesNotTakeKeepsItsPlaceAndAfterThatItIsWrittenAtOnceAgain(self) -> None:
        """Whether the transport was full or not, everything arrives in order."""
        for size in (2**10, 2**19):
            frames = [encode(message(number, size)) for number in range(1, 2**20 // size + 2)]
            sent = b""
            for _ in range(10**4):
                if self.transport not in self.node.memory.writers:
                    self.link.sendFrame(frames[0])
                    sent += frames[0]
            for frame in frames:
                self.link.sendFrame(frame)
                sent += frame
            self.assertTrue(self.transport.dataBuffer or self.transport._tempDataLen)
            self.assertEqual(self.read(), sent)
            self.assertEqual((self.link.backlog, self.link.pausedSince), (0, None))
            self.link.send(Ping(1))
            self.assertEqual(self.theirs.recv(100), encode(Ping(1)))


class SlowReaderTests(LinkTestCase):
    """A slow reader is waited for, up to a bound."""

    def test_aFullTransportIsWrittenNothing(self) -> None:
        """What is sent meanwhile is kept, in its order, and written in one go when there is room."""
        link, wire = self.opened()
        wire.block()
        wire.writes.clear()
        for number in range(1, 10):
            link.send(Ping(number))
        self.assertEqual(wire.writes, [])
        self.assertEqual(link.backlog, 9 * len(encode(Ping(1))))
        wire.unblock()
        self.assertEqual(len(wire.writes), 1)
        self.assertEqual(wire.messages(), [Ping(number) for number in range(1, 10)])
        self.assertEqual(link.backlog, 0)
        link.send(Ping(10))
        self.assertEqual(wire.messages(), [Ping(10)])

    def test_atTheBoundItIsKeptAndAboveItCutOff(self) -> None:
        """Exactly C{maxBacklog} bytes may wait; with one more the link is aborted as slow, in one log line."""
        link, wire = self.opened()
        _, other = self.opened("10.0.0.3")
        wire.block()
        size = 1000 - len(encode(message(1, 0)))
        frame = encode(message(1, size - 1))
        self.assertEqual(len(frame), 1000)
        for _ in range(10):
            link.sendFrame(frame)
        self.assertEqual((link.backlog, wire.aborted), (10_000, False))
        with capturedLogs() as logs:
            link.sendFrame(b"x")
        self.assertTrue(wire.aborted)
        self.assertEqual(link.reason, reasons.SLOW)
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.warn])
        self.say(other, Ping(1))
        self.assertEqual(self.got, [Ping(1)])
        wire.drop()
        self.assertEqual((link.backlog, self.node.backlog), (0, 0))

    def test_aReaderThatCatchesUpIsNotCutOff(self) -> None:
        """Only what waits counts, not what was ever sent."""
        link, wire = self.opened()
        for _ in range(20):
            wire.block()
            for _ in range(9):
                link.send(message(1, 900))
            wire.unblock()
            wire.take()
        self.assertIs(link.state, State.OPEN)

    def questions(self, count: int, size: int, blocked: bool) -> Wire:
        """
        One piece full of questions, each with an answer of so many bytes and a few more.

        @param blocked: who asks does not read the answers.
        """

        def answer(ping: Ping, link: Link, now: float) -> None:
            self.got.append(ping)
            link.send(message(ping.number, size))

        self.node.handlers = {Ping: answer}
        _, wire = self.opened()
        wire.blocked = blocked
        self.say(wire, *(Ping(number) for number in range(1, count + 1)))
        return wire

    def test_aPieceFullOfQuestionsIsAnsweredOnlyAsFarAsTheAnswersFit(self) -> None:
        """Who does not read them is cut off in the midst of it, and what else he asks is not even looked at."""
        wire = self.questions(1000, AT_ONCE // 4, blocked=True)
        self.assertEqual((wire.aborted, len(wire.writes), len(self.got)), (True, 1, 8))
        self.assertEqual(self.node.ended[0].reason, reasons.SLOW)
        wire.drop()
        self.assertEqual(self.node.backlog, 0)

    def test_whoReadsIsAnsweredAllInPiecesOfABoundedSize(self) -> None:
        """The last of them at the turn's end, as ever; nothing is lost or comes in another order."""
        wire = self.questions(1000, 10_000, blocked=False)
        self.assertEqual(len(wire.writes), 1000 * 10_000 // AT_ONCE + 1)
        self.assertLess(max(map(len, wire.writes)), AT_ONCE + 11_000)
        self.assertEqual(wire.messages(), [message(number, 10_000) for number in range(1, 1001)])

    def test_keepingIsLinear(self) -> None:
        """Each frame is touched once when it is kept and once when it is written, not at every send."""
        self.node = Node(1, maxBacklog=2**30)
        link, wire = self.opened()
        wire.block()
        counted = _Counted(encode(Ping(1)))
        for _ in range(1000):
            link.sendFrame(counted)
        self.assertEqual(_Counted.measured, 1000)
        self.assertEqual(link.backlog, 1000 * len(counted))

    def test_itRemembersSinceWhenItIsFull(self) -> None:
        """Whoever cuts off slow readers can tell; it forgets when there is room."""
        link, wire = self.opened()
        self.assertIsNone(link.pausedSince)
        then = self.node.memory.seconds()
        wire.block()
        self.node.memory.advance(1.0)
        link.pauseProducing()
        self.assertEqual(link.pausedSince, then)
        wire.unblock()
        self.assertIsNone(link.pausedSince)

    def test_whatIsKeptTakesTheMemoryItCounts(self) -> None:
        """However small the pieces are that it came in."""
        self.node = Node(1, maxBacklog=2**30)
        link, wire = self.opened()
        wire.block()
        frame = encode(Ping(1))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50_000):
            link.sendFrame(bytes(bytearray(frame)))
        taken = tracemalloc.get_traced_memory()[0] - before
        self.assertEqual(link.backlog, 50_000 * len(frame))
        self.assertLess(taken, 1.5 * link.backlog)

    def test_allLinksTogetherAreBounded(self) -> None:
        """None of them has too much; who gets more when all have is cut off, and what it kept is gone."""
        self.node = Node(1, maxBacklog=10_000)
        links = [self.opened(f"10.0.0.{number}") for number in range(2, 22)]
        frame = encode(message(1, 4000))
        for _, wire in links:
            wire.block()
        with capturedLogs() as logs:
            for link, _ in links:
                link.sendFrame(frame)
                self.assertLessEqual(self.node.backlog, 8 * 10_000)
        aborted = [wire.aborted for _, wire in links]
        self.assertEqual(aborted, [False] * 19 + [True])
        self.assertEqual(len(logs), 1)
        for (link, wire), cut in zip(links, aborted, strict=True):
            wire.drop() if cut else wire.unblock()
            self.assertEqual(link.backlog, 0)
        self.assertEqual(self.node.backlog, 0)

    def test_whatIsNotKeptAnyMoreDoesNotCount(self) -> None:
        """However the link that kept it ends."""
        for end in (
            lambda link, wire: wire.drop(),
            lambda link, wire: link.abort(reasons.SILENT),
            lambda link, wire: self.say(wire, Close(reasons.DONE, "", [])),
        ):
            link, wire = self.opened()
            wire.block()
            link.send(Ping(1))
            self.assertGreater(self.node.backlog, 0)
            end(link, wire)
            self.assertEqual(self.node.backlog, 0)

    def test_closingASlowLinkKeepsItsBound(self) -> None:
        """The Close waits behind what is kept, and is written with it."""
        link, wire = self.opened()
        wire.block()
        link.send(Ping(1))
        link.close(reasons.LEAVING)
        wire.unblock()
        self.assertEqual(wire.messages(), [Ping(1), Close(reasons.LEAVING, "", [])])


class _Counted(bytes):
    """A frame that knows how often its length was asked for."""

    measured = 0

    def __len__(self) -> int:
        type(self).measured += 1
        return super().__len__()
