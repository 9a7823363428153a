"""Laws of table rows: what is written is read, and what is not a row is refused in one way."""

import json
from collections.abc import Mapping
from string import ascii_letters, digits

from hypothesis import given
from hypothesis import strategies as st
from tests import strategies

from hookstream.adapters.tables.holds_and_skips import (
    SkipAsked,
    StartAsked,
    hold_key,
    skip_key,
    start_key,
    write_hold,
    write_skip,
    write_start,
)
from hookstream.adapters.tables.reader import RowKind, RowReader
from hookstream.adapters.tables.row_json import EnvelopeUnreadable, row_of
from hookstream.adapters.tables.rows import disabled_row, failing_row, write_partner
from hookstream.adapters.tables.sealed import SealedSecrets
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.jobs.job import Job, read_job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.json import Json, JsonObject, compared
from hookstream.core.model.number import read_number
from hookstream.core.model.subscription import (
    Disabled,
    Failing,
    Partner,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.model.topics import Topics

TOPICS = Topics("hookstream")
READER = RowReader(TOPICS, SealedSecrets())
PLACES = st.tuples(
    st.text(ascii_letters + digits + "._-", min_size=1, max_size=20), st.integers(0, 999)
)

holds = st.builds(
    Hold,
    st.sampled_from([kind for kind in HoldKind if kind is not HoldKind.EVERYTHING]),
    strategies.IDS,
    strategies.INSTANTS,
    strategies.NAMES,
    strategies.NAMES,
    st.integers(1, 10**9),
) | st.builds(Hold, st.just(HoldKind.EVERYTHING), st.just(ALL), strategies.INSTANTS, st.just("x"))
starts = st.builds(
    lambda place, *rest: StartAsked(*place, *rest),
    PLACES,
    st.sampled_from(["earliest", "latest"]) | strategies.INSTANTS,
    strategies.INSTANTS,
    st.integers(1, 10**9),
)
skips = st.builds(
    lambda place, *rest: SkipAsked(*place, *rest),
    PLACES,
    st.integers(0, 2**63 - 1),
    strategies.INSTANTS,
    strategies.NAMES,
)
failings = st.builds(Failing, strategies.IDS, strategies.INSTANTS)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
documents = strategies.documents(scalars, st.text(max_size=8))

Meaning = Partner | Subscription | Hold | StartAsked | SkipAsked | Disabled | Failing


def row(meaning: Meaning) -> tuple[RowKind, str, str, bytes]:
    """Return the kind, table, key and value of a row, as commands and workers write it."""
    match meaning:
        case Partner(name):
            return "partner", TOPICS.partners, name, write_partner(meaning)
        case Subscription(name):
            value = write_subscription(meaning, SealedSecrets())
            return "subscription", TOPICS.subscriptions, name, value
        case Hold(kind, name):
            return "hold", TOPICS.subscriptions, hold_key(kind, name), write_hold(meaning)
        case StartAsked(topic, partition):
            key = start_key(topic, partition)
            return "start", TOPICS.subscriptions, key, write_start(meaning)
        case SkipAsked(topic, partition, offset):
            key = skip_key(topic, partition, offset)
            return "skip", TOPICS.subscriptions, key, write_skip(meaning)
        case Disabled():
            return "disabled", TOPICS.health, *disabled_row(meaning)
        case Failing():
            return "failing", TOPICS.health, *failing_row(meaning)


sealed_subscriptions = strategies.subscriptions_with(
    st.builds(lambda *names: "\0".join(names).encode(), strategies.IDS, strategies.IDS)
)
meanings = st.one_of(
    strategies.partners,
    sealed_subscriptions,
    holds,
    starts,
    skips,
    strategies.disableds,
    failings,
)


@given(meanings)
def test_a_row_of_any_kind_is_read_as_what_was_written(meaning: Meaning) -> None:
    kind, table, key, value = row(meaning)

    assert READER.kind(table, key) == kind
    assert READER.read(kind, key, value) == meaning


def read(kind: RowKind, key: str, value: bytes) -> object:
    """Read a row as a worker does, and return what it means or its refusal."""
    try:
        return READER.read(kind, key, value)
    except EnvelopeUnreadable as why:
        return why


@given(meanings, st.binary(max_size=200) | documents.map(json.dumps).map(str.encode))
def test_whatever_a_row_contains_is_read_or_refused(meaning: Meaning, value: bytes) -> None:
    kind, _, key, _ = row(meaning)

    found = read(kind, key, value)

    assert not isinstance(found, EnvelopeUnreadable) or repr(key) in str(found)


@given(meanings, st.data())
def test_whatever_one_field_contains_the_row_is_read_or_refused(
    meaning: Meaning, data: st.DataObject
) -> None:
    kind, _, key, value = row(meaning)
    document = json.loads(value)
    for _ in range(data.draw(st.integers(1, 3))):
        inside = data.draw(st.sampled_from(sections(document)))
        inside[data.draw(st.sampled_from(sorted(inside) or ["new"]))] = data.draw(documents)

    found = read(kind, key, json.dumps(document).encode())

    # A hold is identified by its key: it is in force whatever its value contains.
    assert kind != "hold" or isinstance(found, Hold)
    assert isinstance(found, type(meaning) | EnvelopeUnreadable | UnreadableSubscription | None)


def sections(document: JsonObject) -> list[JsonObject]:
    """Return every object within an object, itself included."""
    inner = [each for each in document.values() if isinstance(each, dict)]
    return [document, *(section for each in inner for section in sections(each))]


@given(documents.map(lambda found: found if isinstance(found, dict) else {"v": found}))
def test_no_number_of_a_row_is_rounded(document: Mapping[str, Json]) -> None:
    text = json.dumps({**document, "format": 1})
    try:
        exact = json.loads(
            text, parse_int=read_number, parse_float=read_number, parse_constant=read_number
        )
        expected = compared(exact)
    except ValueError:
        expected = None

    try:
        found = compared(dict(row_of("key", text.encode())))  # type: ignore[arg-type]  # it is JSON
    except EnvelopeUnreadable:
        found = None

    assert found == expected


@given(st.binary(max_size=200) | documents.map(json.dumps).map(str.encode))
def test_whatever_a_jobs_row_contains_it_is_a_job_or_a_problem(value: bytes) -> None:
    assert isinstance(read_job("job-1", value), Job | RowProblem | None)
