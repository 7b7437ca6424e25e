"""
The C{p2p} command with daemons that run, and C{p2p demo}.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from select import select
from typing import Any

from bench.ports import freePort
from tests.processes import Daemon, NetworkTestCase, until

P2P = [sys.executable, "-m", "p2p"]


class CommandCase(NetworkTestCase):
    """Commands that are run in the directory."""

    def setUp(self) -> None:
        """Let temporary files be seen: in a directory of their own, with a short name."""
        super().setUp()
        self.temporary = tempfile.mkdtemp(prefix="t-")
        self.addCleanup(os.rmdir, self.temporary)

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Start C{p2p}."""
        process = subprocess.Popen(
            [*P2P, *arguments],
            cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TMPDIR": self.temporary},
        )  # fmt: skip
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def p2p(self, *arguments: str) -> str:
        """Run C{p2p}, which should go well: what it prints."""
        process = self.popen(*arguments)
        out, err = process.communicate(timeout=120)
        self.assertEqual((process.returncode, err), (0, ""))
        return out

    def processes(self) -> set[int]:
        """Processes that run in a temporary directory of this test, as those of a demonstration do."""
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if os.readlink(entry / "cwd").startswith(os.path.realpath(self.temporary)):
                        found.add(int(entry.name))
        return found


class TalkTests(CommandCase):
    """Talking to daemons."""

    def test_theTutorialsCommandsWork(self) -> None:
        """status, peers, publish and watch, of a peer and of a seed."""
        seed, (first, second) = self.startNetwork(2)
        self.assertIn(f"address      127.0.0.1:{first.port}", self.p2p("status", "--port", str(first.port)))
        self.assertIn(f"127.0.0.1:{second.port}", self.p2p("peers", "--port", str(first.port)))
        self.assertIn("2 active peers", self.p2p("peers", "--port", str(seed.port)))
        watching = self.popen("watch", "--port", str(second.port), "--type", "delivered", "--json")
        until(lambda: self.watched(second.name), "it listens")
        id = self.p2p("publish", "--port", str(first.port), "hello").strip()
        assert watching.stdout is not None
        event = json.loads(watching.stdout.readline())
        self.assertEqual((event["id"], event["payload"], event["hops"]), (id, "hello", 1))
        watching.send_signal(signal.SIGINT)
        self.assertEqual(watching.wait(30), 0)

    def test_publishingMayWait(self) -> None:
        """Until a neighbour has it; where there is none, it says so, with the id, and fails."""
        _, (first, second) = self.startNetwork(2)
        id = self.p2p("publish", "--port", str(first.port), "--wait", "20", "hello").strip()
        self.assertTrue(second.has(id))
        second.signal(signal.SIGKILL)
        until(lambda: not first.neighbours(), "it is alone")
        failing = self.popen("publish", "--port", str(first.port), "--wait", "0.5", "hello")
        self.assertEqual(failing.wait(30), 1)
        assert failing.stderr is not None and failing.stdout is not None
        self.assertEqual(failing.stdout.read(), "")
        self.assertRegex(
            failing.stderr.read(),
            r"^p2p: peer-\d+: [0-9a-f]{16}-\d+-2: there was no neighbour that has confirmed it within 0.5 s\n$",
        )

    def test_whatThereIsNotIsOneLine(self) -> None:
        """An event that no node has; a daemon whose HTTP interface is elsewhere."""
        port, http = freePort(), freePort()
        self.configure(freePort())
        self.start("peer", port, "--http", f"tcp:{http}:interface=127.0.0.1")

        def listens() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", http), 1):
                return True
            return False

        until(listens, "it listens")
        watching = self.popen("watch", "--http", f"tcp:127.0.0.1:{http}", "--type", "neighborUp")
        self.assertEqual(watching.wait(30), 1)
        assert watching.stderr is not None
        self.assertRegex(watching.stderr.read(), r"^p2p: .*: type: a peer has no event 'neighborUp', only [^\n]*\n$")
        status = self.popen("status", "--port", str(port))
        self.assertEqual(status.wait(30), 1)
        assert status.stderr is not None
        where = f"p2p: peer-{port} has no socket in '.': say with --http where its HTTP interface is\n"
        self.assertEqual(status.stderr.read(), where)

    def test_aSeedAndAPeerMayHaveOnePort(self) -> None:
        """Who is meant is asked; who was killed, and has left its socket behind, is not."""
        port = freePort()
        self.configure(port)
        seed = self.start("seed", port).ready()
        peer = self.start("peer", port, "--host", "127.0.0.2", "--gossip-count", "0").ready()
        asked = self.popen("status", "--port", str(port))
        _, err = asked.communicate(timeout=30)
        ways = f"--http unix:./peer-{port}.sock or --http unix:./seed-{port}.sock"
        said = f"p2p: a peer and a seed of port {port} run in '.': say {ways}\n"
        self.assertEqual((asked.returncode, err), (2, said))
        self.assertIn("role         seed", self.p2p("status", "--http", f"unix:./seed-{port}.sock"))
        peer.signal(signal.SIGKILL)
        peer.wait()
        self.assertIn("role         seed", self.p2p("status", "--port", str(port)))
        self.assertEqual(seed.process.poll(), None)

    def test_aDaemonThatIsFrozenIsWaitedForAloud(self) -> None:
        """Within a few seconds it is said that it does not answer; when it does, that is printed as ever."""
        _, (first, _second) = self.startNetwork(2)
        first.signal(signal.SIGSTOP)
        try:
            status = self.popen("status", "--port", str(first.port))
            assert status.stderr is not None
            self.assertTrue(select([status.stderr], [], [], 10)[0], "nothing was said")
            said = status.stderr.readline()
        finally:
            first.signal(signal.SIGCONT)
        self.assertEqual(said, f"p2p: {first.name} does not answer yet: is it stopped, or very busy?\n")
        out, err = status.communicate(timeout=30)
        self.assertEqual((status.returncode, err), (0, ""))
        self.assertIn(f"address      127.0.0.1:{first.port}", out)

    def watched(self, name: str) -> bool:
        """Somebody is connected to a daemon's socket beside this question: the kernel lists both ends."""
        lines = Path("/proc/net/unix").read_text().splitlines()
        return sum(line.endswith(f"{name}.sock") for line in lines) >= 2

    def test_aReaderThatHasSeenEnoughEndsItSilently(self) -> None:
        """p2p watch | head -1."""
        _, (first, _second) = self.startNetwork(2)
        watching = self.popen("watch", "--port", str(first.port), "--type", "delivered")
        until(lambda: self.watched(first.name), "it listens")
        assert watching.stdout is not None and watching.stderr is not None
        self.p2p("publish", "--port", str(first.port), "one")
        self.assertIn("one", watching.stdout.readline())
        watching.stdout.close()
        self.p2p("publish", "--port", str(first.port), "two")
        self.assertEqual(watching.wait(30), 0)
        self.assertEqual(watching.stderr.read(), "")
        watching.stdout = None

    def test_aDaemonThatGoesIsTold(self) -> None:
        """In one line, and exit status 1."""
        _, (first, _second) = self.startNetwork(2)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if first.process.poll() is not None:
                first = self.start("peer", first.port).ready()
            watching = self.popen("watch", "--port", str(first.port))
            assert watching.stdout is not None
            stdout = watching.stdout

            def listens(peer: Daemon = first, stdout: Any = stdout) -> bool:
                peer.publish(b"are you there?")
                return bool(select([stdout], [], [], 0.2)[0])

            until(listens, "it listens")
            first.signal(number)
            first.wait()
            _, err = watching.communicate(timeout=30)
            self.assertEqual((watching.returncode, err), (1, f"p2p: {first.name}: the daemon has gone\n"))
        process = self.popen("status", "--port", str(first.port))
        _, err = process.communicate(timeout=30)
        self.assertEqual(
            (process.returncode, err), (1, f"p2p: {first.name}: nobody listens there; has the daemon ended?\n")
        )


