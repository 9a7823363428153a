"""The ports of the pull door, and its bounds."""

from dataclasses import dataclass
from typing import Protocol

from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import HOUR, Millis
from hookstream.pipeline.past_ports import PastLog
from hookstream.pipeline.ports import Clock, Codec, Logger, Offload, PublicKeySigning, Tables


class CursorSeal(Protocol):
    """Seals cursors, so that nobody can read or change them."""

    def seal(self, subscription_id: str, payload: bytes) -> str:
        """Return the text of a cursor of one subscription."""

    def open(self, subscription_id: str, text: str) -> bytes | str:
        """Return what was sealed for this subscription; as text, why that cannot be done."""


@dataclass(slots=True, frozen=True)
class PullPorts:
    """What serves the pull door."""

    log: PastLog
    directory: Directory
    """As the tables are; its subscriptions' secrets are decrypted."""
    tables: Tables
    codec: Codec
    offload: Offload
    clock: Clock
    seal: CursorSeal
    public_key_signing: PublicKeySigning
    logger: Logger


@dataclass(slots=True, frozen=True)
class PullRules:
    """The bounds of the pull door."""

    schema_grace: Millis = HOUR
    """How long a record waits for its schema before it is skipped."""
    max_body_bytes: int = 1_048_576
    """The largest body that is shown."""
    readers: int = 8
    """Readers behind the head that read at once, each with a consumer of its own."""
    reading_seconds: float = 0.2
    """How long one answer may read behind the head, from its first record on."""
    reading_records: int = 20_000
    """How many records one answer may read there."""
    tail_bytes: int = 64 * 1024 * 1024
    """The memory that the shared tail may take, estimated from the sizes of records."""
    tail_records: int = 20_000
    """The most records that the shared tail keeps."""
    linger: float = 0.05
    """How long the shared tail gathers records before it shows them, in seconds."""
