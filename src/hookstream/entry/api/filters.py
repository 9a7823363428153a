"""What lists and statistics are of: whose things, of which subscription, of which time."""

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
    """Whose things are counted."""

    subscription: Identifier | None = None
    """Of this subscription alone."""
    partner: OfPartner = None
    """Of this partner alone."""


class WhosePageQuery(PageQuery, frozen=True):
    """Whose things are listed."""

    subscription: Identifier | None = None
    """Of this subscription alone."""
    partner: OfPartner = None
    """Of this partner alone."""


class TimesQuery(WhosePageQuery, frozen=True):
    """Whose things of which time are listed."""

    since: Instant | None = None
    """From then on (RFC 3339)."""
    until: Instant | None = None
    """Before then."""


class WindowShown(ApiOutput, frozen=True):
    """For which time the answer has everything; nothing is known of what lies outside."""

    since: str | None
    until: str | None
    building: bool
    """Whether older hours are still being read."""
    reading: bool
    """Whether what happens is being read; false: the answer may be old."""


def instant(text: str | None, field: str) -> Millis | None:
    """Return an instant of a request; None: it has none.

    Raises:
        RequestRefused: It is none.
    """
    if text is None:
        return None
    try:
        return from_rfc3339(text)
    except ValueError as why:
        raise invalid(str(why), field, "write a time such as 2026-11-23T00:00:00Z") from None


def whose(call: Call[Any, Any]) -> dict[str, Any]:
    """Return the part of an index's filter that says whose things are wanted.

    A partner's caller gets its own things alone, whatever it asks for.

    Raises:
        RequestRefused: It asks for a subscription that there is not, as far as the caller may know.
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
    """Return the subscriptions of the caller whose endpoint is at one of some hosts now, deleted ones too.

    A host of another partner's is as one that nobody has.

    Args:
        call: The request.
        hosts: Hosts, without a port.
        of: Only subscriptions of these names are asked for; None or empty: any.
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
    """Return the part of an index's filter that says of which time things are wanted."""
    query: TimesQuery = call.query
    return {"since": instant(query.since, "since"), "until": instant(query.until, "until")}


def words(values: tuple[str, ...]) -> frozenset[str] | None:
    """Return the values of a parameter; None: it is not given, so any will do."""
    return frozenset(values) or None


def after(call: Call[Any, Any]) -> Cursor | None:
    """Return where a list of the index goes on; None: at its beginning."""
    found = None if call.cursor is None else call.cursor.get("after")
    if not isinstance(found, list):
        return None
    return tuple(each for each in found if isinstance(each, int | str))


def following(call: Call[Any, Any], page: Page[Any]) -> str | None:
    """Return the cursor of what follows a page of the index; None: nothing does."""
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
