"""
Bytes to messages and back, and the connections that carry them; it knows no seed and no peer.
"""
