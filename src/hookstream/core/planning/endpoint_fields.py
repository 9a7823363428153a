"""The endpoint of a definition: its URL and headers, how its deliveries are signed, who we are there."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hookstream.core.model.endpoint_identity import TlsIdentity, tls_identity
from hookstream.core.model.instant import SECOND
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import (
    DEFAULT_TIMEOUT,
    Basic,
    Bearer,
    ClientAuth,
    Credentials,
    Endpoint,
    MutualTls,
    OAuth2,
    Secret,
    SigningScheme,
)
from hookstream.core.planning.body_format import TemplateRules
from hookstream.core.planning.declared import UNNAMED, DeclaredSecret, SigningKey
from hookstream.core.planning.reading import FieldReader, described
from hookstream.core.planning.rotation import MOST_SECRETS
from hookstream.core.planning.secret_fields import (
    SecretForm,
    SecretReader,
    SecretSource,
    read_secret,
    secret_of,
    source_in,
    sourced,
)

_URL = re.compile(r"\S{1,2048}")
_URL_FORM = "a URL of at most 2048 characters"
_SECRET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
_GENERATE_FORM = "true, or a secret's name: lower-case letters, digits, `.`, `_`, `-`, 60 at most"
# RFC 7617: a colon would end the name. RFC 6749, appendix A.1: a client's id may have one.
_USERNAME = re.compile(r"[\x20-\x39\x3b-\x7e]{1,255}")
_USERNAME_FORM = "a user's name: printable ASCII without a colon, 255 characters at most"
_CLIENT_ID = re.compile(r"[\x20-\x7e]{1,1024}")
_CLIENT_ID_FORM = "a client's id: printable ASCII, 1024 characters at most"
# RFC 6749, section 3.3.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
_SCOPE_FORM = 'a scope: printable ASCII without spaces, `"` and `\\`, 256 characters at most'

_ANY = re.compile(rb".*", re.DOTALL)
_TOKEN = SecretForm(
    re.compile(rb"[\x21-\x7e]{1,8192}"),
    "token",
    "printable ASCII without spaces, 8192 characters at most",
)
_PASSWORD = SecretForm(
    re.compile(rb"[\x20-\x7e]{1,1024}"), "password", "printable ASCII, 1024 characters at most"
)
_CLIENT_SECRET = _PASSWORD._replace(noun="client's secret")
_PEM_BYTES = 32 * 1024
_PEM = SecretForm(
    re.compile(rb"(?=.{0,%d}\Z).*-----BEGIN [A-Z0-9 ]+-----.*" % _PEM_BYTES, re.DOTALL),
    "material",
    f"PEM of at most {_PEM_BYTES} bytes",
)
_CHECKED_LATER = SecretForm(_ANY, "", "")

_MOST_HEADERS = 32
_MOST_HEADER_BYTES = 8_192
_MOST_SCOPES = 50
_LONGEST_TIMEOUT = 60 * SECOND
_SHORTEST_TIMEOUT = 100

_CREDENTIALS = ("bearer", "basic", "oauth2")

PULL: Final = "pull"
"""The endpoint of a subscription to which nothing is sent, or its field."""
_NOT_WITH_PULL: Final = ("url", "headers", "timeout", "auth", "ca")


@dataclass(slots=True, frozen=True)
class DefinitionRules:
    """Checks of a definition that other components provide."""

    url_problem: Callable[[str], str | None]
    """Returns why a URL is not allowed as an endpoint, or for tokens."""
    header_problem: Callable[[str, str], str | None]
    """Returns why a header is not allowed; never includes its value."""
    pattern_problem: Callable[[JsonObject], str | None]
    """Returns why an event pattern is invalid, with the path."""
    templates: TemplateRules
    signing_key: Callable[[bytes], SigningKey | str]
    """Returns the key of a signing secret, or as text why it is none; never includes any of it."""
    origin: Callable[[str], str]
    """Returns the scheme, host and port of a URL: what is shown where all of it is secret."""
    tls_problem: Callable[[TlsIdentity], str | None]
    """Returns why the TLS library cannot use an identity; never includes any of it."""


def read_endpoint(
    reader: FieldReader, rules: DefinitionRules, secrets: SecretReader
) -> tuple[Endpoint, tuple[DeclaredSecret, ...]]:
    """Return the endpoint and its signing secrets, apart; invalid if a problem was reported.

    Args:
        reader: The definition.
        rules: Checks that other components provide.
        secrets: Reads the material that the definition names.
    """
    if reader.raw("endpoint") == PULL:
        return Endpoint("", (), is_pull=True), (DeclaredSecret(UNNAMED, None, None),)
    endpoint = reader.section("endpoint", required=True)
    if endpoint.flag(PULL):
        for field in _NOT_WITH_PULL:
            if endpoint.given(field):
                endpoint.wrong(field, "has no effect where `pull` is true: nothing is sent")
        signing_secrets = _signing_secrets(endpoint, rules, secrets)
        endpoint.finish()
        return Endpoint("", (), is_pull=True), signing_secrets
    url, url_secret = _url(endpoint, rules, secrets)
    headers, secret_headers = _headers(endpoint, rules, secrets)
    signing_secrets = _signing_secrets(endpoint, rules, secrets)
    timeout = endpoint.duration(
        "timeout", DEFAULT_TIMEOUT, least=_SHORTEST_TIMEOUT, most=_LONGEST_TIMEOUT
    )
    credentials, mtls = _auth(endpoint, rules, secrets)
    ca = read_secret(endpoint, "ca", secrets, _PEM) if endpoint.given("ca") else None
    if credentials is not None and "authorization" in (
        *(name for name, _ in headers),
        *(name for name, _ in secret_headers),
    ):
        endpoint.wrong(
            "headers.authorization", "is set by endpoint.auth: leave out one of the two"
        )
    declared = Endpoint(
        url,
        (),
        headers,
        timeout,
        url_secret=url_secret,
        secret_headers=secret_headers,
        credentials=credentials,
        mtls=mtls,
        ca=ca,
    )
    _check_tls(endpoint, declared, rules)
    endpoint.finish()
    return declared, signing_secrets


def _url(
    endpoint: FieldReader, rules: DefinitionRules, secrets: SecretReader
) -> tuple[str, Secret | None]:
    """Return the URL; where all of it is secret, what is shown of it, and the secret."""
    if not isinstance(endpoint.raw("url"), dict):
        return _plain_url(endpoint, "url", rules), None
    secret = read_secret(endpoint, "url", secrets, _CHECKED_LATER)
    if not secret.value:
        return "", secret
    url = secret.value.decode("utf-8", "replace")
    problem = rules.url_problem(url)
    if problem is not None:
        endpoint.wrong("url", problem)
        return "", secret
    return rules.origin(url), secret


def _plain_url(reader: FieldReader, field: str, rules: DefinitionRules) -> str:
    url = reader.text(field, _URL, _URL_FORM)
    _report(reader, field, rules.url_problem(url) if url else None)
    return url


def _headers(
    endpoint: FieldReader, rules: DefinitionRules, secrets: SecretReader
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, Secret], ...]]:
    """Return the headers whose values may be in a file, and those whose values are secret."""
    headers: dict[str, str] = {}
    secret_headers: dict[str, Secret] = {}
    for name, value in endpoint.entries("headers", most=_MOST_HEADERS).items():
        place, lower = f"headers.{name}", name.lower()
        if not isinstance(value, str | dict):
            endpoint.wrong(place, f"must be text or a secret, not {described(value)}")
        elif lower in headers or lower in secret_headers:
            endpoint.wrong(place, "is listed twice: header names are case-insensitive")
        elif isinstance(value, dict):
            secret = secret_of(endpoint, place, value, secrets, _CHECKED_LATER)
            # Without material, the name is still checked.
            text = secret.value.decode("utf-8", "replace") or "-"
            _report(endpoint, place, rules.header_problem(name, text))
            secret_headers[lower] = secret
        else:
            _report(endpoint, place, rules.header_problem(name, value))
            headers[lower] = value
    together = sum(len(name) + len(text) for name, text in headers.items())
    together += sum(len(name) + len(each.value) for name, each in secret_headers.items())
    if together > _MOST_HEADER_BYTES:
        endpoint.wrong("headers", f"must have at most {_MOST_HEADER_BYTES} bytes together")
    return tuple(headers.items()), tuple(secret_headers.items())


def _report(reader: FieldReader, place: str, problem: str | None) -> None:
    if problem is not None:
        reader.wrong(place, problem)


def _signing_secrets(
    endpoint: FieldReader, rules: DefinitionRules, secrets: SecretReader
) -> tuple[DeclaredSecret, ...]:
    found: list[DeclaredSecret] = []
    for place, each in endpoint.items("signing_secrets", least=1, most=MOST_SECRETS):
        secret = _signing_secret(endpoint.nested(place, each), each, rules, secrets)
        if secret is None:
            continue
        if secret.id != UNNAMED and any(secret.id == other.id for other in found):
            endpoint.wrong(place, f"{secret.id} is listed twice")
        found.append(secret)
    return tuple(found)


def _signing_secret(
    reader: FieldReader, written: Json, rules: DefinitionRules, secrets: SecretReader
) -> DeclaredSecret | None:
    if not isinstance(written, dict):
        return None
    source = source_in(written)
    if source == "kept":
        return DeclaredSecret(sourced(reader, source, secrets)[0], None)
    if source is not None:
        return _given_secret(reader, source, rules, secrets)
    match list(written):
        case ["generate"] | ["generate", "scheme"] | ["scheme", "generate"]:
            scheme = _scheme(reader)
            if reader.raw("generate") is True:
                return DeclaredSecret(UNNAMED, None, scheme)
            if not isinstance(reader.raw("generate"), str):
                reader.wrong("generate", "must be true, or the name of a secret")
                return None
            name = reader.text("generate", _SECRET_NAME, _GENERATE_FORM)
            return DeclaredSecret(name, None, scheme)
        case _:
            reader.wrong(
                "",
                "must be one of {env: NAME}, {file: PATH}, {generate: true}, {generate: NAME};"
                " `scheme: v1a` may stand beside `generate`",
            )
            return None


def _scheme(reader: FieldReader) -> SigningScheme | None:
    if not reader.given("scheme"):
        return None
    return reader.one_of("scheme", SigningScheme, SigningScheme.V1)


def _given_secret(
    reader: FieldReader, source: SecretSource, rules: DefinitionRules, secrets: SecretReader
) -> DeclaredSecret:
    name, material = sourced(reader, source, secrets)
    found = rules.signing_key(material) if material else SigningKey(b"")
    if isinstance(found, str):
        reader.wrong("", found)
        found = SigningKey(b"")
    scheme = None if found.scheme is SigningScheme.V1 else found.scheme
    return DeclaredSecret(name, found.key, scheme, found.public_key)


def _auth(
    endpoint: FieldReader, rules: DefinitionRules, secrets: SecretReader
) -> tuple[Credentials | None, MutualTls | None]:
    if not endpoint.given("auth"):
        return None, None
    auth = endpoint.section("auth", quoted=False)
    kinds = [kind for kind in _CREDENTIALS if auth.given(kind)]
    has_mtls = auth.given("mtls")
    if len(kinds) > 1:
        auth.wrong("", f"has {' and '.join(kinds)}: only mtls may be beside another")
    elif not kinds and not has_mtls:
        auth.wrong("", f"must have one of {', '.join(_CREDENTIALS)}, or mtls, or both")
    credentials = [
        _credentials(kind, auth.section(kind, quoted=False), rules, secrets) for kind in kinds
    ]
    mtls = _mutual_tls(auth.section("mtls", quoted=False), secrets) if has_mtls else None
    auth.finish()
    return next(iter(credentials), None), mtls


def _credentials(
    kind: str, section: FieldReader, rules: DefinitionRules, secrets: SecretReader
) -> Credentials:
    found: Credentials
    match kind:
        case "bearer":
            found = Bearer(read_secret(section, "token", secrets, _TOKEN))
        case "basic":
            username = section.text("username", _USERNAME, _USERNAME_FORM, quoted=False)
            found = Basic(username, read_secret(section, "password", secrets, _PASSWORD))
        case _:
            token_url = _plain_url(section, "token_url", rules)
            client_id = section.text("client_id", _CLIENT_ID, _CLIENT_ID_FORM)
            secret = read_secret(section, "client_secret", secrets, _CLIENT_SECRET)
            scopes: tuple[str, ...] = ()
            if section.given("scopes"):
                scopes = section.texts("scopes", _SCOPE, _SCOPE_FORM, least=0, most=_MOST_SCOPES)
            client_auth = section.one_of("client_auth", ClientAuth, ClientAuth.BASIC)
            found = OAuth2(token_url, client_id, secret, scopes, client_auth)
    section.finish()
    return found


def _mutual_tls(section: FieldReader, secrets: SecretReader) -> MutualTls:
    found = MutualTls(
        read_secret(section, "certificate", secrets, _PEM),
        read_secret(section, "key", secrets, _PEM),
    )
    section.finish()
    return found


def _check_tls(endpoint: FieldReader, declared: Endpoint, rules: DefinitionRules) -> None:
    """Check an endpoint's authorities and client certificate, each alone and by the TLS library."""
    mtls, ca = declared.mtls, declared.ca
    plain = declared.url.lower().startswith("http://")
    for path, material, alone in (
        ("ca", (ca,) if ca else (), Endpoint("", (), ca=ca)),
        ("auth.mtls", (mtls.certificate, mtls.key) if mtls else (), Endpoint("", (), mtls=mtls)),
    ):
        if material and plain:
            endpoint.wrong(path, "has no effect on an http:// URL: the endpoint must have https")
        identity = tls_identity(alone)
        # Material without PEM was reported already; missing material cannot be checked.
        if identity is None or not all(_PEM.shape.fullmatch(each.value) for each in material):
            continue
        _report(endpoint, path, rules.tls_problem(identity))
