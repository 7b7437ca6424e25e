"""
Tests for L{p2p.numerals}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2p.numerals import readDecimal, readWhole

FANCY = (
    "", " 5", "5 ", "5\n", "+5", "--5", "1_0", "1e3", "0x10", "1,5", "nan", "inf", "-inf", "Infinity",
    "\N{FULLWIDTH DIGIT ONE}", "\N{ARABIC-INDIC DIGIT ONE}", "\N{SUPERSCRIPT TWO}",
)
"""What Python, or somebody else, may read as a number."""


class NumeralTests(SynchronousTestCase):
    """Plain decimal numbers and nothing else."""

    def test_whatIsPlainIsRead(self) -> None:
        """Whole or with a fraction; what is below 0 is somebody else's to refuse."""
        self.assertEqual([readWhole(text) for text in ("0", "10", "007", "-3", "9" * 19)], [0, 10, 7, -3, 10**19 - 1])
        self.assertEqual([readDecimal(text) for text in ("0", "10", "0.5", ".5", "-2.25")], [0, 10, 0.5, 0.5, -2.25])

    def test_whatIsNotIsRefused(self) -> None:
        """In one line that has it."""
        for text in (*FANCY, "5.", ".", "-", "1.2.3", "9" * 40):
            for read, what in ((readWhole, "a whole number"), (readDecimal, "a number")):
                self.assertEqual(str(self.assertRaises(ValueError, read, text)), f"{text!r} is not {what}")

    def test_aFractionIsNoWholeNumber(self) -> None:
        """Not even of nothing."""
        for text in ("1.5", "1.0", ".5"):
            self.assertRaises(ValueError, readWhole, text)
