"""
A scenario file: how a network is made, what happens in it, and what must hold.

The records here are the schema: their fields are the keys, their types say
what may stand there.  L{readScenario} reads a file; whatever is wrong with it
is one L{ScenarioError} that names the file, the line and the key.
docs/simulation.md describes every key.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any

import attrs
import msgspec
import msgspec.inspect
from msgspec import Meta

from p2p.peer.strategies import strategy
from p2p.settings import PeerSettings, SeedSettings, SettingError
from p2p.simulation import incidents, latency
from p2p.simulation.expect import OF_BROADCASTS, Check, Expect, calms, caughtUpFrom
from p2p.simulation.grid import Settings, replaced
from p2p.simulation.incidents import (
    LONGEST,
    Bandwidth,
    Incident,
    Interval,
    Part,
    Pause,
    ScenarioError,
    Seconds,
    Who,
)
from p2p.simulation.lines import keyLines, lineOf, pathText
from p2p.simulation.swarm import MAX_PEERS, MAX_SEEDS


class Latency(Part, frozen=True, kw_only=True):
    """How long a segment is under way, in seconds; one of these."""

    uniform: tuple[Seconds, Seconds] | None = None
    constant: Seconds | None = None
    normal: tuple[Seconds, Seconds] | None = None

    def problem(self) -> str | None:
        """What is wrong with it that its types do not say."""
        if sum(way is not None for way in (self.uniform, self.constant, self.normal)) != 1:
            return "say one of uniform, constant, normal"
        if self.uniform is not None and self.uniform[0] > self.uniform[1]:
            return "uniform is [lowest, highest]"
        return None

    def made(self) -> latency.Latency:
        """As the network takes it."""
        if self.uniform is not None:
            return latency.uniform(*self.uniform)
        if self.normal is not None:
            return latency.normal(*self.normal)
        return latency.constant(self.constant or 0.0)


class Network(Part, frozen=True, kw_only=True):
    """
    What connects the hosts.

    @ivar loss: share of segments that need retransmission.
    @ivar bandwidth: bytes per second between two hosts and direction; C{None} for no limit.
    """

    latency: Latency = Latency(uniform=(0.010, 0.100))
    loss: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    bandwidth: Bandwidth | None = None


class Seeds(Part, frozen=True, kw_only=True):
    """
    The seeds; they start at once.

    @ivar options: settings by the names of L{SeedSettings}.
    """

    count: Annotated[int, Meta(ge=1, le=MAX_SEEDS)] = 1
    options: dict[str, Any] = {}


class Joining(Part, frozen=True, kw_only=True):
    """When the first peers join: C{over} so many seconds all of them, or one C{every} so many seconds."""

    over: Seconds | None = None
    every: Seconds | None = None


class Peers(Part, frozen=True, kw_only=True):
    """
    The first peers.

    @ivar options: settings by the names of L{PeerSettings}.
    """

    count: Annotated[int, Meta(ge=1, le=MAX_PEERS)]
    join: Joining = Joining(over=0.0)
    options: dict[str, Any] = {}

    def joining(self) -> incidents.Join:
        """Their joining as something that happens."""
        return incidents.Join(count=self.count, over=self.join.over, every=self.join.every)


class Event(Part, frozen=True, kw_only=True):
    """Something that happens: when, and one of the verbs."""

    at: Seconds
    publish: incidents.Publish | None = None
    crash: incidents.Crash | None = None
    restart: incidents.Restart | None = None
    leave: incidents.Leave | None = None
    join: incidents.Join | None = None
    churn: incidents.Churn | None = None
    partition: incidents.Partition | None = None
    pause: incidents.Freeze | None = None
    loss: incidents.Loss | None = None
    slow: incidents.Slow | None = None
    throttle: incidents.Throttle | None = None
    clock: incidents.SetClock | None = None
    liar: incidents.Lie | None = None

    @property
    def verbs(self) -> dict[str, Incident]:
        """Those that are given."""
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name != "at"}
        return {name: incident for name, incident in given.items() if incident is not None}

    @property
    def incident(self) -> Incident:
        """What happens."""
        return next(iter(self.verbs.values()))


class Measured(Part, frozen=True, kw_only=True):
    """
    What is measured beyond what always is.

    @ivar overlay: seconds between two looks at the overlay; C{None} for one at the end.
    @ivar window: seconds after its sending within which a broadcast counts; C{None} for the rest of the run.  How far
        it reached is not looked at if the end comes sooner.
    @ivar traffic: frames are counted by type, and payload frames by broadcast.
    """

    overlay: Interval | None = None
    window: Pause | None = None
    traffic: bool = True


class Scenario(Part, frozen=True, kw_only=True):
    """
    A scenario.

    @ivar seed: what all chance comes from, if the command line names no other.
    @ivar duration: virtual seconds.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    duration: Annotated[float, Meta(gt=0, le=LONGEST)]
    peers: Peers
    seed: int = 0
    description: str = ""
    network: Network = Network()
    seeds: Seeds = Seeds()
    events: list[Event] = []
    measure: Measured = Measured()
    expect: Expect = Expect()
    checks: list[Check] = []

    @property
    def upsets(self) -> list[tuple[float, float]]:
        """When running peers may be kept from being linked: from and until, in seconds since the beginning."""
        happening = [(0.0, self.peers.joining()), *((event.at, event.incident) for event in self.events)]
        lasting = [(at, incident.upsetting()) for at, incident in happening]
        return sorted((at, at + seconds) for at, seconds in lasting if seconds is not None)

    @property
    def seedSettings(self) -> SeedSettings:
        """As the seeds take them."""
        return SeedSettings(**self.seeds.options)

    @property
    def peerSettings(self) -> PeerSettings:
        """As the peers take them."""
        return PeerSettings(**self.peers.options)


    @property
    def partitions(self) -> list[tuple[float, float]]:
        """When each partition begins and when it ends; one that does not, with the scenario."""
        found = [(event.at, event.partition) for event in self.events if event.partition is not None]
        return [(at, self.duration if cut.for_ is None else min(at + cut.for_, self.duration)) for at, cut in found]


