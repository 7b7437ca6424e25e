"""
Tests for L{p2p.peer.plumtree} and L{p2p.peer.repair}: one peer on a fake outlet, then many on a mesh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.interfaces import IBroadcast, IBroadcastOutlet, INeighbour
from p2p.peer.heard import LATELY
from p2p.peer.plumtree import ANNOUNCED, BATCH_BYTES, WAVE, Plumtree
from p2p.peer.repair import UNANSWERED
from p2p.settings import PeerSettings
from p2p.test.fakes import FakeNeighbour, FakeOutlet, calls, identity
from p2p.test.mesh import Mesh, Node
from p2p.wire.codec import Decoder, encode
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.messages import (
    MAX_GAPS,
    MAX_GONE_AGE,
    MAX_HELD,
    MAX_HOPS,
    Announced,
    Batch,
    Gone,
    Graft,
    Have,
    Held,
    IHave,
    Lack,
    Message,
    Prune,
    Wanted,
)

ME = identity(1)
OTHER = identity(2)
THIRD = identity(3)


def message(sequence: int, hops: int = 1, origin: bytes = OTHER, payload: bytes = b"x", age: int = 0) -> Message:
    """A message as it comes."""
    return Message(origin, sequence, hops, payload, age)


def have(*numbers: int, origin: bytes = OTHER, hops: int = 1, now: bool = False) -> IHave:
    """An announcement of ranges."""
    return IHave([Announced(origin, hops, list(numbers))], now)


class BreakingOutlet(FakeOutlet):
    """
    One whose links end as something is sent over them.

    @ivar ended: called with a neighbour, once, as something is sent to it that is in C{breaking}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.breaking: list[FakeNeighbour] = []
        self.ended: Callable[[FakeNeighbour], object] = lambda neighbour: None

    def send(self, neighbours: Iterable[Any], message: Any) -> None:
        """First to all, as a node does it."""
        to = list(neighbours)
        super().send(to, message)
        for neighbour in to:
            if neighbour in self.breaking:
                self.breaking.remove(neighbour)
                self.ended(neighbour)


class OnePeer(SynchronousTestCase):
    """One peer, three neighbours that had nothing."""

    outletClass = FakeOutlet

    def begin(self, **changed: Any) -> Plumtree:
        """A fresh one."""
        self.outlet = self.outletClass()
        changed.setdefault("announceSize", 1000)
        self.tree = Plumtree(self.outlet, PeerSettings(**changed), Random(1))
        self.a, self.b, self.c = self.neighbours = [FakeNeighbour(number) for number in (11, 12, 13)]
        for neighbour in self.neighbours:
            self.tree.neighbourUp(neighbour, 0.0)
            self.tree.received(Have([], True), neighbour, 0.0)
        self.outlet.take("send")
        return self.tree

    def come(self, what: Any, neighbour: FakeNeighbour) -> None:
        """Something comes now."""
        self.tree.received(what, neighbour, self.outlet.now)

    def sent(self) -> list[tuple[FakeNeighbour, Any]]:
        """What was sent since this was last called."""
        return self.outlet.take("send")

    def delivered(self) -> list[int]:
        """The numbers that were delivered since this was last called."""
        return [what.sequence for what, _ in self.outlet.take("deliver")]

    def pruned(self, *neighbours: FakeNeighbour) -> None:
        """These neighbours want announcements only."""
        for neighbour in neighbours:
            self.come(Prune(), neighbour)
        self.sent()

    def eager(self) -> list[FakeNeighbour]:
        """Those to whom a message of its own is sent at once."""
        self.tree.publish(ME, b"?", self.outlet.now)
        self.outlet.take("deliver")
        return [near for near, what in self.sent() if isinstance(what, Message)]


class TreeTests(OnePeer):
    """Who is eager and who is lazy."""

    def test_interfaces(self) -> None:
        """They are what they claim to be."""
        verifyObject(IBroadcast, self.begin())
        verifyObject(IBroadcastOutlet, self.outlet)
        verifyObject(INeighbour, self.a)
        mesh = Mesh(2)
        mesh.link(*mesh.nodes)
        verifyObject(IBroadcastOutlet, mesh.nodes[0])
        verifyObject(INeighbour, mesh.nodes[0].ends[mesh.nodes[1]])

    def test_newNeighboursAreEager(self) -> None:
        """As in section 3.6 of the paper; whoever brought something is not sent it back."""
        self.begin()
        self.come(message(1, 3), self.a)
        self.assertEqual(self.sent(), [(self.b, message(1, 4)), (self.c, message(1, 4))])
        self.assertEqual(self.delivered(), [1])

    def test_aDuplicatePrunes(self) -> None:
        """Who was slower is lazy from then on, and is told so; nothing is sent to it but announcements."""
        self.begin()
        self.come(message(1), self.a)
        self.sent()
        self.come(message(1), self.b)
        self.assertEqual(self.sent(), [(self.b, Prune())])
        self.assertEqual(self.tree.duplicates, 1)
        self.assertEqual(self.eager(), [self.a, self.c])
        self.outlet.advance(1.0)
        self.assertEqual(self.sent(), [(self.b, have(1, 1, origin=ME))])

    def test_aNewNeighbourOfNoUseIsPrunedAtOnce(self) -> None:
        """By any messages' duplicates, if none that it brought was new; else it waits for what shapes the tree."""
        for useful in (False, True):
            self.begin()
            self.come(message(1), self.a)
            new = FakeNeighbour(20)
            self.tree.neighbourUp(new, 0.0)
            self.come(Have([], True), new)
            if useful:
                self.come(message(2), new)
            for number in range(3, 9):
                self.come(message(number), self.a)
            self.sent()
            for number in range(3, 9):
                self.come(message(number), new)
            self.assertEqual(self.sent(), [] if useful else [(new, Prune())])

    def test_onlyOneMessageAtATimePrunes(self) -> None:
        """Duplicates of others leave the tree as it is, else many senders would cut a circle at several places."""
        self.begin()
        self.come(message(1), self.a)
        self.come(message(1, origin=THIRD), self.b)
        self.sent()
        self.come(message(1, origin=THIRD), self.a)
        self.assertEqual(self.sent(), [])
        self.come(message(1), self.b)
        self.assertEqual(self.sent(), [(self.b, Prune())])

    def test_whoWasFasterMustBeEager(self) -> None:
        """Else nobody would be left to bring the next one."""
        self.begin()
        self.pruned(self.a)
        self.come(message(1), self.a)
        self.come(message(1), self.b)
        self.assertNotIn((self.b, Prune()), self.sent())

    def test_itsOwnThatComesBackPrunes(self) -> None:
        """It has gone round a circle."""
        self.begin()
        self.tree.publish(ME, b"?", 0.0)
        self.sent()
        self.come(message(1, 3, ME), self.b)
        self.assertEqual(self.sent(), [(self.b, Prune())])

    def test_whoeverIsPrunedDoesNotPruneBack(self) -> None:
        """It is lazy on both sides after one word; said again only if it goes on sending."""
        self.begin()
        self.come(message(1), self.a)
        self.come(Prune(), self.b)
        self.sent()
        self.come(message(1), self.b)
        self.assertEqual(self.sent(), [])
        self.outlet.advance(1.5)
        self.sent()
        self.come(message(1), self.b)
        self.assertEqual(self.sent(), [(self.b, Prune())])

    def test_nobodyIsWithoutAnEagerNeighbour(self) -> None:
        """The last one that prunes, or goes, is replaced at once."""
        self.begin()
        self.pruned(self.a, self.b)
        self.come(Prune(), self.c)
        self.assertEqual(self.sent(), [(self.a, Graft([], True))])
        self.assertEqual(self.eager(), [self.a])
        self.tree.neighbourDown(self.a, "lost", 1.0)
        self.assertIn((self.b, Graft([], True)), self.sent())
        self.assertEqual(self.eager(), [self.b])

    def test_aGraftMakesEager(self) -> None:
        """And is answered with what it asks for."""
        self.begin()
        self.come(message(1, 2), self.a)
        self.pruned(self.b)
        self.outlet.advance(1.0)
        self.sent()
        self.come(Graft([Wanted(OTHER, [1, 1])], True), self.b)
        self.assertEqual(self.sent(), [(self.b, message(1, 3, age=1))])
        self.assertEqual(self.eager(), [self.a, self.c, self.b])

    def test_aRequestAloneDoesNotMakeEager(self) -> None:
        """One that is sent for a large payload, or after a Have."""
        self.begin()
        self.come(message(1, 2), self.a)
        self.pruned(self.b)
        self.come(Graft([Wanted(OTHER, [1, 1])], False), self.b)
        self.assertIn((self.b, message(1, 3)), self.sent())
        self.assertNotIn(self.b, self.eager())

    def test_whatCameWhileLazyIsNotForgottenByAGraft(self) -> None:
        """It was not sent and not yet announced: it is announced first."""
        self.begin()
        self.pruned(self.b)
        self.come(message(1, 2), self.a)
        self.sent()
        self.come(Graft([], True), self.b)
        self.assertEqual(self.sent(), [(self.b, have(1, 1, hops=3))])

    def test_aShorterWayIsTaken(self) -> None:
        """From C{treeThreshold} hops on, and only where one origin sends: section 3.8."""
        for ahead, taken in ((3, True), (2, False)):
            self.begin(treeThreshold=3)
            self.pruned(self.b)
            self.come(message(1, 9), self.a)
            self.outlet.advance(2 * WAVE)
            self.come(message(2, 9), self.a)
            self.outlet.advance(self.outlet.now + 1.0)
            self.sent()
            self.come(have(1, 2, hops=9 - ahead), self.b)
            self.assertEqual(self.sent(), [(self.b, Graft([], True)), (self.a, Prune())] if taken else [])
        self.begin(treeThreshold=3)
        self.pruned(self.b)
        self.come(message(1, 9), self.a)
        self.outlet.advance(2 * WAVE)
        self.come(message(1, 9, THIRD), self.a)
        self.sent()
        self.come(have(1, 1, hops=1, origin=THIRD), self.b)
        self.assertEqual(self.sent(), [])

    def test_messagesFromWhoIsGoneDoNoHarm(self) -> None:
        """They crossed the end of the link."""
        self.begin()
        self.tree.neighbourDown(self.b, "lost", 0.0)
        graft = Graft([Wanted(OTHER, [1, 9])], True)
        for late in (Prune(), graft, have(1, 9), Have([], True), Lack([], []), Batch([])):
            self.come(late, self.b)
        self.outlet.advance(9.0)
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.eager(), [self.a, self.c])


