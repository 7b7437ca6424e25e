"""
Tests for L{p2p.peer.hyparview}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.interfaces import IOverlay
from p2p.peer.hyparview import (
    DIAL_BURST,
    JOINING,
    LIFE,
    MAX_WALKS,
    MIXED_FRESH,
    REFUSALS,
    UNDATED,
    WALK_BURST,
    HyParView,
)
from p2p.peer.known import DIALS, FULL_PAUSE, IMPATIENCE
from p2p.settings import PeerSettings
from p2p.test.fakes import WORDS, FakeNeighbour, FakeOutlet, contact, identity
from p2p.wire import reasons
from p2p.wire.codec import Decoder, encode
from p2p.wire.contacts import checkedContact
from p2p.wire.messages import Contact, ForwardJoin, Join, Shuffle, ShuffleReply, Sighting
from p2p.wire.probe import Outcome, Verdict


class HyParViewTestCase(SynchronousTestCase):
    """An overlay, and links that come up and go."""

    def overlay(self, seed: int = 1, **changed: Any) -> HyParView:
        """A fresh one, whose outlet does at once what it is asked, as the service does."""
        self.outlet = FakeOutlet()
        self.outlet.identity = identity(9999)
        self.links: dict[bytes, FakeNeighbour] = {}
        self.now = 0.0
        overlay = HyParView(self.outlet, PeerSettings(**changed), Random(seed))

        def ending(neighbour: FakeNeighbour, reason: str) -> None:
            if self.links.get(neighbour.contact.id) is neighbour:
                del self.links[neighbour.contact.id]
            overlay.neighbourDown(neighbour, reason, self.now)

        self.outlet.ending = ending
        return overlay

    def up(self, overlay: HyParView, who: Contact | int, outgoing: bool = True) -> FakeNeighbour:
        """A link to it comes up."""
        neighbour = FakeNeighbour(who, outgoing)
        self.links[neighbour.contact.id] = neighbour
        overlay.neighbourUp(neighbour, self.now)
        return neighbour

    def down(self, overlay: HyParView, neighbour: FakeNeighbour, reason: str = reasons.LOST) -> None:
        """It is lost."""
        del self.links[neighbour.contact.id]
        overlay.neighbourDown(neighbour, reason, self.now)

    def full(self, **changed: Any) -> HyParView:
        """One with five links, to 1, 2, 3 (dialled) and 4, 5 (taken in that order)."""
        overlay = self.overlay(**changed)
        for number in (1, 2, 3, 4, 5):
            self.up(overlay, number, outgoing=number < 4)
        self.outlet.asked.clear()
        return overlay

    def passive(self, overlay: HyParView) -> set[Contact]:
        """Its passive view."""
        return {entry.contact for _, entry in overlay._passive.items()}


class JoinTests(HyParViewTestCase):
    """A newcomer."""

    def test_interface(self) -> None:
        """It is what it claims to be."""
        verifyObject(IOverlay, self.overlay())

    def test_oneIsDialledUrgentlyAndAskedToTellOthers(self) -> None:
        """Of all that a seed lists; then others dial this peer, and it waits for them before it dials by itself."""
        overlay = self.overlay()
        overlay.listed([contact(number) for number in range(20)], True, 0.0)
        ((who, urgent),) = self.outlet.take("connect")
        self.assertTrue(urgent)
        link = self.up(overlay, who)
        self.assertEqual(self.outlet.take("send"), [(link, Join(4))])
        overlay.tick(JOINING - 0.1)
        self.assertEqual(self.outlet.take("connect"), [])
        for number in (50, 51):
            self.assertIsNone(overlay.accept(contact(number), False, 1.0))
            self.up(overlay, number, outgoing=False)
        overlay.tick(JOINING)
        self.assertEqual(len(self.outlet.take("connect")), 2)

    def test_aSilentContactDoesNotKeepANewcomerWaiting(self) -> None:
        """Every second one more is dialled than in the one before, up to as many as it may dial."""
        overlay = self.overlay()
        overlay.listed([contact(number) for number in range(40)], True, 0.0)
        dialled = []
        for second in range(6):
            overlay.tick(float(second))
            dialled.append(len(self.outlet.take("connect")))
        self.assertEqual(dialled[:4], [2, 3, 4, 4])

    def test_whatAnswersAfterAllIsNotOneTooMany(self) -> None:
        """Those that it had given up waiting for, while others took their place."""
        overlay = self.overlay()
        overlay.listed([contact(number) for number in range(40)], True, 0.0)
        for second in range(4):
            overlay.tick(float(second))
        for who, _ in self.outlet.take("connect"):
            if who.id in overlay._dialling:
                self.up(overlay, who)
            self.assertLessEqual(sum(link.outgoing for link in self.links.values()), 4)
        self.assertEqual(len(self.links), 4)

    def test_whoIsJoinedTellsItsOtherNeighbours(self) -> None:
        """As the link shows the newcomer, and no more of them than it wants."""
        overlay = self.full()
        newcomer = self.links[contact(5).id]
        overlay.received(Join(10), newcomer, 0.0)
        others = [self.links[contact(number).id] for number in (1, 2, 3, 4)]
        self.assertEqual(self.outlet.take("send"), [(other, ForwardJoin(contact(5), 0)) for other in others])
        overlay.received(Join(2), newcomer, 0.0)
        self.assertEqual(len(self.outlet.take("send")), 2)

    def test_aWalkGoesOnToOneWhoDidNotSendIt(self) -> None:
        """Each of them equally often, one hop more, and the newcomer itself is passed by."""
        overlay = self.full()
        sender = self.links[contact(1).id]
        reached: dict[Contact, int] = {}
        for _ in range(150):
            overlay.received(ForwardJoin(contact(2), 4), sender, 0.0)
            ((to, message),) = self.outlet.take("send")
            self.assertEqual(message, ForwardJoin(contact(2), 5))
            reached[to.contact] = reached.get(to.contact, 0) + 1
        self.assertEqual(set(reached), {contact(3), contact(4), contact(5)})
        self.assertTrue(all(count > 30 for count in reached.values()), reached)

    def test_whoIsHalfWayRemembers(self) -> None:
        """Three links before the end, and nowhere else."""
        for hops in range(6):
            overlay = self.full()
            overlay.received(ForwardJoin(contact(50), hops), self.links[contact(1).id], 0.0)
            self.assertEqual(contact(50) in self.passive(overlay), hops == 3)

    def test_whoIsAtTheEndDials(self) -> None:
        """Without urgency; with one link too many then, another one goes."""
        overlay = self.full()
        overlay.received(ForwardJoin(contact(50), 6), self.links[contact(1).id], 0.0)
        self.assertEqual(self.outlet.take("connect"), [contact(50)])
        self.assertEqual(len(self.links), 5)
        self.up(overlay, 50)
        ((given, reason),) = self.outlet.take("disconnect")
        self.assertEqual(reason, reasons.REWIRED)
        self.assertNotEqual(given.contact, contact(50))
        self.assertIn(contact(50).id, self.links)
        self.assertEqual(self.outlet.take("send"), [])

    def test_theOnlyNeighboursWalkEndsHere(self) -> None:
        """There is nobody else to send it to."""
        overlay = self.overlay()
        only = self.up(overlay, 1)
        overlay.received(ForwardJoin(contact(50), 0), only, 0.0)
        self.assertEqual(self.outlet.take("connect"), [contact(50)])

    def test_whoMayDialNoMoreRemembers(self) -> None:
        """The mission's four are not exceeded, nor is a link given up for a mere name."""
        overlay = self.overlay()
        for number in (1, 2, 3, 4):
            self.up(overlay, number)
        self.outlet.asked.clear()
        overlay.received(ForwardJoin(contact(50), 6), self.links[contact(1).id], 0.0)
        self.assertEqual(self.outlet.asked, [])
        self.assertIn(contact(50), self.passive(overlay))

    def test_namesThatCannotBeAreNotPassedOn(self) -> None:
        """Nobody's address, and this peer itself."""
        overlay = self.full()
        for wrong in (contact(50, 1, "0.0.0.0:1"), contact(50, 1, "nonsense"), contact(9999)):
            for hops in (0, 3, 6):
                overlay.received(ForwardJoin(wrong, hops), self.links[contact(1).id], 0.0)
        self.assertEqual(self.outlet.asked, [])
        self.assertEqual(self.passive(overlay), set())


