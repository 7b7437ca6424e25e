"""
A second implementation of docs/protocol.md, from the document alone.

It shares no line with the first: its own packing, plain sockets, one loop over
C{select}.  The messages' numbers are read from the document.
"""

from __future__ import annotations

import os
import re
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")

NUMBERS = {name: int(number) for name, number in re.findall(r"^### (\w+) \((\d+)\)", DOCUMENT, re.MULTILINE)}
"""Each message's number, by its name."""

NAMES = {number: name for name, number in NUMBERS.items()}

PATIENCE = 20.0
"""Seconds after which what should have come will not."""


def pack(value: Any) -> bytes:
    """A value in MessagePack, as short as can be."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        if value < 0x80:
            return bytes([value])
        for mark, form, top in ((0xCC, ">B", 2**8), (0xCD, ">H", 2**16), (0xCE, ">I", 2**32), (0xCF, ">Q", 2**64)):
            if value < top:
                return bytes([mark]) + struct.pack(form, value)
        raise ValueError(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return (bytes([0xA0 + len(data)]) if len(data) < 32 else _sized((0xD9, 0xDA, 0xDB), len(data))) + data
    if isinstance(value, bytes):
        return _sized((0xC4, 0xC5, 0xC6), len(value)) + value
    head = bytes([0x90 + len(value)]) if len(value) < 16 else _sized((None, 0xDC, 0xDD), len(value))
    return head + b"".join(map(pack, value))


def _sized(marks: tuple[int | None, int, int], size: int) -> bytes:
    for mark, form, top in zip(marks, (">B", ">H", ">I"), (2**8, 2**16, 2**32), strict=True):
        if mark is not None and size < top:
            return bytes([mark]) + struct.pack(form, size)
    raise ValueError(size)


def unpack(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The value that begins there, and where the next one does."""
    mark = data[at]
    at += 1
    if mark < 0x80:
        return mark, at
    if mark < 0xA0 and mark >= 0x90:
        return _elements(data, at, mark - 0x90)
    if mark < 0xC0 and mark >= 0xA0:
        return data[at : at + mark - 0xA0].decode(), at + mark - 0xA0
    if mark in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[mark], at
    form = {
        0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xC4: ">B", 0xC5: ">H", 0xC6: ">I",
        0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I",
    }[mark]  # fmt: skip
    (number,) = struct.unpack_from(form, data, at)
    at += struct.calcsize(form)
    if mark in (0xC4, 0xC5, 0xC6):
        return data[at : at + number], at + number
    if mark in (0xD9, 0xDA, 0xDB):
        return data[at : at + number].decode(), at + number
    if mark in (0xDC, 0xDD):
        return _elements(data, at, number)
    return number, at


def _elements(data: bytes, at: int, count: int) -> tuple[list[Any], int]:
    found = []
    for _ in range(count):
        value, at = unpack(data, at)
        found.append(value)
    return found, at


def frame(name: str, *fields: Any) -> bytes:
    """A message's frame."""
    body = pack([NUMBERS[name], *fields])
    return struct.pack(">I", len(body)) + body


