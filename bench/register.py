"""
How fast a seed registers peers, and what each costs it; see the package's text.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any

from bench.daemons import BenchFailed, Network, raiseDescriptorLimit
from bench.output import Column, Report, say
from bench.process import cpuSeconds, openDescriptors, residentBytes

RESERVE = 1000
"""Descriptors beyond the connections: checks under way, files, the interpreter's own."""

SETTLING = 3.0
"""Seconds after which the seed has also kept on disk what has changed."""

LEASE = 600
"""Seconds of a lease: so that nobody has to renew while the seed is measured."""

COLUMNS = [
    Column("registered", "registered"),
    Column("seconds", "first Register to last Registered", "s", digits=2),
    Column("perSecond", "registrations per second"),
    Column("crowdShare", "of one core, used by the bench's own side", "%", 0.01),
    Column("secondsChecked", "first Register to all checked by dialling", "s", digits=2),
    Column("seedCpu", "seed's CPU until then", "s", digits=2),
    Column("seedCpuEach", "seed's CPU per peer", "us", 1e-6),
    Column("connectedSecond", "registrations per second on connections that stand"),
    Column("connectionBytes", "memory per connection that has introduced itself", "B"),
    Column("registrationBytes", "memory per registered peer beyond that", "B"),
    Column("rssAfter", "seed's resident memory with all of them", "MiB", 2**20, 1),
    Column("descriptors", "open descriptors of the seed"),
]


class CrowdProcess:
    """The peers, in a process of their own.  Use it as a context."""

    def __init__(self, address: str, count: int) -> None:
        host, _, port = address.rpartition(":")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.crowd", host, port, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def __enter__(self) -> CrowdProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        with suppress(OSError):
            self._process.communicate()

    async def do(self, word: str) -> dict[str, Any]:
        """Let all peers do something."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        line = await asyncio.to_thread(self._process.stdout.readline)
        if not line:
            raise BenchFailed("the peers' process has ended")
        answer: dict[str, Any] = json.loads(line)
        say(f"  {word}: {line.strip()}")
        return answer


def seedOptions(peers: int) -> list[str]:
    """What lets a seed take that many peers from one address."""
    links = str(peers + RESERVE)
    return [
        "--max-per-host", links, "--max-links", links, "--max-peers", links,
        "--registration-rate", "1000000", "--lease-interval", str(LEASE),
        # Who has introduced itself and does not register is otherwise cut off before it is measured.
        "--handshake-timeout", "300",
    ]  # fmt: skip


async def measure(peers: int, python: str, repeat: int) -> Report:
    """The benchmark."""
    raiseDescriptorLimit(peers + RESERVE)
    report = Report("register", python, {"peers": peers}, COLUMNS)
    for number in range(repeat):
        report.runs.append({**await _arriving(peers, python), **await _held(peers, python)})
        say(f"run {number + 1} of {repeat} done")
    report.notes.append(
        "The first figures are those of peers that arrive: each connects, introduces itself and registers, while the\n"
        "seed dials back those that came before.  The memory is that of a second seed, to which all are connected\n"
        "before anyone registers: VmRSS with all registered, checked and on disk, less VmRSS with all introduced."
    )
    report.notes.append(
        f"The seed was started with {' '.join(seedOptions(peers))}: all peers come from one IP address here."
    )
    return report


async def _arriving(peers: int, python: str) -> dict[str, Any]:
    """Peers that connect and register."""
    async with Network(0, python, seedOptions(peers)) as network:
        pid = network.seed.pid
        cpu = cpuSeconds([pid])
        with CrowdProcess(network.seed.address, peers) as crowd:
            arrived = await crowd.do("arrive")
            checked = await crowd.do("checked")
            cpu = cpuSeconds([pid]) - cpu
        if not arrived["registered"]:
            raise BenchFailed("the seed registered nobody")
        return {
            "registered": arrived["registered"],
            "refused": arrived["refused"],
            "seconds": arrived["seconds"],
            "perSecond": arrived["registered"] / arrived["seconds"],
            "crowdShare": arrived["crowdCpuSeconds"] / arrived["seconds"],
            "secondsChecked": arrived["seconds"] + checked["seconds"],
            "seedCpu": cpu,
            "seedCpuEach": cpu / arrived["registered"],
        }


async def _held(peers: int, python: str) -> dict[str, Any]:
    """Peers that are connected, and register then."""
    async with Network(0, python, seedOptions(peers)) as network:
        pid = network.seed.pid
        alone = residentBytes(pid)
        with CrowdProcess(network.seed.address, peers) as crowd:
            await crowd.do("introduce")
            await asyncio.sleep(SETTLING)
            introduced = residentBytes(pid)
            registered = await crowd.do("register")
            await crowd.do("checked")
            await asyncio.sleep(SETTLING)
            after = residentBytes(pid)
            active = (await network.seed.get("/status"))["gauges"]["active"]
            if active != peers:
                raise BenchFailed(f"{active} of {peers} peers are on the seed's list")
            return {
                "connectedSecond": registered["registered"] / registered["seconds"],
                "connectionBytes": (introduced - alone) / peers,
                "registrationBytes": (after - introduced) / peers,
                "rssAlone": alone,
                "rssIntroduced": introduced,
                "rssAfter": after,
                "descriptors": openDescriptors(pid),
            }
