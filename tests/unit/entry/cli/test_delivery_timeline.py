"""One delivery's life reads the same on the cluster and through the API, and untrusted text does no harm."""

from dataclasses import replace
from io import StringIO

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import waiting_run
from tests.doubles.clock import NOON
from tests.doubles.lives import DEATH, FIRST
from tests.unit.core.audit.test_next_step import DELETED, HELD, LIVE, PAUSED
from tests.unit.entry.cli.test_delivery_view import no_job

from hookstream.core.audit.history import DeliveryHistory, Purge
from hookstream.core.audit.next_step import Coming, NextStep, Remedy, next_step
from hookstream.core.jobs.job import Job
from hookstream.core.model.subscription_status import SubscriptionStatus
from hookstream.entry.admin.delivery_life import DeliveryLife, life_of
from hookstream.entry.api.filters import WindowShown
from hookstream.entry.api.resources.delivery_life_views import (
    DeliveryShown,
    shown_next,
    shown_sent,
    shown_timeline,
)
from hookstream.entry.backend.api.life import life_in
from hookstream.entry.cli.delivery_timeline import (
    life_document,
    next_words,
    show_next,
    show_timeline,
)
from hookstream.entry.cli.terminal import Terminal

ORIGIN = "t-3@40"
FAILED = replace(
    FIRST,
    started_at=NOON - 60_000,
    duration_us=250_000,
    next_due_at=NOON - 55_000,
    response_excerpt="try\nlater",
    trace_id="c0ffee" * 5 + "00",
    origin=FIRST.origin._replace(timestamp=NOON - 60_500),
)
COPY = replace(FAILED, started_at=NOON - 59_900)
GIVEN_UP = replace(
    FAILED,
    attempt=2,
    trigger="retry",
    started_at=NOON - 55_000,
    disposition="dead_letter",
    reason="attempts_exhausted",
    next_due_at=None,
    response_excerpt=None,
)
LETTER = replace(
    DEATH,
    at=NOON - 54_000,
    origin=ORIGIN,
    purge=Purge(NOON - 40_000, "purge-1", "3@7", "ada@ops", "sent: by mail"),
)
RESENT = replace(
    FAILED,
    job_id="resend-1",
    trigger="replay",
    started_at=NOON - 20_000,
    outcome="delivered",
    status=200,
    error=None,
    disposition="complete",
    reason=None,
    next_due_at=None,
)
CANCELLED = replace(
    FAILED,
    job_id="replay-9",
    outcome=None,
    status=None,
    error=None,
    started_at=NOON - 10_000,
    disposition="cancel",
    reason="subscription_deleted",
    next_due_at=None,
    duration_us=0,
    response_excerpt=None,
)
JOB = Job("resend-1", "resend", {}, NOON - 21_000, asked_by="ada@ops")
WAITS = waiting_run(FAILED)
LETTER_GONE = replace(GIVEN_UP, job_id="replay-8", started_at=NOON - 5_000)


def life(world: ApiWorld, status: SubscriptionStatus | None = LIVE) -> DeliveryLife:
    entries = (FAILED, COPY, GIVEN_UP, RESENT, CANCELLED, LETTER_GONE)
    history = DeliveryHistory("msg_a", entries, (LETTER,))
    names = world.settings.topics_names
    return life_of(
        history,
        entries,
        (replace(WAITS, delivery=replace(WAITS.delivery, first_at=NOON - 60_400)),),
        {"resend-1": JOB}.get,
        status,
        world.services.state(),
        names.subscriptions,
    )


def by_api(found: DeliveryLife) -> DeliveryLife:
    """Return a life as a command gets it through the API."""
    shown = DeliveryShown(
        id="msg_a",
        subscription="crm",
        partner="acme",
        state="pending",
        pending=(),
        timeline=shown_timeline(found.steps, to_operator=True),
        next=shown_next(found.coming, to_operator=True),
        sent=shown_sent(found.sent),
        window=WindowShown(since=None, until=None, building=False, reading=True),
    )
    return life_in(shown)


def text(found: DeliveryLife) -> list[str]:
    out = StringIO()
    terminal = Terminal(file=out, width=200)
    show_next(terminal, found, NOON)
    show_timeline(terminal, found)
    return out.getvalue().splitlines()


