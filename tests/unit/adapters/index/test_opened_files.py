"""The files that readers have open are bounded, for one reader and for all of a process."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.doubles.index_log import START, IndexLog, SilentLog, entry_for, indexed

from hookstream.adapters.index.answers import AttemptFilter
from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.opened_files import OpenedFiles, OpenLimit
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.model.instant import HOUR

HOURS = 12


class Opened:
    """Something that is open until it is closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def path(tmp_path: Path) -> Callable[[int], Path]:
    def made(number: int) -> Path:
        found = tmp_path / f"{number}.db"
        found.touch()
        return found

    return made


def test_the_file_that_was_not_used_for_the_longest_is_closed_for_a_new_one(
    path: Callable[[int], Path],
) -> None:
    files: OpenedFiles[Opened] = OpenedFiles(2)
    first, second = files.put(path(1), Opened()), files.put(path(2), Opened())
    assert files.get(path(1)) is first
    files.put(path(3), Opened())
    assert (first.closed, second.closed) == (False, True)


def test_beyond_the_common_limit_a_reader_closes_its_own_and_whoever_has_none_opens_one(
    path: Callable[[int], Path],
) -> None:
    limit = OpenLimit(3)
    mine: OpenedFiles[Opened] = OpenedFiles(10, limit)
    others: OpenedFiles[Opened] = OpenedFiles(10, limit)
    of_mine = [mine.put(path(number), Opened()) for number in range(5)]
    assert [each.closed for each in of_mine] == [True, True, False, False, False]
    of_others = [others.put(path(number), Opened()) for number in range(3)]
    assert [each.closed for each in of_others] == [True, True, False]
    assert limit.opened == 4
    mine.close()
    others.close()
    assert limit.opened == 0


def test_a_file_that_is_gone_or_was_replaced_is_closed_and_counts_no_more(
    path: Callable[[int], Path],
) -> None:
    limit = OpenLimit()
    files: OpenedFiles[Opened] = OpenedFiles(10, limit)
    replaced = files.put(path(1), Opened())
    path(2).replace(path(1))
    assert files.get(path(1)) is None
    assert replaced.closed
    gone = path(3)
    gone.unlink()
    late = Opened()
    with pytest.raises(OSError, match="No such file"):
        files.put(gone, late)
    assert late.closed
    assert limit.opened == 0


def test_readers_of_many_threads_have_a_bounded_number_of_files_open_and_answer_all_the_same(
    tmp_path: Path,
) -> None:
    log = IndexLog()
    writer = IndexWriter(tmp_path, most_bytes=1 << 30, log=SilentLog())
    for number in range(HOURS):
        at = START + number * HOUR
        logged = log.append(at, entry_for(number, at=at))
        writer.begin(Family.ATTEMPTS, at)
        positions = {logged.where: logged.offset + 1}
        writer.attempts(at, [indexed(logged)], [], positions, logged.topic)
        writer.complete(Family.ATTEMPTS, at)
    writer.read_up_to({"read_to": START + HOURS * HOUR, "beat": START})
    writer.close()
    limit, readers = OpenLimit(5), 6
    barrier = threading.Barrier(readers)
    answers: list[int] = []
    peaks: list[int] = []

    def ask() -> None:
        reader = IndexReader(tmp_path, lambda: START, limit)
        barrier.wait()
        for _ in range(3):
            answers.append(len(reader.attempts(AttemptFilter()).items))
            peaks.append(limit.opened)
        barrier.wait()
        reader.close()

    threads = [threading.Thread(target=ask) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [HOURS] * 3 * readers
    assert max(peaks) <= 5 + readers
    assert limit.opened == 0
