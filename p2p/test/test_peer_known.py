"""
Tests for L{p2p.peer.known}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.known import DOUBT, FIRST_PAUSE, HEARSAY, LONGEST_PAUSE, MAX_FAILURES, Known
from p2p.test.fakes import contact
from p2p.wire.messages import Contact


class KnownTests(SynchronousTestCase):
    """What a peer remembers of addresses."""

    def setUp(self) -> None:
        """Room for 64."""
        self.known = Known(64, Random(1))

    def contacts(self) -> set[Contact]:
        """Whom it knows."""
        return {entry.contact for _, entry in self.known.items()}

    def test_atMostSoManyAreRemembered(self) -> None:
        """However many are told."""
        for number in range(1000):
            self.known.add(contact(number))
        self.assertEqual(len(self.known), 64)
        self.assertEqual(len(self.known._order), 64)
        self.assertEqual(len(self.known._at), 64)

    def test_aThousandInventedAddressesDoNotDriveOutThoseThatWereMet(self) -> None:
        """Invented ones drive out each other."""
        met = {contact(number) for number in range(20)}
        for known in met:
            self.known.met(known, 0.0)
        for number in range(100, 1100):
            self.known.add(contact(number), 0.0)
        self.assertLessEqual(met, self.contacts())

    def test_hearsayMovesNobodyWhoWasMet(self) -> None:
        """A later incarnation elsewhere may be invented: it counts where a seed shows it, or the old address fails."""
        met = {contact(number) for number in range(60)}
        for known in met:
            self.known.met(known, 0.0)
        for number in range(60):
            self.known.add(contact(number, 2**62, f"10.66.0.{number}:6"))
        self.assertEqual(self.contacts(), met)
        self.known.add(contact(1, 2, "10.66.0.1:6"), 1.0)
        self.assertIn(contact(1, 2, "10.66.0.1:6"), self.contacts())
        self.known.failed(contact(2), 1.0)
        self.known.add(contact(2, 2, "10.66.0.2:6"))
        self.assertIn(contact(2, 2, "10.66.0.2:6"), self.contacts())

    def test_hearsayDrivesOutNobodyWhoWasMet(self) -> None:
        """Also where all that is remembered was met, and however much of it comes."""
        met = {contact(number) for number in range(64)}
        for known in met:
            self.known.met(known, 0.0)
        for number in range(100, 1100):
            self.known.add(contact(number))
        self.assertEqual(self.contacts(), met)
        self.known.add(contact(100), 1.0)
        self.assertIn(contact(100), self.contacts())

    def test_whatFailsIsForgottenBeforeWhatIsUntried(self) -> None:
        """When there is no room."""
        for number in range(64):
            self.known.add(contact(number))
        failing = {contact(number) for number in range(32)}
        for known in failing:
            self.known.failed(known, 0.0)
        for number in range(100, 120):
            self.known.add(contact(number))
        self.assertLess(len(failing & self.contacts()), 16)
        self.assertGreaterEqual(len({contact(number) for number in range(32, 64)} & self.contacts()), 31)

    def test_aLaterIncarnationReplacesAnEarlierOne(self) -> None:
        """And never the other way round."""
        self.known.add(contact(1, 1))
        self.known.add(contact(1, 3))
        self.known.add(contact(1, 2))
        self.assertEqual(self.contacts(), {contact(1, 3)})

    def test_anInventedLaterIncarnationGivesWayOnceItFailed(self) -> None:
        """A liar names somebody at an address where nobody is: the next list puts it right."""
        self.known.add(contact(1, 1))
        invented = contact(1, 2**63, "10.66.6.6:6")
        self.known.add(invented)
        self.known.failed(invented, 0.0)
        self.known.add(contact(1, 1))
        self.assertEqual(self.contacts(), {contact(1, 1)})

    def test_aThousandNamesAtOneAddressAreOnePeer(self) -> None:
        """Nobody can have one machine dialled by everyone by naming it often."""
        for number in range(100):
            self.known.add(contact(number, 1, "10.0.0.1:1"))
        self.assertEqual(len(self.known), 1)

    def test_whoWasMetAtAnAddressIsNotDrivenOutByANameForIt(self) -> None:
        """Unless it fails there."""
        self.known.met(contact(1), 0.0)
        self.known.add(contact(2, 1, contact(1).address))
        self.assertEqual(self.contacts(), {contact(1)})
        self.known.failed(contact(1), 0.0)
        self.known.add(contact(2, 1, contact(1).address))
        self.assertEqual(self.contacts(), {contact(2, 1, contact(1).address)})

    def test_aNewNameDoesNotShortenThePause(self) -> None:
        """Who is full and invents itself anew is not dialled at once again."""
        self.known.add(contact(1))
        self.known.pause(contact(1), 10.0)
        self.known.add(contact(2, 1, contact(1).address))
        self.assertEqual(self.known.candidates(9.0, ()), [])
        self.assertEqual(len(self.known.candidates(10.0, ())), 1)

    def test_theDeadDoNotComeBackTheirLaterLivesDo(self) -> None:
        """What others still tell of them is not believed."""
        self.known.add(contact(1, 1))
        self.known.dead(contact(1, 1), 0.0)
        self.known.add(contact(1, 1))
        self.assertEqual(self.contacts(), set())
        self.known.add(contact(1, 2))
        self.assertEqual(self.contacts(), {contact(1, 2)})
        self.known.dead(contact(1, 1), 0.0)
        self.assertEqual(self.contacts(), {contact(1, 2)})

    def test_aSeedThatListsTheDeadMuchLaterIsBelieved(self) -> None:
        """Not at once, for it may not have looked yet; but a network that was split must grow together again."""
        self.known.dead(contact(1), 100.0)
        self.known.add(contact(1), 101.0)
        self.assertEqual(self.contacts(), set())
        self.known.add(contact(1))
        self.assertEqual(self.contacts(), set())
        self.known.add(contact(1), 100.0 + DOUBT)
        self.assertEqual(self.contacts(), {contact(1)})

    def test_anInventedDeathBuriesNobodyElse(self) -> None:
        """An identity that never was is dead; the real one is still taken."""
        self.known.dead(contact(1, 2**63), 0.0)
        self.known.add(contact(1, 1))
        self.assertEqual(self.contacts(), {contact(1, 1)})

    def test_aDeathAtAnInventedAddressBuriesNobodyElsewhere(self) -> None:
        """Nor is anybody moved there by name only."""
        self.known.add(contact(1), 0.0)
        invented = contact(1, 1, "10.66.6.6:6")
        self.known.add(invented)
        self.assertEqual(self.contacts(), {contact(1)})
        self.known.dead(invented, 0.0)
        self.assertEqual(self.contacts(), {contact(1)})
        self.known.dead(contact(1, 2, "10.66.6.6:6"), 0.0)
        self.assertEqual(self.contacts(), {contact(1)})
        self.known.forget(contact(1).id)
        self.known.add(invented)
        self.assertEqual(self.contacts(), set())
        self.known.add(contact(1))
        self.assertEqual(self.contacts(), {contact(1)})

    def test_hearsayIsToldFromWhatWasShown(self) -> None:
        """For that very contact."""
        self.known.add(contact(1))
        self.assertFalse(self.known.wasShown(contact(1)))
        self.known.add(contact(1), 5.0)
        self.assertTrue(self.known.wasShown(contact(1)))
        self.assertFalse(self.known.wasShown(contact(1, 1, "10.66.6.6:6")))
        self.assertFalse(self.known.wasShown(contact(1, 2)))
        self.assertFalse(self.known.wasShown(contact(2)))

    def test_theDeadAreRememberedBoundedly(self) -> None:
        """As many as the living, the latest."""
        for number in range(1000):
            self.known.dead(contact(number), 0.0)
        self.assertEqual(len(self.known._dead), 64)
        self.known.add(contact(999))
        self.assertEqual(len(self.known), 0)

    def test_whoIsMetIsNotDead(self) -> None:
        """Whatever was said."""
        self.known.dead(contact(1), 0.0)
        self.known.met(contact(1), 0.0)
        self.assertEqual(self.contacts(), {contact(1)})

    def test_failuresPauseLongerAndLongerAndEndInOblivion(self) -> None:
        """1, 2, 4 ... seconds, and the eighth time it is forgotten."""
        self.known.add(contact(1))
        for failures in range(MAX_FAILURES - 1):
            self.known.failed(contact(1), 0.0)
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**failures)
            self.assertEqual(self.known.candidates(pause - 0.01, ()), [])
            self.assertEqual(self.known.candidates(pause, ()), [contact(1)])
        self.known.failed(contact(1), 0.0)
        self.assertEqual(len(self.known), 0)

    def test_anEmptyAddressIsNoneToRemember(self) -> None:
        """Some do not say where they listen."""
        self.known.met(Contact(contact(1).identity, ""), 0.0)
        self.assertEqual(len(self.known), 0)

    def test_onlySoManyOfThoseMetAreSafe(self) -> None:
        """Else a view of nobody but those would take no more newcomers: the ones shown last are kept."""
        known = Known(10, Random(1), safe=4)
        for number in range(10):
            known.met(contact(number), float(number))
        for number in range(100, 1100):
            known.add(contact(number))
        self.assertEqual(len(known), 10)
        kept = {entry.contact for _, entry in known.items()}
        self.assertLessEqual({contact(number) for number in (6, 7, 8, 9)}, kept)
        self.assertEqual(sum(entry.met for _, entry in known.items()), 4)

    def test_whatMayRatherGoIsForgottenFirst(self) -> None:
        """As long as there was no link to it."""
        for number in range(64):
            self.known.add(contact(number))
        self.known.met(contact(1), 0.0)
        rather = [contact(1).id, contact(2).id]
        self.known.add(contact(100), rather=rather)
        self.assertEqual((contact(2) in self.contacts(), rather), (False, [contact(1).id]))
        self.known.add(contact(101), rather=rather)
        self.assertIn(contact(1), self.contacts())
        self.assertEqual((len(self.known), rather), (64, []))

    def test_theLatestNewsCounts(self) -> None:
        """Shown here or told by others; an older tale changes nothing."""
        self.known.add(contact(1), told=5.0)
        self.known.add(contact(1), told=3.0)
        ((_, entry),) = self.known.items()
        self.assertEqual((entry.latest, entry.shown), (5.0, HEARSAY))
        self.known.add(contact(1), 4.0)
        self.assertEqual((entry.latest, entry.shown), (5.0, 4.0))

    def test_whoIsLinkedIsRememberedElsewhere(self) -> None:
        """Neither it nor whoever was said to be at its address stays, and it is not dead."""
        self.known.add(contact(1))
        self.known.dead(contact(2), 0.0)
        self.known.linked(contact(2, 1, contact(1).address))
        self.assertEqual(self.contacts(), set())
        self.known.add(contact(2))
        self.assertEqual(self.contacts(), {contact(2)})

    def test_whoAnswersLives(self) -> None:
        """Though it was called dead a moment ago."""
        self.known.dead(contact(1), 0.0)
        self.assertTrue(self.known.isDead(contact(1)))
        self.known.lives(contact(1), 1.0)
        self.assertFalse(self.known.isDead(contact(1)))
        self.assertEqual(self.contacts(), {contact(1)})

    CONTACTS = st.builds(
        contact, st.integers(0, 5), st.integers(1, 3), st.sampled_from([None, "10.0.0.1:1", "10.0.0.2:1"])
    )
    EVENTS = st.lists(st.tuples(st.sampled_from(["add", "met", "failed", "dead", "forget", "pause"]), CONTACTS))

    @settings(max_examples=100, deadline=None)
    @given(EVENTS)
    def test_itsIndexesAgree(self, events: list[Any]) -> None:
        """Whatever happens: at most so many, each id and each address once, none of the dead."""
        known = Known(3, Random(1))
        for verb, who in events:
            if verb == "met":
                known.met(who, 0.0)
                self.assertIn(who, [entry.contact for _, entry in known.items()])
            elif verb == "failed":
                known.failed(who, 0.0)
            elif verb == "dead":
                known.dead(who, 0.0)
                self.assertNotIn(who, [entry.contact for _, entry in known.items()])
            elif verb == "forget":
                known.forget(who.id)
            elif verb == "pause":
                known.pause(who, 5.0)
            else:
                known.add(who)
            self.assertLessEqual(len(known), 3)
            self.assertLessEqual(len(known._dead), 3)
            self.assertEqual(sorted(known._order), sorted(known._entries))
            self.assertEqual(known._at, {entry.contact.address: id for id, entry in known.items()})
