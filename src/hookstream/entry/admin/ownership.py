"""The ownership of partners and subscriptions: API writers may not change what definition files own.

State (pause, resume, enable), rotation of generated secrets, tokens and jobs are no part of a definition, so
they are allowed for subjects that files own.
"""

from dataclasses import replace
from enum import StrEnum

from hookstream.core.model.subscription import Partner, Subscription, SubscriptionState
from hookstream.core.planning.changes import Update
from hookstream.core.planning.fields import Subject, named
from hookstream.core.planning.ownership import (
    OWNED_BY_API,
    OWNED_BY_NOBODY,
    folder_of,
    is_of_files,
)
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.tables import at_partner_revision, at_revision
from hookstream.errors import Conflict, InputRefused


class OwnedByFiles(Conflict):
    """Raised for a change to a subject that definition files own."""

    def __init__(self, subject: str, folder: str | None) -> None:
        """Say whose it is.

        Args:
            subject: `subscription orders`, or `partner acme`.
            folder: The name of the folder that declares it; None: that folder has no name.
        """
        whose = "a folder without a name" if folder is None else f"the folder {folder}"
        super().__init__(f"{subject} belongs to definition files: {whose} declares it")
        self.subject = subject
        """What it is that they own."""
        self.folder = folder
        """The name of the folder; None: it has none."""


class ReleasedTo(StrEnum):
    """The owner of a released subject from then on."""

    API = "api"
    FILES = "files"
    """The next apply of a folder that declares it makes that folder its owner."""


_OWNERS = {ReleasedTo.API: OWNED_BY_API, ReleasedTo.FILES: OWNED_BY_NOBODY}


def refuse_owned_by_files(subject: Subject) -> None:
    """Refuse a change through the API to a subject that definition files own.

    Raises:
        OwnedByFiles: They own it.
    """
    if is_of_files(subject.owner):
        raise OwnedByFiles(named(subject), folder_of(subject.owner))


def release_subscription(
    writer: ChangeWriter,
    subscription_id: str,
    revision: int | None,
    to: ReleasedTo = ReleasedTo.API,
) -> tuple[Subscription, str | None]:
    """Hand a subscription over, to the API or back to files; nothing else of it changes.

    Args:
        writer: Writes the tables.
        subscription_id: The subscription.
        revision: The revision that it must be at; None: any.
        to: The owner from then on.

    Returns:
        The changed subscription, and its owner before; None: nothing changed.

    Raises:
        InputRefused: There is no such subscription, or it is deleted.
        Conflict: It is at another revision.
    """
    before = at_revision(writer.state, subscription_id, revision)
    if before.state is SubscriptionState.DELETED:
        raise InputRefused(f"subscription {subscription_id!r} is deleted")
    if _is_there(before.owner, to):
        return before, None
    # No line of a file declares it any more.
    owner, revision = _OWNERS[to], before.revision + 1
    after = replace(before, owner=owner, declared_at="", revision=revision)
    details = [f"owner: {before.owner} -> {after.owner}"]
    writer.write_subscription(after, "updated", writer.session.now, details=details)
    return after, before.owner


def release_partner(
    writer: ChangeWriter,
    partner_id: str,
    revision: int | None,
    to: ReleasedTo = ReleasedTo.API,
) -> tuple[Partner, str | None]:
    """Hand a partner over, as `release_subscription` does; its subscriptions keep their owners.

    Raises:
        InputRefused: There is no such partner.
        Conflict: It is at another revision.
    """
    before = at_partner_revision(writer.state, partner_id, revision)
    if _is_there(before.owner, to):
        return before, None
    after = replace(before, owner=_OWNERS[to], revision=before.revision + 1)
    writer.write([Update(before, after, ())])
    return after, before.owner


def _is_there(owner: str, to: ReleasedTo) -> bool:
    return is_of_files(owner) if to is ReleasedTo.FILES else owner == OWNED_BY_API
