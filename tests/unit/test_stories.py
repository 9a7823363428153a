"""A copy is explained by a missing answer only if the accepted attempt itself got no answer in time."""

import pytest
from chaos.accounting import Story
from chaos.receipts import Receipt
from chaos.topics import Record


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
