"""
What of a peer outlives its process.
"""

from __future__ import annotations

import attrs

from p2p.wire.messages import Contact


@attrs.frozen
class PeerMemory:
    """
    What is kept on disk.

    @ivar id: the peer's 8 bytes.
    @ivar incarnation: the last one it used; the next start takes a higher.
    @ivar known: contacts to begin with when no seed answers.
    """

    id: bytes
    incarnation: int
    known: list[Contact] = attrs.field(factory=list)
