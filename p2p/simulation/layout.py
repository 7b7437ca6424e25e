"""
Where nodes are drawn.

A random network of hundreds of peers has no shape that a layout could find, and
what does have one, a partition, is known.  So each group that a partition makes
gets a disc of its own, and what one then sees is which links cross the gap.
Within a disc, nodes stand on rings, evenly, so that none hides another.  Who is
next to whom comes from a spring layout where that is quick.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import atan2, cos, hypot, pi, sin, sqrt

Position = tuple[float, float]

WIDTH, HEIGHT = 1.6, 1.0
"""Nodes are drawn within these, y downwards; the seeds in a row at the top."""

SPRING = 500
"""Nodes of a disc up to which springs are tried; beyond, NetworkX wants another library and the result is a blot."""

_TOP = 0.13


def layout(
    seeds: int, peers: int, links: Iterable[tuple[int, int]], groups: Sequence[Sequence[int]] = ()
) -> tuple[list[Position], list[tuple[float, float, float]]]:
    """
    Place all nodes; the seeds are the first.

    @param links: between whom, as often as they weigh.
    @param groups: those who stand together.
    @return: the places, and the disc of each group: x, y and radius.
    """
    places = [((number + 1) * WIDTH / (seeds + 1), 0.05) for number in range(seeds)]
    places += [(0.0, 0.0)] * peers
    member = {node: number for number, group in enumerate(groups) for node in group if node >= seeds}
    discs = [[node for node in group if node >= seeds] for group in groups] or [[]]
    discs[0] = sorted({*discs[0], *(node for node in range(seeds, seeds + peers) if node not in member)})
    weights = Counter(link if link[0] < link[1] else (link[1], link[0]) for link in links)
    # Side by side, of areas that are as the numbers of nodes, as large as there is room.
    radii = [sqrt(max(1, len(disc))) for disc in discs]
    gap = 0.05 if len(discs) > 1 else 0.0
    scale = min((WIDTH - gap * (len(discs) + 1)) / (2 * sum(radii)), (HEIGHT - _TOP) / (2 * max(radii)))
    x = (WIDTH - 2 * scale * sum(radii) - gap * (len(discs) - 1)) / 2
    y = (HEIGHT + _TOP) / 2
    circles = []
    for disc, radius in zip(discs, radii, strict=True):
        radius *= scale
        x += radius
        # A single disc is drawn as wide as there is room.
        stretch = 1.75 if len(discs) == 1 else 1.0
        for node, (right, down) in _onRings(disc, weights).items():
            places[node] = x + right * radius * 0.94 * stretch, y + down * radius * 0.94
        circles.append((x, y, radius))
        x += radius + gap
    return places, circles


def _onRings(nodes: Sequence[int], weights: Counter[tuple[int, int]]) -> dict[int, Position]:
    """Nodes in the unit circle, evenly."""
    found = _springs(nodes, weights)
    inward = sorted(nodes, key=lambda node: (hypot(*found[node]), node)) if found else list(nodes)
    rings = 0
    while 1 + 3 * rings * (rings + 1) < len(inward):
        rings += 1
    placed: dict[int, Position] = {}
    start, ring = 0, 0
    while start < len(inward):
        room = 6 * ring or 1
        here = inward[start : start + room]
        if found:
            here.sort(key=lambda node: (atan2(found[node][1], found[node][0]), node))
        for number, node in enumerate(here):
            angle = 2 * pi * (number + 0.5 * (ring % 2)) / len(here) - pi
            placed[node] = ring / max(1, rings) * cos(angle), ring / max(1, rings) * sin(angle)
        start += room
        ring += 1
    return placed


def _springs(nodes: Sequence[int], weights: Counter[tuple[int, int]]) -> dict[int, Position]:
    """A spring layout of a few nodes; empty for many, and without NetworkX."""
    if not 2 < len(nodes) < SPRING:
        return {}
    try:
        import networkx
    except ImportError:
        return {}
    graph = networkx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_weighted_edges_from((a, b, weight) for (a, b), weight in weights.items() if a in graph and b in graph)
    positions = networkx.spring_layout(graph, seed=1, iterations=40)
    return {node: (float(x), float(y)) for node, (x, y) in positions.items()}
