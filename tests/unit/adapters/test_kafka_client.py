"""What lasts is said once, and so is its end."""

import asyncio

from tests.doubles.clock import LoopClock
from tests.doubles.seeing import RememberingJournal

from hookstream.adapters.kafka_client import Trouble


async def test_a_trouble_that_lasts_is_said_once_and_its_end_once() -> None:
    journal = RememberingJournal()
    trouble = Trouble("tables_stale", journal, LoopClock())
    for _ in range(100):
        trouble.lasts("no answer")
        await asyncio.sleep(1)

    trouble.over()
    trouble.over()

    assert journal.lines == [
        ("warning", "tables_stale", {"seconds": 30, "detail": "no answer"}),
        ("info", "tables_stale_over", {"seconds": 100}),
    ]


async def test_a_trouble_that_passes_soon_is_not_said() -> None:
    journal = RememberingJournal()
    trouble = Trouble("tables_stale", journal, LoopClock())
    for _ in range(5):
        trouble.lasts("no answer")
        await asyncio.sleep(20)
        trouble.over()

    assert journal.lines == []
