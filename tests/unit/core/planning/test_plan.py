"""A plan writes what was declared to the tables, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from hookstream.core.model.instant import Millis
from hookstream.core.model.json import Json, json_text
from hookstream.core.model.subscription import (
    BodyFormat,
    Disabled,
    Endpoint,
    Gap,
    Grant,
    HeldGrant,
    Partner,
    Secret,
    SigningSecret,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
    covers,
)
from hookstream.core.planning.changes import Create, Delete, Plan, Unchanged, Update, confirm
from hookstream.core.planning.declared import (
    UNNAMED,
    Declared,
    DeclaredSecret,
    DeclaredSubscription,
    Problem,
    SigningKey,
)
from hookstream.core.planning.fields import Difference, Subject
from hookstream.core.planning.plan import Current, PlanMeans, PlanOptions, plan
from hookstream.errors import Conflict

NOW = 10_000
SHARE = 0.1
"""Which part may be deleted without being confirmed."""
KEY, MADE = bytes(24), bytes(range(24))
LATEST = {"order.generated": 1, "pricing.completed": 3, "pricing.started": 1}
GRANT = Grant(("order.*", "pricing.*"), ("live",))

ACME_FILE = Partner("acme", "Acme", GRANT)
ROW = Subscription(
    "orders",
    "acme",
    Endpoint("https://acme.example/h/token", ()),
    ("order.generated", "pricing.*"),
    active_from=0,
)
SLOW = replace(ROW, endpoint=replace(ROW.endpoint, timeout=20_000))
ORDERS_FILE = DeclaredSubscription(ROW, (DeclaredSecret("env:ORDERS", KEY),))
ACME = Partner("acme", "Acme", GRANT, owner="files")
ORDERS = Subscription(
    "orders",
    "acme",
    Endpoint("https://acme.example/h/token", (SigningSecret("env:ORDERS", KEY, since=NOW),)),
    ("order.generated", "pricing.*"),
    active_from=NOW,
    versions={"order.generated": 1, "pricing.completed": 3, "pricing.started": 1},
    owner="files",
)
OLD = replace(ORDERS, active_from=500, revision=4)
OURS = replace(OLD, owner="files:shop")


def no_problems(_: Subject) -> Sequence[str]:
    return ()


MEANS = PlanMeans(
    new_key=lambda _: SigningKey(MADE),
    now=NOW,
    scrub=lambda url: url.rpartition("/")[0] + "/…",
    pattern_problems=no_problems,
    template_problems=lambda _: (),
    asks_for=covers,
    takes_effect=NOW,
    prune_share=SHARE,
    certificate_end=lambda _: None,
)


def planned(
    *declared: Partner | DeclaredSubscription,
    partners: Sequence[Partner] = (ACME,),
    subscriptions: Sequence[Subscription | UnreadableSubscription] = (),
    disabled: Sequence[Disabled] = (),
    prune: bool = False,
    cascade: bool = False,
    owner: str | None = None,
    confirmed: int | None = None,
    means: PlanMeans = MEANS,
) -> Plan:
    return plan(
        Declared(
            tuple(each for each in declared if isinstance(each, Partner)),
            tuple(each for each in declared if isinstance(each, DeclaredSubscription)),
        ),
        Current(
            {partner.id: partner for partner in partners},
            {subscription.id: subscription for subscription in subscriptions},
            {verdict.subscription_id: verdict for verdict in disabled},
            LATEST,
        ),
        PlanOptions(prune, cascade, owner, confirm_delete=confirmed),
        means,
    )


def pruned(
    *declared: Partner | DeclaredSubscription,
    subscriptions: Sequence[Subscription | UnreadableSubscription] = (),
    cascade: bool = False,
    confirmed: int | None = 2,
) -> Plan:
    """Return the prune of a folder that owns the partner acme, and declares something else."""
    return planned(
        Partner("other", "Other", GRANT),
        *declared,
        partners=[replace(ACME, owner="files:shop")],
        subscriptions=subscriptions,
        prune=True,
        cascade=cascade,
        owner="shop",
        confirmed=confirmed,
    )


def test_what_is_new_is_created_and_active_from_the_stated_instant() -> None:
    granted = replace(ACME, history=(HeldGrant(GRANT, NOW),))
    assert planned(ACME_FILE, ORDERS_FILE, partners=()) == Plan(
        (Create(granted), Create(ORDERS)), (), ()
    )


def test_what_is_as_declared_is_left_alone() -> None:
    made = planned(ACME_FILE, ORDERS_FILE, subscriptions=[OLD])
    assert made == Plan((Unchanged(ACME), Unchanged(OLD)), (), ())


def test_a_change_is_reported_by_field_and_keeps_what_is_not_in_files() -> None:
    paused = replace(OLD, state=SubscriptionState.PAUSED, gaps=(Gap(700, None, "paused"),))
    made = planned(replace(ORDERS_FILE, row=SLOW), subscriptions=[paused])
    after = replace(paused, endpoint=replace(OLD.endpoint, timeout=20_000), revision=5)
    assert made == Plan(
        (Update(paused, after, (Difference("endpoint.timeout", "15s", "20s"),)),),
        (),
        ("subscription orders: is paused and stays paused",),
    )


def test_no_difference_shows_a_secret() -> None:
    """Plans are pasted into reviews and chats."""
    endpoint = Endpoint(
        "https://acme.example/other/token2", (), (("authorization", "Bearer hush"),)
    )
    declared = DeclaredSubscription(
        replace(ROW, endpoint=endpoint), (DeclaredSecret("env:ORDERS", MADE),)
    )
    (change,) = planned(declared, subscriptions=[OLD]).changes
    assert isinstance(change, Update)
    assert change.differences == (
        Difference("endpoint.url", "https://acme.example/h/…", "https://acme.example/other/…"),
        Difference("endpoint.signing_secrets.env:ORDERS", "(not shown)", "(not shown)"),
        Difference("endpoint.headers.authorization", None, "(not shown)"),
    )


def test_a_generated_secret_is_generated_once() -> None:
    declared = replace(ORDERS_FILE, secrets=(DeclaredSecret(UNNAMED, None),))
    secret = SigningSecret("generated", MADE, since=NOW)
    created = replace(ORDERS, endpoint=replace(ORDERS.endpoint, secrets=(secret,)))
    assert planned(declared).changes == (Create(created, None, (secret,)),)
    means = replace(MEANS, new_key=lambda _: SigningKey(KEY))
    assert planned(declared, subscriptions=[created], means=means).changes == (Unchanged(created),)


@pytest.mark.parametrize("since", [None, 400])
def test_a_secret_signs_since_it_came_and_no_other_change_makes_it_younger(
    since: Millis | None,
) -> None:
    """Also one of which nobody knows since when: an earlier release wrote the row last."""
    known = SigningSecret("env:ORDERS", KEY, since=since)
    before = replace(OLD, endpoint=replace(OLD.endpoint, secrets=(known,), timeout=9_000))
    [changed] = planned(ORDERS_FILE, subscriptions=[before]).changes
    assert isinstance(changed, Update)
    assert isinstance(changed.after, Subscription)
    assert changed.after.endpoint.secrets == (known,)
    other = replace(ORDERS_FILE, secrets=(DeclaredSecret("env:ORDERS", MADE),))
    [replaced_] = planned(other, subscriptions=[before]).changes
    assert isinstance(replaced_, Update)
    assert isinstance(replaced_.after, Subscription)
    assert replaced_.after.endpoint.secrets == (SigningSecret("env:ORDERS", MADE, since=NOW),)


def test_a_deleted_subscription_that_is_declared_again_starts_afresh() -> None:
    """What was appended while it was deleted was not meant for it."""
    gone = replace(
        OLD,
        state=SubscriptionState.DELETED,
        gaps=(Gap(1, 2, "paused"),),
        endpoint=Endpoint("x", ()),
    )
    made = planned(ORDERS_FILE, subscriptions=[gone])
    assert made.changes == (Create(replace(ORDERS, revision=5), gone),)


@pytest.mark.parametrize("state", [SubscriptionState.ACTIVE, SubscriptionState.DELETED])
def test_an_id_belongs_to_one_partner_for_ever(state: SubscriptionState) -> None:
    """Deliveries, dead letters and audit are found by subscription id."""
    other = replace(OLD, partner_id="zenith", state=state)
    assert planned(ORDERS_FILE, subscriptions=[other]) == Plan(
        (),
        (
            Problem(
                "subscription orders",
                "id",
                "the id belongs to partner 'zenith' permanently: choose another",
            ),
        ),
        (),
    )


def test_what_cannot_be_read_is_not_overwritten() -> None:
    lost = UnreadableSubscription("orders", "acme", ("*",), 0, (), "the key ring has no key 'k1'")
    (problem,) = planned(ORDERS_FILE, subscriptions=[lost]).problems
    assert str(problem) == (
        "subscription orders: the table's row of this id cannot be read: "
        "the key ring has no key 'k1'"
    )


def test_a_partner_that_is_not_there_is_named() -> None:
    (problem,) = planned(replace(ORDERS_FILE, row=replace(ROW, partner_id="acne"))).problems
    assert str(problem) == (
        "subscription orders: partner: there is no partner 'acne' (did you mean acme?)"
    )


def test_an_unpublished_event_type_is_refused() -> None:
    declared = replace(ORDERS_FILE, row=replace(ROW, event_types=("order.generate",)))
    assert planned(declared).problems == (
        Problem(
            "subscription orders",
            "event_types[0]",
            "no schema of order.generate is published (did you mean order.generated?)",
        ),
    )


def test_a_version_that_is_not_there_is_refused() -> None:
    declared = replace(
        ORDERS_FILE, row=replace(ROW, versions={"pricing.completed": 4, "routing.decided": 1})
    )
    assert planned(declared).problems == (
        Problem(
            "subscription orders",
            "versions.pricing.completed",
            "there is no version 4: the newest published version is 3",
        ),
        Problem(
            "subscription orders",
            "versions.routing.decided",
            "the subscription does not request this event type",
        ),
    )


def test_a_pattern_is_checked_with_the_versions_that_it_will_see() -> None:
    def problems(subject: Subject) -> Sequence[str]:
        return [str(dict(subject.versions))] if isinstance(subject, Subscription) else []

    declared = replace(ORDERS_FILE, row=replace(ROW, versions={"pricing.completed": 2}))
    made = planned(declared, means=replace(MEANS, pattern_problems=problems))
    assert made.problems == (
        Problem(
            "subscription orders",
            "pattern",
            "{'pricing.completed': 2, 'order.generated': 1, 'pricing.started': 1}",
        ),
    )


TEMPLATE: Json = {"routing_key": {"secret": "key"}}


def templated(value: bytes) -> DeclaredSubscription:
    secrets = (("key", Secret("env:ROUTING", value)),)
    endpoint = replace(ROW.endpoint, template_secrets=secrets)
    row = replace(ROW, endpoint=endpoint, format=BodyFormat.TEMPLATE, template=TEMPLATE)
    return replace(ORDERS_FILE, row=row)


def test_a_declared_body_becomes_the_subscriptions() -> None:
    (change,) = planned(templated(b"hush")).changes
    assert isinstance(change, Create)
    assert isinstance(change.after, Subscription)
    assert (change.after.format, change.after.template) == (BodyFormat.TEMPLATE, TEMPLATE)
    assert change.after.endpoint.template_secrets == (("key", Secret("env:ROUTING", b"hush")),)


def test_without_a_key_ring_a_templates_secret_of_the_same_name_counts_as_unchanged() -> None:
    (change,) = planned(templated(b"hush")).changes
    assert isinstance(change, Create)
    assert isinstance(change.after, Subscription)
    before = replace(change.after, revision=1)
    for opened, expected in ((False, Unchanged), (True, Update)):
        means = replace(MEANS, opened=opened)
        (again,) = planned(templated(b"new"), subscriptions=[before], means=means).changes
        assert isinstance(again, expected)


def test_a_problem_of_a_template_has_its_path() -> None:
    means = replace(MEANS, template_problems=lambda _: [("a[0]", "is in no event type")])
    assert planned(ORDERS_FILE, means=means).problems == (
        Problem("subscription orders", "template.a[0]", "is in no event type"),
    )


def test_an_older_partner_keeps_its_version_when_a_newer_one_is_published() -> None:
    """Version 3 of pricing.completed came after this subscription: it must not be affected."""
    before = replace(OLD, versions={"order.generated": 1, "pricing.completed": 2})
    made = planned(ORDERS_FILE, subscriptions=[before])
    assert made.changes == (Unchanged(before),)


def test_a_newly_requested_type_is_pinned_to_the_newest_version_of_the_day() -> None:
    before = replace(OLD, event_types=("order.generated",), versions={"order.generated": 1})
    (change,) = planned(ORDERS_FILE, subscriptions=[before]).changes
    assert isinstance(change, Update)
    assert change.after == replace(OLD, revision=5)


def test_a_pin_that_followed_latest_stays_when_the_file_no_longer_names_latest() -> None:
    before = replace(OLD, versions={**OLD.versions, "pricing.completed": "latest"})
    (change,) = planned(ORDERS_FILE, subscriptions=[before]).changes
    assert isinstance(change, Update)
    assert change.differences == (Difference("versions.pricing.completed", "latest", "3"),)


def test_what_a_grant_excludes_is_noted_and_not_refused() -> None:
    """The grant decides at match; a request that is wider than it may be deliberate."""
    narrow = replace(ACME, grant=Grant(("order.*",), ("live",)))
    declared = replace(ORDERS_FILE, row=replace(ROW, environments=("live", "test")))
    assert planned(declared, partners=[narrow]).notes == (
        (
            "subscription orders: asks for pricing.completed, pricing.started, which partner acme "
            "is not granted: none will be sent"
        ),
        (
            "subscription orders: asks for environment test, which partner acme is not granted: "
            "none of its events will be sent"
        ),
    )


OTHERS = (
    replace(ACME, grant=replace(GRANT, environments=("*",))),
    Partner("zenith", "Zenith", Grant(("*",), ("production", "staging"))),
)


@pytest.mark.parametrize(
    ("environment", "noted"),
    [
        ("production", []),
        ("operations", []),
        (
            "prod",
            [
                (
                    "subscription orders: no other partner names environment prod"
                    " (did you mean production?): nothing is sent unless events have it"
                )
            ],
        ),
        (
            "qa",
            [
                (
                    "subscription orders: no other partner names environment qa:"
                    " nothing is sent unless events have it"
                )
            ],
        ),
    ],
)
def test_an_environment_that_no_other_grant_names_is_noted(
    environment: str, noted: list[str]
) -> None:
    made = planned(
        replace(ORDERS_FILE, row=replace(ROW, environments=(environment,))), partners=OTHERS
    )
    assert list(made.notes) == noted


def test_an_environment_that_only_a_grant_names_is_noted() -> None:
    grant = replace(GRANT, environments=("Production",))
    made = planned(replace(ACME_FILE, grant=grant), partners=OTHERS)
    assert made.notes == (
        (
            "partner acme: no other partner names environment Production (did you"
            " mean production?): nothing is sent unless events have it"
        ),
    )


def test_that_no_signing_secret_stays_is_noted() -> None:
    declared = replace(ORDERS_FILE, secrets=(DeclaredSecret("env:NEW", MADE),))
    assert planned(declared, subscriptions=[OLD]).notes == (
        (
            "subscription orders: no signing secret is kept, so the partner rejects deliveries until"
            " it has the new one; to rotate without a gap, list the old one after it for a while"
        ),
    )


@pytest.mark.parametrize(
    ("stored", "meant", "named"),
    [
        (1.2345678901234568e18, 1234567890123456789, True),
        (0.1, Decimal("0.1000000000000000001"), True),
        (0.1, Decimal("0.1000000000000000055511151231257827021181583404541015625"), True),
        (0.1, 0.2, False),
        (0.1234567890123457, 0.1234567890123457, False),
        (1e18, 10**18, False),
    ],
)
def test_a_rounded_number_is_noted_until_the_row_has_the_declared_one(
    stored: float, meant: float | Decimal, *, named: bool
) -> None:
    def grant(number: float | Decimal) -> Grant:
        return replace(GRANT, pattern={"data": {"n": [number]}})

    made = planned(
        replace(ACME_FILE, grant=grant(meant)), partners=[replace(ACME, grant=grant(stored))]
    )
    assert any("longer number" in note for note in made.notes) == named
    again = planned(
        replace(ACME_FILE, grant=grant(meant)), partners=[replace(ACME, grant=grant(meant))]
    )
    assert not any("longer number" in note for note in again.notes)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, True),
        (False, 0),
        (0.1, Decimal("0.1000000000000000055511151231257827021181583404541015625")),
    ],
)
def test_values_that_python_takes_for_equal_are_a_change(before: Json, after: Json) -> None:
    old = replace(ACME, grant=replace(GRANT, pattern={"data": {"n": [before]}}))
    new = replace(ACME_FILE, grant=replace(GRANT, pattern={"data": {"n": [after]}}))
    (change,) = planned(new, partners=[old]).writes
    assert isinstance(change, Update)
    assert isinstance(change.after, Partner)
    assert json_text(change.after.grant.pattern) == json_text(new.grant.pattern)
    assert change.after.previous_grant is not None


@pytest.mark.parametrize("number", [1.2345678901234568e18, 0.1234567890123457])
def test_a_number_that_a_previous_release_may_have_rounded_is_noted(number: float) -> None:
    grant = replace(GRANT, pattern={"data": {"n": [{"numeric": ["<", number]}], "m": [0.5]}})
    plan = planned(ACME_FILE, partners=[replace(ACME, grant=grant)])
    assert [note for note in plan.notes if "longer number" in note] == [
        (
            f"partner acme: its pattern has {number}, which an earlier release may have rounded from a"
            " longer number. Compare it with the intended number, and apply the definition"
        )
    ]


def test_a_disabled_subscription_is_noted() -> None:
    made = planned(ORDERS_FILE, subscriptions=[OLD], disabled=[Disabled("orders", 0, "gone")])
    assert made.notes == (
        (
            "subscription orders: is disabled since 1970-01-01T00:00:00.000Z (gone) and stays "
            "disabled until `hookstream subscriptions enable`"
        ),
    )


def test_a_wider_grant_takes_effect_at_the_stated_instant() -> None:
    wider = replace(GRANT, event_types=("*",))
    history = HeldGrant(GRANT), HeldGrant(wider, NOW)
    assert planned(replace(ACME_FILE, grant=wider)).changes == (
        Update(
            ACME,
            Partner("acme", "Acme", wider, NOW, GRANT, 2, "files", history),
            (Difference("grant.event_types", "order.*, pricing.*", "*"),),
        ),
    )


def test_nothing_is_deleted_unless_requested() -> None:
    assert planned(subscriptions=[OLD]) == Plan((), (), ())


def test_pruning_deletes_what_the_folder_owns_and_does_not_declare() -> None:
    theirs = replace(OURS, id="theirs", owner="cli")
    mine = replace(ACME, owner="files:shop")
    made = planned(
        ACME_FILE,
        partners=[mine],
        subscriptions=[OURS, theirs],
        prune=True,
        owner="shop",
        confirmed=1,
    )
    gone = replace(
        OURS,
        state=SubscriptionState.DELETED,
        endpoint=replace(OLD.endpoint, secrets=()),
        revision=5,
    )
    assert made == Plan((Unchanged(mine), Delete(OURS, gone)), (), ())


def test_a_deleted_subscription_is_not_deleted_again() -> None:
    gone = replace(OURS, state=SubscriptionState.DELETED)
    made = planned(ACME_FILE, subscriptions=[gone], prune=True, owner="shop")
    assert not any(isinstance(change, Delete) for change in made.changes)


def test_a_partner_is_deleted_after_its_subscriptions() -> None:
    made = pruned(subscriptions=[OURS])
    going = [change.before.id for change in made.writes if isinstance(change, Delete)]
    assert going == ["orders", "acme"]


def test_a_partner_with_a_live_subscription_of_others_needs_a_cascade() -> None:
    theirs = replace(OLD, owner="cli")
    refused = pruned(subscriptions=[theirs], confirmed=1)
    assert [str(problem) for problem in refused.problems] == [
        "partner acme: subscription 'orders' is live: --cascade deletes it as well"
    ]
    made = pruned(subscriptions=[theirs], cascade=True)
    assert [type(change) for change in made.writes] == [Create, Delete, Delete]


def test_a_subscription_that_cannot_be_read_is_not_deleted_with_its_partner() -> None:
    lost = UnreadableSubscription("theirs", "acme", ("*",), 0, (), "a key is missing")
    (problem,) = pruned(subscriptions=[lost], cascade=True, confirmed=1).problems
    assert str(problem) == (
        "subscription theirs: it cannot be deleted with its partner: a key is missing"
    )


def test_a_declared_subscription_keeps_no_pruned_partner() -> None:
    problem, _ = pruned(ORDERS_FILE, confirmed=None).problems
    assert str(problem) == (
        "subscription orders: partner: partner 'acme' is no longer declared, so it is pruned: "
        "declare it"
    )


def test_an_outdated_plan_is_a_conflict() -> None:
    declared = replace(ORDERS_FILE, row=SLOW)
    shown = planned(declared, subscriptions=[OLD])
    overtaken = planned(declared, subscriptions=[replace(OLD, revision=5)])
    with pytest.raises(Conflict, match="subscription orders was changed by somebody else"):
        confirm(shown, overtaken)


def test_a_plan_made_again_on_the_same_tables_is_confirmed() -> None:
    """Its generated secrets differ, and its instants do: neither was shown."""
    declared = replace(ORDERS_FILE, secrets=(DeclaredSecret(UNNAMED, None),))
    again = plan(
        Declared(subscriptions=(declared,)),
        Current({"acme": ACME}, {}, {}, LATEST),
        PlanOptions(),
        replace(MEANS, new_key=lambda _: SigningKey(KEY), takes_effect=NOW + 5),
    )
    confirm(planned(declared), again)  # raises otherwise


def test_a_plan_that_has_problems_by_now_is_a_conflict() -> None:
    """A schema may have gone, or a row become unreadable, that no change of the plan shows."""
    shown = planned(ORDERS_FILE, subscriptions=[OLD])
    problem = Problem("partner acme", "", "cannot be read")
    with pytest.raises(Conflict, match=r"partner acme: cannot be read \(since the plan was shown"):
        confirm(shown, replace(shown, problems=(problem,)))


def test_outdated_deletions_are_a_conflict_too() -> None:
    mine = [replace(ACME, owner="files:shop")]
    both = [OURS, replace(OURS, id="theirs")]
    shown = planned(
        ACME_FILE, partners=mine, subscriptions=both, prune=True, owner="shop", confirmed=2
    )
    overtaken = planned(ACME_FILE, partners=mine, prune=True, owner="shop")
    with pytest.raises(Conflict, match=r"subscription orders was .* \(and 1 more\)"):
        confirm(shown, overtaken)
