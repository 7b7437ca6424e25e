"""
HyParView: a small active view of links, and a larger passive view of addresses to replace them from.

After Leitao, Pereira and Rodrigues, "HyParView: a membership protocol for
reliable gossip-based broadcast", DSN 2007; sections below are that paper's.

 - I{Join} (4.2).  A newcomer dials one peer and says L{Join}.  That peer sends
   its name to its neighbours as a L{ForwardJoin}, and each starts a random walk
   of C{activeWalk} links.  Who is at its end dials the newcomer; who is
   C{passiveWalk} before the end remembers it.  So a newcomer is linked to peers
   from all over the network, not to those around the one that it asked.
 - I{Active view} (4.1, 4.3).  C{activeView} links, and both sides of each agree
   on it: a link is a connection.  One that is lost is replaced at once by one of
   the passive view, drawn at random.  Whoever has no link asks urgently (the
   paper's high priority), and is let in even where there is no room: a link is
   given up for it.  Everybody else is taken only where there is room.
 - I{Passive view} (4.4).  C{passiveView} addresses that one is not linked to.
   Every C{shuffleInterval} a peer sends some of both views on a random walk,
   and exchanges them with whoever is at its end.

What is different here, and why:

 - B{The mission's limit}: a peer dials C{maxConnections} links at most.  An end
   of a walk that has dialled so many passes the newcomer by; the newcomer then
   has a link less, and finds one itself in its passive view.
 - B{The answer to a shuffle goes back along the walk}, where the paper opens a
   connection to the one that began it.  Each peer on the way remembers, for the
   last L{MAX_WALKS} walks, whence the walk came, and gives it a number of its
   own, so an answer is taken only from the neighbour that was asked.  That costs
   as many frames again as the walk, on links that stand, and saves a connection
   with its handshake; it reaches peers that cannot be dialled; and nobody can
   have a third one dialled by shuffling in its name.
 - B{Nobody tells its own address}: the first one on a walk sees at the link whose
   it is.  A name on a walk can be invented all the same.  So it is hearsay
   (L{Known}): it drives out no more than half of those that there was a link to,
   and it is dialled before anything is given up for it.  Each neighbour may send
   L{WALK_RATE} walks a second, and L{DIAL_RATE} of their ends a second dial.
 - B{When it must make room}, a peer gives up the link that it took last, so that
   whoever dials it again and again takes its own place each time, and cannot
   surround it.
 - B{Sightings have an age}.  The paper's passive views pass on the names of the
   dead for as long as nobody tries to dial them.  Here each name goes with the
   time since its owner spoke, and none is kept for more than L{LIFE} shuffles.
   Names in a Welcome or a Close have no age.  So they are of those seen within
   half of that time, and whoever reads them there does not do so in its turn.
 - B{Spare names}.  The last C{maxKnown} names that went by in shuffles are kept.
   They are dialled when all of the passive view has been, in vain: of 30
   addresses none is left after one in twenty has survived a crash, for a fifth
   of the peers.
 - B{Whoever is turned away again and again becomes urgent}, the sooner the fewer
   links it has.  Else two that had only each other would stay apart from a
   network in which everybody has as many links as it wants.
 - B{Seeds}: a peer without a link dials whom they list, and joins.  With links,
   very rarely (L{MIXED}), it gives up one for one of the list, and more often when
   a seed was lost and is back (L{MIXED_FRESH}); so parts that do not know of each
   other are joined again.  Whoever was found dead is asked later (L{Missing}).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from math import ceil
from random import Random
from typing import Any

import attrs
from zope.interface import implementer

from p2p.address import isDialable
from p2p.identity import idOf
from p2p.interfaces import IOverlay
from p2p.peer.known import DIALS, FIRST_PAUSE, FULL_PAUSE, IMPATIENCE, UNFIT, Known, Remembered
from p2p.peer.links import Links
from p2p.rate import RateLimit
from p2p.settings import PeerSettings
from p2p.wire import reasons
from p2p.wire.contacts import knownContact
from p2p.wire.messages import MAX_SIGHTING_AGE, MAX_WALK, Contact, ForwardJoin, Join, Shuffle, ShuffleReply, Sighting

REFUSALS = 8
"""After so many refusals in a row for each link that it has, a peer asks urgently; after as many, once a tick."""

JOINING = 2.0
"""Seconds that a newcomer waits for walks to end before it dials by itself."""

MAX_WALKS = 256
"""So many shuffles that are under way are remembered, the latest."""

WALK_RATE = 20.0
"""Walks that are taken from one neighbour, per second."""

WALK_BURST = 200
"""And at once after a rest."""

DIAL_RATE = 1.0
"""Newcomers that are dialled at the end of a walk, per second."""

DIAL_BURST = 8
"""And at once after a rest."""

LIFE = 30
"""Shuffle intervals after which a contact that was not seen is no longer passed on, nor kept."""

UNDATED = 2
"""Shuffle intervals for which a name is kept that came without its age."""

MIXED = 0.1
"""
How many peers of a network give up a link for a stranger whenever all have had a list from a seed.

