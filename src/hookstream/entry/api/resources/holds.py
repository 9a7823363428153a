"""Routes of holds: list, set and clear them."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import to_rfc3339
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.holds import clear_hold, set_hold, subject_in
from hookstream.entry.api.fields import ApiInput, ApiOutput, Identifier
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "holds"
Kinds = Literal["endpoint", "partner", "event-type", "everything"]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]


class HoldGiven(ApiInput, frozen=True, kw_only=True):
    """The hold to set, and the reason."""

    kind: Kinds
    name: Identifier | None = None
    """The id of the subscription or partner, or the event type; none for `everything`."""
    reason: Reason


class HoldCleared(ApiInput, frozen=True, kw_only=True):
    """The hold to clear, and the reason."""

    kind: Kinds
    name: Identifier | None = None
    reason: Reason


class HoldInForce(ApiOutput, frozen=True):
    """A hold."""

    kind: str
    name: str
    since: str
    reason: str
    set_by: str
    revision: int


class HoldsPage(ApiOutput, frozen=True):
    """Holds in force."""

    items: tuple[HoldInForce, ...]
    next: str | None


def list_holds(call: Call[PageQuery, None]) -> ApiAnswer:
    """Return all holds."""
    every = sorted(call.services.state().holds, key=_key)
    found, following = page_of(call, every, _key)
    return ApiAnswer(HoldsPage(items=tuple(map(shown_hold, found)), next=following))


def set_hold_(call: Call[Any, HoldGiven]) -> ApiAnswer:
    """Set a hold, or change the reason of one in force."""
    kind, name = subject_in(HoldKind(call.body.kind), call.body.name)

    def answer(done: tuple[Hold, Hold | None], _: ChangeWriter) -> ApiAnswer:
        return ApiAnswer(shown_hold(done[0]), status=201 if done[1] is None else 200)

    return call.change(lambda writer: set_hold(writer, kind, name, call.body.reason), answer)


def clear_hold_(call: Call[Any, HoldCleared]) -> ApiAnswer:
    """Clear a hold; its waiting deliveries resume."""
    kind, name = subject_in(HoldKind(call.body.kind), call.body.name)
    held = {(hold.kind, hold.name) for hold in call.services.state().holds}
    if (kind, name) not in held:
        raise RequestRefused(ProblemKind.NOT_FOUND, f"{kind} {name} is not held")

    def answer(left: list[Hold], _: ChangeWriter) -> ApiAnswer:
        return ApiAnswer(HoldsPage(items=tuple(map(shown_hold, left)), next=None))

    return call.change(lambda writer: clear_hold(writer, kind, name, call.body.reason), answer)


def _key(hold: Hold) -> str:
    return f"{hold.kind}/{hold.name}"


def shown_hold(hold: Hold) -> HoldInForce:
    """Return a hold as operators see it."""
    return HoldInForce(
        kind=hold.kind.value,
        name=hold.name,
        since=to_rfc3339(hold.since),
        reason=hold.reason,
        set_by=hold.set_by,
        revision=hold.revision,
    )


ROUTES = (
    Route(
        "GET",
        "/v1/holds",
        Scope.OPERATOR_READ,
        "List holds in force.",
        list_holds,
        HoldsPage,
        query=PageQuery,
        tag=_TAG,
    ),
    Route(
        "POST",
        "/v1/holds",
        Scope.OPERATOR_WRITE,
        "Hold an endpoint, a partner, an event type or everything.",
        set_hold_,
        HoldInForce,
        body=HoldGiven,
        status=201,
        is_idempotent=True,
        tag=_TAG,
    ),
    Route(
        "POST",
        "/v1/holds/clear",
        Scope.OPERATOR_WRITE,
        "Clear a hold.",
        clear_hold_,
        HoldsPage,
        body=HoldCleared,
        is_idempotent=True,
        tag=_TAG,
    ),
)
