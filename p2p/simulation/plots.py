"""
Plots, made with matplotlib, which is imported only when one is made.

A plot is made once and written twice: as a PNG on white for a document, and as
an SVG that becomes part of a page.  There its text and axes take the page's own
colour and typeface, so that it suits a dark page as well as a light one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

BLUE, ORANGE, GREEN, RED, VIOLET, GREY = "#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#94a3b8"
COLOURS = (BLUE, ORANGE, GREEN, VIOLET, RED, GREY)
"""Legible on white and on black."""

_INK = "#010203"
"""Stands for the colour of the page's text until the plot is part of the page."""


class PlotsMissing(Exception):
    """matplotlib is not installed; the message says what to do."""


def subplots(rows: int = 1, columns: int = 1, size: tuple[float, float] = (6.4, 3.2)) -> tuple[Any, Any]:
    """
    A new figure and its axes, in the style of this package.

    @param size: in inches.
    @raise PlotsMissing: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotsMissing("matplotlib is not installed: pip install --editable '.[simulation]'") from None
    with rc_context(_style()):
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False)


def save(figure: Any, path: str) -> None:
    """Write a figure as a PNG on white."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    figure.savefig(path, dpi=120, facecolor="white")


def svg(figure: Any, name: str) -> str:
    """
    A figure as an C{<svg>} element for a page.

    @param name: another one for each figure of the page; the same figure is the same text again.
    """
    from matplotlib import rc_context

    text = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    element = text.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r' xmlns(:xlink)?="[^"]*"', "", element)
    element = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", element, count=1)
    )
    element = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", element)
    # Most ids are the same in every figure, and nobody refers to them.
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', element))
    element = re.sub(r' id="([^"]+)"', lambda found: found.group() if found.group(1) in used else "", element)
    return element.replace(_INK, "currentColor")


def tidy(axes: Any, title: str, x: str, y: str) -> None:
    """Name what is seen, with units, and leave out what is not needed."""
    axes.set_title(title, loc="left", fontweight="bold", fontsize=9, pad=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.18, linewidth=0.6, color=_INK)
    axes.set_axisbelow(True)


def legend(figure: Any) -> None:
    """What the colours mean, below, where it hides nothing; what several axes of the figure have is named once."""
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        # In one row if there is room, roughly, else in as many columns as the widest allows.
        widths = [0.45 + 0.055 * len(label) for label in named]
        room = figure.get_figwidth()
        columns = len(widths) if sum(widths) < room else max(1, int(room / max(widths)))
        figure.legend(
            named.values(), named.keys(),
            loc="outside lower center", ncols=columns, columnspacing=1.4, handlelength=1.5,
            frameon=False, labelcolor=_INK, fontsize=8,
        )  # fmt: skip


def aside(axes: Any, points: float) -> Any:
    """Where data of these axes are, so far to the right of it."""
    from matplotlib.transforms import ScaledTranslation

    return axes.transData + ScaledTranslation(points / 72, 0, axes.figure.dpi_scale_trans)


def bars(axes: Any, names: Sequence[str], values: Iterable[float], colour: str) -> None:
    """Lying bars, the first at the top."""
    axes.barh(range(len(names)), list(values), color=colour, height=0.7)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _style() -> Any:
    return {
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "axes.linewidth": 0.7,
        "figure.dpi": 100,
    }
