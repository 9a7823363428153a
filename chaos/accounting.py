"""The account: what was owed, by the log and by a table, compared with what the endpoints accepted.

1. Every event in the log is owed to each subscription that wants it by the table that is
   written by hand in `cast.py`, unless its endpoint was disabled (410) when it was appended.
2. What was accepted under its id, computed here, counts; what was not is in the dead letters, or
   is lost.
3. What was accepted more often is explained by crashes at which it was unsettled, or by moves of its
   partition at which it was: one copy for each record that contained it then. An event that wrote a
   delivery to a tier and is not settled yet, since its other deliveries are not, is read again, and
   so is the tier's record.
"""

import datetime as dt
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from examples.demo.log import Place

from chaos.cast import Ask, Endpoint, webhook_id
from chaos.faults import Fault
from chaos.load import Template, event_id_in, shape_of
from chaos.receipts import Receipt
from chaos.topics import Positions, Record, Topics
from chaos.watch import Move

Crash = tuple[str, Positions]
"""Its kind, and the committed offsets and log ends just then."""


@dataclass(slots=True)
class Owed:
    """One event of the log, and the deliveries that it is owed as."""

    place: Place
    offset: int
    appended: float
    """Seconds since 1970."""
    deliveries: dict[str, int] = field(default_factory=dict)
    """Delivery ids, with the number of the endpoint."""


@dataclass(slots=True)
class Account:
    """The result of a run."""

    events: int = 0
    expected: int = 0
    received: int = 0
    lost: list[str] = field(default_factory=list)
    dead_letters: dict[str, int] = field(default_factory=dict)
    """Open ones, by reason."""
    dead_expected: int = 0
    """Expected deliveries that were not received and are in the dead letters."""
    after_disabling: int = 0
    """Deliveries that are not owed, since their endpoint was disabled."""
    unexpected: list[str] = field(default_factory=list)
    duplicates: int = 0
    """Copies beyond the first."""
    explained_by_crashes: int = 0
    explained_by_moves: int = 0
    """The event was unsettled when its partition, of a worker that lived on, went to another."""
    explained_by_silence: int = 0
    """The endpoint accepted an attempt of which the worker saw no answer: it had to attempt again."""
    unsettled: dict[str, int] = field(default_factory=dict)
    """Deliveries unsettled at each crash, which bounds what may arrive twice."""
    unsettled_at_moves: int = 0
    unexplained: list[str] = field(default_factory=list)
    undecodable: int = 0
    tier_records: int = 0

    @property
    def clean(self) -> bool:
        """Return whether nothing is lost, nothing unexpected arrived, and every duplicate is explained."""
        return not (self.lost or self.unexpected or self.unexplained or self.undecodable)


@dataclass(slots=True)
class Story:
    """What happened to one delivery, by the receipts and the tiers."""

    accepted: set[int] = field(default_factory=set)
    """The attempts that the endpoint accepted."""
    unanswered: set[int] = field(default_factory=set)
    """The attempts of which the worker got no answer."""
    lines: list[tuple[float, str]] = field(default_factory=list)

    def came(self, receipt: Receipt) -> None:
        """Add a request."""
        self.lines.append((receipt.at, f"attempt {receipt.attempt} answered {receipt.status}"))
        if receipt.accepted:
            self.accepted.add(receipt.attempt)

    def waited(self, record: Record) -> None:
        """Add a record of a tier."""
        topic, number = record.place
        self.lines.append((record.timestamp / 1000, f"{topic}/{number} offset {record.offset}"))
        headers = record.headers
        if headers.get("hs-last-outcome") == "failed" and "hs-last-status" not in headers:
            self.unanswered.add(int(headers["hs-attempt"]))

    def __str__(self) -> str:
        """Return it in the order in which it came."""
        return "; ".join(f"{at:.3f} {text}" for at, text in sorted(self.lines))


