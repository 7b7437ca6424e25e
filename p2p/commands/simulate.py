"""
C{p2p simulate}: run a scenario file, and say what came of it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import ExitStack
from statistics import median_low
from typing import Any

import click

from p2p.commands.text import columns
from p2p.text import counted


class _Wrong(click.ClickException):
    """It was asked for in the wrong way: the scenario is none, for instance."""

    exit_code = 2


@click.command()
@click.argument("scenario", type=click.Path(dir_okay=False))
@click.option("--seed", type=int, metavar="N", help="What all chance comes from  [default: the scenario's].")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Another value for a key of the file.")
@click.option(
    "--out", type=click.Path(file_okay=False), metavar="DIR",
    help="Write results.json, trace.jsonl, report.html and plots there  [default: NAME-seedN, here].",
)  # fmt: skip
@click.option("--no-files", "bare", is_flag=True, help="Write nothing.")
@click.option("--json", "asJson", is_flag=True, help="Print the results as JSON; write nothing but to --out.")
@click.option("--fuzz", is_flag=True, help="Let the seed also cut segments and shift times.")
def simulate(
    scenario: str,
    seed: int | None,
    settings: tuple[str, ...],
    out: str | None,
    bare: bool,
    asJson: bool,
    fuzz: bool,
) -> int:
    """
    Run SCENARIO, a TOML file, or - for standard input, on a simulated network.

    Writes a report of the run, and prints a table. The seeds and peers are those that the daemons run. The same seed
    gives the same run. The exit status is 0 if everything that the scenario expects holds, else 1.
    """
    # Twisted and all of the network are not needed to print --help.
    from p2p.simulation.errors import crashText
    from p2p.simulation.grid import point
    from p2p.simulation.incidents import ScenarioError
    from p2p.simulation.journal import Journal
    from p2p.simulation.output import REPORT, RESULTS, TRACE, cleared, isForeign
    from p2p.simulation.report import writeReport
    from p2p.simulation.run import Run, dropLog
    from p2p.simulation.scenario import readScenario

    if bare and out is not None:
        raise _Wrong("say either --out or --no-files")
    try:
        file = readScenario(scenario).withSettings(point(settings))
    except ScenarioError as error:
        raise _Wrong(str(error)) from None
    read = file.scenario
    seed = read.seed if seed is None else seed
    if out is None and not (bare or asJson):
        out = file.named(seed)
        # Nobody has said that it may be written to.
        if isForeign(out):
            raise _Wrong(f"{out} has other things in it than a run: name another directory with --out")
    dropLog()
    written: list[str] = []
    with ExitStack() as closing:
        journal = None
        run = None
        try:
            if out is not None:
                trace = os.path.join(cleared(out), TRACE)
                journal = Journal(closing.enter_context(open(trace, "wb")))
                written.append(TRACE)
            try:
                run = Run.of(read, seed, fuzz=fuzz, journal=journal)
                with click.progressbar(
                    length=1000, label=read.name, file=sys.stderr, hidden=not sys.stderr.isatty(), show_pos=False
                ) as bar:
                    results = run.go(lambda share: bar.update(round(share * 1000) - bar.pos))
            except ScenarioError:
                raise
            except Exception as error:
                how = f"{crashText(error, run.network.now if run is not None else None)}; {_kept(error, out)}"
                raise click.ClickException(f"{scenario}: crashed with seed {seed}: {how}") from None
            finally:
                if journal is not None:
                    journal.flush()
            if out is not None:
                with open(os.path.join(out, RESULTS), "w", encoding="utf-8") as output:
                    json.dump(results, output, indent=1)
                    output.write("\n")
                written.append(RESULTS)
                text = "".join([*(f"# --set {setting}\n" for setting in settings), file.text])
                problem = writeReport(out, text, file.table, results, summaryRows(results))
                if problem is not None:
                    click.echo(f"p2p: no plots: {problem}", err=True)
        except KeyboardInterrupt:
            if journal is not None and run is not None:
                click.echo(
                    f"p2p: interrupted at {run.network.now:.1f} of {read.duration:g} s virtual;"
                    f" written to {out}: {', '.join(written)}; no report",
                    err=True,
                )
            # Of an interruption click would make an empty line.
            raise click.Abort from None
        except ScenarioError as error:
            raise click.ClickException(f"{scenario}: {error}") from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from None
    rows = summaryRows(results)
    if out is not None:
        rows.append(("report", os.path.join(out, REPORT)))
    click.echo(json.dumps(results, indent=1) if asJson else columns(rows))
    found: dict[str, list[dict[str, Any]]] = {}
    for broken in results["broken"]:
        found.setdefault(broken["expectation"], []).append(broken)
    for expectation, (first, *others) in found.items():
        more = f", and so for {len(others)} more" if others else ""
        click.echo(
            f"p2p: {scenario}: does not hold with seed {first['seed']}, seen at {first['time']:.3f} s: "
            f"{expectation}: {first['problem']}{more}",
            err=True,
        )
    return 0 if results["held"] else 1


def _kept(error: Exception, out: str | None) -> str:
    """Where the traceback is that a line has no room for."""
    from p2p.simulation.output import TRACEBACK

    if out is None:
        return "with --out DIR the traceback is written there"
    path = os.path.join(out, TRACEBACK)
    try:
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError as problem:
        return f"the traceback cannot be written: {path}: {problem.strerror or problem}"
    return f"the traceback is in {path}"


def summaryRows(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Results as the rows of a table for people."""
    overlay, broadcasts, deaths = results["overlay"], results["broadcasts"], results["deaths"]
    rows: list[tuple[str, str]] = [
        ("scenario", results["name"]),
        ("seed", str(results["seed"])),
        ("digest", results["digest"][:16]),
        (
            "time",
            f"{results['virtualSeconds']:g} s virtual, {results['wallSeconds']:.1f} s real,"
            f" {results['events']:,} events",
        ),
        (
            "overlay",
            f"{counted(overlay['peers'], 'peer')}, {counted(overlay['links'], 'link')},"
            f" {counted(overlay['components'], 'component')};"
            f" degree {overlay['minDegree']} to {overlay['maxDegree']}, mean {overlay['meanDegree']:.2f}",
        ),
        (
            "paths",
            f"mean {overlay['averagePath']:.3f}, longest {overlay['diameter']}, clustering {overlay['clustering']:.5f}",
        ),
    ]
    if broadcasts:
        rows += _ofBroadcasts(broadcasts)
    if results["unsent"]:
        rows.append(("not sent", f"{counted(results['unsent'], 'message')}, whose sender was down or stopped"))
    if deaths:
        rows.append(("deaths", _ofDeaths(deaths)))
    false = results["falseDeaths"]
    excused = sum(death["excuse"] is not None for death in false)
    if false:
        rows.append(("false deaths", f"{len(false) - excused}, and {excused} of peers that others could not hear"))
    if results["traffic"]:
        frames = sum(kind["frames"] for kind in results["traffic"].values())
        size = sum(kind["bytes"] for kind in results["traffic"].values())
        most = sorted(results["traffic"].items(), key=lambda item: -item[1]["frames"])[:4]
        rows.append(
            (
                "traffic",
                f"{frames:,} frames, {size:,} bytes; "
                + ", ".join(f"{name} {kind['frames']:,}" for name, kind in most),
            )
        )
    unseen = [name for name, verdict in results["expected"].items() if verdict is None]
    holds = f"holds; there was nothing to look at for {', '.join(unseen)}" if unseen else "holds"
    rows.append(("expected", holds if results["held"] else "does NOT hold"))
    return rows


