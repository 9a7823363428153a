"""The account: what should have arrived, compared with what the partners and the topics recorded.

The table of who wants what is written by hand here. Nothing of hookstream's matching is used, nor
any counter of a worker.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.consumers.receiver import Receiver
from examples.demo import parcels
from examples.demo.log import Entry, Log, Place, event_id_of, parcel_id_of
from examples.demo.stage import ROOT

Wants = Callable[[str, Mapping[str, object]], bool]

WANTED: dict[str, Wants] = {
    "order-system": lambda kind, _: (
        kind in ("order.generated", "processing.failed", parcels.EVENT_TYPE)
    ),
    "crm": lambda kind, _: kind in ("pricing.completed", "order.generated"),
    # It requests processing.failed too, and was never granted it.
    "automation": lambda kind, _: kind == "document.analyzed",
    "dashboard": lambda _, __: True,
    "print-shop": lambda kind, data: (
        kind == "routing.decided" and data["strategy"] in ("fastest", "nearest")
    ),
    "warehouse": lambda kind, _: (
        kind in ("document.analyzed", "pricing.completed", "routing.decided")
    ),
}

JSON = "application/json"

Versions = Callable[[int], set[int]]
"""Given the version in which an event was written, those in which it may be delivered."""

FORMS: dict[str, tuple[str, str, Versions]] = {
    # id: what it asks for, media type, versions
    "order-system": ("standard, version 1", JSON, lambda _: {1}),
    "crm": ("standard, latest", JSON, lambda written: {written, 2}),
    "automation": ("CloudEvents, v1a", "application/cloudevents+json", lambda _: {1}),
    "dashboard": ("thin", JSON, lambda _: {1}),
    "print-shop": ("template", JSON, lambda _: {1}),
    "warehouse": ("batches", JSON, lambda _: {1}),
}

Key = tuple[str, str, str]
"""Subscription, event type, event id."""


@dataclass(slots=True)
class Sent:
    """One event as it was published."""

    event_type: str
    event_id: str
    data: Mapping[str, object]
    trace_id: str
    version: int


@dataclass(slots=True)
class AtTheKill:
    """The committed offsets of both groups, and the end offsets of the topics, when the worker was killed."""

    committed: dict[Place, int]
    ends: dict[Place, int]


@dataclass
class Account:
    """One account."""

    expected: set[Key] = field(default_factory=set)
    received: Counter[Key] = field(default_factory=Counter)
    dead: set[Key] = field(default_factory=set)
    in_gap: set[Key] = field(default_factory=set)
    missing: set[Key] = field(default_factory=set)
    unexpected: set[Key] = field(default_factory=set)
    duplicates: set[Key] = field(default_factory=set)
    unsettled: set[tuple[str, str]] = field(default_factory=set)
    unexcused: set[Key] = field(default_factory=set)
    retried: int = 0
    replayed: int = 0
    tests: int = 0
    """Test events, which nobody published."""
    dead_lettered: int = 0
    redriven: int = 0
    undecodable: int = 0
    dead_letters: list[Entry] = field(default_factory=list)
    orders: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    """Orders received, by subscription, the version they were written in and that of the body."""
    misshapen: set[Key] = field(default_factory=set)
    """Received in another version or media type than the subscription asks for."""
    not_valid: list[str] = field(default_factory=list)
    """What receivers found wrong with bodies."""

    @property
    def clean(self) -> bool:
        """Return whether every expected delivery is accounted for as agreed, and nothing else arrived."""
        wrong = self.missing or self.unexpected or self.unexcused
        return not (wrong or self.misshapen or self.not_valid)


TESTS = "test-"
"""The prefix of test events' ids."""


