"""
The catalogue: every message that travels between nodes, and nothing else.

A message is a MessagePack array whose first element is its number, followed by
its fields in the order given here.  Fields may be added at an array's end, and
a reader passes over those it does not know; docs/protocol.md tells the same
in prose.  The bounds are part of the types: what decodes, keeps them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from msgspec import Meta, Struct

from p2p.identity import IDENTITY_SIZE, idOf

VERSION = 1
"""The protocol's version; nodes of another version are turned away."""

MISSION = "random flood heartbeat"
"""The strategies of a neighbour whose L{Hello} names none."""

MAX_CONTACTS = 1000
"""Contacts in one message at most."""

MAX_HOPS = 2**16 - 1
"""Hop count at which a message is no longer relayed."""

MAX_GAPS = 64
"""Ranges of missing numbers that are told of one origin at most."""

MAX_HELD = 200
"""Origins in one L{Have} at most, and in one list of any other message of a broadcast's."""

MAX_BATCH = 1000
"""Messages in one L{Batch} at most."""

FRAME = 64
"""Bytes that a L{Message} takes on a link beside its payload, at most."""

MAX_WALK = 64
"""Links that a random walk crosses at most."""

MAX_SIGHTINGS = 64
"""Contacts in one shuffle at most."""

MAX_SIGHTING_AGE = 86400
"""Seconds since a contact in a shuffle was there, at most."""

MAX_GONE_AGE = 1e12
"""Seconds since what is L{Gone} was seen, at most."""

Identity = Annotated[bytes, Meta(min_length=IDENTITY_SIZE, max_length=IDENTITY_SIZE)]
AddressText = Annotated[str, Meta(max_length=64)]
Reason = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"\A[ -~]*\Z")]
"""One of a few words that programs know; others are passed over.  Printable ASCII."""

MAX_DETAIL = 256
"""Characters in a text for people at most."""

