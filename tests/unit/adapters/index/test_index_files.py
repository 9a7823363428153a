"""The index's files: what a partner sees of them, what is bounded, and what happens to a damaged one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.index_log import (
    ATTEMPTS,
    START,
    IndexLog,
    SilentLog,
    entry_for,
    indexed,
    pending,
    waiting_for,
)

from hookstream.adapters.index.answers import (
    AttemptFilter,
    Cursor,
    DeliveryFilter,
    DueFilter,
    PendingFilter,
    Whose,
)
from hookstream.adapters.index.folder import Family, IndexFolder
from hookstream.adapters.index.id_filter import FilterBuilder, IdFilter
from hookstream.adapters.index.now_file import NowFile, Waiting
from hookstream.adapters.index.now_reader import NowReader
from hookstream.adapters.index.packing import (
    delivery_of,
    id_of,
    packed_delivery,
    packed_id,
    packed_trace,
    trace_of,
)
from hookstream.adapters.index.postings import Of, hash_of
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter, ReadAgain
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, encode_metadata
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.core.statistics.due import due_intervals
from hookstream.errors import DependencyUnavailable, InputRefused

NOW = START + HOUR


class TakenLog(SilentLog):
    """Keeps the names of what was logged."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def warning(self, event: str, **_: str | float | None) -> None:
        """Keep it."""
        self.events.append(event)

    info = warning


def written(folder: Path, log: IndexLog, *, most_bytes: int = 1 << 30) -> IndexWriter:
    """Write a log's hours, the newest first, and return the writer."""
    writer = IndexWriter(folder, most_bytes=most_bytes, log=TakenLog())
    for hour in reversed(log.hours()):
        writer.begin(Family.ATTEMPTS, hour)
        records = log.of_hour(hour)
        writer.attempts(
            hour,
            [indexed(each) for each in records if isinstance(each.what, AuditEntry)],
            [pending(each) for each in records if not isinstance(each.what, AuditEntry)],
            {each.where: each.offset + 1 for each in records},
            ATTEMPTS,
        )
        writer.complete(Family.ATTEMPTS, hour)
    writer.read_up_to({"read_to": NOW, "beat": NOW})
    return writer


def two_partners() -> IndexLog:
    """Twelve deliveries of two partners, every fourth of them failed, over two hours."""
    log = IndexLog()
    for event in range(12):
        shop = event % 2 == 0
        failed = event % 4 == 0
        log.append(
            START + event * 9 * MINUTE,
            entry_for(
                event,
                at=START + event * 9 * MINUTE,
                subscription="shop" if shop else "erp",
                partner="acme" if shop else "globex",
                outcome="failed" if failed else "delivered",
                disposition="retry" if failed else "complete",
                status=503 if failed else 200,
                error="answered 503" if failed else None,
                batch="msgb_together" if event in (1, 3) else None,
            ),
            event % 2,
        )
    return log


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[IndexReader]:
    written(tmp_path, two_partners()).close()
    opened = IndexReader(tmp_path, lambda: NOW)
    yield opened
    opened.close()


def events(reader: IndexReader, wanted: AttemptFilter) -> list[str]:
    return [each.entry.event_id for each in reader.attempts(wanted, limit=100).items]


def test_whatever_a_partner_asks_for_it_gets_its_own_alone(reader: IndexReader) -> None:
    theirs = entry_for(1, at=START, subscription="erp").delivery_id
    for wanted in (
        AttemptFilter(partner_id="acme", subscriptions=frozenset({"erp"})),
        AttemptFilter(partner_id="acme", delivery_id=theirs),
        AttemptFilter(partner_id="acme", delivery_id="msgb_together"),
        AttemptFilter(partner_id="acme", event_id="event-1"),
        AttemptFilter(partner_id="nobody"),
    ):
        assert events(reader, wanted) == []
    assert set(events(reader, AttemptFilter(partner_id="acme", entity_id="quote-1"))) == {
        "event-4",
        "event-10",
    }
    assert reader.delivery(theirs, partner_id="acme") is None
    assert reader.delivery(theirs, partner_id="globex") is not None
    mine = reader.deliveries(DeliveryFilter(partner_id="acme"), limit=100).items
    assert {each.state.partner_id for each in mine} == {"acme"}
    assert len(mine) == 6
    assert not reader.deliveries(DeliveryFilter(partner_id="acme", event_id="event-1")).items
    whose = Whose(partner_id="acme", subscriptions=frozenset({"erp"}))
    foreign = reader.statistics(whose, START, START + 2 * HOUR, MINUTE, now=NOW)
    assert (foreign.counts.events, foreign.errors, foreign.last_attempt) == (0, (), None)


