"""
Tests for L{p2p.peer.broadcast}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.interfaces import IBroadcast, IBroadcastOutlet
from p2p.peer.broadcast import Flood
from p2p.peer.history import SAID
from p2p.settings import PeerSettings
from p2p.test.fakes import FakeNeighbour, FakeOutlet, identity
from p2p.wire import reasons
from p2p.wire.codec import Decoder, encode
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.messages import MAX_HELD, MAX_HOPS, Gone, Have, Held, Lack, Message

ME = identity(1)
OTHER = identity(2)


def message(sequence: int, hops: int = 1, origin: bytes = OTHER, payload: bytes = b"x", age: int = 0) -> Message:
    """A message as it comes."""
    return Message(origin, sequence, hops, payload, age)


class FloodTests(SynchronousTestCase):
    """One peer, three neighbours."""

    def flood(self, **changed: Any) -> Flood:
        """A fresh one, linked to three neighbours that had nothing."""
        self.outlet = FakeOutlet()
        flood = Flood(self.outlet, PeerSettings(**changed), Random(1))
        self.a, self.b, self.c = self.neighbours = [FakeNeighbour(number) for number in (11, 12, 13)]
        for neighbour in self.neighbours:
            flood.neighbourUp(neighbour, 0.0)
            flood.received(Have([], True), neighbour, 0.0)
        self.outlet.take("send")
        return flood

    def nothingLeft(self) -> None:
        """Nothing else was asked for."""
        self.assertEqual(self.outlet.asked, [])

    def test_interfaces(self) -> None:
        """They are what they claim to be."""
        verifyObject(IBroadcast, self.flood())
        verifyObject(IBroadcastOutlet, self.outlet)

    def test_itsOwnGoToEveryNeighbour(self) -> None:
        """One frame each, one hop when it arrives; and its own subscribers hear it."""
        flood = self.flood()
        made = flood.publish(ME, b"hello", 1.0)
        self.assertEqual((made.origin, made.sequence, made.payload), (ME, 1, b"hello"))
        self.assertEqual(self.outlet.take("send"), [(near, Message(ME, 1, 1, b"hello")) for near in self.neighbours])
        self.assertEqual(self.outlet.take("deliver"), [(made, None)])
        self.nothingLeft()

    def test_numbersBeginAnewWithEachIncarnation(self) -> None:
        """1, 2, and after a refutation 1 again under the new identity."""
        flood = self.flood()
        numbers = [flood.publish(who, b"", 1.0).sequence for who in (ME, ME, identity(1, 2), identity(1, 2))]
        self.assertEqual(numbers, [1, 2, 1, 2])

    def test_theFirstTimeItIsRelayedToAllButWhomItCameFrom(self) -> None:
        """With one hop more, and delivered as it came."""
        flood = self.flood()
        flood.received(message(1, hops=3), self.a, 1.0)
        self.assertEqual(self.outlet.take("send"), [(self.b, message(1, 4)), (self.c, message(1, 4))])
        self.assertEqual(self.outlet.take("deliver"), [(message(1, 3), self.a)])
        self.nothingLeft()

    def test_theSecondTimeNothingHappens(self) -> None:
        """Whoever brings it: neither relayed nor delivered, only counted."""
        flood = self.flood()
        for number in (1, 5, 3):
            flood.received(message(number), self.a, 1.0)
        self.outlet.asked.clear()
        for number in (5, 3, 1):
            for near in self.neighbours:
                flood.received(message(number), near, 2.0)
        self.nothingLeft()
        self.assertEqual(flood.duplicates, 9)

    def test_itsOwnMessageThatComesBackIsNotNew(self) -> None:
        """Its own are remembered like all others."""
        flood = self.flood()
        flood.publish(ME, b"x", 1.0)
        self.outlet.asked.clear()
        flood.received(message(1, 2, ME), self.a, 1.1)
        self.nothingLeft()

    def test_anOldMessageThatComesBackLaterIsStillKnown(self) -> None:
        """Long after it has left the window that is kept for others."""
        flood = self.flood(historyMessages=10, historyTime=60.0)
        for number in range(1, 1001):
            flood.received(message(number), self.a, 1.0)
        flood.tick(10**6)
        self.assertEqual(flood.recent(), [])
        self.outlet.asked.clear()
        for number in (1, 500, 1000):
            flood.received(message(number), self.b, 10**6)
        self.nothingLeft()

    def test_messagesInAnyOrderAreEachTakenOnce(self) -> None:
        """A late one is new if it was not seen."""
        flood = self.flood()
        for number in (3, 1, 2, 3, 1, 2):
            flood.received(message(number), self.a, 1.0)
        self.assertEqual([what.sequence for what, _ in self.outlet.take("deliver")], [3, 1, 2])

    def test_itIsRelayedAtMostSoOften(self) -> None:
        """At the hop limit it is delivered, but neither relayed nor sent to a new neighbour as a malformed message."""
        flood = self.flood()
        flood.received(message(1, MAX_HOPS), self.a, 1.0)
        self.assertEqual(len(self.outlet.take("deliver")), 1)
        self.nothingLeft()
        self.meet(flood, [])
        self.assertEqual(self.outlet.take("send"), [])

    def test_nothingGoesToWhoIsGone(self) -> None:
        """A neighbour that is down is no neighbour."""
        flood = self.flood()
        flood.neighbourDown(self.b, "lost", 1.0)
        flood.received(message(1), self.a, 1.0)
        self.assertEqual([near for near, _ in self.outlet.take("send")], [self.c])

    def test_deathOfTheOriginChangesNothing(self) -> None:
        """Two incarnations of one origin are two origins: nothing of the later one is taken for the earlier one's."""
        flood = self.flood()
        flood.received(message(1, origin=identity(2, 1)), self.a, 1.0)
        flood.received(message(1, origin=identity(2, 2)), self.a, 1.0)
        self.assertEqual(len(self.outlet.take("deliver")), 2)

    # What was missed.

    def meet(self, flood: Flood, held: list[Held], now: float = 2.0) -> FakeNeighbour:
        """A new neighbour comes and says what it has."""
        new = FakeNeighbour(20)
        flood.neighbourUp(new, now)
        self.said = self.outlet.take("send")
        flood.received(Have(held, True), new, now)
        return new

    def test_itTellsWhatItHas(self) -> None:
        """The highest number of each origin, and the gaps below it."""
        flood = self.flood()
        flood.publish(ME, b"", 1.0)
        for number in (1, 4, 5, 8):
            flood.received(message(number), self.a, 1.0)
        self.outlet.asked.clear()
        new = self.meet(flood, [Held(ME, 1, []), Held(OTHER, 8, [])])
        ((near, have),) = self.said
        self.assertIs(near, new)
        self.assertTrue(have.last)
        self.assertEqual({held.origin: (held.top, held.gaps) for held in have.held},
                         {ME: (1, []), OTHER: (8, [2, 3, 6, 7])})  # fmt: skip
        self.nothingLeft()

    def test_whatIsMissedIsSentAndNothingElse(self) -> None:
        """All of an origin it does not know, what is above its top, what is in its gaps; in the order seen."""
        flood = self.flood()
        for number in range(1, 11):
            flood.received(message(number, 2), self.a, 1.0)
        flood.received(message(1, 2, identity(3)), self.a, 1.0)
        flood.publish(ME, b"mine", 1.0)
        self.outlet.asked.clear()
        new = self.meet(flood, [Held(OTHER, 8, [2, 3, 6, 6])])
        sent = self.outlet.take("send")
        self.assertTrue(all(near is new for near, _ in sent))
        self.assertEqual(
            [(what.origin, what.sequence, what.hops) for _, what in sent],
            [(OTHER, number, 3) for number in (2, 3, 6, 9, 10)] + [(identity(3), 1, 3), (ME, 1, 1)],
        )
        self.nothingLeft()

    def test_whatCameAfterTheLinkIsNotSentTwice(self) -> None:
        """Between its link and its Have it was sent everything as it came, though its Have does not say so."""
        flood = self.flood()
        flood.received(message(1), self.a, 1.0)
        new = FakeNeighbour(20)
        flood.neighbourUp(new, 2.0)
        flood.received(message(2), self.a, 3.0)
        flood.received(Have([], True), new, 4.0)
        sent = [what.sequence for near, what in self.outlet.take("send") if near is new and isinstance(what, Message)]
        self.assertEqual(sent, [2, 1])

    def test_aClockThatStepsBackHidesNothing(self) -> None:
        """What is missed is what was kept before the link came up, whatever time it was."""
        flood = self.flood()
        for number in range(1, 6):
            flood.received(message(number), self.a, 100.0 + number)
        new = FakeNeighbour(20)
        flood.neighbourUp(new, 50.0)
        flood.received(message(6), self.a, 51.0)
        self.outlet.asked.clear()
        flood.received(Have([], True), new, 52.0)
        self.assertEqual([what.sequence for _, what in self.outlet.take("send")], [1, 2, 3, 4, 5])

    def test_whatIsForgottenMeanwhileChangesNothing(self) -> None:
        """Of what was kept when the link came up, what is still kept is sent; nothing that came after."""
        flood = self.flood(historyMessages=5)
        for number in range(1, 6):
            flood.received(message(number), self.a, 1.0)
        first, second = FakeNeighbour(20), FakeNeighbour(21)
        flood.neighbourUp(first, 2.0)
        flood.neighbourUp(second, 2.0)
        for number in range(6, 9):
            flood.received(message(number), self.a, 2.0)
        self.outlet.asked.clear()
        flood.received(Have([], True), first, 3.0)
        self.assertEqual(self.outlet.take("send"), [
            (first, message(4, 2, age=2)), (first, message(5, 2, age=2)),
            (first, Lack([], [Gone(OTHER, [1, 3], 2.0)])),
        ])  # fmt: skip
        for number in range(9, 20):
            flood.received(message(number), self.a, 2.0)
        self.outlet.asked.clear()
        flood.received(Have([], True), second, 3.0)
        self.assertEqual(self.outlet.take("send"), [(second, Lack([], [Gone(OTHER, [1, 14], 1.0)]))])
        self.nothingLeft()

    def test_whatIsSentLateIsSentWithItsAge(self) -> None:
        """The seconds that it was kept here, rounded up, and before that by others; what is passed on has that only."""
        flood = self.flood()
        flood.received(message(1), self.a, 1.0)
        flood.received(message(2, age=7), self.a, 1.0)
        self.assertEqual({what.age for _, what in self.outlet.take("send") if what.sequence == 2}, {7})
        new = FakeNeighbour(20)
        flood.neighbourUp(new, 30.0)
        self.outlet.asked.clear()
        flood.received(Have([], True), new, 31.5)
        self.assertEqual(self.outlet.take("send"), [(new, message(1, 2, age=31)), (new, message(2, 2, age=38))])

    def test_whatIsTooOldIsNotHandedOnThoughItCameLately(self) -> None:
        """Else whoever joins would keep it for those who join after him, for ever.  It counts as kept no longer."""
        flood = self.flood(historyTime=300.0)
        for number, age in ((1, 290), (2, 0), (3, 280), (4, 0)):
            flood.received(message(number, age=age), self.a, 1.0)
        new = FakeNeighbour(20)
        flood.neighbourUp(new, 12.0)
        self.outlet.asked.clear()
        flood.received(Have([], True), new, 13.0)
        self.assertEqual(self.outlet.take("send"), [
            (new, message(2, 2, age=12)), (new, message(3, 2, age=292)), (new, message(4, 2, age=12)),
            (new, Lack([], [Gone(OTHER, [1, 1], 302.0)])),
        ])  # fmt: skip

    def test_whatIsTooOldIsAsOldAsItIs(self) -> None:
        """Not as what was forgotten long before; and it is said though it has not been forgotten yet."""
        flood = self.flood(historyTime=20.0)
        flood.received(message(1), self.a, 1.0)
        flood.tick(30.0)
        for number, at in ((2, 30.0), (3, 30.2), (4, 31.0)):
            flood.received(message(number), self.a, at)
        new = FakeNeighbour(20)
        flood.neighbourUp(new, 50.0)
        self.outlet.asked.clear()
        flood.received(Have([], True), new, 50.5)
        self.assertEqual(self.outlet.take("send"), [
            (new, message(4, 2, age=20)),
            (new, Lack([], [Gone(OTHER, [1, 1], 49.5), Gone(OTHER, [2, 3], 50.5 - 30.2)])),
        ])  # fmt: skip

    def test_manyOriginsAreToldInPieces(self) -> None:
        """Each no longer than it may be, only the last says that it is; and it waits for all of the other's."""
        flood = self.flood()
        for number in range(2 * MAX_HELD + 5):
            flood.received(message(1, origin=identity(1000 + number)), self.a, 1.0)
        self.outlet.asked.clear()
        new = FakeNeighbour(20)
        flood.neighbourUp(new, 2.0)
        said = [have for _, have in self.outlet.take("send")]
        self.assertEqual([len(have.held) for have in said], [MAX_HELD, MAX_HELD, 5])
        self.assertEqual([have.last for have in said], [False, False, True])
        for have in said:
            self.assertEqual(next(Decoder(2**20).feed(encode(have))), have)
            flood.received(Have(have.held, False), new, 2.0)
        self.nothingLeft()
        flood.received(Have([], True), new, 2.0)
        self.nothingLeft()

    def test_twoHalvesThatMeetHaveEverythingAfterwards(self) -> None:
        """What was published in one half reaches all of the other, each once."""
        outlets, floods = {}, {}
        for name in "abcd":
            outlets[name] = FakeOutlet()
            floods[name] = Flood(outlets[name], PeerSettings(), Random(1))
        ends: dict[tuple[str, str], FakeNeighbour] = {}
        names: dict[FakeNeighbour, tuple[str, str]] = {}

        def link(one: str, two: str) -> None:
            for here, there in ((one, two), (two, one)):
                ends[here, there] = FakeNeighbour(ord(there))
                names[ends[here, there]] = (here, there)
                floods[here].neighbourUp(ends[here, there], 2.0)

        def settle() -> None:
            while any(call[0] == "send" for outlet in outlets.values() for call in outlet.asked):
                for outlet in outlets.values():
                    for near, what in outlet.take("send"):
                        here, there = names[near]
                        floods[there].received(what, ends[there, here], 2.0)

        link("a", "b")
        link("c", "d")
        settle()
        for name in "abcd":
            for _ in range(3):
                floods[name].publish(identity(ord(name)), name.encode(), 1.0)
        settle()
        link("b", "c")
        settle()
        for outlet in outlets.values():
            delivered = [(what.origin, what.sequence) for what, _ in outlet.take("deliver")]
            self.assertEqual(len(delivered), 12)
            self.assertEqual(len(set(delivered)), 12)

    def test_whatIsKeptForOthersIsBounded(self) -> None:
        """In number, in bytes, in time; and so that all of it fits into what a link may have unsent."""
        flood = self.flood(historyMessages=5)
        for number in range(1, 20):
            flood.received(message(number), self.a, 1.0)
        self.assertEqual([kept.sequence for _, kept in flood.recent()], [15, 16, 17, 18, 19])
        for changed in ({"historyBytes": 1000}, {"maxBacklog": 2000}):
            flood = self.flood(**changed)
            for number in range(1, 20):
                flood.received(message(number, payload=b"x" * 300), self.a, 1.0)
            self.assertEqual([kept.sequence for _, kept in flood.recent()], [17, 18, 19])
        flood = self.flood(historyTime=10.0)
        flood.received(message(1), self.a, 1.0)
        flood.received(message(2), self.a, 5.0)
        flood.tick(12.0)
        self.assertEqual([(then, kept.sequence) for then, kept in flood.recent()], [(5.0, 2)])

    def test_keepingNothingIsAllowed(self) -> None:
        """Then newcomers are told that it is gone."""
        flood = self.flood(historyMessages=0)
        flood.received(message(1), self.a, 1.0)
        self.outlet.asked.clear()
        self.meet(flood, [])
        self.assertEqual([what for _, what in self.outlet.take("send")], [Lack([], [Gone(OTHER, [1, 1], 1.0)])])
        self.nothingLeft()

    def test_originsAreBoundedTheLongestSilentIsForgotten(self) -> None:
        """A liar that invents origins cannot make it remember them all."""
        flood = self.flood(maxOrigins=10)
        for number in range(100):
            flood.received(message(1, origin=identity(100 + number)), self.a, 1.0)
            flood.publish(ME, b"", 1.0)
        self.assertEqual(len(flood._history._origins), 10)
        self.assertIn(ME, flood._history._origins)

    def test_whatIsGivenUpIsCounted(self) -> None:
        """A leap beyond C{maxGap} is a loss; what was before this peer came is none."""
        flood = self.flood(maxGap=10)
        flood.received(message(1000), self.a, 1.0)
        self.assertEqual(self.outlet.take("lost"), [])
        flood.received(message(1100), self.a, 1.0)
        self.assertEqual(self.outlet.take("lost"), [(OTHER, 1001, 1089)])

    # Who lies.

    def test_aPayloadLargerThanTheNetworkTakesIsMisbehaviour(self) -> None:
        """It is not marked as seen, delivered or relayed: else all neighbours would cut off whoever relays it."""
        flood = self.flood(maxPayload=100)
        with self.assertRaises(RemoteProtocolError) as caught:
            flood.received(message(1, payload=b"x" * 101), self.a, 1.0)
        self.assertEqual(caught.exception.reason, reasons.TOO_LARGE)
        self.nothingLeft()
        flood.received(message(1, payload=b"x" * 100), self.b, 1.0)
        self.assertEqual(len(self.outlet.take("deliver")), 1)

    def test_aSecondHaveIsMisbehaviour(self) -> None:
        """Nobody has the history sent again and again."""
        flood = self.flood()
        with self.assertRaises(RemoteProtocolError):
            flood.received(Have([], True), self.a, 1.0)

    def test_aHaveFromWhoIsGoneIsPassedOver(self) -> None:
        """It crossed the end of the link."""
        flood = self.flood()
        flood.received(message(1), self.a, 1.0)
        self.outlet.asked.clear()
        flood.received(Have([], True), FakeNeighbour(99), 1.0)
        self.nothingLeft()

    def test_gapsThatMakeNoSenseAreMisbehaviour(self) -> None:
        """Odd in number, falling, above the top."""
        for gaps in ([1], [5, 3], [3, 4, 1, 2], [9, 11]):
            flood = self.flood()
            with self.assertRaises(RemoteProtocolError):
                self.meet(flood, [Held(OTHER, 10, gaps)])

    def test_ofAnEndlessHaveMostIsPassedOver(self) -> None:
        """Neither origins nor gaps nor empty pieces are kept without end; and it may end."""

        def empty(number: int) -> list[Held]:
            return []

        def origins(number: int) -> list[Held]:
            return [Held(identity(number), 1, [])]

        def gaps(number: int) -> list[Held]:
            return [Held(identity(number), 1000, list(range(1, 129)))]

        for held, most in ((empty, 0), (origins, 100), (gaps, 100)):
            flood = self.flood(maxOrigins=100)
            new = FakeNeighbour(20)
            flood.neighbourUp(new, 2.0)
            for number in range(2000):
                flood.received(Have(held(number), False), new, 2.0)
            hearing = flood._history._hearing[new]
            self.assertEqual(list(hearing.held), [identity(number) for number in range(most)])
            flood.received(Have([], True), new, 2.0)
            self.assertEqual(flood._history._hearing, {})

    def test_ofTooManyGapsWhatIsBeyondIsPassedOver(self) -> None:
        """The origins that have them are as if they had not been named; one without gaps is not."""
        flood = self.flood(maxOrigins=1000)
        new = FakeNeighbour(20)
        flood.neighbourUp(new, 2.0)
        for number in range(600):
            flood.received(Have([Held(identity(number), 1000, list(range(1, 129)))], False), new, 2.0)
        flood.received(Have([Held(identity(777), 1, [])], False), new, 2.0)
        heard = list(flood._history._hearing[new].held)
        self.assertEqual(heard, [*map(identity, range((SAID + 2000) // 128)), identity(777)])

    def test_whoHasRoomForMoreOriginsIsANeighbourToo(self) -> None:
        """It is no rule of the network how many a peer remembers."""
        flood = self.flood(maxOrigins=20)
        flood.received(message(1), self.a, 1.0)
        self.outlet.asked.clear()
        self.meet(flood, [Held(identity(100 + number), 1, []) for number in range(60)])
        self.assertEqual([what.sequence for _, what in self.outlet.take("send")], [1])

    def test_claimsToHaveEverythingOnlyCostTheLiar(self) -> None:
        """Who claims the highest number of all is sent nothing; nobody else is touched."""
        flood = self.flood()
        flood.received(message(1), self.a, 1.0)
        self.outlet.asked.clear()
        self.meet(flood, [Held(OTHER, 2**63 - 1, [])])
        self.nothingLeft()
        flood.received(message(2), self.a, 3.0)
        self.assertEqual(len(self.outlet.take("deliver")), 1)

    def test_whatItRemembersOfALinkEndsWithIt(self) -> None:
        """Those that never say what they have leave nothing behind."""
        flood = self.flood()
        for number in range(100, 200):
            neighbour = FakeNeighbour(number)
            flood.neighbourUp(neighbour, 0.0)
            flood.neighbourDown(neighbour, "lost", 0.0)
        self.assertEqual((len(flood._neighbours), len(flood._history._hearing)), (3, 0))
