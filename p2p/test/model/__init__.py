"""
Closed forms and published figures that the protocols and the simulator are held against, at two sizes.

Each module in here is one check. At its small size it is a test (L{p2p.test.test_model}, in seconds; or
C{tests/test_model.py}, for those that take more); at its large one it is a line of C{make check-model}, which says what
was expected and what was measured, and ends with exit status 1 if anything does not agree.
C{python -m p2p.test.model --help} says how to do one of them, or another size.

A check is added by adding a module, which has:

 - a docstring: what is checked, and where the figures are from. Its first line is shown.
 - C{SMALL} and C{LARGE}: at how many peers.
 - C{LONG = True}, if it takes many seconds at its small size: then C{tests/test_model.py} does it, not C{trial p2p}.
 - C{check(peers)}: yields a L{Figure<p2p.test.model.figure.Figure>} for each thing compared.

It may need all that the tests need, as networkx; what it draws comes from a fixed seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from p2p.test.model.figure import Figure


class Check(Protocol):
    """
    A module that is a check.

    @ivar SMALL: peers, for a test.
    @ivar LARGE: peers, for C{make check-model}.
    """

    __doc__: str
    SMALL: int
    LARGE: int

    @staticmethod
    def check(peers: int) -> Iterator[Figure]:
        """Compare what is to be compared in a network of so many."""


def checks() -> dict[str, Check]:
    """All of them, by the names of their modules."""
    names = sorted(found.name for found in iter_modules(__path__) if found.name != "__main__")
    modules = {name: import_module(f"{__name__}.{name}") for name in names}
    return {name: cast(Check, module) for name, module in modules.items() if hasattr(module, "check")}
