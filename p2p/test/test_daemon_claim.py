"""
Tests for L{p2p.daemon.claim}: the files.  The ports, which need real sockets, are in C{tests/}.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import NoReturn

from twisted.trial.unittest import SynchronousTestCase

from p2p.daemon.claim import Claim, Taken, socketIsLive


class AddressTests(SynchronousTestCase):
    """What can be known of addresses where the kernel has none of a family."""

    def test_aSystemWithoutIpv6HasNoAddressOfIt(self) -> None:
        """It is no fault, and a port of it is refused in one line."""

        def socketOf(family: int, type: int) -> NoReturn:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

        self.patch(socket, "socket", socketOf)
        claim = Claim()
        self.assertFalse(claim.isOurs("::"))
        self.assertFalse(claim.sixthOnly())
        error = self.assertRaises(Taken, claim.port, "::", 6001)
        self.assertEqual(str(error), "cannot listen on port 6001 of ::: Address family not supported by protocol")


class FilesTests(SynchronousTestCase):
    """One daemon at a time has the files of one name."""

    def setUp(self) -> None:
        """A directory and two daemons."""
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.first = Claim()
        self.second = Claim()
        self.addCleanup(self.first.release)
        self.addCleanup(self.second.release)

    def test_aSecondClaimIsRefused(self) -> None:
        """While the first one lasts."""
        self.first.files(self.directory, "peer-6001")
        error = self.assertRaises(Taken, self.second.files, self.directory, "peer-6001")
        self.assertEqual(str(error), f"another daemon has the files {self.directory}/peer-6001.*")

    def test_otherNamesAreFree(self) -> None:
        """Many daemons share a directory."""
        self.first.files(self.directory, "peer-6001")
        self.second.files(self.directory, "peer-6002")

    def test_oneDaemonMayClaimTheSameTwice(self) -> None:
        """Its log and its state may be in one directory."""
        self.first.files(self.directory, "peer-6001")
        self.first.files(self.directory, "peer-6001")

    def test_oneDirectoryByTwoPathsIsOneDirectory(self) -> None:
        """A symbolic link to it, say."""
        link = self.mktemp()
        os.symlink(os.path.abspath(self.directory), link)
        self.first.files(self.directory, "peer-6001")
        self.first.files(link, "peer-6001")
        self.assertRaises(Taken, self.second.files, link, "peer-6001")
        self.first.release()
        self.assertEqual(os.listdir(self.directory), [])

    def test_whatIsReleasedIsFreeAndLeavesNothingBehind(self) -> None:
        """Also not the file that was locked."""
        self.first.files(self.directory, "peer-6001")
        self.first.release()
        self.assertEqual(os.listdir(self.directory), [])
        self.second.files(self.directory, "peer-6001")

    def test_whatIsHandedOverIsOneDaemonsFiles(self) -> None:
        """In each of its directories; no other's, and nothing that a link leads to, or that is called so, too."""
        other = self.mktemp()
        os.mkdir(other)
        os.mkdir(os.path.join(other, "peer-6001.directory"))
        with open(os.path.join(other, "somebody's"), "w") as file:
            os.link(file.name, os.path.join(other, "peer-6001.log"))
        for name in ("peer-6001.log", "peer-60011.log", "seed-6001.log"):
            with open(os.path.join(self.directory, name), "w"):
                pass
        os.symlink("/nowhere", os.path.join(other, "peer-6001.state"))
        given: dict[str, tuple[object, ...]] = {}

        def chown(path: str, *to: int, follow_symlinks: bool) -> None:
            self.assertFalse(follow_symlinks)
            given[path] = to

        self.patch(os, "chown", chown)
        self.first.files(self.directory, "peer-6001")
        self.first.files(other, "peer-6001")
        self.first.handOver(1001, 1002)
        paths = (f"{self.directory}/peer-6001.lock", f"{self.directory}/peer-6001.log", f"{other}/peer-6001.lock")
        self.assertEqual(given, dict.fromkeys(paths, (1001, 1002)))

    def test_aLockFileThatAKilledDaemonLeftBehindIsNoObstacle(self) -> None:
        """The kernel has dropped the lock; whatever is in the file says nothing."""
        with open(os.path.join(self.directory, "peer-6001.lock"), "w") as file:
            file.write(str(os.getpid()))
        self.first.files(self.directory, "peer-6001")

    def test_aDirectoryThatIsNotThereIsTold(self) -> None:
        """In one line."""
        error = self.assertRaises(Taken, self.first.files, "/nowhere/at/all", "peer-6001")
        self.assertEqual(str(error), "/nowhere/at/all/peer-6001.lock: No such file or directory")

    def test_whatIsNoSocketIsNotLive(self) -> None:
        """Nor is what is not there."""
        self.assertFalse(socketIsLive(os.path.join(self.directory, "none.sock")))
        self.assertFalse(socketIsLive(self.directory))

    def test_aSocketOfAnotherKindIsSomebodys(self) -> None:
        """For datagrams, or for packets in sequence: who has it open would lose it."""
        for number, kind in enumerate((socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)):
            path = os.path.join(self.directory, f"{number}.sock")
            with socket.socket(socket.AF_UNIX, kind) as sock:
                sock.bind(path)
                self.assertTrue(socketIsLive(path))
