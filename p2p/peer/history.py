"""
What a peer has seen of the network's messages, and what it keeps of them for others.

B{What was seen} is remembered per origin as the highest number seen and the
ranges below it that are missing (L{Origin}): a few words however many messages
there were, so that a message that comes back after days is still known.

B{What was missed} while two peers were not linked is made good when they are:
each tells the other what it has (L{Have}), and is sent what it lacks, out of
the recent messages that everyone keeps.  So a message published in one half of
a split network reaches the other when they meet again.  It is sent with its
age, and kept no longer than by those who had it first: where peers come and go
old messages would else be handed on to each newcomer for ever.

B{What was promised} is sent, however short the window.  A broadcast may announce
a message instead of sending it (C{promise}).  If it has to be forgotten before
a neighbour has asked for it, or shown that he has it, it is sent to him then
(L{Promises}).

B{What cannot be made good} is said.  A number that is missing below one that
was seen is a hole, and owed.  It is given up (C{lost}) when it has been missing
for as long as anybody keeps a message, or a while after somebody said that it
was there and is not kept any more (L{Gone}), unless that was before this
peer's time.  Should it come after all, it is taken.

Every broadcast has one L{History}; how a message spreads beyond that is its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from itertools import islice
from math import ceil, inf
from typing import Any

import attrs

from p2p.peer.origin import NONE, Origin
from p2p.peer.promises import Promises
from p2p.peer.ranges import Ranges, flat, intersect, ranges, subtract, union
from p2p.settings import PeerSettings
from p2p.wire import reasons
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.messages import (
    FRAME,
    MAX_GAPS,
    MAX_GONE_AGE,
    MAX_HELD,
    MAX_HOPS,
    Gone,
    Have,
    Held,
    Lack,
    Message,
    Wanted,
)

SAID = 2**16
"""Numbers of gaps that a new neighbour may tell, beyond two for each origin."""

QUIET = 1000
"""Origins that a new neighbour is told of though nothing of them came within C{historyTime}: the latest."""

MARKS = 4
"""In how many steps of its time a hole grows old."""

DOOMED = 10_000
"""
Ranges that may wait at a time for their C{lossDelay} to pass, somebody having said that they are gone; half as many of
one neighbour.  What is said beyond that is passed over: what of it is a hole, is lost when nobody can keep it any more.
"""

GONE_RATE = 1000
"""Ranges a second that a neighbour may say to be gone, beyond those that he may say at once, as of what he has."""

ASKS = 4.0
"""
How many times a neighbour may ask for all that is kept, and for each message that comes; and once more each second for
all that is kept.  What he asks for beyond that is passed over.
"""

LOST = 100
"""
Ranges that are called lost each second, or not many more, on the word of others; and as many that are older than
anything that is kept.  What else is lost is said in the next seconds.
"""


@attrs.define(eq=False)
class _Hearing:
    """
    A new neighbour that tells what it has.

    @ivar since: how many messages had been kept when the link came up.
    @ivar held: what it has said so far.
    @ivar left: how many more numbers of gaps it may say.
    """

    since: int
    left: int
    held: dict[bytes, Held] = attrs.field(factory=dict)


@attrs.define(eq=False)
class Told:
    """
    What a new neighbour has.

    @ivar since: how many messages had been kept when the link came up.
    @ivar origins: by identity.
    """

    since: int
    origins: dict[bytes, Origin]


@attrs.define(eq=False)
class _Teller:
    """
    A neighbour that says what is gone.

    @ivar left: how many ranges more he may say.
    @ivar at: as of when.
    @ivar waiting: how many of those he said are hoped for yet.
    """

    left: float
    at: float
    waiting: int = 0


@attrs.define(eq=False)
class _Asker:
    """
    A neighbour that asks for messages.

    @ivar left: how many times all that is kept he may ask for yet.
    @ivar at: as of when.
    @ivar came: how many bytes of messages had ever come by then.
    """

    left: float
    at: float
    came: int


@attrs.define(eq=False)
class _Doom:
    """
    What somebody has had and keeps no longer.

    @ivar until: how long others are waited for.
    @ivar before: when it was seen, at the latest.
    """

    until: float
    origin: bytes
    ranges: Ranges
    before: float
    teller: _Teller


class _Places:
    """
    Where each message that is kept stands: looked up when somebody asks, and therefore brought up to date only then.

    A place is counted from the first message ever kept.
    """

    __slots__ = ("_count", "_end", "_origins")

    def __init__(self) -> None:
        # Of each origin the numbers, rising, and the place of each.
        self._origins: dict[bytes, tuple[list[int], list[int]]] = {}
        self._count = 0
        # Those before this place are in.
        self._end = 0

    def follow(self, history: deque[Message], dropped: int) -> None:
        """These are kept now, the first of them at that place."""
        if self._count > 2 * len(history):
            # Most are of the past.
            self._origins, self._count, self._end = {}, 0, dropped
        end = dropped + len(history)
        new = list(islice(reversed(history), end - max(self._end, dropped)))
        self._count += len(new)
        for place, message in zip(range(end - len(new), end), reversed(new), strict=True):
            numbers, places = self._origins.setdefault(message.origin, ([], []))
            number = message.sequence
            at = bisect_left(numbers, number) if numbers and numbers[-1] >= number else len(numbers)
            numbers.insert(at, number)
            places.insert(at, place)
        self._end = end

    def among(self, origin: bytes, these: Ranges, first: int) -> list[tuple[int, int]]:
        """Of these numbers those that stand at place C{first} or behind, each with its place; rising."""
        numbers, places = self._origins.get(origin, ([], []))
        return [
            (numbers[at], places[at])
            for low, high in these
            for at in range(bisect_left(numbers, low), bisect_right(numbers, high))
            if places[at] >= first
        ]


class History:
    """
    What was seen and what is kept; see the module's text.

    @ivar duplicates: messages that were taken before.
    @ivar refused: messages that were not taken, for want of room for another origin.
    @ivar identity: this peer's own, under which it published last.
    @ivar holed: the origin in which a hole was seen last, for who looks for holes; emptied by him.
    @ivar keeps: the message that came last is kept, for who asks for it.
    @ivar leaving: called with each message that is forgotten, when it came, and the time: to whom it is to be sent
        then, besides those to whom it is promised.
    @ivar promises: what was announced to neighbours, and is to be sent to them yet.
    """

    __slots__ = (
        "_askers", "_began", "_doomed", "_doomedRanges", "_dropped", "_droppedBytes", "_droppedSeen", "_gapped",
        "_hearing", "_history", "_historyBytes", "_kept", "_lossDelay", "_maxAge", "_maxBytes", "_maxGap",
        "_maxMessages", "_maxOrigins", "_maxPayload", "_origins", "_outlet", "_said", "_sequence", "_tellers", "_times",
        "duplicates", "holed", "identity", "keeps", "leaving", "promises", "refused",
    )  # fmt: skip

    def __init__(self, outlet: Any, settings: PeerSettings) -> None:
        """
        @param outlet: an L{p2p.interfaces.IBroadcastOutlet}.
        """
        self.duplicates = 0
        self.refused = 0
        self.holed: bytes | None = None
        self._outlet = outlet
        self._maxPayload = settings.maxPayload
        self._maxGap = settings.maxGap
        self._maxOrigins = settings.maxOrigins
        self._maxMessages = settings.historyMessages
        # All of it must fit into the backlog of a link that comes up.
        self._maxBytes = min(settings.historyBytes, settings.maxBacklog // 2)
        self.promises = Promises(settings.maxBacklog // 2)
        self._maxAge = settings.historyTime
        self.keeps = False
        self.leaving: Callable[[Message, float, float], list[Any]] | None = None
        self._lossDelay = settings.lossDelay
        self._said = SAID + 2 * self._maxOrigins
        # The longest silent first.
        self._origins: OrderedDict[bytes, Origin] = OrderedDict()
        # What is kept, and when it came: side by side, for there may be ten thousand of them.
        self._history: deque[Message] = deque()
        self._times: deque[float] = deque()
        self._historyBytes = 0
        self._kept = _Places()
        self._dropped = 0
        self._droppedBytes = 0
        # When the last of those was seen that are kept no longer.
        self._droppedSeen = 0.0
        self._began = inf
        # Origins that have gaps, to be looked at as time passes.
        self._gapped: dict[bytes, None] = {}
        # What somebody no longer keeps, how many ranges that are, and who spoke of it.
        self._doomed: deque[_Doom] = deque()
        self._doomedRanges = 0
        self._tellers: dict[Any, _Teller] = {}
        self._askers: dict[Any, _Asker] = {}
        # What a new neighbour has said so far of what it has; gone once it has said all.
        self._hearing: dict[Any, _Hearing] = {}
        self.identity = b""
        self._sequence = 0

    def own(self, identity: bytes, payload: bytes, now: float) -> Message:
        """
        A new message of this node's, seen and kept; numbers begin at 1 for every identity.

        It has crossed no link here, and one when it arrives at a neighbour, now or later.
        """
        self._begin(now)
        if identity != self.identity:
            self.identity = identity
            self._sequence = 0
        self._sequence += 1
        message = Message(identity, self._sequence, 0, payload)
        self._origin(identity, now).see(self._sequence, self._maxGap)
        self._keep(message, now)
        return message

    def take(self, message: Message, now: float) -> Message | None:
        """
        Mark a message that came as seen, and keep it.

        @return: the message, or C{None} if it had been seen already, or there is no room for another origin (then it
            does not count as seen, and whoever links up later may bring it).
        @raise RemoteProtocolError: its payload is larger than any may be.
        """
        if len(message.payload) > self._maxPayload:
            raise RemoteProtocolError(reasons.TOO_LARGE, f"a payload of {len(message.payload)} bytes")
        number = message.sequence
        origin = self._origins.get(message.origin)
        if origin is None:
            if self._isFull(now):
                self.refused += 1
                return None
            origin = self._origin(message.origin, now)
            origin.see(number, self._maxGap)
            # What was before this peer came is not lost to it.
            origin.given = NONE
            self._noticed(origin)
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
            self._noticed(origin)
        else:
            self.duplicates += 1
            return None
        if not origin.since and message.age < now - self._began - self._lossDelay:
            # Not one that was under way when this peer came up.
            origin.begin(number)
        if message.origin is not origin.identity:
            # The origin's own bytes, once in memory for all its messages that are kept.
            message = Message(origin.identity, number, message.hops, message.payload, message.age)
        self._keep(message, now)
        return message

    def knows(self, origin: bytes) -> bool:
        """Something of that origin is remembered."""
        return origin in self._origins

    def meet(self, neighbour: Any, now: float) -> None:
        """Tell a new neighbour what is here."""
        self._begin(now)
        self._hearing[neighbour] = _Hearing(self._dropped + len(self._history), self._said)
        held = list(self._held(now))
        chunks = [held[start : start + MAX_HELD] for start in range(0, len(held), MAX_HELD)] or [[]]
        for number, chunk in enumerate(chunks, 1):
            self._outlet.send([neighbour], Have(chunk, number == len(chunks)))

    def part(self, neighbour: Any) -> None:
        """A neighbour is gone."""
        self._hearing.pop(neighbour, None)
        self._tellers.pop(neighbour, None)
        self._askers.pop(neighbour, None)
        self.promises.part(neighbour)

    def promise(self, message: Message, neighbour: Any) -> bool:
        """
        Promise to send the message that came last to a neighbour, who is told of it now.

        @return: false if that cannot be promised: send it to him.
        """
        return self.keeps and self.promises.make(neighbour, message)

    def told(self, message: Have, neighbour: Any, now: float) -> Told | None:
        """
        A new neighbour says what it has; of what is too much the rest is passed over.

        @return: C{None} until it has said all.
        @raise RemoteProtocolError: it says what cannot be, or something after the last.
        """
        hearing = self._hearing.get(neighbour)
        if hearing is None:
            raise RemoteProtocolError(reasons.MALFORMED, "Have after the last one")
        for held in message.held:
            # Not all peers of a network need have room for as many; the latest are told first.
            if len(hearing.held) < self._maxOrigins and hearing.left >= len(held.gaps):
                hearing.left -= len(held.gaps)
                hearing.held[held.origin] = held
        if not message.last:
            return None
        del self._hearing[neighbour]
        return Told(hearing.since, {identity: _believed(held) for identity, held in hearing.held.items()})

    def had(self, message: Have, neighbour: Any, now: float) -> None:
        """A new neighbour says what it has: once it has said all, send what it lacks, or say that it is gone."""
        told = self.told(message, neighbour, now)
        if told is None:
            return
        # What came later it was sent as it came.
        for place, kept in enumerate(islice(self._history, max(0, told.since - self._dropped))):
            origin = told.origins.get(kept.origin)
            if (origin is None or origin.lacks(kept.sequence)) and self._ageOf(place, now) <= self._maxAge:
                self._sendAgain(place, neighbour, now)
        self._sayLack(neighbour, [], self._notKept(told.origins, now))

    def lacking(self, identity: bytes, these: Ranges) -> Ranges:
        """Of these numbers of an origin, those that have not been seen and would be taken."""
        origin = self._origins.get(identity)
        return origin.lacking(these) if origin is not None else these

    def owed(self, identity: bytes) -> Ranges:
        """The holes in an origin's numbers that are to be filled yet."""
        origin = self._origins.get(identity)
        return origin.owed if origin is not None and origin.gaps else []

    def settled(self, identity: bytes) -> int:
        """The number of an origin up to which everything has been seen or given up."""
        origin = self._origins.get(identity)
        return origin.settled if origin is not None else 0

    def answer(self, wanted: list[Wanted], neighbour: Any, now: float) -> None:
        """
        Send a neighbour what it asks for, and say what cannot be sent.

        What it asks for in excess is passed over: that has been sent to it again and again.

        @raise RemoteProtocolError: it asks for what cannot be.
        """
        asker = self._asking(neighbour, now)
        if asker.left <= 0:
            return
        asked: dict[bytes, Ranges] = {}
        for each in wanted:
            asked.setdefault(each.origin, []).extend(checked(each.ranges))
        never: list[Wanted] = []
        gone: list[Gone] = []
        found: list[int] = []
        size = 0
        age = max(0.0, now - self._droppedSeen)
        self._kept.follow(self._history, self._dropped)
        for identity, parts in asked.items():
            # Who asks for the parts of an origin's numbers in more words than that, is sent what is between them too.
            these = union(parts, [], MAX_GAPS)
            unseen = self.lacking(identity, these)
            origin = self._origins.get(identity)
            if unseen and origin is not None and origin.waived:
                waived = intersect(unseen, origin.waived)
                if waived:
                    gone += _gone(identity, waived, max(0.0, now - origin.before))
            if unseen:
                unknown = subtract(unseen, origin.waived) if origin is not None else unseen
                if unknown:
                    never += [Wanted(identity, numbers) for numbers in _parts(unknown)]
            seen = subtract(these, unseen)
            there = self._kept.among(identity, seen, self._dropped)
            size += FRAME * len(there)
            left = subtract(seen, [(number, number) for number, _ in there])
            if left:
                gone += _gone(identity, left, age)
            for number, place in there:
                promised = self.promises.settle(neighbour, identity, [(number, number)])
                old = self._ageOf(place - self._dropped, now)
                if promised or old <= self._maxAge:
                    found.append(place - self._dropped)
                else:
                    gone += _gone(identity, [(number, number)], old)
        # In the order in which they came.
        for place in sorted(found):
            size += self._sendAgain(place, neighbour, now)
        asker.left -= size / self._window
        self._sayLack(neighbour, never, gone)

    def gone(self, gone: list[Gone], neighbour: Any, now: float) -> None:
        """
        Somebody has had messages and keeps them no longer: what of them is owed is given up after a while.

        What he says in excess is passed over.

        @raise RemoteProtocolError: what it says cannot be.
        """
        self._begin(now)
        teller = self._tellers.get(neighbour)
        if teller is None:
            teller = self._tellers[neighbour] = _Teller(self._said, now)
        teller.left = min(self._said, teller.left + GONE_RATE * max(0.0, now - teller.at))
        teller.at = now
        for each in gone:
            teller.left -= 1 + len(each.ranges) // 2
            if teller.left < 0:
                teller.left = 0
                return
            these = checked(each.ranges)
            lacking = self.lacking(each.origin, these)
            if not lacking:
                continue
            origin = self._origins.get(each.origin)
            if each.age >= now - self._began:
                # Of before this peer's time.
                origin = origin or self._heardOf(each.origin, now)
                if origin is not None:
                    bygone = intersect(lacking, [(1, origin.since or 2**63 - 1)])
                    self._callLost(origin, origin.waive(bygone, now - each.age))
            elif subtract(lacking, origin.waived if origin is not None else []):
                count = len(lacking)
                if teller.waiting + count <= DOOMED // 2 and self._doomedRanges + count <= DOOMED:
                    self._doomed.append(_Doom(now + self._lossDelay, each.origin, lacking, now - each.age, teller))
                    teller.waiting += count
                    self._doomedRanges += count

    @property
    def count(self) -> int:
        """How many messages there have been."""
        return self._dropped + len(self._history)

    def recent(self) -> list[tuple[float, Message]]:
        """The messages still kept for others, the oldest first, each with the time it was first seen."""
        return list(zip(self._times, self._history, strict=True))

    def tick(self, now: float) -> None:
        """Forget messages that are too old to be asked for."""
        self._begin(now)
        times = self._times
        while times and now - times[0] > self._maxAge:
            self._drop(now, True)
        said = 0
        doomed = self._doomed
        while doomed and doomed[0].until <= now and said < LOST:
            doom = doomed.popleft()
            doom.teller.waiting -= len(doom.ranges)
            self._doomedRanges -= len(doom.ranges)
            said += self._giveUp(doom.origin, doom.ranges, doom.before, now)
        # What somebody says does not keep from being said what this peer knows by itself.
        said = 0
        for identity in list(self._gapped):
            if said >= LOST:
                break
            lost = self._age(identity, now)
            if lost:
                # The others first, the next time.
                self._gapped.pop(identity)
                self._gapped[identity] = None
                said += lost

    # Private.

    def _begin(self, now: float) -> None:
        """This peer is up."""
        if self._began == inf:
            self._began = now

    def _noticed(self, origin: Origin) -> None:
        """A number came that was not the next one: are there holes?"""
        if origin.gaps:
            self.holed = origin.identity
            self._gapped[origin.identity] = None

    def _age(self, identity: bytes, now: float) -> int:
        """
        Give up the holes of an origin that are older than anything that is kept.

        @return: how many ranges were called lost.
        """
        origin = self._origins.get(identity)
        if origin is None or not origin.gaps:
            del self._gapped[identity]
            if origin is not None:
                origin.marks = ()
            return 0
        said = 0
        marks = origin.marks
        if not marks or now - marks[-1][0] >= self._maxAge / MARKS:
            origin.marks = marks = (*marks, (now, origin.top))
        while marks and now - marks[0][0] > self._maxAge:
            # What was missing below the highest number of then has been missing since.
            said += self._giveUp(identity, [(1, marks[0][1])], marks[0][0], now)
            origin.marks = marks = marks[1:]
        return said

    def _giveUp(self, identity: bytes, these: Ranges, before: float, now: float) -> int:
        """
        What of these numbers is owed yet, is lost.

        @return: how many ranges were called so.
        """
        origin = self._origins.get(identity)
        lacking = self.lacking(identity, these) if origin is None else subtract(origin.lacking(these), origin.waived)
        origin = origin or self._heardOf(identity, now)
        if not lacking or origin is None:
            return 0
        lost = union(lacking, origin.waive(lacking, before))
        self._callLost(origin, lost)
        return len(lost)

    def _callLost(self, origin: Origin, these: Ranges) -> None:
        """They were waived, and are said to be lost: once, whatever comes of that origin."""
        if these and not origin.since:
            origin.lost = union(origin.lacking(origin.lost), these, MAX_GAPS)
        for first, last in these:
            self._outlet.lost(origin.identity, first, last)

    def _sayLack(self, neighbour: Any, never: list[Wanted], gone: list[Gone]) -> None:
        """Say what cannot be sent, in as many messages as it takes; never both in one, for that may not fit a frame."""
        for start in range(0, len(never), MAX_HELD):
            self._outlet.send([neighbour], Lack(never[start : start + MAX_HELD], []))
        for start in range(0, len(gone), MAX_HELD):
            self._outlet.send([neighbour], Lack([], gone[start : start + MAX_HELD]))

    def _ageOf(self, place: int, now: float) -> float:
        """For how many seconds a message has been kept, here and by those who had it before; by its place."""
        return self._history[place].age + max(0.0, now - self._times[place])

    def _sendAgain(self, place: int, neighbour: Any, now: float) -> int:
        """
        Send a neighbour what came a while ago.

        With its age: else whoever joins would keep old messages anew for those who join after him, for ever.

        @return: the size of its payload.
        """
        kept = self._history[place]
        if kept.hops < MAX_HOPS:
            self._outlet.send([neighbour], _onward(kept, self._ageOf(place, now)))
        return len(kept.payload)

    @property
    def _window(self) -> int:
        """How many bytes all is that is kept, and one frame more."""
        return self._historyBytes + FRAME * (len(self._history) + 1)

    def _asking(self, neighbour: Any, now: float) -> _Asker:
        """What a neighbour may ask for by now."""
        came = self._droppedBytes + self._historyBytes + FRAME * self.count
        asker = self._askers.get(neighbour)
        if asker is None:
            asker = self._askers[neighbour] = _Asker(ASKS, now, came)
        more = max(0.0, now - asker.at) + ASKS * (came - asker.came) / self._window
        asker.left = min(ASKS, asker.left + more)
        asker.at, asker.came = now, came
        return asker

    def _notKept(self, origins: dict[bytes, Origin], now: float) -> list[Gone]:
        """What somebody who has these lacks of what was seen here and is kept no longer, or is too old."""
        behind: dict[bytes, Ranges] = {}
        for held in self._held(now):
            other, all = origins.get(held.origin), [(1, held.top)]
            lacking = other.lacking(all) if other is not None else all
            if lacking:
                behind[held.origin] = lacking
        gone: list[Gone] = []
        if not behind:
            return gone
        kept: dict[bytes, Ranges] = {identity: [] for identity in behind}
        tooOld: dict[bytes, Ranges] = {identity: [] for identity in behind}
        youngest: dict[bytes, float] = {}
        for message, came in zip(self._history, self._times, strict=True):
            known = kept.get(message.origin)
            if known is None:
                continue
            since = message.age + max(0.0, now - came)
            if since > self._maxAge:
                tooOld[message.origin].append((message.sequence, message.sequence))
                youngest[message.origin] = min(since, youngest.get(message.origin, inf))
            elif known and message.sequence == known[-1][1] + 1:
                known[-1] = (known[-1][0], message.sequence)
            else:
                known.append((message.sequence, message.sequence))
        age = max(0.0, now - self._droppedSeen)
        for identity, lacking in behind.items():
            origin = self._origins[identity]
            seen = subtract([(1, origin.top)], origin.gaps)
            old = union(tooOld[identity], [])
            missing = subtract(subtract(seen, union(kept[identity], [])), old)
            waived = intersect(origin.waived, origin.gaps)
            parts = (missing, age), (old, youngest.get(identity, 0.0)), (waived, max(0.0, now - origin.before))
            for these, ago in parts:
                gone += _gone(identity, intersect(these, lacking), ago)
        return gone

    def _isFull(self, now: float) -> bool:
        """
        There is no origin that may be forgotten for a new one.

        Of one that was heard lately copies may be under way yet.  If it were
        forgotten, they would be taken for new when they come, and go round
        again, with everybody's memory as short.
        """
        if len(self._origins) < self._maxOrigins:
            return False
        first = next(iter(self._origins.values()))
        return bool(first.top and now - first.lastSeen < self._lossDelay)

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

    def _heardOf(self, identity: bytes, now: float) -> Origin | None:
        """
        A record of an origin of which nothing has come: the first to be forgotten.

        @return: C{None} if there is room only for those of which something has.
        """
        origins = self._origins
        if len(origins) >= self._maxOrigins:
            longest, silent = next(iter(origins.items()))
            if silent.top:
                return None
            del origins[longest]
        origin = origins[identity] = Origin(identity)
        origin.lastSeen = now
        origins.move_to_end(identity, last=False)
        return origin

    def _keep(self, message: Message, now: float) -> None:
        self._history.append(message)
        self._times.append(now)
        self._historyBytes += len(message.payload)
        while self._history and (len(self._history) > self._maxMessages or self._historyBytes > self._maxBytes):
            self._drop(now, len(self._history) > 1)
        # The oldest are the first to be forgotten.
        self.keeps = self._maxAge > 0 and bool(self._history)

    def _drop(self, now: float, spread: bool) -> None:
        """
        Forget the oldest message, and send it to those to whom it is promised still.

        @param spread: it is not the one that has only just come.
        """
        message = self._history.popleft()
        self._dropped += 1
        came = self._droppedSeen = self._times.popleft()
        size = len(message.payload)
        self._historyBytes -= size
        self._droppedBytes += size
        owed = self.promises.claim(message.origin, message.sequence) if self.promises.owing else []
        if spread and self.leaving is not None:
            owed += self.leaving(message, came, now)
        if owed:
            self._outlet.send(owed, _onward(message, message.age + max(0.0, now - came)))

    def _held(self, now: float) -> Iterable[Held]:
        """What to tell a new neighbour: origins from whom anybody may still keep something, and the latest others."""
        quiet = 0
        # More numbers than that others do not hear, beyond two for each origin.
        left = SAID
        for identity, origin in reversed(self._origins.items()):
            if now - origin.lastSeen > self._maxAge:
                quiet += 1
                if quiet > QUIET:
                    break
            if not origin.top:
                continue
            gaps = flat(origin.gaps)
            if len(gaps) > 2:
                left -= len(gaps)
                if left < 0:
                    # As two: what is between has come here in part, and may be sent once more.
                    gaps = [gaps[0], gaps[-1]]
            yield Held(identity, origin.top, gaps)

    def _lost(self, identity: bytes, origin: Origin) -> None:
        """Say what was given up."""
        given, origin.given = origin.given, NONE
        for first, last in subtract(union(given, []), origin.waived):
            self._outlet.lost(identity, first, last)