@attrs.frozen
class _Problem(Exception):
    """What is wrong, and where."""

    path: tuple[str | int, ...]
    text: str


@attrs.frozen
class ScenarioFile:
    """
    A scenario file as it was read, which is done once: it may be a pipe.

    @ivar path: where it is, as the user said it.
    @ivar directory: where modules with its checks are looked for, too; C{None} if it is a pipe.
    @ivar text: all of it.
    @ivar table: what stands in it, or was set instead.
    @ivar scenario: what that says.
    """

    path: str
    directory: str | None
    text: str
    table: dict[str, Any]
    scenario: Scenario

    def named(self, seed: int) -> str:
        """
        What a run of it with some seed is called, in names of files: C{partition-seed7}, or as the file if that is
        what C{p2p shrink} has left of such a run, C{partition-seed7-small}.
        """
        name = os.path.splitext(os.path.basename(self.path))[0] if self.directory is not None else "scenario"
        return name if name.endswith(f"-seed{seed}-small") else f"{name}-seed{seed}"

    def withSettings(self, settings: Settings) -> ScenarioFile:
        """
        The same with other values for some keys.

        @raise ScenarioError: that is no scenario.
        """
        table = replaced(self.table, settings)
        return attrs.evolve(self, table=table, scenario=scenarioOf(table, self.path, self.directory))


