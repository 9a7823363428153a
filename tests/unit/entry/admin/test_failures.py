"""Consoles that look at the same write each change once, and one that dies before it writes loses nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import OUR_FAILURE, subscription
from tests.doubles.clock import NOON
from tests.doubles.index import WINDOW, MemoryIndex
from tests.doubles.lives import FIRST

from hookstream.adapters.index.answers import (
    AttemptFilter,
    Cursor,
    IndexedAttempt,
    Page,
    Whose,
    Window,
)
from hookstream.adapters.tables.failure_group_rows import failure_group_key
from hookstream.core.failures.book import MOST_OF_SUBSCRIPTION, Due, FailureBook, Looked, others_of
from hookstream.core.failures.groups import Errors, FailureGroup, GroupState
from hookstream.core.model.instant import DAY, HOUR, MINUTE, Millis
from hookstream.core.model.subscription import SubscriptionState
from hookstream.core.statistics.errors import Fingerprint
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.failures import (
    LAST_ATTEMPTS,
    FailureLooks,
    last_attempts,
    look_and_write,
    seen_of,
)
from hookstream.errors import DependencyUnavailable

QUIET = 6 * HOUR


@dataclass
class LookedIndex(MemoryIndex):
    """An index that says how it is asked."""

    present: Window = WINDOW
    asked_since: list[Millis] = field(default_factory=list)

    def window(self) -> Window:
        return self.present

    def failures(
        self, whose: Whose, since: Millis, *, deliveries: bool = True, most: int | None = None
    ) -> Looked:
        del deliveries, most
        self.asked_since.append(since)
        found = super().failures(whose, 0)
        return Looked(since, NOON, found.errors, found.successes)


@dataclass
class Console:
    """One console: its looks, over tables that it shares with others."""

    world: ApiWorld
    index: LookedIndex = field(default_factory=LookedIndex)
    looks: FailureLooks = field(default_factory=lambda: FailureLooks(QUIET))

    def look(self, before: Callable[[], None] = lambda: None, now: Millis = NOON) -> Due:
        """Look, and write; `before` happens between the two."""

        def write(act: Callable[[ChangeWriter], Due]) -> Due:
            before()
            return self.world.services.change(act, lambda _found, _writer: ())

        services = self.world.services
        book, state = services.failures(), services.state()
        return look_and_write(self.looks, self.index, book, state, now, write)


@pytest.fixture
def world() -> ApiWorld:
    made = ApiWorld()
    for group in made.services.failures().groups():
        made.tables.put(made.settings.topics_names.console, failure_group_key(group.id), None)
    return made


@pytest.fixture
def console(world: ApiWorld) -> Console:
    made = Console(world)
    made.index.found_attempts = [IndexedAttempt(FIRST, NOON, 0, 1)]
    return made


def groups(world: ApiWorld) -> list[FailureGroup]:
    return world.services.failures().groups()


def events(world: ApiWorld) -> int:
    operations = world.settings.topics_names.operations
    return sum(each.topic == operations for each in world.tables.records)


def test_a_look_opens_a_group_with_one_event_and_the_next_changes_nothing(
    world: ApiWorld, console: Console
) -> None:
    found = console.look()
    assert found.changed == groups(world)
    [group] = groups(world)
    assert (group.partner_id, group.fingerprint, group.state) == (
        "acme",
        Fingerprint("crm", "failed", 503, "answered <n>"),
        GroupState.OPEN,
    )
    before = world.tables.offset
    assert console.look() == Due()
    assert (world.tables.offset, events(world)) == (before, 1)


def test_of_two_consoles_that_find_the_same_one_writes_it(
    world: ApiWorld, console: Console
) -> None:
    other = Console(world, console.index)

    def meanwhile() -> None:
        assert len(other.look().changed) == 1

    assert console.look(meanwhile).changed == []
    assert (len(groups(world)), events(world)) == (1, 1)


def test_what_a_console_found_and_did_not_write_is_found_by_the_next_look(
    world: ApiWorld, console: Console
) -> None:
    def dies() -> None:
        raise DependencyUnavailable("the brokers do not answer")

    with pytest.raises(DependencyUnavailable):
        console.look(dies)
    assert (groups(world), events(world)) == ([], 0)
    assert len(console.look().changed) == 1
    # All of the index again, since nothing of it was written.
    assert console.index.asked_since == [WINDOW.since, WINDOW.since]


def test_all_of_the_index_is_looked_through_once_and_again_when_it_reaches_back_further(
    console: Console,
) -> None:
    index = console.index
    index.present = WINDOW._replace(since=NOON - 2 * DAY, building=True)
    console.look()
    console.look()
    index.present = WINDOW._replace(since=NOON - 3 * DAY)
    console.look()
    console.look()
    recent = NOON - QUIET - HOUR
    assert index.asked_since == [NOON - 2 * DAY, recent, NOON - 3 * DAY, recent]


@pytest.mark.parametrize(
    "present",
    [
        WINDOW._replace(since=None),
        WINDOW._replace(until=None),
        WINDOW._replace(reading=False),
        WINDOW._replace(until=NOON - 2 * MINUTE - 1),
    ],
)
def test_an_index_that_is_not_up_to_date_changes_no_group(
    console: Console, present: Window
) -> None:
    console.index.present = present
    assert (console.look(), console.index.asked_since) == (Due(), [])


def test_nothing_changes_while_a_subscription_cannot_be_read_at_all(
    world: ApiWorld, console: Console
) -> None:
    world.tables.put(world.settings.topics_names.subscriptions, "crm", b"nonsense")
    assert console.look() == Due()


def test_the_groups_of_a_deleted_subscription_are_resolved(
    world: ApiWorld, console: Console
) -> None:
    console.look()
    world.add(replace(subscription("crm"), state=SubscriptionState.DELETED))
    console.look()
    assert [(each.state, each.revision) for each in groups(world)] == [(GroupState.RESOLVED, 2)]
    assert events(world) == 2


def test_a_success_and_a_quiet_time_resolve_a_group(world: ApiWorld, console: Console) -> None:
    console.look()
    succeeded = replace(FIRST, started_at=2_000, disposition="complete", outcome="delivered")
    console.index.found_attempts.append(IndexedAttempt(succeeded, NOON, 0, 2))
    console.index.present = WINDOW._replace(since=NOON - DAY)
    console.look()
    assert [each.state for each in groups(world)] == [GroupState.RESOLVED]


class PagedIndex(MemoryIndex):
    """An index whose pages have one attempt each."""

    def attempts(
        self, wanted: AttemptFilter, after: Cursor | None = None, limit: int = 50
    ) -> Page[IndexedAttempt]:
        del limit
        return super().attempts(wanted, after, 1)


def test_a_bounded_number_of_attempts_is_looked_through_for_those_of_a_group(
    world: ApiWorld, console: Console
) -> None:
    console.look()
    [group] = groups(world)
    book = world.services.failures()
    entries = [
        replace(FIRST, delivery_id=f"msg_{at}", status=500 + at % 2 * 3) for at in range(99)
    ]
    found = [IndexedAttempt(each, NOON, 0, at) for at, each in enumerate(entries)]
    shown = last_attempts(MemoryIndex(found), book, group, 0)
    assert [each.entry.delivery_id for each in shown] == [
        f"msg_{at}" for at in range(1, 2 * LAST_ATTEMPTS, 2)
    ]
    assert len(last_attempts(PagedIndex(found), book, group, 0)) == 2


def test_the_attempts_of_others_are_those_without_a_group_of_their_own(
    world: ApiWorld, console: Console
) -> None:
    words = [chr(97 + at // 26) + chr(97 + at % 26) for at in range(MOST_OF_SUBSCRIPTION + 2)]
    console.index.found_attempts = [
        IndexedAttempt(
            replace(FIRST, error=word, delivery_id=f"msg_{word}", started_at=at), NOON, 0, at
        )
        for at, word in enumerate(words)
    ]
    while console.look().changed:
        pass
    book = world.services.failures()
    mine = Errors("acme", Fingerprint("crm", "failed", 503, "aa"))
    [others] = [each for each in groups(world) if each.fingerprint == others_of(mine).fingerprint]
    found = last_attempts(console.index, book, others, 0)
    assert [each.entry.error for each in found] == words[-2:]


def test_errors_of_groups_are_said_to_be_counted_from_where_the_index_looked() -> None:
    book = FailureBook()
    book.put(OUR_FAILURE.id, OUR_FAILURE)
    seen = seen_of(MemoryIndex(), book, [OUR_FAILURE], NOON - DAY)
    # It knows the last hour.
    assert (seen.since, seen.by_id) == (NOON - HOUR, {})
    assert seen_of(MemoryIndex(), book, [], NOON - DAY).since == NOON - DAY
