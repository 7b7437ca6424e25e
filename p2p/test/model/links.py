"""
Overlays by themselves, on links that are but names: no bytes, no sockets, no other strategy.

Where ten thousand peers are to be looked at for many minutes, the simulated network with its services takes an hour.
Here each peer is an overlay and an outlet; what one end of a link does reaches the other after C{latency} seconds, in
order. What the service sees to (one link for two peers, who may come in, whom a refusal names, that a broken link leads
to a probe and a refused probe to a verdict) is done here in the same way, and L{p2p.test.model.hyparview} holds both
against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from zope.interface import implementer

from p2p.identity import makeIdentity
from p2p.interfaces import INeighbour, IOverlayOutlet
from p2p.peer.dialling import oursStays
from p2p.peer.service import NAMED, TICK
from p2p.peer.strategies import strategy
from p2p.settings import PeerSettings
from p2p.wire import reasons
from p2p.wire.messages import Contact
from p2p.wire.probe import Outcome, Verdict


@implementer(INeighbour)
class End:
    """
    One end of a link.

    @ivar other: the other end, which belongs to C{other.peer}.
    @ivar up: this end's peer has been told of it, and not of its end.
    """

    rtt: float | None = None
    suspected = False
    byOther = False
    heard = True
    arriving = 0

    def __init__(self, peer: Peer, contact: Contact, outgoing: bool) -> None:
        self.peer = peer
        self.contact = contact
        self.outgoing = outgoing
        self.up = False
        self.ended = False
        self.other: End


@implementer(IOverlayOutlet)
class Peer:
    """
    An overlay and its outlet.

    @ivar links: the ends of its links, by the other's id.
    """

    def __init__(self, links: Links, number: int) -> None:
        self.identity = makeIdentity(number.to_bytes(8, "big"), 1)
        self.contact = Contact(self.identity, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:6000")
        self.number = number
        self.alive = True
        self.links: dict[bytes, End] = {}
        # What it dials: the attempt's number by the other's id.
        self.dials: dict[bytes, int] = {}
        self._links = links
        random = Random(f"{links.seed} {number}")
        self.overlay = strategy("overlay", links.settings.overlay).make(self, links.settings, random)
        links.after(TICK * random.random(), self._tick)

    @property
    def dialled(self) -> int:
        """How many of its links it has dialled, or is dialling."""
        return sum(end.outgoing for end in self.links.values()) + len(self.dials)

    # What the overlay asks for.

    def send(self, neighbours: Iterable[End], message: Any) -> None:
        """See L{p2p.interfaces.IOutlet}."""
        links = self._links
        for end in neighbours:
            if not end.ended:
                links.frames += 1
                links.after(links.latency, self._arrived, end.other, message)

    def later(self, delay: float, call: Callable[[float], object]) -> Any:
        """See L{p2p.interfaces.IOutlet}."""
        raise NotImplementedError("no overlay asked for a timer until now")

    def connect(self, contact: Contact, urgent: bool = False) -> None:
        """See L{IOverlayOutlet}."""
        links = self._links
        links.dialled += 1
        attempt = self.dials[contact.id] = links.dialled
        links.after(links.latency, self._called, contact, urgent, attempt)

    def disconnect(self, end: End, reason: str, others: Iterable[Contact] = ()) -> None:
        """See L{IOverlayOutlet}."""
        if not end.ended:
            self._gone(end, reason)
            self._links.after(self._links.latency, self._over, end.other, reason)

    def ask(self, contact: Contact, answer: Callable[[Contact, Outcome, float], object]) -> None:
        """See L{IOverlayOutlet}."""
        there = self._links.at(contact)
        outcome = Outcome(Verdict.ALIVE, there.contact) if there.alive else Outcome(Verdict.REFUSED)
        self._links.after(2 * self._links.latency, self._told, answer, contact, outcome)

    # What happens.

    def crash(self) -> None:
        """Its process is gone; its neighbours see that their connections have broken off."""
        self.alive = False
        for end in list(self.links.values()):
            end.ended = True
            self._links.after(self._links.latency, self._over, end.other, reasons.LOST)

    def _tick(self) -> None:
        if self.alive:
            self.overlay.tick(self._links.now)
            self._links.after(TICK, self._tick)

    def _told(self, call: Callable[..., object], *what: object) -> None:
        if self.alive:
            call(*what, self._links.now)

    def _arrived(self, end: End, message: object) -> None:
        if end.up and end.peer.alive:
            end.peer.overlay.received(message, end, self._links.now)

    def _called(self, contact: Contact, urgent: bool, attempt: int) -> None:
        """A dial arrives."""
        links = self._links
        there = links.at(contact)
        if not there.alive:
            links.after(links.latency, self._failed, contact, reasons.REFUSED, (), attempt)
            return
        mine = self.contact
        if mine.id in there.links or (mine.id in there.dials and oursStays(there.identity, mine.identity)):
            reason: str | None = reasons.DUPLICATE
        else:
            reason = there.overlay.accept(mine, urgent, links.now)
        if reason is not None:
            others = there.overlay.known(NAMED, (mine.id,)) if reason == reasons.FULL else ()
            links.after(links.latency, self._failed, contact, reason, others, attempt)
            return
        if there.dials.pop(mine.id, None) is not None:
            there.overlay.dialFailed(mine, reasons.DUPLICATE, links.now)
        here, far = End(self, there.contact, True), End(there, mine, False)
        here.other, far.other = far, here
        links.after(links.latency, self._welcomed, here, there.overlay.known(NAMED, (mine.id,)), attempt)
        there._begin(far)

    def _welcomed(self, end: End, others: list[Contact], attempt: int) -> None:
        id = end.contact.id
        if not self.alive:
            self._links.after(self._links.latency, self._over, end.other, reasons.LOST)
        elif self.dials.get(id) != attempt:
            # It was given up, for a link that the other dialled.
            end.ended = True
            self._links.after(self._links.latency, self._over, end.other, reasons.DUPLICATE)
        else:
            del self.dials[id]
            self._begin(end)
            self.overlay.learned([contact for contact in others if contact.id != self.contact.id], self._links.now)

    def _failed(self, contact: Contact, reason: str, others: list[Contact], attempt: int) -> None:
        if not self.alive or self.dials.get(contact.id) != attempt:
            return
        del self.dials[contact.id]
        shown = self.overlay.wasShown(contact)
        self.overlay.dialFailed(contact, reason, self._links.now)
        if reason == reasons.REFUSED and shown:
            self._probe(contact)
        self.overlay.learned([other for other in others if other.id != self.contact.id], self._links.now)

    def _probe(self, contact: Contact) -> None:
        """The detector's part: dial afresh, and say that it is dead if that is refused."""

        def answered(contact: Contact, outcome: Outcome, now: float) -> None:
            if outcome.verdict is Verdict.REFUSED:
                self.overlay.dead(contact, outcome.verdict.value, now)

        self.ask(contact, answered)

    def _begin(self, end: End) -> None:
        self.links[end.contact.id] = end
        end.up = True
        self.overlay.neighbourUp(end, self._links.now)

    def _over(self, end: End, reason: str) -> None:
        """The other side has ended that link."""
        if end.peer.alive and end.up:
            end.peer._gone(end, reason)
            if reason == reasons.LOST:
                end.peer._probe(end.contact)

    def _gone(self, end: End, reason: str) -> None:
        end.ended = True
        end.up = False
        if self.links.get(end.contact.id) is end:
            del self.links[end.contact.id]
        self.overlay.neighbourDown(end, reason, self._links.now)


