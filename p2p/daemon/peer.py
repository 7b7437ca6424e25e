"""C{twistd p2ppeer}: where its plugin points to."""

from p2p.daemon.options import PeerOptions as Options
from p2p.daemon.service import makePeer as makeService

__all__ = ["Options", "makeService"]
