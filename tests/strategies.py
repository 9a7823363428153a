"""Hypothesis strategies for the nouns of core.model."""

from dataclasses import replace
from string import ascii_lowercase, digits
from typing import Any

from hypothesis import strategies as st

from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.partner_limits import (
    DEFAULT_PARTNER_LIMITS,
    PARTNER_LIMIT_BOUNDS,
    PartnerLimits,
)
from hookstream.core.model.subscription import (
    FEWEST_IN_BATCH,
    LONGEST_BATCH_WAIT,
    MOST_IN_BATCH,
    Basic,
    Batch,
    Bearer,
    BodyFormat,
    ClientAuth,
    Content,
    Disabled,
    Endpoint,
    Gap,
    Grant,
    HeldGrant,
    Limits,
    MutualTls,
    OAuth2,
    Partner,
    RetryPolicy,
    Secret,
    SigningScheme,
    SigningSecret,
    Subscription,
    SubscriptionState,
)

INSTANTS = st.integers(0, 4_000_000_000_000)
DURATIONS = st.integers(0, 10**9)
_ALNUM = ascii_lowercase + digits
# As text, which is drawn at once: a pattern is drawn letter by letter, which takes four times as long.
IDS = st.tuples(st.sampled_from(_ALNUM), st.text(_ALNUM + "._-", max_size=15)).map("".join)
_CHARACTERS = st.characters(exclude_categories=["Cs"])
NAMES = st.text(_CHARACTERS, max_size=12)
EVENT_TYPES = st.sampled_from(["pricing.completed", "order.generated", "pricing.*", "*"])
ENVIRONMENTS = st.sampled_from(["live", "test"])

patterns: st.SearchStrategy[JsonObject] = st.dictionaries(
    st.text(_CHARACTERS, min_size=1, max_size=12),
    st.lists(st.one_of(NAMES, st.integers(-(2**53), 2**53), st.booleans())),
).map(lambda found: {name: list(values) for name, values in found.items()})

grants = st.builds(
    Grant,
    st.lists(EVENT_TYPES, min_size=1, max_size=3).map(tuple),
    st.lists(ENVIRONMENTS, min_size=1, max_size=3).map(tuple),
    st.none() | patterns,
    st.booleans(),
)

partner_limits = st.builds(
    PartnerLimits,
    **{
        name: st.integers(bounds.least, bounds.most)
        for name, bounds in PARTNER_LIMIT_BOUNDS.items()
    },
)

_partners = st.builds(
    Partner,
    IDS,
    NAMES,
    grants,
    INSTANTS,
    st.none() | grants,
    st.integers(1, 10**9),
    st.sampled_from(["cli", "files"]),
    limits=st.just(DEFAULT_PARTNER_LIMITS) | partner_limits,
)

_pasts = st.lists(st.tuples(INSTANTS, grants), max_size=4, unique_by=lambda each: each[0])


@st.composite
def with_history(draw: st.DrawFn) -> Partner:
    """Return a partner as any release writes it: with a history, or without one."""
    partner = draw(_partners)
    past = draw(_pasts)
    if not past:
        return partner
    history = [HeldGrant(grant, since) for since, grant in sorted(past, key=lambda each: each[0])]
    history[-1] = replace(history[-1], grant=partner.grant)
    if draw(st.booleans()):
        history[0] = replace(history[0], since=None)
    return replace(partner, history=tuple(history))


partners = with_history()

batches = st.builds(
    Batch, st.integers(FEWEST_IN_BATCH, MOST_IN_BATCH), st.integers(0, LONGEST_BATCH_WAIT)
)

gaps = st.builds(
    Gap,
    INSTANTS,
    st.none() | INSTANTS,
    st.sampled_from(["paused", "disabled"]),
    st.none() | IDS,
    st.booleans(),
)


