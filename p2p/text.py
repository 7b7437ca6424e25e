"""
Words for a terminal or a log: others' made harmless, and numbers with what they count.
"""

from __future__ import annotations


def harmless(text: str, width: int = 0) -> str:
    """
    A text on one line without control characters, cut at C{width} if that is given.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if not width or len(text) <= width else text[: width - 1] + "…"


def oneLine(text: str) -> str:
    """A text of several lines on one, without control characters."""
    return harmless(" ".join(text.split()))


def errorLine(error: BaseException) -> str:
    """What an exception is and says, on one line."""
    return oneLine(f"{type(error).__name__}: {error}")


def counted(number: int, what: str) -> str:
    """C{1 link}, C{2 links}."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
