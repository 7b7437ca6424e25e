"""
Two kinds of error, told apart by type: what the other side did wrong, and what we did.
"""

from __future__ import annotations


class RemoteProtocolError(Exception):
    """
    The other side sent what it may not.

    @ivar reason: a word of L{p2p.wire.reasons}.
    @ivar detail: one line for logs, also sent to the other side.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class LocalProtocolError(Exception):
    """This program asked for what the protocol does not allow: our own bug."""
