"""Converts a union's value by the single branch that keeps it, or by the branch that input names.

A branch keeps a value if its delivered form equals the value. If no branch does, the one that
accepts it in another form is used, and then the one that fills in defaults. If several are equally
good, nothing is guessed: the refusal names them, and the input may name one by
`{"<type name>": value}`, which is read so only if no record or map branch accepts the object. If a
map would accept it, the name is repeated: `{"string": {"string": value}}`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hookstream.adapters.avro.fit import FILLED, Fit, Take, Unfit, glimpse
from hookstream.core.avro.nodes import Fixed, Primitive, Resolved, type_name

_SHOWN = 200


class BranchNames(NamedTuple):
    """The names of a union's branch."""

    avro: str
    """Its kind, or the full name of a named type: fastavro distinguishes branches by it."""
    shown: str
    """Its name in output: the short name of a named type, if no other branch has it."""
    others: tuple[str, ...]
    """Further names that input may use."""
    logical: str = ""
    """Its logical type, if any."""

    def __str__(self) -> str:
        """Return it for messages, with its logical type, which may be all that the reader knows."""
        return f"{self.shown} ({self.logical})" if self.logical else self.shown


class Branch(NamedTuple):
    """A non-null branch."""

    names: BranchNames
    take: Take


class Chosen(NamedTuple):
    """The branch of a value, and the value in its Avro form."""

    branch: Branch
    raw: object


def branch_names(branches: Sequence[Resolved]) -> Sequence[BranchNames]:
    """Return the names of a union's branches; every name identifies at most one branch."""
    avro = [type_name(branch) for branch in branches]
    logical = [_logical(branch) for branch in branches]
    short = [name.rpartition(".")[2] for name in avro]
    taken = [*avro, *(word for word in short if word not in avro)]
    found = []
    for at, full in enumerate(avro):
        is_clear = short.count(short[at]) == 1 and short[at] not in {*avro} - {full}
        shown = short[at] if is_clear else full
        others = {full}
        if logical.count(logical[at]) == 1 and logical[at] not in taken:
            others |= {logical[at]} - {""}
        found.append(BranchNames(full, shown, tuple(sorted(others - {shown})), logical[at]))
    return found


def _logical(branch: Resolved) -> str:
    """Return the logical type that a branch declares, valid or not; empty if none."""
    if not isinstance(branch, Primitive | Fixed):
        return ""
    return branch.logical.name if branch.logical else branch.ignored or ""


class UnionTake:
    """Converts the values of one union: a `Take`."""

    def __init__(self, branches: Sequence[Branch], *, nullable: bool) -> None:
        """Take the non-null branches, and whether null is a branch too."""
        self.branches = branches
        """The non-null branches, in order."""
        self._nullable = nullable
        self._by_name = {
            name: branch
            for branch in branches
            for name in (branch.names.shown, *branch.names.others)
        }
        self._only = branches[0] if len(branches) == 1 else None

    def __call__(self, value: object, fit: Fit) -> object:
        """Convert a value to the form of fastavro's writer: a pair of branch name and value."""
        if value is None and self._nullable:
            return None
        if self._only is not None:
            try:
                return (self._only.names.avro, self._only.take(value, fit))
            except Unfit:
                if self._named(value) is None:
                    raise
        branch, raw = self.choose(value, fit)
        return (branch.names.avro, raw)

    def choose(self, value: object, fit: Fit) -> Chosen:
        """Return the branch of a non-null value.

        Raises:
            Unfit: No branch accepts it, or several do equally well.
        """
        taken, refusals = self._tried(value)
        if taken:
            level = min(level for _, level in taken)
            best = [chosen for chosen, reached in taken if reached == level]
            if len(best) > 1:
                raise _ambiguous(value, [chosen.branch.names for chosen in best], level)
            fit.note(level)
            return best[0]
        named = self._named(value)
        if named is None:
            raise Unfit("fits no branch of its union: " + "; ".join(refusals))
        return self._by(named, fit)

    def _by(self, named: tuple[str, Branch, object], fit: Fit) -> Chosen:
        """Return the value converted by the branch that the input names."""
        name, branch, inner = named
        try:
            return Chosen(branch, branch.take(inner, fit))
        except Unfit as refused:
            # If a map would accept the object that names a branch, the name is repeated.
            again = self._named(inner)
            if again is not None and again[1] is branch:
                return self._by(again, fit)
            raise refused.within(name) from None

    def _tried(self, value: object) -> tuple[list[tuple[Chosen, int]], list[str]]:
        """Return the result and the level of each branch that accepts a value, and why others refuse."""
        taken, refusals = [], []
        for branch in self.branches:
            fit = Fit()
            try:
                taken.append((Chosen(branch, branch.take(value, fit)), fit.level))
            except Unfit as refused:
                refusals.append(f"as {branch.names}: {refused.problems[0][:_SHOWN]}")
        return taken, refusals

    def _named(self, value: object) -> tuple[str, Branch, object] | None:
        """Return the branch that an object of one key names, with its value."""
        if not isinstance(value, Mapping) or len(value) != 1:
            return None
        name, inner = next(iter(value.items()))
        branch = self._by_name.get(name) if isinstance(name, str) else None
        return None if branch is None else (str(name), branch, inner)


def _ambiguous(value: object, names: Sequence[BranchNames], level: int) -> Unfit:
    shown = ", ".join(map(str, names[:10]))
    how = "with defaults filled in, fits" if level == FILLED else "fits"
    return Unfit(
        f"{glimpse(value)} {how} several branches of its union ({shown}):"
        f' say which, as {{"{names[0].shown}": ...}}'
    )
