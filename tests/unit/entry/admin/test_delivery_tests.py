"""A test is of one subscription, with an event that is marked as a test; what says no is said before."""

import re
from dataclasses import replace

import pytest
from examples.printprice.generator import events
from tests.doubles.schemas import EVENT_TYPES, printprice

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.record import Record
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Gap,
    Grant,
    Partner,
    Subscription,
    SubscriptionState,
)
from hookstream.core.planning.plan import Current
from hookstream.entry.admin.delivery_tests import PreparedTest, prepare_test
from hookstream.entry.admin.event_lines import EventLine
from hookstream.entry.admin.tables import State
from hookstream.errors import EventRefused, InputRefused
from hookstream.settings import Settings, load

BOOK = SchemaBook([printprice(event_type) for event_type in EVENT_TYPES])
TYPE = "pricing.completed"
CRM = Subscription("crm", "acme", Endpoint("https://crm.example", ()), (TYPE,), active_from=0)
ACME = Partner("acme", "Acme", Grant((TYPE, "order.generated"), ("production",)))
HAPPENING = next(each for each in events(7, 300) if each.event_type == TYPE)
LINE = EventLine(TYPE, "q-1", "staging", HAPPENING.data, None, "its-own-id", None)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load(None, {}, {})


def state(
    subscription: Subscription = CRM,
    partner: Partner = ACME,
    *,
    disabled: Disabled | None = None,
    hold: Hold | None = None,
) -> State:
    gone = {} if disabled is None else {subscription.id: disabled}
    current = Current({partner.id: partner}, {subscription.id: subscription}, gone, {})
    return State(current, BOOK, (), (), {}, () if hold is None else (hold,))


def decoded(prepared: PreparedTest) -> Event:
    record = Record("t", 0, 0, 0, None, prepared.value, ())
    codec = AvroCodec(BOOK)
    identified = codec.identify(record)
    assert isinstance(identified, Identified)
    event = codec.decode(identified, record)
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize("line", [None, LINE])
def test_the_event_says_that_it_is_a_test_in_its_id_and_its_environment(
    settings: Settings, line: EventLine | None
) -> None:
    prepared = prepare_test(settings, state(), "crm", None, line)
    event = decoded(prepared)
    assert re.fullmatch("test-[0-9a-f]{32}", event.event_id)
    assert (event.event_id, event.environment, event.event_type) == (
        prepared.event_id,
        "test",
        TYPE,
    )
    assert prepared.delivery_id == delivery_id(TYPE, event.event_id, "crm")
    again = prepare_test(settings, state(), "crm", None, line)
    assert again.event_id != prepared.event_id


def test_the_event_of_a_file_is_sent_as_it_is_but_for_id_and_environment(
    settings: Settings,
) -> None:
    line = replace(LINE, timestamp="2026-11-24T08:15:30Z")
    event = decoded(prepare_test(settings, state(), "crm", None, line))
    body = AvroCodec(BOOK).document(event, 1)
    assert isinstance(body, dict)
    assert body == {
        "type": TYPE,
        "version": 1,
        "timestamp": "2026-11-24T08:15:30.000000Z",
        "id": event.event_id,
        "environment": "test",
        "entity_id": "q-1",
        "data": HAPPENING.data,
    }


def test_the_filter_is_asked_with_the_environment_of_the_event_and_decides_nothing(
    settings: Settings,
) -> None:
    asks = replace(CRM, pattern={"environment": ["staging"]})
    assert prepare_test(settings, state(asks), "crm", None, LINE).filter.matches
    sample = prepare_test(settings, state(asks), "crm", None, None).filter
    assert (sample.matches, sample.environment) == (False, "production")
    assert sample.why == 'environment is "production"; the pattern asks for "staging"'
    only = replace(CRM, environments=("production",))
    other = prepare_test(settings, state(only), "crm", None, LINE).filter
    assert other.why == "environment is 'staging'; the subscription asks for production"


HOLD = Hold(HoldKind.EVENT_TYPE, TYPE, 0, "INC-7")
DELETED = replace(CRM, state=SubscriptionState.DELETED)


@pytest.mark.parametrize(
    ("found", "event_type", "line", "words"),
    [
        (state(hold=HOLD), None, None, "crm is held since .* hookstream hold list"),
        (state(disabled=Disabled("crm", 0, "gone")), None, None, r"disabled since .* \(gone\)"),
        (state(DELETED), None, None, "crm is deleted: nothing is sent to it"),
        (state(), "order.generated", None, "crm does not ask for 'order.generated'; it asks for"),
        (state(), "order.generated", LINE, "the event is a 'pricing.completed'; leave one out"),
        (
            state(partner=replace(ACME, grant=Grant((), ("*",)))),
            None,
            None,
            "acme is not granted 'pricing.completed'; it is granted nothing",
        ),
        (state(replace(CRM, partner_id="gone")), None, None, "there is no partner 'gone'"),
        (
            state(replace(CRM, event_types=("pricing.completed", "order.generated"))),
            None,
            None,
            r"asks for 2 event types: name one with --event-type \(order.generated, pricing",
        ),
        (state(replace(CRM, event_types=("no.*",))), None, None, "no schema of a type that crm"),
    ],
)
def test_what_may_not_be_tested_is_refused_with_the_reason(
    settings: Settings,
    found: State,
    event_type: str | None,
    line: EventLine | None,
    words: str,
) -> None:
    with pytest.raises(InputRefused, match=words):
        prepare_test(settings, found, "crm", event_type, line)


def test_a_paused_subscription_can_be_tested(settings: Settings) -> None:
    paused = replace(CRM, state=SubscriptionState.PAUSED, gaps=(Gap(1, None, "paused"),))
    assert prepare_test(settings, state(paused), "crm", None, None).filter.matches


def test_an_event_that_does_not_fit_its_schema_is_refused_with_the_path(
    settings: Settings,
) -> None:
    wrong = replace(LINE, data={**HAPPENING.data, "currency": 7})
    with pytest.raises(EventRefused, match=r"data\.currency"):
        prepare_test(settings, state(), "crm", None, wrong)
