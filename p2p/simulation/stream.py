"""
The books of one direction of a connection, kept while something depends on them.

What is written waits in L{Stream._pending} until the kernel takes it, which is when a push producer is paused and a
pull producer asked for more. The kernel takes as much as the window allows: at most C{network.window} bytes may be
under way or unread at the other end at a time. It is cut into segments, each of which leaves as fast as the bandwidth
allows, arrives after the latency, and does not overtake. A lost segment is sent again after a time-out that doubles
each time, so loss is delay, and all behind it waits.

A path that lets nothing pass is different: the segments stay here, and are sent again at the first time-out after the
path is whole; after C{network.giveUp} seconds without an acknowledgement the connection is lost. The same happens if
only the way back is cut, for then data arrives but its acknowledgements do not.

Acknowledgements are events only when more than half the window is in use; before that nothing can depend on them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from twisted.python.failure import Failure

if TYPE_CHECKING:
    from p2p.simulation.faults import Path
    from p2p.simulation.tcp import Connection

SEGMENT_SIZE = 65536
"""The most bytes that a protocol gets in one call."""

BUFFER_SIZE = 65536
"""A push producer is paused when more than so many bytes wait for the kernel."""

FIRST_TIMEOUT = 0.2
"""Seconds, beside a round trip, after which a segment is sent again; doubled each time."""

LONGEST_TIMEOUT = 120.0
"""The most seconds between two attempts at sending a segment."""

Arrival = bytes | Callable[[], object]
"""What a segment brings: data, or something that happens there, like the end of the stream."""


class Ciphertext(bytes):
    """
    Bytes made by TLS, which are different in each run whatever the seed: left out of the digest.

    @cvar made: Whether there ever were any in this process.
    """

    made = False

    def __new__(cls, data: bytes) -> Ciphertext:
        """
        Mark some bytes.
        """
        cls.made = True
        return super().__new__(cls, data)


class Stream:
    """
    What one end of a connection has sent, and what became of it.

    @ivar size: How many bytes were written and not taken by the kernel yet.
    @ivar inFlight: How many bytes the kernel has taken that the other end has not read, as far as is known here.
    """

    __slots__ = (
        "_credit",
        "_held",
        "_offset",
        "_pending",
        "_since",
        "_stalled",
        "_unreadBefore",
        "connection",
        "inFlight",
        "size",
    )

    def __init__(self, connection: Connection, underWay: int) -> None:
        """
        @param underWay: How many bytes have been sent, and are not acknowledged, before there were books.
        """
        self.connection = connection
        self.inFlight = underWay
        self.size = 0
        self._pending: deque[bytes] = deque()
        self._offset = 0
        self._stalled: list[Arrival] = []
        self._since: float | None = None
        self._credit = 0
        self._held = False
        self._unreadBefore = 0
        if underWay:
            clock = connection.reactor.clock
            back = self._back
            when = max(clock.now, connection.arrival)
            clock.at(when + back.draw(), partial(self._arrivedBefore, underWay))

    def keptUnread(self, size: int) -> None:
        """
        So many of the bytes that were under way before there were books have arrived and are not read.
        """
        self._unreadBefore += size

    def _arrivedBefore(self, underWay: int) -> None:
        """
        All that was sent before there were books has arrived, and what was read of it is acknowledged.
        """
        self._credited(underWay - self._unreadBefore)

    # The path there, and that of the acknowledgements.

    @property
    def _there(self) -> Path:
        end = self.connection
        return end.reactor.network.faults.path(end.local[0], end.peer.local[0])

    @property
    def _back(self) -> Path:
        end = self.connection
        return end.reactor.network.faults.path(end.peer.local[0], end.local[0])

    # Sending.

    def write(self, data: bytes) -> None:
        """
        Send bytes, or keep them until that is possible.
        """
        self._pending.append(data)
        self.size += len(data)
        self._pump()
        if self.size:
            self.connection.pauseProducerIfFull(self.size)

    def control(self, happens: Callable[[], object]) -> None:
        """
        Send something that is not data, in order with it. All data must have been taken by the kernel.
        """
        self._send(happens)

    def forget(self) -> None:
        """
        Drop all that has not been sent.
        """
        self._pending.clear()
        self._stalled.clear()
        self._since = None
        self.size = self._offset = 0

    def takeBack(self, stalled: int) -> None:
        """
        Forget the last so many segments that are stalled: the kernel was never given them.
        """
        del self._stalled[max(0, len(self._stalled) - stalled) :]

    def close(self) -> None:
        """
        The program has let go of the connection; what the kernel has taken is sent all the same.
        """
        self._pending.clear()
        self.size = self._offset = 0

    def _pump(self) -> None:
        """
        Let the kernel take what it can.
        """
        if not self.size:
            return
        window = self.connection.reactor.network.window
        while self.size and self.inFlight < window:
            self._send(self._cut(min(SEGMENT_SIZE, window - self.inFlight)))
        if not self.size and self.connection.wantsMore():
            self.connection.soon()

    def _cut(self, most: int) -> bytes:
        """
        Take the next segment off what is pending.
        """
        network = self.connection.reactor.network
        if network.fuzz and network.fuzzing.random() < 0.5:
            most = network.fuzzing.randint(1, min(most, self.size))
        pending, offset = self._pending, self._offset
        pieces = []
        while pending and most:
            first = pending[0]
            if len(first) - offset <= most:
                pieces.append(first[offset:] if offset else first)
                pending.popleft()
                offset = 0
            else:
                pieces.append(first[offset : offset + most])
                offset += most
            most -= len(pieces[-1])
        self._offset = offset
        segment = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.size -= len(segment)
        return segment

    def _send(self, segment: Arrival) -> None:
        if not callable(segment):
            self.inFlight += len(segment)
        if self._stalled or not self._there.passing:
            self._stall(segment)
        else:
            self._transmit(segment)
            if not self._back.passing:
                self._waitForPath()

    def _stall(self, segment: Arrival) -> None:
        self._stalled.append(segment)
        if not callable(segment):
            self.connection.noteSent(inf, 0, len(segment))
        self._waitForPath()

    def _transmit(self, segment: Arrival) -> None:
        end = self.connection
        network, clock, path = end.reactor.network, end.reactor.clock, self._there
        latency = path.draw()
        if network.fuzz:
            latency *= 1.0 + 0.5 * network.fuzzing.random()
        when = path.departure(clock.now, 0 if callable(segment) else len(segment)) + latency
        if path.loss:
            timeout = FIRST_TIMEOUT + 2 * latency
            while network.chance.random() < path.loss:
                when += timeout
                timeout = min(2 * timeout, LONGEST_TIMEOUT)
                if when > clock.now + network.giveUp:
                    self._stall(segment)
                    return
        when = end.arrivalAfter(when)
        if callable(segment):
            clock.at(when, segment)
        else:
            clock.at(when, self, Ciphertext(segment) if end.ciphered else segment)
            end.noteSent(when, clock.number, len(segment))

    # Arriving there.

    @property
    def reader(self) -> Stream:
        """
        Who takes a segment of this stream when it arrives: this object.
        """
        return self

    @property
    def serial(self) -> int:
        """
        Which end of a connection the segment arrives at.
        """
        return self.connection.peer.serial

    def dataReceived(self, data: bytes) -> None:
        """
        A segment has arrived at the other end.
        """
        peer = self.connection.peer
        if self.connection.stream is not self:
            peer.dataReceived(data)  # The books were closed meanwhile.
        elif peer.keeps or peer.disconnected or not peer.reactor.host.up:
            peer.take(data)
        else:
            try:
                peer.reader.dataReceived(data)
            finally:
                self.consumed(len(data))

    def failed(self, failure: Failure) -> None:
        """
        The protocol at the other end raised an exception.
        """
        self.connection.peer.failed(failure)

    # Acknowledgements.

    def consumed(self, size: int) -> None:
        """
        The other end has read some bytes, and its kernel says so.
        """
        if self.connection.stream is not self:
            return
        self._credit += size
        if not self._back.passing:
            return
        credit, self._credit = self._credit, 0
        end = self.connection
        if not self.size and self.inFlight * 2 <= end.reactor.network.window:
            self._credited(credit)
        else:
            clock = end.reactor.clock
            clock.at(clock.now + self._back.draw(), partial(self._credited, credit))

    def _credited(self, size: int) -> None:
        end = self.connection
        if end.stream is not self:
            return
        self.inFlight -= size
        self._pump()
        if self._since is None and not self.size and self.inFlight <= end.reactor.network.chunk:
            end.relax()

    # A path that lets nothing pass.

    def _waitForPath(self) -> None:
        """
        Note since when something is not acknowledged, and when to give up.
        """
        self._held = self._there.held
        if self._since is None:
            clock = self.connection.reactor.clock
            self._since = clock.now
            clock.at(clock.now + self.connection.reactor.network.giveUp, partial(self._giveUp, clock.now))

    def pathChanged(self) -> None:
        """
        See whether what is not acknowledged can be sent again, and when.
        """
        end = self.connection
        clock = end.reactor.clock
        there = self._there
        if self._since is None:
            if not self._back.passing and self.inFlight:
                self._waitForPath()
            elif not self.size and self.inFlight <= end.reactor.network.chunk:
                end.relax()
            return
        if not there.passing:
            self._held = there.held
            return
        if self._held:
            self._retry(self._since)
            return
        # The kernel tries again after one time-out, then two, four, ... counted from the first attempt.
        when, timeout = self._since, FIRST_TIMEOUT
        while when <= clock.now:
            when += timeout
            timeout = min(2 * timeout, LONGEST_TIMEOUT)
        clock.at(when, partial(self._retry, self._since))

    def _retry(self, since: float) -> None:
        if self._since != since or not self._there.passing:
            return
        stalled, self._stalled = self._stalled, []
        if self._back.passing:
            self._since = None
        for segment in stalled:
            self._transmit(segment)
        if self._since is None and self._credit:
            self.consumed(0)

    def _giveUp(self, since: float) -> None:
        if self._since == since:
            self.forget()
            self.connection.timedOut()

    def __repr__(self) -> str:
        """
        Say how full the window is.
        """
        return f"<Stream of {self.connection!r}: {self.inFlight} under way, {self.size} waiting>"
