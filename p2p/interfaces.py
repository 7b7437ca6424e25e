"""
The seams: what a strategy is told and what it may do, and what a node offers to those who watch or store it.

An overlay, a broadcast and a detector are pure: they are told what happened
and what time it is, and they act through the outlet they were given.  They
never read a clock, never open a connection, and draw their randomness from
the generator they were given.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class INeighbour(Interface):
    """
    A peer that this one is linked to, as strategies see it: one object per link, compared by identity.
    """

    contact = Attribute("L{Contact}: who it is and where it listens")
    outgoing = Attribute("C{bool}: this side dialled")
    heard = Attribute("C{bool}: set at every sign of life; whoever watches resets it")
    rtt = Attribute("C{float | None}: the last round-trip time measured, in seconds")
    state = Attribute('C{str}: "up" or "suspected"')


class IOverlayOutlet(Interface):
    """What an overlay may do."""

    def connect(contact):
        """Dial that L{Contact}; C{neighbourUp} or C{dialFailed} follows."""

    def disconnect(neighbour, reason, others=()):
        """End a link politely with a reason; C{neighbourDown} follows."""

    def send(neighbours, message):
        """Send one message to each of those neighbours; it is packed once."""


class IOverlay(Interface):
    """
    Whom to be linked to.

    Also the memory of addresses: it is told of every contact that is heard of.
    """

    messages = Attribute("tuple of the message types that are C{received} by this strategy")

    def listed(contacts, fresh, now):
        """
        A seed answered with contacts.

        @param fresh: the first answer since this peer lost the seed or was
            removed from its list: there may be peers never met.
        """

    def learned(contacts, now):
        """A peer named contacts."""

    def accept(contact, now):
        """May this dialler become a neighbour?  C{None} for yes, else the reason to refuse with."""

    def neighbourUp(neighbour, now):
        """A link is ready for messages."""

    def neighbourDown(neighbour, reason, now):
        """A link is gone."""

    def dialFailed(contact, reason, now):
        """What C{connect} asked for did not come about."""

    def dead(contact, now):
        """This peer is dead: do not dial that identity again."""

    def received(message, neighbour, now):
        """One of the overlay's own messages came."""

    def known(count, exclude=()):
        """At most C{count} random contacts worth naming to somebody else, none of whose ids is in C{exclude}."""

    def tick(now):
        """About once a second."""


class IBroadcastOutlet(Interface):
    """What a broadcast may do."""

    def send(neighbours, message):
        """Send one message to each of those neighbours; it is packed once."""

    def deliver(message, neighbour, now):
        """Hand a message to this node's subscribers; C{neighbour} brought it, C{None} for its own."""

    def lost(origin, first, last):
        """Numbers C{first..last} of that origin are given up: they are outside what is remembered."""


class IBroadcast(Interface):
    """How a message spreads."""

    messages = Attribute("tuple of the message types that are C{received} by this strategy")
    duplicates = Attribute("C{int}: payload messages received that had been seen already")

    def publish(identity, payload, now):
        """Send a new message of this node's own; returns the L{Message}."""

    def neighbourUp(neighbour, now):
        """A link is ready for messages."""

    def neighbourDown(neighbour, reason, now):
        """A link is gone."""

    def received(message, neighbour, now):
        """One of the broadcast's messages came."""

    def recent():
        """The messages still kept for others, the oldest first, each as a pair (time it was first seen, L{Message})."""

    def tick(now):
        """About once a second."""


class IDetectorOutlet(Interface):
    """What a detector may do."""

    def send(neighbours, message):
        """Send one message to each of those neighbours; it is packed once."""

    def probe(contact):
        """Dial that L{Contact} afresh and ask whether it lives; C{probed} follows."""

    def suspected(neighbour):
        """That neighbour's C{state} changed between C{"up"} and C{"suspected"}."""

    def disconnect(neighbour, reason, others=()):
        """End a link; C{neighbourDown} follows."""

    def dead(contact, evidence):
        """The verdict: that peer is dead."""


class IDetector(Interface):
    """Who is alive."""

    messages = Attribute("tuple of the message types that are C{received} by this strategy")

    def neighbourUp(neighbour, now):
        """A link is ready for messages."""

    def neighbourDown(neighbour, reason, now):
        """A link is gone; C{reason} is a word of L{p2p.wire.reasons}."""

    def received(message, neighbour, now):
        """One of the detector's messages came."""

    def dialFailed(contact, reason, now):
        """Somebody else's attempt to dial that contact failed."""

    def probed(contact, outcome, now):
        """A probe ended; C{outcome} is a L{p2p.wire.probe.Outcome}."""

    def tick(now):
        """Every C{livenessInterval}; it may come late, and then this process slept."""


class IPeerStore(Interface):
    """Where a peer keeps what must outlive it."""

    def load():
        """The L{p2p.peer.memory.PeerMemory} that was saved last, or C{None}."""

    def save(memory):
        """
        Keep this instead; all of it or nothing.

        @raise OSError: it could not be written; what was there before is untouched.
        """


class ISeedStore(Interface):
    """Where a seed keeps its list."""

    def load():
        """
        What was saved last.

        @return: a pair of the seed's own identity (C{bytes}, or C{None} at the
            first start) and a list of L{p2p.seed.registry.Entry}.
        """

    def save(identity, changed, removed):
        """
        Keep a change; all of it or nothing.

        @param changed: entries that are new or different.
        @param removed: ids (C{bytes}) that are gone.
        @raise OSError: it could not be written; what was there before is untouched.
        """

    def close():
        """Nothing more will be saved."""


class INode(Interface):
    """A running seed or peer, as the HTTP interface, the log and an embedding program see it."""

    role = Attribute('"seed" or "peer"')
    settings = Attribute("L{p2p.settings.SeedSettings} or L{p2p.settings.PeerSettings}")
    events = Attribute("L{p2p.events.Events}")

    def status():
        """
        A dictionary fit for JSON: role, id, incarnation, address, network, uptime (seconds), counters (a
        dictionary of numbers that only grow) and gauges (a dictionary of numbers).
        """

    def peers():
        """The dictionary that C{GET /peers} answers with; see docs/operations.md."""
