"""`hookstream partition`: who holds which, how far each is, and a word on those that stopped."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import click
from rich.text import Text

from hookstream.adapters.kafka_groups import KafkaGroups
from hookstream.adapters.notices import AvroNotices
from hookstream.adapters.system import SystemClock
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
from hookstream.core.intake.position import Member, Position
from hookstream.core.model.instant import Millis, format_duration, from_rfc3339, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import TopicPartition
from hookstream.core.topology.plan import taken_topics, tier_topics
from hookstream.entry.cli.changes import who
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.standing_view import table_of
from hookstream.entry.cli.tables import writing
from hookstream.entry.cli.terminal import json_line
from hookstream.entry.cluster import reached
from hookstream.errors import InputRefused

_PARTITION = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>[0-9]{1,6})")


@click.group()
def command() -> None:
    """Show who reads which partition and how far; start those that stopped."""


@command.command("list")
@click.option(
    "--open",
    "only_open",
    is_flag=True,
    help="Only those that somebody should look at: "
    "something is unsettled there, nobody holds them, or the log ends before what is committed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def list_(context: Context, *, only_open: bool, as_json: bool) -> None:
    """List the partitions of events and tiers: who holds each, and what is unsettled there.

    It asks the brokers, not the workers, so it also shows partitions that no worker reads. Where
    nobody holds a partition for longer than a takeover lasts, deliveries wait there until a worker
    is started. What is unsettled in a tier mostly waits for its time.
    """
    settings = context.settings
    names, groups = settings.topics_names, KafkaGroups(reached(settings))
    found = groups.topics()
    events = taken_topics(settings.events.topics, names, found)
    positions = [
        *groups.positions(names.group, _partitions(events, found)),
        *groups.positions(names.retry_group, _partitions(tier_topics(names, found), found)),
    ]
    shown = [each for each in positions if not only_open or _is_open(each)]
    if as_json:
        click.echo(json_line([_document(each) for each in shown]))
        return
    if shown:
        table = table_of("partition", "held by", "committed", "unsettled", "oldest")
        for column in table.columns[2:]:
            column.no_wrap, column.justify = True, "right"
        now = SystemClock().now()
        for each in shown:
            table.add_row(*map(Text, _row(each, now)))
        context.out.print(table)
    for group in (names.group, names.retry_group):
        context.err.print(_summary(group, [p for p in positions if p.group == group]))


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


def _partitions(topics: Iterable[str], found: dict[str, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, n) for topic in topics for n in range(found[topic])]


def _is_open(position: Position) -> bool:
    return position.unsettled > 0 or position.holder is None or position.beyond_end


def _row(position: Position, now: Millis) -> tuple[str, ...]:
    oldest = "" if position.oldest is None else _age(now - position.oldest)
    return (
        f"{position.at.topic}/{position.at.partition}",
        "nobody" if position.holder is None else _name_of(position.holder),
        "-" if position.committed is None else f"{position.committed.offset}",
        f"{position.unsettled}",
        oldest,
    )


def _age(millis: Millis) -> str:
    return format_duration(max(millis, 0) // 1_000 * 1_000)


def _name_of(member: Member) -> str:
    return f"{member.instance_id or member.client_id} at {member.host.removeprefix('/')}"


def _summary(group: str, positions: Sequence[Position]) -> str:
    open_ = sum(each.unsettled for each in positions)
    nobody = sum(each.holder is None for each in positions)
    said = f"{group}: {len(positions)} partitions, {open_} records unsettled"
    return f"{said}, {nobody} held by nobody" if nobody else said


def _document(position: Position) -> JsonObject:
    holder, committed = position.holder, position.committed
    return {
        "group": position.group,
        "topic": position.at.topic,
        "partition": position.at.partition,
        "held_by": None
        if holder is None
        else {
            "member_id": holder.id,
            "client_id": holder.client_id,
            "instance_id": holder.instance_id,
            "host": holder.host.removeprefix("/"),
        },
        "start": position.start,
        "committed": None if committed is None else committed.offset,
        "settled_above": position.settled_above,
        "end": position.end,
        "unsettled": position.unsettled,
        "oldest": None if position.oldest is None else to_rfc3339(position.oldest),
    }


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
