"""A portal link is good for one use until it expires or is revoked, and operators alone make one."""

from dataclasses import replace

import pytest

from hookstream.core.access.portal_links import (
    KEPT_AFTER_LINK,
    LINK_SCOPES,
    LONGEST_LINK_LIFE,
    MOST_LINKS,
    MOST_OPEN_LINKS,
    SHORTEST_LINK_LIFE,
    LinkRefusal,
    PortalLink,
    crowded_out,
    is_link,
    is_link_forgotten,
    link_expiry,
    link_refusal,
    link_refused,
    link_text,
    revoked_link,
    sees_link,
    used_link,
)
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.tokens import is_token, token_hash
from hookstream.core.model.instant import MINUTE
from hookstream.errors import InputRefused

NOON = 1_764_072_000_000
TEXT = link_text(bytes(range(32)))
LINK = PortalLink(
    "lnk-1", token_hash(TEXT), Scope.PARTNER_READ, "acme", NOON, NOON + 15 * MINUTE, "kim@desk"
)
ADMIN = Caller("tok-a", Scope.ADMIN, None)
WRITES = Caller("tok-w", Scope.OPERATOR_WRITE, None)
READS = Caller("tok-r", Scope.OPERATOR_READ, None)
MANAGES = Caller("tok-m", Scope.PARTNER_MANAGE, "acme")
LOOKS = Caller("tok-l", Scope.PARTNER_READ, "acme")
OTHER = Caller("tok-o", Scope.PARTNER_MANAGE, "globex")


def test_the_text_of_a_link_has_a_form_of_its_own_and_is_not_shown() -> None:
    assert TEXT == "hs_lnk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert (is_link(TEXT), is_link(TEXT + "A"), is_token(TEXT)) == (True, False, False)
    assert TEXT not in repr(LINK)
    assert LINK.hash not in repr(LINK)
    with pytest.raises(ValueError, match="32 random bytes"):
        link_text(bytes(33))


def test_a_link_is_used_once_before_it_expires_unless_it_is_revoked() -> None:
    assert link_refusal(LINK, LINK.expires - 1) is None
    assert link_refusal(LINK, LINK.expires) is LinkRefusal.EXPIRED
    assert link_refusal(None, NOON) is LinkRefusal.UNKNOWN
    used = used_link(LINK, "ses-1", NOON)
    assert (used.used, used.session_id, used.revision) == (NOON, "ses-1", 2)
    assert link_refusal(used, NOON) is LinkRefusal.USED
    # Whoever has it learns rather that it was used than that it has expired since.
    assert link_refusal(used, LINK.expires) is LinkRefusal.USED
    revoked = revoked_link(used, NOON + 1, "token tok-1")
    assert (revoked.revoked, revoked.revoked_by, revoked.revision) == (NOON + 1, "token tok-1", 3)
    assert link_refusal(revoked, NOON) is LinkRefusal.REVOKED


def test_a_link_is_good_for_a_quarter_of_an_hour_and_at_most_a_day() -> None:
    assert link_expiry(None, NOON) == NOON + 15 * MINUTE
    assert link_expiry(LONGEST_LINK_LIFE, NOON) == NOON + LONGEST_LINK_LIFE
    for life in (0, SHORTEST_LINK_LIFE - 1, LONGEST_LINK_LIFE + 1):
        with pytest.raises(InputRefused, match=r"a link cannot be good for .* 1m to 24h"):
            link_expiry(life, NOON)


@pytest.mark.parametrize(
    ("caller", "scopes"),
    [
        (None, {*LINK_SCOPES}),
        (ADMIN, {*LINK_SCOPES}),
        (WRITES, {*LINK_SCOPES}),
        (READS, set()),
        (MANAGES, set()),
        (LOOKS, set()),
    ],
)
def test_operators_who_may_write_make_links_and_no_link_is_for_operators(
    caller: Caller | None, scopes: set[Scope]
) -> None:
    assert {each for each in Scope if link_refused(caller, each) is None} == scopes


@pytest.mark.parametrize(
    ("caller", "seen"),
    [(None, 1), (ADMIN, 1), (WRITES, 1), (READS, 0), (MANAGES, 1), (LOOKS, 0), (OTHER, 0)],
)
def test_a_link_is_seen_by_whoever_may_revoke_it(caller: Caller | None, seen: int) -> None:
    assert sees_link(caller, LINK) == bool(seen)


def test_a_partner_has_a_bounded_number_of_links_that_may_still_be_used() -> None:
    links = [replace(LINK, id=f"lnk-{number}") for number in range(MOST_OPEN_LINKS)]
    foreign = [replace(each, partner_id="globex") for each in links]
    assert crowded_out([*foreign, *links[1:]], "acme", NOON) == []
    with pytest.raises(InputRefused, match=r"'acme' has 20 links .*: revoke some"):
        crowded_out(links, "acme", NOON)
    assert crowded_out(links, "acme", LINK.expires) == []


def test_the_oldest_links_that_cannot_be_used_make_room_for_a_new_one() -> None:
    over = [
        replace(used_link(LINK, "s", NOON), id=f"lnk-{number:03}", created=NOON + number)
        for number in range(MOST_LINKS)
    ]
    open_one = replace(LINK, id="open", created=0)
    assert crowded_out(over[1:], "acme", NOON) == []
    assert crowded_out([open_one, *over], "acme", NOON) == over[:2]


def test_the_row_of_a_link_is_forgotten_a_day_after_its_expiry() -> None:
    end = LINK.expires + KEPT_AFTER_LINK
    assert (is_link_forgotten(LINK, end - 1), is_link_forgotten(LINK, end)) == (False, True)
