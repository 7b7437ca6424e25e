"""
How messages spread: share delivered, latency, CPU, memory, bytes; see the package's text for what each means.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from statistics import mean
from typing import Any

import attrs

from bench.client import Connection, HttpFailed, post
from bench.daemons import Daemon, Network
from bench.output import Column, Report, quantile, say
from bench.process import cpuSeconds, loopbackBytes, proportionalBytes, residentBytes
from p2p.settings import PeerSettings
from p2p.wire.codec import encode
from p2p.wire.messages import Message

BATCH = 0.005
"""Seconds between two batches, where the rate makes more than one message in that time."""

POLL = 0.2
"""Seconds between two looks at the daemons once everything is published."""

WARMING = 0.2
"""Seconds between two messages before those that count."""

STALLED = 5.0
"""Seconds without anything received after which messages count as lost."""

KEPT = PeerSettings().historyMessages
"""Messages that a daemon keeps by default; for longer runs it is told to keep them all, to be counted."""

KEPT_BYTES = PeerSettings().historyBytes
"""The same in bytes."""

GOOD_P95 = 0.5
"""Seconds that C{--find} allows the 95th percentile of the latency."""

PRECISION = 1.1
"""Ratio of a rate that was not held to one that was at which C{--find} is content."""

HIGHEST = 50_000.0
"""Messages per second at which C{--find} stops doubling."""

COLUMNS = [
    Column("offered", "offered", "msg/s", digits=1),
    Column("messages", "messages"),
    Column("shareDelivered", "delivered at all peers", "%", 0.01, 3),
    Column("givenUp", "given up by a daemon, as its counter says", digits=0),
    Column("linksEnded", "ends of links that ended meanwhile", digits=0),
    Column("latencyP50", "latency to the last peer, p50", "ms", 1e-3, 2),
    Column("latencyP95", "latency to the last peer, p95", "ms", 1e-3, 2),
    Column("latencyMax", "latency to the last peer, max", "ms", 1e-3, 2),
    Column("publisherLateP95", "bench behind its own schedule, p95", "ms", 1e-3, 2),
    Column("deliveriesPerCpuSecond", "deliveries per CPU second"),
    Column("cpuShare", "CPU used by all daemons", "cores", digits=2),
    Column("framesPerDelivery", "payload frames per delivery", digits=2),
    Column("bytesPerDelivery", "payload frames' bytes per delivery", "B", digits=0),
    Column("loopbackPerDelivery", "loopback bytes per delivery, all headers", "B", digits=0),
    Column("rssBefore", "resident memory per daemon before, mean", "MiB", 2**20, 1),
    Column("rssAfter", "resident memory per daemon after, mean", "MiB", 2**20, 1),
    Column("rssAfterMax", "resident memory per daemon after, most", "MiB", 2**20, 1),
    Column("pssBefore", "proportional memory per daemon before, mean", "MiB", 2**20, 1),
    Column("pssAfter", "proportional memory per daemon after, mean", "MiB", 2**20, 1),
    Column("links", "links between the peers"),
]


@attrs.define
class Published:
    """
    What was published.

    @ivar due: when each message was to be published, by its id.
    @ivar offered: how many were to be.
    @ivar late: by how much the bench sent each batch after its time, in seconds.
    """

    due: dict[str, float] = attrs.Factory(dict)
    offered: int = 0
    late: list[float] = attrs.Factory(list)


async def measure(
    peers: int, rate: float, size: int, seconds: float, warm: int, find: bool, extra: Sequence[str], python: str,
    repeat: int,
) -> Report:
    """The benchmark."""
    options = {"peers": peers, "rate": rate, "size": size, "seconds": seconds, "warm": warm, "find": find,
               "extra": list(extra)}  # fmt: skip
    report = Report("broadcast", python, options, COLUMNS)
    # What is kept bounds what can be counted.
    kept = max(KEPT, round((HIGHEST if find else rate) * seconds))
    peerOptions = ["--gossip-count", "0", *extra]
    if kept > KEPT or kept * size > KEPT_BYTES:
        peerOptions += ["--history-messages", str(kept), "--history-bytes", str(max(KEPT_BYTES, kept * size)),
                        "--max-backlog", str(2 * max(KEPT_BYTES, kept * size))]  # fmt: skip
    for number in range(repeat):
        async with Network(peers, python, peerOptions=peerOptions) as network:
            links = await network.linkedUp()
            count = sum(map(len, links.values())) // 2
            say(f"linked up: {count} links")
            for _ in range(warm):
                await post(network.peers[0].socket, "/messages", b"warming up")
                await asyncio.sleep(WARMING)
            if find:
                run = await _find(network, size, seconds)
            else:
                run = await trial(network, rate, size, seconds)
            report.runs.append({**run, "links": count})
            say(f"run {number + 1} of {repeat}: {_brief(run)}")
    report.notes.append(
        "The daemons were asked for nothing while messages were published; each was asked for its status"
        " a few times a second after that, and for its messages once its CPU time had been read."
    )
    if kept > KEPT or kept * size > KEPT_BYTES:
        report.notes.append(
            f"The daemons were told to keep {kept:,} messages instead of {KEPT:,}, so that all could be counted:"
            " it is in the memory after the run."
        )
    return report


async def trial(network: Network, rate: float, size: int, seconds: float) -> dict[str, Any]:
    """Publish at one rate, and see what came of it."""
    before = await _statuses(network)
    memory = [(residentBytes(pid), proportionalBytes(pid)) for pid in network.pids]
    loopback = loopbackBytes()
    cpu = cpuSeconds(network.pids)
    start = time.time()
    published = await publish(network.peers[0], rate, size, seconds)
    await _drained(network, before, len(published.due))
    elapsed = time.time() - start
    cpu = cpuSeconds(network.pids) - cpu
    loopback = loopbackBytes() - loopback
    # Before the daemons are asked for their messages: an answer of that size needs memory itself.
    resident = [residentBytes(pid) for pid in network.pids]
    share = [pss for pss in map(proportionalBytes, network.pids) if pss is not None]
    after = await _statuses(network)
    received = {peer.name: await _received(peer, published) for peer in network.peers}
    everywhere = [id for id in published.due if all(id in times for times in received.values())]
    latencies = [max(times[id] for times in received.values()) - published.due[id] for id in everywhere]
    deliveries = sum(len(received[peer.name]) for peer in network.peers[1:])
    duplicates = sum(after[name]["duplicates"] - before[name]["duplicates"] for name in after)
    lost, cut = (sum(after[name][what] - before[name][what] for name in after) for what in ("lost", "neighboursDown"))
    frame = len(encode(Message(bytes(16), max(1, published.offered // 2), 3, bytes(size))))
    shareBefore = [pss for _, pss in memory if pss is not None]
    return {
        "offered": rate,
        "seconds": seconds,
        "messages": published.offered,
        "accepted": len(published.due),
        "shareDelivered": len(everywhere) / published.offered,
        "latencyP50": quantile(latencies, 0.5),
        "latencyP95": quantile(latencies, 0.95),
        "latencyMax": max(latencies, default=None),
        "publisherLateP95": quantile(published.late, 0.95),
        "deliveries": deliveries,
        "duplicates": duplicates,
        "givenUp": lost,
        "linksEnded": cut,
        "elapsed": elapsed,
        "cpuSeconds": cpu,
        "deliveriesPerCpuSecond": deliveries / cpu if cpu else None,
        "cpuShare": cpu / elapsed,
        "framesPerDelivery": (deliveries + duplicates) / deliveries if deliveries else None,
        "bytesPerDelivery": (deliveries + duplicates) * frame / deliveries if deliveries else None,
        "loopbackPerDelivery": loopback / deliveries if deliveries else None,
        "rssBefore": mean(rss for rss, _ in memory),
        "rssAfter": mean(resident),
        "rssAfterMax": max(resident),
        "pssBefore": mean(shareBefore) if shareBefore else None,
        "pssAfter": mean(share) if share else None,
    }


async def publish(peer: Daemon, rate: float, size: int, seconds: float) -> Published:
    """
    Publish at a steady rate through one daemon, however long its answers take.

    Each payload holds its number and the time when it was due.
    """
    published = Published()
    batches: list[tuple[float, asyncio.Future[bytes]]] = []
    total = max(1, round(rate * seconds))
    pause = max(BATCH, 1 / rate)
    async with Connection(peer.socket) as connection:
        start = time.time() + pause
        number = 0
        batch = 0
        while number < total:
            due = start + batch * pause
            batch += 1
            await asyncio.sleep(max(0.0, due - time.time()))
            upTo = min(total, max(number + 1, round(batch * pause * rate)))
            lines = [json.dumps(f"{n} {due:.6f} ".ljust(size, "x")) for n in range(number, upTo)]
            published.offered += len(lines)
            published.late.append(time.time() - due)
            batches.append((due, connection.send("POST", "/messages/batch", "\n".join(lines).encode())))
            number = upTo
        for due, answer in batches:
            try:
                ids = json.loads(await answer)["ids"]
            except (HttpFailed, ConnectionError) as error:
                say(f"a batch was refused: {error}")
                continue
            published.due.update(dict.fromkeys(ids, due))
    return published


async def _statuses(network: Network) -> dict[str, dict[str, int]]:
    """Each peer's counts of messages."""
    counters = {}
    for peer in network.peers:
        all = (await peer.get("/status"))["counters"]
        counters[peer.name] = {name: all.get(name, 0) for name in ("delivered", "duplicates", "lost", "neighboursDown")}
    return counters


