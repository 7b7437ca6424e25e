"""
What the broadcast C{plumtree} does in simulation, part by part::

    python -m bench plumtree scoreboard
    python -m bench plumtree large
    python -m bench plumtree partition --overlay hyparview --seeds 0:20
    python -m bench plumtree churn --peers 1000 --seconds 3600
    python -m bench plumtree picture docs/images/plumtree.png

What a settled tree costs against closed forms and the paper is a check of its own, at 10,000 peers: C{python -m
p2p.test.model plumtree}.

B{scoreboard}: frames and times of 25 peers at 50 messages a second under several settings; see
L{p2p.test.model.scoreboard}.

B{large}: payloads of several sizes on links of 1 MB/s, in a random graph of degree 5 without a tree yet, which is when
copies cross: sent at once, and announced and asked for (C{announceSize}).

B{partition}: half of the network is cut off for a minute, both halves go on publishing, it heals.  When is every
message of both halves everywhere?

B{churn}: peers come and go while messages are published.  Which were missed by peers that stayed?
"""

from __future__ import annotations

from math import cos, pi, sin
from statistics import median
from typing import Any

import click

from p2p.simulation.plots import BLUE, GREY, ORANGE, save, subplots
from p2p.simulation.run import Run, dropLog
from p2p.simulation.scenario import parseScenario
from p2p.test.mesh import Mesh
from p2p.test.model import scoreboard

SETTINGS = [
    scoreboard.ALL,
    *(f"{scoreboard.FOUR.replace('0.05', str(delay))}" for delay in (0.0, 0.02, 0.05, 0.08)),
]

SIZES = (1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000)

PARTITION = """
name = "half is cut off for a minute"
duration = 160.0

[peers]
count = PEERS
join = { over = 10.0 }
options = { gossipCount = 0, broadcast = "NAME", overlay = "OVERLAY" }

[seeds]
count = 2

[[events]]
at = 30.0
partition = { groups = [0.5, 0.5], for = 60.0 }

[[events]]
at = 32.0
publish = { count = 110, every = 0.5 }
"""

HEALED = 90.0

