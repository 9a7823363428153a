"""A table's row survives writing and reading, and an unreadable one is refused with a reason."""

import os
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from tests import strategies

from hookstream.adapters.keyring import KeyRing
from hookstream.adapters.tables.holds_and_skips import (
    SkipAsked,
    StartAsked,
    held_by_key,
    hold_key,
    read_hold,
    read_skip,
    read_start,
    skip_key,
    start_key,
    write_hold,
    write_skip,
    write_start,
)
from hookstream.adapters.tables.reader import RowKind, row_kind
from hookstream.adapters.tables.row_json import EnvelopeUnreadable
from hookstream.adapters.tables.rows import (
    disabled_row,
    failing_row,
    read_disabled,
    read_failing,
    read_partner,
    write_partner,
)
from hookstream.adapters.tables.sealed import SealedSecrets
from hookstream.adapters.tables.subscriptions import read_subscription, write_subscription
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.number import number_text
from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.core.model.subscription import (
    Batch,
    BodyFormat,
    Disabled,
    Endpoint,
    Failing,
    Gap,
    Grant,
    Partner,
    Secret,
    SigningSecret,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)

NOON = 1_764_072_000_000
KEYS = KeyRing("k1", {"k1": bytes(32)}, os.urandom)
OTHER_KEYS = KeyRing("k2", {"k2": bytes(32)}, os.urandom)

ORDERS = Subscription(
    "orders",
    "acme",
    Endpoint("https://acme.example/hooks", (SigningSecret("main", bytes(range(24))),)),
    ("order.generated",),
    1_764_000_000_000,
    gaps=(Gap(1_764_000_100_000, None, "paused"),),
    revision=7,
)
ACME = Partner("acme", "Acme", Grant(("order.*",), ("live",)))


def changed(value: bytes, **fields: object) -> bytes:
    """Return the row with some of its fields set; a field set to `...` is taken out."""
    row: Mapping[str, object] = {**orjson.loads(value), **fields}
    return orjson.dumps({name: found for name, found in row.items() if found is not ...})


@given(subscription=strategies.subscriptions)
def test_a_subscription_survives_its_row(subscription: Subscription) -> None:
    row = write_subscription(subscription, KEYS)
    assert read_subscription(subscription.id, row, KEYS) == subscription


@given(partner=strategies.partners)
def test_a_partner_survives_its_row(partner: Partner) -> None:
    assert read_partner(partner.id, write_partner(partner)) == partner


@given(disabled=strategies.disableds)
def test_a_verdict_on_health_survives_its_row(disabled: Disabled) -> None:
    key, value = disabled_row(disabled)
    assert (key, read_disabled(key, value)) == (f"{disabled.subscription_id}/disabled", disabled)


def test_a_row_is_rewritten_without_decrypting_its_secrets() -> None:
    """An on-call pauses from a machine that has no key ring."""
    row = write_subscription(ORDERS, KEYS)
    sealed = read_subscription("orders", row, SealedSecrets())
    assert isinstance(sealed, Subscription)
    assert write_subscription(sealed, SealedSecrets()) == row


@pytest.mark.parametrize("at", ["earliest", "latest", 1_764_000_000_123])
def test_a_start_position_survives_its_row(at: str | int) -> None:
    asked = StartAsked("printprice.order.generated", 3, at, 1_764_000_000_000, 2)  # type: ignore[arg-type]
    key = start_key(asked.topic, asked.partition)
    assert read_start(key, write_start(asked)) == asked


def test_a_row_is_plain_json_that_an_operator_can_read() -> None:
    row = orjson.loads(write_subscription(ORDERS, KEYS))
    envelope = {name: row[name] for name in row if name != "body"}
    assert envelope == {
        "format": 1,
        "revision": 7,
        "id": "orders",
        "partner": "acme",
        "state": "active",
        "event_types": ["order.generated"],
        "active_from": "2025-11-24T16:00:00.000Z",
        "gaps": [{"start": "2025-11-24T16:01:40.000Z", "end": None, "reason": "paused"}],
        "owner": "cli",
    }


def test_a_signing_secret_is_in_the_row_only_encrypted() -> None:
    row = orjson.loads(write_subscription(ORDERS, KEYS))
    (sealed,) = row["body"]["endpoint"]["signing_secrets"]
    assert (sealed["id"], sealed["key_id"], set(sealed)) == (
        "main",
        "k1",
        {"id", "key_id", "ciphertext"},
    )


def test_a_row_with_fields_of_a_newer_release_is_read() -> None:
    """Workers of the older release keep running while the fleet is being upgraded."""
    row = changed(write_subscription(ORDERS, KEYS), novelty={"a": 1})
    assert read_subscription("orders", row, KEYS) == ORDERS


