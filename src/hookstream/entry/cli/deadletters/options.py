"""Options that the commands over both topics of letters share; each group arrives as one value."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import TypeVar

import click

from hookstream.entry.cli.amount import Amount
from hookstream.entry.cli.moments import MOMENT

Command = TypeVar("Command", bound=Callable[..., None])

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

limit_option = click.option(
    "--limit",
    "-n",
    type=click.IntRange(0, 100_000),
    default=20,
    show_default=True,
    help="How many of the newest are listed; all are counted.",
)

all_option = click.option("--all", "all_", is_flag=True, help="Those that were redriven too.")

since_option = click.option(
    "--since", type=MOMENT, metavar="TIME|AGE", help="Written since then: RFC 3339, or 2h ago."
)
until_option = click.option(
    "--until", type=MOMENT, metavar="TIME|AGE", help="Written before then."
)


def several(
    name: str,
    into: str,
    text: str,
    kind: click.Choice[str] | None = None,
    metavar: str | None = None,
) -> Callable[[Command], Command]:
    """Return an option that may be given several times.

    What it was given arrives as a set; None where it was not given: any.
    """
    return click.option(
        name,
        into,
        multiple=True,
        type=kind,
        metavar=metavar,
        callback=_any_of,
        help=f"{text}; repeatable.",
    )


def _any_of(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> frozenset[str] | None:
    return frozenset(given) or None


def as_one(
    name: str, made: Callable[..., object], *options: Callable[[Command], Command]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds options to a command, to which they arrive as one argument.

    Args:
        name: That argument.
        made: Makes it of what was given; it takes each option under its name.
        options: In the order in which the command's help shows them.
    """
    parts = tuple(signature(made).parameters)

    def added(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def gathered(*positional: object, **given: object) -> None:
            whole = made(**{part: given.pop(part) for part in parts})
            function(*positional, **{name: whole}, **given)

        for add in reversed(options):
            gathered = add(gathered)
        return gathered

    return added


@dataclass(slots=True, frozen=True)
class Run:
    """How a redrive is to be run."""

    rate: float | None
    dry_run: bool
    yes: bool
    resume: str | None
    cancel: str | None


run_options = as_one(
    "run",
    Run,
    click.option(
        "--rate",
        type=Amount(0.01, 1_000_000),
        metavar="N",
        help="Letters a second at most.",
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be redriven, and no more."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option("--resume", metavar="JOB", help="Go on with a job that was cut off."),
    click.option("--cancel", metavar="JOB", help="End a job; what is left stays open."),
)
"""How a redrive is run; it arrives as `run`."""
