"""An event is explained alike on the cluster and through the API; a partner learns of its own things alone."""

import json

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.faces import ApiFace, MemoryBackend, run

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.problems import RequestRefused
from hookstream.entry.console.at_once import AtOnce


@pytest.mark.parametrize(
    "line",
    [
        "explain e-1",
        "explain e-1 --json",
        "explain e-1 crm",
        "explain e-1 theirs --json",
        "explain orders/3@40",
        "explain orders/3@40 --json --since 2h",
        "explain orders/3@40 --id",
        "explain e-2",
        "explain e-2 --json",
        "explain orders/three@40",
        "explain orders-3@40",
    ],
)
def test_an_event_is_explained_alike_by_both(line: str) -> None:
    on_cluster = run(MemoryBackend(ApiWorld()), *line.split())
    by_api = run(ApiFace(ApiWorld()), *line.split())
    assert by_api == on_cluster
    assert bool(by_api.out) is (by_api.code in (0, 1))


def test_a_partner_learns_of_its_own_subscriptions_and_of_no_place() -> None:
    partner = ApiFace(ApiWorld(), Scope.PARTNER_READ)
    said = run(partner, "explain", "e-1")
    assert (said.code, said.err) == (0, "")
    for hidden in ("hush", "theirs", "rival", "t-3@40"):
        assert hidden not in said.out
    lines = [line.strip() for line in said.out.splitlines()]
    assert lines[:2] == [
        "pricing.completed v1 e-1, environment production, entity q-1",
        "record of 2026-11-24 12:00:00Z",
    ]
    assert "waits since 2026-11-24 12:00:00Z, due 2026-11-24T12:05:00.000Z: suspended" in lines
    assert "nothing is recorded for it yet" in lines
    assert lines[-1].startswith("not searched: parts that a console does not read in one answer")
    document = json.loads(run(partner, "explain", "e-1", "--json").out)
    [event] = document["events"]
    assert [each["subscription"] for each in event["subscriptions"]] == [
        "crm",
        "waits",
        "refused",
        "unknown",
    ]


def test_a_partner_names_neither_a_place_nor_what_is_another_partners() -> None:
    partner = ApiFace(ApiWorld(), Scope.PARTNER_READ)
    place = run(partner, "explain", "orders/3@40")
    assert (place.code, "place: this parameter is for operators" in place.err) == (2, True)
    foreign, absent = (run(partner, "explain", "e-1", name) for name in ("theirs", "nothing"))
    assert foreign == absent
    assert (foreign.code, foreign.err) == (2, "hookstream: Not found\n")


async def test_either_an_id_or_a_place_is_asked_for() -> None:
    world = ApiWorld()
    for query in ("", "?event=e-1&place=orders/3@40", "?place=nowhere"):
        answer = await world.send("GET", f"/v1/explain{query}")
        assert answer.status == 422, query


async def test_what_is_read_for_an_explanation_counts_against_the_partners_rate() -> None:
    world = ApiWorld()
    token = world.tokens[Scope.PARTNER_READ]
    caller = world.services.caller(token)
    assert caller is not None
    assert world.services.scan_wait(caller) == 0
    world.services.note_scanned(caller, 1_000_000)
    refused = await world.send("GET", "/v1/explain?event=e-1", token=token)
    assert (refused.status, "scanned_records_a_second" in refused.json["remedy"]) == (429, True)


def refusal(limit: AtOnce, partner_id: str | None) -> tuple[int, int | None]:
    with pytest.raises(RequestRefused, match="events are explained") as refused:
        limit.one(partner_id).__enter__()
    return refused.value.kind.status, refused.value.retry_after


def test_each_partner_has_one_explained_at_a_time_whatever_others_ask() -> None:
    limit = AtOnce(3, "events are explained")
    with limit.one("acme"):
        assert refusal(limit, "acme") == (429, 5)
        with limit.one("rival"), limit.one(None):
            pass
        assert refusal(limit, "acme") == (429, 5)
    with limit.one("acme"):
        pass


def test_no_more_than_a_few_are_explained_at_once_and_partners_leave_one_to_operators() -> None:
    limit = AtOnce(3, "events are explained")
    with limit.one("acme"), limit.one("rival"):
        assert refusal(limit, "third") == (503, 5)
        with limit.one(None):
            assert refusal(limit, None) == (503, 5)
    with limit.one(None), limit.one(None), limit.one(None):
        assert refusal(limit, "acme") == (503, 5)
        assert refusal(limit, None) == (503, 5)
    with limit.one("third"), limit.one("acme"), limit.one(None):
        pass
