"""
What a sweep shows as plots: each metric against each setting that took several values, or, if none did, how the
metric is spread over the seeds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from p2p.simulation.grid import shortNames, valueText
from p2p.simulation.metrics import METRICS, Metric
from p2p.simulation.plots import BLUE, COLOURS, aside, legend, save, subplots, tidy

ACROSS = 3
"""Plots beside each other."""

MAX_BARS = 30
"""How many there are in a histogram, at most."""

ASIDE, BESIDE = 5.0, 30.0
"""Points between two series, and between the first and the last at most."""


def writePlots(directory: str, summary: dict[str, Any], outcomes: Sequence[dict[str, Any]]) -> list[str]:
    """
    Draw a sweep, in place of all plots that are in the directory.

    @return: the files that were written.
    @raise PlotsMissing: matplotlib is not installed.
    """
    points = summary["points"]
    keys = [key for key in points[0]["settings"] if len({_value(point, key) for point in points}) > 1]
    written = []
    for old in Path(directory).glob("*.png"):
        old.unlink()
    for key in keys:
        path = os.path.join(directory, f"{key}.png")
        _againstSetting(path, key, points)
        written.append(path)
    if not keys:
        path = os.path.join(directory, "seeds.png")
        _overSeeds(path, outcomes)
        written.append(path)
    return written


def _againstSetting(path: str, key: str, points: Sequence[dict[str, Any]]) -> None:
    """Means with their intervals over the values of one setting; a line for each combination of the others."""
    names = shortNames(list(points[0]["settings"]))
    values = list(dict.fromkeys(_value(point, key) for point in points))
    numbers = [json.loads(value) for value in values]
    isNumber = all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
    places = dict(zip(values, numbers if isNumber else range(len(values)), strict=True))
    lines: dict[str, list[dict[str, Any]]] = {}
    for point in points:
        others = [f"{names[k]} {valueText(v)}" for k, v in point["settings"].items() if k != key]
        lines.setdefault(", ".join(others), []).append(point)
    shown = [metric for metric in METRICS if _varies(point["metrics"][metric.name] for point in points)]
    figure, axes = _panels(shown)
    step = min(ASIDE, BESIDE / len(lines))
    for metric, ax in zip(shown, axes, strict=False):
        for number, (name, line) in enumerate(lines.items()):
            known = sorted(
                (places[_value(p, key)], p["metrics"][metric.name]) for p in line if p["metrics"][metric.name]
            )
            # Names have nothing between them that a line could go through.
            drawn = ax.errorbar(
                [place for place, _ in known],
                [estimate["mean"] for _, estimate in known],
                [estimate["half"] or 0.0 for _, estimate in known],
                label=name, color=COLOURS[number % len(COLOURS)], marker="o", markersize=4, linewidth=1.2, capsize=3,
                linestyle="-" if isNumber else "",
            )  # fmt: skip
            # What coincides stands side by side.
            for part in drawn.get_children():
                part.set_transform(aside(ax, (number - (len(lines) - 1) / 2) * step))
        if isNumber and len(values) <= 8:
            ax.set_xticks(sorted(places.values()))
        elif not isNumber:
            ax.set_xticks(range(len(values)), [valueText(json.loads(value)) for value in values])
            ax.set_xlim(-0.5, len(values) - 0.5)
        tidy(ax, metric.text, names[key], metric.unit)
    legend(figure)
    save(figure, path)


def _overSeeds(path: str, outcomes: Sequence[dict[str, Any]]) -> None:
    """How often each value came out, of what came out differently."""
    values = {m: [o["metrics"][m.name] for o in outcomes if o["metrics"].get(m.name) is not None] for m in METRICS}
    shown = [metric for metric in METRICS if len(set(values[metric])) > 1]
    figure, axes = _panels(shown)
    for metric, ax in zip(shown, axes, strict=False):
        least, most = min(values[metric]), max(values[metric])
        if most - least < MAX_BARS and all(value == round(value) for value in values[metric]):
            # A bar for each number there may be, around it.
            edges = [number - 0.5 for number in range(int(least), int(most) + 2)]
            ax.hist(values[metric], bins=edges, rwidth=0.9, color=BLUE)
            ax.xaxis.get_major_locator().set_params(integer=True)
        else:
            ax.hist(values[metric], bins=min(MAX_BARS, max(5, len(values[metric]) // 3)), color=BLUE)
        ax.yaxis.get_major_locator().set_params(integer=True)
        tidy(ax, metric.text, metric.unit, "runs")
    save(figure, path)


def _panels(shown: Sequence[Metric]) -> tuple[Any, list[Any]]:
    """A figure with a place for each metric."""
    rows = max(1, -(-len(shown) // ACROSS))
    figure, axes = subplots(rows, ACROSS, (4.0 * ACROSS, 2.6 * rows))
    flat = list(axes.flat)
    for ax in flat[max(1, len(shown)) :]:
        ax.set_visible(False)
    if not shown:
        flat[0].set_axis_off()
        flat[0].set_title("nothing differs", loc="left")
    return figure, flat


def _value(point: dict[str, Any], key: str) -> str:
    return json.dumps(point["settings"][key])


def _varies(estimates: Iterable[dict[str, Any] | None]) -> bool:
    """Whether a plot would show more than a level line."""
    known = [estimate for estimate in estimates if estimate is not None]
    return len({value for estimate in known for value in (estimate["least"], estimate["most"])}) > 1
