"""
The HTTP interface of a node: what it answers to which request.

=======  ==================  ====================================================
GET      /status             who the node is, its counters
GET      /peers              whom it is linked to; a seed: who is active
POST     /messages           publish the body; answers 201 and the message's id;
                             C{?wait=SECONDS} for neighbours to take it over
POST     /messages/batch     publish many, one JSON string a line
GET      /messages           what was seen of late; C{?after=ID}, and C{?limit=N}
                             for the oldest or C{?last=N} for the latest
GET      /events             what happens, as server-sent events; C{?type=NAME}
GET      /metrics            for Prometheus
=======  ==================  ====================================================

An error is C{{"error": "..."}} with the fitting status.

How requests are taken in, and from whom, is in L{p2p.daemon.web}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure

from p2p.daemon.claim import socketIsLive
from p2p.daemon.streams import Streams, TooManyStreams
from p2p.daemon.web import Access, HttpError, Site, WebRequest
from p2p.daemon.where import Where, isLoopback
from p2p.numerals import readDecimal, readWhole

BATCH_LIMIT = 8 * 2**20
"""Bytes in the body of one batch, unless two of the largest payloads are more."""

BATCH_LINES = 10_000
"""Lines in one batch at most, each one message: publishing holds the node up for tens of microseconds each."""

ID_SIZE = 64
"""Bytes that a message's id has in an answer at most."""

SLICE = 2**18
"""
Bytes of a batch that are published in one go.

Only then does the node see whether its neighbours take them, and may be busy
for the rest.
"""

SLICE_MESSAGES = 1000
"""Messages that are published in one go at most: what is kept of one, and sent with it, is more than its payload."""

LONGEST_WAIT = 3600.0
"""Seconds that a request to publish may wait."""

PAGE = 1000
"""Messages told of in one answer at most: to make it takes some milliseconds, and it has less than 100 KB."""

OTHER_LIMIT = 2**16
"""Bytes in a body that nothing is made of."""

Answer = Callable[[WebRequest], object]


class NotLocal(ValueError):
    """The interface would be open to others, without a token; the message is one line."""


