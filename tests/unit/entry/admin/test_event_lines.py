"""A line is an event in the shape in which events are delivered, or it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.adapters.exact_json import Numeral
from hookstream.entry.admin.event_lines import (
    EventLine,
    LineRefused,
    in_words_of_a_line,
    read_line,
    refusal,
)
from hookstream.errors import EventRefused, InputRefused

SOUND = b'{"type":"a.b","entity_id":"e","environment":"staging","data":{"x":1}'


def test_a_line_may_leave_identity_and_time_to_be_made() -> None:
    assert read_line(SOUND + b"}") == EventLine("a.b", "e", "staging", {"x": 1}, None, None, None)


def test_a_delivered_body_is_a_line() -> None:
    line = SOUND + b',"version":2,"id":"i","timestamp":"2026-11-24T08:15:30Z"}'
    assert read_line(line) == EventLine(
        "a.b", "e", "staging", {"x": 1}, 2, "i", "2026-11-24T08:15:30Z"
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (SOUND + b',"typ":1}', "typ: there is no such field (did you mean type?)"),
        (b"{}", "type: must be there, as text"),
        (b'{"type":"a.b","entity_id":"e","environment":"s","data":[]}', "data: must be there, as"),
        (b"\xff", "not JSON: not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON: Expecting value"),
        (b'{"type":"a.b",}', "not JSON: "),
        (SOUND.replace(b"1", b"[" * 101 + b"]" * 101) + b"}", "not taken: nested more than 100"),
        (b"[" * 4_000_000, "not taken: nested more than 100 deep"),
        (b'{"a":' * 600_000, "not taken: nested more than 100 deep"),
        (b'{"\\ud800":1}', "['\\ud800']: there is no such field"),
        (b'{"' + b"x" * 5_000 + b'":1}', "['xxxx"),
        (SOUND + b',"version":"2"}', "version: must be a whole number"),
        (SOUND + b',"id":5}', "id: must be text"),
        (b" " * (4 * 1024 * 1024 + 1), "longer than 4194304 bytes"),
    ],
)
def test_an_invalid_line_is_reported_with_its_reason(line: bytes, why: str) -> None:
    with pytest.raises(InputRefused) as refused:
        read_line(line)
    assert str(refused.value).startswith(why)


def test_reasons_name_the_fields_of_a_line() -> None:
    assert [
        in_words_of_a_line(text) for text in ("occurred_at: x", "event_id is ''", "data.a: y")
    ] == [
        "timestamp: x",
        "id is ''",
        "data.a: y",
    ]


def test_all_that_is_wrong_with_a_line_is_named_at_once() -> None:
    with pytest.raises(LineRefused) as refused:
        read_line(b'{"type":"a.b","entity_di":"e","data":{"x":1},"version":1.5,"id":7}')
    assert refused.value.problems == (
        "entity_di: there is no such field (did you mean entity_id?)",
        "entity_id: must be there, as text",
        "environment: must be there, as text",
        "version: must be a whole number",
        "id: must be text",
    )
    assert refused.value.line == EventLine("a.b", "", "", {"x": 1}, None, None, None)


def test_problems_of_the_data_are_reported_with_it_twenty_at_most() -> None:
    refused = EventRefused(["data: must be there, as an object", "id: must be text"])
    more = [
        "data.a: is missing",
        "occurred_at: 'x' is not a time",
        *(f"e{n}: y" for n in range(30)),
    ]
    said = refusal(refused, more)
    assert said.startswith(
        "data: must be there, as an object; id: must be text; timestamp: 'x' is not a time; e0: y;"
    )
    assert said.endswith("; e16: y; and more")


@pytest.mark.case("duplicate-keys")
@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            b'{"type":"thing.happened","entity_id":"a","entity_id":"b","data":{}}',
            "entity_id: appears twice in one object",
        ),
        (
            SOUND[:-1] + b',"x":1,"y":[{"a":0},{"b":1,"c":{"q r":1,"q r":1},"b":1,"b":1}]}}',
            "; ".join(
                f"{path}: appears twice in one object"
                for path in ("data.x", "data.y[1].b", "data.y[1].c['q r']")
            ),
        ),
        (b'[{"a":1,"\\u0061":2}]', "[0].a: appears twice in one object"),
    ],
)
def test_a_duplicate_key_is_refused_wherever_it_occurs(line: bytes, why: str) -> None:
    with pytest.raises(InputRefused) as refused:
        read_line(line)
    assert str(refused.value) == why


def test_numbers_of_a_line_stay_as_they_are_written() -> None:
    line = SOUND[:-1] + b',"a":[0.7,1e400,9007199254740993,NaN,-Infinity,1.0],"b":%s}}' % (
        b"1" * 4301
    )
    assert read_line(line).data == {
        "x": 1,
        "a": [
            Numeral("0.7"),
            Numeral("1e400"),
            9007199254740993,
            Numeral("NaN"),
            Numeral("-Infinity"),
            Numeral("1.0"),
        ],
        "b": Numeral("1" * 4301),
    }


@given(st.binary() | st.text().map(str.encode) | st.binary().map(lambda b: SOUND[:-1] + b + b"}}"))
def test_no_line_raises_anything_but_a_refusal_in_plain_text(line: bytes) -> None:
    said = ""
    try:
        read_line(line)
    except InputRefused as refused:
        said = refusal(refused)
    assert said.isascii()


def test_what_was_meant_is_looked_up_for_the_fields_that_are_said_alone() -> None:
    """A body of a megabyte has 50,000 names: to look each of them up took seconds."""
    names = [f"environment{each}" for each in range(50)]
    line = SOUND + b"".join(f',"{name}":1'.encode() for name in names) + b"}"
    with pytest.raises(LineRefused) as refused:
        read_line(line)
    problems = refused.value.problems
    assert len(problems) == len(names)
    hinted = [problem.endswith("(did you mean environment?)") for problem in problems]
    assert hinted == [True] * 20 + [False] * 30
