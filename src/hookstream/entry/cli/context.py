"""The context of every command: settings, consoles and global options."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from hookstream.settings import Settings, load

if TYPE_CHECKING:
    from hookstream.entry.cli.terminal import Terminal

_UNBOUNDED = 1_000_000
"""Columns of output that is not a terminal."""


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

    @cached_property
    def settings(self) -> Settings:
        """The settings, read on first use.

        Raises:
            ConfigurationError: A setting is unknown or out of bounds.
        """
        return load(self.config, self.environ, self.overrides)

    @cached_property
    def out(self) -> "Terminal":
        """Console for results: standard output. No word wrapping if it is not a terminal."""
        return _console(sys.stdout)

    @cached_property
    def err(self) -> "Terminal":
        """Console for progress and questions: standard error."""
        return _console(sys.stderr)


def _console(file: TextIO) -> "Terminal":
    """Return a console that neither cuts nor wraps, tables included, if there is no terminal."""
    # Only here: rich is a third of what `hookstream --help` would load, and a worker needs it never.
    from hookstream.entry.cli.terminal import Terminal  # noqa: PLC0415

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
