"""The fields of a subscription's forms: how a definition looks in them, and where problems are said."""

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
    """One line that is not seen."""
    SECRET_AREA = "secret_area"  # noqa: S105  likewise
    """Several lines of secret material."""


class FormField(NamedTuple):
    """A field of the form."""

    name: str
    label: str
    path: str
    """The field of the definition: problems at it, and below it, are said beside the form's."""
    hint: str = ""
    kind: InputKind = InputKind.LINE
    rows: int = 0
    choices: tuple[tuple[str, str], ...] = ()
    """Values and their words."""
    is_for_operators: bool = False
    is_of_pull: bool = False
    """Whether a subscription to which nothing is sent has it, too."""

    @property
    def is_secret(self) -> bool:
        """Whether what is typed is shown to nobody again."""
        return self.kind in (InputKind.SECRET, InputKind.SECRET_AREA)


class FieldGroup(NamedTuple):
    """Fields that belong together."""

    label: str
    fields: tuple[FormField, ...]
    hint: str = ""
    is_rare: bool = False
    """Whether most new subscriptions do without: then they are folded away."""


def _words(*words: str) -> tuple[tuple[str, str], ...]:
    return tuple((word, word) for word in words)


_ASKED = FieldGroup(
    "What it asks for",
    (
        FormField(
            "event_types",
            "Event types",
            "event_types",
            "one a line; order.* has all that begin so",
            InputKind.AREA,
            rows=4,
            is_of_pull=True,
        ),
        FormField(
            "environments",
            "Environments",
            "environments",
            "one a line; all that are granted, if left out",
            InputKind.AREA,
            rows=2,
            is_of_pull=True,
        ),
        FormField(
            PATTERN,
            "Filter",
            "pattern",
            "an EventBridge pattern as JSON; every event, if left out",
            InputKind.AREA,
            rows=8,
            is_of_pull=True,
        ),
        FormField(
            "versions",
            "Versions",
            "versions",
            "a type and its version a line, such as order.generated 2, or latest; of types that are left out, the"
            " newest of when they were asked for",
            InputKind.AREA,
            rows=3,
            is_of_pull=True,
        ),
    ),
)
_ENDPOINT = FieldGroup(
    "Endpoint",
    (
        FormField(URL, "URL", "endpoint.url", "nobody is shown its path again"),
        FormField(
            "url_is_secret",
            "All of this URL is a secret: it is sealed, and only its host is shown",
            "",
            kind=InputKind.CHECK,
        ),
        FormField("timeout", "Timeout of a request", "endpoint.timeout", "15s, if left out"),
        FormField(
            "headers",
            "Headers",
            "endpoint.headers",
            "one a line, such as x-tenant: north; of one that stays as it is, its name is enough",
            InputKind.AREA,
            rows=2,
        ),
        FormField(
            "secret_headers",
            "Headers with secret values",
            "endpoint.headers",
            "likewise; nobody is shown their values again",
            InputKind.SECRET_AREA,
            rows=2,
        ),
    ),
)
IDENTITY: Final = FieldGroup(
    "How requests identify themselves",
    (
        FormField(
            "auth",
            "By",
            AUTH,
            kind=InputKind.CHOICE,
            choices=(
                ("none", "nothing but their signature"),
                ("bearer", "a token (bearer)"),
                ("basic", "a name and a password (basic)"),
                ("oauth2", "tokens of a token server (OAuth 2)"),
                ("mtls", "a client certificate alone"),
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
            "apart by spaces; may be left out",
        ),
        FormField(
            "oauth2_client_auth",
            "The client is named by (OAuth 2)",
            f"{AUTH}.oauth2.client_auth",
            kind=InputKind.CHOICE,
            choices=(("", "HTTP basic"), ("body", "fields of the form")),
        ),
        FormField(
            "mtls_certificate",
            "Client certificate",
            f"{AUTH}.mtls",
            "PEM; beside any of the others",
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
            "Authorities that its certificate must come from",
            "endpoint.ca",
            "PEM; the machine's, if left out",
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
    "What is chosen replaces all of it: its secrets are typed again.",
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
            'of the format template: its JSON, or the name of a ready one, such as "slack"',
            InputKind.AREA,
            rows=4,
            is_of_pull=True,
        ),
        FormField(
            "template_secrets",
            "Secrets in the template",
            "template_secrets",
            "one a line, such as key: …; of one that stays as it is, its name is enough",
            InputKind.SECRET_AREA,
            rows=2,
            is_of_pull=True,
        ),
        FormField(
            "batch_events", "Events in one request at most", "batch", "one, if left out: 2 to 1000"
        ),
        FormField(
            "batch_wait",
            "Which the first of them waits for",
            "batch.max_wait",
            "500ms at most, and if left out",
        ),
    ),
    is_rare=True,
)
_RETRIES = FieldGroup(
    "Retries",
    (
        FormField(
            "schedule",
            "After",
            "retry.schedule",
            "the delay before each further attempt, apart by spaces: 5s 5m 30m 2h",
        ),
        FormField("expires_after", "Given up after", "retry.expires_after"),
        FormField(
            "final_statuses",
            "At once on",
            "retry.final_statuses",
            "statuses that are not retried, apart by spaces",
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
            "Requests a second at most",
            "limits.rate_limit",
            "not bounded, if left out",
        ),
        FormField("weight", "Weight among others", "limits.weight", is_for_operators=True),
    ),
    is_rare=True,
)
_NEW = FieldGroup(
    "Whose it is, and since when",
    (
        FormField("partner", "Partner", "partner", is_for_operators=True, is_of_pull=True),
        FormField(
            "id",
            "Its id",
            "id",
            "one is made, if left out",
            is_for_operators=True,
            is_of_pull=True,
        ),
        FormField(
            "start_from",
            "Events since",
            "start_from",
            "of the past, too: a time, or earliest; only new ones, if left out",
        ),
        FormField(
            "pull",
            "Nothing is sent to it: its reader pulls the events, and it has no URL",
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
            "They are",
            "",
            kind=InputKind.CHOICE,
            choices=(
                ("v1", "generated: one of v1 (HMAC)"),
                ("v1a", "generated: one of v1a (ed25519)"),
                ("v1 v1a", "generated: one of each"),
                ("given", "those given here"),
            ),
        ),
        FormField(
            "signing_values",
            "Given secrets",
            "endpoint.signing_secrets",
            "whsec_… or whsk_…, one a line, the first signs first",
            InputKind.SECRET_AREA,
            rows=2,
        ),
    ),
    "What is generated is shown once, in the answer.",
    is_rare=True,
)
CHANGED: Final = (_ASKED, _ENDPOINT, IDENTITY, _BODY, _RETRIES, _LIMITS)
"""The groups of a form that changes a subscription."""
CREATED: Final = (_NEW, _ASKED, _ENDPOINT, _SIGNING, IDENTITY, _BODY, _RETRIES, _LIMITS)
"""Those of one that creates one."""
PATHS: Final = {each.name: each.path for group in CREATED for each in group.fields}
"""The field of the definition that each field of a form is, by its name."""


def shown_groups(
    groups: Iterable[FieldGroup], *, by_operator: bool, is_pull: bool = False, has_ca: bool = True
) -> list[FieldGroup]:
    """Return the groups with the fields that somebody fills in for one subscription."""
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
    """Return what a problem says of each field, by the field's name: of the nearest one to each path."""
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
