"""
A few of the stories of L{tests.stories}, and whether a fault would be found in them.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.delivery import Delivery
from p2p.peer.history import History
from p2p.peer.order import InOrder
from p2p.peer.overlay import RandomLinks
from p2p.peer.service import PeerService
from p2p.simulation.scenario import Event, readScenario
from p2p.timers import Timers
from p2p.wire.messages import Message
from tests.processes import PROJECT
from tests.stories import Maker, main


class StoriesTests(SynchronousTestCase):
    """Random scenarios, in which what is promised holds."""

    def tell(self, *arguments: str) -> tuple[int, str]:
        """The command: its status and what it prints."""
        with contextlib.redirect_stdout(io.StringIO()) as output:
            status = main([*arguments, "--out", self.directory])
        return status, output.getvalue()

    def setUp(self) -> None:
        """A directory for stories that fail."""
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory)

    def test_aFewHold(self) -> None:
        """Nothing is written."""
        status, said = self.tell("--seeds", "0:8")
        self.assertEqual((status, said.count("holds"), os.listdir(self.directory)), (0, 8, []), said)

    def test_aNumberIsTheSameStoryEverywhere(self) -> None:
        """In another process, whatever Python's hashes are there, and once more in this one."""
        arguments = ("--seeds", "3,6", "--fuzz")
        command = [sys.executable, "-m", "tests.stories", *arguments]
        environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(PROJECT)}
        there = subprocess.run(command, capture_output=True, text=True, cwd=self.directory, env=environment)
        status, here = self.tell(*arguments, "--twice")
        self.assertEqual(status, 0, here)
        ours, theirs = ([line.split()[3] for line in said.splitlines()] for said in (here, there.stdout))
        self.assertEqual(ours, theirs, there.stderr)
        self.assertEqual(len(ours), 2)

    def test_everythingHappens(self) -> None:
        """What a scenario file knows, and every strategy."""
        tables = [Maker(number).table() for number in range(100)]
        verbs = {verb for table in tables for event in table["events"] for verb in event}
        self.assertEqual(verbs, set(Event.__struct_fields__))
        for kind in ("overlay", "broadcast", "detector"):
            self.assertEqual(len({table["peers"]["options"][kind] for table in tables}), 2)

    def test_whatFailsIsWrittenAsAScenario(self) -> None:
        """So that p2p simulate and p2p shrink go on from there."""
        deliver = PeerService.deliver

        def twice(peer: PeerService, *arguments: Any) -> None:
            deliver(peer, *arguments)
            deliver(peer, *arguments)

        self.finds(0, "stories:heard", PeerService, "deliver", twice)
        path = os.path.join(self.directory, "story-0.toml")
        self.assertEqual(readScenario(path).table, Maker(0).table())

    def finds(self, number: int, expectation: str, broken: type, name: str, instead: Any) -> None:
        """A story in which something is broken does not hold, and its command says what."""
        original = getattr(broken, name)
        self.patch(broken, name, instead)
        status, said = self.tell("--seeds", str(number))
        setattr(broken, name, original)
        self.assertEqual(status, 1, said)
        self.assertIn(expectation, said)

    def test_aFaultIsFound(self) -> None:
        """Whatever is wrong with a peer or its strategies, some story tells, by the promise that is broken."""
        deliver, dials, take = PeerService.deliver, RandomLinks.__init__, InOrder.take

        def swallow(peer: PeerService, message: Message, *rest: Any) -> None:
            if message.sequence % 7 != 3 or not message.hops:
                deliver(peer, message, *rest)

        def tooMany(overlay: RandomLinks, *arguments: Any) -> None:
            dials(overlay, *arguments)
            overlay._maxOut += 1

        def passOver(ordered: InOrder, delivery: Delivery) -> None:
            if delivery.sequence % 7 != 3:
                take(ordered, delivery)

        for number, expectation, broken, name, instead in (
            (0, "stories:shared", PeerService, "deliver", swallow),
            (0, "stories:ordered", InOrder, "take", passOver),
            (14, "stories:heard", InOrder, "take", lambda ordered, delivery: ordered._deliver(delivery)),
            (18, "stories:shared", History, "_callLost", lambda *_: None),
            (4, "stories:mutual", PeerService, "_alive", lambda *_: None),
            (14, "dialled", RandomLinks, "__init__", tooMany),
            (0, "stories:gone", Timers, "stopAll", lambda _: None),
        ):
            self.finds(number, expectation, broken, name, instead)
