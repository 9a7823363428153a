"""The API over tables in memory, for every test of this folder."""

import pytest
from tests.doubles.api import ApiWorld


@pytest.fixture
def world() -> ApiWorld:
    # Made outside of the event loop: it reads files.
    return ApiWorld()


@pytest.fixture
def unchanged() -> ApiWorld:
    """Another one, for a second request that must not find what the first left behind."""
    return ApiWorld()
