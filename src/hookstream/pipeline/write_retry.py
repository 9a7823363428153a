"""Retries a refused write with back-off until it is accepted.

Its partition is stopped meanwhile, which is logged; nothing is skipped automatically. Only an operator can skip
the record: the write is then dropped, which is logged too.
"""

import asyncio
from functools import partial

from hookstream.core.model.delivery import Delivery, UnmatchedEvent
from hookstream.core.model.record import OutgoingRecord
from hookstream.pipeline.defects import Step, described
from hookstream.pipeline.fence import FIRST_PAUSE, LONGEST_PAUSE, Fence
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Logger, RecordSink, WriteRefused
from hookstream.pipeline.skips import Skips

_LOOK = 1.0
"""Seconds between two checks whether the partition is still ours."""
_NOTHING = 0.001
"""Shorter waits than this many seconds are left out."""


class WriteRetry:
    """Retries refused writes."""

    def __init__(self, sink: RecordSink, skips: Skips, fence: Fence, logger: Logger) -> None:
        """Write to `sink`; `skips` has the records that operators skipped, `fence` logs exceptions of `sink`."""
        self._sink = sink
        self._fence = fence
        self._skips = skips
        self._logger = logger

    async def write(
        self,
        record: OutgoingRecord,
        refused: WriteRefused,
        receipt: Receipt,
        state: Delivery | UnmatchedEvent | None,
    ) -> None:
        """Pause the receipt's partition until the record is written, or skipped by an operator.

        If the partition is revoked meanwhile, its next owner writes the record.
        """
        receipt.block()
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        refusal: WriteRefused | None = refused
        while refusal is not None:
            self._logger.error(
                "partition.stopped",
                **receipt.where._asdict(),
                offset=receipt.record.offset,
                writing_to=record.topic,
                detail=refusal.detail,
                remedy="make the topic accept the record; the write is retried automatically."
                f" To skip it: hookstream partition skip {receipt.where.topic}"
                f"/{receipt.where.partition} {receipt.record.offset}",
            )
            if await self._skipped_within(pause, receipt):
                self._logger.warning(
                    "partition.skipped",
                    **receipt.where._asdict(),
                    offset=receipt.record.offset,
                    writing_to=record.topic,
                    delivery_id=state.delivery_id if isinstance(state, Delivery) else None,
                    detail=refusal.detail,
                )
                break
            if not receipt.assigned:
                break
            pause = min(2 * pause, LONGEST_PAUSE)
            answer: asyncio.Future[WriteRefused | None] = loop.create_future()
            try:
                self._sink.write(record, partial(_set_refusal, answer))
            except Exception as error:  # noqa: BLE001  the fence: treated as refused
                self._fence.note(error, Step.SETTLE)
                refusal = WriteRefused(f"the sink raised {described(error)}", too_large=False)
                continue
            refusal = await answer
        receipt.unblock()

    async def _skipped_within(self, seconds: float, receipt: Receipt) -> bool:
        """Wait for a skip of a record, while its partition is ours; return whether it came.

        A drain waits for this, so it returns as soon as the partition is revoked.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        while receipt.assigned and (left := until - clock()) > _NOTHING:
            if await self._skips.requested_within(min(left, _LOOK), receipt.record):
                return True
        return False


def _set_refusal(
    answer: asyncio.Future[WriteRefused | None], refusal: WriteRefused | None
) -> None:
    """Set the result, unless the drain's deadline has passed and nothing waits for it."""
    if not answer.done():
        answer.set_result(refusal)