class BreakingTests(OnePeer):
    """Links that end in the midst of what is done, because something was sent."""

    outletClass = BreakingOutlet

    def breaks(self, *neighbours: FakeNeighbour) -> None:
        """These are gone as soon as something is sent to them."""
        assert isinstance(self.outlet, BreakingOutlet)
        self.outlet.breaking += neighbours
        self.outlet.ended = lambda neighbour: self.tree.neighbourDown(neighbour, "slow", self.outlet.now)

    def test_whoIsChosenAndGoneIsReplaced(self) -> None:
        """The next one is made eager."""
        self.begin()
        self.pruned(self.a, self.b)
        self.come(message(1), self.c)
        self.sent()
        self.breaks(self.a)
        self.come(Prune(), self.c)
        self.sent()
        self.assertEqual(self.tree.eager, [self.b])

    def test_whoIsAskedAndGoneLeavesNothingBehind(self) -> None:
        """He is neither made eager nor remembered, and the next is asked."""
        self.begin()
        self.pruned(self.b, self.c)
        self.come(have(1, 1), self.b)
        self.come(have(1, 1), self.c)
        self.breaks(self.b)
        self.outlet.advance(0.6)
        self.assertEqual([near for near, what in self.sent() if isinstance(what, Graft)], [self.b, self.c])
        self.assertEqual(self.tree.eager, [self.a, self.c])
        self.assertEqual([asked for asked, _ in self.tree._asked.values()], [self.c])
        self.tree.neighbourDown(self.c, "lost", 0.6)
        self.assertEqual(self.tree._asked, {})

    def test_whoTakesTheirPlaceMissesNothing(self) -> None:
        """Who is made eager as the last eager one is sent a message, and gone, is told of that message too."""
        self.begin()
        self.pruned(self.b, self.c)
        self.breaks(self.a)
        self.tree.publish(ME, b"?", 0.0)
        self.assertIn((self.b, have(1, 1, origin=ME)), self.sent())
        self.assertEqual(self.tree.eager, [self.b])

    def test_manyAtOnceDoNotDisturbWhoGathers(self) -> None:
        """All that is queued goes to those who are left."""
        self.begin(batchDelay=0.1)
        for number, near in enumerate((self.a, self.b, self.c), 1):
            self.come(message(number), near)
        self.breaks(self.b)
        self.outlet.advance(0.2)
        self.assertIn((self.c, message(2, 2)), self.sent())
        self.assertEqual(self.tree.eager, [self.a, self.c])

    def test_whoIsGoneAsHeIsSentWhatIsForgotten(self) -> None:
        """The others get it, he is owed nothing, and what comes in its place is announced."""
        self.begin(historyMessages=1)
        self.tree.publish(ME, bytes(1000), 0.0)
        self.sent()
        self.breaks(self.b)
        self.come(message(1, payload=bytes(1000)), self.a)
        first, second = Message(ME, 1, 1, bytes(1000)), have(1, 1, hops=2, now=True)
        self.assertEqual(
            self.sent(), [(self.a, first), (self.b, first), (self.c, first), (self.c, second)]
        )
        self.assertEqual([self.tree.promised(near) for near in self.neighbours], [0, 0, 1064])

    def test_theShorterWayMayBreak(self) -> None:
        """Then the old one stays."""
        self.begin(treeThreshold=3)
        self.pruned(self.b)
        self.come(message(1, 9), self.a)
        self.outlet.advance(2 * WAVE)
        self.come(message(2, 9), self.a)
        self.outlet.advance(self.outlet.now + 1.0)
        self.breaks(self.b)
        self.come(have(1, 2, hops=6), self.b)
        self.assertEqual(self.tree.eager, [self.a, self.c])
        self.assertNotIn((self.a, Prune()), self.sent())


