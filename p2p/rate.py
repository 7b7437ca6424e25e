"""
How often something may happen: a token bucket per key.  Pure: it is told the time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class RateLimit:
    """
    Allows C{rate} events a second and key, and C{burst} (at least one) at once after a rest.

    An event may count for several: it is allowed where one is, and those after it wait for the rest.

    Remembers at most C{keys} keys, the longest unused are forgotten first.
    """

    def __init__(self, rate: float, burst: float, keys: int = 10_000) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._keys = keys
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def allow(self, key: Hashable, now: float, count: float = 1.0) -> bool:
        """
        Count an event; false if it is one too many.

        @param count: for how many it counts.
        """
        tokens, then = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - then) * self._rate)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - count if allowed else tokens, now)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
        return allowed
