"""An audit record reads back as one typed entry, or is refused with a reason."""

from tests.doubles.lives import FIELDS, FIRST

from hookstream.core.audit.entry import EntryProblem, read_entry


def test_a_record_reads_back_as_an_entry() -> None:
    assert read_entry(FIELDS) == FIRST


def test_what_a_newer_release_added_is_ignored() -> None:
    assert read_entry(FIELDS | {"moon": "full"}) == read_entry(FIELDS)


def test_a_missing_or_wrong_field_is_named() -> None:
    broken = [
        {key: value for key, value in FIELDS.items() if key != "host"},
        FIELDS | {"attempt": "2"},
        FIELDS | {"status": True},
        FIELDS | {"origin": None},
        FIELDS | {"worker": 7},
    ]
    problems = [read_entry(fields) for fields in broken]
    assert problems == [
        EntryProblem("a field is missing or wrong: 'host'"),
        EntryProblem("a field is missing or wrong: attempt is not a whole number"),
        EntryProblem("a field is missing or wrong: status is not a whole number"),
        EntryProblem("a field is missing or wrong: origin is not a record"),
        EntryProblem("a field is missing or wrong: worker is not text"),
    ]


def test_json_shows_instants_as_text() -> None:
    document = FIRST.as_json()
    expected = FIELDS | {
        "job_id": None,
        "started_at": "1970-01-01T00:00:01.000Z",
        "next_due_at": "1970-01-01T00:00:06.000Z",
        "origin": {
            "topic": "t",
            "partition": 3,
            "offset": 40,
            "timestamp": "1970-01-01T00:00:00.991Z",
        },
    }
    assert document == expected
