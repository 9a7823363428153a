"""`hookstream dev receiver`: runs an endpoint on this machine that prints its webhooks."""

import asyncio
import base64
import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.dev_receiver import DevReceiver, Judged, schemas_of, secrets_of
from hookstream.entry.admin.json_output import indented
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import as_json_option

_MOST_SHOWN: Final = 64 * 1024
"""The most bytes of a body that are printed, which bounds the size of indented JSON; --json prints all."""
_HEX_BYTES: Final = 64


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="The port; 0 takes a free one."
)
@click.option(
    "--secret-env",
    "names",
    multiple=True,
    metavar="NAME",
    help="Verify with the signing secret or public key (whpk_) in this variable; repeatable.",
)
@click.option(
    "--secret-file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Verify with the signing secret or public key (whpk_) in this file; repeatable.",
)
@click.option(
    "--json-schema",
    "schema_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Validate events against this JSON Schema; repeatable: an event must be valid against one of them.",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.IntRange(200, 599),
    default=(204,),
    show_default=True,
    help="Answer with this status; repeatable: each is used once, in order, and the last one from then on.",
)
@click.option("-n", "limit", type=click.IntRange(1), help="End after this many requests.")
@as_json_option
@pass_context
def receiver(
    context: Context,
    port: int,
    names: Sequence[str],
    files: Sequence[Path],
    schema_files: Sequence[Path],
    statuses: Sequence[int],
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    """Receive webhooks on this machine, verify and print them, until Ctrl-C.

    Listens on 127.0.0.1 and prints its URL on standard error. A request whose signature does not
    verify is answered 401, one whose body is not valid 422. Without a secret nothing is verified, and
    without a JSON Schema nothing is validated.

    With --json, one object a line; `body` is the signed text, or `body_base64` if that is not UTF-8.
    """
    secrets = secrets_of(names, files, context.environ)
    show = _print_json if as_json else partial(_print, context)
    endpoint = DevReceiver(secrets, statuses, SystemClock().now, show, schemas_of(schema_files))

    def listening(url: str) -> None:
        verifying = "" if secrets else "; no secret was given, so nothing is verified"
        context.err.text(f"Listening on {url}{verifying}")

    asyncio.run(endpoint.run(port, listening, limit))


def document_of(judged: Judged) -> JsonObject:
    """Return a request as the object that --json prints."""
    request = judged.request
    headers: dict[str, str] = {}
    for name, value in request.headers:
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    text = _text(request.body)
    return {
        "at": to_rfc3339(judged.at),
        "verified": judged.verified,
        "reason": judged.reason,
        "detail": judged.detail or None,
        "status": judged.status,
        "method": request.method,
        "target": request.target,
        "headers": {**headers},
        "body": text,
        "body_base64": None
        if request.body is None or text is not None
        else base64.b64encode(request.body).decode(),
    }


def _print_json(judged: Judged) -> None:
    click.echo(json_line(document_of(judged)))


def _print(context: Context, judged: Judged) -> None:
    verdict = "verified" if judged.verified else "not verified"
    verdict += "" if judged.valid else ", not valid"
    verdict += f": {judged.detail}" if judged.detail else ""
    colour = "bold green" if judged.verified and judged.valid else "bold red"
    request = judged.request
    headers = "".join(f"\n{name.lower()}: {value}" for name, value in request.headers)
    text = f"{request.method} {request.target}{headers}\n\n{_readable(request.body)}\n"
    context.out.text(f"{verdict}; answered {judged.status}", colour)
    # Indented, so that a line of an untrusted body cannot look like ours.
    context.out.text(textwrap.indent(text, "  "))


def _readable(body: bytes | None) -> str:
    """Return a readable body of bounded length: JSON indented, other text unchanged."""
    text = _text(body)
    if body is None:
        return "(not read)"
    if text is None:
        shown = body[:_HEX_BYTES].hex(" ", 2)
        return f"{len(body):,} bytes, not UTF-8: {shown}{'…' if len(body) > _HEX_BYTES else ''}"
    if len(body) > _MOST_SHOWN:
        cut = body[:_MOST_SHOWN].decode("utf-8", "ignore")
        return f"{cut}… ({len(body) - _MOST_SHOWN:,} more bytes: --json prints them)"
    return indented(body) or text


def _text(body: bytes | None) -> str | None:
    try:
        return None if body is None else body.decode()
    except UnicodeDecodeError:
        return None
