"""
Many runs of a scenario: over seeds, over a grid of settings, over the cores of this machine or the machines of a
cluster.

Whoever does the runs is a C{concurrent.futures.Executor}: a pool of processes
here, or a Dask cluster, which offers one too.  L{outcomes} keeps as many runs
under way as there are hands and tells of each as it ends, and knows no more of
the difference than a L{Place} says.

A run is determined by the scenario, its settings and its seed.  So what was
done need not be done again: L{Record} keeps each run as a line of a file as it
ends, and a sweep that was interrupted goes on where it stopped.

A run that raises is an outcome like any other.  If one takes its process along
(no memory is left, say), a pool loses all the runs under way and does not say
whose fault it was; these are done again, one at a time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

import attrs
import msgspec

from p2p.simulation.errors import crashText
from p2p.simulation.grid import Settings, replaced, settingText
from p2p.simulation.incidents import ScenarioError
from p2p.simulation.job import Job, crashed, run, runApart
from p2p.simulation.metrics import METRICS, Estimate
from p2p.simulation.scenario import ScenarioFile, readScenario

Outcome = dict[str, Any]
"""What came of a run, see L{run}."""

MAX_RUNS = 1_000_000


def readSeeds(text: str) -> list[int]:
    """
    Seeds as a command line has them: C{7}, C{0:1000} (the last is not meant), C{0:100:10}, C{1,2,50:60}.

    @raise ScenarioError: it has none of these forms.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        # No number is longer than Python reads.
        if re.fullmatch(r"\s*-?\d{1,1000}\s*", part):
            seeds[int(part)] = None
        elif re.fullmatch(r"\s*-?\d{1,1000}:-?\d{1,1000}(:[1-9]\d{0,999})?\s*", part):
            chosen = range(*map(int, part.split(":")))
            # Its length may be more than Python tells.
            if chosen[MAX_RUNS:]:
                raise ScenarioError(f"--seeds: {part} are more than {MAX_RUNS:,} seeds, which are the most")
            seeds.update(dict.fromkeys(chosen))
        else:
            raise ScenarioError(f"--seeds: {part!r} is neither a seed nor a range of seeds like 0:1000")
    if not seeds:
        raise ScenarioError(f"--seeds: {text!r} has no seed in it")
    return list(seeds)


@attrs.frozen
class Sweep:
    """
    What is to be run: every point of a grid with every seed.

    @ivar file: the scenario file.
    @ivar points: the settings of each point; one point without settings for a sweep over seeds only.
    @ivar fuzz: let the seed also choose what otherwise a rule decides.
    """

    file: ScenarioFile
    points: Sequence[Settings]
    seeds: Sequence[int]
    fuzz: bool = False

    @classmethod
    def read(cls, path: str, points: Sequence[Settings], seeds: Sequence[int], fuzz: bool = False) -> Sweep:
        """
        Of a scenario file.

        @raise ScenarioError: the file is no scenario, or not with one of these settings.
        """
        # So that an error in the file as it is names the line.
        file = readScenario(path)
        for point in points:
            file.withSettings(point)
        return cls(file, points, seeds, fuzz)

    def jobs(self) -> Iterator[Job]:
        """All runs; seed by seed, so that a sweep that is cut short has about as many runs of each point."""
        tables = [replaced(self.file.table, point) for point in self.points]
        for seed in self.seeds:
            for table, point in zip(tables, self.points, strict=True):
                yield Job(table, seed, point, self.fuzz, self.file.directory)

    def replay(self, outcome: Outcome) -> str:
        """The command that does one of the runs again."""
        words = ["p2p", "simulate", self.file.path, "--seed", str(outcome["seed"])]
        for key, value in outcome["settings"].items():
            words += ["--set", settingText(key, value)]
        return shlex.join([*words, "--fuzz"] if self.fuzz else words)

    def summary(self, outcomes: Iterable[Outcome]) -> dict[str, Any]:
        """
        What the runs amount to: see docs/simulation.md.
        """
        points = {_key(point): _Point(point) for point in self.points}
        for outcome in outcomes:
            points[_key(outcome["settings"])].outcomes.append(outcome)
        for point in points.values():
            point.outcomes.sort(key=lambda outcome: outcome["seed"])
        every = [outcome for point in points.values() for outcome in point.outcomes]
        return {
            "scenario": self.file.path,
            "name": self.file.table["name"],
            "runs": len(every),
            "held": all(outcome["held"] for outcome in every),
            "points": [point.summary() for point in points.values()],
            "failures": [
                {
                    "settings": outcome["settings"],
                    "seed": outcome["seed"],
                    "crash": outcome["crash"],
                    "broken": outcome["broken"],
                    "replay": self.replay(outcome),
                }
                for outcome in every
                if not outcome["held"]
            ],
        }


