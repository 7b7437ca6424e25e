"""
Tests for the line in which waits what a path's bandwidth does not let leave yet.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2p.simulation.clock import Clock
from p2p.simulation.path import Path


class Note:
    """
    A packet that notes when it leaves.
    """

    def __init__(self, clock: Clock, size: int) -> None:
        self._clock = clock
        self.size = size
        self.leftAt: float | None = None

    def leave(self, path: Path) -> None:
        """
        Note when.
        """
        assert self.leftAt is None, "left twice"
        self.leftAt = self._clock.now


class PathTests(SynchronousTestCase):
    """
    When packets leave. All times are exact: they are sums of halves, quarters and eighths.
    """

    def setUp(self) -> None:
        """
        Make a path.
        """
        self.clock = Clock(lambda events: None)
        self.path = Path(self.clock, lambda: 0.05)

    def send(self, *sizes: int) -> list[Note]:
        """
        Send packets.
        """
        notes = [Note(self.clock, size) for size in sizes]
        for note in notes:
            self.path.send(note)
        return notes

    def limit(self, bandwidth: float | None, held: bool = False) -> None:
        """
        Change the path.
        """
        self.path.bandwidth, self.path.held = bandwidth, held
        self.path.changed()

    def left(self, notes: list[Note]) -> list[float | None]:
        """
        When packets left, once everything has happened.
        """
        self.clock.run(self.clock.now + 1000.0)
        return [note.leftAt for note in notes]

    def test_withoutALimitNothingWaits(self) -> None:
        """
        Packets leave when they are sent, and nothing is put on the clock.
        """
        notes = self.send(1000, 0, 1)
        self.assertEqual([note.leftAt for note in notes], [0.0, 0.0, 0.0])
        self.assertEqual(list(self.clock.waiting()), [])

    def test_packetsLeaveOneAfterTheOther(self) -> None:
        """
        Each takes its size divided by the bandwidth; one of no size goes with the one before it, or at once.
        """
        self.limit(1000.0)
        notes = self.send(0, 500, 250, 0, 250)
        self.assertEqual(notes[0].leftAt, 0.0)
        self.assertEqual(len(list(self.clock.waiting())), 1)
        self.assertEqual(self.left(notes), [0.0, 0.5, 0.75, 0.75, 1.0])

    def test_theLineBeginsAnewWhenItIsEmpty(self) -> None:
        """
        An idle path has nothing saved up.
        """
        self.limit(1000.0)
        first = self.send(500)
        self.clock.run(2.0)
        self.assertEqual(self.left(first + self.send(500)), [0.5, 2.5])

    def test_whatIsLeftOfTheFirstGoesAtTheNewRate(self) -> None:
        """
        Of 1,000 bytes 500 leave in the first second, 250 in the next two, and the rest in an eighth.
        """
        self.limit(500.0)
        notes = self.send(1000, 1000)
        self.clock.at(1.0, lambda: self.limit(125.0))
        self.clock.at(2.0, lambda: self.limit(125.0))
        self.clock.at(3.0, lambda: self.limit(2000.0))
        self.assertEqual(self.left(notes), [3.125, 3.625])

    def test_whenTheLimitEndsAllLeavesAtOnce(self) -> None:
        """
        In order, and what is sent at that instant behind it.
        """
        self.limit(1.0)
        notes = self.send(1000, 0, 1000)
        order: list[int] = []
        for index, note in enumerate(notes):
            self.patch(note, "leave", lambda path, index=index: order.append(index))
        late = Note(self.clock, 10)
        self.patch(late, "leave", lambda path: order.append(99))

        def end() -> None:
            self.limit(None)
            self.path.send(late)

        self.clock.at(1.0, end)
        self.clock.run(1.0)
        self.assertEqual(order, [0, 1, 2, 99])

    def test_nothingLeavesWhileThePathIsHeld(self) -> None:
        """
        Afterwards the first goes on where it was, even if the bandwidth has changed meanwhile.
        """
        self.limit(500.0)
        notes = self.send(1000, 1000)
        self.clock.at(1.0, lambda: self.limit(500.0, held=True))
        self.clock.at(2.0, lambda: self.limit(250.0, held=True))
        self.clock.at(7.0, lambda: self.limit(250.0))
        self.assertEqual(self.left(notes), [9.0, 13.0])

    def test_whatIsWithdrawnMakesRoom(self) -> None:
        """
        For the next at once, if it was the first; else those before it go on as they were.
        """
        self.limit(1000.0)
        notes = self.send(1000, 1000, 1000, 1000)
        self.clock.at(0.5, lambda: self.path.withdraw([notes[0], notes[2]]))
        self.clock.at(1.0, lambda: self.path.withdraw([notes[3]]))
        self.assertEqual(self.left(notes), [None, 1.5, None, None])
        last = self.send(500)
        self.path.withdraw(last)
        self.assertEqual(self.left(last + self.send(500)), [None, 1000.5])

    def test_clearedPathHasNothing(self) -> None:
        """
        And what is sent next takes no longer for it.
        """
        self.limit(1000.0)
        notes = self.send(1000, 1000)
        self.clock.run(0.5)
        self.path.clear()
        self.assertEqual(self.left(notes + self.send(500)), [None, None, 1.0])
