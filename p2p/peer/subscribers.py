"""
Who is told of a peer's messages: in the order in which they come, or each origin's in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.logger import Logger

from p2p.events import enlist
from p2p.peer.delivery import Delivery
from p2p.peer.order import InOrder
from p2p.settings import PeerSettings

Subscriber = Callable[[Delivery], object]


class Subscribers:
    """
    Those who have subscribed.  One that raises is logged and stays.

    @ivar any: somebody has, in either way.
    """

    _log = Logger()

    def __init__(self, settings: PeerSettings, settled: Callable[[bytes], int]) -> None:
        """
        @param settled: the number of an origin up to which nothing is waited for.
        """
        self._settings = settings
        self._settled = settled
        self._atOnce: tuple[Subscriber, ...] = ()
        self._ordered: tuple[Subscriber, ...] = ()
        # What came early is held back from the first ordered subscription on.
        self._heldBack: InOrder | None = None

    @property
    def any(self) -> bool:
        """See the class's text."""
        return bool(self._atOnce or self._ordered)

    def add(self, subscriber: Subscriber, ordered: bool) -> Callable[[], None]:
        """
        Tell one more.

        @return: call this to end it.
        """
        if not ordered:
            return enlist(self, "_atOnce", subscriber)
        if self._heldBack is None:
            self._holdBack()
        return enlist(self, "_ordered", subscriber)

    def tell(self, delivery: Delivery) -> None:
        """A message was seen for the first time."""
        self._tell(self._atOnce, delivery)
        if self._ordered and self._heldBack is not None:
            self._heldBack.take(delivery)

    def look(self) -> None:
        """Something may have been given up that others wait for."""
        if self._heldBack is not None:
            self._heldBack.look()

    def forget(self) -> None:
        """Another life of the peer begins: what was held back in the last one is told to nobody."""
        if self._heldBack is not None:
            self._holdBack()

    def _holdBack(self) -> None:
        self._heldBack = InOrder(self._settings, self._settled, lambda delivery: self._tell(self._ordered, delivery))

    def _tell(self, subscribers: Iterable[Subscriber], delivery: Delivery) -> None:
        for subscriber in subscribers:
            try:
                subscriber(delivery)
            except Exception:
                self._log.failure("a subscriber failed on {id}", id=delivery.id)