def readScenario(path: str) -> ScenarioFile:
    """
    Read a scenario file.

    @param path: where it is; C{-} for standard input.
    @raise ScenarioError: it cannot be read or is not a scenario; one line that names the file, the line and the key.
    """
    try:
        # As it stands there: a copy is to be the same.
        if path == "-":
            if sys.stdin is None:
                raise ScenarioError("standard input is closed")
            text = sys.stdin.buffer.read().decode()
        else:
            with open(path, encoding="utf-8", newline="") as file:
                text = file.read()
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: is not a text file (UTF-8)") from None
    directory = os.path.dirname(os.path.abspath(path)) if path != "-" and os.path.isfile(path) else None
    table, scenario = _parsed(text, path, directory)
    return ScenarioFile(path, directory, text, table, scenario)


def parseScenario(text: str, name: str = "scenario") -> Scenario:
    """
    Read a scenario.

    @param name: what to call the text in an error.
    @raise ScenarioError: see L{readScenario}.
    """
    return _parsed(text, name)[1]


def _parsed(text: str, name: str, directory: str | None = None) -> tuple[dict[str, Any], Scenario]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error))
        line = f", line {found.group(2)}" if found is not None and found.group(2) else ""
        raise ScenarioError(f"{name}{line}: {found.group(1) if found is not None else error}") from None
    try:
        return table, checked(table, directory)
    except _Problem as problem:
        number = lineOf(problem.path, keyLines(text))
        where = f"{name}, line {number}" if number is not None else name
        key = f"{pathText(problem.path)}: " if problem.path else ""
        raise ScenarioError(f"{where}: {key}{problem.text}") from None


def scenarioOf(table: dict[str, Any], name: str = "scenario", directory: str | None = None) -> Scenario:
    """
    A scenario of what a program has put together: a file's table in which something was changed.

    @param name: what to call it in an error.
    @param directory: see L{checked}.
    @raise ScenarioError: something is wrong with it; one line that names the key.
    """
    try:
        return checked(table, directory)
    except _Problem as problem:
        key = f"{pathText(problem.path)}: " if problem.path else ""
        raise ScenarioError(f"{name}: {key}{problem.text}") from None


def checked(table: dict[str, Any], directory: str | None = None) -> Scenario:
    """
    A scenario of what stands in a file.

    @param directory: where modules with its checks are looked for from now on, if they are nowhere else; so nothing
        there takes the place of a library.
    @raise _Problem: something is wrong with it.
    """
    if directory is not None and table.get("checks") and directory not in sys.path:
        sys.path.append(directory)
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as error:
        raise _translated(str(error)) from None
    _checkOptions(scenario.seeds.options, SeedSettings, ("seeds", "options"))
    _checkOptions(scenario.peers.options, PeerSettings, ("peers", "options"))
    try:
        scenario.peerSettings.checkTogether()
    except SettingError as error:
        raise _Problem(("peers", "options"), str(error)) from None
    if scenario.peers.join.over is not None and scenario.peers.join.every is not None:
        raise _Problem(("peers", "join"), "say either over or every")
    problem = scenario.network.latency.problem()
    if problem is not None:
        raise _Problem(("network", "latency"), problem)
    _checkEvents(scenario)
    _checkExpectations(scenario)
    for number, check in enumerate(scenario.checks):
        problem = check.problem(scenario.duration)
        if problem is not None:
            raise _Problem(("checks", number), problem)
    return scenario


def _joined(scenario: Scenario) -> list[tuple[float, int]]:
    """
    When each peer joins that has a number by then, whatever else joins by chance: the moment, and after which event of
    that moment.
    """
    later = len(scenario.events)
    joins = [(0.0, -1, scenario.peers.joining())]
    joins += [(event.at, number, event.join) for number, event in enumerate(scenario.events) if event.join is not None]
    # The first joins with the event itself, the others after all events of their moment.
    return sorted(
        (moment, later if place else number)
        for at, number, join in joins
        for place, moment in enumerate(join.moments(at))
    )