class HistoryKeeper:
    """What every broadcast with a history answers alike; a part of L{p2p.interfaces.IBroadcast}."""

    __slots__ = ("_history",)

    def __init__(self, outlet: Any, settings: PeerSettings) -> None:
        """
        @param outlet: an L{p2p.interfaces.IBroadcastOutlet}.
        """
        self._history = History(outlet, settings)

    @property
    def duplicates(self) -> int:
        """See L{p2p.interfaces.IBroadcast}."""
        return self._history.duplicates

    @property
    def refused(self) -> int:
        """See L{p2p.interfaces.IBroadcast}."""
        return self._history.refused

    def recent(self) -> list[tuple[float, Message]]:
        """See L{p2p.interfaces.IBroadcast}."""
        return self._history.recent()

    def settled(self, origin: bytes) -> int:
        """See L{p2p.interfaces.IBroadcast}."""
        return self._history.settled(origin)

    def promised(self, neighbour: Any) -> int:
        """See L{p2p.interfaces.IBroadcast}."""
        return self._history.promises.owed(neighbour)

    def tick(self, now: float) -> None:
        """Forget messages that are too old to be asked for, and say what is lost."""
        self._history.tick(now)


def checked(numbers: list[int]) -> Ranges:
    """
    Ranges that came from outside.

    @raise RemoteProtocolError: they do not rise.
    """
    found = ranges(numbers)
    if found is None or (found and not found[0][0]):
        raise RemoteProtocolError(reasons.MALFORMED, "ranges do not rise")
    return found


def _onward(kept: Message, age: float) -> Message:
    """A message as it is sent after so many seconds."""
    return Message(kept.origin, kept.sequence, kept.hops + 1, kept.payload, min(ceil(age), 2**63 - 1))


def _parts(these: Ranges) -> list[list[int]]:
    """Ranges as they stand on the wire, no more at a time than may."""
    return [flat(these[start : start + MAX_GAPS]) for start in range(0, len(these), MAX_GAPS)]


def _gone(origin: bytes, these: Ranges, age: float) -> list[Gone]:
    """Those of an origin are kept no longer."""
    return [Gone(origin, numbers, min(age, MAX_GONE_AGE)) for numbers in _parts(these)]


def _believed(held: Held) -> Origin:
    """
    What somebody else says that it has.

    @raise RemoteProtocolError: the ranges do not rise, or reach beyond the top.
    """
    gaps = ranges(held.gaps)
    if gaps is None or (gaps and gaps[-1][1] > held.top):
        raise RemoteProtocolError(reasons.MALFORMED, "the gaps in a Have do not rise")
    origin = Origin()
    origin.top = held.top
    origin.gaps = gaps
    return origin
