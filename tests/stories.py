"""
Makes random scenarios, runs them on the simulator, and sees whether what is promised holds whatever happens.

    python -m tests.stories --seeds 0:100

The files in C{scenarios/} tell what somebody has thought of; these tell what
nobody has.  One number makes a whole story: how many there are, which
strategies and settings they have, and what befalls them for a minute.  Then
all is left alone, everybody who can says a last word, and in the end all take
leave.  A story is an ordinary scenario file: what does not hold is written
down, and C{p2p simulate} and C{p2p shrink} go on from there.

What must hold is promised in docs/protocols.md, or where the sentence is quoted
here.  L{expected} are those of the promises that C{[expect]} knows.  The others
are functions below, C{[[checks]]} of the story: they know what an L{Ear} has
heard, which listens from the first look of L{heard} on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import tomli_w

from p2p.identity import identityText, messageIdText
from p2p.peer.delivery import Delivery
from p2p.settings import PeerSettings
from p2p.simulation.job import Job, run
from p2p.simulation.scenario import scenarioOf
from p2p.simulation.swarm import Node, Swarm, Watcher
from p2p.simulation.sweep import readSeeds

Table = dict[str, Any]

TURMOIL = 60.0
"""Seconds in which things happen; whatever lasts is over by then."""

SPREADING = 20.0
"""Seconds that a message may take to come everywhere, in a network that is left alone, and whatever else is small."""

STARTING = 2.0
"""Seconds that a process may take from its start to its first link; what was said until then was before it was up."""

GENTLE = {"publish", "join", "leave", "crash", "restart", "churn"}
"""After these everybody hears everybody that runs."""


# The stories.


class Maker:
    """
    Makes one story; all its chance is one number.

    @ivar names: the peers that are there from the beginning.
    @ivar short: the window of messages is too small for what happens.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.random = random = Random(f"story {number}")
        self.names = [f"peer-{peer}" for peer in range(random.choice((2, 3, 4, 5, 6, 8, 10, 12, 16, 24)))]
        self.seeds = [f"seed-{seed}" for seed in range(random.choice((1, 1, 2, 3)))]
        verbs = sorted(self._verbs())
        # Of a few kinds, so that there are stories in which what others disturb can be looked at.
        self.verbs = random.sample(verbs, random.choice((0, 1, 1, 2, 3, len(verbs))))
        if random.random() < 0.3:
            self.verbs = [verb for verb in self.verbs if verb in GENTLE] or ["crash", "restart", "join", "leave"]
        self.short = random.random() < 0.3
        if self.short:
            # Ages are told by clocks: what is lost to one that leaps, may be of before another peer's time.
            self.verbs = [*(verb for verb in self.verbs if verb != "clock"), "partition", "pause"]

    def table(self) -> Table:
        """The scenario, as it stands in a file."""
        random = self.random
        peers, seeds = self.options(), {"leaseInterval": random.choice((3.0, 5.0, 10.0))}
        calm = max(3 * seeds["leaseInterval"], 2 * peers["seedInterval"]) + SPREADING
        # What is lost, is said then.
        told = 1.25 * peers["historyTime"] + peers["lossDelay"] if self.short else 0.0
        events = [event for _ in range(random.randint(1, 8)) for event in self.happening("publish")]
        for _ in range(random.choice((1, 3, 6, 12, 24)) if self.verbs else 0):
            events += self.happening(random.choice(self.verbs))
        events.sort(key=lambda event: event["at"])
        # Somebody is there in the end, whoever has gone.
        events.append({"at": TURMOIL, "join": {"count": 2}})
        lastWords = TURMOIL + calm
        events += [{"at": lastWords, "publish": {"from": name}} for name in self.names]
        farewell = round(lastWords + SPREADING + told, 3)
        events += [{"at": farewell, "leave": {"fraction": 1.0}}, {"at": farewell + 5.0, "leave": {"seeds": "all"}}]
        table = {
            "name": f"story {self.number}",
            "seed": self.number,
            "duration": farewell + 5.0 + SPREADING,
            "network": {
                "latency": random.choice(({"uniform": [0.01, 0.1]}, {"uniform": [0.05, 0.2]}, {"constant": 0.03})),
                **random.choice(({}, {}, {}, {"loss": 0.01}, {"bandwidth": 200_000.0})),
            },
            "seeds": {"count": len(self.seeds), "options": seeds},
            "peers": {
                "count": len(self.names), "join": {"over": random.choice((0.0, 1.0, 4.0))}, "options": peers,
            },
            "events": events,
        }  # fmt: skip
        return {**table, "expect": expected(table, calm), "checks": checks(calm)}

    def options(self) -> Table:
        """The settings of the peers."""
        random = self.random
        options = {
            "overlay": random.choice(("random", "hyparview")),
            "broadcast": random.choice(("flood", "plumtree")),
            "detector": random.choice(("heartbeat", "swim")),
            "gossipCount": random.choice((0, 0, 3)),
            "maxConnections": random.choice((2, 3, 4, 4, 6)),
            "seedInterval": random.choice((5.0, 10.0, 20.0)),
            "historyTime": 300.0,
            "lossDelay": 10.0,
        }
        if self.short:
            options |= {"historyTime": random.choice((3.0, 10.0, 20.0)), "lossDelay": random.choice((0.5, 3.0))}
            options |= random.choice(({}, {"historyMessages": random.choice((0, 1, 10))}, {"historyBytes": 1000}))
        for name, values in (
            ("livenessInterval", (0.3, 2.0)), ("livenessMisses", (2, 5)), ("maxInbound", (4, 8)), ("maxKnown", (8, 16)),
            ("activeView", (3, 7)), ("passiveView", (4, 8)), ("shuffleInterval", (1.0, 3.0)), ("lazyDelay", (0.0, 1.0)),
            ("announceSize", (0, 100)), ("graftDelay", (0.0, 2.0)), ("batchDelay", (0.05, 0.5)),
            ("pullTimeout", (1.0, 5.0)), ("reconnectInterval", (0.5, 1.0)),
        ):  # fmt: skip
            if random.random() < 0.15:
                options[name] = random.choice(values)
        return options

    def happening(self, verb: str) -> list[Table]:
        """Something of that kind, as events."""
        at = round(self.random.uniform(5.0, TURMOIL - 1), 3)
        return [{"at": when, word: keys} for when, word, keys in self._verbs()[verb](at)]

    def who(self, seeds: bool = False) -> Table:
        """Some of the peers, or perhaps of the seeds."""
        random = self.random
        if seeds and random.random() < 0.2:
            return {"seeds": random.choice(("all", [random.choice(self.seeds)]))}
        few = random.choice((1, 1, 2, len(self.names)))
        return random.choice((
            {"count": random.randint(1, few)},
            {"fraction": round(random.random(), 2)},
            {"peers": sorted(random.sample(self.names, min(few, len(self.names))))},
        ))  # fmt: skip

    def lasting(self, at: float) -> Table:
        """For how long something goes on."""
        long = self.random.uniform(*self.random.choice(((0.05, 1.0), (1.0, 6.0), (6.0, 20.0), (20.0, 50.0))))
        return {"for": round(min(long, TURMOIL - at), 3)}

    def over(self, at: float) -> Table:
        """Within how long several are, one after the other."""
        return {"over": self.random.choice((0.0, round(min(2.0, TURMOIL - at), 3)))}

    def _verbs(self) -> dict[str, Callable[[float], list[tuple[float, str, Table]]]]:
        """For each kind what makes, given a moment, the moments, verbs and keys of what happens."""
        random = self.random
        shares = lambda: random.choice(([0.5, 0.5], [0.8, 0.2], [0.3, 0.7], [0.4, 0.3, 0.3]))  # noqa: E731
        back = lambda at: round(random.uniform(at, TURMOIL), 3)  # noqa: E731
        anyone = lambda: random.choice(({}, self.who(seeds=True)))  # noqa: E731
        return {
            "publish": lambda at: [(at, "publish", self.published(at))],
            "crash": lambda at: [(at, "crash", {**self.who(), "host": random.random() < 0.4})],
            "restart": lambda at: [
                (at, "restart", {**self.who(), **self.over(at), "crashed": random.random() < 0.5}),
            ],
            "leave": lambda at: [(at, "leave", {**self.who(), **self.over(at)})],
            "join": lambda at: [(at, "join", {"count": random.randint(1, 4), **self.over(at)})],
            "churn": lambda at: [
                (at, "churn", {"rate": random.choice((0.2, 1.0)), "polite": 0.3, **self.lasting(at)}),
            ],
            "seedDown": lambda at: [
                (at, "crash", {"seeds": [self.seeds[-1]], "host": random.random() < 0.4}),
                (back(at), "restart", {"seeds": [self.seeds[-1]]}),
            ],
            "partition": lambda at: [
                (at, "partition", {"groups": shares(), "oneWay": random.random() < 0.3, **self.lasting(at)}),
            ],
            "pause": lambda at: [(at, "pause", {**self.who(seeds=True), **self.lasting(at)})],
            "loss": lambda at: [
                (at, "loss", {**anyone(), "rate": random.choice((0.05, 0.3, 1.0)), **self.lasting(at)}),
            ],
            "slow": lambda at: [
                (at, "slow", {**anyone(), "factor": random.choice((0.1, 4.0, 20.0)), **self.lasting(at)}),
            ],
            "throttle": lambda at: [
                (at, "throttle", {**anyone(), "bandwidth": random.choice((1000.0, 20_000.0)), **self.lasting(at)}),
            ],
            "clock": lambda at: [
                (at, "clock", {**self.who(), "offset": random.choice((-50.0, -1.0, 5.0, 50.0)),
                               "drift": random.choice((-0.01, 0.0, 0.01))}),
            ],
            "liar": lambda at: [(at, "liar", {"count": 1, "every": random.choice((0.3, 1.0)), **self.lasting(at)})],
        }  # fmt: skip

    def published(self, at: float) -> Table:
        """Messages; large ones are few."""
        random = self.random
        size = random.choice((0, 64, 64, 64, 2000, 40_000))
        count = random.choice((1, 2) if size > 2000 else (1, 5, 20, 100))
        every = min(random.choice((0.0, 0.01, 0.1, 0.5)), round((TURMOIL - at) / count, 3))
        return {"count": count, "every": every, "size": size, "from": random.choice(("random", *self.names))}


