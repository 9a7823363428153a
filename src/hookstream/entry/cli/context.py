"""The context of every command: settings, consoles and global options."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console

from hookstream.entry.cli.terminal import Terminal
from hookstream.settings import Settings, load

_UNBOUNDED = 1_000_000
"""Columns of output that is not a terminal."""


class Context:
    """The object of click's context.

    Args:
        config: The settings file of `--config`.
        environ: The environment.
        overrides: The values of global flags by their settings' names.
        debug: Whether errors show a traceback.
    """

    def __init__(
        self,
        config: Path | None,
        environ: Mapping[str, str],
        overrides: Mapping[str, object],
        *,
        debug: bool = False,
    ) -> None:
        self._config = config
        self._environ = environ
        self._overrides = overrides
        self._settings: Settings | None = None
        self._out: Console | None = None
        self._err: Console | None = None
        self.debug = debug

    @property
    def settings(self) -> Settings:
        """The settings, read on first use.

        Raises:
            ConfigurationError: A setting is unknown or out of bounds.
        """
        if self._settings is None:
            self._settings = load(self._config, self._environ, self._overrides)
        return self._settings

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment."""
        return self._environ

    @property
    def out(self) -> Console:
        """Console for results: standard output. No word wrapping if it is not a terminal."""
        if self._out is None:
            self._out = _console(sys.stdout)
        return self._out

    @property
    def err(self) -> Console:
        """Console for progress and questions: standard error."""
        if self._err is None:
            self._err = _console(sys.stderr)
        return self._err


def _console(file: TextIO) -> Console:
    """Return a console that neither cuts nor wraps, tables included, if there is no terminal."""
    if file.isatty():
        return Terminal(file=file, markup=False, emoji=False)
    return Terminal(file=file, markup=False, emoji=False, soft_wrap=True, width=_UNBOUNDED)


pass_context = click.make_pass_decorator(Context)
"""Decorates a command: its first argument becomes the Context."""


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
