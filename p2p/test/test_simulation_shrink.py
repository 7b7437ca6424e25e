"""
Making failing scenarios small: against runs whose failures are known, and once with a real one.
"""

from __future__ import annotations

import json
import os
import shlex
import tomllib
from typing import Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from p2p.commands.shrink import shrink
from p2p.simulation import job as jobModule
from p2p.simulation.job import Job
from p2p.simulation.scenario import readScenario
from p2p.simulation.shrink import REDUCTIONS, Failure, Shrinking, SpentError, failures

SCENARIO = """
name = "too much"
duration = 60.0

[network]
loss = 0.1

[peers]
count = 40
join = { over = 5.0 }
options = { gossipCount = 0, maxConnections = 3 }

[[events]]
at = 10.0
publish = { count = 5, size = 100 }

[[events]]
at = 20.0
crash = { fraction = 0.5 }

[[events]]
at = 30.0
partition = { groups = [["peer-1", "peer-2"], ["peer-3"]], for = 10.0 }

[[events]]
at = 45.0
leave = { count = 2 }

[expect]
reach = 1.0
components = 1
listed = true
"""


def broken(*names: str, had: float | None = None) -> dict[str, Any]:
    """What came of a run in which some expectations did not hold."""
    found = [{"expectation": name, "problem": "no", "time": 9.0, "had": had} for name in names]
    return {"crash": None, "broken": found}


def verbs(table: dict[str, Any]) -> list[str]:
    """What happens in a scenario."""
    return [next(key for key in event if key != "at") for event in table.get("events", [])]


class ShrinkingTests(SynchronousTestCase):
    """The search, with runs that fail as told."""

    def shrinking(self, fails: Any, **options: Any) -> Shrinking:
        """A search in which a run fails if C{fails} says so of its job."""

        def work(job: Job) -> dict[str, Any]:
            return broken("components") if fails(job) else broken()

        return Shrinking(tomllib.loads(SCENARIO), 7, "components", Failure("no"), work=work, **options)

    def test_onlyWhatTheFailureNeedsIsLeft(self) -> None:
        """A failure that needs a partition and at least eleven peers keeps these, and nothing else."""

        def fails(job: Job) -> bool:
            table = job.table
            return (
                "partition" in verbs(table)
                and table["peers"]["count"] >= 11
                and "components" in table.get("expect", {})
            )

        shrinking = self.shrinking(fails)
        shrinking.go()
        table = shrinking.table
        self.assertEqual(verbs(table), ["partition"])
        self.assertEqual(table["peers"], {"count": 11, "options": {"gossipCount": 0}})
        self.assertEqual(table["expect"], {"components": 1})
        self.assertNotIn("network", table)
        self.assertLess(table["duration"], 2.0)
        self.assertEqual(table["events"][0]["partition"]["groups"], [["peer-2"], ["peer-3"]])
        self.assertIn("peers 40 -> 20", shrinking.steps)

    def test_eventsThatAreNeededTogetherStay(self) -> None:
        """Two that fail only together are both kept, in their order."""
        shrinking = self.shrinking(lambda job: {"publish", "leave"} <= set(verbs(job.table)))
        shrinking.go()
        self.assertEqual(verbs(shrinking.table), ["publish", "leave"])

    def test_whatIsNoScenarioIsNotRun(self) -> None:
        """With three peers there is no peer-3, so four are the fewest."""
        shrinking = self.shrinking(lambda job: "partition" in verbs(job.table))
        shrinking.go()
        names = [name for group in shrinking.table["events"][0]["partition"]["groups"] for name in group]
        self.assertEqual(shrinking.table["peers"]["count"], 1 + max(int(name[5:]) for name in names))

    def test_anotherFailureIsNotKept(self) -> None:
        """A run that fails in another way does not count."""
        shrinking = self.shrinking(lambda job: True)
        shrinking.work = lambda job: broken("reach")
        shrinking.go()
        self.assertEqual(shrinking.steps, [])

    def test_whatHadLessTimeIsNotKept(self) -> None:
        """Before an early end nothing reaches anybody, which is another failure; and more time is not asked for."""

        def work(job: Job) -> dict[str, Any]:
            (at,) = [event["at"] for event in job.table.get("events", []) if "publish" in event] or [55.0]
            return broken("reach", had=job.table["duration"] - at)

        shrinking = Shrinking(tomllib.loads(SCENARIO), 7, "reach", Failure("no", had=8.0), work=work)
        shrinking.go()
        (event,) = shrinking.table["events"]
        self.assertEqual(list(event), ["at", "publish"])
        self.assertGreaterEqual(shrinking.table["duration"] - event["at"], 8.0)
        self.assertLess(shrinking.table["duration"], 9.5)
        self.assertEqual(shrinking.failure.had, shrinking.table["duration"] - event["at"])

    def test_nothingIsRunTwice(self) -> None:
        """The same scenario fails or not, once and for all."""
        seen: list[str] = []

        def fails(job: Job) -> bool:
            seen.append(repr(job.table))
            return "partition" in verbs(job.table)

        self.shrinking(fails).go()
        self.assertEqual(len(seen), len(set(seen)))

    def test_rareFailuresTakeOtherSeeds(self) -> None:
        """The seed with which the smaller one failed is the seed of what follows."""
        shrinking = self.shrinking(lambda job: job.seed == 9, tries=3)
        shrinking.go()
        self.assertEqual(shrinking.seed, 9)
        self.assertEqual(shrinking.table["peers"]["count"], 1)

    def test_runsAreCounted(self) -> None:
        """When they are spent, what was reached is there."""
        shrinking = self.shrinking(lambda job: True, most=3)
        self.assertRaises(SpentError, shrinking.go)
        self.assertEqual((shrinking.runs, len(shrinking.steps)), (3, 3))

    def test_reductionsLeaveAloneWhatTheyAreGiven(self) -> None:
        """Each makes another table."""
        table = tomllib.loads(SCENARIO)
        for reduction in REDUCTIONS:
            for _, smaller in reduction(table):
                self.assertNotEqual(smaller, table)
        self.assertEqual(table, tomllib.loads(SCENARIO))

    def test_crashesAreFailuresByTheirType(self) -> None:
        """With whatever text."""
        found = failures({"crash": "ValueError: 3 (run.py:7)", "broken": []})
        self.assertEqual(found, {"ValueError": Failure("ValueError: 3 (run.py:7)")})


