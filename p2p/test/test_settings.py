"""
Tests for L{p2p.settings}.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.service import PeerService
from p2p.settings import LinkSettings, PeerSettings, SeedSettings, SettingError
from p2p.wire.messages import FRAME

RECORDS: tuple[type[LinkSettings], ...] = (SeedSettings, PeerSettings)
FIELDS = [(record, field) for record in RECORDS for field in attrs.fields(record)]


class SettingsTests(SynchronousTestCase):
    """Every field of both records, by what its own metadata says."""

    def assertRefused(self, record: type[LinkSettings], name: str, value: object) -> None:
        """The value is refused by one line that begins with the setting's name."""
        with self.assertRaises(SettingError, msg=f"{name}={value!r}") as caught:
            record(**{name: value})  # type: ignore[arg-type]
        self.assertTrue(str(caught.exception).startswith(f"{name}: {value!r} is not "), str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def test_everyDefaultIsTaken(self) -> None:
        """A record made without arguments is valid."""
        for record in RECORDS:
            record()

    def test_everySettingIsDescribed(self) -> None:
        """C{--help} has a line for each, and a unit for each number."""
        for _, field in FIELDS:
            self.assertTrue(field.metadata["what"], field.name)
            if field.metadata["kind"] not in (str, bool):
                self.assertTrue(field.metadata["unit"], field.name)

    def test_boundsBelongToTheRange(self) -> None:
        """The smallest and the largest value are taken as they are."""
        for record, field in FIELDS:
            kind, low, high = (field.metadata[key] for key in ("kind", "low", "high"))
            for bound in (low, high):
                value: Any = "x" * int(bound) if kind is str else kind(bound)
                self.assertEqual(getattr(record(**{field.name: value}), field.name), value)

    def test_whatIsOutsideTheRangeIsRefused(self) -> None:
        """Just below, far above."""
        for record, field in FIELDS:
            kind, low, high = (field.metadata[key] for key in ("kind", "low", "high"))
            if kind is str:
                self.assertRefused(record, field.name, "")
                self.assertRefused(record, field.name, "x" * (int(high) + 1))
            elif kind is not bool:
                self.assertRefused(record, field.name, kind(low) - 1)
                self.assertRefused(record, field.name, kind(high) + 1)

    def test_whatIsOfAnotherKindIsRefused(self) -> None:
        """True is no number, a fraction no whole one, a number no text; and not-a-number is not within anything."""
        for record, field in FIELDS:
            kind = field.metadata["kind"]
            wrong: tuple[object, ...] = (None, [], b"1")
            if kind is str:
                wrong += (1, 1.5)
            elif kind is bool:
                wrong += (0, 1, "on")
            else:
                wrong += (True, "1", float("nan"), float("inf"))
            if kind is int:
                wrong += (1.5, 2.0)
            for value in wrong:
                self.assertRefused(record, field.name, value)

    def test_wholeNumbersServeWhereFractionsMay(self) -> None:
        """A scenario file may say C{gossipInterval = 5}."""
        self.assertEqual(PeerSettings(gossipInterval=5).gossipInterval, 5)

    def test_recordsDoNotChange(self) -> None:
        """They are shared by everything in a node."""
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            PeerSettings().maxInbound = 3  # type: ignore[misc]

    def test_whatDoesNotGoTogetherIsRefused(self) -> None:
        """In one line that names both; a peer is not made with it."""
        PeerSettings(maxPayload=5000 - FRAME, maxBacklog=5000).checkTogether()
        for record in (PeerSettings(maxPayload=5001 - FRAME, maxBacklog=5000), PeerSettings(maxBacklog=2**19)):
            error = self.assertRaises(SettingError, record.checkTogether)
            self.assertRegex(str(error), r"^maxPayload: \d+ bytes, with 64 of its frame, are more than maxBacklog, ")
            self.assertNotIn("\n", str(error))
            self.assertRaises(SettingError, PeerService, MemoryReactorClock(), record, [])

    @given(st.sampled_from(FIELDS), st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none()))
    def test_anyValueIsTakenUnchangedOrRefused(
        self, entry: tuple[type[LinkSettings], attrs.Attribute[Any]], value: object
    ) -> None:
        """Nothing is bent into range in silence, and no other error comes."""
        record, field = entry
        try:
            made = record(**{field.name: value})  # type: ignore[arg-type]
        except SettingError:
            return
        self.assertIs(getattr(made, field.name), value)
