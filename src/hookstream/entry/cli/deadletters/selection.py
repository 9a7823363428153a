"""The options that redrive and purge share: single positions, and previews."""

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.counted import counted
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.redrive.marks import Position
from hookstream.core.redrive.preview import BulkAct, Preview
from hookstream.core.redrive.selector import MAX_POSITIONS, Selector
from hookstream.entry.admin.dead_letter_details import position_in
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.deadletters.kinds import Kind
from hookstream.entry.cli.deadletters.view import show_tally, tally_document
from hookstream.entry.cli.escaping import json_line
from hookstream.errors import InputRefused

places_argument = click.argument("places", metavar="[PLACE]...", nargs=-1)
"""It arrives as `places`: a selector would take `positions` for its own."""

preview_option = click.option(
    "--preview",
    metavar="TOKEN",
    help="Take exactly what a --dry-run counted, nothing newer; it prints the TOKEN.",
)


def selected(texts: tuple[str, ...], selector: Selector, topic: str) -> Selector:
    """Return the selector of a command that was given positions, conditions or neither.

    Raises:
        click.UsageError: Both were given.
        InputRefused: A text is not a position in the topic, or there are too many.
    """
    if not texts:
        return selector
    if selector != Selector():
        raise click.UsageError("a PLACE names a single record: omit the conditions")
    positions: set[Position] = set()
    for text in texts:
        position = position_in(text, topic)
        if position is None:
            raise InputRefused(f"{text!r} is not a place such as 3@1042")
        positions.add(position)
    if len(positions) > MAX_POSITIONS:
        raise InputRefused(
            f"at most {MAX_POSITIONS:,} PLACEs at a time: {len(positions):,} were given"
        )
    return Selector(positions=frozenset(positions))


def show_survey(
    context: Context, found: Survey, kind: Kind, topic: str, act: BulkAct, *, as_json: bool
) -> None:
    """Print what an act would select and leave out; with --json, on standard error.

    Args:
        context: Where to.
        found: The counts.
        kind: What is counted.
        topic: The topic that was read.
        act: What would be done.
        as_json: Whether standard output is for JSON.
    """
    out = context.err if as_json else context.out
    total = found.tally.records
    out.text(f"{counted(total, f'open {kind.noun}')} to {act} from {topic}", "bold")
    if total:
        show_tally(out, found.tally, kind, SystemClock().now())
    for why, count in sorted(found.left_out.items()):
        out.text(f"left out: {count:,}, {why}", "yellow")


def survey_document(found: Survey, kind: Kind) -> JsonObject:
    """Return the counts of a survey as JSON; scripts rely on its keys."""
    left_out: list[Json] = [
        {"why": why, "letters": count} for why, count in sorted(found.left_out.items())
    ]
    return {
        "letters": found.tally.records,
        "groups": tally_document(found.tally, kind),
        "left_out": left_out,
    }


def show_preview(
    context: Context, preview: Preview | None, counted: JsonObject, *, as_json: bool
) -> None:
    """Print the token of a dry run, with --json the counts as well.

    Args:
        context: Where to.
        preview: What was counted; None: partners, and very many conditions through the API, have none.
        counted: The counts as JSON.
        as_json: Whether to print JSON.
    """
    token = None if preview is None else preview.token()
    if as_json:
        click.echo(json_line({"job": None, **counted, "preview": token}))
    elif preview is None:
        return
    elif token is None:
        context.err.text("There are too many conditions for a token", "yellow")
    elif preview.total:
        context.out.text(f"To take exactly these: --preview {token}")
