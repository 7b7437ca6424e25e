"""
Heartbeats: who is alive, by numbered pings.

Every C{livenessInterval} a peer pings each neighbour; I{any} sign of life
counts as an answer.  After C{livenessMisses} intervals of silence the
neighbour is I{suspected} and dialled afresh; only if that is not answered
either, or is refused, is it I{dead}.  A connection that breaks off without a
word or is cut off because the other does not read, a goodbye to which not a
word comes back, or a dial that is refused, is evidence at once: the probe
follows immediately, so a killed process is found out in a moment and a frozen
one within C{(livenessMisses + 1) * livenessInterval + probeTimeout}.

A tick that comes late means that this very process slept, or had no time; what
others did not say meanwhile is not their silence, so that interval is not
counted; nor is the short one that follows, when the next tick comes in time.
"""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from zope.interface import implementer

from p2p.interfaces import IDetector
from p2p.peer.doubt import Doubt
from p2p.settings import PeerSettings
from p2p.timers import LATE, slept
from p2p.wire import reasons
from p2p.wire.messages import Contact, Ping, Pong
from p2p.wire.probe import Outcome, Verdict


@attrs.define(eq=False)
class _Watch:
    """
    A neighbour's record.

    @ivar misses: intervals without a sign of life.
    @ivar number: the ping whose round trip is being timed; 0 for none.
    @ivar sent: when that was sent.
    """

    misses: int = 0
    number: int = 0
    sent: float = 0.0


@implementer(IDetector)
class Heartbeat:
    """The detector named C{heartbeat}; see the module's text."""

    messages = (Ping, Pong)

    def __init__(self, outlet: Any, settings: PeerSettings, random: Random) -> None:
        """
        @param outlet: an L{p2p.interfaces.IDetectorOutlet}.
        """
        self._outlet = outlet
        self._interval = settings.livenessInterval
        self._limit = settings.livenessMisses
        self._number = 0
        self._last: float | None = None
        self._watched: dict[Any, _Watch] = {}
        # Who is being dialled afresh: each life apart, and each address that somebody gives for one.
        self._probing: dict[Contact, Doubt] = {}

    def neighbourUp(self, neighbour: Any, now: float) -> None:
        """Watch it."""
        self._watched[neighbour] = _Watch()
        neighbour.heard = True

    def neighbourDown(self, neighbour: Any, reason: str, now: float) -> None:
        """
        A connection that broke off without a word is evidence, and so is one on which nothing was read.

        Who said goodbye lives, and who was heard before this side did.
        """
        self._watched.pop(neighbour, None)
        evidence = reason in reasons.EVIDENCE and not neighbour.byOther
        if neighbour.byOther or (neighbour.heard if neighbour.suspected else not evidence):
            self._settle(neighbour)
        if evidence:
            self._probe(neighbour.contact)

    def dialFailed(self, contact: Contact, reason: str, now: float) -> None:
        """Nobody listens where a peer is said to: evidence."""
        if reason == reasons.REFUSED:
            self._probe(contact)

    def received(self, message: Ping | Pong, neighbour: Any, now: float) -> None:
        """Answer a ping; take the time of an answer."""
        if type(message) is Ping:
            self._outlet.send([neighbour], Pong(message.number))
            return
        watch = self._watched.get(neighbour)
        if watch is None:
            # In answer to a goodbye.
            self._settle(neighbour)
        elif message.number == watch.number and watch.number:
            neighbour.rtt = now - watch.sent
            watch.number = 0

    def probed(self, contact: Contact, outcome: Outcome, now: float) -> None:
        """The fresh connection was answered, or not."""
        doubt = self._probing.pop(contact, None)
        if doubt is None:
            return
        neighbour = self._linked(contact)
        if outcome.verdict is Verdict.UNSURE or (neighbour is not None and neighbour.contact != contact):
            # Nor does another life, or another address, tell anything of the one that this link is to.
            return
        if outcome.verdict is not Verdict.ALIVE:
            if neighbour is not None and (not neighbour.suspected or self._heardSince(neighbour)):
                # It was heard meanwhile, or has linked itself anew.
                return
            if doubt.over:
                return
            if doubt.settled and outcome.verdict is Verdict.SILENT:
                # What there is to doubt now came after the question.
                self._probe(contact)
            else:
                self._outlet.dead(contact, outcome.verdict.value)
        elif neighbour is not None and neighbour.suspected and not self._heardSince(neighbour):
            # It lives, but this link does not.
            self._outlet.disconnect(neighbour, reasons.SILENT)

    def tick(self, now: float) -> None:
        """Count the silence of each neighbour, and ping it."""
        due = self._last + self._interval if self._last is not None else now
        counts = now > due - LATE * self._interval and not slept(due, now, self._interval)
        self._last = now
        self._number += 1
        for neighbour, watch in list(self._watched.items()):
            if neighbour not in self._watched:
                # Gone by what was done about another.
                continue
            if neighbour.heard:
                neighbour.heard = False
                watch.misses = 0
                self._trust(neighbour)
            elif counts:
                watch.misses += 1
                if watch.misses >= self._limit and not neighbour.suspected:
                    neighbour.suspected = True
                    self._outlet.suspected(neighbour)
                    self._probe(neighbour.contact)
                elif neighbour.suspected:
                    # An earlier probe settled nothing.
                    self._probe(neighbour.contact)
            if not watch.number:
                watch.number = self._number
                watch.sent = now
        if self._watched:
            self._outlet.send(list(self._watched), Ping(self._number))

    # Private.

    def _linked(self, contact: Contact) -> Any:
        """The neighbour of that id, if there is one."""
        return next((known for known in self._watched if known.contact.id == contact.id), None)

    def _heardSince(self, neighbour: Any) -> bool:
        """A suspect has given a sign of life after all."""
        if not neighbour.heard:
            return False
        self._trust(neighbour)
        return True

    def _trust(self, neighbour: Any) -> None:
        if neighbour.suspected:
            neighbour.suspected = False
            self._watched[neighbour].misses = 0
            self._settle(neighbour)
            self._outlet.suspected(neighbour)

    def _probe(self, contact: Contact) -> None:
        """Dial afresh, unless that is under way."""
        doubt = self._probing.get(contact)
        if doubt is not None:
            doubt.renew()
        elif contact.address:
            link = self._linked(contact)
            self._probing[contact] = Doubt(link if link is not None and link.contact == contact else None)
            self._outlet.probe(contact)

    def _settle(self, neighbour: Any) -> None:
        """It has said a word on its link."""
        for doubt in self._probing.values():
            doubt.settle(neighbour)
