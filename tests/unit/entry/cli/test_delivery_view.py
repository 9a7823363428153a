"""A delivery reads as two lines in a list, and as facts with names where it is shown."""

from dataclasses import replace
from io import StringIO

from tests.doubles.lives import FIRST
from tests.unit.core.audit.test_run_states import DELIVERY, EXHAUSTED, WAITS, states_of
from tests.unit.entry.admin.test_delivery_remedies import LIVE

from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.model.delivery import DeferReason
from hookstream.entry.admin.deliveries import DeliveryDetails
from hookstream.entry.admin.delivery_life import life_of
from hookstream.entry.cli.delivery_view import (
    details_document,
    pending_facts,
    show_details,
    state_document,
    state_lines,
)
from hookstream.entry.cli.terminal import Terminal


def no_job(_: str) -> None:
    """Return no job: there is none."""


def test_a_pending_delivery_says_why_until_when_and_where() -> None:
    [state] = states_of(replace(WAITS, delivery=replace(DELIVERY, job="resend-1")))
    first, second = state_lines(state)
    assert first.plain == "1970-01-01 00:00:01Z  pending (retry)  msg_a  crm"
    assert second.plain == (
        "    pricing.completed e-1; 1 attempt, the last failed 503; run resend-1;"
        " due 1970-01-01 00:00:06Z; at retry.5s-2@17"
    )


def test_an_ended_delivery_says_how() -> None:
    [state] = states_of(FIRST, EXHAUSTED)
    first, second = state_lines(state)
    assert first.plain == "1970-01-01 00:00:06Z  dead-lettered (attempts_exhausted)  msg_a  crm"
    assert second.plain == "    pricing.completed e-1; 2 attempts, the last failed 503"


def test_what_is_not_known_is_null_in_json() -> None:
    [state] = states_of(FIRST, EXHAUSTED)
    document = state_document(state)
    nothing = {name for name, value in document.items() if value is None}
    assert nothing == {"detail", "due_at", "job_id", "place"}


def test_a_slot_may_be_taken_early_and_a_retry_may_not() -> None:
    full = replace(
        DELIVERY, deferred_reason=DeferReason.LANE_FULL, deferred_since=2_000, attempt=0
    )
    facts = dict(pending_facts(replace(WAITS, delivery=full), 3_000))
    assert facts["why"] == "lane_full, since 1970-01-01 00:00:02Z"
    assert facts["due"] == "1970-01-01 00:00:06Z, or as soon as its lane has room"
    assert dict(pending_facts(WAITS, 3_000))["due"] == "1970-01-01 00:00:06Z"
    assert dict(pending_facts(WAITS, 7_000))["due"] == "now, since 1970-01-01 00:00:06Z"


def test_a_delivery_without_an_attempt_is_shown_by_its_tier_record() -> None:
    first = replace(WAITS, delivery=replace(DELIVERY, attempt=0, last_outcome=None))
    details = DeliveryDetails("msg_a", DeliveryHistory("msg_a", (), ()), (first,), (), ())
    life = life_of(details.history, (), (first,), no_job, LIVE, None, "subscriptions")
    out = StringIO()
    show_details(Terminal(file=out, width=80), details, LIVE, life, ["nothing"], 3_000)
    assert out.getvalue().splitlines() == [
        "Delivery msg_a: pending",
        "  event pricing.completed e-1",
        "  for   crm of acme",
        "  from  t-3@40 of 1970-01-01 00:00:00Z",
        "Next",
        "  attempt 1 at 1970-01-01 00:00:06Z (retry)",
        "Waits",
        "  why     retry",
        "  due     1970-01-01 00:00:06Z",
        "  next    attempt 1, retry",
        "  last    503",
        "  expires 1970-01-01 00:01:39Z",
        "  in      retry.5s-2@17, written 1970-01-01 00:00:01Z",
        "Timeline",
        "  1970-01-01 00:00:00Z  event published at t-3@40",
        "  1970-01-01 00:00:00Z  matched",
        "  1970-01-01 00:00:01Z  waits in retry.5s until 1970-01-01 00:00:06Z (retry)",
        "Subscription",
        "  crm: active",
        "What can be done",
        "  nothing",
    ]
    document = details_document(details, LIVE, life, [])
    assert document["subscription"] == {"state": "active", "since": "1970-01-01T00:00:00.000Z"}
