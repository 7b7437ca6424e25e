"""
The report of a run: what is told of a trace, where nodes stand, and that the page is whole and needs nothing else.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from math import hypot
from types import SimpleNamespace
from typing import Any

from matplotlib.colors import to_rgb
from twisted.trial.unittest import SynchronousTestCase

from p2p.commands.simulate import summaryRows
from p2p.simulation import story as storyModule
from p2p.simulation.journal import Journal
from p2p.simulation.layout import HEIGHT, WIDTH, layout
from p2p.simulation.report import TICKS, expectationRows, writeReport
from p2p.simulation.run import Run
from p2p.simulation.runplots import plots
from p2p.simulation.scenario import parseScenario
from p2p.simulation.story import Life, Spread, Story, tell

SCENARIO = """
name = "</script><b>a few & more</b>"
description = "x < y"
duration = 14.0

[peers]
count = 7
options = { gossipCount = 0 }

[[events]]
at = 5.0
publish = { count = 3, every = 0.5 }

[[events]]
at = 7.0
crash = { count = 1 }

[[events]]
at = 9.0
partition = { groups = [0.5, 0.5], for = 2.0 }

[[events]]
at = 12.0
pause = { peers = ["peer-0"], for = 1.0 }

[[events]]
at = 13.5
partition = { groups = [["peer-1"], ["peer-2"]] }

[measure]
overlay = 2.0

[expect]
reach = 1.0
listed = true
lastDelivery = 0.001
"""

VOID = {"meta", "input", "br", "link"}


def ran(directory: str) -> dict[str, Any]:
    """Run the scenario, with its trace in a directory; the results."""
    os.makedirs(directory)
    with open(os.path.join(directory, "trace.jsonl"), "wb") as file:
        journal = Journal(file)
        results = Run.of(parseScenario(SCENARIO), 1, journal=journal).go()
        journal.flush()
    return results


@cache
def written() -> tuple[str, dict[str, Any], str | None]:
    """Run the scenario and write its report: where it is, the results, and why there are no plots."""
    directory = os.path.abspath("report")
    results = ran(directory)
    return directory, results, writeReport(directory, SCENARIO, tomllib.loads(SCENARIO), results, summaryRows(results))


class Page(HTMLParser):
    """
    Reads a page.

    @ivar problems: tags that do not match.
    @ivar loads: what a browser would fetch.
    @ivar scripts: the texts of the scripts.
    @ivar text: all other text.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.loads: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        self.problems += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action") and not (value or "").startswith("#"):
                self.loads.append(f"{tag} {name}={value}")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        else:
            self.text += data


