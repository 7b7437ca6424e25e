"""
Numbers as requests and command lines have them: plain decimal ones, with a minus sign at most.

C{int} and C{float} read more: C{1_0}, C{+5}, C{ 5}, C{1e3}, digits of other scripts, C{nan} and C{inf}.  Other programs
read those otherwise or not at all, and nobody who writes one to a daemon is sure to have meant it.
"""

from __future__ import annotations

import re

_WHOLE = re.compile(r"-?[0-9]{1,19}")

_DECIMAL = re.compile(r"-?[0-9]{0,19}\.?[0-9]{1,19}")


def readWhole(text: str) -> int:
    """
    A whole number of up to 19 digits, like C{10}.

    @raise ValueError: the text is none; the message is one line.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def readDecimal(text: str) -> float:
    """
    A number like C{10}, C{0.5} or C{.5}.

    @raise ValueError: the text is none; the message is one line.
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return float(text)
