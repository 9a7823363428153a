"""What definition files declare: partners and subscriptions without state."""

from dataclasses import dataclass, field
from typing import NamedTuple

from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription import Partner, SigningScheme, Subscription
from hookstream.core.planning.fields import Subject

EARLIEST_START: Millis = 0
"""`start_from: earliest`."""
LONGEST_PLACE = 500
"""Characters of the place of a definition that is kept."""
UNNAMED = ""
"""The id of a generated signing secret without a name in its file."""


class SigningKey(NamedTuple):
    """The key that a variable or file has, as the fields of `SigningSecret`."""

    key: bytes
    scheme: SigningScheme = SigningScheme.V1
    public_key: str | None = None

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return f"SigningKey({self.scheme})"


@dataclass(slots=True, frozen=True)
class DeclaredSecret:
    """One signing secret of a declared endpoint."""

    id: str
    """Identifies the key's source, so that a changed key from the same source can be reported."""
    key: bytes | None = field(repr=False)
    """None: generated (see `core.planning.rotation`)."""
    scheme: SigningScheme | None = None
    """None: of a generated one any, and `v1` if it is generated now; of a given one `v1`."""
    public_key: str | None = None
    """That of a given `v1a` key."""


@dataclass(slots=True, frozen=True)
class DeclaredSubscription:
    """A subscription file."""

    row: Subscription
    """What the file says, without the signing secrets. Files say nothing of `active_from`, `state`, `gaps`,
    `revision` and `owner`: the plan sets them."""
    secrets: tuple[DeclaredSecret, ...]
    start_from: Millis | None = None
    """Where it starts when it is created: events recorded since then are replayed to it; `EARLIEST_START`:
    all that the logs still have. None: it starts with what is published from then on."""
    place: str = ""
    """Its file, within the folder, and its line there: `subscriptions/crm.yaml:12`; empty: it is of no file."""

    @property
    def id(self) -> str:
        """Its id."""
        return self.row.id


@dataclass(slots=True, frozen=True)
class Declared:
    """Everything that a folder of definition files declares."""

    partners: tuple[Partner, ...] = ()
    """Only their ids, names and grants are declared."""
    subscriptions: tuple[DeclaredSubscription, ...] = ()

    @property
    def subjects(self) -> list[Subject]:
        """The partners and the rows of the subscriptions."""
        return [*self.partners, *(each.row for each in self.subscriptions)]


@dataclass(slots=True, frozen=True)
class Problem:
    """One error in the definitions."""

    subject: str
    """`partner acme`, `subscription orders`; empty if unknown."""
    path: str
    """The field, `endpoint.signing_secrets[0].env`; empty for the whole definition."""
    why: str
    where: str = ""
    """File and line, if it is from a file."""

    def __str__(self) -> str:
        """Return it as one line: where, what, why."""
        return ": ".join(part for part in (self.where, self.subject, self.path, self.why) if part)
