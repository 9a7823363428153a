"""Two releases run side by side while an upgrade rolls: each reads what the other writes.

`before.json` was written by the release before this one, with what that release reads from it.
"""

import json
from typing import Any

import pytest
from tests.compatibility.formats import covered, read
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "compatibility"
BEFORE: dict[str, Any] = json.loads((FOLDER / "before.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", BEFORE)
def test_what_the_release_before_wrote_is_read_as_it_meant_it(name: str) -> None:
    told = BEFORE[name]
    assert covered(told["read"], read(name, told["is"])) == []


def test_a_difference_is_found_wherever_it_is() -> None:
    told = {"a": [1, {"b": None}], "c": "x"}
    assert covered(told, {"a": [1, {"b": None, "new": 2}], "c": "x", "d": 1}) == []
    assert covered(told, {"a": [1, {"b": 0}], "c": "x"}) == ["$.a[1].b is 0, not null"]
    assert covered(told, {"a": [1.0, {"b": None}], "c": "x"}) == ["$.a[0] is 1.0, not 1"]
    assert covered(told, {"a": [1], "c": "x"}) == ['$.a is [1], not [1, {"b": null}]']
    assert covered(told, {"a": [1, {"b": None}]}) == ["$.c is missing"]