class AnnouncementTests(OnePeer):
    """What is said of messages that are not sent."""

    def test_theyAreCollected(self) -> None:
        """One frame for all that came within C{lazyDelay}, packed once for all lazy neighbours."""
        self.begin(lazyDelay=0.5)
        self.pruned(self.b, self.c)
        for number in (1, 2, 3, 7):
            self.come(message(number), self.a)
        self.come(message(5, origin=THIRD), self.a)
        self.outlet.advance(0.4)
        self.assertEqual(self.sent(), [])
        self.outlet.advance(0.5)
        said = IHave([Announced(OTHER, 2, [1, 3, 7, 7]), Announced(THIRD, 2, [5, 5])], False)
        self.assertEqual([told for told in self.sent() if isinstance(told[1], IHave)], [(self.b, said), (self.c, said)])
        self.outlet.advance(5.0)
        self.assertFalse([what for _, what in self.sent() if isinstance(what, IHave)])

    def test_theyFitTheirBounds(self) -> None:
        """However many origins, and in whatever order the numbers come."""
        self.begin()
        self.pruned(self.b)
        for number in range(3 * MAX_HELD):
            self.come(message(1, origin=identity(1000 + number)), self.a)
        for number in range(MAX_GAPS // 2, 0, -1):
            self.come(message(2 * number), self.a)
        for number in range(4 * MAX_GAPS):
            self.come(message(2 * number + 1, origin=THIRD), self.a)
        self.outlet.advance(0.5)
        told: set[tuple[bytes, int]] = set()
        for _, what in self.sent():
            if isinstance(what, IHave):
                self.assertLessEqual(len(what.announced), MAX_HELD)
                for each in what.announced:
                    self.assertLessEqual(len(each.ranges), 2 * MAX_GAPS)
                    self.assertEqual(each.ranges, sorted(each.ranges))
                    told |= {(each.origin, number) for number in each.ranges}
        self.assertEqual(len(told), 3 * MAX_HELD + MAX_GAPS // 2 + 4 * MAX_GAPS)

    def test_atTheHopLimitNothingIsSaid(self) -> None:
        """It could not be sent; nor is it when it leaves the window."""
        self.begin(historyMessages=1)
        self.pruned(self.b)
        for number in (1, 2):
            self.come(message(number, MAX_HOPS), self.a)
        self.come(message(3, MAX_HOPS, payload=bytes(1000)), self.a)
        self.outlet.advance(1.0)
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.delivered(), [1, 2, 3])

    def test_whatIsMissingIsAskedFor(self) -> None:
        """After C{graftDelay}, of who announced it first; then, if it does not come, of the next."""
        self.begin(graftDelay=0.5, graftTimeout=1.0)
        self.pruned(self.b, self.c)
        self.come(have(1, 2), self.b)
        self.come(have(1, 3), self.c)
        self.outlet.advance(0.4)
        self.assertEqual(self.sent(), [])
        self.outlet.advance(0.5)
        first, second = (Graft([Wanted(OTHER, numbers)], True) for numbers in ([1, 2], [3, 3]))
        self.assertEqual(self.sent(), [(self.b, first), (self.c, second)])
        self.outlet.advance(1.4)
        self.assertEqual(self.sent(), [])
        self.outlet.advance(1.6)
        self.assertEqual(self.sent(), [(self.c, Graft([Wanted(OTHER, [1, 2])], True))])
        self.outlet.advance(60.0)
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.tree._repair.missing, 0)

    def test_whatComesByItselfIsNot(self) -> None:
        """The announcement was faster, that is all."""
        self.begin()
        self.pruned(self.b)
        self.come(have(1, 2), self.b)
        self.come(message(1), self.a)
        self.come(message(2), self.a)
        self.sent()
        self.outlet.advance(9.0)
        self.assertFalse([what for _, what in self.sent() if isinstance(what, Graft)])
        self.assertEqual(self.tree._repair.missing, 0)

    def test_eachAnnouncementHasItsOwnTime(self) -> None:
        """One that is made when an earlier one's time is nearly over is not asked for with that one."""
        self.begin(graftDelay=0.5)
        self.pruned(self.b)
        self.come(have(1, 1), self.b)
        self.outlet.advance(0.4)
        self.come(have(2, 2), self.b)
        self.outlet.advance(0.6)
        self.assertEqual(self.sent(), [(self.b, Graft([Wanted(OTHER, [1, 1])], True))])
        self.come(message(1), self.b)
        self.come(message(2), self.b)
        self.sent()
        self.outlet.advance(9.0)
        self.assertFalse([what for _, what in self.sent() if isinstance(what, Graft)])

    def test_askingInVainMakesPatient(self) -> None:
        """If what was asked for comes twice, less haste would have done: who was asked is lazy again at once."""
        self.begin(graftDelay=0.5)
        self.pruned(self.b)
        self.come(have(1, 1), self.b)
        self.outlet.advance(0.5)
        self.come(message(1), self.a)
        self.sent()
        self.come(message(1), self.b)
        self.assertEqual(self.sent(), [(self.b, Prune())])
        self.come(have(2, 2), self.b)
        self.outlet.advance(1.2)
        self.assertFalse([what for _, what in self.sent() if isinstance(what, Graft)])
        self.outlet.advance(1.6)
        self.assertIn((self.b, Graft([Wanted(OTHER, [2, 2])], True)), self.sent())
        # Where the tree is known to be broken, haste is in place again.
        self.come(message(2), self.b)
        self.tree.neighbourDown(self.a, "lost", 1.6)
        self.pruned(self.b)
        self.come(have(3, 3), self.b)
        self.outlet.advance(2.2)
        self.assertIn((self.b, Graft([Wanted(OTHER, [3, 3])], True)), self.sent())

    def test_ofManyOneIsAskedForFirst(self) -> None:
        """All of them, if it comes and the others do not; none, if they do come meanwhile and are only late."""
        for late in (False, True):
            self.begin(graftDelay=0.5)
            self.pruned(self.b)
            self.come(have(1, 100), self.b)
            self.outlet.advance(0.5)
            self.assertEqual(self.sent(), [(self.b, Graft([Wanted(OTHER, [1, 1])], True))])
            self.outlet.advance(0.65)
            self.assertEqual(self.sent(), [])
            for number in range(1, 61 if late else 2):
                self.come(message(number), self.a if late else self.b)
            self.sent()
            self.outlet.advance(0.75)
            self.assertEqual(self.sent(), [] if late else [(self.b, Graft([Wanted(OTHER, [2, 100])], True))])
            for number in range(61 if late else 2, 101):
                self.come(message(number), self.a)
            self.sent()
            self.outlet.advance(20.0)
            self.assertFalse([what for _, what in self.sent() if isinstance(what, Graft)])
            self.assertEqual(self.tree._repair.missing, 0)

    def test_whoHasItNotIsNotWaitedFor(self) -> None:
        """The next is asked at once; and so if the link of the one that was asked ends."""
        for ends in (lambda: self.come(Lack([Wanted(OTHER, [1, 1])], []), self.b),
                     lambda: self.tree.neighbourDown(self.b, "lost", self.outlet.now)):  # fmt: skip
            self.begin()
            self.come(have(1, 1), self.b)
            self.come(have(1, 1), self.c)
            self.outlet.advance(0.5)
            self.assertEqual([near for near, _ in self.sent()], [self.b])
            ends()
            self.assertEqual(self.sent(), [(self.c, Graft([Wanted(OTHER, [1, 1])], True))])

    def test_whoHasWhatIsUnderWayElsewhereIsAskedForItIfThatFails(self) -> None:
        """Also if what else he was asked for came by itself meanwhile, and was only late."""
        self.begin()
        self.pruned(self.b, self.c)
        self.come(have(17, 20), self.b)
        self.come(have(1, 20), self.c)
        self.outlet.advance(0.5)
        self.assertEqual(self.asked(), [(self.b, [17, 20]), (self.c, [1, 1])])
        self.come(message(2), self.a)
        self.outlet.advance(0.7)
        self.tree.neighbourDown(self.b, "lost", self.outlet.now)
        asked = self.asked()
        for _ in range(10):
            self.outlet.advance(self.outlet.now + 0.2)
            asked += self.asked()
            if self.outlet.now >= 0.9:
                self.come(message(1), self.c)
        self.assertEqual({near for near, _ in asked}, {self.c})
        numbers = [number for _, (low, high) in asked for number in range(low, high + 1)]
        self.assertEqual(sorted(numbers), list(range(3, 21)))

    def asked(self) -> list[tuple[FakeNeighbour, list[int]]]:
        """Who was asked for what since anything that was sent was last looked at."""
        return [(near, each.ranges) for near, what in self.sent() if isinstance(what, Graft) for each in what.wanted]

    def test_aLiarsAnnouncementsAreBounded(self) -> None:
        """Neither numbers nor origins without end fill the memory; and others are asked all the same."""
        self.begin(maxOrigins=1000)
        for number in range(5000):
            self.come(have(1, 2**63 - 1, origin=identity(10_000 + number)), self.b)
        self.assertLessEqual(self.tree._repair.missing, 125)
        self.come(have(1, 1), self.c)
        for number in range(1, 2000, 2):
            self.come(have(number, number), self.b)
        self.outlet.advance(0.6)
        self.assertIn((self.c, Graft([Wanted(OTHER, [1, 1])], True)), self.sent())
        self.outlet.advance(100.0)
        self.assertEqual(self.tree._repair.missing, 0)
        self.assertEqual(self.outlet.timers, [])

    def tellsALot(self) -> FakeNeighbour:
        """A new neighbour that claims to have a message of each of 1,000 origins, and says of a hundred others so."""
        self.begin(maxOrigins=1000, pullTimeout=10.0)
        new = FakeNeighbour(20)
        self.tree.neighbourUp(new, 0.0)
        self.come(IHave([Announced(identity(20_000 + number), 1, [1, 1]) for number in range(100)], False), new)
        for part in range(5):
            held = [Held(identity(10_000 + 200 * part + number), 1, []) for number in range(200)]
            self.come(Have(held, part == 4), new)
        return new

    def test_whoTellsOfALotIsAskedForAShareAtATime(self) -> None:
        """Until it has sent that, or has taken too long."""
        self.tellsALot()
        asked = set()
        for second in range(1, 100):
            self.assertLessEqual(self.tree._repair.missing, 125)
            asked |= {each.origin for near, what in self.sent() if isinstance(what, Graft) for each in what.wanted}
            self.outlet.advance(float(second))
            self.tree.tick(float(second))
        self.assertEqual(len(asked), 1100)
        self.outlet.advance(200.0)
        self.assertEqual((self.tree._repair.missing, self.tree._repair._told), (0, {}))

    def test_whatItToldOfEndsWithItsLink(self) -> None:
        """It is not asked any more, nor remembered."""
        new = self.tellsALot()
        self.sent()
        self.tree.neighbourDown(new, "lost", 1.0)
        self.outlet.advance(100.0)
        self.tree.tick(100.0)
        self.assertEqual(self.sent(), [])
        self.assertEqual((self.tree._repair.missing, self.tree._repair._told), (0, {}))

    def test_thoseWhoAnswerNothingKeepOthersFromBeingAskedOnlyOnce(self) -> None:
        """However much they have told of; and he who was only late is asked for the rest as well."""
        self.begin(maxOrigins=1000, pullTimeout=10.0)
        silent = [FakeNeighbour(20 + number) for number in range(8)]
        for place, near in enumerate(silent):
            self.tree.neighbourUp(near, 0.0)
            for part in range(5):
                first = 10_000 * (place + 1) + 200 * part
                held = [Held(identity(first + number), 1, []) for number in range(200)]
                self.come(Have(held, part == 4), near)
        self.assertEqual(self.tree._repair.missing, 1000)
        new = FakeNeighbour(30)
        self.tree.neighbourUp(new, 0.0)
        self.come(Have([Held(OTHER, 1, [])], True), new)
        self.assertNotIn(new, [near for near, _ in self.asked()])
        asked: list[FakeNeighbour] = []
        for second in range(1, 160):
            self.outlet.advance(float(second))
            self.tree.tick(float(second))
            asked += [near for near, _ in self.asked()]
            self.assertEqual(new in asked, second >= 10)
            if second >= 10:
                self.assertLessEqual(self.tree._repair.missing, 501)
                self.come(message(1), new)
        # All that they told of, in the end.
        self.assertEqual(len(asked), 8 * (1000 - 125) + 1)

    def test_anAnnouncementInManyPartsCostsNoMoreThanItsLength(self) -> None:
        """Of one origin or of many, now or later; and however often it comes, only so much is asked at a time."""
        parts = [number for number in range(1, 257, 2) for _ in range(2)][: 2 * MAX_GAPS]
        one = [Announced(OTHER, 1, [number + 10**6 * part for number in parts]) for part in range(MAX_HELD)]
        many = [Announced(identity(1000 + part), 1, parts) for part in range(MAX_HELD)]
        for announced in (one, many):
            for now in (False, True):
                self.begin()
                self.assertLess(calls(self.come, IHave(announced, now), self.a), 150_000)
                self.assertLess(calls(self.outlet.advance, 0.7), 500_000)
        self.begin()
        for number in range(100):
            self.come(have(*(1000 * number + part for part in parts), now=True), self.a)
        asked = [each for _, what in self.sent() if isinstance(what, Graft) for each in what.wanted]
        self.assertEqual(sum(len(each.ranges) for each in asked), 2 * UNANSWERED)

    def test_aLackInManyPartsCostsNoMoreThanItsLength(self) -> None:
        """Whether or not the numbers were asked for, and in however many words he says that he lacks them."""
        def lacking(numbers: Iterable[int], words: int) -> int:
            self.begin()
            for place, near in enumerate(self.neighbours):
                for part in range(4):
                    starts = [10_000 * (MAX_GAPS * part + at) + 100 * place for at in range(1, MAX_GAPS + 1)]
                    self.come(have(*(edge for low in starts for edge in (low, low + 99)), now=True), near)
            self.assertEqual(len(self.asked()), 12)
            wanted = [Wanted(OTHER, [number, number]) for number in numbers]

            def say() -> None:
                for start in range(0, len(wanted), words):
                    self.come(Lack(wanted[start : start + words], []), self.a)

            return calls(say)

        for numbers, words in (
            (range(10**9, 10**9 + 1600), 1), (range(10**9, 10**9 + 1600), MAX_HELD),
            ([10_000 * at + number for number in range(1, 17, 2) for at in range(1, 201)], MAX_HELD),
            ([10_000 * at + number for at in range(1, 201) for number in range(1, 17, 2)], 1),
        ):  # fmt: skip
            self.assertLess(lacking(numbers, words), 3_000_000)

    def test_aLackInManyPartsLeavesWhatIsUnderWay(self) -> None:
        """Of what else the same was asked for, much may have come: nobody else is asked for what is still to come."""
        self.begin()
        self.come(have(1, 2000, now=True), self.a)
        self.come(have(2001, 4000, now=True), self.a)
        self.come(have(2001, 4000, now=True), self.b)
        self.assertEqual(self.asked(), [(self.a, [1, 2000]), (self.a, [2001, 4000])])
        for number in range(2, 2001, 2):
            self.come(message(number), self.a)
        gone = [[edge for number in range(first, min(2001, first + 128), 2) for edge in (number, number)]
                for first in range(1, 2001, 128)]  # fmt: skip
        self.come(Lack([], [Gone(OTHER, numbers, 1.0) for numbers in gone]), self.a)
        self.assertEqual(self.asked(), [])
        self.tree.neighbourDown(self.a, "lost", self.outlet.now)
        self.assertIn((self.b, [2001, 4000]), self.asked())

    def test_rangesThatMakeNoSenseAreMisbehaviour(self) -> None:
        """Wherever they stand."""
        for wrong in ([1], [5, 3], [3, 4, 1, 2], [0, 1]):
            for what in (IHave([Announced(OTHER, 1, wrong)], False), Graft([Wanted(OTHER, wrong)], False),
                         Lack([Wanted(OTHER, wrong)], []), Lack([], [Gone(OTHER, wrong, 1.0)])):  # fmt: skip
                self.begin()
                with self.assertRaises(RemoteProtocolError):
                    self.come(what, self.a)


