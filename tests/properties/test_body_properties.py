"""Bodies of every format hold the same data, in the same bytes."""

import json

import orjson
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from hypothesis import assume, event, given
from hypothesis import strategies as st
from tests.doubles.drawn_events import Tools, events

from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.delivery.bodies.formats import (
    SharedFormat,
    data_of,
    head_of,
    media_type,
    with_data,
)
from hookstream.core.delivery.bodies.template import (
    MAX_BYTES,
    TemplateRefused,
    compile_template,
)
from hookstream.core.delivery.bodies.template_check import DataSchema, check
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import BodyFormat, Content

NAMES = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=8
)
ENVELOPES = st.fixed_dictionaries({"id": NAMES, "environment": NAMES, "entity_id": NAMES})
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("<$.>\\|ab&"), max_size=12
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)


def nested(scalars: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=12,
    )


JSON = nested(SCALARS)


def body(document: JsonObject, shared: SharedFormat) -> bytes:
    head = orjson.dumps(head_of(document, shared, Content.FULL))
    return with_data(head, orjson.dumps(document["data"]))


@given(events(), ENVELOPES)
def test_a_standard_body_is_byte_for_byte_the_text_of_its_document(
    drawn: tuple[JsonObject, JsonObject], envelope: JsonObject
) -> None:
    tree, data = drawn
    tools = Tools(tree)
    delivered = tools.delivered(tools.written(data))
    assume(isinstance(delivered, dict))
    assert isinstance(delivered, dict)
    document = {**delivered, **envelope}
    whole = orjson.dumps(document)
    assert body(document, BodyFormat.STANDARD) == whole
    head = orjson.dumps(head_of(document, BodyFormat.STANDARD, Content.FULL))
    assert data_of(whole, head) == orjson.dumps(document["data"])


@given(events(), ENVELOPES)
def test_the_library_of_cloudevents_reads_every_event(
    drawn: tuple[JsonObject, JsonObject], envelope: JsonObject
) -> None:
    tree, data = drawn
    tools = Tools(tree)
    delivered = tools.delivered(tools.written(data))
    assume(isinstance(delivered, dict))
    assert isinstance(delivered, dict)
    document = {**delivered, **envelope}
    made = body(document, BodyFormat.CLOUDEVENTS)

    headers = {"content-type": media_type(BodyFormat.CLOUDEVENTS)}
    read = from_structured_event(HTTPMessage(headers, made))

    assert read.get_id() == document["id"]
    assert read.get_subject() == document["entity_id"]
    assert read.get_data() == json.loads(orjson.dumps(document["data"]))
    assert made.endswith(b'"data":' + orjson.dumps(document["data"]) + b"}")


PATHS = st.lists(st.sampled_from("uvwabn"), max_size=3).map(lambda names: ["data", *names])


@given(events(), PATHS, st.sampled_from(["", "is "]))
def test_the_check_of_a_template_agrees_with_what_its_events_render(
    drawn: tuple[JsonObject, JsonObject], path: list[str], before: str
) -> None:
    tree, data = drawn
    tools = Tools(tree)
    document = tools.delivered(tools.written(data))
    assume(isinstance(document, dict))
    assert isinstance(document, dict)
    assert tools.schema is not None
    assert tools.schema.data is not None
    placeholder = f"<$.{'.'.join(path)}>"
    template = compile_template([f"{before}{placeholder}"])

    problems = check(template, [DataSchema("thing.done", 1, tools.schema.data)])
    made = template.render(document, json_bytes, lambda _: None, 1 << 20)

    value = value_at(document, path)
    if not problems:
        assert isinstance(made, bytes)
    if not before and value is not None:
        assert problems == []
    event(f"{'within text' if before else 'alone'}, {'refused' if problems else 'taken'}")


def value_at(document: Json, path: list[str]) -> Json:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def escaped(value: Json) -> Json:
    """Return the template whose body is a value, whatever its texts look like."""
    match value:
        case str():
            pieces = value.split("<$.")
            for index, piece in enumerate(pieces[:-1]):
                slashes = len(piece) - len(piece.rstrip("\\"))
                pieces[index] = piece + "\\" * (slashes + 1)
            return "<$.".join(pieces)
        case list():
            return [escaped(item) for item in value]
        case dict():
            return {name: escaped(item) for name, item in value.items()}
        case _:
            return value


def is_plain(value: Json) -> bool:
    match value:
        case list():
            return all(map(is_plain, value))
        case dict():
            return list(value) != ["secret"] and all(
                "<$." not in name and is_plain(item) for name, item in value.items()
            )
        case _:
            return True


@given(JSON)
def test_every_document_can_be_written_as_a_template(value: Json) -> None:
    assume(is_plain(value))
    made = compile_template([escaped(value)]).render({}, json_bytes, lambda _: None, MAX_BYTES)
    assert isinstance(made, bytes)
    assert json.loads(made) == [value]


@given(JSON, st.integers(0, 40))
def test_any_document_is_a_template_or_refused_and_never_exceeds_its_bound(
    value: Json, most: int
) -> None:
    try:
        template = compile_template([value])
    except TemplateRefused:
        return
    document: JsonObject = {"a": "x" * 10, "b": 1, "ab": {"a": None}}
    made = template.render(document, json_bytes, lambda name: name, most)
    if isinstance(made, bytes):
        assert len(made) <= most
        json.loads(made)


@given(JSON)
def test_a_path_alone_gives_the_value_and_its_bytes(value: Json) -> None:
    made = compile_template(["<$.data.v>"]).render(
        {"data": {"v": value}}, json_bytes, lambda _: None, 1 << 20
    )
    assert made == b"[" + json_bytes(value) + b"]"


@given(TEXTS, TEXTS)
def test_a_text_within_text_is_joined_as_it_is(before: str, value: str) -> None:
    assume("<$." not in before and not before.endswith(("\\", "<", "<$")))
    made = compile_template([f"{before}<$.v>!"]).render(
        {"v": value}, json_bytes, lambda _: None, 1 << 20
    )
    assert isinstance(made, bytes)
    assert json.loads(made) == [f"{before}{value}!"]
