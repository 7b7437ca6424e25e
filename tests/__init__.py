"""
The whole system from outside: real processes, sockets and signals, as a user would meet it.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell's background job has it, and would hand it on to the programs that are interrupted here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
