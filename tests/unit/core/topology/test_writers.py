"""A topic is open where anybody who reaches the brokers may write to it, by Kafka's own rules."""

import pytest

from hookstream.core.topology.writers import Access, TopicRule, open_topics

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
        (Access(None), True),
        (Access([]), False),
        (Access([], open_by_default=True), True),
        (Access([rule("User:worker")], open_by_default=True), False),
        (Access([rule("User:worker", name="other")], open_by_default=True), True),
        (Access([rule("User:worker")]), False),
        (Access([rule("User:*")]), True),
        (Access([rule("User:ANONYMOUS")]), True),
        (Access([rule("User:*", operation="ALL", name="*")]), True),
        (Access([rule("User:*", operation="READ")]), False),
        (Access([rule("User:*", prefixed="hookstream.")]), True),
        (Access([rule("User:*", prefixed="hookstream.dead")]), False),
        (Access([rule("User:*"), rule("User:*", allow=False)]), False),
        (Access([rule("User:*"), rule("User:ANONYMOUS", allow=False)]), True),
        (Access([rule("User:*"), rule("User:*", allow=False, host="10.0.0.1")]), True),
    ],
)
def test_a_topic_is_open_where_a_rule_or_the_lack_of_one_lets_anybody_write(
    access: Access, *, is_open: bool
) -> None:
    assert access.open_to_anybody(RETRY) is is_open


def test_open_topics_are_named_one_by_one() -> None:
    access = Access([rule("User:*", prefixed="hookstream.retry.")])
    topics = ["hookstream.retry.0s", "hookstream.dead-letters", "hookstream.retry.5s"]
    assert open_topics(access, topics) == ["hookstream.retry.0s", "hookstream.retry.5s"]
