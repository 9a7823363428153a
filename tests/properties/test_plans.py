"""Whatever is declared: once its plan is written, the same declaration changes nothing more."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests import strategies

from hookstream.core.matching.directory import asks_for
from hookstream.core.model.subscription import Endpoint, Partner, Subscription
from hookstream.core.planning.changes import Create, Delete, Plan, Update
from hookstream.core.planning.declared import (
    UNNAMED,
    Declared,
    DeclaredSecret,
    DeclaredSubscription,
)
from hookstream.core.planning.plan import Current, PlanMeans, PlanOptions, plan

LATEST = {"pricing.completed": 3, "order.generated": 1, "endpoint.disabled": 1}
MEANS = PlanMeans(
    new_key=lambda: bytes(32),
    scrub=lambda url: url,
    pattern_problems=lambda _: (),
    template_problems=lambda _: (),
    asks_for=asks_for,
    takes_effect=0,
    prune_share=1.0,
)
OPTIONS = PlanOptions(prune=True, owner="shop")
PARTNERS = ["acme", "zenith"]
IDS = ["a", "b", "c"]


def declared_of(
    subscription: Subscription, name: str, partner_id: str, generated: list[str]
) -> DeclaredSubscription:
    endpoint = subscription.endpoint
    headers = tuple(dict(endpoint.headers).items())
    row = Subscription(
        id=name,
        partner_id=partner_id,
        endpoint=Endpoint(endpoint.url, (), headers, endpoint.timeout),
        event_types=subscription.event_types,
        active_from=0,
        environments=subscription.environments,
        pattern=subscription.pattern,
        retry=subscription.retry,
        limits=subscription.limits,
    )
    kept = [DeclaredSecret(each.id, each.key) for each in endpoint.secrets]
    return DeclaredSubscription(row, (*kept, *(DeclaredSecret(each, None) for each in generated)))


# An id keeps its partner over all declarations of one example, as it must.
subscriptions = st.builds(
    declared_of,
    strategies.subscriptions,
    st.sampled_from(IDS),
    st.just("acme"),
    st.lists(st.sampled_from([UNNAMED, "spring"]), max_size=3).filter(
        lambda names: names.count("spring") < 2
    ),
)
declarations = st.builds(
    Declared,
    st.tuples(
        *(
            st.builds(Partner, st.just(each), strategies.NAMES, strategies.grants)
            for each in PARTNERS
        )
    ),
    st.lists(subscriptions, max_size=3, unique_by=lambda each: each.row.id).map(tuple),
)


def made(declared: Declared, current: Current, now: int) -> Plan:
    return plan(declared, current, OPTIONS, replace(MEANS, takes_effect=now))


def written(current: Current, done: Plan) -> Current:
    partners, found = dict(current.partners), dict(current.subscriptions)
    for change in done.writes:
        match change:
            case Create(Partner() as after) | Update(_, Partner() as after):
                partners[after.id] = after
            case Create(Subscription() as kept) | Update(_, Subscription() as kept):
                found[kept.id] = kept
            case Delete(_, Subscription() as rest):
                found[rest.id] = rest
            case Delete(before):
                del partners[before.id]
            case _:
                raise AssertionError(change)
    return replace(current, partners=partners, subscriptions=found)


@settings(max_examples=40)
@given(declared=st.lists(declarations, min_size=1, max_size=3))
def test_a_plan_that_was_written_leaves_nothing_to_change(declared: list[Declared]) -> None:
    """Otherwise every run of a pipeline would write, and no plan could be trusted."""
    current = Current(latest=LATEST)
    for number, each in enumerate(declared):
        current = written(current, made(each, current, number * 1_000))
    assert made(declared[-1], current, 9_000).writes == ()


@settings(max_examples=40)
@given(first=declarations, second=declarations)
def test_a_plan_writes_each_subject_once_and_counts_its_revision_on(
    first: Declared, second: Declared
) -> None:
    """Workers and scripts recognise the newer of two rows by its revision."""
    current = written(Current(latest=LATEST), made(first, Current(latest=LATEST), 0))
    done = made(second, current, 1_000)
    after = written(current, done)
    assert len(done.writes) == len({str(change) for change in done.writes})
    for name, subscription in after.subscriptions.items():
        before = current.subscriptions.get(name)
        assert isinstance(subscription, Subscription)
        if isinstance(before, Subscription) and before != subscription:
            assert subscription.revision == before.revision + 1
