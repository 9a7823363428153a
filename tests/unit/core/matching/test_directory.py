"""Which subscriptions match an event, and a subscription's status."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from tests.doubles.excerpts import excerpt

from hookstream.core.matching.directory import Directory, Match, Question
from hookstream.core.matching.fanout import Fanout, Request
from hookstream.core.model.json import Json, JsonObject, Paths
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    Gap,
    Grant,
    HeldGrant,
    Partner,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Live,
    Paused,
    SubscriptionStatus,
    Unreadable,
)

PRICED = "pricing.completed"
EVERYTHING = Grant(("*",), ("*",))
ACME = Partner("acme", "Acme", EVERYTHING)
HERS = Subscription("s1", "acme", Endpoint("https://acme.example", ()), (PRICED,), active_from=100)
FOREIGN = UnreadableSubscription("s9", "acme", (PRICED,), 100, (), "a newer release wrote it")
NO_VERSION = Refused(RefusalReason.VERSION_NOT_RESOLVABLE, "v1 has no default for pages")


class Bodies:
    """Gives bodies of an event and remembers which were requested."""

    def __init__(self, refused: Refused | None = None, **data: str | int) -> None:
        self.asked: list[int] = []
        self._refused = refused
        self._data = data

    def __call__(self, version: int) -> JsonObject | Refused:
        self.asked.append(version)
        if self._refused is not None:
            return self._refused
        return {"version": version, "environment": "live", "data": {**self._data}}


def directory(
    *subscriptions: Subscription | UnreadableSubscription, partner: Partner = ACME
) -> Directory:
    found = Directory()
    found.put_partner(partner)
    for subscription in subscriptions:
        found.put_subscription(subscription)
    return found


def matched(
    found: Directory,
    *,
    event_type: str = PRICED,
    environment: str = "live",
    timestamp: int = 1000,
    document: Callable[[int], JsonObject | Refused] | None = None,
    latest: int = 3,
) -> list[Match]:
    document = cache(document or Bodies(account="c1", pages=48))
    light = found.match(Question(event_type, environment, timestamp, document, latest))
    owed = [match for match in light if match is not None]

    def part(version: int, paths: Paths) -> JsonObject | Refused:
        whole = document(version)
        return whole if isinstance(whole, Refused) else excerpt(whole, paths)

    in_part = Question(event_type, environment, timestamp, document, latest, excerpt=part)
    heavy = found.matching(in_part)
    heavy.find()
    beside: list[Match] = []
    while not heavy.is_done:
        beside += heavy.step()
    assert beside == owed
    for subscription_id in found.subscriptions:
        question = Question(event_type, environment, timestamp, document, latest, excerpt=part)
        alone = found.judge(subscription_id, question)()
        assert alone in ([None, *owed] if alone is None else owed)
        assert (alone is None) == (subscription_id not in ids(owed))
    return owed


def ids(matches: list[Match]) -> list[str]:
    return [match.subscription.id for match in matches]


# When.


@pytest.mark.parametrize(("timestamp", "expected"), [(99, []), (100, []), (101, ["s1"])])
def test_only_records_after_its_start_are_expected(timestamp: int, expected: list[str]) -> None:
    found = directory(HERS)
    assert ids(matched(found, timestamp=timestamp)) == expected
    assert found.has_subscribers(PRICED, timestamp) is bool(expected)


@pytest.mark.parametrize(
    ("timestamp", "expected"), [(200, ["s1"]), (201, []), (300, []), (301, ["s1"])]
)
def test_a_gap_takes_its_end_and_not_its_start(timestamp: int, expected: list[str]) -> None:
    """Live delivery and a replay of the gap split the log exactly: no record falls between."""
    found = directory(replace(HERS, gaps=(Gap(200, 300, "paused"),)))
    assert ids(matched(found, timestamp=timestamp)) == expected


@pytest.mark.parametrize(("timestamp", "expected"), [(200, ["s1"]), (201, []), (10**13, [])])
def test_an_open_gap_has_no_end(timestamp: int, expected: list[str]) -> None:
    found = directory(replace(HERS, gaps=(Gap(200, None, "paused"),)))
    assert ids(matched(found, timestamp=timestamp)) == expected
    assert found.has_subscribers(PRICED, timestamp) is bool(expected)


def test_a_health_row_opens_a_gap_and_its_clearing_closes_it() -> None:
    found = directory(HERS)
    found.put_disabled(Disabled("s1", 200, "gone"))
    while_disabled = ids(matched(found, timestamp=201)), ids(matched(found, timestamp=200))
    found.drop_disabled("s1")
    assert (while_disabled, ids(matched(found, timestamp=201))) == (([], ["s1"]), ["s1"])


def test_a_health_row_may_come_before_its_subscription() -> None:
    """The tables are read concurrently."""
    found = Directory()
    found.put_disabled(Disabled("s1", 200, "gone"))
    found.put_partner(ACME)
    found.put_subscription(HERS)
    assert ids(matched(found, timestamp=201)) == []


def test_a_type_is_wanted_while_one_of_its_subscriptions_is_active() -> None:
    ended = replace(HERS, gaps=(Gap(200, None, "paused"),))
    found = directory(ended, replace(HERS, id="s2", active_from=400))
    assert [found.has_subscribers(PRICED, at) for at in (100, 150, 300, 401)] == [
        False,
        True,
        False,
        True,
    ]


def test_a_type_without_a_subscription_is_not_wanted() -> None:
    """Its records need not even be decoded."""
    assert not directory(HERS).has_subscribers("order.generated", 1000)


# Which type and environment.


@pytest.mark.parametrize(
    ("globs", "event_type", "expected"),
    [
        (("pricing.*",), PRICED, ["s1"]),
        (("*",), PRICED, ["s1"]),
        (("pricing.*",), "order.generated", []),
        (("*",), "endpoint.disabled", []),
        (("endpoint.*",), "endpoint.disabled", []),
        (("endpoint.disabled",), "endpoint.disabled", ["s1"]),
        (("*",), "hookstream.attempt", []),
    ],
)
def test_a_glob_takes_in_types_but_never_our_own(
    globs: tuple[str, ...], event_type: str, expected: list[str]
) -> None:
    """A partner that requested everything must not receive our own operations events."""
    partner = replace(ACME, grant=Grant((*globs, "endpoint.disabled"), ("*",)))
    found = directory(replace(HERS, event_types=globs), partner=partner)
    about_acme = Bodies(partner_id="acme")
    assert ids(matched(found, event_type=event_type, document=about_acme)) == expected


@pytest.mark.parametrize(
    ("own", "granted", "expected"),
    [
        (None, ("*",), ["s1"]),
        (None, ("live",), ["s1"]),
        (None, ("test",), []),
        (("live",), ("*",), ["s1"]),
        (("test",), ("*",), []),
        (("live", "test"), ("test",), []),
        ((), ("*",), []),
    ],
)
def test_an_environment_is_requested_and_granted(
    own: tuple[str, ...] | None, granted: tuple[str, ...], expected: list[str]
) -> None:
    partner = replace(ACME, grant=Grant(("*",), granted))
    filtered = replace(
        HERS, environments=own, pattern={"data": {"pages": [{"numeric": [">", 1]}]}}
    )
    plain = replace(HERS, environments=own)
    assert ids(matched(directory(plain, partner=partner))) == expected
    assert ids(matched(directory(filtered, partner=partner))) == expected


# What was granted.


def test_without_a_partner_nothing_is_granted() -> None:
    found = Directory()
    found.put_subscription(HERS)
    before = ids(matched(found))
    found.put_partner(ACME)
    after = ids(matched(found))
    found.drop_partner("acme")
    assert (before, after, ids(matched(found))) == ([], ["s1"], [])


def test_a_type_that_was_not_granted_is_not_expected() -> None:
    partner = replace(ACME, grant=Grant(("order.*",), ("*",)))
    assert matched(directory(HERS, partner=partner)) == []


@pytest.mark.parametrize(("timestamp", "expected"), [(500, []), (501, ["s1"])])
def test_a_match_by_a_wider_grant_is_only_of_later_records(
    timestamp: int, expected: list[str]
) -> None:
    narrow = Grant(("order.*",), ("*",))
    partner = replace(ACME, grant_from=500, previous_grant=narrow)
    assert ids(matched(directory(HERS, partner=partner), timestamp=timestamp)) == expected


@pytest.mark.parametrize("timestamp", [500, 501])
def test_a_narrower_grant_applies_to_records_of_the_wider_one_too(timestamp: int) -> None:
    partner = replace(
        ACME, grant=Grant(("*",), ("test",)), grant_from=500, previous_grant=EVERYTHING
    )
    assert ids(matched(directory(HERS, partner=partner), timestamp=timestamp)) == []


@pytest.mark.parametrize(("account", "expected"), [("c1", ["s1"]), ("c2", [])])
def test_the_pattern_of_a_grant_is_evaluated_too(account: str, expected: list[str]) -> None:
    grant = replace(EVERYTHING, pattern={"data": {"account": ["c1"]}})
    found = directory(HERS, partner=replace(ACME, grant=grant))
    assert ids(matched(found, document=Bodies(account=account))) == expected


def test_a_grant_with_an_unreadable_pattern_grants_nothing_and_is_reported() -> None:
    grant = replace(EVERYTHING, pattern={"data": {"account": [{"regex": "c"}]}})
    found = directory(HERS, partner=replace(ACME, grant=grant))
    (match,) = matched(found)
    assert match.refused is not None
    assert match.refused.reason is RefusalReason.FILTER_NOT_EVALUABLE
    assert match.refused.detail.startswith("the grant's pattern at data.account: unknown operator")


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (EVERYTHING, True),
        (Grant(("pricing.*",), ("live",)), True),
        (Grant(("order.*",), ("*",)), False),
        (Grant(("*",), ("test",)), False),
        (Grant(("*",), ("*",), {"data": {"account": ["c1"]}}), True),
        (Grant(("*",), ("*",), {"data": {"account": ["c2"]}}), False),
    ],
)
def test_a_grant_is_checked_again_before_an_attempt(
    grant: Grant,
    expected: bool,  # noqa: FBT001
) -> None:
    """What was taken away since the match must not be sent."""
    partner = replace(ACME, grant=grant)
    bodies = Bodies(account="c1")
    found = directory(HERS, partner=partner)
    granted = found.granted(partner, PRICED, "live", 1000, lambda: bodies(1))
    assert (granted, bool(bodies.asked)) == (expected, grant.pattern is not None)


def test_only_records_of_its_time_pay_for_the_pattern_of_an_earlier_grant() -> None:
    """Other matching stays as cheap as with one grant, however many a partner had."""
    clauses: list[Json] = [{"wildcard": f"*{number}*"} for number in range(50)]
    slow: JsonObject = {"data": {"name": clauses}}
    earlier = replace(EVERYTHING, pattern=slow)
    partner = replace(ACME, history=(HeldGrant(earlier, 0), HeldGrant(EVERYTHING, 500)))
    found = directory(HERS, partner=partner)
    assert [found.is_heavy(PRICED, 10_000, at) for at in (500, 501)] == [True, False]
    assert [found.grant_is_heavy(partner, 10_000, at) for at in (500, 501)] == [True, False]


def test_a_grant_that_is_not_in_the_table_is_checked_as_given() -> None:
    narrow = replace(ACME, grant=Grant(("order.*",), ("*",)))
    found = directory(HERS)
    assert found.granted(None, PRICED, "live", 1, lambda: NO_VERSION) is False
    assert found.granted(narrow, PRICED, "live", 1, lambda: NO_VERSION) is False


def test_a_grant_that_cannot_be_evaluated_is_refused() -> None:
    grant = Grant(("*",), ("*",), {"data": {"account": ["c1"]}})
    partner = replace(ACME, grant=grant)
    granted = directory(HERS).granted(partner, PRICED, "live", 1, lambda: NO_VERSION)
    assert granted == Refused(
        RefusalReason.FILTER_NOT_EVALUABLE,
        "the grant's filter needs a body, and version_not_resolvable: v1 has no default for pages",
    )


# By which filter, at which version.


def test_subscriptions_come_in_the_order_of_their_ids_however_they_are_filed() -> None:
    found = directory(
        replace(HERS, id="s4"),
        replace(HERS, id="s3", environments=("live",)),
        replace(HERS, id="s2", pattern={"data": {"account": ["c1"]}}, versions={PRICED: 2}),
        replace(HERS, id="s1", pattern={"data": {"pages": [{"numeric": ["=", 48]}]}}),
        replace(HERS, id="s5", pattern={"data": {"account": ["c2"]}}),
    )
    assert ids(matched(found)) == ["s1", "s2", "s3", "s4"]


def test_each_receives_the_version_that_it_pinned() -> None:
    found = directory(
        HERS,
        replace(HERS, id="s2", versions={PRICED: 2}),
        replace(HERS, id="s3", versions={PRICED: "latest"}),
    )
    assert matched(found) == [
        Match(found.subscriptions["s1"], 1),
        Match(found.subscriptions["s2"], 2),
        Match(found.subscriptions["s3"], 3),
    ]


def test_a_filter_is_evaluated_on_the_pinned_version() -> None:
    pattern: JsonObject = {"version": [2]}
    found = directory(
        replace(HERS, id="s1", pattern=pattern),
        replace(HERS, id="s2", pattern=pattern, versions={PRICED: 2}),
        replace(HERS, id="s3", pattern=pattern, versions={PRICED: "latest"}),
    )
    assert ids(matched(found, latest=2)) == ["s2", "s3"]


def test_a_body_is_made_once_a_version_and_only_where_a_filter_needs_it() -> None:
    pattern: JsonObject = {"data": {"account": [{"suffix": "1"}]}}
    without, needed = Bodies(account="c1"), Bodies(account="c1")
    matched(directory(HERS), document=without)
    filtered = [replace(HERS, id=f"s{n}", pattern=pattern) for n in range(5)]
    matched(directory(*filtered, replace(HERS, versions={PRICED: 2})), document=needed)
    assert (without.asked, needed.asked) == ([], [1])


def test_a_filter_that_cannot_be_evaluated_is_an_error_and_not_a_match() -> None:
    """Neither everything nor nothing would be right: it must be reported."""
    plain = replace(HERS, id="s2")
    other = replace(HERS, id="s3", environments=("test",), pattern={"data": {"pages": [1]}})
    found = directory(replace(HERS, pattern={"data": {"pages": [1]}}), plain, other)
    assert matched(found, document=Bodies(NO_VERSION)) == [
        Match(
            found.subscriptions["s1"],
            1,
            Refused(
                RefusalReason.FILTER_NOT_EVALUABLE,
                "its filter needs a body, and version_not_resolvable: v1 has no default for pages",
            ),
        ),
        Match(plain, 1),
    ]


def test_a_filter_that_this_release_cannot_read_waits_for_one_that_can() -> None:
    newer = replace(HERS, pattern={"data": {"account": [{"regex": "c"}]}})
    found = directory(newer)
    (match,) = matched(found)
    assert isinstance(match.subscription, UnreadableSubscription)
    assert (match.version, match.refused) == (0, None)
    assert found.status("s1", 1000) == Unreadable(match.subscription)


def test_an_unreadable_subscription_may_expect_what_it_may_have_matched() -> None:
    grant = replace(EVERYTHING, pattern={"data": {"account": ["other"]}})
    found = directory(FOREIGN, partner=replace(ACME, grant=grant))
    owed = matched(found, document=Bodies(account="c1"))
    assert (owed, matched(found, timestamp=100)) == ([Match(FOREIGN, 0)], [])


def test_nothing_is_expected_for_a_deleted_subscription_even_if_unreadable() -> None:
    deleted = replace(
        HERS, state=SubscriptionState.DELETED, pattern={"data": {"account": [{"regex": "c"}]}}
    )
    found = directory(deleted)
    assert (matched(found), found.status("s1", 1000)) == ([], Deleted("s1", "acme"))


# Rows that change.


def test_a_row_takes_the_place_of_the_one_before() -> None:
    found = directory(replace(HERS, pattern={"data": {"account": ["c1"]}}))
    before = ids(matched(found))
    found.put_subscription(replace(HERS, pattern={"data": {"account": ["c2"]}}))
    after = ids(matched(found))
    found.put_subscription(replace(HERS, partner_id="other"))
    moved = ids(matched(found))
    found.drop_subscription("s1")
    assert (before, after, moved) == (["s1"], [], [])
    assert (matched(found), found.has_subscribers(PRICED, 1000)) == ([], False)


def test_a_partner_row_indexes_its_subscriptions_again() -> None:
    found = directory(HERS)
    before = ids(matched(found))
    found.put_partner(replace(ACME, grant=Grant(("order.*",), ("*",))))
    assert (before, matched(found)) == (["s1"], [])


def test_which_subscriptions_are_matched_is_fixed_at_the_first_step() -> None:
    """Deliveries may be taken one at a time over seconds, while the tables keep changing."""
    found = directory(HERS, replace(HERS, id="s2"))
    matches = found.match(Question(PRICED, "live", 1000, Bodies(), 1))
    first = next(matches)
    found.drop_subscription("s2")
    found.put_subscription(replace(HERS, id="s3"))
    assert ids([match for match in (first, *matches) if match is not None]) == ["s1", "s2"]


def test_requests_that_change_while_an_event_is_matched_beside_the_loop_are_detected() -> None:
    found = directory(HERS, replace(HERS, id="s2"))
    matching = found.matching(Question(PRICED, "live", 1000, Bodies(), 1))
    matching.find()
    changed = [matching.has_changed]
    found.drop_subscription("s2")
    changed.append(matching.has_changed)
    matching.find()
    changed.append(matching.has_changed)
    assert changed == [False, True, False]
    assert ids(matching.step()) == ["s1"]
    assert matching.is_done


def test_a_subscription_to_another_type_changes_nothing_for_a_type() -> None:
    """Its row is indexed for each type: an event that is being matched must not be matched again for it."""
    found = directory(HERS)
    matching = found.matching(Question(PRICED, "live", 1000, Bodies(), 1))
    matching.find()
    found.put_subscription(replace(HERS, id="s2", event_types=("order.generated",)))
    found.drop_subscription("s2")
    assert not matching.has_changed


@pytest.mark.parametrize("pattern", [None, {"data": {"account": ["c1"]}}])
def test_a_thread_that_reads_half_a_change_detects_it(
    pattern: JsonObject | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It found no subscription between the removal of a request and its addition: an event would be lost."""
    hers = replace(HERS, pattern=pattern)
    found = directory(hers)
    matching = found.matching(Question(PRICED, "live", 1000, Bodies(account="c1"), 1))
    add = Fanout._add  # noqa: SLF001  the moment in the middle of a change

    def interrupted(fanout: Fanout, request: Request) -> None:
        matching.find()
        add(fanout, request)

    monkeypatch.setattr(Fanout, "_add", interrupted)
    found.put_subscription(replace(hers, revision=2))
    assert (matching.is_done, matching.has_changed) == (True, True)
    matching.find()
    assert (ids(matching.step()), matching.has_changed) == (["s1"], False)


