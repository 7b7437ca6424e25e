"""
Tests for L{p2p.peer.promises}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.promises import Promises
from p2p.test.fakes import calls, identity
from p2p.wire.codec import encode
from p2p.wire.messages import FRAME, MAX_HOPS, Message

ONE = identity(1)

Numbers = st.integers(1, 30)
Step = st.one_of(
    st.tuples(st.just("make"), st.sampled_from("ab"), st.integers(1, 2), Numbers),
    st.tuples(st.just("settle"), st.sampled_from("ab"), st.integers(1, 2), st.sets(Numbers, max_size=4)),
    st.tuples(st.just("claim"), st.just("a"), st.integers(1, 2), Numbers),
    st.tuples(st.just("part"), st.sampled_from("ab"), st.just(1), st.just(1)),
)


def message(number: int, origin: bytes = ONE) -> Message:
    """One whose size tells its number."""
    return Message(origin, number, 1, bytes(number))


class PromisesTests(SynchronousTestCase):
    """What is owed to whom."""

    @settings(max_examples=200, deadline=None)
    @given(st.lists(Step, max_size=60))
    def test_itIsASetOfMessagesForEachNeighbour(self, steps: list[Any]) -> None:
        """And the bytes owed are theirs; too many are not promised."""
        most = 500
        promises, model = Promises(most), set[tuple[str, bytes, int]]()

        def owed(neighbour: str) -> int:
            return sum(number + FRAME for who, _, number in model if who == neighbour)

        for what, who, origin, which in steps:
            of = identity(origin)
            if what == "make" and (who, of, which) not in model:
                fits = owed(who) + which + FRAME <= most
                self.assertEqual(promises.make(who, message(which, of)), fits)
                if fits:
                    model.add((who, of, which))
            elif what == "settle":
                these = {(who, of, number) for number in which}
                told = [(number, number) for number in sorted(which)]
                self.assertEqual(promises.settle(who, of, told), bool(model & these))
                model -= these
            elif what == "claim":
                these = {(each, of, which) for each in "ab"}
                self.assertEqual({(each, of, which) for each in promises.claim(of, which)}, model & these)
                model -= these
            elif what == "part":
                promises.part(who)
                model = {each for each in model if each[0] != who}
            self.assertEqual([promises.owed(each) for each in "ab"], [owed(each) for each in "ab"])
            self.assertEqual(bool(promises.owing), bool(model))

    def test_whoHasAllNumbersCostsNoMore(self) -> None:
        """However many are promised: a liar may say so again and again."""
        promises = Promises(2**40)
        for number in range(1, 20_000, 2):
            promises.make("a", message(number // 100 + 1))
            promises.make("b", Message(ONE, number, 1, b""))
        everyOther = [(number, number) for number in range(2, 200, 2)]
        self.assertLess(calls(promises.settle, "b", ONE, everyOther), 500)
        self.assertLess(calls(promises.settle, "b", ONE, [(1, 2**63 - 1)]), 50)
        self.assertEqual(promises.owed("b"), 0)

    def test_aFrameTakesNoMoreThanIsReckonedWith(self) -> None:
        """Whatever its numbers are."""
        for payload in (b"", bytes(100), bytes(70_000)):
            frame = encode(Message(ONE, 2**63 - 1, MAX_HOPS, payload, 2**31))
            self.assertLessEqual(len(frame), len(payload) + FRAME)
