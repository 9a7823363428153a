"""Routes that create, read, change and delete subscriptions."""

from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec

from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.subscription import Subscription, SubscriptionState
from hookstream.core.planning import transitions
from hookstream.core.planning.changes import Delete
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.ownership import refuse_owned_by_files
from hookstream.entry.admin.signing_secrets import jwks
from hookstream.entry.admin.subscription_writing import (
    WrittenSubscription,
    change_subscription,
    completed,
    create_subscription,
)
from hookstream.entry.admin.tables import at_revision
from hookstream.entry.api.caller import granted_types, is_mine, subscription_of
from hookstream.entry.api.fields import OPERATORS_ASK, ApiOutput
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind, invalid
from hookstream.entry.api.resources.subscription_bodies import SubscriptionGiven, SubscriptionPatch
from hookstream.entry.api.resources.subscription_views import (
    SubscriptionShown,
    SubscriptionsPage,
    SubscriptionWritten,
    shown_generated,
    shown_subscription,
    state_of,
)
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "subscriptions"
_PATH = "/v1/subscriptions/{subscription_id}"


class KeysShown(ApiOutput, frozen=True):
    """Public keys as a JWKS (RFC 7517)."""

    keys: tuple[dict[str, Any], ...]


class SubscriptionsQuery(PageQuery, frozen=True):
    """The filters of the list of subscriptions."""

    partner: str | None = None
    """Only those of this partner."""
    state: Literal["active", "paused", "disabled", "held", "suspended"] | None = None
    """Only those in this state, as their `state` shows it."""
    failing: bool | None = None
    """True: only those whose endpoint has failed every attempt for a while; false: only the others."""
    deleted: Annotated[bool | None, OPERATORS_ASK] = None
    """Whether deleted ones are listed too, as long as their rows are kept."""


def list_subscriptions(call: Call[SubscriptionsQuery, None]) -> ApiAnswer:
    """Return the caller's subscriptions."""
    state, now, query = call.services.state(), call.services.now(), call.query
    mine = (
        each
        for _, each in sorted(state.current.subscriptions.items())
        if isinstance(each, Subscription)
        and (call.query.deleted or each.state is not SubscriptionState.DELETED)
        and is_mine(call, each)
        and query.partner in (None, each.partner_id)
        and query.failing in (None, each.id in state.failing)
        and (
            query.state is None
            or query.state == state_of(state, each, now, to_operator=call.by_operator)
        )
    )
    found, following = page_of(call, mine, lambda each: each.id)
    items = tuple(
        shown_subscription(state, each, now, to_operator=call.by_operator) for each in found
    )
    return ApiAnswer(SubscriptionsPage(items=items, next=following))


def get_subscription(call: Call[Any, None]) -> ApiAnswer:
    """Return one subscription."""
    state = call.services.state()
    found = subscription_of(call, state)
    shown = shown_subscription(state, found, call.services.now(), to_operator=call.by_operator)
    return ApiAnswer(shown, revision=found.revision)


def create_subscription_(call: Call[Any, SubscriptionGiven]) -> ApiAnswer:
    """Create a subscription."""
    partner_id = call.caller.partner_id or call.body.partner
    if partner_id is None:
        raise invalid("is missing: name the partner of the subscription", "partner")
    _refuse_foreign_types(call)
    definition = completed(call.document, partner_id)
    settings = call.services.settings

    def act(writer: ChangeWriter) -> WrittenSubscription:
        return create_subscription(settings, writer, definition, by_partner=not call.by_operator)

    return call.change(act, lambda written, writer: _written(call, written, writer, 201))


def change_subscription_(call: Call[Any, SubscriptionPatch]) -> ApiAnswer:
    """Change a subscription."""
    found = subscription_of(call)
    _refuse_foreign_types(call)
    settings = call.services.settings

    def act(writer: ChangeWriter) -> WrittenSubscription:
        return change_subscription(
            settings,
            writer,
            found.id,
            call.revision,
            call.document,
            by_partner=not call.by_operator,
        )

    return call.change(act, lambda written, writer: _written(call, written, writer, 200))


