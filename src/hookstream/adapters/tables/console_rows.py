"""The rows of the console topic, which consoles and token commands read, and workers never do.

Keys are `token/<id>`, `session/<id>`, `link/<id>`, `failure-group/<id>` and
`idempotency/<token id>/<SHA-256 of the key>`. A row of any other kind is kept and ignored, since a newer release
may have written it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, Final, TypeVar

from hookstream.adapters.tables.failure_group_rows import (
    GROUP_PREFIX,
    failure_group_key,
    read_failure_group,
)
from hookstream.adapters.tables.row import Row
from hookstream.adapters.tables.row_json import EnvelopeUnreadable
from hookstream.adapters.tables.session_rows import (
    LINK_PREFIX,
    SESSION_PREFIX,
    link_key,
    read_link,
    read_session,
    session_key,
    sha256_text,
)
from hookstream.core.access.hashed import HashedBook
from hookstream.core.access.idempotency import FORGOTTEN_AT_ONCE, KeptAnswer
from hookstream.core.access.portal_links import PortalLink, is_link_forgotten
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import (
    Session,
    SessionRefusal,
    is_session_forgotten,
    session_caller,
)
from hookstream.core.access.tokens import ApiToken, TokenBook, is_forgotten
from hookstream.core.failures.book import FailureBook
from hookstream.core.model import row_fields as fields
from hookstream.core.model.instant import Millis
from hookstream.core.model.row_fields import FieldKind, FieldUnreadable

T = TypeVar("T")

TOKEN_PREFIX = "token/"  # noqa: S105  the beginning of keys
IDEMPOTENCY_PREFIX = "idempotency/"


def _token(**values: Any) -> ApiToken:  # noqa: ANN401  the fields of the row
    token = ApiToken(**values)
    if token.scope.is_of_partner != (token.partner_id is not None):
        raise FieldUnreadable(f"`partner`: scope {token.scope} does not allow it")
    return token


_TOKEN = Row(
    "token",
    _token,
    rf"{TOKEN_PREFIX}(?P<id>[^/]+)",
    strict=True,
    revision=fields.WHOLE,
    scope=fields.parsed(Scope),
    partner=fields.optional(fields.TEXT).into("partner_id"),
    hash=fields.parsed(sha256_text),
    label=fields.REMARK,
    created=fields.INSTANT,
    created_by=fields.REMARK,
    expires=fields.INSTANT,
    last_used=fields.optional(fields.INSTANT).sparse(),
    revoked=fields.optional(fields.INSTANT).sparse(),
    revoked_by=fields.REMARK,
)

_BODY = FieldKind(
    lambda found: None if found is None else fields.TEXT.read(found).encode(),
    lambda body: None if body is None else body.decode(),
)


def _answer(token_id: str, key_hash: str, **values: Any) -> KeptAnswer:  # noqa: ANN401  the fields of the row
    del token_id, key_hash
    return KeptAnswer(**values)


_ANSWER = Row(
    "idempotency row",
    _answer,
    rf"{IDEMPOTENCY_PREFIX}(?P<token_id>[^/]+)/(?P<key_hash>[0-9a-f]{{64}})",
    strict=True,
    request=fields.parsed(sha256_text),
    status=fields.WHOLE,
    body=_BODY,
    body_hash=fields.parsed(sha256_text),
    location=fields.optional(fields.TEXT),
    etag=fields.optional(fields.TEXT),
)

read_token, write_token = _TOKEN.read, _TOKEN.write
write_answer = _ANSWER.write


def token_key(token_id: str) -> str:
    """Return the console topic's key of a token."""
    return TOKEN_PREFIX + token_id


def answer_key(token_id: str, key_hash: str) -> str:
    """Return the console topic's key of an idempotency key, which belongs to one token."""
    return f"{IDEMPOTENCY_PREFIX}{token_id}/{key_hash}"


