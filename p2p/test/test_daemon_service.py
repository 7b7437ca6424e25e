"""
Tests for L{p2p.daemon.service}.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
from errno import EPERM
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger
from twisted.python.usage import Options
from twisted.trial.unittest import SynchronousTestCase

from p2p.address import Address
from p2p.daemon import peer as peerPlugin
from p2p.daemon import seed as seedPlugin
from p2p.daemon import service as module
from p2p.daemon.options import PeerOptions
from p2p.daemon.service import Daemon, StartFailed, _endWithTerminal, makePeer, makeSeed
from p2p.peer import strategies
from p2p.peer.strategies import Installed, Strategy
from p2p.test.daemonfakes import FakeClaim, FakeNode

WEB = "/nowhere/web.sock"
"""Where the HTTP interface listens, in memory."""


class DaemonCase(SynchronousTestCase):
    """A daemon around a node that does nothing."""

    def setUp(self) -> None:
        """Make it."""
        self.directory = os.path.realpath(self.mktemp())
        os.mkdir(self.directory)
        with open(os.path.join(self.directory, "config.txt"), "w") as file:
            file.write("127.0.0.1:5000\n")
        self.reactor = MemoryReactorClock()
        self.reactor.advance(1_700_000_000)
        self.story: list[str] = []
        self.said: list[str] = []
        self.claim = FakeClaim()

    def options(self, *arguments: str, type: Any = PeerOptions, parent: dict[str, Any] | None = None) -> Any:
        """A command line."""
        options = type(self.claim)
        options.parent = Options()
        options.parent.update(parent or {})
        options.parseOptions(
            ["--config", f"{self.directory}/config.txt", "--log-dir", self.directory,
             "--state-dir", self.directory, "--http", f"unix:{WEB}", *arguments]
        )  # fmt: skip
        return options

    def make(self, *arguments: str, parent: dict[str, Any] | None = None) -> Daemon:
        """The daemon; C{story} tells what happens to its parts."""
        self.node = FakeNode(self.reactor, story=self.story)
        options = self.options("--port", "6001", *arguments, parent=parent)
        daemon = Daemon(self.reactor, options, self.node, self.said.append)
        for service in daemon.services:
            if service is not self.node:
                self.follow(service)
        return daemon

    def follow(self, service: Service) -> None:
        """Note when a part starts and stops."""
        for method, word in (("privilegedStartService", "listens"), ("stopService", "stops")):
            real = getattr(service, method)

            def noted(real: Any = real, text: str = f"{service.name} {word}") -> Any:
                self.story.append(text)
                return real()

            self.patch(service, method, noted)


class StartTests(DaemonCase):
    """The order of the start."""

    def test_theLogIsOpenedFirstAndHttpLast(self) -> None:
        """Nothing that the node says is missed, and nobody asks a node that does not listen."""
        daemon = self.make()
        daemon.privilegedStartService()
        daemon.startService()
        self.assertEqual(self.story, ["log listens", "node listens", "http listens", "node starts"])
        self.assertTrue(os.path.exists(f"{self.directory}/peer-6001.log"))
        self.assertEqual(self.claim.taken[-1], ("listening", None))
        daemon.stopService()

    def test_underTwistOneCallStartsEverything(self) -> None:
        """It does not call privilegedStartService."""
        daemon = self.make()
        daemon.startService()
        self.assertEqual([server[0] for server in self.reactor.unixServers], [WEB])
        self.assertTrue(daemon.node.running)
        daemon.stopService()

    def handedOver(self, *arguments: str, **parent: int) -> list[Any]:
        """To whom the files are given in a start with these options of C{twistd}'s, and then the socket."""
        given: list[Any] = []

        def chown(*to: Any, follow_symlinks: bool) -> None:
            self.assertFalse(follow_symlinks)
            given.append(to)

        self.patch(os, "chown", chown)
        self.patch(self.claim, "handOver", lambda *to: given.append(to))
        daemon = self.make(*arguments, parent=parent)
        daemon.privilegedStartService()
        daemon.stopService()
        return given

    def test_theFilesBelongToWhomTwistdBecomes(self) -> None:
        """Else whoever starts under that name later could open neither list nor log, nor ask the daemon."""
        user, group = os.getuid(), pwd.getpwuid(os.getuid()).pw_gid
        self.assertEqual(self.handedOver(uid=1001, gid=1002), [(1001, 1002), (WEB, 1001, 1002)])
        self.assertEqual(self.handedOver(uid=user), [(user, group), (WEB, user, group)])
        self.assertEqual(self.handedOver(gid=1002), [(-1, 1002), (WEB, -1, 1002)])
        self.assertEqual(self.handedOver("--http", "none", uid=1001, gid=1002), [(1001, 1002)])
        self.assertEqual(self.handedOver(), [])

    def test_aStartThatFailsWhenItListensLeavesNoSocket(self) -> None:
        """Here where this process may not give the files away."""
        # The directory of a test may be too deep for a socket.
        short = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, short)
        path = f"{short}/web.sock"

        def handOver(*to: int) -> None:
            with open(path, "w"):
                raise PermissionError(EPERM, "Operation not permitted", "peer-6001.lock")

        self.patch(self.claim, "handOver", handOver)
        daemon = self.make("--http", f"unix:{path}", parent={"uid": 1001, "gid": 1002})
        self.assertRaises(SystemExit, daemon.privilegedStartService)
        self.assertEqual(self.said, ["p2ppeer: [Errno 1] Operation not permitted: 'peer-6001.lock'"])
        self.assertFalse(os.path.exists(path))

    def test_aUserThatThereIsNotEndsTheStart(self) -> None:
        """C{twistd} would ask for his group, with a traceback."""
        self.assertRaises(SystemExit, self.handedOver, uid=2**31 - 3)
        self.assertEqual(self.said, [f"p2ppeer: --uid {2**31 - 3}: there is no such user"])