Detail = Annotated[str, Meta(max_length=MAX_DETAIL, pattern=r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z")]
"""A text for people: one line without control characters, so that it may stand in a log as it is."""

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


def line(text: str) -> str:
    """A text as it may stand in a L{Detail}: one line, and no longer than it may be."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_DETAIL])


class Contact(Struct, array_like=True, frozen=True, weakref=True, dict=True):
    """
    A peer as others know it: who it is and where it listens.

    @ivar address: C{IP:PORT}; empty where a node does not say.
    """

    identity: Identity
    address: AddressText

    @cached_property
    def id(self) -> bytes:
        """The peer's id, the same for life."""
        return idOf(self.identity)


Contacts = Annotated[list[Contact], Meta(max_length=MAX_CONTACTS)]


class Hello(Struct, array_like=True, frozen=True, tag=1):
    """
    The dialler's first message.

    @ivar purpose: C{"neighbour"} (a lasting link between peers), C{"register"}
        (a peer's lasting link to a seed) or C{"probe"} (are you alive?).
    @ivar strategies: of a neighbour, the names of its overlay, broadcast and
        detector, with a blank between; whoever uses others turns it away.
        Empty stands for L{MISSION}.
    @ivar urgent: of a neighbour, it needs this link: make room, if there is none.
    """

    version: Number
    network: Annotated[str, Meta(max_length=64)]
    purpose: Reason
    contact: Contact
    strategies: Annotated[str, Meta(max_length=200)] = ""
    urgent: bool = False


class Welcome(Struct, array_like=True, frozen=True, tag=2):
    """The answer to a L{Hello} that fits: who answers, and a few others it knows."""

    contact: Contact
    others: Contacts


class Close(Struct, array_like=True, frozen=True, tag=3):
    """
    The last message on a connection, in either direction, at any time.

    @ivar reason: one of the words of L{p2p.wire.reasons}.
    @ivar detail: a line for the other side's log.
    @ivar others: whom to try instead.
    """

    reason: Reason
    detail: Detail
    others: Contacts


class Register(Struct, array_like=True, frozen=True, tag=10):
    """
    Peer to seed: I am active and listen here.  Also renews the lease.

    @ivar want: how many contacts the answer should hold at most.
    """

    contact: Contact
    want: Annotated[int, Meta(ge=0, le=MAX_CONTACTS)]


class Registered(Struct, array_like=True, frozen=True, tag=11):
    """
    Seed to peer: you are on the list.

    @ivar lease: seconds within which to L{Register} again.
    @ivar total: how many peers are on the list.
    @ivar contacts: other active peers, all or a random sample.
    """

    lease: Annotated[float, Meta(gt=0, le=86400)]
    total: Number
    contacts: Contacts


class Removed(Struct, array_like=True, frozen=True, tag=12):
    """
    Seed to peer: this identity is off the list; whoever is alive registers under a higher incarnation.
    """

    identity: Identity
    reason: Reason


class Unreachable(Struct, array_like=True, frozen=True, tag=13):
    """Seed to peer: I cannot dial the address that you gave, so nobody is sent there."""

    address: AddressText
    detail: Detail


class Dead(Struct, array_like=True, frozen=True, tag=14):
    """
    Peer to seed: this peer is dead.

    @ivar evidence: what showed it: C{"refused"}, C{"silent"} or C{"replaced"}.
    """

    contact: Contact
    evidence: Reason


class Alive(Struct, array_like=True, frozen=True, tag=15):
    """Peer to neighbour: I was called dead and am not; this is my identity from now on."""

    identity: Identity


class Message(Struct, array_like=True, frozen=True, gc=False, tag=20):
    """
    A broadcast, known by its origin's identity and its number there.

    @ivar sequence: 1 for an origin's first message in this incarnation.
    @ivar hops: links it has crossed when it arrives; 1 from the origin itself.
    @ivar age: for how many seconds peers had kept it when it was sent, rounded up by each of them; 0 if it was passed
        on at once by all.
    """

    origin: Identity
    sequence: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    hops: Annotated[int, Meta(ge=1, le=MAX_HOPS)]
    payload: bytes
    age: Number = 0


Ranges = Annotated[list[Number], Meta(max_length=2 * MAX_GAPS)]


class Held(Struct, array_like=True, frozen=True):
    """
    What a peer has of one origin.

    @ivar top: the highest sequence number seen.
    @ivar gaps: first and last number of each range below C{top} that it
        lacks and would still take, in rising order: C{[1, 3, 7, 7]}.
    """

    origin: Identity
    top: Number
    gaps: Ranges


class Have(Struct, array_like=True, frozen=True, tag=21):
    """
    Neighbour to neighbour, once, when their link comes up: what I have; send what I lack.

    @ivar last: false if another follows.
    """

    held: Annotated[list[Held], Meta(max_length=MAX_HELD)]
    last: bool


class Announced(Struct, array_like=True, frozen=True):
    """
    Messages of one origin that somebody has.

    @ivar hops: links that they would have crossed if they came from there; of several, those of the latest.
    @ivar ranges: first and last number of each range, in rising order: C{[1, 3, 7, 7]}.
    """

    origin: Identity
    hops: Annotated[int, Meta(ge=1, le=MAX_HOPS)]
    ranges: Ranges


class Wanted(Struct, array_like=True, frozen=True):
    """
    Messages of one origin that somebody lacks.

    @ivar ranges: as in L{Announced}.
    """

    origin: Identity
    ranges: Ranges


class Gone(Struct, array_like=True, frozen=True):
    """
    Messages of one origin that somebody has had, and keeps no longer.

    @ivar ranges: as in L{Announced}.
    @ivar age: seconds since the last of them was seen, there or before by others, at least.
    """

    origin: Identity
    ranges: Ranges
    age: Annotated[float, Meta(ge=0, le=MAX_GONE_AGE)]


class IHave(Struct, array_like=True, frozen=True, tag=22):
    """
    Neighbour to neighbour: I have these and do not send them by myself.

    @ivar now: nobody sends them unasked; ask at once.
    """

    announced: Annotated[list[Announced], Meta(max_length=MAX_HELD)]
    now: bool


class Graft(Struct, array_like=True, frozen=True, tag=23):
    """
    Neighbour to neighbour: send me these.

    @ivar eager: and from now on everything that is new.
    """

    wanted: Annotated[list[Wanted], Meta(max_length=MAX_HELD)]
    eager: bool


class Prune(Struct, array_like=True, frozen=True, tag=24):
    """Neighbour to neighbour: what is new reaches me by another way; announce it only."""


class Lack(Struct, array_like=True, frozen=True, tag=25):
    """
    The answer to a L{Graft} for what cannot be sent; also sent after a L{Have}, of what it shows to be missing there.

    @ivar never: what has not been seen here either.
    @ivar gone: what is kept no longer.
    """

    never: Annotated[list[Wanted], Meta(max_length=MAX_HELD)]
    gone: Annotated[list[Gone], Meta(max_length=MAX_HELD)]


class Batch(Struct, array_like=True, frozen=True, tag=26):
    """Several messages in one frame, each as in its own."""

    messages: Annotated[list[Message], Meta(max_length=MAX_BATCH)]


class Sync(Struct, array_like=True, frozen=True, tag=27):
    """Neighbour to neighbour: say L{Synced} once you have handled everything before this."""

    number: Number


class Synced(Struct, array_like=True, frozen=True, tag=28):
    """The answer to the L{Sync} of that number."""

    number: Number


class Ping(Struct, array_like=True, frozen=True, tag=30):
    """Are you there?"""

    number: Number


class Pong(Struct, array_like=True, frozen=True, tag=31):
    """The answer to the L{Ping} of that number."""

    number: Number


MAX_RUMOUR_HOPS = 8
"""Links that a rumour may still cross at most."""

Refuted = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""How often a peer has refuted that it is dead, in one life: what SWIM calls its incarnation."""

RumourHops = Annotated[int, Meta(ge=1, le=MAX_RUMOUR_HOPS)]
"""How many links a rumour may cross, the one that it comes on included."""


class PingReq(Struct, array_like=True, frozen=True, tag=32):
    """
    Do you reach this peer?

    @ivar number: what the answer is to bear.
    @ivar refuted: how often it has refuted, as far as who asks knows.
    """

    number: Number
    contact: Contact
    refuted: Refuted


class Ack(Struct, array_like=True, frozen=True, tag=33):
    """The answer to the L{PingReq} of that number: it is reached."""

    number: Number


class Nack(Struct, array_like=True, frozen=True, tag=34):
    """To the L{PingReq} of that number: I am here and have asked, but have no answer yet."""

    number: Number


class Suspect(Struct, array_like=True, frozen=True, tag=35):
    """
    A rumour: somebody cannot reach this peer.  To itself: show that you live.

    @ivar refuted: how often it had refuted by then.
    @ivar by: who cannot.
    """

    contact: Contact
    refuted: Refuted
    by: Identity
    hops: RumourHops


class Refute(Struct, array_like=True, frozen=True, tag=36):
    """
    A rumour: I was suspected and live.

    @ivar refuted: how often that peer has refuted now.
    """

    identity: Identity
    refuted: Refuted
    hops: RumourHops


class Faulty(Struct, array_like=True, frozen=True, tag=37):
    """A rumour: a neighbour of this peer has found it dead.  Look for yourself."""

    contact: Contact
    refuted: Refuted
    hops: RumourHops


class Custom(Struct, array_like=True, frozen=True, tag=50):
    """
    Neighbour to neighbour: a message of a strategy that comes from elsewhere than this package.

    @ivar kind: to whom it is addressed: C{"overlay"}, C{"broadcast"} or C{"detector"}.
    @ivar body: whatever that strategy packs into MessagePack; nobody has looked at it on the way.
    """

    kind: Reason
    body: Any


class Join(Struct, array_like=True, frozen=True, tag=40):
    """
    HyParView, newcomer to the first peer that it dialled: let others know of me.

    @ivar want: how many more links it has room for.
    """

    want: Annotated[int, Meta(ge=0, le=MAX_WALK)]


class ForwardJoin(Struct, array_like=True, frozen=True, tag=41):
    """
    HyParView: a newcomer's contact, on a random walk; who is at its end dials it.

    @ivar hops: links it has crossed so far; 0 when the one that was joined sends it.
    """

    contact: Contact
    hops: Annotated[int, Meta(ge=0, le=MAX_WALK)]


class Sighting(Struct, array_like=True, frozen=True):
    """
    A contact, and how long ago it was certainly there.

    @ivar age: seconds since it said something itself, rounded up.
    """

    contact: Contact
    age: Annotated[int, Meta(ge=0, le=MAX_SIGHTING_AGE)]


Sightings = Annotated[list[Sighting], Meta(max_length=MAX_SIGHTINGS)]


class Shuffle(Struct, array_like=True, frozen=True, tag=42):
    """
    HyParView: some contacts, on a random walk; who is at its end answers with others.

    @ivar number: by which the one who sends it knows the answer again; another one on each link.
    @ivar hops: links it has crossed so far; at 0, whoever gets it puts the sender first among the sightings.
    """

    number: Number
    hops: Annotated[int, Meta(ge=0, le=MAX_WALK)]
    sightings: Sightings


class ShuffleReply(Struct, array_like=True, frozen=True, tag=43):
    """HyParView: the answer to the L{Shuffle} of that number, on its way back over the same links."""

    number: Number
    sightings: Sightings


AnyMessage = (
    Hello | Welcome | Close
    | Register | Registered | Removed | Unreachable | Dead | Alive
    | Message | Have | IHave | Graft | Prune | Lack | Batch | Sync | Synced
    | Ping | Pong | PingReq | Ack | Nack | Suspect | Refute | Faulty
    | Join | ForwardJoin | Shuffle | ShuffleReply
    | Custom
)  # fmt: skip
"""What may stand in a frame."""
