"""Secret material is named in a definition by where it is; what reads it there is given.

Definition files name a variable or a file of the machine of whoever applies them; a definition that comes over
HTTP has the material itself, or names a secret that the subscription has. Nothing here resolves such a name:
each `SecretReader` takes the sources of its own kind of definitions, and refuses the others.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from hookstream.core.model.json import Json
from hookstream.core.model.subscription import Secret
from hookstream.core.planning.reading import FieldReader

SecretSource: TypeAlias = Literal["env", "file", "value", "kept"]
"""Where material is: an environment variable, a file relative to the definition's folder, the definition
itself, or the subscription's row, which has it by this name."""


@dataclass(slots=True, frozen=True)
class NamedMaterial:
    """Material whose secret has another name than its place."""

    id: str
    value: bytes = field(repr=False)


SecretReader: TypeAlias = Callable[[SecretSource, str], bytes | NamedMaterial | str]
"""Returns the material in a source, or as text why there is none; the text never has any of it.

No bytes at all: there is none, and the definition is only to be compared, not to be used."""

SOURCES_OF_FILES = "must be {env: NAME} or {file: PATH}"
"""What a definition file may write where material is needed."""


class SecretForm(NamedTuple):
    """What material must look like."""

    shape: re.Pattern[bytes]
    noun: str
    words: str


_WRITTEN: Mapping[SecretSource, tuple[re.Pattern[str], str]] = {
    "env": (re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}"), "the name of a variable"),
    "file": (re.compile(r"[^\x00-\x1f]{1,1000}"), "the path of a file"),
    "value": (re.compile(r".{1,65536}", re.DOTALL), "text of at most 65536 characters"),
    "kept": (re.compile(r".{1,200}"), "the name of a secret"),
}
"""What each source is written as."""


def read_secret(
    endpoint: FieldReader, field: str, secrets: SecretReader, form: SecretForm
) -> Secret:
    """Return a required secret; invalid if a problem was reported."""
    found = endpoint.raw(field)
    if found is None:
        endpoint.wrong(field, "is missing")
        return Secret("", b"")
    return secret_of(endpoint, field, found, secrets, form)


def secret_of(
    endpoint: FieldReader, place: str, found: Json, secrets: SecretReader, form: SecretForm
) -> Secret:
    """Return the secret that a value names; `place` is its path."""
    source = source_in(found)
    if source is None:
        # Never described: it may be the material itself.
        not_made = isinstance(found, dict) and "generate" in found
        more = ": hookstream does not generate it" if not_made else ""
        endpoint.wrong(place, SOURCES_OF_FILES + more)
        return Secret("", b"")
    name, material = sourced(endpoint.nested(place, found), source, secrets)
    if material and form.shape.fullmatch(material) is None:
        endpoint.wrong(place, f"the {form.noun} is not {form.words}")
    return Secret(name, material)


def source_in(written: Json) -> SecretSource | None:
    """Return the source that a value names, and nothing else; None: it names none."""
    if isinstance(written, dict) and len(written) == 1:
        for source in _WRITTEN:
            if source in written:
                return source
    return None


def sourced(reader: FieldReader, source: SecretSource, secrets: SecretReader) -> tuple[str, bytes]:
    """Return the name of the secret in a source, and its material; none if a problem was reported."""
    shape, words = _WRITTEN[source]
    name = reader.text(source, shape, words, quoted=False)
    if not name:
        return "", b""
    found = secrets(source, name)
    if isinstance(found, str):
        reader.wrong("", found)
        found = b""
    if isinstance(found, NamedMaterial):
        return found.id, found.value
    # What is written may be the material.
    return (f"{source}:{name}" if source in ("env", "file") else ""), found