async def _drained(network: Network, before: dict[str, dict[str, int]], messages: int) -> None:
    """Wait until every peer has as many messages more and no duplicate is under way, or nothing more comes."""
    last, since = before, time.monotonic()
    while time.monotonic() - since < STALLED:
        await asyncio.sleep(POLL)
        now = await _statuses(network)
        if now != last:
            last, since = now, time.monotonic()
        elif all(now[name]["delivered"] - before[name]["delivered"] >= messages for name in now):
            return


async def _received(peer: Daemon, published: Published) -> dict[str, float]:
    """When that peer received which of the messages."""
    return {id: seen for id, seen in (await peer.messages()).items() if id in published.due}


async def _find(network: Network, size: int, seconds: float) -> dict[str, Any]:
    """The run of the highest rate that was held."""
    trials: list[dict[str, Any]] = []

    async def held(rate: float) -> dict[str, Any] | None:
        for _ in range(2):
            run = await trial(network, rate, size, seconds)
            trials.append(run)
            say(f"  {_brief(run)}")
            if run["shareDelivered"] == 1.0 and run["latencyP95"] < GOOD_P95:
                return run
        return None

    rate, best = 250.0, None
    while rate <= HIGHEST and (run := await held(rate)) is not None:
        best, rate = run, rate * 2
    if best is not None:
        low, high = rate / 2, rate
        while high / low > PRECISION:
            middle = round((low + high) / 2)
            run = await held(middle)
            if run is not None:
                best, low = run, middle
            else:
                high = middle
    brief = ("offered", "shareDelivered", "latencyP50", "latencyP95", "deliveriesPerCpuSecond", "cpuShare")
    return {**(best or {"offered": 0.0}), "trials": [{name: run[name] for name in brief} for run in trials]}


def _brief(run: dict[str, Any]) -> str:
    if not run.get("deliveries"):
        return f"{run['offered']:,.0f} msg/s: nothing delivered"
    p95 = run["latencyP95"]
    return (
        f"{run['offered']:,.0f} msg/s: {100 * run['shareDelivered']:.2f} % everywhere,"
        f" p95 {'-' if p95 is None else f'{1000 * p95:.1f} ms'},"
        f" {run['deliveriesPerCpuSecond']:,.0f} deliveries per CPU second, {run['cpuShare']:.2f} cores"
    )
