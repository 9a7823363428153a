"""Whatever a console topic contains, in whatever order, it admits only those whom it says to."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from tests import strategies, untrusted

from hookstream.adapters.tables.console_rows import (
    ConsoleTable,
    answer_key,
    read_token,
    token_key,
    write_answer,
    write_token,
)
from hookstream.core.access.idempotency import answer_of
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.tokens import (
    DEFAULT_LIFE,
    LONGEST_LIFE,
    SHORTEST_LIFE,
    TOKEN_BYTES,
    ApiToken,
    expiry,
    is_token,
    making_refused,
    sees_token,
    token_hash,
    token_text,
    used_today,
)
from hookstream.core.model.instant import DAY

NOON = 1_764_072_000_000
IDS = ("tok-1", "tok-2", "tok-3")

SCOPES = st.sampled_from(Scope)
PARTNERS = st.sampled_from(["acme", "globex"])
SOMETIMES = st.none() | strategies.INSTANTS
REVISIONS = st.integers(1, 10**9)


@st.composite
def tokens(draw: st.DrawFn, token_id: str = IDS[0]) -> ApiToken:
    """Return what may be kept of a token of this id, whose text is the id's own."""
    scope = draw(SCOPES)
    partner = draw(PARTNERS) if scope.is_of_partner else None
    return ApiToken(
        token_id,
        scope,
        partner,
        token_hash(token_id),
        draw(strategies.INSTANTS),
        draw(strategies.INSTANTS),
        draw(strategies.NAMES),
        draw(strategies.NAMES),
        draw(SOMETIMES),
        draw(SOMETIMES),
        draw(strategies.NAMES),
        draw(REVISIONS),
    )


callers = st.none() | st.one_of(
    st.builds(Caller, st.just("tok-9"), st.sampled_from(list(Scope)[:3]), st.none()),
    st.builds(
        Caller,
        st.just("tok-9"),
        st.sampled_from(list(Scope)[3:]),
        st.sampled_from(["acme", "globex"]),
    ),
)
rows = {
    each: st.tuples(
        st.just(each), st.none() | st.binary(max_size=8) | tokens(each).map(write_token)
    )
    for each in IDS
}
records = st.lists(st.sampled_from(IDS).flatmap(rows.__getitem__), max_size=12)


@given(tokens())
def test_a_token_is_read_as_it_was_written(token: ApiToken) -> None:
    assert read_token(token_key(token.id), write_token(token)) == token


@given(records, strategies.INSTANTS)
def test_only_the_newest_row_of_a_token_admits_and_only_while_it_is_good(
    written: list[tuple[str, bytes | None]], now: int
) -> None:
    table = ConsoleTable()
    for token_id, value in written:
        table.put(token_key(token_id), value, now)
    newest = dict(written)

    for token_id in IDS:
        value = newest.get(token_id)
        readable = value is not None and value.startswith(b"{")
        token = read_token(token_key(token_id), value) if readable and value else None
        good = token is not None and token.revoked is None and now < token.expires
        caller = table.tokens.caller(token_hash(token_id), now)
        assert isinstance(caller, Caller) == good
        if isinstance(caller, Caller) and token is not None:
            assert caller == Caller(token.id, token.scope, token.partner_id)
            assert (caller.partner_id is not None) == caller.scope.is_of_partner


@given(st.integers(0, 2**32))
def test_no_row_of_the_console_topic_ends_its_reader_or_admits_who_was_not_admitted(
    seed: int,
) -> None:
    """One changed byte may give a token another label, and never somebody else a token."""
    random = Random(seed)
    good = ApiToken("tok-1", Scope.PARTNER_READ, "acme", token_hash("tok-1"), 0, NOON + DAY)
    answer = answer_of("0" * 64, 201, b"{}", location="/v1/x")
    sound = (
        (token_key("tok-1"), write_token(good)),
        (answer_key("tok-1", "a" * 64), write_answer(answer)),
    )
    table = ConsoleTable()
    for key, value in [random.choice(sound) for _ in range(6)]:
        changed = untrusted.changed_row(random, value) if random.random() < 0.7 else value
        table.put(untrusted.key(random, key), changed, NOON)
        table.forgettable(NOON)
        table.answer("tok-1", "a" * 64, NOON)
        for text in ("tok-1", "other"):
            caller = table.tokens.caller(token_hash(text), NOON)
            if isinstance(caller, Caller):
                assert text == "tok-1"
                assert (caller.partner_id is not None) == caller.scope.is_of_partner


@given(st.sampled_from(Scope), st.binary(min_size=TOKEN_BYTES, max_size=TOKEN_BYTES))
def test_every_random_number_makes_a_token_of_one_form(scope: Scope, random: bytes) -> None:
    text = token_text(scope, random)
    assert is_token(text)
    assert not is_token(text + "A")
    assert token_hash(text) != token_hash(text[:-1])


@given(callers, tokens(), st.sampled_from(Scope))
def test_no_caller_makes_a_token_that_may_more_than_itself(
    caller: Caller | None, token: ApiToken, scope: Scope
) -> None:
    partner = "acme" if scope.is_of_partner else None
    if caller is not None and making_refused(caller, scope, partner) is None:
        assert caller.partner_id is None
        assert caller.may(scope)
    if caller is not None and caller.partner_id is not None:
        own = token.partner_id == caller.partner_id
        assert not sees_token(caller, token) or own


@given(tokens(), st.lists(strategies.INSTANTS, max_size=20))
def test_a_token_is_written_at_most_once_for_each_day_of_its_use(
    token: ApiToken, uses: list[int]
) -> None:
    written = []
    for now in uses:
        day = used_today(token, now)
        if day is not None:
            assert day <= now < day + DAY
            written.append(day)
            token = replace(token, last_used=day)
    assert len(written) == len(set(written))
    assert len(written) <= len({now // DAY for now in uses})


@given(st.sampled_from(Scope), st.none() | st.integers(SHORTEST_LIFE, LONGEST_LIFE))
def test_every_token_expires_within_the_bounds_of_a_lifetime(
    scope: Scope, life: int | None
) -> None:
    assert SHORTEST_LIFE <= expiry(scope, life, 0) <= LONGEST_LIFE
    assert all(SHORTEST_LIFE <= each <= LONGEST_LIFE for each in DEFAULT_LIFE.values())
