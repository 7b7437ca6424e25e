"""
Tests for L{p2p.peer.strategies}.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from p2p.interfaces import IBroadcast, IDetector, IOverlay
from p2p.peer.strategies import STRATEGIES, strategy
from p2p.settings import PeerSettings, SettingError
from p2p.test.fakes import FakeOutlet


class StrategiesTests(SynchronousTestCase):
    """Strategies by name."""

    def test_eachIsWhatItsSettingSays(self) -> None:
        """All that can be named provide the interface of their kind, made as the service makes them."""
        interfaces = {"overlay": IOverlay, "broadcast": IBroadcast, "detector": IDetector}
        self.assertEqual(set(STRATEGIES), set(interfaces))
        for setting, known in STRATEGIES.items():
            for name in known:
                made = strategy(setting, name)
                more = (Random(1),) if setting == "overlay" else ()
                verifyClass(interfaces[setting], made)
                verifyObject(interfaces[setting], made(FakeOutlet(), PeerSettings(), *more))

    def test_theDefaultsExist(self) -> None:
        """What the settings name by themselves can be had."""
        settings = PeerSettings()
        for setting in STRATEGIES:
            strategy(setting, getattr(settings, setting))

    def test_noTwoTakeTheSameMessage(self) -> None:
        """Else one would not hear it."""
        made = [next(iter(known.values())) for known in STRATEGIES.values()]
        types = [type for each in made for type in each.messages]  # type: ignore[attr-defined]
        self.assertEqual(len(types), len(set(types)))

    def test_anUnknownNameIsOneClearLine(self) -> None:
        """It says what there is."""
        error = self.assertRaises(SettingError, strategy, "overlay", "clique")
        self.assertEqual(str(error), "overlay: there is no 'clique', only random")
