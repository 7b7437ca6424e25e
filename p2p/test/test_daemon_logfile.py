"""
Tests for L{p2p.daemon.logfile}.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from p2p.daemon import logfile
from p2p.daemon.logfile import JsonLines, LineFile, LogFile, MessageLines, Stamp, TextLines, TwistdsLog
from p2p.test.daemonfakes import FakeNode, delivery

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


class FullDisk:
    """
    A raw file on a disk with so much room.

    @ivar room: bytes that can still be written; C{None} for no bound.
    """

    def __init__(self, path: str) -> None:
        self.file = open(path, "ab+", 0)  # noqa: SIM115
        self.room: int | None = None

    def write(self, data: bytes) -> int:
        """Write what there is room for."""
        if self.room is not None:
            if not self.room:
                raise OSError(28, "No space left on device")
            data = data[: self.room]
            self.room -= len(data)
        return self.file.write(data) or 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class LogCase(SynchronousTestCase):
    """A directory and a clock."""

    def setUp(self) -> None:
        """Make them."""
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.complaints: list[str] = []

    def read(self, name: str = "peer-6001.log") -> list[str]:
        """The lines of a file."""
        with open(os.path.join(self.directory, name), encoding="utf-8") as file:
            return file.read().splitlines()


class StampTests(SynchronousTestCase):
    """Times as text."""

    def test_itIsIso8601WithMillisecondsAndOffset(self) -> None:
        """So that lines of different machines can be compared."""
        stamp = Stamp()
        self.assertRegex(stamp(1_700_000_000.0), f"^{STAMP}$")
        self.assertEqual(stamp(1_700_000_000.2504)[19:23], ".250")
        self.assertEqual(stamp(1_700_000_000.9999)[19:23], ".999")

    def test_whatItKeepsForASecondIsNotTakenForAnother(self) -> None:
        """Going on and going back."""
        stamp = Stamp()
        texts = [stamp(when) for when in (1_700_000_000.5, 1_700_000_001.5, 1_700_000_000.5)]
        self.assertEqual(texts[0], texts[2])
        self.assertEqual([text[17:19] for text in texts[:2]], ["20", "21"])


class MovedTests(LogCase):
    """What becomes of the file when others lay hands on it."""

    def setUp(self) -> None:
        """A file of lines."""
        super().setUp()
        say = self.complaints.append
        self.file = LineFile(self.directory, "peer-6001.log", say, self.clock.seconds, lambda lost: b"lost %d\n" % lost)
        self.path = os.path.join(self.directory, "peer-6001.log")
        self.file.open()
        self.addCleanup(self.file.close)
        self.file.write(b"before\n")

    def test_oneThatIsRemovedIsBegunAnew(self) -> None:
        """With the next line; nothing is complained of."""
        os.unlink(self.path)
        self.file.write(b"after\n")
        self.file.write(b"and on\n")
        self.assertEqual(self.read(), ["after", "and on"])
        self.assertEqual(self.complaints, [])

    def test_oneThatIsRenamedKeepsWhatItHasAndANewOneIsBegun(self) -> None:
        """As logrotate does it, whether it makes an empty one in its place or none."""
        for number, create in enumerate((False, True)):
            aside = f"{self.path}-{number}"
            os.rename(self.path, aside)
            if create:
                open(self.path, "wb").close()
            self.file.write(b"after\n")
            self.assertEqual(self.read(), ["after"])
        self.assertEqual(self.read("peer-6001.log-0"), ["before"])
        self.assertEqual(self.read("peer-6001.log-1"), ["after"])

    def test_oneThatIsCutShortHasNoHole(self) -> None:
        """It goes on where it ends."""
        os.truncate(self.path, 0)
        self.file.write(b"after\n")
        self.file.write(b"and on\n")
        self.assertEqual(self.read(), ["after", "and on"])

    def test_oneThatAnotherTookThePlaceOfIsGoneOnWith(self) -> None:
        """As an editor does it that writes a new file."""
        shutil.copy(self.path, f"{self.path}-new")
        os.replace(f"{self.path}-new", self.path)
        self.file.write(b"after\n")
        self.assertEqual(self.read(), ["before", "after"])

    def test_whatOthersWroteIsNotWrittenOver(self) -> None:
        """It goes on behind that."""
        with open(self.path, "ab") as file:
            file.write(b"a remark\n")
        self.file.write(b"after\n")
        self.assertEqual(self.read(), ["before", "a remark", "after"])

    def test_whatCannotBeSeenIsTakenToBeThere(self) -> None:
        """The open file can still be written."""
        stat = os.stat

        def sealed(path: Any, **how: Any) -> os.stat_result:
            if path == self.path:
                raise PermissionError(13, "Permission denied")
            return stat(path, **how)

        self.patch(os, "stat", sealed)
        self.file.write(b"after\n")
        self.assertEqual(self.read(), ["before", "after"])
        self.assertEqual(self.complaints, [])

    def test_whereNoneCanBeBegunItIsComplainedOf(self) -> None:
        """The directory is gone, say; once it is there again, so is the file."""
        shutil.rmtree(self.directory)
        self.file.write(b"lost\n")
        (complaint,) = self.complaints
        self.assertIn("peer-6001.log: ", complaint)
        os.mkdir(self.directory)
        self.clock.advance(logfile.RETRY)
        self.file.write(b"after\n")
        self.assertEqual(self.read(), ["lost 1", "after"])

    def test_itsOwnRotationIsNoneOfThat(self) -> None:
        """What was put aside, and what was begun, have each line once."""
        self.patch(logfile, "ROTATE_AT", 100)
        self.file.close()
        for number in range(30):
            self.clock.advance(0.5)
            self.file.write(b"line %06d\n" % number)
        names = sorted(os.listdir(self.directory), reverse=True)
        self.assertEqual(names, [f"peer-6001.log.{number}" for number in (3, 2, 1)] + ["peer-6001.log"])
        lines = [line for name in names for line in self.read(name)]
        self.assertEqual(lines, ["before", *(f"line {number:06d}" for number in range(30))])


class LogFileTests(LogCase):
    """What gets into the file."""

    def setUp(self) -> None:
        """A node and its log."""
        super().setUp()
        self.node = FakeNode(self.clock)

    def start(self, format: str = "text", limit: int = 100) -> LogFile:
        """A log that is open until the test ends."""
        log = LogFile(
            self.clock, self.node, self.directory, "peer-6001", format, limit, self.complaints.append
        )
        log.privilegedStartService()
        log.startService()
        self.addCleanup(log.stopService)
        return log

    def test_whatCannotBePrintedIsToldOnce(self) -> None:
        """When the terminal is gone, Twisted says so at every event; the file has it once, and goes on."""
        self.start()

        @implementer(ILogObserver)
        def gone(event: LogEvent) -> None:
            raise BrokenPipeError("nobody reads")

        globalLogPublisher.addObserver(gone)
        self.addCleanup(globalLogPublisher.removeObserver, gone)
        for number in range(3):
            Logger("p2p.test").info("event {number}", number=number)
        globalLogPublisher.removeObserver(gone)
        self.assertTrue(self.flushLoggedErrors(BrokenPipeError))
        text = "\n".join(self.read())
        self.assertEqual(1, text.count("nobody reads"), text)
        self.assertNotIn("Traceback", text)
        self.assertEqual(3, text.count("event "))

    def test_whatTheNodeSaysIsInIt(self) -> None:
        """Of the level info and above."""
        self.start()
        Logger("p2p.peer.service").info("linked to {peer}", peer="somebody")
        Logger("p2p.peer.service").debug("a detail")
        Logger("p2p.wire.link").warn("bad input")
        lines = self.read()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], f"^{STAMP} info: linked to somebody$")
        self.assertRegex(lines[1], f"^{STAMP} warn: bad input$")

    def test_whatOthersSayIsNotUnlessItIsAnError(self) -> None:
        """An unhandled error concerns the operator, wherever it comes from."""
        self.start()
        Logger("twisted.web.http").info("chatter")
        Logger("p2pother.module").info("chatter")
        Logger("twisted.internet.defer").error("a fault")
        self.assertEqual([line.partition(" ")[2] for line in self.read()], ["error: a fault"])

    def test_aFailureComesWithItsTraceback(self) -> None:
        """On lines that are set in."""
        self.start()
        try:
            raise ZeroDivisionError("of all things")
        except ZeroDivisionError:
            Logger("p2p.peer.service").failure("a subscriber failed")
        self.flushLoggedErrors(ZeroDivisionError)
        lines = self.read()
        self.assertRegex(lines[0], "critical: a subscriber failed$")
        self.assertIn("ZeroDivisionError: of all things", lines[-1])
        self.assertTrue(all(line.startswith("    ") for line in lines[1:]))

    def test_eachMessageFirstSeenIsInIt(self) -> None:
        """With time, id, from whom, hops and size."""
        self.start()
        self.node.subscribers[0](delivery(5, b"12345", self.clock.seconds()))
        self.node.subscribers[0](delivery(6, b"", self.clock.seconds(), None))
        lines = self.read()
        self.assertRegex(
            lines[0],
            f"^{STAMP} message: {delivery(5).id} from 127.0.0.1:6002 hops 2 size 5$",
        )
        self.assertIn(f"message: {delivery(6).id} from this peer", lines[1])

    def test_asJsonNoTextIsTooOdd(self) -> None:
        """Half a surrogate pair, of a file's name that is no text, is spelt out; the line is not lost."""
        event = {"log_time": 1.0, "log_format": "{path} is bad", "path": "/tmp/\udcff", "good": "é"}
        line = json.loads(JsonLines().event(event))
        self.assertEqual((line["path"], line["text"], line["good"]), ("/tmp/\\udcff", "/tmp/\\udcff is bad", "é"))

    def test_asJsonEachLineIsAnObject(self) -> None:
        """With the fields of what was said, for programs."""
        self.start("json")
        Logger("p2p.seed.service").info("{peer} removed", peer="x", active=3, odd=object)
        self.node.subscribers[0](delivery(5, b"12345", self.clock.seconds()))
        said, message = map(json.loads, self.read())
        self.assertRegex(said.pop("time"), f"^{STAMP}$")
        self.assertIn("class 'object'", said.pop("odd"))
        self.assertEqual(
            said, {"level": "info", "namespace": "p2p.seed.service", "text": "x removed", "peer": "x", "active": 3}
        )
        message.pop("time")
        self.assertEqual(
            message,
            {"level": "message", "id": delivery(5).id, "from": "127.0.0.1:6002", "hops": 2, "size": 5},
        )

    def test_aLineBreakInWhatIsSaidMakesNoSecondLineOfJson(self) -> None:
        """What the other side wrote cannot forge a line."""
        self.start("json")
        Logger("p2p.wire.link").warn("{detail}", detail='a\n{"level": "info"}')
        self.assertEqual(len(self.read()), 1)

    def test_aLineBreakInWhatIsSaidForgesNoLineOfText(self) -> None:
        """It is shown, set in, as a part of the line that it stands in."""
        self.start()
        Logger("p2p.wire.link").warn("{detail}", detail="a\n2026-01-01T00:00:00.000+00:00 info: forged")
        lines = self.read()
        self.assertFalse(any(re.match(f"{STAMP} info: forged", line) for line in lines))

    def test_connectionsThatCannotBeTakenAreToldOnceAMinute(self) -> None:
        """Twisted says so for each, as if it were nothing; the reason is in the line, and what helps."""
        self.start()
        twisted = Logger("twisted.internet.tcp.Port")
        for _ in range(10):
            twisted.info("EMFILE encountered; releasing reserved file descriptor.")
            twisted.info("EMFILE recovery: Closed socket from {address}", address="x")
        (line,) = self.read()
        self.assertIn("warn: new connections cannot be taken: no file descriptor is left, raise the limit", line)
        self.clock.advance(61)
        twisted.info("Could not accept new connection ({acceptError})", acceptError="ENOBUFS")
        self.assertIn("cannot be taken: ENOBUFS", self.read()[-1])

    def test_nothingListensToTheNodesEvents(self) -> None:
        """They would be made for every message."""
        self.start()
        self.assertEqual(self.node.events.listeners, ())

    def test_whenItIsStoppedNothingFollows(self) -> None:
        """The file is closed, and nobody writes to it any more."""
        log = self.start()
        log.stopService()
        Logger("p2p.peer.service").info("too late")
        self.assertEqual(self.node.subscribers, [])
        self.assertEqual(self.read(), [])

    def test_aSeedsLogNeedsNoMessages(self) -> None:
        """A seed has nothing to subscribe to."""
        node: Any = object()
        log = LogFile(self.clock, node, self.directory, "seed-5000", "text", 100, self.complaints.append)
        log.startService()
        self.addCleanup(log.stopService)
        Logger("p2p.seed.service").info("registered")
        self.assertEqual(len(self.read("seed-5000.log")), 1)

    def test_aSecondStartAppends(self) -> None:
        """The story of the first is not lost."""
        self.start().stopService()
        log = self.start()
        Logger("p2p.peer.service").info("one")
        log.stopService()
        log = self.start()
        Logger("p2p.peer.service").info("two")
        self.assertEqual(len(self.read()), 2)

    def test_itIsRotated(self) -> None:
        """So that it does not fill the disk, and only so many are kept."""
        self.patch(logfile, "ROTATE_AT", 1000)
        self.start()
        say = Logger("p2p.peer.service")
        for _ in range(200):
            say.info("x" * 100)
        names = sorted(os.listdir(self.directory))
        self.assertEqual(names, ["peer-6001.log", *(f"peer-6001.log.{n}" for n in range(1, logfile.KEPT + 1))])
        for name in names:
            self.assertLess(os.path.getsize(os.path.join(self.directory, name)), 1200)