def test_a_life_is_shown_in_order_with_what_was_answered_and_what_was_sent() -> None:
    below = "    trace c0ffeec0ffeec0ffeec0ffeec0ffee00, worker w"
    assert text(life(ApiWorld(), HELD)) == [
        "Next",
        (
            "  attempt 2 now, due since 2026-11-24 12:00:00Z (held); it waits until its hold is"
            " cleared"
        ),
        "Timeline",
        "  2026-11-24 11:58:59Z  event published at t-3@40",
        "  2026-11-24 11:58:59Z  matched",
        (
            "  2026-11-24 11:59:00Z  attempt 1, initial: failed 503 in 250ms;"
            " 2 records of it: the attempt was repeated after a crash"
        ),
        "    answer: try later",
        below,
        "  2026-11-24 11:59:00Z  waited until 2026-11-24 11:59:05Z (retry)",
        "  2026-11-24 11:59:05Z  attempt 2, retry: failed 503 in 250ms",
        below,
        "  2026-11-24 11:59:06Z  dead letter 3@7 (attempts_exhausted: 2 attempts)",
        "  2026-11-24 11:59:20Z  purged at 3@7 by ada@ops (purge-1): sent: by mail",
        "  2026-11-24 11:59:39Z  resend began: resend-1, asked for by ada@ops",
        "  2026-11-24 11:59:40Z  attempt 1, replay: delivered 200 in 250ms, run resend-1",
        "    answer: try later",
        below,
        "  2026-11-24 11:59:40Z  completed, run resend-1",
        "  2026-11-24 11:59:50Z  replay began: replay-9",
        "  2026-11-24 11:59:50Z  cancelled without an attempt (subscription_deleted), run replay-9",
        below,
        "  2026-11-24 11:59:55Z  replay began: replay-8",
        "  2026-11-24 11:59:55Z  attempt 2, retry: failed 503 in 250ms, run replay-8",
        below,
        (
            "  2026-11-24 11:59:55Z  waits in hush-tier until 2026-11-24 12:00:00Z (held),"
            " deferred 2 times"
        ),
        (
            "  2026-11-24 11:59:55Z  dead-lettered (attempts_exhausted); its dead letter was not found,"
            " run replay-8"
        ),
        "Sent",
        "  attempt 2 of replay-8, 2026-11-24 11:59:55Z, version 1",
        "  POST (path not shown) HTTP/1.1",
        "  host: crm.example (its port is not stored)",
        "  webhook-id: msg_a",
        "  webhook-timestamp: 1795521595",
        "  webhook-signature: (signed with the secret generated)",
        "  hookstream-attempt: 2",
        "  hookstream-trigger: retry",
        "  hookstream-replay: replay-8",
        "  content-type: application/json",
        "  user-agent: (hookstream/ and the release that sent it)",
        "  content-length: 9",
        (
            "  its subscription changed since, at 2026-11-24 12:00:00Z: content-type, secrets and its"
            " own headers are the current ones"
        ),
    ]


def test_what_no_attempt_follows_says_what_can_be_done() -> None:
    ended = next_step(DeliveryHistory("msg_a", (RESENT,), ()), (), LIVE)
    assert next_words(ended, NOON) == "nothing happens automatically; remedy: resend"
    in_hand = NextStep(Coming.IN_HAND, Remedy.NONE)
    assert next_words(in_hand, NOON).startswith("a worker has it")


def test_a_step_of_two_events_under_one_id_says_which() -> None:
    other = replace(RESENT, origin=FAILED.origin._replace(offset=41), job_id=None)
    found = life_of(
        DeliveryHistory("msg_a", (FAILED, other), ()),
        (FAILED, other),
        (),
        no_job,
        LIVE,
        None,
        "subscriptions",
    )
    lines = text(found)
    assert "  2026-11-24 11:59:40Z  completed, event at t-3@41" in lines
    assert found.sent is not None
    assert lines[-1].endswith("headers that come from it are missing")


def test_untrusted_text_stays_on_its_line_and_moves_nothing() -> None:
    hostile = replace(
        FAILED,
        response_excerpt="a\x1b[2J\u202eb\nTimeline",
        error="\x1b]0;x\x07",
        worker="w\u2066",
    )
    found = life_of(
        DeliveryHistory("msg_a", (hostile,), ()), (hostile,), (), no_job, None, None, "x"
    )
    printed = "\n".join(text(found))
    assert printed.isprintable() or {c for c in printed if not c.isprintable()} == {"\n"}
    assert printed.count("\nTimeline") == 1


@pytest.mark.parametrize("status", [LIVE, PAUSED, HELD, DELETED, None])
def test_both_faces_show_the_same_of_a_delivery(status: SubscriptionStatus | None) -> None:
    on_the_cluster = life(ApiWorld(), status)
    through_the_api = by_api(on_the_cluster)
    assert through_the_api == on_the_cluster
    assert text(through_the_api) == text(on_the_cluster)
    assert life_document(through_the_api) == life_document(on_the_cluster)
