"""
The package, installed as users install it, works in a directory of its own by the three lines of its promise.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

from twisted.trial.unittest import TestCase

from bench.ports import freePort
from tests.processes import PROJECT, TWISTD, Daemon, until


class InstallationTests(TestCase):
    """
    C{pip install .} and C{pip install -e .} into a fresh environment.

    The environment sees this one's libraries, but not this one's p2p.
    """

    timeout = 300

    def install(self, *how: str) -> str:
        """Install the project into an environment: its Python."""
        home: str = os.path.abspath(self.mktemp())
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
        python = os.path.join(home, "bin", "python")
        purelib = subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
        Path(purelib, "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
        absent = subprocess.run(
            [python, "-c", "import p2p"], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.assertIn("ModuleNotFoundError", absent.stdout)
        source = how[-1]
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--quiet",
             "install", "--no-deps", "--ignore-installed", *how[:-1], source],
            check=True, cwd=home,
        )  # fmt: skip
        return python

    def copy(self) -> str:
        """The project's files as git has them: an installation may leave things in its source."""
        source: str = os.path.abspath(self.mktemp())
        files = subprocess.check_output(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=PROJECT, text=True
        )
        for name in files.splitlines():
            target = Path(source, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if (PROJECT / name).exists():
                target.write_bytes((PROJECT / name).read_bytes())
        return source

    def check(self, python: str) -> None:
        """The three lines, in one directory."""
        directory = os.path.abspath(self.mktemp())
        os.makedirs(directory)
        port = freePort()
        Path(directory, "config.txt").write_text(f"127.0.0.1:{port}\n")
        seed = Daemon(directory, "seed", port, python=python)
        self.addCleanup(seed.dispose)
        seed.ready()
        peer = Daemon(directory, "peer", freePort(), python=python)
        self.addCleanup(peer.dispose)
        peer.ready()
        until(lambda: seed.active() == {f"127.0.0.1:{peer.port}"}, "the peer is registered")
        # twistd shuts down in order, and then ends by the signal that it got.
        self.assertEqual([-signal.SIGTERM] * 2, [peer.stop(), seed.stop()])
        self.assertIn("said goodbye", seed.log)
        trial = subprocess.run(
            [python, "-m", "twisted.trial", "p2p.test.test_address"],
            cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.assertEqual(0, trial.returncode, trial.stdout)
        listed = subprocess.run(
            [python, *TWISTD, "--help"], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.assertIn("p2pseed", listed.stdout)
        self.assertIn("p2ppeer", listed.stdout)

    def test_plain(self) -> None:
        """C{pip install .} from anywhere."""
        self.check(self.install(self.copy()))

    def test_editable(self) -> None:
        """C{pip install -e .} shows the plugins to twistd from another directory, too."""
        self.check(self.install("--editable", self.copy()))


class SystemdTests(TestCase):
    """The units in docs/systemd."""

    def test_verified(self) -> None:
        """C{systemd-analyze verify} has nothing to say of them."""
        binaries = os.path.dirname(sys.executable)
        directory = Path(os.path.abspath(self.mktemp()))
        directory.mkdir()
        for unit in (PROJECT / "docs" / "systemd").iterdir():
            copy = directory / unit.name
            copy.write_text(unit.read_text().replace("/opt/p2p/bin", binaries))
            try:
                verified = subprocess.run(
                    ["systemd-analyze", "verify", str(copy)],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                )  # fmt: skip
            except FileNotFoundError:
                self.skipTest("there is no systemd-analyze on this machine")
            self.assertEqual((0, ""), (verified.returncode, verified.stdout))


class CleanTests(TestCase):
    """C{make clean}."""

    def test_runsGo(self) -> None:
        """The directories of runs that p2p simulate has named, and no file of somebody's."""
        directory = Path(os.path.abspath(self.mktemp()))
        elsewhere = directory.with_name(f"{directory.name}-elsewhere")
        for run in (elsewhere, *(directory / name for name in ("tiny-seed5", "tiny-seed-1", "tiny-seed5-small"))):
            run.mkdir(parents=True)
            (run / "results.json").touch()
        (directory / "tiny-seed6").symlink_to(elsewhere)
        (directory / "apple-seed-7").mkdir()
        (directory / "tiny-seed5-small.toml").touch()
        # Not the environment in which these tests may have been told to run.
        clean = ["make", "-f", str(PROJECT / "Makefile"), "clean", "VENV=.venv"]
        subprocess.run(clean, cwd=directory, check=True, capture_output=True)
        left = ["apple-seed-7", "tiny-seed5-small.toml", "tiny-seed6"]
        self.assertEqual((left, ["results.json"]), (sorted(os.listdir(directory)), os.listdir(elsewhere)))


class WithoutExtrasTests(TestCase):
    """What a plain installation can do without the libraries that extras bring."""

    timeout = 120

    def run_(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """C{p2p} in a Python in which those libraries cannot be imported."""
        program = (
            "import sys;"
            "sys.modules.update(dict.fromkeys(['OpenSSL', 'networkx', 'matplotlib', 'tomli_w', 'distributed']));"
            "from p2p.cli import main; main()"
        )
        return subprocess.run(
            [sys.executable, "-c", program, *arguments], cwd=PROJECT, capture_output=True, text=True
        )

    def test_simulate(self) -> None:
        """Scenarios run, and their results are printed."""
        run = self.run_("simulate", "scenarios/first-start.toml", "--set", "peers.count=20", "--json")
        self.assertEqual((0, ""), (run.returncode, run.stderr))
        self.assertIn('"digest"', run.stdout)

    def test_report(self) -> None:
        """What needs an extra says which, in one line."""
        out = os.path.abspath(self.mktemp())
        run = self.run_("simulate", "scenarios/first-start.toml", "--set", "peers.count=20", "--out", out)
        self.assertEqual(1, len(run.stderr.splitlines()), run.stderr)
        self.assertIn("simulation", run.stderr)
