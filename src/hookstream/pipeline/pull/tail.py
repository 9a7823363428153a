"""One shared tail of the log for all readers near its head: each record is read, decoded and matched once.

It runs while there are readers. It keeps a bounded part of the log; a reader whose cursor is older is served from
the log itself, until it has caught up.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from hookstream.core.matching.directory import Directory, Question
from hookstream.core.matching.fanout import Match, Matching
from hookstream.core.model.event import LARGE
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.model.subscription import (
    Endpoint,
    Partner,
    Subscription,
    SubscriptionState,
)
from hookstream.core.pull.cursor import Cursor
from hookstream.core.pull.page import GapReason
from hookstream.core.pull.resumption import KnownTopic, Reading, found_again
from hookstream.errors import ConfigurationError, DependencyUnavailable
from hookstream.pipeline.defects import Step, Unexpected
from hookstream.pipeline.past_ports import PastReader
from hookstream.pipeline.pull.behind import LISTED_FOR, TopicNames
from hookstream.pipeline.pull.event_reading import (
    CannotBeRead,
    EventReader,
    ReadEvent,
    RecordRead,
    SchemaUnknown,
    Unasked,
)
from hookstream.pipeline.pull.kept import Kept, Queued, ReaderQueues, merged
from hookstream.pipeline.pull.ports import PullPorts, PullRules

_AT_ONCE: Final = 1_000
_ANOTHER_TOPIC: Final = "a topic was deleted, or created again, while it was followed"
_TRUNCATED: Final = "brokers lost records that were followed"
_KEPT_FOR: Final = 30.0
"""Seconds that an event is kept."""
_FORGOTTEN_AFTER: Final = 90.0
"""Seconds after the last request at which a subscription is not matched any more."""
_CHECKED_EVERY: Final = 0.5
"""Seconds between two looks for changed subscriptions."""
_AGAIN: Final = 1.0
"""Seconds after which a record is looked at again whose schema was unknown, and a tail that failed begins again."""


@dataclass(slots=True, eq=False)
class _Polled:
    """A subscription that has a reader."""

    subscription: Subscription
    partner: Partner
    asked_at: float
    start: dict[TopicPartition, int]
    """The offsets from which it was matched; a partition that was found later was matched from its start."""
    queues: ReaderQueues = field(default_factory=ReaderQueues)
    signal: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is something for it, or it must be asked for elsewhere."""


@dataclass(slots=True, frozen=True)
class TailView:
    """What the tail has for one reader."""

    wanted: Sequence[Queued]
    """In the order in which they were read: by offset within each partition."""
    next: Mapping[TopicPartition, int]
    """The offsets up to which the log was read."""
    ids: Mapping[str, str]
    waits_for_schema: bool
    signal: asyncio.Event
    """Set when that has changed."""


