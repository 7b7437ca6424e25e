"""
What a peer has seen of the network's messages, and what it keeps of them for others.

B{What was seen} is remembered per origin as the highest number seen and the
ranges below it that are missing (L{Origin}): a few words however many messages
there were, so that a message that comes back after days is still known.

B{What was missed} while two peers were not linked is made good when they are:
each tells the other what it has (L{Have}), and is sent what it lacks, out of
the recent messages that everyone keeps.  So a message published in one half of
a split network reaches the other when they meet again.

Every broadcast has one L{History}; how a message spreads beyond that is its own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

import attrs

from p2p.settings import PeerSettings
from p2p.wire import reasons
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.messages import MAX_GAPS, MAX_HELD, MAX_HOPS, Have, Held, Message

SAID = 2**16
"""Numbers of gaps that a new neighbour may tell, beyond two for each origin."""


class Origin:
    """
    What has been seen of one origin.

    @ivar identity: its 16 bytes; one object for all that is kept of it.
    @ivar top: the highest number seen.
    @ivar gaps: ranges below it not seen, first and last number each, rising.
    @ivar given: ranges given up lately, for whoever counts what is lost.
    @ivar lastSeen: when something new of it came.
    """

    __slots__ = ("gaps", "given", "identity", "lastSeen", "top")

    def __init__(self, identity: bytes = b"") -> None:
        self.identity = identity
        self.top = 0
        self.gaps: list[tuple[int, int]] = []
        self.given: list[tuple[int, int]] = []
        self.lastSeen = 0.0

    def lacks(self, number: int) -> bool:
        """That number has not been seen and would be taken."""
        return number > self.top or self._find(number) is not None

    def see(self, number: int, maxGap: int) -> bool:
        """
        Mark a number as seen.

        @param maxGap: how many of the numbers that are leapt over may still
            come; those further back count as seen.
        @return: it was new.
        """
        if number > self.top:
            if number > self.top + 1:
                first = max(self.top + 1, number - maxGap)
                if first > self.top + 1:
                    self.given.append((self.top + 1, first - 1))
                self.gaps.append((first, number - 1))
                if len(self.gaps) > MAX_GAPS:
                    self.given.append(self.gaps.pop(0))
            self.top = number
            return True
        place = self._find(number)
        if place is None:
            return False
        first, last = self.gaps[place]
        rest = [(a, b) for a, b in ((first, number - 1), (number + 1, last)) if a <= b]
        self.gaps[place : place + 1] = rest
        if len(self.gaps) > MAX_GAPS:
            self.given.append(self.gaps.pop(0))
        return True

    def _find(self, number: int) -> int | None:
        """The place of the gap that a number falls into."""
        gaps = self.gaps
        if not gaps or number > gaps[-1][1]:
            return None
        place = bisect_left(gaps, number, key=lambda gap: gap[1])
        return place if gaps[place][0] <= number else None


@attrs.define(eq=False)
class _Hearing:
    """
    A new neighbour that tells what it has.

    @ivar since: how many messages had been kept when the link came up.
    @ivar held: what it has said so far.
    @ivar left: how many more L{Have} and numbers in them it may say.
    """

    since: int
    left: int
    held: dict[bytes, Held] = attrs.field(factory=dict)


class History:
    """
    What was seen and what is kept; see the module's text.

    @ivar duplicates: messages that were taken before.
    """

    __slots__ = (
        "_dropped", "_hearing", "_history", "_historyBytes", "_identity", "_maxAge", "_maxBytes", "_maxGap",
        "_maxMessages", "_maxOrigins", "_maxPayload", "_origins", "_outlet", "_sequence", "_times", "duplicates",
    )  # fmt: skip

    def __init__(self, outlet: Any, settings: PeerSettings) -> None:
        """
        @param outlet: an L{p2p.interfaces.IBroadcastOutlet}.
        """
        self.duplicates = 0
        self._outlet = outlet
        self._maxPayload = settings.maxPayload
        self._maxGap = settings.maxGap
        self._maxOrigins = settings.maxOrigins
        self._maxMessages = settings.historyMessages
        # All of it must fit into the backlog of a link that comes up.
        self._maxBytes = min(settings.historyBytes, settings.maxBacklog // 2)
        self._maxAge = settings.historyTime
        # The longest silent first.
        self._origins: OrderedDict[bytes, Origin] = OrderedDict()
        # What is kept, and when it came: side by side, for there may be ten thousand of them.
        self._history: deque[Message] = deque()
        self._times: deque[float] = deque()
        self._historyBytes = 0
        self._dropped = 0
        # What a new neighbour has said so far of what it has; gone once it has said all.
        self._hearing: dict[Any, _Hearing] = {}
        self._identity = b""
        self._sequence = 0

    def own(self, identity: bytes, payload: bytes, now: float) -> Message:
        """
        A new message of this node's, seen and kept; numbers begin at 1 for every identity.

        It has crossed no link here, and one when it arrives at a neighbour, now or later.
        """
        if identity != self._identity:
            self._identity = identity
            self._sequence = 0
        self._sequence += 1
        message = Message(identity, self._sequence, 0, payload)
        self._origin(identity, now).see(self._sequence, self._maxGap)
        self._keep(message, now)
        return message

    def take(self, message: Message, now: float) -> Message | None:
        """
        Mark a message that came as seen, and keep it.

        @return: the message, or C{None} if it had been seen already.
        @raise RemoteProtocolError: its payload is larger than any may be.
        """
        if len(message.payload) > self._maxPayload:
            raise RemoteProtocolError(reasons.TOO_LARGE, f"a payload of {len(message.payload)} bytes")
        number = message.sequence
        origin = self._origins.get(message.origin)
        if origin is None:
            origin = self._origin(message.origin, now)
            origin.see(number, self._maxGap)
            # What was before this peer came is not lost to it.
            origin.given.clear()
        elif number <= origin.top and not origin.gaps:
            # Nearly all that a flood brings.
            self.duplicates += 1
            return None
        elif number == origin.top + 1:
            origin.top = number
            origin.lastSeen = now
            self._origins.move_to_end(message.origin)
        elif origin.see(number, self._maxGap):
            origin.lastSeen = now
            self._origins.move_to_end(message.origin)
            if origin.given:
                self._lost(message.origin, origin)
        else:
            self.duplicates += 1
            return None
        if message.origin is not origin.identity:
            # The origin's own bytes, once in memory for all its messages that are kept.
            message = Message(origin.identity, number, message.hops, message.payload)
        self._keep(message, now)
        return message

    def meet(self, neighbour: Any, now: float) -> None:
        """Tell a new neighbour what is here, so that it sends what is not."""
        self._hearing[neighbour] = _Hearing(self._dropped + len(self._history), SAID + 2 * self._maxOrigins)
        held = list(self._held(now))
        chunks = [held[start : start + MAX_HELD] for start in range(0, len(held), MAX_HELD)] or [[]]
        for number, chunk in enumerate(chunks, 1):
            self._outlet.send([neighbour], Have(chunk, number == len(chunks)))

    def part(self, neighbour: Any) -> None:
        """A neighbour is gone."""
        self._hearing.pop(neighbour, None)

    def had(self, message: Have, neighbour: Any, now: float) -> None:
        """A new neighbour says what it has: send what it lacks, once it has said all."""
        hearing = self._hearing.get(neighbour)
        if hearing is None:
            raise RemoteProtocolError(reasons.MALFORMED, "Have after the last one")
        hearing.left -= 1
        for held in message.held:
            hearing.left -= len(held.gaps)
            hearing.held[held.origin] = held
        if len(hearing.held) > self._maxOrigins or hearing.left < 0:
            raise RemoteProtocolError(reasons.MALFORMED, f"Have of more than {self._maxOrigins} origins")
        if not message.last:
            return
        del self._hearing[neighbour]
        origins = {identity: _believed(held) for identity, held in hearing.held.items()}
        # What came later it was sent as it came.
        for kept in islice(self._history, max(0, hearing.since - self._dropped)):
            origin = origins.get(kept.origin)
            if kept.hops < MAX_HOPS and (origin is None or origin.lacks(kept.sequence)):
                self._outlet.send([neighbour], Message(kept.origin, kept.sequence, kept.hops + 1, kept.payload))

    def recent(self) -> list[tuple[float, Message]]:
        """The messages still kept for others, the oldest first, each with the time it was first seen."""
        return list(zip(self._times, self._history, strict=True))

    def tick(self, now: float) -> None:
        """Forget messages that are too old to be asked for."""
        times = self._times
        while times and now - times[0] > self._maxAge:
            self._drop()

    # Private.

    def _origin(self, identity: bytes, now: float) -> Origin:
        """The record of an origin, made if need be; something new of it came."""
        origin = self._origins.get(identity)
        if origin is None:
            origin = self._origins[identity] = Origin(identity)
            if len(self._origins) > self._maxOrigins:
                self._origins.popitem(last=False)
        origin.lastSeen = now
        self._origins.move_to_end(identity)
        return origin

    def _keep(self, message: Message, now: float) -> None:
        self._history.append(message)
        self._times.append(now)
        self._historyBytes += len(message.payload)
        while self._history and (len(self._history) > self._maxMessages or self._historyBytes > self._maxBytes):
            self._drop()

    def _drop(self) -> None:
        self._dropped += 1
        self._times.popleft()
        self._historyBytes -= len(self._history.popleft().payload)

    def _held(self, now: float) -> Iterable[Held]:
        """What to tell a new neighbour: origins from whom anybody may still keep something."""
        for identity, origin in reversed(self._origins.items()):
            if now - origin.lastSeen > self._maxAge:
                break
            yield Held(identity, origin.top, [number for gap in origin.gaps for number in gap])

    def _lost(self, identity: bytes, origin: Origin) -> None:
        """Say what was given up."""
        given, origin.given = origin.given, []
        for first, last in given:
            self._outlet.lost(identity, first, last)


def _believed(held: Held) -> Origin:
    """
    What somebody else says that it has.

    @raise RemoteProtocolError: the ranges do not rise, or reach beyond the top.
    """
    numbers = held.gaps
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    flat = [0, *numbers, held.top]
    if len(numbers) % 2 or any(first > last for first, last in pairs) or sorted(flat) != flat:
        raise RemoteProtocolError(reasons.MALFORMED, "the gaps in a Have do not rise")
    origin = Origin()
    origin.top = held.top
    origin.gaps = pairs
    return origin
