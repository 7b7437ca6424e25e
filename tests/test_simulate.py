"""
C{p2p simulate} as a user runs it: what it prints, what it writes, how it ends.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.processes import PROJECT, NetworkTestCase, until

SMALL = """
name = "small"
duration = 20.0
peers = { count = 12, join = { over = 2.0 }, options = { gossipCount = 0 } }

[[events]]
at = 8.0
publish = { count = 3 }

[[events]]
at = 10.0
crash = { count = 2 }

[expect]
reach = 1.0
components = 1
"""


def _allOf(terminal: int) -> bytes:
    """What comes to a terminal until nobody holds its other side any more."""
    shown = b""
    while True:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # How Linux says that.
            return shown
        if not more:
            return shown
        shown += more


class SimulateTests(NetworkTestCase):
    """The command, in a process of its own and in another directory."""

    def simulate(self, *arguments: str, hashSeed: str = "random") -> subprocess.CompletedProcess[str]:
        """Run it."""
        return subprocess.run(
            [sys.executable, "-m", "p2p", "simulate", *arguments],
            cwd=self.directory, capture_output=True, text=True, timeout=170,
            env={**os.environ, "PYTHONHASHSEED": hashSeed},
        )  # fmt: skip

    def test_whatTheDocumentShowsOfShrinkAndDiffIsSo(self) -> None:
        """The examples of docs/simulation.md, typed where the project lies, print what stands there."""
        document = (PROJECT / "docs" / "simulation.md").read_text()
        Path(self.directory, "scenarios").symlink_to(PROJECT / "scenarios")
        environment = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
        for title, status in (("A failing scenario made small: p2p shrink", 0), ("Two runs that differ: p2p diff", 1)):
            found = re.search(rf"^## {title}\n\n```\n(.*?)```\n```\n(.*?)```$", document, re.M | re.S)
            assert found is not None, title
            commands, shown = found.groups()
            for command in commands.splitlines():
                run = subprocess.run(
                    command, shell=True, cwd=self.directory, env=environment, timeout=170,
                    capture_output=True, text=True,
                )  # fmt: skip
            self.assertEqual(run.returncode, status, run.stderr)
            lines = run.stdout.splitlines()
            for line in shown.splitlines():
                if line.strip() != "...":
                    self.assertIn(line, lines)

    def scenario(self, text: str = SMALL) -> str:
        """Write a scenario."""
        Path(self.directory, "small.toml").write_text(text)
        return "small.toml"

    def results(self, *arguments: str, hashSeed: str = "random") -> Any:
        """What it prints with --json."""
        run = self.simulate(*arguments, "--json", hashSeed=hashSeed)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return json.loads(run.stdout)

    def test_aShippedScenarioWhateverTheHashSeed(self) -> None:
        """partition.toml holds, and its digest is the same in processes that order sets in different ways."""
        path = str(PROJECT / "scenarios" / "partition.toml")
        results = [self.results(path, hashSeed=hashSeed) for hashSeed in ("0", "4711")]
        self.assertTrue(results[0]["held"])
        for key in results[0]:
            if key != "wallSeconds":
                self.assertEqual(results[0][key], results[1][key], key)

    def test_theSeedDecides(self) -> None:
        """--seed takes another number, and so another run."""
        path = self.scenario()
        self.assertEqual(self.results(path)["digest"], self.results(path, "--seed", "0")["digest"])
        other = self.results(path, "--seed", "5", "--fuzz")
        self.assertEqual(other["seed"], 5)
        self.assertNotEqual(other["digest"], self.results(path, "--seed", "5")["digest"])

    def test_theProgressBar(self) -> None:
        """While it runs a terminal is shown how far it is; whoever reads stderr by a program is not."""
        terminal, its = pty.openpty()
        self.addCleanup(os.close, terminal)
        command = [sys.executable, "-m", "p2p", "simulate", self.scenario()]
        running = subprocess.Popen(command, cwd=self.directory, stdout=subprocess.DEVNULL, stderr=its)
        os.close(its)
        shown = _allOf(terminal)
        self.assertEqual(running.wait(60), 0)
        percents = [int(number) for number in re.findall(rb"(\d+)%", shown)]
        self.assertEqual((percents, percents[-1]), (sorted(percents), 100))
        self.assertGreater(len(set(percents)), 10)
        self.assertEqual(self.simulate(self.scenario()).stderr, "")

    def test_theTable(self) -> None:
        """For people: a table on stdout, and nothing on stderr, which is no terminal here."""
        run = self.simulate(self.scenario())
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        for words in ("small", "10 peers", "3 of them to everyone", "2; 2 found", "holds"):
            self.assertIn(words, run.stdout)

    def test_theFiles(self) -> None:
        """--out makes the directory and writes results and trace; the results are those that --json prints."""
        printed = self.results(self.scenario(), "--out", "one/two")
        written = json.loads(Path(self.directory, "one", "two", "results.json").read_text())
        self.assertEqual(written, printed)
        lines = Path(self.directory, "one", "two", "trace.jsonl").read_text().splitlines()
        types = [json.loads(line)["type"] for line in lines]
        self.assertEqual((types.count("joined"), types.count("published"), types.count("crashed")), (13, 3, 2))

    def test_itSaysWhereTheReportIs(self) -> None:
        """In the table: where it was told to be, or in a directory that is named after scenario and seed."""
        for arguments, directory in ((["--out", "out"], "out"), (["--seed", "3"], "small-seed3")):
            run = self.simulate(self.scenario(), *arguments)
            where = Path(directory, "report.html")
            self.assertRegex(run.stdout, rf"(?m)^report +{where}$")
            self.assertTrue(Path(self.directory, where).exists())

    def test_interruptedItSaysWhatItWrote(self) -> None:
        """Ctrl-C ends it with one line; the trace has whole lines up to there."""
        path = self.scenario(SMALL.replace("duration = 20.0", "duration = 20000.0"))
        command = [sys.executable, "-m", "p2p", "simulate", path, "--out", "out"]
        running = subprocess.Popen(command, cwd=self.directory, stderr=subprocess.PIPE, text=True)
        self.addCleanup(running.kill)
        trace = Path(self.directory, "out", "trace.jsonl")
        until(trace.exists, "it has begun")
        # A moment after that it is in the midst of the run, as a rule; before it there is nothing to tell.
        time.sleep(1.0)
        running.send_signal(signal.SIGINT)
        errors = running.communicate(timeout=60)[1]
        self.assertEqual(running.returncode, 130, errors)
        self.assertRegex(
            errors, r"\Ap2p: interrupted at [\d.]+ of 20000 s virtual; written to out: trace\.jsonl; no report\n\Z"
        )
        lines = trace.read_text().splitlines()
        self.assertEqual([json.loads(line)["type"] for line in lines].count("joined"), 13)

    def test_interruptedOnATerminal(self) -> None:
        """What it says has the line after that of the bar, and no empty one follows."""
        terminal, its = pty.openpty()
        self.addCleanup(os.close, terminal)
        path = self.scenario(SMALL.replace("duration = 20.0", "duration = 20000.0"))
        command = [sys.executable, "-m", "p2p", "simulate", path, "--out", "out"]
        running = subprocess.Popen(command, cwd=self.directory, stdout=subprocess.DEVNULL, stderr=its)
        self.addCleanup(running.kill)
        os.close(its)
        shown = os.read(terminal, 4096)
        time.sleep(1.0)
        running.send_signal(signal.SIGINT)
        shown += _allOf(terminal)
        self.assertEqual(running.wait(60), 130)
        *_, bar, told, end = shown.decode().split("\r\n")
        self.assertRegex(bar, "small.*%")
        self.assertRegex(told, r"^p2p: interrupted at [\d.]+ of 20000 s virtual")
        self.assertEqual(end, "")

    def test_crashedItLeavesItsTrace(self) -> None:
        """With what happened until then, one line, and a traceback; nothing is left of the run before."""
        out = Path(self.directory, "out")
        self.results(self.scenario(), "--out", "out")
        Path(self.directory, "raising.py").write_text("def check(swarm):\n    return 1 / (swarm.network.now < 9)\n")
        check = '[[checks]]\nfunction = "raising:check"\nalways = true\n'
        run = self.simulate(self.scenario(SMALL + check), "--out", "out")
        self.assertEqual(run.returncode, 1)
        what = r"ZeroDivisionError: [^\n]* \(raising\.py:2, at 9\.000 s\)"
        self.assertRegex(run.stderr, rf"\Ap2p: small\.toml: crashed with seed 0: {what}; [^\n]*out/traceback\.txt\n\Z")
        types = [json.loads(line)["type"] for line in (out / "trace.jsonl").read_text().splitlines()]
        self.assertEqual((types.count("joined"), types.count("published"), types.count("crashed")), (13, 3, 0))
        self.assertEqual({path.name for path in out.iterdir()}, {"trace.jsonl", "traceback.txt"})

    def test_whatDoesNotHold(self) -> None:
        """Exit status 1, and a line that names scenario, seed and time."""
        run = self.simulate(self.scenario(SMALL.replace("components = 1", "components = 0")), "--seed", "6")
        self.assertEqual(run.returncode, 1)
        what = "components: the overlay is in 1 parts"
        expected = f"p2p: small.toml: does not hold with seed 6, seen at 20.000 s: {what}\n"
        self.assertEqual(run.stderr, expected)
        self.assertIn("does NOT hold", run.stdout)

    def test_whatDoesNotHoldOftenIsOneLine(self) -> None:
        """However many broadcasts it is not true of; the results name each."""
        text = self.scenario(SMALL.replace("reach = 1.0", "lastDelivery = 0.001"))
        run = self.simulate(text, "--seed", "6", "--json")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"^p2p: .*: lastDelivery: broadcast .* took .* s, and so for 2 more\n$")
        self.assertEqual(len(json.loads(run.stdout)["broken"]), 3)

    def test_mistakes(self) -> None:
        """Exit status 2 and one line, for a file that is none and for one that is wrong."""
        run = self.simulate("missing.toml")
        self.assertEqual((run.returncode, run.stdout), (2, ""))
        self.assertEqual(run.stderr, "p2p: missing.toml: No such file or directory\n")
        run = self.simulate(self.scenario(SMALL.replace("count = 2", "count = 2.5")))
        self.assertEqual((run.returncode, run.stdout), (2, ""))
        self.assertEqual(run.stderr, "p2p: small.toml, line 12: events[1].crash.count: is not a whole number\n")
        for settings, problem in (
            (["peers.count=4", "peers.count=5"], "peers.count is set twice"),
            (["peers.count=4,5"], "--set peers.count: takes one value here"),
        ):
            run = self.simulate(self.scenario(), *(word for setting in settings for word in ("--set", setting)))
            self.assertEqual((run.returncode, run.stdout), (2, ""))
            self.assertRegex(run.stderr, rf"\Ap2p: {problem}[^\n]*\n\Z")
        run = self.simulate(self.scenario(), "--out", "small.toml")
        self.assertEqual(run.returncode, 2)
        self.assertEqual(run.stderr.count("\n"), 1)
