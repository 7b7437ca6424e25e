"""
Tests for L{p2p.daemon.options}.
"""

from __future__ import annotations

import os
import resource
from typing import Any, TypeVar

import attrs
from twisted.python.reflect import namedAny
from twisted.python.usage import Options
from twisted.trial.unittest import SynchronousTestCase

from p2p.address import Address
from p2p.daemon.claim import Taken
from p2p.daemon.logfile import TwistdsLog
from p2p.daemon.options import COMMON, DaemonOptions, PeerOptions, SeedOptions, kebab
from p2p.peer.strategies import KINDS, strategies
from p2p.settings import SWITCH, PeerSettings, SeedSettings
from p2p.test.daemonfakes import FakeClaim

Some = TypeVar("Some", bound=DaemonOptions)

TWO = "127.0.0.1:5000\n127.0.0.1:5001\n10.0.0.1:5001\n"


class OptionsCase(SynchronousTestCase):
    """A directory with a config.txt in it."""

    def setUp(self) -> None:
        """Make it, and work in it."""
        self.directory = os.path.realpath(self.mktemp())
        os.mkdir(self.directory)
        self.claim = FakeClaim()
        self.write("config.txt", TWO)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)

    def write(self, name: str, text: str) -> str:
        """Make a file."""
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def peer(self, *arguments: str, parent: dict[str, Any] | None = None) -> PeerOptions:
        """What p2ppeer makes of a command line."""
        return self.parse(PeerOptions(self.claim), arguments, parent)

    def seed(self, *arguments: str, parent: dict[str, Any] | None = None) -> SeedOptions:
        """What p2pseed makes of a command line."""
        return self.parse(SeedOptions(self.claim), arguments, parent)

    def parse(self, options: Some, arguments: tuple[str, ...], parent: dict[str, Any] | None) -> Some:
        """Parse it, as a subcommand of something that has these options."""
        if parent is not None:
            options.parent = Options()
            options.parent.update(parent)
        options.parseOptions(list(arguments))
        return options

    def refused(self, options: DaemonOptions, *arguments: str) -> str:
        """The line with which a command line is refused."""
        error = self.assertRaises(SystemExit, options.parseOptions, list(arguments))
        assert isinstance(error.code, str)
        self.assertNotIn("\n", error.code)
        self.assertEqual(self.claim.released, 1)
        return error.code


class SettingsTests(OptionsCase):
    """Settings become options."""

    def test_everySettingIsAnOptionOfTheSameNameInKebabCase(self) -> None:
        """What is described once in a settings record can be said on the command line."""
        for options, record in ((self.peer("--port", "1"), PeerSettings), (self.seed(), SeedSettings)):
            for field in attrs.fields(record):
                self.assertEqual(getattr(options.settings(), field.name), field.default)
                self.assertEqual(SWITCH.get(options[kebab(field.name)], options[kebab(field.name)]), field.default)

    def test_whatIsSaidArrivesInTheRecord(self) -> None:
        """Numbers are read as the setting's kind of number, names as they are."""
        settings = self.peer("--gossip-interval", "0.25", "--max-connections=7", "--network", "other").settings()
        self.assertEqual(
            settings, PeerSettings(gossipInterval=0.25, maxConnections=7, network="other")
        )

    def test_whatIsOnMayBeOff(self) -> None:
        """And on again; nothing else is either."""
        for text, on in SWITCH.items():
            self.assertIs(self.peer("--lifeguard-buddy", text).settings().lifeguardBuddy, on)
        self.assertEqual(
            self.refused(PeerOptions(self.claim), "--lifeguard-buddy", "1"),
            "p2ppeer: --lifeguard-buddy: '1' is not on or off",
        )

    def test_aSettingOutOfItsRangeIsNamed(self) -> None:
        """The line says which option, which value, and what would do."""
        self.assertEqual(
            self.refused(PeerOptions(self.claim), "--max-connections", "0"),
            "p2ppeer: --max-connections: 0 is not within 1 to 1000 links",
        )

    def test_aSettingThatIsNoNumberIsNamed(self) -> None:
        """The line says which option."""
        self.assertEqual(
            self.refused(SeedOptions(self.claim), "--lease-interval", "soon"),
            "p2pseed: --lease-interval: 'soon' is not a number",
        )
        self.claim.released = 0
        self.assertEqual(
            self.refused(PeerOptions(self.claim), "--gossip-count", "1.5"),
            "p2ppeer: --gossip-count: '1.5' is not a whole number",
        )

    def test_aNameThatIsNoUtf8IsRefused(self) -> None:
        """It could not be told to anybody."""
        for options in (SeedOptions, PeerOptions):
            self.claim.released = 0
            self.assertIn(
                r"--network: 'a\udcff' is not a text (UTF-8)", self.refused(options(self.claim), "--network", "a\udcff")
            )
        self.assertEqual(self.peer("--network", "Übung 網").settings().network, "Übung 網")

    def test_whatOnlyPythonTakesForANumberIsRefused(self) -> None:
        """No setting means it."""
        for option in ("--gossip-interval", "--max-payload", "--log-messages"):
            for text in ("nan", "inf", "-inf", "1_0", "+5", " 5", "1e3"):
                self.claim.released = 0
                self.assertIn(f"{text!r} is not a", self.refused(PeerOptions(self.claim), option, text))

    def test_helpTellsEveryOptionWithUnitAndDefault(self) -> None:
        """An operator needs no other place: strategies have their descriptions with them."""
        text = " ".join(self.peer("--port", "1").getUsage(width=100).split())
        for kind in KINDS:
            for name, strategy in strategies(kind).items():
                self.assertIn(f"{name} ({strategy.description})", text)
        self.assertIn("pause between two pings of a neighbour (seconds) [default: 1.0]", text)
        for name, _, what, _ in COMMON:
            self.assertIn(f"--{name}=", text)
            self.assertIn(what.split(" [")[0][:40], text)

    def test_anUnknownOptionOrAWordTooManyIsRefused(self) -> None:
        """Not silently passed over."""
        self.assertIn("--nonsense", self.refused(PeerOptions(self.claim), "--nonsense", "1"))
        self.claim.released = 0
        self.assertIn("'word' is not an option", self.refused(PeerOptions(self.claim), "word"))


