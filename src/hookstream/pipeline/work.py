"""A unit of work is one unsettled delivery in a worker: its state, its event and its receipt."""

from dataclasses import dataclass, field

from hookstream.core.model.delivery import Delivery
from hookstream.core.model.event import Event
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.subscription import Partner
from hookstream.pipeline.defects import BLAMED, Step, described
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Codec


@dataclass(slots=True, eq=False)
class Bodies:
    """The bodies of one event, each rendered once and shared by every delivery of it.

    A thread may make one while the event loop looks for another.
    """

    _codec: Codec
    event: Event
    _documents: dict[int, JsonObject | Refused] = field(default_factory=dict)
    _encoded: dict[int, bytes] = field(default_factory=dict)

    def has(self, version: int) -> bool:
        """Return whether the body of a version was encoded before."""
        return version in self._encoded

    def document(self, version: int) -> JsonObject | Refused:
        """Return the `standard` body at a version as plain JSON."""
        document = self._documents.get(version)
        if document is None:
            try:
                document = self._codec.document(self.event, version)
            except BLAMED[Step.RENDER] as error:
                document = Refused(RefusalReason.NOT_RENDERABLE, described(error))
            self._documents[version] = document
        return document

    def encoded(self, version: int) -> bytes | Refused:
        """Return the exact bytes of the `standard` body at a version."""
        body = self._encoded.get(version)
        if body is not None:
            return body
        document = self.document(version)
        if isinstance(document, Refused):
            return document
        try:
            body = self._encoded[version] = self._codec.encode(document)
        except BLAMED[Step.ENCODE] as error:
            return Refused(RefusalReason.NOT_RENDERABLE, described(error))
        return body


@dataclass(slots=True, frozen=True)
class MadeBody:
    """A body that a thread made for a partner and version, or why there is none."""

    partner: Partner | None
    version: int
    body: bytes | Refused


@dataclass(slots=True)
class Work:
    """One unsettled delivery, which has one reference to its receipt."""

    delivery: Delivery
    bodies: Bodies
    receipt: Receipt
    made: MadeBody | None = None
    """What the next attempt sends, where a thread made it."""
    credited: bool = False
    """Whether it took credit of the budget."""

    @property
    def event(self) -> Event:
        """The decoded event."""
        return self.bodies.event
