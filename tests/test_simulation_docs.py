"""
What docs/simulation.md says of the simulated network's methods, and of statements of one's own, is so.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2p.simulation.faults import Faults
from p2p.simulation.network import SimulatedNetwork
from tests.processes import PATIENCE, PROJECT

MANUAL = (PROJECT / "docs" / "simulation.md").read_text()


def parameters(method: Any) -> str:
    """The parameters of a method, as the manual writes them."""
    signature = inspect.signature(method)
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in list(signature.parameters.values())[1:]]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def methods(kind: type) -> dict[str, str]:
    """The public methods of a class, with their parameters."""
    return {
        name: parameters(method)
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }


class ReferenceTests(SynchronousTestCase):
    """
    The tables of the reference.
    """

    def table(self, heading: str) -> str:
        """The table under such a heading."""
        found = re.search(rf"^{re.escape(heading)}\n+((?:\|.*\n)+)", MANUAL, re.M)
        assert found is not None, heading
        return found[1]

    def test_methods(self) -> None:
        """
        They have these parameters, by these names, in this order, with these defaults; and no fault is left out.
        """
        tables = {
            SimulatedNetwork: self.table("| the network has | |"),
            Faults: self.table("| `network.faults` has | |"),
        }
        said = {kind: dict(re.findall(r"`(\w+)(\(.*?\))`", table)) for kind, table in tables.items()}
        for kind, told in said.items():
            there = methods(kind)
            self.assertEqual(told, {name: there.get(name) for name in told})
        ofRules = {"heal", "path", "hostJoined", "send", "withdraw", "widen"}
        self.assertEqual(set(methods(Faults)) - ofRules, set(said[Faults]))
        self.assertGreater(len(said[SimulatedNetwork]), 10)

    def test_parametersOfTheNetwork(self) -> None:
        """
        All are there, in their order, with their defaults.
        """
        table = self.table("`SimulatedNetwork(seed, latency, *, ...)` takes\n\n| | | default |")
        said = dict(re.findall(r"^\| `(\w+)` \|.*\| `([^`]*)` \|$", table, re.M))
        defaults = {
            name: repr(each.default)
            for name, each in inspect.signature(SimulatedNetwork.__init__).parameters.items()
            if name != "self"
        }
        self.assertEqual(list(said), list(defaults))
        defaults["latency"] = said["latency"]
        self.assertEqual(said, defaults)


class StatementTests(SynchronousTestCase):
    """
    The statements of one's own.
    """

    def test_example(self) -> None:
        """
        It holds in a scenario, and what does not hold by its time is told as the manual has it.
        """
        found = re.search(r"^```python\n(def linked.*?)^```\n```toml\n(.*?)^```", MANUAL, re.M | re.S)
        assert found is not None
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "mychecks.py").write_text(found[1])
        scenario = directory / "mine.toml"
        peers = "peers = { count = 30, join = { over = 10.0 }, options = { gossipCount = 0 } }"
        scenario.write_text(f'name = "mine"\nduration = 20.0\n{peers}\n{found[2]}')
        simulate = [sys.executable, "-m", "p2p", "simulate", str(scenario), "--no-files"]
        done = subprocess.run(simulate, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        simulate += ["--set", "peers.options.maxConnections=1"]
        done = subprocess.run(simulate, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 1)
        told = re.search(r"`(does not hold with seed 0, seen at .*?)`", MANUAL)
        assert told is not None
        self.assertIn(re.sub(r"peer-.*", "peer-", told[1]), done.stderr)