def test_a_lost_key_leaves_the_envelope_readable() -> None:
    row = write_subscription(ORDERS, KEYS)
    assert read_subscription("orders", row, OTHER_KEYS) == UnreadableSubscription(
        "orders",
        "acme",
        ("order.generated",),
        ORDERS.active_from,
        ORDERS.gaps,
        "the key ring has no key 'k1': add it to the file of `keys.file` "
        "(or to HOOKSTREAM_KEYS__RING)",
    )


def test_a_newer_format_leaves_the_envelope_readable() -> None:
    row = changed(write_subscription(ORDERS, KEYS), format=9, body="a novelty")
    assert read_subscription("orders", row, KEYS) == UnreadableSubscription(
        "orders",
        "acme",
        ("order.generated",),
        ORDERS.active_from,
        ORDERS.gaps,
        "its format is 9: a newer release wrote it",
    )


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (None, "template at its top: must be a mapping or a list"),
        ({"a": "<$.id|newer>"}, "template at a: there is no filter newer; known are slack"),
    ],
)
def test_a_template_that_only_a_newer_release_reads_leaves_the_envelope_readable(
    template: Json, why: str
) -> None:
    """Its deliveries wait for a worker that can make them."""
    written = replace(ORDERS, format=BodyFormat.TEMPLATE, template=template)
    found = read_subscription("orders", write_subscription(written, KEYS), KEYS)
    assert isinstance(found, UnreadableSubscription)
    assert found.why == why


def test_a_secret_of_a_template_stands_in_the_row_only_encrypted() -> None:
    endpoint = replace(
        ORDERS.endpoint, template_secrets=(("key", Secret("env:KEY", b"hush-hush")),)
    )
    written = replace(
        ORDERS,
        endpoint=endpoint,
        format=BodyFormat.TEMPLATE,
        template={"routing_key": {"secret": "key"}},
    )
    row = write_subscription(written, KEYS)
    assert b"hush" not in row
    assert read_subscription("orders", row, KEYS) == written


def test_a_secret_copied_from_another_subscription_does_not_open() -> None:
    """Who may write the topic must not make hookstream sign with a neighbour's secret."""
    row = changed(write_subscription(ORDERS, KEYS), id="crm")
    assert isinstance(read_subscription("crm", row, KEYS), UnreadableSubscription)


def test_a_deleted_subscription_needs_no_body() -> None:
    """Cancelling its deliveries must not wait for a key."""
    row = changed(write_subscription(ORDERS, KEYS), state="deleted", body=...)
    assert read_subscription("orders", row, OTHER_KEYS) == Subscription(
        "orders",
        "acme",
        Endpoint("", ()),
        ("order.generated",),
        ORDERS.active_from,
        state=SubscriptionState.DELETED,
        gaps=ORDERS.gaps,
        revision=7,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "crm"},
        {"partner": 5},
        {"event_types": "order.generated"},
        {"event_types": [5]},
        {"active_from": "yesterday"},
        {"gaps": [5]},
        {"gaps": [{"start": "2025-11-24T16:01:40"}]},
        {"state": ...},
        {"revision": True},
        {"format": "1"},
    ],
)
def test_an_envelope_that_cannot_be_read_is_an_error(fields: dict[str, object]) -> None:
    """It might want any event: matching must stop rather than leave it out."""
    row = changed(write_subscription(ORDERS, KEYS), **fields)
    with pytest.raises(EnvelopeUnreadable, match="'orders'"):
        read_subscription("orders", row, KEYS)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"5", b"\xff"])
