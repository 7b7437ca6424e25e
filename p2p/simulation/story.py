"""
What happened in a run, retold so that any moment of it can be drawn: from the lines of a trace to spans of time.

A trace says what changed.  To draw the network as it was at some moment, in
whatever order somebody looks at moments, one needs to know what I{was}: who ran
from when to when, which two were linked from when to when.  These spans are what
a L{Story} is made of.

A long run of many peers has more to tell than a page can hold.  Of links the
longest are kept, all else that is left out is chosen evenly, and L{Story.omitted}
says what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import msgspec

MAX_PEERS = 2000
"""Peers that are drawn."""

MAX_DELIVERIES = 120_000
"""Deliveries that are told, of as many messages as that allows."""

MAX_LINKS = 60_000
MAX_VERDICTS = 20_000

CROSSING = 0.25
"""Seconds within which the two ends of a link agree on it; a shorter difference is not drawn."""

VERDICTS = ("suspected", "trusted", "dead", "removed")


@attrs.define
class Life:
    """A process of a node: C{end} is infinite while it lasts, C{how} is C{crash}, C{host}, C{leave} or empty."""

    node: int
    begin: float
    end: float = float("inf")
    how: str = ""


@attrs.define
class Spread:
    """
    A message and where it arrived; the last three go together.

    @ivar number: its place in C{broadcasts} of the results.
    """

    number: int
    at: float
    origin: int
    size: int
    times: list[float] = attrs.Factory(list)
    peers: list[int] = attrs.Factory(list)
    senders: list[int] = attrs.Factory(list)


@attrs.define
class Story:
    """
    A run.

    @ivar names: of all nodes, the seeds first; nodes are meant by their place in it.
    @ivar links: C{(a, b, from, to, sides)}, where C{sides} is 2 while both ends say so, 1 while only C{a} does.
    @ivar faults: C{what}, C{from}, C{to} and what the trace says, with nodes by their place.
    @ivar verdicts: C{(time, which of VERDICTS, judge, accused)}.
    @ivar listed: C{(time, seed, +1 or -1)}: a list grew or shrank.
    @ivar degrees: how many links each peer has that runs at the end, whether it is drawn or not.
    @ivar omitted: a sentence for each thing that is not told.
    """

    duration: float
    names: list[str]
    seeds: int
    lives: list[Life]
    links: list[tuple[int, int, float, float, int]]
    faults: list[dict[str, Any]]
    verdicts: list[tuple[float, int, int, int]]
    listed: list[tuple[float, int, int]]
    messages: list[Spread]
    degrees: list[int]
    omitted: list[str]

    def expected(self, message: Spread, window: float | None) -> set[int]:
        """Who should have a message: those that ran from its sending to the end of the window."""
        end = self.duration if window is None else min(self.duration, message.at + window)
        return {
            life.node for life in self.lives if life.node >= self.seeds and life.begin <= message.at and life.end > end
        }


def readTrace(path: str) -> Iterator[dict[str, Any]]:
    """The lines of a trace file."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with open(path, "rb") as file:
        for line in file:
            yield decode(line)


def tell(trace: Iterable[dict[str, Any]], results: dict[str, Any]) -> Story:
    """
    Retell a run.

    @param results: its results, which say how much there is to tell.
    """
    teller = _Teller(_chosen([broadcast["reached"] for broadcast in results["broadcasts"]]))
    for line in trace:
        take = getattr(teller, line["type"], None)
        if take is not None:
            take(line["time"], line)
    return teller.story(results["virtualSeconds"], len(results["broadcasts"]))


def _chosen(reached: list[int]) -> set[int]:
    """Which messages are told: all, or every second, every third, ..."""
    step = 1
    while step < len(reached) and sum(reached[::step]) > MAX_DELIVERIES:
        step += 1
    return set(range(0, len(reached), step))


