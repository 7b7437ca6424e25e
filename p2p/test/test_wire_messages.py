"""
Tests for L{p2p.wire.messages}: the catalogue is a contract, and its bounds hold for what comes in.
"""

from __future__ import annotations

import math
import struct
from typing import Any, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.test.wires import contact, identity
from p2p.wire import reasons
from p2p.wire.codec import Decoder, encode
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.messages import (
    MAX_BATCH,
    MAX_CONTACTS,
    MAX_DETAIL,
    MAX_GAPS,
    MAX_HELD,
    MAX_HOPS,
    MAX_RUMOUR_HOPS,
    MAX_SIGHTINGS,
    MAX_WALK,
    Ack,
    Alive,
    Announced,
    AnyMessage,
    Batch,
    Close,
    Contact,
    Custom,
    Dead,
    Detail,
    Faulty,
    ForwardJoin,
    Gone,
    Graft,
    Have,
    Held,
    Hello,
    IHave,
    Join,
    Lack,
    Message,
    Nack,
    Ping,
    PingReq,
    Pong,
    Prune,
    Reason,
    Refute,
    Register,
    Registered,
    Removed,
    Shuffle,
    ShuffleReply,
    Sighting,
    Suspect,
    Sync,
    Synced,
    Unreachable,
    Wanted,
    Welcome,
    line,
)

ME = identity(1)
PEER = contact(2)


def received(*array: object) -> AnyMessage:
    """What a MessagePack array becomes when it comes in."""
    body = msgspec.msgpack.encode(array)
    (message,) = Decoder(2**30).feed(struct.pack(">I", len(body)) + body)
    return message


class CatalogueTests(SynchronousTestCase):
    """What travels."""

    def test_numbersAreTheContract(self) -> None:
        """A number, once given, is never given to another message."""
        numbers = {type.__struct_config__.tag: type.__name__ for type in get_args(AnyMessage)}
        self.assertEqual(
            numbers,
            {
                1: "Hello", 2: "Welcome", 3: "Close",
                10: "Register", 11: "Registered", 12: "Removed", 13: "Unreachable", 14: "Dead", 15: "Alive",
                20: "Message", 21: "Have", 22: "IHave", 23: "Graft", 24: "Prune", 25: "Lack", 26: "Batch",
                27: "Sync", 28: "Synced", 30: "Ping", 31: "Pong",
                40: "Join", 41: "ForwardJoin", 42: "Shuffle", 43: "ShuffleReply",
                32: "PingReq", 33: "Ack", 34: "Nack", 35: "Suspect", 36: "Refute", 37: "Faulty",
                50: "Custom",
            },
        )  # fmt: skip

    def test_fieldsStandInTheContractsOrder(self) -> None:
        """A message is an array: the order of its fields is what others read by."""
        fields = {type.__name__: type.__struct_fields__ for type in (Contact, Held, Sighting, *get_args(AnyMessage))}
        self.assertEqual(
            fields,
            {
                "Contact": ("identity", "address"),
                "Held": ("origin", "top", "gaps"),
                "Sighting": ("contact", "age"),
                "Hello": ("version", "network", "purpose", "contact", "strategies", "urgent"),
                "Welcome": ("contact", "others"),
                "Close": ("reason", "detail", "others"),
                "Register": ("contact", "want"),
                "Registered": ("lease", "total", "contacts"),
                "Removed": ("identity", "reason"),
                "Unreachable": ("address", "detail"),
                "Dead": ("contact", "evidence"),
                "Alive": ("identity",),
                "Message": ("origin", "sequence", "hops", "payload", "age"),
                "Have": ("held", "last"),
                "IHave": ("announced", "now"),
                "Graft": ("wanted", "eager"),
                "Prune": (),
                "Lack": ("never", "gone"),
                "Batch": ("messages",),
                "Sync": ("number",),
                "Synced": ("number",),
                "Ping": ("number",),
                "Pong": ("number",),
                "Join": ("want",),
                "ForwardJoin": ("contact", "hops"),
                "Shuffle": ("number", "hops", "sightings"),
                "ShuffleReply": ("number", "sightings"),
                "PingReq": ("number", "contact", "refuted"),
                "Ack": ("number",),
                "Nack": ("number",),
                "Suspect": ("contact", "refuted", "by", "hops"),
                "Refute": ("identity", "refuted", "hops"),
                "Faulty": ("contact", "refuted", "hops"),
                "Custom": ("kind", "body"),
            },
        )

    def test_aContactsIdIsTheFirstHalfOfItsIdentity(self) -> None:
        """The part that stays for life."""
        self.assertEqual(contact(7, 3).id, bytes([7]) * 8)

    def test_everyReasonMayTravelAsSuch(self) -> None:
        """Each word of the list fits its own field."""
        for name, word in vars(reasons).items():
            if name.isupper() and isinstance(word, str):
                self.assertEqual(received(3, word, "", []), Close(word, "", []))

    def test_laterFieldsArePassedOver(self) -> None:
        """Of a message, and of a contact in it: that is how the protocol grows."""
        self.assertEqual(received(30, 5, "new", {"x": [1]}), Ping(5))
        self.assertEqual(received(14, [PEER.identity, PEER.address, 17], "silent", None), Dead(PEER, "silent"))


