"""
Taking in HTTP requests: from whom, how large, how slowly, how many at a time.

Made of Twisted's HTTP protocol alone, without its resources and sessions,
which would load Perspective Broker with them.

Who may ask: over a UNIX socket, whoever may open it.  Over TCP, a page in
somebody's browser must not drive the daemon, neither by posting to it from
another site nor by giving its own name the address of this machine: so the
C{Host} must be an address or name of this one, and an C{Origin} the same.
Where there is a token, every request bears it.

What is refused is refused as early as it can be told.  If a body is then still
on its way, it is read and dropped for a moment, for the answer would be lost
if the connection were simply closed.

However many ask, one request is handled in each turn of the reactor, so that
the node goes on in between, and what is kept for all of them has bounds (see
L{p2p.daemon.room}).  A body is in memory, and no longer than it takes to
handle it: a request that waits for neighbours has none any more.
"""

from __future__ import annotations

import hmac
import re
from collections import deque
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import attrs
import msgspec
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request

from p2p.daemon.room import Room
from p2p.daemon.where import LOCAL_NAMES, hostName

REQUEST_TIME = 60
"""
Seconds from the end of one request, or the connection's begin, until the next must have come whole.

By then the answer to the one before has been read, too, or the connection ends.
"""

LINGER = 3.0
"""Seconds for which a body is dropped after its request was refused."""

MAX_CONNECTIONS = 256
"""Connections at a time."""

GRACE = 1.0
"""Seconds that connections have at the end to take what was written to them."""


MALFORMED = (
    "not a request of HTTP/1.0 or 1.1: its first line, a header or a chunk of its body is malformed,"
    f" or it has more than {HTTPChannel.maxHeaders} headers, or {HTTPChannel.totalHeadersSize} bytes before its body"
)
"""What is said of what Twisted takes for no request."""


