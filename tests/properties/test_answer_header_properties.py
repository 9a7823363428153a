"""Whatever a hostile server says in its head, reading it never raises, and never asks for more than the cap."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.instant import HOUR, SECOND
from hookstream.core.outcome.answer_headers import ReceiverRequest, receiver_request, rest_in

HEADERS = st.binary(max_size=1_100).map(lambda value: value.decode("latin-1"))
PIECES = st.lists(
    st.sampled_from(
        (
            '"a"',
            '"',
            ";",
            ",",
            " ",
            "r=",
            "t=",
            "r=0",
            "t=30",
            "0",
            "-",
            ".",
            ":",
            "?1",
            "\\",
            "\0",
            "x",
        )
    ),
    max_size=60,
).map("".join)
COUNTS = st.integers(0, 10**15 - 1)
POLICIES = st.lists(
    st.tuples(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=10),
        st.integers(0, 3),
        COUNTS,
    ),
    min_size=1,
    max_size=10,
)


@given(HEADERS | PIECES)
def test_drawn_bytes_are_read_or_ignored_and_the_rest_is_within_the_cap(value: str) -> None:
    assert receiver_request(value) in (None, *ReceiverRequest)
    rest = rest_in(value, longest=HOUR)
    assert rest is None or 0 <= rest <= HOUR


@given(POLICIES)
def test_of_all_policies_the_last_reset_of_an_exhausted_one_counts(
    policies: list[tuple[str, int, int]],
) -> None:
    def quoted(name: str) -> str:
        return name.replace("\\", "\\\\").replace('"', '\\"')

    value = ", ".join(f'"{quoted(name)}";r={left};t={reset}' for name, left, reset in policies)
    resets = [min(reset * SECOND, HOUR) for _, left, reset in policies if left == 0]
    assert rest_in(value, longest=HOUR) == max(resets, default=None)
