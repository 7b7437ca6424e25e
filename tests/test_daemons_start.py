"""
Starting and ending daemons under C{twistd} and C{twist}: what goes wrong ends the start with one line and harms nobody.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

from bench.ports import freePort
from tests.processes import TWISTD, Daemon, NetworkTestCase, until

TWIST = ["-c", "import sys; from twisted.application.twist._twist import Twist; Twist.main(sys.argv)"]


class StartCase(NetworkTestCase):
    """Commands that are run to their end."""

    def command(self, *arguments: str, program: list[str] = TWISTD) -> subprocess.CompletedProcess[str]:
        """Run C{twistd} or C{twist} in the directory."""
        return subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.directory, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
            # Whoever runs these tests may have it ignored, which a daemon takes over.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )  # fmt: skip

    def files(self) -> set[str]:
        """What is in the directory."""
        return set(os.listdir(self.directory))

    def assertRefused(self, line: str, *arguments: str, program: list[str] = TWISTD) -> None:
        """The start ends with this one line on stderr, a status other than 0, and no file that was not there."""
        before = self.files()
        result = self.command(*arguments, program=program)
        self.assertEqual(result.stderr, line + "\n")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(self.files(), before)

    def daemonise(self, role: str, port: int, *options: str) -> int:
        """Start a daemon in the background: its process id."""
        result = self.command(f"p2p{role}", "--port", str(port), *options)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        pid = int(Path(self.directory, f"{role}-{port}.pid").read_text())
        self.addCleanup(self.kill, pid)
        return pid

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """End a process that is no child of this one, and wait for that."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        until(lambda: not _runs(pid), f"process {pid} ends")


