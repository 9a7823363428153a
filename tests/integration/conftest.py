"""Fixtures that several tests of operators' commands share."""

from pathlib import Path

import pytest
from tests.conftest import Broker
from tests.integration.definitions_world import World, make_console, make_folder, make_world


@pytest.fixture
def console_world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> World:
    """A cluster with the console's topic and the definitions of a folder."""
    made = make_console(make_world(broker, prefix, capsys, monkeypatch))
    assert made.run("apply", str(make_folder(tmp_path)), "--yes", "--no-wait").code == 0
    return made
