"""The settings that are in effect, and where each comes from, without secrets."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookstream.adapters.kafka.client import may_be_secret
from hookstream.core.model.instant import format_duration
from hookstream.core.model.json import JsonObject
from hookstream.settings import Settings
from hookstream.settings.groups import KIND, NAMED_GROUPS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT = "default"
"""The source of a setting that nobody gave."""
HIDDEN = "***"
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
"""User and password in a URL."""
_CLIENT = "kafka.client"
_MIB, _KIB = 1 << 20, 1 << 10


@dataclass(slots=True, frozen=True)
class ShownSetting:
    """One setting as it may be shown."""

    name: str
    """`group.name`."""
    value: str
    """As somebody would write it; a secret is `***`, and what is not set is empty."""
    source: str
    """A file's path, a variable's name, `on the command line`, or `default`."""

    def as_json(self) -> JsonObject:
        """Return the setting as plain JSON."""
        return {"name": self.name, "value": self.value, "source": self.source}


def shown_settings(settings: Settings, sources: Mapping[str, str]) -> list[ShownSetting]:
    """Return all settings, in the order of the groups.

    Args:
        settings: What is in effect.
        sources: Where each setting comes from that was given (`settings.sources`).
    """
    return [
        ShownSetting(name, value, sources.get(source, DEFAULT))
        for name, value, source in _values(settings)
    ]


def _values(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield each setting's name, its value, and the name under which its source is known."""
    for group in dataclasses.fields(settings):
        found = getattr(settings, group.name)
        if group.name in NAMED_GROUPS:
            for name, made in found.items():
                yield from _of_group(f"{group.name}.{name}", made)
        else:
            yield from _of_group(group.name, found)


def _of_group(group: str, made: "DataclassInstance") -> Iterator[tuple[str, str, str]]:
    for setting in dataclasses.fields(made):
        name, value = f"{group}.{setting.name}", getattr(made, setting.name)
        if name == _CLIENT:
            for property_, given in sorted(value.items()):
                hidden = may_be_secret(property_)
                yield f"{name}.{property_}", HIDDEN if hidden else _text(given, ""), name
        elif not setting.repr and value:
            yield name, HIDDEN, name
        else:
            yield name, _text(value, setting.metadata[KIND].says), name


def _text(value: object, says: str) -> str:
    """Return a value as somebody would write it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() if says.startswith("duration"):
            return format_duration(value)
        case int() if says.startswith("bytes"):
            return _size(value)
        case tuple() if "durations" in says:
            return " ".join(format_duration(delay) for delay in value)
        case tuple():
            return ", ".join(_text(part, "") for part in value)
        case _:
            return _PASSWORD.sub(f"{HIDDEN}@", str(value))


def _size(count: int) -> str:
    if count and count % _MIB == 0:
        return f"{count // _MIB}MiB"
    return f"{count // _KIB}KiB" if count and count % _KIB == 0 else f"{count}"
