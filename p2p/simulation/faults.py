"""
What goes wrong between hosts and on them.

A fault between hosts is a L{Rule}: from these hosts to those, this effect. All rules together say what a
L{Path<p2p.simulation.path.Path>}, one direction between two hosts, is like at present: effects of several rules add up
as one would expect (cut off by one is cut off; factors multiply; the narrowest bandwidth counts; the losses are
independent of each other). Each verb of L{Faults} returns the rules it made as one L{Fault}, which is mended with
L{Fault.heal}.

Connections keep the path of each direction and are told when it changes. Where no rule applies they share one path
object, and take the short way through L{p2p.simulation.tcp}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from attrs import define
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.python.failure import Failure

from p2p.simulation.clock import LOGGED, SimulationError, Timer
from p2p.simulation.host import LOOPBACK
from p2p.simulation.latency import Latency
from p2p.simulation.path import Path

if TYPE_CHECKING:
    from p2p.simulation.host import Host
    from p2p.simulation.network import SimulatedNetwork
    from p2p.simulation.reactor import SimulatedReactor

    Hosts: TypeAlias = str | SimulatedReactor | Iterable[str | SimulatedReactor] | None


class _Lone:
    """
    A packet that nobody will send again, on its way out.
    """

    __slots__ = ("_happens", "_network", "size")

    def __init__(self, network: SimulatedNetwork, size: int, happens: Callable[[], object]) -> None:
        self._network = network
        self._happens = happens
        self.size = size

    def leave(self, path: Path) -> None:
        """
        Arrive after the latency, or when the path is released, or not.
        """
        network = self._network
        if path.held:
            path.waiting.append(partial(network.clock.at, target=self._happens))
        elif path.passing and not (path.loss and network.chance.random() < path.loss):
            latency = path.draw()
            if network.fuzz:
                latency *= 1.0 + 0.5 * network.fuzzing.random()
            network.clock.at(network.clock.now + latency, self._happens)


@define(eq=False)
class Rule:
    """
    An effect on everything that goes from some hosts to others; L{None} stands for all hosts.

    @ivar both: And on everything that goes the other way; once only, where some are on both sides.
    """

    sources: frozenset[str] | None
    destinations: frozenset[str] | None
    both: bool = False
    cut: bool = False
    held: bool = False
    loss: float = 0.0
    factor: float = 1.0
    bandwidth: float | None = None

    def covers(self, source: str, destination: str) -> bool:
        """
        Whether this rule is about what goes from one host to another.
        """
        return self._leads(source, destination) or (self.both and self._leads(destination, source))

    def _leads(self, source: str, destination: str) -> bool:
        return (self.sources is None or source in self.sources) and (
            self.destinations is None or destination in self.destinations
        )


@define(eq=False)
class Fault:
    """
    Something that was broken with one verb, and can be mended.
    """

    _faults: Faults
    _rule: Rule

    def heal(self) -> None:
        """
        End this fault. To mend what is whole already does nothing.
        """
        self._faults.withdraw(self._rule)

    def widen(self, one: Hosts = (), other: Hosts = ()) -> None:
        """
        Let more hosts belong to the first and to the second group, such as are about to join the network.
        """
        self._faults.widen(self._rule, one, other)


class Faults:
    """
    The verbs that break a network. Hosts are named by address or by their reactor; L{None} means every host.

    Every verb between hosts takes C{duration}, seconds after which it heals by itself, and C{oneWay}: then only what
    goes from the first to the second group is touched.
    """

    def __init__(self, network: SimulatedNetwork, loss: float, bandwidth: float | None) -> None:
        self._network = network
        self._rules: list[Rule] = []
        self._paths: dict[tuple[str, str], Path] = {}
        # The pairs whose path is kept only because something waited on it when it was looked at last.
        self._emptying: dict[tuple[str, str], None] = {}
        self._draws: dict[tuple[Latency, float], Callable[[], float]] = {}
        self._everywhere = Rule(None, None, loss=_share(loss), bandwidth=_positive(bandwidth))
        self._loopback = Path(network.clock, lambda: 0.00002)
        # How often the last of the slow rules went: later ones draw other numbers than the earlier ones.
        self._eras = 0
        self._default: Path | None = None
        if not callable(network.latency) and not loss and bandwidth is None:
            draw = self._drawing(network.latency, 1.0)
            self._default, self._nowhere = Path(network.clock, draw), Path(network.clock, draw)
            self._nowhere.passing = self._nowhere.plain = False

    # Between hosts.

    def partition(self, one: Hosts, other: Hosts, *, oneWay: bool = False, duration: float | None = None) -> Fault:
        """
        Cut two groups of hosts off from each other: packets vanish, and nobody is told.
        """
        return self._between(one, other, oneWay, duration, cut=True)

    def isolate(self, hosts: Hosts, *, duration: float | None = None) -> Fault:
        """
        Cut hosts off from all others, and from each other.
        """
        return self._between(hosts, None, False, duration, cut=True)

    def hold(self, one: Hosts, other: Hosts, *, oneWay: bool = False, duration: float | None = None) -> Fault:
        """
        Keep packets under way; healing releases them all, in order, without the delay of a retransmission, whatever has
        become of their sender meanwhile. Where the bandwidth is limited, segments and datagrams do not leave.
        """
        return self._between(one, other, oneWay, duration, held=True)

    def lose(
        self,
        one: Hosts = None,
        other: Hosts = None,
        *,
        rate: float,
        oneWay: bool = False,
        duration: float | None = None,
    ) -> Fault:
        """
        Lose some packets. TCP sends them again, later; datagrams are gone.

        @param rate: The share of all packets, 0 to 1.
        """
        return self._between(one, other, oneWay, duration, loss=_share(rate))

    def slow(
        self,
        one: Hosts = None,
        other: Hosts = None,
        *,
        factor: float,
        oneWay: bool = False,
        duration: float | None = None,
    ) -> Fault:
        """
        Let everything take longer on its way.

        @param factor: What the latency is multiplied with.
        """
        if factor <= 0:
            raise ValueError(f"a latency factor must be positive, not {factor}")
        return self._between(one, other, oneWay, duration, factor=factor)

    def throttle(
        self,
        one: Hosts = None,
        other: Hosts = None,
        *,
        bandwidth: float,
        oneWay: bool = False,
        duration: float | None = None,
    ) -> Fault:
        """
        Let less through.

        @param bandwidth: Bytes per second, for each pair of hosts and direction.
        """
        return self._between(one, other, oneWay, duration, bandwidth=_positive(bandwidth))

    # On hosts.

    def crash(self, host: str | SimulatedReactor) -> None:
        """
        Kill the process: its kernel ends its connections, so the others notice. The machine stays up.
        """
        self._network.machine(host).reactor.die()

    def crashHost(self, host: str | SimulatedReactor) -> None:
        """
        Cut the power: everything on the machine but its disk is gone, and the others hear nothing at all.
        """
        machine = self._network.machine(host)
        machine.up = False
        machine.reactor.die(silently=True)
        self._changed((machine,))

    def restart(self, host: str | SimulatedReactor) -> SimulatedReactor:
        """
        Start a process anew, on a machine that has nothing left but its disk; crash it first if it still runs.

        @return: The reactor of the new process. If the host was given a C{boot} function, that is called with it.
        """
        machine = self._network.machine(host)
        if machine.reactor.alive:
            machine.reactor.die()
        wasDown = not machine.up
        machine.up = True
        machine.held = None
        if wasDown:
            self._changed((machine,))
        return self._network.start(machine)

    def pause(self, host: str | SimulatedReactor, *, duration: float | None = None) -> None:
        """
        Stop the process, as SIGSTOP does: it fires no timer and reads nothing, while its kernel goes on acknowledging
        what arrives and accepting connections, as far as its buffers and the backlog reach. Of pauses that overlap, the
        one that ends last counts.
        """
        _length(duration)
        machine = self._network.machine(host)
        machine.goingOn = False
        reactor = machine.reactor
        if reactor.alive:
            until = inf if duration is None else self._network.clock.now + duration
            if machine.held is None:
                machine.held = []
                machine.heldUntil = until
                self._reconsider((machine,))
            machine.heldUntil = max(machine.heldUntil, until)
            if duration is not None:

                def end() -> None:
                    if machine.reactor is reactor and machine.heldUntil == until:
                        self.resume(reactor)

                self._network.callAt(until, end)

    def resume(self, host: str | SimulatedReactor) -> None:
        """
        Let a stopped process go on, whatever pauses it is in: as any reactor it first makes all calls that are due, in
        the order of their times, and then finds what else has happened meanwhile, in order.
        """
        machine = self._network.machine(host)
        machine.heldUntil = 0.0
        if machine.held is not None:
            machine.goingOn = True
            self._network.clock.at(self._network.clock.now, lambda: self._goOn(machine))

    def _goOn(self, machine: Host) -> None:
        """
        Let a process find what was held. What arrives at the same instant before this has been held, too.
        """
        if not machine.goingOn or machine.held is None:
            return
        machine.goingOn = False
        held, machine.held = machine.held, None
        held.sort(key=lambda happened: happened.time if isinstance(happened, Timer) else inf)
        while held:
            happened = held.pop(0)
            try:
                happened()
            except SimulationError:
                machine.held = held
                raise
            except LOGGED:
                failed = getattr(happened, "failed", None)
                if failed is None:
                    raise
                failed(Failure())
        self._reconsider((machine,))

    def setClock(
        self, host: str | SimulatedReactor, *, offset: float | None = None, drift: float | None = None
    ) -> None:
        """
        Set a host's clock wrong: see L{Host.setClock<p2p.simulation.host.Host.setClock>}.
        """
        self._network.machine(host).setClock(offset, drift)

    # What the connections ask.

    def path(self, source: str, destination: str) -> Path:
        """
        How it is from one address to another at present. The object stays the same for as long as the pair is special,
        and is shared by all pairs that are not.
        """
        if source == destination or source in LOOPBACK or destination in LOOPBACK:
            return self._loopback
        path = self._paths.get((source, destination)) if self._paths else None
        if path is None:
            path = self._shared(source, destination)
        if path is None:
            path = self._paths[source, destination] = Path(self._network.clock, lambda: 0.0)
            self._update(path, source, destination)
        return path

    def _shared(self, source: str, destination: str) -> Path | None:
        """
        The path of all pairs that no rule is about, or of those of which one is down; L{None} if this is no such pair.
        As nothing waits on it, nobody is in another's way.
        """
        rules = self._rules
        if self._default is None or (rules and any(rule.covers(source, destination) for rule in rules)):
            return None
        return self._default if self._isUp(source) and self._isUp(destination) else self._nowhere

    def hostJoined(self, address: str) -> None:
        """
        An address that led nowhere has a host now.
        """
        for (source, destination), path in self._paths.items():
            if address in (source, destination):
                self._update(path, source, destination)

    def send(self, source: str, destination: str, size: int, happens: Callable[[], object]) -> None:
        """
        Send a packet that nobody will send again: something happens at the other side, or not.

        @param size: Its length in bytes.
        """
        path = self.path(source, destination)
        if path.held or path.passing:
            path.send(_Lone(self._network, size, happens))

    def withdraw(self, rule: Rule) -> None:
        """
        Take a rule back, if it is still there.
        """
        if rule in self._rules:
            self._rules.remove(rule)
            self._changed(self._touched(rule))
            if rule.factor != 1.0 and all(other.factor == 1.0 for other in self._rules):
                # Each factor has randomness of its own, of which there would be more and more.
                self._draws = {key: draw for key, draw in self._draws.items() if key[1] == 1.0}
                self._eras += 1

    def widen(self, rule: Rule, one: Hosts, other: Hosts) -> None:
        """
        Let more hosts belong to the groups of a rule; where a group is all hosts, it is already.
        """
        sources, destinations = self._addresses(one) or frozenset(), self._addresses(other) or frozenset()
        if rule.sources is not None:
            rule.sources |= sources
        if rule.destinations is not None:
            rule.destinations |= destinations
        hosts = self._network.hosts
        # Those that have not joined have no path yet, or one that is looked at when they do.
        if rule in self._rules and not hosts.keys().isdisjoint(sources | destinations):
            self._changed(host for address, host in hosts.items() if address in sources | destinations)

    def _between(self, one: Hosts, other: Hosts, oneWay: bool, duration: float | None, **effect: object) -> Fault:
        _length(duration)
        rule = Rule(self._addresses(one), self._addresses(other), both=not oneWay, **effect)  # type: ignore[arg-type]
        self._rules.append(rule)
        self._changed(self._touched(rule))
        fault = Fault(self, rule)
        if duration is not None:
            self._network.callAt(self._network.clock.now + duration, fault.heal)
        return fault

    def _addresses(self, hosts: Hosts) -> frozenset[str] | None:
        if hosts is None:
            return None
        if isinstance(hosts, str) or not isinstance(hosts, Iterable):
            hosts = (hosts,)
        return frozenset(self._address(host) if isinstance(host, str) else host.host.address for host in hosts)

    def _address(self, host: str) -> str:
        """
        The address that a host is called by, or which it will have when it joins the network.

        @raise ValueError: if that is neither an address nor a name that is known.
        """
        address = self._network.numeric(host)
        if not (isIPAddress(address) or isIPv6Address(address)):
            raise ValueError(f"{host!r} is neither an address nor the name of a host")
        return address

    def _touched(self, rule: Rule) -> list[Host]:
        """
        The hosts that a rule is about, in the order in which they joined the network.
        """
        hosts = self._network.hosts
        groups = [group for group in (rule.sources, rule.destinations) if group is not None]
        if not groups:
            return list(hosts.values())
        touched = frozenset().union(*groups)
        return [host for address, host in hosts.items() if address in touched]

    def _changed(self, machines: Iterable[Host]) -> None:
        machines = list(machines)
        touched = {machine.address for machine in machines}
        pairs, self._emptying = self._emptying, {}
        for (source, destination), path in self._paths.items():
            if source in touched or destination in touched:
                self._update(path, source, destination)
                pairs[source, destination] = None
        for pair in pairs:
            if self._shared(*pair) is not None:
                if self._paths[pair].idle:
                    del self._paths[pair]
                else:
                    self._emptying[pair] = None
        self._reconsider(machines)

    def _reconsider(self, machines: Iterable[Host]) -> None:
        """
        Let both ends of every connection of some hosts look at their paths again.
        """
        for machine in machines:
            for end in list(machine.ends):
                end.reconsider()
                end.peer.reconsider()

    def _update(self, path: Path, source: str, destination: str) -> None:
        rules = [self._everywhere, *(rule for rule in self._rules if rule.covers(source, destination))]
        cut = any(rule.cut for rule in rules) or not (self._isUp(source) and self._isUp(destination))
        path.held = any(rule.held for rule in rules) and not cut
        arriving = factor = 1.0
        for rule in rules:
            arriving *= 1.0 - rule.loss
            factor *= rule.factor
        path.loss = 1.0 - arriving
        path.passing = not cut and not path.held and path.loss < 1.0
        path.bandwidth = min((rule.bandwidth for rule in rules if rule.bandwidth is not None), default=None)
        path.plain = path.passing and path.loss == 0.0 and path.bandwidth is None
        latency = self._network.latency
        path.draw = self._drawing(latency(source, destination) if callable(latency) else latency, factor)
        if not self._isUp(source):
            path.clear()
        path.changed()
        if path.waiting and not any(rule.held for rule in rules):
            waiting, path.waiting = path.waiting, []
            when = self._network.clock.now
            for released in waiting:
                when = max(when, self._network.clock.now + path.draw())
                released(when)

    def _drawing(self, latency: Latency, factor: float) -> Callable[[], float]:
        draw = self._draws.get((latency, factor))
        if draw is None:
            name = f"latency {latency.low!r} {latency.span!r} {latency.deviation!r} {factor!r}"
            if factor != 1.0 and self._eras:
                name += f" {self._eras}"
            random = self._network.stream(name)
            draw = self._draws[latency, factor] = latency.draws(random, factor)
        return draw

    def _isUp(self, address: str) -> bool:
        host = self._network.hosts.get(address)
        return host is not None and host.up


def _length(duration: float | None) -> None:
    if duration is not None and not duration >= 0:
        raise ValueError(f"a fault cannot last for {duration} seconds")


def _share(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"a share of packets must lie between 0 and 1, not {value}")
    return value


def _positive(bandwidth: float | None) -> float | None:
    if bandwidth is not None and not bandwidth > 0:
        raise ValueError(f"a bandwidth must be positive, not {bandwidth} bytes per second")
    # An infinite one is no limit, and not to be reckoned with.
    return None if bandwidth == inf else bandwidth
