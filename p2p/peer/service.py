"""
A peer: its links, its three strategies, its seeds, and the service that runs them.

Whom to be linked to (overlay), how a message spreads (broadcast) and who is
alive (detector) are decided elsewhere, by strategies that know no sockets.
L{PeerService} tells them what happens and does what they ask for.  The path of
a message is short: L{Link} decodes it and calls the broadcast's C{received},
which calls L{PeerService.send} and L{PeerService.deliver}.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from ipaddress import ip_address
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from p2p.address import Address, holder
from p2p.events import PEER_EVENTS
from p2p.identity import ID_SIZE, identityText, idOf, incarnationOf, makeIdentity
from p2p.interfaces import (
    IBroadcastOutlet,
    IDetectorOutlet,
    INeighbour,
    INode,
    IOverlayOutlet,
    IPeerStore,
)
from p2p.node import NodeService, NotRunning
from p2p.peer.confirm import Confirmations, Confirmed
from p2p.peer.delivery import Delivery
from p2p.peer.dialling import oursStays, settle
from p2p.peer.errors import Busy, PayloadTooLarge
from p2p.peer.memory import PeerMemory
from p2p.peer.seedlink import SeedLink
from p2p.peer.slow import SlowReaders
from p2p.peer.strategies import KINDS, makeStrategy
from p2p.peer.subscribers import Subscribers
from p2p.rate import RateLimit
from p2p.settings import PeerSettings, SettingError
from p2p.timers import slept
from p2p.wire import reasons
from p2p.wire.codec import OVERHEAD, encode
from p2p.wire.contacts import checkedContact
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.factory import NEIGHBOUR, DialFailed, LinkFactory
from p2p.wire.link import NOBODY, Handlers, Link, Turn
from p2p.wire.messages import FRAME, MISSION, Alive, AnyMessage, Close, Contact, Custom, Hello, Message, Sync, Synced
from p2p.wire.probe import Outcome, Verdict, probe

NAMED = 8
"""How many others a peer names to one that dials it."""

SAMPLE = 32
"""How many contacts a peer that knows as many asks each seed for, now and then."""

BRIEF = 0.1
"""One that left too much unread within this share of C{slowTimeout} may just have been busy for a moment."""

TICK = 1.0
"""Pause between two ticks of overlay and broadcast, in seconds."""

MAX_INCARNATION = 2**63
"""
What others say never leads this peer to an incarnation of its own that is higher than this.

Of others it takes any for what it says, up to 2^64 - 1.
"""

MAX_LEAP = 2**32
"""
Nor one that is further above the own than this: an incarnation begins as the
time in milliseconds, and a liar must not use up in one word all there are.
"""

REFUTATION_RATE = 0.1
"""How often a peer says that it is alive after all, per second, so that a liar cannot keep the rest busy."""

REFUTATION_BURST = 5
"""How often it may do so at once after a rest."""


LONGEST_WAIT = 2**31
"""Seconds that may be waited for a confirmation."""

Payload = bytes | bytearray | memoryview | str
"""What may be published."""

_FOREIGN = frozenset({reasons.NETWORK, reasons.VERSION, reasons.STRATEGY, reasons.MALFORMED, reasons.TOO_LARGE})
"""Reasons for which no link comes of a dial with which somebody should look at this peer's settings, or the other's."""

_NOTHING: Mapping[str, object] = {}


@implementer(INeighbour)
class PeerProtocol(Link):
    """
    A connection of a peer; once it is a neighbour's, what strategies see of that.

    @ivar since: when it became a neighbour's; C{None} before.
    @ivar mine: this peer's identity as that neighbour knows it.
    @ivar doubted: when this peer last asked whether it is still who it was.
    """

    __slots__ = ("doubted", "mine", "rtt", "since", "suspected")

    def __init__(self, factory: LinkFactory, purpose: str = "") -> None:
        super().__init__(factory, purpose)
        self.since: float | None = None
        self.mine = b""
        self.doubted = float("-inf")
        self.rtt: float | None = None
        self.suspected = False

    def __str__(self) -> str:
        if self.contact is NOBODY:
            return super().__str__()
        return f"link to {identityText(self.contact.identity)} at {self.contact.address}"

    @property
    def host(self) -> str:
        """The other side's IP address on this connection."""
        return Address.fromText(self.where).host


