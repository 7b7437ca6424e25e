"""
SWIM with Lifeguard: who is alive, by one ping a period and what others say.

After Das, Gupta, Motivala: "SWIM: Scalable Weakly-consistent Infection-style
Process Group Membership Protocol" (DSN 2002) and Dadgar, Phillips, Currey:
"Lifeguard" (2017).  The members are the neighbours; nobody knows all peers.

 1. Each period (C{livenessInterval}) one neighbour is pinged, in a random order
    that is drawn anew for every round (SWIM, section 4.3).
 2. Without an answer in time, some other neighbours are asked to reach it
    (L{PingReq}, section 3.1): over their own link, or by a fresh connection.
    They answer L{Ack}, or L{Nack} while they have no answer themselves.
 3. Without any answer until the period ends it is I{suspected} (section 4.2):
    it is told so with every ping, dialled afresh, and the suspicion spreads
    (L{Suspect}) over C{rumourHops} links.  Whoever is its neighbour too looks for
    itself, and confirms by a suspicion of its own.  The accused refutes
    (L{Refute}) under a higher number.  Any word on its own link clears it.
 4. The suspicion runs out, the sooner the more have confirmed it (L{Suspicion});
    if fresh connections are not answered at that moment either, it is I{dead}.
    L{Faulty} tells others who are linked to it to look for themselves.  The
    link is given up at the earliest of these moments, confirmed or not: who
    has lost many neighbours at once must not wait for the word of the dead.

A connection that breaks off without a word, or a dial that is refused, is evidence at
once: it is dialled afresh, and refused again it is dead.

Nobody's word kills: a verdict needs that this peer's own link is silent and
that its own fresh connection is refused or unanswered.  What others say only shortens the
wait, down to what plain SWIM gives.  And nobody's word keeps a dead one alive:
a link that stays silent although others claim to reach the peer is given up.

A timer that comes late means that this very process slept: then no question
that was under way counts, suspects are given the time again, and the peer
doubts its own health (L{LocalHealth}): it asks and waits more slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import log10
from random import Random
from typing import Any

import attrs
from zope.interface import implementer

from p2p.address import isDialable
from p2p.identity import idOf
from p2p.interfaces import IDetector
from p2p.peer.doubt import Doubt
from p2p.peer.lifeguard import LocalHealth, Suspicion
from p2p.peer.rumours import Rumours
from p2p.rate import RateLimit
from p2p.settings import PeerSettings
from p2p.timers import LATE, slept
from p2p.wire import reasons
from p2p.wire.messages import Ack, Contact, Faulty, Nack, Ping, PingReq, Pong, Refute, Suspect
from p2p.wire.probe import Outcome, Verdict

NACK = 0.5
"""After this share of the time for an answer a helper says that it has none yet."""

LEAP = 2**10
"""
So much higher than a peer itself has said, the number of its refutations is believed, at most.

