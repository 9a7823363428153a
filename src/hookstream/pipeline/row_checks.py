"""Compares rows of registries' schemas with what the registries say now, and raises what differs.

A registry that was restored may have given an id to another schema. The row stays, since old records
were written with it; but somebody must know that new ones are not.
"""

import asyncio
from collections.abc import Callable

from hookstream.core.model.registered import RegisteredId, RegisteredSchema
from hookstream.pipeline.ports import Logger
from hookstream.pipeline.registry_ports import SchemaRegistries, SchemaRows

_EVERY = 600.0
"""Seconds between two rounds over all rows."""
_FIRST = 5.0
"""Seconds until the first one."""
_BETWEEN = 0.5
"""Seconds between two requests."""


class RowChecks:
    """The loop over all rows. Nothing waits for it, and what a registry does not answer is left out."""

    def __init__(
        self,
        registries: SchemaRegistries,
        rows: SchemaRows,
        logger: Logger,
        note: Callable[[Exception], None],
    ) -> None:
        """Hand defects to `note`."""
        self._registries = registries
        self._rows = rows
        self._logger = logger
        self._note = note

    async def run(self) -> None:
        """Check until cancelled."""
        await asyncio.sleep(_FIRST)
        while True:
            for schema in self._rows.known():
                await self._check(schema)
                await asyncio.sleep(_BETWEEN)
            await asyncio.sleep(_EVERY)

    async def _check(self, schema: RegisteredId) -> None:
        try:
            answer = await self._registries.fetch(schema)
            differs = isinstance(answer, RegisteredSchema) and self._rows.differs(schema, answer)
        except Exception as error:  # noqa: BLE001  the fence: nothing waits for this
            self._note(error)
            return
        if differs:
            log_difference(self._logger, schema)


def log_difference(logger: Logger, schema: RegisteredId) -> None:
    """Log that a registry has another schema of an id than its row."""
    logger.error(
        "registry.differs",
        registry=schema.registry,
        schema=schema.id,
        detail="the registry has another schema of this id than the row that was written"
        " first, which stays: new records of this id are misread",
        remedy="if the registry was restored with other ids, give it another name than"
        f" {schema.registry} in the settings",
    )
