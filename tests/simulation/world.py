"""The world of a story: one broker, its tables, the endpoints, and the hosts on which workers run."""

import asyncio
import json
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from tests.doubles.broker import Broker, BrokerSource
from tests.doubles.clock import LoopClock
from tests.doubles.codec import JsonCodec, json_value
from tests.doubles.endpoint import Behaviour
from tests.doubles.redriving import Letters
from tests.simulation import behaviours
from tests.simulation.expectation import (
    Event,
    Expectation,
    Pair,
    SubscriptionStatus,
    is_run,
)
from tests.simulation.flaws import Flaws
from tests.simulation.invariants import ISOLATION, JUSTIFIED, WAITS, Ledger
from tests.simulation.link import Link
from tests.simulation.process import HostClock, Process
from tests.simulation.story import LATE, NEVER, PLAIN, TIERS, Story, Wish
from tests.simulation.table_writer import TableWriter
from tests.simulation.tables import Row, View, holds_over

from hookstream.core.matching.directory import Directory
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import DAY, SECOND, Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Headers, OutgoingRecord, Record, TopicPartition
from hookstream.core.model.subscription import (
    BodyFormat,
    Disabled,
    Endpoint,
    Failing,
    Grant,
    HeldGrant,
    Limits,
    Partner,
    RetryPolicy,
    SigningSecret,
    Subscription,
)
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.start import StartPolicy
from hookstream.core.planning.grants import regranted
from hookstream.core.planning.lead import ChangeTimes, writing_time
from hookstream.core.redrive.revive import Revival
from hookstream.pipeline.broker_clock import TIME_KEY
from hookstream.pipeline.engine import Engine, EngineRules, Ports
from hookstream.pipeline.job_kind import JobKind
from hookstream.pipeline.ports import WriteRefused
from hookstream.pipeline.replay import ReplayKind, ReplayPorts

EVENTS = "printprice.orders"
LATE_EVENTS = "printprice.late"
"""An event topic that is created in the middle of some stories."""
PROMPT = 2_000
"""Milliseconds within which a healthy endpoint has an event, whatever its neighbours do."""

AT_ONCE = 500
"""Milliseconds above the wait of its batch, likewise, if few events came in the second before it."""
FEW = 5

SCHEMA_GRACE: Millis = 60_000
HOLDS_WITHIN = 2_000
"""Milliseconds after which every sending worker knows of a deletion and a hold."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of; the simulator's own test puts a broken part in place of one."""

    engine: Callable[[Ports, EngineRules], Engine] = Engine
    directory: Callable[["Host"], Directory] = lambda _: Directory()
    source: type[BrokerSource] = BrokerSource
    revival: type[Revival] = Revival
    replay: Callable[[Callable[[], AbstractAsyncContextManager[ReplayPorts]]], JobKind] = (
        ReplayKind
    )
    letters: type[Letters] = Letters
    """What redrives and purges read."""
    writer: "Callable[..., Any] | None" = None
    """Makes the writers of jobs; None: the right ones."""
    writing_time: Callable[[Millis], Millis] = writing_time
    """How long a change with a lead may take until its rows are appended."""


class Host:
    """A machine: its clock, how far its tables lag, how slow its writes are, what it is short of."""

    def __init__(self, name: str, true: Callable[[], Millis], link: Link) -> None:
        self.name = name
        self.link = link
        self.clock = HostClock(true)
        self.process: Process | None = None
        self.lag = 0.05
        self.append_delay = 0.0
        self.answer_delay = 0.0
        self.short = 0
        """How many of the story's acts leave it without descriptors for connections now."""

    def wake(self) -> None:
        """Let its process check again what it can read."""
        if self.process is not None:
            self.process.wake()

    def set_clock(self, ahead: Millis) -> None:
        """Let the clock jump: what fell due before, by the time that its process saw, did so."""
        if self.process is not None:
            hand = self.process.hand
            hand.latest = max(hand.latest, self.process.clock.now())
        self.clock.ahead = ahead


