"""Route that checks whether a subscription would get a made-up event, and which conditions are not met."""

from typing import Any

from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.access.scopes import Scope
from hookstream.entry.admin.event_lines import in_words_of_a_line, read_line, refusal
from hookstream.entry.admin.event_trial import try_event
from hookstream.entry.api.caller import granted_types, subscription_of
from hookstream.entry.api.fields import ApiInput, ApiOutput
from hookstream.entry.api.problems import invalid
from hookstream.entry.api.resources.explaining import UnmetShown
from hookstream.entry.api.routes import ApiAnswer, Call, Route
from hookstream.entry.api.services import HeavyWork
from hookstream.errors import InputRefused

_EVENT = "event"


class TrialGiven(ApiInput, frozen=True):
    """A made-up event."""

    event: dict[str, Any] | str
    """As it is delivered, or its JSON as a text, which keeps the spelling of numbers."""


class TrialShown(ApiOutput, frozen=True):
    """Whether the subscription would get the event, if it were published now."""

    event_type: str
    version: int
    """The version with which the event was decoded."""
    environment: str
    received_version: int
    """The version that the subscription receives, on which its filter is evaluated."""
    matches: bool
    unmet: tuple[UnmetShown, ...]
    """The conditions that are not met; empty: it matches."""


def try_subscription(call: Call[Any, TrialGiven]) -> ApiAnswer:
    """Return whether a subscription would get an event."""
    state = call.services.state()
    found = subscription_of(call, state)
    given: Any = call.document[_EVENT]
    try:
        line = read_line(given.encode() if isinstance(given, str) else json_bytes(given))
        # A partner must not learn of schemas of other types, not even from decoding errors.
        if line.event_type not in granted_types(call):
            whose = "" if call.by_operator else ", or it is not granted"
            raise invalid(f"there is no event type {line.event_type!r}{whose}", _EVENT)
        trial = try_event(call.services.settings, state, found.id, line, call.services.now())
    except InputRefused as refused:
        raise invalid(in_words_of_a_line(refusal(refused)), _EVENT) from None
    shown = TrialShown(
        event_type=trial.event_type,
        version=trial.version,
        environment=trial.environment,
        received_version=trial.received,
        matches=not trial.unmet,
        unmet=tuple(
            UnmetShown(condition=each.condition.value, why=each.why) for each in trial.unmet
        ),
    )
    return ApiAnswer(shown)


ROUTES = (
    Route(
        "POST",
        "/v1/subscriptions/{subscription_id}/try",
        Scope.PARTNER_READ,
        "Check whether it would get a made-up event, and which conditions are not met.",
        try_subscription,
        TrialShown,
        body=TrialGiven,
        needs_no_key="it changes nothing",
        work=HeavyWork.TRIAL,
        tag="subscriptions",
    ),
)