class Accounting:
    """Takes account of one run."""

    def __init__(
        self,
        topics: Topics,
        cast: Sequence[Endpoint],
        asks: Sequence[Ask],
        found: Iterable[Template],
    ) -> None:
        self._topics = topics
        self._cast = cast
        self._owners: dict[bytes, tuple[str, list[int]]] = {}
        for template in found:
            wanted_by = [n for n, ask in enumerate(asks) if ask.wants(template.wanted)]
            self._owners[template.shape] = (template.wanted.event_type, wanted_by)
        self.owed: list[Owed] = []

    def wanting(self, template: Template) -> list[int]:
        """Return the numbers of the endpoints that an event of this template is owed to."""
        return self._owners[template.shape][1]

    def read_log(self) -> None:
        """Read what was appended, and compute what is owed."""
        self.owed = [self._owed(record) for record in self._topics.read(self._topics.events)]

    def _owed(self, record: Record) -> Owed:
        event_type, wanted_by = self._owners[shape_of(record.value)]
        event_id = event_id_in(record.value)
        ids = {webhook_id(event_type, event_id, self._cast[n].name): n for n in wanted_by}
        return Owed(record.place, record.offset, record.timestamp / 1000, ids)

    def account_for(
        self,
        accepted: Mapping[str, int],
        receipts: Callable[[], Iterable[Receipt]],
        faults: Sequence[Fault],
        moves: Sequence[Move],
    ) -> Account:
        """Compare what was accepted with what is owed.

        Args:
            accepted: How often each delivery was accepted.
            receipts: Returns every request, for the history of a copy that nothing explains.
            faults: What was done to the workers and the broker.
            moves: When partitions were reassigned, with what was unsettled.
        """
        account = Account(events=len(self.owed))
        dead = self._dead_letters(account)
        given_up = disabled_since(self._topics.read(self._topics.own("health")))
        known = 0
        for owed in self.owed:
            for name, number in owed.deliveries.items():
                copies = accepted.get(name, 0)
                known += copies > 0
                account.duplicates += max(0, copies - 1)
                if owed.appended > given_up.get(self._cast[number].name, float("inf")):
                    account.after_disabling += 1
                    continue
                account.expected += 1
                account.received += copies > 0
                if not copies and name in dead:
                    account.dead_expected += 1
                elif not copies:
                    account.lost.append(
                        f"{name} to {self._cast[number].name}, event at"
                        f" {owed.place[0]}/{owed.place[1]} offset {owed.offset}"
                    )
        if known < len(accepted):
            owed_ids = {name for owed in self.owed for name in owed.deliveries}
            account.unexpected = sorted(accepted.keys() - owed_ids)
        account.undecodable = sum(1 for _ in self._topics.read(self._topics.own("undecodable")))
        crashes = [(fault.kind, fault.before) for fault in faults if fault.before is not None]
        left = self._explain(account, accepted, crashes, [("move", move.before) for move in moves])
        if left:
            self._explain_by_silence(account, left, receipts())
        return account

    def _explain_by_silence(
        self, account: Account, left: Mapping[str, int], receipts: Iterable[Receipt]
    ) -> None:
        """Explain copies by attempts that were accepted, and that a tier's record calls unanswered."""
        stories = {name: Story() for name in left}
        for receipt in receipts:
            if receipt.webhook_id in stories:
                stories[receipt.webhook_id].came(receipt)
        for record in self._topics.read(self._topics.tiers()):
            name = record.headers.get("hs-delivery-id", "")
            if name in stories:
                stories[name].waited(record)
        for name, many in left.items():
            found = len(stories[name].accepted & stories[name].unanswered)
            account.explained_by_silence += min(many, found)
            if many > found:
                account.unexplained.append(f"{name}: {stories[name]}")

    def _dead_letters(self, account: Account) -> set[str]:
        found = set()
        reasons: Counter[str] = Counter()
        for dead_letter in self._topics.read(self._topics.own("dead-letters")):
            found.add(dead_letter.headers["hs-delivery-id"])
            reasons[dead_letter.headers["hs-reason"]] += 1
        account.dead_letters = dict(reasons)
        return found

    def _explain(
        self,
        account: Account,
        accepted: Mapping[str, int],
        crashes: list[Crash],
        moves: list[Crash],
    ) -> dict[str, int]:
        """Explain copies of what was unsettled, in its topic or in a tier, at a crash or a move.

        Returns:
            By delivery, how many copies that does not explain.
        """
        at_crash, at_move = open_at(self._copies_of_state(account), crashes, moves)
        sizes = Counter(number for numbers in at_crash.values() for number in set(numbers))
        account.unsettled = {f"{n + 1} {title}": sizes[n] for n, (title, _) in enumerate(crashes)}
        account.unsettled_at_moves = sum(map(len, at_move.values()))
        left: dict[str, int] = {}
        for name, copies in accepted.items():
            again = copies - 1
            by_crash = min(again, len(at_crash.get(name, ())))
            by_move = min(again - by_crash, len(at_move.get(name, ())))
            account.explained_by_crashes += by_crash
            account.explained_by_moves += by_move
            if again > by_crash + by_move:
                left[name] = again - by_crash - by_move
        return left

    def _copies_of_state(self, account: Account) -> Iterator[tuple[str, Place, int]]:
        """Yield each delivery with every record that ever contained it."""
        for owed in self.owed:
            for name in owed.deliveries:
                yield name, owed.place, owed.offset
        for record in self._topics.read(self._topics.tiers()):
            account.tier_records += 1
            if "hs-delivery-id" in record.headers:
                yield record.headers["hs-delivery-id"], record.place, record.offset


