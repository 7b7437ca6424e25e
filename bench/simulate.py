"""
How fast the simulated network runs the real peers.

Peers join, link up (each dials C{--links} / 2, so has about as many links as
that) and settle.  Then messages of C{--size} bytes are published by peers
drawn at random and flood the network, while everything else that a daemon does
goes on: pings of every link every second, renewals, ticks.  What is timed is
from the first message until the last has arrived everywhere.

A I{delivery} is a frame with a payload that arrived at a peer, be it new there
or a duplicate: what each of the figures in the comparison counts too.  A
I{first delivery} is one that is new there, which a subscriber is told of: on a
graph of E links and N peers, N - 1 of each message's 2E - (N - 1) deliveries.
Each size of network is measured in a process of its own, so that its memory is
its own.  On a machine that others use too, deliveries per CPU second say more
than those per second.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import click

from bench.process import machine, residentBytes
from p2p.settings import PeerSettings, SeedSettings
from p2p.simulation.errors import Errors
from p2p.simulation.latency import uniform
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.run import dropLog
from p2p.simulation.swarm import Node, Swarm

LATENCY = (0.010, 0.100)
"""The least and the most virtual seconds that a link takes."""

JOINING = 5.0
"""Virtual seconds within which all peers join."""

SETTLING = 5.0
"""Virtual seconds after the last peer has joined."""

TAIL = 1.2
"""Virtual seconds after the last message, in which it arrives everywhere."""

LEAST = 20
"""
Messages that are published at least.

Pings go on through the tail.  With few messages these are most of what is
timed: after five, 40 % of the events were not the flood's.
"""


class Nobody:
    """Watches a swarm, and cares for nothing."""

    def started(self, node: Node) -> None:
        """A process begins."""

    def ended(self, node: Node, how: str) -> None:
        """A process is gone."""

    def happened(self, what: str, fields: dict[str, Any]) -> None:
        """Something was done."""


def arrived(swarm: Swarm) -> tuple[int, int]:
    """Payload frames that have arrived so far, by the peers' own count: those that were new there, and all."""
    new = duplicates = 0
    for peer in swarm.peers.values():
        counters = peer.service.factory.counters
        new += counters["delivered"] - counters["published"]
        duplicates += peer.service.broadcast.duplicates
    return new, new + duplicates


def save(swarm: Swarm, path: str) -> None:
    """Write down who is linked to whom: for each peer the numbers of its neighbours."""
    graph = []
    for peer in swarm.peers.values():
        others = [swarm.at(link.contact.address) for link in peer.service.neighbours]
        graph.append([other.number for other in others if other is not None])
    with open(path, "w") as file:
        json.dump(graph, file)


