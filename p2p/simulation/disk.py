"""
The stores of a node on a simulated host: they keep in the host's disk what the daemons keep in files.

A disk survives crashes and restarts of its host, as in L{p2p.simulation.host}.
What is put there is copied, as it is by a real disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from zope.interface import implementer

from p2p.interfaces import IPeerStore, ISeedStore
from p2p.peer.memory import PeerMemory
from p2p.seed.registry import Entry


@implementer(IPeerStore)
class PeerDisk:
    """A peer's memory on its host's disk."""

    def __init__(self, disk: dict[Any, Any]) -> None:
        self._disk = disk

    def load(self) -> PeerMemory | None:
        """See L{IPeerStore}."""
        kept: PeerMemory | None = self._disk.get("peer")
        return None if kept is None else attrs.evolve(kept, known=list(kept.known))

    def save(self, memory: PeerMemory) -> None:
        """See L{IPeerStore}."""
        self._disk["peer"] = attrs.evolve(memory, known=list(memory.known))


@implementer(ISeedStore)
class SeedDisk:
    """A seed's list on its host's disk."""

    def __init__(self, disk: dict[Any, Any]) -> None:
        self._disk = disk

    def load(self) -> tuple[bytes | None, list[Entry]]:
        """See L{ISeedStore}."""
        entries: dict[bytes, Entry] = self._disk.get("entries", {})
        return self._disk.get("seed"), [attrs.evolve(entry) for entry in entries.values()]

    def save(self, identity: bytes, changed: Iterable[Entry], removed: Iterable[bytes]) -> None:
        """See L{ISeedStore}."""
        self._disk["seed"] = identity
        entries: dict[bytes, Entry] = self._disk.setdefault("entries", {})
        for id in removed:
            entries.pop(id, None)
        for entry in changed:
            entries[entry.id] = attrs.evolve(entry)

    def close(self) -> None:
        """See L{ISeedStore}."""
