"""
Who a node is: 16 bytes, its id (8, random, kept for life) followed by its incarnation (8, big-endian).

The incarnation grows with every start, and whenever a live node hears itself
called dead; so what is said of an earlier life is never taken for the present
one.  The 16 bytes travel and are compared as they are; as text an identity is
C{<16 hex digits>-<incarnation>}, and a message's id is that of its origin
followed by C{-<sequence>}.
"""

from __future__ import annotations

ID_SIZE = 8
IDENTITY_SIZE = 16


def makeIdentity(id: bytes, incarnation: int) -> bytes:
    """Join an 8-byte id and an incarnation in 0..2**64-1."""
    return id + incarnation.to_bytes(8, "big")


def idOf(identity: bytes) -> bytes:
    """The 8 bytes that stay the same for life."""
    return identity[:ID_SIZE]


def incarnationOf(identity: bytes) -> int:
    """Which of the node's lives this is."""
    return int.from_bytes(identity[ID_SIZE:], "big")


def identityText(identity: bytes) -> str:
    """An identity for people and logs."""
    return f"{identity[:ID_SIZE].hex()}-{incarnationOf(identity)}"


def messageIdText(origin: bytes, sequence: int) -> str:
    """A message's id for people, logs and programs."""
    return f"{identityText(origin)}-{sequence}"
