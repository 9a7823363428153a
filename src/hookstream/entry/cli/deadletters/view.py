"""Shows dead letters and undecodable records as text in eighty columns, and as JSON."""

from rich.text import Text

from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.redrive.groups import Grouping
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.summary import DeadLetterSummary, GroupCount, Tally
from hookstream.entry.admin.dead_letter_details import DeadLetterDetails, header_value
from hookstream.entry.admin.dead_letters import Listing
from hookstream.entry.admin.json_output import encoded
from hookstream.entry.cli.attempts import history_document, show_history_entries, state_words
from hookstream.entry.cli.deadletters.kinds import DEAD_LETTERS, Kind
from hookstream.entry.cli.moments import ago
from hookstream.entry.cli.terminal import Terminal


def show_listing(out: Terminal, listing: Listing, kind: Kind, topic: str, now: Millis) -> None:
    """Print counts and the newest records."""
    redriven = f", {listing.redriven:,} redriven" if listing.redriven else ""
    purged = f", {listing.purged:,} purged" if listing.purged else ""
    title = f"{topic}: {counted(listing.opened, f'open {kind.noun}')}{redriven}{purged}"
    out.text(title, "bold")
    if not listing.tally.records:
        return
    if listing.grouping is None:
        show_tally(out, listing.tally, kind, now)
    else:
        _show_grouping(out, listing.grouping, now)
    newest = listing.newest_first()
    if not newest:
        return
    rest = "" if len(newest) == listing.tally.records else " (--limit for more)"
    out.text(f"\nThe newest {len(newest):,}{rest}:", "bold")
    out.lines(line for each in newest for line in _lines(kind, *each, now))


def _lines(
    kind: Kind, summary: DeadLetterSummary, resolved_by: ResolvedBy | None, now: Millis
) -> tuple[Text, Text]:
    """Return two lines, so that no name must be truncated to eighty columns."""
    last = "" if summary.last == "-" else f" ({summary.last})"
    ident = summary.delivery_id if kind is DEAD_LETTERS else summary.origin
    what = (
        f"{summary.subscription_id}  {summary.event_type}"
        if kind is DEAD_LETTERS
        else summary.detail
    )
    first = Text(f"{summary.position!s:<10}{ago(now, summary.at):>4}  ")
    first.append(f"{summary.reason}{last}", "red" if resolved_by is None else "green")
    first.append(f"  {ident}")
    return first, Text(f"{'':16}{what}{'' if resolved_by is None else f'  {resolved_by}'}")


def show_tally(out: Terminal, tally: Tally, kind: Kind, now: Millis) -> None:
    """Print counts by group, the largest first."""
    rows = [
        (
            f"{count.records:,}",
            group.of,
            group.reason,
            ago(now, count.oldest),
            ago(now, count.newest),
        )
        for group, count in tally.largest_first()
    ]
    out.table(("letters", kind.counted_by, "reason", "oldest", "newest"), rows, ("letters",))


def _show_grouping(out: Terminal, grouping: Grouping, now: Millis) -> None:
    """Print counts by one property, the largest first."""
    groups: list[tuple[str, GroupCount]] = grouping.largest_first()
    if grouping.others is not None:
        groups.append(("(smaller groups)", grouping.others))
    rows = [
        (f"{count.records:,}", ago(now, count.oldest), ago(now, count.newest), name)
        for name, count in groups
    ]
    out.table(("letters", "oldest", "newest", grouping.by.value), rows, ("letters",))


def _grouping_document(grouping: Grouping) -> JsonObject:
    groups: list[Json] = [
        {grouping.by.value: name, **_count_document(count)}
        for name, count in grouping.largest_first()
    ]
    others = grouping.others
    return {
        "group_by": grouping.by.value,
        "groups": groups,
        "smaller_groups": None if others is None else _count_document(others),
    }


def _count_document(count: GroupCount) -> JsonObject:
    return {
        "letters": count.records,
        "oldest": to_rfc3339(count.oldest),
        "newest": to_rfc3339(count.newest),
    }


def listing_document(listing: Listing, kind: Kind, topic: str) -> JsonObject:
    """Return counts and records as JSON; scripts rely on its keys."""
    letters: list[Json] = [
        summary.as_json(resolved_by) for summary, resolved_by in listing.newest_first()
    ]
    groups: JsonObject = (
        {"groups": tally_document(listing.tally, kind)}
        if listing.grouping is None
        else _grouping_document(listing.grouping)
    )
    return {
        "topic": topic,
        "open": listing.opened,
        "redriven": listing.redriven,
        "purged": listing.purged,
        **groups,
        "letters": letters,
    }


def tally_document(tally: Tally, kind: Kind) -> list[Json]:
    """Return counts by group as JSON."""
    return [
        {
            kind.counted_by_key: group.of,
            "reason": group.reason,
            **_count_document(count),
        }
        for group, count in tally.largest_first()
    ]


def show_details(out: Terminal, details: DeadLetterDetails, now: Millis) -> None:
    """Print a record: its state, every header, its event, and the history of its delivery."""
    _show_headers(out, details, now)
    out.text("\nEvent", "bold")
    if not isinstance(details.event, str):
        out.text(encoded(details.event, indent=True).decode())
    else:
        out.text(f"  {details.event}")
        value = details.record.value
        if value is not None:
            begin = value[:64].hex(" ", 2)
            out.text(f"  {counted(len(value), 'byte')}: {begin}")
    if details.history is not None:
        state = state_words(details.history)
        out.text(f"\nHistory of the delivery: {state}", "bold")
        show_history_entries(out, details.history)


def _show_headers(out: Terminal, details: DeadLetterDetails, now: Millis) -> None:
    record, resolved_by = details.record, details.resolved_by
    state = "open" if resolved_by is None else str(resolved_by)
    summary = details.summary
    # The API shows neither position nor headers to a partner.
    place = f"{record.topic} {summary.position}" if record.topic else "Dead letter"
    title = f"{place}: {state}"
    out.text(title, "bold")
    out.text(f"written {to_the_second(record.timestamp)} ({ago(now, record.timestamp)} ago)")
    if record.headers_problem is not None:
        out.text(f"unreadable: {record.headers_problem}", "red")
    headers = [(name, header_value(value)) for name, value in record.headers]
    out.fields(headers or _facts(summary), "dim", pad_edge=False)


def _facts(summary: DeadLetterSummary) -> list[tuple[str, str]]:
    """Return the known facts of a record whose headers are not shown."""
    known = {
        "delivery": summary.delivery_id,
        "subscription": summary.subscription_id,
        "event": f"{summary.event_type} {summary.event_id}",
        "attempts": summary.attempt,
        "reason": summary.reason,
        "last": summary.last,
    }
    return [(name, text) for name, text in known.items() if text]


def details_document(details: DeadLetterDetails) -> JsonObject:
    """Return a record as JSON: its summary, all headers, its event and its delivery's history."""
    record = details.record
    headers: JsonObject = {name: header_value(value) for name, value in record.headers}
    document: JsonObject = {
        **details.summary.as_json(details.resolved_by),
        "headers": headers,
        "event": None if isinstance(details.event, str) else details.event,
        "event_problem": details.event if isinstance(details.event, str) else None,
    }
    if record.headers_problem is not None:
        document["headers_problem"] = record.headers_problem
    if details.history is not None:
        document["life"] = history_document(details.history)
    return document
