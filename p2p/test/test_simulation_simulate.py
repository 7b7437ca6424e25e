"""
C{p2p simulate} in this process: what it writes, and what it says of what does not hold or goes wrong.  As a process:
C{tests/test_simulate.py}.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import Any

from click import ClickException
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from p2p.commands.simulate import simulate
from p2p.simulation.incidents import ScenarioError
from p2p.simulation.scenario import readScenario
from p2p.test.test_simulation_report import missing

SCENARIO = """
name = "tiny"
duration = 6.0

[peers]
count = 4
options = { gossipCount = 0 }

[[events]]
at = 3.0
publish = { count = 1 }
"""


class SimulateCase(SynchronousTestCase):
    """Runs the command in a directory of its own."""

    def setUp(self) -> None:
        """Go there."""
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)

    def scenario(self, more: str = "", text: str = SCENARIO) -> str:
        """Write a scenario."""
        with open("tiny.toml", "w") as file:
            file.write(text + more)
        return "tiny.toml"

    def pipe(self, more: str = "") -> str:
        """A scenario that can be read but once, as a shell's C{<(...)} is; its path."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        with open(writing, "w") as file:
            file.write(SCENARIO + more)
        return f"/dev/fd/{reading}"

    def run_(self, *arguments: str) -> Result:
        """Call the command."""
        return CliRunner().invoke(simulate, arguments, standalone_mode=False)


class FilesTests(SimulateCase):
    """What is written."""

    def test_reportOfASmallRunIsWhole(self) -> None:
        """Also where the trace is smaller than what Python holds back before it writes."""
        self.assertEqual(self.run_(self.scenario(), "--out", "out").return_value, 0)
        with open("out/report.html", encoding="utf-8") as file:
            found = re.search(r"^const story = (.*);$", file.read(), re.MULTILINE)
        assert found is not None
        story: dict[str, Any] = json.loads(found.group(1))
        self.assertEqual(story["names"], ["seed-0", "peer-0", "peer-1", "peer-2", "peer-3"])
        self.assertTrue(story["links"])
        (message,) = story["messages"]
        self.assertEqual(len(message["arrivals"]), 3 * 3)

    def test_withoutAWordItIsHereAndNamedAfterScenarioAndSeed(self) -> None:
        """The table says where; once more, it takes the place of the one before."""
        os.mkdir("scenarios")
        os.rename(self.scenario(), path := os.path.join("scenarios", "tiny.toml"))
        for _ in range(2):
            result = self.run_(path, "--seed", "5")
            self.assertEqual((result.return_value, result.stderr), (0, ""))
            self.assertRegex(result.stdout, r"(?m)^report +tiny-seed5/report.html$")
            self.assertEqual(sorted(os.listdir(".")), ["scenarios", "tiny-seed5"])
            files = ["plots", "report.html", "results.json", "trace.jsonl"]
            self.assertEqual(sorted(os.listdir("tiny-seed5")), files)
        self.run_(self.pipe())
        self.assertTrue(os.path.exists("scenario-seed0/report.html"))

    def test_aFileThatIsNamedAfterTheSeedAlreadyIsNotNamedAfterItTwice(self) -> None:
        """As what C{p2p shrink} writes is; another seed is another one."""
        for name, written in (
            ("tiny-seed5-small", "tiny-seed5-small"),
            ("tiny-seed5", "tiny-seed5-seed5"),
            ("tiny-seed55", "tiny-seed55-seed5"),
            ("tiny-seed6-small", "tiny-seed6-small-seed5"),
        ):
            os.rename(self.scenario(), f"{name}.toml")
            self.run_(f"{name}.toml", "--seed", "5")
            self.assertTrue(os.path.exists(f"{written}/report.html"), written)

    def test_standardInputMayBeClosed(self) -> None:
        """That is told as any file that cannot be read."""
        self.patch(sys, "stdin", None)
        self.assertEqual(str(self.assertRaises(ScenarioError, readScenario, "-")), "standard input is closed")

    def test_standardInput(self) -> None:
        """A dash is it; a mistake is told by its line."""
        result = CliRunner().invoke(simulate, ["-"], input=SCENARIO)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertTrue(os.path.exists("scenario-seed0/report.html"))
        result = CliRunner().invoke(simulate, ["-"], input=SCENARIO.replace("duration", "durance"))
        self.assertEqual(result.exit_code, 2)
        self.assertIn("-, line 3: durance: unknown key", result.output)

    def test_directoryOfSomebodyElseIsLeftAlone(self) -> None:
        """Where nobody has named it; an empty one is nobody's."""
        os.mkdir("tiny-seed0")
        self.assertEqual(self.run_(self.scenario()).return_value, 0)
        os.remove("tiny-seed0/trace.jsonl")
        result = self.run_(self.scenario())
        assert isinstance(result.exception, ClickException)
        self.assertEqual(result.exception.exit_code, 2)
        self.assertIn("tiny-seed0", result.exception.message)
        self.assertEqual(self.run_(self.scenario(), "--out", "tiny-seed0").return_value, 0)

    def test_nothingIsWrittenIfNotWanted(self) -> None:
        """With a word for it, or if a program reads the results; unless it is said where."""
        for arguments in (["--no-files"], ["--json"], ["--json", "--no-files"]):
            result = self.run_(self.scenario(), *arguments)
            self.assertEqual((result.return_value, os.listdir(".")), (0, ["tiny.toml"]))
            self.assertNotIn("report", result.stdout)
        self.assertIsInstance(self.run_(self.scenario(), "--no-files", "--out", "out").exception, ClickException)
        self.assertEqual(os.listdir("."), ["tiny.toml"])
        self.run_(self.scenario(), "--json", "--out", "out")
        self.assertTrue(os.path.exists("out/report.html"))

    def test_withoutMatplotlibThereIsAReport(self) -> None:
        """And one line says what is missing in it."""
        with missing("matplotlib"):
            result = self.run_(self.scenario())
        self.assertEqual(result.return_value, 0)
        self.assertEqual(
            result.stderr, "p2p: no plots: matplotlib is not installed: pip install --editable '.[simulation]'\n"
        )
        self.assertTrue(os.path.exists("tiny-seed0/report.html"))

    def test_whatARunBeforeWroteIsGone(self) -> None:
        """And what is of somebody else stays, wherever it is."""
        crash = "[[events]]\nat = 4.0\ncrash = { count = 1 }\n"
        self.run_(self.scenario(crash), "--out", "out")
        for name in ("notes.txt", "plots/mine.png", "traceback.txt"):
            with open(os.path.join("out", name), "w") as file:
                file.write("here")
        silent = self.scenario(text=SCENARIO.partition("[[events]]")[0])
        self.assertEqual(self.run_(silent, "--out", "out").return_value, 0)
        files = ["notes.txt", "plots", "report.html", "results.json", "trace.jsonl"]
        self.assertEqual(sorted(os.listdir("out")), files)
        self.assertEqual(sorted(os.listdir("out/plots")), ["degree.png", "mine.png", "traffic.png"])

    def test_scenarioIsReadOnce(self) -> None:
        """So it may be a pipe, also with settings, and for a report, which shows its text."""
        result = self.run_(self.pipe("# the end"), "--set", "peers.count=3", "--out", "out")
        self.assertEqual((result.return_value, result.exception), (0, None))
        with open("out/report.html", encoding="utf-8") as file:
            self.assertIn("# --set peers.count=3", page := file.read())
        self.assertIn("# the end", page)


