"""What a replay was asked for, and how far it is, are read strictly."""

import random
from dataclasses import replace

import pytest

from hookstream.core.jobs.job import Job, read_job
from hookstream.core.model.record import TopicPartition
from hookstream.core.replay.extent import MOST_PARTITIONS, Extent, OffsetSpan
from hookstream.core.replay.interval import Interval, interval_of_gap, settled_after
from hookstream.core.replay.outstanding import WINDOW, Outstanding, Place
from hookstream.core.replay.preview import LONGEST, ReplayPreview, read_replay_preview
from hookstream.core.replay.reached import Reached, Revisions, read_reached
from hookstream.core.replay.request import KIND, ReplayRequest, read_request
from hookstream.errors import InputRefused

REQUEST = ReplayRequest("crm", Interval(0, 1_000), frozenset({"b", "a"}), as_granted_today=True)
DOCUMENT = {
    "subscription": "crm",
    "since": "1970-01-01T00:00:00.000Z",
    "until": "1970-01-01T00:00:01.000Z",
    "event_types": ["a", "b"],
    "as_granted_today": True,
}


def test_a_request_is_written_as_it_always_was() -> None:
    assert REQUEST.document() == DOCUMENT
    assert read_request(dict(DOCUMENT)) == REQUEST  # type: ignore[arg-type]


def test_how_many_events_it_may_have_is_a_condition_that_earlier_releases_refuse() -> None:
    bounded = replace(REQUEST, most_events=7)
    assert bounded.document() == {**DOCUMENT, "most_events": 7}
    assert read_request(bounded.document()) == bounded


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"newer": 1}, "has the conditions newer, which need a newer release"),
        ({"since": "1970-01-01T00:00:01Z"}, "until is not after its since"),
        ({"since": "1969-01-01T00:00:01Z"}, "until is not after its since"),
        ({"since": "yesterday"}, "since: 'yesterday' is not an RFC 3339 time"),
        ({"event_types": "a"}, "event_types is not a list"),
        ({"as_granted_today": "yes"}, "as_granted_today is not true or false"),
        ({"subscription": None}, "subscription is not a text"),
    ],
)
def test_a_request_that_is_not_understood_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(InputRefused, match=why):
        read_request({**DOCUMENT, **change})  # type: ignore[dict-item]


def test_the_interval_of_a_gap_has_its_records_and_no_others() -> None:
    interval = interval_of_gap(100, 200)
    inside = [at for at in range(98, 203) if interval.contains(at)]
    assert inside == [at for at in range(98, 203) if 100 < at <= 200]


def test_logs_are_given_time_only_where_a_record_may_be_hidden() -> None:
    assert [settled_after(*each) for each in ((1, 1), (3, 1), (3, 3))] == [0, 5_000, 30_000]


def test_the_row_of_the_largest_replay_stays_far_below_a_megabyte() -> None:
    """The jobs topic takes rows of a megabyte, and each step writes one."""
    far = 10**12
    spans = {
        TopicPartition("t" * 60, n): OffsetSpan(far + n, far + n + 9)
        for n in range(MOST_PARTITIONS)
    }
    out = Outstanding({Place("t" * 60, n, far + n): far + n for n in range(WINDOW)})
    reached = Reached(Extent({"t" * 60: "a" * 32}, spans), {0: 1}, out)
    job = Job("replay-1", KIND, REQUEST.document(), 0, reached=reached.document())
    assert len(job.encode()) < 512 * 1024
    again = read_job(job.id, job.encode())
    assert isinstance(again, Job)
    assert read_reached(again.reached) == reached


def test_how_far_a_replay_is_is_written_as_it_always_was() -> None:
    at = TopicPartition("a", 3)
    until = {Place("a", 3, 7): 9_000, Place("a", 3, 9): 9_000, Place("b", 0, 1): 5_000}
    reached = Reached(
        Extent({"a": "f" * 32}, {at: OffsetSpan(10, 20)}),
        {4: 900},
        Outstanding(until),
        Revisions(2, 3),
        lost=6,
        too_large=1,
    )
    document = {
        "extent": {"a": {"id": "f" * 32, "offsets": {"3": [10, 20]}}},
        "audit": {"4": 900},
        "out": [[5_000, {"b": {"0": [1]}}], [9_000, {"a": {"3": [7, 2]}}]],
        "revisions": [2, 3],
        "lost": 6,
        "too_large": 1,
    }
    assert reached.document() == document
    assert read_reached(document) == reached  # type: ignore[arg-type]


def test_a_replay_begins_with_nothing_reached() -> None:
    assert read_reached({}) == Reached()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"extent": 1}, "is not an object"),
        ({"audit": {"x": 1}}, "a partition that is not a number"),
        ({"out": {}}, "has no list of what is out"),
        ({"out": [1]}, "names what is out without a time"),
        ({"out": [[5, {"a": {"0": 1}}]]}, "offsets that are no list"),
        ({"revisions": [1]}, "has no revisions"),
        ({"lost": None}, "is not a whole number"),
    ],
)
def test_how_far_a_replay_is_must_be_readable(change: dict[str, object], why: str) -> None:
    whole = Reached(None, None, Outstanding(), Revisions(1, 1)).document()
    with pytest.raises(InputRefused, match=why):
        read_reached({**whole, **change})  # type: ignore[dict-item]


TOKEN = str(ReplayPreview(REQUEST, Extent(), 7).token())


@pytest.mark.parametrize(
    "token",
    [
        "",
        "replay1.",
        "replay2." + TOKEN[8:],
        TOKEN[:-3],
        TOKEN + "A" * 8,
        TOKEN[:20] + "é" + TOKEN[20:],
        TOKEN + "A" * LONGEST,
    ],
)
def test_a_token_that_was_cut_or_changed_is_refused(token: str) -> None:
    with pytest.raises(InputRefused, match="copy the whole word"):
        read_replay_preview(token)


def test_a_token_fits_into_an_argument_of_a_command_or_is_none() -> None:
    far = 10**12
    at = [TopicPartition("t" * 60, n) for n in range(MOST_PARTITIONS)]
    drawn = random.Random(5)
    spans = {each: OffsetSpan(drawn.randrange(far), far + drawn.randrange(far)) for each in at}
    usual = {each: OffsetSpan(far + n * 7_919, far + n * 7_927 + 9) for n, each in enumerate(at)}
    tokens = [
        ReplayPreview(REQUEST, Extent({"t" * 60: "a" * 32}, each), 7).token()
        for each in (spans, usual)
    ]
    assert all(token is None or len(token) <= LONGEST for token in tokens)
    assert tokens[1] is not None
