"""
Sweeps in memory: statistics against numbers worked out by hand, grids, records, and runs that fail.  With real
processes and a cluster: C{tests/test_sweep.py}.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from math import sqrt
from typing import Any

from click import Abort, ClickException
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from p2p.commands.sweep import estimateText, sweep, tables
from p2p.simulation import sweep as sweepModule
from p2p.simulation import sweepplots
from p2p.simulation.grid import grid, point, readSettings, replaced, settingText
from p2p.simulation.incidents import ScenarioError
from p2p.simulation.job import Job, run
from p2p.simulation.metrics import METRICS, Estimate, metrics, studentQuantile
from p2p.simulation.scenario import ScenarioFile, parseScenario, readScenario
from p2p.simulation.swarm import Swarm
from p2p.simulation.sweep import Cluster, Here, Outcome, Place, Record, Sweep, outcomes, readSeeds

SCENARIO = """
name = "a few"
duration = 8.0

[peers]
count = 5
options = { gossipCount = 0 }

[[events]]
at = 5.0
publish = { count = 2 }

[[events]]
at = 6.0
crash = { count = 1 }
"""


class InThisThread(Executor):
    """Does what it is given at once; a job that kills its process breaks it, as a pool is broken."""

    broken = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it."""
        future: Future[Any] = Future()
        try:
            if self.broken:
                raise BrokenExecutor
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            self.broken = isinstance(error, BrokenExecutor)
            future.set_exception(error)
        return future


class Inside:
    """
    A place where runs are done at once.

    @ivar started: how often it was started.
    @ivar stopped: what it was told at its end.
    """

    def __init__(self, work: Callable[[Job], Outcome], hands: int = 3) -> None:
        self.work = work
        self.hands = hands
        self.started = 0
        self.stopped: list[bool] = []

    def start(self) -> Executor:
        """See L{Place}."""
        self.started += 1
        return InThisThread()

    def stop(self, executor: Executor, now: bool) -> None:
        """See L{Place}."""
        self.stopped.append(now)


def outcome(seed: int, held: bool = True, settings: dict[str, Any] | None = None, **values: float) -> Outcome:
    """What came of a run."""
    return {
        "settings": settings or {},
        "seed": seed,
        "held": held,
        "broken": [] if held else [{"seed": seed, "expectation": "reach", "problem": "is low", "time": 8.0}],
        "crash": None,
        "cut": None,
        "digest": "00",
        "wallSeconds": 1.0,
        "metrics": {metric.name: values.get(metric.name) for metric in METRICS},
    }


class EstimateTests(SynchronousTestCase):
    """A mean and how far to trust it."""

    def test_meanAndIntervalAreThoseWorkedOutByHand(self) -> None:
        """Of 1, 2, 3, 4: mean 2.5, variance 5/3, and Student's quantile for three degrees of freedom."""
        estimate = Estimate.of([4.0, 1.0, 3.0, 2.0])
        self.assertEqual((estimate.runs, estimate.mean, estimate.least, estimate.most), (4, 2.5, 1.0, 4.0))
        assert estimate.half is not None
        self.assertAlmostEqual(estimate.half, 3.1824 * sqrt(5 / 3 / 4), places=9)

    def test_singleRunHasNoInterval(self) -> None:
        """One value says nothing of how far others lie."""
        self.assertEqual(Estimate.of([3.0]), Estimate(1, 3.0, None, 3.0, 3.0))

    def test_studentsQuantileIsThatOfTheTables(self) -> None:
        """At both ends of what is looked up and what is computed."""
        for freedom, quantile in ((1, 12.706), (10, 2.228), (11, 2.201), (20, 2.086), (30, 2.042), (120, 1.980)):
            self.assertAlmostEqual(studentQuantile(freedom), quantile, places=3)

    def test_digitsAreThoseThatTheIntervalSupports(self) -> None:
        """And a number that did not vary is shown as it is."""
        for mean, half, text in (
            (12.3456, 0.4321, "12.35 ± 0.43"),
            (0.3712, 2.1, "0.4 ± 2.1"),
            (12.3456, 25.0, "12 ± 25"),
            (1.0, 0.0, "1"),
            (12.3456, 0.1321, "12.35 ± 0.13"),
            (1234567.0, 2345.6, "1,234,567 ± 2,346"),
            (0.25, None, "0.25"),
        ):
            self.assertEqual(estimateText({"mean": mean, "half": half}), text)
        self.assertEqual(estimateText(None), "-")


