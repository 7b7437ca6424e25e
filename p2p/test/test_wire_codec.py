"""
Tests for L{p2p.wire.codec}: frames, limits, and that pieces do not matter.
"""

from __future__ import annotations

import struct
import tracemalloc
from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.test.wires import contact, identity
from p2p.wire import codec, reasons
from p2p.wire.codec import HEADER, MET, MET_SIZE, SHARED, STRANGER_LIMIT, Decoder, encode, met
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.messages import (
    Alive,
    AnyMessage,
    Close,
    Contact,
    Dead,
    Have,
    Held,
    Hello,
    Message,
    Ping,
    Pong,
    Register,
    Registered,
    Removed,
    Unreachable,
    Welcome,
)

LIMIT = 2**24

numbers = st.integers(0, 2**63 - 1)
identities = st.binary(min_size=16, max_size=16)
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=32)
lines = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=256)
contacts = st.builds(Contact, identities, st.text(st.characters(codec="utf-8"), max_size=64))
lists = st.lists(contacts, max_size=5)
held = st.builds(Held, identities, numbers, st.lists(numbers, max_size=6))
messages: st.SearchStrategy[AnyMessage] = st.one_of(
    st.builds(Hello, numbers, st.text(st.characters(codec="utf-8"), max_size=64), words, contacts),
    st.builds(Welcome, contacts, lists),
    st.builds(Close, words, lines, lists),
    st.builds(Register, contacts, st.integers(0, 1000)),
    st.builds(Registered, st.floats(0, 86400, exclude_min=True), numbers, lists),
    st.builds(Removed, identities, words),
    st.builds(Unreachable, st.text(st.characters(codec="utf-8"), max_size=64), lines),
    st.builds(Dead, contacts, words),
    st.builds(Alive, identities),
    st.builds(Message, identities, st.integers(1, 2**63 - 1), st.integers(1, 2**16 - 1), st.binary(max_size=200)),
    st.builds(Have, st.lists(held, max_size=5), st.booleans()),
    st.builds(Ping, numbers),
    st.builds(Pong, numbers),
)


def frame(body: bytes) -> bytes:
    """Those bytes as the content of a frame."""
    return struct.pack(">I", len(body)) + body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """A stream in pieces."""
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True) if start < end]


class RoundTripTests(SynchronousTestCase):
    """What is sent is what comes in."""

    @given(messages)
    def test_everyMessageComesBackAsItWas(self, message: AnyMessage) -> None:
        """Whatever its fields."""
        self.assertEqual(list(Decoder(LIMIT).feed(encode(message))), [message])

    @given(st.lists(messages, max_size=6), st.lists(st.integers(0, 2**16), max_size=12))
    def test_anyPiecesGiveTheSameMessages(self, sent: list[AnyMessage], places: list[int]) -> None:
        """A stream knows no messages; only the frames' lengths do."""
        decoder = Decoder(LIMIT)
        stream = b"".join(map(encode, sent))
        self.assertEqual([m for piece in cut(stream, places) for m in decoder.feed(piece)], sent)
        self.assertEqual(len(decoder._kept), 0)

    def test_byteByByte(self) -> None:
        """Each message comes with its last byte, not sooner and not later."""
        decoder = Decoder()
        for message in (Ping(1), Close("done", "", [contact(1)]), Pong(2**40)):
            *bytes_, last = encode(message)
            for byte in bytes_:
                self.assertEqual(list(decoder.feed(bytes([byte]))), [])
            self.assertEqual(list(decoder.feed(bytes([last]))), [message])

    def test_somethingTrailingWaits(self) -> None:
        """The start of the next message is kept, at every length it may have."""
        message = Message(identity(1), 1, 1, b"x" * 30)
        first, second = encode(Ping(1)), encode(message)
        for size in range(len(second)):
            decoder = Decoder()
            self.assertEqual(list(decoder.feed(first + second[:size])), [Ping(1)])
            self.assertEqual(len(decoder._kept), size)
            self.assertEqual(list(decoder.feed(second[size:] + first)), [message, Ping(1)])

    def test_nothingGivesNothing(self) -> None:
        """An empty piece changes nothing."""
        decoder = Decoder()
        self.assertEqual(list(decoder.feed(b"")), [])
        self.assertEqual(list(decoder.feed(encode(Ping(1))[:5])), [])
        self.assertEqual(list(decoder.feed(b"")), [])
        self.assertEqual(list(decoder.feed(encode(Ping(1))[5:])), [Ping(1)])

    def test_theFrameIsTheLengthOfWhatFollows(self) -> None:
        """Four bytes, the most significant first."""
        self.assertEqual(encode(Ping(5)), b"\x00\x00\x00\x03\x92\x1e\x05")


