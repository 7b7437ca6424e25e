"""
Where in a TOML text a key stands, so that an error can name the line.

Python's TOML reader keeps no positions.  This one reads only what it needs
for them: headers of tables, and the keys in front of an equals sign.  What it
does not understand it passes over; the answer is then the line of the table,
or of the array, that the key belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Path = tuple["str | int", ...]
"""A key as a program finds it: C{("events", 2, "crash", "fraction")}."""

_HEADER = re.compile(r"\s*\[(\[?)([^\[\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*([\w.\-"']+)\s*=""")


def keyLines(text: str) -> dict[Path, int]:
    """The lines, from 1, of the tables and keys of a TOML text."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None:
            table = _names(header.group(2))
            if header.group(1):
                index = counts.get(table, 0)
                counts[table] = index + 1
                table = (*table, index)
            found.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key is not None:
            found.setdefault((*table, *_names(key.group(1))), number)
    return found


def lineOf(path: Sequence[str | int], lines: dict[Path, int]) -> int | None:
    """The line of a key, or of the innermost table around it that has one."""
    for length in range(len(path), 0, -1):
        line = lines.get(tuple(path[:length]))
        if line is not None:
            return line
    return None


def pathText(path: Sequence[str | int]) -> str:
    """A key for people: C{events[2].crash.fraction}, the first being 0, as programs count."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _names(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
