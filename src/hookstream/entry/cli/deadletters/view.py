"""Dead letters and undecodable records as text on eighty columns, and as JSON."""

from rich.text import Text

from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.redrive.summary import DeadLetterSummary, Tally
from hookstream.entry.admin.dead_letter_details import DeadLetterDetails
from hookstream.entry.admin.dead_letters import Listing
from hookstream.entry.admin.json_output import encoded
from hookstream.entry.cli.attempts import history_document, show_history_entries
from hookstream.entry.cli.deadletters.kinds import DEAD_LETTERS, Kind
from hookstream.entry.cli.moments import ago
from hookstream.entry.cli.terminal import Terminal


def show_listing(out: Terminal, listing: Listing, kind: Kind, topic: str, now: Millis) -> None:
    """Print counts and the newest records."""
    redriven = f", {listing.resolved:,} redriven" if listing.resolved else ""
    title = f"{topic}: {listing.opened:,} open {kind.noun}{redriven}"
    out.text(title, "bold")
    if not listing.tally.records:
        return
    show_tally(out, listing.tally, kind, now)
    newest = listing.newest_first()
    if not newest:
        return
    rest = "" if len(newest) == listing.tally.records else " (--limit for more)"
    out.text(f"\nThe newest {len(newest):,}{rest}:", "bold")
    for summary, job in newest:
        for line in _lines(kind, summary, job, now):
            out.text(line)


def _lines(
    kind: Kind, summary: DeadLetterSummary, job: str | None, now: Millis
) -> tuple[Text, Text]:
    """Return two lines, so that no name has to be cut on eighty columns."""
    last = "" if summary.last == "-" else f" ({summary.last})"
    ident = summary.delivery_id if kind is DEAD_LETTERS else summary.origin
    what = (
        f"{summary.subscription_id}  {summary.event_type}"
        if kind is DEAD_LETTERS
        else summary.detail
    )
    first = Text(f"{summary.position!s:<10}{ago(now, summary.at):>4}  ")
    first.append(f"{summary.reason}{last}", "red" if job is None else "green")
    first.append(f"  {ident}")
    return first, Text(f"{'':16}{what}{'' if job is None else f'  redriven by {job}'}")


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


def listing_document(listing: Listing, kind: Kind, topic: str) -> JsonObject:
    """Return counts and records as JSON; scripts rely on its keys."""
    letters: list[Json] = [summary.as_json(job) for summary, job in listing.newest_first()]
    return {
        "topic": topic,
        "open": listing.opened,
        "redriven": listing.resolved,
        "groups": tally_document(listing.tally, kind),
        "letters": letters,
    }


def tally_document(tally: Tally, kind: Kind) -> list[Json]:
    """Return counts by group as JSON."""
    return [
        {
            kind.counted_by_key: group.of,
            "reason": group.reason,
            "letters": count.records,
            "oldest": to_rfc3339(count.oldest),
            "newest": to_rfc3339(count.newest),
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
            out.text(f"  {len(value):,} bytes: {begin}")
    if details.history is not None:
        state = details.history.state.value
        out.text(f"\nHistory of the delivery: {state}", "bold")
        show_history_entries(out, details.history)


def _show_headers(out: Terminal, details: DeadLetterDetails, now: Millis) -> None:
    record, job = details.record, details.resolved_by
    state = "open" if job is None else f"redriven by {job}"
    title = f"{record.topic} {details.summary.position}: {state}"
    out.text(title, "bold")
    out.text(f"written {to_the_second(record.timestamp)} ({ago(now, record.timestamp)} ago)")
    if record.headers_problem is not None:
        out.text(f"unreadable: {record.headers_problem}", "red")
    headers = ((name, header_value(value)) for name, value in record.headers)
    out.fields(headers, "dim", pad_edge=False)


def header_value(value: bytes | None) -> str:
    """Return a header as text, or its bytes in hex if it is not text."""
    if value is None:
        return "(null)"
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"


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