class Tail:
    """The shared tail. Owned by the event loop; `run` it as a task of its own."""

    def __init__(
        self,
        ports: PullPorts,
        rules: PullRules,
        names: TopicNames,
        events: EventReader,
        unexpected: Unexpected,
    ) -> None:
        """Follow nothing until somebody asks."""
        self._unexpected = unexpected
        self._ports = ports
        self._log = ports.log
        self._clock = ports.clock
        self._directory = ports.directory
        self._offload = ports.offload
        self._rules = rules
        self._names = names
        self._events = events
        self._wanted: dict[str, float] = {}
        """Subscriptions that somebody asked for, and when."""
        self._woken = asyncio.Event()
        self._polled: dict[str, _Polled] = {}
        self._index = Directory()
        """The subscriptions that are read, with their partners, and no others."""
        self._reset()

    def _reset(self) -> None:
        self._next: dict[TopicPartition, int] = {}
        """What was shown, by partition."""
        self._low: dict[TopicPartition, int] = {}
        """The offsets from which all matched records are kept."""
        self._ids: dict[str, str] = {}
        self._blocked: dict[TopicPartition, tuple[int, float]] = {}
        """Partitions that wait for a schema: at which offset, and when it is looked at again."""
        self._ring: deque[Kept] = deque()
        self._aside = ReaderQueues()
        """Those that may concern anybody."""
        self._bytes = 0
        self._count = 0
        self._signals: set[str] = set()
        """Subscriptions for which there is something that is not shown yet."""
        for each in self._polled.values():
            each.signal.set()
        self._polled.clear()
        self._index = Directory()

    # For readers.

    def want(self, subscription_id: str) -> None:
        """Record that a subscription has a reader: it is matched from soon on."""
        self._wanted[subscription_id] = self._clock.monotonic()
        self._woken.set()

    def head(self, subscription: Subscription, partner: Partner | None) -> Cursor | None:
        """Return the cursor of a reader that wants only what comes next; None: it is not matched yet."""
        polled = self._polled.get(subscription.id)
        if (
            polled is None
            or polled.subscription is not subscription
            or polled.partner is not partner
        ):
            return None
        return Reading(dict(self._next), self._ids).cursor(subscription.active_from)

    def view(
        self, subscription: Subscription, partner: Partner | None, cursor: Cursor
    ) -> TailView | None:
        """Return what there is behind a cursor; None: the reader must read the log itself."""
        polled = self._polled.get(subscription.id)
        if (
            polled is None
            or polled.subscription is not subscription
            or polled.partner is not partner
            or set(cursor.topics) != set(self._ids.values())
            # Another console, which listed topics later, may have read of more partitions.
            or sum(map(len, cursor.topics.values())) > len(self._next)
        ):
            return None
        for at, end in self._next.items():
            position = cursor.topics[self._ids[at.topic]].get(at.partition)
            # One that is ahead has read the log further, or what it read was lost: the log says which.
            if (
                position is None
                or not max(self._low[at], polled.start.get(at, 0)) <= position <= end
            ):
                return None
        wanted = merged(
            polled.queues.behind(cursor, self._ids), self._aside.behind(cursor, self._ids)
        )
        return TailView(
            wanted, dict(self._next), dict(self._ids), bool(self._blocked), polled.signal
        )

    def wake(self) -> None:
        """Let every waiting reader check again."""
        for each in self._polled.values():
            signal, each.signal = each.signal, asyncio.Event()
            signal.set()

    # The task.

    async def run(self) -> None:
        """Follow the log while there are readers; never returns."""
        while True:
            await self._woken.wait()
            try:
                await self._follow()
            except (DependencyUnavailable, ConfigurationError) as error:
                # Readers read the log themselves meanwhile, and learn of it there.
                self._ports.logger.warning("pull.tail_failed", detail=str(error))
                failed = True
            except Exception as error:  # noqa: BLE001  the tail is a cache: it begins again
                self._unexpected.note(error, Step.READ)
                failed = True
            else:
                failed = False
            self._reset()
            if failed:
                await asyncio.sleep(_AGAIN)

    async def _follow(self) -> None:
        """Follow the log from its present end, until there are no readers."""
        topics = await self._names.listed(fresh=True)
        self._ids = {name: topic.topic_id for name, topic in topics.items()}
        partitions = _partitions_of(topics)
        self._next = dict(await self._log.ends(partitions))
        self._low = dict(self._next)
        async with self._log.read(self._next) as reader:
            listed_at = checked_at = self._clock.monotonic()
            while True:
                now = self._clock.monotonic()
                if now - checked_at >= _CHECKED_EVERY or self._has_news():
                    checked_at = now
                    self._enlist(now)
                    self._evict(now)
                if not self._wanted:
                    self._woken.clear()
                    return
                if now - listed_at >= LISTED_FOR:
                    listed_at = now
                    await self._list(reader)
                await self._look_again(reader, now)
                await self._step(reader)

    def _has_news(self) -> bool:
        return any(each not in self._polled for each in self._wanted)

    def _enlist(self, now: float) -> None:
        """Match those who are asked for, as they are now."""
        for subscription_id, asked_at in list(self._wanted.items()):
            polled = self._polled.get(subscription_id)
            subscription = self._directory.subscriptions.get(subscription_id)
            partner = self._directory.partner_of(subscription_id)
            if (
                now - asked_at > _FORGOTTEN_AFTER
                or not isinstance(subscription, Subscription)
                or subscription.state is SubscriptionState.DELETED
                or partner is None
            ):
                del self._wanted[subscription_id]
                self._drop(subscription_id)
            elif (
                polled is None
                or polled.subscription is not subscription
                or polled.partner is not partner
            ):
                self._drop(subscription_id)
                self._index.put_partner(partner)
                self._index.put_subscription(_as_matched(subscription))
                self._polled[subscription_id] = _Polled(
                    subscription, partner, asked_at, dict(self._next)
                )

    def _drop(self, subscription_id: str) -> None:
        polled = self._polled.pop(subscription_id, None)
        if polled is not None:
            polled.signal.set()
            self._index.drop_subscription(subscription_id)

    async def _step(self, reader: PastReader) -> None:
        """Read on, and show what was read."""
        taken = await reader.take(_AT_ONCE)
        if taken.positions:
            await self._check_ids({at.topic for at in taken.positions})
        if taken.records:
            await self._show(reader, taken.records, taken.positions)
        else:
            self._move(taken.positions)
        if taken.gone:
            await self._find(reader, taken.gone)
        if taken.records and len(taken.records) < _AT_ONCE:
            # A few at a time would cost each reader a page for every event.
            await asyncio.sleep(self._rules.linger)

    async def _check_ids(self, topics: Collection[str]) -> None:
        """Refuse records of topics that are not the ones that were listed."""
        found = await self._log.ids(topics)
        if any(found.get(topic) != self._ids.get(topic) for topic in topics):
            raise DependencyUnavailable(_ANOTHER_TOPIC)

    async def _show(
        self,
        reader: PastReader,
        records: Sequence[Record],
        positions: Mapping[TopicPartition, int],
    ) -> None:
        inside = [each for each in records if each.offset >= self._next.get(each.where, 1 << 63)]
        read = await self._events.read(
            inside, self._ids, self._index.has_subscribers, self._clock.now()
        )
        stopped = await self._stopped(reader, inside, read)
        shown = [
            (record, each)
            for record, each in zip(inside, read, strict=True)
            if record.offset < stopped.get(record.where, 1 << 63)
        ]
        await self._match(shown)
        self._move({at: min(to, stopped.get(at, to)) for at, to in positions.items()})

    async def _stopped(
        self, reader: PastReader, records: Sequence[Record], read: Sequence[RecordRead]
    ) -> dict[TopicPartition, int]:
        """Return the offsets at which partitions wait for a schema, and stop reading these for now."""
        stopped: dict[TopicPartition, int] = {}
        for record, each in zip(records, read, strict=True):
            if isinstance(each, SchemaUnknown):
                stopped.setdefault(record.where, record.offset)
        again = self._clock.monotonic() + _AGAIN
        for at, offset in stopped.items():
            self._blocked[at] = offset, again
            await reader.drop([at])
        return stopped

    async def _match(self, shown: Sequence[tuple[Record, RecordRead]]) -> None:
        events = [each for _, each in shown if isinstance(each, ReadEvent)]
        matched = iter(await self._matched(events))
        now = self._clock.monotonic()
        for record, each in shown:
            match each:
                case ReadEvent():
                    found = next(matched)
                    if found:
                        self._queue(self._keep(record, each, now), found)
                case CannotBeRead():
                    self._aside.add(self._keep(record, each, now), None)
                    self._signals |= self._polled.keys()
                case Unasked() | SchemaUnknown():
                    pass
        self._evict(now)

    def _queue(self, kept: Kept, matches: Sequence[Match]) -> None:
        for match in matches:
            subscription_id = match.subscription.id
            polled = self._polled.get(subscription_id)
            if polled is not None:
                polled.queues.add(kept, match)
                self._signals.add(subscription_id)

    async def _matched(self, events: Sequence[ReadEvent]) -> list[list[Match]]:
        """Return what the read subscriptions ask for of each event."""
        matchings = [self._index.matching(self._question(each)) for each in events]
        # Nothing changes the index meanwhile: this task alone does.
        find = partial(_all_found, matchings)
        return await self._offload.run(find) if self._takes_long(events) else find()

    def _takes_long(self, events: Sequence[ReadEvent]) -> bool:
        """Return whether matching events would block the event loop for long."""
        load = sum(each.event.load for each in events)
        return load > LARGE or any(
            self._index.is_heavy(each.event.event_type, load, each.event.origin.timestamp)
            for each in events
        )

    def _question(self, read: ReadEvent) -> Question:
        event = read.event
        return Question(
            event.event_type,
            event.environment,
            event.origin.timestamp,
            read.bodies.document,
            self._ports.codec.latest(event.event_type),
        )

    def _keep(self, record: Record, read: ReadEvent | CannotBeRead, now: float) -> Kept:
        self._count += 1
        kept = Kept(self._count, record, read, now)
        self._ring.append(kept)
        self._bytes += kept.cost
        return kept

    def _move(self, positions: Mapping[TopicPartition, int]) -> None:
        """Show what was read, and wake those who wait for it."""
        for at, to in positions.items():
            if at in self._next:
                self._next[at] = max(self._next[at], to)
        for subscription_id in self._signals:
            polled = self._polled.get(subscription_id)
            if polled is not None:
                signal, polled.signal = polled.signal, asyncio.Event()
                signal.set()
        self._signals = set()

    def _evict(self, now: float) -> None:
        """Keep no more than the bounds allow."""
        rules = self._rules
        while self._ring and (
            self._bytes > rules.tail_bytes
            or len(self._ring) > rules.tail_records
            or now - self._ring[0].seen_at > _KEPT_FOR
        ):
            oldest = self._ring.popleft()
            self._bytes -= oldest.cost
            at = oldest.record.where
            # If retention removed records meanwhile, it is higher already.
            self._low[at] = max(self._low[at], oldest.record.offset + 1)
            oldest.forget()

    async def _look_again(self, reader: PastReader, now: float) -> None:
        """Read on at records whose schema was unknown."""
        due = {at: offset for at, (offset, again) in self._blocked.items() if now >= again}
        for at in due:
            del self._blocked[at]
        if due:
            await reader.place(due)

    async def _list(self, reader: PastReader) -> None:
        """Follow new topics and partitions, from their starts."""
        topics = await self._names.listed(fresh=True)
        ids = {name: topic.topic_id for name, topic in topics.items()}
        if any(ids.get(name) != topic_id for name, topic_id in self._ids.items()):
            raise DependencyUnavailable(_ANOTHER_TOPIC)
        new = [at for at in _partitions_of(topics) if at not in self._next]
        if new:
            starts = await self._log.lows(new)
            self._ids = ids
            self._next |= starts
            self._low |= starts
            await reader.place(starts)

    async def _find(self, reader: PastReader, gone: Collection[TopicPartition]) -> None:
        """Continue at the next offset that the log has: readers detect gaps themselves."""
        logs = await self._log.logs(gone)
        for at in gone:
            log = logs[at]
            topic_id = self._ids.get(at.topic, "")
            position = self._next[at]
            found = found_again(position, topic_id, log.topic_id, log.low, log.high)
            if found.offset is None:
                raise DependencyUnavailable(_ANOTHER_TOPIC)
            if found.gap is GapReason.TRUNCATED:
                # Other records may take the offsets of those that are kept.
                raise DependencyUnavailable(_TRUNCATED)
            self._next[at] = found.offset
            if found.gap is not None:
                self._low[at] = found.offset
            await reader.place({at: found.offset})


def _as_matched(subscription: Subscription) -> Subscription:
    """Return a subscription as the index of the tail has it: whatever its endpoint is, its health and pauses."""
    return replace(
        subscription, endpoint=Endpoint("", ()), state=SubscriptionState.ACTIVE, gaps=()
    )


def _all_found(matchings: Sequence[Matching]) -> list[list[Match]]:
    return [_found(each) for each in matchings]


def _found(matching: Matching) -> list[Match]:
    found: list[Match] = []
    matching.find()
    while not matching.is_done:
        found += matching.step()
    return found


def _partitions_of(topics: Mapping[str, KnownTopic]) -> list[TopicPartition]:
    return [
        TopicPartition(name, number)
        for name, topic in sorted(topics.items())
        for number in range(topic.partitions)
    ]
