"""
What must hold in a scenario: the table C{[expect]}, and C{[[checks]]} that name functions.

An expectation is looked at in the results, at the end; those that must hold
always, or by some moment, are looked at while the network runs.  What does not
hold is a L{Broken}, and C{p2p simulate} then exits with status 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from itertools import pairwise
from math import inf
from typing import Annotated, Any

import attrs
from msgspec import Meta

from p2p.simulation.checks import holds
from p2p.simulation.incidents import Count, Interval, Part, Seconds
from p2p.simulation.metrics import metrics
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.swarm import Swarm

AtLeast = Annotated[float, Meta(gt=0, le=1)]
AtMost = Annotated[int, Meta(ge=0)]

OF_BROADCASTS = ("reach", "meanReach", "lastDelivery", "redundancy", "caughtUpWithin")
"""Expectations that would hold if there were no broadcasts."""

OF_DEATHS = ("detectedWithin", "deadRemovedWithin")
"""Expectations that would hold if there were no deaths."""

WATCHED = frozenset({"dialled", "inbound", "islandsWithin", "connectedWithin", "listedWithin"})
"""Expectations that are looked at while the network runs; the first of them that does not hold ends the run."""


@attrs.frozen
class Broken:
    """
    An expectation that does not hold.

    @ivar time: when that was seen, in virtual seconds.
    @ivar had: how many seconds the broadcast had that did not reach enough; C{None} where the expectation itself says
        how many that are, or is about something else.
    """

    expectation: str
    problem: str
    time: float
    had: float | None = None


class Expect(Part, frozen=True, kw_only=True):
    """
    What must hold; what is not given need not.

    At the end, of each broadcast and death that had its time by then:

    @ivar reach: each broadcast reaches at least this share of the peers that it should.
    @ivar meanReach: all of them together do.
    @ivar lastDelivery: each has arrived everywhere within so many seconds.
    @ivar redundancy: duplicates for each payload frame that was none, at most, on average.
    @ivar components: the overlay is in so many parts at most.
    @ivar falseDeaths: so many times at most a live peer, which others could hear, was called dead.
    @ivar calledDead: so many times at most a live peer was, whether or not a fault excuses that.
    @ivar detectedWithin: each peer that was killed (and not restarted before) was found dead by somebody within so
        many seconds, if any of its neighbours survived.
    @ivar deadRemovedWithin: each was off the list of every running seed within so many seconds.
    @ivar listed: every running seed lists exactly the running peers.
    @ivar muted: so many times at least one of the seeds that run stopped listening to a reporter, since it began.
    @ivar caughtUpWithin: each broadcast has arrived everywhere within so many seconds of its sending, or of the end of
        a partition that it met.
    @ivar ghostsWithin: nobody names to others, and no seed lists, who has been gone for more than so many seconds.

    Always, looked at every second:

    @ivar dialled: no peer has more links that it dialled.
    @ivar inbound: no peer has more links that it took.
    @ivar islandsWithin: once the first have joined and all been one network, and but for partitions and what
        C{connectedWithin} grants after them, the running peers are never in several parts for more than so many
        seconds.

    By some moment:

    @ivar connectedWithin: so many seconds after whatever may part them (the joining at first, each event but publish
        and clock) is over, all running peers have been one network once; unless the next such event, or the end, comes
        before that.
    @ivar listedWithin: so many seconds after it, every running seed has listed exactly the running peers once.
    """

    reach: AtLeast | None = None
    meanReach: AtLeast | None = None
    lastDelivery: Seconds | None = None
    redundancy: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    components: AtMost | None = None
    falseDeaths: AtMost | None = None
    calledDead: AtMost | None = None
    detectedWithin: Seconds | None = None
    deadRemovedWithin: Seconds | None = None
    listed: bool = False
    muted: Count | None = None
    dialled: AtMost | None = None
    inbound: AtMost | None = None
    connectedWithin: Seconds | None = None
    listedWithin: Seconds | None = None
    islandsWithin: Seconds | None = None
    caughtUpWithin: Seconds | None = None
    ghostsWithin: Seconds | None = None

    @property
    def given(self) -> list[str]:
        """The names of those that must hold."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return [name for name, value in values.items() if value is not None and value is not False]

    def watch(
        self,
        swarm: Swarm,
        upsets: list[tuple[float, float]],
        components: Callable[[], int],
        partitions: Sequence[tuple[float, float]],
        unseen: set[str],
    ) -> None:
        """
        Look at what must hold while the network runs.

        @param upsets: when running peers may be kept from being linked: from and until, rising.
        @param components: how many parts the overlay has now.
        @param partitions: those of the upsets in which the network is split.
        @param unseen: what is in it is not known to hold, as there was nothing to look at.
        """
        network = swarm.network

        def connected() -> str:
            parts = components()
            # Nobody at all is no failure of those who are linked.
            return f"the running peers are in {parts} parts" if parts > 1 else ""

        for name, within, problem in (
            ("connectedWithin", self.connectedWithin, connected),
            ("listedWithin", self.listedWithin, lambda: "; ".join(_wrongLists(swarm))),
        ):
            if within is not None:
                for calm, due in calms(upsets, within):
                    network.callAt(calm, partial(_watch, network, name, calm, due, problem))
        if self.islandsWithin is not None:
            begin = upsets[0][1]
            unseen.add("islandsWithin")
            watch = partial(self._watchIslands, network, self.islandsWithin, components, partitions, unseen)
            network.callAt(begin, watch)
        for name, limit in (("dialled", self.dialled), ("inbound", self.inbound)):
            if limit is not None:
                network.always(_bounded(swarm, name, limit), every=1.0)

    def _watchIslands(
        self,
        network: SimulatedNetwork,
        limit: float,
        components: Callable[[], int],
        partitions: Sequence[tuple[float, float]],
        unseen: set[str],
    ) -> None:
        # Since when it has been in several parts, which it may be before it has been one.
        since = inf

        def islands(_: object) -> None:
            nonlocal since
            now, parts = network.now, components()
            split = any(begin <= now <= end + (self.connectedWithin or 0.0) for begin, end in partitions)
            if parts <= 1 or (split and since < inf):
                since = now
                unseen.discard("islandsWithin")
            assert now - since <= limit, f"the running peers have been in {parts} parts since {since:.3f} s"

        islands.__qualname__ = "islandsWithin"
        network.always(islands, every=1.0)

    def needed(self, name: str, window: float | None) -> float:
        """
        How long a broadcast must have been under way before one of L{OF_BROADCASTS} looks at it.

        @param window: see L{Measured<p2p.simulation.scenario.Measured>}.
        """
        needed = {
            "reach": window,
            "meanReach": window,
            "lastDelivery": self.lastDelivery,
            "caughtUpWithin": self.caughtUpWithin,
        }
        return needed.get(name) or 0.0

    def broken(
        self,
        results: dict[str, Any],
        swarm: Swarm,
        partitions: Sequence[tuple[float, float]],
        unseen: set[str],
        window: float | None = None,
    ) -> list[Broken]:
        """
        What of the rest does not hold at the end of a run.

        @param unseen: takes those for which there was nothing to look at.
        @param window: see L{needed}.
        """
        found: list[Broken] = []
        now = swarm.network.now
        unseen.update(OF_BROADCASTS, OF_DEATHS)

        def expect(name: str, holds: bool, problem: str, had: float | None = None) -> None:
            unseen.discard(name)
            if not holds:
                found.append(Broken(name, problem, now, had))

        # By a name of its own: p2p shrink must not take it for the failure that it keeps.
        given = [name for name in OF_BROADCASTS if getattr(self, name) is not None]
        broadcasts = [(number, one) for number, one in enumerate(results["broadcasts"]) if one["live"]]
        problem = f"nothing was that anybody should have, and {' '.join(given)} expected"
        expect("published", bool(broadcasts) or not given, problem)
        over = [one for one in broadcasts if one[1]["at"] + self.needed("reach", window) <= now]
        self._reach(over, window, now, expect)
        for number, broadcast in broadcasts:
            self._inTime(number, broadcast, _had(broadcast, window, now), partitions, now, expect)
        redundancy = metrics(results)["redundancy"]
        if self.redundancy is not None and redundancy is not None:
            problem = f"is {redundancy:.3f}, not at most {self.redundancy:g}"
            expect("redundancy", redundancy <= self.redundancy, problem)
        if self.components is not None:
            parts = results["overlay"]["components"]
            expect("components", parts <= self.components, f"the overlay is in {parts} parts")
        called = results["falseDeaths"]
        unexcused = [death for death in called if death["excuse"] is None]
        for name, limit, deaths in (
            ("falseDeaths", self.falseDeaths, unexcused),
            ("calledDead", self.calledDead, called),
        ):
            example = "{peer} by {by} at {at:.3f} s".format(**deaths[0]) if deaths else ""
            expect(name, limit is None or len(deaths) <= limit, f"{len(deaths)}, the first: {example}")
        for death in results["deaths"]:
            self._ofDeath(death, now, expect)
        if self.listed:
            for problem in _wrongLists(swarm):
                expect("listed", False, problem)
        if self.muted is not None:
            muted = sum(seed.service.status()["counters"].get("reportersMuted", 0) for seed in swarm.runningSeeds())
            expect("muted", muted >= self.muted, f"reporters were muted {muted} times, not at least {self.muted}")
        if self.ghostsWithin is not None:
            ghosts = results["ghosts"]
            problem = f"{ghosts['named']} that are gone are named, one of them since {ghosts['longest']:.3f} s"
            expect("ghostsWithin", ghosts["longest"] <= self.ghostsWithin, problem)
        return found

    def _reach(
        self,
        broadcasts: Sequence[tuple[int, dict[str, Any]]],
        window: float | None,
        now: float,
        expect: Callable[[str, bool, str, float | None], None],
    ) -> None:
        """Whether broadcasts, whose window is over, reached enough of those who should have them."""
        longest = None
        for number, broadcast in broadcasts:
            live, reached = broadcast["live"], broadcast["reached"]
            had = _had(broadcast, window, now)
            if longest is None and reached < live:
                longest = had
            if self.reach is not None:
                problem = f"{_named(number, broadcast)} reached {reached} of {live} within {had:.3f} s"
                expect("reach", reached >= self.reach * live, problem, had)
        if self.meanReach is not None and broadcasts:
            share = sum(one["reached"] for _, one in broadcasts) / sum(one["live"] for _, one in broadcasts)
            problem = f"is {share:.6f}, not at least {self.meanReach:g}"
            expect("meanReach", share >= self.meanReach, problem, longest)

    def _inTime(
        self,
        number: int,
        broadcast: dict[str, Any],
        had: float,
        partitions: Sequence[tuple[float, float]],
        now: float,
        expect: Callable[[str, bool, str], None],
    ) -> None:
        """Whether a broadcast was everywhere in time, if it had that time."""
        at, live, reached = broadcast["at"], broadcast["live"], broadcast["reached"]
        took = broadcast["lastDelivery"] if reached >= live else inf
        for expectation, limit, since in (
            ("lastDelivery", self.lastDelivery, at),
            ("caughtUpWithin", self.caughtUpWithin, caughtUpFrom(at, took, self.caughtUpWithin or 0.0, partitions)),
        ):
            if limit is None or since + limit > now:
                continue
            late = took - (since - at)
            missed = f"had not reached {live - reached} of {live} after {had:.3f} s"
            healed = f" after a partition, at {since:.3f} s" if since > at else ""
            what = f"took {late:.3f} s{healed}" if late < inf else missed
            expect(expectation, late <= limit, f"{_named(number, broadcast)} {what}")

    def _ofDeath(self, death: dict[str, Any], now: float, expect: Callable[[str, bool, str], None]) -> None:
        name = f"the death of {death['peer']} at {death['at']:.3f} s"
        bounds = (
            ("detectedWithin", self.detectedWithin, death["firstDetected"], "found"),
            ("deadRemovedWithin", self.deadRemovedWithin, death["removedFromSeeds"], "off every list"),
        )
        for expectation, limit, seconds, what in bounds:
            back = death["restarted"]
            if limit is None or death["at"] + limit > now or (back is not None and back <= limit):
                continue
            if expectation == "detectedWithin" and not death["survivors"]:
                continue
            after = "never" if seconds is None else f"after {seconds:.3f} s"
            expect(expectation, seconds is not None and seconds <= limit, f"{name} was {what} {after}")


