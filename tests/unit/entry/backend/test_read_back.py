"""What the API shows an operator is read back as what it was made of."""

from dataclasses import replace

import pytest
from tests.doubles.api_records import waiting_run
from tests.doubles.clock import NOON
from tests.doubles.lives import DEATH, FIRST

from hookstream.adapters.index.answers import IndexedDelivery
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeadLettered, DeliveryHistory, DeliveryState, Purge
from hookstream.core.audit.run_states import RunId, RunState
from hookstream.core.audit.timeline import timeline
from hookstream.core.model.delivery import Trigger
from hookstream.entry.api.resources.delivery_life_views import shown_timeline
from hookstream.entry.api.resources.delivery_views import (
    shown_attempt,
    shown_pending,
    shown_run,
)
from hookstream.entry.backend.api.past import attempt_in, history_in, pending_in, run_in
from hookstream.entry.cli.delivery_view import pending_facts

ENDED = replace(FIRST, outcome=None, status=None, disposition="cancel", next_due_at=None)
REDRIVEN = replace(DEATH, redriven_by="redrive-1", redriven_at=DEATH.at + 5, detail="why")
PURGED = replace(
    DEATH, place="1@9", purge=Purge(DEATH.at + 9, "purge-1", "1@9", "ada@ops", "sent: by mail")
)


@pytest.mark.parametrize("entry", [FIRST, ENDED, replace(FIRST, job_id="replay-1", batch_id="b")])
def test_an_attempt_is_read_back_whole(entry: AuditEntry) -> None:
    assert attempt_in(shown_attempt(entry, to_operator=True)) == entry


@pytest.mark.parametrize("deaths", [(), (DEATH,), (REDRIVEN, PURGED)])
def test_a_history_is_read_back_whole(deaths: tuple[DeadLettered, ...]) -> None:
    history = DeliveryHistory("msg_a", (FIRST, ENDED), deaths)
    steps = timeline(history.entries, deaths, (), {})
    assert history_in("msg_a", shown_timeline(steps, to_operator=True)) == history


def test_a_run_is_read_back_whole() -> None:
    state = RunState(
        RunId("msg_a", "t-3@40", "replay-1"),
        "crm",
        "acme",
        "pricing.completed",
        "e-1",
        DeliveryState.PENDING,
        NOON,
        2,
        "retry",
        "held",
        "detail",
        "failed 503",
        NOON + 5,
        "tier-0@4",
    )
    shown = shown_run(IndexedDelivery(state, "q-1", NOON), to_operator=True)
    assert run_in(shown) == state


@pytest.mark.parametrize("deferred", [True, False])
def test_what_waits_is_shown_as_on_the_cluster(deferred: bool) -> None:  # noqa: FBT001  a parameter
    found = waiting_run(FIRST)
    if not deferred:
        delivery = replace(
            found.delivery, deferred_reason=None, deferred_since=None, trigger=Trigger.RETRY
        )
        found = replace(found, delivery=delivery)
    back = pending_in(shown_pending(found, to_operator=True))
    assert [*pending_facts(back, NOON)] == [*pending_facts(found, NOON)]
    assert back.run == found.run
