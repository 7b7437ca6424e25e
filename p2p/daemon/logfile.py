"""
A daemon's log file: what its node says through Twisted's logger, and each message it sees for the first time.

Two ways lead into it.  What is said a few times a second comes through
L{globalLogPublisher}: everything from this package, and errors from anywhere.
Messages may come five thousand times a second, and an event through the
logger costs forty microseconds; so they are told directly, and only so many a
second get a line each (L{MessageLines}).  The rest are counted, and one line
tells how many they were.

A disk that is full costs lines, nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    formatEvent,
    globalLogPublisher,
    textFileLogObserver,
)
from twisted.python.logfile import LogFile as RotatedFile
from zope.interface import implementer

from p2p.text import harmless

if TYPE_CHECKING:
    from p2p.peer.delivery import Delivery

ROTATE_AT = 10 * 2**20
"""Bytes at which a log file is put aside and a new one begun."""

KEPT = 5
"""Log files put aside at most."""

TWISTDS_ROTATE_AT = 2**20
"""The same of what C{twistd} prints in the background, where the log file has most of it."""

OBSERVERS = "twisted.logger._observer"
"""In whose name Twisted tells that an observer failed."""

ACCEPTING = "twisted.internet.tcp.Port"
"""In whose name Twisted tells that it could not take a connection."""

NOT_ACCEPTED = ("EMFILE encountered", "Could not accept new connection")
"""How what it says then begins."""

TOLD_AGAIN = 60.0
"""Seconds after which it is told again here."""

RETRY = 5.0
"""Seconds after a failure until the file is tried again."""


class Stamp:
    """
    Times as text, ISO 8601 with milliseconds in local time.  The part that stays the same for a second is kept.
    """

    def __init__(self) -> None:
        self._second = -1
        self._text = ("", "")

    def __call__(self, when: float) -> str:
        """A POSIX time as text."""
        second = int(when)
        if second != self._second:
            text = datetime.fromtimestamp(second).astimezone().isoformat()
            self._second, self._text = second, (text[:19], text[19:])
        return f"{self._text[0]}.{int((when - second) * 1000):03d}{self._text[1]}"


class LineFile:
    """
    A rotated file of lines, on a disk that may be full.

    A line is written whole or not at all.  The first one that cannot be
    written is complained of, once; the file is then left alone for L{RETRY}
    seconds, and the first line that can be written again says how many are missing.

    Where somebody removes the file, renames it or cuts it short, the next line
    begins it anew.

    @param complain: called with one line when writing begins to fail.
    @param seconds: the time, to wait with the next attempt.
    @param missing: makes the line that says how many are missing.
    """

    def __init__(
        self,
        directory: str,
        name: str,
        complain: Callable[[str], object],
        seconds: Callable[[], float],
        missing: Callable[[int], bytes],
    ) -> None:
        self._directory = directory
        self._name = name
        self._complain = complain
        self._seconds = seconds
        self._missing = missing
        self._file: _WholeLines | None = None
        self._lost = 0
        self._failed = 0.0

    def open(self) -> None:
        """
        Open the file.

        @raise OSError: it cannot be opened.
        """
        self._file = _WholeLines(self._name, self._directory, ROTATE_AT, maxRotatedFiles=KEPT)

    def write(self, line: bytes) -> None:
        """Write a line, which ends in a newline; or count it as lost."""
        if self._lost and 0 <= self._seconds() - self._failed < RETRY:
            self._lost += 1
            return
        try:
            if self._file is not None and not self._file.isThere():
                self.close()
            if self._file is None:
                self.open()
            assert self._file is not None
            if self._lost:
                self._file.write(self._missing(self._lost))
                self._lost = 0
            self._file.write(line)
        except (OSError, ValueError, AttributeError) as error:
            # The latter two: a rotation that failed half-way has left the file closed.
            if not self._lost:
                self._complain(f"{self._directory}/{self._name}: {error}; lines are lost until it can be written again")
            self._lost += 1
            self._failed = self._seconds()
            self.close()

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except (OSError, AttributeError):
            pass


class _WholeLines(RotatedFile):
    """
    A rotated file in which a write that succeeds in part is taken back.
    """

    def write(self, data: bytes) -> None:
        """
        Write all of C{data}.

        @raise OSError: not all of it could be written; then nothing was.
        """
        if self.shouldRotate():
            self.rotate()
        written = self._file.write(data)
        if written != len(data):
            self._file.truncate(os.fstat(self._file.fileno()).st_size - (written or 0))
            raise OSError(errno.ENOSPC, "No space left on device")
        self.size += len(data)

    def _openFile(self) -> None:
        """
        And write at its end, wherever that is: somebody may cut it short.
        """
        super()._openFile()
        descriptor = self._file.fileno()
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)

    def isThere(self) -> bool:
        """Does its path, as far as can be seen, still lead to what is written here, and is that as long as it was?"""
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return os.path.samestat(there, os.fstat(self._file.fileno())) and there.st_size == self.size


class TextLines:
    """What is said, as text for people."""

    def __init__(self) -> None:
        self._stamp = Stamp()

    def event(self, event: LogEvent) -> bytes:
        """
        A log event; what has several lines is set in from the second on.

        Others' words may be in it: they cannot forge a line, nor do something to the terminal that shows it.
        """
        level: Any = event.get("log_level")
        said = "\n    ".join(harmless(line) for line in formatEvent(event).split("\n"))
        text = f"{self._stamp(event['log_time'])} {level.name if level else 'info'}: {said}\n"
        failure: Any = event.get("log_failure")
        if failure is not None:
            text += "".join(f"    {harmless(line)}\n" for line in failure.getTraceback().splitlines())
        return text.encode("utf-8", "backslashreplace")

    def message(self, message: Delivery) -> bytes:
        """A message that was first seen."""
        sender = message.sender
        return (
            f"{self._stamp(message.time)} message: {message.id}"
            f" from {sender.address if sender is not None else 'this peer'}"
            f" hops {message.hops} size {len(message.payload)}\n"
        ).encode()

    def summary(self, time: float, messages: int, size: int) -> bytes:
        """Messages that got no line each."""
        return f"{self._stamp(time)} message: and {messages} more in this second, {size} bytes\n".encode()

    def missing(self, time: float, lines: int) -> bytes:
        """Lines that could not be written."""
        return f"{self._stamp(time)} warn: {lines} lines are missing here: they could not be written\n".encode()


class JsonLines:
    """What is said, as one JSON object a line."""

    def __init__(self) -> None:
        self._stamp = Stamp()

    def event(self, event: LogEvent) -> bytes:
        """A log event with its fields."""
        level: Any = event.get("log_level")
        line: dict[str, Any] = {
            "time": self._stamp(event["log_time"]),
            "level": level.name if level else "info",
            "namespace": event.get("log_namespace"),
            "text": formatEvent(event),
        }
        failure: Any = event.get("log_failure")
        if failure is not None:
            line["traceback"] = failure.getTraceback()
        for key, value in event.items():
            if not key.startswith("log_") and key not in line and key not in LEGACY:
                line[key] = value if value is None or isinstance(value, (str, int, float)) else str(value)
        return self._line(line)

    def message(self, message: Delivery) -> bytes:
        """A message that was first seen."""
        sender = message.sender
        return self._line(
            {
                "time": self._stamp(message.time),
                "level": "message",
                "id": message.id,
                "from": sender.address if sender is not None else None,
                "hops": message.hops,
                "size": len(message.payload),
            }
        )

    def summary(self, time: float, messages: int, size: int) -> bytes:
        """Messages that got no line each."""
        return self._line({"time": self._stamp(time), "level": "message", "more": messages, "size": size})

    def missing(self, time: float, lines: int) -> bytes:
        """Lines that could not be written."""
        return self._line({"time": self._stamp(time), "level": "warn", "missingLines": lines})

    def _line(self, line: Mapping[str, Any]) -> bytes:
        try:
            return msgspec.json.encode(line) + b"\n"
        except UnicodeEncodeError:
            # Half a surrogate pair, of a file's name that is no text, say.
            plain = {key: _encodable(value) if isinstance(value, str) else value for key, value in line.items()}
            return msgspec.json.encode(plain) + b"\n"


def _encodable(text: str) -> str:
    """A text in which what UTF-8 cannot have is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


