"""`schemas jsonschema` and `schemas sample` print one JSON document about files."""

import json

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from tests.doubles.schemas import ROOT

from hookstream.entry.cli import root

SCHEMAS = str(ROOT / "schemas")


def run(*arguments: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(root, ["schemas", *arguments, "--schemas", SCHEMAS])
    return ended.exit_code, ended.stdout, ended.stderr


@pytest.mark.parametrize("body_format", ["standard", "cloudevents"])
@pytest.mark.parametrize(("asked", "printed"), [(["--version", "1"], 1), ([], 2)])
def test_a_printed_sample_is_valid_by_the_printed_schema(
    body_format: str, asked: list[str], printed: int
) -> None:
    code, schema, _ = run("jsonschema", "order.generated", *asked, "--format", body_format)
    again, sample, _ = run(
        "sample", "order.generated", "--version", str(printed), "--format", body_format
    )
    assert (code, again) == (0, 0)
    Draft202012Validator(json.loads(schema)).validate(json.loads(sample))


@pytest.mark.parametrize("body_format", ["standard", "cloudevents"])
def test_a_thin_body_and_a_batch_have_json_schemas_of_their_own(body_format: str) -> None:
    asked = ["--format", body_format]
    code, text, _ = run("jsonschema", "order.generated", *asked, "--content", "thin", "--batch")
    _, sample, _ = run("sample", "order.generated", *asked)
    thin = json.loads(sample)
    for absent in ("data", "datacontenttype"):
        thin.pop(absent, None)
    batch = [thin, thin]
    assert code == 0
    Draft202012Validator(json.loads(text)).validate(
        batch if body_format == "cloudevents" else {"type": "hookstream.batch", "events": batch}
    )


def test_a_sample_for_input_is_one_line() -> None:
    code, sample, _ = run("sample", "routing.decided", "--format", "input")
    assert (code, sample.count("\n")) == (0, 1)
    assert json.loads(sample)["type"] == "routing.decided"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["order.generate"], "did you mean order.generated?"),
        (["order.generated", "--version", "7"], "has no version 7; it has 1, 2"),
        (["hookstream.attempt"], "is no event type"),
    ],
)
@pytest.mark.parametrize("command", ["jsonschema", "sample"])
def test_what_is_not_delivered_has_neither(command: str, arguments: list[str], why: str) -> None:
    ended = CliRunner().invoke(root, ["schemas", command, *arguments, "--schemas", SCHEMAS])
    assert ended.exit_code == 2
    assert why in ended.stderr
