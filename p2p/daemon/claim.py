"""
What a daemon takes for itself before it starts: its ports and its files.

It is taken while the command line is read.  That is before C{twistd} forks,
looks for a pid file or writes one: so a port or a directory that is in use
ends the start with one line, and what the other daemon has is left alone.

A port is held by a socket that is bound and does not listen; another socket
may then still be bound and listen (both allow the address to be used again),
but no third program is given the number.  Files are held by a lock on a file
next to them, which the kernel drops however the process ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress


class Taken(Exception):
    """Something that the daemon needs cannot be had; the message is one line."""


class Claim:
    """What was taken so far."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._locks: list[tuple[int, str]] = []

    def port(self, host: str, port: int) -> int:
        """
        Take a TCP port.

        @param host: an IP address of this machine, C{""} for all of them.
        @param port: 0 for any that is free.
        @return: the port's number.
        @raise Taken: it is in use, or this process may not have it.
        """
        try:
            sock = _socket(host)
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((host, port))
            except OSError:
                sock.close()
                raise
        except OSError as error:
            raise Taken(f"cannot listen on port {port} of {host or 'any address'}: {_why(error)}") from None
        self._sockets.append(sock)
        number: int = sock.getsockname()[1]
        return number

    def isOurs(self, host: str) -> bool:
        """Is that IP address one of this machine's?"""
        try:
            with _socket(host) as sock:
                sock.bind((host, 0))
        except OSError:
            return False
        return True

    def sixthOnly(self) -> bool:
        """Does who listens on C{::} here take no callers over IPv4?"""
        try:
            with _socket("::") as sock:
                return bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
        except OSError:
            return False

    def files(self, directory: str, name: str) -> None:
        """
        Take all files in C{directory} that are called C{name} and something.

        @raise Taken: another living process has them.
        """
        path = os.path.join(directory, f"{name}.lock")
        try:
            while True:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if any(_sameFile(held, path) for held, _ in self._locks):
                    # One directory, perhaps by two paths.
                    os.close(descriptor)
                    return
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Its last owner may have removed it between our two calls.
                if _sameFile(descriptor, path):
                    break
                os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise Taken(f"another daemon has the files {os.path.join(directory, name)}.*") from None
        except OSError as error:
            raise Taken(f"{path}: {error.strerror}") from None
        self._locks.append((descriptor, path))

    def handOver(self, user: int, group: int) -> None:
        """
        Give what there is of the files to another user and group; -1 for whose they are.

        Whoever may write in these directories must get nothing else that way: a link is no file of a daemon's, nor is
        what has another name elsewhere.

        @raise OSError: this process may not.
        """
        for _, lock in self._locks:
            directory, name = os.path.split(lock.removesuffix("lock"))
            for found in os.listdir(directory):
                path = os.path.join(directory, found)
                if found.startswith(name) and _isPlain(os.lstat(path)):
                    os.chown(path, user, group, follow_symlinks=False)

    def listening(self) -> None:
        """The daemon listens itself now: the ports need not be held any more."""
        while self._sockets:
            self._sockets.pop().close()

    def release(self) -> None:
        """Give everything back."""
        self.listening()
        while self._locks:
            descriptor, path = self._locks.pop()
            with suppress(OSError):
                os.unlink(path)
            os.close(descriptor)


def socketIsLive(path: str) -> bool:
    """Does somebody have the UNIX socket at that path, be it one that this process may not connect to?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(path)
        except BlockingIOError:
            return True
        except OSError as error:
            # It is for datagrams, or another user's.
            return error.errno in (errno.EPROTOTYPE, errno.EACCES, errno.EPERM)
        return True


def _socket(host: str) -> socket.socket:
    """A socket of the address's family."""
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)


def _isPlain(found: os.stat_result) -> bool:
    """A file that has one name."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _sameFile(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _why(error: OSError) -> str:
    return {
        errno.EADDRINUSE: "it is taken",
        errno.EADDRNOTAVAIL: "that is not an address of this machine",
        errno.EACCES: "not permitted",
    }.get(error.errno or 0, error.strerror or str(error))
