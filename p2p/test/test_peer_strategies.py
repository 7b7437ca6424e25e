"""
Tests for L{p2p.peer.strategies}.
"""

from __future__ import annotations

from random import Random
from typing import Any, NoReturn

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.interfaces import IBroadcast, IStrategy
from p2p.peer import strategies as module
from p2p.peer.strategies import INTERFACES, KINDS, Strategy, examine, installed, makeStrategy, strategies, strategy
from p2p.settings import PeerSettings, SettingError
from p2p.test.fakes import FakeOutlet
from p2p.wire.messages import Custom

OWN = [known for kind in KINDS for known in strategies(kind).values()]
"""What there is."""


class StrategiesTests(SynchronousTestCase):
    """Strategies by name."""

    def test_eachIsWhatItsSettingSays(self) -> None:
        """All that can be named provide the interface of their kind, made as the service makes them."""
        for kind in KINDS:
            for name, known in strategies(kind).items():
                verifyObject(IStrategy, known)
                self.assertEqual((known.kind, known.name), (kind, name))
                verifyObject(INTERFACES[kind], known.make(FakeOutlet(), PeerSettings(), Random(1)))

    def test_theDefaultsExist(self) -> None:
        """What the settings name by themselves can be had."""
        settings = PeerSettings()
        for kind in KINDS:
            strategy(kind, getattr(settings, kind))

    def test_noTwoTakeTheSameMessage(self) -> None:
        """Else one would not hear it."""
        taken: dict[str, set[type]] = {}
        for kind in KINDS:
            made = [known.make(FakeOutlet(), PeerSettings(), Random(1)) for known in strategies(kind).values()]
            taken[kind] = {type for each in made for type in each.messages}
        types = [type for each in taken.values() for type in each]
        self.assertEqual(len(types), len(set(types)))

    def test_anUnknownNameIsOneClearLine(self) -> None:
        """It says what there is, and what there is that cannot be used."""
        error = self.assertRaises(SettingError, strategy, "overlay", "clique")
        self.assertEqual(str(error), f"overlay: there is no 'clique', only {', '.join(strategies('overlay'))}")
        self.install(None)
        error = self.assertRaises(SettingError, strategy, "overlay", "clique")
        self.assertIn("; the strategy builtins.NoneType is passed over: AttributeError: ", str(error))
        self.assertNotIn("\n", str(error))

    def install(self, *plugins: object) -> None:
        """Let this be there, besides the project's own."""
        there = examine([*plugins, *OWN], OWN)
        self.patch(module, "installed", lambda: there)

    def test_aBrokenOneIsToldAndHarmsNoOther(self) -> None:
        """Whatever it lacks; the line says which it is and why."""
        names: list[Any] = ["", "two words", "x" * 65, "a\nb", None]
        silent: Any = None
        here = "p2p.test.test_peer_strategies"
        wrong: list[tuple[object, str]] = [
            (Kindless(), f"{here}.Kindless is passed over: AttributeError: two lines"),
            (Kindless, f"{here}.Kindless is passed over: its kind is <property"),
            (Strategy("colour", "red", "", "a.Red"), "a.Red is passed over: its kind is 'colour', not one of overl"),
            (Strategy("overlay", "red", silent, "a.Red"), "a.Red is passed over: it has no description, "),
        ]
        for name in names:
            line = f"a.Red is passed over: its name is {name!r}, not 1 to 64 "
            wrong.append((Strategy("overlay", name, "", "a.Red"), line))
        for plugin, line in wrong:
            there = examine([plugin, *OWN], OWN)
            (fault,) = there.faults
            self.assertIn(f"the strategy {line}", fault)
            self.assertNotIn("\n", fault)
            self.assertEqual(there.usable, {kind: strategies(kind) for kind in KINDS})

    def test_noNameIsTakenFromAnother(self) -> None:
        """Least of all from one of the project's own; the line says which two."""
        own = strategy("overlay", "random")
        theirs = Strategy("overlay", "random", "", "a.Random")
        first, second = (Strategy("detector", "oracle", "", f"{letter}.Oracle") for letter in "ab")
        for plugins in ((theirs, first, second, own), (own, second, first, theirs)):
            there = examine(plugins, [own])
            usable = {"overlay": {"random": own}, "broadcast": {}, "detector": {"oracle": first}}
            self.assertEqual(there.usable, usable)
            self.assertEqual(
                there.faults,
                ["the strategy a.Random is passed over: the overlay 'random' is p2p.peer.overlay.RandomLinks already",
                 "the strategy b.Oracle is passed over: the detector 'oracle' is a.Oracle already"],
            )  # fmt: skip

    def test_whatIsInstalledKnowsItsOwn(self) -> None:
        """There are six of the project's, and nothing is wrong with any."""
        self.assertEqual(installed().faults, [])
        for kind, names in (
            ("overlay", {"random", "hyparview"}),
            ("broadcast", {"flood", "plumtree"}),
            ("detector", {"heartbeat", "swim"}),
        ):
            self.assertLessEqual(names, set(strategies(kind)))

    def test_oneThatCannotBeMadeIsOneClearLine(self) -> None:
        """Its class is not there, or fails, or lacks something that its interface has."""
        here = "p2p.test.test_peer_strategies"
        for home, why in (
            ("no.such.Home", "ObjectNotFound: 'no.such.Home' does not name an object"),
            (f"{here}.Nobody", f"AttributeError: module '{here}' has no attribute 'Nobody'"),
            (f"{here}.Failing", "ZeroDivisionError: two lines"),
            (f"{here}.Mute", "AttributeError: 'Mute' object lacks promised, received of IBroadcast"),
            (f"{here}.Bare", f"AttributeError: 'Bare' object lacks {', '.join(sorted(IBroadcast))} of IBroadcast"),
            (f"{here}.Deaf", "TypeError: 'NoneType' object is not iterable"),
            (f"{here}.Babbling", "TypeError: messages has 'Custom', which is no type of p2p.wire.messages"),
        ):
            self.install(Strategy("broadcast", "broken", "", home))
            settings = PeerSettings(broadcast="broken")
            error = self.assertRaises(SettingError, makeStrategy, "broadcast", FakeOutlet(), settings, Random(1))
            self.assertEqual(str(error), f"broadcast: 'broken' ({home}) cannot be made: {why}")


class Kindless:
    """No strategy."""

    @property
    def kind(self) -> NoReturn:
        """It has none."""
        raise AttributeError("two\nlines")


class Failing:
    """It is never made."""

    def __init__(self, *what: object) -> None:
        raise ZeroDivisionError("two\nlines")


class Bare:
    """It has nothing."""

    def __init__(self, *what: object) -> None:
        pass


class Mute(Bare):
    """It has what was asked for before there was C{promised}, and does not take what it says it takes."""

    messages = (Custom,)
    duplicates = refused = 0
    publish = neighbourUp = neighbourDown = settled = recent = tick = None


class Deaf(Mute):
    """It does not say what it takes."""

    messages: Any = None
    promised = received = None


class Babbling(Deaf):
    """It says what it takes in a word."""

    messages = ("Custom",)
