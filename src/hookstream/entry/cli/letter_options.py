"""Options that the commands over both topics of letters share; each group arrives as one value."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

import click

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


def several(name: str, into: str, text: str) -> Callable[[Command], Command]:
    """Return an option that may be given several times."""
    return click.option(name, into, multiple=True, help=f"{text}; repeatable.")


def words(given: object) -> frozenset[str] | None:
    """Return what a repeatable option was given; None where it was not: any."""
    return frozenset(map(str, given)) or None if isinstance(given, tuple) else None


@dataclass(slots=True, frozen=True)
class Run:
    """How a redrive is to be run."""

    rate: float | None
    dry_run: bool
    yes: bool
    resume: str | None
    cancel: str | None


def run_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a redrive is run; they arrive as `run`."""

    @wraps(function)
    def gathered(
        *positional: object,
        rate: float | None,
        dry_run: bool,
        yes: bool,
        resume: str | None,
        cancel: str | None,
        **others: object,
    ) -> None:
        run = Run(rate, dry_run, yes, resume, cancel)
        function(*positional, run=run, **others)

    for add in (
        click.option("--cancel", metavar="JOB", help="End a job; what is left stays open."),
        click.option("--resume", metavar="JOB", help="Go on with a job that was cut off."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Say what would be redriven, and no more."),
        click.option(
            "--rate",
            type=click.FloatRange(0.01, 1_000_000),
            metavar="N",
            help="Letters a second at most.",
        ),
    ):
        gathered = add(gathered)
    return gathered
