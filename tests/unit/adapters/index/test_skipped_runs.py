"""Runs that an operator's skip ended are counted as cancelled, until a record says more of them."""

from pathlib import Path

from tests.doubles.index_log import (
    ATTEMPTS,
    START,
    TIER,
    IndexLog,
    SilentLog,
    entry_for,
    indexed,
    pending,
    waiting_for,
)

from hookstream.adapters.index.answers import Whose
from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.now_file import Waiting
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import HOUR, MINUTE

NOW = START + HOUR


def counted(folder: Path) -> tuple[int, int, int]:
    reader = IndexReader(folder, lambda: START)
    found = reader.statistics(Whose(), START, NOW, MINUTE, now=NOW).counts
    reader.close()
    return found.cancelled, found.open, found.delivered


def test_a_skipped_event_ends_its_runs_that_are_open_and_do_not_wait(tmp_path: Path) -> None:
    log, writer = IndexLog(), IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    shops = ("nowhere", "waits", "later", "done")
    # One event for four subscriptions, and another event for the first of them.
    entries = [
        entry_for(
            1, at=START, subscription=shop, disposition="complete" if shop == "done" else "retry"
        )
        for shop in shops
    ] + [entry_for(2, at=START, subscription="nowhere", disposition="retry")]
    for entry in entries:
        log.append(START, entry)
    waits = log.append(START, waiting_for(entries[1], due_at=START))
    writer.begin(Family.ATTEMPTS, START)

    def write(*made: AuditEntry) -> None:
        some = [each for each in log.records if each.what in made]
        positions = {each.where: each.offset + 1 for each in some}
        writer.attempts(START, [indexed(each) for each in some], [], positions, ATTEMPTS)
        writer.read_up_to({"read_to": NOW, "beat": START})

    write(*entries)
    writer.waiting([Waiting(TIER, 0, waits.offset, pending(waits))], {})
    assert counted(tmp_path) == (0, 4, 1)
    origin = entries[0].origin
    skipped = writer.ended_by_skip_of(origin)
    assert {life.key.subscription_id for life in skipped} == {"nowhere", "later"}
    writer.join(skipped)
    writer.join(skipped)
    assert counted(tmp_path) == (2, 2, 1)
    assert writer.ended_by_skip_of(origin) == []
    assert writer.ended_by_skip_of(origin._replace(timestamp=START + 3 * HOUR)) == []
    # The skip was not needed: what comes of a run counts instead.
    log.append(
        START + 5_000,
        entry_for(1, at=START + 5_000, subscription="later", attempt=2, origin_at=START),
    )
    later = log.records[-1].what
    assert isinstance(later, AuditEntry)
    write(later)
    assert counted(tmp_path) == (1, 2, 2)
    writer.close()
