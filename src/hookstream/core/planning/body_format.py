"""The body that a definition asks for: its format, its content, its own template, its batches."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hookstream.core.model.json import Json
from hookstream.core.model.parts import joined
from hookstream.core.model.subscription import (
    FEWEST_IN_BATCH,
    LONGEST_BATCH_WAIT,
    MOST_IN_BATCH,
    Batch,
    BodyFormat,
    Content,
    Secret,
)
from hookstream.core.model.suggestion import did_you_mean
from hookstream.core.planning.reading import FieldReader, described, shortened

_SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_MOST_SECRETS = 20


@dataclass(slots=True, frozen=True)
class TemplateRules:
    """What reading a template needs from other components."""

    ready: Mapping[str, Json]
    """The documents of the ready templates by their names."""
    secrets_in: Callable[[Json], frozenset[str] | tuple[str, str]]
    """Returns the names of the secrets in a template, or the path and reason of what is wrong."""


@dataclass(slots=True, frozen=True)
class DeclaredBody:
    """The body that a subscription file asks for."""

    format: BodyFormat = BodyFormat.STANDARD
    content: Content = Content.FULL
    template: Json = None
    """The document, also where the file names a ready one."""
    secrets: tuple[tuple[str, Secret], ...] = field(default=())
    """Secrets of the template by their names in it."""
    batch: Batch | None = None


def read_body(
    reader: FieldReader, rules: TemplateRules, read_secret: Callable[[str, Json], Secret | None]
) -> DeclaredBody:
    """Return what a definition says of its body; invalid if a problem was reported.

    Args:
        reader: The definition.
        rules: Checks of templates.
        read_secret: Reads the source of a secret, given its path and what is written there.
    """
    body_format = reader.one_of("format", BodyFormat, BodyFormat.STANDARD)
    content = reader.one_of("content", Content, Content.FULL)
    is_own = body_format is BodyFormat.TEMPLATE
    if is_own and content is Content.THIN:
        reader.wrong("content", "must be full: a template says itself what the body contains")
    template, written = None, reader.raw("template")
    secrets = _secrets(reader, read_secret)
    if is_own:
        template = _template(reader, written, rules, secrets)
    elif written is not None:
        reader.wrong("template", "needs the field `format: template`")
    elif secrets:
        reader.wrong("template_secrets", "needs the fields `format: template` and `template`")
    batch = _batch(reader)
    if is_own and batch is not None:
        reader.wrong(
            "batch", "needs the format standard or cloudevents: a template makes no batches"
        )
    return DeclaredBody(body_format, content, template, tuple(secrets.items()), batch)


def _batch(reader: FieldReader) -> Batch | None:
    if not reader.given("batch"):
        return None
    batch = reader.section("batch")
    if isinstance(reader.raw("batch"), dict) and not batch.given("max_events"):
        batch.wrong("max_events", f"is missing: {FEWEST_IN_BATCH} to {MOST_IN_BATCH}")
    max_events = batch.whole(
        "max_events", MOST_IN_BATCH, least=FEWEST_IN_BATCH, most=MOST_IN_BATCH
    )
    max_wait = batch.duration("max_wait", LONGEST_BATCH_WAIT, least=0, most=LONGEST_BATCH_WAIT)
    batch.finish()
    return Batch(max_events, max_wait)


def _template(
    reader: FieldReader, written: Json, rules: TemplateRules, secrets: Mapping[str, Secret]
) -> Json:
    """Return the template's document; None if a problem was reported."""
    ready = ", ".join(sorted(rules.ready))
    if written is None:
        reader.wrong("template", f"is missing: a document, or the name of a ready one ({ready})")
        return None
    if isinstance(written, str):
        document = rules.ready.get(written)
        if document is None:
            hint = did_you_mean(written, rules.ready)
            why = f"there is no ready template {shortened(written)}{hint}; ready are {ready}"
            reader.wrong("template", why)
            return None
    else:
        document = written
    named = rules.secrets_in(document)
    if isinstance(named, tuple):
        path, why = named
        reader.wrong(joined("template", path), why)
        return None
    for name in sorted(named - secrets.keys()):
        reader.wrong("template_secrets", f"lacks {name}, which the template names")
    for name in sorted(secrets.keys() - named):
        reader.wrong(f"template_secrets.{name}", "the template does not name it")
    return document


def _secrets(
    reader: FieldReader, read_secret: Callable[[str, Json], Secret | None]
) -> dict[str, Secret]:
    secrets: dict[str, Secret] = {}
    for name, written in reader.entries("template_secrets", most=_MOST_SECRETS).items():
        place = f"template_secrets.{name}"
        if _SECRET_NAME.fullmatch(name) is None:
            form = "letters, digits, `.`, `_`, `-`, 60 at most"
            reader.wrong("template_secrets", f"{shortened(name)} is not a secret's name: {form}")
            continue
        if not isinstance(written, dict):
            # Not quoted: it may be the secret itself.
            kind = "text" if isinstance(written, str) else described(written)
            reader.wrong(place, f"must be {{env: NAME}} or {{file: PATH}}, not {kind}")
        secret = read_secret(place, written) if isinstance(written, dict) else None
        secrets[name] = Secret(name, b"") if secret is None else secret
    return secrets
