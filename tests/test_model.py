"""
The closed forms and published figures whose checks take many seconds even at their small size.
"""

from __future__ import annotations

from p2p.test.test_model import ModelCase


class LongModelTests(ModelCase):
    """Each module in L{p2p.test.model} that says that it is C{LONG}."""

    timeout = 600


LongModelTests.addTests(long=True)
