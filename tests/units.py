"""Divides the tests of a run that is spread over processes into units: one process has all of a unit."""

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

SHARED = {
    "e2e/pages/": "pages",
    "e2e/test_access.py": "access",
    "e2e/test_consoles.py": "consoles",
    "e2e/test_page_sessions.py": "sessions",
    "e2e/registries/test_java_producer.py": "registry",
    "e2e/registries/test_mapped_over_real_registry.py": "registry",
    "e2e/registries/test_real_registry.py": "registry",
    "integration/brokers/test_reach.py": "reach",
    "integration/brokers/test_unreadable_batches.py": "unreadable",
}
"""Of what shares a platform, a registry or a broker of its own: the unit. Every other test is one by itself."""


class UnitScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process that has little left the next unit; those with the most tests come first."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.removeprefix("tests/")
        return next((unit for start, unit in SHARED.items() if path.startswith(start)), nodeid)
