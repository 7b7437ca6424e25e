"""
Tests for L{p2p.cli} and L{p2p.commands}, without a daemon; those with real ones are in C{tests/}.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from click import ClickException, UsageError
from twisted.trial.unittest import SynchronousTestCase

from p2p import cli
from p2p.__main__ import main
from p2p.commands import client, demo, talk
from p2p.commands.client import Failed, findDaemon
from p2p.commands.talk import STRATEGIES, eventLine
from p2p.commands.text import columns, duration
from p2p.text import harmless


class FakeDaemon:
    """
    A daemon that answers as told.

    @ivar answers: by resource; an exception is raised.
    @ivar answer: to what is posted.
    @ivar posted: what was posted.
    """

    name = "peer-6001"

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.answer: Any = {"id": "ab-1-1"}
        self.posted: list[tuple[str, bytes]] = []
        self.happening: list[Any] = []
        self.asked: list[tuple[str, ...]] = []

    def get(self, resource: str) -> Any:
        """Answer a GET."""
        answer = self.answers[resource]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def post(self, resource: str, body: bytes, wait: float = 0.0) -> Any:
        """Take a POST."""
        self.waited = wait
        self.posted.append((resource, body))
        return self.answer

    def events(self, types: tuple[str, ...] = ()) -> Iterator[Any]:
        """Tell what happens; an exception is raised."""
        self.asked.append(types)
        for event in self.happening:
            if isinstance(event, BaseException):
                raise event
            yield event


class CommandCase(SynchronousTestCase):
    """A daemon that every command finds."""

    def setUp(self) -> None:
        """Make it be found."""
        self.daemon = FakeDaemon()
        self.found: list[tuple[Any, ...]] = []

        def find(*arguments: Any) -> FakeDaemon:
            self.found.append(arguments)
            return self.daemon

        self.patch(client, "findDaemon", find)

    def run_(self, *arguments: str, stdin: bytes | None = b"") -> tuple[int, str, str]:
        """Run C{p2p}, with standard input closed if it is C{None}: exit status, stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        self.patch(sys, "stdin", None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin)))
        exit = self.assertRaises(SystemExit, cli.main, list(arguments))
        assert isinstance(exit.code, int)
        return exit.code, out.getvalue(), err.getvalue()


class BeginningTests(SynchronousTestCase):
    """The command's first moment."""

    def test_anInterruptWhileItIsLoadedIsNoTraceback(self) -> None:
        """It takes a tenth of a second, on a busy machine more."""

        class Interrupted:
            @staticmethod
            def find_spec(*_: object) -> None:
                raise KeyboardInterrupt

        self.addCleanup(sys.modules.__setitem__, "p2p.cli", sys.modules.pop("p2p.cli"))
        finders = self.patch(sys, "meta_path", [Interrupted])
        exit = self.assertRaises(SystemExit, main)
        finders.restore()
        self.assertEqual(exit.code, 130)


