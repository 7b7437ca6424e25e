"""
What is measured: graphs against another library, broadcasts against closed forms, deaths against what was done.
"""

from __future__ import annotations

import gc
import io
import json
import os
import re
import sys
import warnings
from random import Random
from typing import Any

import networkx
from twisted.internet.defer import Deferred
from twisted.logger import LogBeginner, Logger, LogPublisher
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import twisted
from p2p.address import Address, AddressError
from p2p.commands.simulate import summaryRows
from p2p.peer import strategies
from p2p.simulation import graph
from p2p.simulation.checks import Violation
from p2p.simulation.errors import Errors, crashText
from p2p.simulation.expect import OF_BROADCASTS, Expect, calms
from p2p.simulation.journal import BLOCK, Journal
from p2p.simulation.metrics import metrics
from p2p.simulation.network import SimulatedNetwork
from p2p.simulation.run import Run
from p2p.simulation.scenario import parseScenario
from p2p.simulation.swarm import Swarm
from p2p.simulation.traffic import Traffic, broadcastKey
from p2p.wire.codec import encode
from p2p.wire.messages import Batch, Contact, Custom, Message, Ping, Pong

STABLE = """
name = "stable"
duration = 20.0
seed = 3

[peers]
count = 16
join = { over = 1.0 }
options = { gossipCount = 0, seedInterval = 86400.0 }
"""


def run(rest: str = "", text: str = STABLE, **options: Any) -> Run:
    """A scenario on its way."""
    return Run.of(parseScenario(text + rest), **options)


