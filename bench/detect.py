"""
How soon a dead and a frozen daemon are noticed, and a thawed one is back; see the package's text.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import attrs

from bench.client import follow, post
from bench.daemons import Daemon, Network
from bench.output import Column, Report, say
from p2p.daemon.options import kebab
from p2p.settings import SWITCH, PeerSettings

PATIENCE = 60.0
"""Seconds after which what was waited for counts as not having happened."""

MISSED = 20
"""Messages published while a daemon is frozen."""

FROZEN_AFTER_VERDICT = 2.0
"""Seconds for which a daemon stays frozen once everybody has noticed."""

COLUMNS = [
    Column("killFirst", "SIGKILL: verdict of the first neighbour", "s", digits=3),
    Column("killAll", "SIGKILL: verdict of all its neighbours", "s", digits=3),
    Column("killSeed", "SIGKILL: off the seed's list", "s", digits=3),
    Column("stopSuspected", "SIGSTOP: suspected by the first neighbour", "s", digits=3),
    Column("stopFirst", "SIGSTOP: verdict of the first neighbour", "s", digits=3),
    Column("stopAll", "SIGSTOP: verdict of all its neighbours", "s", digits=3),
    Column("stopSeed", "SIGSTOP: off the seed's list", "s", digits=3),
    Column("bound", "SIGSTOP: bound that the settings give", "s", digits=3),
    Column("backLinked", "SIGCONT: linked again", "s", digits=3),
    Column("backListed", "SIGCONT: on the seed's list again", "s", digits=3),
    Column("backCaughtUp", "SIGCONT: has every message it missed", "s", digits=3),
    Column("missedReceived", "SIGCONT: messages of the meantime received", "%", 0.01, 1),
    Column("killFalseVerdicts", "SIGKILL: verdicts on others, who live"),
    Column("falseVerdicts", "SIGSTOP: verdicts on others, who live"),
]

Event = dict[str, Any]


class Watch:
    """
    What all daemons of a network say, as it happens.

    @ivar events: each with the name of the daemon that said it as C{"by"}.
    """

    TYPES: ClassVar[dict[str, str]] = {
        "seed": "registered,removed",
        "peer": "suspected,dead,registered,neighbourUp,neighbourDown",
    }
    """What is listened to, by the role of who says it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, daemon: Daemon) -> None:
        """Listen to a daemon from now on."""
        ready = asyncio.Event()

        def happened(event: Event) -> None:
            self.events.append({**event, "by": daemon.name})

        self._tasks[daemon.name] = asyncio.create_task(
            follow(daemon.socket, self.TYPES[daemon.name.partition("-")[0]], happened, ready)
        )
        await ready.wait()

    async def close(self) -> None:
        """Listen no more."""
        for task in self._tasks.values():
            task.cancel()
        for task in self._tasks.values():
            with suppress(asyncio.CancelledError):
                await task

    def first(self, type: str, by: Iterable[str], about: str, since: float) -> dict[str, float]:
        """
        How long after C{since} each of those daemons first said that of the peer at an address, in seconds.
        """
        said: dict[str, float] = {}
        names = set(by)
        for event in self.events:
            if event["type"] == type and event["by"] in names and event.get("address") == about:
                after = event["time"] - since
                if after >= 0 and event["by"] not in said:
                    said[event["by"]] = after
        return said


async def measure(peers: int, extra: Sequence[str], python: str, repeat: int) -> Report:
    """The benchmark."""
    report = Report("detect", python, {"peers": peers, "extra": list(extra)}, COLUMNS)
    settings = _settings(extra)
    async with Network(peers, python, peerOptions=["--gossip-count", "0", *extra]) as network:
        watch = Watch()
        try:
            for daemon in network.daemons:
                await watch.add(daemon)
            for number in range(repeat):
                run = {**await _killed(network, watch), **await _frozen(network, watch, settings)}
                report.runs.append(run)
                say(f"run {number + 1} of {repeat}: {json.dumps(run)}")
        finally:
            await watch.close()
    report.notes.append("A figure that is missing in a run: it did not happen within a minute.")
    return report


def _settings(extra: Sequence[str]) -> PeerSettings:
    """
    The settings that matter here, as the daemons are told them.

    @param extra: options, each as C{--name=value}.
    """
    values: dict[str, Any] = {}
    for field in attrs.fields(PeerSettings):
        for option in extra:
            name, _, value = option.removeprefix("--").partition("=")
            if name == kebab(field.name):
                kind = field.metadata["kind"]
                values[field.name] = SWITCH[value] if kind is bool else kind(value)
    return PeerSettings(**values)


