"""Who may write to a topic, as far as that is anybody who reaches the brokers.

A record in a retry topic is delivered and signed as it stands, so whoever may write there can forge
a delivery. Kafka's rules: a matching DENY wins, then a matching ALLOW; where no rule names the topic,
`allow.everyone.if.no.acl.found` decides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

_ANYBODY = frozenset({"User:*", "User:ANONYMOUS"})
"""Everybody, and everybody without a name: a client on a listener that asks for none."""
_WRITING = frozenset({"WRITE", "ALL"})
_ANY_HOST = "*"


@dataclass(slots=True, frozen=True)
class TopicRule:
    """One access rule of the cluster that is about topics."""

    principal: str
    host: str
    operation: str
    allow: bool
    pattern: Literal["literal", "prefixed"]
    name: str
    """A topic, the beginning of topics' names, or `*` for every topic."""

    def names(self, topic: str) -> bool:
        """Return whether the rule is about a topic."""
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
        """Return whether anybody who reaches the brokers may write to a topic."""
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
    """Return the topics to which anybody who reaches the brokers may write."""
    return [topic for topic in topics if access.open_to_anybody(topic)]