def test_nothing_is_expected_for_a_subscription_that_is_in_no_table() -> None:
    question = Question(PRICED, "live", 1000, Bodies(), 1)
    assert directory(HERS).judge("nobody", question)() is None


def test_rows_that_are_not_there_can_be_dropped() -> None:
    found = directory(HERS)
    found.drop_partner("nobody")
    found.drop_subscription("nothing")
    found.drop_disabled("nothing")
    found.drop_blind("nothing")
    assert ids(matched(found)) == ["s1"]


def test_matching_stops_while_a_row_cannot_be_read_at_all() -> None:
    """It might ask for any event: nothing may be matched."""
    found = directory(HERS)
    found.put_blind("subscriptions/x", "format 7")
    blind = dict(found.blind)
    found.drop_blind("subscriptions/x")
    assert (blind, found.blind) == ({"subscriptions/x": "format 7"}, {})


# Its status.

PAUSED = replace(HERS, state=SubscriptionState.PAUSED, gaps=(Gap(500, None, "paused"),))
GONE = Disabled("s1", 200, "gone")


@pytest.mark.parametrize(
    ("subscription", "disabled", "expected"),
    [
        (HERS, None, Live(HERS, ACME)),
        (PAUSED, None, Paused(PAUSED, ACME, 500)),
        (replace(PAUSED, gaps=()), None, Paused(replace(PAUSED, gaps=()), ACME, 100)),
        (HERS, GONE, DisabledStatus(HERS, ACME, GONE)),
        (PAUSED, GONE, DisabledStatus(PAUSED, ACME, GONE)),
        (replace(HERS, state=SubscriptionState.DELETED), GONE, Deleted("s1", "acme")),
        (replace(FOREIGN, id="s1"), GONE, Unreadable(replace(FOREIGN, id="s1"))),
        (replace(HERS, partner_id="nobody"), None, Live(replace(HERS, partner_id="nobody"), None)),
        (replace(HERS, id="other"), None, Absent()),
    ],
)
def test_the_status_of_a_subscription_follows_from_its_row_its_partner_and_its_health(
    subscription: Subscription | UnreadableSubscription,
    disabled: Disabled | None,
    expected: SubscriptionStatus,
) -> None:
    found = directory(subscription)
    if disabled is not None:
        found.put_disabled(disabled)
    assert found.status("s1", 1000) == expected


