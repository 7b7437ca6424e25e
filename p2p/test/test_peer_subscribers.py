"""
Tests for L{p2p.peer.subscribers}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.delivery import Delivery
from p2p.peer.subscribers import Subscribers
from p2p.settings import PeerSettings
from p2p.test.fakes import identity
from p2p.wire.messages import Message


def delivery(number: int) -> Delivery:
    """A message of that number."""
    return Delivery(Message(identity(1), number, 1, b"x"), 0.0)


class SubscribersTests(SynchronousTestCase):
    """Those who are told at once, and those who are told in order."""

    def setUp(self) -> None:
        """Nothing is given up, and nothing has come."""
        self.settled = 0
        self.atOnce: list[int] = []
        self.ordered: list[int] = []
        self.subscribers = Subscribers(PeerSettings(), lambda origin: self.settled)

    def test_eachIsToldInItsWay(self) -> None:
        """What came early waits for those who want order, until what is missing comes or is given up."""
        self.assertFalse(self.subscribers.any)
        self.subscribers.add(lambda delivery: self.atOnce.append(delivery.sequence), False)
        end = self.subscribers.add(lambda delivery: self.ordered.append(delivery.sequence), True)
        self.subscribers.tell(delivery(2))
        self.assertEqual((self.atOnce, self.ordered), ([2], []))
        self.settled = 2
        self.subscribers.look()
        self.assertEqual((self.atOnce, self.ordered), ([2], [2]))
        end()
        self.settled = 3
        self.subscribers.tell(delivery(3))
        self.assertEqual((self.atOnce, self.ordered), ([2, 3], [2]))

    def test_anotherLifeBeginsWithNothingHeldBack(self) -> None:
        """What waited in the last one is told to nobody."""
        self.subscribers.add(lambda delivery: self.ordered.append(delivery.sequence), True)
        self.subscribers.tell(delivery(2))
        self.subscribers.forget()
        self.settled = 2
        self.subscribers.look()
        self.assertEqual(self.ordered, [])

    def test_oneThatRaisesIsLoggedAndTheNextIsTold(self) -> None:
        """Whether it wants order or not."""
        self.settled = 1
        for ordered in (False, True):
            self.subscribers.add(lambda delivery: 1 / 0, ordered)
            self.subscribers.add(lambda delivery: self.atOnce.append(delivery.sequence), ordered)
        self.subscribers.tell(delivery(1))
        self.assertEqual(self.atOnce, [1, 1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
