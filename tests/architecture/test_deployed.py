"""What is deployed runs commands that exist, listens where it is asked, and has time to drain."""

from typing import Any

import click
import pytest
import yaml
from tests.conftest import ROOT

from hookstream.entry.cli.root import root
from hookstream.settings import Settings, load

KUBERNETES = ROOT / "deploy" / "kubernetes"
MANIFESTS = [KUBERNETES / "console.yaml", KUBERNETES / "executor.yaml"]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


HEALTH = {"executor": ("jobs", "listen"), "console": ("console", "health_listen")}
"""By manifest: the setting of the address of metrics and health."""


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
    group, setting = HEALTH[path.stem]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert exists(container["args"])
    assert environ[f"HOOKSTREAM_{group}__{setting}".upper()] == f"0.0.0.0:{ports['metrics']}"
    for probe, page in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": page, "port": "metrics"}
    deadline = getattr(Settings(), group).drain_deadline
    assert pod["terminationGracePeriodSeconds"] * 1_000 > deadline
    names = {name.partition("__")[0] for name in environ if "__" in name}
    assert names <= {f"HOOKSTREAM_{group}".upper()}
    load(None, {name: text for name, text in environ.items() if "__" in name}, {})


def test_the_consoles_manifest_has_the_address_of_an_ingress_for_portal_links() -> None:
    manifest = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "console.yaml").read_text("utf-8"))
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    environ = {each["name"]: each["value"] for each in container["env"] if "__" in each["name"]}
    # TLS ends there: without it, browsers keep no session.
    assert load(None, environ, {}).console.url.startswith("https://")


def test_consoles_ask_the_service_whose_name_has_an_address_for_each_worker() -> None:
    assert sorted(KUBERNETES.glob("*.yaml")) == [*MANIFESTS, KUBERNETES / "workers.yaml"]
    service = yaml.safe_load((KUBERNETES / "workers.yaml").read_text("utf-8"))
    console = yaml.safe_load((KUBERNETES / "console.yaml").read_text("utf-8"))
    [container] = console["spec"]["template"]["spec"]["containers"]
    environ = {each["name"]: each["value"] for each in container["env"]}
    [port] = service["spec"]["ports"]
    assert (service["kind"], service["spec"]["clusterIP"]) == ("Service", "None")
    found = load(None, {"HOOKSTREAM_CONSOLE__WORKERS": environ["HOOKSTREAM_CONSOLE__WORKERS"]}, {})
    assert found.console.workers == (f"{service['metadata']['name']}:{port['port']}",)
    assert Settings().worker.listen.endswith(f":{port['port']}")


@pytest.mark.parametrize("name", ["worker", "executor", "console"])
def test_each_service_of_the_compose_file_runs_a_command_that_exists(name: str) -> None:
    assert exists(COMPOSE["services"][name]["command"])
