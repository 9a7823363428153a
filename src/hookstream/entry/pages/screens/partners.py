"""Partners: their grants, limits, subscriptions and tokens."""

from typing import Any

from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import DAY, to_rfc3339
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import Answer, at
from hookstream.entry.pages.inputs import number_in
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown

_ONE = "/ui/partners/{partner_id}"
_LIMITS = (
    ("subscriptions", "Subscriptions"),
    ("max_in_flight", "Requests in flight, over all its subscriptions"),
    ("weight", "Largest weight of a subscription"),
    ("timeout", "Longest request timeout"),
    ("running_jobs", "Running jobs"),
    ("replayed_events_a_day", "Replayed events per day"),
    ("requests_a_second", "API requests per second"),
    ("scanned_records_a_second", "Records read for it per second"),
)
_REPORTED = 30 * DAY


async def list_partners_page(call: PageCall) -> Shown:
    """Show partners in the order of their ids."""
    found = await call.api.get("/v1/partners", cursor=call.cursor)
    return Shown({"found": found})


async def show_account(call: PageCall) -> Shown:
    """Show whose session this is."""
    return Shown({"me": await call.api.get("/v1/me")})


async def show_partner(call: PageCall) -> Shown:
    """Show one partner, and offer to change its limits."""
    partner_id = call.params["partner_id"]
    answer = await call.api.asked(at("/v1/partners/{}", partner_id))
    whose = partner_id if call.by_operator else None
    since = to_rfc3339(call.now - call.now % DAY - _REPORTED)
    subscriptions, counts = await call.api.each(
        ("/v1/subscriptions", {"partner": whose, "limit": 200}),
        (at("/v1/partners/{}/statistics", partner_id), {"since": since, "step": "1d"}),
    )
    tokens = None
    if call.caller.may(Scope.PARTNER_MANAGE):
        tokens = await call.api.get("/v1/tokens", partner=whose, limit=200)
    limiting = _limiting(answer) if call.caller.may(Scope.OPERATOR_WRITE) else None
    return Shown(
        {
            "partner": answer.body,
            "limits": [each for each in _LIMITS if each[0] in answer.body["limits"]],
            "limiting": limiting,
            "subscriptions": subscriptions,
            "counts": counts,
            "tokens": tokens,
            "scopes": _scopes(call),
        },
        title=f"Partner {answer.body['name']}",
    )


async def change_limits(call: PageCall) -> Moved:
    """Change a partner's limits."""
    partner_id = call.params["partner_id"]
    limits: dict[str, object] = {
        name: text if name == "timeout" else number_in(text)
        for name, _ in _LIMITS
        if (text := call.form.get(name, ""))
    }
    await call.api.act(
        "PATCH",
        at("/v1/partners/{}", partner_id),
        {"limits": limits},
        key=call.key,
        revision=call.form.get("revision", ""),
        merges=True,
    )
    return Moved(at("/ui/partners/{}", partner_id), "Its limits were changed")


async def make_token(call: PageCall) -> Shown:
    """Create a token of a partner, and show it only now."""
    partner_id = call.params["partner_id"]
    await call.api.get(at("/v1/partners/{}", partner_id))
    body = {
        "scope": call.form.get("scope", ""),
        "partner": partner_id,
        "label": call.form.get("label", ""),
    }
    if life := call.form.get("life", ""):
        body["life"] = life
    made = (await call.api.act("POST", "/v1/tokens", body, key=call.key)).body
    return Shown({"made": made, "partner_id": partner_id})


async def confirm_revocation(call: PageCall) -> Shown:
    """Show a token, and offer to revoke it."""
    token = await call.api.get(at("/v1/tokens/{}", call.params["token_id"]))
    return Shown({"token": token, "act": _revoking(token)})


async def revoke_token_page(call: PageCall) -> Moved:
    """Revoke a token."""
    token_id = call.params["token_id"]
    path = at("/v1/tokens/{}/revoke", token_id)
    token = (await call.api.act("POST", path, key=call.key)).body
    to = at("/ui/partners/{}", token["partner"]) if token["partner"] else "/ui/account"
    return Moved(to, f"{token_id} is revoked: within two seconds it is refused everywhere")


def _scopes(call: PageCall) -> tuple[str, ...]:
    """Return the scopes of tokens that the caller may create for a partner; empty: it may create none."""
    may = call.caller.may(Scope.OPERATOR_WRITE)
    return (Scope.PARTNER_READ.value, Scope.PARTNER_MANAGE.value) if may else ()


def _limiting(answer: Answer) -> PageAct | None:
    partner: dict[str, Any] = answer.body
    if partner["owner"].startswith("files"):
        return None
    path = at("/v1/partners/{}", partner["id"])
    return PageAct(
        "Change",
        f"Changes the limits of {partner['id']}. Its subscriptions ({partner['subscriptions']:,}) are not changed.",
        at("/ui/partners/{}/limits", partner["id"]),
        "PATCH",
        path,
        {"limits": partner["limits"]},
        revision=answer.revision,
    )


def _revoking(token: dict[str, Any]) -> PageAct | None:
    if token["state"] != "live":
        return None
    return PageAct(
        "Revoke",
        f"Revokes 1 token, {token['id']}: within two seconds it is refused everywhere, and its sessions end.",
        at("/ui/tokens/{}/revoke", token["id"]),
        "POST",
        at("/v1/tokens/{}/revoke", token["id"]),
        command=("tokens", "revoke", token["id"]),
        is_grave=True,
    )


PAGES = (
    ConsolePage(
        "GET",
        "/ui/partners",
        list_partners_page,
        "partners.html",
        "Partners",
        scope=Scope.OPERATOR_READ,
        nav="Partners",
    ),
    ConsolePage("GET", _ONE, show_partner, "partner.html", "Partner"),
    ConsolePage("POST", f"{_ONE}/limits", change_limits, scope=Scope.OPERATOR_WRITE),
    ConsolePage(
        "POST", f"{_ONE}/tokens", make_token, "token_made.html", scope=Scope.OPERATOR_WRITE
    ),
    ConsolePage(
        "GET",
        "/ui/tokens/{token_id}",
        confirm_revocation,
        "token.html",
        "Token",
        scope=Scope.PARTNER_MANAGE,
    ),
    ConsolePage(
        "POST",
        "/ui/tokens/{token_id}/revoke",
        revoke_token_page,
        scope=Scope.PARTNER_MANAGE,
    ),
    ConsolePage("GET", "/ui/account", show_account, "account.html", "Account", nav="Account"),
)