class ActiveViewTests(HyParViewTestCase):
    """Links."""

    def test_whoHasRoomTakesAnybody(self) -> None:
        """Who has none, only those who need it."""
        overlay = self.overlay()
        for number in (1, 2, 3, 4, 5):
            self.assertIsNone(overlay.accept(contact(number), False, 0.0))
            self.up(overlay, number, outgoing=False)
        self.assertEqual(overlay.accept(contact(6), False, 0.0), reasons.FULL)
        self.assertIsNone(overlay.accept(contact(6), True, 0.0))

    def test_whoDialsAgainAndAgainTakesItsOwnPlace(self) -> None:
        """A hundred strangers that all say they need a link cannot surround a peer."""
        overlay = self.full()
        for number in range(100, 200):
            self.assertIsNone(overlay.accept(contact(number), True, 0.0))
            self.up(overlay, number, outgoing=False)
        self.assertEqual({link.contact for link in self.links.values()}, {*map(contact, (1, 2, 3, 4)), contact(199)})

    def test_inboundLinksAreBounded(self) -> None:
        """By the setting for all overlays too."""
        overlay = self.overlay(maxInbound=1)
        self.up(overlay, 1, outgoing=False)
        self.assertEqual(overlay.accept(contact(2), True, 0.0), reasons.FULL)

    def test_aLostLinkIsReplacedAtOnce(self) -> None:
        """By one of the passive view, not urgently as long as there are others."""
        overlay = self.full()
        overlay.learned([contact(50)], 0.0)
        self.assertEqual(self.outlet.take("connect"), [])
        self.down(overlay, self.links[contact(1).id])
        self.assertEqual(self.outlet.take("connect"), [contact(50)])

    def test_withoutAnyLinkItIsUrgentAndJoinsAgain(self) -> None:
        """One at a time, and then it has itself made known."""
        overlay = self.overlay()
        link = self.up(overlay, 1)
        overlay.learned([contact(number) for number in range(50, 60)], 0.0)
        for who in self.outlet.take("connect"):
            overlay.dialFailed(who, reasons.REFUSED, 0.0)
        self.down(overlay, link)
        ((who, urgent),) = self.outlet.take("connect")
        self.assertTrue(urgent)
        found = self.up(overlay, who)
        self.assertEqual(self.outlet.take("send"), [(found, Join(4))])

    def test_aLinkTooManyThatItDialledItselfIsNotKept(self) -> None:
        """Others have found it meanwhile: those it had are worth as much."""
        overlay = self.overlay()
        for number in (1, 2, 3, 4):
            self.up(overlay, number, outgoing=False)
        overlay.learned([contact(50)], 0.0)
        self.assertEqual(self.outlet.take("connect"), [contact(50)])
        self.up(overlay, 5, outgoing=False)
        late = self.up(overlay, 50)
        self.assertEqual(self.outlet.take("disconnect"), [(late, reasons.REWIRED)])
        self.assertEqual(len(self.links), 5)

    def test_whoIsTurnedAwayOftenBecomesUrgent(self) -> None:
        """The sooner the fewer links it has; and it asks but once a second then, so that a full network is quiet."""
        for count in (1, 3):
            overlay = self.overlay(maxConnections=8)
            for number in range(count):
                self.up(overlay, number, outgoing=False)
            overlay.learned([contact(number) for number in range(100, 200)], 0.0)
            refused = 0
            for second in range(60):
                overlay.tick(float(second))
                asked = [call[1:] for call in self.outlet.asked if call[0] == "connect"]
                self.outlet.asked.clear()
                if any(len(call) == 2 for call in asked):
                    break
                if refused >= REFUSALS:
                    self.assertLessEqual(len(asked), 1)
                for (who,) in asked:
                    overlay.dialFailed(who, reasons.FULL, float(second))
                    refused += 1
            self.assertTrue(REFUSALS * count <= refused <= REFUSALS * count + 4, (count, refused))

    def test_aFullNetworkIsNotAskedAsFastAsItRefuses(self) -> None:
        """After eight refusals in a row it waits for the next tick, however many others they name."""
        overlay = self.overlay()
        self.up(overlay, 1, outgoing=False)
        overlay.learned([contact(number) for number in range(100, 130)], 0.0)
        refused = 0
        while dialled := self.outlet.take("connect"):
            for who in dialled:
                refused += 1
                overlay.dialFailed(who, reasons.FULL, 0.0)
            overlay.learned([], 0.0)
        self.assertTrue(REFUSALS <= refused <= REFUSALS + 4, refused)
        overlay.tick(1.0)
        self.assertEqual(len(self.outlet.take("connect")), 1)

    def test_dialsAreBoundedBetweenTwoTicks(self) -> None:
        """A chain of addresses that refuse, each told by the one before, does not run at the network's speed."""
        overlay = self.overlay()
        count = 0
        for round_ in range(200):
            overlay.learned([contact(1000 + round_)], 0.0)
            for call in self.outlet.take("connect"):
                count += 1
                overlay.dialFailed(call[0], reasons.REFUSED, 0.0)
        self.assertEqual(count, DIALS * 4)

    def test_noAddressIsDialledAgainAtOnceWhateverTheReason(self) -> None:
        """No reason to fail leads to a loop."""
        for reason in sorted(WORDS):
            overlay = self.overlay()
            overlay.learned([contact(1)], 0.0)
            self.assertEqual(self.outlet.take("connect"), [(contact(1), True)])
            overlay.dialFailed(contact(1), reason, 0.0)
            overlay.learned([], 0.0)
            overlay.tick(0.5)
            self.assertEqual(self.outlet.take("connect"), [], reason)

    def test_whoGaveUpTheLinkIsLeftAloneForAWhile(self) -> None:
        """It has no room; but it is worth remembering."""
        overlay = self.full()
        self.down(overlay, self.links[contact(1).id], reasons.REWIRED)
        self.assertEqual(self.passive(overlay), {contact(1)})
        overlay.tick(FULL_PAUSE - 0.1)
        self.assertEqual(self.outlet.take("connect"), [])
        overlay.tick(FULL_PAUSE)
        self.assertEqual(self.outlet.take("connect"), [contact(1)])

    def test_whoLeavesOrMisbehavesIsNotRemembered(self) -> None:
        """Nor dialled again, whatever others say of one that left."""
        for reason in (reasons.LEAVING, reasons.MALFORMED):
            overlay = self.full()
            self.down(overlay, self.links[contact(1).id], reason)
            self.assertEqual(self.passive(overlay), set())
        overlay = self.full()
        self.down(overlay, self.links[contact(1).id], reasons.LEAVING)
        overlay.learned([contact(1)], 1.0)
        self.assertEqual(self.passive(overlay), set())

    def test_whoMayBeDeadTakesNobodysPlace(self) -> None:
        """After a great crash the passive view is what there is to live on."""
        overlay = self.full(passiveView=3)
        overlay.learned([contact(number) for number in (50, 51, 52)], 0.0)
        before = self.passive(overlay)
        for number in (1, 2, 3, 4, 5):
            self.down(overlay, self.links[contact(number).id])
        self.assertEqual(self.passive(overlay), before)

    def test_theDeadAreAskedLater(self) -> None:
        """Not dialled, but asked; who answers is linked to urgently, in place of a link that was dialled."""
        overlay = self.overlay()
        for number in (1, 2, 3, 4):
            self.up(overlay, number)
        dead = self.up(overlay, 9, outgoing=False)
        self.outlet.asked.clear()
        self.down(overlay, dead, reasons.DEAD)
        overlay.dead(contact(9), "silent", 0.0)
        overlay.learned([contact(9)], 0.0)
        self.assertEqual(self.outlet.take("connect"), [])
        overlay.tick(5.0)
        ((who, answer),) = self.outlet.take("ask")
        self.assertEqual(who, contact(9))
        answer(who, Outcome(Verdict.SILENT), 7.0)
        self.assertEqual(self.outlet.take("connect"), [])
        overlay.tick(12.0)
        ((who, answer),) = self.outlet.take("ask")
        answer(who, Outcome(Verdict.ALIVE, contact(9, 2)), 12.1)
        ((given, reason),) = self.outlet.take("disconnect")
        self.assertTrue(given.outgoing)
        self.assertEqual(reason, reasons.REWIRED)
        self.assertEqual(self.outlet.take("connect"), [(contact(9, 2), True)])

    def test_aLinkThatMayBeDeadIsNotGivenUp(self) -> None:
        """This peer may be the only one to find that out; nor is the only link there is."""
        for count in (4, 1):
            overlay = self.overlay(maxConnections=count)
            for number in range(1, 1 + count):
                self.up(overlay, number).heard = count == 1
            self.outlet.asked.clear()
            overlay.dead(contact(9), "silent", 0.0)
            overlay.tick(5.0)
            ((who, answer),) = self.outlet.take("ask")
            answer(who, Outcome(Verdict.ALIVE, contact(9)), 5.1)
            self.assertEqual(self.outlet.asked, [])

    def test_aListMixesTheGraphNowAndThen(self) -> None:
        """Where a seed was lost and found again, in a fourth of the cases among 64: a link goes for a stranger."""
        mixed = 0
        for seed in range(200):
            overlay = self.overlay(seed)
            for number in (1, 2, 3, 4):
                self.up(overlay, number)
            self.up(overlay, 5, outgoing=False)
            overlay.listed([contact(number) for number in range(100, 164)], True, 100.0)
            dialled = self.outlet.take("connect")
            self.assertEqual(len(dialled), len(self.outlet.take("disconnect")))
            mixed += len(dialled)
        fair = 200 * MIXED_FRESH / 64
        self.assertTrue(0.6 * fair < mixed < 1.4 * fair, mixed)


