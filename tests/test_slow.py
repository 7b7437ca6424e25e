"""
Neighbours that never read and come back at once, against a real daemon.
"""

from __future__ import annotations

import threading
import time

from bench.ports import freePort
from tests.processes import Daemon, NetworkTestCase
from tests.second import Second, Talk

TIMEOUT = 1.0
"""C{--slow-timeout}, in seconds."""

SIZE = 500_000
"""Bytes in each message that is published."""


class Leech(threading.Thread):
    """
    A node that is a neighbour, says every moment that it lives, reads nothing, and dials again when it is cut off.

    @ivar rename: it takes another name each time.
    @ivar links: how often it was let in.
    @ivar reasons: with which words it was turned away.
    """

    def __init__(self, port: int, rename: bool) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.rename = rename
        self.links = 0
        self.reasons: set[str] = set()
        self.node = Second()
        self._over = threading.Event()

    def run(self) -> None:
        """Do so until C{stop} is called."""
        while not self._over.is_set():
            if self.rename:
                self.node.close()
                self.node = Second()
            talk = self.node.greet(self.port, "neighbour")
            self.node.until(lambda talk=talk: bool(talk.messages) or talk.over, "an answer")  # type: ignore[misc]
            if not talk.messages or talk.messages[0][0] != "Welcome":
                self.reasons |= {fields[0] for name, fields in talk.messages if name == "Close"}
                talk.close()
                self._over.wait(0.2)
                continue
            self.links += 1
            self._starve(talk)
        self.node.close()

    def _starve(self, talk: Talk) -> None:
        talk.say("Have", [], True)
        number = 0
        while not talk.over and not self._over.wait(0.2):
            number += 1
            talk.say("Ping", number)

    def stop(self) -> None:
        """Let it end."""
        self._over.set()
        self.join(30)


class SlowTests(NetworkTestCase):
    """Who publishes must not be at the mercy of who does not read."""

    def share(self, pause: float, seconds: float, rename: bool = False) -> tuple[float, list[Leech], Daemon]:
        """What share of what a peer publishes is taken, while two such neighbours are there."""
        self.configure(freePort())
        options = ["--slow-timeout", str(TIMEOUT), "--slow-pause", str(pause), "--gossip-count", "0"]
        peer = self.start("peer", freePort(), *options).ready()
        leeches = [Leech(peer.port, rename) for _ in range(2)]
        for leech in leeches:
            leech.start()
            self.addCleanup(leech.stop)
        taken = tried = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status, _ = peer.request("POST", "/messages", bytes(SIZE))
            self.assertIn(status, (201, 503))
            tried += 1
            taken += status == 201
            time.sleep(0.05)
        return taken / tried, leeches, peer

    def test_theySilenceItOnlyOnce(self) -> None:
        """Then they are turned away with the reason, though a probe of theirs is answered."""
        silenced, leeches, _ = self.share(0.0, 8.0)
        self.assertGreater(sum(leech.links for leech in leeches), 4)
        share, leeches, peer = self.share(30.0, 12.0)
        self.assertEqual([leech.reasons for leech in leeches], [{"slow"}] * 2)
        self.assertEqual([leech.links for leech in leeches], [1, 1])
        self.assertEqual(leeches[0].node.dial(peer.port, "probe").over, False)
        self.assertIn("left alone for 30 s", peer.log)
        self.assertLess(silenced, 0.5)
        self.assertGreater(share, 0.75)
