"""
Tests for L{p2p.daemon.web}: who may ask, how large, how slowly.
"""

from __future__ import annotations

from twisted.internet.address import IPv6Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2p.daemon import room, web
from p2p.daemon.web import Access, HttpError, Site, WebRequest
from p2p.test.daemonfakes import Caller, tcp


class SiteCase(SynchronousTestCase):
    """
    A site that tells what it was asked.

    @ivar asked: method, path and body of each request that got through.
    """

    limit = 100

    def setUp(self) -> None:
        """Make it."""
        self.clock = Clock()
        self.asked: list[tuple[bytes, bytes, bytes]] = []
        self.site = self.make(Access())

    def make(self, access: Access) -> Site:
        """A site with that access."""
        return Site(self.clock, self.answer, lambda method, path: self.limit, access)

    def answer(self, request: WebRequest) -> None:
        """Answer C{"yes"}, or 100 bytes."""
        if request.path == b"/fail":
            raise ZeroDivisionError("a fault")
        if request.path == b"/refuse":
            raise HttpError(409, "not so", {b"X-Why": b"because"}, {"more": 1})
        self.asked.append((request.method, request.path, request.body))
        request.answer("x" * 97 if request.path == b"/large" else "yes")


class AnswerTests(SiteCase):
    """What comes back."""

    def test_anAnswerIsJsonThatIsNotKept(self) -> None:
        """Status, type, length, and no caching."""
        answer = Caller(self.site).request("GET", "/a?b=c")
        self.assertEqual((answer.status, answer.json), (200, "yes"))
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["cache-control"], "no-store")
        self.assertEqual(self.asked, [(b"GET", b"/a", b"")])

    def test_anErrorIsJsonToo(self) -> None:
        """With its headers and details."""
        answer = Caller(self.site).request("GET", "/refuse")
        self.assertEqual((answer.status, answer.json), (409, {"error": "not so", "more": 1}))
        self.assertEqual(answer.headers["x-why"], "because")

    def test_aFaultIsLoggedAndAnswered(self) -> None:
        """Nothing of it is told outside."""
        answer = Caller(self.site).request("GET", "/fail")
        self.assertEqual(answer.status, 500)
        self.assertNotIn("ZeroDivision", answer.json["error"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_aConnectionServesManyRequests(self) -> None:
        """One after the other, also where they come in one piece, also after an error."""
        caller = Caller(self.site)
        for path in ("/a", "/refuse", "/b"):
            caller.request("GET", path)
        caller.send(b"GET /c HTTP/1.1\r\nHost: x\r\n\r\nPOST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        self.clock.advance(0)
        self.assertEqual([caller.take().status for _ in range(2)], [200, 200])
        self.assertEqual(self.asked[1:], [(b"GET", b"/b", b""), (b"GET", b"/c", b""), (b"POST", b"/d", b"hi")])

    def test_oneRequestATurn(self) -> None:
        """However many come in one piece, the reactor has its turn between them, and the rest go with the caller."""
        caller = Caller(self.site)
        caller.channel.dataReceived(b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
        self.assertEqual(1, len(self.asked))
        caller.hangUp()
        self.clock.pump([0] * 5)
        self.assertEqual(1, len(self.asked))

    def test_alsoOfManyCallers(self) -> None:
        """In the order they came, the node having its turn in between; who has gone by then is passed over."""
        happened: list[bytes] = []

        def answer(request: WebRequest) -> None:
            happened.append(request.path)
            request.answer("yes")

        def turn() -> None:
            happened.append(b"node")
            if len(happened) < 6:
                self.clock.callLater(0, turn)

        self.site.answer = answer
        self.clock.callLater(0, turn)
        callers = [Caller(self.site) for _ in range(4)]
        for number, caller in enumerate(callers):
            caller.channel.dataReceived(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx" % number)
        self.assertEqual([b"/0"], happened)
        callers.pop(1).hangUp()
        self.clock.advance(0)
        self.assertEqual([b"/0", b"node", b"node", b"/2", b"node", b"/3", b"node"], happened)
        self.assertEqual([200] * 3, [caller.take().status for caller in callers])

    def test_whoDoesNotReadIsNotAnswered(self) -> None:
        """While the connection is full, nothing more is put into it; in the end it is cut off."""
        caller = Caller(self.site)
        caller.channel.dataReceived(b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        caller.channel.pauseProducing()
        self.clock.pump([0] * 5)
        self.assertEqual(1, len(self.asked))
        caller.channel.resumeProducing()
        self.clock.pump([0] * 5)
        self.assertEqual(3, len(self.asked))
        caller.channel.dataReceived(b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n")
        caller.channel.pauseProducing()
        self.clock.advance(web.REQUEST_TIME + 1)
        self.assertTrue(caller.transport.disconnecting)

    def test_whoSendsOnWithoutReadingIsNotReadFrom(self) -> None:
        """What he sends would be kept; once he has read, it goes on."""
        caller = Caller(self.site)
        caller.transport.full = True
        for _ in range(2):
            caller.send(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((1, "paused"), (len(self.asked), caller.transport.producerState))
        caller.read()
        self.assertEqual((2, "producing"), (len(self.asked), caller.transport.producerState))

    def test_nothingFollowsARefusal(self) -> None:
        """Who waits to be asked for a body that is too large is refused, and not asked for it as well."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(413, caller.take().status)
        self.assertEqual(b"", caller.transport.value())

    def test_itMayComeByteByByte(self) -> None:
        """However the network cuts it."""
        caller = Caller(self.site)
        for byte in b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello":
            caller.send(bytes([byte]))
        self.assertEqual(caller.take().status, 200)
        self.assertEqual(self.asked, [(b"POST", b"/a", b"hello")])

    def test_aBodyIsTakenAsItIs(self) -> None:
        """curl -d calls it a form; it is none."""
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            self.assertEqual(Caller(self.site).request("POST", "/a", b"a=b&c", {"Content-Type": kind}).status, 200)
        self.assertEqual(self.asked, [(b"POST", b"/a", b"a=b&c")] * 2)

    def test_aBodyMayComeInChunks(self) -> None:
        """Without its length."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        caller.send(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
        self.assertEqual(caller.take().status, 200)
        self.assertEqual(self.asked, [(b"POST", b"/a", b"hello")])

    def test_whatIsNoRequestIsToldSo(self) -> None:
        """As any other error, once; nothing else comes of it, and soon the connection ends."""
        post = b"POST /a HTTP/1.1\r\nHost: x\r\n"
        for data in (
            b"\x00\x01\x02\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /a HTTP/2.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\nno colon either\r\nHost: x\r\n\r\n",
            post + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            post + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz\r\n",
            b"x" * 20_000,
            post + b"X: " + b"x" * 17_000 + b"\r\n\r\n",
            post + (b"X: " + b"x" * 1000 + b"\r\n") * 20 + b"\r\n",
            post + b"X: x\r\n" * 501 + b"\r\n",
            post + b"Content-Length: " + b"9" * 4301 + b"\r\n\r\n",
        ):
            caller = Caller(self.site)
            caller.send(data + b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            caller.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = caller.take()
            self.assertEqual((answer.status, answer.json), (400, {"error": web.MALFORMED}), data[:40])
            self.assertEqual(answer.headers["connection"], "close")
            self.assertEqual(caller.transport.value(), b"")
            self.clock.advance(web.LINGER)
            self.assertTrue(caller.transport.aborted, data[:40])
        self.assertEqual(self.asked, [])

    def test_aRefusalIsTheOnlyAnswer(self) -> None:
        """Also where what follows in the same piece is malformed."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        caller.send(b"65\r\n" + b"x" * 101 + b"\r\nzz\r\n")
        self.assertEqual(caller.take().status, 413)
        self.assertEqual(caller.transport.value(), b"")

    def test_aTargetMayBeAWholeUrl(self) -> None:
        """As it is for a proxy."""
        urls = {b"http://x/a?b=c": b"/a", b"HTTP://x:80/a": b"/a", b"http://x": b"/", b"http://x?a": b"/"}
        for url, path in urls.items():
            caller = Caller(self.site)
            caller.send(b"POST " + url + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            self.assertEqual(caller.take().status, 200, url)
            self.assertEqual(self.asked.pop(), (b"POST", path, b"x"))
        answer = Caller(self.site).request("GET", "http://x/refuse")
        self.assertEqual(answer.status, 409)


class SizeTests(SiteCase):
    """How large a body may be."""

    def test_theLargestIsTaken(self) -> None:
        """To the byte."""
        self.assertEqual(Caller(self.site).request("POST", "/a", b"x" * 100).status, 200)

    def test_aLargerOneIsRefusedBeforeItCame(self) -> None:
        """By what its length is said to be."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n")
        answer = caller.take()
        self.assertEqual((answer.status, answer.json), (413, {"error": "the body is larger than 100 bytes"}))
        self.assertEqual(answer.headers["connection"], "close")

    def test_oneInChunksIsRefusedWhenItHasGrownTooLarge(self) -> None:
        """No more than the limit is ever held."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        caller.send(b"64\r\n" + b"x" * 100 + b"\r\n")
        self.assertEqual(caller.transport.value(), b"")
        caller.send(b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
        self.assertEqual(caller.take().status, 413)
        self.assertEqual(caller.transport.value(), b"")
        self.assertEqual(self.asked, [])

    def test_whatComesAfterARefusalIsDroppedForAMoment(self) -> None:
        """So that the answer is read; then the connection ends, whatever still comes."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n")
        caller.take()
        for _ in range(100):
            caller.send(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
        self.assertEqual((self.asked, caller.transport.value()), ([], b""))
        self.assertFalse(caller.transport.aborted)
        # A caller that is not read from would wait, and never come to read the answer.
        self.assertEqual(caller.transport.producerState, "producing")
        self.clock.advance(web.LINGER)
        self.assertTrue(caller.transport.aborted)

    def test_aCallerThatHangsUpAfterARefusalLeavesNoTimer(self) -> None:
        """As curl does."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n")
        caller.hangUp()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RoomCase(SiteCase):
    """A site that has room for three of the largest bodies, or answers."""

    def setUp(self) -> None:
        """Make it so."""
        super().setUp()
        self.patch(room, "ROOM", 300)
        self.patch(room, "SMALL", 10)


class UnreadTests(RoomCase):
    """How much callers may leave unread."""

    def ask(self, path: str = "/large", full: bool = True) -> Caller:
        """A caller who has asked, and reads or does not."""
        caller = Caller(self.site)
        caller.transport.full = full
        caller.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return caller

    def test_inSumItHasABound(self) -> None:
        """Whoever finds no room is told to come again; small answers always have it."""
        callers = [self.ask() for _ in range(3)]
        self.assertEqual(300, self.site.answers.taken)
        answer = self.ask(full=False).take()
        self.assertEqual((503, "1"), (answer.status, answer.headers["retry-after"]))
        self.assertEqual(200, self.ask("/a").take().status)
        self.assertEqual([200] * 3, [caller.take().status for caller in callers])

    def test_whatWasReadLeavesRoom(self) -> None:
        """So does who has gone; and who reads takes none."""
        for _ in range(4):
            self.assertEqual(200, self.ask(full=False).take().status)
        first, second, _ = (self.ask() for _ in range(3))
        first.read()
        self.assertEqual(200, self.site.answers.taken)
        second.hangUp()
        self.assertEqual(100, self.site.answers.taken)

    def test_whoNeverReadsIsCutOff(self) -> None:
        """Also one that wanted the connection to end with the answer."""
        for headers in (b"", b"Connection: close\r\n"):
            caller = Caller(self.site)
            caller.transport.full = True
            caller.send(b"GET /large HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
            self.clock.advance(web.REQUEST_TIME)
            self.clock.advance(caller.channel.abortTimeout)
            self.assertTrue(caller.transport.aborted)


class BodyTests(RoomCase):
    """How much all bodies together may take."""

    def begin(self, sent: int, size: int = 100) -> Caller:
        """A caller who has sent so much of a body."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * sent)
        return caller

    def test_unfinishedOnesHaveABound(self) -> None:
        """In sum; whoever finds no room is told to come again, and what was kept of him is kept no more."""
        callers = [self.begin(60) for _ in range(4)]
        self.assertEqual(240, self.site.bodies.taken)
        for caller in callers:
            caller.send(b"x" * 30)
        answer = callers[2].take()
        self.assertEqual((503, "1"), (answer.status, answer.headers["retry-after"]))
        self.assertEqual([b""] * 3, [caller.transport.value() for caller in (*callers[:2], callers[3])])
        self.assertEqual(270, self.site.bodies.taken)

    def test_whatWillNotFitIsRefusedBeforeItCame(self) -> None:
        """By what its length is said to be."""
        callers = [self.begin(99) for _ in range(3)]
        self.assertEqual(503, self.begin(0).take().status)
        callers[0].hangUp()
        self.assertEqual(b"", self.begin(0).transport.value())

    def test_inChunksTheyCountAsWell(self) -> None:
        """As they grow."""
        callers = [self.begin(99) for _ in range(3)]
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2\r\nxx\r\n" * 5)
        self.assertEqual((b"", 297), (caller.transport.value(), self.site.bodies.taken))
        caller.send(b"1\r\nx\r\n")
        self.assertEqual(503, caller.take().status)
        self.assertEqual([b""] * 3, [other.transport.value() for other in callers])

    def test_aSmallOneAlwaysGetsIn(self) -> None:
        """However full it is."""
        for _ in range(3):
            self.begin(99)
        self.assertEqual(200, self.begin(10, 10).take().status)
        self.assertEqual(503, self.begin(11, 11).take().status)

    def test_oneAloneMayTakeMoreThanThereIs(self) -> None:
        """Where the largest payload is that large."""
        self.limit = 1000
        self.begin(10, 10)
        first = self.begin(999, 1000)
        self.assertEqual((b"", 999), (first.transport.value(), self.site.bodies.taken))
        self.assertEqual(503, self.begin(20, 20).take().status)
        first.send(b"x")
        self.assertEqual(200, first.take().status)
        self.assertEqual(200, self.begin(20, 20).take().status)

    def test_howeverItEndsItsRoomIsFree(self) -> None:
        """Answered, refused, hung up, too slow, malformed."""
        callers = [self.begin(99) for _ in range(3)]
        callers[0].send(b"x")
        self.assertEqual((200, 198), (callers[0].take().status, self.site.bodies.taken))
        callers[1].hangUp()
        self.assertEqual(99, self.site.bodies.taken)
        self.clock.advance(web.REQUEST_TIME)
        self.assertTrue(callers[2].transport.disconnecting)
        callers[2].hangUp()
        self.assertEqual(0, self.site.bodies.taken)
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n32\r\n" + b"x" * 50 + b"\r\n")
        self.assertEqual(50, self.site.bodies.taken)
        caller.send(b"33\r\n" + b"x" * 51 + b"\r\n")
        self.assertEqual((413, 0), (caller.take().status, self.site.bodies.taken))
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        caller.send(b"32\r\n" + b"x" * 50 + b"\r\nz\r\n")
        self.assertEqual((400, 0), (caller.take().status, self.site.bodies.taken))

    def test_whoseRequestFailedKeepsNone(self) -> None:
        """Be it an error or a fault."""
        for path, status in (("/refuse", 409), ("/fail", 500)):
            self.assertEqual(status, Caller(self.site).request("POST", path, b"x" * 100).status)
            self.assertEqual(0, self.site.bodies.taken)
        self.flushLoggedErrors(ZeroDivisionError)


class TimeTests(SiteCase):
    """How slowly a request may come."""

    def test_aRequestMustComeWholeInTime(self) -> None:
        """A byte now and then does not buy more time."""
        caller = Caller(self.site)
        for byte in (b"GET /a HTTP/1.1\r\nX: " + b"x" * 80)[: web.REQUEST_TIME]:
            caller.send(bytes([byte]))
            self.assertFalse(caller.transport.disconnecting)
            self.clock.advance(1)
        self.assertTrue(caller.transport.disconnecting)

    def test_soMustItsBody(self) -> None:
        """However much of it has come by then."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        for _ in range(web.REQUEST_TIME):
            self.assertFalse(caller.transport.disconnecting)
            self.clock.advance(1)
            caller.send(b"x")
        self.assertTrue(caller.transport.disconnecting)
        self.assertEqual([], self.asked)

    def test_aConnectionWithoutRequestEndsToo(self) -> None:
        """And one that does not even close is cut off."""
        caller = Caller(self.site)
        self.clock.advance(web.REQUEST_TIME)
        self.assertTrue(caller.transport.disconnecting)
        self.clock.advance(60)
        self.assertTrue(caller.transport.aborted)

    def test_eachRequestHasItsOwnTime(self) -> None:
        """A program that asks every half minute keeps its connection."""
        caller = Caller(self.site)
        for _ in range(10):
            self.clock.advance(web.REQUEST_TIME / 2)
            self.assertEqual(caller.request("GET", "/a").status, 200)
        self.assertFalse(caller.transport.disconnecting)

    def test_thereAreOnlySoManyConnections(self) -> None:
        """One that ends makes room."""
        callers = [Caller(self.site) for _ in range(web.MAX_CONNECTIONS)]
        self.assertIsNone(self.site.buildProtocol(None))
        callers[0].hangUp()
        self.assertIsNotNone(self.site.buildProtocol(None))


class TokenTests(SiteCase):
    """Where there is a token, every request bears it."""

    def setUp(self) -> None:
        """A site with one."""
        super().setUp()
        self.site = self.make(Access(b"correct-horse"))

    def test_theRightOneIsLetIn(self) -> None:
        """Over TCP and over a socket."""
        for host in (None, tcp()):
            answer = Caller(self.site, host).request("GET", "/a", headers={"Authorization": "Bearer correct-horse"})
            self.assertEqual(answer.status, 200)

    def test_aWrongOneOrNoneIsNot(self) -> None:
        """Nor another scheme."""
        for given in (None, "Bearer wrong", "Bearer", "Basic correct-horse", "correct-horse", "Bearer correct-horse2"):
            headers = {} if given is None else {"Authorization": given}
            answer = Caller(self.site).request("GET", "/a", headers=headers)
            self.assertEqual(answer.status, 401, given)
            self.assertEqual(answer.headers["www-authenticate"], "Bearer")
        self.assertEqual(self.asked, [])

    def test_aBodyIsRefusedBeforeItCame(self) -> None:
        """Nothing is kept for whoever may not ask."""
        caller = Caller(self.site)
        caller.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        self.assertEqual(caller.take().status, 401)


class BrowserTests(SiteCase):
    """No page in a browser drives somebody's daemon."""

    def status(self, headers: dict[str, str], host: str = "127.0.0.1", method: str = "POST") -> int:
        """What a request over TCP gets."""
        return Caller(self.site, tcp(host)).request(method, "/a", b"x", headers).status

    def test_aHostThatIsThisMachineIsAnswered(self) -> None:
        """By its loopback names and by the address that the connection came to, with any port."""
        for host in ("127.0.0.1:8001", "localhost:8001", "LOCALHOST", "[::1]:8001", "127.0.0.1"):
            self.assertEqual(self.status({"Host": host}), 200, host)
        self.assertEqual(self.status({"Host": "192.0.2.7:8001"}, "192.0.2.7"), 200)

    def test_anyOtherHostIsRefused(self) -> None:
        """A page's own name that was made to point here (DNS rebinding) among them."""
        for host in ("evil.example:8001", "evil.example", "127.0.0.1.evil.example", "192.0.2.7", "", "[::2]:8001"):
            self.assertEqual(self.status({"Host": host}), 403, host)
        self.assertEqual(self.asked, [])

    def test_thereMustBeOneHost(self) -> None:
        """Not none, not two."""
        for hosts in (b"", b"Host: localhost\r\nHost: localhost\r\n"):
            caller = Caller(self.site, tcp())
            caller.send(b"GET /a HTTP/1.1\r\n" + hosts + b"\r\n")
            self.assertEqual(caller.take().status, 400)

    def test_theHostThatATargetNamesCounts(self) -> None:
        """Instead of the header's, of which there is still one (RFC 9112, 3.2.2)."""
        for target, host, status in (
            ("http://localhost:8001/a", "evil.example", 200),
            ("http://evil.example/a", "localhost", 403),
            ("http://localhost@evil.example/a", "localhost", 403),
            ("http:///a", "localhost", 403),
        ):
            for method, body in (("GET", None), ("POST", b"x")):
                answer = Caller(self.site, tcp()).request(method, target, body, {"Host": host})
                self.assertEqual(answer.status, status, (method, target))
        caller = Caller(self.site, tcp())
        caller.send(b"GET http://localhost/a HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        self.assertEqual(caller.take().status, 400)

    def test_furtherNamesCanBeAllowed(self) -> None:
        """A machine that is reached by a name."""
        self.site = self.make(Access(names=frozenset(["node1.example"])))
        self.assertEqual(self.status({"Host": "node1.example:8001"}), 200)
        self.assertEqual(self.status({"Host": "node2.example:8001"}), 403)

    def test_aPageOfAnotherSiteIsRefused(self) -> None:
        """Its posts need no permission of the browser's; the origin tells where they come from."""
        for origin in ("http://evil.example", "null", "http://localhost:9000", "file://", "http://127.0.0.1:8001.evil"):
            self.assertEqual(self.status({"Host": "localhost:8001", "Origin": origin}), 403, origin)
        for site in ("cross-site", "same-site"):
            self.assertEqual(self.status({"Host": "localhost:8001", "Sec-Fetch-Site": site}), 403, site)
        self.assertEqual(self.asked, [])

    def test_aPageOfThisInterfaceMayAsk(self) -> None:
        """Somebody may put one in front of it."""
        headers = {"Host": "localhost:8001", "Origin": "http://localhost:8001", "Sec-Fetch-Site": "same-origin"}
        self.assertEqual(self.status(headers), 200)

    def test_overASocketNoBrowserComes(self) -> None:
        """Whatever name a program gives it."""
        answer = Caller(self.site).request("GET", "/a", headers={"Host": "anything", "Origin": "http://else"})
        self.assertEqual(answer.status, 200)

    def test_anAddressIsComparedAsAnAddress(self) -> None:
        """However it is written."""
        answer = Caller(self.site, IPv6Address("TCP", "2001:db8::1", 80)).request(
            "GET", "/a", headers={"Host": "[2001:DB8:0::1]:80"}
        )
        self.assertEqual(answer.status, 200)


class EndTests(SiteCase):
    """The end of a site."""

    def test_withoutConnectionsItIsImmediate(self) -> None:
        """Nothing is waited for."""
        self.successResultOf(self.site.closeAll())

    def test_connectionsAreClosed(self) -> None:
        """It is over when they are gone."""
        callers = [Caller(self.site), Caller(self.site)]
        done = self.site.closeAll()
        self.assertTrue(all(caller.transport.disconnecting for caller in callers))
        callers[0].hangUp()
        self.assertNoResult(done)
        callers[1].hangUp()
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_oneThatDoesNotCloseIsCutOff(self) -> None:
        """After a moment."""
        caller = Caller(self.site)
        self.site.closeAll()
        self.clock.advance(web.GRACE)
        self.assertTrue(caller.transport.aborted)

    def test_noNewOneIsTaken(self) -> None:
        """The end is the end."""
        self.site.closeAll()
        self.assertIsNone(self.site.buildProtocol(None))
