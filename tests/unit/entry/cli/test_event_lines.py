"""A line is an event in the shape in which events are delivered, or it is refused."""

import pytest

from hookstream.entry.cli.event_lines import EventLine, in_words_of_a_line, read_line
from hookstream.errors import InputRefused

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
        (SOUND + b',"typ":1}', "typ: there is no such field"),
        (b"{}", "type: must be there, as text"),
        (SOUND + b',"data":[]}', "data: must be there, as an object"),
        (SOUND + b',"version":"2"}', "version: must be a whole number"),
        (SOUND + b',"id":5}', "id: must be text"),
        (b" " * (4 * 1024 * 1024 + 1), "longer than 4194304 bytes"),
    ],
)
def test_a_line_that_is_none_says_why(line: bytes, why: str) -> None:
    with pytest.raises(InputRefused) as refused:
        read_line(line)
    assert str(refused.value).startswith(why)


def test_reasons_speak_of_the_fields_of_a_line() -> None:
    assert [
        in_words_of_a_line(text) for text in ("occurred_at: x", "event_id is ''", "data.a: y")
    ] == [
        "timestamp: x",
        "id is ''",
        "data.a: y",
    ]
