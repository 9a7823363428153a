"""A delivery's history is in the order of time, and its state follows from the last entry."""

from dataclasses import replace

from tests.doubles.lives import DEATH, FIRST, LAST, REDRIVEN

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeadLettered, DeliveryHistory, DeliveryState, Redrive


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


def test_completed_wins_over_the_result_of_a_second_copy() -> None:
    """A crash may leave two copies of a delivery; the partner has it in any case."""
    delivered = replace(FIRST, disposition="complete", outcome="delivered")
    assert life(delivered, LAST, deaths=(DEATH,)).state is DeliveryState.COMPLETED


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
