"""What the two compose files start is bounded, private to this machine, and finds what it asks for."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.conftest import ROOT

from hookstream.settings import Settings, load

# A document of another program, whose fields are looked at one by one.
Document = dict[str, Any]

COMPOSE = ROOT / "deploy" / "compose"
SETTINGS = COMPOSE / "hookstream.toml"
BOARDS = ROOT / "deploy" / "grafana"
RULES = ROOT / "deploy" / "prometheus" / "hookstream.rules.yml"
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+")
BUILT_HERE = "hookstream:local"
LOOPBACK = re.compile(r"127\.0\.0\.1:\d+:\d+")
LISTENS = {
    "worker": ("worker", "listen"),
    "executor": ("jobs", "listen"),
    "console": ("console", "health_listen"),
}
"""By service: the setting of the address of its metrics."""


def read(path: Path) -> Document:
    document: Document = yaml.safe_load(path.read_text("utf-8"))
    return document


PLAIN: Document = read(ROOT / "docker-compose.yml")["services"]
ADDED: Document = read(ROOT / "docker-compose.observability.yml")["services"]
OBSERVERS = sorted(ADDED.keys() - PLAIN.keys())


def merged(name: str) -> Document:
    """Return a service as both files together describe it."""
    plain, added = PLAIN.get(name, {}), ADDED.get(name, {})
    environment = {**plain.get("environment", {}), **added.get("environment", {})}
    return {**plain, **added, "environment": environment}


def networks(name: str) -> set[str]:
    return set(merged(name).get("networks", ["default"]))


def mounted(name: str) -> dict[str, Path]:
    """Return what of this repository a service sees, by its path in the container."""
    mounts = [volume.split(":") for volume in merged(name).get("volumes", [])]
    return {parts[1]: ROOT / parts[0] for parts in mounts if parts[0].startswith("./")}


def settings_of(name: str, files: str) -> Settings:
    """Return the settings that a service of `hookstream` has, with one file or with both."""
    environ = (PLAIN[name] if files == "plain" else merged(name))["environment"]
    ours = {key: value for key, value in environ.items() if "__" in key}
    return load(SETTINGS, ours, {})


def targets() -> Iterator[tuple[str, int]]:
    """Yield which port of which service Prometheus scrapes."""
    for job in read(COMPOSE / "prometheus.yml")["scrape_configs"]:
        for found in job.get("dns_sd_configs", []):
            assert found["type"] == "A"
            for name in found["names"]:
                yield name, found["port"]


def data_sources() -> list[Document]:
    sources: list[Document] = read(COMPOSE / "grafana" / "datasources.yml")["datasources"]
    return sources


def in_environment(name: str) -> dict[str, str]:
    environment: dict[str, str] = merged(name)["environment"]
    return environment


def collector() -> Document:
    return read(COMPOSE / "collector.yaml")


@pytest.mark.parametrize("name", sorted(PLAIN.keys() | ADDED.keys()))
def test_each_service_has_a_pinned_image_ports_on_loopback_and_files_that_exist(name: str) -> None:
    service = merged(name)
    assert service["image"] == BUILT_HERE or PINNED.fullmatch(service["image"])
    assert all(LOOPBACK.fullmatch(port) for port in service.get("ports", []))
    assert [path for path in mounted(name).values() if not path.exists()] == []
    assert set(service.get("depends_on", {})) <= PLAIN.keys() | ADDED.keys()


def test_no_two_services_publish_one_port() -> None:
    ports = [
        port for name in PLAIN.keys() | ADDED.keys() for port in merged(name).get("ports", [])
    ]
    published = [port.rsplit(":", 1)[0] for port in ports]
    assert len(set(published)) == len(published)


def test_the_second_file_adds_four_observers_and_only_changes_what_has_spans() -> None:
    assert OBSERVERS == ["collector", "grafana", "jaeger", "prometheus"]
    assert ADDED.keys() & PLAIN.keys() == {"worker", "console"}


@pytest.mark.parametrize("name", OBSERVERS)
def test_each_observer_has_bounds_of_memory_processors_and_log_and_says_its_health(
    name: str,
) -> None:
    service = ADDED[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["cpus"] <= 1
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["healthcheck"].keys() & {"test", "disable"}


def test_what_has_to_be_healthy_first_says_its_health() -> None:
    waited = {
        (name, on)
        for name in ADDED
        for on, how in ADDED[name].get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    assert waited == {("collector", "jaeger"), ("grafana", "prometheus")}
    assert all("test" in ADDED[on]["healthcheck"] for _, on in waited)


@pytest.mark.parametrize("observer", ["grafana", "jaeger"])
def test_no_endpoint_of_a_subscription_reaches_grafana_or_jaeger(observer: str) -> None:
    assert not networks("worker") & networks(observer)


def test_portal_links_begin_with_an_address_that_reaches_the_console_from_this_machine() -> None:
    address = urlsplit(settings_of("console", "plain").console.url)
    port = settings_of("console", "plain").console.listen.rpartition(":")[2]
    assert f"{address.hostname}:{address.port}:{port}" in PLAIN["console"]["ports"]


def test_prometheus_scrapes_every_process_at_the_port_on_which_it_listens() -> None:
    found = dict(targets())
    assert found.keys() == {*LISTENS, "collector"}
    for name, (group, setting) in LISTENS.items():
        host, _, port = getattr(getattr(settings_of(name, "both"), group), setting).rpartition(":")
        assert (host, int(port)) == ("0.0.0.0", found[name])  # noqa: S104  inside its container
    [reader] = collector()["service"]["telemetry"]["metrics"]["readers"]
    own = reader["pull"]["exporter"]["prometheus"]
    assert (own["host"], own["port"]) == ("0.0.0.0", found["collector"])  # noqa: S104
    for name in found:
        assert networks("prometheus") & networks(name)


def test_the_console_asks_the_workers_at_the_port_on_which_they_listen() -> None:
    listens = settings_of("worker", "both").worker.listen
    assert settings_of("console", "both").console.workers == (
        f"worker:{listens.rpartition(':')[2]}",
    )
    assert networks("worker") & networks("console")


def test_prometheus_reads_its_settings_and_the_rules_where_they_are_mounted() -> None:
    [config] = [
        flag.partition("=")[2]
        for flag in ADDED["prometheus"]["command"]
        if flag.startswith("--config.file=")
    ]
    files = mounted("prometheus")
    assert files[config] == COMPOSE / "prometheus.yml"
    rules = [str(Path(config).parent / name) for name in read(files[config])["rule_files"]]
    assert [files[path] for path in rules] == [RULES]


def test_prometheus_keeps_a_bounded_past() -> None:
    flags = " ".join(ADDED["prometheus"]["command"])
    assert "--storage.tsdb.retention.time=" in flags
    assert "--storage.tsdb.retention.size=" in flags


@pytest.mark.parametrize("name", ["worker", "console"])
def test_spans_are_exported_with_the_second_file_alone_and_under_the_name_of_their_process(
    name: str,
) -> None:
    assert settings_of(name, "plain").tracing.exporter == "none"
    assert settings_of(name, "both").tracing.exporter == "otlp"
    assert in_environment(name)["OTEL_SERVICE_NAME"] == f"hookstream-{name}"


def test_spans_go_from_worker_and_console_by_the_collector_to_jaeger() -> None:
    config = collector()
    for name in ("worker", "console"):
        endpoint = urlsplit(settings_of(name, "both").tracing.endpoint or "")
        assert (endpoint.scheme, endpoint.hostname) == ("http", "collector")
        receives = config["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
        assert receives == f"0.0.0.0:{endpoint.port}"
        assert networks(name) & networks("collector")
    assert config["exporters"]["otlp_grpc"]["endpoint"] == "jaeger:4317"
    assert networks("collector") & networks("jaeger")


def test_the_collector_has_one_pipeline_of_all_that_it_declares_and_bounds_its_memory_first() -> (
    None
):
    config = collector()
    assert config["service"]["pipelines"].keys() == {"traces"}
    pipeline = config["service"]["pipelines"]["traces"]
    for part in ("receivers", "processors", "exporters"):
        assert set(pipeline[part]) == config[part].keys()
    assert pipeline["processors"][0] == "memory_limiter"
    limit = config["processors"]["memory_limiter"]["limit_mib"]
    assert limit < int(ADDED["collector"]["mem_limit"].removesuffix("m"))


def test_each_data_source_of_grafana_is_a_service_that_it_reaches() -> None:
    hosts = {source["type"]: urlsplit(source["url"]).hostname for source in data_sources()}
    assert hosts == {"prometheus": "prometheus", "jaeger": "jaeger"}
    for host in hosts.values():
        assert networks("grafana") & networks(str(host))
    assert len({source["uid"] for source in data_sources()}) == len(hosts)


def test_each_dashboard_takes_the_data_source_that_is_provisioned() -> None:
    [default] = [source for source in data_sources() if source.get("isDefault")]
    boards = [json.loads(path.read_text("utf-8")) for path in BOARDS.glob("*.json")]
    assert boards
    for board in boards:
        variables = [each for each in board["templating"]["list"] if each["type"] == "datasource"]
        assert [each["query"] for each in variables] == [default["type"]]
        asked = [
            each["datasource"]
            for panel in board["panels"]
            for each in chain([panel], panel["targets"])
        ]
        chosen = {"type": default["type"], "uid": f"${{{variables[0]['name']}}}"}
        assert [each for each in asked if each != chosen] == []


def test_grafana_shows_the_dashboards_of_this_repository_and_nobody_changes_them_there() -> None:
    files = mounted("grafana")
    assert files["/etc/grafana/provisioning/datasources/hookstream.yml"] == (
        COMPOSE / "grafana" / "datasources.yml"
    )
    [provider] = read(files["/etc/grafana/provisioning/dashboards/hookstream.yml"])["providers"]
    assert files[provider["options"]["path"]] == BOARDS
    assert (provider["allowUiUpdates"], provider["disableDeletion"]) == (False, True)
    home = Path(in_environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (files[str(home.parent)] / home.name).is_file()


def test_without_a_password_that_somebody_chose_grafana_only_shows() -> None:
    environment = in_environment("grafana")
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    # `:?` makes compose refuse to start where it is not set, and name it.
    assert environment["GF_SECURITY_ADMIN_PASSWORD"].startswith(
        "${GRAFANA_ADMIN_PASSWORD:?set GRAFANA_ADMIN_PASSWORD"
    )
