"""
Plumtree on a random graph in which each has five links, with one sender: what a settled tree costs.

B{Closed forms}: of E links between N peers the tree takes N - 1. The first message goes over all links, as a flood:
2E - (N - 1) times. From the second on a payload is sent N - 1 times, and announced 2(E - (N - 1)) times, once for each
end of a link outside the tree. A tree that gets shorter announces a few more on the way.

B{Published} (Leitao, Pereira, Rodrigues, SRDS 2007, on HyParView's overlay, 10,000 peers): relative message redundancy
2.03, 0.89, 0.04, 0.02 of the first four messages, and a last hop of 8.3 with a threshold of 3. There a peer begins with
four of its five neighbours eager, and the cycles of the simulator are its clock; here all five are, so the first
message has 2E / (N - 1) - 2 = 3.0; the second has 0. Last hops depend on what a hop takes: where that is always the
same, the tree is one of shortest ways from the start; where it is drawn for each message, it gets shorter by and by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from p2p.test.mesh import Mesh
from p2p.test.model.figure import Figure, atMost, exactly

SMALL = 300
LARGE = 10_000

DEGREE = 5
MESSAGES = 8
EVERY = 6.0

PUBLISHED = (2.03, 0.89, 0.04, 0.02)
"""The redundancy of the first messages."""

LAST_HOP = 8.3
"""The published last hop at 10,000 peers."""


def check(peers: int) -> Iterator[Figure]:
    """One sender, twice."""
    yield from _settled(peers, "equal latencies", lambda random: 0.05)
    yield from _settled(peers, "latencies of 10 to 100 ms", lambda random: random.uniform(0.010, 0.100))


def _settled(peers: int, what: str, latency: Callable[[Random], float]) -> Iterator[Figure]:
    mesh = Mesh(peers, latency=latency)
    mesh.regular(DEGREE)
    mesh.run(3.0)
    links, tree = len(mesh.links()), peers - 1
    equal = what.startswith("equal")
    last = 0
    for number in range(1, MESSAGES + 1):
        mesh.forget()
        mesh.nodes[0].publish(b"x")
        mesh.run(EVERY)
        reached = sum(len(node.got) for node in mesh.nodes)
        last = max(hops for node in mesh.nodes for _, _, _, hops in node.got)
        yield exactly(f"{what}, message {number}: peers reached", peers, reached)
        expected = 2 * links - tree if number == 1 else tree
        yield exactly("... payloads", expected, mesh.copies)
        if number == 1:
            continue
        if number <= len(PUBLISHED):
            redundancy = mesh.copies / tree - 1
            yield atMost("... redundancy, at most the published", PUBLISHED[number - 1], redundancy)
        outside = 2 * (links - tree)
        if equal:
            yield exactly("... announcements, 2(E - (N - 1))", outside, mesh.announcements)
            yield exactly("... other frames", 0, mesh.frames["Graft"] + mesh.frames["Prune"])
        elif number == MESSAGES:
            yield atMost("... announcements, by 2(E - (N - 1))", 1.01, mesh.announcements / outside)
    if equal and peers == LARGE:
        yield atMost("last hop, published 8.3", LAST_HOP, last)
