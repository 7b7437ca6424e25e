"""
Tests for L{p2p.daemon.store}.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable
from typing import Any

from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.daemon.store import PeerStateFile, SeedDatabase
from p2p.identity import makeIdentity
from p2p.interfaces import IPeerStore, ISeedStore
from p2p.peer.memory import PeerMemory
from p2p.seed.registry import Entry
from p2p.wire.messages import Contact


def contact(number: int, incarnation: int = 1) -> Contact:
    """Some peer."""
    return Contact(makeIdentity(number.to_bytes(8, "big"), incarnation), f"127.0.0.1:{6000 + number}")


def entry(number: int, incarnation: int = 1, reachable: bool | None = True) -> Entry:
    """Some peer on a list."""
    return Entry(contact(number, incarnation), 100.0 + number, 200.0 + number, reachable)


def fields(entries: Iterable[Entry]) -> list[tuple[object, ...]]:
    """Entries as they can be compared."""
    return sorted((e.contact.identity, e.contact.address, e.since, e.lastSeen, e.reachable) for e in entries)


class StoreCase(SynchronousTestCase):
    """A directory, and what is logged."""

    def setUp(self) -> None:
        """Make them."""
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.logged: list[LogEvent] = []
        observer: Any = self.logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def path(self, name: str) -> str:
        """A path in it."""
        return os.path.join(self.directory, name)

    def warnings(self) -> int:
        """How often a file was put aside, says the log."""
        found = [event for event in self.logged if event.get("log_namespace") == "p2p.daemon.store"]
        self.logged.clear()
        return len(found)


class PeerStateFileTests(StoreCase):
    """A peer's memory as a file."""

    memory = PeerMemory(b"\x00\xffpeer\x01\x02", 2**62, [contact(1), contact(2, 2**63)])

    def setUp(self) -> None:
        """A store without a file yet."""
        super().setUp()
        self.store = PeerStateFile(self.path("peer-6001.state"))

    def test_itIsAPeerStore(self) -> None:
        """As the interface says."""
        verifyObject(IPeerStore, self.store)

    def test_atTheFirstStartThereIsNothing(self) -> None:
        """And that is no fault."""
        self.assertIsNone(self.store.load())
        self.assertEqual(self.warnings(), 0)

    def test_whatWasSavedIsLoaded(self) -> None:
        """All of it."""
        self.store.save(self.memory)
        self.assertEqual(self.store.load(), self.memory)
        self.assertEqual(os.listdir(self.directory), ["peer-6001.state"])

    def test_aLaterSaveReplacesAnEarlierOne(self) -> None:
        """Whole."""
        self.store.save(self.memory)
        self.store.save(PeerMemory(b"12345678", 1, []))
        self.assertEqual(self.store.load(), PeerMemory(b"12345678", 1, []))

    def test_aFileCutAtAnyByteIsPutAsideWithAWarning(self) -> None:
        """No part of a file is taken for the whole, and nothing is raised."""
        self.store.save(self.memory)
        path = self.path("peer-6001.state")
        with open(path, "rb") as file:
            whole = file.read()
        for size in range(len(whole) - 1):
            with open(path, "wb") as file:
                file.write(whole[:size])
            if size >= len(whole.rstrip()):
                continue
            self.assertIsNone(self.store.load(), whole[:size])
            self.assertEqual(self.warnings(), 1)
            with open(path + "-damaged", "rb") as file:
                self.assertEqual(file.read(), whole[:size])
            self.assertFalse(os.path.exists(path))

    def test_whatIsNotWhatWasWrittenIsPutAside(self) -> None:
        """JSON of another kind, an address that is none, bytes, more lists in one another than are read."""
        for text in (
            b"[]",
            b'{"id": "00", "incarnation": 1, "known": []}',
            b'{"id": "0011223344556677", "incarnation": -1, "known": []}',
            b'{"id": "0011223344556677", "incarnation": 9223372036854775808, "known": []}',
            b'{"id": "0011223344556677", "incarnation": 1, "known": [{"identity": "' + b"0" * 32
            + b'", "address": "somewhere"}]}',
            b"\xff\xfe",
            b'{"id": "0011223344556677", "incarnation": 1, "known": [], "x": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        ):  # fmt: skip
            with open(self.path("peer-6001.state"), "wb") as file:
                file.write(text)
            self.assertIsNone(self.store.load())
            self.assertEqual(self.warnings(), 1)

    def test_aSaveThatFailsLeavesWhatWasThere(self) -> None:
        """At whichever step: opening, writing, syncing, renaming."""
        self.store.save(self.memory)

        def fail(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        for step in ("open", "fsync", "replace"):
            patched = self.patch(os, step, fail)
            self.assertRaises(OSError, self.store.save, PeerMemory(b"12345678", 1, []))
            patched.restore()
            self.assertEqual(self.store.load(), self.memory)
            self.assertEqual(os.listdir(self.directory), ["peer-6001.state"])

    def test_aCrashBetweenTheStepsLeavesWhatWasThere(self) -> None:
        """The new file is complete on the disk before it takes the old one's name."""
        self.store.save(self.memory)
        steps: list[tuple[str, PeerMemory | None]] = []
        for step in ("fsync", "replace"):
            real = getattr(os, step)

            def crashPoint(*arguments: object, step: str = step, real: object = real) -> None:
                copy = self.path("copy.state")
                shutil.copy(self.path("peer-6001.state"), copy)
                steps.append((step, PeerStateFile(copy).load()))
                os.unlink(copy)
                real(*arguments)  # type: ignore[operator]

            self.patch(os, step, crashPoint)
        self.store.save(PeerMemory(b"12345678", 1, []))
        after = PeerMemory(b"12345678", 1, [])
        self.assertEqual(
            steps, [("fsync", self.memory), ("replace", self.memory), ("fsync", after)]
        )


class SeedDatabaseTests(StoreCase):
    """A seed's list as a database."""

    identity = makeIdentity(b"seedseed", 7)

    def setUp(self) -> None:
        """A store without a file yet."""
        super().setUp()
        self.store = self.open("seed-5000.db")

    def open(self, name: str) -> SeedDatabase:
        """A store that is closed in the end."""
        store = SeedDatabase(self.path(name))
        self.addCleanup(store.close)
        return store

    def test_itIsASeedStore(self) -> None:
        """As the interface says."""
        verifyObject(ISeedStore, self.store)

    def test_atTheFirstStartThereIsNothing(self) -> None:
        """And that is no fault."""
        self.assertEqual(self.store.load(), (None, []))
        self.assertEqual(self.warnings(), 0)

    def test_whatWasSavedIsLoaded(self) -> None:
        """After the seed has ended, and whatever a check has shown of a peer."""
        entries = [entry(1), entry(2, reachable=False), entry(3, 2**64 - 1, reachable=None)]
        self.store.load()
        self.store.save(self.identity, entries, [])
        self.store.close()
        identity, loaded = self.open("seed-5000.db").load()
        self.assertEqual(identity, self.identity)
        self.assertEqual(fields(loaded), fields(entries))

    def test_whoRemovesItIsTold(self) -> None:
        """As of any save that fails, and the next begins a new one."""
        self.store.load()
        self.store.save(self.identity, [entry(1)], [])
        for name in os.listdir(self.directory):
            os.unlink(self.path(name))
        error = self.assertRaises(OSError, self.store.save, self.identity, [entry(2)], [])
        self.assertEqual(str(error), f"{self.path('seed-5000.db')} was removed")
        self.store.save(self.identity, [entry(2)], [])
        self.store.close()
        identity, loaded = self.open("seed-5000.db").load()
        self.assertEqual((identity, fields(loaded)), (self.identity, fields([entry(2)])))

    def test_changesAreAppliedToWhatIsThere(self) -> None:
        """New ones come, others change or go."""
        self.store.load()
        self.store.save(self.identity, [entry(1), entry(2)], [])
        later = makeIdentity(b"seedseed", 8)
        self.store.save(later, [entry(2, 5), entry(3)], [entry(1).id, b"nobody.."])
        self.store.close()
        identity, loaded = self.open("seed-5000.db").load()
        self.assertEqual(identity, later)
        self.assertEqual(fields(loaded), fields([entry(2, 5), entry(3)]))

    def test_aSeedThatCrashesLosesNothingThatWasSaved(self) -> None:
        """The files as they are while it runs hold everything, without an orderly end."""
        self.store.load()
        for number in range(1, 6):
            self.store.save(self.identity, [entry(number)], [entry(number - 2).id] if number > 2 else [])
            loaded = self.crashedCopy(None)[1]
            self.assertEqual(fields(loaded), fields([entry(n) for n in (number - 1, number) if n > 0]))

    def test_aCrashAtAnyByteLeavesTheListBeforeOrAfterAChange(self) -> None:
        """Wherever the write-ahead file ends, what is read is one of the states that were saved."""
        self.store.load()
        states = [fields([])]
        for number in range(1, 5):
            # One goes, one comes and one stays: half of that is none of the states.
            self.store.save(self.identity, [entry(number), entry(9)], [entry(number - 1).id])
            states.append(fields([entry(number), entry(9)]))
        size = os.path.getsize(self.path("seed-5000.db-wal"))
        reached = set()
        # A header of 32 bytes, then frames, each a page of 4096 behind its own header of 24: the bytes around each end
        # of these, and some between.
        ends = {
            place
            for frame in range(32, size + 1, 4120)
            for end in (frame, frame + 24)
            for place in range(end - 2, end + 3)
        }
        for length in sorted((ends | set(range(0, size, 997)) | set(range(size - 8, size + 1))) & set(range(size + 1))):
            identity, loaded = self.crashedCopy(length)
            self.assertIn(fields(loaded), states, length)
            self.assertIn(identity, (None, self.identity))
            reached.add(states.index(fields(loaded)))
        self.assertEqual(reached, set(range(5)))
        self.assertEqual(self.warnings(), 0)

    def crashedCopy(self, length: int | None) -> tuple[bytes | None, list[Entry]]:
        """What a seed would load that finds the files as they are, the write-ahead one cut at C{length}."""
        for suffix in ("", "-wal"):
            shutil.copy(self.path("seed-5000.db" + suffix), self.path("copy.db" + suffix))
        if length is not None:
            os.truncate(self.path("copy.db-wal"), length)
        store = SeedDatabase(self.path("copy.db"))
        try:
            return store.load()
        finally:
            store.close()
            for suffix in ("", "-wal"):
                if os.path.exists(self.path("copy.db" + suffix)):
                    os.unlink(self.path("copy.db" + suffix))

    def test_aChangeThatFailsInTheMiddleIsNotKept(self) -> None:
        """All of it or nothing."""
        self.store.load()
        self.store.save(self.identity, [entry(1)], [])
        broken = entry(2)
        broken.since = None  # type: ignore[assignment]
        self.assertRaises(OSError, self.store.save, self.identity, [entry(3), broken], [entry(1).id])
        self.store.save(self.identity, [entry(4)], [])
        self.assertEqual(fields(self.crashedCopy(None)[1]), fields([entry(1), entry(4)]))

    def test_aDamagedDatabaseIsPutAsideWithAWarning(self) -> None:
        """The seed starts with an empty list, which fills by itself, and saves again."""
        self.store.load()
        self.store.save(self.identity, [entry(number) for number in range(1, 200)], [])
        self.store.close()
        path = self.path("seed-5000.db")
        with open(path, "rb") as file:
            whole = file.read()
        self.assertGreaterEqual(len(whole), 6 * 4096)
        damages = {
            "no database at all": b"nothing of the kind" * 300,
            "a page overwritten": whole[:4096] + b"\xaa" * 4096 + whole[8192:],
            "its head overwritten": b"\x00" * 100 + whole[100:],
            "cut": whole[: len(whole) // 2],
            "two pages swapped": whole[: 4 * 4096] + whole[5 * 4096 : 6 * 4096] + whole[4 * 4096 : 5 * 4096]
            + whole[6 * 4096 :],
        }
        for what, data in damages.items():
            with open(path, "wb") as file:
                file.write(data)
            store = self.open("seed-5000.db")
            self.assertEqual(store.load(), (None, []), what)
            self.assertEqual(self.warnings(), 1, what)
            with open(path + "-damaged", "rb") as file:
                self.assertEqual(file.read(), data, what)
            store.save(self.identity, [entry(1)], [])
            store.close()
            again = self.open("seed-5000.db")
            self.assertEqual(fields(again.load()[1]), fields([entry(1)]), what)
            again.close()

    def test_aDatabaseThatCouldNotBeOpenedIsNotTakenForOne(self) -> None:
        """Saving opens it again, from the beginning, and makes its tables if need be."""
        store = self.open("seed-5000.db")
        other = sqlite3.connect(self.path("seed-5000.db"), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        self.assertRaises(OSError, store.load)
        self.assertRaises(OSError, store.save, self.identity, [entry(1)], [])
        self.assertIsNone(store._database)
        other.execute("ROLLBACK")
        other.close()
        store.save(self.identity, [entry(1)], [])
        store.close()
        again = self.open("seed-5000.db")
        self.assertEqual(fields(again.load()[1]), fields([entry(1)]))
        again.close()

    def test_aDatabaseOfSomethingElseIsPutAside(self) -> None:
        """Its tables are not the seed's, or a later version's."""
        for statement in ("CREATE TABLE other (a)", "PRAGMA user_version = 99"):
            database = sqlite3.connect(self.path("seed-5000.db"))
            database.execute(statement)
            database.close()
            store = self.open("seed-5000.db")
            self.assertEqual(store.load(), (None, []))
            self.assertEqual(self.warnings(), 1)
            store.close()
            os.unlink(self.path("seed-5000.db"))

    def test_aDatabaseWithValuesThatNobodyWroteIsPutAside(self) -> None:
        """Of another type or length, beyond what can be, or no text: SQLite itself finds nothing wrong with them."""
        for statement in (
            "UPDATE peers SET address = CAST(address AS BLOB)",
            "UPDATE peers SET address = CAST(x'ff31' AS TEXT)",
            "UPDATE peers SET address = 'somewhere'",
            "UPDATE peers SET since = 'abc'",
            "UPDATE peers SET since = 9e999",
            "UPDATE peers SET lastSeen = x'01'",
            "UPDATE peers SET reachable = 'abc'",
            "UPDATE peers SET identity = x'01'",
            "UPDATE peers SET id = CAST('12345678' AS TEXT)",
            "UPDATE seed SET identity = 'abc'",
            "UPDATE seed SET identity = CAST(x'ff' AS TEXT)",
            "UPDATE seed SET identity = 'sixteen letters.'",
            "UPDATE seed SET identity = x'01'",
            "UPDATE seed SET identity = x'ffffffffffffffffffffffffffffffff'",
        ):
            store = self.open("seed-5000.db")
            store.load()
            store.save(self.identity, [entry(1)], [])
            store.close()
            database = sqlite3.connect(self.path("seed-5000.db"), isolation_level=None)
            database.execute(statement)
            database.close()
            store = self.open("seed-5000.db")
            self.assertEqual(store.load(), (None, []), statement)
            self.assertEqual(self.warnings(), 1, statement)
            store.close()

    def test_aDatabaseThatIsInUseIsNotDamaged(self) -> None:
        """It is left where it is."""
        self.store.load()
        self.store.save(self.identity, [entry(1)], [])
        self.assertRaises(OSError, self.open("seed-5000.db").load)
        self.assertEqual(self.warnings(), 0)
        self.assertEqual(fields(self.crashedCopy(None)[1]), fields([entry(1)]))

    def test_aDirectoryThatIsGoneIsAnError(self) -> None:
        """Of the kind that the interface names."""
        self.assertRaises(OSError, SeedDatabase("/nowhere/at/all.db").load)
        self.assertRaises(OSError, SeedDatabase("/nowhere/at/all.db").save, self.identity, [], [])
