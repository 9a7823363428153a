"""An event pattern, parsed once and evaluated on every body.

The language is that of Amazon EventBridge event patterns over the `standard` body: fields are
ANDed, the alternatives of a leaf are ORed, `$or` ORs whole objects, fields of the body that the
pattern does not name are ignored. A field that is an array matches if any of its elements
does, and the fields of one object of a pattern must match the same element. Objects and empty
arrays have no value of their own: `exists` treats both as absent.

An invalid pattern is refused as a whole, never ignored in part; the error names the path and the
reason.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from hookstream.core.matching.clauses import (
    MAX_TEXT,
    OPERATORS,
    Clause,
    ClauseRefused,
    Exactly,
    Scalar,
    StartsWith,
    read_clause,
    shown,
    test_of,
)
from hookstream.core.model.json import Json, JsonObject, Paths
from hookstream.errors import InputRefused

MAX_DEPTH: Final = 16
"""Levels of nested objects, including `$or`."""
MAX_CLAUSES: Final = 500
"""Alternatives of all leaves together."""
MAX_TESTS: Final = 1_000
"""Comparisons of one value over all leaves: lists in anything-but multiply alternatives."""
MAX_FILED: Final = 64
"""The most keys that one pattern is indexed under: with more, the index gains nothing."""

Path: TypeAlias = tuple[str, ...]
FiledKey: TypeAlias = tuple[Path, Exactly | StartsWith]
Filing: TypeAlias = tuple[FiledKey, ...]
"""Keys of which at least one is in every body that matches."""

_Matcher: TypeAlias = Callable[[Json, "_Absences"], bool]
"""Evaluates one value, given the paths that are absent from the whole body."""

_NOTHING: list[Json] = []
"""An absent field is read as an empty array, which has no value either."""
_NO_FIELDS: JsonObject = {}


class PatternRefused(InputRefused):
    """Raised when a document is not a pattern; the message names the path and the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        """Take the path and the reason."""
        super().__init__(f"pattern at {dotted(path)}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(slots=True, frozen=True)
class Leaf:
    """A field with its alternatives."""

    path: Path
    clauses: tuple[Clause, ...]


@dataclass(slots=True)
class _Branch:
    """An object of the pattern: fields and `$or` groups, all of which must match."""

    fields: "dict[str, _Branch | Leaf]" = field(default_factory=dict)
    alternatives: "list[list[_Branch]]" = field(default_factory=list)


class Pattern:
    """A parsed pattern. Made by `parse`."""

    __slots__ = (
        "_asks_absence",
        "_matches",
        "decided_by_filing",
        "filings",
        "leaves",
        "paths",
        "tests",
    )

    def __init__(self, root: _Branch) -> None:
        """Compile a tree that the parser has validated."""
        self._matches = _compile_branch(root)
        self.leaves: tuple[Leaf, ...] = tuple(_leaves(root))
        """Every leaf, including those under `$or`."""
        self.paths: Paths = frozenset(leaf.path for leaf in self.leaves)
        """The paths that it asks for: nothing else of a body bears on whether it matches."""
        self.tests: int = sum(_tests(leaf.clauses) for leaf in self.leaves)
        """The most comparisons that it makes for one value of a body."""
        self._asks_absence = any(clause.absent for leaf in self.leaves for clause in leaf.clauses)
        self.filings: tuple[Filing, ...] = tuple(
            tuple(dict.fromkeys(filing)) for filing in _filings(root)
        )
        """Alternative sets of index keys; each set alone finds every body that matches."""
        self.decided_by_filing: bool = len(self.leaves) == 1 and len(self.filings) == 1
        """True: every body that its only filing finds matches, without verification."""

    def matches(self, body: JsonObject) -> bool:
        """Return whether the body matches. Total: never raises for any JSON body."""
        return self._matches(body, _Absences(body) if self._asks_absence else _NEVER_ASKED)


def parse(document: JsonObject) -> Pattern:
    """Parse a pattern and compile it.

    Raises:
        PatternRefused: The document is not a valid pattern, or exceeds a limit.
    """
    pattern = Pattern(_Parser().branch(document, ()))
    if pattern.tests > MAX_TESTS:
        raise PatternRefused(
            (), f"it compares a value {pattern.tests:,} times; at most {MAX_TESTS:,} are taken"
        )
    return pattern


def dotted(path: Sequence[str]) -> str:
    """Return a path in dotted form, for messages."""
    return ".".join(path) or "its top"


def leaves_at(value: Json, path: Path) -> Iterator[Scalar]:
    """Yield every value of a body at a path, descending into arrays."""
    pending: list[tuple[Json, int]] = [(value, 0)]
    while pending:
        node, depth = pending.pop()
        if isinstance(node, list):
            pending.extend((item, depth) for item in node)
        elif isinstance(node, dict):
            if depth < len(path) and path[depth] in node:
                pending.append((node[path[depth]], depth + 1))
        elif depth == len(path):
            yield node


class _Absences:
    """Caches which paths have no value in the whole body; each path is searched once."""

    __slots__ = ("_body", "_known")

    def __init__(self, body: JsonObject) -> None:
        self._body = body
        self._known: dict[Path, bool] = {}

    def at(self, path: Path) -> bool:
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = not any(True for _ in leaves_at(self._body, path))
        return known


_NEVER_ASKED = _Absences({})


class _Parser:
    """Parses one document and counts its clauses."""

    def __init__(self) -> None:
        self._clauses = 0

    def branch(self, document: Json, path: Path, depth: int = 1) -> _Branch:
        if not isinstance(document, dict):
            raise PatternRefused(path, f"an object is needed, not {shown(document)}")
        if not document:
            raise PatternRefused(path, "an empty object asks for nothing")
        branch = _Branch()
        for name, below in document.items():
            if name == "$or":
                branch.alternatives.append(self._alternatives(below, path, depth))
            else:
                self._add(branch, self._names(name, path), below, path, depth)
        return branch

    @staticmethod
    def _names(name: Json, path: Path) -> list[str]:
        if not isinstance(name, str) or len(name) > MAX_TEXT or not all(names := name.split(".")):
            raise PatternRefused(path, f"{shown(name)} is not the name of a field")
        return names

    def _add(
        self, branch: _Branch, names: Sequence[str], below: Json, path: Path, depth: int
    ) -> None:
        """Add a field to a branch; a dotted name is equivalent to nested objects."""
        *parents, last = names
        for name in parents:
            path, depth = (*path, name), depth + 1
            inner = branch.fields.setdefault(name, _Branch())
            if not isinstance(inner, _Branch):
                raise PatternRefused(path, "the field is asked for as a value and as an object")
            branch = inner
        path, depth = (*path, last), depth + 1
        if depth > MAX_DEPTH:
            raise PatternRefused(path, f"it is nested deeper than {MAX_DEPTH} levels")
        if isinstance(below, list):
            self._put(branch, last, self._leaf(below, path), path)
        elif isinstance(below, dict):
            self._put(branch, last, self.branch(below, path, depth), path)
        else:
            raise PatternRefused(path, f"values must be in a list: [{shown(below)}]")

    @staticmethod
    def _put(branch: _Branch, name: str, node: "_Branch | Leaf", path: Path) -> None:
        present = branch.fields.setdefault(name, node)
        if present is node:
            return
        if isinstance(present, Leaf) or isinstance(node, Leaf):
            raise PatternRefused(path, "the field is asked for twice")
        for inner, below in node.fields.items():
            _Parser._put(present, inner, below, (*path, inner))
        present.alternatives.extend(node.alternatives)

    def _leaf(self, document: list[Json], path: Path) -> Leaf:
        if not document:
            raise PatternRefused(path, "an empty list matches nothing")
        self._clauses += len(document)
        if self._clauses > MAX_CLAUSES:
            raise PatternRefused(path, f"the pattern has more than {MAX_CLAUSES} alternatives")
        clauses = []
        for alternative in document:
            try:
                clauses.append(read_clause(alternative))
            except ClauseRefused as refused:
                raise PatternRefused(path, str(refused)) from None
        return Leaf(path, tuple(clauses))

    def _alternatives(self, document: Json, path: Path, depth: int) -> list[_Branch]:
        if depth >= MAX_DEPTH:
            raise PatternRefused(path, f"it is nested deeper than {MAX_DEPTH} levels")
        if not isinstance(document, list) or len(document) < 2:  # noqa: PLR2004
            raise PatternRefused(path, "$or takes a list of at least two objects")
        for number, branch in enumerate(document):
            reserved = OPERATORS.intersection(branch) if isinstance(branch, dict) else None
            if reserved:
                raise PatternRefused(
                    path, f"$or[{number}] asks for a field that is named like an operator"
                )
        return [self.branch(branch, path, depth + 1) for branch in document]


def _leaves(branch: _Branch) -> Iterator[Leaf]:
    for below in branch.fields.values():
        if isinstance(below, Leaf):
            yield below
        else:
            yield from _leaves(below)
    for group in branch.alternatives:
        for alternative in group:
            yield from _leaves(alternative)


def _filings(branch: _Branch) -> Iterator[Filing]:
    """Yield the filings of a branch: one per required field, and one per whole `$or`."""
    for below in branch.fields.values():
        if isinstance(below, _Branch):
            yield from _filings(below)
            continue
        filed = [(below.path, clause.filed) for clause in below.clauses if clause.filed]
        if len(filed) == len(below.clauses) <= MAX_FILED:
            yield tuple(filed)
    for group in branch.alternatives:
        shortest = [min(_filings(alternative), key=len, default=()) for alternative in group]
        if all(shortest) and sum(map(len, shortest)) <= MAX_FILED:
            yield tuple(key for filing in shortest for key in filing)


def _compile_branch(branch: _Branch) -> _Matcher:
    holds = _compile_object(branch)

    def matcher(value: Json, absent: _Absences) -> bool:
        if type(value) is dict:
            return holds(value, absent)
        objects = _objects(value)
        if not objects:
            return holds(_NO_FIELDS, absent)
        return any(holds(item, absent) for item in objects)

    return matcher


def _compile_object(branch: _Branch) -> Callable[[JsonObject, _Absences], bool]:
    fields = tuple(
        (name, _compile_leaf(below) if isinstance(below, Leaf) else _compile_branch(below))
        for name, below in branch.fields.items()
    )
    groups = tuple(
        tuple(_compile_object(alternative) for alternative in group)
        for group in branch.alternatives
    )

    if len(fields) == 1 and not groups:
        ((only, ask),) = fields
        return lambda node, absent: ask(node.get(only, _NOTHING), absent)

    def holds(node: JsonObject, absent: _Absences) -> bool:
        for name, matcher in fields:
            if not matcher(node.get(name, _NOTHING), absent):
                return False
        return not groups or all(
            any(alternative(node, absent) for alternative in group) for group in groups
        )

    return holds


def _objects(value: Json) -> list[JsonObject]:
    found: list[JsonObject] = []
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            found.append(node)
    return found


def _compile_leaf(leaf: Leaf) -> _Matcher:
    path = leaf.path
    holds_of = test_of(leaf.clauses)
    absence_holds = any(clause.absent for clause in leaf.clauses)

    def matcher(value: Json, absent: _Absences) -> bool:
        if not isinstance(value, dict | list):
            return holds_of(value)
        present = False
        for item in leaves_at(value, ()):
            present = True
            if holds_of(item):
                return True
        # Absent means absent from the whole body, not from this element of an array.
        return absence_holds and not present and absent.at(path)

    return matcher


def _tests(clauses: Sequence[Clause]) -> int:
    """Return the number of comparisons of a leaf's alternatives; all look-ups count as one."""
    looked_up = sum(isinstance(clause.filed, Exactly) for clause in clauses)
    return sum(clause.tests for clause in clauses) - max(0, looked_up - 1)
