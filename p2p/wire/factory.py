"""
What all connections of one node have in common: who it says it is, whom it lets in, and how it dials.

L{LinkFactory} does the part of the handshake that seeds and peers share; their
factories say what becomes of a caller that has introduced itself properly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from errno import ECONNRESET, EHOSTUNREACH
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError, TCPTimedOutError, TimeoutError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2p.address import WILDCARDS, Address, holder
from p2p.identity import idOf
from p2p.settings import LinkSettings
from p2p.wire import reasons
from p2p.wire.codec import STRANGER_LIMIT
from p2p.wire.contacts import checkedContact, checkedContacts, knownContact
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.link import Handlers, Link, State, Turn
from p2p.wire.messages import VERSION, Contact, Hello, Welcome

MAX_BACKLOGS = 8
"""
How many times C{maxBacklog} may wait on all links together; beyond it, the link that gets more is cut off.
"""

TOLD = 64
"""
Callers beyond a limit who are waited for, at a time, after they were told that there is no room.

Those beyond them are told too, but the connection is closed in the same
breath: what they were sending may make their system discard what they were
told.
"""

NEIGHBOUR = "neighbour"
REGISTER = "register"
PROBE = "probe"


class DialFailed(Exception):
    """
    An address was dialled and no link came of it.

    @ivar reason: a word of L{p2p.wire.reasons}.
    @ivar others: whom the other side named instead.
    @ivar byOther: the reason is the other side's, who said so.
    """

    def __init__(
        self, reason: str, detail: str = "", others: tuple[Contact, ...] = (), byOther: bool = False
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.others = others
        self.byOther = byOther


class _OneLink(Factory[Link]):
    """Makes the one link that an endpoint is to connect."""

    noisy = False

    def __init__(self, link: Link) -> None:
        self._link = link

    def buildProtocol(self, addr: IAddress | None) -> Link:
        return self._link


class LinkFactory(Factory[Link]):
    """
    Makes and counts a node's links, in and out.

    @ivar identity: the node's 16 bytes; changes when its incarnation grows.
    @ivar turn: what is being handled now; see L{Turn}.
    @cvar counted: the names in C{counters}; docs/operations.md tells what each is.
    @ivar counters: what happened how often since the start, by name.
    @ivar backlog: bytes that wait on all links together, because others do not read.
    @ivar maxBacklog: how many they may be.
    @ivar pending: what C{closeAll} calls; whoever puts something here takes it away once that is needless.
    @ivar strategies: the names that a neighbour must have too, as in L{Hello}.
    """

    _log = Logger()
    noisy = False
    linkType: type[Link] = Link
    counted: tuple[str, ...] = ("connections", "misbehaved", "saveErrors", "turnedAway")
    strategies = ""

    def __init__(
        self, reactor: Any, settings: LinkSettings, identity: bytes, advertise: Address | None, maxLinks: int
    ) -> None:
        """
        @param advertise: where others are told that this node listens; C{None}
            for the address listened on, or, if that is all of them, the one
            that each connection uses here.
        @param maxLinks: connections taken at a time.
        """
        self.reactor = reactor
        self.seconds = reactor.seconds
        self.settings = settings
        self.identity = identity
        self.advertise = advertise
        self.listening: IListeningPort | None = None
        self.turn = Turn(reactor.seconds)
        self.counters: Counter[str] = Counter(dict.fromkeys(self.counted, 0))
        self.accepting = True
        self.backlog = 0
        self.maxBacklog = MAX_BACKLOGS * settings.maxBacklog
        self._maxLinks = maxLinks
        self._links: dict[Link, None] = {}
        self._inbound: Counter[str] = Counter()
        self._dials: dict[Link, Deferred[Link]] = {}
        self.pending: dict[Callable[[], object], None] = {}
        self._emptied: Deferred[None] | None = None
        self.shaking: Handlers = {Hello: self._greeted, Welcome: self._welcomed}
        self.closing: Handlers = {Hello: _ignored, Welcome: _ignored}

    # For seeds and peers to say.

    def introduced(self, link: Link, hello: Hello, now: float) -> None:
        """
        A caller of this network has said who it is and is not a prober: C{welcome} it, or C{close} the link.
        """
        raise NotImplementedError

    def linkEnded(self, link: Link, now: float) -> None:
        """A link, whatever became of it, is of no more use; C{link.reason} says why."""
        answered = self._dials.pop(link, None)
        if answered is not None:
            answered.errback(DialFailed(link.reason, link.detail, link.others, link.byOther))

    def unanswered(self, link: Link) -> None:
        """A link that this side had closed politely broke off instead, or nothing came on it until its time was up."""

    def others(self, exclude: bytes) -> list[Contact]:
        """A few contacts to name to the peer of that id."""
        return []

    # What they use.

    def contactOn(self, link: Link) -> Contact:
        """This node as it introduces itself on a link."""
        address = self.advertise
        if address is None:
            if self.listening is None:
                return Contact(self.identity, "")
            listening: Any = self.listening.getHost()
            host = listening.host if listening.host not in WILDCARDS else link.transport.getHost().host
            address = Address.of(host, listening.port)
        return Contact(self.identity, str(address))

    def welcome(self, link: Link, hello: Hello, handlers: Handlers, limit: int) -> None:
        """Let a caller in: answer its L{Hello}, and take these messages from now on."""
        link.contact = knownContact(hello.contact)
        link.opened(handlers, limit)
        link.send(Welcome(self.contactOn(link), self.others(hello.contact.id)))

    def enter(self, link: Link, handlers: Handlers, limit: int) -> None:
        """Go on with a link that C{dial} gave: take these messages from now on."""
        link.opened(handlers, limit)

    def dial(self, address: Address, purpose: str, urgent: bool = False) -> Deferred[Link]:
        """
        Connect and introduce this node.

        @param urgent: say that this link is needed.
        @return: fires with a link that the other side welcomed and whose
            C{contact} is known, for C{enter} or C{close} (one for which
            neither is called at once is closed); or fails with
            L{DialFailed}.  Cancelling it ends the attempt.
        """
        if not self.accepting:
            return fail(DialFailed(reasons.LOCAL, "this node is going away"))
        link = self.linkType(self, purpose)
        link.urgent = urgent
        link.where = str(address)
        endpoint = TCP4ClientEndpoint(
            self.reactor, address.host, address.port, timeout=self.settings.connectTimeout
        )

        def cancel(_: Deferred[Link]) -> None:
            if self._dials.pop(link, None) is not None:
                connecting.cancel()
                if link in self._links:
                    link.abort(reasons.DONE, "no longer wanted")

        def failed(failure: Failure) -> None:
            if self._dials.pop(link, None) is not None:
                with self.turn:
                    answered.errback(DialFailed(_whyNot(failure.value), failure.getErrorMessage()))

        answered: Deferred[Link] = Deferred(cancel)
        self._dials[link] = answered
        connecting: Deferred[Any] = endpoint.connect(_OneLink(link))
        connecting.addErrback(failed)
        return answered

    def closeAll(self, reason: str) -> Deferred[None]:
        """
        Say goodbye on every link, and take and dial no more.

        @return: fires when the last connection is gone, within about C{goodbyeTimeout}.
        """
        self.accepting = False
        for giveUp in list(self.pending):
            giveUp()
        for answered in list(self._dials.values()):
            answered.addErrback(lambda failure: None)
            answered.cancel()
        with self.turn:
            for link in list(self._links):
                link.close(reason)
        done: Deferred[None] = Deferred()
        if self._links:
            self._emptied = done
        else:
            done.callback(None)
        return done

    # What Twisted and the links call.

    def buildProtocol(self, addr: IAddress | None) -> Link | None:
        """Make a link for a caller, unless this node is going away."""
        assert isinstance(addr, (IPv4Address, IPv6Address))
        return self.linkType(self) if self.accepting else None

    def linkMade(self, link: Link) -> None:
        """A connection stands: count it, and introduce this node if it dialled."""
        self._links[link] = None
        self.counters["connections"] += 1
        if not link.outgoing:
            host = holder(link.transport.getPeer().host)
            self._inbound[host] += 1
            excess = max(len(self._links) - self._maxLinks, self._inbound[host] - self.settings.maxPerHost)
            if excess > 0:
                self.counters["turnedAway"] += 1
                link.turnAway(reasons.FULL, "too many connections", wait=excess <= TOLD)
        elif link in self._dials:
            strategies = self.strategies if link.purpose == NEIGHBOUR else ""
            link.send(
                Hello(VERSION, self.settings.network, link.purpose, self.contactOn(link), strategies, link.urgent)
            )
        else:
            link.abort(reasons.DONE, "no longer wanted")

    def linkGone(self, link: Link) -> None:
        """A connection is gone for good."""
        if self._links.pop(link, link) is None and not link.outgoing:
            host = holder(link.transport.getPeer().host)
            self._inbound[host] -= 1
            if self._inbound[host] <= 0:
                del self._inbound[host]
        if self._emptied is not None and not self._links:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    @property
    def port(self) -> int:
        """The port listened on; 0 for none."""
        if self.listening is None:
            return 0
        host = self.listening.getHost()
        assert isinstance(host, (IPv4Address, IPv6Address))
        return host.port

    @property
    def links(self) -> list[Link]:
        """The connections that stand now."""
        return list(self._links)

    @property
    def connections(self) -> int:
        """Connections that stand now, of every kind."""
        return len(self._links)

    # Private.

    def _greeted(self, hello: Hello, link: Link, now: float) -> None:
        """A caller says who it is."""
        if link.outgoing:
            raise RemoteProtocolError(reasons.MALFORMED, "Hello in answer to Hello")
        if hello.version != VERSION:
            raise RemoteProtocolError(reasons.VERSION, f"version {hello.version}, this is {VERSION}")
        if hello.network != self.settings.network:
            raise RemoteProtocolError(reasons.NETWORK, f"network {hello.network!r}, this is another")
        link.purpose = hello.purpose
        if hello.contact.id == idOf(self.identity) and hello.purpose != PROBE:
            link.close(reasons.SELF, "you dialled yourself")
        elif hello.purpose == PROBE:
            self.welcome(link, hello, {}, STRANGER_LIMIT)
            link.endAfter(self.settings.handshakeTimeout)
        else:
            checkedContact(hello.contact)
            self.introduced(link, hello, now)

    def _welcomed(self, welcome: Welcome, link: Link, now: float) -> None:
        """Whom this node dialled has let it in."""
        if link not in self._dials:
            raise RemoteProtocolError(reasons.MALFORMED, "Welcome without Hello")
        # A seed's is known; but others are told of a neighbour's, and close the link to whoever names none.
        nameless = link.purpose != NEIGHBOUR and not welcome.contact.address
        link.contact = welcome.contact if nameless else checkedContact(welcome.contact)
        link.others = tuple(checkedContacts(welcome.others))
        self._dials.pop(link).callback(link)
        if link.state is State.SHAKING:
            link.close(reasons.DONE)


def _whyNot(error: BaseException | None) -> str:
    """What an attempt to connect that failed says of the other side."""
    if isinstance(error, ConnectionRefusedError):
        return reasons.REFUSED
    if isinstance(error, (TimeoutError, TCPTimedOutError)) or getattr(error, "osError", None) == EHOSTUNREACH:
        # The network in between knows no such host, or has not found it in time.
        return reasons.TIMEOUT
    if getattr(error, "osError", None) == ECONNRESET:
        # It was accepted by the system, not by the program: one that is just ending, say.
        return reasons.LOST
    return reasons.LOCAL


def _ignored(message: object, link: Link, now: float) -> None:
    """A word that crossed ours."""
