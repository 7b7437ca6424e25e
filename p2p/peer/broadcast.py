"""
Flooding: whoever sees a message for the first time sends it to every neighbour but the one it came from.

On a connected overlay of E links and N peers a message without loss costs
exactly 2E - (N - 1) frames and reaches everyone by the shortest way.  It is
the mission's gossip, and the yardstick for anything cleverer.
"""

from __future__ import annotations

from random import Random
from typing import Any

from zope.interface import implementer

from p2p.interfaces import IBroadcast
from p2p.peer.history import HistoryKeeper
from p2p.settings import PeerSettings
from p2p.wire.messages import MAX_HOPS, Have, Lack, Message


@implementer(IBroadcast)
class Flood(HistoryKeeper):
    """The broadcast named C{flood}; see the module's text."""

    __slots__ = ("_neighbours", "_outlet")

    messages = (Message, Have, Lack)

    def __init__(self, outlet: Any, settings: PeerSettings, random: Random) -> None:
        """
        @param outlet: an L{p2p.interfaces.IBroadcastOutlet}.
        """
        super().__init__(outlet, settings)
        self._outlet = outlet
        self._neighbours: dict[Any, None] = {}

    def publish(self, identity: bytes, payload: bytes, now: float) -> Message:
        """See L{IBroadcast}."""
        message = self._history.own(identity, payload, now)
        self._outlet.send(self._neighbours, Message(identity, message.sequence, 1, payload))
        self._outlet.deliver(message, None, now)
        return message

    def neighbourUp(self, neighbour: Any, now: float) -> None:
        """Tell it what is here, so that it sends what is not."""
        self._neighbours[neighbour] = None
        self._history.meet(neighbour, now)

    def neighbourDown(self, neighbour: Any, reason: str, now: float) -> None:
        """See L{IBroadcast}."""
        self._neighbours.pop(neighbour, None)
        self._history.part(neighbour)

    def received(self, message: Message | Have | Lack, neighbour: Any, now: float) -> None:
        """Take a message: the path that everything a peer does is measured by."""
        if isinstance(message, Message):
            new = self._history.take(message, now)
            if new is None:
                return
            hops = new.hops
            if hops < MAX_HOPS:
                onward = Message(new.origin, new.sequence, hops + 1, new.payload, new.age)
                self._outlet.send(self.relayTo(neighbour), onward)
            self._outlet.deliver(new, neighbour, now)
        elif neighbour not in self._neighbours:
            # It crossed the end of the link.
            return
        elif isinstance(message, Lack):
            self._history.gone(message.gone, neighbour, now)
        else:
            self._history.had(message, neighbour, now)

    def relayTo(self, neighbour: Any) -> list[Any]:
        """The neighbours that a message goes to which C{neighbour} brought and which is new here."""
        return [other for other in self._neighbours if other is not neighbour]
