"""
Lifeguard: how often the living are called dead while others are blocked, with its three parts and without.

As its authors measured it (Dadgar, Phillips, Currey 2017, section V): a quarter of the peers is blocked for 0.1 to 16
seconds, again and again. What they send and are sent waits, while their clocks run on. All others are healthy, and
should never be called dead; least of all by one another: not once. The blocked ones may take the others for dead; with
Lifeguard (they notice that their helpers do not answer, and nobody confirms what they suspect) at least 50 times more
rarely than without. (Published: 20 times.)

Who is blocked cannot be told from a dead one while it lasts, so verdicts on those are no errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from p2p.settings import PeerSettings, SeedSettings
from p2p.simulation.errors import Errors
from p2p.simulation.latency import uniform
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.swarm import Node, Swarm
from p2p.simulation.traffic import Traffic
from p2p.test.model.figure import Figure, atLeast, exactly
from p2p.wire.messages import Ack, Faulty, Nack, Ping, PingReq, Pong, Refute, Suspect

SMALL = 24
LARGE = 128
LONG = True

SHORTEST, LONGEST = 0.1, 16.0
"""Seconds for which one is blocked, and then left alone, each time."""

JOINING = 10.0
"""Virtual seconds within which all peers join."""

SETTLING = 10.0
"""Virtual seconds after that before the first is blocked, and after the last was."""

PARTS = {"probe": "lifeguardProbe", "suspicion": "lifeguardSuspicion", "buddy": "lifeguardBuddy"}
"""Lifeguard's parts, and the settings that switch them."""

OWN = (Ping, Pong, PingReq, Ack, Nack, Suspect, Refute, Faulty)
"""What a detector sends."""


def check(peers: int) -> Iterator[Figure]:
    """With all parts and with none, under the same chance."""
    seconds = 600.0 if peers >= 100 else 80.0
    found = {
        on: measure(peers, peers // 4, seconds, "held", {"detector": "swim", **dict.fromkeys(PARTS.values(), on)}, 1)
        for on in (True, False)
    }
    with_, without = found[True], found[False]
    yield exactly("healthy ones called dead by healthy ones", 0, with_["healthyByHealthy"])
    yield exactly("... without Lifeguard", 0, without["healthyByHealthy"])
    yield atLeast("healthy ones called dead in all without Lifeguard", 50, without["healthyByBlocked"])
    most = without["healthyByBlocked"] / max(1, with_["healthyByBlocked"])
    yield atLeast("... so many times as often as with it", 50, most)
    yield exactly("healthy ones taken off the seed's list", 0, with_["healthyOffTheList"])
    yield exactly("errors", 0, with_["errors"] + without["errors"])


class Verdicts:
    """
    Watches a swarm, and counts who is called dead by whom.

    @ivar sick: the names of those that are blocked now and then.
    """

    def __init__(self) -> None:
        self.swarm: Swarm
        self.sick: set[str] = set()
        self.healthyByHealthy = self.healthyByBlocked = self.blocked = self.removed = 0

    def started(self, node: Node) -> None:
        """A process begins."""
        node.service.events.subscribe(lambda event: self._said(node, event), messages=False)

    def ended(self, node: Node, how: str) -> None:
        """A process is gone."""

    def happened(self, what: str, fields: dict[str, Any]) -> None:
        """Something was done."""

    def _said(self, node: Node, event: dict[str, Any]) -> None:
        if event["type"] not in ("dead", "removed"):
            return
        accused = self.swarm.at(event["address"])
        assert accused is not None
        if event["type"] == "removed":
            self.removed += accused.name not in self.sick and event["reason"] != "leaving"
        elif accused.name in self.sick:
            self.blocked += 1
        elif node.name in self.sick:
            self.healthyByBlocked += 1
        else:
            self.healthyByHealthy += 1


def measure(
    peers: int, blocked: int, seconds: float, how: str, options: dict[str, Any], seed: int
) -> dict[str, Any]:
    """
    Let peers live with some that are blocked again and again.

    @param seconds: for how long.
    @param how: C{"held"}, as above, or C{"stopped"}: the whole process stops, as by SIGSTOP.
    @param options: settings of the peers.
    """
    network = SimulatedNetwork(seed, uniform(0.010, 0.100))
    watcher = Verdicts()
    settings = PeerSettings(**{"gossipCount": 0, **options})
    watcher.swarm = swarm = Swarm(network, watcher, SeedSettings(), settings)
    traffic = Traffic()
    random: Random = network.stream("blocking")
    begin = JOINING + SETTLING
    end = begin + seconds

    def block(node: Node) -> None:
        if network.now < end:
            time = random.uniform(SHORTEST, LONGEST)
            if how == "held":
                network.faults.hold([node.host], None, duration=time)
            else:
                network.faults.pause(node.host, duration=time)
            network.callAt(network.now + time + random.uniform(SHORTEST, LONGEST), lambda: block(node))

    with Errors(lambda: network.now) as errors:
        swarm.begin(1)
        for number in range(peers):
            network.callAt(JOINING * number / peers, swarm.join)
        network.run(until=begin)
        sick = random.sample(swarm.running(), blocked)
        watcher.sick = {node.name for node in sick}
        network.watchArrivals(traffic.arrived)
        for node in sick:
            network.callAt(begin + random.uniform(0, LONGEST), lambda node=node: block(node))  # type: ignore[misc]
        network.run(until=end + LONGEST + SETTLING)
    frames = traffic.count(OWN)
    return {
        "detector": settings.detector,
        "parts": [part for part, name in PARTS.items() if getattr(settings, name)],
        "how": how,
        "seed": seed,
        "healthyByHealthy": watcher.healthyByHealthy,
        "healthyByBlocked": watcher.healthyByBlocked,
        "healthyOffTheList": watcher.removed,
        "blocked": watcher.blocked,
        "framesPerPeerAndSecond": round(frames / peers / (network.now - begin), 3),
        "errors": errors.count,
    }
