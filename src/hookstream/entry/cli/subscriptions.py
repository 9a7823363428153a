"""`hookstream subscriptions`: lists, shows and changes subscriptions, one at a time."""

from pathlib import Path

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import (
    Millis,
    format_duration,
    parse_duration,
    to_rfc3339,
)
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import SigningScheme, Subscription
from hookstream.core.planning.ownership import is_of_files
from hookstream.core.planning.rotation import LONGEST_OVERLAP, without_ended
from hookstream.entry.admin.definition_file import read_definition
from hookstream.entry.admin.gaps import gap_text
from hookstream.entry.admin.signing_secrets import secret_document
from hookstream.entry.admin.subscriptions import (
    shown_fields,
    subscription_document,
)
from hookstream.entry.backend.ports import Effect
from hookstream.entry.cli import release
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.gap_filling import GapCommand, GapOptions, gap_options, worked_on
from hookstream.entry.cli.job_view import how_to_go_on, require_finished
from hookstream.entry.cli.options import as_json_option, definition_argument, yes_option
from hookstream.entry.cli.secrets_shown import show_secrets
from hookstream.entry.cli.subscription_lane import command as lane
from hookstream.entry.cli.subscription_test import command as test
from hookstream.entry.cli.terminal import confirm

_subscription = click.argument("subscription_id", metavar="SUBSCRIPTION")
_no_wait = click.option("--no-wait", is_flag=True, help="Return before the change is in effect.")
_revision = click.option(
    "--if-revision", type=int, metavar="N", help="Refuse unless the subscription is at revision N."
)


def _overlap(text: str) -> Millis:
    try:
        overlap = parse_duration(text)
    except ValueError as why:
        raise click.BadParameter(str(why)) from None
    if overlap > LONGEST_OVERLAP:
        raise click.BadParameter(f"it is 0s to {format_duration(LONGEST_OVERLAP)}, not {text}")
    return overlap


@click.group()
def command() -> None:
    """Create, list, show, test, pause, resume, enable and delete subscriptions; rotate secrets."""


command.add_command(test)
command.add_command(lane, "lane")
command.add_command(release.subscription)


@command.command("list")
@click.option("--partner", help="Only those of one partner.")
@click.option("--all", "with_deleted", is_flag=True, help="Deleted ones too.")
@as_json_option
@takes_api
def list_(context: Context, partner: str | None, *, with_deleted: bool, as_json: bool) -> None:
    """List subscriptions with the state that the owner set, and their health."""
    listing = context.backend.subscriptions.listed(partner, with_deleted=with_deleted)
    now = SystemClock().now()
    if as_json:
        click.echo(json_line([subscription_document(each, now) for each in listing.found]))
    else:
        rows = [
            (
                each.subscription.id,
                each.subscription.partner_id,
                each.state_text(now) + ("" if each.failing_since is None else ", failing"),
                "\n".join(each.subscription.event_types),
            )
            for each in listing.found
        ]
        context.out.table(("subscription", "partner", "state", "event types"), rows)
    context.err.unreadable(listing.unreadable)


@command.command()
@_subscription
@as_json_option
@takes_api
def show(context: Context, subscription_id: str, *, as_json: bool) -> None:
    """Show one SUBSCRIPTION, without its secrets."""
    source = context.backend.subscriptions
    facts, now = source.found(subscription_id), SystemClock().now()
    if as_json:
        click.echo(json_line(subscription_document(facts, now)))
        return
    subscription = facts.subscription
    rows = {"subscription": subscription.id, "state": facts.state_text(now)}
    if facts.failing_since is not None:
        rows["failing"] = f"nothing but failures since {to_rfc3339(facts.failing_since)}"
    if isinstance(subscription, Subscription):
        rows["revision"] = str(subscription.revision)
        rows |= {path: str(text) for path, text in _fields(subscription, now).items()}
        if subscription.declared_at:
            rows["declared at"] = f"{subscription.declared_at}, when it was last changed"
    rows["active from"] = to_rfc3339(subscription.active_from)
    replays = source.replays(subscription)
    for gap in subscription.gaps:
        end = "now" if gap.end is None else to_rfc3339(gap.end)
        filled = gap_text(subscription_id, gap, replays)
        rows[f"gap ({gap.reason}) from {to_rfc3339(gap.start)}"] = f"to {end}; {filled}"
    context.out.fields(rows.items())


@command.command()
@definition_argument
@_no_wait
@as_json_option
@takes_api
def create(context: Context, file: Path, *, no_wait: bool, as_json: bool) -> None:
    """Create the subscription in FILE, YAML or JSON in the API's form; the API owns it.

    A secret in it is `{value: …}`. Without an id one is generated, and without signing secrets one is
    generated and shown once. With start_from, the past is replayed by a job, which the command runs to its
    end.
    """
    made = context.backend.subscriptions.create(read_definition(file))
    name, effect = made.subscription.id, made.effect
    # Print secrets first: interrupting the wait must not lose them.
    if as_json:
        document: JsonObject = {
            "subscription": name,
            "revision": made.subscription.revision,
            "signing_secrets": [secret_document(name, each) for each in made.generated],
            "replays": [job.id for job in made.jobs],
            "takes_effect": to_rfc3339(effect.at),
        }
        click.echo(json_line(document))
    else:
        show_secrets(context.out, [(name, each) for each in made.generated])
    context.err.print(f"{name} is created; it is active from {to_rfc3339(effect.at)}")
    for note in made.notes:
        context.err.text(f"note: {note}", "yellow")
    _end(context, effect, wait=not no_wait)
    for job in made.jobs:
        if no_wait:
            context.err.text(how_to_go_on(job.id))
        else:
            result = worked_on(context, context.backend.jobs, job, as_json=as_json)
            require_finished(context, result)


