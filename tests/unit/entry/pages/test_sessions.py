"""Sessions, their cookies, and what tells a form of this site from another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.api import ApiWorld

from hookstream.core.access.scopes import Caller, Scope
from hookstream.entry.pages.cookies import SESSION, read_cookie, set_cookie
from hookstream.entry.pages.forgery import form_token, is_form_token, is_from_here
from hookstream.entry.pages.places import HOME, local_path
from hookstream.entry.pages.sessions import LONGEST_SESSION, PageSession, SealedSessions


@pytest.fixture
def api() -> ApiWorld:
    return ApiWorld()


def sessions(api: ApiWorld) -> SealedSessions:
    return SealedSessions(api.services, api.services.keys, lambda: "id")


def test_a_session_acts_as_its_token_until_the_token_ends(api: ApiWorld) -> None:
    expires = api.tables.now + 1_000
    made = sessions(api)
    cookie = made.begin(api.token(Scope.PARTNER_READ, "acme", expires, token_id="tok-short"))
    assert cookie is not None
    found = made.find(cookie)
    assert found == PageSession(Caller("tok-short", Scope.PARTNER_READ, "acme"), expires)
    api.tables.now = expires
    assert made.find(cookie) is None


def test_a_session_lasts_no_longer_than_its_bound(api: ApiWorld) -> None:
    made = sessions(api)
    cookie = made.begin(api.tokens[Scope.ADMIN])
    assert cookie is not None
    found = made.find(cookie)
    assert found is not None
    assert found.expires == api.tables.now + LONGEST_SESSION


@given(st.text(max_size=300))
def test_a_text_that_was_not_sealed_is_no_session(text: str) -> None:
    api = _API
    assert sessions(api).find(text) is None


_API = ApiWorld()


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_cookie_with_any_byte_changed_is_no_session(place: int, by: int) -> None:
    made = sessions(_API)
    cookie = made.begin(_API.tokens[Scope.PARTNER_READ])
    assert cookie is not None
    place %= len(cookie)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = letters[(letters.index(cookie[place]) + by % 63 + 1) % 64]
    changed = cookie[:place] + other + cookie[place + 1 :]
    found = made.find(changed)
    # The last letter has bits that stand for nothing.
    assert found is None or (place == len(cookie) - 1 and found == made.find(cookie))


def test_a_cursor_of_the_api_is_no_session(api: ApiWorld) -> None:
    assert sessions(api).find("A" * 43) is None


@given(st.text(max_size=60))
def test_reading_any_header_gives_a_plain_value_or_none(header: str) -> None:
    value = read_cookie(f"a=b; __Host-hookstream={header}; c", SESSION)
    assert all(each.isascii() and each.isprintable() and each not in '";,\\ ' for each in value)


def test_what_is_set_is_read_again_and_no_other_cookie() -> None:
    pair = set_cookie(SESSION, "value").partition(";")[0]
    assert read_cookie(f"x=1; {pair}; y=2", SESSION) == "value"
    assert read_cookie("hookstream=value; __Host-hookstream_said=value", SESSION) == ""


@given(st.text(), st.text())
def test_a_forms_token_is_of_one_cookie_alone(cookie: str, other: str) -> None:
    cookie, other = (each.encode("utf-8", "replace").decode() for each in (cookie, other))
    assert is_form_token(form_token(cookie), cookie) == bool(cookie)
    assert not is_form_token(form_token(other), cookie) or other == cookie
    assert cookie not in form_token(cookie) or len(cookie) < 3


@pytest.mark.parametrize(
    ("headers", "here"),
    [
        ({"sec-fetch-site": "same-origin", "origin": "null", "host": "a"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "https://a", "host": "a"}, False),
        ({"origin": "https://a:8", "host": "a:8"}, True),
        ({"origin": "https://A:8", "host": "a:8"}, True),
        ({"origin": "https://a", "host": "a:8"}, False),
        ({"origin": "https://a.evil", "host": "a"}, False),
        ({"origin": "null", "host": "null"}, False),
        ({"origin": "", "host": ""}, False),
        ({}, False),
    ],
)
def test_a_form_comes_from_here_if_the_browser_says_so(
    headers: dict[str, str], *, here: bool
) -> None:
    assert is_from_here(headers) == here


@given(st.text())
def test_any_text_leads_to_a_page_of_this_site(text: str) -> None:
    for each in (text, f"/{text}", f"/ui/{text}"):
        found = local_path(each)
        assert found.startswith("/ui/")
        assert found in (HOME, each)
        assert "\\" not in found
        assert found.isprintable()
