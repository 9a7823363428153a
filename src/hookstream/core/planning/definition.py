"""Definitions of partners and subscriptions are parsed and validated strictly."""

import re
from dataclasses import replace

from hookstream.core.model.instant import DAY, SECOND, Millis, from_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.partner_limits import (
    DEFAULT_PARTNER_LIMITS,
    PARTNER_LIMIT_BOUNDS,
    PartnerLimits,
)
from hookstream.core.model.subscription import (
    DEFAULT_EXPIRY,
    DEFAULT_MAX_IN_FLIGHT,
    DEFAULT_SCHEDULE,
    Grant,
    Limits,
    Partner,
    RetryPolicy,
    Secret,
    Subscription,
    VersionPin,
)
from hookstream.core.planning.body_format import read_body
from hookstream.core.planning.declared import EARLIEST_START, DeclaredSubscription
from hookstream.core.planning.endpoint_fields import DefinitionRules, read_endpoint
from hookstream.core.planning.reading import FieldReader, Report, described, shortened
from hookstream.core.planning.secret_fields import SecretForm, SecretReader, secret_of

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

_NOT_WITH_PULL = {
    "retry": "nothing is sent, so nothing is retried",
    "limits": "nothing is sent, and its reader sets the pace",
    "batch": "each answer has as many events as its reader asks for",
    "start_from": "nothing is replayed to it",
}
"""The fields that a subscription without an endpoint may not have, and why."""

_IN_A_BODY = SecretForm(
    re.compile(rb"[\x20-\x7e]{1,8192}"), "secret", "printable ASCII, 8192 characters at most"
)

_MOST_TYPES = 100
_MOST_ENVIRONMENTS = 20
_MOST_DELAYS = 50
_LONGEST_DELAY = DAY
"""The delay of the longest tier."""
_LONGEST_LIFE = 14 * DAY
"""No record may stay in a tier for longer than its retention."""
_GONE = 410


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
    limits = _partner_limits(reader.section("limits"))
    reader.finish()
    granted = Grant(event_types, environments, pattern, operator)
    return Partner(partner_id, name, granted, limits=limits)


def partner_limits(document: Json, report: Report) -> PartnerLimits:
    """Return the limits in a mapping; what it does not name has its default.

    Args:
        document: The parsed mapping.
        report: Called with each problem.
    """
    return _partner_limits(FieldReader(document, "", report))


def _partner_limits(reader: FieldReader) -> PartnerLimits:
    found: dict[str, int] = {}
    for name, (least, most) in PARTNER_LIMIT_BOUNDS.items():
        default: int = getattr(DEFAULT_PARTNER_LIMITS, name)
        read = reader.duration if name == "timeout" else reader.whole
        found[name] = read(name, default, least=least, most=most)
    reader.finish()
    return PartnerLimits(**found)


def read_subscription(
    document: Json, rules: DefinitionRules, secrets: SecretReader, report: Report
) -> DeclaredSubscription:
    """Return the subscription that a definition declares; invalid if a problem was reported.

    Args:
        document: The parsed definition.
        rules: Checks of a definition that other components provide.
        secrets: Reads the material that the definition names.
        report: Called with each problem.
    """
    reader = FieldReader(document, "", report)
    subscription_id = reader.text("id", _ID, _ID_FORM)
    if subscription_id in RESERVED_IDS:
        reader.wrong("id", f"{subscription_id!r} is reserved for hookstream")
    partner_id = reader.text("partner", _ID, _ID_FORM)
    endpoint, signing_secrets = read_endpoint(reader, rules, secrets)
    if endpoint.is_pull:
        for field, why in _NOT_WITH_PULL.items():
            if reader.given(field):
                reader.wrong(field, f"has no effect with `endpoint: pull`: {why}")

    def secret(place: str, written: Json) -> Secret:
        return secret_of(reader, place, written, secrets, _IN_A_BODY)

    body = read_body(reader, rules.templates, secret)
    row = Subscription(
        id=subscription_id,
        partner_id=partner_id,
        endpoint=replace(endpoint, template_secrets=body.secrets),
        active_from=0,
        event_types=reader.texts("event_types", _GLOB, _GLOB_FORM, most=_MOST_TYPES),
        environments=_environments(reader),
        pattern=_pattern(reader, rules),
        versions=_versions(reader),
        format=body.format,
        content=body.content,
        template=body.template,
        batch=body.batch,
        retry=_retry(reader.section("retry")),
        limits=_limits(reader.section("limits")),
    )
    start_from = _start_from(reader)
    reader.finish()
    return DeclaredSubscription(row, signing_secrets, start_from)


def _start_from(reader: FieldReader) -> Millis | None:
    found = reader.raw("start_from")
    if found is None:
        return None
    if found == "earliest":
        return EARLIEST_START
    form = "a time such as 2026-11-23T00:00:00Z, or earliest"
    if not isinstance(found, str):
        reader.wrong("start_from", f"must be {form}, not {described(found)}")
        return None
    try:
        start = from_rfc3339(found)
    except ValueError as why:
        reader.wrong("start_from", f"must be {form}: {why}")
        return None
    if start <= EARLIEST_START:
        reader.wrong("start_from", f"{shortened(found)} is before 1970: for all, write earliest")
        return None
    return start


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