@command.command()
@_subscription
@_revision
@_no_wait
@takes_api
def pause(
    context: Context, subscription_id: str, if_revision: int | None, *, no_wait: bool
) -> None:
    """Pause SUBSCRIPTION: pending deliveries wait, and resume replays the events published meanwhile."""
    after, changed, effect = context.backend.subscriptions.pause(subscription_id, if_revision)
    if not changed:
        context.err.print(f"{subscription_id} is already {after.state}")
        return
    context.err.print(f"{subscription_id} is paused from {to_rfc3339(effect.at)}")
    _end(context, effect, wait=not no_wait)


@command.command()
@_subscription
@gap_options
@takes_api
def resume(context: Context, subscription_id: str, options: GapOptions) -> None:
    """Resume a paused SUBSCRIPTION, and replay the events published meanwhile.

    Counts the events first, and asks for confirmation above 1,000. The replay is a job, which the command
    runs to its end; if the command is interrupted, hookstream jobs run or jobs resume continues it. Exit code
    1 if the replay is not finished when the command ends, or is incomplete.
    """
    GapCommand(context, subscription_id, options).run()


@command.command()
@_subscription
@gap_options
@click.option(
    "--redrive/--no-redrive",
    default=None,
    help="Whether to redrive the dead letters of the reasons disabled, gone and asked (default: ask).",
)
@takes_api
def enable(
    context: Context, subscription_id: str, options: GapOptions, *, redrive: bool | None
) -> None:
    """Enable a SUBSCRIPTION that was disabled by a 410, by its endpoint's request, or for failing too long.

    Replays, as resume does, the events published since a minute before it was disabled, and offers to redrive
    the dead letters of that time.
    """
    GapCommand(context, subscription_id, options, is_enable=True, redrive=redrive).run()


@command.command()
@_subscription
@_revision
@yes_option
@takes_api
def delete(context: Context, subscription_id: str, if_revision: int | None, *, yes: bool) -> None:
    """Delete SUBSCRIPTION: its pending deliveries are cancelled."""
    confirm(f"Delete subscription {subscription_id} and cancel its pending deliveries?", yes=yes)
    owner, effect = context.backend.subscriptions.delete(subscription_id, if_revision)
    context.err.print(f"{subscription_id} is deleted")
    _end(context, effect, wait=False)
    if is_of_files(owner):
        context.err.print(
            "A definition file declares it: remove it there, or the next apply creates it again"
        )


@command.command("rotate-secret")
@_subscription
@click.option(
    "--overlap",
    type=_overlap,
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="How long the old secret keeps signing: 0s to 30d.",
)
@click.option(
    "--scheme",
    type=click.Choice([each.value for each in SigningScheme]),
    help="The scheme of the new secret; if both schemes sign, the one to rotate.",
)
@_revision
@_no_wait
@as_json_option
@takes_api
def rotate_secret(
    context: Context,
    subscription_id: str,
    overlap: Millis,
    scheme: str | None,
    if_revision: int | None,
    *,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Replace the generated signing secret of SUBSCRIPTION by a new one, which is shown only once.

    The old secret keeps signing until the overlap ends and is then removed. For a v1a key only the public key
    is shown, which is all that the partner needs.
    """
    done, effect = context.backend.subscriptions.rotate(
        subscription_id,
        if_revision,
        overlap,
        None if scheme is None else SigningScheme(scheme),
    )
    # Print the secret first: interrupting the wait must not lose it.
    if as_json:
        click.echo(json_line(secret_document(subscription_id, done.new)))
    else:
        show_secrets(context.out, [(subscription_id, done.new)])
    context.err.print(f"{done.new.id} signs from {to_rfc3339(effect.at)} at the latest")
    for each in done.ending:
        context.err.print(f"{each.id} signs until {to_rfc3339(each.expires_at or 0)}")
    for each in done.gone:
        context.err.print(f"{each.id} no longer signs")
    _end(context, effect, wait=not no_wait)


@command.command()
@_subscription
@takes_api
def jwks(context: Context, subscription_id: str) -> None:
    """Print the public keys of SUBSCRIPTION's v1a secrets as a JWKS, for its partner."""
    document = context.backend.subscriptions.jwks(subscription_id)
    click.echo(json_line(document))
    if not document["keys"]:
        context.err.print(f"{subscription_id} has no v1a signing secret")


def _fields(subscription: Subscription, now: Millis) -> JsonObject:
    """Return the fields to show, without signing secrets whose overlap has ended."""
    return shown_fields(without_ended(subscription, now))


def _end(context: Context, effect: Effect, *, wait: bool) -> None:
    """Print the warning of a change, and wait until it is in effect."""
    context.err.warn(effect.warning)
    if wait:
        effect.wait()
