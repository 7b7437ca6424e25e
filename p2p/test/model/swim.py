"""
SWIM in a full mesh, where the members are all: how often and how soon each is pinged, and when the dead are found.

B{Load} (Das, Gupta, Motivala, DSN 2002, section 3): 2.0 messages sent for each member and period without loss, a ping
and its answer, whatever the number of members.

B{First ping}: how long after a moment drawn at random, that of a crash say, a member is pinged by anybody: one period
on average, for every other member pings it once in so many periods as there are, at times that have nothing to do
with one another. Taken of all gaps between pings of one member, sum of squares over twice the sum, which is the
mean over all moments, so that it has no sampling error but that of the order.

B{Completeness} (section 4.3): no gap between two pings of one member by one other above 2n-1 periods, n being the
members that it has.

B{Death}: a process that dies is found out when the reset of a connection has arrived and a fresh dial was refused:
three latencies. A machine that falls silent is called dead by all others within the bound that the settings give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from p2p.settings import PeerSettings, SeedSettings
from p2p.simulation.errors import Errors
from p2p.simulation.latency import constant
from p2p.simulation.measure import Measure
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.swarm import Node, Swarm
from p2p.simulation.traffic import Traffic
from p2p.test.model.figure import Figure, about, atMost, exactly
from p2p.wire.messages import Ack, Contact, Faulty, Nack, Ping, PingReq, Pong, Refute, Suspect

SMALL = 12
LARGE = 128

LATENCY = 0.05
JOINING = 5.0
LINKED = 10.0
KILLED = 3


def check(peers: int) -> Iterator[Figure]:
    """Link all to all, watch them for some rounds, and let some die."""
    network = SimulatedNetwork(5, constant(LATENCY))
    settings = PeerSettings(
        gossipCount=0, seedInterval=86400.0, detector="swim", maxConnections=1000, maxInbound=1000, maxLinks=10 * peers
    )
    measure = Measure(network, traffic=False)
    swarm = measure.swarm = Swarm(network, measure, SeedSettings(), settings)
    pings: list[tuple[float, str, str]] = []
    periods = 6 * peers
    traffic = Traffic()
    with Errors(lambda: network.now) as errors:
        swarm.begin(1)
        for number in range(peers):
            network.callAt(JOINING * number / peers, swarm.join)
        network.run(until=JOINING)
        _linkAll(swarm.running())
        network.run(until=LINKED)
        yield exactly("links of each", peers - 1, min(len(peer.service.neighbours) for peer in swarm.running()))
        network.watchArrivals(traffic.arrived)
        for peer in swarm.running():
            _watch(peer, pings)
        network.run(until=LINKED + periods * settings.livenessInterval)
        sent = traffic.count((Ping, Pong))
        yield about("pings and pongs for each member and period", 2.0, sent / peers / periods, 0.01)
        others = traffic.count((PingReq, Ack, Nack, Suspect, Refute, Faulty))
        yield exactly("anything else of the detector's", 0, others)
        yield from _pings(pings, peers, settings.livenessInterval)
        yield from _deaths(network, swarm, measure, settings.silenceBound(peers - 1))
    yield exactly("errors", 0, errors.count)


def _linkAll(nodes: list[Node]) -> None:
    """Link all to all."""
    for node in nodes:
        # The overlay would give up what is more than it drew.
        node.service.overlay._target = len(nodes)
    for place, node in enumerate(nodes):
        linked = {link.contact.id for link in node.service.neighbours}
        for other in nodes[place + 1 :]:
            if other.service.identity[:8] not in linked:
                node.service.connect(Contact(other.service.identity, str(other.address)))


def _watch(node: Node, pings: list[tuple[float, str, str]]) -> None:
    """Note each ping that a peer sends: when, who, whom."""
    service = node.service
    send, seconds = service.send, service.factory.seconds

    def sending(neighbours: Iterable[Any], message: Any) -> None:
        neighbours = list(neighbours)
        if type(message) is Ping:
            pings.extend((seconds(), node.name, neighbour.contact.address) for neighbour in neighbours)
        send(neighbours, message)

    service.send = sending


def _pings(pings: list[tuple[float, str, str]], peers: int, period: float) -> Iterator[Figure]:
    """What the gaps between them are."""
    met: dict[str, list[float]] = defaultdict(list)
    pairs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for when, who, whom in pings:
        met[whom].append(when)
        pairs[who, whom].append(when)
    gaps = [later - earlier for times in met.values() for earlier, later in pairwise(times)]
    mean = sum(gap * gap for gap in gaps) / 2 / sum(gaps)
    # A tenth more or less is what the chance of the members' clocks makes of it at a small size.
    yield about("from a crash to the first ping that meets it, periods", 1.0, mean / period, 0.15)
    longest = max(later - earlier for times in pairs.values() for earlier, later in pairwise(times)) / period
    yield atMost("longest gap between two pings of one by one, periods", 2 * (peers - 1) - 1 + 1e-6, longest)
    yield exactly("pairs of whom one never pinged the other", 0, peers * (peers - 1) - len(pairs))


def _deaths(network: SimulatedNetwork, swarm: Swarm, measure: Measure, bound: float) -> Iterator[Figure]:
    """When it is known who died."""
    for host in (False, True):
        for node in swarm.random.sample(swarm.running(), KILLED):
            swarm.crash(node, host)
            network.run(until=network.now + 2.0)
    network.run(until=network.now + bound)
    results = measure.results()
    deaths = results["deaths"]
    processes, machines = deaths[:KILLED], deaths[KILLED:]
    for death in processes:
        yield about("a process that died, first verdict, s", 3 * LATENCY, death["firstDetected"], 1e-5)
    for death in machines:
        yield atMost("a machine that fell silent, first verdict, s", bound, death["firstDetected"])
        yield atMost("... last verdict, s", bound, death["lastDetected"])
    yield exactly("live peers called dead", 0, len(results["falseDeaths"]))
