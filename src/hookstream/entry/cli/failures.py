"""`hookstream failures`: shows groups of similar errors, and acknowledges, resolves or reopens them."""

from collections.abc import Sequence

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.failures.groups import LONGEST_NOTE, Act, Actor, FailureGroup, GroupState
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.entry.backend.failure_ports import (
    CountedErrors,
    FailureFacts,
    SummedFailures,
    WantedFailures,
)
from hookstream.entry.cli.attempts import attempt_words
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.moments import ago, moment
from hookstream.entry.cli.options import as_json_option, several
from hookstream.errors import InputRefused

_UNRESOLVED = frozenset(state.value for state in GroupState if state is not GroupState.RESOLVED)

_DELIVERIES = "delivery", "deliveries"

_group = click.argument("group", metavar="GROUP")
_note = click.option("--note", default="", help="A note: the cause, or what is being done.")
_revision = click.option(
    "--if-revision", type=int, metavar="N", help="Refuse unless the group is at revision N."
)
_since = click.option(
    "--since",
    type=moment,
    metavar="TIME|AGE",
    help="Count errors since then: RFC 3339, or an age such as 2h (default: a day).",
)


@click.group()
def command() -> None:
    """Show groups of similar errors; acknowledge or resolve them.

    Consoles keep them, so these commands need --api, or the setting `api.url`.
    """


@command.command("list")
@click.option("--subscription", metavar="ID", help="Of this subscription.")
@click.option("--partner", metavar="ID", help="Of all subscriptions of this partner.")
@several(
    "--state",
    "states",
    "In this state (default: any but resolved)",
    click.Choice([each.value for each in GroupState]),
)
@several("--outcome", "outcomes", "With this outcome: failed, throttled", metavar="WORD")
@_since
@click.option(
    "--by-error", is_flag=True, help="Sum the same errors of all subscriptions and partners."
)
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="List at most this many.",
)
@as_json_option
@takes_api
def list_(
    context: Context,
    subscription: str | None,
    partner: str | None,
    states: frozenset[str] | None,
    outcomes: frozenset[str] | None,
    since: Millis | None,
    limit: int,
    *,
    by_error: bool,
    as_json: bool,
) -> None:
    """List failure groups, the last changed first; with --by-error, errors by their number of subscriptions."""
    wanted = WantedFailures(subscription, partner, states or _UNRESOLVED, outcomes, since)
    failures, now = context.backend.failures, SystemClock().now()
    if by_error:
        sums = failures.summed(wanted, limit)
        _list_sums(context, sums.found, now, as_json=as_json)
        _report(context, sums.since, sums.problems)
        return
    listing = failures.listed(wanted, limit)
    if as_json:
        click.echo(json_line([facts_document(each) for each in listing.found]))
    elif listing.found:
        context.out.table(
            ("group", "state", "subscription", "last", "errors", "deliveries", "error"),
            [_row(each, now) for each in listing.found],
            ("errors", "deliveries"),
        )
    else:
        context.err.print("No such failure group.")
    _report(context, listing.since, listing.problems)


@command.command()
@_group
@_since
@as_json_option
@takes_api
def show(context: Context, group: str, since: Millis | None, *, as_json: bool) -> None:
    """Show GROUP: its state, its note and author, and its newest attempts."""
    read = context.backend.failures.found(group, since)
    if as_json:
        attempts: list[Json] = [entry.as_json() for entry in read.attempts]
        click.echo(json_line({**facts_document(read.facts), "attempts": attempts}))
    else:
        context.out.fields(_fields(read.facts))
        for entry in read.attempts:
            at = to_the_second(entry.started_at)
            context.out.text(f"{at}  {entry.delivery_id}  {attempt_words(entry)}")
    _report(context, read.since, read.problems)


@command.command("ack")
@_group
@_note
@_revision
@takes_api
def acknowledge(context: Context, group: str, note: str, if_revision: int | None) -> None:
    """Acknowledge GROUP: someone is working on it. It stays acknowledged until it is resolved."""
    _act(context, group, Act.ACKNOWLEDGE, note, if_revision)


@command.command()
@_group
@_note
@_revision
@takes_api
def resolve(context: Context, group: str, note: str, if_revision: int | None) -> None:
    """Resolve GROUP. A later error reopens it."""
    _act(context, group, Act.RESOLVE, note, if_revision)


@command.command()
@_group
@_note
@_revision
@takes_api
def reopen(context: Context, group: str, note: str, if_revision: int | None) -> None:
    """Reopen GROUP, which was resolved too early."""
    _act(context, group, Act.REOPEN, note, if_revision)