class MetricsTests(SynchronousTestCase):
    """A run in a few numbers."""

    overlay = {"at": 60.0, "components": 1, "meanDegree": 4.0, "maxDegree": 7, "averagePath": 1.5, "diameter": 3}

    def test_metricsAreThoseWorkedOutByHand(self) -> None:
        """
        Two broadcasts, two deaths, one of them found, and one false death that had an excuse.  Two more deaths could
        not be found: one was over at once, and of the other came the end.
        """
        results = {
            "broadcasts": [
                {"live": 10, "reached": 10, "payloads": 27, "duplicates": 18, "lastDelivery": 0.5, "lastHop": 3},
                {"live": 10, "reached": 5, "payloads": 10, "duplicates": 5, "lastDelivery": 0.1, "lastHop": 4},
            ],
            "deaths": [
                {"at": 20.0, "firstDetected": 0.2, "removedFromSeeds": 0.4, "survivors": 3, "restarted": None},
                {"at": 20.0, "firstDetected": None, "removedFromSeeds": None, "survivors": 1, "restarted": 12.0},
                {"at": 20.0, "firstDetected": None, "removedFromSeeds": None, "survivors": 1, "restarted": 9.0},
                {"at": 51.0, "firstDetected": None, "removedFromSeeds": None, "survivors": 1, "restarted": None},
            ],
            "falseDeaths": [{"excuse": "pause"}, {"excuse": None}],
            "overlay": self.overlay,
            "traffic": {"Ping": {"frames": 3, "bytes": 60}, "Pong": {"frames": 2, "bytes": 30}},
        }
        self.assertEqual(
            metrics(results),
            {
                "reach": 0.75, "incomplete": 1, "lastDelivery": 0.3, "lastDeliveryMax": 0.5, "lastHop": 4,
                "redundancy": 1.5, "firstDetected": 0.2, "firstDetectedMax": 0.2, "removedFromSeeds": 0.4,
                "undetected": 1, "falseDeaths": 1, "components": 1, "meanDegree": 4.0, "maxDegree": 7,
                "averagePath": 1.5, "diameter": 3, "frames": 5, "bytes": 90,
            },
        )  # fmt: skip

    def test_whatDidNotHappenIsNone(self) -> None:
        """And not a zero, which would spoil a mean."""
        found = metrics({"broadcasts": [], "deaths": [], "falseDeaths": [], "overlay": self.overlay, "traffic": None})
        nothing = {name for name, value in found.items() if value is None}
        self.assertEqual(
            nothing,
            {metric.name for metric in METRICS} - {"falseDeaths", *self.overlay},
        )


