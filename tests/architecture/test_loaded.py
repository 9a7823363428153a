"""Processes load what they use: an import costs each start, and most of all who waits for a command."""

import pytest
from tests.architecture.test_kits import LOADED, loaded_by

ON_SCREEN = frozenset({"rich", "pygments", "structlog"})
"""What makes text for a person to read."""
OF_PAGES = frozenset({"jinja2", "markupsafe"})
OF_HTTP = frozenset({"aiohttp", "aiodns", "pycares"})
OF_COMMANDS = frozenset({"click", "yaml"})
STATUS = (
    "hookstream.entry.cli.status, hookstream.entry.backend.cluster.backend as cluster;"
    " cluster.ClusterBackend(None).status"
)
"""The command, and the part of the cluster that it works on."""


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("hookstream.entry.cli", ON_SCREEN | OF_PAGES | OF_HTTP | {"confluent_kafka", "asyncio"}),
        (
            STATUS,
            OF_PAGES | OF_HTTP | {"structlog", "rich", "yaml", "sqlite3", "opentelemetry"},
        ),
        (
            "hookstream.entry.cli.worker",
            ON_SCREEN | OF_PAGES | {"yaml", "sqlite3", "opentelemetry"},
        ),
        ("hookstream.entry.cli.console", ON_SCREEN),
        ("hookstream.entry.executor.executor", ON_SCREEN | OF_PAGES | {"sqlite3"}),
        (
            "hookstream.entry.admin.index_process",
            ON_SCREEN | OF_PAGES | OF_HTTP | OF_COMMANDS | {"cryptography", "prometheus_client"},
        ),
    ],
)
def test_a_process_loads_nothing_that_it_does_not_use(module: str, never: frozenset[str]) -> None:
    loaded = loaded_by(f"import {module}{LOADED}")
    assert "hookstream" in loaded
    assert loaded & never == set()
