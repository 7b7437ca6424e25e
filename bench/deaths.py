"""
How soon a dead peer is noticed, on the simulated network: by the first of its neighbours, and by the seed.

Peers die one after the other, as processes (their connections are reset) or as machines (nothing is heard any more).
"""

from __future__ import annotations

import json
import os
from typing import Any

import click

from p2p.settings import PeerSettings
from p2p.simulation.plots import legend, save, subplots
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
        "seconds": sorted(first),
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


def plot(results: list[dict[str, Any]], path: str) -> None:
    """Draw which share of those that fell silent was found dead when."""
    figure, ((axes,),) = subplots(size=(7.0, 3.6))
    for result in results:
        if result["host"]:
            seconds = [0.0, *result["seconds"]]
            shares = [100 * number / result["deaths"] for number in range(len(seconds))]
            traffic = f"{result['framesPerPeerAndSecond']:.1f} frames a peer and second"
            axes.step(seconds, shares, where="post", label=f"{result['said']}: {traffic}")
    axes.set_xlabel("seconds since a machine fell silent")
    axes.set_ylabel("% found dead by somebody")
    axes.set_ylim(0, 101)
    axes.set_xlim(left=0)
    legend(figure)
    save(figure, os.path.abspath(path))


def readOptions(text: str) -> dict[str, Any]:
    """Settings as in a scenario, C{NAME=VALUE} with blanks between."""
    options = {}
    for setting in text.split():
        name, _, value = setting.partition("=")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


@click.command()
@click.argument("said", nargs=-1, metavar='["NAME=VALUE ..."]...')
@click.option("--peers", default=1000, type=click.IntRange(3), show_default=True)
@click.option("--deaths", default=100, type=click.IntRange(1), show_default=True)
@click.option("--every", default=2.0, show_default=True, help="Virtual seconds between two deaths.")
@click.option("--seed", default=1, show_default=True)
@click.option("--plot", "picture", metavar="FILE", help="Draw when those were found dead that fell silent.")
@click.option("--json", "asJson", is_flag=True, help="Print JSON instead of a table.")
def command(
    said: tuple[str, ...], peers: int, deaths: int, every: float, seed: int, picture: str | None, asJson: bool
) -> None:
    """
    How soon dead peers are noticed: processes that are killed, and machines that fall silent.

    Each argument is a set of the peers' settings, as "detector=swim livenessInterval=0.5"; all are compared.
    """
    dropLog()
    results = []
    for text in said or ("detector=heartbeat", "detector=swim"):
        for host in (False, True):
            results.append({"said": text, **measure(peers, deaths, every, host, readOptions(text), seed)})
    if picture is not None:
        plot(results, picture)
    if asJson:
        click.echo(json.dumps({"benchmark": "deaths", "runs": results}, indent=1))
        return
    for result in results:
        click.echo(
            f"{result['said']}, {peers} peers, {result['deaths']} "
            f"{'machines fell silent' if result['host'] else 'processes were killed'}:"
        )
        for what, name in (("first verdict", "first"), ("off the seed's list", "seed")):
            figures = ", ".join(f"{share} % within {seconds} s" for share, seconds in result[name].items())
            click.echo(f"  {what}: {figures}")
        click.echo(
            f"  unnoticed {result['unnoticed']}, live ones called dead {result['falseDeaths']},"
            f" frames a peer and second {result['framesPerPeerAndSecond']}, errors {result['errors']}"
        )