def _named(number: int, broadcast: dict[str, Any]) -> str:
    """A broadcast for people; by its number it is found in a trace and in a report."""
    return f"broadcast {number} ({broadcast['id']}, by {broadcast['origin']}) at {broadcast['at']:.3f} s"


def _had(broadcast: dict[str, Any], window: float | None, now: float) -> float:
    """How many seconds a broadcast had, if its window is over."""
    return round(now - broadcast["at"], 6) if window is None else window


def caughtUpFrom(at: float, took: float, limit: float, partitions: Sequence[tuple[float, float]]) -> float:
    """
    From when on a broadcast could arrive everywhere: its sending, or the end of the last partition that it met in time.

    @param took: how long it was under way.
    @param limit: how long it may take from then on.
    """
    since = at
    for begin, end in sorted(partitions):
        # One that came when the time was over already is no excuse.
        if at < end and begin < min(at + took, since + limit):
            since = max(since, end)
    return since


def _wrongLists(swarm: Swarm) -> list[str]:
    """Of each running seed whose list is not that of the running peers, what is wrong with it."""
    running = {peer.service.identity: peer.name for peer in swarm.running()}
    wrong = []
    for seed in swarm.runningSeeds():
        listed = {entry.contact.identity: entry.contact.address for entry in seed.service.registry}
        missing = [name for identity, name in running.items() if identity not in listed]
        extra = [address for identity, address in listed.items() if identity not in running]
        if missing or extra:
            wrong.append(f"{seed.name} lacks {len(missing)} {missing[:1]} and has {len(extra)} too many {extra[:1]}")
    return wrong