class HttpError(Exception):
    """
    A request cannot be answered as it would like.

    @ivar status: the HTTP status.
    @ivar headers: that belong to it.
    @ivar details: further members of the JSON object, beside C{error}.
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[bytes, bytes] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.details = details or {}


@attrs.frozen
class Access:
    """
    Who may ask.

    @ivar token: what every request must bear; C{None} for nothing.
    @ivar names: further host names by which this machine is reached.
    """

    token: bytes | None = None
    names: frozenset[str] = frozenset()

    def check(self, request: Request) -> None:
        """
        Look at a request's headers.

        @raise HttpError: it may not ask.
        """
        local = request.channel.getHost()
        if isinstance(local, (IPv4Address, IPv6Address)):
            self._checkSite(request, local.host)
        if self.token is not None:
            scheme, _, given = (request.getHeader(b"authorization") or b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self.token):
                raise HttpError(401, "the token is missing or wrong", {b"WWW-Authenticate": b"Bearer"})

    def _checkSite(self, request: Request, local: str) -> None:
        hosts = request.requestHeaders.getRawHeaders(b"host") or []
        if len(hosts) != 1:
            raise HttpError(400, "there should be one Host header")
        host = hosts[0].decode("latin-1").lower()
        name = hostName(host)
        if name not in LOCAL_NAMES and name not in self.names and name != _canonical(local):
            raise HttpError(403, f"Host {host!r} is not this node")
        for origin in request.requestHeaders.getRawHeaders(b"origin") or []:
            if origin.decode("latin-1").lower() not in (f"http://{host}", f"https://{host}"):
                raise HttpError(403, "a page of another site may not ask")
        if (request.getHeader(b"sec-fetch-site") or b"none") not in (b"none", b"same-origin"):
            raise HttpError(403, "a page of another site may not ask")


def _canonical(host: str) -> str:
    """An address of this machine as L{hostName} would give it."""
    return hostName(f"[{host.partition('%')[0]}]" if ":" in host else host)


def _originForm(target: bytes) -> tuple[bytes, bytes | None]:
    """
    A request's target as path and query.

    @return: with the host and port that it names, which count instead of the C{Host} header's, if it is a whole URL,
        as it is for a proxy (RFC 9112, 3.2.2).
    """
    found = _ABSOLUTE.match(target)
    if found is None:
        return target, None
    rest = target[found.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest, found[1]


_ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)


def _json(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=str) + b"\n"


class WebRequest(Request):
    """
    A request, refused or answered.

    @ivar line: the request line as it came.
    """

    _log = Logger()
    channel: WebChannel
    line = b""
    refused = False
    _limit = 0

    def __init__(self, channel: WebChannel, queued: object = None) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)
        self._site = channel.site

    # What Twisted calls.

    def gotLength(self, length: int | None) -> None:
        """The headers are there: refuse a body that is too large, or one from somebody who may not ask."""
        self.content = self._body = BytesIO()
        # What Twisted fills in only when the body is there.
        self.method, target, self.clientproto = self.line.split(b" ", 2)
        self.uri, host = _originForm(target)
        if host is not None and len(self.requestHeaders.getRawHeaders(b"host") or []) == 1:
            self.requestHeaders.setRawHeaders(b"host", [host])
        if length == 0:
            return
        self._limit = self._site.limit(self.method, self.uri.partition(b"?")[0])
        try:
            self._site.access.check(self)
            self._checkSize(length or 0)
        except HttpError as error:
            self._refuse(error)

    def handleContentChunk(self, data: bytes) -> None:
        """A part of the body came."""
        if self.refused:
            return
        size = self._body.tell() + len(data)
        try:
            self._checkSize(size)
        except HttpError as error:
            self._refuse(error)
        else:
            self._site.bodies.take(self, size)
            self._body.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """It is here as a whole."""
        if not self.refused:
            super().requestReceived(command, self.uri, version)

    def process(self) -> None:
        """Answer, when it is its turn."""
        self._site.inTurn(self)

    def connectionLost(self, reason: Failure) -> None:
        """The caller is gone."""
        self.drop()
        super().connectionLost(reason)

    # What the site calls.

    def handle(self) -> None:
        """Answer now."""
        if self._disconnected:
            return
        try:
            self._site.access.check(self)
            self._site.answer(self)
        except HttpError as error:
            self.answerError(error)
        except Exception:
            self._log.failure("{method} {uri} failed", method=self.method, uri=self.uri)
            if not self.startedWriting:
                self.answerError(HttpError(500, "this is a fault of the program; its log tells more"))
            else:
                self.loseConnection()
        finally:
            self.drop()

    def drop(self) -> None:
        """The body is not needed any more."""
        self.content = self._body = BytesIO()
        self._site.bodies.take(self, 0)

    # What answers use.

    @property
    def body(self) -> bytes:
        """What came with the request; empty once it was handled."""
        return self._body.getvalue()

    def parameters(self, name: str) -> list[str]:
        """The values of a query parameter."""
        return [value.decode("utf-8", "replace") for value in self.args.get(name.encode(), [])]

    def parameter(self, name: str) -> str | None:
        """The last value of a query parameter."""
        values = self.parameters(name)
        return values[-1] if values else None

    def checkRoom(self, size: int) -> None:
        """
        Look whether an answer may have C{size} bytes.

        @raise HttpError: not before others have read theirs.
        """
        if not self._site.answers.has(self.channel, size):
            raise HttpError(503, "there is no room: others do not read their answers", {b"Retry-After": b"1"})

    def answer(self, value: object, status: int = 200) -> None:
        """Answer with JSON; see L{answerBytes}."""
        self.answerBytes(_json(value), b"application/json", status)

    def answerBytes(self, data: bytes, contentType: bytes, status: int = 200) -> None:
        """
        Answer with C{data}.

        @raise HttpError: there is no room for it, and as nothing was done yet but to ask, it may be asked for again.
            Whoever does something else looks for room before.
        """
        if self.method in (b"GET", b"HEAD"):
            self.checkRoom(len(data))
        self._write(data, contentType, status)
        self.finish()

    def answerError(self, error: HttpError) -> None:
        """Answer with an error."""
        for name, value in error.headers.items():
            self.setHeader(name, value)
        self._write(_json({"error": str(error), **error.details}), b"application/json", error.status)
        self.finish()

    # Private.

    def _write(self, data: bytes, contentType: bytes, status: int) -> None:
        self.setResponseCode(status)
        self.setHeader(b"Content-Type", contentType)
        self.setHeader(b"Content-Length", b"%d" % len(data))
        self.setHeader(b"Cache-Control", b"no-store")
        self.setHeader(b"X-Content-Type-Options", b"nosniff")
        self.write(data)
        self.channel.wrote(len(data))

    def _checkSize(self, size: int) -> None:
        if size > self._limit:
            raise HttpError(413, f"the body is larger than {self._limit} bytes")
        if not self._site.bodies.has(self, size):
            raise HttpError(503, "there is no room: others send large bodies, too", {b"Retry-After": b"1"})

    def _refuse(self, error: HttpError) -> None:
        """Answer while the body is still on its way, and take nothing more on this connection."""
        self.refused = True
        for name, value in {**error.headers, b"Connection": b"close"}.items():
            self.setHeader(name, value)
        self._write(_json({"error": str(error), **error.details}), b"application/json", error.status)
        self.channel.goDeaf()


class WebChannel(HTTPChannel):
    """
    A connection that requests come on.

    @ivar site: what it belongs to.
    """

    requestFactory = WebRequest  # type: ignore[assignment]
    transport: Any
    site: Site
    _deaf = False
    _lingering: IDelayedCall | None = None
    _answered: WebRequest | None = None
    _next: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Count it."""
        super().connectionMade()
        self.site.channels.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count it no more."""
        self.site.answers.take(self, 0)
        for call in (self._lingering, self._next):
            if call is not None and call.active():
                call.cancel()
        self._answered = None
        super().connectionLost(reason)
        self.site.gone(self)

    def lineReceived(self, line: bytes) -> None:
        """A request's first line, or a header."""
        before = len(self.requests)
        super().lineReceived(line)
        if len(self.requests) > before:
            self.requests[-1].line = line

    def headerReceived(self, line: bytes) -> bool:
        """A header; a length of more digits than Python reads is none."""
        try:
            return bool(super().headerReceived(line))
        except ValueError:
            self._respondToBadRequestAndDisconnect()
            return False

    def rawDataReceived(self, data: bytes) -> None:
        """
        A part of a body, or what comes while a request is being answered.

        Of the latter Twisted stops reading after some KiB, but not from a caller who does not read his answers: who
        sends without end would have it all kept.
        """
        if self._deaf:
            return
        super().rawDataReceived(data)
        if self._handlingRequest and self._waitingForTransport:
            self._networkProducer.pauseProducing()

    def requestDone(self, request: Any) -> None:
        """
        A request is answered: the one behind it waits for the reactor's next turn, and until the client has read.

        Whoever sends hundreds of requests at once would else have them all answered in one go, into memory.
        """
        self.setTimeout(REQUEST_TIME)
        if not self.persistent:
            super().requestDone(request)
            return
        self._answered = request
        self._goOn()

    def wrote(self, size: int) -> None:
        """So many bytes of an answer were written; they are kept if the connection is full with them."""
        if self._waitingForTransport:
            self.site.answers.take(self, size)

    def resumeProducing(self) -> None:
        """The client has read."""
        self.site.answers.take(self, 0)
        super().resumeProducing()
        self._goOn()

    def _goOn(self) -> None:
        if self._answered is not None and self._next is None:
            self._next = self.callLater(0, self._takeNext)

    def _takeNext(self) -> None:
        self._next = None
        if self._answered is not None and not self._waitingForTransport:
            request, self._answered = self._answered, None
            super().requestDone(request)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line is longer than all headers may be."""
        self._respondToBadRequestAndDisconnect()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """
        What has come is no request: say so, once, and take nothing more on this connection.

        Twisted's own answer is empty, and it has no public place for another.
        """
        if self._deaf:
            return
        body = _json({"error": MALFORMED})
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
            b"Cache-Control: no-store\r\nConnection: close\r\n\r\n%s" % (len(body), body)
        )
        self.setRawMode()
        self.goDeaf()

    def _send100Continue(self) -> None:
        """Ask for the body, unless it was refused already."""
        if not self._deaf:
            super()._send100Continue()

    def resetTimeout(self) -> None:
        """A request must come whole in time; that something comes is not enough."""

    def callLater(self, delay: float, act: Callable[[], object]) -> IDelayedCall:
        """What Twisted's time-outs use."""
        later: IDelayedCall = self.site.reactor.callLater(delay, act)
        return later

    def goDeaf(self) -> None:
        """Drop what has come of a request and what comes, and end the connection soon."""
        self._deaf = True
        for request in self.requests:
            request.drop()
        self.setTimeout(None)
        self._lingering = self.callLater(LINGER, self.transport.abortConnection)


