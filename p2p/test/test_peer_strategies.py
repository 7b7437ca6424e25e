"""
Tests for L{p2p.peer.strategies}.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2p.interfaces import IBroadcast, IDetector, IOverlay, IStrategy
from p2p.peer.strategies import KINDS, strategies, strategy
from p2p.settings import PeerSettings, SettingError
from p2p.test.fakes import FakeOutlet


class StrategiesTests(SynchronousTestCase):
    """Strategies by name."""

    def test_eachIsWhatItsSettingSays(self) -> None:
        """All that can be named provide the interface of their kind, made as the service makes them."""
        interfaces = {"overlay": IOverlay, "broadcast": IBroadcast, "detector": IDetector}
        self.assertEqual(set(KINDS), set(interfaces))
        for kind in KINDS:
            for name, known in strategies(kind).items():
                verifyObject(IStrategy, known)
                self.assertEqual((known.kind, known.name), (kind, name))
                verifyObject(interfaces[kind], known.make(FakeOutlet(), PeerSettings(), Random(1)))

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
        """It says what there is."""
        error = self.assertRaises(SettingError, strategy, "overlay", "clique")
        self.assertEqual(str(error), f"overlay: there is no 'clique', only {', '.join(strategies('overlay'))}")