def _bounded(swarm: Swarm, name: str, limit: int) -> Callable[[object], None]:
    """No peer has more links that it C{dialled}, or took (C{inbound})."""

    def statement(_: object) -> None:
        for peer in swarm.running():
            count = sum(link.outgoing == (name == "dialled") for link in peer.service.neighbours)
            how = "dialled" if name == "dialled" else "taken"
            assert count <= limit, f"{peer.name} has {count} links that it has {how}"

    statement.__qualname__ = name
    return statement


def _watch(network: SimulatedNetwork, name: str, calm: float, due: float, problem: Callable[[], str]) -> None:
    """There must be no problem at some moment from now on."""

    def statement(_: object) -> None:
        found = problem()
        assert not found, f"{found}, undisturbed since {calm:g} s"

    statement.__qualname__ = name
    network.eventually(statement, by=due, every=0.5)


def calms(upsets: list[tuple[float, float]], within: float) -> list[tuple[float, float]]:
    """
    When a network is left alone for so many seconds at least: from when, and the end of these seconds.

    @param upsets: when it is not, from and until, rising.
    """
    found: list[tuple[float, float]] = []
    until = 0.0
    for (_, end), (begin, _) in pairwise([*upsets, (float("inf"), float("inf"))]):
        until = max(until, end)
        if until + within <= begin and until < float("inf"):
            found.append((until, until + within))
    return found


