"""
What there is to say of an undirected graph: components, path lengths, clustering.

Path lengths come from a breadth-first search from every node at once.  Each
node holds a whole number whose bits are the sources that have reached it so
far; one step for all sources is one C{or} per link.  Python's whole numbers do
that on thousands of sources at the speed of memory: all pairs of 10,000 nodes
take a second.  Of larger graphs a random sample of sources is taken, and the
result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import attrs

MAX_SOURCES = 10_000
"""Of more nodes than this, path lengths are taken from a sample of L{SAMPLE} sources."""

SAMPLE = 1024


@attrs.frozen
class Paths:
    """
    Shortest paths between those pairs of nodes that have one.

    @ivar average: mean number of links, 0 if there is no pair.
    @ivar longest: the diameter of the largest of the components, by length.
    @ivar sources: from how many nodes it was measured.
    """

    average: float
    longest: int
    sources: int


def components(adjacency: Sequence[Sequence[int]]) -> list[list[int]]:
    """The nodes of each connected part, the largest first."""
    parts: list[list[int]] = []
    seen = bytearray(len(adjacency))
    for start in range(len(adjacency)):
        if seen[start]:
            continue
        seen[start] = 1
        part = [start]
        for node in part:
            for other in adjacency[node]:
                if not seen[other]:
                    seen[other] = 1
                    part.append(other)
        parts.append(part)
    parts.sort(key=len, reverse=True)
    return parts


def paths(adjacency: Sequence[Sequence[int]], random: Random) -> Paths:
    """
    Shortest paths.

    @param random: draws the sources if they are a sample.
    """
    count = len(adjacency)
    sources = range(count) if count <= MAX_SOURCES else random.sample(range(count), SAMPLE)
    reached = [0] * count
    for bit, node in enumerate(sources):
        reached[node] = 1 << bit
    waves = dict(enumerate(reached)) if len(sources) == count else {node: reached[node] for node in sources}
    pairs = total = steps = 0
    while waves:
        steps += 1
        arriving: dict[int, int] = {}
        for node, wave in waves.items():
            for other in adjacency[node]:
                arriving[other] = arriving.get(other, 0) | wave
        waves = {}
        found = 0
        for node, wave in arriving.items():
            new = wave & ~reached[node]
            if new:
                reached[node] |= new
                waves[node] = new
                found += new.bit_count()
        pairs += found
        total += steps * found
    return Paths(total / pairs if pairs else 0.0, max(0, steps - 1), len(sources))


def clustering(adjacency: Sequence[Sequence[int]]) -> float:
    """The share of the possible links among a node's neighbours that exist, averaged over all nodes."""
    if not adjacency:
        return 0.0
    sets = [set(others) for others in adjacency]
    total = 0.0
    for others in sets:
        degree = len(others)
        if degree > 1:
            # Each link among the neighbours is met from both of its ends.
            total += sum(len(others & sets[other]) for other in others) / (degree * (degree - 1))
    return total / len(adjacency)
