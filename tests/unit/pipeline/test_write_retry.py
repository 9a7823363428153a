"""A refused write is retried for as long as this worker owns its partition, and no longer."""

import asyncio
from functools import partial

from tests.doubles.broker import Broker
from tests.doubles.clock import LoopClock
from tests.doubles.listener import OwnedListener
from tests.doubles.seeing import CountingMetrics, RememberingLogger

from hookstream.core.model.record import OutgoingRecord, Record, TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.pipeline.fence import Fence
from hookstream.pipeline.partitions import Partitions
from hookstream.pipeline.ports import Acknowledged, WriteRefused
from hookstream.pipeline.skips import Skips
from hookstream.pipeline.write_retry import WriteRetry

HERE = TopicPartition("printprice.orders", 0)
NO = WriteRefused("not authorised", too_large=False)


class RefusingSink:
    """A RecordSink that refuses whatever is written."""

    def __init__(self) -> None:
        self.tries = 0

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        del record
        self.tries += 1
        acknowledged(NO)


async def test_a_write_is_not_retried_once_its_partition_went_to_another_worker() -> None:
    """The new owner writes it; writing it here too would make a copy for each reassignment."""
    source = Broker(LoopClock()).source("g", list)
    partitions = Partitions(source, OwnedListener(), RememberingLogger(), CountingMetrics())
    partitions.on_assigned({HERE: CommitPosition(0)})
    (receipt,) = partitions.receive([Record(*HERE, 0, 0, None, b"", ())])
    sink = RefusingSink()
    skips, logger = Skips(), RememberingLogger()
    fence = Fence(skips, LoopClock(), logger, partial(asyncio.sleep, 0))
    write_retry = WriteRetry(sink, skips, fence, logger)
    async with asyncio.TaskGroup() as tasks:
        insisting = tasks.create_task(
            write_retry.write(OutgoingRecord("dead", None, b""), NO, receipt, None)
        )
        await asyncio.sleep(600)
        tried = sink.tries

        partitions.on_lost([HERE])
        await asyncio.sleep(120)

        assert insisting.done()
    assert tried > 5
    assert sink.tries == tried