class Links:
    """
    Peers and the time.

    @ivar now: in seconds.
    @ivar frames: how many messages of the overlays' own were sent.
    @ivar dialled: how often somebody was dialled.
    """

    def __init__(self, settings: PeerSettings, latency: float, seed: int = 1) -> None:
        self.settings = settings
        self.latency = latency
        self.seed = seed
        self.random = Random(f"{seed} all")
        self.now = 0.0
        self.frames = 0
        self.dialled = 0
        self.peers: list[Peer] = []
        self._numbers = count()
        self._events: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []

    def after(self, delay: float, call: Callable[..., object], *what: object) -> None:
        """Let something happen in so many seconds."""
        heappush(self._events, (self.now + delay, next(self._numbers), call, what))

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        until = self.now + seconds
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, call, what = heappop(events)
            call(*what)
        self.now = until

    def join(self, contacts: Iterable[Contact]) -> Peer:
        """A peer more, to which a seed lists those."""
        peer = Peer(self, len(self.peers))
        self.peers.append(peer)
        peer.overlay.listed(list(contacts), True, self.now)
        return peer

    def at(self, contact: Contact) -> Peer:
        """Whose contact that is."""
        return self.peers[int.from_bytes(contact.id, "big")]

    def living(self) -> list[Peer]:
        """Those that run."""
        return [peer for peer in self.peers if peer.alive]

    def adjacency(self) -> list[list[int]]:
        """For each that runs, the places of those it is linked to, as both say, in the list of those that run."""
        living = self.living()
        place = {peer.contact.id: number for number, peer in enumerate(living)}
        return [
            [place[id] for id, end in peer.links.items() if id in place and end.up and end.other.up] for peer in living
        ]
