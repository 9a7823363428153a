"""The fields of a subscription's forms: their labels, their texts from a definition, and their problems."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from hookstream.entry.api.problems import ProblemDocument
from hookstream.entry.pages.showing import json_lines

URL: Final = "url"
PATTERN: Final = "pattern"
TEMPLATE: Final = "template"
AUTH: Final = "endpoint.auth"


class InputKind(StrEnum):
    """How a field is filled in."""

    LINE = "line"
    AREA = "area"
    CHOICE = "choice"
    CHECK = "check"
    SECRET = "secret"  # noqa: S105  a word, no secret
    """One hidden line."""
    SECRET_AREA = "secret_area"  # noqa: S105  a word, no secret
    """Several lines of secret material."""


class FormField(NamedTuple):
    """A field of the form."""

    name: str
    label: str
    path: str
    """The field of the definition: problems at it and below it are shown at the form's field."""
    hint: str = ""
    kind: InputKind = InputKind.LINE
    rows: int = 0
    choices: tuple[tuple[str, str], ...] = ()
    """Values and their words."""
    is_for_operators: bool = False
    is_of_pull: bool = False
    """Whether a pull subscription has it too."""

    @property
    def is_secret(self) -> bool:
        """Whether the typed value is never shown again."""
        return self.kind in (InputKind.SECRET, InputKind.SECRET_AREA)


class FieldGroup(NamedTuple):
    """Fields that belong together."""

    label: str
    fields: tuple[FormField, ...]
    hint: str = ""
    is_rare: bool = False
    """Whether most new subscriptions do without them: then they are collapsed."""


def _words(*words: str) -> tuple[tuple[str, str], ...]:
    return tuple((word, word) for word in words)


