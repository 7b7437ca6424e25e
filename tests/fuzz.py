"""
Throws inputs at the codec and at daemons that listen, and sees whether they stand it.

    python -m tests.fuzz --inputs 1000000 --daemon

Inputs are made from valid frames by a mutator whose whole chance is one number
(C{--seed}), so that what was found is found again.  The codec must give
messages or its one error; the daemons must neither end nor log an error, keep
no connection beyond its time-outs, give back their memory and descriptors, and
go on serving and relaying.  All of it stays on the loopback interface, and
ends by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from bench.ports import freePort
from p2p.wire.codec import HEADER, STRANGER_LIMIT, Decoder, encode
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.messages import (
    Ack,
    Alive,
    Announced,
    AnyMessage,
    Batch,
    Close,
    Contact,
    Custom,
    Dead,
    Faulty,
    ForwardJoin,
    Gone,
    Graft,
    Have,
    Held,
    Hello,
    IHave,
    Join,
    Lack,
    Message,
    Nack,
    Ping,
    PingReq,
    Pong,
    Prune,
    Refute,
    Register,
    Registered,
    Removed,
    Shuffle,
    ShuffleReply,
    Sighting,
    Suspect,
    Sync,
    Synced,
    Unreachable,
    Wanted,
    Welcome,
)
from tests.processes import Daemon, until
from tests.second import Second

EXTREMES = (0, 1, 0x7F, 0x80, 0x8F, 0x90, 0x91, 0x9F, 0xA0, 0xBF, *range(0xC0, 0xE0), 0xE0, 0xFF)
"""Bytes with which MessagePack begins something."""

CLOSED = [1, 7, 9]
"""Ports of this machine at which nobody listens, for contacts to name."""


class Finding(Exception):
    """Something did not stand it."""


class Maker:
    """Makes messages, frames, and what is nearly one."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._identities = [random.randbytes(8) + struct.pack(">Q", random.randrange(5)) for _ in range(20)]
        self.identity = self._identities[0]

    def message(self) -> AnyMessage:
        """A valid message of any kind."""
        random = self.random
        number = random.choice((0, 1, random.randrange(300), 2**63 - 1))
        few = lambda: range(random.randrange(4))  # noqa: E731
        makers: tuple[Callable[[], AnyMessage], ...] = (
            lambda: Hello(1, "p2p", random.choice(("neighbour", "register", "probe")), self.contact()),
            lambda: Welcome(self.contact(), self.contacts()),
            lambda: Close(random.choice(("done", "dead", "full", "leaving", "x")), "detail", self.contacts()),
            lambda: Register(self.contact(), random.randrange(1001)),
            lambda: Registered(random.uniform(0.1, 86400), number, self.contacts()),
            lambda: Removed(self.someone(), "dead"),
            lambda: Unreachable("127.0.0.1:1", "detail"),
            lambda: Dead(self.contact(), random.choice(("refused", "silent", "replaced"))),
            lambda: Alive(self.someone()),
            lambda: Message(self.someone(), number or 1, random.randrange(1, 65536), random.randbytes(random.choice(
                (0, 1, 20, 300))), random.choice((0, 1, 299, number))),
            lambda: Have([self.held() for _ in range(random.randrange(4))], random.random() < 0.5),
            lambda: IHave([Announced(self.someone(), 1 + number % 9, self.ranges()) for _ in few()], number > 9),
            lambda: Graft([Wanted(self.someone(), self.ranges()) for _ in few()], random.random() < 0.5),
            lambda: Prune(),
            lambda: Lack([Wanted(self.someone(), self.ranges())], [Gone(self.someone(), self.ranges(), 1.5)]),
            lambda: Batch([Message(self.someone(), number or 1, 1, random.randbytes(20)) for _ in few()]),
            lambda: Sync(number),
            lambda: Synced(number),
            lambda: Ping(number),
            lambda: Pong(number),
            lambda: Join(random.randrange(65)),
            lambda: ForwardJoin(self.contact(), random.randrange(65)),
            lambda: Shuffle(number, random.randrange(65), self.sightings()),
            lambda: ShuffleReply(number, self.sightings()),
            lambda: PingReq(number, self.contact(), random.randrange(5)),
            lambda: Ack(number),
            lambda: Nack(number),
            lambda: Suspect(self.contact(), random.randrange(5), self.someone(), random.randrange(1, 9)),
            lambda: Refute(self.someone(), random.randrange(5), random.randrange(1, 9)),
            lambda: Faulty(self.contact(), random.randrange(5), random.randrange(1, 9)),
            lambda: Custom(random.choice(("overlay", "broadcast", "detector", "x")), [number, None, {"a": b"b"}]),
        )  # fmt: skip
        return random.choice(makers)()

    def someone(self) -> bytes:
        """An identity, often one that was used before."""
        return self.random.choice(self._identities) if self.random.random() < 0.9 else self.random.randbytes(16)

    def contact(self) -> Contact:
        """A contact that nobody answers for."""
        return Contact(self.someone(), f"127.0.0.1:{self.random.choice(CLOSED)}")

    def contacts(self) -> list[Contact]:
        """A few."""
        return [self.contact() for _ in range(self.random.randrange(4))]

    def sightings(self) -> list[Sighting]:
        """A few."""
        return [Sighting(contact, self.random.randrange(400)) for contact in self.contacts()]

    def ranges(self) -> list[int]:
        """Ranges of numbers, whether they make sense or not."""
        numbers = [self.random.choice((0, 1, self.random.randrange(300), 2**63 - 1)) for _ in range(4)]
        return sorted(numbers) if self.random.random() < 0.7 else numbers

    def held(self) -> Held:
        """What somebody has, whether it makes sense or not."""
        gaps = [self.random.randrange(50) for _ in range(self.random.randrange(5))]
        return Held(self.someone(), self.random.choice((0, 3, 60, 2**63 - 1)), sorted(gaps) if len(gaps) % 2 else gaps)

    def mutated(self, data: bytes) -> bytes:
        """The same, changed in one to four places."""
        random = self.random
        found = bytearray(data)
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            place = random.randrange(len(found) + 1)
            way = random.randrange(8)
            if way == 0 and place < len(found):
                found[place] = random.randrange(256)
            elif way == 1 and place < len(found):
                found[place] = random.choice(EXTREMES)
            elif way == 2 and place < len(found):
                found[place] ^= 1 << random.randrange(8)
            elif way == 3:
                del found[place : place + random.choice((1, 2, 8))]
            elif way == 4:
                found[place:place] = random.randbytes(random.choice((1, 2, 8)))
            elif way == 5:
                end = place + random.randrange(1, 20)
                found[place:place] = found[place:end] * random.choice((1, 2, 50))
            elif way == 6:
                found[place : place + 4] = struct.pack(">I", random.choice((0, 1, 2**31, 2**32 - 1, len(found))))
            else:
                found[place:place] = bytes([random.choice(EXTREMES)]) * random.choice((1, 3, 2000))
        return bytes(found)

    def framed(self, body: bytes) -> bytes:
        """Those bytes as a frame of the right length."""
        return struct.pack(">I", len(body)) + body

    def input(self, valid: float = 0.1) -> bytes:
        """
        A frame, or what is nearly one.

        @param valid: the share of those that are left as they are.
        """
        random = self.random
        way = random.random()
        frame = encode(self.message())
        if way < valid:
            return frame
        if way < 0.7:
            # What is inside is wrong, the frame is not.
            return self.framed(self.mutated(frame[HEADER:]))
        if way < 0.9:
            return self.mutated(frame)
        data = random.randbytes(random.randrange(60))
        return self.framed(data) if way < 0.97 else data


