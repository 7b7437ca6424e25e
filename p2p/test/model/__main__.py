"""
The command line: C{python -m p2p.test.model}.

Each check is done in a process of its own, which gives back its memory.
"""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import click

from p2p.simulation.run import dropLog
from p2p.test.model import checks

CHECKS = checks()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[CHECK]...")
@click.option("--small", is_flag=True, help="At the sizes of the tests.")
@click.option("--peers", type=click.IntRange(10), help="At this size.")
@click.option("--list", "listing", is_flag=True, help="Only say which there are.")
def main(names: tuple[str, ...], small: bool, peers: int | None, listing: bool) -> None:
    """Hold protocols and simulator against closed forms and published figures: all checks, or those that are named."""
    for name in names:
        if name not in CHECKS:
            raise click.BadParameter(f"there is no {name!r}, but {', '.join(CHECKS)}", param_hint="CHECK")
    chosen = [name for name in CHECKS if name in names or not names]
    if listing:
        for name in chosen:
            click.echo(f"{name}: {_first(name)}")
    elif len(chosen) == 1:
        (name,) = chosen
        sys.exit(not _do(name, peers or (CHECKS[name].SMALL if small else CHECKS[name].LARGE)))
    else:
        options = ["--small"] * small + (["--peers", str(peers)] if peers else [])
        sys.exit(max([subprocess.call([sys.executable, "-m", "p2p.test.model", name, *options]) for name in chosen]))


def _first(name: str) -> str:
    return CHECKS[name].__doc__.strip().splitlines()[0]


def _do(name: str, peers: int) -> bool:
    """Do one check, and say whether it holds."""
    started = perf_counter()
    click.echo(f"{name}, {peers} peers: {_first(name)}")
    holds = True
    for figure in CHECKS[name].check(peers):
        click.echo(f"  {figure}")
        holds &= figure.holds
    click.echo(f"  {perf_counter() - started:.1f} s\n")
    return holds


if __name__ == "__main__":
    dropLog()
    main()
