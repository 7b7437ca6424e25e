"""
Tests for L{p2p.peer.service}: peers and seeds on a network in memory.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.address import Address
from p2p.identity import identityText
from p2p.interfaces import (
    IBroadcastOutlet,
    IDetectorOutlet,
    INeighbour,
    INode,
    IOverlayOutlet,
    IPeerStore,
)
from p2p.peer.broadcast import Flood
from p2p.peer.confirm import Confirmed
from p2p.peer.delivery import Delivery
from p2p.peer.errors import Busy, NotConfirmed, NotRunning, PayloadTooLarge
from p2p.peer.memory import PeerMemory
from p2p.peer.overlay import RandomLinks
from p2p.peer.service import MAX_INCARNATION, NAMED, PeerProtocol, PeerService
from p2p.peer.strategies import KINDS
from p2p.settings import PeerSettings, SettingError
from p2p.test.fakes import (
    LATENCY,
    FakePeerStore,
    Network,
    Script,
    contact,
    dial,
    identity,
    impostor,
    linked,
    listed,
)
from p2p.wire import reasons
from p2p.wire.link import NOBODY
from p2p.wire.messages import (
    FRAME,
    MAX_HOPS,
    Alive,
    Close,
    Contact,
    Custom,
    Dead,
    Gone,
    Graft,
    Have,
    Lack,
    Message,
    Ping,
    Pong,
    Register,
    Sync,
    Synced,
    Wanted,
    Welcome,
)


def me(peer: PeerService) -> Contact:
    """A peer as others know it."""
    return Contact(peer.identity, str(peer.address))


class PeerTestCase(SynchronousTestCase):
    """A network; tests start what they need."""

    def setUp(self) -> None:
        """An empty one."""
        self.network = Network()

    def got(self, peer: PeerService) -> list[Delivery]:
        """What a peer delivers from now on."""
        deliveries: list[Delivery] = []
        peer.subscribe(deliveries.append)
        return deliveries

    def told(self, peer: PeerService) -> list[Any]:
        """Its events from now on, each of a type that it says there is."""
        events: list[Any] = []
        peer.events.subscribe(events.append)
        self.addCleanup(lambda: self.assertEqual({event["type"] for event in events} - peer.events.types, set()))
        return events

    def know(self, peer: PeerService, *others: Contact) -> None:
        """Somebody names contacts to it."""
        peer._learned(others, self.network.clock.seconds())

    def friend(self, peer: PeerService, who: Contact) -> Script:
        """A neighbour by hand, that dialled it and has nothing."""
        script = dial(self.network, str(peer.address), who)
        script.answer = lambda script, message: script.send(Pong(message.number)) if type(message) is Ping else None
        script.send(Have([], True))
        self.network.run(0.01)
        return script


class JoiningTests(PeerTestCase):
    """Listen, register, get the list, link up."""

    def test_interfaces(self) -> None:
        """They are what they claim to be."""
        self.network.seed()
        peer = self.network.peer(1)
        self.network.peer(2)
        self.network.run(5)
        for interface in (INode, IOverlayOutlet, IBroadcastOutlet, IDetectorOutlet):
            verifyObject(interface, peer)
        for link in peer.neighbours:
            verifyObject(INeighbour, link)
        verifyObject(IPeerStore, FakePeerStore())

    def test_whatAThousandPeersWouldKeepIsSmall(self) -> None:
        """Many in one process keep each contact once, and links have no dictionary of their own."""
        self.network.seed()
        peers = [self.network.peer(number) for number in range(1, 6)]
        self.network.run(5)
        contacts: dict[str, set[int]] = {}
        for peer in peers:
            for _, known in peer.overlay._known.items():
                contacts.setdefault(known.contact.address, set()).add(id(known.contact))
            for link in peer.neighbours:
                contacts.setdefault(link.contact.address, set()).add(id(link.contact))
                self.assertEqual(link.__dict__, {})
        self.assertEqual(len(contacts), 5)
        self.assertEqual({len(objects) for objects in contacts.values()}, {1})

    def test_itListensBeforeItRegisters(self) -> None:
        """Who is named to others can be dialled."""
        seed = self.network.seed()
        peer = self.network.peer(1, start=False)
        peer.privilegedStartService()
        self.assertIn(6000, self.network.host("10.1.0.1").ports)
        self.assertEqual(self.network.host("10.1.0.1").dialled, [])
        peer.startService()
        self.network.run(1)
        self.assertEqual(listed(seed), {"10.1.0.1:6000"})

    def test_whoUsesOtherStrategiesIsTurnedAway(self) -> None:
        """Both would be sent what they do not understand; who names none uses the mission's."""
        peer = self.network.peer(1)
        for number, (named, reason) in enumerate((
            ("random flood heartbeat", ""), ("", ""), ("random smoke heartbeat", reasons.STRATEGY),
        ), 2):  # fmt: skip
            script = dial(self.network, str(peer.address), contact(number), strategies=named)
            closes = script.take(Close)
            self.assertEqual([close.reason for close in closes], [reason] if reason else [])
        self.assertEqual(len(peer.neighbours), 2)
        # It stands in the logs of both: each must see which is whose.
        (refused,) = closes
        self.assertEqual(
            refused.detail,
            "as overlay, broadcast and detector the dialler has random smoke heartbeat,"
            " this network random flood heartbeat",
        )

    def test_itsStatusNamesItsStrategies(self) -> None:
        """As does the line with which it begins its log."""
        with capturedLogs() as events:
            status = self.network.peer(1, broadcast="plumtree", detector="swim").status()
        self.assertEqual([status[kind] for kind in KINDS], ["random", "plumtree", "swim"])
        said = [formatEvent(event) for event in events]
        self.assertTrue(any("; overlay random, broadcast plumtree, detector swim" in line for line in said), said)

    def test_aMessageOfAStrategysOwnIsTakenByThatOneOnly(self) -> None:
        """It is handed to the kind that it names; where nobody expects one, the link ends with that reason."""
        peer = self.network.peer(1)
        got: list[object] = []
        peer._custom["overlay"] = lambda message, link, now: got.append(message.body)
        script = dial(self.network, str(peer.address), contact(2))
        script.send(Custom("overlay", ["x", 1]))
        self.network.run(1)
        self.assertEqual((got, script.take(Close)), ([["x", 1]], []))
        script.send(Custom("broadcast", None))
        self.network.run(1)
        self.assertEqual([close.reason for close in script.take(Close)], [reasons.MALFORMED])

    def test_whatAStrategyAsksForWhileItIsMadeIsRefused(self) -> None:
        """There is no identity yet, and no time passes for a peer that may never be started."""
        for ask, why in (
            (lambda outlet: outlet.later(1.0, str), "a timer, asked for before this peer is started"),
            (lambda outlet: outlet.identity, "this peer was not started"),
        ):
            self.patch(Flood, "__init__", lambda flood, outlet, settings, random, ask=ask: ask(outlet))
            error = self.assertRaises(SettingError, PeerService, self.network.clock, PeerSettings(), [])
            self.assertEqual(
                str(error), f"broadcast: 'flood' (p2p.peer.broadcast.Flood) cannot be made: NotRunning: {why}"
            )

    def test_noTwoStrategiesTakeTheSameMessage(self) -> None:
        """But for those of their own: one would not hear it.  Nor does one take what the peer itself needs."""
        self.patch(Flood, "messages", (*Flood.messages, Custom, Ping))
        self.patch(RandomLinks, "messages", (Custom,))
        error = self.assertRaises(SettingError, PeerService, self.network.clock, PeerSettings(), [])
        self.assertEqual(str(error), "detector: 'heartbeat' takes Ping, and so does the broadcast")
        self.patch(RandomLinks, "messages", ())
        for own in (Alive, Close, Sync, Synced):
            self.patch(Flood, "messages", (own,))
            error = self.assertRaises(SettingError, PeerService, self.network.clock, PeerSettings(), [])
            self.assertEqual(str(error), f"broadcast: 'flood' takes {own.__name__}, and so does the peer itself")

    def test_aTimedCallIsMadeWhileThePeerRuns(self) -> None:
        """With the time, in one turn; and not once it has stopped."""
        peer = self.network.peer(1)
        called: list[float] = []

        def call(now: float) -> None:
            self.assertEqual(peer.factory.turn.depth, 1)
            called.append(now)

        due = self.network.clock.seconds() + 1.5
        peer.later(1.5, call)
        peer.later(9.0, call)
        self.network.run(5)
        self.assertEqual(called, [due])
        peer.stopService()
        self.network.run(10)
        self.assertEqual(called, [due])

    def test_peersLinkUpWithinBounds(self) -> None:
        """Everyone has a link, nobody more than it may dial or take, and what it says agrees."""
        self.network.seed()
        peers = [self.network.peer(number, maxConnections=2, maxInbound=3) for number in range(1, 13)]
        for _ in range(60):
            self.network.run(1)
            for peer in peers:
                self.assertLessEqual(sum(link.outgoing for link in peer.neighbours), 2)
                self.assertLessEqual(sum(not link.outgoing for link in peer.neighbours), 3)
        for peer in peers:
            self.assertTrue(peer.neighbours)
            told = peer.peers()["neighbours"]
            self.assertEqual({one["address"] for one in told}, {link.contact.address for link in peer.neighbours})
            self.assertEqual({one["direction"] for one in told} - {"in", "out"}, set())
            self.assertEqual(peer.status()["gauges"]["neighbours"], len(told))
        self.assertEqual(set(self.reach(peers)), set(peers))

    def test_itTellsHowManyOthersItKnows(self) -> None:
        """Its neighbours are not among them: p2p peers calls them others."""
        for overlay in ("random", "hyparview"):
            self.setUp()
            self.network.seed()
            peers = [self.network.peer(number, overlay=overlay) for number in range(1, 3)]
            self.network.run(10)
            for peer in peers:
                told = peer.peers()
                self.assertEqual((len(told["neighbours"]), told["known"]), (1, 0), overlay)
                self.assertEqual(peer.status()["gauges"]["known"], 0, overlay)

    def reach(self, peers: list[PeerService]) -> list[PeerService]:
        """Whom the first can reach over links."""
        byId = {peer.identity[:8]: peer for peer in peers}
        found = [peers[0]]
        for peer in found:
            found += [byId[link.contact.id] for link in peer.neighbours if byId[link.contact.id] not in found]
        return found

    def test_aFullPeerRefusesPolitelyAndNamesOthers(self) -> None:
        """The dialler goes on to those."""
        self.network.seed()
        full = self.network.peer(1, maxInbound=0)
        others = [self.network.peer(number) for number in range(2, 5)]
        self.network.run(5)
        (refusal,) = dial(self.network, str(full.address), contact(99)).take(Close)
        self.assertEqual(refusal.reason, reasons.FULL)
        self.assertTrue(0 < len(refusal.others) <= NAMED)
        self.assertLessEqual({one.address for one in refusal.others}, {str(other.address) for other in others})
        lone = self.network.peer(50, seeds=())
        self.know(lone, me(full))
        self.network.run(5)
        self.assertTrue(lone.neighbours)

    def test_itMergesTheListsOfAllSeeds(self) -> None:
        """Peers that know only one seed each meet through one that knows both."""
        self.network.seed(1)
        self.network.seed(2)
        left, right = self.network.peer(1, seeds=(1,)), self.network.peer(2, seeds=(2,))
        both = self.network.peer(3, seeds=(1, 2))
        self.network.run(40)
        self.assertTrue(linked(left, both, right))
        self.assertEqual(both.status()["gauges"]["seeds"], 2)

    def test_itGoesOnWithoutASeedThatDoesNotAnswerAndTakesItUpLater(self) -> None:
        """One of two is down, then comes."""
        self.network.seed(1)
        peers = [self.network.peer(number, seeds=(1, 2)) for number in (1, 2)]
        self.network.run(5)
        self.assertTrue(linked(*peers))
        late = self.network.seed(2)
        self.network.run(10)
        self.assertEqual(len(listed(late)), 2)

    def test_ipv6(self) -> None:
        """An address of that family is advertised in brackets and dialled."""
        seed = self.network.seed()
        peers = [self.network.peer(number, address=f"fd00::{number}") for number in (1, 2)]
        self.network.run(5)
        self.assertTrue(linked(*peers))
        self.assertEqual(listed(seed), {"[fd00::1]:6000", "[fd00::2]:6000"})

    def test_anUnknownStrategyIsOneClearError(self) -> None:
        """Before anything is started."""
        self.assertRaises(SettingError, self.network.peer, 1, overlay="clique")

    def test_aPortThatIsTakenFailsTheStartAndCanBeStopped(self) -> None:
        """And nothing is left."""
        self.network.peer(1)
        again = self.network.peer(1, start=False, store=FakePeerStore())
        self.assertRaises(CannotListenError, again.startService)
        self.successResultOf(again.stopService())


