"""C{twistd p2pseed}: where its plugin points to."""

from p2p.daemon.options import SeedOptions as Options
from p2p.daemon.service import makeSeed as makeService

__all__ = ["Options", "makeService"]
