"""What the world of the API's tests contains: partners, subscriptions, records of topics, and an index."""

import json
from base64 import b64encode
from copy import copy
from dataclasses import fields, replace
from functools import cache

from tests.doubles.clock import NOON
from tests.doubles.index import WINDOW, MemoryIndex
from tests.doubles.lives import DEATH, FIRST

from hookstream.adapters.index.answers import (
    AsideRecord,
    DeliveryAnswer,
    IndexedAttempt,
    IndexedDelivery,
    OperationsEvent,
)
from hookstream.adapters.keyring import KeyRing, read_ring
from hookstream.adapters.system import random_bytes
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryHistory, DeliveryState
from hookstream.core.audit.run_states import PendingRecord, RunId, RunState
from hookstream.core.failures.groups import Actor, Errors, FailureGroup, GroupState, group_id
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.instant import DAY
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    Partner,
    SigningSecret,
    Subscription,
)
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.marks import Position, Purged
from hookstream.core.redrive.summary import DeadLetterSummary
from hookstream.core.statistics.errors import Fingerprint

RING = json.dumps({"active": "k1", "keys": {"k1": b64encode(bytes(32)).decode()}}).encode()
KEYS: KeyRing = read_ring(RING, "test", random_bytes)
TYPE = "pricing.completed"
SAMPLE = {
    "type": TYPE,
    "version": 1,
    "id": "bdd70f9c-e8d5-5198-8cc5-4f8354e02739",
    "environment": "production",
    "entity_id": "job-000010",
    "data": {
        "quote_id": "91a60ca2-8e53-5351-a0fa-2eb73338052f",
        "document_id": "a7136694-07bb-5df0-ba54-36ed60782551",
        "product": "business_card",
        "customer_id": "cust-0173",
        "currency": "EUR",
        "breaks": [
            {
                "quantity": 250,
                "unit_price": "1.8330",
                "net_price": "506.25",
                "production_days": 3,
            }
        ],
        "setup_cost": "48.00",
        "margin_percent": "29.79",
        "tax_percent": "19.00",
        "express": False,
        "discount_code": None,
        "price_list": "2026-11/EU",
        "valid_until": "2026-12-08",
    },
}
"""An event of this type, as it is delivered."""
ACME = Partner("acme", "Acme", Grant((TYPE, "order.generated"), ("production",)), owner="api")
RIVAL = Partner("rival", "Rival", Grant(("*",), ("*",)))
SECRET = SigningSecret("generated", b"hush" * 8)


def subscription(name: str, partner_id: str = "acme", owner: str = "api") -> Subscription:
    return Subscription(
        id=name,
        partner_id=partner_id,
        endpoint=Endpoint("https://partner.example/hush-path", (SECRET,)),
        event_types=(TYPE,),
        active_from=NOON - DAY,
        owner=owner,
    )


def waiting_run(entry: AuditEntry) -> PendingRecord:
    """Return where a run of an attempt's delivery waits: its endpoint is held."""
    delivery = Delivery(
        entry.delivery_id,
        entry.subscription_id,
        entry.partner_id,
        entry.event_type,
        entry.event_id,
        entry.origin,
        first_at=NOON - DAY,
        expires_at=NOON + DAY,
        attempt=1,
        trigger=Trigger.RETRY,
        due_at=NOON,
        deferrals=2,
        deferred_reason=DeferReason.HELD,
        deferred_since=NOON - 5_000,
        last_outcome="failed",
        last_status=503,
    )
    return PendingRecord(delivery, "hush-tier", 0, 5, NOON)


