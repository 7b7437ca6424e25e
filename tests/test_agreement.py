"""
The same story told twice: by sixteen simulated peers, and by sixteen daemons on this machine.

Messages, two processes killed, messages again.  Who has which message, whom
others call dead, who is off the seed's list, and how many links there are must
come out the same.
"""

from __future__ import annotations

import io
import json
import re
import signal
import time
from typing import Any

import attrs

from p2p.simulation.journal import Journal
from p2p.simulation.run import Run
from p2p.simulation.scenario import parseScenario
from tests.processes import Daemon, NetworkTestCase, until

PEERS = 16
FIRST = [0, 5, 10, 15]
KILLED = [3, 11]
SECOND = [1, 8]

SCENARIO = """
name = "a story"
duration = 40.0
network.latency.constant = 0.0005
peers = { count = 16, join = { over = 3.0 }, options = { gossipCount = 0, livenessInterval = 0.5, seedInterval = 2.0 } }
"""

Had = dict[int, set[tuple[int, int]]]
"""For each peer that lives on: the messages that it has, each by the place of its origin and its number there."""


CALLED_DEAD = re.compile(r" at (127\.0\.0\.1:\d+) is dead: ")
"""How a peer's log tells its verdict."""


@attrs.frozen
class Outcome:
    """
    What came of the story; peers go by their places, from 0.

    @ivar had: who has which messages in the end.
    @ivar calledDead: for each who lives on, whom it called dead.
    @ivar knew: who was linked to each of the killed, just before.
    @ivar removed: who is off the seed's list in the end.
    @ivar degrees: how many links each had before anybody was killed.
    """

    had: Had
    calledDead: dict[int, set[int]]
    knew: dict[int, set[int]]
    removed: set[int]
    degrees: list[int]


def event(at: float, verb: str) -> str:
    """The text of an event."""
    return f"[[events]]\nat = {at}\n{verb}\n"


class AgreementTests(NetworkTestCase):
    """The simulated network and the real one agree."""

    def test_sameDeliveriesSameDeathsSimilarOverlay(self) -> None:
        """All that can be compared."""
        simulated = [self.simulate(seed) for seed in range(8)]
        real = self.live()
        expected = {(place, 1) for place in FIRST + SECOND}
        for outcome in (real, *simulated):
            self.assertEqual(outcome.had, {place: expected for place in range(PEERS) if place not in KILLED})
            self.assertEqual(outcome.removed, set(KILLED))
            # Nobody else is called dead; and by all who could see it, but for a link exchanged at that very moment.
            self.assertEqual(set().union(*outcome.calledDead.values()), set(KILLED))
            for killed, neighbours in outcome.knew.items():
                silent = [place for place in neighbours - set(KILLED) if killed not in outcome.calledDead[place]]
                self.assertLessEqual(len(silent), 1)
        # Whom each peer dials is drawn, so that two runs of either kind differ too.
        means = [sum(outcome.degrees) / PEERS for outcome in simulated]
        mean = sum(real.degrees) / PEERS
        self.assertLess(min(means) - 0.75, mean)
        self.assertLess(mean, max(means) + 0.75)
        self.assertLessEqual(min(min(outcome.degrees) for outcome in simulated) - 1, min(real.degrees))
        self.assertLessEqual(max(real.degrees), max(max(outcome.degrees) for outcome in simulated) + 2)

    def simulate(self, seed: int) -> Outcome:
        """What comes of it in simulation."""
        text = SCENARIO
        for place in FIRST:
            text += event(15.0, f'publish = {{ from = "peer-{place}" }}')
        text += event(20.0, f"crash = {{ peers = {[f'peer-{place}' for place in KILLED]} }}")
        for place in SECOND:
            text += event(30.0, f'publish = {{ from = "peer-{place}" }}')
        trace = io.BytesIO()
        journal = Journal(trace)
        run = Run.of(parseScenario(text), seed, journal=journal)
        looks: list[list[list[int]]] = []
        for at in (14.0, 19.999):
            run.network.callAt(at, lambda: looks.append(run.measure.adjacency()))
        results = run.go()
        journal.flush()
        peers = list(run.swarm.peers.values())
        origins = {peer.service.identity: peer.number for peer in peers}
        had = {
            peer.number: {(origins[d.message.origin], d.message.sequence) for d in peer.service.recent()}
            for peer in peers
            if peer.up
        }
        self.assertEqual((results["broken"], results["falseDeaths"]), ([], []))
        self.assertEqual({death["peer"] for death in results["deaths"]}, {f"peer-{place}" for place in KILLED})
        listed = {entry.contact.identity for entry in run.swarm.seeds["seed-0"].service.registry}
        removed = {place for identity, place in origins.items() if identity not in listed}
        calledDead: dict[int, set[int]] = {peer.number: set() for peer in peers if peer.up}
        for line in map(json.loads, trace.getvalue().splitlines()):
            if line["type"] == "dead":
                judge, accused = (run.swarm.peers[line[key]].number for key in ("node", "peer"))
                calledDead[judge].add(accused)
        before, killing = looks
        knew = {killed: set(killing[killed]) for killed in KILLED}
        return Outcome(had, calledDead, knew, removed, [len(others) for others in before])

    def live(self) -> Outcome:
        """The same of real processes."""
        seed, peers = self.startNetwork(PEERS, "--liveness-interval", "0.5", "--seed-interval", "2")
        places = {f"127.0.0.1:{peer.port}": place for place, peer in enumerate(peers)}
        origins = {peer.get("/status")["id"]: place for place, peer in enumerate(peers)}
        # Several lists from the seed, and so several draws of how many to dial, as in the simulation by then.
        time.sleep(10.0)
        degrees = until(lambda: self.settled(peers), "both ends of all links say the same")
        ids = [peers[place].publish(b"first") for place in FIRST]
        until(lambda: all(peer.has(id) for peer in peers for id in ids), "everybody has the first messages")
        knew: dict[int, set[int]] = {}
        for place in KILLED:
            # It is asked as late as possible: links are exchanged now and then.
            knew[place] = {places[link["address"]] for link in peers[place].neighbours()}
            peers[place].signal(signal.SIGKILL)
        until(lambda: len(seed.active()) == PEERS - len(KILLED), "the dead are off the list")
        living = {place: peer for place, peer in enumerate(peers) if place not in KILLED}
        ids = [peers[place].publish(b"second") for place in SECOND]
        until(lambda: all(peer.has(id) for peer in living.values() for id in ids), "and the second ones")
        had = {
            place: {self.origin(message, origins) for message in peer.messages()}
            for place, peer in living.items()
        }
        removed = set(range(PEERS)) - {places[address] for address in seed.active()}
        calledDead = {
            place: {places[address] for address in CALLED_DEAD.findall(peer.log)} for place, peer in living.items()
        }
        return Outcome(had, calledDead, knew, removed, degrees)

    def settled(self, peers: list[Daemon]) -> list[int] | None:
        """How many links each has, if both ends of all of them say the same."""
        links = [{link["address"] for link in peer.neighbours()} for peer in peers]
        addresses = [f"127.0.0.1:{peer.port}" for peer in peers]
        for address, others in zip(addresses, links, strict=True):
            for other in others:
                if other not in addresses or address not in links[addresses.index(other)]:
                    return None
        return [len(others) for others in links]

    def origin(self, message: dict[str, Any], origins: dict[str, int]) -> tuple[int, int]:
        """The place of a message's origin, and its number there."""
        id, _, number = message["id"].split("-")
        return origins[id], int(number)
