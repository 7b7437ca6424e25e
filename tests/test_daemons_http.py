"""
The HTTP interface of daemons that run: over a UNIX socket and over TCP, with real sockets in between.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

from bench.ports import freePort
from p2p.commands.client import findDaemon
from tests.processes import Daemon, NetworkTestCase, until


class SocketTests(NetworkTestCase):
    """Over the UNIX socket."""

    def test_whatIsPublishedAtOneIsTellableAtAnother(self) -> None:
        """Singly and in a batch."""
        _, (first, second) = self.startNetwork(2)
        ids = [first.publish(b"one")]
        status, answer = first.request("POST", "/messages/batch", b'"two"\n"three"\n')
        self.assertEqual(status, 201)
        ids += answer["ids"]
        until(lambda: all(second.has(id) for id in ids), "all three are there")
        later = second.get(f"/messages?after={ids[0]}")
        self.assertEqual([(message["id"], message["hops"]) for message in later], [(id, 1) for id in ids[1:]])

    def test_aProgramReadsAllMessagesPageByPage(self) -> None:
        """There are more than one answer has."""
        _, (peer,) = self.startLone()
        status, answer = peer.request("POST", "/messages/batch", b'"x"\n' * 2500)
        self.assertEqual(status, 201)
        daemon = findDaemon(peer.port, os.path.relpath(self.directory), None, None)
        self.assertEqual([message["id"] for message in daemon.messages()], answer["ids"])
        self.assertEqual([message["id"] for message in daemon.get("/messages?last=3")], answer["ids"][-3:])

    def test_aBodyThatIsTooLargeIsRefusedWithAnAnswer(self) -> None:
        """However much of it is still on its way; the daemon goes on."""
        _, (peer,) = self.startLone()
        for size in (2**20 + 1, 20 * 2**20):
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(os.path.relpath(os.path.join(self.directory, f"{peer.name}.sock")))
                caller.sendall(f"POST /messages HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
                with contextlib.suppress(OSError):
                    caller.sendall(b"x" * size)
                self.assertIn(b"413", caller.recv(4096))
        self.assertEqual(peer.get("/status")["role"], "peer")

    def test_aClientOfEventsThatDoesNotReadIsCutOff(self) -> None:
        """The daemon does not keep what it missed, and goes on."""
        _, (peer,) = self.startLone()
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(os.path.relpath(os.path.join(self.directory, f"{peer.name}.sock")))
            caller.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: b"200 OK" in caller.recv(4096, socket.MSG_PEEK), "the stream begins")
            for _ in range(40):
                peer.publish(b"x" * 500_000)
            until(lambda: "did not read" in peer.log, "the client is cut off")
        self.assertEqual(peer.get("/status")["counters"]["published"], 40)

    def startLone(self) -> tuple[None, list[Daemon]]:
        """A peer whose seed does not run."""
        self.configure(freePort())
        return None, [self.start("peer", freePort(), "--gossip-count", "0").ready()]


class MemoryTests(NetworkTestCase):
    """What callers can make a daemon keep for them."""

    BOUND = 100
    """MiB that it may grow by; each of these would have taken more."""

    def setUp(self) -> None:
        """A peer, and how large it is."""
        super().setUp()
        self.configure(freePort())
        self.peer = self.start("peer", freePort(), "--gossip-count", "0").ready()
        self.before = self.largest()

    def largest(self) -> float:
        """The most memory that the daemon had so far, in MiB."""
        status = Path(f"/proc/{self.peer.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def grown(self) -> float:
        """By how much, in MiB; it answers still."""
        self.assertEqual(self.peer.get("/status")["role"], "peer")
        return self.largest() - self.before

    def caller(self, request: str) -> socket.socket:
        """A connection with a request on it."""
        caller = socket.socket(socket.AF_UNIX)
        self.addCleanup(caller.close)
        caller.settimeout(10)
        caller.connect(os.path.relpath(os.path.join(self.directory, f"{self.peer.name}.sock")))
        caller.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n".encode())
        return caller

    def listener(self) -> socket.socket:
        """One that is sent events from now on, and does not read."""
        caller = self.caller("GET /events")
        caller.sendall(b"\r\n")
        until(lambda: b"200 OK" in caller.recv(4096, socket.MSG_PEEK), "the stream begins")
        return caller

    def test_bodiesThatDoNotEnd(self) -> None:
        """Some wait for their end; the others are refused, and small ones get in."""
        size = 8 * 2**20
        callers = [self.caller("POST /messages/batch") for _ in range(20)]
        for caller in callers:
            with contextlib.suppress(OSError):
                caller.sendall(f"Content-Length: {size}\r\n\r\n".encode() + b"x" * (size - 1))
        self.assertTrue(self.peer.publish(b"small"))
        waiting, refused = callers[:4], callers[4:]
        self.assertEqual([b"HTTP/1.1 503"] * 16, [caller.recv(12) for caller in refused])
        for caller in waiting:
            caller.setblocking(False)
            self.assertRaises(BlockingIOError, caller.recv, 12)
        self.assertLess(self.grown(), self.BOUND)

    def test_eventsThatNobodyReads(self) -> None:
        """However many listen."""
        for _ in range(60):
            self.listener()
        batch = b"\n".join([b'"' + b"x" * 800_000 + b'"'] * 9)
        self.assertEqual(self.peer.request("POST", "/messages/batch", batch)[0], 201)
        self.assertLess(self.grown(), self.BOUND)

    def test_whoSendsOnWithoutReading(self) -> None:
        """It is not taken."""
        caller = self.listener()
        self.peer.publish(b"x" * 900_000)
        caller.settimeout(1)
        with self.assertRaises(TimeoutError):
            for _ in range(3 * self.BOUND):
                caller.sendall(b"x" * 2**20)
        self.assertLess(self.grown(), self.BOUND)


class TcpTests(NetworkTestCase):
    """Over TCP."""

    def startPeer(self, http: str, *options: str) -> Daemon:
        """A peer whose interface is there."""
        self.configure(freePort())
        return self.start("peer", freePort(), "--gossip-count", "0", "--http", http, *options)

    def ask(
        self, port: int, headers: dict[str, str], path: str = "/status", body: bytes | None = None
    ) -> tuple[int, Any]:
        """A request."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def answers(self, port: int) -> bool:
        """Somebody listens there."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def test_onLoopbackItNeedsNoTokenButAFittingHost(self) -> None:
        """A page in a browser can neither rebind its name nor post from another site."""
        port = freePort()
        self.startPeer(f"tcp:{port}:interface=127.0.0.1")
        until(lambda: self.answers(port), "it listens")
        self.assertEqual(self.ask(port, {})[0], 200)
        self.assertEqual(self.ask(port, {"Host": f"localhost:{port}"}, "/messages", b"x")[0], 201)
        self.assertEqual(self.ask(port, {"Host": f"evil.example:{port}"})[0], 403)
        self.assertEqual(self.ask(port, {"Origin": "http://evil.example"}, "/messages", b"x")[0], 403)
        self.assertEqual(self.ask(port, {}, "/messages?after=x-1-9")[1][0]["size"], 1)

    def test_forOthersItNeedsTheToken(self) -> None:
        """In every request."""
        port = freePort()
        Path(self.directory, "token").write_text("correct-horse\n")
        self.startPeer(f"tcp:{port}", "--http-token-file", "token")
        until(lambda: self.answers(port), "it listens")
        self.assertEqual(self.ask(port, {})[0], 401)
        self.assertEqual(self.ask(port, {"Authorization": "Bearer wrong-horse"}, "/messages", b"x")[0], 401)
        self.assertEqual(self.ask(port, {"Authorization": "Bearer correct-horse"})[0], 200)
        self.assertEqual(
            self.ask(port, {"Authorization": "Bearer correct-horse", "Host": "evil.example"})[0], 403
        )