class BudgetTests(SynchronousTestCase):
    """So many messages a second get a line each."""

    def setUp(self) -> None:
        """A budget of three."""
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.lines: list[bytes] = []
        self.messages = MessageLines(self.clock, TextLines(), self.lines.append, 3)

    def see(self, count: int, size: int = 10) -> None:
        """Messages come now."""
        for number in range(count):
            self.messages(delivery(number + 1, b"x" * size, self.clock.seconds()))

    def take(self) -> list[str]:
        """What was written, without the time."""
        lines = [line.decode().partition(" ")[2].rstrip() for line in self.lines]
        self.lines.clear()
        return lines

    def test_beyondItOneLineCountsTheRest(self) -> None:
        """When the next second has begun."""
        self.see(10)
        self.assertEqual(len(self.take()), 3)
        self.clock.advance(1.0)
        self.see(1)
        lines = self.take()
        self.assertEqual(lines[0], "message: and 7 more in this second, 70 bytes")
        self.assertEqual(len(lines), 2)

    def test_itIsToldAlsoIfNoMessageFollows(self) -> None:
        """A second later at the latest."""
        self.see(4)
        self.take()
        self.clock.advance(1.0)
        self.assertEqual(self.take(), ["message: and 1 more in this second, 10 bytes"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_eachSecondHasItsOwn(self) -> None:
        """However many there were before; so a line a message is written while they are few."""
        for _ in range(5):
            self.see(3)
            self.assertEqual(len(self.take()), 3)
            self.clock.advance(1.0)

    def test_atTheEndTheRestIsToldToo(self) -> None:
        """And no timer is left."""
        self.see(5)
        self.take()
        self.messages.flush()
        self.assertEqual(self.take(), ["message: and 2 more in this second, 20 bytes"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aBudgetOfNoneCountsAllOfThem(self) -> None:
        """One line a second."""
        self.messages = MessageLines(self.clock, JsonLines(), self.lines.append, 0)
        self.see(1000)
        self.assertEqual(self.lines, [])
        self.messages.flush()
        line = json.loads(self.lines[0])
        self.assertEqual((line["more"], line["size"]), (1000, 10000))


class FullDiskTests(LogCase):
    """A disk that is full costs lines, nothing else."""

    def setUp(self) -> None:
        """A file whose disk can be filled."""
        super().setUp()
        self.lines = LineFile(
            self.directory,
            "peer-6001.log",
            self.complaints.append,
            self.clock.seconds,
            lambda lost: b"%d are missing\n" % lost,
        )
        self.room: int | None = None
        real = logfile._WholeLines._openFile

        def openFile(file: Any) -> None:
            real(file)
            path = file._file.name
            file._file.close()
            file._file = FullDisk(path)
            file._file.room = self.room
            self.disk: FullDisk = file._file

        self.patch(logfile._WholeLines, "_openFile", openFile)
        self.lines.open()
        self.addCleanup(self.lines.close)

    def test_itIsComplainedOfOnce(self) -> None:
        """Not for each line, and nothing is raised."""
        self.lines.write(b"one\n")
        self.disk.room = self.room = 0
        for _ in range(10):
            self.lines.write(b"lost\n")
            self.clock.advance(logfile.RETRY)
        self.assertEqual(len(self.complaints), 1)
        self.assertIn("peer-6001.log: [Errno 28] No space left on device", self.complaints[0])
        self.assertEqual(self.read(), ["one"])

    def test_whenThereIsRoomAgainItGoesOn(self) -> None:
        """And tells how many lines are missing."""
        self.disk.room = self.room = 0
        for _ in range(3):
            self.lines.write(b"lost\n")
        self.disk.room = self.room = None
        self.clock.advance(logfile.RETRY)
        self.lines.write(b"two\n")
        self.lines.write(b"three\n")
        self.assertEqual(self.read(), ["3 are missing", "two", "three"])

    def test_aLineThatFitsInPartIsTakenBack(self) -> None:
        """What follows later does not stand on its end."""
        self.disk.room = 6
        self.lines.write(b"one\n")
        self.lines.write(b"half of this\n")
        self.clock.advance(logfile.RETRY)
        self.lines.write(b"two\n")
        self.assertEqual(self.read(), ["one", "1 are missing", "two"])

    def test_aFullDiskIsNotTriedForEachLine(self) -> None:
        """Five thousand messages a second would try it five thousand times."""
        self.disk.room = self.room = 0
        tried = []
        real = self.lines.open

        def open() -> None:
            tried.append(self.clock.seconds())
            real()

        self.patch(self.lines, "open", open)
        for _ in range(100):
            self.lines.write(b"lost\n")
            self.clock.advance(logfile.RETRY / 50)
        self.assertLessEqual(len(tried), 3)

    def test_aRotationThatFailsHalfWayIsMended(self) -> None:
        """The file that it closed is opened again."""
        self.patch(logfile, "ROTATE_AT", 10)
        self.lines.close()
        self.lines.open()

        def fail(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        patched = self.patch(os, "rename", fail)
        self.lines.write(b"0123456789\n")
        self.lines.write(b"lost\n")
        self.assertEqual(len(self.complaints), 1)
        patched.restore()
        self.clock.advance(logfile.RETRY)
        self.lines.write(b"two\n")
        self.assertIn("two", self.read())


class TwistdsLogTests(LogCase):
    """What twistd prints in the background."""

    def test_itHasABound(self) -> None:
        """It is put aside, so many times, and then forgotten; when SIGUSR1 comes as well."""
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        self.patch(logfile, "TWISTDS_ROTATE_AT", 200)
        self.patch(reactor, "callFromThread", lambda call: call())
        path = os.path.join(self.directory, "peer-6001.twistd.log")
        self.patch(TwistdsLog, "path", path)
        observer = TwistdsLog.observer()
        for number in range(100):
            observer({"log_format": "line {number}", "number": number, "log_time": 0.0, "log_namespace": "x"})
        with open(path) as file:
            self.assertIn("line 99", file.read())
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(os.path.getsize(path), 0)
        names = ["peer-6001.twistd.log", *(f"peer-6001.twistd.log.{number}" for number in range(1, logfile.KEPT + 1))]
        self.assertEqual(sorted(os.listdir(self.directory)), names)
