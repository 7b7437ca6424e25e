"""
Memory that a daemon does without.

Twisted loads OpenSSL with the reactor where pyOpenSSL is installed: 12 MiB in
each process, measured.  No link of this network uses TLS.
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
