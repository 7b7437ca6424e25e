"""
What a seed says and does: a L{LinkFactory} that peers register with.

What a seed knows is in L{Registry}; what it believes of reports, in
L{Reports}; whom it is to ask, in L{Checks}.  Here is what it does about them:
it answers registrations, and it I{checks}, by dialling the peer itself,

 - every new address, so that nobody is sent to one that does not answer;
 - every peer that is reported dead, or whose connection broke off;
 - every peer whose later life, or other address, is registered on another
   connection: that is believed only if the one on the list does not answer.

A peer that cannot be dialled at all (it is behind a firewall, say) but is
connected is asked over its connection before it is given up, and is dialled
again once a lease, for it may have become reachable.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2p.address import Address, holder
from p2p.events import Events
from p2p.identity import identityText
from p2p.rate import RateLimit
from p2p.seed.checks import Check, Checks, Next, Rank
from p2p.seed.registry import Answer, Entry, Registry
from p2p.seed.reports import Reports
from p2p.settings import SeedSettings
from p2p.wire import reasons
from p2p.wire.codec import STRANGER_LIMIT
from p2p.wire.contacts import checkedContact
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.factory import REGISTER, LinkFactory
from p2p.wire.link import Handlers, Link
from p2p.wire.messages import (
    Contact,
    Dead,
    Hello,
    Ping,
    Pong,
    Register,
    Registered,
    Removed,
    Unreachable,
)
from p2p.wire.probe import Outcome, Verdict, probe

LISTED = 100
"""Each so many contacts in an answer count as one registration more, for it takes time to draw and to pack them."""


class SeedProtocol(Link):
    """
    A peer's connection to a seed.

    @ivar registered: the peer registered on it and has not been removed since.
    @ivar tried: when a peer that could not be dialled was last tried again.
    @ivar asked: the checks that wait for the answer to a L{Ping}, by its number.
    @ivar claimed: what it registered first was on the list already, so that it may be anybody who has read the list.
    @ivar waits: the check that decides whether what it registers is believed.
    """

    registered = False
    tried = float("-inf")
    asked: dict[int, Check] | None = None
    claimed = False
    waits: Check | None = None


class SeedFactory(LinkFactory):
    """Takes registrations and reports; see the module's text."""

    _log = Logger()
    settings: SeedSettings
    linkType = SeedProtocol
    counted = (
        *LinkFactory.counted, "checks", "checksDropped", "registrations", "registrationsRefused", "removals",
        "reportersMuted", "reports", "reportsIgnored", "unreachable",
    )  # fmt: skip

    def __init__(
        self,
        reactor: Any,
        settings: SeedSettings,
        identity: bytes,
        advertise: Address,
        registry: Registry,
        events: Events,
    ) -> None:
        super().__init__(reactor, settings, identity, advertise, settings.maxLinks)
        self.registry = registry
        self.reports = Reports(settings.falseReports, settings.falseReportWindow, settings.muteTime)
        self._events = events
        self._rate = RateLimit(settings.registrationRate, 5 * settings.registrationRate)
        self._registered: dict[bytes, SeedProtocol] = {}
        self.checks = Checks(settings.maxChecks)
        # What a check waits for: an answer over the peer's own connection, or its next try.
        self._timers: dict[Check, IDelayedCall] = {}
        # Contacts on the list whose later life has answered, and when to see whether it has registered.
        self._laterLives: dict[Contact, IDelayedCall] = {}
        # Who says that it is the peer that is being checked, on another connection, and what it registers.
        self._newcomers: dict[Check, dict[SeedProtocol, Register]] = {}
        self._pings = 0
        self._starting = False
        self._expired = float("-inf")
        self._handlers: Handlers = {
            Register: self._register,
            Dead: self._dead,
            Ping: self._ping,
            Pong: self._pong,
        }

    # What the wire says.

    def introduced(self, link: Link, hello: Hello, now: float) -> None:
        """Let in who comes to register."""
        if hello.purpose != REGISTER:
            link.close(reasons.ROLE, "this is a seed: register, or probe")
        else:
            self.welcome(link, hello, self._handlers, STRANGER_LIMIT)
            link.endAfter(self.settings.handshakeTimeout)
            self._log.info("{peer} connected from {where}", peer=identityText(hello.contact.identity), where=link.where)

    def _register(self, message: Register, link: SeedProtocol, now: float) -> None:
        """A peer is active, or still is."""
        if link.reason:
            # It came behind what ended the connection.
            return
        contact = checkedContact(message.contact)
        if contact.id != link.contact.id:
            raise RemoteProtocolError(reasons.MALFORMED, "registers another id than its own")
        named = min(message.want, self.settings.maxSample, len(self.registry))
        if not self._rate.allow(holder(link.transport.getPeer().host), now, 1 + named // LISTED):
            self.counters["registrationsRefused"] += 1
            link.close(reasons.RATE, "too many registrations")
            return
        if not self._doubt(message, link, contact):
            self._enrol(message, link, contact, now)

    def _doubt(self, message: Register, link: SeedProtocol, contact: Contact) -> bool:
        """
        Somebody says, not on the connection that a peer came on the list by, that it lives on, later or elsewhere.

        Anybody may say so: see first who is where that peer listens, unless nobody can dial it.

        @return: C{False} if there is nothing to be seen first.  Where this seed cannot look, that one is to try again.
        """
        entry = self.registry.get(contact.id)
        if (
            entry is None or entry.reachable is False
            or (self._registered.get(contact.id) is link and not link.claimed)
            or contact == entry.contact or contact.identity < entry.contact.identity
        ):  # fmt: skip
            return False
        check = link.waits
        if check is None:
            # Of its own rank, for who invents newcomers is not to delay the check of a death.
            check = self.checks.add(entry.contact, "somebody registers in its place", Rank.DOUBTED, self.seconds())
            if check is None:
                self._tryAgain(link, "too many are looked at first")
                return True
            if check.slot is None and check in self._timers:
                # It rests, having failed for this seed's own reasons; by the next try there may be an answer.
                self._tryAgain(link, "who is on the list cannot be asked now")
                return True
            link.waits = check
        self._newcomers.setdefault(check, {})[link] = message
        self._next()
        return True

    def _tryAgain(self, link: SeedProtocol, detail: str) -> None:
        """It cannot be seen now whether what somebody registers is to be believed."""
        self.counters["registrationsRefused"] += 1
        link.close(reasons.RATE, detail)

    def _decide(self, check: Check, lives: bool | None) -> None:
        """
        It is known whether a peer lives that others want to take the place of.

        @param lives: it answers where it listens, as who it is on the list; C{None} if this seed could not even ask.
        """
        for link, message in self._newcomers.pop(check, {}).items():
            link.waits = None
            if link.reason:
                continue
            if lives is None:
                self._tryAgain(link, "who is on the list cannot be asked now")
                continue
            if lives:
                self.counters["registrationsRefused"] += 1
                link.close(reasons.DUPLICATE, "who is on the list answers")
                continue
            contact = checkedContact(message.contact)
            entry = self.registry.get(contact.id)
            # By now that may be another newcomer, who has not been seen yet.
            asked = entry is not None and entry.contact == check.contact
            if asked or not self._doubt(message, link, contact):
                self._enrol(message, link, contact, self.seconds())

    def _enrol(self, message: Register, link: SeedProtocol, contact: Contact, now: float) -> None:
        """Believe a registration, unless it is that of an earlier life."""
        rival = self.registry.at(contact.address)
        before = self.registry.get(contact.id)
        former = before.contact if before is not None else None
        answer = self.registry.register(contact, now)
        if answer is Answer.FULL:
            self.counters["registrationsRefused"] += 1
            link.close(reasons.FULL, "the list is full")
            return
        if answer is Answer.STALE:
            self.counters["registrationsRefused"] += 1
            latest = self.registry.latest(contact.id)
            assert latest is not None
            link.send(Removed(latest, reasons.STALE))
            return
        self.counters["registrations"] += 1
        if not link.registered:
            link.claimed = answer is Answer.RENEWED
        link.contact = contact
        link.registered = True
        link.endAfter(None)
        earlier = self._registered.get(contact.id)
        self._registered[contact.id] = link
        if earlier is not None and earlier is not link:
            earlier.close(reasons.STALE, "registered again on another connection")
        link.send(
            Registered(
                self.settings.leaseInterval,
                len(self.registry),
                self.registry.sample(min(message.want, self.settings.maxSample), contact.id),
            )
        )
        if answer is Answer.RENEWED:
            tried = before is None or before.reachable is True or now - link.tried < self.settings.leaseInterval
            if not tried:
                link.tried = now
                self.check(contact, "not dialled with success before", Rank.NEW)
            return
        if former is not None:
            self._forget(former)
        self._log.info(
            "{peer} registered from {address} ({answer}), {active} active",
            peer=identityText(contact.identity), address=contact.address,
            answer=answer.value, active=len(self.registry),
        )  # fmt: skip
        self._events.emit("registered", peer=identityText(contact.identity), address=contact.address)
        self.check(contact, "new address", Rank.NEW)
        if rival is not None and rival.id != contact.id:
            self.check(rival.contact, "another peer registered at its address")

    def _dead(self, message: Dead, link: SeedProtocol, now: float) -> None:
        """A peer calls another dead."""
        if link.reason:
            return
        self.counters["reports"] += 1
        accused = message.contact
        reporter = link.contact.id
        entry = self.registry.get(accused.id)
        if not link.registered or accused.id == reporter or entry is None or entry.contact != accused:
            # Unregistered callers are nobody; what is not on the list needs no removal.  Nor does what is there under
            # another address: whoever found nobody at one that a liar had named is not to be called wrong for it.
            self.counters["reportsIgnored"] += 1
            return
        check = self.checks.get(entry.contact)
        if check is not None and reporter in check.reporters:
            # Said twice is not wrong twice.
            self.counters["reportsIgnored"] += 1
            return
        if not self.reports.opened(reporter, now):
            self.counters["reportsIgnored"] += 1
            self._log.debug("{peer} is not listened to", peer=identityText(link.contact.identity))
            return
        self._log.info(
            "{reporter} reports {peer} at {address} dead: {evidence}",
            reporter=identityText(link.contact.identity), peer=identityText(accused.identity),
            address=entry.contact.address, evidence=message.evidence,
        )  # fmt: skip
        self.check(entry.contact, f"reported dead by {identityText(link.contact.identity)}", reporter=reporter)

    def _ping(self, message: Ping, link: SeedProtocol, now: float) -> None:
        if link.registered:
            link.send(Pong(message.number))

    def _pong(self, message: Pong, link: SeedProtocol, now: float) -> None:
        """A peer that cannot be dialled answers over its own connection."""
        check = link.asked.pop(message.number, None) if link.asked is not None else None
        if check is not None:
            self._answered(check, Outcome(Verdict.ALIVE, link.contact))

    def linkEnded(self, link: Link, now: float) -> None:
        """A peer left, or its connection broke off, which is evidence."""
        super().linkEnded(link, now)
        if not isinstance(link, SeedProtocol):
            return
        if link.waits is not None:
            self._newcomers.get(link.waits, {}).pop(link, None)
            link.waits = None
        current = self._registered.get(link.contact.id) if link.registered else None
        if current is link:
            del self._registered[link.contact.id]
        asked, link.asked = link.asked, None
        for check in (asked or {}).values():
            if current is not None and current is not link:
                # Who connects anew lives.
                self._answered(check, Outcome(Verdict.ALIVE, current.contact))
            else:
                self._answered(check, Outcome(Verdict.SILENT, None, "its connection ended"))
        if current is not link or not self.accepting:
            return
        entry = self.registry.get(link.contact.id)
        if entry is None or entry.contact.identity != link.contact.identity:
            return
        if link.reason == reasons.LEAVING and not link.claimed:
            self._remove(entry, reasons.LEAVING, "said goodbye", now)
        else:
            self.check(entry.contact, f"its connection ended: {link.reason}")

    def closeAll(self, reason: str) -> Deferred[None]:
        """Say goodbye on every link, and wait for no check."""
        for timer in [*self._timers.values(), *self._laterLives.values()]:
            timer.cancel()
        self._timers.clear()
        self._laterLives.clear()
        return super().closeAll(reason)

    # Checks.

    def check(self, contact: Contact, why: str, rank: Rank | None = None, reporter: bytes | None = None) -> None:
        """
        See whether a peer lives, and remove it if it does not.

        @param rank: C{None} if something speaks against it.
        @param reporter: the id of who says that it is dead.
        """
        if rank is None:
            entry = self.registry.get(contact.id)
            rank = Rank.LOST if entry is not None and entry.reachable is True else Rank.DOUBTED
        check = self.checks.add(contact, why, rank, self.seconds())
        if check is None:
            self.counters["checksDropped"] += 1
            if reporter is not None:
                self.reports.closed(reporter, False, self.seconds())
            return
        if reporter is not None:
            check.reporters[reporter] = None
        self._next()

    def _next(self) -> None:
        if self._starting:
            # A check that ended as soon as it began: the loop below goes on.
            return
        self._starting = True
        try:
            while self.accepting and (check := self.checks.begin(self.seconds())) is not None:
                self.counters["checks"] += 1
                entry = self.registry.get(check.contact.id)
                link = self._registered.get(check.contact.id)
                if check.doubted and entry is not None and entry.reachable is False and link is not None:
                    self._ask(check, link)
                else:
                    asked = maybeDeferred(probe, self, check.contact)
                    asked.addErrback(self._failed).addCallback(partial(self._finish, check, True))
        finally:
            self._starting = False

    def _forget(self, contact: Contact) -> None:
        """A contact is off the list: what has not been asked about it need not be."""
        timer = self._laterLives.pop(contact, None)
        if timer is not None:
            timer.cancel()
        check = self.checks.forget(contact)
        if check is not None:
            self._cancel(check)
            self._judge(check, False)
            self._decide(check, False)

    def _cancel(self, check: Check) -> None:
        timer = self._timers.pop(check, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _ask(self, check: Check, link: SeedProtocol) -> None:
        """Ask over the peer's own connection, since it cannot be dialled."""
        self._pings += 1
        number = self._pings

        def unanswered() -> None:
            if link.asked is not None:
                link.asked.pop(number, None)
            self._answered(check, Outcome(Verdict.SILENT, None, "no answer over its connection"))

        if link.asked is None:
            link.asked = {}
        link.asked[number] = check
        self._timers[check] = self.reactor.callLater(self.settings.probeTimeout, unanswered)
        link.send(Ping(number))

    def _answered(self, check: Check, outcome: Outcome) -> None:
        """What was asked over a peer's own connection was answered, or not."""
        self._cancel(check)
        self._finish(check, False, outcome)

    def _resume(self, check: Check) -> None:
        """A check that could not even be tried is tried again."""
        del self._timers[check]
        self.checks.resume(check)
        self._next()

    def _failed(self, failure: Failure) -> Outcome:
        """Asking failed for a fault of this program, which says nothing of the peer."""
        self._log.failure("a check failed", failure)
        return Outcome(Verdict.UNSURE, None, failure.getErrorMessage())

    def _judge(self, check: Check, wrong: bool) -> None:
        """Tell of each reporter whether it was wrong."""
        for reporter in check.reporters:
            if self.reports.closed(reporter, wrong, self.seconds()):
                self.counters["reportersMuted"] += 1
                self._log.warn(
                    "{reporter} was wrong {count} times: not listened to for {seconds:g} s",
                    reporter=reporter.hex(), count=self.settings.falseReports, seconds=self.settings.muteTime,
                )  # fmt: skip

    def _finish(self, check: Check, dialled: bool, outcome: Outcome) -> None:
        """A question was answered: believe it, and go on to the next; a fault on the way takes no slot with it."""
        if not self.accepting:
            return
        try:
            self._conclude(check, dialled, outcome)
        except Exception:
            self._log.failure("the check of {peer} failed", peer=identityText(check.contact.identity))
            self.checks.end(check, None)
            self._decide(check, None)
        self._next()

    def _conclude(self, check: Check, dialled: bool, outcome: Outcome) -> None:
        """
        Do what an answer asks for.

        @param dialled: it is that of a fresh connection, not of the peer's own.
        """
        contact, verdict, found = check.contact, outcome.verdict, outcome.contact
        entry = self.registry.get(contact.id)
        # Over its connection anybody answers who has one: a dead peer's place is not to be held like that.
        lives = dialled and verdict is Verdict.ALIVE and (found is None or found.identity == contact.identity)
        same = entry is not None and entry.contact == contact
        if not lives or not same:
            self._decide(check, None if same and verdict is Verdict.UNSURE else False)
            entry = self.registry.get(contact.id)
        link = self._registered.get(contact.id)
        if entry is not None and entry.contact != contact:
            # It registered anew meanwhile.
            entry = None
        dead = verdict not in (Verdict.ALIVE, Verdict.UNSURE)
        if entry is not None and dead and dialled and link is not None and entry.reachable is not True:
            # Connected, but never dialled with success: its own connection is the one to ask.
            self._unreachable(entry, link, outcome)
            if check.doubted:
                self._ask(check, link)
                return
        next = self.checks.end(check, verdict if entry is not None else None)
        if next is Next.LATER:
            pause = self.settings.probeTimeout * 2 ** (check.tries - 1)
            self._timers[check] = self.reactor.callLater(pause, self._resume, check)
            return
        alive = verdict is Verdict.ALIVE and found is not None
        if entry is not None and dialled and alive and found is not None and found.address == contact.address:
            self.registry.reached(entry, True)
        if next is Next.AGAIN:
            return
        self._decide(check, True)
        # A later incarnation, or somebody who has no room to say who it is, proves no reporter wrong.
        self._judge(check, alive and found is not None and found.identity == contact.identity)
        if entry is None:
            return
        if dead and (check.doubted or link is None):
            self._remove(entry, reasons.DEAD, f"{check.why}; {verdict.value}: {outcome.detail}", self.seconds())
        elif dead and link is not None:
            self._unreachable(entry, link, outcome)
        elif check.doubted and alive and found is not None and found.identity != contact.identity:
            self._log.info(
                "{peer} has ended ({why}), but lives again, and is to register as that",
                peer=identityText(contact.identity), why=check.why,
            )  # fmt: skip
            self._awaitLaterLife(contact)
        elif check.doubted and verdict is Verdict.ALIVE:
            self._log.info("{peer} lives: {why}, but it answered", peer=identityText(contact.identity), why=check.why)
        elif check.doubted:
            self._log.warn(
                "{peer} could not be checked: {why}; {detail}; its lease will tell",
                peer=identityText(contact.identity), why=check.why, detail=outcome.detail,
            )  # fmt: skip

    def _awaitLaterLife(self, contact: Contact) -> None:
        """
        A peer that is on the list has ended, and a later life of it answered, which is about to register.

        If that has not come to pass after a while, it may be dead, too, and nobody would tell this seed so.
        """

        def look() -> None:
            del self._laterLives[contact]
            self.check(contact, "its later life has not registered")

        if contact not in self._laterLives:
            self._laterLives[contact] = self.reactor.callLater(2 * self.settings.probeTimeout, look)

    def _unreachable(self, entry: Entry, link: SeedProtocol, outcome: Outcome) -> None:
        """A connected peer cannot be dialled at the address it gave: keep it, but send nobody there."""
        if entry.reachable is False:
            return
        self.registry.reached(entry, False)
        self.counters["unreachable"] += 1
        self._log.warn(
            "{peer} cannot be dialled at {address}: {detail}; it is not handed out",
            peer=identityText(entry.contact.identity), address=entry.contact.address, detail=outcome.detail,
        )  # fmt: skip
        link.send(Unreachable(entry.contact.address, outcome.detail[:256]))

    def _remove(self, entry: Entry, reason: str, detail: str, now: float) -> None:
        """Take a peer off the list, and say so: in the log, to listeners, and to the peer if it is connected."""
        self.registry.remove(entry.id, now)
        self._removed(entry, reason, detail)

    def _removed(self, entry: Entry, reason: str, detail: str) -> None:
        self._forget(entry.contact)
        self.counters["removals"] += 1
        self._log.info(
            "{peer} at {address} removed ({reason}): {detail}; {active} active",
            peer=identityText(entry.contact.identity), address=entry.contact.address,
            reason=reason, detail=detail, active=len(self.registry),
        )  # fmt: skip
        self._events.emit(
            "removed", peer=identityText(entry.contact.identity), address=entry.contact.address,
            reason=reason, detail=detail,
        )  # fmt: skip
        link = self._registered.pop(entry.id, None)
        if link is not None:
            # Whoever is alive registers again; who is not should not keep a connection.
            link.registered = False
            link.endAfter(self.settings.handshakeTimeout)
            link.send(Removed(entry.contact.identity, reason))

    def expire(self) -> None:
        """Remove those whose lease ran out, and cut off those who have not read for too long."""
        now = self.seconds()
        slowTimeout = self.settings.slowTimeout
        # What others took while this process slept, it has not been told yet.
        slept, self._expired = now - self._expired > max(2.0, slowTimeout), now
        for link in [] if slept else self.links:
            if link.pausedSince is not None and now - link.pausedSince > slowTimeout:
                self._log.warn("{link} does not read: cut off with {bytes} bytes unsent", link=link, bytes=link.backlog)
                link.abort(reasons.SLOW, "does not read")
        for entry in self.registry.expire(now):
            self._removed(entry, reasons.EXPIRED, f"not renewed since {now - entry.lastSeen:.1f} s")
        self.reports.forget(now)