class DialTests(PeerTestCase):
    """Whom a peer finds at an address."""

    def test_bothDialAtOnceOneLinkStays(self) -> None:
        """Whatever the ids, and however the addresses were known."""
        for number in range(2, 12):
            self.network = Network()
            first, second = self.network.peer(1, seeds=()), self.network.peer(number, seeds=())
            self.know(first, me(second))
            self.know(second, me(first))
            self.network.run(0.5)
            self.assertTrue(linked(first, second, first))
            self.assertEqual((len(first.neighbours), len(second.neighbours)), (1, 1))
            self.assertEqual(first.factory.connections, 1)
            self.assertEqual((first.overlay._dialling, second.overlay._dialling), ({}, {}))

    def test_bothDialAtOnceUnderStaleNamesOneLinkStays(self) -> None:
        """Each knows the other only under the id of somebody who was there before."""
        for number in range(2, 12):
            self.network = Network()
            first, second = self.network.peer(1, seeds=()), self.network.peer(number, seeds=())
            self.know(first, Contact(identity(77), str(second.address)))
            self.know(second, Contact(identity(78), str(first.address)))
            self.network.run(0.5)
            self.assertTrue(linked(first, second, first))
            self.assertEqual((len(first.neighbours), len(second.neighbours)), (1, 1))
            self.assertEqual((first.overlay._dialling, second.overlay._dialling), ({}, {}))

    def test_whoeverAnswersAtAnAddressIsTheNeighbour(self) -> None:
        """Under its own name; the other name is forgotten, and no place is taken for ever."""
        peer, found = self.network.peer(1, seeds=()), self.network.peer(2, seeds=())
        self.know(peer, Contact(identity(77), str(found.address)))
        self.network.run(1)
        self.assertTrue(linked(peer, found))
        self.assertEqual(peer.overlay._dialling, {})
        self.assertEqual([one.id for one in peer.overlay.known(10)], [found.identity[:8]])

    def test_twoNamesAtOneAddressTakeNoPlaceForEver(self) -> None:
        """An address that is being dialled is not dialled again, and whoever asked is told."""
        peer = self.network.peer(1, seeds=())
        self.network.host("10.1.0.9").firewall = True
        peer.connect(contact(8, 1, "10.1.0.9:6000"))
        peer.overlay._dialling[contact(9).id] = contact(9, 1, "10.1.0.9:6000")
        peer.connect(contact(9, 1, "10.1.0.9:6000"))
        self.assertEqual(self.network.host("10.1.0.1").dialled, ["10.1.0.9:6000"])
        self.assertEqual(peer.overlay._dialling, {})

    def test_itDoesNotDialItselfTwice(self) -> None:
        """Its own id is passed over wherever it is named, and its own address under another name is found out."""
        peer = self.network.peer(1, seeds=())
        self.know(peer, Contact(identity(77), "10.1.0.1:6000"))
        self.network.run(30)
        friend = self.friend(peer, contact(50))
        friend.send(Close(reasons.LEAVING, "", []))
        peer._learned([me(peer)], 0.0)
        self.network.run(30)
        self.assertEqual(self.network.host("10.1.0.1").dialled.count("10.1.0.1:6000"), 1)
        self.assertEqual(peer.neighbours, [])

    def test_aRestartedPeerReplacesItsPredecessor(self) -> None:
        """The link to the earlier life is ended; the earlier one cannot drive out the later."""
        peer = self.network.peer(1, seeds=())
        old, early = self.friend(peer, contact(2, 1)), self.friend(peer, contact(2, 2))
        self.assertEqual(early.take(Close)[0].reason, reasons.DUPLICATE)
        self.assertEqual(old.take(Close)[0].reason, reasons.STALE)
        new = self.friend(peer, contact(2, 2))
        self.assertEqual([link.contact for link in peer.neighbours], [contact(2, 2)])
        self.assertEqual(self.friend(peer, contact(2, 1)).take(Close)[0].reason, reasons.DUPLICATE)
        self.assertFalse(new.ended)

    def test_whoClaimsToBeALaterLifeEndsNoLink(self) -> None:
        """Where the one that is linked lives; it is asked at most so often, and not for one who dialled it either."""
        peer = self.network.peer(1, seeds=())
        probes = impostor(self.network, contact(2))
        victim = self.friend(peer, contact(2))
        for number in range(20):
            liar = dial(self.network, str(peer.address), contact(2, 2 + number, "10.66.6.6:6"))
            self.assertEqual(liar.take(Close)[0].reason, reasons.DUPLICATE)
        self.network.run(1)
        self.assertEqual(len(probes), 1)
        impostor(self.network, contact(2, 99, "10.66.6.6:6"))
        peer.connect(contact(3, 1, "10.66.6.6:6"))
        self.network.run(5)
        self.assertEqual([link.contact for link in peer.neighbours], [contact(2)])
        self.assertFalse(victim.ended)

    def test_whoDoesNotRunCannotTry(self) -> None:
        """Which says nothing of whom it does not dial."""
        peer = self.network.peer(1, seeds=(), start=False)
        failed: list[Any] = []
        peer.overlay.dialFailed = lambda contact, reason, now: failed.append((contact, reason))
        peer.connect(contact(2))
        self.assertEqual(failed, [(contact(2), reasons.LOCAL)])

    def test_aLinkIsNobodysAtFirst(self) -> None:
        """And may become a neighbour's when the clock begins."""
        peer = self.network.peer(1, seeds=())
        link = PeerProtocol(peer.factory)
        self.assertEqual((link.contact, link.since), (NOBODY, None))
        told: list[Any] = []
        peer.detector.neighbourDown = lambda link, reason, now: told.append((link.contact, reason))
        link.contact, link.reason = contact(2), reasons.DONE
        peer.goodbyeUnanswered(link, 1.0)
        self.assertEqual(told, [])
        link.since = 0.0
        peer.goodbyeUnanswered(link, 1.0)
        self.assertEqual(told, [(contact(2), reasons.TIMEOUT)])

    def test_whoClaimsTheAddressOfAnotherDoesNotStopItsDial(self) -> None:
        """Only the peer itself, by dialling this one, makes that needless."""
        peer = self.network.peer(1, seeds=())
        self.network.host("10.1.0.3").firewall = True
        self.know(peer, contact(2))
        self.network.run(0.1)
        liar = dial(self.network, str(peer.address), contact(0, 1, contact(2).address))
        self.assertEqual(len(liar.take(Welcome)), 1)
        self.assertEqual(list(peer._dials), [contact(2).address])

    def test_aPeerThatSaysItIsUsIsNoNeighbour(self) -> None:
        """A liar answers under the dialler's own name."""
        peer = self.network.peer(1, seeds=())
        scripts = impostor(self.network, Contact(peer.identity, "10.1.0.3:6000"))
        self.know(peer, contact(2))
        self.network.run(1)
        self.assertEqual(scripts[0].take(Close)[0].reason, reasons.SELF)
        self.assertEqual((peer.neighbours, peer.overlay._dialling), ([], {}))

    def test_itDoesNotReportThoseThatRefuseToBeNeighboursAsDead(self) -> None:
        """Another network, a full peer, a wrong role: they answered."""
        events = self.told(peer := self.network.peer(1, seeds=()))
        self.network.seed()
        self.know(peer, Contact(identity(9), "10.0.0.1:5000"))
        self.network.run(20)
        self.assertEqual(events, [])
        self.assertEqual(self.network.host("10.1.0.1").dialled, ["10.0.0.1:5000"])

    def test_addressesNamedByARefusalAreWrittenInTheOneWay(self) -> None:
        """Else a liar has this peer name what all others end the connection for."""
        peer, friend = self.network.peer(1, seeds=()), self.network.peer(2, seeds=())
        self.know(peer, me(friend))
        self.network.run(1)
        lies = [Contact(identity(70), "10.1.0.70:06000"), contact(71), Contact(identity(72), "nowhere")]
        scripts = impostor(self.network, contact(77), welcome=False)
        peer.connect(contact(77))
        self.network.run(0.1)
        scripts[0].send(Close(reasons.FULL, "", lies))
        self.network.run(0.1)
        self.assertLessEqual({entry.contact.address for _, entry in peer.overlay._known.items()},
                             {str(friend.address), contact(71).address, contact(77).address})  # fmt: skip
        self.assertIn(contact(71), [entry.contact for _, entry in peer.overlay._known.items()])

    def test_aHandshakeThatStallsIsGivenUp(self) -> None:
        """Somebody who accepts and says nothing holds no place for ever."""
        peer = self.network.peer(1, seeds=())
        impostor(self.network, contact(2), welcome=False)
        self.know(peer, contact(2))
        self.network.run(5.5)
        self.assertEqual(peer.overlay._dialling, {})
        silent = dial(self.network, str(peer.address), contact(3), "whatever")
        self.assertEqual(silent.take(Close)[0].reason, reasons.ROLE)


