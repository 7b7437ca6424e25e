"""
A strategy that comes from elsewhere, as docs/strategies.md shows it: found, simulated, and run as daemons; and what
becomes of one that is broken.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from bench.ports import freePort
from tests.processes import PROJECT, TWISTD, NetworkTestCase, until

DOCUMENT = (PROJECT / "docs" / "strategies.md").read_text()
BLOCK = re.MULTILINE | re.DOTALL


BROKEN = """
from twisted.plugin import IPlugin
from zope.interface import implementer

from p2p.interfaces import IStrategy
from p2p.peer.overlay import RandomLinks
from p2p.peer.strategies import Strategy


class Forgetful(RandomLinks):
    def known(self, count, exclude=()):
        raise RuntimeError("forgotten")


@implementer(IPlugin, IStrategy)
class Kindless:
    name = "kindless"


forgetful = Strategy("overlay", "forgetful", "knows nobody", f"{__name__}.Forgetful")
homeless = Strategy("overlay", "homeless", "is not there", "no.such.Home")
random = Strategy("overlay", "random", "would be another", f"{__name__}.Forgetful")
kindless = Kindless()
"""
"""Strategies that are wrong in one way or another."""


class PluginCase(NetworkTestCase):
    """A directory with a plugin in it, which all that is started there finds."""

    def install(self, name: str, plugin: str) -> None:
        """Write it."""
        directory = Path(self.directory, "twisted", "plugins")
        directory.mkdir(parents=True)
        Path(directory, name).write_text(plugin)
        environment = os.environ.get("PYTHONPATH")
        # What is tested stays what it is.
        os.environ["PYTHONPATH"] = os.pathsep.join([".", *([environment] if environment else [])])
        self.addCleanup(
            lambda: os.environ.pop("PYTHONPATH") if environment is None else os.environ.update(PYTHONPATH=environment)
        )


class BrokenStrategyTests(PluginCase):
    """What somebody else got wrong."""

    def setUp(self) -> None:
        """Install it."""
        super().setUp()
        self.install("p2p_broken.py", BROKEN)
        self.told = "".join(
            f"p2ppeer: the strategy twisted.plugins.p2p_broken.{fault}\n"
            for fault in (
                "Forgetful is passed over: the overlay 'random' is p2p.peer.overlay.RandomLinks already",
                "Kindless is passed over: AttributeError: 'Kindless' object has no attribute 'kind'",
            )
        )

    def test_whoDoesNotNeedItRunsWithoutIt(self) -> None:
        """A seed is not concerned; a peer tells of it in a line each, and has the strategies that it always had."""
        seed, peers = self.startNetwork(2)
        self.assertNotIn("is passed over", seed.output)
        for peer in peers:
            self.assertTrue(peer.output.startswith(self.told), peer.output)

    def test_whoNamesOneThatCannotBeMadeGetsOneLine(self) -> None:
        """And no file is left."""
        self.configure(freePort())
        before = set(os.listdir(self.directory))
        for arguments in (["-n"], []):
            result = subprocess.run(
                [sys.executable, *TWISTD, *arguments, "p2ppeer", "--port", str(freePort()), "--overlay", "homeless"],
                cwd=self.directory, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            line = "'homeless' (no.such.Home) cannot be made: ObjectNotFound: 'no.such.Home' does not name an object"
            self.assertEqual((result.returncode, result.stderr), (1, f"p2ppeer: --overlay: {line}\n"))
            self.assertEqual(set(os.listdir(self.directory)), before)

    def test_oneThatForgetsWhomItKnowsLeavesAllTheSame(self) -> None:
        """It says goodbye, so nobody calls it dead."""
        seed, (first, second) = self.startNetwork(2, "--overlay", "forgetful")
        self.assertEqual(first.get("/status")["gauges"]["known"], 0)
        first.stop()
        until(lambda: len(seed.active()) == 1, "it is off the list")
        self.assertIn("removed (leaving)", seed.log)
        until(lambda: "ended: leaving" in second.log, "its neighbour has heard")
        self.assertNotIn("dead", second.log)


class ForeignStrategyTests(PluginCase):
    """The example, typed as it stands there."""

    def setUp(self) -> None:
        """Write its files."""
        super().setUp()
        plugin, scenario = (
            re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, BLOCK)[0]
            for language in ("python", "toml")
        )
        self.install("p2p_rumour.py", plugin)
        Path(self.directory, "rumours.toml").write_text(scenario)
        self.lines = len(plugin.splitlines())

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

    def test_itIsTested(self) -> None:
        """By what stands there as a test of it."""
        Path(self.directory, "test_rumour.py").write_text(re.findall(r"^```python\n(.*?)^```", DOCUMENT, BLOCK)[1])
        run = subprocess.run(
            [sys.executable, "-m", "twisted.trial", "test_rumour"],
            cwd=self.directory, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        self.assertIn("Ran 2 tests", run.stdout)
        self.assertEqual(run.returncode, 0, run.stdout)

    def test_itRunsAsADaemon(self) -> None:
        """Two that use it reach each other; one that floods is turned away by them, and the log says why."""
        seed, peers = self.startNetwork(2, "--broadcast", "rumour")
        message = peers[0].publish(b"have you heard?")
        until(lambda: peers[1].has(message), "the other has heard")
        other = self.start("peer", freePort()).ready()
        until(lambda: len(seed.active()) == 3, "the third is registered")
        until(lambda: "strategy" in other.log, "it is turned away")
        self.assertEqual(other.neighbours(), [])
