"""
Events as server-sent events, for many listeners, none of whom can hold the node up.

An event is encoded once, whoever listens, and kept once for all who have not
read it; what happens in one turn of the reactor is written at once, but no
more than a client reads.  What waits for one that does not read is bounded;
then it is cut off.  So all that listeners can take is L{MAX_WAITING}, which
they share, and a few times L{PIECE} for each.  A comment goes out now and
then, so that both ends and whatever is between them see that the connection
lives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import msgspec
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from p2p.daemon.web import WebRequest
from p2p.events import Event, Events

HEARTBEAT = 15.0
"""Seconds between two comments."""

MAX_STREAMS = 64
"""Listeners at a time."""

MAX_WAITING = 16 * 2**20
"""Bytes that may wait for a client that does not read: more than the largest batch, which happens in one turn."""

PIECE = 2**17
"""Bytes that are written in one go: Twisted sends so many at once, and says then whether the client is behind."""


class TooManyStreams(Exception):
    """There is no room for another listener."""


class Streams:
    """All listeners of a node."""

    def __init__(self, reactor: Any, events: Events) -> None:
        self._reactor = reactor
        self._events = events
        self._streams: dict[Stream, None] = {}
        self._unsubscribe: Callable[[], None] | None = None
        self._beating: IDelayedCall | None = None
        self._writing: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, request: WebRequest, types: Collection[str]) -> None:
        """
        Answer a request with events from now on.

        @param types: of which types; all of them if it is empty.
        @raise TooManyStreams: there is no room.
        """
        if len(self._streams) >= MAX_STREAMS:
            raise TooManyStreams(f"{MAX_STREAMS} listen already")
        if request.method == b"HEAD":
            request.answerBytes(b"", b"text/event-stream")
            return
        stream = Stream(request, types)
        self._streams[stream] = None
        request.notifyFinish().addBoth(lambda _: self._gone(stream))
        if self._unsubscribe is None:
            self._unsubscribe = self._events.subscribe(self._happened)
            self._beating = self._reactor.callLater(HEARTBEAT, self._beat)
        stream.begin()

    def closeAll(self) -> None:
        """End all streams, after what was under way."""
        self._write()
        for stream in list(self._streams):
            stream.end()

    # Private.

    def _happened(self, event: Event) -> None:
        type = event["type"]
        interested = [stream for stream in self._streams if not stream.types or type in stream.types]
        if interested:
            text = b"event: %s\ndata: %s\n\n" % (type.encode(), msgspec.json.encode(event, enc_hook=str))
            self._add(text, interested)

    def _beat(self) -> None:
        self._beating = self._reactor.callLater(HEARTBEAT, self._beat)
        self._add(b": still here\n\n", list(self._streams))

    def _add(self, text: bytes, streams: list[Stream]) -> None:
        for stream in streams:
            stream.add(text)
        if self._writing is None:
            self._writing = self._reactor.callLater(0, self._write)

    def _write(self) -> None:
        if self._writing is not None and self._writing.active():
            self._writing.cancel()
        self._writing = None
        for stream in list(self._streams):
            stream.write()

    def _gone(self, stream: Stream) -> None:
        self._streams.pop(stream, None)
        if not self._streams and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            for call in (self._beating, self._writing):
                if call is not None and call.active():
                    call.cancel()
            self._beating = self._writing = None


@implementer(IPushProducer)
class Stream:
    """
    One listener.

    @ivar types: what it wants to hear of; everything if it is empty.
    """

    _log = Logger()

    def __init__(self, request: WebRequest, types: Collection[str]) -> None:
        self._request = request
        self.types = types
        self._waiting: deque[bytes | memoryview] = deque()
        self._size = 0
        self._paused = False
        self._ended = False

    def begin(self) -> None:
        """Send the head, and that this is the beginning."""
        request = self._request
        request.setHeader(b"Content-Type", b"text/event-stream")
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"X-Accel-Buffering", b"no")
        request.registerProducer(self, True)
        request.write(b": events from now on\n\n")

    def add(self, text: bytes) -> None:
        """Let C{text} wait to be written, or cut the client off if too much does."""
        if self._ended:
            return
        self._waiting.append(text)
        self._size += len(text)
        if self._size > MAX_WAITING and self._paused:
            self._ended = True
            self._waiting.clear()
            self._log.info("a client of /events was cut off: it did not read")
            self._request.unregisterProducer()
            self._request.channel.transport.abortConnection()

    def write(self) -> None:
        """Write what waits, until the client is behind."""
        while self._waiting and not self._paused and not self._ended:
            data = self._piece()
            self._size -= len(data)
            self._request.write(data)

    def _piece(self) -> bytes:
        """Take the next of what waits: all, or L{PIECE} bytes."""
        taken: list[bytes | memoryview] = []
        room = PIECE
        while self._waiting and room:
            text = self._waiting.popleft()
            if len(text) > room:
                rest = memoryview(text)
                text = rest[:room]
                self._waiting.appendleft(rest[room:])
            taken.append(text)
            room -= len(text)
        return b"".join(taken)

    def end(self) -> None:
        """No more events."""
        if not self._ended:
            self._ended = True
            self._request.unregisterProducer()
            self._request.finish()

    # What the transport calls, being full, empty, or gone.

    def pauseProducing(self) -> None:
        """The client is behind."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It has caught up."""
        self._paused = False
        self.write()

    def stopProducing(self) -> None:
        """It is gone."""
        self._ended = True
        self._waiting.clear()