class MemoryTests(PeerTestCase):
    """What outlives a peer, and a network whose seeds are down."""

    def test_withAllSeedsDownFromTheStartItDialsWhomItRemembers(self) -> None:
        """Addresses from its last life are enough to find the others."""
        other = self.network.peer(2)
        store = FakePeerStore(PeerMemory(b"12345678", 7, [me(other)]))
        peer = self.network.peer(1, store=store)
        self.network.run(2)
        self.assertTrue(linked(peer, other))
        self.assertEqual(peer.identity[:8], b"12345678")
        self.assertGreater(int.from_bytes(peer.identity[8:], "big"), 7)

    def test_everyStartIsALaterLife(self) -> None:
        """The id stays, the incarnation grows, also where the clock does not."""
        store = FakePeerStore()
        identities = []
        for _ in range(3):
            peer = self.network.peer(1, store=store)
            identities.append(peer.identity)
            self.network.host("10.1.0.1").kill()
        self.assertEqual(len({one[:8] for one in identities}), 1)
        self.assertEqual(identities, sorted(set(identities)))

    def test_anIdWhoseLivesAreUsedUpIsGivenUp(self) -> None:
        """A state file that says so does not stop the start."""
        for last in (MAX_INCARNATION, 2**64 - 1):
            self.network = Network()
            peer = self.network.peer(1, store=FakePeerStore(PeerMemory(b"12345678", last, [])))
            self.assertNotEqual(peer.identity[:8], b"12345678")

    def test_whatItKnowsIsSavedAndNotLostWhileNobodyAnswers(self) -> None:
        """A peer that runs without any network for long still knows somebody when it starts again."""
        self.network.seed()
        store = FakePeerStore()
        peer, other = self.network.peer(1, store=store), self.network.peer(2)
        self.network.run(61)
        assert store.memory is not None
        self.assertEqual([one.id for one in store.memory.known], [other.identity[:8]])
        self.network.host("10.1.0.1").cut = True
        self.network.run(400)
        peer.stopService()
        self.network.run(3)
        self.assertEqual([one.id for one in store.memory.known], [other.identity[:8]])

    def test_aDiskThatFailsStopsNothing(self) -> None:
        """It goes on, and keeps its state once it can."""
        store = FakePeerStore()
        store.broken = True
        self.network.seed()
        peer = self.network.peer(1, store=store)
        self.network.run(5)
        self.assertEqual(peer.status()["gauges"]["seeds"], 1)
        store.broken = False
        self.network.run(61)
        self.assertIsNotNone(store.memory)

    def test_aNetworkWhoseSeedsAreDownGoesOn(self) -> None:
        """It gossips, keeps its links, and replaces a lost one among the addresses it knows."""
        self.network.seed()
        peers = [self.network.peer(number, maxConnections=2) for number in range(1, 7)]
        self.network.run(40)
        self.network.host("10.0.0.1").kill()
        self.network.run(5)
        self.network.host("10.1.0.3").kill()
        alive = [peer for peer in peers if str(peer.address) != "10.1.0.3:6000"]
        self.network.run(5)
        for peer in alive:
            self.assertTrue(any(link.outgoing for link in peer.neighbours))
        deliveries = [self.got(peer) for peer in alive]
        alive[0].publish("still here")
        self.network.run(0.1)
        self.assertEqual([len(got) for got in deliveries], [1] * 5)

    def test_aSeedThatComesBackHasTheListAgain(self) -> None:
        """Within its peers' longest pause."""
        self.network.seed()
        for number in range(1, 4):
            self.network.peer(number)
        self.network.run(5)
        self.network.host("10.0.0.1").kill()
        self.network.run(60)
        seed = self.network.seed()
        self.network.run(9)
        self.assertEqual(len(listed(seed)), 3)


class OverlayTests(PeerTestCase):
    """Links come and go."""

    def test_aLostLinkIsReplacedWithinSecondsWithoutAskingTheSeed(self) -> None:
        """The seed is asked again only much later."""
        self.network.seed(leaseInterval=1000.0)
        peers = [self.network.peer(number, seedInterval=1000.0, maxConnections=2) for number in range(1, 13)]
        for peer in peers:
            self.know(peer, *map(me, peers))
        self.network.run(10)
        peer = next(peer for peer in peers if any(link.outgoing for link in peer.neighbours))
        gone = next(link for link in peer.neighbours if link.outgoing)
        count = sum(link.outgoing for link in peer.neighbours)
        self.network.host(gone.contact.address.partition(":")[0]).kill()
        self.network.run(2)
        now = [link for link in peer.neighbours if link.outgoing]
        self.assertGreaterEqual(len(now), count)
        self.assertNotIn(gone, now)

    def test_newcomersAreFoundByOldPeers(self) -> None:
        """They ask the seeds again now and then, so it need not dial them."""
        self.network.seed()
        old = [self.network.peer(number, seedInterval=5.0) for number in (1, 2, 3)]
        self.network.run(10)
        new = contact(9)
        impostor(self.network, new)
        dial(self.network, "10.0.0.1:5000", new, "register").send(Register(new, 0))
        self.network.run(11)
        for peer in old:
            self.assertIn(new, peer.overlay.known(100))

    def test_twoHalvesThatMetDifferentSeedsGrowTogether(self) -> None:
        """Once their seeds are common, a few lists later they are one network."""
        self.network.seed(1)
        self.network.seed(2)
        left = [self.network.peer(number, seeds=(1, 2), seedInterval=5.0) for number in (1, 2, 3)]
        right = [self.network.peer(number, seeds=(1, 2), seedInterval=5.0) for number in (11, 12, 13)]
        for peer in right:
            self.network.host(str(peer.address).partition(":")[0]).cut = True
        self.network.run(90)
        for peer in right:
            self.network.host(str(peer.address).partition(":")[0]).cut = False
        self.network.run(60)
        deliveries = [self.got(peer) for peer in left + right]
        left[0].publish("together")
        self.network.run(0.5)
        self.assertEqual([len(got) for got in deliveries], [1] * 6)


