"""A record waits for its schema in growing steps, and not for ever."""

from hookstream.core.model.delivery import DeferReason, UnmatchedEvent
from hookstream.core.model.instant import HOUR, MINUTE, SECOND
from hookstream.core.model.outcome import DeferUntil
from hookstream.core.model.record import Origin
from hookstream.core.outcome.policy import event_deferred, schema_unknown_until

NOW = 1_795_000_000_000
TIERS = (5 * SECOND, 30 * SECOND, MINUTE)


def an_event(deferrals: int = 0) -> UnmatchedEvent:
    return UnmatchedEvent(Origin("t", 0, 0, NOW), first_at=NOW, deferrals=deferrals)


def test_each_wait_is_one_tier_longer_up_to_the_longest() -> None:
    waits = [schema_unknown_until(an_event(count), TIERS, NOW, grace=HOUR) for count in range(5)]

    assert waits == [
        DeferUntil(NOW + delay, DeferReason.SCHEMA_UNKNOWN)
        for delay in (5 * SECOND, 30 * SECOND, MINUTE, MINUTE, MINUTE)
    ]


def test_the_wait_ends_with_the_grace() -> None:
    event = an_event()

    assert schema_unknown_until(event, TIERS, NOW + HOUR - 1, grace=HOUR) is not None
    assert schema_unknown_until(event, TIERS, NOW + HOUR, grace=HOUR) is None


def test_an_unbroken_wait_keeps_its_start() -> None:
    event = an_event()
    event_deferred(event, DeferUntil(NOW + 5, DeferReason.SCHEMA_UNKNOWN), NOW)

    event_deferred(event, DeferUntil(NOW + 9, DeferReason.SCHEMA_UNKNOWN), NOW + 5)

    assert event == UnmatchedEvent(
        Origin("t", 0, 0, NOW),
        first_at=NOW,
        due_at=NOW + 9,
        deferrals=2,
        deferred_reason=DeferReason.SCHEMA_UNKNOWN,
        deferred_since=NOW,
    )
