"""A folder of definition files is planned and applied alike on the cluster and through the API."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import KEYS, subscription
from tests.doubles.clock import NOON
from tests.doubles.faces import ApiFace, MemoryBackend, Said, run

from hookstream.adapters.http.api_connection import ApiReply
from hookstream.adapters.tables.rows import disabled_row
from hookstream.adapters.tables.subscriptions import read_subscription
from hookstream.core.access.scopes import Scope
from hookstream.core.model.subscription import Disabled, Subscription

PARTNER = """\
id: initech
name: Initech & Co
grant:
  event_types: [pricing.completed, order.generated]
  environments: [production, staging]
"""
ORDERS = """\
id: orders
partner: initech
endpoint:
  url: https://partner.example/hook
  signing_secrets:
    - env: ORDERS_SECRET
  headers:
    x-key: {file: secrets/key.txt}
event_types: [pricing.completed]
pattern: {data: {breaks: {quantity: [{numeric: [">", 4.10]}]}}}
limits: {rate_limit: 2.50}
"""
FRESH = """\
id: fresh
partner: initech
endpoint:
  url: {env: FRESH_URL}
  signing_secrets: [generate: true]
event_types: [pricing.completed]
start_from: earliest
"""
ENVIRON = {
    "ORDERS_SECRET": "whsec_" + "aHVzaA" * 6 + "aHVzaA==",
    "FRESH_URL": "https://partner.example/hush-path",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("partners", "subscriptions"):
        (tmp_path / kind).mkdir()
    secrets = tmp_path / "subscriptions" / "secrets"
    secrets.mkdir()
    (secrets / "key.txt").write_text("hush-key\n")
    (tmp_path / "hookstream.yaml").write_text("name: core\n")
    (tmp_path / "partners" / "initech.yaml").write_text(PARTNER)
    (tmp_path / "subscriptions" / "orders.yaml").write_text(ORDERS)
    return tmp_path


def worlds() -> tuple[ApiWorld, ApiWorld]:
    made = ApiWorld(), ApiWorld()
    for world in made:
        world.add(subscription("gone", owner="files:core"))
    return made


def said(face: MemoryBackend | ApiFace, *arguments: str) -> Said:
    return run(face, *arguments, environ=ENVIRON)


def both(*arguments: str) -> tuple[Said, Said]:
    one, other = worlds()
    return said(MemoryBackend(one), *arguments), said(ApiFace(other), *arguments)


def rows(world: ApiWorld) -> dict[str, object]:
    """Return everything in the tables but what is drawn, or says when and by whom."""
    state = world.services.opened_state().current
    found: dict[str, object] = {**state.partners}
    for name, each in state.subscriptions.items():
        assert isinstance(each, Subscription)
        secrets = tuple(
            replace(secret, id="", key=b"") if secret.id.startswith("generated") else secret
            for secret in each.endpoint.secrets
        )
        gaps = tuple(replace(gap, filled_by=None) for gap in each.gaps)
        endpoint = replace(each.endpoint, secrets=secrets)
        found[name] = replace(each, endpoint=endpoint, gaps=gaps)
    return found


OPTIONS = (
    "",
    "--json",
    "--prune",
    "--prune --confirm-delete 2",
    "--prune --confirm-delete 2 --json",
    "--owner other",
    "--take-over other",
    "--confirm-delete 3",
)


@pytest.mark.parametrize("act", ["plan", "apply --yes --no-wait"])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_folder_is_planned_and_applied_alike(folder: Path, act: str, options: str) -> None:
    command, *more = act.split()
    line = [command, str(folder), *more, *options.split()]
    on_cluster, by_api = both(*line)
    assert by_api.alike == on_cluster.alike
    assert on_cluster.out or on_cluster.err


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_what_is_written_is_the_same_and_a_second_plan_finds_nothing(
    folder: Path, more: tuple[str, ...]
) -> None:
    (folder / "subscriptions" / "fresh.yaml").write_text(FRESH)
    one, other = worlds()
    apply = ("apply", str(folder), "--yes", "--no-wait", *more)
    on_cluster, by_api = said(MemoryBackend(one), *apply), said(ApiFace(other), *apply)
    assert by_api.alike == on_cluster.alike
    assert (by_api.code, "whsec_" in by_api.out) == (0, True), by_api
    assert rows(one) == rows(other)
    orders = other.services.opened_state().current.subscriptions["orders"]
    assert isinstance(orders, Subscription)
    # The names of secrets are those of the files, whoever reads them next.
    assert [each.id for each in orders.endpoint.secrets] == ["env:ORDERS_SECRET"]
    assert orders.endpoint.secret_headers[0][1].value == b"hush-key"
    # So is the line that declares it, within the folder.
    assert orders.declared_at == "subscriptions/orders.yaml:1"
    for world in (one, other):
        for face in (MemoryBackend(world), ApiFace(world)):
            again = said(face, "plan", str(folder))
            assert (again.code, "Nothing to change." in again.out) == (0, True), again


def test_the_past_of_a_start_in_it_is_replayed_while_the_command_stays(folder: Path) -> None:
    (folder / "subscriptions" / "fresh.yaml").write_text(FRESH)
    found = said(ApiFace(worlds()[1]), "apply", str(folder), "--yes")
    assert (found.code, "Replayed 7 events as replay-" in found.out) == (0, True), found
    assert "It takes effect at 2026-11-24T" in found.err
    assert "Everything is active." in found.err


BROKEN = {
    "partner": ("partner: initech", "partner: [nobody]"),
    "type": ("event_types: [pricing.completed]", "event_types: [pricing.complete]"),
    "environment": ("env: ORDERS_SECRET", "env: NOT_SET"),
    "file": ("secrets/key.txt", "secrets/none.txt"),
    "api": ("env: ORDERS_SECRET", "value: whsec_aHVzaGh1c2hodXNoaHVzaGh1c2hodXNo"),
    "yaml": ("id: orders", "id: [orders"),
    "foreign": ("id: orders", "id: theirs"),
    "of the API": ("id: orders", "id: crm"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_problems_are_located_alike(folder: Path, what: str) -> None:
    text = ORDERS.replace(*BROKEN[what])
    assert text != ORDERS
    (folder / "subscriptions" / "orders.yaml").write_text(text)
    for act in ("plan", "apply"):
        on_cluster, by_api = both(act, str(folder))
        assert by_api == on_cluster
        assert (by_api.code, "orders.yaml:" in by_api.err) == (2, True), by_api
        assert "hush" not in by_api.err


def test_an_address_that_only_the_console_allows_is_the_consoles_to_judge(folder: Path) -> None:
    text = ORDERS.replace("https://partner", "http://partner")
    (folder / "subscriptions" / "orders.yaml").write_text(text)
    on_cluster, by_api = both("plan", str(folder))
    assert by_api == on_cluster
    assert "orders.yaml:4: subscription orders: endpoint.url: the URL must begin" in by_api.err


def test_what_changed_since_the_plan_was_shown_is_not_overwritten(folder: Path) -> None:
    face = ApiFace(worlds()[1])
    world = face.connection.world
    said(face, "apply", str(folder), "--yes")

    def paused(_: str, target: str) -> ApiReply | None:
        if target.endswith("/apply"):
            face.connection.before = lambda _method, _target: None
            run(ApiFace(world), "subscriptions", "pause", "orders", "--no-wait")
        return None

    face.connection.before = paused
    changed = ORDERS.replace("rate_limit: 2.50", "rate_limit: 7")
    (folder / "subscriptions" / "orders.yaml").write_text(changed)
    found = said(face, "apply", str(folder), "--yes")
    assert (found.code, "was changed by somebody else since the plan" in found.err) == (2, True)
    row = world.services.opened_state().current.subscriptions["orders"]
    assert isinstance(row, Subscription)
    assert row.limits.rate_limit == 2.5


def test_a_new_subscription_is_one_row_and_health_that_an_id_left_is_cleared(folder: Path) -> None:
    written = []
    for left in ((), ("orders",)):
        world = ApiWorld()
        health = world.settings.topics_names.health
        for name in left:
            world.tables.put(health, *disabled_row(Disabled(name, NOON, "gone")))
        before = world.tables.offset
        assert said(MemoryBackend(world), "apply", str(folder), "--yes", "--no-wait").code == 0
        written.append((world.tables.offset - before, world.tables.snapshot[health]))
    partner, row, cleared = 1, 1, 1
    assert written == [(partner + row, {}), (partner + row + cleared, {})]


def test_what_files_own_stays_theirs_for_others(folder: Path) -> None:
    face = ApiFace(worlds()[1])
    said(face, "apply", str(folder), "--yes", "--no-wait")
    deleted = said(face, "subscriptions", "delete", "orders", "--yes")
    assert (deleted.code, "the folder core declares it" in deleted.err) == (2, True), deleted


def test_an_answer_that_was_lost_with_its_secrets_is_said_to_be(folder: Path) -> None:
    (folder / "subscriptions" / "fresh.yaml").write_text(FRESH)
    face = ApiFace(worlds()[1])
    send = face.connection.send
    lost: list[ApiReply] = []

    def once(method: str, target: str, headers: Any, body: bytes | None) -> ApiReply:  # noqa: ANN401
        found = send(method, target, headers, body)
        if target.endswith("/apply") and not lost:
            lost.append(found)
            return ApiReply(503, {"retry-after": "1"}, b"{}")
        return found

    face.connection.send = once  # type: ignore[method-assign]
    found = said(face, "apply", str(folder), "--yes", "--no-wait")
    assert (found.code, "rotate them" in found.err) == (2, True), found
    assert "fresh" in face.connection.world.services.opened_state().current.subscriptions


FILED: dict[str, Any] = {
    "id": "orders",
    "partner": "acme",
    "endpoint": {"url": "https://partner.example/hook", "signing_secrets": [{"env": "HOME"}]},
    "event_types": ["pricing.completed"],
}


@pytest.mark.parametrize("scope", [Scope.ADMIN, Scope.OPERATOR_WRITE])
async def test_a_variable_or_a_file_that_was_not_sent_is_never_opened(scope: Scope) -> None:
    world = ApiWorld()
    token = world.tokens[scope]
    for source, name in (("env", "HOME"), ("file", "/etc/passwd"), ("file", "../../etc/passwd")):
        endpoint = {**FILED["endpoint"], "signing_secrets": [{source: name}]}
        definition = {"kind": "subscription", "definition": {**FILED, "endpoint": endpoint}}
        body: dict[str, Any] = {"definitions": [definition]}
        planned = (await world.send("POST", "/v1/definitions/plan", body, token=token)).json
        [problem] = planned["problems"]
        assert problem["why"].endswith("was not sent with the definition"), problem
        assert problem["subject"] == "subscription orders"
        applied = await world.send(
            "POST", "/v1/definitions/apply", {**body, "marks": {}}, token=token
        )
        assert (applied.status, "was not sent" in applied.content.decode()) == (422, True)
    assert "orders" not in world.services.state().current.subscriptions


async def test_a_secret_that_was_sent_is_sealed_and_is_in_no_answer() -> None:
    world = ApiWorld()
    secret = ENVIRON["ORDERS_SECRET"]
    definition = {
        "kind": "subscription",
        "definition": FILED,
        "secrets": [{"source": "env", "name": "HOME", "value": f"{secret}\n"}],
    }
    body: dict[str, Any] = {"definitions": [definition], "owner": "core"}
    planned = await world.send("POST", "/v1/definitions/plan", body)
    marks = {each["subject"]: each["mark"] for each in planned.json["changes"]}
    applied = await world.send("POST", "/v1/definitions/apply", {**body, "marks": marks})
    assert applied.status == 200, applied.content
    assert secret not in (planned.content + applied.content).decode()
    names = world.settings.topics_names
    row = world.tables.snapshot[names.subscriptions]["orders"].value
    assert row is not None
    assert secret.encode() not in row
    kept = read_subscription("orders", row, KEYS)
    assert isinstance(kept, Subscription)
    assert kept.owner == "files:core"


async def test_the_line_of_a_definition_is_one_line_that_people_can_read() -> None:
    world = ApiWorld()
    for place, expected in (
        ("x" * 501, (422, ["definitions[0].declared_at"])),
        ("a\nb.yaml:1", (200, ["declared_at"])),
        ("\x1b[2J", (200, ["declared_at"])),
        ("\u202ea.yaml:1", (200, ["declared_at"])),
        ("subscriptions/Bestellungen für ACME.yaml:3", (200, [])),
    ):
        definition: dict[str, Any] = {"kind": "subscription", "definition": FILED}
        definition["declared_at"] = place
        definition["secrets"] = [
            {"source": "env", "name": "HOME", "value": ENVIRON["ORDERS_SECRET"]}
        ]
        planned = await world.send("POST", "/v1/definitions/plan", {"definitions": [definition]})
        found = planned.json
        paths = [each["path"] for each in found["problems"]] if planned.status == 200 else None
        assert (planned.status, [found["field"]] if paths is None else paths) == expected


async def test_requests_that_make_no_sense_are_refused_by_their_field() -> None:
    world = ApiWorld()
    partner = {"kind": "partner", "definition": {"id": "acme"}}
    for more, field in (
        ({"prune": True}, "prune"),
        ({"take_over": ["core"]}, "take_over"),
        ({"confirm_delete": 1}, "confirm_delete"),
        ({"owner": "no name"}, "owner"),
        ({"definitions": [{"kind": "hold", "definition": {}}]}, "definitions[0].kind"),
    ):
        body: dict[str, Any] = {"definitions": [], **more}
        refused = await world.send("POST", "/v1/definitions/plan", body)
        assert (refused.status, refused.json["field"]) == (422, field), refused.content
    twice = (await world.send("POST", "/v1/definitions/plan", {"definitions": [partner] * 2})).json
    assert "is also defined by another definition" in str(twice["problems"])
    for scope in (Scope.OPERATOR_READ, Scope.PARTNER_MANAGE):
        token = world.tokens[scope]
        body = {"definitions": []}
        assert (await world.send("POST", "/v1/definitions/plan", body, token=token)).status == 403


async def test_a_large_folder_fits_and_a_larger_one_is_refused() -> None:
    world = ApiWorld()
    partner = json.loads(json.dumps({"kind": "partner", "definition": {"id": "x" * 2_000}}))
    body = {"definitions": [partner] * 900}
    assert (await world.send("POST", "/v1/definitions/plan", body)).status == 200
    body = {"definitions": [partner] * 5_000}
    assert (await world.send("POST", "/v1/definitions/plan", body)).status == 413


async def test_of_a_million_problems_the_first_thousand_are_said() -> None:
    world = ApiWorld()
    # A definition of a few megabytes took a thread for a minute, and its answer was larger than it.
    fields = {f"no-{number}": 1 for number in range(1_500)}
    wrong = {"kind": "partner", "definition": {"id": "wrong", **fields}}
    other = {"kind": "partner", "definition": {"id": "other", **fields}}
    planned = await world.send("POST", "/v1/definitions/plan", {"definitions": [wrong, other]})
    problems = planned.json["problems"]
    assert (planned.status, len(problems)) == (200, 1_001)
    assert {each["subject"] for each in problems} == {"definitions[0]"}
    assert problems[-1]["why"] == "has more problems: only the first 1,000 are listed"
