"""
Text for people: columns, spans of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from p2p.text import harmless as harmless


def columns(rows: Sequence[Sequence[Any]], indent: str = "", right: Sequence[int] = ()) -> str:
    """
    Rows as aligned columns.

    @param right: the columns that are aligned to the right.
    """
    cells = [[harmless(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))] if cells else []
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(padded)).rstrip())
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """A span of time: C{850 us}, C{12.3 ms}, C{4.21 s}, C{3 min 20 s}, C{2 h 5 min}."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def clock(when: float) -> str:
    """A POSIX time as the time of day here."""
    return datetime.fromtimestamp(when).strftime("%H:%M:%S.%f")[:-3]
