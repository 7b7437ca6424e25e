"""
Where a seed listens, and where it says that it does.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from p2p.address import Address
from p2p.seed.service import SeedService
from p2p.settings import SeedSettings


class ListeningTests(SynchronousTestCase):
    """A seed's entry in config.txt, and the address and port it listens on."""

    def listening(self, said: str, **where: object) -> tuple[str, int]:
        """Interface and port of a seed whose entry is 192.0.2.1:5000, and which says that it listens there."""
        reactor = MemoryReactorClock()
        seed = SeedService(reactor, SeedSettings(), Address("192.0.2.1", 5000), **where)  # type: ignore[arg-type]
        with capturedLogs() as logs:
            seed.startService()
        self.assertIn(f" listens on {said}; 0 on the list", str(formatEvent(logs[0])))
        self.assertEqual("192.0.2.1:5000", logs[0]["address"])
        ((port, _, _, interface),) = reactor.tcpServers
        self.assertEqual("192.0.2.1:5000", seed.status()["address"])
        self.successResultOf(seed.stopService())
        return interface, port

    def test_onItsEntry(self) -> None:
        """Without a word it listens where its entry says."""
        self.assertEqual(("192.0.2.1", 5000), self.listening("192.0.2.1:5000"))

    def test_elsewhere(self) -> None:
        """Behind a forwarded port it listens elsewhere, and still says what the entry says."""
        said = "0.0.0.0:5999, others reach it at 192.0.2.1:5000"
        self.assertEqual(("0.0.0.0", 5999), self.listening(said, host="0.0.0.0", port=5999))
