"""
A figure that is expected and one that was measured.
"""

from __future__ import annotations

from math import inf

import attrs


@attrs.frozen
class Figure:
    """
    What is compared; made by one of the functions below.

    @ivar what: for people, with the unit.
    @ivar low: the least that it may be; C{high} is the most.
    @ivar measured: what it is; C{None} if it did not happen, which is within no bounds.
    @ivar expected: the bounds in words.
    """

    what: str
    low: float
    high: float
    measured: float | None
    expected: str

    @property
    def holds(self) -> bool:
        """It is within its bounds."""
        return self.measured is not None and self.low <= self.measured <= self.high

    def __str__(self) -> str:
        measured = "never" if self.measured is None else f"{self.measured:.6g}"
        return f"{'ok  ' if self.holds else 'MISS'}  {self.what}: expected {self.expected}, measured {measured}"


def exactly(what: str, expected: float, measured: float | None) -> Figure:
    """A closed form without chance, of whole numbers."""
    return Figure(what, expected, expected, measured, f"{expected:.6g}")


def about(what: str, expected: float, measured: float | None, within: float) -> Figure:
    """
    A figure with a sampling error, or one of sums of floating-point numbers.

    @param within: how far it may be off on either side.
    """
    return Figure(what, expected - within, expected + within, measured, f"{expected:.6g} +- {within:.2g}")


def between(what: str, low: float, high: float, measured: float | None) -> Figure:
    """A figure of which only bounds are known."""
    return Figure(what, low, high, measured, f"{low:.6g} to {high:.6g}")


def atMost(what: str, bound: float, measured: float | None) -> Figure:
    """A figure of which an upper bound is known."""
    return Figure(what, -inf, bound, measured, f"at most {bound:.6g}")


def atLeast(what: str, bound: float, measured: float | None) -> Figure:
    """A figure of which a lower bound is known."""
    return Figure(what, bound, inf, measured, f"at least {bound:.6g}")
