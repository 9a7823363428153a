"""A delivery's state survives headers without loss, whatever upstream or an endpoint wrote."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model import header_names as names
from hookstream.core.model.delivery import DeferReason, Delivery, OnlyFor, Trigger, UnmatchedEvent
from hookstream.core.model.delivery_headers import (
    dead_letter_headers,
    is_for_subscription,
    read_delivery,
    read_unmatched,
    tier_headers,
)
from hookstream.core.model.event import UndecodableReason
from hookstream.core.model.header_reading import MAX_CARRIED_BYTES, MAX_COUNT, HeaderProblem
from hookstream.core.model.instant import DAY
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Header, Origin
from hookstream.core.redrive.revive import redriven

instants = st.integers(0, 4_000_000_000_000)
numbers = st.integers(0, MAX_COUNT)
characters = st.characters(categories=["L", "N", "P", "S"], include_characters=" ")
printable = st.text(characters, max_size=6)
words = st.text(characters, min_size=1, max_size=6)
anything = st.builds(str.__mul__, st.text(max_size=6), st.sampled_from([1, 300]))

jobs = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
origins = st.builds(Origin, words, st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1), instants)
no_tests = st.sampled_from([trigger for trigger in Trigger if trigger is not Trigger.TEST])
"""A test is a delivery of a job, or unreadable."""
deliveries = st.builds(
    Delivery,
    words,
    words,
    words,
    words,
    words,
    origins,
    first_at=instants,
    expires_at=instants,
    attempt=numbers,
    step=numbers,
    trigger=no_tests,
    due_at=st.none() | instants,
    deferrals=numbers,
    deferred_reason=st.none() | st.sampled_from(DeferReason),
    deferred_since=st.none() | instants,
    last_outcome=st.none() | words,
    last_status=st.none() | st.integers(100, 599),
    last_error=st.none() | printable,
    traceparent=st.none() | printable,
    tracestate=st.none() | printable,
    filter_asked=st.booleans(),
)
of_jobs = st.builds(
    replace,
    deliveries,
    trigger=st.sampled_from(Trigger),
    job=jobs,
    as_granted_today=st.booleans(),
)
deliveries |= of_jobs
unmatched = st.builds(
    UnmatchedEvent,
    origins,
    first_at=instants,
    due_at=st.none() | instants,
    deferrals=numbers,
    deferred_reason=st.none() | st.sampled_from(DeferReason),
    deferred_since=st.none() | instants,
    trigger=no_tests,
    traceparent=st.none() | printable,
    tracestate=st.none() | printable,
    undecodable_as=st.none() | st.sampled_from(UndecodableReason).map(str),
    only=st.none() | st.builds(OnlyFor, words, words, jobs, st.booleans()),
)
header_names = st.sampled_from(
    [
        names.ATTEMPT,
        names.SUBSCRIPTION_ID,
        names.ONLY_SUBSCRIPTION,
        names.JOB,
        names.TRACEPARENT,
        names.CONNECT_TOPIC,
        "__value_schema_id",
        "source",
        "HS-Step",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
few = st.lists(
    st.tuples(header_names, st.none() | st.binary(max_size=4) | st.just(b"x" * 9000)), max_size=5
)
upstream = st.builds(
    list.__add__, few, st.sampled_from([[], [(f"h{n}", b"x") for n in range(90)]])
)


@given(deliveries, upstream, instants)
def test_a_delivery_survives_a_tier(
    delivery: Delivery, headers: list[Header], written_at: int
) -> None:
    written = tier_headers(delivery, headers, written_at=written_at)

    assert is_for_subscription(written)
    assert read_delivery(written) == delivery


@given(unmatched, upstream, instants)
def test_an_event_without_a_subscription_survives_a_tier(
    event: UnmatchedEvent, headers: list[Header], written_at: int
) -> None:
    """Whatever upstream named its headers: it must not become part of a delivery's state."""
    written = tier_headers(event, headers, written_at=written_at)

    assert not is_for_subscription(written)
    assert read_unmatched(written) == event


@given(unmatched, upstream, st.data())
def test_an_event_for_one_subscription_is_never_read_as_one_for_all(
    event: UnmatchedEvent, headers: list[Header], data: st.DataObject
) -> None:
    """Whatever a tool drops or empties of its headers: it is refused, or it is still for that one."""
    written = tier_headers(event, headers, written_at=0)
    at = data.draw(st.integers(0, len(written) - 1))
    left: list[list[Header]] = [[], [(written[at][0], None)], [(written[at][0], b"")]]
    damaged = data.draw(st.sampled_from(left))
    drawn = [*written[:at], *damaged, *written[at + 1 :]]

    if not is_for_subscription(drawn):
        read = read_unmatched(drawn)
        assert isinstance(read, HeaderProblem) or (read.only is None) == (event.only is None)
    elif event.only is not None:
        assert isinstance(read_delivery(drawn), HeaderProblem)


@given(deliveries, upstream, st.sampled_from(DeadReason), anything, instants)
def test_a_dead_letter_is_redriven_as_the_same_delivery(
    delivery: Delivery, headers: list[Header], reason: DeadReason, detail: str, now: int
) -> None:
    dead = dead_letter_headers(delivery, headers, reason, detail, written_at=now)

    assert read_delivery(dead) == replace(delivery, due_at=None)
    assert redriven(dead, now=now) == replace(
        delivery,
        trigger=Trigger.REDRIVE,
        step=0,
        expires_at=now + 7 * DAY,
        due_at=None,
        deferrals=0,
        deferred_reason=None,
        deferred_since=None,
    )


@given(deliveries, upstream, anything, instants)
def test_headers_are_the_same_however_often_they_are_written(
    delivery: Delivery, headers: list[Header], error: str, now: int
) -> None:
    delivery.last_error = error
    once = tier_headers(delivery, headers, written_at=now)

    again = tier_headers(
        delivery,
        dead_letter_headers(delivery, once, DeadReason.GONE, error, written_at=now),
        written_at=now,
    )

    assert again == once


@given(deliveries, upstream, anything, instants)
def test_headers_are_bounded_unique_and_free_of_control_characters(
    delivery: Delivery, headers: list[Header], error: str, now: int
) -> None:
    delivery.last_error = error
    written = dead_letter_headers(delivery, headers, DeadReason.GONE, error, written_at=now)

    ours = [value for name, value in written if name.startswith(("hs-", "__connect.", "trace"))]
    assert len({name for name, _ in written}) == len(written)
    assert all(value is not None and value.decode().isprintable() for value in ours)
    carried = [header for header in written if header[1] not in ours]
    assert sum(len(value or b"") for _, value in carried) <= MAX_CARRIED_BYTES + 9000