class PeerFactory(LinkFactory):
    """Lets neighbours in and tells the service of all links."""

    settings: PeerSettings
    linkType = PeerProtocol
    counted = (
        *LinkFactory.counted, "deaths", "delivered", "lost", "neighboursDown", "neighboursUp", "probes", "published",
        "refutations", "slowReaders", "slowRefused",
    )  # fmt: skip
    peer: PeerService

    def linkMade(self, link: Link) -> None:
        """A connection stands; whom it dialled, this peer tells now who it is."""
        assert isinstance(link, PeerProtocol)
        link.mine = self.identity
        super().linkMade(link)

    def introduced(self, link: Link, hello: Hello, now: float) -> None:
        """A peer wants to be a neighbour."""
        assert isinstance(link, PeerProtocol)
        if hello.purpose != NEIGHBOUR:
            link.close(reasons.ROLE, "this is a peer: be a neighbour, or probe")
            return
        if (hello.strategies or MISSION) != self.strategies:
            # It stands in the logs of both.
            detail = f"as overlay, broadcast and detector the dialler has {hello.strategies or MISSION}"
            detail += f", this network {self.strategies}"
            link.close(reasons.STRATEGY, detail)
            return
        link.urgent = hello.urgent
        reason = self.peer.admit(link, hello.contact, now)
        if reason is not None:
            detail = "cut off a while ago for not reading" if reason == reasons.SLOW else ""
            link.close(reason, detail, self.others(hello.contact.id) if reason == reasons.FULL else None)
            return
        self.welcome(link, hello, self.peer.handlers, self.peer.limit)
        self.peer.neighbourUp(link, now)

    def others(self, exclude: bytes) -> list[Contact]:
        """A few contacts worth trying."""
        return self.peer.known(NAMED, (exclude,))

    def linkEnded(self, link: Link, now: float) -> None:
        """A link is of no more use."""
        super().linkEnded(link, now)
        self.peer.linkEnded(link, now)

    def unanswered(self, link: Link) -> None:
        """A goodbye was not answered."""
        self.peer.goodbyeUnanswered(link, self.seconds())


