"""`hookstream doctor`: checks an installation, and gives a remedy for each finding."""

import click

from hookstream.core.model.counted import counted
from hookstream.entry.admin.doctor import CHECKS, Examination, Level
from hookstream.entry.admin.doctor_checks import examine
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import as_json_option, workers_option

FINDINGS = 1
"""The exit code if there is a problem."""


@click.command()
@workers_option
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(list(CHECKS)),
    help="Run only this check; repeatable.",
)
@as_json_option
@pass_context
def command(
    context: Context, *, workers: tuple[str, ...], only: tuple[str, ...], as_json: bool
) -> None:
    """Check an installation: brokers, topics, clock, keys, endpoints, registries and workers.

    Each finding has its remedy. Run it on a machine of the workers, with their settings, since names are
    resolved and clocks compared there. It changes nothing: to learn the brokers' time it writes records
    without a value into the health table, as workers do. Exit code 1: there is a problem; warnings are not
    problems.
    """
    found = examine(context.settings, workers, only)
    if as_json:
        click.echo(json_line(found.as_json()))
    else:
        _show(context, found)
    if found.problems:
        raise click.exceptions.Exit(FINDINGS)


def _show(context: Context, found: Examination) -> None:
    out, at_fault = context.out, {each.check for each in found.findings}
    for name, promise in CHECKS.items():
        if name in found.made and name not in at_fault:
            out.text(f"ok       {name}: {promise}")
    for each in found.findings:
        problem = each.level is Level.PROBLEM
        out.text(f"{each.level.value:8} {each.check}: {each.what}", "red" if problem else "yellow")
        out.text(f"         remedy: {each.remedy}")
    warnings = len(found.findings) - found.problems
    out.text(f"{counted(found.problems, 'problem')}, {counted(warnings, 'warning')}")