class ShuffleTests(HyParViewTestCase):
    """The passive view."""

    def test_aNameThatIsKnownInThisProcessIsKeptOnce(self) -> None:
        """However often it is read anew."""
        overlay = self.full()
        known = checkedContact(contact(50))
        self.assertIsNot(contact(50), known)
        overlay.received(Shuffle(1, 6, [Sighting(contact(50), 3)]), self.links[contact(1).id], 0.0)
        self.assertIs(dict(overlay._passive.items())[known.id].contact, known)
        self.assertIs(overlay._spare[known.id], known)

    def begun(self, overlay: HyParView) -> tuple[FakeNeighbour, Shuffle]:
        """It begins a shuffle."""
        for _ in range(40):
            self.now += 1.0
            overlay.tick(self.now)
            for to, message in self.outlet.take("send"):
                if isinstance(message, Shuffle):
                    return to, message
        raise AssertionError("it never shuffles")

    def test_someOfBothViewsAreSent(self) -> None:
        """Three neighbours and four others, with their age; not itself, nor the one it is sent to."""
        overlay = self.full()
        for number in range(50, 60):
            overlay.received(Shuffle(1, 6, [Sighting(contact(number), 3)]), self.links[contact(1).id], 0.0)
        self.outlet.asked.clear()
        to, message = self.begun(overlay)
        self.assertEqual(message.hops, 0)
        ages = {sighting.contact: sighting.age for sighting in message.sightings}
        active = {who for who in ages if who in map(contact, range(1, 6))}
        self.assertEqual((len(ages), len(active)), (7, 3))
        self.assertNotIn(to.contact, ages)
        self.assertEqual({ages[who] for who in active}, {0})
        self.assertEqual({ages[who] for who in ages if who not in active}, {int(self.now) + 3})

    def test_nothingOlderIsSentThanMayBe(self) -> None:
        """However rarely it shuffles: names are remembered for longer then, but not told any more."""
        overlay = self.full(shuffleInterval=3600.0)
        for number in range(50, 60):
            age = 5_000 if number < 52 else 0
            overlay.received(Shuffle(1, 6, [Sighting(contact(number), age)]), self.links[contact(1).id], 0.0)
        self.outlet.asked.clear()
        ages: set[int] = set()
        while self.now < 100_000.0:
            self.now += 60.0
            overlay.tick(self.now)
            for _, message in self.outlet.take("send"):
                self.assertEqual(list(Decoder(2**20).feed(encode(message))), [message])
                ages |= {sighting.age for sighting in message.sightings}
        self.assertGreater(max(ages), 80_000)
        self.assertEqual(len(self.passive(overlay)), 10)

    def test_theyShuffleEveryTenSeconds(self) -> None:
        """About; each peer begins at a moment of its own."""
        times: list[float] = []
        overlay = self.full()
        while len(times) < 20:
            self.begun(overlay)
            times.append(self.now)
        self.assertTrue(180 < times[-1] - times[0] < 205, times)
        self.assertGreater(len({round(self.first(seed)) for seed in range(20)}), 5)

    def first(self, seed: int) -> float:
        """When the first shuffle of such a peer is."""
        overlay = self.overlay(seed)
        self.up(overlay, 1)
        self.begun(overlay)
        return self.now

    def test_aWalkGoesOnUnderANumberOfItsOwn(self) -> None:
        """With whom it began in front, as the first link shows it."""
        overlay = self.full()
        sender = self.links[contact(1).id]
        named = [Sighting(contact(50), 7)]
        overlay.received(Shuffle(777, 0, named), sender, 0.0)
        ((to, message),) = self.outlet.take("send")
        self.assertNotEqual(to.contact, contact(1))
        self.assertEqual((message.hops, message.sightings), (1, [Sighting(contact(1), 0), *named]))
        overlay.received(Shuffle(777, 3, named), sender, 0.0)
        ((_, other),) = self.outlet.take("send")
        self.assertEqual(other.sightings, named)
        self.assertNotEqual(other.number, message.number)
        self.assertEqual(self.passive(overlay), set())

    def test_whoIsAtTheEndExchanges(self) -> None:
        """It answers as many as came, and takes those in place of what it sent."""
        overlay = self.full(passiveView=3)
        overlay.learned([contact(number) for number in (50, 51, 52)], 0.0)
        sender = self.links[contact(1).id]
        overlay.received(Shuffle(777, 6, [Sighting(contact(60), 3), Sighting(contact(61), 0)]), sender, 0.0)
        ((to, reply),) = self.outlet.take("send")
        self.assertEqual((to, reply.number, len(reply.sightings)), (sender, 777, 2))
        sent = {sighting.contact for sighting in reply.sightings}
        expected = {contact(number) for number in (50, 51, 52, 60, 61)} - sent
        self.assertEqual(self.passive(overlay), expected)

    def test_theAnswerGoesBackTheWayItCame(self) -> None:
        """Once, and only if it comes from the neighbour that was asked."""
        overlay = self.full()
        sender = self.links[contact(1).id]
        overlay.received(Shuffle(777, 2, [Sighting(contact(60), 0)]), sender, 0.0)
        ((to, message),) = self.outlet.take("send")
        reply = ShuffleReply(message.number, [Sighting(contact(61), 0)])
        other = next(link for link in self.links.values() if link not in (to, sender))
        overlay.received(reply, other, 0.0)
        self.assertEqual(self.outlet.take("send"), [])
        overlay.received(reply, to, 0.0)
        self.assertEqual(self.outlet.take("send"), [(sender, ShuffleReply(777, reply.sightings))])
        overlay.received(reply, to, 0.0)
        self.assertEqual(self.outlet.take("send"), [])
        self.assertEqual(self.passive(overlay), set())

    def test_anAnswerToOneThatIsGoneIsDropped(self) -> None:
        """And nobody else gets it, though it be the same peer on another link."""
        overlay = self.full()
        sender = self.links[contact(1).id]
        overlay.received(Shuffle(777, 2, []), sender, 0.0)
        ((to, message),) = self.outlet.take("send")
        self.down(overlay, sender)
        self.up(overlay, 1)
        overlay.received(ShuffleReply(message.number, []), to, 0.0)
        self.assertEqual(self.outlet.take("send"), [])

    def test_nothingIsKeptOfALinkThatHasEnded(self) -> None:
        """Of the shuffles that came or went over it, for it may hold half of a large frame."""
        overlay = self.full()
        sender = self.links[contact(1).id]
        for number in range(40):
            overlay.received(Shuffle(number, 2, []), sender, 0.0)
        first = self.outlet.take("send")[0][0]
        self.assertEqual(len(overlay._walks), 40)
        self.down(overlay, first)
        kept = [walk.to for walk in overlay._walks.values()]
        self.assertNotIn(first, kept)
        self.assertTrue(kept)
        self.down(overlay, sender)
        self.assertEqual(len(overlay._walks), 0)

    def test_itsOwnShuffleIsAnswered(self) -> None:
        """What comes takes the place of what was sent; no more than that many are taken."""
        overlay = self.full(passiveView=10)
        overlay.learned([contact(number) for number in range(50, 60)], 0.0)
        to, message = self.begun(overlay)
        sent = {sighting.contact for sighting in message.sightings} & {contact(number) for number in range(50, 60)}
        self.assertEqual(len(sent), 4)
        names = [Sighting(contact(number), 1) for number in range(100, 164)]
        overlay.received(ShuffleReply(message.number, names), to, self.now)
        passive = self.passive(overlay)
        self.assertEqual(len(passive), 10)
        self.assertFalse(sent & passive)
        self.assertLessEqual(len(passive & {who.contact for who in names}), 8)

    def test_neitherNeighboursNorItselfNorTheDeadComeIn(self) -> None:
        """Nor what is no address, nor what nobody has seen for long."""
        overlay = self.full()
        overlay.dead(contact(70), "refused", 0.0)
        wrong = [contact(1), contact(9999), contact(70), contact(71, 1, "[::]:1"), contact(72, 1, "x")]
        names = [*(Sighting(who, 0) for who in wrong), Sighting(contact(73), 10 * LIFE + 1), Sighting(contact(74), 0)]
        overlay.received(Shuffle(1, 6, names), self.links[contact(2).id], 0.0)
        self.assertEqual(self.passive(overlay), {contact(74)})

    def test_ghostsGoInTheEnd(self) -> None:
        """What was not seen for long is named no more and then forgotten; what is seen again and again stays."""
        overlay = self.full()
        overlay.received(Shuffle(1, 6, [Sighting(contact(60), 100), Sighting(contact(61), 100)]),
                         self.links[contact(2).id], 0.0)  # fmt: skip
        while self.now < 10 * LIFE - 60:
            self.begun(overlay)
        overlay.received(Shuffle(1, 6, [Sighting(contact(61), 100)]), self.links[contact(2).id], self.now)
        self.begun(overlay)
        self.assertEqual(self.passive(overlay), {contact(61)})
        while self.now < 20 * LIFE:
            self.begun(overlay)
        self.assertEqual(self.passive(overlay), set())

    def test_namesWithoutAnAgeAreSoonForgotten(self) -> None:
        """Else the names of the dead would be young again with each Welcome."""
        overlay = self.full()
        overlay.learned([contact(60)], 0.0)
        self.begun(overlay)
        self.assertEqual(self.passive(overlay), {contact(60)})
        self.assertNotIn(contact(60), overlay.known(100))
        while self.now < 10 * UNDATED:
            self.begun(overlay)
        self.begun(overlay)
        self.assertEqual(self.passive(overlay), set())

    def test_withoutAnyLinkNobodyIsForgotten(self) -> None:
        """It may be the own network that fails: when that is back, they are still known."""
        overlay = self.overlay()
        overlay.learned([contact(1)], 0.0)
        for second in range(5000):
            overlay.tick(float(second))
            for call in self.outlet.take("connect"):
                overlay.dialFailed(call[0], reasons.TIMEOUT, float(second))
        self.assertEqual(self.passive(overlay), {contact(1)})

    def test_sparesAreDialledInTheEnd(self) -> None:
        """What went by in shuffles, once the whole passive view was dialled in vain."""
        overlay = self.full(passiveView=3)
        names = [Sighting(contact(number), 0) for number in range(100, 130)]
        for at in range(0, 30, 3):
            overlay.received(Shuffle(1, 6, names[at : at + 3]), self.links[contact(1).id], 0.0)
        self.outlet.asked.clear()
        for number in (1, 2, 3, 4, 5):
            self.down(overlay, self.links[contact(number).id])
        dialled: set[Contact] = set()
        for second in range(10):
            overlay.tick(float(second))
            while calls := self.outlet.take("connect"):
                for call in calls:
                    dialled.add(call[0] if isinstance(call, tuple) else call)
                    overlay.dialFailed(call[0] if isinstance(call, tuple) else call, reasons.REFUSED, float(second))
                overlay.learned([], float(second))
        self.assertLessEqual({sighting.contact for sighting in names}, dialled)

    def test_sparesAreBounded(self) -> None:
        """The latest are kept."""
        overlay = self.full(maxKnown=20)
        for at in range(100, 200, 4):
            names = [Sighting(contact(number), 0) for number in range(at, at + 4)]
            overlay.received(Shuffle(1, 6, names), self.links[contact(1).id], 0.0)
        self.assertEqual(list(overlay._spare), [contact(number).id for number in range(180, 200)])

    def test_othersAreNamedWhomItSawLately(self) -> None:
        """Neighbours, and the passive view; nobody that fails, or of whom it is not known when he was seen."""
        overlay = self.full()
        names = [Sighting(contact(50), 100), Sighting(contact(51), 0), Sighting(contact(52), 200)]
        overlay.received(Shuffle(1, 6, names), self.links[contact(2).id], 0.0)
        overlay.learned([contact(53)], 0.0)
        overlay.dialFailed(contact(51), reasons.TIMEOUT, 0.0)
        self.assertEqual(set(overlay.known(10, (contact(1).id,))), {contact(number) for number in (2, 3, 4, 5, 50)})
        self.assertEqual(len(overlay.known(3)), 3)


