"""
Two kinds of error, told apart by type: what the other side did wrong, and what we did.
"""

from __future__ import annotations


class RemoteProtocolError(Exception):
    """
    The other side sent what it may not.

    @ivar reason: a word of L{p2p.wire.reasons}, or a strategy's own: 1 to 32 printable ASCII characters.
    @ivar detail: one line for logs, also sent to the other side.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """
        @raise LocalProtocolError: that is no word to give as a reason.
        """
        checkReason(reason)
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class LocalProtocolError(Exception):
    """This program asked for what the protocol does not allow: our own bug."""


def checkReason(reason: str) -> None:
    """
    Whether a link may end with this reason: the other side would take another one for our breach of the protocol.

    @raise LocalProtocolError: it may not.
    """
    if not (isinstance(reason, str) and 1 <= len(reason) <= 32 and reason.isascii() and reason.isprintable()):
        raise LocalProtocolError(f"a reason to end a link is 1 to 32 printable ASCII characters, not {reason!r:.99}")