def test_a_pause_starts_at_its_stated_time() -> None:
    """All workers stop at one time, however soon each of them read of it."""
    found = directory(PAUSED)
    assert [found.status("s1", now) for now in (500, 501)] == [
        Live(PAUSED, ACME),
        Paused(PAUSED, ACME, 500),
    ]


def test_a_status_is_of_the_rows_as_they_are_however_often_it_was_asked_before() -> None:
    found = directory(HERS)
    renamed, other = replace(ACME, name="Acme Ltd"), replace(HERS, event_types=("other",))
    steps: list[tuple[Callable[[], None], SubscriptionStatus]] = [
        (lambda: None, Live(HERS, ACME)),
        (lambda: found.put_partner(renamed), Live(HERS, renamed)),
        (lambda: found.put_disabled(GONE), DisabledStatus(HERS, renamed, GONE)),
        (lambda: found.drop_disabled("s1"), Live(HERS, renamed)),
        (lambda: found.drop_partner("acme"), Live(HERS, None)),
        (lambda: found.put_partner(ACME), Live(HERS, ACME)),
        (lambda: found.put_subscription(PAUSED), Paused(PAUSED, ACME, 500)),
        (lambda: found.put_subscription(other), Live(other, ACME)),
        (lambda: found.drop_subscription("s1"), Absent()),
        (lambda: found.put_subscription(HERS), Live(HERS, ACME)),
    ]
    for step, expected in steps:
        step()
        assert [found.status("s1", 1000), found.status("s1", 1000)] == [expected] * 2


