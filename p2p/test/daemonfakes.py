"""
A node, a claim and a clock for the tests of C{p2p.daemon}, without a network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from p2p.daemon.claim import Claim
from p2p.daemon.web import Site
from p2p.events import PEER_EVENTS, Events
from p2p.identity import makeIdentity
from p2p.interfaces import INode
from p2p.peer.confirm import Confirmed
from p2p.peer.delivery import Delivery
from p2p.peer.errors import Busy, PayloadTooLarge
from p2p.settings import PeerSettings, SeedSettings
from p2p.wire.messages import Contact, Message

OTHER = Contact(makeIdentity(b"otherpee", 3), "127.0.0.1:6002")
"""Somebody who brings messages."""


def delivery(sequence: int, payload: bytes = b"text", time: float = 0.0, sender: Contact | None = OTHER) -> Delivery:
    """A message, seen at C{time}."""
    return Delivery(Message(OTHER.identity, sequence, 2, payload), time, sender)


@implementer(INode)
class FakeNode(Service):
    """
    A node that publishes to nobody.

    @ivar published: payloads, each with whether it was part of a batch.
    @ivar confirming: what is waited for: for how long, and what is to fire.
    @ivar busyAfter: how many it takes before it is busy.
    @ivar story: what is called, in order, shared with whoever wants to know.
    """

    name = "node"

    def __init__(self, clock: Clock, role: str = "peer", story: list[str] | None = None) -> None:
        self.role = role
        self.settings = PeerSettings(maxPayload=100) if role == "peer" else SeedSettings()
        self.events = Events(clock.seconds, PEER_EVENTS)
        self.published: list[tuple[bytes, bool]] = []
        self.busyAfter = 10**9
        self.seen: list[Delivery] = []
        self.subscribers: list[Callable[[Delivery], object]] = []
        self.story = [] if story is None else story
        self.startError: Exception | None = None
        self.stopResult: Any = None
        self.confirming: list[tuple[float, Deferred[Confirmed]]] = []
        self._inBatch = False

    def privilegedStartService(self) -> None:
        """Listen, or fail as told."""
        self.story.append("node listens")
        if self.startError is not None:
            raise self.startError

    def startService(self) -> None:
        """Begin."""
        super().startService()
        self.story.append("node starts")

    def stopService(self) -> Any:
        """Say goodbye."""
        super().stopService()
        self.story.append("node stops")
        return self.stopResult

    def publish(self, payload: bytes | str) -> str:
        """Take a payload."""
        data = payload.encode() if isinstance(payload, str) else payload
        assert isinstance(self.settings, PeerSettings)
        if len(data) > self.settings.maxPayload:
            raise PayloadTooLarge("too large, says the node")
        if len(self.published) >= self.busyAfter:
            raise Busy("a neighbour does not read")
        self.published.append((data, self._inBatch))
        return f"id-{len(self.published)}"

    def publishConfirmed(self, payload: bytes | str, seconds: float) -> Deferred[Confirmed]:
        """Take a payload, and leave it to the test when it is confirmed."""
        self.publish(payload)
        self.confirming.append((seconds, Deferred()))
        return self.confirming[-1][1]

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Publish many at once."""
        self._inBatch = True
        try:
            yield
        finally:
            self._inBatch = False

    def subscribe(self, subscriber: Callable[[Delivery], object]) -> Callable[[], None]:
        """Keep a subscriber."""
        self.subscribers.append(subscriber)
        return lambda: self.subscribers.remove(subscriber)

    def recent(self) -> list[Delivery]:
        """What was put into C{seen}."""
        return list(self.seen)

    def status(self) -> dict[str, Any]:
        """Some figures."""
        return {
            "role": self.role,
            "id": "00" * 8,
            "incarnation": 1,
            "address": "127.0.0.1:6001",
            "network": "p2p",
            "uptime": 2.5,
            "counters": {"neighboursUp": 3},
            "gauges": {"neighbours": 2},
        }

    def peers(self) -> dict[str, Any]:
        """Nobody."""
        return {"neighbours": [], "known": 7}


class FakeClaim(Claim):
    """
    A claim that is always granted, or refused as told.

    @ivar taken: what was asked for.
    @ivar refuse: what to raise when a port is asked for.
    @ivar ours: this machine's addresses.
    @ivar separate: who listens on C{::} takes no callers over IPv4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[str, Any]] = []
        self.refuse: Exception | None = None
        self.released = 0
        self.ours = {"127.0.0.1", "::1", "::"}
        self.separate = False

    def port(self, host: str, port: int) -> int:
        """Grant any port; 40000 where it does not matter."""
        if self.refuse is not None:
            raise self.refuse
        self.taken.append((host, port))
        return port or 40000

    def isOurs(self, host: str) -> bool:
        """As told."""
        return host in self.ours

    def sixthOnly(self) -> bool:
        """As told."""
        return self.separate

    def files(self, directory: str, name: str) -> None:
        """Grant all files of a name."""
        self.taken.append((directory, name))

    def listening(self) -> None:
        """Note it."""
        self.taken.append(("listening", None))

    def release(self) -> None:
        """Count it."""
        self.released += 1


class WebTransport(StringTransport):
    """
    A connection to an HTTP interface.

    @ivar aborted: it was cut off.
    @ivar full: the other side does not read, so whoever writes is told to pause.
    """

    def __init__(self, host: IAddress | None = None) -> None:
        super().__init__(hostAddress=host or UNIXAddress(b"/peer-6001.sock"))
        self.aborted = False
        self.full = False

    def write(self, data: bytes) -> None:
        """Keep it for the test."""
        super().write(data)
        if self.full and self.producer is not None:
            self.producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """As a real one does, be there none."""
        self.producer = None

    def abortConnection(self) -> None:
        """Note it."""
        self.aborted = True
        super().abortConnection()


def tcp(host: str = "127.0.0.1", port: int = 8001) -> IPv4Address:
    """The address of an HTTP interface on TCP."""
    return IPv4Address("TCP", host, port)


@attrs.frozen
class Answer:
    """
    What came back over HTTP.

    @ivar headers: by name, in lower case.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Caller:
    """
    One connection to a site, from outside.

    @ivar transport: what the site writes to.
    """

    def __init__(self, site: Site, host: IAddress | None = None) -> None:
        self.transport = WebTransport(host)
        channel = site.buildProtocol(None)
        assert channel is not None
        self.channel = channel
        channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Send bytes, and let the reactor go on."""
        self.channel.dataReceived(data)
        self.channel.site.reactor.advance(0)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask, and take the answer."""
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in {"Host": "localhost", **(headers or {})}.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        return self.take(head=method == "HEAD")

    def take(self, head: bool = False) -> Answer:
        """Take one answer; what follows it stays."""
        text, _, rest = self.transport.value().partition(b"\r\n\r\n")
        first, *lines = text.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = 0 if head else int(headers.get("content-length", len(rest)))
        self.transport.clear()
        self.transport.write(rest[size:])
        return Answer(int(first.split(" ")[1]), headers, rest[:size])

    def read(self) -> None:
        """Read what was written, not having done so before."""
        self.transport.full = False
        self.channel.resumeProducing()
        self.channel.site.reactor.advance(0)

    def hangUp(self) -> None:
        """End the connection."""
        self.channel.connectionLost(Failure(ConnectionDone()))
