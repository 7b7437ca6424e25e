"""
Tests for L{p2p.address}.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv6Address

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2p.address import (
    Address,
    AddressError,
    dialableAddress,
    holder,
    parseConfig,
    readConfig,
    readHost,
    readPort,
)

hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
ports = st.integers(1, 65535)


class AddressTests(SynchronousTestCase):
    """Texts to addresses and back."""

    @given(hosts, ports)
    def test_whatIsWrittenIsReadAgain(self, host: IPv4Address | IPv6Address, port: int) -> None:
        """Any address, of either family, survives being written and read; a mapped one is read as what it means."""
        assume(getattr(host, "ipv4_mapped", None) is None)
        address = Address(str(host), port)
        self.assertEqual(Address.fromText(str(address)), address)

    @given(st.text(max_size=60))
    def test_anyTextIsAnAddressOrAnAddressError(self, text: str) -> None:
        """No text raises anything but the error that callers expect, and what is taken has one spelling."""
        try:
            address = Address.fromText(text)
        except AddressError as error:
            self.assertNotIn("\n", str(error))
            return
        self.assertEqual(Address.fromText(str(address)), address)

    def test_sixthVersionStandsInBrackets(self) -> None:
        """The colon before the port must not be taken for one of the address."""
        self.assertEqual(str(Address("::1", 5000)), "[::1]:5000")
        self.assertEqual(Address.fromText("[::1]:5000"), Address("::1", 5000))
        with self.assertRaisesRegex(AddressError, "brackets"):
            Address.fromText("::1:5000")

    def test_sixthVersionIsBroughtIntoItsOneForm(self) -> None:
        """However it is written, the same address is the same address."""
        self.assertEqual(Address.fromText("[0:0:0:0:0:0:0:1]:80"), Address.fromText("[::1]:80"))
        self.assertEqual(Address.fromText("[FE80::A]:80").host, "fe80::a")

    def test_whatIsNoAddressIsRefusedByName(self) -> None:
        """Each refusal repeats the text that it is about."""
        for text in (
            "", ":", "5000", "127.0.0.1", "127.0.0.1:", ":5000", "localhost:5000", "127.0.0.1:0", "127.0.0.1:65536",
            "127.0.0.1:+80", "127.0.0.1:\uff18\uff10", "127.0.0.1:80 ", " 127.0.0.1:80", "127.0.0.1:80\n",
            "127.0.0.01:80", "256.0.0.1:80", "[127.0.0.1]:80", "[::1]", "[::1:80", "::1]:80", "[::1]:0",
            "[]:80", "1.2.3:80",
        ):  # fmt: skip
            with self.assertRaises(AddressError, msg=text) as caught:
                Address.fromText(text)
            host, _, port = text.rpartition(":")
            self.assertTrue(any(repr(part) in str(caught.exception) for part in (text, host, port)), text)

    def test_bracketsAreOnlyAskedForWhereTheyHelp(self) -> None:
        """In front of the port there must be an IPv6 address; anything else in brackets would be refused again."""
        for text in ("2001:db8::1:5000", "::1:5000"):
            with self.assertRaisesRegex(AddressError, r"must stand in brackets: \["):
                Address.fromText(text)
        for text in ("127.0.0.1:5000:6", "http://127.0.0.1:5000", "127.0.0.1:5000 127.0.0.1:5001"):
            with self.assertRaises(AddressError) as caught:
                Address.fromText(text)
            self.assertEqual(str(caught.exception), f"{text!r} is not IP:PORT")

    def test_interfaceNamesAreRefused(self) -> None:
        """A zone (C{%eth0}) means nothing on another machine, and a list is handed from peer to peer."""
        with self.assertRaisesRegex(AddressError, "interface"):
            Address.fromText("[fe80::1%eth0]:80")

    def test_aSocketsFourthVersionInTheSixthIsItselfAgain(self) -> None:
        """A socket that listens on C{::} names its IPv4 callers in IPv6; they are the same callers."""
        self.assertEqual(Address.of("::ffff:10.0.0.1", 80), Address("10.0.0.1", 80))
        self.assertEqual(Address.of("fe80::1%eth0", 80), Address("fe80::1", 80))
        self.assertEqual(Address.of("::ffff:0:1", 80), Address("::ffff:0:1", 80))

    def test_theFourthVersionInTheSixthIsTheFourth(self) -> None:
        """One machine has one address, however it is written."""
        self.assertEqual(Address.fromText("[::ffff:10.0.0.1]:80"), Address("10.0.0.1", 80))
        self.assertEqual(readHost("::ffff:a00:1"), "10.0.0.1")

    def test_someAddressesCannotBeDialled(self) -> None:
        """Those of a whole machine, and of many machines."""
        for text in ("0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80", "224.0.0.1:80", "[ff02::1]:80",
                     "255.255.255.255:80"):
            self.assertFalse(Address.fromText(text).dialable, text)
            self.assertRaises(AddressError, dialableAddress, text)
        for text in ("127.0.0.1:80", "[::1]:80", "10.0.0.255:80", "[fe80::1]:80"):
            self.assertTrue(dialableAddress(text).dialable, text)

    def test_whoHasOneAddressOfTheSixthVersionHasAll(self) -> None:
        """Of its /64; they are counted as one."""
        self.assertEqual(holder("2001:db8::1"), holder("2001:db8:0:0:ffff::2"))
        self.assertNotEqual(holder("2001:db8::1"), holder("2001:db8:0:1::1"))
        self.assertEqual(holder("fe80::1%eth0"), holder("fe80::2"))
        self.assertEqual(holder("::ffff:10.0.0.1"), holder("10.0.0.1"))
        self.assertNotEqual(holder("10.0.0.1"), holder("10.0.0.2"))
        self.assertEqual(holder("a name"), "a name")

    def test_addressesHaveAnOrder(self) -> None:
        """They can be sorted, and put into sets."""
        self.assertEqual(
            sorted({Address("b", 1), Address("a", 2), Address("a", 1), Address("a", 1)}),
            [Address("a", 1), Address("a", 2), Address("b", 1)],
        )


class PartsTests(SynchronousTestCase):
    """Hosts and ports alone, as options name them."""

    def test_aHostAloneNeedsNoBrackets(self) -> None:
        """C{--host ::1} and C{--host [::1]} are the same."""
        self.assertEqual(readHost("::1"), "::1")
        self.assertEqual(readHost("[::1]"), "::1")
        self.assertEqual(readHost("0.0.0.0"), "0.0.0.0")

    def test_aNameIsNoHost(self) -> None:
        """Names mean different things to different machines."""
        for text in ("localhost", "", "[localhost]", "[]", "1.2.3.4:5"):
            with self.assertRaises(AddressError, msg=text):
                readHost(text)

    def test_portsHaveBounds(self) -> None:
        """65535 is the last one; 0 is one only where any will do."""
        self.assertEqual(readPort("65535"), 65535)
        self.assertEqual(readPort("0", lowest=0), 0)
        for text in ("0", "65536", "-1", "", "1e3", "9" * 5000):
            with self.assertRaises(AddressError):
                readPort(text)


class ConfigTests(SynchronousTestCase):
    """The file that lists the seeds."""

    def assertRefused(self, text: str, *said: str) -> None:
        """The text is refused with one line that says all of this."""
        with self.assertRaises(AddressError) as caught:
            parseConfig(text, "seeds.txt")
        for word in ("seeds.txt", *said):
            self.assertIn(word, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def test_oneAddressALineInTheirOrder(self) -> None:
        """Comments, whole or behind an address, blank lines and any end of line are passed over."""
        self.assertEqual(
            parseConfig("# seeds\n\n  127.0.0.1:5001  # first\r\n[::1]:5000\n\t\n"),
            [Address("127.0.0.1", 5001), Address("::1", 5000)],
        )

    def test_aBadLineIsNamed(self) -> None:
        """File, line and text."""
        self.assertRefused("127.0.0.1:5000\n\nlocalhost:5001\n", "line 3", "localhost")

    def test_ofALongLineTheBeginningIsTold(self) -> None:
        """It may be all of a file that is another thing."""
        with self.assertRaises(AddressError) as caught:
            parseConfig("10.0.0.1:5000, " * 10_000)
        self.assertRegex(str(caught.exception), r"line 1: '10.0.0.1:5000, 10.*\.\.\.' is not .*; there is one a line$")
        self.assertLess(len(str(caught.exception)), 200)

    def test_severalOnALineAreToldThatThereIsOne(self) -> None:
        """With blanks or commas between them, and for either version of IP; a single bad one is not told so."""
        for line in ("127.0.0.1:5000 127.0.0.1:5001", "10.0.0.1:1,10.0.0.2:1", "[::1]:5000 [::1]:5001"):
            self.assertRefused(line, "line 1", "; there is one a line")
        with self.assertRaises(AddressError) as caught:
            parseConfig("localhost:5000")
        self.assertNotIn("one a line", str(caught.exception))

    def test_aDuplicateIsNamed(self) -> None:
        """Both lines, however the address is spelt."""
        self.assertRefused("[::1]:5000\n127.0.0.1:1\n[0::1]:5000\n", "line 3", "line 1", "[::1]:5000")

    def test_aDuplicateInAnotherSpellingIsNamed(self) -> None:
        """It is the same seed."""
        with self.assertRaises(AddressError) as caught:
            parseConfig("10.0.0.1:5000\n[::ffff:10.0.0.1]:5000\n")
        self.assertIn("line 2", str(caught.exception))

    def test_anEmptyListIsRefused(self) -> None:
        """A network without any seed is a mistake."""
        self.assertRefused("# nothing\n\n", "no address")
        self.assertRefused("", "no address")

    def test_filesThatCannotBeReadAreNamed(self) -> None:
        """Missing, a directory, not text: one line with the path."""
        missing = self.mktemp()
        directory = self.mktemp()
        os.mkdir(directory)
        binary = self.mktemp()
        with open(binary, "wb") as file:
            file.write(b"\xff\xfe\x00")
        for path in (missing, directory, binary):
            with self.assertRaises(AddressError) as caught:
                readConfig(path)
            self.assertIn(path, str(caught.exception))

    def test_aLineEndsWhereEditorsEndIt(self) -> None:
        """Not at what only Python takes for an end: a comment may hold it, and lines are counted as people see them."""
        for character in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029":
            self.assertEqual(parseConfig(f"# a{character}b\r\n[::1]:5000\n"), [Address("::1", 5000)], character)
            self.assertRefused(f"# a{character}b\nnonsense\n", "line 2")
            self.assertRefused(f"1.2.3.4:5000{character}1.2.3.5:1", "line 1", "; there is one a line")
        self.assertEqual(parseConfig("1.2.3.4:1\r1.2.3.4:2\r\n"), [Address("1.2.3.4", 1), Address("1.2.3.4", 2)])

    def test_aByteOrderMarkIsPassedOver(self) -> None:
        """Some editors begin a file with it."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"\xef\xbb\xbf127.0.0.1:5000\r\n# seeds\r\n127.0.0.1:5001\r\n")
        self.assertEqual(readConfig(path), [Address("127.0.0.1", 5000), Address("127.0.0.1", 5001)])

    def test_aFileIsReadLikeItsText(self) -> None:
        """And an error in it names the path."""
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("127.0.0.1:5000\n")
        self.assertEqual(readConfig(path), [Address("127.0.0.1", 5000)])
        with open(path, "a") as file:
            file.write("x\n")
        with self.assertRaisesRegex(AddressError, f"{path}, line 2"):
            readConfig(path)