class LimitTests(SynchronousTestCase):
    """What is too large is refused before it is collected."""

    def test_aStrangersFrameIsSmall(self) -> None:
        """Just at the limit it is taken, one byte above it is not, and the length alone decides."""
        decoder = Decoder()
        self.assertEqual(list(decoder.feed(struct.pack(">I", STRANGER_LIMIT))), [])
        with self.assertRaises(RemoteProtocolError) as caught:
            list(Decoder().feed(struct.pack(">I", STRANGER_LIMIT + 1)))
        self.assertEqual(caught.exception.reason, reasons.TOO_LARGE)

    def test_theSameByteByByte(self) -> None:
        """The error comes with the fourth byte."""
        decoder = Decoder()
        self.assertEqual([list(decoder.feed(b"\xff")) for _ in range(HEADER - 1)], [[], [], []])
        with self.assertRaises(RemoteProtocolError):
            list(decoder.feed(b"\xff"))

    def test_theLimitMayBeRaisedBetweenTwoMessages(self) -> None:
        """Also while both are in one piece: a handshake ends that way."""
        large = Message(identity(1), 1, 1, bytes(STRANGER_LIMIT))
        decoder = Decoder()
        found = decoder.feed(encode(Ping(1)) + encode(large))
        self.assertEqual(next(found), Ping(1))
        decoder.limit = LIMIT
        self.assertEqual(list(found), [large])

    def test_messagesBeforeTheFaultAreGiven(self) -> None:
        """They came while nothing was wrong."""
        found = Decoder().feed(encode(Ping(1)) + encode(Ping(2)) + b"\xff\xff\xff\xff")
        self.assertEqual([next(found), next(found)], [Ping(1), Ping(2)])
        self.assertRaises(RemoteProtocolError, next, found)

    def test_collectingIsLinear(self) -> None:
        """A message in a million pieces of one byte costs what it has bytes, in time and in memory."""
        message = encode(Message(identity(1), 1, 1, bytes(2**20)))
        decoder = Decoder(LIMIT)
        found = 0
        started = process_time()
        for start in range(0, len(message), 2):
            found += len(list(decoder.feed(message[start : start + 2])))
        self.assertEqual(found, 1)
        self.assertLess(process_time() - started, 4.0)

    def test_tinyPiecesTakeNoMoreMemoryThanTheirBytes(self) -> None:
        """Somebody who sends two bytes at a time must not be able to make forty of each."""
        body = bytes(2**16)
        decoder = Decoder(LIMIT)
        list(decoder.feed(struct.pack(">I", LIMIT)))
        tracemalloc.start()
        try:
            for start in range(0, len(body), 2):
                list(decoder.feed(body[start : start + 2]))
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(held, 2 * len(body))