# What must hold.


def expected(table: Table, calm: float) -> Table:
    """
    What a story promises that C{[expect]} knows.

    @param calm: for how many seconds the network is left alone when all is over.
    """
    scenario = scenarioOf(table)
    peers, lease = scenario.peerSettings, scenario.seedSettings.leaseInterval
    expect: Table = {
        # "It keeps the limits (at most four dialled links, chosen at random)"; "takes up to 16".
        "dialled": peers.maxConnections,
        "inbound": peers.maxInbound,
        # "Two halves are together again within a twentieth of the time for which they were apart"; "with each list one
        # link ... is exchanged ... : so ... parts of the network whose seeds know each other are joined".
        "connectedWithin": calm,
        # The setting leaseInterval: "how often a peer must renew; after three of these without, it is gone".
        "listedWithin": calm,
        # "A verdict always needs this peer's own evidence."
        "falseDeaths": 0,
    }  # fmt: skip
    kinds = {verb for event in scenario.events for verb in event.verbs}
    ofSeeds = any(getattr(event.incident, "seeds", None) for event in scenario.events if event.at < TURMOIL)
    if kinds <= GENTLE and not ofSeeds:
        silence = silenceBound(peers, scenario.peers.count)
        for name, within in (("detectedWithin", silence), ("deadRemovedWithin", 3 * lease + SPREADING)):
            if any(event.incident.kills() and event.at + within <= scenario.duration for event in scenario.events):
                expect[name] = within
    return expect


