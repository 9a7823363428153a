"""An operator's words are kept while they may be needed, and not for ever."""

from hookstream.core.model.record import Record, TopicPartition
from hookstream.pipeline.skips import Skips

HERE = TopicPartition("orders", 0)


def record(offset: int) -> Record:
    return Record("orders", 0, offset, 1_000, None, b"", ())


def test_the_newest_ten_thousand_words_are_kept() -> None:
    skips = Skips()
    for offset in range(20_000):
        skips.hear(HERE, offset, 1_000)
    skips.hear(HERE, 10_000, 1_000)
    skips.hear(HERE, 20_000, 1_000)

    assert [skips.covers(record(offset)) for offset in (9_999, 10_001, 10_000, 20_000)] == [
        False,
        False,
        True,
        True,
    ]
