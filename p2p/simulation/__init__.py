"""
A simulated network on which unmodified Twisted programs run, by the thousand, under a virtual clock.
"""
