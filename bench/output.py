"""
What a benchmark prints: figures of each run, their median and range, for people or for programs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import attrs
import click

from bench.process import machine

Run = Mapping[str, Any]
"""One repetition: what was measured, by name; numbers, or C{None} where there is none."""


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which that share of them lies: the nearest rank, no interpolation."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median and range."""
    if not values:
        return None
    return {"median": median(values), "least": min(values), "most": max(values)}


@attrs.frozen
class Column:
    """
    A row of the table.

    @ivar name: the figure's, in a L{Run}.
    @ivar what: how people call it.
    @ivar unit: what it is shown in.
    @ivar scale: what it is divided by for that.
    @ivar digits: after the point.
    """

    name: str
    what: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 0

    def show(self, value: float) -> str:
        """A value as text."""
        return f"{value / self.scale:,.{self.digits}f}"


@attrs.define
class Report:
    """
    What a benchmark found.

    @ivar options: how it was called.
    @ivar runs: one per repetition.
    @ivar notes: lines that a reader of the table should know.
    """

    benchmark: str
    python: str
    options: Mapping[str, Any]
    columns: Sequence[Column]
    runs: list[dict[str, Any]] = attrs.Factory(list)
    notes: list[str] = attrs.Factory(list)
    machine: dict[str, Any] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Before anything is started: so that the load is that of others.
        self.machine = machine(self.python)

    def summary(self) -> dict[str, dict[str, float] | None]:
        """Median and range of each figure over the runs."""
        return {column.name: spread(self._values(column.name)) for column in self.columns}

    def show(self, asJson: bool) -> None:
        """Print it."""
        if asJson:
            whole = {
                "benchmark": self.benchmark, "options": self.options, "machine": self.machine,
                "summary": self.summary(), "runs": self.runs, "notes": self.notes,
            }  # fmt: skip
            click.echo(json.dumps(whole, indent=1))
            return
        about = self.machine
        click.echo(
            f"{self.benchmark}: {', '.join(f'{name} {value}' for name, value in self.options.items())}\n"
            f"on {about['cores']} x {about['processor']}, {about['system']}, load before {about['load'][0]};"
            f" Python {about['python']}, Twisted {about['twisted']}, msgspec {about['msgspec']},"
            f" pyOpenSSL {about['pyOpenSSL']}\n"
        )
        width = max(len(column.what) for column in self.columns)
        for column in self.columns:
            values = self._values(column.name)
            if not values:
                text = "-"
            elif len(values) == 1:
                text = f"{column.show(values[0])} {column.unit}"
            else:
                text = (
                    f"{column.show(median(values))} {column.unit}"
                    f"  ({column.show(min(values))} to {column.show(max(values))}, {len(values)} runs)"
                )
            click.echo(f"  {column.what:<{width}}  {text}")
        for note in self.notes:
            click.echo(f"\n{note}")

    def _values(self, name: str) -> list[float]:
        return [run[name] for run in self.runs if run.get(name) is not None]
