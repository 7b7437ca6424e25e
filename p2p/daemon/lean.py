"""
Memory that a daemon does without.

Twisted loads OpenSSL with the reactor where pyOpenSSL is installed: 12 MiB in
each process, measured.  No link of this network uses TLS.

This loads the reactor while the command line is read, before C{twistd} forks.
That is no sooner than it matters: C{twistd} itself loads the reactor before it
forks, for it calls the reactor's C{beforeDaemonize} if there is one, and so do
plugins whose C{makeService} needs it.  What a reactor opens by then (an epoll
descriptor, the pipe that wakes it) outlives a fork, of which the parent ends.
With C{--reactor=poll} or C{select}, C{twistd} has installed that reactor when
its own options were read; nothing is to be saved then, and nothing is changed.
"""

from __future__ import annotations

import sys


def importReactorWithoutTls() -> None:
    """
    Load the reactor as it is loaded where pyOpenSSL is not installed.

    Where the reactor or OpenSSL is loaded already, nothing changes.  Endpoints
    that use TLS do not work in this process afterwards.
    """
    if "twisted.internet.reactor" in sys.modules or "OpenSSL" in sys.modules:
        return
    sys.modules["OpenSSL"] = None  # type: ignore[assignment]
    try:
        import twisted.internet.endpoints
        import twisted.internet.reactor  # noqa: F401
    finally:
        del sys.modules["OpenSSL"]
