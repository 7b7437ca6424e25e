"""
Tests for L{p2p.seed.service}: a seed on a network in memory.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.interfaces import INode, ISeedStore
from p2p.seed import checks, factory
from p2p.seed.checks import Checks, Rank
from p2p.seed.registry import Entry
from p2p.seed.service import SeedService
from p2p.settings import SeedSettings, SettingError
from p2p.test.fakes import (
    FakeSeedStore,
    Network,
    Script,
    contact,
    dial,
    identity,
    impostor,
    listed,
)
from p2p.wire import reasons
from p2p.wire.factory import DialFailed
from p2p.wire.messages import (
    Close,
    Contact,
    Dead,
    Ping,
    Pong,
    Register,
    Registered,
    Removed,
    Unreachable,
    Welcome,
)
from p2p.wire.probe import Outcome, Verdict

SEED = "10.0.0.1:5000"


class SeedTestCase(SynchronousTestCase):
    """A network with one seed."""

    settings: dict[str, Any] = {}

    def setUp(self) -> None:
        """Start it."""
        self.network = Network()
        self.seed = self.network.seed(**self.settings)

    def register(self, who: Contact, listening: bool = True, want: int = 0) -> Script:
        """A peer by hand: it listens, answers probes and pings, and registers."""
        if listening:
            impostor(self.network, who)
        script = dial(self.network, SEED, who, "register")
        script.answer = lambda script, message: script.send(Pong(message.number)) if type(message) is Ping else None
        script.send(Register(who, want))
        self.network.run(0.01)
        return script

    def crash(self, who: Contact) -> None:
        """A peer by hand is killed."""
        self.network.host(who.address.partition(":")[0]).kill()

    def active(self) -> set[str]:
        """The addresses on the list."""
        return listed(self.seed)


class RegistrationTests(SeedTestCase):
    """Taking registrations and answering with the active peers."""

    def test_interfaces(self) -> None:
        """They are what they claim to be."""
        verifyObject(INode, self.seed)
        verifyObject(ISeedStore, FakeSeedStore())

    def test_aRegistrationIsOfTheListeningAddress(self) -> None:
        """Not of the port that the connection happens to come from; and the answer tells lease and total."""
        script = self.register(contact(1))
        self.assertEqual(self.active(), {contact(1).address})
        (answer,) = script.take(Registered)
        self.assertEqual((answer.lease, answer.total, answer.contacts), (20.0, 1, []))
        self.assertEqual([type(message) for message in script.got], [Welcome])

    def test_theAnswerNamesTheOthers(self) -> None:
        """As many as were asked for, never the one who asks."""
        for number in range(1, 6):
            self.register(contact(number))
        answers = [self.register(contact(10 + want), want=want).take(Registered)[0] for want in (0, 3, 100)]
        self.assertEqual([len(answer.contacts) for answer in answers], [0, 3, 7])
        self.assertEqual([answer.total for answer in answers], [6, 7, 8])
        self.assertNotIn(contact(110), answers[2].contacts)

    def test_oneAnswerNamesNoMoreThanTheSetting(self) -> None:
        """Of a longer list a sample, with the total."""
        seed = self.network.seed(2, maxSample=5)
        for number in range(1, 12):
            impostor(self.network, contact(number))
            script = dial(self.network, "10.0.0.2:5000", contact(number), "register")
            script.send(Register(contact(number), 1000))
            self.network.run(0.01)
        (answer,) = script.take(Registered)
        self.assertEqual((len(answer.contacts), answer.total), (5, 11))
        self.assertEqual(len(seed.registry), 11)
        self.assertRaises(SettingError, SeedSettings, maxSample=1001)

    def test_theLogTellsOfTheList(self) -> None:
        """Who registers from where, who is removed and why, and how many are active then."""
        with capturedLogs() as logs:
            self.register(contact(1))
            self.register(contact(2)).send(Close(reasons.LEAVING, "", []))
            self.network.run(1)
            self.crash(contact(1))
            self.network.run(3)
        lines = [str(formatEvent(entry)) for entry in logs if entry["log_level"] is LogLevel.info]
        for wanted in (
            r"^\S+ registered from 10.1.0.2:6000 \(new\), 1 active$",
            r"^\S+ registered from 10.1.0.3:6000 \(new\), 2 active$",
            r"^\S+ at 10.1.0.3:6000 removed \(leaving\): said goodbye; 1 active$",
            r"^\S+ at 10.1.0.2:6000 removed \(dead\): its connection ended: lost; refused: .*; 0 active$",
        ):
            self.assertEqual(len([line for line in lines if re.search(wanted, line)]), 1, f"{wanted} {lines}")

    def test_whoRegistersUnderAnotherIdMisbehaves(self) -> None:
        """One connection is one peer."""
        script = dial(self.network, SEED, contact(1), "register")
        script.send(Register(contact(2), 0))
        self.network.run(1)
        self.assertEqual(script.take(Close)[0].reason, reasons.MALFORMED)
        self.assertEqual(self.active(), set())

    def test_whatIsNoAddressIsNotRegistered(self) -> None:
        """Garbage ends the connection with a reason."""
        for address in ("", "example.org:1", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:99999", "x" * 64):
            script = dial(self.network, SEED, contact(1), "register")
            script.send(Register(Contact(contact(1).identity, address), 0))
            self.network.run(1)
            self.assertEqual(script.take(Close)[0].reason, reasons.MALFORMED)
        self.assertEqual(self.active(), set())

    def test_aSeedIsNobodysNeighbour(self) -> None:
        """It says what it is."""
        self.assertEqual(dial(self.network, SEED, contact(1), "neighbour").take(Close)[0].reason, reasons.ROLE)

    def test_anotherNetworkIsTurnedAway(self) -> None:
        """With a reason."""
        script = dial(self.network, SEED, contact(1), "register", name="other")
        self.assertEqual(script.take(Close)[0].reason, reasons.NETWORK)

    def test_aRestartedPeerIsNotItsDeadPredecessor(self) -> None:
        """The later incarnation takes the place; the earlier one cannot come back, and is told which is the latest."""
        self.register(contact(1, 5))
        self.crash(contact(1))
        self.register(contact(1, 6))
        self.assertEqual(len(self.seed.registry), 1)
        late = self.register(contact(1, 5), listening=False)
        self.assertEqual(late.take(Removed), [Removed(identity(1, 6), reasons.STALE)])
        entry = self.seed.registry.get(contact(1).id)
        assert entry is not None
        self.assertEqual(entry.contact, contact(1, 6))

    def test_whoRegistersAnewOnAnotherConnectionReplacesTheOld(self) -> None:
        """The old one is ended; what it still says, and its end, change nothing."""
        old = self.register(contact(1))
        new = self.register(contact(1), listening=False)
        old.send(Register(contact(1), 0))
        self.network.run(1)
        self.assertEqual(old.take(Close)[0].reason, reasons.STALE)
        new.take(Registered)
        new.send(Register(contact(1), 0))
        self.network.run(5)
        self.assertEqual(len(new.take(Registered)), 1)
        self.assertFalse(new.ended)
        self.assertEqual(self.active(), {contact(1).address})

    def test_whatCrossesTheEndOfItsConnectionIsNotARegistration(self) -> None:
        """A Register behind a goodbye, in one piece, brings nobody back."""
        script = self.register(contact(1))
        script.send(Close(reasons.LEAVING, "", []), Register(contact(1, 2), 0))
        self.network.run(1)
        self.assertEqual(self.active(), set())
        self.assertEqual(self.seed.factory._registered, {})

    def test_leavingIsAtOnceAndNobodyChecks(self) -> None:
        """Goodbye removes, without a dial."""
        script = self.register(contact(1))
        self.network.run(1)
        before = self.seed.factory.counters["checks"]
        script.send(Close(reasons.LEAVING, "", []))
        self.network.run(0.01)
        self.assertEqual(self.active(), set())
        self.assertEqual(self.seed.factory.counters["checks"], before)

    def test_eventsAndInterfaceTellOfIt(self) -> None:
        """Registrations and removals with their reason, and who is active since when."""
        events: list[Any] = []
        self.seed.events.subscribe(events.append)
        script = self.register(contact(1))
        (peer,) = self.seed.peers()["peers"]
        self.assertEqual((peer["address"], peer["id"]), (contact(1).address, contact(1).id.hex()))
        script.send(Close(reasons.LEAVING, "", []))
        self.network.run(1)
        self.assertEqual([event["type"] for event in events], ["registered", "removed"])
        self.assertEqual(events[1]["reason"], reasons.LEAVING)
        self.assertEqual(self.seed.status()["gauges"]["active"], 0)


class NewcomerTests(SeedTestCase):
    """Who registers in the place of a peer that is on the list, over another connection."""

    settings = {"leaseInterval": 100.0}

    def setUp(self) -> None:
        """A peer that lives, and has been dialled."""
        super().setUp()
        self.victim = self.register(contact(1, 5))
        self.network.run(1)
        self.victim.take(Registered)

    def liar(self, incarnation: int = 6, address: str = "10.66.6.6:6") -> Script:
        """Somebody registers under that peer's id, and waits for what comes of it."""
        script = self.register(contact(1, incarnation, address), listening=False)
        self.network.run(0.5)
        return script

    def entry(self) -> Contact | None:
        """Who is on the list under that id."""
        entry = self.seed.registry.get(contact(1).id)
        return entry.contact if entry is not None else None

    def test_whoInventsALaterLifeIsTurnedAway(self) -> None:
        """Whatever address it gives; the peer keeps connection and place, is told nothing, and nobody is buried."""
        for incarnation, address in ((6, "10.66.6.6:6"), (5, "10.66.6.6:6"), (6, contact(1).address), (2**64 - 1, "")):
            liar = self.liar(incarnation, address or contact(1).address)
            self.assertEqual([close.reason for close in liar.take(Close)], [reasons.DUPLICATE])
            self.assertEqual(liar.take(Registered), [])
            self.network.run(5)
            self.assertEqual(self.entry(), contact(1, 5))
        self.assertFalse(self.victim.ended)
        self.assertEqual((self.victim.take(Removed), self.victim.take(Close)), ([], []))
        self.victim.send(Register(contact(1, 5), 0))
        self.network.run(0.1)
        self.assertEqual(len(self.victim.take(Registered)), 1)
        self.assertEqual(self.seed.factory._newcomers, {})

    def test_manyOfThemAtOnceCauseOneCheck(self) -> None:
        """However often each of them says it; who has gone away is not kept in mind."""
        before = self.seed.factory.counters["checks"]
        liars = [dial(self.network, SEED, contact(1, 6 + number, "10.66.6.6:6"), "register") for number in range(5)]
        for number, liar in enumerate(liars):
            liar.send(*[Register(contact(1, 6 + number, "10.66.6.6:6"), 0)] * 5)
        liars[0].send(Close(reasons.LEAVING, "", []))
        self.network.run(2)
        self.assertEqual(self.seed.factory.counters["checks"], before + 1)
        for liar in liars[1:]:
            self.assertEqual(liar.take(Close)[0].reason, reasons.DUPLICATE)
        self.assertEqual((self.entry(), self.seed.factory._newcomers), (contact(1, 5), {}))

    def test_whoHasRestartedIsRegisteredAtOnce(self) -> None:
        """At its old address, though its old connection seems to stand."""
        self.network.host("10.1.0.2").ports.clear()
        again = self.register(contact(1, 6))
        self.network.run(0.1)
        self.assertEqual(len(again.take(Registered)), 1)
        self.assertEqual(self.entry(), contact(1, 6))
        self.assertEqual(self.victim.take(Close)[0].reason, reasons.STALE)

    def test_whoHasRestartedElsewhereIsRegisteredAtOnce(self) -> None:
        """Where it listened before, nobody does now."""
        self.network.host("10.1.0.2").ports.clear()
        again = self.register(contact(1, 6, "10.1.0.9:6000"))
        self.network.run(0.1)
        self.assertEqual(len(again.take(Registered)), 1)
        self.assertEqual(self.entry(), contact(1, 6, "10.1.0.9:6000"))

    def test_whoseOldMachineIsGoneIsRegisteredAfterOneProbe(self) -> None:
        """Nothing comes back from it, not even a refusal."""
        self.network.host("10.1.0.2").cut = True
        again = self.register(contact(1, 6, "10.1.0.9:6000"))
        self.network.run(1)
        self.assertEqual(again.take(Registered), [])
        self.network.run(self.seed.settings.probeTimeout)
        self.assertEqual(len(again.take(Registered)), 1)
        self.assertEqual(self.entry(), contact(1, 6, "10.1.0.9:6000"))

    def test_aLiarWhoComesFirstIsFoundOut(self) -> None:
        """Two take the place of a dead peer: the one that listens has it in the end, though the other is connected."""
        self.network.host("10.1.0.2").cut = True
        liar = self.liar(6)
        again = self.register(contact(1, 7, "10.1.0.9:6000"))
        self.network.run(2 * self.seed.settings.probeTimeout + 1)
        self.assertEqual(len(again.take(Registered)), 1)
        self.assertEqual(self.entry(), contact(1, 7, "10.1.0.9:6000"))
        self.assertEqual(liar.take(Close)[0].reason, reasons.STALE)

    def test_whoBeginsWithTheTruthIsNotBelievedALie(self) -> None:
        """Having registered what is on the list, it goes on to a later life at another address."""
        liar = self.liar(5, contact(1).address)
        liar.send(Register(contact(1, 6, "10.66.6.6:6"), 0))
        self.network.run(1)
        self.assertEqual([close.reason for close in liar.take(Close)], [reasons.DUPLICATE])
        self.assertEqual(self.entry(), contact(1, 5))

    def test_whoHasConnectedAnewMayRefuteItsDeath(self) -> None:
        """It answers as who it says it is now."""
        again = self.register(contact(1, 5), listening=False)
        self.network.host("10.1.0.2").ports.clear()
        impostor(self.network, contact(1, 6))
        again.send(Register(contact(1, 6), 0))
        self.network.run(0.1)
        self.assertEqual((len(again.take(Registered)), again.take(Close)), (2, []))
        self.assertEqual(self.entry(), contact(1, 6))

    def test_whoSaysGoodbyeInAPeersNameIsNotBelieved(self) -> None:
        """Having registered exactly what is on the list; nor again, when the peer's own connection has gone."""
        for _ in range(2):
            liar = self.liar(5, contact(1).address)
            liar.send(Close(reasons.LEAVING, "", []))
            self.network.run(5)
            self.assertEqual(self.entry(), contact(1, 5))
        again = self.register(contact(1, 5), listening=False)
        self.assertEqual((len(again.take(Registered)), again.take(Removed)), (1, []))

    def test_whoHasConnectedAnewIsGoneWithItsPort(self) -> None:
        """Its goodbye is believed once it does not answer."""
        again = self.register(contact(1, 5), listening=False)
        self.network.host("10.1.0.2").ports.clear()
        again.send(Close(reasons.LEAVING, "", []))
        self.network.run(0.1)
        self.assertIsNone(self.entry())

    def blind(self) -> None:
        """From now on the seed has no descriptor to dial with."""
        self.seed.factory.dial = lambda address, purpose, urgent=False: fail(  # type: ignore[method-assign]
            DialFailed(reasons.LOCAL, "Too many open files")
        )

    def test_nobodyIsBelievedUnseenWhileTheSeedCannotLook(self) -> None:
        """Whoever may be a later life is to try again; the one on the list is told nothing."""
        self.blind()
        # Between its tries, too, after which the seed rests longer and longer.
        liars = [self.liar() for _ in range(30)]
        self.assertEqual([liar.take(Close)[0].reason for liar in liars], [reasons.RATE] * 30)
        del self.seed.factory.dial
        self.network.run(10)
        self.assertEqual([liar.take(Registered) for liar in liars], [[]] * 30)
        self.assertEqual((self.entry(), self.seed.factory._newcomers), (contact(1, 5), {}))
        self.assertFalse(self.victim.ended)
        self.assertEqual((self.victim.take(Removed), self.victim.take(Close)), ([], []))
        self.assertEqual(self.seed.status()["counters"]["registrationsRefused"], 30)

    def test_aLaterLifeIsRegisteredAsSoonAsTheSeedCanLook(self) -> None:
        """Trying again, as it is told to, it need not wait for a lease."""
        self.blind()
        self.crash(contact(1))
        refused = self.register(contact(1, 6, "10.1.0.9:6000"))
        self.network.run(3)
        self.assertEqual(refused.take(Close)[0].reason, reasons.RATE)
        del self.seed.factory.dial
        self.network.run(4)
        again = self.register(contact(1, 6, "10.1.0.9:6000"), listening=False)
        self.network.run(0.1)
        self.assertEqual((len(again.take(Registered)), again.take(Close)), (1, []))
        self.assertEqual(self.entry(), contact(1, 6, "10.1.0.9:6000"))

    def test_orWhenTheLeaseIsOver(self) -> None:
        """However long the seed cannot look."""
        self.blind()
        self.crash(contact(1))
        self.network.run(3 * 100 + 1)
        self.assertEqual(len(self.liar().take(Registered)), 1)

    def test_whileTooManyAreLookedAtNobodyIsBelievedUnseenEither(self) -> None:
        """But the end of a peer's own connection has it looked at soon, and then its later life is let in."""
        self.patch(checks, "MAX_WAITING", 1)
        for number in range(20, 20 + self.seed.settings.maxChecks):
            self.network.host(f"10.1.0.{number + 1}").firewall = True
            self.register(contact(number), listening=False)
        self.seed.factory.check(contact(60), "some doubt", Rank.DOUBTED)
        self.assertEqual(self.liar().take(Close)[0].reason, reasons.RATE)
        self.assertEqual(self.entry(), contact(1, 5))
        self.assertFalse(self.victim.ended)
        self.crash(contact(1))
        self.network.run(0.1)
        self.assertEqual(len(self.liar().take(Registered)), 1)

    def test_overItsOwnConnectionAPeerMayChangeAsItLikes(self) -> None:
        """That is how it refutes its death."""
        self.victim.send(Register(contact(1, 6), 0))
        self.network.run(0.1)
        self.assertEqual(self.entry(), contact(1, 6))


