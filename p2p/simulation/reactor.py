"""
The reactor of one simulated process, to be handed to any Twisted code that takes a reactor.

It is as much of a reactor as concerns a program on the network: time, TCP, TLS, UDP, names, and starting and stopping.
It has no loop of its own. L{SimulatedNetwork.run<p2p.simulation.network.SimulatedNetwork.run>} runs all reactors at
once. What would start a loop, a thread or a process, or needs anything else that is not there, is told so with a
L{RealityError}.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from itertools import chain
from random import Random
from threading import get_ident
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.internet import error
from twisted.internet._resolver import ComplexResolverSimplifier
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.base import _ThreePhaseEvent
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IListeningPort,
    IReactorCore,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    IResolutionReceiver,
)
from twisted.internet.protocol import ClientFactory, DatagramProtocol
from twisted.internet.task import Cooperator
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from p2p.simulation.clock import SimulationError, Timer
from p2p.simulation.guard import RealityError, place
from p2p.simulation.listening import Connector, Port
from p2p.simulation.tcp import addressOf
from p2p.simulation.udp import DatagramPort

if TYPE_CHECKING:
    from p2p.simulation.host import Host
    from p2p.simulation.network import SimulatedNetwork

_STEP = 0.00000001
"""Seconds between two steps of a cooperator, as with Twisted's."""

_TIMERS = 100
"""How many timers of a dead process are taken to be on the wheel: they keep all of its program in memory."""

_NO_LOOP = "on a simulated host: run the network instead"

_LACKING = "on a simulated host, which does not have it: it has timers, TCP, TLS, UDP and names"

_REST = (
    *("adoptDatagramPort", "adoptStreamConnection", "adoptStreamPort", "connectUNIX", "connectUNIXDatagram"),
    *("listenMulticast", "listenUNIX", "listenUNIXDatagram"),
    *("addReader", "addWriter", "getReaders", "getWriters", "removeAll", "removeReader", "removeWriter"),
    *("callInThread", "getThreadPool", "suggestThreadPoolSize", "spawnProcess", "installResolver"),
)
"""The other methods of Twisted's reactors: who calls one is told so with a L{RealityError}."""


class _Log(Logger):
    """
    A log of what applications raise, which is not for what ends a simulation.
    """

    def failure(
        self, format: str, failure: Failure | None = None, level: LogLevel = LogLevel.critical, **kwargs: object
    ) -> None:
        """
        Log a failure.

        @raise SimulationError: if it is one.
        """
        if failure is not None and failure.check(SimulationError):
            failure.raiseException()
        super().failure(format, failure, level, **kwargs)


