"""`schemas check --against` compares a folder with what it was, by the rules of publishing."""

import os
import subprocess
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from tests.doubles.foreign import ORDERS, write_mapping
from tests.doubles.schemas import event_schema, field

from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.schemas import SchemaPublisher
from hookstream.entry.cli import root

A, B = field("a", "int"), field("b", "int", default=0)
WITH_BOTH, WITHOUT_B = event_schema(A, B), event_schema(A)

pytestmark = pytest.mark.real_time


def write(folder: Path, *trees: JsonObject) -> Path:
    for tree in trees:
        path = folder / str(tree["eventType"]) / f"v{tree['eventVersion']}.avsc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(tree))
    return folder


def check(folder: Path, *options: str) -> tuple[int, str]:
    ended = CliRunner().invoke(root, ["schemas", "check", str(folder), *options])
    return ended.exit_code, ended.output


def git(folder: Path, *arguments: str) -> None:
    who = {
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    subprocess.run(  # noqa: S603
        ["git", "-C", str(folder), *arguments],  # noqa: S607
        check=True,
        capture_output=True,
        env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull},
    )


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A working tree whose folder `platform/schemas` was committed with both fields."""
    folder = write(tmp_path / "platform" / "schemas", WITH_BOTH)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "Both fields")
    return folder


def test_a_removed_field_passes_only_a_check_of_the_files_alone(tmp_path: Path) -> None:
    before, now = write(tmp_path / "before", WITH_BOTH), write(tmp_path / "now", WITHOUT_B)
    assert check(now)[0] == 0
    code, said = check(now, "--against", str(before))
    assert code == 2
    assert "thing.done/v1.avsc: data.b: nothing carries this field any more" in said
    assert "needs a new version" in said


def test_a_compatible_change_and_a_new_version_pass(tmp_path: Path) -> None:
    before = write(tmp_path / "before", WITHOUT_B)
    now = write(tmp_path / "now", WITH_BOTH, event_schema(B, version=2))
    code, said = check(now, "--against", str(before))
    assert code == 0
    assert "v2 cannot be delivered as v1: data.a" in said  # a note: nobody is known to be pinned


def test_a_file_that_is_gone_is_a_note(tmp_path: Path) -> None:
    before = write(tmp_path / "before", WITH_BOTH, event_schema(A, field("c", "int"), version=2))
    code, said = check(write(tmp_path / "now", WITH_BOTH), "--against", str(before))
    assert code == 0
    assert "thing.done/v2.avsc: has no file any more; what was published stays" in said


def test_a_broken_file_of_then_is_not_compared_and_noted(tmp_path: Path) -> None:
    before = write(tmp_path / "before", WITH_BOTH)
    (before / "thing.done" / "v2.avsc").write_text("{")
    code, said = check(write(tmp_path / "now", WITH_BOTH), "--against", str(before))
    assert code == 0
    assert "v2.avsc: is not compared: is not JSON" in said


@pytest.mark.parametrize("revision", ["main", "HEAD", "main~0"])
def test_a_removed_field_fails_against_a_revision(committed: Path, revision: str) -> None:
    write(committed, WITHOUT_B)
    code, said = check(committed, "--against", revision)
    assert code == 2
    assert "data.b: nothing carries this field any more" in said


def test_an_unchanged_folder_passes_against_its_revision(committed: Path) -> None:
    code, said = check(committed, "--against", "HEAD")
    assert code == 0
    assert "note" not in said


def test_a_folder_that_a_revision_did_not_have_is_new(committed: Path) -> None:
    folder = write(committed.parent / "others", event_schema(A, event_type="other.done"))
    code, said = check(folder, "--against", "HEAD")
    assert code == 0
    assert "HEAD: has no such folder: everything is new" in said


def test_links_of_a_revision_are_not_followed(committed: Path) -> None:
    (committed / "thing.done" / "v2.avsc").symlink_to("/etc/passwd")
    git(committed, "add", ".")
    git(committed, "commit", "--quiet", "-m", "A link")
    (committed / "thing.done" / "v2.avsc").unlink()
    assert check(committed, "--against", "HEAD")[0] == 0


def test_a_large_file_of_a_revision_is_bounded(committed: Path) -> None:
    (committed / "thing.done" / "v2.avsc").write_bytes(b" " * 300_000)
    git(committed, "add", ".")
    git(committed, "commit", "--quiet", "-m", "A large file")
    (committed / "thing.done" / "v2.avsc").unlink()
    code, said = check(committed, "--against", "HEAD")
    assert code == 0
    assert "is larger than 262144 bytes" in said


@pytest.mark.parametrize("revision", ["nowhere", "--help", "HEAD:platform", ""])
def test_an_unknown_revision_is_refused_with_the_remedy(committed: Path, revision: str) -> None:
    code, said = check(committed, f"--against={revision}")
    assert code == 2
    assert "is neither a folder nor a git revision here" in said


def test_a_folder_outside_git_has_no_revisions(tmp_path: Path) -> None:
    code, said = check(write(tmp_path, WITH_BOTH), "--against", "HEAD")
    assert code == 2
    assert "is in no git working tree, so it has no revisions: name a folder" in said


def test_without_git_the_remedy_is_named(
    committed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = check(committed, "--against", "HEAD")
    assert code == 2
    assert "git is not installed" in said


def test_a_change_of_where_event_ids_come_from_fails_against_what_they_were(
    tmp_path: Path,
) -> None:
    before = write_mapping(tmp_path / "before")
    now = write_mapping(tmp_path / "now", ORDERS.replace("{field: meta.id}", "{header: id}"))
    assert check(now)[0] == 0
    code, said = check(now, "--against", str(before))
    assert code == 2
    assert "mappings/orders.yaml: event_id: order.shipped has its ids from" in said


def test_a_mapping_that_is_gone_is_a_note_with_the_command_that_removes_it(tmp_path: Path) -> None:
    before = write(write_mapping(tmp_path / "before"), WITH_BOTH)
    code, said = check(write(tmp_path / "now", WITH_BOTH), "--against", str(before))
    assert code == 0
    assert "apply --remove-mapping orders" in said


def test_only_a_published_mapping_without_a_file_is_removed(tmp_path: Path) -> None:
    folder = write_mapping(tmp_path)
    for name, why in (
        ("orders", "declares the mapping orders, which is to be removed"),
        ("oders", "there is no mapping 'oders' to remove (did you mean orders?)"),
    ):
        found = SchemaPublisher(folder, [name]).checked(str(folder), pytest.fail)
        assert why in [each.what for each in found.problems]
