"""
What outlives a daemon, kept so that a crash at any byte leaves the state before or the state after.

A peer's is a small JSON file that is written anew and put in the old one's
place.  A seed's list may be long and changes bit by bit: a database.

What cannot be read any more is put aside under another name, for somebody to
look at, and the daemon starts as if there had been nothing: a peer gets a new
id, and a seed's list fills again within a lease.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Annotated

import msgspec
from twisted.logger import Logger
from zope.interface import implementer

from p2p.address import Address, AddressError
from p2p.identity import IDENTITY_SIZE, idOf, incarnationOf
from p2p.interfaces import IPeerStore, ISeedStore
from p2p.peer.memory import PeerMemory
from p2p.wire.messages import Contact

if TYPE_CHECKING:
    import sqlite3

    from p2p.seed.registry import Entry

_log = Logger()


def putAside(path: str, why: str) -> None:
    """
    Rename a file that cannot be read, in place of an earlier one, and say so.
    """
    aside = f"{path}-damaged"
    os.replace(path, aside)
    _log.warn(
        "{path} cannot be read ({why}): kept as {aside}, starting without it", path=path, why=why, aside=aside
    )


def syncDirectory(path: str) -> None:
    """Make a rename in a directory last through a power cut."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Known(msgspec.Struct):
    """A contact in a peer's file."""

    identity: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    address: str


_MAX_INCARNATION = 2**63
"""No node comes to it: an incarnation begins as the time in milliseconds, and each start takes the next."""


class _State(msgspec.Struct):
    """A peer's file."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    incarnation: Annotated[int, msgspec.Meta(ge=0, le=_MAX_INCARNATION - 1)]
    known: list[_Known]


@implementer(IPeerStore)
class PeerStateFile:
    """
    A peer's memory as a file of JSON.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self) -> PeerMemory | None:
        """What was saved last, or C{None}."""
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        try:
            state = msgspec.json.decode(data, type=_State)
            for known in state.known:
                Address.fromText(known.address)
        except (msgspec.MsgspecError, UnicodeDecodeError, AddressError, RecursionError) as error:
            putAside(self._path, str(error))
            return None
        return PeerMemory(
            bytes.fromhex(state.id),
            state.incarnation,
            [Contact(bytes.fromhex(known.identity), known.address) for known in state.known],
        )

    def save(self, memory: PeerMemory) -> None:
        """
        Keep this instead.

        @raise OSError: it could not be written; what was there before is untouched.
        """
        known = [_Known(contact.identity.hex(), contact.address) for contact in memory.known]
        state = _State(memory.id.hex(), memory.incarnation, known)
        new = f"{self._path}-new"
        try:
            with open(new, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self._path)
        except OSError:
            with suppress(OSError):
                os.unlink(new)
            raise
        syncDirectory(os.path.dirname(self._path))


SCHEMA = """
CREATE TABLE seed (only INTEGER PRIMARY KEY CHECK (only = 0), identity BLOB NOT NULL);
CREATE TABLE peers (
    id BLOB PRIMARY KEY, identity BLOB NOT NULL, address TEXT NOT NULL,
    since REAL NOT NULL, lastSeen REAL NOT NULL, reachable INTEGER
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


@implementer(ISeedStore)
class SeedDatabase:
    """
    A seed's list in a database (SQLite), one transaction for each change.

    The database writes ahead to a second file (C{-wal}).  Without waiting for
    the disk, a change may be lost in a power cut, but never half of it; the
    seed itself may crash as it likes.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    def load(self) -> tuple[bytes | None, list[Entry]]:
        """
        What was saved last.

        @raise OSError: the database is there, but not to be had.
        """
        import sqlite3

        try:
            self._open()
            return self._read()
        except (sqlite3.OperationalError, OSError) as error:
            if _isDamage(error):
                return self._startAnew(error)
            self.close()
            raise OSError(f"{self._path}: {error}") from None
        except (sqlite3.DatabaseError, ValueError, TypeError, OverflowError) as error:
            return self._startAnew(error)

    def save(self, identity: bytes, changed: Iterable[Entry], removed: Iterable[bytes]) -> None:
        """
        Keep a change.

        @raise OSError: it could not be written; what was there before is untouched.
        """
        import sqlite3

        if self._database is not None and not os.path.exists(self._path):
            # What was kept in it is gone; the next time a new one is begun.
            self.close()
            raise OSError(f"{self._path} was removed")
        try:
            if self._database is None:
                self._open()
            database = self._database
            assert database is not None
            with database:
                database.execute("BEGIN IMMEDIATE")
                database.execute(
                    "INSERT INTO seed VALUES (0, ?) ON CONFLICT DO UPDATE SET identity = excluded.identity"
                    " WHERE identity != excluded.identity",
                    (identity,),
                )
                database.executemany("DELETE FROM peers WHERE id = ?", ((id,) for id in removed))
                database.executemany(
                    "INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        (e.id, e.contact.identity, e.contact.address, e.since, e.lastSeen, e.reachable)
                        for e in changed
                    ),
                )
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from None

    def close(self) -> None:
        """Nothing more will be saved."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    # Private.

    def _open(self) -> None:
        import sqlite3

        database = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        # What is no UTF-8 is a UnicodeDecodeError then, and not an OperationalError like that of a file in use.
        database.text_factory = bytes.decode
        try:
            # Alone with it: no memory is shared with other processes, so there is no third file.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA cache_size = -1024")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                database.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            elif version != 1:
                raise ValueError(f"of a version that is unknown here ({version})")
        except BaseException:
            database.close()
            raise
        # Not before it is as it should be: half of it must not be taken for all.
        self._database = database

    def _read(self) -> tuple[bytes | None, list[Entry]]:
        from p2p.seed.registry import Entry

        database = self._database
        assert database is not None
        (check,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if check != "ok":
            raise ValueError(check)
        row = database.execute("SELECT identity FROM seed").fetchone()
        # A column's type is but advice to SQLite: any value may stand in any of them.
        if row is not None and (not _isIdentity(row[0]) or incarnationOf(row[0]) >= _MAX_INCARNATION):
            raise ValueError("the seed's identity in it is none")
        entries = []
        for id, identity, address, since, lastSeen, reachable in database.execute("SELECT * FROM peers"):
            if not _isIdentity(identity) or idOf(identity) != id:
                raise ValueError("an identity in it is none")
            if type(address) is not str:
                raise ValueError("an address in it is no text")
            Address.fromText(address)
            if not _isTime(since) or not _isTime(lastSeen) or type(reachable) not in (int, type(None)):
                raise ValueError("a value in it is none of its kind")
            entries.append(
                Entry(Contact(identity, address), since, lastSeen, None if reachable is None else bool(reachable))
            )
        return (row[0] if row else None), entries

    def _startAnew(self, error: Exception) -> tuple[None, list[Entry]]:
        """Put a damaged database aside and make a new one."""
        self.close()
        for suffix in ("-wal", "-journal", "-shm"):
            with suppress(FileNotFoundError):
                os.replace(self._path + suffix, f"{self._path}-damaged{suffix}")
        putAside(self._path, str(error))
        self._open()
        return None, []


def _isIdentity(value: object) -> bool:
    return type(value) is bytes and len(value) == IDENTITY_SIZE


def _isTime(value: object) -> bool:
    return type(value) is float and isfinite(value)


def _isDamage(error: Exception) -> bool:
    """Does this operational error speak of what is in the file, and not of the way to it?"""
    import sqlite3

    # The first is that of a statement which does not fit the tables that are there.
    return getattr(error, "sqlite_errorcode", None) in (
        sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB
    )  # fmt: skip
