"""`hookstream stats`: counts deliveries, retries and errors."""

from collections.abc import Iterator

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import DAY, HOUR, MINUTE, Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import JsonObject
from hookstream.core.statistics.counts import Counts, Statistics
from hookstream.core.statistics.errors import ErrorPattern
from hookstream.entry.admin.statistics import MOST_STEPS, StatisticsWanted
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.moments import ago, moment
from hookstream.entry.cli.options import as_json_option
from hookstream.entry.cli.progress import bar, shown_in
from hookstream.entry.cli.terminal import Terminal
from hookstream.errors import InputRefused

_STEPS = ((2 * HOUR, MINUTE), (2 * DAY, HOUR))
"""The longest interval for each step; for longer ones, a step is a day."""


@click.command()
@click.argument("subscription", metavar="[SUBSCRIPTION]", required=False)
@click.option("--partner", metavar="ID", help="Of all subscriptions of this partner.")
@click.option(
    "--since",
    type=moment,
    default="24h",
    show_default=True,
    metavar="TIME|AGE",
    help="Of events published since then: RFC 3339, or an age such as 2h.",
)
@click.option(
    "--scan",
    type=click.IntRange(1, 100_000_000),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Read at most N records of the attempts, and N of the tiers, the newest.",
)
@as_json_option
@takes_api
def command(
    context: Context,
    subscription: str | None,
    partner: str | None,
    since: Millis,
    scan: int,
    *,
    as_json: bool,
) -> None:
    """Count deliveries, retries and errors of a SUBSCRIPTION, a partner, or everything.

    Each delivery is counted once, in the minute in which its event was published, by its state so far. The
    success rate covers deliveries that were delivered, were dead-lettered, or have been open for longer than
    five minutes. Held and paused deliveries, replays and tests are left out, and counted separately.

    Reads the attempts and the tiers; through the API the console's index, and --scan has no effect. Standard
    error lists what was not read.
    """
    now = SystemClock().now()
    wanted = StatisticsWanted(
        since,
        now + MINUTE,
        _step(since, now),
        None if subscription is None else frozenset({subscription}),
        None if partner is None else frozenset({partner}),
    )
    with bar(context, "Reading") as progress:
        read = context.backend.statistics(scan).read(wanted, now, shown_in(progress))
    found = read.found
    if as_json:
        click.echo(json_line(statistics_document(found)))
    else:
        show(context.out, found, now)
    for sentence in read.reservations:
        context.err.text(sentence, "yellow")


def _step(since: Millis, now: Millis) -> Millis:
    """Return the length of a step for an interval.

    Raises:
        InputRefused: It starts in the future, or has more steps than are shown.
    """
    if since >= now:
        raise InputRefused(f"--since {to_rfc3339(since)} is not before now")
    step = next((step for longest, step in _STEPS if now - since <= longest), DAY)
    if (now - since) // step >= MOST_STEPS:
        raise InputRefused(f"--since {to_rfc3339(since)} is more than {MOST_STEPS:,} days ago")
    return step


def show(out: Terminal, found: Statistics, now: Millis) -> None:
    """Print statistics as text."""
    counts = found.counts
    deliveries = counted(counts.events, "delivery", "deliveries")
    out.text(f"{deliveries} of events since {to_the_second(found.since)}", "bold")
    out.fields([*_facts(found, now)])
    if found.steps:
        out.text("")
        columns = (
            "events since",
            "deliveries",
            "delivered",
            "dead-lettered",
            "open",
            "retries",
            "rate",
        )
        rows = [
            (
                to_the_second(each.at),
                f"{each.counts.events:,}",
                f"{each.counts.delivered:,}",
                f"{each.counts.dead_lettered:,}",
                f"{each.counts.open:,}",
                f"{each.counts.retries:,}",
                _percent(each.counts.success_rate),
            )
            for each in found.steps[-24:]
        ]
        out.table(columns, rows, columns[1:])
    if found.errors:
        out.text("\nErrors, the most frequent first:", "bold")
        out.table(
            ("count", "last", "subscription", "error"),
            [
                (
                    f"{each.count:,}",
                    ago(now, each.last_at),
                    each.fingerprint.subscription_id,
                    _error_words(each),
                )
                for each in found.errors
            ],
            ("count",),
        )


def _facts(found: Statistics, now: Millis) -> Iterator[tuple[str, str]]:
    counts, last = found.counts, found.last_attempt
    yield "success rate", f"{_percent(counts.success_rate)} of {counts.decided:,} decided"
    yield "within 2 s", _percent(counts.at_once_rate)
    yield "delivered", f"{counts.delivered:,}"
    yield "dead-lettered", f"{counts.dead_lettered:,}"
    yield "cancelled", f"{counts.cancelled:,}"
    yield "open", f"{counts.open:,}, {counts.overdue:,} of them for longer than 5 minutes"
    yield "retries", f"{counts.retries:,}"
    status = "" if last is None or last.status is None else f" {last.status}"
    attempt = "none" if last is None else f"{ago(now, last.at)} ago: {last.outcome}{status}"
    yield "last attempt", attempt
    others = f"{counts.replays:,} replayed or resent, {counts.tests:,} tests"
    yield (
        "left out",
        f"{_percent(counts.left_out_share)}: {counts.held:,} held or paused, {others}",
    )


def _error_words(pattern: ErrorPattern) -> str:
    shown = (pattern.fingerprint.outcome, pattern.fingerprint.status, pattern.fingerprint.text)
    return " ".join(str(each) for each in shown if each)


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.4g} %"


def statistics_document(found: Statistics) -> JsonObject:
    """Return statistics as JSON."""
    last = found.last_attempt
    return {
        "since": to_rfc3339(found.since),
        "until": to_rfc3339(found.until),
        "whole": found.whole,
        "counts": counts_document(found.counts),
        "last_attempt": None
        if last is None
        else {
            "at": to_rfc3339(last.at),
            "outcome": last.outcome,
            "status": last.status,
            "delivery_id": last.delivery_id,
        },
        "errors": [_pattern_document(each) for each in found.errors],
        "steps": [
            {"at": to_rfc3339(each.at), **counts_document(each.counts)} for each in found.steps
        ],
    }


def counts_document(counts: Counts) -> JsonObject:
    """Return counts and the rates made of them as JSON."""
    return {
        "events": counts.events,
        "delivered": counts.delivered,
        "delivered_at_once": counts.delivered_at_once,
        "dead_lettered": counts.dead_lettered,
        "cancelled": counts.cancelled,
        "open": counts.open,
        "overdue": counts.overdue,
        "retries": counts.retries,
        "held": counts.held,
        "replays": counts.replays,
        "tests": counts.tests,
        "success_rate": counts.success_rate,
        "at_once_rate": counts.at_once_rate,
        "left_out_share": counts.left_out_share,
    }


def _pattern_document(pattern: ErrorPattern) -> JsonObject:
    subscription_id, outcome, status, text = pattern.fingerprint
    return {
        "subscription_id": subscription_id,
        "outcome": outcome,
        "status": status,
        "text": text,
        "count": pattern.count,
        "first_at": to_rfc3339(pattern.first_at),
        "last_at": to_rfc3339(pattern.last_at),
        "example": pattern.example,
        "delivery_id": pattern.delivery_id,
    }
