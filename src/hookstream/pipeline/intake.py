"""Takes records of the event topics, only as fast as settling returns credit."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from hookstream.core.model import header_names
from hookstream.core.model.record import Record, TopicPartition, header_text
from hookstream.core.offsets.pauses import PauseReason
from hookstream.pipeline.admission import Admission
from hookstream.pipeline.budget import Budget
from hookstream.pipeline.engine_rules import EngineRules
from hookstream.pipeline.gate import Gate
from hookstream.pipeline.partitions import Partitions, Receipt
from hookstream.pipeline.ports import Ports

_MOST = 500
"""Records a batch: enough to amortise the transfer between threads."""


class Intake:
    """The loop over the event topics."""

    def __init__(
        self,
        ports: Ports,
        rules: EngineRules,
        partitions: Partitions,
        gate: Gate,
        admission: Admission,
        budget: Budget,
    ) -> None:
        """Take from `ports.events`, whose listener is `partitions`."""
        self._source = ports.events
        self._partitions = partitions
        self._gate = gate
        self._admission = admission
        self._budget = budget
        self._tracer = ports.tracer
        self._logger = ports.logger
        self._group = ports.topics.group
        self._skips = ports.skips
        self._accept_create_time = rules.accept_create_time
        self._held_back: dict[TopicPartition, _HeldBack] = {}
        """Records of partitions that stopped at a record with CreateTime."""

    async def run(self) -> None:
        """Take and admit records until cancelled: those taken and not admitted stay unsettled."""
        while True:
            await self._gate.wait()
            if self._budget.room <= 0:
                await self._budget.wait()
                continue
            batch = await self._source.take(min(_MOST, self._budget.room))
            if self._held_back:
                batch = [*self._released(), *batch]
            if not batch:
                # A source without records must not make this a busy loop.
                await asyncio.sleep(0)
                continue
            # Before waiting for the gate: a partition that is revoked and assigned again meanwhile is read again
            # from its commit, and this batch must not count for the new assignment.
            await self._admit_all(self._partitions.receive(self._stamped(batch)))

    async def _admit_all(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            if not self._gate.is_open():
                await self._gate.wait()
            if receipt.may_start:
                rest = self._admit(receipt)
                if rest is not None:
                    await rest

    def _stamped(self, batch: Sequence[Record]) -> Sequence[Record]:
        """Return a batch without the records of a partition from its first record with CreateTime on.

        Later records of the partition are held back too: otherwise the tracker would pass over that one.
        """
        if self._accept_create_time:
            return batch
        if not self._held_back and all(record.append_time for record in batch):
            return batch
        given: list[Record] = []
        for record in batch:
            held_back = self._held_back.get(record.where)
            if held_back is not None and self._is_ours(held_back, record.where):
                held_back.records.append(record)
            elif record.append_time or self._skips.covers(record):
                given.append(record)
            else:
                self._refuse(record)
        return given

    def _is_ours(self, held_back: "_HeldBack", where: TopicPartition) -> bool:
        return held_back.generation == self._partitions.generation(where)

    def _released(self) -> list[Record]:
        """Return the records held back in partitions whose first one an operator skipped."""
        free: list[Record] = []
        for where, held_back in list(self._held_back.items()):
            if not self._is_ours(held_back, where):
                del self._held_back[where]
            elif self._skips.covers(held_back.records[0]):
                del self._held_back[where]
                self._partitions.resume(where, PauseReason.BLOCKED)
                free += held_back.records
        return free

    def _admit(self, receipt: Receipt) -> Awaitable[None] | None:
        """Admit a record; return what must be awaited, if anything."""
        record = receipt.record
        if not (record.append_time or self._accept_create_time):
            # An operator skipped this record with CreateTime.
            self._logger.warning(
                "partition.skipped",
                **record.where._asdict(),
                offset=record.offset,
                detail="its timestamp is CreateTime",
            )
            receipt.release()
            return None
        traceparent = header_text(record.headers, header_names.TRACEPARENT)
        tracestate = None
        if traceparent is not None:
            tracestate = header_text(record.headers, header_names.TRACESTATE)
        receipt.span = self._tracer.process(record, traceparent, self._group)
        return self._admission.fresh(receipt, traceparent, tracestate)

    def _refuse(self, record: Record) -> None:
        """Stop a partition at a record with CreateTime, whose offset is not committed."""
        where = record.where
        generation = self._partitions.generation(where)
        if generation is None:
            return
        self._held_back[where] = _HeldBack(generation, [record])
        self._partitions.pause(where, PauseReason.BLOCKED)
        self._logger.error(
            "partition.stopped",
            **record.where._asdict(),
            offset=record.offset,
            detail="its records have CreateTime timestamps, so their append time is unknown",
            remedy="run 'hookstream topics apply', or set events.accept_create_time = true."
            f" To skip this record: hookstream partition skip {where.topic}/{where.partition}"
            f" {record.offset}; to skip all of them: hookstream partition start"
            f" {where.topic}/{where.partition} --at latest|TIME",
        )


@dataclass(slots=True)
class _HeldBack:
    """The records of a stopped partition, from the one that stops it on: at most those already fetched."""

    generation: int
    records: list[Record]
