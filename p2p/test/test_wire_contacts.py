"""
Tests for L{p2p.wire.contacts}: contacts that came from outside.
"""

from __future__ import annotations

from weakref import ref

from twisted.trial.unittest import SynchronousTestCase

from p2p.address import Address
from p2p.test.wires import contact, identity
from p2p.wire import contacts, reasons
from p2p.wire.contacts import checkedAddress, checkedContact, checkedContacts, knownContact
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.messages import Contact

NO_ADDRESSES = ("", "x", "[::1]", "10.0.0.1:080", "[0::1]:80", "0.0.0.0:1", "[::]:1", "[::ffff:10.0.0.1]:1")


def again(contact: Contact) -> Contact:
    """The same once more, as it comes with another message."""
    return Contact(bytes(bytearray(contact.identity)), contact.address)


class ContactsTests(SynchronousTestCase):
    """Checked, and one object each."""

    def test_eachMustNameAnAddress(self) -> None:
        """One that does not spoils the list, however often it comes."""
        fine = [contact(1), Contact(identity(2), "[::1]:80")]
        self.assertEqual(checkedContacts(fine), fine)
        for address in NO_ADDRESSES * 2:
            with self.assertRaises(RemoteProtocolError) as caught:
                checkedContacts([*fine, Contact(identity(3), address)])
            self.assertEqual(caught.exception.reason, reasons.MALFORMED)

    def test_theAddressIsGiven(self) -> None:
        """As one that can be dialled."""
        self.assertEqual(checkedAddress(contact(7)), Address("10.0.0.7", 6001))

    def test_equalOnesAreOneObject(self) -> None:
        """With one id, however often they come."""
        first = checkedContact(contact(8))
        other = again(first)
        self.assertIs(knownContact(other), first)
        self.assertIs(checkedContact(other), first)
        self.assertIs(checkedContacts([other])[0], first)
        self.assertIs(first.id, first.id)
        self.assertIsNot(checkedContact(Contact(first.identity, "10.0.0.8:1")), first)
        self.assertIsNot(checkedContact(contact(8, 2)), first)

    def test_whatNobodyHoldsIsForgotten(self) -> None:
        """Whoever invents contacts takes no memory here."""
        first = checkedContact(Contact(identity(9, 99), "10.9.9.9:9"))
        gone = ref(first)
        before = len(contacts._known)
        del first
        self.assertIsNone(gone())
        self.assertEqual(len(contacts._known), before - 1)

    def test_whatIsNotKnownIsItself(self) -> None:
        """It is not even looked at."""
        strange = Contact(identity(10), "nowhere")
        self.assertIs(knownContact(strange), strange)
        self.assertIs(knownContact(again(strange)).__class__, Contact)
        self.assertRaises(RemoteProtocolError, checkedContact, strange)