class AnswerTests(OnePeer):
    """What is sent to who asks."""

    def test_whatThereIsAndWhatThereIsNot(self) -> None:
        """Each number is either sent or said to be lacking, in which of the two ways."""
        self.begin(historyMessages=3)
        for number in (1, 2, 4, 5, 6):
            self.come(message(number), self.a)
        self.sent()
        self.outlet.advance(7.0)
        self.sent()
        self.come(Graft([Wanted(OTHER, [1, 9]), Wanted(THIRD, [1, 1])], False), self.b)
        self.assertEqual(
            self.sent(),
            [(self.b, message(number, 2, age=7)) for number in (4, 5, 6)]
            + [(self.b, Lack([Wanted(OTHER, [3, 3, 7, 9]), Wanted(THIRD, [1, 1])], []))]
            + [(self.b, Lack([], [Gone(OTHER, [1, 2], 7.0)]))],
        )

    def test_whatIsTooOldIsNotHandedOnThoughItCameLately(self) -> None:
        """By the age that came with it, which is passed on too; it counts as kept no longer."""
        self.begin(historyTime=300.0)
        self.come(message(1, age=290), self.a)
        self.assertIn((self.b, message(1, 2, age=290)), self.sent())
        self.come(message(2, age=280), self.a)
        self.outlet.advance(12.0)
        self.sent()
        self.come(Graft([Wanted(OTHER, [1, 2])], False), self.b)
        self.assertEqual(
            self.sent(), [(self.b, message(2, 2, age=292)), (self.b, Lack([], [Gone(OTHER, [1, 1], 302.0)]))]
        )

    def test_whatIsTooOldIsAsOldAsItIs(self) -> None:
        """Not as what was forgotten long before: who came up between the two would not call it lost."""
        self.begin(historyTime=20.0)
        self.come(message(1), self.a)
        self.outlet.advance(30.0)
        self.tree.tick(30.0)
        self.come(message(2), self.a)
        self.outlet.advance(50.5)
        self.sent()
        self.come(Graft([Wanted(OTHER, [1, 2])], False), self.b)
        self.assertEqual(
            self.sent(), [(self.b, Lack([], [Gone(OTHER, [1, 1], 50.5), Gone(OTHER, [2, 2], 20.5)]))]
        )

    def test_hugeRangesCostNothing(self) -> None:
        """As many numbers as there can be are one range."""
        self.begin()
        self.come(Graft([Wanted(OTHER, [1, 2**63 - 1])], False), self.b)
        self.assertEqual(self.sent(), [(self.b, Lack([Wanted(OTHER, [1, 2**63 - 1])], []))])

    def test_theAnswerFitsItsBounds(self) -> None:
        """Of as many origins as can be asked for, some gone and some given up of each: in messages that may be sent."""
        self.begin(historyMessages=0)
        self.tree.tick(0.0)
        self.outlet.advance(10.0)
        origins = [identity(1000 + number) for number in range(MAX_HELD)]
        for origin in origins:
            for number in range(2, 2 * MAX_GAPS + 2, 2):
                self.come(message(number, origin=origin), self.a)
            self.come(Lack([], [Gone(origin, [1, 1], 50.0)]), self.a)
        self.sent()
        self.come(Graft([Wanted(origin, [1, 2**63 - 1]) for origin in origins], False), self.b)
        said = {origin: set[int]() for origin in origins}
        for _, what in self.sent():
            self.assertEqual(next(Decoder(2**20).feed(encode(what))), what)
            for each in (*what.never, *what.gone):
                for first, last in zip(each.ranges[::2], each.ranges[1::2], strict=True):
                    said[each.origin].update(range(first, min(last, 2 * MAX_GAPS + 9) + 1))
        self.assertEqual(set(map(len, said.values())), {2 * MAX_GAPS + 9})

    def test_aQuestionInManyPartsCostsNoMoreThanItsLength(self) -> None:
        """However many messages are kept: they are looked up, not gone through for each part."""
        costs = []
        for kept in (500, 5000):
            self.begin()
            for number in range(1, kept + 1):
                self.come(message(2 * number, payload=b""), self.a)
            self.sent()
            odd = [number for number in range(1, 257, 2) for _ in range(2)]
            wanted = [Wanted(OTHER, [n + 10**6 * part for n in odd[: 2 * MAX_GAPS]]) for part in range(MAX_HELD)]
            costs.append(calls(self.come, Graft(wanted, False), self.b))
            self.assertTrue(self.sent())
        self.assertLess(costs[0], 100_000)
        self.assertLess(costs[1], 2 * costs[0])

    def answered(self, *wanted: Wanted) -> int:
        """How many messages are sent to who asks for those."""
        self.come(Graft(list(wanted), False), self.b)
        return sum(isinstance(what, Message) for _, what in self.sent())

    def test_whatIsAskedForAgainAndAgainIsPassedOver(self) -> None:
        """All that is kept may be asked for four times at once, then once a second, by each neighbour."""
        self.begin()
        for number in range(1, 101):
            self.come(message(number, payload=bytes(number)), self.a)
        self.sent()
        everything = Wanted(OTHER, [1, 100])
        self.assertEqual([self.answered(everything) for _ in range(1000)], [100] * 5 + [0] * 995)
        self.come(Graft([everything], False), self.c)
        self.assertEqual(len(self.sent()), 100)
        self.outlet.advance(2.1)
        self.assertEqual([self.answered(everything) for _ in range(10)], [100] * 2 + [0] * 8)
        self.outlet.advance(60.0)
        self.assertEqual(sum(self.answered(Wanted(OTHER, [100, 100])) for _ in range(1000)), 281)

    def test_whatIsTooOldToBeSentCountsToo(self) -> None:
        """It is looked for, and said to be gone, one by one."""
        self.begin(historyTime=100.0)
        for number in range(1, 101):
            self.come(message(number, age=200), self.a)
        self.outlet.advance(1.0)
        self.sent()
        for _ in range(100):
            self.come(Graft([Wanted(OTHER, [1, 100])], False), self.b)
        self.assertEqual(len(self.sent()), 5)

    def test_whatEachNeighbourAsksForNowAndThenIsAlwaysSent(self) -> None:
        """All that there was, and then all that comes, several times, in whatever parts, though the window be short."""
        for kept, size in ((5, 900), (100, 0), (100, 999)):
            self.begin(historyMessages=kept)
            for number in range(1, kept + 1):
                self.come(message(number, payload=bytes(size)), self.a)
            self.sent()
            for number in range(1, kept + 1):
                self.assertEqual(self.answered(Wanted(OTHER, [number, number])), 1)
            for number in range(kept + 1, 10 * kept):
                # Small ones and large ones by turns.
                self.come(message(number, payload=bytes(size * (number % 2))), self.a)
                self.sent()
                self.assertEqual(self.answered(Wanted(OTHER, [number, number])), 1)
                self.assertEqual(self.answered(Wanted(OTHER, [number - 1, number])), 2)

    def test_whatIsAskedForInManyPartsIsSent(self) -> None:
        """And with it what is between them, where there are too many."""
        self.begin(historyMessages=300)
        for number in range(1, 501):
            self.come(message(number), self.a)
        for number in range(450, 200, -1):
            self.come(message(number, origin=THIRD), self.a)
        self.sent()
        wanted = [Wanted(OTHER, [n, n]) for n in range(481, 501, 2)] + [Wanted(THIRD, [n, n]) for n in range(1, 400, 2)]
        for _ in range(2):
            self.come(Graft(wanted, False), self.b)
            sent = {(what.origin, what.sequence) for _, what in self.sent() if isinstance(what, Message)}
            self.assertLessEqual({(OTHER, number) for number in range(481, 501, 2)}, sent)
            self.assertLessEqual({(THIRD, number) for number in range(201, 400, 2)}, sent)
            self.assertNotIn((OTHER, 482), sent)


