"""
Tests with real processes and sockets: C{trial tests}.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell's background job has it, and would hand it on to the programs that are interrupted here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
