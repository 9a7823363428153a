"""`hookstream subscriptions test`: sends one test event, and shows its result."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.delivery.address import scrub
from hookstream.core.model.instant import to_the_second
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.runs import TEST_ENVIRONMENT
from hookstream.entry.admin.delivery_tests import (
    FilterReport,
    PreparedTest,
    SentTest,
)
from hookstream.entry.admin.event_lines import (
    MAX_LINE_BYTES,
    EventLine,
    in_words_of_a_line,
    read_line,
    refusal,
)
from hookstream.entry.backend.sending_ports import WantedTest
from hookstream.entry.cli.attempts import result_words
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import Amount, as_json_option
from hookstream.entry.cli.terminal import Terminal
from hookstream.errors import InputRefused

FAILED = 1
"""The exit code of a test that was not delivered, or of a dry run whose event does not match."""


@click.command("test")
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@click.option(
    "--event-type",
    metavar="TYPE",
    help="The type of the event; required if SUBSCRIPTION asks for several.",
)
@click.option(
    "--event",
    "file",
    type=click.File("rb"),
    metavar="FILE",
    help="The event, one JSON object as `events send` takes it (- for standard input; default: the"
    " sample of its type).",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Send nothing; only show whether the event matches, and if not, why.",
)
@click.option(
    "--wait",
    "seconds",
    type=Amount(1, 600),
    default=90.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the result.",
)
@as_json_option
@takes_api
def command(
    context: Context,
    subscription_id: str,
    event_type: str | None,
    file: BinaryIO | None,
    seconds: float,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send one test event to SUBSCRIPTION's endpoint, and show its answer.

    It takes the whole path of a delivery, once: no retry, no dead letter, no effect on the endpoint's health,
    breaker or rates. Its id begins with `test-`, and its environment is `test`, in the signed body too. It is
    sent whether or not the subscription's filter matches; the output says whether it does, and which clause
    does not. A paused subscription can be tested; a held or disabled one cannot. Exit code 0: the endpoint
    accepted it; 1: it did not, or no worker attempted it in time; 2: nothing was sent.
    """
    line, text = (None, "") if file is None else _event_in(file)
    wanted, tests = WantedTest(subscription_id, event_type, line, text), context.backend.tests
    with _in_words_of_a_line(line):
        if dry_run:
            prepared = tests.prepare(wanted, context.err.unreadable)
            _show_dry_run(context, prepared, as_json=as_json)
            return
        prepared, sent = tests.send(
            wanted,
            seconds,
            context.err.unreadable,
            lambda job: context.err.text(f"{job} is sent; waiting for its result", "dim"),
        )
    if as_json:
        click.echo(json_line(sent_document(prepared, sent)))
    else:
        show_test(context.out, prepared, sent)
    if sent.entry is None:
        context.err.text(
            f"No result was recorded within {seconds:g} s, and from"
            f" {to_the_second(sent.expires_at)} on no worker attempts it. Check that a worker runs:"
            " hookstream partition list --open",
            "red",
        )
    if not sent.is_delivered:
        raise click.exceptions.Exit(FAILED)


def _event_in(file: BinaryIO) -> tuple[EventLine, str]:
    """Return an event, and its text."""
    text = file.read(MAX_LINE_BYTES + 1).strip()
    try:
        return read_line(text), text.decode()
    except InputRefused as refused:
        raise InputRefused(f"--event: {refusal(refused)}") from None


@contextmanager
def _in_words_of_a_line(line: EventLine | None) -> Iterator[None]:
    """Refuse an event in the terms of the line that it came in."""
    try:
        yield
    except InputRefused as refused:
        if line is None:
            raise
        raise InputRefused(in_words_of_a_line(refusal(refused))) from None


def _show_dry_run(context: Context, prepared: PreparedTest, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_line(sent_document(prepared, None)))
    else:
        context.out.fields([*_subject(prepared), ("filter", filter_words(prepared.filter))])
        context.err.text("Nothing was sent")
    if not prepared.filter.matches:
        raise click.exceptions.Exit(FAILED)


def show_test(out: Terminal, prepared: PreparedTest, sent: SentTest) -> None:
    """Print a test and its result."""
    rows = [
        ("test", sent.job),
        ("delivery", prepared.delivery_id),
        *_subject(prepared),
        ("filter", filter_words(prepared.filter)),
    ]
    entry = sent.entry
    rows.append(("result", "not known" if entry is None else _result(entry)))
    if entry is not None and entry.response_excerpt:
        rows.append(("answer", " ".join(entry.response_excerpt.split())[:200]))
    out.fields(rows)


def _subject(prepared: PreparedTest) -> list[tuple[str, str]]:
    to = prepared.subscription
    return [
        ("to", f"{to.id} of {to.partner_id}, at {scrub(to.endpoint.url)}"),
        ("event", f"{prepared.event_type} {prepared.event_id} ({TEST_ENVIRONMENT})"),
    ]


def _result(entry: AuditEntry) -> str:
    said = result_words(entry)
    # The words have the reason of an end without an attempt, and the error of an attempt.
    return f"{said}: {entry.error}" if entry.outcome is None and entry.error else said


def filter_words(report: FilterReport) -> str:
    """Return as a sentence whether the event would match."""
    said = "matches" if report.matches else f"does not match: {report.why}"
    return f"{said} (with environment {report.environment}; a test is sent either way)"


def sent_document(prepared: PreparedTest, sent: SentTest | None) -> JsonObject:
    """Return a test as JSON; scripts rely on its keys.

    Args:
        prepared: The test.
        sent: Its result; None: it was not sent.
    """
    entry = None if sent is None else sent.entry
    return {
        "subscription_id": prepared.subscription.id,
        "event_type": prepared.event_type,
        "event_id": prepared.event_id,
        "delivery_id": prepared.delivery_id,
        "filter": {
            "matches": prepared.filter.matches,
            "why": prepared.filter.why or None,
            "environment": prepared.filter.environment,
        },
        "job_id": None if sent is None else sent.job,
        "delivered": sent is not None and sent.is_delivered,
        "attempt": None if entry is None else entry.as_json(),
    }