def _checkEvents(scenario: Scenario) -> None:
    duration = scenario.duration
    takes = scenario.peers.joining().lasting()
    if takes > duration:
        raise _Problem(("peers", "join"), f"joining takes {takes:g} s, and the end is at {duration:g}")
    joined: list[tuple[float, int]] = []
    joins = [event.join.count for event in scenario.events if event.join is not None]
    known = {"peer": scenario.peers.count + sum(joins), "seed": scenario.seeds.count}
    for number, event in enumerate(scenario.events):
        path: tuple[str | int, ...] = ("events", number)
        if len(event.verbs) != 1:
            verbs = ", ".join(name for name in Event.__struct_fields__ if name != "at")
            raise _Problem(path, f"an event has one verb of {verbs}; here are {len(event.verbs)}")
        verb = next(iter(event.verbs))
        if event.at > duration:
            raise _Problem((*path, "at"), f"{event.at:g} is after the end, {duration:g}")
        problem = event.incident.problem()
        if problem is not None:
            raise _Problem((*path, verb), problem)
        if event.publish is not None and event.publish.size > scenario.peerSettings.maxPayload:
            most = scenario.peerSettings.maxPayload
            raise _Problem((*path, verb, "size"), f"is more than maxPayload, {most}, lets a message have")
        if event.at + event.incident.lasting() > duration and not hasattr(event.incident, "for_"):
            end = event.at + event.incident.lasting()
            raise _Problem((*path, verb), f"goes on until {end:g}, and the end is at {duration:g}")
        if isinstance(event.incident, Who) and (event.incident.count or 0) > known["peer"]:
            raise _Problem((*path, verb, "count"), f"there will never be more than {known['peer']} peers")
        for name in event.incident.names():
            kind, _, which = name.partition("-")
            if int(which) >= known[kind]:
                raise _Problem((*path, verb), f"there is no {name}: {kind}-{known[kind] - 1} is the last")
            joined = joined or _joined(scenario)
            if kind == "peer" and joined[int(which)] > (event.at, number):
                when = joined[int(which)][0]
                raise _Problem((*path, verb), f"{name} has not joined yet: it does so at {when:g} s")


def _checkExpectations(scenario: Scenario) -> None:
    """Refuse what would hold whatever happens, as nothing is there to look at."""
    expect, duration, peers = scenario.expect, scenario.duration, scenario.peerSettings
    given = set(expect.given)
    for name in sorted(given & {"connectedWithin", "listedWithin"}):
        within = getattr(expect, name)
        if all(due > duration for _, due in calms(scenario.upsets, within)):
            raise _Problem(("expect", name), f"never is the network left alone for {within:g} s")
    for name in sorted(given & {"detectedWithin", "deadRemovedWithin"}):
        within = getattr(expect, name)
        if not any(event.incident.kills() and event.at + within <= duration for event in scenario.events):
            raise _Problem(("expect", name), f"no peer is killed {within:g} s before the end")
    if expect.ghostsWithin is not None and not any(
        event.incident.removes() and event.at + expect.ghostsWithin < duration for event in scenario.events
    ):
        raise _Problem(("expect", "ghostsWithin"), f"no peer is gone for that long at the end, {duration:g}")
    if expect.islandsWithin is not None and scenario.upsets[0][1] + expect.islandsWithin >= duration:
        raise _Problem(("expect", "islandsWithin"), f"it takes that long to the end, {duration:g}")
    published = [event.at for event in scenario.events if event.publish is not None]
    if peers.gossipCount > 0 and peers.gossipInterval <= duration:
        # The first at any moment of the first interval.
        published.append(0.0)
    for name in sorted(given.intersection(OF_BROADCASTS)):
        if not published:
            raise _Problem(("expect", name), "nobody publishes anything")
        cuts = scenario.partitions if name == "caughtUpWithin" else []
        needed = expect.needed(name, scenario.measure.window)
        if all(caughtUpFrom(at, 0.0, needed, cuts) + needed > duration for at in published):
            after = " after the end of the partition that it meets" if cuts else ""
            raise _Problem(("expect", name), f"no message has {needed:g} s{after} before the end, {duration:g}")
    if expect.redundancy is not None and not scenario.measure.traffic:
        raise _Problem(("expect", "redundancy"), "is not known without measure.traffic")


