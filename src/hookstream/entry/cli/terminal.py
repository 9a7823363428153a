"""Prints what commands show to people, as rich renders it, with every text escaped."""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

import click
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from hookstream.core.model.counted import counted
from hookstream.core.model.visible_text import escapes, shown

REFUSED = 2
"""The exit code if the input has problems."""
HAS_CHANGES = 3
"""The exit code of a plan that has changes."""
_TOGETHER = 100
"""Lines that rich renders at once: with more, and with fewer, each line takes longer."""
_RENDERED = re.compile(r"[^\x20-\x7e\n]")
"""Characters that rich must render, or `shown` must escape: tabs, control characters, everything that is not
ASCII."""


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation on standard error, unless an option gave it.

    Raises:
        click.Abort: The answer is no.
    """
    if not yes:
        click.confirm(question, abort=True, err=True)


class Terminal(Console):
    """A console that prints texts, and tables of them, escaped by `shown`."""

    def text(self, text: str | Text, style: str = "") -> None:
        """Print a line, which is never wrapped: people copy from it."""
        self.print(Text(text, style) if isinstance(text, str) else text, soft_wrap=True)

    def lines(self, lines: Iterable[Text]) -> None:
        """Print many lines as `text` prints each, in a tenth of the time if nothing is coloured."""
        plain = self.color_system is None and not (self.is_terminal or self.record)
        coming = iter(lines)
        while some := [*islice(coming, _TOGETHER)]:
            text = "\n".join([line.plain for line in some])
            if plain and _RENDERED.search(text) is None:
                self._write(f"{text}\n")
            else:
                self.text(Text("\n").join(some))

    def _write(self, text: str) -> None:
        try:
            self.file.write(text)
            self.file.flush()
        except BrokenPipeError:
            self.on_broken_pipe()

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        numbers: Collection[str] = (),
    ) -> None:
        """Print a table that truncates no cell: people copy names from it.

        The first and the last column contain names; the columns between them are folded first, except
        `numbers`.
        """
        table = Table(box=None, pad_edge=False)
        for column in columns:
            whole = column in (columns[0], columns[-1], *numbers)
            justify: JustifyMethod = "right" if column in numbers else "left"
            table.add_column(column, overflow="fold", no_wrap=whole, justify=justify)
        for row in rows:
            table.add_row(*map(Text, row))
        self.print(table)

    def fields(
        self, fields: Iterable[tuple[str, str]], style: str = "bold", *, pad_edge: bool = True
    ) -> None:
        """Print names in a style, each with its text next to it."""
        table = Table(box=None, show_header=False, pad_edge=pad_edge)
        for name, text in fields:
            table.add_row(Text(name, style, no_wrap=True), Text(text, overflow="fold"))
        self.print(table)

    def unreadable(self, problems: Iterable[str]) -> None:
        """Print what cannot be read, one problem per line."""
        self.lines(Text(f"unreadable: {problem}", "red") for problem in problems)

    def warn(self, text: str | None) -> None:
        """Print a warning about what was done, if there is one."""
        if text is not None:
            self.text(text, "yellow")

    def refuse(self, problems: Sequence[object], undone: str) -> None:
        """Print the problems of the input, one per line, and that therefore nothing was done.

        Raises:
            click.exceptions.Exit: There are problems (code 2).
        """
        self.lines(Text(str(problem), "red") for problem in problems)
        if problems:
            self.print(f"{counted(len(problems), 'problem')}; nothing was {undone}")
            raise click.exceptions.Exit(REFUSED)

    def print(self, *objects: Any, **named: Any) -> None:  # noqa: ANN401  as rich has it
        """Print as rich does, with the texts escaped."""
        super().print(*(_harmless(each) for each in objects), **named)


def _harmless(printed: Any) -> Any:  # noqa: ANN401  anything that rich prints
    match printed:
        case str():
            return shown(printed)
        case Text():
            return _shown_text(printed)
        case Table():
            for column in printed.columns:
                # rich gives no other access to the cells of a table.
                column._cells = [_harmless(cell) for cell in column._cells]  # noqa: SLF001
            return printed
        case _:
            return printed


def _shown_text(text: Text) -> Text:
    plain = text.plain
    if shown(plain) == plain:
        return text
    found = text.blank_copy()
    start = 0
    for first, end, escaped in escapes(plain):
        found.append_text(text[start:first])
        found.append(escaped)
        start = end
    return found.append_text(text[start:])
