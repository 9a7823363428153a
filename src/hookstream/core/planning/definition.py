"""Definitions of partners and subscriptions are parsed and validated strictly."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from hookstream.core.model.instant import DAY, SECOND
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import (
    DEFAULT_EXPIRY,
    DEFAULT_MAX_IN_FLIGHT,
    DEFAULT_SCHEDULE,
    DEFAULT_TIMEOUT,
    Endpoint,
    Grant,
    Limits,
    Partner,
    RetryPolicy,
    Secret,
    SigningScheme,
    Subscription,
    VersionPin,
)
from hookstream.core.planning.body_format import TemplateRules, read_body
from hookstream.core.planning.declared import (
    UNNAMED,
    DeclaredSecret,
    DeclaredSubscription,
    SigningKey,
)
from hookstream.core.planning.reading import FieldReader, Report, described, shortened
from hookstream.core.planning.rotation import MOST_SECRETS

RESERVED_IDS = frozenset({"writer"})
"""Keys of the subscriptions topic that are reserved."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_ID_FORM = "an id: lower-case letters, digits, `.`, `_`, `-`, 80 at most"
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_NAME_FORM = "a name of 1 to 200 characters on one line"
_GLOB = re.compile(r"(?=.{1,200}\Z)(\*|[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(\.\*)?)")
_GLOB_FORM = "an event type such as pricing.completed, pricing.* or *"
_TYPE = re.compile(r"(?=.{1,200}\Z)[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9._-]{1,80}")
_ENVIRONMENT_FORM = "the name of an environment (for all that are granted, leave the field out)"
_GRANTED_ENVIRONMENT = re.compile(r"\*|[A-Za-z0-9._-]{1,80}")
_URL = re.compile(r"\S{1,2048}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_SECRET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
_GENERATE_FORM = "true, or a secret's name: lower-case letters, digits, `.`, `_`, `-`, 60 at most"
_FILE = re.compile(r"[^\x00-\x1f]{1,1000}")

_MOST_TYPES = 100
_MOST_ENVIRONMENTS = 20
_MOST_HEADERS = 32
_MOST_HEADER_BYTES = 8_192
_MOST_DELAYS = 50
_LONGEST_DELAY = DAY
"""The delay of the longest tier."""
_LONGEST_LIFE = 14 * DAY
"""No record may stay in a tier for longer than its retention."""
_LONGEST_TIMEOUT = 60 * SECOND
_SHORTEST_TIMEOUT = 100
_GONE = 410


SecretSource: TypeAlias = Literal["env", "file"]
"""Where a secret is read: an environment variable, or a file relative to the definition's folder."""

ReadSecret: TypeAlias = Callable[[SecretSource, str], bytes | str]
"""Returns what a variable or file holds, or as text why there is nothing; never includes it there."""

ReadKey: TypeAlias = Callable[[SecretSource, str], SigningKey | str]
"""Returns the signing key of a variable or file, or as text why there is none; never includes it there."""


@dataclass(slots=True, frozen=True)
class SecretReader:
    """Reads the secrets that a definition names."""

    key: ReadKey
    """Reads a signing key."""
    material: ReadSecret
    """Reads any other secret."""


@dataclass(slots=True, frozen=True)
class DefinitionRules:
    """Checks of a definition that other components provide."""

    url_problem: Callable[[str], str | None]
    """Returns why a URL is not allowed as an endpoint."""
    header_problem: Callable[[str, str], str | None]
    """Returns why a header is not allowed; never includes its value."""
    pattern_problem: Callable[[JsonObject], str | None]
    """Returns why an event pattern is invalid, with the path."""
    templates: TemplateRules


def read_folder_name(document: Json, report: Report) -> str:
    """Return the name given to a folder of definitions; empty if a problem was reported."""
    reader = FieldReader(document, "", report)
    name = reader.text("name", _ID, _ID_FORM)
    reader.finish()
    return name


def folder_name_problem(name: str) -> str | None:
    """Return why a folder of definitions cannot have this name; None if it can."""
    return None if _ID.fullmatch(name) else f"{shortened(name)} is not {_ID_FORM}"


def read_partner(document: Json, rules: DefinitionRules, report: Report) -> Partner:
    """Return the partner that a definition declares; invalid if a problem was reported."""
    reader = FieldReader(document, "", report)
    partner_id = reader.text("id", _ID, _ID_FORM)
    name = reader.text("name", _NAME, _NAME_FORM)
    grant = reader.section("grant", required=True)
    event_types = grant.texts("event_types", _GLOB, _GLOB_FORM, most=_MOST_TYPES)
    environments = grant.texts(
        "environments",
        _GRANTED_ENVIRONMENT,
        "the name of an environment, or * for all",
        most=_MOST_ENVIRONMENTS,
    )
    if "*" in environments and len(environments) > 1:
        grant.wrong("environments", "`*` means all: it must be the only entry")
    pattern = _pattern(grant, rules)
    operator = grant.flag("operator")
    grant.finish()
    reader.finish()
    return Partner(partner_id, name, Grant(event_types, environments, pattern, operator))


def read_subscription(
    document: Json, rules: DefinitionRules, secrets: SecretReader, report: Report
) -> DeclaredSubscription:
    """Return the subscription that a definition declares; invalid if a problem was reported."""
    reader = FieldReader(document, "", report)
    subscription_id = reader.text("id", _ID, _ID_FORM)
    if subscription_id in RESERVED_IDS:
        reader.wrong("id", f"{subscription_id!r} is reserved for hookstream")
    partner_id = reader.text("partner", _ID, _ID_FORM)
    endpoint = reader.section("endpoint", required=True)
    url, headers = _url(endpoint, rules), _headers(endpoint, rules)
    signing = _secrets(endpoint, secrets.key, report)
    timeout = endpoint.duration(
        "timeout", DEFAULT_TIMEOUT, least=_SHORTEST_TIMEOUT, most=_LONGEST_TIMEOUT
    )
    body = read_body(reader, rules.templates, partial(_material, reader, secrets.material, report))
    row = Subscription(
        id=subscription_id,
        partner_id=partner_id,
        endpoint=Endpoint(url, (), headers, timeout, template_secrets=body.secrets),
        active_from=0,
        event_types=reader.texts("event_types", _GLOB, _GLOB_FORM, most=_MOST_TYPES),
        environments=_environments(reader),
        pattern=_pattern(reader, rules),
        versions=_versions(reader),
        format=body.format,
        content=body.content,
        template=body.template,
        retry=_retry(reader.section("retry")),
        limits=_limits(reader.section("limits")),
    )
    endpoint.finish()
    reader.finish()
    return DeclaredSubscription(row, signing)


def _material(
    reader: FieldReader, material: ReadSecret, report: Report, place: str, written: Json
) -> Secret | None:
    """Return the secret that is written at a place, None if a problem was reported."""
    source = FieldReader(written, reader.path(place), report)

    def read(kind: SecretSource, name: str) -> SigningKey | str:
        found = material(kind, name)
        return found if isinstance(found, str) else SigningKey(found)

    found = _secret(source, written, read)
    if found is None:
        return None
    if found.key is None:
        source.wrong("", "must be {env: NAME} or {file: PATH}: hookstream does not generate it")
        return None
    return Secret(found.id, found.key)


def _url(endpoint: FieldReader, rules: DefinitionRules) -> str:
    url = endpoint.text("url", _URL, "a URL of at most 2048 characters")
    problem = rules.url_problem(url) if url else None
    if problem is not None:
        endpoint.wrong("url", problem)
    return url


def _headers(endpoint: FieldReader, rules: DefinitionRules) -> tuple[tuple[str, str], ...]:
    headers: dict[str, str] = {}
    for name, text in endpoint.entries("headers", most=_MOST_HEADERS).items():
        place = f"headers.{name}"
        if not isinstance(text, str):
            endpoint.wrong(place, f"must be text, not {described(text)}")
        elif name.lower() in headers:
            endpoint.wrong(place, "is listed twice: header names are case-insensitive")
        elif (problem := rules.header_problem(name, text)) is not None:
            endpoint.wrong(place, problem)
        else:
            headers[name.lower()] = text
    if sum(len(name) + len(text) for name, text in headers.items()) > _MOST_HEADER_BYTES:
        endpoint.wrong("headers", f"must have at most {_MOST_HEADER_BYTES} bytes together")
    return tuple(headers.items())


def _secrets(
    endpoint: FieldReader, secret_key: ReadKey, report: Report
) -> tuple[DeclaredSecret, ...]:
    secrets: list[DeclaredSecret] = []
    for place, each in endpoint.items("signing_secrets", least=1, most=MOST_SECRETS):
        secret = _secret(FieldReader(each, endpoint.path(place), report), each, secret_key)
        if secret is None:
            continue
        if secret.id != UNNAMED and any(secret.id == other.id for other in secrets):
            endpoint.wrong(place, f"{secret.id} is listed twice")
        secrets.append(secret)
    return tuple(secrets)


def _secret(reader: FieldReader, written: Json, secret_key: ReadKey) -> DeclaredSecret | None:
    if not isinstance(written, dict):
        return None
    match list(written):
        case ["env"]:
            variable = reader.text("env", _VARIABLE, "the name of a variable")
            return _named_secret(reader, "env", variable, secret_key)
        case ["file"]:
            path = reader.text("file", _FILE, "the path of a file")
            return _named_secret(reader, "file", path, secret_key)
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


def _named_secret(
    reader: FieldReader, source: SecretSource, name: str, secret_key: ReadKey
) -> DeclaredSecret:
    found = secret_key(source, name)
    if isinstance(found, str):
        reader.wrong("", found)
        found = SigningKey(b"")
    scheme = None if found.scheme is SigningScheme.V1 else found.scheme
    return DeclaredSecret(f"{source}:{name}", found.key, scheme, found.public_key)


def _environments(reader: FieldReader) -> tuple[str, ...] | None:
    if not reader.given("environments"):
        return None
    return reader.texts("environments", _ENVIRONMENT, _ENVIRONMENT_FORM, most=_MOST_ENVIRONMENTS)


def _pattern(reader: FieldReader, rules: DefinitionRules) -> JsonObject | None:
    pattern = reader.raw("pattern")
    if pattern is None:
        return None
    if not isinstance(pattern, dict):
        reader.wrong("pattern", f"must be a mapping, not {described(pattern)}")
        return None
    problem = rules.pattern_problem(pattern)
    if problem is not None:
        reader.wrong("pattern", problem)
    return pattern


def _versions(reader: FieldReader) -> dict[str, VersionPin]:
    pins: dict[str, VersionPin] = {}
    for event_type, pin in reader.entries("versions", most=_MOST_TYPES).items():
        place = f"versions.{event_type}"
        if _TYPE.fullmatch(event_type) is None:
            reader.wrong(place, "is not the name of an event type")
        elif pin == "latest":
            pins[event_type] = "latest"
        elif isinstance(pin, str):
            reader.wrong(place, f"must be a version's number or latest, not {described(pin)}")
        else:
            pins[event_type] = reader.one_whole(place, pin, 1, 1_000_000)
    return pins


def _retry(retry: FieldReader) -> RetryPolicy:
    schedule = DEFAULT_SCHEDULE
    if retry.given("schedule"):
        schedule = tuple(
            retry.one_duration(place, delay, 0, _LONGEST_DELAY)
            for place, delay in retry.items("schedule", least=0, most=_MOST_DELAYS)
        )
    expires_after = retry.duration(
        "expires_after", DEFAULT_EXPIRY, least=SECOND, most=_LONGEST_LIFE
    )
    statuses: set[int] = set()
    if retry.given("final_statuses"):
        for place, each in retry.items("final_statuses", least=0, most=100):
            status = retry.one_whole(place, each, 300, 599)
            if status == _GONE:
                retry.wrong(place, "410 disables the subscription in any case")
            statuses.add(status)
    retry.finish()
    return RetryPolicy(schedule, expires_after, frozenset(statuses))


def _limits(limits: FieldReader) -> Limits:
    max_in_flight = limits.whole("max_in_flight", DEFAULT_MAX_IN_FLIGHT, least=1, most=1_000)
    rate_limit = limits.rate("rate_limit", least=0.01, most=100_000)
    weight = limits.whole("weight", 1, least=1, most=100)
    limits.finish()
    return Limits(max_in_flight, rate_limit, weight)
