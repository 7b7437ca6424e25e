"""
A seed: a L{LinkFactory} that peers register with, and the service that runs it.

What a seed knows is in L{Registry}; what it believes of reports, in
L{Reports}.  Here is what it does about them: it answers registrations, and it
I{checks}, by dialling the peer itself,

 - every new address, so that nobody is sent to one that does not answer;
 - every peer that is reported dead, or whose connection broke off.

There is one check of a contact at a time, however many ask for it.  A peer
that cannot be dialled at all (it is behind a firewall, say) but is connected
is asked over its connection before it is given up, and is dialled again once
a lease, for it may have become reachable.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from random import Random, SystemRandom
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.logger import Logger
from zope.interface import implementer

from p2p.address import Address
from p2p.events import Events
from p2p.identity import ID_SIZE, identityText, incarnationOf, makeIdentity
from p2p.interfaces import INode, ISeedStore
from p2p.listening import listen
from p2p.rate import RateLimit
from p2p.seed.registry import Answer, Entry, Registry
from p2p.seed.reports import Reports
from p2p.settings import SeedSettings
from p2p.timers import Timers
from p2p.wire import reasons
from p2p.wire.codec import OVERHEAD
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.factory import REGISTER, LinkFactory, checkedAddress
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

SAVE_INTERVAL = 1.0
"""How long a change of the list may wait to be kept on disk, in seconds."""


class SeedProtocol(Link):
    """
    A peer's connection to a seed.

    @ivar registered: the peer registered on it and has not been removed since.
    @ivar tried: when a peer that could not be dialled was last tried again.
    @ivar asked: the checks that wait for the answer to a L{Ping}, by its number.
    """

    registered = False
    tried = float("-inf")
    asked: dict[int, Check] | None = None


@attrs.define(eq=False)
class Check:
    """
    A peer that is being dialled to see whether it lives.

    @ivar why: what raised the question, for the log.
    @ivar reporters: who called it dead, by id.
    @ivar doubted: somebody or something says that it is dead; else this is but a new address.
    @ivar timer: runs while the peer is asked over its own connection.
    """

    contact: Contact
    why: str
    doubted: bool
    reporters: dict[bytes, SeedProtocol] = attrs.field(factory=dict)
    timer: IDelayedCall | None = None


class SeedFactory(LinkFactory):
    """Takes registrations and reports; see the module's text."""

    _log = Logger()
    settings: SeedSettings
    linkType = SeedProtocol

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
        self._checks: dict[Contact, Check] = {}
        # Those that have not begun.
        self._queue: OrderedDict[Contact, Check] = OrderedDict()
        self._checking = 0
        self._starting = False
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
            self.welcome(link, hello, self._handlers, OVERHEAD)
            link.endAfter(self.settings.handshakeTimeout)
            self._log.info("{peer} connected from {where}", peer=identityText(hello.contact.identity), where=link.where)

    def _register(self, message: Register, link: SeedProtocol, now: float) -> None:
        """A peer is active, or still is."""
        if link.reason:
            # It came behind what ended the connection.
            return
        contact = message.contact
        checkedAddress(contact)
        if contact.id != link.contact.id:
            raise RemoteProtocolError(reasons.MALFORMED, "registers another id than its own")
        if not self._rate.allow(link.transport.getPeer().host, now):
            self.counters["registrationsRefused"] += 1
            link.close(reasons.RATE, "too many registrations")
            return
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
            if before is not None and before.reachable is False and now - link.tried >= self.settings.leaseInterval:
                link.tried = now
                self.check(contact, "could not be dialled before", doubted=False)
            return
        if former is not None:
            self._forget(former)
        self._log.info(
            "{peer} registered from {address} ({answer}), {active} active",
            peer=identityText(contact.identity), address=contact.address,
            answer=answer.value, active=len(self.registry),
        )  # fmt: skip
        self._events.emit("registered", peer=identityText(contact.identity), address=contact.address)
        self.check(contact, "new address", doubted=False)
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
        if not link.registered or accused.id == reporter or entry is None or entry.contact.identity != accused.identity:
            # Unregistered callers are nobody; what is not on the list needs no removal.
            self.counters["reportsIgnored"] += 1
            return
        check = self._checks.get(entry.contact)
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
        self.check(entry.contact, f"reported dead by {identityText(link.contact.identity)}", (reporter, link))

    def _ping(self, message: Ping, link: SeedProtocol, now: float) -> None:
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
        if link.reason == reasons.LEAVING:
            self._remove(entry, reasons.LEAVING, "said goodbye", now)
        else:
            self.check(entry.contact, f"its connection ended: {link.reason}")

    # Checks.

    def check(
        self, contact: Contact, why: str, reporter: tuple[bytes, SeedProtocol] | None = None, doubted: bool = True
    ) -> None:
        """
        See whether a peer lives, and remove it if it does not.

        @param reporter: who says that it is dead.
        @param doubted: false for a new address that nothing speaks against.
        """
        check = self._checks.get(contact)
        if check is None:
            check = self._checks[contact] = self._queue[contact] = Check(contact, why, doubted)
        elif doubted:
            check.doubted = True
            check.why = why
        if reporter is not None:
            check.reporters[reporter[0]] = reporter[1]
        self._next()

    def _next(self) -> None:
        if self._starting:
            # A check that ended as soon as it began: the loop below goes on.
            return
        self._starting = True
        try:
            while self._queue and self._checking < self.settings.maxChecks and self.accepting:
                contact, check = self._queue.popitem(last=False)
                self.counters["checks"] += 1
                self._checking += 1
                entry = self.registry.get(contact.id)
                link = self._registered.get(contact.id)
                if check.doubted and entry is not None and entry.reachable is False and link is not None:
                    self._ask(check, link)
                else:
                    probe(self, contact).addCallback(partial(self._finish, check))
        finally:
            self._starting = False

    def _forget(self, contact: Contact) -> None:
        """A contact is off the list: what has not been asked about it need not be."""
        check = self._queue.pop(contact, None)
        if check is not None:
            del self._checks[contact]
            self._judge(check, False)

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
        check.timer = self.reactor.callLater(self.settings.probeTimeout, unanswered)
        link.send(Ping(number))

    _pings = 0

    def _answered(self, check: Check, outcome: Outcome) -> None:
        """What was asked over a peer's own connection was answered, or not."""
        if check.timer is not None and check.timer.active():
            check.timer.cancel()
        self._finish(check, outcome)

    def _judge(self, check: Check, wrong: bool) -> None:
        """Tell of each reporter whether it was wrong."""
        for reporter, link in check.reporters.items():
            if self.reports.closed(reporter, wrong, self.seconds()):
                self.counters["reportersMuted"] += 1
                self._log.warn(
                    "{reporter} was wrong {count} times: not listened to for {seconds} s",
                    reporter=identityText(link.contact.identity), count=self.settings.falseReports,
                    seconds=self.settings.muteTime,
                )  # fmt: skip

    def _finish(self, check: Check, outcome: Outcome) -> None:
        """A check is done: believe it."""
        if not self.accepting:
            return
        contact = check.contact
        entry = self.registry.get(contact.id)
        link = self._registered.get(contact.id)
        verdict = outcome.verdict
        current = entry is not None and entry.contact == contact
        alive = verdict in (Verdict.ALIVE, Verdict.UNSURE)
        dialled = check.timer is None
        if entry is not None and current and not alive and link is not None and dialled and entry.reachable is not True:
            # Connected, but never dialled with success: its own connection is the one to ask.
            self._unreachable(entry, link, outcome)
            if check.doubted:
                self._ask(check, link)
                return
        self._checking -= 1
        del self._checks[contact]
        # A later incarnation, or somebody who has no room to say who it is, proves no reporter wrong.
        found = outcome.contact
        self._judge(check, verdict is Verdict.ALIVE and found is not None and found.identity == contact.identity)
        if entry is None or not current:
            # It left or registered anew meanwhile: what was asked is no longer the question.
            pass
        elif alive:
            if dialled and found is not None and found.address == contact.address:
                self.registry.reached(entry, True)
            if check.doubted:
                self._log.info(
                    "{peer} lives: {why}, but it answered", peer=identityText(contact.identity), why=check.why
                )
        elif check.doubted or link is None:
            self._remove(entry, reasons.DEAD, f"{check.why}; {verdict.value}: {outcome.detail}", self.seconds())
        else:
            self._unreachable(entry, link, outcome)
        self._next()

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
        """Remove those whose lease ran out."""
        now = self.seconds()
        for entry in self.registry.expire(now):
            self._removed(entry, reasons.EXPIRED, f"not renewed since {now - entry.lastSeen:.1f} s")
        self.reports.forget(now)


