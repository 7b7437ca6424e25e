"""
Two peers, one link: which one stays where there would be two.

A later incarnation of a peer takes the place of an earlier one.  Otherwise the
link that stands stays; but when both have dialled at once, each would refuse
the other's dial, or each take it, so both follow one rule: the link that the
lower identity dialled stays.
"""

from __future__ import annotations

from p2p.interfaces import INeighbour
from p2p.wire import reasons


def oursStays(mine: bytes, theirs: bytes) -> bool:
    """Of two links that two peers dialled at once, the one that was dialled here stays."""
    return mine < theirs


def settle(mine: bytes, theirs: bytes, outgoing: bool, linked: INeighbour) -> tuple[str, str]:
    """
    A new link to a peer that there is a link to already.

    @param theirs: who that peer says it is on the new one.
    @param outgoing: the new one was dialled here.
    @param linked: the old one.
    @return: the reasons to end the new and the old one with; one of them is
        empty: that one stays.
    """
    if linked.contact.identity < theirs:
        return "", reasons.STALE
    if outgoing and not linked.outgoing and oursStays(mine, theirs):
        return "", reasons.DUPLICATE
    return reasons.DUPLICATE, ""
