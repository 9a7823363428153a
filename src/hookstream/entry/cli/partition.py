"""`hookstream partition`: an operator's word on partitions that stopped."""

import re
from typing import Literal

import click

from hookstream.adapters.notices import AvroNotices
from hookstream.adapters.table_values import (
    SealedSecrets,
    SkipAsked,
    StartAsked,
    disabled_row,
    failing_row,
    skip_key,
    start_key,
    write_skip,
    write_start,
)
from hookstream.adapters.table_values import read_start as read_start_row
from hookstream.adapters.tables import TableChange
from hookstream.core.model.instant import Millis, from_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.entry.cli.changes import who
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.tables import writing
from hookstream.errors import InputRefused

_PARTITION = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>[0-9]{1,6})")


@click.group()
def command() -> None:
    """Start partitions that stopped: at a position, or behind a record that cannot be settled."""


@command.command()
@click.argument("partition", metavar="TOPIC/N")
@click.option(
    "--at", "at", required=True, metavar="WHERE", help="earliest, latest, or an RFC 3339 time."
)
@pass_context
def start(context: Context, partition: str, at: str) -> None:
    """Start the stopped partition TOPIC/N: which of its records were settled is not known.

    `earliest` sends again what had been sent, `latest` leaves out what had not; a time leaves out
    what is older. Every worker hears of it, and the one that holds the partition goes on.
    """
    (topic, number), where = _named(partition), _where(at)
    names, key = context.settings.topics_names, start_key(topic, number)
    with writing(context.settings, SealedSecrets()) as desk:
        earlier = desk.state().rows[names.subscriptions].get(key)
        revision = 1
        if earlier is not None and earlier.value is not None:
            revision = read_start_row(key, earlier.value).revision + 1
        asked = StartAsked(topic, number, where, desk.now, revision)
        desk.write([TableChange(names.subscriptions, key, write_start(asked))])
    context.err.print(f"{partition} starts at {at}, where it is stopped")


@command.command()
@click.argument("partition", metavar="TOPIC/N")
@click.argument("offset", type=click.IntRange(0))
@click.option("--reason", default="", metavar="TEXT", help="Why, for the operations topic.")
@pass_context
def skip(context: Context, partition: str, offset: int, reason: str) -> None:
    """Step over the record at OFFSET of TOPIC/N, which stops its partition.

    What could not be written of it (a tier record, a dead letter, an audit record) is given up; the
    record itself stays where it is. A record that does not stop its partition is not stepped over.
    The worker goes on within a second, and the operations topic tells who did it.
    """
    where = _named(partition)
    names = context.settings.topics_names
    notices = AvroNotices(names, "cli", disabled_row, failing_row)
    with writing(context.settings, SealedSecrets()) as desk:
        asked = SkipAsked(*where, offset, desk.now, reason)
        told = notices.partition_skipped(where, offset, desk.now, reason=reason, changed_by=who())
        row = TableChange(names.subscriptions, skip_key(*where, offset), write_skip(asked))
        desk.write([row], [told])
    context.err.print(f"{partition} goes on behind {offset}, where that stops it")


def _named(partition: str) -> TopicPartition:
    named = _PARTITION.fullmatch(partition)
    if named is None:
        raise InputRefused(f"{partition!r} is not TOPIC/N, such as printprice.order.generated/3")
    return TopicPartition(named["topic"], int(named["partition"]))


def _where(at: str) -> Literal["earliest", "latest"] | Millis:
    match at:
        case "earliest":
            return "earliest"
        case "latest":
            return "latest"
        case _:
            try:
                return from_rfc3339(at)
            except ValueError as why:
                raise InputRefused(f"--at: {why} (or write earliest or latest)") from None