class GridTests(SynchronousTestCase):
    """Settings that are varied."""

    def test_valuesAreWrittenAsInTheFile(self) -> None:
        """Numbers, texts with quotes or without, truths, arrays and tables."""
        for text, values in (
            ("a.b=1,2.5", [1, 2.5]),
            ("a.b=flood,tree", ["flood", "tree"]),
            ("a.b=\"x,y\",'z'", ["x,y", "z"]),
            ("a.b=true,false", [True, False]),
            ("a.b={uniform=[0.0,0.1]},{constant=0.05}", [{"uniform": [0.0, 0.1]}, {"constant": 0.05}]),
            ("a.b = 1, x", [1, "x"]),
        ):
            self.assertEqual(readSettings(text), ("a.b", values))

    def test_whatHasNotTheFormIsRefused(self) -> None:
        """With what was given."""
        for text in ("a", "=1", "a=", "a= "):
            self.assertRaises(ScenarioError, readSettings, text)
        self.assertIn("set twice", str(self.assertRaises(ScenarioError, grid, ["a=1", "a=2"])))

    def test_theSeedHasAnOptionOfItsOwn(self) -> None:
        """Or one of the two would be passed over without a word, and a sweep have the same runs in each column."""
        for settings in (["seed=3"], ["a=1", "seed=1,2"]):
            self.assertIn("say --seed", str(self.assertRaises(ScenarioError, grid, settings)))

    def test_valueThatIsGivenTwiceIsRefused(self) -> None:
        """However it is written, for its runs would count twice."""
        for text, value in (
            ("a=4,3,4", "4"), ("a=0,0.0", "0.0"), ("a=flood,'flood'", "flood"), ("a=[1,2],[1.0,2.0]", "[1.0, 2.0]"),
        ):  # fmt: skip
            error = self.assertRaises(ScenarioError, grid, [text])
            self.assertEqual(str(error), f"a takes {value} twice")
        self.assertEqual(len(grid(["a=1,true,'1'"])), 3)

    def test_aSingleRunTakesOneValueOfEach(self) -> None:
        """Several are refused, as a key is that is set twice."""
        self.assertEqual(point(["a=1", "b=[2,3]"]), {"a": 1, "b": [2, 3]})
        self.assertEqual(point([]), {})
        self.assertIn("--set b: takes one value", str(self.assertRaises(ScenarioError, point, ["a=1", "b=2,3"])))
        self.assertIn("set twice", str(self.assertRaises(ScenarioError, point, ["a=1", "a=2"])))

    def test_gridHasAllCombinations(self) -> None:
        """The last varies fastest; without a setting there is one point."""
        self.assertEqual(
            grid(["a=1,2", "b=x,y"]),
            [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}],
        )
        self.assertEqual(grid([]), [{}])

    def test_settingIsReadAsItIsWritten(self) -> None:
        """What a replaying command says is what was run."""
        for value in (1, 2.5, True, "flood", "true", "1", "a,b", 'a"b', [1, 2], ["x"], {"uniform": [0.0, 0.1]}):
            self.assertEqual(readSettings(settingText("k", value)), ("k", [value]))

    def test_valuesAreReplacedWhereverTheyStand(self) -> None:
        """In tables that may be missing, and in arrays; what was given stays as it is."""
        table = tomllib.loads(SCENARIO)
        changed = replaced(table, {"peers.options.maxConnections": 3, "network.loss": 0.1, "events.1.crash.count": 2})
        self.assertEqual(changed["peers"]["options"], {"gossipCount": 0, "maxConnections": 3})
        self.assertEqual(changed["network"], {"loss": 0.1})
        self.assertEqual(changed["events"][1]["crash"], {"count": 2})
        self.assertEqual(table, tomllib.loads(SCENARIO))

    def test_keyIntoNothingIsRefused(self) -> None:
        """A place that an array has not, or a table in a number."""
        table = tomllib.loads(SCENARIO)
        for key in ("events.2.at", "events.x.at", "duration.x", "events.2", "duration.x.y"):
            self.assertIn(key, str(self.assertRaises(ScenarioError, replaced, table, {key: 1})))


class SeedsTests(SynchronousTestCase):
    """Seeds on a command line."""

    def test_seedsAndRanges(self) -> None:
        """Each seed once, in the order given."""
        self.assertEqual(readSeeds("7"), [7])
        self.assertEqual(readSeeds("0:4"), [0, 1, 2, 3])
        self.assertEqual(readSeeds("0:10:4,3,8:10"), [0, 4, 8, 3, 9])
        self.assertEqual(readSeeds("-2:1"), [-2, -1, 0])

    def test_otherThingsAreRefused(self) -> None:
        """Words, empty ranges, and more than a million."""
        for text in ("", "x", "1:", "4:4", "0:9:0", "0:99999999", "0:1000001", "0:99999999999999999999", "1" * 5000):
            error = self.assertRaises(ScenarioError, readSeeds, text)
            self.assertTrue(str(error).startswith("--seeds: "), error)
        self.assertEqual(readSeeds("99999999999999999999:100000000000000000000"), [99999999999999999999])
        self.assertEqual(len(readSeeds("0:1000000")), 1_000_000)