class Resources:
    """
    What a node answers.

    @param node: an L{INode<p2p.interfaces.INode>}; a peer also publishes.
    """

    def __init__(self, reactor: Any, node: Any) -> None:
        self._node = node
        self.streams = Streams(reactor, node.events)
        self._routes: dict[bytes, dict[bytes, Answer]] = {
            b"/status": {b"GET": lambda request: request.answer(self._node.status())},
            b"/peers": {b"GET": lambda request: request.answer(self._node.peers())},
            b"/events": {b"GET": self._events},
            b"/metrics": {b"GET": self._metrics},
        }
        if node.role == "peer":
            self._routes[b"/messages"] = {b"GET": self._recent, b"POST": self._publish}
            self._routes[b"/messages/batch"] = {b"POST": self._publishBatch}

    def limit(self, method: bytes, path: bytes) -> int:
        """How many bytes the body of such a request may have."""
        if method == b"POST" and self._node.role == "peer":
            largest: int = self._node.settings.maxPayload
            if path == b"/messages":
                return largest
            if path == b"/messages/batch":
                return max(BATCH_LIMIT, 2 * largest)
        return OTHER_LIMIT

    def answer(self, request: WebRequest) -> None:
        """
        Answer a request.

        @raise HttpError: it cannot be.
        """
        methods = self._routes.get(request.path)
        if methods is None:
            what = " on a seed" if self._node.role == "seed" and request.path.startswith(b"/messages") else ""
            raise HttpError(404, f"there is no {request.path.decode('ascii', 'replace')}{what}")
        answer = methods.get(b"GET" if request.method == b"HEAD" else request.method)
        if answer is None:
            allowed = sorted({*methods, b"HEAD"} if b"GET" in methods else methods)
            raise HttpError(
                405,
                f"{request.method.decode('ascii', 'replace')} is not for {request.path.decode('ascii')}",
                {b"Allow": b", ".join(allowed)},
            )
        answer(request)

    # Each a row of the table.

    def _publish(self, request: WebRequest) -> None:
        from p2p.peer.errors import Busy, NotRunning, PayloadTooLarge

        wait = request.parameter("wait")
        try:
            if wait is not None:
                self._confirm(request, _seconds("wait", wait))
                return
            id = self._node.publish(request.body)
        except PayloadTooLarge as error:
            raise HttpError(413, str(error)) from None
        except (Busy, NotRunning) as error:
            raise HttpError(503, str(error), {b"Retry-After": b"1"}) from None
        request.answer({"id": id}, 201)

    def _confirm(self, request: WebRequest, seconds: float) -> None:
        """Publish, and answer when neighbours have taken the message over."""
        from p2p.peer.errors import NotConfirmed

        closed: list[Failure] = []
        request.notifyFinish().addErrback(closed.append)

        def confirmed(result: Any) -> None:
            if not closed:
                request.answer({"id": result.id, "confirmed": result.neighbours, "sent": result.sent}, 201)

        def failed(failure: Failure) -> None:
            error = failure.trap(NotConfirmed) and failure.value
            if not closed:
                request.answerError(HttpError(504, str(error), details={"id": getattr(error, "id", None)}))

        self._node.publishConfirmed(request.body, seconds).addCallbacks(confirmed, failed)

    def _publishBatch(self, request: WebRequest) -> None:
        from p2p.peer.errors import Busy, NotRunning

        payloads = _payloads(request.body)
        largest: int = self._node.settings.maxPayload
        for number, payload in enumerate(payloads, 1):
            if len(payload) > largest:
                raise HttpError(413, f"message {number}: {len(payload)} bytes, {largest} at most; none was published")
        request.checkRoom(ID_SIZE * len(payloads))
        ids: list[str] = []
        try:
            for slice in _slices(payloads):
                with self._node.batch():
                    for payload in slice:
                        ids.append(self._node.publish(payload))
        except (Busy, NotRunning) as error:
            raise HttpError(503, str(error), {b"Retry-After": b"1"}, {"ids": ids}) from None
        request.answer({"ids": ids}, 201)

    def _recent(self, request: WebRequest) -> None:
        after, limit, last = map(request.parameter, ("after", "limit", "last"))
        if limit is not None and last is not None:
            raise HttpError(400, "limit is for the oldest, last for the latest: not both")
        wanted = slice(PAGE)
        if limit is not None:
            wanted = slice(_count("limit", limit))
        elif last is not None:
            wanted = slice(-_count("last", last), None)
        recent = self._node.recent()
        if after is not None:
            recent = recent[_place(recent, after) :]
        recent = recent[wanted]
        request.answer([{"id": d.id, "time": d.time, "hops": d.hops, "size": len(d.payload)} for d in recent])

    def _events(self, request: WebRequest) -> None:
        types = {name for value in request.parameters("type") for name in value.split(",") if name}
        unknown = sorted(types - self._node.events.types)
        if unknown:
            known = ", ".join(sorted(self._node.events.types))
            raise HttpError(400, f"type: a {self._node.role} has no event {unknown[0]!r}, only {known}")
        try:
            self.streams.open(request, types)
        except TooManyStreams as error:
            raise HttpError(503, str(error), {b"Retry-After": b"10"}) from None

    def _metrics(self, request: WebRequest) -> None:
        # Imported when they are first asked for: nobody pays for them who does not look.
        try:
            from p2p.daemon.metrics import CONTENT_TYPE, metrics
        except OSError as error:
            # No descriptor is left, say.
            why = f"what makes metrics cannot be read: {error.strerror}"
            raise HttpError(503, why, {b"Retry-After": b"1"}) from None

        request.answerBytes(metrics(self._node), CONTENT_TYPE)