class LiarTests(HyParViewTestCase):
    """Who sends what is not so, as often as it can."""

    def test_shufflesDriveOutNobodyWhoWasMet(self) -> None:
        """At least half of the view is kept for those that there was a link to."""
        overlay = self.full()
        met = [contact(number) for number in range(20, 35)]
        for who in met:
            self.down(overlay, self.up(overlay, who, outgoing=False), reasons.REWIRED)
            self.assertIn(who, self.passive(overlay))
        for number in (1, 2, 3, 4, 5):
            if contact(number).id not in self.links:
                self.up(overlay, number, outgoing=False)
        met = [entry.contact for _, entry in overlay._passive.items() if entry.met]
        self.assertGreaterEqual(len(met), 14)
        liar = self.links[contact(5).id]
        for round_ in range(300):
            invented = [Sighting(contact(1000 + 8 * round_ + at), 0) for at in range(8)]
            overlay.received(Shuffle(round_, 6, invented), liar, float(round_))
        self.assertLessEqual(set(met), self.passive(overlay))
        self.assertLessEqual(len(overlay._passive), 30)

    def test_walksFromOneNeighbourAreBounded(self) -> None:
        """A thousand at once are not passed on; the other neighbours' are."""
        overlay = self.full()
        liar, honest = self.links[contact(5).id], self.links[contact(4).id]
        for number in range(1000):
            overlay.received(ForwardJoin(contact(1000 + number), 0), liar, 0.0)
        self.assertEqual(len(self.outlet.take("send")), WALK_BURST)
        overlay.received(ForwardJoin(contact(1000), 0), honest, 0.0)
        self.assertEqual(len(self.outlet.take("send")), 1)

    def test_inventedNewcomersAreDialledBoundedly(self) -> None:
        """And nothing is given up for one that does not answer."""
        overlay = self.full()
        for number in range(190):
            overlay.received(ForwardJoin(contact(1000 + number), 6), self.links[contact(5).id], 0.0)
            for who in self.outlet.take("connect"):
                overlay.dialFailed(who, reasons.REFUSED, 0.0)
                self.outlet.asked.append(("counted", who))
        self.assertEqual(len(self.outlet.take("counted")), DIAL_BURST)
        self.assertEqual(self.outlet.take("disconnect"), [])

    def test_theMemoryOfWalksIsBounded(self) -> None:
        """The latest are kept."""
        overlay = self.full()
        for number in range(3 * MAX_WALKS):
            for neighbour in list(self.links.values())[:4]:
                overlay.received(Shuffle(number, 0, []), neighbour, float(number))
        self.assertEqual(len(overlay._walks), MAX_WALKS)

    def test_whatCrossedTheEndOfALinkIsPassedOver(self) -> None:
        """Of all messages."""
        overlay = self.full()
        gone = self.links[contact(1).id]
        self.down(overlay, gone, reasons.REWIRED)
        self.outlet.asked.clear()
        for message in (Join(4), ForwardJoin(contact(50), 6), Shuffle(1, 6, []), ShuffleReply(1, [])):
            overlay.received(message, gone, 0.0)
        self.assertEqual(self.outlet.asked, [])


