"""Whatever a line contains, it becomes an event or is refused in plain text, within bounds and at once."""

import time
from itertools import count

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.drawn_events import Tools, events, tools_of
from tests.doubles.schemas import event_schema, field

from hookstream.core.model.json import Json, JsonObject
from hookstream.entry.admin.event_lines import LineRefused, read_line, refusal
from hookstream.errors import InputRefused

_LONGEST = 20_000
"""Characters of a refusal: twenty problems, each with its path."""

texts = st.text(st.characters(), max_size=5) | st.sampled_from(
    ["7.00", "NaN", "2026-11-28", "TQ==", "\ud800", "P1M2DT0.003S", "x" * 10_000, "9" * 5_000]
)
words = st.sampled_from(["u", "v", "w", "a", "b", "n", "string", "bytes", "long", "t.R1", "R1"])
numerals = st.sampled_from(
    ["1e400", "-1e-400", "1e1000000000", "NaN", "Infinity", "9" * 5_000, "0.10"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.floats() | numerals.map(lambda n: {"#": n}),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(words | texts, inner, max_size=3)
    | st.tuples(words, inner, inner).map(lambda twice: {"##": [*twice]}),
    max_leaves=8,
)  # fmt: skip


def text_of(value: object) -> str:
    """JSON text, with numbers as they are written and duplicate keys."""
    match value:
        case {"#": str(numeral)}:
            return numeral
        case {"##": [str(key), one, other]}:
            return f"{{{text_of(key)}:{text_of(one)},{text_of(key)}:{text_of(other)}}}"
        case dict():
            parts = [f"{text_of(str(key))}:{text_of(part)}" for key, part in value.items()]
            return "{" + ",".join(parts) + "}"
        case list():
            return "[" + ",".join(map(text_of, value)) + "]"
        case str():
            return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 65_536 else c for c in value) + '"'
        case float():
            return repr(value).replace("inf", "Infinity").replace("nan", "NaN")
        case _:
            return {None: "null", True: "true", False: "false"}.get(value, str(value))  # type: ignore[call-overload, no-any-return]  # the rest is int


def outcome(tools: Tools, line: bytes) -> bytes | str:
    try:
        return tools.sent(line)
    except InputRefused as refused:
        return refusal(refused)


@given(events(), st.dictionaries(words, values, max_size=3))
def test_data_become_an_event_or_are_refused(
    drawn: tuple[JsonObject, JsonObject], data: dict[str, object]
) -> None:
    tools = Tools(drawn[0])
    sound = (
        '{"type":"thing.done","entity_id":"e","environment":"s","timestamp":"2026-11-28T08:00:00Z"'
    )
    line = f'{sound},"id":"7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11","data":{text_of(data)}}}'.encode()

    found = outcome(tools, line)

    if isinstance(found, str):
        assert found.isascii()
        assert 0 < len(found) < _LONGEST
    else:
        # What was accepted is shown unchanged: given again, it is the same event.
        shown = tools.shown(found)
        assert not isinstance(shown, dict) or tools.sent(orjson.dumps(shown)) == found


@given(st.dictionaries(st.sampled_from(["type", "id", "timestamp", "entity_id", "environment", "version", "data", "x"]), values))  # fmt: skip
def test_the_fields_of_a_line_are_refused_in_plain_text(fields: dict[str, object]) -> None:
    said = "taken"
    try:
        read_line(text_of(fields).encode())
    except LineRefused as refused:
        said = refusal(refused, ["data.a: is missing"])
    except InputRefused as refused:
        said = refusal(refused)
    assert said.isascii()
    assert len(said) < _LONGEST


def nested(levels: int, names: "count[int]") -> Json:
    """Unions of a map and a record that take the same objects, level within level."""
    if levels == 0:
        return ["null", "bytes", "string"]
    record: Json = {
        "type": "record",
        "name": f"D{next(names)}",
        "fields": [field("string", nested(levels - 1, names))],
    }
    values = nested(levels - 1, names)
    return ["null", "string", {"type": "map", "values": values}, record]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 90 + "]" * 90,
        '{"a":' * 90 + "1" + "}" * 90,
        '{"string":' * 90 + '"x"' + "}" * 90,
        '{"string":' * 8 + '"x"' + "}" * 8,
        '{"string":' * 9 + '"TQ=="' + "}" * 9,
        "[" + ",".join(["null"] * 400_000) + "]",
        "[" + ",".join(['{"string":"TQ=="}'] * 100_000) + "]",
        '"' + "A" * 3_000_000 + '"',
        "-" + "9" * 3_000_000,
        "0." + "0" * 3_000_000 + "1",
        "1e" + "9" * 3_000_000,
        "{" + ",".join(f'"k{n}":{n}' for n in range(150_000)) + "}",
    ],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("kind", ["plain", "deep", "items"])
def test_a_line_that_is_made_to_cost_is_answered_within_seconds(kind: str, text: str) -> None:
    union: Json = ["null", "bytes", "string", {"type": "map", "values": "string"}]
    types: dict[str, Json] = {
        "plain": ["null", "float", "double", "long", "string", "bytes"],
        "deep": nested(8, count()),
        "items": {"type": "array", "items": union},
    }
    tools = tools_of(event_schema(field("v", types[kind])))
    line = (
        '{"type":"thing.done","entity_id":"e","environment":"s","timestamp":"2026-11-28T08:00:00Z",'
        f'"id":"7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11","data":{{"v":{text}}}}}'
    )
    begun = time.process_time()
    found = outcome(tools, line.encode())
    assert time.process_time() - begun < 10
    assert isinstance(found, bytes) or len(found) < _LONGEST
