"""
Talking to a daemon's HTTP interface, without a reactor: over its UNIX socket or over TCP.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, contextmanager
from functools import wraps
from http.client import HTTPConnection, HTTPException, HTTPResponse
from select import select
from shlex import quote as quoted
from typing import Any
from urllib.parse import quote, urlsplit

import click

from p2p.daemon.claim import socketIsLive
from p2p.daemon.where import MAX_PATH, splitEndpoint

TIMEOUT = 15.0
"""Seconds that an answer may take."""

SOON = 2.5
"""After so many seconds without an answer the user is told what is being waited for."""

SOCKET = re.compile(r"(peer|seed)-(\d+)\.sock")
"""The sockets of daemons, as they name them."""


class Failed(click.ClickException):
    """What was asked for could not be done; one line, exit status 1."""

    exit_code = 1


class _UnixConnection(HTTPConnection):
    """A connection to a UNIX socket."""

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with within(self._path) as path:
            self.sock.connect(path)


@contextmanager
def within(path: str) -> Iterator[str]:
    """
    A UNIX socket's path, however long: one that is too long for the system is given as the name in its directory, which
    is the working directory meanwhile.
    """
    if len(os.fsencode(path)) <= MAX_PATH:
        yield path
        return
    directory, name = os.path.split(path)
    with chdir(directory or "."):
        yield name


@contextmanager
def understood(name: str) -> Iterator[None]:
    """
    What is done inside with an answer supposes that it is that of a daemon.

    @param name: what to call who answered.
    @raise Failed: it cannot be done, for it is not.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise Failed(f"{name}: the answer is not that of a p2p daemon ({why})") from error


