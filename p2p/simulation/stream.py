"""
The books of one direction of a connection, kept while something depends on them.

What is written waits in L{Stream._pending} until the kernel takes it, which is when a push producer is paused and a
pull producer asked for more. The kernel takes as much as the window allows: at most C{network.window} bytes may be
under way or unread at the other end at a time. It is cut into segments, and each goes through these steps:

 1. It is handed to the L{Path<p2p.simulation.path.Path>}, and leaves as fast as the bandwidth allows. What becomes of
    it is found out when it has left, from what the path is like then.
 2. If it is lost, it is sent again after a time-out that doubles each time, from step 1. So loss is delay.
 3. If the path lets nothing pass, it is stalled. All stalled segments are sent again, from step 1, at the first
    time-out after the path is whole; what is taken until then is stalled, too.
 4. If the path is held, it has left all the same, and waits somewhere on the way until the path is released.
 5. Otherwise it arrives after the latency. As nothing overtakes, the other end keeps what is there too early until all
    before it has come.

A segment is in L{Stream._kept} until it is certain when it arrives: until it, and all before it, have left and are not
lost. If the connection ends before that, or the machine, so does the segment.

After C{network.giveUp} seconds without an acknowledgement the connection is lost. The same happens if only the way back
is cut, for then data arrives but its acknowledgements do not.

Acknowledgements are events only when more than half the window is in use; before that nothing can depend on them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import dropwhile
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING

from twisted.python.failure import Failure

if TYPE_CHECKING:
    from p2p.simulation.path import Path
    from p2p.simulation.tcp import Connection

SEGMENT_SIZE = 65536
"""The most bytes that a protocol gets in one call."""

PACKET_SIZE = 1448
"""Bytes of data in an Ethernet frame: where the bandwidth is limited, the least that a piece of more is cut to."""

PACKET_TIME = 0.01
"""
Seconds that a segment takes at most to leave where the bandwidth is limited, unless it is no longer than a packet.

So what comes slowly comes bit by bit, as it does in reality: it can be seen that something comes.
"""

BUFFER_SIZE = 65536
"""
A push producer is paused when more than so many bytes wait for the kernel.

