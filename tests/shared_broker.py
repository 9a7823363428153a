"""Runs a command beside a broker that all tests of that command share: `python -m tests.shared_broker make …`.

If each group of `make test` had a broker, Java would load and compile the same code seven times. Where the
environment names a broker already, the command gets that one.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from tests.real_broker import a_shared_broker

SHARED = "HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS"
"""The variable from which `tests/conftest.py` takes the broker's address."""


def run(command: Sequence[str]) -> int:
    """Run a command to its end, and return its exit code.

    Raises:
        DependencyUnavailable: The broker did not start.
        OSError: The command cannot be run.
    """
    environ = dict(os.environ)
    with ExitStack() as stack:
        if not environ.get(SHARED):
            environ[SHARED] = stack.enter_context(a_shared_broker()).bootstrap_servers
        return subprocess.run(command, env=environ, check=False).returncode  # noqa: S603  our own


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
