"""The scopes of a token, and who a caller is: an operator, or one partner and nobody else."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a token lets its caller do; each value is what tokens and answers carry."""

    ADMIN = "admin"
    """Everything, tokens of every scope included."""
    OPERATOR_WRITE = "operator:write"
    """Reads and changes things of every partner; makes tokens of partners only."""
    OPERATOR_READ = "operator:read"
    """Reads things of every partner."""
    PARTNER_MANAGE = "partner:manage"
    """Reads and changes things of one partner."""
    PARTNER_READ = "partner:read"
    """Reads things of one partner."""

    @property
    def is_of_partner(self) -> bool:
        """Whether a caller of this scope is one partner."""
        return self in (Scope.PARTNER_MANAGE, Scope.PARTNER_READ)


IMPLIED: dict[Scope, frozenset[Scope]] = {
    Scope.ADMIN: frozenset(Scope),
    Scope.OPERATOR_WRITE: frozenset(
        (Scope.OPERATOR_WRITE, Scope.OPERATOR_READ, Scope.PARTNER_MANAGE, Scope.PARTNER_READ)
    ),
    Scope.OPERATOR_READ: frozenset((Scope.OPERATOR_READ, Scope.PARTNER_READ)),
    Scope.PARTNER_MANAGE: frozenset((Scope.PARTNER_MANAGE, Scope.PARTNER_READ)),
    Scope.PARTNER_READ: frozenset((Scope.PARTNER_READ,)),
}
"""What a caller of each scope may use: routes and fields that need one of these."""


@dataclass(slots=True, frozen=True)
class Caller:
    """Who makes a request, as its token or its session says."""

    token_id: str
    """The public id of the token: never the token, nor its hash. Of a session that a link began, which has no token,
    the session's id."""
    scope: Scope
    partner_id: str | None
    """The one partner that a partner's token is for; None for operators.

    A caller with it sees that partner's things alone: in every route, field, filter and cursor.
    """
    session_id: str | None = None
    """The session of pages in which it acts; None: it presented the token itself."""

    @property
    def called(self) -> str:
        """How rows and events name the caller."""
        if self.session_id is None:
            return f"token {self.token_id}"
        if self.session_id == self.token_id:
            return f"session {self.session_id}"
        return f"token {self.token_id}, session {self.session_id}"

    def may(self, needed: Scope) -> bool:
        """Return whether this caller may use what needs a scope."""
        return needed in IMPLIED[self.scope]
