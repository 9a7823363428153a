"""The context of every command: settings, backend, terminals and global options."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TextIO, TypeVar

import click

from hookstream.errors import ConfigurationError
from hookstream.settings import Settings, load

if TYPE_CHECKING:
    from hookstream.entry.backend.backend import Backend
    from hookstream.entry.backend.cluster.backend import ClusterBackend
    from hookstream.entry.cli.terminal import Terminal

P = ParamSpec("P")
R = TypeVar("R")

TOKEN = "HOOKSTREAM_TOKEN"  # noqa: S105  the name of a variable
_LONGEST_TOKEN = 1_000
_UNBOUNDED = 1_000_000
"""The width in columns of output that is not a terminal."""


@dataclass
class Context:
    """The object of click's context."""

    config: Path | None
    """The settings file of `--config`."""
    environ: Mapping[str, str]
    overrides: Mapping[str, object]
    """The values of global flags by their settings' names."""
    debug: bool = False
    """Whether errors show a traceback."""
    api: str | None = None
    """The URL of `--api`."""

    @cached_property
    def settings(self) -> Settings:
        """The settings, read on first use.

        Raises:
            ConfigurationError: A setting is unknown or out of bounds.
        """
        return load(self.config, self.environ, self.overrides)

    @property
    def api_url(self) -> str:
        """The URL of the API that commands use; empty: they work on the cluster."""
        return self.api or self.settings.api.url

    @cached_property
    def backend(self) -> "Backend":
        """The backend of the command: the named API, or the cluster.

        Raises:
            ConfigurationError: The API's address or token cannot be used.
        """
        # Imported here: each needs many modules that the other does not.
        if self.api_url:
            from hookstream.entry.backend.api.backend import api_backend  # noqa: PLC0415

            return api_backend(self.api_url, self.token)
        return self.cluster

    @cached_property
    def cluster(self) -> "ClusterBackend":
        """The cluster, for commands that the API does not have."""
        from hookstream.entry.backend.cluster.backend import ClusterBackend  # noqa: PLC0415

        return ClusterBackend(self.settings)

    @property
    def token(self) -> str:
        """The token for the API, from the environment or its file; empty if neither has one.

        Raises:
            ConfigurationError: The file cannot be read.
        """
        given = self.environ.get(TOKEN, "")
        file = self.settings.api.token_file
        if given or file is None:
            return given
        try:
            with file.open("rb") as stream:
                return stream.read(_LONGEST_TOKEN).decode("ascii", "replace").strip()
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror or error}") from None

    def refuse_api(self, what: str) -> None:
        """Refuse `--api` for a command that the API does not have.

        Args:
            what: The command, such as `topics plan`.

        Raises:
            click.UsageError: It was given.
        """
        if self.api is not None:
            raise click.UsageError(
                f"{what} works on the cluster itself, not through the API: omit --api"
            )

    @cached_property
    def out(self) -> "Terminal":
        """The console for results: standard output. Lines are not wrapped if it is not a terminal."""
        return _console(sys.stdout)

    @cached_property
    def err(self) -> "Terminal":
        """The console for progress and questions: standard error."""
        return _console(sys.stderr)


def _console(file: TextIO) -> "Terminal":
    """Return a console that neither truncates nor wraps, not even tables, if it is not a terminal."""
    # Imported here: rich is a third of what `hookstream --help` would load, and a worker never needs it.
    from hookstream.entry.cli.terminal import Terminal  # noqa: PLC0415

    if file.isatty():
        return Terminal(file=file, markup=False, emoji=False)
    return Terminal(file=file, markup=False, emoji=False, soft_wrap=True, width=_UNBOUNDED)


takes_api = click.make_pass_decorator(Context)
"""Decorates a command that works on the cluster or through the API: its first argument becomes the Context."""


def pass_context(function: Callable[Concatenate[Context, P], R]) -> Callable[P, R]:
    """Decorate a command that works on the cluster alone: its first argument becomes the Context."""

    @wraps(function)
    def on_cluster(context: Context, /, *args: P.args, **named: P.kwargs) -> R:
        context.refuse_api(click.get_current_context().command_path.partition(" ")[2])
        return function(context, *args, **named)

    return takes_api(on_cluster)


def pairs(given: tuple[str, ...]) -> dict[str, object]:
    """Return `--set group.name=value` options as overrides.

    Raises:
        click.UsageError: One has no equals sign.
    """
    overrides: dict[str, object] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--set {pair}: write it as --set group.name=value")
        overrides[name] = value
    return overrides