def purged_letter(entry: AuditEntry) -> AsideRecord:
    """Return the dead letter of an attempt's delivery, which somebody purged."""
    summary = DeadLetterSummary(
        position=Position(0, 7),
        at=NOON,
        delivery_id=entry.delivery_id,
        subscription_id=entry.subscription_id,
        partner_id=entry.partner_id,
        event_type=entry.event_type,
        event_id=entry.event_id,
        attempt="2",
        reason="exhausted",
        detail="hush-detail",
        last_outcome="failed",
        last_status="503",
        last_error="",
        job="",
        origin_topic="t",
        origin="t-3@40",
        origin_at="2026-11-24T11:00:00.000Z",
        by_reference=False,
    )
    return AsideRecord(summary, ResolvedBy("purge-1", Purged("hush-by", "hush-why", NOON)))


def undecodable_record() -> AsideRecord:
    """Return a record that is open: nobody could decode it."""
    summary = replace(
        purged_letter(FIRST).summary,
        delivery_id="",
        subscription_id="",
        partner_id="",
        event_type="",
        event_id="",
        attempt="",
        reason="malformed",
        last_outcome="",
        last_status="",
        origin_topic="hush-topic",
    )
    return AsideRecord(summary, None)


def an_index() -> MemoryIndex:
    """Return an index with a delivery of each partner, whose lists are its own."""
    made = _an_index()
    return replace(made, **{each.name: copy(getattr(made, each.name)) for each in fields(made)})


@cache
def _an_index() -> MemoryIndex:
    theirs = replace(FIRST, delivery_id="msg_theirs", subscription_id="theirs", partner_id="rival")
    entries = [replace(FIRST, delivery_id="msg_ours"), theirs]
    index = MemoryIndex([IndexedAttempt(each, NOON, 0, at) for at, each in enumerate(entries)])
    index.not_decoded.append(undecodable_record())
    for entry in entries:
        state = RunState(
            RunId(entry.delivery_id, entry.origin.place, None),
            entry.subscription_id,
            entry.partner_id,
            entry.event_type,
            entry.event_id,
            DeliveryState.PENDING,
            NOON,
            1,
            "initial",
            "held",
            "hush-detail",
            "failed 503",
        )
        index.found_deliveries.append(IndexedDelivery(state, entry.entity_id, NOON))
        pending = waiting_run(entry)
        index.waiting.append(pending)
        index.dead.append(purged_letter(entry))
        index.answers[entry.delivery_id] = DeliveryAnswer(
            DeliveryHistory(entry.delivery_id, (entry,), (DEATH,)),
            (pending,),
            entry.subscription_id,
            entry.partner_id,
            WINDOW,
        )
        index.events.append(
            OperationsEvent(
                NOON,
                0,
                0,
                "subscription.changed",
                "e",
                state.subscription_id,
                state.partner_id,
                {},
            )
        )
    return index


def failure_group(
    subscription_id: str, partner_id: str, status: int, state: GroupState
) -> FailureGroup:
    """Return a group on which an operator acted last."""
    errors = Errors(partner_id, Fingerprint(subscription_id, "failed", status, "answered <n>"))
    return FailureGroup(
        group_id(errors),
        partner_id,
        subscription_id,
        "failed",
        status,
        "answered <n>",
        state,
        opened=NOON - DAY,
        changed=NOON - status,
        first_seen=NOON - DAY,
        last_seen=NOON - 600,
        actor=Actor.OPERATOR,
        by="hush-operator",
        note="hush-note",
        revision=2,
    )


OUR_FAILURE = failure_group("crm", "acme", 503, GroupState.ACKNOWLEDGED)
THEIR_FAILURE = failure_group("theirs", "rival", 503, GroupState.ACKNOWLEDGED)
OUR_PAST_FAILURE = failure_group("crm", "acme", 500, GroupState.RESOLVED)
THEIR_PAST_FAILURE = failure_group("theirs", "rival", 500, GroupState.RESOLVED)


def failure_groups() -> list[FailureGroup]:
    """Return two groups of each partner: one that is acknowledged, and one that is over."""
    return [OUR_FAILURE, THEIR_FAILURE, OUR_PAST_FAILURE, THEIR_PAST_FAILURE]
