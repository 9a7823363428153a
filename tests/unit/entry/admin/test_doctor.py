"""The doctor finds what is wrong, and names a remedy for each finding."""

import ipaddress
from dataclasses import replace

import pytest

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.instant import DAY, HOUR, SECOND
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import Endpoint, SigningSecret, Subscription
from hookstream.core.model.topics import Topics
from hookstream.core.planning.plan import Current
from hookstream.core.topology.plan import (
    Configure,
    CreateTopic,
    Existing,
    Remark,
    TopicReplicas,
    WantedTopic,
)
from hookstream.entry.admin.doctor import (
    CHECKS,
    DoctorFinding,
    Level,
    clock_findings,
    endpoint_findings,
    endpoints_of,
    partition_findings,
    registry_finding,
    replication_findings,
    retention_findings,
    topic_findings,
    worker_findings,
)
from hookstream.entry.admin.status import OpenPartition
from hookstream.entry.admin.tables import State
from hookstream.entry.admin.worker_pages import WorkerPage

TOPICS = Topics("hookstream")
TIER = "hookstream.retry.24h"
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def checks(findings: list[DoctorFinding]) -> list[tuple[str, Level]]:
    assert all(each.remedy and each.check in CHECKS for each in findings)
    return [(each.check, each.level) for each in findings]


def test_a_plan_s_changes_are_findings_of_what_they_concern() -> None:
    found = topic_findings(
        [
            CreateTopic(WantedTopic("hookstream.attempts", 12, {})),
            Configure("orders", "message.timestamp.type", "CreateTime", "LogAppendTime"),
            Configure(TIER, "retention.ms", "1000", "1209600000"),
            Configure(TIER, "max.message.bytes", "1000", "1114112"),
            Remark("hookstream.*", "anybody may write"),
            Remark(TIER, "has 3 partitions, not 12: left as it is"),
        ]
    )
    assert checks(found) == [
        ("topics", Level.PROBLEM),
        ("timestamps", Level.PROBLEM),
        ("retention", Level.PROBLEM),
        ("topics", Level.PROBLEM),
        ("access", Level.WARNING),
        ("topics", Level.WARNING),
    ]
    assert topic_findings([]) == []


@pytest.mark.parametrize(
    ("kept", "found"),
    [(str(HOUR), 1), (str(2 * DAY - 1), 1), (str(2 * DAY), 0), ("-1", 0), ("", 0)],
)
def test_a_tier_that_may_delete_what_is_not_due_yet_is_a_problem(kept: str, found: int) -> None:
    existing = {
        TIER: Existing(1, {"retention.ms": kept}),
        "hookstream.attempts": Existing(1, {"retention.ms": "1"}),
    }
    assert checks(retention_findings(TOPICS, existing)) == found * [("retention", Level.PROBLEM)]


@pytest.mark.parametrize(
    ("replicas", "insync", "brokers", "levels"),
    [
        (TopicReplicas(3, 3), "2", 3, []),
        (TopicReplicas(3, 2), "2", 3, [Level.PROBLEM]),
        (TopicReplicas(1, 1), "2", 3, [Level.PROBLEM]),
        (TopicReplicas(3, 3), "1", 3, [Level.PROBLEM]),
        (TopicReplicas(1, 1), "1", 1, [Level.WARNING]),
    ],
)
def test_what_the_loss_of_a_broker_would_take_is_found(
    replicas: TopicReplicas, insync: str, brokers: int, levels: list[Level]
) -> None:
    existing = {TIER: Existing(1, {"min.insync.replicas": insync})}
    found = replication_findings({TIER: replicas}, existing, brokers)
    assert checks(found) == [("replication", level) for level in levels]


@pytest.mark.parametrize(
    ("ahead", "levels", "word"),
    [
        (5 * SECOND, [], ""),
        (6 * SECOND, [Level.WARNING], "ahead of"),
        (-31 * SECOND, [Level.PROBLEM], "behind"),
    ],
)
def test_a_clock_that_differs_is_found(ahead: int, levels: list[Level], word: str) -> None:
    found = clock_findings(ahead, 30 * SECOND)
    assert [each.level for each in found] == levels
    assert all(word in each.what for each in found)


def subscribed(url: str, name: str = "crm") -> Subscription:
    return Subscription(name, "acme", Endpoint(url, (SigningSecret("s1", b"0" * 32),)), ("a",), 0)


def test_endpoints_that_cannot_be_sent_to_are_found_with_whose_they_are() -> None:
    known = [
        subscribed("https://public.example/h", "fine"),
        subscribed("https://inside.example/h", "inside"),
        subscribed("https://gone.example/h", "gone"),
        subscribed("http://public.example/h", "plain"),
    ]
    state = State(
        Current(subscriptions={each.id: each for each in known}), SchemaBook(), (), (), {}
    )
    resolved = {
        "public.example": ["93.184.216.34"],
        "inside.example": ["10.0.0.7"],
        "gone.example": "Name or service not known",
    }
    found = endpoint_findings(endpoints_of(state), resolved, https_only=True, allow=[LOOPBACK])
    assert [(each.level, each.what.split(":")[0]) for each in found] == [
        (Level.WARNING, "gone.example (gone) does not resolve on this machine"),
        (Level.PROBLEM, "inside.example (inside) is not allowed"),
        (Level.PROBLEM, "plain"),
    ]


def test_partitions_of_one_cause_are_one_finding() -> None:
    nobody = "it is assigned to no worker"
    found = partition_findings(
        [
            OpenPartition(TopicPartition("events", 0), nobody),
            OpenPartition(TopicPartition("events", 1), nobody),
            OpenPartition(
                TopicPartition("events", 2), "its oldest event has not been settled for 2m"
            ),
            OpenPartition(
                TopicPartition("events", 3), "its oldest event has not been settled for 3m"
            ),
        ]
    )
    assert [each.what for each in found] == [
        "2 partitions (events/0-1): they are assigned to no worker",
        "2 partitions (events/2-3): their oldest event has not been settled for 2m",
    ]


def test_workers_are_compared_with_the_release_that_asks() -> None:
    fine = WorkerPage("a:1", "1.0")
    assert worker_findings([fine], "1.0") == []
    assert checks(worker_findings([], "1.0")) == [("workers", Level.WARNING)]
    assert checks(worker_findings([fine], "1.1")) == [("workers", Level.WARNING)]
    ill = replace(fine, not_ready="tables", stopped_partitions=1)
    gone = WorkerPage("b:1", problem="it gave no answer")
    assert sorted(checks(worker_findings([ill, gone], "1.0"))) == [
        ("partitions", Level.PROBLEM),
        *2 * [("workers", Level.PROBLEM)],
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [(200, None), (404, None), (401, "credentials"), (500, "fails"), (None, "reached")],
)
def test_a_registry_that_does_not_serve_is_found(status: int | None, words: str | None) -> None:
    found = registry_finding("main", status, "refused")
    assert (found is None) is (words is None)
    assert found is None or (words or "") in found.what