class SeenBroker(Broker):
    """The broker in memory, which reports to the world what is appended and committed."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.clock)
        self._world = world

    def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        timestamp: Millis | None = None,
        headers_problem: str | None = None,
    ) -> Record:
        record = super().append(
            topic,
            value,
            key=key,
            headers=headers,
            partition=partition,
            timestamp=timestamp,
            headers_problem=headers_problem,
        )
        self._world.appended(record)
        return record

    def commit(self, group: str, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        known = self.commits.get(group, {})
        before = {where: known.get(where, 0) for where in offsets}
        super().commit(group, offsets)
        for where, progress in sorted(offsets.items()):
            self._world.ledger.committed(group, where, before[where], progress)


class World:
    """Everything outside of the workers, and what is known of it."""

    def __init__(self, story: Story, parts: Parts, tasks: asyncio.TaskGroup) -> None:
        self.story = story
        self.parts = parts
        self.tasks = tasks
        self.random = random.Random(story.seed)
        self.clock = LoopClock()
        self.clock.now()
        self.topics = Topics("hookstream")
        self.broker = SeenBroker(self)
        self.codec = JsonCodec({PLAIN: 1})
        self.expectation = Expectation()
        self.seconds = asyncio.get_running_loop().time
        self.ledger = Ledger(self.topics, self.expectation, self.broker.commits, self.seconds)
        self.ledger.defects = lambda: self.flaws.behind
        self.ledger.bounds.body = story.bounds.body_bytes
        self.wishes: dict[str, Wish] = {}
        self.rows: list[Row] = []
        self.hidden_for = 0.0
        """Seconds for which the transaction stays open whose rows are being appended."""
        self.writer = TableWriter(self)
        self.views: list[View] = []
        self.subscriptions: dict[str, Subscription] = {}
        self.disabled: dict[str, Disabled] = {}
        self.refusals: dict[str, WriteRefused] = {}
        self.calm = False
        self.flaws = Flaws()
        self._note_flaws()
        self.hosts: dict[str, Host] = {}
        self.other_hosts: list[Host] = []
        """Those on which no workers run."""
        self.on_broker: Callable[[bool], None] = lambda _: None
        """Called when the broker stops or starts."""
        self.grace: Millis = DAY
        """How long after it is due a record does not show yet that offsets were lost."""
        self._ends: dict[TopicPartition, int] = {}
        """The offset after the last record of each partition that workers read."""
        self.held_since: dict[tuple[HoldKind, str], Millis] = {}
        """What is held, and since when."""
        self.rules = self._rules()
        self._create_topics()
        self._grant_everything()

    def _note_flaws(self) -> None:
        acts = self.story.acts
        self.flawed = any(act.does == "flaw" for act in acts)
        """Whether calls of ports raise in this story; else ports are not wrapped."""
        self.ledger.flawed = self.flawed
        self.audits_at_once = not self.flawed and not any(
            act.does == "refuse" and act.who == "attempts" for act in acts
        )
        """Whether nothing keeps an audit record from being written with its attempt's answer."""
        self.brokers = 2 if any(act.does == "publish_stepped" for act in acts) else 1
        """A broker whose clock is behind is one of several."""
        self.keeps_offsets = all(act.does != "lose_offsets" for act in acts)
        """Whether nothing has to be concluded from the times of records."""

    def _grant_everything(self) -> None:
        everything = Grant(event_types=("*",), environments=("*",))
        self.partner = Partner("acme", "A", everything, history=(HeldGrant(everything, 0),))
        acme = self.partner
        self.write_row(Row(lambda directory: directory.put_partner(acme)))

    def regrant(self, event_types: Collection[str], times: ChangeTimes) -> None:
        """Grant some event types, and no others."""
        now, grants = self.clock.now(), self.expectation.grants
        for each in (PLAIN, LATE, NEVER):
            given, given_before = each in event_types, grants.since(each) is None
            if given_before and not given:
                grants.take(each, times.begun, now)
            elif given and not given_before:
                grants.give(each, now, times.takes_effect)
        grant = Grant(event_types=tuple(event_types), environments=("*",))
        after = self.partner = regranted(self.partner, grant, *times)
        self.write_row(Row(lambda directory: directory.put_partner(after)))

    def _rules(self) -> EngineRules:
        bounds = self.story.bounds
        return EngineRules(
            tiers=TIERS,
            max_in_flight=bounds.max_in_flight,
            max_deliveries=bounds.max_deliveries,
            max_bytes=bounds.max_bytes,
            waiting_room_bytes=bounds.room_bytes,
            waiting_room_floor=bounds.room_floor,
            unknown_schema_grace=SCHEMA_GRACE,
            paused_for=bounds.paused_for,
            disable_after=bounds.disable_after,
            disable_attempts=3,
            accept_create_time=True,
            max_body_bytes=bounds.body_bytes,
        )

    def _create_topics(self) -> None:
        topics = self.topics
        self.broker.create(EVENTS, self.story.partitions)
        for topic in (
            topics.dead_letters,
            topics.undecodable,
            topics.attempts,
            topics.operations,
            topics.health,
        ):
            self.broker.create(topic)
        for tier in TIERS:
            self.broker.create(topics.tier(tier))

    # What a process queries.

    def view(self, host: Host) -> View:
        return View(self, host)

    def event_topics(self, topics: Iterable[str]) -> list[str]:
        return [topic for topic in topics if topic in (EVENTS, LATE_EVENTS)]

    def tier_topics(self, topics: Iterable[str]) -> list[str]:
        return [topic for topic in topics if self.topics.delay_of(topic) is not None]

    def endpoint(self, url: str) -> Behaviour:
        wish = self.expectation.by_url[url].wish
        return behaviours.behaviour(wish, self.seconds(), self.clock.now, calm=self.calm)

    def refusal(self, record: OutgoingRecord) -> WriteRefused | None:
        if not self.refusals:
            return None
        kind = "tiers" if self.topics.delay_of(record.topic) is not None else record.topic
        refusal = self.refusals.get(kind.removeprefix("hookstream."))
        if refusal is None or (refusal.too_large and record.value is None):
            return None
        self.ledger.too_large |= refusal.too_large
        return refusal

    def delays(self, host: Host) -> tuple[float, float]:
        """Seconds until a write is appended, and from there until it is acknowledged."""
        before = 0.001 + self.random.random() * (0.002 + host.append_delay)
        return before, self.random.random() * host.answer_delay if host.answer_delay else 0.0

    # What readers learn.

    def appended(self, record: Record) -> None:
        if record.topic in (EVENTS, LATE_EVENTS) or self.topics.delay_of(record.topic) is not None:
            self._ends[record.where] = record.offset + 1
        if record.topic == self.topics.health:
            if record.key != TIME_KEY:
                self._health(record)
        else:
            self.ledger.appended(record)

    def _health(self, record: Record) -> None:
        name, _, what = (record.key or b"").decode().rpartition("/")
        if what == "failing":
            self._failing(name, record.value)
            return
        row_value = json.loads(record.value or b"{}")
        disabled = Disabled(name, row_value["since"], row_value["reason"])
        if disabled.reason == "asked" and self.always_batches(name):
            self.ledger.blame(JUSTIFIED, f"{name} is disabled as asked in the answer to a batch")
        self.disabled[name] = disabled
        self.expectation.statuses[name].disabled(disabled.since, self.clock.now())
        self.write_row(Row(lambda directory: directory.put_disabled(disabled)))

    def _failing(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.write_row(Row(health=lambda book: book.drop(name)))
            return
        failing = Failing(name, json.loads(value)["since"])
        self.write_row(Row(health=lambda book: book.put(failing)))

    def arrived(self, pair: Pair) -> None:
        """Check that an event reached a healthy endpoint promptly."""
        if is_run(pair):
            return
        wish = self.wishes[pair[1]]
        event = self.expectation.events[pair[0]]
        if not self.story.quiet or wish.moods or wish.for_ever or wish.rate is not None:
            return
        if wish.refuses:
            return
        if event.type != PLAIN:
            return  # it waited for its schema
        took = self.clock.now() - event.timestamp
        if took > PROMPT:
            self.ledger.blame(
                ISOLATION, f"{pair[0]} took {took} ms to {pair[1]}, which is healthy"
            )
        if wish.batch is None or self._is_crowded(event) or self._lacks_permits():
            return
        if took > wish.batch.max_wait + AT_ONCE:
            self.ledger.blame(WAITS, f"{pair[0]} took {took} ms to {pair[1]}")

    def _lacks_permits(self) -> bool:
        """Return whether an endpoint that has not answered yet may wait for a permit: half are not for it."""
        most = sum(wish.max_in_flight for wish in self.wishes.values())
        return 2 * most > self.story.bounds.max_in_flight

    def _is_crowded(self, event: Event) -> bool:
        """Return whether so many events came just before one that it waits to be taken."""
        before = event.timestamp - SECOND
        at = [each.timestamp for each in self.expectation.events.values()]
        return sum(before <= each <= event.timestamp for each in at) > FEW

    def always_batches(self, who: str) -> bool:
        """Return whether a subscription has batches during the whole story."""
        changes = any(act.does == "rebatch" and act.who == who for act in self.story.acts)
        return self.wishes[who].batch is not None and not changes

    def broker_is(self, *, up: bool) -> None:
        """Stop the broker, or start it again."""
        if up:
            self.broker.resume()
        else:
            self.broker.stop()
        self.on_broker(up)
        for host in (*self.hosts.values(), *self.other_hosts):
            host.link.broker(up=up)
            host.wake()

    def stopped(self, url: str, event_type: str) -> str | None:
        """Return why nothing may be sent to an endpoint, once every worker must know it."""
        now, status = self.clock.now(), self.expectation.by_url[url]
        who, deleted_at = status.wish.id, status.deleted_at
        if deleted_at is not None and now - deleted_at > HOLDS_WITHIN:
            return f"was deleted {now - deleted_at} ms ago"
        taken = self.expectation.grants.since(event_type)
        if taken is not None and now - taken > HOLDS_WITHIN:
            return f"has not been granted {event_type} for {now - taken} ms"
        for stopped in holds_over(who, event_type):
            since = self.held_since.get(stopped)
            if since is not None and now - since > HOLDS_WITHIN:
                return f"has been held for {now - since} ms"
        return None

    # What upstream and owners do.

    def publish(
        self,
        name: str,
        kind: str,
        colour: str,
        partition: int,
        event_id: str | None = None,
        *,
        stamped: Millis | None = None,
        topic: str = EVENTS,
    ) -> Event:
        """Append an event; an empty kind: bytes that are not an event.

        Its name is its own in the story; its `event_id` may be one that another event has, and its
        producer may have `stamped` it.
        """
        partition %= self.broker.partitions[topic]
        log = self.broker.logs[TopicPartition(topic, partition)]
        log.append_time = stamped is None
        value = b"\x00\x01garbage"
        if kind:
            # Some are so large that they are decoded, matched and rendered in a thread.
            load = random.Random(f"{self.story.seed} {name}").choice((1, 1, 1, 50_000))
            data: JsonObject = {"colour": colour, "name": name, "load": load}
            value = json_value(kind, event_id or name, data=data)
        record = self.broker.append(
            topic,
            value,
            key=name.encode(),
            partition=partition,
            timestamp=stamped,
        )
        event = Event(
            name,
            kind,
            colour,
            *(topic, record.partition, record.offset, record.timestamp),
            garbage=not kind,
            appended=self.clock.now(),
        )
        self.expectation.published(event)
        return event

    def abort(self, event: Event) -> None:
        """Let the transaction of an event be aborted: its record can never be read."""
        where = TopicPartition(event.topic, event.partition)
        records = self.broker.logs[where].records
        records[:] = [each for each in records if each.offset != event.offset]
        self._ends[where] = records[-1].offset + 1 if records else 0
        del self.expectation.events[event.id], self.expectation.by_origin[event.origin]

    def commit_open(self) -> None:
        """Commit every open transaction."""
        for log in self.broker.logs.values():
            log.opened.clear()

    def write_row(self, row: Row) -> None:
        """Append a row to a table: every reader has it after its lag, a new one at once.

        Both only once its transaction is over.
        """
        if self.hidden_for:
            row = replace(row, appended=self.seconds(), over=self.seconds() + self.hidden_for)
        self.rows.append(row)
        for view in self.views:
            view.read(row)

    def put(self, subscription: Subscription, *, healthy: bool = False) -> None:
        """Append a subscription's row, and with it the removal of those that say how its endpoint is."""
        self.subscriptions[subscription.id] = subscription
        most = self.ledger.bounds.events
        if subscription.batch is not None:
            most[subscription.id] = max(most[subscription.id], subscription.batch.max_events)
        if not healthy:
            self.write_row(Row(lambda directory: directory.put_subscription(subscription)))
            return
        self.disabled.pop(subscription.id, None)

        def both(directory: Directory) -> None:
            directory.put_subscription(subscription)
            directory.drop_disabled(subscription.id)

        self.write_row(Row(both, health=lambda book: book.drop(subscription.id)))

    def hold(self, kind: HoldKind, name: str) -> None:
        """Set a hold."""
        self.held_since.setdefault((kind, name), self.clock.now())
        self.ledger.tests.ever_held.add((kind, name))
        hold = Hold(kind, name, self.clock.now(), "by the story")
        self.write_row(Row(lambda directory: directory.holds.put(hold), holds=(kind, name)))

    def clear(self, kind: HoldKind, name: str) -> None:
        """Clear a hold."""

        def drop(directory: Directory) -> None:
            directory.holds.drop(kind, name)

        self.held_since.pop((kind, name), None)
        self.write_row(Row(drop, holds=(kind, name), clears=True))

    def subscription(self, wish: Wish, active_from: Millis) -> Subscription:
        """Return a subscription's first row; each life of an id has an endpoint of its own."""
        lives = self.expectation.earlier.get(wish.id, [])
        lives = [*lives, *filter(None, [self.expectation.statuses.get(wish.id)])]
        pattern: JsonObject | None = None
        if wish.colour is not None:
            pattern = {"data": {"colour": [wish.colour]}}
        return Subscription(
            id=wish.id,
            partner_id="acme",
            endpoint=Endpoint(
                url=f"https://{wish.id}.example/hook{len(lives) or ''}",
                secrets=(SigningSecret("s1", b"0" * 32),),
                timeout=wish.timeout,
            ),
            event_types=wish.types,
            active_from=active_from,
            pattern=pattern,
            format=BodyFormat.CLOUDEVENTS if wish.cloudevents else BodyFormat.STANDARD,
            batch=wish.batch,
            retry=RetryPolicy(schedule=wish.schedule, final_statuses=wish.final_statuses),
            limits=Limits(max_in_flight=wish.max_in_flight, rate_limit=wish.rate),
        )

    def subscribe(self, wish: Wish, row: Subscription) -> None:
        """Append a subscription's first row; the health of its id's earlier life does not apply to it."""
        self.wishes[wish.id] = wish
        now, grants = self.clock.now(), self.expectation.grants
        status = SubscriptionStatus(wish, row.active_from, now, grants, url=row.endpoint.url)
        self.expectation.subscribed(status)
        self.look_at_losses_again()
        self.put(row, healthy=True)

    def group_of(self, where: TopicPartition) -> str:
        """Return the group that reads a partition."""
        tier = self.topics.delay_of(where.topic) is not None
        return self.topics.retry_group if tier else self.topics.group

    def committed(self, where: TopicPartition) -> int:
        """Return what is committed for a partition; 0: nothing."""
        return self.broker.commits.get(self.group_of(where), {}).get(where, 0)

    def starts(self, group: str, directory: Directory) -> StartPolicy:
        """Return what a process treats as evidence of lost offsets."""
        if group == self.topics.retry_group:
            wait = self.topics.delay_of
            return StartPolicy(lambda _: 0, lambda topic: wait(topic) or 0, self.grace)
        subscriptions = directory.subscriptions
        return StartPolicy(
            lambda _: min((each.active_from for each in subscriptions.values()), default=None),
            lambda _: 0,
            self.grace,
        )

    def lose_offset(self, where: TopicPartition, grace: Millis) -> None:
        """Let a group's offset of a partition be gone."""
        self.grace = grace
        self.ledger.note(f"the offset of {where.topic}/{where.partition} is lost")
        self.ledger.offsets_lost(where, self.committed(where), self._evidence(where))
        self.broker.forget(self.group_of(where), where)

    def look_at_losses_again(self) -> None:
        """Find out again what shows that offsets were lost: who lacks a subscription's row may not see it."""
        lost = self.ledger.given_up.lost
        for where, each in lost.items():
            if each.evidence is not None:
                lost[where] = replace(each, evidence=self._evidence(where))

    def _evidence(self, where: TopicPartition) -> int | None:
        """Return a record that has been due for so long that its loss is certain."""
        before = self.clock.now() - self.grace - (self.topics.delay_of(where.topic) or 0)
        for record in self.broker.logs[where].records:
            if record.timestamp >= before:
                return None
            event = self.expectation.by_origin.get((*where, record.offset))
            if event is None:
                if where.topic != EVENTS:
                    return record.offset
                continue
            found = map(self.expectation.status_of, self.expectation.owed_to(event))
            if any(each and not each.absences and each.deleted_at is None for each in found):
                return record.offset
        return None

    def undrained(self) -> dict[TopicPartition, int]:
        """Return the partitions of which not every record is committed, and what is."""
        at = {where: self.committed(where) for where in sorted(self._ends)}
        return {where: offset for where, offset in at.items() if offset < self._ends[where]}