class LawTests(HyParViewTestCase):
    """What holds whatever happens."""

    VERBS = (
        "listed", "learned", "answer", "fail", "refuse", "lose", "rewired", "leave", "dead", "alive", "inbound",
        "urgent", "join", "forward", "end", "shuffle", "exchange", "reply", "tick",
    )  # fmt: skip
    EVENTS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 40)), max_size=120)

    @settings(max_examples=150, deadline=None)
    @given(EVENTS, st.integers(0, 9), st.integers(1, 5))
    def test_viewsStayWithinTheirBounds(self, events: Any, seed: int, most: int) -> None:
        """
        At most C{maxConnections} links are dialled, standing or begun within a second; nobody is dialled twice, nor
        a neighbour, nor itself; no more than C{activeView} links; the passive view has neither a neighbour nor itself
        in it; and its last link is never given up.
        """
        overlay = self.overlay(seed, maxConnections=most, passiveView=8, maxKnown=16)
        dialling: dict[bytes, Contact] = {}
        since: dict[bytes, float] = {}
        asked: list[Any] = []
        me = contact(9999).id
        disconnect = self.outlet.disconnect

        def connect(who: Contact, urgent: bool = False) -> None:
            self.assertNotIn(who.id, dialling)
            self.assertNotIn(who.id, self.links)
            self.assertNotEqual(who.id, me)
            dialling[who.id] = who
            since[who.id] = self.now
            dialled = sum(link.outgoing for link in self.links.values())
            young = [id for id in dialling if self.now - since[id] < IMPATIENCE]
            self.assertLessEqual(dialled + len(young), most)

        def ended(neighbour: FakeNeighbour, reason: str, others: Any = ()) -> None:
            disconnect(neighbour, reason)
            self.assertTrue(self.links, "it gave up its last link")

        self.outlet.connect = connect  # type: ignore[method-assign, assignment]
        self.outlet.disconnect = ended  # type: ignore[method-assign]
        self.outlet.ask = lambda who, answer: asked.append((who, answer))  # type: ignore[method-assign, assignment]
        for verb, number in events:
            self.now += 0.7
            who = contact(number)
            first = next(iter(dialling.values()), None)
            links = list(self.links.values())
            link = links[number % len(links)] if links else None
            sightings = [Sighting(contact(other % 41), other) for other in range(number, number + 7)]
            sightings.append(Sighting(contact(9999), 0))
            if verb == "listed":
                overlay.listed([contact(other) for other in range(number)], number % 2 == 0, self.now)
            elif verb == "learned":
                overlay.learned([who], self.now)
            elif verb == "answer" and first is not None:
                del dialling[first.id]
                self.up(overlay, first)
            elif verb in ("fail", "refuse") and first is not None:
                del dialling[first.id]
                overlay.dialFailed(first, reasons.FULL if verb == "refuse" else reasons.TIMEOUT, self.now)
            elif verb in ("lose", "rewired", "leave") and link is not None:
                reason = {"lose": reasons.LOST, "rewired": reasons.REWIRED, "leave": reasons.LEAVING}[verb]
                self.down(overlay, link, reason)
            elif verb == "dead" and link is not None:
                self.down(overlay, link, reasons.DEAD)
                overlay.dead(link.contact, "silent", self.now)
            elif verb == "alive" and asked:
                found, answer = asked.pop()
                answer(found, Outcome(Verdict.ALIVE, found), self.now)
            elif verb in ("inbound", "urgent") and who.id not in self.links:
                if overlay.accept(who, verb == "urgent", self.now) is None:
                    if dialling.pop(who.id, None):
                        overlay.dialFailed(who, reasons.DUPLICATE, self.now)
                    self.up(overlay, who, outgoing=False)
            elif verb == "join" and link is not None:
                overlay.received(Join(number), link, self.now)
            elif verb in ("forward", "end") and link is not None:
                overlay.received(ForwardJoin(who, 6 if verb == "end" else number % 6), link, self.now)
            elif verb in ("shuffle", "exchange") and link is not None:
                overlay.received(Shuffle(number, 6 if verb == "exchange" else 0, sightings), link, self.now)
            elif verb == "reply" and link is not None:
                overlay.received(ShuffleReply(overlay._number, sightings), link, self.now)
            elif verb == "tick":
                overlay.tick(self.now)
            self.assertEqual(set(overlay._active), set(self.links))
            self.assertEqual(set(overlay._dialling), set(dialling))
            self.assertLessEqual(len(self.links), 5)
            self.assertLessEqual(sum(link.outgoing for link in self.links.values()), most)
            passive = {entry.contact.id for _, entry in overlay._passive.items()}
            self.assertLessEqual(len(passive), 8)
            self.assertFalse(passive & set(self.links))
            self.assertNotIn(me, passive)
            self.assertLessEqual(len(overlay._spare), 16)
