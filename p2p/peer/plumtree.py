"""
Plumtree: what is new travels along a tree, and is announced over all other links, which mend the tree when it breaks.

After Joao Leitao, Jose Pereira and Luis Rodrigues, "Epidemic Broadcast Trees"
(SRDS 2007); their words are kept.  Each neighbour is I{eager} or I{lazy}:

 - To eager ones a new message is sent at once.  To lazy ones it is announced
   (L{IHave}), together with all that comes within C{lazyDelay}.
 - A neighbour begins eager.  One that sends what had come from another eager
   one already is made lazy and told so (L{Prune}): what is left is a tree.
 - What was announced and has not come within C{graftDelay} is asked for, and
   whoever announced it is made eager again (L{Graft}): the tree is whole.
 - An announcement that is C{treeThreshold} hops ahead of the way by which that
   origin's messages come makes its sender eager, and the other one lazy.

What is different here:

The tree is shaped by one message at a time (a I{wave}): only its duplicates
prune, only its announcement makes the tree shorter.  For with many messages of
many origins under way, a circle would be cut at several places at once, and
each origin would pull the tree its way.  What one message leaves is a tree,
whatever the others do.  All peers take the same one without a word about it: a
message is a candidate if a mark made of its id ends in enough zeros for the
rate of messages, and is taken if the last one was L{WAVE} ago.  Only a new
neighbour that brings nothing but duplicates need not wait for that.

A payload of C{announceSize} and more is only
announced, to everyone, and asked of one neighbour at a time, so that no second
copy starts while one is under way (section 3.8 of the paper leaves it at a
remark).  What a new neighbour tells in its L{Have} is taken for an
announcement.  And several messages may share a frame (C{batchDelay}).

Nothing here depends on the window outlasting a question.  A large payload is
promised to who is told of it (L{History}): it is sent to him before it is
forgotten, and at once if it cannot be kept.  A small one that is forgotten
sooner than it could be asked for is sent to those who were lazy when it came
and have not said that they have it (L{Heard}): while the tree is being made or
changed it may not reach them otherwise.

On a settled tree of N peers a message of one sender costs N - 1 frames with the
payload, and one announcement for each end of the E - (N - 1) other links.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from typing import Any
from zlib import crc32

from zope.interface import implementer

from p2p.interfaces import IBroadcast
from p2p.peer.heard import LATELY, Heard
from p2p.peer.history import HistoryKeeper, Told, checked
from p2p.peer.ranges import first, intersect, subtract
from p2p.peer.repair import Repair
from p2p.settings import PeerSettings
from p2p.wire.messages import (
    MAX_BATCH,
    MAX_GAPS,
    MAX_HELD,
    MAX_HOPS,
    Announced,
    Batch,
    Graft,
    Have,
    IHave,
    Lack,
    Message,
    Prune,
    Wanted,
)

BATCH_BYTES = 2**16
"""Payload bytes at which a batch is sent without waiting for more."""

CALM = 1.0
"""Seconds within which a neighbour is not pruned a second time: what was under way knows nothing of it."""


WAVE = 2.0
"""Seconds between two messages that shape the tree; more than a message takes to get everywhere."""

SPREAD = 0x9E3779B1
"""An odd number without a pattern: of 2^n messages in a row, one has no bit in common with 2^n - 1."""

EASY = 0.2
"""The part of the last second in the rate of messages that is reckoned with."""

USELESS = 3
"""Duplicates after which a new neighbour that has brought nothing else is made lazy, whatever shapes the tree then."""

VAIN = 5.0
"""Seconds within which a duplicate of what a neighbour was asked for shows that it was asked in vain."""

ASKED = 1000
"""How many such questions are remembered at most."""

PATIENCE = 4.0
"""How many times as long as C{graftDelay} is waited at most, when neighbours are asked in vain."""

EASE = 0.995
"""By how much it shrinks again each second: by half in two minutes."""

ANNOUNCED = 10_000
"""Of so many of an origin's messages at a time, the first, it is believed that a neighbour has them."""


class _Log:
    """What is to be announced of one origin."""

    __slots__ = ("hops", "ranges")

    def __init__(self, number: int, hops: int) -> None:
        self.hops = hops
        self.ranges = [number, number]


