"""
Asking neighbours for what is missing: what somebody has announced, and what is a hole in an origin's numbers.

For each origin of which something is missing there is one L{_Want}: who says
to have what of it, and who has been asked for what.  Those that have
something are asked in the order in which they said so, each at most once for
each time that he said it, and only one at a time for each number: another one
only when he who was asked says that he does not have it, when his link ends,
or when he has taken too long.  Who did that with what he had
been given C{pullTimeout} for is not waited for any more in the next minutes:
others are asked the same meanwhile.  For a hole of which nobody has said anything
all neighbours are asked in turn, C{repairRounds} of them, with growing pauses.

A link keeps its order, so a question is always answered, or the link ends, but
for what is asked in excess (L{p2p.peer.history.ASKS}), which is passed over.
Whoever holds a message and stays linked therefore sends it in the end; what
he no longer keeps he says to be gone, and L{History} says what is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import Any

import attrs

from p2p.peer.history import History, checked
from p2p.peer.ranges import Ranges, flat, intersect, subtract, total, union
from p2p.settings import PeerSettings
from p2p.wire.messages import MAX_GAPS, MAX_HELD, Gone, Graft, Lack, Wanted

SHARE = 8
"""Of all the origins that may be missing something, the share that one neighbour may speak of: one in so many."""

STEPS = 4
"""How many announcements of one neighbour may wait apart from each other; further ones join the last."""

GLANCE = 1.0
"""Seconds after which it is looked at the latest whether an answer has begun to come."""

FEW = 8
"""So many messages that may have been delayed only are asked for together; of more, one is asked for first."""

SOUND = 0.1
"""Seconds after which it is looked whether the others have come by themselves meanwhile."""

UNANSWERED = 256
"""Ranges of one origin at a time that a neighbour is asked for; more only as those come."""

LONGEST = 64.0
"""Pause between two rounds for a hole at most, as a multiple of the first."""


PUT_OFF = 6
"""As many times his patience at most is waited for an answer of which there are signs, but which does not come."""

DISTRUST = 600.0
"""Seconds for which who left a question unanswered does not keep others from being asked the same."""


@attrs.define(eq=False)
class _Ask:
    """
    A question that has not been answered.

    @ivar ranges: what of it has not come yet.
    @ivar said: what of it he has said to have; a hole is asked of who has said nothing.
    @ivar by: until when he is waited for: if nothing has begun to come by then, others may be asked for the same.
    @ivar patience: for how many seconds more each sign of an answer has him waited for.
    @ivar first: what had been asked for when C{latest} was set.
    @ivar latest: the time beyond which no sign does, nor a further question, until all of that has come.
    @ivar arriving: how much of a message had come from him when he was last looked at.
    """

    ranges: Ranges
    said: Ranges
    by: float
    patience: float
    first: Ranges
    latest: float
    arriving: int


@attrs.define(eq=False)
class _Holder:
    """
    What a neighbour says to have that this peer lacks.

    @ivar eager: he is to send everything new when he is asked.
    @ivar patience: how many seconds he may take.
    @ivar delay: how many seconds what he has may still come by itself.
    @ivar waiting: what may still come by itself, and until when.
    @ivar ready: what is to be asked for.
    @ivar rest: what was left when he was asked for one of many, to see whether it comes by itself; empty if he was not.
    """

    eager: bool
    patience: float
    delay: float
    waiting: list[tuple[float, Ranges]] = attrs.field(factory=list)
    ready: Ranges = attrs.field(factory=list)
    rest: Ranges = attrs.field(factory=list)

    def add(self, these: Ranges, at: float, now: float) -> None:
        """He has these, which may come by themselves until then."""
        if at <= now:
            self.ready = union(self.ready, these, MAX_GAPS)
        elif len(self.waiting) < STEPS:
            self.waiting.append((at, these))
        else:
            self.waiting[-1] = at, union(self.waiting[-1][1], these, MAX_GAPS)

    def look(self, lacking: Callable[[Ranges], Ranges], now: float) -> bool:
        """What has come is not lacking any more, and some may have waited long enough; false if nothing is left."""
        while self.waiting and self.waiting[0][0] <= now:
            self.ready = union(self.ready, self.waiting.pop(0)[1], MAX_GAPS)
        self.ready = lacking(self.ready)
        self.waiting = [(at, left) for at, these in self.waiting if (left := lacking(these))]
        return bool(self.ready or self.waiting)

    def without(self, these: Ranges) -> None:
        """He does not have these."""
        self.ready = subtract(self.ready, these)
        self.waiting = [(at, left) for at, waiting in self.waiting if (left := subtract(waiting, these))]


@attrs.define(eq=False)
class _Want:
    """
    What is missing of one origin.

    @ivar holders: who says to have what of it, in the order in which they are asked; what comes by itself apart from
        what does not.
    @ivar asks: who has been asked for what.
    @ivar holesAt: when holes are looked for next; 0 for never.
    @ivar mark: holes above this number are too young to be asked for then.
    @ivar rounds: how many neighbours were asked for holes.
    @ivar due: when all this is looked at again.
    """

    holders: dict[tuple[Any, bool], _Holder] = attrs.field(factory=dict)
    asks: dict[Any, _Ask] = attrs.field(factory=dict)
    holesAt: float = 0.0
    mark: int = 0
    rounds: int = 0
    due: float = inf


class Repair:
    """What is missing, and who is asked for it; see the module's text."""

    def __init__(
        self, outlet: Any, history: History, settings: PeerSettings, grafted: Callable[[Any, Wanted, float], object]
    ) -> None:
        """
        @param outlet: an L{p2p.interfaces.IBroadcastOutlet}.
        @param grafted: called with a neighbour that is asked to send everything new, the first of what it is asked
            for, and the time.
        """
        self._outlet = outlet
        self._grafted = grafted
        self._history = history
        self._settings = settings
        self._most = settings.maxOrigins
        self._each = max(64, settings.maxOrigins // SHARE)
        self._wants: dict[bytes, _Want] = {}
        self._neighbours: dict[Any, int] = {}
        # What a new neighbour has told of, and has not been asked for yet.
        self._told: dict[Any, deque[tuple[bytes, Ranges]]] = {}
        # Until when who left something unanswered is not waited for.
        self._distrusted: dict[Any, float] = {}
        self._turn = 0
        # When which origin is looked at; an entry that is not of its want's time is stale.
        self._due: list[tuple[float, bytes]] = []
        self._timer: Any = None
        self._timerAt = inf
        # What is about to be asked: the questions to each, and whether he is to send everything new.
        self._asking: dict[Any, tuple[list[Wanted], bool]] = {}
        # Of which origins something is to be asked at once: looked at once, in however many words it was announced.
        self._hasty: dict[bytes, None] = {}

    def up(self, neighbour: Any) -> None:
        """Somebody who can be asked."""
        self._neighbours[neighbour] = 0

    def down(self, neighbour: Any, now: float) -> None:
        """He is gone: ask others for what he was asked for."""
        self._neighbours.pop(neighbour, None)
        self._told.pop(neighbour, None)
        self._distrusted.pop(neighbour, None)
        self._asking.pop(neighbour, None)
        for origin, want in list(self._wants.items()):
            for key in (neighbour, False), (neighbour, True):
                want.holders.pop(key, None)
            if want.asks.pop(neighbour, None) is not None:
                self._look(origin, want, now)
        self.say(now)

    def announced(
        self, neighbour: Any, origin: bytes, these: Ranges, now: float, delay: float, eager: bool, patience: float
    ) -> bool:
        """
        A neighbour has messages that this peer lacks.

        @param delay: for how many seconds they may still come by themselves.
        @param eager: if they do not, the neighbour is to send everything new.
        @param patience: how many seconds he may take without a sign of an answer.
        @return: false if there is no room for so many origins.
        """
        if neighbour not in self._neighbours:
            return False
        want = self._wants.get(origin)
        key = neighbour, bool(delay)
        holder = want.holders.get(key) if want is not None else None
        if holder is None:
            if self._neighbours[neighbour] >= self._each or (want is None and len(self._wants) >= self._most):
                return False
            if want is None:
                want = self._wants[origin] = _Want()
            self._neighbours[neighbour] += 1
            holder = want.holders[key] = _Holder(eager, patience, delay)
        assert want is not None
        holder.add(these, now + delay, now)
        if delay:
            self._arm(origin, want, now, now + delay)
        else:
            self._hasty[origin] = None
        return True

    def told(self, neighbour: Any, has: dict[bytes, Ranges], now: float) -> None:
        """A new neighbour has all this: he is asked for what is missing of it, by and by if it is of many origins."""
        self._told[neighbour] = deque(has.items())
        self._goOn(neighbour, now)
        self.say(now)

    def tick(self, now: float) -> None:
        """Every second: go on asking for what new neighbours have told of."""
        if self._told:
            for neighbour in list(self._told):
                self._goOn(neighbour, now)
            self.say(now)

    def having(self, origin: bytes, number: int) -> set[Any]:
        """Those who have said that they have a message that has only just come, or lacks."""
        want = self._wants.get(origin)
        if want is None:
            return set()
        this = [(number, number)]
        said = {
            key[0] for key, holder in want.holders.items()
            if intersect(holder.ready, this) or any(intersect(these, this) for _, these in holder.waiting)
        }  # fmt: skip
        return said | {neighbour for neighbour, ask in want.asks.items() if intersect(ask.said, this)}

    def noticed(self, origin: bytes, now: float) -> None:
        """There are holes in the numbers of that origin."""
        want = self._wants.get(origin)
        if want is None:
            if len(self._wants) >= self._most:
                return
            want = self._wants[origin] = _Want()
        if not want.holesAt:
            want.holesAt = now + self._settings.repairDelay
            owed = self._history.owed(origin)
            want.mark = owed[-1][1] if owed else 0
            want.rounds = 0
            self._arm(origin, want, now, want.holesAt)

    def lacked(self, lack: Lack, neighbour: Any, now: float) -> None:
        """
        Somebody does not have what he was asked for: ask others.

        @raise RemoteProtocolError: what he says cannot be.
        """
        said: list[Wanted | Gone] = [*lack.never, *lack.gone]
        for each in said:
            these = checked(each.ranges)
            want = self._wants.get(each.origin)
            if want is None:
                continue
            for key in (neighbour, False), (neighbour, True):
                if key in want.holders:
                    want.holders[key].without(these)
            ask = want.asks.get(neighbour)
            if ask is not None and intersect(ask.ranges, these):
                # What he breaks up into more pieces than he would be asked for is not waited for.
                left = self._history.lacking(each.origin, subtract(ask.ranges, these))
                ask.ranges = left[:UNANSWERED]
                self._hasty[each.origin] = None
        self.say(now)
        self._history.gone(lack.gone, neighbour, now)

    def say(self, now: float) -> None:
        """Ask what is to be asked now; to be called when all that there is has been C{announced}."""
        hasty, self._hasty = self._hasty, {}
        for origin in hasty:
            want = self._wants.get(origin)
            if want is not None:
                self._look(origin, want, now)
        asking, self._asking = self._asking, {}
        for neighbour, (wanted, eager) in asking.items():
            for start in range(0, len(wanted), MAX_HELD):
                self._outlet.send([neighbour], Graft(wanted[start : start + MAX_HELD], eager))
            if eager and neighbour in self._neighbours:
                self._grafted(neighbour, wanted[0], now)

    @property
    def missing(self) -> int:
        """Of how many origins something is missing."""
        return len(self._wants)

    # Private.

    def _goOn(self, neighbour: Any, now: float) -> None:
        """
        Of what he has told of, ask him for the next; not for more at a time than he may speak of.

        Those that are not waited for have half of all the room at most between them: else a few of them that answer
        nothing would keep all others from being asked for as long as they have something left.
        """
        told = self._told[neighbour]
        room = self._each - sum(neighbour in want.asks for want in self._wants.values())
        if not self._trusts(neighbour, now):
            room = min(room, self._most // 2 - len(self._wants))
        while told and room > 0:
            origin, these = told[0]
            lacking = self._history.lacking(origin, these)
            if lacking:
                if not self.announced(neighbour, origin, lacking, now, 0.0, False, self._settings.pullTimeout):
                    return
                room -= 1
            told.popleft()
        if not told:
            del self._told[neighbour]

    def _forget(self, want: _Want, key: tuple[Any, bool]) -> None:
        """He has nothing more to be asked for."""
        if want.holders.pop(key, None) is not None and key[0] in self._neighbours:
            self._neighbours[key[0]] -= 1

    def _trusts(self, neighbour: Any, now: float) -> bool:
        """He is waited for: he has left no question unanswered lately."""
        return self._distrusted.get(neighbour, now) <= now

    def _look(self, origin: bytes, want: _Want, now: float) -> None:
        """Ask for what is missing and not under way; when nothing is left to be done, be done."""
        history = self._history
        under: Ranges = []
        wait: list[float] = []
        for neighbour, ask in list(want.asks.items()):
            left = history.lacking(origin, ask.ranges)
            if not left:
                del want.asks[neighbour]
                continue
            ask.ranges, ask.said = left, intersect(ask.said, left)
            if not history.lacking(origin, ask.first):
                ask.first, ask.latest = left, now + PUT_OFF * ask.patience
            arriving = neighbour.arriving
            if arriving != ask.arriving:
                ask.by = min(now + ask.patience, ask.latest)
                ask.arriving = arriving
            if ask.by <= now:
                del want.asks[neighbour]
                if ask.patience >= self._settings.pullTimeout:
                    # Not who was only a little late: in an overloaded network all are, and must not be asked twice.
                    self._distrusted[neighbour] = now + DISTRUST
                continue
            if self._trusts(neighbour, now):
                under = union(under, ask.ranges)
            wait.append(min(ask.by, now + GLANCE))
        for key, holder in list(want.holders.items()):
            if not holder.look(lambda these: history.lacking(origin, these), now):
                self._forget(want, key)
                continue
            if holder.waiting:
                wait.append(holder.waiting[0][0])
            part = subtract(holder.ready, under)
            asked = want.asks.get(key[0])
            if asked is not None:
                part = subtract(part, asked.ranges)[: max(0, UNANSWERED - len(asked.ranges))]
            part = part[:MAX_GAPS]
            if part and holder.delay:
                part = self._sounded(holder, part, under, now)
                if holder.rest:
                    wait.append(now + SOUND)
                elif not part:
                    wait.append(holder.waiting[0][0])
            if part:
                self._ask(want, key[0], origin, part, now, holder)
                if self._trusts(key[0], now):
                    under = union(under, part)
                wait.append(now + min(holder.patience, GLANCE))
                holder.ready = subtract(holder.ready, part)
                if not holder.ready and not holder.waiting:
                    self._forget(want, key)
        if want.holesAt:
            self._lookForHoles(origin, want, under, now, wait)
        if wait:
            want.due = inf
            self._arm(origin, want, now, min(wait))
        else:
            self._done(origin, want)

    def _sounded(self, holder: _Holder, part: Ranges, under: Ranges, now: float) -> Ranges:
        """
        Of what may have been delayed only, ask for one first; in a busy network asking for all makes it busier.

        @return: what of C{part} to ask for now.
        """
        before, holder.rest = holder.rest, []
        if not before:
            first = part[0][0]
            if total(part) <= FEW:
                return part
            holder.rest = subtract(part, [(first, first)])
            return [(first, first)]
        left = intersect(before, part)
        if total(left) < total(before):
            # It comes, and is late.
            holder.ready = subtract(holder.ready, part)
            holder.waiting.append((now + holder.delay, part))
            holder.waiting.sort(key=lambda waiting: waiting[0])
            return []
        if intersect(under, [(1, before[0][0] - 1)]):
            # Not even the one has come yet.
            holder.rest = before
            return []
        return part

    def _lookForHoles(self, origin: bytes, want: _Want, under: Ranges, now: float, wait: list[float]) -> None:
        """Ask one after the other for holes of which nobody said anything."""
        settings = self._settings
        owed = self._history.owed(origin)
        if not owed:
            want.holesAt = 0.0
            return
        if want.holesAt > now:
            wait.append(want.holesAt)
            return
        # Those that have come up since are young; all that is left when it is looked again is not.
        old = subtract(intersect(owed, [(1, want.mark)]), under)
        want.mark = owed[-1][1]
        for holder in want.holders.values():
            for these in (holder.ready, *(waiting for _, waiting in holder.waiting)):
                old = subtract(old, these)
        if old and want.rounds < settings.repairRounds:
            free = [neighbour for neighbour in self._neighbours if neighbour not in want.asks]
            if free:
                self._turn += 1
                chosen = free[self._turn % len(free)]
                self._ask(want, chosen, origin, old, now, None)
                wait.append(now + settings.graftTimeout)
            want.rounds += 1
        elif old:
            # Whoever gets it will announce it; a new neighbour will say so.
            want.holesAt = 0.0
            return
        pause = min(LONGEST, 2.0 ** max(0, want.rounds - len(self._neighbours)))
        want.holesAt = now + settings.repairDelay * pause
        wait.append(want.holesAt)

    def _ask(
        self, want: _Want, neighbour: Any, origin: bytes, these: Ranges, now: float, holder: _Holder | None
    ) -> None:
        """
        Ask a neighbour.

        @param holder: what he says to have, of which these are some; C{None} for holes of which he has said nothing.
        """
        these = these[:MAX_GAPS]
        patience = holder.patience if holder is not None else self._settings.graftTimeout
        said = these if holder is not None else []
        ask = want.asks.get(neighbour)
        if ask is None:
            want.asks[neighbour] = _Ask(
                these, said, now + patience, patience, these, now + PUT_OFF * patience, neighbour.arriving
            )
        else:
            ask.ranges, ask.said = union(ask.ranges, these), union(ask.said, said)
            ask.patience = max(patience, ask.patience)
            ask.by = min(now + ask.patience, ask.latest)
            ask.arriving = neighbour.arriving
        wanted, before = self._asking.get(neighbour, ([], False))
        wanted.append(Wanted(origin, flat(these)))
        self._asking[neighbour] = wanted, before or (holder is not None and holder.eager)

    def _arm(self, origin: bytes, want: _Want, now: float, at: float) -> None:
        """Look again at that time, or earlier."""
        if want.due <= at:
            return
        want.due = at
        heappush(self._due, (at, origin))
        self._wake(now)

    def _wake(self, now: float) -> None:
        """Be woken for the first that is due."""
        if not self._due or self._timerAt <= self._due[0][0]:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timerAt = self._due[0][0]
        self._timer = self._outlet.later(max(0.0, self._timerAt - now), self._woken)

    def _woken(self, now: float) -> None:
        self._timer = None
        # By the time that it was asked to be called at, which a clock may miss by a little.
        now = max(now, self._timerAt)
        while self._due and self._due[0][0] <= now:
            at, origin = heappop(self._due)
            want = self._wants.get(origin)
            if want is not None and want.due == at:
                want.due = inf
                self._look(origin, want, now)
        self._timerAt = inf
        self._wake(now)
        self.say(now)

    def _done(self, origin: bytes, want: _Want) -> None:
        for key in list(want.holders):
            self._forget(want, key)
        self._wants.pop(origin, None)
