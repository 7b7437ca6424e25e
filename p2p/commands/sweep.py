"""
C{p2p sweep}: run a scenario with many seeds, or over a grid of settings, and say what that amounts to.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import click

from p2p.commands.text import columns
from p2p.text import counted

if TYPE_CHECKING:
    from p2p.simulation.sweep import Record, Sweep

ABREAST = 5
"""Points of a grid that a table shows beside each other."""

SHOWN = 20
"""Failures that are shown; C{--json} and sweep.json have all."""


class _Wrong(click.ClickException):
    """It was asked for in the wrong way."""

    exit_code = 2


@click.command()
@click.argument("scenario", type=click.Path(dir_okay=False))
@click.option(
    "--seeds", default="0:10", show_default=True, metavar="A:B", help="From A to B - 1; or 1,2,5, or 0:100:10."
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE,...",
    help="Take other values for a key of the file; with several, all combinations are run."
    " Example: --set peers.options.maxConnections=2,3,4",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes here  [default: one for each core]")
@click.option("--dask", metavar="tcp://HOST:PORT", help="Run on the Dask cluster of that scheduler.")
@click.option("--out", type=click.Path(file_okay=False), metavar="DIR", help="Keep runs, summary and plots there.")
@click.option("--resume", is_flag=True, help="Go on with what is in --out; runs that are there are not done again.")
@click.option("--json", "asJson", is_flag=True, help="Print the summary as JSON.")
@click.option("--fuzz", is_flag=True, help="Let the seed also cut segments and shift times.")
def sweep(
    scenario: str,
    seeds: str,
    settings: tuple[str, ...],
    workers: int | None,
    dask: str | None,
    out: str | None,
    resume: bool,
    asJson: bool,
    fuzz: bool,
) -> int:
    """
    Run SCENARIO with many seeds, and over a grid of settings.

    Prints for each point of the grid the mean of each metric and its 95 % confidence interval, and for each run in
    which an expectation did not hold the command that does it again. The exit status is 0 if all of them held in all
    runs, else 1.
    """
    from p2p.simulation.grid import grid
    from p2p.simulation.incidents import ScenarioError
    from p2p.simulation.sweep import Cluster, Here, Place, Record, Sweep, outcomes, readSeeds

    if resume and out is None:
        raise _Wrong("--resume: say with --out what to go on with")
    if dask is not None and workers is not None:
        raise _Wrong("say either --workers or --dask")
    try:
        asked = Sweep.read(scenario, grid(settings), readSeeds(seeds), fuzz)
        record = _opened(asked, out, resume) if out is not None else Record(os.devnull, "")
        jobs = list(asked.jobs())
        found = [outcome for job in jobs if (outcome := record.done(job)) is not None]
        todo = [job for job in jobs if record.done(job) is None]
        place: Place = Cluster(dask) if dask is not None else Here(min(workers, len(jobs)) if workers else None)
    except ScenarioError as error:
        raise _Wrong(str(error)) from None
    except OSError as error:
        raise _notDone(error) from None
    failed = sum(not outcome["held"] for outcome in found)
    with ExitStack() as stack:
        stack.callback(record.close)
        bar: Any = click.progressbar(
            length=len(jobs), label=asked.file.table["name"], file=sys.stderr, hidden=not sys.stderr.isatty(),
            show_pos=True, item_show_func=lambda _: f"{failed} failed" if failed else None,
        )  # fmt: skip
        if not sys.stderr.isatty():
            # There is no bar; without a word a long sweep would look like one that hangs.
            which = f"{len(todo)} of " if found else ""
            click.echo(f"p2p: {asked.file.table['name']}: {which}{counted(len(jobs), 'run')} to do", err=True)
        ending = stack.enter_context(closing(outcomes(todo, place)))  # type: ignore[type-var]
        try:
            with bar:
                bar.update(len(found))
                for outcome in ending:
                    record.add(outcome, fuzz)
                    found.append(outcome)
                    failed += not outcome["held"]
                    bar.update(1)
        except KeyboardInterrupt:
            kept = f"; they are in {out}, --resume goes on" if out is not None else ""
            click.echo(f"p2p: interrupted after {len(found)} of {len(jobs)} runs{kept}", err=True)
            # Of an interruption click would make an empty line.
            raise click.Abort from None
        except OSError as error:
            raise _notDone(error) from None
    summary = asked.summary(found)
    click.echo(json.dumps(summary, indent=1) if asJson else tables(summary))
    _tellFailures(summary, asJson)
    if out is not None:
        _write(out, summary, found)
    return 0 if summary["held"] else 1


def _opened(asked: Sweep, out: str, resume: bool) -> Record:
    """The record of what was done, and in the directory a copy of the scenario that it is about."""
    from p2p.simulation.incidents import ScenarioError
    from p2p.simulation.sweep import Record, codeDigest

    os.makedirs(out, exist_ok=True)
    runs, copy = os.path.join(out, "runs.jsonl"), os.path.join(out, "scenario.toml")
    record = Record(runs, codeDigest(asked.file))
    if not resume and os.path.exists(runs):
        raise ScenarioError(f"{runs} exists: go on with --resume, or take another directory")
    if os.path.exists(copy):
        with open(copy, "rb") as kept:
            if kept.read() != asked.file.text.encode():
                raise ScenarioError(f"{out} is a sweep of another scenario: {copy} and {asked.file.path} differ")
    record.read()
    if not os.path.exists(copy):
        with open(copy, "wb") as new:
            new.write(asked.file.text.encode())
    return record


def _write(out: str, summary: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Put the summary and the plots into the directory."""
    from p2p.simulation.plots import PlotsMissing
    from p2p.simulation.sweepplots import writePlots

    try:
        with open(os.path.join(out, "sweep.json"), "w", encoding="utf-8") as file:
            json.dump(summary, file, indent=1)
            file.write("\n")
        writePlots(os.path.join(out, "plots"), summary, found)
    except PlotsMissing as missing:
        click.echo(f"p2p: no plots: {missing}", err=True)
    except OSError as error:
        raise _notDone(error) from None


