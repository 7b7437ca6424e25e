"""
The whole system from outside: real processes, sockets and signals, as a user would meet it.
"""
