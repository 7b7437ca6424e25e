"""
One run of many: what to run, told in a form that goes to another process or machine, and what came of it, in a form
that goes into a line of a file.

A run never shares its process with other work: while it lasts the simulator
keeps everything in the process away from the real clock and sockets.  In a pool
of processes of ours that is so anyway.  A worker of a cluster has threads of
its own, so there each run gets L{a process of its own<runApart>}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import attrs

from p2p.simulation.errors import crashText
from p2p.simulation.grid import Settings
from p2p.simulation.metrics import metrics
from p2p.simulation.run import Run, dropLog
from p2p.simulation.scenario import scenarioOf

KEPT_BROKEN = 20
"""What is kept of a run of what did not hold, which may be one for each broadcast; of each expectation the first is."""

_quiet = False


@attrs.frozen
class Job:
    """
    A run to be done.

    @ivar table: the scenario file, with C{settings} in it already.
    @ivar settings: what was set; it names the point of the grid.
    @ivar directory: where modules with checks are looked for, too.
    """

    table: dict[str, Any]
    seed: int
    settings: Settings = attrs.Factory(dict)
    fuzz: bool = False
    directory: str | None = None


def run(job: Job) -> dict[str, Any]:
    """
    Do it.

    @return: C{settings}, C{seed}, C{held}, C{broken}, C{digest}, C{metrics}, C{wallSeconds}; C{crash}: C{None}, or
        the exception with which the run ended; and C{cut}: C{None}, or the virtual second at which something that must
        hold always did not, which ends a run.  One that has not come to its end has no metrics.
    """
    global _quiet
    if not _quiet:
        dropLog()
        _quiet = True
    going = None
    try:
        going = Run.of(scenarioOf(job.table, directory=job.directory), job.seed, fuzz=job.fuzz)
        results = going.go()
    except Exception as error:
        return crashed(job, crashText(error, going.network.now if going is not None else None))
    cut = results["virtualSeconds"] if going.network.now < going.scenario.duration else None
    return {
        "settings": job.settings,
        "seed": job.seed,
        "held": results["held"],
        "broken": _kept(results["broken"]),
        "crash": None,
        "cut": cut,
        "digest": results["digest"],
        "wallSeconds": results["wallSeconds"],
        "metrics": metrics(results) if cut is None else {},
    }


def _kept(broken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of each expectation, and of the others as many as there is room for, in their order."""
    first: dict[str, int] = {}
    for place, one in enumerate(broken):
        first.setdefault(one["expectation"], place)
    others = [place for place in range(len(broken)) if place not in set(first.values())]
    room = max(0, KEPT_BROKEN - len(first))
    return [broken[place] for place in sorted([*first.values(), *others[:room]])]


def crashed(job: Job, how: str) -> dict[str, Any]:
    """What there is to say of a run that did not come to its end."""
    return {
        "settings": job.settings,
        "seed": job.seed,
        "held": False,
        "broken": [],
        "crash": how,
        "cut": None,
        "digest": None,
        "wallSeconds": None,
        "metrics": {},
    }


def runApart(job: Job) -> dict[str, Any]:
    """Do it in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "p2p.simulation.job"],
        input=json.dumps(attrs.asdict(job)),
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return crashed(job, f"its process ended with status {done.returncode}: {last}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    print(json.dumps(run(Job(**json.load(sys.stdin)))))
