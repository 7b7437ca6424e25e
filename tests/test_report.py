"""
The report as a command writes it: the same twice, and in a real browser, where there is one, its script draws.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html import unescape
from itertools import combinations
from math import dist
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

SCENARIO = """
name = "a few"
duration = 24.0

[peers]
count = 8
options = { gossipCount = 0 }

[[events]]
at = 5.0
publish = { count = 3 }

[[events]]
at = 7.0
crash = { count = 1 }

[[events]]
at = 10.0
restart = { fraction = 1.0, over = 2.0 }

[[events]]
at = 16.0
pause = { peers = ["peer-5"], for = 6.0 }

[[events]]
at = 18.0
restart = { peers = ["peer-5"] }

[[events]]
at = 20.0
partition = { groups = [0.5, 0.5] }
"""

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class ReportTests(SynchronousTestCase):
    """C{p2p simulate --out} writes a report that works."""

    _report: Path | None = None

    def report(self) -> Path:
        """The report of the scenario, which is run once for all."""
        if ReportTests._report is None:
            ReportTests._report = self.written()
        return ReportTests._report

    def written(self, expected: str = "", status: int = 0) -> Path:
        """Run the scenario with what is expected, which ends with a status; the report's path."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        scenario = directory / "few.toml"
        scenario.write_text(SCENARIO + expected)
        command = [sys.executable, "-m", "p2p", "simulate", str(scenario), "--out", str(directory)]
        done = subprocess.run(command, check=False, capture_output=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stderr)
        return directory / "report.html"

    def test_sameRunIsTheSamePage(self) -> None:
        """But for how long it took, nothing in it depends on when and where it was made."""
        pages = [re.sub(r"[0-9.]+ s real", "", self.written().read_text()) for _ in range(2)]
        self.assertEqual(pages[0], pages[1])

    def test_scriptRunsAndDraws(self) -> None:
        """The page says that it is ready, at the moment that was asked for, and the console says nothing."""
        page = self.shown(self.report(), "t=7.5&message=1&peer=peer-3")
        self.assertIn('data-ready="yes"', page)
        self.assertIn(">7.500</output>", page)
        self.assertIn("crashes", page)

    def test_countsAreOfTheMoment(self) -> None:
        """Who runs again counts once, for what came to it since; what lasts to the end is there at the end."""
        report = self.report()
        overlay = json.loads((report.parent / "results.json").read_text())["overlay"]
        rows = '[...$("counts").rows].map(row => [...row.cells].map(cell => cell.textContent))'
        told = self.answered(report, f"choose(0), [6, 8, 14, 17, 18, 19, 24].map(moment => (show(moment), {rows}))")
        counts = [dict(rows) for rows in told]
        self.assertEqual([row["message 0"].split()[0] for row in counts], ["8", "7", "7", "7", "6", "7", "7"])
        self.assertEqual([row.get("stopped") for row in counts], [None, None, None, "1", None, None, None])
        self.assertEqual(counts[-1]["links"], str(overlay["links"]))
        self.assertEqual(counts[-1]["partition"], "0.0 s more")

    def test_messageIsUnderWayUntilThoseHaveItWhoRan(self) -> None:
        """What one shows of it does not wait for those who were started again, nor does who follows it."""
        report = self.report()
        opening, current = self.answered(report, "show(8), [story.opening, current()]")
        self.assertTrue(5 < opening < 6, opening)
        self.assertIsNone(current)
        watched = "[...Array(200)].filter(() => playing && (frame(before + 100), true)).length"
        told = '$("counts").textContent, $("speed").value'
        frames, ended, counts, speed = self.answered(report, f'$("follow").onclick(), [{watched}, now, {told}]')
        self.assertTrue(99 <= frames <= 101, frames)
        self.assertTrue(5 < ended < 6, ended)
        self.assertIn("8 have it", counts)
        # From then on the speed is the one that was chosen.
        self.assertEqual(speed, "0.5")

    def test_whatIsFollowedIsSeenHoweverFastItGoes(self) -> None:
        """Both waves of a message that meets a partition take their time, and the half minute between is short."""
        waves = "[...Array(200).keys()].map(i => 60 + i * 0.0015 + (i < 100 ? 0 : 30))"
        first, healed, end = self.answered(
            self.report(),
            f"(wave => (({{times, watched}}) => [wave[99], wave[100], wave[199]].map(t => across(times, watched, t)))"
            f"(pace({{at: 60, times: wave, arrived: wave[199]}})))({waves})",
        )
        self.assertTrue(3 < first < 5, first)
        self.assertTrue(0.5 < healed - first < 2, healed - first)
        self.assertAlmostEqual(end, 10)

    def test_coloursOfLinesCanBeToldApart(self) -> None:
        """In either theme: what a line may mean has a colour that is far from those of all others."""
        lines = ["up", "has", "half", "cut", "notice"]
        script = (
            "(probe => [true, false].map(dark => (theme(dark), NAMES.map(name => {"
            " probe.style.color = `var(--${name})`;"
            " return [name, getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number)];"
            "}))))(document.body.appendChild(document.createElement('i')))"
        )
        found = self.answered(self.report(), script.replace("NAMES", json.dumps(lines)))
        for colours in found:
            for (one, here), (other, there) in combinations(colours, 2):
                self.assertGreater(dist(here, there), 60, f"{one} and {other}")

    def test_verdictIsToldInWords(self) -> None:
        """Who calls whom dead."""
        told = self.answered(self.report(), "log.map(entry => entry[1]).filter(text => text.includes('dead'))")
        self.assertTrue(told)
        for text in told:
            self.assertRegex(text, r"^(peer|seed)-\d calls peer-\d dead$")

    def test_numbersAreNotBroken(self) -> None:
        """What an expectation is told to be stands on one line, however long the text is of what does not hold."""
        expected = "[measure]\nwindow = 1.0\n[expect]\nreach = 1.0\nlastDelivery = 0.001\n"
        report = self.written(expected, status=1)
        lines = (
            "[...document.querySelectorAll('.halves td:nth-child(2):not(:last-child)')].map(cell => {"
            " const range = document.createRange(); range.selectNodeContents(cell);"
            " return [cell.textContent, range.getClientRects().length]; })"
        )
        self.assertEqual(self.answered(report, lines), [["1.0", 1], ["0.001", 1]])

    def answered(self, report: Path, question: str) -> Any:
        """What the page's script says to an expression."""
        asking = report.with_name("asking.html")
        script = f"<script>document.title = JSON.stringify(({question}))</script>"
        asking.write_text(report.read_text() + script)
        page = self.shown(asking, "")
        return json.loads(unescape(page[page.index("<title>") + 7 : page.index("</title>")]))

    def shown(self, report: Path, moment: str) -> str:
        """What a browser makes of the page, and says nothing on the console."""
        if BROWSER is None:
            raise SkipTest("no Chromium here")
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--virtual-time-budget=2000",
            "--window-size=1300,900",
        ]
        profile = f"--user-data-dir={report.parent / 'profile'}"
        address = f"{report.as_uri()}#{moment}"
        shown = subprocess.run(
            [BROWSER, *options, profile, "--dump-dom", address], capture_output=True, text=True, timeout=120
        )
        self.assertNotIn("CONSOLE", shown.stderr)
        return shown.stdout
