"""
The README is true: what it says to type works when it is typed as it stands there.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.processes import PATIENCE, PROJECT, NetworkTestCase, until

README = (PROJECT / "README.md").read_text()

PORTS = (5000, 6001, 6002)
"""The ports that the tutorial uses."""


def section(title: str) -> str:
    """The text under a heading."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    assert found is not None, title
    return found[1]


def blocks(title: str, language: str = "") -> list[str]:
    """The code under a heading."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.M | re.S)


class ReadmeTests(NetworkTestCase):
    """One test for each part of the README that is typed."""

    def setUp(self) -> None:
        """A directory with the project's own config.txt, and this environment's programs first on the path."""
        super().setUp()
        Path(self.directory, "config.txt").write_text((PROJECT / "config.txt").read_text())
        path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
        self.environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}
        for port in PORTS:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    self.skipTest(f"port {port}, which the README uses, is taken on this machine")

    def type(self, command: str) -> str:
        """Type a command and wait for its end: what it prints."""
        done = subprocess.run(
            command, shell=True, cwd=self.directory, env=self.environment, timeout=PATIENCE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.assertEqual(0, done.returncode, f"{command}: {done.stdout}")
        return done.stdout

    def open(self, command: str) -> subprocess.Popen[str]:
        """Type a command in a terminal of its own."""
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"], cwd=self.directory, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def tryTyping(self, command: str) -> str:
        """Type a command that may not work yet."""
        done = subprocess.run(
            command, shell=True, cwd=self.directory, env=self.environment, capture_output=True, text=True
        )
        return done.stdout if done.returncode == 0 else ""

    def test_tutorial(self) -> None:
        """Three terminals, then a fourth; at the end one peer is killed and another says goodbye."""
        _, *daemons, looks = blocks("Type one")
        self.assertEqual(3, len(daemons))
        _, first, second = (self.open(command.strip()) for command in daemons)
        commands = [line.partition("#")[0].strip() for line in looks.splitlines()]
        listed, linked, publish, status, watch = commands
        until(lambda: "6001" in self.tryTyping(listed) and "6002" in self.tryTyping(listed), "both are active")
        until(lambda: "6002" in self.tryTyping(linked), "they are linked")
        watching = self.open(f"{watch} > watched")
        until(lambda: Path(self.directory, "watched").exists(), "the watcher has started")
        self.assertRegex(self.type(publish), r"^[0-9a-f]{16}-\d+-\d+$")
        self.assertIn("delivered", self.type(status))

        def seen() -> bool:
            self.type(publish)
            return "hello" in Path(self.directory, "watched").read_text()

        until(seen, "the watcher sees what is published once it watches")
        watching.send_signal(signal.SIGINT)
        self.assertEqual(0, watching.wait(PATIENCE))
        second.send_signal(signal.SIGINT)
        second.wait(PATIENCE)
        until(lambda: "6002" not in self.type(listed), "who said goodbye is off the list")
        first.kill()
        until(lambda: "6001" not in self.type(listed), "who was killed is off the list", 3)
        logs = {name: Path(self.directory, name).read_text() for name in ("seed-5000.log", "peer-6001.log")}
        self.assertIn("said goodbye", logs["seed-5000.log"])
        self.assertIn("removed (dead)", logs["seed-5000.log"])
        self.assertIn("size 5", logs["peer-6001.log"])

    def test_embedding(self) -> None:
        """The program in fifteen lines is one, and gets its own message."""
        (program,) = blocks("Embed one", "python")
        self.assertLessEqual(len(program.splitlines()), 15)
        Path(self.directory, "program.py").write_text(program)
        running = self.open(f"{sys.executable} program.py")
        assert running.stdout is not None
        self.assertIn("hello from my program", running.stdout.readline())
        running.send_signal(signal.SIGINT)
        self.assertEqual("", running.communicate(timeout=PATIENCE)[0])

    def test_links(self) -> None:
        """What it links to is there."""
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
            self.assertTrue((PROJECT / target).exists(), target)
