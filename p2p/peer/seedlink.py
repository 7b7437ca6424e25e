"""
A peer's lasting connection to one seed.

It registers, renews the lease, asks for the list, tells of the dead, and is
told when the seed has removed it.  It is dialled again, after a pause that
doubles up to L{LONGEST_RETRY}, for as long as the peer runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2p.address import Address
from p2p.identity import idOf
from p2p.wire import reasons
from p2p.wire.codec import OVERHEAD
from p2p.wire.contacts import checkedContacts
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.factory import REGISTER
from p2p.wire.link import Handlers, Link
from p2p.wire.messages import (
    MAX_CONTACTS,
    Contact,
    Dead,
    Ping,
    Pong,
    Register,
    Registered,
    Removed,
    Unreachable,
)

if TYPE_CHECKING:
    from p2p.peer.service import PeerService

FIRST_RETRY = 0.5
"""Seconds before a seed that does not answer is dialled again."""

LONGEST_RETRY = 8.0
"""Where the doubling of that pause ends."""

SHORTEST_LEASE = 0.01
"""A shorter one is not believed: nobody should renew without a pause."""

COME_BACK_PAUSE = 10.0
"""Seconds before a peer that may not yet say again that it lives tries to."""

_UNANSWERED = frozenset({reasons.REFUSED, reasons.TIMEOUT, reasons.LOST, reasons.LOCAL})
"""Reasons that a dial fails with when nobody spoke."""


class SeedLink:
    """
    One of the seeds in config.txt, as a peer sees it.

    @ivar address: the seed's.
    @ivar connected: it has answered and the connection stands.
    """

    _log = Logger()

    def __init__(self, peer: PeerService, address: Address) -> None:
        self.address = address
        self.connected = False
        self._peer = peer
        self._link: Link | None = None
        self._dialling: Deferred[Link] | None = None
        self._timer: IDelayedCall | None = None
        self._failures = 0
        # Why the seed ended the last connection before it registered this peer, as far as the log knows.
        self._refused = ""
        self._fresh = True
        self._unanswered = False
        # Registers that the seed has not answered, for it answers nothing else.
        self._open = 0
        self._buried = b""
        self._handlers: Handlers = {
            Registered: self._registered,
            Removed: self._removed,
            Unreachable: self._unreachable,
            Ping: self._ping,
        }

    def start(self) -> None:
        """Dial, now and whenever the connection is lost."""
        self._dialling = self._peer.factory.dial(self.address, REGISTER)
        self._dialling.addCallbacks(self._welcomed, self._failed)

    def stop(self) -> None:
        """Dial no more; what stands is closed with all the peer's other links."""
        self._setTimer(None)
        self._failures = 0
        if self._dialling is not None:
            self._dialling.cancel()

    def register(self, want: int = 0) -> None:
        """
        Say that this peer is active.

        @param want: how many contacts to ask for.
        """
        if self._link is not None:
            self._open += 1
            self._link.send(Register(self._peer.factory.contactOn(self._link), min(want, MAX_CONTACTS)))

    def ask(self, want: int | None = None) -> None:
        """
        Ask for the list again.

        @param want: for how many contacts; C{None} for as many as the peer remembers.
        """
        self.register(self._peer.settings.maxKnown if want is None else want)

    def report(self, contact: Contact, evidence: str) -> bool:
        """Tell the seed that a peer is dead; false if it is not connected."""
        if self._link is None or not self.connected:
            return False
        self._link.send(Dead(contact, evidence))
        return True

    def ended(self, link: Link) -> None:
        """A link of the peer's has ended: if it is this one, dial again."""
        if link is self._link:
            self._link = None
            if self.connected:
                self._log.info(
                    "lost seed {seed}: {why}",
                    seed=str(self.address), why=link.why, reason=link.reason, detail=link.detail,
                )  # fmt: skip
            elif self._peer.running and link.reason != self._refused:
                # Once: it is tried again and again.
                self._refused = link.reason
                self._log.warn(
                    "seed {seed} does not register this peer: {why}; trying on",
                    seed=str(self.address), why=link.why, reason=link.reason, detail=link.detail,
                )  # fmt: skip
            self.connected = False
            self._fresh = True
            self._setTimer(None)
            self._again()

    # Private.

    def _welcomed(self, link: Link) -> None:
        self._dialling = None
        self._link = link
        self._open = 0
        self._peer.factory.enter(link, self._handlers, OVERHEAD)
        self.ask()
        self._await()

    def _failed(self, failure: Failure) -> None:
        self._dialling = None
        if failure.check(CancelledError):
            # The peer is going away.
            return
        if not self._failures:
            why: Any = failure.value
            if why.reason in _UNANSWERED:
                self._log.info(
                    "seed {seed} does not answer ({reason}); trying on", seed=str(self.address), reason=why.reason
                )
            else:
                # Perhaps no seed at all.
                does = "turns this peer away" if why.byOther else "does not answer as a seed"
                self._log.warn("seed {seed} {does}: {why}; trying on", seed=str(self.address), does=does, why=str(why))
        self._again()

    def _again(self) -> None:
        """Dial after a pause, unless the peer is going away."""
        if not self._peer.running:
            return
        pause = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._setTimer(pause * self._peer.random.uniform(0.5, 1.0), self.start)

    def _registered(self, message: Registered, link: Link, now: float) -> None:
        """On the list; renew in time."""
        if link is not self._link:
            # It crossed the end.
            return
        if not self._open:
            raise RemoteProtocolError(reasons.MALFORMED, "Registered without Register")
        self._open -= 1
        contacts = checkedContacts(message.contacts)
        self._unanswered = False
        if self.connected:
            # Not at the first answer: a seed that answers once and breaks off is not dialled ever again at once.
            self._failures = 0
        first, self.connected = not self.connected, True
        self._refused = ""
        if first:
            self._log.info(
                "registered with seed {seed}, {total} active", seed=str(self.address), total=message.total
            )
        self._setTimer(max(message.lease, SHORTEST_LEASE) * self._peer.random.uniform(0.9, 1.0), self._renew)
        fresh = self._fresh and bool(contacts or message.total <= 1)
        self._fresh = self._fresh and not fresh
        self._peer.listed(self.address, contacts, message.total, fresh, now)

    def _renew(self) -> None:
        if self._unanswered and self._link is not None:
            self._link.abort(reasons.SILENT, "it does not answer")
            return
        self.register()
        self._await()

    def _await(self) -> None:
        """Something was asked: who does not answer in time is not waited for."""
        self._unanswered = True
        self._setTimer(self._peer.settings.handshakeTimeout, self._renew)

    def _removed(self, message: Removed, link: Link, now: float) -> None:
        """The seed took this peer off its list: come back under a higher incarnation."""
        if link is not self._link:
            return
        if idOf(message.identity) != idOf(self._peer.identity):
            raise RemoteProtocolError(reasons.MALFORMED, "Removed of somebody else")
        if message.reason == reasons.STALE and self._open:
            # The answer to a Register.
            self._open -= 1
        self._log.warn("seed {seed} has removed this peer: {reason}", seed=str(self.address), reason=message.reason)
        self._fresh = True
        self._buried = message.identity
        self._comeBack()

    def _comeBack(self) -> None:
        """Register as somebody later than who was removed, at once or as soon as that may be."""
        self._setTimer(None)
        self._peer.calledDead(self._buried, f"seed {self.address}")
        if self._peer.identity > self._buried:
            self.ask()
            self._await()
        else:
            self._setTimer(COME_BACK_PAUSE, self._comeBack)

    def _unreachable(self, message: Unreachable, link: Link, now: float) -> None:
        self._log.warn(
            "seed {seed} cannot dial this peer at {address} ({detail}): nobody will be sent there; "
            "see --advertise and --host",
            seed=str(self.address), address=message.address, detail=message.detail,
        )  # fmt: skip
        self._peer.events.emit("unreachable", seed=str(self.address), address=message.address, detail=message.detail)

    def _ping(self, message: Ping, link: Link, now: float) -> None:
        link.send(Pong(message.number))

    def _setTimer(self, after: float | None, call: object = None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if after is not None:
            self._timer = self._peer.factory.reactor.callLater(after, call)
