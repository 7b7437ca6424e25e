"""
A peer-to-peer network on Twisted: seeds that know who is active, peers that link, gossip and watch each other.

What an embedding program needs has its name here: L{PeerService} and
L{SeedService} with L{PeerSettings} and L{SeedSettings}, L{Address} and
L{readConfig}, the L{Delivery} that subscribers get, the L{Confirmed} that
C{publishConfirmed} gives, and what all these raise: L{AddressError}, L{Busy},
L{NotConfirmed}, L{NotRunning}, L{PayloadTooLarge}, L{SettingError}.  Each is
loaded when it is first asked for, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p.address import Address as Address
    from p2p.address import AddressError as AddressError
    from p2p.address import readConfig as readConfig
    from p2p.node import NotRunning as NotRunning
    from p2p.peer.confirm import Confirmed as Confirmed
    from p2p.peer.delivery import Delivery as Delivery
    from p2p.peer.errors import Busy as Busy
    from p2p.peer.errors import NotConfirmed as NotConfirmed
    from p2p.peer.errors import PayloadTooLarge as PayloadTooLarge
    from p2p.peer.service import PeerService as PeerService
    from p2p.seed.service import SeedService as SeedService
    from p2p.settings import PeerSettings as PeerSettings
    from p2p.settings import SeedSettings as SeedSettings
    from p2p.settings import SettingError as SettingError

__version__ = "0.1.0"

_HOMES = {
    "Address": "p2p.address",
    "AddressError": "p2p.address",
    "Busy": "p2p.peer.errors",
    "Confirmed": "p2p.peer.confirm",
    "Delivery": "p2p.peer.delivery",
    "NotConfirmed": "p2p.peer.errors",
    "NotRunning": "p2p.node",
    "PayloadTooLarge": "p2p.peer.errors",
    "PeerService": "p2p.peer.service",
    "PeerSettings": "p2p.settings",
    "SeedService": "p2p.seed.service",
    "SeedSettings": "p2p.settings",
    "SettingError": "p2p.settings",
    "readConfig": "p2p.address",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
