"""
Tests for L{p2p.identity}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.identity import (
    ID_SIZE,
    IDENTITY_SIZE,
    identityText,
    idOf,
    incarnationOf,
    makeIdentity,
    messageIdText,
)

ids = st.binary(min_size=ID_SIZE, max_size=ID_SIZE)
incarnations = st.integers(0, 2**64 - 1)


class IdentityTests(SynchronousTestCase):
    """Sixteen bytes: who, and in which life."""

    @given(ids, incarnations)
    def test_takesApartWhatItJoined(self, id: bytes, incarnation: int) -> None:
        """Id and incarnation come back as they were."""
        identity = makeIdentity(id, incarnation)
        self.assertEqual(len(identity), IDENTITY_SIZE)
        self.assertEqual((idOf(identity), incarnationOf(identity)), (id, incarnation))

    @given(ids, incarnations, incarnations)
    def test_bytesCompareAsIncarnationsDo(self, id: bytes, one: int, other: int) -> None:
        """Nobody need take identities of one id apart to know which is the later."""
        self.assertEqual(makeIdentity(id, one) < makeIdentity(id, other), one < other)

    def test_anIncarnationThatDoesNotFitIsAnError(self) -> None:
        """Neither wrapped round nor cut."""
        for incarnation in (-1, 2**64):
            with self.assertRaises(OverflowError):
                makeIdentity(bytes(8), incarnation)

    def test_asText(self) -> None:
        """Hex digits, a hyphen, the incarnation; a message's id goes on with its number."""
        identity = makeIdentity(b"\x00\x01\x02\x03\x04\x05\x06\xff", 17)
        self.assertEqual(identityText(identity), "00010203040506ff-17")
        self.assertEqual(messageIdText(identity, 3), "00010203040506ff-17-3")
