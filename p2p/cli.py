"""
The C{p2p} command.

What goes wrong is one line on stderr: exit status 1 if it could not be done,
2 if it was asked for in the wrong way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

import click

from p2p import __version__

COMMANDS = {
    "demo": "p2p.commands.demo",
    "status": "p2p.commands.talk",
    "peers": "p2p.commands.talk",
    "publish": "p2p.commands.talk",
    "watch": "p2p.commands.talk",
    "simulate": "p2p.commands.simulate",
    "sweep": "p2p.commands.sweep",
    "shrink": "p2p.commands.shrink",
    "diff": "p2p.commands.diff",
}
"""Where each subcommand is: a module, which has it under its own name.  It is imported when it is used."""

EXTRAS = {"networkx": "simulation", "matplotlib": "simulation", "tomli_w": "simulation", "distributed": "cluster"}
"""Which extra of this package installs a module that some command needs."""


class Commands(click.Group):
    """Subcommands that are imported when they are used, in the order in which a newcomer meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="p2p")
def cli() -> None:
    """
    A peer-to-peer network: try it, and talk to its daemons.

    The daemons themselves are started with twistd: twistd -n p2pseed, twistd -n p2ppeer --port 6001.
    """


def prepareStreams() -> None:
    """
    Let output that was closed before the start (C{>&-}) take what is written, and keep nothing; and have characters
    that the terminal's encoding lacks written as escapes.

    Where there is no stderr, Python would print errors on stdout.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def dropOutput() -> None:
    """Let what is still in Python's buffer go nowhere: at the end it would be tried again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run C{p2p}.

    @raise SystemExit: always.
    """
    prepareStreams()
    try:
        status = cli.main(arguments, prog_name="p2p", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        line = " ".join(error.format_message().split())
        hint = " (see p2p --help)" if isinstance(error, click.UsageError) and len(line) < 60 else ""
        print(f"p2p: {line}{hint}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        hint = f"install the extra {extra!r}: pip install --editable '.[{extra}]'"
        print(f"p2p: this needs {error.name}; {hint}", file=sys.stderr)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except OSError as error:
        # Most likely of standard output, which is a full disk or a reader that has gone.  Where it is the reader,
        # nobody wants to know.
        if not isinstance(error, BrokenPipeError):
            print(f"p2p: {error.filename or 'writing'}: {error.strerror or error}", file=sys.stderr)
        dropOutput()
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
