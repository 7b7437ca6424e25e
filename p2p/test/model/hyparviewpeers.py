"""
HyParView in whole peers, with seeds, pings and links that take time: the same graph, and the same reach after crashes.

L{p2p.test.model.hyparview} drives the overlay alone, on links that are but names. Here the peers are those of the
daemons, on the simulated network: each asks a seed whom there is, and joins through one of those; a dial takes a round
trip and a handshake, latencies are 10 to 100 ms; a broken link is found out by its reset. The graph must be the same.

The messages that follow a crash are flooded; the first is sent at the instant of the crash. A peer that is linked anew
is sent what it missed, so a message may arrive after a repair: the reach is that within 10 s.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2p.simulation.run import Run
from p2p.simulation.scenario import parseScenario
from p2p.test.model.figure import Figure, atLeast, exactly
from p2p.test.model.hyparview import CYCLES, EVERY, FEWER, figures

SMALL = 60
LARGE = 1000
LONG = True

CRASHES = ((0.5, 1.0), (0.9, 0.99))
"""Share of the peers that crash, and mean reach that is to be had."""

SCENARIO = """
name = "HyParView"
seed = 3
duration = {end}
peers = {{ count = {peers}, join = {{ every = {every} }}, options = {{ overlay = "hyparview", gossipCount = 0 }} }}

[measure]
window = 10.0
traffic = false

[[events]]
at = {at}
crash = {{ fraction = {share} }}

[[events]]
at = {at}
publish = {{ count = 100, every = 0.1, from = "random" }}

[expect]
dialled = 4
falseDeaths = 0
"""


def check(peers: int) -> Iterator[Figure]:
    """Let them join, look at the graph, and let a part of them crash, each time anew."""
    at = EVERY * peers + 10.0 * (CYCLES if peers >= LARGE else FEWER)
    for share, least in CRASHES:
        scenario = SCENARIO.format(peers=peers, every=EVERY, at=at, share=share, end=at + 20.0)
        run = Run.of(parseScenario(scenario))
        graphs: list[list[list[int]]] = []
        run.network.callAt(at - 0.1, lambda run=run, graphs=graphs: graphs.append(run.measure.adjacency()))  # type: ignore[misc]
        results = run.go()
        if share == CRASHES[0][0]:
            # Some that have a link too few have not found each other; the more of them where they are few.
            yield from figures(graphs[0], 0.99 if peers >= LARGE else 0.9)
        yield exactly(f"statements that do not hold, with a crash of {share:.0%}", 0, len(results["broken"]))
        reached = sum(broadcast["reached"] for broadcast in results["broadcasts"])
        live = sum(broadcast["live"] for broadcast in results["broadcasts"])
        yield atLeast(f"mean reach after a crash of {share:.0%}", least, reached / live)
