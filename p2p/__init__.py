"""
A peer-to-peer network on Twisted: seeds that know who is active, peers that link, gossip and watch each other.
"""

__version__ = "0.1.0"