def silenceBound(peers: PeerSettings, count: int) -> float:
    """
    "Within 5.5 s, always" with C{heartbeat}; the formula of C{PeerSettings.silenceBound} with C{swim}, and what it says
    of those whom nobody confirms; an interval and a round trip more, for what is counted in ticks.
    """
    most = peers.maxConnections + peers.maxInbound
    bound = peers.silenceBound(min(count, most))
    if peers.detector == "swim":
        bound *= peers.suspicionMaxMult
    return round(bound + peers.livenessInterval + 1.0, 3)


@attrs.define(eq=False)
class Life:
    """
    A process of a peer.

    @ivar got: what its subscriber was told, by origin and number.
    @ivar inOrder: for each origin, the numbers that one who wants order was told.
    @ivar lost: numbers that it has called lost, from and to, by origin (as a text).
    """

    node: Node
    service: Any
    begin: float
    end: float = float("inf")
    got: set[tuple[bytes, int]] = attrs.Factory(set)
    inOrder: dict[bytes, list[int]] = attrs.Factory(lambda: defaultdict(list))
    lost: dict[str, list[tuple[int, int]]] = attrs.Factory(lambda: defaultdict(list))

    def hasLost(self, origin: bytes, number: int) -> bool:
        """Whether it has called that one lost."""
        return any(first <= number <= last for first, last in self.lost[identityText(origin)])


