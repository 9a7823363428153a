"""Options that several commands share, and groups of options that arrive as one value."""

import math
import re
from collections.abc import Callable
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TypeAlias

import click

from hookstream.entry.cli.moments import moment
from hookstream.settings.kinds import worker_addresses


class Amount(click.FloatRange):
    """A number within bounds. click's own range accepts `nan`, since every comparison with it is false."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, which is never NaN; any other text is a usage error."""
        amount = float(super().convert(value, param, ctx))
        if math.isnan(amount):
            self.fail(f"{value!r} is not a number", param, ctx)
        return amount


Added: TypeAlias = Callable[..., None]
"""A command's function, before and after an option is added."""

_LEAST_RATE, _HIGHEST_RATE = 0.01, 1_000_000
_RATE = re.compile(r"([0-9.]+(?:e[0-9]+)?)(?:/s)?", re.ASCII)


class Rate(click.ParamType[float]):
    """A rate per second, as a number or as a number with its unit: `50` or `50/s`."""

    name = "rate"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the rate per second; any other text is a usage error."""
        written = _RATE.fullmatch(str(value))
        try:
            rate = math.nan if written is None else float(written[1])
        except ValueError:
            rate = math.nan
        if not _LEAST_RATE <= rate <= _HIGHEST_RATE:
            self.fail(
                f"{value!r} is not a rate: give a number from {_LEAST_RATE:g} to {_HIGHEST_RATE} a"
                " second, such as 50 or 50/s",
                param,
                ctx,
            )
        return rate


def rate_option(text: str) -> Callable[[Added], Added]:
    """Return the option `--rate`, which arrives as `rate`; `text` is its help."""
    return click.option("--rate", type=Rate(), metavar="N[/s]", help=text)


class WorkerAddress(click.ParamType[str]):
    """The address of a worker's metrics and health, `HOST:PORT`."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address; any other text is a usage error."""
        try:
            (found,) = worker_addresses().read([value])
        except ValueError:
            self.fail(f"{value!r} is not HOST:PORT, such as worker:9464", param, ctx)
        return found


workers_option = click.option(
    "--worker",
    "workers",
    multiple=True,
    type=WorkerAddress(),
    metavar="HOST:PORT",
    help="A worker's address of metrics and health; repeatable (default: those of console.workers, or worker.listen).",
)
"""They arrive as `workers`."""

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

definition_argument = click.argument(
    "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False)
)
"""It arrives as `file`."""

yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")

since_option = click.option(
    "--since",
    type=moment,
    metavar="TIME|AGE",
    help="Written since then: RFC 3339, or an age such as 2h.",
)
until_option = click.option(
    "--until", type=moment, metavar="TIME|AGE", help="Written before then."
)


def several(
    name: str,
    into: str,
    text: str,
    kind: click.Choice[str] | None = None,
    metavar: str | None = None,
) -> Callable[[Added], Added]:
    """Return a repeatable option.

    Its values arrive as a set; None if it is not given, which means any value.
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
    name: str, made: Callable[..., object], *options: Callable[[Added], Added]
) -> Callable[[Added], Added]:
    """Return a decorator that adds options to a command, to which they arrive as one argument.

    Args:
        name: That argument.
        made: Builds the argument; it takes each option by its name, and has a default for every
            other parameter.
        options: In the order in which the command's help shows them.
    """
    parts = tuple(signature(made).parameters)

    def added(function: Added) -> Added:
        @wraps(function)
        def gathered(*positional: object, **given: object) -> None:
            whole = made(**{part: given.pop(part) for part in parts if part in given})
            function(*positional, **{name: whole}, **given)

        whole_command: Added = gathered
        for add in reversed(options):
            whole_command = add(whole_command)
        return whole_command

    return added