class FilesTests(OptionsCase):
    """What is wrong with files and directories."""

    def test_theConfigMustBeThere(self) -> None:
        """The line names it."""
        self.assertEqual(
            self.refused(PeerOptions(self.claim), "--config", "nowhere.txt"),
            "p2ppeer: nowhere.txt: No such file or directory: the file that lists the seeds, one IP:PORT a line",
        )

    def test_aBadLineInTheConfigIsNamed(self) -> None:
        """With its number."""
        self.write("config.txt", "127.0.0.1:5000\nlocalhost:5001\n")
        self.assertEqual(
            self.refused(SeedOptions(self.claim)),
            "p2pseed: config.txt, line 2: 'localhost' is not an IP address",
        )

    def test_theDirectoriesMustBeThere(self) -> None:
        """The line says which option."""
        for option in ("--log-dir", "--state-dir"):
            self.claim.released = 0
            self.assertEqual(
                self.refused(PeerOptions(self.claim), option, "nowhere"),
                f"p2ppeer: {option}: nowhere: no such directory",
            )

    def test_aFileIsNoDirectory(self) -> None:
        """Nor can files be made in it."""
        self.assertEqual(
            self.refused(PeerOptions(self.claim), "--log-dir", "config.txt"),
            "p2ppeer: --log-dir: config.txt: not a directory",
        )

    def test_aDirectoryThatCannotBeWrittenInIsRefused(self) -> None:
        """Before anything is started."""
        os.mkdir("sealed", 0o500)
        if os.access("sealed", os.W_OK):
            self.patch(os, "access", lambda path, mode: not path.endswith("sealed"))
        self.assertEqual(
            self.refused(PeerOptions(self.claim), "--log-dir", "sealed"),
            "p2ppeer: --log-dir: sealed: no permission to write in it",
        )

    def test_filesAreNamedAfterRoleAndPort(self) -> None:
        """So that many daemons share a directory; the paths are absolute, for a daemon changes its directory."""
        os.mkdir("state")
        options = self.peer("--port", "6001", "--state-dir", "state")
        self.assertEqual(options.file("log", "log"), f"{self.directory}/peer-6001.log")
        self.assertEqual(options.file("state", "state"), f"{self.directory}/state/peer-6001.state")
        self.assertEqual(self.seed("--port", "5000").file("log", "log"), f"{self.directory}/seed-5000.log")

    def test_withPortZeroFilesAreNamedAfterTheRealPort(self) -> None:
        """It is chosen while the command line is read."""
        options = self.peer("--port", "0")
        self.assertEqual(options.listen, Address("127.0.0.1", 40000))
        self.assertEqual(options.name, "peer-40000")

    def test_bothDirectoriesAreClaimed(self) -> None:
        """Two daemons of one name must not share either."""
        os.mkdir("state")
        self.peer("--port", "6001", "--state-dir", "state")
        self.assertEqual(
            self.claim.taken,
            [("127.0.0.1", 6001), (self.directory, "peer-6001"), (f"{self.directory}/state", "peer-6001")],
        )

    def test_aTakenPortEndsTheStart(self) -> None:
        """With the line that the claim gives."""
        self.claim.refuse = Taken("cannot listen on port 6001 of 127.0.0.1: it is taken")
        self.assertEqual(
            self.refused(PeerOptions(self.claim), "--port", "6001"),
            "p2ppeer: cannot listen on port 6001 of 127.0.0.1: it is taken",
        )


