"""Fixes in advance what a redrive or purge takes: checks single positions, and compares previews."""

from collections.abc import Mapping

from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.ledger import Ledger
from hookstream.core.redrive.preview import BulkAct, Preview, read_preview
from hookstream.core.redrive.revive import position_of
from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.errors import InputRefused


def preview_of(
    reader: DeadLetterReader,
    act: BulkAct,
    selector: JsonObject,
    ends: TopicEnds,
    total: int,
) -> Preview:
    """Return what a dry run found, for `--preview`.

    Args:
        reader: Reads the topic.
        act: What would be done.
        selector: The conditions, as `Selector.row` writes them.
        ends: The ends up to which records were counted.
        total: How many would be taken.
    """
    return Preview(act, reader.source, ends.topic_id, selector, ends.ends, total)


def known_preview(
    reader: DeadLetterReader, act: BulkAct, token: str, selector: JsonObject
) -> Preview:
    """Return the preview of a token, for the same act on the same topic.

    Args:
        reader: Reads the topic.
        act: What is to be done.
        token: As `--dry-run` printed it.
        selector: The conditions that were given with it; empty: those of the preview.

    Raises:
        InputRefused: The token cannot be read, or is of something else.
    """
    preview = read_preview(token)
    preview.refuse_other(act, reader.source, reader.topic_ids()[reader.source], selector)
    return preview


def refuse_positions(
    reader: DeadLetterReader, ledger: Ledger, selector: Selector, ends: Mapping[int, int]
) -> None:
    """Refuse single positions that cannot be taken; do nothing if the selector has none.

    Args:
        reader: Reads the topic.
        ledger: Which records are resolved.
        selector: May have positions.
        ends: The end offsets up to which records are taken.

    Raises:
        InputRefused: One is not in the log, or was redriven or purged; the message names each.
    """
    if selector.positions is None:
        return
    there = {position_of(record) for record in reader.records(ends)}
    problems: list[str] = []
    for position in sorted(selector.positions):
        resolved_by = ledger.resolved_by(reader.source, position)
        if resolved_by is not None:
            problems.append(f"{position} was {resolved_by}")
        elif position not in there:
            problems.append(f"{reader.topic} holds no record at {position} (any more)")
    if problems:
        raise InputRefused("; ".join(problems))
