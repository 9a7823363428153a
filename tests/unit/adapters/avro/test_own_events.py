"""hookstream's own records read back, and a repeated write of one is recognised."""

from dataclasses import replace

from tests.doubles.audit import audit_fields

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.avro.published import earlier_own_schemas, own_schemas, published
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.access.uses import ApiUse
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.catalog.compatibility import incompatibilities, vanished
from hookstream.core.catalog.lint import breaches
from hookstream.core.failures.groups import Actor, FailureGroup, GroupState
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.operations import OPERATIONS_EVENTS, OWN_PREFIXES
from hookstream.core.model.outcome import (
    Complete,
    DeadReason,
    Delivered,
    Failed,
    FailureKind,
    RetryAt,
)
from hookstream.core.model.record import Origin, OutgoingRecord, Record, TopicPartition
from hookstream.core.model.subscription import Disabled, Endpoint, Failing, Subscription
from hookstream.core.model.topics import Topics

NOW = 1_764_000_000_000
DELIVERY = Delivery(
    "msg_abc",
    "crm",
    "brightside",
    "pricing.completed",
    "e1",
    Origin("printprice.pricing.completed", 3, 41, NOW),
    NOW,
    NOW + 1,
    attempt=1,
    trigger=Trigger.RETRY,
)
SUBSCRIPTION = Subscription(
    "crm", "brightside", Endpoint("https://crm.test", ()), ("pricing.*",), 0, revision=4
)


def own_records() -> AvroOwnRecords:
    return AvroOwnRecords(
        Topics("hs"),
        "worker-1",
        lambda disabled: (f"{disabled.subscription_id}/disabled", b"{}"),
        lambda failing: (f"{failing.subscription_id}/failing", b"{}"),
    )


def audit(outcome: Delivered | Failed, disposition: Complete | RetryAt) -> AttemptRecord:
    return AttemptRecord(
        delivery=DELIVERY,
        event_version=1,
        entity_id="job-1",
        environment="production",
        attempt=1,
        outcome=outcome,
        disposition=disposition,
        started_at=NOW,
        duration_us=12_345,
        request_bytes=900,
        host="crm.test",
    )


def read(value: bytes | None) -> object:
    record = Record("hs.attempts", 0, 0, NOW, None, value, ())
    book = SchemaBook(earlier_own_schemas())
    for tree in own_schemas():
        book.publish(tree, 2)
    codec = AvroCodec(book)
    found = codec.identify(record)
    assert isinstance(found, Identified)
    return codec.fields(found, record)


def event_of(record: OutgoingRecord) -> Event:
    """The operations event as a worker would take it."""
    codec = AvroCodec(SchemaBook(own_schemas()))
    read_back = Record(record.topic, 0, 0, NOW, record.key, record.value, ())
    found = codec.identify(read_back)
    assert isinstance(found, Identified)
    event = codec.decode(found, read_back)
    assert isinstance(event, Event)
    return event


def test_an_audit_record_reads_back_whole() -> None:
    record = audit(Delivered(200), Complete())
    assert read(own_records().attempt(record)) == audit_fields(record, worker="worker-1")


def test_an_audit_record_names_the_job_whose_run_it_belongs_to() -> None:
    record = audit(Delivered(200), Complete())
    record.delivery = replace(DELIVERY, job="replay-7")
    written = own_records().attempt(record)
    assert read(written) == audit_fields(record, worker="worker-1")
    entry = AuditReader(SchemaBook()).read(written)
    assert isinstance(entry, AuditEntry)
    assert entry.job_id == "replay-7"


def test_an_audit_record_of_a_first_life_is_the_one_that_a_release_without_runs_reads() -> None:
    [before] = earlier_own_schemas()
    written = own_records().attempt(audit(Delivered(200), Complete()))
    assert written.startswith(published(before, 1).prefix)
    entry = AuditReader(SchemaBook()).read(written)
    assert isinstance(entry, AuditEntry)
    assert entry.job_id is None


def test_the_revisions_of_our_own_schemas_follow_each_other_compatibly() -> None:
    for before in earlier_own_schemas():
        [now] = [tree for tree in own_schemas() if tree["eventType"] == before["eventType"]]
        assert incompatibilities(before, now) == incompatibilities(now, before) == []
        assert vanished(before, now) == []


def test_dead_letters_of_two_runs_are_two_operations_events() -> None:
    ids = {
        event_of(
            own_records().dead_lettered(replace(DELIVERY, job=job), DeadReason.EXPIRED, NOW)
        ).event_id
        for job in (None, "replay-1", "replay-2", "replay-2")
    }
    assert len(ids) == 3


