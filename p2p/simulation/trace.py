"""
What happened, as one number or as a list.

The digest is made of every segment and datagram that arrived anywhere: when, at which end, how many bytes, and which,
and of what the ends are, when something arrives there for the first time: both addresses and ports. Each of these five
is hashed for itself, as it is, so that two runs have one digest only if all that is the same, in the same order. It is
done in blocks as the wheel turns. Everything else that happens shows in these sooner or later. Of ciphers it has only
when and where they arrived, because TLS makes them anew in each run.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from attrs import frozen

from p2p.simulation.clock import Event, Timer
from p2p.simulation.stream import Ciphertext, Stream


@frozen
class Happening:
    """
    One event of a trace.

    @ivar time: Virtual seconds.
    @ivar what: C{"data"}; C{"timer"}, a call that is due, which a stopped process makes when it goes on; or C{"event"}:
        something between kernels, like the end of a stream.
    @ivar who: Whom it happened to: an end of a connection, a host, or the name of a function.
    @ivar size: How many bytes, if data.
    """

    time: float
    what: str
    who: str
    size: int


class Trace:
    """
    Takes down what happens on a network.

    @ivar happenings: The events so far, if they are kept.
    @ivar watchers: Functions that are given each block of events too.
    @ivar deliveries: How many segments and datagrams have arrived, and C{events} how many events there were in all.
    """

    __slots__ = (
        "_bytes", "_ends", "_known", "_sizes", "_times", "_where", "deliveries", "events", "happenings", "watchers",
    )  # fmt: skip

    def __init__(self, keep: bool) -> None:
        # One for each kind, so that it does not matter where the blocks begin.
        self._times = hashlib.sha256()
        self._where = hashlib.sha256()
        self._sizes = hashlib.sha256()
        self._bytes = hashlib.sha256()
        self._ends = hashlib.sha256()
        self._known: set[int] = set()
        self.watchers: list[Callable[[list[Event]], object]] = []
        self.happenings: list[Happening] | None = [] if keep else None
        self.deliveries = 0
        self.events = 0

    def record(self, events: list[Event]) -> None:
        """
        Take down a block of events that have happened.
        """
        self.events += len(events)
        arrivals = [event for event in events if event[3] is not None]
        if arrivals:
            self._hash(arrivals)
        if self.happenings is not None:
            self.happenings.extend(map(_happening, _apartFromIdle(events)))
        for watcher in self.watchers:
            watcher(events)

    def _hash(self, arrivals: list[Event]) -> None:
        times: tuple[float, ...]
        targets: tuple[Any, ...]
        data: tuple[bytes, ...]
        times, _, targets, data = zip(*arrivals, strict=True)
        if Ciphertext.made:
            data = tuple([b"" if each.__class__ is Ciphertext else each for each in data])
        where = [target.serial for target in targets]
        if not self._known.issuperset(where):
            self._introduce(where, targets)
        self.deliveries += len(times)
        self._times.update(_littleEndian(array("d", times)))
        self._where.update(_littleEndian(array("q", where)))
        self._sizes.update(_littleEndian(array("q", map(len, data))))
        self._bytes.update(b"".join(data))

    def _introduce(self, where: list[int], targets: tuple[Any, ...]) -> None:
        """
        Say which ends new serials stand for, in the order in which they come up.
        """
        for serial, target in zip(where, targets, strict=True):
            if serial not in self._known:
                self._known.add(serial)
                self._ends.update(f"{serial} {_nameOf(target)}\n".encode())

    def digest(self) -> str:
        """
        The digest of all that has happened, in hexadecimal.
        """
        parts = (self._times, self._where, self._sizes, self._bytes, self._ends)
        return hashlib.sha256(b"".join([part.digest() for part in parts])).hexdigest()


def _littleEndian(numbers: array[Any]) -> array[Any]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _nameOf(target: Any) -> str:
    return repr(target.connection.peer if isinstance(target, Stream) else target)


def _apartFromIdle(events: list[Event]) -> Iterator[Event]:
    """
    All events but those that found nothing to do: of timers that were cancelled or moved, or whose process is gone.
    """
    due: set[Timer] = set()
    for event in events:
        timer = event[2]
        if type(timer) is Timer:
            if timer in due or not timer.wasDue(event[0]):
                continue
            due.add(timer)
        yield event


def _happening(event: Event) -> Happening:
    when, _, target, data = event
    if data is not None:
        return Happening(when, "data", _nameOf(target), len(data))
    if type(target) is Timer:
        return Happening(when, "timer", target.reactor.host.address, 0)
    called: Any = target
    while isinstance(called, partial):
        called = called.func
    name: str = getattr(called, "__qualname__", type(called).__name__)
    return Happening(when, "event", name.removesuffix(".<locals>.<lambda>"), 0)