def traced(rest: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What came of a scenario, and the lines of its trace."""
    file = io.BytesIO()
    journal = Journal(file)
    results = run(rest, journal=journal).go()
    journal.flush()
    return results, [json.loads(line) for line in file.getvalue().splitlines()]


def event(verb: str, at: float = 10.0) -> str:
    """The text of an event."""
    return f"[[events]]\nat = {at}\n{verb}\n"


def adjacencyOf(made: Any) -> list[list[int]]:
    """A networkx graph as this package takes it."""
    return [sorted(made.adj[node]) for node in sorted(made.nodes)]


class GraphTests(SynchronousTestCase):
    """Graph measures agree with networkx."""

    def graphs(self) -> list[Any]:
        """Some of each kind: random ones, whole and in parts, a ring, a star, loners, nothing."""
        return [
            *(networkx.gnm_random_graph(40, links, seed=links) for links in (0, 10, 45, 120, 400)),
            networkx.random_regular_graph(5, 60, seed=1),
            networkx.cycle_graph(9),
            networkx.star_graph(6),
            networkx.complete_graph(5),
            networkx.empty_graph(1),
            networkx.empty_graph(0),
        ]

    def test_components(self) -> None:
        """The parts, the largest first."""
        for made in self.graphs():
            parts = graph.components(adjacencyOf(made))
            expected = sorted((len(part) for part in networkx.connected_components(made)), reverse=True)
            self.assertEqual([len(part) for part in parts], expected)
            self.assertEqual(sorted(node for part in parts for node in part), sorted(made.nodes))

    def test_paths(self) -> None:
        """Mean and longest of the shortest paths between pairs that have one."""
        for made in self.graphs():
            lengths = [
                length
                for source, others in networkx.all_pairs_shortest_path_length(made)
                for other, length in others.items()
                if other != source
            ]
            found = graph.paths(adjacencyOf(made), Random(1))
            self.assertAlmostEqual(found.average, sum(lengths) / max(1, len(lengths)))
            self.assertEqual(found.longest, max(lengths, default=0))
            self.assertEqual(found.sources, len(made))

    def test_pathsOfASample(self) -> None:
        """Of many nodes a sample of sources is taken, and comes close."""
        self.patch(graph, "MAX_SOURCES", 100)
        self.patch(graph, "SAMPLE", 60)
        made = networkx.random_regular_graph(4, 400, seed=1)
        found = graph.paths(adjacencyOf(made), Random(1))
        self.assertEqual(found.sources, 60)
        self.assertLess(abs(found.average - networkx.average_shortest_path_length(made)), 0.05)

    def test_clustering(self) -> None:
        """The mean of the nodes' clustering coefficients."""
        for made in self.graphs():
            expected = networkx.average_clustering(made) if len(made) else 0.0
            self.assertAlmostEqual(graph.clustering(adjacencyOf(made)), expected)


class TrafficTests(SynchronousTestCase):
    """Frames are recognised by their bytes."""

    class End:
        """Where bytes arrive."""

        def __init__(self, serial: int) -> None:
            self.serial = serial

    def counted(self, pieces: list[tuple[int, bytes]]) -> Traffic:
        """What comes of some pieces, each at an end of a connection."""
        traffic = Traffic()
        traffic.arrived([(0.0, 0, self.End(serial), data) for serial, data in pieces])
        traffic.arrived([(0.0, 0, len, None)])
        return traffic

    def test_typesAndBroadcasts(self) -> None:
        """Types are counted by frames and bytes, messages also by origin and number, however that is written."""
        frames = []
        for sequence in (1, 127, 128, 300, 70_000, 2**40):
            frames += [encode(Message(b"o" * 16, sequence, 3, b"payload"))] * 2
        frames += [encode(Ping(5)), encode(Pong(2**31))]
        traffic = self.counted([(1, frame) for frame in frames])
        sizes = [len(frame) for frame in frames]
        self.assertEqual(
            traffic.byType(),
            {
                "Message": {"frames": 12, "bytes": sum(sizes[:12])},
                "Ping": {"frames": 1, "bytes": sizes[12]},
                "Pong": {"frames": 1, "bytes": sizes[13]},
            },
        )
        for sequence in (1, 127, 128, 300, 70_000, 2**40):
            self.assertEqual(traffic.payloads[broadcastKey(b"o" * 16, sequence)], 2)
        self.assertEqual(traffic.count([Ping, Pong]), 2)

    def test_aBatchIsOneFrameAndSeveralPayloads(self) -> None:
        """Whole or in pieces."""
        frame = encode(Batch([Message(b"o" * 16, number, 1, b"x") for number in (1, 2, 300)]))
        for pieces in ([(1, frame)], [(1, frame[:9]), (1, frame[9:])]):
            traffic = self.counted(pieces)
            self.assertEqual(traffic.byType(), {"Batch": {"frames": 1, "bytes": len(frame)}})
            self.assertEqual(traffic.payloads, {broadcastKey(b"o" * 16, number): 1 for number in (1, 2, 300)})

    def test_whatIsNoMessageEndsNothing(self) -> None:
        """Whom it is sent to says so; what follows it is counted."""
        for body in (b"", b"\x93", b"\x95\x0a\xc4", encode(Message(b"short", 1, 1, b""))[4:], encode(Batch([]))[4:-1]):
            bad = len(body).to_bytes(4, "big") + body
            for pieces in ([(1, bad), (1, encode(Ping(5)))], [(1, bad + encode(Ping(5)))]):
                self.assertEqual(self.counted(pieces).byType()["Ping"]["frames"], 1)

    def test_pieces(self) -> None:
        """A frame in pieces, several in one, two connections in turn: the same count."""
        frames = [encode(Message(b"o" * 16, number, 1, b"x" * number)) for number in range(1, 20)]
        whole = b"".join(frames)
        for size in (1, 3, 7, 50, len(whole)):
            pieces = [
                (serial, whole[start : start + size]) for start in range(0, len(whole), size) for serial in (1, 2)
            ]
            traffic = self.counted(pieces)
            self.assertEqual(traffic.byType(), {"Message": {"frames": 38, "bytes": 2 * len(whole)}})
            self.assertEqual(set(traffic.payloads.values()), {2})


class JournalTests(SynchronousTestCase):
    """The trace is one JSON object a line."""

    def test_linesAreWrittenInBlocks(self) -> None:
        """A block, when there are enough; the rest at the end."""
        file = io.BytesIO()
        journal = Journal(file)
        for number in range(BLOCK - 1):
            journal.note(1.0, "joined", node=f"peer-{number}")
        self.assertEqual(file.getvalue(), b"")
        journal.delivered(1.23456789, 7, "peer-1", "peer-2", 3)
        self.assertEqual(file.getvalue().count(b"\n"), BLOCK)
        journal.note(2.0, "left", node='a "strange" name')
        journal.flush()
        journal.flush()
        lines = [json.loads(line) for line in file.getvalue().splitlines()]
        self.assertEqual(lines[-1], {"time": 2.0, "type": "left", "node": 'a "strange" name'})
        expected = {"time": 1.234568, "type": "delivered", "message": 7, "peer": "peer-1", "from": "peer-2", "hops": 3}
        self.assertEqual(lines[-2], expected)


class BroadcastTests(SynchronousTestCase):
    """Floods keep to the closed forms."""

    def test_payloadsOfAFlood(self) -> None:
        """Without loss on a settled overlay of E links and N peers: exactly 2E - (N - 1), and everybody has it."""
        for seed in range(3):
            results = run(event("publish = { count = 10, every = 0.5 }", at=12.0), seed=seed).go()
            overlay = results["overlay"]
            self.assertEqual(overlay["components"], 1)
            self.assertEqual(len(results["broadcasts"]), 10)
            for broadcast in results["broadcasts"]:
                self.assertEqual(broadcast["payloads"], 2 * overlay["links"] - (overlay["peers"] - 1))
                self.assertEqual(broadcast["duplicates"], broadcast["payloads"] - 15)
                self.assertEqual((broadcast["live"], broadcast["reached"], broadcast["control"]), (16, 16, 0))
            payloads = sum(broadcast["payloads"] for broadcast in results["broadcasts"])
            self.assertEqual(results["traffic"]["Message"]["frames"], payloads)

    def test_timeAndHops(self) -> None:
        """With the same latency everywhere the last has it after the eccentricity of the origin, in hops and time."""
        going = run(
            "[network]\nlatency = { constant = 0.05 }\n" + event("publish = { count = 8, every = 0.5 }", at=12.0)
        )
        results = going.go()
        made = networkx.from_dict_of_lists(dict(enumerate(going.measure.adjacency())))
        for broadcast in results["broadcasts"]:
            far = networkx.eccentricity(made, int(broadcast["origin"].removeprefix("peer-")))
            self.assertEqual(broadcast["lastHop"], far)
            self.assertAlmostEqual(broadcast["lastDelivery"], 0.05 * far, places=5)

    def test_whoIsExpected(self) -> None:
        """Those who were there at the sending and to the end: no newcomer, nobody who crashed, left, or restarted."""
        rest = event("publish = {}", at=8.0)
        rest += event("join = { count = 3 }", at=10.0) + event("crash = { count = 4 }", at=12.0)
        rest += event("leave = { count = 2 }", at=14.0) + event("restart = { count = 1 }", at=16.0)
        (broadcast,) = run(rest + "[expect]\nreach = 1.0\n").go()["broadcasts"]
        self.assertLessEqual(16 - 4 - 2 - 1, broadcast["live"])
        self.assertLessEqual(broadcast["live"], 16 - 4)
        self.assertEqual(broadcast["reached"], broadcast["live"])

    def test_theWindow(self) -> None:
        """Who got it only after the window did not get it in time."""
        groups = "{ groups = [0.5, 0.5], for = 8.0 }"
        rest = event(f"partition = {groups}", at=6.0) + event("publish = {}", at=7.0)
        (late,) = run(rest + "[measure]\nwindow = 4.0\n").go()["broadcasts"]
        (whole,) = run(rest).go()["broadcasts"]
        self.assertEqual((late["live"], late["reached"]), (16, 8))
        self.assertEqual((whole["live"], whole["reached"]), (16, 16))
        self.assertGreater(whole["lastDelivery"], 7.0)
        self.assertLess(late["lastDelivery"], 2.0)

    def test_theMedianIsATimeThatSomeMessageTook(self) -> None:
        """Of two it is the lower one, as in the plot of the reach; so with deaths."""
        results = run(event("publish = { count = 4 }")).go()
        for broadcast, took in zip(results["broadcasts"], (0.1, 3.0, 0.2, 7.0), strict=True):
            broadcast["lastDelivery"] = took
        death = {"firstDetected": 1.0, "removedFromSeeds": None}
        rows = dict(summaryRows({**results, "deaths": [death, {**death, "firstDetected": 2.0}]}))
        self.assertIn("median 0.200 s, at most 7.000 s", rows["last delivery"])
        self.assertIn("2 found after 1.00 s (at most 2.00 s)", rows["deaths"])

    def test_whatNobodyShouldHaveCountsNowhere(self) -> None:
        """Everybody is restarted: what was sent before has no last delivery, and spoils no mean."""
        old = event("publish = { count = 2 }", at=8.0) + event("restart = { fraction = 1.0, over = 1.0 }")
        results = run(old + event("publish = {}", at=15.0)).go()
        *before, after = results["broadcasts"]
        for broadcast in before:
            counted = [broadcast[name] for name in ("live", "reached", "lastHop", "lastDelivery")]
            self.assertEqual(counted, [0, 0, None, None])
        self.assertEqual(metrics(results), metrics({**results, "broadcasts": [after]}))
        rows = dict(summaryRows(results))
        self.assertEqual(rows["broadcasts"], "3, 1 of them to everyone, 2 that nobody should have; reach 1.000000")
        last = f"{after['lastDelivery']:.3f} s"
        self.assertEqual(rows["last delivery"], f"median {last}, at most {last} and {after['lastHop']} hops")
        rows = dict(summaryRows({**results, "broadcasts": before}))
        self.assertEqual(rows["broadcasts"], "2, 0 of them to everyone, 2 that nobody should have")
        self.assertNotIn("last delivery", rows)

    def test_redundancyIsThatOfAllWhoGotIt(self) -> None:
        """It is the same if half of them die later: the copies that they were sent were not superfluous."""
        sent = event("publish = { count = 3 }", at=8.0)
        lived, died = run(sent).go(), run(sent + event("crash = { fraction = 0.5 }")).go()
        self.assertEqual((lived["broadcasts"][0]["live"], died["broadcasts"][0]["live"]), (16, 8))
        redundancy = metrics(lived)["redundancy"]
        links = lived["overlay"]["links"]
        self.assertAlmostEqual(redundancy, (2 * links - 2 * 15) / 15)
        self.assertEqual(metrics(died)["redundancy"], redundancy)

    def test_gossipIsMeasuredToo(self) -> None:
        """What peers say by themselves counts like what the scenario lets them say."""
        results = run(text=STABLE.replace("gossipCount = 0", "gossipCount = 2, gossipInterval = 3.0")).go()
        self.assertEqual(len(results["broadcasts"]), 32)
        for broadcast in results["broadcasts"]:
            self.assertEqual(broadcast["reached"], broadcast["live"])
        self.assertEqual(results["broadcasts"][-1]["live"], 16)

    def test_withoutTraffic(self) -> None:
        """What was not counted is not said."""
        results = run(event("publish = {}") + "[measure]\ntraffic = false\n").go()
        (broadcast,) = results["broadcasts"]
        self.assertIsNone(results["traffic"])
        counted = [broadcast[name] for name in ("payloads", "duplicates", "control", "reached")]
        self.assertEqual(counted, [None, None, None, 16])


class DeathTests(SynchronousTestCase):
    """Deaths are found out in time, and the living are not called dead without excuse."""

    def test_killedProcesses(self) -> None:
        """Their connections end: neighbours and seed know within a few round trips."""
        results = run(event("crash = { count = 5 }")).go()
        self.assertEqual(len(results["deaths"]), 5)
        for death in results["deaths"]:
            self.assertEqual(death["at"], 10.0)
            self.assertLess(0.0, death["firstDetected"])
            self.assertLess(death["lastDetected"], 1.0)
            self.assertLess(0.0, death["removedFromSeeds"])
            self.assertLess(death["removedFromSeeds"], 1.0)
            self.assertIsNone(death["restarted"])
        self.assertEqual(results["falseDeaths"], [])

    def test_silentMachines(self) -> None:
        """Silence is believed after the misses and the probe: (misses + 1) * interval + probeTimeout."""
        results = run(event('crash = { peers = ["peer-3"], host = true }')).go()
        (death,) = results["deaths"]
        self.assertLess(3.0, death["firstDetected"])
        self.assertLess(death["lastDetected"], 4.0 + 2.0 + 0.2)
        self.assertLess(death["removedFromSeeds"], 4.0 + 2.0 + 2.0 + 0.5)

    def test_restarted(self) -> None:
        """A death ends with the restart; the new process is not taken for the dead one."""
        rest = event('crash = { peers = ["peer-3"] }') + event('restart = { peers = ["peer-3"] }', at=15.0)
        results = run(rest + "[expect]\nlisted = true\ncomponents = 1\n").go()
        (death,) = results["deaths"]
        self.assertEqual(death["restarted"], 5.0)
        self.assertEqual((results["falseDeaths"], results["broken"]), ([], []))

    def test_aSeedThatEndsListsNobody(self) -> None:
        """Its list is gone with it; if it takes the dead up again, from its disk, the last removal counts."""
        died = event('crash = { peers = ["peer-3"], host = true }', at=4.0)
        results = run(died + event('crash = { seeds = "all" }', at=5.0) + "[expect]\ndeadRemovedWithin = 1.0\n").go()
        self.assertEqual((results["deaths"][0]["removedFromSeeds"], results["broken"]), (1.0, []))
        removed = run(died).go()["deaths"][0]["removedFromSeeds"]
        again = run(died + event('restart = { seeds = "all" }', at=4.1 + removed)).go()["deaths"][0]
        self.assertLess(removed + 0.1, again["removedFromSeeds"])

    def test_oneWayOnlyTheFirstGroupIsCutOff(self) -> None:
        """A verdict between two others has no excuse in that."""
        going = run(event('partition = { groups = [["peer-0"], ["peer-1"], ["peer-2"]], oneWay = true }'))

        def slander() -> None:
            for judge, name in (("peer-1", "peer-2"), ("peer-0", "peer-2"), ("peer-1", "peer-0")):
                accused = going.swarm.peers[name]
                contact = Contact(accused.service.identity, str(accused.address))
                going.swarm.peers[judge].service.dead(contact, "silent")

        going.network.callAt(10.5, slander)
        false = [(death["by"], death["peer"], death["excuse"]) for death in going.go()["falseDeaths"]
                 if death["at"] == 10.5]  # fmt: skip
        cut = [("peer-0", "peer-2", "partition"), ("peer-1", "peer-0", "partition")]
        self.assertEqual(false, [("peer-1", "peer-2", None), *cut])

    def test_falseDeathsHaveAnExcuse(self) -> None:
        """Who is paused, or on the other side, is called dead with an excuse."""
        paused = run(event('pause = { peers = ["peer-3"], for = 9.0 }')).go()["falseDeaths"]
        self.assertEqual({(death["peer"], death["excuse"]) for death in paused}, {("peer-3", "pause")})
        split = run(event("partition = { groups = [0.5, 0.5], for = 9.0 }")).go()["falseDeaths"]
        self.assertEqual({death["excuse"] for death in split}, {"partition"})

    def test_newcomersToAPartitionAreOnOneOfItsSides(self) -> None:
        """A verdict on a newcomer is excused by the partition if the judge was on another side, and not else."""
        going = run(event('partition = { groups = [["peer-3"], ["peer-2"]] }') + event("join = {}", at=11.0))

        def slander() -> None:
            newcomer = going.swarm.peers["peer-16"]
            contact = Contact(newcomer.service.identity, str(newcomer.address))
            for judge in ("peer-2", "peer-3"):
                going.swarm.peers[judge].service.dead(contact, "silent")

        going.network.callAt(14.0, slander)
        false = {death["by"]: death["excuse"] for death in going.go()["falseDeaths"] if death["peer"] == "peer-16"}
        self.assertEqual(false, {"peer-2": "partition", "peer-3": None})

    def test_aShortFaultExcusesNothing(self) -> None:
        """Nobody may take a silence for death that is shorter than livenessMisses intervals."""
        for seconds, excuse in ((2.9, None), (3.0, "pause")):
            going = run(event(f'pause = {{ peers = ["peer-1"], for = {seconds} }}'))
            self.slander(going)
            self.assertEqual(self.excuses(going), {excuse})

    def test_aSeedLooksWhenItIsTold(self) -> None:
        """Who is stopped just then, is dead to it after its probeTimeout, and that needs no longer fault."""
        for seconds, excuses in ((2.9, {"pause"}), (0.4, set())):
            going = run(event(f'pause = {{ peers = ["peer-1"], for = {seconds} }}'))
            self.slander(going)
            self.assertEqual(self.excuses(going, "seed"), excuses)

    def test_shortFaultsInARowAreALongOne(self) -> None:
        """A neighbour may hear nothing between them."""
        for first, excuse in ((7.6, None), (7.5, "pause")):
            short = event(f'pause = {{ peers = ["peer-1"], for = {9.0 - first} }}', at=first)
            going = run(short + event('pause = { peers = ["peer-1"], for = 1.5 }', at=10.0))
            self.slander(going)
            self.assertEqual(self.excuses(going), {excuse})

    def test_whatIsTwoFaultsAtATimeIsNoLongerSilence(self) -> None:
        """They excuse as long as somebody may have heard nothing, and no longer."""
        for seconds, excuse in ((1.9, None), (2.0, "slow")):
            faults = event('pause = { peers = ["peer-1"], for = 2.0 }', at=8.0)
            faults += event('loss = { peers = ["peer-1"], rate = 0.1, for = 1.0 }', at=8.5)
            faults += event(f'slow = {{ peers = ["peer-1"], factor = 2.0, for = {seconds} }}', at=9.0)
            going = run(faults)
            self.slander(going)
            self.assertEqual(self.excuses(going), {excuse})

    def test_withSwimASuspicionIsShorter(self) -> None:
        """There the misses say when a link ends, and suspicionMult intervals when its peer is dead."""
        for seconds, excuse in ((3.9, None), (4.0, "pause")):
            swim = STABLE.replace("options = { ", 'options = { detector = "swim", livenessMisses = 9, ')
            going = run(event(f'pause = {{ peers = ["peer-1"], for = {seconds} }}'), swim)
            self.slander(going)
            self.assertEqual(self.excuses(going), {excuse})

    def test_whoDiesBeforeItIsTimeNeedNotFindOut(self) -> None:
        """Those count who had as long as is given for it, ten seconds at least."""
        patient = STABLE.replace("options = { ", "options = { livenessMisses = 15, ")
        died = event("crash = { count = 5, host = true }", at=5.0) + event("crash = { fraction = 1.0 }", at=16.0)
        for seconds, survivors in ((9.0, True), (12.0, False)):
            going = run(died + f"[expect]\ndetectedWithin = {seconds}\n", patient)
            deaths = [death for death in going.go()["deaths"] if death["at"] == 5.0]
            self.assertEqual(any(death["survivors"] for death in deaths), survivors)
            self.assertEqual("detectedWithin" in [broken.expectation for broken in going.broken], survivors)

    def test_falseDeathsWithout(self) -> None:
        """Who is called dead though everybody hears it has none; a liar's word does not count."""
        going = run()
        self.slander(going)
        (false,) = going.go()["falseDeaths"]
        self.assertEqual((false["peer"], false["at"], false["excuse"]), ("peer-1", 10.5, None))
        lies = event('liar = { peers = ["peer-2"], for = 5.0 }') + event('liar = { peers = ["peer-2"], for = 2.0 }')
        self.assertEqual(run(lies).go()["falseDeaths"], [])

    def excuses(self, going: Run, judges: str = "peer") -> set[str | None]:
        """Those of the verdicts of peers, or of seeds."""
        return {death["excuse"] for death in going.go()["falseDeaths"] if death["by"].startswith(judges)}

    def slander(self, going: Run) -> None:
        """A neighbour calls peer-1 dead, after ten seconds."""
        swarm = going.swarm

        def slander() -> None:
            victim = swarm.peers["peer-1"]
            accuser = swarm.at(victim.service.neighbours[0].contact.address)
            assert accuser is not None
            link = next(link for link in accuser.service.neighbours if swarm.at(link.contact.address) is victim)
            accuser.service.dead(link.contact, "silent")

        going.network.callAt(10.5, slander)


class ExpectTests(SynchronousTestCase):
    """What does not hold is said, with seed and time."""

    def broken(self, expect: str, rest: str = "") -> list[tuple[str, float]]:
        """Which expectations are broken, and when that was seen."""
        results = run(rest + expect, seed=9).go()
        self.assertEqual(results["held"], not results["broken"])
        self.assertEqual({broken["seed"] for broken in results["broken"]} - {9}, set())
        return [(broken["expectation"], broken["time"]) for broken in results["broken"]]

    def test_whatHolds(self) -> None:
        """A quiet network breaks nothing of all that can be expected."""
        expect = (
            "[expect]\nreach = 1.0\nmeanReach = 1.0\nlastDelivery = 1.0\nredundancy = 8.0\ncomponents = 1\n"
            "falseDeaths = 0\ncalledDead = 0\ndetectedWithin = 1.0\ndeadRemovedWithin = 1.0\nlisted = true\n"
            "dialled = 4\ninbound = 16\nconnectedWithin = 5.0\nislandsWithin = 1.0\ncaughtUpWithin = 1.0\n"
            "listedWithin = 5.0\nghostsWithin = 9.0\n"
        )
        for name in Expect.__struct_fields__:
            self.assertIn(name, expect + "muted")
        back = event('crash = { peers = ["peer-5"] }') + event('restart = { peers = ["peer-5"] }', at=11.0)
        self.assertEqual(self.broken(expect, event("publish = { count = 2 }", at=12.0) + back), [])

    def test_atTheEnd(self) -> None:
        """Each expectation can be broken."""
        # A peer that is cut off for good hears nothing, and its death is not heard of.
        alone = event('partition = { groups = [["peer-1"], ["peer-2"]] }', at=5.0).replace("peer-1", "peer-0")
        cut = event("partition = { groups = [0.7, 0.3] }") + event("publish = { from = \"peer-1\" }", at=11.0)
        told = event("publish = {}")
        paused = event('pause = { peers = ["peer-3"], for = 9.0 }')
        self.assertEqual(self.broken("[expect]\nfalseDeaths = 0\n", paused), [])
        self.assertEqual(self.broken("[expect]\ncalledDead = 0\n", paused), [("calledDead", 20.0)])
        healed = event("partition = { groups = [0.7, 0.3], for = 5.0 }") + told
        self.assertEqual(self.broken("[expect]\ncaughtUpWithin = 4.9\nreach = 1.0\n", healed), [])
        died = event('crash = { peers = ["peer-5"], host = true }')
        back = died + event('restart = { peers = ["peer-5"] }', at=15.0)
        self.assertEqual(self.broken("[expect]\nghostsWithin = 0.0\n", back), [])
        for rest, expect in (
            (cut, {"reach": 1.0, "meanReach": 0.99, "components": 1, "listed": "true"}),
            (alone, {"muted": 1}),
            (told, {"lastDelivery": 0.01, "redundancy": 0.5}),
            (died, {"detectedWithin": 1.0, "deadRemovedWithin": 1.0, "ghostsWithin": 9.9}),
            (healed, {"caughtUpWithin": 0.01}),
        ):
            text = "".join(f"{name} = {value}\n" for name, value in expect.items())
            self.assertEqual(sorted(self.broken(f"[expect]\n{text}", rest)), [(name, 20.0) for name in sorted(expect)])

    def test_nothingWasPublished(self) -> None:
        """Who should publish is dead: it is told that there was nothing for what is expected to be looked at."""
        unsent = event('crash = { peers = ["peer-1"] }') + event('publish = { from = "peer-1" }', at=11.0)
        self.assertEqual(self.broken("[expect]\nfalseDeaths = 0\n", unsent), [])
        for name in OF_BROADCASTS:
            self.assertEqual(self.broken(f"[expect]\n{name} = 1.0\n", unsent), [("published", 20.0)])
        results = run(unsent + "[expect]\nfalseDeaths = 0\nreach = 1.0\n", seed=9).go()
        self.assertEqual(results["expected"], {"reach": None, "falseDeaths": True, "published": False})

    def test_nobodyShouldHaveWhatWasPublished(self) -> None:
        """That is as if nothing had been."""
        forNobody = event("publish = {}", at=8.0) + event("restart = { fraction = 1.0, over = 1.0 }")
        for name in OF_BROADCASTS:
            self.assertEqual(self.broken(f"[expect]\n{name} = 1.0\n", forNobody), [("published", 20.0)])

    def test_nothingToLookAt(self) -> None:
        """Chance killed nobody, and the network never was one: no failure, and nobody is told that it holds."""
        never = event("partition = { groups = [0.5, 0.5] }", at=1.0) + event("crash = { fraction = 0.01 }")
        expect = "[expect]\ndetectedWithin = 0.1\ndeadRemovedWithin = 0.1\nislandsWithin = 1.0\nfalseDeaths = 0\n"
        never = STABLE.replace("over = 1.0", "over = 2.0") + never
        results = run(expect, text=never).go()
        self.assertGreater(results["overlay"]["components"], 1)
        nothing = {"detectedWithin": None, "deadRemovedWithin": None, "islandsWithin": None}
        self.assertEqual((results["held"], results["expected"]), (True, {**nothing, "falseDeaths": True}))
        names = "detectedWithin, deadRemovedWithin, islandsWithin"
        self.assertEqual(dict(summaryRows(results))["expected"], f"holds; there was nothing to look at for {names}")
        results = run("[expect]\nislandsWithin = 1.0\ndetectedWithin = 5.0\n" + event("crash = { count = 1 }")).go()
        self.assertEqual(results["expected"], {"islandsWithin": True, "detectedWithin": True})
        self.assertEqual(dict(summaryRows(results))["expected"], "holds")

    def test_whatNeverArrivesIsLate(self) -> None:
        """However soon it had reached those whom it reached."""
        deaf = event('loss = { peers = ["peer-5"], rate = 1.0, for = 20.0 }')
        deaf += event('publish = { from = "peer-1" }', at=11.0)
        for name in ("lastDelivery", "caughtUpWithin"):
            results = run(deaf + f"[expect]\n{name} = 9.0\n").go()
            (broken,) = results["broken"]
            self.assertEqual((broken["expectation"], broken["had"]), (name, None))
            problem = r"^broadcast 0 \(\S+, by peer-1\) at 11.000 s had not reached 1 of 16 after 9.000 s$"
            self.assertRegex(broken["problem"], problem)

    def test_whatHadNoTimeIsNotLookedAt(self) -> None:
        """A message whose time is not over at the end is not late, and has not failed to reach anybody."""
        deaf = event('loss = { peers = ["peer-5"], rate = 1.0, for = 20.0 }', at=12.0)
        early, late = event('publish = { from = "peer-1" }', at=11.0), event('publish = { from = "peer-1" }', at=19.1)
        for name in ("reach", "meanReach", "lastDelivery", "caughtUpWithin"):
            expect = f"[measure]\nwindow = 1.0\n[expect]\n{name} = 1.0\n"
            results = run(deaf + early + late + expect).go()
            self.assertEqual([one["reached"] for one in results["broadcasts"]], [16, 15])
            self.assertEqual(results["expected"], {name: True})
            results = run(deaf + early + late.replace("19.1", "19.0") + expect).go()
            self.assertEqual(results["expected"], {name: False})

    def test_aLaterPartitionIsNoExcuse(self) -> None:
        """A message whose time was over when it came is late, whether it never arrived or did after it."""
        rest = event('loss = { peers = ["peer-5"], rate = 1.0 }') + event('publish = { from = "peer-1" }', at=11.0)
        rest += "[expect]\ncaughtUpWithin = 1.0\n"
        for length in ("", ", for = 2.0"):
            cut = event(f"partition = {{ groups = [0.5, 0.5]{length} }}", at=15.0)
            results = run(cut + rest).go()
            self.assertEqual(results["expected"], {"caughtUpWithin": False})
            self.assertRegex(results["broken"][0]["problem"], r"at 11.000 s had not reached 1 of 16 after \d+.000 s$")

    def test_aPartitionThatLastsLeavesNoTimeToCatchUp(self) -> None:
        """A message that meets one may still come; if there is no other, nothing was looked at."""
        rest = event("partition = { groups = [0.5, 0.5], for = 20.0 }", at=3.0) + event("publish = {}", at=2.0)
        met = rest.replace("at = 2.0", "at = 2.999")
        self.assertEqual(run(rest + "[expect]\ncaughtUpWithin = 1.0\n").go()["expected"], {"caughtUpWithin": True})
        self.assertEqual(run(met + "[expect]\ncaughtUpWithin = 1.0\n").go()["expected"], {"caughtUpWithin": None})

    def test_whichBroadcastItWas(self) -> None:
        """It is named by its place among all of them, as in the trace."""
        old = event("publish = { count = 2 }", at=8.0) + event("restart = { fraction = 1.0, over = 1.0 }")
        results = run(old + event("publish = {}", at=15.0) + "[expect]\nlastDelivery = 0.01\n").go()
        (broken,) = results["broken"]
        last = results["broadcasts"][2]
        self.assertEqual(
            broken["problem"],
            f"broadcast 2 ({last['id']}, by {last['origin']}) at 15.000 s took {last['lastDelivery']:.3f} s",
        )

    def test_whatWasAskedFor(self) -> None:
        """The bound is told as a bound, and what came late after a partition as late after its end."""
        cut = event("partition = { groups = [0.5, 0.5], for = 5.0 }") + event("publish = {}", at=11.0)
        expect = "[expect]\nredundancy = 0.5\nmuted = 99\nmeanReach = 0.9\ncaughtUpWithin = 0.01\n"
        results = run(cut + "[measure]\nwindow = 3.5\n" + expect.replace("caughtUpWithin = 0.01\n", "")).go()
        told = {broken["expectation"]: broken["problem"] for broken in results["broken"]}
        self.assertRegex(told["muted"], r"^reporters were muted \d+ times, not at least 99$")
        self.assertEqual(told["meanReach"], "is 0.500000, not at least 0.9")
        self.assertRegex(told["redundancy"], r"^is [\d.]+, not at most 0.5$")
        told = {broken["expectation"]: broken["problem"] for broken in run(cut + expect).go()["broken"]}
        self.assertRegex(told["caughtUpWithin"], r"at 11.000 s took [\d.]+ s after a partition, at 15.000 s$")

    def test_howLongItHadToReachThem(self) -> None:
        """Without a window it is to the end; that is told."""
        deaf = event('loss = { peers = ["peer-5"], rate = 1.0, for = 20.0 }', at=12.0)
        one, two = 'publish = { from = "peer-1" }', 'publish = { count = 2, every = 2.0, from = "peer-1" }'
        rest = event(one, at=11.0) + event(two, at=13.5)
        for window, had in (("", 6.5), ("[measure]\nwindow = 5.5\n", 5.5)):
            results = run(deaf + rest + window + "[expect]\nreach = 1.0\nmeanReach = 1.0\n").go()
            first, *_, mean = results["broken"]
            self.assertEqual((first["had"], mean["expectation"], mean["had"]), (had, "meanReach", had))
            self.assertRegex(first["problem"], rf"at 13.500 s reached 15 of 16 within {had:.3f} s$")

    def test_whileItRuns(self) -> None:
        """What must hold always, or by a moment, ends the run where it does not."""
        ((statement, time),) = self.broken("[expect]\ndialled = 0\n")
        self.assertEqual(statement, "dialled")
        self.assertLess(time, 5.0)
        self.assertEqual([name for name, _ in self.broken("[expect]\ninbound = 0\ndialled = 99\n")], ["inbound"])

    def test_verdictOnEach(self) -> None:
        """Those that had not been looked at when another ended the run are not known."""
        here = f"function = \"{__name__}:"
        expect = "[expect]\ncomponents = 0\nfalseDeaths = 0\nlisted = false\ndialled = 99\n"

        def verdicts(*checks: str) -> dict[str, bool | None]:
            results = run(expect + "".join(f"[[checks]]\n{check}" for check in checks), seed=9).go()
            self.assertEqual({broken["expectation"] for broken in results["broken"]},
                             {name for name, held in results["expected"].items() if held is False})  # fmt: skip
            return {name.removeprefix(f"{__name__}:"): held for name, held in results["expected"].items()}

        ends = {"components": False, "falseDeaths": True}
        self.assertEqual(verdicts(f'{here}holds"\n'), {**ends, "dialled": True, "holds": True})
        watch, twice = f'{here}fails"\nby = ', (f'{here}holds"\n', f'{here}holds"\nalways = true\n')
        self.assertEqual(
            verdicts(f"{watch}9.0\n", *twice),
            {"components": None, "falseDeaths": None, "dialled": None, "holds": None, "fails": False},
        )
        # What is to be looked at when the run has ended can be looked at.
        self.assertEqual(
            verdicts(f"{watch}20.0\n", *twice), {**ends, "dialled": None, "holds": None, "fails": False}
        )
        self.assertEqual(
            verdicts(f"{watch}20.0\n", twice[0]), {**ends, "dialled": None, "holds": True, "fails": False}
        )

    def test_connectedWithin(self) -> None:
        """It is looked at after each event that may part the network, and not while one lasts."""
        split = event("partition = { groups = [0.5, 0.5], for = 4.0 }", at=5.0)
        twice = event("crash = { count = 1 }", at=5.0) + event("crash = { count = 1 }", at=5.5)
        harmless = event("publish = {}", at=5.0) + event("clock = { count = 1, drift = 0.1 }", at=5.0)
        self.assertIsNone(self.parted((1.5,), ""))
        self.assertEqual(self.parted((), ""), 2.0)
        self.assertEqual(self.parted((1.5, 8.5), split), 10.0)
        self.assertIsNone(self.parted((1.5, 9.5), split))
        self.assertIsNone(self.parted((1.5,), split.replace(", for = 4.0", "")))
        self.assertEqual(self.parted((1.5,), twice), 6.5)
        self.assertIsNone(self.parted((1.5,), harmless))
        self.assertIsNone(self.parted((1.5,), event("crash = { count = 1 }", at=19.5)))
        self.assertIsNone(self.parted((), harmless, parts=0))

    def parted(self, whole: tuple[float, ...], events: str, parts: int = 2) -> float | None:
        """
        When it is found that a network, which is whole at those moments only, is not so within a second.

        @param parts: in how many it is else; 0 where nobody runs.
        """
        going = run(events)
        network = SimulatedNetwork(seed=1)
        swarm = Swarm(network, going.measure, going.scenario.seedSettings, going.scenario.peerSettings)
        expect = Expect(connectedWithin=1.0)
        expect.watch(swarm, going.scenario.upsets, lambda: 1 if network.now in whole else parts, (), set())
        try:
            network.run(until=20.0)
        except Violation as violation:
            self.assertEqual(violation.statement, "connectedWithin")
            return violation.time
        return None

    def test_listedWithin(self) -> None:
        """The same for the seeds' lists: a machine that lost its power stays on them until its silence is noticed."""
        died = event('crash = { peers = ["peer-5"], host = true }', at=5.0)
        self.assertEqual(self.broken("[expect]\nlistedWithin = 2.0\n", died), [("listedWithin", 7.0)])
        self.assertEqual(self.broken("[expect]\nlistedWithin = 9.0\n", died), [])

    def test_islandsWithin(self) -> None:
        """From when they were one network first, and not while a partition lasts or may still be healing."""
        expect = Expect(islandsWithin=2.0, connectedWithin=3.0)
        self.assertIsNone(self.islands(expect, set()))
        self.assertIsNone(self.islands(expect, {3, 6, 9, 12, 15, 18, 20}))
        self.assertEqual(self.islands(expect, {3, 4}), 7.0)
        self.assertEqual(self.islands(Expect(islandsWithin=5.0), {3}), 9.0)
        split = event("partition = { groups = [0.5, 0.5], for = 4.0 }", at=5.0)
        self.assertEqual(self.islands(expect, {3, 4}, split), 15.0)

    def islands(self, expect: Expect, whole: set[int], events: str = "") -> float | None:
        """When it is found that a network, which is whole in those seconds only, is in parts for too long."""
        going = run(events)
        network = SimulatedNetwork(seed=1)
        partitions = going.scenario.partitions
        within, parts = expect.islandsWithin or 0.0, lambda: 2 - (int(network.now) in whole)
        expect._watchIslands(network, within, parts, partitions, set())
        try:
            network.run(until=20.0)
        except Violation as violation:
            self.assertEqual(violation.statement, "islandsWithin")
            return violation.time
        return None

    def test_calms(self) -> None:
        """What overlaps, or follows too soon, counts as one; what lasts to the end is followed by nothing."""
        forever = float("inf")
        for upsets, expected in (
            ([(0.0, 2.0)], [(2.0, 7.0)]),
            ([(0.0, 2.0), (7.0, 7.0)], [(2.0, 7.0), (7.0, 12.0)]),
            ([(0.0, 2.0), (6.9, 7.0)], [(7.0, 12.0)]),
            ([(0.0, 2.0), (10.0, 30.0), (12.0, 14.0)], [(2.0, 7.0), (30.0, 35.0)]),
            ([(0.0, 2.0), (10.0, forever), (20.0, 20.0)], [(2.0, 7.0)]),
        ):
            self.assertEqual(calms(upsets, 5.0), expected)

    def test_functions(self) -> None:
        """A function of one's own is given the swarm: at the end, always, or by a moment."""
        here = f"function = \"{__name__}:"
        both = f'[[checks]]\n{here}holds"\n[[checks]]\n{here}fails"\n'
        self.assertEqual(self.broken(both), [(f"{__name__}:fails", 20.0)])
        self.assertEqual(self.broken(f'[[checks]]\n{here}fails"\nby = 3.0\n'), [(f"{__name__}:fails", 3.0)])
        self.assertEqual(self.broken(f'[[checks]]\n{here}fails"\nalways = true\n'), [(f"{__name__}:fails", 0.0)])
        ((_, time),) = self.broken(f'[[checks]]\n{here}fewerThanTwelve"\nalways = true\nevery = 0.25\n')
        self.assertEqual(time, 0.75)

    def test_functionsAnswerAtOnce(self) -> None:
        """One that gives a coroutine would hold whatever it says: it ends the run, and is named."""
        for when in ("", "by = 3.0\n", "always = true\n"):
            going = run(f'[[checks]]\nfunction = "{__name__}:failsLater"\n{when}')
            problem = self.assertRaises(TypeError, going.go)
            self.assertIn("failsLater answered with a coroutine", str(problem))

    def test_errorsOfServices(self) -> None:
        """An exception that a daemon would only log is a violation."""
        going = run()
        going.network.callAt(5.0, lambda: _fail(going.swarm))
        results = going.go()
        self.assertEqual([broken["expectation"] for broken in results["broken"]], ["errors"])
        self.assertEqual(results["errors"][0]["at"], 5.0)
        line = re.escape("something is wrong: ArithmeticError: out of order (test_simulation_measure.py:") + r"\d+\)$"
        self.assertRegex(results["errors"][0]["text"].splitlines()[0], line)
        self.assertRegex(results["broken"][0]["problem"], "^1, the first: " + line)
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), 1)

    def test_aPluginOfOthersThatIsBrokenIsNoError(self) -> None:
        """Twisted logs that when it looks for strategies, once in a process: only the first run would be told of it."""

        def look(*what: Any) -> Any:
            Logger().critical("Unhandled Error")
            return getPlugins(*what)

        self.patch(strategies, "getPlugins", look)
        strategies.installed.cache_clear()
        self.addCleanup(strategies.installed.cache_clear)
        self.assertEqual(run().go()["broken"], [])

    def test_anErrorMaySayNothing(self) -> None:
        """It is one all the same."""
        going = run()
        going.network.callAt(5.0, lambda: Logger().critical(""))
        (broken,) = going.go()["broken"]
        self.assertEqual((broken["expectation"], broken["problem"]), ("errors", "1, the first:"))

    def test_aPluginIsNoPartOfTwisted(self) -> None:
        """What is wrong in one that stands beside Twisted's own is told of its line, not of one that it called."""
        file = os.path.join(os.path.dirname(twisted.__file__ or ""), "plugins", "p2p_mine.py")
        names: dict[str, Any] = {"Address": Address}
        exec(compile("def tick():\n    Address.fromText('nowhere')\n", file, "exec"), names)
        self.assertIn(" (p2p_mine.py:2)", crashText(self.assertRaises(AddressError, names["tick"])))

    def test_whatMayNotBeSentIsAnErrorOfWhoeverSendsIt(self) -> None:
        """A daemon turns away who sends it; here that is one of its own, and links that end for it may hide it."""
        going = run()
        going.network.callAt(5.0, lambda: _mistake(going.swarm))
        (broken,) = going.go()["broken"]
        self.assertEqual(broken["expectation"], "errors")
        what = "malformed: a message of its own for the overlay"
        self.assertRegex(broken["problem"], f"^1, the first: .* ended: {what}$")

    def test_whatNobodyAwaitsIsAnError(self) -> None:
        """
        It never runs, and Python says no more than a warning of it: of each place once in a process, which may do many
        runs, and with C{-W ignore} nothing.
        """
        errors = Errors(lambda: 5.0)
        # As a program logs that is no test.
        self.patch(warnings, "showwarning", warnings.showwarning)
        self.patch(sys.modules[__name__], "__warningregistry__", {})
        beginner = LogBeginner(LogPublisher(), sys.stderr, sys, warnings)
        beginner.beginLoggingTo([errors], discardBuffer=True, redirectStandardIO=False)
        for action, count in (("default", 2), ("ignore", 4)):
            with warnings.catch_warnings():
                warnings.simplefilter(action)  # type: ignore[arg-type]
                for _ in range(2):
                    with errors:
                        _lateForGood()  # type: ignore[unused-coroutine]
            self.assertEqual(errors.count, count, action)
        self.assertRegex(errors.kept[-1]["text"], "RuntimeWarning: coroutine '_lateForGood' was never awaited$")

    def test_whoGetsAMessageAgainIsAnErrorAndCountsOnce(self) -> None:
        """Or one that gets it twice would stand for one that never does."""
        going = run(event("publish = {}"))
        going.network.callAt(15.0, lambda: _deliverAgain(going.swarm))
        results = going.go()
        ((broken,), (broadcast,)) = results["broken"], results["broadcasts"]
        self.assertEqual(broken["expectation"], "errors")
        line = r"broadcast 0 \(.*, by peer-\d+\) was delivered to peer-1 again at 15\.000 s"
        self.assertRegex(broken["problem"], f"^2, the first: {line}$")
        self.assertEqual((broadcast["reached"], broadcast["live"]), (16, 16))
        self.assertEqual(broadcast["duplicates"], broadcast["payloads"] - 15)

    def test_anOverlayThatCannotSayWhomItKnowsEndsNoRun(self) -> None:
        """It is told which it is."""
        going = run()
        going.network.callAt(15.0, lambda: setattr(going.swarm.peers["peer-1"].service.overlay, "known", None))
        problem = going.go()["broken"][0]["problem"]
        self.assertIn("a strategy failed on RandomLinks.known: TypeError: 'NoneType' object is not callable", problem)
        self.assertGreater(len(self.flushLoggedErrors(TypeError)), 0)

    def test_errorsThatAreNoticedLateAreThoseOfTheirOwnRun(self) -> None:
        """A Deferred whose failure nobody handles is logged when it is collected, which is before the run is over."""
        found = []
        for guilty in (False, True, False):
            going = run()
            if guilty:
                going.network.callAt(5.0, _failUnnoticed)
            found.append([broken["expectation"] for broken in going.go()["broken"]])
        self.assertEqual(found, [[], ["errors"], []])
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), 1)

    def test_errorsOfWhatWasBeforeAreNobodys(self) -> None:
        """What a run still held at its end fails unnoticed later, and not amid the next one."""
        gc.disable()
        self.addCleanup(gc.enable)
        _failUnnoticed()
        self.assertEqual(run().go()["broken"], [])
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), 1)


