"""
The strategies that a peer may be told to use, by name.

A L{Strategy} says what a name stands for.  They are found as
L{twisted.plugin}s, as twistd finds its services: the project's own stand in
C{twisted/plugins/p2p_strategies.py}, and anybody's package may bring such a
file.  Nothing is imported but what is used.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import attrs
from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedAny
from zope.interface import implementer

from p2p.interfaces import IStrategy
from p2p.settings import SettingError

KINDS = ("overlay", "broadcast", "detector")
"""The settings that name a strategy."""


@implementer(IPlugin, IStrategy)
@attrs.frozen
class Strategy:
    """
    A name and what it stands for.

    @ivar kind: the setting that may name it: C{"overlay"}, C{"broadcast"} or C{"detector"}.
    @ivar name: what the setting says.
    @ivar description: a line for people.
    @ivar home: the class's full name; see L{p2p.interfaces.IStrategy.make}.
    """

    kind: str
    name: str
    description: str
    home: str

    def make(self, outlet: Any, settings: Any, random: Any) -> Any:
        """See L{IStrategy}."""
        return namedAny(self.home)(outlet, settings, random)


@cache
def strategies(kind: str) -> dict[str, Any]:
    """All that the setting C{kind} may name, each an L{IStrategy}, by name in alphabetical order."""
    found = [known for known in getPlugins(IStrategy) if known.kind == kind]
    return {known.name: known for known in sorted(found, key=lambda known: str(known.name))}


def strategy(kind: str, name: str) -> Any:
    """
    The L{IStrategy} of that name.

    @raise SettingError: there is none.
    """
    known = strategies(kind)
    if name not in known:
        raise SettingError(f"{kind}: there is no {name!r}, only {', '.join(known)}")
    return known[name]
