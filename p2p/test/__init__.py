"""
Unit tests, in memory: no real clock, no sockets.
"""
