"""Routes that show a delivery's payload and send the delivery again."""

from typing import Annotated, Any

from msgspec import Meta

from hookstream.adapters.index.answers import DeliveryAnswer
from hookstream.core.access.scopes import Scope
from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.subscription import Subscription
from hookstream.core.model.subscription_status import Deleted, DisabledStatus
from hookstream.entry.admin.delivery_payload import RenderedPayload
from hookstream.entry.admin.resends import LONGEST_REASON
from hookstream.entry.admin.sent_requests import last_sent
from hookstream.entry.api.fields import (
    OPERATORS_ASK,
    OPERATORS_SEE,
    OPERATORS_SET,
    ApiInput,
    ApiOutput,
)
from hookstream.entry.api.filters import time_text
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.entry.api.resources.jobs import JobShown, shown_job
from hookstream.entry.api.resources.subscription_views import status_in
from hookstream.entry.api.routes import ApiAnswer, Call, Route
from hookstream.errors import InputRefused

_TAG = "deliveries"
_PLACE = Annotated[str | None, OPERATORS_ASK]


class PayloadQuery(ApiInput, frozen=True):
    """The position of the event; required if several events have the delivery's id."""

    origin: _PLACE = None


class PayloadShown(ApiOutput, frozen=True):
    """A delivery's payload, rendered from the event's record with the current subscription."""

    body: str
    """As it would be sent now, except for the secrets of a template."""
    content_type: str
    event_type: str
    version: int
    published_at: str
    changed_since: bool
    """Whether the subscription was changed after the delivery's last attempt, or gets another version now: the
    payload that was sent may differ."""
    changed_at: str | None
    """When the subscription was changed, if that was after the last attempt."""
    version_sent: int | None
    """The version that was sent last; null: no request was made."""
    source: str
    """`origin`: the event's own record; `copy`: a tier record or dead letter that has it."""
    found: Annotated[str, OPERATORS_SEE]
    """The record that still has the event, in words."""


class ResendGiven(ApiInput, frozen=True):
    """How a delivery is sent again."""

    origin: _PLACE = None
    """The event's position, `topic-partition@offset`; required if several events have the delivery's id."""
    as_granted_today: Annotated[bool, OPERATORS_SET] = False
    """Whether only today's grant is checked, not also the one in force at the event's time."""
    reason: Annotated[str, Meta(max_length=LONGEST_REASON)] = ""
    """The reason, which its job shows."""


def get_delivery_payload(call: Call[PayloadQuery, None]) -> ApiAnswer:
    """Return the payload of a delivery."""
    found = _found(call)
    state = call.services.state()
    details = call.services.details(found)
    # Its event, and other records that may have it.
    call.services.note_scanned(call.caller, 1 + len(details.records))
    try:
        made: RenderedPayload = call.services.payload(state, details, call.query.origin)
    except InputRefused as refused:
        raise _said(call, refused) from None
    names = call.services.settings.topics_names
    sent = last_sent(found.history.entries, state, names.subscriptions)
    changed_at = None if sent is None else sent.changed_at
    version_sent = None if sent is None else sent.version
    shown = PayloadShown(
        body=made.body.decode(),
        content_type=made.content_type,
        event_type=made.event.event_type,
        version=made.version,
        published_at=to_rfc3339(made.event.origin.timestamp),
        changed_since=changed_at is not None or version_sent not in (None, made.version),
        changed_at=time_text(changed_at),
        version_sent=version_sent,
        source="origin" if made.at_origin else "copy",
        found=made.found,
    )
    return ApiAnswer(shown)


def resend_delivery(call: Call[Any, ResendGiven]) -> ApiAnswer:
    """Send a delivery again."""
    found = _found(call)
    state = call.services.state()
    subscription = state.current.subscriptions.get(found.subscription_id)
    if isinstance(subscription, Subscription):
        _refuse_status(call, subscription)
    details = call.services.details(found)
    # Its event, and other records that may have it.
    call.services.note_scanned(call.caller, 1 + len(details.records))

    def answer(job: Job) -> ApiAnswer:
        return ApiAnswer(shown_job(call, job), status=202, location=f"/v1/jobs/{job.id}")

    try:
        job = call.services.resend(
            state,
            details,
            call.body.origin,
            lambda done: call.records(answer(done)),
            call.turn(),
            as_granted_today=call.body.as_granted_today,
            reason=call.body.reason,
        )
    except InputRefused as refused:
        raise _said(call, refused) from None
    return answer(job)


def _found(call: Call[Any, Any]) -> DeliveryAnswer:
    delivery_id = call.params["delivery_id"]
    found = call.services.index().delivery(delivery_id, partner_id=call.caller.partner_id)
    if found is None:
        detail = f"the index has no delivery {delivery_id!r} within its window"
        raise RequestRefused(ProblemKind.NOT_FOUND, detail)
    return found


def _refuse_status(call: Call[Any, Any], subscription: Subscription) -> None:
    match status_in(call.services.state(), subscription, call.services.now()):
        case Deleted():
            raise invalid("its subscription is deleted: nothing is sent to it")
        case DisabledStatus():
            raise invalid(
                "its subscription is disabled: nothing is sent to it",
                remedy=f"first POST /v1/subscriptions/{subscription.id}/enable",
            )
        case _:
            pass


def _said(call: Call[Any, Any], refused: InputRefused) -> RequestRefused:
    """Return a refusal; for a partner, without positions in our topics."""
    if call.by_operator or isinstance(refused, RequestRefused):
        return invalid(str(refused))
    return invalid(
        "its event cannot be shown or sent again: it is gone from the log, is a test, or is not granted"
    )


ROUTES = (
    Route(
        "GET",
        "/v1/deliveries/{delivery_id}/payload",
        Scope.PARTNER_READ,
        "Show a delivery's payload, rendered again from its event.",
        get_delivery_payload,
        PayloadShown,
        query=PayloadQuery,
        tag=_TAG,
        act="payload.read",
        scans=True,
    ),
    Route(
        "POST",
        "/v1/deliveries/{delivery_id}/resend",
        Scope.PARTNER_MANAGE,
        "Send a delivery again: a run of its own, under the same `webhook-id`.",
        resend_delivery,
        JobShown,
        body=ResendGiven,
        status=202,
        is_idempotent=True,
        scans=True,
        tag=_TAG,
        act="delivery.resent",
    ),
)
