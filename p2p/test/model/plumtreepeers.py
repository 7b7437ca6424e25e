"""
Plumtree on random links: a tree for the payload, announcements on all other links.

After Leitao, Pereira, Rodrigues, Epidemic Broadcast Trees (SRDS 2007): on a connected overlay of E links and N peers
the first message of one sender is a flood, of 2E - (N - 1) payload frames. Once the tree has settled each costs N - 1,
so that the relative message redundancy, payloads / (N - 1) - 1, is 0; and each of the E - (N - 1) links that are not in
the tree carries an announcement in either direction. Latencies are random here, so that an announcement may come before
its message. What mends or shortens the tree is control, too: announcements are counted by the median.

Peers exchange a link now and then: what they do to the tree shows in the messages after it, and is left out with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from p2p.simulation.run import Run
from p2p.simulation.scenario import parseScenario
from p2p.test.model.figure import Figure, atLeast, atMost, exactly

SMALL = 60
LARGE = 10_000

FIRST = 20.0
MESSAGES = 20
EVERY = 1.0

SETTLED = 4
"""Messages of the same links after which the tree has settled, as in the paper's figure 2."""

SHORTENING = 0.001
"""
Share of the control frames that may be grafts and prunes: where latencies are random a way that is three hops shorter
turns up now and then, the more often the more peers there are.
"""

SCENARIO = f"""
name = "a tree"
seed = 3
duration = {FIRST + EVERY * (MESSAGES + 1)}
network.latency.uniform = [0.010, 0.100]

[peers]
count = PEERS
join = {{ over = 10.0 }}
options = {{ gossipCount = 0, seedInterval = 86400.0, broadcast = "plumtree" }}

[measure]
window = {0.95 * EVERY}

[[events]]
at = {FIRST}
publish = {{ count = {MESSAGES}, every = {EVERY}, from = "peer-0" }}
"""


def check(peers: int) -> Iterator[Figure]:
    """Let one of them speak."""
    run = Run.of(parseScenario(SCENARIO.replace("PEERS", str(peers))))
    looks: list[list[list[int]]] = []
    for number in range(MESSAGES + 1):
        run.network.callAt(FIRST + EVERY * number - 0.01, lambda: looks.append(run.measure.adjacency()))
    results = run.go()
    broadcasts = results["broadcasts"]
    links = sum(map(len, looks[0])) // 2
    yield exactly("statements that do not hold", 0, len(results["broken"]))
    yield exactly("messages in all", MESSAGES, len(broadcasts))
    yield exactly("messages that missed a peer", 0, sum(each["reached"] != peers for each in broadcasts))
    if looks[0] == looks[1]:
        yield exactly("payload frames of the first, 2E - (N - 1)", 2 * links - (peers - 1), broadcasts[0]["payloads"])
    settled = []
    same = 0
    for number, broadcast in enumerate(broadcasts):
        same = same + 1 if looks[number] == looks[number + 1] else 0
        if same > SETTLED:
            settled.append((broadcast, sum(map(len, looks[number])) // 2))
    yield atLeast(f"messages, of {MESSAGES}, on a tree that has settled", 3, len(settled))
    wrong = sum(broadcast["payloads"] != peers - 1 for broadcast, _ in settled)
    yield exactly("of these, with other than N - 1 payload frames", 0, wrong)
    if settled:
        broadcast, links = settled[-1]
        yield exactly("payload frames of the last, N - 1", peers - 1, broadcast["payloads"])
        more = median(broadcast["control"] - 2 * (links - (peers - 1)) for broadcast, links in settled)
        yield atMost("control frames beyond 2(E - (N - 1)), median", SHORTENING * 2 * (links - (peers - 1)), more)
        yield atLeast("... and not fewer", 0, more)
