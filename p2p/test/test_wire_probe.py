"""
Tests for L{p2p.wire.probe}: what each way of answering, and of not answering, shows.
"""

from __future__ import annotations

from errno import EMFILE, ENETUNREACH

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, NoRouteError, TimeoutError
from twisted.trial.unittest import SynchronousTestCase

from p2p.test.wires import Node, Wire, contact, identity, join
from p2p.wire import reasons
from p2p.wire.codec import encode
from p2p.wire.factory import PROBE
from p2p.wire.messages import AnyMessage, Close, Contact, Hello, Ping, Welcome
from p2p.wire.probe import Outcome, Verdict, probe


class ProbeTests(SynchronousTestCase):
    """A node asks whether the peer of number 2, in its fifth life, is alive."""

    def setUp(self) -> None:
        """Ask."""
        self.node = Node(1, probeTimeout=2.0, connectTimeout=5.0, handshakeTimeout=4.0)
        self.clock = self.node.memory
        self.wanted = contact(2, 5)
        self.answer: Deferred[Outcome] = probe(self.node, self.wanted)

    def say(self, wire: Wire, message: AnyMessage) -> None:
        """The other side sends this."""
        wire.protocol.dataReceived(encode(message))

    def assertVerdict(self, verdict: Verdict) -> Outcome:
        """The question is answered, and nothing of it is left but a connection that closes."""
        outcome = self.successResultOf(self.answer)
        self.assertIs(outcome.verdict, verdict)
        self.assertEqual(self.node._dials, {})
        self.clock.advance(1e3)
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.active()], [])
        return outcome

    def dials(self) -> int:
        """How often it was dialled."""
        return len(self.clock.tcpClients)

    def test_itsAnswerShowsItAlive(self) -> None:
        """The connection is closed again, politely."""
        other = Node(2, incarnation=5)
        wires = self.node.reached(other)
        join(*wires)
        self.assertEqual(self.assertVerdict(Verdict.ALIVE).contact, contact(2, 5))
        self.assertTrue(wires[0].lost and wires[1].lost)
        self.assertFalse(wires[0].aborted or wires[1].aborted)
        self.assertEqual(other.came, [])

    def test_aLaterLifeIsAlive(self) -> None:
        """It has restarted, or refuted its death; the outcome says who answered."""
        self.say(self.node.connected(), Welcome(contact(2, 6), []))
        self.assertEqual(self.assertVerdict(Verdict.ALIVE).contact, contact(2, 6))

    def test_anEarlierLifeIsNot(self) -> None:
        """The one that was asked for cannot be there."""
        self.say(self.node.connected(), Welcome(contact(2, 4), []))
        self.assertVerdict(Verdict.REPLACED)

    def test_somebodyElseAnswers(self) -> None:
        """Another peer has its address now."""
        self.say(self.node.connected(), Welcome(contact(3, 5), []))
        self.assertEqual(self.assertVerdict(Verdict.REPLACED).contact, contact(3, 5))

    def test_anotherNetworksNodeAnswers(self) -> None:
        """Or one of another version, or something else altogether."""
        for word in (reasons.NETWORK, reasons.VERSION):
            self.setUp()
            self.say(self.node.connected(), Close(word, "", []))
            self.assertVerdict(Verdict.REPLACED)
        self.setUp()
        self.node.connected().protocol.dataReceived(b"HTTP/1.1 400 Bad Request\r\n")
        self.assertVerdict(Verdict.REPLACED)

    def test_anAnswerInWhichSomethingIsWrongShowsNothing(self) -> None:
        """It may have been put there by a third one, who is not to get an honest peer removed."""
        wrong = Contact(identity(7), "10.0.0.7:06001")
        for answer in (Welcome(contact(2, 5), [wrong]), Welcome(Contact(identity(2, 5), "nowhere"), []), Ping(1)):
            self.setUp()
            self.say(self.node.connected(), answer)
            self.assertVerdict(Verdict.UNSURE)
        self.setUp()
        self.say(self.node.connected(), Close(reasons.MALFORMED, "you are", []))
        self.assertVerdict(Verdict.REPLACED)

    def test_aFaultOfTheProgramShowsNothing(self) -> None:
        """Whoever says that it has one is there; and one of this side's is no other's death."""
        self.say(self.node.connected(), Close(reasons.FAULT, "", []))
        self.assertVerdict(Verdict.UNSURE)

    def test_refusedIsEvidenceAtOnce(self) -> None:
        """Its system says that nobody listens there: no waiting, no second try."""
        self.node.failed(ConnectionRefusedError())
        self.assertVerdict(Verdict.REFUSED)
        self.assertEqual(self.dials(), 1)

    def test_fullIsAlive(self) -> None:
        """Whoever says that there is no room is there."""
        for word in (reasons.FULL, reasons.RATE):
            self.setUp()
            self.say(self.node.connected(), Close(word, "", []))
            self.assertVerdict(Verdict.ALIVE)

    def test_aFullNodeIsFoundAlive(self) -> None:
        """As before, with the node's own refusal."""
        other = Node(2, maxLinks=0)
        join(*self.node.reached(other))
        self.assertVerdict(Verdict.ALIVE)

    def test_silenceBeforeConnecting(self) -> None:
        """A host that is down, or cut off: over after C{probeTimeout}."""
        self.clock.advance(1.9)
        self.assertNoResult(self.answer)
        self.clock.advance(0.2)
        self.assertVerdict(Verdict.SILENT)
        self.assertTrue(self.clock.connectors[0].stoppedConnecting)

    def test_silenceAfterConnecting(self) -> None:
        """A frozen process, whose system still accepts connections."""
        wire = self.node.connected()
        self.clock.advance(2.1)
        self.assertVerdict(Verdict.SILENT)
        self.assertTrue(wire.aborted)

    def test_whatThisNodeCannotTryShowsNothing(self) -> None:
        """No descriptor left, no network: that is no verdict on the other."""
        self.node.failed(NoRouteError(ENETUNREACH, "Network is unreachable"))
        self.assertVerdict(Verdict.UNSURE)

    def test_aLaterOneThatCannotBeTriedDoesNotEndTheFirst(self) -> None:
        """There was no descriptor for it; the answer may be a moment away."""
        self.clock.advance(0.67)
        self.node.failed(NoRouteError(EMFILE, "Too many open files"))
        self.assertNoResult(self.answer)
        self.say(self.node.connected(0), Welcome(self.wanted, []))
        self.assertVerdict(Verdict.ALIVE)

    def test_aConnectionThatBreaksOffIsTriedAgain(self) -> None:
        """Somebody accepted it: it may be restarting, or have had no room to say so."""
        self.node.connected().drop()
        self.assertNoResult(self.answer)
        self.clock.advance(0.25)
        self.assertEqual(self.dials(), 2)
        self.say(self.node.connected(), Welcome(self.wanted, []))
        self.assertVerdict(Verdict.ALIVE)

    def test_whatOnlyEverBreaksOffIsSilent(self) -> None:
        """Tried for as long as C{probeTimeout}, and not without pause."""
        dropped = 0
        while not self.answer.called:
            if self.dials() > dropped:
                dropped += 1
                self.node.connected().drop()
            self.clock.advance(0.01)
            self.assertLess(self.clock.seconds(), 2.1)
        self.assertVerdict(Verdict.SILENT)
        self.assertTrue(5 <= self.dials() <= 11, self.dials())

    def test_itEndsAlsoWhileWaitingToTryAgain(self) -> None:
        """The time is up between two attempts."""
        self.clock.pump([0.67, 0.67, 0.655])
        for place in range(self.dials()):
            self.node.connected(place).drop()
        self.clock.advance(0.0051)
        self.assertEqual(self.assertVerdict(Verdict.SILENT).detail, "every connection broke off")
        self.assertEqual(self.dials(), 3)

    def test_whereItTakesLongAnotherIsDialledBesideIt(self) -> None:
        """One that lost its first segment waits for seconds; whichever is answered first decides; the others end."""
        for place in range(3):
            self.setUp()
            self.clock.pump([0.67] * place)
            self.assertEqual(self.dials(), place + 1)
            self.say(self.node.connected(), Welcome(self.wanted, []))
            self.assertVerdict(Verdict.ALIVE)
            stopped = [connector.stoppedConnecting for connector in self.clock.connectors]
            self.assertEqual(stopped, [True] * place + [False])

    def test_theFirstMayStillBeAnswered(self) -> None:
        """The one that was dialled beside it ends, be it on its way or connected."""
        first = self.node.connected()
        self.clock.pump([0.67, 0.67])
        second = self.node.connected()
        self.say(first, Welcome(self.wanted, []))
        self.assertVerdict(Verdict.ALIVE)
        self.assertTrue(second.aborted)

    def test_theyAreThreeAtMost(self) -> None:
        """Also where this process slept, and asks for twice as long; or is so late that a moment seems to be left."""
        self.clock.pump([0.67] * 2 + [0.66 + 2.0 * 0.6] + [0.67] * 3)
        self.assertVerdict(Verdict.SILENT)
        self.assertEqual(self.dials(), 3)

    def test_whoSleptAsksOnceMore(self) -> None:
        """A time-out that comes much too late is this process's own: the answer may wait to be read."""
        wire = self.node.connected()
        self.clock.advance(2.0 * 1.6)
        self.assertNoResult(self.answer)
        self.say(wire, Welcome(self.wanted, []))
        self.assertVerdict(Verdict.ALIVE)

    def test_whoSleptLongDialsAnew(self) -> None:
        """The connection's own time-outs are over as well, and say as little; before or after connecting."""
        for connected in (False, True):
            self.setUp()
            if connected:
                self.node.connected()
            self.clock.advance(60.0)
            if not connected:
                self.node.failed(TimeoutError())
            dialled = self.dials()
            self.assertNoResult(self.answer)
            self.clock.advance(0.25)
            self.assertEqual(self.dials(), dialled + 1)
            self.say(self.node.connected(), Welcome(self.wanted, []))
            self.assertVerdict(Verdict.ALIVE)

    def test_onlyOnce(self) -> None:
        """A process that is always late comes to an end, too."""
        self.node.connected()
        self.clock.advance(3.2)
        self.assertNoResult(self.answer)
        self.clock.advance(3.2)
        self.assertVerdict(Verdict.SILENT)

    def test_aLittleLateIsNotAsleep(self) -> None:
        """A busy process is always a little late."""
        self.node.connected()
        self.clock.advance(2.8)
        self.assertVerdict(Verdict.SILENT)

    def test_asksWithAHelloOfItsOwnPurpose(self) -> None:
        """And says who asks."""
        (said,) = self.node.connected().messages()
        self.assertEqual(said, Hello(1, "p2p", PROBE, contact(1)))

    def test_aNodeThatGoesAwayGivesNoVerdict(self) -> None:
        """A question after C{closeAll} is not even asked."""
        self.node.closeAll(reasons.LEAVING)
        answer = probe(self.node, Contact(identity(3), "10.0.0.3:6001"))
        self.assertIs(self.successResultOf(answer).verdict, Verdict.UNSURE)
        self.assertEqual(self.dials(), 1)

    def test_aNodeThatGoesAwayAsksNoMore(self) -> None:
        """What is under way then leaves no timer behind, and no verdict."""
        self.node.closeAll(reasons.LEAVING)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertVerdict(Verdict.UNSURE)
        self.assertEqual(self.dials(), 1)

    def test_aNodeThatGoesAwayBetweenTwoTriesAsksNoMore(self) -> None:
        """Nor does it wait for the next one."""
        self.node.connected().drop()
        self.assertNoResult(self.answer)
        self.node.closeAll(reasons.LEAVING)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertVerdict(Verdict.UNSURE)
        self.assertEqual((self.dials(), self.node.pending), (1, {}))
