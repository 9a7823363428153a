"""What forms of acts say and send, and the lines for a terminal beside them."""

import shlex
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.pages import HERE, Browser, PageParser, PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import at
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall
from hookstream.entry.pages.site import PageTable

PAUSE = PageAct(
    label="Pause",
    says="1,204 events an hour are kept for a replay.",
    action="/ui/pause",
    method="POST",
    path="/v1/subscriptions/crm/pause",
    revision='"1"',
    command=("subscriptions", "pause", "crm"),
)
HOLD = PageAct(
    label="Hold",
    says="Nothing is sent to it.",
    action="/ui/hold",
    method="POST",
    path="/v1/holds",
    body={"kind": "endpoint", "name": "crm"},
    command=("hold", "endpoint", "crm"),
    reason_field="reason",
    is_grave=True,
    fields={"name": "crm"},
)


def with_acts(world: PagesWorld, *acts: PageAct) -> None:
    """Give a site the pages that carry acts out."""

    def carrying(act: PageAct) -> Callable[[PageCall], object]:
        async def carry(call: PageCall) -> Moved:
            body = dict(act.body or {})
            if act.reason_field:
                body[act.reason_field] = call.form["reason"]
            answer = await call.api.act(
                act.method,
                act.path,
                body or None,
                key=call.key,
                revision=call.form.get("revision", ""),
            )
            return Moved("/ui/overview", f"Done: {answer.status}.")

        return carry

    pages = world.site._table.pages  # noqa: SLF001
    more = (ConsolePage("POST", act.action, carrying(act)) for act in acts)  # type: ignore[arg-type]  # A handler
    world.site._table = PageTable((*pages, *more))  # noqa: SLF001


def shown(world: PagesWorld, act: PageAct) -> PageParser:
    """Return the form of an act as a page shows it."""
    rendering = world.site._rendering  # noqa: SLF001
    template = rendering._environment.from_string(  # noqa: SLF001
        '{% import "macros/forms.html" as forms with context %}{{ forms.act(act) }}'
    )
    parser = PageParser()
    parser.feed(
        template.render(
            new_key=lambda: "k",
            act=act,
            cookie_bound="c",
            filters={},
            wrong={},
            page={"path": "/"},
        )
    )
    return parser


async def send(world: PagesWorld, browser: Browser, act: PageAct, **fields: str) -> int:
    """Send an act's form with the key and the token that another form of this browser has."""
    hidden = (await browser.get("/ui/overview")).form("/ui/logout").fields
    form = {**shown(world, act).forms[0].fields, **hidden, **fields}
    reply = await browser.send("POST", act.action, form, headers=HERE)
    return reply.status


def test_a_form_says_what_it_does_and_shows_the_same_for_a_terminal(world: PagesWorld) -> None:
    form = shown(world, HOLD)
    assert form.forms[0].fields == {
        "_form": form.forms[0].fields["_form"],
        "_key": form.forms[0].fields["_key"],
        "name": "crm",
        "reason": "",
    }
    assert HOLD.says in form.text
    assert "hookstream hold endpoint crm" in form.text
    assert HOLD.curl in form.text
    assert HOLD.curl == (
        'curl --fail-with-body -X POST "$HOOKSTREAM_API__URL"/v1/holds'
        ' -H "Authorization: Bearer $HOOKSTREAM_TOKEN"'
        """ --json '{"kind":"endpoint","name":"crm","reason":"WHY"}'"""
    )
    assert PAUSE.curl.endswith(""" -H 'If-Match: "1"'""")


@pytest.mark.parametrize("act", [PAUSE, HOLD], ids=["pause", "hold"])
async def test_an_act_is_the_apis_request_with_the_forms_reason_and_revision(
    world: PagesWorld, act: PageAct
) -> None:
    with_acts(world, act)
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    assert await send(world, browser, act, reason="it burns") == 303
    if act is HOLD:
        [hold] = [each for each in world.api.services.state().holds if each.name == "crm"]
        assert (hold.reason, hold.set_by[:6]) == ("it burns", "token ")
    else:
        found = await world.api.send("GET", "/v1/subscriptions/crm")
        assert found.json["revision"] == 2


async def test_a_form_that_is_sent_twice_acts_once(world: PagesWorld) -> None:
    with_acts(world, PAUSE)
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    assert await send(world, browser, PAUSE, _key="once") == 303
    before = world.api.tables.offset
    assert await send(world, browser, PAUSE, _key="once") == 303
    assert world.api.tables.offset == before


async def test_an_act_on_what_was_changed_meanwhile_says_so(world: PagesWorld) -> None:
    with_acts(world, PAUSE)
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    assert await send(world, browser, PAUSE, revision='"7"') == 409


@pytest.mark.parametrize("scope", [Scope.OPERATOR_READ, Scope.PARTNER_READ])
async def test_whoever_only_reads_acts_on_nothing(world: PagesWorld, scope: Scope) -> None:
    with_acts(world, PAUSE, HOLD)
    browser = await logged_in(world, world.api.tokens[scope])
    before = world.api.tables.offset
    for act in (PAUSE, HOLD):
        assert await send(world, browser, act, reason="why not") == 403
    assert world.api.tables.offset == before


@given(
    st.text(min_size=1), st.dictionaries(st.text(), st.text(), max_size=3), st.text(max_size=20)
)
def test_no_name_leaves_its_place_in_a_line_for_a_shell(
    name: str, body: dict[str, str], revision: str
) -> None:
    name, revision = (each.encode("utf-8", "replace").decode() for each in (name, revision))
    body = {key.encode("utf-8", "replace").decode(): "v" for key in body}
    act = PageAct("Do", "", "/ui/do", "PUT", at("/v1/things/{}", name), body, revision)
    words = shlex.split(act.curl)
    expected = ["curl", "--fail-with-body", "-X", "PUT"]
    expected.append("$HOOKSTREAM_API__URL" + at("/v1/things/{}", name))
    expected += ["-H", "Authorization: Bearer $HOOKSTREAM_TOKEN"]
    expected += ["-H", f"If-Match: {revision}"] if revision else []
    assert words[: len(expected) + 1] == [*expected, "--json"]
    assert len(words) == len(expected) + 2


@given(st.text())
def test_nothing_in_a_path_is_run_by_a_shell(path: str) -> None:
    words = shlex.split(PageAct("Do", "", "/ui/do", "GET", path).curl)
    assert words[4] == f"$HOOKSTREAM_API__URL{path}"
    assert words[5:] == ["-H", "Authorization: Bearer $HOOKSTREAM_TOKEN"]
