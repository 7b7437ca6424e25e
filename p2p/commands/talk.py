"""
C{p2p status}, C{peers}, C{publish} and C{watch}: talking to a daemon that runs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import click

from p2p.commands.client import Daemon, Failed, ofDaemon, understood
from p2p.commands.text import clock, columns, duration
from p2p.numerals import readDecimal
from p2p.settings import MAX_PAYLOAD
from p2p.text import counted, harmless

WAIT = 5.0
"""Seconds that C{publish --wait} waits."""

LONGEST_WAIT = 3600.0
"""Seconds that it may be told to."""

STRATEGIES = ("overlay", "broadcast", "detector")
"""What of a peer's status names its strategies."""

asJson = click.option("--json", "asJson", is_flag=True, help="Print JSON, for programs.")


@click.command()
@ofDaemon
@asJson
def status(daemon: Daemon, asJson: bool) -> None:
    """Who a daemon is and what it has counted."""
    _show(daemon, daemon.get("/status"), json.dumps if asJson else _status)


@click.command()
@ofDaemon
@asJson
def peers(daemon: Daemon, asJson: bool) -> None:
    """Whom a peer is linked to; of a seed, who is active."""
    _show(daemon, daemon.get("/peers"), json.dumps if asJson else _peers)


@click.command()
@click.argument("text", required=False)
@click.option("--file", "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE",
              help="Take the payload from a file.")
@click.option(
    "--wait", is_flag=False, flag_value=f"{WAIT:g}", metavar="[SECONDS]",
    help=f"Wait until the neighbours that it is sent to have taken it over  [{WAIT:g} s at most].",
)
@ofDaemon
@asJson
def publish(daemon: Daemon, text: str | None, file: str | None, wait: str | None, asJson: bool) -> None:
    """
    Send TEXT to the whole network, and print the message's id.

    A TEXT of - stands for what comes on standard input, byte by byte.

    With --wait the exit status is 0 only if at least one neighbour has said that it has the message and passes it on.
    """
    seconds = None
    if wait is not None:
        seconds = _number(wait)
        if seconds is None and text is None and file is None:
            # It is not how long, but what.
            text, wait, seconds = wait, f"{WAIT:g}", WAIT
        if seconds is None or not 0 < seconds <= LONGEST_WAIT:
            raise click.UsageError(f"--wait: {wait!r} is no number of seconds above 0 and up to {LONGEST_WAIT:g}")
    if (text is None) == (file is None):
        raise click.UsageError("give either a TEXT (- for standard input) or a --file")
    if "-" in (text, file):
        # There is none if it was closed.
        if sys.stdin is None:
            raise Failed("standard input is closed")
        payload = _payload(sys.stdin.buffer)
    elif file is not None:
        with open(file, "rb") as content:
            payload = _payload(content)
    else:
        assert text is not None
        payload = text.encode("utf-8", "surrogateescape")
    if seconds is None:
        answer = daemon.post("/messages", payload)
    else:
        answer = daemon.post(f"/messages?wait={wait}", payload, seconds)
    _show(daemon, answer, json.dumps if asJson else lambda answer: str(answer["id"]))


@click.command()
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only events of this type; may be repeated.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N events.")
@ofDaemon
@asJson
def watch(daemon: Daemon, types: tuple[str, ...], count: int | None, asJson: bool) -> None:
    """What happens at a daemon, one line each, until interrupted."""
    left = count
    try:
        for event in daemon.events(types):
            with understood(daemon.name):
                line = json.dumps(event) if asJson else eventLine(event)
            print(line, flush=True)
            if left is not None:
                left -= 1
                if not left:
                    return
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # Whoever read has seen enough.  What is still in Python's buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    raise Failed(f"{daemon.name}: the daemon has gone")


def _show(daemon: Daemon, answer: Any, text: Callable[[Any], str]) -> None:
    """Print what a daemon has answered, as that text."""
    with understood(daemon.name):
        shown = text(answer)
    click.echo(shown)


def _status(answer: dict[str, Any]) -> str:
    """What C{/status} answers, for people."""
    rows: list[tuple[str, Any]] = [
        (name, answer[name]) for name in ("role", "address", "network", "id", "incarnation")
    ]
    # A seed has none of these.
    rows += [(name, answer[name]) for name in STRATEGIES if name in answer]
    rows.append(("uptime", duration(answer["uptime"])))
    for seed, connected in answer.get("seeds", {}).items():
        rows.append(("seed", f"{seed} {'connected' if connected else 'not reached'}"))
    parts = [columns(rows)]
    for title in ("gauges", "counters"):
        values = sorted(answer[title].items())
        if values:
            parts += [f"{title}:", columns([(name, _grouped(value)) for name, value in values], "  ", right=[1])]
    return "\n".join(parts)


def _peers(answer: dict[str, Any]) -> str:
    """What C{/peers} answers, for people."""
    now = answer["time"]
    if "neighbours" in answer:
        rows: list[tuple[Any, ...]] = [("ADDRESS", "ID", "DIALLED BY", "STATE", "ROUND TRIP", "SINCE")]
        for entry in answer["neighbours"]:
            rows.append(
                (
                    entry["address"],
                    entry["id"],
                    "this peer" if entry["direction"] == "out" else "the other",
                    entry["state"],
                    duration(entry["rtt"]) if entry["rtt"] is not None else "",
                    duration(max(0.0, now - entry["since"])),
                )
            )
        others = "1 other address" if answer["known"] == 1 else f"{answer['known']} other addresses"
        return f"{columns(rows, right=[4])}\n{counted(len(rows) - 1, 'neighbour')}, {others} known"
    rows = [("ADDRESS", "ID", "ON THE LIST FOR", "LAST SEEN BEFORE", "CAN BE DIALLED")]
    for entry in answer["peers"]:
        rows.append(
            (
                entry["address"],
                entry["id"],
                duration(max(0.0, now - entry["since"])),
                duration(max(0.0, now - entry["lastSeen"])),
                {True: "yes", False: "no", None: "not tried"}[entry.get("reachable")],
            )
        )
    return f"{columns(rows)}\n{counted(len(rows) - 1, 'active peer')}"


def eventLine(event: dict[str, Any]) -> str:
    """An event as a line for people."""
    head = f"{clock(event['time'])}  {harmless(event['type']):<13}"
    if event["type"] == "delivered":
        size = "" if "payload" in event else " (base64)"
        text = event["payload"] if "payload" in event else event.get("payloadBase64", "")
        sender = event.get("from") or "itself"
        hops = event["hops"]
        return f"{head} {event['id']} from {sender}, {counted(hops, 'hop')}{size}: {harmless(text, 60)}"
    rest = " ".join(
        f"{name}={harmless(value if isinstance(value, str) else json.dumps(value))}"
        for name, value in event.items()
        if name not in ("type", "time") and value not in ("", None)
    )
    return f"{head} {rest}"


def _payload(content: BinaryIO) -> bytes:
    """
    All that can be read there.

    @raise Failed: it is more than any network takes.
    """
    payload = content.read(MAX_PAYLOAD + 1)
    if len(payload) > MAX_PAYLOAD:
        raise Failed(f"more than {MAX_PAYLOAD} bytes: no network takes such a message")
    return payload


def _number(text: str) -> float | None:
    """The number that a text is, if it is one."""
    try:
        return readDecimal(text)
    except ValueError:
        return None


def _grouped(value: Any) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else str(value)
