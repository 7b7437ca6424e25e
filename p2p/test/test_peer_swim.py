"""
Tests for L{p2p.peer.swim}.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.interfaces import IDetector
from p2p.peer.swim import (
    ERRAND_BURST,
    LEAP,
    MAX_ERRANDS,
    MAX_LOST,
    REFUTE_BURST,
    RELAY_BURST,
    RUMOUR_BURST,
    Swim,
)
from p2p.settings import PeerSettings
from p2p.test.fakes import WORDS, FakeNeighbour, FakeOutlet, contact, identity
from p2p.wire import reasons
from p2p.wire.messages import Ack, Contact, Faulty, Nack, Ping, PingReq, Pong, Refute, Suspect
from p2p.wire.probe import Outcome, Verdict

ALIVE = Outcome(Verdict.ALIVE)
SILENT = Outcome(Verdict.SILENT)
REFUSED = Outcome(Verdict.REFUSED)
REPLACED = Outcome(Verdict.REPLACED)
UNSURE = Outcome(Verdict.UNSURE)

ANSWERS: dict[type, type] = {Ping: Pong, PingReq: Nack}
"""What a neighbour says to what."""


class SwimTestCase(SynchronousTestCase):
    """
    A detector and neighbours number 1 to 5, who answer pings at once, and requests with Nack, but for those that a test
    silences.

    @ivar silent: numbers of those who say nothing.
    @ivar sent: what was sent: a pair of the neighbour's number and the message.
    """

    def setUp(self) -> None:
        """Link up."""
        self.make()

    def make(self, neighbours: int = 5, seed: int = 1, **settings: Any) -> None:
        """Begin anew."""
        self.outlet = FakeOutlet()
        self.detector = Swim(self.outlet, PeerSettings(**settings), Random(seed))
        self.neighbours = {number: FakeNeighbour(number) for number in range(1, neighbours + 1)}
        self.silent: set[int] = set()
        self.sent: list[tuple[int, Any]] = []
        self.now = 0.0
        for neighbour in self.neighbours.values():
            self.detector.neighbourUp(neighbour, 0.0)

    def say(self, number: int, message: Any) -> None:
        """A neighbour says something."""
        self.neighbours[number].heard = True
        self.detector.received(message, self.neighbours[number], self.now)
        self.flow()

    def flow(self) -> None:
        """Let what was sent arrive, and pings be answered."""
        while True:
            sent = [(neighbour.contact.identity[7], message) for neighbour, message in self.outlet.take("send")]
            if not sent:
                return
            self.sent += sent
            for number, message in sent:
                answer: Any = ANSWERS.get(type(message))
                if answer is not None and number not in self.silent and number in self.neighbours:
                    self.neighbours[number].heard = True
                    self.detector.received(answer(message.number), self.neighbours[number], self.now)

    def until(self, when: float) -> None:
        """Let time pass, with a tick at every whole second."""
        while True:
            tick = float(int(self.now) + 1)
            timers = [timer.at for timer in self.outlet.timers if not timer.cancelled]
            upcoming = min([tick, *timers])
            if upcoming > when:
                break
            self.now = max(self.now, upcoming)
            self.outlet.advance(self.now)
            if upcoming == tick:
                self.detector.tick(self.now)
            self.flow()
        self.now = when
        self.outlet.advance(when)

    def took(self, *types: type) -> list[tuple[int, Any]]:
        """What was sent of those types since this was last called."""
        taken = [(number, message) for number, message in self.sent if type(message) in types]
        self.sent = [(number, message) for number, message in self.sent if type(message) not in types]
        return taken

    def silenceOne(self) -> int:
        """Silence whoever is pinged next; its number, just after that ping."""
        self.until(float(int(self.now) + 1) - 0.001)

        def upcoming() -> list[int]:
            order = self.detector._order
            return [member.contact.identity[7] for member in order if not member.neighbour.suspected]

        if not upcoming():
            self.until(self.now + 1)
        number = upcoming()[-1]
        self.silent.add(number)
        self.took(Ping, Pong)
        self.until(round(self.now + 0.001))
        pinged = [who for who, _ in self.took(Ping) if not self.neighbours[who].suspected]
        self.assertEqual(pinged, [number])
        return number

    def suspectOne(self) -> int:
        """Silence one until it is suspected; its number, at that moment."""
        number = self.silenceOne()
        self.until(self.now + 1)
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], True)])
        self.assertEqual(self.outlet.take("probe"), [contact(number)])
        self.took(PingReq)
        return number

    def probed(self, number: int, outcome: Outcome, after: float = 2.0) -> None:
        """A fresh connection ends in so many seconds."""
        self.until(self.now + after)
        self.detector.probed(contact(number), outcome, self.now)
        self.flow()

    def nothingLeft(self) -> None:
        """Nothing else was asked for; pings are of no interest here, nor their answers."""
        self.flow()
        self.took(Ping, Pong)
        self.assertEqual((self.outlet.asked, self.sent), ([], []))


class ProbingTests(SwimTestCase):
    """Pings, and the others' help."""

    def test_interface(self) -> None:
        """It is what it claims to be."""
        verifyObject(IDetector, self.detector)

    def test_eachRoundPingsEachNeighbourOnceInAnOrderOfItsOwn(self) -> None:
        """One a period."""
        self.until(50.5)
        pinged = [number for number, _ in self.took(Ping)]
        self.assertEqual(len(pinged), 50)
        rounds = [tuple(pinged[start : start + 5]) for start in range(0, 50, 5)]
        self.assertEqual({tuple(sorted(order)) for order in rounds}, {(1, 2, 3, 4, 5)})
        self.assertGreater(len(set(rounds)), 3)
        self.nothingLeft()

    @given(st.integers(1, 12), st.integers(0, 2**32), st.lists(st.integers(1, 12), max_size=10))
    def test_nobodyWaitsLongerThanTwoRounds(self, count: int, seed: int, going: list[int]) -> None:
        """Not above 2n-1 periods (SWIM, section 4.3), whoever goes and comes back meanwhile."""
        self.make(count, seed)
        last = dict.fromkeys(self.neighbours, 0)
        leave = {3 * period: number for period, number in enumerate(going, 1) if number <= count}
        for period in range(1, 80):
            number = leave.get(period)
            if number is not None:
                self.detector.neighbourDown(self.neighbours[number], reasons.REWIRED, self.now)
                self.detector.neighbourUp(self.neighbours[number], self.now)
                last[number] = period
            self.until(period)
            for who, _ in self.took(Ping):
                self.assertLessEqual(period - last[who], 2 * count - 1 + len(leave))
                if not leave:
                    self.assertLessEqual(period - last[who], 2 * count - 1)
                last[who] = period

    def test_aPingIsAnsweredWithItsNumber(self) -> None:
        """To who asked."""
        self.say(2, Ping(7))
        self.assertEqual(self.took(Pong), [(2, Pong(7))])
        self.nothingLeft()

    def test_answersAreMatchedToQuestions(self) -> None:
        """The round-trip time is taken of the pong that was asked for."""
        number = self.silenceOne()
        ping = self.detector._question
        assert ping is not None
        self.until(self.now + 0.125)
        self.say(number, Pong(ping.number + 1))
        self.assertIsNone(self.neighbours[number].rtt)
        self.say(number, Pong(ping.number))
        self.assertEqual(self.neighbours[number].rtt, 0.125)

    def test_anyWordIsAnAnswer(self) -> None:
        """A message under way may hold up the pong."""
        number = self.silenceOne()
        self.neighbours[number].heard = True
        self.until(self.now + 1.5)
        self.nothingLeft()

    def test_withoutAnAnswerOthersAreAsked(self) -> None:
        """Three others, at half a second, under the number of the ping."""
        number = self.silenceOne()
        self.until(self.now + 0.49)
        self.nothingLeft()
        self.until(self.now + 0.02)
        asked = self.took(PingReq)
        self.assertEqual(len({who for who, _ in asked} - {number}), 3)
        question = self.detector._question
        assert question is not None
        self.assertEqual({message for _, message in asked}, {PingReq(question.number, contact(number), 0)})
        self.nothingLeft()

    def test_whoIsReachedByAnotherIsNotSuspected(self) -> None:
        """But pinged again in the next period; and a link that stays silent so three times is given up."""
        number = self.silenceOne()
        for again in (True, True, False):
            self.assertEqual(self.outlet.take("disconnect"), [])
            self.until(self.now + 0.6)
            (helper, request), *_ = self.took(PingReq)
            self.say(helper, Ack(request.number))
            self.took(Ping)
            self.until(round(self.now + 0.4))
            self.assertEqual([who == number for who, _ in self.took(Ping)], [again])
        self.assertEqual(self.outlet.take("disconnect"), [(self.neighbours[number], reasons.SILENT)])
        self.took(PingReq)
        self.nothingLeft()

    def test_onlyWhoWasAskedCanAnswer(self) -> None:
        """An Ack of somebody else, or of another number, is passed over."""
        number = self.silenceOne()
        self.until(self.now + 0.6)
        asked = self.took(PingReq)
        (stranger,) = set(self.neighbours) - {number} - {who for who, _ in asked}
        self.say(stranger, Ack(asked[0][1].number))
        self.say(asked[0][0], Ack(asked[0][1].number + 1))
        self.until(self.now + 0.5)
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], True)])

    def test_aSuspectTakesNobodysTurn(self) -> None:
        """It is pinged anyway."""
        number = self.silenceOne()
        self.until(self.now + 1.5)
        self.took(Ping)
        self.until(self.now + 8)
        pinged = [who for who, _ in self.took(Ping)]
        self.assertEqual((pinged.count(number), len(pinged)), (8, 16))

    def test_whoseHelpersAreSilentLooksAtAll(self) -> None:
        """It is cut off, or many have died at once; but not where suspicions are not patient, nor if helpers answer."""
        for patient, silent in ((True, True), (False, True), (True, False)):
            self.make(lifeguardSuspicion=patient)
            number = self.silenceOne()
            if silent:
                self.silent.update(self.neighbours)
            self.took(Ping)
            self.until(self.now + 1)
            looked = {who for who, _ in self.took(Ping)}
            self.assertEqual(looked == set(self.neighbours), patient and silent)
            self.until(self.now + 0.5)
            suspected = {neighbour for neighbour, _ in self.outlet.take("suspected")}
            everybody = set(self.neighbours.values())
            self.assertEqual(suspected, everybody if patient and silent else {self.neighbours[number]})

    def test_settingsSayHowManyAndHowLong(self) -> None:
        """C{indirectProbes} and C{pingTimeout}, of which no more than half a period is taken."""
        self.make(indirectProbes=1, pingTimeout=9.0, livenessInterval=1.0)
        self.silenceOne()
        self.until(self.now + 0.51)
        self.assertEqual(len(self.took(PingReq)), 1)


