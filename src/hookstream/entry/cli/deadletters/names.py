"""A condition by a name that nothing has is refused, with the nearest name."""

from collections.abc import Iterator
from functools import partial

from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.known_names import (
    NO_TOPIC,
    Filter,
    name_filters,
    read_names,
    refuse_unknown,
)
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.progress import reading


def refuse_unknown_names(context: Context, reader: DeadLetterReader, selector: Selector) -> None:
    """Refuse a name that is neither in the tables or the cluster nor in a record of the window."""
    settings = context.settings
    topics = cluster_topics(settings) if selector.topics else frozenset()
    filters = (
        *name_filters(
            partial(read_names, settings),
            subscriptions=selector.subscriptions,
            partners=selector.partners,
            event_types=selector.event_types,
        ),
        Filter("--topic", selector.topics, topics, NO_TOPIC),
    )

    def seen() -> Iterator[tuple[str, ...]]:
        with reading(context, reader):
            for each in map(summary_of, reader.between(selector.since, selector.until)):
                yield each.subscription_id, each.partner_id, each.event_type, each.origin_topic

    refuse_unknown(filters, seen)