def _notDone(error: OSError) -> click.ClickException:
    where = f"{error.filename}: " if error.filename else ""
    return click.ClickException(f"{where}{error.strerror or error}")


def tables(summary: dict[str, Any]) -> str:
    """The summary for people: a row for each metric, a column for each point of the grid."""
    from p2p.simulation.grid import settingText, shortNames
    from p2p.simulation.metrics import METRICS

    points = summary["points"]
    fixed = len(points) == 1
    blocks = [f"{summary['name']}: {summary['runs']:,} run{'s' * (summary['runs'] != 1)}"]
    for start in range(0, len(points), ABREAST):
        block = points[start : start + ABREAST]
        rows = [["runs", "", *(str(point["runs"]) for point in block)]]
        rows.append(["failed", "", *(str(point["failed"]) for point in block)])
        if any(point["crashed"] for point in block):
            rows.append(["of these crashed", "", *(str(point["crashed"]) for point in block)])
        if any(point["cut"] for point in block):
            rows.append(["of these cut short", "", *(str(point["cut"]) for point in block)])
        if not fixed or block[0]["settings"]:
            names = shortNames(list(block[0]["settings"]))
            rows = [
                ["", "", *(settingText(name, point["settings"][key]) for point in block)] for key, name in names.items()
            ] + rows
        for metric in METRICS:
            cells = [point["metrics"][metric.name] for point in block]
            if any(cell is not None for cell in cells):
                rows.append([metric.text, metric.unit, *(estimateText(cell) for cell in cells)])
        blocks.append(columns(rows, right=range(2, 2 + len(block))))
    if any(point["runs"] > 1 for point in points):
        blocks.append("mean ± half the 95 % confidence interval of the mean")
    return "\n\n".join(blocks)


def estimateText(estimate: dict[str, Any] | None) -> str:
    """C{12.35 ± 0.43}: two digits of the interval, or all before its point."""
    if estimate is None:
        return "-"
    mean, half = estimate["mean"], estimate["half"]
    if not half:
        return f"{mean:,.6g}" if abs(mean) < 1e6 else f"{mean:,.0f}"
    digits = next((digits for digits in range(7) if half * 10**digits >= 10), 7)
    return f"{mean:,.{digits}f} ± {half:,.{digits}f}"


def _tellFailures(summary: dict[str, Any], asJson: bool) -> None:
    failures = summary["failures"]
    for failure in failures[:SHOWN]:
        if failure["crash"] is not None:
            problem = f"crashed: {failure['crash']}"
        else:
            first = failure["broken"][0]
            problem = f"{first['expectation']}: {first['problem']}"
        click.echo(f"p2p: seed {failure['seed']}: {problem}\n     {failure['replay']}", err=True)
    if len(failures) > SHOWN and not asJson:
        click.echo(f"p2p: and {len(failures) - SHOWN} more; --json prints them all", err=True)
