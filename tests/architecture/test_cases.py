"""Every input that failed once has a test that carries its id as `@pytest.mark.case("…")`."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source_text import text_of
from tests.conftest import ROOT

MARK = re.compile(r"\bmark\s*\.\s*case\b")

CASES = {
    "header-name",
    "record-time",
    "made-nullable",
    "moved-definition",
    "long-integers-in-patterns",
    "long-decimals-in-patterns",
    "float",
    "rounding-on-input",
    "union-branches",
    "shown-form-refused",
    "late-body",
    "one-id-twice",
    "sub-folders",
    "duplicate-keys",
}


def marked() -> Iterator[str]:
    """Yield the id of every case that a test claims to cover."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        text = text_of(file)
        for node in ast.walk(ast.parse(text)) if MARK.search(text) else ():
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="case", value=ast.Attribute(attr="mark")),
                    args=[ast.Constant(value=str(case))],
                ):
                    yield case
                case _:
                    pass


def test_every_input_that_failed_once_has_a_test_of_its_id() -> None:
    assert sorted(set(marked())) == sorted(CASES)
