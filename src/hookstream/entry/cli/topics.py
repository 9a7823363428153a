"""`hookstream topics` plans and creates the topics that hookstream needs."""

import click

from hookstream.adapters.kafka.topics import KafkaTopics
from hookstream.core.model.topics import Topics
from hookstream.core.topology.plan import (
    CreateTopic,
    Existing,
    Remark,
    TopicChange,
    describe,
    event_topics,
    plan,
    replication_of,
    wanted_topics,
)
from hookstream.core.topology.writers import WriteAccess, open_topics
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cluster import reached

_CHANGES = 3


@click.group()
def command() -> None:
    """Plan and create hookstream's topics."""


def _planned(context: Context) -> tuple[KafkaTopics, list[TopicChange], int]:
    settings = context.settings
    cluster = KafkaTopics(reached(settings))
    existing = cluster.existing()
    topics = settings.topics_names
    upstream = event_topics(settings.events.topics, topics, existing)
    replication = replication_of(settings.topics.replication, cluster.brokers())
    wanted = wanted_topics(
        topics,
        settings.retry.tiers,
        partitions=settings.topics.partitions,
        largest_event=_largest(existing, upstream, settings.events.max_record_bytes),
    )
    stamped = [] if settings.events.accept_create_time else upstream
    changes = plan(wanted, stamped, existing)
    names = [topic.name for topic in wanted]
    return cluster, [*changes, *_open(cluster.access(), names, topics)], replication


def _open(access: WriteAccess | None, names: list[str], topics: Topics) -> list[Remark]:
    """Return what there is to remark of who may write to our topics."""
    everything = f"{topics.prefix}.*"
    if access is None:
        why = "who may write cannot be checked: that takes Describe on the cluster"
        return [Remark(everything, why)]
    found = open_topics(access, names)
    if not found:
        return []
    if access.rules is None:
        whom = "the brokers have no authorizer, so anybody who reaches them may write"
    else:
        whom = f"anybody who reaches the brokers may write to {', '.join(found)}"
    why = f"{whom}, and so forge signed deliveries: docs/security.md has the ACLs against it"
    return [Remark(everything, why)]


def _largest(existing: dict[str, Existing], upstream: list[str], at_least: int) -> int:
    found = [int(existing[name].config.get("max.message.bytes", "0")) for name in upstream]
    return max([at_least, *found])


def _show(context: Context, changes: list[TopicChange], replication: int) -> bool:
    """Print a plan; tell whether it has anything to do."""
    for change in changes:
        context.out.print(describe(change), highlight=False)
    todo = any(not isinstance(change, Remark) for change in changes)
    if not todo:
        context.out.print("Every topic is as it should be.")
    elif replication == 1 and any(isinstance(change, CreateTopic) for change in changes):
        context.out.print(
            "New topics get one replica: a broker that is lost takes their records with it.",
        )
    return todo


@command.command("plan")
@click.pass_context
@pass_context
def plan_(context: Context, click_context: click.Context) -> None:
    """Show what apply would create or change. Exit code 3 where there is something."""
    _, changes, replication = _planned(context)
    if _show(context, changes, replication):
        click_context.exit(_CHANGES)


@command.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
def apply(context: Context, *, yes: bool) -> None:
    """Create what is missing; shrink, shorten and delete nothing."""
    cluster, changes, replication = _planned(context)
    if not _show(context, changes, replication):
        return
    if not yes:
        click.confirm("Do it?", abort=True, err=True)
    cluster.apply(changes, replication, context.err.print)
    context.out.print("Done.")
