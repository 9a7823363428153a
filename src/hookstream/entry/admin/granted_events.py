"""Events of dead letters as their partner may see them: at the pinned version, if the grants cover them."""

from hookstream.core.model import header_names
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record, header_text
from hookstream.core.model.subscription import Subscription
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.resends import pinned_version, refuse_not_granted
from hookstream.entry.admin.subscriptions import directory_of
from hookstream.entry.admin.tables import State
from hookstream.errors import InputRefused

NOT_SHOWN = "it is gone from the log, cannot be decoded, or is not granted"
"""Why an event is not shown to a partner; naming the one reason would reveal too much."""


class GrantedEvents:
    """Shows events of dead letters to the partner of their subscription.

    Args:
        decoder: Decodes them.
        state: The tables.
        partner_id: The partner whose dead letters are shown; others have no event.
    """

    def __init__(self, decoder: EventDecoder, state: State, partner_id: str) -> None:
        self._decoder = decoder
        self._state = state
        self._directory = directory_of(state)
        self._partner_id = partner_id

    def shown(self, record: Record) -> JsonObject | str:
        """Return the event of a dead letter, or `NOT_SHOWN`."""
        name = header_text(record.headers, header_names.SUBSCRIPTION_ID) or ""
        subscription = self._state.current.subscriptions.get(name)
        event = self._event(record)
        if (
            event is None
            or not isinstance(subscription, Subscription)
            or subscription.partner_id != self._partner_id
        ):
            return NOT_SHOWN
        body = self._decoder.body(event, pinned_version(self._decoder, subscription, event))
        try:
            # By the grant of the event's time and today's, as wherever the past is shown.
            refuse_not_granted(self._directory, subscription, event, body, as_granted_today=False)
        except InputRefused:
            return NOT_SHOWN
        return NOT_SHOWN if isinstance(body, Refused) else body

    def _event(self, record: Record) -> Event | None:
        if record.value is None:
            return None
        identified = self._decoder.identify(record)
        if not isinstance(identified, Identified):
            return None
        event = self._decoder.event(identified, record)
        return event if isinstance(event, Event) else None