class Check(Part, frozen=True, kw_only=True):
    """
    A statement of one's own: a function that is given the L{Swarm}, and returns false or raises
    C{AssertionError} if it does not hold.

    @ivar function: C{module:function}.
    @ivar always: it must hold at every look; else at the end.
    @ivar by: it must have held at one look by then.
    @ivar every: seconds between two looks.
    """

    function: Annotated[str, Meta(pattern=r"^\w+(\.\w+)*:\w+$")]
    always: bool = False
    by: Seconds | None = None
    every: Interval = 1.0

    @property
    def watched(self) -> bool:
        """It is looked at while the network runs."""
        return self.always or self.by is not None

    def found(self) -> Callable[[Swarm], object]:
        """
        The function.

        @raise ImportError: there is no such module or function, or the module cannot be imported.
        """
        module, _, name = self.function.partition(":")
        try:
            function = getattr(import_module(module), name, None)
        except ImportError:
            raise
        except (Exception, SystemExit) as error:
            raise ImportError(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
        if not callable(function):
            raise ImportError(f"{module} has no function {name}")
        return function  # type: ignore[no-any-return]

    def problem(self, duration: float) -> str | None:
        """What is wrong with it that its types do not say."""
        if self.always and self.by is not None:
            return "say either always or by"
        if self.by is not None and self.by > duration:
            return f"by {self.by:g} is after the end, {duration:g}"
        try:
            self.found()
        except ImportError as error:
            return " ".join(str(error).split())
        return None

    def watch(self, swarm: Swarm) -> None:
        """Look at it while the network runs."""
        function = self.found()

        def statement(_: object) -> object:
            return function(swarm)

        statement.__qualname__ = self.function
        if self.by is not None:
            swarm.network.eventually(statement, by=self.by, every=self.every)
        elif self.always:
            swarm.network.always(statement, every=self.every)

    def broken(self, swarm: Swarm) -> list[Broken]:
        """Whether it does not hold at the end."""
        if self.watched:
            return []
        function, problem = self.found(), "does not hold"
        try:
            held = holds(function, function(swarm))
        except AssertionError as error:
            held, problem = False, f"does not hold: {error}" if str(error) else problem
        return [] if held else [Broken(self.function, problem, swarm.network.now)]
