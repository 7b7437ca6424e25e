"""
What the broadcasts promise, on real peers: nothing is lost between those that stay.

B{Partition}: half of the network is cut off for a minute, and both halves go on publishing. 20 s after it has healed,
every message of both halves is at every peer. B{Churn}: peers are killed and others join, much faster than in earnest,
while messages are published. Who was up from a message's sending to the end has it. B{Beyond the window}: where more is
published during the partition than peers keep, the missing are exactly those that each peer calls lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from p2p.simulation.run import Run
from p2p.simulation.scenario import parseScenario
from p2p.test.model.figure import Figure, atMost, exactly

SMALL = 16
LARGE = 500
LONG = True

SECONDS = 20.0
"""After the healing."""

BEGIN = """
name = "what is promised"
seed = 5
duration = DURATION

[seeds]
count = 2

[peers]
count = PEERS
join = { over = 5.0 }
options = { gossipCount = 0, seedInterval = 10.0, OPTIONS }
"""

PARTITION = """
[[events]]
at = 15.0
partition = { groups = [0.5, 0.5], for = 60.0 }

[[events]]
at = 16.0
publish = { count = 116, every = 0.5 }
"""

CHURN = """
[[events]]
at = 15.0
churn = { rate = 0.5, for = 60.0 }

[[events]]
at = 15.0
publish = { count = 120, every = 0.5 }
"""


def check(peers: int) -> Iterator[Figure]:
    """With each broadcast, over each overlay."""
    for broadcast in ("plumtree", "flood"):
        for overlay in ("random", "hyparview"):
            what, options = f"{broadcast} over {overlay}", f'broadcast = "{broadcast}", overlay = "{overlay}"'
            found = _run(peers, options, PARTITION, 75.0 + SECONDS).go()["broadcasts"]
            yield exactly(f"{what}, partition: messages", 116, len(found))
            yield exactly("... deliveries that did not come", 0, sum(b["live"] - b["reached"] for b in found))
            last = max(b["at"] + b["lastDelivery"] for b in found) - 75.0
            yield atMost("... the last after the healing, s", SECONDS, last)
        found = _run(peers, f'broadcast = "{broadcast}"', CHURN, 75.0 + SECONDS).go()["broadcasts"]
        missed = sum(b["live"] - b["reached"] for b in found)
        yield exactly(f"{broadcast}, churn: deliveries that did not come", 0, missed)
        yield from _beyond(peers, broadcast)


def _beyond(peers: int, broadcast: str) -> Iterator[Figure]:
    """Peers that keep twenty messages only."""
    run = _run(peers, f'broadcast = "{broadcast}", historyMessages = 20', PARTITION, 120.0)
    lost: list[dict[str, Any]] = []

    def listen() -> None:
        for node in run.swarm.running():
            node.service.events.subscribe(lambda event: lost.append(event) if event["type"] == "lost" else None)

    run.network.callAt(10.0, listen)
    found = run.go()["broadcasts"]
    missed = sum(b["live"] - b["reached"] for b in found)
    said = sum(event["last"] - event["first"] + 1 for event in lost)
    yield exactly(f"{broadcast}, beyond the window: runs in which something is missing", 1, int(missed > 0))
    yield exactly("... missing messages that nobody calls lost, and the other way round", 0, missed - said)


def _run(peers: int, options: str, events: str, duration: float) -> Run:
    text = BEGIN.replace("PEERS", str(peers)).replace("OPTIONS", options).replace("DURATION", str(duration))
    return Run.of(parseScenario(text + events))
