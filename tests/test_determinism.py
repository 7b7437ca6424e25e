"""
A simulated run is the same in another process, whatever Python's hashes are there.
"""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

PROGRAM = """
from p2p.simulation.run import Run, dropLog
from p2p.simulation.scenario import parseScenario
from p2p.test.test_simulation_network import chatter

for options in ({}, {"fuzz": True}, {"loss": 0.2}, {"bandwidth": 10000.0, "fuzz": True}):
    network = chatter(**options)
    network.faults.partition("10.0.0.1", ["10.0.0.2", "10.0.0.3"], duration=1.0)
    network.callAt(1.5, lambda: network.faults.pause("10.0.0.4", duration=1.0))
    network.callAt(2.0, lambda: network.faults.crash("10.0.0.5"))
    network.callAt(2.5, lambda: network.faults.restart("10.0.0.5"))
    network.run(30)
    print(network.digest(), network.events)

SCENARIO = '''
name = "seed-restart"
duration = 30.0
seed = 3

[peers]
count = 14
join = { over = 0.5 }
options = { gossipCount = 0, seedInterval = 5.0, maxConnections = 2 }

[[events]]
at = 8.0
crash = { fraction = 0.2 }

[[events]]
at = 10.0
crash = { seeds = ["seed-0"] }

[[events]]
at = 15.0
restart = { seeds = ["seed-0"] }
'''

dropLog()
for options in ("", 'overlay = "hyparview", broadcast = "plumtree", detector = "swim", '):
    result = Run.of(parseScenario(SCENARIO.replace("options = { ", "options = { " + options))).go()
    print(result["digest"], result["events"])
"""


GUESTS = (
    ("7857994e69ab5d8a6d5b0d83dc9c57666492867ca60080fb6961514db6b4a40a", "1415"),
    ("24bdcdc99b794950e7edc01575d241367059de04e33c03c58f97c08857578946", "2235"),
    ("0828954036be4b44ce392f50bdf5ff3b1cd2ff7c7fc3c1acdf6e8152f2b7f9db", "1267"),
    ("4d7eb9a96f14ca113774436a9791e580b52beb6b50c366cd1e9631d00012e14e", "2238"),
)
"""
Digests and numbers of events of the guests' four runs, on whatever machine and version of Python.

Whoever changes what the simulated network does at the same instant, or how it draws, changes these, and every run that
somebody has noted by its seed: NEWS must say so.
"""


class DigestTests(SynchronousTestCase):
    """
    No order of a set or of a dictionary gets into a run, nor anything else of the process or the machine.
    """

    def test_digestsAreTheSameWhateverTheHashSeedAndTheMachine(self) -> None:
        """
        Three processes with different hashes print the same digests, and those of guests are what they were elsewhere.
        """
        outputs = set()
        for hashSeed in ("0", "1", "4711"):
            environment = {**os.environ, "PYTHONHASHSEED": hashSeed}
            outputs.add(subprocess.check_output([sys.executable, "-c", PROGRAM], env=environment, text=True))
        self.assertEqual(len(outputs), 1)
        (output,) = outputs
        self.assertEqual(len(set(output.split())), 12)
        self.assertEqual(tuple(tuple(line.split()) for line in output.splitlines()[:4]), GUESTS)


class ExampleTests(SynchronousTestCase):
    """
    The example in the documentation runs.
    """

    def test_exampleIsDeterminedByItsSeed(self) -> None:
        """
        It prints the same line for the same seed, and another one for another.
        """
        example = os.path.join(
            os.path.dirname(os.path.dirname(__file__)), "docs", "examples", "simulated_application.py"
        )
        lines = [subprocess.check_output([sys.executable, example, seed], text=True) for seed in ("7", "7", "8")]
        self.assertEqual(lines[0], lines[1])
        self.assertNotEqual(lines[0], lines[2])
        self.assertIn("answers", lines[0])
