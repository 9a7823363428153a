"""A delivery's history is in the order of time, and its state follows from the last entry."""

from dataclasses import replace

from tests.doubles.lives import DEATH, FIRST, LAST, REDRIVEN

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import (
    DeadLettered,
    DeliveryHistory,
    DeliveryState,
    Purge,
    Redrive,
)


def life(*entries: AuditEntry, deaths: tuple[DeadLettered, ...] = ()) -> DeliveryHistory:
    return DeliveryHistory("msg_a", entries, deaths)


def test_history_entries_come_in_the_order_of_time() -> None:
    again = replace(FIRST, attempt=3, started_at=9_500, disposition="complete")
    entries = life(again, LAST, FIRST, deaths=(REDRIVEN,)).moments()
    assert entries == [FIRST, LAST, REDRIVEN, Redrive(9_000, "job", "3@7"), again]


def test_a_redrive_whose_job_is_forgotten_directly_follows_the_dead_letter() -> None:
    unknown = replace(REDRIVEN, redriven_at=None)
    assert life(deaths=(unknown,)).moments() == [unknown, Redrive(6_010, "job", "3@7")]


def test_the_state_follows_the_last_entry() -> None:
    cancelled = replace(FIRST, attempt=2, started_at=9_900, disposition="cancel")
    states = [
        life().state,
        life(FIRST).state,
        life(FIRST, LAST).state,
        life(FIRST, LAST, deaths=(DEATH,)).state,
        life(FIRST, LAST, deaths=(REDRIVEN,)).state,
        life(FIRST, LAST, cancelled, deaths=(REDRIVEN,)).state,
    ]
    assert states == [
        DeliveryState.UNKNOWN,
        DeliveryState.PENDING,
        DeliveryState.DEAD_LETTERED,
        DeliveryState.DEAD_LETTERED,
        DeliveryState.PENDING,
        DeliveryState.CANCELLED,
    ]


def test_a_purged_delivery_is_dead_lettered_and_says_by_whom_and_why() -> None:
    purge = Purge(9_000, "purge-1", "3@7", "ada@ops", "sent by mail")
    purged = replace(DEATH, purge=purge)
    history = life(FIRST, LAST, deaths=(purged,))
    assert (history.state, history.purge) == (DeliveryState.DEAD_LETTERED, purge)
    assert history.moments() == [FIRST, LAST, purged, purge]
    assert (purged.is_open, DEATH.is_open, REDRIVEN.is_open) == (False, True, False)


def test_a_later_dead_letter_that_is_open_is_not_purged_with_the_earlier_one() -> None:
    purged = replace(DEATH, purge=Purge(9_000, "purge-1", "3@7", "ada@ops", "sent by mail"))
    later = replace(DEATH, at=9_500, place="3@9")
    assert life(deaths=(purged, later)).purge is None


def test_completed_wins_over_the_result_of_a_second_copy() -> None:
    """A crash may leave two copies of a delivery; the partner has it in any case."""
    delivered = replace(FIRST, disposition="complete", outcome="delivered")
    assert life(delivered, LAST, deaths=(DEATH,)).state is DeliveryState.COMPLETED


def test_the_newest_run_gives_the_state_and_an_earlier_one_may_have_completed() -> None:
    delivered = replace(FIRST, disposition="complete", outcome="delivered")
    replayed = replace(FIRST, job_id="replay-7", trigger="replay", started_at=20_000)
    given_up = replace(replayed, attempt=2, started_at=21_000, disposition="dead_letter")
    letter = replace(DEATH, at=21_010, job="replay-7")
    one = life(given_up, delivered, replayed, deaths=(letter,))

    assert (one.state, one.completed) == (DeliveryState.DEAD_LETTERED, True)
    assert {job: run.state for job, run in one.by_run().items()} == {
        None: DeliveryState.COMPLETED,
        "replay-7": DeliveryState.DEAD_LETTERED,
    }
    assert one.by_run()["replay-7"].moments() == [replayed, given_up, letter]


def test_completed_ranks_within_its_run_and_runs_are_ordered_by_when_they_began() -> None:
    """The first life still retries when the replay is over: the replay is the newest all the same."""
    replayed = replace(FIRST, job_id="a", started_at=2_000, disposition="complete")
    copy = replace(replayed, started_at=2_500, disposition="retry")
    later = replace(FIRST, job_id="b", started_at=3_000)
    one = life(FIRST, replayed, copy, later, replace(FIRST, attempt=2, started_at=9_000))

    assert list(one.by_run()) == [None, "a", "b"]
    assert one.state is DeliveryState.PENDING
    assert one.by_run()["a"].state is DeliveryState.COMPLETED
    assert life(FIRST, replayed, replace(FIRST, started_at=9_000)).state is DeliveryState.COMPLETED


def test_a_dead_letter_of_a_run_that_was_redriven_is_pending_in_that_run() -> None:
    replayed = replace(LAST, job_id="replay-7", started_at=20_000)
    redriven = replace(REDRIVEN, at=20_010, redriven_at=30_000, job="replay-7")
    one = life(FIRST, LAST, replayed, deaths=(DEATH, redriven))

    assert {job: run.state for job, run in one.by_run().items()} == {
        None: DeliveryState.DEAD_LETTERED,
        "replay-7": DeliveryState.PENDING,
    }


def test_each_event_under_one_id_has_its_own_history() -> None:
    """A producer gave one id to two events: neither hides what became of the other."""
    other = FIRST.origin._replace(offset=41)
    delivered = replace(FIRST, origin=other, disposition="complete", outcome="delivered")
    dead = replace(DEATH, origin="t-3@40")
    shared = life(FIRST, LAST, delivered, deaths=(dead,))

    lives = shared.by_origin()

    assert {origin: each.state for origin, each in lives.items()} == {
        "t-3@40": DeliveryState.DEAD_LETTERED,
        "t-3@41": DeliveryState.COMPLETED,
    }
    assert lives["t-3@40"].moments() == [FIRST, LAST, dead]
    assert shared.state is DeliveryState.COMPLETED
