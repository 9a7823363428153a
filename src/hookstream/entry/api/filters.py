"""The filters that lists and statistics share: partner, subscription, time."""

from collections.abc import Collection, Iterable
from typing import Annotated, Any

from msgspec import Meta

from hookstream.adapters.index.answers import Cursor, Page, Window
from hookstream.core.delivery.address import host_of
from hookstream.core.model.instant import Millis, from_rfc3339, to_rfc3339
from hookstream.core.model.json import Json
from hookstream.core.model.subscription import Subscription
from hookstream.entry.api.caller import is_mine
from hookstream.entry.api.fields import OPERATORS_ASK, ApiInput, ApiOutput, Identifier, Instant
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import next_cursor
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.entry.api.routes import Call

Words = Annotated[tuple[Identifier, ...], Meta(max_length=50)]
"""A parameter that may be given several times: any of its values."""


OfPartner = Annotated[Identifier | None, OPERATORS_ASK]


class WhoseQuery(ApiInput, frozen=True):
    """Restricts counts to a subscription or partner."""

    subscription: Identifier | None = None
    """Only of this subscription."""
    partner: OfPartner = None
    """Only of this partner."""


class WhosePageQuery(PageQuery, frozen=True):
    """Restricts a list to a subscription or partner."""

    subscription: Identifier | None = None
    """Only of this subscription."""
    partner: OfPartner = None
    """Only of this partner."""


class TimesQuery(WhosePageQuery, frozen=True):
    """Restricts a list to a subscription or partner, and to a time."""

    since: Instant | None = None
    """From then on (RFC 3339)."""
    until: Instant | None = None
    """Before then."""


class WindowShown(ApiOutput, frozen=True):
    """The time for which the answer is complete; nothing is known of other times."""

    since: str | None
    until: str | None
    building: bool
    """Whether older hours are still being read."""
    reading: bool
    """Whether the index is being updated; false: the answer may be old."""


def instant(text: str | None, field: str) -> Millis | None:
    """Return an instant of a request; None: it has none.

    Raises:
        RequestRefused: It is not a time.
    """
    if text is None:
        return None
    try:
        return from_rfc3339(text)
    except ValueError as why:
        raise invalid(str(why), field, "write a time such as 2026-11-23T00:00:00Z") from None


def whose(call: Call[Any, Any]) -> dict[str, Any]:
    """Return the part of an index filter that restricts it to a partner or subscription.

    A partner's caller gets only its own, whatever it asks for.

    Raises:
        RequestRefused: It asks for a subscription that does not exist for the caller.
    """
    query: WhoseQuery | WhosePageQuery = call.query
    subscriptions = None
    if query.subscription is not None:
        found = call.services.state().current.subscriptions.get(query.subscription)
        if not is_mine(call, found):
            raise RequestRefused(
                ProblemKind.NOT_FOUND,
                f"there is no subscription {query.subscription!r}" if call.by_operator else "",
            )
        subscriptions = frozenset({query.subscription})
    return {
        "partner_id": call.caller.partner_id or query.partner,
        "subscriptions": subscriptions,
    }


def at_hosts(
    call: Call[Any, Any], hosts: Iterable[str], of: Collection[str] | None
) -> frozenset[str]:
    """Return the subscriptions of the caller whose endpoint is now at one of some hosts, deleted ones too.

    A host that only another partner has is like one that nobody has.

    Args:
        call: The request.
        hosts: Hosts, without a port.
        of: Only subscriptions with these ids; None or empty: any.
    """
    wanted = {each.lower() for each in hosts}
    return frozenset(
        each.id
        for each in call.services.state().current.subscriptions.values()
        if isinstance(each, Subscription)
        and is_mine(call, each)
        and (not of or each.id in of)
        and host_of(each.endpoint.url) in wanted
    )


def times(call: Call[Any, Any]) -> dict[str, Any]:
    """Return the part of an index filter that restricts it to a time."""
    query: TimesQuery = call.query
    return {"since": instant(query.since, "since"), "until": instant(query.until, "until")}


def words(values: tuple[str, ...]) -> frozenset[str] | None:
    """Return the values of a parameter; None: it is not given, so any value matches."""
    return frozenset(values) or None


def after(call: Call[Any, Any]) -> Cursor | None:
    """Return the position at which a list of the index continues; None: at its beginning."""
    found = None if call.cursor is None else call.cursor.get("after")
    if not isinstance(found, list):
        return None
    return tuple(each for each in found if isinstance(each, int | str))


def following(call: Call[Any, Any], page: Page[Any]) -> str | None:
    """Return the cursor of the page after a page of the index; None: it is the last one."""
    if page.after is None:
        return None
    position: list[Json] = [*page.after]
    return next_cursor(call, {"after": position})


def shown_window(window: Window, *, aside: bool = False) -> WindowShown:
    """Return the window of an answer; `aside`: of dead letters, undecodable records and operations."""
    since = window.aside_since if aside else window.since
    return WindowShown(
        since=time_text(since),
        until=time_text(window.until),
        building=window.building,
        reading=window.reading,
    )


def time_text(at: Millis | None) -> str | None:
    """Return an instant as RFC 3339; None: there is none."""
    return None if at is None else to_rfc3339(at)