def test_an_audit_record_of_a_failure_reads_back_whole() -> None:
    record = audit(Failed(FailureKind.TIMEOUT, "no answer in 15 s"), RetryAt(NOW + 5_000))
    assert read(own_records().attempt(record)) == audit_fields(record, worker="worker-1")


def test_a_disabled_endpoint_is_an_event_that_can_be_delivered() -> None:
    record = own_records().endpoint_disabled(
        Disabled("crm", NOW, "gone", "410"), "brightside", NOW
    )
    event = event_of(record)
    assert (record.topic, record.key) == ("hs.operations", b"crm")
    assert (event.event_type, event.event_id, event.occurred_at, event.fields["data"]) == (
        "endpoint.disabled",
        f"crm/{NOW}",
        NOW * 1_000,
        {
            "subscription_id": "crm",
            "partner_id": "brightside",
            "reason": "gone",
            "evidence": "410",
            "since": NOW,
        },
    )


def test_a_recovered_endpoint_is_an_event() -> None:
    event = event_of(own_records().endpoint_recovered(DELIVERY, NOW - 60_000, NOW))
    assert (event.event_type, event.event_id, event.fields["data"]) == (
        "endpoint.recovered",
        f"crm/{NOW - 60_000}",
        {"subscription_id": "crm", "partner_id": "brightside", "failing_since": NOW - 60_000},
    )


def test_a_dead_letter_is_an_event_the_same_however_often_it_is_written() -> None:
    dead = replace(DELIVERY, attempt=9, last_status=503)
    events = [
        event_of(own_records().dead_lettered(dead, DeadReason.ATTEMPTS_EXHAUSTED, at))
        for at in (NOW, NOW + 5_000)
    ]
    assert {event.event_id for event in events} == {"msg_abc/9/attempts_exhausted"}
    assert events[0].fields["data"] == {
        "delivery_id": "msg_abc",
        "subscription_id": "crm",
        "partner_id": "brightside",
        "event_type": "pricing.completed",
        "event_id": "e1",
        "reason": "attempts_exhausted",
        "attempts": 9,
        "last_status": 503,
        "first_at": NOW,
    }


def test_a_dead_letter_names_no_event_that_its_partner_may_not_see() -> None:
    event = event_of(own_records().dead_lettered(DELIVERY, DeadReason.NOT_GRANTED, NOW))
    data = event.fields["data"]
    assert isinstance(data, dict)
    assert data["event_id"] is None


def test_a_gap_in_the_log_is_an_event() -> None:
    event = event_of(own_records().log_gap(TopicPartition("printprice.a", 2), 10, 50, NOW))
    assert (event.event_type, event.event_id, event.entity_id, event.fields["data"]) == (
        "log.gap",
        "printprice.a/2/10-50",
        "printprice.a/2",
        {
            "topic": "printprice.a",
            "partition": 2,
            "first_offset": 10,
            "next_offset": 50,
            "records": 40,
        },
    )


def test_an_id_that_two_events_carry_is_an_event_that_names_both_places() -> None:
    first, second = Origin("printprice.a", 2, 10, NOW), Origin("printprice.a", 0, 7, NOW)
    event = event_of(own_records().event_id_conflict("order.placed", "o-1", first, second, NOW))
    assert (event.event_type, event.event_id, event.entity_id, event.fields["data"]) == (
        "log.event_id_conflict",
        "printprice.a/2/10|printprice.a/0/7",
        "printprice.a/0/7",
        {
            "event_type": "order.placed",
            "event_id": "o-1",
            "first_topic": "printprice.a",
            "first_partition": 2,
            "first_offset": 10,
            "second_topic": "printprice.a",
            "second_partition": 0,
            "second_offset": 7,
        },
    )


def test_a_changed_subscription_is_an_event() -> None:
    event = event_of(
        own_records().subscription_changed(
            SUBSCRIPTION,
            "paused",
            at=NOW,
            effective_from=NOW + 2_000,
            changed_by="kim@desk",
            details=["state: active -> paused"],
        )
    )
    assert (event.event_type, event.event_id, event.fields["data"]) == (
        "subscription.changed",
        "crm/4/paused",
        {
            "subscription_id": "crm",
            "partner_id": "brightside",
            "change": "paused",
            "revision": 4,
            "changed_by": "kim@desk",
            "effective_from": NOW + 2_000,
            "details": ["state: active -> paused"],
        },
    )