def _seconds(name: str, text: str) -> float:
    """A time as a parameter of a request."""
    try:
        seconds = readDecimal(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= LONGEST_WAIT:
        raise HttpError(400, f"{name}: {text!r} is no number of seconds above 0 and up to {LONGEST_WAIT:g}")
    return seconds


def _count(name: str, text: str) -> int:
    """How many messages, as a parameter of a request."""
    try:
        count = readWhole(text)
    except ValueError:
        count = 0
    if not 1 <= count <= PAGE:
        raise HttpError(400, f"{name}: {text!r} is not a whole number from 1 to {PAGE}")
    return count


_string = msgspec.json.Decoder(str)


def _payloads(body: bytes) -> list[bytes]:
    """
    What the lines of a batch hold, one string each; empty lines are none.

    @raise HttpError: there are too many, which is looked at first, or one is no string.
    """
    count = body.count(b"\n") + (not body.endswith(b"\n"))
    if count > BATCH_LINES:
        raise HttpError(413, f"{count} lines, {BATCH_LINES} at most; none was published")
    payloads = []
    for number, line in enumerate(body.split(b"\n"), 1):
        try:
            if line.strip():
                payloads.append(_string.decode(line).encode())
        except (msgspec.DecodeError, UnicodeError) as error:
            raise HttpError(400, f"line {number}: {error}; none was published") from None
    return payloads


def _slices(payloads: list[bytes]) -> Iterator[list[bytes]]:
    """Payloads in their order, in pieces of about L{SLICE} bytes, or of L{SLICE_MESSAGES}."""
    slice: list[bytes] = []
    size = 0
    for payload in payloads:
        slice.append(payload)
        size += len(payload)
        if size >= SLICE or len(slice) >= SLICE_MESSAGES:
            yield slice
            slice, size = [], 0
    yield slice


def _place(recent: list[Any], id: str) -> int:
    """
    Where in a list of messages those begin that came after the one of that id; 0 if it is not among them.
    """
    try:
        sequence = readWhole(id.rpartition("-")[2])
    except ValueError:
        raise HttpError(400, f"after: {id!r} is not a message's id") from None
    for place in range(len(recent), 0, -1):
        message = recent[place - 1]
        if message.sequence == sequence and message.id == id:
            return place
    return 0


class HttpService(Service):
    """
    The HTTP interface as a service: listens while it runs.

    @param names: further host names that it is reached by.
    """

    name = "http"

    def __init__(
        self, reactor: Any, node: Any, where: Where, token: bytes | None, names: frozenset[str] = frozenset()
    ) -> None:
        self._reactor = reactor
        self._where = where
        self._token = token
        self._resources = Resources(reactor, node)
        self.site = Site(reactor, self._resources.answer, self._resources.limit, Access(token, names))
        self.port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """
        Listen.

        A socket that a killed daemon left behind is replaced; one on which
        somebody listens is not.

        @raise CannotListenError: the port or the socket is taken.
        @raise NotLocal: others could connect and there is no token.
        """
        path = self._where.path
        if path is not None and os.path.exists(path) and not socketIsLive(path):
            os.unlink(path)
        ports: list[IListeningPort] = []
        failures: list[Failure] = []
        listening = self._where.endpoint(self._reactor).listen(self.site)
        listening.addCallbacks(ports.append, failures.append)
        if failures:
            failures[0].raiseException()
        if not ports:
            listening.cancel()
            raise NotLocal(f"--http {self._where}: such an endpoint cannot be used here")
        self.port = ports[0]
        host = self.port.getHost()
        if self._token is None and isinstance(host, (IPv4Address, IPv6Address)) and not isLoopback(host.host):
            self.port.stopListening()
            raise NotLocal(f"--http {self._where}: others can connect there, so it needs --http-token-file")

    def startService(self) -> None:
        """Listen, if it is not done yet."""
        if self.port is None:
            self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop listening and end all connections.

        @return: fires when they are gone.
        """
        super().stopService()
        port, self.port = self.port, None
        self._resources.streams.closeAll()
        stopped: Deferred[None] = self.site.closeAll()
        if port is not None:
            done: Any = port.stopListening()
            if done is not None:
                stopped.addCallback(lambda _: done)
            stopped.addErrback(_removed)
        return stopped


def _removed(failure: Failure) -> None:
    """Somebody has removed the socket already."""
    failure.trap(FileNotFoundError)
