"""Skip requests are kept while they may be needed, and not for ever."""

import asyncio

from hookstream.core.model.record import Record, TopicPartition
from hookstream.pipeline.skips import Skips

HERE = TopicPartition("orders", 0)


def record(offset: int) -> Record:
    return Record("orders", 0, offset, 1_000, None, b"", ())


def test_the_newest_ten_thousand_skips_are_kept() -> None:
    skips = Skips()
    for offset in range(20_000):
        skips.skip(HERE, offset, 1_000)
    skips.skip(HERE, 10_000, 1_000)
    skips.skip(HERE, 20_000, 1_000)

    assert [skips.covers(record(offset)) for offset in (9_999, 10_001, 10_000, 20_000)] == [
        False,
        False,
        True,
        True,
    ]


async def test_a_skip_of_everything_below_an_offset_is_valid_for_two_minutes_from_the_last_request() -> (
    None
):
    skips = Skips()
    skips.skip_below(HERE, 10)
    await asyncio.sleep(100)
    skips.skip_below(HERE, 10)
    await asyncio.sleep(119)
    assert skips.covers(record(9))
    assert not skips.covers(record(10))

    await asyncio.sleep(2)

    assert not skips.covers(record(9))
