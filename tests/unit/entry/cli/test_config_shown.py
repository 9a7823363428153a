"""Every setting in effect is a line with its source; one without a value says so."""

import json

from click.testing import CliRunner

from hookstream.entry.cli.config import command
from hookstream.entry.cli.context import Context

ENVIRON = {"HOOKSTREAM_LOG__LEVEL": "debug"}


def shown(*arguments: str) -> str:
    context = Context(None, ENVIRON, {})
    ended = CliRunner().invoke(command, ["show", *arguments], obj=context)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_a_setting_without_a_value_is_a_dash_and_in_json_empty() -> None:
    lines = [line.split() for line in shown().splitlines()]
    assert ["console.workers", "-", "default"] in lines
    assert ["log.level", "debug", "HOOKSTREAM_LOG__LEVEL"] in lines
    found = {each["name"]: each["value"] for each in json.loads(shown("--json"))}
    assert (found["console.workers"], found["log.level"]) == ("", "debug")


def test_of_those_that_are_given_the_defaults_are_left_out() -> None:
    assert [line.split()[0] for line in shown("--given").splitlines()] == ["setting", "log.level"]
