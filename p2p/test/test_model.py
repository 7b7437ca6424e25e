"""
Closed forms and published figures hold at a small size; C{make check-model} sees to a large one.
"""

from __future__ import annotations

from collections.abc import Callable

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from p2p.test.model import __main__ as command
from p2p.test.model import checks
from p2p.test.model.figure import Figure, about, atLeast, atMost, between, exactly


class ModelCase(SynchronousTestCase):
    """Checks at their small size."""

    def hold(self, name: str) -> None:
        """All figures of a check are within their bounds."""
        check = checks()[name]
        figures = list(check.check(check.SMALL))
        self.assertTrue(figures)
        self.assertEqual([str(figure) for figure in figures if not figure.holds], [])

    @classmethod
    def addTests(cls, long: bool) -> None:
        """Add a test for each of the checks that take many seconds, or of those that do not."""
        for name, check in checks().items():
            if getattr(check, "LONG", False) is long:

                def test(self: ModelCase, name: str = name) -> None:
                    self.hold(name)

                test.__doc__ = check.__doc__
                setattr(cls, f"test_{name}", test)


class ModelTests(ModelCase):
    """Each module in L{p2p.test.model} that takes a few seconds at most."""


ModelTests.addTests(long=False)


class FigureTests(SynchronousTestCase):
    """What is within its bounds, and what is not."""

    def test_bounds(self) -> None:
        """Each kind of figure holds at its bounds, misses beyond them, and misses if nothing was measured."""
        kinds: list[tuple[Callable[[float | None], Figure], list[float], list[float]]] = [
            (lambda measured: exactly("x", 5, measured), [5, 5.0], [4, 6, 5.001]),
            (lambda measured: about("x", 5.0, measured, 0.5), [4.5, 5.5], [4.49, 5.51]),
            (lambda measured: between("x", 4.0, 5.0, measured), [4.0, 5.0], [3.9, 5.1]),
            (lambda measured: atMost("x", 5.0, measured), [-100.0, 5.0], [5.1]),
            (lambda measured: atLeast("x", 5.0, measured), [5.0, 1e9], [4.9]),
        ]
        for make, inside, outside in kinds:
            for measured in inside:
                self.assertTrue(make(measured).holds, make(measured))
            for missed in (*outside, None, float("nan")):
                self.assertFalse(make(missed).holds, make(missed))

    def test_text(self) -> None:
        """It says what was expected and what came."""
        self.assertEqual(str(exactly("frames", 381, 380)), "MISS  frames: expected 381, measured 380")
        self.assertEqual(str(atMost("hops", 9, 9)), "ok    hops: expected at most 9, measured 9")
        self.assertEqual(str(exactly("s", 5, None)), "MISS  s: expected 5, measured never")


class CommandTests(SynchronousTestCase):
    """C{python -m p2p.test.model}."""

    def run_(self, *arguments: str) -> tuple[int, str]:
        """Exit status and output."""
        result = CliRunner().invoke(command.main, arguments)
        return result.exit_code, result.output

    def test_aCheckThatHolds(self) -> None:
        """Its figures are printed, and the exit status is 0."""
        status, output = self.run_("regular", "--peers", "30")
        self.assertEqual(status, 0)
        self.assertIn("regular, 30 peers", output)
        self.assertIn("  ok    components: expected 1, measured 1\n", output)

    def test_aMiss(self) -> None:
        """One figure out of its bounds, and the exit status is 1."""
        regular = checks()["regular"]
        self.patch(regular, "PATHS", {30: 9.0})
        status, output = self.run_("regular", "--peers", "30")
        self.assertEqual(status, 1)
        self.assertIn("  MISS  mean path length, links: expected 9", output)

    def test_whichThereAre(self) -> None:
        """They are listed with the first lines of what they say of themselves; others are refused."""
        status, output = self.run_("--list")
        self.assertEqual((status, [line.partition(":")[0] for line in output.splitlines()]), (0, list(checks())))
        self.assertEqual(self.run_("swmi")[0], 2)
