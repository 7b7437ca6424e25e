"""
Tests for L{p2p.peer.missing}.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2p.peer.missing import AGAIN, MAX_MISSING, REFUSED_TIME, Missing
from p2p.settings import PeerSettings
from p2p.test.fakes import contact
from p2p.wire.messages import Contact
from p2p.wire.probe import Outcome, Verdict


class MissingTests(SynchronousTestCase):
    """Whom to ask, and when."""

    def missing(self, seed: int = 1) -> Missing:
        """A fresh one: 3 seconds, an hour."""
        return Missing(PeerSettings(reconnectInterval=3.0, reconnectTime=3600.0), Random(seed))

    def asked(self, missing: Missing, begin: float, end: float) -> list[tuple[float, Contact]]:
        """Whom it names when, looking every tenth of a second."""
        found = []
        for tenth in range(round(10 * begin), round(10 * end)):
            due = missing.due(tenth / 10)
            if due is not None:
                found.append((tenth / 10, due))
        return found

    def test_theSilentAreAskedEveryFewSeconds(self) -> None:
        """From half to one and a half of the interval after one another; not at once, for they were just asked."""
        missing = self.missing()
        missing.add(contact(1), "silent", 0.0)
        times = [time for time, _ in self.asked(missing, 0.0, 60.0)]
        pauses = [later - time for time, later in pairwise([0.0, *times])]
        self.assertTrue(all(1.4 < pause < 4.7 for pause in pauses), pauses)
        self.assertTrue(15 < len(times) < 27, times)
        self.assertGreater(len({round(pause, 1) for pause in pauses}), 5)

    def test_theLongerTheSlower(self) -> None:
        """A twentieth of the time since; a thousand seconds later, once in a minute or so."""
        missing = self.missing()
        missing.add(contact(1), "silent", 0.0)
        times = [time for time, _ in self.asked(missing, 1000.0, 1400.0)]
        pauses = [later - time for time, later in pairwise(times)]
        self.assertTrue(all(AGAIN * 500 < pause < AGAIN * 2100 for pause in pauses), pauses)
        self.assertTrue(4 < len(times) < 15, times)

    def test_aNewLossIsUrgentAgain(self) -> None:
        """And all are asked sooner."""
        missing = self.missing()
        missing.add(contact(1), "silent", 0.0)
        missing.add(contact(2), "silent", 1000.0)
        asked = [who for _, who in self.asked(missing, 1000.0, 1060.0)]
        self.assertGreater(len(asked), 15)
        self.assertEqual(set(asked), {contact(1), contact(2)})

    def test_inTheEndTheyAreForgotten(self) -> None:
        """After an hour; where connections are refused, after a minute; who was replaced, at once."""
        missing = self.missing()
        for number, evidence in enumerate(("silent", "refused", "replaced")):
            missing.add(contact(number), evidence, 0.0)
        self.assertEqual(len(missing), 2)
        missing.due(REFUSED_TIME)
        self.assertEqual((contact(0).id in missing, contact(1).id in missing), (True, False))
        missing.due(3600.0)
        self.assertEqual(len(missing), 0)

    def test_whoRefusesWhenAskedIsForgottenSooner(self) -> None:
        """A minute after the first refusal."""
        missing = self.missing()
        missing.add(contact(1), "silent", 0.0)
        for time in (100.0, 130.0):
            self.assertIsNone(missing.answered(contact(1), Outcome(Verdict.REFUSED), time))
        missing.due(159.0)
        self.assertEqual(len(missing), 1)
        missing.due(160.0)
        self.assertEqual(len(missing), 0)

    def test_whoAnswersIsNamedOnce(self) -> None:
        """As who it is now, at the address where it answered."""
        missing = self.missing()
        missing.add(contact(1), "silent", 0.0)
        later = Contact(contact(1, 5).identity, "")
        self.assertEqual(missing.answered(contact(1), Outcome(Verdict.ALIVE, later), 5.0), contact(1, 5))
        self.assertIsNone(missing.answered(contact(1), Outcome(Verdict.ALIVE, later), 5.0))
        self.assertEqual(len(missing), 0)

    def test_whoSaysNothingClearStaysMissing(self) -> None:
        """Silence, no room, no way to ask; but where another one answers, it is gone."""
        missing = self.missing()
        missing.add(contact(1), "silent", 0.0)
        for verdict in (Verdict.SILENT, Verdict.UNSURE, Verdict.ALIVE):
            self.assertIsNone(missing.answered(contact(1), Outcome(verdict), 5.0))
            self.assertEqual(len(missing), 1)
        self.assertIsNone(missing.answered(contact(1), Outcome(Verdict.REPLACED, contact(2)), 5.0))
        self.assertEqual(len(missing), 0)

    def test_anAnswerOfSomebodyWhoCameBackMeanwhileIsPassedOver(self) -> None:
        """And so is what was said of an earlier life."""
        missing = self.missing()
        missing.add(contact(1, 2), "silent", 0.0)
        self.assertIsNone(missing.answered(contact(1, 1), Outcome(Verdict.ALIVE, contact(1)), 5.0))
        missing.forget(contact(1, 1))
        self.assertEqual(len(missing), 1)
        missing.forget(contact(1, 2))
        self.assertEqual(len(missing), 0)

    def test_theyAreBounded(self) -> None:
        """However many are called dead; and one without an address cannot be asked."""
        missing = self.missing()
        for number in range(1000):
            missing.add(contact(number), "silent", 0.0)
        self.assertEqual(len(missing), MAX_MISSING)
        missing = self.missing()
        missing.add(Contact(contact(1).identity, ""), "silent", 0.0)
        self.assertEqual(len(missing), 0)

    def test_itCanBeSwitchedOff(self) -> None:
        """With a time of 0 nobody is asked."""
        missing = Missing(PeerSettings(reconnectTime=0.0), Random(1))
        missing.add(contact(1), "silent", 0.0)
        self.assertEqual(self.asked(missing, 0.0, 60.0), [])
