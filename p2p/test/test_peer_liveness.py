"""
Tests for L{p2p.peer.liveness}.
"""

from __future__ import annotations

from itertools import product
from random import Random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.interfaces import IDetector, IDetectorOutlet, INeighbour
from p2p.peer.liveness import Heartbeat
from p2p.settings import PeerSettings
from p2p.test.fakes import WORDS, FakeNeighbour, FakeOutlet, contact
from p2p.wire import reasons
from p2p.wire.messages import Ping, Pong
from p2p.wire.probe import Outcome, Verdict

ALIVE = Outcome(Verdict.ALIVE, contact(1))
SILENT = Outcome(Verdict.SILENT)
REFUSED = Outcome(Verdict.REFUSED)
UNSURE = Outcome(Verdict.UNSURE)


class HeartbeatTests(SynchronousTestCase):
    """One detector, one neighbour (number 1), pings each second, three misses."""

    def setUp(self) -> None:
        """Link up."""
        self.outlet = FakeOutlet()
        self.detector = Heartbeat(self.outlet, PeerSettings(livenessInterval=1.0, livenessMisses=3), Random(1))
        self.neighbour = FakeNeighbour(1)
        self.now = 0.0
        self.detector.neighbourUp(self.neighbour, 0.0)

    def tick(self, times: int = 1, after: float = 1.0) -> None:
        """Some ticks in time."""
        for _ in range(times):
            self.now += after
            self.detector.tick(self.now)

    def suspect(self) -> None:
        """Let it be silent until it is suspected and dialled."""
        self.tick(4)
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbour, True)])
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        self.outlet.take("send")

    def nothingLeft(self) -> None:
        """Nothing else was asked for; pings are of no interest here."""
        self.outlet.take("send")
        self.assertEqual(self.outlet.asked, [])

    def test_interfaces(self) -> None:
        """The detector and the fakes are what they claim to be."""
        verifyObject(IDetector, self.detector)
        verifyObject(IDetectorOutlet, self.outlet)
        verifyObject(INeighbour, self.neighbour)

    def test_everyTickPingsWithANewNumber(self) -> None:
        """Pings are numbered."""
        self.tick(3)
        numbers = [message.number for _, message in self.outlet.take("send")]
        self.assertEqual(len(set(numbers)), 3)
        self.nothingLeft()

    def test_aPingIsAnsweredWithItsNumber(self) -> None:
        """To who asked, and to nobody else."""
        self.detector.neighbourUp(FakeNeighbour(2), 0.0)
        self.detector.received(Ping(7), self.neighbour, 0.0)
        self.assertEqual(self.outlet.take("send"), [(self.neighbour, Pong(7))])
        self.nothingLeft()

    def test_answersAreMatchedToQuestions(self) -> None:
        """The round-trip time is kept for the answer that was asked for, and for no other."""
        self.tick()
        ((_, ping),) = self.outlet.take("send")
        self.detector.received(Pong(ping.number + 1), self.neighbour, 1.1)
        self.detector.received(Pong(0), self.neighbour, 1.1)
        self.assertIsNone(self.neighbour.rtt)
        self.detector.received(Pong(ping.number), self.neighbour, 1.25)
        self.assertEqual(self.neighbour.rtt, 0.25)
        self.detector.received(Pong(ping.number), self.neighbour, 9.0)
        self.assertEqual(self.neighbour.rtt, 0.25)
        self.nothingLeft()

    def test_silenceOfThatManyIntervalsIsSuspicionNotDeath(self) -> None:
        """Three misses: suspected and dialled afresh; not before, and not dead by that."""
        self.tick(3)
        self.nothingLeft()
        self.suspect()
        self.nothingLeft()

    def test_anySignOfLifeCounts(self) -> None:
        """Whatever comes in is as good as an answer."""
        for _ in range(20):
            self.tick()
            self.neighbour.heard = True
        self.nothingLeft()

    def test_silentOnTheFreshConnectionTooIsDead(self) -> None:
        """Only then."""
        self.suspect()
        self.detector.probed(contact(1), SILENT, self.now)
        self.assertEqual(self.outlet.take("dead"), [(contact(1), "silent")])
        self.nothingLeft()

    def test_aSuspectThatAnswersTheFreshConnectionIsNotDeadItsLinkIs(self) -> None:
        """The process lives, but this link carries nothing: it is ended."""
        self.suspect()
        self.detector.probed(contact(1), ALIVE, self.now)
        self.assertEqual(self.outlet.take("disconnect"), [(self.neighbour, reasons.SILENT)])
        self.nothingLeft()

    def test_aFalseAlarmIsTakenBack(self) -> None:
        """Heard again before the probe ends: trusted, whatever the probe says."""
        for outcome in (ALIVE, SILENT, REFUSED):
            self.suspect()
            self.neighbour.heard = True
            self.detector.probed(contact(1), outcome, self.now)
            self.assertEqual(self.outlet.take("suspected"), [(self.neighbour, False)])
            self.nothingLeft()

    def test_aProbeThatEndsAfterTheAlarmWasTakenBackKillsNobody(self) -> None:
        """A tick found it alive meanwhile."""
        self.suspect()
        self.neighbour.heard = True
        self.tick()
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbour, False)])
        self.detector.probed(contact(1), SILENT, self.now)
        self.nothingLeft()
        self.tick(2)
        self.nothingLeft()

    def test_whoLinksItselfAnewDuringTheProbeIsNotDead(self) -> None:
        """Behind a firewall it cannot be dialled, but there it is."""
        self.detector.neighbourDown(self.neighbour, reasons.LOST, self.now)
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        self.detector.neighbourUp(FakeNeighbour(1, outgoing=False), self.now)
        self.detector.probed(contact(1), SILENT, self.now)
        self.nothingLeft()

    def test_whatBecomesOfAnotherLifeOrAddressIsNothingToThisLink(self) -> None:
        """A suspect is neither dead nor alive by that; it is dialled all the same, and that counts."""
        for other in (contact(1, 0), contact(1, 2), contact(1, address="10.9.9.9:9")):
            self.suspect()
            for outcome in (REFUSED, ALIVE):
                self.detector.dialFailed(other, reasons.REFUSED, self.now)
                self.assertEqual(self.outlet.take("probe"), [other])
                self.detector.probed(other, outcome, self.now)
                self.nothingLeft()
            self.detector.probed(contact(1), UNSURE, self.now)
            self.neighbour.heard = True
            self.tick()
            self.assertEqual(self.outlet.take("suspected"), [(self.neighbour, False)])
        self.suspect()
        self.detector.probed(contact(1), REFUSED, self.now)
        self.assertEqual(self.outlet.take("dead"), [(contact(1), "refused")])

    def test_ownTroubleProvesNothing(self) -> None:
        """This node could not even dial: no verdict, and another try at the next tick."""
        self.suspect()
        self.detector.probed(contact(1), UNSURE, self.now)
        self.nothingLeft()
        self.tick()
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        self.nothingLeft()

    def test_aLostConnectionIsEvidenceAtOnce(self) -> None:
        """The probe does not wait for a tick; refused, it is dead."""
        self.detector.neighbourDown(self.neighbour, reasons.LOST, 0.5)
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        self.detector.probed(contact(1), REFUSED, 0.5)
        self.assertEqual(self.outlet.take("dead"), [(contact(1), "refused")])
        self.nothingLeft()

    def test_whichEndsAreEvidence(self) -> None:
        """Those that L{reasons.EVIDENCE} names."""
        for reason in sorted(reasons.EVIDENCE):
            self.detector.neighbourDown(self.neighbour, reason, 0.5)
            self.assertEqual(self.outlet.take("probe"), [contact(1)])
            self.detector.probed(contact(1), REFUSED, 0.5)

    def test_whoDoesNotReadMayBeFrozen(self) -> None:
        """A link that is cut off as slow is evidence at once too: nobody watches that neighbour any more."""
        self.detector.neighbourDown(self.neighbour, reasons.SLOW, 0.5)
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        self.detector.probed(contact(1), SILENT, 2.5)
        self.assertEqual(self.outlet.take("dead"), [(contact(1), "silent")])
        self.nothingLeft()

    def test_aRefusedDialIsEvidenceOtherFailuresAreNot(self) -> None:
        """Somebody else found that nobody listens there."""
        for reason in (reasons.TIMEOUT, reasons.FULL, reasons.LOCAL, reasons.DUPLICATE, reasons.LOST):
            self.detector.dialFailed(contact(2), reason, 0.0)
        self.nothingLeft()
        self.detector.dialFailed(contact(2), reasons.REFUSED, 0.0)
        self.assertEqual(self.outlet.take("probe"), [contact(2)])
        self.nothingLeft()

    def test_whoSaidGoodbyeIsNotCalledDead(self) -> None:
        """Neither leaving nor anything else that was said is evidence."""
        for reason in sorted(WORDS - reasons.EVIDENCE):
            self.detector.neighbourDown(self.neighbour, reason, 0.0)
        self.nothingLeft()

    def test_whoSaidGoodbyeWhileItWasDialledLives(self) -> None:
        """Its last word came after the question, so that nobody answers the question shows nothing."""
        for reason in sorted(WORDS - reasons.UNSPOKEN):
            for verdict in (SILENT, REFUSED):
                self.setUp()
                self.suspect()
                self.neighbour.byOther = True
                self.detector.neighbourDown(self.neighbour, reason, self.now)
                self.detector.probed(contact(1), verdict, self.now)
                self.nothingLeft()

    def test_whoWasHeardBeforeThisSideTookLeaveLives(self) -> None:
        """Whether there has been a tick since or not."""
        for ticks in (0, 1):
            self.setUp()
            self.suspect()
            self.neighbour.heard = True
            self.tick(ticks)
            self.detector.neighbourDown(self.neighbour, reasons.REWIRED, self.now)
            self.detector.probed(contact(1), SILENT, self.now)
            self.outlet.take("suspected")
            self.nothingLeft()

    def test_aSuspectOfWhomThisSideTakesLeaveIsStillOne(self) -> None:
        """There is nobody else to find it out; and a goodbye without an answer is evidence whatever was before."""
        for heard in (False, True):
            self.setUp()
            self.suspect()
            self.neighbour.heard = heard
            self.detector.neighbourDown(self.neighbour, reasons.REWIRED, self.now)
            if heard:
                self.detector.neighbourDown(self.neighbour, reasons.TIMEOUT, self.now)
                self.detector.probed(contact(1), SILENT, self.now)
                # That was asked before the goodbye.
                self.assertEqual(self.outlet.take("probe"), [contact(1)])
            self.detector.probed(contact(1), SILENT, self.now)
            self.assertEqual(self.outlet.take("dead"), [(contact(1), "silent")])
            self.nothingLeft()

    def test_aWordAfterTheGoodbyeIsASignOfLife(self) -> None:
        """The answer to a ping, on a link that this side has closed."""
        self.suspect()
        self.detector.neighbourDown(self.neighbour, reasons.REWIRED, self.now)
        self.detector.received(Pong(1), self.neighbour, self.now)
        self.detector.probed(contact(1), SILENT, self.now)
        self.nothingLeft()

    def test_evidenceAfterAWordIsLookedAtAnew(self) -> None:
        """Silent is what was asked before that word; a refusal is newer."""
        for outcome, ticks in product((SILENT, REFUSED), (0, 1)):
            self.setUp()
            self.suspect()
            self.neighbour.heard = True
            self.tick(ticks)
            self.detector.neighbourDown(self.neighbour, reasons.LOST, self.now)
            self.outlet.take("suspected")
            self.nothingLeft()
            self.detector.probed(contact(1), outcome, self.now)
            if outcome is SILENT:
                self.assertEqual(self.outlet.take("probe"), [contact(1)])
                self.detector.probed(contact(1), outcome, self.now)
            self.assertEqual(self.outlet.take("dead"), [(contact(1), outcome.verdict.value)])
            self.nothingLeft()

    def test_whoLinksHimselfUnderADeadPeersNameDoesNotHideItsDeath(self) -> None:
        """Anybody can, and say goodbye; the question was of the link before."""
        self.detector.neighbourDown(self.neighbour, reasons.LOST, self.now)
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        liar = FakeNeighbour(1)
        self.detector.neighbourUp(liar, self.now)
        liar.byOther = True
        self.detector.neighbourDown(liar, reasons.LEAVING, self.now)
        self.detector.probed(contact(1), SILENT, self.now)
        self.assertEqual(self.outlet.take("dead"), [(contact(1), "silent")])

    def test_whatALaterLifeSaysIsNotSaidByAnEarlierOneOnly(self) -> None:
        """An earlier life's goodbye says nothing of a later one, which is dialled."""
        self.detector.dialFailed(contact(1, 2), reasons.REFUSED, self.now)
        self.outlet.take("probe")
        self.neighbour.byOther = True
        self.detector.neighbourDown(self.neighbour, reasons.REWIRED, self.now)
        self.detector.probed(contact(1, 2), REFUSED, self.now)
        self.assertEqual(self.outlet.take("dead"), [(contact(1, 2), "refused")])

    def test_oneProbeAtATime(self) -> None:
        """However much evidence there is."""
        self.suspect()
        self.detector.neighbourDown(self.neighbour, reasons.LOST, self.now)
        self.detector.dialFailed(contact(1), reasons.REFUSED, self.now)
        self.nothingLeft()

    def test_timeInWhichThisProcessSleptIsNotTheirSilence(self) -> None:
        """A late tick counts no miss, nor does the early one that follows it."""
        self.tick()
        self.neighbour.heard = False
        for _ in range(10):
            self.tick(after=5.9)
            self.tick(after=0.1)
        self.nothingLeft()
        self.tick(3)
        self.assertEqual(self.outlet.take("probe"), [contact(1)])

    def test_aFrozenNeighbourDisturbsNothingElse(self) -> None:
        """The others are pinged at each tick and never suspected."""
        other = FakeNeighbour(2)
        self.detector.neighbourUp(other, 0.0)
        for _ in range(10):
            other.heard = True
            self.tick()
        pings = [message for neighbour, message in self.outlet.take("send") if neighbour is other]
        self.assertEqual(len(pings), 10)
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbour, True)])
        self.assertEqual(self.outlet.take("probe"), [contact(1)])
        self.nothingLeft()

    def test_aLinkMayEndWhileTheOthersAreLookedAt(self) -> None:
        """What is done about one neighbour may take another away: the walk goes on, and passes that one over."""
        second, third = FakeNeighbour(2), FakeNeighbour(3)
        self.detector.neighbourUp(second, 0.0)
        self.detector.neighbourUp(third, 0.0)
        suspected = self.outlet.suspected

        def suspect(neighbour: FakeNeighbour) -> None:
            suspected(neighbour)
            self.detector.neighbourDown(second, reasons.LEAVING, self.now)

        self.outlet.suspected = suspect  # type: ignore[method-assign]
        self.tick(4)
        self.assertEqual(self.outlet.take("suspected"), [(self.neighbour, True), (third, True)])

    def test_whatItRemembersEndsWithTheLink(self) -> None:
        """Links that came and went leave nothing behind."""
        for number in range(2, 100):
            neighbour = FakeNeighbour(number)
            self.detector.neighbourUp(neighbour, 0.0)
            self.detector.neighbourDown(neighbour, reasons.LOST, 0.0)
            self.detector.probed(neighbour.contact, REFUSED, 0.0)
        self.assertEqual(len(self.detector._watched), 1)
        self.assertEqual(len(self.detector._probing), 0)
