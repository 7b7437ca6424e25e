"""
What was said of whom lately, so that nobody says it twice.  Pure.

A rumour is passed on by each peer once, over a bounded number of links, and
forgotten after a time; so none goes round for ever, and the dead leave nothing
behind.  Suspicions of one peer are passed on from the first few accusers only:
more of them decide nothing (Lifeguard, section IV B).
"""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class _Said:
    """
    What was said of one identity.

    @ivar refuted: how often it had refuted; what is said of a lower number is stale.
    @ivar accusers: who has suspected it since.
    @ivar dead: it was called dead since.
    @ivar since: when the last news of it came.
    """

    refuted: int
    since: float
    accusers: set[bytes] = attrs.Factory(set)
    dead: bool = False


class Rumours:
    """
    Tells news from what was said before.

    Remembers at most C{limit} identities, each for C{time} seconds after the
    last news of it; the longest untold are forgotten first.
    """

    def __init__(self, accusers: int, limit: int, time: float) -> None:
        """
        @param accusers: how many suspicions of one identity are news.
        """
        self._accusers = accusers
        self._limit = limit
        self._time = time
        self._said: dict[bytes, _Said] = {}

    def __len__(self) -> int:
        return len(self._said)

    def suspicion(self, identity: bytes, refuted: int, by: bytes, now: float) -> bool:
        """Somebody suspects it: is that news?"""
        said = self._about(identity, refuted, now)
        if said is None or said.dead or by in said.accusers or len(said.accusers) >= self._accusers:
            return False
        said.accusers.add(by)
        return self._news(identity, said, now)

    def death(self, identity: bytes, refuted: int, now: float) -> bool:
        """Somebody has found it dead: is that news?"""
        said = self._about(identity, refuted, now)
        if said is None or said.dead:
            return False
        said.dead = True
        return self._news(identity, said, now)

    def refutation(self, identity: bytes, refuted: int, now: float) -> bool:
        """It lives, it says, and has refuted so often: is that news?"""
        said = self._said.get(identity)
        if said is not None and refuted <= said.refuted:
            return False
        return self._news(identity, _Said(refuted, now), now)

    def refuted(self, identity: bytes) -> int:
        """How often it has refuted, as far as this peer remembers."""
        said = self._said.get(identity)
        return said.refuted if said is not None else 0

    def forget(self, now: float) -> None:
        """Drop what is too old."""
        while self._said:
            identity = next(iter(self._said))
            if self._said[identity].since > now - self._time:
                break
            del self._said[identity]

    # Private.

    def _about(self, identity: bytes, refuted: int, now: float) -> _Said | None:
        """What was said of it under that number; C{None} if that is stale."""
        said = self._said.get(identity)
        if said is None or said.refuted < refuted:
            return _Said(refuted, now)
        return said if said.refuted == refuted else None

    def _news(self, identity: bytes, said: _Said, now: float) -> bool:
        said.since = now
        self._said.pop(identity, None)
        self._said[identity] = said
        if len(self._said) > self._limit:
            del self._said[next(iter(self._said))]
        return True
