"""A body is printed as it would be rendered now, and what was sent otherwise is said beside it."""

import json

from tests.doubles.api import ApiWorld
from tests.doubles.clock import NOON
from tests.doubles.faces import ApiFace, run

from hookstream.core.access.scopes import Scope
from hookstream.entry.backend.listing_ports import PayloadRead
from hookstream.entry.cli.delivery_payload import (
    payload_document,
    payload_reservations,
    payload_text,
)

READ = PayloadRead(
    body=b'{"price":1.10}',
    content_type="application/json",
    event_type="pricing.completed",
    version=2,
    published_at=NOON - 60_000,
    version_sent=2,
    changed_at=None,
    at_origin=True,
    found="its origin t-3@40",
)


def changed(**changes: object) -> PayloadRead:
    fields = {name: getattr(READ, name) for name in PayloadRead.__slots__}
    return PayloadRead(**{**fields, **changes})


def test_a_body_is_indented_and_no_number_of_it_changes() -> None:
    assert payload_text(READ) == '{\n  "price": 1.10\n}'
    assert payload_text(changed(body=b"no json")) == "no json"
    assert payload_document(READ)["body"] == '{"price":1.10}'


def test_where_it_came_from_and_what_changed_is_said() -> None:
    assert [*payload_reservations(READ)] == [
        "rendered now from its origin t-3@40, published 2026-11-24 11:59:00Z"
    ]
    copy = changed(found="", at_origin=False, changed_at=NOON, version_sent=1)
    assert [*payload_reservations(copy)] == [
        "rendered now from a copy of its event, published 2026-11-24 11:59:00Z",
        (
            "the subscription changed since the last attempt, at 2026-11-24 12:00:00Z: the sent body"
            " may differ"
        ),
        "the last request had version 1; this is version 2",
    ]
    unsent = changed(version_sent=None)
    assert [*payload_reservations(unsent)][1:] == ["no request of this delivery is known"]


def test_the_command_reads_through_the_api_what_its_token_may_see() -> None:
    for scope in (Scope.ADMIN, Scope.PARTNER_READ):
        said = run(ApiFace(ApiWorld(), scope), "deliveries", "payload", "msg_ours", "--json")
        assert (said.code, json.loads(said.out)["body"]) == (0, "{}"), said.err
    said = run(ApiFace(ApiWorld()), "deliveries", "payload", "msg_ours")
    assert (said.out, said.code) == ("{}\n", 0)
    assert "changed since the last attempt" in said.err


def test_a_window_a_batch_and_an_absent_delivery_are_refused() -> None:
    asked = ("deliveries", "payload")
    for words, why in (
        (("msg_ours", "--since", "2h"), "--since and --until"),
        (("msgb_" + "a" * 26,), "is a batch"),
        (("msg_nothing",), "the index has no delivery"),
    ):
        said = run(ApiFace(ApiWorld()), *asked, *words)
        assert (said.code, why in said.err) == (2, True), said.err


def test_a_resend_says_why_through_the_api_and_no_longer_than_a_reason_is() -> None:
    world = ApiWorld()
    why = ("deliveries", "resend", "msg_ours", "--yes", "--reason")
    assert run(ApiFace(world), *why, "their outage is over").code == 0
    job = world.services.job("resend-1")
    assert job is not None
    assert job.asked["reason"] == "their outage is over"
    said = run(ApiFace(world), *why, "x" * 501)
    assert (said.code, "501 characters" in said.err) == (2, True)