Twisted also pauses one that writes so many in one turn, though the kernel will take them: nobody counts that here, as
it would have to be done for each write.
"""

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


class Segment:
    """
    What the kernel has taken at once, until it is known when that arrives.

    @ivar stream: What it belongs to; L{None} once it is not to be sent any more.
    @ivar brings: The data, or what happens there.
    @ivar size: How many bytes it has.
    @ivar arrival: When it arrives if nothing before it is late, in virtual seconds; infinity while that is not known.
    @ivar number: Of the event that is its arrival; 0 while there is none.
    @ivar held: Whether it is on its way, and kept there by a path that is held.
    @ivar lostAt: When it was lost for the first time, or L{None}.
    @ivar timeout: After how many seconds it was, or will be, sent again last.
    """

    __slots__ = ("arrival", "brings", "held", "lostAt", "number", "size", "stream", "timeout")

    def __init__(self, stream: Stream, brings: Arrival) -> None:
        self.stream: Stream | None = stream
        self.brings = brings
        self.size = 0 if callable(brings) else len(brings)
        self.arrival = inf
        self.number = 0
        self.held = False
        self.lostAt: float | None = None
        self.timeout = 0.0

    def leave(self, path: Path) -> None:
        """
        Its last byte has left.
        """
        assert self.stream is not None
        self.stream.left(self, path)

    def released(self, arrival: float) -> None:
        """
        The path that held it is so no more, and it arrives.
        """
        if self.stream is not None:
            self.stream.arrives(self, arrival)

    def takeBack(self) -> None:
        """
        Forget it: the kernel was never given it.
        """
        if self.stream is not None:
            self.stream.takeBack(self)


class Stream:
    """
    What one end of a connection has sent, and what became of it.

    @ivar size: How many bytes were written and not taken by the kernel yet.
    @ivar inFlight: How many bytes the kernel has taken that the other end has not read, as far as is known here.
    """

    __slots__ = (
        "_back",
        "_credit",
        "_held",
        "_kept",
        "_muted",
        "_offset",
        "_pending",
        "_since",
        "_stalled",
        "_there",
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
        self._kept: deque[Segment] = deque()
        self._stalled: list[Segment] = []
        self._since: float | None = None
        self._credit = 0
        self._held = False
        self._muted = False
        self._unreadBefore = 0
        self._findPaths()
        if underWay:
            clock = connection.reactor.clock
            when = max(clock.now, connection.arrival)
            clock.at(when + self._back.draw(), partial(self._arrivedBefore, underWay))

    def _findPaths(self) -> None:
        """
        Find the path there, and that of the acknowledgements.
        """
        end = self.connection
        here, there, faults = end.local[0], end.peer.local[0], end.reactor.network.faults
        self._there: Path = faults.path(here, there)
        self._back: Path = faults.path(there, here)

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

    @property
    def inLine(self) -> bool:
        """
        Whether something waits for bandwidth or was lost, and what is sent now comes after it.
        """
        return bool(self._kept) and not self._stalled

    def forget(self) -> None:
        """
        Drop all that is not certain to arrive: what has not left, and what is behind it.
        """
        self._pending.clear()
        self._stalled.clear()
        self._since = None
        self.size = self._offset = 0
        if self._kept:
            self._drop(list(dropwhile(attrgetter("held"), self._kept)))

    def takeBack(self, segment: Segment) -> None:
        """
        Forget a segment: the kernel was never given it.
        """
        if not segment.number:
            self._drop([segment])
        elif not self.connection.reactor.clock.withdraw(segment.arrival, segment.number):
            return
        self.inFlight -= segment.size

    def _drop(self, segments: list[Segment]) -> None:
        for segment in segments:
            segment.stream = None
            self._kept.remove(segment)
            if segment in self._stalled:
                self._stalled.remove(segment)
        self._there.withdraw(frozenset(segments))

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
        window = self.connection.reactor.network.window
        while self.size and self.inFlight < window:
            self._send(self._cut(min(self._most(), window - self.inFlight)))
        if not self.size and self.connection.wantsMore():
            self.connection.soon()

    def _most(self) -> int:
        """
        How many bytes make a segment at most, as long as the bandwidth is what it is.
        """
        bandwidth = self._there.bandwidth
        if bandwidth is None:
            return SEGMENT_SIZE
        return max(PACKET_SIZE, min(SEGMENT_SIZE, int(PACKET_TIME * bandwidth)))

    def _goOn(self) -> None:
        """
        Let the kernel take what it has room for now, unless the process is stopped.
        """
        if self.connection.reactor.host.held is None:
            self._pump()

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

    def _send(self, brings: Arrival) -> None:
        end = self.connection
        if not callable(brings) and end.ciphered:
            brings = Ciphertext(brings)
        segment = Segment(self, brings)
        if segment.size:
            self.inFlight += segment.size
            end.noteSent(segment.takeBack)
        self._kept.append(segment)
        there = self._there
        if self._stalled or not there.passing:
            self._stall(segment)
        else:
            there.send(segment)
            if not self._back.passing:
                self._waitForPath()

    def left(self, segment: Segment, path: Path) -> None:
        """
        The last byte of a segment has left: see whether it arrives.
        """
        if not path.passing:
            self._stall(segment)
            return
        network = self.connection.reactor.network
        latency = path.draw()
        if network.fuzz:
            latency *= 1.0 + 0.5 * network.fuzzing.random()
        if path.loss and network.chance.random() < path.loss:
            self._lost(segment, latency)
            return
        self.arrives(segment, network.clock.now + latency)

    def arrives(self, segment: Segment, arrival: float) -> None:
        """
        It is known when a segment arrives: put that on the queue, and the arrival of those behind it that wait for this
        one only, unless it has to wait for one itself.
        """
        segment.arrival = arrival
        kept, end = self._kept, self.connection
        clock = end.reactor.clock
        while kept and kept[0].arrival < inf:
            first = kept.popleft()
            brings = first.brings
            first.arrival = when = end.arrivalAfter(first.arrival)
            if callable(brings):
                clock.at(when, brings)
            else:
                clock.at(when, self, brings)
            first.number = clock.number
            first.brings = b""  # The queue has it now.

    def _lost(self, segment: Segment, latency: float) -> None:
        """
        Send a segment again after a while, or give up.
        """
        network = self.connection.reactor.network
        clock = network.clock
        if segment.lostAt is None:
            segment.lostAt = clock.now
            segment.timeout = FIRST_TIMEOUT + 2 * latency
        else:
            segment.timeout = min(2 * segment.timeout, LONGEST_TIMEOUT)
        end = segment.lostAt + network.giveUp
        if clock.now + segment.timeout <= end:
            clock.at(clock.now + segment.timeout, partial(self._sendAgain, segment))
        else:
            clock.at(max(clock.now, end), partial(self._giveUpOn, segment))

    def _sendAgain(self, segment: Segment) -> None:
        if segment.stream is not None:
            there = self._there
            if there.passing:
                there.send(segment)
            else:
                self._stall(segment)

    def _stall(self, segment: Segment) -> None:
        there = self._there
        if there.held and there.bandwidth is None:
            segment.held = True
            there.waiting.append(segment.released)
        else:
            self._stalled.append(segment)
        self._waitForPath(segment.lostAt)

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
        if self.size:
            self._goOn()
        if self._since is None:
            self._relax()

    def _relax(self) -> None:
        """
        Close the books, if nothing is in them and the connection is plain.
        """
        end = self.connection
        if self._there.plain and not (self.size or self._kept) and self.inFlight <= end.reactor.network.chunk:
            end.relax()

    # A path that lets nothing pass.

    def _waitForPath(self, since: float | None = None) -> None:
        """
        Note since when something is not acknowledged, and when to give up.

        @param since: When it was sent first, L{None} for now.
        """
        self._held = self._there.held or self._back.held
        if self._since is None:
            self._muted = False
            network = self.connection.reactor.network
            clock = network.clock
            self._since = since = clock.now if since is None else since
            clock.at(max(clock.now, since + network.giveUp), partial(self._giveUpIf, since))
        self._seeWhetherMuted()

    def _seeWhetherMuted(self) -> None:
        """
        Note it if acknowledgements are lost now: they are not sent again before something arrives again.
        """
        if not (self._back.passing or self._back.held):
            self._muted = True

    def pathChanged(self) -> None:
        """
        See whether what is not acknowledged can be sent again, and when.
        """
        self._findPaths()
        if self.size:
            self._goOn()
        there = self._there
        held, self._held = self._held, there.held or self._back.held
        if self._since is None:
            if not self._back.passing and self.inFlight:
                self._waitForPath()
            else:
                self._relax()
            return
        self._seeWhetherMuted()
        if not there.passing:
            if self._back.passing and not (self._kept or self._muted):
                # A hold has released all that was sent, and nothing keeps back or has lost its acknowledgements.
                self._since = None
                if self._credit:
                    self.consumed(0)
            return
        if held:
            self._retry(self._since)
            return
        # The kernel tries again after one time-out, then two, four, ... counted from the first attempt.
        clock = self.connection.reactor.clock
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
        there = self._there
        for segment in stalled:
            there.send(segment)
        if self._since is None and self._credit:
            self.consumed(0)

    def _giveUpIf(self, since: float) -> None:
        if self._since == since:
            self._giveUp()

    def _giveUpOn(self, segment: Segment) -> None:
        if segment.stream is not None:
            self._giveUp()

    def _giveUp(self) -> None:
        self.forget()
        self.connection.timedOut()

    def __repr__(self) -> str:
        """
        Say how full the window is.
        """
        return f"<Stream of {self.connection!r}: {self.inFlight} under way, {self.size} waiting>"
