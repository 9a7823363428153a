"""What changes by a look is bounded, and is the same whoever looks."""

from itertools import product

from tests.doubles.failing import (
    NOW,
    OWNERS,
    QUIET,
    book_of,
    errors_of,
    group_of,
    looked,
    seen_at,
)

from hookstream.core.failures.book import (
    MOST_GROUPS,
    MOST_OF_SUBSCRIPTION,
    Due,
    FailureBook,
    by_group,
    due,
    others_of,
)
from hookstream.core.failures.groups import KEPT_RESOLVED, GroupState, group_id
from hookstream.core.model.instant import DAY, HOUR
from hookstream.core.statistics.errors import OTHERS, Fingerprint

WORDS = ["".join(letters) for letters in product("abcdefgh", repeat=3)]


def changes(found: Due) -> list[tuple[str, str, GroupState]]:
    return [(each.subscription_id, each.text, each.state) for each in found.changed]


def test_each_error_without_a_group_opens_one_the_oldest_first() -> None:
    seen = {errors_of("b"): seen_at(NOW - 5), errors_of("a", "crm", "rival"): seen_at(NOW - 9)}
    found = due(FailureBook(), looked(seen), OWNERS, NOW, QUIET)
    assert changes(found) == [("crm", "a", GroupState.OPEN), ("shop", "b", GroupState.OPEN)]


def test_errors_of_a_deleted_subscription_and_of_its_former_partner_open_nothing() -> None:
    seen = {
        errors_of(subscription="gone"): seen_at(NOW - 5),
        errors_of(partner="rival"): seen_at(NOW - 5),
    }
    assert due(FailureBook(), looked(seen), OWNERS, NOW, QUIET) == Due()


def test_the_groups_of_a_subscription_that_is_gone_are_resolved() -> None:
    gone = group_of(errors_of(subscription="gone"), last_seen=NOW - 1)
    found = due(book_of(gone, group_of()), looked(), OWNERS, NOW, QUIET)
    assert changes(found) == [("gone", "timed out", GroupState.RESOLVED)]


def test_nothing_resolves_by_itself_while_less_is_known_than_the_quiet_time() -> None:
    book, successes = book_of(group_of()), {"shop": NOW - 1}
    short = looked({}, successes, since=NOW - QUIET + 1)
    assert due(book, short, OWNERS, NOW, QUIET) == Due()
    whole = looked({}, successes, since=NOW - QUIET)
    assert changes(due(book, whole, OWNERS, NOW, QUIET)) == [
        ("shop", "timed out", GroupState.RESOLVED)
    ]


def test_a_look_changes_a_bounded_number_and_the_next_ones_change_the_rest() -> None:
    seen = {errors_of(word): seen_at(NOW - 5) for word in WORDS[:50]}
    book = FailureBook()
    sizes = []
    while (found := due(book, looked(seen), OWNERS, NOW, QUIET, most=20)).changed:
        sizes.append((len(found.changed), found.left))
        for group in found.changed:
            book.put(group.id, group)
    assert sizes == [(20, 30), (20, 10), (10, 0)]


def test_a_subscription_that_never_fails_alike_has_a_bounded_number_of_groups() -> None:
    seen = {
        errors_of(word): seen_at(NOW - 500 + at, count=2)
        for at, word in enumerate(WORDS[: MOST_OF_SUBSCRIPTION + 30])
    }
    seen[errors_of(subscription="news")] = seen_at(NOW - 5)
    book = FailureBook()
    for group in due(book, looked(seen), OWNERS, NOW, QUIET, most=1_000).changed:
        book.put(group.id, group)
    assert len(book) == MOST_OF_SUBSCRIPTION + 2
    others = book.get(group_id(others_of(errors_of())))
    assert others is not None
    assert others.fingerprint == Fingerprint("shop", "none", None, OTHERS)
    counted = by_group(book, seen)
    assert counted[others.id].count == 2 * 30
    assert sum(each.count for each in counted.values()) == 2 * (MOST_OF_SUBSCRIPTION + 30) + 1
    assert due(book, looked(seen), OWNERS, NOW, QUIET) == Due()


