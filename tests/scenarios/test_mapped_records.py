"""Records whose schemas are somebody else's are delivered as events by their mapping."""

import io
import json
from collections.abc import Callable
from dataclasses import replace

from fastavro import schemaless_writer
from tests.doubles.endpoint import status
from tests.doubles.foreign import record, shipped
from tests.doubles.schemas import field
from tests.doubles.topic_ids import KnownTopicIds
from tests.scenarios.world import EVENTS, World

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import fingerprint_of
from hookstream.adapters.avro.registered import registered_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.tables.mappings import mapping_row
from hookstream.core.catalog.mapped_schema import event_schema
from hookstream.core.model.framing import SINGLE_OBJECT, prefixed
from hookstream.core.model.instant import SECOND
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import FieldSource, HeaderSource, Mapping, position_id
from hookstream.core.model.record import Header, header_text
from hookstream.core.model.registered import RegisteredId
from hookstream.pipeline.ports import Ports

TOPIC = EVENTS
TYPE = "order.shipped"
MAPPING = Mapping(
    "orders",
    (TOPIC,),
    TYPE,
    (1,),
    entity_id=FieldSource(("orderNumber",)),
    environment=HeaderSource("env"),
    event_id=FieldSource(("meta", "id")),
    occurred_at=FieldSource(("shippedAt",)),
    record="com.shop.OrderShipped",
)
BY_POSITION = replace(MAPPING, event_id=None)
IN_PRODUCTION: tuple[Header, ...] = (("env", b"production"),)
CHANGED = shipped({"name": "carrier", "type": "string"}, without="note")
TOPIC_ID = bytes(range(16))


class Platform:
    """A world with a mapped topic, read by the real codec."""

    def __init__(self, world: World, mapping: Mapping = MAPPING, *schemas: JsonObject) -> None:
        self.world = world
        self.book = SchemaBook()
        self.topic_ids = KnownTopicIds({TOPIC: TOPIC_ID})
        self.publish(mapping, *(schemas or (shipped(),)))
        for number, schema in enumerate((shipped(), CHANGED), 1):
            name = RegisteredId("main", str(number))
            assert self.book.put(name.key, registered_row(name, schema)) is None
        codec = AvroCodec(self.book, registry_of=lambda _: "main")
        world.altered = self._altered(codec)

    def _altered(self, codec: AvroCodec) -> Callable[[Ports], Ports]:
        return lambda ports: replace(ports, codec=codec, topic_ids=self.topic_ids)

    def publish(self, mapping: Mapping, *schemas: JsonObject) -> None:
        """Apply what `schemas apply` writes."""
        for version, schema in enumerate(schemas, 1):
            self.book.publish(event_schema(schema, mapping, version))
        assert self.book.put(*mapping_row(mapping)) is None

    def append(
        self,
        number: int,
        schema: JsonObject | None = None,
        *,
        head: bytes = prefixed(1),
        headers: tuple[Header, ...] = IN_PRODUCTION,
        **more: object,
    ) -> None:
        body = io.BytesIO(head)
        body.seek(0, io.SEEK_END)
        schemaless_writer(body, schema or shipped(), record(number, **more))
        self.world.broker.append(TOPIC, body.getvalue(), key=b"k", headers=headers)

    def received(self, name: str) -> list[JsonObject]:
        requests = self.world.endpoints.accepted(name)
        return [json.loads(request.post.body) for request in requests]


async def test_foreign_records_in_both_framings_are_delivered_with_their_envelope() -> None:
    async with World() as world:
        platform = Platform(world)
        world.subscribe("crm", event_types=(TYPE,))
        await world.worker()
        platform.append(1)
        fingerprint = bytes.fromhex(fingerprint_of(shipped()))
        platform.append(2, head=SINGLE_OBJECT + fingerprint)

        await world.until(world.settled, within=10)

        assert world.accepted("crm") == {"event-1": 1, "event-2": 1}
        assert platform.received("crm")[0] == {
            "type": TYPE,
            "version": 1,
            "timestamp": "2026-11-30T00:53:20.123000Z",
            "id": "event-1",
            "environment": "production",
            "entity_id": "1",
            "data": {
                "meta": {"id": "event-1"},
                "orderNumber": 1,
                "shippedAt": "2026-11-30T00:53:20.123Z",
                "note": None,
            },
        }


