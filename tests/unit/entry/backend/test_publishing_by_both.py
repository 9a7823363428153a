"""Schemas and mappings of a folder are checked and published alike on the cluster and through the API."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import subscription
from tests.doubles.faces import ApiFace, MemoryBackend, Said, run
from tests.doubles.foreign import ORDERS, shipped, write_mapping
from tests.doubles.schemas import event_schema, field, printprice

from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.file_tree import SentFile, SentTree
from hookstream.adapters.http.api_connection import ApiReply
from hookstream.core.access.scopes import Scope
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat
from hookstream.errors import InputRefused


def write(folder: Path, tree: JsonObject) -> None:
    file = folder / str(tree["eventType"]) / f"v{tree['eventVersion']}.avsc"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(tree))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "schemas"
    made.mkdir()
    write(made, printprice("pricing.completed"))
    write(made, event_schema(field("a", "long")))
    (made / "README.md").write_text("Schemas.")
    return write_mapping(made)


def both(*arguments: str) -> tuple[Said, Said, ApiWorld, ApiWorld]:
    one, other = ApiWorld(), ApiWorld()
    return run(MemoryBackend(one), *arguments), run(ApiFace(other), *arguments), one, other


def published(world: ApiWorld) -> dict[str, bytes | None]:
    rows = world.tables.snapshot[world.settings.topics_names.schemas]
    return {key: row.value for key, row in rows.items()}


def test_a_folder_is_published_to_the_same_rows(folder: Path) -> None:
    on_cluster, by_api, one, other = both("schemas", "apply", str(folder), "--yes")
    assert by_api == on_cluster
    assert published(one) == published(other)
    assert "+ mapping orders" in by_api.out
    assert by_api.err.endswith("Published.\n")
    assert "README.md: is not read" in by_api.err
    again = run(ApiFace(other), "schemas", "apply", str(folder), "--yes")
    assert (again.code, "Nothing to publish." in again.out) == (0, True), again
    for face in (MemoryBackend(one), ApiFace(other)):
        (folder / "mappings" / "orders.yaml").write_text(ORDERS.replace("meta.id", "orderNumber"))
        said = run(face, "schemas", "apply", str(folder), "--yes")
        assert (said.code, "orders.yaml" in said.err) == (2, True), said


def test_a_mapping_is_removed_alike(folder: Path) -> None:
    worlds = ApiWorld(), ApiWorld()
    faces = MemoryBackend(worlds[0]), ApiFace(worlds[1])
    for face in faces:
        run(face, "schemas", "apply", str(folder), "--yes")
    for file in (folder / "mappings").iterdir():
        file.unlink()
    for line in ("--remove-mapping oders", "--remove-mapping orders"):
        said = [
            run(face, "schemas", "apply", str(folder), *line.split(), "--yes") for face in faces
        ]
        assert said[0] == said[1]
        assert ("- mapping orders" in said[0].out) == ("oders" not in line), said
    assert published(worlds[0]) == published(worlds[1])


CHANGES = {
    "nothing": printprice("pricing.completed"),
    "documentation": {**printprice("pricing.completed"), "doc": "Another text."},
    "another version": {**printprice("pricing.completed"), "eventVersion": 2},
    "incompatible": {
        **event_schema(field("a", "long"), event_type="pricing.completed"),
        "name": "Other",
    },
    "hostile": {**printprice("pricing.completed"), "name": "no name"},
}


@pytest.mark.parametrize("act", ["apply", "check"])
@pytest.mark.parametrize("what", CHANGES)
def test_what_a_change_would_do_is_said_alike(tmp_path: Path, what: str, act: str) -> None:
    write(tmp_path, CHANGES[what])
    more = ["--yes"] if act == "apply" else ["--against", "topic"]
    on_cluster, by_api, one, other = both("schemas", act, str(tmp_path), *more)
    assert by_api == on_cluster
    assert published(one) == published(other)


def test_a_folder_is_checked_without_the_api(folder: Path) -> None:
    face = ApiFace(ApiWorld())
    for more in ([], ["--against", str(folder)]):
        said = run(face, "schemas", "check", str(folder), *more)
        assert (said.code, said.out) == (
            0,
            "2 schemas and 1 mapping checked, no problems found.\n",
        )
    assert face.connection.sent == []


def test_problems_of_the_files_themselves_are_said_before_anything_is_sent(folder: Path) -> None:
    (folder / "pricing.completed" / "v1.avsc").write_text("{")
    face = ApiFace(ApiWorld())
    said = run(face, "schemas", "apply", str(folder), "--yes")
    assert (said.code, "pricing.completed/v1.avsc: is not JSON" in said.err) == (2, True), said
    assert face.connection.sent == []


def test_what_was_published_since_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    world = ApiWorld()
    face = ApiFace(world)
    (tmp_path / "other").mkdir()
    write(tmp_path / "other", event_schema(field("b", "long")))

    def meanwhile(_: str, target: str) -> ApiReply | None:
        if target.endswith("/publish"):
            face.connection.before = lambda _method, _target: None
            run(ApiFace(world), "schemas", "apply", str(tmp_path / "other"), "--yes")
        return None

    face.connection.before = meanwhile
    said = run(face, "schemas", "apply", str(folder), "--yes")
    assert (said.code, "changed meanwhile: run it again" in said.err) == (2, True), said


def test_what_templates_lose_is_noted_by_apply_and_not_by_check(tmp_path: Path) -> None:
    first = event_schema(field("a", "long"), field("b", "long"))
    write(tmp_path, event_schema(field("a", "long"), version=2))
    templated = replace(
        subscription("templated"),
        event_types=("thing.done",),
        format=BodyFormat.TEMPLATE,
        template={"b": "<$.data.b>"},
        versions={"thing.done": "latest"},
    )
    for act, more, noted in (("check", "--against topic", False), ("apply", "--yes", True)):
        worlds = ApiWorld(), ApiWorld()
        for world in worlds:
            world.tables.put(world.settings.topics_names.schemas, *schema_row(first, 1))
            world.add(templated)
        line = ("schemas", act, str(tmp_path), *more.split())
        on_cluster = run(MemoryBackend(worlds[0]), *line)
        by_api = run(ApiFace(worlds[1]), *line)
        assert by_api == on_cluster
        assert ("subscription templated" in by_api.err) == noted, by_api


async def test_who_may_read_plans_and_who_may_write_publishes() -> None:
    world = ApiWorld()
    text = json.dumps(event_schema(field("a", "long")))
    body: dict[str, object] = {"files": [{"path": "thing.done/v1.avsc", "text": text}]}
    read = world.tokens[Scope.OPERATOR_READ]
    planned = await world.send("POST", "/v1/schema-files/plan", body, token=read)
    assert planned.status == 200, planned.content
    body["mark"] = planned.json["mark"]
    for scope, status in ((Scope.OPERATOR_READ, 403), (Scope.PARTNER_MANAGE, 403)):
        token = world.tokens[scope]
        refused = await world.send("POST", "/v1/schema-files/publish", body, token=token)
        assert refused.status == status
    written = world.tokens[Scope.OPERATOR_WRITE]
    done = await world.send("POST", "/v1/schema-files/publish", body, token=written)
    assert (done.status, world.services.uses[-1][0]) == (200, "schemas.published")
    again = await world.send("POST", "/v1/schema-files/publish", body, token=written)
    assert again.status == 409


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x/v1.avsc", "a/../../v1.avsc", ".hidden/v1.avsc", "a//v1.avsc", "a/b\0",
     "a/b/c/d/e/f/v1.avsc", "a\\v1.avsc", "a/", "."],
)  # fmt: skip
async def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    body = {"files": [{"path": path, "text": "{}"}]}
    refused = await ApiWorld().send("POST", "/v1/schema-files/plan", body)
    assert (refused.status, "files[0].path" in refused.json["detail"]) == (422, True)


async def test_files_that_are_no_schemas_and_paths_that_clash_are_refused() -> None:
    world = ApiWorld()
    for files, why in (
        ([("notes.txt", "a")], "they contain no schemas"),
        ([("a/v1.avsc", "{}"), ("a/v1.avsc", "{}")], "another file has it already"),
        ([("a", "{}"), ("a/v1.avsc", "{}")], "is the folder of another"),
    ):
        body = {"files": [{"path": path, "text": text} for path, text in files]}
        refused = await world.send("POST", "/v1/schema-files/plan", body)
        assert (refused.status, why in refused.json["detail"]) == (422, True), refused.content


def test_a_tree_of_sent_files_is_as_one_on_a_disk(folder: Path) -> None:
    files = [
        SentFile(path.relative_to(folder).as_posix(), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    ]
    tree = SentTree(folder, files)
    assert tree.listed(folder) == ["README.md", "mappings", "pricing.completed", "thing.done"]
    found = [each.path for each in tree.files_below(folder, most=10)]
    assert found == sorted(folder / each.path for each in files)
    assert tree.read(found[0], 3) == b"Sch"
    with pytest.raises(FileNotFoundError):
        tree.read(folder / "none", 1)
    with pytest.raises(InputRefused, match="1 files are taken"):
        list(tree.files_below(folder, most=1))
    assert (
        json.loads(tree.read(folder / "mappings" / "order_shipped_v1.avsc", 1 << 20)) == shipped()
    )
