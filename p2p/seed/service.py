"""
The service that runs a seed: its identity, its port, its list on the disk, its periodic jobs.

What it says and does on its connections is in L{p2p.seed.factory}.
"""

from __future__ import annotations

from random import Random, SystemRandom
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from zope.interface import implementer

from p2p.address import Address
from p2p.events import SEED_EVENTS, Events
from p2p.identity import identityText, idOf, incarnationOf, makeIdentity
from p2p.interfaces import INode, ISeedStore
from p2p.listening import listen
from p2p.seed.checks import Rank
from p2p.seed.factory import SeedFactory
from p2p.seed.registry import Registry
from p2p.settings import SeedSettings
from p2p.timers import Timers
from p2p.wire import reasons

SAVE_INTERVAL = 1.0
"""How long a change of the list may wait to be kept on disk, in seconds."""


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
        self.events = Events(reactor.seconds, SEED_EVENTS)
        self._reactor = reactor
        self._host = host or address.host
        self._wanted = port or address.port
        self._random = random or SystemRandom()
        self._store = store
        self._timers = Timers(reactor, self._random)
        self._port: IListeningPort | None = None
        self.registry = Registry(settings.leaseInterval, settings.maxPeers, self._random)
        self._started = 0.0
        self._saveFailed = False
        self.factory: SeedFactory
        self.identity = b""

    def privilegedStartService(self) -> None:
        """
        Read the list and listen.

        @raise CannotListenError: the address is taken, or is not this machine's.
        """
        now = self._reactor.seconds()
        saved, entries = self._store.load() if self._store is not None else (None, [])
        id = idOf(saved) if saved else self._random.getrandbits(64).to_bytes(8, "big")
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
            self.factory.check(entry.contact, "on the list from before this seed's start", Rank.DOUBTED)
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
        self._save()
        closing: list[Deferred[Any]] = [maybeDeferred(port.stopListening), self.factory.closeAll(reasons.LEAVING)]
        return DeferredList(closing, consumeErrors=True).addCallback(lambda _: self._closeStore())

    def status(self) -> dict[str, Any]:
        """See L{INode}."""
        return {
            "role": self.role,
            "id": idOf(self.identity).hex(),
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
            if not self._saveFailed:
                self._log.error("the list cannot be kept: {error}; trying on", error=str(error))
            self._saveFailed = True
        else:
            if self._saveFailed:
                self._log.info("the list is kept again")
            self._saveFailed = False

    def _closeStore(self) -> None:
        if self._store is not None:
            self._store.close()
