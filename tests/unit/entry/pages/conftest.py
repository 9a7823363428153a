"""The pages over the API in memory, for every test of this folder."""

import pytest
from tests.doubles.pages import PagesWorld


@pytest.fixture
def world() -> PagesWorld:
    # Made outside of the event loop: it reads files.
    return PagesWorld()