@implementer(INode)
class SeedService(Service):
    """
    A running seed.

    @ivar identity: its 16 bytes.
    @ivar events: what happens: C{registered}, C{removed}.
    """

    _log = Logger()
    role = "seed"

    def __init__(
        self,
        reactor: Any,
        settings: SeedSettings,
        address: Address,
        *,
        host: str | None = None,
        port: int | None = None,
        random: Random | None = None,
        store: ISeedStore | None = None,
    ) -> None:
        """
        @param address: the seed's entry in config.txt, where others find it.
        @param host: the address to listen on, if it is not that of the entry (C{0.0.0.0}, say).
        @param port: the port to listen on, if it is not that of the entry (behind a forwarded one, say).
        @param random: where chance comes from; the system's by default.
        @param store: where the list outlives this process; C{None} for nowhere.
        """
        self.settings = settings
        self.address = address
        self.events = Events(reactor.seconds)
        self._reactor = reactor
        self._host = host or address.host
        self._wanted = port or address.port
        self._random = random or SystemRandom()
        self._store = store
        self._timers = Timers(reactor, self._random)
        self._port: IListeningPort | None = None
        self.registry = Registry(settings.leaseInterval, settings.maxPeers, self._random)
        self.factory: SeedFactory
        self.identity = b""

    def privilegedStartService(self) -> None:
        """
        Read the list and listen.

        @raise CannotListenError: the address is taken, or is not this machine's.
        """
        now = self._reactor.seconds()
        saved, entries = self._store.load() if self._store is not None else (None, [])
        id = saved[:ID_SIZE] if saved else self._random.getrandbits(64).to_bytes(8, "big")
        incarnation = max(incarnationOf(saved) + 1 if saved else 1, int(now * 1000))
        self.identity = makeIdentity(id, incarnation)
        self.factory = SeedFactory(
            self._reactor, self.settings, self.identity, self.address, self.registry, self.events
        )
        self._port = listen(self._reactor, self._host, self._wanted, self.factory)
        self.factory.listening = self._port
        for entry in entries:
            # Time in which nobody could renew is not the peers' silence.
            entry.lastSeen = now
            self.registry.add(entry)
        self._started = now
        self._log.info(
            "seed {seed} listens on {address}, {active} peers on the list",
            seed=identityText(self.identity), address=str(self.address), active=len(self.registry),
        )  # fmt: skip

    def startService(self) -> None:
        """Begin to answer."""
        if self._port is None:
            self.privilegedStartService()
        super().startService()
        self._save()
        for entry in list(self.registry):
            if entry.reachable is False:
                # Dialling it would tell nothing; it comes back by itself, or its lease runs out.
                continue
            self.factory.check(entry.contact, "on the list from before this seed's start")
        self._timers.start("expire", min(1.0, self.settings.leaseInterval / 4), self.factory.expire)
        if self._store is not None:
            self._timers.start("save", SAVE_INTERVAL, self._save)

    def stopService(self) -> Deferred[None]:
        """Stop listening, say goodbye, keep the list."""
        super().stopService()
        self._timers.stopAll()
        port, self._port = self._port, None
        if port is None:
            # It never began to listen.
            self._closeStore()
            return succeed(None)
        port.stopListening()
        self._save()
        return self.factory.closeAll(reasons.LEAVING).addCallback(lambda _: self._closeStore())

    def status(self) -> dict[str, Any]:
        """See L{INode}."""
        return {
            "role": self.role,
            "id": self.identity[:ID_SIZE].hex(),
            "incarnation": incarnationOf(self.identity),
            "address": str(self.address),
            "network": self.settings.network,
            "uptime": self._reactor.seconds() - self._started,
            "counters": dict(self.factory.counters),
            "gauges": {
                "active": len(self.registry),
                "connections": self.factory.connections,
                "mutedReporters": self.factory.reports.muted(self._reactor.seconds()),
            },
        }

    def peers(self) -> dict[str, Any]:
        """The active peers: C{{"peers": [{"address", "id", "incarnation", "since", "lastSeen", "reachable"}]}}."""
        return {
            "peers": [
                {
                    "address": entry.contact.address,
                    "id": entry.id.hex(),
                    "incarnation": incarnationOf(entry.contact.identity),
                    "since": entry.since,
                    "lastSeen": entry.lastSeen,
                    "reachable": entry.reachable,
                }
                for entry in sorted(self.registry, key=lambda entry: entry.contact.address)
            ]
        }

    # Private.

    def _save(self) -> None:
        if self._store is None:
            return
        changed, removed = self.registry.takeChanges()
        try:
            self._store.save(self.identity, changed, removed)
        except OSError as error:
            self.registry.returnChanges(changed, removed)
            self.factory.counters["saveErrors"] += 1
            if not self._failing:
                self._log.error("the list cannot be kept: {error}; trying on", error=str(error))
            self._failing = True
        else:
            if self._failing:
                self._log.info("the list is kept again")
            self._failing = False

    _failing = False
    _started = 0.0

    def _closeStore(self) -> None:
        if self._store is not None:
            self._store.close()
