"""Checks a new pattern against the event types' schemas for clauses that no event can satisfy.

At run time, a pattern that cannot match looks like one that has not matched yet. So a path that no
event type has, a value of the wrong type and an operator that cannot match are reported when the
pattern is written.
"""

import re
from collections.abc import Iterator, Sequence

from hookstream.core.matching.clauses import Clause, Exactly, test_of
from hookstream.core.matching.pattern import Leaf, Path, PatternRefused, dotted, parse
from hookstream.core.matching.shape import Node, Shape
from hookstream.core.model.json import JsonObject
from hookstream.core.model.listing import the_first

_FEW = 6
"""The most names that a message lists."""


def check(pattern_document: JsonObject, shapes: Sequence[Shape]) -> list[str]:
    """Return the problems of a pattern for the bodies it will be evaluated on, one sentence each.

    `shapes` has the shape of every subscribed event type at its pinned version. A path that only
    some of them have is absent in the others. A path that none has is a mistake, and so is a clause
    that can match in none of those that have it. Without shapes only the pattern itself is checked.
    """
    try:
        pattern = parse(pattern_document)
    except PatternRefused as refused:
        return [str(refused)]
    if not shapes:
        return []
    return [
        f"pattern at {dotted(leaf.path)}: {problem}"
        for leaf in pattern.leaves
        for problem in _of_leaf(leaf, shapes)
    ]


def _of_leaf(leaf: Leaf, shapes: Sequence[Shape]) -> Iterator[str]:
    nodes = [node for node in (shape.at(leaf.path) for shape in shapes) if node is not None]
    if not nodes:
        yield _unknown(leaf.path, shapes)
        return
    with_values = [node for node in nodes if node.kinds]
    if not with_values:
        yield "it is an object: name a field in it"
        return
    always_there = all(shape.always_has(leaf.path) for shape in shapes)
    for clause in leaf.clauses:
        problems = [_of_clause(clause, node) for node in with_values]
        if clause.absent and always_there:
            yield f"{clause.text} cannot match: every event has it"
        elif all(problems):
            yield f"{clause.text} {problems[0]}"


def _unknown(path: Path, shapes: Sequence[Shape]) -> str:
    """Return a message with the known part of the path and the fields that it could continue with."""
    kinds = ", ".join(sorted({f"{shape.event_type} v{shape.version}" for shape in shapes})[:_FEW])
    for length in range(len(path) - 1, -1, -1):
        parents = [node for node in (shape.at(path[:length]) for shape in shapes) if node]
        if parents:
            names = sorted({name for node in parents for name in node.fields or ()})
            known = the_first(names, _FEW) or "no fields"
            return f"no event type asked for has it ({kinds}); {dotted(path[:length])} has {known}"
    return f"no event type asked for has it ({kinds})"


def _of_clause(clause: Clause, node: Node) -> str | None:
    """Return why a clause can never match at this node, or None."""
    if not clause.kinds & node.kinds:
        return f"cannot match: {_expected(node)}"
    if clause.absent:
        return None
    if isinstance(clause.filed, Exactly):
        return _of_value(clause, clause.filed, node)
    if (
        node.words is not None
        and node.kinds == {"string"}
        and not any(map(test_of([clause]), node.words))
    ):
        return f"can match none of {the_first(sorted(node.words), _FEW)}"
    return None


def _of_value(clause: Clause, wanted: Exactly, node: Node) -> str | None:
    """Return why a value is none of those possible at this node, or None."""
    key = wanted.key
    if not isinstance(key, str):
        if node.numbers is None or any(map(test_of([clause]), node.numbers)):
            return None
        return f"cannot match: it is always {the_first(sorted(map(str, node.numbers)), _FEW)}"
    if "string" in node.kinds:
        if node.words is None or key in node.words or "decimal" in node.kinds:
            return None
        return f"is none of {the_first(sorted(node.words), _FEW)}"
    if re.fullmatch(_decimal_form(node.scale), key):
        return None
    digits = "a number as text" if node.scale is None else f"{node.scale} digits after the point"
    return f"cannot match: a decimal is written with {digits}; use numeric"


def _decimal_form(scale: int | None) -> str:
    if scale is None:
        return r"-?[0-9]+(\.[0-9]+)?"
    return r"-?[0-9]+" + (rf"\.[0-9]{{{scale}}}" if scale else "")


def _expected(node: Node) -> str:
    """Return a description of the values at a node, for a clause that expects others."""
    if node.kinds - {"null"} == {"decimal"}:
        return "it is a decimal, which is text in the body; numeric compares it as a number"
    kinds = sorted("text" if kind == "string" else kind for kind in node.kinds)
    return f"it is {' or '.join(kinds)}"
