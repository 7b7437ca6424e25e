"""
Who was cut off for not reading, and is left alone for a while.

One that does not read holds up whoever publishes, until it is cut off; if it
came back at once, it would do so nearly all the time.  So it is neither let in
nor dialled for C{slowPause}, and each time that it is cut off again, for twice
as long.  What it did long ago is forgiven, and so is, once, a moment in which
much came.

Ids cost nothing, and nobody proves his own.  So an id is left alone only at the
IP address where it did not read: who takes another's name does that one no
harm.  And once a second id at an address has not read, the whole address is
left alone in the same way; not this machine itself, where many peers may live.
"""

from __future__ import annotations

from ipaddress import ip_address

import attrs

from p2p.address import holder

DOUBLINGS = 6
"""How often the pause doubles at most."""

LIMIT = 1024
"""Ids and addresses that are remembered; who was cut off longest ago is forgotten first."""

_Who = tuple[bytes, str]
"""An id at a holder of addresses; no id for all that are there."""


@attrs.define
class _Cut:
    """
    @ivar times: how often it was cut off.
    @ivar until: it is left alone until then.
    """

    times: int = 0
    until: float = float("-inf")


class SlowReaders:
    """Those who did not read; see the module's text."""

    def __init__(self, pause: float) -> None:
        """
        @param pause: for how long one is left alone at first, in seconds.
        """
        self._pause = pause
        self._cut: dict[_Who, _Cut] = {}

    def __len__(self) -> int:
        return len(self._cut)

    def cutOff(self, id: bytes, host: str, now: float, brief: bool = False) -> float:
        """
        Remember that somebody was cut off.

        @param host: the other side's IP address on that connection.
        @param brief: it did not read for a moment only; the first time that has no consequences.
        @return: for how many seconds it is left alone.
        """
        whose = holder(host)
        known = self._fresh((id, whose), now).times
        if not known and not ip_address(host).is_loopback:
            self._count((b"", whose), 1, now)
        self._count((id, whose), int(brief), now)
        return max(0.0, self._cut[id, whose].until - now)

    def shunned(self, id: bytes, host: str, now: float) -> bool:
        """Is that id, at that IP address, to be left alone?"""
        if not self._cut:
            return False
        whose = holder(host)
        return any(who in self._cut and now < self._cut[who].until for who in ((id, whose), (b"", whose)))

    # Private.

    def _fresh(self, who: _Who, now: float) -> _Cut:
        """What is still held against somebody."""
        cut = self._cut.get(who)
        if cut is None or now - cut.until > self._pause * 2**DOUBLINGS:
            return _Cut(until=now)
        return cut

    def _count(self, who: _Who, free: int, now: float) -> None:
        """
        It was cut off once more.

        @param free: how often that has no consequences.
        """
        cut = self._fresh(who, now)
        cut.times += 1
        if cut.times > free:
            cut.until = now + self._pause * 2 ** min(cut.times - free - 1, DOUBLINGS)
        self._cut.pop(who, None)
        self._cut[who] = cut
        if len(self._cut) > LIMIT:
            del self._cut[next(iter(self._cut))]
