"""Secret material over HTTP is a value or is generated: never a variable or a file of the console's machine."""

import os
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import KEYS, TYPE

from hookstream.adapters.tables.subscriptions import read_subscription
from hookstream.core.access.scopes import Scope
from hookstream.core.model.subscription import Subscription
from hookstream.entry.api.fields import ApiInput, masks
from hookstream.entry.api.resources import subscription_bodies as bodies

HUSH = "hush-0123456789abcdef0123456789abcdef"
PLACES: dict[str, Any] = {
    "url": lambda secret: {"endpoint": {"url": secret}},
    "header": lambda secret: {"endpoint": {"headers": {"x-key": secret}}},
    "bearer": lambda secret: {"endpoint": {"auth": {"bearer": {"token": secret}}}},
    "basic": lambda secret: {
        "endpoint": {"auth": {"basic": {"username": "kim", "password": secret}}}
    },
    "oauth2": lambda secret: {
        "endpoint": {
            "auth": {
                "oauth2": {
                    "token_url": "https://login.example/",
                    "client_id": "kim",
                    "client_secret": secret,
                }
            }
        }
    },
    "certificate": lambda secret: {
        "endpoint": {"auth": {"mtls": {"certificate": secret, "key": {"value": HUSH}}}}
    },
    "key": lambda secret: {
        "endpoint": {"auth": {"mtls": {"certificate": {"value": HUSH}, "key": secret}}}
    },
    "ca": lambda secret: {"endpoint": {"ca": secret}},
    "signing secret": lambda secret: {"endpoint": {"signing_secrets": [secret]}},
    "template secret": lambda secret: {
        "format": "template",
        "template": {"key": {"secret": "key"}},
        "template_secrets": {"key": secret},
    },
}
"""Every field that can hold a secret."""


def a_body(place: str, secret: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "endpoint": {"url": "https://partner.example/hooks"},
        "event_types": [TYPE],
        "partner": "acme",
    }
    more = PLACES[place](secret)
    return {**body, **more, "endpoint": {**body["endpoint"], **more.get("endpoint", {})}}


def test_every_type_of_secret_is_among_the_places() -> None:
    """A new field for secrets fails here until it has a place above."""
    schema = str(sorted(_secret_fields(bodies.SubscriptionGiven, "")))
    assert schema == str(
        [
            "endpoint.auth.basic.password",
            "endpoint.auth.bearer.token",
            "endpoint.auth.mtls.certificate",
            "endpoint.auth.mtls.key",
            "endpoint.auth.oauth2.client_secret",
            "endpoint.ca",
            "endpoint.headers",
            "endpoint.signing_secrets",
            "endpoint.url",
            "template_secrets",
        ]
    )
    assert len(PLACES) == 10


def _secret_fields(kind: Any, path: str) -> list[str]:  # noqa: ANN401
    """Return the paths of fields of which a part is secret material."""
    found: list[str] = []
    for name, hint in get_type_hints(kind).items():
        inner = f"{path}.{name}" if path else name
        if "SecretGiven" in str(hint):
            found.append(inner)
            continue
        for each in get_args(hint) or (hint,):
            if isinstance(each, type) and issubclass(each, ApiInput):
                found += _secret_fields(each, inner)
    return sorted(found)


