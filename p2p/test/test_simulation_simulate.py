"""
C{p2p simulate} in this process: what it writes, and what it says of what does not hold or goes wrong.  As a process:
C{tests/test_simulate.py}.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from p2p.commands.simulate import simulate

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
