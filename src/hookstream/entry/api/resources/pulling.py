"""Route of the pull door: a subscription's events in pages, signed like requests."""

from typing import Annotated, Any, Never, cast

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.pull.page import (
    DEFAULT_LIMIT,
    LONGEST_WAIT,
    MOST_EVENTS,
    Busy,
    CursorGone,
    CursorRefused,
    NoSuchSubscription,
    NotNow,
    PullPage,
    PullRefusal,
)
from hookstream.entry.api.fields import ApiInput, ApiOutput
from hookstream.entry.api.problems import ProblemKind, RequestRefused, not_found
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_LONGEST_CURSOR = 8_000


class PullQuery(ApiInput, frozen=True):
    """Which page."""

    cursor: Annotated[str, Meta(max_length=_LONGEST_CURSOR)] | None = None
    """That of the previous page; `earliest`, the default: from the subscription's start on; `latest`: only events
    published from now on."""
    limit: Annotated[int, Meta(ge=1, le=MOST_EVENTS)] = DEFAULT_LIMIT
    wait: Annotated[float, Meta(ge=0, le=LONGEST_WAIT)] = 0.0
    """Seconds to wait if there is nothing yet."""


class PulledPage(ApiOutput, frozen=True):
    """Events, gaps and skipped events."""

    entries: tuple[dict[str, Any], ...]
    """Each has a `kind`: `event` with `headers` and `body`, `gap` and `skipped` with a `reason`."""
    cursor: str
    """The cursor for the next request."""
    has_more: bool
    waiting_for: tuple[str, ...]
    """Why more cannot be shown yet."""
    excludes: tuple[str, ...]
    """Triggers of deliveries that the pull door never returns."""


async def pull_events(call: Call[PullQuery, None]) -> ApiAnswer:
    """Return the next page of a subscription's events."""
    subscription_id = call.params["subscription_id"]
    found = await call.services.pull().page(
        subscription_id,
        call.query.cursor,
        call.query.limit,
        call.query.wait,
        partner_id=call.caller.partner_id,
    )
    if not isinstance(found, PullPage):
        _refuse(call, found)
    call.services.note_scanned(call.caller, found.read)
    document = cast("dict[str, Any]", found.document())
    return ApiAnswer(PulledPage(**document))


def _refuse(call: Call[Any, Any], refusal: PullRefusal) -> Never:
    match refusal:
        case NoSuchSubscription(detail):
            if not call.by_operator:
                raise not_found()
            raise RequestRefused(ProblemKind.NOT_FOUND, detail)
        case CursorRefused(detail):
            raise RequestRefused(ProblemKind.INVALID_CURSOR, detail, field="cursor")
        case CursorGone(detail):
            raise RequestRefused(ProblemKind.GONE, detail, remedy="start again without a cursor")
        case Busy(detail, retry_after):
            raise RequestRefused(ProblemKind.UNAVAILABLE, detail, retry_after=retry_after)
        case NotNow(detail, retry_after, why):
            said = detail if call.by_operator or why != "suspended" else "delivery is suspended"
            raise RequestRefused(ProblemKind.UNAVAILABLE, said, retry_after=retry_after)


ROUTES = (
    Route(
        "GET",
        "/v1/subscriptions/{subscription_id}/events",
        Scope.PARTNER_READ,
        "Read the subscription's events in pages, each signed.",
        pull_events,
        PulledPage,
        query=PullQuery,
        refusals=(ProblemKind.INVALID_CURSOR, ProblemKind.GONE),
        tag="pull",
        act="events.read",
        scans=True,
    ),
)