def multiline(swarm: object) -> None:
    """A check that does not hold, and says so at length."""
    raise AssertionError("one\ntwo \x1b[31m\r\nthree")


class CommandTests(SynchronousTestCase):
    """C{p2p shrink}."""

    def setUp(self) -> None:
        """A scenario that cannot hold."""
        self.path = self.mktemp()
        with open(self.path, "w") as file:
            file.write(
                'name = "few"\nduration = 12.0\n[peers]\ncount = 6\noptions = { gossipCount = 0 }\n'
                "[[events]]\nat = 5.0\npublish = { count = 3 }\n[[events]]\nat = 8.0\nleave = { count = 1 }\n"
                "[expect]\nlastDelivery = 0.02\ncomponents = 1\n"
            )

    def test_smallScenarioFailsAlike(self) -> None:
        """What is written is a scenario that fails as the large one did."""
        out = self.mktemp()
        result = CliRunner().invoke(shrink, [self.path, "--seed", "1", "--out", out], standalone_mode=False)
        self.assertEqual(result.return_value, 0, result.output)
        small = readScenario(out).scenario
        self.assertEqual([list(event.verbs) for event in small.events], [["publish"]])
        self.assertLess(small.peers.count, 6)
        self.assertEqual(small.seed, 1)
        self.assertIn("lastDelivery", result.output)
        again = CliRunner().invoke(shrink, [out, "--out", self.mktemp(), "--json"], standalone_mode=False)
        self.assertIn('"steps": []', again.output)

    def test_whateverACheckSaysTheFileIsAScenario(self) -> None:
        """What fails is told on one line, without what a comment cannot hold; the name of the file is quoted."""
        with open(self.path, "a") as file:
            file.write(f'[[checks]]\nfunction = "{__name__}:multiline"\n')
        out = self.path + " big.toml"
        arguments = [self.path, "--expectation", f"{__name__}:multiline", "--runs", "1", "--out", out]
        result = CliRunner().invoke(shrink, arguments, standalone_mode=False)
        self.assertEqual(result.return_value, 0, result.exception)
        with open(out) as file:
            self.assertTrue(file.readline().endswith(": does not hold: one two \\x1b[31m three (at 12.000 s)\n"))
        self.assertEqual(readScenario(out).scenario.name, "few")
        self.assertEqual(shlex.split(result.output.splitlines()[-1]), ["see", "p2p", "simulate", out])

    def test_checksAreFoundFromWhereverTheFileIs(self) -> None:
        """They are looked for beside the scenario; the command says where that was, if the file is elsewhere."""
        with open(self.path, "a") as file:
            file.write(f'[[checks]]\nfunction = "{__name__}:multiline"\n')
        os.mkdir(elsewhere := self.mktemp())
        out = os.path.join(elsewhere, "small.toml")
        self.patch(os, "environ", {**os.environ, "PYTHONPATH": "/some where"})
        arguments = [self.path, "--expectation", f"{__name__}:multiline", "--runs", "1", "--out", out]
        result = CliRunner().invoke(shrink, arguments, standalone_mode=False)
        where = os.path.dirname(os.path.abspath(self.path))
        self.assertEqual(
            shlex.split(result.output.splitlines()[-1])[1:],
            [f"PYTHONPATH={where}:/some where", "p2p", "simulate", out],
        )

    def test_whatItIsCalled(self) -> None:
        """After scenario and seed; the story's description goes, however early it ends."""
        self.addCleanup(os.chdir, os.getcwd())
        with open(self.path) as file:
            text = file.read()
        os.mkdir(elsewhere := self.mktemp())
        os.chdir(elsewhere)
        with open("few.toml", "w") as file:
            file.write('description = "They all live."\n' + text)
        result = CliRunner().invoke(shrink, ["few.toml", "--seed", "3", "--runs", "1"])
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(sorted(os.listdir(".")), ["few-seed3-small.toml", "few.toml"])
        self.assertEqual(readScenario("few-seed3-small.toml").scenario.description, "")
        self.assertIn("p2p simulate few-seed3-small.toml\n", result.output)

    def test_scenarioIsReadOnce(self) -> None:
        """So it may be a pipe."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        with open(writing, "w") as pipe, open(self.path) as file:
            pipe.write(file.read())
        arguments = [f"/dev/fd/{reading}", "--set", "peers.count=5", "--runs", "1", "--json", "--out", self.mktemp()]
        result = CliRunner().invoke(shrink, arguments, standalone_mode=False)
        self.assertEqual(json.loads(result.output)["before"]["peers"], 5)

    def test_theSeedIsTheScenariosOrAnother(self) -> None:
        """As with C{p2p simulate}."""
        for given, seed in (([], 0), (["--seed", "8"], 8)):
            arguments = [self.path, "--runs", "1", "--json", *given, "--out", self.mktemp()]
            result = CliRunner().invoke(shrink, arguments, standalone_mode=False)
            self.assertEqual(json.loads(result.output)["seed"], seed)

    def test_scenarioThatHoldsIsRefused(self) -> None:
        """There is nothing to look for."""
        arguments = [self.path, "--set", "expect.lastDelivery=6.0", "--out", "unused.toml"]
        result = CliRunner().invoke(shrink, arguments)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("everything that is expected holds with seed 0", result.output)
        self.assertFalse(os.path.exists("unused.toml"))

    def test_fileThatCannotBeWrittenIsToldBeforeAnyRun(self) -> None:
        """So that no work is lost."""
        self.patch(jobModule, "run", lambda job: self.fail("ran"))
        out = os.path.join("nosuchdirectory", "small.toml")
        result = CliRunner().invoke(shrink, [self.path, "--out", out])
        self.assertEqual((result.exit_code, result.output), (1, f"Error: {out}: No such file or directory\n"))

    def test_interruptedBeforeAnythingWasFoundItLeavesNoFile(self) -> None:
        """The file is made at the beginning, and there is nothing to write to it."""

        def interrupted(job: Job) -> dict[str, Any]:
            self.assertTrue(os.path.exists(out))
            raise KeyboardInterrupt

        self.patch(jobModule, "run", interrupted)
        out = self.mktemp()
        CliRunner().invoke(shrink, [self.path, "--out", out])
        self.assertFalse(os.path.exists(out))

    def test_fileThatIsThereIsKept(self) -> None:
        """Another name must be given."""
        result = CliRunner().invoke(shrink, [self.path, "--out", self.path])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("exists", result.output)
