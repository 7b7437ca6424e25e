"""
C{p2p demo}: a seed and some peers as real C{twistd} processes on this machine, and what they do.

 1. Everything starts in a temporary directory, on free ports, with short
    intervals; peers register and link up.
 2. Messages are published, and seen arriving everywhere.
 3. The peer with the most neighbours is killed (SIGKILL).  Its neighbours
    notice, and the seed removes it from its list.
 4. The network has healed, and another message reaches everyone that lives.
 5. All processes are asked whether they have every message; then they end.

Everything that is shown comes from the daemons' own HTTP interface, as any
user could ask.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import attrs
import click

from p2p.commands.client import Daemon, Failed, within
from p2p.commands.text import columns, duration
from p2p.text import counted

START_LIMIT = 60.0
"""Seconds that all processes may take to start and link up, on a slow machine."""

LIMIT = 15.0
"""Seconds that anything else may take."""

INTERVALS = {
    "seed": ["--lease-interval", "5"],
    "peer": ["--liveness-interval", "0.5", "--gossip-count", "0", "--seed-interval", "5"],
}
"""The settings that make it short."""


@attrs.define(eq=False)
class Node:
    """
    A daemon of the demonstration.

    @ivar name: what it is called here.
    @ivar stream: the connection on which it tells what happens.
    """

    name: str
    role: str
    port: int
    process: subprocess.Popen[bytes]
    daemon: Daemon
    path: str
    stream: socket.socket | None = None
    rest: bytes = b""

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Does its process run?"""
        return self.process.poll() is None


class Problem(Exception):
    """The demonstration did not go as it should; the message is one line."""


