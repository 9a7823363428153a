"""The root of the command line: options that are global, and the exit code of each end of a command."""

import click
import pytest
from click.testing import CliRunner, Result

from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.root import COMMANDS, Root, root
from hookstream.errors import ConfigurationError, DependencyUnavailable, InputRefused


def a_root_whose_command(end: BaseException) -> Root:
    """Return a root with one command, `end`, that ends in the way given."""
    group = Root(callback=root.callback, params=root.params)

    @group.command("end")
    def _() -> None:
        raise end

    return group


def run(group: click.Command, *arguments: str) -> Result:
    return CliRunner(env={"HOOKSTREAM_CONFIG": None}).invoke(group, list(arguments))


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (ConfigurationError("the file is wrong"), 2, "hookstream: the file is wrong\n"),
        (InputRefused("line 3 is wrong"), 2, "hookstream: line 3 is wrong\n"),
        (DependencyUnavailable("no broker"), 1, "hookstream: no broker\n"),
        (
            FileNotFoundError(2, "No such file or directory", "there/\udcff"),
            2,
            "hookstream: there/\\xff: No such file or directory\n",
        ),
        (
            ValueError("odd"),
            1,
            (
                "hookstream: this is a bug in hookstream: ValueError: odd (--debug before the"
                " command shows the traceback)\n"
            ),
        ),
        (KeyboardInterrupt(), 130, "\nhookstream: interrupted\n"),
        (click.Abort(), 1, "hookstream: aborted\n"),
        (click.exceptions.Exit(3), 3, ""),
    ],
)
def test_an_end_has_its_exit_code_and_one_sentence(
    end: BaseException, code: int, said: str
) -> None:
    result = run(a_root_whose_command(end), "end")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", said)


def test_debug_shows_where_an_error_came_from() -> None:
    result = run(a_root_whose_command(DependencyUnavailable("no broker")), "--debug", "end")
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("hookstream: no broker\n")


def test_an_unknown_command_is_a_usage_error() -> None:
    result = run(root, "deliver")
    assert (result.exit_code, "No such command 'deliver'" in result.stderr) == (2, True)


def test_help_lists_every_command_without_loading_any() -> None:
    result = run(root, "--help")
    assert result.exit_code == 0
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


def test_global_flags_reach_the_settings() -> None:
    group = Root(callback=root.callback, params=root.params)

    @group.command("show")
    @pass_context
    def _(context: Context) -> None:
        settings = context.settings
        print(settings.kafka.bootstrap_servers, settings.topics.prefix, settings.log.level)  # noqa: T201

    flags = ("--bootstrap-servers", "b:1", "--prefix", "p", "--set", "log.level=debug")
    result = run(group, *flags, "show")
    assert (result.exit_code, result.stdout) == (0, "b:1 p debug\n")


def test_a_flag_without_a_value_is_a_usage_error() -> None:
    result = run(a_root_whose_command(click.exceptions.Exit(0)), "--set", "log.level", "end")
    assert (result.exit_code, "write it as --set group.name=value" in result.stderr) == (2, True)