class SuspicionTests(SwimTestCase):
    """From silence to a verdict, or not."""

    def confirm(self, accused: int, *by: int) -> None:
        """Others suspect it too."""
        for number in by:
            self.say(number, Suspect(contact(accused), 0, identity(number), 1))

    def others(self, number: int) -> list[int]:
        """The other neighbours."""
        return sorted(set(self.neighbours) - {number})

    def test_silenceForAPeriodIsSuspicion(self) -> None:
        """It is told, all others are told, and a fresh connection is made."""
        number = self.suspectOne()
        said = self.took(Suspect)
        rumour = Suspect(contact(number), 0, identity(0), 2)
        toIt = Suspect(contact(number), 0, identity(0), 1)
        self.assertEqual(dict(said), {**dict.fromkeys(self.others(number), rumour), number: toIt})
        self.assertEqual(len(said), 5)
        self.assertEqual([who for who, _ in self.took(Ping) if who == number], [number])
        self.nothingLeft()

    def test_aSuspectIsRemindedWithEveryPing(self) -> None:
        """Lifeguard's buddy system; switched off, it is only pinged."""
        for buddy in (True, False):
            self.make(lifeguardBuddy=buddy)
            number = self.suspectOne()
            self.took(Suspect, Ping)
            self.until(self.now + 3.5)
            toIt = [type(message) for who, message in self.took(Suspect, Ping) if who == number]
            self.assertEqual(toIt, [Suspect, Ping] * 3 if buddy else [Ping] * 3)

    def test_anyWordClearsASuspect(self) -> None:
        """Whatever it is, a rumour or a pong; then no probe kills it."""
        number = self.suspectOne()
        self.say(number, Refute(identity(number), 1, 1))
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], False)])
        self.detector.probed(contact(number), SILENT, self.now)
        self.until(self.now + 0.5)
        self.assertEqual(self.outlet.asked, [])
        self.assertEqual(self.detector._suspects, {})

    def test_aSuspectThatWasHeardByOthersEarsIsClearedAtTheNextTick(self) -> None:
        """What is the broadcast's counts too."""
        number = self.suspectOne()
        self.neighbours[number].heard = True
        self.until(self.now + 1)
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], False)])

    def test_withTwoConfirmationsItIsDeadAfterFourPeriods(self) -> None:
        """The last fresh connection is made in time; all are told."""
        number = self.suspectOne()
        start = self.now
        self.confirm(number, *self.others(number)[:2])
        self.probed(number, SILENT)
        self.assertEqual(self.outlet.take("probe"), [contact(number)])
        self.took(Suspect)
        self.probed(number, SILENT)
        self.assertEqual(self.now, start + 4.0)
        self.assertEqual(self.outlet.take("dead"), [(contact(number), "silent")])
        self.assertEqual(
            sorted(self.took(Faulty)),
            [(other, Faulty(contact(number), 0, 2)) for other in self.others(number)],
        )
        self.took(Suspect)
        self.nothingLeft()

    def test_whoIsHeardAtTheLastMomentIsNotDead(self) -> None:
        """Whatever becomes of the fresh connection."""
        number = self.suspectOne()
        self.confirm(number, *self.others(number)[:2])
        self.probed(number, SILENT)
        self.until(self.now + 2.2)
        self.assertEqual(self.outlet.take("suspected"), [])
        self.neighbours[number].heard = True
        self.probed(number, SILENT, 0.1)
        self.assertEqual(self.outlet.take("dead"), [])
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], False)])

    def waitForVerdict(self, number: int) -> float:
        """Answer each fresh connection with silence; how long the verdict takes from now."""
        start = self.now
        while not (dead := self.outlet.take("dead")):
            self.outlet.take("probe")
            self.probed(number, SILENT)
            while not self.outlet.take("probe") and self.now < start + 100 and self.detector._suspects:
                self.until(self.now + 0.1)
        self.assertEqual(dead, [(contact(number), "silent")])
        return self.now - start

    def test_howLongItTakes(self) -> None:
        """By the number of confirmations; and without Lifeguard's part always the shortest."""
        for confirmations, on, expected in ((0, True, 24.0), (1, True, 11.38), (2, True, 4.0), (0, False, 4.0)):
            self.make(lifeguardSuspicion=on)
            number = self.suspectOne()
            self.confirm(number, *self.others(number)[:confirmations])
            self.assertApproximates(self.waitForVerdict(number), expected, 0.2)

    def test_aLateConfirmationIsInTime(self) -> None:
        """It moves the last fresh connection forward."""
        number = self.suspectOne()
        self.probed(number, SILENT)
        self.until(self.now + 1)
        self.assertEqual(self.outlet.take("probe"), [])
        self.confirm(number, *self.others(number)[:2])
        self.until(self.now + 0.01)
        self.assertEqual(self.outlet.take("probe"), [contact(number)])
        self.probed(number, SILENT)
        self.assertEqual(self.outlet.take("dead"), [(contact(number), "silent")])

    def test_oneNeighbourIsOneConfirmation(self) -> None:
        """In however many names it speaks, and however often."""
        number = self.suspectOne()
        liar = self.others(number)[0]
        for name in range(20, 60):
            self.say(liar, Suspect(contact(number), 0, identity(name), 1))
        self.say(liar, Faulty(contact(number), 0, 1))
        self.assertEqual(self.detector._suspects[contact(number).id].suspicion.confirmations, 1)

    def test_whatIsStaleConfirmsNothing(self) -> None:
        """Nor does this peer's own word that comes back."""
        self.make()
        number = self.silenceOne()
        member = self.detector._members[contact(number).id]
        member.refuted = 3
        self.until(self.now + 1)
        one, two, *_ = self.others(number)
        self.say(one, Suspect(contact(number), 2, identity(one), 1))
        self.say(two, Suspect(contact(number), 3, identity(0), 1))
        self.say(two, Suspect(contact(number, 0), 3, identity(two), 1))
        self.assertEqual(self.detector._suspects[contact(number).id].suspicion.confirmations, 0)

    def test_aRefusedConnectionIsDeathAtOnce(self) -> None:
        """So is one that somebody else answers."""
        for outcome in (REFUSED, REPLACED):
            self.make()
            number = self.suspectOne()
            self.probed(number, outcome, 0.1)
            self.assertEqual(self.outlet.take("dead"), [(contact(number), outcome.verdict.value)])
            self.assertEqual(self.detector._suspects, {})

    def test_aFreshConnectionThatIsAnsweredClears(self) -> None:
        """The link is silent all the same: pinged again, and the third time given up."""
        number = self.suspectOne()
        for last in (False, False, True):
            self.probed(number, ALIVE, 0.1)
            self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], False)])
            ended = [(self.neighbours[number], reasons.SILENT)] if last else []
            self.assertEqual(self.outlet.take("disconnect"), ended)
            if not last:
                self.until(round(self.now + 2))
                self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], True)])
                self.assertEqual(self.outlet.take("probe"), [contact(number)])
        self.assertEqual(self.outlet.take("dead"), [])

    def test_ownTroubleProvesNothing(self) -> None:
        """This node could not even dial: another try a period later."""
        number = self.suspectOne()
        self.probed(number, UNSURE, 0.1)
        self.until(self.now + 0.9)
        self.assertEqual(self.outlet.take("probe"), [])
        self.until(self.now + 0.2)
        self.assertEqual(self.outlet.take("probe"), [contact(number)])
        self.assertEqual(self.outlet.take("dead"), [])

    def test_aRefutationHeardFromOthersClears(self) -> None:
        """Under a higher number only; time and again it does not help a silent link."""
        number = self.suspectOne()
        other = self.others(number)[0]
        self.say(other, Refute(identity(number), 0, 1))
        self.assertEqual(self.outlet.take("suspected"), [])
        for refuted, ended in ((1, False), (2, False), (3, True)):
            self.say(other, Refute(identity(number), refuted, 1))
            self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], False)])
            self.assertEqual(bool(self.outlet.take("disconnect")), ended)
            if not ended:
                self.until(self.now + 2)
                self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], True)])
                self.assertEqual(self.took(Suspect)[-1][1].refuted, refuted)
        self.assertEqual(self.outlet.take("dead"), [])

    def test_aRefutationThatIsOldClearsNothing(self) -> None:
        """Though what was said before is forgotten."""
        number = self.silenceOne()
        self.detector._members[contact(number).id].refuted = 3
        self.until(self.now + 1)
        self.outlet.take("suspected")
        self.detector._rumours.forget(1000.0)
        self.say(self.others(number)[0], Refute(identity(number), 3, 1))
        self.assertEqual(self.outlet.take("suspected"), [])

    def test_aWordMakesTheLinkAsGoodAsNew(self) -> None:
        """How often others had to vouch for it before is forgotten."""
        number = self.suspectOne()
        for _ in range(3):
            for _ in range(2):
                self.probed(number, ALIVE, 0.1)
                self.until(round(self.now + 2))
                self.assertEqual(self.outlet.take("probe"), [contact(number)])
            self.say(number, Pong(0))
            self.until(self.now + 6)
            self.outlet.take("probe")
        self.assertEqual(self.outlet.take("disconnect"), [])

    def test_anAckThatComesLateClearsToo(self) -> None:
        """A helper's fresh connection takes longer than a period may last."""
        number = self.silenceOne()
        self.until(self.now + 0.6)
        (helper, request), *_ = self.took(PingReq)
        self.until(self.now + 0.5)
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], True)])
        self.say(helper, Ack(request.number))
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], False)])

    def test_whoHasNoOtherNeighboursDecidesAlone(self) -> None:
        """After the shortest time; nobody could confirm it."""
        self.make(1)
        number = self.suspectOne()
        self.assertApproximates(self.waitForVerdict(number), 4.0, 0.2)

    def test_theLinkOfWhomNobodyConfirmsIsGivenUpBeforeTheVerdict(self) -> None:
        """After the shortest time, if a fresh connection was not answered either; the peer has the longer time."""
        for answered in (False, True):
            self.make()
            number = self.suspectOne()
            start = self.now
            if answered:
                self.probed(number, SILENT)
            self.until(start + 3.99)
            self.assertEqual(self.outlet.take("disconnect"), [])
            self.until(start + 4)
            ended = [(self.neighbours[number], reasons.SILENT)] if answered else []
            self.assertEqual(self.outlet.take("disconnect"), ended)
        self.detector.neighbourDown(self.neighbours[number], reasons.SILENT, self.now)
        since = self.now - start
        # Without a link it is dialled again and again, one second after each answer that does not come.
        self.assertApproximates(since + self.waitForVerdict(number), 24.0, 3.1)

    def test_othersAreAskedAgainUntilEnoughConfirm(self) -> None:
        """Under a new number, when those who were asked have had time to dial; the last ones' word counts."""
        for seed in range(20):
            self.make(seed=seed, indirectProbes=1)
            number = self.silenceOne()
            self.until(self.now + 0.9)
            ((first, request),) = self.took(PingReq)
            self.until(self.now + 3.6)
            self.assertEqual(self.took(PingReq), [])
            self.until(self.now + 1)
            ((second, again),) = self.took(PingReq)
            self.assertGreater(again.number, request.number)
            self.assertEqual((again.contact, second == number), (contact(number), False))
            if second != first:
                break
        self.confirm(number, *self.others(number)[:2])
        self.until(self.now + 10)
        self.assertEqual(self.took(PingReq), [])
        self.outlet.take("suspected")
        self.say(second, Ack(again.number))
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], False)])

    def test_suspectsAreNotAskedForHelp(self) -> None:
        """They would not answer."""
        first = self.suspectOne()
        second = self.silenceOne()
        self.until(self.now + 0.6)
        self.assertEqual({who for who, _ in self.took(PingReq)}, set(self.neighbours) - {first, second})


