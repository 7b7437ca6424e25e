"""
Why a connection ended: the words that a L{Close} carries, that logs print and that strategies are told.

Three words never travel, because nobody was there to send them: L{LOST},
L{REFUSED} and L{LOCAL}.
"""

LEAVING = "leaving"
"""The node goes away on purpose: nobody should call it dead."""

FULL = "full"
"""No room for another connection of this kind; others may be named."""

DUPLICATE = "duplicate"
"""The two are linked already."""

REWIRED = "rewired"
"""The link was given up for another one."""

SELF = "self"
"""A node dialled itself."""

NETWORK = "network"
"""The other belongs to a network of another name."""

VERSION = "version"
"""The other speaks another version of the protocol."""

STRATEGY = "strategy"
"""The other chooses its links, spreads messages or watches in another way."""

ROLE = "role"
"""A seed was asked to be a neighbour, or a peer to register somebody."""

MALFORMED = "malformed"
"""Something came that is no message, or not one that may come now."""

TOO_LARGE = "too large"
"""A frame came that is larger than any may be."""

FAULT = "fault"
"""What came could not be handled, for a fault of the program that says so: that is no fault of the other's."""

TIMEOUT = "timeout"
"""The other did not say who it is, or did not close, in time."""

SLOW = "slow"
"""The other did not read what was sent to it, now or a while ago."""

RATE = "rate"
"""Too many requests in too short a time."""

STALE = "stale"
"""The other has been superseded by a later incarnation of itself."""

SILENT = "silent"
"""A link on which nothing came any more."""

DONE = "done"
"""What the connection was made for is done."""

LOST = "lost"
"""The connection broke off without a word."""

REFUSED = "refused"
"""Nobody listens at that address."""

LOCAL = "local"
"""This node could not even try (no descriptor, no route of its own): that says nothing of the other."""

DEAD = "dead"
"""The other was declared dead."""

UNSPOKEN = frozenset({LOST, REFUSED, LOCAL})
"""The words that never travel."""

EVIDENCE = frozenset({LOST, TIMEOUT, SLOW})
"""The words for an end of a link that may have been the end of the other: a detector looks at once."""

EXPIRED = "expired"
"""The lease ran out without having been renewed."""
