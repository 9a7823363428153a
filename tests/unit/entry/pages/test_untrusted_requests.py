"""Whatever a browser, or something else, sends for a page is answered: never a 500, never without its policy."""

import asyncio
from collections.abc import Mapping
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.doubles.pages import HERE, PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.entry.api.requests import ApiRequest, ApiResponse
from hookstream.entry.pages.table import PAGES

ANSWERS = {200, 303, 304, 400, 401, 403, 404, 405, 410, 413, 414, 415, 422, 428, 429}
"""Statuses of answers that were thought of."""

paths = st.one_of(
    st.sampled_from([page.path for page in PAGES.pages]),
    st.text(max_size=40).map(lambda text: f"/ui/{text}"),
    st.lists(st.sampled_from(["ui", "..", "%2e", "%ff", "static", "", "\x00", "{x}"])).map(
        lambda parts: "/ui/" + "/".join(parts)
    ),
)
pairs = st.tuples(
    st.sampled_from(["to", "cursor", "live", "window", "partner", "_form", "_key", "token", "%"]),
    st.text(st.characters(codec="ascii"), max_size=30),
)
queries = st.one_of(
    st.text(max_size=60),
    st.lists(pairs, max_size=4).map(lambda found: "&".join(f"{a}={b}" for a, b in found)),
)
headers = st.dictionaries(
    st.sampled_from(["cookie", "content-type", "if-none-match", "origin", "host", "x-request-id"]),
    st.one_of(st.text(max_size=60), st.just("application/x-www-form-urlencoded")),
)


@cache
def the_world() -> PagesWorld:
    """Return one world for all examples; templates are compiled with the first of a process."""
    return PagesWorld()


def answered(request: ApiRequest) -> ApiResponse:
    return asyncio.run(the_world().site.answer(request))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "\u202e"]),
    path=paths,
    query=queries,
    headers=headers,
    content=st.one_of(st.binary(max_size=60), queries.map(str.encode)),
    has_session=st.booleans(),
    has_form=st.booleans(),
)
def test_any_request_has_an_answer_that_was_thought_of(
    *,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    content: bytes,
    has_session: bool,
    has_form: bool,
) -> None:
    sent = {**headers}
    if has_session:
        sent |= {"cookie": _session()}
    if has_form:
        sent |= {**HERE, "content-type": "application/x-www-form-urlencoded"}

    async def read(most: int) -> bytes:
        return content[: most + 1]

    response = answered(ApiRequest(method, path, query, sent, read, "192.0.2.9"))
    assert response.status in ANSWERS
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none';")
    for value in (*response.headers.values(), *response.cookies):
        assert value.isprintable()


_sessions: list[str] = []


def _session() -> str:
    if not _sessions:
        browser = asyncio.run(logged_in(the_world(), the_world().api.tokens[Scope.ADMIN]))
        _sessions.append("; ".join(f"{name}={value}" for name, value in browser.cookies.items()))
    return _sessions[0]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(b"a=1&a=2", 422, id="a field twice"),
        pytest.param(b"\xff", 400, id="no text"),
        pytest.param(b"a=%ff", 400, id="no UTF-8"),
        pytest.param(b"x" * ((1 << 20) + 1), 413, id="too much"),
        pytest.param(b"&".join(b"a%d=1" % each for each in range(300)), 400, id="too many"),
        pytest.param(b"", 403, id="nothing"),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused_and_says_why(
    world: PagesWorld, content: bytes, status: int
) -> None:
    async def read(most: int) -> bytes:
        return content[: most + 1]

    sent = {**HERE, "content-type": "application/x-www-form-urlencoded", "cookie": "x=1"}
    answer = await world.site.answer(ApiRequest("POST", "/ui/login", "", sent, read))
    assert answer.status == status
    assert b'<div class="problem" role="alert">' in answer.body