class DemoTests(CommandCase):
    """p2p demo."""

    def test_itShowsANetworkAndEndsWell(self) -> None:
        """Exit status 0: every live peer had every message, the dead one was removed; nothing is left behind."""
        out = self.p2p("demo", "--peers", "4")
        for words in ("is linked to", "publishes 'hello'", "is killed (SIGKILL)", "calls it dead", "removes it",
                      "3 of 3 live peers have it", "ok in"):  # fmt: skip
            self.assertIn(words, out)
        self.assertEqual(os.listdir(self.temporary), [])
        self.assertEqual(self.processes(), set())

    def test_forProgramsItIsASummary(self) -> None:
        """And nothing else."""
        summary = json.loads(self.p2p("demo", "--peers", "4", "--json"))
        self.assertTrue(summary["ok"])
        self.assertEqual([peer["messages"] for peer in summary["peers"]], [3, 3, 3])
        self.assertEqual([(m["live"], m["reached"]) for m in summary["messages"]], [(4, 4), (4, 4), (3, 3)])
        killed = summary["killed"]
        self.assertEqual(len(killed["noticedBy"]), killed["neighbours"])
        self.assertLess(killed["lastNoticed"], 2.0)
        self.assertLess(killed["removedFromSeed"], 2.0)

    def test_interruptedItEndsEverythingItStarted(self) -> None:
        """By Ctrl-C, and by SIGTERM, at any time."""
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)):
            process = self.popen("demo")
            until(lambda: len(self.processes()) >= 3, "some daemons run")
            process.send_signal(number)
            self.assertEqual(process.wait(30), status)
            self.assertEqual(self.processes(), set())
            self.assertEqual(os.listdir(self.temporary), [])

    def test_theNameOfTheTemporaryDirectoryMayBeLong(self) -> None:
        """Longer than a socket's path may be."""
        short = self.temporary
        self.temporary = os.path.join(short, "d" * 96)
        os.mkdir(self.temporary)
        self.addCleanup(os.rmdir, self.temporary)
        self.assertTrue(json.loads(self.p2p("demo", "--peers", "3", "--json"))["ok"])

    def test_itIsKeptIfAsked(self) -> None:
        """And can be talked to, and ended, as it says."""
        output = self.p2p("demo", "--peers", "3", "--keep")
        commands = [line.strip() for line in output.splitlines() if line.startswith("  ") and "p2p-demo" in line]
        watch, _, _, ending = commands
        directory, port = watch.split()[3], watch.split()[5]
        try:
            status = json.loads(self.p2p("status", "--json", "--log-dir", directory, "--port", port))
            self.assertEqual(status["role"], "peer")
        finally:
            ended = subprocess.run(ending, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual((0, ""), (ended.returncode, ended.stdout))
        until(lambda: not self.processes(), "all have ended")
        self.assertFalse(os.path.exists(directory))
