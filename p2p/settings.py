"""
Every setting of a seed and of a peer: its meaning, unit, range and default, each described here and nowhere else.

The daemons' command-line options (C{--gossip-interval}) and the keys of a
scenario file (C{gossipInterval}) are made from these two records.
"""

from __future__ import annotations

from math import log10
from typing import Any, TypeVar

import attrs

from p2p.wire.messages import FRAME

T = TypeVar("T")


class SettingError(ValueError):
    """A setting's value is out of its range or of the wrong kind; the message is one line that names it."""


def _checked(instance: object, field: attrs.Attribute[Any], value: Any) -> None:
    """Refuse what is not of the field's kind or not within its bounds."""
    kind, low, high = field.metadata["kind"], field.metadata["low"], field.metadata["high"]
    right = isinstance(value, (int, float) if kind is float else kind)
    if not right or (isinstance(value, bool) and kind is not bool):
        raise SettingError(f"{field.name}: {value!r} is not {KINDS[kind]}")
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        # So Python reads from a command line what is no UTF-8; nobody could be told of it.
        raise SettingError(f"{field.name}: {value!r} is not {KINDS[str]} (UTF-8)")
    size = len(value) if isinstance(value, str) else value
    if not low <= size <= high:
        unit = field.metadata["unit"]
        raise SettingError(f"{field.name}: {value!r} is not within {low} to {high} {unit}".rstrip())


KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "on or off"}
"""How an error message calls the kind of value that a setting takes."""

MAX_PAYLOAD = 2**28
"""Bytes of a message's payload that no network takes more than."""

SWITCH = {"off": False, "on": True}
"""How a command line writes what is on or off; a scenario file says true or false."""


def setting(default: T, what: str, unit: str = "", low: float = 0, high: float = 2**31) -> T:
    """
    A field of a settings record.

    @param default: the default; its type is the setting's type.
    @param what: one line for C{--help}.
    @param unit: what the number counts; empty for a name, or for what is on or off.
    @param low: the smallest value taken (for a text, the shortest length).
    @param high: the largest value taken (for a text, the greatest length).
    """
    kind = type(default)
    if kind is bool:
        high = 1
    field: T = attrs.field(
        default=default,
        validator=_checked,
        metadata={"what": what, "unit": unit, "kind": kind, "low": low, "high": high},
    )
    return field


@attrs.frozen(kw_only=True)
class LinkSettings:
    """What holds for every connection of a node, seed or peer."""

    network: str = setting(
        "p2p", "name of the network; nodes of another name are turned away", "characters", 1, 64
    )
    connectTimeout: float = setting(
        5.0, "how long dialling an address may take", "seconds", 0.01, 300
    )
    handshakeTimeout: float = setting(
        5.0, "how long a new connection may take to say who it is", "seconds", 0.01, 300
    )
    probeTimeout: float = setting(
        2.0, "how long a suspect has to answer one of three fresh connections before it is called dead",
        "seconds", 0.01, 300,
    )  # fmt: skip
    maxBacklog: int = setting(
        8 * 2**20, "unsent data at which a slow reader is cut off; a peer's must be maxPayload and 64 at least, and 4"
        " times maxPayload is wise", "bytes", 2**10, 2**31,
    )
    slowTimeout: float = setting(
        10.0, "how long one may leave unread what it is sent before it is cut off; by a peer, only if publishing waits"
        " for that", "seconds", 0.01, 3600,
    )
    maxPerHost: int = setting(
        512, "connections taken from one IP address (IPv6: /64) at a time", "connections", 1, 10**6
    )
    goodbyeTimeout: float = setting(
        2.0, "how long saying goodbye may take, to one other or to all when the daemon ends", "seconds", 0.01, 60
    )


@attrs.frozen(kw_only=True)
class SeedSettings(LinkSettings):
    """How a seed behaves; C{twistd p2pseed --help} says of each setting what it means, in which unit."""

    leaseInterval: float = setting(
        20.0, "how often a peer must renew; after three of these without, it is gone", "seconds", 0.01, 86400
    )
    maxPeers: int = setting(
        100_000, "peers on the list at most; further registrations are refused", "peers", 1, 10**7
    )
    maxSample: int = setting(
        1000, "peers in one answer at most; of a longer list a random sample is sent", "peers", 1, 1000
    )
    maxLinks: int = setting(
        120_000, "connections at a time, from everyone together", "connections", 1, 10**7
    )
    registrationRate: float = setting(
        200.0, "registrations a second taken from one IP address (IPv6: /64), with bursts of five times as many; each"
        " 100 peers in an answer count as one more", "per second", 0.01, 10**6,
    )
    falseReports: int = setting(
        3, "reports of a live peer as dead after which a reporter is not listened to", "reports", 1, 10**6
    )
    falseReportWindow: float = setting(
        60.0, "within how long those false reports must fall", "seconds", 0.01, 86400
    )
    muteTime: float = setting(
        300.0, "how long such a reporter is not listened to", "seconds", 0.01, 86400
    )
    maxChecks: int = setting(
        64, "peers dialled back at a time, up to three times each, to check an address or a report", "checks", 1, 10**5
    )


