"""A topic is open where anybody who reaches the brokers may write to it, by Kafka's own rules."""

import pytest

from hookstream.core.topology.writers import TopicRule, WriteAccess, open_topics

RETRY = "hookstream.retry.5s"


def rule(
    principal: str,
    *,
    operation: str = "WRITE",
    allow: bool = True,
    prefixed: str | None = None,
    name: str = RETRY,
    host: str = "*",
) -> TopicRule:
    if prefixed is not None:
        return TopicRule(principal, host, operation, allow, "prefixed", prefixed)
    return TopicRule(principal, host, operation, allow, "literal", name)


@pytest.mark.parametrize(
    ("access", "is_open"),
    [
        (WriteAccess(None), True),
        (WriteAccess([]), False),
        (WriteAccess([], open_by_default=True), True),
        (WriteAccess([rule("User:worker")], open_by_default=True), False),
        (WriteAccess([rule("User:worker", name="other")], open_by_default=True), True),
        (WriteAccess([rule("User:worker")]), False),
        (WriteAccess([rule("User:*")]), True),
        (WriteAccess([rule("User:ANONYMOUS")]), True),
        (WriteAccess([rule("User:*", operation="ALL", name="*")]), True),
        (WriteAccess([rule("User:*", operation="READ")]), False),
        (WriteAccess([rule("User:*", prefixed="hookstream.")]), True),
        (WriteAccess([rule("User:*", prefixed="hookstream.dead")]), False),
        (WriteAccess([rule("User:*"), rule("User:*", allow=False)]), False),
        (WriteAccess([rule("User:*"), rule("User:ANONYMOUS", allow=False)]), True),
        (WriteAccess([rule("User:*"), rule("User:*", allow=False, host="10.0.0.1")]), True),
    ],
)
def test_a_topic_is_open_if_an_acl_or_the_lack_of_one_lets_any_client_write(
    access: WriteAccess, *, is_open: bool
) -> None:
    assert access.open_to_anybody(RETRY) is is_open


def test_open_topics_are_named_one_by_one() -> None:
    access = WriteAccess([rule("User:*", prefixed="hookstream.retry.")])
    topics = ["hookstream.retry.0s", "hookstream.dead-letters", "hookstream.retry.5s"]
    assert open_topics(access, topics) == ["hookstream.retry.0s", "hookstream.retry.5s"]