def _ofBroadcasts(broadcasts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    live = sum(broadcast["live"] for broadcast in broadcasts)
    reached = sum(broadcast["reached"] for broadcast in broadcasts)
    whole = sum(broadcast["reached"] == broadcast["live"] > 0 for broadcast in broadcasts)
    nobodys = sum(not broadcast["live"] for broadcast in broadcasts)
    text = f"{len(broadcasts)}, {whole} of them to everyone"
    if nobodys:
        text += f", {nobodys} that nobody should have"
    if live:
        text += f"; reach {reached / live:.6f}"
    rows = [("broadcasts", text)]
    arrived = [b for b in broadcasts if b["reached"]]
    if arrived:
        # The median is a time that some message took, the one at which the median of the plots comes to its end.
        times = [b["lastDelivery"] for b in arrived]
        hops = max(b["lastHop"] for b in arrived)
        rows.append(("last delivery", f"median {median_low(times):.3f} s, at most {max(times):.3f} s and {hops} hops"))
    counted = [b for b in broadcasts if b["payloads"] is not None]
    if counted:
        payloads = sum(b["payloads"] for b in counted)
        rows.append(("payload frames", f"{payloads:,}, {sum(b['duplicates'] for b in counted):,} of them duplicates"))
    return rows


def _ofDeaths(deaths: list[dict[str, Any]]) -> str:
    text = str(len(deaths))
    for name, what in (("firstDetected", "found"), ("removedFromSeeds", "off the seeds' lists")):
        times = [death[name] for death in deaths if death[name] is not None]
        if times:
            text += f"; {len(times)} {what} after {median_low(times):.2f} s (at most {max(times):.2f} s)"
    return text
