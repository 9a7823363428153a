"""Divides the tests of a run into units, the longest first: one process has all of a unit."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

Unit: TypeAlias = list[int]
"""The places of tests among those of the collection, in the order in which they run."""

_TESTS = Path(__file__).parent
SHARED = {
    "e2e/pages": "pages",
    "e2e/test_access.py": "access",
    "e2e/test_consoles.py": "consoles",
    "e2e/test_page_sessions.py": "sessions",
    "e2e/registries/test_java_producer.py": "registry",
    "e2e/registries/test_mapped_over_real_registry.py": "registry",
    "e2e/registries/test_real_registry.py": "registry",
    "integration/brokers/test_reach.py": "reach",
    "integration/brokers/test_unreadable_batches.py": "unreadable",
}
"""Of what shares a platform, a registry or a broker of its own: the unit."""
LONG = (
    "simulation/test_stories.py",
    "scenarios/test_backlogs.py",
    "scenarios/test_lanes.py",
    "properties",
)
"""What takes seconds for each test in memory, in the order in which a run begins it."""
LONGEST_ON_KAFKA = (
    "e2e/outages",
    "e2e/past",
    "fuzz",
    "e2e/processes",
    "e2e",
    "integration/brokers",
)
"""What takes longest on Kafka, in the same order."""
LEAVES_PROCESSES = "e2e/pages"
"""What has a worker, a console and a browser that run until the session ends."""


def units(items: Sequence[pytest.Item]) -> list[Unit]:
    """Return the units of tests: what shares something, the most tests first; then each file or long test."""
    found: dict[str, Unit] = {}
    for place, item in enumerate(items):
        found.setdefault(_unit(item), []).append(place)
    shared = [found.pop(name) for name in {*SHARED.values()} & {*found}]
    return [*sorted(shared, key=lambda unit: (-len(unit), unit)), *found.values()]


def order(item: pytest.Item) -> tuple[object, ...]:
    """Return what to sort tests by.

    The tests that take seconds each come first: otherwise one process is left with some of them while the
    others have nothing more to do. In a run of one process what leaves processes comes last: they would run
    beside all other tests.
    """
    return (
        [not _is_in(item.path, name) for name in LONG],
        _is_in(item.path, LEAVES_PROCESSES),
        [not _is_in(item.path, name) for name in LONGEST_ON_KAFKA],
    )


def _unit(item: pytest.Item) -> str:
    shared = next((unit for name, unit in SHARED.items() if _is_in(item.path, name)), None)
    if shared is not None:
        return shared
    if item.get_closest_marker("kafka") or any(_is_in(item.path, name) for name in LONG):
        return item.nodeid
    return str(item.path)


@cache
def _is_in(path: Path, name: str) -> bool:
    return path.is_relative_to(_TESTS / name)
