"""
The directory that a run is written to.

The files go by fixed names, and by these names they are known when another run
is written there: what is of the run before goes, and whatever else there is
stays.
"""

from __future__ import annotations

import os
from contextlib import suppress

from p2p.simulation.runplots import NAMES

TRACE, RESULTS, REPORT, TRACEBACK = "trace.jsonl", "results.json", "report.html", "traceback.txt"
PLOTS = "plots"


def isForeign(directory: str) -> bool:
    """Whether there is something in a directory and no run among it."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return False
    return bool(names) and TRACE not in names


def plotPath(directory: str, name: str) -> str:
    """Where a plot of a run is, which is called by one of L{NAMES}."""
    return os.path.join(directory, PLOTS, f"{name}.png")


def cleared(directory: str) -> str:
    """
    Make a directory ready for a run: it is there, and nothing in it is of a run before.

    @return: the directory.
    @raise OSError: that cannot be done.
    """
    os.makedirs(directory, exist_ok=True)
    files = [os.path.join(directory, name) for name in (TRACE, RESULTS, REPORT, TRACEBACK)]
    for path in (*files, *(plotPath(directory, name) for name in NAMES)):
        with suppress(FileNotFoundError, NotADirectoryError):
            os.remove(path)
    # Unless somebody else has put something there.
    with suppress(OSError):
        os.rmdir(os.path.join(directory, PLOTS))
    return directory
