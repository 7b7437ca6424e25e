"""
One connection between two nodes, as a Twisted protocol.

The life of a connection:

 1. The dialler sends L{Hello}; the acceptor answers L{Welcome} or L{Close}.
    Until then only small frames are taken, and only for C{handshakeTimeout}.
 2. The link is I{open}: messages go both ways, each handed to the function
    that was named for its type when the link opened.
 3. Either side ends it with L{Close}.  Whoever sends it goes on reading until
    the other has closed too, so that nothing that was under way is lost;
    whoever receives it sends what is left and closes.
 4. A connection that ends without a L{Close} is I{lost}, which is evidence.

What is sent while bytes that came in are being handled is collected and
written once per link at the end (L{Turn}): a peer that receives two hundred
messages in one piece writes once to each neighbour, not two hundred times.

The end of a turn writes to the socket itself where that is possible, and leaves
to the transport only what the socket does not take (C{Link._write}).  That
spares the reactor a round at every hop of every message: over a loopback, a
round trip takes 45 microseconds instead of 75.

What a flood costs is what a frame costs that nobody needs any more, for most
are duplicates.  So one that comes alone and was met lately (L{codec.met
<p2p.wire.codec.met>}) goes from C{dataReceived} to its function directly, with
few objects touched on the way; C{Link._atOnce} is what may be called so.

Back-pressure: a link whose transport is full keeps its frames, one behind the
other in one buffer, so that what counts as kept is what it takes in memory.
One that keeps more than C{maxBacklog} bytes is cut off as
L{SLOW<p2p.wire.reasons.SLOW>}; so is one that gets more to keep when all links
of the node together keep too much.  And lest a piece full of questions be
answered at any length before that is seen, answers that have grown to more than
L{AT_ONCE} bytes are written, or kept, before the next question is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2p.address import Address
from p2p.identity import IDENTITY_SIZE
from p2p.wire import reasons
from p2p.wire.codec import MET_SIZE, Decoder, encode, met
from p2p.wire.errors import LocalProtocolError, RemoteProtocolError, checkReason
from p2p.wire.messages import AnyMessage, Close, Contact, line

if TYPE_CHECKING:
    from p2p.wire.factory import LinkFactory

Handler = Callable[[Any, Any, float], object]
"""What is called with a message, the link it came on, and the time."""

WriteNow = Callable[[bytes], int | Exception]
"""Writes what a socket takes at once, and tells how much that was."""

Handlers = Mapping[type, Handler]
"""What is called for each type of message; any other type may not come."""

Outlet = Callable[[bytes], object]
"""Where a link's bytes go at the end of a turn."""

NOBODY = Contact(bytes(IDENTITY_SIZE), "")
"""Who the other side of a link is before it has said so."""

AT_ONCE = 2**20
"""Bytes beyond which what a link has been answered is not collected any further in a turn."""

_NOTHING: Handlers = {}
_EMPTY = bytearray()


def _direct(transport: Any) -> WriteNow | None:
    """
    How to write to a transport's socket itself.

    @return: C{None} where it has none of its own, as in a simulation, or
        where what goes into the socket is not what is written: under TLS.
        Of a transport that has one, C{dataBuffer} and C{_tempDataLen} are what
        was written to it and not yet to the socket; the tests hold Twisted's
        TCP transport to that.
    """
    if not hasattr(type(transport), "writeSomeData") or getattr(transport, "TLS", False):
        return None
    write: WriteNow = transport.writeSomeData
    return write


def _drop(data: bytes) -> None:
    """Where bytes go for which it is too late, or too early."""


class State(Enum):
    """Where a link is in its life."""

    SHAKING = "shaking hands"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Turn:
    """
    One event being handled: what it sends is written at its end, once per link.

    Use it as a context; turns within a turn belong to the outermost.

    @ivar seconds: the node's clock.
    @ivar depth: how many turns are under way, one within the other.
    @ivar dirty: the links that have something to write.
    @ivar flushes: how often something was written.
    """

    __slots__ = ("depth", "dirty", "flushes", "seconds")

    _log = Logger()

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.depth = 0
        self.flushes = 0
        self.dirty: list[Link] = []

    def send(self, links: Iterable[Link], frame: bytes) -> None:
        """Send a message that is packed already to each of those links; on one that has ended, nothing happens."""
        dirty = self.dirty
        for link in links:
            pending = link._pending
            if pending is None:
                link._pending = frame
                dirty.append(link)
            elif isinstance(pending, list):
                pending.append(frame)
            else:
                link._pending = [pending, frame]
        if not self.depth:
            self.flush()

    def flush(self) -> None:
        """
        Write what was collected; what fails on one link does not disturb the others.

        A link that is cut off for what is written now ends within the turn: whoever is told of it and sends something
        to others in answer has done so before any of these is cut off for that.
        """
        self.depth += 1
        self.flushes += 1
        while dirty := self.dirty:
            self.dirty = []
            for link in dirty:
                pending = link._pending
                if pending is None:
                    # It was written already, or has ended.
                    continue
                link._pending = None
                try:
                    link._out(b"".join(pending) if isinstance(pending, list) else pending)
                except Exception:
                    self._log.failure("writing to {link} failed", link=link)
        self.depth -= 1

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *error: object) -> None:
        self.depth -= 1
        if not self.depth and self.dirty:
            self.flush()