class LinksTests(SwimTestCase):
    """Links that come and go."""

    def down(self, number: int, reason: str) -> None:
        """A link ends."""
        self.detector.neighbourDown(self.neighbours[number], reason, self.now)

    def test_aLostConnectionIsEvidenceAtOnce(self) -> None:
        """The fresh connection does not wait for a tick; refused, it is dead, and nobody need be told: all see it."""
        for reason in sorted(reasons.EVIDENCE):
            self.make()
            self.down(1, reason)
            self.assertEqual(self.outlet.take("probe"), [contact(1)])
            self.detector.probed(contact(1), REFUSED, 0.1)
            self.assertEqual(self.outlet.take("dead"), [(contact(1), "refused")])
            self.nothingLeft()

    def test_aLostConnectionToWhoIsSilentIsASuspicion(self) -> None:
        """It has as long as any suspect, is dialled again and again, and found dead by the last fresh connection."""
        self.make(3)
        self.down(1, reasons.LOST)
        self.outlet.take("probe")
        self.probed(1, SILENT)
        start = self.now
        self.assertEqual(sorted(self.took(Suspect)), [(n, Suspect(contact(1), 0, identity(0), 2)) for n in (2, 3)])
        for number in (2, 3):
            self.say(number, Suspect(contact(1), 0, identity(number), 1))
        self.until(start + 0.99)
        self.assertEqual(self.outlet.take("probe"), [])
        self.until(start + 1)
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        self.probed(1, SILENT)
        self.assertEqual((self.outlet.take("probe"), self.outlet.take("dead")), ([contact(1)], []))
        self.probed(1, SILENT)
        self.assertEqual(self.outlet.take("dead"), [(contact(1), "silent")])

    def test_aLostConnectionToWhoLivesIsNothing(self) -> None:
        """The overlay will see to it."""
        self.down(1, reasons.LOST)
        self.outlet.take("probe")
        self.probed(1, ALIVE)
        self.nothingLeft()

    def test_whoLinksItselfAnewIsNotDead(self) -> None:
        """Behind a firewall it cannot be dialled, but there it is; whether it was suspected by then or not."""
        for suspected in (False, True):
            self.make()
            self.down(1, reasons.LOST)
            self.outlet.take("probe")
            if suspected:
                self.probed(1, SILENT)
                self.took(Suspect)
            self.neighbours[1] = FakeNeighbour(1, outgoing=False)
            self.detector.neighbourUp(self.neighbours[1], self.now)
            self.detector.probed(contact(1), SILENT, self.now)
            self.detector.probed(contact(1), REFUSED, self.now)
            self.until(self.now + 60)
            self.nothingLeft()

    def test_ofWhoSaidGoodbyeNothingIsKept(self) -> None:
        """Neither suspicion nor question; and what was under way says nothing, whatever the goodbye was."""
        for reason in sorted(WORDS - reasons.UNSPOKEN):
            for outcome in (SILENT, REFUSED):
                self.make()
                number = self.suspectOne()
                self.neighbours[number].byOther = True
                self.down(number, reason)
                self.outlet.take("suspected")
                self.outlet.take("probe")
                self.detector.probed(contact(number), outcome, self.now)
                self.until(self.now + 0.5)
                self.took(Suspect)
                self.nothingLeft()
                self.assertEqual((self.detector._suspects, self.detector._dials), ({}, {}))

    def test_whoWasHeardIsNoSuspectAfterItsLinkEither(self) -> None:
        """The connection that was dialled for an old suspicion shows nothing."""
        for word in (Pong(0), None):
            self.make()
            number = self.suspectOne()
            if word is not None:
                self.say(number, word)
            self.neighbours[number].heard = True
            self.down(number, reasons.REWIRED)
            self.outlet.take("suspected")
            self.outlet.take("probe")
            self.detector.probed(contact(number), SILENT, self.now)
            self.until(self.now + 0.5)
            self.took(Suspect)
            self.nothingLeft()
            self.assertEqual(self.detector._suspects, {})

    def test_evidenceAfterAWordIsLookedAtAnew(self) -> None:
        """Silent is what was asked before that word; a refusal is newer."""
        for outcome in (SILENT, REFUSED):
            self.make()
            number = self.suspectOne()
            self.outlet.take("probe")
            self.say(number, Pong(0))
            self.down(number, reasons.LOST)
            self.assertEqual(self.outlet.take("probe"), [])
            self.detector.probed(contact(number), outcome, self.now)
            if outcome is SILENT:
                self.assertEqual(self.outlet.take("probe"), [contact(number)])
                self.assertEqual(self.detector._suspects, {})
            else:
                self.assertEqual(self.outlet.take("dead"), [(contact(number), "refused")])

    def test_whoLinksHimselfUnderADeadPeersNameDoesNotHideItsDeath(self) -> None:
        """Anybody can, and say goodbye; the question was of the link before."""
        self.down(1, reasons.LOST)
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        liar = FakeNeighbour(1)
        self.detector.neighbourUp(liar, self.now)
        liar.byOther = True
        self.detector.neighbourDown(liar, reasons.LEAVING, self.now)
        self.detector.probed(contact(1), REFUSED, self.now)
        self.assertEqual(self.outlet.take("dead"), [(contact(1), "refused")])

    def test_hearsaySettlesNoDial(self) -> None:
        """Whoever claims to have reached it, or that it has refuted, undoes no evidence of this peer's own."""
        for refute in (False, True):
            for outcome in (SILENT, REFUSED):
                self.make()
                self.down(1, reasons.LOST)
                self.detector.probed(contact(1), SILENT, self.now)
                suspect = self.detector._suspects[contact(1).id]
                self.outlet.take("probe")
                while not suspect.asked or contact(1) not in self.detector._dials:
                    self.until(self.now + 0.1)
                liar: Any = next(iter(suspect.asked))
                said = Refute(contact(1).identity, 5, 1) if refute else Ack(suspect.number)
                self.detector.received(said, liar, self.now)
                self.assertEqual(self.detector._suspects, {})
                self.detector.probed(contact(1), outcome, self.now)
                if outcome is REFUSED:
                    self.assertEqual(self.outlet.take("dead"), [(contact(1), "refused")])
                else:
                    self.assertIn(contact(1).id, self.detector._suspects)

    def test_whatIsSettledTakesNoPlaceOfOthersErrands(self) -> None:
        """Whoever was cut off himself, and has suspected all, can help at once."""
        self.make(MAX_ERRANDS + 2)
        others = [number for number in self.neighbours if number != 1]
        for number in others:
            member = self.detector._members[contact(number).id]
            self.detector._suspect(member.contact, member, self.now)
        for number in others:
            self.say(number, Pong(0))
        self.outlet.take("probe")
        self.detector.received(PingReq(77, contact(99), 0), self.neighbours[1], self.now)
        self.assertEqual(self.outlet.take("probe"), [contact(99)])

    def test_anEarlierLifesGoodbyeSaysNothingOfALaterOne(self) -> None:
        """That one is dialled, and suspected."""
        self.detector.neighbourDown(FakeNeighbour(contact(1, 2)), reasons.TIMEOUT, self.now)
        self.neighbours[1].byOther = True
        self.down(1, reasons.REWIRED)
        self.outlet.take("probe")
        self.detector.probed(contact(1, 2), SILENT, self.now)
        self.assertEqual(self.detector._suspects[contact(1).id].contact, contact(1, 2))
        goodbye = FakeNeighbour(1)
        goodbye.byOther = True
        self.detector.neighbourDown(goodbye, reasons.REWIRED, self.now)
        self.assertEqual(self.detector._suspects[contact(1).id].contact, contact(1, 2))

    def suspectLaterLife(self) -> FakeNeighbour:
        """One breaks off, is dialled, links itself anew in another life, and is suspected; its new link."""
        self.make(3)
        self.down(1, reasons.LOST)
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        later = self.neighbours[1] = FakeNeighbour(contact(1, 2))
        self.detector.neighbourUp(later, self.now)
        self.silent.add(1)
        while not later.suspected:
            self.until(self.now + 1)
        self.assertEqual(self.outlet.take("suspected"), [(later, True)])
        self.assertEqual(self.outlet.take("probe"), [contact(1, 2)])
        return later

    def test_aProbeOfAnEarlierLifeSaysNothingOfTheLaterOne(self) -> None:
        """Whatever becomes of it, the later one is suspected, has its time, and can be cleared."""
        for outcome in (REFUSED, SILENT, REPLACED, ALIVE):
            later = self.suspectLaterLife()
            self.detector.probed(contact(1), outcome, self.now)
            self.assertEqual(self.outlet.take("dead"), [])
            self.assertEqual(self.outlet.take("suspected"), [])
            self.say(1, Pong(0))
            self.assertEqual(self.outlet.take("suspected"), [(later, False)])
            self.assertEqual(self.detector._suspects, {})

    def test_aLaterLifeThatIsSuspectedTooTakesThePlaceOfAnEarlierOne(self) -> None:
        """Not the other way round."""
        self.down(1, reasons.LOST)
        for life, suspected in ((1, 1), (2, 2), (1, 2)):
            # A goodbye to which not a word came back.
            self.detector.neighbourDown(FakeNeighbour(contact(1, life)), reasons.TIMEOUT, self.now)
            self.detector.probed(contact(1, life), SILENT, self.now)
            self.assertEqual(self.detector._suspects[contact(1).id].contact, contact(1, suspected))

    def test_whatWasSaidIsNoEvidence(self) -> None:
        """Whoever ends a link in good order lives."""
        for reason in sorted(WORDS - reasons.EVIDENCE):
            self.down(1, reason)
        self.nothingLeft()

    def test_aSuspectWhoseLinkEndsIsStillASuspect(self) -> None:
        """Unless it ended it itself; there is nobody else to find it out."""
        for reason in (reasons.REWIRED, reasons.LOST):
            self.make()
            number = self.suspectOne()
            self.down(number, reason)
            self.probed(number, SILENT)
            for _ in range(3):
                self.until(self.now + 20)
                if self.outlet.take("probe"):
                    self.detector.probed(contact(number), SILENT, self.now)
            self.assertEqual(self.outlet.take("dead"), [(contact(number), "silent")])

    def test_aRefusedDialIsEvidenceOtherFailuresAreNot(self) -> None:
        """Somebody else found that nobody listens there; but a link that is there says more."""
        for reason in (reasons.TIMEOUT, reasons.FULL, reasons.LOCAL, reasons.DUPLICATE, reasons.LOST):
            self.detector.dialFailed(contact(9), reason, 0.0)
        self.nothingLeft()
        for number in (1, 9):
            self.detector.dialFailed(contact(number), reasons.REFUSED, 0.0)
            self.assertEqual(self.outlet.take("probe"), [contact(number)])
            self.detector.probed(contact(number), REFUSED, 0.1)
        self.assertEqual(self.outlet.take("dead"), [(contact(9), "refused")])

    def test_oneFreshConnectionServesOthersAndThisPeer(self) -> None:
        """If they gave the same contact; what it meets is this peer's own evidence too."""
        self.detector.neighbourDown(self.neighbours[1], reasons.REWIRED, 0.0)
        self.say(2, PingReq(77, contact(1), 0))
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        self.detector.dialFailed(contact(1), reasons.REFUSED, 0.0)
        self.assertEqual(self.outlet.take("probe"), [])
        self.detector.probed(contact(1), REFUSED, 0.1)
        self.assertEqual(self.outlet.take("dead"), [(contact(1), "refused")])

    def test_aQuestionToWhoIsGoneIsOver(self) -> None:
        """It is no silence."""
        number = self.silenceOne()
        self.down(number, reasons.REWIRED)
        self.until(self.now + 1.5)
        self.nothingLeft()

    def test_anEndThatComesAloneIsNothing(self) -> None:
        """For a link that another strategy ended as soon as it was told of it."""
        self.detector.neighbourDown(FakeNeighbour(9), reasons.REWIRED, 0.0)
        self.detector.neighbourDown(FakeNeighbour(1), reasons.REWIRED, 0.0)
        self.until(5.5)
        self.assertEqual({number for number, _ in self.took(Ping)}, {1, 2, 3, 4, 5})


