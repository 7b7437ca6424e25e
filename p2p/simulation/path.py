"""
One direction between two hosts: what it is like at present, and what waits to leave for it.

Where the bandwidth is limited, all that goes this way stands in one line, of whichever connection it is. The first in
it is on its way out, byte by byte; it has left with the last one, and only then is it seen whether the path passes it.
Only the departure of the first is on the clock, so if the bandwidth changes, what is left of it is reckoned anew, and
for the others nothing has been decided yet. While the path is held, the line stands still. Without a limit nothing
waits: a packet leaves when it is sent.

What has not left is still in its sender's machine, and gone if that loses its power.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from p2p.simulation.clock import Clock


class Packet(Protocol):
    """
    What leaves as one.
    """

    @property
    def size(self) -> int:
        """
        Its length in bytes, as far as the bandwidth is concerned.
        """

    def leave(self, path: Path) -> None:
        """
        Its last byte has left: find out what becomes of it. Nothing may be sent meanwhile.
        """


class Path:
    """
    One direction between two hosts, as it is now.

    @ivar passing: Whether packets get through at all.
    @ivar held: Whether what does not get through waits somewhere in between, instead of being lost.
    @ivar loss: The share of packets that are lost, 0 to 1.
    @ivar bandwidth: Bytes per second, or L{None} for no limit.
    @ivar plain: Whether it passes everything, without loss or limit: then nobody needs to look at the rest.
    @ivar waiting: What has left and is held: called with the time at which it arrives, in order, when that is known.
        No fault that comes after it stops it.
    @ivar draw: Draws the latency of one packet, in seconds.
    """

    __slots__ = (
        "_clock", "_due", "_left", "_line", "_number", "_rate", "bandwidth", "draw", "held", "loss", "passing", "plain",
        "waiting",
    )  # fmt: skip

    def __init__(self, clock: Clock, draw: Callable[[], float]) -> None:
        self.draw = draw
        self.passing = True
        self.held = False
        self.loss = 0.0
        self.bandwidth: float | None = None
        self.plain = True
        self.waiting: list[Callable[[float], object]] = []
        self._clock = clock
        # The line is there once something has waited. Of the first in it: at which rate it leaves (0 if the line stands
        # still, L{None} without a limit), how many bytes were left when that began, and when and by which event it will
        # have left.
        self._line: deque[Packet] | None = None
        self._left = self._due = 0.0
        self._rate: float | None = None
        self._number = 0

    def send(self, packet: Packet) -> None:
        """
        Let a packet leave: now, or when those before it have left and the bandwidth has let it through.
        """
        if self._line:
            self._line.append(packet)
        elif self.bandwidth is None or not packet.size:
            packet.leave(self)
        else:
            if self._line is None:
                self._line = deque()
            self._line.append(packet)
            self._begin(packet.size)

    @property
    def idle(self) -> bool:
        """
        Whether nothing waits for it.
        """
        return not (self._line or self.waiting)

    def changed(self) -> None:
        """
        Go on with the line, if there is one, as the path is now.
        """
        if self._line and self._rate != (0.0 if self.held else self.bandwidth):
            self._stop()
            self._begin((self._due - self._clock.now) * self._rate if self._rate else self._left)

    def withdraw(self, packets: Collection[Packet]) -> None:
        """
        Take packets out of the line that will not be sent after all.
        """
        if self._line:
            first = self._line[0]
            self._line = deque(packet for packet in self._line if packet not in packets)
            if first in packets:
                self._stop()
                if self._line:
                    self._begin(self._line[0].size)

    def clear(self) -> None:
        """
        Let all that has not left be gone.
        """
        if self._line:
            self._stop()
            self._line.clear()

    def _begin(self, left: float) -> None:
        """
        Let the first in the line leave, of which so many bytes are left.
        """
        self._left = left
        self._rate = rate = 0.0 if self.held else self.bandwidth
        if rate != 0.0:
            clock = self._clock
            self._due = due = clock.now + (0.0 if rate is None else left / rate)
            clock.at(due, self._firstLeaves)
            self._number = clock.number

    def _stop(self) -> None:
        if self._rate != 0.0:
            self._clock.withdraw(self._due, self._number)

    def _firstLeaves(self) -> None:
        """
        The last byte of the first has left.
        """
        line = self._line
        assert line
        line.popleft().leave(self)
        if line:
            self._begin(line[0].size)
