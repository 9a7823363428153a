"""The schema registries that the settings name, for workers and commands."""

from hookstream.adapters.schema_registry.registries import HttpRegistries
from hookstream.adapters.schema_registry.replicas import Access, RegistrySecret
from hookstream.settings import Settings
from hookstream.settings.groups import RegistrySettings


def registries_of(settings: Settings) -> HttpRegistries:
    """Return the registries, to be used within `async with`."""
    return HttpRegistries({name: access_of(each) for name, each in settings.registry.items()})


def access_of(registry: RegistrySettings) -> Access:
    """Return how a registry is reached."""
    if registry.username is not None:
        secret = RegistrySecret(registry.password, registry.password_file)
    elif registry.token is not None or registry.token_file is not None:
        secret = RegistrySecret(registry.token, registry.token_file)
    else:
        secret = None
    return Access(registry.urls, registry.timeout, registry.ca, registry.username, secret)
