"""
What one run shows as plots.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Any

from p2p.simulation.plots import BLUE, GREEN, GREY, ORANGE, RED, VIOLET, bars, legend, subplots, tidy
from p2p.simulation.story import Story

NAMES = ("reach", "latency", "degree", "paths", "overlay", "detection", "traffic")
"""The figures that there may be."""

STEPS = 200
"""Points of a curve."""


def plots(story: Story, results: dict[str, Any], window: float | None = None) -> dict[str, Any]:
    """
    The figures that the run has something to show in, by the name of their file.

    @param window: seconds within which a broadcast counted.
    @raise PlotsMissing: matplotlib is not installed.
    """
    made: dict[str, Any] = {}
    if any(message.times for message in story.messages):
        made["reach"] = _reach(story, window)
    arrived = [broadcast for broadcast in results["broadcasts"] if broadcast["reached"]]
    if arrived:
        made["latency"] = _latency(story, arrived)
    if story.degrees:
        made["degree"] = _degree(story.degrees, results["overlay"])
    if len(results["overlays"]) > 1:
        made["paths"] = _paths(story, results["overlays"])
        made["overlay"] = _overlay(story, results["overlays"])
    if results["deaths"]:
        made["detection"] = _detection(results["deaths"])
    if results["traffic"]:
        made["traffic"] = _traffic(results["traffic"])
    return made


def _reach(story: Story, window: float | None) -> Any:
    """Which share of those who should have a message has it so long after its sending."""
    curves = []
    for message in story.messages:
        expected = story.expected(message, window) - {message.origin}
        # Of those who are started again, and may get it once more, it is the first time that counts.
        had: dict[int, float] = {}
        for time, peer in zip(message.times, message.peers, strict=True):
            had.setdefault(peer, time - message.at)
        times = sorted(had[peer] for peer in expected & had.keys() if window is None or had[peer] <= window)
        if expected:
            curves.append((times, len(expected)))
    last = sorted(times[-1] for times, _ in curves if times)
    figure, ((axes,),) = subplots()
    if not last:
        return figure
    # A partition makes some messages wait a hundred times as long as the others.
    wide = last[-1] > 20 * last[len(last) // 10]
    first = min(times[0] for times, _ in curves if times)
    if wide:
        start = max(first / 2, 1e-4)
        xs = [start * (last[-1] * 1.1 / start) ** (step / STEPS) for step in range(STEPS + 1)]
    else:
        xs = [last[-1] * 1.08 * step / STEPS for step in range(STEPS + 1)]
    shares = [sorted(100 * bisect_right(times, x) / count for times, count in curves) for x in xs]
    axes.fill_between(xs, [s[0] for s in shares], [s[-1] for s in shares], color=BLUE, alpha=0.15, linewidth=0)
    low = [s[len(s) // 10] for s in shares]
    high = [s[len(s) - 1 - len(s) // 10] for s in shares]
    axes.fill_between(xs, low, high, color=BLUE, alpha=0.3, linewidth=0, label="80 % of the messages (pale: all)")
    axes.plot(xs, [s[len(s) // 2] for s in shares], color=BLUE, label=f"median of {len(curves)} messages")
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.set_ylim(0, 102)
    tidy(axes, "Reach over time", "seconds after sending", "% of the peers that should have it")
    legend(figure)
    return figure


def _latency(story: Story, broadcasts: Sequence[dict[str, Any]]) -> Any:
    """How long each message took to its last peer."""
    figure, ((axes,),) = subplots()
    _shade(axes, story)
    for whole, colour, marker, name in ((True, BLUE, "o", "reached all"), (False, RED, "x", "missed some")):
        chosen = [b for b in broadcasts if (b["reached"] >= b["live"]) is whole]
        if chosen:
            axes.plot(
                [b["at"] for b in chosen], [b["lastDelivery"] for b in chosen],
                linestyle="", marker=marker, markersize=4, color=colour, alpha=0.8, label=f"{name}: {len(chosen)}",
            )  # fmt: skip
    times = sorted(b["lastDelivery"] for b in broadcasts if b["lastDelivery"] > 0)
    if times and times[-1] > 20 * times[len(times) // 10]:
        axes.set_yscale("log")
        # Whole decades: otherwise one may have no number at either end.
        axes.set_ylim(10.0 ** floor(log10(times[0])), 10.0 ** ceil(log10(times[-1])))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    else:
        axes.set_ylim(bottom=0)
    tidy(axes, "Latency to the last peer", "sent at, virtual seconds", "seconds to the last delivery")
    legend(figure)
    return figure


def _degree(degrees: Sequence[int], overlay: dict[str, Any]) -> Any:
    """How many peers have how many links at the end."""
    figure, ((axes,),) = subplots()
    count = Counter(degrees)
    axes.bar(list(count), list(count.values()), color=GREEN, width=0.8)
    axes.axvline(overlay["meanDegree"], color=VIOLET, linewidth=1.2, label=f"mean {overlay['meanDegree']:.2f}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    tidy(axes, "Degree at the end", "links of a peer", "peers")
    legend(figure)
    return figure


def _paths(story: Story, overlays: Sequence[dict[str, Any]]) -> Any:
    """Path lengths, as often as the overlay was looked at."""
    figure, ((axes,),) = subplots()
    _shade(axes, story)
    at = [overlay["at"] for overlay in overlays]
    axes.plot(at, [overlay["diameter"] for overlay in overlays], color=GREY, label="longest", drawstyle="steps-mid")
    axes.plot(
        at, [overlay["averagePath"] for overlay in overlays], color=VIOLET, label="mean", marker="o", markersize=3
    )
    axes.set_ylim(bottom=0)
    axes.yaxis.get_major_locator().set_params(integer=True)
    tidy(axes, "Path lengths", "virtual seconds", "links on the shortest path")
    legend(figure)
    return figure


def _overlay(story: Story, overlays: Sequence[dict[str, Any]]) -> Any:
    """Peers, and in how many parts they are."""
    figure, ((upper,), (lower,)) = subplots(2)
    at = [overlay["at"] for overlay in overlays]
    for axes in (upper, lower):
        _shade(axes, story)
    upper.plot(at, [overlay["peers"] for overlay in overlays], color=GREY, label="running")
    upper.plot(at, [overlay["largestComponent"] for overlay in overlays], color=BLUE, label="in the largest component")
    lower.plot(at, [overlay["meanDegree"] for overlay in overlays], color=GREEN)
    upper.set_ylim(bottom=0)
    upper.yaxis.get_major_locator().set_params(integer=True)
    lower.set_ylim(bottom=0)
    upper.tick_params(labelbottom=False)
    tidy(upper, "The overlay", "", "peers")
    tidy(lower, "", "virtual seconds", "links a peer")
    legend(figure)
    return figure


def _detection(deaths: Sequence[dict[str, Any]]) -> Any:
    """How many deaths were known so long after they happened."""
    figure, ((axes,),) = subplots()
    for key, name, colour in (
        ("firstDetected", "found by a first peer", GREEN),
        ("lastDetected", "by the last one", BLUE),
        ("removedFromSeeds", "off all seeds' lists", VIOLET),
    ):
        times = sorted(death[key] for death in deaths if death[key] is not None)
        if times:
            shares = [100 * (number + 1) / len(deaths) for number in range(len(times))]
            axes.plot([0, *times], [0, *shares], drawstyle="steps-post", color=colour, label=name)
    axes.set_ylim(0, 102)
    axes.set_xlim(left=0)
    tidy(axes, "Time to detect", "seconds after the death", f"% of {len(deaths)} deaths")
    legend(figure)
    return figure


def _traffic(traffic: dict[str, dict[str, int]]) -> Any:
    """Frames and bytes by type of message."""
    order = sorted(traffic, key=lambda name: -traffic[name]["bytes"])
    figure, ((frames, size),) = subplots(1, 2)
    scale, unit = (1e6, "MB") if traffic[order[0]]["bytes"] >= 1e6 else (1e3, "kB")
    bars(frames, order, [traffic[name]["frames"] / 1e3 for name in order], BLUE)
    bars(size, order, [traffic[name]["bytes"] / scale for name in order], GREEN)
    size.tick_params(labelleft=False)
    tidy(frames, "Frames by type", "thousands", "")
    tidy(size, "Bytes by type", unit, "")
    for axes in (frames, size):
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
    return figure


def _shade(axes: Any, story: Story) -> None:
    """When there were faults, and when peers crashed, left and started."""
    from matplotlib.markers import TICKUP

    for number, fault in enumerate(story.faults):
        label = "" if number else "fault"
        axes.axvspan(fault["from"], fault["to"], color=ORANGE, alpha=0.13, linewidth=0, label=label)
    # Ticks above the upper edge, since a hundred of them must not hide anything.
    for name, colour, times in (
        ("start", GREEN, [life.begin for life in story.lives]),
        ("leave", GREY, [life.end for life in story.lives if life.how == "leave"]),
        ("crash", RED, [life.end for life in story.lives if life.how in ("crash", "host")]),
    ):
        if times:
            axes.plot(
                times, [1.0] * len(times), transform=axes.get_xaxis_transform(), clip_on=False,
                linestyle="", marker=TICKUP, markersize=6, color=colour, label=name,
            )  # fmt: skip
    axes.margins(x=0.02)
