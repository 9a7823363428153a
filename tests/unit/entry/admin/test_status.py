"""One look shows what waits, what is overdue, whose breaker is open and what stands."""

import json
import socket
from dataclasses import replace

import pytest
from tests.doubles.lanes import CALM

from hookstream.adapters.telemetry.lane_reports import lanes_report
from hookstream.core.lanes.lane_status import FullLane, LanesStatus
from hookstream.core.model.delivery import DeferReason, Delivery
from hookstream.core.model.instant import HOUR, MINUTE, SECOND
from hookstream.core.model.record import Origin, Record, TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.group_position import GroupMember, GroupPosition
from hookstream.entry.admin import worker_pages
from hookstream.entry.admin.status import (
    NOT_ASKED,
    BreakerStatus,
    LaneAtLimit,
    OpenPartition,
    Status,
    TierStatus,
    TierTally,
    by_cause,
    by_reason,
    lag_of,
    open_partitions,
    with_workers,
)
from hookstream.entry.admin.worker_pages import (
    WorkerPage,
    page_of,
    read_named_workers,
    read_worker,
    read_workers,
    why_not_ready,
    with_lanes,
)
from hookstream.settings import load

NOW = 1_795_000_000_000
TOPICS = Topics("hookstream")
DELIVERY = Delivery(
    "msg_1", "crm", "acme", "pricing.completed", "e1", Origin("events", 0, 0, 0), 0, NOW + HOUR
)
READ = GroupPosition(
    "hookstream",
    TopicPartition("events", 0),
    GroupMember("m-1", "hookstream-a", "/10.0.0.1"),
    CommitPosition(10),
    0,
    10,
    None,
)

STATUS = Status(NOW, 0, 0, [], [], [], [], [], {}, {})


def tier_record(tier: str, at: int) -> Record:
    return Record(f"hookstream.retry.{tier}", 0, 0, at, b"k", b"v", ())


def test_a_delivery_is_overdue_once_both_its_tier_s_delay_and_its_due_time_are_over() -> None:
    waiting = TierTally(TOPICS, NOW)
    waiting.add(tier_record("5m", NOW - MINUTE), DELIVERY)
    waiting.add(tier_record("5m", NOW - 6 * MINUTE), DELIVERY)
    waiting.add(tier_record("5m", NOW - 9 * MINUTE), replace(DELIVERY, due_at=NOW - 2 * MINUTE))
    waiting.add(tier_record("5s", NOW - MINUTE), replace(DELIVERY, due_at=NOW + MINUTE))

    assert waiting.tiers() == [
        TierStatus("hookstream.retry.5s", 1),
        TierStatus("hookstream.retry.5m", 3, 2, NOW - 2 * MINUTE),
    ]


def test_open_breakers_are_named_by_what_waits_for_them_and_by_workers() -> None:
    waiting = TierTally(TOPICS, NOW)
    broken = replace(DELIVERY, deferred_reason=DeferReason.BREAKER_OPEN)
    waiting.add(tier_record("30s", NOW), broken)
    waiting.add(tier_record("30s", NOW), broken)
    held = replace(DELIVERY, subscription_id="held", deferred_reason=DeferReason.HELD)
    waiting.add(tier_record("30s", NOW), held)
    page = WorkerPage("a:1", "1.0", open_breakers=(("crm", "acme"), ("mis", "other")))

    assert waiting.breakers([page]) == [
        BreakerStatus("crm", "acme", 2),
        BreakerStatus("mis", "other", 0),
    ]


def test_what_waits_for_room_in_a_lane_names_its_subscription_and_what_most_of_it_waits_for() -> (
    None
):
    waiting = TierTally(TOPICS, NOW)
    for name, reason in (
        ("crm", DeferReason.LANE_FULL),
        ("crm", DeferReason.RATE_LIMITED),
        ("crm", DeferReason.RATE_LIMITED),
        ("erp", DeferReason.THROTTLED),
        ("held", DeferReason.HELD),
        ("gone", DeferReason.BREAKER_OPEN),
    ):
        delivery = replace(DELIVERY, subscription_id=name, deferred_reason=reason)
        waiting.add(tier_record("30s", NOW), delivery)
    assert waiting.lanes_at_limit() == [
        LaneAtLimit("crm", "acme", 3, 0, 0, "its rate limit"),
        LaneAtLimit("erp", "acme", 1, 0, 0, "its endpoint slows it down"),
    ]


