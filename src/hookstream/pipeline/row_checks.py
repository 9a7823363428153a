"""Compares the rows of registries' schemas with the registries, and raises an alarm for each difference.

A registry that was restored may have given an id to another schema. The row stays, since old records were
written with it; but operators must know that new records were not.
"""

import asyncio
from collections.abc import Callable

from hookstream.core.model.registered import RegisteredId, RegisteredSchema
from hookstream.pipeline.ports import Logger
from hookstream.pipeline.registry_ports import SchemaRegistries, SchemaRows

_EVERY = 600.0
"""Seconds between two rounds over all rows."""
_FIRST = 5.0
"""Seconds until the first round."""
_BETWEEN = 0.5
"""Seconds between two requests."""


class RowChecks:
    """The loop over all rows. Nothing waits for it, and rows without an answer of their registry are left out."""

    def __init__(
        self,
        registries: SchemaRegistries,
        rows: SchemaRows,
        logger: Logger,
        note: Callable[[Exception], None],
    ) -> None:
        """Report defects to `note`."""
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
    """Log that a registry returns a different schema for an id than its row has."""
    logger.error(
        "registry.differs",
        registry=schema.registry,
        schema=schema.id,
        detail="the registry returns a different schema for this id than the stored row. The row"
        " stays, so new records with this id are decoded with the wrong schema",
        remedy="if the registry was restored with other ids, give it another name than"
        f" {schema.registry} in the settings",
    )
