"""`hookstream partition`: lists partitions, starts a stopped one, and skips a record that stops one."""

import re
from collections.abc import Callable, Sequence

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.group_position import GroupMember, GroupPosition, has_started
from hookstream.entry.admin.partitions import StartAt
from hookstream.entry.backend.partition_ports import PartitionCommand
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.moments import lasted
from hookstream.entry.cli.options import Amount, as_json_option
from hookstream.errors import InputRefused

_PARTITION = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>[0-9]{1,6})")


@click.group()
def command() -> None:
    """List partitions; start a stopped one, or skip the record that stops it."""


@command.command("list")
@click.option(
    "--open",
    "only_open",
    is_flag=True,
    help="Show only partitions that need attention: records are unsettled, no worker is assigned, no broker leads "
    "the partition, or the log ends before the committed offset.",
)
@as_json_option
@takes_api
def list_(context: Context, *, only_open: bool, as_json: bool) -> None:
    """List the partitions of event topics and tiers, each with its worker and the number of unsettled records.

    Reads from the brokers, not the workers, so it also shows partitions that no worker reads. A partition
    that stays unassigned after a rebalance delivers nothing until a worker is started. Most unsettled tier
    records are waiting for their due time.
    """
    positions, groups = context.backend.partitions.listed()
    shown = [each for each in positions if not only_open or _is_open(each)]
    if as_json:
        click.echo(json_line([_document(each) for each in shown]))
        return
    if shown:
        now, numbers = SystemClock().now(), ("committed", "unsettled", "oldest")
        rows = [_row(each, now) for each in shown]
        context.out.table(("partition", "assigned to", *numbers), rows, numbers)
    for group in groups:
        context.err.print(_summary(group, [p for p in positions if p.group == group]))


WAIT = click.option(
    "--wait",
    type=Amount(0, 600),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the partition's worker; 0: not at all.",
)


@command.command()
@click.argument("partition", metavar="TOPIC/N")
@click.option(
    "--at", "at", required=True, metavar="WHERE", help="earliest, latest, or an RFC 3339 time."
)
@click.option("--reason", default="", metavar="TEXT", help="The reason, for the operations topic.")
@WAIT
@takes_api
def start(context: Context, partition: str, at: str, reason: str, wait: float) -> None:
    """Start the stopped partition TOPIC/N at another position.

    Use it if the committed offset was lost, if records cannot be fetched, or if anything else stops the
    partition. `earliest` may resend deliveries, `latest` skips everything that is not delivered yet, and a
    time skips older records. Unsettled records below the position are skipped; records that were never read
    are published as a gap. The partition's worker resumes. The operations topic gets `partition.skipped` with
    the user, a reason that begins with `start at`, and the position as its offset. Exit code 1: it did not
    resume.
    """
    named, where = _named(partition), _where(at)
    read = context.backend.partitions.partition(named)
    before = read.position()
    if before.committed is not None and before.committed.offset == before.end:
        context.err.print(
            f"{partition} is not stopped: everything up to its end {before.end} is settled;"
            " nothing was changed"
        )
        raise SystemExit(1)
    read.start(where, reason)
    if not wait:
        context.err.print(f"Asked for {partition} to start at {at}, if it is stopped.")
        return
    target = {"earliest": before.start, "latest": before.end}.get(str(where))
    now = _settled(context, read, wait, lambda position: has_started(before, position, target))
    context.err.print(f"{partition} resumed: {_committed(now)}, {_assigned(now)}")


