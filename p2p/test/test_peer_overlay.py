"""
Tests for L{p2p.peer.overlay}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.interfaces import IOverlay, IOverlayOutlet
from p2p.peer.known import DIALS, FULL_PAUSE, IMPATIENCE, WORTH
from p2p.peer.overlay import RandomLinks
from p2p.settings import PeerSettings
from p2p.test.fakes import WORDS, FakeNeighbour, FakeOutlet, contact
from p2p.wire import reasons
from p2p.wire.messages import Contact
from p2p.wire.probe import Outcome, Verdict


class RandomLinksTests(SynchronousTestCase):
    """Whom a peer links itself to."""

    def overlay(self, seed: int = 1, **changed: Any) -> RandomLinks:
        """A fresh one, whose outlet does at once what it is asked, as the service does."""
        self.outlet = FakeOutlet()
        self.links: dict[bytes, FakeNeighbour] = {}
        changed = {"maxConnections": 4, "maxInbound": 3, **changed}
        overlay = RandomLinks(self.outlet, PeerSettings(**changed), Random(seed))

        def ending(neighbour: FakeNeighbour, reason: str) -> None:
            self.links.pop(neighbour.contact.id, None)
            overlay.neighbourDown(neighbour, reason, self.now)

        self.outlet.ending = ending
        self.now = 0.0
        return overlay

    def up(self, overlay: RandomLinks, who: Contact, outgoing: bool = True) -> FakeNeighbour:
        """A link to it comes up."""
        neighbour = self.links[who.id] = FakeNeighbour(who, outgoing)
        overlay.neighbourUp(neighbour, self.now)
        return neighbour

    def answerAll(self, overlay: RandomLinks) -> list[Contact]:
        """Everybody who is dialled answers."""
        dialled: list[Contact] = self.outlet.take("connect")
        for who in dialled:
            self.up(overlay, who)
        return dialled

    def test_interfaces(self) -> None:
        """They are what they claim to be."""
        verifyObject(IOverlay, self.overlay())
        verifyObject(IOverlayOutlet, self.outlet)

    def test_itDialsAsTheMissionSays(self) -> None:
        """Of n candidates min(randint(1, n), 4), each number as often as that says, each candidate as often."""
        for n in (1, 3, 10):
            counts = []
            for seed in range(300):
                overlay = self.overlay(seed)
                overlay.listed([contact(number) for number in range(n)], True, 0.0)
                dialled = self.outlet.take("connect")
                self.assertEqual(len(set(dialled)), len(dialled))
                counts.append(len(dialled))
                self.assertEqual(self.outlet.asked, [])
            for number in range(1, 5):
                fair = sum(min(drawn, 4) == number for drawn in range(1, n + 1)) / n * 300
                self.assertTrue(0.7 * fair <= counts.count(number) <= 1.3 * fair, (n, number))

    def test_aLostLinkIsReplacedAtOnce(self) -> None:
        """From the addresses remembered, without asking anybody, and by somebody else."""
        overlay = self.overlay()
        overlay.listed([contact(number) for number in range(20)], True, 0.0)
        links = self.answerAll(overlay)
        gone = self.links.pop(links[0].id)
        overlay.neighbourDown(gone, reasons.LOST, 1.0)
        (replacement,) = self.outlet.take("connect")
        self.assertNotIn(replacement, links)

    def test_inboundLinksAreBounded(self) -> None:
        """The fourth is refused as full; those dialled do not count."""
        overlay = self.overlay()
        self.up(overlay, contact(50))
        for number in range(3):
            self.assertIsNone(overlay.accept(contact(number), False, 0.0))
            self.up(overlay, contact(number), outgoing=False)
        self.assertEqual(overlay.accept(contact(9), False, 0.0), reasons.FULL)

    def test_whoOnlyTakesLinksDialsOneItself(self) -> None:
        """Else those that came first would never dial, and two halves might."""
        overlay = self.overlay()
        self.up(overlay, contact(1), outgoing=False)
        overlay.learned([contact(2)], 0.0)
        self.assertEqual(self.outlet.take("connect"), [contact(2)])

    EVENTS = st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "listed", "learned", *["answer"] * 3, "fail", "lose", "leave", "dead", "alive", "inbound", "tick",
                    "other",
                ]
            ),
            st.integers(0, 30),
        ),
        min_size=20,
        max_size=80,
    )
    # Most begins when it has links.
    BEGINNING = [("listed", 30), *[("answer", 0)] * 2] * 3

    @settings(max_examples=120, deadline=None)
    @given(EVENTS, st.integers(0, 9), st.integers(1, 4))
    def test_neverMoreLinksThanAllowedNeverAloneByItsOwnDoing(self, events: Any, seed: int, most: int) -> None:
        """
        Whatever happens, it has no more than C{maxConnections} links that it dialled; counting those dialled
        within the last second at most one more; it dials nobody twice nor whom it is linked to; and what it gives up
        is never its last link.
        """
        overlay = self.overlay(seed, maxConnections=most, maxKnown=16)
        dialling: dict[bytes, Contact] = {}
        since: dict[bytes, float] = {}
        connect = self.outlet.connect
        disconnect = self.outlet.disconnect

        def outgoing() -> int:
            return sum(neighbour.outgoing for neighbour in self.links.values())

        def counted(who: Contact) -> None:
            self.assertNotIn(who.id, dialling)
            self.assertNotIn(who.id, self.links)
            dialling[who.id] = who
            since[who.id] = self.now
            under = [id for id in dialling if self.now - since[id] < IMPATIENCE]
            self.assertLessEqual(outgoing() + len(under), most + bool(self.links))
            connect(who)

        def ended(neighbour: FakeNeighbour, reason: str, others: Any = ()) -> None:
            disconnect(neighbour, reason)
            self.assertTrue(self.links, "it gave up its last link")

        self.outlet.connect = counted  # type: ignore[method-assign, assignment]
        self.outlet.disconnect = ended  # type: ignore[method-assign]
        for verb, number in self.BEGINNING + events:
            self.now += 0.7
            who = contact(number)
            first = next(iter(dialling.values()), None)
            link = next(iter(self.links.values()), None)
            if verb == "listed":
                overlay.listed([contact(other) for other in range(number)], number % 2 == 0, self.now)
            elif verb == "learned":
                overlay.learned([who], self.now)
            elif verb == "tick":
                overlay.tick(self.now)
            elif verb == "alive":
                for asked, answer in self.outlet.take("ask"):
                    answer(asked, Outcome(Verdict.ALIVE, asked), self.now)
            elif verb == "dead":
                neighbour = self.links.get(who.id)
                if neighbour is not None:
                    self.links.pop(who.id)
                    overlay.neighbourDown(neighbour, reasons.DEAD, self.now)
                overlay.dead(who, "silent", self.now)
            elif verb == "inbound" and who.id not in self.links and who.id not in dialling:
                if overlay.accept(who, False, self.now) is None:
                    self.up(overlay, who, outgoing=False)
            elif verb in ("lose", "leave") and link is not None:
                del self.links[link.contact.id]
                overlay.neighbourDown(link, reasons.LOST if verb == "lose" else reasons.LEAVING, self.now)
            elif first is not None and verb == "answer":
                del dialling[first.id]
                self.up(overlay, first)
            elif first is not None and verb == "fail":
                del dialling[first.id]
                words = [reasons.REFUSED, reasons.TIMEOUT, reasons.FULL, reasons.DUPLICATE, reasons.LOCAL, reasons.SELF]
                overlay.dialFailed(first, words[number % 6], self.now)
            elif first is not None and verb == "other" and who.id not in self.links and who.id not in dialling:
                # Somebody else answers at that address.
                del dialling[first.id]
                overlay.dialFailed(first, reasons.STALE, self.now)
                self.up(overlay, Contact(who.identity, first.address))
            self.assertLessEqual(outgoing(), most)
        self.assertEqual(set(overlay._neighbours), set(self.links))
        self.assertEqual(set(overlay._dialling), set(dialling))
        self.assertLessEqual(len(overlay._known), 16)

    def full(self) -> tuple[RandomLinks, list[Contact]]:
        """One with its two links, to two of six."""
        overlay = self.overlay(maxConnections=2)
        old = [contact(number) for number in range(6)]
        while len(self.links) < 2:
            overlay.listed(old, False, 0.0)
            self.answerAll(overlay)
        self.outlet.take("disconnect")
        return overlay, old

    def test_eachListExchangesOneLink(self) -> None:
        """So that newcomers are found and a split network grows together: one link is given up for a stranger."""
        overlay, old = self.full()
        newcomers = [contact(number) for number in range(100, 103)]
        overlay.listed(newcomers, False, 100.0)
        overlay.listed(newcomers, False, 100.0)
        self.assertEqual(self.outlet.take("disconnect"), [])
        (stranger,) = self.answerAll(overlay)
        self.assertIn(stranger, newcomers)
        ((given, reason),) = self.outlet.take("disconnect")
        self.assertEqual(reason, reasons.REWIRED)
        self.assertIn(given.contact, old)
        self.assertEqual(self.outlet.asked, [])

    def test_noLinkIsGivenUpForAStrangerThatDoesNotAnswer(self) -> None:
        """When many have just died most of a list is dead; the next list is another try."""
        for reason in (reasons.TIMEOUT, reasons.FULL, reasons.STALE):
            overlay, _ = self.full()
            overlay.listed([contact(100)], False, 100.0)
            overlay.dialFailed(contact(100), reason, 105.0)
            overlay.tick(106.0)
            self.assertEqual(len(self.links), 2)
            self.outlet.asked.clear()
            overlay.listed([contact(101)], False, 130.0)
            self.assertEqual(self.answerAll(overlay), [contact(101)])
            self.assertEqual(len(self.outlet.take("disconnect")), 1)

    def test_aLinkThatIsLostMeanwhileIsReplacedToo(self) -> None:
        """At once: the stranger may never answer.  If both do, one is too much."""
        overlay, _ = self.full()
        overlay.listed([contact(100)], False, 100.0)
        self.outlet.take("connect")
        lost = self.links.pop(next(iter(self.links)))
        overlay.neighbourDown(lost, reasons.LOST, 101.0)
        (replacement,) = self.outlet.take("connect")
        self.up(overlay, contact(100))
        self.assertEqual(self.outlet.take("disconnect"), [])
        late = self.up(overlay, replacement)
        self.assertEqual(self.outlet.take("disconnect"), [(late, reasons.REWIRED)])
        self.assertEqual(len(self.links), 2)

    def test_nobodyWaitsForTheDead(self) -> None:
        """It dials others each second, and keeps no more of those that answer than it wanted."""
        overlay = self.overlay(maxConnections=2)
        while overlay._target < 2:
            overlay.listed([contact(number) for number in range(20)], True, 0.0)
        dialled = self.outlet.take("connect")
        overlay.tick(IMPATIENCE / 2)
        self.assertEqual(self.outlet.take("connect"), [])
        overlay.tick(IMPATIENCE)
        more = self.outlet.take("connect")
        self.assertEqual((len(dialled), len(more)), (2, 2))
        for who in dialled + more:
            self.up(overlay, who)
        self.assertEqual(list(self.links), [who.id for who in dialled])
        overlay.tick(3 * IMPATIENCE)
        self.assertEqual(self.outlet.take("connect"), [])

    def test_whoHasALinkDoesNotWaitEither(self) -> None:
        """Two that are left over with a link between them are as much cut off as one."""
        overlay, _ = self.full()
        lost = self.links.pop(next(iter(self.links)))
        overlay.neighbourDown(lost, reasons.DEAD, 1.0)
        self.assertEqual(len(self.outlet.take("connect")), 1)
        overlay.tick(1.0 + IMPATIENCE)
        self.assertEqual(len(self.outlet.take("connect")), 1)

    def test_theDeadAreAskedLaterAndLinkedToIfTheyLive(self) -> None:
        """In place of another link, or of one that is missing; else two halves that called each other dead stay two."""
        for full in (False, True):
            overlay = self.overlay(maxConnections=2)
            while len(self.links) < 2:
                self.now += 100.0
                overlay.listed([contact(number) for number in range(1, 4)], False, self.now)
                self.answerAll(overlay)
            dead = next(iter(self.links.values()))
            del self.links[dead.contact.id]
            overlay.neighbourDown(dead, reasons.DEAD, self.now)
            overlay.dead(dead.contact, "silent", self.now)
            for call in self.outlet.take("connect"):
                if full:
                    self.up(overlay, call)
                else:
                    overlay.dialFailed(call, reasons.FULL, self.now)
            self.outlet.take("disconnect")
            overlay.tick(self.now + 1.0)
            self.assertEqual(self.outlet.asked, [])
            overlay.tick(self.now + 5.0)
            ((who, answer),) = self.outlet.take("ask")
            self.assertEqual(who, dead.contact)
            answer(who, Outcome(Verdict.ALIVE, Contact(dead.contact.identity, "")), self.now + 5.1)
            self.assertEqual(self.outlet.take("connect"), [dead.contact])
            self.up(overlay, dead.contact)
            self.assertEqual(len(self.outlet.take("disconnect")), full)
            self.assertIn(dead.contact.id, self.links)
            self.assertEqual(len(self.links), 2)

    def test_theOnlyLinkIsNotGivenUpAnotherIsMade(self) -> None:
        """Who has one link keeps it, and dials the stranger as a second."""
        overlay = self.overlay(maxConnections=2)
        overlay.listed([contact(1)], True, 0.0)
        self.answerAll(overlay)
        overlay.listed([contact(2)], True, 1.0)
        self.assertEqual(self.outlet.take("disconnect"), [])
        self.assertEqual(self.answerAll(overlay), [contact(2)])

    def test_withRoomForOneLinkItIsKept(self) -> None:
        """And nothing is dialled beyond it."""
        overlay = self.overlay(maxConnections=1)
        overlay.listed([contact(1)], True, 0.0)
        self.answerAll(overlay)
        overlay.listed([contact(2)], True, 1.0)
        self.assertEqual(self.outlet.asked, [])

    def test_aListLongerThanItsMemoryIsNoTrouble(self) -> None:
        """It keeps a part, and dials of that."""
        overlay = self.overlay(maxKnown=8)
        overlay.listed([contact(number) for number in range(1000)], True, 0.0)
        self.assertLessEqual(len(overlay._known), 8)
        self.assertGreaterEqual(len(self.outlet.take("connect")), 1)

    def test_aListOfInventedAddressesDoesNotIsolateIt(self) -> None:
        """All links lost just after a lying seed's list of silent addresses: the second dial finds a real one."""
        for seed in range(10):
            overlay = self.overlay(seed)
            real = [contact(number) for number in range(12)]
            for known in real:
                overlay.neighbourDown(self.up(overlay, known, outgoing=False), reasons.LOST, 0.0)
            for who in self.outlet.take("connect"):
                overlay.dialFailed(who, reasons.DUPLICATE, 0.0)
            overlay.listed([contact(number) for number in range(100, 1100)], True, 2.0)
            dialled = self.outlet.take("connect")
            if not any(who in real for who in dialled):
                for who in dialled:
                    overlay.dialFailed(who, reasons.TIMEOUT, 7.0)
                overlay.tick(7.0)
                dialled = self.outlet.take("connect")
            self.assertTrue(any(who in real for who in dialled), seed)

    def test_dialsAreBoundedBetweenTwoTicks(self) -> None:
        """A chain of addresses that refuse, each told by the one before, does not run at the network's speed."""
        overlay = self.overlay()
        overlay.listed([contact(number) for number in range(200)], True, 0.0)
        count = 0
        for _ in range(200):
            for who in self.outlet.take("connect"):
                count += 1
                overlay.dialFailed(who, reasons.REFUSED, 0.0)
            overlay.learned([], 0.0)
        self.assertEqual(count, DIALS * 4)
        overlay.tick(1.0)
        self.assertTrue(self.outlet.take("connect"))

    def test_noAddressIsDialledAgainAtOnceWhateverTheReason(self) -> None:
        """No reason to fail leads to a loop."""
        for reason in sorted(WORDS):
            overlay = self.overlay()
            overlay.learned([contact(1)], 0.0)
            self.assertEqual(self.outlet.take("connect"), [contact(1)])
            overlay.dialFailed(contact(1), reason, 0.0)
            overlay.learned([], 0.0)
            overlay.tick(0.5)
            self.assertEqual(self.outlet.take("connect"), [], reason)

    def test_whoIsFullIsLeftAloneForAWhile(self) -> None:
        """And then is worth another try."""
        overlay = self.overlay()
        overlay.learned([contact(1)], 0.0)
        self.outlet.take("connect")
        overlay.dialFailed(contact(1), reasons.FULL, 0.0)
        overlay.tick(FULL_PAUSE - 0.1)
        self.assertEqual(self.outlet.asked, [])
        overlay.tick(FULL_PAUSE)
        self.assertEqual(self.outlet.take("connect"), [contact(1)])

    def test_ownAddressIsNotDialledTwice(self) -> None:
        """Who finds itself there remembers that."""
        overlay = self.overlay()
        overlay.learned([contact(1)], 0.0)
        self.outlet.take("connect")
        overlay.dialFailed(contact(1), reasons.SELF, 0.0)
        overlay.listed([contact(1)], False, 1.0)
        overlay.tick(1000.0)
        self.assertEqual(self.outlet.asked, [])

    def test_withoutAnyLinkNoAddressIsForgotten(self) -> None:
        """When nothing answers at all it may be the own network: when that is back, they are still known."""
        overlay = self.overlay()
        overlay.learned([contact(1)], 0.0)
        for attempt in range(50):
            for who in self.outlet.take("connect"):
                overlay.dialFailed(who, reasons.TIMEOUT, 100.0 * attempt)
            overlay.tick(100.0 * attempt + 99.0)
        self.assertEqual(self.outlet.take("connect"), [contact(1)])

    def test_onlyWhatWasShownLatelyIsNamedToOthers(self) -> None:
        """Hearsay goes no further, nor what was listed long ago: no ghosts for ever.  A neighbour is always named."""
        overlay = self.overlay()
        overlay.learned([contact(1)], 0.0)
        overlay.listed([contact(2)], False, 0.0)
        self.up(overlay, contact(3), outgoing=False)
        self.assertEqual(set(overlay.known(10)), {contact(2), contact(3)})
        self.assertEqual(overlay.known(10, (contact(2).id,)), [contact(3)])
        self.assertEqual(len(overlay.known(1)), 1)
        overlay.tick(WORTH + 1)
        self.assertEqual(overlay.known(10), [contact(3)])

    def test_whatIsSaidOfANeighbourIsNotNamed(self) -> None:
        """The link shows who it is and where it listens; its own word of a later incarnation counts."""
        overlay = self.overlay()
        link = self.up(overlay, contact(1))
        overlay.learned([contact(1, 9, "10.66.6.6:6")], 1.0)
        self.assertEqual(overlay.known(10), [contact(1)])
        link.contact = contact(1, 2)
        overlay.learned([contact(1, 2)], 1.0)
        self.assertEqual(overlay.known(10), [contact(1, 2)])
        self.links.pop(contact(1).id)
        overlay.neighbourDown(link, reasons.LOST, 2.0)
        self.assertEqual(overlay.known(10), [contact(1, 2)])

    def test_whatFailsIsNotNamed(self) -> None:
        """Nobody is sent where nobody answers."""
        overlay = self.overlay()
        overlay.listed([contact(1)], False, 0.0)
        overlay.dialFailed(contact(1), reasons.TIMEOUT, 0.0)
        self.assertEqual(overlay.known(10), [])

    def test_whoLeavesOrDiesIsNotDialledAgain(self) -> None:
        """Under that identity; whoever misbehaves not soon."""
        for reason, soon in ((reasons.LEAVING, False), (reasons.MALFORMED, False), (reasons.LOST, True)):
            overlay = self.overlay()
            overlay.learned([contact(1)], 0.0)
            self.answerAll(overlay)
            overlay.neighbourDown(self.links.pop(contact(1).id), reason, 0.0)
            overlay.tick(30.0)
            self.assertEqual(bool(self.outlet.take("connect")), soon, reason)
        overlay.dead(contact(1), "silent", 0.0)
        overlay.dialFailed(contact(1), reasons.REFUSED, 0.0)
        overlay.learned([contact(1)], 1.0)
        overlay.tick(1000.0)
        self.assertEqual(self.outlet.take("connect"), [])
