"""
What Lifeguard adds to SWIM (Dadgar, Phillips, Currey: "Lifeguard: Local Health Awareness for More Accurate Failure
Detection", 2017): a measure of one's own health, and suspicions whose time shrinks as others confirm them.  Pure.
"""

from __future__ import annotations

from math import log


class LocalHealth:
    """
    How much this peer doubts itself (section IV A, "LHA Probe").

    Each sign of trouble of its own (a probe that fails without its helpers
    answering, a suspicion of itself that it has to refute, a sleep) makes it
    worse by one, each probe that succeeds better by one.

    @ivar score: 0 in good health, at most C{most - 1}.
    """

    def __init__(self, most: int) -> None:
        """
        @param most: what times are multiplied with at most; 1 for a peer that never doubts itself.
        """
        self._most = most
        self.score = 0

    def better(self) -> None:
        """Something went well."""
        self.score = max(0, self.score - 1)

    def worse(self, by: int = 1) -> None:
        """Something went wrong, and that may be this peer's own doing."""
        self.score = min(self._most - 1, self.score + by)

    def scaled(self, seconds: float) -> float:
        """A time as this peer should take it: C{score + 1} times as long."""
        return seconds * (self.score + 1)


def suspicionTimeout(least: float, most: float, confirmations: int, wanted: int) -> float:
    """
    How long a suspect has (section IV B, "LHA Suspicion")::

        max(least, most - (most - least) * ln(confirmations + 1) / ln(wanted + 1))

    so that each confirmation counts less than the one before.

    @param confirmations: by how many others, independently.
    @param wanted: how many bring it down to C{least}; 0 where nobody could confirm it: then it is C{least} at once.
    """
    if wanted < 1:
        return least
    return max(least, most - (most - least) * log(confirmations + 1) / log(wanted + 1))


class Suspicion:
    """
    A suspicion and who else has it.

    @ivar start: since when; later if this process slept meanwhile.
    @ivar confirmations: how many have it too, as far as they count.
    """

    def __init__(self, start: float, least: float, most: float, wanted: int) -> None:
        """See L{suspicionTimeout}."""
        self.start = start
        self._least = least
        self._most = most
        self._wanted = wanted
        self._seen: set[bytes] = set()
        self.confirmations = 0

    def confirm(self, by: bytes, through: bytes) -> bool:
        """
        Another one has it too.

        @param by: who says so.
        @param through: who told; whatever one neighbour tells, in however many names, is one confirmation.
        @return: false if that changes nothing.
        """
        if self.confirmed or not self._seen.isdisjoint((by, through)):
            return False
        self._seen.update((by, through))
        self.confirmations += 1
        return True

    @property
    def confirmed(self) -> bool:
        """No further confirmation changes anything."""
        return self.confirmations >= self._wanted

    @property
    def soonest(self) -> float:
        """When it becomes a verdict at the earliest."""
        return self.start + self._least

    @property
    def deadline(self) -> float:
        """When it becomes a verdict."""
        return self.start + suspicionTimeout(self._least, self._most, self.confirmations, self._wanted)
