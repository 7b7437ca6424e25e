"""
Those that were found dead and may not be.

Whoever falls silent is dead, or cut off together with half of the network.  If
each peer forgot all whom it calls dead, the two halves of a partition would
never know of each other again once it has healed (memberlist's issue 222 is
that complaint; Serf's reconnect is an answer).  So they are remembered for a
while, and every few seconds one of them is asked, by a short-lived connection,
whether it lives.

The pause between two such questions is C{reconnectInterval}, or a twentieth of
the time since the last one went missing, if that is longer.  So two halves are
together again within a twentieth of the time that they were apart, and who is
gone for good costs less and less until it is forgotten.  Each pause is drawn
from half of that to one and a half, so that a thousand peers that have lost
each other at one instant do not all ask at another.
"""

from __future__ import annotations

from random import Random

import attrs

from p2p.settings import PeerSettings
from p2p.wire.messages import Contact
from p2p.wire.probe import Outcome, Verdict

MAX_MISSING = 32
"""So many are remembered; beyond that, one drawn at random is forgotten."""

AGAIN = 0.05
"""Part of the time since somebody went missing after which one is asked again."""

REFUSED_TIME = 60.0
"""
Seconds for which one whose address refuses connections is remembered: there
the machine is well and the process has ended, and if it is started again, it
dials.
"""


@attrs.define(eq=False)
class _Entry:
    """
    One of them.

    @ivar until: when it is forgotten.
    """

    contact: Contact
    until: float


class Missing:
    """Whom to ask, and when."""

    def __init__(self, settings: PeerSettings, random: Random) -> None:
        self._interval = settings.reconnectInterval
        self._time = settings.reconnectTime
        self._random = random
        self._entries: dict[bytes, _Entry] = {}
        self._last = 0.0
        self._next = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, id: bytes) -> bool:
        return id in self._entries

    def add(self, contact: Contact, evidence: str, now: float) -> None:
        """
        It was found dead.

        @param evidence: a word of L{Verdict}; whoever was replaced is not missed.
        """
        if not contact.address or evidence == Verdict.REPLACED.value:
            return
        if contact.id not in self._entries and len(self._entries) >= MAX_MISSING:
            del self._entries[self._random.choice(list(self._entries))]
        time = min(self._time, REFUSED_TIME) if evidence == Verdict.REFUSED.value else self._time
        self._entries[contact.id] = _Entry(contact, now + time)
        self._last = now
        self._next = now + self._interval * self._random.uniform(0.5, 1.5)

    def forget(self, contact: Contact) -> None:
        """It is here, or gone for good; what was said of an earlier life goes too."""
        entry = self._entries.get(contact.id)
        if entry is not None and entry.contact.identity <= contact.identity:
            del self._entries[contact.id]

    def due(self, now: float) -> Contact | None:
        """Whom to ask now, if anybody."""
        for id, entry in list(self._entries.items()):
            if entry.until <= now:
                del self._entries[id]
        if now < self._next or not self._entries:
            return None
        self._next = now + max(self._interval, AGAIN * (now - self._last)) * self._random.uniform(0.5, 1.5)
        return self._entries[self._random.choice(list(self._entries))].contact

    def answered(self, contact: Contact, outcome: Outcome, now: float) -> Contact | None:
        """
        It was asked.

        @return: who it is now and where, if it lives and is still missed.
        """
        entry = self._entries.get(contact.id)
        if entry is None or entry.contact != contact:
            return None
        if outcome.verdict is Verdict.ALIVE and outcome.contact is not None:
            del self._entries[contact.id]
            return Contact(outcome.contact.identity, contact.address)
        if outcome.verdict is Verdict.REPLACED:
            del self._entries[contact.id]
        elif outcome.verdict is Verdict.REFUSED:
            entry.until = min(entry.until, now + REFUSED_TIME)
        return None
