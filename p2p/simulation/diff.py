"""
Where two runs part.

Two traces are the same line by line up to the first thing that happened
differently; whatever comes after it is a consequence.  So only that place is of
interest, and what led to it.
"""

from __future__ import annotations

import json
import os
from collections import deque
from itertools import islice, zip_longest
from typing import Any

import attrs

from p2p.simulation.output import RESULTS, TRACE

_BEGINS, _ENDS = b'{"time":', b"}\n"
"""Every line of a trace as it is written; what looks otherwise is read, which takes longer."""


class NoTraceError(ValueError):
    """There is no trace; the message is one line that names the file."""


@attrs.frozen
class Parting:
    """
    Where two traces part.

    @ivar line: from 1.
    @ivar before: lines that both have, up to there.
    @ivar first: lines of the one from there on; empty if it ends there.
    @ivar second: of the other.
    """

    line: int
    before: list[str]
    first: list[str]
    second: list[str]

    @property
    def time(self) -> float | None:
        """The earlier of the two times at which something happened differently."""
        return min((_time(lines[0]) for lines in (self.first, self.second) if lines), default=None)


def traceOf(path: str) -> str:
    """The trace file that is meant by a file or by the output directory of a run."""
    return os.path.join(path, TRACE) if os.path.isdir(path) else path


def part(first: str, second: str, context: int = 5) -> Parting | None:
    """
    Compare two trace files.

    @param context: how many lines to give from before, and from each after.
    @return: C{None} if they are equal.
    @raise OSError: one cannot be read.
    @raise NoTraceError: one is no trace.
    """
    before: deque[bytes] = deque(maxlen=context)
    with open(first, "rb") as a, open(second, "rb") as b:
        for number, (one, other) in enumerate(zip_longest(a, b), 1):
            if number == 1:
                for line, path in ((one, first), (other, second)):
                    _line(line or b"", path)
            if one != other:
                rest = (
                    [line, *islice(file, max(0, context - 1))] if line else [] for line, file in ((one, a), (other, b))
                )
                mine, yours = (
                    [_line(text, path) for text in lines] for lines, path in zip(rest, (first, second), strict=True)
                )
                return Parting(number, [_line(text, first) for text in before], mine, yours)
            if not (one.startswith(_BEGINS) and one.endswith(_ENDS)):
                _line(one, first)
            before.append(one)
        if not before:
            _line(b"", first)
    return None


def digests(first: str, second: str) -> tuple[str, str] | None:
    """The digests of two runs, if both output directories have results, and they differ."""
    found = []
    for path in (first, second):
        try:
            with open(os.path.join(path, RESULTS), encoding="utf-8") as file:
                found.append(str(json.load(file)["digest"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
    return (found[0], found[1]) if found[0] != found[1] else None


def _line(line: bytes, path: str) -> str:
    text = line.decode("utf-8", "replace").rstrip("\n")
    if not line:
        raise NoTraceError(f"{path}: is no trace of a run: it is empty")
    try:
        event = json.loads(text)
        isEvent = type(event["time"]) in (int, float) and isinstance(event["type"], str)
    except (ValueError, KeyError, TypeError):
        isEvent = False
    if not isEvent:
        raise NoTraceError(f"{path}: is no trace of a run: {text[:60]!r}")
    return text


def _time(line: str) -> float:
    event: dict[str, Any] = json.loads(line)
    return float(event["time"])