def test_the_lag_is_the_age_of_the_oldest_unsettled_event() -> None:
    behind = replace(READ, oldest=NOW - 3 * SECOND)
    assert lag_of([READ, behind, replace(READ, oldest=NOW - SECOND)], NOW) == 3 * SECOND
    assert lag_of([READ], NOW) == 0
    assert lag_of([replace(READ, oldest=NOW + SECOND)], NOW) == 0


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, None),
        ({"oldest": NOW - MINUTE}, None),
        ({"oldest": NOW - 2 * MINUTE}, "its oldest event has not been settled for 2m"),
        ({"holder": None}, "it is assigned to no worker"),
        (
            {"end": 5},
            "its log ends before the committed offset: the topic was created again or cut",
        ),
    ],
)
def test_a_partition_is_listed_with_why_it_needs_a_look(
    changed: dict[str, object], why: str | None
) -> None:
    found = open_partitions([replace(READ, **changed)], [READ], NOW)  # type: ignore[arg-type]
    assert [each.why for each in found] == ([] if why is None else [why])


def test_partitions_of_one_cause_are_one_line() -> None:
    for why, several in (
        ("it is assigned to no worker", "they are assigned to no worker"),
        ("its log ends early", "their logs end early"),
        (
            "its oldest event has not been settled for 2m",
            "their oldest event has not been settled for 2m",
        ),
    ):
        found = [OpenPartition(TopicPartition("events", n), why) for n in range(3)]
        assert by_cause(found) == [("3 partitions (events/0-2)", several)]
        assert by_cause(found[:1]) == [("1 partition (events/0)", why)]


def test_what_waits_in_a_tier_is_no_partition_that_stands() -> None:
    assert open_partitions([], [replace(READ, oldest=NOW - HOUR)], NOW) == []


def test_reasons_are_counted_the_most_frequent_first() -> None:
    assert list(by_reason(["gone", "expired", "gone", ""]).items()) == [
        ("gone", 2),
        ("expired", 1),
        ("?", 1),
    ]


PAGE = """\
hookstream_info{version="1.2.3"} 1.0
hookstream_stopped_partitions 2.0
hookstream_subscription_breaker_open{subscription="crm",partner="acme"} 1.0
hookstream_subscription_breaker_open{subscription="mis",partner="acme"} 0.0
"""


def test_a_worker_s_page_names_its_release_and_its_open_breakers() -> None:
    assert page_of("a:1", PAGE) == WorkerPage("a:1", "1.2.3", (("crm", "acme"),), 2)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("nowhere", "is not HOST:PORT"),
        ("127.0.0.1:1", "it gave no answer"),
        ("127.0.0.1:99999", "it gave no answer"),
    ],
)
def test_a_worker_that_does_not_answer_is_a_problem_and_no_exception(
    address: str, problem: str
) -> None:
    assert problem in read_worker(address).problem


def test_a_page_that_is_not_a_worker_s_is_refused() -> None:
    with pytest.raises(ValueError, match="not a hookstream worker"):
        page_of("a:1", "process_open_fds 3\n")


def test_a_worker_names_the_open_breakers_that_its_metrics_have_no_series_of() -> None:
    page = page_of("a:1", PAGE)
    said = LanesStatus((("erp", "rival"),), 7, (FullLane("crm", "acme", CALM),), 1)
    assert with_lanes(page, lanes_report(said).decode()) == replace(
        page, open_breakers=(("erp", "rival"),), full_lanes=said.full, unnamed=6
    )
    with pytest.raises(ValueError, match="JSON"):
        with_lanes(page, "# HELP")


def full(name: str, queued: int, **changed: object) -> FullLane:
    return FullLane(name, "acme", replace(CALM, queued=queued, **changed))  # type: ignore[arg-type]


