"""
How fast the simulated network is by itself: a flood of small frames by a bare Twisted protocol.

Every host has about C{--links} connections, to hosts chosen at random. Each frame starts at one host, and whoever gets
it for the first time sends it on over all its other links; a frame is 64 bytes, of which the first 8 are its number.
So a delivery is one C{dataReceived} on one host, and the protocols do hardly anything: what is measured is the network.

    python bench/simnet.py --hosts 1000 --frames 200 [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from typing import Any

from twisted.internet.protocol import ClientFactory, Protocol

from p2p.simulation.latency import uniform
from p2p.simulation.network import SimulatedNetwork

FRAME = 64


class Flooding(Protocol):
    """
    One link of a host that sends on what it has not seen.
    """

    def __init__(self, links: list[Any], seen: set[bytes]) -> None:
        self.links = links
        self.seen = seen
        self.rest = b""

    def connectionMade(self) -> None:
        """
        Be one of the host's links.
        """
        self.links.append(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Take one frame or several that came together.
        """
        if len(data) == FRAME and not self.rest:
            number = data[:8]
            if number not in self.seen:
                self.seen.add(number)
                mine = self.transport
                for link in self.links:
                    if link is not mine:
                        link.write(data)
        else:
            data = self.rest + data
            whole = len(data) // FRAME * FRAME
            self.rest = b""
            for start in range(0, whole, FRAME):
                self.dataReceived(data[start : start + FRAME])
            self.rest = data[whole:]


class Side(ClientFactory[Any]):
    """
    Makes the links of one host.
    """

    noisy = False

    def __init__(self) -> None:
        self.links: list[Any] = []
        self.seen: set[bytes] = set()

    def buildProtocol(self, addr: object) -> Flooding:
        """
        Make a link.
        """
        return Flooding(self.links, self.seen)


def memory() -> float:
    """
    The most memory this process has held, in MB.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(hosts: int, links: int, frames: int, every: float, freeze: bool, **options: Any) -> dict[str, Any]:
    """
    Build the network, flood it, and say how that went.
    """
    choose = random.Random(1)
    network = SimulatedNetwork(seed=1, latency=uniform(0.010, 0.100), **options)
    started = time.perf_counter()
    before = memory()
    sides = []
    for number in range(hosts):
        reactor = network.host(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        side = Side()
        reactor.listenTCP(6000, side)
        sides.append((reactor, side))
    for reactor, side in sides:
        for other, _ in choose.sample(sides, links // 2):
            if other is not reactor:
                reactor.connectTCP(other.host.address, 6000, side)
    network.run(until=40.0)
    ends = sum(len(side.links) for _, side in sides)
    built, holding = time.perf_counter() - started, memory()
    if freeze:
        network.freeze()
    for number in range(frames):
        side = choose.choice(sides)[1]
        frame = number.to_bytes(8, "big").ljust(FRAME, b".")

        def publish(side: Side = side, frame: bytes = frame) -> None:
            side.seen.add(frame[:8])
            for link in side.links:
                link.write(frame)

        network.callAt(40.0 + number * every, publish)
    delivered, happened = network.deliveries, network.events
    started, worked = time.perf_counter(), time.process_time()
    network.run(until=40.0 + frames * every + 5.0)
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    reached = sum(len(side.seen) for _, side in sides)
    return {
        "hosts": hosts,
        "ends": ends,
        "frames": frames,
        "reached": reached,
        "deliveries": network.deliveries - delivered,
        "seconds": round(seconds, 3),
        "cpuSeconds": round(worked, 3),
        "deliveriesPerSecond": round((network.deliveries - delivered) / seconds),
        "deliveriesPerCPUSecond": round((network.deliveries - delivered) / worked),
        "eventsPerSecond": round((network.events - happened) / seconds),
        "buildSeconds": round(built, 3),
        "bytesPerEnd": round((holding - before) * 1048576 / ends),
        "memoryMB": round(memory()),
        "digest": network.digest()[:16],
    }


def main() -> None:
    """
    Measure what the command line asks for.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", default="1000", help="how many hosts; several numbers with commas between")
    parser.add_argument("--links", type=int, default=8, help="links of a host, on average")
    parser.add_argument("--frames", type=int, default=200, help="how many frames are flooded")
    parser.add_argument("--every", type=float, default=0.02, help="virtual seconds between two frames")
    parser.add_argument("--no-freeze", action="store_true", help="leave the garbage collector as it is")
    parser.add_argument("--fuzz", action="store_true", help="let the seed cut segments and shift times")
    parser.add_argument("--loss", type=float, default=0.0, help="share of packets lost")
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line")
    options = parser.parse_args()
    for hosts in map(int, options.hosts.split(",")):
        figures = measure(
            hosts,
            options.links,
            options.frames,
            options.every,
            not options.no_freeze,
            fuzz=options.fuzz,
            loss=options.loss,
        )
        if options.json:
            print(json.dumps(figures))
        else:
            print("  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