def test_a_value_that_is_no_object_is_an_error(value: bytes) -> None:
    with pytest.raises(EnvelopeUnreadable, match="'orders'"):
        read_subscription("orders", value, KEYS)


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("endpoint", "timeout"), "soon", "`timeout`: 'soon' is not a duration"),
        (("endpoint", "headers"), [["a"]], "`headers` contains"),
        (("endpoint", "signing_secrets"), None, "`signing_secrets` is not a list"),
        (("retry", "schedule"), ["x"], "`schedule`: 'x' is not a duration"),
        (("retry", "final_statuses"), ["400"], "`final_statuses` contains"),
        (("limits", "rate_limit"), "10", "`rate_limit` is not a number"),
        (("limits", "weight"), "3", "`weight` is not a whole number"),
        (("limits", "weight"), 0, "`weight` is less than 1"),
        (("versions", "order.generated"), "newest", "`versions`: 'newest' is not a version"),
    ],
)
def test_a_body_that_cannot_be_read_names_the_field(
    path: tuple[str, str], value: object, why: str
) -> None:
    row = orjson.loads(write_subscription(ORDERS, KEYS))
    row["body"][path[0]][path[1]] = value
    found = read_subscription("orders", orjson.dumps(row), KEYS)
    assert isinstance(found, UnreadableSubscription)
    assert why in found.why


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        ({"max_events": 1, "max_wait": "0s"}, "`max_events` is 1, not 2 to 1000"),
        ({"max_events": 1_001, "max_wait": "0s"}, "`max_events` is 1001, not 2 to 1000"),
        ({"max_events": "9", "max_wait": "0s"}, "`max_events` is not a whole number"),
        ({"max_events": 9, "max_wait": "501ms"}, "`max_wait` is 501ms, longer than 500ms"),
        ({"max_events": 9}, "`max_wait` is not a text"),
        (9, "`batch` is not an object"),
    ],
)
def test_batches_that_only_a_newer_release_makes_leave_the_envelope_readable(
    batch: object, why: str
) -> None:
    row = orjson.loads(write_subscription(replace(ORDERS, batch=Batch(9, 0)), KEYS))
    row["body"]["batch"] = batch
    found = read_subscription("orders", orjson.dumps(row), KEYS)
    assert isinstance(found, UnreadableSubscription)
    assert found.why == why


def test_a_row_with_a_template_and_batches_leaves_the_envelope_readable() -> None:
    written = replace(ORDERS, format=BodyFormat.TEMPLATE, template={}, batch=Batch(9, 0))
    found = read_subscription("orders", write_subscription(written, KEYS), KEYS)
    assert isinstance(found, UnreadableSubscription)
    assert found.why == "`batch`: a template makes no batches"


def test_only_a_row_with_batches_has_their_field_and_format_3() -> None:
    without, having = (
        orjson.loads(write_subscription(replace(ORDERS, batch=batch), KEYS))
        for batch in (None, Batch(100, 200))
    )
    assert (without["format"], "batch" in without["body"]) == (1, False)
    assert (having["format"], having["body"]["batch"]) == (
        3,
        {"max_events": 100, "max_wait": "200ms"},
    )


def test_a_row_that_was_written_before_there_were_weights_has_the_weight_one() -> None:
    row = orjson.loads(write_subscription(ORDERS, KEYS))
    del row["body"]["limits"]["weight"]
    assert read_subscription("orders", orjson.dumps(row), KEYS) == ORDERS


@pytest.mark.parametrize(
    "limits",
    [None, 3, [], {"subscriptions": "many"}, {"subscriptions": -1}, {"subscriptions": 1e30}],
)
def test_what_is_wrong_with_a_limit_does_not_stop_matching(limits: Json) -> None:
    """The default holds: no worker looks at limits, so no row is unreadable for them."""
    partner = Partner("acme", "Acme", Grant(("*",), ("live",)))
    row = {**orjson.loads(write_partner(partner)), "limits": limits, "newer": 1}
    assert read_partner("acme", orjson.dumps(row)) == partner


def test_limits_are_written_where_they_are_not_the_defaults() -> None:
    partner = Partner("acme", "Acme", Grant(("*",), ("live",)))
    assert "limits" not in orjson.loads(write_partner(partner))
    limited = replace(partner, limits=PartnerLimits(weight=3, timeout=20_000))
    assert orjson.loads(write_partner(limited))["limits"] == {"weight": 3, "timeout": "20s"}


@pytest.mark.parametrize(
    "fields", [{"format": 9}, {"id": "crm"}, {"grant": None}, {"grant_from": 5}]
)
def test_a_partner_that_cannot_be_read_is_an_error(fields: dict[str, object]) -> None:
    with pytest.raises(EnvelopeUnreadable, match="partner 'acme'"):
        read_partner("acme", changed(write_partner(ACME), **fields))


def test_a_health_row_of_another_kind_is_ignored() -> None:
    assert read_disabled("orders/failing", b"whatever") is None


def test_a_failing_mark_reads_back_whole() -> None:
    key, value = failing_row(Failing("orders", NOON))
    assert (key, read_failing(key, value)) == ("orders/failing", Failing("orders", NOON))


def test_an_unreadable_failing_mark_counts_as_none() -> None:
    """It stops nothing: the next failure writes it again."""
    found = [read_failing("orders/failing", value) for value in (b"", b'{"format": 1}')]
    assert [*found, read_failing("orders/disabled", b"{}")] == [None, None, None]


def test_a_grant_of_an_older_release_is_no_operators() -> None:
    row = orjson.loads(write_partner(ACME))
    del row["grant"]["operator"]
    assert not read_partner("acme", orjson.dumps(row)).grant.operator


