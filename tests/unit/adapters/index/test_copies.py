"""What the index answers of one delivery has copies of an attempt once, and all of them beside it."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.doubles.index_log import ATTEMPTS, START, IndexLog, SilentLog, entry_for, indexed

from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.model.instant import HOUR


@pytest.mark.parametrize("copies", [1, 3])
def test_a_delivery_has_its_copies_merged_and_kept_beside(tmp_path: Path, copies: int) -> None:
    log, writer = IndexLog(), IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    first = entry_for(1, at=START, subscription="crm", disposition="retry")
    made = [replace(first, started_at=START + number) for number in range(copies)]
    records = [log.append(START + number, entry) for number, entry in enumerate(made)]
    writer.begin(Family.ATTEMPTS, START)
    positions = {each.where: each.offset + 1 for each in records}
    writer.attempts(START, [indexed(each) for each in records], [], positions, ATTEMPTS)
    writer.read_up_to({"read_to": START + HOUR, "beat": START})
    writer.close()

    with closing(IndexReader(tmp_path, lambda: START)) as reader:
        found = reader.delivery(first.delivery_id)
    assert found is not None
    assert [entry.started_at for entry in found.history.entries] == [START + copies - 1]
    assert sorted(entry.started_at for entry in found.entries) == [
        entry.started_at for entry in made
    ]
    assert (found.event_type, bool(found.unmerged)) == (first.event_type, copies > 1)