class HelpTests(SwimTestCase):
    """Reaching somebody for a neighbour."""

    def test_overItsOwnLink(self) -> None:
        """A ping, and an Ack under the asker's number."""
        self.say(1, PingReq(77, contact(2), 0))
        self.assertEqual([who for who, _ in self.took(Ping)], [2])
        self.assertEqual(self.took(Ack), [(1, Ack(77))])
        self.until(0.9)
        self.nothingLeft()

    def test_ownLinkSilent(self) -> None:
        """A Nack after a quarter of a second; and then a suspicion of its own, that the asker hears of."""
        self.silent.add(2)
        self.say(1, PingReq(77, contact(2), 0))
        self.until(0.24)
        self.nothingLeft()
        self.until(0.26)
        self.assertEqual(self.took(Nack), [(1, Nack(77))])
        self.until(0.51)
        self.assertIn((1, Suspect(contact(2), 0, identity(0), 2)), self.took(Suspect))
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[2], True)])

    def test_byAFreshConnection(self) -> None:
        """Answered: an Ack. Not answered: a Nack at once, then a confirmation. This peer itself concludes nothing."""
        for outcome in (ALIVE, SILENT, REFUSED, UNSURE):
            self.make()
            self.say(1, PingReq(77, contact(9), 3))
            self.assertEqual(self.outlet.take("probe"), [contact(9)])
            self.until(0.3)
            self.assertEqual(self.took(Nack), [(1, Nack(77))])
            self.detector.probed(contact(9), outcome, self.now)
            self.flow()
            answers = {ALIVE: [(1, Ack(77))], UNSURE: []}
            expected = answers.get(outcome, [(1, Suspect(contact(9), 3, identity(0), 1))])
            self.assertEqual(self.took(Ack, Suspect), expected)
            self.until(0.9)
            self.nothingLeft()

    def test_anAnswerInTimeNeedsNoNack(self) -> None:
        """One answer is enough."""
        self.say(1, PingReq(77, contact(9), 0))
        self.outlet.take("probe")
        self.detector.probed(contact(9), ALIVE, 0.1)
        self.until(0.9)
        self.assertEqual(self.took(Ack, Nack), [(1, Ack(77))])
        self.nothingLeft()

    def test_aboutThisPeer(self) -> None:
        """It is here."""
        self.say(1, PingReq(77, contact(0), 0))
        self.assertEqual(self.took(Ack), [(1, Ack(77))])
        self.nothingLeft()

    def test_aboutTheAskerItself(self) -> None:
        """That is no question."""
        self.say(1, PingReq(77, contact(1), 0))
        self.nothingLeft()

    def test_aboutASuspect(self) -> None:
        """No answer yet."""
        number = self.suspectOne()
        self.took(Suspect)
        asker = next(iter(set(self.neighbours) - {number}))
        self.say(asker, PingReq(77, contact(number), 0))
        self.assertEqual(self.took(Nack), [(asker, Nack(77))])
        self.nothingLeft()

    def test_whatIsNoAddressIsPassedOver(self) -> None:
        """Whatever names it; but no link ends by that, for whoever says it has it from the one that it is about."""
        for message in (
            PingReq(1, Contact(identity(9), ""), 0),
            Suspect(Contact(identity(9), ""), 0, identity(3), 2),
            PingReq(1, contact(9, address="nowhere"), 0),
            Suspect(contact(9, address="0.0.0.0:1"), 0, identity(3), 2),
            Faulty(contact(9, address="10.0.0.1:0"), 0, 2),
        ):
            self.say(1, message)
        self.assertEqual(self.took(Nack), [(1, Nack(1)), (1, Nack(1))])
        self.nothingLeft()
        self.assertEqual(len(self.detector._rumours), 0)

    def test_errandsAreBounded(self) -> None:
        """For one neighbour, and for all together."""
        for number in range(100):
            self.say(1, PingReq(number, contact(100 + number), 0))
        self.assertEqual(len(self.outlet.take("probe")), ERRAND_BURST)
        for number in range(100):
            self.say(2 + number % 4, PingReq(number, contact(300 + number), 0))
        self.assertEqual(len(self.outlet.take("probe")), MAX_ERRANDS - ERRAND_BURST)
        self.assertEqual(len(self.detector._dials), MAX_ERRANDS)

    def test_whereALiarSaysThatItIsNobodyIsDead(self) -> None:
        """What is dialled for others is their affair, at the address that they gave."""
        false = Contact(identity(1), "10.9.9.9:9")
        self.say(2, PingReq(77, false, 0))
        self.detector.neighbourDown(self.neighbours.pop(1), reasons.LOST, self.now)
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        self.say(2, PingReq(78, false, 0))
        self.assertEqual(self.outlet.take("probe"), [false])
        self.detector.probed(false, REFUSED, self.now)
        self.assertEqual(self.outlet.take("dead"), [])


    def test_whereALiarSaysThatItIsSomebodyLives(self) -> None:
        """That clears nobody whom this peer suspects elsewhere."""
        number = self.suspectOne()
        self.took(Suspect)
        false = Contact(identity(number), "10.9.9.9:9")
        liar = next(iter(set(self.neighbours) - {number}))
        self.detector.neighbourDown(self.neighbours[number], reasons.REWIRED, self.now)
        self.say(liar, PingReq(77, false, 0))
        self.assertEqual(self.outlet.take("probe"), [false])
        self.detector.probed(false, ALIVE, self.now)
        self.assertIn(contact(number).id, self.detector._suspects)