def test_a_health_row_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(EnvelopeUnreadable, match="'orders/disabled'"):
        read_disabled("orders/disabled", b'{"format": 1, "reason": "gone"}')


def test_a_skip_survives_its_row() -> None:
    asked = SkipAsked("orders.v1", 3, 4_711, asked_at=1_764_000_000_000, reason="INC-7")
    key = skip_key(asked.topic, asked.partition, asked.offset)
    assert key == "skip/orders.v1/3/4711"
    assert read_skip(key, write_skip(asked)) == asked


@pytest.mark.parametrize(
    "key", ["skip/orders/3", "skip/orders/x/3", "skip//3/4", "skip/orders/3/x"]
)
def test_a_skip_row_whose_key_names_no_record_is_an_error(key: str) -> None:
    with pytest.raises(EnvelopeUnreadable):
        read_skip(key, write_skip(SkipAsked("orders", 3, 4, asked_at=1_764_000_000_000)))


@pytest.mark.parametrize("key", ["start/orders", "start//3", "start/orders/x"])
def test_a_start_row_whose_key_names_no_partition_is_an_error(key: str) -> None:
    row = write_start(StartAsked("orders", 0, "earliest", 0))
    with pytest.raises(EnvelopeUnreadable, match="names no partition"):
        read_start(key, row)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("orders", "subscription"),
        ("hold/partner/acme", "hold"),
        ("skip/printprice.order.generated/0/17", "skip"),
        ("start/printprice.order.generated/0", "start"),
        ("writer", "writer"),
        ("novelty/x", "other"),
    ],
)
def test_a_key_identifies_the_kind_of_its_row(key: str, kind: RowKind) -> None:
    assert row_kind(key) == kind


HELD = Hold(HoldKind.EVENT_TYPE, "order.generated", NOON, "wrong prices", "kim@desk", 3)


def test_a_hold_reads_back_whole() -> None:
    key = hold_key(HELD.kind, HELD.name)
    assert key == "hold/event-type/order.generated"
    assert read_hold(key, write_hold(HELD)) == HELD


@pytest.mark.parametrize(
    "value", [b"", b"[]", b'{"format": 2}', b'{"format": 1, "since": "soon"}']
)
def test_a_hold_with_an_unreadable_value_is_in_force(value: bytes) -> None:
    found = read_hold("hold/partner/acme", value)
    assert (found.kind, found.name) == (HoldKind.PARTNER, "acme")
    assert found.reason.startswith("its row cannot be read: ")


@pytest.mark.parametrize(
    "key", ["hold/planet/mars", "hold/partner", "hold/partner/", "hold/", "hold/everything/acme"]
)
def test_a_hold_that_names_nothing_known_is_an_error(key: str) -> None:
    with pytest.raises(EnvelopeUnreadable, match=f"'{key}'"):
        held_by_key(key)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1234567890123456789, 1),
        (0.1, 1),
        (Decimal("0.100000000000000001"), 2),
        (Decimal(123456789012345678901), 2),
        (Decimal("1E+309"), 2),
        (Decimal("-1E+400"), 2),
        (Decimal("1E-400"), 2),
        (Decimal("1" + "0" * 310), 2),
    ],
)
def test_a_number_in_a_grant_reads_back_exactly_and_releases_that_would_round_it_refuse_the_row(
    number: float | Decimal, written: int
) -> None:
    pattern: JsonObject = {"data": {"n": [{"numeric": ["<", number]}]}}
    partner = replace(ACME, grant=replace(ACME.grant, pattern=pattern))
    row = write_partner(partner)
    assert read_partner("acme", row) == partner
    assert row.startswith(b'{"format":%d,' % written)
    assert number_text(number).encode() in row


@pytest.mark.parametrize(
    "number",
    [
        *("1e401", "1e99999999999999999999", "0e99999999999999999999"),
        *("1e-99999999999999999999", "9" * 101, "9" * 5000, "NaN", "1.0,NaN", "1.0,-Infinity"),
        *('1.0,"\\ud800"', '1.0,"\\udc00x"', "01.5"),
    ],
)
def test_a_row_with_an_invalid_number_or_text_is_unreadable_and_raises_nothing_else(
    number: str,
) -> None:
    pattern: JsonObject = {"data": {"n": ["@"]}}
    row = write_partner(replace(ACME, grant=replace(ACME.grant, pattern=pattern)))
    with pytest.raises(EnvelopeUnreadable, match="'acme'"):
        read_partner("acme", row.replace(b'"@"', number.encode()))
