"""Which folder of definition files owns a row, and what --prune may therefore delete.

A row has its owner as text: `cli`, `api` if it was made over the API or released to it, `files` if a
folder without a name declared it, and `files:NAME` if the folder NAME did. Releases without folder names keep that text when they rewrite a row, and
never prune it. If they apply a file that declares it, the owner becomes `files`, and no folder owns
it until it is adopted again.
"""

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet

from hookstream.core.model.listing import the_first
from hookstream.core.model.suggestion import did_you_mean

OWNED_BY_NOBODY = "files"
OWNED_BY_API = "api"
"""Changed over the API; files that declare it are refused until it is given back to them."""
_NAMED = "files:"
_LISTED = 20


def owner_text(folder: str | None) -> str:
    """Return the owner of what a folder declares; the folder may have no name."""
    return OWNED_BY_NOBODY if folder is None else _NAMED + folder


def folder_of(owner: str) -> str | None:
    """Return the name of the owning folder; None if it is not a named folder."""
    return owner.removeprefix(_NAMED) if owner.startswith(_NAMED) else None


def is_of_files(owner: str) -> bool:
    """Return whether the owner is a folder of files."""
    return owner == OWNED_BY_NOBODY or owner.startswith(_NAMED)


def claim_refused(owner: str, folder: str | None, taken_over: Collection[str]) -> str | None:
    """Return why a folder may not declare a row with this owner; None if it may.

    Args:
        owner: The owner's text in the row.
        folder: The folder's name, if it has one.
        taken_over: Names of folders whose rows it may take over.
    """
    theirs = folder_of(owner)
    if theirs is None or theirs == folder or (theirs in taken_over and folder is not None):
        return None
    if folder is None:
        return (
            f"belongs to the folder {theirs}, and this folder has no name: if it is the"
            f" same folder, give --owner {theirs}, or add a file hookstream.yaml (name: {theirs})"
        )
    return (
        f"belongs to the folder {theirs}, and {folder} declares it too: remove it from one of"
        f" them, or transfer it to {folder} with --take-over {theirs}"
    )


def claim_of_released(commands: str, name: str) -> str:
    """Return why files may not declare what the API owns, and what to do.

    Args:
        commands: The group of commands that releases it: `subscriptions` or `partners`.
        name: Its id.
    """
    return (
        "belongs to the API: remove it from the files, or give it back to them first, with"
        f" hookstream {commands} release {name} --to files"
    )


def take_over_refused(taken_over: Collection[str], owners: AbstractSet[str]) -> str | None:
    """Return why a takeover is refused; None if each named folder owns something."""
    known = sorted(name for owner in owners if (name := folder_of(owner)) is not None)
    for name in sorted(taken_over):
        if name not in known:
            hint = did_you_mean(name, known)
            return f"--take-over {name}: no folder of that name owns anything{hint}"
    return None


def prune_refused(
    deleted: Sequence[str], owned: int, share: float, confirmed: int | None
) -> str | None:
    """Return why a number of deletions is refused; None if it is allowed.

    Args:
        deleted: What would be deleted, such as `subscription orders`.
        owned: How many rows the folder owns.
        share: The share of them that may be deleted without confirmation, from 0 to 1.
        confirmed: The number of deletions that the user confirmed.
    """
    count = len(deleted)
    if confirmed == count or (confirmed is None and count <= owned * share):
        return None
    names = the_first(deleted, _LISTED)
    if confirmed is not None:
        return f"--confirm-delete {confirmed}, but {count} would be deleted: {names}"
    return (
        f"{count} would be deleted ({names}), of {owned} that the folder owns. That is more"
        f" than {share:.0%} of them (tables.prune_share): confirm with --confirm-delete {count} if it is"
        " intended"
    )