class Accounting:
    """Takes account of one run."""

    def __init__(self, log: Log, prefix: str, receivers: Mapping[str, Receiver]) -> None:
        """Read nothing yet."""
        self._log = log
        self._prefix = prefix
        self._receivers = receivers
        self.names: dict[str, str] = {}
        """The receiver of each subscription whose id is not its receiver's name."""
        self._heads = {
            path.parent.name: _head(json.loads(path.read_text()))
            for path in Path(ROOT / "schemas").glob("*/v1.avsc")
        }

    def event_topics(self) -> list[str]:
        """Return upstream's topics, that of the carrier last."""
        return [f"{self._prefix}.events.{kind}" for kind in (*self._heads, parcels.TOPIC)]

    def tier_topics(self) -> list[str]:
        """Return every tier."""
        return [name for name in self._log.names() if name.startswith(f"{self._prefix}.retry.")]

    def at_the_kill(self) -> AtTheKill:
        """Read what is committed and what is there, of both groups."""
        events, tiers = self.event_topics(), self.tier_topics()
        committed = self._log.committed(self._prefix, events)
        committed |= self._log.committed(f"{self._prefix}.retry", tiers)
        return AtTheKill(committed, self._log.ends(events + tiers))

    def account_for(self, sent: list[Sent], killed: AtTheKill | None) -> Account:
        """Compare what arrived with what was expected."""
        account = Account()
        happened = self._appended()
        self._expect(account, sent)
        self._receive(account, {event.event_id: event.version for event in sent})
        self._read_dead_letters(account)
        self._read_gaps(account, happened)
        for key in account.expected:
            done = account.received[key] or key in account.dead or key in account.in_gap
            if not done:
                account.missing.add(key)
        account.unexpected = set(account.received) - account.expected
        if killed is not None:
            self._excuse(account, killed)
        return account

    def _expect(self, account: Account, sent: list[Sent]) -> None:
        for event in sent:
            for who, wants in WANTED.items():
                if wants(event.event_type, event.data):
                    account.expected.add((who, event.event_type, event.event_id))

    def _receive(self, account: Account, written: Mapping[str, int]) -> None:
        for who, receiver in self._receivers.items():
            account.not_valid += receiver.book.not_valid
            _, media_type, versions = FORMS[who]
            for entries in receiver.book.accepted().values():
                first = entries[0]
                if first.event_id.startswith(TESTS):
                    account.tests += 1
                    continue
                key = (who, first.event_type, first.event_id)
                account.received[key] += len(entries)
                if len(entries) > 1:
                    account.duplicates.add(key)
                by = written.get(first.event_id, 0)
                if any(
                    entry.media_type != media_type or entry.version not in versions(by)
                    for entry in entries
                ):
                    account.misshapen.add(key)
                if first.event_type == "order.generated" and first.version is not None:
                    account.orders[who, by, first.version] += 1
            account.replayed += sum(
                entries[0].trigger == "replay" for entries in receiver.book.accepted().values()
            )
            account.retried += sum(entry.trigger == "retry" for entry in receiver.book.entries)

    def _read_dead_letters(self, account: Account) -> None:
        resolved: set[tuple[int, int]] = set()
        for row in self._log.read(f"{self._prefix}.jobs"):
            mark = json.loads(row.value or b"{}")
            if "offsets" in mark and mark.get("topic", "").endswith("dead-letters") | (
                "topic" not in mark
            ):
                resolved |= {(mark["partition"], offset) for offset in mark["offsets"]}
        for dead_letter in self._log.read(f"{self._prefix}.dead-letters"):
            account.dead_lettered += 1
            account.dead_letters.append(dead_letter)
            if (dead_letter.partition, dead_letter.offset) in resolved:
                account.redriven += 1
                continue
            headers = dead_letter.headers
            name = headers["hs-subscription-id"]
            who = self.names.get(name, name)
            account.dead.add((who, headers["hs-event-type"], headers["hs-event-id"]))
        # Of one record a crash may leave two.
        account.undecodable = len(
            {
                tuple(
                    entry.headers[f"hs-origin-{part}"] for part in ("topic", "partition", "offset")
                )
                for entry in self._log.read(f"{self._prefix}.undecodable")
            }
        )

    def _read_gaps(self, account: Account, happened: Mapping[tuple[str, str], Entry]) -> None:
        """Excuse what was appended after an endpoint was disabled (410)."""
        for row in self._log.read(f"{self._prefix}.health"):
            name, _, kind = row.key.decode().partition("/")
            who = self.names.get(name, name)
            if kind != "disabled" or row.value is None:
                continue
            since = _millis(json.loads(row.value)["since"])
            for key in account.expected:
                entry = happened.get(key[1:])
                if key[0] == who and entry is not None and entry.timestamp > since:
                    account.in_gap.add(key)

    def _appended(self) -> dict[tuple[str, str], Entry]:
        found = {}
        for entry in self._log.read(*self.event_topics()):
            kind = entry.topic.removeprefix(f"{self._prefix}.events.")
            if kind == parcels.TOPIC:
                found[parcels.EVENT_TYPE, parcel_id_of(entry)] = entry
                continue
            event_id = event_id_of(entry, self._heads[kind])
            if event_id is not None:
                found[kind, event_id] = entry
        return found

    def _excuse(self, account: Account, killed: AtTheKill) -> None:
        """Attribute a duplicate to the crash if its record was not settled when the worker died."""
        for (kind, event_id), entry in self._appended().items():
            if _open_at(entry, killed):
                account.unsettled.add((kind, event_id))
        for entry in self._log.read(*self.tier_topics()):
            if _open_at(entry, killed) and "hs-event-id" in entry.headers:
                account.unsettled.add(
                    (entry.headers["hs-event-type"], entry.headers["hs-event-id"])
                )
        account.unexcused = {key for key in account.duplicates if key[1:] not in account.unsettled}


def _head(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of the event's id alone, with which every version begins."""
    return {**schema, "fields": schema["fields"][:1]}


def _open_at(entry: Entry, killed: AtTheKill) -> bool:
    place = (entry.topic, entry.partition)
    return killed.committed.get(place, 0) <= entry.offset < killed.ends.get(place, 0)


def _millis(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)
