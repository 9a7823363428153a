"""An attempt reads as one sentence."""

from dataclasses import replace
from io import StringIO

import pytest
from click.testing import CliRunner
from tests.doubles.lives import DEATH, FIRST, LAST, REDRIVEN

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryHistory
from hookstream.entry.cli import root
from hookstream.entry.cli.attempts import attempt_words, history_document, show_history
from hookstream.entry.cli.terminal import Terminal

DELIVERED = replace(
    FIRST,
    outcome="delivered",
    status=204,
    error=None,
    disposition="complete",
    next_due_at=None,
    reason=None,
)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (FIRST, "#1 initial: failed 503 in 10us, retry at 1970-01-01 00:00:06Z"),
        (
            replace(FIRST, status=None, error="timeout: 15 s"),
            "#1 initial: failed (timeout: 15 s) in 10us, retry at 1970-01-01 00:00:06Z",
        ),
        (replace(LAST, reason="expired"), "#2 initial: failed 503 in 10us, dead letter (expired)"),
        (
            replace(FIRST, outcome=None, disposition="cancel", reason=None),
            "#1 initial: no attempt (cancel), cancel",
        ),
        (DELIVERED, "#1 initial: delivered 204 in 10us"),
        (
            replace(FIRST, batch_id="msgb_a"),
            "#1 initial: failed 503 in 10us (batch msgb_a), retry at 1970-01-01 00:00:06Z",
        ),
    ],
)
def test_an_attempt_reads_as_one_sentence(entry: AuditEntry, words: str) -> None:
    assert attempt_words(entry) == words


def test_a_history_is_shown_in_order_with_the_partners_answer() -> None:
    answered = replace(FIRST, response_excerpt="busy\n  try later")
    out = StringIO()
    console = Terminal(file=out, width=80)
    show_history(console, DeliveryHistory("msg_a", (answered, LAST), (REDRIVEN,)))
    assert out.getvalue().splitlines() == [
        "Delivery msg_a: pending",
        "  event pricing.completed e-1",
        "  about q-1 (production)",
        "  for   crm of acme, at crm.example",
        "  from  t-3@40 of 1970-01-01 00:00:00Z",
        "  1970-01-01 00:00:01Z  #1 initial: failed 503 in 10us, retry at 1970-01-01 00:00:06Z",
        "    answer: busy try later",
        "  1970-01-01 00:00:06Z  #2 initial: failed 503 in 10us, dead letter (status)",
        "  1970-01-01 00:00:06Z  dead letter 3@7 (attempts_exhausted: 2 attempts)",
        "  1970-01-01 00:00:09Z  redriven from 3@7 by job",
    ]


def test_the_runs_of_a_delivery_are_shown_one_after_the_other() -> None:
    replayed = replace(FIRST, job_id="replay-7", trigger="replay", started_at=20_000)
    history = DeliveryHistory("msg_a", (DELIVERED, replayed), ())
    out = StringIO()

    show_history(Terminal(file=out, width=100), history)

    assert out.getvalue().splitlines() == [
        "Delivery msg_a: pending, completed in an earlier run",
        "  event pricing.completed e-1",
        "  about q-1 (production)",
        "  for   crm of acme, at crm.example",
        "  from  t-3@40 of 1970-01-01 00:00:00Z",
        "  first life: completed",
        "  1970-01-01 00:00:01Z  #1 initial: delivered 204 in 10us",
        "  run of replay-7: pending",
        (
            "  1970-01-01 00:00:20Z  #1 replay of replay-7: failed 503 in 10us, retry at"
            " 1970-01-01 00:00:06Z"
        ),
    ]
    document = history_document(history)
    assert (document["state"], document["completed"]) == ("pending", True)
    assert document["runs"] == [
        {"job_id": None, "state": "completed"},
        {"job_id": "replay-7", "state": "pending"},
    ]


def test_a_history_in_json_names_the_kind_of_each_entry() -> None:
    document = history_document(DeliveryHistory("msg_a", (DELIVERED,), (DEATH,)))
    moments = document["moments"]
    assert isinstance(moments, list)
    kinds = [moment["kind"] for moment in moments if isinstance(moment, dict)]
    assert (document["state"], kinds) == ("completed", ["attempt", "dead_letter"])


def test_events_that_share_an_id_are_shown_one_after_the_other() -> None:
    other = replace(DELIVERED, origin=FIRST.origin._replace(offset=41))
    out = StringIO()
    show_history(
        Terminal(file=out, width=80),
        DeliveryHistory("msg_a", (LAST, other), (replace(DEATH, origin="t-3@40"),)),
    )
    lines = out.getvalue().splitlines()
    assert lines[:3] == [
        "Delivery msg_a: completed",
        "  2 events carry this id; receivers that deduplicate drop all but one",
        "Event at t-3@40: dead-lettered",
    ]
    assert "Event at t-3@41: completed" in lines


def test_a_batch_has_no_history_of_its_own() -> None:
    ended = CliRunner().invoke(root, ["attempts", "show", "msgb_a"])
    assert ended.exit_code == 2
    assert "hookstream attempts list --delivery msgb_a" in " ".join(ended.stderr.split())
