"""The state of a run follows from its tier record, its attempts and its dead letters, whatever their order."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.lives import FIRST

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.audit.run_states import (
    DeadRecord,
    PendingRecord,
    RunId,
    RunState,
    RunStates,
    waiting,
)
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger

RUN = RunId("msg_a", "t-3@40", None)
DELIVERY = Delivery(
    delivery_id="msg_a",
    subscription_id="crm",
    partner_id="acme",
    event_type="pricing.completed",
    event_id="e-1",
    origin=FIRST.origin,
    first_at=995,
    expires_at=99_000,
    attempt=1,
    trigger=Trigger.RETRY,
    due_at=6_000,
    last_outcome="failed",
    last_status=503,
)
WAITS = PendingRecord(DELIVERY, "retry.5s", 2, 17, 1_010)
DELIVERED = replace(
    FIRST, attempt=2, started_at=6_000, outcome="delivered", disposition="complete", reason=None
)
EXHAUSTED = replace(
    FIRST, attempt=2, started_at=6_000, disposition="dead_letter", reason="attempts_exhausted"
)
DEAD = DeadRecord(
    run=RUN,
    subscription_id="crm",
    partner_id="acme",
    event_type="pricing.completed",
    event_id="e-1",
    place="3@7",
    at=6_020,
    reason="attempts_exhausted",
    detail="attempt 2 was the last",
    attempt=2,
    last="failed 503",
)
REDRIVEN = replace(DEAD, redriven_by="redrive-1")
AGAIN = replace(
    WAITS, delivery=replace(DELIVERY, attempt=2, trigger=Trigger.REDRIVE, due_at=None), at=9_000
)

Known = PendingRecord | AuditEntry | DeadRecord


def states_of(*records: Known, most: int = 10) -> list[RunState]:
    states = RunStates(most)
    for record in records:
        match record:
            case PendingRecord():
                states.pending(record)
            case AuditEntry():
                states.entry(record)
            case DeadRecord():
                states.dead(record)
    return states.selected(lambda _: True).newest(most)


def outcome(*records: Known) -> tuple[DeliveryState, str, str]:
    """Return the one state that every order of these records gives."""
    found = {tuple(states_of(*order)) for order in permutations(records)}
    [[state]] = found
    return state.state, state.reason, state.place


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ((WAITS,), (DeliveryState.PENDING, "retry", "retry.5s-2@17")),
        ((FIRST, WAITS), (DeliveryState.PENDING, "retry", "retry.5s-2@17")),
        ((FIRST,), (DeliveryState.PENDING, "status", "")),
        ((FIRST, DELIVERED), (DeliveryState.COMPLETED, "", "")),
        ((FIRST, EXHAUSTED), (DeliveryState.DEAD_LETTERED, "attempts_exhausted", "")),
        ((EXHAUSTED, DEAD), (DeliveryState.DEAD_LETTERED, "attempts_exhausted", "3@7")),
        ((DEAD,), (DeliveryState.DEAD_LETTERED, "attempts_exhausted", "3@7")),
        ((EXHAUSTED, REDRIVEN), (DeliveryState.PENDING, "redrive", "")),
        ((EXHAUSTED, REDRIVEN, AGAIN), (DeliveryState.PENDING, "redrive", "retry.5s-2@17")),
    ],
)
def test_the_state_of_a_run_is_what_its_records_say(
    records: tuple[Known, ...], expected: tuple[DeliveryState, str, str]
) -> None:
    assert outcome(*records) == expected


def test_a_tier_record_whose_attempt_was_made_is_only_not_committed_yet() -> None:
    assert outcome(FIRST, WAITS, DELIVERED) == (DeliveryState.COMPLETED, "", "")
    assert outcome(WAITS, EXHAUSTED, DEAD)[0] is DeliveryState.DEAD_LETTERED


def test_an_end_without_an_attempt_ends_the_tier_record_before_it_and_not_the_one_after() -> None:
    """Both have the same number of attempts: a redrive goes on counting."""
    expired = replace(
        FIRST, outcome=None, disposition="dead_letter", reason="expired", started_at=6_000
    )
    assert outcome(WAITS, expired)[:2] == (DeliveryState.DEAD_LETTERED, "expired")
    later = replace(WAITS, at=9_000, delivery=replace(DELIVERY, trigger=Trigger.REDRIVE))
    assert outcome(later, expired)[:2] == (DeliveryState.PENDING, "redrive")


def test_completed_stays_completed_though_a_copy_of_the_delivery_failed_after_it() -> None:
    failed = replace(EXHAUSTED, started_at=7_000)
    assert outcome(DELIVERED, failed, replace(DEAD, at=7_010))[0] is DeliveryState.COMPLETED


def test_each_run_of_a_delivery_has_its_own_state() -> None:
    resent = replace(
        WAITS, delivery=replace(DELIVERY, job="resend-1", attempt=0, trigger=Trigger.REPLAY)
    )
    found = states_of(DELIVERED, resent)
    assert {(each.run.job, each.state) for each in found} == {
        (None, DeliveryState.COMPLETED),
        ("resend-1", DeliveryState.PENDING),
    }


def test_a_purged_dead_letter_is_dead_lettered_and_says_by_whom() -> None:
    [state] = states_of(replace(DEAD, purged="purged by ada (job purge-1): sent by mail"))
    assert (state.state, state.detail) == (
        DeliveryState.DEAD_LETTERED,
        "purged by ada (job purge-1): sent by mail",
    )


def test_a_deferral_says_why_it_waits_and_a_hop_says_what_it_is_a_hop_of() -> None:
    reasons = [
        replace(WAITS, delivery=replace(DELIVERY, deferred_reason=reason)).reason
        for reason in (DeferReason.PAUSED, DeferReason.NOT_DUE, None)
    ]
    assert reasons == ["paused", "retry", "retry"]


def test_a_run_waits_in_one_place_though_the_tier_before_is_not_committed_yet() -> None:
    moved = replace(WAITS, topic="retry.1h", offset=3, at=1_500)
    other = replace(
        WAITS, delivery=replace(DELIVERY, job="resend-1", attempt=0, due_at=None), at=1_200
    )
    for records in permutations((WAITS, moved, other)):
        assert waiting(records, (FIRST,)) == [other, moved]
    assert waiting((WAITS, other), (FIRST, DELIVERED)) == [other]


@given(st.permutations(range(40)))
def test_only_the_newest_are_kept_and_the_rest_is_counted(order: list[int]) -> None:
    states = RunStates(10)
    for number in order:
        run = replace(DELIVERY, delivery_id=f"msg_{number}")
        states.pending(replace(WAITS, delivery=run, at=number))
    kept = states.selected(lambda _: True)
    assert [state.at for state in kept.newest(10)] == list(range(30, 40))
    assert len(kept.states) + states.dropped == 40
    assert len(kept.states) <= 20


def test_groups_are_counted_with_their_times_and_the_next_due_one() -> None:
    later = replace(WAITS, delivery=replace(DELIVERY, delivery_id="msg_b", due_at=5_000), at=2_000)
    states = RunStates(10)
    for record in (WAITS, later):
        states.pending(record)
    [(group, count)] = states.selected(lambda _: True).largest_first()
    assert (group.subscription_id, group.state, group.reason) == (
        "crm",
        DeliveryState.PENDING,
        "retry",
    )
    assert (count.runs, count.oldest, count.newest, count.next_due_at) == (2, 1_010, 2_000, 5_000)
