"""
C{p2p shrink}: make a failing scenario small.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from p2p.commands.text import columns
from p2p.text import counted, oneLine


class _Wrong(click.ClickException):
    """It was asked for in the wrong way."""

    exit_code = 2


@click.command()
@click.argument("scenario", type=click.Path(dir_okay=False))
@click.option("--seed", type=int, metavar="N", help="With which it fails  [default: the scenario's].")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Another value for a key of the file.")
@click.option("--expectation", metavar="NAME", help="Which failure to keep  [default: the first].")
@click.option("--runs", type=click.IntRange(min=1), default=500, show_default=True, help="Make at most so many runs.")
@click.option(
    "--tries", type=click.IntRange(min=1), default=1, show_default=True,
    help="Seeds to try before something smaller counts as not failing; more for what fails rarely.",
)  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="[default: NAME-seedN-small.toml, here]")
@click.option("--json", "asJson", is_flag=True, help="Print what was done as JSON.")
@click.option("--fuzz", is_flag=True, help="Let the seed also cut segments and shift times.")
def shrink(
    scenario: str,
    seed: int | None,
    settings: tuple[str, ...],
    expectation: str | None,
    runs: int,
    tries: int,
    out: str | None,
    asJson: bool,
    fuzz: bool,
) -> int:
    """
    Reduce SCENARIO, which fails, to a small one that fails.

    Leaves out events, peers, time and settings as long as the same expectation does not hold, be it for another reason,
    and writes what is left as a scenario. Ctrl-C ends it early, with what was reached. The exit status is 1 if the
    scenario does not fail.
    """
    from p2p.simulation.grid import point
    from p2p.simulation.incidents import ScenarioError
    from p2p.simulation.job import Job, run
    from p2p.simulation.scenario import readScenario
    from p2p.simulation.shrink import Shrinking, SpentError, failures

    try:
        import tomli_w
    except ImportError:
        raise click.ClickException("shrink needs tomli-w: pip install --editable '.[simulation]'") from None
    try:
        read = readScenario(scenario).withSettings(point(settings))
    except ScenarioError as error:
        raise _Wrong(str(error)) from None
    # What the whole story is about need not be true of what is left of it, and changes no run.
    table = {key: value for key, value in read.table.items() if key != "description"}
    seed = read.scenario.seed if seed is None else seed
    out = out or f"{read.named(seed)}-small.toml"
    with _opened(out) as file:
        found = failures(run(Job(table, seed, fuzz=fuzz)))
        if not found:
            raise click.ClickException(f"{scenario}: everything that is expected holds with seed {seed}")
        expectation = expectation or next(iter(found))
        if expectation not in found:
            raise click.ClickException(f"{scenario}: {expectation} holds with seed {seed}; not so {', '.join(found)}")

        def shown(job: Job) -> dict[str, Any]:
            outcome = run(job)
            bar.update(1)
            return outcome

        shrinking = Shrinking(
            table, seed, expectation, found[expectation], fuzz=fuzz, most=runs, tries=tries, work=shown
        )
        bar: Any = click.progressbar(
            length=runs, label=read.scenario.name, file=sys.stderr, hidden=not sys.stderr.isatty(), show_pos=True,
            show_eta=False, item_show_func=lambda _: counted(len(shrinking.steps), "step"),
        )  # fmt: skip
        try:
            with bar:
                shrinking.go()
            end = "nothing more can be left out"
        except SpentError:
            end = "more might be left out: --runs"
        except KeyboardInterrupt:
            end = "interrupted"
        small = {
            "name": shrinking.table["name"],
            "seed": shrinking.seed,
            **shrinking.table,
        }
        small["seed"] = shrinking.seed
        command = shlex.join(["p2p", "simulate", out, *(["--fuzz"] if fuzz else [])])
        if "checks" in small and read.directory not in (None, os.path.dirname(os.path.abspath(out))):
            # They would not be found from there.
            where = os.pathsep.join(filter(None, [read.directory, os.environ.get("PYTHONPATH")]))
            command = f"PYTHONPATH={shlex.quote(where)} {command}"
        problem = shrinking.failure.problem
        head = oneLine(f"From {os.path.basename(scenario)} with seed {seed}: {expectation}: {problem}")
        file.write(f"# {head}\n\n{tomli_w.dumps(small)}")
    report = {
        "scenario": scenario,
        "seed": shrinking.seed,
        "expectation": expectation,
        "problem": problem,
        "out": out,
        "runs": shrinking.runs,
        "end": end,
        "steps": shrinking.steps,
        "before": _size(table),
        "after": _size(small),
        "replay": command,
    }
    click.echo(json.dumps(report, indent=1) if asJson else _text(report))
    return 0


@contextmanager
def _opened(out: str) -> Iterator[IO[str]]:
    """
    A new file, which is removed if nothing comes of it.

    @raise click.ClickException: it is there, or cannot be made or written.
    """
    try:
        with open(out, "x", encoding="utf-8") as file:
            try:
                yield file
                file.flush()
            except BaseException:
                os.remove(out)
                raise
    except FileExistsError:
        raise _Wrong(f"{out} exists: name another file with --out") from None
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror or error}") from None


def _size(table: dict[str, Any]) -> dict[str, Any]:
    return {"peers": table["peers"]["count"], "events": len(table.get("events", [])), "duration": table["duration"]}


def _text(report: dict[str, Any]) -> str:
    sizes = [
        f"{counted(size['peers'], 'peer')}, {counted(size['events'], 'event')}, {size['duration']:g} s"
        for size in (report["before"], report["after"])
    ]
    rows = [
        ("fails", f"{report['expectation']}: {report['problem']}"),
        ("was", sizes[0]),
        ("is", sizes[1]),
        ("by", f"{counted(len(report['steps']), 'step')} in {counted(report['runs'], 'run')}; {report['end']}"),
        *((("steps" if not number else ""), step) for number, step in enumerate(report["steps"])),
        ("see", report["replay"]),
    ]
    return columns(rows)
