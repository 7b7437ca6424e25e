"""
The stories in scenarios/ hold with other seeds than their own, and in a network of few peers with few links, where
islands are more likely than in a large one.  C{make sweep} runs them at their own size, with 200 seeds.
"""

from __future__ import annotations

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


class StoriesTests(SynchronousTestCase):
    """A small sweep over every scenario."""

    def test_eachHoldsWithAFewSeeds(self) -> None:
        """Whatever does not hold is named, with the command that shows it again."""
        sweeps = {}
        for name, path in SCENARIOS.items():
            settings: dict[str, Any] = {"name": name, **SMALL, **SMALLER.get(name, {})}
            sweeps[name] = Sweep.read(path, [settings], SEEDS)
        jobs = [job for sweep in sweeps.values() for job in sweep.jobs()]
        found = list(outcomes(jobs, Here(2)))
        self.assertEqual(len(found), len(SCENARIOS) * len(SEEDS))
        failed = [outcome for outcome in found if not outcome["held"]]
        commands = [sweeps[outcome["settings"]["name"]].replay(outcome) for outcome in failed]
        problems = [outcome["crash"] or outcome["broken"][0]["problem"] for outcome in failed]
        self.assertEqual(list(zip(problems, commands, strict=True)), [])

    def test_everyStoryHasAScenario(self) -> None:
        """None is left out."""
        self.assertLessEqual(STORIES, SCENARIOS.keys())
