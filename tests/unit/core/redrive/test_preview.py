"""The token of a preview fixes ends and selector, and is refused for anything else."""

import base64
import json
import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.marks import MAX_OFFSET, RedriveSource
from hookstream.core.redrive.preview import MAX_TOKEN, BulkAct, Preview, read_preview
from hookstream.core.redrive.selector import Selector
from hookstream.errors import InputRefused

DEAD = RedriveSource.DEAD_LETTERS
SELECTOR = Selector(subscriptions=frozenset({"crm"}), since=1_795_000_000_000).row()
PREVIEW = Preview(BulkAct.PURGE, DEAD, "7e" * 16, SELECTOR, {0: 10, 7: 1_042}, 812)
ENDS = st.dictionaries(st.integers(0, 10**9 - 1), st.integers(0, MAX_OFFSET), max_size=4)


def token_of(row: bytes, *, packed: bytes | None = None) -> str:
    packed = zlib.compress(row) if packed is None else packed
    whole = sha256(packed).digest()[:8] + packed
    return "preview1-" + base64.urlsafe_b64encode(whole).decode().rstrip("=")


@given(
    act=st.sampled_from(BulkAct),
    source=st.sampled_from(RedriveSource),
    topic_id=st.sampled_from([b"", bytes(15) + b"\1", b"\xff" * 16]).map(bytes.hex),
    names=st.frozensets(st.text(max_size=5), min_size=1, max_size=3),
    ends=ENDS,
    total=st.integers(0, 10**9),
)
def test_a_token_reads_back_as_its_preview(
    act: BulkAct,
    source: RedriveSource,
    topic_id: str,
    names: frozenset[str],
    ends: dict[int, int],
    total: int,
) -> None:
    preview = Preview(act, source, topic_id, Selector(reasons=names).row(), ends, total)
    token = preview.token()
    assert token is not None
    assert read_preview(token) == preview


@given(st.data())
def test_a_token_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    token = PREVIEW.token() or ""
    at = data.draw(st.integers(0, len(token) - 1))
    changed = data.draw(st.sampled_from(["", "A", "-", "=", "é", token[at] * 2]))
    damaged = token[:at] + changed + token[at + 1 :]
    if damaged == token:
        return
    with pytest.raises(InputRefused, match=r"token of (a|the) preview"):
        read_preview(damaged)


@given(st.text(max_size=60))
def test_no_text_but_a_token_is_read(text: str) -> None:
    for given_text in (text, f"preview1-{text}"):
        with pytest.raises(InputRefused):
            read_preview(given_text)


def test_a_token_of_other_contents_is_refused_and_never_guessed_at() -> None:
    whole = {
        "act": "purge",
        "topic": "dead-letters",
        "topic_id": "",
        "selector": {},
        "ends": {"0": 1},
        "total": 1,
    }
    assert read_preview(token_of(json.dumps(whole).encode())).total == 1
    changes: list[dict[str, object]] = [
        {"act": "replay"},
        {"topic": "events"},
        {"topic_id": 7},
        {"topic_id": "a b"},
        {"topic_id": "aGVsbG9"},
        {"selector": []},
        {"ends": {"x": 1}},
        {"ends": {"0": -1}},
        {"ends": {"0": MAX_OFFSET + 1}},
        {"total": None},
    ]
    for change in changes:
        with pytest.raises(InputRefused, match="another release"):
            read_preview(token_of(json.dumps(whole | change).encode()))
    for row in (b"[]", b"7", b"{", b"[" * 100_000):
        with pytest.raises(InputRefused, match="damaged"):
            read_preview(token_of(row))


def test_a_token_has_the_id_as_the_tools_of_kafka_print_it() -> None:
    """So did the release before: the tokens of both are of one kind."""
    topic_id = "bCnzuhWSRZ-2-X1fpB0_2A"
    row = {"act": "purge", "topic": "dead-letters", "topic_id": topic_id, "selector": {}}
    token = token_of(json.dumps(row | {"ends": {"0": 1}, "total": 1}).encode())
    assert read_preview(token).topic_id == "6c29f3ba1592459fb6f97d5fa41d3fd8"


def test_a_token_that_would_unpack_to_gigabytes_is_refused() -> None:
    bomb = zlib.compress(bytes(32 * 1024 * 1024), 9)
    token = token_of(b"", packed=bomb)
    assert len(token) <= MAX_TOKEN
    with pytest.raises(InputRefused, match="damaged"):
        read_preview(token)


def test_a_thousand_partitions_fit_into_a_token_and_what_does_not_has_none() -> None:
    ends = {partition: 10**12 + partition * 7_919 for partition in range(1_000)}
    assert Preview(BulkAct.REDRIVE, DEAD, "", {}, ends, 1).token() is not None
    names = frozenset(sha256(b"%d" % number).hexdigest() for number in range(3_000))
    many = Preview(BulkAct.REDRIVE, DEAD, "", Selector(subscriptions=names).row(), {}, 1)
    assert many.token() is None


def test_a_preview_is_used_for_what_was_previewed_alone() -> None:
    topic_id = PREVIEW.topic_id
    PREVIEW.refuse_other(BulkAct.PURGE, DEAD, topic_id, {})
    PREVIEW.refuse_other(BulkAct.PURGE, DEAD, topic_id, dict(SELECTOR))
    others: list[tuple[BulkAct, RedriveSource, str, JsonObject, str]] = [
        (BulkAct.REDRIVE, DEAD, topic_id, {}, "a purge of dead-letters, not of a redrive"),
        (BulkAct.PURGE, RedriveSource.UNDECODABLE, topic_id, {}, "not of a purge of undecodable"),
        (BulkAct.PURGE, DEAD, "0f" * 16, {}, "another topic"),
        (BulkAct.PURGE, DEAD, topic_id, {"reasons": ["gone"]}, "other conditions: leave them out"),
    ]
    for act, source, found, selector, why in others:
        with pytest.raises(InputRefused, match=why):
            PREVIEW.refuse_other(act, source, found, selector)


def test_fewer_than_the_preview_counted_are_taken_but_never_more() -> None:
    PREVIEW.refuse_more(812)
    with pytest.raises(InputRefused, match="counted 812, and 813 would be taken now"):
        PREVIEW.refuse_more(813)


def test_a_token_with_too_many_characters_is_refused_for_its_length() -> None:
    with pytest.raises(InputRefused, match="at most 65,536 characters, this one 65,537"):
        read_preview("preview1-" + "A" * (65_537 - len("preview1-")))