@attrs.frozen(kw_only=True)
class PeerSettings(LinkSettings):
    """How a peer behaves; C{twistd p2ppeer --help} says of each setting what it means, in which unit."""

    maxConnections: int = setting(
        4, "links it dials at most; it draws min(random 1..n, this) of n candidates", "links", 1, 1000
    )
    maxInbound: int = setting(
        16, "links it takes from those that dial it", "links", 0, 10**5
    )
    maxInboundPerHost: int = setting(
        8, "of those, links from one IP address (IPv6: /64); from this machine itself as many as there is room for",
        "links", 1, 10**5,
    )
    overlay: str = setting("random", "how it chooses whom to be linked to", "characters", 1, 64)
    broadcast: str = setting("flood", "how messages spread", "characters", 1, 64)
    detector: str = setting("heartbeat", "how it tells who is alive", "characters", 1, 64)
    gossipInterval: float = setting(
        5.0, "pause between the messages it makes by itself", "seconds", 0.001, 86400
    )
    gossipCount: int = setting(
        10, "messages it makes by itself; 0 for none", "messages", 0, 10**9
    )
    livenessInterval: float = setting(
        1.0, "pause between two pings of a neighbour", "seconds", 0.01, 3600
    )
    livenessMisses: int = setting(
        3, "intervals of silence after which a neighbour is suspected and dialled afresh", "intervals", 1, 1000
    )
    seedInterval: float = setting(
        30.0, "how often it asks the seeds for the list again, and exchanges one link", "seconds", 0.01, 86400
    )
    reconnectInterval: float = setting(
        3.0, "pause after which one that was found dead is asked whether it lives after all, so that a split network"
        " grows together; it grows to a twentieth of the time since", "seconds", 0.01, 86400
    )
    reconnectTime: float = setting(
        3600.0, "how long those are remembered that fell silent; 0 for not at all", "seconds", 0, 10 * 86400
    )
    slowPause: float = setting(
        30.0, "how long one that was cut off because it did not read is neither let in nor dialled; each time again,"
        " twice as long, up to 64 times; 0 for not at all", "seconds", 0, 86400,
    )
    maxKnown: int = setting(
        256, "addresses it remembers, to replace lost links from", "addresses", 8, 10**5
    )
    maxPayload: int = setting(
        2**20, "payload of one message; the same in the whole network", "bytes", 1, MAX_PAYLOAD
    )
    historyMessages: int = setting(
        10_000, "recent messages kept for neighbours that missed them", "messages", 0, 10**7
    )
    historyBytes: int = setting(
        4 * 2**20, "payload bytes kept for neighbours that missed them; of maxBacklog never more than half is taken",
        "bytes", 0, 2**31,
    )
    historyTime: float = setting(
        300.0, "how long a message is kept for neighbours that missed it", "seconds", 0, 86400
    )
    maxOrigins: int = setting(
        10_000, "origins whose sequence numbers are remembered; the longest silent is forgotten first",
        "origins", 1, 10**7,
    )
    maxGap: int = setting(
        10**6, "of the messages of one origin that one which came early has overtaken, how many are still taken, the"
        " latest; costs no memory, and less than what may be under way in an overloaded network loses messages",
        "messages", 1, 10**7,
    )
    lossDelay: float = setting(
        10.0, "how long a missing message is still hoped for once somebody has said that he had it and no longer keeps"
        " it", "seconds", 0, 3600,
    )
    # Plumtree. The paper gives no times; its simulator works in cycles. What speaks for these stands in
    # docs/protocols.md.
    lazyDelay: float = setting(
        0.2, "plumtree: how long what is announced over lazy links is collected; longer means fewer frames, and a later"
        " repair", "seconds", 0, 60,
    )
    graftDelay: float = setting(
        0.5, "plumtree: how long a message that was announced may still come by itself before it is asked for; less"
        " than the tree's slowest way asks in vain", "seconds", 0, 60,
    )
    graftTimeout: float = setting(
        1.0, "plumtree: how long whoever was asked may take before another is asked too", "seconds", 0.01, 60
    )
    treeThreshold: int = setting(
        3, "plumtree: by how many hops an announcement must be ahead to change the tree; 0 for never", "hops", 0, 100
    )
    announceSize: int = setting(
        32 * 2**10, "plumtree: payloads of so many bytes are announced and asked for, so that no second copy starts"
        " while one is under way; that costs a round trip a hop", "bytes", 0, 2**31,
    )
    pullTimeout: float = setting(
        30.0, "plumtree: how long whoever was asked for such a payload may take without a sign of it before another is"
        " asked", "seconds", 0.01, 3600,
    )
    batchDelay: float = setting(
        0.0, "plumtree: pause between two frames with new messages to one neighbour, which collect what comes"
        " meanwhile; fewer frames, and up to so much later a hop", "seconds", 0, 10,
    )
    repairDelay: float = setting(
        1.0, "plumtree: how long a hole in the numbers of an origin may last before it is asked for", "seconds", 0, 60
    )
    repairRounds: int = setting(
        8, "plumtree: how many neighbours in turn are asked for what nobody has announced", "neighbours", 0, 1000
    )
    maxLinks: int = setting(
        1024, "connections at a time, probes and newcomers included", "connections", 2, 10**6
    )
    # The overlay named hyparview; the defaults are those of the paper's section 5.1.
    activeView: int = setting(
        5, "hyparview: links it has, dialled or taken; of them it dials maxConnections at most", "links", 1, 1000
    )
    passiveView: int = setting(
        30, "hyparview: addresses it keeps to replace lost links from", "addresses", 1, 10**4
    )
    activeWalk: int = setting(
        6, "hyparview: how far the news of a newcomer, and a shuffle, walks at random", "links", 1, 64
    )
    passiveWalk: int = setting(
        3, "hyparview: so far before its end a walk leaves the newcomer in a passive view; at most activeWalk",
        "links", 0, 64,
    )
    shuffleActive: int = setting(
        3, "hyparview: neighbours named in a shuffle", "addresses", 0, 30
    )
    shufflePassive: int = setting(
        4, "hyparview: addresses of the passive view named in a shuffle", "addresses", 0, 30
    )
    shuffleInterval: float = setting(
        10.0, "hyparview: pause between two shuffles that it begins", "seconds", 1, 86400
    )
    # The detector "swim", whose period is livenessInterval; the defaults are memberlist's.  See C{silenceBound} below.
    pingTimeout: float = setting(
        0.5, "swim: how long a neighbour may take to answer before others are asked about it; of livenessInterval never"
        " more than half is taken", "seconds", 0.001, 60,
    )
    indirectProbes: int = setting(
        3, "swim: neighbours that are asked to reach one that did not answer", "neighbours", 0, 64
    )
    suspicionMult: float = setting(
        4.0, "swim: a suspect has this, times livenessInterval (times the logarithm to base 10 of one more than the"
        " neighbours, if that is above 1), to show that it lives", "intervals", 1, 1000,
    )
    suspicionMaxMult: float = setting(
        6.0, "swim: so many times as long while nobody else confirms the suspicion (with lifeguardSuspicion)",
        "times", 1, 100,
    )
    healthMax: int = setting(
        8, "swim: so many times as slowly a peer probes and waits at most, in bad health (with lifeguardProbe)",
        "times", 1, 100,
    )
    rumourHops: int = setting(
        2, "swim: links that suspicions, refutations and deaths cross at most", "links", 1, 8
    )
    forgetTime: float = setting(
        60.0, "swim: how long what was said of a peer is remembered, so that it is not passed on twice",
        "seconds", 1, 86400,
    )
    lifeguardProbe: bool = setting(
        True, "swim: probe more slowly and wait longer in bad health of one's own"
    )
    lifeguardSuspicion: bool = setting(
        True, "swim: a suspect's time is long, and shrinks as others confirm the suspicion"
    )
    lifeguardBuddy: bool = setting(
        True, "swim: tell a suspect that it is one with every ping"
    )

    def checkTogether(self) -> None:
        """
        See that the settings agree with each other.

        @raise SettingError: they do not.
        """
        if self.maxPayload + FRAME > self.maxBacklog:
            raise SettingError(
                f"maxPayload: {self.maxPayload} bytes, with {FRAME} of its frame, are more than maxBacklog,"
                f" {self.maxBacklog}: who does not read at once would be cut off for one message"
            )

    def silenceBound(self, neighbours: int) -> float:
        """
        Within how many seconds a peer that falls silent is found dead by each neighbour that is in good health.

        With the detector C{heartbeat} (and one that is not known here)::

            (livenessMisses + 1) * livenessInterval + probeTimeout

        With C{swim}, whose neighbours are pinged one a period, if others confirm the suspicion::

            2 * neighbours * livenessInterval                   until the ping that meets it, and its period's end
            + max(probeTimeout, suspicionMult * max(1, log10(neighbours + 1)) * livenessInterval)
            + probeTimeout                                      for the last fresh connection

        and if nobody confirms it, C{suspicionMaxMult} times as many in the middle one.

        @param neighbours: how many that neighbour has.
        """
        if self.detector != "swim":
            return (self.livenessMisses + 1) * self.livenessInterval + self.probeTimeout
        suspected = self.suspicionMult * max(1.0, log10(neighbours + 1)) * self.livenessInterval
        return 2 * neighbours * self.livenessInterval + max(self.probeTimeout, suspected) + self.probeTimeout
