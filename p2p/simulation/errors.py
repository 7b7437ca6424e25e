"""
What goes wrong in the program that is simulated, in words that name the culprit.
"""

from __future__ import annotations

import os
import sysconfig
import traceback
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

import p2p
import twisted
from p2p.simulation.clock import SimulationError
from p2p.simulation.incidents import ScenarioError
from p2p.text import errorLine

KEPT_ERRORS = 20
"""Errors that are kept for the results; there may be more."""

_NEVER_AWAITED = "was never awaited"
"""What Python's warning says of a coroutine that does not run, as where a strategy's callback is an C{async def}."""

_OURS = tuple(os.path.dirname(package.__file__ or "") + os.sep for package in (p2p, twisted))
_PLUGINS = os.path.join(os.path.dirname(twisted.__file__ or ""), "plugins") + os.sep
"""What is installed there is somebody's own."""

_STANDARD_LIBRARY = sysconfig.get_path("stdlib") + os.sep


@implementer(ILogObserver)
class Errors:
    """
    What services do wrong while they run; in a simulation it is an error.

    That is what they log as one, or begin and never await; and what others of them log as a breach of the protocol, for
    everybody here runs the same program, and whoever sends what may not be has a fault.

    @ivar count: how many there were.
    @ivar kept: the first of them, each with C{at} and C{text}.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.count = 0
        self.kept: list[dict[str, Any]] = []
        self._during = ExitStack()

    def __call__(self, event: LogEvent) -> None:
        """Take a log event."""
        warned = "warning" in event and _NEVER_AWAITED in str(event["warning"])
        if event.get("log_level") is LogLevel.critical or event.get("isError") or event.get("misbehaved") or warned:
            self.add(_textOf(event) if len(self.kept) < KEPT_ERRORS else "")

    def add(self, text: str) -> None:
        """One more, and what it is: its first line says it."""
        self.count += 1
        if len(self.kept) < KEPT_ERRORS:
            self.kept.append({"at": round(self._now(), 6), "text": text})

    def __enter__(self) -> Errors:
        globalLogPublisher.addObserver(self)
        self._during.callback(globalLogPublisher.removeObserver, self)
        self._during.enter_context(warnings.catch_warnings())
        # Else Python warns once of each place, and so not of the next run in this process; or not at all.
        warnings.filterwarnings("always", f".*{_NEVER_AWAITED}", RuntimeWarning)
        return self

    def __exit__(self, *error: object) -> None:
        self._during.close()


def _textOf(event: LogEvent) -> str:
    text = formatEvent(event)
    failure = event.get("log_failure")
    if failure is None:
        return text
    return f"{text}: {crashText(failure.value, trace=failure.getTracebackObject())}\n{failure.getBriefTraceback()}"


def crashText(error: BaseException, time: float | None = None, trace: Any = None) -> str:
    """
    An exception on one line: what it says, and where in the program that is simulated, or in a check, it was raised.

    @param time: when, in virtual seconds, if that is known.
    @param trace: its traceback, if it no longer has that itself.
    """
    where = []
    # What the simulation itself raises says where.
    if not isinstance(error, ScenarioError | SimulationError):
        frames = traceback.extract_tb(error.__traceback__ or trace)
        frame = next(filter(_isOthers, reversed(frames)), frames[-1] if frames else None)
        if frame is not None:
            where.append(f"{os.path.basename(frame.filename)}:{frame.lineno}")
    if time is not None:
        where.append(f"at {time:.3f} s")
    return errorLine(error) + (f" ({', '.join(where)})" if where else "")


def _isOthers(frame: traceback.FrameSummary) -> bool:
    """Whether it belongs neither to this package nor to what that stands on."""
    file = frame.filename
    installed = f"{os.sep}site-packages{os.sep}" in file
    ours = file.startswith((*_OURS, "<frozen")) and not file.startswith(_PLUGINS)
    return not (ours or (file.startswith(_STANDARD_LIBRARY) and not installed))