def test_there_is_a_bounded_number_of_groups_and_what_is_refused_is_counted() -> None:
    book = FailureBook()
    for number in range(MOST_GROUPS - 1):
        book.put(f"fg-{number}", None, unreadable=True)
    seen = {errors_of(word): seen_at(NOW - 5) for word in "abc"}
    found = due(book, looked(seen), OWNERS, NOW, QUIET)
    assert (len(found.changed), found.refused) == (1, 2)


def test_a_partner_that_deletes_its_failing_subscriptions_leaves_room_for_the_others() -> None:
    book = FailureBook()
    for number in range(MOST_GROUPS // MOST_OF_SUBSCRIPTION):
        owners = OWNERS | {f"made-{number}": "acme"}
        seen = {
            errors_of(word, f"made-{number}"): seen_at(NOW - 5)
            for word in WORDS[:MOST_OF_SUBSCRIPTION]
        }
        for group in due(book, looked(seen), owners, NOW, QUIET, most=MOST_GROUPS).changed:
            book.put(group.id, group)
    assert len(book) == MOST_GROUPS // 2

    seen = {errors_of("own"): seen_at(NOW - 5), errors_of("b", "crm", "rival"): seen_at(NOW - 5)}
    found = due(book, looked(seen), OWNERS, NOW, QUIET, most=MOST_GROUPS)

    opened = [each.subscription_id for each in found.changed if each.state is GroupState.OPEN]
    assert (opened, found.refused) == (["crm"], 1)


def test_a_group_whose_row_cannot_be_read_is_left_alone() -> None:
    book = FailureBook()
    book.put(group_id(errors_of()), None, unreadable=True)
    seen = {errors_of(): seen_at(NOW - 5)}
    assert due(book, looked(seen), OWNERS, NOW, QUIET) == Due()
    assert by_group(book, seen) == {}
    book.put(group_id(errors_of()), group_of())
    assert (len(book), list(by_group(book, seen))) == (1, [group_of().id])


def test_what_was_seen_counts_for_its_own_group_or_for_the_others() -> None:
    own, rest = group_of(), group_of(others_of(errors_of()))
    seen = {
        errors_of(): seen_at(NOW - 5),
        errors_of("a"): seen_at(NOW - 4),
        others_of(errors_of()): seen_at(NOW - 3),
        errors_of("a", "news"): seen_at(NOW - 2),
    }
    found = by_group(book_of(own, rest), seen)
    assert {name: (each.count, each.last_at) for name, each in found.items()} == {
        own.id: (1, NOW - 5),
        rest.id: (2, NOW - 3),
    }


def test_a_group_is_forgotten_long_after_it_was_resolved() -> None:
    resolved = group_of(state=GroupState.RESOLVED, changed=NOW)
    book = book_of(resolved, group_of(errors_of("a"), opened=NOW - 400 * DAY))
    assert list(book.forgettable(NOW + KEPT_RESOLVED - 1)) == []
    assert list(book.forgettable(NOW + KEPT_RESOLVED)) == [resolved.id]


def test_groups_are_counted_by_state_and_a_copy_stays_as_it_is() -> None:
    book = book_of(group_of(), group_of(errors_of("a"), GroupState.RESOLVED))
    before = book.copy()
    book.put(group_of().id, None)
    assert before.counts() == {"open": 1, "acknowledged": 0, "resolved": 1, "reopened": 0}
    assert book.counts() == {"open": 0, "acknowledged": 0, "resolved": 1, "reopened": 0}


def test_a_reopened_group_and_a_resolved_one_change_in_one_look() -> None:
    back = group_of(errors_of("a"), GroupState.RESOLVED, changed=NOW - HOUR)
    over = group_of(errors_of("b", "news"))
    found = due(
        book_of(back, over),
        looked({errors_of("a"): seen_at(NOW - 9)}, {"news": NOW - 1, "shop": NOW - 1}),
        OWNERS,
        NOW,
        QUIET,
    )
    assert changes(found) == [
        ("shop", "a", GroupState.REOPENED),
        ("news", "b", GroupState.RESOLVED),
    ]
