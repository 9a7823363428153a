"""Whatever bytes and headers a record has, at most one framing is found, and the one that was written."""

import struct
import uuid

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.framing import (
    SINGLE_OBJECT,
    VALUE_SCHEMA_ID,
    Framed,
    Framing,
    framing_of,
    prefixed,
    unframed,
)
from hookstream.core.model.record import Header

ids = st.integers(0, 2**32 - 1)
bodies = st.binary(max_size=40)
other_headers = st.lists(
    st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=8)).filter(
        lambda header: header[0] != VALUE_SCHEMA_ID
    ),
    max_size=3,
)
any_headers = st.lists(
    st.tuples(
        st.sampled_from([VALUE_SCHEMA_ID, "__key_schema_id", "traceparent"]),
        st.none() | st.binary(max_size=20),
    ),
    max_size=4,
)


@given(schema_id=ids, body=bodies, headers=other_headers)
def test_confluents_prefix_is_recognised_by_its_first_byte(
    schema_id: int, body: bytes, headers: list[Header]
) -> None:
    value = struct.pack(">bI", 0, schema_id) + body
    assert prefixed(schema_id) + body == value
    found = framing_of(headers, value)
    assert found == Framed(Framing.PREFIX, str(schema_id), 5)


@given(guid=st.uuids(), body=bodies, before=other_headers, after=other_headers)
def test_confluents_header_counts_before_any_bytes(
    guid: uuid.UUID, body: bytes, before: list[Header], after: list[Header]
) -> None:
    """A bare body may begin with 00, and with C3 01."""
    headers = [*before, (VALUE_SCHEMA_ID, b"\1" + guid.bytes), *after]
    for value in (body, b"\0\0\0\0\1" + body, SINGLE_OBJECT + bytes(8) + body):
        assert framing_of(headers, value) == Framed(Framing.HEADER, str(guid), 0)


@given(schema_id=ids, body=bodies)
def test_confluents_header_may_have_an_id(schema_id: int, body: bytes) -> None:
    headers = [(VALUE_SCHEMA_ID, struct.pack(">bI", 0, schema_id))]
    assert framing_of(headers, body) == Framed(Framing.HEADER, str(schema_id), 0)


@given(fingerprint=st.binary(min_size=8, max_size=8), body=bodies, headers=other_headers)
def test_a_single_object_is_recognised_by_its_marker(
    fingerprint: bytes, body: bytes, headers: list[Header]
) -> None:
    found = framing_of(headers, SINGLE_OBJECT + fingerprint + body)
    assert found == Framed(Framing.SINGLE_OBJECT, fingerprint.hex(), 10)


@given(value=st.binary(max_size=4), headers=other_headers)
def test_a_truncated_prefix_names_nothing(value: bytes, headers: list[Header]) -> None:
    assert framing_of(headers, b"\0"[: len(value)] + value[1:]) is None


@given(value=st.binary(max_size=30), headers=any_headers)
def test_any_bytes_have_at_most_one_framing_and_a_body_within_them(
    value: bytes, headers: list[Header]
) -> None:
    found = framing_of(headers, value)
    if found is None:
        assert value[:10].hex(" ") in unframed(headers, value)
    else:
        assert 0 <= found.body_at <= len(value)
        assert len(found.schema) <= 36


@given(header=st.binary(max_size=20).filter(lambda value: len(value) not in (5, 17)))
def test_a_header_of_another_length_names_nothing_and_is_reported(header: bytes) -> None:
    headers = [(VALUE_SCHEMA_ID, header)]
    assert framing_of(headers, b"x") is None
    assert f"its header {VALUE_SCHEMA_ID} has {len(header)} bytes" in unframed(headers, b"x")
