"""
What the kernel knows of processes and of this machine; Linux only.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable

TICK = os.sysconf("SC_CLK_TCK")
KIB = 1024


def cpuSeconds(pids: Iterable[int]) -> float:
    """User and system time that these processes have used, in seconds; the kernel counts in 10 ms."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in parentheses, may hold anything.
            fields = file.read().rpartition(b")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def residentBytes(pid: int) -> int:
    """C{VmRSS}: memory that the process has in RAM, shared parts included."""
    return _field(f"/proc/{pid}/status", "VmRSS:")


def proportionalBytes(pid: int) -> int | None:
    """C{Pss}: the same, with what several processes share divided among them; C{None} where the kernel has it not."""
    try:
        return _field(f"/proc/{pid}/smaps_rollup", "Pss:")
    except OSError:
        return None


def _field(path: str, name: str) -> int:
    with open(path) as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) * KIB
    raise OSError(f"{path} has no {name}")


def openDescriptors(pid: int) -> int:
    """How many files and sockets the process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def loopbackBytes() -> int:
    """Bytes that went over the loopback interface since it is up, with headers, from everybody."""
    with open("/proc/net/dev") as file:
        for line in file:
            name, _, counters = line.partition(":")
            if name.strip() == "lo":
                return int(counters.split()[8])
    return 0


def machine(python: str) -> dict[str, str | int | list[float]]:
    """
    Where this is measured.

    @param python: the daemons' interpreter, which is asked for its versions.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.release()}",
        "load": [round(load, 2) for load in os.getloadavg()],
        **_versions(python),
    }


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


_VERSIONS = """
import importlib.metadata, platform
print(platform.python_version())
for name in ("Twisted", "msgspec", "p2p", "pyOpenSSL"):
    try:
        print(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print("not installed")
"""


def _versions(python: str) -> dict[str, str]:
    out = subprocess.run([python, "-c", _VERSIONS], capture_output=True, text=True, check=True, cwd="/").stdout
    return dict(zip(("python", "twisted", "msgspec", "p2p", "pyOpenSSL"), out.splitlines(), strict=True))