@implementer(IBroadcast)
class Plumtree(HistoryKeeper):
    """The broadcast named C{plumtree}; see the module's text."""

    messages = (Message, Have, Batch, IHave, Graft, Prune, Lack)

    def __init__(self, outlet: Any, settings: PeerSettings, random: Random) -> None:
        """
        @param outlet: an L{p2p.interfaces.IBroadcastOutlet}.
        """
        super().__init__(outlet, settings)
        self._outlet = outlet
        self._random = random
        self._settings = settings
        self._announceSize = settings.announceSize
        self._batchDelay = settings.batchDelay
        self._threshold = settings.treeThreshold
        if settings.historyTime:
            self._history.leaving = self._leaving
        self._heard = Heard()
        # Since when each has been lazy, short turns of being eager included; and when it became eager again.
        self._lazySince: dict[Any, float] = {}
        self._grafts: dict[Any, float] = {}
        self._repair = Repair(outlet, self._history, settings, self._wanting)
        self._eager: dict[Any, None] = {}
        # And when each was pruned.
        self._lazy: dict[Any, float] = {}
        # New neighbours that have brought nothing new yet, and how many duplicates.
        self._young: dict[Any, int] = {}
        # The message by which the tree is shaped, who brought it, over how many hops, and when.
        self._wave = b"", 0
        self._parent: Any = None
        self._hops = 0
        # It was the same origin's as the one before.
        self._alone = False
        self._waved = -inf
        # Of how many messages one may be the next: those whose mark has no bit in common with this.
        self._mask = 0
        self._rate = 0.0
        self._counted = 0
        self._graftDelay = settings.graftDelay
        # Who was asked to become eager for want of a message, and when, by that message.
        self._asked: dict[tuple[bytes, int], tuple[Any, float]] = {}
        # What lazy neighbours have not been told yet.
        self._log: dict[bytes, _Log] = {}
        self._logTimer: Any = None
        # What eager neighbours have not been sent yet, and who brought it.
        self._queue: list[tuple[Message, Any]] = []
        self._queued = 0
        self._queueTimer: Any = None
        self._sent = -inf
        self._received: dict[type, Callable[[Any, Any, float], None]] = {
            Have: self._had,
            Batch: self._batch,
            IHave: self._announced,
            Graft: self._grafted,
            Prune: self._pruned,
            Lack: self._lacked,
        }

    @property
    def eager(self) -> list[Any]:
        """The neighbours that are sent what is new."""
        return list(self._eager)

    # What IBroadcast asks for.

    def publish(self, identity: bytes, payload: bytes, now: float) -> Message:
        """See L{IBroadcast}."""
        message = self._history.own(identity, payload, now)
        self._spread(message, None, now)
        self._outlet.deliver(message, None, now)
        return message

    def neighbourUp(self, neighbour: Any, now: float) -> None:
        """It begins eager, and is told what is here."""
        self._flushQueue(now)
        if self._eager:
            self._young[neighbour] = 0
        self._eager[neighbour] = None
        self._repair.up(neighbour)
        self._history.meet(neighbour, now)

    def neighbourDown(self, neighbour: Any, reason: str, now: float) -> None:
        """Others are asked for what it owed; and if no eager one is left, a lazy one is made so."""
        if self._eager.pop(neighbour, self) is None:
            # The tree is broken: what is late now is more likely missing.
            self._graftDelay = self._settings.graftDelay
        self._lazy.pop(neighbour, None)
        self._young.pop(neighbour, None)
        self._lazySince.pop(neighbour, None)
        self._grafts.pop(neighbour, None)
        self._heard.part(neighbour)
        if self._asked:
            self._asked = {key: asked for key, asked in self._asked.items() if asked[0] is not neighbour}
        self._history.part(neighbour)
        self._repair.down(neighbour, now)
        self._keepOne(now)

    def received(self, message: Any, neighbour: Any, now: float) -> None:
        """Take a message."""
        if type(message) is Message:
            self._message(message, neighbour, now)
        elif neighbour in self._eager or neighbour in self._lazy:
            # One that crossed the end of the link is passed over.
            self._received[type(message)](message, neighbour, now)

    def tick(self, now: float) -> None:
        """And see how many messages there are now."""
        super().tick(now)
        self._heard.tick(now)
        self._repair.tick(now)
        if self._asked:
            self._asked = {key: asked for key, asked in self._asked.items() if now - asked[1] < VAIN}
        count = self._history.count
        self._rate += EASY * (count - self._counted - self._rate)
        self._counted = count
        self._mask = (1 << max(0, int(self._rate * WAVE).bit_length() - 1)) - 1
        self._graftDelay = max(self._settings.graftDelay, EASE * self._graftDelay)

    # Messages.

    def _message(self, message: Message, neighbour: Any, now: float) -> None:
        new = self._history.take(message, now)
        if new is None:
            if self._history.knows(message.origin):
                self._duplicate(message, neighbour, now)
            return
        if self._young:
            self._young.pop(neighbour, None)
        self._spread(new, neighbour, now)
        self._outlet.deliver(new, neighbour, now)
        if self._history.holed is not None:
            self._repair.noticed(self._history.holed, now)
            self._history.holed = None

    def _batch(self, batch: Batch, neighbour: Any, now: float) -> None:
        for message in batch.messages:
            self._message(message, neighbour, now)

    def _spread(self, message: Message, neighbour: Any, now: float) -> None:
        """Send on, or announce, what is new; C{neighbour} brought it, C{None} for its own."""
        origin, number, hops = message.origin, message.sequence, message.hops
        if now - self._waved >= WAVE and not (crc32(origin) ^ number * SPREAD) & self._mask:
            self._alone = origin == self._wave[0]
            self._wave, self._parent, self._hops, self._waved = (origin, number), neighbour, hops, now
        if hops >= MAX_HOPS:
            return
        if len(message.payload) >= self._announceSize or not self._history.keeps:
            self._offer(message, neighbour)
            return
        # First, for a lazy one becomes eager and is told of all this, if an eager one is lost as it is sent something.
        if self._lazy:
            log = self._log.get(origin)
            if log is not None and log.ranges[-1] == number - 1 and log.hops == hops + 1:
                log.ranges[-1] = number
            else:
                self._note(origin, number, hops + 1)
        others = [other for other in self._eager if other is not neighbour]
        if others:
            onward = Message(origin, number, hops + 1, message.payload, message.age)
            if self._batchDelay:
                self._enqueue(onward, neighbour, now)
            else:
                self._outlet.send(others, onward)

    def _offer(self, message: Message, neighbour: Any) -> None:
        """Announce a message to all others, to be asked for; whoever lacks it and cannot be promised it is sent it."""
        origin, number, hops = message.origin, message.sequence, message.hops + 1
        having = self._repair.having(origin, number)
        told: list[Any] = []
        sent: list[Any] = []
        for each in self._eager, self._lazy:
            for other in each:
                if other is not neighbour:
                    fine = other in having or self._history.promise(message, other)
                    (told if fine else sent).append(other)
        if sent:
            self._outlet.send(sent, Message(origin, number, hops, message.payload, message.age))
        if told:
            self._outlet.send(told, IHave([Announced(origin, hops, [number, number])], True))

    def _duplicate(self, message: Message, neighbour: Any, now: float) -> None:
        """Somebody was faster than this neighbour."""
        promises = self._history.promises
        if promises.owing or neighbour in self._lazy:
            this = [(message.sequence, message.sequence)]
            if promises.owing:
                promises.settle(neighbour, message.origin, this)
            if neighbour in self._lazy:
                self._heard.note(neighbour, message.origin, this)
        if self._asked:
            asked, when = self._asked.pop((message.origin, message.sequence), (None, -inf))
            if now - when < VAIN and asked in self._eager and len(self._eager) > 1:
                # It was asked in vain: the message was on its way.
                self._graftDelay = min(PATIENCE * self._settings.graftDelay, 2 * self._graftDelay)
                # Two that ask for the same may each take the other's for what was on its way: not both give up theirs.
                if asked is neighbour or (neighbour in self._eager and self._random.random() < 0.5):
                    self._prune(asked, now)
                    return
        if neighbour in self._young:
            self._young[neighbour] += 1
            if self._young[neighbour] >= USELESS and len(self._eager) > 1:
                self._prune(neighbour, now)
                return
        if (message.origin, message.sequence) != self._wave or neighbour is self._parent:
            return
        if neighbour in self._eager:
            # Its own message that comes back has gone round a circle.
            if self._parent is None or self._parent in self._eager:
                self._prune(neighbour, now)
        elif neighbour in self._lazy and now - self._lazy[neighbour] >= CALM:
            self._prune(neighbour, now)

    # Eager messages, several in a frame.

    def _enqueue(self, message: Message, neighbour: Any, now: float) -> None:
        self._queue.append((message, neighbour))
        self._queued += len(message.payload)
        wait = self._sent + self._batchDelay - now
        if wait <= 0 or self._queued >= BATCH_BYTES or len(self._queue) >= MAX_BATCH:
            self._flushQueue(now)
        elif self._queueTimer is None:
            self._queueTimer = self._outlet.later(wait, self._flushQueue)

    def _flushQueue(self, now: float) -> None:
        """Send what has gathered, to each eager neighbour what it did not bring itself."""
        if self._queueTimer is not None:
            self._queueTimer.cancel()
            self._queueTimer = None
        queue, self._queue = self._queue, []
        self._queued = 0
        if not queue:
            return
        self._sent = now
        bringers = {neighbour for _, neighbour in queue}
        others = [eager for eager in self._eager if eager not in bringers]
        if others:
            self._send(others, [message for message, _ in queue])
        for eager in list(self._eager):
            if eager in bringers:
                self._send([eager], [message for message, neighbour in queue if neighbour is not eager])

    def _send(self, neighbours: list[Any], messages: list[Message]) -> None:
        if len(messages) == 1:
            self._outlet.send(neighbours, messages[0])
        elif messages:
            self._outlet.send(neighbours, Batch(messages))

    # Announcements.

    def _note(self, origin: bytes, number: int, hops: int) -> None:
        """Put a message on the list of what is to be announced."""
        log = self._log.get(origin)
        if log is not None and number > log.ranges[-1] and len(log.ranges) < 2 * MAX_GAPS:
            log.hops = hops
            if number == log.ranges[-1] + 1:
                log.ranges[-1] = number
            else:
                log.ranges += (number, number)
            return
        if log is not None or len(self._log) >= MAX_HELD:
            # One that is late, or too many: say what there is, and begin anew.
            self._flushLog()
        self._log[origin] = _Log(number, hops)
        if self._logTimer is None:
            self._logTimer = self._outlet.later(self._settings.lazyDelay, lambda now: self._flushLog())

    def _flushLog(self) -> None:
        if self._logTimer is not None:
            self._logTimer.cancel()
            self._logTimer = None
        log, self._log = self._log, {}
        if log and self._lazy:
            self._outlet.send(self._lazy, _said(log))

    def _announced(self, message: IHave, neighbour: Any, now: float) -> None:
        """A neighbour has something: ask for what is missing, or see that it would come faster from there."""
        settings, history = self._settings, self._history
        origin, number = self._wave
        for each in message.announced:
            these = checked(each.ranges)
            if history.promises.owing:
                history.promises.settle(neighbour, each.origin, these)
            self._heard.note(neighbour, each.origin, these)
            lacking = history.lacking(each.origin, these)
            if lacking:
                lacking = first(lacking, ANNOUNCED)
            if lacking and message.now:
                self._repair.announced(neighbour, each.origin, lacking, now, 0.0, False, settings.pullTimeout)
            elif lacking:
                self._repair.announced(
                    neighbour, each.origin, lacking, now, self._graftDelay, True, settings.graftTimeout
                )
            elif each.origin == origin and not message.now and intersect(these, [(number, number)]):
                self._optimise(neighbour, each.hops, now)
        self._repair.say(now)

    # The tree.

    def _leaving(self, message: Message, came: float, now: float) -> list[Any]:
        """
        A message leaves the window: who was lazy when it came, and may lack it still?

        Nobody, if there was time to ask for it.
        """
        if now - came >= LATELY or message.hops >= MAX_HOPS or len(message.payload) >= self._announceSize:
            return []
        return [
            neighbour for neighbour, since in self._lazySince.items()
            if since <= came <= self._grafts.get(neighbour, inf)
            and not self._heard.has(neighbour, message.origin, message.sequence)
        ]  # fmt: skip

    def _graft(self, neighbour: Any, now: float) -> None:
        """Make a neighbour eager."""
        if neighbour not in self._lazy:
            return
        self._flushQueue(now)
        if self._lazy.pop(neighbour, None) is None:
            # Something was sent, and so its link has ended, or another one's in whose place it has become eager.
            return
        self._eager[neighbour] = None
        self._grafts[neighbour] = now
        if self._log:
            # What came while it was lazy it would not be told any more.
            self._outlet.send([neighbour], _said(self._log))

    def _makeLazy(self, neighbour: Any, now: float) -> None:
        """A neighbour that is eager, or is to be told once more that it is lazy."""
        if self._eager.pop(neighbour, self) is None and now - self._grafts.pop(neighbour, -inf) >= LATELY:
            self._lazySince[neighbour] = now
        self._young.pop(neighbour, None)
        self._lazy[neighbour] = now

    def _wanting(self, neighbour: Any, wanted: Wanted, now: float) -> None:
        """A neighbour is made eager because it has what did not come by itself."""
        self._asked[wanted.origin, wanted.ranges[0]] = neighbour, now
        if len(self._asked) > ASKED:
            del self._asked[next(iter(self._asked))]
        self._graft(neighbour, now)

    def _prune(self, neighbour: Any, now: float) -> None:
        """Make a neighbour lazy, and tell it so; what waits for it was not noted for lazy ones, and is sent first."""
        self._flushQueue(now)
        if neighbour not in self._eager and neighbour not in self._lazy:
            return
        self._makeLazy(neighbour, now)
        self._outlet.send([neighbour], Prune())

    def _optimise(self, neighbour: Any, hops: int, now: float) -> None:
        """
        What shaped the tree would have come from this neighbour over so many hops: take the shorter way.

        Not where many send: what is short for one of them is long for the next.
        """
        ahead = self._threshold and self._alone and self._hops - hops >= self._threshold
        if ahead and neighbour in self._lazy and self._parent in self._eager:
            self._graft(neighbour, now)
            self._outlet.send([neighbour], Graft([], True))
            if neighbour in self._eager and self._parent in self._eager:
                self._prune(self._parent, now)
                self._parent, self._hops = neighbour, hops

    def _keepOne(self, now: float) -> None:
        """Nobody is without an eager neighbour who has a neighbour."""
        if not self._eager and self._lazy:
            chosen = next(iter(self._lazy))
            self._graft(chosen, now)
            if chosen in self._eager:
                self._outlet.send([chosen], Graft([], True))

    def _grafted(self, message: Graft, neighbour: Any, now: float) -> None:
        """A neighbour asks for messages, and perhaps for all that is new."""
        if message.eager:
            self._graft(neighbour, now)
        self._history.answer(message.wanted, neighbour, now)

    def _pruned(self, message: Prune, neighbour: Any, now: float) -> None:
        """A neighbour has what is new from elsewhere; but it knows nothing yet of what waits for it."""
        self._flushQueue(now)
        if neighbour in self._eager:
            self._makeLazy(neighbour, now)
            self._keepOne(now)

    # What was before.

    def _had(self, message: Have, neighbour: Any, now: float) -> None:
        """A new neighbour has said what it has: ask for what is missing here."""
        told: Told | None = self._history.told(message, neighbour, now)
        if told is None:
            return
        has = {
            identity: subtract([(1, held.top)] if held.top else [], held.gaps)
            for identity, held in told.origins.items()
        }  # fmt: skip
        for identity, theirs in has.items():
            self._history.promises.settle(neighbour, identity, theirs)
            self._heard.note(neighbour, identity, theirs)
        self._repair.told(neighbour, has, now)

    def _lacked(self, message: Lack, neighbour: Any, now: float) -> None:
        """A neighbour does not have what it was asked for."""
        self._repair.lacked(message, neighbour, now)


def _said(logs: dict[bytes, _Log]) -> IHave:
    """What is to be announced, as it is said."""
    return IHave([Announced(origin, log.hops, log.ranges) for origin, log in logs.items()], False)
