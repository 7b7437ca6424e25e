"""
How soon a dead peer is noticed, on the simulated network: by the first of its neighbours, and by the seed.

Peers die one after the other, as processes (their connections are reset) or as machines (nothing is heard any more).
"""

from __future__ import annotations

import json
from typing import Any

import click

from p2p.settings import PeerSettings
from p2p.simulation.run import Run, dropLog
from p2p.simulation.scenario import scenarioOf

JOINING = 10.0
"""Virtual seconds within which all peers join."""

SETTLING = 20.0
"""Virtual seconds after that before the first dies, and after the last has."""


def measure(
    peers: int, deaths: int, every: float, host: bool, options: dict[str, Any], seed: int = 1
) -> dict[str, Any]:
    """
    Let peers die.

    @param every: virtual seconds between two deaths.
    @param host: machines die, not processes.
    @param options: settings of the peers.
    @return: percentiles of seconds from a death to the first verdict and to its being off the seed's list; deaths that
        nobody noticed; live peers called dead; frames for each peer and second.
    """
    begin = JOINING + SETTLING
    duration = begin + every * deaths + 2 * SETTLING
    table = {
        "name": "deaths",
        "seed": seed,
        "duration": duration,
        "peers": {"count": peers, "join": {"over": JOINING}, "options": {"gossipCount": 0, **options}},
        "events": [
            {"at": begin + every * number, "crash": {"count": 1, "host": host}} for number in range(deaths)
        ],
    }
    results = Run.of(scenarioOf(table)).go()
    died = [death for death in results["deaths"] if death["survivors"]]
    first = [death["firstDetected"] for death in died if death["firstDetected"] is not None]
    seeds = [death["removedFromSeeds"] for death in died if death["removedFromSeeds"] is not None]
    frames = sum(kind["frames"] for kind in results["traffic"].values())
    return {
        "detector": PeerSettings(**options).detector,
        "options": options,
        "peers": peers,
        "host": host,
        "deaths": len(died),
        "unnoticed": len(died) - len(first),
        "first": {share: percentile(first, share) for share in (50, 99, 100)},
        "seed": {share: percentile(seeds, share) for share in (50, 99, 100)},
        "falseDeaths": len(results["falseDeaths"]),
        "framesPerPeerAndSecond": round(frames / peers / duration, 3),
        "errors": len(results["errors"]),
    }


def percentile(values: list[float], share: float) -> float | None:
    """The smallest value that at least so many per cent of all do not exceed."""
    ordered = sorted(values)
    return round(ordered[max(0, -int(-len(ordered) * share // 100) - 1)], 3) if ordered else None


@click.command()
@click.option("--peers", default=1000, type=click.IntRange(3), show_default=True)
@click.option("--deaths", default=100, type=click.IntRange(1), show_default=True)
@click.option("--every", default=2.0, show_default=True, help="Virtual seconds between two deaths.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A setting of the peers, as in a scenario.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "asJson", is_flag=True, help="Print JSON instead of a table.")
def command(peers: int, deaths: int, every: float, given: tuple[str, ...], seed: int, asJson: bool) -> None:
    """How soon dead peers are noticed: processes, and machines."""
    dropLog()
    options = {}
    for setting in given:
        name, _, value = setting.partition("=")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    results = [measure(peers, deaths, every, host, options, seed) for host in (False, True)]
    if asJson:
        click.echo(json.dumps({"benchmark": "deaths", "runs": results}, indent=1))
        return
    for result in results:
        click.echo(
            f"{result['detector']}, {peers} peers, {result['deaths']} "
            f"{'machines fell silent' if result['host'] else 'processes were killed'}:"
        )
        for what, name in (("first verdict", "first"), ("off the seed's list", "seed")):
            figures = ", ".join(f"{share} % within {seconds} s" for share, seconds in result[name].items())
            click.echo(f"  {what}: {figures}")
        click.echo(
            f"  unnoticed {result['unnoticed']}, live ones called dead {result['falseDeaths']},"
            f" frames a peer and second {result['framesPerPeerAndSecond']}, errors {result['errors']}"
        )
