"""Counts what a replay would do, up to ends that are fixed before; nothing is written."""

from collections.abc import Awaitable, Callable
from typing import Final

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.replay.extent import Extent
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.pipeline.past_judge import Fate
from hookstream.pipeline.past_ports import PastLog
from hookstream.pipeline.past_reading import (
    EndsNotYet,
    FixedEnds,
    PastPiece,
    PastReading,
    fix_ends,
)

_MOST: Final = 1_000
"""Events that the subscription gets of one piece, at most."""
_IDLE_SECONDS: Final = 0.3


async def fixed_ends(
    log: PastLog,
    request: ReplayRequest,
    waiting: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]],
) -> FixedEnds:
    """Return the ends of an interval, once the brokers' clock has passed it.

    Args:
        log: The event topics.
        request: What is asked for.
        waiting: Called with what is waited for.
        sleep: Waits so many seconds.
    """
    while True:
        match await fix_ends(log, request):
            case FixedEnds() as fixed:
                return fixed
            case EndsNotYet(seconds, why):
                waiting(why)
                await sleep(seconds)


async def surveyed(
    reading: PastReading,
    fixed: FixedEnds,
    until: Millis,
    progress: Callable[[Extent], None],
    waiting: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]],
) -> ReplaySurvey:
    """Count what a replay between fixed ends would do. Open transactions are waited for.

    Args:
        reading: Reads the log.
        fixed: The ends.
        until: The end of the interval.
        progress: Called with what is left.
        waiting: Called with what is waited for.
        sleep: Waits so many seconds.
    """
    survey, extent = ReplaySurvey(), fixed.extent
    firsts: dict[TopicPartition, Millis] = {}
    while extent.spans:
        piece = await reading.piece(extent, _MOST)
        why = ""
        if not piece.moved:
            piece, why = await reading.check(extent)
        if piece.moved:
            extent = piece.extent
            _count(survey, piece)
            firsts = piece.firsts | firsts
            progress(extent)
        else:
            waiting(why)
            await sleep(_IDLE_SECONDS)
    for at in fixed.curtailed:
        survey.retained_from[at] = firsts.get(at, until)
    return survey


def _count(survey: ReplaySurvey, piece: PastPiece) -> None:
    for judged in piece.wanted:
        if judged.fate is Fate.LEFT_TO_WORKERS:
            survey.unidentified += 1
        else:
            survey.matched(judged.event_type, judged.record.timestamp)
    for judged in piece.not_granted:
        survey.refused(judged.event_type)
    survey.undecodable += piece.counts[Fate.UNDECODABLE]
    survey.others += piece.counts[Fate.NOT_WANTED]
    survey.read += piece.read
    survey.lost += piece.lost
    survey.producers_times |= piece.producers_times
