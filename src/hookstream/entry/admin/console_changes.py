"""Rows of the console topic that commit with other changes."""

from collections.abc import Sequence
from dataclasses import replace

from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.console_rows import token_key, write_token
from hookstream.core.access.tokens import ApiToken
from hookstream.entry.admin.tables import TablesSession
from hookstream.errors import Conflict


def token_change(session: TablesSession, token: ApiToken) -> TableChange:
    """Return the row of a token."""
    return TableChange(session.names.console, token_key(token.id), write_token(token))


def revoked(token: ApiToken, now: int, by: str) -> ApiToken:
    """Return a token after its revocation."""
    return replace(token, revoked=now, revoked_by=by, revision=token.revision + 1)


def revoked_with_partner(session: TablesSession, partner_id: str, by: str) -> list[TableChange]:
    """Return the rows that revoke the tokens of a partner that is deleted.

    There are none where the session has no console topic: tokens of a partner that does not exist are
    refused anyway.
    """
    if not session.has_console:
        return []
    return [
        token_change(session, revoked(token, session.now, by))
        for token in session.console().tokens.tokens(partner_id)
        if not token.ended(session.now)
    ]


class AnsweredMeanwhile(Conflict):
    """Raised when another process answered a request of the same idempotency key: nothing was written.

    Whoever repeats the request gets that answer.
    """


def completed(
    session: TablesSession, changes: Sequence[TableChange], more: Sequence[TableChange]
) -> list[TableChange]:
    """Return the rows that commit with a change: its own, and the removal of some that have expired.

    Args:
        session: The tables.
        changes: All rows of the change.
        more: Of those, the ones that are not written yet: rows of idempotency keys are among them.

    Raises:
        AnsweredMeanwhile: One of those keys has an answer.
    """
    console = session.names.console
    written = {change.key for change in changes if change.topic == console}
    if not written:
        return list(more)
    table = session.console()
    for change in more:
        if change.topic == console and table.is_answered(change.key, session.now):
            raise AnsweredMeanwhile("a request of this idempotency key was answered meanwhile")
    expired = [key for key in table.forgettable(session.now) if key not in written]
    return [*(TableChange(console, key, None) for key in expired), *more]
