"""
What benchmarks compare with does the same work.
"""

from __future__ import annotations

import json
import subprocess
import sys

import networkx
from twisted.trial.unittest import SynchronousTestCase

from bench import frames
from bench.simpyflood import WAYS, measure


class SimPyTests(SynchronousTestCase):
    """The models of a flood in SimPy."""

    def test_deliverEveryMessageToEveryNode(self) -> None:
        """Both deliver exactly 2E - (N - 1) times for each message, and everybody has it."""
        made = networkx.random_regular_graph(4, 50, seed=1)
        graph = [sorted(made.adj[node]) for node in range(50)]
        for way in WAYS:
            found = measure(graph, 7, 0.02, (0.01, 0.1), way)
            self.assertEqual((found["deliveries"], found["reach"]), (7 * (2 * 100 - 49), 1.0))

    def test_sideBySide(self) -> None:
        """One command measures the network, then the models on the graph that its peers had made."""
        command = "-m bench simulate --peers 40 --messages 10 --compare simpy --json"
        done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, check=True)
        real, *models = json.loads(done.stdout)["runs"]
        self.assertEqual([model["model"] for model in models], ["simpy processes", "simpy callbacks"])
        for model in models:
            self.assertEqual((model["peers"], model["messages"], model["reach"]), (40, 10, 1.0))
            self.assertApproximates(model["deliveries"], real["deliveries"], 0.01 * real["deliveries"])
            self.assertGreater(model["deliveriesPerSecondRatio"], 0.0)


class BroadcastTests(SynchronousTestCase):
    """Messages through real daemons."""

    def test_aTreeCarriesAPayloadOnceToEach(self) -> None:
        """
        Or little more: where a machine is so busy that answers are late, the tree is changed meanwhile.

        A flood carries it two or three times.
        """
        command = "-m bench broadcast --peers 8 --rate 50 --seconds 2 --warm 10 --option=--broadcast=plumtree --json"
        done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, check=True)
        (run,) = json.loads(done.stdout)["runs"]
        self.assertEqual((run["messages"], run["shareDelivered"], run["givenUp"]), (100, 1.0, 0))
        self.assertLess(run["framesPerDelivery"], 1.9)


class FramesTests(SynchronousTestCase):
    """What a frame costs a peer."""

    def test_eachMessageIsDeliveredOnceAndRelayedToAllOthers(self) -> None:
        """However many come together, and with whatever hop counts."""
        for together in (1, 10):
            for hops in (1, 3):
                found = frames.measure(4, 50, together, hops)
                self.assertEqual((found["delivered"], found["relayed"]), (50, 150))
                self.assertGreater(found["nanosecondsPerFrame"], 0)