def _act(context: Context, group: str, act: Act, note: str, revision: int | None) -> None:
    if len(note) > LONGEST_NOTE:
        raise InputRefused(f"--note: write at most {LONGEST_NOTE} characters")
    after = context.backend.failures.act(group, act, note, revision)
    context.err.print(f"{after.id} of {after.subscription_id} is {after.state}")


def _report(context: Context, since: Millis, problems: Sequence[str]) -> None:
    context.err.text(f"Errors are counted since {to_the_second(since)}")
    for problem in problems:
        context.err.text(problem, "yellow")


def _row(facts: FailureFacts, now: Millis) -> tuple[str, ...]:
    group, found = facts.group, facts.counted
    return (
        group.id,
        group.state.value,
        group.subscription_id,
        ago(now, found.last_seen),
        f"{found.count:,}",
        _deliveries(found),
        error_words(group.outcome, group.status, group.text),
    )


def _list_sums(
    context: Context, found: Sequence[SummedFailures], now: Millis, *, as_json: bool
) -> None:
    if as_json:
        click.echo(json_line([_sum_document(each) for each in found]))
        return
    if not found:
        context.err.print("No such failure group.")
        return
    columns = ("subscriptions", "partners", "unresolved", "last", "errors", "deliveries", "error")
    rows = [
        (
            f"{each.subscriptions:,}",
            f"{each.partners:,}",
            f"{sum(each.states.values()) - each.states[GroupState.RESOLVED]:,}",
            ago(now, each.counted.last_seen),
            f"{each.counted.count:,}",
            _deliveries(each.counted),
            error_words(each.outcome, each.status, each.text),
        )
        for each in found
    ]
    context.out.table(columns, rows, (*columns[:3], *columns[4:6]))


def error_words(outcome: str, status: int | None, text: str) -> str:
    """Return the common part of a group's errors: `failed 503 (answered <n>)`."""
    said = outcome if status is None else f"{outcome} {status}"
    return f"{said} ({text})" if text else said


def _deliveries(found: CountedErrors) -> str:
    return f"{'' if found.is_exact else '~'}{found.deliveries:,}"


def _fields(facts: FailureFacts) -> list[tuple[str, str]]:
    group, found = facts.group, facts.counted
    who = {Actor.ITSELF: "", Actor.PARTNER: " by the partner", Actor.OPERATOR: " by an operator"}
    by = f" ({group.by})" if group.by else ""
    about = "" if found.is_exact else "about "
    rows = [
        ("group", f"{group.id}, revision {group.revision}"),
        ("state", f"{group.state} since {to_the_second(group.changed)}{who[group.actor]}{by}"),
        ("note", group.note),
        ("subscription", f"{group.subscription_id} of {group.partner_id}"),
        ("error", error_words(group.outcome, group.status, group.text)),
        ("example", found.example or ""),
        ("seen", f"{to_the_second(group.first_seen)} to {to_the_second(found.last_seen)}"),
        ("errors", f"{found.count:,} of {about}{counted(found.deliveries, *_DELIVERIES)}"),
    ]
    return [(name, text) for name, text in rows if text]


def facts_document(facts: FailureFacts) -> JsonObject:
    """Return a failure group as JSON."""
    group = facts.group
    return {
        **_group_document(group),
        **_counted_document(facts.counted),
        "first_seen": to_rfc3339(group.first_seen),
    }


def _group_document(group: FailureGroup) -> JsonObject:
    return {
        "id": group.id,
        "subscription_id": group.subscription_id,
        "partner_id": group.partner_id,
        "outcome": group.outcome,
        "status": group.status,
        "error": group.text,
        "state": group.state.value,
        "opened_at": to_rfc3339(group.opened),
        "changed_at": to_rfc3339(group.changed),
        "actor": group.actor.value,
        "by": group.by,
        "note": group.note,
        "revision": group.revision,
    }


def _counted_document(found: CountedErrors) -> JsonObject:
    return {
        "last_seen": to_rfc3339(found.last_seen),
        "count": found.count,
        "deliveries": found.deliveries,
        "deliveries_exact": found.is_exact,
        "example": found.example,
        "delivery_id": found.delivery_id,
    }


def _sum_document(found: SummedFailures) -> JsonObject:
    return {
        "outcome": found.outcome,
        "status": found.status,
        "error": found.text,
        "subscriptions": found.subscriptions,
        "partners": found.partners,
        "states": {state.value: count for state, count in found.states.items()},
        "changed_at": to_rfc3339(found.changed),
        **_counted_document(found.counted),
    }
