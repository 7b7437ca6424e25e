"""
A simulated run is the same in another process, whatever Python's hashes are there.
"""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

PROGRAM = """
import hashlib
import io
from p2p.simulation.journal import Journal
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
at = 5.0
publish = { count = 10, every = 1.5 }

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
    trace = io.BytesIO()
    journal = Journal(trace)
    scenario = parseScenario(SCENARIO.replace("options = { ", "options = { " + options))
    result = Run.of(scenario, journal=journal).go()
    journal.flush()
    print(result["digest"], result["events"])
    print(hashlib.sha256(trace.getvalue()).hexdigest(), trace.getvalue().count(b"delivered"))
"""


GUESTS = (
    ("3a32740a3ca36d0b8816a27f738625ae1807f89e5038d21d30d82d56b233294a", "1415"),
    ("0204228e2acddfed2796e3d31fc0dc6b17d4cb218437fd988b973bf545d96afc", "2235"),
    ("a8f924548308eed12874c5ed73b24c21d1741944f02a9a552094b24215bb47b5", "1474"),
    ("ae0e739b99b8df13c5b459b03cbf7e7bfa6ff1b5b6b6e7ccc480059c6f055877", "3866"),
)
"""
Digests and numbers of events of the guests' four runs, on whatever machine and version of Python.

Whoever changes what the simulated network does at the same instant, or how it draws, changes these, and every run that
somebody has noted by its seed: NEWS must say so.
"""

SERVICES = (
    ("1d39161ec2e074fcd0d48f649591e39850797174c35d31c089d78801b44854eb", "7080"),
    ("cb0058184f22dbca635aba0fdf00988095adf2527e4fa9c8eb40c8b4d0428d9b", "106"),
    ("854e9ed9d78ce8b095cf07006186f72da45b6d7118cfb9939b85b8b6c7559d82", "5510"),
    ("c3fbe9d088f876404548f18b3c2a25a1b5e03b68f736048cfa7c224ae0240875", "106"),
)
"""
The same of seeds and peers in a scenario, with the default strategies and with the others; under each the SHA-256 of
C{trace.jsonl}, and how many deliveries that tells of.

Whatever changes what a daemon says, or when, changes these: renew them then. Libraries do not: these were the same with
the oldest that setup.cfg takes and with Twisted 26.10, msgspec 0.22 and attrs 26.1, on Python 3.11 and 3.13.
"""


class DigestTests(SynchronousTestCase):
    """
    No order of a set or of a dictionary gets into a run, nor anything else of the process or the machine.
    """

    def test_runsAreTheSameWhateverTheHashSeedAndTheMachine(self) -> None:
        """
        Three processes with different hashes print the same digests and traces, and these are what they were elsewhere.
        """
        outputs = set()
        for hashSeed in ("0", "1", "4711"):
            environment = {**os.environ, "PYTHONHASHSEED": hashSeed}
            outputs.add(subprocess.check_output([sys.executable, "-c", PROGRAM], env=environment, text=True))
        self.assertEqual(len(outputs), 1)
        (output,) = outputs
        self.assertEqual(tuple(tuple(line.split()) for line in output.splitlines()), GUESTS + SERVICES)


EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "docs", "examples")


class ExampleTests(SynchronousTestCase):
    """
    The examples in the documentation run.
    """

    def test_exampleIsDeterminedByItsSeed(self) -> None:
        """
        It prints the same line for the same seed, and another one for another.
        """
        example = os.path.join(EXAMPLES, "simulated_application.py")
        lines = [subprocess.check_output([sys.executable, example, seed], text=True) for seed in ("7", "7", "8")]
        self.assertEqual(lines[0], lines[1])
        self.assertNotEqual(lines[0], lines[2])
        self.assertIn("answers", lines[0])

    def test_manySeeds(self) -> None:
        """
        All of them hold.
        """
        example = os.path.join(EXAMPLES, "many_seeds.py")
        self.assertEqual(
            subprocess.check_output([sys.executable, example, "0:4"], text=True), "4 of 4 seeds hold\n"
        )

    def test_seedsThatFailAreNamed(self) -> None:
        """
        Those with which a statement does not hold, and those with which the application raises an exception.
        """
        for breaking, problem in (
            ("many_seeds.ENOUGH = 10**6", "at 600.000000 s: .* does not hold"),
            ("simulated_application.Counting.lineReceived = lambda self, line: 1 / 0", "ZeroDivisionError"),
        ):
            program = f"import many_seeds, simulated_application; {breaking}; print(many_seeds.attempt(3))"
            done = subprocess.run(
                [sys.executable, "-c", program], cwd=EXAMPLES, text=True, capture_output=True, check=True
            )
            self.assertRegex(done.stdout, f"(?s)^seed 3: Violation: seed 3, .*{problem}")
