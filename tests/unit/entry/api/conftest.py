"""The API over tables in memory, for every test of this folder."""

import pytest
from tests.doubles.api import ApiWorld

from hookstream.core.access.scopes import Scope


@pytest.fixture
def world() -> ApiWorld:
    # Made outside of the event loop: it reads files.
    return ApiWorld()


@pytest.fixture
def unchanged() -> ApiWorld:
    """Another one, for a second request that must not find what the first left behind."""
    return ApiWorld()


@pytest.fixture
def worlds() -> dict[Scope, ApiWorld]:
    """One for a token of each scope: what one of them does is not there for the next."""
    return {scope: ApiWorld() for scope in Scope}
