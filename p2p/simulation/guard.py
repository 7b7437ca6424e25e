"""
Telling off what reaches past the simulation: real time, real sockets, threads, randomness that no seed determines.

While a network runs, the functions that would do so are replaced in their modules, and a copy that some program's
module holds (C{from time import monotonic}) is replaced there. The replacement looks at who calls: the first frame
that is not of the standard library. If that is a program, L{RealityError} is raised there, naming its file and line,
and ends the run. Nothing is done at any event, so this costs nothing.

Twisted may do it, and gets what is determined by the seed, in whichever of its modules:
 - the virtual time, that of the host whose program runs, if its frames tell which that is, and else the network's;
   loggers always get the network's, so that what several hosts have logged is in order;
 - random bytes that are drawn from a stream of the network's, for session ids, DNS queries, challenges;
 - the C{random} module, which is seeded for the duration of the run (and put back afterwards), for jitter;
 - C{callLater} and C{seconds} of the global reactor, where nobody gave them another: those of the host whose program
   runs, so that a crash or a stop of its process holds for them, too; of the network, if no frame tells which that is;
 - the global cooperator: each process has one of its own, on its reactor. It measures how long it has worked, and gets
   a time that passes at every look, so that what it does depends on no machine.

Python's C{logging} gets the network's time as well, whoever logs.

C{datetime.now()} and its like are methods of classes that nobody can change: the names of these classes stand for ones
that cannot tell the time meanwhile, and whose instances are those of the real ones.

It stands there while a network runs, and while a host is booted with the function it was given. What is done with a
reactor before the run, or between two, is free: it may be a test, which builds its network out of the real world. What
is imported during a run takes the replacements for the originals; it gets these at the end.

What cannot be seen is listed in docs/simulation.md: what a program bound elsewhere than in its modules and classes
before the run, and what C code does by itself.
"""

from __future__ import annotations

import _thread
import datetime
import os
import random
import secrets
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from random import Random
from types import BuiltinFunctionType, FrameType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import twisted.internet
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.task import CooperativeTask
from twisted.logger import _logger as twistedLogger

from p2p.simulation.clock import SimulationError
from p2p.simulation.host import Host
from p2p.simulation.stream import Stream

if TYPE_CHECKING:
    from p2p.simulation.network import SimulatedNetwork
    from p2p.simulation.reactor import SimulatedReactor

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
    *((socket, name) for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo")),
    *((select, name) for name in ("select", "poll", "epoll", "kqueue", "devpoll")),
    (subprocess, "Popen"),
    *((os, name) for name in ("times", "system", "fork", "forkpty", "posix_spawn", "posix_spawnp")),
    *((signal, name) for name in ("alarm", "setitimer", "pause", "sigwait", "sigwaitinfo", "sigtimedwait")),
    *((module, "fork_exec") for module in [sys.modules.get("_posixsubprocess")] if module is not None),
    *((_thread, name) for name in ("start_new_thread", "start_new", "start_joinable_thread")),
    (uuid, "uuid1"),
]

_DATES: dict[type, tuple[str, ...]] = {datetime.datetime: ("now", "utcnow", "today"), datetime.date: ("today",)}
"""What tells the real time though nobody calls it a clock: classes and their methods."""

_TWISTED = "twisted."
"""How the names of the modules begin that get virtual time and seeded randomness."""

_PLUGINS = "twisted.plugins."
"""But for these."""

_LOGGERS = ("twisted.logger.", "twisted.python.log")
"""Those of them that get the network's time, whatever the hosts' clocks show."""

_LOGGING = "logging"
"""So does this module of the standard library."""

_REAL = ("hypothesis.", "twisted.trial.")
"""
Modules that get the real time and all else: tools, which time whatever runs, also by way of a callback of the garbage
collector.
"""

_HARMLESS = ("tempfile", "importlib._bootstrap", "twisted.python.filepath", "twisted.python.lockfile")
"""Others that do so for whomever: for names of files, and what modules do at their import."""

_POSTPONING = ("callLater", "seconds")
"""What modules of Twisted may use of the global reactor."""

_WHY = "while a simulated network runs: use what the simulated reactor offers"

_Copy = tuple[str | None, str]
"""Where in a module a copy is: the name of a class or L{None}, and the name there."""

_HOLDS: dict[str, tuple[ModuleType, int, list[_Copy]]] = {}
"""
What is known of each module, for all networks of this process: how many names it had, and where it has copies of what
is forbidden. To look through a thousand modules takes longer than a small network takes to run.
"""


class RealityError(SimulationError):
    """
    Simulated code has reached past the simulation.

    @ivar what: What it used.
    @ivar where: C{file:line} of the code that did; if that is a library's, also of the program that called it.
    """

    def __init__(self, what: str, where: str, why: str = _WHY) -> None:
        """
        @param why: The end of the message: why that cannot be, and what can.
        """
        self.what = what
        self.where = where
        super().__init__(f"{where} uses {what} {why}")


