"""
Sweeps as people run them: over processes, over a Dask cluster, interrupted and resumed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.processes import until

SCENARIO = """
name = "a few"
duration = 12.0

[peers]
count = 8
join = { over = 1.0 }
options = { gossipCount = 0 }

[[events]]
at = 5.0
publish = { count = 3, every = 0.2 }

[[events]]
at = 7.0
crash = { count = 1 }

[expect]
reach = 1.0
"""

P2P = [sys.executable, "-m", "p2p"]


class SweepTests(SynchronousTestCase):
    """C{p2p sweep} as a process."""

    def setUp(self) -> None:
        """A scenario in a directory of its own."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.scenario = self.directory / "few.toml"
        self.scenario.write_text(SCENARIO)

    def sweep(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Run one, and return what it printed."""
        done = subprocess.run(
            [*P2P, "sweep", str(self.scenario), "--json", *arguments], capture_output=True, text=True, timeout=240
        )
        self.assertEqual(done.returncode, status, done.stderr)
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    def test_clusterGivesTheNumbersOfThePool(self) -> None:
        """
        A scheduler and two workers, real ones, give the same summary as processes here do, for a scenario with a check
        in its directory, which neither was started in.
        """
        (self.directory / "besides.py").write_text("def some(swarm):\n    return len(swarm.running()) == 7\n")
        self.scenario.write_text(SCENARIO + '[[checks]]\nfunction = "besides:some"\n')
        address = self.startCluster()
        grid = ["--seeds", "0:3", "--set", "peers.options.maxConnections=2,3"]
        there = self.sweep(*grid, "--dask", address, "--out", str(self.directory / "there"))
        here = self.sweep(*grid, "--workers", "2", "--out", str(self.directory / "here"))
        self.assertEqual(there, here)
        self.assertEqual(here["runs"], 6)
        self.assertNotEqual(here["points"][0]["metrics"]["meanDegree"], here["points"][1]["metrics"]["meanDegree"])
        digests = [
            sorted(
                json.loads(line)["digest"] for line in (self.directory / name / "runs.jsonl").read_text().splitlines()
            )
            for name in ("there", "here")
        ]
        self.assertEqual(digests[0], digests[1])

    def test_interruptedSweepGoesOn(self) -> None:
        """Ctrl-C ends it with one line and no process left; what was done is not done again."""
        self.interrupted("--workers", "2")

    def test_interruptedSweepOnAClusterGoesOn(self) -> None:
        """The same; the cluster goes on, too."""
        self.interrupted("--dask", self.startCluster())

    def interrupted(self, *where: str) -> None:
        """Interrupt a sweep after its first run, and go on with it."""
        out = self.directory / "out"
        runs = out / "runs.jsonl"
        command = [*P2P, "sweep", str(self.scenario), "--seeds", "0:12", *where, "--out", str(out)]
        # A session of its own is what a shell gives a command: the signal goes to all of its processes.
        running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            until(lambda: runs.exists() and runs.stat().st_size, "a first run", 60)
            os.killpg(running.pid, signal.SIGINT)
            errors = running.communicate(timeout=30)[1]
        finally:
            running.kill()
        self.assertEqual(running.returncode, 130, errors)
        self.assertNotIn("Traceback", errors)
        kept = r"p2p: interrupted after [^\n]+; they are in [^\n]+, --resume goes on\n"
        self.assertRegex(errors, rf"\A[^\n]+ to do\n{kept}\Z")
        until(lambda: not _group(running.pid), "all its processes have ended", 10)
        before = runs.read_text().splitlines()
        self.assertLess(len(before), 12)
        started = time.monotonic()
        summary = self.sweep("--seeds", "0:12", *where, "--out", str(out), "--resume")
        self.assertEqual(summary["runs"], 12)
        after = runs.read_text().splitlines()
        self.assertEqual(after[: len(before)], before)
        self.assertEqual(sorted(json.loads(line)["seed"] for line in after), list(range(12)))
        self.assertLess(time.monotonic() - started, 200)

    def test_failedExpectationIsAStatus(self) -> None:
        """It is 1 if something did not hold, and the replaying command that is printed sees it again."""
        self.scenario.write_text(SCENARIO.replace("reach = 1.0", "detectedWithin = 0.001"))
        summary = self.sweep("--seeds", "3", status=1)
        command = summary["failures"][0]["replay"].split()
        self.assertEqual(command[0], "p2p")
        again = subprocess.run([*P2P, *command[1:]], capture_output=True, text=True, timeout=60)
        self.assertEqual(again.returncode, 1)
        self.assertIn(summary["failures"][0]["broken"][0]["problem"], again.stderr)

    def test_withoutATerminalTheFirstLineSaysHowManyRunsThereAre(self) -> None:
        """Where there is no bar, a long sweep must not look like one that hangs."""
        out = str(self.directory / "out")
        for seeds, words in (("0:1", "1 run to do"), ("0:2", "1 of 2 runs to do")):
            done = subprocess.run(
                [*P2P, "sweep", str(self.scenario), "--seeds", seeds, "--out", out, "--resume"],
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            self.assertEqual(done.stderr.splitlines()[0], f"p2p: a few: {words}")

    def test_schedulerThatIsNotThereIsOneLine(self) -> None:
        """And status 2, also if what was given is no address that Dask can use."""
        if find_spec("distributed") is None:
            self.skipTest("Dask is not installed")
        for address in ("tcp://127.0.0.1:1", "foo", "http://127.0.0.1:1", "tls://127.0.0.1:1"):
            done = subprocess.run(
                [*P2P, "sweep", str(self.scenario), "--dask", address], capture_output=True, text=True, timeout=60
            )
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, rf"\Ap2p: --dask {address}: no scheduler answers[^\n]*\n\Z")

    def startCluster(self) -> str:
        """A scheduler and two workers on this machine; its address."""
        if find_spec("distributed") is None:
            self.skipTest("Dask is not installed")
        where = self.directory / "scheduler.json"
        scheduler = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(where)]
        self.start("scheduler", *scheduler)
        found: dict[str, Any] = until(lambda: _json(where), "the scheduler is there", 60)
        address: str = found["address"]
        for _ in range(2):
            self.start("worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.directory))
        from distributed import Client

        with Client(address, timeout=30, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        return address

    def start(self, what: str, *arguments: str) -> None:
        """Start a part of Dask, which ends with the test."""
        with open(self.directory / f"{what}.log", "ab") as log:
            process = subprocess.Popen([sys.executable, "-m", "dask", what, *arguments], stdout=log, stderr=log)

        def end() -> None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        self.addCleanup(end)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
