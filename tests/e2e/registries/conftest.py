"""A real registry for all tests of this folder, where this machine can run one."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.conftest import ROOT
from tests.real_registry import NoRegistry, RealRegistry, fetch, find_java


@pytest.fixture(scope="session")
def start_registry() -> Iterator[Callable[[], RealRegistry]]:
    """Starts one more registry, which a test may end."""
    try:
        java = find_java()
        folder = fetch(ROOT / ".cache" / "registry")
    except NoRegistry as why:
        pytest.skip(f"no real registry: {why}")
    with ExitStack() as started:
        yield lambda: started.enter_context(RealRegistry(folder, java))


@pytest.fixture(scope="session")
def registry_url(request: pytest.FixtureRequest) -> str:
    """The address of a real registry that all tests share, so each has subjects of its own."""
    given = os.environ.get("HOOKSTREAM_TEST_REGISTRY_URL")
    if given:
        return given
    start: Callable[[], RealRegistry] = request.getfixturevalue("start_registry")
    try:
        return start().url
    except NoRegistry as why:
        pytest.skip(f"no real registry: {why}")
