"""A command prints the same, and ends with the same code, on the cluster and through the API."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import KEYS, subscription
from tests.doubles.clock import NOON
from tests.doubles.faces import ApiFace, MemoryBackend, Said, run
from tests.doubles.schemas import printprice

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.tables.rows import write_partner
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.access.scopes import Scope
from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import DAY, HOUR, MINUTE
from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.core.model.subscription import (
    Basic,
    Batch,
    Bearer,
    BodyFormat,
    Content,
    Endpoint,
    Gap,
    Grant,
    HeldGrant,
    Limits,
    MutualTls,
    OAuth2,
    Partner,
    RetryPolicy,
    Secret,
    SigningScheme,
    SigningSecret,
    Subscription,
    SubscriptionState,
)
from hookstream.core.offsets.commit_metadata import METADATA_BYTES, CommitPosition, encode_metadata
from hookstream.entry.admin.schema_documents import SampleFormat, SchemaDocuments

PUBLIC = "whpk_" + "A" * 43 + "="
KEY = SigningSecret("generated-1", b"hush" * 8)


def every_kind() -> Iterator[Subscription]:
    """Yield subscriptions that use every field there is."""
    base = subscription("base")
    yield replace(
        base,
        id="basic",
        endpoint=Endpoint(
            "https://partner.example/hush?a=b",
            (KEY, replace(KEY, id="env:OLD", expires_at=NOON + DAY)),
            (("x-plain", "hush"),),
            7_500,
            secret_headers=(("x-secret", Secret("env:HEADER", b"hush")),),
            credentials=Basic("bob", Secret("env:PASSWORD", b"hush")),
            ca=Secret("file:ca.pem", b"hush"),
        ),
        environments=("production",),
        pattern={"data": {"total": [{"numeric": [">", 4.5]}]}},
        versions={"pricing.completed": "latest"},
        content=Content.THIN,
        batch=Batch(50, 200),
        retry=RetryPolicy((1_000, HOUR), 2 * DAY, frozenset({404, 400})),
        limits=Limits(4, 2.5, 3),
        revision=7,
        owner="files:core",
    )
    yield replace(
        base,
        id="oauth",
        endpoint=Endpoint(
            "https://partner.example/",
            (SigningSecret("generated-2", b"h" * 32, SigningScheme.V1A, public_key=PUBLIC),),
            url_secret=Secret("env:URL", b"https://partner.example/hush"),
            credentials=OAuth2(
                "https://tokens.example/hush",
                "client 1",
                Secret("env:CLIENT", b"hush"),
                ("a", "b"),
            ),
            mtls=MutualTls(Secret("file:c.pem", b"hush"), Secret("file:k.pem", b"hush")),
        ),
        gaps=(Gap(NOON - DAY, NOON - HOUR, "paused", "replay-ours"),),
    )
    yield replace(
        base,
        id="templated",
        endpoint=Endpoint(
            "http://[::1]:8080/",
            (KEY,),
            credentials=Bearer(Secret("env:TOKEN", b"hush")),
            template_secrets=(("key", Secret("env:KEY", b"hush")),),
        ),
        format=BodyFormat.TEMPLATE,
        template={"id": "<$.id>", "n": [1, 2.5, None]},
        state=SubscriptionState.PAUSED,
        gaps=(Gap(NOON - HOUR, None, "paused"),),
    )
    yield replace(base, id="pulled", endpoint=Endpoint("", (KEY,), is_pull=True))
    yield replace(base, id="zoned", active_from=NOON + 1)
    yield replace(base, id="gone", state=SubscriptionState.DELETED)


def a_partner() -> Partner:
    now = Grant(("pricing.*",), ("production",), {"data": {"a": [1]}}, operator=True)
    history = (HeldGrant(Grant(("*",), ("*",))), HeldGrant(now, NOON - DAY))
    limits = PartnerLimits(subscriptions=3, timeout=MINUTE, weight=2)
    return Partner("full", "Full", now, revision=4, owner="files:", history=history, limits=limits)


def world() -> ApiWorld:
    made = ApiWorld()
    names = made.settings.topics_names
    for each in every_kind():
        made.tables.put(names.subscriptions, each.id, write_subscription(each, KEYS))
    made.tables.put(names.partners, "full", write_partner(a_partner()))
    asked = Job("replay-asked", "replay", {"subscription": "crm"}, NOON, asked_by="ann@desk")
    made.tables.put(names.jobs, asked.id, asked.encode())
    return made


def both(*arguments: str) -> tuple[Said, Said]:
    return run(MemoryBackend(world()), *arguments), run(ApiFace(world()), *arguments)


IDS = ("basic", "oauth", "templated", "pulled", "zoned", "theirs", "crm")


@pytest.mark.parametrize(
    "line",
    [
        "subscriptions list",
        "subscriptions list --json",
        "subscriptions list --partner acme",
        "subscriptions list --all",
        "subscriptions list --all --json",
        "subscriptions list --all --partner acme --json",
        *(f"subscriptions show {each}{more}" for each in IDS for more in ("", " --json")),
        "subscriptions pause crm --no-wait",
        "subscriptions pause templated --no-wait",
        "subscriptions delete crm --yes",
        "subscriptions release filed",
        "subscriptions release crm",
        "subscriptions release crm --to files",
        "subscriptions release filed --to files",
        "subscriptions release basic --to api",
        "subscriptions rotate-secret crm --no-wait",
        "subscriptions rotate-secret crm --no-wait --json --overlap 1h",
        "subscriptions rotate-secret basic --no-wait",
        "subscriptions jwks oauth",
        "subscriptions jwks crm",
        "subscriptions resume templated --yes",
        "subscriptions resume templated --yes --json",
        "subscriptions resume templated --no-replay --no-wait",
        "subscriptions resume crm --yes",
        "subscriptions enable crm --yes",
        "subscriptions test crm",
        "subscriptions test crm --json",
        "subscriptions test crm --dry-run",
        "subscriptions test crm --dry-run --json",
        "subscriptions test crm --dry-run --event-type order.generated",
        "subscriptions test basic --dry-run",
        "subscriptions test pulled --dry-run",
        "replay start crm --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z --yes",
        "replay start crm --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z --yes --json",
        "jobs resume replay-ours",
        "jobs resume replay-ours --json",
        "jobs resume replay-ours --detach",
        "jobs resume replay-ours --rate 5",
        "jobs resume replay-ours --rate 5 --json",
        "partners list",
        "partners list --json",
        *(
            f"partners show {each}{more}"
            for each in ("full", "acme", "lonely")
            for more in ("", " --json")
        ),
        "partners delete lonely --yes",
        "partners release full",
        "partners release full --to files",
        "partners release acme --to files",
        "tokens list",
        "tokens list --json",
        "tokens list --partner rival",
        "tokens create --scope partner:read --partner acme --label mine",
        "tokens create --admin --expires 1h --json",
        "tokens revoke tok-ours",
        "partners portal-link acme",
        "partners portal-link acme --manage --expires 1h --json",
        "partners portal-links acme",
        "partners portal-links acme --json",
        "partners portal-links lonely",
        "partners revoke-link acme lnk-ours",
        "sessions list",
        "sessions list --json",
        "sessions list --partner rival",
        "sessions list --partner rival --json",
        "sessions revoke ses-ours",
        "sessions revoke --partner acme",
        "sessions revoke --partner lonely",
        "sessions revoke",
        "sessions revoke ses-ours --partner acme",
        "hold list",
        "hold list --json",
        "hold set endpoint crm --reason busy",
        "hold set endpoint theirs --reason busier",
        "hold clear endpoint theirs --reason over",
        "jobs list",
        "jobs list --json",
        "jobs show replay-ours",
        "jobs show replay-ours --json",
        "jobs show replay-asked",
        "jobs show replay-asked --json",
        "jobs cancel replay-ours",
        "status",
        "status --json",
        "status --scan 5000 --worker nonsense",
        "status --worker nonsense --json",
        "partition list",
        "partition list --json",
        "partition list --open --json",
        "partition skip printprice.pricing/0 4 --reason busy",
        "partition skip printprice.pricing/0 4 --reason busy --wait 0",
        "partition skip printprice.pricing/0 3 --reason busy",
        "partition skip printprice.pricing/0 6 --reason busy",
        "partition skip printprice.pricing/0 9 --reason busy",
        "partition skip elsewhere/0 4 --reason busy",
        "partition skip elsewhere 4",
        "partition start printprice.pricing/0 --at latest --reason busy",
        "partition start printprice.pricing/0 --at 2026-11-23T00:00:00Z --reason busy --wait 0",
        "partition start printprice.pricing/0 --at 1969-01-01T00:00:00Z --reason busy",
        "partition start printprice.pricing/0 --at yesterday --reason busy",
        "partition start elsewhere/0 --at latest --reason busy",
    ],
)
def test_a_command_says_the_same_by_both(line: str) -> None:
    on_cluster, by_api = both(*line.split())
    assert by_api.alike == on_cluster.alike
    assert on_cluster.out or on_cluster.err


ASKED = {
    "partner": "acme",
    "id": "fresh",
    "endpoint": {"url": "https://partner.example/hook"},
    "event_types": ["pricing.completed"],
    "limits": {"max_in_flight": 3},
}


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_subscription_is_created_alike_by_both(tmp_path: Path, more: tuple[str, ...]) -> None:
    file = tmp_path / "fresh.yaml"
    file.write_text(json.dumps(ASKED))
    on_cluster, by_api = both("subscriptions", "create", str(file), "--no-wait", *more)
    assert by_api.alike == on_cluster.alike
    assert (by_api.code, "whsec_" in by_api.out) == (0, True)


OWN = {
    "type": "pricing.completed",
    "entity_id": "job-7",
    "environment": "staging",
    "data": {"nonsense": 1.50},
    "timestamp": "yesterday",
}


@pytest.mark.parametrize("more", ["", "--dry-run", "--dry-run --json"])
def test_a_test_with_an_event_of_ones_own_says_the_same_by_both(tmp_path: Path, more: str) -> None:
    documents = SchemaDocuments(SchemaBook([printprice("pricing.completed")]))
    sample = documents.sample("pricing.completed", None, SampleFormat.INPUT)
    events: tuple[object, ...] = ({**sample, "environment": "staging"}, OWN, {"type": 7}, [])
    for event in events:
        file = tmp_path / "event.json"
        file.write_text(json.dumps(event))
        line = f"subscriptions test basic --event {file} {more}"
        on_cluster, by_api = both(*line.split())
        assert by_api.alike == on_cluster.alike
        assert (by_api.code == 2) == (event is not events[0]), by_api


async def test_a_partner_tests_with_samples_alone() -> None:
    made = world()
    token = made.tokens[Scope.PARTNER_MANAGE]
    for act in ("test", "test/preview"):
        for event in (OWN, json.dumps(OWN)):
            path = f"/v1/subscriptions/crm/{act}"
            refused = await made.send("POST", path, {"event": event}, token=token)
            assert (refused.status, refused.json["field"]) == (403, "event")
    assert made.services.tests == []


async def test_an_event_of_a_test_is_an_object_or_its_text() -> None:
    made = world()
    path = "/v1/subscriptions/crm/test/preview"
    given = (OWN, json.dumps(OWN))
    answers = [await made.send("POST", path, {"event": event}) for event in given]
    assert [each.status for each in answers] == [422, 422]
    details = [each.json["detail"] for each in answers]
    assert details[0] == details[1]
    assert "timestamp" in details[0]


def test_a_partner_is_created_alike_by_both(tmp_path: Path) -> None:
    file = tmp_path / "fresh.json"
    grant = {"event_types": ["pricing.*"], "environments": ["*"]}
    file.write_text(json.dumps({"id": "fresh", "name": "Fresh", "grant": grant}))
    on_cluster, by_api = both("partners", "create", str(file))
    assert by_api == on_cluster
    assert by_api.err == "fresh is created\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\n---\nb: 2\n", "has 2 definitions; write exactly one"),
        ("- a\n", "is not a definition; write an object of its fields"),
        ("a: [\n", ""),
    ],
)
def test_a_file_without_one_definition_is_refused_by_its_name(
    tmp_path: Path, text: str, why: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    for said in both("subscriptions", "create", str(file)):
        assert (said.code, f"{file}" in said.err, why in said.err) == (2, True, True), said


def test_a_partition_whose_worker_does_nothing_is_waited_for_and_left_as_it_was() -> None:
    face = ApiFace(world())
    face.connection.world.services.worker_is_gone = True
    skip = "partition skip printprice.pricing/0 4 --reason busy --wait 3"
    said = run(face, *skip.split())
    assert (said.code, sum(face.slept)) == (1, 3.0)
    assert said.err.startswith("printprice.pricing/0 did not resume within 3 s: committed 4 of 9")


MOVE = "partition start printprice.pricing/0 --at latest --reason busy"


def test_a_partition_that_moved_since_it_was_looked_at_is_not_started() -> None:
    face = ApiFace(world())
    services = face.connection.world.services

    def moved(method: str, _: str) -> None:
        if method == "POST":
            services.stopped = replace(services.stopped, committed=CommitPosition(6))

    face.connection.before = moved
    said = run(face, *MOVE.split())
    assert (said.code, "it is not at 4 but at 6" in said.err) == (2, True), said


def test_what_was_in_flight_is_not_taken_for_the_start_of_a_partition() -> None:
    face = ApiFace(world())
    services = face.connection.world.services
    services.worker_is_gone = True

    def settled(method: str, _: str) -> None:
        if method == "GET" and face.slept:
            services.stopped = replace(services.stopped, committed=CommitPosition(6))

    face.connection.before = settled
    said = run(face, *MOVE.split(), "--wait", "3")
    assert (said.code, sum(face.slept)) == (1, 3.0)
    assert said.err.startswith("printprice.pricing/0 did not resume within 3 s: committed 6 of 9")


def test_what_is_settled_above_the_committed_offset_is_the_same_by_both() -> None:
    metadata = encode_metadata(4, [(6, 7)], METADATA_BYTES).text
    for line in ("partition list --json", "partition skip printprice.pricing/0 6 --reason busy"):
        worlds = world(), world()
        for each in worlds:
            position = CommitPosition(4, metadata)
            each.services.stopped = replace(each.services.stopped, committed=position)
        by_both = (
            run(MemoryBackend(worlds[0]), *line.split()),
            run(ApiFace(worlds[1]), *line.split()),
        )
        assert by_both[0] == by_both[1]
        assert '"settled_above":1' in by_both[0].out or "6 does not stop" in by_both[0].err


def test_the_api_asks_for_a_reason_before_anything_is_sent() -> None:
    face = ApiFace(world())
    said = run(face, "partition", "skip", "printprice.pricing/0", "4")
    assert (said.code, said.err.startswith("hookstream: --reason is required by the API")) == (
        2,
        True,
    )
    assert {method for method, _, _ in face.connection.sent} == {"GET"}
