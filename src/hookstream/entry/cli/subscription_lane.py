"""`hookstream subscriptions lane`: shows the current state of one subscription's lane in the workers."""

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.lanes.lane_status import BreakerState
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_the_second
from hookstream.entry.admin.lanes import LaneNow, SubscriptionLane, WorkersWord
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.moments import ago, took
from hookstream.entry.cli.options import as_json_option, workers_option

_NUMBERS = ("in flight", "next")


@click.command()
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@workers_option
@as_json_option
@takes_api
def command(
    context: Context, subscription_id: str, *, workers: tuple[str, ...], as_json: bool
) -> None:
    """Show the current state of SUBSCRIPTION's lane, as workers report it.

    Shows the requests in flight and their limit, the deliveries that are next, the rate, whether the breaker
    is open and when it probes, and what delays the lane. Workers keep a lane for ten minutes after its last
    work; then it is idle, and the subscription's own limits are shown. Through the API, the workers of
    --worker are asked from this machine, and otherwise the console asks those that its settings name.
    """
    lane = context.backend.subscriptions.lane(subscription_id, workers)
    if as_json:
        click.echo(json_line(lane.as_json()))
        return
    now = SystemClock().now()
    context.out.fields(_sum(lane, now).items(), pad_edge=False)
    if lane.workers:
        columns = ("worker", *_NUMBERS, "rate", "breaker", "answers in", "notes")
        rows = [_row(each, now) for each in lane.workers]
        context.out.table(columns, rows, _NUMBERS)


def _sum(lane: SubscriptionLane, now: Millis) -> dict[str, str]:
    rows = {"subscription": lane.subscription_id}
    if not lane.known:
        return rows | {"lane": _unknown(lane)}
    more = "" if lane.whole else "; not all workers answered: there may be more"
    if lane.idle:
        rows["lane"] = (
            f"idle: no worker had work for it for ten minutes, or since it started{more}"
        )
        rows["in flight"] = f"0, at most {lane.limit:,} in each worker"
        rows["rate"] = _rate(lane.rate, throttled=False)
        return rows
    ramping = ", ramping up" if lane.ramping else ""
    rows["in flight"] = f"{lane.in_flight:,} of {lane.limit:,}{ramping}{more}"
    rows["next"] = counted(lane.queued, "delivery", "deliveries")
    rows["rate"] = _rate(lane.rate, throttled=lane.throttled)
    rows["breaker"] = _breaker(lane.breaker, lane.probe_at, now)
    if lane.rests_until is not None:
        rows["rests"] = f"at its endpoint's request, {_until(lane.rests_until, now)}"
    if lane.answers_in_ms is not None:
        rows["answers in"] = f"{took(lane.answers_in_ms * 1_000)} on average"
    return rows


def _unknown(lane: SubscriptionLane) -> str:
    if lane.workers:
        return "not known: no worker answered"
    return (
        "not known: no worker answered, or none is configured: set console.workers,"
        " or give --worker HOST:PORT"
    )


def _row(said: WorkersWord, now: Millis) -> tuple[str, ...]:
    name = f"{said.worker} ({said.address})" if said.worker else said.address
    lane = said.lane
    if lane is None:
        why = said.problem or "idle: it had no work for it for ten minutes, or since it started"
        return (name, "", "", "", "", "", why)
    most = "" if lane.limit == lane.max_in_flight else f" ({lane.max_in_flight:,} at most)"
    return (
        name,
        f"{lane.in_flight:,} of {lane.limit:,}{most}",
        f"{lane.queued:,}",
        _rate(lane.rate, throttled=lane.throttled),
        _breaker(lane.breaker, lane.probe_at, now),
        took(lane.answers_in_ms * 1_000),
        _notes(lane, now),
    )


def _notes(lane: LaneNow, now: Millis) -> str:
    notes = ["ramping up"] if lane.ramping else []
    if lane.overdue:
        notes.append("an attempt is overdue: no other starts")
    if lane.rests_until is not None:
        notes.append(f"rests at its endpoint's request, {_until(lane.rests_until, now)}")
    return ", ".join(notes) or "-"


def _rate(rate: float | None, *, throttled: bool) -> str:
    if rate is None:
        return "unlimited"
    return f"{rate:g}/s at most{', as its endpoint answers' if throttled else ''}"


def _breaker(state: str, probe_at: Millis | None, now: Millis) -> str:
    if state == BreakerState.HALF_OPEN:
        return "half open: the next attempt is a probe"
    words = state.replace("_", " ")
    return words if probe_at is None else f"{words}, probes {_until(probe_at, now, before='at')}"


def _until(instant: Millis, now: Millis, before: str = "until") -> str:
    left = f" (in {ago(instant, now)})" if instant > now else ""
    return f"{before} {to_the_second(instant)}{left}"