class RumoursTests(SwimTestCase):
    """What others say."""

    def test_theAccusedNeighbourIsPinged(self) -> None:
        """It answers, and that is all."""
        for message in (Suspect(contact(2), 0, identity(30), 1), Faulty(contact(2), 0, 1)):
            self.make()
            self.say(1, message)
            self.assertEqual([who for who, _ in self.took(Ping)], [2])
            self.until(0.9)
            self.nothingLeft()

    def test_whatIsSaidOfAnotherLifeConfirmsNothing(self) -> None:
        """Where there is no link any more, either."""
        self.make(3)
        self.detector.neighbourDown(self.neighbours[1], reasons.LOST, self.now)
        self.outlet.take("probe")
        self.detector.probed(contact(1), SILENT, self.now)
        suspicion = self.detector._suspects[contact(1).id].suspicion
        for life, confirmations in ((0, 0), (2, 0), (1, 1)):
            self.say(2, Suspect(contact(1, life), 0, identity(2), 1))
            self.assertEqual(suspicion.confirmations, confirmations)

    def test_anOldRumourIsNoReasonToLook(self) -> None:
        """However often it is told."""
        for _ in range(10):
            self.say(1, Suspect(contact(2), 0, identity(30), 1))
        self.assertEqual(len(self.took(Ping)), 1)

    def test_theAccusedNeighbourThatIsSilentIsSuspected(self) -> None:
        """At once: two have tried. Whoever said so first counts as a confirmation."""
        for message in (Suspect(contact(2), 0, identity(30), 1), Faulty(contact(2), 0, 1)):
            self.make()
            self.silent.add(2)
            self.say(1, message)
            self.until(0.6)
            self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[2], True)])
            self.assertEqual(self.outlet.take("probe"), [contact(2)])
            self.assertEqual(self.detector._suspects[contact(2).id].suspicion.confirmations, 1)

    def test_theyArePassedOnOnceAndNotForEver(self) -> None:
        """One link less far, to all but the one it came from; the accused hears of it too."""
        rumour = Suspect(contact(2), 0, identity(30), 2)
        self.say(1, rumour)
        passed = Suspect(contact(2), 0, identity(30), 1)
        self.assertEqual(sorted(self.took(Suspect)), [(number, passed) for number in (2, 3, 4, 5)])
        self.say(3, rumour)
        self.say(1, Suspect(contact(9), 0, identity(30), 1))
        self.assertEqual(self.took(Suspect), [])

    def test_noRumourGoesFurtherThanTheSettingSays(self) -> None:
        """Whatever it claims."""
        self.say(1, Faulty(contact(9), 0, 8))
        self.assertEqual({message.hops for _, message in self.took(Faulty)}, {1})

    def test_aRefutationIsPassedOnButNotToWhoMadeIt(self) -> None:
        """One link less far."""
        self.say(1, Refute(identity(2), 1, 2))
        self.assertEqual(sorted(self.took(Refute)), [(number, Refute(identity(2), 1, 1)) for number in (3, 4, 5)])
        self.assertEqual(self.detector._members[contact(2).id].refuted, 1)

    def test_whatIsSaidOfThisPeerIsRefuted(self) -> None:
        """To all, under a higher number; at most now and then."""
        self.say(1, Suspect(contact(0), 0, identity(30), 2))
        self.assertEqual(sorted(self.took(Refute)), [(number, Refute(identity(0), 1, 2)) for number in range(1, 6)])
        self.nothingLeft()
        for number in range(1, 100):
            self.say(1, Faulty(contact(0), number, 2))
        self.assertEqual(len({message.refuted for _, message in self.took(Refute)}), REFUTE_BURST - 1)

    def test_whoHasNotHeardOfTheRefutationIsToldAgain(self) -> None:
        """When it has had time to get round."""
        self.say(1, Suspect(contact(0), 0, identity(30), 2))
        self.took(Refute)
        self.say(2, Suspect(contact(0), 0, identity(31), 2))
        self.assertEqual(self.took(Refute), [])
        self.until(1.5)
        self.say(2, Suspect(contact(0), 0, identity(31), 2))
        self.assertEqual(self.took(Refute), [(2, Refute(identity(0), 1, 1))])

    def test_anIncredibleNumberIsNotRefuted(self) -> None:
        """A liar must not use up all there are; nor is what was said of an earlier life this one's affair."""
        self.say(1, Suspect(contact(0), LEAP + 1, identity(30), 2))
        self.say(1, Suspect(contact(0, 0), 0, identity(30), 2))
        self.nothingLeft()

    def test_anIncredibleNumberIsPassedOver(self) -> None:
        """It makes no true rumour stale, clears nobody, and silences no true refutation, though a liar count up."""
        number = self.suspectOne()
        liar, honest, *_ = sorted(set(self.neighbours) - {number})
        for refuted in (LEAP + 1, 2**32 - 1):
            self.say(liar, Refute(identity(number), refuted, 2))
            self.say(liar, Suspect(contact(number), refuted, identity(30), 2))
            self.say(liar, Faulty(contact(number), refuted, 2))
        suspect = self.detector._suspects[contact(number).id]
        self.assertEqual((self.outlet.take("suspected"), suspect.suspicion.confirmations), ([], 0))
        self.took(Suspect)
        self.say(honest, Suspect(contact(number), 0, identity(honest), 2))
        self.assertEqual((len(self.took(Suspect)), suspect.suspicion.confirmations), (4, 1))
        self.say(honest, Refute(identity(number), 1, 2))
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbours[number], False)])
        for refuted in range(LEAP, 4 * LEAP, LEAP):
            self.say(liar, Refute(identity(number), refuted, 2))
        self.assertEqual(self.detector._members[contact(number).id].refuted, LEAP)
        self.say(liar, Faulty(contact(99), LEAP + 1, 2))
        self.assertEqual(self.took(Faulty), [])

    def test_whatOneSaysOfItselfIsBelieved(self) -> None:
        """On its own link, however high the number; others may then go on from there."""
        self.say(2, Refute(identity(2), 2 * LEAP, 2))
        self.say(3, Refute(identity(2), 3 * LEAP, 2))
        self.assertEqual(self.detector._members[contact(2).id].refuted, 3 * LEAP)

    def test_thisPeerAccusesUnderTheHighestNumberThatItHasHeard(self) -> None:
        """Whoever has not heard of it hears it now; under a lower one those who have would pass it over."""
        self.silent.add(2)
        self.say(1, Suspect(contact(2), 5, identity(30), 1))
        self.until(0.6)
        self.assertIn((1, Suspect(contact(2), 5, identity(0), 2)), self.took(Suspect))

    def test_itIsForgotten(self) -> None:
        """Nothing is left of the dead, nor of what was said."""
        self.say(1, Suspect(contact(9), 0, identity(30), 1))
        self.say(1, Faulty(contact(8), 0, 1))
        self.say(1, Refute(identity(7), 1, 1))
        self.assertEqual(len(self.detector._rumours), 3)
        self.until(61.0)
        self.assertEqual(len(self.detector._rumours), 0)

    def test_aStormIsNotPassedOn(self) -> None:
        """Of one neighbour so many a second, and of all together."""
        for number in range(1000):
            self.say(1 + number % 5, Faulty(contact(10 + number), 0, 2))
        self.assertEqual(len(self.took(Faulty)), 4 * RELAY_BURST)
        self.make()
        for number in range(1000):
            self.say(1, Faulty(contact(10 + number), 0, 2))
        self.assertEqual(len(self.took(Faulty)), 4 * RUMOUR_BURST)

    @given(
        st.lists(
            st.tuples(
                st.integers(2, 5),
                st.one_of(
                    st.builds(Suspect, st.sampled_from([contact(1), contact(9), contact(0)]), st.integers(0, 3),
                              st.integers(1, 60).map(identity), st.integers(1, 8)),
                    st.builds(Faulty, st.sampled_from([contact(1), contact(9), contact(1, 2)]), st.integers(0, 3),
                              st.integers(1, 8)),
                    st.builds(Refute, st.sampled_from([identity(1), identity(0)]), st.integers(0, 3),
                              st.integers(1, 8)),
                    st.builds(PingReq, st.integers(0, 9), st.sampled_from([contact(1), contact(9), contact(1, 2)]),
                              st.integers(0, 3)),
                    st.builds(Ack, st.integers(0, 20)),
                    st.builds(Nack, st.integers(0, 20)),
                    st.builds(Pong, st.integers(0, 20)),
                ),
                st.floats(0, 3),
            ),
            max_size=60,
        ),
        st.sampled_from([SILENT, REFUSED, REPLACED, ALIVE]),
    )  # fmt: skip
    def test_liarsKillNobody(self, said: list[tuple[int, Any, float]], outcome: Outcome) -> None:
        """Whatever the others say, and whatever becomes of fresh connections: who answers its pings is not dead."""
        self.make()
        for number, message, later in said:
            self.say(number, message)
            for probed in self.outlet.take("probe"):
                self.detector.probed(probed, outcome, self.now)
            self.until(self.now + later)
        self.until(self.now + 30)
        self.assertEqual(self.outlet.take("dead"), [])
        self.assertEqual(self.outlet.take("disconnect"), [])
        self.assertEqual(self.outlet.take("suspected"), [])