class Demo:
    """
    One demonstration.

    @param tell: shows a line to the user.
    @param paint: gives a text a style.
    @param breathe: called again and again; raises if the user wants an end.
    @ivar said: what each event that came was, with the node that told it, in the order of arrival.
    """

    def __init__(
        self,
        directory: str,
        peers: int,
        tell: Callable[[str], object],
        paint: Callable[..., str],
        breathe: Callable[[], object],
    ) -> None:
        self.directory = directory
        self.size = peers
        self.tell = tell
        self.paint = paint
        self.breathe = breathe
        self.nodes: list[Node] = []
        self.said: list[tuple[Node, dict[str, Any]]] = []
        self.messages: list[dict[str, Any]] = []
        self.killed: dict[str, Any] = {}
        self._selector = selectors.DefaultSelector()
        self._begun = time.time()

    # The five parts.

    def start(self) -> None:
        """Start everything, and wait until all are linked."""
        ports = _freePorts(self.size + 1)
        with open(os.path.join(self.directory, "config.txt"), "w") as file:
            file.write(f"# The seed of this demonstration.\n127.0.0.1:{ports[0]}\n")
        self._headline(f"A seed and {self.size} peers start, each a process of its own")
        self._launch("seed", "seed", ports[0])
        self._listen(self.nodes[0])
        for number, port in enumerate(ports[1:], 1):
            self._launch("peer", f"peer {number}", port)
        for node in self.peers:
            self._listen(node)
        self._until("all peers are registered and linked", self._allLinked, START_LIMIT)
        for node in self.peers:
            linked = [self._name(entry["address"]) for entry in self._neighbours(node)]
            self.tell(f"  {node.name:<8} {node.address:<16} is linked to {', '.join(sorted(linked, key=_natural))}")
        self._note(f"{len(self._active())} peers are on the seed's list")

    def publish(self, text: str, node: Node) -> None:
        """Publish a message at a peer, and wait until all that live have it."""
        began = time.time()
        id = node.daemon.post("/messages", text.encode())["id"]
        live = [peer for peer in self.peers if peer.alive]
        arrivals: dict[Node, dict[str, Any]] = {}

        def everywhere() -> bool:
            arrivals.update(
                (told, event)
                for told, event in self.said
                if event["type"] == "delivered" and event["id"] == id and told not in arrivals
            )
            return all(peer in arrivals for peer in live)

        with suppress(Problem):
            self._until("the message is everywhere", everywhere, LIMIT)
        # Its own process saw it first, before the answer was on its way.
        first = arrivals[node]["time"] if node in arrivals else began
        self.tell(f"  {self.paint(node.name, bold=True)} publishes {text!r}")
        for told, event in sorted(arrivals.items(), key=lambda pair: pair[1]["time"]):
            if told is not node and told in live:
                hops = event["hops"]
                source = self._name(event.get("from") or "")
                self.tell(
                    f"    {duration(max(0.0, event['time'] - first)):>9}  {told.name:<8}"
                    f" from {source:<8} after {counted(hops, 'hop')}"
                )
        last = max((event["time"] - first for event in arrivals.values()), default=0.0)
        reached = sum(peer in arrivals for peer in live)
        self._note(f"{reached} of {len(live)} live peers have it, the last after {duration(max(0.0, last))}")
        self.messages.append(
            {"id": id, "origin": node.address, "text": text, "live": len(live), "reached": reached,
             "lastDelivery": round(max(0.0, last), 6)}
        )  # fmt: skip

    def kill(self) -> None:
        """Kill the peer with the most neighbours, and wait until everybody knows."""
        neighbours = {node: [entry["address"] for entry in self._neighbours(node)] for node in self.peers}
        victim = max(self.peers, key=lambda node: len(neighbours[node]))
        witnesses = [node for node in self.peers if node.address in neighbours[victim]]
        self._headline(f"{victim.name.capitalize()} is killed (SIGKILL)")
        seen = len(self.said)
        killed = time.time()
        victim.process.kill()
        victim.process.wait()
        noticed: dict[Node, float] = {}
        removed: list[float] = []

        def known() -> bool:
            for told, event in self.said[seen:]:
                if event.get("address") == victim.address:
                    if event["type"] == "dead":
                        noticed.setdefault(told, event["time"] - killed)
                    elif event["type"] == "removed":
                        removed.append(event["time"] - killed)
            return bool(removed) and all(node in noticed for node in witnesses)

        with suppress(Problem):
            self._until("its neighbours and the seed have noticed", known, LIMIT)
        story = [(after, f"{node.name:<8} calls it dead and tells the seed") for node, after in noticed.items()]
        story += [(after, "the seed asks it in vain, and removes it from its list") for after in removed[:1]]
        for after, what in sorted(story):
            self.tell(f"    {duration(max(0.0, after)):>9}  {what}")
        active = self._active()
        asked = counted(len(witnesses), "neighbour")
        self._note(f"{len(noticed)} of {asked} noticed; {len(active)} peers are on the seed's list")
        self.killed = {
            "address": victim.address,
            "neighbours": len(witnesses),
            "noticedBy": [node.address for node in noticed],
            "firstNoticed": round(max(0.0, min(noticed.values())), 6) if noticed else None,
            "lastNoticed": round(max(0.0, max(noticed.values())), 6) if noticed else None,
            "removedFromSeed": round(max(0.0, removed[0]), 6) if removed else None,
            "removed": victim.address not in active,
        }

    def heal(self) -> None:
        """Wait until the survivors are linked among themselves."""
        self._until("the survivors are linked again", self._allLinked, LIMIT)

    def count(self) -> dict[str, Any]:
        """Ask every process what it has; the summary."""
        live = [peer for peer in self.peers if peer.alive]
        wanted = [message["id"] for message in self.messages]
        peers: list[dict[str, Any]] = []
        for node in live:
            has = {message["id"] for message in node.daemon.messages()}
            peers.append(
                {"address": node.address, "neighbours": len(self._neighbours(node)),
                 "messages": sum(id in has for id in wanted)}
            )  # fmt: skip
        problems = [
            f"{peer['address']} has {peer['messages']} of {len(wanted)} messages"
            for peer in peers
            if peer["messages"] < len(wanted)
        ]
        if not self.killed.get("removed"):
            problems.append("the seed still lists the peer that was killed")
        if len(live) != self.size - 1:
            problems.append(f"{counted(self.size - 1 - len(live), 'peer')} ended that should live")
        return {
            "ok": not problems,
            "peers": peers,
            "seed": self.nodes[0].address,
            "messages": self.messages,
            "killed": self.killed,
            "problems": problems,
            "seconds": round(time.time() - self._begun, 3),
        }

    def summarise(self, summary: dict[str, Any]) -> None:
        """Show the summary."""
        self._headline("What has become of it")
        total = len(self.messages)
        rows: list[tuple[Any, ...]] = [("", "address", "links", "messages")]
        for node in self.peers:
            found = [peer for peer in summary["peers"] if peer["address"] == node.address]
            if found:
                rows.append((node.name, node.address, found[0]["neighbours"], f"{found[0]['messages']} of {total}"))
            else:
                rows.append((node.name, node.address, "", "killed"))
        self.tell(columns(rows, "  ", right=[2]))
        slowest = max(message["lastDelivery"] for message in self.messages)
        if summary["ok"]:
            self._note(f"every message was everywhere within {duration(slowest)}")
        for problem in summary["problems"]:
            self.tell("  " + self.paint(problem, fg="red"))
        self.tell(
            self.paint("ok", fg="green", bold=True) + f" in {duration(summary['seconds'])}"
            if summary["ok"]
            else self.paint("failed", fg="red", bold=True)
        )

    def forgetTheKilled(self) -> None:
        """Who was killed could not take its pid file away."""
        for node in self.peers:
            if not node.alive:
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.directory, f"peer-{node.port}.pid"))

    def end(self) -> None:
        """End everything that was started."""
        for node in self.nodes:
            if node.stream is not None:
                node.stream.close()
            if node.alive:
                node.process.terminate()
        deadline = time.monotonic() + 5.0
        for node in self.nodes:
            try:
                node.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()
        self._selector.close()

    # What they use.

    @property
    def peers(self) -> list[Node]:
        """All peers, the killed one included."""
        return self.nodes[1:]

    def _launch(self, role: str, name: str, port: int) -> None:
        """Start a daemon."""
        self.breathe()
        where = ["--config", "config.txt", "--port", str(port), "--log-dir", ".", "--state-dir", "."]
        with open(os.path.join(self.directory, f"{role}-{port}.out"), "wb") as output:
            process = subprocess.Popen(
                [*twistd(), "--nodaemon", f"p2p{role}", *where, *INTERVALS[role]],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        path = os.path.join(self.directory, f"{role}-{port}.sock")
        self.nodes.append(Node(name, role, port, process, Daemon(name, path=path), path))

    def _listen(self, node: Node) -> None:
        """Wait until a daemon answers, and listen to what it tells from then on."""
        deadline = time.monotonic() + START_LIMIT
        while node.stream is None:
            self.breathe()
            if not node.alive:
                raise Problem(f"{node.name} did not start: {self._lastWords(node)}")
            if time.monotonic() > deadline:
                raise Problem(f"{node.name} did not start within {START_LIMIT:.0f} seconds")
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                with within(node.path) as path:
                    stream.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                stream.close()
                time.sleep(0.02)
            except OSError as error:
                stream.close()
                raise Problem(f"{node.name} cannot be talked to at {node.path}: {error.strerror or error}") from None
            else:
                node.stream = stream
        # In HTTP/1.0 the body is not cut into chunks.
        node.stream.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        node.stream.setblocking(False)
        self._selector.register(node.stream, selectors.EVENT_READ, node)

    def _lastWords(self, node: Node) -> str:
        with open(os.path.join(self.directory, f"{node.role}-{node.port}.out"), errors="replace") as file:
            lines = file.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _until(self, what: str, done: Callable[[], bool], limit: float) -> None:
        """
        Take in what the daemons tell until something is so.

        @raise Problem: it is not, within C{limit} seconds.
        """
        deadline = time.monotonic() + limit
        while True:
            self._take(0.0)
            if done():
                return
            if time.monotonic() > deadline:
                raise Problem(f"after {limit:.0f} seconds it is still not so that {what}")
            self._take(0.05)

    def _take(self, wait: float) -> None:
        """Take in what the daemons have told, or wait for it for so long."""
        self.breathe()
        for key, _ in self._selector.select(wait):
            node: Node = key.data
            assert node.stream is not None
            try:
                data = node.stream.recv(65536)
            except OSError:
                data = b""
            if not data:
                self._selector.unregister(node.stream)
                continue
            *lines, node.rest = (node.rest + data).split(b"\n")
            self.said += [(node, json.loads(line[6:])) for line in lines if line.startswith(b"data: ")]

    def _active(self) -> list[str]:
        """The addresses on the seed's list."""
        return [entry["address"] for entry in self.nodes[0].daemon.get("/peers")["peers"]]

    def _neighbours(self, node: Node) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = node.daemon.get("/peers")["neighbours"]
        return found

    def _allLinked(self) -> bool:
        """Are all that live on the seed's list, and all of them linked with each other, directly or through others?"""
        live = {node.address: node for node in self.peers if node.alive}
        if set(self._active()) != set(live):
            return False
        reached: set[str] = set()
        waiting = [next(iter(live))]
        while waiting:
            address = waiting.pop()
            if address in live and address not in reached:
                reached.add(address)
                waiting += [entry["address"] for entry in self._neighbours(live[address])]
        return len(reached) == len(live)

    def _name(self, address: str) -> str:
        return next((node.name for node in self.nodes if node.address == address), address)

    def _headline(self, text: str) -> None:
        self.tell(f"\n{self.paint(text, bold=True, fg='cyan')}")

    def _note(self, text: str) -> None:
        self.tell(self.paint(f"  {text}", fg="green"))


def twistd() -> list[str]:
    """How to start C{twistd} with the Python that runs this."""
    beside = os.path.join(os.path.dirname(sys.executable), "twistd")
    if os.access(beside, os.X_OK):
        return [sys.executable, beside]
    return [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


def _freePorts(count: int) -> list[int]:
    """TCP ports that nobody uses; all are held until the last is found, so that they differ."""
    sockets = []
    try:
        for _ in range(count):
            sock = socket.socket()
            sockets.append(sock)
            sock.bind(("127.0.0.1", 0))
        return sorted(sock.getsockname()[1] for sock in sockets)
    finally:
        for sock in sockets:
            sock.close()


def _natural(name: str) -> tuple[int, str]:
    """So that peer 10 comes after peer 9."""
    return len(name), name


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """
    Let Ctrl-C, SIGTERM and SIGHUP end this process only where it can tell what it has started.

    What is yielded is to be called there; it raises L{SystemExit} if one came.
    """
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        came.append(number)

    def breathe() -> None:
        if came:
            raise SystemExit(128 + came[0])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield breathe
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command()
@click.option("--peers", "count", type=click.IntRange(3, 64), default=8, show_default=True, metavar="N",
              help="How many peers.")
@click.option("--keep", is_flag=True, help="Leave it running, and print how to talk to it.")
@click.option("--json", "asJson", is_flag=True, help="Print the summary only, as JSON, for programs.")
def demo(count: int, keep: bool, asJson: bool) -> int:
    """
    Start a seed and some peers here, and show what they do.

    Messages spread, a peer is killed, the others notice.  Exit status 0 says
    that every live peer had every message and that the dead one was removed.
    """
    with _interruptible() as breathe:
        directory = tempfile.mkdtemp(prefix="p2p-demo-")
        demonstration = Demo(
            directory,
            count,
            (lambda line: None) if asJson else click.echo,
            (lambda text, **style: text) if asJson else click.style,
            breathe,
        )
        kept = False
        try:
            summary = _perform(demonstration)
            kept = keep
        except (Problem, Failed) as error:
            summary = {"ok": False, "problems": [str(error)]}
            if not asJson:
                raise Failed(str(error)) from None
        finally:
            if not kept:
                demonstration.end()
                shutil.rmtree(directory, ignore_errors=True)
        if kept:
            summary["directory"] = directory
            demonstration.forgetTheKilled()
        if asJson:
            click.echo(json.dumps(summary))
        elif kept:
            port = demonstration.peers[0].port if demonstration.peers[0].alive else demonstration.peers[1].port
            click.echo(
                f"\nIt goes on. Talk to it, for instance:\n\n"
                f"  p2p watch --log-dir {directory} --port {port}\n"
                f"  p2p publish --log-dir {directory} --port {port} \"hello\"\n"
                f"  p2p peers --log-dir {directory} --port {demonstration.nodes[0].port}\n\n"
                f"The log files are in {directory}. To end it:\n\n"
                f"  for pid in {directory}/*.pid; do kill $(cat $pid); done; sleep 1; rm -r {directory}"
            )
    return 0 if summary["ok"] else 1


def _perform(demonstration: Demo) -> dict[str, Any]:
    """All parts, one after the other."""
    demonstration.start()
    demonstration._headline("Messages are published")
    peers = demonstration.peers
    demonstration.publish("hello", peers[0])
    demonstration.publish("how are you?", peers[-1])
    demonstration.kill()
    demonstration.heal()
    demonstration._headline("The others have linked up again, and go on")
    demonstration.publish("who is still here?", next(peer for peer in peers if peer.alive))
    summary = demonstration.count()
    demonstration.summarise(summary)
    return summary