_ASKED = FieldGroup(
    "What it asks for",
    (
        FormField(
            "event_types",
            "Event types",
            "event_types",
            "one per line; order.* has all that begin with order.",
            InputKind.AREA,
            rows=4,
            is_of_pull=True,
        ),
        FormField(
            "environments",
            "Environments",
            "environments",
            "one per line; default: all granted ones",
            InputKind.AREA,
            rows=2,
            is_of_pull=True,
        ),
        FormField(
            PATTERN,
            "Filter",
            "pattern",
            "an EventBridge pattern as JSON; default: every event",
            InputKind.AREA,
            rows=8,
            is_of_pull=True,
        ),
        FormField(
            "versions",
            "Versions",
            "versions",
            "a type and its version per line, such as order.generated 2, or latest; default: the version that was the"
            " newest when the type was added",
            InputKind.AREA,
            rows=3,
            is_of_pull=True,
        ),
    ),
)
_ENDPOINT = FieldGroup(
    "Endpoint",
    (
        FormField(URL, "URL", "endpoint.url", "its path is never shown again"),
        FormField(
            "url_is_secret",
            "The whole URL is secret: it is encrypted, and only its host is shown",
            "",
            kind=InputKind.CHECK,
        ),
        FormField("timeout", "Timeout of a request", "endpoint.timeout", "default: 15s"),
        FormField(
            "headers",
            "Headers",
            "endpoint.headers",
            "one per line, such as x-tenant: north; for an unchanged one, its name is enough",
            InputKind.AREA,
            rows=2,
        ),
        FormField(
            "secret_headers",
            "Headers with secret values",
            "endpoint.headers",
            "as above; their values are never shown again",
            InputKind.SECRET_AREA,
            rows=2,
        ),
    ),
)
IDENTITY: Final = FieldGroup(
    "Authentication",
    (
        FormField(
            "auth",
            "By",
            AUTH,
            kind=InputKind.CHOICE,
            choices=(
                ("none", "only the signature"),
                ("bearer", "a token (bearer)"),
                ("basic", "a name and a password (basic)"),
                ("oauth2", "tokens of a token server (OAuth 2)"),
                ("mtls", "only a client certificate"),
            ),
        ),
        FormField("bearer_token", "Token (bearer)", f"{AUTH}.bearer", kind=InputKind.SECRET),
        FormField("basic_username", "Name (basic)", f"{AUTH}.basic.username"),
        FormField("basic_password", "Password (basic)", f"{AUTH}.basic", kind=InputKind.SECRET),
        FormField("oauth2_token_url", "Token server's URL (OAuth 2)", f"{AUTH}.oauth2.token_url"),
        FormField("oauth2_client_id", "Client id (OAuth 2)", f"{AUTH}.oauth2.client_id"),
        FormField(
            "oauth2_client_secret",
            "Client secret (OAuth 2)",
            f"{AUTH}.oauth2",
            kind=InputKind.SECRET,
        ),
        FormField(
            "oauth2_scopes",
            "Scopes (OAuth 2)",
            f"{AUTH}.oauth2.scopes",
            "separated by spaces; optional",
        ),
        FormField(
            "oauth2_client_auth",
            "Client authentication (OAuth 2)",
            f"{AUTH}.oauth2.client_auth",
            kind=InputKind.CHOICE,
            choices=(("", "HTTP basic"), ("body", "form fields")),
        ),
        FormField(
            "mtls_certificate",
            "Client certificate",
            f"{AUTH}.mtls",
            "PEM; with or without any of the others",
            InputKind.SECRET_AREA,
            rows=3,
        ),
        FormField(
            "mtls_key",
            "Its key",
            f"{AUTH}.mtls.key",
            "PEM, not encrypted",
            InputKind.SECRET_AREA,
            rows=3,
        ),
        FormField(
            "ca",
            "Trusted certificate authorities",
            "endpoint.ca",
            "PEM; default: the machine's",
            InputKind.SECRET_AREA,
            rows=3,
            is_for_operators=True,
        ),
        FormField(
            "ca_gone",
            "Trust the machine's authorities again",
            "",
            kind=InputKind.CHECK,
            is_for_operators=True,
        ),
    ),
    "A choice replaces all current credentials: type its secrets again.",
    is_rare=True,
)
_BODY = FieldGroup(
    "Body",
    (
        FormField(
            "format",
            "Format",
            "format",
            kind=InputKind.CHOICE,
            choices=_words("standard", "cloudevents", TEMPLATE),
            is_of_pull=True,
        ),
        FormField(
            "content",
            "Content",
            "content",
            kind=InputKind.CHOICE,
            choices=(("full", "full"), ("thin", "thin: no data")),
            is_of_pull=True,
        ),
        FormField(
            TEMPLATE,
            "Template",
            TEMPLATE,
            'for the format template: its JSON, or the name of a built-in one, such as "slack"',
            InputKind.AREA,
            rows=4,
            is_of_pull=True,
        ),
        FormField(
            "template_secrets",
            "Secrets in the template",
            "template_secrets",
            "one per line, such as key: …; for an unchanged one, its name is enough",
            InputKind.SECRET_AREA,
            rows=2,
            is_of_pull=True,
        ),
        FormField(
            "batch_events", "Events per request at most", "batch", "2 to 1000; default: one"
        ),
        FormField(
            "batch_wait",
            "Longest wait of the first of them",
            "batch.max_wait",
            "at most 500ms, the default",
        ),
    ),
    is_rare=True,
)
_RETRIES = FieldGroup(
    "Retries",
    (
        FormField(
            "schedule",
            "Delays",
            "retry.schedule",
            "the delay before each further attempt, separated by spaces: 5s 5m 30m 2h",
        ),
        FormField("expires_after", "Given up after", "retry.expires_after"),
        FormField(
            "final_statuses",
            "Given up at once on",
            "retry.final_statuses",
            "statuses that are not retried, separated by spaces",
        ),
    ),
    is_rare=True,
)
_LIMITS = FieldGroup(
    "Limits",
    (
        FormField("max_in_flight", "Requests in flight at most", "limits.max_in_flight"),
        FormField(
            "rate_limit",
            "Requests per second at most",
            "limits.rate_limit",
            "default: unlimited",
        ),
        FormField("weight", "Weight among others", "limits.weight", is_for_operators=True),
    ),
    is_rare=True,
)
_NEW = FieldGroup(
    "Owner and start",
    (
        FormField("partner", "Partner", "partner", is_for_operators=True, is_of_pull=True),
        FormField(
            "id",
            "Its id",
            "id",
            "default: generated",
            is_for_operators=True,
            is_of_pull=True,
        ),
        FormField(
            "start_from",
            "Events since",
            "start_from",
            "past ones too: a time, or earliest; default: only new ones",
        ),
        FormField(
            "pull",
            "Pull: it has no URL, and its reader pulls the events",
            "endpoint.pull",
            kind=InputKind.CHECK,
        ),
    ),
)
_SIGNING = FieldGroup(
    "Signing secrets",
    (
        FormField(
            "signing",
            "Secrets",
            "",
            kind=InputKind.CHOICE,
            choices=(
                ("v1", "generate one of v1 (HMAC)"),
                ("v1a", "generate one of v1a (ed25519)"),
                ("v1 v1a", "generate one of each"),
                ("given", "use those given here"),
            ),
        ),
        FormField(
            "signing_values",
            "Given secrets",
            "endpoint.signing_secrets",
            "whsec_… or whsk_…, one per line; the first signs first",
            InputKind.SECRET_AREA,
            rows=2,
        ),
    ),
    "A generated secret is shown once, in the answer.",
    is_rare=True,
)
CHANGED: Final = (_ASKED, _ENDPOINT, IDENTITY, _BODY, _RETRIES, _LIMITS)
"""The groups of a form that changes a subscription."""
CREATED: Final = (_NEW, _ASKED, _ENDPOINT, _SIGNING, IDENTITY, _BODY, _RETRIES, _LIMITS)
"""Those of one that creates one."""
PATHS: Final = {each.name: each.path for group in CREATED for each in group.fields}
"""The definition's field of each form field, by name."""


