"""Specimens of every format that stays in a topic, written by the release that runs this."""

from dataclasses import replace
from decimal import Decimal

from tests.compatibility.formats import Document, PlainKeys, audit_value, shown
from tests.doubles.failing import NOW as SEEN_AT
from tests.doubles.failing import errors_of, group_of
from tests.doubles.foreign import shipped

from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.tables.console_rows import token_key, write_token
from hookstream.adapters.tables.failure_group_rows import (
    failure_group_key,
    write_failure_group,
)
from hookstream.adapters.tables.holds_and_skips import (
    SkipAsked,
    StartAsked,
    hold_key,
    skip_key,
    start_key,
    write_hold,
    write_skip,
    write_start,
)
from hookstream.adapters.tables.mappings import mapping_row
from hookstream.adapters.tables.rows import disabled_row, failing_row, write_partner
from hookstream.adapters.tables.session_rows import (
    link_key,
    session_key,
    write_link,
    write_session,
)
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.access.portal_links import PortalLink, revoked_link, used_link
from hookstream.core.access.scopes import Scope
from hookstream.core.access.sessions import Session, ended_session
from hookstream.core.access.tokens import ApiToken, token_hash
from hookstream.core.catalog.mapped_schema import event_schema
from hookstream.core.failures.groups import Act, Actor, FailureGroup, after_act, after_quiet
from hookstream.core.jobs.job import Job
from hookstream.core.jobs.lease import held
from hookstream.core.model import delivery_headers
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import DeferReason, Delivery, OnlyFor, Trigger, UnmatchedEvent
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import DAY, HOUR
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import FieldSource, HeaderSource, Mapping
from hookstream.core.model.outcome import (
    Complete,
    DeadLetter,
    DeadReason,
    Delivered,
    Failed,
    FailureKind,
    RetryAt,
)
from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.subscription import (
    Basic,
    Batch,
    Bearer,
    BodyFormat,
    ClientAuth,
    Content,
    Disabled,
    Endpoint,
    Failing,
    Gap,
    Grant,
    HeldGrant,
    Limits,
    MutualTls,
    OAuth2,
    Partner,
    RetryPolicy,
    Secret,
    SigningScheme,
    SigningSecret,
    Subscription,
    SubscriptionState,
)
from hookstream.core.offsets.commit_metadata import encode_metadata
from hookstream.core.redrive.job import RedriveRequest
from hookstream.core.redrive.marks import Mark, OffsetRange, Purged, RedriveSource

NOON = 1_764_072_000_000
ORIGIN = Origin("printprice.pricing.completed", 3, 9_007_199_254_740_993, NOON)
CARRIED = [("tenant", b"north"), ("empty", None), ("raw", b"\xff\x00")]