class ReportTests(SynchronousTestCase):
    """The page."""

    def setUp(self) -> None:
        """One run is enough for all."""
        self.directory, self.results, self.problem = written()
        with open(os.path.join(self.directory, "report.html"), encoding="utf-8") as file:
            self.text = file.read()
        self.page = Page(self.text)

    def test_pageIsWellFormed(self) -> None:
        """Every element ends where it should, whatever the scenario is called."""
        self.assertEqual(self.page.problems, [])
        self.assertEqual(len(self.page.scripts), 1)
        self.assertNotIn("{{", self.text)

    def test_pageLoadsNothing(self) -> None:
        """There is no address in it, and no element that would fetch something."""
        self.assertEqual(self.page.loads, [])
        self.assertNotRegex(self.text, r"https?://|//cdn|@import|url\((?!#)|\bfetch\(|XMLHttpRequest|import\(")

    def test_whatAScenarioSaysIsText(self) -> None:
        """Its markup is shown and does nothing."""
        self.assertIn("</script><b>a few & more</b>", self.page.text)
        self.assertIn("x < y", self.page.text)
        self.assertNotIn("<b>", self.text)

    def test_storyIsToldWhole(self) -> None:
        """What the script gets is what happened: nodes, links at the end, every delivery, the faults."""
        found = re.search(r"^const story = (.*);$", self.page.scripts[0], re.MULTILINE)
        assert found is not None
        story = json.loads(found.group(1))
        self.assertEqual(story["names"], ["seed-0", *(f"peer-{number}" for number in range(7))])
        links = [story["links"][place : place + 5] for place in range(0, len(story["links"]), 5)]
        lasting = [link for link in links if link[3] == -1 and link[4] == 2]
        self.assertEqual(len(lasting), self.results["overlay"]["links"])
        (dead,) = (life for life in story["lives"] if life[3] == "crash")
        for message, broadcast in zip(story["messages"], self.results["broadcasts"], strict=True):
            have = {message["origin"], *message["arrivals"][1::3]} - {dead[0]}
            self.assertEqual(len(have), broadcast["reached"])
            last = max(message["arrivals"][::3]) / TICKS
            self.assertGreaterEqual(last + 0.0001, broadcast["lastDelivery"])
        self.assertEqual([fault["what"] for fault in story["faults"]], ["partition", "pause", "partition"])
        # Nodes stand as the first partition separates them, and no other.
        self.assertEqual([len(fault.get("discs", ())) for fault in story["faults"]], [2, 0, 0])
        self.assertEqual((story["faults"][0]["from"], story["faults"][0]["to"]), (9.0, 11.0))
        self.assertEqual(dead[2], 7 * TICKS)
        self.assertEqual(story["names"][dead[0]], self.results["deaths"][0]["peer"])

    def test_eachExpectationHasItsVerdict(self) -> None:
        """Those that hold and those that do not."""
        self.assertIn("does not hold", self.page.text)
        self.assertRegex(self.text, r"<th>reach</th><td>1.0</td><td class=\"held\">")
        self.assertRegex(self.text, r"<th>listed</th><td>true</td>")
        self.assertRegex(self.text, r"<th>lastDelivery</th><td>0.001</td><td class=\"broken\">")

    def test_verdictsAreThoseOfTheirOwnNames(self) -> None:
        """However one name may be part of another; what is not known is not said to hold."""
        table = {"expect": {"reach": 0.5, "listed": True, "listedWithin": 5}, "checks": [
            {"function": "my:reach_fails"}, {"function": "my:reach"}, {"function": "my:reach", "by": 3.0}]}  # fmt: skip
        broken = [{"expectation": name, "time": 1.0, "problem": f"no {name}"} for name in ("my:reach_fails", "errors")]
        results = {
            "expected": {"reach": True, "listed": True, "listedWithin": None, "my:reach_fails": False,
                         "my:reach": True, "errors": False},
            "broken": broken,
        }  # fmt: skip
        rows = re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td><td.*?>(.*?)</td></tr>", expectationRows(table, results))
        self.assertEqual(rows, [
            ("reach", "0.5", "✓ holds"),
            ("listed", "true", "✓ holds"),
            ("listedWithin", "5", "not known: it was not looked at"),
            ("my:reach_fails", "at the end", "✗ 1.000 s: no my:reach_fails"),
            ("my:reach", "at the end; by 3.0 s", "✓ holds"),
            ("errors", "", "✗ 1.000 s: no errors"),
        ])  # fmt: skip

    def test_plotsAreInThePageAndBesideIt(self) -> None:
        """Each with its title and units, all of them in the page's own colour."""
        self.assertIsNone(self.problem)
        names = ["degree", "detection", "latency", "overlay", "paths", "reach", "traffic"]
        self.assertEqual(sorted(os.listdir(os.path.join(self.directory, "plots"))), [f"{name}.png" for name in names])
        self.assertEqual(self.text.count("<svg"), len(names))
        for text in ("Reach over time", "seconds after sending", "Time to detect", "Bytes by type", "kB"):
            self.assertIn(text, self.page.text)
        self.assertIn("currentColor", self.text)
        self.assertNotIn("#010203", self.text)

    def test_latencyIsThatOfWhatArrived(self) -> None:
        """What nobody should have, or reached nobody, has none; if there is nothing else, there is no such plot."""
        story: Any = SimpleNamespace(messages=[], faults=[], lives=[], degrees=[])
        results: dict[str, Any] = {"overlays": [], "deaths": [], "traffic": None}
        nobodys = {"at": 5.0, "live": 0, "reached": 0, "lastDelivery": None}
        arrived = {"at": 6.0, "live": 3, "reached": 3, "lastDelivery": 0.5}
        self.assertEqual(plots(story, {**results, "broadcasts": [nobodys]}), {})
        latency = plots(story, {**results, "broadcasts": [nobodys, arrived]})["latency"]
        self.assertEqual([line.get_label() for line in latency.axes[0].lines], ["reached all: 1"])

    def test_whatIsDrawnIsNamed(self) -> None:
        """Bands and ticks as well as curves, below the axes, and a band has the colour of no curve."""
        story = tell(storyModule.readTrace(os.path.join(self.directory, "trace.jsonl")), self.results)
        story.lives.append(Life(1, 3.0, 4.0, "leave"))
        figures = plots(story, self.results)
        for name in ("latency", "paths", "overlay"):
            (legend,) = figures[name].legends
            told = [text.get_text() for text in legend.get_texts()]
            self.assertEqual(told[:4], ["fault", "start", "leave", "crash"])
            self.assertEqual(len(set(told)), len(told))
            axes = figures[name].axes[0]
            ticks = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
            self.assertEqual((ticks["leave"], ticks["crash"]), ([4.0], [7.0]))
            self.assertEqual(len(ticks["start"]), len(story.lives))
            self.assertNotIn(to_rgb(axes.patches[0].get_facecolor()), [to_rgb(line.get_color()) for line in axes.lines])

    def test_whatIsCountedHasWholeTicks(self) -> None:
        """Links on a path, peers."""
        story = tell(storyModule.readTrace(os.path.join(self.directory, "trace.jsonl")), self.results)
        figures = plots(story, self.results)
        for name in ("paths", "overlay", "degree"):
            for tick in figures[name].axes[0].get_yticks():
                self.assertEqual(tick, round(tick), name)

    def test_idsOfPlotsDiffer(self) -> None:
        """Or one would be cut by the edges of another."""
        ids = re.findall(r'\bid="([^"]+)"', self.text)
        self.assertEqual(len(ids), len(set(ids)))

    def test_withoutMatplotlibThereIsAPageWithoutPlots(self) -> None:
        """And a sentence that says what to install."""
        directory = self.mktemp()
        results = ran(directory)
        with missing("matplotlib"):
            problem = writeReport(directory, SCENARIO, tomllib.loads(SCENARIO), results, summaryRows(results))
        self.assertEqual(problem, "matplotlib is not installed: pip install --editable '.[simulation]'")
        with open(os.path.join(directory, "report.html"), encoding="utf-8") as file:
            self.assertEqual(Page(file.read()).problems, [])


