"""Candidates are selected by bytes, and matches by fields."""

from dataclasses import replace

import pytest
from tests.doubles.lives import FIRST

from hookstream.core.model.record import Record
from hookstream.entry.admin.audit import AuditSelection


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
    assert [wanted.may_select(each) for each in records] == [True, False, False, False, False]