def _runs(pid: int) -> bool:
    """A process exists and is no zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class MistakeTests(StartCase):
    """A command line or a file that is wrong."""

    def test_eachEndsTheStartHoweverItWasStarted(self) -> None:
        """In the foreground, in the background, and under twist."""
        self.configure(5000)
        Path(self.directory, "bad.txt").write_text("127.0.0.1:5000\n\nnonsense\n")
        for arguments, line in (
            (["p2ppeer", "--config", "none.txt"], "p2ppeer: none.txt: No such file or directory: the file that lists"),
            (["p2pseed", "--config", "bad.txt"], "p2pseed: bad.txt, line 3: 'nonsense' is not IP:PORT"),
            (["p2ppeer", "--log-dir", "none"], "p2ppeer: --log-dir: none: no such directory"),
            (["p2ppeer", "--overlay", "none"], "p2ppeer: --overlay: there is no 'none', only "),
        ):
            for program, first in ((TWISTD, ["-n"]), (TWISTD, []), (TWIST, [])):
                before = self.files()
                result = self.command(*first, *arguments, program=program)
                self.assertTrue(result.stderr.startswith(line), result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                self.assertEqual(result.stdout.count("Traceback"), 0)
                self.assertNotEqual(result.returncode, 0)
                self.assertEqual(self.files(), before)


class TakenTests(StartCase):
    """What the daemon needs belongs to somebody else."""

    def test_aTakenPortEndsTheStart(self) -> None:
        """Whoever has it."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            self.configure(int(port))
            line = f"cannot listen on port {port} of 127.0.0.1: it is taken"
            self.assertRefused(f"p2pseed: {line}", "-n", "p2pseed")
            self.assertRefused(f"p2pseed: {line}", "p2pseed")
            self.assertRefused(f"p2pseed: {line}", "p2pseed", program=TWIST)
            self.configure(freePort())
            self.assertRefused(
                f"p2ppeer: --http tcp:{port}:interface=127.0.0.1: {line}",
                "-n", "p2ppeer", "--http", f"tcp:{port}:interface=127.0.0.1",
            )  # fmt: skip

    def test_aSecondDaemonOnTheSamePortHarmsNothingOfTheFirst(self) -> None:
        """Not its socket, log, state, pid file or lock; it answers as before."""
        self.configure(freePort())
        port = freePort()
        first = self.start("peer", port).ready()
        before = {name: Path(self.directory, name).stat().st_ino for name in self.files()}
        self.assertRefused(
            f"p2ppeer: cannot listen on port {port} of 127.0.0.1: it is taken", "-n", "p2ppeer", "--port", str(port)
        )
        self.assertRefused(
            f"p2ppeer: another daemon has the files {os.path.realpath(self.directory)}/peer-{port}.*",
            "-n", "p2ppeer", "--port", str(port), "--host", "127.0.0.2", "--http", "none",
        )  # fmt: skip
        for name, inode in before.items():
            if not name.endswith(".state"):
                self.assertEqual(Path(self.directory, name).stat().st_ino, inode, name)
        self.assertEqual(first.get("/status")["role"], "peer")

    def test_aSocketOnWhichSomebodyListensIsNotTaken(self) -> None:
        """Wherever it is."""
        self.configure(freePort())
        path = os.path.relpath(os.path.join(self.directory, "other.sock"))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            self.assertRefused(
                "p2ppeer: other.sock: another daemon listens on this socket",
                "-n", "p2ppeer", "--http", "unix:other.sock",
            )  # fmt: skip

    def test_anAddressThatIsNotThisMachinesEndsTheStart(self) -> None:
        """With that reason."""
        self.configure(freePort())
        self.assertRefused(
            "p2ppeer: cannot listen on port 6001 of 192.0.2.1: that is not an address of this machine",
            "-n", "p2ppeer", "--host", "192.0.2.1", "--port", "6001",
        )  # fmt: skip

    def test_anInterfaceForOthersNeedsAToken(self) -> None:
        """Before anything listens."""
        self.configure(freePort())
        self.assertRefused(
            "p2ppeer: --http tcp:8001: others can connect there, so it needs --http-token-file",
            "-n", "p2ppeer", "--http", "tcp:8001",
        )  # fmt: skip

    def test_aDiskThatTakesNothingEndsTheStart(self) -> None:
        """In one line that names the file, in the foreground and in the background."""
        self.configure(freePort())
        port = freePort()
        for first in (["-n"], []):
            result = subprocess.run(
                [sys.executable, *TWISTD, *first, "p2ppeer", "--port", str(port)],
                cwd=self.directory, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
            )  # fmt: skip
            path = os.path.join(os.path.realpath(self.directory), f"peer-{port}.pid")
            self.assertEqual(result.stderr, f"p2ppeer: {path}: File too large\n")
            self.assertNotEqual(result.returncode, 0)
            self.assertEqual(self.files(), {"config.txt"})


