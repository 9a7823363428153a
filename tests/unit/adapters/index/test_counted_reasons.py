"""What was set aside is counted by its reason as it comes, and as it is resolved."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.doubles.api_records import purged_letter
from tests.doubles.index_log import START, SilentLog
from tests.doubles.lives import FIRST

from hookstream.adapters.index.answers import DeadLetterFilter, ReasonCount, Whose
from hookstream.adapters.index.aside_file import IndexedAside
from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.model.instant import DAY, HOUR, MINUTE, Millis
from hookstream.core.redrive.ledger import Ledger, ResolvedBy
from hookstream.core.redrive.marks import OffsetRange, Position, RedriveSource

DAY_OF_START = START - START % DAY
NOW = START + DAY
OWNERS = {"shop": "acme", "crm": "acme", "erp": "globex"}
DEAD = RedriveSource.DEAD_LETTERS


def letter(offset: int, at: Millis, subscription: str, reason: str) -> IndexedAside:
    """Return a dead letter."""
    summary = purged_letter(FIRST).summary
    return IndexedAside(
        DEAD,
        replace(
            summary,
            position=Position(0, offset),
            at=at,
            subscription_id=subscription,
            partner_id=OWNERS[subscription],
            reason=reason,
            last_status="410" if reason == "gone" else "503",
        ),
    )


LETTERS = [
    letter(0, START, "shop", "exhausted"),
    letter(1, START + MINUTE, "shop", "expired"),
    letter(2, START + MINUTE, "crm", "exhausted"),
    letter(3, START + 30 * MINUTE, "erp", "exhausted"),
    letter(4, START + DAY, "erp", "gone"),
]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[IndexWriter]:
    made = IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    for day in (DAY_OF_START, DAY_OF_START + DAY):
        made.begin(Family.ASIDE, day)
        of_day = [each for each in LETTERS if each.summary.at // DAY * DAY == day]
        # Read twice, as after a crash.
        for _ in range(2):
            made.aside(day, of_day, [], {})
        made.complete(Family.ASIDE, day)
    made.begin(Family.ATTEMPTS, START)
    made.read_up_to({"read_to": NOW, "beat": NOW})
    yield made
    made.close()


def counted(
    tmp_path: Path, whose: Whose, since: Millis = START, until: Millis = NOW + HOUR
) -> dict[str, tuple[int, int]]:
    """Return how many records of each reason came, and how many are open."""
    reader = IndexReader(tmp_path, lambda: NOW)
    found = reader.reasons(DEAD, whose, since, until)
    reader.close()
    return {reason: (records, left) for reason, records, left in map(_plain, found.reasons)}


def _plain(count: ReasonCount) -> tuple[str, int, int]:
    return count.reason, count.records, count.open


def test_dead_letters_are_counted_by_reason_and_by_whose_they_are(
    writer: IndexWriter, tmp_path: Path
) -> None:
    del writer
    assert counted(tmp_path, Whose()) == {
        "exhausted": (3, 3),
        "expired": (1, 1),
        "gone": (1, 1),
    }
    assert counted(tmp_path, Whose("acme")) == {"exhausted": (2, 2), "expired": (1, 1)}
    shop = frozenset({"shop"})
    assert counted(tmp_path, Whose("acme", shop)) == {"exhausted": (1, 1), "expired": (1, 1)}
    assert counted(tmp_path, Whose(None, shop)) == {"exhausted": (1, 1), "expired": (1, 1)}
    for foreign in (Whose("globex", shop), Whose("nobody"), Whose("acme", frozenset())):
        assert counted(tmp_path, foreign) == {}


def test_open_letters_are_counted_by_their_last_status_and_listed_by_it(
    writer: IndexWriter, tmp_path: Path
) -> None:
    file = writer._aside_file(DAY_OF_START)  # noqa: SLF001  what marks reach through the writer
    file.resolve(DEAD, 0, [OffsetRange(0, 0)], ResolvedBy("redrive-1"))
    reader = IndexReader(tmp_path, lambda: NOW)
    found = reader.dead_letter_counts(Whose("globex")).groups
    assert [(each.of, each.reason, each.status, each.records) for each in found] == [
        ("erp", "exhausted", "503", 1),
        ("erp", "gone", "410", 1),
    ]
    everything = reader.dead_letter_counts(Whose()).groups
    assert [(each.of, each.status) for each in everything] == [
        ("crm", "503"),
        ("erp", "503"),
        ("erp", "410"),
        ("shop", "503"),
    ]
    for status, offsets in (("410", [4]), ("503", [3, 2, 1, 0]), ("404", [])):
        wanted = DeadLetterFilter(statuses=frozenset({status}))
        page = reader.dead_letters(wanted)
        assert [each.summary.position.offset for each in page.items] == offsets
    assert reader.dead_letters(DeadLetterFilter(subscriptions=frozenset())).items == ()
    reader.close()


def test_only_the_minutes_of_the_interval_count(writer: IndexWriter, tmp_path: Path) -> None:
    del writer
    found = counted(tmp_path, Whose(), START + MINUTE, START + 30 * MINUTE)
    assert found == {"exhausted": (1, 1), "expired": (1, 1)}
    assert counted(tmp_path, Whose(), START + 2 * MINUTE, START + 29 * MINUTE) == {}


def test_what_is_resolved_stays_counted_and_is_not_open_any_more(
    writer: IndexWriter, tmp_path: Path
) -> None:
    file = writer._aside_file(DAY_OF_START)  # noqa: SLF001  what marks reach through the writer
    for _ in range(2):
        file.resolve(DEAD, 0, [OffsetRange(0, 1)], ResolvedBy("redrive-1"))
    assert counted(tmp_path, Whose()) == {
        "exhausted": (3, 2),
        "expired": (1, 0),
        "gone": (1, 1),
    }
    assert counted(tmp_path, Whose("globex")) == {"exhausted": (1, 1), "gone": (1, 1)}


def test_what_a_ledger_resolves_is_counted_alike(writer: IndexWriter, tmp_path: Path) -> None:
    class Everything(Ledger):
        def resolved_by(self, source: RedriveSource, position: Position) -> ResolvedBy | None:
            del source, position
            return ResolvedBy("redrive-1")

    writer._aside_file(DAY_OF_START).resolve_all(Everything())  # noqa: SLF001
    assert counted(tmp_path, Whose()) == {
        "exhausted": (3, 0),
        "expired": (1, 0),
        "gone": (1, 1),
    }
