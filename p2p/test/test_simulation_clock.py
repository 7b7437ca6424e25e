"""
Tests for the wheel of the simulated network and the timers on it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.simulation import clock as clockModule
from p2p.simulation.clock import Clock, Event, SimulationError
from p2p.simulation.latency import Latency, constant, normal, uniform
from p2p.simulation.network import SimulatedNetwork

# Moments with many ties, in and across slots of the wheel.
moments = st.one_of(
    st.integers(0, 60).map(lambda n: n / 4000),
    st.integers(0, 30).map(lambda n: n / 10),
    st.floats(0, 3, allow_nan=False),
)


class WheelTests(SynchronousTestCase):
    """
    The wheel is a sorted list, only faster.
    """

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.tuples(moments, st.lists(moments, max_size=3)), max_size=40),
        st.lists(moments, max_size=4),
    )
    def test_orderIsThatOfASortedList(self, plan: list[tuple[float, list[float]]], stops: list[float]) -> None:
        """
        Events happen by time, then by the order in which they were asked for, whether they were asked for before the
        run or by another event, and however the run is divided.
        """
        record: list[Event] = []
        clock = Clock(record.extend)
        happened: list[tuple[float, int]] = []
        expected: list[tuple[float, int]] = []
        asked = 0

        def ask(when: float, further: list[float]) -> None:
            nonlocal asked
            asked += 1
            number = asked

            def happen() -> None:
                happened.append((clock.now, number))
                for delay in further:
                    ask(clock.now + delay, [])

            expected.append((when, number))
            clock.at(when, happen)

        for when, further in plan:
            ask(when, further)
        for stop in sorted(stops):
            clock.run(stop)
            self.assertEqual(clock.now, stop)
            self.assertEqual(happened, sorted(e for e in expected if e[0] <= stop))
        clock.run(10.0)
        self.assertEqual(happened, sorted(expected))
        self.assertEqual([(when, number) for when, number, _, _ in record], happened)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("add"), moments, st.none()),
                st.tuples(st.sampled_from(["cancel"]), st.integers(0, 30), st.none()),
                st.tuples(st.sampled_from(["reset", "delay"]), st.integers(0, 30), moments),
                st.tuples(st.just("run"), moments, st.none()),
            ),
            max_size=40,
        )
    )
    def test_timersDoWhatAListOfTimesDoes(self, plan: list[Any]) -> None:
        """
        Each timer that is not cancelled fires once, at the moment that was set last.
        """
        network = SimulatedNetwork(guard=False)
        reactor = network.host("10.0.0.1")
        fired: list[tuple[float, int]] = []
        expected: list[tuple[float, int]] = []
        timers: list[Any] = []
        due: dict[int, float] = {}

        def passUntil(moment: float) -> None:
            expected.extend(sorted((when, which) for which, when in due.items() if when <= moment))
            for which in [which for which, when in due.items() if when <= moment]:
                del due[which]
            network.run(moment)

        for what, value, more in plan:
            if what == "add":
                which = len(timers)
                timers.append(reactor.callLater(value, lambda w=which: fired.append((network.now, w))))
                due[which] = network.now + value
            elif what == "run":
                passUntil(network.now + value)
            elif value in due:
                if what == "cancel":
                    timers[value].cancel()
                    del due[value]
                elif what == "reset":
                    timers[value].reset(more)
                    due[value] = network.now + more
                else:
                    timers[value].delay(more)
                    due[value] += more
        self.assertEqual(
            sorted(timer.getTime() for timer in reactor.getDelayedCalls() if timer in timers), sorted(due.values())
        )
        passUntil(network.now + 20.0)
        # Which of two timers of one moment is first depends on when they were moved there.
        self.assertEqual(sorted(fired), sorted(expected))
        self.assertEqual([when for when, _ in fired], sorted(when for when, _ in fired))

    def test_exceptionOfTheSimulationLeavesTheRestIntact(self) -> None:
        """
        After an event has ended the run, the next run goes on with the event after it.
        """
        clock = Clock(lambda events: None)
        happened: list[str] = []

        def end() -> None:
            raise SimulationError("enough")

        clock.at(1.0, lambda: happened.append("before"))
        clock.at(1.0, end)
        clock.at(1.0, lambda: happened.append("after"))
        self.assertRaises(SimulationError, clock.run, 2.0)
        self.assertEqual((clock.now, happened), (1.0, ["before"]))
        clock.run(2.0)
        self.assertEqual((clock.now, happened), (2.0, ["before", "after"]))

    def test_exceptionOfTheSimulatorItselfIsNotSwallowed(self) -> None:
        """
        Only targets that know what to do with a failure get one.
        """
        clock = Clock(lambda events: None)
        clock.at(1.0, lambda: 1 // 0)
        self.assertRaises(ZeroDivisionError, clock.run, 2.0)

    def test_waitingDeliveryTakesMore(self) -> None:
        """
        A delivery can be amended until it is made, also in the slot under way, and not beyond the limit.
        """
        received: list[bytes] = []

        class Target:
            @property
            def reader(self) -> Target:
                return self

            def dataReceived(self, data: bytes) -> None:
                received.append(data)

        clock = Clock(lambda events: None)
        target = Target()
        for letter in (b"a", b"b", b"c"):
            clock.at(0.5, target, letter)
        self.assertTrue(clock.amend(0.5, 2, b"eta", 100))
        self.assertFalse(clock.amend(0.5, 2, b"!", 4))
        self.assertFalse(clock.amend(0.6, 2, b"!", 100))
        self.assertFalse(clock.amend(0.5, 9, b"!", 100))
        # Numbers 4 to 6: between two deliveries of one slot.
        amended: list[bool] = []
        clock.at(0.5001, target, b"d")
        places = (0.5001, 4), (0.5003, 6)
        clock.at(0.5002, lambda: amended.extend(clock.amend(*place, b"!", 100) for place in places))
        clock.at(0.5003, target, b"f")
        clock.run(1.0)
        self.assertEqual(received, [b"a", b"beta", b"c", b"d", b"f!"])
        self.assertEqual(amended, [False, True])
        self.assertFalse(clock.amend(0.5, 2, b"!", 100))

    def test_timeThatStandsStillEndsTheRun(self) -> None:
        """
        Who waits for a later time by C{callLater(0)} is named; how many do something at one moment does not matter.
        """
        self.patch(clockModule, "ROUNDS", 1000)
        network = SimulatedNetwork()
        reactor = network.host("10.0.0.1")
        happened: list[int] = []

        def waitForTheEndOfTime() -> None:
            if network.now < until:
                reactor.callLater(0, waitForTheEndOfTime)

        def many() -> None:
            for number in range(5000):
                reactor.callLater(0, happened.append, number)

        until = 0.0
        reactor.callLater(0.5, many)
        network.run(1)
        self.assertEqual(len(happened), 5000)
        until = 2.0
        for again in range(2):
            reactor.callLater(0, waitForTheEndOfTime)
            problem = self.assertRaises(SimulationError, network.run, 1 + again)
            self.assertIn("waitForTheEndOfTime", str(problem))
            self.assertNotIn(" at 0x", str(problem))
            self.assertEqual(network.now, 1.0)

    def test_withdraw(self) -> None:
        """
        An event can be taken back until it happens, also in the slot under way; all others happen.
        """
        clock = Clock(lambda events: None)
        happened: list[int] = []
        taken: list[bool] = []
        for number in range(1, 7):
            clock.at(0.5, lambda number=number: happened.append(number))
        self.assertTrue(clock.withdraw(0.5, 2))
        self.assertFalse(clock.withdraw(0.5, 2))
        self.assertFalse(clock.withdraw(0.6, 3))
        clock.at(0.4999, lambda: taken.extend(clock.withdraw(0.5, number) for number in (4, 9)))
        clock.at(0.5, lambda: taken.extend(clock.withdraw(0.5, number) for number in (6, 8)))
        clock.run(1)
        self.assertEqual((happened, taken), ([1, 3, 5, 6], [True, False, False, False]))


class TimerTests(SynchronousTestCase):
    """
    What C{callLater} returns is an C{IDelayedCall}.
    """

    def setUp(self) -> None:
        """
        Make one host.
        """
        self.network = SimulatedNetwork(seed=1)
        self.reactor = self.network.host("10.0.0.1")

    def test_interface(self) -> None:
        """
        It provides the interface.
        """
        verifyObject(IDelayedCall, self.reactor.callLater(1, list))

    def test_callsWithItsArguments(self) -> None:
        """
        The function gets what was given.
        """
        got: list[Any] = []
        self.reactor.callLater(1.5, lambda *a, **k: got.append((self.network.now, a, k)), 1, two=2)
        self.network.run(3)
        self.assertEqual(got, [(1.5, (1,), {"two": 2})])

    def test_errorsAreThoseOfTwisted(self) -> None:
        """
        What is over cannot be moved or cancelled.
        """
        over = self.reactor.callLater(1, list)
        cancelled = self.reactor.callLater(1, list)
        cancelled.cancel()
        self.network.run(2)
        for error, timer in ((AlreadyCalled, over), (AlreadyCancelled, cancelled)):
            self.assertFalse(timer.active())
            methods: list[Callable[[], object]] = [
                timer.cancel,
                lambda timer=timer: timer.reset(1),  # type: ignore[misc]
                lambda timer=timer: timer.delay(1),  # type: ignore[misc]
            ]
            for method in methods:
                self.assertRaises(error, method)
        self.assertRaises(AssertionError, self.reactor.callLater, -1, list)

    def test_exceptionIsLogged(self) -> None:
        """
        A timer that raises disturbs nobody else.
        """
        happened: list[int] = []
        self.reactor.callLater(1, lambda: 1 // 0)
        self.reactor.callLater(1, happened.append, 1)
        self.network.run(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(happened, [1])

    def test_cancelledTimersDoNotPileUp(self) -> None:
        """
        Time-outs that are set and cancelled again and again leave the wheel as small as it was.
        """
        for _ in range(20000):
            self.reactor.callLater(30, list).cancel()
        self.assertLess(sum(1 for _ in self.network.clock.waiting()), 5000)

    def test_cancelledTimersDoNotPileUpAmongMany(self) -> None:
        """
        As many as there are others, but not more.
        """
        for number in range(10000):
            self.reactor.callLater(40 + number, list)
        for _ in range(50000):
            self.reactor.callLater(30, list).cancel()
        self.assertLess(sum(1 for _ in self.network.clock.waiting()), 21000)

    def test_aTimerThatIsMovedToAndFroDoesNotPileUp(self) -> None:
        """
        It leaves nothing behind at each later moment; and it comes where it was moved last.
        """
        fired: list[float] = []
        timer = self.reactor.callLater(86400, lambda: fired.append(self.network.now))

        def move() -> None:
            timer.reset(1.0)
            self.reactor.callLater(0.25, timer.reset, 86400)
            if self.network.now < 4000:
                self.reactor.callLater(1.25, move)

        move()
        self.network.run(5000)
        self.assertLess(sum(1 for _ in self.network.clock.waiting()), 1100)
        self.network.run(100000)
        self.assertEqual(fired, [4000.25 + 86400])

    def test_aDeadProcessIsForgotten(self) -> None:
        """
        It is not kept in memory until its last timer would have come.
        """
        programs: WeakSet[Any] = WeakSet()

        class Program:
            def __init__(self, reactor: Any) -> None:
                programs.add(self)
                reactor.callLater(86400, self.end)

            def end(self) -> None:
                """Never."""

        self.network.host("10.0.0.2", boot=Program)
        for _ in range(100):
            self.network.faults.restart("10.0.0.2")
            self.network.run(self.network.now + 1)
        gc.collect()
        self.assertLess(len(programs), 20)

    def test_aTimerMayWaitForEver(self) -> None:
        """
        For infinity, as with Twisted.
        """
        timer = self.reactor.callLater(float("inf"), self.fail)
        self.reactor.callLater(1, timer.reset, float("inf"))
        self.network.run(1e6)
        self.assertEqual(timer.getTime(), float("inf"))
        self.assertEqual(self.reactor.getDelayedCalls(), [timer])

    def test_timersOfOneMomentKeepTheirOrder(self) -> None:
        """
        Also if the seed decides how late timers are.
        """
        for fuzz in (False, True):
            network = SimulatedNetwork(seed=3, fuzz=fuzz)
            reactor = network.host("10.0.0.1")
            order: list[int] = []
            for number in range(50):
                reactor.callLater(1.0 + number * 0.0001, order.append, number)
            network.run(2)
            self.assertEqual(order, list(range(50)))


class LatencyTests(SynchronousTestCase):
    """
    Draws have the distribution that was asked for.
    """

    def draws(self, latency: Latency, factor: float = 1.0) -> list[float]:
        """
        Draw a good deal.
        """
        draw = latency.draws(SimulatedNetwork(5).stream("test"), factor)
        return [draw() for _ in range(5000)]

    def test_distributions(self) -> None:
        """
        Bounds and means are right, and the factor counts.
        """
        self.assertEqual(set(self.draws(constant(0.05))), {0.05})
        spread = self.draws(uniform(0.010, 0.100), 2.0)
        self.assertTrue(0.020 <= min(spread) < 0.022 and 0.198 < max(spread) <= 0.200)
        self.assertApproximates(sum(spread) / len(spread), 0.110, 0.003)
        bell = self.draws(normal(0.05, 0.01))
        self.assertApproximates(sum(bell) / len(bell), 0.05, 0.001)
        self.assertGreaterEqual(min(self.draws(normal(0.05, 1.0))), 0.005)

    def test_negativeLatencyIsRefused(self) -> None:
        """
        Nothing arrives before it is sent.
        """
        self.assertRaises(ValueError, constant, -1.0)
        self.assertRaises(ValueError, uniform, 0.2, 0.1)