@contextmanager
def missing(package: str) -> Iterator[None]:
    """Let a package seem not to be installed."""
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == package}
    sys.modules.update(dict.fromkeys([package, *kept]))  # type: ignore[arg-type]
    try:
        yield
    finally:
        del sys.modules[package]
        sys.modules.update(kept)


class StoryTests(SynchronousTestCase):
    """What is told of a trace."""

    def told(self, *lines: dict[str, Any], broadcasts: int = 0, reached: int = 3) -> Story:
        """The story of some lines."""
        results = {"virtualSeconds": 10.0, "broadcasts": [{"reached": reached}] * broadcasts}
        return tell(
            [{"time": 0.0, "type": "joined", "node": name} for name in ("seed-0", "peer-0", "peer-10", "peer-2")]
            + list(lines),
            results,
        )

    def link(self, time: float, node: str, peer: str, type: str = "linkUp") -> dict[str, Any]:
        """One end of a link says something."""
        return {"time": time, "type": type, "node": node, "peer": peer}

    def test_nodesAreInOrder(self) -> None:
        """Seeds first, then by number."""
        self.assertEqual(self.told().names, ["seed-0", "peer-0", "peer-2", "peer-10"])

    def test_linkLastsWhileBothEndsSaySo(self) -> None:
        """That one end knows of it a little earlier is not told."""
        story = self.told(
            self.link(1.0, "peer-0", "peer-2"),
            self.link(1.1, "peer-2", "peer-0"),
            self.link(5.0, "peer-2", "peer-0", "linkDown"),
            self.link(5.1, "peer-0", "peer-2", "linkDown"),
        )
        self.assertEqual(story.links, [(1, 2, 1.1, 5.0, 2)])

    def test_endThatHoldsOnIsTold(self) -> None:
        """When a peer dies, its neighbour holds the link until it notices."""
        story = self.told(
            self.link(1.0, "peer-0", "peer-2"),
            self.link(1.1, "peer-2", "peer-0"),
            {"time": 5.0, "type": "crashed", "node": "peer-0", "host": True},
            self.link(9.0, "peer-2", "peer-0", "linkDown"),
        )
        self.assertEqual(story.links, [(1, 2, 1.1, 5.0, 2), (2, 1, 5.0, 9.0, 1)])
        self.assertEqual(story.lives[1].how, "host")
        self.assertEqual(story.degrees, [0, 0])

    def test_secondLinkBetweenTwoKeepsThem(self) -> None:
        """When both dial each other, one of the two is closed."""
        story = self.told(
            *(self.link(1.0, *pair) for pair in (("peer-0", "peer-2"), ("peer-2", "peer-0")) * 2),
            self.link(1.5, "peer-0", "peer-2", "linkDown"),
            self.link(1.6, "peer-2", "peer-0", "linkDown"),
        )
        self.assertEqual(story.links, [(1, 2, 1.0, 10.0, 2)])
        self.assertEqual(story.degrees, [1, 1, 0])

    def test_listHasEachPeerOnce(self) -> None:
        """However often it registers."""
        registered = {"type": "registered", "node": "peer-0", "seed": "seed-0"}
        removed = {"type": "removed", "node": "seed-0", "peer": "peer-0", "reason": "dead"}
        story = self.told(
            *(
                {**line, "time": time}
                for time, line in enumerate((registered, registered, removed, removed, registered))
            )
        )
        self.assertEqual(story.listed, [(0, 0, 1), (2, 0, -1), (4, 0, 1)])

    def test_expectedAreThoseWhoLiveThrough(self) -> None:
        """From the sending to the end of the window, or of the run."""
        story = self.told({"time": 6.0, "type": "left", "node": "peer-2"})
        message = Spread(0, 4.0, 1, 64)
        self.assertEqual(story.expected(message, 1.0), {1, 2, 3})
        self.assertEqual(story.expected(message, None), {1, 3})

    def test_newcomersToAPartitionStandWithTheirGroup(self) -> None:
        """In that of the partition that they were dealt to, of which there may be several."""
        split = {"type": "fault", "what": "partition", "for": None, "oneWay": False}
        story = self.told(
            {**split, "time": 1.0, "groups": [["seed-0", "peer-0"], ["peer-2"]]},
            {"time": 2.0, "type": "fault", "what": "loss", "for": None, "nodes": None, "rate": 0.1},
            {**split, "time": 3.0, "groups": [["seed-0", "peer-0", "peer-2"], []]},
            {"time": 4.0, "type": "dealt", "node": "peer-10", "partition": 0, "group": 1},
            {"time": 4.0, "type": "dealt", "node": "peer-10", "partition": 1, "group": 0},
        )
        first, _, second = story.faults
        self.assertEqual((first["groups"], second["groups"]), ([[0, 1], [2, 3]], [[0, 1, 2, 3], []]))

    def test_tooManyMessagesAreThinnedEvenly(self) -> None:
        """And it is said that they are."""
        self.patch(storyModule, "MAX_DELIVERIES", 10)
        lines: list[dict[str, Any]] = []
        for number in range(8):
            lines.append({"time": number, "type": "published", "message": number, "origin": "peer-0", "size": 1})
            lines.append({"time": number, "type": "delivered", "message": number, "peer": "peer-2", "from": "peer-0"})
        story = self.told(*lines, broadcasts=8)
        self.assertEqual([message.number for message in story.messages], [0, 3, 6])
        self.assertEqual(story.messages[1].peers, [2])
        self.assertEqual(story.omitted, ["3 of 8 messages can be chosen and count for reach."])

    def test_tooManyPeersAreThinned(self) -> None:
        """With what happens to those that are left; links are counted before."""
        self.patch(storyModule, "MAX_PEERS", 2)
        pairs = (("peer-0", "peer-2"), ("peer-2", "peer-0"), ("peer-0", "peer-10"), ("peer-10", "peer-0"))
        story = self.told(*(self.link(1.0, *pair) for pair in pairs))
        self.assertEqual(story.names, ["seed-0", "peer-0", "peer-2"])
        self.assertEqual(story.links, [(1, 2, 1.0, 10.0, 2)])
        self.assertEqual(story.degrees, [2, 1, 1])
        self.assertEqual(len(story.omitted), 1)

    def test_reachCountsEachPeerOnceAndWithinTheWindow(self) -> None:
        """Whoever was started again after it, and got the message once more."""
        story = self.told(
            {"time": 1.0, "type": "published", "message": 0, "origin": "peer-0", "size": 1},
            *(
                {"time": time, "type": "delivered", "message": 0, "peer": peer, "from": "peer-0"}
                for time, peer in ((1.5, "peer-2"), (3.0, "peer-10"), (6.0, "peer-2"), (6.5, "peer-10"))
            ),
            broadcasts=1,
        )
        results = {"broadcasts": (), "overlays": (), "deaths": (), "traffic": {}, "overlay": {"meanDegree": 0.0}}
        for window, last, share in ((1.0, 0.5, 50.0), (None, 2.0, 100.0)):
            (axes,) = plots(story, results, window)["reach"].axes
            (line,) = axes.lines
            self.assertEqual(max(line.get_ydata()), share)
            self.assertAlmostEqual(max(line.get_xdata()), 1.08 * last)


