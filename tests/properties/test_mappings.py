"""Mappings are chosen as a plain search chooses them, and read an envelope or say why not."""

from collections.abc import Mapping as Named
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product

from hypothesis import example, given
from hypothesis import strategies as st

from hookstream.adapters.tables.mappings import mapping_row, read_mapping
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.mapped_envelope import MappedEnvelope, mapped_envelope
from hookstream.core.model.envelope import Envelope, envelope_problems
from hookstream.core.model.event import Undecodable
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import (
    ConstantSource,
    EnvelopeSource,
    FieldSource,
    HeaderSource,
    Mapping,
    TimeUnit,
    applies,
    look_up,
    overlap,
)

NAMES = ["a", "b", "a-b", "a-value", "ab", "b-a"]
TOPICS = ["".join(letters) for size in (1, 2, 3) for letters in product("ab-", repeat=size)]
TOPICS += ["a-value", "b-a"]
globs = st.text("ab-*?", min_size=1, max_size=3)


@st.composite
def mappings(draw: st.DrawFn) -> Mapping:
    by_record = draw(st.booleans())
    name = draw(st.sampled_from(NAMES))
    return Mapping(
        name=draw(st.sampled_from("xyz")),
        topics=tuple(draw(st.lists(globs, min_size=1, max_size=2))),
        event_type="thing.done",
        versions=(1,),
        entity_id=ConstantSource("e"),
        environment=ConstantSource("production"),
        record=name if by_record else None,
        subject=None if by_record else name,
    )


@given(mappings(), mappings())
def test_two_mappings_overlap_if_some_record_has_both(one: Mapping, other: Mapping) -> None:
    shared = any(
        applies(one, topic, record) and applies(other, topic, record)
        for topic, record in product(TOPICS, [*NAMES, "value"])
    )
    if shared:
        assert overlap(one, other)
    assert overlap(one, other) == overlap(other, one)


@given(globs, globs)
@example("*", "*")
@example("a*b", "*ab*")
def test_globs_meet_exactly_if_some_topic_matches_both(one: str, other: str) -> None:
    def of(glob: str) -> Mapping:
        return Mapping(
            "m", (glob,), "t.d", (1,), ConstantSource(""), ConstantSource(""), record="r"
        )

    # Three characters a glob: a text of seven that both match can be made one of six.
    texts = ("".join(t) for size in range(7) for t in product("ab-", repeat=size))
    assert overlap(of(one), of(other)) == any(
        fnmatchcase(text, one) and fnmatchcase(text, other) for text in texts
    )


@given(st.lists(mappings(), max_size=4), st.sampled_from(TOPICS), st.sampled_from(NAMES))
def test_a_record_has_the_mapping_that_alone_applies(
    several: list[Mapping], topic: str, record: str
) -> None:
    found = [each for each in several if applies(each, topic, record)]
    assert look_up(several, topic, record) == (found[0] if len(found) == 1 else None)


SCHEMA: JsonObject = {
    "type": "record",
    "name": "Foreign",
    "fields": [
        {"name": "text", "type": "string"},
        {"name": "maybe", "type": ["null", "string"]},
        {"name": "number", "type": "long"},
        {"name": "either", "type": ["long", "string", "null"]},
        {"name": "millis", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {
            "name": "inner",
            "type": [
                "null",
                {"type": "record", "name": "Inner", "fields": [{"name": "id", "type": "string"}]},
            ],
        },
    ],
}
TEXTS = ("text", "maybe", "number", "either", "inner.id")
text_sources: st.SearchStrategy[EnvelopeSource] = st.one_of(
    st.sampled_from([FieldSource(tuple(path.split("."))) for path in TEXTS]),
    st.sampled_from([HeaderSource("h"), HeaderSource("i")]),
    st.text(max_size=5).map(ConstantSource),
)
time_sources: st.SearchStrategy[EnvelopeSource | None] = st.one_of(
    st.none(),
    st.sampled_from([FieldSource((path,)) for path in ("millis", "number", "text", "maybe")]),
    st.just(HeaderSource("h")),
)
long = st.integers(-(2**63), 2**63 - 1)
texts = st.one_of(
    st.text(max_size=300),
    st.sampled_from(["2026-11-29T01:02:03.123456Z", "2026-11-29T01:02:03", "1796000000000"]),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
)
records = st.fixed_dictionaries(
    {
        "text": texts,
        "maybe": st.none() | texts,
        "number": long,
        "either": st.none() | long | texts,
        "millis": long,
        "inner": st.none()
        | texts.map(lambda text: {"id": text})
        | texts.map(lambda text: ("Inner", {"id": text})),
    }
)
headers = st.lists(
    st.tuples(st.sampled_from("hi"), st.none() | st.binary(max_size=30)), max_size=3
)


@given(
    text_sources | st.none(),
    time_sources,
    text_sources,
    text_sources,
    st.sampled_from(TimeUnit),
    records,
    headers,
    long,
)
def test_an_envelope_is_valid_or_the_record_undecodable_with_the_mapping(
    event_id: EnvelopeSource | None,
    occurred_at: EnvelopeSource | None,
    entity_id: EnvelopeSource,
    environment: EnvelopeSource,
    unit: TimeUnit,
    fields: Named[str, object],
    carried: list[tuple[str, bytes | None]],
    time: int,
) -> None:
    mapping = Mapping(
        "orders",
        ("t",),
        "thing.done",
        (1,),
        entity_id,
        environment,
        event_id,
        occurred_at,
        unit,
        record="Foreign",
    )
    envelope = mapped_envelope(mapping, read_schema(SCHEMA))
    assert isinstance(envelope, MappedEnvelope)
    found = envelope.read(fields, carried, time, "position")
    match found:
        case Undecodable():
            assert found.reason == "bad_envelope"
            assert found.detail.startswith("mapping orders: ")
            assert len(found.detail) < 600
        case Envelope():
            assert envelope_problems({**found._asdict(), "data": {}}) == []
            if event_id is None:
                assert found.event_id == "position"


@given(
    mappings(),
    text_sources | st.none(),
    time_sources,
    st.sampled_from(TimeUnit) | st.none(),
    st.lists(st.integers(1, 9999), max_size=3),
)
def test_a_mapping_is_read_from_its_row_as_it_was_written(
    mapping: Mapping,
    event_id: EnvelopeSource | None,
    occurred_at: EnvelopeSource | None,
    unit: TimeUnit | None,
    versions: list[int],
) -> None:
    written = replace(
        mapping,
        event_id=event_id,
        occurred_at=occurred_at,
        unit=unit,
        versions=tuple(versions),
        revision=7,
    )
    assert read_mapping(*mapping_row(written)) == written
