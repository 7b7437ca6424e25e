"""
Where the HTTP interface listens: what can be known of an endpoint string without listening.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

import attrs

from p2p.address import readPort

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamServerEndpoint

LOCAL_NAMES = frozenset(["localhost", "127.0.0.1", "::1"])
"""The host names under which a browser on this machine, but no page's own server, is reached."""

MAX_PATH = 107
"""Bytes in a UNIX socket's path at most."""


class BadEndpoint(ValueError):
    """The text is not a server endpoint; the message is one line."""


def isLoopback(host: str) -> bool:
    """Can only this machine connect to that IP address or name?  False if that cannot be told."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hostName(host: str) -> str:
    """
    The name or address in a C{Host} header, without port and brackets; an address in its canonical form.

    @return: empty for what is neither.
    """
    found = _HOST.fullmatch(host)
    if found is None:
        return ""
    name: str = found["address"] or found["name"]
    try:
        address = ip_address(name)
    except ValueError:
        return "" if found["address"] else name
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?")
"""A C{Host} header, in small letters."""


def readHostNames(text: str) -> frozenset[str]:
    """
    Read comma-separated host names, as L{hostName} gives them.

    @raise ValueError: one has a port or a scheme, or is none, and so would never be given.
    """
    names = set()
    for given in filter(None, (part.strip() for part in text.split(","))):
        # An IPv6 address has at least two colons, and may be given without its brackets.
        address = f"[{given.strip('[]')}]" if given.count(":") > 1 else given
        name = hostName(address.lower())
        if not name or given.count(":") == 1:
            raise ValueError(f"{given!r} is no host name or IP address; scheme and port are no part of it")
        names.add(name)
    return frozenset(names)


@attrs.frozen
class Where:
    """
    @ivar text: the endpoint string.
    @ivar path: a UNIX socket's path, if it is one.
    @ivar mode: that socket's mode.
    @ivar host: for TCP, the interface's address; C{""} for all.
    @ivar port: for TCP, the port; C{None} where only listening will tell.
    """

    text: str
    path: str | None = None
    mode: int = 0o600
    host: str = ""
    port: int | None = None

    def __str__(self) -> str:
        return self.text

    @classmethod
    def unix(cls, path: str, mode: int = 0o600) -> Where:
        """A UNIX socket, by default for this user only."""
        size = len(os.fsencode(path))
        if size > MAX_PATH:
            raise BadEndpoint(f"--http: {path}: {size} bytes are too long for a socket's path ({MAX_PATH} at most)")
        return cls(f"unix:{path}", path=path, mode=mode)

    @classmethod
    def fromText(cls, text: str) -> Where:
        """
        Read an endpoint string.

        @raise BadEndpoint: it is none.
        """
        kind, plain, named = splitEndpoint(text)
        try:
            if kind == "unix":
                paths = [path for path in (*plain, named.pop("address", "")) if path]
                mode = named.pop("mode", "600")
                if named or len(paths) != 1:
                    raise BadEndpoint(f"--http {text}: a UNIX socket has one path, and nothing else here than a mode=")
                if not _MODE.fullmatch(mode):
                    raise BadEndpoint(f"--http {text}: mode={mode} is not three octal digits, such as 660")
                return cls.unix(paths[0], int(mode, 8))
            if kind in ("tcp", "tcp6", "ssl"):
                host = named.get("interface", "::" if kind == "tcp6" else "")
                where = cls(text, host=host, port=readPort(named.get("port") or plain[0], lowest=0))
            else:
                where = cls(text)
            _parse(text)
        except BadEndpoint:
            raise
        except Exception as error:
            raise BadEndpoint(f"--http {text}: not an endpoint string such as tcp:8001:interface=127.0.0.1"
                              + (f" ({error})" if str(error) and kind not in ("tcp", "unix") else "")) from None
        return where

    @property
    def isLocal(self) -> bool:
        """
        Can only this machine connect?  What is known only after listening is
        taken to be local here, and looked at again then.
        """
        if self.path is not None or self.port is None:
            return True
        return isLoopback(self.host)

    def endpoint(self, reactor: object) -> IStreamServerEndpoint:
        """What to listen on."""
        from twisted.internet.endpoints import UNIXServerEndpoint, serverFromString

        if self.path is not None:
            return UNIXServerEndpoint(reactor, self.path, mode=self.mode, wantPID=False)
        endpoint: IStreamServerEndpoint = serverFromString(reactor, self.text)
        return endpoint


_MODE = re.compile("0?[0-7]{3}")


def splitEndpoint(text: str) -> tuple[str, list[str], dict[str, str]]:
    """
    An endpoint string's kind, its plain arguments, and those with a name; a backslash takes the next character
    literally.
    """
    parts = re.findall(r"(?:^|(?<=:))((?:\\.|[^:\\])*)(?:$|:)", text)
    kind, *rest = [re.sub(r"\\(.)", r"\1", part) for part in parts] or [""]
    named = dict(part.split("=", 1) for part in rest if "=" in part)
    return kind, [part for part in rest if part and "=" not in part], named


def _parse(text: str) -> None:
    """Let Twisted read the string; it needs no reactor before it listens."""
    from twisted.internet.endpoints import serverFromString

    serverFromString(None, text)
