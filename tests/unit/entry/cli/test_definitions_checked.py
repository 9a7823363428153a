"""`hookstream check` finds without a cluster what a plan would find, and reads no secret."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.doubles.foreign import write_mapping
from tests.doubles.schemas import ROOT

from hookstream.entry.cli import root

TYPE = "order.shipped"
SCHEMAS = ROOT / "schemas"
PARTNER = """
id: acme
name: Acme
grant: {event_types: [order.generated], environments: [production]}
"""
SUBSCRIPTION = """
id: orders
partner: acme
endpoint:
  url: https://acme.example/h
  signing_secrets: [env: ACME_SECRET]
event_types: [order.generated]
"""


def check(
    folder: Path, *options: str, schemas: Path = SCHEMAS, **environ: str
) -> tuple[int, str, str]:
    ended = CliRunner(env=environ).invoke(
        root, ["check", str(folder), "--schemas", str(schemas), *options]
    )
    return ended.exit_code, ended.stdout, ended.stderr


def write(folder: Path, subscription: str, partner: str | None = PARTNER) -> Path:
    for kind, text in (("partners", partner), ("subscriptions", subscription)):
        if text is not None:
            (folder / kind).mkdir(exist_ok=True)
            (folder / kind / "one.yaml").write_text(text)
    return folder


def subscription(**changed: str) -> str:
    return SUBSCRIPTION + "".join(f"{name}: {value}\n" for name, value in changed.items())


def test_check_finds_no_problem_in_the_example() -> None:
    code, said, noted = check(ROOT / "examples" / "printprice")
    assert (code, said) == (0, "5 partners and 5 subscriptions checked, no problems found.\n")
    assert "key ring" not in noted


@pytest.mark.parametrize(
    ("changed", "where", "why"),
    [
        ({"colour": "red"}, "one.yaml:8", "colour"),
        ({"pattern": "{data: {order_numbr: [x]}}"}, "one.yaml:8", "data.order_numbr"),
        ({"versions": "{order.generated: 7}"}, "one.yaml:8", "there is no version 7"),
        (
            {"format": "template", "template": '{text: "<$.data.nothing>"}'},
            "one.yaml:9",
            "data.nothing",
        ),
    ],
)
def test_a_problem_names_file_line_and_field(
    tmp_path: Path, changed: dict[str, str], where: str, why: str
) -> None:
    code, _, said = check(write(tmp_path, subscription(**changed)))
    assert code == 2
    assert f"subscriptions/{where}: subscription orders: " in said
    assert why in said


def test_an_event_type_without_a_schema_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    text = subscription().replace("[order.generated]", "[order.generate]")
    code, _, said = check(write(tmp_path, text))
    assert code == 2
    assert f"no schema of order.generate is in {SCHEMAS} (did you mean order.generated?)" in said


def test_no_secret_is_read_whatever_it_contains(tmp_path: Path) -> None:
    text = subscription()
    folder = write(tmp_path, text.replace("endpoint:\n", "endpoint:\n  ca: {file: ca.pem}\n"))
    (folder / "subscriptions" / "ca.pem").write_text("no certificate")
    code, said, noted = check(folder, ACME_SECRET="no key")
    assert (code, noted) == (0, "")
    assert said == "1 partner and 1 subscription checked, no problems found.\n"


def test_an_ungranted_type_is_noted(tmp_path: Path) -> None:
    text = subscription().replace("[order.generated]", "[order.generated, pricing.completed]")
    code, _, noted = check(write(tmp_path, text))
    assert code == 0
    assert "asks for pricing.completed, which partner acme is not granted" in noted


def test_a_partner_of_another_folder_is_noted_and_the_rest_is_checked(tmp_path: Path) -> None:
    code, _, noted = check(write(tmp_path, subscription(), partner=None))
    assert code == 0
    assert "partner acme is not declared here" in noted
    code, _, said = check(
        write(tmp_path, subscription(versions="{order.generated: 7}"), partner=None)
    )
    assert code == 2
    assert "there is no version 7" in said


def test_a_broken_schema_is_a_problem_with_its_file(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    (schemas / "thing.done").mkdir(parents=True)
    (schemas / "thing.done" / "v1.avsc").write_text("{")
    code, _, said = check(write(tmp_path, subscription()), schemas=schemas)
    assert code == 2
    assert f"{schemas}/thing.done/v1.avsc: is not JSON" in said


def test_json_has_the_parts_of_each_problem(tmp_path: Path) -> None:
    folder = write(tmp_path, subscription(versions="{order.generated: 7}"))
    code, said, _ = check(folder, "--json")
    assert code == 2
    assert json.loads(said) == {
        "problems": [
            {
                "where": f"{folder}/subscriptions/one.yaml:8",
                "subject": "subscription orders",
                "path": "versions.order.generated",
                "why": "there is no version 7: the newest published version is 2",
            }
        ],
        "notes": [],
        "partners": 1,
        "subscriptions": 1,
    }


def test_a_pattern_on_a_mapped_type_is_checked_on_its_foreign_schema(tmp_path: Path) -> None:
    schemas = write_mapping(tmp_path / "schemas")
    text = subscription(pattern="{data: {orderNumbr: [1]}}").replace("order.generated", TYPE)
    folder = tmp_path / "definitions"
    folder.mkdir()
    granted = PARTNER.replace("order.generated", TYPE)
    write(folder, text, granted)
    code, _, said = check(folder, schemas=schemas)
    assert code == 2
    assert "data.orderNumbr" in said
    write(folder, text.replace("orderNumbr", "orderNumber"), granted)
    assert check(folder, schemas=schemas)[0] == 0
