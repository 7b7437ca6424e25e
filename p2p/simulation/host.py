"""
A machine of the simulated network: what is left when its process has died, and its kernel's side of everything.

The process is the L{reactor<p2p.simulation.reactor.SimulatedReactor>}; it comes and goes. The machine keeps an address,
a clock that may be wrong, a disk, and, while it is up, a kernel that knows which ports are bound and which connections
exist. A stopped process (C{SIGSTOP}) is a machine whose kernel works and whose process gets nothing: whatever would
call the application waits in L{Host.held}, in order.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from math import ulp
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import isIPv6Address

if TYPE_CHECKING:
    from p2p.simulation.clock import Clock
    from p2p.simulation.listening import Attempt, Port
    from p2p.simulation.network import SimulatedNetwork
    from p2p.simulation.reactor import SimulatedReactor
    from p2p.simulation.tcp import Connection, Where
    from p2p.simulation.udp import DatagramPort

FIRST_EPHEMERAL = 49152
_EPHEMERAL = 65536 - FIRST_EPHEMERAL
LOOPBACK = ("127.0.0.1", "::1")
ANY = ("", "0.0.0.0", "::")


class WallClock:
    """
    The clock on a host's wall, which may be wrong.

    It is asked at every segment that arrives, so it is small and holds all it needs.

    @ivar base: What it showed when it was last set, which was at C{baseAt} in the network's time.
    @ivar rate: Seconds it counts in one second of the network.
    @ivar right: Whether it shows the network's time.
    """

    __slots__ = ("base", "baseAt", "clock", "rate", "right")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.base = self.baseAt = 0.0
        self.rate = 1.0
        self.right = True

    def seconds(self) -> float:
        """
        What it shows now.
        """
        return self.base + (self.clock.now - self.baseAt) * self.rate

    def at(self, time: float) -> float:
        """
        What it shows at a time of the network.
        """
        return self.base + (time - self.baseAt) * self.rate

    def after(self, time: float, delay: float) -> float:
        """
        When, in the network's time, it will have counted some seconds from a time of the network on.

        What a wrong clock shows has been rounded, and so has every sum that a program makes of it. A timer that came
        when such a sum is due in theory would, as often as not, be called while the clock still shows less; it would
        wait for the rest, and come early again. So it comes later by a few times the least that either clock can tell.
        """
        return time + delay if self.right or not delay else self.when(self.at(time) + delay)

    def when(self, due: float) -> float:
        """
        When, in the network's time, it will show a time.
        """
        when = self.baseAt + (due - self.base) / self.rate
        return when if self.right else when + 4.0 * (ulp(when) + ulp(max(abs(self.base), abs(due))) / self.rate)

    def set(self, offset: float | None, drift: float | None) -> None:
        """
        Set it wrong, see L{Host.setClock}.
        """
        if drift is not None and drift <= -1:
            raise ValueError(f"a clock cannot drift by {drift}: it would run backwards")
        now = self.clock.now
        self.base = self.at(now) if offset is None else now + offset
        self.baseAt = now
        if drift is not None:
            self.rate = 1.0 + drift
        self.right = self.rate == 1.0 and self.base == now
        if self.right:
            self.base = self.baseAt = 0.0


class Host:
    """
    A machine.

    @ivar address: Its IP address.
    @ivar disk: What survives a restart, for applications to keep things in.
    @ivar reactor: The process that runs, or ran last.
    @ivar boot: Called with the new reactor whenever the host starts, to start its program again; or L{None}.
    @ivar boots: How many processes it has had.
    @ivar up: Whether the machine has power.
    @ivar held: L{None} while the process runs. While it is stopped: what waits to be told to it, in order.
    @ivar goingOn: Whether a stopped process is about to go on.
    @ivar heldUntil: When the last of the pauses ends that a stopped process is in, in virtual seconds, or infinity.
    @ivar wall: Its own clock.
    @ivar ends: Its ends of connections, as an ordered set.
    @ivar calling: Who calls at present, by the address and port he calls from, in order.
    @ivar chosen: Whether a program has called from a port of its choice.
    @ivar ports: Its listening TCP ports by port number, and C{datagramPorts} those of UDP.
    """

    __slots__ = (
        "_ephemeral",
        "_givenOut",
        "address",
        "boot",
        "boots",
        "calling",
        "chosen",
        "datagramPorts",
        "disk",
        "ends",
        "goingOn",
        "held",
        "heldUntil",
        "network",
        "ports",
        "reactor",
        "tick",
        "up",
        "wall",
    )

    reactor: SimulatedReactor

    def __init__(self, network: SimulatedNetwork, address: str) -> None:
        self.network = network
        self.address = address
        self.boot: Callable[[SimulatedReactor], object] | None = None
        self.boots = 0
        self.disk: dict[Any, Any] = {}
        self.up = True
        self.held: list[Callable[[], object]] | None = None
        self.goingOn = False
        self.heldUntil = 0.0
        self.ends: dict[Connection, None] = {}
        self.calling: dict[Where, Attempt] = {}
        self.ports: dict[int, list[Port]] = {}
        self.datagramPorts: dict[int, list[DatagramPort]] = {}
        self.wall = WallClock(network.clock)
        self.tick = 0.0
        self.chosen = False
        self._ephemeral = FIRST_EPHEMERAL
        self._givenOut = 0

    def setClock(self, offset: float | None = None, drift: float | None = None) -> None:
        """
        Set the host's clock wrong from now on. Timers follow it as they do in reality: one that is set ahead brings at
        once what is due by then (a real process that sleeps would see it when it wakes), and one that is set back lets
        all wait for what it has shown already.

        @param offset: Seconds it is to be ahead of the network's time now; L{None} leaves it as it is.
        @param drift: How much too fast it is to run: 0.001 gains a millisecond a second. Above -1. L{None} leaves it.
        """
        timers = sorted(self.reactor.timers(), key=attrgetter("time"))
        due = [timer.getTime() for timer in timers]
        self.wall.set(offset, drift)
        for timer, shown in zip(timers, due, strict=True):
            timer.moveTo(self.wall.when(shown))

    # Its kernel.

    def tell(self, happened: Callable[[], object]) -> None:
        """
        Let the process know of something: at once, or when it goes on if it is stopped.
        """
        if self.held is None:
            happened()
        else:
            self.held.append(happened)

    def owns(self, address: str) -> bool:
        """
        Whether an address is one that this host can be reached at or bind to.
        """
        return address == self.address or address in LOOPBACK or address in ANY

    def sourceFor(self, destination: str) -> str:
        """
        The address from which this host speaks to another.
        """
        return destination if destination in LOOPBACK else self.address

    def anyAddress(self) -> str:
        """
        How this host's family of addresses writes "all of them".
        """
        return "::" if isIPv6Address(self.address) else "0.0.0.0"

    def ephemeralPort(self) -> int:
        """
        A port that nobody listens on, for an outgoing connection or for whoever binds port 0; and if there are any, one
        that no connection has.

        @raise OSError: if there is none.
        """
        used: set[int] = set()
        # The first time round none has been given out before.
        if self.chosen or self._givenOut >= _EPHEMERAL:
            used.update(number for _, number in self.calling)
            used.update(end.local[1] for end in self.ends)
        tried = 0
        while tried < 2 * _EPHEMERAL:
            port = self._ephemeral
            self._ephemeral = port + 1 if port < 65535 else FIRST_EPHEMERAL
            self._givenOut += 1
            tried += 1
            if port in self.ports or port in self.datagramPorts or (port in used and tried <= _EPHEMERAL):
                continue
            return port
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    def hasBound(self, address: str, number: int) -> bool:
        """
        Whether somebody listens on, calls from, or is connected at an address and TCP port number of this host.
        """
        return (
            (address, number) in self.calling
            or any(collides(address, port.interface) for port in self.ports.get(number, ()))
            or any(end.local == (address, number) for end in self.ends)
        )

    def listener(self, address: str, number: int) -> Port | None:
        """
        The TCP port that takes connections to an address and port number.
        """
        for port in self.ports.get(number, ()):
            if _includes(port.interface, address):
                return port
        return None

    def datagramListener(self, address: str, number: int) -> DatagramPort | None:
        """
        The UDP port that takes datagrams for an address and port number.
        """
        for port in self.datagramPorts.get(number, ()):
            if _includes(port.interface, address):
                return port
        return None


def collides(one: str, other: str) -> bool:
    """
    Whether two interfaces cannot both be bound on one port number.
    """
    return one == other or one in ANY or other in ANY


def _includes(interface: str, address: str) -> bool:
    """
    Whether who is bound to an interface gets what is sent to an address: C{"::"} stands for both families.
    """
    return interface == address or interface == "::" or (interface in ANY and not isIPv6Address(address))
