"""Candidates are selected by bytes, and matches by fields."""

from dataclasses import replace

import pytest
from tests.doubles.lives import FIRST

from hookstream.core.model.record import Record
from hookstream.entry.admin.audit import AuditSelection, newest


def record(key: bytes | None, value: bytes | None) -> Record:
    return Record("attempts", 0, 0, 0, key, value, ())


@pytest.mark.parametrize(
    ("wanted", "selected"),
    [
        (AuditSelection(), True),
        (AuditSelection(delivery="msg_a", event="e-1"), True),
        (AuditSelection(delivery="msg_b"), False),
        (AuditSelection(delivery="msgb_a"), True),
        (AuditSelection(delivery="msgb_b"), False),
        (AuditSelection(subscriptions=frozenset({"crm", "shop"})), True),
        (AuditSelection(partners=frozenset({"other"})), False),
        (AuditSelection(event_types=frozenset({"order.generated"})), False),
        (AuditSelection(outcomes=frozenset({"failed"}), dispositions=frozenset({"retry"})), True),
        (AuditSelection(outcomes=frozenset({"none"})), False),
    ],
)
def test_an_entry_is_selected_if_it_meets_every_condition(
    wanted: AuditSelection, selected: object
) -> None:
    assert wanted.selects(replace(FIRST, batch_id="msgb_a")) is selected


def test_an_end_without_an_attempt_has_the_outcome_none() -> None:
    ended = replace(FIRST, outcome=None)
    assert AuditSelection(outcomes=frozenset({"none"})).selects(ended)


def test_few_records_have_to_be_decoded() -> None:
    """A look-up of one delivery reads a week of attempts: only bytes that contain its id matter."""
    wanted = AuditSelection(subscriptions=frozenset({"crm"}), delivery="msg_a")
    records = [
        record(b"crm", b"..msg_a.."),
        record(b"crm", b"..msg_b.."),
        record(b"shop", b"..msg_a.."),
        record(b"crm", None),
        record(None, b"..msg_a.."),
    ]
    assert [*map(wanted.sieve(), records)] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("wanted", "candidates"),
    [
        (AuditSelection(), "delivered none retried"),
        (AuditSelection(partners=frozenset({"acme", "zeta"})), "delivered none retried"),
        (AuditSelection(partners=frozenset({"zeta"})), ""),
        (AuditSelection(event_types=frozenset({"order.shipped"})), ""),
        (AuditSelection(outcomes=frozenset({"failed"})), "retried"),
        (AuditSelection(outcomes=frozenset({"failed", "delivered"})), "delivered retried"),
        (AuditSelection(outcomes=frozenset({"failed", "none"})), "delivered none retried"),
        (AuditSelection(dispositions=frozenset({"retry"})), "retried"),
        (AuditSelection(delivery="\udcff"), ""),
    ],
)
def test_each_condition_leaves_out_what_lacks_its_words(
    wanted: AuditSelection, candidates: str
) -> None:
    """An entry without an outcome lacks a word that says so: none can be left out for it."""
    records = {
        "delivered": b"acme order.paid delivered complete",
        "none": b"acme order.paid cancel",
        "retried": b"acme order.paid failed retry",
    }
    may_select = wanted.sieve()
    found = [name for name, value in records.items() if may_select(record(b"crm", value))]
    assert found == candidates.split()


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (0, []),
        (2, ["late", "latest"]),
        (3, ["same", "late", "latest"]),
        (9, ["early", "same", "late", "latest"]),
    ],
)
def test_the_newest_entries_are_kept_of_equal_ones_the_last_and_all_are_counted(
    limit: int, kept: list[str]
) -> None:
    moments = {"latest": 9, "early": 1, "late": 8, "same": 1}
    entries = [replace(FIRST, started_at=at, event_id=name) for name, at in moments.items()]
    found, total = newest(iter(entries), limit)
    assert ([entry.event_id for entry in found], total) == (kept, 4)
