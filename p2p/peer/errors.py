"""Why a message was not published, or not confirmed."""

from __future__ import annotations

from p2p.node import NotRunning as NotRunning


class PayloadTooLarge(ValueError):
    """The payload is larger than the network takes."""


class NotConfirmed(RuntimeError):
    """
    A message was published, and nobody has said that he took it over.

    @ivar id: the message's; it may be on its way all the same.
    """

    def __init__(self, id: str, why: str) -> None:
        super().__init__(why)
        self.id = id


class Busy(RuntimeError):
    """Neighbours do not read as fast as this node publishes; try again a little later."""