def culprit(depth: int = 1) -> FrameType:
    """
    Find who is responsible for a call: the first frame that belongs neither to the standard library nor to this
    package, unless a part of the standard library is on the way that may do as it likes.
    """
    frame: FrameType | None = sys._getframe(depth)
    found = frame
    while frame is not None:
        found = frame
        file, module = frame.f_code.co_filename, _moduleOf(frame)
        if module in _HARMLESS or not (module.startswith("p2p.simulation.") or _isStandard(file)):
            break
        frame = frame.f_back
    assert found is not None
    return found


def place() -> str:
    """
    The file and line of the code that called into the simulation.
    """
    frame: FrameType | None = culprit(2)
    assert frame is not None
    found = _lineOf(frame)
    if _isLibrary(frame):
        while frame is not None and not _moduleOf(frame).startswith("p2p.simulation."):
            if not (_isLibrary(frame) or _isStandard(frame.f_code.co_filename)):
                return f"{found} (for {_lineOf(frame)})"
            frame = frame.f_back
    return found


def _moduleOf(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name


def _isTwisteds(module: str) -> bool:
    """
    Whether a module is a part of Twisted: what stands where that looks for plugins is somebody's own, a strategy, say.
    """
    return module.startswith(_TWISTED) and not module.startswith(_PLUGINS)


def _lineOf(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _isStandard(file: str) -> bool:
    return file.startswith("<frozen") or (file.startswith(_STANDARD_LIBRARY) and not file.startswith(_SITE_PACKAGES))


def _isLibrary(frame: FrameType) -> bool:
    """
    Whether a frame belongs to what programs use, and to none of them: to Twisted, to what is installed, or to p2p.
    """
    module = _moduleOf(frame)
    ours = module.startswith("p2p.") and not module.startswith("p2p.test.")
    return ours or _isTwisteds(module) or frame.f_code.co_filename.startswith(_SITE_PACKAGES)


def _hostOf(frame: FrameType | None) -> Host | None:
    """
    The host whose program is under way: of the simulator's parts the one that called it last tells.
    """
    while frame is not None:
        if _moduleOf(frame).startswith("p2p.simulation."):
            names = frame.f_locals
            for part in (names.get("self"), names.get("target"), names.get("machine")):
                end = part.connection.peer if isinstance(part, Stream) else part
                for host in (end, getattr(end, "host", None), getattr(getattr(end, "reactor", None), "host", None)):
                    if isinstance(host, Host):
                        return host
        frame = frame.f_back
    return None


def _processOf(frame: FrameType | None, network: SimulatedNetwork) -> SimulatedReactor:
    """
    The process whose program is under way, or the network's own if that is not known.
    """
    host = _hostOf(frame)
    return network.director if host is None else host.reactor


class _Cooperators:
    """
    Instead of Twisted's global cooperator: the one of the process whose program asks.
    """

    def __init__(self, network: SimulatedNetwork) -> None:
        self._network = network

    def cooperate(self, iterator: Any) -> CooperativeTask[Any]:
        """
        See L{Cooperator.cooperate}.
        """
        return _processOf(sys._getframe(1), self._network).cooperator.cooperate(iterator)

    def coiterate(self, iterator: Any) -> Deferred[Any]:
        """
        See L{Cooperator.coiterate}.
        """
        return _processOf(sys._getframe(1), self._network).cooperator.coiterate(iterator)


def _held(module: ModuleType, wanted: dict[int, Any]) -> Iterator[_Copy]:
    """
    Where a module, or a class that is defined in it, holds one of some objects, given by their ids.
    """
    for name, value in list(vars(module).items()):
        if id(value) in wanted:
            yield None, name
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, held in list(vars(value).items()):
                if (id(held) in wanted or type(held) is staticmethod) and id(_unbound(held)) in wanted:
                    yield name, attribute


def _unbound(held: object) -> object:
    """
    What one gets who asks for an attribute of a class, unless it is a method of it.
    """
    if isinstance(held, staticmethod):
        return held.__func__
    return held if isinstance(held, BuiltinFunctionType | MethodType | _Instead | type) else None


def _owner(module: ModuleType, copy: _Copy) -> Any:
    return module if copy[0] is None else vars(module).get(copy[0])


class _Instead:
    """
    Called instead of a function of the real world; as one of C it becomes no method where a class has it.
    """

    __slots__ = ("_told",)

    def __init__(self, told: Callable[..., Any]) -> None:
        self._told = told

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._told(*args, **kwargs)


class Guard:
    """
    Stands between simulated code and the real world while a network runs.

    @ivar active: Whether it does so at present.
    """

    def __init__(self, network: SimulatedNetwork, allowed: tuple[str, ...]) -> None:
        self._network = network
        self._allowed = allowed
        self._real = (*_REAL, *_HARMLESS)
        self._replaced: list[tuple[Any, str, Any]] = []
        # What stands for an original, by the original's id, which remains its own while that is kept; and the reverse.
        self._stands: dict[int, Any] = {}
        self._originals: dict[int, Any] = {}
        self._seen: set[str] = set()
        self._copying: dict[str, list[_Copy]] = {}
        self._randomState: object = None
        self._ticks = 0
        self._random = network.stream("global random").getstate()
        self._entropy = network.stream("entropy")
        self._cooperators = _Cooperators(network)
        self.active = False

    def __enter__(self) -> None:
        self.active = True
        stands = self._stands
        for module, name in _FORBIDDEN:
            original = getattr(module, name, None)
            if original is not None:
                if id(original) not in stands:
                    self._stand(original, self._insteadOf(module, name, original))
                self._replace(module, name, stands[id(original)])
        for kind, methods in _DATES.items():
            if id(kind) not in stands:
                self._stand(kind, self._insteadOfDates(kind, methods))
            self._replace(datetime, kind.__name__, stands[id(kind)])
        self._replace(threading.Thread, "start", self._telling(threading, "Thread.start", threading.Thread.start))
        self._replace(random.Random, "seed", self._seeding(random.Random.seed))
        self._replaceCopies(stands)
        self._replace(twistedLogger, "time", lambda: self._network.clock.now)
        self._replace(task, "_theCooperator", self._cooperators)
        reactor: Any = sys.modules.get(_GLOBAL_REACTOR)
        if reactor is None:
            # It would come into being at the first look; a stand-in is there instead, as long as the network runs.
            reactor = sys.modules[_GLOBAL_REACTOR] = STAND_IN
            self._replace(twisted.internet, "reactor", reactor)
        for name in _REACTOR:
            instead = self._insteadOfReactor(name)
            # Also of the stand-in, where the real one has come later: what took it in an earlier run has it still.
            for owner in {id(reactor): reactor, id(STAND_IN): STAND_IN}.values():
                self._replace(owner, name, instead)
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
        for module in [sys.modules[name] for name in sys.modules.keys() - self._seen]:
            for copy in _held(module, self._originals) if isinstance(module, ModuleType) else ():
                owner = _owner(module, copy)
                held = vars(owner)[copy[1]]
                original = self._originals[id(_unbound(held))]
                setattr(owner, copy[1], staticmethod(original) if isinstance(held, staticmethod) else original)
        self.active = False

    def report(self, what: str, why: str = _WHY) -> RealityError:
        """
        Note that somebody reached past the simulation, and end the run after this event, even if the exception that
        is raised there gets lost on its way.

        @return: The exception to raise.
        """
        problem = RealityError(what, place(), why)
        if self.active:
            self._network.clock.interrupt(problem)
        return problem

    def _replace(self, owner: Any, name: str, replacement: Any) -> None:
        self._replaced.append((owner, name, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, replacement)

    def _stand(self, original: Any, stand: Any) -> None:
        self._stands[id(original)] = stand
        self._originals[id(stand)] = original

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
                    owner = _owner(module, copy)
                    held = vars(owner).get(copy[1]) if owner is not None else None
                    replacement = instead.get(id(held if owner is module else _unbound(held)))
                    if replacement is not None:
                        self._replace(owner, copy[1], replacement)

    def _copies(self, name: str, module: Any, instead: dict[int, Any]) -> list[_Copy]:
        """Where a module holds what is forbidden, unless it may use that."""
        if name.startswith(("p2p.simulation.", *self._real, *self._allowed)) or not isinstance(module, ModuleType):
            return []
        size = len(vars(module))
        known = _HOLDS.get(name)
        if known is None or known[0] is not module or known[1] != size:
            file = getattr(module, "__file__", None) or _STANDARD_LIBRARY
            known = _HOLDS[name] = (module, size, [] if _isStandard(file) else list(_held(module, instead)))
        return known[2]

    def _insteadOf(self, module: ModuleType, name: str, original: Any) -> Any:
        told = self._telling(module, name, original)
        if isinstance(original, type) and original.__flags__ & _MAY_BE_A_BASE:
            return type(original)(original.__name__, (original,), {"__new__": lambda cls, *a, **k: told(*a, **k)})
        return _Instead(told)

    def _telling(self, module: ModuleType, name: str, original: Any) -> Callable[..., Any]:
        """
        A function that gives Twisted what it asks for, and tells off others.
        """
        what = f"{module.__name__}.{name}()"
        moment = _MOMENTS.get(name, sys.maxsize)
        given = self._given(module, name, original)

        def told(*args: Any, **kwargs: Any) -> Any:
            if not self.active or (len(args) > moment and args[moment] is not None):
                return original(*args, **kwargs)
            asks = sys._getframe(2)
            if given is not None and asks.f_globals.get("__name__") == _LOGGING:
                return given(asks, *args, **kwargs)
            frame = culprit(2)
            caller = _moduleOf(frame)
            if caller.startswith(self._real):
                return original(*args, **kwargs)
            if given is not None and (_isTwisteds(caller) or caller.startswith(self._allowed)):
                return given(frame, *args, **kwargs)
            if caller.startswith(self._allowed):
                return original(*args, **kwargs)
            raise self.report(what)

        return told

    def _given(self, module: ModuleType, name: str, original: Any) -> Callable[..., Any] | None:
        """
        What Twisted, and whoever is allowed to, gets instead of the real time and randomness; L{None} for all else.
        """
        if module is time and name != "sleep":
            if name in ("localtime", "gmtime", "ctime"):
                return lambda frame, *args: original(self._now(frame))
            if name in _MOMENTS:
                return lambda frame, *args: original(*args[: _MOMENTS[name]], _localtime(self._now(frame)))
            scale = 1e9 if name.endswith("_ns") else 0.0
            return lambda frame, *args: int(self._now(frame) * scale) if scale else self._now(frame)
        if name in ("urandom", "_urandom", "getrandom"):
            return lambda frame, size, *args, **kwargs: self._entropy.randbytes(size)
        # These come to what stands above, or to a generator that is seeded.
        return (lambda frame, *args, **kwargs: original(*args, **kwargs)) if module in (random, secrets) else None

    def _now(self, frame: FrameType) -> float:
        """
        What time it is for a part of Twisted.

        @param frame: Where it asks.
        """
        caller = _moduleOf(frame)
        if caller == "twisted.internet.task":
            self._ticks += 1
            return self._ticks * 0.001
        host = None if caller.startswith(_LOGGERS) or caller == _LOGGING else _hostOf(frame)
        return self._network.clock.now if host is None else host.wall.seconds()

    def _insteadOfDates(self, kind: Any, methods: tuple[str, ...]) -> type:
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
                frame = culprit(2)
                caller = _moduleOf(frame)
                if not self.active or caller.startswith(self._real):
                    return getattr(kind, name)(*args, **kwargs)
                if not (_isTwisteds(caller) or caller.startswith(self._allowed)):
                    raise self.report(f"datetime.{kind.__name__}.{name}()")
                if name == "utcnow":
                    return kind.fromtimestamp(self._now(frame), datetime.UTC).replace(tzinfo=None)
                return kind.fromtimestamp(self._now(frame), *args, **kwargs)

            return classmethod(told)

        def new(cls: type, *args: Any, **kwargs: Any) -> Any:
            return kind(*args, **kwargs)

        return Dates(kind.__name__, (kind,), {"__new__": new, **{name: telling(name) for name in methods}})

    def _seeding(self, original: Callable[..., None]) -> Callable[..., None]:
        def seed(generator: Random, a: Any = None, version: int = 2) -> None:
            if a is None:
                caller = _moduleOf(culprit(2))
                if not caller.startswith(self._real):
                    if not (_isTwisteds(caller) or caller.startswith(self._allowed)):
                        raise self.report("random.Random() without a seed")
                    a = self._entropy.getrandbits(64)
            original(generator, a, version)

        return seed

    def _insteadOfReactor(self, name: str) -> Any:
        def told(*args: Any, **kwargs: Any) -> Any:
            frame = culprit(2)
            if name in _POSTPONING and _isTwisteds(_moduleOf(frame)):
                return getattr(_processOf(frame, self._network), name)(*args, **kwargs)
            raise self.report(f"the real reactor ({name})")

        return told


_ABSENT = object()
_MAY_BE_A_BASE = 1 << 10
"""C{Py_TPFLAGS_BASETYPE}: what C{select.epoll} lacks."""
_localtime = time.localtime
_GLOBAL_REACTOR = "twisted.internet.reactor"
STAND_IN = ModuleType(_GLOBAL_REACTOR)
"""What is found as the global reactor during a run if this process has none; always the same, as some keep it."""
_REACTOR = (
    *("addReader", "addWriter", "addSystemEventTrigger", "callFromThread", "callInThread", "callLater"),
    *("callWhenRunning", "connectSSL", "connectTCP", "connectUNIX", "getThreadPool", "iterate", "listenSSL"),
    *("listenTCP", "listenUDP", "listenUNIX", "resolve", "run", "seconds", "spawnProcess", "stop"),
)
