import base64
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.delivery.identity import DeliveryIds, delivery_id


def test_a_delivery_id_is_as_its_format_is_documented() -> None:
    """Partners remember these for ever: one other digit would be another delivery."""
    digest = hashlib.sha256(b"v1\0pricing.completed\0evt-1\0orders").digest()
    expected = "msg_" + base64.b32encode(digest).decode().lower()[:26]

    found = delivery_id("pricing.completed", "evt-1", "orders")

    assert found == expected
    assert len(found) == 30


def test_a_delivery_id_of_record_never_changes() -> None:
    """A golden value: an edit that moves both the code and its formula is still caught."""
    assert delivery_id("order.generated", "0190", "crm") == "msg_ofangttj5srsslo6wiqhgcg373"


@given(st.text(max_size=5), st.text(max_size=5))
def test_a_delivery_id_is_base32_of_a_hash_for_all_events(
    event_id: str, subscription: str
) -> None:
    hashed = hashlib.sha256(f"v1\0t\0{event_id}\0{subscription}".encode()).digest()

    found = delivery_id("t", event_id, subscription)

    assert found == "msg_" + base64.b32encode(hashed).decode().lower()[:26]


def test_deliveries_of_one_event_share_what_is_hashed_of_it() -> None:
    ids = DeliveryIds("pricing.completed", "evt-1")

    found = [ids.of(subscription) for subscription in ("a", "b", "a")]

    assert found == [
        delivery_id("pricing.completed", "evt-1", subscription) for subscription in ("a", "b", "a")
    ]
    assert found[0] != found[1]


def test_a_delivery_id_is_lower_case_without_a_dot() -> None:
    """The signed content is joined with dots (Standard Webhooks)."""
    found = delivery_id("type", "event", "subscription")

    assert found == found.lower()
    assert "." not in found


def test_ids_that_only_differ_in_where_a_part_ends_are_different() -> None:
    assert delivery_id("a", "bc", "d") != delivery_id("a", "b", "cd")
