"""
The seams: what a strategy is told and what it may do, and what a node offers to those who watch or store it.

An overlay, a broadcast and a detector are pure: they are told what happened
and what time it is, and they act through the outlet they were given.  They
never read a clock, never open a connection, and draw their randomness from
the generator they were given.  Each C{neighbourUp} is followed by one
C{neighbourDown}; the latter may come alone, for a link that another strategy
ended as soon as it was told of it.  When the peer itself stops, the links that
end with it are told to the broadcast only.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from p2p.peer.memory import PeerMemory
    from p2p.seed.registry import Entry
    from p2p.wire.messages import Contact, Message
    from p2p.wire.probe import Outcome

# An interface's methods have no self: they are written as they are called.


class INeighbour(Interface):
    """
    A peer that this one is linked to, as strategies see it: one object per link, compared by identity.
    """

    contact = Attribute("L{Contact}: who it is and where it listens")
    outgoing = Attribute("C{bool}: this side dialled")
    heard = Attribute("C{bool}: set at every sign of life; whoever watches resets it")
    rtt = Attribute("C{float | None}: the last round-trip time measured, in seconds")
    suspected = Attribute("C{bool}: it has been silent for too long")
    byOther = Attribute("C{bool}: the link has ended, and by a word of the neighbour's own")
    arriving = Attribute("C{int}: bytes that have come of a message that is not complete yet")


class IStrategy(Interface):
    """
    What a setting may name, found as a L{twisted.plugin.IPlugin}: a way to be linked, to spread messages, or to tell
    who is alive.
    """

    kind = Attribute('C{str}: "overlay", "broadcast" or "detector", the setting that may name it')
    name = Attribute("C{str}: what the setting says; at most 64 printable characters without a blank")
    description = Attribute("C{str}: a line for people")

    def make(outlet: Any, settings: Any, random: Any) -> Any:
        """
        Begin, for one life of one peer.

        The peer does not run yet: nothing is asked of the outlet before the first event, which C{tick} is at the
        latest.

        @param outlet: the L{IOutlet} of that kind.
        @param settings: L{p2p.settings.PeerSettings}.
        @param random: C{random.Random}, where all its chance comes from.
        @return: an L{IOverlay}, L{IBroadcast} or L{IDetector}.
        """


class IOutlet(Interface):
    """What every strategy may do."""

    identity = Attribute("C{bytes}: this peer's own 16, known once it is told of anything; others after a refutation")

    def send(neighbours: Iterable[Any], message: Any) -> None:
        """Send one message to each of those neighbours; it is packed once."""

    def later(delay: float, call: Callable[[float], object]) -> Any:
        """
        Call C{call(now)} in C{delay} seconds, unless the peer stops before.

        @return: an object whose C{cancel()} calls it off; called too late or twice, it does nothing.
        """


class IOverlayOutlet(IOutlet):
    """
    What an overlay may do.

    What follows may follow before the call returns: whoever calls has its own
    books in order by then, and walks over a copy of what such a call changes.
    """

    def connect(contact: Contact, urgent: bool = False) -> None:
        """
        Dial that L{Contact}; C{neighbourUp} or C{dialFailed} follows, perhaps at once.

        @param urgent: this peer has no other link, or is asked for by the other side; see L{IOverlay.accept}.
        """

    def disconnect(neighbour: Any, reason: str) -> None:
        """End a link politely with a reason; C{neighbourDown} follows at once, if the link had not ended."""

    def ask(contact: Contact, answer: Callable[[Contact, Outcome, float], object]) -> None:
        """
        Dial that L{Contact} afresh and ask whether it lives; no link comes of it.

        @param answer: called with the contact, a L{p2p.wire.probe.Outcome}
            and the time, within about C{probeTimeout}, unless the peer stops before.
        """


class IOverlay(Interface):
    """
    Whom to be linked to.

    Also the memory of addresses: it is told of every contact that is heard of.
    """

    messages = Attribute("tuple of the message types that are C{received} by this strategy, and by no other")

    def listed(contacts: Iterable[Contact], fresh: bool, now: float) -> None:
        """
        A seed answered with contacts.

        @param fresh: the first answer since this peer lost the seed or was
            removed from its list: there may be peers never met.
        """

    def learned(contacts: Iterable[Contact], now: float) -> None:
        """A peer named contacts."""

    def accept(contact: Contact, urgent: bool, now: float) -> str | None:
        """
        May this dialler become a neighbour?

        @param urgent: it says that it needs this link; whoever has no room may make some for it.
        @return: C{None} for yes, else the reason to refuse with: a word of L{p2p.wire.reasons}, or another of at most
            32 characters.
        """

    def neighbourUp(neighbour: INeighbour, now: float) -> None:
        """A link is ready for messages."""

    def neighbourDown(neighbour: INeighbour, reason: str, now: float) -> None:
        """A link is gone."""

    def dialFailed(contact: Contact, reason: str, now: float) -> None:
        """What C{connect} asked for did not come about."""

    def dead(contact: Contact, evidence: str, now: float) -> None:
        """
        This peer was found dead: do not dial that identity again before it has shown that it lives.

        @param evidence: what showed it: a word of L{p2p.wire.probe.Verdict}.
        """

    def received(message: Any, neighbour: INeighbour, now: float) -> None:
        """One of the overlay's own messages came."""

    def known(count: int, exclude: Container[bytes] = ()) -> list[Contact]:
        """At most C{count} random contacts worth naming to somebody else, none of whose ids is in C{exclude}."""

    def wasShown(contact: Contact) -> bool:
        """
        Whether a seed listed that very L{Contact} or a link showed it, as far as this overlay remembers.

        What is only hearsay may have been invented: that nobody is there says nothing of whoever is named.
        """

    def tick(now: float) -> None:
        """About once a second."""


