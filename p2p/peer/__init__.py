"""
A peer: it links itself to a few others, spreads messages and watches that they live.
"""
