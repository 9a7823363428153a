"""A folder deletes what it owns and nothing else, and takes nothing from another folder silently."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.planning.test_plan import (
    ACME,
    ACME_FILE,
    LATEST,
    MEANS,
    OLD,
    ORDERS_FILE,
    ROW,
)

from hookstream.core.model.subscription import Partner, Subscription, SubscriptionState
from hookstream.core.planning.changes import Create, Delete, Plan, Update
from hookstream.core.planning.declared import Declared, DeclaredSubscription
from hookstream.core.planning.plan import Current, PlanMeans, PlanOptions, plan

NAMES = [f"s{number}" for number in range(12)]
OWNERS = ["cli", "api", "files", "files:shop", "files:desk"]


def row(name: str, owner: str) -> Subscription:
    return replace(OLD, id=name, owner=owner)


def file(name: str) -> DeclaredSubscription:
    return replace(ORDERS_FILE, row=replace(ROW, id=name))


def planned(
    rows: Sequence[Subscription],
    files: Sequence[str],
    options: PlanOptions,
    partner: Partner = ACME,
    means: PlanMeans = MEANS,
) -> Plan:
    return plan(
        Declared((ACME_FILE,), tuple(map(file, files))),
        Current({"acme": partner}, {each.id: each for each in rows}, {}, LATEST),
        options,
        means,
    )


def said(made: Plan) -> list[str]:
    return [str(problem) for problem in made.problems]


def deleted(made: Plan) -> list[str]:
    return [change.before.id for change in made.changes if isinstance(change, Delete)]


SHOP = PlanOptions(owner="shop")
PRUNE = replace(SHOP, prune=True)


def test_what_a_folder_declares_belongs_to_it() -> None:
    made = planned([], ["s1"], SHOP)
    owners = [change.after.owner for change in made.writes if isinstance(change, Create | Update)]
    assert owners == ["files:shop", "files:shop"]


@pytest.mark.parametrize("owner", ["cli", "files"])
def test_what_has_no_folder_is_adopted_where_a_file_declares_it_and_the_plan_shows_it(
    owner: str,
) -> None:
    made = planned([row("s1", owner)], ["s1"], SHOP, replace(ACME, owner="files:shop"))
    (change,) = made.writes
    assert isinstance(change, Update)
    assert [(each.path, each.before, each.after) for each in change.differences] == [
        ("owner", owner, "files:shop")
    ]
    assert made.notes == (
        (
            "shop owns subscription s1 from now on: --prune deletes what shop owns and"
            " no longer declares"
        ),
    )


def test_what_has_no_folder_is_never_pruned() -> None:
    made = planned([row("s1", "files"), row("s2", "cli")], [], PRUNE)
    assert (deleted(made), made.problems) == ([], ())
    assert made.notes[0] == (
        "subscription s1: declared by files once and not owned by a folder, so --prune does not"
        " delete it. Apply a named folder that declares it, or delete it"
    )


def test_a_folder_without_a_name_prunes_nothing() -> None:
    assert deleted(planned([row("s1", "files")], [], PlanOptions(prune=True))) == []


def test_what_another_folder_owns_is_not_declared_too() -> None:
    made = planned([row("s1", "files:desk")], ["s1"], SHOP)
    assert said(made) == [
        (
            "subscription s1: belongs to the folder desk, and shop declares it too: remove it from"
            " one of them, or transfer it to shop with --take-over desk"
        )
    ]


def test_a_partner_of_another_folder_is_not_declared_too() -> None:
    made = planned([], [], SHOP, replace(ACME, owner="files:desk"))
    assert said(made)[0].startswith("partner acme: belongs to the folder desk")


def test_a_folder_that_lost_its_name_is_reported_with_its_former_name() -> None:
    made = planned([row("s1", "files:desk")], ["s1"], PlanOptions())
    assert said(made) == [
        (
            "subscription s1: belongs to the folder desk, and this folder has no name: if it is the"
            " same folder, give --owner desk, or add a file hookstream.yaml (name: desk)"
        )
    ]


def test_what_was_released_to_the_api_is_refused_to_files_with_what_to_do() -> None:
    made = planned([row("s1", "api")], ["s1"], replace(SHOP, take_over=frozenset()))
    assert said(made) == [
        (
            "subscription s1: belongs to the API: remove it from the files, or give it back to them"
            " first, with hookstream subscriptions release s1 --to files"
        )
    ]
    partner = planned([], [], SHOP, replace(ACME, owner="api"))
    assert said(partner)[0].endswith("with hookstream partners release acme --to files")


def test_what_was_released_to_the_api_is_never_pruned() -> None:
    made = planned([row("s1", "api")], [], PRUNE, replace(ACME, owner="files:shop"))
    assert (deleted(made), made.problems, made.notes) == ([], (), ())


def test_it_is_taken_over_on_request() -> None:
    made = planned([row("s1", "files:desk")], ["s1"], replace(SHOP, take_over=frozenset({"desk"})))
    assert made.problems == ()
    change = made.writes[-1]
    assert isinstance(change, Update)
    assert change.after.owner == "files:shop"


def test_nothing_is_taken_over_from_a_folder_that_owns_nothing() -> None:
    made = planned([row("s1", "files:desk")], [], replace(SHOP, take_over=frozenset({"dsk"})))
    assert said(made) == [
        "--take-over dsk: no folder of that name owns anything (did you mean desk?)"
    ]


def test_a_deleted_subscription_may_be_declared_by_another_folder() -> None:
    gone = replace(row("s1", "files:desk"), state=SubscriptionState.DELETED)
    assert planned([gone], ["s1"], SHOP).problems == ()


@pytest.mark.parametrize(
    ("owned", "going", "confirmed", "refused"),
    [
        (10, 1, None, False),
        (9, 1, None, True),
        (9, 1, 1, False),
        (10, 2, None, True),
        (10, 2, 1, True),
        (10, 2, 2, False),
        (10, 1, 2, True),
        (10, 0, 1, True),
        (10, 0, None, False),
        (10, 10, 10, False),
    ],
)
def test_more_than_a_tenth_is_deleted_only_when_it_is_confirmed(
    owned: int, going: int, confirmed: int | None, *, refused: bool
) -> None:
    rows = [row(name, "files:shop") for name in NAMES[:owned]]
    options = replace(PRUNE, confirm_delete=confirmed)
    made = planned(rows, [each.id for each in rows[going:]], options)
    assert (bool(made.problems), len(deleted(made))) == (refused, going)


def test_it_shows_what_would_be_deleted_and_how_to_confirm_it() -> None:
    rows = [row(name, "files:shop") for name in NAMES[:4]]
    assert said(planned(rows, ["s0", "s1"], PRUNE)) == [
        (
            "2 would be deleted (subscription s2, subscription s3), of 4 that the folder owns. That is"
            " more than 10% of them (tables.prune_share): confirm with --confirm-delete 2 if it is intended"
        )
    ]


def test_a_folder_that_declares_nothing_deletes_nothing() -> None:
    made = plan(
        Declared(),
        Current({}, {"s1": row("s1", "files:shop")}, {}, LATEST),
        replace(PRUNE, confirm_delete=1),
        MEANS,
    )
    assert said(made) == [
        (
            "the folder declares nothing, and 1 would be deleted: delete them with `hookstream"
            " subscriptions delete` and `partners delete`"
        )
    ]


drawn = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(OWNERS))


@given(
    rows=drawn,
    files=st.sets(st.sampled_from(NAMES)),
    owner=st.sampled_from([None, "shop", "desk"]),
    take_over=st.sets(st.sampled_from(["shop", "desk"])),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    confirmed=st.none() | st.integers(0, 12),
)
def test_no_plan_deletes_or_takes_what_its_folder_does_not_own(
    rows: dict[str, str],
    files: set[str],
    owner: str | None,
    take_over: set[str],
    share: float,
    confirmed: int | None,
) -> None:
    options = PlanOptions(prune=True, owner=owner, take_over=take_over, confirm_delete=confirmed)
    means = replace(MEANS, prune_share=share)
    made = planned([row(*each) for each in rows.items()], sorted(files), options, means=means)
    ours = {name for name, each in rows.items() if each == f"files:{owner}"}
    assert set(deleted(made)) <= ours - files
    if not made.problems:
        going = len(deleted(made))
        assert going == confirmed or (confirmed is None and going <= len(ours) * share)
        foreign = {
            name
            for name in files & rows.keys()
            if rows[name].startswith("files:") and name not in ours
        }
        assert all(rows[name].removeprefix("files:") in take_over for name in foreign)
        assert owner is not None or not foreign
        assert all(rows[name] != "api" for name in files & rows.keys())
