"""A part of some topics' events ends where it may, and the next one begins exactly there."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.record import Record, TopicPartition
from hookstream.entry.admin import event_pages
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.event_pages import (
    EventPosition,
    EventsAsked,
    EventsPart,
    PartReading,
)
from hookstream.settings import Settings

HERE, THERE = TopicPartition("events", 0), TopicPartition("events", 1)
ASKED = EventsAsked(most=100, seconds=20.0)


def records(at: TopicPartition, *offsets: int) -> list[Record]:
    return [Record(*at, offset, 0, None, b"no event", ()) for offset in offsets]


@dataclass
class Batches:
    """A log that has these batches, then nothing for ever."""

    batches: list[list[Record]]
    next: dict[TopicPartition, int] = field(default_factory=lambda: {HERE: 0, THERE: 0})

    def poll(self) -> list[Record] | None:
        if not self.batches:
            return None
        found = self.batches.pop(0)
        for each in found:
            self.next[each.where] = each.offset + 1
        return [each for each in found if each.where in self.next]

    def drop(self, at: TopicPartition) -> None:
        del self.next[at]


def part(log: Batches, asked: EventsAsked, end: int | None = None) -> EventsPart:
    seconds: Iterator[float] = iter(range(1_000))
    decoder = EventDecoder(Settings(), 1 << 20, SchemaBook())
    positions = [EventPosition(at, offset, end) for at, offset in log.next.items()]
    return PartReading(log, positions, decoder, asked, lambda: next(seconds)).part()


def offsets(found: EventsPart) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record, _ in found.shown]


def test_what_is_left_of_a_batch_is_read_by_the_next_part() -> None:
    batch = [*records(HERE, 0, 1, 4), *records(THERE, 2)]
    found = part(Batches([batch]), replace(ASKED, most=2))
    assert offsets(found) == [(0, 0), (0, 1)]
    assert found.positions == [EventPosition(HERE, 4, None), EventPosition(THERE, 2, None)]
    assert (found.read, found.is_over) == (2, False)


def test_records_behind_an_end_are_not_shown_and_a_part_is_over_at_all_ends() -> None:
    found = part(Batches([records(HERE, 0, 2, 3, 7), records(THERE, 3)]), ASKED, end=3)
    assert offsets(found) == [(0, 0), (0, 2)]
    assert found.is_over


def test_a_part_that_follows_ends_when_no_more_is_there_and_waits_for_the_first() -> None:
    log = Batches([[], records(HERE, 0), [], records(HERE, 1)])
    found = part(log, replace(ASKED, follow=True))
    assert offsets(found) == [(0, 0)]
    assert len(log.batches) == 1


def test_a_part_of_a_silent_log_ends_when_its_time_is_over() -> None:
    found = part(Batches([]), ASKED)
    assert (found.shown, found.is_over, len(found.positions)) == ([], False, 2)


def test_records_of_other_types_are_read_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_pages, "MOST_READ", 3)
    found = part(Batches([records(HERE, *range(5))]), ASKED)
    assert (found.read, found.positions[0].offset) == (3, 3)


def test_the_bytes_of_a_part_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_pages, "MOST_BYTES", len(b"no event") + 1)
    found = part(Batches([records(HERE, *range(5))]), ASKED)
    assert (len(found.shown), found.positions[0].offset) == (2, 2)