class LargeTests(OnePeer):
    """Payloads that are announced and asked for."""

    def test_theyAreAnnouncedToAllAndSentToWhoAsks(self) -> None:
        """At once, to eager and lazy alike."""
        self.begin()
        self.pruned(self.b)
        large = bytes(1000)
        self.tree.publish(ME, large, 0.0)
        said = have(1, 1, origin=ME, now=True)
        self.assertEqual(self.sent(), [(near, said) for near in (self.a, self.c, self.b)])
        self.come(Graft([Wanted(ME, [1, 1])], False), self.b)
        self.assertEqual(self.sent(), [(self.b, Message(ME, 1, 1, large))])
        self.outlet.advance(5.0)
        self.assertEqual(self.sent(), [])

    def test_oneIsAskedAtATime(self) -> None:
        """Who announces it first, at once; a second one not while the first one's answer is on its way."""
        self.begin(pullTimeout=10.0)
        for near in self.neighbours:
            self.come(have(1, 1, now=True), near)
        self.assertEqual(self.sent(), [(self.a, Graft([Wanted(OTHER, [1, 1])], False))])
        for second in range(1, 40):
            # It comes, slowly.
            self.a.arriving = 100 * second
            self.outlet.advance(float(second))
        self.assertEqual(self.sent(), [])
        self.outlet.advance(52.0)
        self.assertEqual(self.sent(), [(self.b, Graft([Wanted(OTHER, [1, 1])], False))])
        self.come(message(1, payload=bytes(1000)), self.a)
        self.assertEqual(self.sent(), [(near, have(1, 1, hops=2, now=True)) for near in (self.b, self.c)])
        self.outlet.advance(100.0)
        self.assertEqual(self.sent(), [])

    def test_signsOfAnAnswerAreNoAnswer(self) -> None:
        """Who claims all numbers of an origin and sends a byte a second does not keep its messages away for long."""
        self.begin(pullTimeout=10.0)
        self.come(have(2, 2**63 - 1, now=True), self.a)
        self.assertEqual([near for near, _ in self.sent()], [self.a])
        self.come(have(2, 2, now=True), self.b)
        for second in range(1, 60):
            self.a.arriving = second
            self.outlet.advance(float(second))
        self.assertEqual(self.sent(), [])
        for second in range(60, 70):
            self.a.arriving = second
            self.outlet.advance(float(second))
        self.assertEqual(self.sent(), [(self.b, Graft([Wanted(OTHER, [2, 2])], False))])
        self.come(message(2, payload=bytes(1000)), self.b)
        self.sent()
        # He is asked again, and not waited for.
        self.come(have(3, 2**63 - 1, now=True), self.a)
        self.come(have(3, 3, now=True), self.b)
        self.assertEqual([near for near, _ in self.sent()], [self.a, self.b])

    def test_furtherQuestionsPutNothingOff(self) -> None:
        """Who goes on announcing, and sends nothing, is waited for no longer; who sends what he announced is."""
        for sends in (False, True):
            self.begin(pullTimeout=10.0)
            begin = 0 if sends else 6000
            if not sends:
                self.come(have(2, 5000, now=True), self.a)
                self.come(have(2, 2, now=True), self.b)
            self.sent()
            for second in range(1, 200):
                self.outlet.advance(float(second))
                self.come(have(begin + second, begin + second, now=True), self.a)
                if sends and second > 5:
                    self.come(message(second - 5, payload=bytes(1000)), self.a)
            asked = {near for near, what in self.sent() if isinstance(what, Graft) and near is not self.a}
            self.assertEqual(asked, set() if sends else {self.b})
            self.assertEqual(self.a in self.tree._repair._distrusted, not sends)

    def test_nobodyHasAllNumbersOfAnOrigin(self) -> None:
        """Of what is announced so many are asked for; the first, since they come first."""
        self.begin()
        self.come(have(2, 2**63 - 1, now=True), self.a)
        self.assertEqual(self.sent(), [(self.a, Graft([Wanted(OTHER, [2, 1 + ANNOUNCED])], False))])

    def test_severalOfOneOriginDoNotWaitForEachOther(self) -> None:
        """Each is asked for as it is announced."""
        self.begin()
        for number in (1, 2, 3):
            self.come(have(number, number, now=True), self.a)
        self.assertEqual(self.sent(), [(self.a, Graft([Wanted(OTHER, [n, n])], False)) for n in (1, 2, 3)])