@attrs.define
class _Point:
    """A point of the grid, and the runs made there."""

    settings: Settings
    outcomes: list[Outcome] = attrs.Factory(list)

    def summary(self) -> dict[str, Any]:
        values = {
            metric.name: [o["metrics"][metric.name] for o in self.outcomes if o["metrics"].get(metric.name) is not None]
            for metric in METRICS
        }
        return {
            "settings": self.settings,
            "runs": len(self.outcomes),
            "failed": sum(not outcome["held"] for outcome in self.outcomes),
            "crashed": sum(outcome["crash"] is not None for outcome in self.outcomes),
            "cut": sum(outcome["cut"] is not None for outcome in self.outcomes),
            "metrics": {
                name: attrs.asdict(Estimate.of(numbers)) if numbers else None for name, numbers in values.items()
            },
        }


def _key(settings: Settings) -> str:
    return json.dumps(settings, sort_keys=True)


class _Broken(msgspec.Struct):
    seed: int
    expectation: str
    problem: str
    time: float


class _Run(msgspec.Struct):
    """What a line of C{runs.jsonl} has."""

    settings: dict[str, Any]
    seed: int
    fuzz: bool
    code: str
    held: bool
    broken: list[_Broken]
    crash: str | None
    cut: float | None
    digest: str | None
    wallSeconds: float | None
    metrics: dict[str, float | None]

    def __post_init__(self) -> None:
        if self.held is (bool(self.broken) or self.crash is not None):
            raise ValueError("a run holds if nothing is broken")


def codeDigest(file: ScenarioFile) -> str:
    """What runs depend on besides their scenario, settings and seed: this package, and the scenario's own checks."""
    package = Path(__file__).parents[1]
    paths = [path for path in sorted(package.rglob("*.py")) if "test" not in path.relative_to(package).parts]
    modules = [sys.modules[check.function.partition(":")[0]] for check in file.scenario.checks]
    paths += [Path(module.__file__) for module in modules if module.__file__ is not None]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