def test_attempts_are_found_by_status_outcome_batch_and_time(reader: IndexReader) -> None:
    failed = ["event-8", "event-4", "event-0"]
    assert events(reader, AttemptFilter(statuses=(500, 599))) == failed
    assert events(reader, AttemptFilter(failed=True, partner_id="acme")) == failed
    assert events(reader, AttemptFilter(outcomes=frozenset({"failed"}))) == failed
    assert events(reader, AttemptFilter(delivery_id="msgb_together")) == ["event-3", "event-1"]
    since, until = START + 9 * MINUTE, START + 27 * MINUTE
    assert events(reader, AttemptFilter(since=since, until=until)) == ["event-2", "event-1"]


def test_runs_are_listed_by_their_state_the_newest_event_first(reader: IndexReader) -> None:
    pending_ones = DeliveryFilter(states=frozenset({DeliveryState.PENDING}))
    found = reader.deliveries(pending_ones).items
    assert [each.state.event_id for each in found] == ["event-8", "event-4", "event-0"]
    of_entity = reader.deliveries(DeliveryFilter(entity_id="quote-2")).items
    assert [each.state.event_id for each in of_entity] == [
        "event-11",
        "event-8",
        "event-5",
        "event-2",
    ]
    after: Cursor | None = None
    paged: list[str] = []
    while True:
        page = reader.deliveries(DeliveryFilter(), after, limit=5)
        paged += [each.state.event_id for each in page.items]
        after = page.after
        if after is None:
            break
    assert paged == [f"event-{event}" for event in reversed(range(12))]


@pytest.mark.parametrize(
    "cursor",
    [(), (1, 2), ("a", "b", "c"), (1, 2, 3, 4), (True, 1, 2), (2**63, 0, 0), (0, 0, -(2**70))],
)
def test_a_cursor_of_another_list_is_refused(reader: IndexReader, cursor: Cursor) -> None:
    with pytest.raises(InputRefused, match="cursor"):
        reader.attempts(AttemptFilter(), cursor)
    with pytest.raises(InputRefused, match="cursor"):
        reader.deliveries(DeliveryFilter(), cursor)
    with pytest.raises(InputRefused, match="cursor"):
        reader.pending(PendingFilter(), cursor)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_a_bounded_number_of_items(reader: IndexReader, limit: int) -> None:
    with pytest.raises(InputRefused, match="1 to 500"):
        reader.attempts(AttemptFilter(), limit=limit)


def test_steps_and_intervals_are_bounded(reader: IndexReader) -> None:
    for since, until, step in (
        (START, START + HOUR, 1_000),
        (START, START, MINUTE),
        (START, START + 2_002 * MINUTE, MINUTE),
        (START, START + HOUR, 90_000),
    ):
        with pytest.raises(InputRefused, match="steps"):
            reader.statistics(Whose(), since, until, step, now=NOW)


def test_a_folder_without_an_index_is_asked_again(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailable, match="no index"):
        IndexReader(tmp_path, lambda: NOW).window()


def test_answers_state_their_window_and_statistics_begin_with_it(tmp_path: Path) -> None:
    log = two_partners()
    writer = IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    newest = log.hours()[-1]
    writer.begin(Family.ATTEMPTS, newest)
    records = log.of_hour(newest)
    writer.attempts(
        newest,
        [indexed(each) for each in records],
        [],
        {each.where: each.offset + 1 for each in records},
        ATTEMPTS,
    )
    writer.read_up_to({"read_to": NOW, "beat": NOW, "building": 1})
    reader = IndexReader(tmp_path, lambda: NOW + 31_000)
    window = reader.window()
    assert (window.since, window.until, window.building) == (newest, NOW, True)
    assert not window.reading
    found = reader.statistics(Whose(), START, START + 2 * HOUR, MINUTE, now=NOW)
    assert (found.since, found.whole, found.counts.events) == (newest, False, len(records))
    reader.close()
    writer.close()


