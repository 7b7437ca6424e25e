"""
A daemon: a node, its log file, its memory and its HTTP interface, started and stopped in the right order.

Started: the log is opened, so that nothing is missed; the node listens; then
the HTTP interface, which answers for the node.  Stopped: the node says
goodbye, which is bounded in time; then the HTTP interface, whose listeners
have seen the end; the log is closed last.
"""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.logger import Logger

from p2p.daemon.clock import steady
from p2p.daemon.logfile import LogFile
from p2p.daemon.options import DaemonOptions, PeerOptions, SeedOptions, kebab, say
from p2p.settings import SettingError


class StartFailed(Exception):
    """A daemon cannot start; the message is one line."""


class Daemon(MultiService):
    """
    What C{twistd} runs.

    @param options: the command line, with what was claimed for this daemon.
    @param say: prints a line for the user.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, options: DaemonOptions, node: Any, say: Callable[[str], object] = say
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._options = options
        self._say = say
        self.node = node
        self.log = LogFile(
            reactor,
            node,
            options["log-dir"],
            options.name,
            options["log-format"],
            options["log-messages"],
            lambda line: say(f"p2p{options.role}: {line}"),
        )
        self.log.setServiceParent(self)
        node.setServiceParent(self)
        if options.where is not None:
            # Not before the command line was read: it is not needed to refuse one.
            from p2p.daemon.http import HttpService

            http = HttpService(reactor, node, options.where, options.token, options.httpNames)
            http.setServiceParent(self)

    def privilegedStartService(self) -> None:
        """Start what takes ports and files; if one cannot be had, end the process with one line."""
        self._orFail(super().privilegedStartService)
        self._orFail(self._handOver)
        self._options.claim.listening()

    def startService(self) -> None:
        """Start the rest; under C{twist}, everything."""
        self._orFail(super().startService)
        self._options.claim.listening()

    def stopService(self) -> Deferred[None]:
        """
        Stop everything, one after the other.

        @return: fires when all is written and closed.
        """
        self.running = False
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        limit = self.node.settings.goodbyeTimeout + 1.0
        # The log was started first, and ends last.
        log, node, *others = self.services
        for service in (node, *others, log):
            try:
                await maybeDeferred(service.stopService).addTimeout(limit, self._reactor)
            except Exception:
                self._log.failure("{service} did not stop as it should", service=service)
        self._options.claim.release()

    def _handOver(self) -> None:
        """
        Let the files belong to whom C{twistd} becomes next (C{--uid}, C{--gid}).

        This process may do so now; and whoever starts under that name later may open no file of another's.
        """
        parent: Any = self._options.parent or {}
        user, group = parent.get("uid"), parent.get("gid")
        if user is None and group is None:
            return
        if group is None:
            # As twistd takes it.
            try:
                group = pwd.getpwuid(user).pw_gid
            except KeyError:
                raise StartFailed(f"--uid {user}: there is no such user") from None
        elif user is None:
            user = -1
        self._options.claim.handOver(user, group)
        where = self._options.where
        if where is not None and where.path is not None:
            os.chown(where.path, user, group, follow_symlinks=False)

    def _orFail(self, start: Callable[[], object]) -> None:
        try:
            start()
        except (CannotListenError, OSError, StartFailed, ValueError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        """
        End a process that could not be started: one line, and nothing left behind.

        A forked daemon's parent waits to hear of it: C{twistd} tells it of an
        exception, and removes the pid file itself.
        """
        where = self._options.where
        listens = any(service.name == "http" and service.port is not None for service in self.services)
        for service in self.services:
            maybeDeferred(service.stopService).addErrback(lambda failure: None)
        if listens and where is not None and where.path is not None:
            # It would go in the reactor's next turn, and there is none.
            with suppress(OSError):
                os.unlink(where.path)
        self._options.claim.release()
        line = f"p2p{self._options.role}: {_reason(error)}"
        parent: Any = self._options.parent or {}
        if "statusPipe" in parent:
            raise StartFailed(_reason(error)) from None
        pidfile = parent.get("pidfile")
        if pidfile and os.path.exists(pidfile):
            os.unlink(pidfile)
        self._say(line)
        raise SystemExit(1)


def _reason(error: Exception) -> str:
    if isinstance(error, CannotListenError):
        return f"cannot listen on {error.interface or ''}:{error.port}: {error.socketError}"
    return " ".join(str(error).split())


def makeSeed(options: SeedOptions, reactor: Any = None) -> Daemon:
    """The service of C{twistd p2pseed}."""
    from p2p.daemon.store import SeedDatabase
    from p2p.seed.service import SeedService

    reactor = _reactor(reactor)
    node = SeedService(
        reactor,
        options.settings(),
        options.address,
        host=options.listen.host,
        port=options.listen.port,
        store=SeedDatabase(options.file("state", "db")),
    )
    return Daemon(reactor, options, node)


def makePeer(options: PeerOptions, reactor: Any = None) -> Daemon:
    """The service of C{twistd p2ppeer}."""
    from p2p.daemon.store import PeerStateFile
    from p2p.peer.service import PeerService
    from p2p.peer.strategies import installed

    reactor = _reactor(reactor)
    try:
        node = PeerService(
            reactor,
            options.settings(),
            options.seeds,
            host=options.listen.host,
            port=options.listen.port,
            advertise=options["advertise"],
            store=PeerStateFile(options.file("state", "state")),
        )
    except SettingError as error:
        # A strategy that nobody has, or that is broken.
        setting, _, why = str(error).partition(": ")
        options.fail(f"--{kebab(setting)}: {why}")
    for fault in installed().faults:
        # It does not need them.
        say(f"p2ppeer: {fault}")
    return Daemon(reactor, options, node)


def _reactor(reactor: Any) -> Any:
    """The one that is given, or else that of this process, whose clock is not set back from now on."""
    if reactor is None:
        from twisted.internet import reactor

        steady(reactor)
        _endWithTerminal(reactor)
    return reactor


def _endWithTerminal(reactor: Any) -> None:
    """
    Let C{SIGHUP} stop a reactor, as C{SIGTERM} does.

    It comes when a terminal is closed, and would else end the process without a goodbye.  Who has it ignored (nohup),
    or handled, keeps that.
    """

    def stop() -> None:
        # It may come twice.
        with suppress(ReactorNotRunning):
            reactor.stop()

    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(stop))
