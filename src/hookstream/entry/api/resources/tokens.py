"""Routes that create, list and revoke tokens."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.access.tokens import ApiToken, sees_token
from hookstream.core.model.instant import parse_duration, to_rfc3339
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.tokens import (
    NewToken,
    WantedToken,
    create_token,
    day_text,
    revoke_token,
    token_state,
)
from hookstream.entry.api.fields import OPERATORS_SEE, ApiInput, ApiOutput, Duration, Identifier
from hookstream.entry.api.filters import OfPartner, time_text
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "tokens"
_SCOPES = Literal["admin", "operator:write", "operator:read", "partner:manage", "partner:read"]


class TokenGiven(ApiInput, frozen=True):
    """A new token."""

    scope: _SCOPES
    partner: Identifier | None = None
    """The partner of a partner's token."""
    life: Duration | None = None
    """For how long it is valid, at most 366d; default: that of its scope."""
    label: Annotated[str, Meta(max_length=100)] = ""


class TokenShown(ApiOutput, frozen=True):
    """A token, without its text and its hash."""

    id: str
    scope: str
    partner: str | None
    label: str
    state: str
    """`live`, `expired` or `revoked`."""
    created: str
    expires: str
    last_used: str | None
    """The day of its last use; null: it was never used."""
    revoked: str | None
    revision: int
    created_by: Annotated[str, OPERATORS_SEE]
    revoked_by: Annotated[str | None, OPERATORS_SEE]


class TokenMade(ApiOutput, frozen=True):
    """A token that was just created."""

    token: TokenShown
    text: str | None
    """The text that its bearer sends, shown only here."""


class TokensPage(ApiOutput, frozen=True):
    """Tokens, the oldest first."""

    items: tuple[TokenShown, ...]
    next: str | None


class TokensQuery(PageQuery, frozen=True):
    """The filters of the list of tokens."""

    partner: OfPartner = None


def create_token_(call: Call[Any, TokenGiven]) -> ApiAnswer:
    """Create a token."""
    given = call.body
    try:
        life = None if given.life is None else parse_duration(given.life)
    except ValueError as why:
        raise invalid(str(why), "life") from None
    asked = WantedToken(Scope(given.scope), given.partner, life, given.label)

    def answer(made: NewToken, writer: ChangeWriter) -> ApiAnswer:
        shown = _shown(made.token, writer.session.now)
        body = TokenMade(token=shown, text=made.text)
        return ApiAnswer(
            body,
            location=f"/v1/tokens/{made.token.id}",
            kept=msgspec.structs.replace(body, text=None),
        )

    return call.change(lambda writer: create_token(writer, call.caller, asked), answer)


def list_tokens(call: Call[TokensQuery, None]) -> ApiAnswer:
    """Return the tokens that the caller may see."""
    now = call.services.now()
    wanted = call.caller.partner_id or call.query.partner
    found = [each for each in call.services.tokens(wanted) if sees_token(call.caller, each)]
    page, following = page_of(call, found, lambda each: f"{each.created:016d}/{each.id}")
    items = tuple(_shown(each, now) for each in page)
    return ApiAnswer(TokensPage(items=items, next=following))


def get_token(call: Call[Any, None]) -> ApiAnswer:
    """Return one token."""
    return ApiAnswer(_shown(_token(call), call.services.now()))


def revoke_token_(call: Call[Any, None]) -> ApiAnswer:
    """Revoke a token; within two seconds it is refused everywhere."""
    token = _token(call)

    def answer(revoked: tuple[ApiToken, bool], writer: ChangeWriter) -> ApiAnswer:
        return ApiAnswer(_shown(revoked[0], writer.session.now))

    return call.change(lambda writer: revoke_token(writer, call.caller, token.id), answer)


def _token(call: Call[Any, None]) -> ApiToken:
    token_id = call.params["token_id"]
    found = call.services.token(token_id)
    if found is None or not sees_token(call.caller, found):
        raise RequestRefused(ProblemKind.NOT_FOUND, f"there is no token {token_id!r}")
    return found


def _shown(token: ApiToken, now: int) -> TokenShown:
    return TokenShown(
        id=token.id,
        scope=token.scope.value,
        partner=token.partner_id,
        label=token.label,
        state=token_state(token, now),
        created=to_rfc3339(token.created),
        expires=to_rfc3339(token.expires),
        last_used=day_text(token),
        revoked=time_text(token.revoked),
        revision=token.revision,
        created_by=token.created_by,
        revoked_by=token.revoked_by or None,
    )


ROUTES = (
    Route(
        "POST",
        "/v1/tokens",
        Scope.OPERATOR_WRITE,
        "Create a token; only this answer has its text.",
        create_token_,
        TokenMade,
        body=TokenGiven,
        status=201,
        is_idempotent=True,
        tag=_TAG,
        act="token.created",
    ),
    Route(
        "GET",
        "/v1/tokens",
        Scope.PARTNER_MANAGE,
        "List tokens.",
        list_tokens,
        TokensPage,
        query=TokensQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/tokens/{token_id}",
        Scope.PARTNER_MANAGE,
        "Show a token.",
        get_token,
        TokenShown,
        tag=_TAG,
    ),
    Route(
        "POST",
        "/v1/tokens/{token_id}/revoke",
        Scope.PARTNER_MANAGE,
        "Revoke a token: it is refused everywhere within two seconds.",
        revoke_token_,
        TokenShown,
        is_idempotent=True,
        tag=_TAG,
        act="token.revoked",
    ),
)
