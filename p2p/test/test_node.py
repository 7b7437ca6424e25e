"""
Tests for L{p2p.node}: what is the same for a seed and a peer.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import p2p
from p2p.node import NodeService, NotRunning
from p2p.peer.errors import NotRunning as peerNotRunning
from p2p.test.fakes import FakePeerStore, FakeSeedStore, Network


class NodeTests(SynchronousTestCase):
    """Starting, keeping and ending."""

    def setUp(self) -> None:
        """One of each, not started, with its disk."""
        self.network = Network()
        self.disks: list[Any] = [FakeSeedStore(), FakePeerStore()]
        self.nodes: list[NodeService] = [
            self.network.seed(store=self.disks[0], start=False),
            self.network.peer(1, store=self.disks[1], start=False),
        ]

    def test_itListensBeforeItRunsAndEachStartIsALaterLife(self) -> None:
        """Once, though it may be told in two steps; it tells who and where it is, and since when."""
        for node in self.nodes:
            node.privilegedStartService()
            factory = node.factory
            self.assertFalse(node.running)
            node.startService()
            self.assertIs(node.factory, factory)
            self.network.run(5)
            status: Any = node.status()  # type: ignore[attr-defined]
            self.assertEqual((status["role"], status["uptime"]), (node.role, 5.0))
            self.assertEqual(status["id"], factory.identity[:8].hex())
            self.successResultOf(self.stopped(node))
            node.startService()
            self.assertEqual(node.factory.identity[:8], factory.identity[:8])
            self.assertGreater(node.factory.identity, factory.identity)

    def test_whatRunsIsNotStartedAgain(self) -> None:
        """It has one connection to each other, and says goodbye on it."""
        for node in self.nodes:
            for _ in range(2):
                node.startService()
            self.network.run(5)
        seed, peer = self.nodes
        self.assertEqual((seed.factory.connections, peer.factory.connections), (1, 1))
        gone: list[Any] = []
        seed.events.subscribe(gone.append)
        self.successResultOf(self.stopped(peer))
        self.assertEqual([event["reason"] for event in gone if event["type"] == "removed"], ["leaving"])

    def test_whatRunsListensOnce(self) -> None:
        """Also where it comes to a parent that runs, which asks for the privileged part anew."""
        for node in self.nodes:
            node.startService()
            port, factory = node._port, node.factory
            parent = MultiService()
            parent.startService()
            node.setServiceParent(parent)
            self.assertIs(node._port, port)
            self.assertIs(node.factory, factory)

    def test_whatIsBeingStoppedIsNotStartedYet(self) -> None:
        """The end of the last life would close the disk under the next one."""
        for node, disk in zip(self.nodes, self.disks, strict=True):
            node.startService()
            self.network.run(1)
            stuck: Deferred[None] = Deferred()
            port: Any = node._port
            stop = port.stopListening
            self.patch(port, "stopListening", lambda stop=stop, stuck=stuck: stop() or stuck)
            end = node.stopService()
            self.network.run(3)
            error = self.assertRaises(CannotListenError, node.startService)
            self.assertIn("this node is still being stopped", str(error))
            self.assertFalse(node.running)
            stuck.callback(None)
            self.successResultOf(end)
            self.assertTrue(getattr(disk, "closed", True))
            node.startService()
            self.assertTrue(node.running)

    def test_whoStopsItOnceMoreWaitsAsLong(self) -> None:
        """Until all is closed, and the disk is not before; once it is, for nothing."""
        for node, disk in zip(self.nodes, self.disks, strict=True):
            node.startService()
            self.network.run(1)
            stuck: Deferred[None] = Deferred()
            self.patch(node._port, "stopListening", lambda stuck=stuck: stuck)
            ends = [node.stopService(), node.stopService()]
            self.network.run(3)
            for end in ends:
                self.assertNoResult(end)
            self.assertFalse(getattr(disk, "closed", False))
            stuck.callback(None)
            for end in [*ends, node.stopService()]:
                self.assertIsNone(self.successResultOf(end))
        self.assertTrue(self.disks[0].closed)

    def test_beforeTheStartThereIsNoStatus(self) -> None:
        """It says so, of either, and of what is there an empty list."""
        for node in self.nodes:
            asked: Any = node
            self.assertRaises(NotRunning, asked.status)
            self.assertFalse(any(asked.peers().values()))
            self.assertIs(NotRunning, peerNotRunning)

    def test_eachCounterIsThereFromTheStart(self) -> None:
        """At 0, so that what watches one need not wait until it counts for the first time."""
        names: set[str] = set()
        for node in self.nodes:
            node.startService()
            counters = node.status()["counters"]  # type: ignore[attr-defined]
            self.assertEqual({name for name, value in counters.items() if value}, set())
            names |= counters.keys()
        top = Path(p2p.__file__).parent
        texts = [path.read_text(encoding="utf-8") for path in top.rglob("*.py") if "test" not in path.parts]
        counted = {name for text in texts for name in re.findall(r'counters"?\]?\["(\w+)"\]', text)}
        self.assertGreater(len(counted), 20)
        self.assertEqual(names, counted)

    def test_eachCounterAndGaugeIsTold(self) -> None:
        """In docs/operations.md; and nothing is told under their heading that there is not."""
        document = Path(p2p.__file__).parent.parent / "docs" / "operations.md"
        if not document.exists():
            raise SkipTest("the package is installed, without its documentation")
        names: set[str] = set()
        for node in self.nodes:
            node.startService()
            status = node.status()  # type: ignore[attr-defined]
            names |= {*status["counters"], *status["gauges"]}
        section = document.read_text(encoding="utf-8").partition("### Counters and gauges\n")[2].partition("\n###")[0]
        rows = [row for row in section.splitlines() if row.startswith("| `")]
        self.assertEqual({name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}, names)

    def stopped(self, node: NodeService) -> Any:
        """Stop it; what fires then."""
        over = node.stopService()
        self.network.run(3)
        return over

    def test_whatCannotBeKeptIsToldOnceAndTriedOn(self) -> None:
        """And that it can be kept again; all are counted."""
        for node, disk in zip(self.nodes, self.disks, strict=True):
            node.startService()
            disk.broken = True
            with capturedLogs() as logs:
                for _ in range(3):
                    node.save()
                disk.broken = False
                for _ in range(2):
                    node.save()
            lines = [str(formatEvent(entry)) for entry in logs]
            self.assertEqual(
                [line for line in lines if node.kept in line],
                [f"{node.kept} cannot be kept: no space left; trying on", f"{node.kept} is kept again"],
            )
            self.assertEqual(node.factory.counters["saveErrors"], 3)

    def test_howeverKeepingFailsItLeavesInGoodOrder(self) -> None:
        """It is told with a traceback, once, for it is no disk's fault; port, links and disk are closed."""

        def broken() -> NoReturn:
            raise ZeroDivisionError("of all things")

        for node in self.nodes:
            node.startService()
            self.patch(node, "keep", broken)
            port: Any = node._port
            with capturedLogs() as logs:
                node.save()
                self.assertIsNone(self.successResultOf(self.stopped(node)))
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            lines = [str(formatEvent(entry)) for entry in logs]
            self.assertIn(f"{node.kept} cannot be kept: of all things; trying on", lines)
            self.assertEqual(node.factory.counters["saveErrors"], 2)
            self.assertEqual(port._host.ports, {})
        self.assertTrue(self.disks[0].closed)

    def test_itSavesNowAndThen(self) -> None:
        """As often as it says, while it runs."""
        for node, disk in zip(self.nodes, self.disks, strict=True):
            saves: list[float] = []
            self.patch(disk, "save", lambda *what, saves=saves: saves.append(self.network.clock.seconds()))
            node.startService()
            self.network.run(10 * node.saveInterval)
            self.assertIn(len(saves), (10, 11, 12))
            self.stopped(node)
            before = len(saves)
            self.network.run(10 * node.saveInterval)
            self.assertEqual(len(saves), before)

    def test_aPortThatDoesNotCloseKeepsNothingElseOpen(self) -> None:
        """It is logged; links and disk are closed all the same."""
        for node in self.nodes:
            node.startService()
            port: Any = node._port
            port.stopListening = lambda: fail(OSError("stuck"))
            self.assertIsNone(self.successResultOf(self.stopped(node)))
            self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
            self.assertEqual(node.factory.connections, 0)
        self.assertTrue(self.disks[0].closed)

    def test_whatNeverRanStopsAtOnce(self) -> None:
        """And closes its disk."""
        for node in self.nodes:
            self.assertIsNone(self.successResultOf(node.stopService()))
        self.assertTrue(self.disks[0].closed)
