"""A unit of work: one unsettled delivery in a worker, with its state, its event and its receipt."""

from dataclasses import dataclass, field

from hookstream.core.delivery.bodies.formats import SharedFormat, data_of, head_of, with_data
from hookstream.core.delivery.bodies.standard import identity
from hookstream.core.delivery.bodies.template import Reveal, Template
from hookstream.core.lanes.halving import Halving
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.event import Event
from hookstream.core.model.json import JsonObject, Paths
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.subscription import Content, Partner, Subscription
from hookstream.pipeline.defects import BLAMED, Step, described
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Codec


@dataclass(slots=True, eq=False)
class Bodies:
    """The bodies of one event, each made once and shared by every delivery of it.

    Only bodies of a subscription's template are made for each delivery. A thread may make a body while the
    event loop looks up another.
    """

    _codec: Codec
    event: Event
    _documents: dict[int, JsonObject | Refused] = field(default_factory=dict)
    _encoded: dict[int | tuple[int, SharedFormat, Content], bytes] = field(default_factory=dict)
    """The full `standard` body by version, every other one by version, format and content."""

    def has(self, version: int) -> bool:
        """Return whether the `standard` body of a version is encoded already.

        If it is, bodies in other shared formats take little time, however large the event is.
        """
        return version in self._encoded or self._codec.body(self.event, version) is not None

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

    def excerpt(self, version: int, paths: Paths) -> JsonObject | Refused:
        """Return the parts of the `standard` body at a version that patterns with these paths need."""
        if version in self._documents:
            return self._documents[version]
        try:
            part = self._codec.excerpt(self.event, version, paths)
        except BLAMED[Step.RENDER] as error:
            return Refused(RefusalReason.NOT_RENDERABLE, described(error))
        return self.document(version) if part is None else part

    def standard(self, version: int) -> bytes | Refused:
        """Return the exact bytes of the `standard` body in full, at a version."""
        body = self._encoded.get(version)
        if body is not None:
            return body
        body = self._codec.body(self.event, version)
        if body is not None:
            self._encoded[version] = body
            return body
        document = self.document(version)
        if isinstance(document, Refused):
            return document
        try:
            body = self._encoded[version] = self._codec.encode(document)
        except BLAMED[Step.ENCODE] as error:
            return Refused(RefusalReason.NOT_RENDERABLE, described(error))
        return body

    def shared(self, version: int, shared: SharedFormat, content: Content) -> bytes | Refused:
        """Return the exact bytes of a body in any format that subscriptions share, at a version."""
        body = self._encoded.get((version, shared, content))
        if body is not None:
            return body
        standard, document = self.standard(version), self.document(version)
        if isinstance(standard, Refused):
            return standard
        if isinstance(document, Refused):
            return document
        encode = self._codec.encode
        # The standard body was encoded, so its parts can be.
        body = encode(head_of(document, shared, content))
        if content is Content.FULL:
            body = with_data(body, data_of(standard, encode(identity(document))))
        self._encoded[version, shared, content] = body
        return body

    def by_template(
        self, version: int, template: Template, reveal: Reveal, most: int
    ) -> bytes | Refused:
        """Return the body of the event at a version, rendered by a template.

        Args:
            version: The version of the event's data.
            template: The template.
            reveal: Returns the secrets that it names.
            most: The largest body, in bytes.
        """
        document = self.document(version)
        if isinstance(document, Refused):
            return document
        try:
            return template.render(document, self._codec.encode, reveal, most)
        except BLAMED[Step.ENCODE] as error:
            return Refused(RefusalReason.NOT_RENDERABLE, described(error))


@dataclass(slots=True, frozen=True)
class MadeBody:
    """A body that a thread made, or why there is none, with the rows and the version that it was made for."""

    subscription: Subscription
    partner: Partner | None
    version: int
    body: bytes | Refused


@dataclass(slots=True, eq=False)
class Work:
    """One unsettled delivery, which holds one reference to its receipt."""

    delivery: Delivery
    bodies: Bodies
    receipt: Receipt
    made: MadeBody | None = None
    """The body of the next attempt, if a thread made it."""
    credited: bool = False
    """Whether it took credit of the budget."""
    queued_at: float = 0.0
    """When its lane took it, monotonic seconds."""
    halving: "Halving[Work] | None" = None
    """The search in a refused batch that it belongs to."""
    alone: bool = False
    """Whether its next attempt must contain no other delivery."""

    @property
    def event(self) -> Event:
        """The decoded event."""
        return self.bodies.event