def test_lanes_at_their_limit_are_summed_over_workers_and_say_why_where_most_waits() -> None:
    pages = [
        WorkerPage("a:1", "1.0", full_lanes=(full("crm", 3, in_flight=4), full("erp", 1))),
        WorkerPage("b:1", "1.0", full_lanes=(full("crm", 9, rests=1.0),), unnamed=2),
        WorkerPage("c:1", problem="gone"),
    ]
    known = [
        LaneAtLimit("erp", "acme", 90, 8, 9, "its rate limit"),
        LaneAtLimit("old", "acme", 0, 8, 9, "4 of 4 in flight"),
        LaneAtLimit("paced", "acme", 2, 0, 0, "its rate limit"),
    ]
    status = replace(STATUS, notes=["a part was not read", NOT_ASKED], lanes_at_limit=known)
    found = with_workers(status, pages)
    assert found.lanes_at_limit == [
        LaneAtLimit("erp", "acme", 90, 1, 1, "5/s at most"),
        LaneAtLimit("crm", "acme", 0, 12, 2, "rests, as its endpoint asked"),
        LaneAtLimit("paced", "acme", 2, 0, 0, "its rate limit"),
    ]
    assert found.notes == [
        "a part was not read",
        "workers count 2 more open breakers and lanes at their limit, and do not name them",
    ]
    again = with_workers(found, [])
    assert [each.subscription_id for each in again.lanes_at_limit] == ["erp", "paced"]
    assert again.notes[-1] == NOT_ASKED


def test_workers_are_asked_side_by_side_and_each_that_gives_no_answer_says_why() -> None:
    found = read_workers(("127.0.0.1:1", "[::1]:1", "no..host:9464"))
    assert {each.address for each in found} == {
        "127.0.0.1:1",
        "[::1]:1",
        "no..host:9464",
    }
    assert all(each.problem for each in found)
    assert read_workers(()) == []


def test_a_worker_of_these_settings_that_hangs_is_a_problem_and_not_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_pages, "_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        listen = f"127.0.0.1:{hangs.getsockname()[1]}"
        [page] = read_named_workers(load(None, {"HOOKSTREAM_WORKER__LISTEN": listen}, {}), ())
    assert (page.address, page.problem) == (listen, "it gave no answer: timed out")


def test_the_settings_name_the_workers_and_else_the_one_that_listens_is_asked_if_it_answers() -> (
    None
):
    silent = {"HOOKSTREAM_WORKER__LISTEN": "127.0.0.1:1"}
    assert read_named_workers(load(None, silent, {}), ()) == []
    named = load(None, {**silent, "HOOKSTREAM_CONSOLE__WORKERS": "127.0.0.1:2"}, {})
    for given, asked in (((), "127.0.0.1:2"), (("127.0.0.1:3",), "127.0.0.1:3")):
        assert [each.address for each in read_named_workers(named, given)] == [asked]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            {"tables_current": False, "partitions": 0},
            "its tables are not current, no partition is assigned to it",
        ),
        (
            {"unreadable_rows": 2, "unreadable_row": "crm: no key", "partitions": 3},
            "2 rows cannot be read (crm: no key)",
        ),
        ({"clock": "it is a minute  ahead"}, "it is a minute ahead"),
        ({"mood": "bad"}, '{"mood": "bad"}'),
        ({"partitions": "none"}, '{"partitions": "none"}'),
    ],
)
def test_a_worker_that_is_not_ready_says_in_words_why(said: dict[str, object], why: str) -> None:
    assert why_not_ready(json.dumps(said)) == why


def test_an_answer_that_is_no_workers_is_shown_as_it_is_and_cut() -> None:
    assert why_not_ready("<html> bad gateway") == "<html> bad gateway"
    assert len(why_not_ready("x" * 10_000)) == 400
    assert why_not_ready("[" * 100_000).startswith("[[")
    assert why_not_ready("") == "/readyz fails"


def test_a_partition_without_a_leader_is_named_and_not_taken_for_settled() -> None:
    unled = [
        replace(READ, at=TopicPartition("events", n), has_leader=False, holder=None)
        for n in (1, 2)
    ]
    assert by_cause(open_partitions([READ, *unled], [], NOW)) == [
        (
            "2 partitions (events/1-2)",
            "they have no leader: they are not read, and what is unsettled is not known",
        )
    ]