class HealthTests(SwimTestCase):
    """One's own trouble is not the others'."""

    def test_helpersWhoDoNotAnswerMakeItWorse(self) -> None:
        """Each that says not even Nack; it looks as if this peer were cut off."""
        self.silenceOne()
        self.silent.update(self.neighbours)
        self.until(self.now + 0.6)
        asked = self.took(PingReq)
        self.say(asked[0][0], Nack(asked[0][1].number))
        self.until(self.now + 0.5)
        self.assertEqual(self.detector.health.score, 2)

    def test_helpersWhoAnswerLeaveItAsItIs(self) -> None:
        """They have no answer either: it is not this peer's fault."""
        self.silenceOne()
        self.detector.health.worse(2)
        self.until(self.now + 0.6)
        self.silent.update(self.neighbours)
        self.until(self.now + 0.5)
        self.assertEqual(self.detector.health.score, 2)

    def test_withoutHelpersAnyFailureMakesItWorse(self) -> None:
        """There is nobody to tell."""
        self.make(1)
        self.suspectOne()
        self.assertEqual(self.detector.health.score, 1)

    def test_inBadHealthItAsksAndWaitsMoreSlowly(self) -> None:
        """Score 2: a ping every three periods, and others are asked after a second and a half."""
        self.detector.health.worse(3)
        self.until(1.0)
        self.took(Ping)
        self.silent.update(self.neighbours)
        self.detector.health.worse()
        self.until(3.9)
        self.assertEqual(self.took(Ping), [])
        self.until(4.0) if self.detector._due <= 4.0 else self.until(self.detector._due)
        start = self.now
        self.assertEqual(len(self.took(Ping)), 1)
        scale = self.detector.health.score + 1
        self.until(start + 0.5 * scale - 0.01)
        self.assertEqual(self.took(PingReq), [])
        self.until(start + 0.5 * scale + 0.01)
        self.assertEqual(len(self.took(PingReq)), 3)

    def test_successMakesItBetter(self) -> None:
        """A step a probe."""
        self.detector.health.worse(2)
        self.until(10.0)
        self.assertEqual(self.detector.health.score, 0)

    def test_anyAnswerIsASuccess(self) -> None:
        """Before others are asked or after that, and be it no pong."""
        for after in (0.2, 0.9):
            self.make()
            number = self.silenceOne()
            self.detector.health.worse(2)
            self.until(self.now + after)
            self.neighbours[number].heard = True
            self.silent.update(self.neighbours)
            self.until(self.now + 1.1 - after)
            self.assertEqual(self.detector.health.score, 1)

    def test_switchedOff(self) -> None:
        """It never doubts itself."""
        self.make(lifeguardProbe=False)
        self.silent.update(self.neighbours)
        self.until(20.5)
        self.assertEqual(self.detector.health.score, 0)

    def test_havingToRefuteMakesItWorse(self) -> None:
        """Others do not hear this peer."""
        self.say(1, Suspect(contact(0), 0, identity(1), 1))
        self.assertEqual(self.detector.health.score, 1)

    def test_ownSleepIsNotTheirSilence(self) -> None:
        """A timer that comes late, be it the first or a tick: the question is void, and this peer is to blame."""
        for late in (3.0, 100.0):
            self.make()
            self.silenceOne()
            self.silent.update(self.neighbours)
            self.now += late
            # The timers come before the tick, as late.
            for timer in [timer for timer in self.outlet.timers if not timer.cancelled]:
                timer.call(self.now)
            self.detector.tick(self.now)
            self.assertEqual(self.detector.health.score, 1)
            self.silent.clear()
            self.flow()
            self.until(self.now + 5)
            self.nothingLeft()

    def test_aTickThatComesLateVoidsToo(self) -> None:
        """Where no timer was due."""
        self.silenceOne()
        self.outlet.timers.clear()
        self.now += 5.0
        self.detector.tick(self.now)
        self.assertEqual(self.outlet.take("suspected"), [])

    def test_aSuspectHasTheTimeAgainThatThisPeerSlept(self) -> None:
        """Its time ends as much later, and a fresh connection is made before."""
        number = self.suspectOne()
        for other in sorted(set(self.neighbours) - {number})[:2]:
            self.say(other, Suspect(contact(number), 0, identity(other), 1))
        suspicion = self.detector._suspects[contact(number).id].suspicion
        deadline = suspicion.deadline
        self.probed(number, SILENT, 0.5)
        (timer,) = [timer for timer in self.outlet.timers if not timer.cancelled and timer.at == deadline - 2.0]
        self.now += 10.0
        timer.call(self.now)
        self.outlet.now = self.now
        self.assertEqual(self.outlet.take("probe"), [contact(number)])
        self.assertAlmostEqual(suspicion.deadline, deadline + self.now - timer.at)
        self.assertAlmostEqual(suspicion.deadline, self.now + 2.0)
        self.detector.probed(contact(number), SILENT, self.now + 1.9)
        self.assertEqual(self.outlet.take("dead"), [])


