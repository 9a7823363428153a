"""Progress bars on standard error, which are removed when the work is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from hookstream.entry.admin.audit import AuditLog
from hookstream.entry.admin.dead_letters import DeadLetterReader, no_progress
from hookstream.entry.admin.pending import PendingReader
from hookstream.entry.cli.context import Context


@contextmanager
def reading(
    context: Context, *readers: DeadLetterReader | AuditLog | PendingReader
) -> Iterator[None]:
    """Show one progress bar for readings that are made one after another."""
    with bar(context, "Reading") as progress:
        update = shown_in(progress)
        for reader in readers:
            reader.progress = update
        try:
            yield
        finally:
            for reader in readers:
                reader.progress = no_progress


@contextmanager
def progress_bar(context: Context) -> Iterator[Callable[[int, int], None]]:
    """Show one progress bar for readings that are made one after another; yield the function that updates it."""
    with bar(context, "Reading") as progress:
        yield shown_in(progress)


def shown_in(progress: Progress) -> Callable[[int, int], None]:
    """Return a function that shows how much of a total is done."""
    task = progress.add_task("", total=None)

    def update(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    return update


def bar(context: Context, title: str) -> Progress:
    """Return a progress bar on standard error."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return transient(context, *columns)


def transient(context: Context, *columns: ProgressColumn) -> Progress:
    """Return a display of progress that is removed when the work is done."""
    err = context.err
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
