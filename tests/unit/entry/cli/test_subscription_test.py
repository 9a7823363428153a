"""A test is shown with its result in few words, and as JSON with everything."""

from dataclasses import replace
from io import StringIO

import pytest
from tests.doubles.lives import FIRST
from tests.unit.entry.admin.test_delivery_tests import CRM, TYPE

from hookstream.core.audit.entry import AuditEntry
from hookstream.entry.admin.delivery_tests import FilterReport, PreparedTest, SentTest
from hookstream.entry.cli.subscription_test import filter_words, sent_document, show_test
from hookstream.entry.cli.terminal import Terminal

NO = FilterReport(
    matches=False, why="data.total is 3; the pattern asks for 4", environment="staging"
)
PREPARED = PreparedTest(CRM, TYPE, "test-1", b"", NO)
FAILED = replace(
    FIRST, trigger="test", disposition="cancel", next_due_at=None, response_excerpt="busy\n\x1b[2J"
)
ENDED = replace(
    FAILED, outcome=None, status=None, reason="held", error="it is held", response_excerpt=None
)


@pytest.mark.parametrize(
    ("entry", "result"),
    [
        (FAILED, ["result    failed 503 in 10us", "answer    busy \\x1b[2J"]),
        (ENDED, ["result    no attempt (held): it is held"]),
        (None, ["result    not known"]),
    ],
)
def test_the_result_is_what_was_answered_or_why_nothing_was_sent(
    entry: AuditEntry | None, result: list[str]
) -> None:
    out = StringIO()
    show_test(Terminal(file=out, width=200), PREPARED, SentTest("test-job", 0, entry))
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert lines[0] == "test      test-job"
    assert lines[5:] == result
    assert lines[4] == f"filter    {filter_words(NO)}"


def test_what_was_not_sent_has_no_job_and_no_attempt() -> None:
    document = sent_document(PREPARED, None)
    assert (document["job_id"], document["delivered"], document["attempt"]) == (None, False, None)
    sent = sent_document(PREPARED, SentTest("test-job", 0, FAILED))
    assert (sent["job_id"], sent["delivered"]) == ("test-job", False)