class Site(Factory[WebChannel]):
    """
    All connections of an HTTP interface.

    @param answer: answers a request or raises L{HttpError}.
    @param limit: says how many bytes a body may have, by method and path.
    @ivar channels: the connections there are.
    @ivar bodies: room for what comes with requests.
    @ivar answers: room for what is not read yet.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        answer: Callable[[WebRequest], None],
        limit: Callable[[bytes, bytes], int],
        access: Access,
    ) -> None:
        self.reactor = reactor
        self.answer = answer
        self.limit = limit
        self.access = access
        self.channels: set[WebChannel] = set()
        self.bodies = Room()
        self.answers = Room()
        self._turn: IDelayedCall | None = None
        self._queue: deque[WebRequest] = deque()
        self._closing = False
        self._emptied: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> WebChannel | None:
        """Take a connection, if there is room."""
        if self._closing or len(self.channels) >= MAX_CONNECTIONS:
            return None
        channel = WebChannel()
        channel.factory = self
        channel.site = self
        channel.timeOut = REQUEST_TIME
        return channel

    def inTurn(self, request: WebRequest) -> None:
        """
        Have a request handled, one in each turn of the reactor.

        If all that came at once were handled at once, the node would be silent for seconds, and taken for dead.
        """
        self._queue.append(request)
        if self._turn is None:
            self._handleNext()

    def _handleNext(self) -> None:
        self._turn = None
        if self._queue:
            self._turn = self.reactor.callLater(0, self._handleNext)
            self._queue.popleft().handle()

    def log(self, request: WebRequest) -> None:
        """What Twisted calls for each request answered; nobody reads a list of them."""

    def gone(self, channel: WebChannel) -> None:
        """A connection has ended."""
        self.channels.discard(channel)
        if not self.channels:
            for emptied in self._emptied:
                emptied.callback(None)
            self._emptied.clear()

    def closeAll(self) -> Deferred[None]:
        """
        End all connections, and take no more.

        @return: fires when they are gone, after L{GRACE} seconds at the latest.
        """
        self._closing = True
        done: Deferred[None] = Deferred()
        if not self.channels:
            done.callback(None)
            return done
        self._emptied.append(done)
        for channel in list(self.channels):
            channel.loseConnection()
        overdue = self.reactor.callLater(GRACE, self._abortAll)

        def punctual(result: None) -> None:
            if overdue.active():
                overdue.cancel()

        return done.addCallback(punctual)

    def _abortAll(self) -> None:
        for channel in list(self.channels):
            channel.transport.abortConnection()
