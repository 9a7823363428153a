"""Loads settings. A flag overrides the environment, which overrides the file, then the default.

Nothing is guessed. An unknown name is rejected with the nearest known one, from any source. In the
environment this applies to `HOOKSTREAM_GROUP__NAME`; names with a single underscore are ignored,
because Kubernetes injects such names (`HOOKSTREAM_PORT`).
"""

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hookstream.core.model.suggestion import did_you_mean
from hookstream.errors import ConfigurationError
from hookstream.settings.groups import (
    ENVIRONMENT_ONLY,
    KIND,
    NAMED_GROUPS,
    RegistrySettings,
    Settings,
)
from hookstream.settings.kinds import SettingKind
from hookstream.settings.registries import check_registries

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_PREFIX = "HOOKSTREAM_"
_LARGEST_FILE = 1 << 20


G = TypeVar("G", bound="DataclassInstance")


@dataclasses.dataclass(frozen=True, slots=True)
class _Given:
    """A given value and its source, for error messages."""

    value: object
    where: str


def load(
    config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> Settings:
    """Return the settings of this process.

    Args:
        config: The settings file; None: `HOOKSTREAM_CONFIG`, or no file.
        environ: The environment.
        overrides: Values of flags by setting name `group.name`; text is parsed as in the environment.

    Raises:
        ConfigurationError: A setting is unknown or out of bounds; the message gives its source.
    """
    given = _all_given(config, environ, overrides)
    settings = Settings(
        **{
            group.name: _made(group.name, getattr(_DEFAULTS, group.name), given)
            for group in dataclasses.fields(Settings)
            if group.name not in NAMED_GROUPS
        },
        registry=_registries(given),
    )
    _check_together(settings)
    check_registries(settings.registry)
    return settings


def sources(
    config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> Mapping[str, str]:
    """Return the source of each given setting, by name: a file, a variable or the command line.

    Args:
        config: As for `load`.
        environ: As for `load`.
        overrides: As for `load`.

    Raises:
        ConfigurationError: A setting is unknown; the message gives its source.
    """
    given = _all_given(config, environ, overrides)
    return {name: found.where for name, found in given.items()}


def _all_given(
    config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> dict[str, _Given]:
    """Return the given value of each setting that has the highest precedence."""
    if config is None and environ.get("HOOKSTREAM_CONFIG"):
        config = Path(environ["HOOKSTREAM_CONFIG"])
    given: dict[str, _Given] = {}
    if config is not None:
        given |= _from_file(config)
    given |= _parsed(
        (_setting_name(variable), variable, value)
        for variable, value in environ.items()
        if variable.startswith(_PREFIX) and "__" in variable
    )
    return given | _parsed(
        (name, "on the command line", value) for name, value in overrides.items()
    )


_DEFAULTS = Settings()
_FIELDS: Mapping[str, dataclasses.Field[object]] = {
    f"{group.name}.{setting.name}": setting
    for group in dataclasses.fields(Settings)
    for setting in dataclasses.fields(
        NAMED_GROUPS.get(group.name) or getattr(_DEFAULTS, group.name)
    )
}
"""Every setting's field by its full name `group.name`; of a named group without the name."""
_GROUP_NAME = re.compile(r"[a-z](_?[a-z0-9]){0,39}")
_LONGEST_NAME = 40


def environment_name(name: str) -> str:
    """Return the environment variable of a setting: `kafka.client` is `HOOKSTREAM_KAFKA__CLIENT`."""
    return _PREFIX + name.replace(".", "__").upper()


def _setting_name(variable: str) -> str:
    """Return the setting of an environment variable: `HOOKSTREAM_REGISTRY__MAIN__URLS` is `registry.main.urls`."""
    name = variable.removeprefix(_PREFIX).lower()
    head = name.partition("__")[0]
    return name.replace("__", ".", 2 if head in NAMED_GROUPS else 1)


def _registries(given: Mapping[str, _Given]) -> dict[str, RegistrySettings]:
    names = dict.fromkeys(name.split(".")[1] for name in given if name.startswith("registry."))
    return {name: _made(f"registry.{name}", RegistrySettings(), given) for name in names}


def _field(name: str) -> str:
    """Return a setting's name without that of its named group."""
    parts = name.split(".")
    return f"{parts[0]}.{parts[2]}" if parts[0] in NAMED_GROUPS and len(parts) == 3 else name  # noqa: PLR2004


def _made(group: str, default: G, given: Mapping[str, _Given]) -> G:
    """Return a group with the given values in place of its defaults."""
    values: dict[str, object] = {}
    for setting in dataclasses.fields(default):
        name = f"{group}.{setting.name}"
        found = given.get(name)
        if found is None:
            continue
        kind: SettingKind[object] = setting.metadata[KIND]
        try:
            values[setting.name] = kind.read(found.value)
        except ValueError as error:
            raise ConfigurationError(f"{found.where}: {name} {error}") from None
    return dataclasses.replace(default, **values)


def _from_file(file: Path) -> dict[str, _Given]:
    try:
        with file.open("rb") as stream:
            raw = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"the settings file {file} cannot be read: {error.strerror or error}"
        ) from None
    if len(raw) > _LARGEST_FILE:
        raise ConfigurationError(f"{file}: larger than {_LARGEST_FILE} bytes")
    try:
        # Some editors write a mark before the text, which is not TOML's.
        document: dict[str, object] = tomllib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        why = f"is not TOML: {error}" if isinstance(error, ValueError) else "is nested too deeply"
        raise ConfigurationError(f"{file}: {why}") from None
    given: dict[str, _Given] = {}
    groups = [group.name for group in dataclasses.fields(Settings)]
    for group, members in document.items():
        if group not in groups:
            raise ConfigurationError(
                f"{file}: unknown group [{group}]{did_you_mean(group, groups)}"
            )
        if not isinstance(members, dict):
            raise ConfigurationError(f"{file}: {group} is a group: write it as [{group}]")
        for member, value in _members(group, members, file):
            name = _known(f"{group}.{member}", str(file))
            given[name] = _Given(_in_file(name, value, file), str(file))
    return given


def _members(group: str, members: dict[str, object], file: Path) -> Iterator[tuple[str, object]]:
    """Yield the settings of a group; those of a named group are prefixed with its name."""
    if group not in NAMED_GROUPS:
        yield from members.items()
        return
    for name, settings in members.items():
        if not isinstance(settings, dict):
            raise ConfigurationError(
                f"{file}: {group} has names: write its settings as [{group}.<name>], not as"
                f" {group}.{name}"
            )
        for setting, value in settings.items():
            yield f"{name}.{setting}", value


def _in_file(name: str, value: object, file: Path) -> object:
    """Return a value of the file; a relative path is resolved against the file's folder."""
    metadata = _FIELDS[_field(name)].metadata
    if metadata.get(ENVIRONMENT_ONLY):
        raise ConfigurationError(
            f"{file}: {name} is a secret: set it in the environment as {environment_name(name)}"
        )
    kind: SettingKind[object] = metadata[KIND]
    if kind.says == "path" and isinstance(value, str) and value:
        return file.parent / value
    return value


def _parsed(values: Iterable[tuple[str, str, object]]) -> dict[str, _Given]:
    """Return values by name, each with its source, as if they were of the file: text is parsed by its kind."""
    given: dict[str, _Given] = {}
    for name, where, value in values:
        kind: SettingKind[object] = _FIELDS[_field(_known(name, where))].metadata[KIND]
        try:
            read = kind.from_text(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ConfigurationError(f"{where}: {name} {error}") from None
        given[name] = _Given(read, where)
    return given


def _known(name: str, where: str) -> str:
    group, _, rest = name.partition(".")
    if group in NAMED_GROUPS:
        own, _, _ = rest.partition(".")
        if "." not in rest:
            raise ConfigurationError(f"{where}: {name} has no name: write {group}.<name>.{rest}")
        if not _GROUP_NAME.fullmatch(own) or len(own) > _LONGEST_NAME:
            raise ConfigurationError(
                f"{where}: {own!r} is not a valid name of a {group}: 1 to {_LONGEST_NAME} of a-z 0-9 _, a"
                " letter first, no _ last or twice"
            )
    if _field(name) not in _FIELDS:
        raise ConfigurationError(f"{where}: unknown setting {name}{did_you_mean(name, _FIELDS)}")
    return name


def _check_together(settings: Settings) -> None:
    """Reject combinations of settings that are valid only separately."""
    if settings.tracing.exporter == "file" and settings.tracing.file is None:
        raise ConfigurationError("tracing.exporter is file: tracing.file must name it")
    if settings.kafka.group_instance_id and settings.kafka.group_protocol != "classic":
        raise ConfigurationError(
            'kafka.group_instance_id works with kafka.group_protocol = "classic" only: with '
            "the other, brokers refuse a returning member for longer than a restart may take"
        )
