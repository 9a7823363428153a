"""Every read of the API's table, with each of its parameters; and what of two answers must be equal."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from hookstream.entry.api.routes import Route
from hookstream.entry.api.table import TABLE

READS = [route for route in TABLE.routes if route.method == "GET"]
_OF_MOMENT = {
    *("window", "next", "cursor", "webhook-timestamp", "webhook-signature", "exported_at")
}
"""What belongs to the moment of an answer: how far an index is, sealed cursors, new signatures, when it was made."""
_UNTIL_NOW = {"since", "until"}
"""Of statistics whose interval ends now."""
_OF_STATUS = {
    *("at", "lag_ms", "unsettled_events", "partitions", "tiers", "open_breakers", "notes"),
    *("workers", "lanes_at_limit"),
}
"""Of the state of the installation: what waits, and for how long."""
_OF_EXPLANATIONS = {"searched", "not_searched", "settled", "waits", "aside"}
"""How far workers are, and how far a search came."""
_OF_OVERVIEWS = {"at", "since", "until", "whole", "steps", "tiers", "partitions"}
"""Of an overview up to now."""
_OF_WAITING = {
    "at",
    "since",
    "until",
    "tiers",
    "due",
    "subscriptions",
    "overdue",
    "waiting",
    "later",
}
"""Of what waits: it is attempted meanwhile."""
_OF_TIERS = {"committed", "settled_above", "settled_spans", "end", "unsettled", "oldest"}
"""Of a partition of a tier: what waits longer than the tier's delay is written on, again and again."""
_NEEDED = {"explain_event": "event"}
"""The parameter without which a route answers nothing, and that another one may replace."""
_INSTEAD = {("explain_event", "place")}
_PAGED = "5"


def paths(route: Route, values: Mapping[str, str]) -> Iterator[str]:
    """Return the paths of one route: without a parameter, and with each of them.

    Args:
        route: A read of the table.
        values: One value for each part of a path and each parameter; `route.parameter` precedes `parameter`.

    Raises:
        KeyError: A part or a parameter has no value: a new one gets its value in the test.
    """
    path = route.path
    for name in route.parameters:
        path = path.replace("{" + name + "}", quote(_value(route, name, values), safe=""))
    needed = _NEEDED.get(route.name)
    given = "" if needed is None else f"{needed}={quote(_value(route, needed, values))}"
    yield f"{path}?{given}" if given else path
    for name in parameters(route):
        if name == needed:
            continue
        before = "" if not given or (route.name, name) in _INSTEAD else f"{given}&"
        yield f"{path}?{before}{name}={quote(_value(route, name, values))}"


def parameters(route: Route) -> list[str]:
    """Return the query parameters of a route, without that of its pages."""
    return [each for each in route.query.__struct_fields__ if each != "cursor"]


def _value(route: Route, name: str, values: Mapping[str, str]) -> str:
    return values.get(f"{route.name}.{name}") or values[name]


def is_list(route: Route) -> bool:
    """Whether a route answers in pages of `items`."""
    # The order of what is pending changes by itself.
    return (
        # Those of a delivery come with their events, so few at a time.
        route.name not in ("list_pending", "list_dead_letters_of_delivery")
        and {"cursor", "limit"} <= {*route.query.__struct_fields__}
        and route.tag != "pull"
        # They are lines, and no items.
        and not route.name.startswith("export_")
    )


def first_page(path: str) -> str:
    """Return the path of a list's first page, which is short."""
    return f"{path}?limit={_PAGED}"


def compared(path: str, answer: Any) -> Any:  # noqa: ANN401  JSON
    """Return an answer without what belongs to its moment."""
    more = {
        "/statistics": _UNTIL_NOW,
        "/v1/status": _OF_STATUS,
        "/v1/explain": _OF_EXPLANATIONS,
        "/v1/overview": _OF_OVERVIEWS,
        "/v1/pending/histogram": _OF_WAITING,
    }
    of_moment = [names for part, names in more.items() if part in path]
    return _without(answer, _OF_MOMENT.union(*of_moment))


def _without(value: Any, names: set[str]) -> Any:  # noqa: ANN401  JSON
    if isinstance(value, dict):
        if {"due_at", "delivery", "job", "subscription"} <= value.keys() and value.get(
            "state", "pending"
        ) == "pending":
            # Where and why it waits changes by itself.
            return {name: value[name] for name in ("delivery", "job", "subscription")}
        if value.keys() > _OF_TIERS and ".retry." in value["topic"]:
            names = names | _OF_TIERS
        return {name: _without(each, names) for name, each in value.items() if name not in names}
    if isinstance(value, list):
        return [_without(each, names) for each in value]
    return value


def alternating(*each: Any) -> Iterator[Any]:  # noqa: ANN401
    """Return them in turn, forever."""
    return itertools.cycle(each)
