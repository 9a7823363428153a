"""Cookies of sessions, and what tells a form of this site from another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.entry.pages.cookies import SESSION, read_cookie, set_cookie
from hookstream.entry.pages.forgery import form_token, is_form_token, is_from_here
from hookstream.entry.pages.places import HOME, local_path


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


@pytest.mark.parametrize(
    "path",
    [
        "/ui/..//evil.example/",
        "/ui/../..//evil.example",
        "/ui/%2e%2E//evil.example",
        "/ui/.%2e/v1/me",
        "/ui/..",
        "/ui/./x",
        "/ui//evil.example",
        "/ui/x/..?a=b",
    ],
)
def test_no_path_that_a_browser_shortens_leads_anywhere(path: str) -> None:
    """With its dots it would be `//evil.example`, or what is no page: only what stands as it is given is followed."""
    assert local_path(path) == HOME


def test_dots_in_names_and_in_a_query_lead_where_they_say() -> None:
    for path in (
        "/ui/subscriptions/acme..x",
        "/ui/subscriptions/.x?window=../..//",
        "/ui/a?b=//c",
    ):
        assert local_path(path) == path
