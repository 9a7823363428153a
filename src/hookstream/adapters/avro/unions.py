"""A union takes a value by the one branch that keeps it, or by the branch that the input names.

A branch keeps a value where what would be delivered for it equals the value. Where no branch does,
the one counts that takes it in another form, and after that the one that fills in defaults. Where
several are equally good nothing is guessed: the refusal names them, and the input may say
`{"<type name>": value}`, which is read so only where no record or map branch takes the object. Where
a map would take it, the name is said once more: `{"string": {"string": value}}`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hookstream.adapters.avro.fit import FILLED, Fit, Take, Unfit, glimpse
from hookstream.core.avro.nodes import Fixed, Primitive, Resolved, type_name

_SHOWN = 200


class BranchNames(NamedTuple):
    """What a branch of a union is called."""

    avro: str
    """Its kind, or the full name of a named type: fastavro tells branches apart by it."""
    shown: str
    """What people call it: the short name of a named type where no other branch has it."""
    others: tuple[str, ...]
    """What the input may call it besides."""
    logical: str = ""
    """Its logical type, where it has one."""

    def __str__(self) -> str:
        """Return it for a person, who may know its logical type alone."""
        return f"{self.shown} ({self.logical})" if self.logical else self.shown


class Branch(NamedTuple):
    """A branch that is not null."""

    avro: str
    names: BranchNames
    take: Take


class Chosen(NamedTuple):
    """The branch of a value, and the value as Avro has it."""

    branch: Branch
    raw: object


def branch_names(branches: Sequence[Resolved]) -> Sequence[BranchNames]:
    """Return the names of a union's branches; every name leads to one branch at most."""
    avro = [type_name(branch) for branch in branches]
    logical = [_logical(branch) for branch in branches]
    short = [name.rpartition(".")[2] for name in avro]
    taken = [*avro, *(word for word in short if word not in avro)]
    found = []
    for at, full in enumerate(avro):
        shown = (
            short[at] if short.count(short[at]) == 1 and short[at] not in _but(avro, at) else full
        )
        others = {full}
        if logical.count(logical[at]) == 1 and logical[at] not in taken:
            others |= {logical[at]} - {""}
        found.append(BranchNames(full, shown, tuple(sorted(others - {shown})), logical[at]))
    return found


def _but(names: Sequence[str], at: int) -> Sequence[str]:
    return [*names[:at], *names[at + 1 :]]


def _logical(branch: Resolved) -> str:
    """Return the logical type that a branch says, valid or not; empty where it says none."""
    if not isinstance(branch, Primitive | Fixed):
        return ""
    return branch.logical.name if branch.logical else branch.ignored or ""


class UnionTake:
    """Takes the values of one union: a `Take`."""

    def __init__(self, branches: Sequence[Branch], *, nullable: bool) -> None:
        """Take the branches that are not null, and whether null is one too."""
        self.branches = branches
        """Those that are not null, in order."""
        self._nullable = nullable
        self._by_name = {
            name: branch
            for branch in branches
            for name in (branch.names.shown, *branch.names.others)
        }
        self._only = branches[0] if len(branches) == 1 else None

    def __call__(self, value: object, fit: Fit) -> object:
        """Take a value as fastavro's writer does: a pair of its branch's name and the value itself."""
        if value is None and self._nullable:
            return None
        if self._only is not None:
            try:
                return (self._only.avro, self._only.take(value, fit))
            except Unfit:
                if self._named(value) is None:
                    raise
        branch, raw = self.choose(value, fit)
        return (branch.avro, raw)

    def choose(self, value: object, fit: Fit) -> Chosen:
        """Return the branch of a value that is not null.

        Raises:
            Unfit: No branch takes it, or several do equally well.
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
        """Return the value of the branch that the input names."""
        name, branch, inner = named
        try:
            return Chosen(branch, branch.take(inner, fit))
        except Unfit as refused:
            # Where a map would take the object that names a branch, the name is said again.
            again = self._named(inner)
            if again is not None and again[1] is branch:
                return self._by(again, fit)
            raise refused.within(name) from None

    def _tried(self, value: object) -> tuple[list[tuple[Chosen, int]], list[str]]:
        """Return what each branch makes of a value and how well it fits, and why others refuse."""
        taken, refusals = [], []
        for branch in self.branches:
            fit = Fit()
            try:
                taken.append((Chosen(branch, branch.take(value, fit)), fit.level))
            except Unfit as refused:
                refusals.append(f"as {branch.names}: {refused.problems[0][:_SHOWN]}")
        return taken, refusals

    def _named(self, value: object) -> tuple[str, Branch, object] | None:
        """Return the branch that an object of one key names, and the value that it is given."""
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
