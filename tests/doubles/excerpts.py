"""What patterns need of a body, cut out of the whole one: the reference for a codec's excerpts."""

from hookstream.core.model.json import Json, JsonObject, Paths


def pruned(value: Json, paths: Paths) -> Json:
    """Return a value with what is at the paths; an object or an array on the way stays one."""
    if isinstance(value, list):
        return [pruned(each, paths) for each in value]
    if isinstance(value, dict):
        return {
            name: pruned(below, frozenset(path[1:] for path in paths if path[:1] == (name,)))
            for name, below in value.items()
            if any(path[:1] == (name,) for path in paths)
        }
    return value


def excerpt(document: JsonObject, paths: Paths) -> JsonObject:
    """Return a `standard` body of whose data only that is left which is at the paths."""
    within = frozenset(path[1:] for path in paths if path[:1] == ("data",))
    return {**document, "data": pruned(document.get("data"), within)}