class LeaseTests(SeedTestCase):
    """A registration is a lease."""

    settings = {"leaseInterval": 10.0}

    def test_whoDoesNotRenewForThreeIntervalsIsGoneWithoutAnyReport(self) -> None:
        """Its connection stands, nobody complains, but the lease runs out; it is told, and not kept connected."""
        lazy, busy = self.register(contact(1)), self.register(contact(2))
        for _ in range(6):
            busy.send(Register(contact(2), 0))
            self.network.run(4.9)
        self.assertEqual(self.active(), {contact(1).address, contact(2).address})
        busy.send(Register(contact(2), 0))
        self.network.run(2)
        self.assertEqual(self.active(), {contact(2).address})
        self.assertEqual(lazy.take(Removed), [Removed(identity(1), reasons.EXPIRED)])
        self.assertEqual(set(self.seed.factory._registered), {contact(2).id})
        self.network.run(20)
        self.assertTrue(lazy.ended or lazy.take(Close))

    def test_whoConnectsAndDoesNotRegisterIsNotKept(self) -> None:
        """Silence takes no place for ever."""
        script = dial(self.network, SEED, contact(1), "register")
        self.network.run(60)
        self.assertEqual(script.take(Close)[0].reason, reasons.TIMEOUT)
        self.assertEqual(self.seed.factory.connections, 0)


