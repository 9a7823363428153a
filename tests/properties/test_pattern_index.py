"""An index finds what evaluating every pattern would find."""

import fnmatch
import json
from collections.abc import Sequence
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.excerpts import pruned

from hookstream.core.matching.clauses import Scalar
from hookstream.core.matching.index import PatternIndex
from hookstream.core.matching.pattern import Pattern, leaves_at, parse
from hookstream.core.model.json import Json, JsonObject

NAMES = st.sampled_from(["a", "b", "c"])
TEXTS = st.sampled_from(["", "x", "xy", "xyz", "y", "1", "1.0"])
SCALARS = st.one_of(
    TEXTS, st.integers(0, 2), st.sampled_from([1.0, 0.5]), st.booleans(), st.none()
)


def _values(depth: int) -> st.SearchStrategy[Json]:
    if depth == 0:
        return SCALARS
    inner = _values(depth - 1)
    return st.one_of(
        SCALARS, st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
    )


bodies: st.SearchStrategy[JsonObject] = st.dictionaries(NAMES, _values(2), max_size=3)

clauses: st.SearchStrategy[Json] = st.one_of(
    SCALARS,
    TEXTS.map(lambda text: {"prefix": text}),
    TEXTS.map(lambda text: {"suffix": text}),
    TEXTS.map(lambda text: {"anything-but": text}),
    st.booleans().map(lambda yes: {"exists": yes}),
    st.just({"numeric": [">", 0]}),
)
leaves = st.lists(clauses, min_size=1, max_size=3).map(lambda found: [*found])


# Each strategy is made once: a new one is examined before it draws.
some_names = st.lists(NAMES, min_size=1, max_size=2, unique=True)
quarters = st.integers(0, 3)


@st.composite
def patterns(draw: st.DrawFn, depth: int = 2) -> JsonObject:
    document: JsonObject = {}
    for name in draw(some_names):
        nested = depth > 0 and draw(st.booleans())
        document[name] = draw(SHALLOWER[depth - 1] if nested else leaves)
    if depth > 0 and draw(quarters) == 0:
        document["$or"] = [*draw(PAIRS[depth - 1])]
    return document


SHALLOWER = [patterns(depth=depth) for depth in range(2)]
PAIRS = [st.lists(each, min_size=2, max_size=2) for each in SHALLOWER]


def _ids_found(index: PatternIndex[int], body: JsonObject) -> list[int]:
    return [
        filed.item
        for filed in index.candidates(body)
        if filed.matches is None or filed.matches(body)
    ]


def _filled(parsed: Sequence[Pattern]) -> PatternIndex[int]:
    index: PatternIndex[int] = PatternIndex()
    for number, pattern in enumerate(parsed):
        index.add(f"{number:03d}", number, pattern)
    return index


@given(st.lists(patterns(), max_size=12), st.lists(bodies, min_size=1, max_size=4))
def test_the_index_agrees_with_evaluating_every_pattern(
    documents: list[JsonObject], asked: list[JsonObject]
) -> None:
    parsed = [parse(document) for document in documents]
    index = _filled(parsed)
    for body in asked:
        expected = [number for number, pattern in enumerate(parsed) if pattern.matches(body)]
        assert _ids_found(index, body) == expected


@given(st.lists(patterns(), max_size=8), st.sets(st.integers(0, 7)), bodies)
def test_what_was_discarded_is_not_found_and_leaves_nothing_behind(
    documents: list[JsonObject], gone: set[int], body: JsonObject
) -> None:
    parsed = [parse(document) for document in documents]
    index = _filled(parsed)
    for number in gone:
        index.discard(f"{number:03d}")
    kept = [n for n, pattern in enumerate(parsed) if n not in gone and pattern.matches(body)]
    assert _ids_found(index, body) == kept
    for number in range(len(parsed)):
        index.discard(f"{number:03d}")
    assert (len(index), index.candidates(body), index.is_empty) == (0, [], True)


@given(patterns(), bodies)
def test_a_body_that_matches_has_a_key_of_every_filing(
    document: JsonObject, body: JsonObject
) -> None:
    """Otherwise the index would lose it, whichever key it chose."""
    pattern = parse(document)
    if not pattern.matches(body):
        return
    for filing in pattern.filings:
        only: PatternIndex[int] = PatternIndex()
        only.add("it", 1, _FiledOnce(pattern, filing))  # type: ignore[arg-type]
        assert [filed.item for filed in only.candidates(body)] == [1]


class _FiledOnce:
    """A pattern that can be indexed in one way only."""

    def __init__(self, pattern: Pattern, filing: object) -> None:
        self.filings = (filing,)
        self.matches = pattern.matches
        self.decided_by_filing = False


@given(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_a_wildcard_means_what_a_file_name_pattern_means(glob: str, text: str) -> None:
    while "**" in glob:
        glob = glob.replace("**", "*")
    if glob.count("*") <= 5:
        pattern = parse({"x": [{"wildcard": glob}]})
        assert pattern.matches({"x": text}) is fnmatch.fnmatchcase(text, glob)


@given(bodies, st.lists(NAMES, max_size=3).map(tuple))
def test_the_values_at_a_path_are_those_of_a_plain_recursion(
    body: JsonObject, path: tuple[str, ...]
) -> None:
    def plain(value: Json, rest: tuple[str, ...]) -> list[Scalar]:
        if isinstance(value, list):
            return [found for item in value for found in plain(item, rest)]
        if isinstance(value, dict):
            return plain(value[rest[0]], rest[1:]) if rest and rest[0] in value else []
        return [] if rest else [value]

    expected = sorted(map(json.dumps, plain(body, path)))
    assert sorted(map(json.dumps, leaves_at(body, path))) == expected


@given(documents=st.lists(patterns(), min_size=1, max_size=6), body=bodies)
def test_nothing_beside_the_paths_of_patterns_bears_on_what_they_match(
    documents: list[JsonObject], body: JsonObject
) -> None:
    parsed = [parse(document) for document in documents]
    paths = frozenset().union(*(pattern.paths for pattern in parsed))
    part, index = cast("JsonObject", pruned(body, paths)), _filled(parsed)
    assert _ids_found(index, part) == _ids_found(index, body)
