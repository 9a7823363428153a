"""Reads one day's file: dead letters, undecodable records and operations events, newest first."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hookstream.adapters.index.answers import (
    AsideGroup,
    AsideRecord,
    DeadLetterFilter,
    OperationsEvent,
    OperationsFilter,
    ReasonCount,
    UndecodableFilter,
    Whose,
)
from hookstream.adapters.index.aside_file import (
    NUMBER_OF,
    read_resolved,
    read_summary,
    whose_reasons,
)
from hookstream.adapters.index.database import open_for_reading
from hookstream.adapters.index.folder import IndexFile
from hookstream.adapters.index.hour_reader import Place
from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.redrive.marks import RedriveSource

_NEWEST_FIRST = " ORDER BY at DESC, partition DESC, offset DESC"
_BEFORE = " AND (at, partition, offset) < (?, ?, ?)"
_OF_DELIVERY = (
    "aside INDEXED BY aside_deliveries",
    # Without the second condition, which a bound value does not imply, the index is not used.
    "delivery = ? AND delivery <> '' AND source = ?",
)
"""The table and the condition of a delivery's records of one topic."""


class AsideWanted(NamedTuple):
    """The selected records of one of the two topics."""

    source: RedriveSource
    partner_id: str | None
    of: frozenset[str] | None
    """Subscriptions, or origin topics."""
    event_types: frozenset[str] | None
    event_id: str | None
    delivery_id: str | None
    reasons: frozenset[str] | None
    statuses: frozenset[str] | None
    open: bool | None
    since: Millis | None
    until: Millis | None


def aside_filter(
    source: RedriveSource, wanted: DeadLetterFilter | UndecodableFilter
) -> AsideWanted:
    """Return the selection of a filter of either topic."""
    if isinstance(wanted, UndecodableFilter):
        return AsideWanted(
            source,
            None,
            wanted.origin_topics,
            None,
            None,
            None,
            wanted.reasons,
            None,
            wanted.open,
            wanted.since,
            wanted.until,
        )
    return AsideWanted(
        source,
        wanted.partner_id,
        wanted.subscriptions,
        wanted.event_types,
        wanted.event_id,
        wanted.delivery_id,
        wanted.reasons,
        wanted.statuses,
        wanted.open,
        wanted.since,
        wanted.until,
    )


@dataclass(slots=True)
class AsideCounter:
    """Counts over several days."""

    groups: dict[tuple[str, str, str], AsideGroup] = field(default_factory=dict)

    def add(self, group: AsideGroup) -> None:
        """Count a group of one day."""
        key = group.of, group.reason, group.status
        known = self.groups.get(key)
        if known is not None:
            group = AsideGroup(
                group.of,
                group.reason,
                known.records + group.records,
                min(known.oldest, group.oldest),
                max(known.newest, group.newest),
                group.status,
            )
        self.groups[key] = group

    def largest_first(self) -> tuple[AsideGroup, ...]:
        """Return the groups by descending size."""
        found = sorted(
            self.groups.values(),
            key=lambda each: (-each.records, each.of, each.reason, each.status),
        )
        return tuple(found)


