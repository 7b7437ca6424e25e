"""
A strategy that comes from elsewhere, as docs/strategies.md shows it: found, simulated, and run as daemons.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from bench.ports import freePort
from tests.processes import PROJECT, NetworkTestCase, until

DOCUMENT = (PROJECT / "docs" / "strategies.md").read_text()


class ForeignStrategyTests(NetworkTestCase):
    """The example, typed as it stands there."""

    def setUp(self) -> None:
        """Write its files."""
        super().setUp()
        plugin, scenario = (
            re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)[0]
            for language in ("python", "toml")
        )
        directory = Path(self.directory, "twisted", "plugins")
        directory.mkdir(parents=True)
        Path(directory, "p2p_rumour.py").write_text(plugin)
        Path(self.directory, "rumours.toml").write_text(scenario)
        self.lines = len(plugin.splitlines())
        environment = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = "."
        self.addCleanup(
            lambda: os.environ.pop("PYTHONPATH") if environment is None else os.environ.update(PYTHONPATH=environment)
        )

    def p2p(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command, run there."""
        return subprocess.run(
            [sys.executable, "-m", "p2p", *arguments], cwd=self.directory, capture_output=True, text=True, timeout=120
        )

    def test_itIsSimulated(self) -> None:
        """By its name: with fewer frames than a flood, and so not always everywhere."""
        self.assertLessEqual(self.lines, 20)
        run = self.p2p("simulate", "rumours.toml", "--json")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        results = json.loads(run.stdout)
        links, peers = results["overlay"]["links"], results["overlay"]["peers"]
        broadcasts = results["broadcasts"]
        self.assertEqual(len(broadcasts), 100)
        payloads = sum(one["payloads"] for one in broadcasts) / len(broadcasts)
        self.assertLess(payloads, 0.85 * (2 * links - (peers - 1)))
        self.assertGreater(sum(one["reached"] for one in broadcasts), 0.9 * peers * len(broadcasts))

    def test_itRunsAsADaemon(self) -> None:
        """Two that use it reach each other; one that floods is turned away by them, and the log says why."""
        seed, peers = self.startNetwork(2, "--broadcast", "rumour")
        message = peers[0].publish(b"have you heard?")
        until(lambda: peers[1].has(message), "the other has heard")
        other = self.start("peer", freePort()).ready()
        until(lambda: len(seed.active()) == 3, "the third is registered")
        until(lambda: "strategy" in other.log, "it is turned away")
        self.assertEqual(other.neighbours(), [])
