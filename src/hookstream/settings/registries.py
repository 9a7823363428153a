"""Refuses incomplete, contradictory or ambiguous settings of registries: two must not serve one topic."""

from collections.abc import Mapping
from itertools import combinations

from hookstream.core.model.topic_globs import common_topic
from hookstream.errors import ConfigurationError
from hookstream.settings.groups import RegistrySettings


def check_registries(registries: Mapping[str, RegistrySettings]) -> None:
    """Check each registry, and that no topic can have ids of two.

    Raises:
        ConfigurationError: Something is missing, contradictory or ambiguous.
    """
    for name, registry in registries.items():
        _check(f"registry.{name}", registry)
    for one, other in combinations(registries, 2):
        for glob in registries[one].topics:
            for beside in registries[other].topics:
                common = common_topic(glob, beside)
                if common is not None:
                    raise ConfigurationError(
                        f"registry.{one}.topics has {glob!r} and registry.{other}.topics has"
                        f" {beside!r}, so ids of a topic such as {common} could be of either:"
                        " a topic has one registry"
                    )


def _check(name: str, registry: RegistrySettings) -> None:
    for setting in ("urls", "topics"):
        if not getattr(registry, setting):
            raise ConfigurationError(f"{name}.{setting} is missing: [{name}] must have it")
    basic = registry.password is not None or registry.password_file is not None
    bearer = registry.token is not None or registry.token_file is not None
    if basic and registry.username is None:
        raise ConfigurationError(f"{name} has a password and no username")
    if registry.username is not None and not basic:
        raise ConfigurationError(
            f"{name}.username has no password: set {name}.password_file, or the password in the"
            f" environment as HOOKSTREAM_{name.replace('.', '__').upper()}__PASSWORD"
        )
    if bearer and registry.username is not None:
        raise ConfigurationError(f"{name} has both a username and a token: set one of them")
