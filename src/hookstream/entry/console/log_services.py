"""The services that read topics, a bounded number at a time; each function may block."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from threading import local
from typing import TypeVar

from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.system import SystemClock
from hookstream.core.access.scopes import Caller
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.marks import Position, RedriveSource
from hookstream.core.redrive.preview import BulkAct, Preview
from hookstream.core.replay.extent import Extent
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.entry.admin.dead_letter_details import (
    SetAsideRecord,
    event_decoder,
    event_of,
    set_aside_at,
)
from hookstream.entry.admin.dead_letter_export import (
    DeadLetterExport,
    ExportBatch,
    ExportPosition,
    ExportRequest,
    ShownEvent,
    part_beginning,
)
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.event_pages import EventsAsked, EventsPart, read_events
from hookstream.entry.admin.event_search import SearchBudget
from hookstream.entry.admin.event_sending import SentEvents, send_lines
from hookstream.entry.admin.explain import ExplainRequest, explain
from hookstream.entry.admin.explanation import Explanation
from hookstream.entry.admin.granted_events import GrantedEvents
from hookstream.entry.admin.indexed_histories import IndexedHistories
from hookstream.entry.admin.partition_watch import PartitionsLook, watched
from hookstream.entry.admin.partitions import ReadPartition, ReadPartitions, StartAt
from hookstream.entry.admin.previews import known_preview, preview_of
from hookstream.entry.admin.purges import narrowed
from hookstream.entry.admin.redrives import rules_of
from hookstream.entry.admin.replays import SurveyWatch, survey_replay
from hookstream.entry.admin.status import Status, with_workers
from hookstream.entry.admin.status_reading import read_status
from hookstream.entry.admin.surveys import CountBudget, Survey, survey
from hookstream.entry.admin.tables import State
from hookstream.entry.admin.worker_pages import read_workers
from hookstream.entry.api.rates import ScanRates
from hookstream.entry.api.services import HeavyWork
from hookstream.entry.console.at_once import AtOnce, at_once_of_works
from hookstream.settings import Settings

T = TypeVar("T")

_EXPORT_SECONDS = 300.0
"""The most seconds for one answer of an export; the next one continues."""
_EXPLAIN_SECONDS = 20.0
"""The most seconds to find an event, and again to explain it."""
_AT_ONCE = 4
"""The most explanations at a time: each reads much of the log."""
_STATUSES_AT_ONCE = 2
_COUNT_SECONDS = 40.0
"""The most seconds for the count of a replay, redrive or purge: clients wait a minute for an answer."""
_EVENTS_AT_ONCE = 4
"""The most requests that read events, and that publish some: each has its own clients and thread."""
_LARGE_BODIES_AT_ONCE = 4
"""The most requests with files or definitions: one of the largest size takes a thread for seconds."""


class LogServices(ABC):
    """Reads topics, and publishes events.

    Args:
        settings: All settings.
        scanned_a_second: Returns how many records per second may be read for a partner.
    """

    def __init__(self, settings: Settings, scanned_a_second: Callable[[str], float]) -> None:
        self.settings = settings
        self._clock = SystemClock()
        self._decoders = local()
        self._looking = AtOnce(_STATUSES_AT_ONCE, "statuses are read")
        self._explaining = AtOnce(_AT_ONCE, "events are explained")
        self._events_read = AtOnce(_EVENTS_AT_ONCE, "events are read")
        self._events_sent = AtOnce(_EVENTS_AT_ONCE, "requests publish events")
        self._large_bodies = AtOnce(_LARGE_BODIES_AT_ONCE, "files and definitions are read")
        self._works = at_once_of_works()
        self._scans = ScanRates(scanned_a_second, self._clock.monotonic)
        self._watch = watched(settings, self._clock.now)

    @abstractmethod
    def state(self) -> State:
        """As ConsoleServices says."""

    @abstractmethod
    def index(self) -> IndexReader:
        """As ConsoleServices says."""

    def export(self, wanted: ExportRequest) -> Iterator[ExportBatch | ExportPosition]:
        """As ConsoleServices says."""
        reader = DeadLetterReader(self.settings, wanted.source)
        position = part_beginning(reader, wanted.position)
        decoder = event_decoder(reader)
        shown: ShownEvent = partial(event_of, decoder)
        if wanted.partner_id is not None:
            shown = GrantedEvents(decoder, self.state(), wanted.partner_id).shown
        export = DeadLetterExport(
            reader, reader.ledger(), wanted.selector, wanted.with_resolved, shown
        )
        return export.part(position, wanted.most, _EXPORT_SECONDS, self._clock.monotonic)

    def large_body(self) -> AbstractContextManager[None]:
        """As ConsoleServices says."""
        return self._large_bodies.one(None)

    def one(self, work: HeavyWork, caller: Caller) -> AbstractContextManager[None]:
        """As ConsoleServices says."""
        return self._works[work].one(caller.partner_id)

    def scan_wait(self, caller: Caller) -> float:
        """As ConsoleServices says."""
        return self._scans.wait(caller)

    def note_scanned(self, caller: Caller, records: int) -> float:
        """As ConsoleServices says."""
        return self._scans.note(caller, records)

    def explain(self, request: ExplainRequest, caller: Caller) -> Explanation:
        """As ConsoleServices says."""
        with self._explaining.one(caller.partner_id):
            budget = SearchBudget(most_seconds=_EXPLAIN_SECONDS)
            histories = IndexedHistories(self.index(), budget, request.partner_id)
            try:
                return explain(self.settings, request, budget, self.state(), histories)
            finally:
                self.note_scanned(caller, budget.read_before + budget.read)

    def set_aside(
        self, source: RedriveSource, positions: Sequence[Position], partner_id: str | None
    ) -> list[SetAsideRecord]:
        """As ConsoleServices says."""
        reader, granted = DeadLetterReader(self.settings, source), None
        if partner_id is not None:
            granted = GrantedEvents(event_decoder(reader), self.state(), partner_id)
        return set_aside_at(reader, positions, granted)

    def topic_ends(self, source: RedriveSource) -> TopicEnds:
        """As ConsoleServices says."""
        return DeadLetterReader(self.settings, source).topic_ends()

    def survey(
        self,
        source: RedriveSource,
        selector: JsonObject,
        act: BulkAct,
        until: TopicEnds | None,
        caller: Caller,
    ) -> Survey:
        """As ConsoleServices says."""
        budget = CountBudget(_COUNT_SECONDS, self._clock.monotonic)
        reader = DeadLetterReader(self.settings, source, budget.progress)
        try:
            if act is BulkAct.PURGE:
                return survey(reader, narrowed(reader, selector), until)
            rules = rules_of(reader, selector)
            return survey(reader, rules.selector, until, rules.obstacle)
        finally:
            self.note_scanned(caller, budget.read)

    def preview(
        self, source: RedriveSource, act: BulkAct, selector: JsonObject, found: Survey
    ) -> Preview:
        """As ConsoleServices says."""
        reader = DeadLetterReader(self.settings, source)
        return preview_of(reader, act, selector, found.topic_ends, found.tally.records)

    def known_preview(
        self, source: RedriveSource, act: BulkAct, token: str, selector: JsonObject
    ) -> Preview:
        """As ConsoleServices says."""
        return known_preview(DeadLetterReader(self.settings, source), act, token, selector)

    def survey_replay(self, request: ReplayRequest, caller: Caller) -> tuple[ReplaySurvey, Extent]:
        """As ConsoleServices says."""
        read = 0

        def progress(done: int, _total: int) -> None:
            nonlocal read
            read = done

        try:
            return survey_replay(self.settings, request, SurveyWatch(progress), _COUNT_SECONDS)
        finally:
            self.note_scanned(caller, read)

    def status(self, most: int) -> Status:
        """As ConsoleServices says."""
        with self._looking.one(None):
            status = read_status(self.settings, most)
            return with_workers(status, read_workers(self.settings.console.workers))

    def positions(self) -> list[GroupPosition]:
        """As ConsoleServices says."""
        return ReadPartitions(self.settings).positions()

    def open_partitions(self) -> PartitionsLook:
        """As ConsoleServices says."""
        return self._watch.latest()

    def position(self, at: TopicPartition) -> GroupPosition:
        """As ConsoleServices says."""
        return ReadPartition(self.settings, at).shown()

    def offset_at(self, at: TopicPartition, where: StartAt) -> int:
        """As ConsoleServices says."""
        return ReadPartition(self.settings, at).offset_at(where)

    def read_events(self, asked: EventsAsked) -> EventsPart:
        """As ConsoleServices says."""
        with self._events_read.one(None):
            book = self.state().book
            decoder: EventDecoder | None = getattr(self._decoders, "decoder", None)
            if decoder is None or decoder.book is not book:
                most = self.settings.events.max_record_bytes
                decoder = self._decoders.decoder = EventDecoder(self.settings, most, book)
            return read_events(self.settings, decoder, asked)

    def send_events(self, lines: Sequence[bytes], topic_prefix: str) -> SentEvents:
        """As ConsoleServices says."""
        with self._events_sent.one(None):
            return send_lines(self.settings, lines, topic_prefix)