_REDRIVEN = Mark("red-1", RedriveSource.DEAD_LETTERS, 3, (OffsetRange(7, 8), OffsetRange(11, 11)))
_PURGED = _REDRIVEN._replace(job_id="purge-1", purged=Purged("kim@desk", "sent by mail", NOON))
_IN_A_TOPIC = _REDRIVEN._replace(job_id="red-2", topic_id="4f" * 16)
DELIVERY = Delivery(
    delivery_id="msg_2bq5c2v7r5n6o3y4d6x7a2e3fm",
    subscription_id="crm",
    partner_id="acme",
    event_type="pricing.completed",
    event_id="ev/1 ü",
    origin=ORIGIN,
    first_at=NOON + 5,
    expires_at=NOON + 604_800_000,
    attempt=3,
    step=2,
    trigger=Trigger.RETRY,
    due_at=NOON + 300_000,
    deferrals=1,
    deferred_reason=DeferReason.LANE_FULL,
    deferred_since=NOON + 7,
    last_outcome="failed",
    last_status=503,
    last_error="status: 503",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate="vendor=1",
)
SUBSCRIPTION = Subscription(
    id="crm",
    partner_id="acme",
    endpoint=Endpoint(
        "https://acme.example/hooks",
        (SigningSecret("s1", bytes(range(24))), SigningSecret("s2", bytes(range(32)))),
        (("x-tenant", "north"),),
        20_000,
    ),
    event_types=("pricing.*", "order.generated"),
    active_from=NOON,
    environments=("production",),
    pattern={"data": {"total": [{"numeric": [">=", 10]}], "currency": ["EUR", None]}},
    versions={"pricing.completed": 2, "order.generated": "latest"},
    retry=RetryPolicy((5_000, 300_000), 86_400_000, frozenset({422})),
    limits=Limits(8, 2.5, 3),
    state=SubscriptionState.PAUSED,
    gaps=(Gap(NOON, NOON + 5_000, "disabled"), Gap(NOON + 9_000, None, "paused")),
    revision=7,
    owner="files",
)
FILLED = replace(
    SUBSCRIPTION,
    gaps=(
        Gap(NOON, NOON + 5_000, "disabled", "job-1", incomplete=True),
        Gap(NOON + 6_000, NOON + 7_000, "paused", "job-2"),
        Gap(NOON + 9_000, None, "paused"),
    ),
)
STARTED = replace(SUBSCRIPTION, gaps=(Gap(NOON - 9_000, NOON, "started", "job-3"),))
LIMITS = PartnerLimits(
    subscriptions=50,
    max_in_flight=100,
    weight=3,
    timeout=20_000,
    running_jobs=2,
    replayed_events_a_day=0,
    requests_a_second=5,
    scanned_records_a_second=1_000,
)
PARTNER = Partner(
    id="acme",
    name="Acme & Söhne",
    grant=Grant(("pricing.*",), ("production",), {"data": {"total": [{"numeric": ["<", 5]}]}}),
    grant_from=NOON,
    previous_grant=Grant(("*",), ("*",), operator=True),
    revision=4,
    owner="files",
)
REGRANTED = replace(
    PARTNER,
    history=(
        HeldGrant(Grant(("pricing.completed",), ("production",))),
        HeldGrant(PARTNER.grant, NOON - 9_000),
        HeldGrant(Grant(("pricing.completed",), ("production",)), NOON - 5_000),
        HeldGrant(PARTNER.grant, NOON),
    ),
)


SECRET = Secret("env:ACME", b"material")
NEW_ENDPOINTS = {
    "a bearer token": replace(SUBSCRIPTION.endpoint, credentials=Bearer(SECRET)),
    "a password": replace(SUBSCRIPTION.endpoint, credentials=Basic("kim", SECRET)),
    "OAuth2": replace(
        SUBSCRIPTION.endpoint,
        credentials=OAuth2("https://login.example/token", "kim", SECRET, ("a", "b")),
    ),
    "OAuth2 with the client in the body": replace(
        SUBSCRIPTION.endpoint,
        credentials=OAuth2("https://login.example/token", "kim", SECRET, (), ClientAuth.BODY),
    ),
    "a client certificate": replace(
        SUBSCRIPTION.endpoint, mtls=MutualTls(SECRET, Secret("file:key.pem", b"key"))
    ),
    "a private authority": replace(SUBSCRIPTION.endpoint, ca=SECRET),
    "a secret header": replace(SUBSCRIPTION.endpoint, secret_headers=(("x-key", SECRET),)),
    "a secret URL": replace(SUBSCRIPTION.endpoint, url="https://acme.example", url_secret=SECRET),
    "an ed25519 key": replace(
        SUBSCRIPTION.endpoint,
        secrets=(
            SigningSecret("generated", bytes(32), SigningScheme.V1A, public_key="whpk_AA=="),
        ),
    ),
    "a secret of a template": replace(SUBSCRIPTION.endpoint, template_secrets=(("key", SECRET),)),
    "an overlap": replace(
        SUBSCRIPTION.endpoint,
        secrets=(
            SigningSecret("generated-r7", bytes(24)),
            SigningSecret("generated", bytes(24), expires_at=NOON),
        ),
    ),
}
NEW_SUBSCRIPTIONS = {
    **{name: replace(SUBSCRIPTION, endpoint=each) for name, each in NEW_ENDPOINTS.items()},
    "CloudEvents": replace(SUBSCRIPTION, format=BodyFormat.CLOUDEVENTS),
    "thin bodies": replace(SUBSCRIPTION, content=Content.THIN),
    "a template": replace(
        SUBSCRIPTION, format=BodyFormat.TEMPLATE, template={"text": "<$.data.total>"}
    ),
    "batches": replace(SUBSCRIPTION, batch=Batch(100, 200)),
    "batches of CloudEvents": replace(
        SUBSCRIPTION, format=BodyFormat.CLOUDEVENTS, batch=Batch(2, 0)
    ),
}
"""Subscriptions that the release before would serve without credentials, or in the wrong shape."""


