"""
Telling off what reaches past the simulation: real time, real sockets, threads, randomness that no seed determines.

While a network runs, the functions that would do so are replaced in their modules, and a copy that some program's
module holds (C{from time import monotonic}) is replaced there. The replacement looks at who calls: the first frame
that is not of the standard library. If that is a program, L{RealityError} is raised there, naming its file and line,
and ends the run. Nothing is done at any event, so this costs nothing.

Some of Twisted may do it:
 - its loggers stamp messages, and get the virtual time;
 - its global cooperator measures how long it has worked, and gets a time that passes at every look, so that what it
   does depends on no machine;
 - C{ClientService} and C{ReconnectingClientFactory} draw jitter from the C{random} module, which is seeded for the
   duration of the run (and put back afterwards);
 - TLS and the global cooperator put calls on the global reactor when nobody gave them one, and these are put on the
   network's clock.

C{datetime.now()} and its like are methods of classes that nobody can change: the names of these classes stand for ones
that cannot tell the time meanwhile, and whose instances are those of the real ones.

It stands there while a network runs, and while a host is booted with the function it was given. What is done with a
reactor before the run, or between two, is free: it may be a test, which builds its network out of the real world.

What cannot be seen: a default argument that was bound before (C{def f(clock=time.monotonic)}), and what C code does by
itself, such as the randomness of OpenSSL.
"""

from __future__ import annotations

import datetime
import os
import random
import secrets
import select
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

import twisted.internet
from twisted.logger import _logger as twistedLogger

from p2p.simulation.clock import SimulationError

if TYPE_CHECKING:
    from p2p.simulation.network import SimulatedNetwork

_STANDARD_LIBRARY = sysconfig.get_path("stdlib") + os.sep
_SITE_PACKAGES = (sysconfig.get_path("purelib") + os.sep, sysconfig.get_path("platlib") + os.sep)

_TIME = (
    *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"),
    *("process_time", "process_time_ns", "thread_time", "thread_time_ns", "clock_gettime", "clock_gettime_ns"),
)

_MOMENTS = {"localtime": 0, "gmtime": 0, "ctime": 0, "asctime": 0, "strftime": 1}
"""What tells the real time if it is not given any, with the place of that argument."""

_RANDOM = [
    name
    for name in random.__all__
    if callable(getattr(random, name)) and not isinstance(getattr(random, name), type) and not name.endswith("state")
]

_FORBIDDEN: list[tuple[ModuleType, str]] = [
    *((time, name) for name in (*_TIME, *_MOMENTS)),
    *((random, name) for name in _RANDOM),
    (os, "urandom"),
    (random, "_urandom"),
    (os, "getrandom"),
    (secrets, "token_bytes"),
    (secrets, "randbelow"),
    (secrets, "choice"),
    (secrets, "randbits"),
    (socket, "socket"),
    (socket, "create_connection"),
    (socket, "getaddrinfo"),
    (socket, "gethostbyname"),
    (select, "select"),
    (subprocess, "Popen"),
]

_DATES: dict[type, tuple[str, ...]] = {datetime.datetime: ("now", "utcnow", "today"), datetime.date: ("today",)}
"""What tells the real time though nobody calls it a clock: classes and their methods."""

_ALLOWED = (
    "twisted.python.",
    "twisted.logger.",
    "twisted.trial.",
    "twisted.internet.task",
    "twisted.internet._sslverify",
)
"""Modules that may look at the real world, by the beginning of their names."""

_TOOLS = ("hypothesis.",)
"""Modules that time whatever runs, by way of a callback of the garbage collector, and get the real time."""

_HARMLESS = ("tempfile", "importlib._bootstrap")
"""Parts of the standard library that may do so for whomever: names of files, and what modules do at their import."""

_SEEDED = ("twisted.application._client_service", "twisted.internet.protocol")
"""Modules that may use the C{random} module."""

_POSTPONING = ("twisted.protocols.tls", "twisted.internet.task", "twisted.protocols.policies")
"""Modules that may use C{callLater} of the global reactor."""


_HOLDS: dict[str, tuple[ModuleType, int, list[str]]] = {}
"""
What is known of each module, for all networks of this process: how many names it had, and which of them are copies of
what is forbidden. To look through a thousand modules takes longer than a small network takes to run.
"""


