"""`hookstream partition`: who holds which, how far each is, and a word on those that stopped."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import click
from rich.text import Text

from hookstream.adapters.avro.own_events import AvroNotices
from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.adapters.kafka.tables import TableChange
from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables import (
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
from hookstream.adapters.tables import read_start as read_start_row
from hookstream.core.model.instant import Millis, format_duration, from_rfc3339, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.suggestion import did_you_mean
from hookstream.core.offsets.group_position import GroupMember, GroupPosition
from hookstream.core.topology.plan import taken_topics, tier_topics
from hookstream.entry.admin.changes import who
from hookstream.entry.admin.tables import writing
from hookstream.entry.cli.amount import Amount
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.standing_view import table_of
from hookstream.entry.cli.terminal import json_line
from hookstream.entry.cluster import reached
from hookstream.errors import DependencyUnavailable, InputRefused

_LOOK_AGAIN = 0.5
"""Seconds between two questions where the group stands."""

_PATIENCE = 10.0
"""Seconds for which a group that has no coordinator is asked again."""

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


WAIT = click.option(
    "--wait",
    type=Amount(0, 600),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the worker that holds the partition; 0: not at all.",
)


@command.command()
@click.argument("partition", metavar="TOPIC/N")
@click.option(
    "--at", "at", required=True, metavar="WHERE", help="earliest, latest, or an RFC 3339 time."
)
@click.option("--reason", default="", metavar="TEXT", help="Why, for the operations topic.")
@WAIT
@pass_context
def start(context: Context, partition: str, at: str, reason: str, wait: float) -> None:
    """Start the stopped partition TOPIC/N: which of its records were settled is not known.

    `earliest` sends again what had been sent, `latest` leaves out what had not; a time leaves out
    what is older. It is for offsets that were lost, for records that cannot be fetched, and for
    whatever else stops a partition: what stands still below the position is given up, what was not
    read yet is raised as a gap. Every worker reads it, and the one that holds the partition
    resumes. `partition.skipped` on the operations topic names who did it, with `start at` in its reason
    and the position as its offset. Exit code 1: nothing has come of it.
    """
    (topic, number), where = _named(partition), _where(at)
    names, key = context.settings.topics_names, start_key(topic, number)
    place = _Place.of(context, TopicPartition(topic, number))
    before = place.position()
    if before.committed is not None and before.committed.offset == before.end:
        context.err.print(
            f"{partition} is not stopped: everything up to its end {before.end} is settled;"
            " nothing was changed"
        )
        raise SystemExit(1)
    begin = place.groups.offset_at(place.at, where)
    notices = AvroNotices(names, "cli", disabled_row, failing_row)
    with writing(context.settings, SealedSecrets()) as desk:
        earlier = desk.state().rows[names.subscriptions].get(key)
        revision = 1
        if earlier is not None and earlier.value is not None:
            revision = read_start_row(key, earlier.value).revision + 1
        asked = StartAsked(topic, number, where, desk.now, revision)
        told = notices.partition_skipped(
            place.at, begin, desk.now, reason=f"start at {at}. {reason}".strip(), changed_by=who()
        )
        desk.write([TableChange(names.subscriptions, key, write_start(asked))], [told])
    if not wait:
        context.err.print(f"{partition} is to start at {at}, where it is stopped")
        return
    now = place.within(wait, lambda position: position.committed != before.committed)
    if now.committed == before.committed:
        context.err.print(place.nothing_came(now, wait))
        raise SystemExit(1)
    context.err.print(f"{partition} is read on: {_committed(now)}, {_held(now)}")


@command.command()
@click.argument("partition", metavar="TOPIC/N")
@click.argument("offset", type=click.IntRange(0))
@click.option("--reason", default="", metavar="TEXT", help="Why, for the operations topic.")
@WAIT
@pass_context
def skip(context: Context, partition: str, offset: int, reason: str, wait: float) -> None:
    """Step over the record at OFFSET of TOPIC/N, which stops its partition.

    Whatever stops it there: a write that is refused, a record that cannot be fetched, read or judged.
    What could not be done with it is given up; the record itself stays where it is. A record that
    does not stop its partition is not stepped over. The worker goes on within a second, and an
    event on the operations topic names who did it. Exit code 1: the record is settled already, or nothing has
    come of it.
    """
    where = _named(partition)
    names = context.settings.topics_names
    place = _Place.of(context, where)
    before = place.position()
    if offset >= before.end:
        raise InputRefused(
            f"no record stands at {offset}: the log of {partition} ends before {before.end}"
        )
    if before.settles(offset):
        context.err.print(
            f"{offset} does not stop {partition}: it is settled, or gone from the log"
            f" ({_committed(before)}); nothing was changed"
        )
        raise SystemExit(1)
    notices = AvroNotices(names, "cli", disabled_row, failing_row)
    with writing(context.settings, SealedSecrets()) as desk:
        asked = SkipAsked(*where, offset, desk.now, reason)
        told = notices.partition_skipped(where, offset, desk.now, reason=reason, changed_by=who())
        row = TableChange(names.subscriptions, skip_key(*where, offset), write_skip(asked))
        desk.write([row], [told])
    if not wait:
        context.err.print(f"{partition} goes on behind {offset}, where that stops it")
        return
    now = place.within(wait, lambda position: position.settles(offset))
    if not now.settles(offset):
        context.err.print(place.nothing_came(now, wait))
        raise SystemExit(1)
    context.err.print(f"{partition} went on behind {offset}: {_committed(now)}")


@dataclass(slots=True, frozen=True)
class _Place:
    """One partition, and the group that reads it."""

    groups: KafkaGroups
    group: str
    at: TopicPartition

    @classmethod
    def of(cls, context: Context, at: TopicPartition) -> "_Place":
        """Return the place of a partition that exists.

        Raises:
            InputRefused: There is no such partition.
        """
        names, groups = context.settings.topics_names, KafkaGroups(reached(context.settings))
        found = groups.topics()
        if at.topic not in found:
            raise InputRefused(f"there is no topic {at.topic}{did_you_mean(at.topic, found)}")
        if at.partition >= found[at.topic]:
            raise InputRefused(
                f"{at.topic} has {found[at.topic]} partitions, 0 to {found[at.topic] - 1}"
            )
        ours = names.delay_of(at.topic) is not None
        return cls(groups, names.retry_group if ours else names.group, at)

    def position(self) -> GroupPosition:
        """Return where the group stands there now.

        Raises:
            DependencyUnavailable: For 10 s, no broker could answer: a group may be moving.
        """
        clock = SystemClock()
        until = clock.monotonic() + _PATIENCE
        while True:
            try:
                return self.groups.position(self.group, self.at)
            except DependencyUnavailable:
                if clock.monotonic() >= until:
                    raise
                time.sleep(_LOOK_AGAIN)

    def within(self, seconds: float, true: Callable[[GroupPosition], bool]) -> GroupPosition:
        """Return the position as soon as something holds of it, or the last one within so many seconds."""
        clock = SystemClock()
        until = clock.monotonic() + seconds
        while True:
            position = self.position()
            if true(position) or clock.monotonic() >= until:
                return position
            time.sleep(_LOOK_AGAIN)

    def nothing_came(self, now: GroupPosition, waited: float) -> str:
        """Return the sentence for a word that nobody took up."""
        name = f"{self.at.topic}/{self.at.partition}"
        return (
            f"nothing has come of it within {waited:g} s: {name} is where it was"
            f" ({_committed(now)}), {_held(now)}. What stops a partition, and at which offset, its"
            " worker logs as partition.stopped or topic.stopped"
        )


def _committed(position: GroupPosition) -> str:
    committed = position.committed
    where = "nothing" if committed is None else f"{committed.offset}"
    return f"committed {where} of {position.end}"


def _held(position: GroupPosition) -> str:
    return f"held by {'nobody' if position.holder is None else _name_of(position.holder)}"


def _partitions(topics: Iterable[str], found: dict[str, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, n) for topic in topics for n in range(found[topic])]


def _is_open(position: GroupPosition) -> bool:
    return position.unsettled > 0 or position.holder is None or position.beyond_end


def _row(position: GroupPosition, now: Millis) -> tuple[str, ...]:
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


def _name_of(member: GroupMember) -> str:
    return f"{member.instance_id or member.client_id} at {member.host.removeprefix('/')}"


def _summary(group: str, positions: Sequence[GroupPosition]) -> str:
    open_ = sum(each.unsettled for each in positions)
    nobody = sum(each.holder is None for each in positions)
    said = f"{group}: {len(positions)} partitions, {open_} records unsettled"
    return f"{said}, {nobody} held by nobody" if nobody else said


def _document(position: GroupPosition) -> JsonObject:
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
