"""
What an operator touches: seed and peer as daemons under C{twistd} or C{twist}.

L{p2p.daemon.options} reads the command line and takes what the daemon needs
(L{p2p.daemon.claim}) before anything is started; L{p2p.daemon.service} joins
the node, its log file (L{p2p.daemon.logfile}), its memory
(L{p2p.daemon.store}) and its HTTP interface (L{p2p.daemon.http}).
"""
