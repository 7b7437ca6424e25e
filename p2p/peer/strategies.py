"""
The strategies that a peer may be told to use, by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from p2p.peer.broadcast import Flood
from p2p.peer.liveness import Heartbeat
from p2p.peer.overlay import RandomLinks
from p2p.settings import SettingError

STRATEGIES: dict[str, dict[str, Callable[..., Any]]] = {
    "overlay": {"random": RandomLinks},
    "broadcast": {"flood": Flood},
    "detector": {"heartbeat": Heartbeat},
}
"""What there is: setting, name, class."""


def strategy(setting: str, name: str) -> Callable[..., Any]:
    """
    The class of that name.

    @raise SettingError: there is none.
    """
    known = STRATEGIES[setting]
    if name not in known:
        raise SettingError(f"{setting}: there is no {name!r}, only {', '.join(sorted(known))}")
    return known[name]
