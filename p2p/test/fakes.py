"""
What the tests of the seed and of the peer share: outlets that remember what was asked of them, stores in memory, and
a small network in memory.

An outlet keeps what a strategy asked for until a test I{takes} it, so that a
test can end by asserting that nothing is left.

L{Network} joins any number of services on one L{Clock}, with a fixed latency
and no losses.  Its hosts can be killed (their connections are reset), frozen
(a stopped process: its kernel goes on), cut off (everything to and from them
vanishes) or put behind a firewall (nobody can dial them).  Programs written by
hand, L{Script}, play those that lie.
"""

# What an interface or Twisted describes is not described again.
# ruff: noqa: D102

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import (
    CannotListenError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from p2p.address import Address
from p2p.identity import makeIdentity
from p2p.interfaces import (
    IBroadcastOutlet,
    IDetectorOutlet,
    INeighbour,
    IOverlayOutlet,
    IPeerStore,
    ISeedStore,
)
from p2p.peer.memory import PeerMemory
from p2p.peer.service import PeerService
from p2p.seed.registry import Entry
from p2p.seed.service import SeedService
from p2p.settings import PeerSettings, SeedSettings
from p2p.wire import reasons
from p2p.wire.codec import Decoder, encode
from p2p.wire.messages import VERSION, AnyMessage, Contact, Hello, Message, Welcome
from p2p.wire.probe import Outcome

WORDS = frozenset(word for name, word in vars(reasons).items() if name.isupper() and isinstance(word, str))
"""Every reason for which a connection may end."""


def identity(number: int, incarnation: int = 1) -> bytes:
    """The identity of the test's node of that number."""
    return makeIdentity(number.to_bytes(8, "big"), incarnation)


def contact(number: int, incarnation: int = 1, address: str | None = None) -> Contact:
    """The contact of the test's peer of that number; it listens on a host of its own."""
    return Contact(identity(number, incarnation), address or f"10.1.{number // 250}.{number % 250 + 1}:6000")


def calls(function: Callable[..., object], *arguments: Any) -> int:
    """What a call costs, the same on every machine: how many others, of Python's functions and of C's, it makes."""
    count = 0

    def called(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        function(*arguments)
    finally:
        sys.setprofile(before)
    return count


@implementer(INeighbour)
class FakeNeighbour:
    """A neighbour that is but a name."""

    def __init__(self, who: int | Contact, outgoing: bool = True) -> None:
        self.contact = who if isinstance(who, Contact) else contact(who)
        self.outgoing = outgoing
        self.heard = True
        self.rtt: float | None = None
        self.suspected = False
        self.byOther = False
        self.arriving = 0

    def __repr__(self) -> str:
        return f"<neighbour {self.contact.address}>"


class FakeCall:
    """A call that a strategy has asked for."""

    def __init__(self, at: float, call: Callable[[float], object]) -> None:
        self.at = at
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@implementer(IOverlayOutlet, IBroadcastOutlet, IDetectorOutlet)
class FakeOutlet:
    """
    Remembers what strategies ask for.

    @ivar asked: what has not been taken yet: the verb and its arguments.
    @ivar ending: called when a link is to be ended, as a service would do it at once.
    @ivar identity: who the peer is: number 0.
    @ivar now: the time; C{advance} moves it.
    @ivar timers: what was asked to be called later.
    """

    def __init__(self) -> None:
        self.identity = identity(0)
        self.asked: list[tuple[Any, ...]] = []
        self.ending: Callable[[Any, str], object] = lambda neighbour, reason: None
        self.now = 0.0
        self.timers: list[FakeCall] = []

    def take(self, verb: str) -> list[Any]:
        """What was asked for with that verb since this was last called: its arguments, or its one argument."""
        taken = [call[1:] for call in self.asked if call[0] == verb]
        self.asked = [call for call in self.asked if call[0] != verb]
        return [what[0] if len(what) == 1 else what for what in taken]

    def later(self, delay: float, call: Callable[[float], object]) -> FakeCall:
        self.timers.append(FakeCall(self.now + delay, call))
        return self.timers[-1]

    def advance(self, to: float) -> None:
        """Let time pass: call what is due by then, in order of time."""
        while True:
            self.timers = [timer for timer in self.timers if not timer.cancelled]
            due = min(self.timers, key=lambda timer: timer.at, default=None)
            if due is None or due.at > to:
                break
            self.timers.remove(due)
            self.now = due.at
            due.call(due.at)
        self.now = to

    def connect(self, contact: Contact, urgent: bool = False) -> None:
        self.asked.append(("connect", contact, True) if urgent else ("connect", contact))

    def disconnect(self, neighbour: Any, reason: str) -> None:
        self.asked.append(("disconnect", neighbour, reason))
        self.ending(neighbour, reason)

    def send(self, neighbours: Iterable[Any], message: Any) -> None:
        self.asked.extend(("send", neighbour, message) for neighbour in neighbours)

    def ask(self, contact: Contact, answer: Callable[[Contact, Outcome, float], object]) -> None:
        self.asked.append(("ask", contact, answer))

    def deliver(self, message: Message, neighbour: Any, now: float) -> None:
        self.asked.append(("deliver", message, neighbour))

    def lost(self, origin: bytes, first: int, last: int) -> None:
        self.asked.append(("lost", origin, first, last))

    def probe(self, contact: Contact) -> None:
        self.asked.append(("probe", contact))

    def suspected(self, neighbour: Any) -> None:
        self.asked.append(("suspected", neighbour, neighbour.suspected))

    def dead(self, contact: Contact, evidence: str) -> None:
        self.asked.append(("dead", contact, evidence))


@implementer(IPeerStore)
class FakePeerStore:
    """
    A peer's disk.

    @ivar broken: saving fails.
    """

    def __init__(self, memory: PeerMemory | None = None) -> None:
        self.memory = memory
        self.saves = 0
        self.broken = False

    def load(self) -> PeerMemory | None:
        return self.memory

    def save(self, memory: PeerMemory) -> None:
        if self.broken:
            raise OSError("no space left")
        self.saves += 1
        self.memory = memory


@implementer(ISeedStore)
class FakeSeedStore:
    """
    A seed's disk.

    @ivar broken: saving fails, with C{trouble}.
    """

    trouble: type[Exception] = OSError

    def __init__(self) -> None:
        self.identity: bytes | None = None
        self.entries: dict[bytes, tuple[Contact, bool | None]] = {}
        self.broken = self.closed = False

    def load(self) -> tuple[bytes | None, list[Entry]]:
        self.closed = False
        return self.identity, [Entry(contact, 0.0, 0.0, there) for contact, there in self.entries.values()]

    def save(self, identity: bytes, changed: Iterable[Entry], removed: Iterable[bytes]) -> None:
        if self.broken:
            raise self.trouble("no space left")
        self.identity = identity
        for id in removed:
            self.entries.pop(id, None)
        for entry in changed:
            self.entries[entry.id] = (entry.contact, entry.reachable)

    def close(self) -> None:
        self.closed = True


# The network.

LATENCY = 0.001
"""What everything takes to the other end, in seconds."""


def _address(host: str, port: int) -> IPv4Address | IPv6Address:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


class End:
    """One end of a connection: a transport."""

    other: End

    def __init__(self, host: Host, here: Any, there: Any) -> None:
        self.host = host
        self.protocol: Any = None
        self.closing = self.gone = False
        self.producer: Any = None
        self._here = here
        self._there = there

    def write(self, data: bytes) -> None:
        if not self.closing and not self.gone:
            self.host.network.carry(self.other, lambda: self.other.protocol.dataReceived(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self._end(ConnectionDone(), ConnectionDone())

    def abortConnection(self) -> None:
        self._end(ConnectionAborted(), ConnectionLost())

    def _end(self, here: Exception, there: Exception) -> None:
        if not self.closing and not self.gone:
            self.closing = True
            self.host.network.carry(self.other, lambda: self.other.lose(there))
            self.host.callLater(0, self.lose, here)

    def lose(self, why: Exception) -> None:
        """The connection is gone."""
        if not self.gone:
            self.gone = True
            self.host.ends.pop(self, None)
            self.host.network.carry(self.other, lambda: self.other.lose(why))
            self.protocol.connectionLost(Failure(why))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def getHost(self) -> Any:
        return self._here

    def getPeer(self) -> Any:
        return self._there


@implementer(IListeningPort)
class Port:
    """A port that is listened on."""

    def __init__(self, host: Host, address: Any, factory: Any) -> None:
        self._host = host
        self._address = address
        self.factory = factory

    def startListening(self) -> None:
        pass

    def stopListening(self) -> None:
        self._host.ports.pop(self._address.port, None)

    def getHost(self) -> Any:
        return self._address


class Connector:
    """An attempt to connect."""

    def __init__(self, factory: Any, to: Any) -> None:
        self.factory = factory
        self.over = False
        self.timer: Any = None
        self._to = to

    def stopConnecting(self) -> None:
        self.done()

    def done(self) -> bool:
        """It came to an end; false if it had already."""
        over, self.over = self.over, True
        if self.timer.active():
            self.timer.cancel()
        return not over

    def getDestination(self) -> Any:
        return self._to

    def fail(self, error: Exception) -> None:
        if self.done():
            self.factory.clientConnectionFailed(self, Failure(error))


class Host:
    """
    A machine with one process: a reactor.

    @ivar frozen: its process is stopped.
    @ivar cut: nothing reaches it, or comes from it.
    @ivar firewall: nobody can dial it.
    """

    def __init__(self, network: Network, address: str) -> None:
        self.network = network
        self.address = address
        self.ports: dict[int, Port] = {}
        self.ends: dict[End, None] = {}
        self.frozen = self.cut = self.firewall = False
        self.calls: set[Any] = set()
        self.dialled: list[str] = []
        self._kept: list[Callable[[], object]] = []
        self._free = 40000

    def seconds(self) -> float:
        return self.network.clock.seconds()

    def callLater(self, delay: float, call: Callable[..., object], *args: Any, **kwargs: Any) -> Any:
        def fire() -> None:
            self.calls.discard(delayed)
            if self.frozen:
                self._kept.append(lambda: call(*args, **kwargs))
            else:
                call(*args, **kwargs)

        delayed = self.network.clock.callLater(delay, fire)
        self.calls.add(delayed)
        if len(self.calls) > 1000:
            self.calls = set(self.timers)
        return delayed

    @property
    def timers(self) -> list[Any]:
        """Timers of this process that have not fired."""
        return [call for call in self.calls if call.active()]

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Port:
        if port in self.ports:
            raise CannotListenError(interface, port, OSError("taken"))
        port = port or 6000
        made = self.ports[port] = Port(self, _address(interface or "0.0.0.0", port), factory)
        factory.doStart()
        return made

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Connector:
        to = _address(host, port)
        connector = Connector(factory, to)
        factory.doStart()
        self.dialled.append(str(Address(host, port)))
        network = self.network
        there = network.hosts.get(host)
        self._free += 1
        mine = _address(self.address, self._free)

        def arrive() -> None:
            if connector.over:
                return
            assert there is not None
            if port not in there.ports:
                self.callLater(LATENCY, connector.fail, ConnectionRefusedError())
                return
            here, far = End(self, mine, to), End(there, to, mine)
            here.other, far.other = far, here
            self.ends[here] = there.ends[far] = None

            def accepted() -> None:
                far.protocol = there.ports[port].factory.buildProtocol(mine) if port in there.ports else None
                if far.protocol is None:
                    far.protocol = Protocol()
                    far.abortConnection()
                else:
                    far.protocol.makeConnection(far)

            def connected() -> None:
                if not connector.done():
                    here.protocol = Protocol()
                    here.abortConnection()
                    return
                here.protocol = connector.factory.buildProtocol(to)
                here.protocol.makeConnection(here)

            # The kernel answers, whatever the process does.
            self.network.carry(here, connected)
            there.run(accepted)

        connector.timer = self.callLater(timeout, connector.fail, TimeoutError())
        if there is not None and not there.cut and not there.firewall and not self.cut:
            network.later(arrive)
        factory.startedConnecting(connector)
        return connector

    # What a test does to it.

    def run(self, call: Callable[[], object]) -> None:
        """Something for the process to do, at once or when it goes on."""
        if self.frozen:
            self._kept.append(call)
        else:
            call()

    def kill(self) -> None:
        """End the process: SIGKILL."""
        self.ports.clear()
        for call in self.timers:
            call.cancel()
        self.calls.clear()
        for end in list(self.ends):
            end.gone = True
            self.network.carry(end.other, lambda end=end: end.other.lose(ConnectionLost()))  # type: ignore[misc]
        self.ends.clear()
        self._kept.clear()

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.frozen = False
        kept, self._kept = self._kept, []
        for call in kept:
            call()


class Network:
    """Hosts on one clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        # What is under way; everything takes equally long, so the earliest is the first.
        self._under: deque[tuple[float, Callable[[], object]]] = deque()
        self.hosts: dict[str, Host] = {}
        self.random = Random(1)

    def host(self, address: str) -> Host:
        """The host at an IP address, made if need be."""
        return self.hosts.setdefault(address, Host(self, address))

    def carry(self, end: End, arrived: Callable[[], object]) -> None:
        """Something is under way to one end of a connection."""
        if end.host.cut or end.other.host.cut:
            return

        def arrive() -> None:
            if not end.gone and not end.host.cut:
                end.host.run(lambda: None if end.gone else arrived())

        self.later(arrive)

    def later(self, call: Callable[[], object]) -> None:
        """Call something when what is sent now arrives."""
        self._under.append((self.clock.seconds() + LATENCY, call))

    def run(self, seconds: float) -> None:
        """Let time pass, event by event."""
        end = self.clock.seconds() + seconds
        never = end + 1.0
        while True:
            arrives = self._under[0][0] if self._under else never
            fires = self.clock.calls[0].getTime() if self.clock.calls else never
            if min(arrives, fires) > end:
                break
            self.clock.rightNow = max(self.clock.rightNow, min(arrives, fires))
            if arrives <= fires:
                self._under.popleft()[1]()
            else:
                self.clock.advance(0)
        self.clock.rightNow = end

    # Seeds and peers.

    def seed(self, number: int = 1, store: Any = None, start: bool = True, **settings: Any) -> SeedService:
        """A seed of that number, started."""
        address = Address(f"10.0.0.{number}", 5000)
        seed = SeedService(
            self.host(address.host), SeedSettings(**settings), address, random=Random(number), store=store
        )
        if start:
            seed.startService()
        return seed

    def peer(
        self,
        number: int,
        seeds: Iterable[int] = (1,),
        store: Any = None,
        start: bool = True,
        address: str | None = None,
        **settings: Any,
    ) -> PeerService:
        """A peer of that number, started; its chance is that of its number and of the time it starts at."""
        host = address or f"10.1.0.{number}"
        settings.setdefault("gossipCount", 0)
        peer = PeerService(
            self.host(host),
            PeerSettings(**settings),
            [Address(f"10.0.0.{seed}", 5000) for seed in seeds],
            host=host,
            port=6000,
            random=Random(1000 * number + self.random.getrandbits(32)),
            store=store,
        )
        if start:
            peer.startService()
        return peer


class Script(Protocol):
    """
    One end of a connection that a test plays by hand.

    @ivar got: the messages that came and were not taken yet.
    @ivar ended: the connection is gone.
    """

    def __init__(self) -> None:
        self.got: list[AnyMessage] = []
        self.ended = False
        self.answer: Callable[[Script, AnyMessage], object] = lambda script, message: None
        self._decoder = Decoder(2**31)

    def dataReceived(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            self.got.append(message)
            self.answer(self, message)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.ended = True

    def send(self, *messages: AnyMessage) -> None:
        """Send messages in one piece."""
        assert self.transport is not None
        self.transport.write(b"".join(map(encode, messages)))

    def take(self, kind: type) -> list[Any]:
        """The messages of that type that came since this was last called."""
        taken = [message for message in self.got if type(message) is kind]
        self.got = [message for message in self.got if type(message) is not kind]
        return taken

    def kinds(self) -> list[str]:
        """The types of what came."""
        return [type(message).__name__ for message in self.got]


class _Scripts(Factory[Script]):
    noisy = False

    def __init__(self, made: Callable[[], Script]) -> None:
        self._made = made

    def buildProtocol(self, addr: Any) -> Script:
        return self._made()

    # What a connector tells.

    def startedConnecting(self, connector: Any) -> None:
        pass

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        reason.raiseException()


def dial(
    network: Network, to: str, me: Contact, purpose: str = "neighbour", name: str = "p2p", strategies: str = ""
) -> Script:
    """Connect by hand from the host of a contact, and introduce oneself."""
    address = Address.fromText(to)
    script = Script()
    host = network.host(Address.fromText(me.address).host)
    host.connectTCP(address.host, address.port, _Scripts(lambda: script))
    network.run(3 * LATENCY)
    script.send(Hello(VERSION, name, purpose, me, strategies))
    network.run(3 * LATENCY)
    return script


def impostor(
    network: Network, me: Contact, answer: Callable[[Script, AnyMessage], object] | None = None, welcome: bool = True
) -> list[Script]:
    """
    Listen by hand at the address of a contact, and say Welcome to everybody.

    @param answer: what to do about each message but Hello.
    @return: a list that the connections made to it are added to.
    """
    scripts: list[Script] = []

    def answering(script: Script, message: AnyMessage) -> None:
        if isinstance(message, Hello):
            if welcome:
                script.send(Welcome(me, []))
        elif answer is not None:
            answer(script, message)

    def made() -> Script:
        script = Script()
        script.answer = answering
        scripts.append(script)
        return script

    address = Address.fromText(me.address)
    network.host(address.host).listenTCP(address.port, _Scripts(made), interface=address.host)
    return scripts


def linked(*peers: PeerService) -> bool:
    """Is each of these peers linked to the next one?"""
    return all(
        any(link.contact.id == second.identity[:8] for link in first.neighbours)
        for first, second in pairwise(peers)
    )


def listed(seed: SeedService) -> set[str]:
    """The addresses on a seed's list."""
    return {entry.contact.address for entry in seed.registry}