async def _killed(network: Network, watch: Watch) -> dict[str, Any]:
    """Kill one daemon, and start another in its place afterwards."""
    links = await network.linkedUp()
    victim = random.choice(network.peers)
    should = _linkedTo(network, links, victim)
    others = [peer for peer in network.peers if peer is not victim]
    since = time.time()
    os.kill(victim.pid, signal.SIGKILL)
    await _until(
        lambda: len(watch.first("dead", should, victim.address, since)) == len(should)
        and watch.first("removed", [network.seed.name], victim.address, since)
    )
    verdicts = watch.first("dead", should, victim.address, since)
    removed = watch.first("removed", [network.seed.name], victim.address, since)
    network.drop(victim)
    fresh = network.startPeer()
    await fresh.answers()
    await watch.add(fresh)
    return {
        "neighbours": len(should),
        "killFirst": min(verdicts.values(), default=None),
        "killAll": max(verdicts.values()) if len(verdicts) == len(should) else None,
        "killSeed": min(removed.values(), default=None),
        "killFalseVerdicts": _calledDead(watch, since, others),
    }


async def _frozen(network: Network, watch: Watch, settings: PeerSettings) -> dict[str, Any]:
    """Freeze one daemon, publish, and thaw it."""
    links = await network.linkedUp()
    victim = random.choice(network.peers)
    should = _linkedTo(network, links, victim)
    others = [peer for peer in network.peers if peer is not victim]
    names = [peer.name for peer in others]
    since = time.time()
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        await _until(
            lambda: len(watch.first("dead", should, victim.address, since)) == len(should)
            and watch.first("removed", [network.seed.name], victim.address, since)
        )
        lines = "\n".join(json.dumps(f"meanwhile {number}") for number in range(MISSED))
        missed: list[str] = (await post(others[0].socket, "/messages/batch", lines.encode()))["ids"]
        await asyncio.sleep(FROZEN_AFTER_VERDICT)
    finally:
        thawed = time.time()
        os.kill(victim.pid, signal.SIGCONT)
    caughtUp, received = await _caughtUp(victim, missed, thawed)
    await _until(
        lambda: watch.first("neighbourUp", names, victim.address, thawed)
        and watch.first("registered", [network.seed.name], victim.address, thawed)
    )
    suspected = watch.first("suspected", should, victim.address, since)
    verdicts = watch.first("dead", should, victim.address, since)
    removed = watch.first("removed", [network.seed.name], victim.address, since)
    linked = watch.first("neighbourUp", names, victim.address, thawed)
    listed = watch.first("registered", [network.seed.name], victim.address, thawed)
    return {
        "stopSuspected": min(suspected.values(), default=None),
        "stopFirst": min(verdicts.values(), default=None),
        "stopAll": max(verdicts.values()) if len(verdicts) == len(should) else None,
        "stopSeed": min(removed.values(), default=None),
        "bound": settings.silenceBound(max(map(len, links.values()))),
        "backLinked": min(linked.values(), default=None),
        "backListed": min(listed.values(), default=None),
        "backCaughtUp": caughtUp,
        "missedReceived": received / len(missed),
        "falseVerdicts": _calledDead(watch, since, others),
    }


def _linkedTo(network: Network, links: dict[str, set[str]], victim: Daemon) -> list[str]:
    """The names of those that are linked to the victim."""
    return [peer.name for peer in network.peers if victim.address in links[peer.address]]


def _calledDead(watch: Watch, since: float, live: Iterable[Daemon]) -> int:
    """How many verdicts there were on those daemons, who live."""
    addresses = {daemon.address for daemon in live}
    wrong = [
        event
        for event in watch.events
        if event["type"] == "dead" and event["time"] >= since and event["address"] in addresses
    ]
    for event in wrong:
        say(f"  a live peer was called dead: {json.dumps(event)}")
    return len(wrong)


async def _caughtUp(victim: Daemon, missed: Sequence[str], thawed: float) -> tuple[float | None, int]:
    """When the victim had all of those messages, and how many it has."""
    end = time.monotonic() + PATIENCE
    while True:
        times = await victim.messages()
        have = [times[id] for id in missed if id in times]
        if len(have) == len(missed):
            return max(have) - thawed, len(have)
        if time.monotonic() > end:
            return None, len(have)
        await asyncio.sleep(0.1)


async def _until(reached: Callable[[], object]) -> None:
    """Wait until something is so, but not for ever."""
    end = time.monotonic() + PATIENCE
    while not reached() and time.monotonic() < end:
        await asyncio.sleep(0.02)



