"""
How often live peers are called dead while others are blocked, on the simulated network: the table of Lifeguard's parts.

What is done and counted is told in L{p2p.test.model.lifeguard}.
"""

from __future__ import annotations

import json
from typing import Any

import click

from p2p.simulation.run import dropLog
from p2p.test.model.lifeguard import LARGE, PARTS, measure


@click.command()
@click.option("--peers", default=LARGE, type=click.IntRange(3), show_default=True)
@click.option("--blocked", default=LARGE // 4, type=click.IntRange(0), show_default=True, help="How many of them.")
@click.option("--seconds", default=600.0, show_default=True, help="Virtual seconds in which they are, again and again.")
@click.option("--how", default="held", type=click.Choice(["held", "stopped"]), show_default=True,
              help="What they send and are sent waits, or the process stops.")
@click.option("--parts", default="all,none", show_default=True,
              help="Lifeguard's parts that are on, +-joined, of each run: none, all, probe+buddy, ..., or heartbeat.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "asJson", is_flag=True, help="Print JSON instead of a table.")
def command(peers: int, blocked: int, seconds: float, how: str, parts: str, seed: int, asJson: bool) -> None:
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
        result = measure(peers, blocked, seconds, how, options, seed)
        results.append(result)
        if not asJson:
            click.echo(
                f"{said:20}{result['healthyByHealthy']:13}{result['healthyByBlocked']:12}"
                f"{result['healthyOffTheList']:21}{result['blocked']:16}{result['framesPerPeerAndSecond']:15.2f}"
                + (f"  ({result['errors']} errors)" if result["errors"] else "")
            )
    if asJson:
        found = {"benchmark": "falsedeaths", "peers": peers, "blocked": blocked, "runs": results}
        click.echo(json.dumps(found, indent=1))
