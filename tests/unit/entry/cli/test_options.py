"""An invalid number is refused as a redrive's rate and as a time to wait."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from hookstream.entry.cli.deadletters.commands import RunOptions, run_options
from hookstream.entry.cli.options import Rate, rate_option
from hookstream.entry.cli.partition import WAIT
from hookstream.entry.cli.root import root


@click.command()
@run_options
def _redrive(run: RunOptions) -> None:
    click.echo(run.rate)


@click.command()
@WAIT
def _start(wait: float) -> None:
    click.echo(wait)


@click.command()
@rate_option("Events a second at most.")
def _paced(rate: float | None) -> None:
    click.echo(rate)


REFUSED = (
    *("nan", "-nan", "NaN", "inf", "1e400", "0", "1,5", "", "/s", "50/m", "50/min", "50/S", "50/"),
    *("50 per second", "50/s/s", "nan/s", "0/s", "1000001/s", "-5/s", "5_0", "\u0665/s"),
)


@pytest.mark.parametrize("rate", REFUSED)
def test_a_rate_that_is_no_number_within_its_bounds_is_refused_by_its_option(rate: str) -> None:
    result = CliRunner().invoke(_redrive, ["--rate", rate])
    assert result.exit_code == click.UsageError.exit_code
    assert "Invalid value for '--rate'" in result.output
    assert repr(rate) in result.output
    assert "from 0.01 to 1000000 a second, such as 50 or 50/s" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("written", "rate"),
    [("50", 50.0), ("50/s", 50.0), ("2.5", 2.5), ("2.5/s", 2.5), ("0.01/s", 0.01), ("1e3/s", 1e3)],
)
def test_a_rate_is_a_number_with_or_without_its_unit(written: str, rate: float) -> None:
    for command in (_redrive, _paced):
        assert CliRunner().invoke(command, ["--rate", written]).output == f"{rate}\n"


def below(name: str, group: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(group, click.Group):
        yield name, group
        return
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        yield from below(f"{name} {word}", command)


def test_every_command_with_a_rate_takes_it_with_its_unit() -> None:
    found = {
        path: option.type
        for path, command in below("hookstream", root)
        for option in command.params
        if "--rate" in option.opts
    }
    assert len(found) == 6
    assert {type(kind) for kind in found.values()} == {Rate}


@pytest.mark.parametrize("seconds", ["nan", "-nan", "NaN", "inf", "1e400", "-1", "601", "1,5"])
def test_a_wait_that_is_no_number_within_its_bounds_is_refused_by_its_option(
    seconds: str,
) -> None:
    result = CliRunner().invoke(_start, ["--wait", seconds])
    assert result.exit_code == click.UsageError.exit_code
    assert "--wait" in result.output


def test_an_amount_within_its_bounds_is_taken() -> None:
    assert CliRunner().invoke(_start, ["--wait", "0"]).output == "0.0\n"


def test_the_help_names_the_bounds() -> None:
    assert "0<=x<=600" in CliRunner().invoke(_start, ["--help"]).output
