"""The alert rules use series that a worker or a console has, and name existing commands."""

import re
from typing import Any

import click
import pytest
import yaml
from tests.conftest import ROOT

from hookstream.adapters.telemetry.failure_metrics import FAILURE_METRICS
from hookstream.adapters.telemetry.metrics import GAUGES, PrometheusMetrics
from hookstream.entry.cli.root import root

RULES = ROOT / "deploy" / "prometheus" / "hookstream.rules.yml"
PAGE = ROOT / "docs" / "metrics.md"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
SERIES = re.compile(r"hookstream_[a-z_]+")


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def woken_for() -> str:
    page = PAGE.read_text(encoding="utf-8")
    return page.partition("## Alerts")[2].partition("\n## ")[0]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_alert_uses_series_that_a_worker_or_a_console_has(rule: dict[str, Any]) -> None:
    exposed = PrometheusMetrics().exposition().decode()
    known = {*GAUGES, *FAILURE_METRICS, *re.findall(r"^# TYPE (\S+)", exposed, re.MULTILINE)}
    asked = set(SERIES.findall(rule["expr"]))
    assert asked
    assert asked <= known


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_alert_has_a_severity_and_names_existing_commands(
    rule: dict[str, Any],
) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    for command in re.findall(r"`hookstream ([a-z -]+?)(?: --[^`]*)?`", str(rule["annotations"])):
        found: click.Command | None = root
        for word in command.split():
            assert isinstance(found, click.Group)
            found = found.get_command(click.Context(found), word)
        assert found is not None


def test_the_page_and_the_rules_list_the_same_alerts() -> None:
    asked = {series for rule in rules() for series in SERIES.findall(rule["expr"])}
    assert asked == set(SERIES.findall(woken_for()))


def test_each_alert_links_to_its_section_of_the_runbooks() -> None:
    page = RUNBOOKS.read_text(encoding="utf-8")
    sections = {
        f"docs/runbooks.md#{name.lower()}"
        for name in re.findall(r"^## (\w+)$", page, re.MULTILINE)
    }
    assert [rule["annotations"]["runbook"] for rule in rules()] == [
        f"docs/runbooks.md#{rule['alert'].lower()}" for rule in rules()
    ]
    assert {rule["annotations"]["runbook"] for rule in rules()} == sections


def test_the_runbooks_name_existing_commands() -> None:
    named = re.findall(
        r"`hookstream ([a-z -]+?)(?: (?:--|[A-Z])[^`]*)?`", RUNBOOKS.read_text("utf-8")
    )
    assert "dlq redrive" in named
    for command in named:
        found: click.Command | None = root
        for word in command.split():
            assert isinstance(found, click.Group), command
            found = found.get_command(click.Context(found), word)
        assert found is not None, command
