"""
Random links, flooding and heartbeats, running: the default peers with all that they do.

B{Flood}: on a connected overlay of E links and N peers a message costs exactly 2E - (N - 1) payload frames and reaches
everyone. Where every link takes the same time, it goes the shortest way: the last hop is the eccentricity of its origin
in the graph, and the last delivery comes after so many latencies.

B{Overlay}: each newcomer dials some of those who were there before it, whom it draws, and goes on to the next where it
is refused for want of room. Graphs that grow like this, and nothing else, have the same clustering, which is more than
that of a random graph with such degrees, and more so the more peers there are. Their paths are half a hundredth
shorter, as in them all come strictly one after the other.

B{Heartbeat}: a process that dies is found out when the reset of a connection has arrived and a fresh dial was refused:
three latencies. A machine that falls silent is called dead after C{livenessMisses} intervals without a sign of life and
C{probeTimeout}; or up to an interval later, for it falls silent somewhere between two ticks; and a latency sooner or
later, for what counts is when its last pong left, or when its last ping arrives. What is compared is the first verdict
on each: others than its neighbours may dial it later, and find out then.

Peers exchange a link now and then (C{seedInterval} is a day here, each begins somewhere in it). A message is left out
if the graph after it is not that before it; most must be left in.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from statistics import mean, stdev
from typing import Any

import networkx

from p2p.settings import PeerSettings
from p2p.simulation import graph
from p2p.simulation.run import Run
from p2p.simulation.scenario import parseScenario
from p2p.test.model.figure import Figure, about, atLeast, between, exactly

SMALL = 60
LARGE = 10_000

LATENCY = 0.05
FIRST = 20.0
MESSAGES = 10
EVERY = 1.0
KILLED = 5
GROWN = 12

SCENARIO = f"""
name = "the mission's own"
seed = 11
duration = 42.0
network.latency.constant = {LATENCY}
peers = {{ count = PEERS, join = {{ over = 10.0 }}, options = {{ gossipCount = 0, seedInterval = 86400.0 }} }}

[measure]
window = {0.9 * EVERY}

[[events]]
at = {FIRST}
publish = {{ count = {MESSAGES}, every = {EVERY} }}

[[events]]
at = 31.0
crash = {{ count = {KILLED} }}

[[events]]
at = 33.0
crash = {{ count = {KILLED}, host = true }}
"""


def check(peers: int) -> Iterator[Figure]:
    """Let them join, say something, and some of them die."""
    run = Run.of(parseScenario(SCENARIO.replace("PEERS", str(peers))))
    looks: list[list[list[int]]] = []
    for number in range(MESSAGES + 1):
        # Just before each message, and after the last one.
        run.network.callAt(FIRST + EVERY * (number - 0.1), lambda: looks.append(run.measure.adjacency()))
    results = run.go()
    yield exactly("statements that do not hold", 0, len(results["broken"]))
    yield exactly("live peers called dead", 0, len(results["falseDeaths"]))
    yield from _flood(peers, looks, results["broadcasts"])
    yield from _overlay(peers, looks[0])
    yield from _heartbeat(results["deaths"])


def _flood(peers: int, looks: list[list[list[int]]], broadcasts: list[dict[str, Any]]) -> Iterator[Figure]:
    """The first message's figures, and how many messages have others than they should."""
    same = [number for number in range(MESSAGES) if looks[number] == looks[number + 1]]
    yield atLeast(f"messages, of {MESSAGES}, during which no link changed", MESSAGES / 2, len(same))
    yield exactly("messages in all", MESSAGES, len(broadcasts))
    wrong = dict.fromkeys(("payload frames", "reach", "last hop", "last delivery"), 0)
    for number in same:
        broadcast, adjacency = broadcasts[number], looks[number]
        links = sum(map(len, adjacency)) // 2
        made = networkx.from_dict_of_lists(dict(enumerate(adjacency)))
        far = networkx.eccentricity(made, int(broadcast["origin"].removeprefix("peer-")))
        wrong["payload frames"] += broadcast["payloads"] != 2 * links - (peers - 1)
        wrong["reach"] += broadcast["reached"] != peers
        wrong["last hop"] += broadcast["lastHop"] != far
        wrong["last delivery"] += abs(broadcast["lastDelivery"] - LATENCY * far) > 1e-5
        if number == same[0]:
            yield exactly("payload frames of the first, 2E - (N - 1)", 2 * links - (peers - 1), broadcast["payloads"])
            yield exactly("its last hop, the eccentricity of its origin", far, broadcast["lastHop"])
            yield about("its last delivery, s", LATENCY * far, broadcast["lastDelivery"], 1e-5)
            yield exactly("peers that it reached", peers, broadcast["reached"])
    for what, count in wrong.items():
        yield exactly(f"messages with another {what} than they should have", 0, count)


def _overlay(peers: int, adjacency: list[list[int]]) -> Iterator[Figure]:
    """What the graph is like, compared with others that have grown."""
    yield exactly("components", 1, len(graph.components(adjacency)))
    others = [_grown(peers, Random(number)) for number in range(GROWN)]
    # With some hundred triangles, at any size, each differs from the next by a tenth.
    clusterings = [graph.clustering(other) for other in others]
    yield about("clustering", mean(clusterings), graph.clustering(adjacency), 4 * stdev(clusterings))
    lengths = [graph.paths(other, Random(1)).average for other in others]
    error = 0.01 * mean(lengths) + 4 * stdev(lengths)
    yield about("mean path length, links", mean(lengths), graph.paths(adjacency, Random(1)).average, error)


def _grown(peers: int, random: Random) -> list[list[int]]:
    """Whom each is linked to if one after the other draws C{min(random 1..n, 4)} of the n before it that have room."""
    settings = PeerSettings()
    adjacency: list[list[int]] = [[]]
    taken = [0] * peers
    for newcomer in range(1, peers):
        wanted = min(random.randint(1, newcomer), settings.maxConnections)
        asked: set[int] = set()
        dialled: list[int] = []
        while len(dialled) < wanted and len(asked) < newcomer:
            other = random.randrange(newcomer)
            if other not in asked and taken[other] < settings.maxInbound:
                dialled.append(other)
            asked.add(other)
        adjacency.append(dialled)
        for other in dialled:
            adjacency[other].append(newcomer)
            taken[other] += 1
    return adjacency


def _heartbeat(deaths: list[dict[str, Any]]) -> Iterator[Figure]:
    """When neighbours knew of those who died."""
    settings = PeerSettings()
    least = settings.livenessMisses * settings.livenessInterval + settings.probeTimeout
    for name, at in (("processes", 31.0), ("machines", 33.0)):
        these = [death["firstDetected"] for death in deaths if death["at"] == at and death["survivors"]]
        yield atLeast(f"{name} that died and had neighbours", 1, len(these))
        yield exactly("... whose deaths nobody found out", 0, these.count(None))
        known = [seconds for seconds in these if seconds is not None]
        for which, seconds in (("soonest", min(known)), ("latest", max(known))):
            what = f"the death that was known {which}, s"
            if name == "processes":
                yield about(what, 3 * LATENCY, seconds, 1e-5)
            else:
                yield between(what, least - LATENCY, least + settings.livenessInterval + LATENCY, seconds)