class RealityError(SimulationError):
    """
    Simulated code has reached past the simulation.

    @ivar what: What it used.
    @ivar where: C{file:line} of the code that did.
    """

    def __init__(self, what: str, where: str, instead: str = "use what the simulated reactor offers") -> None:
        self.what = what
        self.where = where
        super().__init__(f"{where} uses {what} while a simulated network runs: {instead}")


def culprit(depth: int = 1) -> FrameType:
    """
    Find who is responsible for a call: the first frame that belongs neither to the standard library nor to this
    package, unless a part of the standard library is on the way that may do as it likes.
    """
    frame: FrameType | None = sys._getframe(depth)
    found = frame
    while frame is not None:
        found = frame
        file, module = frame.f_code.co_filename, frame.f_globals.get("__name__", "")
        if module in _HARMLESS or not (module.startswith("p2p.simulation.") or _isStandard(file)):
            break
        frame = frame.f_back
    assert found is not None
    return found


def place() -> str:
    """
    The file and line of the code that called into the simulation.
    """
    frame = culprit(2)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _isStandard(file: str) -> bool:
    return file.startswith("<frozen") or (file.startswith(_STANDARD_LIBRARY) and not file.startswith(_SITE_PACKAGES))


class Guard:
    """
    Stands between simulated code and the real world while a network runs.

    @ivar active: Whether it does so at present.
    """

    def __init__(self, network: SimulatedNetwork, allowed: tuple[str, ...]) -> None:
        self._network = network
        self._allowed = (*_ALLOWED, *_TOOLS, *_HARMLESS, *allowed)
        self._replaced: list[tuple[Any, str, Any]] = []
        # What stands for an original, by the original's id, which remains its own while that is kept.
        self._stands: dict[int, Any] = {}
        self._originals: list[Any] = []
        self._seen: set[str] = set()
        self._copying: dict[str, list[str]] = {}
        self._randomState: object = None
        self._ticks = 0
        self._random = network.stream("global random").getstate()
        self.active = False

    def __enter__(self) -> None:
        self.active = True
        stands = self._stands
        for module, name in _FORBIDDEN:
            original = getattr(module, name, None)
            if original is not None:
                if id(original) not in stands:
                    stands[id(original)] = self._instead(module, name, original)
                    self._originals.append(original)
                self._replace(module, name, stands[id(original)])
        for kind, methods in _DATES.items():
            if id(kind) not in stands:
                stands[id(kind)] = self._insteadOfDates(kind, methods)
            self._replace(datetime, kind.__name__, stands[id(kind)])
        self._replace(threading.Thread, "start", self._instead(threading, "Thread.start", threading.Thread.start))
        self._replace(random.Random, "seed", self._seeding(random.Random.seed))
        self._replaceCopies(stands)
        self._replace(twistedLogger, "time", lambda: self._network.clock.now)
        reactor: Any = sys.modules.get(_GLOBAL_REACTOR)
        if reactor is None:
            # It would come into being at the first look; a stand-in is there instead, as long as the network runs.
            reactor = sys.modules[_GLOBAL_REACTOR] = ModuleType(_GLOBAL_REACTOR)
            self._replace(twisted.internet, "reactor", reactor)
        for name in _REACTOR:
            self._replace(reactor, name, self._insteadOfReactor(name))
        self._randomState = random.getstate()
        random.setstate(self._random)

    def __exit__(self, *exception: object) -> None:
        self._random = random.getstate()
        random.setstate(self._randomState)  # type: ignore[arg-type]
        for owner, name, original in reversed(self._replaced):
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
            if owner is twisted.internet:
                del sys.modules[_GLOBAL_REACTOR]
        self._replaced.clear()
        self.active = False

    def report(self, what: str) -> RealityError:
        """
        Note that somebody reached past the simulation, and end the run after this event, even if the exception that
        is raised there gets lost on its way.

        @return: The exception to raise.
        """
        problem = RealityError(what, place())
        if self.active:

            def end() -> None:
                raise problem

            clock = self._network.clock
            clock.at(clock.now, end)
        return problem

    def _replace(self, owner: Any, name: str, replacement: Any) -> None:
        self._replaced.append((owner, name, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, replacement)

    def _replaceCopies(self, instead: dict[int, Any]) -> None:
        """
        Replace what programs have imported by name.
        """
        for name in sys.modules.keys() - self._seen:
            self._seen.add(name)
            copies = self._copies(name, sys.modules[name], instead)
            if copies:
                self._copying[name] = copies
        for name, copies in self._copying.items():
            module = sys.modules.get(name)
            if module is not None:
                for copy in copies:
                    replacement = instead.get(id(vars(module).get(copy)))
                    if replacement is not None:
                        self._replace(module, copy, replacement)

    def _copies(self, name: str, module: Any, instead: dict[int, Any]) -> list[str]:
        """The names under which a module holds what is forbidden, unless it may use that."""
        if name.startswith(("twisted.", "p2p.simulation.", *self._allowed)) or not isinstance(module, ModuleType):
            return []
        names = vars(module)
        known = _HOLDS.get(name)
        if known is None or known[0] is not module or known[1] != len(names):
            file = getattr(module, "__file__", None) or _STANDARD_LIBRARY
            held = [] if _isStandard(file) else [copy for copy, value in list(names.items()) if id(value) in instead]
            known = _HOLDS[name] = (module, len(names), held)
        return known[2]

    def _instead(self, module: ModuleType, name: str, original: Any) -> Any:
        what = f"{module.__name__}.{name}()"
        isTime, isRandom = module is time and name in _TIME, module is random
        moment = _MOMENTS.get(name, sys.maxsize)

        def told(*args: Any, **kwargs: Any) -> Any:
            if len(args) > moment and args[moment] is not None:
                return original(*args, **kwargs)
            caller = culprit(2).f_globals.get("__name__", "")
            if caller.startswith(self._allowed):
                virtual = isTime and name != "sleep" and not caller.startswith(_TOOLS)
                return self._time(caller, name) if virtual else original(*args, **kwargs)
            if isRandom and caller.startswith(_SEEDED):
                return original(*args, **kwargs)
            raise self.report(what)

        if isinstance(original, type):
            return type(original)(original.__name__, (original,), {"__new__": lambda cls, *a, **k: told(*a, **k)})
        return told

    def _insteadOfDates(self, kind: type, methods: tuple[str, ...]) -> type:
        """
        A class that makes instances of another and takes these for its own, but does not know what time it is.
        """

        class Dates(type):
            def __instancecheck__(cls, instance: object) -> bool:
                return isinstance(instance, kind)

            def __subclasscheck__(cls, other: type) -> bool:
                return issubclass(other, kind)

        def telling(name: str) -> Any:
            def told(cls: type, *args: Any, **kwargs: Any) -> Any:
                if culprit(2).f_globals.get("__name__", "").startswith(self._allowed):
                    return getattr(kind, name)(*args, **kwargs)
                raise self.report(f"datetime.{kind.__name__}.{name}()")

            return classmethod(told)

        def new(cls: type, *args: Any, **kwargs: Any) -> Any:
            return kind(*args, **kwargs)

        return Dates(kind.__name__, (kind,), {"__new__": new, **{name: telling(name) for name in methods}})

    def _time(self, caller: str, name: str) -> float | int:
        """
        What a part of Twisted is told when it asks for the time.
        """
        now = self._network.clock.now
        if caller == "twisted.internet.task":
            self._ticks += 1
            now = self._ticks * 0.001
        return int(now * 1e9) if name.endswith("_ns") else now

    def _seeding(self, original: Callable[..., None]) -> Callable[..., None]:
        def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
            if a is None and not culprit(2).f_globals.get("__name__", "").startswith(self._allowed):
                raise self.report("random.Random() without a seed")
            original(generator, a, version)

        return seed

    def _insteadOfReactor(self, name: str) -> Any:
        def told(*args: Any, **kwargs: Any) -> Any:
            caller = culprit(2).f_globals.get("__name__", "")
            if caller.startswith(_POSTPONING) and name == "callLater":
                return self._network.callLater(*args, **kwargs)
            raise self.report(f"the real reactor ({name})")

        return told


_ABSENT = object()
_GLOBAL_REACTOR = "twisted.internet.reactor"
_REACTOR = (
    *("addReader", "addWriter", "addSystemEventTrigger", "callFromThread", "callInThread", "callLater"),
    *("callWhenRunning", "connectSSL", "connectTCP", "connectUNIX", "getThreadPool", "iterate", "listenSSL"),
    *("listenTCP", "listenUDP", "listenUNIX", "resolve", "run", "seconds", "spawnProcess", "stop"),
)
