"""A unit of work is one unsettled delivery in a worker: its state, its event and its receipt."""

from dataclasses import dataclass, field

from hookstream.core.delivery.bodies.formats import SharedFormat, data_of, head_of, with_data
from hookstream.core.delivery.bodies.template import Reveal, Template
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.event import Event
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.subscription import BodyFormat, Content, Partner, Subscription
from hookstream.pipeline.defects import BLAMED, Step, described
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Codec


@dataclass(slots=True, eq=False)
class Bodies:
    """The bodies of one event, each made once and shared by every delivery of it.

    Only bodies by a subscription's own template are made for each delivery. A thread may make a body
    while the event loop looks for another.
    """

    _codec: Codec
    event: Event
    _documents: dict[int, JsonObject | Refused] = field(default_factory=dict)
    _encoded: dict[tuple[int, BodyFormat, Content], bytes] = field(default_factory=dict)

    def is_quick(self, version: int, body_format: BodyFormat, content: Content) -> bool:
        """Return whether a body at a version takes little time, however large the event is."""
        if content is Content.THIN:
            return version in self._documents
        # All other formats but a template have the data from the standard body.
        return body_format is not BodyFormat.TEMPLATE and _standard(version) in self._encoded

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

    def encoded(
        self,
        version: int,
        shared: SharedFormat = BodyFormat.STANDARD,
        content: Content = Content.FULL,
    ) -> bytes | Refused:
        """Return the exact bytes of a body at a version, in a format that subscriptions share."""
        body = self._encoded.get((version, shared, content))
        if body is not None:
            return body
        document = self.document(version)
        if isinstance(document, Refused):
            return document
        try:
            body = self._made(document, version, shared, content)
        except BLAMED[Step.ENCODE] as error:
            return Refused(RefusalReason.NOT_RENDERABLE, described(error))
        self._encoded[version, shared, content] = body
        return body

    def _made(
        self, document: JsonObject, version: int, shared: SharedFormat, content: Content
    ) -> bytes:
        encode = self._codec.encode
        if shared is BodyFormat.STANDARD and content is Content.FULL:
            return encode(document)
        head = encode(head_of(document, shared, content))
        if content is Content.THIN:
            return head
        standard = self._encoded.get(_standard(version))
        if standard is None:
            standard = self._encoded[_standard(version)] = encode(document)
        standard_head = encode(head_of(document, BodyFormat.STANDARD, content))
        return with_data(head, data_of(standard, standard_head))

    def by_template(
        self, version: int, template: Template, reveal: Reveal, most: int
    ) -> bytes | Refused:
        """Return the body that a template makes of the event at a version.

        Args:
            version: The version of the event's data.
            template: The template.
            reveal: Gives the secrets that it names.
            most: The largest body, in bytes.
        """
        document = self.document(version)
        if isinstance(document, Refused):
            return document
        try:
            return template.render(document, self._codec.encode, reveal, most)
        except BLAMED[Step.ENCODE] as error:
            return Refused(RefusalReason.NOT_RENDERABLE, described(error))


def _standard(version: int) -> tuple[int, BodyFormat, Content]:
    return version, BodyFormat.STANDARD, Content.FULL


@dataclass(slots=True, frozen=True)
class MadeBody:
    """A body that a thread made, for what and whom, or why there is none."""

    subscription: Subscription
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
