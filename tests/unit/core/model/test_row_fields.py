"""A field that is described once is written and read, and a refusal names it and the reason."""

from dataclasses import dataclass

import pytest

from hookstream.core.model.row_fields import (
    DURATION,
    INSTANT,
    REMARK,
    TEXT,
    TEXTS,
    WHOLE,
    FieldKind,
    FieldUnreadable,
    RowFields,
    listed,
    optional,
)


@dataclass(frozen=True)
class Door:
    name: str
    width: int


@dataclass(frozen=True)
class House:
    owner: str
    doors: tuple[Door, ...]
    built: int
    rooms: int = 1


DOORS = listed(RowFields(name=TEXT, width=WHOLE).of(Door))
HOUSE = RowFields(
    who=TEXT.into("owner"), doors=DOORS, built=INSTANT, rooms=FieldKind(WHOLE.read, absent=1)
)
ROW = {"who": "kim", "doors": [{"name": "front", "width": 9}], "built": "1970-01-01T00:00:00.005Z"}
READ = House("kim", (Door("front", 9),), 5)


def test_what_was_written_is_read_in_the_order_of_its_description() -> None:
    written = HOUSE.document(READ)

    assert written == {**ROW, "rooms": 1}
    assert list(written) == ["who", "doors", "built", "rooms"]
    assert House(**HOUSE.values(written)) == READ


def test_a_row_from_before_a_field_means_what_its_absence_means() -> None:
    assert House(**HOUSE.values(ROW)) == READ


def test_undescribed_fields_are_ignored() -> None:
    assert HOUSE.values({**ROW, "roof": {"made": "later"}}) == HOUSE.values(ROW)


@pytest.mark.parametrize(
    ("kind", "found", "why"),
    [
        (TEXT, None, "`f` is not a text"),
        (TEXTS, "a", "`f` is not a list"),
        (TEXTS, ["a", 5], "`f` contains something that is not a text"),
        (WHOLE, True, "`f` is not a whole number"),
        (INSTANT, "noon", "`f`: 'noon' is not an RFC 3339 time"),
        (
            listed(DURATION),
            ["5s", "x"],
            "`f`: 'x' is not a duration such as 250ms, 5s, 30m, 2h or 14d",
        ),
        (optional(INSTANT), 5, "`f` is not a text"),
        (DOORS, [5], "`f` contains something that is not an object"),
        (DOORS, [{"name": "front"}], "`width` is not a whole number"),
    ],
)
def test_a_refusal_names_the_field_and_the_reason(
    kind: FieldKind, found: object, why: str
) -> None:
    with pytest.raises(FieldUnreadable) as refused:
        RowFields(f=kind).values({"f": found})
    assert str(refused.value) == why


def test_a_missing_remark_is_empty() -> None:
    assert [REMARK.read(found) for found in ("why", None, 5)] == ["why", "", ""]
