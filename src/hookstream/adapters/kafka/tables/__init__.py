"""The compacted topics, read into memory and written by one writer at a time."""

from hookstream.adapters.kafka.tables.log import TableRecord, apply_records, read_tables
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.kafka.tables.writer import TableChange, TableWriter

__all__ = [
    "TableChange",
    "TableReader",
    "TableRecord",
    "TableWriter",
    "apply_records",
    "read_tables",
]