class IBroadcastOutlet(IOutlet):
    """What a broadcast may do."""

    def deliver(message: Message, neighbour: Any, now: float) -> None:
        """Hand a message to this node's subscribers; C{neighbour} brought it, C{None} for its own."""

    def lost(origin: bytes, first: int, last: int) -> None:
        """
        Numbers C{first..last} of that origin are given up: nobody keeps them any more, or they are outside what is
        remembered.
        """


class IBroadcast(Interface):
    """How a message spreads."""

    messages = Attribute("tuple of the message types that are C{received} by this strategy, and by no other")
    duplicates = Attribute("C{int}: payload messages received that had been seen already")
    refused = Attribute("C{int}: payload messages that were passed over, there being too many origins at a time")

    def publish(identity: bytes, payload: bytes, now: float) -> Message:
        """
        Send a new message of this node's own, and C{deliver} it here, once.

        Numbers begin at 1 for every identity that the node takes.

        @return: the L{Message}.
        """

    def neighbourUp(neighbour: INeighbour, now: float) -> None:
        """A link is ready for messages."""

    def neighbourDown(neighbour: INeighbour, reason: str, now: float) -> None:
        """A link is gone."""

    def received(message: Any, neighbour: INeighbour, now: float) -> None:
        """One of the broadcast's messages came."""

    def settled(origin: bytes) -> int:
        """The number of that origin up to which every message has been delivered or given up."""

    def promised(neighbour: INeighbour) -> int:
        """How many bytes of messages were announced to that neighbour, which he may yet ask for."""

    def recent() -> list[tuple[float, Message]]:
        """The messages still kept for others, the oldest first, each as a pair (time it was first seen, L{Message})."""

    def tick(now: float) -> None:
        """About once a second."""


class IDetectorOutlet(IOutlet):
    """What a detector may do."""

    def probe(contact: Contact) -> None:
        """Dial that L{Contact} afresh and ask whether it lives; C{probed} follows."""

    def suspected(neighbour: Any) -> None:
        """That neighbour's C{suspected} changed."""

    def disconnect(neighbour: Any, reason: str) -> None:
        """End a link; C{neighbourDown} follows at once, if the link had not ended."""

    def dead(contact: Contact, evidence: str) -> None:
        """The verdict: that peer is dead."""


class IDetector(Interface):
    """Who is alive."""

    messages = Attribute("tuple of the message types that are C{received} by this strategy, and by no other")

    def neighbourUp(neighbour: INeighbour, now: float) -> None:
        """A link is ready for messages."""

    def neighbourDown(neighbour: INeighbour, reason: str, now: float) -> None:
        """
        A link is gone; C{reason} is a word of L{p2p.wire.reasons}.

        Once more, with L{TIMEOUT<p2p.wire.reasons.TIMEOUT>}, if this side had closed it and nothing came any more.
        """

    def received(message: Any, neighbour: INeighbour, now: float) -> None:
        """One of the detector's messages came."""

    def dialFailed(contact: Contact, reason: str, now: float) -> None:
        """An attempt to dial a contact failed that was no hearsay (L{IOverlay.wasShown})."""

    def probed(contact: Contact, outcome: Outcome, now: float) -> None:
        """A probe ended; C{outcome} is a L{p2p.wire.probe.Outcome}."""

    def tick(now: float) -> None:
        """Every C{livenessInterval}; it may come late, and then this process slept."""


class IPeerStore(Interface):
    """Where a peer keeps what must outlive it."""

    def load() -> PeerMemory | None:
        """The L{p2p.peer.memory.PeerMemory} that was saved last, or C{None}."""

    def save(memory: PeerMemory) -> None:
        """
        Keep this instead; all of it or nothing.

        @raise OSError: it could not be written; what was there before is untouched.
        """


class ISeedStore(Interface):
    """Where a seed keeps its list."""

    def load() -> tuple[bytes | None, list[Entry]]:
        """
        What was saved last.

        @return: a pair of the seed's own identity (C{bytes}, or C{None} at the
            first start) and a list of L{p2p.seed.registry.Entry}.
        """

    def save(identity: bytes, changed: Iterable[Entry], removed: Iterable[bytes]) -> None:
        """
        Keep a change; all of it or nothing.

        @param changed: entries that are new or different.
        @param removed: ids (C{bytes}) that are gone.
        @raise OSError: it could not be written; what was there before is untouched.
        """

    def close() -> None:
        """Nothing more will be saved."""


class INode(Interface):
    """A running seed or peer, as the HTTP interface, the log and an embedding program see it."""

    role = Attribute('"seed" or "peer"')
    settings = Attribute("L{p2p.settings.SeedSettings} or L{p2p.settings.PeerSettings}")
    events = Attribute("L{p2p.events.Events}")

    def status() -> dict[str, Any]:
        """
        A dictionary fit for JSON: role, id, incarnation, address, network, uptime (seconds), counters (a
        dictionary of numbers that only grow) and gauges (a dictionary of numbers); of a peer also overlay, broadcast
        and detector, the names of its strategies, and seeds, which of them it is registered with.
        """

    def peers() -> dict[str, Any]:
        """The dictionary that C{GET /peers} answers with; see docs/operations.md."""
