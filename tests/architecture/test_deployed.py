"""What is deployed runs commands that exist, listens where it is asked, and has time to drain."""

from typing import Any

import click
import pytest
import yaml
from tests.conftest import ROOT

from hookstream.entry.cli.root import root
from hookstream.settings import Settings

MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


def exists(words: list[str]) -> bool:
    found: click.Command | None = root
    for word in words:
        if not isinstance(found, click.Group):
            return False
        found = found.get_command(click.Context(found), word)
    return found is not None


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_each_manifest_runs_a_command_and_asks_the_port_on_which_it_listens(path: Any) -> None:  # noqa: ANN401
    manifest = yaml.safe_load(path.read_text("utf-8"))
    pod = manifest["spec"]["template"]["spec"]
    [container] = pod["containers"]
    environ = {each["name"]: each["value"] for each in container["env"]}
    [port] = container["ports"]
    assert exists(container["args"])
    assert environ["HOOKSTREAM_JOBS__LISTEN"] == f"0.0.0.0:{port['containerPort']}"
    for probe, page in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": page, "port": port["name"]}
    assert pod["terminationGracePeriodSeconds"] * 1_000 > Settings().jobs.drain_deadline


@pytest.mark.parametrize("name", ["worker", "executor"])
def test_each_service_of_the_compose_file_runs_a_command_that_exists(name: str) -> None:
    assert exists(COMPOSE["services"][name]["command"])
