"""
A small Twisted application on a simulated network: a client that keeps a connection to a server, while the path
between them is cut and the server crashes.

    python docs/examples/simulated_application.py [SEED]

Nothing in the application knows that it is simulated: it takes a reactor, as it would take the real one.
"""

import sys
from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.protocols.basic import LineReceiver

from p2p.simulation.latency import uniform
from p2p.simulation.network import SimulatedNetwork

# The application.


class Counting(LineReceiver):
    """
    The server: counts lines, on disk.
    """

    def __init__(self, disk: dict[str, int]) -> None:
        self.disk = disk

    def lineReceived(self, line: bytes) -> None:
        """
        Count one more, and say how many there were.
        """
        self.disk["lines"] = self.disk.get("lines", 0) + 1
        self.sendLine(b"%d" % self.disk["lines"])


class Asking(LineReceiver):
    """
    The client: sends a line every second, and remembers the answers.
    """

    def __init__(self, reactor: Any, answers: list[int]) -> None:
        self.answers = answers
        self.asking = LoopingCall(lambda: self.sendLine(b"one more"))
        self.asking.clock = reactor

    def connectionMade(self) -> None:
        """
        Begin to ask.
        """
        self.asking.start(1.0)

    def lineReceived(self, line: bytes) -> None:
        """
        Remember an answer.
        """
        self.answers.append(int(line))

    def connectionLost(self, reason: object = None) -> None:
        """
        Stop asking; the service connects again.
        """
        self.asking.stop()


def serve(reactor: Any) -> None:
    """
    Start the server.
    """
    serverFromString(reactor, "tcp:7000").listen(Factory.forProtocol(lambda: Counting(reactor.disk)))


def ask(reactor: Any) -> list[int]:
    """
    Start the client.

    @return: What the server has answered so far.
    """
    answers: list[int] = []
    service = ClientService(
        clientFromString(reactor, "tcp:server.example:7000"),
        Factory.forProtocol(lambda: Asking(reactor, answers)),
        clock=reactor,
    )
    service.startService()
    return answers


# The simulation of it.


def main(seed: int) -> None:
    """
    Run for ten virtual minutes, in which much goes wrong.
    """
    network = SimulatedNetwork(seed=seed, latency=uniform(0.010, 0.100), giveUp=20.0)
    network.host("10.0.0.1", name="server.example", boot=serve)
    answers = ask(network.host("10.0.0.2"))

    network.callAt(100.0, lambda: network.faults.partition("10.0.0.1", "10.0.0.2", duration=60.0))
    network.callAt(300.0, lambda: network.faults.crashHost("10.0.0.1"))
    network.callAt(330.0, lambda: network.faults.restart("10.0.0.1"))
    network.always(lambda network: answers == sorted(set(answers)), every=1.0)
    network.eventually(lambda network: len(answers) > 400, by=600.0)
    network.run(until=600.0)
    print(f"{len(answers)} answers, the last one is {answers[-1]}; digest {network.digest()[:16]}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
