"""Schema files are where they must be, or are named with what is wrong."""

from pathlib import Path

import orjson
import pytest
from tests.doubles.schemas import EVENT_TYPES, ROOT, event_schema, field

from hookstream.adapters.avro.files import own_declared, read_schema_files
from hookstream.core.catalog.publication import Finding
from hookstream.errors import ConfigurationError


def test_the_platforms_schemas_are_read_in_order() -> None:
    files = read_schema_files(ROOT / "schemas")
    assert files.problems == ()
    assert [(s.where, s.event_type, s.version) for s in files.schemas] == [
        (f"{event_type}/v{version}.avsc", event_type, version)
        for event_type, version in sorted(
            [*((event_type, 1) for event_type in EVENT_TYPES), ("order.generated", 2)]
        )
    ]


def test_our_own_are_marked_as_our_own() -> None:
    assert {(schema.event_type, schema.own) for schema in own_declared()} == {
        ("hookstream.attempt", True),
        ("delivery.dead_lettered", True),
        ("endpoint.disabled", True),
        ("endpoint.recovered", True),
        ("hold.changed", True),
        ("hookstream.access", True),
        ("log.event_id_conflict", True),
        ("log.gap", True),
        ("partition.skipped", True),
        ("subscription.changed", True),
        ("subscription.failures_changed", True),
    }


def test_every_problem_is_named_with_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "thing.done"
    folder.mkdir()
    sound = orjson.dumps(event_schema(field("a", "int")))
    (folder / "v1.avsc").write_bytes(sound)
    (folder / "v2.avsc").write_bytes(sound)
    (folder / "v3.avsc").write_bytes(b"{")
    (folder / "v4.avsc").write_bytes(b" " * 300_000)
    (folder / "v5.avsc").write_bytes(b"[]")
    (tmp_path / "v1.avsc").write_bytes(sound)
    files = read_schema_files(tmp_path)
    assert [schema.where for schema in files.schemas] == ["thing.done/v1.avsc"]
    assert [(each.where, each.what.split(":")[0]) for each in files.problems] == [
        (
            "thing.done/v2.avsc",
            "declares thing.done v1, but its path is that of thing.done v2",
        ),
        ("thing.done/v3.avsc", "is not JSON"),
        ("thing.done/v4.avsc", "is larger than 262144 bytes"),
        ("thing.done/v5.avsc", "the schema is not a record"),
        ("v1.avsc", "is not where a schema must be"),
    ]
    assert isinstance(files.problems[0], Finding)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("0.12345678901234567890", "does not fit into 64 bits"),
        ("18446744073709551616", "does not fit into 64 bits"),
        ("-9223372036854775809", "does not fit into 64 bits"),
        ("1e-401", "has an exponent beyond ±400"),
    ],
)
def test_a_number_that_the_row_would_round_is_refused(
    tmp_path: Path, number: str, why: str
) -> None:
    """It was published as another default than the file's."""
    folder = tmp_path / "thing.done"
    folder.mkdir()
    text = orjson.dumps(event_schema(field("a", "double", default=0.1))).decode()
    for version, default in (("v1", "0.1"), ("v2", number)):
        written = text.replace("0.1", default).replace(
            '"eventVersion":1', f'"eventVersion":{version[1]}'
        )
        (folder / f"{version}.avsc").write_text(written)
    files = read_schema_files(tmp_path)
    assert [schema.where for schema in files.schemas] == ["thing.done/v1.avsc"]
    assert files.problems == (Finding("thing.done/v2.avsc", f"the number {number} {why}"),)


def test_a_folder_without_schemas_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="contains no schemas"):
        read_schema_files(tmp_path)
