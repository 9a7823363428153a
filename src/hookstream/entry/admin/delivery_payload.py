"""Renders the payload of a delivery from its event's record, by the subscription as it is now.

An event is shown if the grant of its time and today's both cover it; secrets of a template are not shown.
"""

from dataclasses import dataclass

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.core.delivery.bodies.formats import SharedFormat, media_type
from hookstream.core.delivery.bodies.template import compile_template
from hookstream.core.model.event import Event
from hookstream.core.model.outcome import Refused
from hookstream.core.model.subscription import BodyFormat, Content, Subscription
from hookstream.core.planning.fields import HIDDEN
from hookstream.entry.admin.deliveries import DeliveryDetails
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.resends import (
    MAX_RECORD_BYTES,
    chosen_origin,
    found_event,
    pinned_version,
    refuse_not_granted,
    refuse_test,
)
from hookstream.entry.admin.subscriptions import directory_of
from hookstream.entry.admin.tables import State, found_subscription
from hookstream.errors import InputRefused
from hookstream.pipeline.work import Bodies
from hookstream.settings import Settings


@dataclass(slots=True, frozen=True)
class RenderedPayload:
    """A body as it would be sent now."""

    body: bytes
    content_type: str
    event: Event
    version: int
    """The version that the subscription gets."""
    found: str = ""
    """The record that still has the event, as text: `its origin t-3@40`, `the dead letter 3@7`."""
    at_origin: bool = True
    """Whether that is the event's own record; False: it is a copy in a tier record or a dead letter."""


def payload_of(
    settings: Settings, state: State, details: DeliveryDetails, origin: str | None
) -> RenderedPayload:
    """Return the payload of a delivery.

    Args:
        settings: The cluster.
        state: The tables.
        details: Everything about the delivery.
        origin: The event's position, `topic-partition@offset`; required if several events have this id.

    Raises:
        InputRefused: The event is gone, may not be shown, or cannot be rendered; the text says why.
        ConfigurationError: A topic or a row cannot be read.
        DependencyUnavailable: The cluster does not answer.
    """
    subscription = found_subscription(state, details.subscription_id)
    refuse_test(details)
    chosen = chosen_origin(details, origin)
    decoder = EventDecoder(settings, MAX_RECORD_BYTES)
    found = found_event(settings, decoder, details, chosen, subscription.id)
    event = found.event
    version = pinned_version(decoder, subscription, event)
    body = decoder.body(event, version)
    refuse_not_granted(directory_of(state), subscription, event, body, as_granted_today=False)
    codec = AvroCodec(
        state.book, max_record_bytes=MAX_RECORD_BYTES, registry_of=settings.registry_of
    )
    made = rendered(Bodies(codec, event), subscription, version, settings.egress.max_body_bytes)
    if isinstance(made, Refused):
        raise InputRefused(f"it cannot be rendered: {made.detail}")
    return RenderedPayload(
        made,
        media_type(subscription.format),
        event,
        version,
        found.place,
        at_origin=found.state is None,
    )


def rendered(
    bodies: Bodies, subscription: Subscription, version: int, most: int
) -> bytes | Refused:
    """Return the body of an event in a subscription's format, with the secrets of a template hidden."""
    if subscription.format is BodyFormat.TEMPLATE:
        template = compile_template(subscription.template)
        return bodies.by_template(version, template, lambda _: HIDDEN, most)
    if subscription.format is BodyFormat.STANDARD and subscription.content is Content.FULL:
        return bodies.standard(version)
    shared: SharedFormat = (
        BodyFormat.CLOUDEVENTS
        if subscription.format is BodyFormat.CLOUDEVENTS
        else BodyFormat.STANDARD
    )
    return bodies.shared(version, shared, subscription.content)
