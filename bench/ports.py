"""
Ports for daemons that are started to be looked at.
"""

from __future__ import annotations

import random
import socket
from contextlib import suppress

PORTS = range(20_000, 30_000)
"""Where ports are looked for: below those that the kernel gives to outgoing connections."""

_left = random.sample(PORTS, len(PORTS))


def freePort() -> int:
    """
    A TCP port that nobody listens on, and that this process has not been given before.

    @raise IndexError: all of L{PORTS} have been given, or were taken.
    """
    while True:
        port = _left.pop()
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                sock.bind(("0.0.0.0", port))
                return port