def test_the_oldest_hour_is_deleted_first_and_never_comes_back(tmp_path: Path) -> None:
    log = two_partners()
    writer = written(tmp_path, log)
    first, last = log.hours()
    files = IndexFolder(tmp_path).files(Family.ATTEMPTS)
    assert [file.start for file in files] == [last, first]
    writer.close()
    writer = IndexWriter(tmp_path, most_bytes=files[0].bytes() + 1, log=SilentLog())
    writer.begin(Family.ATTEMPTS, last)
    writer.maintain()
    assert [file.start for file in IndexFolder(tmp_path).files(Family.ATTEMPTS)] == [last]
    assert writer.floors[Family.ATTEMPTS] == last
    # A late attempt of an event of that hour is kept, what it says of the event's hour is not.
    late = indexed(log.append(START + 119 * MINUTE, entry_for(0, at=START, attempt=2)))
    writer.attempts(last, [late], [], {TopicPartition(ATTEMPTS, 0): late.offset + 1}, ATTEMPTS)
    writer.attempts(first, [late], [], {}, ATTEMPTS)
    # It was being read when it was deleted.
    assert writer.begin(Family.ATTEMPTS, first) == {}
    writer.complete(Family.ATTEMPTS, first)
    assert [file.start for file in IndexFolder(tmp_path).files(Family.ATTEMPTS)] == [last]
    writer.close()


def test_a_damaged_hour_is_deleted_with_the_later_ones_that_said_something_of_it(
    tmp_path: Path,
) -> None:
    log = two_partners()
    writer = written(tmp_path, log)
    first = log.hours()[0]
    file = IndexFolder(tmp_path).file(Family.ATTEMPTS, first)
    reader = IndexReader(tmp_path, lambda: NOW)
    writer.close()
    content = file.path.read_bytes()
    file.path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(DependencyUnavailable):
        reader.attempts(AttemptFilter(), limit=500)
    log_of_writer = TakenLog()
    writer = IndexWriter(tmp_path, most_bytes=1 << 30, log=log_of_writer)
    with pytest.raises(ReadAgain):
        writer.maintain()
    assert log_of_writer.events == ["index.file_deleted"]
    assert IndexFolder(tmp_path).files(Family.ATTEMPTS) == []
    writer.close()
    reader.close()


def test_a_file_of_another_format_is_deleted_and_rebuilt(tmp_path: Path) -> None:
    log = two_partners()
    writer = written(tmp_path, log)
    writer.close()
    folder = IndexFolder(tmp_path)
    [newest, _] = folder.files(Family.ATTEMPTS)
    for path in (newest.path, folder.now):
        content = bytearray(path.read_bytes())
        content[60:64] = (99).to_bytes(4, "big")  # where SQLite has user_version
        path.write_bytes(content)
    taken = TakenLog()
    writer = IndexWriter(tmp_path, most_bytes=1 << 30, log=taken)
    with pytest.raises(ReadAgain):
        writer.begin(Family.ATTEMPTS, newest.start)
    assert taken.events == ["index.file_deleted", "index.file_deleted"]
    assert not newest.path.exists()
    writer.close()


def test_a_closed_hour_has_a_filter_that_knows_every_id_of_it(
    tmp_path: Path,
) -> None:
    log = two_partners()
    writer = written(tmp_path, log)
    first = log.hours()[0]
    for _ in range(4):
        writer.maintain()
    [newest, oldest] = IndexFolder(tmp_path).files(Family.ATTEMPTS)
    assert (newest.filter.exists(), oldest.filter.exists()) == (False, True)
    with IdFilter(oldest.filter) as found:
        for record in log.of_hour(first):
            assert isinstance(record.what, AuditEntry)
            assert found.may_have(Of.DELIVERY, hash_of(packed_delivery(record.what.delivery_id)))
            assert found.may_have(Of.EVENT, hash_of(packed_id(record.what.event_id)))
            assert found.may_have(Of.ENTITY, hash_of(packed_id(record.what.entity_id)))
        assert found.may_have(Of.BATCH, hash_of("msgb_together"))
    # What comes late belongs into the filter too.
    late = indexed(log.append(START + 119 * MINUTE, entry_for(99, at=START), 1))
    writer.attempts(first, [late], [], {TopicPartition(ATTEMPTS, 1): late.offset + 1}, ATTEMPTS)
    assert not oldest.filter.exists()
    writer.close()