class StateTests(SwimTestCase):
    """What it keeps does not grow."""

    def test_linksThatCameAndWentLeaveNothing(self) -> None:
        """However they ended."""
        for number in range(10, 200):
            neighbour = FakeNeighbour(number)
            self.detector.neighbourUp(neighbour, self.now)
            self.detector.neighbourDown(neighbour, (reasons.LOST, reasons.LEAVING)[number % 2], self.now)
            for probed in self.outlet.take("probe"):
                self.detector.probed(probed, REFUSED, self.now)
        self.assertEqual(len(self.detector._members), 5)
        self.assertEqual(len(self.detector._order), 5)
        self.assertEqual((self.detector._suspects, self.detector._dials, self.detector._checks), ({}, {}, {}))

    def test_suspectsWithoutALinkAreBounded(self) -> None:
        """Whoever comes and breaks off without being there, however many."""
        for number in range(6, 250):
            neighbour = FakeNeighbour(number)
            self.detector.neighbourUp(neighbour, self.now)
            self.detector.neighbourDown(neighbour, reasons.LOST, self.now)
            for probed in self.outlet.take("probe"):
                self.detector.probed(probed, SILENT, self.now)
        self.assertEqual(len(self.detector._suspects), MAX_LOST)

    def test_theOrderHoldsNeighboursOnly(self) -> None:
        """Each once."""
        for _ in range(30):
            self.until(self.now + 1)
            members = set(map(id, self.detector._members.values()))
            self.assertTrue(set(map(id, self.detector._order)) <= members)
            self.assertEqual(len(set(map(id, self.detector._order))), len(self.detector._order))
        self.assertTrue(all(first is not second for first, second in pairwise(self.detector._order)))
