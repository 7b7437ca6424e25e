"""
The service that runs a seed: its identity, its port, its list on the disk, its periodic jobs.

What it says and does on its connections is in L{p2p.seed.factory}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from zope.interface import implementer

from p2p.address import Address
from p2p.events import SEED_EVENTS
from p2p.identity import identityText, idOf, incarnationOf, makeIdentity
from p2p.interfaces import INode, ISeedStore
from p2p.node import NodeService, NotRunning
from p2p.seed.checks import Rank
from p2p.seed.factory import SeedFactory
from p2p.seed.registry import Registry
from p2p.settings import SeedSettings


@implementer(INode)
class SeedService(NodeService):
    """
    A running seed.

    @ivar identity: its 16 bytes; none before it is started.
    @ivar events: what happens: C{registered}, C{removed}.
    """

    role = "seed"
    kept = "the list"
    saveInterval = 1.0

    settings: SeedSettings
    factory: SeedFactory

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
        @param host: the address to listen on, if it is not that of the entry (say C{0.0.0.0}, for all of
            IPv4, or C{::}, for all on most systems).
        @param port: the port to listen on, if it is not that of the entry (behind a forwarded one, say).
        @param random: where chance comes from; the system's by default.
        @param store: where the list outlives this process; C{None} for nowhere.
        """
        super().__init__(reactor, host or address.host, port or address.port, random, store, SEED_EVENTS)
        self.settings = settings
        self.address = address
        self.registry = Registry(settings.leaseInterval, settings.maxPeers, self.random)
        self.identity = b""

    def makeFactory(self, now: float) -> SeedFactory:
        """Read the list, and who this seed is."""
        saved, entries = self._store.load() if self._store is not None else (None, [])
        id = idOf(saved) if saved else self.random.getrandbits(64).to_bytes(8, "big")
        incarnation = max(incarnationOf(saved) + 1 if saved else 1, int(now * 1000))
        self.identity = makeIdentity(id, incarnation)
        self.registry.resume(entries, now)
        return SeedFactory(self._reactor, self.settings, self.identity, self.address, self.registry, self.events)

    def listening(self) -> None:
        """See L{NodeService}."""
        self._log.info(
            "seed {seed} listens on {where}; {active} on the list",
            seed=identityText(self.identity), where=self.whereabouts(self.address), address=str(self.address),
            active=len(self.registry),
        )  # fmt: skip

    def begin(self) -> None:
        """Look whether those on the list are still there."""
        for entry in list(self.registry):
            if entry.reachable is False:
                # Dialling it would tell nothing; it comes back by itself, or its lease runs out.
                continue
            self.factory.check(entry.contact, "on the list from before this seed's start", Rank.DOUBTED)
        self._timers.start("expire", min(1.0, self.settings.leaseInterval / 4), self.factory.expire)

    def keep(self) -> None:
        """Keep what has changed on the list."""
        if self._store is None:
            return
        changed, removed = self.registry.takeChanges()
        try:
            self._store.save(self.identity, changed, removed)
        except Exception:
            self.registry.returnChanges(changed, removed)
            raise

    def closed(self) -> None:
        """Close the store too."""
        if self._store is not None:
            self._store.close()

    def status(self) -> dict[str, Any]:
        """
        See L{INode}.

        @raise NotRunning: this seed was never started.
        """
        if not self.identity:
            raise NotRunning("this seed was not started")
        muted = self.factory.reports.muted(self._reactor.seconds())
        return self.describe(self.address, {"active": len(self.registry), "mutedReporters": muted})

    def peers(self) -> dict[str, Any]:
        """The active peers, see docs/operations.md."""
        return {
            "time": self._reactor.seconds(),
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
            ],
        }