def test_everything_held_can_be_listed() -> None:
    found = directory(HERS)
    assert (found.partners, found.subscriptions) == ({"acme": ACME}, {"s1": HERS})


def test_of_a_body_is_asked_what_the_patterns_of_today_ask_for() -> None:
    by_person: JsonObject = {"data": {"customer_id": ["c1"]}}
    by_pages: JsonObject = {"$or": [{"data": {"pages": [48]}}, {"environment": ["test"]}]}
    found = directory(HERS, replace(HERS, id="s2", pattern=by_person))

    def asked() -> list[Paths]:
        seen: list[Paths] = []

        def part(_: int, paths: Paths) -> JsonObject:
            seen.append(paths)
            return {}

        question = Question(PRICED, "live", 1000, Bodies(), 1, excerpt=part)
        list(found.match(question))
        return seen

    person, pages = ("data", "customer_id"), ("data", "pages")
    assert asked() == [frozenset({person})]
    found.put_subscription(replace(HERS, id="s3", pattern=by_pages))
    assert asked() == [frozenset({person, pages, ("environment",)})]
    found.put_subscription(replace(HERS, id="s2", pattern=None))
    assert asked() == [frozenset({pages, ("environment",)})]
    found.put_subscription(replace(HERS, id="s3", pattern=None))
    assert asked() == []
