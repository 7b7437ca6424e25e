"""
Is somebody there?  A fresh connection, a L{Hello}, and the answer or none.

A link that has gone silent may have died of its network path; only a fresh
connection tells a dead process from a broken link.  And the one who asks may
itself have slept: a time-out that comes late says nothing of the other side,
so it is given once more, and a connection that timed out meanwhile is made anew.

Where segments are lost one connection proves little: a system sends the first
one again only after a second.  So another is dialled beside one that has
brought no answer in a third of the time, and again after two thirds.
"""

from __future__ import annotations

from enum import Enum

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from p2p.address import Address
from p2p.timers import slept
from p2p.wire import reasons
from p2p.wire.factory import PROBE, DialFailed, LinkFactory
from p2p.wire.link import Link
from p2p.wire.messages import Contact

AT_ONCE = 3
"""So many fresh connections are under way at most, each begun when one that many-th of the time has passed."""


class Verdict(Enum):
    """What a probe showed."""

    ALIVE = "alive"
    REFUSED = "refused"
    SILENT = "silent"
    REPLACED = "replaced"
    UNSURE = "unsure"


@attrs.frozen
class Outcome:
    """
    How a probe ended.

    @ivar contact: who answered, if somebody did.
    @ivar detail: a line for logs.
    """

    verdict: Verdict
    contact: Contact | None = None
    detail: str = ""


def probe(factory: LinkFactory, contact: Contact) -> Deferred[Outcome]:
    """
    Ask whether a peer lives.

    @return: fires with an L{Outcome} within C{probeTimeout}, or two of them
        when this process slept meanwhile; never fails.
    """
    return _Probe(factory, contact).done


class _Probe:
    """One question, asked on fresh connections until one of them brings the answer."""

    def __init__(self, factory: LinkFactory, contact: Contact) -> None:
        self._factory = factory
        self._contact = contact
        self._address = Address.fromText(contact.address)
        self._again = False
        self._timeout = factory.settings.probeTimeout
        self._pause = self._timeout / 100
        self._dials: dict[Deferred[Link], None] = {}
        self.done: Deferred[Outcome] = Deferred()
        self._wait()
        factory.pending[self._giveUp] = None
        self._ask()

    def _giveUp(self) -> None:
        """This node goes away: that says nothing of the other, and nothing is to be left."""
        self._finish(Outcome(Verdict.UNSURE, None, "this node is going away"))

    def _wait(self) -> None:
        due = self._factory.seconds() + self._timeout
        self._timer = self._factory.reactor.callLater(self._timeout, self._expired, due)

    def _ask(self) -> None:
        """Dial, and again beside it should that take long."""
        self._next = self._factory.reactor.callLater(self._timeout / AT_ONCE, self._ask)
        if len(self._dials) < AT_ONCE:
            dialling = self._factory.dial(self._address, PROBE)
            self._dials[dialling] = None
            dialling.addBoth(self._ended, dialling).addCallbacks(self._answered, self._failed)

    def _ended(self, result: Link | Failure, dialling: Deferred[Link]) -> Link | Failure:
        self._dials.pop(dialling, None)
        return result

    def _expired(self, due: float) -> None:
        if slept(due, self._factory.seconds(), self._timeout) and not self._again:
            self._again = True
            self._wait()
        else:
            detail = "no answer" if self._dials else "every connection broke off"
            self._finish(Outcome(Verdict.SILENT, None, detail))

    def _answered(self, link: Link) -> None:
        # Nobody enters the link, so it is closed once this has returned.
        found = link.contact
        if found.id != self._contact.id:
            self._finish(Outcome(Verdict.REPLACED, found, "another peer answers there"))
        elif found.identity < self._contact.identity:
            self._finish(Outcome(Verdict.REPLACED, found, "an earlier incarnation answers there"))
        else:
            self._finish(Outcome(Verdict.ALIVE, found))

    def _failed(self, failure: Failure) -> None:
        if not self._timer.active():
            return
        error = failure.value
        assert isinstance(error, DialFailed)
        reason = error.reason
        if reason == reasons.REFUSED:
            self._finish(Outcome(Verdict.REFUSED, None, "connection refused"))
        elif reason in (reasons.FULL, reasons.RATE):
            self._finish(Outcome(Verdict.ALIVE, None, str(error)))
        elif reason == reasons.LOCAL and self._dials:
            # No descriptor for another one: those that are under way may still be answered.
            return
        elif reason in (reasons.LOCAL, reasons.FAULT) or (reason == reasons.MALFORMED and not error.byOther):
            # What is wrong with an answer may be a third one's doing, or a fault of ours: it proves nobody's death.
            self._finish(Outcome(Verdict.UNSURE, None, str(error)))
        elif reason in (reasons.LOST, reasons.TIMEOUT):
            self._next.reset(self._pause)
            self._pause = min(2 * self._pause, self._timeout / AT_ONCE)
        else:
            self._finish(Outcome(Verdict.REPLACED, None, str(error)))

    def _finish(self, outcome: Outcome) -> None:
        self._factory.pending.pop(self._giveUp, None)
        for call in (self._timer, self._next):
            if call.active():
                call.cancel()
        for dialling in list(self._dials):
            dialling.cancel()
        self.done.callback(outcome)
