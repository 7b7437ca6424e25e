"""
Where in a TOML text a key stands, so that an error can name the line.

Python's TOML reader keeps no positions.  This one reads only what it needs
for them: headers of tables, and the keys in front of an equals sign, and where
texts and arrays begin and end that go over several lines.  What it does not
understand it passes over; the answer is then the line of the table, or of the
array, that the key belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Path = tuple["str | int", ...]
"""A key as a program finds it: C{("events", 2, "crash", "fraction")}."""

_HEADER = re.compile(r"\s*\[(\[?)([^\[\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*([\w.\-"']+)\s*=""")


_TOKEN = re.compile(
    r"""
    \"{3}(?:[^\\]|\\.)*?"{3,5} | '{3}.*?'{3,5} | "(?:[^"\\\n]|\\.)*" | '[^'\n]*' | \#[^\n]*
    | (?P<opens>[\[{]) | (?P<closes>[\]}]) | (?P<ends>\n)
    """,
    re.VERBOSE | re.DOTALL,
)


def keyLines(text: str) -> dict[Path, int]:
    """
    The lines, from 1, of the tables and keys of a TOML text.

    A table or an array that has no line of its own, as it is written in pieces, has that of the first of them.
    """
    found: dict[Path, int] = {}
    pieces: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in _beginnings(text):
        header = _HEADER.match(line)
        if header is not None:
            table = path = _names(header.group(2))
            if header.group(1):
                index = counts.get(table, 0)
                counts[table] = index + 1
                table = path = (*table, index)
        else:
            key = _KEY.match(line)
            if key is None:
                continue
            path = (*table, *_names(key.group(1)))
        found.setdefault(path, number)
        for length in range(1, len(path)):
            pieces.setdefault(path[:length], number)
    return {**pieces, **found}


def _beginnings(text: str) -> Iterator[tuple[int, str]]:
    """The lines that begin neither within a text nor within an array or an inline table, and their numbers."""
    lines = text.split("\n")
    number, depth = 1, 0
    yield number, lines[0]
    for token in _TOKEN.finditer(text):
        number += token.group().count("\n")
        if token.group("opens"):
            depth += 1
        elif token.group("closes"):
            depth -= 1
        elif token.group("ends") and not depth:
            yield number, lines[number - 1]


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