LEGACY = frozenset(["isError", "format", "message", "system", "time", "failure", "why"])
"""What observers of Twisted's old logger add to an event."""


LINES: Mapping[str, type[TextLines | JsonLines]] = {"text": TextLines, "json": JsonLines}
"""The formats, by the name that C{--log-format} takes."""


class MessageLines:
    """
    A line for each message, up to C{limit} in one second; one line then counts the others.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        lines: TextLines | JsonLines,
        write: Callable[[bytes], object],
        limit: int,
    ) -> None:
        self._reactor = reactor
        self._lines = lines
        self._write = write
        self._limit = limit
        self._second = -1
        self._left = limit
        self._more = self._size = 0
        self._timer: IDelayedCall | None = None

    def __call__(self, message: Delivery) -> None:
        """A message was first seen."""
        second = int(message.time)
        if second != self._second:
            self.flush()
            self._second = second
            self._left = self._limit
        if self._left > 0:
            self._left -= 1
            self._write(self._lines.message(message))
            return
        self._more += 1
        self._size += len(message.payload)
        if self._timer is None:
            self._timer = self._reactor.callLater(1.0, self._late)

    def flush(self) -> None:
        """Tell of the messages that were counted."""
        if self._more:
            self._write(self._lines.summary(self._second + 0.999, self._more, self._size))
            self._more = self._size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """No message came that would have ended the second."""
        self._timer = None
        self.flush()


@implementer(ILogObserver)
class LogFile(Service):
    """
    The log file as a service: open while it runs.

    @param node: whose messages are told, if it has any (a seed has none).
    @param complain: where the user is told, in one line, that the file cannot be written.
    """

    _log = Logger()
    name = "log"

    def __init__(
        self,
        reactor: Any,
        node: Any,
        directory: str,
        name: str,
        format: str,
        messagesPerSecond: int,
        complain: Callable[[str], object],
    ) -> None:
        self._node = node
        self._lines = lines = LINES[format]()
        seconds = reactor.seconds
        self._file = LineFile(
            directory, f"{name}.log", complain, seconds, lambda lost: lines.missing(seconds(), lost)
        )
        self._messages = MessageLines(reactor, lines, self._file.write, messagesPerSecond)
        self._open = False
        self._told = False
        self._seconds = seconds
        self._toldFull = float("-inf")
        self._unsubscribe: Callable[[], object] | None = None

    def privilegedStartService(self) -> None:
        """
        Open the file, so that what the node says of its start is in it.

        @raise OSError: it cannot be opened.
        """
        self._file.open()
        self._open = True
        globalLogPublisher.addObserver(self)
        subscribe = getattr(self._node, "subscribe", None)
        if subscribe is not None:
            self._unsubscribe = subscribe(self._messages)

    def startService(self) -> None:
        """Open the file, if it is not open yet."""
        if not self._open:
            self.privilegedStartService()
        super().startService()

    def stopService(self) -> None:
        """Close the file."""
        super().stopService()
        if self._open:
            self._open = False
            globalLogPublisher.removeObserver(self)
            if self._unsubscribe is not None:
                self._unsubscribe()
            self._messages.flush()
            self._file.close()

    def __call__(self, event: LogEvent) -> None:
        """Something was said through the logger."""
        level: Any = event.get("log_level", LogLevel.info)
        namespace = event.get("log_namespace") or ""
        if namespace == OBSERVERS:
            self._otherFailed(event)
            return
        if namespace == ACCEPTING and str(event.get("log_format")).startswith(NOT_ACCEPTED):
            self._notAccepted(event.get("acceptError", "EMFILE"))
        if level >= LogLevel.error or (level >= LogLevel.info and namespace.startswith("p2p.")):
            self._file.write(self._lines.event(event))

    def _notAccepted(self, why: str) -> None:
        """A caller could not be let in; Twisted tells of each in several lines, and not as an error."""
        now = self._seconds()
        if now - self._toldFull >= TOLD_AGAIN:
            self._toldFull = now
            remedy = "no file descriptor is left, raise the limit (ulimit -n, LimitNOFILE)"
            self._log.warn(
                "new connections cannot be taken: {why}", why=remedy if why in ("EMFILE", "ENFILE") else why
            )

    def _otherFailed(self, event: LogEvent) -> None:
        """
        Another observer could not take an event: what the daemon prints goes nowhere, say.

        Twisted tells of it at each event, with a traceback; here it is told once, in one line.
        """
        if not self._told:
            self._told = True
            failure: Any = event.get("log_failure")
            why = failure.getErrorMessage() if failure is not None else formatEvent(event)
            self._log.warn("what this daemon prints cannot be written: {why}; this file goes on", why=why)


class TwistdsLog:
    """
    What C{twistd} prints, in a file, where it runs in the background: as it would do it, but with a bound.

    It keeps all files that it has put aside.

    @ivar path: of the file, in this process: C{twistd} takes nothing but the name of what it calls.
    """

    path = ""

    @classmethod
    def observer(cls) -> ILogObserver:
        """Open the file."""
        directory, name = os.path.split(cls.path)
        file: Any = RotatedFile(name, directory or ".", TWISTDS_ROTATE_AT, maxRotatedFiles=KEPT)
        if not signal.getsignal(signal.SIGUSR1):
            from twisted.internet import reactor

            later: Any = reactor
            signal.signal(signal.SIGUSR1, lambda number, frame: later.callFromThread(file.rotate))
        return textFileLogObserver(file)
