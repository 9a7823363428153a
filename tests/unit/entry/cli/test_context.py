"""Without a terminal every line is printed whole."""

import io
import sys

import pytest
from rich.table import Table

from hookstream.entry.cli.context import Context


@pytest.mark.parametrize("name", ["out", "err"])
def test_a_table_is_neither_truncated_nor_wrapped_without_a_terminal(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = io.StringIO()
    monkeypatch.setattr(sys, f"std{name}", piped)
    monkeypatch.setenv("COLUMNS", "80")
    context = Context(None, {}, {})
    table = Table("id", "url", box=None)
    table.add_row("x" * 300, "y z " * 100)
    (context.out if name == "out" else context.err).print(table)
    lines = [line.split() for line in piped.getvalue().splitlines()]
    assert lines == [["id", "url"], ["x" * 300, *["y", "z"] * 100]]
