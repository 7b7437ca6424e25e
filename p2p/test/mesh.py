"""
Broadcasts joined by links, without peers, sockets or bytes: what tests of a broadcast at any size run on.

A link keeps its order, takes its latency, and if it has a bandwidth sends one
message after the other.  It can be cut, and what is under way is then lost.
Everything follows from the generator that the mesh was given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from random import Random
from typing import Any

from zope.interface import implementer

from p2p.interfaces import IBroadcastOutlet, INeighbour
from p2p.peer.strategies import strategy
from p2p.settings import PeerSettings
from p2p.test.fakes import contact, identity
from p2p.wire.codec import encode
from p2p.wire.messages import Batch, IHave, Message


@implementer(INeighbour)
class End:
    """
    What one node sees of a link.

    @ivar node: the one that sees it.
    @ivar other: what the one at the other end sees.
    """

    __slots__ = ("busy", "byOther", "contact", "heard", "node", "other", "outgoing", "rtt", "suspected", "up", "under")

    other: End

    def __init__(self, node: Node, to: Node, outgoing: bool) -> None:
        self.node = node
        self.contact = to.contact
        self.outgoing = outgoing
        self.heard = True
        self.rtt: float | None = None
        self.suspected = False
        self.byOther = False
        self.up = True
        # When the last message sent here arrives there.
        self.busy = 0.0
        # What is under way to this end: when it begins to arrive, when it is whole, its size.
        self.under: list[tuple[float, float, int]] = []

    @property
    def arriving(self) -> int:
        """See L{INeighbour}."""
        now = self.node.mesh.now
        for begin, end, size in self.under:
            if begin < now < end:
                return int(size * (now - begin) / (end - begin))
        return 0


class _Call:
    """A timer."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[float], object]) -> None:
        self.call: Callable[[float], object] | None = call

    def cancel(self) -> None:
        """Do not call it."""
        self.call = None


@implementer(IBroadcastOutlet)
class Node:
    """
    One of them.

    @ivar got: what was delivered, in its order: origin, number, time, hops.
    @ivar lostNumbers: what was given up: origin, first, last.
    """

    def __init__(self, mesh: Mesh, number: int, name: str, settings: PeerSettings) -> None:
        self.mesh = mesh
        self.number = number
        self.identity = identity(number + 1)
        self.contact = contact(number + 1)
        self.ends: dict[Node, End] = {}
        self.got: list[tuple[bytes, int, float, int]] = []
        self.lostNumbers: list[tuple[bytes, int, int]] = []
        self._name = name
        self._settings = settings
        self.broadcast: Any = None
        self.begin()

    def begin(self) -> None:
        """Start anew, knowing nothing."""
        self.broadcast = strategy("broadcast", self._name).make(self, self._settings, self.mesh.random)

    # The outlet.

    def send(self, neighbours: Iterable[End], message: Any) -> None:
        """See L{IBroadcastOutlet}."""
        # A copy, for a link may end as something is sent.
        for end in list(neighbours):
            self.mesh.carry(end, message)

    def later(self, delay: float, call: Callable[[float], object]) -> _Call:
        """See L{IBroadcastOutlet}."""
        timer = _Call(call)
        self.mesh.push(self.mesh.now + delay, timer)
        return timer

    def deliver(self, message: Message, neighbour: Any, now: float) -> None:
        """See L{IBroadcastOutlet}."""
        self.got.append((message.origin, message.sequence, now, message.hops))

    def lost(self, origin: bytes, first: int, last: int) -> None:
        """See L{IBroadcastOutlet}."""
        self.lostNumbers.append((origin, first, last))

    # What a test does with it.

    def publish(self, payload: bytes = b"") -> Message:
        """Publish a message of its own."""
        message: Message = self.broadcast.publish(self.identity, payload, self.mesh.now)
        return message

    def __repr__(self) -> str:
        return f"<node {self.number}>"


