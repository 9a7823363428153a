"""Renders unions: the branch is found by the Python type of a decoded value, or by its name.

fastavro returns union values bare; with `return_named_type`, it returns those of named types as a
pair of full name and value. Names are needed only if a union has two types whose values look
alike, at least one of them named. A `float` beside a `double` is given a name for that: it is read
as a record of one field, which has the same bytes. Two unnamed types that look alike, such as a
date and a timestamp, cannot be distinguished: such a schema is refused.
"""

import struct
from collections.abc import Sequence
from types import NoneType

from hookstream.core.avro.nodes import SINGLE
from hookstream.core.avro.values import EXACT, NotRenderable, Render, Rendering, same, single
from hookstream.core.model.json import Json


def distinguished(branches: Sequence[Rendering]) -> Sequence[Rendering]:
    """Return a union's branches as they are decoded: a `float` beside a `double` becomes bytes."""
    floats = [branch for branch in branches if branch.shape is float]
    if len(floats) == 1 or all(branch.render is not single for branch in floats):
        return branches
    return [_SINGLE if branch.render is single else branch for branch in branches]


def _single(value: object) -> Json:
    if not isinstance(value, bytes):
        raise NotRenderable("", "is not a float")
    return single(*_unpack(value))


_unpack = struct.Struct("<f").unpack
_SINGLE = Rendering(_single, bytes, SINGLE)


def names_needed(branches: Sequence[Rendering]) -> bool:
    """Return whether values of the union can only be distinguished by the names of their types."""
    return any(
        any(branch.name is not None for branch in alike) and not _same_rule(alike)
        for alike in _by_shape(branches).values()
    )


def union(branches: Sequence[Rendering], *, named: bool) -> Rendering:
    """Return the rendering of a union.

    Args:
        branches: The renderings of its branches.
        named: Values of named types come as a pair of name and value.

    Raises:
        NotRenderable: Two unnamed branches cannot be distinguished.
    """
    tagged = {branch.name: branch.render for branch in branches if branch.name is not None}
    if not named:
        tagged = {}
    bare = [branch for branch in branches if branch.name not in tagged]
    if not tagged and all(branch.render is same for branch in bare):
        return Rendering(same, NoneType)
    by_type = {
        shape: _one(alike) for shape, alike in _by_shape(bare).items() if shape is not NoneType
    }
    if not tagged and len(by_type) == 1:
        (inner,) = by_type.values()
        rule = next(branch for branch in bare if branch.render is inner)
        return Rendering(_nullable(inner), NoneType, nullable=rule)
    return Rendering(_by_type(by_type, tagged), NoneType)


def _nullable(inner: Render) -> Render:
    def render(value: object) -> Json:
        return None if value is None else inner(value)

    return render


def _by_type(by_type: dict[type, Render], tagged: dict[str, Render]) -> Render:
    def render(value: object) -> Json:
        if value is None:
            return None
        if isinstance(value, tuple):
            branch = tagged.get(value[0])
            if branch is None:
                raise NotRenderable(
                    "", f"is of the type {value[0]!s}, which its union does not list"
                )
            return branch(value[1])
        # The exact type: a bool is an int to isinstance.
        branch = by_type.get(type(value))
        if branch is None:
            raise NotRenderable("", "is of no type that its union lists")
        return branch(value)

    return render


def _by_shape(branches: Sequence[Rendering]) -> dict[type, list[Rendering]]:
    shapes: dict[type, list[Rendering]] = {}
    for branch in branches:
        shapes.setdefault(branch.shape, []).append(branch)
    return shapes


def _same_rule(alike: Sequence[Rendering]) -> bool:
    first = alike[0]
    if all(branch.bounds is not None for branch in alike):
        # A plain int beside a plain long: a number either way.
        return True
    return all(branch.render is first.render for branch in alike)


def _one(alike: Sequence[Rendering]) -> Render:
    """Return the rendering of the branches that look alike."""
    if not _same_rule(alike):
        look = alike[0].shape.__name__
        raise NotRenderable("", f"is a union with {len(alike)} {look} types that look alike")
    return next((branch.render for branch in alike if branch.bounds == EXACT), alike[0].render)
