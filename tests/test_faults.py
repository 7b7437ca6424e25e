"""
Faults of programs of this kind that show only in real processes: what an idle one costs, and which machine it is on.

The others, and these in memory too, are in L{p2p.test.test_faults}.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest

from bench.ports import freePort
from tests.processes import Daemon, NetworkTestCase, until
from tests.second import Second

TICK = 1 / os.sysconf("SC_CLK_TCK")
"""In so many seconds a process's time is counted."""

RESET = struct.pack("ii", 1, 0)
"""C{SO_LINGER} with which closing a socket resets its connection."""


def spent(daemon: Daemon) -> float:
    """Processor time that a daemon has taken so far, in seconds."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def threads(daemon: Daemon) -> int:
    """How many threads a daemon has."""
    return len(os.listdir(f"/proc/{daemon.process.pid}/task"))


class SpinningTests(NetworkTestCase):
    """4. A closed connection leaves a thread spinning."""

    def assertIdle(self, daemon: Daemon, seconds: float = 2.0) -> None:
        """It takes a small part of the time, and has one thread."""
        before = spent(daemon)
        time.sleep(seconds)
        self.assertLess(spent(daemon) - before, 0.1 * seconds, daemon.name)
        self.assertEqual(threads(daemon), 1, daemon.name)

    def test_whoseNeighboursAreGoneIsIdle(self) -> None:
        """Neighbours that were killed or left, and callers that closed, half-closed or reset, at every stage."""
        seed, (peer, *others) = self.startNetwork(4)
        nodes = [seed, peer]
        for daemon in nodes:
            for stage in range(12):
                second = Second()
                self.addCleanup(second.close)
                purpose = "probe" if stage % 2 else ("register" if daemon is seed else "neighbour")
                talk = second.connect(daemon.port) if stage < 4 else second.dial(daemon.port, purpose)
                if stage % 3 == 0:
                    talk.socket.shutdown(socket.SHUT_WR)
                elif stage % 3 == 1:
                    talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    talk.close()
                else:
                    talk.close()
        for number, other in enumerate(others):
            other.signal(signal.SIGKILL if number else signal.SIGTERM)
            other.wait()
        until(lambda: seed.active() == {f"127.0.0.1:{peer.port}"}, "the dead are off the list")
        until(lambda: not peer.neighbours(), "their links are gone")
        for daemon in nodes:
            self.assertIdle(daemon)
        seed.signal(signal.SIGKILL)
        seed.wait()
        self.assertIdle(peer)
        self.assertEqual(peer.get("/status")["role"], "peer")


class AddressTests(NetworkTestCase):
    """8. The own address is hard-coded."""

    def test_itListensWhereItIsTold(self) -> None:
        """Peers of several addresses of this machine, each known by its own."""
        port = freePort()
        Path(self.directory, "config.txt").write_text(f"127.0.0.4:{port}\n")
        seed = self.start("seed", port).ready()
        ports = [freePort() for _ in range(3)]
        hosts = ["127.0.0.2", "127.0.0.3", "::1"]
        addresses = {f"127.0.0.2:{ports[0]}", f"127.0.0.3:{ports[1]}", f"[::1]:{ports[2]}"}
        peers = [self.start("peer", port, "--host", host) for host, port in zip(hosts, ports, strict=True)]
        for peer in peers:
            peer.ready()
        until(lambda: seed.active() == addresses, "each is listed under its own address")
        until(lambda: all(entry["reachable"] for entry in seed.get("/peers")["peers"]), "and was dialled there")
        until(lambda: all(peer.neighbours() for peer in peers), "they are linked")

    def test_onAllAddressesItIsReachedOverEitherFamily(self) -> None:
        """With nothing but --host 0.0.0.0, a seed on an IPv6 address and one on an IPv4 one."""
        first, second, port = freePort(), freePort(), freePort()
        Path(self.directory, "config.txt").write_text(f"[::1]:{first}\n127.0.0.1:{second}\n")
        seeds = {
            family: self.start("seed", seedPort, "--host", "0.0.0.0").ready()
            for family, seedPort in (("[::1]", first), ("127.0.0.1", second))
        }
        self.assertIn(f"listens on [::]:{first}, others reach it at [::1]:{first}; ", seeds["[::1]"].log)
        self.assertIn(f"listens on 0.0.0.0:{second}, others reach it at 127.0.0.1:{second}; ", seeds["127.0.0.1"].log)
        peer = self.start("peer", port, "--host", "0.0.0.0", "--gossip-count", "0").ready()
        self.assertIn(f"listens on [::]:{port}; ", peer.log)
        for family, seed in seeds.items():
            expected = [(f"{family}:{port}", True)]
            until(
                lambda seed=seed, expected=expected:  # type: ignore[misc]
                [(one["address"], one["reachable"]) for one in seed.get("/peers")["peers"]] == expected,
                f"it is listed under {expected}, and was dialled there",
            )

    def test_betweenMachinesItIsTheAddressFromWhichItReachesTheSeed(self) -> None:
        """With nothing but --host 0.0.0.0, or ::, on two machines: network namespaces, joined by one wire."""
        here, there = Machines(self).two()
        for family, seedHost, peers in (
            ("0.0.0.0", "10.77.0.1", ["10.77.0.1", "10.77.0.2"]),
            ("::", "[fd77::1]", ["[fd77::1]", "[fd77::2]"]),
            ("0.0.0.0", "[fd77::1]", ["[fd77::1]", "[fd77::2]"]),
        ):
            port, first, second = freePort(), freePort(), freePort()
            Path(self.directory, "config.txt").write_text(f"{seedHost}:{port}\n")
            seed = self.start("seed", port, "--host", family, within=here).ready()
            daemons = [
                self.start("peer", first, "--host", family, "--gossip-count", "0", within=here),
                self.start("peer", second, "--host", family, "--gossip-count", "0", within=there),
            ]
            for daemon in daemons:
                daemon.ready()
            expected = {f"{peers[0]}:{first}", f"{peers[1]}:{second}"}
            until(lambda seed=seed, expected=expected: seed.active() == expected, "both are listed")  # type: ignore[misc]
            until(lambda daemons=daemons: all(one.neighbours() for one in daemons), "they are linked")  # type: ignore[misc]
            message = daemons[1].publish(b"across")
            until(lambda one=daemons[0], message=message: one.has(message), "it comes across")  # type: ignore[misc]
            for daemon in (*daemons, seed):
                daemon.stop()


class Machines:
    """
    Network namespaces, which go with the test.

    @raise SkipTest: this user may not make any.
    """

    def __init__(self, case: NetworkTestCase) -> None:
        self._names = [f"p2p{os.getpid()}{letter}" for letter in "ab"]
        case.addCleanup(self._remove)

    def two(self) -> list[list[str]]:
        """Two that are joined: the commands to run something within."""
        one, other = self._names
        for name in self._names:
            self._ip("netns", "add", name)
        self._ip("link", "add", one, "netns", one, "type", "veth", "peer", "name", other, "netns", other)
        for number, name in enumerate(self._names, 1):
            self._ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", name)
            self._ip("-n", name, "address", "add", f"fd77::{number}/64", "dev", name, "nodad")
            for device in ("lo", name):
                self._ip("-n", name, "link", "set", device, "up")
        return [["ip", "netns", "exec", name] for name in self._names]

    def _ip(self, *arguments: str) -> None:
        try:
            subprocess.run(["ip", *arguments], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SkipTest(f"no network namespaces here: {getattr(error, 'stderr', b'') or error}") from None

    def _remove(self) -> None:
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