class CheckTests(SeedTestCase):
    """A report is checked before it is believed."""

    def report(self, reporter: Script, accused: Contact) -> None:
        """Call somebody dead."""
        reporter.send(Dead(accused, "silent"))
        self.network.run(0.01)

    def dials(self, who: Contact) -> int:
        """How often the seed has dialled that peer."""
        return self.network.host("10.0.0.1").dialled.count(who.address)

    def test_aPeerThatAnswersStays(self) -> None:
        """The seed dials the accused itself."""
        reporter = self.register(contact(1))
        self.register(contact(2))
        before = self.dials(contact(2))
        self.report(reporter, contact(2))
        self.network.run(5)
        self.assertEqual(self.dials(contact(2)), before + 1)
        self.assertIn(contact(2).address, self.active())

    def test_aPeerThatDoesNotAnswerIsRemoved(self) -> None:
        """And, being connected still, is told."""
        reporter, accused = self.register(contact(1)), self.register(contact(2))
        self.network.run(1)
        self.network.host("10.1.0.3").ports.clear()
        self.report(reporter, contact(2))
        self.network.run(5)
        self.assertEqual(self.active(), {contact(1).address})
        self.assertEqual(accused.take(Removed), [Removed(identity(2), reasons.DEAD)])

    def test_aKilledPeerIsOffTheListWithinASecond(self) -> None:
        """Its reset connection is evidence, and its refusal is proof."""
        self.register(contact(1))
        self.network.run(5)
        self.crash(contact(1))
        self.network.run(1)
        self.assertEqual(self.active(), set())

    def test_severalReportsAtOnceCauseOneCheck(self) -> None:
        """However many ask."""
        reporters = [self.register(contact(number)) for number in range(1, 6)]
        self.register(contact(9))
        self.network.run(5)
        before = self.dials(contact(9))
        for reporter in reporters:
            reporter.send(Dead(contact(9), "silent"))
        self.network.run(5)
        self.assertEqual(self.dials(contact(9)), before + 1)

    def test_aReporterWhoIsOftenWrongIsNotListenedToForAWhile(self) -> None:
        """Three lies, then silence, then another chance; how often and how long are settings."""
        liar = self.register(contact(1))
        self.register(contact(2))
        self.network.run(5)
        with capturedLogs() as logs:
            for _ in range(3):
                self.report(liar, contact(2))
                self.network.run(1)
        self.assertEqual(
            [str(formatEvent(entry)) for entry in logs if "not listened to" in (entry["log_format"] or "")],
            [f"{contact(1).id.hex()} was wrong 3 times: not listened to for 300 s"],
        )
        self.assertEqual(self.seed.status()["gauges"]["mutedReporters"], 1)
        before = self.dials(contact(2))
        self.report(liar, contact(2))
        self.assertEqual(self.dials(contact(2)), before)
        for _ in range(31):
            for number in (1, 2):
                dial(self.network, SEED, contact(number), "register").send(Register(contact(number), 0))
            self.network.run(10)
        liar = self.register(contact(1), listening=False)
        before = self.dials(contact(2))
        self.report(liar, contact(2))
        self.assertEqual(self.dials(contact(2)), before + 1)

    def test_reportersAreJudgedInTheOrderOfTheirReports(self) -> None:
        """Not in one that is another one in each process."""
        scripts = [self.register(contact(number)) for number in range(1, 13)]
        self.register(contact(20))
        self.network.run(5)
        told: list[bytes] = []
        closed = self.seed.factory.reports.closed

        def listen(reporter: bytes, wrong: bool, now: float) -> bool:
            told.append(reporter)
            return closed(reporter, wrong, now)

        self.patch(self.seed.factory.reports, "closed", listen)
        for script in scripts:
            script.send(Dead(contact(20), "silent"))
        self.network.run(5)
        self.assertEqual(told, [contact(number).id for number in range(1, 13)])

    def test_saidTwiceIsNotWrongTwice(self) -> None:
        """The same report while its check is under way counts once."""
        honest = self.register(contact(1))
        self.register(contact(2))
        self.network.run(5)
        honest.send(*[Dead(contact(2), "silent")] * 5)
        self.network.run(5)
        self.assertEqual(self.seed.status()["gauges"]["mutedReporters"], 0)
        self.seed.factory.reports.forget(self.network.clock.seconds() + 1000.0)
        self.assertEqual(len(self.seed.factory.reports), 0)

    def test_whoReportsAPredecessorIsNotWrong(self) -> None:
        """The accused has restarted and answers as a later incarnation: after a mass restart nobody is muted."""
        reporter = self.register(contact(1))
        for number in range(2, 6):
            impostor(self.network, contact(number, 2))
            script = self.register(contact(number), listening=False)
            self.network.run(1)
            self.report(reporter, contact(number))
            script.take(Removed)
        self.network.run(5)
        self.assertEqual(self.seed.status()["gauges"]["mutedReporters"], 0)

    def test_aLaterLifeThatEndsBeforeItRegisters(self) -> None:
        """Its process is killed and started anew, and killed again at once: it answered once, and is removed soon."""
        self.register(contact(1, 5))
        self.crash(contact(1))
        impostor(self.network, contact(1, 6))
        self.network.run(2)
        self.assertEqual(self.active(), {contact(1).address})
        self.crash(contact(1))
        self.network.run(2 * self.seed.settings.probeTimeout)
        self.assertEqual(self.active(), set())

    def test_aLaterLifeThatRegistersIsNotLookedAtAgain(self) -> None:
        """Only as long as it has not is it dialled now and then."""
        self.register(contact(1, 5))
        self.crash(contact(1))
        impostor(self.network, contact(1, 6))
        before = self.dials(contact(1))
        pause = 2 * self.seed.settings.probeTimeout
        self.network.run(2.5 * pause)
        self.assertEqual(self.dials(contact(1)), before + 3)
        self.register(contact(1, 6), listening=False)
        self.network.run(1)
        before = self.dials(contact(1))
        self.network.run(3 * pause)
        self.assertEqual(self.dials(contact(1)), before)
        self.assertEqual(self.active(), {contact(1).address})

    def test_aDeathElsewhereIsNotWrong(self) -> None:
        """A liar has named somebody at an address where nobody is: whoever believed that is not muted for it."""
        honest = self.register(contact(1))
        self.register(contact(2))
        self.network.run(5)
        before = self.dials(contact(2))
        for _ in range(5):
            self.report(honest, contact(2, 1, "10.66.6.6:6"))
            self.network.run(1)
        self.assertEqual(self.seed.status()["gauges"]["mutedReporters"], 0)
        self.assertEqual(self.seed.factory.counters["reportsIgnored"], 5)
        self.assertEqual(self.dials(contact(2)), before)

    def test_whatCannotBeBelievedIsIgnored(self) -> None:
        """Reports of oneself, of strangers, of other incarnations, and of anybody by whom is not registered."""
        reporter = self.register(contact(1))
        self.register(contact(2, 5))
        stranger = dial(self.network, SEED, contact(3), "register")
        self.network.run(1)
        before = self.seed.factory.counters["checks"]
        for accused in (contact(1), contact(7), contact(2, 4), contact(2, 6)):
            self.report(reporter, accused)
        self.report(stranger, contact(2, 5))
        self.assertEqual(self.seed.factory.counters["checks"], before)
        self.assertEqual(self.seed.factory.counters["reportsIgnored"], 5)
        self.assertEqual(self.active(), {contact(1).address, contact(2).address})

    def test_aCheckThatEndsAfterItsPeerRegisteredAnewTouchesNothing(self) -> None:
        """The later life stays, and the reporter's report is closed."""
        reporter = self.register(contact(1))
        self.network.host("10.1.0.3").firewall = True
        accused = self.register(contact(2, 1), listening=False)
        reporter.send(Dead(contact(2, 1), "silent"))
        self.network.run(0.1)
        accused.send(Register(contact(2, 2), 0))
        self.network.run(10)
        entry = self.seed.registry.get(contact(2).id)
        assert entry is not None
        self.assertEqual(entry.contact, contact(2, 2))
        self.assertEqual(accused.take(Removed), [])
        self.seed.factory.reports.forget(self.network.clock.seconds())
        self.assertEqual(len(self.seed.factory.reports), 0)
        self.assertEqual(len(self.seed.factory.checks), 0)

    def test_checksOfWhoIsGoneDoNotGather(self) -> None:
        """Registering ever new identities, or leaving at once, leaves no queue behind."""
        self.seed.factory.checks = Checks(1)
        self.network.host("10.1.0.2").firewall = True
        script = self.register(contact(1, 1), listening=False)
        for incarnation in range(2, 200):
            script.send(Register(contact(1, incarnation), 0))
        self.network.run(0.1)
        self.assertLessEqual(len(self.seed.factory.checks), 3)
        self.assertLessEqual(self.seed.factory.checks.waiting, 2)
        script.send(Close(reasons.LEAVING, "", []))
        self.network.run(0.1)
        self.assertEqual(self.seed.factory.checks.waiting, 0)
        self.network.run(10)
        self.assertEqual((len(self.seed.factory.checks), self.seed.factory.checks.running), (0, 0))

    def test_manyChecksThatEndAtOnceAreNoTrouble(self) -> None:
        """Thousands of checks that end as soon as they begin do not pile up on the stack."""
        for number in range(1, 3001):
            self.seed.registry.register(contact(number), 0.0)
        factory = self.seed.factory
        factory.accepting = False
        for number in range(1, 3001):
            factory.check(contact(number), "test")
        factory.accepting = True
        factory.dial = lambda address, purpose, urgent=False: _refused()  # type: ignore[method-assign]
        factory._next()
        self.assertEqual(self.active(), set())