class Mesh:
    """
    All of them.

    @ivar frames: how many arrived, by type.
    @ivar bytes: and how many bytes, if sizes are counted.
    @ivar copies: payloads that arrived, alone or in a batch.
    @ivar announcements: messages that were announced to somebody, each as one.
    @ivar breaking: the probability with which a link ends as something is sent over it.
    @ivar started: how often a payload began to be sent to a node, by its number and the message's id.
    """

    def __init__(
        self,
        count: int,
        name: str = "plumtree",
        seed: int = 1,
        latency: Callable[[Random], float] = lambda random: random.uniform(0.010, 0.100),
        bandwidth: float = 0.0,
        **settings: Any,
    ) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.frames: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.copies = 0
        self.announcements = 0
        self.breaking = 0.0
        self.started: Counter[tuple[int, bytes, int]] = Counter()
        self._latency = latency
        self._bandwidth = bandwidth
        self._queue: list[tuple[float, int, Any, Any]] = []
        self._serial = 0
        self._settings = PeerSettings(**settings)
        self._name = name
        self.nodes = [Node(self, number, name, self._settings) for number in range(count)]

    # Time.

    def push(self, when: float, what: Any, message: Any = None) -> None:
        """Something is to happen."""
        self._serial += 1
        heappush(self._queue, (when, self._serial, what, message))

    def run(self, seconds: float) -> None:
        """Let time pass; ticks come once a second."""
        end = self.now + seconds
        tick = float(int(self.now) + 1)
        while True:
            due = self._queue[0][0] if self._queue else end + 1
            if tick <= min(due, end):
                self.now = tick
                for node in self.nodes:
                    if node.broadcast is not None:
                        node.broadcast.tick(tick)
                tick += 1
                continue
            if due > end:
                break
            when, _, what, message = heappop(self._queue)
            self.now = when
            if message is None:
                if what.call is not None:
                    what.call(when)
            else:
                self._arrive(what, message)
        self.now = end

    # Links.

    def link(self, one: Node, two: Node) -> None:
        """Join two of them."""
        if one is two or two in one.ends:
            return
        here, there = End(one, two, True), End(two, one, False)
        here.other, there.other = there, here
        one.ends[two] = here
        two.ends[one] = there
        one.broadcast.neighbourUp(here, self.now)
        two.broadcast.neighbourUp(there, self.now)

    def cut(self, one: Node, two: Node) -> None:
        """Part two of them; what is under way is lost."""
        for here, far in ((one, two), (two, one)):
            end = here.ends.pop(far, None)
            if end is not None:
                end.up = False
                here.broadcast.neighbourDown(end, "lost", self.now)

    def carry(self, end: End, message: Any) -> None:
        """Something was sent from one end of a link."""
        if not end.up:
            return
        there = end.other
        begin = max(self.now + self._latency(self.random), end.busy)
        if self._bandwidth:
            size = len(encode(message))
            end.busy = begin + size / self._bandwidth
            there.under.append((begin, end.busy, size))
            self.bytes[type(message).__name__] += size
            self._begun(there, message)
        else:
            end.busy = begin
        self.push(end.busy, there, message)
        if self.breaking and self.random.random() < self.breaking:
            self._break(end)

    def _break(self, end: End) -> None:
        """The sender's end is gone at once; the other side learns it a little later."""
        self._down(end)
        self.push(self.now + 0.05, _Call(lambda now: self._down(end.other)))

    def _down(self, end: End) -> None:
        if end.up:
            end.up = False
            end.node.ends.pop(end.other.node, None)
            end.node.broadcast.neighbourDown(end, "lost", self.now)

    def links(self) -> list[tuple[Node, Node]]:
        """All that there are."""
        return [(node, other) for node in self.nodes for other in node.ends if node.number < other.number]

    def regular(self, degree: int) -> None:
        """Link them to a random graph in which each has so many links."""
        import networkx

        graph = networkx.random_regular_graph(degree, len(self.nodes), seed=self.random.getrandbits(32))
        for one, two in sorted(tuple(sorted(edge)) for edge in graph.edges):
            self.link(self.nodes[one], self.nodes[two])

    def forget(self) -> None:
        """Count from now on."""
        self.copies = self.announcements = 0
        self.frames.clear()
        self.bytes.clear()
        self.started.clear()
        for node in self.nodes:
            node.got.clear()

    # Private.

    def _begun(self, there: End, message: Any) -> None:
        for each in message.messages if isinstance(message, Batch) else [message]:
            if isinstance(each, Message):
                self.started[there.node.number, each.origin, each.sequence] += 1

    def _arrive(self, end: End, message: Any) -> None:
        if self._bandwidth and end.under:
            del end.under[0]
        if not end.up:
            return
        self.frames[type(message).__name__] += 1
        if isinstance(message, Batch):
            self.copies += len(message.messages)
        elif isinstance(message, Message):
            self.copies += 1
        elif isinstance(message, IHave):
            for each in message.announced:
                self.announcements += sum(
                    last - first + 1 for first, last in zip(each.ranges[::2], each.ranges[1::2], strict=True)
                )
        end.node.broadcast.received(message, end, self.now)
