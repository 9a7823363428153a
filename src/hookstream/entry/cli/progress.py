"""Long work shows on a terminal how far it is, and leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hookstream.entry.admin.dead_letters import Told, no_progress
from hookstream.entry.cli.context import Context


class ReadsInParts(Protocol):
    """Reads topics and tells how far it is."""

    def watch(self, told: Told) -> None:
        """Tell this one from now on."""


@contextmanager
def reading(context: Context, *readers: ReadsInParts) -> Iterator[None]:
    """Show one bar for readings that are made one after another."""
    with bar(context, "Reading") as progress:
        task = progress.add_task("", total=None)

        def told(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        for reader in readers:
            reader.watch(told)
        try:
            yield
        finally:
            for reader in readers:
                reader.watch(no_progress)


def bar(context: Context, title: str) -> Progress:
    """Return a progress bar on standard error."""
    return Progress(
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=context.err,
        transient=True,
        disable=not context.err.is_terminal,
    )