class BoundsTests(SynchronousTestCase):
    """Every number that comes from outside is bounded."""

    def assertTaken(self, *array: object) -> None:
        """This comes in."""
        received(*array)

    def assertMalformed(self, *array: object) -> None:
        """This does not."""
        with self.assertRaises(RemoteProtocolError, msg=repr(array)[:100]) as caught:
            received(*array)
        self.assertEqual(caught.exception.reason, reasons.MALFORMED)

    def test_identitiesHaveSixteenBytes(self) -> None:
        """No more, no fewer, and not as text."""
        self.assertTaken(15, bytes(16))
        for wrong in (bytes(15), bytes(17), b"", "x" * 16, None, 5):
            self.assertMalformed(15, wrong)

    def test_numbersHaveTheirRange(self) -> None:
        """Not below, not above, not a fraction, not a truth."""
        top = 2**63 - 1
        for number in (0, 1, top):
            self.assertTaken(30, number)
        for wrong in (-1, top + 1, 1.0, True, None, "1"):
            self.assertMalformed(30, wrong)
        self.assertTaken(20, ME, 1, 1, b"")
        self.assertTaken(20, ME, top, MAX_HOPS, b"")
        for sequence, hops in ((0, 1), (1, 0), (top + 1, 1), (1, MAX_HOPS + 1)):
            self.assertMalformed(20, ME, sequence, hops, b"")

    def test_walksAndAgesHaveAnEnd(self) -> None:
        """How far a walk has come, how much a newcomer wants, and how old news is."""
        entry = [ME, "1.2.3.4:5"]
        for number in (0, MAX_WALK):
            self.assertTaken(40, number)
            self.assertTaken(41, entry, number)
            self.assertTaken(42, 1, number, [[entry, 86400]])
        for wrong in (-1, MAX_WALK + 1, 1.0):
            self.assertMalformed(40, wrong)
            self.assertMalformed(41, entry, wrong)
            self.assertMalformed(42, 1, wrong, [])
        for wrong in (-1, 86401, 1.5):
            self.assertMalformed(42, 1, 0, [[entry, wrong]])
            self.assertMalformed(43, 1, [[entry, wrong]])

    def test_rumoursHaveTheirRange(self) -> None:
        """Over a few links only, and a number that leaves room above it."""
        self.assertTaken(36, ME, 2**32 - 1, MAX_RUMOUR_HOPS)
        for refuted, hops in ((2**32, 1), (-1, 1), (0, 0), (0, MAX_RUMOUR_HOPS + 1)):
            self.assertMalformed(35, [ME, ""], refuted, ME, hops)
            self.assertMalformed(36, ME, refuted, hops)
            self.assertMalformed(37, [ME, ""], refuted, hops)

    def test_aLeaseIsATimeThatPasses(self) -> None:
        """What is not a number, or no end, would stop a peer's clock."""
        for lease in (0.001, 5, 86400):
            self.assertTaken(11, lease, 0, [])
        for wrong in (0, -1.0, 86400.1, math.inf, math.nan, "20"):
            self.assertMalformed(11, wrong, 0, [])

    def test_textsHaveTheirLength(self) -> None:
        """Network, purpose, reason, detail, address."""
        entry = [ME, "1.2.3.4:5"]
        self.assertTaken(1, 1, "x" * 64, "y" * 32, entry)
        self.assertMalformed(1, 1, "x" * 65, "y", entry)
        self.assertMalformed(1, 1, "x", "y" * 33, entry)
        self.assertMalformed(1, 1, "x", "", entry)
        self.assertTaken(3, "x" * 32, "é" * MAX_DETAIL, [])
        self.assertMalformed(3, "x" * 33, "", [])
        self.assertMalformed(3, "", "", [])
        self.assertMalformed(3, "x", "y" * (MAX_DETAIL + 1), [])
        self.assertMalformed(13, "1" * 65, "")

    def test_listsHaveTheirLength(self) -> None:
        """As many entries as the catalogue says, and not one more."""
        entry = [ME, "1.2.3.4:5"]
        for head, largest, element, tail in (
            ((2, entry), MAX_CONTACTS, entry, ()),
            ((3, "full", ""), MAX_CONTACTS, entry, ()),
            ((11, 1.0, 1), MAX_CONTACTS, entry, ()),
            ((21,), MAX_HELD, [ME, 0, []], (True,)),
            ((42, 1, 0), MAX_SIGHTINGS, [entry, 0], ()),
            ((43, 1), MAX_SIGHTINGS, [entry, 0], ()),
            ((22,), MAX_HELD, [ME, 1, []], (True,)),
            ((23,), MAX_HELD, [ME, []], (True,)),
            ((25,), MAX_HELD, [ME, []], ([],)),
            ((25, []), MAX_HELD, [ME, [], 0], ()),
            ((26,), MAX_BATCH, [20, ME, 1, 1, b""], ()),
        ):
            self.assertTaken(*head, [element] * largest, *tail)
            self.assertMalformed(*head, [element] * (largest + 1), *tail)
        self.assertTaken(21, [[ME, 9, [1] * 2 * MAX_GAPS]], True)
        self.assertMalformed(21, [[ME, 9, [1] * (2 * MAX_GAPS + 1)]], True)
        for ranges in ([1] * 2 * MAX_GAPS, [1] * (2 * MAX_GAPS + 1)):
            check = self.assertTaken if len(ranges) == 2 * MAX_GAPS else self.assertMalformed
            check(22, [[ME, 1, ranges]], False)
            check(23, [[ME, ranges]], False)
            check(25, [[ME, ranges]], [])
            check(25, [], [[ME, ranges, 1.0]])
        for wrong in (-1, math.nan, math.inf):
            self.assertMalformed(25, [], [[ME, [], wrong]])
        self.assertMalformed(26, [[30, 1]])
        self.assertMalformed(10, entry, MAX_CONTACTS + 1)

    def test_whatStandsInALogIsOneLine(self) -> None:
        """A stranger's words are printed as they are; they must not make a second entry of one."""
        for wrong in ("a\nb", "a\r", "\x1b[2J", "\x00", "\x7f", "\x85", "\u2028", "x\n"):
            self.assertMalformed(3, wrong, "", [])
            self.assertMalformed(3, "done", wrong, [])
            self.assertMalformed(12, ME, wrong)
            self.assertMalformed(13, "1.2.3.4:5", wrong)
            self.assertMalformed(14, [ME, "1.2.3.4:5"], wrong)

    def test_missingFieldsAreMalformed(self) -> None:
        """None has a default."""
        whole: list[Any] = [
            [1, 1, "x", "y", [ME, ""]], [2, [ME, ""], []], [3, "done", "", []], [10, [ME, ""], 1], [11, 1.0, 0, []],
            [12, ME, "dead"], [13, "", ""], [14, [ME, ""], "silent"], [15, ME], [20, ME, 1, 1, b""], [21, [], True],
            [22, [], True], [23, [], False], [24], [25, [], []], [26, []], [27, 1], [28, 1],
            [30, 1], [31, 1], [40, 4], [41, [ME, ""], 0], [42, 1, 0, []], [43, 1, []],
            [32, 1, [ME, ""], 0], [33, 1], [34, 1], [35, [ME, ""], 0, ME, 1], [36, ME, 1, 1], [37, [ME, ""], 0, 1],
            [50, "overlay", None],
        ]  # fmt: skip
        self.assertEqual({array[0] for array in whole}, {type.__struct_config__.tag for type in get_args(AnyMessage)})
        for array in whole:
            self.assertTaken(*array)
            for size in range(len(array)):
                self.assertMalformed(*array[:size])

    def test_whatIsWrittenHereKeepsItsOwnBounds(self) -> None:
        """Each kind of message, at its largest, is taken by another node of this version."""
        entry = Contact(ME, "[" + "f" * 4 + ":ffff" * 7 + "]:65535")
        sighting = Sighting(entry, 86400)
        for message in (
            Hello(2**63 - 1, "x" * 64, "y" * 32, entry), Welcome(entry, [entry] * MAX_CONTACTS),
            Close("z" * 32, "d" * MAX_DETAIL, [entry] * MAX_CONTACTS), Register(entry, MAX_CONTACTS),
            Registered(86400.0, 2**63 - 1, [entry] * MAX_CONTACTS), Removed(ME, "r" * 32),
            Unreachable(entry.address, "d" * MAX_DETAIL), Dead(entry, "e" * 32), Alive(ME),
            Message(ME, 2**63 - 1, MAX_HOPS, bytes(2**20)),
            Have([Held(ME, 2**63 - 1, [2**63 - 1] * 2 * MAX_GAPS)] * MAX_HELD, False),
            IHave([Announced(ME, MAX_HOPS, [2**63 - 1] * 2 * MAX_GAPS)] * MAX_HELD, True),
            Graft([Wanted(ME, [2**63 - 1] * 2 * MAX_GAPS)] * MAX_HELD, True), Prune(),
            Lack([Wanted(ME, [2**63 - 1] * 2 * MAX_GAPS)] * MAX_HELD, [Gone(ME, [2**63 - 1] * 2 * MAX_GAPS, 1e12)] * 9),
            Batch([Message(ME, 2**63 - 1, MAX_HOPS, bytes(65))] * MAX_BATCH), Sync(0), Synced(2**63 - 1),
            Ping(2**63 - 1), Pong(0),
            Join(MAX_WALK), ForwardJoin(entry, MAX_WALK), Shuffle(2**63 - 1, MAX_WALK, [sighting] * MAX_SIGHTINGS),
            ShuffleReply(2**63 - 1, [sighting] * MAX_SIGHTINGS),
            PingReq(2**63 - 1, entry, 2**32 - 1), Ack(2**63 - 1), Nack(2**63 - 1),
            Suspect(entry, 2**32 - 1, ME, MAX_RUMOUR_HOPS), Refute(ME, 2**32 - 1, MAX_RUMOUR_HOPS),
            Faulty(entry, 2**32 - 1, MAX_RUMOUR_HOPS),
            Custom("k" * 32, [1, {"a": b"x"}, None]),
        ):  # fmt: skip
            self.assertEqual(list(Decoder(2**30).feed(encode(message))), [message])


class LineTests(SynchronousTestCase):
    """Texts of this node's own that are to travel as a detail."""

    @given(st.text(max_size=600))
    def test_anyTextBecomesOneThatMayTravel(self, text: str) -> None:
        """Whatever an error says, the other side does not call it malformed."""
        try:
            text.encode()
        except UnicodeEncodeError:
            return
        self.assertEqual(received(3, "done", line(text), []), Close("done", line(text), []))

    def test_aLineStaysAsItIs(self) -> None:
        """Only what may not travel is replaced."""
        self.assertEqual(line("déjà vu: 1 > 0"), "déjà vu: 1 > 0")
        self.assertEqual(line("a\nb\tc"), "a b c")
        self.assertEqual(len(line("x" * 1000)), MAX_DETAIL)

    def test_halvesOfACharacterAreReplaced(self) -> None:
        """A name of a file, say, that was not text."""
        self.assertEqual(line("a\udcffb"), "a b")

    def test_typesSaySo(self) -> None:
        """The rules stand in the types, so the decoder cannot forget them."""
        self.assertTrue(all(get_args(type)[1].pattern for type in (Reason, Detail)))