class TwistdTests(OptionsCase):
    """What becomes of twistd's own options."""

    def test_thePidFileIsNamedAfterRoleAndPort(self) -> None:
        """Two daemons may be started in one directory."""
        options = self.peer("--port", "6001", parent={"pidfile": "twistd.pid", "nodaemon": 1})
        self.assertEqual(options.parent and options.parent["pidfile"], f"{self.directory}/peer-6001.pid")

    def test_aPidFileThatTheUserNamedIsKept(self) -> None:
        """Also if it is none."""
        for name in ("mine.pid", ""):
            options = self.peer("--port", "6001", parent={"pidfile": name, "nodaemon": 1})
            self.assertEqual(options.parent and options.parent["pidfile"], name)

    def test_aPidFileOfADaemonThatIsGoneIsRemoved(self) -> None:
        """Its number may be somebody else's by now, which twistd would take for the daemon."""
        path = self.write("peer-6001.pid", str(os.getpid()))
        self.peer("--port", "6001", parent={"pidfile": "twistd.pid", "nodaemon": 1})
        self.assertFalse(os.path.exists(path))

    def test_aForkedDaemonHasALogOfTwistdsOfItsOwn(self) -> None:
        """Two processes that rotate one twistd.log would lose what the other writes."""
        self.patch(TwistdsLog, "path", "")
        options = self.peer("--port", "6001", parent={"pidfile": "", "nodaemon": 0, "logfile": None})
        assert options.parent is not None
        # Where twistd takes it for a name.
        self.assertEqual(namedAny(options.parent["logger"]), TwistdsLog.observer)
        self.assertEqual(TwistdsLog.path, f"{self.directory}/peer-6001.twistd.log")

    def test_aLogThatCannotBeOpenedIsToldBefore(self) -> None:
        """As long as there is somebody to tell."""
        os.mkdir(f"{self.directory}/peer-6001.twistd.log")
        options = PeerOptions(self.claim)
        options.parent = Options()
        options.parent.update({"pidfile": "", "nodaemon": 0})
        self.assertIn("peer-6001.twistd.log: Is a directory", self.refused(options, "--port", "6001"))

    def test_aForkedDaemonLogsWhereItIsTold(self) -> None:
        """To a file, to the system's log, or by a function."""
        told: tuple[dict[str, Any], ...] = ({"logfile": "x"}, {"syslog": 1}, {"logger": "a.b"})
        for how in told:
            options = self.peer("--port", "6001", parent={"pidfile": "", "nodaemon": 0, **how})
            self.assertEqual(dict(options.parent or {}), {"pidfile": "", "nodaemon": 0, **how})

    def test_inTheForegroundItGoesToTheTerminal(self) -> None:
        """As twistd -n does; and twist has no such options at all."""
        options = self.peer("--port", "6001", parent={"pidfile": "", "nodaemon": 1, "logfile": None})
        self.assertIsNone(options.parent and options.parent.get("logger"))
        self.assertEqual(dict(self.peer("--port", "6001", parent={}).parent or {}), {})


