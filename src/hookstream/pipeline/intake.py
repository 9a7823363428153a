"""Intake takes records of the event topics as fast as settling gives credit back, and no faster."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hookstream.core.model.record import Record, TopicPartition, header_text
from hookstream.pipeline.admission import Admission
from hookstream.pipeline.gate import Gate
from hookstream.pipeline.partitions import Partitions, Receipt
from hookstream.pipeline.ports import Journal, Metrics, RecordSource, Tracer

_MOST = 500
"""Records a batch: enough to make the cost of a hand-over vanish, few enough to keep order of use."""


@dataclass(slots=True, frozen=True)
class Seeing:
    """What an intake loop is seen by."""

    tracer: Tracer
    journal: Journal
    metrics: Metrics


class Intake:
    """The loop over the event topics."""

    def __init__(
        self,
        source: RecordSource,
        partitions: Partitions,
        admission: Admission,
        gate: Gate,
        seeing: Seeing,
        *,
        group: str,
        accept_create_time: bool,
    ) -> None:
        """Take from `source`, whose listener is `partitions`."""
        self._source = source
        self._partitions = partitions
        self._admission = admission
        self._budget = admission.budget
        self._gate = gate
        self._tracer = seeing.tracer
        self._journal = seeing.journal
        self._group = group
        self._accept_create_time = accept_create_time
        self._stopped: set[tuple[TopicPartition, int | None]] = set()

    async def run(self) -> None:
        """Take and admit until cancelled: what was taken and not admitted is unsettled."""
        while True:
            await self._gate.open()
            if self._budget.room <= 0:
                await self._budget.wait()
                continue
            batch = await self._source.take(min(_MOST, self._budget.room))
            if not batch:
                # A source that has nothing must not turn this loop into a busy one.
                await asyncio.sleep(0)
                continue
            # Received before the gate is waited at: a partition that moves away and back meanwhile
            # is read again from its commit, and the batch must not pass for part of that.
            receipts = self._partitions.receive(self._stamped(batch))
            for receipt in receipts:
                await self._gate.open()
                if receipt.wanted:
                    await self._admit(receipt)

    def _stamped(self, batch: Sequence[Record]) -> Sequence[Record]:
        """Return a batch without partitions that stop, as a record carries its producer's clock.

        What stands behind such a record is not taken either: its offset would pass the record over.
        """
        if self._accept_create_time:
            return batch
        if not self._stopped and all(record.append_time for record in batch):
            return batch
        for record in batch:
            if not record.append_time:
                self._refuse(record)
        generation = self._partitions.generation
        return [
            record
            for record in batch
            if (record.where, generation(record.where)) not in self._stopped
        ]

    async def _admit(self, receipt: Receipt) -> None:
        record = receipt.record
        traceparent = header_text(record.headers, "traceparent")
        tracestate = None
        if traceparent is not None:
            tracestate = header_text(record.headers, "tracestate")
        receipt.span = self._tracer.process(record, traceparent, self._group)
        await self._admission.fresh(receipt, traceparent, tracestate)

    def _refuse(self, record: Record) -> None:
        """Stop a partition whose records carry producers' clocks; its offset stays where it is."""
        where = record.where
        key = (where, self._partitions.generation(where))
        if key in self._stopped:
            return
        self._stopped.add(key)
        self._partitions.stop(where)
        self._journal.error(
            "topic.stopped",
            topic=record.topic,
            partition=record.partition,
            detail="its records carry CreateTime, so nobody could say when they entered the log",
            remedy="run 'hookstream topics apply', or set events.accept_create_time = true",
        )
