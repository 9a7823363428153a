"""What `topics plan` shows: what is missing and what the promise needs, and nothing smaller."""

from collections.abc import Mapping

import pytest

from hookstream.core.model.instant import DAY, HOUR, SECOND
from hookstream.core.model.topics import Topics
from hookstream.core.topology.plan import (
    HEADROOM,
    Configure,
    CreateTopic,
    Existing,
    Remark,
    compared_topics,
    describe,
    event_topics,
    plan,
    replication_of,
    taken_topics,
    tier_topics,
    wanted_topics,
)

LARGEST = 1_048_576
WANTED = wanted_topics(Topics(), (0, 5 * SECOND, 24 * HOUR), partitions=12, largest_event=LARGEST)
EVENT = "printprice.pricing.completed"


def complete() -> dict[str, Existing]:
    """A cluster in which all topics are right."""
    return {topic.name: Existing(topic.partitions, dict(topic.config)) for topic in WANTED}


def changed(name: str, config: Mapping[str, str]) -> dict[str, Existing]:
    """The complete cluster with other settings of one topic."""
    existing = complete()
    found = existing[name]
    return {**existing, name: Existing(found.partitions, {**found.config, **config})}


def test_an_empty_cluster_gets_every_topic() -> None:
    changes = plan(WANTED, (), {})

    assert changes == [CreateTopic(topic) for topic in WANTED]
    assert [topic.name for topic in WANTED] == [
        "hookstream.schemas",
        "hookstream.partners",
        "hookstream.subscriptions",
        "hookstream.health",
        "hookstream.jobs",
        "hookstream.console",
        "hookstream.retry.0s",
        "hookstream.retry.5s",
        "hookstream.retry.24h",
        "hookstream.dead-letters",
        "hookstream.undecodable",
        "hookstream.attempts",
        "hookstream.operations",
    ]


def test_tables_have_one_partition_and_are_compacted() -> None:
    """More partitions would lose the order of their rows, retention would lose the rows."""
    tables = WANTED[:6]

    assert {(t.partitions, t.config["cleanup.policy"]) for t in tables} == {(1, "compact")}
    assert all("retention.ms" not in table.config for table in tables)


def test_an_older_clusters_plan_shows_the_console_topic_as_missing_and_nothing_else() -> None:
    older = {name: found for name, found in complete().items() if name != "hookstream.console"}

    assert list(map(describe, plan(WANTED, (), older))) == [
        "+ hookstream.console: 1 partition, compacted"
    ]


def test_workers_do_not_read_the_console_topic_and_take_it_for_no_event_topic() -> None:
    topics = Topics()

    assert topics.console not in topics.tables
    assert topics.console not in taken_topics(["*"], topics, complete())


def test_every_topic_of_ours_is_stamped_by_the_broker() -> None:
    assert {topic.config["message.timestamp.type"] for topic in WANTED} == {"LogAppendTime"}


def test_a_tier_keeps_its_records_far_longer_than_its_delay() -> None:
    tiers = wanted_topics(Topics(), (0, 30 * DAY), partitions=3, largest_event=LARGEST)
    kept = {tier.name: tier.config.get("retention.ms") for tier in tiers}

    assert kept["hookstream.retry.0s"] == str(14 * DAY)
    assert kept[f"hookstream.retry.{30}d"] == str(67 * DAY)


def test_tiers_dead_letters_and_undecodable_take_larger_records_than_events_are() -> None:
    """Otherwise an event that was read could not be written to a tier."""
    large = {
        topic.name
        for topic in WANTED
        if topic.config["max.message.bytes"] == str(LARGEST + HEADROOM)
    }

    assert {t.name for t in WANTED if ".retry." in t.name} <= large
    assert {"hookstream.dead-letters", "hookstream.undecodable"} <= large


def test_nothing_is_changed_if_all_topics_are_right() -> None:
    assert plan(WANTED, (), complete()) == []


def test_an_event_topic_is_stamped_by_the_broker() -> None:
    existing = {**complete(), EVENT: Existing(3, {"message.timestamp.type": "CreateTime"})}

    assert plan(WANTED, (EVENT,), existing) == [
        Configure(EVENT, "message.timestamp.type", "CreateTime", "LogAppendTime")
    ]


@pytest.mark.parametrize(
    ("name", "setting", "found"),
    [
        ("hookstream.retry.5s", "message.timestamp.type", "CreateTime"),
        ("hookstream.retry.5s", "retention.ms", str(DAY)),
        ("hookstream.dead-letters", "max.message.bytes", "1000"),
    ],
)
def test_what_could_lose_a_delivery_is_corrected(name: str, setting: str, found: str) -> None:
    right = complete()[name].config[setting]

    assert plan(WANTED, (), changed(name, {setting: found})) == [
        Configure(name, setting, found, right)
    ]


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("hookstream.retry.5s", {"retention.ms": str(90 * DAY)}),
        ("hookstream.retry.5s", {"retention.ms": "-1"}),
        ("hookstream.dead-letters", {"max.message.bytes": "9000000"}),
    ],
)
def test_what_an_operator_raised_is_left_unchanged(name: str, config: dict[str, str]) -> None:
    assert plan(WANTED, (), changed(name, config)) == []


def test_wrong_partition_counts_are_reported_and_never_changed() -> None:
    existing = complete()
    existing["hookstream.attempts"] = Existing(3, existing["hookstream.attempts"].config)

    changes = plan(WANTED, (), existing)

    assert changes == [Remark("hookstream.attempts", "has 3 partitions, not 12: left as it is")]
    assert describe(changes[0]) == (
        "! hookstream.attempts: has 3 partitions, not 12: left as it is"
    )


def test_a_wrong_cleanup_policy_is_reported_and_never_changed() -> None:
    """Either way it could delete what is still needed."""
    changes = plan(WANTED, (), changed("hookstream.partners", {"cleanup.policy": "delete"}))

    assert changes == [
        Remark("hookstream.partners", "cleanup.policy is delete, not compact: change it by hand")
    ]


@pytest.mark.parametrize(("brokers", "replicas"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_there_are_three_replicas_where_there_are_three_brokers(
    brokers: int, replicas: int
) -> None:
    assert replication_of(None, brokers) == replicas
    assert replication_of(2, brokers) == 2


def test_a_glob_over_everything_matches_no_topic_of_ours() -> None:
    """Otherwise a worker would read its own tiers as events, and each apply would raise their limit."""
    names = ["crm.events", *(topic.name for topic in WANTED), "hookstream.retry.3s"]

    assert event_topics(("*",), Topics(), names) == ["crm.events"]
    assert taken_topics(("*",), Topics(), names) == ["crm.events", "hookstream.operations"]
    assert tier_topics(Topics(), names) == [
        "hookstream.retry.0s",
        "hookstream.retry.24h",
        "hookstream.retry.3s",
        "hookstream.retry.5s",
    ]


def test_a_plan_asks_for_settings_of_what_it_compares_and_of_nothing_else() -> None:
    names = ["crm.events", "billing.ledger", "hookstreams.jobs", *(topic.name for topic in WANTED)]

    compared = compared_topics(("crm.*",), Topics(), names)

    assert set(compared) == {"crm.events", *(topic.name for topic in WANTED)}


def test_operations_events_are_taken_whatever_the_globs_name_once_their_topic_exists() -> None:
    assert taken_topics(("crm.*",), Topics(), ["crm.events", "x"]) == ["crm.events"]
    assert taken_topics(("crm.*",), Topics(), ["hookstream.operations", "crm.events"]) == [
        "crm.events",
        "hookstream.operations",
    ]
