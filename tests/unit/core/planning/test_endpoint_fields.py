"""An endpoint's definition names its secrets, and no problem with them ever quotes any material."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from hookstream.core.delivery.address import origin
from hookstream.core.delivery.signing import header_problem
from hookstream.core.model.endpoint_identity import TlsIdentity
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import (
    Basic,
    Bearer,
    ClientAuth,
    Endpoint,
    MutualTls,
    OAuth2,
    Secret,
)
from hookstream.core.planning import definition
from hookstream.core.planning.body_format import TemplateRules
from hookstream.core.planning.declared import SigningKey
from hookstream.core.planning.definition import read_subscription
from hookstream.core.planning.endpoint_fields import DefinitionRules
from hookstream.core.planning.secret_fields import SecretReader, SecretSource

PEM = b"-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nYmFy\n-----END PRIVATE KEY-----\n"
URL = b"https://hooks.example:8443/T0/B0/hush"
MATERIAL: Mapping[str, bytes] = {
    "env:TOKEN": b"tok-hush",
    "env:PASSWORD": b"pass hush",
    "file:client.secret": b"cs-hush",
    "file:client.pem": PEM,
    "file:client.key": KEY,
    "file:ca.pem": PEM,
    "env:URL": URL,
    "env:MISSING": b"",
    "env:SPACED": b"hush hush",
    "env:BROKEN_LINE": b"hush\r\nx-injected: hush",
    "env:NO_TEXT": b"hush\xff",
    "env:LONG": b"hush" * 3_000,
    "env:BIG_PEM": PEM * 1_000,
    "env:HTTP": b"http://hush.example/hush",
}


def secrets(source: SecretSource, name: str) -> bytes | str:
    return MATERIAL.get(f"{source}:{name}", f"the variable {name} is not set")


def url_problem(url: str) -> str | None:
    return None if url.startswith("https://") else "must be https"


RULES = DefinitionRules(
    url_problem=url_problem,
    header_problem=header_problem,
    pattern_problem=lambda _: None,
    templates=TemplateRules({}, lambda _: frozenset()),
    signing_key=lambda _: SigningKey(bytes(24)),
    origin=origin,
    tls_problem=lambda _: None,
)


def read(
    endpoint: Mapping[str, Json], rules: DefinitionRules = RULES, reader: SecretReader = secrets
) -> tuple[Endpoint, list[tuple[str, str]]]:
    found: list[tuple[str, str]] = []
    document: JsonObject = {
        "id": "orders",
        "partner": "acme",
        "endpoint": {
            "url": "https://acme.example/h",
            "signing_secrets": [{"generate": True}],
            **endpoint,
        },
        "event_types": ["*"],
    }

    def report(path: str, why: str) -> None:
        found.append((path, why))

    return read_subscription(document, rules, reader, report).row.endpoint, found


OAUTH2: JsonObject = {
    "token_url": "https://login.example/token",
    "client_id": "hookstream",
    "client_secret": {"file": "client.secret"},
    "scopes": ["events.write", "a:b"],
}
MTLS: JsonObject = {"certificate": {"file": "client.pem"}, "key": {"file": "client.key"}}
TOKEN = Secret("env:TOKEN", b"tok-hush")


@pytest.mark.parametrize(
    ("written", "declared"),
    [
        (
            {"auth": {"bearer": {"token": {"env": "TOKEN"}}}},
            Endpoint("https://acme.example/h", (), credentials=Bearer(TOKEN)),
        ),
        (
            {"auth": {"basic": {"username": "kim lee", "password": {"env": "PASSWORD"}}}},
            Endpoint(
                "https://acme.example/h",
                (),
                credentials=Basic("kim lee", Secret("env:PASSWORD", b"pass hush")),
            ),
        ),
        (
            {"auth": {"oauth2": OAUTH2, "mtls": MTLS}, "ca": {"file": "ca.pem"}},
            Endpoint(
                "https://acme.example/h",
                (),
                credentials=OAuth2(
                    "https://login.example/token",
                    "hookstream",
                    Secret("file:client.secret", b"cs-hush"),
                    ("events.write", "a:b"),
                ),
                mtls=MutualTls(Secret("file:client.pem", PEM), Secret("file:client.key", KEY)),
                ca=Secret("file:ca.pem", PEM),
            ),
        ),
        (
            {"url": {"env": "URL"}, "headers": {"X-Key": {"env": "TOKEN"}, "X-Team": "print"}},
            Endpoint(
                "https://hooks.example:8443/",
                (),
                (("x-team", "print"),),
                url_secret=Secret("env:URL", URL),
                secret_headers=(("x-key", TOKEN),),
            ),
        ),
    ],
    ids=["bearer", "basic", "oauth2 with mtls", "secret url and header"],
)
def test_every_field_is_read(written: JsonObject, declared: Endpoint) -> None:
    assert read(written) == (declared, [])


def test_scopes_may_be_left_out_or_empty() -> None:
    variants: list[JsonObject] = [{}, {"scopes": []}, {"scopes": None}]
    for scopes in variants:
        without = {name: each for name, each in OAUTH2.items() if name != "scopes"}
        endpoint, found = read({"auth": {"oauth2": {**without, **scopes}}})
        assert isinstance(endpoint.credentials, OAuth2)
        assert (endpoint.credentials.scopes, found) == ((), [])


@pytest.mark.parametrize("client_auth", ClientAuth)
def test_a_client_is_authenticated_as_its_server_wants_it(client_auth: ClientAuth) -> None:
    endpoint, found = read(oauth2(client_auth=client_auth.value))
    assert isinstance(endpoint.credentials, OAuth2)
    assert (endpoint.credentials.client_auth, found) == (client_auth, [])


def bearer(name: str) -> JsonObject:
    return {"auth": {"bearer": {"token": {"env": name}}}}


def basic(**fields: Json) -> JsonObject:
    whole: JsonObject = {"username": "kim", "password": {"env": "PASSWORD"}}
    return {"auth": {"basic": {**whole, **fields}}}


def oauth2(**fields: Json) -> JsonObject:
    return {"auth": {"oauth2": {**OAUTH2, **fields}}}


def mtls(**fields: Json) -> JsonObject:
    return {"auth": {"mtls": {**MTLS, **fields}}}


@pytest.mark.parametrize(
    ("written", "path", "why"),
    [
        ({"auth": {}}, "auth", "must have one of bearer, basic, oauth2, or mtls, or both"),
        ({"auth": "Bearer hush"}, "auth", "must be a mapping"),
        ({"auth": {"bearer": "hush"}}, "auth.bearer", "must be a mapping"),
        ({"auth": {"bearer": {}}}, "auth.bearer.token", "is missing"),
        (
            {"auth": {**basic()["auth"], **oauth2()["auth"]}},  # type: ignore[dict-item]
            "auth",
            "has basic and oauth2: only mtls may be beside another",
        ),
        ({"auth": {"mtls": MTLS, "digest": {}}}, "auth.digest", "there is no such field"),
        (bearer("NONE"), "auth.bearer.token", "the variable NONE is not set"),
        (bearer("hush-hush"), "auth.bearer.token.env", "must be the name of a variable"),
        (
            {"auth": {"bearer": {"token": "hush"}}},
            "auth.bearer.token",
            "must be {env: NAME} or {file: PATH}",
        ),
        (
            {"auth": {"bearer": {"token": {"generate": True}}}},
            "auth.bearer.token",
            "must be {env: NAME} or {file: PATH}",
        ),
        (
            {"auth": {"bearer": {"token": {"env": "TOKEN", "file": "hush"}}}},
            "auth.bearer.token",
            "must be {env: NAME} or {file: PATH}",
        ),
        *(
            (bearer(name), "auth.bearer.token", "the token is not printable ASCII without spaces")
            for name in ("SPACED", "BROKEN_LINE", "NO_TEXT", "LONG")
        ),
        *(
            (
                basic(password={"env": name}),
                "auth.basic.password",
                "the password is not printable ASCII",
            )
            for name in ("BROKEN_LINE", "NO_TEXT", "LONG")
        ),
        (basic(username="kim:hush"), "auth.basic.username", "must be a user's name"),
        (basic(username="kim\x00hush"), "auth.basic.username", "must be a user's name"),
        (basic(username=7), "auth.basic.username", "must be text"),
        (oauth2(token_url="http://login.example"), "auth.oauth2.token_url", "must be https"),
        (oauth2(token_url=None), "auth.oauth2.token_url", "is missing"),
        (oauth2(client_id="a\nb"), "auth.oauth2.client_id", "is not a client's id"),
        (
            oauth2(client_secret={"env": "BROKEN_LINE"}),
            "auth.oauth2.client_secret",
            "the client's secret is not",
        ),
        (oauth2(client_auth="post"), "auth.oauth2.client_auth", "must be basic or body, not 'p"),
        (oauth2(scopes=["a b"]), "auth.oauth2.scopes[0]", "is not a scope"),
        (oauth2(scopes=['a"b']), "auth.oauth2.scopes[0]", "is not a scope"),
        (oauth2(scopes=["a", "a"]), "auth.oauth2.scopes[1]", "is listed twice"),
        (
            oauth2(scopes=[f"s{number}" for number in range(51)]),
            "auth.oauth2.scopes",
            "must have 0 to 50 items, not 51",
        ),
        (mtls(key=None), "auth.mtls.key", "is missing"),
        (mtls(key={"env": "TOKEN"}), "auth.mtls.key", "the material is not PEM"),
        (mtls(certificate={"env": "BIG_PEM"}), "auth.mtls.certificate", "is not PEM of at most"),
        ({"ca": {"env": "TOKEN"}}, "ca", "the material is not PEM"),
        ({"ca": "hush"}, "ca", "must be {env: NAME} or {file: PATH}"),
        ({"url": {"env": "TOKEN"}}, "url", "must be https"),
        ({"url": {"env": "HTTP"}}, "url", "must be https"),
        ({"headers": {"X-A": {"env": "BROKEN_LINE"}}}, "headers.X-A", "is not printable ASCII"),
        ({"headers": {"X-A": {"env": "LONG"}}}, "headers.X-A", "is not printable ASCII"),
        ({"headers": {"host": {"env": "TOKEN"}}}, "headers.host", "the header host is reserved"),
        ({"headers": {"host": {"env": "MISSING"}}}, "headers.host", "the header host is reserved"),
        (
            {"headers": {"X-A": "a", "x-a": {"env": "TOKEN"}}},
            "headers.x-a",
            "is listed twice: header names are case-insensitive",
        ),
        (
            {"headers": {"Authorization": {"env": "TOKEN"}}, **bearer("TOKEN")},
            "headers.authorization",
            "is set by endpoint.auth: leave out one of the two",
        ),
        (
            {"headers": {"authorization": "Digest hush"}, **oauth2()},
            "headers.authorization",
            "is set by endpoint.auth: leave out one of the two",
        ),
    ],
)
def test_a_wrong_field_is_named_without_its_material(
    written: JsonObject, path: str, why: str
) -> None:
    _, ((found_path, found_why), *more) = read(written)
    assert found_path == f"endpoint.{path}"
    assert why in found_why
    assert "hush" not in str((found_why, more))


def test_an_authorization_header_may_stand_beside_a_client_certificate() -> None:
    assert read({"headers": {"authorization": {"env": "TOKEN"}}, **mtls()})[1] == []


def test_missing_material_is_left_to_the_reader() -> None:
    """A plan without it compares by name."""
    missing: Json = {"env": "MISSING"}
    endpoint, found = read(
        {
            "url": missing,
            "headers": {"x-key": missing},
            "auth": {
                "bearer": {"token": missing},
                "mtls": {"certificate": missing, "key": missing},
            },
            "ca": missing,
        },
        RULES,
    )
    assert found == []
    assert {secret for _, secret in endpoint.named_secrets()} == {Secret("env:MISSING", b"")}
    assert endpoint.url == ""


def test_authorities_and_certificates_are_checked_each_alone_by_the_tls_library() -> None:
    asked: list[TlsIdentity] = []

    def tls_problem(identity: TlsIdentity) -> str | None:
        asked.append(identity)
        return "the key belongs to another certificate" if identity.key else "not a certificate"

    rules = DefinitionRules(
        url_problem,
        header_problem,
        lambda _: None,
        RULES.templates,
        lambda _: SigningKey(b""),
        origin,
        tls_problem,
    )
    _, found = read({**mtls(), "ca": {"file": "ca.pem"}}, rules)
    assert found == [
        ("endpoint.ca", "not a certificate"),
        ("endpoint.auth.mtls", "the key belongs to another certificate"),
    ]
    assert [(each.ca, each.certificate, each.key) for each in asked] == [
        (PEM, None, None),
        (None, PEM, KEY),
    ]


@pytest.mark.parametrize("url", ["http://acme.example/h", {"env": "HTTP"}])
def test_tls_is_refused_for_an_endpoint_without_it(url: Json) -> None:
    rules = DefinitionRules(
        lambda _: None,
        header_problem,
        lambda _: None,
        RULES.templates,
        lambda _: SigningKey(b""),
        origin,
        lambda _: None,
    )
    _, found = read({"url": url, "ca": {"file": "ca.pem"}, **mtls()}, rules)
    why = "has no effect on an http:// URL: the endpoint must have https"
    assert found == [("endpoint.ca", why), ("endpoint.auth.mtls", why)]


def test_a_reader_that_refuses_sources_makes_every_one_of_them_a_problem() -> None:
    """The planner never resolves `env` and `file` itself: they would be the server's own."""
    asked: list[tuple[SecretSource, str]] = []

    def refusing(source: SecretSource, name: str) -> str:
        asked.append((source, name))
        return f"{{{source}: …}} is for definition files only"

    path: Json = {"file": str(Path(__file__))}
    variable: Json = {"env": "PATH"}
    _, found = read(
        {
            "url": path,
            "signing_secrets": [variable, path],
            "headers": {"x-key": variable},
            "auth": {
                "basic": {"username": "kim", "password": path},
                "mtls": {"certificate": path, "key": variable},
            },
            "ca": path,
        },
        reader=refusing,
    )
    assert {path for path, _ in found} == {
        "endpoint.url",
        "endpoint.signing_secrets[0]",
        "endpoint.signing_secrets[1]",
        "endpoint.headers.x-key",
        "endpoint.auth.basic.password",
        "endpoint.auth.mtls.certificate",
        "endpoint.auth.mtls.key",
        "endpoint.ca",
    }
    assert len(asked) == len(found) == 8


def test_the_planner_has_no_means_to_read_a_variable_or_file() -> None:
    """The contract of imports forbids `os` and `pathlib` in core; `open` needs neither."""
    folder = Path(definition.__file__).parent
    for module in folder.glob("*.py"):
        assert "open(" not in module.read_text(), module
