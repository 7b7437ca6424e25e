"""
What a frame costs a peer, from its socket to the neighbours' sockets: the daemons' own code, and nothing around it.

A flood's broadcast and its links are made as a peer makes them, over transports
that take everything at once.  C{--links} neighbours bring each message once,
C{--together} messages in each piece of bytes; the first to come is relayed to
all others.  C{--hops} says with how many different hop counts the copies of a
message come: 1, as most do in a large network, or several, as in a small one.

It takes a second, and its CPU time hardly depends on what else the machine
does: to be run before and after a change of L{p2p.wire} or L{p2p.peer}.
"""

from __future__ import annotations

import json
import sys
import time
from random import Random
from typing import Any

import click
from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock

from bench.process import machine
from p2p.peer.broadcast import Flood
from p2p.settings import PeerSettings
from p2p.wire.codec import OVERHEAD, encode
from p2p.wire.factory import LinkFactory
from p2p.wire.link import Link
from p2p.wire.messages import AnyMessage, Message

SIZE = 64
"""Bytes of a payload."""

ORIGINS = 16
"""Peers that publish."""


class Socket:
    """A transport as Twisted's TCP one looks to a link, which is never full."""

    dataBuffer = b""
    _tempDataLen = 0

    def getPeer(self) -> IPv4Address:
        """Somebody."""
        return IPv4Address("TCP", "10.0.0.2", 6000)

    getHost = getPeer

    def setTcpNoDelay(self, enabled: bool) -> None:
        """As you like."""

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """It will never be paused."""

    def writeSomeData(self, data: bytes) -> int:
        """All of it."""
        return len(data)


class Outlet:
    """What a peer does for its broadcast, as C{PeerService} does it."""

    def __init__(self, factory: LinkFactory) -> None:
        self.delivered = self.relayed = 0
        self._turn = factory.turn

    def send(self, neighbours: Any, message: AnyMessage) -> None:
        """Pack it once."""
        self.relayed += len(neighbours) * isinstance(message, Message)
        self._turn.send(neighbours, encode(message))

    def deliver(self, message: Message, neighbour: object, now: float) -> None:
        """Count it."""
        self.delivered += 1


def pieces(links: int, messages: int, together: int, hops: int, random: Random) -> list[list[bytes]]:
    """What each link brings, each piece an object of its own as it comes from a socket."""
    origins = [random.randbytes(16) for _ in range(ORIGINS)]
    said = [(origins[n % ORIGINS], 1 + n // ORIGINS, random.randbytes(SIZE)) for n in range(messages)]
    brought = []
    for link in range(links):
        frames = [encode(Message(o, s, 1 + (link + n) % hops, p)) for n, (o, s, p) in enumerate(said)]
        brought.append([b"".join(frames[start : start + together]) for start in range(0, messages, together)])
    return brought


def measure(links: int, messages: int, together: int, hops: int) -> dict[str, Any]:
    """Let that many links bring that many messages."""
    reactor = MemoryReactorClock()
    reactor.seconds = time.time  # type: ignore[method-assign]
    settings = PeerSettings()
    factory = LinkFactory(reactor, settings, bytes(16), None, 100)
    outlet = Outlet(factory)
    flood = Flood(outlet, settings, Random(1))
    made = []
    for _ in range(links):
        link = Link(factory)
        link.makeConnection(Socket())
        link.opened({type: flood.received for type in flood.messages}, settings.maxPayload + OVERHEAD)
        flood.neighbourUp(link, 0.0)
        made.append(link)
    brought = list(zip(*pieces(links, messages, together, hops, Random(1)), strict=True))
    started = time.process_time()
    for piece in brought:
        for link, data in zip(made, piece, strict=True):
            link.dataReceived(data)
    seconds = time.process_time() - started
    return {
        "links": links,
        "messages": messages,
        "together": together,
        "hops": hops,
        "delivered": outlet.delivered,
        "relayed": outlet.relayed,
        "nanosecondsPerFrame": round(seconds / (links * messages) * 1e9),
    }


@click.command()
@click.option("--links", default=6, type=click.IntRange(2, 100), show_default=True, help="Neighbours.")
@click.option("--messages", default=10_000, type=click.IntRange(1), show_default=True, help="Messages each brings.")
@click.option("--together", default="1,10", show_default=True, help="Messages in a piece, with commas between.")
@click.option("--hops", default="1,3", show_default=True, help="Hop counts of a message's copies, with commas between.")
@click.option("--repeat", default=3, type=click.IntRange(1), show_default=True, help="Repetitions.")
@click.option("--json", "asJson", is_flag=True, help="Print one JSON object instead of a table.")
def command(links: int, messages: int, together: str, hops: str, repeat: int, asJson: bool) -> None:
    """What a frame costs a peer, from its socket to the neighbours' sockets, in CPU time."""
    results = []
    for _ in range(repeat):
        for few in map(int, together.split(",")):
            for counts in map(int, hops.split(",")):
                results.append(measure(links, messages, few, counts))
                if not asJson:
                    click.echo("  ".join(f"{name} {value}" for name, value in results[-1].items()))
    if asJson:
        click.echo(json.dumps({"benchmark": "frames", "machine": machine(sys.executable), "runs": results}, indent=1))