class MalformedTests(SynchronousTestCase):
    """What is no message ends in the one error that the link expects."""

    def assertMalformed(self, body: bytes, size: int = 1) -> None:
        """The frame holds no message, fed whole or in pieces of that size."""
        data = frame(body)
        for pieces in ([data], [data[start : start + size] for start in range(0, len(data), size)]):
            decoder = Decoder(LIMIT)
            with self.assertRaises(RemoteProtocolError, msg=body[:40].hex()) as caught:
                for piece in pieces:
                    list(decoder.feed(piece))
            self.assertEqual(caught.exception.reason, reasons.MALFORMED)
            self.assertNotIn("\n", caught.exception.detail)
            self.assertLessEqual(len(caught.exception.detail), 200)

    def test_whatIsNoMessage(self) -> None:
        """Each of these, for its own reason."""
        ping = encode(Ping(1))[HEADER:]
        for body in (
            b"",                                    # nothing
            b"\xc0", b"\x01", b"\x81\x1e\x01",      # nil, a number, a map
            b"\x90", b"\x91\x1e",                   # an array without a number; without its field
            b"\x92\x63\x01", b"\x92\x00\x01",       # numbers that no message has
            b"\x92\xa1\x1e\x01", b"\x92\xff\x01",   # a number that is text, or negative
            ping + b"\x00", ping[:-1],              # bytes behind the message; too few of them
            b"\xc1",                                # a byte that MessagePack does not use
            b"\x94\x03\xa1\xff\xa0\x90",            # text that is not UTF-8
            b"\x94\x03\xa3\xed\xa0\x80\xa0\x90",    # half of a character
            b"\x92\x0f\xc6\xff\xff\xff\xff",        # four billion bytes announced
            b"\x94\x03\xa1x\xa0\xdd\xff\xff\xff\xff",  # as many elements
        ):  # fmt: skip
            self.assertMalformed(body)

    def test_anAbyssIsMalformed(self) -> None:
        """Arrays in arrays, as deep as the limit allows, exhaust nothing."""
        for opening in (b"\x91", b"\x81\x01"):
            self.assertMalformed(b"\x93\x1e\x01" + opening * (10**6 // len(opening)), size=1000)

    @given(st.binary(max_size=200))
    def test_anyBytesAreMessagesOrOneError(self, data: bytes) -> None:
        """Nothing else is raised, and whatever is taken is written in this form or a longer one."""
        try:
            (message,) = Decoder(LIMIT).feed(frame(data))
        except RemoteProtocolError as error:
            self.assertEqual(error.reason, reasons.MALFORMED)
        else:
            self.assertLessEqual(len(encode(message)), HEADER + len(data) + 8)

    @given(messages, st.integers(0, 2**16), st.integers(0, 255))
    def test_aChangedByteIsAMessageOrOneError(self, message: AnyMessage, place: int, byte: int) -> None:
        """Close to what is valid, where the mistakes are."""
        data = bytearray(encode(message))
        data[HEADER + place % (len(data) - HEADER)] = byte
        try:
            list(Decoder(LIMIT).feed(bytes(data)))
        except RemoteProtocolError as error:
            self.assertEqual(error.reason, reasons.MALFORMED)


class MetTests(SynchronousTestCase):
    """What came alone and was found good is looked up when it comes again."""

    def setUp(self) -> None:
        """Nothing has come yet."""
        codec._met.clear()

    def take(self, frame: bytes) -> AnyMessage:
        """The message of a frame, from a decoder that has seen nothing."""
        (message,) = Decoder(LIMIT).feed(bytes(bytearray(frame)))
        return message

    def test_itIsFoundByItsBytes(self) -> None:
        """Whichever object holds them."""
        shared: list[AnyMessage] = [Message(identity(7), 1, 1, b"met"), Ping(2**40), Pong(2**40)]
        self.assertEqual({type(message) for message in shared}, SHARED)
        for message in shared:
            self.assertIsNone(met(encode(message)))
            first = self.take(encode(message))
            self.assertEqual(first, message)
            self.assertIs(met(encode(message)), first)

    def test_whatCameWithOthersOrInPiecesIsNot(self) -> None:
        """To cut it out and ask would cost what it saves."""
        frame = encode(Ping(2**41))
        self.assertEqual(list(Decoder(LIMIT).feed(frame + frame)), [Ping(2**41)] * 2)
        self.assertEqual(list(Decoder(LIMIT).feed(frame + frame[:5])), [Ping(2**41)])
        self.assertIsNone(met(frame))
        self.assertIsNone(met(frame + frame))

    def test_whatWasSentIsNotThoughtToBeValid(self) -> None:
        """What this node makes is checked when it comes."""
        wrong = encode(Message(identity(7), 0, 1, b""))
        self.assertIsNone(met(wrong))
        self.assertRaises(RemoteProtocolError, self.take, wrong)

    def test_oneByteMakesAnother(self) -> None:
        """A message that has crossed one link more, say."""
        self.take(encode(Message(identity(7), 3, 1, b"met")))
        self.assertIsNone(met(encode(Message(identity(7), 3, 2, b"met"))))

    def test_neitherLongOnesNorThoseWithLists(self) -> None:
        """What takes memory, or could be changed by one of those who get it."""
        for message in (Message(identity(7), 4, 1, bytes(MET_SIZE)), Have([], True)):
            self.assertEqual(self.take(encode(message)), message)
            self.assertIsNone(met(encode(message)))

    def test_theyAreFew(self) -> None:
        """However many come and go."""
        for number in range(3 * MET):
            self.take(encode(Ping(number)))
            self.assertLessEqual(len(codec._met), MET)

    def test_theLimitIsAboveThem(self) -> None:
        """So that whoever looks a frame up need not ask how large it is."""
        self.assertLess(MET_SIZE, STRANGER_LIMIT)
