"""
The report as a command writes it: the same twice, and in a real browser, where there is one, its script draws.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

SCENARIO = """
name = "a few"
duration = 12.0

[peers]
count = 8
options = { gossipCount = 0 }

[[events]]
at = 5.0
publish = { count = 3 }

[[events]]
at = 7.0
crash = { count = 1 }
"""

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class ReportTests(SynchronousTestCase):
    """C{p2p simulate --out} writes a report that works."""

    def written(self) -> Path:
        """Run the scenario; the report's path."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        scenario = directory / "few.toml"
        scenario.write_text(SCENARIO)
        command = [sys.executable, "-m", "p2p", "simulate", str(scenario), "--out", str(directory)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return directory / "report.html"

    def test_sameRunIsTheSamePage(self) -> None:
        """But for how long it took, nothing in it depends on when and where it was made."""
        pages = [re.sub(r"[0-9.]+ s real", "", self.written().read_text()) for _ in range(2)]
        self.assertEqual(pages[0], pages[1])

    def test_scriptRunsAndDraws(self) -> None:
        """The page says that it is ready, at the moment that was asked for, and the console says nothing."""
        if BROWSER is None:
            raise SkipTest("no Chromium here")
        report = self.written()
        directory = report.parent
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--virtual-time-budget=2000",
        ]
        profile = f"--user-data-dir={directory / 'profile'}"
        address = f"{report.as_uri()}#t=7.5&message=1&peer=peer-3"
        shown = subprocess.run(
            [BROWSER, *options, profile, "--dump-dom", address], capture_output=True, text=True, timeout=120
        )
        self.assertIn('data-ready="yes"', shown.stdout)
        self.assertIn(">7.500</output>", shown.stdout)
        self.assertIn("crashes", shown.stdout)
        self.assertNotIn("CONSOLE", shown.stderr)
