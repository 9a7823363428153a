"""No file of a folder is skipped silently: it is read, noted, or refused with its path."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.schemas import event_schema, field
from tests.unit.adapters.test_definition_files import ACME, ENVIRON, ORDERS, RULES

from hookstream.adapters.avro.files import read_schema_files
from hookstream.adapters.definition_files import Definitions, read_definitions
from hookstream.adapters.file_tree import files_below, shown
from hookstream.errors import InputRefused


def read(folder: Path) -> Definitions:
    return read_definitions(folder, ENVIRON, RULES)


def write(folder: Path, name: str, text: str = ORDERS) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path) -> list[str]:
    return [str(problem).replace(f"{folder}/", "") for problem in read(folder).problems]


def ids(folder: Path) -> list[str]:
    found = read(folder)
    assert found.problems == []
    return [subscription.row.id for subscription in found.declared.subscriptions]


def named(name: str) -> str:
    return ORDERS.replace("id: orders", f"id: {name}")


@pytest.mark.case("sub-folders")
@pytest.mark.parametrize(
    "name", ["eu/x.yaml", "x.YAML", "x.Yml", "a/b/c/d/x.yml", "eu.yaml/x.yaml", "a b/é.yaml"]
)
def test_a_definition_is_read_wherever_it_is_below_its_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"subscriptions/{name}")
    assert ids(tmp_path) == ["orders"]


@pytest.mark.case("sub-folders")
@pytest.mark.parametrize("name", ["x.json", "eu/X.JSON"])
def test_a_definition_may_be_json(tmp_path: Path, name: str) -> None:
    text = (
        '{"id": "orders", "partner": "acme", "event_types": ["order.generated"],\n\t'
        '"endpoint": {"url": "https:\\/\\/acme.example/h", "signing_secrets": [{"env": "ORDERS"}]},'
        ' "limits": {"max_in_flight": 5, "rate_limit": 2.5}}'
    )
    write(tmp_path, f"subscriptions/{name}", text)
    (declared,) = read(tmp_path).declared.subscriptions
    found = declared.row
    assert (found.endpoint.url, found.limits.max_in_flight, found.limits.rate_limit) == (
        "https://acme.example/h",
        5,
        2.5,
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"id": "a",\n "id": "b"}', ":2: the field 'id' appears twice"),
        ('{"id": "\\ud800"}', ":1: contains half a surrogate pair, which is not a character"),
        ('{"id": NaN}', ":1: is not JSON: a value is expected here"),
        ('{"id": 01}', ":1: is not JSON: a comma or } is expected here"),
        ('{"id": 1,}', ":1: is not JSON: a field's name in double quotes is expected here"),
        ('{"id": 1} {}', ":1: is not JSON: something follows the document"),
        ('{"id":\n"a', ":2: is not JSON: Unterminated string starting at"),
        ("{'id': 1}", ":1: is not JSON: a field's name in double quotes is expected here"),
        ("", ":1: is not JSON: a value is expected here"),
        ("[" * 100_000, ":1: is nested more than 50 deep"),
    ],
)
def test_json_is_read_strictly(tmp_path: Path, text: str, why: str) -> None:
    write(tmp_path, "partners/x.json", text)
    assert problems(tmp_path)[0] == f"partners/x.json{why}"


@pytest.mark.parametrize("name", ["x.yaml.bak", "x", "x.txt", "x.yaml~", "X.YAM", "eu/x.toml"])
def test_a_file_that_is_no_definition_by_its_name_is_refused(tmp_path: Path, name: str) -> None:
    """Renaming a file must not delete its subscription."""
    write(tmp_path, "subscriptions/other.yaml")
    write(tmp_path, f"subscriptions/{name}", "")
    assert problems(tmp_path) == [
        (
            f"subscriptions/{name}: is not read: definitions end in .yaml, .yml or .json. Move it"
            " elsewhere, or begin its name with a dot"
        )
    ]


def test_a_file_that_a_definition_names_as_its_secret_is_not_reported_as_unknown(
    tmp_path: Path,
) -> None:
    write(tmp_path, "subscriptions/eu/x.yaml", ORDERS.replace("env: ORDERS", "file: ../k/o.key"))
    write(tmp_path, "subscriptions/k/o.key", ENVIRON["ORDERS"])
    assert ids(tmp_path) == ["orders"]


def test_a_text_for_people_is_named_in_a_note(tmp_path: Path) -> None:
    write(tmp_path, "subscriptions/README.md", "# ours")
    assert read(tmp_path).notes == [
        f"{tmp_path}/subscriptions/README.md is not read: it is not a definition"
    ]


@pytest.mark.parametrize("text", ["", "# id: orders\n", "---\n---\n", "\ufeff", " \r\n"], ids=repr)
def test_a_file_that_declares_nothing_is_refused(tmp_path: Path, text: str) -> None:
    """A file that was cut off is no deletion."""
    write(tmp_path, "subscriptions/x.yaml", text)
    assert problems(tmp_path) == [
        "subscriptions/x.yaml: declares nothing: write a definition into it, or delete it"
    ]


@pytest.mark.parametrize("name", ["x.yaml", "subscription/x.yaml", "Subscriptions/x.yaml"])
def test_a_definition_beside_the_folders_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, "partners/acme.yaml", ACME)
    write(tmp_path, name)
    assert problems(tmp_path) == [
        (
            f"{name}: declares a subscription, and is not read here: move it into subscriptions, or"
            " begin its name with a dot"
        )
    ]


def test_other_entries_beside_the_folders_are_noted_or_ignored(tmp_path: Path) -> None:
    write(tmp_path, "partners/acme.yaml", ACME)
    for name in ("docker-compose.yml", "a/package.json", "broken.yaml", "Makefile", ".ci/x.yaml"):
        write(tmp_path, name, "[" if name == "broken.yaml" else "{}")
    found = read(tmp_path)
    assert (found.problems, [note.replace(f"{tmp_path}/", "") for note in found.notes]) == (
        [],
        [
            (
                "not read, since it declares nothing of hookstream's: a/package.json, broken.yaml,"
                " docker-compose.yml"
            )
        ],
    )


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    """Kubernetes mounts a folder of the time, a link to it, and a link to each file through that."""
    mount = tmp_path / "subscriptions"
    write(mount, "..2026_11_28/x.yaml")
    (mount / "..data").symlink_to("..2026_11_28")
    (mount / "x.yaml").symlink_to("..data/x.yaml")
    assert ids(tmp_path) == ["orders"]


def test_links_make_neither_loops_nor_doubles(tmp_path: Path) -> None:
    write(tmp_path, "subscriptions/eu/x.yaml")
    write(tmp_path, "elsewhere/y.yml", named("far"))
    folder = tmp_path / "subscriptions"
    (folder / "loop").symlink_to("..")
    (folder / "again").symlink_to("eu")
    (folder / "copy.yaml").symlink_to("eu/x.yaml")
    (folder / "far").symlink_to(tmp_path / "elsewhere")
    (folder / "self").symlink_to("self")
    assert ids_and_problems(tmp_path) == (
        ["orders", "far"],
        ["subscriptions/self: cannot be read: Too many levels of symbolic links"],
    )


def ids_and_problems(folder: Path) -> tuple[list[str], list[str]]:
    return [each.row.id for each in read(folder).declared.subscriptions], problems(folder)


def test_what_cannot_be_opened_is_refused_with_its_path(tmp_path: Path) -> None:
    write(tmp_path, "subscriptions/x.yaml")
    (tmp_path / "subscriptions" / "gone.yaml").symlink_to("nowhere")
    os.mkfifo(tmp_path / "subscriptions" / "pipe.yaml")
    (tmp_path / "partners").write_text("")
    assert problems(tmp_path) == [
        "partners: is a file, but must be a folder",
        "subscriptions/gone.yaml: cannot be read: No such file or directory",
        "subscriptions/pipe.yaml: is not a regular file",
    ]


def test_a_secret_is_not_read_from_a_pipe(tmp_path: Path) -> None:
    """It would wait for ever."""
    write(tmp_path, "subscriptions/x.yaml", ORDERS.replace("env: ORDERS", "file: k"))
    os.mkfifo(tmp_path / "subscriptions" / "k")
    assert problems(tmp_path) == [
        "subscriptions/k: is not a regular file",
        (
            "subscriptions/x.yaml:6: subscription orders: endpoint.signing_secrets[0]:"
            f" the file {tmp_path}/subscriptions/k is not a regular file"
        ).replace(f"{tmp_path}/", ""),
    ]


def test_ids_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "subscriptions/a.yaml")
    write(tmp_path, "subscriptions/b.yaml", named("Orders"))
    (problem,) = problems(tmp_path)
    assert problem.startswith("subscriptions/b.yaml:2: id: 'Orders' is not an id: lower-case")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_a_text_in_another_encoding_is_refused_and_a_mark_is_not(
    tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "subscriptions").mkdir()
    path = tmp_path / "subscriptions" / "x.yaml"
    path.write_bytes(f"# é\r\n{ORDERS}".encode("utf-8-sig"))
    assert ids(tmp_path) == ["orders"]
    path.write_bytes(f"# é\n{ORDERS}".encode(encoding))
    (problem,) = problems(tmp_path)
    assert problem.startswith("subscriptions/x.yaml")
    assert "is not UTF-8" in problem


def test_a_name_that_is_not_text_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "subscriptions").mkdir()
    with open(os.fsencode(tmp_path / "subscriptions") + b"/\xff\x1b[2J\n.txt", "w") as file:  # noqa: PTH123
        file.write("")
    (problem,) = problems(tmp_path)
    assert problem.startswith("subscriptions/\\xff\\x1b[2J\\n.txt: is not read")


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"nowhere cannot be read: No such file or directory"):
        read(tmp_path / "nowhere")


names = st.text(st.sampled_from("ab.YyAaMmLlJjSsOoNn~ _"), min_size=1, max_size=10).filter(
    lambda name: name not in (".", "..")
)


@given(paths=st.lists(st.lists(names, min_size=1, max_size=3), max_size=6))
def test_every_file_that_is_not_hidden_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "partners").mkdir()
    (folder / "subscriptions").mkdir()
    made: set[str] = set()
    for number, parts in enumerate(paths):
        try:
            path = write(folder / "subscriptions", "/".join(parts), named(f"n{number}"))
        except OSError:
            # There is a file where this one needs a folder.
            continue
        if not any(part.startswith(".") for part in parts):
            made.add(str(path))
    found = read(folder)
    named_at = {problem.where.partition(":")[0] for problem in found.problems}
    names = [f"subscription {each.row.id}" for each in found.declared.subscriptions]
    read_at = {found._places[name] for name in names}  # noqa: SLF001
    assert named_at | read_at == made
    assert not named_at & read_at


def test_more_files_than_are_taken_are_refused(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path, f"{number}/x")
    with pytest.raises(InputRefused, match="contains more than 2 files"):
        list(files_below(tmp_path, most=2))


def test_schema_files_are_found_likewise(tmp_path: Path) -> None:
    import orjson  # noqa: PLC0415

    sound = orjson.dumps(event_schema(field("a", "int"))).decode()
    twice = sound.replace('"type":"record"', '"type":"record","type":"record"', 1)
    write(tmp_path, "..data/thing.done/v1.avsc", sound)
    (tmp_path / "thing.done").symlink_to("..data/thing.done")
    for name in ("thing.done/v2.json", "V1.AVSC", "x/thing.done/v1.avsc", "thing.done/v3.avsc~"):
        write(tmp_path, name, sound)
    write(tmp_path, "thing.done/v4.avsc", twice)
    write(tmp_path, "README.md", "# schemas")
    write(tmp_path, "thing.done/notes.txt", "")
    files = read_schema_files(tmp_path)
    assert [schema.where for schema in files.schemas] == ["thing.done/v1.avsc"]
    where = "is not where a schema must be: <event type>/v<N>.avsc"
    assert [(each.where, each.what) for each in files.problems] == [
        ("V1.AVSC", where),
        ("thing.done/v2.json", where),
        ("thing.done/v3.avsc~", where),
        ("thing.done/v4.avsc", "the name 'type' appears twice in one object"),
        ("x/thing.done/v1.avsc", where),
    ]
    assert [each.where for each in files.notes] == ["README.md", "thing.done/notes.txt"]


def test_a_path_is_shown_without_what_a_terminal_would_act_on() -> None:
    assert shown(Path("a\x1b[2J\u202eb")) == "a\\x1b[2J\\u202eb"
