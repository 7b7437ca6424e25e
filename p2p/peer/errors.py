"""Why a message was not published."""

from __future__ import annotations


class PayloadTooLarge(ValueError):
    """The payload is larger than the network takes."""


class NotRunning(RuntimeError):
    """This peer was not started, or has been stopped."""


class Busy(RuntimeError):
    """Neighbours do not read as fast as this node publishes; try again a little later."""