class Record:
    """
    Runs that were done, one a line of C{runs.jsonl}.

    The last line may be torn if the sweep was killed while it was written; that run counts as not done.
    """

    def __init__(self, path: str, code: str) -> None:
        """
        @param code: what L{codeDigest} says of what does the runs; those of other code would be others.
        """
        self._path = path
        self._code = code
        self._done: dict[tuple[str, int, bool], Outcome] = {}
        self._file: IO[bytes] | None = None

    def read(self) -> None:
        """
        Take up what is there; what is torn is cut off.

        @raise ScenarioError: the file holds something else, or runs of other code.
        """
        try:
            with open(self._path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                outcome = json.loads(line)
                msgspec.convert(outcome, _Run)
            except (ValueError, msgspec.ValidationError):
                raise ScenarioError(f"{self._path}, line {number}: is not a run of a sweep") from None
            if outcome["code"] != self._code:
                changed = "p2p, or a module of its checks, has changed since"
                raise ScenarioError(f"{self._path}, line {number}: {changed}: take another directory")
            key = _key(outcome["settings"]), outcome["seed"], outcome["fuzz"]
            # What crashed did so by the fault of the machine, maybe.
            if outcome["crash"] is None:
                self._done[key] = outcome
        if len(whole) < len(content):
            os.truncate(self._path, len(whole))

    def done(self, job: Job) -> Outcome | None:
        """What came of a run, if it was done."""
        return self._done.get((_key(job.settings), job.seed, job.fuzz))

    def add(self, outcome: Outcome, fuzz: bool) -> None:
        """A run was done."""
        if self._file is None:
            self._file = open(self._path, "ab")  # noqa: SIM115
        self._file.write(json.dumps({**outcome, "fuzz": fuzz, "code": self._code}).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """No more will be added."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Place(Protocol):
    """
    Where runs are done.

    @ivar hands: how many runs there can be under way.
    @ivar work: what is called there with each job.
    """

    hands: int
    work: Callable[[Job], Outcome]

    def start(self) -> Executor:
        """Begin, or begin anew after a process has died."""

    def stop(self, executor: Executor, now: bool) -> None:
        """
        End.

        @param now: do not wait for the runs under way.
        """


class Here:
    """The cores of this machine; a L{Place}."""

    def __init__(self, workers: int | None = None, work: Callable[[Job], Outcome] = run) -> None:
        self.hands = workers or len(os.sched_getaffinity(0))
        self.work = work
        self._others = multiprocessing.active_children()

    def start(self) -> Executor:
        """See L{Place}."""
        # Spawned and not forked: a copy of a process that has threads, or a reactor, may hang.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.hands, mp_context=context, initializer=_endAtOnce)

    def stop(self, executor: Executor, now: bool) -> None:
        """See L{Place}."""
        executor.shutdown(wait=not now, cancel_futures=True)
        if now:
            for process in multiprocessing.active_children():
                if process not in self._others:
                    process.terminate()


def _endAtOnce() -> None:
    """A worker that is interrupted, as by Ctrl-C in a terminal, ends without a word; its run will be done again."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Cluster:
    """A Dask cluster; a L{Place}.  Its workers must have this package."""

    def __init__(self, address: str, patience: float = 10.0) -> None:
        """
        @param patience: seconds within which the scheduler must answer.
        @raise ScenarioError: it does not, or Dask is not installed.
        """
        try:
            from distributed import Client
        except ImportError:
            problem = "--dask needs Dask, which is not installed: pip install --editable '.[cluster]'"
            raise ScenarioError(problem) from None

        class Connection(Client):
            """One that did not come about complains no more when it is collected; the others are closed."""

            def __del__(self) -> None:
                pass

        try:
            self._client = Connection(address, timeout=patience, set_as_default=False)
            self.hands: int = sum(self._client.nthreads().values())
        except Exception as error:
            raise ScenarioError(f"--dask {address}: no scheduler answers: {' '.join(str(error).split())}") from None
        if not self.hands:
            self._client.close()
            raise ScenarioError(f"--dask {address}: the scheduler has no workers")
        # One more for each, so that no hand waits while we are told of its last run.
        self.hands *= 2
        self.work: Callable[[Job], Outcome] = runApart

    def start(self) -> Executor:
        """See L{Place}."""
        executor: Executor = self._client.get_executor(pure=False)
        return executor

    def stop(self, executor: Executor, now: bool) -> None:
        """See L{Place}."""
        with _unheard("distributed.client", "tornado.application") if now else nullcontext():
            executor.shutdown(wait=not now)
            self._client.close()


@contextmanager
def _unheard(*names: str) -> Iterator[None]:
    """
    Let nothing that is logged to some loggers be heard: Dask complains of runs that are given up, with tracebacks.
    """
    loggers = [logging.getLogger(name) for name in names]

    def nothing(record: logging.LogRecord) -> bool:
        return False

    for logger in loggers:
        logger.addFilter(nothing)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(nothing)


def outcomes(jobs: Iterable[Job], place: Place) -> Iterator[Outcome]:
    """
    Do runs.

    @return: what came of each, as they end.  Close it to end before all are done.
    """
    waiting = iter(jobs)
    underWay: dict[Future[Outcome], Job] = {}
    executor = place.start()
    now = True
    try:
        while True:
            lost: list[Job] = []
            for job in islice(waiting, place.hands - len(underWay)):
                try:
                    underWay[executor.submit(place.work, job)] = job
                except BrokenExecutor:
                    lost.append(job)
            if not underWay and not lost:
                break
            for future in wait(underWay, return_when=FIRST_COMPLETED).done:
                job = underWay.pop(future)
                outcome = _outcome(future, job)
                if outcome is None:
                    lost.append(job)
                else:
                    yield outcome
            if lost:
                lost += underWay.values()
                underWay.clear()
                executor = place.start()
                for job in lost:
                    outcome = _outcome(executor.submit(place.work, job), job)
                    if outcome is None:
                        outcome = crashed(job, "its process died")
                        executor = place.start()
                    yield outcome
        now = False
    finally:
        place.stop(executor, now)


def _outcome(future: Future[Outcome], job: Job) -> Outcome | None:
    """What came of a run; C{None} if its pool has died and nobody knows why."""
    try:
        return future.result()
    except BrokenExecutor:
        return None
    except (Exception, CancelledError) as error:
        return crashed(job, crashText(error))
