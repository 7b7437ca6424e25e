"""
Sets of numbers as ranges: lists of pairs of first and last number, rising, none touching the next.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest

Ranges = list[tuple[int, int]]


def ranges(numbers: list[int]) -> Ranges | None:
    """
    What stands on the wire as C{[first, last, first, last...]}; C{None} if it does not rise.
    """
    if len(numbers) % 2:
        return None
    before = -1
    found = []
    for place in range(0, len(numbers), 2):
        first, last = numbers[place], numbers[place + 1]
        if first <= before or last < first:
            return None
        found.append((first, last))
        before = last
    return found


def flat(pairs: Ranges) -> list[int]:
    """As they stand on the wire."""
    return [number for pair in pairs for number in pair]


def subtract(these: Ranges, those: Ranges) -> Ranges:
    """What is in the first and not in the second."""
    if not those or not these:
        return these
    rest: Ranges = []
    place = 0
    for first, last in these:
        while place < len(those) and those[place][1] < first:
            place += 1
        at = place
        while at < len(those) and those[at][0] <= last:
            low, high = those[at]
            if first < low:
                rest.append((first, low - 1))
            first = high + 1
            at += 1
        if first <= last:
            rest.append((first, last))
    return rest


def intersect(these: Ranges, those: Ranges) -> Ranges:
    """What is in both."""
    both: Ranges = []
    one = other = 0
    while one < len(these) and other < len(those):
        first, last = these[one]
        low, high = those[other]
        if last < high:
            one += 1
        else:
            other += 1
            last = high
        if first < low:
            first = low
        if first <= last:
            both.append((first, last))
    return both


def union(these: Ranges, those: Ranges, most: int = 0) -> Ranges:
    """
    What is in either.

    @param most: how many ranges it may become, 0 for any number; the closest to each other are then made one, with
        what is between them.
    """
    joined: Ranges = []
    for first, last in sorted((*these, *those)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    if not most or len(joined) <= most:
        return joined
    # Apart stay those with the widest gaps before them; all others are made one with what is before them.
    apart = sorted(nlargest(most - 1, range(1, len(joined)), key=lambda at: joined[at][0] - joined[at - 1][1]))
    return [(joined[at][0], joined[to - 1][1]) for at, to in zip([0, *apart], [*apart, len(joined)], strict=True)]


def first(these: Ranges, most: int) -> Ranges:
    """The lowest of these numbers, so many of them at most."""
    found: Ranges = []
    for low, high in these:
        if most <= 0:
            break
        found.append((low, min(high, low + most - 1)))
        most -= high - low + 1
    return found


def total(pairs: Iterable[tuple[int, int]]) -> int:
    """How many numbers they are."""
    return sum(last - first + 1 for first, last in pairs)