def test_a_hold_is_an_event_with_its_author_and_reason() -> None:
    hold = Hold(HoldKind.PARTNER, "acme", NOW - 5, "their proxy loops", "kim@desk")
    record = own_records().hold_changed(
        hold, "cleared", at=NOW, changed_by="lee@desk", reason="mended"
    )
    event = event_of(record)
    assert (event.event_type, event.event_id, event.fields["data"]) == (
        "hold.changed",
        f"partner/acme/{NOW}/cleared",
        {
            "kind": "partner",
            "name": "acme",
            "change": "cleared",
            "reason": "mended",
            "changed_by": "lee@desk",
            "since": NOW - 5,
        },
    )


def test_a_failure_group_is_an_event_for_its_partner_without_words_of_operators() -> None:
    group = FailureGroup(
        "fg-1",
        "acme",
        "crm",
        "failed",
        503,
        "answered <n>",
        GroupState.ACKNOWLEDGED,
        opened=NOW - 9,
        changed=NOW,
        first_seen=NOW - 20,
        last_seen=NOW - 1,
        actor=Actor.OPERATOR,
        by="token tok-9",
        note="their proxy loops",
        revision=2,
    )
    event = event_of(own_records().failures_changed(group))
    expected = {
        "group_id": "fg-1",
        "subscription_id": "crm",
        "partner_id": "acme",
        "change": "acknowledged",
        "revision": 2,
        "outcome": "failed",
        "status": 503,
        "error": "answered <n>",
        "actor": "operator",
        "changed_by": "",
        "note": "",
        "first_seen": NOW - 20,
        "last_seen": NOW - 1,
    }
    assert (event.event_id, event.entity_id, event.fields["data"]) == (
        f"fg-1/{NOW - 9}/2",
        "crm",
        expected,
    )
    by_partner = replace(group, actor=Actor.PARTNER, state=GroupState.RESOLVED)
    event = event_of(own_records().failures_changed(by_partner))
    assert event.fields["data"] == {
        **expected,
        "change": "resolved",
        "actor": "partner",
        "changed_by": "token tok-9",
        "note": "their proxy loops",
    }


def test_a_skipped_record_is_an_event() -> None:
    where = TopicPartition("printprice.a", 2)
    record = own_records().partition_skipped(where, 10, NOW, reason="INC-7", changed_by="ada@desk")
    event = event_of(record)
    assert (event.event_type, event.event_id, event.entity_id, event.fields["data"]) == (
        "partition.skipped",
        f"printprice.a/2/10/{NOW}",
        "printprice.a/2",
        {
            "topic": "printprice.a",
            "partition": 2,
            "offset": 10,
            "reason": "INC-7",
            "changed_by": "ada@desk",
        },
    )


def test_the_health_row_is_what_its_owner_makes_of_it() -> None:
    assert [
        own_records().disabled(Disabled("crm", NOW, "gone")),
        own_records().failing(Failing("crm", NOW)),
        own_records().healthy("crm"),
    ] == [
        OutgoingRecord("hs.health", b"crm/disabled", b"{}"),
        OutgoingRecord("hs.health", b"crm/failing", b"{}"),
        OutgoingRecord("hs.health", b"crm/failing", None),
    ]


def test_our_operations_events_keep_the_house_rules() -> None:
    """They are delivered to partners like any event, except the audit record."""
    found = {
        str(tree["eventType"]): breaches(tree)
        for tree in own_schemas()
        if tree["eventType"] != "hookstream.attempt"
    }
    assert set(found) == OPERATIONS_EVENTS
    assert found == {
        "delivery.dead_lettered": [],
        "endpoint.disabled": [],
        "endpoint.recovered": [],
        "hold.changed": [],
        "hookstream.access": [],
        "log.event_id_conflict": [],
        "log.gap": [],
        "partition.skipped": [],
        "subscription.changed": [],
        "subscription.failures_changed": [],
    }


def test_a_use_of_the_api_is_an_event_for_operators_alone() -> None:
    use = ApiUse("payload.read", "tok-1", "msg_1", "acme", 3, NOW, NOW + 5)
    event = event_of(own_records().accessed(use, "console-1", NOW + 60_000))
    body = AvroCodec(SchemaBook(own_schemas())).document(event, 1)
    assert isinstance(body, dict)
    data = body["data"]
    assert isinstance(data, dict)
    assert (event.event_type, data["count"], data["concerns"]) == ("hookstream.access", 3, "acme")
    assert "partner_id" not in data


def test_own_events_have_prefixes_that_workers_of_the_release_before_keep_from_every_star() -> (
    None
):
    known = {
        "delivery.",
        "endpoint.",
        "hold.",
        "hookstream.",
        "log.",
        "partition.",
        "subscription.",
    }
    assert {*OWN_PREFIXES} <= known