def _refused() -> Any:
    return fail(DialFailed(reasons.REFUSED))


class CheckTroubleTests(SeedTestCase):
    """Checks that are hindered: by a flood of others, by this seed's own want, by what happens meanwhile."""

    settings = {"maxChecks": 8, "probeTimeout": 2.0, "connectTimeout": 2.0, "leaseInterval": 100.0}

    def said(self, logs: Any) -> list[str]:
        """What was logged."""
        return [formatEvent(event) for event in logs]

    def byHand(self) -> list[Deferred[Outcome]]:
        """From now on the test answers what the seed asks by dialling."""
        asked: list[Deferred[Outcome]] = []

        def ask(*arguments: object) -> Deferred[Outcome]:
            asked.append(Deferred())
            return asked[-1]

        self.patch(factory, "probe", ask)
        return asked

    def test_aFloodOfNewAddressesDoesNotDelayTheCheckOfADeath(self) -> None:
        """They swallow whatever is sent to them; a peer that was there and is killed goes as fast as ever."""
        self.register(contact(1))
        self.network.run(1)
        for number in range(20, 120):
            self.network.host(f"10.1.0.{number + 1}").firewall = True
            self.register(contact(number), listening=False)
        self.assertGreater(self.seed.factory.checks.waiting, 50)
        self.crash(contact(1))
        self.network.run(1)
        self.assertNotIn(contact(1).address, self.active())

    def test_checksBeyondTheBoundAreLeftToTheLeases(self) -> None:
        """They are counted, and who reported is not wrong for that."""
        self.patch(checks, "MAX_WAITING", 0)
        reporter = self.register(contact(1))
        self.register(contact(2))
        reporter.send(Dead(contact(2), "silent"))
        self.network.run(0.1)
        self.assertEqual(self.seed.status()["counters"]["checksDropped"], 3)
        self.seed.factory.reports.forget(self.network.clock.seconds())
        self.assertEqual(len(self.seed.factory.reports), 0)

    def test_whatTheSeedCouldNotEvenTryItTriesAgain(self) -> None:
        """It had no descriptor: it has learnt nothing, says nothing false, and finds the death once it can."""
        self.register(contact(1))
        self.network.run(1)
        factory = self.seed.factory
        factory.dial = lambda address, purpose, urgent=False: fail(  # type: ignore[method-assign]
            DialFailed(reasons.LOCAL, "Too many open files")
        )
        with capturedLogs() as logs:
            self.crash(contact(1))
            self.network.run(10)
        self.assertEqual(self.said(logs), [])
        self.assertEqual(self.active(), {contact(1).address})
        del factory.dial
        self.network.run(10)
        self.assertEqual(self.active(), set())

    def test_whatItCanNeverTryIsLeftToTheLease(self) -> None:
        """After a bounded number of times; that is said as it is."""
        self.register(contact(1))
        self.network.run(1)
        self.seed.factory.dial = lambda address, purpose, urgent=False: fail(  # type: ignore[method-assign]
            DialFailed(reasons.LOCAL, "Too many open files")
        )
        with capturedLogs() as logs:
            self.crash(contact(1))
            self.network.run(200)
        (said,) = self.said(logs)
        self.assertIn("could not be checked", said)
        self.assertEqual(len(self.seed.factory.checks), 0)
        self.assertEqual(self.seed.status()["counters"]["checks"], 1 + checks.MAX_TRIES)

    def test_anAnswerGivenBeforeTheDoubtDoesNotSettleIt(self) -> None:
        """It answers the check of its new address, and dies while the answer is under way."""
        asked = self.byHand()
        self.register(contact(1))
        self.network.run(0.5)
        (before,) = asked
        self.crash(contact(1))
        self.network.run(0.5)
        before.callback(Outcome(Verdict.ALIVE, contact(1)))
        self.assertEqual(len(asked), 2)
        self.assertEqual(self.active(), {contact(1).address})
        asked[1].callback(Outcome(Verdict.REFUSED))
        self.assertEqual(self.active(), set())

    def test_aFaultTakesNoSlotWithIt(self) -> None:
        """Neither one in asking nor one in what is done about the answer."""
        asked = self.byHand()
        for number in range(1, 3):
            self.register(contact(number))
        self.patch(self.seed.registry, "reached", lambda entry, there: 1 / 0)
        asked[0].callback(Outcome(Verdict.ALIVE, contact(1)))
        asked[1].errback(RuntimeError("a fault"))
        self.assertEqual((len(self.seed.factory.checks), self.seed.factory.checks.running), (0, 0))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_anAddressNeverReachedIsTriedAgainWhenItsLeaseIsRenewed(self) -> None:
        """What came of its first check was nothing: it had no place, or could not be tried."""
        dialled = self.seed.factory.dial
        self.seed.factory.dial = lambda address, purpose, urgent=False: fail(  # type: ignore[method-assign]
            DialFailed(reasons.LOCAL, "Too many open files")
        )
        script = self.register(contact(1))
        self.seed.factory.dial = dialled  # type: ignore[method-assign]
        script.send(Register(contact(1), 0))
        self.network.run(1)
        (peer,) = self.seed.peers()["peers"]
        self.assertIs(peer["reachable"], True)


