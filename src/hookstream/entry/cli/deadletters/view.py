"""Letters as people read them on eighty columns, and as scripts do."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.counts import Group, Tally
from hookstream.core.redrive.marks import Place
from hookstream.core.redrive.summary import LetterFacts
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
    all_: bool
    """Whether letters that were redriven are counted and listed too."""
    tally: Tally = field(default_factory=Tally)
    resolved: int = 0
    """How many of those read were redriven."""
    _newest: list[tuple[Millis, Place, LetterFacts, str | None]] = field(default_factory=list)

    def add(self, facts: LetterFacts, resolved_by: str | None) -> None:
        """Take a letter in."""
        if resolved_by is not None:
            self.resolved += 1
            if not self.all_:
                return
        self.tally.add(self.look.group(facts), facts.at)
        item = (facts.at, facts.place, facts, resolved_by)
        if len(self._newest) < self.limit:
            heapq.heappush(self._newest, item)
        elif self.limit:
            heapq.heappushpop(self._newest, item)

    @property
    def opened(self) -> int:
        """How many of those read are open."""
        return self.tally.letters - (self.resolved if self.all_ else 0)

    def newest_first(self) -> list[tuple[LetterFacts, str | None]]:
        """Return the letters kept, each with the job that resolved it."""
        return [(facts, job) for _, _, facts, job in sorted(self._newest, reverse=True)]


def show_listing(out: Console, listing: Listing, topic: str, now: Millis) -> None:
    """Print counts and the newest letters."""
    redriven = f", {listing.resolved:,} redriven" if listing.resolved else ""
    title = f"{topic}: {listing.opened:,} open {listing.look.noun}{redriven}"
    out.print(Text(title, "bold"), soft_wrap=True)
    if not listing.tally.letters:
        return
    show_tally(out, listing.tally, listing.look, now)
    newest = listing.newest_first()
    if not newest:
        return
    rest = "" if len(newest) == listing.tally.letters else " (--limit for more)"
    out.print(Text(f"\nThe newest {len(newest):,}{rest}:", "bold"))
    for facts, job in newest:
        for line in _lines(listing.look, facts, job, now):
            out.print(line, soft_wrap=True)


def _lines(look: Look, facts: LetterFacts, job: str | None, now: Millis) -> tuple[Text, Text]:
    """Return two lines, so that no name has to be cut on eighty columns."""
    last = "" if facts.last == "-" else f" ({facts.last})"
    ident = facts.delivery_id if look is DEAD else facts.origin
    what = f"{facts.subscription_id}  {facts.event_type}" if look is DEAD else facts.detail
    first = Text(f"{facts.place!s:<10}{ago(now, facts.at):>4}  ")
    first.append(f"{facts.reason}{last}", "red" if job is None else "green")
    first.append(f"  {ident}")
    return first, Text(f"{'':16}{what}{'' if job is None else f'  redriven by {job}'}")


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
        "open": listing.opened,
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
    place = Place(record.partition, record.offset)
    out.print(Text(f"{record.topic} {place}: {state}", "bold"), soft_wrap=True)
    out.print(Text(f"written {clock_time(record.timestamp)} ({ago(now, record.timestamp)} ago)"))
    if record.headers_problem is not None:
        out.print(Text(f"unreadable: {record.headers_problem}", "red"), soft_wrap=True)
    table = Table(box=None, show_header=False, pad_edge=False)
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
    document: JsonObject = {**facts.as_json(resolved_by), "headers": headers}
    if record.headers_problem is not None:
        document["headers_problem"] = record.headers_problem
    return document
