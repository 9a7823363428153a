"""The command that runs tests beside one broker."""

import sys

import pytest
from tests.shared_broker import SHARED, run


def test_a_command_gets_the_broker_that_is_named_and_its_exit_code_is_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a failed group would count as passed."""
    monkeypatch.setenv(SHARED, "127.0.0.1:1")
    program = f"import os, sys; sys.exit(7 if os.environ[{SHARED!r}] == '127.0.0.1:1' else 0)"

    assert run([sys.executable, "-c", program]) == 7