class Ear:
    """
    Listens to every peer, as a program would that embeds it; a L{Watcher} that stands before another one.

    @ivar lives: all processes of peers.
    @ivar published: every message: its payload, and when it was sent.
    @ivar wrong: what nobody may be told.
    """

    def __init__(self, swarm: Swarm) -> None:
        self.lives: list[Life] = []
        self.published: dict[tuple[bytes, int], tuple[bytes, float]] = {}
        self.wrong: list[str] = []
        self._current: dict[str, Life] = {}
        self._network = swarm.network
        self._other: Watcher = swarm.watcher

    @classmethod
    def of(cls, swarm: Swarm) -> Ear:
        """The one that listens to a swarm; it begins to, if there is none."""
        if not isinstance(swarm.watcher, cls):
            ear = cls(swarm)
            for peer in swarm.running():
                ear._listen(peer)
            swarm.watcher = ear
        assert isinstance(swarm.watcher, cls)
        return swarm.watcher

    def started(self, node: Node) -> None:
        """See L{Watcher}."""
        self._other.started(node)
        if node.service.role == "peer":
            self._listen(node)

    def ended(self, node: Node, how: str) -> None:
        """See L{Watcher}."""
        self._other.ended(node, how)
        if node.name in self._current:
            self._current.pop(node.name).end = self._network.now

    def happened(self, what: str, fields: dict[str, Any]) -> None:
        """See L{Watcher}."""
        self._other.happened(what, fields)

    def last(self) -> list[Life]:
        """Those that last to the end, or until all took leave."""
        end = max((life.end for life in self.lives), default=0.0)
        return [life for life in self.lives if life.end == end]

    def _listen(self, node: Node) -> None:
        life = Life(node, node.service, self._network.now)
        self.lives.append(life)
        self._current[node.name] = life
        node.service.subscribe(lambda delivery: self._delivered(life, delivery))
        node.service.subscribe(lambda delivery: self._deliveredInOrder(life, delivery), ordered=True)
        node.service.events.subscribe(lambda event: self._said(life, event), messages=False)

    def _delivered(self, life: Life, delivery: Delivery) -> None:
        message = delivery.message
        key = message.origin, message.sequence
        if delivery.sender is None and key not in self.published:
            self.published[key] = delivery.payload, self._network.now
        if key in life.got:
            self.wrong.append(f"{life.node.name} was told {delivery.id} twice")
        elif key not in self.published:
            self.wrong.append(f"{life.node.name} was told {delivery.id}, which nobody has published")
        elif delivery.payload != self.published[key][0]:
            self.wrong.append(f"{life.node.name} was told {delivery.id} with another payload")
        life.got.add(key)

    def _deliveredInOrder(self, life: Life, delivery: Delivery) -> None:
        told = life.inOrder[delivery.message.origin]
        if told and delivery.sequence <= told[-1]:
            self.wrong.append(f"{life.node.name} was told {delivery.id} after number {told[-1]}")
        told.append(delivery.sequence)

    def _said(self, life: Life, event: dict[str, Any]) -> None:
        if event["type"] != "lost":
            return
        origin, first, last = event["origin"], event["first"], event["last"]
        if any(begin <= last and first <= end for begin, end in life.lost[origin]):
            self.wrong.append(f"{life.node.name} called {origin}, {first} to {last}, lost twice")
        if any(identityText(had) == origin and first <= number <= last for had, number in life.got):
            self.wrong.append(f"{life.node.name} called {origin}, {first} to {last}, lost, and has some of it")
        life.lost[origin].append((first, last))