def memory(pid: int | str = "self") -> int:
    """What a process has of real memory, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found[1])


def descriptors(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def fuzzCodec(inputs: int, seconds: float, seed: int) -> dict[str, Any]:
    """
    Feed the codec.

    @raise Finding: something but a message or a L{RemoteProtocolError} came of an input; it says which.
    """
    random = Random(seed)
    maker = Maker(random)
    outcomes: Counter[str] = Counter()
    started = time.monotonic()
    before = 0
    done = 0
    while done < inputs and time.monotonic() - started < seconds:
        data = maker.input()
        done += 1
        decoder = Decoder(random.choice((STRANGER_LIMIT, 2**18)))
        cut = random.randrange(len(data) + 1) if random.random() < 0.5 else len(data)
        began = time.perf_counter()
        try:
            for piece in (data[:cut], data[cut:]):
                for message in decoder.feed(piece):
                    outcomes[type(message).__name__] += 1
                    if done % 8:
                        continue
                    # By their bytes, for a message of a strategy's own may hold what is not equal to itself: nan.
                    frame = encode(message)
                    if [encode(again) for again in Decoder(2**30).feed(frame)] != [frame]:
                        raise Finding(f"{message} does not come back as it is")
                if len(decoder._kept) > decoder.limit + HEADER + len(piece):
                    raise Finding("more is kept than the limit allows")
            outcomes["incomplete"] += len(decoder._kept) > 0
        except RemoteProtocolError as error:
            outcomes[error.reason] += 1
            if len(error.detail) > 256 or "\n" in error.detail:
                raise Finding(f"{data.hex()}: {error.detail!r}") from error
        except Finding:
            raise
        except BaseException as error:
            raise Finding(f"{data.hex()}: {error!r}") from error
        if time.perf_counter() - began > 1.0:
            raise Finding(f"{data[:100].hex()}... takes {time.perf_counter() - began} s")
        if done == min(inputs // 10, 50_000):
            before = memory()
    grown = memory() - before if before else 0
    if grown > 8192:
        raise Finding(f"memory has grown by {grown} KiB")
    return {
        "inputs": done,
        "seconds": round(time.monotonic() - started, 1),
        "memoryGrownKiB": grown,
        "outcomes": dict(sorted(outcomes.items())),
    }


SHORT = [
    "--handshake-timeout", "1", "--goodbye-timeout", "0.5", "--probe-timeout", "0.5", "--connect-timeout", "1",
    "--log-messages", "1", "--log-dir", ".", "--max-backlog", "100000",
]  # fmt: skip
"""Time-outs, so that what ends by time ends soon."""

PATIENCE = 15.0
"""Seconds by which every connection that is held must have ended."""


class Attack:
    """
    Connections to daemons, each a wrong one in its own way.

    @ivar done: what was sent, how often.
    """

    def __init__(self, seed: int, ports: list[int]) -> None:
        self.random = Random(seed)
        self.maker = Maker(self.random)
        self.ports = ports
        self.done: Counter[str] = Counter()
        self._held: list[socket.socket] = []
        self._trickling: list[tuple[socket.socket, Iterator[bytes]]] = []

    def one(self) -> None:
        """One connection more."""
        random = self.random
        way = random.choice((
            "garbage", "mutated", "mutated", "mutated", "mutated", "mutated", "mutated", "silent", "idle", "trickle",
            "reset", "halfClosed", "deaf",
        ))  # fmt: skip
        self.done["connections"] += 1
        self.done[way] += 1
        connection = socket.socket()
        connection.settimeout(3.0)
        if way == "deaf":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            connection.connect(("127.0.0.1", random.choice(self.ports)))
            if way == "silent":
                self._held.append(connection)
                return
            if way == "idle":
                connection.sendall(encode(self.hello()))
                self._held.append(connection)
                return
            if way == "trickle":
                data = encode(self.hello())
                self._trickling.append((connection, iter([data[i : i + 1] for i in range(len(data) - 1)])))
                return
            if way == "garbage":
                connection.sendall(random.randbytes(random.randrange(5000)))
            else:
                self.converse(connection, 300 if way == "deaf" else random.randrange(1, 60))
            if way == "deaf" or random.random() < 0.05:
                self._held.append(connection)
                return
            if way == "halfClosed":
                connection.shutdown(socket.SHUT_WR)
                self._held.append(connection)
                return
            if way == "reset" or random.random() < 0.2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            self.done["ended by the daemon"] += 1
        if connection not in self._held:
            connection.close()

    def hello(self) -> Hello:
        """A valid Hello, of a stranger or of somebody known."""
        random, maker = self.random, self.maker
        identity = random.randbytes(16) if random.random() < 0.5 else maker.someone()
        contact = Contact(identity, f"127.0.0.1:{random.choice(CLOSED)}")
        return Hello(1, "p2p", random.choice(("neighbour", "register", "probe")), contact)

    def fitting(self, hello: Hello) -> AnyMessage:
        """A message that may come after it."""
        random, maker = self.random, self.maker
        if hello.purpose == "register":
            return random.choice((Ping(5), Pong(5), Dead(maker.contact(), "silent"), Register(hello.contact, 10)))
        return random.choice((
            Ping(5), Pong(5), Message(maker.someone(), random.randrange(1, 500), 1, random.randbytes(50)),
            Have([maker.held() for _ in range(random.randrange(4))], random.random() < 0.2),
            Alive(hello.contact.identity[:8] + random.randbytes(8)),
        ))  # fmt: skip

    def converse(self, connection: socket.socket, count: int) -> None:
        """A handshake, mostly a good one, and then that many frames, in pieces."""
        random, maker = self.random, self.maker
        valid = random.choice((0.1, 0.9, 0.99))
        hello = self.hello()
        frames = [encode(hello) if random.random() < 0.9 else maker.input()]
        for _ in range(count):
            if random.random() < valid:
                frames.append(encode(self.fitting(hello)))
            else:
                frames.append(maker.input(0.1))
        self.done["frames"] += len(frames)
        stream = b"".join(frames)
        while stream:
            size = random.choice((1, 7, 100, 1448, 65536))
            connection.sendall(stream[:size])
            stream = stream[size:]

    def tend(self) -> None:
        """Send another byte of what trickles."""
        for entry in list(self._trickling):
            connection, rest = entry
            try:
                connection.sendall(next(rest))
            except (OSError, StopIteration):
                self._trickling.remove(entry)
                self._held.append(connection)

    def held(self) -> int:
        """How many connections are held that the daemons have not ended; those that they have are given up."""
        for connection in list(self._held):
            connection.setblocking(False)
            try:
                while True:
                    if not connection.recv(2**16):
                        break
            except BlockingIOError:
                continue
            except OSError:
                pass
            connection.close()
            self._held.remove(connection)
        return len(self._held) + len(self._trickling)

    def wait(self) -> None:
        """
        Until the daemons have ended everything.

        @raise Finding: they have not in time.
        """
        deadline = time.monotonic() + PATIENCE
        while self.held():
            if time.monotonic() > deadline:
                raise Finding(f"{self.held()} connections stand after all time-outs")
            self.tend()
            time.sleep(0.05)

    def close(self) -> None:
        """Give up what is left."""
        for connection in [*self._held, *(connection for connection, _ in self._trickling)]:
            connection.close()


def fuzzDaemons(inputs: int, seconds: float, seed: int, directory: str) -> dict[str, Any]:
    """
    Attack a seed and two peers.

    @param inputs: how many frames to send at least, if there is time.
    @raise Finding: they did not stand it; C{directory} has their logs.
    """
    seedPort = freePort()
    Path(directory, "config.txt").write_text(f"127.0.0.1:{seedPort}\n")
    daemons = [Daemon(directory, "seed", seedPort, [*SHORT, "--lease-interval", "1", "--registration-rate", "1000"])]
    try:
        daemons[0].ready()
        for _ in range(2):
            daemons.append(Daemon(directory, "peer", freePort(), [
                *SHORT, "--gossip-count", "0", "--liveness-interval", "0.3", "--max-origins", "100",
                "--max-known", "32", "--history-messages", "100", "--history-bytes", "100000", "--max-inbound", "64",
                "--max-payload", "50000",
            ]))  # fmt: skip
            daemons[-1].ready()
        until(lambda: all(peer.neighbours() for peer in daemons[1:]), "the peers are linked")
        return _attack(inputs, seconds, seed, daemons)
    finally:
        for daemon in daemons:
            daemon.dispose()


def _attack(inputs: int, seconds: float, seed: int, daemons: list[Daemon]) -> dict[str, Any]:
    """Attack running daemons in rounds, and look at them after each."""
    rounds: list[dict[str, list[int]]] = []
    done: Counter[str] = Counter()
    first: Counter[str] = Counter()
    started = time.monotonic()
    number = 0
    # The first round fills the caches; what comes after must not make them grow.
    while number < 2 or (done["frames"] < inputs and time.monotonic() - started < seconds):
        attack = Attack(seed + number, [daemon.port for daemon in daemons])
        number += 1
        ends = time.monotonic() + min(30.0, seconds / 4)
        try:
            while time.monotonic() < ends and attack.done["frames"] + done["frames"] < max(inputs, 1) * number / 2:
                attack.one()
                if attack.done["connections"] % 10 == 0:
                    attack.tend()
                if attack.held() > 150:
                    attack.tend()
                    time.sleep(0.02)
            attack.wait()
        finally:
            attack.close()
        done += attack.done
        first = first or attack.done
        _serves(daemons)
        rounds.append(_measured(daemons))
    # Less than a quarter KiB for each connection that came after the first round.
    later = done["connections"] - first["connections"]
    for name, allowed in (("memoryKiB", 2048 + later // len(daemons) // 4), ("descriptors", 4)):
        for daemon, early, late in zip(daemons, rounds[0][name], rounds[-1][name], strict=True):
            if late - early > allowed:
                raise Finding(f"{daemon.name}: {name} {[r[name] for r in rounds]}")
    for daemon in daemons:
        for text in (daemon.log, daemon.output):
            if "Traceback" in text or "Unhandled" in text:
                raise Finding(f"{daemon.name} logged an error: {text[text.index('T'):][:2000]}")
    return {
        "seconds": round(time.monotonic() - started, 1),
        "rounds": number,
        **done,
        "daemons": [daemon.name for daemon in daemons],
        **{name: [found[name] for found in (rounds[0], rounds[-1])] for name in ("memoryKiB", "descriptors")},
        "misbehaved": [daemon.get("/status")["counters"].get("misbehaved", 0) for daemon in daemons],
    }


def _measured(daemons: list[Daemon]) -> dict[str, list[int]]:
    """Memory and descriptors of each, once nothing is connected that does not belong there."""

    def quiet() -> bool:
        for daemon, usual in zip(daemons, (2, 2, 2), strict=True):
            if daemon.process.poll() is not None:
                raise Finding(f"{daemon.name} ended: {daemon.output[-2000:]}")
            status = daemon.get("/status")
            if status is None or status["gauges"]["connections"] > usual:
                return False
        return True

    try:
        until(quiet, "every connection has ended", PATIENCE)
    except AssertionError:
        stand = [daemon.get("/status")["gauges"] for daemon in daemons]
        raise Finding(f"connections stand after all time-outs: {stand}") from None
    pids = [daemon.process.pid for daemon in daemons]
    return {"memoryKiB": [memory(pid) for pid in pids], "descriptors": [descriptors(pid) for pid in pids]}


def _serves(daemons: list[Daemon]) -> None:
    """The seed registers, the peers relay."""
    node = Second()
    try:
        talk, (_, total, _) = node.register(daemons[0].port)
        if total < 1:
            raise Finding(f"the seed lists {total}")
        talk.say("Close", "leaving", "", [])
        until(lambda: all(daemon.neighbours() for daemon in daemons[1:]), "the peers are linked", PATIENCE)
        identifier = daemons[1].publish(os.urandom(8).hex().encode())
        until(lambda: daemons[2].has(identifier), "what one publishes reaches the other", PATIENCE)
    except (AssertionError, OSError) as error:
        raise Finding(f"does not serve any more: {error}") from error
    finally:
        node.close()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the codec, and daemons.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs, to each of both [default: %(default)s]")
    parser.add_argument("--seconds", type=float, default=900.0, help="at most so long, each [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins [default: %(default)s]")
    parser.add_argument("--daemon", action="store_true", help="attack daemons as well")
    options = parser.parse_args()
    # Attackers hold many connections.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    try:
        print("codec ", json.dumps(fuzzCodec(options.inputs, options.seconds, options.seed)), flush=True)
        if options.daemon:
            directory = tempfile.mkdtemp(prefix="p2p-fuzz-")
            print(f"daemons in {directory}", flush=True)
            print("daemons", json.dumps(fuzzDaemons(options.inputs, options.seconds, options.seed, directory)))
            shutil.rmtree(directory)
    except Finding as finding:
        print(f"FOUND: {finding}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
