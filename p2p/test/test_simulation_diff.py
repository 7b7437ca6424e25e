"""
Where two runs part.
"""

from __future__ import annotations

import json
import os
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from p2p.commands.diff import diff
from p2p.simulation.diff import NoTraceError, part


class DiffTests(SynchronousTestCase):
    """L{part} and C{p2p diff}."""

    def trace(self, *nodes: str) -> str:
        """A trace in which some nodes join, one a second."""
        path: str = self.mktemp()
        with open(path, "w") as file:
            for time, node in enumerate(nodes):
                file.write(json.dumps({"time": float(time), "type": "joined", "node": node}) + "\n")
        return path

    def run_(self, *arguments: str) -> Result:
        """Call the command."""
        return CliRunner().invoke(diff, arguments, standalone_mode=False)

    def directory(self, digest: str, *nodes: str) -> str:
        """The output directory of a run."""
        path: str = self.mktemp()
        os.makedirs(path)
        os.rename(self.trace(*nodes), os.path.join(path, "trace.jsonl"))
        with open(os.path.join(path, "results.json"), "w") as file:
            json.dump({"digest": digest}, file)
        return path

    def test_equalTracesDoNotPart(self) -> None:
        """And the command says so by its status."""
        a, b = self.trace("a", "b"), self.trace("a", "b")
        self.assertIsNone(part(a, b))
        result = self.run_(a, b)
        self.assertEqual((result.return_value, result.output), (0, "equal\n"))

    def test_firstDifferenceIsFoundWithWhatLedToIt(self) -> None:
        """So many lines from before, and from each after."""
        parting = part(self.trace("a", "b", "c", "d", "e"), self.trace("a", "b", "c", "x", "e"), context=2)
        assert parting is not None
        self.assertEqual((parting.line, parting.time), (4, 3.0))
        nodes = [
            [json.loads(line)["node"] for line in lines] for lines in (parting.before, parting.first, parting.second)
        ]
        self.assertEqual(nodes, [["b", "c"], ["d", "e"], ["x", "e"]])

    def test_traceThatEndsEarlierParts(self) -> None:
        """Where it ends."""
        a, b = self.trace("a"), self.trace("a", "b")
        parting = part(a, b)
        assert parting is not None
        self.assertEqual((parting.line, parting.time, parting.first, len(parting.second)), (2, 1.0, [], 1))
        result = self.run_(a, b, "--context", "0")
        self.assertEqual(result.return_value, 1)
        lines = result.output.splitlines()
        self.assertEqual(lines[0], "they part at line 2, at 1.000000 s")
        self.assertEqual(lines[1], "- (ends here)")
        self.assertTrue(lines[2].startswith('+ {"time": 1.0'))

    def test_directoriesAreComparedByTheirTraces(self) -> None:
        """And by their digests, which see more."""
        a, b, c = self.directory("1", "a"), self.directory("1", "a"), self.directory("2", "a")
        self.assertEqual(self.run_(a, b).return_value, 0)
        result = self.run_(a, c)
        self.assertEqual(result.return_value, 1)
        self.assertIn("the digests differ", result.output)

    def test_answerForPrograms(self) -> None:
        """The same, as JSON."""
        result = self.run_(self.trace("a", "b"), self.trace("a", "c"), "--json")
        answer: dict[str, Any] = json.loads(result.output)
        self.assertEqual((answer["equal"], answer["line"], answer["time"]), (False, 2, 1.0))
        self.assertEqual(
            (answer["before"][0]["node"], answer["first"][0]["node"], answer["second"][0]["node"]), tuple("abc")
        )
        self.assertEqual(json.loads(self.run_(self.trace("a"), self.trace("a"), "--json").output)["equal"], True)

    def test_whatIsNoTraceIsRefused(self) -> None:
        """With its name, also where both are the same."""
        path: str = self.mktemp()
        with open(path, "w") as file:
            file.write("name = 1\n")
        self.assertIn(path, str(self.assertRaises(NoTraceError, part, path, self.trace("a"))))
        wrongTime, noType = b'{"time": "1", "type": "joined"}\n', b'{"time": 1.0}\n'
        for content in (b"name = 1\n", b"", b"\x00\xff" * 99, wrongTime, noType, b"[]"):
            with open(path, "wb") as file:
                file.write(content)
            # However much the same both are.
            self.assertIn(f"{path}: is no trace", str(self.assertRaises(NoTraceError, part, path, path)))
            for two in ((path, path), (path, self.trace("a")), (self.trace("a"), path)):
                result = CliRunner().invoke(diff, two)
                self.assertEqual(result.exit_code, 2, content)
                self.assertIn(f"{path}: is no trace", result.output)
        with open(self.trace("a")) as begins, open(path, "w") as file:
            file.write(begins.read() + "and then not\n")
        self.assertIn(path, str(self.assertRaises(NoTraceError, part, path, path)))
        result = CliRunner().invoke(diff, [path, "nowhere"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("nowhere", result.output)