@implementer(INode, IOverlayOutlet, IBroadcastOutlet, IDetectorOutlet)
class PeerService(NodeService):
    """
    A running peer.

    A program that has one in it starts and stops it as any service, calls C{publish}, C{publishConfirmed}, C{batch},
    C{subscribe} and C{events.subscribe}, and looks at C{identity}, C{address}, C{neighbours}, C{recent}, C{status} and
    C{peers}.  The other methods are for what the peer itself is made of: its links, its seeds and its strategies.

    Like all of Twisted it belongs to the reactor's thread; another one has
    C{reactor.callFromThread(peer.publish, ...)}.

    @ivar identity: its 16 bytes; they change when the peer refutes its death.
    @ivar events: what happens: C{events.subscribe(function)}, see L{p2p.events.Events} and docs/operations.md.
    @ivar overlay: the L{p2p.interfaces.IOverlay} in use.
    @ivar broadcast: the L{p2p.interfaces.IBroadcast} in use.
    @ivar detector: the L{p2p.interfaces.IDetector} in use.
    @ivar handlers: what is called for each message from a neighbour.
    @ivar limit: the largest message taken from a neighbour, in bytes.
    """

    role = "peer"
    kept = "the state"
    saveInterval = 60.0

    settings: PeerSettings
    factory: PeerFactory

    def __init__(
        self,
        reactor: Any,
        settings: PeerSettings,
        seeds: Sequence[Address],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        advertise: Address | None = None,
        random: Random | None = None,
        store: IPeerStore | None = None,
    ) -> None:
        """
        @param seeds: where the seeds listen.
        @param host: the address to listen on; C{0.0.0.0} for all of IPv4, C{::} for all (on most systems).
        @param port: 0 for any free one.
        @param advertise: where others can dial this peer, if that is not the
            address from which it reaches them.
        @param random: where chance comes from; the system's by default.
        @param store: where identity and known addresses outlive this process.
        @raise SettingError: a strategy is named that does not exist, or that cannot be made; or settings do not agree
            with each other.
        """
        settings.checkTogether()
        super().__init__(reactor, host, port, random, store, PEER_EVENTS)
        self.settings = settings
        self._subscribers = Subscribers(settings, lambda origin: self.broadcast.settled(origin))
        self.limit = settings.maxPayload + OVERHEAD
        self._bound = port
        self._advertise = advertise
        self._seeds = [SeedLink(self, address) for address in seeds]
        self._neighbours: dict[bytes, PeerProtocol] = {}
        # Whom it is dialling, by address: the contact's id, and the attempt.
        self._dials: dict[str, tuple[bytes, Deferred[Link]]] = {}
        self._slow = SlowReaders(settings.slowPause)
        self._refutations = RateLimit(REFUTATION_RATE, REFUTATION_BURST, keys=1)
        self._remembered: list[Contact] = []
        self._confirmations = Confirmations(lambda delay, call: self._timers.later(delay, call))
        # How often it was started; each time is a later life.
        self._lives = 0
        self._gossiped = 0
        # Bytes published since something was written last, and when that was: they wait in the turn under way.
        self._unwritten = 0
        self._flushes = 0
        self._watched = 0.0
        # Why others of this network turned it away for good, as far as the log knows.
        self._foreign: set[str] = set()
        self._makeStrategies()

    # Start and stop.

    def makeFactory(self, now: float) -> PeerFactory:
        """Begin another life: with what the last one left, in this process or before it."""
        memory: PeerMemory | None
        if self._lives:
            memory = self._memory()
            # Nothing that was under way in the last life is in this one.
            self._makeStrategies()
        else:
            memory = self._store.load() if self._store is not None else None
        if memory is not None:
            self._remembered = memory.known
            if memory.incarnation >= MAX_INCARNATION:
                # That id has no later life.
                memory = None
        id = memory.id if memory is not None else self.random.getrandbits(8 * ID_SIZE).to_bytes(ID_SIZE, "big")
        incarnation = max(memory.incarnation + 1 if memory is not None else 1, int(now * 1000))
        factory = PeerFactory(
            self._reactor, self.settings, makeIdentity(id, incarnation), self._advertise, self.settings.maxLinks
        )
        factory.peer = self
        factory.strategies = f"{self.settings.overlay} {self.settings.broadcast} {self.settings.detector}"
        return factory

    def listening(self) -> None:
        """See L{NodeService}."""
        self._bound = self.factory.port
        self._lives += 1
        self._gossiped = 0
        settings = self.settings
        self._log.info(
            "peer {peer} listens on {where}; overlay {overlay}, broadcast {broadcast}, detector {detector}",
            peer=identityText(self.identity), where=self.whereabouts(self.address), address=str(self.address),
            overlay=settings.overlay, broadcast=settings.broadcast, detector=settings.detector,
        )  # fmt: skip

    def begin(self) -> None:
        """Register, link up, and begin to gossip and to watch."""
        with self.factory.turn:
            # Not before it runs: they are dialled at once.
            self._learned(self._remembered, self._reactor.seconds())
        for seed in self._seeds:
            seed.start()
        settings, start = self.settings, self._timers.start
        start("liveness", settings.livenessInterval, lambda: self._tick(self._watch))
        start("overlay", TICK, lambda: self._tick(self.overlay.tick))
        start("broadcast", TICK, lambda: self._tick(self._tickBroadcast))
        start("seeds", settings.seedInterval, self._askSeeds)
        if settings.gossipCount:
            start("gossip", settings.gossipInterval, self._gossip)

    def keep(self) -> None:
        """Keep who this peer is and whom it knows."""
        # If nobody answers any more, those that did once are worth keeping.
        self._remembered = self.known(self.settings.maxKnown) or self._remembered
        if self._store is not None:
            self._store.save(self._memory())

    def leave(self) -> None:
        """Confirm nothing any more, and dial the seeds no more."""
        self._confirmations.stop()
        for seed in self._seeds:
            seed.stop()

    # What an embedding program uses.

    @property
    def identity(self) -> bytes:
        """
        This peer's 16 bytes, other ones in each of its lives.

        @raise NotRunning: it was never started.
        """
        if not self._lives:
            raise NotRunning("this peer was not started")
        return self.factory.identity

    @property
    def address(self) -> Address:
        """Where this peer can be dialled, as far as it knows."""
        return self._advertise or Address(self._host, self._bound)

    @property
    def neighbours(self) -> list[PeerProtocol]:
        """Those it is linked to now."""
        return list(self._neighbours.values())

    def publish(self, payload: Payload) -> str:
        """
        Send a message to the whole network.

        @param payload: at most C{maxPayload} bytes, of which a copy is kept if they might change; text goes as UTF-8.
        @return: the message's id.
        @raise TypeError: it is neither bytes (C{bytearray} and C{memoryview} are) nor text.
        @raise NotRunning: this peer was not started, or has been stopped.
        @raise PayloadTooLarge: it is larger than that.
        @raise Busy: a neighbour has half of C{maxBacklog} still to read, what it was promised included, or would have
            more than C{maxBacklog}.
        """
        return Delivery(self._publish(self._checked(payload)), 0.0).id

    def publishConfirmed(self, payload: Payload, seconds: float = 5.0) -> Deferred[Confirmed]:
        """
        Send a message to the whole network, and wait until neighbours have taken it over.

        @param payload: as for C{publish}.
        @param seconds: how long it is waited for: 0 to 2^31.
        @return: fires with a L{Confirmed} when all neighbours that it was sent to have said that they have it (those
            whose links ended do not count), or when the time is over and at least one has; fails with
            L{NotConfirmed<p2p.peer.errors.NotConfirmed>} when by then none has, or there was none.
        @raise ValueError: C{seconds} is out of that range; nothing was published.
        @raise NotRunning: as for C{publish}; so C{TypeError}, L{PayloadTooLarge} and L{Busy}.
        """
        if not 0 <= seconds <= LONGEST_WAIT:
            raise ValueError(f"seconds: {seconds!r} is not within 0 to {LONGEST_WAIT}")
        data = self._checked(payload)
        with self.factory.turn:
            return self._confirmations.publish(lambda: self._publish(data), seconds)

    def _checked(self, payload: Payload) -> bytes:
        """A payload that may be published now."""
        if not self.running:
            raise NotRunning("this peer does not run")
        if isinstance(payload, str):
            data = payload.encode()
        elif isinstance(payload, bytes):
            data = payload
        elif isinstance(payload, (bytearray, memoryview)):
            data = bytes(payload)
        else:
            raise TypeError(f"a payload is bytes or text, not {type(payload).__name__}")
        if len(data) > self.settings.maxPayload:
            raise PayloadTooLarge(f"{len(data)} bytes, {self.settings.maxPayload} are allowed")
        if self._flushes != self.factory.turn.flushes:
            self._flushes, self._unwritten = self.factory.turn.flushes, 0
        more = self._unwritten + len(data) + FRAME
        for link in self._neighbours.values():
            if link.pausedSince is not None and (
                self._holdsUp(link) or self._unread(link) + more > self.settings.maxBacklog
            ):
                raise Busy("a neighbour does not read as fast as this peer publishes")
        return data

    def _publish(self, data: bytes) -> Message:
        self.factory.counters["published"] += 1
        self._unwritten += len(data) + FRAME
        with self.factory.turn:
            message = self.broadcast.publish(self.identity, data, self._reactor.seconds())
        if not isinstance(message, Message):
            raise TypeError(f"{type(self.broadcast).__name__}.publish returned {message!r:.99}, which is no Message")
        return message

    def subscribe(self, subscriber: Callable[[Delivery], object], ordered: bool = False) -> Callable[[], None]:
        """
        Call C{subscriber} with every message that is seen for the first time, this peer's own included.

        After each start that is every one which others still keep, so a peer that is started again is told anew of
        those, its own included.
        One that raises is logged and stays.  What it returns is not looked at: that of an C{async def} would never run.

        @param ordered: each origin's messages in the order of their numbers.  One that came early waits for those
            before it, until they are given up (event C{lost}); one that comes after that is left out.
        @return: call this to end it.
        """
        return self._subscribers.add(subscriber, ordered)

    def batch(self) -> Turn:
        """
        A context: what is published within is written once per neighbour at its end.

        It holds back everything that this node writes, answers to pings
        too: never hold it across an C{await} or until a Deferred fires.

        @raise NotRunning: this peer was never started.
        """
        if not self._lives:
            raise NotRunning("this peer was not started")
        return self.factory.turn

    def recent(self) -> list[Delivery]:
        """The messages that are kept for others, the oldest first."""
        return [Delivery(message, time) for time, message in self.broadcast.recent()]

    def status(self) -> dict[str, Any]:
        """
        See L{INode}.

        @raise NotRunning: this peer was never started.
        """
        if not self._lives:
            raise NotRunning("this peer was not started")
        neighbours = self._neighbours.values()
        status = self.describe(
            self.address,
            {
                "neighbours": len(self._neighbours),
                "outgoing": sum(link.outgoing for link in neighbours),
                "seeds": sum(seed.connected for seed in self._seeds),
                "known": self._knownOthers(),
                "backlog": sum(link.backlog for link in neighbours),
            },
        )
        status["counters"]["duplicates"] = self.broadcast.duplicates
        status["counters"]["originsRefused"] = self.broadcast.refused
        settings = self.settings
        return {
            **status,
            "overlay": settings.overlay,
            "broadcast": settings.broadcast,
            "detector": settings.detector,
            "seeds": {str(seed.address): seed.connected for seed in self._seeds},
        }

    def peers(self) -> dict[str, Any]:
        """Whom this peer is linked to, see docs/operations.md."""
        return {
            "time": self._reactor.seconds(),
            "neighbours": [
                {
                    "address": link.contact.address,
                    "id": link.contact.id.hex(),
                    "incarnation": incarnationOf(link.contact.identity),
                    "direction": "out" if link.outgoing else "in",
                    "state": "suspected" if link.suspected else "up",
                    "rtt": link.rtt,
                    "since": link.since,
                }
                for link in self._neighbours.values()
            ],
            "known": self._knownOthers(),
        }

    # What strategies ask for: their outlets.

    def send(self, neighbours: Iterable[Any], message: AnyMessage) -> None:
        """Send one message to each of those neighbours; it is packed once."""
        if self._confirmations.watching:
            neighbours = list(neighbours)
            self.factory.turn.send(neighbours, encode(message))
            self._confirmations.sent(neighbours, message)
            return
        self.factory.turn.send(neighbours, encode(message))

    def deliver(self, message: Message, neighbour: PeerProtocol | None, now: float) -> None:
        """Hand a message to this node's subscribers."""
        self.factory.counters["delivered"] += 1
        if not self._subscribers.any and not self.events.messageListeners:
            return
        delivery = Delivery(message, now, neighbour.contact if neighbour is not None else None)
        self._subscribers.tell(delivery)
        if self.events.messageListeners:
            self._tellDelivered(delivery)

    def lost(self, origin: bytes, first: int, last: int) -> None:
        """Numbers of an origin are given up."""
        self.factory.counters["lost"] += last - first + 1
        who = identityText(origin)
        self._log.warn("messages {first} to {last} of {origin} are lost", first=first, last=last, origin=who)
        self.events.emit("lost", origin=who, first=first, last=last)

    def later(self, delay: float, call: Callable[[float], object]) -> Any:
        """
        Call a strategy in so many seconds.

        @raise NotRunning: this peer was never started.
        """
        if not self._lives:
            # It would be called though this peer may never be.
            raise NotRunning("a timer, asked for before this peer is started")
        return self._timers.later(delay, lambda: self._tick(call))

    def connect(self, contact: Contact, urgent: bool = False) -> None:
        """Dial a peer to be its neighbour."""
        now = self._reactor.seconds()
        address = Address.fromText(contact.address)
        reason = (
            reasons.LOCAL if not self.running
            else reasons.DUPLICATE if contact.address in self._dials
            else reasons.SLOW if self._slow.shunned(contact.id, address.host, now)
            else ""
        )  # fmt: skip
        if reason:
            self._tell(self.overlay.dialFailed, contact, reason, now)
            return

        def over(result: Any) -> Any:
            if self._dials.get(contact.address, (b"", None))[1] is dialling:
                del self._dials[contact.address]
            return result

        dialling = self.factory.dial(address, NEIGHBOUR, urgent)
        self._dials[contact.address] = (contact.id, dialling)
        dialling.addBoth(over).addCallbacks(
            self._welcomed, self._notLinked, callbackArgs=(contact,), errbackArgs=(contact,)
        )
        dialling.addErrback(lambda failure: self._log.failure("dialling failed", failure))

    def disconnect(self, neighbour: PeerProtocol, reason: str) -> None:
        """End a link politely."""
        neighbour.close(reason)

    def probe(self, contact: Contact) -> None:
        """Dial afresh and ask; the detector is told."""
        self.ask(contact, self.detector.probed)

    def ask(self, contact: Contact, answer: Callable[[Contact, Outcome, float], object]) -> None:
        """Dial afresh and ask."""

        def done(outcome: Outcome) -> None:
            if self.running:
                self.factory.counters["probes"] += 1
                with self.factory.turn:
                    answer(contact, outcome, self._reactor.seconds())

        probe(self.factory, contact).addCallback(done).addErrback(
            lambda failure: self._log.failure("a probe failed", failure)
        )

    def suspected(self, neighbour: PeerProtocol) -> None:
        """A neighbour is suspected, or no longer."""
        type = "suspected" if neighbour.suspected else "trusted"
        self._happened(type, neighbour.contact, "{peer} at {address} {type}")

    def dead(self, contact: Contact, evidence: str) -> None:
        """A peer is dead: drop it, tell the seeds."""
        now = self._reactor.seconds()
        self.factory.counters["deaths"] += 1
        self._happened("dead", contact, "{peer} at {address} is dead: {evidence}", evidence=evidence)
        link = self._neighbours.get(contact.id)
        if link is not None and link.contact.identity <= contact.identity:
            link.close(reasons.DEAD, evidence)
        self._tell(self.overlay.dead, contact, evidence, now)
        told = [str(seed.address) for seed in self._seeds if seed.report(contact, evidence)]
        if told:
            where = ", ".join(told)
            self._happened("reportedDead", contact, "reported {peer} dead to {where}", {"where": where}, seeds=told)
        else:
            self._log.info("reported {peer} dead to no seed: none answers", peer=identityText(contact.identity))

    # What links and seeds tell.

    def known(self, count: int, exclude: Container[bytes] = ()) -> list[Contact]:
        """See L{p2p.interfaces.IOverlay.known}; nobody, if the overlay cannot say."""
        try:
            known = list(self.overlay.known(count, exclude))
            for each in known:
                if not isinstance(each, Contact):
                    raise TypeError(f"it names {each!r:.99}, which is no Contact")
            return known
        except Exception:
            self._log.failure("a strategy failed on {event}", event=f"{type(self.overlay).__name__}.known")
            return []

    def admit(self, link: PeerProtocol, contact: Contact, now: float) -> str | None:
        """May this caller become a neighbour, on that link?  C{None} for yes, else the reason."""
        if not self.running:
            return reasons.LEAVING
        if self._slow.shunned(contact.id, link.host, now):
            self.factory.counters["slowRefused"] += 1
            return reasons.SLOW
        reason: str | None = self._settle(contact, outgoing=False)
        if reason:
            return reason
        id, dialling = self._dials.get(contact.address, (b"", None))
        atOnce = dialling is not None and id == contact.id
        if atOnce and oursStays(self.identity, contact.identity):
            return reasons.DUPLICATE
        reason = reasons.FULL if self._crowded(link.host) else self.overlay.accept(contact, link.urgent, now)
        if reason is None and dialling is not None and atOnce:
            dialling.cancel()
        return reason

    def neighbourUp(self, link: PeerProtocol, now: float) -> None:
        """A link is open: tell everyone, for as long as nobody has ended it."""
        link.since = now
        if link.outgoing and link.mine != self.identity:
            # Called dead, and alive after all, since it said Hello there.
            link.send(Alive(self.identity))
        link.mine = self.identity
        self._neighbours[link.contact.id] = link
        self.factory.counters["neighboursUp"] += 1
        direction, line = (
            ("out", "linked to {peer} at {address}, {count} neighbours") if link.outgoing
            else ("in", "linked from {peer} at {address}, {count} neighbours")
        )  # fmt: skip
        self._happened("neighbourUp", link.contact, line, {"count": len(self._neighbours)}, direction=direction)
        for listener in (self.overlay, self.broadcast, self.detector):
            if not link.reason:
                self._tell(listener.neighbourUp, link, now)

    def linkEnded(self, link: Link, now: float) -> None:
        """Some link is of no more use: if it was a neighbour's, tell everyone."""
        for seed in self._seeds:
            seed.ended(link)
        contact = link.contact
        if not isinstance(link, PeerProtocol) or self._neighbours.get(contact.id) is not link:
            return
        del self._neighbours[contact.id]
        self.factory.counters["neighboursDown"] += 1
        if link.reason == reasons.SLOW and self._wasSlow(link, now):
            self.factory.counters["slowReaders"] += 1
            brief = link.pausedSince is None or now - link.pausedSince < BRIEF * self.settings.slowTimeout
            pause = self._slow.cutOff(contact.id, link.host, now, brief)
            if pause:
                text = "{peer} did not read: left alone for {seconds:.0f} s"
                self._log.info(text, peer=identityText(contact.identity), seconds=pause)
        # Of one that broke the protocol the log has told already: one fault, one line.
        line = "" if link.faulty else "link to {peer} at {address} ended: {why}; {count} neighbours"
        logged = {"why": link.why, "detail": link.detail, "count": len(self._neighbours)}
        self._happened("neighbourDown", contact, line, logged, reason=link.reason)
        self._tell(self.broadcast.neighbourDown, link, link.reason, now)
        if self.running:
            self._tell(self.detector.neighbourDown, link, link.reason, now)
            self._tell(self.overlay.neighbourDown, link, link.reason, now)
            if link.byOther and link.reason == reasons.DEAD:
                self.calledDead(link.mine, f"{identityText(contact.identity)} at {contact.address}")
        # What that one had still to confirm, the broadcast may have sent to others now: they are waited for.
        self._confirmations.gone(link)

    def goodbyeUnanswered(self, link: Link, now: float) -> None:
        """
        A neighbour that this peer had taken leave of has not said another word.

        It may have died just then, and nobody else be there to find that out.
        """
        if not self.running or not isinstance(link, PeerProtocol) or link.since is None or link.reason == reasons.DEAD:
            return
        if link.contact.id not in self._neighbours:
            self._tell(self.detector.neighbourDown, link, reasons.TIMEOUT, now)

    def listed(self, seed: Address, contacts: list[Contact], total: int, fresh: bool, now: float) -> None:
        """A seed has answered: these contacts, of so many."""
        if contacts or fresh:
            self._log.info(
                "seed {seed} lists {count} of {total} active", seed=str(seed),
                count=len(contacts), total=total,
            )  # fmt: skip
            self._tell(self.overlay.listed, self._notMe(contacts), fresh, now)
        if fresh:
            self.save()
            self.events.emit("registered", seed=str(seed), active=total)

    def calledDead(self, identity: bytes, by: str) -> None:
        """
        Somebody says that this peer is dead, under that identity: take a higher incarnation and say so.
        """
        if idOf(identity) != idOf(self.identity) or identity < self.identity or not self.running:
            return
        incarnation = incarnationOf(identity) + 1
        if incarnation > min(MAX_INCARNATION, incarnationOf(self.identity) + MAX_LEAP):
            self._log.warn("{by} calls {peer} dead, which is beyond belief", by=by, peer=identityText(identity))
            return
        if not self._refutations.allow("", self._reactor.seconds()):
            self._log.warn("called dead by {by} once too often; not refuted now", by=by)
            return
        self.factory.identity = makeIdentity(idOf(identity), incarnation)
        self.factory.counters["refutations"] += 1
        self._log.warn("called dead by {by}; alive as {peer}", by=by, peer=identityText(self.identity))
        self.events.emit("refuted", by=by, peer=identityText(self.identity))
        self.save()
        with self.factory.turn:
            for link in self._neighbours.values():
                link.mine = self.identity
                link.send(Alive(self.identity))
            for seed in self._seeds:
                seed.register()

    # Private.

    def _welcomed(self, link: Link, contact: Contact) -> None:
        """Somebody has let this peer in where it expected C{contact}."""
        assert isinstance(link, PeerProtocol)
        now = self._reactor.seconds()
        found = link.contact
        if found.id != contact.id:
            self._tell(self.overlay.dialFailed, contact, reasons.STALE, now)
        if found.id == idOf(self.identity):
            link.close(reasons.SELF, "you say that you are me")
            return
        reason = self._settle(found, outgoing=True)
        if reason:
            link.close(reason)
            self._tell(self.overlay.dialFailed, contact, reason, now)
            return
        self.factory.enter(link, self.handlers, self.limit)
        self.neighbourUp(link, now)
        self._learned(link.others, now)

    def _notLinked(self, failure: Failure, contact: Contact) -> None:
        """Nothing came of dialling that contact."""
        error = failure.value
        now = self._reactor.seconds()
        if not isinstance(error, DialFailed):
            # Given up, because that peer dialled this one.
            self._tell(self.overlay.dialFailed, contact, reasons.DUPLICATE, now)
            return
        log = self._log.debug
        if error.reason in _FOREIGN and error.reason not in self._foreign:
            # Once: the seeds may name it again and again.
            self._foreign.add(error.reason)
            log = self._log.warn
        log("{address} not linked: {why}", address=contact.address, why=str(error))
        # Asked first, for the overlay may forget it now.
        shown = self.overlay.wasShown(contact)
        self._tell(self.overlay.dialFailed, contact, error.reason, now)
        if self.running and shown:
            # What somebody named may have been invented, and that nobody is there says nothing of whose name it bears.
            self._tell(self.detector.dialFailed, contact, error.reason, now)
        if self.running:
            self._learned(_plausible(error.others), now)

    def _settle(self, contact: Contact, outgoing: bool) -> str:
        """A new link to a peer: end the old one, if there is one, or tell the reason to end the new one with."""
        linked = self._neighbours.get(contact.id)
        if linked is None:
            return ""
        reason, ended = settle(self.identity, contact.identity, outgoing, linked)
        if ended == reasons.STALE:
            # Anybody may say so.
            self._doubt(linked)
            return reasons.DUPLICATE
        if ended:
            linked.close(ended, "there is a later link")
        return reason

    def _doubt(self, link: PeerProtocol) -> None:
        """Somebody says that this neighbour lives on under a later incarnation: see who is where it listens."""
        now = self._reactor.seconds()
        if now - link.doubted < self.settings.probeTimeout:
            return
        link.doubted = now

        def answered(contact: Contact, outcome: Outcome, now: float) -> None:
            found = outcome.contact
            same = outcome.verdict is Verdict.ALIVE and (found is None or found.identity == link.contact.identity)
            if not same and outcome.verdict is not Verdict.UNSURE:
                link.close(reasons.STALE, "it lives on under a later incarnation")

        self.ask(link.contact, answered)

    def _makeStrategies(self) -> None:
        """Begin with strategies that know nothing yet."""
        made = {kind: makeStrategy(kind, self, self.settings, self.random) for kind in KINDS}
        self.overlay, self.broadcast, self.detector = (made[kind][0] for kind in KINDS)
        takers: dict[type, str] = dict.fromkeys((Alive, Close, Sync, Synced), "peer itself")
        for kind, (_, handlers) in made.items():
            for type in handlers:
                other = takers.setdefault(type, kind)
                if other != kind and type is not Custom:
                    # One of them would not hear it.
                    name = getattr(self.settings, kind)
                    raise SettingError(f"{kind}: {name!r} takes {type.__name__}, and so does the {other}")
        self._custom = {kind: handlers[Custom] for kind, (_, handlers) in made.items() if Custom in handlers}
        self.handlers: Handlers = {
            Alive: self._alive,
            **{type: received for _, handlers in made.values() for type, received in handlers.items()},
            Custom: self._customReceived,
            Sync: lambda message, link, now: link.send(Synced(message.number)),
            Synced: lambda message, link, now: self._confirmations.synced(message.number, link),
        }
        self._subscribers.forget()

    def _customReceived(self, message: Custom, link: PeerProtocol, now: float) -> None:
        """A message that only one of the strategies knows."""
        received = self._custom.get(message.kind)
        if received is None:
            raise RemoteProtocolError(reasons.MALFORMED, f"a message of its own for the {message.kind}")
        received(message, link, now)

    def _tickBroadcast(self, now: float) -> None:
        self.broadcast.tick(now)
        self._subscribers.look()

    def _alive(self, message: Alive, link: PeerProtocol, now: float) -> None:
        """A neighbour has taken a higher incarnation."""
        if idOf(message.identity) != link.contact.id:
            raise RemoteProtocolError(reasons.MALFORMED, "Alive of somebody else")
        if message.identity > link.contact.identity:
            link.contact = Contact(message.identity, link.contact.address)
            self._learned([link.contact], now)

    def _tell(self, event: Callable[..., object], *what: Any) -> None:
        """Tell a strategy of an event; one that fails does not keep the others from being told."""
        try:
            event(*what)
        except Exception:
            self._log.failure("a strategy failed on {event}", event=getattr(event, "__qualname__", event))

    def _happened(
        self, type: str, contact: Contact, line: str, logged: Mapping[str, object] = _NOTHING, **fields: object
    ) -> None:
        """
        Something became of another peer: a line in the log, and an event of that type.

        @param line: the format of the line; empty for none.
        @param logged: what stands in the line only.
        @param fields: what stands in both, besides C{peer} and C{address}.
        """
        fields.update(peer=identityText(contact.identity), address=contact.address)
        if line:
            self._log.info(line, type=type, **fields, **logged)
        self.events.emit(type, **fields)

    def _notMe(self, contacts: Iterable[Contact]) -> list[Contact]:
        """Those that are not this peer."""
        mine = idOf(self.identity)
        return [contact for contact in contacts if contact.id != mine]

    def _learned(self, contacts: Iterable[Contact], now: float) -> None:
        self._tell(self.overlay.learned, self._notMe(contacts), now)

    def _tick(self, tick: Callable[[float], object]) -> None:
        with self.factory.turn:
            tick(self._reactor.seconds())

    def _watch(self, now: float) -> None:
        """Who reads, and who is alive."""
        # What others took while this process slept, it has not been told yet.
        interval = self.settings.livenessInterval
        late, self._watched = slept(self._watched + interval, now, interval), now
        for link in self.neighbours:
            paused = link.pausedSince
            if paused is not None and now - paused > self.settings.slowTimeout and self._holdsUp(link) and not late:
                unread = self._unread(link)
                self._log.warn("{link} reads too slowly: cut off with {bytes} unsent", link=link, bytes=unread)
                link.abort(reasons.SLOW, f"publishing waited for it, {unread} bytes unread")
        self.detector.tick(now)

    def _knownOthers(self) -> int:
        """How many it could name to others, besides its neighbours."""
        return len(self.known(self.settings.maxKnown, self._neighbours))

    def _holdsUp(self, link: PeerProtocol) -> bool:
        """Nothing is published until that neighbour has read."""
        return self._heldUp(self._unread(link))

    def _unread(self, link: PeerProtocol) -> int:
        """
        What a neighbour that does not read leaves unread, in bytes.

        Also what it has been promised: it will ask for that, or be sent it without.
        """
        return link.backlog + self._promised(link)

    def _promised(self, link: PeerProtocol) -> int:
        """See L{p2p.interfaces.IBroadcast.promised}; nothing, if the broadcast cannot say."""
        try:
            return int(self.broadcast.promised(link))
        except Exception:
            self._log.failure("a strategy failed on {event}", event="promised")
            return 0

    def _wasSlow(self, link: PeerProtocol, now: float) -> bool:
        """
        Whether one that was cut off for not reading is to blame for it, not others that had left too much unread.

        What it was promised only a moment ago is no fault of its own: it could not even ask for that.
        """
        if self._heldUp(link.unread):
            return True
        long = link.pausedSince is not None and now - link.pausedSince > self.settings.slowTimeout
        return long and self._heldUp(link.unread + self._promised(link))

    def _heldUp(self, unread: int) -> bool:
        return unread > self.settings.maxBacklog // 2

    def _crowded(self, host: str) -> bool:
        """As many neighbours as may be have dialled from that address, or from others of its holder's."""
        if ip_address(host).is_loopback:
            return False
        caller = holder(host)
        inbound = sum(holder(link.host) == caller for link in self._neighbours.values() if not link.outgoing)
        return inbound >= self.settings.maxInboundPerHost

    def _askSeeds(self) -> None:
        # A sample is enough to meet newcomers by, unless contacts are lacking.
        plenty = bool(self._neighbours) and len(self.known(SAMPLE)) >= SAMPLE
        for seed in self._seeds:
            seed.ask(SAMPLE if plenty else self.settings.maxKnown)

    def _gossip(self) -> None:
        """Make a message of one's own."""
        try:
            self.publish(f"{self._reactor.seconds():.3f} {self.address} message {self._gossiped + 1}")
        except Busy as error:
            self._log.warn("a message waits: {error}", error=str(error))
            return
        self._gossiped += 1
        if self._gossiped >= self.settings.gossipCount:
            self._timers.stop("gossip")

    def _tellDelivered(self, delivery: Delivery) -> None:
        fields: dict[str, Any] = {
            "id": delivery.id,
            "origin": delivery.origin,
            "hops": delivery.hops,
            "from": delivery.sender.address if delivery.sender is not None else None,
        }
        try:
            fields["payload"] = delivery.payload.decode()
        except UnicodeDecodeError:
            fields["payloadBase64"] = b64encode(delivery.payload).decode()
        self.events.emit("delivered", **fields)

    def _memory(self) -> PeerMemory:
        """What the next life is to know of this one."""
        return PeerMemory(idOf(self.identity), incarnationOf(self.identity), self._remembered)


def _plausible(contacts: Iterable[Contact]) -> list[Contact]:
    """Those whose address may be passed on; what a refusal names is not worth an error."""
    found = []
    for contact in contacts:
        try:
            found.append(checkedContact(contact))
        except RemoteProtocolError:
            continue
    return found
