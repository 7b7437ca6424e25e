"""
The command line of both daemons.

The options that describe how a node behaves are made from the records in
L{p2p.settings}; those that say where it listens and where its files are stand
here.  Once the line is read, everything that can be wrong with a start has
been looked at: the files that are named, the directories, the ports, and
whether another daemon has them.  Whatever it is, the start ends with one line
on stderr and exit status 1, before anything was written or forked.

A daemon's files are named after its role and port: C{peer-6001.log},
C{.sock}, C{.state}, C{.pid}.  With C{--port 0} the port is chosen here, so
that they bear the real one.
"""

from __future__ import annotations

import os
import resource
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, NoReturn, TypeVar

import attrs
from twisted.python import usage
from twisted.python.reflect import qual

from p2p import __version__
from p2p.address import WILDCARDS, Address, AddressError, dialableAddress, readConfig, readHost, readPort
from p2p.daemon.claim import Claim, Taken, socketIsLive
from p2p.daemon.lean import importReactorWithoutTls
from p2p.daemon.where import BadEndpoint, Where, readHostNames
from p2p.numerals import readDecimal, readWhole
from p2p.peer.strategies import KINDS as STRATEGIES
from p2p.peer.strategies import strategies
from p2p.settings import KINDS, SWITCH, LinkSettings, PeerSettings, SeedSettings, SettingError

S = TypeVar("S", bound=LinkSettings)


def kebab(name: str) -> str:
    """C{gossipInterval} as C{gossip-interval}."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name)


def _coercer(option: str, read: Callable[[str], Any]) -> Callable[[str], Any]:
    """
    A function that reads an option's value, and names the option if it cannot.
    """

    def coerce(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise usage.UsageError(f"--{option}: {error}") from None

    return coerce


def _settingReader(field: attrs.Attribute[Any]) -> Callable[[str], Any]:
    """
    A function that reads a setting's value and checks it.
    """
    kind: type = field.metadata["kind"]

    def read(text: str) -> Any:
        value: object = text
        if kind is bool:
            value = SWITCH.get(text, text)
        elif kind is not str:
            value = readWhole(text) if kind is int else readDecimal(text)
        assert field.validator is not None
        try:
            field.validator(None, field, value)
        except SettingError as error:
            raise ValueError(str(error).removeprefix(f"{field.name}: ")) from None
        return value

    return read


def settingParameters(record: type[LinkSettings]) -> list[list[Any]]:
    """
    A settings record as C{optParameters}.
    """
    parameters = []
    for field in attrs.fields(record):
        name, what, unit, kind = kebab(field.name), *(field.metadata[key] for key in ("what", "unit", "kind"))
        default = field.default
        if kind is bool:
            # As a person would write it.
            unit, default = KINDS[bool], next(word for word, on in SWITCH.items() if on is default)
        if kind is not str:
            what = f"{what} ({unit})"
        if field.name in STRATEGIES:
            known = strategies(field.name).items()
            what = f"{what}: {'; '.join(f'{name} ({strategy.description})' for name, strategy in known)}"
        parameters.append([name, None, default, what, _coercer(name, _settingReader(field))])
    return parameters


def _count(text: str) -> int:
    count = readWhole(text)
    if count < 0:
        raise ValueError(f"{text!r} is below 0")
    return count


def _format(text: str) -> str:
    if text not in ("text", "json"):
        raise ValueError(f"{text!r} is neither text nor json")
    return text


def _port(text: str) -> int:
    return readPort(text, lowest=0)


def _host(text: str) -> str:
    """An address to listen on: one of a machine's, or all of them."""
    host = readHost(text)
    if host not in WILDCARDS and not Address(host, 1).dialable:
        raise ValueError(f"{text!r} is not an address of one machine")
    return host


COMMON: list[tuple[str, Any, str, Callable[[str], Any]]] = [
    ("config", "config.txt", "file that lists the seeds, one IP:PORT a line", str),
    ("log-dir", ".", "directory for the log file and the UNIX socket", str),
    ("log-format", "text", "text, or json: one object a line", _format),
    ("log-messages", 100, "messages first seen that get a line each (per second); the rest are counted", _count),
    ("state-dir", ".", "directory for what outlives the daemon", str),
    ("http", None, "where the HTTP interface listens: an endpoint string of Twisted's, or none"
     " [default: a UNIX socket next to the log file, for this user only]", str),
    ("http-token-file", None, "file that holds the token which HTTP requests must bear;"
     " needed where others than this machine can connect", str),
    ("http-name", None, "further host names, comma-separated, under which the HTTP interface"
     " is reached over TCP", readHostNames),
]  # fmt: skip
"""Name, default, meaning and reader of each option that both daemons have, beside the settings."""