class SweepTests(SynchronousTestCase):
    """What is run, and what it amounts to."""

    def setUp(self) -> None:
        """A scenario file."""
        self.path = os.path.join(self.mktemp())
        with open(self.path, "w") as file:
            file.write(SCENARIO)

    def test_jobsAreSeedBySeed(self) -> None:
        """So that a sweep that is cut short has as many runs of each point."""
        sweep = Sweep.read(self.path, grid(["peers.count=3,4"]), [1, 2])
        self.assertEqual(
            [(job.seed, job.table["peers"]["count"], job.settings) for job in sweep.jobs()],
            [(seed, count, {"peers.count": count}) for seed in (1, 2) for count in (3, 4)],
        )

    def test_pointThatIsNoScenarioIsRefusedBeforeAnyRun(self) -> None:
        """The error names the key."""
        error = self.assertRaises(ScenarioError, Sweep.read, self.path, grid(["peers.count=3,0"]), [1])
        self.assertIn("peers.count: must be >= 1", str(error))

    def test_summaryHasMeansAndFailures(self) -> None:
        """By point; a failure comes with the command that does it again."""
        sweep = Sweep(readScenario(self.path), grid(["a.b=1,2"]), [1, 2], fuzz=True)
        summary = sweep.summary(
            [
                outcome(2, False, {"a.b": 1}, reach=0.5),
                outcome(1, True, {"a.b": 1}, reach=1.0),
                outcome(1, True, {"a.b": 2}, reach=1.0),
            ]
        )
        self.assertEqual((summary["runs"], summary["held"]), (3, False))
        first, second = summary["points"]
        self.assertEqual((first["runs"], first["failed"], first["metrics"]["reach"]["mean"]), (2, 1, 0.75))
        self.assertEqual((second["runs"], second["failed"], second["metrics"]["reach"]["half"]), (1, 0, None))
        self.assertIsNone(first["metrics"]["diameter"])
        (failure,) = summary["failures"]
        self.assertEqual(
            shlex.split(failure["replay"]),
            ["p2p", "simulate", self.path, "--seed", "2", "--set", "a.b=1", "--fuzz"],
        )
        text = tables(summary)
        self.assertIn("b=1", text)
        self.assertIn("share of peers reached", text)
        self.assertNotIn("diameter", text)

    def test_runOfAJobIsTheRunOfItsScenario(self) -> None:
        """With its seed, again and again; another seed gives another run."""
        table = tomllib.loads(SCENARIO)
        first, again, other = (run(Job(table, seed)) for seed in (1, 1, 2))
        self.assertEqual(first["metrics"], again["metrics"])
        self.assertEqual(first["digest"], again["digest"])
        self.assertNotEqual(first["digest"], other["digest"])
        self.assertEqual((first["metrics"]["reach"], first["held"], first["crash"]), (1.0, True, None))
        json.dumps(first)

    def test_ofEachExpectationThatDoesNotHoldTheFirstIsKept(self) -> None:
        """However often another does not; and in their order, twenty in all."""
        table = tomllib.loads(SCENARIO)
        table["events"][0]["publish"] = {"count": 30, "every": 0.01}
        table["expect"] = {"lastDelivery": 0.0, "redundancy": 0.0, "components": 0}
        broken = run(Job(table, 1))["broken"]
        self.assertEqual([one["expectation"] for one in broken], ["lastDelivery"] * 18 + ["redundancy", "components"])

    def test_runThatRaisesIsAnOutcome(self) -> None:
        """It is told with its seed, and where it went wrong."""
        table = replaced(tomllib.loads(SCENARIO), {"checks": [{"function": "p2p.test.test_simulation_sweep:fail"}]})
        found = run(Job(table, 3))
        self.assertEqual((found["seed"], found["held"]), (3, False))
        self.assertRegex(found["crash"], r"ZeroDivisionError: .* \(test_simulation_sweep.py:\d+, at 8.000 s\)")

    def test_runThatIsCutShortEntersNoMean(self) -> None:
        """What must hold always ends it when it does not; its frames are those of a part of the time."""
        table = tomllib.loads(SCENARIO)
        whole = run(Job({**table, "duration": 8.00000009}, 1))
        check = {"function": "p2p.test.test_simulation_sweep:early", "always": True}
        cut = run(Job({**table, "checks": [check]}, 1))
        self.assertEqual((whole["cut"], cut["cut"], cut["metrics"]), (None, 5.0, {}))
        summary = Sweep(readScenario(self.path), [{}], [1, 2]).summary([whole, {**cut, "seed": 2}])
        self.assertEqual([summary["points"][0][name] for name in ("runs", "failed", "crashed", "cut")], [2, 1, 0, 1])
        self.assertEqual(summary["points"][0]["metrics"]["frames"]["runs"], 1)
        self.assertRegex(tables(summary), r"of these cut short +1\n")

    def test_headingsTellThePointsApart(self) -> None:
        """By the shortest names, with whatever values."""
        points = grid(["a.0.x={u = [1, 2]},{c = 0.5}", "a.1.x=1", "b.y=2"])
        lines = tables(Sweep(readScenario(self.path), points, [1]).summary([])).splitlines()
        self.assertEqual(re.split("  +", lines[2].strip()), ["0.x={u = [1, 2]}", "0.x={c = 0.5}"])
        self.assertEqual(re.split("  +", lines[3].strip()), ["1.x=1", "1.x=1"])
        self.assertEqual(re.split("  +", lines[4].strip()), ["y=2", "y=2"])


    def test_checksAreFoundBesideTheScenario(self) -> None:
        """Wherever the run is done."""
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        with open(os.path.join(directory, "besidesweep.py"), "w") as file:
            file.write("def check(swarm): return False\n")
        path = os.path.join(directory, "few.toml")
        with open(path, "w") as file:
            file.write(SCENARIO + '[[checks]]\nfunction = "besidesweep:check"\n')
        self.patch(sys, "path", list(sys.path))
        (job,) = Sweep.read(path, grid([]), [1]).jobs()
        # As in another process, or on another machine that has the directory.
        sys.path.remove(directory)
        del sys.modules["besidesweep"]
        self.addCleanup(sys.modules.pop, "besidesweep")
        self.assertEqual([one["expectation"] for one in run(job)["broken"]], ["besidesweep:check"])


