"""
What it shows that a fresh connection finds nobody: nothing, if the peer has said a word since it was doubted.
"""

from __future__ import annotations

from typing import Any

import attrs


@attrs.define(eq=False)
class Doubt:
    """
    Why a peer is dialled afresh.

    Only a word on the link that was there when it began settles it: anybody
    may link himself under a dead peer's name.

    @ivar link: that link, if there was one.
    @ivar settled: it has brought a word since.
    @ivar again: and after that there was something to doubt anew.
    """

    link: Any
    settled: bool = False
    again: bool = False

    @property
    def over(self) -> bool:
        """That nobody answers shows nothing."""
        return self.settled and not self.again

    def settle(self, link: Any) -> None:
        """A word has come on a link."""
        if link is self.link:
            self.settled, self.again = True, False

    def renew(self) -> None:
        """There is something to doubt; silence shows it only if what was asked before was asked for that."""
        self.again = self.settled
