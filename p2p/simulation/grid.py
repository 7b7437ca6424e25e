"""
Settings that are varied: C{peers.options.maxConnections=2,3,4}, and the grid that several of them make.

A setting names a key of a scenario file by its path; where the path goes
through an array, a number stands for the place: C{events.0.crash.fraction}.
The values are written as in the file.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from p2p.simulation.incidents import ScenarioError

Settings = dict[str, Any]
"""Values by the path of their key: one point of a grid."""


def readSettings(text: str) -> tuple[str, list[Any]]:
    """
    A key and its values.  Values that are not TOML are texts, as quotes are a nuisance in a shell:
    C{peers.options.overlay=random,ring}.

    @raise ScenarioError: it has not the form C{key=value,value,...}.
    """
    key, equals, given = text.partition("=")
    key = key.strip()
    if not (key and equals and given.strip()):
        raise ScenarioError(f"{text!r} has not the form key=value or key=value,value,...")
    try:
        values = tomllib.loads(f"values = [{given}]")["values"]
    except tomllib.TOMLDecodeError:
        values = [_value(value.strip()) for value in given.split(",")]
    return key, values


def grid(settings: Iterable[str]) -> list[Settings]:
    """
    All combinations of the values that each of some settings takes; the last one varies fastest.

    @raise ScenarioError: see L{readSettings}; or a key is given twice, or takes the same value twice, or it is the
        seed, which has an option of its own.
    """
    axes: dict[str, list[Any]] = {}
    for setting in settings:
        key, values = readSettings(setting)
        if key == "seed":
            raise ScenarioError("seed is not for --set: say --seed, or --seeds with p2p sweep")
        if key in axes:
            raise ScenarioError(f"{key} is set twice; p2p sweep takes several values as {key}=value,value")
        for place, value in enumerate(values):
            if any(_same(value, other) for other in values[:place]):
                raise ScenarioError(f"{key} takes {valueText(value)} twice")
        axes[key] = values
    return [dict(zip(axes, point, strict=True)) for point in product(*axes.values())]


def point(settings: Iterable[str]) -> Settings:
    """
    The settings of a single run.

    @raise ScenarioError: see L{grid}; or one has several values.
    """
    points = grid(settings)
    for key in points[0]:
        if any(other[key] != points[0][key] for other in points):
            raise ScenarioError(f"--set {key}: takes one value here; p2p sweep takes several")
    return points[0]


def _same(one: Any, other: Any) -> bool:
    """C{0} and C{0.0} are the same in a scenario, C{1} and C{true} are not."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def settingText(key: str, value: Any) -> str:
    """A setting as a command line takes it, before the shell's quotes."""
    return f"{key}={valueText(value)}"


def shortNames(keys: Sequence[str]) -> dict[str, str]:
    """Of each key the last part, and as many before it as tell it from the others."""
    names = {}
    for key in keys:
        parts = key.split(".")
        ends = [".".join(parts[place:]) for place in reversed(range(len(parts)))]
        names[key] = next(end for end in ends if sum(f".{other}".endswith(f".{end}") for other in keys) == 1)
    return names


def valueText(value: Any) -> str:
    """A value as TOML writes it, but a text without quotes if it can do without."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_quoted(part) for part in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_quoted(part)}" for key, part in value.items()) + "}"
    if isinstance(value, str) and (_value(value) != value or "," in value or not value.strip()):
        return _quoted(value)
    return str(value)


def replaced(table: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """
    A scenario file's table with other values; tables that are missing on the way to a key are made.

    @raise ScenarioError: a key leads into nothing.
    """
    table = copy.deepcopy(table)
    for key, value in settings.items():
        *way, last = key.split(".")
        place: Any = table
        for number, part in enumerate(way):
            place = _within(place, part, key, way[:number])
        if isinstance(place, list):
            _within(place, last, key, way)
            place[int(last)] = value
        elif isinstance(place, dict):
            place[last] = value
        else:
            raise ScenarioError(f"{key}: {'.'.join(way)} is no table")
    return table


def _within(place: Any, part: str, key: str, way: Sequence[str]) -> Any:
    if isinstance(place, dict):
        return place.setdefault(part, {})
    if isinstance(place, list):
        if not part.isdecimal() or int(part) >= len(place):
            raise ScenarioError(f"{key}: {'.'.join(way)} has no {part}; it counts from 0 and has {len(place)}")
        return place[int(part)]
    raise ScenarioError(f"{key}: {'.'.join(way)} is no table")


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return valueText(value)
