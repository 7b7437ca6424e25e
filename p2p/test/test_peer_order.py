"""
Tests for L{p2p.peer.order}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.delivery import Delivery
from p2p.peer.history import History
from p2p.peer.order import InOrder
from p2p.settings import PeerSettings
from p2p.test.fakes import FakeOutlet, identity
from p2p.wire.messages import Gone, Message

ONE, OTHER = identity(1), identity(2)


class InOrderTests(SynchronousTestCase):
    """Messages of two origins."""

    def begin(self, **changed: Any) -> None:
        """Nothing has come yet."""
        chosen = PeerSettings(**changed)
        self.history = History(FakeOutlet(), chosen)
        self.told: list[tuple[bytes, int]] = []
        self.history.tick(0.0)

        def tell(delivery: Delivery) -> None:
            self.told.append((delivery.message.origin, delivery.sequence))

        self.held = InOrder(chosen, self.history.settled, tell)

    def come(self, number: int, origin: bytes = ONE, payload: bytes = b"", now: float = 1.0) -> None:
        """A message comes, perhaps again."""
        new = self.history.take(Message(origin, number, 1, payload), now)
        if new is not None:
            self.held.take(Delivery(new, now))

    def numbers(self, origin: bytes = ONE) -> list[int]:
        """What was told of an origin."""
        return [number for who, number in self.told if who == origin]

    @settings(deadline=None, max_examples=50)
    @given(st.permutations(range(1, 9)), st.permutations(range(1, 9)))
    def test_eachOriginsAreInOrderHoweverTheyCome(self, one: list[int], other: list[int]) -> None:
        """All of them, each once, and none later than it must be."""
        self.begin()
        for first, second in zip(one, other, strict=True):
            self.come(first)
            self.come(second, OTHER)
            self.come(first)
            seen = set(one[: one.index(first) + 1])
            expected = next(number for number in range(1, 10) if number not in seen) - 1
            self.assertEqual(self.numbers(), list(range(1, expected + 1)))
        self.assertEqual(self.numbers(OTHER), list(range(1, 9)))
        self.assertEqual(self.held.count, 0)

    def test_whatIsGivenUpIsNotWaitedFor(self) -> None:
        """And what comes after that all the same is left out."""
        self.begin(lossDelay=5.0)
        self.come(1)
        self.come(4)
        self.history.gone([Gone(ONE, [2, 3], 0.0)], None, 1.0)
        self.history.tick(5.0)
        self.held.look()
        self.assertEqual(self.numbers(), [1])
        self.history.tick(6.0)
        self.held.look()
        self.assertEqual(self.numbers(), [1, 4])
        self.come(2)
        self.come(5)
        self.assertEqual(self.numbers(), [1, 4, 5])

    def test_whatIsHeldBackIsBounded(self) -> None:
        """In number and in bytes: the origin that has waited longest waits no more."""
        for changed in ({"historyMessages": 5}, {"historyBytes": 500}):
            self.begin(**changed)
            self.come(1)
            for number in range(3, 7):
                self.come(number, payload=bytes(100))
            self.come(2, OTHER, bytes(100))
            self.assertEqual(self.told, [(ONE, 1)])
            self.come(3, OTHER, bytes(100))
            self.assertEqual(self.numbers(), [1, 3, 4, 5, 6])
            self.assertEqual(self.numbers(OTHER), [])
            self.assertEqual(self.held.count, 2)

    def test_whoPublishesWhileItIsToldComesLater(self) -> None:
        """All are told of one message before anybody is told of the next, also of those that had been held back."""
        self.begin()
        told: list[tuple[str, int]] = []

        def tell(delivery: Delivery) -> None:
            told.append(("first", delivery.sequence))
            if delivery.sequence in (1, 3):
                self.come(delivery.sequence + 3)
            told.append(("second", delivery.sequence))

        self.held = InOrder(PeerSettings(), self.history.settled, tell)
        for number in (3, 2, 1, 5):
            self.come(number)
        self.assertEqual(told, [(who, number) for number in range(1, 7) for who in ("first", "second")])
        self.assertEqual(self.held.count, 0)

    def test_aSubscriberThatFailsHoldsNothingUp(self) -> None:
        """What came after it is told with the next."""
        self.begin()
        told: list[int] = []

        def tell(delivery: Delivery) -> None:
            told.append(delivery.sequence)
            if delivery.sequence == 1:
                raise ValueError

        self.held = InOrder(PeerSettings(), self.history.settled, tell)
        self.come(2)
        self.assertRaises(ValueError, self.come, 1)
        self.come(3)
        self.assertEqual(told, [1, 2, 3])
