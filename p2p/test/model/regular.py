"""
What is measured of a graph, on random regular graphs of degree 5, whose figures are known.

Mean path lengths are those of Leitao, Pereira, Rodrigues (HyParView, DSN 2007) and of anybody else who draws such a
graph: 4.70 links at 1,000 nodes, 6.36 at 10,000. Triangles of a random d-regular graph of N nodes are distributed after
Poisson with the mean (d-1)^3/6, whatever N (Bollobas, Random Graphs, 2.4), so its clustering is (d-1)^2/(dN) on average
and has the relative error of that count: one over the root of the triangles expected in all graphs together.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from random import Random

import networkx

from p2p.simulation import graph
from p2p.test.model.figure import Figure, about, exactly

SMALL = 1000
LARGE = 10_000

DEGREE = 5
GRAPHS = 12

PATHS = {1000: 4.70, 10_000: 6.36}
"""The mean path length, to the last digit that is known."""


def check(peers: int) -> Iterator[Figure]:
    """Draw some graphs, and measure them."""
    random = Random(5)
    clustering = 0.0
    for number in range(GRAPHS):
        made = networkx.random_regular_graph(DEGREE, peers, seed=number)
        adjacency = [sorted(made.adj[node]) for node in range(peers)]
        clustering += graph.clustering(adjacency) / GRAPHS
        if number == 0:
            yield exactly("components", 1, len(graph.components(adjacency)))
            if peers in PATHS:
                found = graph.paths(adjacency, random)
                yield about("mean path length, links", PATHS[peers], found.average, 0.01)
    expected = (DEGREE - 1) ** 2 / (DEGREE * peers)
    error = 1 / sqrt(GRAPHS * (DEGREE - 1) ** 3 / 6)
    yield about(f"clustering, mean of {GRAPHS} graphs", expected, clustering, 3 * error * expected)
