"""The published cases of the pattern language, each validated against AWS by those who wrote them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookstream.core.matching.pattern import PatternRefused, parse
from hookstream.core.model.json import JsonObject

FOLDER = Path(__file__).parents[5] / "shared" / "vectors" / "eventbridge"
"""Beside the repository: the cases belong to others, so they are not in it."""

DEVIATIONS = {
    # A decimal is text in the body, so `numeric` takes text in the form of a number.
    "numeric-string_NEG",
    # Names of Avro fields have no dots, so a dot in an event's name is not read as a level.
    "dot_joining_event",
}


def test_the_published_cases_pass(subtests: pytest.Subtests) -> None:
    """A pattern that someone knows from EventBridge must mean the same here."""
    cases = list(_cases())
    if not cases:
        pytest.skip("the cases are not on this machine")
    for name, event, pattern in cases:
        with subtests.test(name):
            if name.endswith("_EXC"):
                with pytest.raises(PatternRefused):
                    parse(pattern)
            else:
                expected = name.endswith("_NEG") == (name in DEVIATIONS)
                assert parse(pattern).matches(event) is expected


def _cases() -> Iterator[tuple[str, JsonObject, JsonObject]]:
    for file in sorted(FOLDER.glob("*.json5")):
        case = _read(file.read_text())
        yield file.stem, case["Event"], case["EventPattern"]
    for file in FOLDER.glob("*_pattern.json"):
        event = file.with_name(file.name.replace("_pattern", ""))
        yield file.stem, {**_read(event.read_text())}, {**_read(file.read_text())}


def _read(text: str) -> dict[str, JsonObject]:
    """Read JSON with comments on whole lines or after a value, and with trailing commas."""
    text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r",(\s*[}\]])", r"\1", text)
    document: dict[str, JsonObject] = json.loads(text)
    return document
