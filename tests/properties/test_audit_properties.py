"""An audit record's bytes are exactly those that the general Avro writer makes of its fields."""

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.audit import ATTEMPT, ATTEMPT_OF_RUN, audit_fields
from tests.strategies import IDS, INSTANTS, NAMES

from hookstream.core.audit.binary import attempt_body
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.outcome import (
    Cancel,
    Complete,
    DeadLetter,
    DeadReason,
    DeferUntil,
    Delivered,
    Failed,
    FailedForGood,
    FailureKind,
    Gone,
    RefusalReason,
    Refused,
    RetryAt,
    Throttled,
)
from hookstream.core.model.record import Origin

STATUSES = st.integers(100, 599)
NUMBERS = st.integers(0, 2**31 - 1)
LONG_TEXTS = NAMES | st.integers(0, 3000).map(lambda size: "é" * size)

outcomes = st.none() | st.one_of(
    st.builds(Delivered, STATUSES),
    st.builds(Gone, STATUSES),
    st.builds(Throttled, STATUSES, st.none() | NUMBERS),
    st.builds(FailedForGood, STATUSES),
    st.builds(Failed, st.sampled_from(FailureKind), LONG_TEXTS, st.none() | STATUSES),
    st.builds(Refused, st.sampled_from(RefusalReason), LONG_TEXTS),
)

dispositions = st.one_of(
    st.just(Complete()),
    st.builds(RetryAt, INSTANTS),
    st.builds(DeferUntil, INSTANTS, st.sampled_from(DeferReason)),
    st.builds(DeadLetter, st.sampled_from(DeadReason), LONG_TEXTS),
    st.builds(Cancel, LONG_TEXTS),
)

deliveries = st.builds(
    Delivery,
    IDS,
    IDS,
    IDS,
    IDS,
    NAMES,
    st.builds(Origin, IDS, NUMBERS, st.integers(0, 2**62), INSTANTS),
    INSTANTS,
    INSTANTS,
    trigger=st.sampled_from(Trigger),
    job=st.none() | IDS,
)

attempts = st.builds(
    AttemptRecord,
    delivery=deliveries,
    event_version=NUMBERS,
    entity_id=NAMES,
    environment=NAMES,
    attempt=NUMBERS,
    outcome=outcomes,
    disposition=dispositions,
    started_at=INSTANTS,
    duration_us=st.integers(0, 2**62),
    request_bytes=NUMBERS,
    host=NAMES,
    trace_id=st.none() | NAMES,
    response_excerpt=st.none() | LONG_TEXTS,
    note=st.none() | NAMES.filter(bool),
)


@given(attempts, NAMES)
def test_an_audit_record_is_written_as_the_general_writer_writes_it(
    record: AttemptRecord, worker: str
) -> None:
    schema = ATTEMPT if record.delivery.job is None else ATTEMPT_OF_RUN
    general = schema.encode(audit_fields(record, worker=worker))

    assert schema.prefix + attempt_body(record, worker=worker) == general
