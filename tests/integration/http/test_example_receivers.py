"""The partners of the examples refuse what is forged or is not what they agreed on, over a real socket."""

import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from examples.consumers.automation import Automation
from examples.consumers.dashboard import Dashboard
from examples.consumers.receiver import Receiver
from examples.consumers.warehouse import Warehouse

from hookstream.adapters.ed25519 import private_key, signer
from hookstream.core.delivery.signing import request_headers, write_public_key, write_secret
from hookstream.core.model.json import JsonObject
from hookstream.receiver import BodySchema

pytestmark = pytest.mark.timeout(30)

SECRET = b"k" * 32
KEY = private_key(b"s" * 32)
PUBLIC = write_public_key(KEY.public)
OTHER = "whpk_" + b64encode(private_key(b"o" * 32).public).decode()
CLOUD = "application/cloudevents+json"
# Made here, for the library is loaded from files.
AGREED = [BodySchema({"properties": {"version": {"const": each}}}) for each in (1, 3)]
EVENT: JsonObject = {"id": "e", "type": "thing.done", "version": 1, "entity_id": "job-1"}
CLOUD_EVENT: JsonObject = {
    "specversion": "1.0",
    "id": "e",
    "source": "/production/thing.done",
    "type": "thing.done",
    "subject": "job-1",
    "time": "2026-11-24T08:15:30.250000Z",
    "datacontenttype": "application/json",
    "environment": "production",
    "dataversion": 3,
    "data": {"a": "1.00"},
}


@asynccontextmanager
async def listening(receiver: Receiver, *secrets: str) -> AsyncIterator[Receiver]:
    receiver.secrets = [*secrets]
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()


async def post(
    receiver: Receiver,
    document: JsonObject,
    content_type: str = "application/json",
    *,
    age: int = 0,
    by_key: bool = False,
    batch_id: str | None = None,
) -> int:
    """Send a genuine request and return the status of the answer."""
    raw = json.dumps(document).encode()
    signers, now = request_headers([signer(KEY.seed) if by_key else SECRET]), int(time.time())
    if batch_id is not None:
        headers = dict(signers.of_batch(batch_id, now, raw))
    else:
        headers = dict(signers.of("msg_1", now - age, raw, attempt=1, trigger="initial"))
    headers["content-type"] = content_type
    async with aiohttp.ClientSession() as session:
        answer = await session.post(receiver.url, data=raw, headers=headers)
        return answer.status


def a_receiver() -> Receiver:
    return Receiver("shop", lambda _: None)


async def test_a_request_is_verified_by_a_public_key_beside_a_secret() -> None:
    async with listening(a_receiver(), OTHER, PUBLIC, write_secret(SECRET)) as receiver:
        answers = [await post(receiver, EVENT, by_key=by_key) for by_key in (True, False)]
    assert (answers, receiver.book.forged) == ([204, 204], 0)


async def test_a_request_that_no_public_key_verifies_or_that_is_old_is_forged() -> None:
    async with listening(a_receiver(), OTHER) as receiver:
        answers = [await post(receiver, EVENT, by_key=True)]
        receiver.secrets = [PUBLIC]
        answers.append(await post(receiver, EVENT, by_key=True, age=600))
        answers.append(await post(receiver, EVENT))
    assert (answers, receiver.book.forged, receiver.book.entries) == ([401] * 3, 3, [])


async def test_a_body_in_a_version_that_was_not_agreed_is_noted_and_answered_422() -> None:
    async with listening(a_receiver(), write_secret(SECRET)) as receiver:
        receiver.schemas = AGREED
        answers = [await post(receiver, {**EVENT, "version": each}) for each in (1, 2, 3)]
    assert answers == [204, 422, 204]
    assert receiver.book.not_valid == ["version: 1 was expected"]
    assert [entry.version for entry in receiver.book.entries] == [1, 3]


async def test_the_automation_takes_cloudevents_alone() -> None:
    without_source = {name: value for name, value in CLOUD_EVENT.items() if name != "source"}
    async with listening(Automation().receiver, write_secret(SECRET)) as receiver:
        answers = [
            await post(receiver, CLOUD_EVENT, CLOUD),
            await post(receiver, CLOUD_EVENT),
            await post(receiver, without_source, CLOUD),
            await post(receiver, {**EVENT, "data": {}}, CLOUD),
        ]
    assert answers == [204, 422, 422, 422]
    [entry] = receiver.book.entries
    assert (entry.entity_id, entry.version, entry.media_type) == ("job-1", 3, CLOUD)


async def test_the_dashboard_takes_thin_bodies_alone() -> None:
    async with listening(Dashboard().receiver, write_secret(SECRET)) as receiver:
        answers = [await post(receiver, EVENT), await post(receiver, {**EVENT, "data": {}})]
    assert (answers, receiver.book.not_valid) == ([204, 422], ["a thin body has no data"])


async def test_the_warehouse_loads_each_event_once_whatever_batches_it_comes_in() -> None:
    whole: JsonObject = {**EVENT, "timestamp": "2026-11-24T08:15:30Z", "environment": "production"}
    one, two, three = ({**whole, "id": each} for each in ("1", "2", "3"))
    warehouse = Warehouse()
    async with listening(warehouse.receiver, write_secret(SECRET)) as receiver:
        answers = [
            await post(
                receiver, {"type": "hookstream.batch", "events": [*batch]}, batch_id=f"msgb_{n}"
            )
            for n, batch in enumerate([(one, two), (two, three), (one,)])
        ]
    assert answers == [204] * 3
    assert warehouse.rows == {"thing.done": 3}
    assert receiver.book.requests == 3
    assert [(each, len(found)) for each, found in receiver.book.accepted().items()] == [
        ("thing.done/1", 2),
        ("thing.done/2", 2),
        ("thing.done/3", 1),
    ]


async def test_a_batch_with_a_member_that_was_not_agreed_is_refused_whole() -> None:
    whole: JsonObject = {**EVENT, "timestamp": "2026-11-24T08:15:30Z", "environment": "production"}
    batch: JsonObject = {"type": "hookstream.batch", "events": [whole, {**whole, "version": 2}]}
    warehouse = Warehouse()
    async with listening(warehouse.receiver, write_secret(SECRET)) as receiver:
        receiver.schemas = AGREED
        answer = await post(receiver, batch, batch_id="msgb_1")
    assert (answer, receiver.book.entries, warehouse.rows) == (422, [], {})