class ResultsTests(SynchronousTestCase):
    """The results have the fields that others are written against, and are JSON."""

    def test_fields(self) -> None:
        """All that the contract names is there."""
        rest = event("publish = {}") + event("crash = { count = 1 }", at=10.0)
        rest += event("pause = { count = 1, for = 7.0 }", at=12.0) + "[measure]\noverlay = 10.0\n"
        results = json.loads(json.dumps(run(rest).go()))
        overlay = "peers links meanDegree maxDegree components largestComponent averagePath diameter clustering at"
        wanted = {
            "": "name seed digest virtualSeconds wallSeconds events overlay broadcasts deaths falseDeaths traffic",
            "overlay": overlay,
            "broadcasts": "id at origin live reached payloads duplicates control lastHop lastDelivery",
            "deaths": "peer at firstDetected lastDetected removedFromSeeds",
            "falseDeaths": "peer at by",
        }
        for part, names in wanted.items():
            found = results[part] if part else results
            self.assertEqual(set(names.split()) - set(found[0] if isinstance(found, list) else found), set(), part)
        self.assertEqual(set(results["traffic"]["Ping"]), {"frames", "bytes"})
        self.assertEqual([look["at"] for look in results["overlays"]], [10.0, 20.0])
        self.assertEqual(results["overlays"][-1], results["overlay"])
        self.assertEqual((results["name"], results["seed"], results["virtualSeconds"]), ("stable", 3, 20.0))

    def test_trace(self) -> None:
        """The trace tells of everything, in the order of time, and agrees with the results."""
        rest = event("publish = { count = 3, from = \"peer-1\" }", at=5.0)
        rest += event("crash = { peers = [\"peer-2\", \"peer-3\"] }", at=8.0)
        rest += event("leave = { count = 1 }", at=9.0) + event("restart = { crashed = true, count = 1 }", at=10.0)
        rest += event("pause = { count = 1, for = 8.0 }", at=11.0) + "[measure]\noverlay = 10.0\n"
        results, lines = traced(rest)
        times = [line["time"] for line in lines]
        self.assertEqual(times, sorted(times))
        byType: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            byType.setdefault(line["type"], []).append(line)
        expected = (
            "joined restarted crashed left registered removed linkUp linkDown suspected dead refuted published "
            "delivered fault healed overlay"
        )
        self.assertEqual(set(expected.split()) - set(byType), set())
        for number, broadcast in enumerate(results["broadcasts"]):
            delivered = [line for line in byType["delivered"] if line["message"] == number]
            self.assertEqual(byType["published"][number]["id"], broadcast["id"])
            self.assertEqual(len(delivered), 15 + 1)  # And the one that was restarted, when it was back.
            self.assertNotIn(broadcast["origin"], [line["peer"] for line in delivered])
            self.assertTrue(all(line["from"].startswith("peer-") and line["hops"] for line in delivered))
        self.assertEqual(byType["fault"][0]["what"], "pause")
        self.assertEqual(byType["healed"][0]["time"], 19.0)
        self.assertEqual(len(byType["joined"]), 17)

    def test_aFaultIsToldWithAllThatItWasGiven(self) -> None:
        """And for how long it lasts, or that it lasts to the end."""
        faults: dict[str, tuple[str, dict[str, Any]]] = {
            "clock": ("offset = 2.0", {"offset": 2.0, "drift": None, "for": None}),
            "liar": ("every = 0.5, for = 3.0", {"every": 0.5, "for": 3.0}),
            "loss": ("rate = 0.1", {"rate": 0.1, "for": None}),
            "slow": ("factor = 2.0, for = 3.0", {"factor": 2.0, "for": 3.0}),
            "throttle": ("bandwidth = 1e5, for = 3.0", {"bandwidth": 1e5, "for": 3.0}),
            "pause": ("for = 0.5", {"for": 0.5}),
        }
        _, lines = traced("".join(
            event(f'{verb} = {{ peers = ["peer-1"], {given} }}', at=5.0) for verb, (given, _) in faults.items()
        ))
        told = {line["what"]: line for line in lines if line["type"] == "fault"}
        for verb, (_, given) in faults.items():
            wanted = {"time": 5.0, "type": "fault", "what": verb, "nodes": ["peer-1"], **given}
            self.assertEqual(told[verb], wanted)

    def test_messagesWhoseSenderIsDownAreTold(self) -> None:
        """That a named one is, or all of them: such a message is not sent."""
        rest = event('publish = { count = 3, every = 1.0, from = "peer-1" }', at=8.5)
        rest += event('crash = { peers = ["peer-1"] }', at=9.0) + event("crash = { fraction = 1.0 }", at=12.0)
        results, lines = traced(rest + event("publish = {}", at=13.0))
        unsent = [(line["time"], line["peer"]) for line in lines if line["type"] == "unsent"]
        self.assertEqual(unsent, [(9.5, "peer-1"), (10.5, "peer-1"), (13.0, None)])
        self.assertEqual((results["unsent"], len(results["broadcasts"])), (3, 1))
        self.assertIn(("not sent", "3 messages, whose sender was down or stopped"), summaryRows(results))
        self.assertNotIn("not sent", dict(summaryRows({**results, "unsent": 0})))

    def test_whoIsStoppedDoesNothing(self) -> None:
        """It neither publishes, chosen or named, nor lies."""
        rest = event('liar = { peers = ["peer-1"] }', at=9.5)
        rest += event('pause = { peers = ["peer-1"], for = 4.0 }', at=9.0)
        rest += event("pause = { fraction = 1.0, for = 0.5 }", at=14.0) + event("publish = {}", at=14.2)
        rest += event("publish = { count = 20 }", at=10.0) + event('publish = { from = "peer-1" }', at=10.0)
        results, lines = traced(rest + event('publish = { from = "peer-1" }', at=13.5))
        stopped = [line for line in lines if 9.0 <= line["time"] < 13.0]
        own = [line["type"] for line in stopped if "peer-1" in (line.get("node"), line.get("by"), line.get("origin"))]
        self.assertEqual([kind for kind in own if kind in ("published", "dead", "reported")], [])
        unsent = [(line["time"], line["peer"]) for line in lines if line["type"] == "unsent"]
        self.assertEqual(unsent, [(10.0, "peer-1"), (14.2, None)])
        self.assertEqual(len(results["broadcasts"]), 21)

    def test_progress(self) -> None:
        """Whoever watches is told how far it is, to the end."""
        told: list[float] = []
        run().go(told.append)
        self.assertEqual((told, told[-1]), (sorted(told), 1.0))