SEEDS_SHARE = 0.75
"""The share of its file descriptors that a peer may need for its seeds; the rest is for its links and callers."""


class DaemonOptions(usage.Options):
    """
    What both daemons have in common.

    @cvar role: C{"seed"} or C{"peer"}.
    @cvar record: the settings record.
    @ivar claim: what was taken for this daemon.
    @ivar seeds: the seeds' addresses, from the file.
    @ivar listen: where the node listens.
    @ivar where: where the HTTP interface listens; C{None} for nowhere.
    @ivar token: what HTTP requests must bear, if anything.
    """

    role: ClassVar[str]
    record: ClassVar[type[LinkSettings]]

    optParameters: ClassVar[list[list[Any]]] = [
        [name, None, default, what, _coercer(name, read)] for name, default, what, read in COMMON
    ]

    seeds: Sequence[Address]
    listen: Address
    where: Where | None
    token: bytes | None = None

    def __init__(self, claim: Claim | None = None) -> None:
        super().__init__()
        self.claim = Claim() if claim is None else claim

    def getSynopsis(self) -> str:
        """The first line of the help."""
        return f"Usage: twistd [options of twistd] p2p{self.role} [options]"

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read the command line.

        @raise SystemExit: something is wrong with it; its code is the line to print.
        """
        try:
            super().parseOptions(options)
        except (usage.UsageError, AddressError, SettingError, BadEndpoint, Taken) as error:
            self.fail(str(error))

    def opt_version(self) -> NoReturn:
        """Display the version and exit."""
        print(f"p2p {__version__}")
        raise SystemExit(0)

    def parseArgs(self, *arguments: str) -> None:
        """There is nothing but options."""
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} is not an option")

    def fail(self, why: str) -> NoReturn:
        """End the start with one line."""
        self.claim.release()
        raise SystemExit(f"p2p{self.role}: {' '.join(why.split())}")

    def postOptions(self) -> None:
        """Look at everything that can be wrong, and take what the daemon needs."""
        if str(self["http"]).partition(":")[0] in WITHOUT_TLS:
            importReactorWithoutTls()
        self.seeds = readConfig(self["config"])
        for option in ("log-dir", "state-dir"):
            self[option] = _directory(option, self[option])
        self.token = _token(self["http-token-file"])
        listen = self.chooseListen()
        self.listen = attrs.evolve(listen, port=self.claim.port(listen.host, listen.port))
        self.where = self.chooseWhere()
        if self.where is not None:
            self.claimWhere(self.where)
        self.claim.files(self["log-dir"], self.name)
        self.claim.files(self["state-dir"], self.name)
        self.nameTwistdsFiles()

    def chooseListen(self) -> Address:
        """Where the node listens; port 0 for any."""
        raise NotImplementedError

    def everywhere(self, host: str, known: Sequence[Address]) -> str:
        """
        The address to listen on, if C{host} is, so that this node is reached where others know it.

        Who says C{0.0.0.0} means all addresses of the machine: where IPv6 ones are in use that is C{::}, which takes
        callers over IPv4, too.

        @param known: addresses of the families that are in use.
        @raise usage.UsageError: there is no such address on this system.
        """
        if host not in WILDCARDS:
            return host
        fourth = any(not address.isSixth for address in known)
        sixth = any(address.isSixth for address in known)
        if host == "0.0.0.0" and sixth and (not fourth or self.claim.isOurs("::")):
            # Else this machine has no IPv6, and may do without.
            host = "::"
        if host == "::" and fourth and self.claim.sixthOnly():
            where = " and ".join(map(str, known))
            raise usage.UsageError(f"--host {self['host']}: :: takes IPv6 only on this system (bindv6only): {where}")
        return host

    def chooseWhere(self) -> Where | None:
        """
        Where the HTTP interface listens.

        @raise usage.UsageError: others could connect there, and need not know a token.
        """
        text = self["http"]
        if text == "none":
            return None
        if text is None:
            return Where.unix(_shortest(self.file("log", "sock"), self._rundir()))
        where = Where.fromText(text)
        if not where.isLocal and self.token is None:
            raise usage.UsageError(f"--http {where}: others can connect there, so it needs --http-token-file")
        return where

    def claimWhere(self, where: Where) -> None:
        """Take what the HTTP interface listens on."""
        if where.path is not None:
            if socketIsLive(where.path):
                raise Taken(f"{where.path}: another daemon listens on this socket")
            if os.path.exists(where.path) and not stat.S_ISSOCK(os.lstat(where.path).st_mode):
                raise Taken(f"{where.path}: is there, and is not a socket")
        elif where.port:
            try:
                self.claim.port(where.host, where.port)
            except Taken as error:
                raise Taken(f"--http {where}: {error}") from None

    @property
    def name(self) -> str:
        """What this daemon's files are called."""
        return f"{self.role}-{self.listen.port}"

    def file(self, directory: str, suffix: str) -> str:
        """
        The path of one of this daemon's files.

        @param directory: C{"log"} or C{"state"}.
        """
        return os.path.join(self[f"{directory}-dir"], f"{self.name}.{suffix}")

    @property
    def httpNames(self) -> frozenset[str]:
        """The host names that C{--http-name} adds."""
        return self["http-name"] or frozenset()

    def settings(self) -> Any:
        """The settings record, of the type that L{record} says."""
        given = {field: self[kebab(field.name)] for field in attrs.fields(self.record)}
        return self.record(
            **{
                # What was not given is as it was written for people.
                field.name: SWITCH.get(value, value) if field.metadata["kind"] is bool else value
                for field, value in given.items()
            }
        )

    def nameTwistdsFiles(self) -> None:
        """
        Let two daemons run in one directory: name the pid file, and a forked daemon's own log, after this one.

        A pid file of that name belonged to a daemon that is gone, or the
        files could not have been claimed; so it is removed, lest its number
        now be somebody else's.
        """
        parent = self.parent
        if parent is None:
            return
        if parent.get("pidfile") == "twistd.pid":
            path = parent["pidfile"] = self.file("log", "pid")
            try:
                with suppress(FileNotFoundError):
                    os.unlink(path)
            except OSError as error:
                raise usage.UsageError(f"{path}: {error.strerror}") from None
            _tryToWrite(path, b"%d\n" % os.getpid())
        forked = "nodaemon" in parent and not parent["nodaemon"]
        if forked and not any(parent.get(other) for other in ("logfile", "logger", "syslog")):
            # Not before the command line was read: it is not needed to refuse one.
            from p2p.daemon.logfile import TwistdsLog

            TwistdsLog.path = path = self.file("log", "twistd.log")
            _tryToWrite(path)
            parent["logger"] = qual(TwistdsLog) + ".observer"

    def _rundir(self) -> str:
        return str(self.parent.get("rundir", ".")) if self.parent is not None else "."


