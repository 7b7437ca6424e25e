"""
What the package offers by name.
"""

from __future__ import annotations

import ast
import builtins
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import p2p


class PublicNamesTests(SynchronousTestCase):
    """The few public names."""

    def test_eachIsThere(self) -> None:
        """Each name is that of the thing in its module."""
        from p2p.address import readConfig
        from p2p.peer.service import PeerService

        self.assertIs(PeerService, p2p.PeerService)
        self.assertIs(readConfig, p2p.readConfig)
        for name in p2p._HOMES:
            self.assertEqual(name, getattr(p2p, name).__name__)
            self.assertIn(name, dir(p2p))

    def test_whatTheyRaiseHasItsNameThereToo(self) -> None:
        """Each exception that is told of in their docstrings is to be caught by a name from here, or from elsewhere."""
        told: set[str] = set()
        for name in p2p._HOMES:
            thing = getattr(p2p, name)
            for member in [thing, *(getattr(thing, attribute) for attribute in dir(thing) if attribute[0] != "_")]:
                told.update(re.findall(r"@raise (\w+):", getattr(member, "__doc__", None) or ""))
        self.assertGreater(told, {"Busy", "PayloadTooLarge", "AddressError", "SettingError"})
        foreign = {name for name in told - p2p._HOMES.keys() if not hasattr(builtins, name)}
        self.assertEqual(foreign, {"CannotListenError"})

    def test_noOther(self) -> None:
        """Another name is an error like any module's."""
        self.assertRaises(AttributeError, getattr, p2p, "Nobody")

    def test_importingIsCheap(self) -> None:
        """To import the package loads nothing of Twisted: twistd does it for every command."""
        program = "import sys, p2p; sys.exit('twisted' in sys.modules)"
        self.assertEqual(0, subprocess.run([sys.executable, "-c", program]).returncode)


TOP = Path(p2p.__file__).parent

LOWER = frozenset(
    f"p2p.simulation.{name}"
    for name in (
        *("checks", "clock", "faults", "guard", "host", "hugepages", "latency", "listening", "network", "path"),
        *("reactor", "stream", "tcp", "tls", "trace", "udp"),
    )
)
"""The simulated network, which could be a package of its own."""


@cache
def imports() -> list[tuple[str, str]]:
    """Each module of the package but its tests, with each module that it imports, be it only for its types."""
    return list(_imports())


def _imports() -> Iterator[tuple[str, str]]:
    for path in sorted(TOP.rglob("*.py")):
        parts = path.relative_to(TOP.parent).with_suffix("").parts
        if "test" in parts:
            continue
        module = ".".join(parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((module, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                # A module by its own name, or something that it has.
                within = TOP.parent.joinpath(*node.module.split(".")).is_dir()
                names = [f"{node.module}.{alias.name}" for alias in node.names] if within else [node.module]
                yield from ((module, name) for name in names)


class HouseTests(SynchronousTestCase):
    """The tree in docs/architecture.md."""

    def test_eachModuleIsThere(self) -> None:
        """Under its package, and no other is."""
        document = TOP.parent / "docs" / "architecture.md"
        if not document.exists():
            raise SkipTest("the package is installed, without its documentation")
        tree = document.read_text(encoding="utf-8").partition("\np2p/\n")[2].partition("\ntwisted/")[0]
        named = []
        package = ""
        for line in tree.splitlines():
            words = list(takewhile(lambda word: word.endswith((".py", "/")), line.split()))
            if words and line.startswith("  ") and line[2] != " ":
                package = words[0] if words[0].endswith("/") else ""
            named += [package + word for word in words if word.endswith(".py")]
        paths = {path.relative_to(TOP).as_posix() for path in TOP.rglob("*.py") if path.name != "__init__.py"}
        self.assertEqual(sorted(named), sorted(path for path in paths if not path.startswith("test/")))


class NamesTests(SynchronousTestCase):
    """One word for one thing."""

    def test_noTwoModulesOfAPeerDefineTheSameName(self) -> None:
        """Each constant and class, public or not, has one meaning there."""
        homes: dict[str, list[str]] = {}
        for path in sorted((TOP / "peer").glob("*.py")):
            for node in ast.parse(path.read_text()).body:
                defined = [node.name] if isinstance(node, ast.ClassDef) else []
                if isinstance(node, ast.Assign):
                    parts = [part for target in node.targets for part in ast.walk(target)]
                    defined = [part.id for part in parts if isinstance(part, ast.Name)]
                for name in defined:
                    homes.setdefault(name, []).append(path.stem)
        self.assertGreater(len(homes), 50)
        self.assertEqual({name: where for name, where in homes.items() if len(where) > 1}, {})


class ArrowsTests(SynchronousTestCase):
    """Imports run one way only, see docs/architecture.md."""

    def wrong(self, ofThese: tuple[str, ...], notThese: tuple[str, ...]) -> list[tuple[str, str]]:
        """Imports by modules of some packages from others."""
        return [
            (module, imported)
            for module, imported in imports()
            if f"{module}.".startswith(ofThese) and f"{imported}.".startswith(notThese)
        ]

    def test_theSimulatedNetworkNeedsTwistedOnly(self) -> None:
        """It knows no seed and no peer, nor anything else of this project or of others."""
        found = {module for module, _ in imports()}
        self.assertEqual(LOWER - found, set())
        foreign = {
            (module, imported)
            for module, imported in imports()
            if module in LOWER
            and imported not in LOWER
            and imported.partition(".")[0] not in {"twisted", "zope", "attr", "attrs", *sys.stdlib_module_names}
        }
        self.assertEqual(foreign, set())

    def test_nothingImportsTheSimulationButItsCommands(self) -> None:
        """What daemons run knows nothing of being simulated."""
        others = ("p2p.address.", "p2p.wire.", "p2p.seed.", "p2p.peer.", "p2p.daemon.", "p2p.settings.")
        self.assertEqual(self.wrong(others, ("p2p.simulation.", "p2p.commands.", "p2p.cli.")), [])

    def test_downwards(self) -> None:
        """Daemon, peer and seed, wire, address: none imports what is above it."""
        self.assertEqual(self.wrong(("p2p.peer.", "p2p.seed."), ("p2p.daemon.",)), [])
        self.assertEqual(self.wrong(("p2p.wire.",), ("p2p.peer.", "p2p.seed.", "p2p.daemon.")), [])
        self.assertEqual(self.wrong(("p2p.peer.",), ("p2p.seed.",)) + self.wrong(("p2p.seed.",), ("p2p.peer.",)), [])
        self.assertEqual(self.wrong(("p2p.address.",), ("p2p.wire.",)), [])
