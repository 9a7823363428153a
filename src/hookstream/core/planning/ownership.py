"""Which folder of definition files a row belongs to, and what a prune may therefore delete.

The owner stands in a row as text: `cli`, `files` where a folder without a name declared it, and
`files:NAME` where the folder NAME did. Releases that know no names keep that text as it is when
they write the row again, and never prune it; where they apply a file that declares it, it becomes
`files`, and belongs to no folder until it is adopted again.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from hookstream.core.model.listing import the_first
from hookstream.core.model.suggestion import did_you_mean

OWNED_BY_NOBODY = "files"
_NAMED = "files:"
_LISTED = 20


def owner_text(folder: str | None) -> str:
    """Return the owner of what a folder declares; the folder may have no name."""
    return OWNED_BY_NOBODY if folder is None else _NAMED + folder


def folder_of(owner: str) -> str | None:
    """Return the name of the folder that an owner's text is of; None: no folder with a name."""
    return owner.removeprefix(_NAMED) if owner.startswith(_NAMED) else None


def is_of_files(owner: str) -> bool:
    """Return whether a file declares what has this owner."""
    return owner == OWNED_BY_NOBODY or owner.startswith(_NAMED)


def claim_refused(owner: str, folder: str | None, taken_over: AbstractSet[str]) -> str | None:
    """Return why a folder may not declare what has an owner; None: it may.

    Args:
        owner: The owner's text in the row.
        folder: The folder's name, where it has one.
        taken_over: Names of folders whose rows it may take.
    """
    theirs = folder_of(owner)
    if theirs is None or theirs == folder or (theirs in taken_over and folder is not None):
        return None
    if folder is None:
        return (
            f"belongs to the folder {theirs}, and this folder has no name: say that it is the"
            f" same with --owner {theirs}, or in a file hookstream.yaml (name: {theirs})"
        )
    return (
        f"belongs to the folder {theirs}, and {folder} declares it, too: take it out of one of"
        f" them, or let {folder} have it from now on with --take-over {theirs}"
    )


def take_over_refused(taken_over: AbstractSet[str], owners: AbstractSet[str]) -> str | None:
    """Return why what is to be taken over cannot be; None: each name owns something."""
    known = sorted(name for owner in owners if (name := folder_of(owner)) is not None)
    for name in sorted(taken_over):
        if name not in known:
            hint = did_you_mean(name, known)
            return f"--take-over {name}: no folder of that name owns anything{hint}"
    return None


def prune_refused(
    deleted: Sequence[str], owned: int, share: float, confirmed: int | None
) -> str | None:
    """Return why so much is not deleted; None: it may be.

    Args:
        deleted: What would be, such as `subscription orders`.
        owned: How many rows the folder owns.
        share: Which part of them may go without being confirmed.
        confirmed: The number that somebody expects to go.
    """
    count = len(deleted)
    if confirmed == count or (confirmed is None and count <= owned * share):
        return None
    names = the_first(deleted, _LISTED)
    if confirmed is not None:
        return f"--confirm-delete {confirmed}, but {count} would be deleted: {names}"
    return (
        f"{count} would be deleted ({names}), of {owned} that the folder owns. That is more"
        f" than {share:.0%} of them (tables.prune_share): say --confirm-delete {count} if it is"
        " meant"
    )