def multiline(swarm: object) -> None:
    """A check that does not hold, and says so at length."""
    raise AssertionError("one\ntwo \x1b[31m\r\nthree")


def realTime(swarm: Any) -> None:
    """A check that looks at the clock."""
    time.time()


def forEver(swarm: Any) -> None:
    """A check that keeps the network busy."""
    network = swarm.network

    def again() -> None:
        network.callAt(network.now, again)

    again()


class FailureTests(SimulateCase):
    """What is said of what does not hold, or goes wrong."""

    def check(self, function: str, more: str = "always = true\n") -> str:
        """A scenario with one of the checks above."""
        return self.scenario(f'[[checks]]\nfunction = "{__name__}:{function}"\n{more}')

    def test_whatACheckSaysIsOneLine(self) -> None:
        """Whatever it says, at the end or on the way; with what it is, when, and with which seed."""
        for more, when in (("", 6), ("always = true\n", 0)):
            result = self.run_(self.check("multiline", more))
            self.assertEqual(result.return_value, 1)
            self.assertEqual(
                result.stderr,
                f"p2p: tiny.toml: does not hold with seed 0, seen at {when:.3f} s: {__name__}:multiline: "
                "does not hold: one two \\x1b[31m three\n",
            )

    def test_exceptionIsOneLine(self) -> None:
        """
        What it is, where in the check, and when; the whole traceback is in a file, the trace beside it.  The check is
        beside the scenario, where it is found.
        """
        self.run_(self.scenario(), "--out", "out")
        self.patch(sys, "path", list(sys.path))
        self.addCleanup(sys.modules.pop, "raisingcheck")
        with open("raisingcheck.py", "w") as file:
            file.write("import json\ndef raising(swarm):\n    if swarm.network.now >= 4:\n        json.loads('{')\n")
        check = '[[checks]]\nfunction = "raisingcheck:raising"\nalways = true\n'
        result = self.run_(self.scenario(check), "--out", "out")
        assert isinstance(result.exception, ClickException)
        traceback = os.path.join("out", "traceback.txt")
        self.assertEqual(result.exception.exit_code, 1)
        self.assertRegex(
            result.exception.message,
            r"\Atiny.toml: crashed with seed 0: JSONDecodeError: Expecting property name.* "
            rf"\(raisingcheck.py:4, at 4.000 s\); the traceback is in {traceback}\Z",
        )
        with open(traceback) as file:
            self.assertIn("line 4, in raising\n", file.read())
        self.assertEqual(sorted(os.listdir("out")), ["trace.jsonl", "traceback.txt"])
        with open("out/trace.jsonl") as file:
            self.assertIn("published", [json.loads(line)["type"] for line in file])

    def test_whatTheSimulationRefusesIsOneLine(self) -> None:
        """It says itself where it was."""
        line = realTime.__code__.co_firstlineno + 2
        for function, words in (
            ("realTime", rf"RealityError: \S+simulate.py:{line} uses time.time\(\) .* \(at 0.000 s\)"),
            ("forEver", r"SimulationError: time stands still at .*forEver.* \(at 0.000 s\)"),
        ):
            result = self.run_(self.check(function), "--json")
            assert isinstance(result.exception, ClickException)
            self.assertRegex(result.exception.message, words + "; with --out DIR the traceback is written there$")
