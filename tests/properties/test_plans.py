"""Whatever is declared: once its plan is written, the same declaration changes nothing more."""

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests import strategies

from hookstream.core.matching.directory import asks_for
from hookstream.core.model.instant import DAY
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    Partner,
    SigningScheme,
    Subscription,
)
from hookstream.core.planning.changes import Create, Delete, Plan, Update
from hookstream.core.planning.declared import (
    UNNAMED,
    Declared,
    DeclaredSecret,
    DeclaredSubscription,
    SigningKey,
)
from hookstream.core.planning.plan import Current, PlanMeans, PlanOptions, plan
from hookstream.core.planning.rotation import (
    LONGEST_OVERLAP,
    MOST_SECRETS,
    replaced,
    without_ended,
)
from hookstream.errors import InputRefused

LATEST = {"pricing.completed": 3, "order.generated": 1, "endpoint.disabled": 1}
MEANS = PlanMeans(
    new_key=lambda scheme: SigningKey(bytes(32), scheme),
    now=0,
    scrub=lambda url: url,
    pattern_problems=lambda _: (),
    template_problems=lambda _: (),
    asks_for=asks_for,
    takes_effect=0,
    prune_share=1.0,
    certificate_end=lambda _: None,
)
OPTIONS = PlanOptions(prune=True, owner="shop")
PARTNERS = ["acme", "zenith"]
IDS = ["a", "b", "c"]


kept_secrets = st.lists(st.builds(DeclaredSecret, strategies.NAMES, strategies.KEYS), max_size=2)
generated_secrets = st.lists(st.sampled_from([UNNAMED, "spring"]), max_size=3).filter(
    lambda names: names.count("spring") < 2
)
partners = st.tuples(
    *(st.builds(Partner, st.just(each), strategies.NAMES, strategies.grants) for each in PARTNERS)
)
ids = st.lists(st.sampled_from(IDS), unique=True)


def declared_of(
    name: str, chosen: Subscription, kept: list[DeclaredSecret], generated: list[str]
) -> DeclaredSubscription:
    # An id keeps its partner over all declarations of one example, as it must.
    headers = tuple(dict(chosen.endpoint.headers).items())
    row = replace(chosen, id=name, endpoint=replace(chosen.endpoint, headers=headers))
    return DeclaredSubscription(row, (*kept, *(DeclaredSecret(each, None) for each in generated)))


@st.composite
def declared(draw: st.DrawFn) -> Declared:
    return Declared(
        draw(partners),
        tuple(
            declared_of(
                name,
                draw(strategies.chosen_subscriptions),
                draw(kept_secrets),
                draw(generated_secrets),
            )
            for name in draw(ids)
        ),
    )


declarations = declared()


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


@dataclass
class Life:
    """One subscription: its file, its row, and the time."""

    lines: list[DeclaredSecret]
    current: Current = field(default_factory=lambda: Current(latest=LATEST))
    now: int = 0
    leaked: dict[bytes, int] = field(default_factory=dict)
    """When each key that was replaced must be gone."""
    generated: int = 0

    def row(self) -> Subscription:
        found = self.current.subscriptions["a"]
        assert isinstance(found, Subscription)
        return without_ended(found, self.now)

    def new_key(self, scheme: SigningScheme) -> SigningKey:
        self.generated += 1
        return SigningKey(self.generated.to_bytes(32, "big"), scheme)

    def plan(self) -> Plan:
        grant = Grant(("*",), ("*",))
        endpoint = Endpoint("https://partner.example/", ())
        row = Subscription("a", "acme", endpoint, ("order.generated",), 0)
        declared = Declared(
            (Partner("acme", "Acme", grant),), (DeclaredSubscription(row, (*self.lines,)),)
        )
        means = replace(MEANS, new_key=self.new_key, now=self.now, takes_effect=self.now + LEAD)
        return plan(declared, self.current, OPTIONS, means)

    def apply(self) -> None:
        made = self.plan()
        if not made.problems:
            self.current = written(self.current, made)

    def rotate(self, overlap: int, scheme: SigningScheme | None) -> None:
        at = self.now + LEAD
        before = self.row()
        lasting = {each.key for each in before.endpoint.secrets if each.expires_at is None}
        try:
            done = replaced(before, self.now, at, overlap, scheme, self.new_key)
        except InputRefused:
            return
        kept = {each.key for each in done.subscription.endpoint.secrets if not each.expires_at}
        for key in lasting - kept:
            self.leaked[key] = at + overlap
        self.current = replace(self.current, subscriptions={"a": done.subscription})


