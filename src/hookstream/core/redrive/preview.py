"""A preview's token fixes what an act on many records takes: it has the ends and the selector.

Whoever saw the counts of a dry run can have exactly those records redriven or purged later, and nothing
that came after. The token is self-contained, since nothing is written by a dry run. It is no secret
and grants nothing: a checksum finds one that was copied in part.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from hookstream.core.model.json import JsonObject
from hookstream.core.model.row_fields import (
    OBJECT,
    TEXT,
    WHOLE,
    FieldKind,
    FieldUnreadable,
    RowFields,
    parsed,
)
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.marks import MAX_OFFSET, RedriveSource
from hookstream.errors import InputRefused

MAX_TOKEN = 65_536
"""The most characters of a token: an argument of a command may have twice as many."""
_MAX_JSON = 1024 * 1024
_PREFIX = "preview1-"
_CHECKSUM_BYTES = 8
_MAX_PARTITION = 10**9


class BulkAct(StrEnum):
    """What is done to many records at once."""

    REDRIVE = "redrive"
    PURGE = "purge"


@dataclass(slots=True, frozen=True)
class Preview:
    """What a dry run counted, and of what."""

    act: BulkAct
    source: RedriveSource
    topic_id: str
    """The id that the brokers gave the topic, in hex digits, which tells it from one of the same name
    elsewhere, or created later; empty: the brokers have none."""
    selector: JsonObject
    """As `Selector.row` writes it."""
    ends: Mapping[int, int]
    """The end offset of each partition: nothing at or after it is taken."""
    total: int
    """How many records were selected."""

    @property
    def topic_ends(self) -> TopicEnds:
        """Where the topic ended when it was counted."""
        return TopicEnds(self.ends, self.topic_id)

    def token(self) -> str | None:
        """Return the token; None: it would be longer than `MAX_TOKEN`, as with very many conditions."""
        row = json.dumps(_PREVIEW.document(self), separators=(",", ":")).encode()
        packed = zlib.compress(row, 9)
        token = _PREFIX + _encoded(_checksum(packed) + packed)
        return token if len(token) <= MAX_TOKEN and len(row) <= _MAX_JSON else None

    def refuse_other(
        self, act: BulkAct, source: RedriveSource, topic_id: str, selector: JsonObject
    ) -> None:
        """Refuse to use the preview for something else than what was previewed.

        Args:
            act: What is to be done.
            source: The topic.
            topic_id: Its id now.
            selector: The conditions that were given with the token; empty: those of the preview.

        Raises:
            InputRefused: Something differs; the message says what.
        """
        if (act, source) != (self.act, self.source):
            raise InputRefused(
                f"the preview is of a {self.act} of {self.source}, not of a {act} of {source}"
            )
        if topic_id != self.topic_id:
            raise InputRefused(
                "the preview is of another topic, on another cluster or created again since then: make a"
                " new one with --dry-run"
            )
        if selector and selector != self.selector:
            raise InputRefused(
                "the preview has other conditions: leave them out, the token has them. They are:"
                f" {json.dumps(self.selector)}"
            )

    def refuse_more(self, total: int) -> None:
        """Refuse to take more records than the preview counted.

        Raises:
            InputRefused: More of them are to be taken now, as when a subscription was enabled since.
        """
        if total > self.total:
            raise InputRefused(
                f"the preview counted {self.total:,}, and {total:,} would be taken now: make a new"
                " one with --dry-run"
            )


def read_preview(token: str) -> Preview:
    """Read a token.

    Raises:
        InputRefused: It is none, it is damaged, or a newer release made it.
    """
    if not token.startswith(_PREFIX):
        raise InputRefused(f"the token of a preview begins with {_PREFIX}: --dry-run prints it")
    if len(token) > MAX_TOKEN:
        raise InputRefused(
            f"the token of a preview has at most {MAX_TOKEN:,} characters, this one"
            f" {len(token):,}: copy what --dry-run printed, alone"
        )
    try:
        packed = _unpacked(token)
        return Preview(**_PREVIEW.values(OBJECT.read(json.loads(packed))))
    except FieldUnreadable as why:
        raise InputRefused(f"the preview needs another release: {why}") from None
    except (ValueError, RecursionError, zlib.error):
        raise InputRefused("the token of the preview is damaged: copy it whole") from None


def _unpacked(token: str) -> bytes:
    text = token.removeprefix(_PREFIX)
    whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    checksum, packed = whole[:_CHECKSUM_BYTES], whole[_CHECKSUM_BYTES:]
    if checksum != _checksum(packed) or text != _encoded(whole):
        raise ValueError
    # Bounded, since a few bytes can be packed that become gigabytes.
    unpacked = zlib.decompressobj().decompress(packed, _MAX_JSON + 1)
    if len(unpacked) > _MAX_JSON:
        raise ValueError
    return unpacked


def _encoded(whole: bytes) -> str:
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


def _checksum(packed: bytes) -> bytes:
    return sha256(packed).digest()[:_CHECKSUM_BYTES]


def _ends(found: object) -> dict[int, int]:
    ends = {int(partition): WHOLE.read(end) for partition, end in OBJECT.read(found).items()}
    if not all(0 <= at < _MAX_PARTITION and 0 <= end <= MAX_OFFSET for at, end in ends.items()):
        raise ValueError("an offset is out of bounds")
    return ends


def _topic_id(found: object) -> str:
    text = TEXT.read(found)
    whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if text != _encoded(whole):
        raise ValueError("it is not the id of a topic")
    return whole.hex()


_PREVIEW = RowFields(
    act=parsed(BulkAct),
    topic=parsed(RedriveSource).into("source"),
    # Kafka's own text of an id, which is shorter.
    topic_id=FieldKind(_topic_id, lambda topic_id: _encoded(bytes.fromhex(topic_id))),
    selector=OBJECT,
    ends=FieldKind(_ends, dict),
    total=WHOLE,
)
