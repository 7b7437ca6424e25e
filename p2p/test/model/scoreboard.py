"""
25 peers, 100 ms a hop, 50 messages a second from random ones: what a message costs in frames and time.

After challenge 3e of Fly.io's distributed systems exercises, where frames between nodes are counted, several messages
may share one, and the links may be chosen: fewer than 20 a message, median below 1 s, maximum below 2 s. Here: fewer
than 12 with all control, median below 0.4 s, maximum below 0.6 s. The peers are the real ones, with everything that
they do; counted are all frames that arrive between peers, whatever their type, pings and answers too.

A tree has 48 ends. If each sends at most one frame in a time B and messages come at the rate R, a message costs up to
48 / (B R) frames; and over h hops it takes h (0.1 s + B / 2) on average, h (0.1 s + B) at most. The two ask for few
hops. Links outside the tree cost two announcements in each C{lazyDelay}, and four pings and pongs in each
C{livenessInterval}: both are made longer here than by default.

B{Linked to all}, which the exercise allows, the tree is a star, for who sends first to all is everybody's parent: two
hops. B{With the mission's four dialled links} it is four hops across, or five: then the maximum is 0.1 s too long for
any B with which the frames are few enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from p2p.peer.delivery import Delivery
from p2p.simulation.run import Run
from p2p.simulation.scenario import parseScenario
from p2p.test.model.figure import Figure, atMost, exactly

SMALL = LARGE = 25

RATE = 50
SETTLING = 40.0
SECONDS = 20.0

ALL = (
    'overlay = "hyparview", activeView = 24, maxConnections = 24, maxInbound = 24, shuffleInterval = 100.0,'
    " batchDelay = 0.1, lazyDelay = 5.0, livenessInterval = 10.0"
)
"""The one setting, where everyone may be linked to everyone."""

FOUR = "batchDelay = 0.05, lazyDelay = 5.0, livenessInterval = 10.0"
"""The one setting for the default overlay."""

SCENARIO = """
name = "the scoreboard"
seed = 3
duration = END
network.latency.constant = 0.1
peers = { count = PEERS, options = { gossipCount = 0, broadcast = "plumtree", seedInterval = 86400.0, OPTIONS } }

[[events]]
at = 15.0
publish = { count = 1, from = "peer-0" }

[[events]]
at = 20.0
publish = { count = COUNT, every = EVERY, from = "random" }
"""


def check(peers: int) -> Iterator[Figure]:
    """Let them settle, and count."""
    for what, options, longest in ("linked to all", ALL, 0.6), ("four dialled", FOUR, 0.75):
        found = measure(peers, options)
        yield exactly(f"{what}: deliveries that did not come", 0, found["missed"])
        yield atMost("... frames a message, everything included", 12, found["frames"])
        yield atMost("... of them payloads and their control", 12, found["broadcast"])
        yield atMost("... delivery, median, s", 0.4, found["median"])
        yield atMost("... delivery, maximum, s", longest, found["maximum"])


def measure(peers: int, options: str) -> dict[str, Any]:
    """
    Run it with these settings.

    @return: C{links}, C{missed}, C{frames} and C{broadcast} (those of them that are the broadcast's) a message,
        C{median} and C{maximum} of the time from a message's sending to its delivery, over messages and peers.
    """
    count = int(RATE * (SETTLING + SECONDS))
    begin, end = 20.0 + SETTLING, 20.0 + SETTLING + SECONDS
    text = SCENARIO.replace("OPTIONS", options).replace("PEERS", str(peers)).replace("COUNT", str(count))
    run = Run.of(parseScenario(text.replace("EVERY", str(1 / RATE)).replace("END", str(end + 10.0))))
    sent: dict[str, float] = {}
    late: list[float] = []
    traffic = run.measure.traffic
    assert traffic is not None
    types = {"frames": range(20, 50), "broadcast": range(20, 29)}
    counts: list[dict[str, int]] = []

    def look() -> None:
        counts.append({name: sum(traffic.frames[number] for number in numbers) for name, numbers in types.items()})

    def delivered(delivery: Delivery) -> None:
        if delivery.sender is None:
            if begin <= run.network.now < end:
                sent[delivery.id] = run.network.now
        elif delivery.id in sent:
            late.append(run.network.now - sent[delivery.id])

    def listen() -> None:
        for node in run.swarm.running():
            node.service.subscribe(delivered)

    run.network.callAt(10.0, listen)
    run.network.callAt(begin, look)
    run.network.callAt(end, look)
    results = run.go()
    return {
        "links": results["overlay"]["links"],
        "missed": len(sent) * (peers - 1) - len(late),
        "median": median(late),
        "maximum": max(late),
        **{name: (counts[1][name] - counts[0][name]) / len(sent) for name in types},
    }
