"""
A seed: it keeps the list of active peers.
"""