@implementer(
    IReactorCore,
    IReactorTime,
    IReactorFromThreads,
    IReactorTCP,
    IReactorSSL,
    IReactorUDP,
    IReactorPluggableNameResolver,
)
class SimulatedReactor:
    """
    A process on a simulated host.

    @ivar network: The network it is on.
    @ivar host: The machine it runs on.
    @ivar alive: Whether the process exists: it has not been stopped and has not crashed.
    @ivar seconds: What the host's clock shows, in seconds.
    @ivar running: Whether its start-up is done and its shutdown is not.
    """

    log = _Log()

    def __init__(self, network: SimulatedNetwork, host: Host, boot: int = 0) -> None:
        """
        @param boot: The how manyth process of that host this is.
        """
        self.network = network
        self._boot = boot
        self.clock = network.clock
        self.host = host
        self.seconds = host.wall.seconds
        self.alive = True
        self.running = False
        self._random: Random | None = None
        self._events: dict[str, _ThreePhaseEvent] = {}
        self._started = self._stopping = False
        self._resolver: IHostnameResolver | None = None
        self._cooperator: Cooperator | None = None
        # Before all triggers that a program adds, as in a real reactor.
        self.addSystemEventTrigger("during", "startup", self._run)
        self.addSystemEventTrigger("during", "shutdown", self._disconnectAll)

    @property
    def random(self) -> Random:
        """
        A stream of randomness of this process's own, determined by the network's seed.
        """
        if self._random is None:
            self._random = self.network.stream(f"host {self.host.address} {self._boot}")
        return self._random

    @property
    def cooperator(self) -> Cooperator:
        """
        What Twisted's global cooperator is to this process.
        """
        if self._cooperator is None:
            self._cooperator = Cooperator(scheduler=lambda step: self.callLater(_STEP, step))
        return self._cooperator

    @property
    def disk(self) -> dict[Any, Any]:
        """
        What survives a restart of this host.
        """
        return self.host.disk

    # IReactorTime

    def dueTime(self, delay: float) -> float:
        """
        When in the network's time something is to happen after a delay on this host's clock.
        """
        wall = self.host.wall
        now = self.clock.now
        when = now + delay if wall.right else wall.after(now, delay)
        tick = self.host.tick
        if tick:
            # Only then: a process that is late is late for all its timers, so these keep their order.
            when = max(when, (when // tick + 1.0) * tick)
        return when

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayedCall:
        """
        See L{IReactorTime.callLater<twisted.internet.interfaces.IReactorTime.callLater>}.
        """
        assert delay >= 0, f"{delay} is not greater than or equal to 0 seconds"
        assert builtins.callable(callable), f"{callable} is not callable"
        when = self.dueTime(delay)
        timer = Timer(self, when, callable, args, kwargs)
        self.clock.at(when, timer)
        return timer

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """
        The timers of this process that wait.
        """
        return self.timers()

    def timers(self) -> list[Timer]:
        """
        The same; also those that are due and wait for a stopped process to go on.
        """
        waiting = chain((event[2] for event in self.clock.waiting()), self.host.held or ())
        timers = {
            target: None
            for target in waiting
            if type(target) is Timer and target.reactor is self and target.active()
        }
        return list(timers)

    # IReactorCore

    def start(self) -> None:
        """
        Fire the start-up event: the process begins.
        """
        if self.alive:
            self._started = True
            self.fireSystemEvent("startup")

    def _run(self) -> None:
        self.running = True

    def stop(self) -> None:
        """
        End this process in good order: its shutdown event is fired, then its connections and ports are closed.

        @raise error.ReactorNotRunning: if it is not running.
        """
        if self._stopping or not self.alive or not self._started:
            raise error.ReactorNotRunning("Can't stop reactor that isn't running.")
        self._stopping = True
        self.clock.at(self.clock.now, lambda: self.host.tell(self._stop))

    def _stop(self) -> None:
        if not self.alive:
            return
        self.addSystemEventTrigger("after", "shutdown", self.die)
        self.fireSystemEvent("shutdown")

    def _disconnectAll(self) -> None:
        self.running = False
        lost = Failure(error.ConnectionLost("Connection lost"))
        for attempt in list(self.host.calling.values()):
            attempt.failed(error.ConnectError(string=lost))
        for end in list(self.host.ends):
            end.lose(lost)
        for port in self._listening():
            with self.log.failuresHandled("while whoever listens at {port} was told that it has stopped", port=port):
                port.stop()

    def _listening(self) -> list[Port | DatagramPort]:
        listening: list[Port | DatagramPort] = [port for ports in self.host.ports.values() for port in ports]
        listening += [port for ports in self.host.datagramPorts.values() for port in ports]
        return listening

    def crash(self) -> None:
        """
        End this process at once, without a shutdown event; the kernel ends its connections.
        """
        self.die()

    def die(self, silently: bool = False) -> None:
        """
        Let the process be gone, and nothing of it be left but what its kernel sends.

        @param silently: Whether nothing is sent either, because the machine is gone too.
        """
        self.alive = self.running = False
        self.clock.becameStale(_TIMERS)
        host = self.host
        host.held = None
        host.calling.clear()
        for end in list(host.ends):
            end.vanish(silently)
        for port in self._listening():
            port.close()

    def run(self) -> NoReturn:
        """
        There is no loop of one reactor.

        @raise RealityError: always.
        """
        raise RealityError("reactor.run()", place(), _NO_LOOP)

    def iterate(self, delay: float = 0.0) -> NoReturn:
        """
        There is no loop of one reactor.

        @raise RealityError: always.
        """
        raise RealityError("reactor.iterate()", place(), _NO_LOOP)

    def fireSystemEvent(self, eventType: str) -> None:
        """
        See L{IReactorCore.fireSystemEvent<twisted.internet.interfaces.IReactorCore.fireSystemEvent>}.
        """
        event = self._events.get(eventType)
        if event is not None:
            event.fireEvent()

    def addSystemEventTrigger(
        self, phase: str, eventType: str, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> Any:
        """
        See L{IReactorCore.addSystemEventTrigger<twisted.internet.interfaces.IReactorCore.addSystemEventTrigger>}.
        """
        event = self._events.setdefault(eventType, _ThreePhaseEvent())
        return eventType, event.addTrigger(phase, callable, *args, **kwargs)

    def removeSystemEventTrigger(self, triggerID: Any) -> None:
        """
        See L{IReactorCore.removeSystemEventTrigger<twisted.internet.interfaces.IReactorCore.removeSystemEventTrigger>}.
        """
        eventType, handle = triggerID
        self._events[eventType].removeTrigger(handle)

    def callWhenRunning(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> Any:
        """
        See L{IReactorCore.callWhenRunning<twisted.internet.interfaces.IReactorCore.callWhenRunning>}.
        """
        if self.running:
            callable(*args, **kwargs)
            return None
        return self.addSystemEventTrigger("after", "startup", callable, *args, **kwargs)

    def resolve(self, name: str, timeout: Sequence[int] = (1, 3, 11, 45)) -> Deferred[str]:
        """
        See L{IReactorCore.resolve<twisted.internet.interfaces.IReactorCore.resolve>}: ask the L{nameResolver}.
        """
        if not name:
            return succeed("0.0.0.0")
        if isIPAddress(name):
            return succeed(name)
        return ComplexResolverSimplifier(self.nameResolver).getHostByName(name)

    # IReactorTCP, IReactorSSL

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> IListeningPort:
        """
        See L{IReactorTCP.listenTCP<twisted.internet.interfaces.IReactorTCP.listenTCP>}.
        """
        listening = Port(self, port, factory, backlog, interface)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float | None = 30.0,
        bindAddress: tuple[str, int] | None = None,
    ) -> Connector:
        """
        See L{IReactorTCP.connectTCP<twisted.internet.interfaces.IReactorTCP.connectTCP>}.
        """
        connector = Connector(self, host, port, factory, timeout, bindAddress)
        connector.connect()
        return connector

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        See L{IReactorSSL.listenSSL<twisted.internet.interfaces.IReactorSSL.listenSSL>}.
        """
        from twisted.protocols.tls import TLSMemoryBIOFactory

        secured = TLSMemoryBIOFactory(contextFactory, False, factory, self)
        return self.listenTCP(port, secured, backlog, interface)

    def connectSSL(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        contextFactory: Any,
        timeout: float | None = 30.0,
        bindAddress: tuple[str, int] | None = None,
    ) -> Connector:
        """
        See L{IReactorSSL.connectSSL<twisted.internet.interfaces.IReactorSSL.connectSSL>}.
        """
        from twisted.protocols.tls import TLSMemoryBIOFactory

        secured = TLSMemoryBIOFactory(contextFactory, True, factory, self)
        return self.connectTCP(host, port, secured, timeout, bindAddress)

    # IReactorUDP

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> IListeningPort:
        """
        See L{IReactorUDP.listenUDP<twisted.internet.interfaces.IReactorUDP.listenUDP>}.
        """
        listening = DatagramPort(self, port, protocol, interface, maxPacketSize)
        listening.startListening()
        return listening

    # IReactorPluggableNameResolver

    @property
    def nameResolver(self) -> IHostnameResolver:
        """
        Who finds addresses for names.
        """
        if self._resolver is None:
            self._resolver = NameResolver(self.network)
        return self._resolver

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """
        See
        L{IReactorPluggableNameResolver.installNameResolver
        <twisted.internet.interfaces.IReactorPluggableNameResolver.installNameResolver>}.
        """
        previous, self._resolver = self.nameResolver, resolver
        return previous

    # IReactorFromThreads

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        """
        See L{IReactorFromThreads.callFromThread<twisted.internet.interfaces.IReactorFromThreads.callFromThread>}. There
        is no other thread than the one in which all reactors run, which may do so, too.

        @raise RealityError: in another thread.
        """
        if get_ident() != self.network.thread:
            self._lacks("callFromThread() in another thread")
        self.callLater(0.0, callable, *args, **kwargs)

    def _lacks(self, what: str) -> NoReturn:
        raise self.network.guard.report(f"reactor.{what}", _LACKING)

    def __repr__(self) -> str:
        """
        Name the host.
        """
        return f"<SimulatedReactor of {self.host.address}>"


def _lacking(name: str) -> Callable[..., NoReturn]:
    def lacking(self: SimulatedReactor, *args: object, **kwargs: object) -> NoReturn:
        self._lacks(f"{name}()")

    return lacking


for _name in _REST:
    setattr(SimulatedReactor, _name, _lacking(_name))
del _name


@implementer(IHostResolution)
class _Resolution:
    """
    A question for addresses, answered already.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """
        Nothing is left to be cancelled.
        """


@implementer(IHostnameResolver)
class NameResolver:
    """
    The name service of a network: knows addresses as they are, and the names of L{SimulatedNetwork.names
    <p2p.simulation.network.SimulatedNetwork.names>}. It takes no time.
    """

    def __init__(self, network: SimulatedNetwork) -> None:
        self._network = network

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """
        See L{IHostnameResolver.resolveHostName<twisted.internet.interfaces.IHostnameResolver.resolveHostName>}.
        """
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        literal = isIPAddress(hostName) or isIPv6Address(hostName)
        for address in [hostName] if literal else self._network.lookUp(hostName):
            found = addressOf(transportSemantics, (address, portNumber))
            if addressTypes is None or isinstance(found, tuple(addressTypes)):
                resolutionReceiver.addressResolved(found)
        resolutionReceiver.resolutionComplete()
        return resolution