class GossipTests(PeerTestCase):
    """Messages."""

    def pair(self, **settings: Any) -> tuple[PeerService, PeerService]:
        """Two peers, linked."""
        first, second = self.network.peer(1, seeds=(), **settings), self.network.peer(2, seeds=(), **settings)
        self.know(first, me(second))
        self.network.run(1)
        self.assertTrue(linked(first, second))
        return first, second

    def untilBusy(self, peer: PeerService) -> int:
        """Publish 500 bytes again and again until that is refused; how many were taken."""
        for taken in range(10):
            try:
                peer.publish(b"x" * 500)
            except Busy:
                return taken
        raise self.failureException("never too busy")

    def test_itMakesAMessageEachIntervalSoManyOfThem(self) -> None:
        """--gossip-count of them, --gossip-interval apart, and none with 0."""
        first, second = self.pair(gossipInterval=5.0, gossipCount=3)
        got = [one for one in self.got(second) if one.sender]
        self.network.run(100)
        got = self.recentFrom(second, first)
        self.assertEqual([one.sequence for one in got], [1, 2, 3])
        self.assertEqual([round(later.time - earlier.time, 3) for earlier, later in pairwise(got)],
                         [5.0, 5.0])  # fmt: skip

    def recentFrom(self, peer: PeerService, origin: PeerService) -> list[Delivery]:
        """What a peer keeps of another's messages."""
        return [one for one in peer.recent() if one.message.origin == origin.identity]

    def test_everyMessageReachesEverybodyOnce(self) -> None:
        """Over many paths, delivered once, the publisher included; text and bytes alike."""
        self.network.seed()
        peers = [self.network.peer(number) for number in range(1, 9)]
        self.network.run(10)
        deliveries = [self.got(peer) for peer in peers]
        ids = [peers[0].publish("text"), peers[3].publish(b"\xff\x00")]
        self.network.run(0.1)
        for got in deliveries:
            self.assertEqual(sorted(one.id for one in got), sorted(ids))
        self.assertEqual({one.payload for one in deliveries[5]}, {b"text", b"\xff\x00"})
        self.assertGreater(sum(peer.status()["counters"]["duplicates"] for peer in peers), 0)

    def test_aPayloadThatIsTooLargeIsRefusedWhereItIsPublished(self) -> None:
        """One byte more than the setting; the largest one arrives."""
        first, second = self.pair(maxPayload=1000)
        got = self.got(second)
        self.assertRaises(PayloadTooLarge, first.publish, b"x" * 1001)
        self.assertRaises(PayloadTooLarge, first.publish, "é" * 501)
        first.publish(b"x" * 1000)
        self.network.run(0.1)
        self.assertEqual([len(one.payload) for one in got], [1000])
        self.assertEqual(first.factory.counters["published"], 1)

    def test_publishingMayWaitUntilNeighboursHaveIt(self) -> None:
        """All of them to whom it was sent; with each broadcast, and whether it is sent or asked for."""
        for changed in ({}, {"broadcast": "plumtree"}, {"broadcast": "plumtree", "announceSize": 1},
                        {"broadcast": "plumtree", "batchDelay": 0.05}):  # fmt: skip
            self.setUp()
            first, second = self.pair(**changed)
            got = self.got(second)
            for number in range(1, 4):
                done = first.publishConfirmed(f"number {number}", 5.0)
                self.assertNoResult(done)
                self.network.run(0.2)
                self.assertEqual(self.successResultOf(done), Confirmed(got[-1].id, 1, 1))
                self.assertEqual(len(got), number)
            self.assertFalse(first._confirmations.watching)

    def test_aSubscriberMayWaitForConfirmationToo(self) -> None:
        """Of what it publishes while it is told of what another one publishes: each is confirmed."""
        for changed in ({}, {"broadcast": "plumtree"}, {"broadcast": "plumtree", "batchDelay": 0.05}):
            self.setUp()
            first, second = self.pair(**changed)
            inner: list[Deferred[Confirmed]] = []
            first.subscribe(
                lambda delivery, first=first, inner=inner: inner.append(first.publishConfirmed("inner"))  # type: ignore[misc]
                if delivery.payload == b"outer" else None
            )  # fmt: skip
            outer = first.publishConfirmed("outer")
            self.network.run(0.2)
            ids = [self.successResultOf(done).id for done in (outer, *inner)]
            self.assertEqual(len(set(ids)), 2)
            self.assertFalse(first._confirmations.watching)
            self.assertEqual({one.id for one in second.recent()}, set(ids))

    def test_whatIsSentAnewBecauseANeighbourWentIsWaitedFor(self) -> None:
        """What that one had still to confirm, another one has now."""
        peer = self.network.peer(1)
        one, other = (dial(self.network, str(peer.address), contact(number)) for number in (2, 3))
        done = peer.publishConfirmed("x", 5.0)
        self.network.run(0.1)
        other.send(Synced(other.take(Sync)[0].number))
        third = dial(self.network, str(peer.address), contact(4))
        message = Message(peer.identity, 1, 1, b"x")
        link = peer._neighbours[contact(4).id]
        self.patch(
            type(peer.broadcast), "neighbourDown", lambda flood, gone, reason, now: peer.send([link], message)
        )
        one.send(Close("leaving", "", []))
        self.network.run(0.1)
        self.assertNoResult(done)
        third.send(Synced(third.take(Sync)[0].number))
        self.network.run(0.1)
        self.assertEqual(self.successResultOf(done).neighbours, 2)

    def test_nobodyHasConfirmed(self) -> None:
        """A neighbour that does not answer, one that goes, none at all: it fails when the time is over, with the id."""
        first, _ = self.pair()
        self.network.host("10.1.0.2").frozen = True
        done = first.publishConfirmed("x", 0.5)
        self.network.run(0.6)
        error = self.failureResultOf(done, NotConfirmed).value
        self.assertEqual(str(error), "of 1 neighbours that it was sent to, none has confirmed it within 0.5 s")
        self.assertEqual(error.id, first.recent()[-1].id)
        self.network.host("10.1.0.2").kill()
        done = first.publishConfirmed("x", 2.0)
        self.network.run(1.9)
        self.assertNoResult(done)
        self.network.run(0.2)
        self.failureResultOf(done, NotConfirmed)
        done = first.publishConfirmed("x", 2.0)
        self.network.run(2.1)
        error = self.failureResultOf(done, NotConfirmed).value
        self.assertEqual(str(error), "there was no neighbour that has confirmed it within 2 s")
        done = first.publishConfirmed("x", 2.0)
        first.stopService()
        self.failureResultOf(done, NotConfirmed)
        self.assertRaises(NotRunning, first.publishConfirmed, "x", 1.0)

    def test_aConfirmationIsBelievedFromWhoWasAsked(self) -> None:
        """A number that was not asked for, or that another one was asked for, confirms nothing."""
        peer = self.network.peer(1)
        one, other = (dial(self.network, str(peer.address), contact(number)) for number in (2, 3))
        done = peer.publishConfirmed("x", 5.0)
        self.network.run(0.1)
        (first,), (second,) = one.take(Sync), other.take(Sync)
        self.assertNotEqual(first, second)
        one.send(Synced(second.number), Synced(99), Synced(first.number), Synced(first.number))
        self.network.run(0.1)
        self.assertNoResult(done)
        other.send(Synced(second.number))
        self.network.run(0.1)
        self.assertEqual(self.successResultOf(done).neighbours, 2)

    def test_whoConfirmsCountsThoughOthersDoNot(self) -> None:
        """When the time is over, or the others are gone."""
        for gone in (False, True):
            self.setUp()
            peer = self.network.peer(1)
            one, other = (dial(self.network, str(peer.address), contact(number)) for number in (2, 3))
            done = peer.publishConfirmed("x", 5.0)
            self.network.run(0.1)
            one.send(Synced(one.take(Sync)[0].number))
            self.network.run(0.1)
            self.assertNoResult(done)
            if gone:
                other.send(Close("leaving", "", []))
                self.network.run(0.1)
            else:
                self.network.run(6)
            result = self.successResultOf(done)
            self.assertEqual((result.neighbours, result.sent), (1, 2))

    def test_whatIsLostIsAnEvent(self) -> None:
        """With origin and range, and counted."""
        peer = self.network.peer(1)
        events: list[Any] = []
        peer.events.subscribe(events.append)
        peer.lost(contact(2).identity, 3, 7)
        (event,) = [event for event in events if event["type"] == "lost"]
        expected = {"origin": identityText(contact(2).identity), "first": 3, "last": 7}
        self.assertEqual({name: event[name] for name in expected}, expected)
        self.assertEqual(peer.status()["counters"]["lost"], 5)

    def test_whoAsksForOrderGetsIt(self) -> None:
        """A message waits for those before it; others get it at once."""
        peer = self.network.peer(1, livenessInterval=100.0)
        script = dial(self.network, str(peer.address), contact(2))
        script.send(Have([], True))
        atOnce, ordered = [], []
        peer.subscribe(lambda delivery: atOnce.append(delivery.sequence))
        end = peer.subscribe(lambda delivery: ordered.append(delivery.sequence), ordered=True)
        origin = contact(9).identity
        for number in (2, 1, 4, 3):
            script.send(Message(origin, number, 1, b"x"))
            self.network.run(0.1)
        self.assertEqual((atOnce, ordered), ([2, 1, 4, 3], [1, 2, 3, 4]))
        script.send(Message(origin, 6, 1, b"x"), Lack([], [Gone(origin, [5, 5], 0.0)]))
        self.network.run(5)
        self.assertEqual(ordered[-1], 4)
        self.network.run(10)
        self.assertEqual(ordered[-1], 6)
        end()
        script.send(Message(origin, 7, 1, b"x"))
        self.network.run(0.1)
        self.assertEqual((atOnce[-1], ordered[-1]), (7, 6))

    def test_aSubscriberThatRaisesIsLoggedAndDisturbsNothing(self) -> None:
        """The next subscriber, the other peers and the link go on; it is called again next time."""
        first, second = self.pair()
        calls: list[Any] = []

        def broken(delivery: Delivery) -> None:
            calls.append(delivery)
            raise ValueError("broken")

        second.subscribe(broken)
        got = self.got(second)
        for _ in range(2):
            first.publish("x")
            self.network.run(0.1)
        self.assertEqual((len(calls), len(got)), (2, 2))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.assertTrue(linked(first, second))

    def test_aSubscriberMayPublishSubscribeAndLeave(self) -> None:
        """Within its own call."""
        first, second = self.pair()
        got = self.got(first)

        def answer(delivery: Delivery) -> None:
            if delivery.sender is not None:
                end()
                second.publish(b"answer to " + delivery.payload)

        end = second.subscribe(answer)
        first.publish("one")
        first.publish("two")
        self.network.run(0.1)
        self.assertEqual([one.payload for one in got], [b"one", b"two", b"answer to one"])
        end()

    def test_whatWasPublishedWhileTheNetworkWasSplitArrivesAfterwards(self) -> None:
        """In both directions, each message once."""
        self.network.seed()
        first, second = self.network.peer(1), self.network.peer(2)
        self.network.run(5)
        self.assertTrue(linked(first, second))
        self.network.host("10.1.0.2").cut = True
        self.network.run(20)
        self.assertEqual(first.neighbours, [])
        got = self.got(first), self.got(second)
        first.publish("left")
        second.publish("right")
        self.network.host("10.1.0.2").cut = False
        self.network.run(70)
        self.assertTrue(linked(first, second))
        for deliveries in got:
            self.assertEqual(sorted(one.payload for one in deliveries), [b"left", b"right"])

    def test_newcomersAreNotHandedWhatNewcomersWereHanded(self) -> None:
        """Once it is older than anybody keeps a message: else it would go round for ever, where peers come and go."""
        for broadcast in ("flood", "plumtree"):
            self.network = Network()
            self.network.seed()
            first, _ = (self.network.peer(number, historyTime=30.0, broadcast=broadcast) for number in (1, 2))
            self.network.run(5)
            first.publish("old")
            self.network.run(20)
            third = self.network.peer(3, historyTime=30.0, broadcast=broadcast)
            got = self.got(third)
            self.network.run(15)
            self.assertEqual([one.payload for one in got], [b"old"])
            fourth = self.network.peer(4, historyTime=30.0, broadcast=broadcast)
            got = self.got(fourth)
            self.network.run(5)
            self.assertTrue(linked(third, fourth))
            self.assertEqual(got, [])

    def test_aRestartedPeersFirstMessageIsNew(self) -> None:
        """Though it has the number that its predecessor's had."""
        first, second = self.pair()
        got = self.got(second)
        first.publish("a")
        self.network.run(0.1)
        first.calledDead(first.identity, "test")
        first.publish("b")
        self.network.run(0.1)
        self.assertEqual([(one.payload, one.sequence) for one in got], [(b"a", 1), (b"b", 1)])

    def test_whoDoesNotReadMakesPublishingWaitAndIsCutOff(self) -> None:
        """First publishing is refused as busy; a message of its own making waits and is not skipped."""
        first, second = self.pair(maxBacklog=4000, maxPayload=1000)
        (link,) = first.neighbours
        link.pauseProducing()
        self.untilBusy(first)
        self.assertTrue(linked(first, second))
        first._gossip()
        self.assertEqual(first._gossiped, 0)
        with first.batch():
            for number in range(10):
                first.send(first.neighbours, Message(first.identity, 100 + number, 1, b"x" * 500))
        self.assertEqual(first.neighbours, [])
        self.assertEqual(link.reason, reasons.SLOW)

    def test_whoPingsAndNeverReadsDoesNotSilenceAPeerForEver(self) -> None:
        """Who holds up publishing for C{slowTimeout} is cut off, however little is published meanwhile."""
        first, _ = self.pair(maxBacklog=4000, maxPayload=1000, slowTimeout=3.0, livenessMisses=100)
        (link,) = first.neighbours
        link.pauseProducing()
        self.untilBusy(first)
        self.network.run(2.5)
        self.assertEqual(first.neighbours, [link])
        self.network.run(2.0)
        self.assertEqual(link.reason, reasons.SLOW)
        first.publish("heard again")

    def test_whatWasPromisedToWhoDoesNotReadMakesPublishingWait(self) -> None:
        """So all that is taken can be sent, though it be asked for at once; and who holds up others so is cut off."""
        for asks in (True, False):
            self.network = Network()
            first, _ = self.pair(
                maxBacklog=4000, maxPayload=1000, slowTimeout=3.0, livenessMisses=100, broadcast="plumtree",
                announceSize=100,
            )  # fmt: skip
            (link,) = first.neighbours
            link.pauseProducing()
            taken = self.untilBusy(first)
            self.assertIn(taken, (3, 4))
            if asks:
                graft = Graft([Wanted(first.identity, [1, taken])], False)
                first.broadcast.received(graft, link, first.factory.seconds())
                self.assertEqual(link.reason, "")
                self.assertGreater(link.backlog, 500 * taken)
            else:
                self.network.run(5.0)
                self.assertEqual(link.reason, reasons.SLOW)
                self.assertEqual(first.status()["counters"]["slowReaders"], 1)

    def test_aBroadcastThatCannotSayWhatItPromisedHasPromisedNothing(self) -> None:
        """What waits itself still counts; and that a link ends is told to everyone, as ever."""

        def broken(broadcast: object, neighbour: object) -> int:
            raise RuntimeError("broken")

        first, _ = self.pair(maxBacklog=4000, maxPayload=1000, slowTimeout=3.0, livenessMisses=100)
        (link,) = first.neighbours
        self.patch(type(first.broadcast), "promised", broken)
        told: list[object] = []
        first.overlay.neighbourDown = lambda *what: told.append(what)
        link.pauseProducing()
        taken = self.untilBusy(first)
        self.assertEqual(taken, 4)
        self.network.run(5.0)
        self.assertEqual((link.reason, len(told)), (reasons.SLOW, 1))
        self.assertGreater(len(self.flushLoggedErrors(RuntimeError)), 3)

    def test_oneMessageIsNeverTooMuchForWhoIsPaused(self) -> None:
        """The largest of another's, with the smallest C{maxBacklog} that is taken."""
        first, _ = self.pair(maxBacklog=4096, maxPayload=4096 - FRAME, livenessMisses=100)
        (link,) = first.neighbours
        link.pauseProducing()
        first.send([link], Message(identity(9), 2**63 - 1, MAX_HOPS, bytes(first.settings.maxPayload), 2**31))
        self.assertEqual((link.reason, first.neighbours), ("", [link]))

    def test_whatWaitsInATurnCountsToo(self) -> None:
        """Much that is published in one turn is refused before a neighbour would be cut off for it."""
        for broadcast in ("flood", "plumtree"):
            self.network = Network()
            first, second = self.pair(
                maxBacklog=4000, maxPayload=1000, livenessMisses=100, broadcast=broadcast, announceSize=100
            )
            got = self.got(second)
            (link,) = first.neighbours
            link.pauseProducing()
            with first.batch():
                taken = self.untilBusy(first)
            self.assertEqual(link.reason, "")
            link.resumeProducing()
            # What no longer waits does not count.
            first.publish(b"more")
            self.network.run(1.0)
            self.assertEqual(len(got), taken + 1)

    def test_burstsThatNoWindowHoldsArrive(self) -> None:
        """What is published in a row is announced only, and is sent all the same when it must be forgotten."""
        for setting in ({}, {"historyBytes": 0}, {"historyMessages": 0}, {"historyTime": 0}):
            self.network = Network()
            first, second = self.pair(
                maxBacklog=100_000, maxPayload=20_000, broadcast="plumtree", announceSize=1000, **setting
            )
            got = self.got(second)
            for _ in range(20):
                first.publish(b"x" * 10_000)
            self.network.run(20.0)
            self.assertEqual(len(got), 20)
            self.assertEqual(second.status()["counters"]["lost"], 0)

    def cutOff(self, peer: PeerService, who: Contact) -> None:
        """A neighbour by hand does not read, until it is cut off."""
        self.friend(peer, who)
        (link,) = [link for link in peer.neighbours if link.contact == who]
        link.pauseProducing()
        self.untilBusy(peer)
        self.network.run(2.5)
        self.assertEqual(link.reason, reasons.SLOW)

    def test_whoWasCutOffIsNotTakenBackAtOnce(self) -> None:
        """It is told why, and a probe of it is answered; after C{slowPause} it is let in again."""
        peer = self.network.peer(
            1, seeds=(), maxBacklog=4000, maxPayload=1000, slowTimeout=1.0, slowPause=20.0, livenessMisses=100
        )
        who = contact(50)
        with capturedLogs() as logs:
            self.cutOff(peer, who)
        self.assertIn("left alone for 20 s", " ".join(str(formatEvent(entry)) for entry in logs))
        again = dial(self.network, str(peer.address), who)
        (close,) = again.take(Close)
        self.assertEqual((close.reason, close.others), (reasons.SLOW, []))
        self.assertEqual(len(dial(self.network, str(peer.address), who, purpose="probe").take(Welcome)), 1)
        self.friend(peer, contact(51))
        self.assertEqual([link.contact.id for link in peer.neighbours], [contact(51).id])
        peer.publish("not held up")
        self.network.run(20)
        self.assertEqual(dial(self.network, str(peer.address), who).kinds()[:1], ["Welcome"])
        counters = peer.status()["counters"]
        self.assertEqual((counters["slowReaders"], counters["slowRefused"]), (1, 1))

    def test_whoWasCutOffIsNotDialledMeanwhile(self) -> None:
        """Though it is the only address known; then it is."""
        peer = self.network.peer(
            1, seeds=(), maxBacklog=4000, maxPayload=1000, slowTimeout=1.0, slowPause=20.0, livenessMisses=100
        )
        who = contact(50)
        met = impostor(self.network, who)
        self.cutOff(peer, who)
        self.know(peer, who)
        probed = len(met)
        self.network.run(15)
        self.assertLessEqual(len(met), probed + 1)
        self.assertEqual(peer.neighbours, [])
        self.network.run(30)
        self.assertEqual([link.contact.id for link in peer.neighbours], [who.id])

    def test_whoWasBusyForAMomentMayComeBack(self) -> None:
        """More came in half a second than may wait: it is cut off, and links itself again; not a second time."""
        peer = self.network.peer(1, seeds=(), maxBacklog=4000, maxPayload=1000, livenessMisses=100)
        who = contact(50)
        for greeting in ("Welcome", "Close"):
            self.friend(peer, who)
            (link,) = peer.neighbours
            link.pauseProducing()
            self.network.run(0.5)
            with peer.batch():
                for number in range(10):
                    peer.send([link], Message(peer.identity, 100 + number, 1, b"x" * 500))
            self.assertEqual(link.reason, reasons.SLOW)
            self.assertEqual(dial(self.network, str(peer.address), who).kinds()[:1], [greeting])
            for link in peer.neighbours:
                link.close(reasons.DONE)
            self.network.run(0.1)

    def test_whoIsCutOffForTheOthersIsNotHeldToBeSlow(self) -> None:
        """When all links together have too much to keep, the one that gets more is cut off; it may come back."""
        peer = self.network.peer(1, seeds=(), maxBacklog=4000, maxPayload=1000, livenessMisses=100)
        who = contact(50)
        self.friend(peer, who)
        (link,) = peer.neighbours
        link.pauseProducing()
        peer.factory.backlog = peer.factory.maxBacklog
        peer.publish(b"x" * 500)
        self.assertEqual(link.reason, reasons.SLOW)
        peer.factory.backlog = 0
        self.assertEqual(dial(self.network, str(peer.address), who).kinds()[:1], ["Welcome"])

    def test_whatWasPromisedToWhoIsCutOffForTheOthersIsNoBlame(self) -> None:
        """Until it has not read for C{slowTimeout}, whoever it is cut off for then."""
        for seconds, blamed in ((0.5, 0), (3.0, 0), (3.4, 1)):
            self.network = Network()
            first, _ = self.pair(
                maxBacklog=4000, maxPayload=1000, slowTimeout=3.0, livenessInterval=100.0, broadcast="plumtree",
                announceSize=100,
            )  # fmt: skip
            (link,) = first.neighbours
            link.pauseProducing()
            self.untilBusy(first)
            self.network.run(seconds)
            first.factory.backlog = first.factory.maxBacklog
            first.send([link], Message(identity(9), 1, 1, b"x"))
            self.assertEqual(link.reason, reasons.SLOW)
            self.assertLess(link.unread, 2000)
            self.assertEqual(first.status()["counters"]["slowReaders"], blamed)

    def test_twoWhoNeverReadAndComeBackAtOnceDoNotSilenceAPeer(self) -> None:
        """Of what is published all the while, under old names or new ones, nine tenths are taken."""
        peer = self.network.peer(
            1, seeds=(), maxBacklog=4000, maxPayload=1000, slowTimeout=10.0, slowPause=30.0, livenessMisses=100
        )
        taken = busy = 0
        for second in range(1200):
            for host in (50, 51):
                # A new name every minute.
                who = contact(1000 * host + second // 60, 1, f"10.1.0.{host}:6000")
                if not any(link.contact.address == who.address for link in peer.neighbours):
                    dial(self.network, str(peer.address), who)
            for link in peer.neighbours:
                link.pauseProducing()
            for _ in range(4):
                try:
                    peer.publish(b"x" * 500)
                    taken += 1
                except Busy:
                    busy += 1
            self.network.run(1.0)
        self.assertGreater(taken / (taken + busy), 0.9)

    def test_whoReadsSlowlyButHoldsUpNobodyIsKept(self) -> None:
        """A full transport alone, of a link that is just being sent the history, is no reason."""
        first, _ = self.pair(maxBacklog=4000, maxPayload=1000, slowTimeout=3.0, livenessMisses=100)
        (link,) = first.neighbours
        link.pauseProducing()
        first.publish(b"x" * 500)
        self.network.run(10.0)
        self.assertEqual(first.neighbours, [link])

    def test_timeInWhichThisPeerSleptIsNotSlownessOfOthers(self) -> None:
        """What they took meanwhile it learns only after the first tick."""
        first, _ = self.pair(maxBacklog=4000, maxPayload=1000, slowTimeout=3.0, livenessMisses=100)
        (link,) = first.neighbours
        link.pauseProducing()
        self.untilBusy(first)
        self.network.host("10.1.0.1").frozen = True
        self.network.run(3.7)
        self.network.host("10.1.0.1").thaw()
        link.resumeProducing()
        self.network.run(5.0)
        self.assertEqual(first.neighbours, [link])

    def test_lyingNeighboursEndOnlyTheirOwnLink(self) -> None:
        """Each of these is misbehaviour, with a reason and one line in the log; everybody else goes on."""
        first, second = self.pair()
        for lie in (
            Alive(identity(99)),
            Have([], True),
            Welcome(contact(50), []),
            Dead(contact(2), "silent"),
        ):
            friend = self.friend(first, contact(50))
            with capturedLogs() as logs:
                friend.send(lie)
                self.network.run(0.01)
            self.assertEqual(friend.take(Close)[0].reason, reasons.MALFORMED, lie)
            (line,) = [formatEvent(entry) for entry in logs if "ended: malformed" in formatEvent(entry)]
            self.assertIn(contact(50).address, line)
        self.assertTrue(linked(first, second))
        self.assertEqual(first.factory.counters["misbehaved"], 4)


class LivenessTests(PeerTestCase):
    """Who is alive."""

    def swarm(self, count: int = 5) -> tuple[Any, list[PeerService]]:
        """A seed and some peers, linked."""
        seed = self.network.seed()
        peers = [self.network.peer(number) for number in range(1, count + 1)]
        self.network.run(10)
        return seed, peers

    def test_roundTripTimesAreKept(self) -> None:
        """Of every neighbour."""
        _, peers = self.swarm(2)
        self.assertEqual([round(link.rtt or 0, 4) for link in peers[0].neighbours], [0.002])

    def test_aKilledPeerIsReportedAndRemovedWithinASecond(self) -> None:
        """Its neighbours' connections are reset, they dial it, are refused, and tell the seed."""
        seed, peers = self.swarm()
        events = [self.told(peer) for peer in peers[1:]]
        self.network.host("10.1.0.1").kill()
        self.network.run(0.9)
        self.assertNotIn("10.1.0.1:6000", listed(seed))
        for happened in events:
            types = [event["type"] for event in happened]
            self.assertIn("dead", types)
            self.assertIn("reportedDead", types)

    def test_theLogTellsOfListsLinksAndDeaths(self) -> None:
        """What an operator looks for, each in a line of its own."""
        with capturedLogs() as logs:
            _, peers = self.swarm(3)
            self.network.host("10.1.0.2").kill()
            self.network.run(1)
            self.network.host("10.1.0.3").frozen = True
            self.network.run(9)
        lines = [str(formatEvent(entry)) for entry in logs if entry.get("log_source") in (peers[0], peers[0]._seeds[0])]
        for wanted in (
            r"^registered with seed 10.0.0.1:5000, \d active$",
            r"^seed 10.0.0.1:5000 lists \d of \d active$",
            r"^linked (to|from) \S+ at 10.1.0.2:6000, \d neighbours$",
            r"^link to \S+ at 10.1.0.2:6000 ended: lost: .*; \d neighbours$",
            r"^\S+ at 10.1.0.2:6000 is dead: refused",
            r"^reported \S+ dead to 10.0.0.1:5000$",
            r"^\S+ at 10.1.0.3:6000 suspected$",
            r"^\S+ at 10.1.0.3:6000 is dead: silent",
        ):
            self.assertTrue([line for line in lines if re.search(wanted, line)], f"{wanted} {lines}")

    def test_aFrozenPeerIsSuspectedThenDeadAndBackByItself(self) -> None:
        """Within (misses + 1) intervals and a probe; nobody else is touched; awake, it says it lives and is back."""
        seed, peers = self.swarm()
        events = self.told(peers[1])
        before = peers[0].identity
        self.network.host("10.1.0.1").frozen = True
        self.network.run(4 + 2 + 2.1)
        about = [event["type"] for event in events if event.get("address") == "10.1.0.1:6000"]
        self.assertEqual([one for one in about if one in ("suspected", "dead")], ["suspected", "dead"])
        self.assertEqual(listed(seed), {f"10.1.0.{number}:6000" for number in range(2, 6)})
        self.assertEqual([event for event in events if event["type"] == "suspected" and
                          event["address"] != "10.1.0.1:6000"], [])  # fmt: skip
        missed = peers[1].publish("while you slept")
        self.network.host("10.1.0.1").thaw()
        self.network.run(10)
        self.assertIn("10.1.0.1:6000", listed(seed))
        self.assertGreater(peers[0].identity, before)
        self.assertTrue(peers[0].neighbours)
        self.assertIn(missed, [one.id for one in peers[0].recent()])

    def test_whoSleptCallsNobodyElseDead(self) -> None:
        """Whatever the others did not say meanwhile."""
        _, peers = self.swarm()
        events = self.told(peers[0])
        self.network.host("10.1.0.1").frozen = True
        self.network.run(60)
        self.network.host("10.1.0.1").thaw()
        self.network.run(20)
        self.assertEqual([event for event in events if event["type"] in ("dead", "suspected")], [])

    def test_aSilentLinkToALivePeerIsNotADeath(self) -> None:
        """The fresh connection is answered: the link is made anew, nobody is reported."""
        seed, peers = self.swarm(2)
        events = self.told(peers[0])
        removed: list[Any] = []
        seed.events.subscribe(removed.append)
        for end in list(self.network.host("10.1.0.1").ends):
            if end.getPeer().host == "10.1.0.2" or end.other.getHost().host == "10.1.0.2":
                end.write = lambda data: None  # type: ignore[method-assign]
                end.other.write = lambda data: None  # type: ignore[method-assign]
        self.network.run(15)
        self.assertNotIn("dead", [event["type"] for event in events])
        self.assertEqual(removed, [])
        self.assertTrue(linked(*peers))

    def test_whoDiesWhenItsLastNeighbourTakesLeaveIsFoundOut(self) -> None:
        """Frozen, or killed: the goodbye is not answered, and a fresh connection tells; whoever answers it lives."""
        for number, fate in enumerate(("frozen", "killed", "alive")):
            first, second = (self.network.peer(10 * number + place, seeds=()) for place in (1, 2))
            self.know(first, me(second))
            self.network.run(1)
            (link,) = first.neighbours
            events = self.told(first)
            link.close(reasons.REWIRED)
            host = self.network.host(str(second.address).partition(":")[0])
            if fate == "frozen":
                host.frozen = True
            elif fate == "killed":
                host.kill()
            self.network.run(4.1)
            dead = [event["address"] for event in events if event["type"] == "dead"]
            self.assertEqual(dead, [] if fate == "alive" else [str(second.address)], fate)

    def test_whoseDeathIsKnownIsNotAskedAgain(self) -> None:
        """Nor one with whom there is another link; a goodbye they do not answer tells nothing new."""
        _, peers = self.swarm(2)
        (link,) = peers[0].neighbours
        self.network.host("10.1.0.2").frozen = True
        link.close(reasons.DEAD)
        probes = peers[0].factory.counters["probes"]
        self.network.run(5)
        self.assertEqual(peers[0].factory.counters["probes"], probes)

    def test_aPeerThatHearsItselfCalledDeadSaysItLives(self) -> None:
        """Under a later incarnation, to seeds and neighbours, which then know it by that."""
        seed, peers = self.swarm(3)
        before = peers[0].identity
        events = self.told(peers[0])
        next(link for link in peers[1].neighbours if link.contact.identity == before).close(reasons.DEAD)
        self.network.run(5)
        self.assertGreater(peers[0].identity, before)
        self.assertIn("refuted", [event["type"] for event in events])
        entry = seed.registry.get(before[:8])
        self.assertEqual(entry.contact.identity, peers[0].identity)
        for peer in peers[1:]:
            for link in peer.neighbours:
                if link.contact.id == before[:8]:
                    self.assertEqual(link.contact.identity, peers[0].identity)

    def test_whomItWasDiallingMeanwhileLearnsOfItToo(self) -> None:
        """Called dead between its Hello and the Welcome, it is known there by its later incarnation all the same."""
        first, second = (self.network.peer(number, seeds=()) for number in (1, 2))
        self.know(first, me(second))
        self.network.run(2.5 * LATENCY)
        before = first.identity
        self.assertEqual(first.neighbours, [])
        first.calledDead(before, "somebody")
        self.network.run(1)
        (link,) = second.neighbours
        self.assertGreater(first.identity, before)
        self.assertEqual(link.contact, me(first))

    def test_neighboursThatSayItIsDeadAgainAndAgainDoNotKeepTheNetworkBusy(self) -> None:
        """One lying reporter must not storm the rest."""
        peer = self.network.peer(1, seeds=())
        witness = self.friend(peer, contact(50))
        for _ in range(50):
            self.friend(peer, contact(60)).send(Close(reasons.DEAD, "", []))
            self.network.run(0.1)
        self.assertLessEqual(len(witness.take(Alive)), 6)

    def test_aPeerBehindAFirewallIsNotKilledByALostConnection(self) -> None:
        """It cannot be dialled, but has linked itself again before the verdict."""
        seed = self.network.seed()
        self.network.host("10.1.0.1").firewall = True
        hidden, other = self.network.peer(1, connectTimeout=1.0), self.network.peer(2, connectTimeout=1.0)
        self.network.run(10)
        self.assertTrue(linked(hidden, other))
        events = self.told(other)
        for link in hidden.neighbours:
            link.transport.abortConnection()
        self.network.run(15)
        self.assertNotIn("dead", [event["type"] for event in events])
        self.assertIn("10.1.0.1:6000", listed(seed))
        self.assertTrue(linked(hidden, other))

    def test_whoHidesFromOthersIsStillToldApart(self) -> None:
        """Dial refused where a peer was said to be: reported once, dropped, asked about for a minute and no more."""
        peer = self.network.peer(1, seeds=())
        events = self.told(peer)
        self.network.host("10.1.0.3")
        peer.listed(Address("10.0.0.1", 5000), [contact(2)], 1, True, 0.0)
        dialled = self.network.host("10.1.0.1").dialled
        self.network.run(70)
        self.assertTrue(10 < len(dialled) < 40, len(dialled))
        count = len(dialled)
        self.network.run(300)
        self.assertEqual([event["type"] for event in events], ["registered", "dead"])
        self.assertEqual(len(dialled), count)

    def test_thatNobodyIsWhereALiarSaysIsNoEvidence(self) -> None:
        """A name at an address that refuses: no probe, no verdict, whatever the overlay and the detector."""
        for overlay in ("random", "hyparview"):
            for detector in ("heartbeat", "swim"):
                self.network = Network()
                self.network.host("10.1.0.3")
                peer = self.network.peer(1, seeds=(), overlay=overlay, detector=detector)
                events = self.told(peer)
                self.know(peer, contact(2))
                self.network.run(10)
                self.assertEqual(events, [])
                self.assertIn(contact(2).address, self.network.host("10.1.0.1").dialled)
                self.assertEqual(peer.factory.counters["probes"], 0)
                # Once a seed has listed it, or a link has shown it, it is.
                peer.listed(Address("10.0.0.1", 5000), [contact(2)], 1, False, self.network.clock.seconds())
                self.network.run(10)
                self.assertEqual([event["type"] for event in events], ["dead"])


class LeavingTests(PeerTestCase):
    """Goodbye."""

    def test_nobodyCallsALeaverDead(self) -> None:
        """Neighbours and seeds are told; nobody suspects, probes or dials it; nothing of it is left."""
        seed = self.network.seed()
        peers = [self.network.peer(number) for number in range(1, 5)]
        self.network.run(10)
        events = [self.told(peer) for peer in peers[1:]]
        dialled = [len(self.network.host(f"10.1.0.{number}").dialled) for number in range(2, 5)]
        stopped = peers[0].stopService()
        self.network.run(0.1)
        self.successResultOf(stopped)
        self.assertNotIn("10.1.0.1:6000", listed(seed))
        self.network.run(30)
        for happened in events:
            self.assertEqual({event["type"] for event in happened} & {"dead", "suspected", "reportedDead"}, set())
        for number, before in zip(range(2, 5), dialled, strict=True):
            self.assertNotIn("10.1.0.1:6000", self.network.host(f"10.1.0.{number}").dialled[before:])
        host = self.network.host("10.1.0.1")
        self.assertEqual((host.timers, host.ends, host.ports), ([], {}, {}))

    def test_goodbyeIsBoundedInTime(self) -> None:
        """Neighbours and seeds that are frozen or gone do not hold it up."""
        self.network.seed()
        peers = [self.network.peer(number, goodbyeTimeout=1.0) for number in range(1, 4)]
        self.network.run(10)
        self.network.host("10.1.0.2").frozen = True
        self.network.host("10.1.0.3").cut = True
        self.network.host("10.0.0.1").frozen = True
        stopped = peers[0].stopService()
        self.network.run(1.1)
        self.successResultOf(stopped)
        self.assertEqual(self.network.host("10.1.0.1").timers, [])

    def test_leavingWhileDiallingAndProbingLeavesNothing(self) -> None:
        """At every moment of its first seconds: no timer, no connection, no error."""
        for hundredths in range(0, 300, 13):
            self.network = Network()
            self.network.seed()
            self.network.host("10.1.0.3").firewall = True
            self.network.peer(3)
            self.network.peer(2)
            peer = self.network.peer(1, gossipCount=5, gossipInterval=0.1, livenessInterval=0.1)
            self.network.run(hundredths / 100)
            if hundredths % 2:
                peer.probe(contact(2))
                self.network.host("10.1.0.2").kill()
                self.network.run(0.003)
            stopped = peer.stopService()
            self.network.run(2.5)
            self.successResultOf(stopped)
            host = self.network.host("10.1.0.1")
            self.assertEqual((host.timers, host.ends), ([], {}), hundredths)


    def test_theLogSaysWhyALinkEnded(self) -> None:
        """With what more there is to say, if there is any, and no gap if there is not."""
        peer = self.network.peer(1, seeds=())
        with capturedLogs() as logs:
            self.friend(peer, contact(50)).send(Close(reasons.LEAVING, "", []))
            self.network.run(0.1)
            self.friend(peer, contact(51)).send(Close(reasons.DONE, "for today", []))
            self.network.run(0.1)
        lines = [str(formatEvent(entry)) for entry in logs]
        told = [line.partition(" ended: ")[2] for line in lines if " ended: " in line]
        self.assertEqual(told, ["leaving; 0 neighbours", "done: for today; 0 neighbours"])

    def test_itHasStoppedWhenItsPortIsFree(self) -> None:
        """Who waits for the end may start another on the same port."""
        peer = self.network.peer(1, seeds=())
        closed: Deferred[None] = Deferred()
        port: Any = peer._port
        port.stopListening = lambda: closed
        stopped = peer.stopService()
        self.network.run(1)
        self.assertNoResult(stopped)
        closed.callback(None)
        self.assertIsNone(self.successResultOf(stopped))

    def test_aStoppedPeerCanBeStartedAgain(self) -> None:
        """As a later life of itself: it knows whom it knew, finds them, is watched and watches, and gossips."""
        peer = self.network.peer(1, seeds=(7,), gossipCount=1, gossipInterval=0.5)
        other = self.network.peer(2, seeds=())
        self.know(peer, me(other))
        for _ in range(3):
            self.network.run(3)
            self.assertTrue(linked(peer, other, peer))
            self.assertEqual([len(known) for known in (peer.overlay._neighbours, peer.detector._watched)], [1, 1])
            before, got = peer.identity, self.got(other)
            peer.publish("x")
            self.network.run(0.1)
            self.assertEqual([(one.payload, one.sequence) for one in got], [(b"x", 2)])
            stopped = peer.stopService()
            self.network.run(3)
            self.successResultOf(stopped)
            self.assertEqual((self.network.host("10.1.0.1").timers, other.neighbours), ([], []))
            peer.startService()
            self.assertGreater(peer.identity, before)
        self.network.run(3)
        self.assertTrue(linked(peer, other))

    def test_aPeerThatProbedWhileItStoppedProbesAgainInItsNextLife(self) -> None:
        """What was under way at the end does not count as under way for ever."""
        peer = self.network.peer(1, seeds=())
        self.network.host("10.1.0.3").firewall = True
        peer.detector.dialFailed(contact(2), reasons.REFUSED, 0.0)
        peer.stopService()
        self.network.run(5)
        peer.startService()
        dialled = len(self.network.host("10.1.0.1").dialled)
        peer.detector.dialFailed(contact(2), reasons.REFUSED, 0.0)
        self.assertEqual(len(self.network.host("10.1.0.1").dialled), dialled + 1)

    def test_whatIsPublishedDoesNotChange(self) -> None:
        """Bytes of any kind are kept as they were; and what is no payload is refused before anything is published."""
        peer = self.network.peer(1, seeds=())
        told = self.told(peer)
        mutable = bytearray(b"hello")
        got = self.got(peer)
        peer.publish(mutable)
        peer.publish(memoryview(mutable)[:4])
        whole = b"whole"
        peer.publish(whole)
        mutable[:] = b"HACKE"
        self.assertEqual([one.payload for one in peer.recent()], [b"hello", b"hell", b"whole"])
        self.assertEqual({type(one.payload) for one in (*peer.recent(), *got)}, {bytes})
        self.assertIs(got[2].payload, whole)
        said = [event["payload"] for event in told if event["type"] == "delivered"]
        self.assertEqual(said, ["hello", "hell", "whole"])
        wrong: Any
        for wrong in (5, None, [1], 1.5):
            self.assertRaises(TypeError, peer.publish, wrong)
        self.assertRaises(PayloadTooLarge, peer.publish, bytearray(2**20 + 1))
        self.assertRaises(PayloadTooLarge, peer.publish, memoryview(bytes(2**20 + 8)).cast("Q"))
        self.assertEqual(len(peer.recent()), 3)

    def test_whoWaitsForNoTimePublishesNothing(self) -> None:
        """A time that is none is refused first, and nothing is left behind; none at all may be waited for."""
        peer = self.network.peer(1, seeds=())
        for wrong in (-1, -0.001, float("nan"), float("inf"), 2**31 + 1):
            error = self.assertRaises(ValueError, peer.publishConfirmed, "x", wrong)
            self.assertEqual(str(error), f"seconds: {wrong!r} is not within 0 to {2**31}")
        self.assertEqual(peer.recent(), [])
        self.assertEqual(peer._confirmations._waits, {})
        done = peer.publishConfirmed("x", 0)
        self.network.run(0.1)
        self.failureResultOf(done, NotConfirmed)

    def test_whatDoesNotRunPublishesNothing(self) -> None:
        """Neither before the start nor after the end: what was taken would be lost in silence."""
        peer = self.network.peer(1, seeds=(), start=False)
        for ask in (lambda: peer.publish("lost"), peer.status, peer.batch, lambda: peer.identity):
            self.assertRaises(NotRunning, ask)
        self.assertEqual((peer.recent(), peer.neighbours), ([], []))
        peer.privilegedStartService()
        self.assertEqual(peer.status()["counters"]["duplicates"], 0)
        self.assertRaises(NotRunning, peer.publish, "lost")
        peer.startService()
        peer.publish("taken")
        port: Any = peer._port
        peer.stopService()
        port.getHost = lambda: self.fail("a port that is closed has no address")
        self.assertRaises(NotRunning, peer.publish, "lost")
        self.assertEqual(peer.status()["address"], "10.1.0.1:6000")
        self.assertEqual([one.payload for one in peer.recent()], [b"taken"])


class RobustnessTests(PeerTestCase):
    """What must not happen."""

    def test_aStrategyThatRaisesKeepsNobodyUninformed(self) -> None:
        """An overlay that always fails: links come and go, messages pass, the others are told, and it can stop."""
        first, second = self.network.peer(1, seeds=()), self.network.peer(2, seeds=())

        def broken(*what: Any) -> None:
            raise RuntimeError("broken")

        for event in ("neighbourUp", "neighbourDown", "listed", "learned", "dialFailed", "dead", "tick"):
            setattr(first.overlay, event, broken)
        self.know(second, me(first))
        self.network.run(2)
        self.assertTrue(linked(first, second))
        got = self.got(second)
        first.publish("x")
        self.network.run(1)
        self.assertEqual(len(got), 1)
        self.network.host("10.1.0.2").kill()
        self.network.run(2)
        self.assertEqual(first.neighbours, [])
        self.assertEqual((len(first.broadcast._neighbours), len(first.detector._watched)), (0, 0))
        stopped = first.stopService()
        self.network.run(3)
        self.successResultOf(stopped)
        self.assertGreater(len(self.flushLoggedErrors(RuntimeError)), 3)

    def test_whatAStrategyGivesThatIsNoneOfItsKindIsToldOfIt(self) -> None:
        """Its name stands in the error, not that of whoever takes it for what it should be."""
        peer = self.network.peer(1, seeds=())
        self.patch(Flood, "publish", lambda *what: None)
        error = self.assertRaises(TypeError, peer.publish, b"x")
        self.assertEqual(str(error), "Flood.publish returned None, which is no Message")
        peer.overlay.known = lambda count, exclude=(): [contact(2), "somebody"]
        with capturedLogs() as events:
            self.assertEqual(peer.known(5), [])
        (failed,) = (event for event in events if "log_failure" in event)
        self.assertEqual(formatEvent(failed), "a strategy failed on RandomLinks.known")
        self.assertEqual(failed["log_failure"].getErrorMessage(), "it names 'somebody', which is no Contact")
        self.flushLoggedErrors(TypeError)

    def test_anOverlayThatCannotSayWhomItKnowsKeepsNoPeerFromLeaving(self) -> None:
        """Its neighbour hears the goodbye, its status can be asked for, and who it is is kept."""
        disk = FakePeerStore()
        first, second = self.network.peer(1, seeds=(), store=disk), self.network.peer(2, seeds=())

        def broken(*what: Any) -> None:
            raise RuntimeError("broken")

        first.overlay.known = broken
        self.know(second, me(first))
        self.network.run(2)
        self.assertTrue(linked(first, second))
        self.assertEqual(first.status()["gauges"]["known"], 0)
        self.assertEqual(first.peers()["known"], 0)
        kept, events = disk.saves, self.told(second)
        stopped = first.stopService()
        self.network.run(3)
        self.successResultOf(stopped)
        self.assertEqual([event["reason"] for event in events if event["type"] == "neighbourDown"], ["leaving"])
        self.assertEqual(first.factory.counters["saveErrors"], 0)
        self.assertGreater(disk.saves, kept)
        self.flushLoggedErrors(RuntimeError)

    def test_nothingGrowsWithChurn(self) -> None:
        """After neighbours have come and gone by the hundred, what is kept per link or dial is gone."""
        peer = self.network.peer(1, seeds=(), maxKnown=16)
        for number in range(2, 200):
            who = contact(number)
            self.friend(peer, who).send(Close(reasons.LEAVING, "", []))
            self.network.run(0.02)
        self.network.run(30)
        self.assertEqual(peer.neighbours, [])
        self.assertEqual((peer._dials, peer.factory._dials, peer.overlay._dialling), ({}, {}, {}))
        self.assertEqual((peer.factory._inbound, peer.factory.connections), ({}, 0))
        self.assertEqual((peer.detector._watched, peer.detector._probing), ({}, {}))
        self.assertEqual((peer.broadcast._neighbours, peer.broadcast._history._hearing), ({}, {}))
        self.assertLessEqual(len(peer.overlay._known), 16)
        self.assertLessEqual(len(peer.overlay._known._dead), 16)

    def test_connectionsAreBounded(self) -> None:
        """In all, and per address: those beyond are told that there is no room."""
        peer = self.network.peer(1, seeds=(), maxPerHost=3)
        scripts = [dial(self.network, str(peer.address), contact(50 + number, 1, "10.1.0.9:6000"), "probe")
                   for number in range(5)]  # fmt: skip
        self.assertEqual([bool(script.take(Welcome)) for script in scripts], [True] * 3 + [False] * 2)
        self.assertEqual(scripts[3].take(Close)[0].reason, reasons.FULL)

    def test_oneHostDoesNotTakeAllPlacesForNeighbours(self) -> None:
        """However many names it has; on one's own machine there may be many peers."""
        for host, places in (("10.9.9.9", 3), ("127.0.0.1", 16), ("[2001:db8::{}]", 3)):
            self.network = Network()
            self.network.peer(1, seeds=(), maxInboundPerHost=3)
            crowd = [
                dial(self.network, "10.1.0.1:6000", contact(number, 1, f"{host.format(number)}:{7000 + number}"))
                for number in range(50, 70)
            ]
            self.assertEqual(sum(bool(script.take(Welcome)) for script in crowd), places)
            self.assertEqual({script.take(Close)[0].reason for script in crowd[places:]}, {reasons.FULL})
            crowd[0].send(Close(reasons.LEAVING, "", []))
            self.network.run(0.1)
            who = contact(99, 1, f"{host.format(99)}:9999")
            self.assertTrue(dial(self.network, "10.1.0.1:6000", who).take(Welcome))
        self.assertTrue(dial(self.network, str(self.network.peer(2, seeds=()).address), contact(3)).take(Welcome))

    def test_aLinkThatAStrategyEndsAtOnceIsNotToldOfToTheRest(self) -> None:
        """Nobody hears of its end before its beginning; nor do those who listen to events."""
        peer = self.network.peer(1, seeds=())
        events = self.told(peer)
        told: list[Any] = []
        self.patch(type(peer.broadcast), "neighbourUp", lambda broadcast, link, now: told.append(link))
        peer.overlay.neighbourUp = lambda link, now: peer.disconnect(link, reasons.FULL)
        script = dial(self.network, str(peer.address), contact(3))
        self.assertEqual(script.take(Close)[0].reason, reasons.FULL)
        self.assertEqual(told, [])
        self.assertEqual([event["type"] for event in events], ["neighbourUp", "neighbourDown"])
        self.assertEqual((peer.neighbours, peer.detector._watched, peer.broadcast._neighbours), ([], {}, {}))

    def test_itIsDiallableWhereItSaysItIs(self) -> None:
        """Advertised is what was told to be, else the address of its side of each connection."""
        seed = self.network.seed()
        peer = PeerService(
            self.network.host("10.1.0.1"), self.network.peer(5).settings, [Address("10.0.0.1", 5000)],
            host="0.0.0.0", port=6000,
        )  # fmt: skip
        peer.startService()
        other = PeerService(
            self.network.host("10.1.0.2"), peer.settings, [Address("10.0.0.1", 5000)],
            host="0.0.0.0", port=6000, advertise=Address("192.0.2.1", 99),
        )  # fmt: skip
        other.startService()
        self.network.run(1)
        self.assertEqual(listed(seed), {"10.1.0.1:6000", "10.1.0.5:6000", "192.0.2.1:99"})
