"""
Ten thousand peers that exist on the wire only, in one process: C{python -m bench.crowd SEED-HOST SEED-PORT COUNT}.

Written on the kernel's poll object and non-blocking sockets, without Twisted:
so that one core of this is faster than one core of the seed that is measured,
and so that a second implementation talks to it.

Each peer connects to the seed and introduces itself as listening at an address
of its own in 127.0.0.0/8.  One listener answers for all those addresses; a
connection's own name (C{getsockname}) tells which peer was dialled.

It is driven over stdin, a word a line, and answers with a line of JSON on stdout:

 - C{introduce}: all connect, and wait to be welcomed.
 - C{register}: all register on the connections that they have.
 - C{arrive}: all connect, introduce themselves and register.
 - C{checked}: waits until the seed has dialled each of them.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.daemons import raiseDescriptorLimit
from p2p.identity import makeIdentity
from p2p.wire.codec import Decoder, encode
from p2p.wire.messages import VERSION, Close, Contact, Hello, Register, Registered, Welcome

CONNECTING = 200
"""Peers whose connection or registration is under way at a time."""

WANTED = 8
"""Contacts that each asks for: a list of a thousand for everybody would measure something else."""

ANSWERING = 2000
"""Descriptors beyond the connections to the seed: what the seed dials, at most 64 at a time, and what lingers."""

IDLE = 30.0
"""Seconds without anything happening after which this gives up."""

READ, WRITE = select.EPOLLIN, select.EPOLLOUT


def identityOf(number: int) -> bytes:
    """The identity of the peer of that number."""
    return makeIdentity(number.to_bytes(8, "big"), 1)


def hostOf(number: int) -> str:
    """Its address: 127.1.0.0 and up."""
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def numberOf(host: str) -> int:
    """The number of the peer at that address."""
    _, a, b, c = map(int, host.split("."))
    return (a - 1) << 16 | b << 8 | c


class Crowd:
    """All the peers."""

    def __init__(self, seed: tuple[str, int], count: int) -> None:
        self._seed = seed
        self._count = count
        self._poll = select.epoll()
        self._ready: dict[int, Callable[[int], None]] = {}
        self._listener = socket.create_server(("0.0.0.0", 0), backlog=4096)
        self._listener.setblocking(False)
        self._port = self._listener.getsockname()[1]
        self._watch(self._listener, READ, self._accept)
        self._peers: list[Peer] = []
        self._busy = 0
        self._refused = 0
        self._checked: set[int] = set()

    def introduce(self) -> dict[str, Any]:
        """All connect, and are welcomed."""
        peers = [Peer(self, number) for number in range(self._count)]
        return self._all(peers, "introduced", lambda peer: peer.connect())

    def register(self) -> dict[str, Any]:
        """All register on their connections."""
        return self._all(self._peers, "registered", lambda peer: peer.register())

    def arrive(self) -> dict[str, Any]:
        """All connect, introduce themselves and register."""
        peers = [Peer(self, number, registers=True) for number in range(self._count)]
        return self._all(peers, "registered", lambda peer: peer.connect())

    def checked(self) -> dict[str, Any]:
        """The seed has dialled each."""
        start = time.monotonic()
        self._run(lambda: len(self._checked) >= self._count)
        return {"checked": len(self._checked), "seconds": time.monotonic() - start}

    # What peers and answers use.

    def done(self, refused: bool = False) -> None:
        """A peer has what it wanted, or will not get it."""
        self._busy -= 1
        self._refused += refused
        if not refused:
            self.last = time.monotonic()

    def registering(self) -> None:
        """A peer sends its registration."""
        if self.first is None:
            self.first = time.monotonic()

    def contact(self, number: int) -> Contact:
        """A peer as it introduces itself."""
        return Contact(identityOf(number), f"{hostOf(number)}:{self._port}")

    def dial(self) -> socket.socket:
        """A connection to the seed, under way."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect_ex(self._seed)
        return sock

    def watch(self, sock: socket.socket, events: int, ready: Callable[[int], None]) -> None:
        """Call C{ready} when something is to be done on a socket."""
        self._watch(sock, events, ready)

    def listenTo(self, sock: socket.socket) -> None:
        """From now on only what comes in matters."""
        self._poll.modify(sock, READ)

    def forget(self, sock: socket.socket) -> None:
        """A socket is done with."""
        del self._ready[sock.fileno()]
        self._poll.unregister(sock)
        sock.close()

    def wasChecked(self, number: int) -> None:
        """The seed dialled a peer and was answered."""
        self._checked.add(number)

    # Private.

    first: float | None = None
    last = 0.0

    def _all(self, peers: list[Peer], what: str, begin: Callable[[Peer], None]) -> dict[str, Any]:
        """Let all peers begin, so many at a time, and wait until all are done."""
        self._peers = peers
        self._refused = 0
        self.first = None
        todo = iter(peers)
        left = len(peers)
        start, cpu = time.monotonic(), time.process_time()

        def over() -> bool:
            nonlocal left
            while self._busy < CONNECTING and left:
                left -= 1
                self._busy += 1
                begin(next(todo))
            return not left and not self._busy

        self._run(over)
        return {
            what: len(peers) - self._refused - self._busy - left,
            "refused": self._refused,
            "seconds": self.last - (start if self.first is None else self.first),
            "crowdCpuSeconds": time.process_time() - cpu,
        }

    def _watch(self, sock: socket.socket, events: int, ready: Callable[[int], None]) -> None:
        self._ready[sock.fileno()] = ready
        self._poll.register(sock, events)

    def _run(self, over: Callable[[], bool]) -> None:
        quiet = time.monotonic()
        while not over() and time.monotonic() - quiet < IDLE:
            for number, events in self._poll.poll(0.5):
                quiet = time.monotonic()
                ready = self._ready.get(number)
                if ready is not None:
                    ready(events)

    def _accept(self, events: int) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            Answer(self, sock)


