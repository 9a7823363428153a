"""The list of commands and the help of each group promise the same."""

import click
import pytest

from hookstream.entry.cli.root import COMMANDS, root

_LOADED = {name: root.get_command(click.Context(root), name) for name in COMMANDS}
GROUPS = {name: group for name, group in _LOADED.items() if isinstance(group, click.Group)}


@pytest.mark.parametrize("name", GROUPS)
def test_the_help_of_a_group_begins_with_its_promise(name: str) -> None:
    text = " ".join((GROUPS[name].help or "").split())
    assert text.startswith(COMMANDS[name].promise.removesuffix("."))


def test_most_commands_are_groups() -> None:
    assert {"dlq", "partners", "subscriptions", "undecodable"} <= GROUPS.keys()
