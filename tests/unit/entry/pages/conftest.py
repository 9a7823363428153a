"""The pages over the API in memory, for every test of this folder."""

import pytest
from tests.doubles.pages import PagesWorld

from hookstream.core.access.scopes import Scope


@pytest.fixture
def world() -> PagesWorld:
    # Made outside of the event loop: it reads files.
    return PagesWorld()


@pytest.fixture
def worlds() -> dict[Scope, PagesWorld]:
    """One for a session of each scope: what one of them does is not there for the next."""
    return {scope: PagesWorld() for scope in Scope}
