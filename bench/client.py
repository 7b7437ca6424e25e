"""
A client of the daemons' HTTP interface on a UNIX socket: plain requests, requests one behind the other, and events.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

LARGEST_LINE = 2**24


class HttpFailed(Exception):
    """
    A daemon answered with an error.

    @ivar status: the HTTP status.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"status {status}: {body[:200].decode('utf-8', 'replace')}")
        self.status = status


def _request(method: str, path: str, body: bytes) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _head(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Read an answer's head: its status and the length of its body."""
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    status = int(lines[0].split()[1])
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, length


class Connection:
    """
    A connection on which requests are sent without waiting for the answers to earlier ones.

    Use it as an asynchronous context.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._waiting: deque[asyncio.Future[bytes]] = deque()

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LARGEST_LINE)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading

    def send(self, method: str, path: str, body: bytes = b"") -> asyncio.Future[bytes]:
        """
        Send a request now.

        @return: the body of its answer; fails with L{HttpFailed} or L{ConnectionError}.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._writer.write(_request(method, path, body))
        return answer

    async def _read(self) -> None:
        try:
            while True:
                status, length = await _head(self._reader)
                body = await self._reader.readexactly(length)
                answer = self._waiting.popleft()
                if answer.done():
                    continue
                if status < 300:
                    answer.set_result(body)
                else:
                    answer.set_exception(HttpFailed(status, body))
        except (asyncio.IncompleteReadError, OSError) as error:
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(ConnectionError(f"{self._path}: {error}"))


async def get(path: str, what: str) -> Any:
    """
    Ask a daemon.

    @param path: of its socket.
    @param what: the path of the resource.
    """
    async with Connection(path) as connection:
        return json.loads(await connection.send("GET", what))


async def post(path: str, what: str, body: bytes) -> Any:
    """Send a daemon something."""
    async with Connection(path) as connection:
        return json.loads(await connection.send("POST", what, body))


async def follow(path: str, types: str, happened: Callable[[dict[str, Any]], object], ready: asyncio.Event) -> None:
    """
    Call C{happened} with each event of a daemon, until the connection ends.

    @param types: the types wanted, with commas between.
    @param ready: set when nothing will be missed from then on.
    """
    reader, writer = await asyncio.open_unix_connection(path, limit=LARGEST_LINE)
    try:
        writer.write(_request("GET", f"/events?type={types}", b""))
        while line := await reader.readline():
            if line.startswith(b": events from now on"):
                ready.set()
            elif line.startswith(b"data: "):
                happened(json.loads(line[6:]))
    except OSError:
        pass
    finally:
        writer.close()