CHURN = """
name = "they come and go"
duration = DURATION

[peers]
count = PEERS
join = { over = 10.0 }
options = { gossipCount = 0, broadcast = "NAME", overlay = "OVERLAY" }

[measure]
window = 60.0

[[events]]
at = 30.0
churn = { rate = 0.01, for = SECONDS }

[[events]]
at = 30.0
publish = { count = COUNT, every = 0.5 }
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """What the broadcast "plumtree" does in simulation."""
    dropLog()


@command.command("scoreboard")
@click.option("--settings", multiple=True, help="As they stand in a scenario's options; may be repeated.")
def scoreboardCommand(settings: tuple[str, ...]) -> None:
    """25 peers, 100 ms a hop, 50 messages a second from random ones."""
    click.echo("frames a message (the broadcast's)   delivery: median   maximum   links   settings")
    for options in settings or SETTINGS:
        found = scoreboard.measure(25, options)
        click.echo(
            f"{found['frames']:9.2f} ({found['broadcast']:.2f}){found['median']:27.3f} s{found['maximum']:8.3f} s"
            f"{found['links']:8}   {options}" + (f"   MISSED {found['missed']}" if found["missed"] else "")
        )


@command.command("large")
@click.option("--peers", default=50, show_default=True)
def large(peers: int) -> None:
    """Payloads sent at once, and announced and asked for."""
    click.echo("   size   at once: bytes/payload  last, s   announced: bytes/payload  last, s")
    for size in SIZES:
        line = f"{size:>7,}"
        for announceSize in (2**31, 0):
            mesh = Mesh(peers, bandwidth=1e6, announceSize=announceSize)
            mesh.regular(5)
            mesh.run(2.0)
            mesh.forget()
            begun = mesh.now
            mesh.nodes[0].publish(bytes(size))
            mesh.run(120.0)
            got = [node.got[0] for node in mesh.nodes]
            share = sum(mesh.bytes.values()) / size / (peers - 1)
            line += f"{share:22.3f}{max(when for _, _, when, _ in got) - begun:11.2f}"
        click.echo(line)


@command.command("partition")
@click.option("--peers", default=200, show_default=True)
@click.option("--overlay", default="random", show_default=True)
@click.option("--broadcast", "name", default="plumtree", show_default=True)
@click.option("--seeds", default="0:5", show_default=True, metavar="FIRST:END", help="Which runs.")
def partition(peers: int, overlay: str, name: str, seeds: str) -> None:
    """How long after a partition of a minute has healed until every message is everywhere."""
    first, _, end = seeds.partition(":")
    late = []
    for seed in range(int(first), int(end)):
        found = _run(PARTITION, peers, overlay, name, seed)
        late.append(max(b["at"] + b["lastDelivery"] for b in found["broadcasts"]) - HEALED)
        missed = sum(b["live"] - b["reached"] for b in found["broadcasts"])
        click.echo(f"seed {seed}: everything everywhere {late[-1]:.2f} s after the healing, {missed} missed")
    click.echo(f"{len(late)} runs: median {median(late):.2f} s, at most {max(late):.2f} s")


@command.command("churn")
@click.option("--peers", default=200, show_default=True)
@click.option("--seconds", default=600.0, show_default=True)
@click.option("--overlay", default="random", show_default=True)
@click.option("--broadcast", "name", default="plumtree", show_default=True)
@click.option("--seeds", default="0:1", show_default=True, metavar="FIRST:END", help="Which runs.")
def churn(peers: int, seconds: float, overlay: str, name: str, seeds: str) -> None:
    """Messages that peers which stayed have missed while others came and went, 1 % a minute."""
    first, _, end = seeds.partition(":")
    text = CHURN.replace("DURATION", str(seconds + 100)).replace("SECONDS", str(seconds))
    for seed in range(int(first), int(end)):
        found = _run(text.replace("COUNT", str(int(2 * seconds))), peers, overlay, name, seed)
        expected = sum(b["live"] for b in found["broadcasts"])
        reached = sum(b["reached"] for b in found["broadcasts"])
        last = max(b["lastDelivery"] for b in found["broadcasts"])
        copies = sum(b["payloads"] for b in found["broadcasts"]) / max(1, reached)
        click.echo(
            f"seed {seed}: {expected - reached} of {expected:,} deliveries missed, the latest after {last:.2f} s,"
            f" {copies:.3f} payloads a delivery"
        )


@command.command("picture")
@click.argument("path")
@click.option("--peers", default=60, show_default=True)
def picture(path: str, peers: int) -> None:
    """Draw a settled tree in its overlay."""
    mesh = Mesh(peers)
    mesh.regular(5)
    mesh.run(2.0)
    for _ in range(5):
        mesh.nodes[0].publish(b"x")
        mesh.run(5.0)
    links = [(one.number, two.number) for one, two in mesh.links()]
    eager = [
        (one.number, two.number) for one, two in mesh.links()
        if one.ends[two] in one.broadcast.eager and two.ends[one] in two.broadcast.eager
    ]  # fmt: skip
    places = _around(peers, eager)
    figure, ((axes,),) = subplots(size=(6.4, 6.4))
    for these, colour, width in (links, GREY, 0.5), (eager, BLUE, 2.0):
        for one, two in these:
            axes.plot(*zip(places[one], places[two], strict=True), color=colour, linewidth=width, zorder=width)
    axes.scatter(*zip(*places, strict=True), s=24, color=BLUE, zorder=3)
    axes.scatter(*places[0], s=120, color=ORANGE, zorder=4)
    axes.set_aspect("equal")
    axes.axis("off")
    save(figure, path)
    click.echo(f"{path}: {len(links)} links, {len(eager)} of them the tree of {peers} peers")


def _around(peers: int, links: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """Where the nodes of a tree are drawn: the first in the middle, the others on a ring for each hop."""
    others: list[list[int]] = [[] for _ in range(peers)]
    for one, two in links:
        others[one].append(two)
        others[two].append(one)
    places = [(0.0, 0.0)] * peers

    def leaves(node: int, above: int) -> int:
        return sum(leaves(below, node) for below in others[node] if below != above) or 1

    def place(node: int, above: int, hops: int, begin: float, end: float) -> None:
        angle = (begin + end) / 2
        places[node] = hops * cos(angle), hops * sin(angle)
        each = (end - begin) / leaves(node, above)
        for below in others[node]:
            if below != above:
                end = begin + each * leaves(below, node)
                place(below, node, hops + 1, begin, end)
                begin = end

    place(0, -1, 0, 0.0, 2 * pi)
    return places


def _run(text: str, peers: int, overlay: str, name: str, seed: int) -> dict[str, Any]:
    text = text.replace("PEERS", str(peers)).replace("OVERLAY", overlay).replace("NAME", name)
    return Run.of(parseScenario(text), seed).go()
