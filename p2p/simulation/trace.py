"""
What happened, as one number or as a list.

The digest is made of every segment and datagram that arrived anywhere: when, at which end, how many bytes, and which.
It is hashed in blocks as the wheel turns. Everything else that happens shows in these sooner or later. Of ciphers it
has only when and where they arrived, because TLS makes them anew in each run.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import Any

from attrs import frozen

from p2p.simulation.clock import Event, Timer
from p2p.simulation.stream import Ciphertext, Stream

_dataOf: Callable[[Event], bytes | None] = itemgetter(3)


@frozen
class Happening:
    """
    One event of a trace.

    @ivar time: Virtual seconds.
    @ivar what: C{"data"}, C{"timer"} or C{"event"} (something between kernels, like the end of a stream).
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

    __slots__ = ("_bytes", "_places", "deliveries", "events", "happenings", "watchers")

    def __init__(self, keep: bool) -> None:
        # Two, so that it does not matter where the blocks begin.
        self._places = hashlib.sha256()
        self._bytes = hashlib.sha256()
        self.watchers: list[Callable[[list[Event]], object]] = []
        self.happenings: list[Happening] | None = [] if keep else None
        self.deliveries = 0
        self.events = 0

    def record(self, events: list[Event]) -> None:
        """
        Take down a block of events that have happened.
        """
        # What brings no data has None there, which is passed over; and nothing is empty.
        arrived: Iterable[bytes] = filter(None, map(_dataOf, events))
        # When, where and how much in one number: it changes if one of these does, or if two of them change places.
        size = _sizeButOfCiphers if Ciphertext.made else len
        places = array("d", [when * target.serial + size(data) for when, _, target, data in events if data is not None])
        if sys.byteorder == "big":
            places.byteswap()
        self.events += len(events)
        if places:
            self.deliveries += len(places)
            self._places.update(places)
            if Ciphertext.made:
                arrived = (data for data in arrived if data.__class__ is not Ciphertext)
            self._bytes.update(b"".join(arrived))
        for watcher in self.watchers:
            watcher(events)
        if self.happenings is not None:
            self.happenings.extend(_happening(event) for event in events)

    def digest(self) -> str:
        """
        The digest of all that has happened, in hexadecimal.
        """
        return hashlib.sha256(self._places.digest() + self._bytes.digest()).hexdigest()


def _sizeButOfCiphers(data: bytes) -> int:
    return 0 if data.__class__ is Ciphertext else len(data)


def _happening(event: Event) -> Happening:
    when, _, target, data = event
    if data is not None:
        who = target.connection.peer if isinstance(target, Stream) else target
        return Happening(when, "data", repr(who), len(data))
    if type(target) is Timer:
        return Happening(when, "timer", target.reactor.host.address, 0)
    called: Any = target
    while isinstance(called, partial):
        called = called.func
    name: str = getattr(called, "__qualname__", type(called).__name__)
    return Happening(when, "event", name.removesuffix(".<locals>.<lambda>"), 0)
