"""What is no number is no rate of a redrive."""

import click
import pytest
from click.testing import CliRunner

from hookstream.entry.cli.letter_options import Run, run_options


@click.command()
@run_options
def _redrive(run: Run) -> None:
    click.echo(run.rate)


@pytest.mark.parametrize("rate", ["nan", "-nan", "NaN", "inf", "1e400", "0", "1,5"])
def test_a_rate_that_is_no_number_within_its_bounds_is_refused_by_its_option(rate: str) -> None:
    result = CliRunner().invoke(_redrive, ["--rate", rate])
    assert result.exit_code == click.UsageError.exit_code
    assert "--rate" in result.output


def test_a_rate_within_its_bounds_is_taken() -> None:
    assert CliRunner().invoke(_redrive, ["--rate", "2.5"]).output == "2.5\n"
