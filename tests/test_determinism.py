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
    ("b753abed58f7059413be128ba5ed9b91123508356fc048c19a488abf8ba6dc01", "1415"),
    ("526eecf01ede197298346c204ea6880fc4e2795cc1a5752c61dfbf1a4464595d", "2235"),
    ("c9f4e4fd2c15f61101acedc0d1c49799bf312dbc0ee14525b6ef555218bc1ffb", "1267"),
    ("b6ea66fd6aa901c5f3e2b2db6ba3db97f456bb844e0088881838bae88eaa2243", "2238"),
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
