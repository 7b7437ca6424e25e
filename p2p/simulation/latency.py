"""
How long a segment is under way: distributions of the one-way latency of a link, in seconds.

A L{Latency} only describes. L{Latency.draws} makes the stream of draws from it; the draws are made in blocks and handed
out by C code, because one is needed for every segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from random import Random

from attrs import field, frozen
from attrs.validators import ge

_BLOCK = 1024


@frozen
class Latency:
    """
    A distribution of one-way latencies.

    @ivar low: The least latency, seconds, at least 0.
    @ivar span: A uniform draw between 0 and C{span} seconds is added.
    @ivar deviation: The standard deviation of a normal draw that is added, seconds; a sum below C{low / 10} is raised
        to that, for nothing travels back in time.
    """

    low: float = field(validator=ge(0.0))
    span: float = field(default=0.0, validator=ge(0.0))
    deviation: float = field(default=0.0, validator=ge(0.0))

    def draws(self, random: Random, factor: float = 1.0) -> Callable[[], float]:
        """
        Make a function that draws one latency, in seconds, at each call.

        @param random: Where the draws come from.
        @param factor: What every latency is multiplied with.
        """
        low, span, deviation = self.low * factor, self.span * factor, self.deviation * factor
        if deviation:
            gauss = random.gauss
            floor = low / 10

            def block() -> list[float]:
                return [max(floor, gauss(low, deviation)) for _ in range(_BLOCK)]
        elif span:
            uniform = random.random

            def block() -> list[float]:
                return [low + span * uniform() for _ in range(_BLOCK)]
        else:
            return repeat(low).__next__

        def blocks() -> Iterator[list[float]]:
            while True:
                yield block()

        return chain.from_iterable(blocks()).__next__


def constant(seconds: float) -> Latency:
    """
    Always the same one-way latency.
    """
    return Latency(seconds)


def uniform(low: float, high: float) -> Latency:
    """
    Any one-way latency between two bounds, in seconds, all equally likely.
    """
    return Latency(low, high - low)


def normal(mean: float, deviation: float) -> Latency:
    """
    A one-way latency spread normally, in seconds; it never falls below a tenth of the mean.
    """
    return Latency(mean, deviation=deviation)