class StopTests(DaemonCase):
    """The order of the end."""

    def start(self) -> Daemon:
        """A daemon that runs."""
        daemon = self.make()
        daemon.privilegedStartService()
        daemon.startService()
        self.story.clear()
        return daemon

    def test_theNodeSaysGoodbyeFirstAndTheLogIsClosedLast(self) -> None:
        """One after the other: what waits, is waited for."""
        daemon = self.start()
        goodbye: Deferred[None] = Deferred()
        self.node.stopResult = goodbye
        done = daemon.stopService()
        self.assertEqual(self.story, ["node stops"])
        Logger("p2p.peer.service").info("goodbye")
        goodbye.callback(None)
        self.successResultOf(done)
        self.assertEqual(self.story, ["node stops", "http stops", "log stops"])
        with open(f"{self.directory}/peer-6001.log") as file:
            self.assertIn("goodbye", file.read())
        self.assertEqual(self.claim.released, 1)

    def test_aGoodbyeThatDoesNotEndIsNotWaitedForForEver(self) -> None:
        """A second beyond what it may take; the rest ends in order."""
        daemon = self.start()
        self.node.stopResult = Deferred()
        done = daemon.stopService()
        self.reactor.advance(self.node.settings.goodbyeTimeout)
        self.assertNoResult(done)
        self.reactor.advance(1.0)
        self.successResultOf(done)
        self.assertEqual(self.story, ["node stops", "http stops", "log stops"])
        self.flushLoggedErrors()

    def test_aPartThatFailsToStopDoesNotKeepTheOthers(self) -> None:
        """It is logged, in the file too."""
        daemon = self.start()
        self.node.stopResult = Deferred()
        done = daemon.stopService()
        self.node.stopResult.errback(ZeroDivisionError("of all things"))
        self.successResultOf(done)
        self.assertEqual(self.story, ["node stops", "http stops", "log stops"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        with open(f"{self.directory}/peer-6001.log") as file:
            self.assertIn("did not stop as it should", file.read())


class FailureTests(DaemonCase):
    """A start that fails although everything was looked at: somebody was quicker."""

    error = CannotListenError("127.0.0.1", 6001, OSError(98, "Address already in use"))

    def test_itEndsTheProcessWithOneLine(self) -> None:
        """No traceback, and everything that was started is stopped."""
        daemon = self.make()
        self.node.startError = self.error
        exit = self.assertRaises(SystemExit, daemon.privilegedStartService)
        self.assertEqual(exit.code, 1)
        self.assertEqual(
            self.said, ["p2ppeer: cannot listen on 127.0.0.1:6001: [Errno 98] Address already in use"]
        )
        self.assertEqual(self.claim.released, 1)
        self.assertFalse(daemon.log.running)

    def test_thePidFileIsRemoved(self) -> None:
        """twistd -n has written it by then, and removes it only after an ordinary exception."""
        daemon = self.make(parent={"pidfile": "twistd.pid", "nodaemon": 1})
        path = f"{self.directory}/peer-6001.pid"
        with open(path, "w") as file:
            file.write(str(os.getpid()))
        self.node.startError = self.error
        self.assertRaises(SystemExit, daemon.privilegedStartService)
        self.assertFalse(os.path.exists(path))

    def test_aForkedDaemonTellsItsParentThroughTwistd(self) -> None:
        """Which prints it, ends with 1, and removes the pid file."""
        daemon = self.make()
        daemon._options.parent["statusPipe"] = 5  # type: ignore[index]
        self.node.startError = self.error
        error = self.assertRaises(StartFailed, daemon.privilegedStartService)
        self.assertIn("cannot listen on 127.0.0.1:6001", str(error))
        self.assertEqual(self.said, [])

    def test_aLogThatCannotBeOpenedIsSuchAFailure(self) -> None:
        """A directory stands in its place."""
        os.mkdir(f"{self.directory}/peer-6001.log")
        daemon = self.make()
        self.assertRaises(SystemExit, daemon.privilegedStartService)
        self.assertEqual(len(self.said), 1)
        self.assertIn("peer-6001.log", self.said[0])
        self.assertNotIn("node listens", self.story)

    def test_aFullDiskLaterIsToldToo(self) -> None:
        """The log has no other place to say it."""
        daemon = self.make()
        daemon.log._file._complain("peer-6001.log: No space left on device")
        self.assertEqual(self.said, ["p2ppeer: peer-6001.log: No space left on device"])


class MakeServiceTests(DaemonCase):
    """What the plugins make."""

    def test_aPeerOfTheRealKind(self) -> None:
        """With everything that the command line says."""
        options = self.options("--port", "6001", "--advertise", "192.0.2.1:7000", "--max-connections", "2")
        daemon = makePeer(options, self.reactor)
        self.assertEqual(daemon.node.role, "peer")
        self.assertEqual(daemon.node.settings.maxConnections, 2)
        daemon.privilegedStartService()
        self.addCleanup(daemon.log.stopService)
        self.assertEqual(daemon.node.address, Address("192.0.2.1", 7000))
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [6001])
        self.assertEqual([server[0] for server in self.reactor.unixServers], [WEB])

    def test_aSeedOfTheRealKind(self) -> None:
        """It listens where it is told, and is its entry in the list to others."""
        options = self.options("--host", "0.0.0.0", type=seedPlugin.Options)
        daemon = makeSeed(options, self.reactor)
        daemon.privilegedStartService()
        self.assertEqual(daemon.node.address, Address("127.0.0.1", 5000))
        self.assertEqual([(server[0], server[3]) for server in self.reactor.tcpServers], [(5000, "0.0.0.0")])
        self.assertTrue(os.path.exists(f"{self.directory}/seed-5000.db"))
        daemon.node._store.close()
        daemon.log.stopService()

    def test_aStrategyThatDoesNotExistEndsTheStart(self) -> None:
        """With one line."""
        options = self.options("--port", "6001", "--overlay", "nonsense")
        error = self.assertRaises(SystemExit, makePeer, options, self.reactor)
        self.assertIn("p2ppeer: --overlay: there is no 'nonsense', only ", str(error.code))
        self.assertNotIn("\n", str(error.code))

    def test_aStrategyThatCannotBeMadeEndsTheStart(self) -> None:
        """With one line, and the files are given back."""
        strategy = Strategy("overlay", "broken", "", "no.such.Home")
        self.patch(strategies, "installed", lambda: Installed({"overlay": {"broken": strategy}}, []))
        options = self.options("--port", "6001", "--overlay", "broken")
        error = self.assertRaises(SystemExit, makePeer, options, self.reactor)
        self.assertEqual(
            error.code,
            "p2ppeer: --overlay: 'broken' (no.such.Home) cannot be made:"
            " ObjectNotFound: 'no.such.Home' does not name an object",
        )
        self.assertEqual(self.claim.released, 1)

    def test_aStrategyThatIsBrokenIsTold(self) -> None:
        """By a peer, which goes on without it."""
        there = Installed(strategies.installed().usable, ["the strategy a.B is passed over: it is broken"])
        self.patch(strategies, "installed", lambda: there)
        said: list[str] = []
        self.patch(module, "say", said.append)
        makePeer(self.options("--port", "6001"), self.reactor)
        self.assertEqual(said, ["p2ppeer: the strategy a.B is passed over: it is broken"])

    def test_aTerminalThatIsClosedStopsIt(self) -> None:
        """As SIGTERM does: with a goodbye.  Where that is ignored, it stays so."""
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        self.reactor.callFromThread = lambda call: call()  # type: ignore[attr-defined]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _endWithTerminal(self.reactor)
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        _endWithTerminal(self.reactor)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertTrue(self.reactor.hasStopped)

        def stop() -> None:
            raise ReactorNotRunning

        # As of a reactor that is stopping already.
        self.patch(self.reactor, "stop", stop)
        os.kill(os.getpid(), signal.SIGHUP)

    def test_thePluginsPointHere(self) -> None:
        """By the names that ServiceMaker looks for."""
        self.assertIs(peerPlugin.makeService, makePeer)
        self.assertIs(seedPlugin.makeService, makeSeed)
        self.assertIs(peerPlugin.Options, PeerOptions)
