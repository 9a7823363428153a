"""A resend needs one event, a grant of then and of today, and a subscription that takes it."""

from dataclasses import replace

import pytest
from tests.doubles.lives import FIRST
from tests.unit.core.audit.test_run_states import DELIVERY, WAITS

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.jobs.job import Job, JobState, read_job
from hookstream.core.matching.directory import Directory
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.delivery_headers import dead_letter_headers, read_delivery, tier_headers
from hookstream.core.model.event import Event, Revision
from hookstream.core.model.outcome import DeadReason, RefusalReason, Refused
from hookstream.core.model.record import Record
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    HeldGrant,
    Partner,
    RetryPolicy,
    Subscription,
)
from hookstream.entry.admin.deliveries import DeliveryDetails
from hookstream.entry.admin.resends import (
    EventSource,
    Resend,
    chosen_origin,
    gone,
    refuse_not_granted,
)
from hookstream.errors import InputRefused

TYPE = "pricing.completed"
ORIGIN = FIRST.origin
CRM = Subscription(
    "crm",
    "acme",
    Endpoint("https://crm.example", ()),
    (TYPE,),
    active_from=0,
    retry=RetryPolicy(expires_after=60_000),
)
RECORD = Record("t", 3, 40, ORIGIN.timestamp, b"q-1", b"value", (("app", b"1"),))
EVENT = Event(Revision(TYPE, 1, ""), "e-1", 0, "q-1", "production", {}, RECORD, ORIGIN)


def details(*entries: AuditEntry, records: tuple[Record, ...] = ()) -> DeliveryDetails:
    return DeliveryDetails("msg_a", DeliveryHistory("msg_a", entries, ()), (), (), records)


def test_the_only_origin_is_taken_wherever_it_is_known_from() -> None:
    tier = replace(RECORD, topic="retry.5s", headers=tier_headers(DELIVERY, (), written_at=0))
    dead = dead_letter_headers(DELIVERY, (), DeadReason.EXPIRED, "", written_at=0)
    letter = replace(RECORD, topic="dead-letters", headers=dead)
    for known in (details(FIRST), details(records=(tier,)), details(FIRST, records=(letter,))):
        assert chosen_origin(known, None) == ORIGIN


def test_of_several_events_under_one_id_one_has_to_be_chosen() -> None:
    other = ORIGIN._replace(offset=41)
    both = details(FIRST, replace(FIRST, origin=other))
    assert chosen_origin(both, "t-3@41") == other
    with pytest.raises(InputRefused, match=r"2 events .* --origin \(t-3@40, t-3@41\)"):
        chosen_origin(both, None)
    with pytest.raises(
        InputRefused, match=r"--origin 't-3@42': no event of msg_a was found there"
    ):
        chosen_origin(both, "t-3@42")
    with pytest.raises(InputRefused, match="its headers cannot be read"):
        chosen_origin(details(), None)


NARROW, WIDE = Grant((TYPE,), ("staging",)), Grant((TYPE,), ("production",))


def granted(to: Partner, *, as_granted_today: bool = False) -> None:
    directory = Directory()
    directory.put_partner(to)
    body = Refused(RefusalReason.NOT_RENDERABLE, "no body")
    refuse_not_granted(directory, CRM, EVENT, body, as_granted_today=as_granted_today)


def test_what_the_grant_of_then_or_of_today_does_not_cover_is_refused_by_name_of_the_grant() -> (
    None
):
    granted(partner(WIDE))
    with pytest.raises(InputRefused, match=r"was not granted .* at its time.*--as-granted-today"):
        granted(partner(NARROW, WIDE))
    granted(partner(NARROW, WIDE), as_granted_today=True)
    for today in (False, True):
        with pytest.raises(InputRefused, match=r"is not granted .*\(production\) today"):
            granted(partner(WIDE, NARROW), as_granted_today=today)
    with pytest.raises(InputRefused, match=r"whether .* is granted cannot be evaluated"):
        granted(partner(replace(WIDE, pattern={"type": [TYPE]})))


def partner(then: Grant, now: Grant | None = None) -> Partner:
    """Return a partner that was granted so at the event's time, and otherwise today."""
    today = then if now is None else now
    held = HeldGrant(then, 1), HeldGrant(today, ORIGIN.timestamp + 1)
    return Partner("acme", "Acme", today, history=held)


def planned(state: Delivery | None = None, record: Record = RECORD) -> Resend:
    found = EventSource("", record, EVENT, state)
    return Resend("msg_a", CRM, found, (WAITS,), "", as_granted_today=state is not None)


def test_from_its_origin_a_run_begins_again_under_the_same_id() -> None:
    record = planned().tier_record("retry.0s", "resend-1", 5_000)
    run = read_delivery(record.headers)
    assert run == replace(
        DELIVERY,
        first_at=5_000,
        expires_at=65_000,
        attempt=0,
        trigger=Trigger.REPLAY,
        due_at=None,
        last_outcome=None,
        last_status=None,
        job="resend-1",
    )
    assert (record.topic, record.value, record.key) == ("retry.0s", b"value", b"msg_a")
    assert ("app", b"1") in record.headers


def test_from_a_tier_record_it_is_the_same_run() -> None:
    copy = replace(RECORD, headers=tier_headers(DELIVERY, RECORD.headers, written_at=0))
    made = replace(planned(), as_granted_today=True), planned(DELIVERY, copy)
    records = [each.tier_record("retry.0s", "j", 5_000) for each in made]
    assert read_delivery(records[0].headers) == read_delivery(records[1].headers)
    assert records[0].value == records[1].value


def test_its_job_is_done_with_its_only_step_and_says_who_asked_for_what() -> None:
    job = read_job("resend-1", planned().job("resend-1", 5_000, "ada@ops").encode())
    assert isinstance(job, Job)
    assert (job.kind, job.state, job.done, job.total) == ("resend", JobState.DONE, 1, 1)
    assert job.asked == {
        "delivery": "msg_a",
        "subscription": "crm",
        "event_type": TYPE,
        "event_id": "e-1",
        "origin": "t-3@40",
        "as_granted_today": False,
        "by": "ada@ops",
    }


def test_an_event_that_is_gone_says_which_topic_let_go_of_it_and_what_that_still_has() -> None:
    oldest = replace(RECORD, offset=120, timestamp=1_700_000_000_000)
    assert gone(ORIGIN, oldest) == (
        "is gone: t-3 let go of all that it had before @120, which is of 2023-11-14 22:13:20Z"
    )
    assert gone(ORIGIN, None) == "is gone: t-3 has no record any more"
    before = gone(ORIGIN, replace(oldest, offset=2))
    assert before == "is gone: t-3 was made again, or compacted; its log begins at @2"