def heard(swarm: Swarm) -> None:
    """
    "Exactly once to each subscriber, and in the order of its origin's numbers if asked for"; as it was published;
    "each number ... is delivered to a peer or called lost by it, and once".
    """
    wrong = Ear.of(swarm).wrong
    assert not wrong, wrong[0]


def shared(swarm: Swarm) -> None:
    """
    "Every message published by a peer that stays up reaches every peer that stays up and is connected to it ..., as
    long as a partition does not outlast the window"; "beyond the window it is said".
    """
    ear = Ear.of(swarm)
    last = ear.last()
    enough = windowIsEnough(swarm, ear)
    for (origin, number), (_, at) in ear.published.items():
        name = messageIdText(origin, number)
        # Who comes up later may not be told, and what is only just on its way is under way.
        stayed = [life for life in last if life.begin + STARTING < at < min(life.end, swarm.network.now) - SPREADING]
        had = [life for life in stayed if (origin, number) in life.got]
        for life in stayed if had else []:
            if enough:
                where = f"{name}, of {at:.3f} s, which {had[0].node.name} has"
                assert not life.hasLost(origin, number), f"{life.node.name} calls lost {where}"
                assert (origin, number) in life.got, f"{life.node.name} lacks {where}"
            elif (origin, number) not in life.got and any(of == origin and it > number for of, it in life.got):
                # "It takes somebody to say it: ... or a later message of that origin, which shows the hole."
                assert life.hasLost(origin, number), f"{life.node.name} neither has {name} nor calls it lost"


def ordered(swarm: Swarm) -> None:
    """Who asks for the order of numbers "holds a message back until those before it have been delivered"."""
    ear = Ear.of(swarm)
    if not windowIsEnough(swarm, ear):
        # What is held back is bounded like the window.
        return
    for life in ear.last():
        numbers = defaultdict(set)
        for origin, number in life.got:
            if ear.published[origin, number][1] > life.begin + STARTING:
                numbers[origin].add(number)
        for origin, those in numbers.items():
            whole = len(those) == max(those) - min(those) + 1
            missing = those - set(life.inOrder[origin])
            assert not whole or not missing, f"{life.node.name} was not told in order {missing} of {origin.hex()}"