class UnreachableTests(SeedTestCase):
    """Peers that cannot be dialled, behind a firewall for instance."""

    settings = {"leaseInterval": 10.0, "connectTimeout": 1.0, "probeTimeout": 1.0}

    def setUp(self) -> None:
        """One peer behind a firewall registers."""
        super().setUp()
        self.network.host("10.1.0.2").firewall = True
        self.hidden = self.register(contact(1))

    def test_aSeedThatCannotDialBackSaysSo(self) -> None:
        """The peer stays, is told once, and is not handed out."""
        self.network.run(3)
        self.assertEqual([told.address for told in self.hidden.take(Unreachable)], [contact(1).address])
        self.assertEqual(self.active(), {contact(1).address})
        (answer,) = self.register(contact(2), want=10).take(Registered)
        self.assertEqual((answer.total, answer.contacts), (2, []))
        for _ in range(5):
            self.hidden.send(Register(contact(1), 0))
            self.network.run(9)
        self.assertEqual(self.hidden.take(Unreachable), [])

    def test_reportedDeadItIsAskedOverItsOwnConnection(self) -> None:
        """Whoever answers there lives, is still not handed out, and the reporter was wrong."""
        self.network.run(3)
        reporter = self.register(contact(2))
        for _ in range(3):
            reporter.send(Dead(contact(1), "silent"))
            self.network.run(3)
        self.assertIn(contact(1).address, self.active())
        self.assertEqual(self.seed.status()["gauges"]["mutedReporters"], 1)
        (answer,) = self.register(contact(3), want=10).take(Registered)
        self.assertEqual(answer.contacts, [contact(2)])

    def test_reportedDeadWhileItIsDialledForTheFirstTimeItIsAskedToo(self) -> None:
        """The check of a new address that became doubted does not remove a live peer behind a firewall."""
        reporter = self.register(contact(2))
        reporter.send(Dead(contact(1), "silent"))
        self.network.run(5)
        self.assertIn(contact(1).address, self.active())
        self.assertEqual(self.hidden.take(Removed), [])

    def test_whoDoesNotAnswerThereEitherIsRemoved(self) -> None:
        """Silence, or an answer of another number, is death."""
        self.network.run(3)
        reporter = self.register(contact(2))
        self.hidden.answer = lambda script, message: script.send(Pong(10**6)) if type(message) is Ping else None
        reporter.send(Dead(contact(1), "silent"))
        self.network.run(5)
        self.assertNotIn(contact(1).address, self.active())

    def test_whoConnectsAnewWhileItIsAskedLives(self) -> None:
        """Its old connection ends unanswered, but there it is."""
        self.network.run(3)
        self.hidden.answer = lambda script, message: None
        reporter = self.register(contact(2))
        reporter.send(Dead(contact(1), "silent"))
        self.network.run(0.1)
        again = self.register(contact(1), listening=False)
        self.network.run(5)
        self.assertIn(contact(1).address, self.active())
        self.assertEqual(again.take(Removed), [])

    def test_whenTheFirewallOpensItIsHandedOut(self) -> None:
        """It is tried again once a lease."""
        self.network.run(3)
        self.network.host("10.1.0.2").firewall = False
        self.hidden.send(Register(contact(1), 0))
        self.network.run(3)
        (answer,) = self.register(contact(2), want=10).take(Registered)
        self.assertEqual(answer.contacts, [contact(1)])

    def test_twoPeersAtOneAddress(self) -> None:
        """One of them is there: the other is found out, whichever registered first."""
        both = "10.1.0.8:6000"
        first = self.register(contact(7, 1, both))
        second = self.register(contact(8, 1, both), listening=False)
        self.network.run(5)
        (answer,) = self.register(contact(2), want=10).take(Registered)
        self.assertEqual(answer.contacts, [contact(7, 1, both)])
        self.assertEqual(len(second.take(Unreachable)), 1)
        self.assertEqual(first.take(Removed), [])


    def test_whoeverTakesTheAddressOfASilentPeerShowsThatItIsGone(self) -> None:
        """Its connection stands, but another one answers where it was: it goes before its lease does."""
        both = "10.1.0.8:6000"
        self.register(contact(7, 1, both))
        self.network.run(3)
        self.network.host("10.1.0.8").ports.clear()
        self.register(contact(8, 1, both))
        self.network.run(3)
        self.assertEqual({entry.id for entry in self.seed.registry}, {contact(1).id, contact(8).id})


