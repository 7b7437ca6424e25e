"""C{python -m p2p} is C{p2p}."""

from p2p.cli import main

if __name__ == "__main__":
    main()