By the peer itself too: whoever invents one could else use up all that there
are.  Above 0 where the peer has said nothing on a link of its own, which is
all that a liar cannot forge: by what is rumoured, he could count up.
"""

MAX_TOLD = 1024
"""Identities of which rumours are remembered at most."""

MAX_LOST = 64
"""Suspects that there is no link to any more, at most; beyond them, their seeds will find out."""

MAX_ERRANDS = 16
"""Peers dialled for others at a time, each up to three times (L{p2p.wire.probe})."""

ERRAND_RATE, ERRAND_BURST = 2.0, 10.0
"""L{PingReq}s a second that are taken from one neighbour, and how many at once after a rest."""

RUMOUR_RATE, RUMOUR_BURST = 5.0, 50.0
"""Rumours a second that are taken from one neighbour, and how many at once after a rest."""

RELAY_RATE, RELAY_BURST = 20.0, 100.0
"""Rumours a second that are passed on, whoever they came from, and how many at once after a rest."""

REFUTE_RATE, REFUTE_BURST = 1.0, 5.0
"""Refutations a second, and how many at once after a rest."""


@attrs.define(eq=False)
class _Member:
    """
    A neighbour.

    @ivar refuted: how often it has refuted.
    @ivar shown: the same by its own word, on this link.
    @ivar vouched: how often in a row others have reached it while its link was silent.
    """

    neighbour: Any
    refuted: int = 0
    shown: int = 0
    vouched: int = 0

    @property
    def contact(self) -> Contact:
        """Who it is now."""
        contact: Contact = self.neighbour.contact
        return contact


@attrs.define(eq=False)
class _Question:
    """
    A ping under way.

    @ivar number: the ping's.
    @ivar asked: the helpers.
    @ivar nacks: those of them that have no answer either.
    @ivar requests: neighbours on whose behalf it is asked, each with its own number.
    @ivar accusers: who suspects that peer, each with the id of the neighbour that said so.
    @ivar timers: what is to be called off once it is answered.
    """

    member: _Member
    number: int
    sent: float
    asked: set[Any] = attrs.Factory(set)
    nacks: set[Any] = attrs.Factory(set)
    requests: list[tuple[Any, int]] = attrs.Factory(list)
    accusers: list[tuple[bytes, bytes]] = attrs.Factory(list)
    timers: list[Any] = attrs.Factory(list)

    def over(self) -> None:
        """No more waiting."""
        for timer in self.timers:
            timer.cancel()


@attrs.define(eq=False)
class _Suspect:
    """
    Whom this peer suspects.

    @ivar member: its link; C{None} if that is gone.
    @ivar number: of the last L{PingReq} that was sent about it.
    @ivar asked: the helpers it was sent to.
    @ivar askedAt: when.
    @ivar silent: a fresh connection was not answered.
    @ivar timer: for the next fresh connection.
    """

    contact: Contact
    refuted: int
    suspicion: Suspicion
    member: _Member | None
    number: int = 0
    asked: set[Any] = attrs.Factory(set)
    askedAt: float = float("-inf")
    silent: bool = False
    timer: Any = None


@attrs.define(eq=False)
class _Fresh:
    """
    A fresh connection under way.

    @ivar doubt: this peer's own, if it wants to know itself.
    @ivar requests: as in L{_Question}, each with the number of refutations that it named.
    """

    contact: Contact
    doubt: Doubt | None = None
    requests: list[tuple[Any, int, int]] = attrs.Factory(list)


@implementer(IDetector)
class Swim:
    """The detector named C{swim}; see the module's text."""

    messages = (Ping, Pong, PingReq, Ack, Nack, Suspect, Refute, Faulty)

    def __init__(self, outlet: Any, settings: PeerSettings, random: Random) -> None:
        """
        @param outlet: an L{p2p.interfaces.IDetectorOutlet}.
        """
        self._outlet = outlet
        self._random = random
        self._period = settings.livenessInterval
        self._wait = min(settings.pingTimeout, settings.livenessInterval / 2)
        self._settings = settings
        self._buddy = settings.lifeguardBuddy
        self.health = LocalHealth(settings.healthMax if settings.lifeguardProbe else 1)
        self._members: dict[bytes, _Member] = {}
        # Who is still to be pinged in this round, the next one last.
        self._order: list[_Member] = []
        self._question: _Question | None = None
        self._checks: dict[bytes, _Question] = {}
        self._suspects: dict[bytes, _Suspect] = {}
        # By the whole contact: what somebody else gives for one is dialled for them only.
        self._dials: dict[Contact, _Fresh] = {}
        self._number = 0
        self._refuted = 0
        self._refutedAt = float("-inf")
        self._ticked: float | None = None
        self._due = 0.0
        # When a timer came last.
        self._awake = float("-inf")
        wanted = self._wanted()
        self._rumours = Rumours(wanted + 1, MAX_TOLD, settings.forgetTime)
        self._errands = RateLimit(ERRAND_RATE, ERRAND_BURST, keys=MAX_TOLD)
        self._heard = RateLimit(RUMOUR_RATE, RUMOUR_BURST, keys=MAX_TOLD)
        self._relays = RateLimit(RELAY_RATE, RELAY_BURST, keys=1)
        self._refutations = RateLimit(REFUTE_RATE, REFUTE_BURST, keys=1)
        self._handlers: dict[type, Callable[[Any, Any, float], None]] = {
            Ping: self._pinged,
            Pong: self._answered,
            PingReq: self._asked,
            Ack: self._reached,
            Nack: self._notYet,
            Suspect: self._accused,
            Refute: self._refutes,
            Faulty: self._foundDead,
        }

    # What happens.

    def neighbourUp(self, neighbour: Any, now: float) -> None:
        """A member, to be pinged at a random place in the round; whatever was said of it, it lives."""
        id = neighbour.contact.id
        suspect = self._suspects.get(id)
        if suspect is not None:
            self._clear(suspect)
        member = self._members[id] = _Member(neighbour, self._rumours.refuted(neighbour.contact.identity))
        self._order.insert(self._random.randint(0, len(self._order)), member)
        neighbour.heard = True

    def neighbourDown(self, neighbour: Any, reason: str, now: float) -> None:
        """A connection that broke off without a word is evidence; who said goodbye lives, and nothing is kept of it."""
        contact = neighbour.contact
        evidence = reason in reasons.EVIDENCE and not neighbour.byOther
        member = self._members.get(contact.id)
        if member is not None and member.neighbour is neighbour:
            suspect = self._suspects.get(contact.id)
            self._forget(member)
            if neighbour.byOther or neighbour.heard:
                if suspect is not None:
                    self._clear(suspect)
                if suspect is not None or not evidence:
                    self._settle(neighbour)
        if evidence:
            self._dial(contact)

    def dialFailed(self, contact: Contact, reason: str, now: float) -> None:
        """Nobody listens where a peer is said to: evidence."""
        if reason == reasons.REFUSED:
            self._dial(contact)

    def received(self, message: Any, neighbour: Any, now: float) -> None:
        """Any word of a suspect clears it."""
        if neighbour.suspected:
            suspect = self._suspects.get(neighbour.contact.id)
            if suspect is not None:
                self._settle(neighbour)
                self._clear(suspect)
        self._handlers[type(message)](message, neighbour, now)

    def probed(self, contact: Contact, outcome: Outcome, now: float) -> None:
        """A fresh connection was answered, or not."""
        dial = self._dials.pop(contact, None)
        if dial is None:
            return
        verdict = outcome.verdict
        self._tellOfDial(dial, verdict)
        suspect = self._suspected(contact)
        member = self._members.get(contact.id)
        if suspect is not None and suspect.member is not None and suspect.member.neighbour.heard:
            self._clear(suspect)
        elif verdict is Verdict.ALIVE:
            if suspect is not None:
                self._vouch(suspect)
        elif verdict is Verdict.UNSURE:
            if suspect is not None:
                self._dialLater(suspect, now, now + self._period)
        elif dial.doubt is None or dial.doubt.over or (member is not None and suspect is None):
            # For others only; or it was heard meanwhile, or has linked itself anew.
            return
        elif dial.doubt.settled and verdict is Verdict.SILENT:
            # What there is to doubt now came after the question.
            self._dial(contact)
        elif verdict is not Verdict.SILENT:
            self._die(contact, verdict.value, now)
        elif suspect is None:
            self._suspect(contact, None, now)
        elif now >= suspect.suspicion.deadline:
            self._die(contact, verdict.value, now)
        else:
            suspect.silent = True
            self._dialInTime(suspect, now)

    def tick(self, now: float) -> None:
        """End a period, if it is long enough, and begin the next one."""
        due = self._ticked + self._period if self._ticked is not None else now
        self._ticked = now
        if self._slept(due, now):
            self._due = now
        self._rumours.forget(now)
        for id, suspect in list(self._suspects.items()):
            if self._suspects.get(id) is suspect:
                self._lookAfter(suspect, now)
        if now < self._due - LATE * self._period:
            return
        self._periodOver(now)
        self._due = now + self.health.scaled(self._period)
        member = self._next()
        if member is not None:
            question = self._question = self._ask(member, now)
            self._after(self.health.scaled(self._wait), now, question, self._unanswered)

    # Private: asking.

    def _next(self) -> _Member | None:
        """Whose turn it is to be pinged; suspects are pinged anyway."""
        for _ in range(2):
            while self._order:
                member = self._order.pop()
                if not member.neighbour.suspected:
                    return member
            self._order = list(self._members.values())
            self._random.shuffle(self._order)
        return None

    def _ask(self, member: _Member, now: float) -> _Question:
        """Ping a neighbour; any word of it is an answer."""
        self._number += 1
        member.neighbour.heard = False
        self._outlet.send([member.neighbour], Ping(self._number))
        return _Question(member, self._number, now)

    def _unanswered(self, question: _Question, now: float) -> None:
        """No answer in time: can others reach it?"""
        member = question.member
        if member.neighbour.heard:
            self._good(question)
            return
        question.asked = self._askOthers(question.number, member.contact, member.refuted)

    def _askOthers(self, number: int, contact: Contact, refuted: int) -> set[Any]:
        """Ask some neighbours to reach somebody; which ones."""
        neighbours = [member.neighbour for id, member in self._members.items() if id != contact.id]
        helpers = [neighbour for neighbour in neighbours if not neighbour.suspected]
        helpers = self._random.sample(helpers, min(self._settings.indirectProbes, len(helpers)))
        if helpers:
            self._outlet.send(helpers, PingReq(number, contact, refuted))
        return set(helpers)

    def _periodOver(self, now: float) -> None:
        """Whom this period's question was about is suspected, if nobody has answered."""
        question = self._question
        if question is None:
            return
        if question.member.neighbour.heard:
            self._good(question)
            return
        question.over()
        self._question = None
        missing = len(question.asked) - len(question.nacks)
        self.health.worse(missing if question.asked else 1)
        self._suspect(question.member.contact, question.member, now, question)
        if missing and self._settings.lifeguardSuspicion:
            # Either this peer is cut off, or many have died at once; suspicions that nobody confirms are patient.
            for member in list(self._members.values()):
                if not member.neighbour.suspected:
                    self._check(member, now, self._wait)

    def _good(self, question: _Question) -> None:
        """The answer has come."""
        if question is self._question:
            self._question = None
            self.health.better()
        question.member.vouched = 0
        question.over()

    def _check(self, member: _Member, now: float, wait: float) -> _Question:
        """Look for oneself, out of turn, because of what others say or do not say; one question at a time."""
        id = member.contact.id
        check = self._checks.get(id)
        if check is None:
            check = self._checks[id] = self._ask(member, now)
            self._after(wait, now, check, self._checked)
        return check

    def _checked(self, check: _Question, now: float) -> None:
        """The time for that answer is over."""
        self._checks.pop(check.member.contact.id, None)
        check.over()
        if check.member.neighbour.heard:
            self._tellAll(check, Ack)
        else:
            self._suspect(check.member.contact, check.member, now, check)

    def _tellAll(self, question: _Question, answer: Callable[[int], Any]) -> None:
        """Answer those on whose behalf it was asked."""
        requests, question.requests[:] = question.requests[:], []
        for neighbour, number in requests:
            if self._isLinked(neighbour):
                self._outlet.send([neighbour], answer(number))

    # Private: answers, and questions of others.

    def _pinged(self, message: Ping, neighbour: Any, now: float) -> None:
        self._outlet.send([neighbour], Pong(message.number))

    def _answered(self, message: Pong, neighbour: Any, now: float) -> None:
        question = self._question
        if question is not None and question.member.neighbour is neighbour and question.number == message.number:
            neighbour.rtt = now - question.sent
            self._good(question)
        check = self._checks.get(neighbour.contact.id)
        if check is not None and check.member.neighbour is neighbour and check.number == message.number:
            del self._checks[neighbour.contact.id]
            self._tellAll(check, Ack)
            self._good(check)

    def _asked(self, message: PingReq, neighbour: Any, now: float) -> None:
        """Reach somebody for a neighbour."""
        contact, number = message.contact, message.number
        if contact.id == neighbour.contact.id or not self._errands.allow(neighbour.contact.id, now):
            return
        if contact.id == idOf(self._outlet.identity):
            self._outlet.send([neighbour], Ack(number))
            return
        member = self._members.get(contact.id)
        if self._suspected(contact) is not None:
            self._outlet.send([neighbour], Nack(number))
        elif member is not None:
            check = self._check(member, now, self.health.scaled(self._wait))
            check.requests.append((neighbour, number))
            self._nackLater(check.requests, (neighbour, number))
        else:
            errands = sum(dial.doubt is None for dial in self._dials.values())
            if not isDialable(contact.address) or (contact not in self._dials and errands >= MAX_ERRANDS):
                self._outlet.send([neighbour], Nack(number))
                return
            request = (neighbour, number, message.refuted)
            dial = self._dial(contact, own=False)
            dial.requests.append(request)
            self._nackLater(dial.requests, request)

    def _nackLater(self, requests: list[Any], request: tuple[Any, ...]) -> None:
        """Say that there is no answer yet, if by then there is none."""

        def nack(now: float) -> None:
            neighbour, number = request[:2]
            if request in requests and self._isLinked(neighbour):
                self._outlet.send([neighbour], Nack(number))

        self._outlet.later(NACK * self._wait, nack)

    def _tellOfDial(self, dial: _Fresh, verdict: Verdict) -> None:
        """Answer those for whom it was made: it is reached, or this peer confirms that it is not."""
        requests, dial.requests[:] = dial.requests[:], []
        for neighbour, number, refuted in requests:
            if not self._isLinked(neighbour):
                continue
            if verdict is Verdict.ALIVE:
                self._outlet.send([neighbour], Ack(number))
            elif verdict is not Verdict.UNSURE:
                self._outlet.send([neighbour], Suspect(dial.contact, refuted, self._outlet.identity, 1))

    def _reached(self, message: Ack, neighbour: Any, now: float) -> None:
        """A helper has reached it."""
        question = self._question
        if question is not None and question.number == message.number and neighbour in question.asked:
            vouched = question.member.vouched
            self._good(question)
            question.member.vouched = vouched
            self._silentLink(question.member)
            return
        for suspect in list(self._suspects.values()):
            if suspect.number == message.number and neighbour in suspect.asked:
                self._vouch(suspect)

    def _notYet(self, message: Nack, neighbour: Any, now: float) -> None:
        """A helper is there, and has no answer."""
        question = self._question
        if question is not None and question.number == message.number and neighbour in question.asked:
            question.nacks.add(neighbour)

    # Private: suspicion.

    def _wanted(self) -> int:
        """How many confirmations bring a suspicion's time down to the shortest."""
        return max(0, int(self._settings.suspicionMult) - 2) if self._settings.lifeguardSuspicion else 0

    def _suspect(self, contact: Contact, member: _Member | None, now: float, question: _Question | None = None) -> None:
        """Suspect a peer: tell it, tell others, and dial it afresh."""
        other = self._suspects.get(contact.id)
        if other is not None and other.contact.identity >= contact.identity:
            return
        if other is not None:
            # It has begun another life since.
            self._clear(other)
        if member is None and sum(suspect.member is None for suspect in self._suspects.values()) >= MAX_LOST:
            return
        settings = self._settings
        count = len(self._members)
        wanted = min(self._wanted(), count - (member is not None))
        least = settings.suspicionMult * max(1.0, log10(count + 1)) * self._period
        suspicion = Suspicion(now, least, settings.suspicionMaxMult * least, wanted)
        # As all do who have heard the same, or each would pass over what the other says.
        refuted = max(self._rumours.refuted(contact.identity), member.refuted if member is not None else 0)
        suspect = self._suspects[contact.id] = _Suspect(contact, refuted, suspicion, member)
        if question is not None:
            suspect.number, suspect.asked = question.number, question.asked
            if question.asked:
                suspect.askedAt = now
            for by, through in question.accusers:
                suspicion.confirm(by, through)
        if self._rumours.suspicion(contact.identity, refuted, self._outlet.identity, now):
            self._spread(Suspect(contact, refuted, self._outlet.identity, settings.rumourHops), contact.id)
        if member is not None:
            member.neighbour.heard = False
            member.neighbour.suspected = True
            self._outlet.suspected(member.neighbour)
            self._remind(suspect)
            self._dial(contact)
        else:
            # It has just been dialled.
            self._dialInTime(suspect, now)

    def _lookAfter(self, suspect: _Suspect, now: float) -> None:
        """Once a period: remind a suspect, ask others again while too few confirm it, and give its link up in time."""
        member, suspicion = suspect.member, suspect.suspicion
        if member is not None and member.neighbour.heard:
            self._settle(member.neighbour)
            self._clear(suspect)
            return
        if not suspicion.confirmed and now - suspect.askedAt > self._settings.probeTimeout + self._period:
            self._number += 1
            suspect.number, suspect.askedAt = self._number, now
            suspect.asked = self._askOthers(suspect.number, suspect.contact, suspect.refuted)
        early = suspicion.soonest <= now < suspicion.deadline - self._settings.probeTimeout
        if member is not None and suspect.silent and early:
            self._outlet.disconnect(member.neighbour, reasons.SILENT)
        elif member is not None:
            self._remind(suspect)

    def _remind(self, suspect: _Suspect) -> None:
        """Ping a suspect, and tell it that it is one (Lifeguard, section IV C, "Buddy System")."""
        assert suspect.member is not None
        there = [suspect.member.neighbour]
        if self._buddy:
            self._outlet.send(there, Suspect(suspect.contact, suspect.refuted, self._outlet.identity, 1))
        self._number += 1
        self._outlet.send(there, Ping(self._number))

    def _suspected(self, contact: Contact) -> _Suspect | None:
        """The suspect that is this very contact: not another life, nor an address that somebody has invented for it."""
        suspect = self._suspects.get(contact.id)
        return suspect if suspect is not None and suspect.contact == contact else None

    def _clear(self, suspect: _Suspect) -> None:
        """It lives."""
        if self._suspects.pop(suspect.contact.id, None) is None:
            return
        if suspect.timer is not None:
            suspect.timer.cancel()
        if suspect.member is not None:
            suspect.member.vouched = 0
            suspect.member.neighbour.suspected = False
            self._outlet.suspected(suspect.member.neighbour)

    def _vouch(self, suspect: _Suspect) -> None:
        """It lives, others say, or a fresh connection; but its link is silent."""
        member = suspect.member
        vouched = member.vouched if member is not None else 0
        self._clear(suspect)
        if member is not None:
            member.vouched = vouched
            self._silentLink(member)

    def _silentLink(self, member: _Member) -> None:
        """Ask again in the next period; a link that is silent time and again is of no use."""
        member.vouched += 1
        if member.vouched >= self._settings.livenessMisses:
            self._outlet.disconnect(member.neighbour, reasons.SILENT)
        else:
            if member in self._order:
                self._order.remove(member)
            self._order.append(member)

    def _dialInTime(self, suspect: _Suspect, now: float) -> None:
        """
        Dial so that the answer is due when the suspicion runs out.

        Where there is no link on which it could say a word, it gets a chance now and then before.
        """
        due = suspect.suspicion.deadline - self._settings.probeTimeout
        if suspect.member is None:
            due = min(due, now + self._period)
        self._dialLater(suspect, now, due)

    def _dialLater(self, suspect: _Suspect, now: float, due: float) -> None:
        if suspect.timer is not None:
            suspect.timer.cancel()
            suspect.timer = None
        if due <= now:
            self._dial(suspect.contact)
            return

        def dial(now: float) -> None:
            if self._suspects.get(suspect.contact.id) is suspect and not self._slept(due, now):
                suspect.timer = None
                self._dial(suspect.contact)

        suspect.timer = self._outlet.later(due - now, dial)

    def _die(self, contact: Contact, evidence: str, now: float) -> None:
        """The verdict."""
        suspect = self._suspected(contact)
        if suspect is not None:
            del self._suspects[contact.id]
            if suspect.timer is not None:
                suspect.timer.cancel()
            if self._rumours.death(contact.identity, suspect.refuted, now):
                self._spread(Faulty(contact, suspect.refuted, self._settings.rumourHops), contact.id)
        self._outlet.dead(contact, evidence)

    # Private: rumours.

    def _accused(self, message: Suspect, neighbour: Any, now: float) -> None:
        """Somebody is suspected by somebody."""
        contact = self._rumoured(message, neighbour, now)
        if contact is not None:
            news = self._rumours.suspicion(contact.identity, message.refuted, message.by, now)
            self._consider(message, message.by, news, neighbour, now)

    def _foundDead(self, message: Faulty, neighbour: Any, now: float) -> None:
        """Somebody has found somebody dead."""
        contact = self._rumoured(message, neighbour, now)
        if contact is not None:
            news = self._rumours.death(contact.identity, message.refuted, now)
            self._consider(message, neighbour.contact.identity, news, neighbour, now)

    def _consider(self, message: Suspect | Faulty, by: bytes, news: bool, neighbour: Any, now: float) -> None:
        """Pass it on; count it as a confirmation, or look for oneself."""
        contact = message.contact
        if news:
            self._relay(message, contact.id, neighbour, now)
        suspect = self._suspects.get(contact.id)
        member = self._members.get(contact.id)
        if suspect is not None:
            same = suspect.contact.identity == contact.identity
            counts = same and by != self._outlet.identity and message.refuted >= suspect.refuted
            if counts and suspect.suspicion.confirm(by, neighbour.contact.identity):
                self._sooner(suspect, now)
        elif member is not None and news:
            check = self._check(member, now, self.health.scaled(self._wait))
            check.accusers.append((by, neighbour.contact.identity))

    def _rumoured(self, message: Suspect | Faulty, neighbour: Any, now: float) -> Contact | None:
        """
        Whom a rumour is about, if it is worth anything: not this peer, which refutes, and no earlier life.

        Where nobody can be dialled, who says so is not to blame: it has the address from the accused itself.
        """
        contact = message.contact
        if not self._heard.allow(neighbour.contact.id, now):
            return None
        mine = self._outlet.identity
        if contact.id == idOf(mine):
            if contact.identity == mine:
                self._refute(message.refuted, neighbour, now)
            return None
        member = self._members.get(contact.id)
        if not isDialable(contact.address) or (member is not None and member.contact.identity != contact.identity):
            return None
        return contact if self._credible(contact.identity, message.refuted) else None

    def _credible(self, identity: bytes, refuted: int) -> bool:
        """Can it have refuted so often?"""
        member = self._members.get(idOf(identity))
        shown = member.shown if member is not None and member.contact.identity == identity else 0
        return refuted <= shown + LEAP

    def _refute(self, refuted: int, neighbour: Any, now: float) -> None:
        """This peer is suspected, and lives."""
        if refuted < self._refuted:
            # That was refuted already, and may still be on its way.
            if now - self._refutedAt > self._period and self._refutations.allow("", now):
                self._outlet.send([neighbour], Refute(self._outlet.identity, self._refuted, 1))
        elif refuted - self._refuted <= LEAP and self._refutations.allow("", now):
            self._refuted = refuted + 1
            self._refutedAt = now
            self.health.worse()
            self._spread(Refute(self._outlet.identity, self._refuted, self._settings.rumourHops))

    def _refutes(self, message: Refute, neighbour: Any, now: float) -> None:
        """Somebody who was suspected lives, it says."""
        id = idOf(message.identity)
        if id == idOf(self._outlet.identity) or not self._heard.allow(neighbour.contact.id, now):
            return
        member = self._members.get(id)
        if member is not None and member.neighbour is neighbour and member.contact.identity == message.identity:
            member.shown = max(member.shown, message.refuted)
        if not self._credible(message.identity, message.refuted):
            return
        if not self._rumours.refutation(message.identity, message.refuted, now):
            return
        self._relay(message, id, neighbour, now)
        if member is not None and member.contact.identity == message.identity:
            member.refuted = max(member.refuted, message.refuted)
        suspect = self._suspects.get(id)
        if suspect is not None and suspect.contact.identity == message.identity and message.refuted > suspect.refuted:
            self._vouch(suspect)

    def _sooner(self, suspect: _Suspect, now: float) -> None:
        """Its time has become shorter."""
        if suspect.timer is not None:
            self._dialInTime(suspect, now)

    def _spread(self, message: Any, about: bytes = b"") -> None:
        """Tell all neighbours but the one that it is about."""
        there = [member.neighbour for id, member in self._members.items() if id != about]
        if there:
            self._outlet.send(there, message)

    def _relay(self, message: Suspect | Refute | Faulty, about: bytes, source: Any, now: float) -> None:
        """Pass a rumour on, one link less far; the accused hears it too, for it may refute."""
        hops = min(message.hops, self._settings.rumourHops) - 1
        if hops < 1:
            return
        there = [member.neighbour for member in self._members.values() if member.neighbour is not source]
        if type(message) is Refute:
            there = [neighbour for neighbour in there if neighbour.contact.id != about]
        if there and self._relays.allow("", now):
            fields = {name: getattr(message, name) for name in message.__struct_fields__}
            self._outlet.send(there, type(message)(**{**fields, "hops": hops}))

    # Private: fresh connections, and time.

    def _dial(self, contact: Contact, own: bool = True) -> _Fresh:
        """Dial afresh, unless that is under way."""
        dial = self._dials.get(contact)
        begun = dial is not None
        if dial is None:
            dial = _Fresh(contact)
        if own and dial.doubt is not None:
            dial.doubt.renew()
        elif own:
            member = self._members.get(contact.id)
            dial.doubt = Doubt(member.neighbour if member is not None and member.contact == contact else None)
        if contact.address and not begun:
            self._dials[contact] = dial
            self._outlet.probe(contact)
        return dial

    def _settle(self, neighbour: Any) -> None:
        """It has said a word on its link."""
        for dial in self._dials.values():
            if dial.doubt is not None:
                dial.doubt.settle(neighbour)

    def _isLinked(self, neighbour: Any) -> bool:
        member = self._members.get(neighbour.contact.id)
        return member is not None and member.neighbour is neighbour

    def _forget(self, member: _Member) -> None:
        """Its link is gone."""
        id = member.contact.id
        del self._members[id]
        if member in self._order:
            self._order.remove(member)
        if self._question is not None and self._question.member is member:
            self._question.over()
            self._question = None
        check = self._checks.pop(id, None)
        if check is not None:
            check.over()
        suspect = self._suspects.get(id)
        if suspect is not None:
            suspect.member = None

    def _after(self, delay: float, now: float, question: _Question, call: Callable[[_Question, float], None]) -> None:
        """Look at a question in so many seconds, unless it was answered or this process slept meanwhile."""

        def fire(later: float) -> None:
            if not self._slept(now + delay, later):
                call(question, later)

        question.timers.append(self._outlet.later(delay, fire))

    def _slept(self, due: float, now: float) -> bool:
        """
        A timer has come that was due then: has this process slept?

        If so, what others did not say meanwhile is not their silence: no
        question counts, and suspects have the time again.
        """
        due = max(due, self._awake)
        self._awake = now
        if not slept(due, now, self._period):
            return False
        self.health.worse()
        questions: Iterable[_Question] = [*self._checks.values(), *([self._question] if self._question else [])]
        self._checks.clear()
        self._question = None
        for question in questions:
            question.over()
        for suspect in list(self._suspects.values()):
            suspect.suspicion.start += now - due
            if suspect.timer is not None:
                self._dialInTime(suspect, now)
        return True
