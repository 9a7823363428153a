"""What redrives, purges and replays of a console in memory would take."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.doubles.clock import NOON

from hookstream.core.access.scopes import Caller
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import TopicPartition
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.preview import BulkAct, Preview, read_preview
from hookstream.core.replay.extent import Extent, LostOffsets, OffsetSpan
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey, TypeCount
from hookstream.entry.admin.surveys import Survey

TOPIC_ID = "7e" * 16
AT = TopicPartition("printprice.hush", 3)


def a_replay_survey() -> ReplaySurvey:
    """Return the counts of an interval of which something is left out for every reason."""
    return ReplaySurvey(
        {
            "pricing.completed": TypeCount(40, NOON - 5_000, NOON, 2),
            "quote.requested": TypeCount(not_granted=7),
        },
        unidentified=3,
        undecodable=1,
        read=60,
        retained_from={AT: NOON - 9_000},
        lost=[LostOffsets(AT, 4, 9, "retention took them")],
        producers_times={"printprice.hush"},
    )


@dataclass
class MemoryPreviews:
    """Counts, and what fixes them."""

    found: Survey = field(default_factory=lambda: Survey({0: 7}, topic_id=TOPIC_ID))
    """What a redrive or purge would take."""
    surveyed: list[tuple[RedriveSource, JsonObject, BulkAct]] = field(default_factory=list)
    up_to: list[Mapping[int, int] | None] = field(default_factory=list)
    """The ends of each survey."""
    replay: ReplaySurvey = field(default_factory=a_replay_survey)
    counted: list[ReplayRequest] = field(default_factory=list)
    extent: Extent = field(
        default_factory=lambda: Extent({AT.topic: "0" * 32}, {AT: OffsetSpan(9, 60)})
    )

    def note_scanned(self, caller: Caller, records: int) -> float:
        raise NotImplementedError

    def survey(
        self,
        source: RedriveSource,
        selector: JsonObject,
        act: BulkAct,
        until: TopicEnds | None,
        caller: Caller,
    ) -> Survey:
        self.note_scanned(caller, self.found.scanned)
        self.surveyed.append((source, selector, act))
        self.up_to.append(None if until is None else until.ends)
        return self.found

    def preview(
        self, source: RedriveSource, act: BulkAct, selector: JsonObject, found: Survey
    ) -> Preview:
        return Preview(act, source, TOPIC_ID, selector, found.ends, found.tally.records)

    def known_preview(
        self, source: RedriveSource, act: BulkAct, token: str, selector: JsonObject
    ) -> Preview:
        preview = read_preview(token)
        preview.refuse_other(act, source, TOPIC_ID, selector)
        return preview

    def survey_replay(self, request: ReplayRequest, caller: Caller) -> tuple[ReplaySurvey, Extent]:
        del caller
        self.counted.append(request)
        return self.replay, self.extent
