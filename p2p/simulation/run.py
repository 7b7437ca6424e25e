"""
Running a scenario: the network is built, things happen, and results come of it.

The network runs in L{SLICES} pieces, so that somebody can be shown how far it
has got; where they are cut depends on the scenario only.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import attrs
from twisted.logger import globalLogBeginner

from p2p.peer.strategies import installed
from p2p.seed.registry import LEASES
from p2p.simulation.checks import Violation
from p2p.simulation.clock import COARSE, FINE
from p2p.simulation.errors import Errors
from p2p.simulation.expect import WATCHED, Broken
from p2p.simulation.interrupt import interruptible
from p2p.simulation.journal import Journal
from p2p.simulation.measure import SURVIVING, Measure
from p2p.simulation.network import LARGE, SimulatedNetwork
from p2p.simulation.scenario import Scenario
from p2p.simulation.swarm import Swarm
from p2p.text import oneLine

SLICES = 64


@contextmanager
def _ownGarbage(errors: Errors) -> Iterator[None]:
    """
    Take down what is logged. What a run leaves behind is collected at its own end, not amid the next one, and so is
    what others left before it begins: that a Deferred failed and nobody handled it, say, is logged only then.
    """
    gc.collect()
    with errors:
        try:
            yield
        finally:
            gc.unfreeze()
            gc.collect()


def dropLog() -> None:
    """
    Let nobody in this process hear what is logged but those who subscribe: for a program that runs scenarios, to be
    called once.  Without it Twisted keeps every message for the log that is to come.
    """
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)


@attrs.define
class Run:
    """
    A scenario on its way.

    @ivar swarm: the seeds and peers.
    @ivar measure: what is known of them.
    @ivar broken: expectations that do not hold.
    @ivar unseen: expectations for which there was nothing to look at.
    """

    scenario: Scenario
    seed: int
    network: SimulatedNetwork
    swarm: Swarm
    measure: Measure
    errors: Errors
    broken: list[Broken] = attrs.Factory(list)
    unseen: set[str] = attrs.Factory(set)
    wallSeconds: float = 0.0

    @classmethod
    def of(
        cls, scenario: Scenario, seed: int | None = None, *, fuzz: bool = False, journal: Journal | None = None
    ) -> Run:
        """
        Build a network for a scenario.

        @param seed: instead of the scenario's own.
        @param fuzz: let the seed also choose what otherwise a rule decides.
        @param journal: where the trace goes.
        """
        # Twisted logs what is wrong with others' plugins when it first looks for any: that is no error of a run's.
        installed()
        seed = scenario.seed if seed is None else seed
        settings = scenario.network
        network = SimulatedNetwork(
            seed,
            settings.latency.made(),
            loss=settings.loss,
            bandwidth=settings.bandwidth,
            fuzz=fuzz,
            slotsPerSecond=COARSE if scenario.peers.count < LARGE else FINE,
        )
        peers = scenario.peerSettings
        patience = peers.livenessMisses * peers.livenessInterval
        # A silence must have been noticed, counted, and asked about.
        grace = patience + 2 * peers.livenessInterval + 2 * peers.probeTimeout
        if peers.detector == "swim":
            # There the misses end a link, and the suspicion lasts as long as its own setting says.
            patience = min(patience, peers.suspicionMult * peers.livenessInterval)
        surviving = max(SURVIVING, scenario.expect.detectedWithin or 0.0)
        seeds = scenario.seedSettings
        # They look as soon as somebody says so, or they start again; a lease may just have been renewed, or nearly.
        seedPatience = min(seeds.probeTimeout, (LEASES - 1) * seeds.leaseInterval)
        measure = Measure(network, journal, scenario.measure.traffic, grace, patience, surviving, seedPatience)
        measure.swarm = swarm = Swarm(network, measure, scenario.seedSettings, peers)
        swarm.begin(scenario.seeds.count)
        run = cls(scenario, seed, network, swarm, measure, Errors(lambda: network.clock.now))
        run._schedule()
        return run

    def go(self, progress: Callable[[float], object] | None = None) -> dict[str, Any]:
        """
        Let it happen.

        @param progress: called with the share of the virtual time that has passed, now and then.
        @return: the results.
        @raise KeyboardInterrupt: Ctrl-C; at the end of a piece, if a Deferred swallowed it.
        """
        started = perf_counter()
        duration = self.scenario.duration
        try:
            with _ownGarbage(self.errors), interruptible() as check:
                for number in range(1, SLICES + 1):
                    self.network.run(until=duration * number / SLICES)
                    check()
                    if progress is not None:
                        progress(number / SLICES)
        except Violation as violation:
            self.broken.append(Broken(violation.statement, violation.problem, violation.time))
        self.wallSeconds = perf_counter() - started
        return self._results()

    # Private.

    def _schedule(self) -> None:
        """Put everything that will happen on the clock."""
        scenario, network, swarm = self.scenario, self.network, self.swarm
        joining = scenario.peers.joining()
        network.callAt(0.0, lambda: joining.happen(swarm))
        network.callAt(min(scenario.duration, joining.lasting() + 5.0), network.freeze)
        for event in scenario.events:
            network.callAt(event.at, lambda incident=event.incident: incident.happen(swarm))  # type: ignore[misc]
        every = scenario.measure.overlay
        if every is not None:

            def look() -> None:
                self.measure.look()
                network.callAt(network.now + every, look)

            network.callAt(every, look)
        scenario.expect.watch(swarm, scenario.upsets, self.measure.parts, scenario.partitions, self.unseen)
        for check in scenario.checks:
            check.watch(swarm)

    def _results(self) -> dict[str, Any]:
        with self.errors:
            # A strategy is asked then, too.
            measured = self.measure.results(self.scenario.measure.window)
        stopped = self.broken[0].time if self.broken else None
        if stopped is None or stopped >= self.scenario.duration:
            scenario = self.scenario
            self.broken += scenario.expect.broken(
                measured, self.swarm, scenario.partitions, self.unseen, scenario.measure.window
            )
            for check in self.scenario.checks:
                self.broken += check.broken(self.swarm)
        for line in self.measure.repeated:
            self.errors.add(line)
        if self.errors.count:
            first = self.errors.kept[0]["text"].partition("\n")[0]
            problem = f"{self.errors.count}, the first: {first}"
            self.broken.append(Broken("errors", problem, self.network.now))
        network = self.network
        return {
            "name": self.scenario.name,
            "seed": self.seed,
            "digest": network.digest(),
            "virtualSeconds": round(network.now, 6),
            "wallSeconds": round(self.wallSeconds, 3),
            "events": network.events,
            "deliveries": network.deliveries,
            "held": not self.broken,
            "expected": self._verdicts(stopped),
            # A check of somebody's own may say what it likes, and it is to be told on one line.
            "broken": [
                {"seed": self.seed, **attrs.asdict(broken), "problem": oneLine(broken.problem)}
                for broken in self.broken
            ],
            "errors": self.errors.kept,
            **measured,
        }

    def _verdicts(self, stopped: float | None) -> dict[str, bool | None]:
        """
        Whether each expectation holds; C{None} if that is not known.

        @param stopped: when one that is watched ended the run.
        """
        scenario = self.scenario
        known = {name: stopped is None or name not in WATCHED for name in scenario.expect.given}
        for check in scenario.checks:
            # Several may be about one function.
            known[check.function] = known.get(check.function, True) and (stopped is None or not check.watched)
        early = stopped is not None and stopped < scenario.duration
        verdicts = {name: True if isKnown and not early else None for name, isKnown in known.items()}
        verdicts.update(dict.fromkeys(verdicts.keys() & self.unseen))
        return {**verdicts, **dict.fromkeys((broken.expectation for broken in self.broken), False)}
