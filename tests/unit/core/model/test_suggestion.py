"""An unknown name is answered with the nearest known one."""

import pytest

from hookstream.core.model.suggestion import did_you_mean

KNOWN = ["production", "staging", "pricing.completed", "Acme"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("prod", " (did you mean production?)"),
        ("PRODUCTION", " (did you mean production?)"),
        ("stagin", " (did you mean staging?)"),
        ("pricing.complete", " (did you mean pricing.completed?)"),
        ("acme", " (did you mean Acme?)"),
        ("p", ""),
        ("", ""),
        ("nothing-like-it", ""),
        ("x" * 100_000, ""),
    ],
)
def test_the_nearest_known_name_is_suggested(name: str, hint: str) -> None:
    assert did_you_mean(name, KNOWN) == hint