@implementer(IPushProducer)
class Link(Protocol):
    """
    A connection; see the module's text.

    @ivar contact: who the other side is; L{NOBODY} until it has said so.
    @ivar outgoing: this side dialled.
    @ivar purpose: what the dialler wants, a word as in L{Hello}.
    @ivar urgent: the dialler says that it needs this link.
    @ivar heard: something came in; whoever watches for silence resets it.
    @ivar reason: a word of L{p2p.wire.reasons}: why it ended, or is about to; empty while it lives.
    @ivar detail: more of it, for the log.
    @ivar byOther: the other side ended it.
    @ivar faulty: it ended because the other side broke the protocol, and the log says so.
    @ivar others: whom the other side named when it closed the connection.
    @ivar unread: how many bytes waited here when this side cut the other off.
    @ivar pausedSince: since when the transport is full, the other side not reading; C{None} while it takes more.
    """

    __slots__ = (
        "_atOnce", "_decoder", "_deaf", "_handlers", "_kept", "_out", "_pending", "_timer", "_turn", "_writeNow",
        "byOther", "connected", "contact", "detail", "factory", "faulty", "heard", "others", "outgoing", "pausedSince",
        "purpose", "reason", "state", "transport", "unread", "urgent", "where",
    )  # fmt: skip

    _log = Logger()

    factory: LinkFactory
    transport: Any
    def __init__(self, factory: LinkFactory, purpose: str = "") -> None:
        """
        @param factory: what all links of this node have in common.
        @param purpose: for the dialler, what it wants.
        """
        self.factory = factory
        self.contact = NOBODY
        self.outgoing = bool(purpose)
        self.purpose = purpose
        self.urgent = False
        self.heard = True
        self.reason = ""
        self.detail = ""
        self.byOther = False
        self.faulty = False
        self.others: tuple[Contact, ...] = ()
        self.unread = 0
        self.pausedSince: float | None = None
        self.state = State.SHAKING
        self.where = "?"
        self._turn = factory.turn
        self._decoder = Decoder()
        self._handlers: Handlers = factory.shaking
        # The same, but none while the decoder keeps the beginning of a frame.
        self._atOnce: Handlers = factory.shaking
        self._deaf = False
        # What this turn has sent here: nothing, one frame, or several.
        self._pending: bytes | list[bytes] | None = None
        self._out: Outlet = _drop
        self._kept = _EMPTY
        self._writeNow: WriteNow | None = None
        self._timer: IDelayedCall | None = None

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Begin the handshake."""
        peer = self.transport.getPeer()
        self.where = str(Address.of(peer.host, peer.port))
        self.transport.setTcpNoDelay(True)
        self._writeNow = _direct(self.transport)
        self._route()
        self.transport.registerProducer(self, True)
        self.endAfter(self.factory.settings.handshakeTimeout)
        with self._turn:
            self.factory.linkMade(self)

    def dataReceived(self, data: bytes) -> None:
        """Hand each message that is now complete to its function."""
        message = met(data) if len(data) < MET_SIZE else None
        handler = self._atOnce.get(message.__class__)
        turn = self._turn
        turn.depth += 1
        try:
            if handler is not None:
                self.heard = True
                handler(message, self, turn.seconds())
            else:
                self._read(data)
        except RemoteProtocolError as error:
            self._misbehaved(error)
        except Exception:
            self._failed(message)
        finally:
            turn.depth -= 1
            if turn.dirty and not turn.depth:
                turn.flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the factory."""
        self._setTimer(None)
        self._takeKept()
        self._pending = None
        # Whoever has heard a Close is deaf from then on.
        waiting = self.state is State.CLOSING and not self._deaf
        broken = not reason.check(ConnectionDone, ConnectionAborted)
        with self._turn:
            try:
                # As it ends when the system ends it for a process that was killed: "cleanly" says too much of that.
                clean = reason.check(ConnectionDone) is not None
                self._end(reasons.LOST, "closed without a goodbye" if clean else reason.getErrorMessage())
            finally:
                self.state = State.CLOSED
                self._route()
                # Whoever remembers the link need not keep what came of a frame.
                self._decoder = Decoder()
                self.factory.linkGone(self)
            if waiting and (broken or (reason.check(ConnectionAborted) and not self.heard)):
                self.factory.unanswered(self)

    # What the transport calls, being full or empty.

    def pauseProducing(self) -> None:
        """Keep what is sent from now on."""
        if self.pausedSince is None:
            self.pausedSince = self._turn.seconds()
            self._route()

    def resumeProducing(self) -> None:
        """Write what was kept."""
        self.pausedSince = None
        self._route()
        if self._kept:
            self._write(self._takeKept())

    def stopProducing(self) -> None:
        """The connection is lost; C{connectionLost} says so too."""

    # What the rest of this program calls.

    @property
    def backlog(self) -> int:
        """Bytes that wait here, because the other side does not read."""
        return len(self._kept)

    @property
    def why(self) -> str:
        """Why it ended, for the log: the reason, and the detail if there is one."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason

    @property
    def arriving(self) -> int:
        """Bytes that have come of a message that is not complete yet."""
        return self._decoder.arriving

    def send(self, message: AnyMessage) -> None:
        """Send a message; on a link that has ended, nothing happens."""
        self.sendFrame(encode(message))

    def sendFrame(self, frame: bytes) -> None:
        """
        Send a message that is packed already; L{Turn.send} does it for several links.

        It is written at the end of the turn if the transport takes it; the link is cut off if too much has gathered.
        """
        self._turn.send((self,), frame)

    def opened(self, handlers: Handlers, limit: int) -> None:
        """
        The handshake is done.

        @param handlers: what to call for each type of message from now on.
        @param limit: the largest message to take, in bytes.
        """
        if self.state is not State.SHAKING:
            raise LocalProtocolError(f"opened while {self.state.value}")
        self.state = State.OPEN
        self._take(handlers)
        self._decoder.limit = limit
        self._setTimer(None)

    def endAfter(self, seconds: float | None) -> None:
        """
        Close the link as L{TIMEOUT<p2p.wire.reasons.TIMEOUT>} after so long.

        Until it is opened that is C{handshakeTimeout}; an open link lasts
        until somebody ends it, unless this is called again.

        @param seconds: C{None} for never.
        """
        if self.state is State.SHAKING or self.state is State.OPEN:
            self._setTimer(seconds, self._tooLong)

    def close(self, reason: str, detail: str = "", others: list[Contact] | None = None) -> None:
        """
        End the link politely: say why, and go on reading until the other side has closed too.

        @param others: whom the other side may try instead.
        @raise LocalProtocolError: that is no word to give as a reason.
        """
        checkReason(reason)
        if self.state is State.CLOSING or self.state is State.CLOSED:
            return
        self._last(encode(Close(reason, line(detail), others or [])))
        self._closing()
        self._end(reason, detail)
        # Anything that comes from now on is a sign of life, though it be no answer yet.
        self.heard = False

    def turnAway(self, reason: str, detail: str, wait: bool) -> None:
        """
        Close a connection that was just made.

        @param wait: read on until the other side has closed, as C{close} does.
        """
        self.close(reason, detail)
        if not wait:
            self._deafen()
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self, reason: str, detail: str = "") -> None:
        """End the link at once, whatever is under way."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSING
        self._route()
        self._deafen()
        self.unread = len(self._takeKept())
        self.transport.abortConnection()
        self._end(reason, detail)

    def __str__(self) -> str:
        return f"{'link to' if self.outgoing else 'connection from'} {self.where}"

    # Private.

    def _read(self, data: bytes) -> None:
        """Take a piece of the stream, whatever is in it."""
        if self._deaf:
            return
        self.heard = True
        now = self._turn.seconds()
        # Of what this turn sends here: how many frames have been weighed, and what they weigh.
        weighed = weight = 0
        for message in self._decoder.feed(data):
            handler = self._handlers.get(message.__class__)
            try:
                if handler is not None:
                    handler(message, self, now)
                elif isinstance(message, Close):
                    self._closedByOther(message)
                else:
                    raise RemoteProtocolError(
                        reasons.MALFORMED, f"{type(message).__name__} may not come while {self.state.value}"
                    )
            except RemoteProtocolError:
                raise
            except Exception:
                self._failed(message)
                return
            if self._pending is not None and isinstance(answers := self._pending, list):
                weight += sum(map(len, answers[weighed:]))
                weighed = len(answers)
                if weight > AT_ONCE:
                    weighed = weight = 0
                    self._last(b"")
        self._take(self._handlers)

    def _last(self, frame: bytes) -> None:
        """Write what this turn has sent here so far, and behind it the last that is sent; not at the turn's end."""
        pending, self._pending = self._pending, None
        data = (b"".join(pending) if isinstance(pending, list) else pending or b"") + frame
        if data:
            self._out(data)

    def _take(self, handlers: Handlers) -> None:
        """From now on these are called; at once, where a frame begins next."""
        self._handlers = handlers
        self._atOnce = _NOTHING if self._decoder.unfinished else handlers

    def _route(self) -> None:
        """Find out where bytes go: the link's state, or the transport's, has changed."""
        if self.state is State.CLOSING or self.state is State.CLOSED:
            self._out = _drop
        elif self.pausedSince is not None:
            self._out = self._keep
        elif self._writeNow is not None:
            self._out = self._write
        else:
            self._out = self.transport.write

    def _write(self, data: bytes) -> None:
        """
        Write to the socket, if nothing waits in the transport that comes before, and else to the transport.

        A socket nearly always takes everything at once.  What it does not take
        is the transport's to write, or to fail on; and so is all that follows,
        until that is written.
        """
        transport = self.transport
        if self._writeNow is not None and not transport.dataBuffer and not transport._tempDataLen:
            written = self._writeNow(data)
            if written == len(data):
                return
            if isinstance(written, int):
                data = data[written:]
        transport.write(data)

    def _closedByOther(self, message: Close) -> None:
        """L{Close} came: send what is left, and close."""
        if message.reason in reasons.UNSPOKEN:
            raise RemoteProtocolError(reasons.MALFORMED, f"{message.reason!r} is no reason to give")
        if self.state is not State.CLOSING:
            self.byOther = True
            self._last(b"")
            self._closing()
        self.others = tuple(message.others)
        self._deafen()
        # Whoever does not take it before C{goodbyeTimeout} is cut off.
        self.transport.unregisterProducer()
        if self._kept:
            # Behind what the transport still has.
            self.transport.write(self._takeKept())
        self.transport.loseConnection()
        self._end(message.reason, message.detail)

    def _keep(self, data: bytes) -> None:
        """Keep what the transport does not take; cut the link off if that is too much."""
        if self._kept:
            self._kept += data
        else:
            self._kept = bytearray(data)
        factory = self.factory
        factory.backlog += len(data)
        kept = len(self._kept)
        if kept > factory.settings.maxBacklog or factory.backlog > factory.maxBacklog:
            self._log.warn(
                "{link} does not read: cut off with {bytes} bytes unsent, of {all} on all links",
                link=self, bytes=kept, all=factory.backlog,
            )  # fmt: skip
            self.abort(reasons.SLOW, f"{kept} bytes unread")

    def _takeKept(self) -> bytes:
        """Keep nothing any more."""
        kept = bytes(self._kept)
        self._kept = _EMPTY
        self.factory.backlog -= len(kept)
        return kept

    def _misbehaved(self, error: RemoteProtocolError) -> None:
        """The other side broke the protocol: one line in the log, the reason to the other side, the end."""
        if self.state is not State.CLOSING:
            self.faulty = True
            self.factory.counters["misbehaved"] += 1
            # Whoever dials is told, and may dial again and again.
            dialled = self.outgoing and self.state is State.SHAKING
            log = self._log.debug if dialled else self._log.warn
            log(
                "{link} ended: {reason}: {detail}",
                link=self, reason=error.reason, detail=error.detail, misbehaved=True,
            )  # fmt: skip
        self.close(error.reason, error.detail)
        self._deafen()

    def _failed(self, message: AnyMessage | None) -> None:
        """
        This program has a fault: the log shows it, and the link ends, for that reason.

        What is broken now would stay so, and to end without a word would have the other side called dead.
        """
        self._log.failure("{link} ended: handling {type} failed", link=self, type=type(message).__name__)
        self.close(reasons.FAULT, f"a fault here in handling {type(message).__name__}")
        self._deafen()

    def _deafen(self) -> None:
        """Pass over whatever still comes, the rest of the piece in hand included."""
        self._deaf = True
        self._take(_NOTHING)

    def _closing(self) -> None:
        """From now on nothing is sent, and the end must come in time."""
        if self.state is State.SHAKING:
            self._take(self.factory.closing)
        self.state = State.CLOSING
        self._route()
        self._setTimer(self.factory.settings.goodbyeTimeout, self._closedTooLong)

    def _end(self, reason: str, detail: str) -> None:
        """The link is of no more use; the first reason is the one that counts."""
        if not self.reason:
            self.reason = reason
            self.detail = detail
            with self._turn:
                self.factory.linkEnded(self, self._turn.seconds())

    def _tooLong(self) -> None:
        self._timer = None
        self.close(reasons.TIMEOUT, "no word in time")

    def _closedTooLong(self) -> None:
        self._timer = None
        self.transport.abortConnection()

    def _setTimer(self, after: float | None, call: Callable[[], None] | None = None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if after is not None and call is not None:
            self._timer = self.factory.reactor.callLater(after, call)
