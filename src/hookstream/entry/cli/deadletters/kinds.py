"""The differences between dead letters and undecodable records on the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import click

from hookstream.core.model.event import UndecodableReason
from hookstream.core.model.outcome import DeadReason
from hookstream.core.redrive.groups import GroupBy
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.selector import Selector
from hookstream.entry.cli.options import Added, as_one, several, since_option, until_option


@dataclass(slots=True, frozen=True)
class Kind:
    """One of the two kinds of records that can be listed, shown and redriven."""

    source: RedriveSource
    group: str
    """The name of the command group."""
    noun: str
    """The name of one of its records."""
    counted_by: str
    """The heading of the first column of the counts."""
    counted_by_key: str
    """Its key in JSON."""
    groups: tuple[GroupBy, ...]
    """The properties that `list` can count by."""
    shown_by: str
    """The argument of `show`."""
    conditions: Callable[[Added], Added]
    """Adds the options that arrive as `selector`."""
    group_help: str
    list_help: str
    show_help: str
    redrive_help: str
    export_help: str
    purge_help: str


def _reasons(reasons: type[StrEnum], text: str) -> Callable[[Added], Added]:
    choice = click.Choice(sorted(reason.value for reason in reasons))
    return several("--reason", "reasons", text, choice, "REASON")


DEAD_LETTERS = Kind(
    source=RedriveSource.DEAD_LETTERS,
    group="dlq",
    noun="dead letter",
    counted_by="subscription",
    counted_by_key="subscription_id",
    groups=(GroupBy.REASON, GroupBy.SUBSCRIPTION, GroupBy.STATUS, GroupBy.ERROR, GroupBy.HOST),
    shown_by="PLACE|DELIVERY",
    conditions=as_one(
        "selector",
        Selector,
        several("--subscription", "subscriptions", "Of this subscription"),
        several("--event-type", "event_types", "Of this event type"),
        _reasons(DeadReason, "Given up for this reason"),
        several("--status", "statuses", "With this HTTP status in the last answer"),
        several("--partner", "partners", "Of this partner"),
        since_option,
        until_option,
    ),
    group_help="List, show, redrive, purge and export dead letters: deliveries that were given up.",
    list_help="Count dead letters by subscription and reason, and list the newest.",
    show_help="""Show one dead letter: headers, event, attempts.

    PLACE is its partition and offset, 3@1042 or TOPIC-3@1042; DELIVERY is its webhook-id.
    """,
    export_help="""Export open dead letters to FILE as JSON Lines; `-` is standard output.

    A line has everything about a dead letter: position, headers, reason, and its event as JSON and in
    base64. The last line, `"kind":"end"`, has the counts, and what was left out. FILE appears when it is
    complete, readable only by you.
    """,
    purge_help="""Purge open dead letters that are not to be delivered any more.

    A PLACE is a single one, 3@1042. They stay in the log, but no redrive takes them, and their
    deliveries stay dead-lettered, with the reason and the user who ran the command.
    """,
    redrive_help="""Redrive open dead letters: they are delivered again, with a new schedule.

    A PLACE is a single one, 3@1042.

    Dead letters of a subscription that is disabled or deleted are left out and reported.
    """,
)

UNDECODABLE = Kind(
    source=RedriveSource.UNDECODABLE,
    group="undecodable",
    noun="undecodable record",
    counted_by="origin",
    counted_by_key="origin_topic",
    groups=(GroupBy.REASON, GroupBy.TOPIC, GroupBy.ERROR),
    shown_by="PLACE",
    conditions=as_one(
        "selector",
        Selector,
        several("--topic", "topics", "From this event topic"),
        _reasons(UndecodableReason, "Undecodable for this reason"),
        since_option,
        until_option,
    ),
    group_help="List, show, redrive, purge and export undecodable records.",
    list_help="Count undecodable records by topic and reason, and list the newest.",
    show_help="""Show one undecodable record: headers, and the result of decoding it now.

    PLACE is its partition and offset, 3@1042 or TOPIC-3@1042.
    """,
    export_help="""Export open undecodable records to FILE as JSON Lines; `-` is standard output.

    A line has everything about a record: position, headers, reason, and its bytes in base64. The last
    line, `"kind":"end"`, has the counts, and what was left out. FILE appears when it is complete, readable
    only by you.
    """,
    purge_help="""Purge open undecodable records that are not to be decoded and delivered any more.

    A PLACE is a single one, 3@1042. They stay in the log, but no redrive takes them.
    """,
    redrive_help="""Redrive undecodable records: they are identified, decoded and matched again.

    A PLACE is a single one, 3@1042.

    They are matched with the current subscriptions, each by the time at which the record was first appended.
    """,
)
