"""Follows the tables and knows at any time whether the records that it handed over are complete.

A table is current if it was read to the high watermark that the broker returned to a request of the
last 1.5 s, made every half second. Events are matched and requests are made only then.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from hookstream.adapters.kafka.client import (
    ClientSettings,
    LastingFailure,
    admin_client,
    lasting,
)
from hookstream.adapters.kafka.loop_bridge import LoopBridge
from hookstream.adapters.kafka.scan import LogReader
from hookstream.adapters.kafka.tables.log import (
    TABLES_GROUP,
    Offsets,
    TableRecord,
    require_topics,
    table_error,
    table_offsets,
    table_record,
)
from hookstream.core.model.freshness import FRESH_FOR, LONG_AGO, Moment, age
from hookstream.core.model.record import TopicPartition
from hookstream.errors import DependencyUnavailable, HookstreamError, InvariantBroken
from hookstream.pipeline.ports import Clock, Logger

_CLOSE_SECONDS = 5.0
_ASK_SECONDS = 0.5
"""How often the high watermarks are requested."""
_BEHIND_SECONDS = 0.05
"""How long a poll waits while tables have more: the rest may be a marker, for which no poll returns."""
_ASKS_KEPT = 16
_REPLACE_SECONDS = 10.0
"""How long the client that requests them may fail before another replaces it: a client that assumes
that a partition has no leader may do so until its metadata expires, a quarter of an hour later."""


class TableReader:
    """Follows the tables from their beginning, on one thread, and hands records to the loop.

    Made on the loop.

    Args:
        client: librdkafka's settings.
        topics: Compacted topics of one partition each.
        on_records: Called on the loop with the next records, in each topic's order; an exception
            ends the reader.
        logger: The log, written from the reader's thread too.
        clock: Measures how old the tables are.
        admin: Makes the client that requests the topics' ends.
    """

    def __init__(
        self,
        client: ClientSettings,
        topics: Sequence[str],
        on_records: Callable[[Sequence[TableRecord]], None],
        logger: Logger,
        clock: Clock,
        admin: Callable[[ClientSettings], AdminClient] = admin_client,
    ) -> None:
        self._make_admin = admin
        self._client = client
        self._topics = tuple(topics)
        self._on_records = on_records
        self._logger = logger
        self._clock = clock
        # Logged at once, so that an operator who starts a worker sees the reason for its wait.
        self._no_broker = LastingFailure("tables.wait_for_broker", logger, clock, patience=0.0)
        self._stale = LastingFailure("tables.stale", logger, clock)
        self._stop = threading.Event()
        self._ask_now = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tables", daemon=True)
        # The following belongs to the loop.
        self._positions: Offsets = {TopicPartition(topic, 0): 0 for topic in self._topics}
        self._asks: deque[tuple[Moment, Offsets]] = deque(maxlen=_ASKS_KEPT)
        self._current_at = LONG_AGO
        """The time of the latest request whose answer the tables have reached."""
        self._waiting: list[tuple[Moment, asyncio.Future[None]]] = []
        loop = asyncio.get_running_loop()
        self._bridge = LoopBridge(loop, self._broken)
        self.failed: asyncio.Future[None] = loop.create_future()
        """Fails when the reader ends without having been closed; never has a result."""
        # Retrieved here, so that asyncio does not warn of a failure that is not awaited yet.
        self.failed.add_done_callback(lambda done: done.cancelled() or done.exception())

    def start(self) -> None:
        """Begin to read. `read_to_end` returns when the tables are complete."""
        self._thread.start()

    async def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """End the thread; it is abandoned if it does not end within so many seconds."""
        if self._stop.is_set():
            return
        self._stop.set()
        await asyncio.to_thread(self._thread.join, seconds)
        if not self.failed.done():
            self.failed.cancel()

    async def read_to_end(self, deadline: float) -> None:
        """Wait until everything that the tables had at this call was handed over.

        Args:
            deadline: Seconds to wait at most.

        Raises:
            ConfigurationError: A table's topic does not exist, or may not be read.
            DependencyUnavailable: The deadline passed, the broker cannot be reached, or the reader was closed.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((self._clock.moment(), done))
        self._ask_now.set()
        try:
            async with asyncio.timeout(deadline):
                await asyncio.wait((done, self.failed), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise DependencyUnavailable(
                f"the tables could not be read to their ends within {deadline:g} s: {self._lag()}"
            ) from None
        finally:
            self._waiting = [waiting for waiting in self._waiting if waiting[1] is not done]
        if not done.done():
            if self.failed.cancelled():  # by `close`: nobody cancelled who waits here
                raise DependencyUnavailable("the tables are not followed any more")
            self.failed.result()

    def current(self) -> bool:
        """As Tables says."""
        return age(self._current_at, self._clock.moment()) <= FRESH_FOR

    def age(self) -> float:
        """Return the seconds since all tables were known to be complete; infinite before."""
        return age(self._current_at, self._clock.moment())

    def reached(self, topic: str, offset: int) -> bool:
        """Return whether the record at an offset of a table was handed over."""
        return self._positions[TopicPartition(topic, 0)] > offset

    # On the loop.

    async def _take(self, records: Sequence[TableRecord], positions: Offsets) -> None:
        if records:
            self._on_records(records)
        self._positions.update(positions)
        self._settle_asks()

    def _asked(self, at: Moment, ends: Offsets) -> None:
        self._asks.append((at, ends))
        self._settle_asks()

    def _settle_asks(self) -> None:
        while self._asks and all(
            self._positions[at] >= end for at, end in self._asks[0][1].items()
        ):
            self._current_at, _ = self._asks.popleft()
        for since, done in self._waiting:
            if since.boot <= self._current_at.boot and not done.done():
                done.set_result(None)

    def _broken(self, error: Exception) -> None:
        broken = InvariantBroken(f"a table record could not be taken: {error!r}")
        broken.__cause__ = error
        self._fail(broken)

    def _fail(self, error: HookstreamError) -> None:
        self._current_at = LONG_AGO
        if not self.failed.done():
            self._logger.error("tables.failed", detail=str(error))
            self.failed.set_exception(error)

    def _lag(self) -> str:
        if not self._asks:
            return "their high watermarks are not known"
        _, ends = self._asks[-1]
        return ", ".join(
            f"{at.topic} is at {self._positions[at]} of {end}"
            for at, end in ends.items()
            if self._positions[at] < end
        )

    # On the thread.

    def _run(self) -> None:
        try:
            self._follow()
        except HookstreamError as error:
            self._bridge.post(self._fail, error)
        except KafkaException as error:
            self._bridge.post(self._fail, table_error(error))
        except Exception as error:  # noqa: BLE001  an error of the caller's code must end the process
            self._bridge.post(self._broken, error)

    def _follow(self) -> None:
        self._admin = self._make_admin(self._client)
        self._answered_at = self._clock.monotonic()
        self._ends: Offsets = {}
        """The high watermarks of the last answer."""
        starts = self._find_starts()
        if starts is None:
            return
        self._hand_over((), starts)
        next_ask = 0.0
        client = lasting(self._client)
        with LogReader(client, starts, group=TABLES_GROUP, logger=self._logger) as log:
            while not self._stop.is_set():
                behind = any(log.next[at] < end for at, end in self._ends.items())
                records = log.poll(seconds=_BEHIND_SECONDS) if behind else log.poll()
                if records is None and behind and log.skip_markers():
                    records = []
                if records is not None:
                    self._hand_over([table_record(record) for record in records], dict(log.next))
                now = self._clock.monotonic()
                if now >= next_ask or self._ask_now.is_set():
                    self._ask_now.clear()
                    next_ask = now + _ASK_SECONDS
                    self._ask()

    def _find_starts(self) -> Offsets | None:
        """Wait for the broker, check the topics and return their log starts; None: closed."""
        while not self._stop.is_set():
            try:
                require_topics(self._admin, self._topics, timeout=1.0)
                starts = table_offsets(self._admin, self._topics, "earliest", timeout=1.0)
            except DependencyUnavailable as error:
                self._no_broker.lasts(str(error))
                self._ask_by_another()
            else:
                self._no_broker.over()
                return starts
        return None

    def _ask(self) -> None:
        # Taken before the request is sent: its answer describes the tables at that moment or later.
        asked = self._clock.moment()
        try:
            ends = table_offsets(self._admin, self._topics, "latest", timeout=1.0)
        except DependencyUnavailable as error:
            self._stale.lasts(str(error))
            self._ask_by_another()
            return
        self._stale.over()
        self._answered_at = self._clock.monotonic()
        self._ends = ends
        self._bridge.post(self._asked, asked, ends)

    def _ask_by_another(self) -> None:
        """Replace the client that makes the requests if it has failed for too long."""
        now = self._clock.monotonic()
        if now - self._answered_at >= _REPLACE_SECONDS:
            self._answered_at = now
            self._admin = self._make_admin(self._client)

    def _hand_over(self, records: Sequence[TableRecord], positions: Offsets) -> None:
        """Hand a batch to the loop and wait until it was taken, so that batches do not pile up."""
        taken = self._bridge.submit(self._take(records, positions))
        while not self._stop.is_set():
            try:
                return taken.result(0.2)
            except TimeoutError:
                # The loop is busy or has ended, unless `_take` itself raised a TimeoutError.
                if taken.done():
                    raise
        return None
