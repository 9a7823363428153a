"""The progress of a replay, as its job's row stores it for the next executor.

It is committed in one transaction with the records of a step. So each record of the past is written once, however
often executors die.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hookstream.core.model.json import JsonObject
from hookstream.core.model.row_fields import OBJECT, WHOLE, WrongType
from hookstream.core.replay.extent import (
    Extent,
    LostOffsets,
    offset_of,
    partition_of,
    read_extent,
)
from hookstream.core.replay.outstanding import Outstanding, read_outstanding
from hookstream.errors import InputRefused


class Revisions(NamedTuple):
    """The rows by which the last step was judged; 0: not known."""

    subscription: int = 0
    partner: int = 0


@dataclass(slots=True, frozen=True)
class Reached:
    """The progress of a replay."""

    extent: Extent | None = None
    """What is still to be read; None: its ends are not fixed yet."""
    audit: Mapping[int, int] | None = None
    """By partition of the audit log that has the subscription's records: the next offset. None: it is
    not known yet, as nothing was written."""
    out: Outstanding = field(default_factory=Outstanding)
    revisions: Revisions = field(default_factory=Revisions)
    lost: int = 0
    """How many offsets were gone before they were read."""
    too_large: int = 0
    """How many events could not be written, as they are too large for a retry topic."""

    @property
    def is_read(self) -> bool:
        """Whether everything up to the ends was read and written."""
        return self.extent is not None and not self.extent.spans

    @property
    def is_incomplete(self) -> bool:
        """Whether a record of the interval was neither replayed nor left out deliberately."""
        return bool(self.lost or self.too_large)

    def losing(self, lost: list[LostOffsets]) -> "Reached":
        """Return it with these offsets counted as lost."""
        return replace(self, lost=self.lost + sum(each.end - each.first for each in lost))

    def document(self) -> JsonObject:
        """Return it as JSON, for the job's row."""
        return {
            "extent": None if self.extent is None else self.extent.document(),
            "audit": None
            if self.audit is None
            else {str(partition): offset for partition, offset in self.audit.items()},
            "out": self.out.document(),
            "revisions": list(self.revisions),
            "lost": self.lost,
            "too_large": self.too_large,
        }


def read_reached(found: JsonObject) -> Reached:
    """Read how far a replay is; an empty object is its beginning.

    Raises:
        InputRefused: It cannot be read: what was written already is not known.
    """
    if not found:
        return Reached()
    try:
        return _read(found)
    except WrongType as why:
        raise InputRefused(f"how far the replay is cannot be read: it {why}") from None


def _read(found: JsonObject) -> Reached:
    extent, audit = found.get("extent"), found.get("audit")
    match found.get("revisions"):
        case [subscription, partner]:
            revisions = Revisions(WHOLE.read(subscription), WHOLE.read(partner))
        case _:
            raise WrongType("has no revisions")
    return Reached(
        None if extent is None else read_extent(extent),
        None if audit is None else _audit(OBJECT.read(audit)),
        read_outstanding(found.get("out")),
        revisions,
        WHOLE.read(found.get("lost")),
        WHOLE.read(found.get("too_large")),
    )


def _audit(found: JsonObject) -> dict[int, int]:
    return {partition_of(partition): offset_of(offset) for partition, offset in found.items()}
