"""What moves from one topic to another while both are read was read in one of them, or counts as unsettled."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import pytest
from confluent_kafka import TopicPartition
from tests.conftest import Broker
from tests.integration.dead_letters_world import NOW, World, delivery, make_world
from tests.integration.index_world import settings_of

from hookstream.core.audit.history import DeliveryState
from hookstream.core.model.delivery import DeferReason, UnmatchedEvent
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.record import TopicPartition as Place
from hookstream.core.model.record_place import RecordPlace
from hookstream.core.redrive.marks import Mark, OffsetRange, RedriveSource
from hookstream.entry.admin.deliveries import DeliveryReaders, DeliverySelection, listed
from hookstream.entry.admin.event_search import SearchBudget
from hookstream.entry.admin.explain import ExplainRequest, explain
from hookstream.settings import Settings
from hookstream.settings.groups import EventsSettings

T = TypeVar("T")


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    """With an event that no worker has settled."""
    made = make_world(broker, prefix, capsys)
    made.append(topic_of(made), made.event())
    return made


def topic_of(world: World) -> str:
    return f"{world.names.prefix}.ev"


def place_of(world: World) -> RecordPlace:
    return RecordPlace(Place(topic_of(world), 0), 0)


def settings(world: World) -> Settings:
    return replace(settings_of(world), events=EventsSettings(topics=(topic_of(world),)))


def move(world: World) -> None:
    """Have the event's delivery wait in a tier, and its record settled, as a worker does."""
    world.wait(delivery(2))
    world.commit(world.names.group, TopicPartition(topic_of(world), 0, 1))


def test_an_event_that_moves_while_the_tiers_are_read_counts_as_unsettled_in_a_list(
    world: World,
) -> None:
    """Its delivery is not among those that were read: without the count, nothing would be known of it."""
    world.wait(delivery(1))
    readers = DeliveryReaders(settings(world), 1_000)
    readers.pending.progress = lambda *_: move(world)
    pending = DeliverySelection(states=frozenset({DeliveryState.PENDING.value}))

    found = listed(readers, pending, NOW)

    assert [each.run.delivery_id for each in found.selected.states] == [delivery(1).delivery_id]
    assert found.unsettled_events == 1


class Budget(SearchBudget):
    """Has something happen once a topic was read."""

    def __init__(self, topic: str, happens: Callable[[], None]) -> None:
        super().__init__()
        self.topic = topic
        self.happens = happens

    def within(
        self, what: str, since: Millis | None, reading: Callable[[], Iterable[T]]
    ) -> Iterator[T]:
        yield from super().within(what, since, reading)
        if what == self.topic:
            self.happens()


def test_an_event_that_moves_once_the_tiers_were_read_is_not_explained_as_settled(
    world: World,
) -> None:
    """It would have been settled, and in no topic: as if it had matched nothing."""
    budget = Budget(world.names.tier(0), lambda: move(world))
    request = ExplainRequest(place_of(world), 0)

    [event] = explain(settings(world), request, budget).events

    assert event.settled.startswith("its record is not settled")


def test_what_moves_on_once_its_tier_was_read_is_explained_as_waiting(world: World) -> None:
    """Its copy in the next tier is not among what was read."""
    origin = Origin(topic_of(world), 0, 0, NOW)
    world.wait(UnmatchedEvent(origin, NOW, deferred_reason=DeferReason.SCHEMA_UNKNOWN))
    tier = world.names.tier(0)
    settled = TopicPartition(tier, 0, 1)
    budget = Budget(tier, lambda: world.commit(world.names.retry_group, settled))
    request = ExplainRequest(place_of(world), 0)

    [event] = explain(settings(world), request, budget).events

    assert [each.is_open for each in event.asides] == [True]


def test_what_is_redriven_once_the_tiers_were_read_is_explained_as_open(world: World) -> None:
    """As resolved, it would wait nowhere: its copy in a tier is not among what was read."""
    record = Record(topic_of(world), 0, 0, NOW, b"k", world.event(), ())
    world.set_aside(record, Undecodable(UndecodableReason.UNKNOWN_SCHEMA, "not published yet"))

    def redrive() -> None:
        world.wait(UnmatchedEvent(Origin(topic_of(world), 0, 0, NOW), NOW))
        mark = Mark("redrive-1", RedriveSource.UNDECODABLE, 0, (OffsetRange(0, 0),))
        world.write(world.names.jobs, (mark.key, mark.encode()))

    request = ExplainRequest(place_of(world), 0)

    [before] = explain(settings(world), request, Budget(world.names.tier(0), redrive)).events
    [after] = explain(settings(world), request).events

    assert [(each.kind, each.is_open) for each in before.asides] == [("undecodable", True)]
    assert [(each.kind, each.is_open) for each in after.asides] == [
        ("undecodable", False),
        ("tier", True),
    ]
