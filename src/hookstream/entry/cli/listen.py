"""`hookstream listen`: forwards the events of one subscription to a server on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from hookstream.core.model.instant import Millis, to_the_second
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.listening import (
    Forwarded,
    PageOf,
    SessionKey,
    direct_pages,
    http_pages,
    listen,
    new_session_key,
)
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.terminal import Terminal

_ACCEPTED = range(200, 300)


@click.command("listen")
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@click.option(
    "--forward", required=True, metavar="URL", help="The URL to which each event is posted."
)
@click.option(
    "--live-signatures",
    is_flag=True,
    help="Forward the signatures of the subscription's own secrets.",
)
@click.option(
    "--api",
    metavar="URL",
    help="Like --api before the command.",
)
@takes_api
def command(
    context: Context, subscription_id: str, forward: str, api: str | None, *, live_signatures: bool
) -> None:
    """Forward the events of SUBSCRIPTION to a server on this machine, from now on.

    Each is posted once, with one line of output, and signed with a secret made for this session, which is
    shown at the start. The command reads the pull door, so it delivers and records nothing: the
    subscription's endpoint keeps receiving its deliveries. It ends with Ctrl-C.
    """
    session = None if live_signatures else new_session_key()
    asyncio.run(_listen(context, subscription_id, forward, api or context.api_url, session))


async def _listen(
    context: Context,
    subscription_id: str,
    forward: str,
    api: str,
    session: SessionKey | None,
) -> None:
    async with _pages(context, subscription_id, api) as pages:
        if session is None:
            context.err.print("events are signed with the subscription's secrets")
        else:
            context.err.print(f"events are signed for this session with {session.text}")
        context.err.print(f"{subscription_id} is forwarded to {forward}")
        await listen(pages, forward, session, _ListenLines(context.out, context.err))


@asynccontextmanager
async def _pages(context: Context, subscription_id: str, api: str) -> AsyncIterator[PageOf]:
    if not api:
        async with direct_pages(context.settings, subscription_id) as pages:
            yield pages
    else:
        async with http_pages(api, context.token, subscription_id) as pages:
            yield pages


class _ListenLines:
    """One line for each thing that happens. Implements `Listener`."""

    def __init__(self, out: Terminal, err: Terminal) -> None:
        self._out = out
        self._err = err

    def forwarded(self, at: Millis, webhook_id: str, done: Forwarded) -> None:
        status = done.error if done.status is None else str(done.status)
        line = f"{to_the_second(at)}  {webhook_id}  {status}  {done.seconds * 1000:.0f} ms"
        self._out.text(line, "" if done.status in _ACCEPTED else "red")

    def missed(self, entry: JsonObject) -> None:
        what = "events may be missing" if entry.get("kind") == "gap" else "a record was skipped"
        self._err.text(f"{what}: {entry.get('reason')}", "yellow")

    def waits(self, seconds: float, why: str) -> None:
        self._err.text(f"{why}: retrying in {seconds:g} s", "yellow")