def delete_subscription(call: Call[Any, None]) -> ApiAnswer:
    """Delete a subscription."""
    found = subscription_of(call)

    def act(writer: ChangeWriter) -> None:
        subscription = at_revision(writer.state, found.id, call.revision)
        refuse_owned_by_files(subscription)
        writer.write([Delete(subscription, transitions.delete(subscription))])

    return call.change(act, lambda _nothing, _writer: ApiAnswer())


def get_subscription_keys(call: Call[Any, None]) -> ApiAnswer:
    """Return the public keys of a subscription's `v1a` signing secrets."""
    state = call.services.state()
    found = subscription_of(call, state)
    keys = jwks(state, found.id, call.services.now())["keys"]
    return ApiAnswer(KeysShown(keys=tuple(keys if isinstance(keys, list) else ())))  # type: ignore[arg-type]


def written_subscription(
    call: Call[Any, Any],
    subscription: Subscription,
    writer: ChangeWriter,
    *,
    is_enabled: bool = False,
    **more: Any,  # noqa: ANN401  the fields of SubscriptionWritten
) -> SubscriptionWritten:
    """Return a subscription that was just written; `is_enabled`: its health row was cleared with it."""
    state = writer.state
    if is_enabled:
        state = replace(state, current=replace(state.current, disabled={}), failing={})
    shown = shown_subscription(
        state, subscription, writer.session.takes_effect + 1, to_operator=call.by_operator
    )
    takes_effect = to_rfc3339(writer.session.takes_effect)
    return SubscriptionWritten(
        subscription=shown, takes_effect=takes_effect, warning=writer.warning, **more
    )


def _written(
    call: Call[Any, Any], written: WrittenSubscription, writer: ChangeWriter, status: int
) -> ApiAnswer:
    body = written_subscription(
        call,
        written.subscription,
        writer,
        generated=shown_generated(written.generated),
        jobs=tuple(job.id for job in writer.started),
        changed=written.changed,
        notes=written.notes,
    )
    subscription = written.subscription
    location = f"/v1/subscriptions/{subscription.id}" if status == _CREATED else ""
    return ApiAnswer(
        body,
        status=status,
        revision=subscription.revision,
        location=location,
        kept=msgspec.structs.replace(body, generated=()),
    )


_CREATED = 201


def _refuse_foreign_types(call: Call[Any, Any]) -> None:
    """Refuse a partner's event types that are not granted, like those that do not exist."""
    if call.by_operator:
        return
    known = granted_types(call)
    for index, each in enumerate(call.body.event_types or ()):
        if not each.endswith("*") and each not in known:
            raise invalid(
                f"there is no event type {each!r}, or it is not granted",
                f"event_types[{index}]",
                "GET /v1/event-types lists the available ones",
            )


ROUTES = (
    Route(
        "POST",
        "/v1/subscriptions",
        Scope.PARTNER_MANAGE,
        "Create a subscription.",
        create_subscription_,
        SubscriptionWritten,
        body=SubscriptionGiven,
        status=201,
        is_idempotent=True,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/subscriptions",
        Scope.PARTNER_READ,
        "List subscriptions.",
        list_subscriptions,
        SubscriptionsPage,
        query=SubscriptionsQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        _PATH,
        Scope.PARTNER_READ,
        "Show a subscription.",
        get_subscription,
        SubscriptionShown,
        tag=_TAG,
    ),
    Route(
        "PATCH",
        _PATH,
        Scope.PARTNER_MANAGE,
        "Change fields of a subscription (RFC 7396).",
        change_subscription_,
        SubscriptionWritten,
        body=SubscriptionPatch,
        takes_revision=True,
        is_idempotent=True,
        refusals=(ProblemKind.OWNED_BY_FILES,),
        tag=_TAG,
    ),
    Route(
        "DELETE",
        _PATH,
        Scope.PARTNER_MANAGE,
        "Delete a subscription; its pending deliveries are cancelled.",
        delete_subscription,
        None,
        status=204,
        takes_revision=True,
        is_idempotent=True,
        refusals=(ProblemKind.OWNED_BY_FILES,),
        tag=_TAG,
    ),
    Route(
        "GET",
        _PATH + "/keys",
        Scope.PARTNER_READ,
        "Show the public keys that verify its signatures, as a JWKS.",
        get_subscription_keys,
        KeysShown,
        tag=_TAG,
    ),
)
