"""
The strategies that a peer may be told to use, by name.

A L{Strategy} says what a name stands for.  They are found as
L{twisted.plugin}s, as twistd finds its services: the project's own stand in
C{twisted/plugins/p2p_strategies.py}, and anybody's package may bring such a
file.  Nothing is imported but what is used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

import attrs
from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedAny
from zope.interface import implementer

from p2p.interfaces import IBroadcast, IDetector, IOverlay, IStrategy
from p2p.settings import SettingError
from p2p.text import errorLine
from p2p.wire.messages import AnyMessage

INTERFACES = {"overlay": IOverlay, "broadcast": IBroadcast, "detector": IDetector}
"""What a strategy of each kind has to have."""

KINDS = tuple(INTERFACES)
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


@attrs.frozen
class Installed:
    """
    What there is.

    @ivar usable: for each kind all that its setting may name, each an L{IStrategy}, by name in alphabetical order.
    @ivar faults: a line for each that is none, and for each that has the name of another.
    """

    usable: dict[str, dict[str, Any]]
    faults: list[str]


def examine(plugins: Iterable[Any], own: Collection[Any]) -> Installed:
    """
    Tell what can be used from what cannot: one that is broken is to harm nobody who does not name it.

    @param own: those of this project, whose names nobody else can have.
    """
    usable: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    faults: list[str] = []
    for known in sorted(plugins, key=lambda known: (all(known is not each for each in own), _home(known))):
        try:
            fault = _fault(known)
            if not fault:
                first = usable[known.kind].setdefault(known.name, known)
                if first is not known:
                    fault = f"the {known.kind} {known.name!r} is {_home(first)} already"
        except Exception as error:
            fault = errorLine(error)
        if fault:
            faults.append(f"the strategy {_home(known)} is passed over: {fault}")
    return Installed({kind: dict(sorted(named.items())) for kind, named in usable.items()}, faults)


@cache
def installed() -> Installed:
    """All strategies that are installed; it is looked once."""
    own = vars(namedAny("twisted.plugins.p2p_strategies")).values()
    return examine(getPlugins(IStrategy), [each for each in own if isinstance(each, Strategy)])


def strategies(kind: str) -> dict[str, Any]:
    """All that the setting C{kind} may name, each an L{IStrategy}, by name in alphabetical order."""
    return installed().usable[kind]


def strategy(kind: str, name: str) -> Any:
    """
    The L{IStrategy} of that name.

    @raise SettingError: there is none.
    """
    known = strategies(kind)
    if name not in known:
        raise SettingError("; ".join([f"{kind}: there is no {name!r}, only {', '.join(known)}", *installed().faults]))
    return known[name]


def makeStrategy(kind: str, outlet: Any, settings: Any, random: Any) -> tuple[Any, dict[Any, Any]]:
    """
    Make the strategy that the setting C{kind} names, for one life of one peer.

    @return: it, and what is to be called for each type of message that it takes.
    @raise SettingError: there is none of that name, or it cannot be made, or what is made lacks something that the
        interface of its kind has.
    """
    name, interface = getattr(settings, kind), INTERFACES[kind]
    known = strategy(kind, name)
    try:
        made = known.make(outlet, settings, random)
        lacking = [each for each in sorted(interface) if not hasattr(made, each)]
        if lacking:
            # Now, and not when it is called for the first time.
            what = ", ".join(lacking)
            raise AttributeError(f"{type(made).__name__!r} object lacks {what} of {interface.__name__}")
        for each in made.messages:
            if each not in AnyMessage.__args__:
                raise TypeError(f"messages has {each!r}, which is no type of p2p.wire.messages")
        return made, {type: made.received for type in made.messages}
    except Exception as error:
        raise SettingError(f"{kind}: {name!r} ({_home(known)}) cannot be made: {errorLine(error)}") from error


def _fault(plugin: Any) -> str:
    """What keeps a plugin from being used, if it has all that an L{IStrategy} has."""
    if plugin.kind not in KINDS:
        return f"its kind is {plugin.kind!r}, not one of {', '.join(KINDS)}"
    name = plugin.name
    if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isprintable() or " " in name:
        return f"its name is {name!r}, not 1 to 64 printable characters without a blank"
    if not isinstance(plugin.description, str) or not callable(plugin.make):
        return "it has no description, or cannot be made"
    return ""


def _home(plugin: Any) -> str:
    """Where a strategy is from, for people."""
    if isinstance(plugin, Strategy):
        return str(plugin.home)
    home = plugin if isinstance(plugin, type) else type(plugin)
    return f"{home.__module__}.{home.__qualname__}"