def documents(
    leaves: st.SearchStrategy[Json], keys: st.SearchStrategy[str] | None = None
) -> st.SearchStrategy[Json]:
    """JSON of these leaves: five deep and five wide, or flat and of any length; with keys, objects too.

    `st.recursive` starts again whenever it has drawn a hundred leaves, and wants as many of most documents.
    """

    def around(inner: st.SearchStrategy[Json], most: int | None) -> st.SearchStrategy[Json]:
        lists = st.lists(inner, max_size=most).map(lambda found: [*found])
        if keys is None:
            return lists
        return lists | st.dictionaries(keys, inner, max_size=most).map(lambda found: {**found})

    # Deferred, it counts as one: with each kind of leaf an alternative, few documents would be deep.
    leaf = st.deferred(lambda: leaves)
    found: st.SearchStrategy[Json] = leaf
    for _ in range(5):
        found = leaf | around(found, 5)
    return found | around(leaf, None)


KEYS = st.binary(min_size=24, max_size=64)
"""Keys of signing secrets."""
_URLS = NAMES.map("https://partner.example/{}".format)
_HEADERS = st.lists(st.tuples(NAMES, NAMES), max_size=2).map(tuple)
_CHOSEN_TYPES = st.lists(EVENT_TYPES, min_size=1, max_size=3).map(tuple)
_CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "environments": st.none() | st.lists(ENVIRONMENTS, max_size=2).map(tuple),
    "pattern": st.none() | patterns,
    "format": st.sampled_from(BodyFormat),
    "content": st.sampled_from(Content),
    "template": st.none() | st.dictionaries(NAMES, NAMES),
    "batch": st.none() | batches,
    "retry": st.builds(
        RetryPolicy,
        st.lists(DURATIONS, max_size=4).map(tuple),
        DURATIONS,
        st.frozensets(st.integers(400, 599)),
    ),
    "limits": st.builds(
        Limits, st.integers(1, 1000), st.none() | st.floats(0.01, 1e6), st.integers(1, 100)
    ),
}
"""What somebody chooses for a subscription, besides its endpoint and types."""


def subscriptions_with(keys: st.SearchStrategy[bytes]) -> st.SearchStrategy[Subscription]:
    """Subscriptions whose signing secrets have such keys."""
    signing_secrets = st.builds(
        SigningSecret,
        NAMES,
        keys,
        st.sampled_from(SigningScheme),
        st.none() | INSTANTS,
        st.none() | NAMES,
    )
    secrets = st.builds(Secret, NAMES, keys)
    credentials = st.one_of(
        st.builds(Bearer, secrets),
        st.builds(Basic, NAMES, secrets),
        st.builds(
            OAuth2,
            NAMES,
            NAMES,
            secrets,
            st.lists(NAMES, max_size=2).map(tuple),
            st.sampled_from(ClientAuth),
        ),
    )
    endpoints = st.builds(
        Endpoint,
        _URLS,
        st.lists(signing_secrets, max_size=2).map(tuple),
        _HEADERS,
        DURATIONS,
        st.none() | secrets,
        st.lists(st.tuples(NAMES, secrets), max_size=2).map(tuple),
        st.none() | credentials,
        st.none() | st.builds(MutualTls, secrets, secrets),
        st.none() | secrets,
        st.lists(st.tuples(NAMES, secrets), max_size=2).map(tuple),
    )
    return st.builds(
        Subscription,
        IDS,
        IDS,
        endpoints,
        _CHOSEN_TYPES,
        INSTANTS,
        versions=st.dictionaries(NAMES, st.integers(1, 99) | st.just("latest")),
        **_CHOICES,
        state=st.sampled_from(SubscriptionState),
        gaps=st.lists(gaps, max_size=3).map(tuple),
        revision=st.integers(1, 10**9),
        owner=st.sampled_from(["cli", "files"]),
    ).map(_with_its_template)


def _with_its_template(drawn: Subscription) -> Subscription:
    """A row of the format `template` without one, or with batches, is not readable."""
    if drawn.format is not BodyFormat.TEMPLATE:
        return drawn
    template = {} if drawn.template is None else drawn.template
    return replace(drawn, template=template, batch=None)


subscriptions = subscriptions_with(KEYS)

chosen_subscriptions = st.builds(
    Subscription,
    st.just("a"),
    st.just("acme"),
    st.builds(Endpoint, _URLS, st.just(()), _HEADERS, DURATIONS),
    _CHOSEN_TYPES,
    st.just(0),
    **_CHOICES,
).map(_with_its_template)
"""Those of which only what somebody chooses is drawn, without secrets."""

disableds = st.builds(Disabled, IDS, INSTANTS, NAMES, NAMES)
