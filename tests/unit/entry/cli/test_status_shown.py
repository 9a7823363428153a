"""The status is one screen: what is well is one line, and a flood of one kind is cut."""

from io import StringIO

import pytest

from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin.status import (
    BreakerStatus,
    LaneAtLimit,
    OpenPartition,
    Status,
    TierStatus,
)
from hookstream.entry.admin.worker_pages import WorkerPage
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.status import keep_shown, show_status
from hookstream.entry.cli.terminal import Terminal
from hookstream.errors import DependencyUnavailable

NOW = 1_795_000_000_000


def writing_to(out: StringIO) -> Context:
    context = Context(None, {}, {})
    for name in ("out", "err"):
        terminal = Terminal(file=out, width=200, markup=False, emoji=False)
        object.__setattr__(context, name, terminal)
    return context


def shown(**changed: object) -> str:
    out = StringIO()
    context = writing_to(out)
    well: dict[str, object] = {
        "at": NOW,
        "lag": 0,
        "unsettled": 0,
        "partitions": [],
        "tiers": [],
        "breakers": [],
        "holds": [],
        "stalled_jobs": [],
        "dead_letters": {},
        "undecodable": {},
        "workers": [],
    }
    show_status(context, Status(**(well | changed)))  # type: ignore[arg-type]
    return out.getvalue()


def test_where_all_is_well_each_kind_of_trouble_is_none() -> None:
    screen = shown(workers=[WorkerPage("a:1", "1.0")])
    assert screen.count(" none") == 7
    assert "a:1 runs 1.0" in screen
    assert "Nothing waits in the tiers." in screen


def test_what_is_not_well_is_named() -> None:
    screen = shown(
        lag=90_000,
        breakers=[BreakerStatus("crm", "acme", 1_200)],
        lanes_at_limit=[
            LaneAtLimit("shop", "rival", 2_000, 160, 2, "rests, as its endpoint asked"),
            LaneAtLimit("erp", "", 0, 1, 1, "4 of 4 in flight"),
        ],
        holds=[Hold(HoldKind.PARTNER, "acme", NOW - 7_200_000, "a deploy", "ann@desk")],
        dead_letters={"gone": 3},
        tiers=[TierStatus("hookstream.retry.5m", 2_000, 5, NOW - 60_000)],
        workers=[WorkerPage("a:1", "1.0", not_ready="tables"), WorkerPage("b:1", problem="gone")],
        notes=["a part was not read"],
    )
    for line in (
        "90s, 0 records unsettled",
        "crm (acme), 1,200 wait in tiers",
        "shop (rival), 2,000 wait in tiers, 160 in lanes: rests, as its endpoint asked, in 2 workers",
        "erp (?), 0 wait in tiers, 1 in lanes: 4 of 4 in flight",
        "partner acme for 2h: a deploy (ann@desk)",
        "3 gone",
        "a:1 runs 1.0, not ready: tables",
        "b:1: gone",
        "note: a part was not read",
    ):
        assert line in screen
    assert screen.splitlines()[-2].split() == ["hookstream.retry.5m", "2,000", "5", "1m"]


def test_partitions_that_a_worker_has_stopped_are_never_none() -> None:
    """Which they are is seen a minute later, and of tiers only in the worker's log."""
    screen = shown(workers=[WorkerPage("a:1", "1.0", stopped_partitions=5)])
    assert "partitions        5 partitions stopped by a:1: its log names them" in screen


def test_what_no_worker_was_asked_for_is_not_known_rather_than_none() -> None:
    screen = " ".join(shown().split())
    assert "workers none was asked" in screen
    assert "lanes at limit not known" in screen


def test_a_flood_of_one_kind_leaves_room_for_the_others() -> None:
    partitions = [OpenPartition(TopicPartition("events", n), "no worker") for n in range(900)]
    screen = shown(
        breakers=[BreakerStatus(f"s{n}", "acme") for n in range(900)], partitions=partitions
    )
    assert "and 892 more" in screen
    assert "900 partitions (events/0-899): no worker" in screen
    assert len(screen.splitlines()) < 25


def test_a_watched_status_is_shown_again_until_interrupted_also_after_it_could_not_be_read() -> (
    None
):
    out, done = StringIO(), list[str]()

    def show() -> None:
        done.append("shown")
        if len(done) == 3:
            raise DependencyUnavailable("no broker answers")

    def pause(seconds: float) -> None:
        done.append(f"{seconds} s")
        if len(done) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_shown(writing_to(out), show, 2.5, pause)
    assert done == ["shown", "2.5 s"] * 3
    assert out.getvalue() == "cannot read the status: no broker answers\n"