class Talk:
    """
    One connection.

    @ivar messages: what came and was not taken yet, each a name and its fields.
    @ivar over: the other side has closed.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.messages: list[tuple[str, list[Any]]] = []
        self.over = False
        self._data = b""

    def say(self, name: str, *fields: Any) -> None:
        """Send a message."""
        self.send(frame(name, *fields))

    def send(self, data: bytes) -> None:
        """Send any bytes; if the other side has given up meanwhile, the connection is over."""
        try:
            self.socket.sendall(data)
        except ConnectionError:
            self.over = True

    def read(self) -> None:
        """Take in what has come."""
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        self.over = not data
        self._data += data
        while len(self._data) >= 4:
            (size,) = struct.unpack_from(">I", self._data)
            if len(self._data) < 4 + size:
                break
            fields, end = unpack(self._data[4 : 4 + size])
            assert end == size
            self._data = self._data[4 + size :]
            self.messages.append((NAMES[fields[0]], fields[1:]))

    def close(self) -> None:
        """Close it."""
        self.over = True
        self.socket.close()


class Second:
    """
    A node that listens, answers probes and pings by itself, and otherwise does what the test says.

    @ivar frozen: it accepts connections and answers nothing, as a stopped process.
    @ivar neighbours: connections of peers that dialled this one to be its neighbours, and were welcomed.
    """

    def __init__(self, incarnation: int = 1, network: str = "p2p", id: bytes | None = None) -> None:
        self.network = network
        self.identity = (id or os.urandom(8)) + struct.pack(">Q", incarnation)
        self.frozen = False
        self.neighbours: list[Talk] = []
        self._talks: list[Talk] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.contact: list[Any] = [self.identity, f"127.0.0.1:{self._listener.getsockname()[1]}"]

    def connect(self, port: int) -> Talk:
        """Connect to a daemon, saying nothing."""
        talk = Talk(socket.create_connection(("127.0.0.1", port), PATIENCE))
        self._talks.append(talk)
        return talk

    def greet(self, port: int, purpose: str, *strategies: str) -> Talk:
        """Connect and say Hello."""
        talk = self.connect(port)
        talk.say("Hello", 1, self.network, purpose, self.contact, *strategies)
        return talk

    def dial(self, port: int, purpose: str, *strategies: str) -> Talk:
        """Connect, say Hello and be welcomed."""
        talk = self.greet(port, purpose, *strategies)
        self.expect(talk, "Welcome")
        return talk

    def register(self, port: int, want: int = 100) -> tuple[Talk, list[Any]]:
        """Register with a seed: the connection, and what it answered."""
        talk = self.dial(port, "register")
        talk.say("Register", self.contact, want)
        return talk, self.expect(talk, "Registered")

    def neighbour(self, port: int, *strategies: str) -> Talk:
        """Become a peer's neighbour, having nothing."""
        talk = self.dial(port, "neighbour", *strategies)
        talk.say("Have", [], True)
        return talk

    def deafen(self) -> None:
        """Listen no more."""
        self._listener.close()

    def close(self) -> None:
        """Give up everything."""
        self._listener.close()
        for talk in self._talks:
            talk.close()

    def pump(self, seconds: float) -> bool:
        """Do what there is to do, for at most so long; false if there was nothing."""
        sockets: dict[Any, Talk | None] = {talk.socket: talk for talk in self._talks if not talk.over}
        if self._listener.fileno() >= 0:
            sockets[self._listener] = None
        readable = select.select(list(sockets), [], [], seconds)[0]
        for ready in readable:
            talk = sockets[ready]
            if talk is None:
                self._talks.append(Talk(self._listener.accept()[0]))
                continue
            talk.read()
            if not self.frozen:
                self._answer(talk)
        return bool(readable)

    def until(self, what: Callable[[], bool], why: str) -> None:
        """
        Go on until something is true.

        @raise AssertionError: it was not in time.
        """
        deadline = time.monotonic() + PATIENCE
        while not what():
            if time.monotonic() > deadline:
                raise AssertionError(f"not in time: {why}")
            self.pump(0.05)

    def expect(self, talk: Talk, name: str) -> list[Any]:
        """The fields of the next message of that name; others that came before it are passed over."""

        def came() -> bool:
            if talk.over and name not in (found for found, _ in talk.messages):
                raise AssertionError(f"the connection ended before {name}: {talk.messages}")
            return any(found == name for found, _ in talk.messages)

        self.until(came, name)
        while True:
            found, fields = talk.messages.pop(0)
            if found == name:
                return fields

    def refused(self, talk: Talk) -> str:
        """The reason with which the other side closes; it must keep the connection until this one closes."""
        reason: str = self.expect(talk, "Close")[0]
        assert not talk.over, "closed without waiting"
        talk.close()
        return reason

    def _answer(self, talk: Talk) -> None:
        """What any node does by itself."""
        for message in list(talk.messages):
            name, fields = message
            if name == "Ping":
                talk.messages.remove(message)
                talk.say("Pong", *fields)
            elif name == "Hello":
                talk.messages.remove(message)
                talk.say("Welcome", self.contact, [])
                if fields[2] == "neighbour" and not talk.over:
                    self.neighbours.append(talk)
                    talk.say("Have", [], True)
            elif name == "Close" and fields[0] == "done":
                talk.close()
