"""A filter by an unknown name is refused, and one that only the window has is accepted."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.entry.admin.known_names import Filter, Names, name_filters, refuse_unknown
from hookstream.errors import InputRefused

NAMES = st.sampled_from(["a", "b", "c", "d"])


def never() -> Iterator[tuple[str, ...]]:
    raise AssertionError("the window is read only where a name is in no table")


def test_what_a_table_contains_needs_no_window() -> None:
    # Raises otherwise.
    refuse_unknown([Filter("--x", {"a"}, {"a", "b"}), Filter("--y", None, set())], never)


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InputRefused) as refused:
        refuse_unknown([Filter("--partner", {"acne"}, {"acme"})], lambda: [("zenith",)])
    assert str(refused.value) == (
        "--partner 'acne': no table holds that name, and nothing in the window has it"
        " (did you mean acme?)"
    )


def test_if_no_window_is_read_the_refusal_names_none() -> None:
    with pytest.raises(InputRefused) as refused:
        refuse_unknown([Filter("--topic", {"ordrs"}, {"orders"}, "no topic has that name")])
    assert str(refused.value) == ("--topic 'ordrs': no topic has that name (did you mean orders?)")


def test_tables_that_cannot_be_read_leave_the_window_to_judge_a_name() -> None:
    filters = name_filters(lambda: None, partners={"acne"})
    with pytest.raises(InputRefused) as refused:
        refuse_unknown(filters, lambda: [(None, "acme", None)])
    assert str(refused.value) == (
        "--partner 'acne': the tables cannot be read, and nothing in the window has it"
        " (did you mean acme?)"
    )
    refuse_unknown(filters, lambda: [(None, "acne", None)])


def test_a_name_of_records_to_come_is_taken_where_the_tables_cannot_be_read() -> None:
    refuse_unknown(name_filters(lambda: None, partners={"acne"}, to_come=True), never)
    with pytest.raises(InputRefused):
        refuse_unknown(name_filters(Names, partners={"acne"}, to_come=True), list)


@given(
    given_=st.sets(NAMES, min_size=1),
    known=st.sets(NAMES),
    seen=st.lists(st.tuples(NAMES, NAMES)),
)
def test_a_name_is_refused_if_and_only_if_neither_tables_nor_window_have_it(
    given_: set[str], known: set[str], seen: list[tuple[str, str]]
) -> None:
    filters = [Filter("--x", given_, known), Filter("--y", None, set())]
    unknown = given_ - known - {first for first, _ in seen}
    if not unknown:
        refuse_unknown(filters, lambda: seen)
        return
    with pytest.raises(InputRefused, match=f"--x '{min(unknown)}'"):
        refuse_unknown(filters, lambda: seen)
