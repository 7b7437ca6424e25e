"""
Tests for L{p2p.peer.history}; what a broadcast does with one is tested with that broadcast.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.history import DOOMED, History
from p2p.peer.origin import Origin
from p2p.peer.ranges import Ranges, flat, intersect, union
from p2p.settings import PeerSettings
from p2p.test.fakes import FakeNeighbour, FakeOutlet, calls, identity
from p2p.wire.messages import MAX_GAPS, MAX_HELD, Gone, Message

OTHER = identity(2)


def members(these: Ranges) -> set[int]:
    """All numbers in some ranges."""
    return {number for first, last in these for number in range(first, last + 1)}


def spans(numbers: Iterable[int]) -> Ranges:
    """Some numbers as ranges."""
    return union([(number, number) for number in numbers], [])


class OriginTests(SynchronousTestCase):
    """What has been seen of one origin."""

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.integers(1, 60), max_size=100))
    def test_itIsASetOfNumbersWhileThereAreFewGaps(self, numbers: list[int]) -> None:
        """New is what is not in the set; and what it lacks is what is not in it."""
        origin, model = Origin(), set[int]()
        for number in numbers:
            self.assertEqual(origin.lacks(number), number not in model)
            self.assertEqual(origin.see(number, 1000), number not in model)
            model.add(number)
            self.assertEqual(origin.top, max(model))
            missing = {number for first, last in origin.gaps for number in range(first, last + 1)}
            self.assertEqual(missing, set(range(1, origin.top)) - model)
        self.assertEqual(origin.given, [])

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.one_of(st.integers(1, 2000), st.integers(1, 2**63 - 1)), max_size=300), st.integers(1, 500))
    def test_itIsBoundedAndNeverTakesOneTwice(self, numbers: list[int], maxGap: int) -> None:
        """
        However wild the numbers: few ranges, rising, none of them seen, and what was seen is never new again; what is
        neither seen nor taken any more was given up, and said to be.
        """
        origin, seen = Origin(), set[int]()
        for number in numbers:
            new = origin.see(number, maxGap)
            self.assertFalse(new and number in seen)
            if not new and number not in seen:
                self.assertTrue(any(first <= number <= last for first, last in origin.given))
            seen.add(number)
            self.assertLessEqual(len(origin.gaps), MAX_GAPS)
            flat = [edge for gap in origin.gaps for edge in gap]
            self.assertEqual(flat, sorted(flat))
            for first, last in origin.gaps:
                self.assertLessEqual(last - first, maxGap)

    def test_rangesAreFewHoweverManyNumbersAreMissing(self) -> None:
        """Whether every other one never comes, or a long gap is filled so: the earliest are given up."""
        for numbers in (range(1, 10_000, 2), [10_000, *range(2, 10_000, 2)]):
            origin = Origin()
            for number in numbers:
                self.assertTrue(origin.see(number, 10**6))
                self.assertLessEqual(len(origin.gaps), MAX_GAPS)
            self.assertTrue(origin.given)
            self.assertLess(origin.given[-1][1], origin.gaps[0][0])

    def test_aMillionInOrderAreTwoNumbers(self) -> None:
        """It costs no more memory however many messages there were, and the first is still known."""
        origin = Origin()
        for number in range(1, 100_001):
            origin.see(number, 4096)
        self.assertEqual((origin.top, origin.gaps), (100_000, []))
        self.assertFalse(origin.see(1, 4096))

    def test_whatIsTooFarBackIsGivenUp(self) -> None:
        """A gap longer than C{maxGap} keeps its later part; what is given up counts as seen, and is told."""
        origin = Origin()
        origin.see(1, 10)
        origin.see(100, 10)
        self.assertEqual(origin.gaps, [(90, 99)])
        self.assertEqual(origin.given, [(2, 89)])
        self.assertFalse(origin.see(50, 10))


    @settings(max_examples=60, deadline=None)
    @given(st.data(), st.integers(10, 400))
    def test_noHoleIsForgottenUnsaid(self, data: st.DataObject, top: int) -> None:
        """What is owed no more has come, is waived, or is said; and that only if not all could be told apart."""
        origin = Origin()
        seen = set(range(top // 130 + 1, top + 1, top // 130 + 2)) - {top}
        for number in [top, *sorted(seen)]:
            origin.see(number, 1000)
        for _ in range(4):
            before = members(origin.owed)
            numbers = data.draw(st.sets(st.sampled_from(sorted({*before, top + 2, top + 4, top + 9})), max_size=100))
            these = origin.lacking(spans(numbers))
            kept = origin.lacking(origin.waived)
            swallowed = members(origin.waive(these, 0.0))
            self.assertEqual(before - members(origin.owed), before & (numbers | swallowed))
            self.assertFalse(swallowed & numbers)
            self.assertLessEqual(len(origin.waived), MAX_GAPS)
            if len(union(kept, these)) <= MAX_GAPS:
                self.assertFalse(swallowed)
            for number in data.draw(st.lists(st.sampled_from(sorted(numbers or {1})), max_size=9)):
                origin.see(number, 1000)
            top = origin.top

    def test_whatWasWaivedLongAgoAndCameIsNoneOfThem(self) -> None:
        """However much an origin has lost in its life, the holes of today are told apart."""
        origin = Origin()
        for number in range(10, 2000, 10):
            origin.see(number, 1000)
            self.assertEqual(origin.waive([(number - 8, number - 8), (number - 6, number - 6)], 0.0), [])
            self.assertEqual(len(origin.owed), 3)
            for other in range(number - 9, number):
                origin.see(other, 1000)
            self.assertEqual(origin.owed, [])


class RoomTests(SynchronousTestCase):
    """More origins than are remembered."""

    def test_noneIsForgottenOfWhichCopiesMayBeUnderWay(self) -> None:
        """Else they were new when they come, and sent round once more, by everybody, without end."""
        history = History(FakeOutlet(), PeerSettings(maxOrigins=10))
        first = [Message(identity(number), 1, 1, b"x") for number in range(1, 11)]
        for message in first:
            self.assertIsNotNone(history.take(message, 0.0))
        for number in range(11, 100):
            self.assertIsNone(history.take(Message(identity(number), 1, 1, b"x"), 1.0))
        self.assertEqual((history.refused, history.duplicates), (89, 0))
        for message in first:
            self.assertIsNone(history.take(message, 2.0))
        self.assertEqual((history.refused, history.duplicates), (89, 10))

    def test_nothingGrowsWithTheOriginsThatThereHaveBeen(self) -> None:
        """Whether they leave holes or not, and whatever broadcast there is: none need look at anything."""
        history = History(FakeOutlet(), PeerSettings(maxOrigins=50, historyMessages=50, historyTime=60.0))
        for number in range(1000):
            for sequence in 1, 3:
                history.take(Message(identity(number), sequence, 1, b""), float(number))
            history.tick(float(number))
        for name in History.__slots__:
            what = getattr(history, name)
            if hasattr(what, "__len__"):
                self.assertLessEqual(len(what), 60, name)

    def test_whatWasRefusedWasNotSeen(self) -> None:
        """It may come later, when there is room for its origin: the longest silent makes it."""
        history = History(FakeOutlet(), PeerSettings(maxOrigins=2, lossDelay=10.0))
        one, two, three = (Message(identity(number), 1, 1, b"x") for number in (1, 2, 3))
        self.assertIsNotNone(history.take(one, 0.0))
        self.assertIsNotNone(history.take(two, 5.0))
        self.assertIsNone(history.take(three, 9.9))
        self.assertFalse(history.knows(three.origin))
        self.assertIsNotNone(history.take(three, 10.0))
        self.assertEqual([history.knows(message.origin) for message in (one, two, three)], [False, True, True])


class HaveTests(SynchronousTestCase):
    """What a new neighbour is told."""

    def test_whateverCameIsToldWithinTheBounds(self) -> None:
        """
        However many origins with however many gaps somebody invents: who has heard of them is no liar, and is sent all
        that he lacks.
        """
        settings = PeerSettings(maxOrigins=1000)
        for origins, gaps in (1000, 64), (1000, 1), (600, 64), (512, 64), (1, 64):
            outlet = FakeOutlet()
            one, other = History(outlet, settings), History(FakeOutlet(), settings)
            for place in range(1, origins + 1):
                for number in range(2, 2 * gaps + 3, 2):
                    one.take(Message(identity(place), number, 1, b""), 0.0)
            a, b = FakeNeighbour(11), FakeNeighbour(12)
            one.meet(b, 0.0)
            other.meet(a, 0.0)
            (*before, told) = [other.told(have, a, 0.0) for _, have in outlet.take("send")]
            self.assertEqual(before, [None] * (max(0, origins - 1) // MAX_HELD))
            assert told is not None
            self.assertEqual(len(told.origins), origins)
            whole = 0
            for origin, said in told.origins.items():
                lacking = one.lacking(origin, [(1, 1000)])
                self.assertEqual(intersect(said.lacking([(1, 1000)]), lacking), lacking)
                whole += said.lacking([(1, 1000)]) == lacking
            # As many as there is room for are told as they are.
            self.assertGreaterEqual(whole, min(origins, 511))


class GoneTests(SynchronousTestCase):
    """What neighbours say to be kept no longer."""

    def begin(self, **changed: Any) -> History:
        """A fresh history, up for a hundred seconds, and two neighbours."""
        self.outlet = FakeOutlet()
        history = History(self.outlet, PeerSettings(**changed))
        history.tick(0.0)
        self.a, self.b = FakeNeighbour(11), FakeNeighbour(12)
        for neighbour in (self.a, self.b):
            history.meet(neighbour, 0.0)
        return history

    def frame(self, number: int, age: float = 0.0) -> list[Gone]:
        """As much as fits into one message, of origins that nobody has."""
        odd = [place for place in range(1, 2 * MAX_GAPS, 2) for _ in range(2)]
        return [Gone(identity(1000 * number + place), odd, age) for place in range(1, MAX_HELD + 1)]

    def test_aLiarIsNotBelievedWithoutLimit(self) -> None:
        """What it invents is passed over beyond a measure, and called lost little by little; others are heard still."""
        history = self.begin(lossDelay=10.0)
        history.take(Message(OTHER, 1, 1, b""), 100.0)
        history.take(Message(OTHER, 3, 1, b""), 100.0)
        for number in range(1, 5):
            history.gone(self.frame(number), self.a, 100.0)
            self.assertLessEqual(sum(len(doom.ranges) for doom in history._doomed), 5000)
        history.gone([Gone(OTHER, [2, 2], 0.0)], self.b, 100.0)
        lost: list[Any] = []
        for second in range(110, 180):
            history.tick(float(second))
            said = self.outlet.take("lost")
            self.assertLess(len(said), 200)
            lost += said
        self.assertIn((OTHER, 2, 2), lost)
        self.assertLessEqual(len(lost), DOOMED // 2 + 1)
        self.assertEqual((history._doomedRanges, len(history._doomed)), (0, 0))
        history.gone([Gone(identity(77), [1, 1], 0.0)], self.a, 180.0)
        history.tick(190.0)
        self.assertEqual(self.outlet.take("lost"), [(identity(77), 1, 1)])

    def test_whatIsKnownToBeLostIsSaidAllTheSame(self) -> None:
        """However much a liar says to be gone."""
        history = self.begin(lossDelay=10.0, historyTime=60.0)
        history.take(Message(OTHER, 1, 1, b""), 100.0)
        history.take(Message(OTHER, 3, 1, b""), 100.0)
        for second in range(101, 185):
            history.gone(self.frame(second), self.a, float(second))
            history.tick(float(second))
        self.assertIn((OTHER, 2, 2), self.outlet.take("lost"))

    def test_whatIsMissingIsCalledLostHoweverItIsBrokenUp(self) -> None:
        """Once each, be it named or between the named; but for what is of before this peer's time."""
        for age in (1.0, 1000.0):
            history = self.begin(lossDelay=10.0, historyTime=60.0)
            there = set(range(1, 412, 10))
            for number in there:
                history.take(Message(OTHER, number, 1, b"", 95), 100.0)
            named = set(range(2, 400, 2)) - there
            for part in range(0, 400, 100):
                numbers = spans(named & set(range(part, part + 100)))
                history.gone([Gone(OTHER, flat(numbers), age)], self.a, 100.0)
            for second in range(101, 200):
                history.tick(float(second))
            lost = [number for said in self.outlet.take("lost") for number in members([said[1:]])]
            self.assertEqual(len(lost), len(set(lost)))
            missing = set(range(1, 411)) - there
            self.assertEqual(set(lost), missing if age == 1.0 else missing - named)
            self.assertEqual(history.settled(OTHER), 411)

    def test_whatIsPublishedInItsTimeIsOwedWhateverIsSaidOfBefore(self) -> None:
        """
        Whoever says, early or late, once or again and again, that all of an origin's numbers were seen before this
        peer was up: what is missing of those published since is waited for, and called lost.
        """
        everything = [Gone(OTHER, [1, 2**63 - 1], 1000.0)]
        # As they come, and up to which number everything has then come that can.
        numbers = {3: 3, 4: 4, 6: 4, 7: 4, 5: 7, 9: 7, 12: 7}
        for lies in range(1, 2 ** (len(numbers) + 1)):
            history = self.begin(lossDelay=10.0, historyTime=60.0)
            for place, (number, settled) in enumerate(numbers.items()):
                if lies >> place & 1:
                    history.gone(everything, self.a, 100.0)
                history.take(Message(OTHER, number, 1, b""), 100.0)
                # What was before the first that came, may have been before.
                told = lies & (2 << place) - 1
                self.assertEqual(history.settled(OTHER), settled if told else 0)
            if lies >> len(numbers) & 1:
                history.gone(everything, self.a, 100.0)
            for second in range(101, 200):
                history.tick(float(second))
            self.assertEqual(self.outlet.take("lost"), [(OTHER, 8, 8), (OTHER, 10, 11)])

    def test_whatWasUnderWayWhenItCameUpMayBeOfBefore(self) -> None:
        """For as long as copies may be; so may be what had been kept for as long."""
        for at, age, before in (9.0, 0, True), (11.0, 0, False), (60.0, 50, True), (60.0, 49, False):
            history = self.begin(lossDelay=10.0)
            history.take(Message(OTHER, 1, 1, b"", age), at)
            history.gone([Gone(OTHER, [2, 4], 60.0)], self.a, at)
            history.take(Message(OTHER, 5, 1, b""), at)
            self.assertEqual(history.settled(OTHER), 5 if before else 1)

    def test_whatWasCalledLostStaysSo(self) -> None:
        """
        Once each, and waited for no more, also when one of them comes after all and is the first to show that what is
        above it is of this peer's time; what was only said to be of before is then owed.
        """
        for heard in False, True:
            history = self.begin(lossDelay=10.0, historyTime=60.0)
            if heard:
                for number in range(1, 4):
                    history.take(Message(OTHER, number, 1, b"", 100), 100.0)
            history.gone([Gone(OTHER, [4, 9], 20.0)], self.a, 100.0)
            history.tick(110.0)
            history.gone([Gone(OTHER, [1, 14], 1000.0)], self.b, 111.0)
            for number in 6, 13:
                self.assertIsNotNone(history.take(Message(OTHER, number, 1, b""), 115.0))
            self.assertEqual(history.owed(OTHER), [(10, 12)])
            for number in range(10, 13):
                history.take(Message(OTHER, number, 1, b""), 115.0)
            self.assertEqual(history.settled(OTHER), 13)
            for second in range(116, 300):
                history.tick(float(second))
            self.assertEqual(self.outlet.take("lost"), [(OTHER, 4, 9)])

    def test_whatWasCalledLostBetweenOthersStaysSo(self) -> None:
        """What is between too many ranges of before this peer's time is said once, whatever these prove to be."""
        history = self.begin(lossDelay=10.0, historyTime=60.0)
        there = set(range(1, 412, 10))
        for number in there:
            history.take(Message(OTHER, number, 1, b"", 95), 100.0)
        missing = set(range(1, 411)) - there
        for part in range(0, 400, 100):
            numbers = {number for number in missing if number % 2 == 0 and part <= number < part + 100}
            history.gone([Gone(OTHER, flat(spans(numbers)), 1000.0)], self.a, 100.0)
        history.take(Message(OTHER, 2, 1, b""), 100.0)
        for second in range(101, 200):
            history.tick(float(second))
        lost = [number for said in self.outlet.take("lost") for number in members([said[1:]])]
        self.assertEqual(len(lost), len(set(lost)))
        self.assertEqual({number for number in lost if number % 2}, {number for number in missing if number % 2})
        self.assertEqual(history.settled(OTHER), 411)

    def test_whatItInventsEvictsNobody(self) -> None:
        """Origins of which something came are not forgotten for those of which somebody only speaks."""
        for age in (0.0, 1000.0):
            history = self.begin(maxOrigins=10)
            for number in range(8):
                history.take(Message(identity(100 + number), 1, 1, b""), 100.0)
            history.gone(self.frame(1, age), self.a, 100.0)
            for second in range(110, 200):
                history.tick(float(second))
            self.assertEqual(len(history._origins), 10)
            for number in range(8):
                self.assertEqual(history.settled(identity(100 + number)), 1)
            # The others make room for those of which something comes.
            for number in range(8, 10):
                history.take(Message(identity(100 + number), 1, 1, b""), 200.0)
            self.assertEqual({history.settled(identity(100 + number)) for number in range(10)}, {1})
            history.gone(self.frame(2, age), self.a, 300.0)
            history.tick(400.0)
            self.assertEqual({history.settled(identity(100 + number)) for number in range(10)}, {1})

    def test_whatItInventsKeepsNobodyOut(self) -> None:
        """Whatever somebody says to be gone, the same is taken as if he had said nothing."""
        def taken(frames: int, age: float) -> list[list[bool]]:
            history = self.begin(maxOrigins=25, lossDelay=10.0)
            found = []
            for second in range(100, 160):
                for number in range(frames):
                    history.gone(self.frame(second * frames + number, age), self.a, float(second))
                history.tick(float(second))
                found.append([
                    history.take(Message(identity(10 * (second - second % 4) + number), second, 1, b""), float(second))
                    is not None
                    for number in range(10)
                ])  # fmt: skip
            return found

        silent = taken(0, 0.0)
        # There is room for some, and not for all.
        self.assertEqual(len({one for each in silent for one in each}), 2)
        for age in 0.0, 1000.0:
            self.assertEqual(taken(1, age), silent)

    def test_whatIsSaidInExcessIsNotReadAtAll(self) -> None:
        """It costs nothing, until time has passed."""
        history = self.begin()
        costs = [calls(history.gone, self.frame(number), self.a, 100.0) for number in range(1, 20)]
        self.assertLess(costs[-1], 100)
        self.assertGreater(calls(history.gone, self.frame(20), self.a, 113.0), 1000)
        self.assertGreater(calls(history.gone, self.frame(21), self.b, 113.0), 1000)
        history.part(self.a)
        self.assertNotIn(self.a, history._tellers)
