"""The pull door: answers each request with the next page of a subscription's events."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from hookstream.core.model.subscription import Partner, Subscription
from hookstream.core.model.subscription_status import Absent, Deleted, Held, Unreadable
from hookstream.core.pull.cursor import (
    EARLIEST,
    LATEST,
    Cursor,
    TooManyPartitions,
    encoded,
    read_cursor,
)
from hookstream.core.pull.page import (
    LONGEST_WAIT,
    MOST_EVENTS,
    Busy,
    CursorGone,
    CursorRefused,
    NoSuchSubscription,
    NotNow,
    PullPage,
    PullRefusal,
    WaitReason,
)
from hookstream.core.pull.resumption import Reading
from hookstream.errors import ConfigurationError, InputRefused
from hookstream.pipeline.defects import Unexpected
from hookstream.pipeline.pull.behind import LogPages, PullPiece, TopicNames
from hookstream.pipeline.pull.event_reading import CannotBeRead, EventReader, ReadEvent
from hookstream.pipeline.pull.kept import Queued
from hookstream.pipeline.pull.ports import PullPorts, PullRules
from hookstream.pipeline.pull.rendering import PullRenderer, Shown
from hookstream.pipeline.pull.tail import Tail, TailView

_LOOK_AGAIN: Final = 1.0
"""Seconds after which a waiting reader that the tail does not serve reads the log again."""
_TABLES_AGAIN: Final = 2
_ROW_AGAIN: Final = 30
_HELD_AGAIN: Final = 30
"""Seconds after which to ask again: while the tables are not current, while a row cannot be read or is held."""
_HEAD_SECONDS: Final = 2.0
_HEAD_AGAIN: Final = 0.05
"""How long and how often a reader that begins at the head looks whether the tail matches it."""
_NOTHING_LEFT: Final = 0.001
"""Shorter waits than this many seconds are left out."""
_RENDERED_AT_ONCE: Final = 50
_REMEMBERED: Final = 1_024
"""Cursors that need not be decrypted when they come back, one for each subscription."""
_TRIES: Final = 3
"""Times that a page is made again whose subscription or grant changed meanwhile."""


@dataclass(slots=True, frozen=True)
class _PageFor:
    """The subscription that a page is for, by the present tables."""

    subscription: Subscription
    partner: Partner | None
    asked_by: str | None
    """The requesting partner, whose limits bound the reading; None: an operator."""


class _HandedOut:
    """The cursor that each subscription's reader was given last: most come back with it.

    Its text alone is compared, so nothing opens that the key ring would not open.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, Cursor]] = {}

    def of(self, subscription_id: str, text: str) -> Cursor | None:
        """Return the cursor of a text; None: it was not the last."""
        found = self._last.get(subscription_id)
        return found[1] if found is not None and found[0] == text else None

    def note(self, subscription_id: str, text: str, cursor: Cursor) -> None:
        """Remember a cursor instead of the one before."""
        if len(self._last) >= _REMEMBERED and subscription_id not in self._last:
            self._last.pop(next(iter(self._last)))
        self._last[subscription_id] = text, cursor


