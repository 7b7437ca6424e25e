"""
A message as subscribers get it.
"""

from __future__ import annotations

from msgspec import Struct

from p2p.identity import identityText, messageIdText
from p2p.wire.messages import Contact, Message


class Delivery(Struct, frozen=True, gc=False):
    """
    A message that this node has seen for the first time.

    @ivar message: as it came.
    @ivar time: when, in seconds of the node's clock.
    @ivar sender: the neighbour that brought it; C{None} for the node's own.
    """

    message: Message
    time: float
    sender: Contact | None = None

    @property
    def id(self) -> str:
        """The message's id: origin, incarnation and number."""
        return messageIdText(self.message.origin, self.message.sequence)

    @property
    def origin(self) -> str:
        """Who made it."""
        return identityText(self.message.origin)

    @property
    def sequence(self) -> int:
        """Its number there, from 1."""
        return self.message.sequence

    @property
    def payload(self) -> bytes:
        """What it says, in bytes."""
        return self.message.payload

    @property
    def hops(self) -> int:
        """Links it crossed; 0 for the node's own."""
        return self.message.hops
