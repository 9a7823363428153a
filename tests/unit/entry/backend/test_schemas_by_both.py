"""Commands about published schemas and mappings print the same on the cluster and through the API."""

import json

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.faces import ApiFace, MemoryBackend, Said, run
from tests.doubles.foreign import shipped
from tests.doubles.schemas import printprice

from hookstream.adapters.avro.registered import registered_row
from hookstream.adapters.tables.mappings import mapping_row
from hookstream.core.access.scopes import Scope
from hookstream.core.model.mapping import FieldSource, HeaderSource, Mapping
from hookstream.core.model.registered import RegisteredId

MAPPING = Mapping(
    "invoices",
    ("billing.*", "old.billing"),
    "invoice.paid",
    (1,),
    FieldSource(("invoice", "id")),
    HeaderSource("environment"),
    record="billing.Invoice",
)


def world() -> ApiWorld:
    made = ApiWorld()
    table = made.settings.topics_names.schemas
    key, value = mapping_row(MAPPING)
    made.tables.put(table, key, value)
    for name, tree in (("7", printprice("pricing.completed")), ("11", shipped())):
        schema = RegisteredId("main", name)
        made.tables.put(table, schema.key, registered_row(schema, tree))
    made.tables.put(table, "pricing.completed/9/none", b"no schema")
    return made


def both(*arguments: str) -> tuple[Said, Said]:
    return run(MemoryBackend(world()), *arguments), run(ApiFace(world()), *arguments)


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "list --json",
        "show pricing.completed",
        "show pricing.completed --version 1",
        "show pricing.completed --version 9",
        "show pricing.complete",
        "show invoices",
        "types",
        "types --json",
        "jsonschema pricing.completed",
        "jsonschema pricing.completed --format cloudevents --content thin --batch",
        "jsonschema pricing.complete",
        "jsonschema pricing.completed --version 9",
        "sample order.generated",
        "sample order.generated --version 1 --format input",
        "sample order.generated --format cloudevents",
        "sample order.generate",
        "sample order.generated --version 9",
    ],
)
def test_a_command_of_schemas_says_the_same_by_both(line: str) -> None:
    on_cluster, by_api = both("schemas", *line.split())
    assert by_api == on_cluster
    assert on_cluster.out or on_cluster.err


def test_what_is_no_type_has_its_reason_by_both() -> None:
    for said in both("schemas", "types", "--json"):
        last = json.loads(said.out.splitlines()[-1])
        assert last["registered"] == [{"registry": "main", "id": "11"}]
        assert (last["event_type"], last["record"]) == (None, "com.shop.OrderShipped")
    for said in both("schemas", "list"):
        assert "pricing.completed/9/none" in said.err


async def test_revisions_are_read_page_by_page_each_once() -> None:
    made = world()
    whole = (await made.send("GET", "/v1/schemas?limit=200")).json["items"]
    found: list[object] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await made.send("GET", f"/v1/schemas?limit=1{cursor}")).json
        found += page["items"]
        cursor = None if page["next"] is None else f"&cursor={page['next']}"
    assert found == whole
    assert len(found) > 2


async def test_a_partner_gets_no_sample_with_the_names_of_our_branches() -> None:
    made, path = world(), "/v1/event-types/pricing.completed/versions/1/sample?format="
    token = made.tokens[Scope.PARTNER_READ]
    assert (await made.send("GET", f"{path}standard", token=token)).status == 200
    refused = await made.send("GET", f"{path}input", token=token)
    assert (refused.status, refused.json["field"]) == (403, "format")
    assert (await made.send("GET", f"{path}input")).status == 200