class LayoutTests(SynchronousTestCase):
    """Where nodes stand."""

    def test_nodesAreApartAndInside(self) -> None:
        """With springs and without, in one disc and in several."""
        for peers, groups in ((1, ()), (2, ()), (60, ()), (1000, ()), (60, [range(1, 20), range(20, 61)])):
            links = [(node, node + 1) for node in range(1, peers)]
            places, discs = layout(1, peers, links, [list(group) for group in groups])
            self.assertEqual(len(places), 1 + peers)
            self.assertEqual(len(discs), max(1, len(groups)))
            for x, y in places:
                self.assertTrue(0 <= x <= WIDTH and 0 <= y <= HEIGHT, (peers, x, y))
            closest = min(hypot(a[0] - b[0], a[1] - b[1]) for number, a in enumerate(places) for b in places[:number])
            self.assertGreater(closest, 0.2 / peers**0.5, peers)

    def test_groupsHaveDiscsOfTheirOwn(self) -> None:
        """Each node is in that of its group."""
        groups = [[1, 2, 3, 4], [5, 6, 7, 8, 9, 10]]
        places, discs = layout(1, 10, [(1, 5)], groups)
        for group, (x, y, radius) in zip(groups, discs, strict=True):
            for node in group:
                self.assertLess(hypot(places[node][0] - x, places[node][1] - y), radius)
        self.assertGreater(discs[1][0] - discs[0][0], discs[0][2] + discs[1][2])


class TraceTests(SynchronousTestCase):
    """What a journal writes is what a story reads."""

    def test_linesAreReadAsTheyWereWritten(self) -> None:
        """Those put together by hand too."""
        file = BytesIO()
        journal = Journal(file)
        journal.note(1.0, "joined", node="peer-0", address="10.1.0.0:6000")
        journal.delivered(2.5, 3, "peer-0", "peer-1", 4)
        journal.flush()
        path = self.mktemp()
        with open(path, "wb") as out:
            out.write(file.getvalue())
        self.assertEqual(
            list(storyModule.readTrace(path)),
            [
                {"time": 1.0, "type": "joined", "node": "peer-0", "address": "10.1.0.0:6000"},
                {"time": 2.5, "type": "delivered", "message": 3, "peer": "peer-0", "from": "peer-1", "hops": 4},
            ],
        )