class PullService:
    """Serves pages. Owned by one event loop; use it within `serving`."""

    def __init__(self, ports: PullPorts, rules: PullRules) -> None:
        """Serve nothing yet."""
        self._ports = ports
        self._directory = ports.directory
        self._clock = ports.clock
        unexpected = Unexpected(ports.logger)
        names = TopicNames(ports)
        events = EventReader(ports.codec, ports.offload, rules.schema_grace, unexpected)
        self._renderer = PullRenderer(
            ports.directory,
            ports.codec,
            ports.offload,
            ports.public_key_signing,
            unexpected,
            rules.max_body_bytes,
        )
        self._log = LogPages(ports, rules, names, events, self._renderer)
        self._tail = Tail(ports, rules, names, events, unexpected)
        self._handed_out = _HandedOut()
        self._leaving = False
        """Whether requests no longer wait."""

    def leave(self) -> None:
        """Answer all waiting requests within a second, and let no further one wait: the process ends."""
        self._leaving = True
        self._tail.wake()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["PullService"]:
        """Follow the log for as long as the block runs."""
        try:
            async with asyncio.TaskGroup() as tasks:
                own = [
                    tasks.create_task(self._tail.run(), name="pull-tail"),
                    tasks.create_task(self._log.tidy(), name="pull-readers"),
                ]
                try:
                    yield self
                finally:
                    for task in own:
                        task.cancel()
                    await self._log.close()
        except BaseExceptionGroup as group:
            # What the block raised is the caller's, as it was raised.
            raise group.exceptions[0] from None

    async def page(
        self,
        subscription_id: str,
        cursor: str | None,
        limit: int,
        wait: float,
        *,
        partner_id: str | None = None,
    ) -> PullPage | PullRefusal:
        """Return the events behind a cursor, or why they are not shown.

        Args:
            subscription_id: The subscription.
            cursor: That of the page before; None or `earliest`: from the subscription's `active_from` on;
                `latest`: from what is appended next on.
            limit: The most events and skipped ones, from 1 to `MOST_EVENTS`.
            wait: Seconds to wait if there are none, up to `LONGEST_WAIT`.
            partner_id: The requesting partner: another partner's subscription is answered as one that does not
                exist. None: an operator.

        Raises:
            InputRefused: `limit` or `wait` is out of its bounds.
            ConfigurationError: The event topics may not be read, or have too many partitions.
            DependencyUnavailable: The brokers fail.
        """
        if not 1 <= limit <= MOST_EVENTS:
            raise InputRefused(f"limit must be 1 to {MOST_EVENTS:,}, not {limit:,}")
        if not 0 <= wait <= LONGEST_WAIT:
            raise InputRefused(f"wait must be 0 to {LONGEST_WAIT:g} seconds, not {wait:g}")
        reader = self._reader(subscription_id, partner_id)
        if not isinstance(reader, _PageFor):
            return reader
        at = await self._opened(reader, cursor)
        if not isinstance(at, Cursor | None):
            return at
        return await self._next(reader, at, limit, self._clock.monotonic() + wait)

    async def _next(
        self, reader: _PageFor, at: Cursor | None, limit: int, until: float
    ) -> PullPage | PullRefusal:
        """Return the first page that has something, or the one at an instant of the monotonic clock."""
        subscription_id, read = reader.subscription.id, 0
        while True:
            found = await self._fresh(reader, at, limit)
            if not isinstance(found, tuple):
                return found
            piece, signal = found
            piece.read = read = read + piece.read
            left = until - self._clock.monotonic()
            if piece.is_worth_showing or left < _NOTHING_LEFT or self._leaving:
                return self._sealed(subscription_id, piece)
            at = piece.cursor
            await _wait(signal, left)
            now = self._reader(subscription_id, reader.asked_by)
            if not isinstance(now, _PageFor):
                return now
            if now.subscription.active_from != at.active_from:
                return _gone(subscription_id)
            reader = now

    def _reader(self, subscription_id: str, partner_id: str | None) -> _PageFor | PullRefusal:
        """Return the subscription that a page is for, or why no page may be shown now."""
        if not self._ports.tables.current() or self._directory.blind:
            why = "the tables are not current: nothing is shown by what may be out of date"
            return NotNow(why, _TABLES_AGAIN, "tables")
        owned = self._directory.subscriptions.get(subscription_id)
        if owned is None or partner_id not in (None, owned.partner_id):
            return _absent(subscription_id)
        status = self._directory.status(subscription_id, self._clock.now())
        match self._directory.holds.over(status):
            case Absent() | Deleted():
                return _absent(subscription_id)
            case Unreadable():
                why = f"the row of subscription {subscription_id!r} cannot be read here"
                return NotNow(why, _ROW_AGAIN, "unreadable")
            case Held():
                return NotNow("delivery is suspended", _HELD_AGAIN, "suspended")
            case found:
                return _PageFor(found.subscription, found.partner, partner_id)

    async def _opened(
        self, reader: _PageFor, text: str | None
    ) -> Cursor | CursorRefused | CursorGone | None:
        """Return a reader's position; None: it has read nothing."""
        subscription = reader.subscription
        if text is None or text == EARLIEST:
            return None
        if text == LATEST:
            return await self._head(reader)
        cursor = self._handed_out.of(subscription.id, text)
        if cursor is None:
            opened = self._ports.seal.open(subscription.id, text)
            if isinstance(opened, str):
                return CursorRefused(opened)
            cursor = read_cursor(opened)
        if cursor is None:
            return CursorRefused(
                "the cursor is of another release of hookstream: begin without one"
            )
        if cursor.active_from != subscription.active_from:
            return _gone(subscription.id)
        return cursor

    async def _head(self, reader: _PageFor) -> Cursor:
        """Return the end of the log, from the shared tail if possible, which then serves this reader."""
        self._tail.want(reader.subscription.id)
        until = self._clock.monotonic() + _HEAD_SECONDS
        while self._clock.monotonic() < until:
            head = self._tail.head(reader.subscription, reader.partner)
            if head is not None:
                return head
            await asyncio.sleep(_HEAD_AGAIN)
        return await self._log.end(reader.subscription.active_from)

    async def _fresh(
        self, reader: _PageFor, at: Cursor | None, limit: int
    ) -> tuple[PullPiece, asyncio.Event | None] | PullRefusal:
        """Return a piece that was made by the tables as they are afterwards too."""
        for _ in range(_TRIES):
            found = await self._piece(reader, at, limit)
            if isinstance(found, Busy):
                return found
            now = self._reader(reader.subscription.id, reader.asked_by)
            if not isinstance(now, _PageFor):
                return now
            if now.subscription is reader.subscription and now.partner is reader.partner:
                return found
            if now.subscription.active_from != reader.subscription.active_from:
                return _gone(reader.subscription.id)
            reader = now
        return NotNow(
            "the subscription or its grant changes all the time", _TABLES_AGAIN, "tables"
        )

    async def _piece(
        self, reader: _PageFor, at: Cursor | None, limit: int
    ) -> tuple[PullPiece, asyncio.Event | None] | Busy:
        """Return the piece after a cursor, and the event that is set when there is more."""
        subscription, partner = reader.subscription, reader.partner
        self._tail.want(subscription.id)
        # An event type that is held is a barrier, which only the reading of the log knows.
        if at is not None and not self._directory.holds.any:
            view = self._tail.view(subscription, partner, at)
            if view is not None:
                return await self._of_tail(reader, at, view, limit), view.signal
        piece = await self._log.read(subscription, partner, at, limit)
        if isinstance(piece, Busy):
            return piece
        return piece, None

    async def _of_tail(
        self, reader: _PageFor, at: Cursor, view: TailView, limit: int
    ) -> PullPiece:
        """Return the page that the shared tail has for a reader."""
        subscription = reader.subscription
        reading = Reading(dict(view.next), view.ids)
        piece = PullPiece(at)
        if view.waits_for_schema:
            piece.waits.add(WaitReason.UNKNOWN_SCHEMA)
        done = 0
        at_once = max(limit, _RENDERED_AT_ONCE)
        while done < len(view.wanted) and not piece.has(limit):
            wanted = view.wanted[done : done + at_once]
            entries = await self._entries(reader, wanted)
            for entry in entries:
                if entry is not None and piece.has(limit):
                    break
                piece.add(entry)
                done += 1
        for each, _ in view.wanted[done:]:
            if each.record.where not in reading.cut:
                reading.stop(each.record.where, each.record.offset)
        piece.has_more = done < len(view.wanted)
        piece.cursor = reading.cursor(subscription.active_from)
        return piece

    async def _entries(self, reader: _PageFor, wanted: Sequence[Queued]) -> list[Shown]:
        """Return what is shown of records, in their order."""
        subscription = reader.subscription
        events = [
            (kept.read, match)
            for kept, match in wanted
            if isinstance(kept.read, ReadEvent) and match is not None
        ]
        shown = iter(await self._renderer.matched(subscription, events, self._clock.now()))
        return [
            self._renderer.skipped(subscription, reader.partner, kept.record, kept.read)
            if isinstance(kept.read, CannotBeRead)
            else next(shown)
            for kept, _ in wanted
        ]

    def _sealed(self, subscription_id: str, piece: PullPiece) -> PullPage:
        payload = encoded(piece.cursor)
        if isinstance(payload, TooManyPartitions):
            raise ConfigurationError(
                f"the event topics have {payload.partitions:,} partitions, more than a cursor has room for:"
                " the pull door cannot serve this cluster"
            )
        text = self._ports.seal.seal(subscription_id, payload)
        self._handed_out.note(subscription_id, text, piece.cursor)
        waits = tuple(sorted(piece.waits))
        return PullPage((*piece.gaps, *piece.entries), text, piece.has_more, waits, piece.read)


def _absent(subscription_id: str) -> NoSuchSubscription:
    return NoSuchSubscription(f"there is no subscription {subscription_id!r}")


def _gone(subscription_id: str) -> CursorGone:
    return CursorGone(
        f"subscription {subscription_id!r} was deleted and created again since the cursor was made:"
        " begin without one"
    )


async def _wait(signal: asyncio.Event | None, seconds: float) -> None:
    """Wait until there may be more."""
    if signal is None:
        await asyncio.sleep(min(seconds, _LOOK_AGAIN))
        return
    try:
        async with asyncio.timeout(seconds):
            await signal.wait()
    except TimeoutError:
        return
