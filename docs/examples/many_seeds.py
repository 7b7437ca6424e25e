"""
The application of simulated_application.py with many seeds, on all cores: each draws when the server crashes and when
the path is cut. A seed with which something does not hold, or the application logs an exception, is named.

    python docs/examples/many_seeds.py [FIRST:END]
"""

import gc
import sys
from concurrent.futures import ProcessPoolExecutor

from simulated_application import ask, serve
from twisted.logger import LogEvent, globalLogPublisher

from p2p.simulation.latency import uniform
from p2p.simulation.network import SimulatedNetwork

ENOUGH = 100
"""So many answers there are to be in ten minutes, whatever happens."""


def simulate(seed: int) -> str:
    """
    Let the application run with one seed.

    @return: The digest of the run.
    """
    network = SimulatedNetwork(seed=seed, latency=uniform(0.010, 0.100), giveUp=20.0, fuzz=True)
    network.host("10.0.0.1", name="server.example", boot=serve)
    answers = ask(network.host("10.0.0.2"))

    for _ in range(5):
        at, lasting = network.random.uniform(10.0, 500.0), network.random.uniform(0.1, 60.0)
        network.callAt(at, lambda lasting=lasting: network.faults.partition("10.0.0.1", "10.0.0.2", duration=lasting))
        at = network.random.uniform(10.0, 500.0)
        network.callAt(at, lambda: network.faults.crashHost("10.0.0.1"))
        network.callAt(at + network.random.uniform(0.1, 60.0), lambda: network.faults.restart("10.0.0.1"))

    failures: list[str] = []

    def note(event: LogEvent) -> None:
        if "log_failure" in event:
            failures.append(event["log_failure"].getTraceback())

    def nothingFailed(_: SimulatedNetwork) -> None:
        assert not failures, failures[0]

    network.always(nothingFailed)
    network.always(lambda network: answers == sorted(set(answers)))
    network.eventually(lambda network: len(answers) >= ENOUGH, by=600.0)
    globalLogPublisher.addObserver(note)
    try:
        network.run(until=600.0)
        gc.collect()  # The failure of a Deferred that nobody looks at is logged when that is forgotten.
        nothingFailed(network)
    finally:
        globalLogPublisher.removeObserver(note)
    return network.digest()


def attempt(seed: int) -> str | None:
    """
    Say what is wrong with a seed.
    """
    try:
        simulate(seed)
    except Exception as error:
        return f"seed {seed}: {type(error).__name__}: {error}"
    return None


def main(first: int, end: int) -> int:
    """
    Try all seeds, and name those that fail.

    @return: The exit status.
    """
    seeds = range(first, end)
    with ProcessPoolExecutor() as pool:
        failed = [problem for problem in pool.map(attempt, seeds) if problem is not None]
    for problem in failed:
        print(problem)
    print(f"{len(seeds) - len(failed)} of {len(seeds)} seeds hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, (sys.argv[1] if len(sys.argv) > 1 else "0:20").split(":"))))