class WindowTests(OnePeer):
    """What is announced and cannot be kept until it is asked for."""

    large = bytes(1000)

    def publish(self, payload: bytes = large) -> None:
        """A message of its own."""
        self.tree.publish(ME, payload, self.outlet.now)
        self.outlet.take("deliver")

    def payloads(self) -> list[tuple[FakeNeighbour, int]]:
        """The numbers that were sent since this was last called, and to whom."""
        return [(near, what.sequence) for near, what in self.sent() if isinstance(what, Message)]

    def test_whoHasNotAskedIsSentItBeforeItIsForgotten(self) -> None:
        """By number or by size; but nobody who has asked, or has shown that he has it, nor one whose link has ended."""
        for short in ({"historyMessages": 2}, {"historyBytes": 2500}):
            for shows in (message(1, 2, ME, self.large), have(1, 1, origin=ME, now=True), have(1, 9, origin=ME),
                          Graft([Wanted(ME, [1, 1])], False), Prune()):  # fmt: skip
                self.begin(**short)
                self.publish()
                self.publish()
                self.come(shows, self.a)
                self.tree.neighbourDown(self.b, "lost", 0.0)
                self.sent()
                self.publish()
                still = [self.a, self.c] if isinstance(shows, Prune) else [self.c]
                sent = self.sent()
                self.assertEqual(sent[: len(still)], [(near, Message(ME, 1, 1, self.large)) for near in still])
                announced = [near for near, what in sent[len(still) :] if what == have(3, 3, origin=ME, now=True)]
                self.assertEqual(len(sent), len(still) + len(announced))
                self.assertEqual(set(announced), {self.a, self.c})

    def test_itIsSoInTheMidstOfATree(self) -> None:
        """Others' messages too; not to who brought them, and with their age and their hops."""
        self.begin(historyMessages=1)
        self.come(message(1, 3, payload=self.large, age=2), self.a)
        self.sent()
        self.outlet.advance(4.5)
        self.come(message(2, 3, payload=self.large), self.b)
        pushed = Message(OTHER, 1, 4, self.large, 7)
        self.assertEqual(
            self.sent(),
            [(self.b, pushed), (self.c, pushed), (self.a, have(2, 2, hops=4, now=True)),
             (self.c, have(2, 2, hops=4, now=True))],
        )  # fmt: skip

    def test_whoAnnouncedItBeforeItCameIsNotOwedIt(self) -> None:
        """Whether he was asked for it or somebody else, and whether it can be kept here or not; he is told once."""
        for kept in (True, False):
            self.begin(historyMessages=2 if kept else 0)
            self.come(have(1, 1, now=True), self.a)
            self.come(have(1, 1, now=True), self.b)
            self.come(message(1, payload=self.large), self.c)
            said = [(near, what) for near, what in self.sent() if not isinstance(what, Graft)]
            self.assertEqual(said, [(near, have(1, 1, hops=2, now=True)) for near in (self.a, self.b)])
            for number in (2, 3):
                self.come(message(number, payload=self.large), self.a)
            self.assertNotIn(1, [number for _, number in self.payloads()])

    def test_whoWasOnlyAskedForItIsOwedItLikeAnyOther(self) -> None:
        """About a hole those are asked who have said nothing of it; not any more, once one has said that he has it."""
        for window in ({"historyMessages": 1}, {"historyBytes": 500}):
            for says in (False, True):
                self.begin(repairDelay=1.0, **window)
                for number in (1, 3):
                    self.come(message(number), self.a)
                self.sent()
                self.outlet.advance(1.0)
                ((asked, what),) = self.sent()
                self.assertEqual(what, Graft([Wanted(OTHER, [2, 2])], False))
                self.assertIsNot(asked, self.a)
                if says:
                    self.come(have(2, 2, now=True), asked)
                for number in (2, 4):
                    self.come(message(number, payload=self.large), self.a)
                owed = [near for near in (self.b, self.c) if near is not asked or not says]
                self.assertEqual([near for near, number in self.payloads() if number == 2], owed)

    def test_whatHeSaidOfOthersOrTookBackIsNoWordOfIt(self) -> None:
        """Who is asked for a hole, and for what he has, said nothing of the hole; who lacks it after all has it not."""
        for lacks in (False, True):
            self.begin(repairDelay=1.0, historyMessages=1)
            self.come(message(1), self.a)
            if lacks:
                asked = self.b
                self.come(IHave([Announced(OTHER, 1, [2, 2, 4, 4])], True), asked)
                self.come(Lack([Wanted(OTHER, [2, 2])], []), asked)
            else:
                self.come(message(3), self.a)
                self.outlet.advance(1.0)
                ((asked, _),) = [told for told in self.sent() if isinstance(told[1], Graft)]
                self.come(have(4, 4, now=True), asked)
            self.come(message(4, payload=self.large), self.a)
            self.assertEqual(self.tree.promised(asked), 0)
            self.come(message(2, payload=self.large), self.a)
            self.assertEqual(self.tree.promised(asked), 1064)

    def test_whatANewNeighbourHasIsNotOwedToIt(self) -> None:
        """It may have been announced to it just before it said so."""
        self.begin(historyMessages=1)
        new = FakeNeighbour(20)
        self.tree.neighbourUp(new, 0.0)
        self.publish()
        self.come(Have([Held(ME, 1, [])], True), new)
        self.sent()
        self.publish()
        self.assertEqual(self.payloads(), [(near, 1) for near in self.neighbours])

    def test_whatCannotBeKeptAtAllIsSentAtOnce(self) -> None:
        """To all, since nobody could ask for it: the small ones too, though a neighbour be lazy."""
        for nothing in ({"historyMessages": 0}, {"historyBytes": 999}, {"historyTime": 0.0}, {"maxBacklog": 1998}):
            self.begin(maxPayload=1000, **nothing)
            self.pruned(self.b)
            self.publish()
            self.assertEqual(
                self.sent(), [(near, Message(ME, 1, 1, self.large)) for near in (self.a, self.c, self.b)]
            )
        for nothing in ({"historyMessages": 0}, {"historyTime": 0.0}):
            self.begin(**nothing)
            self.pruned(self.b)
            self.come(message(1, 2), self.a)
            self.assertEqual(self.sent(), [(near, message(1, 3)) for near in (self.c, self.b)])
            self.outlet.advance(1.0)
            self.tree.tick(1.0)
            self.assertEqual(self.sent(), [])

    def test_noMoreIsPromisedThanALinkBears(self) -> None:
        """The rest is sent at once, with the frames that many small ones take reckoned in."""
        self.begin(announceSize=0, maxBacklog=2000, maxPayload=1000)
        for _ in range(20):
            self.publish(b"")
        sent = [near for near, what in self.sent() if isinstance(what, Message)]
        self.assertEqual(sent, 5 * self.neighbours)
        self.assertEqual([self.tree.promised(near) for near in self.neighbours], 3 * [15 * 64])

    def test_whoIsLazyIsSentWhatIsForgottenBeforeHeCouldAskForIt(self) -> None:
        """Unless he has said that he has it; not what he was sent when eager, nor what he had time to ask for."""
        self.begin(historyMessages=2)
        self.come(message(1, 2), self.a)
        self.outlet.advance(1.0)
        self.pruned(self.b, self.c)
        self.outlet.advance(2.0)
        for number in (2, 3):
            self.come(message(number, 2), self.a)
        self.come(have(3, 3), self.b)
        self.assertEqual(self.payloads(), [])
        self.come(message(4, 2), self.a)
        self.assertEqual(self.sent(), [(near, message(2, 3)) for near in (self.b, self.c)])
        self.come(message(5, 2), self.a)
        self.assertEqual(self.payloads(), [(self.c, 3)])
        self.outlet.advance(2.0 + LATELY)
        self.come(message(6, 2), self.a)
        self.assertEqual(self.payloads(), [])

    def test_whoHasItInAnyWayIsNotSentIt(self) -> None:
        """He has announced it, or sent it, or had it when his link came up; and none of that is remembered for long."""
        new = FakeNeighbour(20)
        for says in (have(1, 1), message(1), Have([Held(OTHER, 1, [])], True)):
            self.begin(historyMessages=1)
            self.tree.tick(0.0)
            self.tree.neighbourUp(new, 0.0)
            self.pruned(new)
            self.come(message(1, 2), self.a)
            self.come(says, new)
            self.sent()
            self.come(message(2, 2), self.a)
            self.assertNotIn(new, [near for near, _ in self.payloads()])
            if type(says) is Have:
                self.tree.neighbourDown(new, "lost", 0.0)
            else:
                self.tree.tick(LATELY)
                self.tree.tick(2 * LATELY)
            self.assertFalse(self.tree._heard.has(new, OTHER, 1))

    def test_whoHasJustBecomeEagerWasLazyWhenItCame(self) -> None:
        """So he is sent it too; and so is who was eager for a moment only."""
        for again in (False, True):
            self.begin(historyMessages=1)
            self.pruned(self.b)
            self.outlet.advance(1.0)
            self.come(message(1, 2), self.a)
            self.outlet.advance(2.0)
            self.come(Graft([], True), self.b)
            if again:
                self.come(Prune(), self.b)
            self.sent()
            self.come(message(2, 2), self.a)
            self.assertIn((self.b, 1), self.payloads())
            self.outlet.advance(3.0)
            for number in (3, 4):
                self.come(message(number, 2), self.a)
            # What came since goes to him once, as it comes or as it is forgotten.
            sent = [number for near, number in self.payloads() if near is self.b]
            self.assertEqual(sent, [2, 3] if again else [2, 3, 4])
            self.tree.neighbourDown(self.b, "lost", 3.0)
            self.assertEqual((self.tree._lazySince, self.tree._grafts), ({}, {}))
            self.come(message(5, 2), self.a)
            self.assertNotIn(self.b, [near for near, _ in self.payloads()])

    def test_aPromiseIsKeptHoweverOldTheMessage(self) -> None:
        """It is sent to who asks late, and to who has not asked when it is forgotten for its age."""
        self.begin(historyTime=3.0)
        self.publish()
        self.come(message(1, payload=self.large, age=2), self.a)
        self.sent()
        self.outlet.advance(3.0)
        self.come(Graft([Wanted(ME, [1, 1]), Wanted(OTHER, [1, 1])], False), self.b)
        self.assertEqual(
            self.sent(), [(self.b, Message(ME, 1, 1, self.large, 3)), (self.b, message(1, 2, OTHER, self.large, 5))]
        )
        # Once; after that, it is as old as for anybody.
        self.come(Graft([Wanted(OTHER, [1, 1])], False), self.b)
        self.assertEqual(self.sent(), [(self.b, Lack([], [Gone(OTHER, [1, 1], 5.0)]))])
        self.outlet.advance(4.0)
        self.tree.tick(4.0)
        self.assertEqual(self.payloads(), [(self.a, 1), (self.c, 1), (self.c, 1)])

    def test_noAgeIsTooHighToBePassedOn(self) -> None:
        """Who was told of the highest that may be, is no liar when he sends it on."""
        self.begin(historyTime=10.0)
        self.come(message(3, payload=self.large, age=2**63 - 1), self.a)
        self.come(Lack([], [Gone(OTHER, [1, 2], MAX_GONE_AGE)]), self.a)
        self.outlet.advance(5.0)
        self.come(Graft([Wanted(OTHER, [1, 3])], False), self.b)
        self.outlet.advance(15.0)
        self.tree.tick(15.0)
        sent = [what for _, what in self.sent()]
        for what in sent:
            self.assertEqual(list(Decoder(2**20).feed(encode(what))), [what])
        self.assertEqual([type(what) for what in sent], [IHave, IHave, Message, Lack, Message])

    def test_whatWasSentIsNotOwedAnyMore(self) -> None:
        """Nothing is remembered of it."""
        self.begin(historyMessages=3)
        for _ in range(10):
            self.publish()
        for near in self.neighbours:
            self.come(Graft([Wanted(ME, [1, 10])], False), near)
        self.assertEqual(len([what for _, what in self.sent() if isinstance(what, Message)]), 30)
        self.assertFalse(self.tree._history.promises.owing)
        self.publish()
        self.assertEqual(self.tree.promised(self.a), 1064)
        for near in self.neighbours:
            self.tree.neighbourDown(near, "lost", 0.0)
        self.assertFalse(self.tree._history.promises.owing)