PULLED = replace(
    SUBSCRIPTION,
    endpoint=Endpoint("", SUBSCRIPTION.endpoint.secrets, is_pull=True),
    retry=RetryPolicy(),
    limits=Limits(),
    state=SubscriptionState.ACTIVE,
    gaps=(),
)
"""Nothing is sent to it: the release before must match nothing by it, or it would defer each event."""


REDRIVE = replace(
    RedriveRequest(RedriveSource.DEAD_LETTERS, {"subscriptions": ["crm"]}, {0: 7, 3: 9}).job(
        "red-1", NOON, 4
    ),
    done=1,
)
IN_A_TOPIC = RedriveRequest(RedriveSource.DEAD_LETTERS, {}, {0: 7}, "4f" * 16).job(
    "red-2", NOON, 4
)
"""The release before takes it for a redrive of whatever topic has that name."""


def _attempt(record: AttemptRecord) -> Document:
    return audit_value(record)


MAPPING = Mapping(
    "orders",
    ("shop.orders", "shop.*"),
    "order.shipped",
    (1, 2),
    entity_id=FieldSource(("meta", "id")),
    environment=HeaderSource("env"),
    occurred_at=FieldSource(("shippedAt",)),
    subject="com.shop.OrderShipped",
    revision=2,
)


def specimens() -> dict[str, Document]:
    """Return every specimen by its name: the kind of format, and after a colon which one."""
    event = UnmatchedEvent(
        ORIGIN,
        NOON,
        NOON + 5_000,
        deferrals=2,
        deferred_reason=DeferReason.SCHEMA_UNKNOWN,
        deferred_since=NOON,
    )
    junk = Record(*ORIGIN[:3], NOON, b"key", b"junk", CARRIED)
    undecodable = Undecodable(UndecodableReason.NOT_FRAMED, "it begins with 6a 75")
    dead = DeadReason.ATTEMPTS_EXHAUSTED
    made = AttemptRecord(
        DELIVERY,
        2,
        "job-1",
        "production",
        4,
        Failed(FailureKind.TIMEOUT, "no answer in 15s"),
        RetryAt(NOON + 9_000),
        NOON + 8_000,
        15_000_001,
        1_204,
        "acme.example",
    )
    delivered = replace(
        made,
        outcome=Delivered(204),
        disposition=DeadLetter(DeadReason.EXPIRED, "its time is over"),
        trace_id="0af7651916cd43dd8448eb211c80319c",
        response_excerpt="thanks",
    )
    spans = ((5, 9), (12, 40))
    odd_time = replace(DELIVERY, origin=ORIGIN._replace(timestamp=1_795_854_458_871_000))
    long: JsonObject = {
        "data": {"n": [{"numeric": ["<", 1_234_567_890_123_456_789]}, {"numeric": ["=", 0.7]}]}
    }
    exact: JsonObject = {"data": {"n": [{"numeric": ["<", Decimal("0.100000000000000001")]}]}}
    made_names = (SigningSecret("generated-r7", bytes(24)), SigningSecret("generated", bytes(32)))
    return {
        "tier record: a time that RFC 3339 cannot name": shown(
            delivery_headers.tier_headers(odd_time, CARRIED, written_at=NOON)
        ),
        "dead letter: a time that RFC 3339 cannot name": shown(
            delivery_headers.dead_letter_headers(
                odd_time, CARRIED, dead, "4 attempts", written_at=NOON
            )
        ),
        "tier record: a name that is no UTF-8": shown(
            delivery_headers.tier_headers(DELIVERY, [("Gr\\xf6\\xdfe", b"1")], written_at=NOON)
        ),
        "tier record: a replay's": shown(
            delivery_headers.tier_headers(
                replace(DELIVERY, trigger=Trigger.REPLAY, job="replay-1", as_granted_today=True),
                CARRIED,
                written_at=NOON,
            )
        ),
        "tier record of an event for one subscription": shown(
            delivery_headers.tier_headers(
                replace(event, trigger=Trigger.REPLAY, only=OnlyFor("crm", "acme", "replay-1")),
                CARRIED,
                written_at=NOON,
            )
        ),
        "audit record: of a replay": _attempt(
            replace(made, delivery=replace(DELIVERY, trigger=Trigger.REPLAY, job="replay-1"))
        ),
        "audit record: a mistake of ours": _attempt(
            replace(made, outcome=Failed(FailureKind.INTERNAL_ERROR, "KeyError in render.py:7"))
        ),
        "partner: owned by a folder, a long number": _row(
            "acme",
            write_partner(
                replace(PARTNER, owner="files:shop", grant=replace(PARTNER.grant, pattern=long))
            ),
        ),
        "partner: a number that doubles round": _row(
            "acme", write_partner(replace(PARTNER, grant=replace(PARTNER.grant, pattern=exact)))
        ),
        "subscription: owned by a folder, secrets with names of their own": _row(
            "crm",
            write_subscription(
                replace(
                    SUBSCRIPTION,
                    owner="files:shop",
                    pattern=long,
                    endpoint=replace(SUBSCRIPTION.endpoint, secrets=made_names),
                ),
                PlainKeys(),
            ),
        ),
        "subscription: since when a secret signs": _row(
            "crm",
            write_subscription(
                replace(
                    SUBSCRIPTION,
                    endpoint=replace(
                        SUBSCRIPTION.endpoint,
                        secrets=tuple(
                            replace(each, since=NOON) for each in SUBSCRIPTION.endpoint.secrets
                        ),
                    ),
                ),
                PlainKeys(),
            ),
        ),
        "subscription: which line of a file declares it": _row(
            "crm",
            write_subscription(
                replace(SUBSCRIPTION, owner="files:shop", declared_at="subscriptions/crm.yaml:12"),
                PlainKeys(),
            ),
        ),
        "subscription: a number that doubles round": _row(
            "crm", write_subscription(replace(SUBSCRIPTION, pattern=exact), PlainKeys())
        ),
        "tier record": shown(
            delivery_headers.tier_headers(DELIVERY, CARRIED, written_at=NOON + 9)
        ),
        "tier record: least": shown(
            delivery_headers.tier_headers(
                Delivery("msg_a", "s", "p", "a.b", "e", ORIGIN, NOON, NOON), [], written_at=NOON
            )
        ),
        "tier record of an event": shown(
            delivery_headers.tier_headers(event, CARRIED, written_at=NOON)
        ),
        "dead letter": shown(
            delivery_headers.dead_letter_headers(
                DELIVERY, CARRIED, dead, "4 attempts", written_at=NOON
            )
        ),
        **{
            f"dead letter: {reason.value}": shown(
                delivery_headers.dead_letter_headers(
                    DELIVERY, CARRIED, reason, "answered 500", written_at=NOON
                )
            )
            for reason in (DeadReason.ASKED, DeadReason.ABORTED)
        },
        "undecodable record": shown(
            delivery_headers.undecodable_headers(junk, undecodable, written_at=NOON + 1)
        ),
        "audit record": _attempt(made),
        "audit record: the end": _attempt(delivered),
        "audit record: in a batch": _attempt(
            replace(made, batch_id="msgb_k6vhbvpnolukxd7hqginbxwujv")
        ),
        **{
            f"audit record: {each.reason.value}": _attempt(
                replace(
                    made,
                    outcome=Failed(FailureKind.STATUS, "answered 500", 500),
                    disposition=each,
                )
            )
            for each in (
                DeadLetter(DeadReason.ASKED, "answered 500", disable=True),
                DeadLetter(DeadReason.ABORTED, "answered 500"),
            )
        },
        "audit record: accepted, and asked to be disabled": _attempt(
            replace(
                made,
                outcome=Delivered(204),
                disposition=Complete(asked="answered 204 with webhook-delivery: disable"),
            )
        ),
        "commit note": {"base": 3, "note": encode_metadata(3, spans, 2_000).text},
        "partner": _row("acme", write_partner(PARTNER)),
        "partner: with its earlier grants": _row("acme", write_partner(REGRANTED)),
        "partner: with limits": _row("acme", write_partner(replace(PARTNER, limits=LIMITS))),
        "partner: least": _row("p", write_partner(Partner("p", "P", Grant((), ())))),
        "subscription": _row("crm", write_subscription(SUBSCRIPTION, PlainKeys())),
        "subscription: filled gaps": _row("crm", write_subscription(FILLED, PlainKeys())),
        "subscription: started in the past": _row("crm", write_subscription(STARTED, PlainKeys())),
        **{
            f"subscription: format 3, {name}": _row("crm", write_subscription(each, PlainKeys()))
            for name, each in NEW_SUBSCRIPTIONS.items()
        },
        "subscription: format 4, pull": _row("crm", write_subscription(PULLED, PlainKeys())),
        "subscription: format 4, pull, deleted": _row(
            "crm",
            write_subscription(replace(PULLED, state=SubscriptionState.DELETED), PlainKeys()),
        ),
        "hold": _row(
            hold_key(HoldKind.EVENT_TYPE, "a.b"),
            write_hold(Hold(HoldKind.EVENT_TYPE, "a.b", NOON, "INC-7", "kim@desk", 3)),
        ),
        "skip": _row(skip_key("t", 2, 40), write_skip(SkipAsked("t", 2, 40, NOON, "INC-8"))),
        "start": _row(start_key("t", 2), write_start(StartAsked("t", 2, NOON, NOON + 1, 2))),
        "disabled": _row(*disabled_row(Disabled("crm", NOON, "gone", "410"))),
        "disabled: asked": _row(*disabled_row(Disabled("crm", NOON, "asked", "answered 204"))),
        "failing": _row(*failing_row(Failing("crm", NOON))),
        "job": _row("red-1", REDRIVE.encode()),
        "job: held, at a rate": _row(
            "red-1",
            replace(held(REDRIVE, "host:7:ab", NOON), rate=50.0, counts={"unredrivable": 1})
            .noted(NOON, "one stays open")
            .encode(),
        ),
        "job: of a topic by its id": _row("red-2", IN_A_TOPIC.encode()),
        "job: of another kind": _row(
            "replay-1", held(Job("replay-1", "replay", {"from": 1}, NOON), "h", NOON).encode()
        ),
        "mark": _row(_REDRIVEN.key, _REDRIVEN.encode()),
        "mark: of a purge": _row(_PURGED.key, _PURGED.encode()),
        "mark: of a topic by its id": _row(_IN_A_TOPIC.key, _IN_A_TOPIC.encode()),
        "schemas row: a mapping": _row(*mapping_row(MAPPING)),
        "schemas row: of a mapped type": _row(*schema_row(event_schema(shipped(), MAPPING, 1), 1)),
        **_console_rows(),
        **_failure_groups(),
    }


