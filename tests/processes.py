"""
Real daemons in temporary directories, for tests: started, watched, and ended whatever happens.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.trial.unittest import TestCase

from bench.ports import freePort

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout."""

TWISTD = ["-c", "from twisted.scripts.twistd import run; run()"]
"""What makes a Python interpreter C{twistd}."""

PATIENCE = 30.0
"""Seconds after which something that should have happened will not."""


def until(what: Callable[[], T | None], why: str, patience: float = PATIENCE) -> T:
    """
    Ask again and again until the answer is true, and return it.

    @raise AssertionError: it was not in time; C{why} says what was waited for.
    """
    deadline = time.monotonic() + patience
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {why}")
        time.sleep(0.02)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self._path)


class Daemon:
    """
    One C{twistd -n} process, or another program that runs the same plugins.

    @ivar name: C{seed-PORT} or C{peer-PORT}, as its files are called.
    """

    def __init__(
        self,
        directory: str,
        role: str,
        port: int,
        options: Sequence[str] = (),
        python: str = "",
        within: Sequence[str] = (),
        program: Sequence[str] = (*TWISTD, "-n"),
    ) -> None:
        self.directory = directory
        self.role = role
        self.port = port
        self.name = f"{role}-{port}"
        command = [*within, python or sys.executable, *program, f"p2p{role}", "--port", str(port), *options]
        self._output = open(os.path.join(directory, f"{self.name}.out"), "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, cwd=directory, stdout=self._output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return Path(self.directory, f"{self.name}.out").read_text(errors="replace")

    @property
    def log(self) -> str:
        """Its log file so far."""
        path = Path(self.directory, f"{self.name}.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Ask its HTTP interface: the status, and the answer as decoded from JSON."""
        here = os.path.join(self.directory, f"{self.name}.sock")
        connection = _UnixConnection(here if len(here) < 100 else os.path.relpath(here))
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The answer to a GET; C{None} while it does not answer."""
        try:
            return self.request("GET", path)[1]
        except OSError:
            return None

    def messages(self) -> Iterator[dict[str, Any]]:
        """All messages that it keeps, the oldest first; none while it does not answer."""
        page = self.get("/messages")
        while page:
            yield from page
            page = self.get(f"/messages?after={page[-1]['id']}")

    def publish(self, payload: bytes) -> str:
        """Publish through its HTTP interface: the message's id."""
        status, answer = self.request("POST", "/messages", payload)
        assert status == 201, answer
        identifier: str = answer["id"]
        return identifier

    def ready(self) -> Daemon:
        """Wait until it answers."""

        def answers() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}: {self.output}")
            return self.get("/status") is not None

        until(answers, f"{self.name} answers")
        return self

    def has(self, messageId: str) -> bool:
        """It has seen the message of that id."""
        return any(message["id"] == messageId for message in self.messages())

    def neighbours(self) -> list[dict[str, Any]]:
        """Whom it is linked to."""
        found: list[dict[str, Any]] = (self.get("/peers") or {}).get("neighbours", [])
        return found

    def active(self) -> set[str]:
        """For a seed: the addresses on its list."""
        return {peer["address"] for peer in (self.get("/peers") or {}).get("peers", [])}

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait for its end: the exit status."""
        return self.process.wait(patience)

    def stop(self) -> int:
        """End it politely."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def dispose(self) -> None:
        """End it whatever it takes."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._output.close()


class NetworkTestCase(TestCase):
    """
    A test with daemons in a directory of its own, which are ended after it.

    @ivar directory: where they run.
    """

    timeout = 180

    def setUp(self) -> None:
        """Make the directory."""
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory)

    def configure(self, *ports: int) -> None:
        """Write config.txt, for seeds on those ports."""
        Path(self.directory, "config.txt").write_text("".join(f"127.0.0.1:{port}\n" for port in ports))

    def start(self, role: str, port: int, *options: str, within: Sequence[str] = ()) -> Daemon:
        """
        Start a daemon, not waiting for it.

        @param within: a command that runs another one, and its first arguments.
        """
        daemon = Daemon(self.directory, role, port, options, within=within)
        self.addCleanup(daemon.dispose)
        return daemon

    def startNetwork(self, peers: int, *options: str) -> tuple[Daemon, list[Daemon]]:
        """A seed and that many peers with these options, all of them registered and linked."""
        port = freePort()
        self.configure(port)
        seed = self.start("seed", port).ready()
        running = [self.start("peer", freePort(), "--gossip-count", "0", *options) for _ in range(peers)]
        for peer in running:
            peer.ready()
        until(lambda: len(seed.active()) == peers, "all peers are registered")
        until(lambda: all(peer.neighbours() for peer in running), "all peers are linked")
        return seed, running
