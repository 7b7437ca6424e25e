"""
Tests for L{p2p.daemon.http}: what a node answers to which request.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EMFILE
from typing import Any

import msgspec
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import fail
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2p.daemon import room, streams
from p2p.daemon.http import BATCH_LINES, PAGE, HttpService, NotLocal, Resources
from p2p.daemon.metrics import metricName
from p2p.daemon.web import Access, Site
from p2p.daemon.where import Where
from p2p.peer.confirm import Confirmed
from p2p.peer.errors import NotConfirmed, NotRunning
from p2p.test.daemonfakes import Answer, Caller, FakeNode, delivery
from p2p.test.fakes import Network
from p2p.wire.messages import Contact

FANCY = ("1_0", "%2B5", "+5", "%205", "5%0A", "1e1", "%EF%BC%91", "%D9%A1", "infinity")
"""What only Python, or somebody in a hurry, takes for a number, as a query has it."""


class HttpCase(SynchronousTestCase):
    """A node behind its interface."""

    role = "peer"

    def setUp(self) -> None:
        """Make them."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.node = FakeNode(self.clock, self.role)
        self.resources = Resources(self.clock, self.node)
        self.site = Site(self.clock, self.resources.answer, self.resources.limit, Access())

    def request(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Ask on a connection of its own."""
        return Caller(self.site).request(method, path, body)


class StatusTests(HttpCase):
    """What the node says of itself."""

    def test_statusAndPeersAreTheNodesOwn(self) -> None:
        """As JSON."""
        self.assertEqual(self.request("GET", "/status").json, self.node.status())
        self.assertEqual(self.request("GET", "/peers").json, self.node.peers())

    def test_headHasNoBody(self) -> None:
        """But the headers of the whole."""
        answer = self.request("HEAD", "/status")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertNotEqual(answer.headers["content-length"], "0")

    def test_anUnknownPathIsNotFound(self) -> None:
        """With the path in the error."""
        answer = self.request("GET", "/nowhere")
        self.assertEqual((answer.status, answer.json), (404, {"error": "there is no /nowhere"}))

    def test_aWrongMethodIsToldTheRightOnes(self) -> None:
        """As RFC 9110 wants it."""
        for method, path, allowed in (
            ("POST", "/status", "GET, HEAD"),
            ("DELETE", "/messages", "GET, HEAD, POST"),
            ("GET", "/messages/batch", "POST"),
        ):
            answer = self.request(method, path)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, allowed))

    def test_metricsAreMadeFromTheStatus(self) -> None:
        """In the format that Prometheus reads, under its kind of names."""
        answer = self.request("GET", "/metrics")
        self.assertTrue(answer.headers["content-type"].startswith("text/plain; version="))
        text = answer.body.decode()
        self.assertIn("\np2p_neighbours_up_total 3.0\n", text)
        self.assertIn("\np2p_neighbours 2.0\n", text)
        self.assertIn("\np2p_uptime_seconds 2.5\n", text)
        self.assertIn('role="peer"', text)

    def test_whereTheyCannotBeLoadedTheyMayBeAskedForAgain(self) -> None:
        """They are when they are first asked for, and there may be no descriptor for that."""

        class NoDescriptor:
            @staticmethod
            def find_spec(*_: object) -> None:
                raise OSError(EMFILE, os.strerror(EMFILE))

        name = "p2p.daemon.metrics"
        self.addCleanup(sys.modules.__setitem__, name, sys.modules.pop(name))
        finders = self.patch(sys, "meta_path", [NoDescriptor])
        answer = self.request("GET", "/metrics")
        finders.restore()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
        self.assertEqual(answer.json, {"error": "what makes metrics cannot be read: Too many open files"})
        self.assertEqual(self.request("GET", "/metrics").status, 200)

    def test_metricNamesAreSnakeCase(self) -> None:
        """With the package's name in front."""
        self.assertEqual(metricName("bytesSentTotal2"), "p2p_bytes_sent_total2")


class SeedTests(HttpCase):
    """A seed has no messages."""

    role = "seed"

    def test_messagesAreNotFound(self) -> None:
        """In either direction."""
        for method, path in (("GET", "/messages"), ("POST", "/messages"), ("POST", "/messages/batch")):
            answer = self.request(method, path, b"x" if method == "POST" else None)
            self.assertEqual((answer.status, answer.json), (404, {"error": f"there is no {path} on a seed"}))


class PublishTests(HttpCase):
    """POST /messages."""

    def test_theBodyIsPublished(self) -> None:
        """As it is; the answer is the message's id."""
        answer = self.request("POST", "/messages", b"\x00\xff any bytes")
        self.assertEqual((answer.status, answer.json), (201, {"id": "id-1"}))
        self.assertEqual(self.node.published, [(b"\x00\xff any bytes", False)])

    def test_anEmptyBodyIsAMessageToo(self) -> None:
        """Of no bytes."""
        self.assertEqual(self.request("POST", "/messages", b"").status, 201)

    def test_oneThatIsTooLargeIsRefusedByItsLength(self) -> None:
        """The largest is the network's largest payload."""
        self.assertEqual(self.request("POST", "/messages", b"x" * 100).status, 201)
        caller = Caller(self.site)
        caller.send(b"POST /messages HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n")
        self.assertEqual(caller.take().status, 413)

    def test_whenTheNodeIsBusyItSaysSo(self) -> None:
        """And when to try again."""
        self.node.busyAfter = 0
        answer = self.request("POST", "/messages", b"x")
        self.assertEqual((answer.status, answer.json), (503, {"error": "a neighbour does not read"}))
        self.assertEqual(answer.headers["retry-after"], "1")


    def waiting(self, wait: str) -> Caller:
        """Publish, and wait."""
        caller = Caller(self.site)
        caller.send(f"POST /messages?wait={wait} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx".encode())
        return caller

    def test_itWaitsForNeighbours(self) -> None:
        """And says how many have it; nothing is answered before."""
        caller = self.waiting("2.5")
        self.assertEqual(caller.transport.value(), b"")
        ((seconds, done),) = self.node.confirming
        self.assertEqual(seconds, 2.5)
        done.callback(Confirmed("id-1", 3, 4))
        answer = caller.take()
        self.assertEqual((answer.status, answer.json), (201, {"id": "id-1", "confirmed": 3, "sent": 4}))

    def test_whileItWaitsNoBodyIsKept(self) -> None:
        """The node has taken it; so it takes no room from those that come."""
        self.patch(room, "SMALL", 0)
        caller = self.waiting("2.5")
        self.assertEqual(0, self.site.bodies.taken)
        self.assertEqual(b"", caller.channel.requests[0].body)

    def test_ifNobodyConfirmsItSaysSo(self) -> None:
        """With the id: the message may be on its way all the same."""
        caller = self.waiting("1")
        self.node.confirming[0][1].errback(NotConfirmed("id-1", "nobody has"))
        answer = caller.take()
        self.assertEqual((answer.status, answer.json), (504, {"error": "nobody has", "id": "id-1"}))

    def test_whoHasGoneIsNotAnswered(self) -> None:
        """The connection was closed while it waited."""
        for result in (Confirmed("id-1", 1, 1), Failure(NotConfirmed("id-1", "nobody has"))):
            caller = self.waiting("1")
            caller.channel.connectionLost(Failure(ConnectionDone()))
            self.node.confirming.pop()[1].callback(result)
            self.assertEqual(caller.transport.value(), b"")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_aTimeThatIsNoneIsRefused(self) -> None:
        """Before anything is published; so is one that only Python takes for a number."""
        for wrong in ("0", "-1", "x", "", "nan", "inf", "3601", *FANCY):
            self.assertEqual(self.waiting(wrong).take().status, 400, wrong)
        self.assertEqual(self.node.published, [])

    def test_whatWouldBeLostIsNotTaken(self) -> None:
        """A node that is going away does not say 201, be it one message or a batch."""
        def publish(payload: bytes | str) -> str:
            raise NotRunning("this peer does not run")

        self.node.publish = publish  # type: ignore[method-assign]
        for path, body in (("/messages", b"x"), ("/messages/batch", b'"x"')):
            answer = self.request("POST", path, body)
            self.assertEqual((answer.status, answer.json["error"]), (503, "this peer does not run"))


class BatchTests(HttpCase):
    """POST /messages/batch."""

    def test_eachLineIsPublished(self) -> None:
        """In one batch of the node's, in their order; empty lines are none."""
        answer = self.request("POST", "/messages/batch", b'"a"\n"\\u00e9\\n"\n\n"c"')
        self.assertEqual((answer.status, answer.json), (201, {"ids": ["id-1", "id-2", "id-3"]}))
        self.assertEqual(self.node.published, [(b"a", True), ("é\n".encode(), True), (b"c", True)])

    def test_aLineThatIsNoStringIsNamed(self) -> None:
        """And nothing is published."""
        for body in (b'"a"\n{"b": 1}\n"c"', b'"a"\n"b\n"c"', b'"a"\nplain\n', b'"a"\n"\xff"\n'):
            answer = self.request("POST", "/messages/batch", body)
            self.assertEqual(answer.status, 400, body)
            self.assertIn("line 2", answer.json["error"])
        self.assertEqual(self.node.published, [])

    def test_onePayloadTooLargeRefusesAll(self) -> None:
        """Before any is published."""
        answer = self.request("POST", "/messages/batch", b'"a"\n"' + b"x" * 101 + b'"\n')
        self.assertEqual(answer.status, 413)
        self.assertIn("message 2", answer.json["error"])
        self.assertEqual(self.node.published, [])

    def test_aBatchOfTooManyLinesIsRefused(self) -> None:
        """Each holds the node up, however short it is; nothing is published."""
        answer = self.request("POST", "/messages/batch", b'""\n' * BATCH_LINES + b'""')
        self.assertEqual(answer.status, 413)
        self.assertEqual(self.node.published, [])
        answer = self.request("POST", "/messages/batch", b'""\n' * BATCH_LINES)
        self.assertEqual((answer.status, len(self.node.published)), (201, BATCH_LINES))

    def test_aLineIsOneMessage(self) -> None:
        """Or so many lines would be no bound; whatever else JSON takes for white space ends none."""
        for between in (b"", b" ", b"\t", b"\r"):
            answer = self.request("POST", "/messages/batch", b'"a"\n"b"' + between + b'"c"\n')
            self.assertEqual(answer.status, 400, between)
            self.assertIn("line 2: ", answer.json["error"])
        self.assertEqual(self.node.published, [])
        self.assertEqual(self.request("POST", "/messages/batch", b' "a"\t\r\n"b"\r\n').json, {"ids": ["id-1", "id-2"]})

    def test_noMoreThanSoManyArePublishedInOneGo(self) -> None:
        """However small they are, what was published is written now and then."""
        sizes: list[int] = []

        @contextmanager
        def batch() -> Iterator[None]:
            before = len(self.node.published)
            yield
            sizes.append(len(self.node.published) - before)

        self.patch(self.node, "batch", batch)
        self.request("POST", "/messages/batch", b'""\n' * 2500)
        self.assertEqual(sizes, [1000, 1000, 500])

    def test_aRealNodeBecomesBusyAmidABatch(self) -> None:
        """What was published is written now and then, so that a neighbour that does not read is noticed."""
        network = Network()
        first = network.peer(1, seeds=(), maxBacklog=2**20, maxPayload=2**19)
        second = network.peer(2, seeds=())
        with first.factory.turn:
            first.connect(Contact(second.identity, str(second.address)))
        network.run(1)
        (neighbour,) = first.neighbours
        neighbour.pauseProducing()
        resources = Resources(network.host("10.1.0.1"), first)
        self.site = Site(self.clock, resources.answer, resources.limit, Access())
        answer = self.request("POST", "/messages/batch", b"\n".join([b'"' + b"x" * 10_000 + b'"'] * 200))
        self.assertEqual(answer.status, 503)
        self.assertEqual(len(answer.json["ids"]), 54)
        self.assertEqual(neighbour.reason, "")

    def test_ifTheNodeBecomesBusyTheAnswerTellsWhatWasPublished(self) -> None:
        """So that the rest can be tried again."""
        self.node.busyAfter = 2
        answer = self.request("POST", "/messages/batch", b'"a"\n"b"\n"c"')
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.json["ids"], ["id-1", "id-2"])

    def test_withoutRoomForTheAnswerNothingIsPublished(self) -> None:
        """Others have not read what they asked for; what was published is told in any case."""
        self.patch(room, "ROOM", 200)
        self.patch(room, "SMALL", 0)
        other = Caller(self.site)
        other.transport.full = True
        other.send(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = self.request("POST", "/messages/batch", b'"a"\n"b"')
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
        self.assertEqual(self.node.published, [])
        self.patch(self.site.answers, "taken", 300)
        self.assertEqual(self.request("POST", "/messages", b"c").json, {"id": "id-1"})

    def test_aTextThatIsNoUnicodeIsRefused(self) -> None:
        """Half a surrogate pair is no character."""
        answer = self.request("POST", "/messages/batch", b'"\\ud800"')
        self.assertEqual(answer.status, 400)


class RecentTests(HttpCase):
    """GET /messages."""

    def setUp(self) -> None:
        """Five messages were seen."""
        super().setUp()
        self.node.seen = [delivery(n, b"x" * n, 1000.0 + n) for n in range(1, 6)]

    def sizes(self, path: str) -> list[int]:
        """Which of them are told of."""
        return [message["size"] for message in self.request("GET", path).json]

    def test_theyAreToldOldestFirst(self) -> None:
        """With id, time, hops and size."""
        answer = self.request("GET", "/messages")
        self.assertEqual(
            answer.json[0], {"id": delivery(1).id, "time": 1001.0, "hops": 2, "size": 1}
        )
        self.assertEqual(self.sizes("/messages"), [1, 2, 3, 4, 5])

    def test_afterAMessageOnlyWhatFollowed(self) -> None:
        """So that a program reads on where it was."""
        self.assertEqual(self.sizes(f"/messages?after={delivery(3).id}"), [4, 5])
        self.assertEqual(self.sizes(f"/messages?after={delivery(5).id}"), [])

    def test_afterOneThatIsForgottenEverything(self) -> None:
        """What followed it may be among them."""
        self.assertEqual(self.sizes(f"/messages?after={delivery(77).id}"), [1, 2, 3, 4, 5])

    def test_noMoreThanWasAskedFor(self) -> None:
        """The oldest of them, to read on after."""
        self.assertEqual(self.sizes(f"/messages?after={delivery(1).id}&limit=2"), [2, 3])

    def test_orTheLatest(self) -> None:
        """The oldest of them first, as ever; all, if there are not so many."""
        self.assertEqual(self.sizes("/messages?last=2"), [4, 5])
        self.assertEqual(self.sizes(f"/messages?after={delivery(2).id}&last=2"), [4, 5])
        self.assertEqual(self.sizes(f"/messages?after={delivery(4).id}&last=2"), [5])
        self.assertEqual(self.sizes("/messages?last=6"), [1, 2, 3, 4, 5])

    def test_notBoth(self) -> None:
        """The oldest of the latest, or the other way round?"""
        self.assertEqual(self.request("GET", "/messages?limit=2&last=2").status, 400)

    def test_oneAnswerHasOnePage(self) -> None:
        """Whoever wants all of them reads on after the last, until there is none."""
        self.node.seen = [delivery(n) for n in range(1, 2 * PAGE + 6)]
        for query in ("", f"?limit={PAGE}"):
            self.assertEqual(len(self.request("GET", f"/messages{query}").json), PAGE)
        latest = self.request("GET", f"/messages?last={PAGE}").json
        self.assertEqual((len(latest), latest[-1]["id"]), (PAGE, self.node.seen[-1].id))
        read = page = self.request("GET", "/messages").json
        while page:
            page = self.request("GET", f"/messages?after={page[-1]['id']}").json
            read = read + page
        self.assertEqual([message["id"] for message in read], [message.id for message in self.node.seen])

    def test_whatIsNoIdOrNumberIsRefused(self) -> None:
        """Not taken for the beginning; nor are more than one answer has."""
        for wrong in ("x", "", *FANCY):
            for query in (f"after={wrong}", f"after=00-1-{wrong}", f"limit={wrong}", f"last={wrong}"):
                self.assertEqual(self.request("GET", f"/messages?{query}").status, 400, query)
        for name in ("limit", "last"):
            for wrong in ("0", "-1", f"{PAGE + 1}"):
                answer = self.request("GET", f"/messages?{name}={wrong}")
                self.assertEqual(answer.status, 400)
                self.assertEqual(answer.json["error"], f"{name}: {wrong!r} is not a whole number from 1 to {PAGE}")

    def test_fiftyThousandAreCheap(self) -> None:
        """Whoever reads on does not make the daemon look at all of them."""
        looked = []

        class Told:
            def __init__(self, number: int) -> None:
                self.number = number

            @property
            def sequence(self) -> int:
                looked.append(self.number)
                return self.number

            @property
            def id(self) -> str:
                return f"00-1-{self.number}"

            time, hops, payload = 1.0, 1, b""

        seen: Any = [Told(number) for number in range(50_000)]
        self.node.seen = seen
        self.assertEqual(len(self.request("GET", "/messages?after=00-1-49989").json), 10)
        self.assertLess(len(looked), 20)


class EventsTests(HttpCase):
    """GET /events."""

    def listen(self, path: str = "/events") -> Caller:
        """A client that has read the head."""
        caller = Caller(self.site)
        caller.send(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        head, _, body = caller.transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"200 OK", head)
        self.assertIn(b"text/event-stream", head)
        self.assertEqual(body, b": events from now on\n\n")
        caller.transport.clear()
        return caller

    def take(self, caller: Caller) -> list[dict[str, Any]]:
        """The events that came."""
        self.clock.advance(0)
        text = caller.transport.value().decode()
        caller.transport.clear()
        events = []
        for block in text.split("\n\n")[:-1]:
            if not block.startswith(":"):
                type, data = block.split("\n")
                event = json.loads(data.removeprefix("data: "))
                self.assertEqual(type, f"event: {event['type']}")
                events.append(event)
        return events

    def test_whatHappensIsTold(self) -> None:
        """From now on, with its time."""
        self.node.events.emit("neighbourUp", peer="earlier")
        caller = self.listen()
        self.node.events.emit("neighbourUp", peer="x")
        self.assertEqual(self.take(caller), [{"type": "neighbourUp", "time": 1000.0, "peer": "x"}])

    def test_onlyTheTypesThatWereAskedFor(self) -> None:
        """Repeated, or with commas."""
        for query in ("?type=dead&type=suspected", "?type=dead,suspected"):
            caller = self.listen(f"/events{query}")
            for type in ("neighbourUp", "suspected", "dead"):
                self.node.events.emit(type)
            self.assertEqual([event["type"] for event in self.take(caller)], ["suspected", "dead"])

    def test_aTypeThatThereIsNotIsRefused(self) -> None:
        """Who misspelt it would wait for ever; the answer names those that there are."""
        response = self.request("GET", "/events?type=dead,died")
        self.assertEqual(response.status, 400)
        self.assertIn("a peer has no event 'died', only dead, delivered, ", response.json["error"])
        self.node.events.types.add("died")
        self.listen("/events?type=died")

    def test_whatHappensAtOnceIsWrittenAtOnce(self) -> None:
        """One write for a thousand events of one turn."""
        caller = self.listen()
        writes: list[bytes] = []
        self.patch(caller.transport, "write", writes.append)
        for number in range(1000):
            self.node.events.emit("delivered", id=number)
        self.assertEqual(writes, [])
        self.clock.advance(0)
        self.assertEqual(len(writes), 1)

    def test_anEventIsEncodedOnceForAll(self) -> None:
        """However many listen."""
        callers = [self.listen() for _ in range(5)]
        encoded = []
        real = msgspec.json.encode

        def encode(*arguments: Any, **named: Any) -> bytes:
            encoded.append(arguments)
            return real(*arguments, **named)

        self.patch(msgspec.json, "encode", encode)
        self.node.events.emit("dead", peer="x")
        self.assertEqual([len(self.take(caller)) for caller in callers], [1] * 5)
        self.assertEqual(len(encoded), 1)

    def test_nobodyListensWhenNobodyListens(self) -> None:
        """Then events are not even made; and no timer is left."""
        self.assertEqual(self.node.events.listeners, ())
        callers = [self.listen(), self.listen()]
        self.node.events.emit("dead")
        callers[0].hangUp()
        self.assertEqual(len(self.node.events.listeners), 1)
        callers[1].hangUp()
        self.assertEqual(self.node.events.listeners, ())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aCommentNowAndThenShowsThatItLives(self) -> None:
        """Also when nothing happens."""
        caller = self.listen()
        for _ in range(3):
            self.clock.advance(streams.HEARTBEAT)
            self.clock.advance(0)
            self.assertEqual(caller.transport.value(), b": still here\n\n")
            caller.transport.clear()

    def test_aClientThatDoesNotReadIsCutOff(self) -> None:
        """What waits for it is bounded; the others hear everything."""
        slow, other = self.listen(), self.listen()
        slow.channel.pauseProducing()
        payload = "x" * 10_000
        heard = 0
        for _ in range(2 * streams.MAX_WAITING // len(payload)):
            self.node.events.emit("delivered", payload=payload)
            heard += len(self.take(other))
        self.assertTrue(slow.transport.aborted)
        self.assertEqual(slow.transport.value(), b"")
        self.assertFalse(other.transport.aborted)
        self.assertEqual(heard, 2 * streams.MAX_WAITING // len(payload))

    def test_noMoreIsWrittenThanIsRead(self) -> None:
        """What happens at once may be much; it comes piece by piece, and whole."""
        caller = self.listen()
        caller.transport.full = True
        payloads = ["x" * size for size in (10, 3 * streams.PIECE, 20, streams.PIECE // 2, 30)]
        for payload in payloads:
            self.node.events.emit("delivered", payload=payload)
        self.clock.advance(0)
        text = b""
        for _ in range(3):
            self.assertEqual(len(caller.transport.value()), streams.PIECE)
            text += caller.transport.value()
            caller.transport.clear()
            caller.channel.resumeProducing()
        caller.read()
        text += caller.transport.value()
        caller.transport.clear()
        caller.transport.write(text)
        self.assertEqual([event["payload"] for event in self.take(caller)], payloads)

    def test_whatManyHaveNotReadIsKeptOnce(self) -> None:
        """However many listen, and do not read."""
        for _ in range(streams.MAX_STREAMS):
            self.listen().transport.full = True
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(10):
            self.node.events.emit("delivered", payload="x" * 2**20)
        self.clock.advance(0)
        self.assertLess(tracemalloc.get_traced_memory()[0], 11 * 2**20 + streams.MAX_STREAMS * 2 * streams.PIECE)

    def test_whoReadsAllInTheEndIsNotCutOff(self) -> None:
        """However much it is, though the client is always a little behind."""
        caller = self.listen()
        caller.transport.full = True
        self.node.events.emit("delivered", payload="x" * 5 * streams.PIECE)
        for _ in range(2 * streams.MAX_WAITING // streams.PIECE):
            self.node.events.emit("delivered", payload="x" * (streams.PIECE - 200))
            self.clock.advance(0)
            caller.transport.clear()
            caller.channel.resumeProducing()
        self.assertFalse(caller.transport.aborted)

    def test_aClientThatWasBehindGetsWhatItMissed(self) -> None:
        """As long as that is within the bound."""
        caller = self.listen()
        caller.channel.pauseProducing()
        for number in range(10):
            self.node.events.emit("delivered", id=number)
        self.assertEqual(self.take(caller), [])
        caller.channel.resumeProducing()
        self.assertEqual([event["id"] for event in self.take(caller)], list(range(10)))

    def test_thereAreOnlySoManyListeners(self) -> None:
        """One that goes makes room."""
        callers = [self.listen() for _ in range(streams.MAX_STREAMS)]
        self.assertEqual(self.request("GET", "/events").status, 503)
        callers[0].hangUp()
        self.listen()

    def test_atTheEndEverythingIsToldBeforeTheConnectionEnds(self) -> None:
        """The last events are those of the end."""
        caller = self.listen()
        self.node.events.emit("neighbourDown")
        self.resources.streams.closeAll()
        self.assertEqual([event["type"] for event in self.take(caller)], ["neighbourDown"])
        self.assertTrue(caller.transport.disconnecting)


class ServiceTests(SynchronousTestCase):
    """Listening."""

    def setUp(self) -> None:
        """A reactor that listens in memory."""
        self.reactor = MemoryReactorClock()
        self.node = FakeNode(self.reactor)

    def make(self, where: Where, token: bytes | None = None) -> HttpService:
        """The service."""
        return HttpService(self.reactor, self.node, where, token)

    def test_itListensWhileItRuns(self) -> None:
        """With a socket for this user only; Twisted's service calls may come singly or both."""
        service = self.make(Where.unix("/some/peer-6001.sock"))
        service.privilegedStartService()
        service.startService()
        self.assertEqual(
            [(path, mode) for path, _, _, mode, _ in self.reactor.unixServers], [("/some/peer-6001.sock", 0o600)]
        )
        self.successResultOf(service.stopService())
        self.make(Where.unix("/other.sock")).startService()
        self.assertEqual(len(self.reactor.unixServers), 2)

    def test_aSocketThatIsGoneIsNoFault(self) -> None:
        """Somebody has removed it meanwhile; any other error is one."""
        for error in (FileNotFoundError(2, "No such file"), PermissionError(13, "Permission denied")):
            service = self.make(Where.unix("/some/peer-6001.sock"))
            service.startService()
            self.patch(service.port, "stopListening", lambda error=error: fail(error))
            stopped = service.stopService()
            if isinstance(error, FileNotFoundError):
                self.successResultOf(stopped)
            else:
                self.failureResultOf(stopped, PermissionError)

    def test_aStaleSocketIsReplaced(self) -> None:
        """A killed daemon left it behind."""
        path = self.mktemp()
        os.mknod(path, stat.S_IFSOCK | 0o600)
        self.make(Where.unix(path)).startService()
        self.assertFalse(os.path.exists(path))

    def test_aTakenPortIsAnErrorOfTheStart(self) -> None:
        """Not something that is logged while the daemon goes on deaf."""

        def listenTCP(port: int, *arguments: Any, **named: Any) -> None:
            raise CannotListenError("127.0.0.1", port, OSError("taken"))

        self.patch(self.reactor, "listenTCP", listenTCP)
        self.assertRaises(
            CannotListenError, self.make(Where.fromText("tcp:8001:interface=127.0.0.1")).privilegedStartService
        )

    def test_whatTurnsOutToBeOpenToOthersIsClosedAgain(self) -> None:
        """Where the endpoint did not tell before it listened; unless there is a token."""
        stopped = []

        class Port:
            def __init__(self, host: Any) -> None:
                self.host = host

            def getHost(self) -> Any:
                return self.host

            def stopListening(self) -> None:
                stopped.append(self.host)

        for host, token, refused in (
            (IPv4Address("TCP", "0.0.0.0", 80), None, True),
            (IPv4Address("TCP", "0.0.0.0", 80), b"correct-horse", False),
            (IPv4Address("TCP", "127.0.0.1", 80), None, False),
            (UNIXAddress(b"/some.sock"), None, False),
        ):
            self.patch(self.reactor, "listenTCP", lambda *a, host=host, **k: Port(host))
            service = self.make(Where.fromText("tcp:80"), token)
            if refused:
                self.assertRaises(NotLocal, service.privilegedStartService)
                self.assertEqual(stopped, [host])
            else:
                service.privilegedStartService()
        self.assertEqual(len(stopped), 1)
