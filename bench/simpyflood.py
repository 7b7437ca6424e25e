"""
The flood of L{bench.simulate} as a model in SimPy: what one would write instead of running the real thing.

The graph is the one that the real peers had made when they were measured (C{bench.simulate} saves it), the latencies
have the same distribution, as many messages start at peers drawn at random, at the same intervals.  All else is left
out: no connections, no frames, no order on a link, no pings, no seed.  So the model has every advantage but that of
being the real thing, and it arrives at the same number of deliveries, which are counted the same way: 2E - (N - 1) for
each message on a graph of E links and N peers.

It is written twice:

 - I{processes}: SimPy's own way, after its manual.  A node is a process with a C{Store} as its inbox; a delivery is a
   process that wakes up and finds something in it.
 - I{callbacks}: the least that SimPy can do.  A delivery is one C{Timeout} whose callback is the node; there is no
   process that could wait for anything, so nothing but a reaction can be modelled.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Any

import simpy

from bench.process import residentBytes

Adjacency = Sequence[Sequence[int]]

Arrive = Callable[[Any], None]
"""What happens when a timeout is over whose value is a message: the receiver, its number, and the sender."""

Publish = Callable[[int, int], None]
"""Starts a message, given its number and the node that publishes it."""

NOBODY = -1
"""Who the publisher has its message from."""


class Flood:
    """
    The nodes and what they do, apart from how a message gets from one to the other.

    @ivar deliveries: messages that arrived, be they new there or not.
    @ivar reached: those of them that were new.
    """

    def __init__(self, graph: Adjacency, latency: tuple[float, float], random: Random) -> None:
        self.env = simpy.Environment()
        self.graph = graph
        self.deliveries = self.reached = 0
        self._low, self._span = latency[0], latency[1] - latency[0]
        self._random = random.random
        self._seen: list[set[int]] = [set() for _ in graph]

    def later(self, item: tuple[int, int, int], arrive: Arrive) -> None:
        """Let a message arrive after the latency of one link."""
        simpy.Timeout(self.env, self._low + self._span * self._random(), item).callbacks.append(arrive)

    def received(self, node: int, message: int, sender: int, arrive: Arrive) -> None:
        """A node has a message from another: it sends it on to all others, if it is new."""
        self.deliveries += 1
        if message not in self._seen[node]:
            self.reached += 1
            self.published(node, message, sender, arrive)

    def published(self, node: int, message: int, sender: int, arrive: Arrive) -> None:
        """A node has a message that it did not have before."""
        self._seen[node].add(message)
        for neighbour in self.graph[node]:
            if neighbour != sender:
                self.later((neighbour, message, node), arrive)


def processes(flood: Flood) -> Publish:
    """Let each node be a process that waits for its inbox."""
    env = flood.env
    inboxes = [simpy.Store(env) for _ in flood.graph]

    def arrive(timeout: Any) -> None:
        item = timeout.value
        inboxes[item[0]].put(item)

    def live(node: int) -> Generator[simpy.Event, Any, None]:
        inbox = inboxes[node]
        while True:
            _, message, sender = yield inbox.get()
            flood.received(node, message, sender, arrive)

    for node in range(len(flood.graph)):
        env.process(live(node))
    return lambda message, node: flood.published(node, message, NOBODY, arrive)


def callbacks(flood: Flood) -> Publish:
    """Let each delivery be a callback."""

    def arrive(timeout: Any) -> None:
        node, message, sender = timeout.value
        flood.received(node, message, sender, arrive)

    return lambda message, node: flood.published(node, message, NOBODY, arrive)


WAYS: dict[str, Callable[[Flood], Publish]] = {"processes": processes, "callbacks": callbacks}


def measure(
    graph: Adjacency, messages: int, every: float, latency: tuple[float, float], way: str, seed: int = 1
) -> dict[str, Any]:
    """
    Flood a graph, and say how that went.

    @param graph: for each node its neighbours.
    @param messages: how many are published, by nodes drawn at random.
    @param every: seconds between two of them.
    @param latency: the least and the most seconds that a message takes over a link.
    @param way: a key of L{WAYS}.
    """
    random = Random(seed)
    before = residentBytes(os.getpid())
    flood = Flood(graph, latency, random)
    publish = WAYS[way](flood)

    def speak() -> Generator[simpy.Event, Any, None]:
        for message in range(messages):
            publish(message, random.randrange(len(graph)))
            yield flood.env.timeout(every)

    flood.env.process(speak())
    # What the measured network does, too.
    gc.collect()
    gc.freeze()
    started, startedCpu = time.perf_counter(), time.process_time()
    flood.env.run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - startedCpu
    return {
        "model": f"simpy {way}",
        "peers": len(graph),
        "messages": messages,
        "reach": (flood.reached + messages) / (messages * len(graph)),
        "deliveries": flood.deliveries,
        "seconds": round(seconds, 3),
        "cpuSeconds": round(cpu, 3),
        "deliveriesPerSecond": round(flood.deliveries / seconds),
        "deliveriesPerCpuSecond": round(flood.deliveries / cpu),
        "bytesPerPeer": round((residentBytes(os.getpid()) - before) / len(graph)),
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    path, *rest = json.loads(sys.argv[1])
    with open(path) as file:
        print(json.dumps(measure(json.load(file), *rest)))
