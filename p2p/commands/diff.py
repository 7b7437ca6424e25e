"""
C{p2p diff}: say at which event two runs part.
"""

from __future__ import annotations

import json

import click

from p2p.commands.text import harmless


class _Wrong(click.ClickException):
    """There is nothing to compare."""

    exit_code = 2


@click.command()
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path())
@click.option(
    "--context", type=click.IntRange(min=0), default=5, show_default=True, help="Lines from before and after."
)
@click.option("--json", "asJson", is_flag=True, help="Print the answer as JSON.")
def diff(first: str, second: str, context: int, asJson: bool) -> int:
    """
    Say at which event two runs part.

    FIRST and SECOND are output directories of p2p simulate, or trace files. The exit status is 0 if the runs are equal,
    1 if they differ.
    """
    from p2p.simulation.diff import NoTraceError, digests, part, traceOf

    try:
        parting = part(traceOf(first), traceOf(second), max(1, context))
    except NoTraceError as error:
        raise _Wrong(str(error)) from None
    except OSError as error:
        raise _Wrong(f"{error.filename}: {error.strerror or error}") from None
    different = digests(first, second)
    if asJson:
        answer = {
            "equal": parting is None and different is None,
            "digests": different,
            "line": parting and parting.line,
            "time": parting and parting.time,
            "before": [json.loads(line) for line in parting.before] if parting else [],
            "first": [json.loads(line) for line in parting.first] if parting else [],
            "second": [json.loads(line) for line in parting.second] if parting else [],
        }
        click.echo(json.dumps(answer, indent=1))
    elif parting is not None:
        click.echo(f"they part at line {parting.line}, at {parting.time:.6f} s")
        for mark, lines in (
            (" ", parting.before[-context:] if context else []),
            ("-", parting.first),
            ("+", parting.second),
        ):
            for line in lines:
                click.echo(f"{mark} {harmless(line)}")
            if not lines and mark != " ":
                click.echo(f"{mark} (ends here)")
    elif different is not None:
        click.echo("the traces are equal, but the digests differ: something happened differently that no trace tells")
    else:
        click.echo("equal")
    return 1 if parting is not None or different is not None else 0