class SeedAddressTests(OptionsCase):
    """Which entry of the list a seed is."""

    def test_itIsTheFirstByDefault(self) -> None:
        """The user's first step needs no option."""
        options = self.seed()
        self.assertEqual(options.address, Address("127.0.0.1", 5000))
        self.assertEqual(options.listen, Address("127.0.0.1", 5000))

    def test_thePortSaysWhich(self) -> None:
        """If there is one of that port."""
        self.write("config.txt", "127.0.0.1:5000\n127.0.0.1:5001\n")
        self.assertEqual(self.seed("--port", "5001").address, Address("127.0.0.1", 5001))

    def test_aPortThatIsNotListedIsRefused(self) -> None:
        """No peer would ever find such a seed."""
        self.assertEqual(
            self.refused(SeedOptions(self.claim), "--port", "5009"),
            "p2pseed: --port 5009: config.txt lists no seed with that port",
        )

    def test_aPortThatIsListedTwiceNeedsTheHost(self) -> None:
        """Which of two machines this is, cannot be told."""
        self.assertIn(
            "config.txt lists 127.0.0.1:5001 and 10.0.0.1:5001: say with --host",
            self.refused(SeedOptions(self.claim), "--port", "5001"),
        )
        self.assertEqual(
            self.seed("--port", "5001", "--host", "10.0.0.1").address, Address("10.0.0.1", 5001)
        )

    def test_itMayListenOnAllAddresses(self) -> None:
        """The entry stays what it is to others."""
        options = self.seed("--host", "0.0.0.0")
        self.assertEqual(options.address, Address("127.0.0.1", 5000))
        self.assertEqual(options.listen, Address("0.0.0.0", 5000))

    def test_ofManyThatItMayBeSomeAreNamed(self) -> None:
        """One line is not as long as the list."""
        self.write("config.txt", "".join(f"10.0.{number // 250}.{number % 250}:5000\n" for number in range(9999)))
        self.assertIn(
            "config.txt lists 10.0.0.0:5000 and 10.0.0.1:5000 and 10.0.0.2:5000 and 9996 more: say with --host or"
            " --advertise which one this is",
            self.refused(SeedOptions(self.claim), "--port", "5000"),
        )

    def test_onAllAddressesItIsTheEntryThatIsThisMachines(self) -> None:
        """Of several that share a port; if none is, or several are, the line asks which."""
        self.write("config.txt", "10.0.0.1:5000\n10.0.0.2:5000\n")
        self.claim.ours = {"10.0.0.2"}
        for port in ((), ("--port", "5000")):
            self.assertEqual(self.seed("--host", "0.0.0.0", *port).address, Address("10.0.0.2", 5000))
            self.claim.ours = set()
            self.claim.released = 0
            self.assertIn(
                "config.txt lists 10.0.0.1:5000 and 10.0.0.2:5000: say with --host or --advertise which one this is",
                self.refused(SeedOptions(self.claim), "--host", "0.0.0.0", *port),
            )
            self.claim.ours = {"10.0.0.2"}
        self.claim.ours = {"10.0.0.1", "10.0.0.2"}
        self.claim.released = 0
        self.assertIn(
            "say with --host or --advertise", self.refused(SeedOptions(self.claim), "--host", "::", "--port", "5000")
        )

    def test_allAddressesAreThoseOfTheFamiliesInUse(self) -> None:
        """Where others know it by an IPv6 address, C{0.0.0.0} means C{::}; who says C{::} gets that."""
        for config, host, seed, peer in (
            ("127.0.0.1:5000\n", "0.0.0.0", "0.0.0.0", "0.0.0.0"),
            ("[::1]:5000\n", "0.0.0.0", "::", "::"),
            ("[::1]:5000\n127.0.0.1:5001\n", "0.0.0.0", "::", "::"),
            ("127.0.0.1:5000\n[::1]:5001\n", "0.0.0.0", "0.0.0.0", "::"),
            ("127.0.0.1:5000\n", "::", "::", "::"),
            ("[::1]:5000\n", "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ):
            self.write("config.txt", config)
            found = (
                self.seed("--host", host, "--port", "5000").listen.host,
                self.peer("--host", host, "--port", "6001").listen.host,
            )
            self.assertEqual(found, (seed, peer), config)
        self.write("config.txt", "127.0.0.1:5000\n")
        self.assertEqual(self.peer("--host", "0.0.0.0", "--advertise", "[2001:db8::1]:6001").listen.host, "::")

    def test_aSystemThatDoesNotTakeBothOnOneAddressIsNoMachineOfBoth(self) -> None:
        """The line says why; a peer on a machine without any IPv6 reaches the other seeds."""
        self.write("config.txt", "[::1]:5000\n127.0.0.1:5001\n")
        self.claim.separate = True
        self.assertEqual(self.seed("--host", "0.0.0.0", "--port", "5000").listen.host, "::")
        self.assertEqual(self.seed("--host", "0.0.0.0", "--port", "5001").listen.host, "0.0.0.0")
        for options, host, port in ((PeerOptions, "0.0.0.0", "6001"), (PeerOptions, "::", "6001"),
                                    (SeedOptions, "::", "5001")):  # fmt: skip
            self.claim.released = 0
            self.assertIn(
                f"--host {host}: :: takes IPv6 only on this system (bindv6only): ",
                self.refused(options(self.claim), "--host", host, "--port", port),
            )
        self.claim.separate = False
        self.claim.ours.discard("::")
        self.assertEqual(self.peer("--host", "0.0.0.0").listen.host, "0.0.0.0")

    def test_itListensOnAMachinesAddress(self) -> None:
        """Nobody can dial many machines at once."""
        for host in ("224.0.0.1", "255.255.255.255", "ff02::1"):
            for options in (SeedOptions, PeerOptions):
                self.claim.released = 0
                self.assertIn(
                    f"--host: {host!r} is not an address of one machine",
                    self.refused(options(self.claim), "--host", host),
                )

    def test_whatNobodyCanDialIsNotAdvertised(self) -> None:
        """All of a machine's addresses, or many machines' at once."""
        for text in ("0.0.0.0:6001", "[::]:6001", "224.0.0.1:6001"):
            for options in (SeedOptions, PeerOptions):
                self.claim.released = 0
                self.assertIn("cannot be dialled", self.refused(options(self.claim), "--advertise", text))

    def test_advertiseSaysItOutright(self) -> None:
        """Also where the list says nothing of it."""
        options = self.seed("--advertise", "192.0.2.1:5009", "--host", "0.0.0.0")
        self.assertEqual(options.address, Address("192.0.2.1", 5009))
        self.assertEqual(options.listen, Address("0.0.0.0", 5009))

    def test_aSeedsPortCannotBeAnyFreeOne(self) -> None:
        """Peers know it from the list."""
        self.assertIn("--port: '0' is not a port", self.refused(SeedOptions(self.claim), "--port", "0"))

    def test_aPeerDoesNotTakeASeedsAddress(self) -> None:
        """The next start of the seed would fail, and nobody knew why."""
        self.assertEqual(
            self.refused(PeerOptions(self.claim), "--port", "5000"),
            "p2ppeer: --port 5000: 127.0.0.1:5000 is a seed's address in config.txt",
        )
        for arguments, said in (
            (("--port", "5000", "--host", "0.0.0.0"), "--port 5000: 127.0.0.1:5000 is"),
            (("--port", "5000", "--host", "::"), "--port 5000: 127.0.0.1:5000 is"),
            (("--port", "6001", "--advertise", "10.0.0.1:5001"), "--advertise 10.0.0.1:5001: 10.0.0.1:5001 is"),
        ):
            self.claim.released = 0
            self.assertEqual(
                self.refused(PeerOptions(self.claim), *arguments), f"p2ppeer: {said} a seed's address in config.txt"
            )

    def test_aPeerMayHaveThePortOfASeedElsewhere(self) -> None:
        """Another machine's, or another address's of this one."""
        self.write("config.txt", "10.0.0.1:5001\n127.0.0.1:5002\n")
        self.assertEqual(self.peer("--port", "5001", "--host", "0.0.0.0").listen, Address("0.0.0.0", 5001))
        self.assertEqual(self.peer("--port", "5002", "--host", "127.0.0.2").listen, Address("127.0.0.2", 5002))


    def test_soManySeedsAsThereAreDescriptorsForAreTaken(self) -> None:
        """A peer would try to connect to all of them, and have no descriptor left to start with."""
        limits = {resource.RLIMIT_NOFILE: (1024, 4096)}
        self.patch(resource, "getrlimit", limits.__getitem__)
        for count, taken in ((768, True), (769, False), (1300, False)):
            self.write("config.txt", "".join(f"10.0.{n >> 8}.{n & 255}:5000\n" for n in range(1, count + 1)))
            if taken:
                self.assertEqual(len(self.peer().seeds), count)
            else:
                self.claim.released = 0
                self.assertEqual(
                    self.refused(PeerOptions(self.claim)),
                    f"p2ppeer: config.txt lists {count} seeds, and a peer keeps a connection to each: of its 1024 file"
                    " descriptors it has 768 for that; raise the limit (ulimit -n, LimitNOFILE)",
                )
        # A seed dials none of them.
        self.assertEqual(len(self.seed().seeds), 1300)
        limits[resource.RLIMIT_NOFILE] = (resource.RLIM_INFINITY,) * 2
        self.assertEqual(len(self.peer().seeds), 1300)


class HttpOptionsTests(OptionsCase):
    """Where the HTTP interface listens."""

    def test_byDefaultItIsASocketNextToTheLog(self) -> None:
        """For this user only."""
        where = self.peer("--port", "6001").where
        assert where is not None
        self.assertEqual(os.path.realpath(where.path or ""), f"{self.directory}/peer-6001.sock")
        self.assertEqual(where.mode, 0o600)

    def test_itCanBeSwitchedOff(self) -> None:
        """By saying none."""
        self.assertIsNone(self.peer("--http", "none").where)

    def test_anAddressForOthersNeedsAToken(self) -> None:
        """Whoever can connect could drive the daemon."""
        for text in ("tcp:8001", "tcp:8001:interface=0.0.0.0", "tcp:8001:interface=192.0.2.1", r"tcp6:8001"):
            self.claim.released = 0
            self.assertEqual(
                self.refused(PeerOptions(self.claim), "--http", text),
                f"p2ppeer: --http {text}: others can connect there, so it needs --http-token-file",
            )

    def test_withATokenItIsTaken(self) -> None:
        """The token is the file's one word."""
        self.write("token", "correct-horse\n")
        options = self.peer("--http", "tcp:8001", "--http-token-file", "token")
        self.assertEqual(options.token, b"correct-horse")
        self.assertIn(("", 8001), self.claim.taken)

    def test_aLoopbackAddressNeedsNone(self) -> None:
        """Only this machine can connect."""
        for text in ("tcp:8001:interface=127.0.0.1", r"tcp6:8001:interface=\:\:1", "tcp:8001:interface=localhost"):
            self.assertIsNone(self.peer("--http", text).token)

    def test_furtherHostNames(self) -> None:
        """None by default; one with a port is refused."""
        self.assertEqual(self.peer().httpNames, frozenset())
        self.assertEqual(self.peer("--http-name", "node1.example, NODE1").httpNames, {"node1.example", "node1"})
        self.assertIn(
            "p2ppeer: --http-name: 'node1:8001' is no host name",
            self.refused(PeerOptions(self.claim), "--http-name", "node1:8001"),
        )

    def test_aTokenFileMustHoldAToken(self) -> None:
        """An empty one would let everybody in."""
        for content in ("", "short", "two words-of-it"):
            self.claim.released = 0
            self.write("token", content)
            self.assertIn(
                "--http-token-file: token: should hold one word",
                self.refused(PeerOptions(self.claim), "--http-token-file", "token"),
            )

    def test_whatIsNoEndpointIsRefused(self) -> None:
        """The line shows one that is."""
        self.assertIn(
            "p2ppeer: --http tcp:abc: not an endpoint string such as tcp:8001",
            self.refused(PeerOptions(self.claim), "--http", "tcp:abc"),
        )

    def test_aFileInTheSocketsPlaceIsLeftAlone(self) -> None:
        """It is not a socket of a daemon that was killed."""
        path = self.write("peer-6001.sock", "precious")
        self.assertIn("is there, and is not a socket", self.refused(PeerOptions(self.claim), "--port", "6001"))
        self.assertTrue(os.path.exists(path))

    def test_aSocketsPathThatIsTooLongIsMadeRelative(self) -> None:
        """A deep directory does no harm where the short way there is used."""
        deep = os.path.join(self.directory, "d" * 60, "e" * 60)
        os.makedirs(deep)
        self.write("config.txt", TWO)
        os.chdir(deep)
        where = self.peer("--port", "6001", "--config", "../../config.txt").where
        assert where is not None
        self.assertEqual(where.path, "peer-6001.sock")

    def test_oneThatIsTooLongAllTheSameIsRefused(self) -> None:
        """With the reason, not with what the system says."""
        deep = os.path.join(self.directory, "d" * 60, "e" * 60)
        os.makedirs(deep)
        self.assertIn(
            "too long for a socket's path", self.refused(PeerOptions(self.claim), "--log-dir", deep)
        )