class SeedOptions(DaemonOptions):
    """
    The command line of C{p2pseed}.

    @ivar address: where others find this seed.
    """

    role = "seed"
    record = SeedSettings

    optParameters: ClassVar[list[list[Any]]] = [
        ["port", None, None, "the port of this seed's entry in the list [default: that of the first entry]",
         _coercer("port", readPort)],
        ["host", None, None, "IP address to listen on; 0.0.0.0 or :: for all [default: that of the entry]",
         _coercer("host", _host)],
        ["advertise", None, None, "IP:PORT under which peers reach this seed [default: its entry in the list]",
         _coercer("advertise", dialableAddress)],
        *settingParameters(SeedSettings),
    ]  # fmt: skip

    address: Address

    def chooseListen(self) -> Address:
        """
        Find the entry of the list that is this seed.

        C{--port}, and C{--host} where that leaves several, say which it is,
        or, if it listens on all, which of them is an address of this machine;
        C{--advertise} says it outright.  It listens on the entry's own
        address unless C{--host} is another one (C{0.0.0.0}, say).
        """
        host, port, config = self["host"], self["port"], self["config"]
        entries = [entry for entry in self.seeds if port in (None, entry.port)]
        if self["advertise"] is not None:
            self.address = self["advertise"]
        elif port is None and host is None:
            self.address = entries[0]
        elif not entries:
            raise usage.UsageError(f"--port {port}: {config} lists no seed with that port")
        else:
            exact = [entry for entry in entries if entry.host == host] or entries
            unclear = len(exact) > 1 and (port is not None or host is not None)
            if unclear and host in WILDCARDS:
                # Of several machines' seeds it is the one whose address is this machine's.
                ours = [entry for entry in exact if self.claim.isOurs(entry.host)]
                exact = ours or exact
                unclear = not ours or (len(ours) > 1 and port is not None)
            if unclear:
                some = " and ".join(map(str, exact[:3])) + (f" and {len(exact) - 3} more" if len(exact) > 3 else "")
                raise usage.UsageError(f"{config} lists {some}: say with --host or --advertise which one this is")
            self.address = exact[0]
        host = self.everywhere(host or self.address.host, [self.address])
        return Address(host, port or self.address.port)


