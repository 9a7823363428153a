"""Everything that the engine needs of the outside, in one value."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hookstream.core.matching.directory import Directory
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.outcome.health import HealthBook
from hookstream.pipeline.broker_clock import UNQUESTIONED, Agreement
from hookstream.pipeline.offload import Offload, OnTheLoop
from hookstream.pipeline.ports import (
    Chance,
    Clock,
    Codec,
    Logger,
    Metrics,
    OwnRecords,
    RecordSink,
    RecordSource,
    Sender,
    Tables,
    Tracer,
)
from hookstream.pipeline.skips import Skips


@dataclass(slots=True, frozen=True)
class Ports:
    """Every port of the engine."""

    events: RecordSource
    """Started with `Engine.events` as its listener."""
    tiers: RecordSource
    """Started with `Engine.tiers` as its listener."""
    topics: Topics
    directory: Directory
    tables: Tables
    codec: Codec
    sink: RecordSink
    sender: Sender
    own_records: OwnRecords
    clock: Clock
    chance: Chance
    tracer: Tracer
    metrics: Metrics
    logger: Logger
    agreement: Agreement = UNQUESTIONED
    """Whether `clock` can be trusted."""
    health: HealthBook = field(default_factory=HealthBook)
    skips: Skips = field(default_factory=Skips)
    on_stopped: Callable[[TopicPartition], None] = lambda _: None
    """Resumes a partition that stopped before it was read, where an operator has named its start."""
    offload: Offload = field(default_factory=OnTheLoop)
