"""
Whose reports of death a seed listens to.  Pure: it is told the time.

A report is always checked before it is believed, so a liar cannot remove
anybody; but each check costs a connection, and one liar must not keep the
seed busy.  Whoever was wrong C{falseReports} times within
C{falseReportWindow} is not listened to for C{muteTime}.
"""

from __future__ import annotations

from collections import deque

import attrs

MAX_OPEN = 8
"""Reports of one reporter that may be under check at a time; further ones are dropped."""


@attrs.define
class _Reporter:
    wrong: deque[float]
    open: int = 0
    mutedUntil: float = float("-inf")


class Reports:
    """What is known of those who report; who has no open report and no recent fault is forgotten."""

    def __init__(self, falseReports: int, window: float, muteTime: float) -> None:
        self._limit = falseReports
        self._window = window
        self._muteTime = muteTime
        self._reporters: dict[bytes, _Reporter] = {}

    def __len__(self) -> int:
        return len(self._reporters)

    def opened(self, reporter: bytes, now: float) -> bool:
        """A report came; false if it is not to be listened to."""
        known = self._reporters.setdefault(reporter, _Reporter(deque()))
        if now < known.mutedUntil or known.open >= MAX_OPEN:
            return False
        known.open += 1
        return True

    def closed(self, reporter: bytes, wrong: bool, now: float) -> bool:
        """
        A report was checked.

        @param wrong: the accused is alive.
        @return: from now on this reporter is muted.
        """
        known = self._reporters.get(reporter)
        if known is None:
            return False
        known.open -= 1
        if not wrong:
            return False
        known.wrong.append(now)
        while known.wrong and now - known.wrong[0] > self._window:
            known.wrong.popleft()
        if len(known.wrong) < self._limit:
            return False
        known.wrong.clear()
        known.mutedUntil = now + self._muteTime
        return True

    def muted(self, now: float) -> int:
        """How many reporters are not listened to."""
        return sum(now < known.mutedUntil for known in self._reporters.values())

    def forget(self, now: float) -> None:
        """Drop what no longer matters."""
        for id, known in list(self._reporters.items()):
            stale = not known.wrong or now - known.wrong[-1] > self._window
            if not known.open and now >= known.mutedUntil and stale:
                del self._reporters[id]