LEAD = 2_000
overlaps = st.sampled_from([0, 1, 5_000, DAY, LONGEST_OVERLAP])
lines_of_a_file = st.lists(
    st.sampled_from(
        [DeclaredSecret(UNNAMED, None), DeclaredSecret(UNNAMED, None, SigningScheme.V1A)]
    ),
    min_size=1,
    max_size=2,
)
acts = st.one_of(
    st.tuples(st.just("rotate"), overlaps, st.none() | st.sampled_from(SigningScheme)),
    st.tuples(st.just("wait"), overlaps, st.none()),
    st.tuples(st.just("file"), lines_of_a_file, st.none()),
)


def done_by(life: Life, act: tuple[str, Any, SigningScheme | None]) -> None:
    kind, value, scheme = act
    if kind == "rotate":
        life.rotate(value, scheme)
    elif kind == "wait":
        life.now += value
    else:
        life.lines = value
        life.apply()


@settings(max_examples=150)
@given(lines=lines_of_a_file, drawn=st.lists(acts, max_size=12))
def test_over_any_rotations_and_files_a_secret_goes_at_its_time_and_none_comes_back(
    lines: list[DeclaredSecret], drawn: list[tuple[str, Any, SigningScheme | None]]
) -> None:
    life = Life(lines)
    life.apply()
    names: dict[bytes, str] = {}
    born: dict[bytes, int] = {each.key: -1 for each in life.row().endpoint.secrets}
    for number, act in enumerate(drawn):
        ending = {each for each in life.row().endpoint.secrets if each.expires_at}
        done_by(life, act)
        secrets = life.row().endpoint.secrets
        assert act[0] != "file" or ending <= {*secrets}
        assert 1 <= len(secrets) <= MOST_SECRETS
        assert len({each.id for each in secrets}) == len(secrets)
        for each in secrets:
            assert names.setdefault(each.key, each.id) == each.id
            born.setdefault(each.key, number)
            assert life.now < life.leaked.get(each.key, each.expires_at or life.now + 1)
        lasting = [each for each in secrets if each.expires_at is None]
        assert secrets[: len(lasting)] == (*lasting,)
        for scheme in SigningScheme:
            ages = [born[each.key] for each in lasting if each.scheme is scheme]
            assert ages == sorted(ages, reverse=True)
            ends = [
                born[each.key] for each in secrets if each.expires_at and each.scheme is scheme
            ]
            assert not ages or max(ends, default=-1) <= ages[0]


@settings(max_examples=150)
@given(
    lines=lines_of_a_file,
    drawn=st.lists(acts, max_size=6),
    overlap=overlaps,
    later=st.lists(overlaps, max_size=3),
)
def test_a_rotation_leaves_a_file_nothing_to_change_during_its_overlap_and_after_it(
    lines: list[DeclaredSecret],
    drawn: list[tuple[str, Any, SigningScheme | None]],
    overlap: int,
    later: list[int],
) -> None:
    life = Life(lines)
    life.apply()
    for act in drawn:
        done_by(life, act)
    life.apply()
    unchanged = life.plan()
    if unchanged.problems:
        return
    assert unchanged.writes == ()
    # Of the scheme that there is: another is a change that the file has to allow.
    for scheme in SigningScheme:
        if any(
            each.scheme is scheme for each in life.row().endpoint.secrets if not each.expires_at
        ):
            life.rotate(overlap, scheme)
    for pause in (0, *later):
        life.now += pause
        assert life.plan().writes == ()
