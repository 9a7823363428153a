"""Letters as people read them on eighty columns, and as scripts do."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookstream.core.deadletter.facts import LetterFacts
from hookstream.core.deadletter.ledger import Place
from hookstream.core.deadletter.tally import Group, Tally
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Record
from hookstream.entry.cli.moments import ago, clock_time
from hookstream.entry.cli.standing_view import table_of


@dataclass(slots=True, frozen=True)
class Look:
    """How letters of one topic are called and counted."""

    noun: str
    of: str
    """What the first column of the counts is."""
    of_field: str
    """Its name in JSON."""
    group: Callable[[LetterFacts], Group]


DEAD = Look(
    "dead letters",
    "subscription",
    "subscription_id",
    lambda facts: Group(facts.subscription_id or "?", facts.reason or "?"),
)
UNDECODABLE = Look(
    "undecodable records",
    "origin",
    "origin_topic",
    lambda facts: Group(facts.origin_topic or "?", facts.reason or "?"),
)


@dataclass(slots=True)
class Listing:
    """What one reading found: counts of all, and the newest few letters."""

    look: Look
    limit: int
    tally: Tally = field(default_factory=Tally)
    resolved: int = 0
    """How many of those read were redriven."""
    _newest: list[tuple[Millis, Place, LetterFacts, str | None]] = field(default_factory=list)

    def add(self, facts: LetterFacts, resolved_by: str | None, *, all_: bool) -> None:
        """Take a letter in; one that was redriven is listed only where `all_` are."""
        if resolved_by is not None:
            self.resolved += 1
            if not all_:
                return
        self.tally.add(self.look.group(facts), facts.at)
        item = (facts.at, facts.place, facts, resolved_by)
        if len(self._newest) < self.limit:
            heapq.heappush(self._newest, item)
        elif self.limit:
            heapq.heappushpop(self._newest, item)

    def newest_first(self) -> list[tuple[LetterFacts, str | None]]:
        """Return the letters kept, each with the job that resolved it."""
        return [(facts, job) for _, _, facts, job in sorted(self._newest, reverse=True)]


def show_listing(out: Console, listing: Listing, topic: str, now: Millis, *, all_: bool) -> None:
    """Print counts and the newest letters."""
    look, tally = listing.look, listing.tally
    opened = tally.letters - listing.resolved if all_ else tally.letters
    out.print(
        Text(f"{opened:,} open {look.noun} in {topic}", "bold")
        + Text(f" ({listing.resolved:,} more redriven)" if listing.resolved else "")
    )
    if not tally.letters:
        return
    show_tally(out, tally, look, now)
    newest = listing.newest_first()
    if not newest:
        return
    out.print()
    if len(newest) < tally.letters:
        out.print(f"The newest {len(newest):,} (--limit for more):")
    headings = ("place", "age", look.of, "event type" if look is DEAD else "detail", "reason")
    table = table_of(*headings, *(["redriven by"] if all_ else []))
    for facts, job in newest:
        what = facts.event_type if look is DEAD else facts.detail
        of = facts.subscription_id if look is DEAD else facts.origin
        reason = f"{facts.reason} ({facts.last})" if facts.last != "-" else facts.reason
        cells = [str(facts.place), ago(now, facts.at), of, what, reason]
        table.add_row(*map(Text, [*cells, *([job or "-"] if all_ else [])]))
    out.print(table)


def show_tally(out: Console, tally: Tally, look: Look, now: Millis) -> None:
    """Print counts by group, the largest first."""
    table = table_of("letters", look.of, "reason", "oldest", "newest")
    table.columns[0].justify = "right"
    for group, count in tally.largest_first():
        ages = (ago(now, count.oldest), ago(now, count.newest))
        table.add_row(*map(Text, (f"{count.letters:,}", group.of, group.reason, *ages)))
    out.print(table)


def listing_document(listing: Listing, topic: str) -> JsonObject:
    """Return counts and letters as JSON; its fields are what others' scripts stand on."""
    letters: list[Json] = [facts.as_json(job) for facts, job in listing.newest_first()]
    return {
        "topic": topic,
        "letters_counted": listing.tally.letters,
        "redriven": listing.resolved,
        "groups": tally_document(listing.tally, listing.look),
        "letters": letters,
    }


def tally_document(tally: Tally, look: Look) -> list[Json]:
    """Return counts by group as JSON."""
    return [
        {
            look.of_field: group.of,
            "reason": group.reason,
            "letters": count.letters,
            "oldest": to_rfc3339(count.oldest),
            "newest": to_rfc3339(count.newest),
        }
        for group, count in tally.largest_first()
    ]


def show_letter(out: Console, record: Record, resolved_by: str | None, now: Millis) -> None:
    """Print where a letter stands and every header that it carries."""
    state = "open" if resolved_by is None else f"redriven by {resolved_by}"
    out.print(
        Text(f"{record.topic} {Place(record.partition, record.offset)}", "bold") + f", {state}"
    )
    out.print(f"written {clock_time(record.timestamp)} UTC ({ago(now, record.timestamp)} ago)")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in record.headers:
        table.add_row(Text(name, "dim", no_wrap=True), Text(header_value(value), overflow="fold"))
    out.print(table)


def header_value(value: bytes | None) -> str:
    """Return a header's text, or its bytes in hex where it is none."""
    if value is None:
        return "(null)"
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"


def letter_document(facts: LetterFacts, record: Record, resolved_by: str | None) -> JsonObject:
    """Return one letter as JSON: its facts and all headers."""
    headers: JsonObject = {name: header_value(value) for name, value in record.headers}
    return {**facts.as_json(resolved_by), "headers": headers}