In a network where everybody has as many links as it wants, each such exchange
leaves two peers with a link too few until they find each other: so it is rare.
"""

MIXED_FRESH = 16
"""The same for the first list of a seed that was lost: the network may have been split."""


_BROKEN = reasons.EVIDENCE | {reasons.SILENT, reasons.DEAD}
"""Reasons that a link ends with which may mean that the other has died."""


@attrs.define(eq=False)
class _Dial:
    """
    Somebody who is being dialled.

    @ivar joins: this peer has no link: L{Join} is to be said.
    @ivar stays: if there are too many links then, another one goes.
    @ivar since: when that began.
    """

    contact: Contact
    joins: bool = False
    stays: bool = False
    since: float = 0.0


@attrs.define(eq=False)
class _Walk:
    """
    A shuffle that is under way.

    @ivar to: whom it was sent to, who may answer.
    @ivar back: who sent it; C{None} if it began here.
    @ivar number: that one's number for it.
    @ivar sent: if it began here, the ids of the passive view that were named.
    """

    to: Any
    back: Any = None
    number: int = 0
    sent: list[bytes] = attrs.Factory(list)


@implementer(IOverlay)
class HyParView(Links):
    """The overlay named C{hyparview}; see the module's text."""

    messages = (Join, ForwardJoin, Shuffle, ShuffleReply)

    def __init__(self, outlet: Any, settings: PeerSettings, random: Random) -> None:
        """
        @param outlet: an L{p2p.interfaces.IOverlayOutlet}.
        """
        known = Known(settings.passiveView, random, settings.passiveView // 2, settings.maxKnown)
        super().__init__(outlet, settings, random, known)
        # As the paper calls the two.
        self._active, self._passive = self._neighbours, self._known
        self._dialling: dict[bytes, _Dial] = {}
        self._size = settings.activeView
        # For how many seconds a contact that was not seen is kept.
        self._life = LIFE * settings.shuffleInterval
        # What went by, the latest last.
        self._spare: OrderedDict[bytes, Contact] = OrderedDict()
        self._walks: OrderedDict[int, _Walk] = OrderedDict()
        self._number = 0
        self._walkRate = RateLimit(WALK_RATE, WALK_BURST, keys=4 * self._size)
        self._dialRate = RateLimit(DIAL_RATE, DIAL_BURST, keys=1)
        self._refusals = 0
        # Ticks without a link.
        self._alone = 0
        # Walks of its own joining are under way until then.
        self._joined = float("-inf")
        self._nextShuffle: float | None = None

    # What it is told.

    def listed(self, contacts: Iterable[Contact], fresh: bool, now: float) -> None:
        """Remember some, join if there is no link, and give up a link for one of them now and then."""
        self._now = now
        contacts = list(contacts)
        some = max(1, self._settings.passiveView // 2)
        for contact in contacts if len(contacts) <= some else self._random.sample(contacts, some):
            if contact.id not in self._active:
                self._passive.add(contact, now)
        strangers = [contact for contact in contacts if contact.id in self._passive]
        mixed = MIXED_FRESH if fresh else MIXED
        if self._active and strangers and self._random.random() * len(contacts) < mixed:
            stranger = self._random.choice(strangers)
            if stranger in self._passive.candidates(now, self._busy()):
                self._bridge(stranger)
        self._fill(now)

    def learned(self, contacts: Iterable[Contact], now: float) -> None:
        """See L{IOverlay}."""
        self._now = now
        # It is not said how long ago they were seen: they are soon forgotten, and not named in their turn.
        told = now - self._life + UNDATED * self._settings.shuffleInterval
        for contact in contacts:
            if contact.id not in self._active:
                self._passive.add(contact, told=told)
        self._fill(now)

    def accept(self, contact: Contact, urgent: bool, now: float) -> str | None:
        """See L{IOverlay}."""
        if len(self._active) >= self._size and not urgent:
            return reasons.FULL
        return super().accept(contact, urgent, now)

    def neighbourUp(self, neighbour: Any, now: float) -> None:
        """Take it into the active view; if there are too many, one goes."""
        self._now = now
        contact = neighbour.contact
        self._passive.linked(contact)
        self._missing.forget(contact)
        dial = self._dialling.pop(contact.id, None)
        self._active[contact.id] = neighbour
        self._inVain = False
        self._refusals = self._alone = 0
        mine = self._mine()
        if neighbour.outgoing and len(mine) > self._maxOut:
            # One that it had given up waiting for has answered after all.
            stays = dial is not None and dial.stays
            given = self._random.choice(mine[:-1]) if stays else neighbour
            self._outlet.disconnect(given, reasons.REWIRED)
            if given is neighbour:
                return
        if len(self._active) > self._size:
            if neighbour.outgoing and (dial is None or not dial.stays):
                # It took this one because it had room, and others found this peer meanwhile.
                self._outlet.disconnect(neighbour, reasons.REWIRED)
                return
            self._makeRoom(neighbour)
        if dial is not None and dial.joins:
            self._joined = now + JOINING
            self._outlet.send([neighbour], Join(min(MAX_WALK, max(0, self._size - len(self._active)))))

    def neighbourDown(self, neighbour: Any, reason: str, now: float) -> None:
        """Remember it, and replace it."""
        self._now = now
        contact = neighbour.contact
        if self._active.get(contact.id) is neighbour:
            del self._active[contact.id]
        # No answer comes from there any more, or could go there; and a link that has ended may hold half a frame.
        for number, walk in list(self._walks.items()):
            if neighbour is walk.to or neighbour is walk.back:
                del self._walks[number]
        if contact.id not in self._active:
            if reason == reasons.LEAVING:
                self._passive.dead(contact, now)
            elif reason not in UNFIT and reason != reasons.STALE and (
                reason not in _BROKEN or len(self._passive) < self._settings.passiveView
            ):
                # Whoever may be dead takes the place of nobody who may not.
                self._passive.met(contact, now)
                pause = FULL_PAUSE if reason == reasons.REWIRED else FIRST_PAUSE
                self._passive.pause(contact, now + pause)
        self._fill(now)

    def dialFailed(self, contact: Contact, reason: str, now: float) -> None:
        """Try somebody else, at the next occasion."""
        self._spare.pop(contact.id, None)
        if reason == reasons.FULL:
            self._refusals += 1
            if self._refusals >= REFUSALS:
                self._dials = min(self._dials, 0)
        super().dialFailed(contact, reason, now)

    def received(self, message: Any, neighbour: Any, now: float) -> None:
        """See L{IOverlay}."""
        id = neighbour.contact.id
        if self._active.get(id) is not neighbour:
            # It crossed the end of its link.
            return
        self._now = now
        if isinstance(message, ShuffleReply):
            self._shuffled(message, neighbour)
        elif not self._walkRate.allow(id, now):
            return
        elif isinstance(message, Join):
            self._introduce(neighbour, message.want)
        elif isinstance(message, ForwardJoin):
            self._forwardJoin(message, neighbour, now)
        else:
            self._shuffle(message, neighbour)

    def tick(self, now: float) -> None:
        """Replace what is missing, shuffle, and ask whether one of the dead lives."""
        self._now = now
        self._dials = DIALS * self._maxOut if self._refusals < REFUSALS else 1
        if not self._active:
            self._alone += 1
        self._fill(now)
        self._askTheMissing(now)
        if self._nextShuffle is None:
            # A thousand that were started together do not all shuffle together.
            self._nextShuffle = now + self._settings.shuffleInterval * self._random.random()
        elif now >= self._nextShuffle:
            self._nextShuffle = now + self._settings.shuffleInterval * self._random.uniform(0.9, 1.1)
            self._beginShuffle()

    # Links.

    def _isFresh(self, entry: Remembered) -> bool:
        """Whoever is told does not learn how long ago that was."""
        return entry.latest >= self._now - self._life / 2

    def _mayDial(self) -> int:
        """How many more it may dial."""
        return self._maxOut - len(self._mine()) - len(self._young())

    def _young(self) -> list[_Dial]:
        """
        Those that may be expected to answer yet.

        Where many have died at once most dials are in vain: nobody waits until they have timed out.
        """
        return [dial for dial in self._dialling.values() if self._now - dial.since < IMPATIENCE]

    def _fill(self, now: float) -> None:
        """Dial until there are as many links as there should be."""
        alone = not self._active
        if now < self._joined and not alone:
            return
        sought = sum(not dial.stays for dial in self._young())
        wanted = min(self._size - len(self._active) - sought, self._mayDial(), self._dials)
        if alone:
            # One at a time; but the first may be one that is silent.
            wanted = min(wanted, 1 + self._alone - len(self._young()))
        if wanted <= 0:
            return
        candidates = self._passive.candidates(now, self._busy(), met=self._inVain) or self._spares()
        urgent = self._refusals >= REFUSALS * len(self._active)
        for contact in self._random.sample(candidates, min(wanted, len(candidates))):
            self._dial(_Dial(contact, joins=alone), urgent)

    def _spares(self) -> list[Contact]:
        """Whom one may dial when the passive view is exhausted."""
        busy = self._busy()
        return [
            contact for id, contact in self._spare.items()
            if id not in busy and id not in self._passive and not self._passive.isDead(contact)
        ]  # fmt: skip

    def _dial(self, dial: _Dial, urgent: bool) -> None:
        if urgent and self._refusals:
            self._refusals = 0
        self._dials -= 1
        dial.since = self._now
        self._dialling[dial.contact.id] = dial
        self._outlet.connect(dial.contact, urgent)

    def _makeRoom(self, newcomer: Any) -> None:
        """Give up a link: rather the one that was taken last, if it is for one that dialled."""
        others = [neighbour for neighbour in self._active.values() if neighbour is not newcomer]
        taken = [neighbour for neighbour in others if not neighbour.outgoing]
        given = self._random.choice(others) if newcomer.outgoing or not taken else taken[-1]
        self._outlet.disconnect(given, reasons.REWIRED)

    def _bridge(self, contact: Contact) -> None:
        """Link up to one that may be in another part of the network: give up a link that was dialled, if need be."""
        if contact.id in self._busy():
            return
        dial = _Dial(contact, stays=True, since=self._now)
        if self._mayDial() <= 0:
            # Whoever was not heard lately may be dead, and this peer the only one to find that out.
            heard = [neighbour for neighbour in self._mine() if neighbour.heard]
            if not heard or len(self._active) < 2:
                return
            # Its place is taken before it is free: what its end brings about must not fill it.
            self._dialling[contact.id] = dial
            self._outlet.disconnect(self._random.choice(heard), reasons.REWIRED)
        self._dial(dial, urgent=True)

    def _found(self, contact: Contact, now: float) -> None:
        """It may be in another part of the network."""
        self._bridge(contact)

    # Walks.

    def _introduce(self, newcomer: Any, want: int) -> None:
        """A newcomer has linked itself to this peer first."""
        others = [neighbour for neighbour in self._active.values() if neighbour is not newcomer]
        chosen = others if len(others) <= want else self._random.sample(others, want)
        self._outlet.send(chosen, ForwardJoin(newcomer.contact, 0))

    def _forwardJoin(self, message: ForwardJoin, neighbour: Any, now: float) -> None:
        """A newcomer's name comes by."""
        contact = message.contact
        if contact.id == idOf(self._outlet.identity) or not isDialable(contact.address):
            return
        left = self._settings.activeWalk - message.hops
        others = [other for id, other in self._active.items() if other is not neighbour and id != contact.id]
        if left <= 0 or not others:
            self._welcome(contact, now)
            return
        if left == self._settings.passiveWalk:
            self._remember(contact, 0)
        self._outlet.send([self._random.choice(others)], ForwardJoin(contact, message.hops + 1))

    def _welcome(self, contact: Contact, now: float) -> None:
        """A newcomer's walk ends here: dial it, or remember it at least."""
        if contact.id in self._busy():
            return
        self._remember(contact, 0)
        if self._mayDial() > 0 and self._dialRate.allow("", now):
            self._dial(_Dial(contact, stays=True), urgent=False)

    def _beginShuffle(self) -> None:
        """Send some of both views on a walk."""
        if not self._active:
            # It may be the own network that fails: then nobody is forgotten.
            return
        for id, entry in list(self._passive.items()):
            if entry.latest < self._now - self._life:
                self._passive.forget(id)
        first = self._random.choice(list(self._active.values()))
        others = [neighbour.contact for neighbour in self._active.values() if neighbour is not first]
        named = self._random.sample(others, min(len(others), self._settings.shuffleActive))
        sightings = [Sighting(contact, 0) for contact in named if contact.address]
        passive = self._some(self._settings.shufflePassive, first.contact.id)
        walk = _Walk(first, sent=[sighting.contact.id for sighting in passive])
        self._outlet.send([first], Shuffle(self._begun(walk), 0, sightings + passive))

    def _shuffle(self, message: Shuffle, neighbour: Any) -> None:
        """Somebody's shuffle comes by."""
        sightings = message.sightings
        if message.hops == 0:
            sightings = [Sighting(neighbour.contact, 0), *sightings[: self._most - 1]]
        others = [other for other in self._active.values() if other is not neighbour]
        if message.hops < self._settings.activeWalk and others:
            to = self._random.choice(others)
            number = self._begun(_Walk(to, neighbour, message.number))
            self._outlet.send([to], Shuffle(number, message.hops + 1, sightings))
            return
        answer = self._some(min(len(sightings), self._most), sightings[0].contact.id if sightings else b"")
        self._outlet.send([neighbour], ShuffleReply(message.number, answer))
        self._mix(sightings, [sighting.contact.id for sighting in answer])

    def _shuffled(self, message: ShuffleReply, neighbour: Any) -> None:
        """An answer comes: to this peer, or to be passed back."""
        walk = self._walks.get(message.number)
        if walk is None or walk.to is not neighbour:
            return
        del self._walks[message.number]
        back = walk.back
        if back is None:
            self._mix(message.sightings, walk.sent)
        else:
            self._outlet.send([back], ShuffleReply(walk.number, message.sightings))

    def _begun(self, walk: _Walk) -> int:
        """Remember a walk, and give it a number."""
        self._number += 1
        self._walks[self._number] = walk
        if len(self._walks) > MAX_WALKS:
            self._walks.popitem(last=False)
        return self._number

    @property
    def _most(self) -> int:
        """As many contacts are taken from one shuffle as this peer would send."""
        return 1 + self._settings.shuffleActive + self._settings.shufflePassive

    def _some(self, count: int, exclude: bytes) -> list[Sighting]:
        """So many of the passive view, that were seen lately and do not fail."""
        now, life = self._now, min(self._life, MAX_SIGHTING_AGE)
        fit = [
            entry for id, entry in self._passive.items()
            if not entry.failures and now - entry.latest <= life and id != exclude
        ]  # fmt: skip
        chosen = fit if len(fit) <= count else self._random.sample(fit, count)
        return [Sighting(entry.contact, max(0, ceil(now - entry.latest))) for entry in chosen]

    def _mix(self, sightings: list[Sighting], sent: list[bytes]) -> None:
        """Take what a shuffle brought into the passive view, rather in place of what was sent."""
        for sighting in sightings[: self._most]:
            self._remember(sighting.contact, sighting.age, sent)

    def _remember(self, contact: Contact, age: float, rather: list[bytes] | None = None) -> None:
        """Take a name into the passive view."""
        if (
            age <= self._life and contact.id != idOf(self._outlet.identity) and contact.id not in self._active
            and isDialable(contact.address)
        ):  # fmt: skip
            # The same few names go by again and again: each is kept once in a process.
            contact = knownContact(contact)
            self._passive.add(contact, told=self._now - age, rather=rather)
            self._spare[contact.id] = contact
            self._spare.move_to_end(contact.id)
            if len(self._spare) > self._settings.maxKnown:
                self._spare.popitem(last=False)