def mutual(swarm: Swarm) -> None:
    """
    In a network that is left alone a link has two ends, which know each other as who they are now: who was called dead
    "sends Alive to its neighbours", and "to whom it had said Hello to before", docs/protocol.md, Refutation.
    """
    assert swarm.network.now > TURMOIL, "it is not over"
    for peer in swarm.running():
        for link in peer.service.neighbours:
            other = swarm.at(link.contact.address)
            assert other is not None and other.up, f"{peer.name} is linked to {link.contact.address}, where nobody is"
            assert other.service.identity == link.contact.identity, f"{peer.name} knows {other.name} as who it was"
            names = [back.contact.address for back in other.service.neighbours]
            assert str(peer.address) in names, f"{peer.name} is linked to {other.name}, which is not to it"


def windowIsEnough(swarm: Swarm, ear: Ear) -> bool:
    """Whether all that was published in a run is in every peer's window to its end."""
    settings = ear.lives[0].service.settings if ear.lives else PeerSettings()
    size = sum(len(payload) for payload, _ in ear.published.values())
    return bool(
        # Clocks may be wrong by some of it.
        settings.historyTime > 1.5 * swarm.network.now
        and settings.historyMessages >= len(ear.published)
        and min(settings.historyBytes, settings.maxBacklog // 2) >= size
    )


def gone(swarm: Swarm) -> None:
    """
    Who takes leave "is gone within --goodbye-timeout (2 s)", docs/operations.md, and leaves nothing: no timer, no
    connection, no port.
    """
    for node in [*swarm.peers.values(), *swarm.seeds.values()]:
        machine, service = swarm.network.machine(node.host), node.service
        if not node.left or machine.held is not None:
            continue
        rest = {
            "process": machine.reactor.alive,
            "timers": [str(timer) for timer in machine.reactor.timers()],
            "jobs": [*service._timers._loops, *service._timers._once],
            "links": len(service.factory.links),
            "dials": len(service.factory._dials) + len(machine.calling),
            "ports": list(machine.ports),
            "neighbours": len(service.neighbours) if service.role == "peer" else 0,
        }
        assert not any(rest.values()), f"{node.name} has left: {rest}"


def checks(calm: float) -> list[Table]:
    """
    What a story promises beyond that.

    @param calm: as for L{expected}.
    """
    return [
        {"function": "tests.stories:heard", "always": True},
        {"function": "tests.stories:mutual", "by": TURMOIL + calm, "every": 0.5},
        *({"function": f"tests.stories:{check.__name__}"} for check in (shared, ordered, gone)),
    ]


# The command.


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell many stories."""
    parser = argparse.ArgumentParser(prog="python -m tests.stories", description="Run random scenarios.")
    parser.add_argument("--seeds", type=readSeeds, default="0:100", help="numbers of stories [default: %(default)s]")
    parser.add_argument("--out", default=".", help="where those that fail are written [default: here]")
    parser.add_argument("--keep", action="store_true", help="write all of them")
    parser.add_argument("--fuzz", action="store_true", help="let the seed also cut segments and shift times")
    parser.add_argument("--twice", action="store_true", help="run each once more: the digest must be the same")
    options = parser.parse_args(arguments)
    failed = 0
    for number in options.seeds:
        table = Maker(number).table()
        job = Job(table, number, fuzz=options.fuzz)
        outcome = run(job)
        problems = {broken["expectation"]: broken["problem"] for broken in reversed(outcome["broken"])}
        if outcome["crash"]:
            problems["crash"] = outcome["crash"]
        if options.twice and run(job)["digest"] != outcome["digest"]:
            problems["digest"] = "is another one the second time"
        what = f"{table['peers']['count']} peers, {len(table['events'])} events, {outcome['wallSeconds'] or 0:.1f} s"
        print(f"story {number}: {'FAILS' if problems else 'holds'} {str(outcome['digest'])[:16]} {what}", flush=True)
        if problems or options.keep:
            path = Path(options.out, f"story-{number}.toml")
            path.write_text(tomli_w.dumps(table))
        for name, problem in problems.items():
            print(f"  {name}: {problem}", flush=True)
        if problems:
            failed += 1
            print(f"  python -m p2p simulate {os.path.relpath(path)}{' --fuzz' * options.fuzz}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