class Daemon:
    """
    A daemon's HTTP interface.

    @ivar name: what to call it in a message.
    @param path: its UNIX socket; or C{host} and C{port} over TCP.
    """

    def __init__(
        self, name: str, *, path: str = "", host: str = "", port: int = 0, token: str | None = None
    ) -> None:
        self.name = name
        self._path = path
        self._host = host
        self._port = port
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def get(self, resource: str) -> Any:
        """
        What C{GET} answers.

        @raise Failed: it does not.
        """
        with self._ask("GET", resource) as response:
            return _json(response)

    def messages(self) -> Iterator[dict[str, Any]]:
        """
        All messages that a peer keeps, the oldest first, which it tells of page by page.

        @raise Failed: it does not.
        """
        page = self.get("/messages")
        while page:
            yield from page
            page = self.get(f"/messages?after={page[-1]['id']}")

    def post(self, resource: str, body: bytes, wait: float = 0.0) -> Any:
        """
        What C{POST} answers.

        @param wait: for how many seconds longer than usual.
        @raise Failed: it does not.
        """
        with self._ask("POST", resource, body, TIMEOUT + wait, SOON + wait) as response:
            return _json(response)

    def events(self, types: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
        """What happens, of these types or of all, until the daemon ends."""
        query = "?type=" + quote(",".join(types), errors="surrogateescape") if types else ""
        with self._ask("GET", f"/events{query}", timeout=None) as response:
            for line in response:
                if line.startswith(b"data: "):
                    with understood(self.name):
                        event = json.loads(line[6:])
                    yield event

    @contextmanager
    def _ask(
        self,
        method: str,
        resource: str,
        body: bytes | None = None,
        timeout: float | None = TIMEOUT,
        soon: float = SOON,
    ) -> Iterator[HTTPResponse]:
        """
        A request's answer, if it is a good one.

        @param soon: if there is none by then, in seconds, a line on stderr says so.
        @raise Failed: it is not, or there is none.
        """
        connection: HTTPConnection
        if self._path:
            connection = _UnixConnection(self._path, timeout)
        else:
            connection = HTTPConnection(self._host, self._port, timeout=timeout)
        with closing(connection):
            try:
                try:
                    connection.request(method, resource, body, self._headers)
                except (BrokenPipeError, ConnectionResetError):
                    # It has refused before it took the whole body: the answer says why.
                    if connection.sock is None:
                        raise
                if not select([connection.sock], [], [], soon)[0]:
                    click.echo(f"p2p: {self.name} does not answer yet: is it stopped, or very busy?", err=True)
                    if timeout is not None:
                        connection.sock.settimeout(timeout - soon)
                response = connection.getresponse()
                if response.status >= 300:
                    raise Failed(f"{self.name}: {_error(response)}")
                yield response
            except (ConnectionRefusedError, FileNotFoundError):
                raise Failed(f"{self.name}: nobody listens there; has the daemon ended?") from None
            except TimeoutError:
                raise Failed(f"{self.name}: no answer within {timeout or 0.0:.0f} seconds") from None
            except (OSError, HTTPException) as error:
                raise Failed(f"{self.name}: {str(error) or type(error).__name__}") from None


def _json(response: HTTPResponse) -> Any:
    try:
        return json.loads(response.read())
    except ValueError:
        raise Failed("the answer is not JSON; is this a p2p daemon?") from None


def _error(response: HTTPResponse) -> str:
    try:
        answer = json.loads(response.read(65536))
        # What was published nevertheless.
        return f"{answer['id']}: {answer['error']}" if answer.get("id") else str(answer["error"])
    except (ValueError, KeyError, TypeError, OSError, HTTPException):
        return f"HTTP status {response.status}"


def findDaemon(port: int | None, directory: str, http: str | None, token: str | None) -> Daemon:
    """
    The daemon that the options name.

    @raise click.ClickException: they name none, or several.
    """
    if http is not None:
        return _daemonAt(http, token)
    try:
        names = sorted(name for name in os.listdir(directory) if SOCKET.fullmatch(name))
    except OSError as error:
        raise Failed(f"--log-dir {directory}: {error.strerror}") from None
    if port is not None:
        names = [name for name in names if name in (f"peer-{port}.sock", f"seed-{port}.sock")]
        if not names:
            raise Failed(_notFound(port, directory))
    elif not names:
        raise Failed(f"no daemon runs in {directory!r} (--log-dir says where its log is)")
    if len(names) > 1:
        # A daemon that was killed has left its socket behind.
        live = [name for name in names if _listens(os.path.join(directory, name))]
        if port is None and len(live) != 1:
            ports = ", ".join(f"{match[2]} ({match[1]})" for match in map(SOCKET.fullmatch, live or names) if match)
            raise click.UsageError(f"say with --port which daemon is meant: {ports}")
        if len(live) > 1:
            ways = " or ".join(f"--http {_endpoint(os.path.join(directory, name))}" for name in live)
            raise click.UsageError(f"a peer and a seed of port {port} run in {directory!r}: say {ways}")
        names = live or names
    return Daemon(names[0].removesuffix(".sock"), path=os.path.join(directory, names[0]), token=token)


def _listens(path: str) -> bool:
    with within(path) as short:
        return socketIsLive(short)


def _endpoint(path: str) -> str:
    """A UNIX socket as an endpoint string, which a shell takes as one word."""
    kind = "unix:address=" if "=" in path else "unix:"
    return quoted(kind + re.sub(r"([\\:])", r"\\\1", path))


def _notFound(port: int, directory: str) -> str:
    """Why there is no socket of a daemon with that port: one line."""
    for role in ("peer", "seed"):
        if os.path.exists(os.path.join(directory, f"{role}-{port}.lock")):
            return f"{role}-{port} has no socket in {directory!r}: say with --http where its HTTP interface is"
    return (
        f"no daemon of port {port} seems to run: neither peer-{port}.sock nor seed-{port}.sock is in {directory!r};"
        " if one does, is its log elsewhere (--log-dir), or its HTTP interface (--http)?"
    )


HERE = {"tcp": "127.0.0.1", "tcp6": "::1"}
"""Where a daemon is whose endpoint string does not say."""


def _daemonAt(text: str, token: str | None) -> Daemon:
    """
    The daemon at C{http://HOST:PORT}, C{unix:PATH}, or a TCP endpoint string of server or client.
    """
    if text.startswith("http://"):
        try:
            url = urlsplit(text)
            host, port = url.hostname, url.port or 80
        except ValueError:
            host, port = None, 0
        if host and _isHost(host):
            return Daemon(text, host=host, port=port, token=token)
    kind, plain, named = splitEndpoint(text)
    if kind == "unix" and (named.get("address") or plain):
        return Daemon(text, path=named.get("address") or plain[0], token=token)
    if kind in HERE:
        port_ = named.get("port") or (plain[-1] if plain else "")
        host = named.get("host") or named.get("interface") or (plain[0] if len(plain) > 1 else HERE[kind])
        if port_.isascii() and port_.isdigit() and 0 < int(port_) < 65536 and _isHost(host):
            return Daemon(text, host=host, port=int(port_), token=token)
    raise click.UsageError(f"--http: {text!r} is none of http://HOST:PORT, unix:PATH, tcp:HOST:PORT")


def _isHost(text: str) -> bool:
    """Can it be looked up?  What could not be even asked for is no error of the system's."""
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    return text.isprintable() and " " not in text


def _readToken(path: str) -> str:
    """
    What a token file holds, without the white space around it.

    @raise Failed: it holds something else.
    """
    try:
        with open(path, "rb") as file:
            words = file.read(4097).split()
    except OSError as error:
        raise Failed(f"--token-file {path}: {error.strerror}") from None
    if len(words) != 1:
        raise Failed(f"--token-file {path}: should hold one word")
    # As it is: http.client encodes it so.
    return words[0].decode("latin-1")


def ofDaemon(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Give a command the options that name a daemon, and the L{Daemon} as its argument C{daemon}.
    """

    @click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="Port of the daemon, peer or seed.")
    @click.option(
        "--log-dir", default=".", show_default=True, metavar="DIR", help="Where its log file and socket are."
    )
    @click.option(
        "--http", metavar="WHERE", help="Its HTTP interface instead: http://HOST:PORT, unix:PATH or tcp:HOST:PORT."
    )
    @click.option("--token-file", metavar="FILE", help="File that holds the token it asks for.")
    @wraps(command)
    def wrapped(port: int | None, log_dir: str, http: str | None, token_file: str | None, **others: Any) -> Any:
        token = None if token_file is None else _readToken(token_file)
        return command(daemon=findDaemon(port, log_dir, http, token), **others)

    return wrapped