class BoundsTests(SeedTestCase):
    """Every number that comes from outside is bounded."""

    settings = {"maxPeers": 3, "registrationRate": 2.0}

    def test_aFullListRefusesPolitely(self) -> None:
        """With a reason; those on it are not touched."""
        for number in range(1, 4):
            self.register(contact(number))
        self.assertEqual(self.register(contact(4)).take(Close)[0].reason, reasons.FULL)
        self.assertEqual(len(self.active()), 3)

    def test_whatACallerSendsIsSmall(self) -> None:
        """It never needs more than a stranger may send, registered or not."""
        script = self.register(contact(1))
        script.send(Close(reasons.DONE, "", [contact(number) for number in range(200)]))
        self.network.run(0.1)
        self.assertEqual(script.take(Close)[0].reason, reasons.TOO_LARGE)

    def test_onlyWhoIsRegisteredIsAnswered(self) -> None:
        """A caller that has but introduced itself makes the seed write nothing."""
        script = dial(self.network, SEED, contact(1), "register")
        script.send(*[Ping(number) for number in range(100)])
        self.network.run(0.1)
        self.assertEqual(script.take(Pong), [])
        script.send(Register(contact(1), 0), Ping(7))
        self.network.run(0.1)
        self.assertEqual(script.take(Pong), [Pong(7)])

    def test_whoDoesNotReadForTooLongIsCutOff(self) -> None:
        """However little waits for it; others are not touched."""
        slow, other = self.register(contact(1)), self.register(contact(2))
        link = self.seed.factory._registered[contact(1).id]
        link.pauseProducing()
        self.network.run(8)
        self.assertFalse(slow.ended)
        self.network.run(4)
        self.assertTrue(slow.ended)
        self.assertEqual((link.reason, other.ended), (reasons.SLOW, False))

    def test_registrationsPerSecondAreBounded(self) -> None:
        """Of one IP address; others are not disturbed."""
        script = self.register(contact(1))
        for _ in range(20):
            script.send(Register(contact(1), 0))
        self.network.run(0.1)
        self.assertEqual(script.take(Close)[0].reason, reasons.RATE)
        self.assertLessEqual(len(script.take(Registered)), 10)
        self.assertEqual(len(self.register(contact(2)).take(Registered)), 1)

    def test_aListCountsByItsLength(self) -> None:
        """Not by what is asked for: where few are active it costs little."""
        for names, most in ((0, 10), (900, 1)):
            self.setUp()
            script = self.register(contact(1))
            self.network.run(10)
            for number in range(100, 100 + names):
                self.seed.registry.add(Entry(contact(number), 10.0, 10.0, True))
            script.take(Registered)
            script.send(*[Register(contact(1), 1000)] * 20)
            self.network.run(0.1)
            self.assertEqual(len(script.take(Registered)), most)
            self.assertEqual(script.take(Close)[0].reason, reasons.RATE)

    def test_thoseOfOneNetworkOfTheSixthVersionAreCountedTogether(self) -> None:
        """Whoever has one such address has 2^64 of them."""
        refused = 0
        for number in range(1, 21):
            script = self.register(contact(1, 1, f"[2001:db8::{number}]:6000"), listening=False)
            refused += any(close.reason == reasons.RATE for close in script.take(Close))
        self.assertGreaterEqual(refused, 9)


