"""
Tests for the guard: simulated code that reaches past the simulation is told so, with the place.
"""

from __future__ import annotations

import _thread
import contextlib
import copy
import datetime
import importlib
import logging
import multiprocessing
import os
import random
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import date
from random import choice
from time import monotonic
from typing import Any

from twisted.internet import interfaces
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.logger import Logger, globalLogPublisher
from twisted.python import log
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http
from twisted.web.server import Site
from zope.interface.interface import InterfaceClass, Method

from p2p.simulation.guard import _SITE_PACKAGES, RealityError
from p2p.simulation.network import SimulatedNetwork

_OF_SYSTEMS = (interfaces.IReactorDaemonize, interfaces.IReactorWin32Events)
"""What only some of Twisted's own reactors provide."""

HERE = os.path.splitext(__file__)[0] + ".py:"


class Holding:
    """
    Has bound what it must not use.
    """

    monotonic = staticmethod(monotonic)
    time = staticmethod(time.time)
    urandom: Any = os.urandom
    random = random.random


class GuardTests(SynchronousTestCase):
    """
    What a simulated program must not use ends the run.
    """

    def caught(self, reach: Callable[[], object], **options: Any) -> RealityError:
        """
        Let simulated code do something, and return what the run ends with.
        """
        network = SimulatedNetwork(seed=1, **options)
        network.host("10.0.0.1").callLater(1.0, reach)
        return self.assertRaises(RealityError, network.run, 2.0)  # type: ignore[no-any-return]

    def test_theRealWorldIsOutOfReach(self) -> None:
        """
        Each of these is reported, with the file and line that used it.
        """
        ways: dict[str, Callable[[], object]] = {
            "time.time()": lambda: time.time(),
            "time.time_ns()": lambda: time.time_ns(),
            "time.monotonic()": lambda: time.monotonic(),
            "time.perf_counter()": lambda: time.perf_counter(),
            "time.sleep()": lambda: time.sleep(0),
            "time.process_time()": lambda: time.process_time(),
            "time.thread_time_ns()": lambda: time.thread_time_ns(),
            "time.clock_gettime()": lambda: time.clock_gettime(time.CLOCK_REALTIME),
            "time.localtime()": lambda: time.localtime(),
            "time.gmtime()": lambda: time.gmtime(None),
            "time.ctime()": lambda: time.ctime(),
            "time.asctime()": lambda: time.asctime(),
            "time.strftime()": lambda: time.strftime("%Y"),
            "datetime.datetime.now()": lambda: datetime.datetime.now(datetime.UTC),
            "datetime.datetime.utcnow()": lambda: datetime.datetime.utcnow(),
            "datetime.datetime.today()": lambda: datetime.datetime.today(),
            "datetime.date.today()": lambda: datetime.date.today(),
            "random.random()": lambda: random.random(),
            "random.shuffle()": lambda: random.shuffle([]),
            "random.randint()": lambda: random.randint(1, 2),
            "random.Random() without a seed": lambda: random.Random(),
            "os.urandom()": lambda: os.urandom(1),
            "secrets.token_bytes()": lambda: secrets.token_hex(),
            "secrets.choice()": lambda: secrets.choice([1]),
            "socket.socket()": lambda: socket.socket(),
            "socket.create_connection()": lambda: socket.create_connection(("127.0.0.1", 1)),
            "socket.getaddrinfo()": lambda: socket.getaddrinfo("localhost", 1),
            "socket.gethostbyaddr()": lambda: socket.getfqdn("127.0.0.1"),
            "socket.gethostbyname_ex()": lambda: socket.gethostbyname_ex("localhost"),
            "select.select()": lambda: select.select([], [], [], 0),
            "select.poll()": lambda: select.poll(),
            **({"select.epoll()": lambda: select.epoll()} if hasattr(select, "epoll") else {}),
            "os.times()": lambda: os.times(),
            "os.system()": lambda: os.system("true"),
            "signal.alarm()": lambda: signal.alarm(0),
            "signal.setitimer()": lambda: signal.setitimer(signal.ITIMER_REAL, 0),
            "os.fork()": lambda: multiprocessing.get_context("fork").Process(target=list).start(),
            "_posixsubprocess.fork_exec()": lambda: multiprocessing.get_context("spawn").Process(target=list).start(),
            "_thread.start_new_thread()": lambda: _thread.start_new_thread(list, ()),
            "uuid.uuid1()": lambda: uuid.uuid1(),
            "subprocess.Popen()": lambda: subprocess.Popen(["true"]),
            "threading.Thread.start()": lambda: threading.Thread(target=list).start(),
        }
        for what, reach in ways.items():
            problem = self.caught(reach)
            self.assertEqual(problem.what, what)
            self.assertEqual(problem.where, f"{HERE}{reach.__code__.co_firstlineno}")
            self.assertIn(problem.where, str(problem))

    def test_namesImportedBeforeAreSeenThrough(self) -> None:
        """
        C{from time import monotonic} is no way past.
        """
        self.assertEqual(self.caught(lambda: monotonic()).what, "time.monotonic()")
        self.assertEqual(self.caught(lambda: choice([1])).what, "random.choice()")

    def test_classesThatHoldThemAreSeenThrough(self) -> None:
        """
        So are attributes of classes, also of C functions, which make no methods.
        """
        ways: dict[str, Callable[[], object]] = {
            "time.monotonic()": lambda: Holding().monotonic(),
            "time.time()": lambda: Holding.time(),
            "os.urandom()": lambda: Holding().urandom(1),
            "random.random()": lambda: Holding().random(),
        }
        for what, reach in ways.items():
            self.assertEqual(self.caught(reach).what, what)
        self.assertEqual(len(Holding().urandom(3)), 3)
        self.assertIsInstance(vars(Holding)["monotonic"], staticmethod)

    def test_whatIsImportedMeanwhileHasTheRealThingsAfterwards(self) -> None:
        """
        During the run it is seen through; after it, it holds what it would had it been imported before.
        """
        source = "import datetime as d, os, socket, time\nfrom datetime import datetime\nfrom time import monotonic\n"
        source += "class Holding:\n    urandom = os.urandom\n    monotonic = staticmethod(monotonic)\n"
        source += "    resolve = staticmethod(socket.getaddrinfo)\n"
        directory = self.mktemp()
        os.mkdir(directory)
        name = f"imported_meanwhile_{id(self)}"
        with open(os.path.join(directory, f"{name}.py"), "w") as file:
            file.write(source)
        self.patch(sys, "path", [directory, *sys.path])
        self.addCleanup(sys.modules.pop, name, None)
        self.assertEqual(self.caught(lambda: importlib.import_module(name).monotonic()).what, "time.monotonic()")
        module = sys.modules[name]
        self.assertEqual((module.monotonic, module.datetime), (monotonic, datetime.datetime))
        self.assertEqual((module.Holding.monotonic, module.Holding.urandom), (monotonic, os.urandom))
        self.assertEqual(module.Holding().resolve, socket.getaddrinfo)
        for reach in (lambda: module.monotonic(), lambda: module.Holding().urandom(1), lambda: module.datetime.now()):
            self.caught(reach)

    def test_datesAreOtherwiseAsTheyAre(self) -> None:
        """
        What does not ask for the present works as ever, and what comes of it is nothing special.
        """
        made: list[Any] = []

        def program() -> None:
            moment = datetime.datetime(2020, 2, 29, 12, tzinfo=datetime.UTC)
            made.extend((moment, date(2020, 2, 29), datetime.datetime.fromtimestamp(1e9, datetime.UTC)))
            made.append(datetime.datetime.strptime("1999", "%Y") + datetime.timedelta(days=1))
            self.assertIsInstance(moment, datetime.datetime)
            self.assertIsInstance(moment, date)
            self.assertNotIsInstance(made[1], datetime.datetime)
            self.assertEqual(copy.deepcopy(moment), moment)

        network = SimulatedNetwork()
        network.host("10.0.0.1").callLater(1.0, program)
        network.run(2.0)
        self.assertEqual([type(each) for each in made], [datetime.datetime, date, datetime.datetime, datetime.datetime])
        self.assertEqual(made[3], datetime.datetime(1999, 1, 2))
        self.assertEqual(self.caught(lambda: date.today()).what, "datetime.date.today()")

    def test_momentsThatAreGivenMayBeWritten(self) -> None:
        """
        To put a time into words is not to ask for it.
        """
        written: list[str] = []

        def program() -> None:
            moment = time.gmtime(0.0)
            written.extend((time.strftime("%Y", moment), time.asctime(moment), time.ctime(time.mktime(moment))))
            written.append(time.strftime("%Y", time.localtime(1e9)))

        network = SimulatedNetwork()
        network.host("10.0.0.1").callLater(1.0, program)
        network.run(2.0)
        self.assertEqual(written, ["1970", *["Thu Jan  1 00:00:00 1970"] * 2, "2001"])

    def test_bootIsSeen(self) -> None:
        """
        A host is booted under guard, whether the network runs or not.
        """
        network = SimulatedNetwork()
        problem = self.assertRaises(RealityError, network.host, "10.0.0.1", boot=lambda reactor: time.time())
        self.assertEqual(problem.what, "time.time()")
        self.assertGreater(time.time(), 1e9)
        SimulatedNetwork(guard=False).host("10.0.0.1", boot=lambda reactor: time.time())

    def test_theStandardLibraryIsNoExcuse(self) -> None:
        """
        Whoever calls a part of it that reaches past the simulation is responsible.
        """
        problem = self.caught(lambda: uuid.uuid4())
        self.assertEqual(problem.what, "os.urandom()")
        self.assertTrue(problem.where.startswith(HERE))

    def test_whatASimulatedReactorLacks(self) -> None:
        """
        It says so, also while no network runs: it has no loop, no threads and processes, and no other transports.
        """
        network = SimulatedNetwork()
        reactor: Any = network.host("10.0.0.1")
        methods: dict[bool, set[str]] = {True: set(), False: {"run", "iterate"}}
        for interface in vars(interfaces).values():
            if isinstance(interface, InterfaceClass) and interface.__name__.startswith("IReactor"):
                names = [name for name, what in interface.namesAndDescriptions(all=True) if isinstance(what, Method)]
                methods[interface.providedBy(reactor) or interface in _OF_SYSTEMS].update(names)
        lacking = methods[False] - (methods[True] - {"run", "iterate"})
        self.assertIn("listenUNIX", lacking)
        for name in lacking:

            def reach(name: str = name) -> None:
                getattr(reactor, name)()

            for problem in (self.assertRaises(RealityError, reach), self.caught(reach)):
                self.assertEqual(problem.what, f"reactor.{name}()")
                self.assertTrue(problem.where.startswith(HERE))
                self.assertIn(" on a simulated host", str(problem))

    def test_endpointStringsThatNeedMore(self) -> None:
        """
        Their Deferreds fail with the name of what is missing, and the place of the program.
        """
        network = SimulatedNetwork()
        reactor = network.host("10.0.0.1")
        path = self.mktemp()
        for failed in (
            serverFromString(reactor, f"unix:{path}").listen(Factory()),
            clientFromString(reactor, f"unix:{path}").connect(Factory()),
        ):
            problem = self.failureResultOf(failed, RealityError).value
            self.assertRegex(problem.what, r"^reactor\.(listen|connect)UNIX\(\)$")
            self.assertIn(f" (for {HERE}", problem.where)

    def test_callingFromTheOnlyThread(self) -> None:
        """
        Who may run in a thread or not calls the reactor as if in one; who is in another is told off.
        """
        network = SimulatedNetwork()
        reactor = network.host("10.0.0.1")
        called: list[object] = []

        def program() -> None:
            reactor.callFromThread(called.append, network.now)
            called.append("soon")

        reactor.callLater(1.0, program)
        network.run(2.0)
        self.assertEqual(called, ["soon", 1.0])

        def elsewhere() -> None:
            called.append(self.assertRaises(RealityError, reactor.callFromThread, list).what)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        self.assertEqual(called[2:], ["reactor.callFromThread() in another thread"])

    def test_realReactor(self) -> None:
        """
        So does the global one while the network runs; C{deferToThread} uses it.
        """

        def later() -> None:
            from twisted.internet import reactor

            reactor.callLater(1, list)

        self.assertEqual(self.caught(later).what, "the real reactor (callLater)")
        problem = self.caught(lambda: deferToThread(list))
        self.assertEqual(problem.what, "the real reactor (getThreadPool)")

    def test_placeOfAProgramThatTwistedServes(self) -> None:
        """
        Where it is Twisted that reaches past the simulation, the place of the program that called it is named, too.
        """

        def reach() -> object:
            return deferToThread(list)

        where = self.caught(reach).where
        self.assertIn("threads.py:", where)
        self.assertTrue(where.endswith(f" (for {HERE}{reach.__code__.co_firstlineno + 1})"), where)

    def test_placeOfAProgramThatALibraryServes(self) -> None:
        """
        So it is with a library of another, and with a peer: what a program left out is missed there.
        """
        for where in (f"{_SITE_PACKAGES[0]}some.py", "peer.py"):
            library = {"__name__": "some" if "some" in where else "p2p.peer.some"}
            exec(compile("import os\ndef serve():\n    os.urandom(8)\n", where, "exec"), library)

            def reach(serve: Any = library["serve"]) -> None:
                serve()

            found = self.caught(reach).where
            self.assertEqual(found, f"{where}:3 (for {HERE}{reach.__code__.co_firstlineno + 1})")

    def test_aReportIsNotLost(self) -> None:
        """
        The run ends even if the program swallows the exception.
        """
        after: list[int] = []

        def swallow() -> None:
            try:
                time.time()
            except Exception:
                after.append(1)

        self.caught(swallow)
        self.assertEqual(after, [1])

    def test_aReportIsMadeOnce(self) -> None:
        """
        What ended one run does not end the next, too.
        """
        network = SimulatedNetwork()
        network.host("10.0.0.1").callLater(1.0, lambda: time.time())
        self.assertRaises(RealityError, network.run, 2.0)
        network.run(2.0)
        self.assertEqual(network.now, 2.0)

    def test_aReportIsNotLostWhereTheRunStops(self) -> None:
        """
        It ends also one that returns, because it has its result, at the instant in which the exception is swallowed.
        """
        network = SimulatedNetwork()
        known: Deferred[None] = Deferred()

        def program() -> None:
            known.callback(None)
            with contextlib.suppress(RealityError):
                time.time()

        network.host("10.0.0.1").callLater(1.0, program)
        self.assertRaises(RealityError, network.result, known)

    def test_allIsAsBeforeAfterwards(self) -> None:
        """
        What was replaced is put back, also after an error, and the state of the C{random} module with it.
        """
        owners = (
            *(time, random, os, secrets, socket, select, subprocess, datetime, uuid, threading, _thread),
            *(random.Random, random.SystemRandom, threading.Thread, Holding, Site, http, sys.modules[__name__]),
        )
        before = [dict(vars(owner)) for owner in owners]
        random.seed(5)
        state = random.getstate()
        self.caught(lambda: time.time())
        SimulatedNetwork().run(1)
        self.assertEqual([dict(vars(owner)) for owner in owners], before)
        self.assertEqual(random.getstate(), state)
        self.assertGreater(time.time(), 1e9)

    def test_someMayDoIt(self) -> None:
        """
        Modules can be allowed, and the guard can be left away.
        """
        happened: list[float] = []
        for options in ({"allowed": [__name__]}, {"guard": False}):
            network = SimulatedNetwork(**options)
            network.host("10.0.0.1").callLater(1, lambda: happened.append(time.monotonic()))
            network.run(2)
        self.assertEqual(len(happened), 2)

    def test_oneNameIsNoList(self) -> None:
        """
        Its letters would let through whatever begins with one of them.
        """
        self.assertRaises(TypeError, SimulatedNetwork, allowed=__name__)

    def test_aPluginIsNoPartOfTwisted(self) -> None:
        """
        A strategy that stands in C{twisted.plugins} is somebody's own, and given what Twisted is only if it is allowed.
        """
        for reach in ("time.monotonic()", "random.random()", "datetime.datetime.now()"):
            names = {"__name__": "twisted.plugins.p2p_mine", "time": time, "random": random, "datetime": datetime}
            look = eval(f"lambda: {reach}", names)
            self.assertIn(f"uses {reach} ", str(self.caught(look)))
            network = SimulatedNetwork(allowed=["twisted.plugins.p2p_mine"])
            network.callAt(1.0, look)
            network.run(2)

    def test_seededRandomnessIsFine(self) -> None:
        """
        A generator that is given a seed is nobody's business.
        """
        network = SimulatedNetwork()
        drawn: list[float] = []
        network.host("10.0.0.1").callLater(1, lambda: drawn.append(random.Random(5).random()))
        network.run(2)
        self.assertEqual(drawn, [random.Random(5).random()])

    def test_logsTellVirtualTime(self) -> None:
        """
        Messages are stamped with the time of the network, by both of Twisted's loggers.
        """
        events: Any = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)

        def say() -> None:
            Logger().info("new")
            log.msg("old")

        network = SimulatedNetwork()
        network.host("10.0.0.1").callLater(12.5, say)
        network.run(20)
        stamps = [event["log_time"] for event in events if event.get("log_format") == "new" or event.get("message")]
        self.assertEqual(stamps, [12.5, 12.5])

    def test_logsOfPythonTellVirtualTimeToo(self) -> None:
        """
        Whoever uses C{logging} reaches past nothing.
        """
        records: list[logging.LogRecord] = []
        handler = logging.Handler()
        self.patch(handler, "emit", records.append)
        logger = logging.getLogger(__name__)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.patch(logger, "propagate", False)
        network = SimulatedNetwork()
        network.host("10.0.0.1").callLater(12.5, lambda: logger.warning("new"))
        network.run(20)
        self.assertEqual([record.created for record in records], [12.5])