def _failure_groups() -> dict[str, Document]:
    opened = group_of(errors_of(status=503))
    moved = {
        "opened": opened,
        "acknowledged by an operator": after_act(
            opened, Act.ACKNOWLEDGE, Actor.OPERATOR, "token tok-1", "we know", SEEN_AT
        ),
        "resolved by itself": after_quiet(opened, None, SEEN_AT, SEEN_AT, HOUR),
    }
    return {
        f"failure group: {name}": _row(failure_group_key(group.id), write_failure_group(group))
        for name, group in moved.items()
        if isinstance(group, FailureGroup)
    }


def _console_rows() -> dict[str, Document]:
    token = ApiToken("tok-1", Scope.PARTNER_READ, "acme", token_hash("a"), NOON, NOON + DAY, "ci")
    by_token = Session(
        "ses-1", token_hash("b"), token.scope, "acme", "tok-1", None, NOON, NOON + HOUR
    )
    by_link = replace(by_token, token_id=None, link_id="lnk-1")
    link = PortalLink("lnk-1", token_hash("c"), Scope.PARTNER_MANAGE, "acme", NOON, NOON + HOUR)
    rows = {
        "a token": (token_key("tok-1"), write_token(token)),
        "a session": (session_key("ses-1"), write_session(by_token)),
        "a session that a link began, ended": (
            session_key("ses-1"),
            write_session(ended_session(by_link, NOON + 1, "token tok-1")),
        ),
        "a portal link": (link_key("lnk-1"), write_link(link)),
        "a portal link, used and revoked": (
            link_key("lnk-1"),
            write_link(revoked_link(used_link(link, "ses-1", NOON), NOON + 1, "kim@desk")),
        ),
    }
    return {f"console row: {name}": _row(*each) for name, each in rows.items()}


def _row(key: str, value: bytes) -> Document:
    return {"key": key, "value": value.decode()}
