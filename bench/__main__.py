"""
The command line: C{python -m bench COMMAND}.

=============  =================================================================
broadcast      how fast, how surely and at which cost messages spread
detect         how soon a killed and a frozen daemon are noticed
register       how fast a seed registers peers
simulate       how fast the simulated network is
frames         what a frame costs in a daemon's own code
plumtree       what C{plumtree} costs and saves, on the simulated network
falsedeaths    how often a detector calls dead who lives, there
deaths         how soon a detector finds the dead, there
=============  =================================================================
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import click

from bench import broadcast, deaths, detect, falsedeaths, frames, plumtree, register, simulate
from bench.daemons import BenchFailed
from bench.output import Report, say

Benchmark = Callable[..., Coroutine[Any, Any, Report]]


def _absolute(context: click.Context, parameter: click.Parameter, path: str) -> str:
    """The daemons run in another directory; links are not followed, for they tell an environment from its base."""
    return os.path.abspath(path)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that all benchmarks have."""
    for option in (
        click.option("--json", "asJson", is_flag=True, help="Print one JSON object instead of a table."),
        click.option(
            "--python", default=sys.executable, metavar="PATH", show_default="this one", callback=_absolute,
            help="Interpreter that runs the daemons.",
        ),
        click.option("--repeat", default=1, type=click.IntRange(1), show_default=True, help="Repetitions."),
    ):  # fmt: skip
        command = option(command)
    return command


def run(benchmark: Benchmark, asJson: bool, **options: Any) -> None:
    """Run a benchmark to its end, and print what it found; SIGTERM and SIGHUP end it as Ctrl-C does."""
    # As asyncio handles Ctrl-C: what is being awaited is cancelled, so that everything is ended.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        report = asyncio.run(benchmark(**options))
    except BenchFailed as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
    report.show(asJson)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure daemons on this machine, and the simulated network."""


@main.command("broadcast")
@click.option("--peers", default=16, type=click.IntRange(2), show_default=True)
@click.option("--rate", default=1000.0, type=click.FloatRange(0.1), show_default=True, help="Messages per second.")
@click.option("--size", default=64, type=click.IntRange(32), show_default=True, help="Bytes of one payload.")
@click.option("--seconds", default=10.0, type=click.FloatRange(0.1), show_default=True, help="How long to publish.")
@click.option("--warm", default=0, type=click.IntRange(0), help="Messages to publish before, one every 0.2 seconds.")
@click.option("--find", is_flag=True, help="Search the highest rate that is delivered everywhere in time.")
@click.option("--option", "extra", multiple=True, metavar="--NAME=VALUE", help="An option for each peer daemon.")
@common
def broadcastCommand(asJson: bool, **options: Any) -> None:
    """How fast, how surely and at which cost messages spread."""
    run(broadcast.measure, asJson, **options)


@main.command("detect")
@click.option("--peers", default=16, type=click.IntRange(3), show_default=True)
@click.option("--option", "extra", multiple=True, metavar="--NAME=VALUE", help="An option for each peer daemon.")
@common
def detectCommand(asJson: bool, **options: Any) -> None:
    """How soon a killed and a frozen daemon are noticed, and a thawed one is back."""
    run(detect.measure, asJson, **options)


@main.command("register")
@click.option("--peers", default=10_000, type=click.IntRange(1, 60_000), show_default=True)
@common
def registerCommand(asJson: bool, **options: Any) -> None:
    """How fast a seed registers peers, and what each costs it."""
    run(register.measure, asJson, **options)


main.add_command(simulate.command, "simulate")
main.add_command(frames.command, "frames")
main.add_command(plumtree.command, "plumtree")
main.add_command(falsedeaths.command, "falsedeaths")
main.add_command(deaths.command, "deaths")


if __name__ == "__main__":
    main()
