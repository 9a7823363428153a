"""Writes schemas of registries as rows of the schemas table, each once by one worker.

1. Opening the writer fences every older one; only then is the table read. Missing rows are written in one
   transaction, so no row is ever overwritten, even if several workers resolve the same id at the same time.
2. A worker that was fenced retries after a while, and usually finds the row then.

A process that dies in between has written all rows or none. Its open transaction hides later records for five
seconds at most, or until another worker resolves a schema.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

from hookstream.adapters.avro.registered import registered_row, same_schema
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.client import ClientSettings
from hookstream.adapters.kafka.tables.writer import TableChange, TableWriter
from hookstream.core.catalog.registry_answers import unusable
from hookstream.core.model.registered import (
    RegisteredId,
    RegisteredSchema,
    RegistryAnswer,
    Unreachable,
)
from hookstream.core.model.topics import Topics
from hookstream.errors import HookstreamError, InputRefused, ProducerFenced
from hookstream.pipeline.ports import Logger
from hookstream.pipeline.row_checks import log_difference

T = TypeVar("T")

_TRIES = 8
_FIRST_PAUSE = 0.2
"""Seconds until a fenced worker retries, half of it random; doubled each time."""


class RegisteredRows:
    """Fits `SchemaRows`. Owned by the event loop.

    Args:
        client: librdkafka's settings.
        topics: The names of tables and transactional ids.
        book: Knows a schema as soon as its row is durable.
        logger: The log.
        fraction: Draws a number from 0 to 1.
        registries: The names of the registries that the settings have.
    """

    def __init__(
        self,
        client: ClientSettings,
        topics: Topics,
        book: SchemaBook,
        logger: Logger,
        fraction: Callable[[], float],
        registries: Collection[str] = (),
    ) -> None:
        self._client = client
        self._topics = topics
        self._book = book
        self._logger = logger
        self._fraction = fraction
        self._registries = registries
        self._one = asyncio.Lock()
        self._pending: dict[RegisteredId, bytes] = {}
        """Rows to be written by the next holder of the lock."""

    async def add(self, schema: RegisteredId, fetched: RegisteredSchema) -> RegistryAnswer:
        """See `SchemaRows.add`."""
        try:
            value = registered_row(schema, fetched.tree)
        except InputRefused as refused:
            return unusable(schema, str(refused))
        self._pending[schema] = value
        problem: str | None = None
        async with self._one:
            if self._book.registered.tree(schema) is None:
                problem = await self._write_pending()
        self._pending.pop(schema, None)
        return self._answer(schema, fetched, problem)

    def known(self) -> Sequence[RegisteredId]:
        """See `SchemaRows.known`."""
        return [each for each in self._book.registered if each.registry in self._registries]

    def differs(self, schema: RegisteredId, fetched: RegisteredSchema) -> bool:
        """See `SchemaRows.differs`."""
        tree = self._book.registered.tree(schema)
        return tree is not None and not same_schema(tree, fetched.tree)

    def _answer(
        self, schema: RegisteredId, fetched: RegisteredSchema, problem: str | None
    ) -> RegistryAnswer:
        tree = self._book.registered.tree(schema)
        if tree is None:
            return Unreachable(
                f"its answer cannot be written to {self._topics.schemas}: {problem or 'no row'}"
            )
        if not same_schema(tree, fetched.tree):
            log_difference(self._logger, schema)
        return RegisteredSchema(tree)

    async def _write_pending(self) -> str | None:
        """Write pending rows, and add them to the book; return why that failed."""
        pause, problem = _FIRST_PAUSE, None
        for _ in range(_TRIES):
            wanted = dict(self._pending)
            try:
                rows = await _in_thread(partial(self._written, wanted))
            except ProducerFenced:
                problem = "other workers write at the same time"
                await asyncio.sleep(pause * (0.5 + self._fraction() / 2))
                pause *= 2
            except HookstreamError as error:
                return str(error)
            else:
                for schema, value in rows.items():
                    problem = self._book.put(schema.key, value)
                    self._pending.pop(schema, None)
                return problem
        return problem

    def _written(self, wanted: Mapping[RegisteredId, bytes]) -> dict[RegisteredId, bytes]:
        """Write the rows that the table lacks; return all of them as the table has them. Blocks.

        Raises:
            ProducerFenced: Another worker took over.
            HookstreamError: The table could not be read or written.
        """
        topic = self._topics.schemas
        with TableWriter(self._client, self._topics.registry_writer, (topic,), topic) as writer:
            table = writer.snapshot[topic]
            lacking = [
                TableChange(topic, schema.key, value)
                for schema, value in wanted.items()
                if schema.key not in table
            ]
            if lacking:
                writer.write(lacking)
            found = {schema: writer.snapshot[topic].get(schema.key) for schema in wanted}
        return {
            schema: row.value
            for schema, row in found.items()
            if row is not None and row.value is not None
        }


async def _in_thread(act: Callable[[], T]) -> T:
    """Return what a blocking call returns, or raise what it raises.

    The thread is a daemon: a hanging broker must not keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # of act, if there is no error

    def run() -> None:
        result, failed = None, None
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001  the caller raises it
            failed = error
        try:
            loop.call_soon_threadsafe(finish, result, failed)
        except RuntimeError:
            # The loop is closed: nothing waits for it any more.
            return

    threading.Thread(target=run, name="registry-rows", daemon=True).start()
    return await done