class StoreTests(SynchronousTestCase):
    """The list survives a restart."""

    def setUp(self) -> None:
        """A disk."""
        self.network = Network()
        self.store = FakeSeedStore()

    def test_theListSurvivesARestart(self) -> None:
        """Who lives stays, by a check; who died meanwhile goes; the seed's id is the same and its life a later one."""
        seed = self.network.seed(store=self.store)
        first, second = self.network.peer(1), self.network.peer(2)
        self.network.run(5)
        self.assertEqual(len(self.store.entries), 2)
        before = seed.identity
        self.network.host("10.0.0.1").kill()
        self.network.host("10.1.0.2").kill()
        seed = self.network.seed(store=self.store)
        self.assertEqual(len(seed.registry), 2)
        self.assertEqual(seed.identity[:8], before[:8])
        self.assertGreater(seed.identity, before)
        self.network.run(10)
        self.assertEqual(listed(seed), {str(first.address)})
        self.assertNotEqual(first.address, second.address)

    def test_afterALongTimeDownEvenShortLeasesExpireNobody(self) -> None:
        """Peers dial it again after eight seconds at most, and a lease of these is over in two."""
        seed = self.network.seed(store=self.store, leaseInterval=0.5)
        peers = [self.network.peer(number) for number in range(1, 6)]
        self.network.run(5)
        self.network.host("10.0.0.1").kill()
        self.network.run(30)
        seed = self.network.seed(store=self.store, leaseInterval=0.5)
        self.network.run(20)
        self.assertEqual(seed.factory.counters["removals"], 0)
        self.assertEqual(listed(seed), {str(peer.address) for peer in peers})

    def test_aDiskThatFailsStopsNothingAndIsTriedAgain(self) -> None:
        """What could not be kept is kept once it can be."""
        seed = self.network.seed(store=self.store)
        self.store.broken = True
        self.network.peer(1)
        self.network.run(5)
        self.assertEqual((len(seed.registry), self.store.entries), (1, {}))
        self.store.broken = False
        self.network.run(2)
        self.assertEqual(len(self.store.entries), 1)

    def test_whateverKeepsItFromBeingKeptItIsTriedAgain(self) -> None:
        """A fault of a program costs nothing on the list either."""
        seed = self.network.seed(store=self.store)
        self.store.trouble, self.store.broken = ValueError, True
        self.network.peer(1)
        self.network.run(5)
        self.assertTrue(self.flushLoggedErrors(ValueError))
        self.store.broken = False
        self.network.run(2)
        self.assertEqual((len(seed.registry), len(self.store.entries)), (1, 1))

    def test_stoppingKeepsTheListAndClosesTheStore(self) -> None:
        """Peers are told, nothing is left: no timer, no connection, no open store; and peers stay on the disk."""
        seed = self.network.seed(store=self.store)
        self.network.peer(1)
        self.network.run(5)
        stopped = seed.stopService()
        self.network.run(3)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertTrue(self.store.closed)
        self.assertEqual(len(self.store.entries), 1)
        self.assertEqual(self.network.host("10.0.0.1").timers, [])
        self.assertEqual(self.network.host("10.0.0.1").ends, {})

    def test_stoppingWaitsForThePort(self) -> None:
        """Who starts again when it has stopped finds the port free, and the list as it was."""
        seed = self.network.seed(store=self.store)
        self.network.peer(1)
        self.network.run(5)
        port: Any = seed.factory.listening
        closed: Deferred[None] = Deferred()
        self.patch(port, "stopListening", lambda: closed)
        stopped = seed.stopService()
        self.network.run(3)
        self.assertNoResult(stopped)
        self.assertFalse(self.store.closed)
        self.network.host("10.0.0.1").ports.clear()
        closed.callback(None)
        self.assertIsNone(self.successResultOf(stopped))
        seed.startService()
        self.assertEqual(len(seed.registry), 1)
        self.network.run(10)
        self.assertEqual(len(listed(seed)), 1)

    def stopsWithoutATrace(self, seed: SeedService) -> None:
        """It ends, and no timer outlives it."""
        stopped = seed.stopService()
        self.network.run(2.5)
        self.successResultOf(stopped)
        self.assertEqual(self.network.host("10.0.0.1").timers, [])

    def test_stoppingAmidTriesLeavesNothing(self) -> None:
        """A check that rests before its next try leaves no timer."""
        seed = self.network.seed(leaseInterval=100.0)
        self.network.peer(1)
        self.network.run(5)
        seed.factory.dial = lambda address, purpose, urgent=False: fail(  # type: ignore[method-assign]
            DialFailed(reasons.LOCAL, "Too many open files")
        )
        self.network.host("10.1.0.1").kill()
        self.network.run(0.5)
        self.assertEqual(len(seed.factory.checks), 1)
        self.stopsWithoutATrace(seed)

    def test_stoppingWhileALaterLifeIsAwaitedLeavesNothing(self) -> None:
        """It has answered and not registered."""
        seed = self.network.seed(leaseInterval=100.0)
        impostor(self.network, contact(1, 5))
        dial(self.network, SEED, contact(1, 5), "register").send(Register(contact(1, 5), 0))
        self.network.run(1)
        self.network.host("10.1.0.2").kill()
        impostor(self.network, contact(1, 6))
        self.network.run(1)
        self.assertEqual(len(seed.factory._laterLives), 1)
        self.stopsWithoutATrace(seed)

    def test_stoppingAmidChecksLeavesNothing(self) -> None:
        """Peers being dialled, asked, waited for: no timer outlives the seed."""
        seed = self.network.seed(probeTimeout=2.0)
        for number in range(1, 4):
            self.network.host(f"10.1.0.{number}").firewall = True
            self.network.peer(number)
        self.network.run(0.5)
        self.assertTrue(seed.factory.checks.running)
        self.stopsWithoutATrace(seed)

    def test_aPortThatIsTakenFailsTheStartAndNothingIsLeftOpen(self) -> None:
        """And what could not start can be stopped."""
        self.network.seed()
        again: SeedService = self.network.seed(store=self.store, start=False)
        self.assertRaises(CannotListenError, again.startService)
        self.successResultOf(again.stopService())
        self.assertTrue(self.store.closed)
