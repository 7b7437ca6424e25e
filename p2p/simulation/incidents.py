"""
What may happen in a scenario: for each verb of an C{[[events]]} table, its keys, their bounds, and what it does.

Every duration is in virtual seconds.  Where chance decides, it is the
scenario's own stream, so what happens depends on the seed and on nothing that
the peers do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from p2p.peer.errors import Busy
from p2p.simulation.swarm import Node, Swarm, hosts

LONGEST = 10 * 86400.0
"""Virtual seconds that anything may last."""

Seconds = Annotated[float, Meta(ge=0, le=LONGEST)]
Pause = Annotated[float, Meta(gt=0, le=LONGEST)]
Interval = Annotated[float, Meta(ge=0.001, le=LONGEST)]
"""Seconds between two of many; with next to none time would stand still."""
Bandwidth = Annotated[float, Meta(ge=1, le=1e15)]
"""Bytes per second."""
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
PeerName = Annotated[str, Meta(pattern=r"^peer-(0|[1-9]\d{0,7})$")]
SeedName = Annotated[str, Meta(pattern=r"^seed-(0|[1-9]\d{0,7})$")]
Name = Annotated[str, Meta(pattern=r"^(peer|seed)-(0|[1-9]\d{0,7})$")]


class ScenarioError(ValueError):
    """A scenario cannot be read, or asks for what cannot be; the message is one line that says where."""


class Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename=lambda name: name.rstrip("_")):
    """A table of a scenario file; a key that Python keeps for itself has an underscore behind it here."""


class Incident(Part, frozen=True, kw_only=True):
    """Something that happens at one moment, or begins at it."""

    def happen(self, swarm: Swarm) -> None:
        """Let it happen now."""
        raise NotImplementedError

    def lasting(self) -> float:
        """How long it goes on at least, in seconds."""
        return 0.0

    def upsetting(self) -> float | None:
        """
        For how long it may keep running peers from being linked, in seconds; C{None} if it never does, infinity if to
        the end.
        """
        lasting: float | None = getattr(self, "for_", self.lasting())
        return float("inf") if lasting is None else lasting

    def kills(self) -> bool:
        """Whether it kills peers, and leaves them dead."""
        return False

    def removes(self) -> bool:
        """Whether peers are gone after it, dead or in good order."""
        return self.kills()

    def names(self) -> list[str]:
        """The nodes it names."""
        return []

    def problem(self) -> str | None:
        """What is wrong with it that its types do not say."""
        return None


class Who(Incident, frozen=True, kw_only=True):
    """
    Something that happens to some nodes.

    @ivar fraction: this share of the running peers, drawn at random.
    @ivar count: so many of them.
    @ivar peers: these peers.
    @ivar seeds: these seeds, or C{"all"}.
    """

    fraction: Share | None = None
    count: Count | None = None
    peers: Annotated[list[PeerName], Meta(min_length=1)] | None = None
    seeds: Annotated[list[SeedName], Meta(min_length=1)] | Literal["all"] | None = None

    def given(self) -> int:
        """How many ways of saying who were used."""
        return sum(way is not None for way in (self.fraction, self.count, self.peers, self.seeds))

    def names(self) -> list[str]:
        """The nodes it names."""
        return [*(self.peers or []), *(self.seeds if isinstance(self.seeds, list) else [])]

    def problem(self) -> str | None:
        """Who must be said in one way."""
        if self.given() != 1:
            return "say who with one of fraction, count, peers, seeds"
        return _twice(self.names())

    def among(self, swarm: Swarm, pool: list[Node]) -> list[Node]:
        """
        Choose.

        @param pool: the peers from whom a share or a number is drawn.
        """
        if self.peers is not None or isinstance(self.seeds, list):
            return [_named(swarm, name) for name in self.names()]
        if self.seeds is not None:
            return list(swarm.seeds.values())
        wanted = round(self.fraction * len(pool)) if self.fraction is not None else min(self.count or 0, len(pool))
        return swarm.random.sample(pool, wanted)


class Anyone(Who, frozen=True, kw_only=True):
    """Something that happens to some nodes, or, if none are named, to all."""

    def problem(self) -> str | None:
        """Who may be said in one way."""
        if self.given() > 1:
            return "say who with at most one of fraction, count, peers, seeds"
        return _twice(self.names())

    def hosts(self, swarm: Swarm) -> list[str] | None:
        """The hosts that are meant; C{None} for all."""
        return hosts(self.among(swarm, swarm.running())) if self.given() else None


class Publish(Incident, frozen=True, kw_only=True):
    """
    Peers send messages to the whole network; one whose sender is down or stopped is not sent, and that is told.

    @ivar every: seconds between two.
    @ivar size: bytes of payload.
    @ivar from_: a peer, or C{"random"}: each time another.
    """

    count: Count = 1
    every: Seconds = 0.1
    size: Annotated[int, Meta(ge=0, le=2**20)] = 64
    from_: Annotated[str, Meta(pattern=r"^(random|peer-(0|[1-9]\d{0,7}))$")] = "random"

    def lasting(self) -> float:
        """See L{Incident}."""
        return (self.count - 1) * self.every

    def upsetting(self) -> None:
        """See L{Incident}."""

    def names(self) -> list[str]:
        """See L{Incident}."""
        return [] if self.from_ == "random" else [self.from_]

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""

        def publish(number: int) -> None:
            if self.from_ == "random":
                acting = [peer for peer in swarm.running() if swarm.acting(peer)]
                sender = swarm.random.choice(acting) if acting else None
            else:
                sender = _named(swarm, self.from_)
            if sender is None or not swarm.acting(sender):
                swarm.watcher.happened("unsent", {"peer": sender.name if sender is not None else None})
                return
            payload = b"%d from %s " % (number, sender.name.encode())
            try:
                sender.service.publish(payload.ljust(self.size, b".")[: self.size])
            except Busy:
                swarm.watcher.happened("refused", {"peer": sender.name})

        _spread(swarm, self.count, self.every, publish)


class Crash(Who, frozen=True, kw_only=True):
    """
    Processes are killed.

    @ivar host: whole machines are: the others see no connection end, but silence.
    """

    host: bool = False

    def kills(self) -> bool:
        """See L{Incident}."""
        return self.seeds is None and self.fraction != 0

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        for node in self.among(swarm, swarm.running()):
            if node.up:
                swarm.crash(node, self.host)


class Restart(Who, frozen=True, kw_only=True):
    """
    Processes are started anew, with nothing but their disk.

    @ivar crashed: those that are down are meant, not those that run (which are killed first).
    @ivar over: seconds within which all are.
    """

    crashed: bool = False
    over: Seconds = 0.0

    def lasting(self) -> float:
        """See L{Incident}."""
        return self.over

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        down = [peer for peer in swarm.peers.values() if not (peer.up or peer.left)]
        chosen = self.among(swarm, down if self.crashed else swarm.running())
        _spread(swarm, len(chosen), self.over / max(1, len(chosen)), lambda number: swarm.restart(chosen[number]))


class Leave(Who, frozen=True, kw_only=True):
    """
    Processes end in good order.

    @ivar over: seconds within which all do.
    """

    over: Seconds = 0.0

    def lasting(self) -> float:
        """See L{Incident}."""
        return self.over

    def removes(self) -> bool:
        """See L{Incident}."""
        return self.seeds is None and self.fraction != 0

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        chosen = self.among(swarm, swarm.running())

        def leave(number: int) -> None:
            if chosen[number].up:
                swarm.leave(chosen[number])

        _spread(swarm, len(chosen), self.over / max(1, len(chosen)), leave)


class Join(Incident, frozen=True, kw_only=True):
    """
    New peers join.

    @ivar over: seconds within which all do; or
    @ivar every: seconds between two.
    """

    count: Count = 1
    over: Seconds | None = None
    every: Seconds | None = None

    def lasting(self) -> float:
        """See L{Incident}."""
        return self.over if self.over is not None else (self.every or 0.0) * (self.count - 1)

    def problem(self) -> str | None:
        """See L{Incident}."""
        return "say either over or every" if self.over is not None and self.every is not None else None

    def moments(self, at: float) -> list[float]:
        """When each joins, if that begins at some moment."""
        return [at + number * self._every for number in range(self.count)]

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        _spread(swarm, self.count, self._every, lambda number: swarm.join())

    @property
    def _every(self) -> float:
        return self.over / self.count if self.over is not None else self.every or 0.0


class Churn(Incident, frozen=True, kw_only=True):
    """
    Peers go and others join, at random moments, so that their number stays about the same.

    @ivar rate: which share of the peers goes within a minute.
    @ivar polite: the share of those that say goodbye; the others are killed.
    """

    rate: Annotated[float, Meta(gt=0, le=60)]
    for_: Pause
    polite: Share = 0.0

    def lasting(self) -> float:
        """See L{Incident}."""
        return self.for_

    def kills(self) -> bool:
        """See L{Incident}."""
        return self.polite < 1

    def removes(self) -> bool:
        """See L{Incident}."""
        return True

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        network, end = swarm.network, swarm.network.now + self.for_

        def later() -> None:
            perSecond = max(1, len(swarm.running())) * self.rate / 60
            when = network.now + swarm.random.expovariate(perSecond)
            if when < end:
                network.callAt(when, change)

        def change() -> None:
            running = swarm.running()
            if running:
                going = swarm.random.choice(running)
                if swarm.random.random() < self.polite:
                    swarm.leave(going)
                else:
                    swarm.crash(going)
            swarm.join()
            later()

        later()


class Partition(Incident, frozen=True, kw_only=True):
    """
    The network falls into groups that do not hear each other.

    The running peers are dealt at random, and so are those that are down, who may come back; the seeds in turn:
    C{seed-0} to the first group, and so on. Whoever joins while it lasts is put into a group, too.

    @ivar groups: the share of each, together 1, at which newcomers are drawn; or the nodes of each, by name, the rest
        and all newcomers being with the first.
    @ivar oneWay: only what the first group sends to the others is lost.
    @ivar for_: after how long it heals; never, if not given.
    """

    groups: Annotated[list[Share | list[Name]], Meta(min_length=2)]
    for_: Pause | None = None
    oneWay: bool = False

    def lasting(self) -> float:
        """See L{Incident}."""
        return self.for_ or 0.0

    def names(self) -> list[str]:
        """See L{Incident}."""
        return [name for group in self.groups if isinstance(group, list) for name in group]

    def problem(self) -> str | None:
        """See L{Incident}."""
        shares = [share for share in self.groups if not isinstance(share, list)]
        if 0 < len(shares) < len(self.groups):
            return "say each group by its share, or each by its peers"
        if shares and abs(sum(shares) - 1) > 1e-6:
            return "the shares of the groups must add up to 1"
        # The first may be just the rest.
        return "a group but the first needs a name" if [] in self.groups[1:] else _twice(self.names())

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        groups = self._dealt(swarm)
        faults = swarm.network.faults
        cuts = {
            (one, other): faults.partition(
                hosts(groups[one]), hosts(groups[other]), oneWay=self.oneWay, duration=self.for_
            )
            for one, other in combinations(range(len(groups)), 2)
            if one == 0 or not self.oneWay
        }
        number, swarm.partitions = swarm.partitions, swarm.partitions + 1
        names = [[node.name for node in group] for group in groups]

        def deal(newcomer: Node) -> None:
            place = self._drawn(swarm)
            names[place].append(newcomer.name)
            for (one, other), cut in cuts.items():
                if place in (one, other):
                    cut.widen(*([newcomer.host] if place == side else [] for side in (one, other)))
            swarm.watcher.happened("dealt", {"node": newcomer.name, "partition": number, "group": place})

        _lasting(swarm, "partition", self.for_, {"groups": names, "oneWay": self.oneWay})
        swarm.newcomers.append(deal)
        if self.for_ is not None:
            swarm.network.callAt(swarm.network.now + self.for_, lambda: swarm.newcomers.remove(deal))

    def _drawn(self, swarm: Swarm) -> int:
        """The group of a newcomer."""
        shares = [share for share in self.groups if not isinstance(share, list)]
        return swarm.random.choices(range(len(shares)), shares)[0] if shares else 0

    def _dealt(self, swarm: Swarm) -> list[list[Node]]:
        if isinstance(self.groups[0], list):
            groups = [[_named(swarm, name) for name in group] for group in self.groups if isinstance(group, list)]
            placed = {node.name for group in groups for node in group}
            rest = [*swarm.seeds.values(), *swarm.peers.values()]
            groups[0] += [node for node in rest if node.name not in placed]
            return groups
        groups = [[] for _ in self.groups]
        for peers in (swarm.running(), [peer for peer in swarm.peers.values() if not peer.up]):
            swarm.random.shuffle(peers)
            start, total = 0, 0.0
            for share, group in zip(self.groups, groups, strict=True):
                assert not isinstance(share, list)
                total += share
                end = round(total * len(peers))
                group += peers[start:end]
                start = end
        for number, seed in enumerate(swarm.seeds.values()):
            groups[number % len(groups)].append(seed)
        return groups


class Freeze(Who, frozen=True, kw_only=True):
    """
    The verb C{pause}: processes are stopped, as by SIGSTOP, and go on later.

    @ivar for_: after how long they go on.
    """

    for_: Pause

    def lasting(self) -> float:
        """See L{Incident}."""
        return self.for_

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        chosen = [node for node in self.among(swarm, swarm.running()) if node.up]
        for node in chosen:
            swarm.network.faults.pause(node.host, duration=self.for_)
        _lasting(swarm, "pause", self.for_, {"nodes": [node.name for node in chosen]})


class Loss(Anyone, frozen=True, kw_only=True):
    """
    A share of segments is lost and must be sent again.

    @ivar rate: the share.
    """

    rate: Share
    for_: Pause | None = None

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        chosen = self.hosts(swarm)
        swarm.network.faults.lose(chosen, rate=self.rate, duration=self.for_)
        _lasting(swarm, "loss", self.for_, {"nodes": _names(swarm, chosen), "rate": self.rate})


class Slow(Anyone, frozen=True, kw_only=True):
    """
    Everything takes longer on its way.

    @ivar factor: what latencies are multiplied with.
    """

    factor: Annotated[float, Meta(gt=0, le=1e6)]
    for_: Pause | None = None

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        chosen = self.hosts(swarm)
        swarm.network.faults.slow(chosen, factor=self.factor, duration=self.for_)
        _lasting(swarm, "slow", self.for_, {"nodes": _names(swarm, chosen), "factor": self.factor})


class Throttle(Anyone, frozen=True, kw_only=True):
    """
    Less goes through.

    @ivar bandwidth: bytes per second between two hosts and direction.
    """

    bandwidth: Bandwidth
    for_: Pause | None = None

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        chosen = self.hosts(swarm)
        swarm.network.faults.throttle(chosen, bandwidth=self.bandwidth, duration=self.for_)
        _lasting(swarm, "throttle", self.for_, {"nodes": _names(swarm, chosen), "bandwidth": self.bandwidth})


class SetClock(Who, frozen=True, kw_only=True):
    """
    The verb C{clock}: clocks go wrong, and stay so.

    @ivar offset: seconds to be ahead of the others.
    @ivar drift: how much too fast: 0.001 gains a millisecond a second.
    """

    offset: Annotated[float, Meta(ge=-1e9, le=1e9)] | None = None
    drift: Annotated[float, Meta(ge=-0.99, le=100)] | None = None

    def problem(self) -> str | None:
        """See L{Incident}."""
        return "say offset, drift, or both" if self.offset is None and self.drift is None else super().problem()

    def upsetting(self) -> None:
        """See L{Incident}."""

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        chosen = self.among(swarm, swarm.running())
        for node in chosen:
            swarm.setClock(node, self.offset, self.drift)
        wrong = {"nodes": [node.name for node in chosen], "offset": self.offset, "drift": self.drift}
        _lasting(swarm, "clock", None, wrong)


class Lie(Who, frozen=True, kw_only=True):
    """
    The verb C{liar}: peers call each of their neighbours dead, to its face and to the seeds, again and again.

    @ivar every: seconds between two rounds.
    @ivar for_: for how long; to the end, if not given.
    """

    every: Interval = 1.0
    for_: Pause | None = None

    def problem(self) -> str | None:
        """See L{Incident}."""
        return "seeds do not lie: say which peers" if self.seeds is not None else super().problem()

    def happen(self, swarm: Swarm) -> None:
        """See L{Incident}."""
        network = swarm.network
        end = float("inf") if self.for_ is None else network.now + self.for_
        liars = self.among(swarm, swarm.running())

        def lie() -> None:
            for liar in liars:
                if swarm.acting(liar):
                    with liar.service.batch():
                        for neighbour in liar.service.neighbours:
                            liar.service.dead(neighbour.contact, "silent")
            if network.now + self.every < end:
                network.callAt(network.now + self.every, lie)
            else:
                for liar in liars:
                    liar.lies -= 1

        for liar in liars:
            liar.lies += 1
        _lasting(swarm, "liar", self.for_, {"nodes": [liar.name for liar in liars], "every": self.every})
        lie()


def _twice(names: list[str]) -> str | None:
    """What is wrong with naming them, if some are named twice."""
    for place, name in enumerate(names):
        if name in names[:place]:
            return f"{name} is named twice"
    return None


def _named(swarm: Swarm, name: str) -> Node:
    node = swarm.node(name)
    if node is None:
        raise ScenarioError(f"at {swarm.network.now:g} s: {name} has not joined yet")
    return node


def _names(swarm: Swarm, chosen: Iterable[str] | None) -> list[str] | None:
    if chosen is None:
        return None
    return [node.name for node in (swarm.at(f"{host}:0") for host in chosen) if node is not None]


def _spread(swarm: Swarm, count: int, every: float, call: Callable[[int], object]) -> None:
    """Call so often, with 0, 1, 2, ..., beginning now."""
    network, start = swarm.network, swarm.network.now

    def step(number: int) -> None:
        call(number)
        if number + 1 < count:
            network.callAt(start + (number + 1) * every, lambda: step(number + 1))

    if count:
        step(0)


def _lasting(swarm: Swarm, what: str, seconds: float | None, fields: dict[str, Any]) -> None:
    """Tell the watcher of what begins now, and of its end."""
    swarm.watcher.happened(what, {**fields, "for": seconds})
    if seconds is not None:
        when = swarm.network.now + seconds
        swarm.network.callAt(when, lambda: swarm.watcher.happened("healed", {"what": what, **fields}))