class AsideReader:
    """Reads one day's file. For one thread at a time.

    Args:
        file: The file.

    Raises:
        OtherFormat: It has another format.
        sqlite3.Error: It does not exist, or is damaged.
    """

    def __init__(self, file: IndexFile) -> None:
        self._start = file.start
        self._db = open_for_reading(file.path)

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def aside(
        self, wanted: AsideWanted, before: Place | None
    ) -> Iterator[tuple[Place, AsideRecord | None]]:
        """Yield the records before a place, the newest first; None for one that is not selected."""
        if wanted.of is not None and not wanted.of:
            return
        for (
            at,
            partition,
            offset,
            of,
            partner,
            kind,
            event,
            reason,
            status,
            resolved,
            body,
        ) in self._rows(wanted, before):
            record: AsideRecord | None = None
            selected = (
                wanted.partner_id in (None, partner)
                and (wanted.of is None or of in wanted.of)
                and (wanted.event_types is None or kind in wanted.event_types)
                and wanted.event_id in (None, event)
                and (wanted.reasons is None or reason in wanted.reasons)
                and (wanted.statuses is None or status in wanted.statuses)
                and wanted.open in (None, resolved is None)
            )
            if selected:
                record = AsideRecord(read_summary(body), read_resolved(resolved))
            yield (at, partition, offset), record

    def _rows(self, wanted: AsideWanted, before: Place | None) -> Iterator[tuple[Any, ...]]:
        """Return the rows among which the records are, the newest first."""
        table, where, given = "aside", "source = ?", [NUMBER_OF[wanted.source]]
        values: list[object] = [*given]
        if wanted.delivery_id is not None:
            table, where = _OF_DELIVERY
            values = [wanted.delivery_id, *given]
        elif wanted.of is not None and len(wanted.of) == 1:
            # The order alone would make SQLite read the day's whole file.
            table, where = "aside INDEXED BY aside_of", where + " AND of = ?"
            values.extend(wanted.of)
        if before is not None:
            where += _BEFORE
            values.extend(before)
        for bound, sign in ((wanted.since, ">="), (wanted.until, "<")):
            if bound is not None:
                where += f" AND at {sign} ?"
                values.append(bound)
        return self._db.cursor().execute(
            "SELECT at, partition, offset, of, partner, type, event, reason, status, resolved, body"
            f" FROM {table} WHERE {where}{_NEWEST_FIRST}",
            values,
        )

    def of_delivery(self, delivery_id: str) -> list[AsideRecord]:
        """Return the dead letters of a delivery."""
        rows = self._db.execute(
            "SELECT body, resolved FROM {} WHERE {} LIMIT 1000".format(*_OF_DELIVERY),
            (delivery_id, NUMBER_OF[RedriveSource.DEAD_LETTERS]),
        )
        return [AsideRecord(read_summary(body), read_resolved(by)) for body, by in rows]

    def dead_among(self, deliveries: Iterable[str]) -> Iterator[tuple[str, bool]]:
        """Yield which of some deliveries have a dead letter, and whether one of theirs is resolved."""
        for delivery_id, is_resolved in self._db.execute(
            "SELECT j.value, max(resolved IS NOT NULL) FROM json_each(?) j CROSS JOIN {} ON {}"
            " GROUP BY j.value".format(
                _OF_DELIVERY[0], _OF_DELIVERY[1].replace("= ?", "= j.value", 1)
            ),
            (json.dumps([*deliveries]), NUMBER_OF[RedriveSource.DEAD_LETTERS]),
        ):
            yield delivery_id, bool(is_resolved)

    def counts(
        self, source: RedriveSource, whose: Whose, counter: AsideCounter | None
    ) -> AsideCounter:
        """Count the open records, added to the counts of other days."""
        counter = counter or AsideCounter()
        where, given = "source = ? AND resolved IS NULL", [NUMBER_OF[source]]
        values: list[object] = [*given]
        if whose.partner_id is not None:
            where += " AND partner = ?"
            values.append(whose.partner_id)
        for of, reason, status, records, oldest, newest in self._db.execute(
            "SELECT of, reason, status, count(*), min(at), max(at) FROM aside"
            # In the order of `aside_open`, which covers the query: a subscription is one partner's.
            f" WHERE {where} GROUP BY of, partner, reason, status",
            values,
        ):
            if whose.subscriptions is None or of in whose.subscriptions:
                counter.add(AsideGroup(of, reason, records, oldest, newest, status))
        return counter

    def reasons(
        self, source: RedriveSource, whose: Whose, since: Millis, until: Millis
    ) -> Iterator[ReasonCount]:
        """Yield how many records came in the minutes of an interval, by reason; a reason may be met twice.

        Args:
            source: Which of the two topics.
            whose: Undecodable records belong to no partner, and are not counted separately.
            since: The interval's start, a whole minute.
            until: Its end.
        """
        first, last = (since - self._start) // MINUTE, -((self._start - until) // MINUTE)
        for who in self._counted_names(source, whose):
            for row in self._db.execute(
                "SELECT reason, sum(records), sum(open) FROM reasons WHERE source = ? AND who = ?"
                " AND minute >= ? AND minute < ? GROUP BY reason",
                (NUMBER_OF[source], who, first, last),
            ):
                yield ReasonCount(*row)

    def _counted_names(self, source: RedriveSource, whose: Whose) -> list[str]:
        """Return the names under which the records that are wanted are counted."""
        if whose.subscriptions is None:
            return [whose_reasons(whose.partner_id, None)]
        names: list[str] = []
        for of in sorted(whose.subscriptions):
            # A subscription is one partner's: any record says whose.
            owner = self._db.execute(
                "SELECT partner FROM aside INDEXED BY aside_of WHERE source = ? AND of = ? LIMIT 1",
                (NUMBER_OF[source], of),
            ).fetchone()
            if owner is not None and whose.partner_id in (None, owner[0]):
                names.append(whose_reasons(whose.partner_id, of))
        return names

    def operations(
        self, wanted: OperationsFilter, before: Place | None
    ) -> Iterator[OperationsEvent]:
        """Yield operations events before a place, the newest first."""
        where = "1 = 1"
        values: list[object] = []
        if wanted.partner_id is not None:
            where += " AND partner = ?"
            values.append(wanted.partner_id)
        if wanted.subscriptions is not None and len(wanted.subscriptions) == 1:
            where += " AND sub = ?"
            values.extend(wanted.subscriptions)
        if before is not None:
            where += _BEFORE
            values.extend(before)
        if wanted.since is not None:
            where += " AND at >= ?"
            values.append(wanted.since)
        if wanted.until is not None:
            where += " AND at < ?"
            values.append(wanted.until)
        rows = self._db.cursor().execute(
            "SELECT at, partition, offset, type, event, sub, partner, body"
            f" FROM operations WHERE {where}{_NEWEST_FIRST}",
            values,
        )
        for at, partition, offset, kind, event, sub, partner, body in rows:
            if wanted.subscriptions is None or sub in wanted.subscriptions:
                yield OperationsEvent(
                    at, partition, offset, kind, event, sub, partner, json.loads(body)
                )
