"""
The stories in scenarios/ hold with other seeds than their own, and in a network of few peers with few links, where
islands are more likely than in a large one.  C{make sweep} runs them at their own size, with 200 seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2p.simulation.sweep import Here, Sweep, outcomes
from tests.processes import PROJECT

SCENARIOS = {path.stem: str(path) for path in sorted((PROJECT / "scenarios").glob("*.toml"))}

STORIES = {
    "all-seeds-down", "churn", "first-start", "flaky-host", "half-crash", "long-partition", "lossy-links",
    "lying-reporter", "mass-restart", "message-flood", "most-crash", "newcomers-in-a-storm", "one-way-partition",
    "partition", "paused-host", "peers-restart", "seed-down", "slow-host", "sluggish-hosts",
}  # fmt: skip
"""What must have a scenario."""

SMALL = {"peers.count": 24, "peers.options.maxConnections": 2}

SMALLER = {"newcomers-in-a-storm": {"events.1.join.count": 24}}
"""What else is made smaller."""

SEEDS = range(1000, 1002)

STRATEGIES = {
    "peers.options.overlay": ("random", "hyparview"),
    "peers.options.broadcast": ("flood", "plumtree"),
    "peers.options.detector": ("heartbeat", "swim"),
}
"""Those that come with the project, the defaults first."""

COMBINATIONS = [dict(zip(STRATEGIES, names, strict=True)) for names in product(*STRATEGIES.values())]


class StoriesTests(SynchronousTestCase):
    """Small sweeps over every scenario."""

    def hold(
        self, points: list[dict[str, Any]], seeds: Sequence[int], stories: Iterable[str] = SCENARIOS
    ) -> list[dict[str, Any]]:
        """Whatever does not hold is named, with the command that shows it again.  What came of each run."""
        sweeps = {}
        for name in stories:
            path = SCENARIOS[name]
            settings = [{"name": name, **SMALL, **SMALLER.get(name, {}), **point} for point in points]
            sweeps[name] = Sweep.read(path, settings, seeds)
        jobs = [job for sweep in sweeps.values() for job in sweep.jobs()]
        found = list(outcomes(jobs, Here(2)))
        self.assertEqual(len(found), len(sweeps) * len(points) * len(seeds))
        failed = [outcome for outcome in found if not outcome["held"]]
        commands = [sweeps[outcome["settings"]["name"]].replay(outcome) for outcome in failed]
        problems = [outcome["crash"] or outcome["broken"][0]["problem"] for outcome in failed]
        self.assertEqual(list(zip(problems, commands, strict=True)), [])
        return found

    def test_eachHoldsWithAFewSeeds(self) -> None:
        """With the default strategies."""
        self.hold([{}], SEEDS)

    def test_eachHoldsWithEveryOtherCombinationOfStrategies(self) -> None:
        """Overlays, broadcasts and detectors, each with each."""
        self.hold(COMBINATIONS[1:], SEEDS[:1])

    def test_theDeadAreForgotten(self) -> None:
        """Whoever has been gone for ten minutes is on no list, and nobody names him, whichever overlay."""
        churn = {"duration": 760.0, "events.0.churn.for": 720.0, "events.0.churn.rate": 0.05}
        overlays = [{"peers.options.overlay": overlay} for overlay in STRATEGIES["peers.options.overlay"]]
        self.hold([{**churn, **overlay, "expect.ghostsWithin": 600.0} for overlay in overlays], SEEDS, ["churn"])

    def test_eachIsTheSameAgain(self) -> None:
        """
        Where in memory things lie has no influence: it is another place in every process, and after every run.

        A set of objects that have no order of their own is gone through in the order of their addresses.
        """
        first, second = (
            sorted((run["settings"]["name"], run["digest"]) for run in self.hold([COMBINATIONS[-1]], SEEDS[1:]))
            for _ in range(2)
        )
        self.assertEqual(first, second)

    def test_everyStoryHasAScenario(self) -> None:
        """None is left out."""
        self.assertLessEqual(STORIES, SCENARIOS.keys())
