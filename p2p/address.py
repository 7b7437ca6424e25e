"""
Where a node listens: an IP address and a port, and the file that lists the seeds'.

An address is written C{IP:PORT}, an IPv6 one C{[IP]:PORT}.  Names are not
addresses: a list that is handed from peer to peer must mean the same to each.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network

import attrs

WILDCARDS = ("0.0.0.0", "::")
"""Addresses to listen on that stand for all of the machine's."""

BROADCAST = ip_address("255.255.255.255")

END_OF_LINE = re.compile(r"\r\n|\r|\n")
"""What ends a line for every editor; what else Python takes for an end may stand in a comment."""

LONGEST = 100
"""No address has more characters."""


class AddressError(ValueError):
    """
    A text that should name an address, or a file that should list some, does not.

    The message is one line that an operator can act on.
    """


@attrs.frozen(order=True)
class Address:
    """
    An IP address and a TCP port.

    @ivar host: an IPv4 or IPv6 address in its canonical text form, without
        brackets.
    @ivar port: 0 (any free port, for listening only) to 65535.
    """

    host: str
    port: int

    @staticmethod
    @lru_cache(maxsize=4096)
    def fromText(text: str) -> Address:
        """
        Read C{IP:PORT} or C{[IPv6]:PORT}.

        @raise AddressError: the text is something else, or the port is not in 1..65535.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port or (":" in host and not host.startswith("[") and not _isSixth(host)):
            raise AddressError(f"{text!r} is not IP:PORT")
        return Address(readHost(host, bracketed=True), readPort(port))

    @classmethod
    def of(cls, host: str, port: int) -> Address:
        """One end of a connection as a socket names it: an IPv4 address inside an IPv6 one becomes itself again."""
        return cls(host[7:] if host.startswith("::ffff:") and "." in host else host.partition("%")[0], port)

    @property
    def dialable(self) -> bool:
        """Can a connection be made to it?  Not to all addresses of a machine, nor to many machines at once."""
        ip = ip_address(self.host)
        return not (ip.is_unspecified or ip.is_multicast or ip == BROADCAST)

    @property
    def isSixth(self) -> bool:
        """Is it one of IPv6?"""
        return ":" in self.host

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.isSixth else f"{self.host}:{self.port}"


def readHost(text: str, bracketed: bool = False) -> str:
    """
    The canonical form of an IP address; an IPv4 one inside an IPv6 one is itself.

    @param bracketed: IPv6 must stand in brackets, as it does in front of a port.
    @raise AddressError: the text is not an IP address.
    """
    bare = text
    if text.startswith("[") and text.endswith("]"):
        bare = text[1:-1]
        if ":" not in bare:
            raise AddressError(f"{text!r} is not an IP address")
    elif bracketed and ":" in text:
        raise AddressError(f"{text!r} must stand in brackets: [{text}]:PORT")
    try:
        address = ip_address(bare)
    except ValueError:
        raise AddressError(f"{text!r} is not an IP address") from None
    if getattr(address, "scope_id", None) is not None:
        raise AddressError(f"{text!r} names an interface, which means nothing on another machine")
    return str(getattr(address, "ipv4_mapped", None) or address)


def _isSixth(text: str) -> bool:
    """Whether a text is an IPv6 address, without brackets."""
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def holder(host: str) -> str:
    """
    What of an IP address, as a socket names it, its holder did not choose: whoever has an IPv6 one has its whole /64.

    @return: the same for all addresses of one holder, to count by.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None or address.version == 4:
        return str(mapped or address)
    return str(ip_network((int(address) >> 64 << 64, 64)))


def dialableAddress(text: str) -> Address:
    """
    Read an address at which others are to dial.

    @raise AddressError: it is none, or one that nobody can dial.
    """
    address = Address.fromText(text)
    if not address.dialable:
        raise AddressError(f"{text!r} cannot be dialled")
    return address


@lru_cache(maxsize=4096)
def isDialable(text: str) -> bool:
    """Whether that is an address at which others are to dial, written in the one way that there is."""
    try:
        return str(dialableAddress(text)) == text
    except AddressError:
        return False


def readPort(text: str, lowest: int = 1) -> int:
    """
    A port number.

    @param lowest: 0 where "any free port" is an answer, else 1.
    @raise AddressError: the text is not a number in lowest..65535.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and lowest <= int(text) <= 65535):
        raise AddressError(f"{text!r} is not a port ({lowest} to 65535)")
    return int(text)


def parseConfig(text: str, name: str = "config.txt") -> list[Address]:
    """
    The seeds' addresses, in the order of the file: one C{IP:PORT} a line;
    blank lines and C{#} comments (whole or at a line's end) are passed over.

    @param name: what to call the text in an error.
    @raise AddressError: a line is not an address or stands twice (the message
        names file and line), or there is no address at all.
    """
    found: dict[Address, int] = {}
    for number, line in enumerate(END_OF_LINE.split(text), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            # What is longer is none, and need not be told whole.
            address = dialableAddress(entry if len(entry) <= LONGEST else f"{entry[:LONGEST]}...")
        except AddressError as error:
            several = "; there is one a line" if len(entry.replace(",", " ").split()) > 1 else ""
            raise AddressError(f"{name}, line {number}: {error}{several}") from None
        if address in found:
            raise AddressError(f"{name}, line {number}: {address} stands on line {found[address]} already")
        found[address] = number
    if not found:
        raise AddressError(f"{name}: no address in it (one IP:PORT a line)")
    return list(found)


def readConfig(path: str) -> list[Address]:
    """
    L{parseConfig} of a file.

    @raise AddressError: the file cannot be read, is not text, or is not a list of addresses.
    """
    try:
        # Some editors put a byte order mark in front.
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except FileNotFoundError as error:
        what = "the file that lists the seeds, one IP:PORT a line"
        raise AddressError(f"{path}: {error.strerror}: {what}") from None
    except OSError as error:
        raise AddressError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise AddressError(f"{path}: is not a text file (UTF-8)") from None
    return parseConfig(text, path)
