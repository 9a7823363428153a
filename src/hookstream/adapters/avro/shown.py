"""What an event says is shown so that input takes it: the same JSON, and names where it needs them.

A union's value is shown as it is delivered where input finds its branch again. Elsewhere several
branches keep the value, and it is shown with the name of its branch: `{"<type name>": value}`.
Which branch a value came from is read from its bytes (`PublishedSchema.tagged`).
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

from hookstream.adapters.avro import scalars
from hookstream.adapters.avro.fit import Fit, Unfit
from hookstream.adapters.avro.json_input import InputCompiler
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.adapters.avro.unions import Branch, UnionTake
from hookstream.core.avro import values
from hookstream.core.avro.nodes import branch_key
from hookstream.core.avro.values import NotRenderable, Rendering
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.parts import each_item, each_value

Show: TypeAlias = Callable[[object], Json]

_MOST_NAMES = 33
"""A name is said again where a map of the union would take the object; maps nest no deeper."""


def compile_shown(schema: PublishedSchema) -> Callable[[object], Json]:
    """Return the function that shows the data of events of a schema.

    It takes data as `PublishedSchema.tagged` reads them. It raises `NotRenderable` where JSON cannot
    hold a value, or input could not take it.

    Raises:
        NotRenderable: Data of the schema cannot be shown.
    """
    named = cast("JsonObject", schema.full["__named_schemas"])
    return _Shower(named, InputCompiler(named, schema.nodes)).compile(schema.data)


class _Shower:
    """Compiles types into functions that show their decoded values."""

    def __init__(self, named: JsonObject, given: InputCompiler) -> None:
        self._named = named
        self._input = given
        self._known: dict[str, Rendering] = {}

    def compile(self, schema: Json, *, text: bool = False) -> Show:
        return self._type(schema, text=text).render

    def _type(self, schema: Json, *, text: bool) -> Rendering:
        if isinstance(schema, list):
            return self._union(schema, text=text)
        if isinstance(schema, dict):
            return self._complex(schema, text=text)
        name = str(schema)
        if name in scalars.PRIMITIVES:
            return values.primitive({"type": name}, text=text)
        if name not in self._known:
            self._known[name] = self._type(self._named[name], text=False)
        return self._known[name]

    def _complex(self, schema: JsonObject, *, text: bool) -> Rendering:
        match schema["type"]:
            case "record" | "error":
                return Rendering(self._record(schema), "dict", str(schema["name"]))
            case "array":
                item = self.compile(schema["items"], text=text)
                return Rendering(each_item(item, NotRenderable), "list")
            case "map":
                item = self.compile(schema["values"], text=text)
                return Rendering(each_value(item, NotRenderable), "dict")
            case "enum":
                return Rendering(values.same, "text", str(schema["name"]))
            case "fixed":
                return values.fixed(schema, str(schema["name"]))
            case str(name) if name in scalars.PRIMITIVES:
                return values.primitive(schema, text=text or schema.get("json") == "string")
            case inner:
                return self._type(inner, text=text)

    def _record(self, schema: JsonObject) -> Show:
        fields = [
            (
                str(field["name"]),
                self.compile(field["type"], text=field.get("json") == "string"),
            )
            for field in cast("list[JsonObject]", schema["fields"])
        ]

        def show(value: object) -> Json:
            record = cast("dict[str, object]", value)
            return {name: _within(name, part, record[name]) for name, part in fields}

        return show

    def _union(self, branches: list[Json], *, text: bool) -> Rendering:
        renderings = [self._type(branch, text=text) for branch in branches]
        return Rendering(_UnionShow(renderings, self._input.union(branches, text=text)), "union")


class _UnionShow:
    """Shows the values of one union, with the names of their branches where input needs them."""

    def __init__(self, renderings: Sequence[Rendering], take: UnionTake) -> None:
        self._take = take
        kept = [at for at, rendering in enumerate(renderings) if rendering.shape != "null"]
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
        """Return a value as it is where input finds its branch again, else with the branch's name."""
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


def _within(name: str, show: Show, value: object) -> Json:
    try:
        return show(value)
    except NotRenderable as problem:
        raise problem.within(name) from None
