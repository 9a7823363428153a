"""Secret material is named in a definition by where it is; what reads it there is given.

Definition files name a variable or a file of the machine of whoever applies them. Nothing here
resolves such a name: a reader of definitions from elsewhere gives a `SecretReader` that refuses both.
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from hookstream.core.model.json import Json
from hookstream.core.model.subscription import Secret
from hookstream.core.planning.reading import FieldReader

SecretSource: TypeAlias = Literal["env", "file"]
"""Where material is: an environment variable, or a file relative to the definition's folder."""

SecretReader: TypeAlias = Callable[[SecretSource, str], bytes | str]
"""Returns the material in a variable or file, or as text why there is none; the text never has any of it.

No bytes at all: there is none, and the definition is only to be compared, not to be used."""


class SecretForm(NamedTuple):
    """What material must look like."""

    shape: re.Pattern[bytes]
    noun: str
    words: str


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_FILE = re.compile(r"[^\x00-\x1f]{1,1000}")
_FORM = "must be {env: NAME} or {file: PATH}"


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
    source: SecretSource
    match found:
        case {"env": _, **rest} if not rest:
            source = "env"
        case {"file": _, **rest} if not rest:
            source = "file"
        case _:
            # Never described: it may be the material itself.
            not_made = isinstance(found, dict) and "generate" in found
            more = ": hookstream does not generate it" if not_made else ""
            endpoint.wrong(place, _FORM + more)
            return Secret("", b"")
    name, material = sourced(endpoint.nested(place, found), source, secrets)
    if material and form.shape.fullmatch(material) is None:
        endpoint.wrong(place, f"the {form.noun} is not {form.words}")
    return Secret(name, material)


def sourced(reader: FieldReader, source: SecretSource, secrets: SecretReader) -> tuple[str, bytes]:
    """Return the name of the secret in a source, and its material; none if a problem was reported."""
    if source == "env":
        name = reader.text("env", _VARIABLE, "the name of a variable", quoted=False)
    else:
        name = reader.text("file", _FILE, "the path of a file", quoted=False)
    if not name:
        return "", b""
    found = secrets(source, name)
    if isinstance(found, str):
        reader.wrong("", found)
        found = b""
    return f"{source}:{name}", found