def fail(swarm: object) -> bool:
    """A check that cannot be made."""
    return 1 / 0 > 1


def early(swarm: Swarm) -> bool:
    """A statement that holds for a while."""
    return swarm.network.now < 5.0


class CommandTests(SynchronousTestCase):
    """C{p2p sweep}, with runs that are done at once, in this process."""

    def setUp(self) -> None:
        """A scenario file, and a directory for what comes of it."""
        self.path, self.out = self.mktemp(), self.mktemp()
        self.write(SCENARIO)
        self.work: Callable[[Job], Outcome] = lambda job: outcome(job.seed, True, job.settings, reach=1.0)
        self.workers: list[int | None] = []

        def here(workers: int | None) -> Inside:
            self.workers.append(workers)
            return Inside(lambda job: self.work(job))

        self.patch(sweepModule, "Here", here)

    def write(self, text: str) -> None:
        """Another scenario."""
        with open(self.path, "w") as file:
            file.write(text)

    def sweep(self, *arguments: str) -> Result:
        """Call it."""
        return CliRunner().invoke(sweep, [self.path, "--seeds", "0:2", *arguments], standalone_mode=False)

    def test_eachLineSaysSomethingElse(self) -> None:
        """What is to be done, then what was; of a single run there is no interval."""
        result = self.sweep()
        self.assertEqual(result.stderr, "p2p: a few: 2 runs to do\n")
        self.assertEqual(result.stdout.splitlines()[0], "a few: 2 runs")
        self.assertIn("mean ± half", result.stdout.splitlines()[-1])
        result = self.sweep("--seeds", "3")
        self.assertEqual(result.stderr, "p2p: a few: 1 run to do\n")
        self.assertNotIn("±", result.stdout)

    def test_scenarioIsReadOnce(self) -> None:
        """So it may be a pipe; what is kept in the directory is what came through it."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        with open(writing, "w") as pipe:
            pipe.write(SCENARIO)
        self.path = f"/dev/fd/{reading}"
        result = self.sweep("--set", "peers.count=3,4", "--out", self.out)
        self.assertEqual((result.return_value, result.exception), (0, None))
        with open(os.path.join(self.out, "scenario.toml")) as file:
            self.assertEqual(file.read(), SCENARIO)


    def test_directoryIsOfOneCode(self) -> None:
        """A check that has changed since would be mixed with what it was; so would p2p."""
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        self.path = os.path.join(directory, "few.toml")
        self.write(SCENARIO + '[[checks]]\nfunction = "besidescode:check"\n')
        self.patch(sys, "path", list(sys.path))
        self.addCleanup(sys.modules.pop, "besidescode")
        for answer, arguments, status in ((True, [], 0), (True, ["--resume"], 0), (False, ["--resume"], None)):
            with open(os.path.join(directory, "besidescode.py"), "w") as file:
                file.write(f"def check(swarm): return {answer}\n")
            result = self.sweep("--out", self.out, *arguments)
            self.assertEqual(result.return_value, status)
        self.assertIn("has changed since", str(result.exception))

    def test_plotsAreThoseOfTheseRuns(self) -> None:
        """Those of before are gone."""
        for arguments, plots in (([], ["seeds.png"]), (["--resume", "--set", "peers.count=3,4"], ["peers.count.png"])):
            self.assertEqual(self.sweep("--out", self.out, *arguments).return_value, 0)
            self.assertEqual(os.listdir(os.path.join(self.out, "plots")), plots)

    def test_allCoresWorkUnlessItIsSaidHowMany(self) -> None:
        """And no more than there are runs."""
        for arguments in ([], ["--workers", "1"], ["--workers", "99"]):
            self.sweep(*arguments)
        self.assertEqual(self.workers, [None, 1, 2])
        self.assertEqual(Here(None).hands, len(os.sched_getaffinity(0)))
        self.assertEqual(Here(7).hands, 7)

    def test_directoryIsOfOneScenario(self) -> None:
        """From the moment on in which it was begun, though no run of it was done."""

        def interrupted(job: Job) -> Outcome:
            raise KeyboardInterrupt

        done, self.work = self.work, interrupted
        self.assertIsInstance(self.sweep("--out", self.out).exception, Abort | KeyboardInterrupt)
        self.assertEqual(os.listdir(self.out), ["scenario.toml"])
        self.work = done
        self.write(other := SCENARIO.replace("5.0", "5.5"))
        for arguments in ([], ["--resume"]):
            result = self.sweep("--out", self.out, *arguments)
            self.assertIn("is a sweep of another scenario", str(result.exception))
        self.assertEqual(os.listdir(self.out), ["scenario.toml"])
        self.write(SCENARIO)
        self.assertEqual(self.sweep("--out", self.out).return_value, 0)
        self.write(other)
        self.assertIn("another scenario", str(self.sweep("--out", self.out, "--resume").exception))

    def test_whatCannotBeWrittenIsToldAfterTheTable(self) -> None:
        """The runs were made, and what they amount to is known."""
        for name in ("sweep.json", "plots"):
            out = self.mktemp()
            os.mkdir(out)
            if name == "plots":
                with open(os.path.join(out, name), "w"):
                    pass
            else:
                os.mkdir(os.path.join(out, name))
            result = self.sweep("--out", out)
            self.assertIn("share of peers reached", result.stdout)
            assert isinstance(result.exception, ClickException)
            self.assertEqual(result.exception.exit_code, 1)
            self.assertIn(os.path.join(out, name), result.exception.message)


class PlotTests(SynchronousTestCase):
    """What a sweep draws."""

    def drawn(self, settings: list[str], outcomes: list[Outcome]) -> dict[str, Any]:
        """The figures, by the names of their files."""
        figures: dict[str, Any] = {}
        self.patch(sweepplots, "save", lambda figure, path: figures.__setitem__(os.path.basename(path), figure))
        file = ScenarioFile("x.toml", None, SCENARIO, tomllib.loads(SCENARIO), parseScenario(SCENARIO))
        sweep = Sweep(file, grid(settings), [1, 2])
        written = sweepplots.writePlots("plots", sweep.summary(outcomes), outcomes)
        self.assertEqual([os.path.basename(path) for path in written], list(figures))
        return figures

    def test_metricAgainstSetting(self) -> None:
        """A point for each value at the mean over the seeds, with a bar of half the interval on either side."""
        outcomes = [
            outcome(seed, True, {"a.b": value}, reach=reach, lastDelivery=1.0)
            for value, reaches in ((1, (0.5, 0.7)), (4, (0.9, 1.0)))
            for seed, reach in enumerate(reaches, 1)
        ]
        figures = self.drawn(["a.b=1,4"], outcomes)
        self.assertEqual(list(figures), ["a.b.png"])
        # What does not vary is not drawn.
        shown = [ax for ax in figures["a.b.png"].axes if ax.containers]
        self.assertEqual([ax.get_title(loc="left") for ax in shown], ["share of peers reached"])
        line, _, (bars,) = shown[0].containers[0]
        self.assertEqual(list(line.get_xdata()), [1, 4])
        for mean, bar, values in zip(line.get_ydata(), bars.get_segments(), ((0.5, 0.7), (0.9, 1.0)), strict=True):
            expected = Estimate.of(values)
            assert expected.half is not None
            self.assertAlmostEqual(mean, expected.mean)
            self.assertAlmostEqual(bar[1][1] - bar[0][1], 2 * expected.half)

    def test_namesAreNotJoined(self) -> None:
        """Between two numbers there is something, between two strategies there is not."""
        for setting, values, style in (("a.b=1,4", (1, 4), "-"), ('a.b="x","y"', ("x", "y"), "None")):
            outcomes = [outcome(1, True, {"a.b": value}, reach=n / 2) for n, value in enumerate(values)]
            self.assertEqual(self.drawn([setting], outcomes)["a.b.png"].axes[0].lines[0].get_linestyle(), style)

    def test_whatCoincidesStandsSideBySide(self) -> None:
        """All of a series by the same distance, with its intervals, and what is given as numbers stays so."""
        settings = [{"a.b": one, "c.d": other} for one in (1, 4) for other in (10, 20)]
        outcomes = [
            outcome(seed, True, setting, reach=setting["a.b"] / 10 + seed / 100)
            for setting in settings
            for seed in (1, 2)
        ]
        axes = self.drawn(["a.b=1,4", "c.d=10,20"], outcomes)["a.b.png"].axes[0]
        places = [
            (line.get_transform().transform(line.get_xydata()), bars.get_transform().transform(bars.get_segments()[0]))
            for line, _, (bars,) in axes.containers
        ]
        (one, interval), (other, another) = places
        for here, there in ((one, other), (interval, another)):
            aside = [tuple(pair) for pair in there - here]
            self.assertTrue(all(x > 4 and abs(y) < 1e-6 for x, y in aside), aside)
        self.assertEqual(axes.containers[0][0].get_xdata().tolist(), axes.containers[1][0].get_xdata().tolist())

    def test_withoutSettings(self) -> None:
        """How the metrics that differ are spread over the seeds: whole numbers of runs, a bar for each count."""
        outcomes = [
            outcome(seed, True, {}, reach=1.0, diameter=3 + seed % 2, lastDelivery=seed / 10) for seed in range(3)
        ]
        figures = self.drawn([], outcomes)
        self.assertEqual(list(figures), ["seeds.png"])
        shown = [axes for axes in figures["seeds.png"].axes if axes.patches]
        titles = ["time to last delivery, mean", "path length, longest"]
        self.assertEqual([axes.get_title(loc="left") for axes in shown], titles)
        for axes in shown:
            self.assertTrue(all(tick == round(tick) for tick in axes.get_yticks()))
        bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in shown[1].patches]
        self.assertEqual([(round(middle, 6), height) for middle, height in bars], [(3, 2), (4, 1)])

    def test_whereNothingDiffersThatIsSaid(self) -> None:
        """For all seeds, and for all values."""
        for settings, values in (([], [{}, {}]), (["a.b=1,4"], [{"a.b": 1}, {"a.b": 4}])):
            outcomes = [outcome(1, True, value, reach=1.0) for value in values]
            (figure,) = self.drawn(settings, outcomes).values()
            self.assertEqual(figure.axes[0].get_title(loc="left"), "nothing differs")


class OutcomesTests(SynchronousTestCase):
    """Keeping hands busy."""

    jobs = [Job({}, seed) for seed in range(8)]

    def test_eachJobIsDoneOnce(self) -> None:
        """And the place is left in good order."""
        place: Place = Inside(lambda job: outcome(job.seed))
        self.assertEqual(sorted(o["seed"] for o in outcomes(self.jobs, place)), list(range(8)))
        assert isinstance(place, Inside)
        self.assertEqual((place.started, place.stopped), (1, [False]))

    def test_endingEarlyEndsThePlaceNow(self) -> None:
        """As when somebody interrupts."""
        place = Inside(lambda job: outcome(job.seed))
        going = outcomes(self.jobs, place)
        next(going)
        going.close()  # type: ignore[attr-defined]
        self.assertEqual(place.stopped, [True])

    def test_jobThatRaisesEndsNothing(self) -> None:
        """It is reported as crashed, with its seed."""

        def work(job: Job) -> Outcome:
            if job.seed == 5:
                raise ValueError("no")
            return outcome(job.seed)

        found = {o["seed"]: o["crash"] for o in outcomes(self.jobs, Inside(work))}
        self.assertEqual(sorted(found), list(range(8)))
        self.assertIn("ValueError: no", found.pop(5))
        self.assertEqual(set(found.values()), {None})

    def test_jobThatKillsItsProcessIsFound(self) -> None:
        """All that were under way are done again one by one; only the one whose fault it is has crashed."""

        def work(job: Job) -> Outcome:
            if job.seed == 4:
                raise BrokenExecutor
            return outcome(job.seed)

        place = Inside(work)
        found = {o["seed"]: o["crash"] for o in outcomes(self.jobs, place)}
        self.assertEqual(sorted(found), list(range(8)))
        self.assertEqual(found.pop(4), "its process died")
        self.assertEqual(set(found.values()), {None})
        self.assertEqual(place.started, 3)


class ClusterTests(SynchronousTestCase):
    """How it is left; tests/test_sweep.py uses a real one."""

    def heard(self, now: bool) -> list[str]:
        """What is heard of what Dask says while it is left, and after that."""
        log = logging.getLogger("distributed.client")
        records: list[str] = []
        handler = logging.Handler()
        self.patch(handler, "emit", lambda record: records.append(record.getMessage()))
        log.addHandler(handler)
        self.addCleanup(log.removeHandler, handler)

        class Client:
            def close(self) -> None:
                log.warning("a run was cancelled")

        cluster = Cluster.__new__(Cluster)
        cluster._client = Client()  # type: ignore[assignment]
        cluster.stop(InThisThread(), now)
        log.warning("after")
        return records

    def test_whatItSaysOfRunsThatAreGivenUpIsNotHeard(self) -> None:
        """With Ctrl-C they are cancelled, of which it complains."""
        self.assertEqual(self.heard(True), ["after"])
        self.assertEqual(self.heard(False), ["a run was cancelled", "after"])


class RecordTests(SynchronousTestCase):
    """Runs that were done."""

    def setUp(self) -> None:
        """A file with two runs."""
        self.path = self.mktemp()
        record = Record(self.path, "c0de")
        record.add(outcome(1, settings={"a": 1}), False)
        record.add(outcome(2, settings={"a": 1}), False)
        record.close()

    def reopened(self) -> Record:
        """The record as the next process sees it."""
        record = Record(self.path, "c0de")
        record.read()
        return record

    def test_doneIsWhatWasAdded(self) -> None:
        """By settings, seed, and whether it was fuzzed."""
        record = self.reopened()
        kept = {**outcome(1, settings={"a": 1}), "fuzz": False, "code": "c0de"}
        self.assertEqual(record.done(Job({}, 1, {"a": 1})), kept)
        for job in (Job({}, 3, {"a": 1}), Job({}, 1, {"a": 2}), Job({}, 1, {"a": 1}, True)):
            self.assertIsNone(record.done(job))

    def test_tornLineIsCutOff(self) -> None:
        """The run is done again, and its line is whole."""
        with open(self.path, "ab") as file:
            file.write(b'{"settings": {"a"')
        record = self.reopened()
        record.add(outcome(3, settings={"a": 1}), False)
        record.close()
        record = self.reopened()
        self.assertEqual([record.done(Job({}, seed, {"a": 1})) is not None for seed in (1, 2, 3)], [True] * 3)

    def test_crashIsTriedAgain(self) -> None:
        """It may have been the machine's fault."""
        record = Record(self.path, "c0de")
        record.add({**outcome(7, False), "crash": "its process died"}, False)
        record.close()
        self.assertIsNone(self.reopened().done(Job({}, 7)))

    def test_runsOfOtherCodeAreRefused(self) -> None:
        """They would be mixed with others."""
        error = self.assertRaises(ScenarioError, Record(self.path, "0ther").read)
        self.assertIn("line 1: p2p, or a module of its checks, has changed", str(error))

    def test_fileOfSomethingElseIsRefused(self) -> None:
        """With its line, also if it lacks just a part."""
        with open(self.path, "rb") as file:
            lines = file.readlines()
        for part in ("", *json.loads(lines[1])):
            other = {key: value for key, value in json.loads(lines[1]).items() if key != part} if part else [1]
            with open(self.path, "wb") as file:
                file.write(lines[0] + json.dumps(other).encode() + b"\n")
            self.assertIn("line 2", str(self.assertRaises(ScenarioError, self.reopened)))

    def test_fileWithOtherValuesIsRefused(self) -> None:
        """Of another type, or which contradict each other."""
        whole = {**outcome(1, False, {"a": 1}), "fuzz": False, "code": "c0de"}
        (one,) = whole["broken"]
        self.assertEqual(self.written(whole).done(Job({}, 1, {"a": 1})), whole)
        for key, value in (
            ("seed", [0]), ("seed", "1"), ("seed", True), ("settings", 1), ("fuzz", None), ("held", 0), ("held", True),
            ("broken", []), ("broken", [1]), ("broken", [{**one, "problem": 1}]), ("broken", None), ("crash", 1),
            ("digest", 1), ("wallSeconds", "1"), ("metrics", []), ("metrics", {"reach": "1"}),
        ):  # fmt: skip
            error = self.assertRaises(ScenarioError, self.written, {**whole, key: value})
            self.assertIn("line 1: is not a run of a sweep", str(error))
        large = {**whole, "seed": 10**30}
        self.assertEqual(self.written(large).done(Job({}, 10**30, {"a": 1})), large)

    def written(self, line: dict[str, Any]) -> Record:
        """The record in a file of one line."""
        with open(self.path, "w") as file:
            file.write(json.dumps(line) + "\n")
        return self.reopened()

    def test_nothingIsThereYet(self) -> None:
        """Then nothing is done."""
        self.path = self.mktemp()
        self.assertIsNone(self.reopened().done(Job({}, 1)))
