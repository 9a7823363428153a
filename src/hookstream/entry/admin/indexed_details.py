"""Collects the details of a delivery from the index, with the records in the log that may still have its event."""

from hookstream.adapters.index.answers import DeliveryAnswer
from hookstream.adapters.kafka.scan import LogScan
from hookstream.core.model.record import Record
from hookstream.core.redrive.marks import Position, RedriveSource, read_position
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.deliveries import DeliveryDetails
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError
from hookstream.settings import Settings

_MOST_RECORDS = 20
"""The most records that are read."""


def details_of_answer(settings: Settings, found: DeliveryAnswer) -> DeliveryDetails:
    """Return the details of a delivery that the index knows. Blocks.

    Args:
        settings: The cluster.
        found: What the index has of it; the records that it names are read, the newest ones.

    Raises:
        DependencyUnavailable: The cluster does not answer.
    """
    records: list[Record] = []
    for pending in found.pending[:_MOST_RECORDS]:
        records += _at(settings, pending.topic, pending.partition, pending.offset)
    dead_letters = DeadLetterReader(settings, RedriveSource.DEAD_LETTERS)
    for death in found.history.deaths[-_MOST_RECORDS:][::-1]:
        position: Position | None = read_position(death.place)
        if position is not None:
            records += _at(settings, dead_letters.topic, position.partition, position.offset)
    return DeliveryDetails(
        found.history.delivery_id, found.history, found.pending, (), tuple(records)
    )


def _at(settings: Settings, topic: str, partition: int, offset: int) -> list[Record]:
    try:
        record = LogScan(reached(settings), topic).at(partition, offset)
    except ConfigurationError:
        # The topic is gone, and the record with it.
        return []
    return [] if record is None else [record]
