"""
The subcommands of C{p2p}: each module here registers its own with L{p2p.cli.cli}.
"""
