"""Garbage collection is off while a command loads, and on when it runs."""

import gc
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from hookstream.entry.cli.root import root


@pytest.fixture
def without_collection() -> Iterator[None]:
    """Collection is off, as `main` has left it."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collection")
def test_a_command_that_was_loaded_runs_with_garbage_collection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collects: list[bool] = []
    command = click.Command("look", callback=lambda: collects.append(gc.isenabled()))
    monkeypatch.setitem(root.commands, "look", command)
    ended = CliRunner().invoke(root, ["look"])
    assert (ended.exit_code, collects) == (0, [True])
