"""The lane of a subscription is shown alike on the cluster and through the API, and says what is not known."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import subscription
from tests.doubles.faces import ApiFace, MemoryBackend, Said, run
from tests.doubles.lanes import BROKEN, CALM, SAID

from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.core.access.scopes import Scope
from hookstream.core.lanes.lane_status import BreakerState
from hookstream.core.model.subscription import Limits

IDLE = (WorkerLane("a:1", "one"), WorkerLane("b:1", "two"))
SAYINGS: dict[str, Sequence[WorkerLane]] = {
    "mixed": SAID,
    "calm": (WorkerLane("a:1", "one", CALM),),
    "unbounded": (WorkerLane("a:1", "one", replace(CALM, rate=None, ramping=True)),),
    "throttled": (
        WorkerLane("a:1", "one", replace(CALM, throttled=True, rests=9.0, overdue=True)),
    ),
    "probing": (
        WorkerLane("a:1", "one", replace(BROKEN, breaker=BreakerState.HALF_OPEN, probe_after=0)),
    ),
    "idle": IDLE,
    "idle in part": (*IDLE, WorkerLane("c:1", problem="it gave no answer: gone")),
    "silent": (WorkerLane("a:1", problem="it gave no answer within 1 s"),),
    "not asked": (),
}


def a_world(said: Sequence[WorkerLane]) -> ApiWorld:
    world = ApiWorld()
    world.services.lanes_said = said
    world.add(replace(subscription("crm"), limits=Limits(max_in_flight=10, rate_limit=5.0)))
    pulled = subscription("pulled")
    world.add(replace(pulled, endpoint=replace(pulled.endpoint, url="", is_pull=True)))
    return world


def both(said: Sequence[WorkerLane], *arguments: str) -> tuple[Said, Said]:
    line = ("subscriptions", "lane", *arguments)
    return run(MemoryBackend(a_world(said)), *line), run(ApiFace(a_world(said)), *line)


@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize("saying", SAYINGS)
def test_a_lane_is_shown_alike(saying: str, more: tuple[str, ...]) -> None:
    on_cluster, by_api = both(SAYINGS[saying], "crm", *more)
    assert by_api == on_cluster
    assert (by_api.code, by_api.err) == (0, "")


def shown(saying: str) -> str:
    found = run(MemoryBackend(a_world(SAYINGS[saying])), "subscriptions", "lane", "crm")
    return " ".join(found.out.split())


def test_the_sum_and_each_worker_say_what_holds_the_lane_up() -> None:
    mixed = shown("mixed")
    for text in (
        "in flight 1 of 8; not all workers answered: there may be more",
        "next 2 deliveries",
        "rate 10/s at most",
        "breaker partly open, probes at 2026-11-24 12:00:30Z",
        "answers in 250ms on average",
        "hush-worker-1 (hush-worker:9464) 1 of 4 (10 at most) 2 5/s at most closed 250ms -",
        "10.0.0.3:9464) idle: it had no work for it for ten minutes, or since it started",
        "hush-gone:9464 it gave no answer: hush",
    ):
        assert text in mixed, text
    throttled = shown("throttled")
    for text in (
        "rate 5/s at most, as its endpoint answers",
        "rests at its endpoint's request, until 2026-11-24 12:00:09Z",
        "an attempt is overdue: no other starts, rests at its endpoint's request, until 2026-11-24 12:00:09Z",
    ):
        assert text in throttled, text
    assert "breaker half open: the next attempt is a probe" in shown("probing")
    assert "in flight 1 of 4, ramping up" in shown("unbounded")


def test_an_idle_lane_says_so_and_what_its_subscription_allows() -> None:
    for text in (
        "lane idle: no worker had work for it for ten minutes, or since it started",
        "in flight 0, at most 10 in each worker",
        "rate 5/s at most",
    ):
        assert text in shown("idle"), text
    assert "not all workers answered: there may be more" in shown("idle in part")


def test_what_is_not_known_names_what_would_say_it() -> None:
    assert "lane not known: no worker answered" in shown("silent")
    assert "it gave no answer within 1 s" in shown("silent")
    not_asked = shown("not asked")
    assert "lane not known" in not_asked
    assert "console.workers" in not_asked
    assert "--worker HOST:PORT" in not_asked


def test_a_partner_gets_the_sum_and_no_worker() -> None:
    found = run(
        ApiFace(a_world(SAID), scope=Scope.PARTNER_READ), "subscriptions", "lane", "crm", "--json"
    )
    document = json.loads(found.out)
    assert (document["in_flight"], document["workers"]) == (1, [])
    assert "hush" not in found.out + found.err


def test_workers_that_are_named_are_asked_from_here() -> None:
    on_cluster, by_api = both(SAID, "crm", "--worker", "127.0.0.1:1")
    assert by_api == on_cluster
    assert "127.0.0.1:1" in by_api.out
    assert "hush" not in by_api.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("pulled",), "so it has no lane"),
        (("nobody",), "there is no subscription 'nobody'"),
        (("crm", "--worker", "nowhere"), "is not HOST:PORT"),
        (("crm", "--worker", "http://a:1/x"), "is not HOST:PORT"),
    ],
)
def test_what_has_no_lane_is_refused(arguments: tuple[str, ...], why: str) -> None:
    on_cluster, by_api = both(SAID, *arguments)
    assert on_cluster.code == by_api.code == 2
    for said in (on_cluster, by_api):
        assert why in " ".join(said.err.split()), said
