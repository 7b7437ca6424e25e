"""
Listening on an address of either family, at once or not at all.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

BACKLOG = 1024
"""Connections that the kernel keeps for a busy node."""


def listen(reactor: Any, host: str, port: int, factory: Factory[Any]) -> IListeningPort:
    """
    Listen for TCP connections.

    @param port: 0 for any free one.
    @raise CannotListenError: the port is taken, or the address is not this machine's.
    """
    endpoint = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
    ports: list[IListeningPort] = []
    failures: list[Failure] = []
    endpoint(reactor, port, BACKLOG, host).listen(factory).addCallbacks(ports.append, failures.append)
    if failures:
        failures[0].raiseException()
    # Both of Twisted's TCP endpoints answer before they return.
    return ports[0]