class BatchTests(OnePeer):
    """Several messages in one frame."""

    def test_theFirstGoesAtOnceAndTheNextTogether(self) -> None:
        """To each what it did not bring itself."""
        self.begin(batchDelay=0.1)
        self.outlet.advance(1.0)
        self.come(message(1), self.a)
        self.assertEqual(self.sent(), [(self.b, message(1, 2)), (self.c, message(1, 2))])
        self.come(message(2), self.a)
        self.come(message(1, origin=THIRD), self.b)
        self.assertEqual(self.sent(), [])
        self.outlet.advance(1.1)
        both = Batch([message(2, 2), message(1, 2, THIRD)])
        self.assertEqual(
            self.sent(), [(self.c, both), (self.a, message(1, 2, THIRD)), (self.b, message(2, 2))]
        )
        self.assertEqual(self.delivered(), [1, 2, 1])

    def test_aBatchIsItsMessages(self) -> None:
        """As if they had come one by one."""
        self.begin()
        self.come(Batch([message(1), message(2), message(1)]), self.a)
        self.assertEqual(self.delivered(), [1, 2])
        self.assertEqual(self.tree.duplicates, 1)

    def test_itIsBounded(self) -> None:
        """What is too much for a frame is sent before it is."""
        self.begin(batchDelay=5.0, announceSize=2**20)
        self.come(message(1), self.a)
        self.sent()
        for number in range(2, 12):
            self.come(message(number, payload=bytes(BATCH_BYTES // 4)), self.a)
        sizes = [sum(len(each.payload) for each in what.messages) for near, what in self.sent() if near is self.b]
        self.assertEqual(len(sizes), 2)
        self.assertTrue(all(size < 1.2 * BATCH_BYTES for size in sizes))

    def test_whoBecomesLazyMeanwhileIsSentWhatWaits(self) -> None:
        """It would be neither sent nor announced else: whether it prunes, or is pruned."""
        for prunes in (True, False):
            self.begin(batchDelay=5.0)
            self.come(message(1), self.a)
            self.come(message(2), self.a)
            self.sent()
            self.come(Prune() if prunes else message(1), self.b)
            self.assertIn((self.b, message(2, 2)), self.sent())
            self.assertNotIn(self.b, self.tree.eager)

    def test_whoLinksUpMeanwhileGetsNothingTwice(self) -> None:
        """What waits is sent before, and is in what the new one is told."""
        self.begin(batchDelay=5.0)
        self.come(message(1), self.a)
        self.come(message(2), self.a)
        self.sent()
        new = FakeNeighbour(20)
        self.tree.neighbourUp(new, 1.0)
        self.assertEqual([what for near, what in self.sent() if near is new], [Have([Held(OTHER, 2, [])], True)])
        self.outlet.advance(20.0)
        self.assertNotIn(new, [near for near, _ in self.sent()])


class HoleTests(OnePeer):
    """Numbers that are missing."""

    def test_aHoleIsAskedForInTurn(self) -> None:
        """After C{repairDelay}, of one neighbour after the other, at most C{repairRounds}; none becomes eager by it."""
        self.begin(repairDelay=1.0, repairRounds=4)
        self.come(message(1), self.a)
        self.come(message(4), self.a)
        self.sent()
        self.outlet.advance(0.9)
        self.assertEqual(self.sent(), [])
        asked = []
        for _ in range(100):
            self.outlet.advance(self.outlet.now + 1.0)
            for near, what in self.sent():
                self.assertEqual(what, Graft([Wanted(OTHER, [2, 3])], False))
                asked.append(near)
                self.come(Lack([Wanted(OTHER, [2, 3])], []), near)
        self.assertEqual(len(asked), 4)
        self.assertEqual(set(asked), set(self.neighbours))
        self.assertEqual(self.outlet.timers, [])

    def test_oneThatIsFilledIsNot(self) -> None:
        """It was only late; and one that has just come up waits its time."""
        self.begin(repairDelay=1.0)
        self.come(message(2), self.a)
        self.outlet.advance(0.5)
        self.come(message(1), self.b)
        self.come(message(4), self.b)
        self.sent()
        self.outlet.advance(1.1)
        self.assertEqual(self.sent(), [])
        self.outlet.advance(2.1)
        self.assertEqual([what for _, what in self.sent()], [Graft([Wanted(OTHER, [3, 3])], False)])

    def test_whatNobodyKeepsIsLost(self) -> None:
        """C{lossDelay} after somebody who had it said so, unless another one sends it; said once."""
        self.begin(lossDelay=10.0)
        self.outlet.advance(100.0)
        self.tree.tick(100.0)
        for number in (1, 6):
            self.come(message(number), self.a)
        self.come(Lack([], [Gone(OTHER, [2, 5], 3.0)]), self.b)
        self.come(message(3), self.c)
        self.tree.tick(109.0)
        self.assertEqual(self.outlet.take("lost"), [])
        for now in (110.0, 111.0, 500.0, 1000.0):
            self.tree.tick(now)
        self.assertEqual(self.outlet.take("lost"), [(OTHER, 2, 2), (OTHER, 4, 5)])
        self.delivered()
        self.come(message(4), self.c)
        self.assertEqual(self.delivered(), [4])

    def test_whatWasBeforeItsTimeIsNotLost(self) -> None:
        """It was seen, by who says that it is gone, before this peer was up."""
        self.begin()
        self.outlet.advance(100.0)
        self.tree.tick(100.0)
        self.come(message(6), self.a)
        self.assertEqual(self.tree.settled(OTHER), 0)
        self.come(Lack([], [Gone(OTHER, [1, 5], 100.0)]), self.b)
        self.assertEqual(self.tree.settled(OTHER), 6)
        # Who comes later is told so too.
        self.sent()
        self.come(Graft([Wanted(OTHER, [1, 5])], False), self.c)
        self.assertEqual(self.sent(), [(self.c, Lack([], [Gone(OTHER, [1, 5], 100.0)]))])
        for now in (150.0, 500.0, 1000.0):
            self.tree.tick(now)
        self.assertEqual(self.outlet.take("lost"), [])

    def test_whatNeverComesIsLostWithTheWindow(self) -> None:
        """When nobody can keep it any more."""
        self.begin(historyTime=300.0)
        for number in (1, 3):
            self.come(message(number), self.a)
        for now in range(0, 300, 10):
            self.tree.tick(float(now))
        self.assertEqual(self.outlet.take("lost"), [])
        for now in range(300, 500, 10):
            self.tree.tick(float(now))
        self.assertEqual(self.outlet.take("lost"), [(OTHER, 2, 2)])
        self.assertEqual(self.tree.settled(OTHER), 3)

    def test_aNewNeighboursHaveIsAnAnnouncement(self) -> None:
        """What it has is asked for at once, of one that has it."""
        self.begin()
        self.come(message(1), self.a)
        self.sent()
        first, second = FakeNeighbour(20), FakeNeighbour(21)
        for new in (first, second):
            self.tree.neighbourUp(new, 0.0)
        self.sent()
        held = [Held(OTHER, 5, [3, 3]), Held(THIRD, 2, [])]
        self.come(Have(held, False), first)
        self.assertEqual(self.sent(), [])
        self.come(Have([], True), first)
        self.assertEqual(self.sent(), [(first, Graft([Wanted(OTHER, [2, 2, 4, 5]), Wanted(THIRD, [1, 2])], False))])
        self.come(Have([Held(OTHER, 5, [])], True), second)
        self.assertEqual(self.sent(), [(second, Graft([Wanted(OTHER, [3, 3])], False))])


Step = tuple[str, int, int, float]


def steps() -> st.SearchStrategy[list[Step]]:
    """What may happen to a mesh: links made and cut, messages small and large, time."""
    what = st.sampled_from(["link", "link", "cut", "say", "say", "say", "large"])
    return st.lists(
        st.tuples(what, st.integers(0, 5), st.integers(0, 5), st.sampled_from([0.0, 0.01, 0.05, 0.3, 2.0])), max_size=40
    )


class MeshTests(SynchronousTestCase):
    """Many of them."""

    def everything(self, mesh: Mesh, published: set[tuple[bytes, int]]) -> None:
        """Each has got each message once, none was given up, and nobody is busy any more."""
        for node in mesh.nodes:
            got = [(origin, number) for origin, number, _, _ in node.got]
            self.assertEqual(len(got), len(set(got)))
            self.assertEqual(set(got), published)
            self.assertEqual(node.lostNumbers, [])

    @settings(max_examples=60, deadline=None)
    @given(steps(), st.integers(0, 1000), st.sampled_from(["plumtree", "flood"]), st.sampled_from([0.0, 0.1]))
    def test_whoeverIsConnectedInTheEndHasEverythingOnce(
        self, happening: list[Step], seed: int, name: str, batch: float
    ) -> None:
        """Whatever links came and went meanwhile, and in whatever order; within ten seconds of the last change."""
        mesh = Mesh(6, name, seed, announceSize=100, batchDelay=batch)
        published = set()
        for what, one, other, pause in happening:
            here, there = mesh.nodes[one], mesh.nodes[other]
            if what == "link":
                mesh.link(here, there)
            elif what == "cut":
                mesh.cut(here, there)
            else:
                made = here.publish(bytes(200) if what == "large" else b"small")
                published.add((made.origin, made.sequence))
            mesh.run(pause)
        for here, there in zip(mesh.nodes, mesh.nodes[1:], strict=False):
            mesh.link(here, there)
        mesh.run(10.0)
        self.everything(mesh, published)

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 5), st.integers(1, 8), st.sampled_from([0.0, 0.01, 0.3])), max_size=30),
        st.integers(0, 1000),
        st.sampled_from([
            {"historyMessages": 0}, {"historyMessages": 1}, {"historyMessages": 7}, {"historyBytes": 0},
            {"historyBytes": 1000}, {"historyTime": 0.0}, {"historyTime": 0.05}, {"maxBacklog": 1500},
        ]),
        st.sampled_from(["plumtree", "flood"]),
        st.sampled_from([(5,), (200,), (5, 5, 5, 200)]),
    )  # fmt: skip
    def test_aShortWindowLosesNothingOverLinksThatLast(
        self, bursts: list[tuple[int, int, float]], seed: int, window: dict[str, Any], name: str, sizes: tuple[int]
    ) -> None:
        """Payloads large and small, in bursts that no window holds, get to everyone by way of others."""
        mesh = Mesh(6, name, seed, announceSize=100, **window)
        for here, there in zip(mesh.nodes, mesh.nodes[1:], strict=False):
            mesh.link(here, there)
        mesh.link(mesh.nodes[0], mesh.nodes[3])
        mesh.run(0.5)
        published = set()
        for origin, count, pause in bursts:
            for _ in range(count):
                made = mesh.nodes[origin].publish(bytes(mesh.random.choice(sizes)))
                published.add((made.origin, made.sequence))
            mesh.run(pause)
        mesh.run(10.0)
        self.everything(mesh, published)

    def test_aTreeIsMadeAndChangedWithoutLossHoweverShortTheWindow(self) -> None:
        """One sender or many, links that last, small payloads: the tree is cut meanwhile, and nobody can be asked."""
        windows: list[dict[str, Any]] = [{"historyMessages": 1}, {"historyMessages": 10}, {"historyTime": 0.1}]
        for seed, window in enumerate(3 * windows):
            mesh = Mesh(8, "plumtree", seed, **window)
            mesh.regular(4)
            mesh.run(1.0)
            published = set()
            for _ in range(150):
                made = (mesh.nodes[0] if seed % 2 else mesh.random.choice(mesh.nodes)).publish(b"x")
                published.add((made.origin, made.sequence))
                mesh.run(mesh.random.choice([0.0, 0.0, 0.01, 0.1]))
            mesh.run(10.0)
            self.everything(mesh, published)

    def test_aWindowThatTurnsOverInTimeMakesNoCopies(self) -> None:
        """Nobody is sent what he has from elsewhere, if his own word of it is here before it is forgotten."""
        mesh = Mesh(12, announceSize=100, historyMessages=10)
        mesh.regular(4)
        mesh.run(1.0)
        for _ in range(60):
            mesh.random.choice(mesh.nodes).publish(bytes(200))
            mesh.run(0.3)
        mesh.run(5.0)
        self.assertEqual({len(node.got) for node in mesh.nodes}, {60})
        self.assertEqual(mesh.copies, 60 * 11)

    def test_linksThatEndAsTheyAreUsed(self) -> None:
        """In the midst of whatever is being done: nothing is lost by it, nor anything delivered twice."""
        for seed in (*range(30), 160, 296, 327):
            random = Random(seed)
            name = random.choice(["plumtree", "plumtree", "flood"])
            mesh = Mesh(8, name, seed, announceSize=100, batchDelay=random.choice([0.0, 0.1]))
            mesh.breaking = random.choice([0.02, 0.1])
            published = set()
            for _ in range(60):
                here, there = random.sample(mesh.nodes, 2)
                if random.random() < 0.5 and there not in here.ends and here not in there.ends:
                    mesh.link(here, there)
                else:
                    made = here.publish(bytes(200) if random.random() < 0.2 else b"small")
                    published.add((made.origin, made.sequence))
                mesh.run(random.choice([0.0, 0.01, 0.05, 0.3]))
            mesh.breaking = 0.0
            mesh.run(0.2)
            for here, there in zip(mesh.nodes, mesh.nodes[1:], strict=False):
                mesh.link(here, there)
            mesh.run(10.0)
            self.everything(mesh, published)

    def test_halfOfTheTreeDiesAndTheRestMendsIt(self) -> None:
        """What is published while half of all links break is everywhere a few seconds later; the tree is one again."""
        mesh = Mesh(60, latency=lambda random: 0.02)
        mesh.regular(6)
        mesh.run(2.0)
        mesh.nodes[0].publish(b"settle")
        mesh.run(2.0)
        for node in mesh.nodes:
            node.got.clear()
        published = set()
        links = mesh.links()
        mesh.random.shuffle(links)
        for one, two in links[: len(links) // 2]:
            mesh.cut(one, two)
            if mesh.random.random() < 0.5:
                made = mesh.random.choice(mesh.nodes).publish(b"x")
                published.add((made.origin, made.sequence))
            mesh.run(0.01)
        reached, todo = {mesh.nodes[0]}, [mesh.nodes[0]]
        while todo:
            for other in todo.pop().ends:
                if other not in reached:
                    reached.add(other)
                    todo.append(other)
        for node in mesh.nodes:
            if node not in reached:
                mesh.link(mesh.nodes[0], node)
        mesh.run(8.0)
        self.everything(mesh, published)
        for _ in range(5):
            mesh.forget()
            mesh.nodes[0].publish(b"and now?")
            mesh.run(5.0)
        self.assertEqual(mesh.copies, 59)

    def test_manySendersKeepOneTree(self) -> None:
        """Their messages do not cut it: hardly more than one copy for each, once it is there."""
        mesh = Mesh(40, latency=lambda random: 0.05)
        mesh.regular(5)
        mesh.run(2.0)
        mesh.nodes[0].publish(b"settle")
        mesh.run(3.0)
        mesh.forget()
        for _ in range(500):
            mesh.random.choice(mesh.nodes).publish(b"x")
            mesh.run(0.02)
        mesh.run(5.0)
        self.assertEqual({len(node.got) for node in mesh.nodes}, {500})
        self.assertLess(mesh.copies, 1.05 * 500 * 39)

    def test_aLargePayloadTravelsOncePerPeer(self) -> None:
        """On slow links, in a graph full of circles, with no tree yet: no second copy is so much as begun."""
        mesh = Mesh(20, bandwidth=100_000.0, announceSize=10_000)
        mesh.regular(5)
        mesh.run(2.0)
        for _ in range(3):
            mesh.random.choice(mesh.nodes).publish(bytes(200_000))
            mesh.run(1.0)
        mesh.run(60.0)
        self.assertEqual({len(node.got) for node in mesh.nodes}, {3})
        self.assertEqual(set(mesh.started.values()), {1})
        self.assertLess(sum(mesh.bytes.values()), 1.05 * 3 * 19 * 200_000)

    def test_beyondTheWindowItIsSaid(self) -> None:
        """Who was cut off for longer than others keep messages gets what there is, and is told what there is not."""
        for name in ("plumtree", "flood"):
            mesh = Mesh(4, name, historyMessages=20)
            for here, there in zip(mesh.nodes, mesh.nodes[1:], strict=False):
                mesh.link(here, there)
            first, last = mesh.nodes[0], mesh.nodes[3]
            first.publish(b"before")
            mesh.run(30.0)
            mesh.cut(mesh.nodes[2], last)
            for _ in range(50):
                first.publish(b"meanwhile")
                mesh.run(0.1)
            mesh.link(mesh.nodes[2], last)
            mesh.run(30.0)
            numbers = [number for _, number, _, _ in last.got]
            self.assertEqual(sorted(numbers), [1, *range(32, 52)])
            self.assertEqual(last.lostNumbers, [(first.identity, 2, 31)])
            self.assertEqual([node.lostNumbers for node in mesh.nodes[:3]], [[], [], []])

    def test_nothingIsPassedOverHoweverManyOriginsANewNeighbourTellsOf(self) -> None:
        """More than one neighbour may speak of at a time are asked for by and by."""
        for name in ("plumtree", "flood"):
            mesh = Mesh(2, name, maxOrigins=1000)
            old, new = mesh.nodes
            for number in range(1000):
                old.broadcast.publish(identity(1000 + number), b"once", mesh.now)
            mesh.link(old, new)
            mesh.run(30.0)
            self.assertEqual(len({origin for origin, *_ in new.got}), 1000)
            self.assertEqual(new.lostNumbers, [])

    def test_aNewcomerHasLostNothing(self) -> None:
        """What was before its time is not its loss, even if its neighbour is as new."""
        for name in ("plumtree", "flood"):
            mesh = Mesh(4, name, historyMessages=20)
            old, second, third, fourth = mesh.nodes
            mesh.link(old, second)
            for _ in range(50):
                old.publish(b"before")
                mesh.run(0.5)
            third.broadcast = fourth.broadcast = None
            for node, to in ((third, second), (fourth, third)):
                node.begin()
                mesh.run(1.0)
                mesh.link(to, node)
                mesh.run(5.0)
            for _ in range(3):
                old.publish(b"after")
                mesh.run(1.0)
            mesh.run(400.0)
            self.assertEqual([node.lostNumbers for node in mesh.nodes], [[], [], [], []])
            self.assertEqual(fourth.broadcast.settled(old.identity), 53)
            self.assertEqual(sorted(number for _, number, _, _ in fourth.got)[-4:], [50, 51, 52, 53])

    def test_eachNumberIsDeliveredOrCalledLost(self) -> None:
        """
        One or the other, and once, by each peer, of all that is published from when it started.

        However short the window, whoever starts anew meanwhile, and whatever links come and go: in the end all are
        connected, and everyone publishes once more.
        """
        for seed in range(80):
            random = Random(seed)
            short: dict[str, Any] = {
                "historyMessages": random.choice([3, 10, 50]),
                "historyTime": random.choice([5.0, 20.0, 60.0]),
                "lossDelay": random.choice([2.0, 10.0]),
            }
            mesh = Mesh(random.choice([4, 6, 9]), random.choice(["plumtree", "flood"]), seed, **short)
            senders, newcomers = mesh.nodes[:-2], mesh.nodes[-2:]
            began = dict.fromkeys(mesh.nodes, 0.0)
            published: dict[tuple[bytes, int], float] = {}
            for _ in range(60):
                for _ in range(random.choice([0, 1, 3])):
                    self.publish(random.choice(senders), published)
                mesh.run(random.choice([0.1, 1.0, 5.0, 20.0]))
                chance = random.random()
                if chance < 0.4:
                    links = mesh.links()
                    for one, two in random.sample(links, min(len(links), random.choice([1, 1, 5]))):
                        mesh.cut(one, two)
                elif chance < 0.5:
                    node = random.choice(newcomers)
                    for other in list(node.ends):
                        mesh.cut(node, other)
                    node.begin()
                    node.got.clear()
                    node.lostNumbers.clear()
                    began[node] = mesh.now
                elif chance < 0.75:
                    self.connect(mesh, random)
                else:
                    mesh.link(*random.sample(mesh.nodes, 2))
            self.connect(mesh, random)
            mesh.run(1.0)
            for node in senders:
                self.publish(node, published)
            mesh.run(400.0)
            for node in mesh.nodes:
                got = [(origin, number) for origin, number, _, _ in node.got]
                lost = [(at, number) for at, low, high in node.lostNumbers for number in range(low, high + 1)]
                self.assertEqual((len(got), len(lost)), (len(set(got)), len(set(lost))), (seed, node))
                # It knows that it is there from its first second on.
                due = {this for this, when in published.items() if when > began[node] + 1}
                self.assertEqual(due - {*got, *lost}, set(), (seed, node))
                self.assertLessEqual(set(lost), set(published), (seed, node))

    def publish(self, node: Node, published: dict[tuple[bytes, int], float]) -> None:
        """Publish a message, and note when."""
        message = node.publish(b"x")
        published[message.origin, message.sequence] = node.mesh.now

    def connect(self, mesh: Mesh, random: Random) -> None:
        """Link each to one before it."""
        for number in range(1, len(mesh.nodes)):
            mesh.link(mesh.nodes[number], mesh.nodes[random.randrange(number)])