class OutputTests(SynchronousTestCase):
    """Standard output that cannot be written to."""

    def test_aFullDiskIsOneLine(self) -> None:
        """And exit status 1; nothing is tried again at the end."""
        with open("/dev/full", "w") as full:
            run = subprocess.run([sys.executable, "-m", "p2p", "--help"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(run.stderr, b"p2p: writing: No space left on device\n")
        self.assertEqual(run.returncode, 1)

    def test_aReaderThatHasGoneIsNoTrouble(self) -> None:
        """Nobody is told."""
        reading, writing = os.pipe()
        os.close(reading)
        run = subprocess.run([sys.executable, "-m", "p2p", "--help"], stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
        self.assertEqual((run.stderr, run.returncode), (b"", 1))


    def test_ifItIsClosedItTakesAnything(self) -> None:
        """As /dev/null does, so that what was asked for is done; no error is printed on standard output instead."""
        for closed, arguments, expected in (
            (">&-", ["--version"], (0, b"", b"")),
            (">&-", ["nonsense"], (2, b"", b"p2p: No such command 'nonsense'. (see p2p --help)\n")),
            ("2>&-", ["nonsense"], (2, b"", b"")),
        ):
            command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "p2p", *arguments]
            run = subprocess.run(command, capture_output=True)
            self.assertEqual((run.returncode, run.stdout, run.stderr), expected)


class UsageTests(CommandCase):
    """What is asked for in the wrong way."""

    def test_errorsAreOneLineAndTwo(self) -> None:
        """Not click's three, and exit status 2."""
        for arguments in (["nonsense"], ["status", "--port", "0"], ["status", "--nonsense"], ["publish"],
                          ["publish", "a", "b"], ["watch", "--count", "x"], ["demo", "--peers", "1"]):  # fmt: skip
            status, out, err = self.run_(*arguments)
            self.assertEqual((status, out), (2, ""), arguments)
            self.assertTrue(err.startswith("p2p: "), err)
            self.assertEqual(err.count("\n"), 1, err)

    def test_everyCommandHasHelp(self) -> None:
        """With each of its options explained."""
        for name in cli.COMMANDS:
            status, out, _ = self.run_(name, "--help")
            self.assertEqual(status, 0)
            self.assertIn("--json", out)
            self.assertIn(name, self.run_("--help")[1])

    def test_withoutACommandItShowsWhatThereIs(self) -> None:
        """And that nothing was done."""
        status, _, err = self.run_()
        self.assertEqual(status, 2)
        self.assertIn("demo", err)

    def test_whatCannotBeDoneIsOneLineAndOne(self) -> None:
        """Also where the reason has several lines."""
        self.daemon.answers["/status"] = Failed("peer-6001: no\nanswer")
        self.assertEqual(self.run_("status"), (1, "", "p2p: peer-6001: no answer\n"))

    def test_theOptionsNameTheDaemon(self) -> None:
        """And the token comes from a file."""
        token = self.mktemp()
        with open(token, "w") as file:
            file.write("correct-horse\n")
        self.daemon.answers["/status"] = {}
        self.run_("status", "--json", "--port", "6001", "--log-dir", "/logs", "--token-file", token)
        self.run_("status", "--json", "--http", "http://127.0.0.1:1")
        self.assertEqual(
            self.found, [(6001, "/logs", None, "correct-horse"), (None, ".", "http://127.0.0.1:1", None)]
        )

    def test_aTokenFileThatIsNotThereIsTold(self) -> None:
        """In one line."""
        status, _, err = self.run_("status", "--token-file", "/nowhere")
        self.assertEqual((status, err), (1, "p2p: --token-file /nowhere: No such file or directory\n"))

    def test_aTokenIsOneWord(self) -> None:
        """Of any bytes, as for the daemon; two lines, or nothing, are none."""
        path = self.mktemp()
        self.daemon.answers["/status"] = {}
        for content in (b"correct-horse\nbattery\n", b"correct horse", b"", b" \n"):
            with open(path, "wb") as file:
                file.write(content)
            status, _, err = self.run_("status", "--token-file", path)
            self.assertEqual((status, err), (1, f"p2p: --token-file {path}: should hold one word\n"))
        with open(path, "wb") as file:
            file.write("  h\u00e9sitant\r\n".encode())
        self.run_("status", "--token-file", path)
        self.assertEqual([token.encode("latin-1") for *_, token in self.found], ["h\u00e9sitant".encode()])


class StatusTests(CommandCase):
    """p2p status."""

    answer = {
        "role": "peer", "id": "00ff", "incarnation": 3, "address": "127.0.0.1:6001", "network": "p2p",
        "uptime": 75.2, "seeds": {"127.0.0.1:5000": True, "127.0.0.1:5001": False},
        "counters": {"delivered": 1234567, "published": 3}, "gauges": {"neighbours": 4},
        "overlay": "random", "broadcast": "plumtree", "detector": "swim",
    }  # fmt: skip

    def test_itIsATableForPeople(self) -> None:
        """With aligned columns."""
        self.daemon.answers["/status"] = self.answer
        status, out, _ = self.run_("status")
        self.assertEqual(status, 0)
        self.assertIn("address      127.0.0.1:6001\n", out)
        self.assertIn("overlay      random\nbroadcast    plumtree\ndetector     swim\n", out)
        self.assertIn("uptime       1 min 15 s\n", out)
        self.assertIn("seed         127.0.0.1:5001 not reached\n", out)
        self.assertIn("  delivered  1 234 567\n  published          3\n", out)

    def test_aSeedHasNoStrategies(self) -> None:
        """So none are named, not even as empty."""
        self.daemon.answers["/status"] = {name: self.answer[name] for name in self.answer if name not in STRATEGIES}
        status, out, _ = self.run_("status")
        self.assertEqual(status, 0)
        self.assertNotIn("overlay", out)

    def test_itIsTheAnswerForPrograms(self) -> None:
        """Unchanged."""
        self.daemon.answers["/status"] = self.answer
        self.assertEqual(json.loads(self.run_("status", "--json")[1]), self.answer)


class PeersTests(CommandCase):
    """p2p peers."""

    def test_aPeersNeighbours(self) -> None:
        """Who dialled, and how far away they are."""
        self.daemon.answers["/peers"] = {
            "time": 7.0,
            "neighbours": [
                {"address": "127.0.0.1:6002", "id": "aa", "direction": "out", "state": "up", "rtt": 0.0004, "since": 0},
                {"address": "[::1]:6003", "id": "bb", "direction": "in", "state": "suspected", "rtt": None, "since": 0},
            ],
            "known": 7,
        }
        lines = self.run_("peers")[1].splitlines()
        self.assertEqual(lines[0].split(), ["ADDRESS", "ID", "DIALLED", "BY", "STATE", "ROUND", "TRIP", "SINCE"])
        self.assertIn("127.0.0.1:6002  aa  this peer", lines[1])
        self.assertIn("400 us", lines[1])
        self.assertTrue(lines[1].endswith("  7.00 s"), lines[1])
        self.assertIn("suspected", lines[2])
        self.assertEqual(lines[3], "2 neighbours, 7 other addresses known")
        self.daemon.answers["/peers"] = {**self.daemon.answers["/peers"], "known": 1}
        del self.daemon.answers["/peers"]["neighbours"][1]
        self.assertEqual(self.run_("peers")[1].splitlines()[2], "1 neighbour, 1 other address known")

    def test_aSeedsList(self) -> None:
        """Who is active."""
        self.daemon.answers["/peers"] = {
            "time": 7.0,
            "peers": [{"address": "127.0.0.1:6002", "id": "aa", "since": 0, "lastSeen": 0, "reachable": False}],
        }
        lines = self.run_("peers")[1].splitlines()
        self.assertTrue(lines[1].endswith("  no"))
        self.assertEqual(lines[2], "1 active peer")

    def test_forPrograms(self) -> None:
        """Unchanged."""
        self.daemon.answers["/peers"] = {"time": 7.0, "peers": []}
        self.assertEqual(self.run_("peers", "--json")[1], '{"time": 7.0, "peers": []}\n')


class StrangerTests(CommandCase):
    """What answers is another program's."""

    def test_itIsToldInOneLine(self) -> None:
        """Whatever JSON it is."""
        forever = {**StatusTests.answer, "uptime": float("inf"), "time": float("inf"), "type": "x"}
        del forever["id"]
        answers: tuple[Any, ...] = (
            [], {}, 1, "x", None, {"time": "x", "neighbours": 5}, {"time": 1, "peers": [{}]}, forever
        )  # fmt: skip
        for answer in answers:
            self.daemon.answers = {"/status": answer, "/peers": answer}
            self.daemon.answer = answer
            self.daemon.happening = [answer]
            for command in (["status"], ["peers"], ["publish", "x"], ["watch"]):
                status, out, error = self.run_(*command)
                self.assertEqual((status, out), (1, ""), (command, answer))
                self.assertRegex(error, r"^p2p: peer-6001: the answer is not that of a p2p daemon \(.*\)\n$")


class PublishTests(CommandCase):
    """p2p publish."""

    def test_aText(self) -> None:
        """As UTF-8; the id is printed."""
        self.assertEqual(self.run_("publish", "hé")[:2], (0, "ab-1-1\n"))
        self.assertEqual(self.daemon.posted, [("/messages", "hé".encode())])

    def test_standardInput(self) -> None:
        """Byte by byte."""
        self.run_("publish", "-", stdin=b"\x00\xff\n")
        self.assertEqual(self.daemon.posted, [("/messages", b"\x00\xff\n")])

    def test_whatNoNetworkTakesIsNotReadToItsEnd(self) -> None:
        """It may have none."""
        self.patch(talk, "MAX_PAYLOAD", 5)
        self.run_("publish", "-", stdin=b"12345")
        self.assertEqual(self.daemon.posted, [("/messages", b"12345")])
        line = "p2p: more than 5 bytes: no network takes such a message\n"
        for arguments in (["-"], ["--file", "/dev/zero"]):
            self.assertEqual(self.run_("publish", *arguments, stdin=b"123456"), (1, "", line))

    def test_standardInputMayBeClosed(self) -> None:
        """That is not a message of no bytes, but an error, in one line."""
        for arguments in (["-"], ["--file", "-"]):
            self.assertEqual(self.run_("publish", *arguments, stdin=None), (1, "", "p2p: standard input is closed\n"))
        self.assertEqual(self.daemon.posted, [])

    def test_aFile(self) -> None:
        """Byte by byte; not together with a text."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"\x00\xff")
        self.run_("publish", "--file", path)
        self.assertEqual(self.daemon.posted, [("/messages", b"\x00\xff")])
        self.assertEqual(self.run_("publish", "--file", path, "text")[0], 2)
        self.run_("publish", "--file", "-", stdin=b"\x00")
        self.assertEqual(self.daemon.posted[1:], [("/messages", b"\x00")])

    def test_aFileThatCannotBeReadIsTold(self) -> None:
        """In one line, be it not there or a directory."""
        for path, why in (("/nowhere", "does not exist"), ("/", "is a directory")):
            status, _, err = self.run_("publish", "--file", path)
            self.assertEqual((status, err.count("\n")), (2, 1))
            self.assertIn(f"'--file': File {path!r} {why}", err)

    def test_waitingForNeighbours(self) -> None:
        """For so long as is said, or five seconds; the client waits that much longer; what follows may be the text."""
        for arguments, resource, waited in (
            (["x", "--wait"], "/messages?wait=5", 5.0),
            (["x", "--wait", "0.5"], "/messages?wait=0.5", 0.5),
            (["--wait", "2", "x"], "/messages?wait=2", 2.0),
            # As it was given: what a number is, both ends read alike.
            (["x", "--wait", "0.00001"], "/messages?wait=0.00001", 0.00001),
            (["--wait", "x"], "/messages?wait=5", 5.0),
            (["x"], "/messages", 0.0),
        ):
            self.assertEqual(self.run_("publish", *arguments)[:2], (0, "ab-1-1\n"))
            self.assertEqual(self.daemon.posted.pop(), (resource, b"x"))
            self.assertEqual(self.daemon.waited, waited)
        for wrong in ("y", "0", "nan", "3601", "1e1", "1_0", "+5", "5 "):
            self.assertEqual(self.run_("publish", "x", "--wait", wrong)[0], 2, wrong)
        self.assertEqual(self.daemon.posted, [])

    def test_forPrograms(self) -> None:
        """The answer as it came."""
        self.assertEqual(self.run_("publish", "x", "--json")[1], '{"id": "ab-1-1"}\n')


class WatchTests(CommandCase):
    """p2p watch."""

    event = {"type": "dead", "time": 1_700_000_000.5, "address": "127.0.0.1:6002", "evidence": "refused"}

    def test_oneLineForEachEvent(self) -> None:
        """Until the daemon goes, which is told."""
        self.daemon.happening = [self.event, self.event]
        status, out, err = self.run_("watch")
        self.assertEqual((status, err), (1, "p2p: peer-6001: the daemon has gone\n"))
        self.assertRegex(
            out, r"^(\d\d:\d\d:\d\d\.500  dead          address=127\.0\.0\.1:6002 evidence=refused\n){2}$"
        )

    def test_interruptedItEndsWell(self) -> None:
        """Ctrl-C is how it is ended."""
        self.daemon.happening = [self.event, KeyboardInterrupt()]
        status, out, err = self.run_("watch")
        self.assertEqual((status, err, out.count("\n")), (0, "", 1))

    def test_forProgramsTheEventsAsTheyCame(self) -> None:
        """One object a line."""
        self.daemon.happening = [self.event, KeyboardInterrupt()]
        self.assertEqual(json.loads(self.run_("watch", "--json")[1]), self.event)

    def test_onlySoManyOrOfTheseTypes(self) -> None:
        """For scripts that wait for something."""
        self.daemon.happening = [self.event] * 5
        status, out, _ = self.run_("watch", "--count", "3", "--type", "dead", "--type", "suspected")
        self.assertEqual((status, out.count("\n")), (0, 3))
        self.assertEqual(self.daemon.asked, [("dead", "suspected")])

    def test_aMessageIsToldWithItsWay(self) -> None:
        """And the beginning of what it says."""
        event = {"type": "delivered", "time": 0, "id": "ab-1-1", "origin": "ab-1", "hops": 1, "from": "127.0.0.1:6002"}
        self.assertTrue(
            eventLine({**event, "payload": "x" * 200}).endswith(
                f"delivered     ab-1-1 from 127.0.0.1:6002, 1 hop: {'x' * 59}…"
            )
        )
        own = eventLine({**event, "hops": 0, "from": None, "payloadBase64": "AP8="})
        self.assertTrue(own.endswith("ab-1-1 from itself, 0 hops (base64): AP8="))

    def test_whatTheTerminalCannotShowIsEscaped(self) -> None:
        """It is no reason to end."""
        event = {"type": "delivered", "time": 0, "id": "ab-1-1", "hops": 0, "payload": "h\u00e9"}
        self.daemon.happening = [event, KeyboardInterrupt()]
        terminal = io.TextIOWrapper(io.BytesIO(), "ascii")
        self.patch(sys, "stdout", terminal)
        exit = self.assertRaises(SystemExit, cli.main, ["watch"])
        self.assertEqual(exit.code, 0)
        terminal.seek(0)
        self.assertTrue(terminal.read().endswith("ab-1-1 from itself, 0 hops: h\\xe9\n"))

    def test_whatOthersSayDoesNothingToTheTerminal(self) -> None:
        """Control characters are shown, not sent; nor is a second line forged."""
        event = {"type": "delivered", "time": 0, "id": "a", "hops": 1, "payload": "\x1b[2J\nforged\r\u202e"}
        line = eventLine(event)
        self.assertTrue(line.isprintable(), line)
        self.assertIn("\\x1b[2J\\nforged\\r\\u202e", line)
        self.assertTrue(eventLine({"type": "neighbourDown", "time": 0, "detail": "\x07\n"}).isprintable())


class FindTests(SynchronousTestCase):
    """Which daemon is meant."""

    def setUp(self) -> None:
        """A directory with the files of some."""
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        for name in ("peer-6001.sock", "seed-5000.sock", "peer-6001.log", "other.sock"):
            with open(os.path.join(self.directory, name), "w"):
                pass

    def test_thePortNamesItsSocket(self) -> None:
        """A peer's or a seed's."""
        self.assertEqual(findDaemon(6001, self.directory, None, None).name, "peer-6001")
        self.assertEqual(findDaemon(5000, self.directory, None, None).name, "seed-5000")

    def test_aPortWithoutSocketIsTold(self) -> None:
        """With where it was looked for."""
        error = self.assertRaises(Failed, findDaemon, 6009, self.directory, None, None)
        self.assertTrue(error.message.startswith("no daemon of port 6009 seems to run: "), error.message)
        self.assertIn(f"neither peer-6009.sock nor seed-6009.sock is in {self.directory!r}", error.message)
        self.assertIn("--http", error.message)
        with open(os.path.join(self.directory, "peer-6009.lock"), "w"):
            pass
        error = self.assertRaises(Failed, findDaemon, 6009, self.directory, None, None)
        self.assertIn("peer-6009 has no socket in ", error.message)
        self.assertIn("say with --http", error.message)

    def test_withoutPortTheOnlyOneIsMeant(self) -> None:
        """If there is but one; else the question is which."""
        error = self.assertRaises(UsageError, findDaemon, None, self.directory, None, None)
        self.assertEqual(error.message, "say with --port which daemon is meant: 6001 (peer), 5000 (seed)")
        os.unlink(os.path.join(self.directory, "seed-5000.sock"))
        self.assertEqual(findDaemon(None, self.directory, None, None).name, "peer-6001")
        os.unlink(os.path.join(self.directory, "peer-6001.sock"))
        self.assertRaises(Failed, findDaemon, None, self.directory, None, None)

    def both(self, *live: str) -> None:
        """A peer and a seed of port 5000, and who of all still listens."""
        with open(os.path.join(self.directory, "peer-5000.sock"), "w"):
            pass
        self.patch(client, "socketIsLive", lambda path: os.path.basename(path) in live)

    def test_whoWasKilledIsPassedOver(self) -> None:
        """Its socket is still there; but who else bears that number, or is alone, is meant."""
        self.both("seed-5000.sock")
        self.assertEqual(findDaemon(5000, self.directory, None, None).name, "seed-5000")
        self.assertEqual(findDaemon(None, self.directory, None, None).name, "seed-5000")
        self.both("peer-5000.sock")
        self.assertEqual(findDaemon(5000, self.directory, None, None).name, "peer-5000")
        self.both()
        self.assertEqual(findDaemon(5000, self.directory, None, None).name, "peer-5000")
        self.assertRaises(UsageError, findDaemon, None, self.directory, None, None)

    def test_aPeerAndASeedOfOnePortAreToldApart(self) -> None:
        """By what the error says to give instead, wherever they are."""
        for directory in (self.directory, self.directory + "a:b c", self.directory + "a=b"):
            if directory != self.directory:
                os.rename(self.directory, directory)
                self.directory = directory
            self.both("peer-5000.sock", "seed-5000.sock")
            error = self.assertRaises(UsageError, findDaemon, 5000, directory, None, None)
            words = shlex.split(error.message.rpartition(": say ")[2])
            self.assertEqual((words[0], words[2:4]), ("--http", ["or", "--http"]))
            self.assertEqual(
                [findDaemon(None, ".", words[place], None)._path for place in (1, 4)],
                [os.path.join(directory, name) for name in ("peer-5000.sock", "seed-5000.sock")],
            )

    def test_aSocketsPathMayBeTooLongForTheSystem(self) -> None:
        """Then it is its name in the directory where it is; one that is not is left as it is."""
        here = os.getcwd()
        deep = os.path.join(os.path.abspath(self.directory), "d" * 96)
        os.mkdir(deep)
        with client.within(os.path.join(deep, "peer-6001.sock")) as path:
            self.assertEqual((path, os.getcwd()), ("peer-6001.sock", os.path.realpath(deep)))
        self.assertEqual(os.getcwd(), here)
        with client.within("peer-6001.sock") as path:
            self.assertEqual((path, os.getcwd()), ("peer-6001.sock", here))

    def test_aDirectoryThatIsNotThereIsTold(self) -> None:
        """In one line."""
        error = self.assertRaises(Failed, findDaemon, 6001, "/nowhere", None, None)
        self.assertEqual(error.message, "--log-dir /nowhere: No such file or directory")

    def test_http(self) -> None:
        """A URL, or an endpoint string of either side."""
        for text, where in (
            ("http://127.0.0.1:8001", ("", "127.0.0.1", 8001)),
            ("http://[::1]:8001/", ("", "::1", 8001)),
            ("http://node1", ("", "node1", 80)),
            ("tcp:8001", ("", "127.0.0.1", 8001)),
            ("tcp:8001:interface=10.0.0.1", ("", "10.0.0.1", 8001)),
            ("tcp:10.0.0.1:8001", ("", "10.0.0.1", 8001)),
            ("tcp:host=10.0.0.1:port=8001", ("", "10.0.0.1", 8001)),
            ("unix:/some/peer.sock", ("/some/peer.sock", "", 0)),
            (r"tcp6:8001:interface=\:\:1", ("", "::1", 8001)),
            ("tcp6:8001", ("", "::1", 8001)),
        ):
            daemon = findDaemon(None, ".", text, None)
            self.assertEqual((daemon._path, daemon._host, daemon._port), where, text)

    def test_whatIsNoneOfTheseIsRefused(self) -> None:
        """As a mistake of usage."""
        hosts = ("a..b", "a" * 64 + ".x", "a b", "\udcff")
        wrong = [form.format(host) for form in ("http://{}:80", "tcp:{}:80", "tcp:80:interface={}") for host in hosts]
        wrong += ["", "nonsense", "tcp:", "tcp:x", "tcp:0", "unix:", "http://", "http://x:y", "https://x"]
        for text in wrong:
            self.assertRaises(UsageError, findDaemon, None, ".", text, None)

    def test_aTypeThatIsNoTextIsAskedForAllTheSame(self) -> None:
        """The daemon says that there is none."""
        daemon = findDaemon(None, ".", "unix:/some/peer.sock", None)
        asked: list[str] = []

        @contextmanager
        def ask(method: str, resource: str, **others: object) -> Iterator[list[bytes]]:
            asked.append(resource)
            yield []

        self.patch(daemon, "_ask", ask)
        self.assertEqual(list(daemon.events(("a", "\udcff"))), [])
        self.assertEqual(asked, ["/events?type=a%2C%FF"])

    def test_messagesAreReadPageByPage(self) -> None:
        """Until there is none behind the last."""
        pages = {"": "ab", "?after=b": "cd", "?after=d": "e", "?after=e": ""}
        daemon = findDaemon(None, ".", "unix:/some/peer.sock", None)
        self.patch(daemon, "get", lambda resource: [{"id": id} for id in pages[resource.removeprefix("/messages")]])
        self.assertEqual("abcde", "".join(message["id"] for message in daemon.messages()))

    def test_aSocketWithoutListenerIsTold(self) -> None:
        """A killed daemon left it behind."""
        daemon = findDaemon(None, ".", "unix:/nowhere/peer.sock", None)
        error = self.assertRaises(ClickException, daemon.get, "/status")
        self.assertEqual(
            error.message, "unix:/nowhere/peer.sock: nobody listens there; has the daemon ended?"
        )


class TextTests(SynchronousTestCase):
    """Text for people."""

    def test_durations(self) -> None:
        """In the unit that suits them."""
        for seconds, text in ((0.00085, "850 us"), (0.0123, "12.3 ms"), (4.214, "4.21 s"), (200, "3 min 20 s"),
                              (7500, "2 h 5 min")):  # fmt: skip
            self.assertEqual(duration(seconds), text)

    def test_columnsAreAligned(self) -> None:
        """To either side, without blanks at the end."""
        self.assertEqual(columns([("a", 1, "x"), ("bbb", 22, "")], " ", right=[1]), " a     1  x\n bbb  22")
        self.assertEqual(columns([]), "")

    def test_harmless(self) -> None:
        """What is printable stays, in any script."""
        self.assertEqual(harmless("héllo 日本"), "héllo 日本")
        self.assertEqual(harmless("a\tb\x9b"), "a\\tb\\x9b")


class DemoTests(SynchronousTestCase):
    """The parts of p2p demo that need no processes."""

    def test_twistdIsThatOfThisPython(self) -> None:
        """Whichever directory it is called from, and also where there is no script."""
        self.assertEqual(demo.twistd()[0], sys.executable)
        self.patch(os, "access", lambda *arguments: False)
        self.assertEqual(demo.twistd()[1], "-c")

    def test_freePortsDiffer(self) -> None:
        """Each daemon needs its own; here the sockets that find them are made up."""
        numbers = iter([5, 3, 4])

        class FakeSocket:
            def bind(self, address: tuple[str, int]) -> None:
                self.number = next(numbers)

            def getsockname(self) -> tuple[str, int]:
                return "127.0.0.1", self.number

            def close(self) -> None:
                pass

        self.patch(socket, "socket", FakeSocket)
        self.assertEqual(demo._freePorts(3), [3, 4, 5])

    def test_peersAreSortedAsPeopleDo(self) -> None:
        """Ten after nine."""
        self.assertEqual(sorted(["peer 10", "peer 9"], key=demo._natural), ["peer 9", "peer 10"])