class _Teller:
    """Takes lines of a trace; its methods bear the names of their types."""

    def __init__(self, chosen: set[int]) -> None:
        self._chosen = chosen
        self._lives: dict[str, list[list[Any]]] = {}
        self._said: dict[str, dict[str, int]] = {}
        self._links: list[tuple[str, str, float, float, int]] = []
        self._since: dict[tuple[str, str], float] = {}
        self._faults: list[dict[str, Any]] = []
        self._partitions: list[list[list[str]]] = []
        self._verdicts: list[tuple[float, int, str, str]] = []
        self._listed: list[tuple[float, str, int]] = []
        self._onList: set[tuple[str, str]] = set()
        self._messages: dict[int, tuple[dict[str, Any], list[float], list[str], list[str]]] = {}

    # What a trace says.

    def joined(self, now: float, line: dict[str, Any]) -> None:
        self._lives.setdefault(line["node"], []).append([now, float("inf"), ""])

    restarted = joined

    def crashed(self, now: float, line: dict[str, Any]) -> None:
        self._end(line["node"], now, "host" if line["host"] else "crash")
        self._silence(now, line["node"])

    def left(self, now: float, line: dict[str, Any]) -> None:
        self._end(line["node"], now, "leave")

    def linkUp(self, now: float, line: dict[str, Any]) -> None:
        self._change(now, line["node"], line["peer"], 1)

    def linkDown(self, now: float, line: dict[str, Any]) -> None:
        self._change(now, line["node"], line["peer"], -1)

    def registered(self, now: float, line: dict[str, Any]) -> None:
        # A peer that registers again, over a new link, is on the list already.
        if (line["seed"], line["node"]) not in self._onList:
            self._onList.add((line["seed"], line["node"]))
            self._listed.append((now, line["seed"], 1))

    def removed(self, now: float, line: dict[str, Any]) -> None:
        if (line["node"], line["peer"]) in self._onList:
            self._onList.remove((line["node"], line["peer"]))
            self._listed.append((now, line["node"], -1))
        self._verdict(now, line)

    def _verdict(self, now: float, line: dict[str, Any]) -> None:
        self._verdicts.append((now, VERDICTS.index(line["type"]), line["node"], line["peer"]))

    suspected = trusted = dead = _verdict

    def published(self, now: float, line: dict[str, Any]) -> None:
        if line["message"] in self._chosen:
            self._messages[line["message"]] = line, [], [], []

    def delivered(self, now: float, line: dict[str, Any]) -> None:
        message = self._messages.get(line["message"])
        if message is not None:
            _, times, peers, senders = message
            times.append(now)
            peers.append(line["peer"])
            senders.append(line["from"])

    def fault(self, now: float, line: dict[str, Any]) -> None:
        until = now + line["for"] if line.get("for") is not None else None
        rest = {key: value for key, value in line.items() if key not in ("time", "type", "for")}
        self._faults.append({**rest, "from": now, "to": until})
        if line["what"] == "partition":
            self._partitions.append(line["groups"])

    def dealt(self, now: float, line: dict[str, Any]) -> None:
        self._partitions[line["partition"]][line["group"]].append(line["node"])

    # Private.

    def _end(self, name: str, now: float, how: str) -> None:
        self._lives[name][-1][1:] = [now, how]

    def _change(self, now: float, node: str, peer: str, by: int) -> None:
        """One end says that there is one link more, or less, with the other."""
        pair = (node, peer) if node < peer else (peer, node)
        before = self._sayers(pair)
        said = self._said.setdefault(node, {})
        said[peer] = max(0, said.get(peer, 0) + by)
        self._changed(now, pair, before)

    def _silence(self, now: float, node: str) -> None:
        """A process is gone and holds no link any more."""
        for peer, count in self._said.get(node, {}).items():
            if count:
                self._change(now, node, peer, -count)

    def _sayers(self, pair: tuple[str, str]) -> tuple[bool, bool]:
        a, b = pair
        return self._said.get(a, {}).get(b, 0) > 0, self._said.get(b, {}).get(a, 0) > 0

    def _changed(self, now: float, pair: tuple[str, str], before: tuple[bool, bool]) -> None:
        if self._sayers(pair) != before:
            since = self._since.get(pair, now)
            self._since[pair] = now
            a, b = pair if before[0] else (pair[1], pair[0])
            sides = sum(before)
            if sides == 2 or (sides == 1 and now - since >= CROSSING):
                self._links.append((a, b, since, now, sides))

    def story(self, duration: float, broadcasts: int) -> Story:
        """All of it."""
        for pair in sorted(self._since):
            self._lasts(duration, pair)
        omitted = []
        seeds = sorted((name for name in self._lives if name.startswith("seed-")), key=_number)
        peers = sorted((name for name in self._lives if not name.startswith("seed-")), key=_number)
        degrees = self._degrees(duration, peers)
        if len(peers) > MAX_PEERS:
            omitted.append(f"{MAX_PEERS:,} of {len(peers):,} peers are drawn, and what happens between them.")
            peers = [peers[number * len(peers) // MAX_PEERS] for number in range(MAX_PEERS)]
        if len(self._messages) < broadcasts:
            omitted.append(f"{len(self._messages):,} of {broadcasts:,} messages can be chosen and count for reach.")
        names = seeds + peers
        place = {name: number for number, name in enumerate(names)}
        links = [
            (place[a], place[b], since, until, sides)
            for a, b, since, until, sides in self._links
            if a in place and b in place
        ]
        if len(links) > MAX_LINKS:
            omitted.append(f"The {MAX_LINKS:,} longest of {len(links):,} links are drawn.")
            links = sorted(links, key=lambda link: link[2] - link[3])[:MAX_LINKS]
        verdicts = [
            (at, what, place[by], place[of]) for at, what, by, of in self._verdicts if by in place and of in place
        ]
        if len(verdicts) > MAX_VERDICTS:
            omitted.append(f"{MAX_VERDICTS:,} of {len(verdicts):,} suspicions and verdicts are shown.")
            verdicts = [verdicts[number * len(verdicts) // MAX_VERDICTS] for number in range(MAX_VERDICTS)]
        return Story(
            duration=duration,
            names=names,
            seeds=len(seeds),
            lives=[Life(place[name], *life) for name in names for life in self._lives[name]],
            links=sorted(links, key=lambda link: link[2]),
            faults=[_placed(fault, place, duration) for fault in self._faults],
            verdicts=verdicts,
            listed=[(at, place[seed], by) for at, seed, by in self._listed if seed in place],
            messages=[self._spread(number, place) for number in sorted(self._messages)],
            degrees=degrees,
            omitted=omitted,
        )

    def _lasts(self, duration: float, pair: tuple[str, str]) -> None:
        """A link that lasts."""
        before = self._sayers(pair)
        a, b = pair if before[0] else (pair[1], pair[0])
        if any(before):
            self._links.append((a, b, self._since[pair], duration, sum(before)))

    def _degrees(self, duration: float, peers: list[str]) -> list[int]:
        """How many links each of these has that runs at the end."""
        degree = dict.fromkeys((name for name in peers if self._lives[name][-1][1] > duration), 0)
        for a, b, _, until, sides in self._links:
            if sides == 2 and until >= duration and a in degree and b in degree:
                degree[a] += 1
                degree[b] += 1
        return list(degree.values())

    def _spread(self, number: int, place: dict[str, int]) -> Spread:
        line, times, peers, senders = self._messages[number]
        spread = Spread(number, line["time"], place.get(line["origin"], -1), line["size"])
        for time, peer, sender in zip(times, peers, senders, strict=True):
            if peer in place:
                spread.times.append(time)
                spread.peers.append(place[peer])
                spread.senders.append(place.get(sender, -1))
        return spread


def _placed(fault: dict[str, Any], place: dict[str, int], duration: float) -> dict[str, Any]:
    """A fault with nodes by their place."""
    placed = {**fault, "to": duration if fault["to"] is None else min(fault["to"], duration)}
    if fault.get("nodes") is not None:
        placed["nodes"] = [place[name] for name in fault["nodes"] if name in place]
    if "groups" in fault:
        placed["groups"] = [[place[name] for name in group if name in place] for group in fault["groups"]]
    return placed


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])