@pytest.mark.parametrize("scope", [Scope.ADMIN, Scope.OPERATOR_WRITE, Scope.PARTNER_MANAGE])
@pytest.mark.parametrize("source", ["env", "file"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_variable_or_a_file_is_refused_before_anything_is_opened(
    world: ApiWorld,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    place: str,
    source: str,
    scope: Scope,
) -> None:
    file = tmp_path / "secret"
    file.write_text(HUSH)
    monkeypatch.setenv("API_SECRET", HUSH)
    before = os.stat(file).st_atime_ns  # noqa: PTH116
    body = a_body(place, {source: "API_SECRET" if source == "env" else str(file)})
    if scope.is_of_partner:
        del body["partner"]
    created = await world.send("POST", "/v1/subscriptions", body, token=world.tokens[scope])
    changed = await world.send(
        "PATCH",
        "/v1/subscriptions/crm",
        PLACES[place]({source: "API_SECRET"}),
        token=world.tokens[scope],
        headers={"If-Match": "*"},
    )
    for answer in (created, changed):
        assert answer.status == 422, answer.content
        if place == "signing secret" and answer is changed:
            assert answer.json["field"] == "endpoint.signing_secrets"
        else:
            assert answer.json["field"].endswith(f".{source}"), answer.json
            assert "definition files only" in answer.json["detail"]
        assert HUSH.encode() not in answer.content
    assert os.stat(file).st_atime_ns == before  # noqa: PTH116
    assert world.tables.records == []


@pytest.mark.parametrize(
    "place", [each for each in PLACES if each not in ("certificate", "key", "ca")]
)
async def test_a_value_is_sealed_and_never_shown_again(world: ApiWorld, place: str) -> None:
    material = {
        "url": f"https://{HUSH}.example/{HUSH}",
        "signing secret": "whsec_" + "aHVzaC0w" * 5,
    }
    secret = material.get(place, HUSH)
    created = await world.send("POST", "/v1/subscriptions", a_body(place, {"value": secret}))
    assert created.status == 201, created.content
    row = written(world, created.json["subscription"]["id"])
    kept = [each.value for _, each in row.endpoint.named_secrets()]
    kept += [each.key for each in row.endpoint.secrets]
    assert any(secret.encode() == each or each == b"hush-0" * 5 for each in kept)
    names = [name for _, secret_ in row.endpoint.named_secrets() for name in [secret_.id]]
    assert all(name.startswith("value-") for name in names)
    answers = [created, await world.send("GET", created.headers["Location"])]
    shown = b"".join(each.content for each in answers) + repr(world.logger.lines).encode()
    shown += b"".join(each.value or b"" for each in world.tables.records)
    for text in (secret, "hush-0"):
        assert text.encode() not in shown.replace(b"https://" + HUSH.encode() + b".example", b"")


async def test_a_change_keeps_the_secrets_that_it_does_not_name(world: ApiWorld) -> None:
    body = a_body("bearer", {"value": HUSH})
    body["endpoint"]["headers"] = {"x-one": {"value": HUSH}, "x-two": "plain"}
    created = (await world.send("POST", "/v1/subscriptions", body)).json["subscription"]
    before = written(world, created["id"])
    patch = {
        "endpoint": {"headers": {"x-two": None, "x-three": {"value": "other"}}},
        "retry": {"expires_after": "1h"},
    }
    path = f"/v1/subscriptions/{created['id']}"
    changed = await world.send("PATCH", path, patch, headers={"If-Match": '"1"'})
    assert changed.status == 200, changed.content
    after = written(world, created["id"])
    assert after.endpoint.credentials == before.endpoint.credentials
    assert after.endpoint.secrets == before.endpoint.secrets
    assert dict(after.endpoint.secret_headers)["x-one"] == before.endpoint.secret_headers[0][1]
    assert dict(after.endpoint.secret_headers)["x-three"].value == b"other"
    assert (after.endpoint.headers, after.retry.expires_after) == ((), 3_600_000)
    assert after.revision == 2


async def test_a_given_signing_secret_can_be_rotated(world: ApiWorld) -> None:
    body = a_body("signing secret", {"value": "whsec_" + "aHVzaC0w" * 5})
    path = (await world.send("POST", "/v1/subscriptions", body)).headers["Location"]
    rotated = await world.send(
        "POST", path + "/rotate-secret", {"overlap": "1h"}, headers={"If-Match": '"1"'}
    )
    assert rotated.status == 200, rotated.content
    [new] = rotated.json["generated"]
    assert new["secret"].startswith("whsec_")
    shown = (await world.send("GET", path)).content
    assert new["secret"].encode() not in shown
    assert len(written(world, path.rpartition("/")[2]).endpoint.secrets) == 2


def written(world: ApiWorld, subscription_id: str) -> Subscription:
    names = world.settings.topics_names
    value = world.tables.snapshot[names.subscriptions][subscription_id].value
    assert value is not None
    row = read_subscription(subscription_id, value, KEYS)
    assert isinstance(row, Subscription)
    return row


def test_operators_fields_are_marked() -> None:
    assert sorted(masks(bodies.SubscriptionGiven)) == [
        "endpoint.ca",
        "id",
        "limits.weight",
        "partner",
    ]
