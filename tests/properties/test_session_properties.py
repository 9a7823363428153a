"""Whatever a console topic contains, in whatever order, a session or link admits only whom it says, while it is good."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from tests import strategies, untrusted

from hookstream.adapters.tables.console_rows import ConsoleTable, token_key, write_token
from hookstream.adapters.tables.session_rows import (
    link_key,
    read_link,
    read_session,
    session_key,
    write_link,
    write_session,
)
from hookstream.core.access.portal_links import (
    LINK_SCOPES,
    PortalLink,
    link_refusal,
    revoked_link,
    used_link,
)
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import (
    LONGEST_SESSION,
    MOST_BY_LINKS,
    MOST_OF_TOKEN,
    Session,
    displaced,
    ended_session,
    session_caller,
    session_expiry,
)
from hookstream.core.access.tokens import ApiToken, token_hash
from hookstream.core.model.instant import DAY

NOON = 1_764_072_000_000
PARTNERS = st.sampled_from(["acme", "globex"])
SOMETIMES = st.none() | strategies.INSTANTS


@st.composite
def sessions(draw: st.DrawFn, session_id: str = "ses-1") -> Session:
    """Return what may be kept of a session of this id, whose cookie is the id's own."""
    by_link = draw(st.booleans())
    scope = draw(st.sampled_from(LINK_SCOPES if by_link else list(Scope)))
    return Session(
        session_id,
        token_hash(session_id),
        scope,
        draw(PARTNERS) if scope.is_of_partner else None,
        None if by_link else draw(st.sampled_from(["tok-1", "tok-2"])),
        "lnk-1" if by_link else None,
        draw(strategies.INSTANTS),
        draw(strategies.INSTANTS),
        draw(SOMETIMES),
        draw(strategies.NAMES),
        draw(st.integers(1, 10**9)),
    )


@st.composite
def links(draw: st.DrawFn) -> PortalLink:
    used = draw(SOMETIMES)
    return PortalLink(
        "lnk-1",
        token_hash("lnk-1"),
        draw(st.sampled_from(LINK_SCOPES)),
        draw(PARTNERS),
        draw(strategies.INSTANTS),
        draw(strategies.INSTANTS),
        draw(strategies.NAMES),
        used,
        None if used is None else draw(strategies.NAMES),
        draw(SOMETIMES),
        draw(strategies.NAMES),
        draw(st.integers(1, 10**9)),
    )


@st.composite
def tokens(draw: st.DrawFn) -> ApiToken:
    scope = draw(st.sampled_from(Scope))
    return ApiToken(
        draw(st.sampled_from(["tok-1", "tok-2"])),
        scope,
        draw(PARTNERS) if scope.is_of_partner else None,
        token_hash("t"),
        0,
        draw(strategies.INSTANTS),
        revoked=draw(SOMETIMES),
    )


@given(sessions(), links())
def test_rows_are_read_as_they_were_written(session: Session, link: PortalLink) -> None:
    assert read_session(session_key(session.id), write_session(session)) == session
    assert read_link(link_key(link.id), write_link(link)) == link


@given(sessions(), st.none() | tokens(), strategies.INSTANTS)
def test_a_session_admits_no_more_than_its_token_would_and_no_longer(
    session: Session, token: ApiToken | None, now: int
) -> None:
    caller = session_caller(session, token, now)
    if not isinstance(caller, Caller):
        return
    assert not session.over(now)
    assert (caller.scope, caller.partner_id) == (session.scope, session.partner_id)
    assert caller.session_id == session.id
    if session.link_id is None:
        assert token is not None
        assert not token.ended(now)
        assert caller.token_id == token.id == session.token_id
        assert (caller.scope, caller.partner_id) == (token.scope, token.partner_id)
    else:
        assert caller.partner_id is not None


@given(st.none() | tokens(), strategies.INSTANTS)
def test_every_session_ends_within_a_working_day_and_with_its_token(
    token: ApiToken | None, now: int
) -> None:
    expires = session_expiry(token, now)
    assert expires <= now + LONGEST_SESSION
    assert token is None or expires <= token.expires


@given(links(), strategies.INSTANTS, strategies.INSTANTS)
def test_what_was_used_or_revoked_is_never_good_again(
    link: PortalLink, now: int, later: int
) -> None:
    assert link_refusal(used_link(link, "ses-1", now), later) is not None
    assert link_refusal(revoked_link(link, now, ""), later) is not None
    if link_refusal(link, now) is not None and link.expires <= now <= later:
        assert link_refusal(link, later) is not None


@given(acts=st.lists(st.integers(0, 3), max_size=300), by_link=st.booleans())
def test_the_rows_of_sessions_stay_bounded_whoever_begins_and_ends_them(
    acts: list[int], *, by_link: bool
) -> None:
    kept: dict[str, Session] = {}
    for number, act in enumerate(acts):
        if act == 0 and kept:
            last = list(kept.values())[-1]
            kept[last.id] = ended_session(last, number, "")
            continue
        new = Session(
            f"ses-{number}",
            token_hash(str(number)),
            Scope.PARTNER_READ,
            "acme",
            None if by_link else "tok-1",
            "lnk-1" if by_link else None,
            number,
            number + 100,
        )
        for each in displaced(kept.values(), new, number):
            live = [one for one in kept.values() if not one.over(number)]
            # Nobody whose session is good loses it while another's is over.
            assert each.over(number) or len(live) == len(kept)
            del kept[each.id]
        kept[new.id] = new
        assert len(kept) <= (MOST_BY_LINKS if by_link else MOST_OF_TOKEN)


@given(st.integers(0, 2**32))
def test_no_row_of_the_console_topic_ends_its_reader_or_gives_a_session_to_somebody_else(
    seed: int,
) -> None:
    random = Random(seed)
    token = ApiToken("tok-1", Scope.PARTNER_READ, "acme", token_hash("tok-1"), 0, NOON + DAY)
    by_token = Session(
        "ses-1", token_hash("ses-1"), token.scope, "acme", "tok-1", None, NOON, NOON + DAY
    )
    by_link = replace(by_token, id="ses-2", hash=token_hash("ses-2"), token_id=None, link_id="l")
    link = PortalLink("lnk-1", token_hash("lnk-1"), token.scope, "acme", NOON, NOON + DAY)
    sound = (
        (token_key("tok-1"), write_token(token)),
        (session_key("ses-1"), write_session(by_token)),
        (session_key("ses-2"), write_session(by_link)),
        (link_key("lnk-1"), write_link(link)),
    )
    table = ConsoleTable()
    for key, value in [random.choice(sound) for _ in range(6)]:
        changed = untrusted.changed_row(random, value) if random.random() < 0.7 else value
        table.put(untrusted.key(random, key), changed, NOON)
        table.forgettable(NOON)
        for text in ("tok-1", "ses-1", "ses-2", "lnk-1", "other"):
            caller = table.session_caller(token_hash(text), NOON)
            if isinstance(caller, Caller):
                assert text in ("ses-1", "ses-2")
                assert (caller.partner_id is not None) == caller.scope.is_of_partner
            found = table.links.with_hash(token_hash(text))
            if found is not None:
                assert text == "lnk-1"
                assert found.scope in LINK_SCOPES
