"""`hookstream dev`: a real broker, a receiver, event topics and a key ring for development."""

import os
import signal
import threading
from pathlib import Path

import click

from hookstream.entry.admin.dev import development_broker, download_kafka, new_key_ring
from hookstream.entry.admin.topics import create_event_topics
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.dev_receiver import receiver
from hookstream.errors import DependencyUnavailable, InputRefused

_cache = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".cache/kafka"),
    show_default=True,
    help="Where Kafka's jars are kept.",
)


@click.group(help="A broker, a receiver, event topics and keys for development.")
def command() -> None:
    """Define the group."""


command.add_command(receiver)


@command.command()
@_cache
@pass_context
def fetch(context: Context, cache: Path) -> None:
    """Download Apache Kafka, and archive its classes for quicker starts."""
    download_kafka(cache, context.err.print)


@command.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="The port; 0 takes a free one."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the log in this folder (default: a temporary one).",
)
@_cache
@pass_context
def broker(context: Context, port: int, data: Path | None, cache: Path) -> None:
    """Run Apache Kafka on this machine until SIGINT or SIGTERM.

    When the broker answers, prints its address as the only line on standard output; everything else goes to
    standard error. The broker ends with this process, however the process ends.
    """
    process = development_broker(cache, context.err.print, port=port, data=data)
    ended = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, lambda *_: ended.set())
    context.err.print("Starting the development broker: one node, one replica of everything")
    with process:
        click.echo(process.bootstrap_servers)
        while not ended.wait(0.2):
            if not process.running:
                raise DependencyUnavailable("the development broker exited unexpectedly")


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_context
def keys(context: Context, file: Path) -> None:
    """Make a key ring FILE with one new key, for the setting keys.file."""
    ring, key_id = new_key_ring()
    try:
        # Never overwrite a key ring: secrets that were encrypted with a lost key are lost with it.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputRefused(f"{file}: {error.strerror or error}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(ring)
    context.err.print(f"{file}: a key ring for development, with the key {key_id}")


@command.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@pass_context
def topics(context: Context, names: tuple[str, ...]) -> None:
    """Create event topics, which otherwise upstream creates; existing ones stay as they are."""
    create_event_topics(context.settings, names)
    context.out.print("Done.")