async def test_a_mapped_record_is_filtered_and_matched_by_its_environment() -> None:
    async with World() as world:
        platform = Platform(world)
        pattern: JsonObject = {"data": {"orderNumber": [2]}, "environment": ["production"]}
        world.subscribe("crm", event_types=(TYPE,), pattern=pattern)
        await world.worker()
        platform.append(1)
        platform.append(2)
        platform.append(2, headers=(("env", b"staging"),))

        await world.until(world.settled, within=10)

        assert world.accepted("crm") == {"event-2": 1}


async def test_without_an_id_of_its_own_a_record_is_its_place_and_every_attempt_agrees() -> None:
    async with World() as world:
        platform = Platform(world, BY_POSITION)
        world.subscribe("crm", event_types=(TYPE,), schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        platform.append(1)
        await world.until(lambda: len(world.tier_writes()) > 0, within=10)
        # Another topic of the same name came: what was matched keeps its id.
        platform.topic_ids.ids[TOPIC] = bytes(16)

        await world.until(world.settled)

        [request] = world.endpoints.accepted("crm")
        first, second = world.endpoints.to("crm")
        assert first.post.body == second.post.body
        assert json.loads(request.post.body)["id"] == position_id(TOPIC_ID, 0, 0)


async def test_a_record_of_a_topic_without_an_id_is_undecodable_if_it_names_none() -> None:
    async with World() as world:
        platform = Platform(world, BY_POSITION)
        platform.topic_ids.ids.clear()
        world.subscribe("crm", event_types=(TYPE,))
        await world.worker()
        platform.append(1)

        await world.until(world.settled, within=10)

        [aside] = world.broker.records(world.topics.undecodable)
        assert header_text(aside.headers, "hs-reason") == "bad_envelope"


async def test_a_bad_value_is_undecodable_and_names_mapping_and_source() -> None:
    async with World() as world:
        platform = Platform(world)
        world.subscribe("crm", event_types=(TYPE,))
        await world.worker()
        platform.append(1, headers=())
        platform.append(2)

        await world.until(world.settled, within=10)

        [aside] = world.broker.records(world.topics.undecodable)
        detail = header_text(aside.headers, "__connect.errors.exception.message")
        assert detail is not None
        assert detail.startswith("mapping orders: header env: environment is missing")
        assert world.accepted("crm") == {"event-2": 1}


async def test_an_incompatible_revision_waits_with_an_alarm_until_it_is_a_version() -> None:
    async with World() as world:
        platform = Platform(world)
        crm = world.subscribe("crm", event_types=(TYPE,))
        world.directory.put_subscription(replace(crm, versions={TYPE: "latest"}))
        await world.worker()
        for number in range(3):
            platform.append(number, CHANGED, head=prefixed(2), carrier="DHL")
        await world.until(lambda: len(world.tier_writes()) == 3, within=10)
        assert world.logger.events("error") == ["schema.unfit"]
        platform.publish(replace(MAPPING, versions=(1, 2), revision=2), shipped(), CHANGED)

        await world.until(world.settled)

        assert world.accepted("crm") == {"event-0": 1, "event-1": 1, "event-2": 1}
        assert {each["version"] for each in platform.received("crm")} == {2}


async def test_a_compatible_revision_needs_no_change() -> None:
    async with World() as world:
        platform = Platform(world)
        more = shipped(field("weight", "double", default=0.5))
        name = RegisteredId("main", "9")
        assert platform.book.put(name.key, registered_row(name, more)) is None
        world.subscribe("crm", event_types=(TYPE,))
        await world.worker()
        platform.append(1)
        platform.append(2, more, head=prefixed(9), weight=1.5)

        await world.until(world.settled, within=10)

        old, new = platform.received("crm")
        assert list(old["data"] or ()) == list(new["data"] or ())  # type: ignore[arg-type]
