"""
Statements about a network that must hold: always, or once before a deadline. They are plain functions.

A function is given the network and says whether the statement holds, by its result or with an C{assert} of its own.
Looking changes nothing: a run with checks has the same digest as one without.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import TYPE_CHECKING

from p2p.simulation.clock import SimulationError, nameOf

if TYPE_CHECKING:
    from p2p.simulation.network import SimulatedNetwork

Statement = Callable[["SimulatedNetwork"], object]


def holds(statement: Callable[..., object], answer: object) -> bool:
    """
    Whether a statement holds that has answered this.

    @raise TypeError: if the answer comes later only, from a coroutine, a Deferred or a generator: any such would count
        as true.
    """
    if isinstance(answer, Awaitable | Generator):
        if isinstance(answer, Coroutine):
            # So that nobody is warned of it as well.
            answer.close()
        kind = type(answer).__name__
        raise TypeError(f"{nameOf(statement)} answered with a {kind}: a statement says at once whether it holds")
    return answer is None or bool(answer)


class Violation(SimulationError):
    """
    A statement does not hold.

    @ivar seed: The seed of the network, with which this can be seen again.
    @ivar time: When it was seen, in virtual seconds.
    @ivar statement: The name of the function.
    @ivar problem: What is wrong with it.
    """

    def __init__(self, seed: object, time: float, statement: str, problem: str) -> None:
        self.seed = seed
        self.time = time
        self.statement = statement
        self.problem = problem
        super().__init__(f"seed {seed}, at {time:.6f} s: {statement} {problem}")


class Checks:
    """
    The statements about one network.
    """

    def __init__(self, network: SimulatedNetwork) -> None:
        self._network = network
        self._always: list[Callable[[], None]] = []

    def always(self, statement: Statement, every: float) -> None:
        """
        Look every so many virtual seconds from now on.
        """
        if every <= 0:
            raise ValueError(f"the time between two looks must be positive, not {every}")

        def look() -> None:
            violation = self._violation(statement)
            if violation is not None:
                raise violation

        def lookAndGoOn() -> None:
            self._at(self._network.clock.now + every, lookAndGoOn)
            look()

        self._always.append(look)
        self._at(self._network.clock.now, lookAndGoOn)

    def eventually(self, statement: Statement, by: float, every: float) -> None:
        """
        Look every so many virtual seconds, until it holds or time is up.
        """
        if every <= 0:
            raise ValueError(f"the time between two looks must be positive, not {every}")

        def look() -> None:
            now = self._network.clock.now
            violation = self._violation(statement)
            if violation is None:
                return
            if now >= by:
                raise violation
            self._at(min(now + every, by), look)

        self._at(min(self._network.clock.now, by), look)

    def look(self) -> None:
        """
        Look at all that must hold always, now.
        """
        for look in self._always:
            look()

    def _at(self, when: float, look: Callable[[], None]) -> None:
        self._network.clock.at(max(when, self._network.clock.now), look)

    def _violation(self, statement: Statement) -> Violation | None:
        """
        What is wrong with a statement now; with the C{AssertionError} for its cause, if it raised one.
        """
        problem, cause = "does not hold", None
        try:
            answer = statement(self._network)
        except AssertionError as failed:
            cause = failed
            if str(failed):
                problem += f": {failed}"
        else:
            if holds(statement, answer):
                return None
        violation = Violation(self._network.seed, self._network.clock.now, nameOf(statement), problem)
        violation.__cause__ = cause
        return violation
