"""Shows an event's data in a form that input accepts: the same JSON, with branch names if needed.

A union's value is shown as delivered if input resolves it to the same branch. Otherwise several
branches accept the value, and it is shown with the name of its branch: `{"<type name>": value}`.
The branch of a value is read from its bytes (`PublishedSchema.tagged`).
"""

from collections.abc import Callable, Sequence
from types import NoneType
from typing import cast

from hookstream.adapters.avro.fit import Fit, Unfit
from hookstream.adapters.avro.json_input import InputCompiler
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.adapters.avro.unions import Branch, UnionTake
from hookstream.core.avro.nodes import AvroSchema, Union, branch_key
from hookstream.core.avro.render import Renderings
from hookstream.core.avro.values import NotRenderable, Rendering
from hookstream.core.model.json import Json

_MOST_NAMES = 33
"""A name is repeated if a map of the union would take the object; maps nest no deeper."""


def compile_shown(schema: PublishedSchema) -> Callable[[object], Json]:
    """Return the function that shows the data of events of a schema.

    It takes data as read by `PublishedSchema.tagged`. It raises `NotRenderable` if JSON cannot represent
    a value, or input would not accept it.

    Raises:
        NotRenderable: Data of the schema cannot be shown.
    """
    if schema.data is None:
        raise NotRenderable("", "is none: the schema has no data")
    return _Shower(schema.data).make(schema.data.root).render


class _Shower(Renderings):
    """Compiles types into renderings of values whose unions name their branches."""

    def __init__(self, schema: AvroSchema) -> None:
        super().__init__(schema, branch_names=False)
        self._input = InputCompiler(schema)

    def union(self, node: Union) -> Rendering:
        renderings = [self.make(branch) for branch in node.branches]
        return Rendering(_UnionShow(renderings, self._input.union(node)), NoneType)


class _UnionShow:
    """Shows the values of one union, with the names of their branches where input needs them."""

    def __init__(self, renderings: Sequence[Rendering], take: UnionTake) -> None:
        self._take = take
        kept = [at for at, rendering in enumerate(renderings) if rendering.shape is not NoneType]
        self._branches = {
            branch_key(at): (renderings[at].render, branch)
            for at, branch in zip(kept, take.branches, strict=True)
        }

    def __call__(self, value: object) -> Json:
        if value is None:
            return None
        ((key, inner),) = cast("dict[str, object]", value).items()
        render, branch = self._branches[key]
        shown = render(inner)
        if len(self._branches) == 1:
            return shown
        return self._named(shown, branch)

    def _named(self, shown: Json, branch: Branch) -> Json:
        """Return a value unchanged if input finds its branch, else with the branch's name."""
        try:
            raw = branch.take(shown, Fit())
            for _ in range(_MOST_NAMES):
                if self._finds(shown, branch, raw):
                    return shown
                shown = {branch.names.shown: shown}
        except Unfit as refused:
            raise NotRenderable("", f"could not be given: {refused}") from None
        raise NotRenderable("", f"could not be given: a map takes what names {branch.names.shown}")

    def _finds(self, shown: Json, branch: Branch, raw: object) -> bool:
        try:
            found = self._take.choose(shown, Fit())
        except Unfit:
            return False
        return found.branch is branch and found.raw == raw