class LifeTests(StartCase):
    """Daemons that start well."""

    def test_manyRunInTheBackgroundInOneDirectory(self) -> None:
        """Each with its own files; SIGTERM ends each and leaves what is to stay, and so does SIGHUP."""
        seed = freePort()
        self.configure(seed)
        peer = freePort()
        pids = [self.daemonise("seed", seed), self.daemonise("peer", peer)]
        until(lambda: f"peer-{peer}.state" in self.files(), "the peer keeps its state")
        until(lambda: "1 active" in Path(self.directory, f"seed-{seed}.log").read_text(), "it is registered")
        for pid, number in zip(pids, (signal.SIGTERM, signal.SIGHUP), strict=True):
            self.kill(pid, number)
        self.assertEqual(
            self.files(),
            {"config.txt", f"seed-{seed}.log", f"seed-{seed}.db", f"seed-{seed}.twistd.log",
             f"peer-{peer}.log", f"peer-{peer}.state", f"peer-{peer}.twistd.log"},
        )  # fmt: skip

    def test_afterSigkillItStartsAgain(self) -> None:
        """The socket, the lock and the pid file that it left behind are no obstacle, even if the pid is another's."""
        self.configure(freePort())
        port = freePort()
        first = self.start("peer", port).ready()
        id = first.get("/status")["id"]
        until(lambda: f"peer-{port}.state" in self.files(), "it keeps its state")
        first.signal(signal.SIGKILL)
        first.wait()
        self.assertLess({f"peer-{port}.{suffix}" for suffix in ("sock", "lock", "pid")}, self.files())
        Path(self.directory, f"peer-{port}.pid").write_text(str(os.getpid()))
        again = self.start("peer", port).ready()
        self.assertEqual(again.get("/status")["id"], id)

    def test_withPortZeroItHasTheFilesOfThePortItGot(self) -> None:
        """Several can be started without thinking of numbers."""
        self.configure(freePort())
        first = self.start("peer", 0)
        second = self.start("peer", 0)

        def sockets() -> list[str]:
            return [name for name in self.files() if name.endswith(".sock")]

        until(lambda: len(sockets()) == 2, "two sockets")
        found = sockets()
        for daemon, name in ((first, found[0]), (second, found[1])):
            daemon.name = name.removesuffix(".sock")
            address = daemon.ready().get("/status")["address"]
            self.assertEqual(f"peer-{address.rpartition(':')[2]}", daemon.name)

    def test_whenDescriptorsRunOutTheLogSaysSo(self) -> None:
        """Once, however many callers there are; when they have gone it answers again."""
        self.configure(freePort())
        port = freePort()
        peer = self.start("peer", port).ready()
        resource.prlimit(peer.process.pid, resource.RLIMIT_NOFILE, (40, 40))
        callers = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(60)]
        line = "warn: new connections cannot be taken: no file descriptor is left"
        until(lambda: line in peer.log, "it is told")
        for caller in callers:
            caller.close()
        peer.ready()
        self.assertEqual(peer.log.count(line), 1)

    def test_aLogThatIsTakenAwayIsBegunAnew(self) -> None:
        """Removed, or renamed as logrotate does it, while the daemon writes."""
        self.configure(freePort())
        port = freePort()
        self.start("peer", port, "--gossip-interval", "0.1", "--gossip-count", "1000000").ready()
        log = Path(self.directory, f"peer-{port}.log")
        aside = Path(self.directory, "aside")
        for takeAway in (log.unlink, lambda: log.rename(aside)):
            takeAway()
            until(log.exists, "there is a new one")
            until(lambda: "message: " in log.read_text(), "it is written")
        self.assertIn("message: ", aside.read_text())

    def test_theSocketIsForThisUserOnly(self) -> None:
        """Nobody else on the machine may drive the daemon."""
        self.configure(freePort())
        port = freePort()
        self.start("peer", port).ready()
        self.assertEqual(Path(self.directory, f"peer-{port}.sock").stat().st_mode & 0o777, 0o600)

    def test_underTwistItRunsToo(self) -> None:
        """With the same files, but no pid file."""
        self.configure(freePort())
        port = freePort()
        daemon = Daemon(self.directory, "peer", port, program=TWIST)
        self.addCleanup(daemon.dispose)
        daemon.ready()
        self.assertNotIn(f"peer-{port}.pid", self.files())
        daemon.stop()
        self.assertEqual(self.files(), {"config.txt", *(f"peer-{port}.{end}" for end in ("log", "out", "state"))})

    def test_itNeedsLittleMemoryAndNoOpenSsl(self) -> None:
        """40 MiB each, whether pyOpenSSL is installed or not; it is not loaded."""
        self.configure(freePort())
        for prelude in ("", "import sys; sys.modules['OpenSSL'] = None; "):
            port = freePort()
            with open(os.path.join(self.directory, "out"), "wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-c", prelude + TWISTD[1], "-n", "p2ppeer", "--port", str(port)],
                    cwd=self.directory, stdout=output, stderr=output,
                )  # fmt: skip
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            until(lambda port=port: f"peer-{port}.sock" in self.files(), "it listens")  # type: ignore[misc]
            status = Path(f"/proc/{process.pid}/status").read_text()
            resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
            self.assertLess(resident, 40.0)
            self.assertFalse("/cryptography/" in Path(f"/proc/{process.pid}/maps").read_text(), "OpenSSL is loaded")
