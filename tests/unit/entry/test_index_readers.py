"""A console's index is read by one handler at a time, and requests that follow one another find its files open."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, get_ident

import pytest

from hookstream.adapters.index.reader import IndexReader
from hookstream.entry.console.index_readers import BUSY_PLACES, IndexReaders
from hookstream.entry.console.request_threads import RequestThreads, place

pytestmark = pytest.mark.real_time

THREADS = BUSY_PLACES + 2
PATIENCE = 60.0


@pytest.fixture
def threads() -> Iterator[RequestThreads]:
    made = RequestThreads(THREADS)
    yield made
    made.close()


async def at_once(threads: RequestThreads, readers: IndexReaders) -> list[IndexReader]:
    """Return the readers of as many handlers as there are threads, all of which run at one instant."""
    met = Barrier(THREADS)

    def handler() -> IndexReader:
        met.wait(PATIENCE)
        found = readers.own()
        met.wait(PATIENCE)
        return found

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(threads.run(handler)) for _ in range(THREADS)]
    return [await each for each in asked]


async def test_handlers_that_run_at_once_have_a_reader_each(
    threads: RequestThreads, tmp_path: Path
) -> None:
    readers = IndexReaders(tmp_path)
    first = await at_once(threads, readers)
    again = await at_once(threads, readers)
    assert len(set(first)) == THREADS
    assert set(again) == set(first)


async def test_requests_that_follow_one_another_have_one_reader_on_whichever_threads(
    threads: RequestThreads, tmp_path: Path
) -> None:
    readers = IndexReaders(tmp_path)
    other = RequestThreads(1)
    found = [
        await each.run(lambda: (readers.own(), get_ident())) for each in (threads, other, threads)
    ]
    other.close()
    assert len({reader for reader, _ in found}) == 1
    assert len({thread for _, thread in found}) > 1


async def test_a_handler_that_fails_leaves_its_place(threads: RequestThreads) -> None:
    def failing() -> int:
        raise KeyError(place())

    for _ in range(2 * THREADS):
        with pytest.raises(KeyError, match="0"):
            await threads.run(failing)
    assert await threads.run(place) == 0


async def test_what_is_no_handler_has_the_reader_of_its_thread(tmp_path: Path) -> None:
    readers = IndexReaders(tmp_path)
    other = await asyncio.to_thread(readers.own)
    assert readers.own() is readers.own() is not other
    assert place() is None