def waits(number: int, *, at: int = START, reason: DeferReason | None = None) -> Waiting:
    """A tier record in the first partition of a tier."""
    delivery = waiting_for(entry_for(number, at=at), due_at=at + number, reason=reason)
    record = PendingRecord(delivery, "hookstream.retry.5s", 0, number, at)
    return Waiting("hookstream.retry.5s", 0, number, record)


def committed(base: int, *spans: tuple[int, int]) -> GroupPosition:
    """The retry group's position in that partition."""
    metadata = encode_metadata(base, spans, 1_000).text
    at = TopicPartition("hookstream.retry.5s", 0)
    return GroupPosition("g", at, None, CommitPosition(base, metadata), 0, 100, None)


def test_what_waits_is_removed_as_commits_and_their_notes_pass_it(tmp_path: Path) -> None:
    path = tmp_path / "now.db"
    file = NowFile(path)
    file.add([waits(number) for number in range(6)], {})
    file.settle([committed(1, (3, 5))])
    # Read again, as after a restart: what is settled does not come back, the rest is there once.
    file.add([waits(number) for number in range(6)], {})
    reader = NowReader(path)
    found, after = reader.pending(PendingFilter(), None, 100, 1_000)
    assert ([each.offset for each in found], after) == ([1, 2, 5], None)
    assert found[0].delivery == replace(waits(1).pending.delivery)  # type: ignore[union-attr]
    file.settle([committed(6)])
    assert reader.pending(PendingFilter(), None, 100, 1_000) == ([], None)
    assert _waiting(reader) == (0, 0)
    file.close()
    reader.close()


def _waiting(reader: NowReader, partner_id: str | None = None) -> tuple[int, int]:
    """Return how many records are listed and only counted."""
    summary = reader.summary(DueFilter(partner_id), due_intervals(1, NOW), reader.window(NOW))
    return sum(each.runs for each in summary.subscriptions), summary.only_counted


def test_beyond_the_bound_what_waits_is_only_counted_and_read_again_when_there_is_room(
    tmp_path: Path,
) -> None:
    path = tmp_path / "now.db"
    file = NowFile(path, most=10)
    file.add([waits(number) for number in range(25)], {})
    reader = NowReader(path)
    assert _waiting(reader) == (10, 15)
    assert _waiting(reader, "acme") == (10, 1)
    again = file.settle([committed(5)])
    assert again == {TopicPartition("hookstream.retry.5s", 0): 10}
    file.add([waits(number) for number in range(10, 25)], {})
    assert _waiting(reader) == (10, 10)
    # A commit that passes what was only counted removes it as well.
    file.settle([committed(20)])
    assert _waiting(reader)[1] in (0, 5)
    file.close()
    reader.close()


@given(st.lists(st.integers(0, 2**35 - 1), max_size=300, unique=True))
def test_a_filter_denies_nothing_that_it_has(
    tmp_path_factory: pytest.TempPathFactory, hashes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("filter") / "some.ids"
    builder = FilterBuilder(len(hashes))
    builder.add(Of.EVENT, hashes)
    builder.write(path)
    with IdFilter(path) as found:
        assert all(found.may_have(Of.EVENT, each) for each in hashes)


def test_a_filter_admits_few_of_what_it_does_not_have(tmp_path: Path) -> None:
    ids = [packed_delivery(delivery_id("a", str(each), "b")) for each in range(20_000)]
    builder = FilterBuilder(10_000)
    builder.add(Of.DELIVERY, map(hash_of, ids[:10_000]))
    builder.write(tmp_path / "some.ids")
    with IdFilter(tmp_path / "some.ids") as found:
        assert sum(found.may_have(Of.DELIVERY, hash_of(each)) for each in ids[10_000:]) < 400


@given(
    st.text(max_size=40) | st.uuids().map(str) | st.from_regex("msg_[a-z2-7]{26}", fullmatch=True)
)
def test_ids_are_read_as_they_were_written(text: str) -> None:
    assert id_of(packed_id(text)) == text
    assert trace_of(packed_trace(text)) == text
    shown = delivery_of(packed_delivery(text))
    assert shown == text


@given(st.text(max_size=20))
def test_the_ids_of_deliveries_are_packed_and_read_back(text: str) -> None:
    made = delivery_id("pricing.completed", text, "shop")
    assert isinstance(packed_delivery(made), bytes)
    assert delivery_of(packed_delivery(made)) == made