@command.command()
@click.argument("partition", metavar="TOPIC/N")
@click.argument("offset", type=click.IntRange(0))
@click.option("--reason", default="", metavar="TEXT", help="The reason, for the operations topic.")
@WAIT
@takes_api
def skip(context: Context, partition: str, offset: int, reason: str, wait: float) -> None:
    """Skip the record at OFFSET of TOPIC/N, which stops its partition.

    It does not matter what stops it: a refused write, or a record that cannot be fetched, read or matched.
    The record's unsettled deliveries are given up; the record stays in its topic. A record that does not stop
    its partition is not skipped. The worker resumes within a second, and an event on the operations topic
    names the user. Exit code 1: the record is already settled, or the partition did not resume.
    """
    read = context.backend.partitions.partition(_named(partition))
    before = read.position()
    if offset >= before.end:
        raise InputRefused(
            f"there is no record at {offset}: the log of {partition} ends before {before.end}"
        )
    if before.settles(offset):
        context.err.print(
            f"{offset} does not stop {partition}: it is settled, or gone from the log"
            f" ({_committed(before)}); nothing was changed"
        )
        raise SystemExit(1)
    read.skip(offset, reason)
    if not wait:
        context.err.print(
            f"Skipped {partition} offset {offset}. The partition resumes if that record was"
            " blocking it."
        )
        return
    now = _settled(context, read, wait, lambda position: position.settles(offset))
    context.err.print(f"{partition} resumed after offset {offset}: {_committed(now)}")


def _settled(
    context: Context, read: PartitionCommand, wait: float, done: Callable[[GroupPosition], bool]
) -> GroupPosition:
    """Return the position that meets a condition, or exit with code 1 after the wait."""
    now = read.position_within(wait, done)
    if not done(now):
        context.err.print(
            f"{_place(now)} did not resume within {wait:g} s: {_committed(now)}, {_assigned(now)}."
            " Its worker logs the reason and the offset as partition.stopped"
        )
        raise SystemExit(1)
    return now


def _place(position: GroupPosition) -> str:
    return f"{position.at.topic}/{position.at.partition}"


def _committed(position: GroupPosition) -> str:
    committed = position.committed
    where = "nothing" if committed is None else f"{committed.offset}"
    return f"committed {where} of {position.end}"


def _assigned(position: GroupPosition) -> str:
    return f"assigned to {'nobody' if position.holder is None else _name_of(position.holder)}"


def _is_open(position: GroupPosition) -> bool:
    if position.holder is None or position.beyond_end or not position.has_leader:
        return True
    return position.unsettled > 0


def _row(position: GroupPosition, now: Millis) -> tuple[str, ...]:
    oldest = "" if position.oldest is None else lasted(now - position.oldest)
    return (
        _place(position),
        "nobody" if position.holder is None else _name_of(position.holder),
        "-" if position.committed is None else f"{position.committed.offset}",
        f"{position.unsettled}" if position.has_leader else "no leader",
        oldest,
    )


def _name_of(member: GroupMember) -> str:
    return f"{member.instance_id or member.client_id} at {member.host.removeprefix('/')}"


def _summary(group: str, positions: Sequence[GroupPosition]) -> str:
    open_ = sum(each.unsettled for each in positions)
    nobody = sum(each.holder is None for each in positions)
    summary = (
        f"{group}: {counted(len(positions), 'partition')}, {counted(open_, 'record')} unsettled"
    )
    unled = sum(not each.has_leader for each in positions)
    if unled:
        summary = f"{summary}, {unled} without a leader"
    return f"{summary}, {nobody} assigned to nobody" if nobody else summary


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
        "has_leader": position.has_leader,
    }


def _named(partition: str) -> TopicPartition:
    named = _PARTITION.fullmatch(partition)
    if named is None:
        raise InputRefused(f"{partition!r} is not TOPIC/N, such as printprice.order.generated/3")
    return TopicPartition(named["topic"], int(named["partition"]))


def _where(at: str) -> StartAt:
    match at:
        case "earliest":
            return "earliest"
        case "latest":
            return "latest"
        case _:
            try:
                found = from_rfc3339(at)
            except ValueError as why:
                raise InputRefused(f"--at: {why} (or use earliest or latest)") from None
            if found < 0:
                # Brokers give some negative times a special meaning.
                raise InputRefused(f"--at: {at} is before 1970; use earliest")
            return found