def shown_groups(
    groups: Iterable[FieldGroup], *, by_operator: bool, is_pull: bool = False, has_ca: bool = True
) -> list[FieldGroup]:
    """Return the groups with the fields that a caller may fill in for one subscription."""
    left = ("ca_gone",) if not has_ca else ()
    found = [
        group._replace(
            fields=tuple(
                each
                for each in group.fields
                if (by_operator or not each.is_for_operators)
                and (each.is_of_pull or not is_pull)
                and each.name not in left
            )
        )
        for group in groups
    ]
    return [group for group in found if group.fields]


def texts_of(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a subscription as the form has them: of secrets, their names or nothing."""
    endpoint, limits, retry, batch = (
        found[name] for name in ("endpoint", "limits", "retry", "batch")
    )
    pattern, template = found["pattern"], found["template"]
    sealed = endpoint["secrets"]
    secret_headers = _below("headers.", sealed)
    return {
        "event_types": "\n".join(found["event_types"]),
        "environments": "\n".join(found["environments"] or ()),
        PATTERN: json_lines(pattern) if pattern else "",
        "versions": "\n".join(f"{name} {pin}" for name, pin in sorted(found["versions"].items())),
        URL: endpoint["url"],
        "timeout": endpoint["timeout"],
        "headers": "\n".join(each for each in endpoint["headers"] if each not in secret_headers),
        "secret_headers": "\n".join(secret_headers),
        "format": found["format"],
        "content": found["content"],
        TEMPLATE: "" if template is None else json_lines(template),
        "template_secrets": "\n".join(_below("template_secrets.", sealed)),
        "batch_events": str(batch["max_events"]) if batch else "",
        "batch_wait": batch["max_wait"] if batch else "",
        "schedule": " ".join(retry["schedule"]),
        "expires_after": retry["expires_after"],
        "final_statuses": " ".join(map(str, retry["final_statuses"])),
        "max_in_flight": str(limits["max_in_flight"]),
        "rate_limit": "" if limits["rate_limit"] is None else f"{limits['rate_limit']:g}",
        **({"weight": str(limits["weight"])} if "weight" in limits else {}),
    }


def _below(start: str, paths: Iterable[str]) -> list[str]:
    return [each.removeprefix(start) for each in paths if each.startswith(start)]


def problems_of(
    problem: ProblemDocument | None, groups: Iterable[FieldGroup]
) -> dict[str, list[str]]:
    """Return the problems of each field, by its name: each problem is at the field nearest to its path."""
    said: dict[str, list[str]] = {}
    if problem is None:
        return said
    found = [(each.field, each.detail) for each in problem.problems]
    if not found and problem.field:
        found = [(problem.field, problem.detail)]
    fields = [each for group in groups for each in group.fields if each.path]
    for path, detail in found:
        near = [each for each in fields if _is_at(path, each.path)]
        if near:
            said.setdefault(max(near, key=lambda each: len(each.path)).name, []).append(detail)
    return said


def _is_at(path: str, field: str) -> bool:
    return path == field or (path.startswith(field) and path[len(field)] in ".[")
