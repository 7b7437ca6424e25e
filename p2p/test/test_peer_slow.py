"""
Tests for L{p2p.peer.slow}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.slow import DOUBLINGS, LIMIT, SlowReaders

ONE, OTHER, THIRD = b"1" * 8, b"2" * 8, b"3" * 8
HERE, THERE = "10.0.0.1", "10.0.0.2"


class SlowReadersTests(SynchronousTestCase):
    """Whom to leave alone, and for how long."""

    def setUp(self) -> None:
        """Nobody has done anything."""
        self.slow = SlowReaders(10.0)

    def test_whoDidNotReadIsLeftAloneForAWhile(self) -> None:
        """And nobody else is."""
        self.assertFalse(self.slow.shunned(ONE, HERE, 0.0))
        self.assertEqual(self.slow.cutOff(ONE, HERE, 0.0), 10.0)
        self.assertTrue(self.slow.shunned(ONE, HERE, 9.9))
        self.assertFalse(self.slow.shunned(OTHER, HERE, 9.9))
        self.assertFalse(self.slow.shunned(ONE, HERE, 10.0))

    def test_eachTimeForTwiceAsLong(self) -> None:
        """Up to a bound; what was long ago is forgiven."""
        now, pauses = 0.0, []
        for _ in range(DOUBLINGS + 3):
            pauses.append(self.slow.cutOff(ONE, HERE, now))
            now += pauses[-1] + 1.0
        longest = 10.0 * 2**DOUBLINGS
        self.assertEqual(pauses, [10.0 * 2**n for n in range(DOUBLINGS + 1)] + [longest] * 2)
        self.assertEqual(self.slow.cutOff(ONE, HERE, now + longest), 10.0)

    def test_aMomentIsForgivenOnce(self) -> None:
        """Who was stopped for a moment while much came keeps its neighbours; not whoever is so again and again."""
        self.assertEqual(self.slow.cutOff(ONE, HERE, 0.0, brief=True), 0.0)
        self.assertFalse(self.slow.shunned(ONE, HERE, 0.0))
        self.assertEqual(self.slow.cutOff(ONE, HERE, 5.0, brief=True), 10.0)
        self.assertTrue(self.slow.shunned(ONE, HERE, 5.0))

    def test_anotherCannotBlackenAName(self) -> None:
        """An id that did not read elsewhere is welcome from its own address."""
        self.slow.cutOff(ONE, THERE, 0.0)
        self.assertFalse(self.slow.shunned(ONE, HERE, 1.0))

    def test_whoTakesNewNamesIsKnownByTheAddress(self) -> None:
        """The first id at an address has no consequences for the others there, the second has, and for ever longer."""
        now, names = 0.0, [bytes([n]) * 8 for n in range(8)]
        self.slow.cutOff(names[0], HERE, now)
        self.assertFalse(self.slow.shunned(THIRD, HERE, now))
        for number, name in enumerate(names[1:4]):
            self.slow.cutOff(name, HERE, now)
            self.assertTrue(self.slow.shunned(THIRD, HERE, now + 10.0 * 2**number - 0.1))
            now += 10.0 * 2**number
            self.assertFalse(self.slow.shunned(THIRD, HERE, now))

    def test_oneThatIsOftenSlowIsNotItsAddress(self) -> None:
        """One weak machine behind a shared address does not shut out the others."""
        for now in range(0, 100, 20):
            self.slow.cutOff(ONE, HERE, float(now))
        self.assertFalse(self.slow.shunned(OTHER, HERE, 81.0))

    def test_whoHasOneAddressOfTheSixthVersionHasAllOfThem(self) -> None:
        """Of its /64."""
        self.slow.cutOff(ONE, "2001:db8::1", 0.0)
        self.slow.cutOff(OTHER, "2001:db8::2", 0.0)
        self.assertTrue(self.slow.shunned(THIRD, "2001:db8::3", 1.0))
        self.assertFalse(self.slow.shunned(THIRD, "2001:db8:0:1::3", 1.0))

    def test_thisMachineItselfIsNotShutOut(self) -> None:
        """Where all peers have one address, each answers for itself."""
        for host in ("127.0.0.1", "::1"):
            for id in (ONE, OTHER, ONE, OTHER):
                self.slow.cutOff(id, host, 0.0)
            self.assertTrue(self.slow.shunned(ONE, host, 1.0))
            self.assertFalse(self.slow.shunned(THIRD, host, 1.0))

    def test_memoryIsBounded(self) -> None:
        """Who was cut off longest ago is forgotten first."""
        for number in range(5 * LIMIT):
            self.slow.cutOff(number.to_bytes(8, "big"), f"10.1.{number // 250}.{number % 250}", 0.0)
        self.assertEqual(len(self.slow), LIMIT)
        last = 5 * LIMIT - 1
        self.assertTrue(self.slow.shunned(last.to_bytes(8, "big"), f"10.1.{last // 250}.{last % 250}", 1.0))
        self.assertFalse(self.slow.shunned((0).to_bytes(8, "big"), "10.1.0.0", 1.0))

    def test_withoutAPauseNobodyIsLeftAlone(self) -> None:
        """C{--slow-pause 0}."""
        slow = SlowReaders(0.0)
        for _ in range(3):
            self.assertEqual(slow.cutOff(ONE, HERE, 5.0), 0.0)
            self.assertEqual(slow.cutOff(OTHER, HERE, 5.0), 0.0)
        self.assertFalse(slow.shunned(ONE, HERE, 5.0))
