"""The envelope is checked strictly, and what is wrong with it is named."""

import pytest

from hookstream.core.model.envelope import LAST_INSTANT, Envelope, open_envelope
from hookstream.core.model.event import Undecodable

SOUND: dict[str, object] = {
    "event_id": "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11",
    "occurred_at": 1_764_000_000_000_000,
    "entity_id": "job-1",
    "environment": "production",
    "data": {},
}


def test_a_sound_envelope_is_opened() -> None:
    assert open_envelope(SOUND) == Envelope(
        "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11", 1_764_000_000_000_000, "job-1", "production"
    )


@pytest.mark.parametrize("instant", [0, LAST_INSTANT])
def test_the_first_and_the_last_instant_are_taken(instant: int) -> None:
    opened = open_envelope(SOUND | {"occurred_at": instant})
    assert opened == Envelope(str(SOUND["event_id"]), instant, "job-1", "production")


@pytest.mark.parametrize(
    ("field", "value", "detail"),
    [
        ("event_id", None, "event_id is missing; it must be printable text of 1 to 200"),
        ("event_id", "", "event_id is ''; it must be printable text of 1 to 200"),
        ("event_id", "a" * 201, "event_id is 'aaaa"),
        ("event_id", 7, "event_id is 7;"),
        ("entity_id", "a\r\nhs-attempt: 9", "entity_id is 'a\\r\\nhs-attempt: 9'; it must be"),
        ("environment", "p" * 65, "environment is 'pppp"),
        ("occurred_at", "2026-11-24", "occurred_at is '2026-11-24'; it must be microseconds"),
        ("occurred_at", True, "occurred_at is True;"),
        ("occurred_at", -1, "occurred_at is -1;"),
        ("occurred_at", LAST_INSTANT + 1, "occurred_at is 253402300800000000;"),
        ("data", [1], "data is [1]; it must be a record"),
    ],
)
def test_what_is_wrong_is_named(field: str, value: object, detail: str) -> None:
    """An SRE reads this sentence in a header of the undecodable topic, and must know what to fix."""
    found = open_envelope(SOUND | {field: value})
    assert isinstance(found, Undecodable)
    assert found.reason == "bad_envelope"
    assert found.detail.startswith(detail)


def test_the_reason_stays_short_whatever_the_record_holds() -> None:
    found = open_envelope(SOUND | {"event_id": "x" * 1_000_000})
    assert isinstance(found, Undecodable)
    assert len(found.detail) < 200