def holds(swarm: Swarm) -> bool:
    """A statement that holds."""
    return isinstance(swarm, Swarm)


def fails(swarm: Swarm) -> None:
    """A statement that does not."""
    raise AssertionError("never")


async def failsLater(swarm: Swarm) -> bool:
    """A statement that would say so too late."""
    return False


def fewerThanTwelve(swarm: Swarm) -> bool:
    """A statement that holds until twelve nodes run, of 17 that start within a second."""
    return len(swarm.running()) < 12


def _failUnnoticed() -> None:
    deferred: Any = Deferred()
    deferred.cycle = deferred
    deferred.errback(ArithmeticError("out of order"))


def _mistake(swarm: Swarm) -> None:
    service = swarm.peers["peer-1"].service
    service.send(service.neighbours[:1], Custom("overlay", None))


async def _lateForGood() -> None:
    pass


def _deliverAgain(swarm: Swarm) -> None:
    service = swarm.peers["peer-1"].service
    ((_, message),) = service.broadcast.recent()
    for _ in range(2):
        service.deliver(message, service.neighbours[0], 15.0)


def _fail(swarm: Swarm) -> None:
    try:
        raise ArithmeticError("out of order")
    except ArithmeticError:
        Logger("p2p.test").failure("something is {what}", what="wrong")
