"""
A network of simulated hosts: the thing one makes first.

    network = SimulatedNetwork(seed=7, latency=uniform(0.010, 0.100))
    reactor = network.host("10.0.0.1")      # give this to any Twisted code that takes a reactor
    network.run(until=60.0)

Everything on it happens in one thread, in an order that the seed alone determines; L{SimulatedNetwork.digest} says
whether two runs were the same. The parts: L{clock<p2p.simulation.clock>} is the queue of events,
L{host<p2p.simulation.host>} a machine, L{reactor<p2p.simulation.reactor>} a process on it,
L{tcp<p2p.simulation.tcp>}, L{stream<p2p.simulation.stream>}, L{listening<p2p.simulation.listening>} and
L{udp<p2p.simulation.udp>} its transports, L{path<p2p.simulation.path>} what lies between two of them,
L{faults<p2p.simulation.faults>} what goes wrong, L{guard<p2p.simulation.guard>} what keeps the real world out.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from ipaddress import IPv6Address
from random import Random
from threading import get_ident
from typing import Any, TypeVar

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from p2p.simulation.checks import Checks, Statement
from p2p.simulation.clock import FINE, Clock, Event, SimulationError
from p2p.simulation.faults import Faults
from p2p.simulation.guard import Guard
from p2p.simulation.host import LOOPBACK, Host
from p2p.simulation.hugepages import useHugePages
from p2p.simulation.latency import Latency, uniform
from p2p.simulation.reactor import SimulatedReactor
from p2p.simulation.stream import SEGMENT_SIZE
from p2p.simulation.trace import Happening, Trace

T = TypeVar("T")

DEFAULT_LATENCY = uniform(0.010, 0.100)

_GARBAGE_THRESHOLDS = (50_000, 20, 100)
"""
How seldom Python looks for cyclic garbage during a run: what waits on the wheel looks like garbage to be searched, and
is not.
"""


_MANY = 100
"""
Of fewer hosts it is not worth the while to free the collector of them: it would first go through all that is in this
process, which takes longer than it saves.
"""

LARGE = 500
"""So many hosts are better off with short lists of events, and with their memory in large pages."""


class _Stopped(SimulationError):
    """
    Raised by an event, to return from L{SimulatedNetwork.run} before its time.
    """


class SimulatedNetwork:
    """
    Hosts, what connects them, and the virtual time they live in.

    @ivar seed: What determines everything.
    @ivar hosts: The machines by address.
    @ivar names: Addresses by name in lower case, for name resolution.
    @ivar faults: The verbs that break things.
    @ivar thread: The number of the thread in which it runs, or was made.
    @ivar random: Randomness for whoever directs the run; each host has its own in C{reactor.random}.
    """

    def __init__(
        self,
        seed: int | str = 0,
        latency: Latency | Callable[[str, str], Latency] = DEFAULT_LATENCY,
        *,
        loss: float = 0.0,
        bandwidth: float | None = None,
        window: int = 262144,
        giveUp: float = 924.6,
        fuzz: bool = False,
        trace: bool = False,
        guard: bool = True,
        slotsPerSecond: float = FINE,
        allowed: Iterable[str] = (),
    ) -> None:
        """
        @param seed: A number or text that determines all randomness.
        @param latency: The one-way latency of a segment, or a function that says which from one address to another.
        @param loss: The share of packets that are lost, 0 to 1.
        @param bandwidth: Bytes per second between two hosts in one direction; L{None} for no limit.
        @param window: How many bytes of one direction of a connection may be under way or unread, at least 2. A single
            connection carries at most C{window} bytes per round trip.
        @param giveUp: Seconds after which a connection is lost if data is not acknowledged. Linux takes 924.6.
        @param fuzz: Whether to let the seed also choose where segments are cut, how much more latency each has (up to
            half), and how late each host's timers are (up to 2 ms).
        @param trace: Whether to keep a list of all that happens, see L{happenings}.
        @param guard: Whether to report code that reaches past the simulation while it runs.
        @param slotsPerSecond: Lists in which the events of a second wait: L{clock.FINE<p2p.simulation.clock.FINE>} or
            C{COARSE}. It changes nothing but the speed.
        @param allowed: Names, or beginnings of names, of modules that may reach past it all the same. What time it is,
            and what chance brings, they learn from the network.
        """
        if window < 2:
            raise ValueError(f"a window holds at least 2 bytes, not {window}")
        if isinstance(allowed, str):
            # Each of its letters would be the beginning of many names.
            raise TypeError(f"what is allowed is a list of names, not the text {allowed!r}")
        self.seed = seed
        self.latency = latency
        self.window = window
        self.chunk = min(SEGMENT_SIZE, window // 2)
        self.giveUp = giveUp
        self.fuzz = fuzz
        self.hosts: dict[str, Host] = {}
        self.names: dict[str, list[str]] = {}
        self._trace = Trace(trace)
        self.clock = Clock(self._trace.record, slotsPerSecond)
        self.random = self.stream("network")
        self.chance = self.stream("loss")
        self.fuzzing = self.stream("fuzz")
        self.faults = Faults(self, loss, bandwidth)
        self.guard = Guard(self, tuple(allowed))
        self._guarded = guard
        self._running = False
        self.thread = get_ident()
        self._checks = Checks(self)
        self._serial = 0
        self._director: SimulatedReactor | None = None

    # Hosts.

    def host(
        self, address: str, *, name: str | None = None, boot: Callable[[SimulatedReactor], object] | None = None
    ) -> SimulatedReactor:
        """
        The reactor of a host, which is added to the network if it is not there yet.

        @param address: An IPv4 or IPv6 address.
        @param name: A name by which others can find it.
        @param boot: Called with the reactor now, and with the new one after each restart.

        @raise ValueError: if that is no address.
        """
        address = self.numeric(address)
        machine = self.hosts.get(address)
        if machine is None:
            if not (isIPAddress(address) or isIPv6Address(address)):
                raise ValueError(f"{address!r} is not an IP address")
            machine = self.hosts[address] = Host(self, address)
            if self.fuzz:
                machine.tick = 0.002 * self.fuzzing.random()
            machine.boot = boot
            self.faults.hostJoined(address)
            self.start(machine)
        elif boot is not None:
            raise ValueError(f"{address} has started already, so it cannot be given a boot function")
        if name is not None:
            addresses = self.names.setdefault(name.lower(), [])
            if address not in addresses:
                addresses.append(address)
        return machine.reactor

    def start(self, machine: Host) -> SimulatedReactor:
        """
        Let a new process begin on a host; its start-up event is fired as soon as the network runs.
        """
        machine.boots += 1
        machine.reactor = reactor = SimulatedReactor(self, machine, machine.boots)
        self.clock.at(self.clock.now, lambda: machine.tell(reactor.start))
        if machine.boot is not None:
            with self._guarding():
                machine.boot(reactor)
        return reactor

    def _guarding(self) -> AbstractContextManager[object]:
        return self.guard if self._guarded and not self.guard.active else nullcontext()

    def machine(self, host: str | SimulatedReactor) -> Host:
        """
        The machine with an address or a name, or that on which a reactor runs.

        @raise ValueError: if there is none.
        """
        if not isinstance(host, str):
            return host.host
        found = self.hosts.get(host) or self.hosts.get(self.numeric(host))
        if found is None:
            raise ValueError(f"no host has the address or the name {host!r}")
        return found

    def hostAt(self, address: str, seenFrom: Host) -> Host | None:
        """
        The machine that an address means to a host.
        """
        return seenFrom if address in LOOPBACK else self.hosts.get(address)

    def lookUp(self, name: str) -> list[str]:
        """
        The addresses that belong to a name, none if it is unknown.
        """
        name = name.lower()
        return ["127.0.0.1"] if name == "localhost" else self.names.get(name, [])

    def numeric(self, name: str) -> str:
        """
        The address that a name stands for, or that it is: then in the one form in which this network knows it, for
        IPv6 has many. What is neither is given back.
        """
        if isIPv6Address(name):
            return str(IPv6Address(name))
        return name if isIPAddress(name) else next(iter(self.lookUp(name)), name)

    # Time.

    @property
    def now(self) -> float:
        """
        The virtual time, in seconds since the network began.
        """
        return self.clock.now

    def run(self, until: float) -> None:
        """
        Let virtual time pass, and everything happen that happens.

        @param until: When to return, in virtual seconds since the network began. Everything due at that moment happens.

        @raise ValueError: if that is in the past.
        @raise RuntimeError: if it is running already: called by what happens in it.
        @raise Violation: if something does not hold that must.
        @raise RealityError: if simulated code reaches past the simulation.
        """
        self._mustNotRun()
        if until < self.clock.now:
            raise ValueError(f"cannot run until {until}, it is {self.clock.now} already")
        self._running = True
        self.thread = get_ident()
        thresholds = gc.get_threshold()
        gc.set_threshold(*_GARBAGE_THRESHOLDS)
        try:
            with self._guarding():
                self.clock.run(until)
        except _Stopped:
            pass
        finally:
            self._running = False
            gc.set_threshold(*thresholds)
            pending = self.clock.interruptions()
        for problem in pending:
            if not isinstance(problem, _Stopped):
                raise problem
        self._checks.look()

    def _mustNotRun(self) -> None:
        if self._running:
            raise RuntimeError("this network is running already, and what happens in it cannot wait for it")

    def stop(self) -> None:
        """
        Let L{run} return after the event that is under way.
        """
        self.clock.interrupt(_Stopped())

    def result(self, deferred: Deferred[T], within: float = 60.0) -> T:
        """
        Run until a Deferred has a result.

        @param within: Virtual seconds to wait for it.

        @raise TimeoutError: if there is none by then.
        @raise RuntimeError: if the network is running already.
        @raise Exception: what the Deferred failed with.
        """
        self._mustNotRun()
        results: list[Any] = []
        waiting = True

        def fired(result: Any) -> None:
            results.append(result)
            if waiting:
                self.stop()

        deferred.addBoth(fired)
        try:
            self.run(self.clock.now if results else self.clock.now + within)
        finally:
            waiting = False
        if not results:
            raise TimeoutError(f"seed {self.seed}: no result within {within} virtual seconds")
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]  # type: ignore[no-any-return]

    def callAt(self, when: float, happens: Callable[[], object]) -> None:
        """
        Do something at a moment, whatever becomes of any host. An exception it raises ends the run.

        @param when: Virtual seconds since the network began, not in the past.
        """
        if when < self.clock.now:
            raise ValueError(f"cannot call at {when}, it is {self.clock.now} already")
        self.clock.at(when, happens)

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayedCall:
        """
        Do something later, whatever becomes of any host; an exception it raises is logged.
        """
        return self.director.callLater(delay, callable, *args, **kwargs)

    @property
    def director(self) -> SimulatedReactor:
        """
        The process of whoever directs the run, which is on no host.
        """
        if self._director is None:
            machine = Host(self, "0.0.0.0")
            machine.reactor = self._director = SimulatedReactor(self, machine)
        return self._director

    def freeze(self) -> None:
        """
        Tell Python's garbage collector, and of a large network the kernel, that all there is will stay. To be called
        once a network is built: it makes the run markedly faster, and gives back none of this memory until the process
        ends, or calls C{gc.unfreeze}. With fewer than a hundred hosts it does nothing, for nothing would be gained.
        """
        if len(self.hosts) < _MANY:
            return
        gc.collect()
        gc.freeze()
        if len(self.hosts) >= LARGE:
            useHugePages()

    # What is known about it.

    def always(self, statement: Statement, every: float = 1.0) -> None:
        """
        Demand that a statement holds, at every look and at the end of every run.

        @param statement: A function that is given the network, and returns a false value (other than L{None}) or
            raises L{AssertionError} if the statement does not hold.
        @param every: Virtual seconds between two looks.
        """
        self._checks.always(statement, every)

    def eventually(self, statement: Statement, by: float, every: float = 0.1) -> None:
        """
        Demand that a statement, as for L{always}, has held at one look at least.

        @param by: Until when, in virtual seconds since the network began.
        @param every: Virtual seconds between two looks.
        """
        self._checks.eventually(statement, by, every)

    def digest(self) -> str:
        """
        A number for all that has arrived anywhere so far: when, where, and which bytes. It is the same for the same
        seed and program, on any machine, and another as soon as any of this differs.
        """
        return self._trace.digest()

    def watchArrivals(self, watcher: Callable[[list[Event]], object]) -> None:
        """
        Call a function with all events, in blocks and in order, once they have happened.

        @param watcher: Given a list of tuples (time, number, target, data); where C{data} is not L{None}, these bytes
            have arrived at C{target}, whose C{serial} tells it from all other ends of connections.
        """
        self._trace.watchers.append(watcher)

    @property
    def happenings(self) -> list[Happening]:
        """
        What has happened so far, if the network keeps a trace.
        """
        if self._trace.happenings is None:
            raise ValueError("this network keeps no trace: make it with trace=True")
        return self._trace.happenings

    @property
    def deliveries(self) -> int:
        """
        How many segments and datagrams have arrived so far.
        """
        return self._trace.deliveries

    @property
    def events(self) -> int:
        """
        How many events there have been so far, of any kind.
        """
        return self._trace.events

    def stream(self, name: str) -> Random:
        """
        A stream of randomness that depends on the network's seed and a name, and on nothing else.
        """
        return Random(f"{self.seed}/{name}")

    def nextSerial(self) -> int:
        """
        A number that nothing else on this network has.
        """
        self._serial += 1
        return self._serial
