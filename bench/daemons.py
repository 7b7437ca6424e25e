"""
A network of real daemons: started in a temporary directory on free ports, asked over their sockets, ended for sure.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

from bench.client import get
from bench.output import say
from bench.ports import freePort

START_TIME = 60.0
"""Seconds that a daemon has until it answers, and a network until it is linked up."""

END_TIME = 5.0
"""Seconds that daemons have to end by themselves."""

SETTLED = 2.0
"""Seconds without a new link after which a network counts as linked up."""


class BenchFailed(Exception):
    """The benchmark cannot go on; the message is one line."""


def raiseDescriptorLimit(wanted: int) -> None:
    """
    Let this process, and those it starts, have that many files and sockets.

    @raise BenchFailed: the system does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchFailed(f"{wanted} open descriptors are needed, {hard} are allowed (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Daemon:
    """
    A process.

    @ivar name: C{seed-PORT} or C{peer-PORT}.
    @ivar socket: the path of its HTTP interface.
    """

    def __init__(self, directory: str, python: str, role: str, port: int, options: Sequence[str]) -> None:
        self.name = f"{role}-{port}"
        self.port = port
        self.socket = os.path.join(directory, f"{self.name}.sock")
        self._output = os.path.join(directory, f"{self.name}.out")
        command = [python, os.path.join(os.path.dirname(python), "twistd"), "-n", f"p2p{role}", "--port", str(port)]
        with open(self._output, "wb") as output:
            self.process = subprocess.Popen(
                [*command, *options], cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    async def get(self, what: str) -> Any:
        """Ask it over HTTP."""
        return await get(self.socket, what)

    async def messages(self) -> dict[str, float]:
        """The ids of all messages that it keeps, each with the time it was seen."""
        times: dict[str, float] = {}
        page = await self.get("/messages")
        while page:
            times.update((message["id"], message["time"]) for message in page)
            page = await self.get(f"/messages?after={page[-1]['id']}")
        return times

    async def answers(self) -> None:
        """
        Wait until it answers.

        @raise BenchFailed: it does not, or has ended.
        """
        end = time.monotonic() + START_TIME
        while True:
            if self.process.poll() is not None:
                with open(self._output, "rb") as output:
                    said = output.read().decode("utf-8", "replace").strip().splitlines()
                raise BenchFailed(f"{self.name} ended: {said[-1] if said else self.process.returncode}")
            with suppress(OSError):
                await self.get("/status")
                return
            if time.monotonic() > end:
                raise BenchFailed(f"{self.name} does not answer")
            await asyncio.sleep(0.1)


class Network:
    """
    A seed and its peers.  Use it as an asynchronous context: at its end, all processes have ended.

    @ivar daemons: all of them, the seed first.
    """

    def __init__(
        self, peers: int, python: str, seedOptions: Sequence[str] = (), peerOptions: Sequence[str] = ()
    ) -> None:
        self._count = peers
        self._python = python
        self._seedOptions = seedOptions
        self._peerOptions = peerOptions
        self.daemons: list[Daemon] = []

    @property
    def seed(self) -> Daemon:
        """The seed."""
        return self.daemons[0]

    @property
    def peers(self) -> list[Daemon]:
        """The peers."""
        return self.daemons[1:]

    @property
    def pids(self) -> list[int]:
        """All processes."""
        return [daemon.pid for daemon in self.daemons]

    async def __aenter__(self) -> Network:
        self._directory = tempfile.mkdtemp(prefix="p2p-bench-")
        try:
            await self._start()
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def startPeer(self) -> Daemon:
        """Start one more peer."""
        daemon = Daemon(self._directory, self._python, "peer", freePort(), self._peerOptions)
        self.daemons.append(daemon)
        return daemon

    async def linkedUp(self) -> dict[str, set[str]]:
        """
        Wait until every peer can be reached from every other, all are on the seed's list, and no more links are made.

        @return: each peer's neighbours, all named by address.
        @raise BenchFailed: that does not come about.
        """
        end = time.monotonic() + START_TIME
        before: dict[str, set[str]] = {}
        since = time.monotonic()
        while time.monotonic() < end:
            links = await self.links()
            if links != before:
                before, since = links, time.monotonic()
            listed = {peer["address"] for peer in (await self.seed.get("/peers"))["peers"]}
            if listed == set(links) and _connected(links) and time.monotonic() - since >= SETTLED:
                return links
            await asyncio.sleep(0.25)
        raise BenchFailed(f"the peers are not linked up after {START_TIME:.0f} s")

    async def links(self) -> dict[str, set[str]]:
        """Each peer's neighbours now, all named by address."""
        links = {}
        for peer in self.peers:
            neighbours = (await peer.get("/peers"))["neighbours"]
            links[peer.address] = {neighbour["address"] for neighbour in neighbours}
        return links

    def drop(self, daemon: Daemon) -> None:
        """Forget a daemon that was killed."""
        daemon.process.wait()
        self.daemons.remove(daemon)

    # Private.

    async def _start(self) -> None:
        say(f"starting a seed and {self._count} peers" if self._count else "starting a seed")
        port = freePort()
        with open(os.path.join(self._directory, "config.txt"), "w") as config:
            config.write(f"127.0.0.1:{port}\n")
        self.daemons.append(Daemon(self._directory, self._python, "seed", port, self._seedOptions))
        await self.seed.answers()
        for _ in range(self._count):
            self.startPeer()
        for peer in self.peers:
            await peer.answers()

    def _end(self) -> None:
        """End every process, whatever state it is in."""
        for daemon in self.daemons:
            for number in (signal.SIGTERM, signal.SIGCONT):
                daemon.process.send_signal(number)
        end = time.monotonic() + END_TIME
        for daemon in self.daemons:
            try:
                daemon.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                daemon.process.kill()
                daemon.process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


def _connected(links: dict[str, set[str]]) -> bool:
    """Can everyone be reached from anyone, over links that both ends know of?"""
    start = next(iter(links))
    found, todo = {start}, [start]
    while todo:
        peer = todo.pop()
        for other in links[peer]:
            if other in links and peer in links[other] and other not in found:
                found.add(other)
                todo.append(other)
    return len(found) == len(links)