class ConsoleTable:
    """The console topic in memory, one record after the other; for one thread."""

    def __init__(self) -> None:
        self.tokens: Final = TokenBook()
        """The tokens."""
        self.sessions: Final = HashedBook[Session]()
        """The sessions of pages."""
        self.links: Final = HashedBook[PortalLink]()
        """The portal links of partners."""
        self.failures: Final = FailureBook()
        """The failure groups."""
        self.unreadable: Final[dict[str, str]] = {}
        """Problems of rows that cannot be read, by key. An unreadable token, session or link is refused."""
        self._answers: dict[str, KeptAnswer] = {}

    def put(self, key: str, value: bytes | None, at: Millis) -> None:
        """Take the next record of the topic.

        Args:
            key: Its key.
            value: None removes the row.
            at: When the brokers appended it.
        """
        self.unreadable.pop(key, None)
        if key.startswith(TOKEN_PREFIX):
            self.tokens.put(key.removeprefix(TOKEN_PREFIX), self._read(read_token, key, value))
        elif key.startswith(SESSION_PREFIX):
            found = self._read(read_session, key, value)
            self.sessions.put(key.removeprefix(SESSION_PREFIX), found)
        elif key.startswith(LINK_PREFIX):
            self.links.put(key.removeprefix(LINK_PREFIX), self._read(read_link, key, value))
        elif key.startswith(IDEMPOTENCY_PREFIX):
            # Removed first, so that the order is that of the log.
            self._answers.pop(key, None)
            answer = self._read(_ANSWER.read, key, value)
            if answer is not None:
                self._answers[key] = replace(answer, at=at)
        elif key.startswith(GROUP_PREFIX):
            group = self._read(read_failure_group, key, value)
            name = key.removeprefix(GROUP_PREFIX)
            self.failures.put(name, group, unreadable=key in self.unreadable)

    def session_caller(self, presented: str, now: Millis) -> Caller | SessionRefusal:
        """Return the caller that a session's cookie identifies, or why there is none.

        Args:
            presented: What `token_hash` returned for the cookie's value.
            now: The brokers' time.
        """
        session = self.sessions.with_hash(presented)
        token_id = None if session is None else session.token_id
        token = None if token_id is None else self.tokens.get(token_id)
        return session_caller(session, token, now)

    def answer(self, token_id: str, key_hash: str, now: Millis) -> KeptAnswer | None:
        """Return the answer of an idempotency key; None: it has none, or one that has expired."""
        found = self._answers.get(answer_key(token_id, key_hash))
        return None if found is None or found.expired(now) else found

    def is_answered(self, key: str, now: Millis) -> bool:
        """Return whether a key of the topic is that of a kept answer that has not expired."""
        found = self._answers.get(key)
        return found is not None and not found.expired(now)

    def forgettable(self, now: Millis, most: int = FORGOTTEN_AT_ONCE) -> list[str]:
        """Return keys of rows that a write may remove, since what they describe ended long ago.

        Args:
            now: The brokers' time.
            most: The most keys.
        """
        found = []
        for key, answer in islice(self._answers.items(), most):
            if not answer.expired(now):
                break
            found.append(key)
        return [*found, *islice(self._expired(now), most - len(found))]

    def _expired(self, now: Millis) -> Iterator[str]:
        """Yield the keys of tokens, sessions, links and failure groups that ended long ago."""
        for token in self.tokens.tokens():
            if is_forgotten(token, now):
                yield token_key(token.id)
        for session in self.sessions.rows():
            if is_session_forgotten(session, now):
                yield session_key(session.id)
        for link in self.links.rows():
            if is_link_forgotten(link, now):
                yield link_key(link.id)
        yield from map(failure_group_key, self.failures.forgettable(now))

    def _read(self, read: Callable[[str, bytes], T], key: str, value: bytes | None) -> T | None:
        try:
            return None if value is None else read(key, value)
        except EnvelopeUnreadable as why:
            self.unreadable[key] = str(why)
            return None
