"""
The event trace of a run, C{trace.jsonl}: what happened when, one JSON object a line.

docs/simulation.md describes each type of line.  There may be millions of
deliveries, so these lines are put together by hand, and the file is written in
blocks.
"""

from __future__ import annotations

from typing import IO, Any

import msgspec

BLOCK = 4096
"""Lines that are written at a time."""

_encode = msgspec.json.Encoder().encode


class Journal:
    """Writes a trace; times are rounded to the microsecond."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lines: list[bytes] = []

    def note(self, time: float, type: str, **fields: Any) -> None:
        """Something happened."""
        self._lines.append(_encode({"time": round(time, 6), "type": type, **fields}))
        if len(self._lines) >= BLOCK:
            self.flush()

    def delivered(self, time: float, message: int, peer: str, sender: str, hops: int) -> None:
        """A peer saw a message for the first time; names need no quoting."""
        self._lines.append(
            b'{"time":%.6f,"type":"delivered","message":%d,"peer":"%s","from":"%s","hops":%d}'
            % (time, message, peer.encode(), sender.encode(), hops)
        )
        if len(self._lines) >= BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what was collected, so that whoever reads the file now finds all of it."""
        if self._lines:
            self._file.write(b"\n".join(self._lines) + b"\n")
            self._lines.clear()
        self._file.flush()
