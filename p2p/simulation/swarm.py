"""
Seeds and peers on a simulated network: the very services that the daemons start, one host each.

A L{Node} is what an operator would call a machine with our daemon on it.  Its
process may be started, crash and be started again; its address and its disk
stay.  C{seed-0} listens on 10.0.0.1, C{peer-0} on 10.1.0.0, and so on.

What happens to nodes, and what they say happens to them, is told to a
L{Watcher}; how anything is measured is not this module's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Protocol

import attrs

from p2p.address import Address
from p2p.peer.service import PeerService
from p2p.seed.service import SeedService
from p2p.settings import PeerSettings, SeedSettings
from p2p.simulation.disk import PeerDisk, SeedDisk
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.reactor import SimulatedReactor

SEED_PORT = 5000
PEER_PORT = 6000

MAX_SEEDS = 250
MAX_PEERS = 200 * 2**16
"""As many as there are addresses for."""


class Watcher(Protocol):
    """Who is told of what happens to a swarm."""

    def started(self, node: Node) -> None:
        """A process begins; its service is made, and is not started yet."""

    def ended(self, node: Node, how: str) -> None:
        """A process is gone: C{"crash"}, C{"hostCrash"} or C{"leave"}; for the last one, it is about to go."""

    def happened(self, what: str, fields: dict[str, Any]) -> None:
        """Something was done to the network, a fault for instance."""


@attrs.define(eq=False)
class Node:
    """
    A host with a seed or a peer.

    @ivar number: which seed or peer, from 0.
    @ivar life: how often its process was started; 0 before the first time.
    @ivar up: a process runs and has not been asked to leave.
    @ivar left: it has left, and will not come back by itself.
    @ivar lies: for how many reasons it says what is not so.
    @ivar ahead: seconds by which its process is ahead of its machine's clock, which was set back meanwhile.
    """

    name: str
    number: int
    address: Address
    service: Any = None
    life: int = 0
    up: bool = False
    left: bool = False
    lies: int = 0
    ahead: float = 0.0

    @property
    def host(self) -> str:
        """Its host's address."""
        return self.address.host


class Swarm:
    """
    The seeds and peers of one network.

    @ivar seeds: all that there ever were, by name, in the order of their joining; so C{peers}.
    @ivar random: chance for whoever directs the run.
    @ivar newcomers: called with each peer that is about to join, before its process begins.
    @ivar partitions: how often the network was split so far.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        watcher: Watcher,
        seedSettings: SeedSettings,
        peerSettings: PeerSettings,
    ) -> None:
        self.network = network
        self.watcher = watcher
        self.random: Random = network.stream("scenario")
        self.seeds: dict[str, Node] = {}
        self.peers: dict[str, Node] = {}
        self.newcomers: list[Callable[[Node], object]] = []
        self.partitions = 0
        self._seedSettings = seedSettings
        self._peerSettings = peerSettings
        self._byHost: dict[str, Node] = {}
        self._seedAddresses: list[Address] = []

    def begin(self, seeds: int) -> None:
        """Start so many seeds."""
        self._seedAddresses = [Address(f"10.0.0.{number + 1}", SEED_PORT) for number in range(seeds)]
        for number, address in enumerate(self._seedAddresses):
            self._add(self.seeds, Node(f"seed-{number}", number, address), self._bootSeed)

    # Who there is.

    def running(self) -> list[Node]:
        """The peers whose process runs."""
        return [peer for peer in self.peers.values() if peer.up]

    def runningSeeds(self) -> list[Node]:
        """The seeds whose process runs."""
        return [seed for seed in self.seeds.values() if seed.up]

    def acting(self, peer: Node) -> bool:
        """Whether a peer's process can do something by itself: it runs, and is not stopped."""
        return peer.up and self.network.machine(peer.host).held is None

    def at(self, address: str) -> Node | None:
        """The node with that address, C{IP:PORT}."""
        return self._byHost.get(address.rpartition(":")[0])

    def node(self, name: str) -> Node | None:
        """The seed or peer of that name, if it has joined."""
        return self.peers.get(name) or self.seeds.get(name)

    # What can be done to them.

    def join(self) -> Node:
        """Let a new peer join."""
        number = len(self.peers)
        host = f"10.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        newcomer = Node(f"peer-{number}", number, Address(host, PEER_PORT))
        for told in self.newcomers:
            told(newcomer)
        return self._add(self.peers, newcomer, self._bootPeer)

    def crash(self, node: Node, host: bool = False) -> None:
        """
        Kill a node's process.

        @param host: the machine loses its power: nobody's connections see the end.
        """
        node.up = False
        self.watcher.ended(node, "hostCrash" if host else "crash")
        if host:
            self.network.faults.crashHost(node.host)
        else:
            self.network.faults.crash(node.host)

    def restart(self, node: Node) -> None:
        """Start a node's process anew; kill the one that runs."""
        if node.up:
            self.crash(node)
        node.left = False
        self.network.faults.restart(node.host)

    def leave(self, node: Node) -> None:
        """
        Let a node's process end in good order, as C{SIGTERM} does; one that is only just starting ends once it has.
        """
        node.up = False
        node.left = True
        self.watcher.ended(node, "leave")
        reactor = self.network.machine(node.host).reactor
        reactor.callWhenRunning(reactor.stop)

    def setClock(self, node: Node, offset: float | None, drift: float | None) -> None:
        """
        Set the clock of a node's machine wrong.  As with the daemon, whose clock is
        L{steady<p2p.daemon.clock.steady>}, the process that runs does not see that it is set back, but the next one.
        """
        if offset is not None:
            shown = self.network.machine(node.host).wall.seconds()
            node.ahead = max(0.0, shown - (self.network.now + offset))
        self.network.faults.setClock(node.host, offset=None if node.ahead else offset, drift=drift)

    # Private.

    def _add(self, nodes: dict[str, Node], node: Node, boot: Any) -> Node:
        nodes[node.name] = self._byHost[node.host] = node

        def begin(reactor: SimulatedReactor) -> None:
            if node.ahead:
                reactor.host.setClock(reactor.seconds() - self.network.now - node.ahead)
                node.ahead = 0.0
            self._begin(node, boot(reactor, node), reactor)

        self.network.host(node.host, name=node.name, boot=begin)
        return node

    def _begin(self, node: Node, service: Any, reactor: SimulatedReactor) -> None:
        """What C{twistd} does: start the service, and stop it before the reactor ends."""
        node.service = service
        node.life += 1
        node.up = True
        self.watcher.started(node)
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
        service.privilegedStartService()
        service.startService()

    def _bootSeed(self, reactor: SimulatedReactor, node: Node) -> SeedService:
        return SeedService(
            reactor, self._seedSettings, node.address, random=reactor.random, store=SeedDisk(reactor.disk)
        )

    def _bootPeer(self, reactor: SimulatedReactor, node: Node) -> PeerService:
        return PeerService(
            reactor,
            self._peerSettings,
            self._seedAddresses,
            host=node.host,
            port=node.address.port,
            random=reactor.random,
            store=PeerDisk(reactor.disk),
        )


def hosts(nodes: Iterable[Node]) -> list[str]:
    """The addresses of some nodes' hosts."""
    return [node.host for node in nodes]
