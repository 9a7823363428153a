"""What a replay fills when a gap of a subscription ends, and how the row says so.

A row names the replay of each part of a gap. Row and jobs are written in one transaction, so a gap never
names a job that does not exist, and no job fills a gap that does not name it. The mark says who owns the
records of a part (see `core.model.active_interval`), not that all of them arrived: the job says that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from hookstream.core.model.instant import LATEST, Millis
from hookstream.core.model.subscription import Disabled, Gap, Subscription
from hookstream.core.planning.transitions import MAX_GAPS, SLACK
from hookstream.errors import InputRefused


class GapFill(NamedTuple):
    """A part of the log that one replay delivers: `start` < record time <= `end`."""

    job: str
    """The id of the replay's job."""
    start: Millis
    end: Millis


class _Span(NamedTuple):
    start: Millis
    end: Millis


def fill_closed(
    before: Subscription,
    after: Subscription,
    disabled: Disabled | None,
    new_id: Callable[[], str],
) -> tuple[Subscription, tuple[GapFill, ...]]:
    """Return a row whose gap was just closed with the replays that fill it, and those.

    A pause and a disabling may overlap. What overlaps the closed gap, was closed before and is not filled
    is filled with it. What lies in a gap that is still open stays for whoever closes that one: its replay
    could not deliver now. What another replay fills is not filled twice. So there is nearly always one
    replay; more, where another one fills the middle.

    Args:
        before: The row before the gap was closed.
        after: The row with the closed gap, as `transitions` returns it.
        disabled: The health row that stays: its endpoint is still disabled. None: it is not.
        new_id: Returns the id of a new job.
    """
    closed = [gap for gap in after.gaps if _is_unfilled(gap) and gap not in before.gaps]
    opened = [gap.start for gap in after.gaps if gap.end is None]
    if disabled is not None:
        # The gap that `enable` will write starts that much earlier.
        opened.append(disabled.since - SLACK)
    group = _overlapping(closed, after.gaps)
    filled = [gap for gap in after.gaps if gap.filled_by is not None]
    taken = [*_spans(filled, 0), _Span(min(opened, default=LATEST), LATEST)]
    spans = _without(_united(_spans(group, after.active_from)), taken)
    fillings = tuple(GapFill(new_id(), *span) for span in spans)
    covers = [*(Gap(start, end, "paused", job) for job, start, end in fillings), *filled]
    gaps: list[Gap] = []
    for gap in after.gaps:
        gaps += _pieces(gap, covers) if gap in group else (gap,)
    return replace(after, gaps=tuple(gaps)[-MAX_GAPS:]), fillings


def started(
    subscription: Subscription, start_from: Millis, job: str
) -> tuple[Subscription, GapFill]:
    """Return a new subscription that a replay serves from an instant in the past on, and that replay.

    Raises:
        InputRefused: The instant is not before the one from which the subscription is active.
    """
    filling = GapFill(job, max(0, start_from - 1), subscription.active_from)
    if filling.start >= filling.end:
        raise InputRefused(f"subscription {subscription.id!r} would start in the future")
    gap = Gap(filling.start, filling.end, "started", job)
    return replace(subscription, gaps=(gap, *subscription.gaps)), filling


def incomplete(subscription: Subscription, job: str) -> Subscription:
    """Return the row after a replay lost records of its gaps; the same object if nothing changes.

    Records of such a gap that come late, from tiers or the undecodable topic, match again.
    """
    gaps = tuple(
        replace(gap, incomplete=True) if gap.filled_by == job else gap for gap in subscription.gaps
    )
    if gaps == subscription.gaps:
        return subscription
    return replace(subscription, gaps=gaps, revision=subscription.revision + 1)


def _is_unfilled(gap: Gap) -> bool:
    return gap.end is not None and gap.start < gap.end and gap.filled_by is None


def _spans(gaps: Iterable[Gap], active_from: Millis) -> Iterator[_Span]:
    """Return what closed gaps cover; before `active_from` nothing is the subscription's."""
    for gap in gaps:
        if gap.end is not None and max(gap.start, active_from) < gap.end:
            yield _Span(max(gap.start, active_from), gap.end)


def _overlapping(closed: Sequence[Gap], gaps: Sequence[Gap]) -> list[Gap]:
    """Return closed gaps with all unfilled ones that overlap them, directly or by others."""
    group: list[Gap] = []
    found = list(closed)
    while found:
        gap = found.pop()
        if gap not in group:
            group.append(gap)
            found += [other for other in gaps if _is_unfilled(other) and _meet(gap, other)]
    return group


def _meet(gap: Gap, other: Gap) -> bool:
    if gap.end is None or other.end is None:
        return False
    return gap.start < other.end and other.start < gap.end


def _united(spans: Iterable[_Span]) -> list[_Span]:
    united: list[_Span] = []
    for span in sorted(spans):
        if united and span.start <= united[-1].end:
            united[-1] = _Span(united[-1].start, max(united[-1].end, span.end))
        else:
            united.append(span)
    return united


def _without(spans: Sequence[_Span], taken: Iterable[_Span]) -> list[_Span]:
    left = list(spans)
    for each in taken:
        left = [part for span in left for part in _cut(span, each)]
    return left


def _cut(span: _Span, taken: _Span) -> Iterator[_Span]:
    for part in (
        _Span(span.start, min(span.end, taken.start)),
        _Span(max(span.start, taken.end), span.end),
    ):
        if part.start < part.end:
            yield part


def _pieces(gap: Gap, covers: Sequence[Gap]) -> Iterator[Gap]:
    """Return the parts of a closed gap, each with the replay that covers it; nothing of it goes."""
    edges = {edge for cover in covers for edge in (cover.start, cover.end) if edge is not None}
    end = gap.start if gap.end is None else gap.end
    inner = sorted(edge for edge in edges if gap.start < edge < end)
    last: Gap | None = None
    for start, until in pairwise((gap.start, *inner, end)):
        part = replace(gap, start=start, end=until)
        cover = next((each for each in covers if _meet(part, each)), None)
        if cover is not None:
            part = replace(part, filled_by=cover.filled_by, incomplete=cover.incomplete)
        if last is not None and replace(last, end=until) == replace(part, start=last.start):
            part = replace(part, start=last.start)
        elif last is not None:
            yield last
        last = part
    if last is not None:
        yield last