def disabled_since(rows: Iterable[Record]) -> dict[str, float]:
    """Return since when which subscriptions are disabled, in seconds since 1970, by the health table.

    Two workers that disable at nearly the same time write a row each, and the later row need not have
    the earlier time. A worker that has read only the earlier one matches nothing from then on; the gap
    that `enable` writes starts a minute before, for this reason.
    """
    found: dict[str, float] = {}
    for row in rows:
        name, _, kind = row.key.decode().partition("/")
        if kind == "disabled" and row.value:
            since = dt.datetime.fromisoformat(json.loads(row.value)["since"]).timestamp()
            found[name] = min(since, found.get(name, since))
    return found


def open_at(
    records: Iterable[tuple[str, Place, int]], *kinds: Sequence[Crash]
) -> list[dict[str, list[int]]]:
    """Return when each delivery was unsettled: the numbers of crashes or moves, for each kind.

    A number stands once for each record that contained the delivery then: an event that wrote it to a
    tier, and is not settled yet since its other deliveries are not, is read again, and so is the tier's.

    Args:
        records: Each record that ever contained a delivery, with the delivery's id.
        kinds: Crashes, moves, or both, each with what was committed then.
    """
    found: list[dict[str, list[int]]] = [{} for _ in kinds]
    for name, place, offset in records:
        for kind, of_kind in zip(kinds, found, strict=True):
            for number, (_, before) in enumerate(kind):
                if before.open(place, offset):
                    of_kind.setdefault(name, []).append(number)
    return found


def recoveries(
    owed: Iterable[Owed], receipts: Iterable[Receipt], healthy: set[int], faults: Sequence[Fault]
) -> list[float | None]:
    """Return for each fault the seconds until every event partition delivered to healthy endpoints again.

    What counts is an event that was appended after the fault; None: one partition had none.
    """
    appended: dict[str, tuple[Place, float]] = {
        name: (each.place, each.appended) for each in owed for name in each.deliveries
    }
    places = {place for place, _ in appended.values()}
    starts = [fault.at for fault in faults]
    first: list[dict[Place, float]] = [{} for _ in faults]
    for receipt in receipts:
        known = appended.get(receipt.webhook_id)
        if known is None or not receipt.accepted or receipt.endpoint not in healthy:
            continue
        place, when = known
        latest = bisect_left(starts, when) - 1
        if latest >= 0:
            took = receipt.at - starts[latest]
            first[latest][place] = min(first[latest].get(place, took), took)
    return [max(found.values()) if len(found) == len(places) else None for found in first]


Wait = tuple[float, float]
"""When an event was appended, and when the first request for it came."""


def longest_idles(
    owed: Iterable[Owed], receipts: Iterable[Receipt], healthy: set[int]
) -> dict[str, tuple[float, float]]:
    """Return for each event partition the longest idle period: it had work, and no first request was made.

    Work is an event for which no healthy endpoint has received a request yet; an idle period ends with the
    first request of any such event of the partition.

    Returns:
        By `topic/partition`: its seconds, and when it ended (seconds since 1970).
    """
    first: dict[str, float] = {}
    for receipt in receipts:
        if receipt.endpoint in healthy:
            name = receipt.webhook_id
            first[name] = min(first.get(name, receipt.at), receipt.at)
    waits: dict[Place, list[Wait]] = {}
    for each in owed:
        came = [first[name] for name in each.deliveries if name in first]
        if came:
            waits.setdefault(each.place, []).append((each.appended, min(came)))
    return {f"{topic}/{n}": longest_idle(found) for (topic, n), found in waits.items()}


def longest_idle(waits: Sequence[Wait]) -> tuple[float, float]:
    """Return the longest period in which something waited and no first request was made, and its end."""
    by_age = sorted(waits)
    longest, ended, before, oldest = 0.0, 0.0, 0.0, 0
    for at in sorted(came for _, came in waits):
        # The oldest event that still waited just before; what arrived earlier is ignored.
        while by_age[oldest][1] < at:
            oldest += 1
        silent = at - max(before, by_age[oldest][0])
        if silent > longest:
            longest, ended = silent, at
        before = at
    return round(longest, 1), ended
