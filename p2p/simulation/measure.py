"""
What a run amounted to: who got which message when, who was found dead when, what the overlay looked like.

L{Measure} watches a L{Swarm<p2p.simulation.swarm.Swarm>} as an embedding
program would watch daemons: it subscribes to the messages and events of each
service.  One delivery costs it three appends to arrays.  What was I{expected}
is worked out at the end, when it is known who lived how long.

docs/simulation.md describes the results.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import attrs

from p2p.identity import identityText, messageIdText
from p2p.peer.delivery import Delivery
from p2p.simulation.graph import clustering, components, paths
from p2p.simulation.journal import Journal
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.swarm import Node, Swarm
from p2p.simulation.traffic import PAYLOADS, Traffic, broadcastKey
from p2p.wire.messages import Message

SURVIVING = 10.0
"""Seconds that are enough to find a death out in, where nobody says that it may take longer."""

_UNFAIR = ("pause", "partition", "loss", "slow", "throttle")
"""Faults under which a live peer may seem dead."""


@attrs.define(eq=False)
class Life:
    """
    One process of a peer, from its start to its end.

    @ivar number: which of all lives.
    @ivar end: when it ended, in virtual seconds; infinity while it lasts.
    """

    number: int
    node: Node
    begin: float
    end: float = float("inf")


@attrs.define(eq=False)
class Broadcast:
    """
    A message and where it has arrived; the last three go together.

    @ivar lives: numbers of the L{Life} that saw it.
    @ivar times: when.
    @ivar hops: over how many links.
    @ivar controlBefore: how many control frames there had been in the network when it was sent.
    """

    number: int
    key: bytes
    id: str
    origin: str
    at: float
    controlBefore: int
    lives: array[int] = attrs.Factory(lambda: array("L"))
    times: array[float] = attrs.Factory(lambda: array("d"))
    hops: array[int] = attrs.Factory(lambda: array("H"))


@attrs.define(eq=False)
class Death:
    """
    A peer that was killed.

    @ivar neighbours: the lives of those who were linked to it.
    @ivar removed: when each seed had it on its list no more, be it that the seed ended.
    @ivar listed: a running seed had it on its list when it died.
    """

    node: Node
    identity: bytes
    at: float
    listed: bool
    neighbours: list[Life]
    detected: list[float] = attrs.Factory(list)
    removed: dict[str, float] = attrs.Factory(dict)
    restarted: float | None = None


class Measure:
    """
    Watches a swarm; a L{Watcher<p2p.simulation.swarm.Watcher>}.

    @ivar swarm: what it watches; to be set at once.
    @ivar traffic: counts frames, if that is wanted.
    @ivar refused: messages that peers were too busy to send.
    @ivar unsent: messages whose sender was down or stopped.
    @ivar repeated: a line for each message that somebody's subscribers got again; known with the results.
    """

    swarm: Swarm

    def __init__(
        self,
        network: SimulatedNetwork,
        journal: Journal | None = None,
        traffic: bool = True,
        grace: float = 0.0,
        patience: float = 0.0,
        surviving: float = SURVIVING,
        seedPatience: float = 0.0,
    ) -> None:
        """
        @param grace: for how many seconds after the end of a fault verdicts that it led to may still come.
        @param patience: how many seconds of silence no peer may take for death: faults that together are over sooner
            excuse no verdict of one.
        @param surviving: how many seconds a neighbour of a dead peer must have run on, or to the end, to be counted as
            one who could find out.
        @param seedPatience: as C{patience}, for a seed.
        """
        self.traffic = Traffic() if traffic else None
        self.refused = self.unsent = 0
        self.repeated: list[str] = []
        self._network = network
        self._clock = network.clock
        self._journal = journal
        self._grace = grace
        self._patience = patience
        self._surviving = surviving
        self._seedPatience = seedPatience
        self._lives: list[Life] = []
        self._current: dict[str, Life] = {}
        self._broadcasts: dict[tuple[bytes, int], Broadcast] = {}
        self._deaths: list[Death] = []
        self._deathsAt: dict[str, list[Death]] = {}
        self._falseDeaths: list[dict[str, Any]] = []
        # Identities whose process is gone: whose, and since when.
        self._gone: dict[bytes, tuple[Node, float]] = {}
        # Faults that may make the living seem dead: what, whom (None for all), since, until.
        self._faults: list[tuple[str, list[set[str]] | None, float, float]] = []
        self._partitions: list[list[set[str]]] = []
        self._overlays: list[dict[str, Any]] = []
        self._control: tuple[type, ...] = ()
        if self.traffic is not None:
            network.watchArrivals(self.traffic.arrived)

    # What the swarm tells.

    def started(self, node: Node) -> None:
        """A process begins."""
        service, name = node.service, node.name
        service.events.subscribe(lambda event: self._said(node, event), messages=False)
        again = node.life > 1
        self._note("restarted" if again else "joined", node=name, address=str(node.address))
        if service.role == "seed":
            return
        for death in self._deathsAt.get(node.host, ()):
            if death.restarted is None:
                death.restarted = self._clock.now
        life = Life(len(self._lives), node, self._clock.now)
        self._lives.append(life)
        self._current[name] = life
        self._control = tuple(type for type in service.broadcast.messages if type not in PAYLOADS)
        service.subscribe(self._deliveriesTo(life))

    def ended(self, node: Node, how: str) -> None:
        """A process is gone."""
        now = self._clock.now
        if how == "leave":
            self._note("left", node=node.name)
        else:
            self._note("crashed", node=node.name, host=how == "hostCrash")
        if node.service.role == "seed":
            for death in self._deaths:
                if _lists(node, death.identity):
                    death.removed[node.name] = now
            return
        self._current.pop(node.name).end = now
        self._gone[node.service.identity] = node, now
        if how != "leave":
            identity = node.service.identity
            listed = any(_lists(seed, identity) for seed in self.swarm.runningSeeds())
            links = (self.swarm.at(link.contact.address) for link in node.service.neighbours)
            neighbours = [self._current[other.name] for other in links if other is not None and other.up]
            death = Death(node, identity, now, listed, neighbours)
            self._deaths.append(death)
            self._deathsAt.setdefault(node.host, []).append(death)

    def happened(self, what: str, fields: dict[str, Any]) -> None:
        """Something was done to the network."""
        if what == "refused":
            self.refused += 1
            self._note("refused", **fields)
            return
        if what == "unsent":
            self.unsent += 1
            self._note("unsent", **fields)
            return
        if what == "healed":
            self._note("healed", **fields)
            return
        if what == "dealt":
            self._partitions[fields["partition"]][fields["group"]].add(fields["node"])
            self._note("dealt", **fields)
            return
        if what in _UNFAIR:
            named = fields.get("groups") or ([fields["nodes"]] if fields["nodes"] is not None else None)
            now = self._clock.now
            until = now + fields["for"] if fields["for"] is not None else float("inf")
            whom = None if named is None else [set(group) for group in named]
            # One way, only the first group is cut from the others.
            self._faults.append((what, whom[:1] if whom is not None and fields.get("oneWay") else whom, now, until))
            if what == "partition" and whom is not None:
                self._partitions.append(whom)
        self._note("fault", what=what, **fields)

    def look(self) -> dict[str, Any]:
        """Take down the overlay as it is now."""
        overlay = self.overlay()
        self._overlays.append(overlay)
        self._note("overlay", **{name: value for name, value in overlay.items() if name != "at"})
        return overlay

    # What there is to say.

    def adjacency(self) -> list[list[int]]:
        """
        The overlay now: for each running peer, the places of those it is linked to.

        Two are linked if both say so.
        """
        running = self.swarm.running()
        place = {node.host: number for number, node in enumerate(running)}
        said: list[set[int]] = []
        for node in running:
            others = (self.swarm.at(link.contact.address) for link in node.service.neighbours)
            said.append({place[other.host] for other in others if other is not None and other.host in place})
        return [[other for other in sorted(others) if number in said[other]] for number, others in enumerate(said)]

    def parts(self) -> int:
        """In how many parts the overlay is now."""
        return len(components(self.adjacency()))

    def overlay(self) -> dict[str, Any]:
        """The overlay now, see docs/simulation.md."""
        adjacency = self.adjacency()
        degrees = [len(others) for others in adjacency]
        parts = components(adjacency)
        lengths = paths(adjacency, self._network.stream(f"paths {self._clock.now}"))
        count = max(1, len(adjacency))
        return {
            "at": round(self._clock.now, 6),
            "peers": len(adjacency),
            "links": sum(degrees) // 2,
            "meanDegree": round(sum(degrees) / count, 6),
            "minDegree": min(degrees, default=0),
            "maxDegree": max(degrees, default=0),
            "components": len(parts),
            "largestComponent": len(parts[0]) if parts else 0,
            "averagePath": round(lengths.average, 6),
            "diameter": lengths.longest,
            "pathSources": lengths.sources,
            "clustering": round(clustering(adjacency), 6),
        }

    def results(self, window: float | None = None) -> dict[str, Any]:
        """
        All of it.

        @param window: seconds after its sending within which a broadcast counts; C{None} for all there were.
        """
        return {
            "overlay": self.overlay(),
            "overlays": self._overlays,
            "broadcasts": self._broadcastResults(window),
            "refused": self.refused,
            "unsent": self.unsent,
            "deaths": [self._deathResult(death) for death in self._deaths],
            "falseDeaths": self._falseDeaths,
            "ghosts": self._ghosts(),
            "traffic": self.traffic.byType() if self.traffic is not None else None,
        }

    def _ghosts(self) -> dict[str, Any]:
        """Who is gone, not back, and still on a seed's list, or among those that a running peer names to others."""
        named = {contact.identity for peer in self.swarm.running() for contact in peer.service.known(10**9)}
        for seed in self.swarm.runningSeeds():
            named |= {entry.contact.identity for entry in seed.service.registry}
        gone = [self._gone[identity] for identity in named if identity in self._gone]
        since = [self._clock.now - when for node, when in gone if not node.up]
        return {"named": len(since), "longest": round(max(since, default=0.0), 6)}

    # Private: messages.

    def _deliveriesTo(self, life: Life) -> Callable[[Delivery], None]:
        """What is called with each message that a process sees for the first time."""
        broadcasts, clock, journal, swarm = self._broadcasts, self._clock, self._journal, self.swarm
        number, name = life.number, life.node.name

        def delivered(delivery: Delivery) -> None:
            message = delivery.message
            broadcast = broadcasts.get((message.origin, message.sequence))
            if broadcast is None:
                broadcast = self._published(message, life)
            broadcast.lives.append(number)
            broadcast.times.append(clock.now)
            broadcast.hops.append(message.hops)
            if journal is not None and delivery.sender is not None:
                sender = swarm.at(delivery.sender.address)
                journal.delivered(
                    clock.now, broadcast.number, name, sender.name if sender is not None else "", message.hops
                )

        return delivered

    def _published(self, message: Message, life: Life) -> Broadcast:
        """A message is new to the whole network."""
        broadcast = Broadcast(
            len(self._broadcasts),
            broadcastKey(message.origin, message.sequence),
            messageIdText(message.origin, message.sequence),
            life.node.name,
            self._clock.now,
            self.traffic.count(self._control) if self.traffic is not None else 0,
        )
        self._broadcasts[message.origin, message.sequence] = broadcast
        self._note(
            "published", message=broadcast.number, id=broadcast.id, origin=broadcast.origin,
            sequence=message.sequence, size=len(message.payload),
        )  # fmt: skip
        return broadcast

    def _broadcastResults(self, window: float | None) -> list[dict[str, Any]]:
        now, traffic, lives = self._clock.now, self.traffic, self._lives
        every = list(self._broadcasts.values())
        control = [broadcast.controlBefore for broadcast in every]
        control.append(traffic.count(self._control) if traffic is not None else 0)
        results = []
        for place, broadcast in enumerate(every):
            end = now if window is None else min(now, broadcast.at + window)
            live = sum(life.begin <= broadcast.at and life.end > end for life in lives)
            reached, duplicates, lastHop, last = 0, None, 0, broadcast.at
            seen: set[int] = set()
            for number, when, hops in zip(broadcast.lives, broadcast.times, broadcast.hops, strict=True):
                life = lives[number]
                if number in seen:
                    self.repeated.append(
                        f"broadcast {place} ({broadcast.id}, by {broadcast.origin}) was delivered to {life.node.name}"
                        f" again at {when:.3f} s"
                    )
                    continue
                seen.add(number)
                if when <= end and life.begin <= broadcast.at and life.end > end:
                    reached += 1
                    lastHop = max(lastHop, hops)
                    last = max(last, when)
            payloads = traffic.payloads.get(broadcast.key, 0) if traffic is not None else None
            if payloads is not None:
                # All that saw it, but the first, saw it by a frame that was no duplicate.
                duplicates = payloads - (len(seen) - 1)
            results.append(
                {
                    "id": broadcast.id,
                    "at": round(broadcast.at, 6),
                    "origin": broadcast.origin,
                    "live": live,
                    "reached": reached,
                    "payloads": payloads,
                    "duplicates": duplicates,
                    "control": control[place + 1] - control[place] if traffic is not None else None,
                    "lastHop": lastHop if reached else None,
                    "lastDelivery": round(last - broadcast.at, 6) if reached else None,
                }
            )
        return results

    # Private: life and death.

    def _said(self, node: Node, event: dict[str, Any]) -> None:
        """A node says that something happened to it."""
        what = event["type"]
        if what == "registered":
            if node.service.role == "peer":
                self._note("registered", node=node.name, seed=self._nameAt(event["seed"]))
        elif what == "removed":
            self._note("removed", node=node.name, peer=self._nameAt(event["address"]), reason=event["reason"])
            if event["reason"] != "leaving":
                self._verdict(node, event, event["reason"])
        elif what == "neighbourUp":
            self._note("linkUp", node=node.name, peer=self._nameAt(event["address"]), direction=event["direction"])
        elif what == "neighbourDown":
            self._note("linkDown", node=node.name, peer=self._nameAt(event["address"]), reason=event["reason"])
        elif what == "dead":
            self._note("dead", node=node.name, peer=self._nameAt(event["address"]), evidence=event["evidence"])
            self._verdict(node, event, event["evidence"])
        elif what in ("suspected", "trusted"):
            self._note(what, node=node.name, peer=self._nameAt(event["address"]))
        elif what == "refuted":
            self._note("refuted", node=node.name)

    def _verdict(self, judge: Node, event: dict[str, Any], evidence: str) -> None:
        """Somebody calls a peer dead, or takes it off a list: rightly?"""
        accused = self.swarm.at(event["address"])
        if accused is None or judge.lies:
            return
        now = self._clock.now
        if accused.up and event["peer"] == identityText(accused.service.identity):
            self._falseDeaths.append(
                {
                    "peer": accused.name,
                    "at": round(now, 6),
                    "by": judge.name,
                    "evidence": evidence,
                    "excuse": self._excuse(accused.name, judge.name),
                }
            )
            return
        for death in self._deathsAt.get(accused.host, ()):
            if identityText(death.identity) == event["peer"]:
                if judge.name in self.swarm.seeds:
                    death.removed[judge.name] = now
                else:
                    death.detected.append(now)

    def _excuse(self, accused: str, judge: str) -> str | None:
        """What may have made a live peer seem dead to another."""
        now = self._clock.now
        patience = self._seedPatience if judge in self.swarm.seeds else self._patience
        # Several short ones may be one long silence, in which what was two faults at a time counts once.
        lasted, end = 0.0, float("-inf")
        for what, groups, since, until in self._faults:
            if since <= now <= until + self._grace and _between(what, groups, accused, judge):
                lasted += max(0.0, until - max(since, end))
                end = max(end, until)
                if lasted >= patience:
                    return what
        return None

    def _deathResult(self, death: Death) -> dict[str, Any]:
        def after(when: float | None) -> float | None:
            return None if when is None else round(when - death.at, 6)

        still = any(_lists(seed, death.identity) for seed in self.swarm.runningSeeds())
        removed = None if still else max(death.removed.values(), default=None if death.listed else death.at)
        return {
            "peer": death.node.name,
            "at": round(death.at, 6),
            "firstDetected": after(min(death.detected, default=None)),
            "lastDetected": after(max(death.detected, default=None)),
            "removedFromSeeds": after(removed),
            "survivors": sum(life.end > death.at + self._surviving for life in death.neighbours),
            "restarted": after(death.restarted),
        }

    def _nameAt(self, address: str) -> str:
        node = self.swarm.at(address)
        return node.name if node is not None else address

    def _note(self, type: str, **fields: Any) -> None:
        if self._journal is not None:
            self._journal.note(self._clock.now, type, **fields)


def _between(what: str, groups: list[set[str]] | None, accused: str, judge: str) -> bool:
    """Whether a fault may keep these two from hearing each other."""
    if groups is None:
        return True
    if what == "partition":
        return [accused in group for group in groups] != [judge in group for group in groups]
    return any(accused in group or judge in group for group in groups)


def _lists(seed: Node, identity: bytes) -> bool:
    entry = seed.service.registry.get(identity[:8])
    return entry is not None and entry.contact.identity == identity
