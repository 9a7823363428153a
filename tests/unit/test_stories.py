"""A copy is explained by what was unsettled, or by an accepted attempt that itself got no answer in time."""

import json

import pytest
from chaos.accounting import Story, disabled_since, open_at
from chaos.receipts import Receipt
from chaos.topics import Positions, Record


def record(attempt: int, **more: str) -> Record:
    headers = {"hs-attempt": str(attempt), "hs-last-outcome": "failed", **more}
    return Record(("retry.1s", 0), 4, 2_000, b"", b"", headers)


@pytest.mark.parametrize(
    ("attempt", "status", "waited", "explained"),
    [
        (1, 204, record(1), {1}),
        (1, 503, record(1), set()),
        (2, 204, record(1), set()),
        (1, 204, record(1, **{"hs-last-status": "503"}), set()),
    ],
)
def test_an_accepted_attempt_without_an_answer_is_one_that_must_come_again(
    attempt: int, status: int, waited: Record, explained: set[int]
) -> None:
    story = Story()
    story.waited(waited)
    story.came(Receipt(1.5, 0, status, attempt, "msg"))

    assert story.accepted & story.unanswered == explained
    assert str(story) == f"1.500 attempt {attempt} answered {status}; 2.000 retry.1s/0 offset 4"


def test_an_event_and_its_record_in_a_tier_that_one_crash_repeats_explain_a_copy_each() -> None:
    """The broker died when the tier's record was delivered and the event still waited for others."""
    event, tier = ("events", 2), ("retry.1s", 0)
    crash = ("broker", Positions({event: 9, tier: 40}, {event: 12, tier: 41}))
    move = ("move", Positions({event: 9}, {event: 10}))

    crashes, moves = open_at([("msg", event, 9), ("msg", tier, 40)], [crash], [move])

    assert crashes == {"msg": [0, 0]}
    assert moves == {"msg": [0]}


def test_a_record_that_was_settled_or_appended_later_explains_no_copy() -> None:
    place = ("events", 2)
    crash = ("kill", Positions({place: 9}, {place: 12}))

    assert open_at([("before", place, 8), ("after", place, 12)], [crash]) == [{}]


def test_of_two_workers_that_disable_a_subscription_the_earlier_time_counts() -> None:
    """What was appended in between is owed to nobody: one worker did not match it any more."""

    def row(key: str, since: str | None) -> Record:
        value = b"" if since is None else json.dumps({"since": since}).encode()
        return Record(("health", 0), 0, 0, key.encode(), value, {})

    rows = [
        row("crm/disabled", "1970-01-01T00:00:08Z"),
        row("crm/failing", "1970-01-01T00:00:01Z"),
        row("crm/disabled", "1970-01-01T00:00:05Z"),
        row("crm/disabled", "1970-01-01T00:00:09Z"),
        row("erp/disabled", None),
    ]
    assert disabled_since(rows) == {"crm": 5.0}
