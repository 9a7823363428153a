"""A place is read exactly, an id is no place, and what only looks like a place is refused with the reason."""

import pytest

from hookstream.core.model.record import Origin, TopicPartition
from hookstream.core.model.record_place import RecordPlace, place_of, read_place
from hookstream.errors import InputRefused


def test_a_place_is_read_as_it_is_shown() -> None:
    place = place_of(Origin("printprice.order-1.generated", 11, 4_711, 0))
    assert place == "printprice.order-1.generated/11@4711"
    assert read_place(place) == RecordPlace(
        TopicPartition("printprice.order-1.generated", 11), 4_711
    )


@pytest.mark.parametrize(
    "event_id",
    [
        "",
        "5ae3ac7e-9f43-4f5e-9c1a-5f1d3a0f7c11",
        "orders/7",
        "order@7",
        "user/bob@example.com",
        "https://erp.example/orders/7@2",
        "orders/x@",
        "a@b@c",
    ],
)
def test_an_id_is_no_place(event_id: str) -> None:
    assert read_place(event_id) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("orders/x@1", "its partition is not a number from 0 on"),
        ("orders/@1", "it has no partition"),
        ("orders/0@", "it has no offset"),
        ("orders/0@x", "its offset is not a number from 0 on"),
        ("orders/0@-1", "its offset is not a number from 0 on"),
        ("orders/+0@1", "its partition is not a number from 0 on"),
        ("orders/٣@1", "its partition is not a number from 0 on"),
        ("orders/1234567890@1", "its partition has 10 digits, and 9 at most are read"),
        (f"orders/0@{'9' * 30}", "its offset has 30 digits, and 18 at most are read"),
        ("/0@1", "it names no topic"),
        ("or ders/0@1", "its topic has characters that no topic has"),
        (f"{'t' * 250}/0@1", "or more than 249 of them"),
    ],
)
def test_what_looks_like_a_place_and_is_none_is_refused_with_the_reason(
    text: str, why: str
) -> None:
    with pytest.raises(InputRefused) as refused:
        read_place(text)
    said = str(refused.value)
    assert why in said
    assert "a place is written TOPIC/PARTITION@OFFSET, such as orders/0@42" in said
    assert "--id" in said
    assert len(said) < 300


def test_an_origin_as_other_commands_show_it_is_refused_with_the_place_that_it_is() -> None:
    with pytest.raises(InputRefused, match=r"such as printprice\.order-1/3@40\."):
        read_place("printprice.order-1-3@40")
