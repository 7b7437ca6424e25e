"""The C{p2p} command, which C{python -m p2p} is, too: loads what reads the command line, and runs it."""

from __future__ import annotations

import sys


def main() -> None:
    """
    Run C{p2p}.

    @raise SystemExit: always.
    """
    try:
        from p2p.cli import main as run
    except KeyboardInterrupt:
        # As if it had come a moment later.
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
