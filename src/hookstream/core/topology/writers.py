"""Which topics anybody who can reach the brokers may write to.

A record in a retry topic is delivered and signed unchanged, so whoever may write there can forge a
delivery. Kafka's rules: a matching DENY wins, then a matching ALLOW; if no rule matches the topic,
`allow.everyone.if.no.acl.found` decides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

_ANYBODY = frozenset({"User:*", "User:ANONYMOUS"})
"""Everybody, and unauthenticated clients: those of a listener without authentication."""
_WRITING = frozenset({"WRITE", "ALL"})
_ANY_HOST = "*"


@dataclass(slots=True, frozen=True)
class TopicRule:
    """One of the cluster's access rules for topics."""

    principal: str
    host: str
    operation: str
    allow: bool
    pattern: Literal["literal", "prefixed"]
    name: str
    """A topic, a prefix of topic names, or `*` for every topic."""

    def names(self, topic: str) -> bool:
        """Return whether the rule applies to a topic."""
        if self.pattern == "prefixed":
            return topic.startswith(self.name)
        return self.name in ("*", topic)


@dataclass(slots=True, frozen=True)
class WriteAccess:
    """The cluster's access rules for topics."""

    rules: Sequence[TopicRule] | None
    """None: the brokers have no authorizer."""
    open_by_default: bool = False
    """`allow.everyone.if.no.acl.found`."""

    def open_to_anybody(self, topic: str) -> bool:
        """Return whether anybody who can reach the brokers may write to a topic."""
        if self.rules is None:
            return True
        naming = [rule for rule in self.rules if rule.names(topic)]
        if not naming:
            return self.open_by_default
        writing = [rule for rule in naming if rule.operation in _WRITING]
        return any(_allows(principal, writing) for principal in _ANYBODY)


def _allows(principal: str, rules: Iterable[TopicRule]) -> bool:
    theirs = [rule for rule in rules if rule.principal in ("User:*", principal)]
    if any(not rule.allow and rule.host == _ANY_HOST for rule in theirs):
        return False
    return any(rule.allow for rule in theirs)


def open_topics(access: WriteAccess, topics: Iterable[str]) -> list[str]:
    """Return the topics that anybody who can reach the brokers may write to."""
    return [topic for topic in topics if access.open_to_anybody(topic)]
