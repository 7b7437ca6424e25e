"""
HyParView against its paper (Leitao, Pereira, Rodrigues, DSN 2007, section 5): graph, and reach after crashes.

Peers join one after the other through the first one, one every tenth of a second, and 50 shuffles of each follow (10
where they are fewer than 10,000). At 10,000 peers the paper gives a mean path of 6.385 links, a clustering of 0.00092
and 5 links for 99.8 % of the peers; at other sizes the graph is compared with a random one of as many links, whose
clustering is (d - 1)^2 / (d N).

Then a share of the peers crashes at one instant. The others see that those links have broken off, and replace them
while 1,000 messages follow each other within C{shuffleInterval}, the first a hundredth of a second after the crash.
The reach of a message is the share of the living peers to which there is a way from its origin at that moment: what a
flood would reach that takes no time. Means of the paper: 100 % after crashes of up to half, 99.9 of 60 to 80 %, 99.65
of 90 %, 90.86 of 95 %.

The overlays are driven on L{p2p.test.model.links}, whose links take no time, as those of the paper's simulation.
L{p2p.test.model.hyparviewpeers} does the same with whole peers, on links that take some.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from random import Random

import networkx

from p2p.settings import PeerSettings
from p2p.simulation import graph
from p2p.test.model.figure import Figure, about, atLeast, atMost, between, exactly
from p2p.test.model.links import Links

SMALL = 1000
LARGE = 10_000
LONG = True

CYCLES = 50
"""Shuffles of each peer, after the last one has joined, at the paper's size."""

FEWER = 10
"""And at smaller ones, where that is enough."""

EVERY = 0.1
"""Seconds between two joins."""

MESSAGES = 1000

CRASHES = ((0.5, 1.0), (0.8, 0.995), (0.9, 0.99), (0.95, 0.9))
"""Share of the peers that crash, and mean reach that is to be had."""

PATHS = {10_000: (6.33, 6.43)}
"""Mean path length, where the paper gives it."""

WITHIN = 0.02
"""And where it does not: so far from a random graph's, as a share of that."""

CLUSTERING = 4.7
"""The clustering is at most so many times a random graph's: at 10,000 peers, 0.0015."""

SETTINGS = PeerSettings(overlay="hyparview")


def check(peers: int) -> Iterator[Figure]:
    """Let them join, look at the graph, and let a part of them crash, each time anew."""
    links = joined(peers, SETTINGS)
    adjacency = links.adjacency()
    yield from figures(adjacency)
    yield atMost("links that a peer has dialled", SETTINGS.maxConnections, max(peer.dialled for peer in links.peers))
    for share, least in CRASHES:
        reaches = _apart(lambda share=share: reach(links, share))  # type: ignore[misc]
        what = f"mean reach of {MESSAGES} messages after a crash of {share:.0%}"
        yield atLeast(what, least, sum(reaches) / len(reaches))


def joined(peers: int, settings: PeerSettings, seed: int = 1, latency: float = 0.0) -> Links:
    """So many peers after their cycles."""
    links = Links(settings, latency, seed)
    first = links.join([])
    for _ in range(peers - 1):
        links.run(EVERY)
        links.join([first.contact])
    links.run((CYCLES if peers >= LARGE else FEWER) * settings.shuffleInterval)
    return links


def figures(adjacency: list[list[int]], least: float = 0.995) -> Iterator[Figure]:
    """
    What the graph is like.

    @param least: the share of the peers that must have as many links as they want.
    """
    peers, size = len(adjacency), SETTINGS.activeView
    full = sum(len(others) == size for others in adjacency) / peers
    yield atLeast(f"share of the peers with {size} links", least, full)
    yield atMost("links of a peer", size, max(map(len, adjacency)))
    yield exactly("components", 1, len(graph.components(adjacency)))
    expected = (size - 1) ** 2 / (size * peers)
    yield atMost("clustering", CLUSTERING * expected, graph.clustering(adjacency))
    length = graph.paths(adjacency, Random(1)).average
    if peers in PATHS:
        yield between("mean path length, links", *PATHS[peers], length)
    else:
        made = networkx.random_regular_graph(size, peers, seed=1)
        other = graph.paths([list(made.adj[node]) for node in range(peers)], Random(1)).average
        yield about("mean path length, links", other, length, WITHIN * other)


def reach(links: Links, share: float) -> list[float]:
    """Crash so many, and look how far a message would come, again and again until the next shuffle is due."""
    living = links.living()
    for peer in links.random.sample(living, round(share * len(living))):
        peer.crash()
    found = []
    for _ in range(MESSAGES):
        links.run(links.settings.shuffleInterval / MESSAGES)
        adjacency = links.adjacency()
        origin = links.random.randrange(len(adjacency))
        part = next(part for part in graph.components(adjacency) if origin in part)
        found.append(len(part) / len(adjacency))
    return found


def _apart(call: Callable[[], list[float]]) -> list[float]:
    """What it returns, done in a process of its own, so that what it changes here stays as it is."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            with os.fdopen(writing, "w") as there:
                json.dump(call(), there)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as here:
        found: list[float] = json.load(here)
    os.waitpid(child, 0)
    return found
