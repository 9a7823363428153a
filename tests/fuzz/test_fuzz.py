"""20,000 untrusted records, through a real broker, end no worker and no command."""

import asyncio
from pathlib import Path

import pytest
from tests.conftest import Broker
from tests.fuzz.run import Ask, fuzz

SEED = 20_261_128
MEMORY_MB = 400
"""Four times what a worker takes here: a leak of 20 KB a record would show."""


@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_twenty_thousand_untrusted_records_all_come_to_an_end(
    broker: Broker, tmp_path: Path
) -> None:
    ask = Ask(records=20_000, seed=SEED, round=10_000, memory_mb=MEMORY_MB)
    results: list[str] = []
    asyncio.run(fuzz(ask, broker.bootstrap_servers, tmp_path, results.append))
    assert results[-1].endswith("commands read all of it")
