"""
What seed and peer have in common as services: the order in which they start and end, what they tell of themselves, and
that they try on when something cannot be kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random, SystemRandom
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from p2p.address import Address
from p2p.events import Events
from p2p.identity import idOf, incarnationOf
from p2p.listening import listen
from p2p.settings import LinkSettings
from p2p.timers import Timers
from p2p.wire import reasons
from p2p.wire.factory import LinkFactory


class NotRunning(RuntimeError):
    """This node was not started, or has been stopped."""


class NodeService(Service):
    """
    A node; what differs is in the methods that raise L{NotImplementedError} here.

    @cvar role: C{"seed"} or C{"peer"}.
    @cvar kept: what outlives the process, in a log line.
    @cvar saveInterval: pause between two savings of that, in seconds.
    @ivar events: what happens.
    @ivar factory: its links; there from the first start on.
    """

    _log = Logger()
    role = ""
    kept = ""
    saveInterval = 0.0

    settings: LinkSettings
    factory: LinkFactory

    def __init__(
        self, reactor: Any, host: str, port: int, random: Random | None, store: Any, eventTypes: Iterable[str]
    ) -> None:
        """
        @param host: the address to listen on.
        @param port: 0 for any free one.
        @param random: where chance comes from; the system's by default.
        @param store: what C{keep} keeps in; C{None} for nothing.
        """
        self.random = random or SystemRandom()
        self.events = Events(reactor.seconds, eventTypes)
        self._reactor = reactor
        self._host = host
        self._wanted = port
        self._store = store
        self._timers = Timers(reactor, self.random)
        self._port: IListeningPort | None = None
        self._closing: Deferred[None] = succeed(None)
        self._started = 0.0
        self._saveFailed = False

    # What a seed does, and a peer.

    def makeFactory(self, now: float) -> LinkFactory:
        """Take up the identity, of which each start is a later life, and make what listens."""
        raise NotImplementedError

    def listening(self) -> None:
        """It listens now: say so."""
        raise NotImplementedError

    def begin(self) -> None:
        """It runs now: do what there is to do, and start the timers."""
        raise NotImplementedError

    def keep(self) -> None:
        """
        Keep what is to outlive the process.

        @raise OSError: it cannot be.
        """
        raise NotImplementedError

    def leave(self) -> None:
        """It is about to close its links."""

    def closed(self) -> None:
        """It has stopped, or was never started, and will save no more."""

    # What both do.

    def privilegedStartService(self) -> None:
        """
        Take up the identity and listen; what listens already just goes on.

        @raise CannotListenError: the port is taken, or the address is not this machine's; or this node is being
            stopped, and what C{stopService} gave has not fired yet.
        """
        if self._port is not None:
            return
        if not self._closing.called:
            # What it has open is still its last life's, and would be closed under this one.
            raise CannotListenError(self._host, self._wanted, "this node is still being stopped")
        now = self._reactor.seconds()
        factory = self.factory = self.makeFactory(now)
        self._port = factory.listening = listen(self._reactor, self._host, self._wanted, factory)
        self._started = now
        self.listening()

    def startService(self) -> None:
        """
        Listen, if that is not done yet, and run; what runs already just goes on.

        @raise CannotListenError: as for C{privilegedStartService}.
        """
        if self.running:
            return
        self.privilegedStartService()
        super().startService()
        self._timers.reopen()
        self.save()
        self.begin()
        if self._store is not None:
            self._timers.start("save", self.saveInterval, self.save)

    def stopService(self) -> Deferred[None]:
        """
        Say goodbye to everyone.

        @return: fires when all is closed, within about C{goodbyeTimeout}; so does that of a second call.
        """
        super().stopService()
        self._timers.stopAll()
        port, self._port = self._port, None
        if port is not None:
            self.leave()
            self.save()
            closing: list[Deferred[Any]] = [maybeDeferred(port.stopListening), self.factory.closeAll(reasons.LEAVING)]
            self._closing = DeferredList(closing, consumeErrors=True).addCallback(self._allClosed)
        elif self._closing.called:
            # It never began to listen, or has closed all that was open.
            self.closed()
        over: Deferred[None] = Deferred()
        self._closing.chainDeferred(over)
        return over

    def save(self) -> None:
        """
        Keep what is to outlive the process; if that fails, however it does, say so once, and try on.

        Nothing else is to fail with it: leaving in good order least of all.
        """
        try:
            self.keep()
        except Exception as error:
            self.factory.counters["saveErrors"] += 1
            if not self._saveFailed:
                # What is no disk's fault is somebody's who wants to see where.
                say = self._log.error if isinstance(error, OSError) else self._log.failure
                say("{what} cannot be kept: {error}; trying on", what=self.kept, error=str(error))
            self._saveFailed = True
        else:
            if self._saveFailed:
                self._log.info("{what} is kept again", what=self.kept)
            self._saveFailed = False

    # For those two.

    def whereabouts(self, address: Address) -> str:
        """For the log: where it listens, and if that is another one, the address at which others know it."""
        here = str(Address(self._host, self.factory.port))
        return here if here == str(address) else f"{here}, others reach it at {address}"

    def describe(self, address: Address, gauges: Mapping[str, int]) -> dict[str, Any]:
        """What L{p2p.interfaces.INode.status} answers."""
        identity = self.factory.identity
        return {
            "role": self.role,
            "id": idOf(identity).hex(),
            "incarnation": incarnationOf(identity),
            "address": str(address),
            "network": self.settings.network,
            "uptime": self._reactor.seconds() - self._started,
            "counters": dict(self.factory.counters),
            "gauges": {"connections": self.factory.connections, **gauges},
        }

    def _allClosed(self, results: list[tuple[bool, Any]]) -> None:
        for well, result in results:
            if not well:
                self._log.failure("closing failed", result)
        self.closed()
