"""What a replay would do is shown with everything that is left out of it, and odd requests are refused."""

import click
import pytest
from click.testing import CliRunner

from hookstream.core.model.record import TopicPartition
from hookstream.core.replay.extent import Extent, LostOffsets
from hookstream.core.replay.interval import Interval
from hookstream.core.replay.preview import ReplayPreview
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.entry.cli.replay import ReplayOptions, remarks, survey_document
from hookstream.entry.cli.root import root
from hookstream.errors import InputRefused

REQUEST = ReplayRequest("crm", Interval(0, 10_000))
A = TopicPartition("a", 3)


def survey() -> ReplaySurvey:
    found = ReplaySurvey(unidentified=2, undecodable=1)
    for at in (3_000, 1_000, 2_000):
        found.matched("pricing.completed", at)
    found.refused("pricing.completed")
    found.refused("order.generated")
    found.retained_from[A] = 5_000
    found.lost.append(LostOffsets(A, 4, 6, "retention took them"))
    found.producers_times.add("b")
    return found


def options(**changes: object) -> ReplayOptions:
    given: dict[str, object] = dict.fromkeys(ReplayOptions.__slots__)
    return ReplayOptions(**{**given, "since": 0, "until": 9, **changes})  # type: ignore[arg-type]


def test_everything_that_is_left_out_or_not_exact_is_said() -> None:
    assert remarks(survey()) == [
        (
            "2 of them cannot be identified yet: they are written to be matched when their schemas are"
            " published"
        ),
        "2 are left out: not granted when they were recorded, or not today",
        "1 record of the interval is no event",
        "retention may have taken some already: a-3 (has records since 1970-01-01 00:00:05Z)",
        "lost: a-3 offsets 4 to 5 (retention took them)",
        "records of b have the times of their producers: not exact",
    ]
    assert remarks(ReplaySurvey()) == []


def test_a_survey_as_json_has_every_count_and_the_preview() -> None:
    found = survey()
    preview = ReplayPreview(REQUEST, Extent(), found.events)
    assert survey_document(found, preview) == {
        "events": 5,
        "event_types": [
            {
                "event_type": "order.generated",
                "events": 0,
                "first": None,
                "last": None,
                "not_granted": 1,
            },
            {
                "event_type": "pricing.completed",
                "events": 3,
                "first": "1970-01-01T00:00:01.000Z",
                "last": "1970-01-01T00:00:03.000Z",
                "not_granted": 1,
            },
        ],
        "unidentified": 2,
        "not_granted": 2,
        "undecodable": 1,
        "retained_from": [{"topic": "a", "partition": 3, "since": "1970-01-01T00:00:05.000Z"}],
        "lost": 2,
        "producers_times": ["b"],
        "preview": preview.token(),
    }


@pytest.mark.parametrize("interval", [(9, 9), (10, 9), (-1, 9)])
def test_an_interval_that_has_nothing_is_refused(interval: tuple[int, int]) -> None:
    since, until = interval
    with pytest.raises(InputRefused, match="is not before --to"):
        options(since=since, until=until).request("crm")


def test_without_a_beginning_nothing_is_replayed() -> None:
    with pytest.raises(click.UsageError, match="--from is required"):
        options(since=None).request("crm")


def test_an_interval_ends_now_unless_it_is_said() -> None:
    request = options(until=None, event_types=frozenset({"a"})).request("crm")
    assert request.interval.since == 0
    assert request.interval.until > 1_700_000_000_000
    assert request.event_types == {"a"}


@pytest.mark.parametrize(
    "more",
    [
        ("--from", "1h"),
        ("--to", "1h"),
        ("--event-type", "a"),
        ("--as-granted-today",),
        ("--dry-run",),
    ],
)
def test_a_preview_has_its_conditions_and_takes_no_others(more: tuple[str, ...]) -> None:
    token = str(ReplayPreview(REQUEST, Extent(), 0).token())
    result = CliRunner().invoke(root, ["replay", "start", "crm", "--preview", token, *more])
    assert result.exit_code == 2
    assert "omit the other options" in result.output


def test_the_preview_of_another_subscription_is_refused() -> None:
    token = str(ReplayPreview(REQUEST, Extent(), 0).token())
    result = CliRunner().invoke(root, ["replay", "start", "other", "--preview", token])
    assert result.exit_code == 2
    assert "the preview is of 'crm', not of 'other'" in result.stderr