def child(module: str, arguments: list[Any]) -> dict[str, Any]:
    """What a module finds in a process of its own."""
    command = [sys.executable, "-m", module, json.dumps(arguments)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def compare(graph: str, found: dict[str, Any], every: float) -> list[dict[str, Any]]:
    """
    The same flood as a model in SimPy, in each way, right after the real thing.

    @param graph: the file with the graph.
    @param found: what was measured of the real thing.
    """
    models = []
    for way in ("processes", "callbacks"):
        model = child("bench.simpyflood", [graph, found["messages"], every, LATENCY, way])
        # The peers may have exchanged a link or two meanwhile.
        if abs(model["deliveries"] - found["deliveries"]) > 0.01 * found["deliveries"]:
            raise click.ClickException(f"the model delivers {model['deliveries']}, the network {found['deliveries']}")
        for speed in ("deliveriesPerSecond", "deliveriesPerCpuSecond"):
            model[f"{speed}Ratio"] = round(found[speed] / model[speed], 3)
        models.append(model)
    return models


def measure(
    peers: int, links: int, messages: int, every: float, size: int, idle: float, known: int = 64, seed: int = 1,
    graph: str | None = None,
) -> dict[str, Any]:
    """
    Build a network, flood it, and say how that went.

    @param idle: virtual seconds to run it after that without messages; 0 for none.
    @param known: addresses that each peer remembers.
    @param graph: a file to save the graph of links in, for L{bench.simpyflood}.
    """
    network = SimulatedNetwork(seed, uniform(*LATENCY))
    settings = PeerSettings(
        gossipCount=0, maxConnections=links // 2, maxInbound=4 * links, seedInterval=3600.0, maxKnown=known
    )
    swarm = Swarm(network, Nobody(), SeedSettings(leaseInterval=600.0, maxLinks=peers + 1000), settings)
    before = residentBytes(os.getpid())
    errors = Errors(lambda: network.now)
    started, startedCpu = time.perf_counter(), time.process_time()
    with errors:
        swarm.begin(1)
        for number in range(peers):
            network.callAt(JOINING * number / peers, swarm.join)
        network.run(until=JOINING + SETTLING)
        network.freeze()
        built, builtCpu = time.perf_counter() - started, time.process_time() - startedCpu
        ends = sum(len(peer.service.neighbours) for peer in swarm.peers.values())
        holding = residentBytes(os.getpid())
        if graph is not None:
            save(swarm, graph)
        running = swarm.running()
        payload = b"." * size
        start = network.now

        def publish() -> None:
            network.random.choice(running).service.publish(payload)

        for number in range(messages):
            network.callAt(start + number * every, publish)
        were, happened = arrived(swarm), network.events
        started, startedCpu = time.perf_counter(), time.process_time()
        network.run(until=start + messages * every + TAIL)
        seconds, cpu = time.perf_counter() - started, time.process_time() - startedCpu
        first, counted = (now - then for now, then in zip(arrived(swarm), were, strict=True))
        happened = network.events - happened
        reached = sum(peer.service.factory.counters["delivered"] for peer in running)
        idling = idlingCpu = None
        if idle:
            started, startedCpu = time.perf_counter(), time.process_time()
            network.run(until=network.now + idle)
            idling = round(time.perf_counter() - started, 3)
            idlingCpu = round(time.process_time() - startedCpu, 3)
        gc.unfreeze()
    return {
        "peers": peers,
        "linksEach": round(ends / peers, 3),
        "messages": messages,
        "reach": reached / (messages * peers),
        "deliveries": counted,
        "firstDeliveries": first,
        "seconds": round(seconds, 3),
        "cpuSeconds": round(cpu, 3),
        "deliveriesPerSecond": round(counted / seconds),
        "deliveriesPerCpuSecond": round(counted / cpu),
        "firstDeliveriesPerSecond": round(first / seconds),
        "eventsPerSecond": round(happened / seconds),
        "buildSeconds": round(built, 3),
        "buildCpuSeconds": round(builtCpu, 3),
        "idleSeconds": idling,
        "idleCpuSeconds": idlingCpu,
        "bytesPerPeer": round((holding - before) / peers),
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "digest": network.digest()[:16],
        "errors": errors.count,
    }


@click.command()
@click.option("--peers", default="1000,10000", show_default=True, help="Sizes of networks, with commas between.")
@click.option("--links", default=8, type=click.IntRange(2), show_default=True, help="Links of a peer, on average.")
@click.option("--frames", default=2_000_000, show_default=True, help="Payload frames to aim at: sets --messages.")
@click.option("--messages", default=0, help=f"Messages to publish  [default: by --frames, at least {LEAST}].")
@click.option("--every", default=0.02, show_default=True, help="Virtual seconds between two messages.")
@click.option("--size", default=64, type=click.IntRange(0), show_default=True, help="Bytes of a payload.")
@click.option("--idle", default=0.0, show_default=True, help="Then run so many virtual seconds without messages.")
@click.option("--known", default=64, show_default=True, help="Addresses that each peer remembers (maxKnown).")
@click.option("--repeat", default=1, type=click.IntRange(1), show_default=True, help="Repetitions.")
@click.option("--compare", "against", type=click.Choice(["simpy"]), help="Model each flood in that, too, and compare.")
@click.option("--json", "asJson", is_flag=True, help="Print one JSON object instead of a table.")
def command(
    peers: str, links: int, frames: int, messages: int, every: float, size: int, idle: float, known: int, repeat: int,
    against: str | None, asJson: bool,
) -> None:
    """How fast the simulated network runs real peers: deliveries per second, and memory."""
    about = machine(sys.executable)
    results = []

    def show(found: dict[str, Any]) -> None:
        results.append(found)
        if not asJson:
            click.echo("  ".join(f"{name} {value}" for name, value in found.items()))

    for count in [int(number) for number in peers.split(",")]:
        wanted = messages or max(LEAST, round(frames / (count * (links - 1))))
        for _ in range(repeat):
            with tempfile.NamedTemporaryFile(suffix=".json") as graph:
                show(child("bench.simulate", [count, links, wanted, every, size, idle, known, 1, graph.name]))
                for model in compare(graph.name, results[-1], every) if against else ():
                    show(model)
    if asJson:
        click.echo(json.dumps({"benchmark": "simulate", "machine": about, "runs": results}, indent=1))


if __name__ == "__main__":
    dropLog()
    print(json.dumps(measure(*json.loads(sys.argv[1]))))