class PeerOptions(DaemonOptions):
    """The command line of C{p2ppeer}."""

    role = "peer"
    record = PeerSettings

    optParameters: ClassVar[list[list[Any]]] = [
        ["port", None, 0, "port to listen on; 0 for any free one", _coercer("port", _port)],
        ["host", None, "127.0.0.1", "IP address to listen on; 0.0.0.0 or :: for all", _coercer("host", _host)],
        ["advertise", None, None, "IP:PORT under which others reach this peer"
         " [default: the address from which it reaches them]", _coercer("advertise", dialableAddress)],
        *settingParameters(PeerSettings),
    ]  # fmt: skip

    def chooseListen(self) -> Address:
        """What the user says; a seed's place is never right, and there may be more seeds than it can connect to."""
        host, port, advertise = self["host"], self["port"], self["advertise"]
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit != resource.RLIM_INFINITY and len(self.seeds) > SEEDS_SHARE * limit:
            raise usage.UsageError(
                f"{self['config']} lists {len(self.seeds)} seeds, and a peer keeps a connection to each: of its {limit}"
                f" file descriptors it has {int(SEEDS_SHARE * limit)} for that; raise the limit (ulimit -n,"
                " LimitNOFILE)"
            )
        for seed in self.seeds:
            here = port == seed.port and (
                host == seed.host or (host in WILDCARDS and self.claim.isOurs(seed.host))
            )
            for option, taken in (("port", here), ("advertise", advertise == seed)):
                if taken:
                    raise usage.UsageError(f"--{option} {self[option]}: {seed} is a seed's address in {self['config']}")
        known = [*self.seeds, advertise] if advertise is not None else self.seeds
        return Address(self.everywhere(host, known), port)


WITHOUT_TLS = ("None", "none", "unix", "tcp", "tcp6", "systemd")
"""The kinds of endpoint that never need OpenSSL."""


def _tryToWrite(path: str, what: bytes = b"") -> None:
    """
    See that a file can be written, and leave nothing of it if it was not there: else twistd would end with a traceback.

    @param what: what a disk that is full must take.
    @raise UsageError: it cannot.
    """
    there = os.path.exists(path)
    try:
        with open(path, "ab") as file:
            file.write(what)
    except OSError as error:
        raise usage.UsageError(f"{path}: {error.strerror}") from None
    finally:
        if not there:
            with suppress(OSError):
                os.unlink(path)


def _directory(option: str, text: str) -> str:
    """
    The absolute path of a directory that files can be made in.

    @raise usage.UsageError: it is none.
    """
    path = os.path.abspath(text)
    if not os.path.exists(path):
        raise usage.UsageError(f"--{option}: {text}: no such directory")
    if not os.path.isdir(path):
        raise usage.UsageError(f"--{option}: {text}: not a directory")
    if not os.access(path, os.W_OK | os.X_OK):
        raise usage.UsageError(f"--{option}: {text}: no permission to write in it")
    return path


def _token(path: str | None) -> bytes | None:
    """
    What a token file holds, without the white space around it.
    """
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            token = file.read(4097).strip()
    except OSError as error:
        raise usage.UsageError(f"--http-token-file: {path}: {error.strerror}") from None
    if not 8 <= len(token) <= 4096 or len(token.split()) != 1:
        raise usage.UsageError(f"--http-token-file: {path}: should hold one word of 8 to 4096 characters")
    return token


def _shortest(path: str, rundir: str) -> str:
    """
    A socket's path may have some hundred bytes only; where the absolute one has more, the relative one may do.
    """
    if len(os.fsencode(path)) > 100 and rundir == ".":
        return min(path, os.path.relpath(path), key=len)
    return path


def say(line: str) -> None:
    """Print a line where the user sees it, even after C{twistd} has taken stderr for its log."""
    stream = sys.__stderr__
    if stream is not None:
        print(line, file=stream, flush=True)
