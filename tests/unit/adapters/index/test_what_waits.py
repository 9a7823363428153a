"""What waits, counted by tier, subscription and due time, without looking at what waits."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.doubles.index_log import START, entry_for, waiting_for

from hookstream.adapters.index.answers import (
    DueFilter,
    PendingFilter,
    PendingSummary,
)
from hookstream.adapters.index.now_file import UNMATCHED, NowFile, Waiting
from hookstream.adapters.index.now_reader import NowReader
from hookstream.adapters.index.pending_summary import MOST_SUBSCRIPTIONS
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.core.statistics.due import due_intervals

NOW = START + 17 * MINUTE + 5_000
SHORT, LONG = "hookstream.retry.5s", "hookstream.retry.1h"
OWNERS = {"shop": "acme", "crm": "acme", "erp": "globex"}
HELD = DeferReason.HELD


class Waits:
    """Tier records, and the file that has them."""

    def __init__(self, folder: Path, most: int = 1_000) -> None:
        self.path = folder / "now.db"
        self.file = NowFile(self.path, most=most)
        self.records: list[Waiting] = []
        self.reader = NowReader(self.path)

    def add(
        self,
        due_at: Millis | None,
        subscription: str = "shop",
        topic: str = SHORT,
        reason: DeferReason | None = None,
    ) -> None:
        """Add a record at the next offset of its tier."""
        offset = sum(each.topic == topic for each in self.records)
        entry = entry_for(
            len(self.records),
            at=START,
            subscription=subscription,
            partner=OWNERS.get(subscription, "acme"),
        )
        delivery = waiting_for(entry, due_at=due_at or 0, reason=reason)
        delivery.due_at = due_at
        record = PendingRecord(delivery, topic, 0, offset, START)
        self.records.append(Waiting(topic, 0, offset, record))
        self.file.add(self.records[-1:], {})

    def settle(self, topic: str, up_to: int) -> None:
        """Commit that all records of a tier below an offset are settled."""
        at = TopicPartition(topic, 0)
        self.file.settle([GroupPosition("g", at, None, CommitPosition(up_to), 0, 10_000, None)])

    def summary(self, wanted: DueFilter | None = None, hours: int = 6) -> PendingSummary:
        """Return what waits."""
        due = due_intervals(hours, NOW)
        return self.reader.summary(wanted or DueFilter(), due, self.reader.window(NOW))


@pytest.fixture
def waits(tmp_path: Path) -> Iterator[Waits]:
    made = Waits(tmp_path)
    yield made
    made.reader.close()
    made.file.close()


def some(waits: Waits) -> None:
    waits.add(NOW - MINUTE)
    waits.add(NOW + MINUTE, "crm")
    waits.add(NOW + MINUTE, "shop", LONG, HELD)
    waits.add(NOW + 2 * HOUR, "erp", LONG, HELD)
    waits.add(NOW + 30 * HOUR, "erp", LONG)
    waits.add(None, "erp")


def tiers(found: PendingSummary) -> list[tuple[str, int, int, dict[str, int]]]:
    return [(each.topic, each.runs, each.overdue, dict(each.reasons)) for each in found.tiers]


def test_what_waits_is_counted_by_tier_subscription_and_due_time(waits: Waits) -> None:
    some(waits)
    found = waits.summary()
    assert tiers(found) == [
        (LONG, 3, 0, {"held": 2, "retry": 1}),
        (SHORT, 3, 2, {"retry": 3}),
    ]
    assert [each.overdue_since for each in found.tiers] == [None, START]
    assert [(each.at, each.topic, each.runs) for each in found.due] == [
        (START + 17 * MINUTE, LONG, 1),
        (START + 17 * MINUTE, SHORT, 1),
        (START + 2 * HOUR + 15 * MINUTE, LONG, 1),
    ]
    assert found.later == 1
    assert [
        (each.subscription_id, each.partner_id, each.runs, each.overdue, dict(each.reasons))
        for each in found.subscriptions
    ] == [
        ("erp", "globex", 3, 1, {"retry": 2, "held": 1}),
        ("shop", "acme", 2, 1, {"held": 1, "retry": 1}),
        ("crm", "acme", 1, 0, {"retry": 1}),
    ]


def test_a_partner_a_subscription_and_a_tier_have_their_own_counts(waits: Waits) -> None:
    some(waits)
    acme = waits.summary(DueFilter("acme"))
    assert tiers(acme) == [(LONG, 1, 0, {"held": 1}), (SHORT, 2, 1, {"retry": 2})]
    assert (sum(each.runs for each in acme.due), acme.later) == (2, 0)
    assert [each.subscription_id for each in acme.subscriptions] == ["shop", "crm"]
    shop = waits.summary(DueFilter("acme", frozenset({"shop"})))
    assert [each.runs for each in shop.tiers] == [1, 1]
    long = waits.summary(DueFilter(tiers=frozenset({LONG})))
    assert [each.topic for each in long.tiers] == [LONG]
    assert {each.topic for each in long.due} == {LONG}
    assert [(each.subscription_id, each.runs) for each in long.subscriptions] == [
        ("erp", 2),
        ("shop", 1),
    ]
    for foreign in (DueFilter("globex", frozenset({"shop"})), DueFilter("nobody")):
        nothing = waits.summary(foreign)
        assert (nothing.tiers, nothing.due, nothing.later) == ((), (), 0)
        assert (nothing.subscriptions, nothing.more_subscriptions) == ((), 0)


def test_what_is_settled_is_counted_no_more(waits: Waits) -> None:
    some(waits)
    waits.settle(SHORT, 3)
    waits.settle(LONG, 1)
    found = waits.summary()
    assert tiers(found) == [(LONG, 2, 0, {"held": 1, "retry": 1})]
    assert [each.subscription_id for each in found.subscriptions] == ["erp"]
    waits.settle(LONG, 3)
    assert waits.summary().tiers == ()


def test_counts_are_those_of_the_records_whatever_comes_and_is_settled(waits: Waits) -> None:
    chance = random.Random(5)
    settled = {SHORT: 0, LONG: 0}
    for _ in range(12):
        for _ in range(chance.randrange(8)):
            waits.add(
                NOW + chance.randrange(-HOUR, 9 * HOUR),
                chance.choice(sorted(OWNERS)),
                chance.choice((SHORT, LONG)),
                chance.choice((None, HELD)),
            )
        topic = chance.choice((SHORT, LONG))
        written = sum(each.topic == topic for each in waits.records)
        settled[topic] = chance.randint(settled[topic], written)
        waits.settle(topic, settled[topic])
        left = [each for each in waits.records if each.offset >= settled[each.topic]]
        found = waits.summary()
        assert {each.topic: each.runs for each in found.tiers} == Counter(
            each.topic for each in left
        )
        dues = [each.pending.delivery.due_at for each in left if each.pending is not None]
        known = [each for each in dues if each is not None]
        intervals = due_intervals(6, NOW)
        ahead = [each for each in known if intervals.since <= each < intervals.until]
        assert sum(each.overdue for each in found.tiers) == sum(
            each < intervals.since for each in known
        )
        counts: Counter[Millis] = Counter()
        for each in found.due:
            counts[each.at] += each.runs
        assert counts == Counter(map(intervals.start_of, ahead))
        assert found.later == sum(each >= intervals.until for each in known)


def test_of_many_subscriptions_the_first_are_named_and_the_others_counted(
    tmp_path: Path,
) -> None:
    waits = Waits(tmp_path)
    for number in range(MOST_SUBSCRIPTIONS + 3):
        waits.add(NOW, f"many-{number:03}")
    found = waits.summary()
    assert (len(found.subscriptions), found.more_subscriptions) == (MOST_SUBSCRIPTIONS, 3)
    waits.reader.close()
    waits.file.close()


def test_what_is_only_counted_is_said_by_tier_and_in_no_other_number(tmp_path: Path) -> None:
    waits = Waits(tmp_path, most=2)
    for _ in range(5):
        waits.add(NOW + MINUTE)
    waits.file.add([Waiting(LONG, 0, 0, None, UNMATCHED)], {})
    found = waits.summary()
    assert [(each.topic, each.runs, each.only_counted) for each in found.tiers] == [
        (LONG, 0, 1),
        (SHORT, 2, 3),
    ]
    assert (found.only_counted, sum(each.runs for each in found.due)) == (4, 2)
    assert waits.summary(DueFilter("acme")).only_counted == 1
    waits.reader.close()
    waits.file.close()


def listed(waits: Waits, wanted: PendingFilter) -> list[tuple[str, int]]:
    """Return the places of what a list has, in pages of two."""
    found: list[tuple[str, int]] = []
    after = None
    while True:
        page, after = waits.reader.pending(wanted, after, 2, 1_000)
        found += [(each.topic, each.offset) for each in page]
        if after is None:
            return found


def test_a_list_has_what_falls_due_within_an_interval(waits: Waits) -> None:
    some(waits)
    interval = PendingFilter(due_from=NOW, due_before=NOW + 3 * HOUR)
    assert listed(waits, interval) == [(LONG, 0), (SHORT, 1), (LONG, 1)]
    for narrowed, expected in (
        (PendingFilter("acme", due_from=NOW, due_before=NOW + 3 * HOUR), [(LONG, 0), (SHORT, 1)]),
        (
            PendingFilter(tiers=frozenset({LONG}), due_from=NOW + 1),
            [(LONG, 0), (LONG, 1), (LONG, 2)],
        ),
        (PendingFilter(reasons=frozenset({"held"})), [(LONG, 0), (LONG, 1)]),
        (PendingFilter(due_before=NOW), [(SHORT, 2), (SHORT, 0)]),
    ):
        assert listed(waits, narrowed) == expected
