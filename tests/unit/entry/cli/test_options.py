"""An invalid number is refused as a redrive's rate and as a time to wait."""

import click
import pytest
from click.testing import CliRunner

from hookstream.entry.cli.deadletters.commands import RunOptions, run_options
from hookstream.entry.cli.partition import WAIT


@click.command()
@run_options
def _redrive(run: RunOptions) -> None:
    click.echo(run.rate)


@click.command()
@WAIT
def _start(wait: float) -> None:
    click.echo(wait)


@pytest.mark.parametrize("rate", ["nan", "-nan", "NaN", "inf", "1e400", "0", "1,5"])
def test_a_rate_that_is_no_number_within_its_bounds_is_refused_by_its_option(rate: str) -> None:
    result = CliRunner().invoke(_redrive, ["--rate", rate])
    assert result.exit_code == click.UsageError.exit_code
    assert "--rate" in result.output


@pytest.mark.parametrize("seconds", ["nan", "-nan", "NaN", "inf", "1e400", "-1", "601", "1,5"])
def test_a_wait_that_is_no_number_within_its_bounds_is_refused_by_its_option(
    seconds: str,
) -> None:
    result = CliRunner().invoke(_start, ["--wait", seconds])
    assert result.exit_code == click.UsageError.exit_code
    assert "--wait" in result.output


def test_an_amount_within_its_bounds_is_taken() -> None:
    assert CliRunner().invoke(_redrive, ["--rate", "2.5"]).output == "2.5\n"
    assert CliRunner().invoke(_start, ["--wait", "0"]).output == "0.0\n"


def test_the_help_names_the_bounds() -> None:
    assert "0<=x<=600" in CliRunner().invoke(_start, ["--help"]).output
