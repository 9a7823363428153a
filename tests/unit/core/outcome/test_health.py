"""Endpoint health: marked once, cleared once, disabled once, and only after nothing but failures."""

from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND
from hookstream.core.model.subscription import Failing
from hookstream.core.outcome.health import (
    ClearFailing,
    Finding,
    GiveUp,
    HealthBook,
    HealthRules,
    NoteFailing,
)

NOON = 1_764_072_000_000
RULES = HealthRules(disable_after=5 * DAY, enough=10)


def failures(book: HealthBook, *at: int, rules: HealthRules = RULES) -> list[Finding | None]:
    return [book.failed("crm", NOON + each, rules) for each in at]


def test_the_first_failure_is_marked_and_the_next_ones_are_not() -> None:
    found = failures(HealthBook(), 0, SECOND, HOUR)
    assert found == [NoteFailing(Failing("crm", NOON)), None, None]


def test_the_first_success_clears_the_mark_and_the_next_ones_find_none() -> None:
    book = HealthBook()
    failures(book, 0, SECOND)
    assert [book.succeeded("crm"), book.succeeded("crm")] == [ClearFailing(NOON), None]
    assert not book.failing


def test_a_success_clears_the_mark_of_another_worker() -> None:
    book = HealthBook()
    book.put(Failing("crm", NOON - DAY))
    assert book.succeeded("crm") == ClearFailing(NOON - DAY)


def test_an_endpoint_that_flaps_is_noted_once_a_minute() -> None:
    book = HealthBook()
    notes = 0
    for second in range(10 * 60):
        notes += isinstance(book.failed("crm", NOON + second * SECOND, RULES), NoteFailing)
        book.succeeded("crm")
    assert notes == 10


def test_what_is_not_marked_starts_no_failing_period() -> None:
    """The failure within the minute is not in the table, so no success could clear it."""
    book = HealthBook()
    failures(book, 0)
    book.succeeded("crm")
    assert failures(book, 10 * SECOND, MINUTE) == [
        None,
        NoteFailing(Failing("crm", NOON + MINUTE)),
    ]


def test_five_days_of_nothing_but_failures_are_enough_once() -> None:
    book = HealthBook()
    found = failures(book, *(hour * HOUR for hour in range(125)))
    ends = [each for each in found if isinstance(each, GiveUp)]
    assert ends == [GiveUp(NOON, 121)]
    assert ends[0].evidence == (
        "nothing but failures since 2025-11-25T12:00:00.000Z,"
        " 121 of them seen by the worker that disabled it"
    )


def test_too_few_failures_disable_nothing() -> None:
    daily = [day * DAY for day in range(9)]
    assert not any(isinstance(each, GiveUp) for each in failures(HealthBook(), *daily))


def test_one_success_restarts_the_period() -> None:
    book = HealthBook()
    failures(book, *(hour * HOUR for hour in range(119)))
    book.succeeded("crm")
    found = failures(book, *(hour * HOUR for hour in range(119, 150)))
    assert not any(isinstance(each, GiveUp) for each in found)


def test_a_failing_period_that_another_worker_started_continues_here() -> None:
    book = HealthBook()
    book.put(Failing("crm", NOON - 5 * DAY))
    found = failures(book, *(minute * 10 * MINUTE for minute in range(10)))
    assert found == 9 * [None] + [GiveUp(NOON - 5 * DAY, 10)]


def test_a_failing_period_that_was_only_read_is_observed_for_an_hour_before_it_disables() -> None:
    """It may contain days in which nothing was attempted: a hold, or an endpoint without events."""
    book = HealthBook()
    book.put(Failing("crm", NOON - 6 * DAY))
    assert failures(book, *(second * SECOND for second in range(30))) == 30 * [None]


def test_a_week_without_an_attempt_proves_nothing() -> None:
    """A pause or a hold: the endpoint had no chance to answer."""
    book = HealthBook()
    failures(book, *(second * SECOND for second in range(20)))
    assert failures(book, 7 * DAY, 7 * DAY + SECOND) == [
        NoteFailing(Failing("crm", NOON + 7 * DAY)),
        None,
    ]


def test_enabling_resets_the_health_of_an_endpoint() -> None:
    book = HealthBook()
    failures(book, *(hour * HOUR for hour in range(121)))
    book.drop("crm")
    later = 6 * DAY
    assert failures(book, later, later + SECOND) == [
        NoteFailing(Failing("crm", NOON + later)),
        None,
    ]


def test_a_period_without_attempts_disables_no_endpoint() -> None:
    never = HealthRules(disable_after=0, enough=1)
    found = failures(HealthBook(), *(day * DAY for day in range(90)), rules=never)
    assert not any(isinstance(each, GiveUp) for each in found)


def test_a_clock_that_went_back_disables_no_endpoint_and_marks_again() -> None:
    book = HealthBook()
    failures(book, DAY)
    book.succeeded("crm")
    assert failures(book, 0) == [NoteFailing(Failing("crm", NOON))]


def test_write_times_do_not_accumulate() -> None:
    book = HealthBook()
    for number in range(25_000):
        name = f"s{number}"
        book.failed(name, NOON + number * SECOND, RULES)
        book.succeeded(name)
    assert book.remembered <= 60


def test_an_outage_of_very_many_endpoints_costs_no_more_for_each_than_one_of_few() -> None:
    """What is remembered was copied at each failure beyond ten thousand."""
    book = HealthBook()
    for number in range(100_000):
        book.failed(f"s{number}", NOON + number % 1_000, RULES)
    assert book.remembered == 100_000
