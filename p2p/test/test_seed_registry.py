"""
Tests for L{p2p.seed.registry}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.seed.registry import RETURN, Answer, Entry, Registry
from p2p.test.fakes import contact

LEASE = 10.0


def registry(maxPeers: int = 1000) -> Registry:
    """An empty list."""
    return Registry(LEASE, maxPeers, Random(1))


class Model:
    """The same in a few lines, and slowly: dictionaries from id to what is to be known."""

    def __init__(self, maxPeers: int) -> None:
        self.maxPeers = maxPeers
        self.entries: dict[bytes, list[Any]] = {}
        self.buried: dict[bytes, tuple[bytes, float]] = {}
        self.expired: float | None = None

    def register(self, who: Any, now: float) -> Answer:
        """See L{Registry.register}."""
        known = self.entries.get(who.id)
        if who.id in self.buried and who.identity <= self.buried[who.id][0]:
            return Answer.STALE
        if known is None:
            if len(self.entries) >= self.maxPeers:
                return Answer.FULL
            self.entries[who.id] = [who, now, None]
            return Answer.NEW
        if who.identity < known[0].identity:
            return Answer.STALE
        known[1] = now
        if who == known[0]:
            return Answer.RENEWED
        known[0], known[2] = who, None
        return Answer.CHANGED

    def remove(self, id: bytes, now: float) -> None:
        """See L{Registry.remove}."""
        if id in self.entries:
            self.buried[id] = (self.entries.pop(id)[0].identity, now)

    def expire(self, now: float) -> set[bytes]:
        """See L{Registry.expire}."""
        slept = max(0.0, now - self.expired - LEASE) if self.expired is not None else 0.0
        self.expired = now
        for known in self.entries.values():
            known[1] = min(now, known[1] + slept)
        gone = {id for id, known in self.entries.items() if now - known[1] > 3 * LEASE}
        for id in gone:
            self.remove(id, now)
        self.buried = {id: what for id, what in self.buried.items() if now - what[1] <= 3 * LEASE}
        return gone


PEERS = st.builds(
    contact,
    st.integers(0, 7),
    st.integers(1, 4),
    st.sampled_from([f"10.0.0.{host}:1" for host in range(1, 6)]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("register"), PEERS),
        st.tuples(st.just("remove"), PEERS),
        st.tuples(st.just("reached"), PEERS, st.booleans()),
        st.tuples(st.just("wait"), st.floats(0, 45)),
        st.tuples(st.just("sample"), st.integers(0, 9)),
        st.tuples(st.just("save"), st.booleans()),
    ),
    max_size=60,
)


class RegistryModelTests(SynchronousTestCase):
    """Whatever happens, the list is what a simple model says, and its indexes follow it."""

    @settings(max_examples=100, deadline=None)
    @given(STEPS, st.integers(1, 8))
    def test_theListIsThatOfTheModel(self, steps: list[Any], maxPeers: int) -> None:
        """Registrations, removals, leases, samples and savings in any order agree with the model."""
        real, model, now = registry(maxPeers), Model(maxPeers), 0.0
        disk: dict[bytes, Any] = {}
        for verb, *what in steps:
            if verb == "register":
                self.assertIs(real.register(what[0], now), model.register(what[0], now))
            elif verb == "remove":
                real.remove(what[0].id, now)
                model.remove(what[0].id, now)
            elif verb == "reached" and what[0].id in model.entries:
                entry = real.get(what[0].id)
                assert entry is not None
                real.reached(entry, what[1])
                model.entries[what[0].id][2] = what[1]
            elif verb == "wait":
                now += what[0]
                self.assertEqual({entry.id for entry in real.expire(now)}, model.expire(now))
            elif verb == "sample":
                offered = {known[0] for known in model.entries.values() if known[2] is not False}
                for exclude in (contact(0).id, contact(99).id):
                    others = {known for known in offered if known.id != exclude}
                    sample = real.sample(what[0], exclude)
                    self.assertEqual(len(sample), min(what[0], len(others)))
                    self.assertEqual(len(set(sample)), len(sample))
                    self.assertLessEqual(set(sample), others)
            elif verb == "save":
                changed, removed = real.takeChanges()
                if what[0]:
                    for id in removed:
                        disk.pop(id, None)
                    disk.update({entry.id: entry.contact for entry in changed})
                else:
                    real.returnChanges(changed, removed)
            self.assertEqual(
                {entry.id: [entry.contact, entry.lastSeen, entry.reachable] for entry in real}, model.entries
            )
            self.assertEqual(len(real), len(model.entries))
        changed, removed = real.takeChanges()
        for id in removed:
            disk.pop(id, None)
        disk.update({entry.id: entry.contact for entry in changed})
        self.assertEqual(disk, {id: known[0] for id, known in model.entries.items()})


class RegistryTests(SynchronousTestCase):
    """What the sentences about the list say, one by one."""

    def test_whoDoesNotRenewForThreeIntervalsIsGone(self) -> None:
        """A lease lasts three intervals after the last renewal, not two, not four."""
        known = registry()
        known.register(contact(1), 0.0)
        known.register(contact(2), 0.0)
        known.register(contact(2), 5.0)
        for now in range(5, 31, 5):
            self.assertEqual(known.expire(float(now)), [])
        self.assertEqual([entry.contact for entry in known.expire(31.0)], [contact(1)])
        self.assertEqual([entry.contact for entry in known.expire(36.0)], [contact(2)])

    def test_aClockThatIsSetBackHoldsUpNoExpiry(self) -> None:
        """What was seen in the future was seen now: nobody's lease is longer for that, and no tombstone lasts."""
        known = registry()
        for number in (1, 2, 3):
            known.register(contact(number), 5000.0)
        known.expire(5000.0)
        known.remove(contact(3).id, 5000.0)
        known.register(contact(2), 1001.0)
        gone = [entry.contact for now in range(1001, 1041) for entry in known.expire(float(now))]
        self.assertEqual(gone, [contact(1), contact(2)])
        self.assertIs(known.register(contact(3), 1041.0), Answer.NEW)

    def test_theSeedsOwnSleepIsNotThePeersSilence(self) -> None:
        """After a pause much longer than a lease nobody is gone, and leases run on from there."""
        known = registry()
        known.register(contact(1), 0.0)
        known.expire(1.0)
        self.assertEqual(known.expire(1000.0), [])
        self.assertEqual(known.expire(1010.0), [])
        self.assertEqual(len(known.expire(1031.0)), 1)

    def test_aRemovedIdentityDoesNotComeBackALaterOneDoes(self) -> None:
        """What was said of an earlier life never touches the present one."""
        known = registry()
        known.register(contact(1, 5), 0.0)
        known.remove(contact(1).id, 1.0)
        self.assertIs(known.register(contact(1, 5), 2.0), Answer.STALE)
        self.assertIs(known.register(contact(1, 4), 2.0), Answer.STALE)
        self.assertEqual(known.latest(contact(1).id), contact(1, 5).identity)
        self.assertIs(known.register(contact(1, 6), 2.0), Answer.NEW)
        self.assertIs(known.register(contact(1, 5), 2.0), Answer.STALE)
        self.assertIs(known.register(contact(1, 6), 2.0), Answer.RENEWED)

    def test_tombstonesAreForgottenAfterALease(self) -> None:
        """They are bounded in time..."""
        known = registry()
        known.register(contact(1), 0.0)
        known.remove(contact(1).id, 0.0)
        known.expire(30.0)
        self.assertIs(known.register(contact(1), 30.0), Answer.STALE)
        known.expire(31.0)
        self.assertIsNone(known.latest(contact(1).id))
        self.assertIs(known.register(contact(1), 31.0), Answer.NEW)

    def test_tombstonesAreNoMoreThanPeersMayBe(self) -> None:
        """...and in number, the oldest are forgotten first."""
        known = registry(maxPeers=5)
        for number in range(100):
            known.register(contact(number), 0.0)
            known.remove(contact(number).id, 0.0)
        buried = [number for number in range(100) if known.latest(contact(number).id)]
        self.assertEqual(buried, list(range(95, 100)))

    def test_aFullListTakesNobodyButThoseOnIt(self) -> None:
        """The list is bounded; who is on it may renew and change."""
        known = registry(maxPeers=2)
        known.register(contact(1), 0.0)
        known.register(contact(2), 0.0)
        self.assertIs(known.register(contact(3), 0.0), Answer.FULL)
        self.assertIs(known.register(contact(2), 1.0), Answer.RENEWED)
        self.assertIs(known.register(contact(2, 2), 1.0), Answer.CHANGED)
        self.assertEqual(len(known), 2)

    def test_afterARestartNobodyIsGoneBeforeAllCanBeBack(self) -> None:
        """They dial again after a pause longer than such a lease; a clock that is set back does not lengthen it."""
        for setBack in (0.0, 1000.0):
            known = Registry(0.5, 10, Random(1))
            known.resume([Entry(contact(number), 0.0, 0.0) for number in (1, 2)], 5000.0)
            known.register(contact(3), 5000.0)
            begin = 5000.0 - setBack
            for tenth in range(int(10 * RETURN)):
                now = begin + tenth / 10
                self.assertEqual(known.expire(now), [])
                known.register(contact(1), now)
            gone = known.expire(begin + RETURN)
            self.assertEqual({entry.contact for entry in gone}, {contact(2), contact(3)})

    def test_whoSleepsAfterItsRestartWaitsAsMuchLonger(self) -> None:
        """Nobody could come back meanwhile."""
        known = Registry(0.5, 10, Random(1))
        known.resume([Entry(contact(1), 0.0, 0.0)], 0.0)
        known.expire(1.0)
        for tenth in range(int(10 * (RETURN - 1.5))):
            self.assertEqual(known.expire(3600.0 + tenth / 10), [], tenth)
        self.assertEqual(len(known.expire(3600.0 + RETURN)), 1)

    def test_anEmptyListHasNobodyToWaitFor(self) -> None:
        """Who comes new goes as soon as a lease is over."""
        known = registry()
        known.resume([], 0.0)
        known.register(contact(1), 0.0)
        known.expire(LEASE)
        known.expire(2 * LEASE)
        known.expire(3 * LEASE)
        self.assertEqual(len(known.expire(3 * LEASE + 0.1)), 1)

    def test_allAreGivenWhileTheyAreFew(self) -> None:
        """All but who asks, whether or not that one is offered itself."""
        known = registry()
        for number in range(5):
            known.register(contact(number), 0.0)
        self.assertEqual(set(known.sample(4, contact(2).id)), {contact(n) for n in (0, 1, 3, 4)})
        self.assertEqual(set(known.sample(5, contact(9).id)), {contact(n) for n in range(5)})

    def test_aSampleOfManyIsRandom(self) -> None:
        """Everybody is drawn about equally often, the last one too when who asks is not offered."""
        known = registry()
        for number in range(20):
            known.register(contact(number), 0.0)
        for count, exclude in ((5, 3), (19, 99)):
            samples = [known.sample(count, contact(exclude).id) for _ in range(1000)]
            self.assertEqual({len(sample) for sample in samples}, {count})
            drawn = [peer for sample in samples for peer in sample]
            rest = [number for number in range(20) if number != exclude]
            fair = 1000 * count / len(rest)
            for number in rest:
                self.assertTrue(0.7 * fair < drawn.count(contact(number)) < 1.3 * fair, number)
            self.assertEqual(drawn.count(contact(exclude)), 0)

    def test_whoCannotBeDialledIsNotHandedOut(self) -> None:
        """Nobody is sent to an address that does not answer, until it does."""
        known = registry()
        known.register(contact(1), 0.0)
        entry = known.get(contact(1).id)
        assert entry is not None
        known.reached(entry, False)
        self.assertEqual(known.sample(10, b""), [])
        known.reached(entry, True)
        self.assertEqual(known.sample(10, b""), [contact(1)])

    def test_anEntryAddedTwiceIsOfferedOnce(self) -> None:
        """A list that is read again does not double."""
        known = registry()
        for _ in range(2):
            known.add(Entry(contact(1), 0.0, 0.0))
        known.add(Entry(contact(2), 0.0, 0.0))
        self.assertEqual(len(known.sample(10, b"")), 2)
        known.remove(contact(1).id, 0.0)
        self.assertEqual(known.sample(10, b""), [contact(2)])

    def test_theLastToRegisterAtAnAddressIsFoundThere(self) -> None:
        """Two peers at one address are both on the list; the later one is asked for."""
        known = registry()
        known.register(contact(1, 1, "10.0.0.1:1"), 0.0)
        known.register(contact(2, 1, "10.0.0.1:1"), 0.0)
        found = known.at("10.0.0.1:1")
        assert found is not None
        self.assertEqual(found.id, contact(2).id)
        known.remove(contact(2).id, 0.0)
        self.assertIsNone(known.at("10.0.0.1:1"))
        self.assertEqual(len(known), 1)

    def test_whatNobodyKeepsDoesNotGrow(self) -> None:
        """Without a disk, or with one that is always full, churn leaves no trace."""
        known = registry(maxPeers=5)
        for number in range(1000):
            known.register(contact(number), 0.0)
            known.remove(contact(number).id, 0.0)
        self.assertEqual(known.takeChanges(), ([], []))

    def test_changesAreGivenInTheOrderInWhichTheyCameAbout(self) -> None:
        """Not in one that is another one in each process."""
        known = registry(maxPeers=50)
        numbers = [7 * number % 50 for number in range(50)]
        for number in numbers:
            known.register(contact(number), 0.0)
        changed, _ = known.takeChanges()
        self.assertEqual([entry.contact for entry in changed], [contact(number) for number in numbers])
        for number in reversed(numbers):
            known.remove(contact(number).id, 0.0)
        ids = [contact(number).id for number in reversed(numbers)]
        _, removed = known.takeChanges()
        self.assertEqual(removed, ids)
        known.returnChanges((), removed)
        self.assertEqual(known.takeChanges(), ([], ids))

    def test_aRemovalIsToldAgainIfItCouldNotBeKept(self) -> None:
        """Who was on the disk once does not come back from it."""
        known = registry()
        known.register(contact(1), 0.0)
        known.takeChanges()
        known.remove(contact(1).id, 0.0)
        known.returnChanges(*known.takeChanges())
        known.register(contact(1, 2), 0.0)
        known.remove(contact(1).id, 0.0)
        self.assertEqual(known.takeChanges(), ([], [contact(1).id]))
