"""
Making a failing scenario small, so that one can see why it fails.

This is delta debugging (Zeller and Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002): leave something out, run again, and keep what
still fails in the same way; bold steps first, small ones when the bold ones
succeed no more, until nothing can be left out.  A L{Reduction} knows one way to
make a scenario smaller.  It need not know what makes sense: what is no scenario
any more is not run, and what does not fail is not kept.

A smaller scenario draws other chances from its seed, so a rare failure may need
another one; several may be tried for each step.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from p2p.simulation.incidents import ScenarioError
from p2p.simulation.job import Job, run
from p2p.simulation.scenario import scenarioOf

Table = dict[str, Any]
"""What stands in a scenario file."""

Reduction = Callable[[Table], Iterator[tuple[str, Table]]]
"""Ways to make a scenario smaller: what was done, and what it is then."""

_NEEDED = {("name",), ("seed",), ("duration",), ("peers",), ("peers", "count"), ("peers", "options", "gossipCount")}
"""Keys that are not left out; without C{gossipCount = 0} there is more on the network, not less."""


class SpentError(Exception):
    """As many runs were made as were allowed."""


@attrs.frozen
class Failure:
    """
    How a run failed.

    @ivar problem: in words.
    @ivar had: see L{Broken<p2p.simulation.expect.Broken>}; 0 where that has none.
    """

    problem: str
    had: float = 0.0


def failures(outcome: dict[str, Any]) -> dict[str, Failure]:
    """How a run failed: by the expectations that did not hold, or the type of an exception."""
    if outcome["crash"] is not None:
        return {outcome["crash"].partition(":")[0]: Failure(outcome["crash"])}
    found: dict[str, Failure] = {}
    for broken in outcome["broken"]:
        # Of several broadcasts the first is the one that had the most time.
        failure = Failure(f"{broken['problem']} (at {broken['time']:.3f} s)", broken["had"] or 0.0)
        found.setdefault(broken["expectation"], failure)
    return found


@attrs.define
class Shrinking:
    """
    A scenario that gets smaller.

    @ivar table: the smallest that fails so far.
    @ivar seed: with which it does.
    @ivar expectation: what does not hold.
    @ivar failure: in which way.
    @ivar most: how many runs may be made.
    @ivar tries: how many seeds are tried, from C{seed} on, before something counts as not failing.
    @ivar work: what does a run.
    """

    table: Table
    seed: int
    expectation: str
    failure: Failure
    fuzz: bool = False
    most: int = 500
    tries: int = 1
    work: Callable[[Job], dict[str, Any]] = run
    steps: list[str] = attrs.Factory(list)
    runs: int = 0
    _seen: set[str] = attrs.Factory(set)
    _had: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Nothing reaches anybody before an early end: what had less time fails in another way.
        self._had = self.failure.had

    def go(self) -> None:
        """
        Make it as small as possible.

        @raise SpentError: there were not enough runs for that; what was reached is there.
        """
        before = -1
        while len(self.steps) > before:
            before = len(self.steps)
            for reduction in REDUCTIONS:
                while self._step(reduction):
                    pass

    def _step(self, reduction: Reduction) -> bool:
        """Take the first of the reductions that still fails."""
        for step, smaller in reduction(self.table):
            if self._fails(smaller):
                self.table = smaller
                self.steps.append(step)
                return True
        return False

    def _fails(self, table: Table) -> bool:
        key = json.dumps(table, sort_keys=True)
        if key in self._seen:
            return False
        self._seen.add(key)
        try:
            scenarioOf(table)
        except ScenarioError:
            return False
        for seed in range(self.seed, self.seed + self.tries):
            if self.runs >= self.most:
                raise SpentError
            self.runs += 1
            failure = failures(self.work(Job(table, seed, fuzz=self.fuzz))).get(self.expectation)
            if failure is not None and failure.had >= self._had:
                self.seed, self.failure = seed, failure
                return True
        return False


def _without(table: Table, way: Sequence[str | int]) -> Table:
    """A copy without one key, and without the tables that are empty then."""
    table = copy.deepcopy(table)
    for length in range(len(way), 0, -1):
        place = _at(table, way[: length - 1])
        del place[way[length - 1]]
        if place or length == 1:
            break
    return table


def _with(table: Table, way: Sequence[str | int], value: Any) -> Table:
    table = copy.deepcopy(table)
    _at(table, way[:-1])[way[-1]] = value
    return table


def _at(table: Table, way: Sequence[str | int]) -> Any:
    place: Any = table
    for part in way:
        place = place[part]
    return place


def _leaves(place: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """All values that are neither tables nor lists of tables or lists, and where they stand."""
    parts = place.items() if isinstance(place, dict) else enumerate(place) if isinstance(place, list) else ()
    for part, value in list(parts):
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict | list)):
            yield from _leaves(value, (*way, part))
        else:
            yield (*way, part), value


def _text(way: Sequence[str | int]) -> str:
    return ".".join(map(str, way))


def _fewerExpectations(table: Table) -> Iterator[tuple[str, Table]]:
    """They cost nothing, but one that must hold always may end the run before the failure that is looked for."""
    expect = table.get("expect", {})
    for name in expect:
        if len(expect) > 1:
            yield f"expect {name} only", {**table, "expect": {name: expect[name]}}
    for name in expect:
        yield f"do not expect {name}", _without(table, ("expect", name))
    for number, check in enumerate(table.get("checks", [])):
        yield f"do not check {check['function']}", _without(table, ("checks", number))


def _fewerEvents(table: Table) -> Iterator[tuple[str, Table]]:
    """All of them, halves, quarters, and one at a time."""
    events = table.get("events", [])
    size = len(events)
    while size:
        for start in range(0, len(events), size):
            rest = events[:start] + events[start + size :]
            smaller = {**table, "events": rest} if rest else {k: v for k, v in table.items() if k != "events"}
            gone = ", ".join(f"{_verb(event)} at {event['at']:g} s" for event in events[start : start + size])
            yield f"without {gone}", smaller
        size //= 2


def _verb(event: Table) -> str:
    return next(key for key in event if key != "at")


def _fewerNodes(table: Table) -> Iterator[tuple[str, Table]]:
    """Peers are most of what a run costs."""
    for way in (("peers", "count"), ("seeds", "count")):
        try:
            count = _at(table, way)
        except KeyError:
            continue
        for smaller in _smaller(count):
            yield f"{way[0]} {count} -> {smaller}", _with(table, way, smaller)


def _smaller(count: int) -> list[int]:
    """Less than a number: boldly, then by one."""
    return sorted({1, 2, count // 8, count // 4, count // 2, count * 3 // 4, count - 1} & set(range(1, count)))


def _shorter(table: Table) -> Iterator[tuple[str, Table]]:
    """An earlier end, and less time between two events."""
    duration = table["duration"]
    for share in (0.25, 0.5, 0.75, 0.9):
        smaller = round(duration * share, 1)
        if 0 < smaller < duration:
            yield f"duration {duration:g} -> {smaller:g}", {**table, "duration": smaller}
    events = sorted(table.get("events", []), key=lambda event: event["at"])
    for number, event in enumerate(events):
        wait = event["at"] - (events[number - 1]["at"] if number else 0.0)
        for share in (0.25, 0.5, 0.8):
            sooner = round(wait * (1 - share), 1)
            if sooner > 0 and duration - sooner > 0:
                later = [{**other, "at": round(other["at"] - sooner, 3)} for other in events[number:]]
                smaller = {**table, "events": events[:number] + later, "duration": round(duration - sooner, 3)}
                yield f"{_verb(event)} and all after it {sooner:g} s sooner", smaller


def _simpler(table: Table) -> Iterator[tuple[str, Table]]:
    """Without what has a default."""
    for way, value in _leaves(table):
        if way not in _NEEDED and way[0] != "expect" and way[-1] != "at":
            yield f"without {_text(way)} = {json.dumps(value)}", _without(table, way)


def _less(table: Table) -> Iterator[tuple[str, Table]]:
    """Smaller numbers and shorter lists in what happens."""
    for way, value in _leaves(table):
        if way[0] != "events" or way[-1] == "at":
            continue
        smaller: list[Any] = []
        if isinstance(value, list):
            smaller = [value[:place] + value[place + 1 :] for place in range(len(value))] if len(value) > 1 else []
        elif isinstance(value, int) and not isinstance(value, bool):
            smaller = list(_smaller(value))
        elif isinstance(value, float) and way[-1] in ("for", "over"):
            smaller = [round(value * share, 1) for share in (0.25, 0.5, 0.75) if round(value * share, 1) > 0]
        elif way[-1] == "fraction":
            verb = {key: other for key, other in _at(table, way[:-1]).items() if key != "fraction"}
            for count in (1, 2, 4):
                yield f"{_text(way)} = {value} -> count = {count}", _with(table, way[:-1], {**verb, "count": count})
        for one in smaller:
            if one != value:
                yield f"{_text(way)} {json.dumps(value)} -> {json.dumps(one)}", _with(table, way, one)


REDUCTIONS: tuple[Reduction, ...] = (_fewerExpectations, _fewerEvents, _fewerNodes, _shorter, _less, _simpler)
"""In the order in which they are tried: what makes runs cheaper comes first."""