class Peer:
    """A peer's connection to the seed."""

    __slots__ = ("_crowd", "_decoder", "_number", "_registers", "_sock")

    def __init__(self, crowd: Crowd, number: int, registers: bool = False) -> None:
        self._crowd = crowd
        self._number = number
        self._registers = registers

    def connect(self) -> None:
        """Begin."""
        self._decoder = Decoder(2**20)
        self._sock = self._crowd.dial()
        self._crowd.watch(self._sock, WRITE, self._ready)

    def register(self) -> None:
        """Send the registration."""
        self._crowd.registering()
        self._sock.send(encode(Register(self._crowd.contact(self._number), WANTED)))

    def _ready(self, events: int) -> None:
        try:
            if events & WRITE:
                contact = self._crowd.contact(self._number)
                self._sock.send(encode(Hello(VERSION, "p2p", "register", contact)))
                self._crowd.listenTo(self._sock)
                return
            data = self._sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._ended()
            return
        for message in self._decoder.feed(data):
            if isinstance(message, Welcome):
                if self._registers:
                    self.register()
                else:
                    self._crowd.done()
            elif isinstance(message, Registered):
                self._crowd.done()

    def _ended(self) -> None:
        self._crowd.forget(self._sock)
        self._crowd.done(refused=True)


class Answer:
    """What a peer says to somebody who dials it: who it is."""

    __slots__ = ("_crowd", "_decoder", "_number", "_sock")

    def __init__(self, crowd: Crowd, sock: socket.socket) -> None:
        self._crowd = crowd
        self._sock = sock
        self._number = numberOf(sock.getsockname()[0])
        self._decoder = Decoder()
        crowd.watch(sock, READ, self._ready)

    def _ready(self, events: int) -> None:
        try:
            data = self._sock.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._crowd.forget(self._sock)
            return
        for message in self._decoder.feed(data):
            if isinstance(message, Hello):
                self._sock.send(encode(Welcome(self._crowd.contact(self._number), [])))
                self._crowd.wasChecked(self._number)
            elif isinstance(message, Close):
                self._crowd.forget(self._sock)
                return


def main(host: str, port: str, count: str) -> None:
    """Do what stdin says."""
    raiseDescriptorLimit(int(count) + ANSWERING)
    crowd = Crowd((host, int(port)), int(count))
    verbs = {"introduce": crowd.introduce, "register": crowd.register, "arrive": crowd.arrive, "checked": crowd.checked}
    for line in sys.stdin:
        print(json.dumps(verbs[line.strip()]()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
