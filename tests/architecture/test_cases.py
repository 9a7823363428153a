"""Every input that failed once has a test that carries its id as `@pytest.mark.case("…")`."""

import ast
from collections.abc import Iterator

from tests.conftest import ROOT

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
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
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
