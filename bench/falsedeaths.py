"""
How often the living are called dead, as Lifeguard's authors measured it (Dadgar, Phillips, Currey 2017, section V).

Of C{--peers} peers on the simulated network some are blocked for a while, again
and again: what they send and what is sent to them waits, while their clocks run
on (C{--how held}, which is what the paper's blocked processes do), or the whole process stops, as by SIGSTOP
(C{--how stopped}).  All others are healthy and should never be called dead;
least of all by one another.

Who is blocked cannot be told from a dead one while it lasts, so verdicts on
those are no errors; they are counted apart.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

import click

from p2p.settings import PeerSettings, SeedSettings
from p2p.simulation.latency import uniform
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.run import Errors, dropLog
from p2p.simulation.swarm import Node, Swarm
from p2p.simulation.traffic import Traffic
from p2p.wire.messages import Ack, Faulty, Nack, Ping, PingReq, Pong, Refute, Suspect

JOINING = 10.0
"""Virtual seconds within which all peers join."""

SETTLING = 10.0
"""Virtual seconds after that before the first is blocked, and after the last was."""

PARTS = {"probe": "lifeguardProbe", "suspicion": "lifeguardSuspicion", "buddy": "lifeguardBuddy"}
"""Lifeguard's parts, and the settings that switch them."""

OWN = (Ping, Pong, PingReq, Ack, Nack, Suspect, Refute, Faulty)
"""What a detector sends."""


class Verdicts:
    """Watches a swarm, and counts who is called dead by whom."""

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
    peers: int, blocked: int, seconds: float, shortest: float, longest: float, how: str, options: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """
    Let peers live with some that are blocked again and again.

    @param seconds: for how long.
    @param shortest: one is blocked, and then left alone, for at least so long each time,
    @param longest: and for at most so long, by chance.
    @param how: C{"held"} or C{"stopped"}.
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
            time = random.uniform(shortest, longest)
            if how == "held":
                network.faults.hold([node.host], None, duration=time)
            else:
                network.faults.pause(node.host, duration=time)
            network.callAt(network.now + time + random.uniform(shortest, longest), lambda: block(node))

    with Errors(lambda: network.now) as errors:
        swarm.begin(1)
        for number in range(peers):
            network.callAt(JOINING * number / peers, swarm.join)
        network.run(until=begin)
        network.freeze()
        sick = random.sample(swarm.running(), blocked)
        watcher.sick = {node.name for node in sick}
        network.watchArrivals(traffic.arrived)
        for node in sick:
            network.callAt(begin + random.uniform(0, longest), lambda node=node: block(node))  # type: ignore[misc]
        network.run(until=end + longest + SETTLING)
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


@click.command()
@click.option("--peers", default=128, type=click.IntRange(3), show_default=True)
@click.option("--blocked", default=32, type=click.IntRange(0), show_default=True, help="How many of them.")
@click.option("--seconds", default=600.0, show_default=True, help="Virtual seconds in which they are.")
@click.option("--shortest", default=0.1, show_default=True, help="Seconds that one is blocked, and then not, at least.")
@click.option("--longest", default=16.0, show_default=True, help="The same at most.")
@click.option("--how", default="held", type=click.Choice(["held", "stopped"]), show_default=True,
              help="What they send and are sent waits, or the process stops.")
@click.option("--parts", default="all,none", show_default=True,
              help="Lifeguard's parts that are on, +-joined, of each run: none, all, probe+buddy, ..., or heartbeat.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "asJson", is_flag=True, help="Print JSON instead of a table.")
def command(
    peers: int, blocked: int, seconds: float, shortest: float, longest: float, how: str, parts: str, seed: int,
    asJson: bool,
) -> None:
    """How often live peers are called dead while others are blocked, with and without Lifeguard."""
    dropLog()
    results = []
    if not asJson:
        click.echo("                      healthy ones called dead                        blocked ones  frames a peer")
        click.echo("parts                  by healthy, by blocked, off the seed's list     called dead     and second")
    for said in parts.split(","):
        options: dict[str, Any] = {"detector": "heartbeat"}
        if said != "heartbeat":
            on = set(PARTS) if said == "all" else {part for part in said.split("+") if part != "none"}
            unknown = on - set(PARTS)
            if unknown:
                raise click.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
            options = {"detector": "swim", **{name: part in on for part, name in PARTS.items()}}
        result = measure(peers, blocked, seconds, shortest, longest, how, options, seed)
        results.append(result)
        if not asJson:
            click.echo(
                f"{said:24}{result['healthyByHealthy']:11}{result['healthyByBlocked']:12}"
                f"{result['healthyOffTheList']:21}{result['blocked']:16}{result['framesPerPeerAndSecond']:16.2f}"
                + (f"  ({result['errors']} errors)" if result["errors"] else "")
            )
    if asJson:
        found = {"benchmark": "falsedeaths", "peers": peers, "blocked": blocked, "runs": results}
        click.echo(json.dumps(found, indent=1))