def _checkOptions(options: dict[str, Any], settings: type[attrs.AttrsInstance], path: tuple[str, ...]) -> None:
    for name, value in options.items():
        if name not in attrs.fields_dict(settings):
            raise _Problem((*path, name), f"there is no such setting{_meant(name, attrs.fields_dict(settings))}")
        try:
            settings(**{name: value})
            if name in ("overlay", "broadcast", "detector"):
                strategy(name, value)
        except SettingError as error:
            raise _Problem((*path, name), str(error).removeprefix(f"{name}: ")) from None


_SAYINGS: Sequence[tuple[str, str]] = (
    (r"Expected `([^`]*)`, got `([^`]*)`", r"is not {0}"),
    (r"Expected `(?:int|float)` (>=|<=|>|<) (\S+)", r"must be {0} {1}"),
    (r"Object contains unknown field `([^`]*)`", r"unknown key {0!r}"),
    (r"Object missing required field `([^`]*)`", r"the key {0!r} is missing"),
    (r"Expected `array` of length >= (\d+)", r"takes at least {0}"),
    (r"Expected `array` of length (\d+)(?:, got \d+)?", r"takes {0} numbers"),
    (r"Expected `str` of length >= 1", r"must not be empty"),
    (r"Expected `str` matching regex '\^\(random.*", r"is not the name of a peer, like 'peer-0', nor 'random'"),
    (r"Expected `str` matching regex '\^peer-.*", r"is not the name of a peer, like 'peer-0'"),
    (r"Expected `str` matching regex '\^seed-.*", r"is not the name of a seed, like 'seed-0'"),
    (r"Expected `str` matching regex '\^\(peer.*", r"is not the name of a peer or seed, like 'peer-0'"),
    (r"Expected `str` matching regex .*", r"is not written as 'module:function'"),
)
"""What msgspec says, and how a person would."""

_KINDS = {"float": "a number", "int": "a whole number", "str": "a text", "bool": "true or false", "object": "a table"}


def _translated(error: str) -> _Problem:
    """A complaint of msgspec's, as a key and what is wrong there."""
    text, _, place = error.partition(" - at `$")
    path = tuple(
        int(part[1:-1]) if part.startswith("[") else part.removeprefix(".")
        for part in re.findall(r"\.[\w-]+|\[\d+\]|\[\.\.\.\]", place.replace("[...]", ""))
    )
    for pattern, saying in _SAYINGS:
        found = re.fullmatch(pattern, text)
        if found is not None:
            text = saying.format(*map(_kinds, found.groups()))
            if "unknown key" in text:
                text += _meant(found.group(1), _keys(path))
                path = (*path, found.group(1))
            break
    return _Problem(path, text)


def _meant(name: str, names: Iterable[str]) -> str:
    """The name that was likely meant, to end a sentence; also where C{maxPayload} is written as C{max-payload}."""
    found = get_close_matches(name, names, 1)
    return f": did you mean {found[0]}?" if found else ""


def _keys(path: Sequence[str | int]) -> list[str]:
    """The keys that the table at some place of a scenario file takes."""
    place: Any = msgspec.inspect.type_info(Scenario)
    for part in path:
        place = place.item_type if isinstance(part, int) else _fields(place)[part]
        if isinstance(place, msgspec.inspect.UnionType):
            place = next(kind for kind in place.types if isinstance(kind, msgspec.inspect.StructType))
    return list(_fields(place))


def _fields(table: msgspec.inspect.StructType) -> dict[str, Any]:
    return {field.encode_name: field.type for field in table.fields}


def _kinds(names: str) -> str:
    """Types as msgspec names them, C{float | null} say, as a person would."""
    return " or ".join(_KINDS.get(name, name) for name in names.split(" | ") if name != "null")
