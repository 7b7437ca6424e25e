"""
Contacts that came from outside: is each one somebody who can be dialled, and is it known already?

The same few contacts come again and again, in lists from seeds, in handshakes
and as hearsay.  Each is checked once and is I{one} object for as long as
anybody holds it: what is equal need not be checked again, takes no memory
again, and knows its id.  Nobody holds what was invented for long, so the table
is no larger than what this process remembers anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakValueDictionary

from p2p.address import Address, AddressError, dialableAddress
from p2p.wire import reasons
from p2p.wire.errors import RemoteProtocolError
from p2p.wire.messages import Contact

# Not by the contact itself: a key is held.
_known: WeakValueDictionary[tuple[bytes, str], Contact] = WeakValueDictionary()


def checkedContact(contact: Contact) -> Contact:
    """
    A contact that came from outside, or one equal to it that came before, if its address can be dialled.

    @raise RemoteProtocolError: see L{checkedAddress}.
    """
    key = (contact.identity, contact.address)
    found = _known.get(key)
    if found is None:
        checkedAddress(contact)
        _known[key] = found = contact
    return found


def knownContact(contact: Contact) -> Contact:
    """That contact, or one equal to it that came before."""
    return _known.get((contact.identity, contact.address), contact)


def checkedContacts(contacts: Iterable[Contact]) -> list[Contact]:
    """
    L{checkedContact} of each.

    @raise RemoteProtocolError: one names no address.
    """
    return [checkedContact(contact) for contact in contacts]


def checkedAddress(contact: Contact) -> Address:
    """
    The address of a contact that came from outside.

    @raise RemoteProtocolError: it is none, or none that can be dialled, or is
        not written in the one way that lets addresses be compared as texts.
    """
    try:
        address = dialableAddress(contact.address)
    except AddressError as error:
        raise RemoteProtocolError(reasons.MALFORMED, str(error)) from None
    if str(address) != contact.address:
        raise RemoteProtocolError(reasons.MALFORMED, f"{contact.address!r} is written {address}")
    return address
