"""`hookstream explain`: explains why an event did, or did not, arrive."""

import click
from rich.text import Text

from hookstream.adapters.system import SystemClock
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import HOUR, Millis, to_the_second
from hookstream.core.model.record_place import read_place
from hookstream.entry.admin.explain import ExplainRequest
from hookstream.entry.admin.explanation import (
    Aside,
    ExplainedEvent,
    ExplainedRecord,
    ExplainedSubscription,
    Explanation,
)
from hookstream.entry.cli.attempts import show_history_entries
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import as_json_option, since_option
from hookstream.entry.cli.terminal import Terminal

NOT_FOUND = 1
"""The exit code if the search did not find the event."""
WINDOW: Millis = HOUR
"""The default search window of an id."""

_COLOURS = {"completed": "green", "dead-lettered": "red", "not matched": "red"}
_KINDS = {"tier": "waits in", "undecodable": "undecodable in", "dead_letter": "dead letter in"}


@click.command()
@click.argument("event", metavar="EVENT_ID|TOPIC/PARTITION@OFFSET")
@click.argument("subscription", metavar="[SUBSCRIPTION]", required=False)
@since_option
@click.option(
    "--id",
    "is_id",
    is_flag=True,
    help="Treat the argument as an id, even if it looks like a position.",
)
@as_json_option
@takes_api
def command(
    context: Context,
    event: str,
    subscription: str | None,
    since: Millis | None,
    *,
    is_id: bool,
    as_json: bool,
) -> None:
    """Explain why an event did, or did not, arrive at the subscriptions that ask for its type.

    Searches the event topics for the id, in records of the last hour unless --since is given; if none has it,
    also the tiers, dead letters and undecodable records. The search and the explanation each stop after a
    million records or a minute; the output lists what was not searched. Conditions are evaluated with the
    current tables; the changes of a subscription since the event are listed.

    Exit code 1: the event was not found in what was searched.
    """
    begin = SystemClock().now() - WINDOW if since is None else since
    place = None if is_id else read_place(event)
    request = ExplainRequest(place or event, begin, subscription)
    explanation = context.backend.explaining.explain(request)
    if as_json:
        click.echo(json_line(explanation.as_json()))
    else:
        _show(context.out, explanation, event)
    if not explanation.is_found:
        raise click.exceptions.Exit(NOT_FOUND)


def _show(out: Terminal, explanation: Explanation, sought: str) -> None:
    for number, event in enumerate(explanation.events):
        if number:
            out.text("")
        _show_event(out, event)
    if not explanation.is_found:
        out.text(f"{sought}: not found in what was searched", "bold red")
        for line in explanation.searched:
            out.text(f"searched: {line}")
    for line in explanation.left_out:
        out.text(f"not searched: {line}", "yellow")


def _show_event(out: Terminal, explained: ExplainedEvent) -> None:
    found = explained.found
    _show_record(out, explained)
    if found.event is None:
        return
    if not explained.subscriptions:
        out.text(f"  no subscription asks for {found.event.event_type}", "red")
    for subscription in explained.subscriptions:
        _show_subscription(out, subscription)
    if explained.left_out:
        asks = counted(explained.left_out, "more subscription asks", "more subscriptions ask")
        out.text(f"  {asks} for it: name a SUBSCRIPTION", "yellow")


def _show_record(out: Terminal, explained: ExplainedEvent) -> None:
    found = explained.found
    out.text(Text(_title(found), "bold"))
    # The API shows no position to a partner.
    out.text(f"  record {found.place}{' ' if found.place else ''}of {to_the_second(found.at)}")
    if found.copy is not None:
        out.text(f"  read from its copy in {found.copy}")
    if found.problem is not None:
        out.text(f"  it is not an event: {found.problem}", "red")
    if explained.settled:
        out.text(f"  {explained.settled}")
    for aside in explained.asides:
        known = aside.why == found.problem
        out.text(f"  {_aside(aside, why='' if known else aside.why)}", "yellow")


def _title(found: ExplainedRecord) -> str:
    event = found.event
    if event is None:
        return "Not an event"
    return (
        f"{event.event_type} v{event.version} {event.event_id}, environment {event.environment},"
        f" entity {event.entity_id}"
    )


def _aside(aside: Aside, *, why: str) -> str:
    """Return the place of a record, with time and reason, in one line."""
    due = "" if aside.due_at is None else f", due {aside.due_at}"
    gone = "" if aside.is_open else ", since then removed from there"
    reason = f": {why}" if why else ""
    since = to_the_second(aside.at)
    kind = _KINDS[aside.kind]
    where = f"{kind} {aside.place}" if aside.place else kind.removesuffix(" in")
    return f"{where} since {since}{due}{gone}{reason}"


def _show_subscription(out: Terminal, explained: ExplainedSubscription) -> None:
    head = Text(f"  {explained.subscription_id} (partner {explained.partner_id}): ", "bold")
    head.append(explained.state, f"bold {_COLOURS.get(explained.state, 'yellow')}")
    out.text(head)
    matched = explained.state != "not matched"
    for unmet in explained.unmet:
        now = "would not match now: " if matched else ""
        out.text(f"    {now}{unmet.condition.value.replace('_', ' ')}: {unmet.why}")
    if explained.status:
        out.text(f"    now {explained.status}")
    if matched:
        out.text(f"    delivery {explained.delivery_id}")
    if explained.history is not None:
        show_history_entries(out, explained.history, "    ")
    if explained.waits is not None:
        out.text(f"    {_aside(explained.waits, why=explained.waits.why)}")
    if explained.note:
        out.text(f"    {explained.note}")
    for change in explained.changes:
        by = f" by {change.changed_by}" if change.changed_by else ""
        out.text(f"    changed {change.at}: {change.change}, revision {change.revision}{by}")
