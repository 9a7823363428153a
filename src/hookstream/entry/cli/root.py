"""The root of the command line: global options, lazily loaded commands, and the exit codes of errors.

0 done; 1 failed, or findings; 2 usage, configuration or refused input; 3 a plan that has changes (by
`click.Context.exit`); 130 interrupted.
"""

import gc
import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from hookstream import __version__
from hookstream.core.model.visible_text import shown
from hookstream.entry.cli.context import Context, pairs
from hookstream.errors import ConfigurationError, Contended, HookstreamError

INTERRUPTED = 130
_FRESH_OBJECTS, _COLLECTIONS_AN_AGE = 50_000, 20
"""As in a worker: the new objects that trigger a collection, and the collections that trigger one of older
objects."""


class LazyCommand(NamedTuple):
    """A command that is not loaded yet."""

    promise: str
    """One line for the list of commands."""
    module: str
    attribute: str = "command"


COMMANDS: Mapping[str, LazyCommand] = {
    "apply": LazyCommand(
        "Change the tables to what partner and subscription files declare.", "definitions", "apply"
    ),
    "attempts": LazyCommand("Show the audit log: requests and their answers.", "attempts"),
    "check": LazyCommand(
        "Check partner and subscription files without a cluster.", "definitions", "check"
    ),
    "config": LazyCommand("Show the settings in effect.", "config"),
    "console": LazyCommand("Serve the API and the console's pages.", "console"),
    "deliveries": LazyCommand(
        "List deliveries, pending and ended; show one, or send it again.", "deliveries"
    ),
    "dev": LazyCommand("A broker, a receiver, event topics and keys for development.", "dev"),
    "dlq": LazyCommand(
        "List, show, redrive, purge and export dead letters.", "deadletters.commands", "dlq"
    ),
    "doctor": LazyCommand("Check an installation, with a remedy for each finding.", "doctor"),
    "events": LazyCommand("Publish events, and show events as they come.", "events"),
    "explain": LazyCommand("Explain why an event did, or did not, arrive.", "explain"),
    "failures": LazyCommand(
        "Show groups of similar errors; acknowledge or resolve them.", "failures"
    ),
    "hold": LazyCommand(
        "Suspend deliveries of an endpoint, a partner, an event type or everything.", "hold"
    ),
    "jobs": LazyCommand("List, show, cancel and resume jobs; run an executor.", "jobs"),
    "listen": LazyCommand(
        "Forward a subscription's events to a server on this machine.", "listen"
    ),
    "partition": LazyCommand(
        "List partitions; start a stopped one, or skip the record that stops it.", "partition"
    ),
    "partners": LazyCommand(
        "Create, list, show, release and delete partners; make portal links.", "partners"
    ),
    "plan": LazyCommand("Show what apply would change.", "definitions", "plan"),
    "replay": LazyCommand("Deliver events of the past again, to one subscription.", "replay"),
    "schemas": LazyCommand(
        "Check, publish, list, document and register event schemas.", "schemas"
    ),
    "sessions": LazyCommand("List and end sessions of the console's pages.", "sessions"),
    "stats": LazyCommand("Count deliveries, retries and errors of an endpoint.", "stats"),
    "status": LazyCommand(
        "Show what waits, what is stopped and what fails, on one screen.", "status"
    ),
    "subscriptions": LazyCommand(
        "Create, list, show, test, pause, resume, enable and delete subscriptions; rotate secrets.",
        "subscriptions",
    ),
    "tokens": LazyCommand("Create, list and revoke tokens for the API.", "tokens"),
    "topics": LazyCommand("Plan and create hookstream's topics.", "topics"),
    "undecodable": LazyCommand(
        "List, show, redrive, purge and export undecodable records.",
        "deadletters.commands",
        "undecodable",
    ),
    "worker": LazyCommand("Deliver events.", "worker"),
}


class Root(click.Group):
    """A group that imports the module of a command only when the command is used.

    `hookstream worker` does not load the operators' commands, and a module that cannot be imported
    breaks no other command.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands in alphabetical order."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load and return a command; None if no command has that name."""
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"hookstream.entry.cli.{lazy.module}")
        found: click.Command = getattr(module, lazy.attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, COMMANDS[name].promise) for name in self.list_commands(ctx)]
            )

    # click's own signature takes anything here.
    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **_: object
    ) -> NoReturn:
        """Run a command line and exit with its code."""
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(arguments, prog_name, standalone_mode=False)
        except click.exceptions.Abort as abort:
            # The cause is Ctrl-C, or a declined confirmation.
            interrupted = isinstance(abort.__cause__, KeyboardInterrupt)
            _exit("interrupted" if interrupted else "aborted", INTERRUPTED if interrupted else 1)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except Exception as error:  # noqa: BLE001  the traceback is shown on request
            if "--debug" in arguments:
                traceback.print_exception(error)
            known = isinstance(error, HookstreamError)
            _exit(str(error) if known else _unexpected(error), exit_code(error))
        sys.exit(code if isinstance(code, int) else 0)


def exit_code(error: Exception) -> int:
    """Return the exit code of an error: 2 if the configuration or the input must change, else 1."""
    if isinstance(error, Contended):
        return 1
    refused = isinstance(error, ConfigurationError) or _of_a_file(error) is not None
    return 2 if refused else 1


def _of_a_file(error: Exception) -> str | None:
    """Return the message of an error that names a file; None for any other."""
    if not isinstance(error, OSError) or error.filename is None:
        return None
    name = os.fsencode(error.filename).decode("utf-8", "backslashreplace")
    return f"{name}: {error.strerror or error}"


def _unexpected(error: Exception) -> str:
    """Return the message of an unexpected error, without a traceback."""
    return _of_a_file(error) or (
        f"this is a bug in hookstream: {type(error).__name__}: {error} (--debug before the"
        " command shows the traceback)"
    )


def _exit(sentence: str, code: int) -> NoReturn:
    click.echo(f"hookstream: {shown(sentence)}", err=True)
    sys.exit(code)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hookstream")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The settings file (default: the one in HOOKSTREAM_CONFIG, or none).",
)
@click.option("--bootstrap-servers", metavar="HOST:PORT", help="The Kafka cluster.")
@click.option("--prefix", metavar="NAME", help="The prefix of hookstream's topic names.")
@click.option(
    "--set", "changes", multiple=True, metavar="GROUP.NAME=VALUE", help="Any setting; repeatable."
)
@click.option(
    "--api",
    metavar="URL",
    help="Use this console's API, with the token in HOOKSTREAM_TOKEN (default: api.url; without it,"
    " commands use Kafka directly).",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def root(
    ctx: click.Context,
    config: Path | None,
    bootstrap_servers: str | None,
    prefix: str | None,
    changes: tuple[str, ...],
    api: str | None,
    *,
    debug: bool,
) -> None:
    """Turn the events of a platform into signed webhooks for its partners, on Kafka."""
    # The command is loaded by now; until then, `main` has disabled collection.
    if not gc.isenabled():
        # Modules are never freed: each full collection of a long command would take 20 ms for them alone.
        gc.freeze()
        # Nor is what a command reads: collections at the default rate took a seventh of the time of `apply`.
        gc.set_threshold(_FRESH_OBJECTS, _COLLECTIONS_AN_AGE, _COLLECTIONS_AN_AGE)
        gc.enable()
    overrides = pairs(changes)
    if bootstrap_servers is not None:
        overrides["kafka.bootstrap_servers"] = bootstrap_servers
    if prefix is not None:
        overrides["topics.prefix"] = prefix
    ctx.obj = Context(config, os.environ, overrides, debug=debug, api=api)
