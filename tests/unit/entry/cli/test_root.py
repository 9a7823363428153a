"""Garbage collection is off while a command loads, and on when it runs, for what it makes itself."""

import gc
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from hookstream.entry.cli.root import root


@pytest.fixture
def without_collection() -> Iterator[None]:
    """Collection is off, as `main` has left it; all that was loaded takes part in it until the command runs."""
    gc.disable()
    gc.unfreeze()
    yield
    # As tests/conftest.py has left it: otherwise each later collection in this process goes through all modules.
    gc.collect()
    gc.freeze()
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


@pytest.mark.usefixtures("without_collection")
def test_what_was_loaded_before_a_command_takes_no_part_in_its_collections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[int] = []
    loaded = len(gc.get_objects())
    command = click.Command("look", callback=lambda: left.append(len(gc.get_objects())))
    monkeypatch.setitem(root.commands, "look", command)
    ended = CliRunner().invoke(root, ["look"])
    assert ended.exit_code == 0
    assert left[0] < loaded / 10
