"""
A run as one page that somebody can open, scrub through, and send to somebody else.

The page is a single file: its style, its script, its plots and all that is drawn
are in it, and it loads nothing.  The template and what goes into it from other
files are in C{page/}.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from p2p.simulation.grid import valueText
from p2p.simulation.layout import HEIGHT, WIDTH, layout
from p2p.simulation.output import REPORT, TRACE, plotPath
from p2p.simulation.plots import PlotsMissing, save, svg
from p2p.simulation.runplots import plots
from p2p.simulation.story import Story, readTrace, tell

TICKS = 10_000
"""Times are told in tenths of a millisecond, as whole numbers, which are short."""


def writeReport(
    directory: str, scenario: str, table: dict[str, Any], results: dict[str, Any], rows: Sequence[tuple[str, str]]
) -> str | None:
    """
    Write C{report.html}, and C{plots/*.png}, beside the trace of a run.

    @param scenario: the text of the scenario file.
    @param table: what stands in it, or was run instead of it.
    @param rows: the results as a table for people.
    @return: why there are no plots, if so.
    """
    story = tell(readTrace(os.path.join(directory, TRACE)), results)
    drawn: dict[str, str] = {}
    problem = None
    try:
        for name, figure in plots(story, results, table.get("measure", {}).get("window")).items():
            save(figure, plotPath(directory, name))
            drawn[name] = svg(figure, name)
    except PlotsMissing as missing:
        problem = str(missing)
    page = render(story, scenario, table, results, rows, drawn)
    with open(os.path.join(directory, REPORT), "w", encoding="utf-8") as file:
        file.write(page)
    return problem


def render(
    story: Story,
    scenario: str,
    table: dict[str, Any],
    results: dict[str, Any],
    rows: Sequence[tuple[str, str]],
    drawn: dict[str, str],
) -> str:
    """
    The page.

    @param table: the scenario, read.
    @param drawn: plots as SVG elements, by name.
    """
    facts = [
        f"seed {results['seed']}",
        f"{results['virtualSeconds']:g} virtual seconds",
        f"{table['peers']['count']:,} peers at first",
        f"digest {results['digest'][:16]}",
    ]
    held = results["held"]
    parts = {
        "title": escape(f"{results['name']}, seed {results['seed']}"),
        "name": escape(results["name"]),
        "description": escape(table.get("description", "")),
        "facts": escape(" · ".join(facts)),
        "verdictClass": "held" if held else "broken",
        "verdict": "✓ everything expected holds" if held else "✗ does not hold",
        "results": "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows),
        "expectations": expectationRows(table, results),
        "errors": _errors(results["errors"]),
        "plots": "".join(f"<figure>{element}</figure>" for element in drawn.values())
        or "<p class=\"note\">There are none; they need matplotlib: pip install --editable '.[simulation]'</p>",
        "scenario": escape(scenario.strip()),
        "omitted": "".join(f'<p class="note">{escape(sentence)}</p>' for sentence in story.omitted),
        # No text in it may end the script element.
        "story": json.dumps(_told(story, results), separators=(",", ":")).replace("<", "\\u003c"),
        "style": _file("report.css"),
        "script": _file("report.js"),
    }
    pieces = _file("report.html").split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))


def _file(name: str) -> str:
    return files("p2p.simulation").joinpath("page", name).read_text(encoding="utf-8")


def _told(story: Story, results: dict[str, Any]) -> dict[str, Any]:
    """The story as the script of the page takes it."""
    links = [(link[0], link[1]) for link in story.links if link[4] == 2]
    partition = next((fault for fault in story.faults if fault["what"] == "partition"), None)
    groups = partition["groups"] if partition is not None else []
    places, circles = layout(story.seeds, len(story.names) - story.seeds, links, groups)
    discs = [tuple(round(number, 4) for number in disc) for disc in circles]
    broadcasts = results["broadcasts"]
    return {
        "duration": story.duration,
        "opening": _opening(story),
        "names": story.names,
        "seeds": story.seeds,
        "width": WIDTH,
        "height": HEIGHT,
        "places": [(round(x, 4), round(y, 4)) for x, y in places],
        "lives": [
            (life.node, _ticks(life.begin), _ticks(life.end) if life.end <= story.duration else -1, life.how)
            for life in story.lives
        ],
        "links": [
            number
            for a, b, since, end, sides in story.links
            for number in (a, b, _ticks(since), _ticks(end) if end < story.duration else -1, sides)
        ],
        # Nodes stand as the first partition separates them.
        "faults": [{**fault, "discs": discs} if fault.get("groups") == groups else fault for fault in story.faults],
        "verdicts": [number for at, *rest in story.verdicts for number in (_ticks(at), *rest)],
        "listed": [number for at, *rest in story.listed for number in (_ticks(at), *rest)],
        "messages": [
            {
                "number": message.number,
                "at": message.at,
                "origin": message.origin,
                "size": message.size,
                "live": broadcasts[message.number]["live"],
                "reached": broadcasts[message.number]["reached"],
                "arrivals": [
                    number
                    for at, peer, sender in zip(message.times, message.peers, message.senders, strict=True)
                    for number in (_ticks(at - message.at), peer, sender)
                ],
            }
            for message in story.messages
        ],
    }


def _opening(story: Story) -> float:
    """A moment to begin with at which there is something to see: the first message, when half of the peers have it."""
    for message in story.messages:
        if message.times:
            return round(sorted(message.times)[len(set(message.peers)) // 2], 6)
    return round(story.duration / 2, 6)


def expectationRows(table: dict[str, Any], results: dict[str, Any]) -> str:
    """Each expectation, and whether it holds, as a table of the page."""
    bounds = {name: [valueText(value)] for name, value in table.get("expect", {}).items()}
    for check in table.get("checks", []):
        when = "always" if check.get("always") else f"by {check['by']} s" if "by" in check else "at the end"
        bounds.setdefault(check["function"], []).append(when)
    problems: dict[str, list[str]] = {}
    for broken in results["broken"]:
        problems.setdefault(broken["expectation"], []).append(f"{broken['time']:.3f} s: {broken['problem']}")
    if not results["expected"]:
        return '<p class="note">The scenario expects nothing in particular.</p>'
    rows = []
    for name, held in results["expected"].items():
        if held:
            verdict = '<td class="held">✓ holds</td>'
        elif held is None:
            verdict = "<td>not known: it was not looked at</td>"
        else:
            first, *others = problems[name]
            more = f" (and {len(others)} more)" if others else ""
            verdict = f'<td class="broken">✗ {escape(first)}{more}</td>'
        bound = escape("; ".join(bounds.get(name, [])))
        rows.append(f"<tr><th>{escape(name)}</th><td>{bound}</td>{verdict}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _errors(errors: Sequence[dict[str, Any]]) -> str:
    """What seeds and peers logged as errors."""
    if not errors:
        return ""
    text = "\n\n".join(f"{error['at']:.3f} s: {error['text']}" for error in errors)
    return f"<section><h2>Errors logged</h2><pre>{escape(text)}</pre></section>"


def _ticks(seconds: float) -> int:
    return round(seconds * TICKS)
