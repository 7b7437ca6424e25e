"""
One end of a simulated TCP connection: the transport that a protocol is given.

Two ends know each other. What one writes becomes, in the plain case, one event for the other after the latency of the
path, and that is all: no acknowledgement, no buffer, no window, because nothing would depend on them. The plain case is
recognised by one comparison. L{Connection._room} is how many bytes may still be written without a thought; it is
negative whenever there is something to think of (a fault on the path, a reader that does not read, a pull producer,
TLS, a closing connection), and it runs out when a lot is written within one latency. Then L{_writeSlowly} takes over,
and in the end a L{Stream<p2p.simulation.stream.Stream>}, which keeps books as a kernel does, until the connection is
plain again.

The receiving end is as short: the loop calls C{end.reader.dataReceived}, and C{reader} is the protocol as long as it
reads, or else this object, which then decides what a kernel would do with the data.

Two writes at one instant travel as one segment, as they do when a program writes twice before its reactor returns to
the kernel: the event that waits already is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet import endpoints, error
from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    ILoggingContext,
    IProducer,
    IProtocol,
    IPushProducer,
    ITCPTransport,
    ITLSTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from p2p.simulation import tls
from p2p.simulation.clock import LOGGED
from p2p.simulation.stream import BUFFER_SIZE, Arrival, Stream

if TYPE_CHECKING:
    from p2p.simulation.listening import Connector
    from p2p.simulation.reactor import SimulatedReactor

Where = tuple[str, int]

FUSED_SIZE = 8192
"""A waiting segment takes further writes of the same instant until it holds so many bytes."""


@implementer(ITLSTransport, ITCPTransport, IConsumer, IPushProducer, ILoggingContext)
class Connection:
    """
    A transport, as C{connectTCP} and C{listenTCP} hand it to protocols.

    @ivar peer: The other end.
    @ivar serial: A number that tells this end from all others of the network.
    @ivar reader: Who gets arriving data: the protocol, or this object while something is in the way.
    @ivar inbox: What has arrived and is not read, oldest first; L{None} while the protocol reads at once.
    @ivar unread: How many bytes of that, or of what a stopped process will find, the sender's books wait for.
    @ivar reading: Whether the protocol wants to read, now or as soon as it is there.
    @ivar halfOpen: While it is not certain that the third packet of the handshake arrives at this end: the time and
        number of the event that gives it up.
    @ivar givenUp: Whether that has happened.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_arrival",
        "_clock",
        "_draw",
        "_epoch",
        "_number",
        "_protocol",
        "_room",
        "_writeClosed",
        "_writeClosing",
        "_wroteAt",
        "connected",
        "connector",
        "disconnected",
        "disconnecting",
        "inbox",
        "local",
        "peer",
        "producer",
        "producerPaused",
        "reactor",
        "reader",
        "reading",
        "serial",
        "stream",
        "streamingProducer",
        "unread",
    )

    TLS = False
    halfOpen: tuple[float, int] | None = None
    givenUp = False
    _noDelay = False
    _keepAlive = False
    _aborting = False
    _broken: Failure | None = None
    _late = 0
    _readEnded = False
    _writesSoon = False
    _turn = -1.0
    _sent: list[Callable[[], object]]

    peer: Connection
    reader: Any

    def __init__(self, reactor: SimulatedReactor, local: Where, connector: Connector | None = None) -> None:
        self.reactor = reactor
        self.local = local
        self.connector = connector
        self._clock = reactor.clock
        self.serial = reactor.network.nextSerial()
        self._protocol: Any = None
        self.reader = self
        self.inbox: list[Arrival] | None = []
        self.reading = True
        self.unread = 0
        self.stream: Stream | None = None
        self.producer: Any = None
        self.streamingProducer = False
        self.producerPaused = False
        self.connected = 0
        self.disconnected = 0
        self.disconnecting = 0
        self._writeClosing = False
        self._writeClosed = False
        self._room = -1
        self._wroteAt = self._arrival = self._epoch = -1.0
        self._number = 0

    def join(self, peer: Connection) -> None:
        """
        Make two ends one connection, as far as their kernels are concerned.
        """
        self.peer = peer
        peer.peer = self
        for end in (self, peer):
            end.connected = 1
            end.reactor.host.ends[end] = None
        self.reconsider()
        peer.reconsider()

    # Writing.

    def write(self, data: bytes) -> None:
        """
        See L{ITransport.write<twisted.internet.interfaces.ITransport.write>}.
        """
        room = self._room - len(data)
        if room < 0 or not data or data.__class__ is not bytes:
            self._writeSlowly(data)
            return
        clock = self._clock
        now = clock.now
        if now == self._wroteAt:
            if clock.amend(self._arrival, self._number, data, FUSED_SIZE):
                self._room = room
                return
            self.noteSent(partial(self._clock.withdraw, self._arrival, self._number))
        self._room = room
        self._wroteAt = now
        when = now + self._draw()
        if when < self._arrival:
            when = self._arrival  # Nothing overtakes on one connection.
        else:
            self._arrival = when
        clock.number = self._number = number = clock.number + 1
        slot = int(when * clock.slotsPerSecond)
        try:
            clock.buckets[slot].append((when, number, self.peer, data))
        except KeyError:
            clock.place(slot, (when, number, self.peer, data))

    def _writeSlowly(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if self.TLS:
            if self.connected:
                self._protocol.write(data)
        else:
            self.writePlain(data)

    def writePlain(self, data: bytes) -> None:
        """
        Write bytes that are to go onto the wire as they are, below TLS if there is any.
        """
        if not self.connected or self._writeClosed or self._aborting or not data:
            return
        if self._broken is not None:
            self.soon()
            return
        if self.stream is None:
            chunk = self.reactor.network.chunk
            if self._room >= 0 and self._epoch <= self._clock.now and len(data) <= chunk:
                # Less than two chunks are under way: as good as none.
                self._epoch = self._arrival
                self._room = chunk
                self.write(bytes(data))
                return
            self._engage()
        assert self.stream is not None
        self.stream.write(bytes(data))

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        See L{ITransport.writeSequence<twisted.internet.interfaces.ITransport.writeSequence>}.
        """
        self.write(b"".join(iovec))

    def _engage(self) -> Stream:
        """
        Begin to keep books of what is under way.
        """
        network = self.reactor.network
        underWay = 0 if self._arrival <= self._clock.now else max(0, network.chunk - max(0, self._room))
        if self._room >= 0 and self._epoch > self._clock.now:
            underWay += network.chunk
        self._room = -1
        if self._wroteAt == self._clock.now:
            # What the stream sends stands behind this: nothing may be added to it any more.
            self.noteSent(partial(self._clock.withdraw, self._arrival, self._number))
            self._wroteAt = -1.0
        self.stream = stream = Stream(self, underWay)
        return stream

    def noteSent(self, takeBack: Callable[[], object]) -> None:
        """
        Note a segment of this turn to which nothing is added any more.

        @param takeBack: What makes it unsent.
        """
        now = self._clock.now
        if self._turn != now:
            self._turn = now
            self._sent = []
        self._sent.append(takeBack)

    def _takeBack(self) -> None:
        """
        Forget what was written in this turn: a reactor hands it to the kernel in the next, which this end will not see.
        What was written at one instant counts as written in one turn.
        """
        clock, now = self._clock, self._clock.now
        if self._wroteAt == now:
            self._wroteAt = -1.0
            clock.withdraw(self._arrival, self._number)
        if self._turn == now:
            self._turn = -1.0
            for takeBack in self._sent:
                takeBack()

    def arrivalAfter(self, when: float) -> float:
        """
        When something arrives that would arrive at a given time, if it must not overtake what was sent before it.
        """
        self._arrival = when = max(when, self._arrival)
        return when

    @property
    def broken(self) -> bool:
        """
        Whether its kernel knows that the other end is gone.
        """
        return self._broken is not None

    @property
    def arrival(self) -> float:
        """
        When the last of what was sent arrives, in virtual seconds.
        """
        return self._arrival

    def reconsider(self) -> None:
        """
        See again which way writes have to take: the path, the other end or this one has changed.
        """
        host, faults = self.reactor.host, self.reactor.network.faults
        if self.disconnected and self.stream is None:
            return
        path = faults.path(self.local[0], self.peer.local[0])
        self._draw = path.draw
        if self.inbox is None:
            self.reader = self if host.held is not None or self.disconnected else self._protocolsReader()
        if self.stream is not None:
            self.stream.pathChanged()
        elif self.isPlain():
            if self._room < 0:
                self._room = self.reactor.network.chunk
        elif self._room >= 0:
            if self._arrival > self._clock.now:
                self._engage().pathChanged()
            self._room = -1

    def isPlain(self) -> bool:
        """
        Whether bytes written to this end simply arrive.
        """
        network, peer = self.reactor.network, self.peer
        return (
            bool(self.connected)
            and self._broken is None
            and not self._aborting
            and not (self.disconnecting or self._writeClosing or self.TLS or network.fuzz)
            and (self.producer is None or self.streamingProducer)
            and (peer.reading or bool(peer.disconnected))
            and peer.reactor.host.held is None
            and network.faults.path(self.local[0], peer.local[0]).plain
            and self._returnPath().passing
            and not self.ciphered
        )

    @property
    def ciphered(self) -> bool:
        """
        Whether what this end sends are ciphers, which no seed determines.
        """
        return tls.isTls(self._protocolsReader())

    def _returnPath(self) -> Any:
        return self.reactor.network.faults.path(self.peer.local[0], self.local[0])

    def relax(self) -> None:
        """
        Stop keeping books, if nothing needs them.
        """
        if self.isPlain():
            self.stream = None
            self.peer.unread = 0
            self._epoch = self._arrival
            self._room = self.reactor.network.chunk

    # Reading.

    @property
    def protocol(self) -> Any:
        """
        The protocol that gets the data; it may be replaced while the connection lasts.
        """
        return self._protocol

    @protocol.setter
    def protocol(self, protocol: IProtocol) -> None:
        self._protocol = protocol
        if self.reader is not self:
            self.reader = self._protocolsReader()
        if self.connected:
            self.reconsider()

    def _protocolsReader(self) -> Any:
        """
        Who does something with the data: Twisted's endpoints wrap a protocol in one that only hands the data on.
        """
        reader = self._protocol
        for wrapper, wrapped in _PASSING_ON:
            if type(reader) is wrapper:
                reader = getattr(reader, wrapped)
        return reader

    def open(self, protocol: IProtocol) -> None:
        """
        Give this end its protocol, and let that read what has arrived and will arrive.

        @raise Exception: whatever C{connectionMade} raises.
        """
        self._protocol = protocol
        tls.lendClock(self._protocolsReader(), self.reactor)
        self.inbox = None
        self.reconsider()
        protocol.makeConnection(self)

    def dataReceived(self, data: Arrival) -> None:
        """
        Take what arrives, of what nobody keeps books of, while the protocol does not simply read it.
        """
        stream = self.peer.stream
        if stream is not None and self.keeps and isinstance(data, bytes):
            stream.keptUnread(len(data))
        self.take(data)

    @property
    def keeps(self) -> bool:
        """
        Whether the kernel keeps what arrives, because the process does not read at present.
        """
        return not self.disconnected and (self.reactor.host.held is not None or self.inbox is not None)

    def take(self, data: Arrival) -> None:
        """
        Take what arrives, as a kernel does: read, keep, drop or refuse it.
        """
        host = self.reactor.host
        if not host.up:
            return
        if self.disconnected:
            self.sendReset()
            return
        if self.keeps and self.peer.stream is not None and isinstance(data, bytes):
            self.unread += len(data)
        if host.held is not None:
            self._late += isinstance(data, bytes)
            host.held.append(lambda: self._receiveLate(data))
        elif self.inbox is not None:
            self.inbox.append(data)
        elif callable(data):
            data()
        else:
            self._protocolsReader().dataReceived(data)

    def _receiveLate(self, data: Arrival) -> None:
        """
        Take what the kernel has kept while the process was stopped.
        """
        self._late -= isinstance(data, bytes)
        if self.disconnected:
            return
        if self.inbox is not None:
            self.inbox.append(data)
            return
        self._hand(data)

    def _hand(self, data: Arrival) -> None:
        """
        Let the protocol have what was kept, and the sender know that there is room again.
        """
        try:
            if callable(data):
                data()
            else:
                self._protocolsReader().dataReceived(data)
        except LOGGED:
            self.failed(Failure())
        if isinstance(data, bytes):
            size = min(len(data), self.unread)
            self.unread -= size
            if size and self.peer.stream is not None:
                self.peer.stream.consumed(size)

    def endOfStream(self) -> None:
        """
        The other end will send nothing more.
        """
        if self.disconnected:
            return
        if self.reactor.host.held is not None or self.inbox is not None:
            self.take(self._readEnd)
        else:
            self._readEnd()

    def _readEnd(self) -> None:
        """
        Let the protocol know that it has read all there is. One that goes on is told again if it reads again, and of
        nothing else until then.
        """
        if IHalfCloseableProtocol.providedBy(self._protocol):
            self._readEnded = True
            self._stopReading()
            try:
                self._protocol.readConnectionLost()
            except LOGGED:
                self.failed(Failure())
        else:
            self.lose(Failure(error.ConnectionDone("Connection done")))

    def pauseProducing(self) -> None:
        """
        Stop reading: what arrives stays in the kernel's buffer, and soon the sender cannot send.
        """
        if self.reading:
            self.reading = False
            if self.inbox is None:
                self.inbox = []
                self.reader = self
                self.peer.reconsider()

    stopReading = pauseProducing

    def resumeProducing(self) -> None:
        """
        Read again, beginning with what is waiting.
        """
        if not (self.reading or self.disconnected or self.disconnecting):
            self.reading = True
            self._clock.at(self._clock.now, lambda: self.reactor.host.tell(self._drain))

    startReading = resumeProducing

    def stopProducing(self) -> None:
        """
        See L{IProducer.stopProducing<twisted.internet.interfaces.IProducer.stopProducing>}.
        """
        self.loseConnection()

    def _drain(self) -> None:
        """
        Read what is in the inbox, then go over to reading at once.
        """
        inbox = self.inbox
        if self._readEnded:
            if self.reading:
                self._readEnd()
            return
        while inbox and self.reading:
            self._hand(inbox.pop(0))
        if self.reading and inbox is not None and not self.disconnected:
            self.inbox = None
            self.reconsider()
        self.peer.reconsider()

    # Closing.

    def loseConnection(self) -> None:
        """
        See L{ITransport.loseConnection<twisted.internet.interfaces.ITransport.loseConnection>}: close once everything
        written has been handed to the kernel, and the producer is done.
        """
        if self.TLS:
            if self.connected and not self.disconnecting:
                self._protocol.loseConnection()
        else:
            self.losePlainConnection()

    def _stopReading(self) -> None:
        """
        Read nothing more: what arrives before the connection is closed is lost.
        """
        self.reading = False
        self.reader = self
        if self.inbox is None:
            self.inbox = []

    def losePlainConnection(self) -> None:
        """
        Close the connection itself, without asking TLS to say goodbye.
        """
        if not self.connected or self.disconnecting:
            return
        if self._writeClosed:
            self.lose(Failure(error.ConnectionDone("Connection done")))
            return
        self._stopReading()
        self.disconnecting = 1
        self.soon()

    def loseWriteConnection(self) -> None:
        """
        See L{ITCPTransport.loseWriteConnection<twisted.internet.interfaces.ITCPTransport.loseWriteConnection>}.
        """
        if self.connected:
            self._writeClosing = True
            self.soon()

    def abortConnection(self) -> None:
        """
        Close at once, forget what the kernel has not sent, nor been given yet, and let the other end see a reset.
        """
        if not self.connected or self._aborting:
            return
        self._aborting = True
        self._room = -1
        self._stopReading()
        self._takeBack()
        if self.stream is not None:
            self.stream.forget()
        aborted = Failure(error.ConnectionAborted())
        self._clock.at(self._clock.now, lambda: self.reactor.host.tell(lambda: self.lose(aborted, reset=True)))

    def soon(self) -> None:
        """
        Look what there is to do for the write side as soon as the reactor is back, as a real one does.
        """
        self._room = -1
        if not self._writesSoon:
            self._writesSoon = True
            self._clock.at(self._clock.now, lambda: self.reactor.host.tell(self.written))

    def written(self) -> None:
        """
        The kernel has taken all that was written: ask for more, or go on with closing.
        """
        self._writesSoon = False
        if not self.connected or self._aborting or (self.stream is not None and self.stream.size):
            return
        if self._broken is not None:
            self._lostSilently(self._broken)
            return
        if self._writeClosed:
            self._lostSilently(Failure(error.ConnectionLost()))
            return
        self._wroteAt = self._turn = -1.0
        if self.producer is not None and (not self.streamingProducer or self.producerPaused):
            self.producerPaused = False
            try:
                self.producer.resumeProducing()
            except LOGGED:
                self.failed(Failure())
        elif self.disconnecting:
            self.lose(Failure(error.ConnectionDone("Connection done")))
        elif self._writeClosing:
            self._writeClosed = True
            self.sendControl(self.peer.endOfStream)
            if IHalfCloseableProtocol.providedBy(self._protocol):
                try:
                    self._protocol.writeConnectionLost()
                except LOGGED:
                    self.failed(Failure())

    def lose(self, reason: Failure, *, reset: bool = False) -> None:
        """
        Close this end and tell its protocol. The other end sees the end of the stream, or a reset; or one after the
        other if something was not read here, for a kernel resets that, and whoever still writes has to know.
        """
        if self.disconnected:
            return
        self._takeBack()
        unread = self._hasUnread()
        self._close()
        if not reset:
            self._sendEnd()
        if reset or unread:
            self.sendReset()
        log = self.reactor.log
        producer, self.producer = self.producer, None
        if producer is not None:
            with log.failuresHandled("while stopping a producer"):
                producer.stopProducing()
        protocol, connector = self._protocol, self.connector
        if protocol is not None:
            # As in a real reactor, a factory never hears of a loss of which its protocol was told in vain.
            with log.failuresHandled("while {protocol} was told that its connection is lost", protocol=protocol):
                protocol.connectionLost(reason)
                if connector is not None:
                    connector.connectionLost(reason)

    def vanish(self, silently: bool) -> None:
        """
        Close this end because its process is gone: nobody is left to be told. The kernel ends the stream, or resets a
        connection of which something was not read, or which the process had not even taken.

        @param silently: Whether the machine is gone too, so that nothing is sent either.
        """
        if not self.disconnected:
            reset = self._hasUnread() or (self._protocol is None and self.connector is None)
            self._takeBack()
            self._close()
            if silently or reset:
                if self.stream is not None:
                    self.stream.forget()
                if not silently:
                    self.sendReset()
            else:
                self._sendEnd()
        if silently and self.stream is not None:
            self.stream.forget()

    def giveUpHalfOpen(self) -> None:
        """
        Nothing came of a handshake: the kernel forgets this end without a word.
        """
        if not self.disconnected:
            self.givenUp = True
            self.vanish(silently=True)

    def _hasUnread(self) -> bool:
        """
        Whether the kernel keeps something that the process has not read.
        """
        return self._late > 0 or any(isinstance(data, bytes) for data in self.inbox or ())

    def _sendEnd(self) -> None:
        """
        Let the other end know that nothing more will come, unless it does already.
        """
        if not self._writeClosed and not self.peer.disconnected:
            self.sendControl(self.peer.endOfStream)

    def _close(self) -> None:
        self.connected = 0
        self.disconnected = 1
        self.reader = self
        self.inbox = None
        self.reading = False
        self._room = -1
        if self.stream is not None:
            self.stream.close()
        if self.peer.disconnected:
            self.reactor.host.ends.pop(self, None)
            self.peer.reactor.host.ends.pop(self.peer, None)

    def sendControl(self, happens: Any) -> None:
        """
        Send what is not data but is as reliable and in the same order: the end of the stream, or the last part of the
        handshake.
        """
        network = self.reactor.network
        if self.stream is None:
            there = network.faults.path(self.local[0], self.peer.local[0])
            if there.plain and self._returnPath().passing:
                self._clock.at(self.arrivalAfter(self._clock.now + there.draw()), happens)
                return
            self._engage()
        assert self.stream is not None
        self.stream.control(happens)

    def sendReset(self) -> None:
        """
        Let the other end know that there is nothing here any more.
        """
        path = self.reactor.network.faults.path(self.local[0], self.peer.local[0])
        if not self.peer.disconnected and (path.passing or path.held):
            if path.held or (self.stream is not None and self.stream.inLine):
                (self.stream or self._engage()).control(self.peer.resetReceived)
            else:
                self._clock.at(self.arrivalAfter(self._clock.now + path.draw()), self.peer.resetReceived)

    def resetReceived(self) -> None:
        """
        The other end is gone: forget everything and tell the protocol.
        """
        self._cutOff("Connection lost")

    def timedOut(self) -> None:
        """
        The kernel has given up on data that nobody acknowledges.
        """
        self._cutOff("Connection timed out")

    def _cutOff(self, reason: str) -> None:
        """
        Nothing can be sent any more. A protocol that reads, or has something to write, hears so at once.
        """
        writing = self.disconnecting or (self.stream is not None and self.stream.size > 0)
        if self.stream is not None:
            self.stream.forget()
        if self.disconnected or not self.reactor.host.up:
            return
        self._broken = lost = Failure(error.ConnectionLost(reason))
        self._room = -1
        self.reactor.host.tell(lambda: self._hearOfLoss(lost, writing))

    def _hearOfLoss(self, lost: Failure, writing: object) -> None:
        if self.inbox is None or self._protocol is None or writing:
            self._lostSilently(lost)
        else:
            self.inbox.append(lambda: self._lostSilently(lost))

    def _lostSilently(self, reason: Failure) -> None:
        self._writeClosed = True
        self.lose(reason)

    def failed(self, failure: Failure) -> None:
        """
        The protocol raised an exception: log it and close the connection with it, as a reactor does.
        """
        self.reactor.log.failure("Unhandled error in {protocol}", failure, protocol=self._protocol)
        self.lose(failure)

    # Being a consumer.

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        See L{IConsumer.registerProducer<twisted.internet.interfaces.IConsumer.registerProducer>}.
        """
        if self.TLS:
            self._protocol.registerProducer(producer, streaming)
        else:
            self.registerPlainProducer(producer, streaming)

    def registerPlainProducer(self, producer: Any, streaming: bool) -> None:
        """
        Register a producer of what goes onto the wire, below TLS if there is any.
        """
        if self.producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer {self.producer} was never unregistered."
            )
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer = producer
        self.streamingProducer = streaming
        self.producerPaused = False
        if not streaming:
            self._room = -1
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """
        See L{IConsumer.unregisterProducer<twisted.internet.interfaces.IConsumer.unregisterProducer>}.
        """
        if self.TLS:
            self._protocol.unregisterProducer()
        else:
            self.unregisterPlainProducer()

    def unregisterPlainProducer(self) -> None:
        """
        Let go of the producer of what goes onto the wire.
        """
        self.producer = None
        if self.connected:
            if self.disconnecting:
                self.soon()
            else:
                self.reconsider()

    def stopConsuming(self) -> None:
        """
        Let go of the producer, and close the connection.
        """
        self.unregisterProducer()
        self.loseConnection()

    def wantsMore(self) -> bool:
        """
        Whether something waits for the kernel to take all that was written.
        """
        if self.producer is not None and (self.producerPaused or not self.streamingProducer):
            return True
        return bool(self.disconnecting) or (self._writeClosing and not self._writeClosed)

    def pauseProducerIfFull(self, size: int) -> None:
        """
        Let a push producer wait if more than a buffer of what it wrote has not been taken by the kernel.
        """
        if self.producer is not None and self.streamingProducer and size > BUFFER_SIZE:
            self.producerPaused = True
            self.producer.pauseProducing()

    # The rest of ITCPTransport and ITLSTransport.

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        The address of this end.
        """
        return addressOf("TCP", self.local)

    def getPeer(self) -> IPv4Address | IPv6Address:
        """
        The address of the other end.
        """
        return addressOf("TCP", self.peer.local)

    def getTcpNoDelay(self) -> bool:
        """
        Whether small writes go out at once; here they always do.
        """
        return self._noDelay

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Note a wish that changes nothing.
        """
        self._noDelay = bool(enabled)

    def getTcpKeepAlive(self) -> bool:
        """
        Whether the kernel was asked to probe an idle connection.
        """
        return self._keepAlive

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Note the wish for probes. They come after two hours at the earliest, and are not simulated.
        """
        self._keepAlive = bool(enabled)

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """
        See L{ITLSTransport.startTLS<twisted.internet.interfaces.ITLSTransport.startTLS>}.
        """
        tls.start(self, contextFactory, normal)

    def secure(self, protocol: Any) -> None:
        """
        Hand everything to a TLS protocol from now on.
        """
        self.protocol = protocol
        self.getHandle = protocol.getHandle
        self.getPeerCertificate = protocol.getPeerCertificate
        self.TLS = True
        self._room = -1
        self.reconsider()

    def logPrefix(self) -> str:
        """
        Whose log messages these are.
        """
        side = "server" if self.connector is None else "client"
        return f"{self._protocol.__class__.__name__},{side},{self.local[0]}"

    def __repr__(self) -> str:
        """
        Name both ends.
        """
        return f"<Connection {self.local[0]}:{self.local[1]} to {self.peer.local[0]}:{self.peer.local[1]}>"


def addressOf(kind: Any, where: Where) -> IPv4Address | IPv6Address:
    """
    Make a Twisted address of a host and a port.

    @param kind: C{"TCP"} or C{"UDP"}.
    """
    return (IPv6Address if isIPv6Address(where[0]) else IPv4Address)(kind, *where)


def _passingOn() -> list[tuple[type, str]]:
    """
    The wrappers in Twisted whose C{dataReceived} only calls that of the protocol inside, with where they keep it.
    """
    from twisted.application import _client_service

    wrappers = [(endpoints, "_WrappingProtocol", "_wrappedProtocol")]
    wrappers += [(_client_service, "_ReconnectingProtocolProxy", "_protocol")]
    return [(getattr(module, name), inside) for module, name, inside in wrappers if hasattr(module, name)]


_PASSING_ON = _passingOn()
